/* SPDX-License-Identifier: MIT */
#include "codec/json.h"

#include <string.h>

struct inner {
	char *name;
	uint64_t n;
};

enum colour {
	RED,
	GREEN
};

struct outer {
	char *text;
	char **words;
	uint64_t big;
	int small;
	enum colour colour;
	struct inner inner;
	struct inner *maybe;
	GPtrArray *list;
	GArray *array;
};

static void inner_free(void *p);

/* clang-format off */
static const struct json_field inner_fields[] = {
	JSON_STRING(struct inner, name, "name", JSON_REQUIRED),
	JSON_UINT64(struct inner, n, "n", 0),
	JSON_END
};
static const struct json_struct inner_struct = { sizeof(struct inner), inner_fields, inner_free };

static const char *const colours[] = { "red", "green", NULL };
static const struct json_field outer_fields[] = {
	JSON_STRING(struct outer, text, "text", 0),
	JSON_STRINGS(struct outer, words, "words"),
	JSON_UINT64(struct outer, big, "big", 5),
	{ .name = "small", .type = JSON_T_INT, .offset = offsetof(struct outer, small), .min = 1, .max = 9, .absent = 1 },
	JSON_ENUM(struct outer, colour, enum colour, "colour", colours, GREEN),
	{ .name = "inner", .type = JSON_T_STRUCT, .offset = offsetof(struct outer, inner), .of = &inner_struct },
	JSON_POINTER(struct outer, maybe, struct inner, "maybe", &inner_struct),
	JSON_LIST(struct outer, list, "list", &inner_struct),
	JSON_ARRAY(struct outer, array, "array", &inner_struct),
	JSON_UNSUPPORTED("hooks"),
	JSON_END
};
static const struct json_struct outer_struct = { .size = sizeof(struct outer), .fields = outer_fields };
/* clang-format on */

static void inner_free(void *p)
{
	json_struct_free(&inner_struct, p);
}

static int decode(const char *text, unsigned flags, struct outer *o, struct err *e)
{
	json_t *j;
	int r;

	g_assert_cmpint(json_read(text, strlen(text), &j, e), ==, 0);
	r = json_struct_decode(&outer_struct, j, flags, o, e);
	json_decref(j);
	return r;
}

static void check_error(const char *text, int code, const char *want)
{
	struct err e = {};
	struct outer o;

	g_assert_cmpint(decode(text, 0, &o, &e), ==, code);
	g_assert_cmpstr(e.text, ==, want);
	g_assert_null(o.list);
}

static void check_encode(const struct outer *o, const char *want)
{
	json_t *j = json_struct_encode(&outer_struct, o);
	char *text = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);

	g_assert_cmpstr(text, ==, want);
	free(text);
	json_decref(j);
}

static void test_absent(void)
{
	struct outer o;

	json_struct_init(&outer_struct, &o);
	g_assert_true(o.big == 5 && o.colour == GREEN && o.list->len == 0 && o.array->len == 0);
	check_encode(&o, "{}");
	o.big = 0;
	o.words = g_new0(char *, 1);
	check_encode(&o, "{\"big\":0,\"words\":[]}");
	json_struct_clear(&outer_struct, &o);

	g_assert_cmpint(
		decode("{\"text\":null,\"list\":null,\"big\":null,\"inner\":{\"name\":\"\"}}", 0,
			&o, NULL),
		==, 0);
	g_assert_true(!o.text && o.big == 5 && o.list->len == 0 && *o.inner.name == '\0');
	json_struct_clear(&outer_struct, &o);
}

static void test_big(void)
{
	struct outer o;

	g_assert_cmpint(decode("{\"big\":18446744073709551615,\"inner\":{\"name\":\"x\",\"n\":-1},"
			       "\"list\":[{\"name\":\"9223372036854775808\",\"n\":"
			       "\"9223372036854775808\"}]}",
				0, &o, NULL),
		==, 0);
	g_assert_true(o.big == UINT64_MAX && o.inner.n == UINT64_MAX);
	g_assert_true(((struct inner *)o.list->pdata[0])->n == 9223372036854775808ULL);
	g_assert_cmpstr(((struct inner *)o.list->pdata[0])->name, ==, "9223372036854775808");
	o.inner.n = 1;
	check_encode(&o,
		"{\"big\":\"18446744073709551615\",\"inner\":{\"n\":1,\"name\":\"x\"},\"list\":"
		"[{\"n\":\"9223372036854775808\",\"name\":\"9223372036854775808\"}]}");
	json_struct_clear(&outer_struct, &o);
}

static void test_pointer(void)
{
	struct outer o;

	g_assert_cmpint(
		decode("{\"inner\":{\"name\":\"x\"},\"maybe\":{\"name\":\"y\"}}", 0, &o, NULL), ==,
		0);
	g_assert_cmpstr(o.maybe->name, ==, "y");
	check_encode(&o, "{\"inner\":{\"name\":\"x\"},\"maybe\":{\"name\":\"y\"}}");
	json_struct_clear(&outer_struct, &o);
	g_assert_cmpint(decode("{\"inner\":{\"name\":\"x\"},\"maybe\":null}", 0, &o, NULL), ==, 0);
	g_assert_null(o.maybe);
	json_struct_clear(&outer_struct, &o);
	check_error("{\"inner\":{\"name\":\"x\"},\"maybe\":{\"n\":1}}", -E_INVALID,
		"'maybe.name' is missing");
}

static void check_value(const char *text, json_type type)
{
	struct err e = {};
	json_t *j;

	if (json_read(text, strlen(text), &j, &e) < 0)
		g_error("'%s': %s", text, e.text);
	g_assert_cmpint(json_typeof(j), ==, type);
	json_decref(j);
}

static void test_numbers(void)
{
	check_value("9223372036854775807", JSON_INTEGER);
	check_value("9223372036854775808", JSON_STRING);
	check_value("-9223372036854775808", JSON_INTEGER);
	check_value("-9223372036854775809", JSON_STRING);
	check_value("1.99999999999999999999999", JSON_REAL);
	check_value("99999999999999999999.5", JSON_REAL);
	check_value("99999999999999999999e2", JSON_REAL);
	check_value("\"a\\\"99999999999999999999\"", JSON_STRING);
	g_assert_cmpint(json_read("1e99999", 7, &(json_t *){ NULL }, NULL), ==, -E_INVALID);
	g_assert_cmpint(
		json_read("099999999999999999999", 21, &(json_t *){ NULL }, NULL), ==, -E_INVALID);
}

static void test_bytes(void)
{
	struct outer o, copy;
	json_t *j;

	json_struct_init(&outer_struct, &o);
	o.text = g_strdup("caf\xe9");
	o.words = g_strsplit("a \xff", " ", -1);
	j = json_struct_encode(&outer_struct, &o);
	g_assert_cmpint(json_struct_decode(&outer_struct, j, 0, &copy, NULL), ==, 0);
	g_assert_cmpstr(copy.text, ==, "caf\xe9");
	g_assert_cmpstr(copy.words[1], ==, "\xff");
	json_decref(j);
	json_struct_clear(&outer_struct, &o);
	json_struct_clear(&outer_struct, &copy);
	check_error("{\"text\":{\"base64\":\"YQBi\"}}", -E_INVALID, "'text' is not a string");
}

static void test_errors(void)
{
	struct err e = {};
	struct outer o;
	json_t *j;

	check_error("3", -E_INVALID, "'.' is not an object");
	check_error("{\"inner\":{}}", -E_INVALID, "'inner.name' is missing");
	check_error("{\"list\":[{\"name\":\"a\"},{\"name\":\"b\",\"n\":-2}]}", -E_INVALID,
		"'list[1].n' is not an unsigned number");
	check_error("{\"array\":[{\"name\":\"a\"},7]}", -E_INVALID, "'array[1]' is not an object");
	check_error("{\"small\":10}", -E_INVALID, "'small' is 10, not 1 to 9");
	check_error("{\"colour\":\"blue\"}", -E_INVALID, "'colour' has the unknown value 'blue'");
	check_error("{\"inner\":{\"name\":\"a\",\"x\":1}}", -E_INVALID, "unknown field 'inner.x'");
	check_error("{\"hooks\":[1]}", -E_UNSUPPORTED, "'hooks' is not supported");
	g_assert_cmpint(decode("{\"hooks\":[],\"x\":1}", JSON_IGNORE_UNKNOWN, &o, &e), ==, 0);
	json_struct_clear(&outer_struct, &o);
	g_assert_cmpint(json_read("{\n  \"a\": x}", 11, &j, &e), ==, -E_INVALID);
	g_assert_true(g_str_has_prefix(e.text, "invalid JSON at line 2, column "));
	g_assert_cmpint(json_read("\"\\u0000\"", 8, &j, &e), ==, -E_INVALID);
}

/* JSONTestSuite: what begins with y_ is JSON, with n_ isn't, with i_ may be either. */
static void test_suite(void)
{
	g_autofree char *path =
		g_test_build_filename(G_TEST_DIST, "..", "..", "tests", "corpus", "json", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;
	int seen = 0;

	g_assert_nonnull(dir);
	while ((name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *file = g_build_filename(path, name, NULL), *text = NULL;
		json_t *j = NULL;
		gsize n;
		int r;

		if (name[1] != '_' || !g_file_get_contents(file, &text, &n, NULL))
			continue;
		r = json_read(text, n, &j, NULL);
		if (*name != 'i' && (r == 0) != (*name == 'y'))
			g_error("%s: %d", name, r);
		json_decref(j);
		seen++;
	}
	g_assert_cmpint(seen, >, 20);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/json/absent", test_absent);
	g_test_add_func("/json/big", test_big);
	g_test_add_func("/json/pointer", test_pointer);
	g_test_add_func("/json/numbers", test_numbers);
	g_test_add_func("/json/bytes", test_bytes);
	g_test_add_func("/json/errors", test_errors);
	g_test_add_func("/json/suite", test_suite);
	return g_test_run();
}
