/* SPDX-License-Identifier: MIT */
#include "codec/inflate.h"

#include <glib.h>
#include <string.h>
#include <zstd.h>

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	g_byte_array_append(arg, data, (guint)size);
	return 0;
}

/* Bytes that compress, but not too well. */
static GByteArray *sample(guint size)
{
	GByteArray *a = g_byte_array_new();
	uint32_t x = 1;

	while (a->len < size) {
		x = x * 1664525 + 1013904223;
		for (unsigned i = 0; i <= x >> 29; i++)
			g_byte_array_append(a, (const uint8_t *)"abcdefgh" + (x >> 8 & 7), 1);
	}
	g_byte_array_set_size(a, size);
	return a;
}

static GByteArray *gzip(const GByteArray *in)
{
	GByteArray *out = g_byte_array_new();
	struct deflate *z;

	g_assert_cmpint(deflate_new(take, out, &z, NULL), ==, 0);
	g_assert_cmpint(deflate_write(z, in->data, in->len / 3, NULL), ==, 0);
	g_assert_cmpint(
		deflate_write(z, in->data + in->len / 3, in->len - in->len / 3, NULL), ==, 0);
	g_assert_cmpint(deflate_finish(z, NULL), ==, 0);
	deflate_free(z);
	return out;
}

static GByteArray *zstd(const GByteArray *in)
{
	GByteArray *out = g_byte_array_new();
	size_t n;

	g_byte_array_set_size(out, (guint)ZSTD_compressBound(in->len));
	n = ZSTD_compress(out->data, out->len, in->data, in->len, 3);
	g_assert_false(ZSTD_isError(n));
	g_byte_array_set_size(out, (guint)n);
	return out;
}

/* Decompresses in pieces of `piece` bytes; the code of the first failure. */
static int run(const void *data, size_t size, size_t piece, GByteArray *out,
	enum inflate_kind *kind, struct err *e)
{
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(take, out);
	const uint8_t *p = data;
	int r = 0;

	for (size_t at = 0; at < size && !r; at += piece)
		r = inflate_write(z, p + at, MIN(piece, size - at), e);
	if (!r)
		r = inflate_finish(z, e);
	if (kind)
		*kind = inflate_kind(z);
	return r;
}

static void same(const GByteArray *a, const GByteArray *b)
{
	g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

static void test_round_trip(void)
{
	/* the last fills our buffers exactly */
	static const guint sizes[] = { 0, 1, 9, 10, 70000, 1000000, 1 << 20 };
	static const size_t pieces[] = { 1, 3, 4096, 1 << 22 };

	for (unsigned i = 0; i < ELEMENTSOF(sizes); i++)
		for (unsigned k = 0; k < 3; k++) {
			g_autoptr(GByteArray) plain = sample(sizes[i]);
			g_autoptr(GByteArray) packed = k == 0	? g_byte_array_ref(plain)
						       : k == 1 ? gzip(plain)
								: zstd(plain);

			for (unsigned j = 0; j < ELEMENTSOF(pieces); j++) {
				g_autoptr(GByteArray) out = g_byte_array_new();
				enum inflate_kind kind;

				g_assert_cmpint(
					run(packed->data, packed->len, pieces[j], out, &kind, NULL),
					==, 0);
				same(out, plain);
				if (k)
					g_assert_cmpint(
						kind, ==, k == 1 ? INFLATE_GZIP : INFLATE_ZSTD);
				else if (sizes[i])
					g_assert_cmpint(kind, ==, INFLATE_PLAIN);
			}
		}
}

/* Members and frames one after another are one stream, and a tape's zeros behind gzip's are nothing. */
static void test_members(void)
{
	g_autoptr(GByteArray) plain = sample(50000);

	for (unsigned k = 0; k < 2; k++) {
		g_autoptr(GByteArray) one = k ? zstd(plain) : gzip(plain);
		g_autoptr(GByteArray) all = g_byte_array_new(), want = g_byte_array_new();

		for (unsigned i = 0; i < 3; i++) {
			g_byte_array_append(all, one->data, one->len);
			g_byte_array_append(want, plain->data, plain->len);
		}
		if (!k)
			g_byte_array_append(all, (const uint8_t *)"\0\0\0\0\0\0\0", 7);
		for (size_t piece = 1; piece < 100000; piece = piece * 7 + 1) {
			g_autoptr(GByteArray) out = g_byte_array_new();

			g_assert_cmpint(run(all->data, all->len, piece, out, NULL, NULL), ==, 0);
			same(out, want);
		}
	}
}

/* zstd's skippable frames may come first. */
static void test_skippable(void)
{
	g_autoptr(GByteArray) plain = sample(1000), one = zstd(plain);
	g_autoptr(GByteArray) all = g_byte_array_new(), out = g_byte_array_new();

	g_byte_array_append(all, (const uint8_t *)"\x5a\x2a\x4d\x18\x03\0\0\0abc", 11);
	g_byte_array_append(all, one->data, one->len);
	g_assert_cmpint(run(all->data, all->len, 1, out, NULL, NULL), ==, 0);
	same(out, plain);
}

static void test_damage(void)
{
	g_autoptr(GByteArray) plain = sample(50000);

	for (unsigned k = 0; k < 2; k++) {
		g_autoptr(GByteArray) one = k ? zstd(plain) : gzip(plain);
		guint cuts[] = { 5, 11, 20, one->len / 2, one->len - 5, one->len - 1 };

		for (unsigned i = 0; i < ELEMENTSOF(cuts); i++) {
			g_autoptr(GByteArray) out = g_byte_array_new();
			struct err e = { 0 };

			g_assert_cmpint(
				run(one->data, cuts[i], 100, out, NULL, &e), ==, -E_CORRUPT);
			g_assert_nonnull(strstr(e.text, "cut short"));
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		g_autoptr(GByteArray) one = gzip(plain), out = g_byte_array_new();

		if (i == 0) /* the checksum */
			one->data[one->len - 6] ^= 1;
		else if (i == 1)
			one->data[one->len / 2] ^= 0x55;
		else /* something else behind it */
			g_byte_array_append(one, (const uint8_t *)"garbage and more", 16);
		g_assert_cmpint(run(one->data, one->len, 1000, out, NULL, NULL), ==, -E_CORRUPT);
	}
}

static void test_unsupported(void)
{
	static const struct {
		const char *magic, *name;
	} t[] = { { "\xfd"
		    "7zXZ\0abcdefghijk",
			  "xz" },
		{ "BZh91AY&SYabcdefghijk", "bzip2" } };

	for (unsigned i = 0; i < ELEMENTSOF(t); i++) {
		g_autoptr(GByteArray) out = g_byte_array_new();
		struct err e = { 0 };

		g_assert_cmpint(run(t[i].magic, 17, 1, out, NULL, &e), ==, -E_UNSUPPORTED);
		g_assert_nonnull(strstr(e.text, t[i].name));
		g_assert_cmpstr(e.mend, ==, "decompress it first");
	}
	/* a tar whose first file is called so is a tar */
	g_assert_cmpint(inflate_kind_of("BZh9-notes\0\0", 12), ==, INFLATE_PLAIN);
	g_assert_cmpint(inflate_kind_of("BZh9", 4), ==, INFLATE_UNKNOWN);
}

static int count(void *arg, const void *data, size_t size, struct err *e)
{
	*(int64_t *)arg += (int64_t)size;
	return 0;
}

/* Frames of zeros, each far larger than what it comes from. */
static void test_bomb(void)
{
	g_autoptr(GByteArray) zeros = g_byte_array_new(), one = NULL;
	int64_t total = 0;
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(count, &total);
	struct err e = { 0 };
	int r = 0;

	g_byte_array_set_size(zeros, 64 << 20);
	memset(zeros->data, 0, zeros->len);
	one = zstd(zeros);
	for (unsigned i = 0; i < 100 && !r; i++)
		r = inflate_write(z, one->data, one->len, &e);
	g_assert_cmpint(r, ==, -E_LIMIT);
	g_assert_nonnull(strstr(e.text, "grows more than"));
	g_assert_cmpint(total, <=, INFLATE_FREE);
	/* and stays dead */
	g_assert_cmpint(inflate_write(z, one->data, one->len, &e), ==, -E_LIMIT);
}

static int refuse(void *arg, const void *data, size_t size, struct err *e)
{
	return err_set(e, -ENOSPC, "full");
}

static void test_sink_fails(void)
{
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(refuse, NULL);
	struct err e = { 0 };

	g_assert_cmpint(inflate_write(z, "0123456789abcdef", 16, &e), ==, -ENOSPC);
	g_assert_cmpstr(e.text, ==, "full");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/inflate/round-trip", test_round_trip);
	g_test_add_func("/inflate/members", test_members);
	g_test_add_func("/inflate/skippable", test_skippable);
	g_test_add_func("/inflate/damage", test_damage);
	g_test_add_func("/inflate/unsupported", test_unsupported);
	g_test_add_func("/inflate/bomb", test_bomb);
	g_test_add_func("/inflate/sink-fails", test_sink_fails);
	return g_test_run();
}
