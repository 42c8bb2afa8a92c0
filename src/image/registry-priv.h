/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_PRIV_H
#define LODGE_REGISTRY_PRIV_H

/*
 * A client of one repository of a registry (OCI distribution-spec 1.1), for transport_docker, pull and push. It
 * remembers its token and keeps its connection. What comes back is as the registry sent it: callers check digests.
 *
 * A request is tried again after a lost connection, a 5xx or 429 (Retry-After), up to the options' number of times.
 */

#include "image/http.h"
#include "image/registries.h"
#include "image/registry.h"
#include "store/layer.h"

#define REGISTRY_RETRIES   5
#define REGISTRY_TAGS_MAX  1000000
#define REGISTRY_TOKEN_MAX (1 << 20)

struct registry;

enum {
	REGISTRY_PULL = 0,
	REGISTRY_PUSH = 1 << 0, /* tokens for writing are asked for */
	REGISTRY_DELETE = 1 << 1,
};

/* Reaches nobody yet. place: where the repository is. */
int registry_new(struct ctx *c, const struct registry_place *place,
	const struct transport_options *o, unsigned flags, struct registry **ret, struct err *e);
/* Another one to the same place, with its own connection and what is known of who we are: for another process. */
int registry_copy(const struct registry *r, struct ctx *c, struct registry **ret, struct err *e);
void registry_free(struct registry *r);
void registry_freep(struct registry **r);
const struct registry_place *registry_where(const struct registry *r);

/* Whether it answers and takes who we are: for login. */
int registry_ping(struct registry *r, struct err *e);

/* A manifest by tag or digest, as struct transport_in_ops.document has it. *ret_digest: as the registry says (NULL
 * when it doesn't); may be NULL. -E_NOTFOUND. */
int registry_manifest(struct registry *r, const char *what, char **ret, size_t *ret_size,
	char **ret_type, char **ret_digest, struct err *e);
/* Its digest by a request without body. */
int registry_manifest_digest(
	struct registry *r, const char *what, char **ret_digest, struct err *e);
int registry_manifest_put(struct registry *r, const char *what, const void *text, size_t size,
	const char *type, struct err *e);
int registry_manifest_delete(struct registry *r, const char *digest, struct err *e);

/* Bytes of a blob from an offset on. begin is told where they begin: offset, or 0 when the registry can't do parts.
 * Goes on by itself after a lost connection. */
struct registry_sink {
	int (*begin)(void *arg, int64_t offset, struct err *e); /* NULL: must begin at the offset */
	transport_sink write;
	void *arg;
};
int registry_blob(struct registry *r, const char *digest, int64_t offset,
	const struct registry_sink *sink, int64_t *ret_size, struct err *e);
/* 1, 0 */
int registry_has_blob(struct registry *r, const char *digest, struct err *e);

/* An upload. key names it across runs ("sha256:..."; NULL: not kept); *ret_offset: how many bytes are there. */
int registry_upload(struct registry *r, const char *key, int64_t *ret_offset, struct err *e);
/* 1: the blob is there now, from the repository `from` of the same registry; 0: it isn't. */
int registry_mount(struct registry *r, const char *digest, const char *from, struct err *e);
int registry_upload_write(struct registry *r, const void *data, size_t size, struct err *e);
int registry_upload_finish(struct registry *r, const char *digest, struct err *e);
/* Breaks it off; it can be gone on with. */
void registry_upload_stop(struct registry *r);
/* The same; what was sent is no good, so it can't. */
void registry_upload_forget(struct registry *r);
/* A small blob at once. */
int registry_blob_put(
	struct registry *r, const char *digest, const void *data, size_t size, struct err *e);

/* As the registry orders them; char * each. */
int registry_tags(struct registry *r, GPtrArray **ret, struct err *e);
/* Any document behind the registry's authority: an absolute path or URL, for signatures. -E_NOTFOUND. */
int registry_get(struct registry *r, const char *url, size_t max, GString **ret, struct err *e);

/* Whether another attempt may help. */
bool registry_is_passing(int code);
/* Waits before it; seconds: what the registry asked for, 0: longer each time. */
void registry_pause(int *attempt, int seconds);

#endif
