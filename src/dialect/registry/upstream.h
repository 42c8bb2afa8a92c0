/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_UPSTREAM_H
#define LODGE_REGISTRY_UPSTREAM_H

/*
 * The registry that a cache gets its content from, over the client of image/registry-priv.h. Names and passwords
 * are those that `lodge login` keeps for it. Nothing that comes is checked here. Codes: -E_NOTFOUND: it says that there
 * is none; others: it can't be asked, or says no.
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"

struct ctx;
struct upstream;

/* url: "https://HOST[:PORT]", or with http, or no scheme (https). -E_INVALID. */
int upstream_new(struct ctx *c, const char *url, struct upstream **ret, struct err *e);
void upstream_free(struct upstream *u);

int upstream_digest(
	const struct upstream *u, const char *name, const char *ref, char **ret, struct err *e);
int upstream_manifest(const struct upstream *u, const char *name, const char *ref, char **ret,
	size_t *ret_size, char **ret_type, struct err *e);
int upstream_tags(const struct upstream *u, const char *name, GPtrArray **ret, struct err *e);
/* A document at a path of its API, up to max bytes. */
int upstream_get(const struct upstream *u, const char *name, const char *path, size_t max,
	GString **ret, struct err *e);
/* 1, 0 */
int upstream_has_blob(
	const struct upstream *u, const char *name, const char *digest, struct err *e);

struct upstream_sink {
	/* The next bytes are those from this offset on: the one that was asked for, or 0. */
	int (*begin)(void *arg, int64_t offset, struct err *e);
	int (*write)(void *arg, const void *data, size_t size, struct err *e);
	void *arg;
};
int upstream_blob(const struct upstream *u, const char *name, const char *digest, int64_t offset,
	const struct upstream_sink *sink, struct err *e);

#endif
