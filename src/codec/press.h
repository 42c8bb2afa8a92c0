/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PRESS_H
#define LODGE_PRESS_H

/*
 * Compression of a piece at a time, each becoming a whole gzip member or zstd frame, so that pieces can be made apart
 * and put behind each other. The same bytes for the same input.
 */

#include <stddef.h>
#include "base/err.h"
#include "codec/inflate.h"

#define PRESS_LEVEL_DEFAULT -1 /* gzip by ISA-L; zstd's own */

/* level: gzip 1 to 9 (by zlib), zstd 1 to 22. -E_INVALID for others. Pure. */
int press_check(enum inflate_kind kind, int level, struct err *e);
/* Room that a piece of n bytes needs at most. */
size_t press_bound(size_t n);
/* out has press_bound(n) bytes. */
int press_piece(enum inflate_kind kind, int level, const void *in, size_t n, void *out,
	size_t out_size, size_t *ret, struct err *e) _must_check_;

#endif
