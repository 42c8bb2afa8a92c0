/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PARTIAL_H
#define LODGE_PARTIAL_H

/*
 * What has come of a blob that is being downloaded: ROOT/blobs/sha256/HEX.part, by the digest that it will have. It
 * outlives the command, so that the next one goes on where this one ended; nothing in it is trusted before the whole
 * has been hashed. Whoever writes to it holds it locked. What nobody went on with for PARTIAL_DAYS is collected.
 */

#include "base/ctx.h"
#include "base/err.h"

#define PARTIAL_DAYS 7

/* Opens and locks it, made empty where it isn't there; waits for one that another process is writing. The descriptor
 * stands at the beginning; *ret_size: what is there. */
int partial_open(struct ctx *c, const char *digest, int64_t *ret_size, struct err *e);
/* Removes it. fd: of partial_open, or -1: only if nobody has it. */
void partial_remove(struct ctx *c, const char *digest, int fd);

/* Whether that is the name of one. */
bool partial_is_name(const char *name);
/* Removes those that nobody is writing and nobody wrote to for so many seconds. *ret_bytes (on disk) is added to. How
 * many. */
int partial_collect(struct ctx *c, int64_t seconds, int64_t *ret_bytes, struct err *e);

#endif
