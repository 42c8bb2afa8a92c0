/* SPDX-License-Identifier: MIT */
#include "host/probe.h"

#include <glib.h>
#include <string.h>

static void test_find_drop(void)
{
	static const char docker[] = "table inet lodge {\n"
				     "\tchain forward {\n"
				     "\t\ttype filter hook forward priority filter; policy drop;\n"
				     "\t}\n}\n"
				     "table ip filter {\n"
				     "\tchain INPUT {\n"
				     "\t\ttype filter hook input priority filter; policy drop;\n"
				     "\t}\n"
				     "\tchain FORWARD {\n"
				     "\t\ttype filter hook forward priority filter; policy drop;\n"
				     "\t\tcounter packets 0 bytes 0 jump DOCKER-USER\n"
				     "\t}\n}\n";
	static const char harmless[] =
		"table ip filter {\n\tchain FORWARD {\n"
		"\t\ttype filter hook forward priority filter; policy accept;\n"
		"\t\tmeta mark 1 drop\n\t}\n"
		"\tchain other {\n\t\tpolicy drop hook forward\n\t}\n}\n"
		"table bridge x {\n\tchain f {\n"
		"\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
	char chain[192];

	g_assert_true(probe_find_drop(docker, chain, sizeof(chain)));
	g_assert_cmpstr(chain, ==, "table ip filter, chain FORWARD");
	g_assert_false(probe_find_drop(harmless, chain, sizeof(chain)));
	g_assert_false(probe_find_drop("", chain, sizeof(chain)));
	g_assert_false(probe_find_drop("table\nchain\ntype", chain, sizeof(chain)));
}

static int seven(void)
{
	return 7;
}

static int hangs(void)
{
	for (;;)
		pause();
	return 0;
}

static int dies(void)
{
	abort();
}

static void test_try(void)
{
	g_assert_cmpint(probe_try(seven, 5000), ==, 7);
	g_assert_cmpint(probe_try(hangs, 50), ==, -ETIMEDOUT);
	g_assert_cmpint(probe_try(dies, 5000), ==, -EFAULT);
}

/* On any machine: every row has its words, those that aren't ok have a mend, names are there once. */
static void test_all(void)
{
	g_autofree struct probes *p = g_new0(struct probes, 1);
	static const char *const must[] = { "kernel", "namespaces", "cgroups", "overlay", "erofs",
		"seccomp", "storage", "programs", "kvm", "firewall" };

	probe_all(p, "/var/lib/lodge-not-there", "/run/lodge-not-there");
	for (size_t i = 0; i < p->n; i++) {
		g_assert_cmpstr(p->row[i].name, !=, "");
		g_assert_cmpstr(p->row[i].detail, !=, "");
		g_assert_cmpint(p->row[i].status == PROBE_OK, ==, p->row[i].mend[0] == '\0');
		for (size_t k = 0; k < i; k++)
			g_assert_cmpstr(p->row[i].name, !=, p->row[k].name);
	}
	for (size_t m = 0; m < G_N_ELEMENTS(must); m++) {
		bool found = false;

		for (size_t i = 0; i < p->n; i++)
			found |= strcmp(p->row[i].name, must[m]) == 0;
		if (!found)
			g_error("no row '%s'", must[m]);
	}
	g_assert_false(g_file_test("/var/lib/lodge-not-there", G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/probe/find-drop", test_find_drop);
	g_test_add_func("/probe/try", test_try);
	g_test_add_func("/probe/all", test_all);
	return g_test_run();
}
