/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LAYER_PRIV_H
#define LODGE_LAYER_PRIV_H

/*
 * What the files of layer.h share: the record of a tar beside its EROFS image.
 *
 * HEX.tar is the 8 bytes "LODGETR1", the size of the tar (64 bits, little-endian), and one zstd frame of
 * operations that make the tar again, each a letter and numbers (7 bits a byte, low ones first, the high bit
 * says that another follows):
 *
 *   R n, and n bytes  these bytes
 *   Z n               n zeros
 *   D delta n         n bytes of the EROFS file, from where the last D ended plus delta (zigzag)
 *   E                 the end
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"
#include "store/layer.h"

struct tar_log;

/* fd: an empty file, borrowed. */
int tar_log_new(int fd, struct tar_log **ret, struct err *e);
void tar_log_free(struct tar_log *l);
int tar_log_raw(struct tar_log *l, const void *data, size_t size, struct err *e);
int tar_log_data(struct tar_log *l, int64_t at, int64_t size, struct err *e);
/* Writes all out; doesn't sync. */
int tar_log_finish(struct tar_log *l, struct err *e);

/* What a record says, in order. */
struct tar_log_sink {
	int (*raw)(void *arg, const void *data, size_t size, struct err *e);
	int (*zeros)(void *arg, int64_t size, struct err *e);
	int (*data)(void *arg, int64_t at, int64_t size, struct err *e);
};
/* Reads a record in memory; checked: sizes are positive and add up to *ret_size. -E_CORRUPT. */
int tar_log_read(const void *p, size_t size, const struct tar_log_sink *sink, void *arg,
	int64_t *ret_size, struct err *e);

/* A tar (uncompressed) becoming an image and its record, in two empty files, both borrowed. */
struct layer_build;
int layer_build_new(int image_fd, int log_fd, struct layer_build **ret, struct err *e);
void layer_build_free(struct layer_build *l);
int layer_build_write(struct layer_build *l, const void *data, size_t size, struct err *e);
/* The tar is complete; what is left to write waits for its digest. */
int layer_build_end(struct layer_build *l, struct err *e);
int layer_build_finish(struct layer_build *l, const uint8_t uuid[16], struct err *e);

/* A file in memory, read only; unmapped by layer_unmap. */
struct layer_map {
	const void *p;
	size_t size;
};
int layer_map(const char *path, struct layer_map *ret, struct err *e);
void layer_unmap(struct layer_map *m);

/* Path of HEX.erofs, HEX.tar or the folder HEX (suffix ""); NULL when digest isn't one. Caller frees. */
char *layer_path(struct ctx *c, const char *digest, const char *suffix);
/* A name in ROOT/layers that isn't there yet, made by `make` (0, or -EEXIST: try another). */
int layer_temp(struct ctx *c, int (*make)(void *arg, const char *base), void *arg, struct err *e);
/* Bytes on disk of the files of a layer, the folder's too. */
int64_t layer_disk_size(struct ctx *c, const char *digest);

/* Makes the folder `to` (which isn't there) from an image. Where the caller isn't root, what only root may set
 * is left out, and opaque folders are marked as overlay's userxattr has it. */
int layer_unpack(struct ctx *c, const char *image, const char *to, struct err *e);

#endif
