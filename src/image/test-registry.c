/* SPDX-License-Identifier: MIT */
/* What is pure of the registry's client: URLs, challenges, registries.conf, auth files. */
#include <string.h>
#include "image/challenge.h"
#include "image/credentials.h"
#include "image/http.h"
#include "image/registries.h"

static void test_urls(void)
{
	static const struct {
		const char *base, *location, *is;
	} rows[] = {
		{ "https://h/v2/a", "https://o/x", "https://o/x" },
		{ "https://h/v2/a", "//o/x", "https://o/x" },
		{ "https://h:5/v2/a?q", "/b/../c?d=/../e", "https://h:5/c?d=/../e" },
		{ "http://h/v2/a/b", "c", "http://h/v2/a/c" },
		{ "http://h", "c/.", "http://h/c/" },
		{ "http://h/a?x", "?y", "http://h/a?y" },
		{ "http://h/a", "file:///etc/passwd", NULL },
		{ "http://h/a", "ftp://x/", NULL },
		{ "http://h/a", "/b c", NULL },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *is = http_resolve(rows[i].base, rows[i].location);

		g_assert_cmpstr(is, ==, rows[i].is);
	}
	g_assert_true(http_same_place("https://H/a", "https://h:443/b"));
	g_assert_false(http_same_place("https://h/a", "http://h/a"));
	g_assert_false(http_same_place("https://h/a", "https://h:444/a"));
	g_assert_false(http_same_place("https://h/a", "https://h.evil/a"));
	g_assert_false(http_same_place("https://h/a", "https://h@evil/a"));
	g_assert_true(http_is_loopback("localhost:5000"));
	g_assert_true(http_is_loopback("127.0.0.2"));
	g_assert_true(http_is_loopback("https://[::1]:5/x"));
	g_assert_false(http_is_loopback("127.0.0.1.example.com"));
	g_assert_false(http_is_loopback("example.com"));
}

static void test_no_proxy(void)
{
	static const struct {
		const char *list, *url, *is;
	} rows[] = {
		{ "", "http://h/", "" },
		{ "a, b\t,c", "http://h/", "a,b,c" },
		{ "h:80,i:443,j", "http://h/", "h,j" },
		{ "h:80,i:443,j", "https://h/", "i,j" },
		{ ".test:5000,*.x:5001", "http://h:5000/v2/", ".test" },
		{ "[::1]:5,::1,fe80::1,[::2]:6", "http://[::1]:5/", "[::1],::1,fe80::1" },
		{ "10.0.0.0/8,*", "http://10.1.1.1:5/", "10.0.0.0/8,*" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *is = http_no_proxy(rows[i].list, rows[i].url);

		g_assert_cmpstr(is, ==, rows[i].is);
	}
}

static void test_challenges(void)
{
	static const char *const bad[] = { "=", "Bearer realm=\"x", "Basic realm=\"a\" b=c",
		"Bearer\x01" };
	struct challenge c = { 0 };
	struct err e;

	g_assert_cmpint(
		challenge_parse("Negotiate YWJj==, Basic realm=\"a \\\"b\\\"\", bearer REALM = "
				"\"https://a/t\" ,service=s, scope=\"repository:x:pull,push\"",
			&c, &e),
		==, 0);
	g_assert_true(c.basic && c.bearer);
	g_assert_cmpstr(c.basic_realm, ==, "a \"b\"");
	g_assert_cmpstr(c.realm, ==, "https://a/t");
	g_assert_cmpstr(c.service, ==, "s");
	g_assert_cmpstr(c.scope, ==, "repository:x:pull,push");
	/* the first of its kind counts */
	g_assert_cmpint(challenge_parse("Bearer realm=\"https://evil\"", &c, &e), ==, 0);
	g_assert_cmpstr(c.realm, ==, "https://a/t");
	challenge_clear(&c);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpint(challenge_parse(bad[i], &c, &e), ==, -E_CORRUPT);
		challenge_clear(&c);
	}
}

static char *places(const char *conf, const char *name)
{
	_cleanup_(registries_freep) struct registries *c = registries_new();
	g_autoptr(GPtrArray) list = NULL;
	GString *s = g_string_new(NULL);
	struct err e = { 0 };
	struct ref r;

	g_assert_cmpint(registries_add(c, conf, strlen(conf), &e), ==, 0);
	g_assert_cmpint(ref_parse(name, 0, &r, &e), ==, 0);
	if (registries_places(c, &r, &list, &e) < 0)
		g_string_append(s, e.text);
	for (unsigned i = 0; list && i < list->len; i++) {
		const struct registry_place *p = list->pdata[i];

		g_string_append_printf(
			s, "%s%s/%s%s", i ? " " : "", p->domain, p->path, p->insecure ? "!" : "");
	}
	ref_clear(&r);
	return g_string_free(s, FALSE);
}

/* The examples of containers-registries.conf(5). */
static void test_places(void)
{
	static const char conf[] =
		"[[registry]]\nprefix = 'example.com/foo'\nlocation = 'internal.example/bar'\n"
		"[[registry.mirror]]\nlocation = 'mirror-0.local/mirror-for-foo'\n"
		"[[registry.mirror]]\nlocation = 'mirror-1.local/mirrors/foo'\ninsecure = true\n"
		"[[registry]]\nlocation = 'registry.com'\nmirror-by-digest-only = true\n"
		"[[registry.mirror]]\nlocation = 'mirror.registry.com'\n"
		"[[registry]]\nprefix = '*.wild.com'\ninsecure = true\n"
		"[[registry]]\nprefix = 'example.com/foo/bad'\nblocked = true\n"
		"[[registry]]\nprefix = 'docker.io'\nlocation = 'hub.local:5000'\n";
	static const struct {
		const char *name, *is;
	} rows[] = {
		{ "example.com/foo/image:latest",
			"mirror-0.local/mirror-for-foo/image "
			"mirror-1.local/mirrors/foo/image! internal.example/bar/image" },
		{ "example.com/foobar/image", "example.com/foobar/image" },
		{ "example.com/foo/bad/x", "'example.com/foo/bad' is blocked by registries.conf" },
		{ "registry.com/image:1", "registry.com/image" },
		{ "registry.com/"
		  "image@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"mirror.registry.com/image registry.com/image" },
		{ "a.b.wild.com/x", "a.b.wild.com/x!" },
		{ "wild.com/x", "wild.com/x" },
		{ "debian:12", "hub.local:5000/library/debian" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *is = places(conf, rows[i].name);

		g_assert_cmpstr(is, ==, rows[i].is);
	}
}

static char *names(const char *conf, const char *written)
{
	_cleanup_(registries_freep) struct registries *c = registries_new();
	g_autoptr(GPtrArray) list = NULL;
	struct err e = { 0 };

	g_assert_cmpint(registries_add(c, conf, strlen(conf), &e), ==, 0);
	if (registries_names(c, written, &list, &e) < 0)
		return g_strdup("?");
	g_ptr_array_add(list, NULL);
	return g_strjoinv(" ", (char **)list->pdata);
}

static void test_names(void)
{
	static const char conf[] = "unqualified-search-registries = ['a.com', 'b.com:5']\n"
				   "[aliases]\n'fedora' = 'registry.fedora.org/fedora'\n";
	static const char *const bad[] = { "[[registry]]\n", "[[registry]]\nlocation = 'https://x'",
		"[[registry]]\nprefix = 'a.*.com'", "[aliases]\na = 'b.com/c:1'",
		"short-name-mode = 'x'", "unqualified-search-registries = 1" };

	for (unsigned i = 0; i < 6; i++) {
		_cleanup_(registries_freep) struct registries *c = registries_new();
		struct err e = { 0 };

		g_assert_cmpint(registries_add(c, bad[i], strlen(bad[i]), &e), <, 0);
		g_assert_true(*e.text);
	}
	{
		g_autofree char *none = names("", "x:1"), *two = names(conf, "x:1");
		g_autofree char *alias = names(conf, "fedora:38"), *full = names(conf, "c.com/x");
		g_autofree char *ask = names(
			"short-name-mode='enforcing'\nunqualified-search-registries=['a.b','c.d']",
			"x");

		g_assert_cmpstr(none, ==, "x:1");
		g_assert_cmpstr(two, ==, "a.com/x:1 b.com:5/x:1");
		g_assert_cmpstr(alias, ==, "registry.fedora.org/fedora:38");
		g_assert_cmpstr(full, ==, "c.com/x");
		g_assert_cmpstr(ask, ==, "?");
	}
}

static void test_credentials(void)
{
	static const char text[] =
		"{\"auths\": {\"r.local/foo\": {\"auth\": \"YTpiOmM=\"}, \"r.local\": {\"auth\": "
		"\"eDp5\"},"
		"\"https://index.docker.io/v1/\": {\"auth\": \"aHViOnB3\"}, \"t.local\": "
		"{\"auth\": \"\","
		"\"identitytoken\": \"tok\"}}, \"credHelpers\": {\"h.local\": \"pass\"}}";
	static const struct {
		const char *domain, *path, *user, *password, *identity, *helper;
	} rows[] = {
		{ "r.local", "foo/bar", "a", "b:c", NULL, NULL },
		{ "r.local", "fo", "x", "y", NULL, NULL },
		{ "docker.io", "library/x", "hub", "pw", NULL, NULL },
		{ "t.local", NULL, "", "", "tok", NULL },
		{ "h.local", NULL, NULL, NULL, NULL, "pass" },
		{ "other", NULL, NULL, NULL, NULL, NULL },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct credentials c = { NULL };
		g_autofree char *helper = NULL;
		struct err e = { 0 };
		bool known = rows[i].user || rows[i].helper;

		g_assert_cmpint(credentials_read(text, strlen(text), rows[i].domain, rows[i].path,
					&c, &helper, &e),
			==, known);
		g_assert_cmpstr(helper, ==, rows[i].helper);
		g_assert_cmpstr(c.identity, ==, rows[i].identity);
		if (!rows[i].identity) {
			g_assert_cmpstr(c.user, ==, rows[i].user);
			g_assert_cmpstr(c.password, ==, rows[i].password);
		}
		credentials_clear(&c);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/registry/urls", test_urls);
	g_test_add_func("/registry/no-proxy", test_no_proxy);
	g_test_add_func("/registry/challenges", test_challenges);
	g_test_add_func("/registry/places", test_places);
	g_test_add_func("/registry/names", test_names);
	g_test_add_func("/registry/credentials", test_credentials);
	return g_test_run();
}
