/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TAR_FUZZ_H
#define LODGE_TAR_FUZZ_H

/* For fuzz targets: a fuzzer doesn't find checksums, so each block that says it is a header gets its own. */

#include <glib.h>
#include <string.h>
#include "codec/tar.h"

static inline void tar_fix_sums(uint8_t *p, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		unsigned sum = 0;

		if (memcmp(p + at + 257, "ustar", 5) != 0)
			continue;
		memset(p + at + 148, ' ', 8);
		for (unsigned i = 0; i < TAR_BLOCK; i++)
			sum += p[at + i];
		(void)g_snprintf((char *)p + at + 148, 8, "%06o", sum & 0777777);
	}
}

#endif
