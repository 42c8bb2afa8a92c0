/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LAYER_H
#define LODGE_LAYER_H

/*
 * Layers: one read-only EROFS file each, written in one pass while the tar streams in.
 *
 * A layer is named by the sha256 of its uncompressed tar (OCI image-spec, config.md, "Layer DiffID").
 * Whiteouts become what overlayfs reads: ".wh.NAME" a character device 0:0, ".wh..wh..opq" the xattr
 * trusted.overlay.opaque=y on its folder. Beside the EROFS file stands what the tar has and the file
 * system hasn't (header blocks, padding, order), so that layer_export() gives back the exact bytes.
 */

#include <sys/types.h>
#include "base/ctx.h"
#include "base/err.h"
#include "store/store.h"

struct layer_in;

struct layer_result {
	char digest[72];     /* "sha256:..." of the uncompressed tar: the diff id */
	char blob_digest[72]; /* "sha256:..." of the bytes as they came (compressed) */
	int64_t size;	     /* bytes on disk, all files of the layer */
	int64_t tar_size, blob_size;
};

/* Begins a layer. Bytes as they come (plain tar, gzip or zstd: told by their first bytes) are pushed
 * with layer_in_write; layer_in_finish checks the end, the expected digest when there is one (of the
 * uncompressed tar, or of the bytes as they came; NULL: not checked), and moves the files to their
 * places with a record; a layer that is there already is kept and the new one dropped (not an error).
 * layer_in_free without a finish removes all traces. Hostile input: -E_CORRUPT or -E_LIMIT and a text
 * that names the entry. */
int layer_in_new(struct ctx *c, struct layer_in **ret, struct err *e);
int layer_in_write(struct layer_in *l, const void *data, size_t size, struct err *e);
int layer_in_finish(struct layer_in *l, const char *want_diff_id, const char *want_blob,
	struct layer_result *ret, struct err *e);
void layer_in_free(struct layer_in *l);
void layer_in_freep(struct layer_in **l);

/* All of fd (a file, pipe or socket), from where it stands to its end. */
int layer_import_fd(struct ctx *c, int fd, const char *want_diff_id, struct layer_result *ret,
	struct err *e);
/* A folder as a layer: as `tar --numeric-owner --xattrs` would give, sorted by name, on one file system. */
int layer_import_dir(struct ctx *c, const char *path, struct layer_result *ret, struct err *e);

/* Writes the exact original tar. */
int layer_export(struct ctx *c, const char *digest, int out_fd, struct err *e);

/* The layer's EROFS file. Caller frees. */
char *layer_file(struct ctx *c, const char *digest);
/* Where a plan mounts it (RUN/layers/HEX), or the unpacked folder where EROFS can't be mounted, which is
 * made now if it isn't there. Caller frees *ret. */
int layer_lower(struct ctx *c, const char *digest, char **ret, struct err *e);
/* Whether this host can mount EROFS at all: 1, 0. */
int layer_can_mount(struct ctx *c);

/* Removes layers that no image names: unmounts, unlinks, forgets. Returns how many; *ret_bytes: freed. */
int layer_collect(struct ctx *c, int64_t *ret_bytes, struct err *e);

#endif
