/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/mountflags.h"
#include "host/path.h"
#include "host/steps.h"
#include "host/users.h"

static const step_table *const tables[] = { &host_steps, NULL };

static char *temp_dir(void)
{
	char *d = g_strdup("/tmp/lodge-test-XXXXXX");

	g_assert_nonnull(g_mkdtemp(d));
	return d;
}

static void remove_dir(char *d)
{
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
	g_free(d);
}

/* What is stored comes back the same, and anything else is refused. */
static void test_encode(void)
{
	_cleanup_(plan_freep) struct plan *p = plan_new(), *q = NULL, *cut = NULL;
	_cleanup_free_ char *data = NULL, *again = NULL;
	size_t size, n;

	plan_add(p, AT_HOST, &step_mkdir, "/a b\n'c'", "700");
	plan_addf(p, AT_HOST, STEP_HOLD, &step_symlink, "", "/x", NULL);
	plan_add(p, AT_CHILD, &step_exec, "sh", "-c", "echo \"$1\"", "");
	g_assert_cmpint(plan_encode(p, &data, &size), ==, 0);
	g_assert_cmpint(plan_decode(data, size, tables, &q), ==, 0);
	g_assert_cmpuint(plan_len(q), ==, 3);
	g_assert_cmpstr(plan_step(q, 0)->arg[0], ==, "/a b\n'c'");
	g_assert_cmpuint(plan_step(q, 1)->flags, ==, STEP_HOLD);
	g_assert_cmpuint(plan_step(q, 2)->n, ==, 4);
	g_assert_null(plan_step(q, 2)->arg[4]);
	g_assert_cmpint(plan_encode(q, &again, &n), ==, 0);
	g_assert_cmpmem(data, size, again, n);
	for (size_t i = 0; i < size; i++)
		if (plan_decode(data, i, tables, &cut) == 0) {
			/* only at the end of a step */
			g_assert_cmpuint(plan_len(cut), <, 3);
			plan_free(cut);
			cut = NULL;
		}
}

static void test_hostile(void)
{
	static const char *const bad[] = { "", "lodge plan 2\n", "lodge plan 1\n0 0 nothing 0\n",
		"lodge plan 1\n9 0 mkdir 2\na\0b\0", "lodge plan 1\n0 0 mkdir 1\n/a\0",
		"lodge plan 1\n0 0 mkdir 4000000000\n/a\0", "lodge plan 1\n0 0 mkdir 2\n/a" };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct plan *p = NULL;

		g_assert_cmpint(plan_decode(bad[i], strlen(bad[i]), tables, &p), ==, -E_CORRUPT);
		g_assert_null(p);
	}
}

/* A failing step: what was done is undone in reverse, what wasn't done isn't touched, and e names it. */
static void test_rollback(void)
{
	char *d = temp_dir();
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *one = g_build_filename(d, "one", NULL),
			*two = g_build_filename(one, "two", NULL);
	g_autofree char *theirs = g_build_filename(d, "theirs", NULL),
			*after = g_build_filename(d, "after", NULL);
	struct step_run r;
	struct err e;

	g_assert_cmpint(mkdir(theirs, 0700), ==, 0);
	g_assert_cmpint(mkdir(after, 0700), ==, 0);
	plan_add(p, AT_HOST, &step_mkdir, one, "700");
	plan_add(p, AT_HOST, &step_mkdir, two, "700");
	plan_add(p, AT_HOST, &step_mkdir, theirs, "700"); /* is there: fails, and must stay */
	plan_add(p, AT_HOST, &step_tree, after, "700");
	step_run_init(&r, p);
	g_assert_cmpint(plan_run(&r, &e), ==, -EEXIST);
	g_assert_nonnull(strstr(e.text, theirs));
	g_assert_true(g_str_has_prefix(e.text, "mkdir '"));
	g_assert_cmpuint(r.failed, ==, 2);
	step_run_done(&r);
	g_assert_false(g_file_test(one, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(theirs, G_FILE_TEST_IS_DIR));
	g_assert_true(g_file_test(after, G_FILE_TEST_IS_DIR));
	remove_dir(d);
}

/* A plan that ran is undone by another process that only has its stored form. */
static void test_undo_from_store(void)
{
	char *d = temp_dir();
	_cleanup_(plan_freep) struct plan *p = plan_new(), *q = NULL;
	g_autofree char *a = g_build_filename(d, "a", NULL), *l = g_build_filename(d, "l", NULL);
	_cleanup_free_ char *data = NULL;
	struct step_run r;
	size_t size;

	plan_add(p, AT_HOST, &step_tree, a, "700");
	plan_addf(p, AT_HOST, STEP_HOLD, &step_symlink, "guest", l, NULL);
	g_assert_cmpint(plan_encode(p, &data, &size), ==, 0);
	g_assert_cmpint(plan_decode(data, size, tables, &q), ==, 0);
	for (int ran = 0; ran < 2; ran++) { /* the second time nothing was done before */
		step_run_init(&r, q);
		if (!ran)
			g_assert_cmpint(plan_run(&r, NULL), ==, 0);
		g_assert_cmpint(plan_undo(&r, UNDO_RESTART, NULL), ==, 0);
		if (!ran)
			g_assert_true(g_file_test(l, G_FILE_TEST_IS_SYMLINK)); /* held */
		g_assert_cmpint(plan_undo(&r, UNDO_ENDED, NULL), ==, 0);
		g_assert_false(g_file_test(l, G_FILE_TEST_IS_SYMLINK));
		g_assert_false(g_file_test(a, G_FILE_TEST_EXISTS));
	}
	/* somebody else's link of the same name stays */
	g_assert_cmpint(symlink("other", l), ==, 0);
	g_assert_cmpint(plan_undo(&r, UNDO_ENDED, NULL), ==, 0);
	g_assert_true(g_file_test(l, G_FILE_TEST_IS_SYMLINK));
	remove_dir(d);
}

/* Links of a hostile root lead nowhere else. */
static void test_paths(void)
{
	char *d = temp_dir();
	g_autofree char *root = g_build_filename(d, "root", NULL),
			*out = g_build_filename(d, "out", NULL);
	g_autofree char *l1 = g_build_filename(root, "abs", NULL),
			*l2 = g_build_filename(root, "up", NULL);
	g_autofree char *made = g_build_filename(out, "x", NULL);
	_cleanup_close_ int fd = -1;
	int k;

	g_assert_cmpint(mkdir(root, 0700), ==, 0);
	g_assert_cmpint(mkdir(out, 0700), ==, 0);
	g_assert_cmpint(symlink(out, l1), ==, 0);
	g_assert_cmpint(symlink("../out", l2), ==, 0);
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	k = path_mkdirs_in(fd, "/up/x/y", 0755, 0);
	g_assert_cmpint(k, <, 0);
	k = path_touch_in(fd, "/abs/x", 0644);
	g_assert_cmpint(k, <, 0);
	g_assert_false(g_file_test(made, G_FILE_TEST_EXISTS));
	k = path_mkdirs_in(fd, "/../../a/b", 0755, 0);
	g_assert_cmpint(k, >=, 0);
	(void)close(k);
	g_assert_cmpint(path_open_in(fd, "/abs", O_PATH, 0, PATH_NOFOLLOW_LAST), ==, -ELOOP);
	remove_dir(d);
}

static void test_users(void)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n"
				     "1000:x:7:8::/seven:\nbroken:x:a:b\n:x:5:5::/:\n";
	static const char group[] = "root:x:0:\nlog:x:44:web,other\nvideo:x:45:web\nempty:x:46:\n";
	struct user_ids u;
	struct err e;

	g_assert_cmpint(users_resolve_in(passwd, group, "", "", &u, &e), ==, 0);
	g_assert_cmpuint(u.uid, ==, 0);
	g_assert_cmpstr(u.home, ==, "/root");
	g_assert_cmpint(users_resolve_in(passwd, group, "web", "empty,99", &u, &e), ==, 0);
	g_assert_cmpuint(u.uid, ==, 33);
	g_assert_cmpuint(u.gid, ==, 34);
	g_assert_cmpuint(u.n_groups, ==, 4);
	g_assert_cmpint(users_resolve_in(passwd, group, "web:log", "", &u, &e), ==, 0);
	g_assert_cmpuint(u.gid, ==, 44);
	g_assert_cmpuint(u.n_groups, ==, 0);
	g_assert_cmpint(users_resolve_in(passwd, group, "1000", "", &u, &e), ==, 0);
	g_assert_cmpuint(u.uid, ==, 7);
	g_assert_cmpint(users_resolve_in(passwd, group, "5000:5001", "", &u, &e), ==, 0);
	g_assert_cmpuint(u.uid, ==, 5000);
	g_assert_cmpuint(u.gid, ==, 5001);
	g_assert_cmpstr(u.home, ==, "/");
	g_assert_cmpint(users_resolve_in(passwd, group, "nobody", "", &u, &e), ==, -E_NOTFOUND);
	g_assert_cmpint(
		users_resolve_in(passwd, group, "web:nogroup", "", &u, &e), ==, -E_NOTFOUND);
	g_assert_cmpint(users_resolve_in(passwd, group, "4294967295", "", &u, &e), ==, -E_NOTFOUND);
}

static void test_mount_words(void)
{
	struct mount_words w;
	char data[32];

	g_assert_cmpint(
		mount_words_parse("rbind,rro,rslave,size=1m,noexec,exec", &w, data, sizeof(data)),
		==, 0);
	g_assert_true(w.recursive && w.recursive_attr);
	g_assert_cmpstr(data, ==, "size=1m");
	g_assert_cmpuint(w.attr_set & 8, ==, 0);
	g_assert_cmpint(
		mount_words_parse("a=0123456789,b=0123456789,c=0123456789", &w, data, sizeof(data)),
		==, -ENAMETOOLONG);
}

/* Each operation is whole, and its name is there once. */
static void test_table(void)
{
	g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

	for (unsigned i = 0; host_steps[i]; i++) {
		const struct step_ops *op = host_steps[i];

		g_assert_nonnull(op->run);
		g_assert_nonnull(op->show);
		g_assert_nonnull(op->args);
		g_assert_cmpuint(strcspn(op->name, " \n"), ==, strlen(op->name));
		g_assert_true(g_hash_table_add(names, (gpointer)op->name));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/plan/encode", test_encode);
	g_test_add_func("/plan/hostile", test_hostile);
	g_test_add_func("/plan/rollback", test_rollback);
	g_test_add_func("/plan/undo-from-store", test_undo_from_store);
	g_test_add_func("/plan/table", test_table);
	g_test_add_func("/path/hostile", test_paths);
	g_test_add_func("/users", test_users);
	g_test_add_func("/mount-words", test_mount_words);
	return g_test_run();
}
