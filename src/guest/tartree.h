/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TARTREE_H
#define LODGE_TARTREE_H

/* Trees of files as tar archives and back: cp's "-" and export. */

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

enum {
	TAR_TREE_ONE_FS = 1 << 0, /* mounts below are empty folders */
	TAR_TREE_NO_TOP = 1 << 1, /* without an entry for the folder itself, only what is in it */
};

/* Takes bytes of an archive; its code other than 0 ends the work and is returned. */
typedef int (*tar_tree_put)(void *data, const void *bytes, size_t n, struct err *e);

/* Writes NAME of dir_fd (and what is below it) to out_fd, named `as` in the archive; sockets are left
 * out. A name "." with as "." gives "./", "./a", ... */
int tar_tree_write(int dir_fd, const char *name, const char *as, unsigned flags, int out_fd,
	struct err *e);

/* The same, for who isn't written to through a descriptor. */
int tar_tree_write_to(int dir_fd, const char *name, const char *as, unsigned flags, tar_tree_put put,
	void *data, struct err *e);

/* An archive from in_fd (plain, gzip or zstd), as ustar and pax have it: no other kinds of headers, no sparse files. */
int tar_tree_plain(int in_fd, tar_tree_put put, void *data, struct err *e);

struct tar_tree_owner {
	bool keep; /* the archive's numbers, else: */
	uid_t uid;
	gid_t gid;
};
/* Extracts in_fd (plain tar, gzip or zstd) below dir_fd. No entry gets out of it: each path is resolved
 * inside the folder as if it were the root. */
int tar_tree_read(int in_fd, int dir_fd, const struct tar_tree_owner *owner, struct err *e);

/*
 * A plain archive that comes in pieces from somebody who isn't trusted, as a copy of his files: what is there
 * and isn't of the same kind is an error, as for copy_tree(). With `only`, the archive must be one file (or
 * link, or device), which gets that name whatever the archive calls it; else it must be a folder's, "./" and what is
 * in it.
 */
enum {
	TAR_COPY_TOP = 1 << 0, /* the folder gets the attributes of "./" */
};
struct tar_copy;
/* owner and only must live as long. */
struct tar_copy *tar_copy_new(
	int dir_fd, const struct tar_tree_owner *owner, const char *only, unsigned flags);
int tar_copy_put(struct tar_copy *t, const void *bytes, size_t n, struct err *e);
/* After the last piece. */
int tar_copy_end(struct tar_copy *t, struct err *e);
void tar_copy_free(struct tar_copy *t);
void tar_copy_freep(struct tar_copy **t);

#endif
