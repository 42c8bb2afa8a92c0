/* SPDX-License-Identifier: MIT */
/*
 * Golden tests: a spec in, the plan as `lodge explain` prints it out. TEST_REGEN=1 writes the goldens
 * anew; read the diff. What depends on the host (its cgroup mounts, its security modules) is left out.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "engine/oci/oci.h"
#include "host/steps.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *goldens;

static struct spec *plain(void)
{
	struct spec *s = spec_new();
	static const char *const argv[] = { "/bin/sh", "-c", "echo \"$A\"", NULL };
	static const char *const env[] = { "PATH=/bin", "A=b c", NULL };

	s->argv = g_strdupv((char **)argv);
	s->env = g_strdupv((char **)env);
	s->rootfs = g_strdup("/srv/root");
	s->hostname = g_strdup("box");
	s->caps = 0xa80425fb;
	s->seccomp = g_strdup("unconfined");
	return s;
}

static bool depends_on_host(const char *line)
{
	return strstr(line, "cgroup") || strstr(line, "apparmor") ||
	       strstr(line, "subtree_control");
}

static char *shown(struct spec *s, struct err *e)
{
	struct ctx c = { .root = (char *)"/var/lib/lodge",
		.run = (char *)"/run/lodge",
		.libexec = (char *)"/usr/libexec/lodge",
		.explain = true,
		.trace_fd = -1 };
	_cleanup_(plan_freep) struct plan *p = plan_new(), *net = plan_new();
	struct engine_start at = { .id = ID,
		.name = "box",
		.spec = s,
		.dir = "/var/lib/lodge/guests/box",
		.run_dir = "/run/lodge/guests/box",
		.plan = p,
		.net = net,
		.hosts = "127.0.0.1\tlocalhost\n" };
	g_autoptr(GString) kept = g_string_new(NULL);
	_cleanup_free_ char *text = NULL;
	g_auto(GStrv) lines = NULL;
	size_t n;
	FILE *f;

	plan_add(net, AT_CHILD, &step_link_up, "lo");
	if (oci_plan_start(&c, &at, 0, e) < 0)
		return NULL;
	f = open_memstream(&text, &n);
	plan_show(p, f);
	(void)fclose(f);
	lines = g_strsplit(text, "\n", 0);
	for (char **l = lines; *l; l++)
		if (!depends_on_host(*l) && **l)
			g_string_append_printf(kept, "%s\n", *l);
	return g_string_free(g_steal_pointer(&kept), FALSE);
}

static void compare(struct spec *s, const char *name)
{
	g_autofree char *file = g_strdup_printf("%s/%s.plan", goldens, name), *want = NULL,
			*got = NULL;
	struct err e = { 0 };

	got = shown(s, &e);
	if (!got)
		g_error("%s: %s", name, e.text);
	spec_free(s);
	if (g_getenv("TEST_REGEN")) {
		g_assert_true(g_file_set_contents(file, got, -1, NULL));
		return;
	}
	g_assert_true(g_file_get_contents(file, &want, NULL, NULL));
	g_assert_cmpstr(got, ==, want);
}

static void test_plain(void)
{
	compare(plain(), "plain");
}

static void test_hardened(void)
{
	struct spec *s = plain();

	s->no_new_privs = true;
	s->read_only = true;
	s->caps = 0;
	s->user = g_strdup("33:33");
	s->groups = g_strsplit("44 audio", " ", 0);
	spec_add_rlimit(s, "nofile", 100, UINT64_MAX);
	spec_add_pair(s->sysctls, "net.ipv4.ip_unprivileged_port_start", "0");
	s->oom_score_adj = 500;
	compare(s, "hardened");
}

static void test_mounts(void)
{
	struct spec *s = plain();
	struct spec_mount *m;

	m = spec_add_mount(s, MOUNT_BIND, "/srv/deep", "/data/deep/er");
	m->read_only = true;
	m = spec_add_mount(s, MOUNT_VOLUME, "/var/lib/lodge/volumes/v", "/data");
	m->propagation = g_strdup("rslave");
	m = spec_add_mount(s, MOUNT_TMPFS, NULL, "/tmp");
	m->size = 1 << 20;
	m->mode = 0700;
	s->shm_size = 1 << 20;
	s->tty = true;
	s->init = true;
	compare(s, "mounts");
}

static void test_host_namespaces(void)
{
	struct spec *s = plain();

	s->ns[NS_NET].mode = s->ns[NS_UTS].mode = s->ns[NS_IPC].mode = s->ns[NS_PID].mode = NS_HOST;
	compare(s, "host-namespaces");
}

static void test_joined(void)
{
	struct spec *s = plain();

	s->ns[NS_NET] = (struct spec_ns){ .mode = NS_PATH, .path = g_strdup("/proc/7/ns/net") };
	s->ns[NS_PID] = (struct spec_ns){ .mode = NS_PATH, .path = g_strdup("/proc/7/ns/pid") };
	compare(s, "joined");
}

static void test_mapped(void)
{
	struct spec *s = plain();
	struct spec_idmap m = { 0, 100000, 65536 };

	g_array_append_val(s->uid_map, m);
	g_array_append_val(s->gid_map, m);
	spec_add_mount(s, MOUNT_VOLUME, "/var/lib/lodge/volumes/v", "/data");
	compare(s, "mapped");
}

static void test_refused(void)
{
	static const char *const bad[] = { "/", "/proc", "/proc/sys", "/a/../proc/1" };
	struct err e;

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct spec *s = plain();

		spec_add_mount(s, MOUNT_BIND, "/srv", bad[i]);
		g_assert_null(shown(s, &e));
		g_assert_cmpint(e.code, ==, -E_INVALID);
		spec_free(s);
	}
}

static void test_exec(void)
{
	struct spec *s = plain();
	struct ctx c = { .root = (char *)"/var/lib/lodge", .trace_fd = -1, .explain = true };
	struct engine_start at = { .id = ID, .name = "box", .spec = s };
	static char *argv[] = { (char *)"env", NULL },
		    *env[] = { (char *)"A=new", (char *)"B=1", NULL };
	struct engine_exec x = { .argv = argv, .env = env, .user = (char *)"web" };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	bool seen = false;

	g_assert_cmpint(oci_plan_exec(&c, &at, &x, p, 0, NULL), ==, 0);
	for (unsigned i = 0; i < plan_len(p); i++) {
		const struct step *step = plan_step(p, i);

		if (step->op != &step_env)
			continue;
		seen = true;
		g_assert_cmpuint(step->n, ==, 3);
		g_assert_cmpstr(step->arg[0], ==, "PATH=/bin");
		g_assert_cmpstr(step->arg[1], ==, "A=new");
	}
	g_assert_true(seen);
	spec_free(s);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	goldens = argc > 1 ? argv[1] : "tests/golden/oci";
	g_test_add_func("/oci/plain", test_plain);
	g_test_add_func("/oci/hardened", test_hardened);
	g_test_add_func("/oci/mounts", test_mounts);
	g_test_add_func("/oci/host-namespaces", test_host_namespaces);
	g_test_add_func("/oci/joined", test_joined);
	g_test_add_func("/oci/mapped", test_mapped);
	g_test_add_func("/oci/refused", test_refused);
	g_test_add_func("/oci/exec", test_exec);
	return g_test_run();
}
