/* SPDX-License-Identifier: MIT */
#include "codec/yaml.h"

#include <string.h>

static struct yaml_doc *read_ok(const char *text)
{
	struct yaml_doc *d = NULL;
	struct err e = { 0 };
	int r = yaml_read(text, strlen(text), 0, &d, &e);

	if (r < 0)
		g_test_message("%s", e.text);
	g_assert_cmpint(r, ==, 0);
	return d;
}

static void test_places(void)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d =
		read_ok("# c\nusers:\n  - name: bob\n"
			"    uid: 1000\nruncmd: [ls, \"a b\"]\n");
	const struct yaml *users = yaml_get(yaml_root(d), "users"), *bob = users->item[0];
	const struct yaml *run = yaml_get(yaml_root(d), "runcmd");

	g_assert_cmpint(yaml_root(d)->kind, ==, YAML_MAP);
	g_assert_cmpint(users->kind, ==, YAML_LIST);
	g_assert_cmpuint(users->line, ==, 3);
	g_assert_cmpuint(users->column, ==, 3);
	g_assert_cmpuint(yaml_get(bob, "uid")->line, ==, 4);
	g_assert_cmpuint(yaml_get(bob, "uid")->column, ==, 10);
	g_assert_cmpint(yaml_get(bob, "uid")->kind, ==, YAML_INT);
	g_assert_cmpstr(yaml_get(bob, "name")->text, ==, "bob");
	g_assert_null(yaml_get(bob, "home"));
	g_assert_cmpuint(run->n, ==, 2);
	g_assert_cmpstr(run->item[1]->text, ==, "a b");
	g_assert_cmpuint(run->item[1]->column, ==, 14);
}

/* As PyYAML's safe_load says of them. */
static void test_kinds(void)
{
	static const struct {
		const char *text;
		enum yaml_kind kind;
	} rows[] = {
		{ "", YAML_NULL },
		{ "~", YAML_NULL },
		{ "null", YAML_NULL },
		{ "nULL", YAML_STRING },
		{ "yes", YAML_BOOL },
		{ "Off", YAML_BOOL },
		{ "oFF", YAML_STRING },
		{ "y", YAML_STRING },
		{ "0", YAML_INT },
		{ "-17", YAML_INT },
		{ "0644", YAML_INT },
		{ "0x1F", YAML_INT },
		{ "0b101", YAML_INT },
		{ "0o644", YAML_STRING },
		{ "089", YAML_STRING },
		{ "1_000", YAML_INT },
		{ "190:20:30", YAML_INT },
		{ "22:22", YAML_INT },
		{ "1.5", YAML_FLOAT },
		{ ".5", YAML_FLOAT },
		{ "1e3", YAML_STRING },
		{ "1.0e+3", YAML_FLOAT },
		{ "-.inf", YAML_FLOAT },
		{ ".nan", YAML_FLOAT },
		{ "1.2.3", YAML_STRING },
		{ ".", YAML_STRING },
		{ "190:20:30.15", YAML_FLOAT },
		{ "2001-12-14", YAML_TIME },
		{ "2001-1-4", YAML_STRING },
		{ "2001-12-14t21:59:43.10-05:00", YAML_TIME },
		{ "2001-12-14 21:59:43", YAML_TIME },
		{ "'0644'", YAML_STRING },
		{ "!!str 12", YAML_STRING },
		{ "!!int '12'", YAML_INT },
		{ "! 12", YAML_STRING },
		{ "[a]", YAML_LIST },
		{ "{a: b}", YAML_MAP },
		{ "|\n  text\n", YAML_STRING },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		_cleanup_(yaml_doc_freep) struct yaml_doc *d = read_ok(rows[i].text);

		if (yaml_root(d)->kind != rows[i].kind)
			g_error("'%s' is %s", rows[i].text, yaml_kind_words(yaml_root(d)->kind));
	}
}

static void test_aliases(void)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d =
		read_ok("a: &x {n: 1}\nb: *x\nc: &y [*x, *x]\nd:\n  <<: *x\n  n: 2\n");

	g_assert_true(yaml_get(yaml_root(d), "a") == yaml_get(yaml_root(d), "b"));
	g_assert_cmpuint(yaml_get(yaml_root(d), "c")->n, ==, 2);
	g_assert_cmpuint(yaml_get(yaml_root(d), "d")->n, ==, 4);
}

static void test_faults(void)
{
	static const struct {
		const char *text;
		int code;
		const char *says;
	} rows[] = {
		{ "a: b\n c: d\n", -E_CORRUPT, "line 2, column 3: mapping values are not allowed" },
		{ "a: [1, 2\nb: 3\n", -E_CORRUPT, "line 2, column 2: " },
		{ "a:\n\t- b\n", -E_CORRUPT,
			"line 2, column 1: found character that cannot start" },
		{ "a: \"b\n", -E_CORRUPT, "line 2, column 1: found unexpected end of stream" },
		{ "a: *x\n", -E_CORRUPT, "line 1, column 4: an alias without its anchor" },
		{ "a: &x [*x]\n", -E_CORRUPT, "line 1, column 8: an alias inside its anchor" },
		{ "a: 1\n---\nb: 2\n", -E_CORRUPT, "line 2, column 1: a second document" },
		{ "a: !!python/object:os.system x\n", -E_CORRUPT, "line 1, column 4: unknown tag" },
		{ "? [a]\n: b\n", -E_CORRUPT, "line 1, column 3: a key is a list" },
		{ "ok: 1\nbad: \xff\n", -E_CORRUPT, "line 2, column 6: " },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct yaml_doc *d = NULL;
		struct err e = { 0 };

		g_assert_cmpint(
			yaml_read(rows[i].text, strlen(rows[i].text), 0, &d, &e), ==, rows[i].code);
		if (!g_str_has_prefix(e.text, rows[i].says))
			g_error("'%s' says: %s", rows[i].text, e.text);
	}
}

/* Nine levels of nine: a text of 300 bytes that stands for 400 million values. */
static void test_limits(void)
{
	g_autoptr(GString) bomb = g_string_new("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	g_autoptr(GString) deep = g_string_new(NULL), chain = g_string_new("a0: &a0 [x]\n");
	struct yaml_doc *d = NULL;
	struct err e = { 0 };

	for (int i = 1; i < 9; i++) {
		g_string_append_printf(bomb, "a%d: &a%d [", i, i);
		for (int k = 0; k < 9; k++)
			g_string_append_printf(bomb, "%s*a%d", k ? "," : "", i - 1);
		g_string_append(bomb, "]\n");
	}
	g_assert_cmpint(yaml_read(bomb->str, bomb->len, 0, &d, &e), ==, -E_LIMIT);
	for (int i = 0; i < 200; i++)
		g_string_append_c(deep, '[');
	g_assert_cmpint(yaml_read(deep->str, deep->len, 0, &d, &e), ==, -E_LIMIT);
	/* as deep, by aliases */
	for (int i = 1; i < 200; i++)
		g_string_append_printf(chain, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	g_assert_cmpint(yaml_read(chain->str, chain->len, 0, &d, &e), ==, -E_LIMIT);
	g_assert_nonnull(strstr(e.text, "too deep"));
}

static void test_quote(void)
{
	const char *text = "a \"b\" \\ \n c: #d 'e' \xc3\xa4";
	g_autofree char *quoted = yaml_quote(text);
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = read_ok(quoted);

	g_assert_cmpstr(yaml_root(d)->text, ==, text);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/yaml/places", test_places);
	g_test_add_func("/yaml/kinds", test_kinds);
	g_test_add_func("/yaml/aliases", test_aliases);
	g_test_add_func("/yaml/faults", test_faults);
	g_test_add_func("/yaml/limits", test_limits);
	g_test_add_func("/yaml/quote", test_quote);
	return g_test_run();
}
