/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TREE_DIFF_H
#define LODGE_TREE_DIFF_H

/* Trees of files held against each other. */

#include <glib.h>
#include <sys/stat.h>
#include "base/err.h"

enum tree_kind {
	TREE_ADDED = 'A',
	TREE_CHANGED = 'C',
	TREE_DELETED = 'D', /* of a folder: with all in it */
	TREE_INSIDE = 'c',  /* a folder that itself is the same, with changes in it */
};
struct tree_change {
	enum tree_kind kind;
	char *path;	/* "/etc/passwd" */
	struct stat st; /* in the second tree; of a deleted one in the first */
};
void tree_change_free(struct tree_change *x);

enum {
	TREE_TIMES = 1 << 0, /* another time of change is a change, too */
};
/* What makes the tree b of the tree a (folders' descriptors): type, mode, owners, content, targets, extended attributes.
 * *ret: struct tree_change each, a folder before what is in it, names in order. */
int tree_diff(int a, int b, unsigned flags, GPtrArray **ret, struct err *e);

#endif
