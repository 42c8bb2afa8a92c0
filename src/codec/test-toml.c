/* SPDX-License-Identifier: MIT */
#include "codec/toml.h"

#include <glib.h>
#include <string.h>

static void test_values(void)
{
	static const struct {
		const char *toml, *json;
	} rows[] = {
		{ "", "{}" },
		{ "a = 1 # c\n", "{\"a\":1}" },
		{ "a.b.\"c d\" = 'x'\r\na.e = true", "{\"a\":{\"b\":{\"c d\":\"x\"},\"e\":true}}" },
		{ "a = \"\\u00e9\\n\\\"\"", "{\"a\":\"\xc3\xa9\\n\\\"\"}" },
		{ "a = \"\"\"\nx\\\n   y\nz\"\"\"\"", "{\"a\":\"xy\\nz\\\"\"}" },
		{ "a = '''\n\\n'''", "{\"a\":\"\\\\n\"}" },
		{ "a = [ 1, 0x1F, 0o17, 0b11, -1_000, # c\n ]", "{\"a\":[1,31,15,3,-1000]}" },
		{ "a = 1.5e3\nb = 1979-05-27 07:32:00Z",
			"{\"a\":1500.0,\"b\":\"1979-05-27 07:32:00Z\"}" },
		{ "a = { b = 1, c.d = [] }", "{\"a\":{\"b\":1,\"c\":{\"d\":[]}}}" },
		{ "[a.b]\nc=1\n[a]\nd=2", "{\"a\":{\"b\":{\"c\":1},\"d\":2}}" },
		{ "[[r]]\nl='x'\n[[r.m]]\nl=1\n[[r.m]]\nl=2\n[[r]]\nl='y'",
			"{\"r\":[{\"l\":\"x\",\"m\":[{\"l\":1},{\"l\":2}]},{\"l\":\"y\"}]}" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct err e = { 0 };
		json_t *doc = NULL;
		char *text;
		int r = toml_read(rows[i].toml, strlen(rows[i].toml), &doc, &e);

		if (r < 0)
			g_test_message("%s: %s", rows[i].toml, e.text);
		g_assert_cmpint(r, ==, 0);
		text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
		g_assert_cmpstr(text, ==, rows[i].json);
		free(text);
		json_decref(doc);
	}
}

static void test_wrong(void)
{
	static const char *const rows[] = { "a", "a =", "a = 1 2", "= 1", "a = 1\na = 2",
		"[a]\n[a]", "a = [1", "a = \"x", "a = 'x\n'", "a = \"\\q\"", "a = 01", "a = 1__0",
		"a = {b=1}\na.c=2", "a = [1]\n[[a]]", "[a\nb=1", "a.b = 1\na.b.c = 2",
		"a = \"\\ud800\"", "a = +", "a = 1.", "a = 99999999999999999999" };

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct err e = { 0 };
		json_t *doc = NULL;
		int r = toml_read(rows[i], strlen(rows[i]), &doc, &e);

		if (r >= 0)
			g_test_message("taken: %s", rows[i]);
		g_assert_cmpint(r, ==, -E_CORRUPT);
		g_assert_true(g_str_has_prefix(e.text, "line "));
	}
}

static void test_deep(void)
{
	g_autoptr(GString) s = g_string_new("a = ");
	struct err e = { 0 };
	json_t *doc = NULL;

	for (int i = 0; i < 100000; i++)
		g_string_append_c(s, '[');
	g_assert_cmpint(toml_read(s->str, s->len, &doc, &e), ==, -E_LIMIT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/toml/values", test_values);
	g_test_add_func("/toml/wrong", test_wrong);
	g_test_add_func("/toml/deep", test_deep);
	return g_test_run();
}
