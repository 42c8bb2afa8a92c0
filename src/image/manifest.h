/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MANIFEST_H
#define LODGE_MANIFEST_H

/*
 * Manifests and indexes, to be read, chosen from and written anew (OCI image-spec, manifest.md and image-index.md;
 * docker's schema 2, registry-v2/manifest-v2-2.md). Pure. Whatever a document has beside what we know stays in it.
 */

#include <glib.h>
#include <jansson.h>
#include "base/err.h"

#define TYPE_OCI_INDEX	      "application/vnd.oci.image.index.v1+json"
#define TYPE_OCI_MANIFEST     "application/vnd.oci.image.manifest.v1+json"
#define TYPE_OCI_CONFIG	      "application/vnd.oci.image.config.v1+json"
#define TYPE_OCI_LAYER	      "application/vnd.oci.image.layer.v1.tar"
#define TYPE_DOCKER_LIST      "application/vnd.docker.distribution.manifest.list.v2+json"
#define TYPE_DOCKER_MANIFEST  "application/vnd.docker.distribution.manifest.v2+json"
#define TYPE_DOCKER_CONFIG    "application/vnd.docker.container.image.v1+json"
#define TYPE_DOCKER_LAYER     "application/vnd.docker.image.rootfs.diff.tar"
#define TYPE_DOCKER_FOREIGN   "application/vnd.docker.image.rootfs.foreign.diff.tar"
#define TYPE_DOCKER_V1	      "application/vnd.docker.distribution.manifest.v1+json"
#define TYPE_DOCKER_V1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

enum layer_packing {
	PACKING_PLAIN,
	PACKING_GZIP,
	PACKING_ZSTD,
	PACKING_OTHER, /* a type that isn't a layer's */
};

struct descriptor {
	char *type; /* media type, "" when not given */
	char *digest;
	int64_t size;
	char *os, *arch, *variant; /* of its platform; NULL: not given */
	char *name;		   /* org.opencontainers.image.ref.name; NULL: none */
	bool foreign;		   /* it may not be passed on, or has URLs to get it from */
	json_t *json;		   /* the object in the document; borrowed */
};

struct manifest {
	char *type;
	bool index, oci;
	struct descriptor *config; /* of an image; NULL for an index */
	GPtrArray *parts;	   /* struct descriptor: layers, or an index' manifests */
	json_t *doc;
};
void manifest_free(struct manifest *m);
void manifest_freep(struct manifest **m);

/* type: the media type as it was told, which a "mediaType" inside may only agree with; NULL or one that is none
 * of these: told by the content. -E_CORRUPT; -E_UNSUPPORTED for schema 1; -E_LIMIT. */
int manifest_parse(
	const char *text, size_t size, const char *type, struct manifest **ret, struct err *e);

/* What the content says that it is; never NULL. */
const char *manifest_type_of(const char *text, size_t size);
bool manifest_type_is_index(const char *type);

/* The member of an index for a machine; NULL os and arch: this host's, NULL variant: the usual one. -E_NOTFOUND. */
int manifest_choose(const struct manifest *index, const char *os, const char *arch,
	const char *variant, const struct descriptor **ret, struct err *e);

/* Whether the configuration is an image's, not another artifact's. */
bool manifest_is_image(const struct manifest *m);

enum layer_packing manifest_packing(const char *layer_type);
/* The type of a layer in a manifest of OCI or docker. Never NULL. */
const char *manifest_layer_type(bool oci, enum layer_packing packing);

/* What is to be said of a part now; digest NULL: as before. */
struct part_change {
	const char *digest;
	int64_t size;
	const char *type; /* NULL: as before */
};
/* The document with changed parts (one for each), as one of another kind if oci is another. Caller frees. An
 * artifact can't be made docker's: -E_UNSUPPORTED; nor can zstd layers. */
int manifest_rewrite(const struct manifest *m, bool oci, const struct part_change *changes,
	char **ret, struct err *e);

/* A manifest of nothing but a configuration and layers, as others write it. Caller frees. */
struct part {
	const char *type, *digest;
	int64_t size;
};
char *manifest_new(
	bool oci, const struct part *config, const struct part *layers, unsigned n_layers);

#endif
