/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include "base/tab.h"

static const struct tab_column columns[] = {
	{ "GUEST ID", "ID", false },
	{ "NAMES", "Names", false },
	{ "SIZE", "Size", true },
	{ NULL, NULL, false },
};

static const char rows_text[] =
	"[{\"ID\":\"0123456789ab\",\"Names\":\"web\",\"Size\":\"1MB\",\"Labels\":\"a=1,com.x.my-"
	"app=shop\"},"
	"{\"ID\":\"b\",\"Names\":\"d\xc3\xa9j\xc3\xa0 vu\",\"Size\":\"12.5kB\",\"Labels\":\"\"}]";

static char *show(const char *rows, const char *format, struct err *e)
{
	json_t *j = json_loads(rows, 0, NULL);
	char *text = NULL, *copy;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	int r;

	g_assert_nonnull(j);
	g_assert_nonnull(f);
	r = tab_print(f, columns, j, format, e);
	(void)fclose(f);
	copy = r < 0 ? NULL : g_strdup(text);
	free(text);
	json_decref(j);
	return copy;
}

static void check(const char *rows, const char *format, const char *want)
{
	struct err e = {};
	g_autofree char *got = show(rows, format, &e);

	if (g_strcmp0(got, want) != 0)
		g_error("%s\n  got:\n%s\n  want:\n%s\n %s", format, got, want, e.text);
}

static void test_table(void)
{
	static const char want[] = "GUEST ID       NAMES       SIZE\n"
				   "0123456789ab   web          1MB\n"
				   "b              d\xc3\xa9j\xc3\xa0 vu   12.5kB\n";

	check(rows_text, NULL, want);
	check(rows_text, "", want);
	check(rows_text, "table", want);
	check("[]", NULL, "GUEST ID   NAMES   SIZE\n");
	check("[{\"ID\":5,\"Names\":[\"a\",\"b\"],\"Size\":null}]", NULL,
		"GUEST ID   NAMES   SIZE\n5          [a b]       \n");
	check("[{\"ID\":\"a\\nb\\tc\"}]", NULL,
		"GUEST ID   NAMES   SIZE\na b c"
		"                  "
		"\n");
}

static void test_json(void)
{
	check(rows_text, "json",
		"{\"ID\":\"0123456789ab\",\"Names\":\"web\",\"Size\":\"1MB\",\"Labels\":\"a=1,com."
		"x.my-app=shop\"}\n"
		"{\"ID\":\"b\",\"Names\":\"d\xc3\xa9j\xc3\xa0 "
		"vu\",\"Size\":\"12.5kB\",\"Labels\":\"\"}\n");
	check("[]", "json", "");
	check(rows_text, "{{json .ID}}", "\"0123456789ab\"\n\"b\"\n");
}

static void test_template(void)
{
	check(rows_text, "{{.ID}}: {{.Names}}", "0123456789ab: web\nb: d\xc3\xa9j\xc3\xa0 vu\n");
	check(rows_text, "{{.ID}}\\t{{.Size}}", "0123456789ab\t1MB\nb\t12.5kB\n");
	check("[]", "{{.ID}}", "");
	check(rows_text, "{{.Label \"a\"}}", "1\n\n");
}

/* As docker prints: at least 10 columns, 3 blanks between, the last column not filled. */
static void test_table_template(void)
{
	check(rows_text, "table {{.ID}}\\t{{.Size}}",
		"GUEST ID       SIZE\n0123456789ab   1MB\nb              12.5kB\n");
	check(rows_text, "table {{.Size}}\t{{upper .Names}}\t{{.ID}}",
		"SIZE      NAMES     GUEST ID\n1MB       WEB       0123456789ab\n"
		"12.5kB    D\xc3\x89J\xc3\x80 VU   b\n");
	check(rows_text, "table {{.ID}}: {{json .Names}}",
		"GUEST ID: NAMES\n0123456789ab: \"web\"\nb: \"d\xc3\xa9j\xc3\xa0 vu\"\n");
	check(rows_text, "table {{.Names}}\\t{{.Label \"com.x.my-app\"}}",
		"NAMES     MY APP\nweb       shop\nd\xc3\xa9j\xc3\xa0 vu   \n");
	check(rows_text, "table {{.Labels}}\\t{{.Size}}",
		"LABELS                  SIZE\na=1,com.x.my-app=shop   1MB\n                       "
		" 12.5kB\n");
	check("[]", "table {{.ID}}\\t{{.Size}}", "GUEST ID   SIZE\n");
	check(rows_text, "table {{.ID}}\\t{{if eq .Size \"1MB\"}}a\\tb{{else}}c{{end}}",
		"GUEST ID       c\n0123456789ab   a         b\nb              c\n");
}

static void test_errors(void)
{
	struct err e = {};

	g_assert_null(show(rows_text, "{{.ID", &e));
	g_assert_cmpstr(e.text, ==, "template: :1: unclosed action");
	g_assert_null(show(rows_text, "table {{.Nope}}", &e));
	g_assert_cmpstr(e.text, ==,
		"template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tab/table", test_table);
	g_test_add_func("/tab/json", test_json);
	g_test_add_func("/tab/template", test_template);
	g_test_add_func("/tab/table-template", test_table_template);
	g_test_add_func("/tab/errors", test_errors);
	return g_test_run();
}
