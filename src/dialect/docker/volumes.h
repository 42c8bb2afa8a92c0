/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_VOLUMES_H
#define LODGE_DOCKER_VOLUMES_H

/* The API's section "Volume". */

#include "dialect/docker/api.h"
#include "store/store.h"

void volumes_list(struct call *c);
void volumes_create(struct call *c);
void volumes_inspect(struct call *c);
void volumes_delete(struct call *c);
void docker_volumes_prune(struct call *c);

/* The document of a volume. Caller owns it. */
json_t *volume_json(struct ctx *c, const struct volume_record *v);
/* Bytes of its files, as docker counts them: lengths, links once. */
int64_t volume_bytes(struct ctx *c, const char *name);

#endif
