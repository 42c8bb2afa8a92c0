/* SPDX-License-Identifier: MIT */
#ifndef LODGE_UNPACK_H
#define LODGE_UNPACK_H

/*
 * Compressed files as a whole, in memory: those of kernels (bzImage's payload, modules). gzip and zstd by
 * inflate.h, xz and lzma by liblzma, which is loaded when it is needed, and lz4's legacy frames as the kernel's
 * build writes them (lz4 -l): a magic number, then blocks of at most 8 MiB with their sizes before them.
 */

#include <stddef.h>
#include "base/err.h"

enum unpack_kind {
	UNPACK_PLAIN, /* none of these */
	UNPACK_GZIP,
	UNPACK_ZSTD,
	UNPACK_XZ,
	UNPACK_LZMA,
	UNPACK_LZ4,
};

/* By the first bytes. */
enum unpack_kind unpack_kind_of(const void *data, size_t size);

/*
 * *ret: what was compressed (UNPACK_PLAIN: a copy), at most max bytes; g_free. -E_CORRUPT, -E_LIMIT,
 * -E_UNSUPPORTED.
 */
int unpack(
	const void *data, size_t size, size_t max, uint8_t **ret, size_t *ret_size, struct err *e);

#endif
