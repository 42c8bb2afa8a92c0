/* SPDX-License-Identifier: MIT */
#ifndef LODGE_BLOB_H
#define LODGE_BLOB_H

/*
 * Content by its sha256: the configurations and manifests of images. Small (BLOB_MAX), so they are
 * read and written whole. Layers aren't here, see layer.h.
 *
 * A blob that no image names may be removed at any time by another command, unless one holds the lock
 * ("content", "collect") shared (lock.h): blob_hold.
 */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

#define BLOB_MAX (16 << 20)

/* "sha256:HEX" of bytes. Caller frees. */
char *blob_digest(const void *data, size_t size);

/* Where it is. Caller frees. */
char *blob_path(struct ctx *c, const char *digest);

/* Writes it, if it isn't there: beside, synced and renamed. want NULL: any digest; else -E_CORRUPT when the
 * bytes have another. *ret_digest may be NULL; caller frees. */
int blob_write(struct ctx *c, const void *data, size_t size, const char *want, char **ret_digest,
	struct err *e);

/* All of it, checked against its name, with a NUL behind it. -E_NOTFOUND, -E_CORRUPT. Caller frees *ret. */
int blob_read(struct ctx *c, const char *digest, char **ret, size_t *ret_size, struct err *e);

/* Bytes, or a code. */
int64_t blob_size(struct ctx *c, const char *digest, struct err *e);

/* Keeps collectors away until the descriptor is closed. */
int blob_hold(struct ctx *c, struct err *e);

/* Removes blobs that no image names, and half-written ones of dead commands. The caller holds the lock
 * exclusively. Returns how many; *ret_bytes: on disk. */
int blob_collect(struct ctx *c, int64_t *ret_bytes, struct err *e);

/* Blobs, layers and disks that no image names: the three collectors under the lock; 0 when another
 * command is adding or collecting content just now: then the next command does it. Returns how many. */
int content_collect(struct ctx *c, int64_t *ret_bytes, struct err *e);

#endif
