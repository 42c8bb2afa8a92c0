/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_REGISTRY_H
#define LODGE_DIALECT_REGISTRY_H

/*
 * A registry of images: OCI distribution-spec 1.1 and what Docker's clients expect beyond it (registry-v2 api.md).
 * Storage is a folder (depot.h); connections are the server's (server/server.h).
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"

struct cmd;
struct ctx;

struct registry_options {
	const char *root;
	char **listen;
	const char *tls_cert, *tls_key, *tls_client_ca, *htpasswd, *realm, *log;
	int64_t timeout, idle_exit; /* ns */
	int connections, workers, fetchers;
	const char *proxy_of; /* URL of the registry that this one is a cache of; NULL: none */
	struct ctx *c;
	bool read_only, no_delete;
	void (*ready)(const char *address, void *data);
};
/* The commands "registry serve" and "registry gc". */
extern const struct cmd registry_cmd;

/* Serves until it is told to stop. */
int registry_serve(const struct registry_options *o, struct err *e);

struct registry_gc_options {
	const char *root;
	int64_t grace;	    /* ns: blobs and manifests that were pushed or asked for since stay */
	int64_t upload_age; /* ns: unfinished uploads that nobody wrote to for so long go */
	bool untagged;	    /* manifests without a tag, too */
	bool dry_run;	    /* only count */
};
struct registry_gc_result {
	unsigned repositories, manifests, blobs, uploads; /* removed; blobs: of repositories */
	unsigned contents;				  /* and of the registry */
	int64_t bytes;					  /* of these contents */
};
/* Removes what nothing needs, beside a server at work. */
int registry_gc(const struct registry_gc_options *o, struct registry_gc_result *ret, struct err *e);

#endif
