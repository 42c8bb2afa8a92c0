/* SPDX-License-Identifier: MIT */
/* Cgroups of this machine, whatever its mode: run by root, here and in a test machine with v2. */
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "host/cgroup.h"
#include "host/clone.h"
#include "host/steps.h"

static char *path;

static bool unable(void)
{
	if (geteuid() == 0 && cgroup_host()->mode != CGROUP_NONE)
		return false;
	g_test_skip("needs root and cgroups");
	return true;
}

static void ok(int r, const struct err *e)
{
	if (r < 0)
		g_error("%s; %s", e->text, e->mend);
}

static bool have(enum cgroup_controller c)
{
	return cgroup_controllers(cgroup_host()) & CGROUP_BIT(c);
}

static void set(const char *key, const char *value)
{
	struct err e = { 0 };

	ok(cgroup_set(path, key, value, &e), &e);
}

static char *get(enum cgroup_controller c, const char *v1, const char *v2)
{
	char dir[CGROUP_DIR_MAX], *text;
	bool is_v2;

	g_assert_cmpint(cgroup_dir(cgroup_host(), path, c, dir, &is_v2), ==, 0);
	g_autofree char *file = g_strconcat(dir, "/", is_v2 ? v2 : v1, NULL);
	g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
	return g_strchomp(text);
}

/* A process in the cgroup that runs f; joined as a guest's first process is. */
static pid_t spawn(int (*f)(void))
{
	int fd = cgroup_open(path), pidfd = -1;
	struct err e = { 0 };
	pid_t pid = clone_guest("", fd, &pidfd);

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		if (cgroup_join(path, false, &e) < 0)
			_exit(99);
		_exit(f());
	}
	if (fd >= 0)
		close(fd);
	close(pidfd);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void create(const char *controllers)
{
	struct err e = { 0 };

	ok(cgroup_create(path, cgroup_controllers_parse(controllers), &e), &e);
	g_assert_true(cgroup_exists(path));
}

static void removed(void)
{
	struct err e = { 0 };

	ok(cgroup_remove(path, &e), &e);
	g_assert_false(cgroup_exists(path));
}

static const char all[] = "cpu,cpuacct,cpuset,memory,pids,io,devices,freezer,hugetlb";

_Noreturn static int sleeper(void)
{
	for (;;)
		pause();
}

static void wait_for_procs(size_t n)
{
	for (int i = 0; i < 2000; i++) {
		g_autofree pid_t *pids = NULL;
		size_t k = 0;

		if (cgroup_procs(path, &pids, &k) == 0 && k >= n)
			return;
		g_usleep(1000);
	}
	g_error("processes didn't appear");
}

static void test_life(void)
{
	g_autofree char *below = g_strconcat(path, "/below/deep", NULL);
	g_autofree pid_t *pids = NULL;
	struct err e = { 0 };
	size_t n = 0;
	pid_t pid;

	if (unable())
		return;
	removed(); /* of what was never made: no error */
	create(all);
	create(all); /* again: kept */
	removed();
	create(all);
	ok(cgroup_create(below, 0, &e), &e); /* as a guest does that manages its own */
	pid = spawn(sleeper);
	wait_for_procs(1);
	g_assert_cmpint(cgroup_procs(path, &pids, &n), ==, 0);
	g_assert_cmpuint(n, ==, 1);
	g_assert_cmpint(pids[0], ==, pid);
	removed(); /* kills it, and goes through what lies below */
	g_assert_cmpint(status_of(pid), ==, 128 + SIGKILL);
	g_assert_cmpint(cgroup_create("../x", 0, &e), ==, -E_INVALID);
	g_assert_cmpint(cgroup_procs(path, &pids, &n), ==, -ENOENT);
}

static void test_freeze(void)
{
	struct err e = { 0 };
	pid_t pid;

	if (unable())
		return;
	create(all);
	pid = spawn(sleeper);
	wait_for_procs(1);
	g_assert_false(cgroup_frozen(path));
	ok(cgroup_freeze(path, true, &e), &e);
	g_assert_true(cgroup_frozen(path));
	ok(cgroup_freeze(path, false, &e), &e);
	g_assert_false(cgroup_frozen(path));
	ok(cgroup_freeze(path, true, &e), &e);
	removed(); /* frozen ones too */
	g_assert_cmpint(status_of(pid), ==, 128 + SIGKILL);
}

static int forker(void)
{
	for (int i = 0; i < 8; i++) {
		pid_t pid = fork();

		if (pid == 0)
			sleeper();
		if (pid < 0)
			return i;
	}
	return 100;
}

static void test_pids(void)
{
	struct cgroup_stats s;

	if (unable() || !have(CGROUP_PIDS))
		return;
	create(all);
	set("pids", "4");
	g_assert_cmpint(status_of(spawn(forker)), ==, 3);
	g_assert_cmpint(cgroup_stats(path, &s), ==, 0);
	g_assert_cmpuint(s.pids, ==, 3);
	g_assert_cmpuint(s.pids_limit, ==, 4);
	set("pids", "-1");
	g_assert_cmpint(cgroup_stats(path, &s), ==, 0);
	g_assert_cmpuint(s.pids_limit, ==, UINT64_MAX);
	removed();
}

static int eater(void)
{
	size_t size = 64 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 1, size);
	return 0;
}

static void test_memory(void)
{
	struct err e = { 0 };
	struct cgroup_stats s;
	int fd;

	if (unable() || !have(CGROUP_MEMORY))
		return;
	create(all);
	set("memory", "16777216");
	(void)cgroup_set(path, "memory-swap", "16777216", &e);
	set("memory-reservation", "8388608");
	fd = cgroup_oom_fd(path);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(status_of(spawn(eater)), ==, 128 + SIGKILL);
	g_assert_cmpint(cgroup_stats(path, &s), ==, 0);
	g_assert_cmpuint(s.memory_limit, ==, 16777216);
	g_assert_cmpuint(s.oom_kills, ==, 1);
	g_assert_cmpuint(cgroup_oom_kills(path), ==, 1);
	g_assert_true(s.known & CGROUP_BIT(CGROUP_MEMORY));
	close(fd);
	set("memory", "134217728"); /* up, beyond what memory-swap was */
	g_assert_cmpint(cgroup_set(path, "memory-swap", "1048576", &e), ==, -E_INVALID);
	g_assert_cmpint(status_of(spawn(eater)), ==, 0);
	removed();
}

/* Uses 60 ms of processor time, however busy the machine is. */
static int burner(void)
{
	struct timespec t;

	do
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	while (t.tv_sec == 0 && t.tv_nsec < 60000000);
	return 0;
}

static void test_cpu(void)
{
	g_autofree char *weight = NULL, *cpus = NULL;
	struct cgroup_stats s;
	gint64 begin;

	if (unable() || !have(CGROUP_CPU))
		return;
	create(all);
	set("nano-cpus", "200000000");
	set("cpu-shares", "512");
	weight = get(CGROUP_CPU, "cpu.shares", "cpu.weight");
	g_assert_cmpstr(weight, ==, strcmp(weight, "20") == 0 ? "20" : "512");
	set("cpuset-cpus", "0");
	cpus = get(CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus");
	g_assert_cmpstr(cpus, ==, "0");
	begin = g_get_monotonic_time();
	g_assert_cmpint(status_of(spawn(burner)), ==, 0);
	/* three periods' share: one whole one goes by at least, and parts of two */
	g_assert_cmpint(g_get_monotonic_time() - begin, >, 100000);
	g_assert_cmpint(cgroup_stats(path, &s), ==, 0);
	g_assert_cmpuint(s.cpu_ns, >=, 50000000);
	g_assert_cmpuint(s.throttled, >, 0);
	g_assert_cmpuint(s.throttled_ns, >, 0);
	set("cpu-period", "50000");
	set("cpu-quota", "-1");
	removed();
}

static int opener(void)
{
	int null = open("/dev/null", O_RDWR), zero;

	if (null < 0)
		return 1;
	zero = open("/dev/zero", O_RDONLY);
	if (zero >= 0 || errno != EPERM)
		return 2;
	if (mknod("/tmp/.lodge-test-node", S_IFCHR | 0600, makedev(1, 7)) == 0) {
		(void)unlink("/tmp/.lodge-test-node");
		return 3;
	}
	return errno == EPERM ? 0 : 4;
}

static int opener_all(void)
{
	return open("/dev/zero", O_RDONLY) >= 0 ? 0 : 1;
}

static void test_devices(void)
{
	struct cgroup_device_rule r[2];
	struct err e = { 0 };

	if (unable())
		return;
	create(all);
	ok(cgroup_device_parse("c 1:3 rw", &r[0], &e), &e);
	ok(cgroup_device_set(path, r, 1, &e), &e);
	g_assert_cmpint(status_of(spawn(opener)), ==, 0);
	ok(cgroup_device_parse("c 1:5 r", &r[1], &e), &e);
	ok(cgroup_device_set(path, r, 2, &e), &e); /* in place of the first */
	g_assert_cmpint(status_of(spawn(opener_all)), ==, 0);
	ok(cgroup_device_set(path, r, 1, &e), &e);
	g_assert_cmpint(status_of(spawn(opener)), ==, 0);
	removed();
}

static void test_io(void)
{
	struct err e = { 0 };
	struct cgroup_stats s;

	if (unable())
		return;
	create(all);
	g_assert_cmpint(cgroup_stats(path, &s), ==, 0);
	if (have(CGROUP_IO)) {
		g_assert_cmpint(cgroup_set(path, "io-rbps", "/dev/null:1000", &e), ==, -E_INVALID);
		g_assert_cmpint(
			cgroup_set(path, "io-rbps", "/dev/no-such-disk:1000", &e), ==, -ENOENT);
	}
	if (cgroup_host()->v2_controllers & CGROUP_BIT(CGROUP_MEMORY)) {
		g_autofree char *high = NULL;

		set("unified:memory.high", "1048576");
		high = get(CGROUP_MEMORY, "", "memory.high");
		g_assert_cmpstr(high, ==, "1048576");
	}
	removed();
}

/* The quick way of finding them comes to what the list of mounts says. */
static void test_found(void)
{
	const struct cgroup_host *h = cgroup_host();
	g_autofree char *info = NULL, *file = g_strconcat(h->v2, "/cgroup.controllers", NULL),
			*list = NULL;
	struct cgroup_host whole;

	g_assert_true(g_file_get_contents("/proc/self/mountinfo", &info, NULL, NULL));
	if (h->v2[0])
		g_assert_true(g_file_get_contents(file, &list, NULL, NULL));
	cgroup_host_parse(info, list, &whole);
	g_assert_cmpint(h->mode, ==, whole.mode);
	g_assert_cmpuint(h->v2_controllers, ==, whole.v2_controllers);
	for (unsigned c = 0; c < _CGROUP_CONTROLLER_MAX; c++) {
		char a[CGROUP_DIR_MAX], b[CGROUP_DIR_MAX];
		bool x, y;
		int r = cgroup_dir(h, "p", c, a, &x);

		g_assert_cmpint(cgroup_dir(&whole, "p", c, b, &y), ==, r);
		if (r == 0)
			g_assert_cmpstr(a, ==, b);
	}
}

/* The steps: a plan that fails leaves nothing, one that runs is undone. */
static void test_steps(void)
{
	struct plan *p = plan_new(), *bad = plan_new();
	struct err e = { 0 };
	struct step_run r;
	char list[CGROUP_PATH_MAX], shown[4096];
	struct text t = TEXT_ON(shown);

	if (unable()) {
		plan_free(p);
		plan_free(bad);
		return;
	}
	cgroup_controllers_for(cgroup_host(), (const char *const[]){ "nano-cpus" }, 1, list);
	for (int i = 0; i < 2; i++) {
		struct plan *to = i ? bad : p;

		plan_add(to, AT_HOST, &step_cgroup_create, path, list);
		plan_add(to, AT_HOST, &step_cgroup_set, path, "memory", "67108864");
		plan_add(to, AT_HOST, &step_cgroup_set, path, "nano-cpus", "500000000");
		plan_add(to, AT_HOST, &step_cgroup_devices, path, "c 1:3 rwm", "c *:* m");
		plan_add(to, AT_HOST, &step_freeze, path);
		plan_add(to, AT_HOST, &step_thaw, path);
	}
	plan_add(bad, AT_HOST, &step_cgroup_set, path, "memory", "1");
	step_run_init(&r, bad);
	g_assert_cmpint(plan_run(&r, &e), ==, -E_INVALID);
	step_run_done(&r);
	g_assert_false(cgroup_exists(path));

	step_run_init(&r, p);
	ok(plan_run(&r, &e), &e);
	g_assert_true(cgroup_exists(path));
	g_assert_cmpint(r.cgroup_fd >= 0, ==, cgroup_host()->v2[0] != '\0');
	ok(plan_undo(&r, UNDO_ENDED, &e), &e);
	ok(plan_undo(&r, UNDO_FAILED, &e), &e);
	step_run_done(&r);
	g_assert_false(cgroup_exists(path));
	for (unsigned i = 0; i < plan_len(p); i++) {
		plan_step(p, i)->op->show(plan_step(p, i), &t);
		text_add(&t, "\n");
	}
	g_assert_false(t.cut);
	g_assert_nonnull(strstr(shown, path));
	plan_free(p);
	plan_free(bad);
}

int main(int argc, char **argv)
{
	int status;

	path = g_strdup_printf("lodge-test-%d/guest", (int)getpid());
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cgroup-root/found", test_found);
	g_test_add_func("/cgroup-root/life", test_life);
	g_test_add_func("/cgroup-root/freeze", test_freeze);
	g_test_add_func("/cgroup-root/pids", test_pids);
	g_test_add_func("/cgroup-root/memory", test_memory);
	g_test_add_func("/cgroup-root/cpu", test_cpu);
	g_test_add_func("/cgroup-root/devices", test_devices);
	g_test_add_func("/cgroup-root/io", test_io);
	g_test_add_func("/cgroup-root/steps", test_steps);
	status = g_test_run();
	*strchr(path, '/') = '\0';
	if (geteuid() == 0)
		(void)cgroup_remove(path, NULL);
	g_free(path);
	return status;
}
