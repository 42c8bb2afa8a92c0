/* SPDX-License-Identifier: MIT */
/* Kernels, modules and compressed files: nothing outside of what was given is read. */
#include <glib.h>
#include <string.h>

#include "codec/kernelfile.h"
#include "codec/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENOUGH ((size_t)4 << 20)

static void check_inside(const uint8_t *data, size_t size, const void *p, size_t n)
{
	g_assert_true((const uint8_t *)p >= data && (const uint8_t *)p <= data + size &&
		      n <= (size_t)(data + size - (const uint8_t *)p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree uint8_t *out = NULL;
	struct bzimage b;
	const char *text;
	size_t n;
	struct err e;

	if (bzimage_parse(data, size, &b) == 0) {
		check_inside(data, size, b.payload, b.payload_size);
		g_assert_nonnull(memchr(b.release, '\0', sizeof(b.release)));
		g_assert_null(strchr(b.release, '/'));
	}
	(void)vmlinux_has_pvh(data, size);
	for (unsigned i = 0; i < 3 && kmod_info(data, size, "depends", i, &text, &n); i++)
		check_inside(data, size, text, n);
	g_assert_cmpuint(kmod_unsigned_size(data, size), <=, size);
	if (unpack(data, size, ENOUGH, &out, &n, &e) == 0)
		g_assert_cmpuint(n, <=, ENOUGH);
	return 0;
}
