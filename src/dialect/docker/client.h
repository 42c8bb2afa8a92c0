/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CLIENT_H
#define LODGE_DOCKER_CLIENT_H

/*
 * A client of the Engine API. Every command of the docker dialect is one: of the server that a host names
 * (a real dockerd, or ours), or of one that the client forks for itself and talks to over socket pairs.
 *
 * Only one answer or stream at a time comes over a connection; each call has its own where needed, and an idle
 * one is used again.
 */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include "base/ctx.h"
#include "base/err.h"

struct client;

struct client_config {
	struct ctx *c;	  /* for a server of our own */
	const char *host; /* "unix://PATH", "tcp://HOST:PORT"; NULL: a server of our own */
	bool tls, tls_verify;
	const char *tls_ca, *tls_cert, *tls_key; /* files */
	const char *api; /* "1.41": no other is asked for; NULL: agreed on with the server */
	char **headers;	 /* "Name: value", of every request; or NULL */
};

/* Nothing is connected to before the first call. cfg is copied. Never NULL. */
struct client *client_new(const struct client_config *cfg);
/* Waits for a server of its own to end. */
void client_free(struct client *cl);
void client_freep(struct client **cl);

/* --- calls ------------------------------------------------------------------------------------------------ */

/*
 * Asks, and reads the whole answer. path has no version ("/containers/json?all=1"). body: NULL, or what is sent
 * as JSON (borrowed). *ret: the answer's JSON, NULL when it has none; ret may be NULL. Returns the status (2xx or 304);
 * or a code, with the server's message in e as docker prints it ("Error response from daemon: ..."):
 * 404 is -E_NOTFOUND, 409 -E_EXISTS, 400 -E_INVALID, others -EIO; and -ECONNREFUSED when there is no server.
 */
int client_call(struct client *cl, const char *method, const char *path, const json_t *body,
	json_t **ret, struct err *e);
/* The same with the answer as it came: *ret g_free, with a NUL behind it. */
int client_text(struct client *cl, const char *method, const char *path, const json_t *body,
	char **ret, struct err *e);
/* The status that the last answer had; 0: none came. */
int client_status(const struct client *cl);
/* Path and query, escaped: the format knows %s (a segment or a value, escaped), %d and %lld. Caller frees. */
char *client_path(const char *fmt, ...);
/* The version that is spoken ("1.47"), agreed on when it wasn't yet; NULL with e. Belongs to cl. */
const char *client_api(struct client *cl, struct err *e);

/* --- streams ------------------------------------------------------------------------------------------------ */

struct stream;

struct stream_request {
	const char *method, *path;
	const json_t *body; /* JSON; or */
	int body_fd;	    /* with body_type: all that can be read from it, chunked; -1: none */
	const char *body_type;
	const char *registry_auth; /* X-Registry-Auth, or NULL */
	bool hijack;		   /* the connection is ours after the head */
};

/* Sends, and reads the head of the answer: errors are those of client_call(). */
int client_stream(
	struct client *cl, const struct stream_request *q, struct stream **ret, struct err *e);
/* 0 at the end; -ECONNRESET: the answer was cut; -EBADMSG. */
ssize_t stream_read(struct stream *s, void *p, size_t n);
int stream_write(struct stream *s, const void *p, size_t n);
/* What goes at once: bytes, or -EAGAIN. Over TLS it may wait. */
ssize_t stream_write_some(struct stream *s, const void *p, size_t n);
/* Nothing more is written to a hijacked one. */
void stream_shut(struct stream *s);
/* For poll(2); with pending, there are bytes that it doesn't tell of. */
int stream_fd(const struct stream *s);
bool stream_pending(const struct stream *s);
/* A header of the answer, or NULL. */
char *stream_header(const struct stream *s, const char *name);
/* The next JSON document of a stream of them (events, progress). 1; 0 at the end; a code. */
int stream_json(struct stream *s, json_t **ret, struct err *e);
void stream_free(struct stream *s);
/* The answer's JSON, read to its end; NULL when there is none. */
int stream_answer(struct stream *s, json_t **ret, struct err *e);
void stream_freep(struct stream **s);

#endif
