/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TARTREE_H
#define LODGE_TARTREE_H

/* Trees of files as tar archives and back: cp's "-" and export. */

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

enum { TAR_TREE_ONE_FS = 1 }; /* mounts below are empty folders */

/* Writes NAME of dir_fd (and what is below it) to out_fd, named `as` in the archive; sockets are left
 * out. A name "." with as "." gives "./", "./a", ... */
int tar_tree_write(int dir_fd, const char *name, const char *as, unsigned flags, int out_fd,
	struct err *e);

struct tar_tree_owner {
	bool keep; /* the archive's numbers, else: */
	uid_t uid;
	gid_t gid;
};
/* Extracts in_fd (plain tar, gzip or zstd) below dir_fd. No entry gets out of it: each path is resolved
 * inside the folder as if it were the root. */
int tar_tree_read(int in_fd, int dir_fd, const struct tar_tree_owner *owner, struct err *e);

#endif
