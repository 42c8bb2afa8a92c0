/* SPDX-License-Identifier: MIT */
#include "codec/sha256.h"

#include <glib.h>
#include <string.h>

/* FIPS 180-4's examples (NIST, "SHA-256 example values") */
static void test_vectors(void)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
			"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char text[SHA256_TEXT];
	unsigned i;

	for (i = 0; i < ELEMENTSOF(t); i++) {
		g_assert_cmpint(sha256_of(t[i].in, strlen(t[i].in), text, NULL), ==, 0);
		g_assert_cmpstr(text, ==, t[i].out);
	}
}

static void test_pieces(void)
{
	g_autofree char *data = g_malloc(100000);
	char whole[SHA256_TEXT], pieces[SHA256_TEXT];
	struct sha256 *s;
	size_t at, n;

	memset(data, 'x', 100000);
	g_assert_cmpint(sha256_of(data, 100000, whole, NULL), ==, 0);
	g_assert_cmpint(sha256_new(&s, NULL), ==, 0);
	sha256_write(s, "forgotten", 9);
	sha256_reset(s);
	for (at = 0, n = 1; at < 100000; at += n, n = MIN(n * 3 + 1, 100000 - at))
		sha256_write(s, data + at, n);
	sha256_finish_text(s, pieces);
	sha256_free(s);
	g_assert_cmpstr(pieces, ==, whole);
}

static void test_hex(void)
{
	char text[SHA256_TEXT];

	g_assert_cmpint(sha256_of("", 0, text, NULL), ==, 0);
	g_assert_cmpstr(sha256_hex(text), ==, text + 7);
	g_assert_null(sha256_hex(NULL));
	g_assert_null(sha256_hex("sha256:12"));
	g_assert_null(sha256_hex(text + 7));
	text[70] = 'A';
	g_assert_null(sha256_hex(text));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sha256/vectors", test_vectors);
	g_test_add_func("/sha256/pieces", test_pieces);
	g_test_add_func("/sha256/hex", test_hex);
	return g_test_run();
}
