/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_ROUTES_H
#define LODGE_REGISTRY_ROUTES_H

/* The handlers of routes.c's table, by file. */

#include "dialect/registry/depot.h"
#include "server/server.h"

enum {
	ROUTE_WRITES = 1 << 0,	/* not in read-only mode */
	ROUTE_DELETES = 1 << 1, /* not where deletion is off */
};

extern const struct route registry_routes[];
void registry_allow(struct call *c);

/* errors.c: the specification's error bodies. code NULL: by the status. */
void registry_fail(struct reply *r, int status, const char *code, const char *fmt, ...)
	_printf_(4, 5);
/* 404, of that name. Docker's client only looks at a code whose error says more than the code does. */
void registry_unknown(struct reply *r, const char *code, const char *message, const char *about);
void registry_failed(struct reply *r, int status, const char *why);
/* A storage's failure as an answer. */
void registry_broken(struct reply *r, int code, const char *what);

/* The repository's name, or NULL: answered. */
const char *call_name(struct call *c);
/* n= of a list: INT64_MAX when it isn't given; -1: answered. */
int64_t call_count(struct call *c);
/* Link: rel="next". */
void reply_next(struct reply *r, const char *path, int64_t n, const char *last, const char *more);

/* blob.c */
void blob_get(struct call *c);
void blob_delete(struct call *c);
/* Answers with the file, or a range of it, or 304. Takes fd. */
void reply_content(struct call *c, int fd, int64_t size, const char *digest, bool ranges);

/* upload.c */
void upload_post(struct call *c);
void upload_post_work(struct call *c);
void upload_get(struct call *c);
void upload_delete(struct call *c);
void upload_patch(struct call *c);
void upload_patched(struct call *c);
void upload_put(struct call *c);
void upload_put_end(struct call *c);
void upload_put_work(struct call *c);
void upload_patch_cut(struct call *c);
void upload_put_cut(struct call *c);

/* manifests.c */
void manifests_get(struct call *c);
void manifests_put(struct call *c);
void manifests_put_work(struct call *c);
void manifests_delete(struct call *c);

/* Reads a manifest that the repository has. manifest_done() frees it. */
struct manifest;
int manifest_load(const struct depot *reg, const char *name, const char *digest,
	struct manifest *ret, int64_t *ret_size);
/* fd has the manifest's bytes. The repository is locked. */
int manifests_keep(const struct depot *reg, const char *name, const char *digest, int fd,
	const struct manifest *m, const GPtrArray *tags);
/* With its tags. The repository is locked. */
int manifests_remove(const struct depot *reg, const char *name, const char *digest);

/* cache.c: the same for a registry that is a cache of another one */
extern const struct route registry_cache_routes[];

/* lists.c */
void lists_base(struct call *c);
void lists_tags(struct call *c);
/* One page of them; they are sorted. */
void lists_answer_tags(struct call *c, const char *name, const GPtrArray *tags);
void lists_catalog(struct call *c);
void lists_referrers(struct call *c);
/* Calls each for every repository, in the order of names, until it says no. */
void lists_walk(const struct depot *r, bool (*each)(const char *name, void *data), void *data);

#endif
