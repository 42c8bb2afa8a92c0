/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_CLIENT_H
#define LODGE_REGISTRY_CLIENT_H

/* Inside the client of a registry (registry-priv.h). */

#include "image/credentials.h"
#include "image/registry-priv.h"

struct registry {
	struct ctx *c;
	struct registry_place place;
	struct transport_options o;
	unsigned flags;
	struct http *http;
	char *host, *base; /* "host:port" of the API, and "https://host:port" */
	bool plain_allowed, plain_first, reached;
	struct credentials who;
	bool asked_who;
	char *authorization;
	char *mount_from; /* a repository that the token must be good for, too */
	/* the upload that is on its way */
	struct http_upload *upload;
	char *location;
	char *kept; /* file that remembers the location */
	int64_t offset;
};

/* The registry said no: code and text from its answer; what: what couldn't be done. */
int registry_refused(
	struct registry *r, const struct http_answer *a, const char *what, struct err *e);
/* where: a path ("/v2/...") or an URL. registry_try: one attempt; registry_request: several. 0 with any status. */
int registry_try(struct registry *r, struct http_request *q, const char *where,
	struct http_answer *ret, struct err *e);
int registry_request(struct registry *r, struct http_request *q, const char *where,
	struct http_answer *ret, struct err *e);
int registry_retries(const struct registry *r);

/* certs.d of a host: authorities as PEM, a client's certificate and key as files; NULL: none. */
int certs_find(const struct transport_options *o, const char *host, char **ret_ca, char **ret_cert,
	char **ret_key, struct err *e);

#endif
