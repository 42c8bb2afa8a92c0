/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_IMAGES_H
#define LODGE_DOCKER_IMAGES_H

/* The API's section "Image", and what goes to and comes from registries. */

#include "dialect/docker/api.h"
#include "image/image.h"
#include "image/ref.h"
#include "image/transport.h"

/* images.c */
void images_list(struct call *c);
void images_inspect(struct call *c);
void images_history(struct call *c);
void images_tag(struct call *c);
void images_search(struct call *c);
/* images-delete.c */
void images_delete(struct call *c);
void images_prune(struct call *c);
/* images-create.c: POST /images/create, a pull or an import */
void images_create(struct call *c, struct link *l);
/* images-push.c */
void images_push(struct call *c, struct link *l);
/* images-archive.c */
void images_get_one(struct call *c, struct link *l);
void images_get(struct call *c, struct link *l);
void images_load(struct call *c, struct link *l);
void images_import(struct call *c, struct link *l); /* the fromSrc of images_create() */
/* images-commit.c */
void images_commit(struct call *c);
/* distribution.c */
void distribution_inspect(struct call *c, struct link *l);
void system_auth(struct call *c, struct link *l);

/* --- what they share ----------------------------------------------------------------------------------------------- */

/* One element of GET /images/json. shared: SharedSize, -1: not asked for; guests: Containers, likewise. */
json_t *image_summary(
	struct ctx *c, const struct image_record *i, int64_t shared, int guests, unsigned minor);
/* Bytes of layers that other images have, too. layers: of store_layer_list(), all: of store_image_list(). */
int64_t image_shared(const struct image_record *i, const GPtrArray *layers, const GPtrArray *all);

/* "No such image: x:latest" and the like. */
void image_failed(struct call *c, int code, const char *ref, const struct err *e);
/* A configuration's "config" with the members that docker 28's answers always have. NULL is good. Caller owns it. */
json_t *image_config_json(const json_t *config);
/* The name that "repo" and "tag" of a query stand for; *ret NULL: none was given. 0, or a code with the answer given. */
int image_name_of_query(struct call *c, const char *repo_key, char **ret);
/* All values of a query's key. NULL-terminated; caller frees. */
char **image_query_list(const struct call *c, const char *key);

/* --- registries (distribution.c) ------------------------------------------------------------------------------------- */

/* What X-Registry-Auth says of who we are to the registry of a reference. */
struct registry_auth {
	struct transport_options o;
	char *creds, *bearer;
	int fd; /* of a file with an identity token, -1: none */
	char *file;
};
/* 0, or a code with the answer given. domain: of the reference, NULL: what the header says. */
int registry_auth_init(struct call *c, const char *domain, struct registry_auth *ret);
void registry_auth_clear(struct registry_auth *a);

/* --- streams of JSON documents (images-stream.c) ----------------------------------------------------------------------- */

/* An answer that begins with its first document: what fails before that has a status of its own. */
struct stream {
	struct call *c;
	struct link *l;
	bool begun, gone;
};
/* Takes j. */
void stream_put(struct stream *s, json_t *j);
/* As docker ends a stream that failed; or, when nothing was said yet, the answer with its status. */
void stream_failed(struct stream *s, int status, const char *text);
/* {"status": STATUS, "progressDetail": {...}, "progress": "[==> ] 1B/2B", "id": ID}; total 0: without bytes. */
void stream_progress(
	struct stream *s, const char *status, const char *id, int64_t done, int64_t total);

#endif
