/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/cpio.h"
#include "codec/kernelfile.h"
#include "codec/unpack.h"

/* --- compressed files, by the tools that make them --- */

/* What `tool` makes of input; NULL: the tool isn't there. */
static char *pack(const char *const *argv, const char *input, size_t size, gsize *ret_size)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *in = g_strconcat(d, "/in", NULL), *out = g_strconcat(d, "/out", NULL);
	g_autofree char *tool = g_find_program_in_path(argv[0]);
	g_autofree char *words = g_strjoinv(" ", (char **)(uintptr_t)argv), *cmd = NULL;
	const char *sh[] = { "sh", "-c", NULL, NULL };
	char *data = NULL;
	int status = -1;

	cmd = g_strdup_printf("%s < %s > %s", words, in, out);
	sh[2] = cmd;
	if (tool) {
		g_assert_true(g_file_set_contents(in, input, (gssize)size, NULL));
		g_assert_true(g_spawn_sync(NULL, (char **)(uintptr_t)sh, NULL, G_SPAWN_SEARCH_PATH,
			NULL, NULL, NULL, NULL, &status, NULL));
		g_assert_cmpint(status, ==, 0);
		g_assert_true(g_file_get_contents(out, &data, ret_size, NULL));
		(void)g_unlink(in);
		(void)g_unlink(out);
	}
	(void)g_rmdir(d);
	return data;
}

static void test_unpack(void)
{
	static const struct {
		const char *argv[4];
		enum unpack_kind kind;
	} tools[] = {
		{ { "gzip", "-c", NULL }, UNPACK_GZIP },
		{ { "xz", "-c", NULL }, UNPACK_XZ },
		{ { "xz", "--format=lzma", "-c", NULL }, UNPACK_LZMA },
		{ { "zstd", "-c", NULL }, UNPACK_ZSTD },
		{ { "lz4", "-l", "-c", NULL }, UNPACK_LZ4 },
		{ { "cat", NULL }, UNPACK_PLAIN },
	};
	size_t size = 9 << 20; /* more than a block of lz4's */
	g_autofree char *text = g_malloc(size);

	for (size_t i = 0; i < size; i++)
		text[i] = i % 4096 < 2000 ? 'a' : (char)(i * i >> 8);
	for (unsigned i = 0; i < G_N_ELEMENTS(tools); i++) {
		gsize packed_size;
		g_autofree char *packed = pack(tools[i].argv, text, size, &packed_size);
		g_autofree uint8_t *out = NULL, *none = NULL;
		size_t n;
		struct err e;

		if (!packed)
			continue;
		g_assert_cmpint(unpack_kind_of(packed, packed_size), ==, tools[i].kind);
		if (unpack(packed, packed_size, size, &out, &n, &e) < 0)
			g_error("%s: %s", tools[i].argv[0], e.text);
		g_assert_cmpmem(out, n, text, size);
		g_assert_cmpint(unpack(packed, packed_size, size - 1, &none, &n, &e), ==, -E_LIMIT);
		if (tools[i].kind != UNPACK_PLAIN)
			g_assert_cmpint(unpack(packed, packed_size / 2, size, &none, &n, &e), ==,
				-E_CORRUPT);
	}
}

/* lz4's block by hand: literals "abc", a match of 9 bytes 3 back, literal "x". */
static void test_lz4(void)
{
	static const uint8_t good[] = { 2, 0x21, 0x4c, 0x18, 8, 0, 0, 0, 0x35, 'a', 'b', 'c', 3, 0,
		0x10, 'x' };
	static const struct {
		size_t at;
		uint8_t byte;
	} bad[] = { { 12, 0 }, { 12, 4 }, { 13, 1 }, { 4, 9 }, { 4, 0 }, { 4, 7 }, { 8, 0xf5 },
		{ 14, 0x20 } };
	struct err e;
	size_t n;

	g_autofree uint8_t *out = NULL;
	g_assert_cmpint(unpack(good, sizeof(good), 100, &out, &n, &e), ==, 0);
	g_assert_cmpmem(out, n, "abcabcabcabcx", 13);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		uint8_t b[sizeof(good)];
		uint8_t *none = NULL;

		memcpy(b, good, sizeof(b));
		b[bad[i].at] = bad[i].byte;
		g_assert_cmpint(unpack(b, sizeof(b), 100, &none, &n, &e), ==, -E_CORRUPT);
	}
}

/* --- bzImage --- */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void make_bzimage(uint8_t p[4096])
{
	memset(p, 0, 4096);
	p[0x1f1] = 2; /* sectors of setup: 3 with the first */
	put16(p + 0x1fe, 0xaa55);
	memcpy(p + 0x202, "HdrS", 4);
	put16(p + 0x206, 0x20f);
	put16(p + 0x20e, 0x300 - 512);
	memcpy(p + 0x300, "6.1.0-x (somebody)", 19);
	put16(p + 0x248, 64);
	put16(p + 0x24c, 1000);
	memcpy(p + 1536 + 64, "\xfd\x37zXZ", 6);
}

static void test_bzimage(void)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} bad[] = { { 0x1fe, 0 }, { 0x202, 'h' }, { 0x206, 7 }, { 0x24b, 0x80 }, { 0x24f, 1 },
		{ 0x20f, 0xff }, { 0x1f1, 20 }, { 0x300, '.' }, { 0x300, '/' }, { 0x24d, 0xff } };
	uint8_t p[4096], gzip[4096];
	struct bzimage b;

	make_bzimage(p);
	g_assert_cmpint(bzimage_parse(p, sizeof(p), &b), ==, 0);
	g_assert_cmpstr(b.release, ==, "6.1.0-x");
	g_assert_true(b.payload == p + 1536 + 64);
	g_assert_cmpuint(b.payload_size, ==, 1000 - 4);
	memcpy(gzip, p, sizeof(gzip));
	memcpy(gzip + 1536 + 64, "\x1f\x8b\x08", 3);
	g_assert_cmpint(bzimage_parse(gzip, sizeof(gzip), &b), ==, 0);
	g_assert_cmpuint(b.payload_size, ==, 1000);
	g_assert_cmpint(bzimage_parse(p, 1536 + 64 + 999, &b), ==, -EINVAL);
	g_assert_cmpint(bzimage_parse(p, 100, &b), ==, -EINVAL);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		make_bzimage(p);
		p[bad[i].at] = bad[i].byte;
		if (bzimage_parse(p, sizeof(p), &b) != -EINVAL)
			g_error("byte 0x%zx was accepted", bad[i].at);
	}
}

/* --- the rest --- */

static void test_signature(void)
{
	g_autoptr(GString) s = g_string_new("the module");

	g_string_append(s, "signature");
	g_string_append_len(s, "\0\0\2\0\0\0\0\0\0\0\0\x09", 12);
	g_string_append(s, "~Module signature appended~\n");
	g_assert_cmpuint(kmod_unsigned_size(s->str, s->len), ==, 10);
	g_assert_cmpuint(kmod_unsigned_size(s->str, s->len - 1), ==, s->len - 1);
	s->str[s->len - 29] = 100; /* longer than the file */
	g_assert_cmpuint(kmod_unsigned_size(s->str, s->len), ==, s->len);
}

static void test_config(void)
{
	static const char text[] = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nXCONFIG_D=y\n"
				   "CONFIG_D_E=y\nCONFIG_F=\"y\"\n";

	g_assert_cmpint(kconfig_get(text, "A"), ==, 'y');
	g_assert_cmpint(kconfig_get(text, "B"), ==, 'n');
	g_assert_cmpint(kconfig_get(text, "C"), ==, 'm');
	g_assert_cmpint(kconfig_get(text, "D"), ==, 'n');
	g_assert_cmpint(kconfig_get(text, "F"), ==, 'n');
}

/* What cpio(1) makes of it. */
static void test_cpio(void)
{
	static const char *const list[] = { "cpio", "-tv", "--quiet", NULL };
	g_autoptr(GByteArray) b = g_byte_array_new();
	g_autofree char *text = NULL;
	gsize n;

	cpio_put(b, "d", S_IFDIR | 0755, NULL, 0);
	cpio_put(b, "d/file", S_IFREG | 0640, "12345", 5);
	cpio_put(b, "l", S_IFLNK | 0777, "d/file", 6);
	cpio_put_end(b);
	g_assert_cmpuint(b->len % 4, ==, 0);
	text = pack(list, (char *)b->data, b->len, &n);
	if (!text) {
		g_test_skip("no cpio");
		return;
	}
	g_assert_true(g_str_has_prefix(text, "drwxr-xr-x   2 root     root            0 "));
	g_assert_nonnull(strstr(text, "\n-rw-r-----   1 root     root            5 "));
	g_assert_nonnull(strstr(text, " l -> d/file\n"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kernelfile/unpack", test_unpack);
	g_test_add_func("/kernelfile/lz4", test_lz4);
	g_test_add_func("/kernelfile/bzimage", test_bzimage);
	g_test_add_func("/kernelfile/signature", test_signature);
	g_test_add_func("/kernelfile/config", test_config);
	g_test_add_func("/kernelfile/cpio", test_cpio);
	return g_test_run();
}
