/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include "engine/test/test-engine.h"

static void start(struct program *p, const char *line)
{
	g_auto(GStrv) argv = NULL;
	struct err e = { 0 };

	g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
	g_assert_cmpint(program_init(p, argv, &e), ==, 0);
	test_program_run(p, 0);
}

static void test_simple(void)
{
	static const struct {
		const char *line, *out, *err;
		int code;
	} rows[] = {
		{ "true", "", "", 0 },
		{ "/bin/false", "", "", 1 },
		{ "echo a b", "a b\n", "", 0 },
		{ "sh -c 'echo one; err two; exit 7; echo three'", "one\n", "two\n", 7 },
		{ "sh -c 'nosuch'", "", "sh: nosuch: not found\n", 127 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct program p;

		start(&p, rows[i].line);
		g_assert_true(p.over);
		g_assert_cmpstr(p.out->str, ==, rows[i].out);
		g_assert_cmpstr(p.err->str, ==, rows[i].err);
		g_assert_cmpint(p.code, ==, rows[i].code);
		program_clear(&p);
	}
}

static void test_missing(void)
{
	char *none[] = { (char *)"nosuch", NULL }, *file[] = { (char *)"/etc/passwd", NULL };
	struct program p;

	g_assert_cmpint(program_init(&p, none, NULL), ==, -E_COMMAND_NOTFOUND);
	g_assert_cmpint(program_init(&p, file, NULL), ==, -E_COMMAND_NOEXEC);
}

static void test_sleep_and_signals(void)
{
	struct program p;

	start(&p, "sh -c 'trap 9; sleep 5; echo late'");
	g_assert_false(p.over);
	test_program_run(&p, 4999999999);
	g_assert_false(p.over);
	test_program_run(&p, 5000000000);
	g_assert_true(p.over);
	g_assert_cmpstr(p.out->str, ==, "late\n");
	program_clear(&p);

	start(&p, "sh -c 'trap 9; sleep 5'");
	program_signal(&p, SIGWINCH);
	g_assert_false(p.over);
	program_signal(&p, SIGTERM);
	g_assert_cmpint(p.code, ==, 9);
	program_clear(&p);

	start(&p, "sleep 5");
	program_signal(&p, SIGTERM);
	g_assert_cmpint(p.code, ==, 128 + SIGTERM);
	program_clear(&p);
}

static void test_input(void)
{
	struct program p;

	start(&p, "cat");
	program_input(&p, "ab", 2, 0);
	program_input(&p, "c\n", 2, 0);
	g_assert_false(p.over);
	program_input(&p, NULL, 0, 0);
	g_assert_true(p.over);
	g_assert_cmpstr(p.out->str, ==, "abc\n");
	program_clear(&p);

	start(&p, "sh");
	program_input(&p, "echo x\nexi", 10, 0);
	g_assert_cmpstr(p.out->str, ==, "x\n");
	program_input(&p, "t 3\n", 4, 0);
	g_assert_true(p.over);
	g_assert_cmpint(p.code, ==, 3);
	program_clear(&p);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/simple", test_simple);
	g_test_add_func("/missing", test_missing);
	g_test_add_func("/sleep-and-signals", test_sleep_and_signals);
	g_test_add_func("/input", test_input);
	return g_test_run();
}
