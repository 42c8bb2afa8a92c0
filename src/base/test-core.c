/* SPDX-License-Identifier: MIT */

/* Errors, text in fixed memory, the context. */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "base/ctx.h"
#include "base/err.h"
#include "base/text.h"

static void test_err(void)
{
	struct err e = {};

	g_assert_cmpint(err_set(&e, -E_NOTFOUND, "no such guest '%s'", "web"), ==, -E_NOTFOUND);
	g_assert_cmpstr(e.text, ==, "no such guest 'web'");
	g_assert_cmpint(err_mend(&e, "see 'lodge ls'"), ==, -E_NOTFOUND);
	g_assert_cmpstr(e.mend, ==, "see 'lodge ls'");
	g_assert_cmpint(err_prefix(&e, "cannot start"), ==, -E_NOTFOUND);
	g_assert_cmpstr(e.text, ==, "cannot start: no such guest 'web'");
	g_assert_cmpint(err_sys(&e, -ENOENT, "cannot open '%s'", "/x"), ==, -ENOENT);
	g_assert_cmpstr(e.text, ==, "cannot open '/x': No such file or directory");
	g_assert_cmpstr(e.mend, ==, "");
	g_assert_cmpint(err_set(NULL, -EIO, "not wanted"), ==, -EIO);
	g_assert_cmpint(err_sys(NULL, -EIO, "not wanted"), ==, -EIO);
}

static void test_err_long(void)
{
	g_autofree char *text = g_strnfill(3 * ERR_TEXT_MAX, 'x');
	struct err e = {};

	err_set(&e, -EIO, "%s", text);
	g_assert_cmpuint(strlen(e.text), ==, ERR_TEXT_MAX - 1);
	err_prefix(&e, "%s", text);
	g_assert_cmpuint(strlen(e.text), ==, ERR_TEXT_MAX - 1);
	err_sys(&e, -EIO, "%s", text);
	g_assert_cmpuint(strlen(e.text), ==, ERR_TEXT_MAX - 1);
	err_mend(&e, "%s", text);
	g_assert_cmpuint(strlen(e.mend), ==, ERR_MEND_MAX - 1);
}

static void test_err_codes(void)
{
	g_assert_cmpstr(err_name(-ENOENT), ==, "ENOENT");
	g_assert_cmpstr(err_name(ENOENT), ==, "ENOENT");
	g_assert_cmpstr(err_name(-E_USAGE), ==, "E_USAGE");
	g_assert_cmpstr(err_name(-5000), ==, "E_UNKNOWN");
	g_assert_cmpstr(err_words(-E_INUSE), ==, "in use");
	for (int code = E_FIRST; code < _E_END; code++) {
		g_assert_nonnull(err_name(code));
		g_assert_nonnull(err_words(-code));
	}
	g_assert_cmpint(err_kind(-E_EXISTS), ==, ERR_KIND_CONFLICT);
	g_assert_cmpint(err_kind(-EPERM), ==, ERR_KIND_SYSTEM);
	g_assert_cmpint(err_kind(-E_COMMAND_NOEXEC), ==, ERR_KIND_COMMAND);
}

static void test_text(void)
{
	char memory[16];
	struct text t = TEXT_ON(memory);

	text_add(&t, "abc");
	text_addf(&t, "%d", 42);
	g_assert_cmpstr(memory, ==, "abc42");
	g_assert_false(t.cut);
	text_add(&t, "0123456789");
	g_assert_cmpstr(memory, ==, "abc420123456789");
	g_assert_false(t.cut);
	text_add(&t, "x");
	g_assert_cmpstr(memory, ==, "abc420123456789");
	g_assert_true(t.cut);
}

static void check_word(const char *word, const char *want)
{
	char memory[64];
	struct text t = TEXT_ON(memory);

	text_add_word(&t, word);
	g_assert_cmpstr(memory, ==, want);
}

static void test_words(void)
{
	check_word("plain-1.0/x", "plain-1.0/x");
	check_word("", "''");
	check_word("a b", "'a b'");
	check_word("it's", "'it'\\''s'");
	check_word("'", "''\\'''");
	check_word("$HOME", "'$HOME'");
}

static void touch_program(const char *dir, const char *below)
{
	g_autofree char *path = g_build_filename(dir, below, NULL);
	g_autofree char *folder = g_path_get_dirname(path);

	g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
	g_assert_true(g_file_set_contents_full(path, "", 0, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

static void check_program(const struct ctx *c, const char *name, const char *dir, const char *below)
{
	g_autofree char *got = ctx_program(c, name), *want = g_build_filename(dir, below, NULL);

	g_assert_cmpstr(got, ==, want);
}

static void test_ctx(void)
{
	g_autofree char *dir = g_dir_make_tmp("lodge-test-XXXXXX", NULL), *slash = NULL;
	struct ctx c;

	slash = g_strconcat(dir, "/./", NULL);
	g_setenv("LODGE_ROOT", slash, TRUE);
	g_setenv("LODGE_RUN", "relative/run/", TRUE);
	g_setenv("LODGE_LIBEXEC", dir, TRUE);
	g_setenv("LODGE_TRACE", "json", TRUE);
	g_setenv("LODGE_ENGINE", "test", TRUE);
	ctx_init(&c);
	g_assert_cmpstr(c.root, ==, dir);
	g_assert_true(g_path_is_absolute(c.run));
	g_assert_true(g_str_has_suffix(c.run, "/relative/run"));
	g_assert_cmpint(c.trace_fd, ==, 2);
	g_assert_cmpstr(c.engine, ==, "test");
	g_assert_null(c.store);

	check_program(&c, "lodge-monitor", dir, "lodge-monitor");
	touch_program(dir, "monitor/lodge-monitor");
	check_program(&c, "lodge-monitor", dir, "monitor/lodge-monitor");
	touch_program(dir, "lodge-monitor");
	check_program(&c, "lodge-monitor", dir, "lodge-monitor");
	ctx_done(&c);

	g_setenv("LODGE_ROOT", "", TRUE);
	g_unsetenv("LODGE_RUN");
	g_unsetenv("LODGE_TRACE");
	g_unsetenv("LODGE_ENGINE");
	ctx_init(&c);
	g_assert_true(g_path_is_absolute(c.root) && g_path_is_absolute(c.run));
	if (c.is_root) {
		g_assert_cmpstr(c.root, ==, "/var/lib/lodge");
		g_assert_cmpstr(c.run, ==, "/run/lodge");
	}
	g_assert_cmpint(c.trace_fd, ==, -1);
	g_assert_cmpstr(c.engine, ==, "oci");
	ctx_done(&c);
	g_assert_cmpint(g_chdir(dir), ==, 0);
	(void)g_remove("lodge-monitor");
	(void)g_remove("monitor/lodge-monitor");
	(void)g_remove("monitor");
	(void)g_remove(dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/err/text", test_err);
	g_test_add_func("/err/long", test_err_long);
	g_test_add_func("/err/codes", test_err_codes);
	g_test_add_func("/text/add", test_text);
	g_test_add_func("/text/words", test_words);
	g_test_add_func("/ctx/folders", test_ctx);
	return g_test_run();
}
