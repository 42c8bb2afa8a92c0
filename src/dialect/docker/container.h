/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CONTAINER_H
#define LODGE_DOCKER_CONTAINER_H

/* The API's sections "Container" and "Exec". */

#include <jansson.h>
#include "dialect/docker/api.h"
#include "guest/guest.h"

/* The guest of the realm that the path names ({id}); NULL, and the answer is given. */
struct guest *container_of(struct call *c);
/* "no such container: x" becomes docker's own words; others stay. */
void container_failed(struct call *c, const char *ref, int code, struct err *e);

/* container-inspect.c */
json_t *container_inspect(struct ctx *c, struct guest *g, unsigned api_minor, bool size);
json_t *container_state(const struct guest *g);
const char *container_status(const struct guest *g); /* docker's word */
json_t *container_mounts(struct ctx *c, const struct guest *g);
json_t *container_networks(struct ctx *c, const struct guest *g); /* "Networks" of both */
json_t *container_doc(const struct guest *g);			  /* {} when it is broken */
void container_sizes(struct ctx *c, const struct guest *g, int64_t *ret_rw, int64_t *ret_root);

/* work() of their routes */
void container_list(struct call *c);
void container_create(struct call *c);
void container_get(struct call *c);
void container_start(struct call *c);
void container_kill(struct call *c);
void container_rename(struct call *c);
void container_pause(struct call *c);
void container_unpause(struct call *c);
void container_update(struct call *c);
void container_delete(struct call *c);
void container_prune(struct call *c);
void container_resize(struct call *c);
void container_changes(struct call *c);
void container_top(struct call *c);
void container_archive_head(struct call *c);
/* start(), tick(), end() */
void container_stats(struct call *c);
int container_stats_tick(struct call *c, GString *out);
void container_stats_end(struct call *c);
/* take() */
void container_stop(struct call *c, struct link *l);
void container_restart(struct call *c, struct link *l);
void container_wait(struct call *c, struct link *l);
void container_logs(struct call *c, struct link *l);
void container_attach(struct call *c, struct link *l);
void container_export(struct call *c, struct link *l);
void container_archive_get(struct call *c, struct link *l);
void container_archive_put(struct call *c, struct link *l);

/* exec.c */
json_t *exec_ids(struct ctx *c, const struct guest *g); /* of those that run; NULL: none */
void exec_create(struct call *c);
void exec_get(struct call *c);
void exec_resize(struct call *c);
void exec_start(struct call *c, struct link *l);

#endif
