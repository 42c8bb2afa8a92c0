/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_ROOT_H
#define LODGE_IMAGE_ROOT_H

/* Images as trees of files: mounted for people to look at, and trees held against each other. */

#include <glib.h>
#include <sys/stat.h>
#include "base/ctx.h"
#include "base/err.h"

/* Mounts what a guest of the image would see, read-only, at RUN/images/HEX, where it stays until image_unmount() or the
 * next boot; an image that is mounted already stays so. Meanwhile it isn't removed. *ret_path: caller frees. */
int image_mount(struct ctx *c, const char *ref, char **ret_path, struct err *e);
/* -E_STATE when it isn't mounted. */
int image_unmount(struct ctx *c, const char *ref, struct err *e);
/* Ids of images that are mounted. */
int image_mounted(struct ctx *c, GPtrArray **ret, struct err *e);

/* --- what differs ----------------------------------------------------------------------------------------- */

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

/* The same of two images. Each line, "C /etc", is told. */
int image_diff(struct ctx *c, const char *ref_a, const char *ref_b,
	void (*tell)(void *data, char kind, const char *path), void *data, struct err *e);

#endif
