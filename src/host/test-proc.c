/* SPDX-License-Identifier: MIT */
#include "host/proc.h"

#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "host/caps.h"
#include "host/steps.h"

/* Runs f in a process of its own; 0 is success. */
static int in_child(int (*f)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(f());
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* One step with up to three arguments, run here. The code. */
static int run(
	const struct step_ops *op, struct err *e, const char *a, const char *b, const char *c)
{
	struct plan *p = plan_new();
	const char *argv[] = { a, b, c };
	struct step_run r;
	char shown[512] = "";
	struct text t = TEXT_ON(shown);
	int code;

	plan_addv(p, AT_HOST, 0, op, argv, c ? 3 : b ? 2 : a ? 1 : 0);
	step_run_init(&r, p);
	code = plan_run(&r, e);
	step_run_done(&r);
	op->show(plan_step(p, 0), &t);
	g_assert_cmpstr(shown, !=, "");
	plan_free(p);
	return code;
}

static void test_rlimit(void)
{
	struct rlimit own;
	struct err e = { 0 };
	uint64_t v;
	char hard[32], above[32];

	g_assert_cmpint(rlimit_number("nofile", &e), ==, RLIMIT_NOFILE);
	g_assert_cmpint(rlimit_number("RLIMIT_NPROC", &e), ==, RLIMIT_NPROC);
	g_assert_cmpint(rlimit_number("files", &e), ==, -E_INVALID);
	g_assert_cmpint(rlimit_parse("unlimited", &v), ==, 0);
	g_assert_cmpuint(v, ==, UINT64_MAX);
	g_assert_cmpint(rlimit_parse("-1", &v), ==, 0);
	g_assert_cmpint(rlimit_parse("12k", &v), ==, -EINVAL);
	g_assert_cmpint(rlimit_check("nofile", 20, 10, &e), ==, -E_INVALID);

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &own), ==, 0);
	g_assert_cmpuint(own.rlim_max, !=, RLIM_INFINITY);
	(void)g_snprintf(hard, sizeof(hard), "%lu", (unsigned long)own.rlim_max);
	(void)g_snprintf(above, sizeof(above), "%lu", (unsigned long)own.rlim_max + 1);
	g_assert_cmpint(run(&step_rlimit, &e, "nofile", "10", above), ==, -E_LIMIT);
	g_autofree char *want = g_strdup_printf(
		"limit 'nofile' of %s is above the hard limit %s of this process", above, hard);
	g_assert_cmpstr(e.text, ==, want);
	g_assert_cmpstr(e.mend, !=, "");
	g_assert_cmpint(run(&step_rlimit, &e, "nofile", "x", "1"), ==, -E_INVALID);
}

static int child_rlimit(void)
{
	struct rlimit l;

	if (run(&step_rlimit, NULL, "RLIMIT_NOFILE", "64", "128") < 0 ||
		getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 1;
	return l.rlim_cur == 64 && l.rlim_max == 128 ? 0 : 2;
}

static void test_rlimit_set(void)
{
	g_assert_cmpint(in_child(child_rlimit), ==, 0);
}

static void test_sysctl_check(void)
{
	struct err e = { 0 };

	g_assert_cmpint(sysctl_check("net.ipv4.ip_forward", SYSCTL_NET, &e), ==, 0);
	g_assert_cmpint(sysctl_check("net/ipv4/conf/eth0.1/rp_filter", SYSCTL_NET, &e), ==, 0);
	g_assert_cmpint(sysctl_check("kernel.shmmax", SYSCTL_IPC, &e), ==, 0);
	g_assert_cmpint(sysctl_check("fs.mqueue.msg_max", SYSCTL_IPC, &e), ==, 0);
	g_assert_cmpint(sysctl_check("kernel.domainname", SYSCTL_UTS, &e), ==, 0);
	g_assert_cmpint(sysctl_check("net.core.somaxconn", SYSCTL_IPC, &e), ==, -E_INVALID);
	g_assert_nonnull(strstr(e.text, "the guest shares the host's net namespace"));
	g_assert_cmpint(sysctl_check("kernel.panic", 7, &e), ==, -E_INVALID);
	g_assert_cmpint(sysctl_check("kernel.shmmaxx", 7, &e), ==, -E_INVALID);
	g_assert_cmpint(sysctl_check("vm.swappiness", 7, &e), ==, -E_INVALID);
	g_assert_cmpint(sysctl_check("net.../../kernel/panic", 7, &e), ==, -E_INVALID);
	g_assert_cmpint(sysctl_check("", 7, &e), ==, -E_INVALID);
	g_assert_cmpint(sysctl_check("/net", 7, &e), ==, -E_INVALID);
}

static int child_names(void)
{
	struct utsname u;
	g_autofree char *text = NULL;

	if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) < 0)
		return 1;
	if (run(&step_hostname, NULL, "box", NULL, NULL) < 0 ||
		run(&step_domainname, NULL, "example.org", NULL, NULL) < 0)
		return 2;
	if (uname(&u) < 0 || strcmp(u.nodename, "box") != 0 ||
		strcmp(u.domainname, "example.org") != 0)
		return 3;
	if (run(&step_sysctl, NULL, "kernel.shmmni", "123", NULL) < 0 ||
		!g_file_get_contents("/proc/sys/kernel/shmmni", &text, NULL, NULL) ||
		g_ascii_strtoll(text, NULL, 10) != 123)
		return 4;
	if (run(&step_sysctl, NULL, "net/ipv4/conf/lo/rp_filter", "2", NULL) < 0)
		return 5;
	if (run(&step_sysctl, NULL, "net.ipv4.nothing", "2", NULL) != -E_INVALID)
		return 6;
	return run(&step_sysctl, NULL, "net.ipv4.ip_forward", "maybe", NULL) == -EINVAL ? 0 : 7;
}

static void test_names(void)
{
	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	g_assert_cmpint(in_child(child_names), ==, 0);
}

/* A file that somebody else put over /proc isn't written to. */
static int child_false_proc(void)
{
	struct err e = { 0 };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", "/proc", "tmpfs", 0, NULL) < 0 || mkdir("/proc/self", 0755) < 0)
		return 1;
	close(open("/proc/self/oom_score_adj", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	return run(&step_oom_score, &e, "100", NULL, NULL) == -EXDEV ? 0 : 2;
}

static void test_false_proc(void)
{
	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	g_assert_cmpint(in_child(child_false_proc), ==, 0);
}

static int child_scheduling(void)
{
	g_autofree char *text = NULL;
	struct err e = { 0 };
	cpu_set_t set;

	if (run(&step_oom_score, NULL, "321", NULL, NULL) < 0 ||
		!g_file_get_contents("/proc/self/oom_score_adj", &text, NULL, NULL) ||
		g_ascii_strtoll(text, NULL, 10) != 321)
		return 1;
	if (run(&step_scheduling, NULL, "scheduler", "SCHED_BATCH:nice=5", NULL) < 0 ||
		sched_getscheduler(0) != SCHED_BATCH || getpriority(PRIO_PROCESS, 0) != 5)
		return 2;
	if (run(&step_scheduling, NULL, "io-priority", "IOPRIO_CLASS_BE:6", NULL) < 0 ||
		run(&step_scheduling, NULL, "personality", "LINUX", NULL) < 0 ||
		run(&step_scheduling, NULL, "nice", "7", NULL) < 0 ||
		getpriority(PRIO_PROCESS, 0) != 7)
		return 3;
	if (run(&step_scheduling, NULL, "cpu-affinity", "0", NULL) < 0 ||
		sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) != 1)
		return 4;
	if (run(&step_scheduling, &e, "scheduler", "SCHED_WHAT", NULL) != -EINVAL ||
		run(&step_scheduling, &e, "io-priority", "IOPRIO_CLASS_BE:9", NULL) != -EINVAL ||
		run(&step_scheduling, &e, "cpu-affinity", "1-0", NULL) != -EINVAL ||
		run(&step_scheduling, &e, "colour", "1", NULL) != -E_INVALID)
		return 5;
	return 0;
}

static void test_scheduling(void)
{
	g_assert_cmpint(in_child(child_scheduling), ==, 0);
}

/* The order of caps.h, as another user: what is kept, and that nothing comes back. */
static int child_caps(void)
{
	g_autofree char *text = NULL;
	struct err e = { 0 };

	if (run(&step_caps_bounding, &e, "21", NULL, NULL) < 0 ||
		run(&step_user, &e, "12345:54321", "", NULL) < 0)
		return 1;
	struct plan *p = plan_new();
	struct step_run r;

	plan_add(p, AT_HOST, &step_caps, "21", "20", "1", "1");
	plan_add(p, AT_HOST, &step_no_new_privs);
	step_run_init(&r, p);
	if (plan_run(&r, &e) < 0)
		return 2;
	plan_free(p);
	if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
		return 3;
	if (!strstr(text, "CapPrm:\t0000000000000021") ||
		!strstr(text, "CapEff:\t0000000000000020") ||
		!strstr(text, "CapInh:\t0000000000000001") ||
		!strstr(text, "CapAmb:\t0000000000000001") ||
		!strstr(text, "CapBnd:\t0000000000000021") || !strstr(text, "NoNewPrivs:\t1"))
		return 4;
	return getuid() == 12345 && getgid() == 54321 ? 0 : 5;
}

static void test_caps(void)
{
	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	g_assert_cmpint(in_child(child_caps), ==, 0);
}

/* Whether ".." leads out of "/", as root can make it. */
static bool in_chroot(void)
{
	struct stat here, there;
	pid_t pid;
	int status;

	(void)mkdir("/tmp/.lodge-test-root", 0700);
	pid = fork();
	if (pid == 0) {
		if (stat("/", &here) < 0 || chdir("/") < 0 || chroot("/tmp/.lodge-test-root") < 0)
			_exit(0);
		for (int i = 0; i < 32; i++)
			if (chdir("..") < 0)
				_exit(0);
		_exit(stat(".", &there) == 0 &&
			(here.st_ino != there.st_ino || here.st_dev != there.st_dev));
	}
	(void)waitpid(pid, &status, 0);
	(void)rmdir("/tmp/.lodge-test-root");
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static int child_apparmor(void)
{
	struct err e = { 0 };

	if (run(&step_apparmor, &e, "lodge-no-such-profile", NULL, NULL) >= 0)
		return 1;
	if (!(lsm_enabled() & LSM_APPARMOR)) {
		if (e.code != -E_UNSUPPORTED ||
			run(&step_apparmor, &e, APPARMOR_DEFAULT, NULL, NULL) < 0)
			return 2;
		return run(&step_apparmor_load, &e, NULL, NULL, NULL) < 0 ? 3 : 0;
	}
	if (e.code != -E_NOTFOUND)
		return 4;
	if (run(&step_apparmor_load, &e, NULL, NULL, NULL) < 0) {
		g_printerr("%s\n", e.text);
		return 5;
	}
	if (run(&step_apparmor, &e, APPARMOR_DEFAULT, NULL, NULL) < 0)
		return 6;
	/* AppArmor's names begin at the root of the mount namespace: in a chroot they are others */
	if (!program_find("apparmor_parser", NULL) || in_chroot())
		return 0;
	if (apparmor_loaded(APPARMOR_DEFAULT) != 1)
		return 7;
	/* confined: it may read, and may neither mount nor write to the kernel's knobs */
	execl("/bin/sh", "sh", "-c",
		"grep -q 'lodge-default (enforce)' /proc/self/attr/current || exit 10\n"
		"cat /etc/passwd >/dev/null || exit 11\n"
		"(echo 1 >/proc/sys/vm/overcommit_memory) 2>/dev/null && exit 12\n"
		"mount -t tmpfs none /mnt 2>/dev/null && exit 13\n"
		"(echo h >/proc/sysrq-trigger) 2>/dev/null && exit 14\n"
		"exit 0",
		NULL);
	return 8;
}

static void test_lsm(void)
{
	struct err e = { 0 };

	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	g_assert_cmpint(in_child(child_apparmor), ==, 0);
	if (!(lsm_enabled() & LSM_SELINUX)) {
		g_assert_cmpint(
			run(&step_selinux, &e, "system_u:system_r:container_t:s0", NULL, NULL), ==,
			-E_UNSUPPORTED);
		g_assert_nonnull(strstr(e.text, "no SELinux"));
	}
}

static int64_t boot_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

/* The namespace is entered by the children, until undo. */
static int child_time(void)
{
	struct plan *p = plan_new();
	struct err e = { 0 };
	struct step_run r;
	int64_t before = boot_seconds(), after;
	int fds[2];

	plan_add(p, AT_HOST, &step_time_offset, "boottime", "86400", "0");
	plan_add(p, AT_HOST, &step_time_offset, "monotonic", "1000", "");
	step_run_init(&r, p);
	if (plan_run(&r, &e) < 0)
		return e.code == -E_UNSUPPORTED ? 77 : 1;
	for (int i = 0; i < 2; i++) {
		if (pipe(fds) < 0)
			return 2;
		if (fork() == 0) {
			after = boot_seconds();
			_exit(write(fds[1], &after, sizeof(after)) < 0);
		}
		if (read(fds[0], &after, sizeof(after)) != sizeof(after))
			return 3;
		if ((after - before >= 86400) != (i == 0))
			return 4 + i;
		if (plan_undo(&r, UNDO_ENDED, &e) < 0)
			return 6;
	}
	return boot_seconds() - before < 86400 ? 0 : 7;
}

static void test_time(void)
{
	int status;

	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	status = in_child(child_time);
	if (status == 77)
		g_test_skip("no time namespaces");
	else
		g_assert_cmpint(status, ==, 0);
}

static void test_programs(void)
{
	const char *const cat[] = { "cat", NULL }, *const sleep[] = { "sleep", "10", NULL },
			  *const no[] = { "lodge-no-such-program", NULL },
			  *const fails[] = { "false", NULL };
	char out[64], tiny[4];

	g_assert_cmpint(program_run(cat, "hello\n", out, sizeof(out), 5000), ==, 0);
	g_assert_cmpstr(out, ==, "hello\n");
	g_assert_cmpint(program_run(cat, "hello\n", tiny, sizeof(tiny), 5000), ==, 0);
	g_assert_cmpstr(tiny, ==, "hel");
	g_assert_cmpint(program_run(sleep, NULL, out, sizeof(out), 50), ==, -ETIMEDOUT);
	g_assert_cmpint(program_run(no, NULL, NULL, 0, 1000), ==, -ENOENT);
	g_assert_cmpint(program_run(fails, NULL, NULL, 0, 5000), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/proc/rlimit", test_rlimit);
	g_test_add_func("/proc/rlimit-set", test_rlimit_set);
	g_test_add_func("/proc/sysctl-check", test_sysctl_check);
	g_test_add_func("/proc/names", test_names);
	g_test_add_func("/proc/false-proc", test_false_proc);
	g_test_add_func("/proc/scheduling", test_scheduling);
	g_test_add_func("/proc/caps", test_caps);
	g_test_add_func("/proc/lsm", test_lsm);
	g_test_add_func("/proc/time", test_time);
	g_test_add_func("/proc/programs", test_programs);
	return g_test_run();
}
