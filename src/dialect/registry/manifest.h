/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_MANIFEST_H
#define LODGE_REGISTRY_MANIFEST_H

/*
 * What a registry has to know of a manifest: image manifests and indexes of OCI, schema 2 and lists of
 * Docker (image-spec manifest.md, image-index.md; registry-v2 manifest-v2-2.md). Pure.
 */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"

#define REGISTRY_MANIFEST_MAX \
	(4 * 1024 * 1024) /* bytes; what the specification asks for at least */
#define REGISTRY_REFS_MAX 10000

struct manifest_ref {
	const char *digest; /* in the json */
	int64_t size;
	bool manifest; /* else a blob */
	bool foreign;  /* it has urls of its own, and needn't be here */
};

struct manifest {
	json_t *json;
	const char *media_type;	   /* in the json, or as given to manifest_read */
	const char *artifact_type; /* NULL: an index without one */
	const char *subject;	   /* a digest, or NULL */
	json_t *annotations;	   /* borrowed, or NULL */
	GArray *refs;		   /* struct manifest_ref */
};

/* type: the Content-Type that it came with, without parameters, or NULL. -E_INVALID when it is no manifest
 * of a type that we know; e says why. */
int manifest_read(
	const char *text, size_t n, const char *type, struct manifest *ret, struct err *e);
void manifest_done(struct manifest *m);

#endif
