/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ARCHIVE_PRIV_H
#define LODGE_ARCHIVE_PRIV_H

/* Inside the reading of archives: where the files come from, and what the JSON in them says. */

#include "image/archive.h"
#include "store/layer.h"

/* --- what the files say. Pure --------------------------------------------------------------------- */

/* An image of docker's manifest.json. */
struct docker_image {
	char *config;  /* path in the archive */
	char **layers; /* paths, lowest first */
	char **names;  /* as they stand there */
};
void docker_image_free(struct docker_image *d);
/* manifest.json: struct docker_image each. -E_CORRUPT, -E_LIMIT. */
int docker_manifest_parse(const char *text, size_t size, GPtrArray **ret, struct err *e);

/* "repositories" of docker's first format: *ret_names "NAME:TAG" and *ret_ids the top layer of each. */
int docker_repositories_parse(
	const char *text, size_t size, char ***ret_names, char ***ret_ids, struct err *e);
/* ID/json of it: the parent's id (NULL: none), and the document. */
int docker_v1_parse(const char *text, size_t size, char **ret_parent, json_t **ret, struct err *e);
/* A configuration for the layers of a chain of such documents, lowest first. Caller frees. */
char *docker_v1_config(json_t *const *docs, unsigned n, const char *const *diff_ids);

struct oci_descriptor {
	char *type;   /* media type, "" when not given */
	char *digest; /* "sha256:..." */
	int64_t size;
	char *os, *arch, *variant; /* of its platform; NULL: not given */
	char *name;		   /* annotation: what the image is called; NULL: not given */
};
void oci_descriptor_free(struct oci_descriptor *d);

enum oci_kind {
	OCI_INDEX,
	OCI_MANIFEST
};
struct oci_document {
	enum oci_kind kind;
	GPtrArray *manifests;	       /* of an index: struct oci_descriptor */
	struct oci_descriptor *config; /* of a manifest */
	GPtrArray *layers;
};
void oci_document_free(struct oci_document *d);
void oci_document_freep(struct oci_document **d);
/* An index or a manifest, of OCI or docker (schema 2). -E_CORRUPT, -E_LIMIT, -E_UNSUPPORTED. */
int oci_document_parse(const char *text, size_t size, struct oci_document **ret, struct err *e);
/* -E_UNSUPPORTED for what isn't the type of a root file system's layer. */
int oci_check_layer_type(const char *type, struct err *e);

/* A path as archives have it, cleaned: without "./", "/" at the end, "//". NULL for what is absolute, empty
 * or has "..". Caller frees. */
char *archive_path(const char *path);

/* --- where files come from ------------------------------------------------------------------------ */

struct source;
struct source_ops {
	/* A small file, with a NUL behind it. -E_NOTFOUND without a text. */
	int (*text)(
		struct source *s, const char *path, char **ret, size_t *ret_size, struct err *e);
	/* Makes sure that the layer in a file is in the store, and is what is wanted (NULL: not known). */
	int (*layer)(struct source *s, const char *path, const char *want_diff_id,
		const char *want_blob, struct layer_result *ret, struct err *e);
	void (*free)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct ctx *c;
	const char *shown; /* the archive's name, for messages; borrowed */
	const struct image_progress *progress;
};

/* Bytes that come from a descriptor, some of which were read already. */
struct source_input {
	int fd;
	const void *head;
	size_t head_size;
};
/* Calls sink with all of it. */
int source_pump(const struct source_input *in, const char *shown,
	int (*sink)(void *arg, const void *data, size_t size, struct err *e), void *arg,
	struct err *e);

/* Reads the whole archive: its layers are in the store when this returns. */
int source_tar_open(struct ctx *c, const struct source_input *in, const char *shown,
	const struct image_progress *progress, struct source **ret, struct err *e);
/* dir_fd is borrowed until the source is freed. */
int source_dir_open(struct ctx *c, int dir_fd, const char *shown,
	const struct image_progress *progress, struct source **ret, struct err *e);

/* Reads the images of a source and records them; adds struct image_imported to ret. */
int archive_load(
	struct source *s, const struct image_import_options *o, GPtrArray *ret, struct err *e);

/* A root file system: a tar, or a folder (when dir is not NULL). */
int rootfs_import(struct ctx *c, const struct source_input *in, const char *dir, const char *shown,
	const struct image_import_options *o, GPtrArray *ret, struct err *e);

/* Full names of what the user wrote (NULL: none); adds to ret, without a NULL at the end. -E_INVALID. */
int image_full_names(const char *const *names, GPtrArray *ret, struct err *e);

void image_tell(const struct image_progress *p, const char *fmt, ...) _printf_(2, 3);

#endif
