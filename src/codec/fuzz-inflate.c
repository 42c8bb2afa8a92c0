/* SPDX-License-Identifier: MIT */
#include "codec/inflate.h"

#include <glib.h>

/* Compressed streams, whole and in pieces: the same result, or an error for both. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENOUGH (4 << 20)

struct out {
	size_t size;
	uint32_t hash;
};

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	struct out *o = arg;
	const uint8_t *p = data;

	o->size += size;
	if (o->size > ENOUGH)
		return err_set(e, -E_LIMIT, "enough");
	while (size--)
		o->hash = (o->hash ^ *p++) * 0x01000193u;
	return 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct out *o)
{
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(take, o);
	struct err e = { 0 };
	int r = 0;

	for (size_t at = 0; at < size && !r; at += piece)
		r = inflate_write(z, data + at, MIN(piece, size - at), &e);
	return r ? r : inflate_finish(z, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct out one = { 0 }, other = { 0 };
	int r = run(data, size, size ? size : 1, &one), s = run(data, size, 1 + size % 61, &other);

	g_assert_cmpint(!r, ==, !s);
	if (!r) {
		g_assert_cmpuint(one.size, ==, other.size);
		g_assert_cmpuint(one.hash, ==, other.hash);
	}
	return 0;
}
