/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_NETWORKS_H
#define LODGE_DOCKER_NETWORKS_H

/*
 * The API's section "Network". Beside the records of networks there are docker's "host" and "none", which are modes of
 * ours: they are shown, with ids made of the store's place, and can't be changed.
 *
 * A record's document has what was asked for and the core has no word for: "docker": {"attachable", "ipam_options",
 * "aux" (of the first subnet), "aux6"}; "options" is docker's Options as they came.
 */

#include "dialect/docker/api.h"
#include "store/store.h"

void networks_list(struct call *c);
void networks_inspect(struct call *c);
void networks_create(struct call *c);
void networks_delete(struct call *c);
void docker_networks_prune(struct call *c);
/* networks-attach.c */
void networks_connect(struct call *c);
void networks_disconnect(struct call *c);

/* A record for a name, an id, or the beginning of one; "host" and "none" (and their ids) get one without subnets.
 * -E_NOTFOUND "network x not found", -E_INVALID for a beginning of several. */
int network_resolve(struct ctx *c, const char *ref, struct network_record **ret, struct err *e);
bool network_is_mode(const struct network_record *n); /* "host", "none" */
/* What docker calls a guest's end of a network: 64 digits, the same each time. Caller frees. */
char *network_endpoint_id(const char *guest_id, const char *network_id);
/* network_resolve()'s code as an answer. */
void network_failed(struct call *c, int code, const struct err *e);

/* networks-create.c: the record that a request asks for. 0, or a code with the answer given. */
int network_from_request(struct call *c, const json_t *body, struct network_record **ret);

#endif
