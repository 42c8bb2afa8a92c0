/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include "base/macros.h"
#include "image/ref.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_good(void)
{
	static const struct {
		const char *in, *full, *familiar;
	} row[] = {
		{ "debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "debian:12", "docker.io/library/debian:12", "debian:12" },
		{ "library/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "docker.io/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12" },
		{ "index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest" },
		{ "jess/vim", "docker.io/jess/vim:latest", "jess/vim:latest" },
		{ "library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest" },
		{ "localhost/x", "localhost/x:latest", "localhost/x:latest" },
		{ "localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y" },
		{ "quay.io/a/b-c/d__e", "quay.io/a/b-c/d__e:latest", "quay.io/a/b-c/d__e:latest" },
		{ "HOST/x", "HOST/x:latest", "HOST/x:latest" },
		{ "10.0.0.1:80/x", "10.0.0.1:80/x:latest", "10.0.0.1:80/x:latest" },
		{ "[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest",
			"[2001:db8::1]:5000/x:latest" },
		{ "[::1]/x", "[::1]/x:latest", "[::1]/x:latest" },
		{ "a--b---c", "docker.io/library/a--b---c:latest", "a--b---c:latest" },
		{ "debian@sha256:" HEX, "docker.io/library/debian@sha256:" HEX,
			"debian@sha256:" HEX },
		{ "debian:12@sha256:" HEX, "docker.io/library/debian@sha256:" HEX,
			"debian@sha256:" HEX },
		{ "x:_Tag.1-2", "docker.io/library/x:_Tag.1-2", "x:_Tag.1-2" },
		{ "host:12", "docker.io/library/host:12", "host:12" },
		{ "cafe", "docker.io/library/cafe:latest", "cafe:latest" },
	};

	for (unsigned i = 0; i < ELEMENTSOF(row); i++) {
		g_autofree char *full = NULL, *familiar = NULL, *shown = NULL;
		struct ref r;
		struct err e = { 0 };

		if (ref_parse(row[i].in, 0, &r, &e) < 0)
			g_error("%s", e.text);
		full = ref_full(&r);
		familiar = ref_familiar(&r);
		shown = ref_show(full);
		g_assert_cmpstr(full, ==, row[i].full);
		g_assert_cmpstr(familiar, ==, row[i].familiar);
		g_assert_cmpstr(shown, ==, row[i].familiar);
		ref_clear(&r);
	}
}

static void test_bad(void)
{
	static const char *const row[] = { "", ":tag", "a:", "a:b c", "A", "Debian:12",
		"docker.io/A", "a/B", "a//b", "/a", "a/", "a.", ".a", "-a", "a-", "a___b", "a..b",
		"a._b", "a@sha256:12", "a@md5:d41d8cd98f00b204e9800998ecf8427e",
		"a@sha256:" HEX "0", "@sha256:" HEX, HEX, "a:.b", "a:-b", "a b", "a\nb", "a:b:c",
		"-host.io/a", "host-.io/a", "h..o/a", "host:/a", "host:x/a", "[::1/a", "[]/a",
		"[gg::]/a", "http://a/b", "a@@", "a:b@", "sha256:" HEX "/x", "docker.io/",
		"b\xc3\xa4h" };

	for (unsigned i = 0; i < ELEMENTSOF(row); i++) {
		struct ref r;
		struct err e = { 0 };

		g_test_message("'%s'", row[i]);
		g_assert_cmpint(ref_parse(row[i], 0, &r, &e), ==, -E_INVALID);
		g_assert_nonnull(strstr(e.text, "isn't an image reference: "));
	}
}

static void test_lengths(void)
{
	g_autofree char *tag = g_strnfill(REF_TAG_MAX, 'a'),
			*path = g_strnfill(REF_PATH_MAX - 8, 'a');
	g_autofree char *fits = g_strdup_printf("%s:%s", path, tag), *long_tag = NULL,
			*long_path = NULL;
	struct ref r;

	g_assert_cmpint(ref_parse(fits, 0, &r, NULL), ==, 0);
	ref_clear(&r);
	long_tag = g_strconcat("x:a", tag, NULL);
	g_assert_cmpint(ref_parse(long_tag, 0, &r, NULL), ==, -E_INVALID);
	long_path = g_strconcat("a", path, NULL);
	g_assert_cmpint(ref_parse(long_path, 0, &r, NULL), ==, -E_INVALID);
}

static void test_algorithms(void)
{
	static const struct {
		const char *name;
		int digits;
	} row[] = { { "sha384", 96 }, { "sha512", 128 } };

	for (size_t i = 0; i < G_N_ELEMENTS(row); i++) {
		g_autofree char *text =
			g_strdup_printf("debian@%s:%0*d", row[i].name, row[i].digits, 0);
		struct err e = { 0 };
		struct ref r;

		g_assert_cmpint(ref_parse(text, 0, &r, &e), ==, -E_UNSUPPORTED);
		g_assert_nonnull(strstr(e.text, row[i].name));
		g_assert_nonnull(strstr(e.text, "only sha256 is read"));
	}
}

static void test_no_default(void)
{
	g_autofree char *full = NULL;
	struct ref r;

	g_assert_cmpint(ref_parse("debian", REF_NO_DEFAULT, &r, NULL), ==, 0);
	g_assert_null(r.tag);
	full = ref_full(&r);
	g_assert_cmpstr(full, ==, "docker.io/library/debian");
	ref_clear(&r);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ref/good", test_good);
	g_test_add_func("/ref/bad", test_bad);
	g_test_add_func("/ref/lengths", test_lengths);
	g_test_add_func("/ref/algorithms", test_algorithms);
	g_test_add_func("/ref/no-default", test_no_default);
	return g_test_run();
}
