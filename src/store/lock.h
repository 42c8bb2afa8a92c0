/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LOCK_H
#define LODGE_LOCK_H

/*
 * Locks of store.h, and the forms that few need.
 *
 * ("content", "collect") is held shared by whoever adds layers and blobs that no image names yet, and
 * exclusively, if it is free, by whoever removes those that none names.
 */

#include "base/ctx.h"
#include "base/err.h"

enum {
	LOCK_SHARED = 1 << 0, /* among others who share it */
	LOCK_TRY = 1 << 1,    /* -EAGAIN instead of waiting */
};
int store_lock_flags(
	struct ctx *c, const char *kind, const char *name, unsigned flags, struct err *e);

/* Removes the file of a lock that the caller holds, of a thing that is no more. Those who wait for it
 * find out and make a new one. */
void store_lock_forget(struct ctx *c, const char *kind, const char *name);

#endif
