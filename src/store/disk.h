/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STORE_DISK_H
#define LODGE_STORE_DISK_H

/*
 * Disks of images: one file each, ROOT/disks/HEX.FORMAT, where HEX is the sha256 of the file as it is (not of
 * what a guest sees). It never changes, so that many guests can have overlays over it. Guests' own disks are
 * in their folders.
 *
 * A disk that no image names may be removed by another command, unless one holds ("content", "collect"), as
 * for blobs: blob_hold() before disk_keep(), until the image is recorded.
 */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

/* Where it is. Caller frees. */
char *disk_path(struct ctx *c, const char *digest, const char *format);

/* Takes a finished file of ROOT's file system into the store: synced, made read-only, hashed and renamed (one
 * that is there already is kept, and the file removed). tell: called now and then with the bytes that are
 * hashed, may be NULL. *ret_digest: caller frees; *ret_bytes: on disk. */
int disk_keep(struct ctx *c, const char *file, const char *format,
	void (*tell)(void *data, int64_t bytes), void *data, char **ret_digest, int64_t *ret_bytes,
	struct err *e);

/* A word that can end a file's name: "qcow2". NULL isn't one. Pure. */
bool disk_is_format(const char *s);

/* Reads and hashes all of it. -E_CORRUPT. */
int disk_verify(const char *path, const char *digest, struct err *e);

/* Removes disks that no image names. The caller holds the lock exclusively, see content_collect(). Returns how
 * many; *ret_bytes: on disk. */
int disk_collect(struct ctx *c, int64_t *ret_bytes, struct err *e);

#endif
