/* SPDX-License-Identifier: MIT */
/* The host's side of what is inside of a machine: its words, the rules of cp, archives that aren't to be trusted. */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/tar.h"
#include "guest/guest-priv.h"
#include "guest/machine-text.h"
#include "guest/tartree.h"
#include "host/path.h"

#define TEXT(s) (s), sizeof(s) - 1

static void test_stat(void)
{
	g_autofree char *target = NULL, *link = NULL;
	static const char *const bad[] = { "", "\n", "100644 7 0 0 1\n", "100644 7 0 0 1 ",
		"100648 7 0 0 1 \n", "200000 7 0 0 1 \n", "x 7 0 0 1 \n", "100644 -7 0 0 1 \n",
		"100644 7 0 0  \n", "120777 1 0 0 1 \n", "100644 99999999999999999999 0 0 1 \n" };
	mode_t mode = 0;

	g_assert_cmpint(machine_stat_parse(TEXT("100644 7 0 0 17 \n"), &mode, &target), ==, 0);
	g_assert_cmpuint(mode, ==, S_IFREG | 0644);
	g_assert_cmpstr(target, ==, "");
	/* a name may have anything in it but NUL */
	g_assert_cmpint(machine_stat_parse(TEXT("120777 4 0 0 -17 a \nb\n"), &mode, &link), ==, 0);
	g_assert_cmpstr(link, ==, "a \nb");
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		char *none = NULL;

		if (i == 2) /* the last blank is for the target, and may be missing */
			continue;
		g_test_message("%s", bad[i]);
		g_assert_cmpint(
			machine_stat_parse(bad[i], strlen(bad[i]), &mode, &none), ==, -E_CORRUPT);
		g_assert_null(none);
	}
	g_assert_cmpint(
		machine_stat_parse(TEXT("120777 4 0 0 1 a\0b\n"), &mode, &target), ==, -E_CORRUPT);
}

static char *changes(const char *text)
{
	json_t *all = NULL, *one;
	GString *s = g_string_new(NULL);
	size_t i;

	if (machine_changes_parse(text, strlen(text), &all) < 0)
		return g_string_free(g_string_assign(s, "corrupt"), FALSE);
	json_array_foreach(all, i, one)
		g_string_append_printf(s, "%d%s,",
			(int)json_integer_value(json_object_get(one, "Kind")),
			json_string_value(json_object_get(one, "Path")));
	json_decref(all);
	return g_string_free(s, FALSE);
}

static void test_changes(void)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "A /a\nC /b\nD /c\n", "1/a,0/b,2/c," },
		{ "A /a\\nb\\\\c\n", "1/a\nb\\c," },
		/* what every guest gets from us */
		{ "A /dev\nC /etc\nA /etc/hosts\nA /etc/resolv.conf\nA /proc\nA /x\n", "1/x," },
		{ "C /etc\nA /etc/hosts\nC /etc/passwd\n", "0/etc,0/etc/passwd," },
		{ "C /etc\nC /etc/hosts\n", "0/etc,0/etc/hosts," },
		{ "C /etc\n", "0/etc," },
		{ "D /etc\n", "2/etc," },
		{ "A /a", "corrupt" },
		{ "A a\n", "corrupt" },
		{ "X /a\n", "corrupt" },
		{ "A\n", "corrupt" },
		{ "\n", "corrupt" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *got = changes(cases[i][0]);

		g_assert_cmpstr(got, ==, cases[i][1]);
	}
}

static char *processes(const char *text)
{
	json_t *table = NULL, *row, *cell;
	GString *s = g_string_new(NULL);
	size_t i, k;

	/* noon: no zone's date changes within the machine's age */
	if (machine_ps_parse(text, strlen(text), INT64_C(1700049600000000000), &table) < 0)
		return g_string_free(g_string_assign(s, "corrupt"), FALSE);
	g_assert_cmpuint(json_array_size(json_object_get(table, "Titles")), ==, 8);
	json_array_foreach(json_object_get(table, "Processes"), i, row) {
		json_array_foreach(row, k, cell)
			if (k != 4) /* by the zone of the host */
				g_string_append_printf(s, "%s|", json_string_value(cell));
	}
	json_decref(table);
	return g_string_free(s, FALSE);
}

static void test_ps(void)
{
	static const char *const cases[][2] = {
		{ "up 100\n", "" },
		{ "up 1100\n1 0 0 100 200 300 0 \"sh\" \"sh -c x\"\n",
			"root|1|0|50|?|00:00:05|sh -c x|" },
		{ "up 1100\n7 1 1000 1200 0 0 34817 \"a b\" \"\"\n",
			"1000|7|1|0|pts/1|00:00:00|[a b]|" },
		{ "up 5\n2 1 0 5 36000000 0 1088 \"x\" \"\\x1b[31m \\\"q\\\" \\\\\"\n",
			"root|2|1|99|ttyS0|4-04:00:00|?[31m \"q\" \\|" },
		{ "", "corrupt" },
		{ "1 0 0 100 200 300 0 \"sh\" \"sh\"\n", "corrupt" },
		{ "up 5\n1 0 0 100 200 300 0 \"sh\" \"sh\n", "corrupt" },
		{ "up 5\n1 0 0 100 200 300 0 \"sh\" \"sh\"x\n", "corrupt" },
		{ "up 5\n1 0 0 100 200 300 0 sh \"sh\"\n", "corrupt" },
		{ "up 5\n1 0 0 -1 200 300 0 \"sh\" \"sh\"\n", "corrupt" },
		{ "up 5\n1 0 0 1 2 3 0 \"sh\" \"sh\"", "corrupt" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *got = processes(cases[i][0]);

		g_assert_cmpstr(got, ==, cases[i][1]);
	}
}

/* docker-cli's reference, "container cp". */
static void test_target(void)
{
	static const struct {
		const char *source;
		bool folder, whole;
		const char *path;
		bool exists, is_folder;
		int code;
		const char *name; /* NULL: the path itself */
	} cases[] = {
		{ "/a/f", false, false, "x", false, false, 0, NULL },
		{ "/a/f", false, false, "x/", false, false, -E_NOTFOUND, NULL },
		{ "/a/f", false, false, "x", true, false, 0, NULL },
		{ "/a/f", false, false, "x/", true, false, -E_INVALID, NULL },
		{ "/a/f", false, false, "x", true, true, 0, "f" },
		{ "/a", true, false, "x", false, false, 0, NULL },
		{ "/a", true, false, "x/", false, false, 0, NULL },
		{ "/a", true, false, "x", true, false, -E_INVALID, NULL },
		{ "/a/", true, false, "x", true, true, 0, "a" },
		{ "/a/.", true, false, "x", true, true, 0, "." },
		{ "/a/.", true, false, "x", false, false, 0, NULL },
		{ "/", true, true, "x", true, true, 0, "." },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct copy_goal goal = { 0 };
		struct err e = { 0 };
		int r = copy_target(cases[i].source, cases[i].folder, cases[i].whole, cases[i].path,
			cases[i].exists, cases[i].is_folder, &goal, &e);

		g_assert_cmpint(r, ==, cases[i].code);
		g_assert_cmpstr(goal.name, ==, cases[i].name);
		g_assert_true(goal.contents == (goal.name && g_str_equal(goal.name, ".")));
		g_free(goal.name);
	}
}

/* --- archives of somebody who wants out --- */

struct entry {
	enum tar_type type;
	const char *path, *target;
};

static GByteArray *archive(const struct entry *list)
{
	GByteArray *a = g_byte_array_new();

	for (; list->path; list++) {
		struct tar_entry t = { .type = list->type,
			.path = list->path,
			.target = list->target ? list->target : "",
			.mode = list->type == TAR_DIR ? 0755 : 0644,
			.uid = getuid(),
			.gid = getgid(),
			.size = list->type == TAR_FILE ? 4 : 0 };

		g_assert_cmpint(tar_put_entry(a, &t, NULL), ==, 0);
		if (t.size) {
			g_byte_array_append(a, (const guint8 *)"evil", 4);
			tar_put_padding(a, 4);
		}
	}
	tar_put_end(a);
	return a;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Copies into FOLDER/in; the names that are in FOLDER and in FOLDER/in afterwards. */
static int copy(const struct entry *list, const char *only, char **ret_outside, char **ret_inside)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *in = g_build_filename(d, "in", NULL);
	g_autoptr(GByteArray) a = archive(list);
	struct tar_tree_owner owner = { true, 0, 0 };
	struct tar_copy *t;
	char **const rets[] = { ret_outside, ret_inside };
	int fd, r;

	g_assert_cmpint(mkdir(in, 0755), ==, 0);
	fd = open(in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t = tar_copy_new(fd, &owner, only, 0);
	r = tar_copy_put(t, a->data, a->len, NULL);
	if (r >= 0)
		r = tar_copy_end(t, NULL);
	tar_copy_free(t);
	(void)close(fd);
	for (int i = 0; i < 2; i++) {
		GDir *l = g_dir_open(i ? in : d, 0, NULL);
		g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
		const char *name;

		while ((name = g_dir_read_name(l)))
			g_ptr_array_add(names, g_strdup(name));
		g_ptr_array_sort(names, by_name);
		g_ptr_array_add(names, NULL);
		*rets[i] = g_strjoinv(" ", (char **)names->pdata);
		g_dir_close(l);
	}
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
	return r;
}

static void test_copy(void)
{
	static const struct {
		struct entry list[4];
		const char *only;
		int code;
		const char *inside;
	} cases[] = {
		{ { { TAR_DIR, "./" }, { TAR_FILE, "./a" } }, NULL, 0, "a" },
		{ { { TAR_FILE, "whatever" } }, "name", 0, "name" },
		{ { { TAR_SYMLINK, "x", "/etc/passwd" } }, "name", 0, "name" },
		/* out of the folder */
		{ { { TAR_FILE, "../../a" } }, NULL, 0, "a" },
		{ { { TAR_FILE, "/a" } }, NULL, 0, "a" },
		{ { { TAR_SYMLINK, "l", ".." }, { TAR_FILE, "l/a" } }, NULL, 0, "a l" },
		{ { { TAR_SYMLINK, "l", "/" }, { TAR_FILE, "l/a" } }, NULL, 0, "a l" },
		/* one file was asked for */
		{ { { TAR_FILE, "a" }, { TAR_FILE, "b" } }, "name", -E_CORRUPT, "name" },
		{ { { TAR_DIR, "name" }, { TAR_FILE, "name/a" } }, "name", -E_CORRUPT, "" },
		{ { { TAR_HARDLINK, "name", "/etc/passwd" } }, "name", -E_CORRUPT, "" },
		{ { { 0 } }, "name", -E_CORRUPT, "" },
		/* a link in the place of a folder */
		{ { { TAR_SYMLINK, "d", "." }, { TAR_DIR, "d" } }, NULL, -E_INVALID, "d" },
		{ { { TAR_DIR, "d" }, { TAR_FILE, "d" } }, NULL, -E_INVALID, "d" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *outside = NULL, *inside = NULL;
		int r = copy(cases[i].list, cases[i].only, &outside, &inside);

		g_test_message("%u", i);
		g_assert_cmpint(r, ==, cases[i].code);
		g_assert_cmpstr(outside, ==, "in");
		g_assert_cmpstr(inside, ==, cases[i].inside);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/guest/machine/stat", test_stat);
	g_test_add_func("/guest/machine/changes", test_changes);
	g_test_add_func("/guest/machine/ps", test_ps);
	g_test_add_func("/guest/cp/target", test_target);
	g_test_add_func("/guest/cp/untrusted", test_copy);
	return g_test_run();
}
