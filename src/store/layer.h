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

/* Bytes of a tar that becomes a layer; compressed ones have the limits of codec/inflate.h too. */
#define LAYER_TAR_MAX ((int64_t)1 << 38)

struct layer_in;

struct layer_result {
	char digest[72];      /* "sha256:..." of the uncompressed tar: the diff id */
	char blob_digest[72]; /* "sha256:..." of the bytes as they came (compressed) */
	int64_t size;	      /* bytes on disk, all files of the layer */
	int64_t tar_size, blob_size;
};

/* Begins a layer. Bytes as they come (plain tar, gzip or zstd: told by their first bytes) are pushed
 * with layer_in_write; layer_in_finish checks the end, the expected digest when there is one (of the
 * uncompressed tar, or of the bytes as they came; NULL: not checked), and moves the files to their
 * places with a record; a layer that is there already is kept and the new one dropped (not an error).
 * layer_in_free without a finish removes all traces. Hostile input: -E_CORRUPT or -E_LIMIT and a text
 * that names the entry.
 *
 * While it is written a layer is ROOT/layers/OWNER.N.erofs and OWNER.N.tar (OWNER: journal_owner()). The
 * collector is kept away until layer_in_free; whoever records an image after that holds it off with
 * blob_hold() from before the first layer on. */
int layer_in_new(struct ctx *c, struct layer_in **ret, struct err *e);
int layer_in_write(struct layer_in *l, const void *data, size_t size, struct err *e);
int layer_in_finish(struct layer_in *l, const char *want_diff_id, const char *want_blob,
	struct layer_result *ret, struct err *e);
void layer_in_free(struct layer_in *l);
void layer_in_freep(struct layer_in **l);

/* All of fd (a file, pipe or socket), from where it stands to its end. */
int layer_import_fd(
	struct ctx *c, int fd, const char *want_diff_id, struct layer_result *ret, struct err *e);
/* A folder as a layer: as `tar --numeric-owner --xattrs` would give, sorted by name, on one file system.
 * Sparse files stay sparse, sockets are left out, and the whiteouts of an overlay's upper folder become those of
 * a layer. */
int layer_import_dir(struct ctx *c, const char *path, struct layer_result *ret, struct err *e);

/* Writes the exact original tar; out_fd is written from where it stands. What comes out is hashed:
 * -E_CORRUPT at the end when it isn't the layer of that name any more. out_fd -1: only checks. */
int layer_export(struct ctx *c, const char *digest, int out_fd, struct err *e);
/* The same to a function, whose code other than 0 ends it. */
int layer_export_to(struct ctx *c, const char *digest,
	int (*sink)(void *arg, const void *data, size_t size, struct err *e), void *arg,
	struct err *e);

/* The layer's EROFS file. Caller frees. */
char *layer_file(struct ctx *c, const char *digest);
/* Where a plan mounts it (RUN/layers/HEX), or the unpacked folder where EROFS can't be mounted, which is
 * made now if it isn't there. Caller frees *ret. */
int layer_lower(struct ctx *c, const char *digest, char **ret, struct err *e);
/* Whether this host can mount EROFS at all: 1, 0. */
int layer_can_mount(struct ctx *c);

/* Removes layers that no image names (unmounts, unlinks, forgets) and what dead commands left half-written.
 * The caller holds the lock ("content", "collect") exclusively, see lock.h and content_collect(). Returns how
 * many; *ret_bytes: freed on disk. */
int layer_collect(struct ctx *c, int64_t *ret_bytes, struct err *e);

enum {
	LAYER_FSCK_REPAIR = 1 << 0,
	LAYER_FSCK_VERIFY = 1 << 1, /* read and hash everything */
	LAYER_FSCK_COLLECT =
		1 << 2, /* the caller holds the lock, as for layer_collect: may remove */
};

/* Checks the layers that have records: files that are missing, images that are cut short or damaged. (Files
 * without records and half-written ones are found by store_fsck, which calls this.) Adds a line for each
 * problem; one that was mended ends with what was done, in brackets. A layer that an image names is never
 * removed. Returns how many are left. */
int layer_fsck(struct ctx *c, unsigned flags, GPtrArray *problems, struct err *e);

#endif
