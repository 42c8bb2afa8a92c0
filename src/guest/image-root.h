/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_ROOT_H
#define LODGE_IMAGE_ROOT_H

/* Images as trees of files: mounted for people to look at, and trees held against each other. */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

/* Mounts what a guest of the image would see, read-only, at RUN/images/HEX, where it stays until image_unmount() or the
 * next boot; an image that is mounted already stays so. Meanwhile it isn't removed. *ret_path: caller frees. */
int image_mount(struct ctx *c, const char *ref, char **ret_path, struct err *e);
/* -E_STATE when it isn't mounted. */
int image_unmount(struct ctx *c, const char *ref, struct err *e);
/* Ids of images that are mounted. */
int image_mounted(struct ctx *c, GPtrArray **ret, struct err *e);

/* --- comparing ---------------------------------------------------------------------------------------------- */

/* tree_diff() of two images, without times. Each change is told: 'A', 'C' or 'D', "/etc". */
int image_diff(struct ctx *c, const char *ref_a, const char *ref_b,
	void (*tell)(void *data, char kind, const char *path), void *data, struct err *e);

#endif
