/* SPDX-License-Identifier: MIT */
#include "codec/cpio.h"

#include <stdint.h>

#include <string.h>
#include <sys/stat.h>

static void pad(GByteArray *out)
{
	static const uint8_t zero[3];

	if (out->len % 4)
		g_byte_array_append(out, zero, 4 - out->len % 4);
}

/* The inode number tells the names of one file from others: each has its own here, where it stands. */
void cpio_put(GByteArray *out, const char *path, mode_t mode, const void *data, size_t size)
{
	char header[111];

	(void)g_snprintf(header, sizeof(header),
		"070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", out->len / 4 + 1,
		(unsigned)mode, 0u, 0u, S_ISDIR(mode) ? 2u : 1u, 0u, (unsigned)size, 0u, 0u, 0u, 0u,
		(unsigned)strlen(path) + 1, 0u);
	g_byte_array_append(out, (const uint8_t *)header, 110);
	g_byte_array_append(out, (const uint8_t *)path, (guint)strlen(path) + 1);
	pad(out);
	if (size)
		g_byte_array_append(out, data, (guint)size);
	pad(out);
}

void cpio_put_end(GByteArray *out)
{
	cpio_put(out, "TRAILER!!!", 0, NULL, 0);
}
