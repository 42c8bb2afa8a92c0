/* SPDX-License-Identifier: MIT */
#include "host/proc.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include "host/smallfile.h"

/* --- limits ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int number;
} rlimits[] = {
	{ "as", RLIMIT_AS },
	{ "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },
	{ "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

int rlimit_number(const char *name, struct err *e)
{
	const char *s = strncasecmp(name, "RLIMIT_", 7) == 0 ? name + 7 : name;

	for (size_t i = 0; i < ELEMENTSOF(rlimits); i++)
		if (strcasecmp(s, rlimits[i].name) == 0)
			return rlimits[i].number;
	err_set(e, -E_INVALID, "unknown limit '%s'", name);
	return err_mend(e, "getrlimit(2) lists the names, for example nofile");
}

int rlimit_parse(const char *s, uint64_t *ret)
{
	if (strcmp(s, "unlimited") == 0 || strcmp(s, "-1") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return small_parse_u64(s, ret);
}

/* "1024", "unlimited" */
static const char *limit_text(uint64_t v, char buf[24])
{
	if (v == UINT64_MAX)
		return "unlimited";
	(void)snprintf(buf, 24, "%llu", (unsigned long long)v);
	return buf;
}

int rlimit_check(const char *name, uint64_t soft, uint64_t hard, struct err *e)
{
	int number = rlimit_number(name, e), r;
	struct rlimit64 own;
	char a[24], b[24];

	if (number < 0)
		return number;
	if (soft > hard)
		return err_set(e, -E_INVALID,
			"limit '%s': the soft limit %s is above the hard limit %s", name,
			limit_text(soft, a), limit_text(hard, b));
	r = RET_NERRNO(prlimit64(0, (enum __rlimit_resource)number, NULL, &own));
	if (r < 0)
		return err_sys(e, r, "cannot read the limit '%s'", name);
	if (hard > own.rlim_max) {
		err_set(e, -E_LIMIT, "limit '%s' of %s is above the hard limit %s of this process",
			name, limit_text(hard, a), limit_text(own.rlim_max, b));
		return err_mend(e,
			"raise it where Lodge is started (ulimit -H, limits.conf(5), Limit*= of "
			"systemd.exec(5))");
	}
	return 0;
}

/* --- which process ---------------------------------------------------------------------------------- */

int proc_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[64], text[1024], *p;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = small_read(path, text, sizeof(text));
	if (r < 0)
		return r;
	p = strrchr(text, ')'); /* the name may hold anything */
	if (!p || p[1] != ' ')
		return -EINVAL;
	*ret_state = p[2];
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EINVAL;
	*ret_start = strtoull(p + 1, NULL, 10);
	return 0;
}

/* --- sysctls --------------------------------------------------------------------------------------- */

int sysctl_check(const char *key, unsigned private_ns, struct err *e)
{
	static const struct {
		const char *name; /* "x." is a prefix */
		unsigned ns;
		const char *words;
	} known[] = {
		{ "kernel.msgmax", SYSCTL_IPC, "ipc" },
		{ "kernel.msgmnb", SYSCTL_IPC, "ipc" },
		{ "kernel.msgmni", SYSCTL_IPC, "ipc" },
		{ "kernel.sem", SYSCTL_IPC, "ipc" },
		{ "kernel.shmall", SYSCTL_IPC, "ipc" },
		{ "kernel.shmmax", SYSCTL_IPC, "ipc" },
		{ "kernel.shmmni", SYSCTL_IPC, "ipc" },
		{ "kernel.shm_rmid_forced", SYSCTL_IPC, "ipc" },
		{ "fs.mqueue.", SYSCTL_IPC, "ipc" },
		{ "net.", SYSCTL_NET, "net" },
		{ "kernel.domainname", SYSCTL_UTS, "uts" },
	};
	char dotted[256];
	size_t n = strlen(key);

	if (n == 0 || n >= sizeof(dotted) || strstr(key, "..") || key[0] == '/' || key[0] == '.')
		return err_set(e, -E_INVALID, "bad sysctl '%s'", key);
	/* sysctl(8): where "/" comes first it is the separator */
	(void)snprintf(dotted, sizeof(dotted), "%s", key);
	if (key[strcspn(key, "./")] == '/')
		for (char *p = dotted; *p; p++)
			*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
	for (size_t i = 0; i < ELEMENTSOF(known); i++) {
		size_t k = strlen(known[i].name);
		bool prefix = known[i].name[k - 1] == '.';

		if (strncmp(dotted, known[i].name, k) != 0 || (!prefix && dotted[k]))
			continue;
		if (private_ns & known[i].ns)
			return 0;
		err_set(e, -E_INVALID,
			"sysctl '%s' can't be set: the guest shares the host's %s namespace", key,
			known[i].words);
		return err_mend(e, "set it on the host, or give the guest its own namespace");
	}
	err_set(e, -E_INVALID, "sysctl '%s' isn't in a namespace of the guest", key);
	return err_mend(e, "set it on the host: it holds for all guests");
}

/* --- security modules ------------------------------------------------------------------------------ */

unsigned lsm_enabled(void)
{
	unsigned mask = 0;
	struct statfs fs;
	char text[16];

	if (small_read("/sys/module/apparmor/parameters/enabled", text, sizeof(text)) > 0 &&
		text[0] == 'Y')
		mask |= LSM_APPARMOR;
	if (statfs("/sys/fs/selinux", &fs) == 0 && (uint32_t)fs.f_type == SELINUX_MAGIC)
		mask |= LSM_SELINUX;
	return mask;
}

int apparmor_loaded(const char *profile)
{
	FILE *f = fopen("/sys/kernel/security/apparmor/profiles", "re");
	char line[512];
	size_t n = strlen(profile);
	int found = 0;

	if (!f)
		return -errno;
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, profile, n) == 0 && strncmp(line + n, " (", 2) == 0;
	(void)fclose(f);
	return found;
}

const char apparmor_default_text[] =
	"#include <tunables/global>\n"
	"profile " APPARMOR_DEFAULT " flags=(attach_disconnected,mediate_deleted) {\n"
	"  network,\n"
	"  capability,\n"
	"  file,\n"
	"  umount,\n"
	"  # signals from outside, and among the guest's own processes\n"
	"  signal (receive) peer=unconfined,\n"
	"  signal (send,receive) peer=" APPARMOR_DEFAULT ",\n"
	"  ptrace (trace,read,tracedby,readby) peer=" APPARMOR_DEFAULT ",\n"
	"  # the kernel's knobs stay closed, whatever capabilities the guest has\n"
	"  deny mount,\n"
	"  deny @{PROC}/sysrq-trigger rwklx,\n"
	"  deny @{PROC}/kcore rwklx,\n"
	"  deny @{PROC}/mem rwklx,\n"
	"  deny @{PROC}/kmem rwklx,\n"
	"  deny @{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** "
	"w,\n"
	"  deny @{PROC}/sys/[^kn]** w,\n"
	"  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,\n"
	"  deny /sys/[^f]*/** wklx,\n"
	"  deny /sys/f[^s]*/** wklx,\n"
	"  deny /sys/fs/[^c]*/** wklx,\n"
	"  deny /sys/fs/c[^g]*/** wklx,\n"
	"  deny /sys/fs/cg[^r]*/** wklx,\n"
	"  deny /sys/firmware/** rwklx,\n"
	"  deny /sys/devices/virtual/powercap/** rwklx,\n"
	"  deny /sys/kernel/security/** rwklx,\n"
	"}\n";

/* --- programs -------------------------------------------------------------------------------------- */

bool program_find(const char *name, char *file)
{
	const char *path = getenv("PATH");
	char try[PATH_MAX], all[PATH_MAX];
	char *rest = all, *dir;

	(void)snprintf(all, sizeof(all),
		"%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		path ? path : "");
	while ((dir = strsep(&rest, ":")) != NULL) {
		int n = snprintf(try, sizeof(try), "%s/%s", dir, name);

		if (n < 0 || (size_t)n >= sizeof(try) || dir[0] != '/' || access(try, X_OK) < 0)
			continue;
		if (file)
			memcpy(file, try, (size_t)n + 1);
		return true;
	}
	return false;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void child(const char *file, const char *const *argv, int in, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in >= 0 ? in : null, 0) < 0 || dup2(out >= 0 ? out : null, 1) < 0 ||
		dup2(out >= 0 ? out : null, 2) < 0)
		_exit(126);
	(void)execv(file, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Reads until the end of the output or of the time. */
static int drain(int fd, char *out, size_t size, int64_t end)
{
	char sink[4096];
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = end - now_ms();
		bool keep = out && n + 1 < size;
		ssize_t k;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -ETIMEDOUT;
		k = keep ? read(fd, out + n, size - 1 - n) : read(fd, sink, sizeof(sink));
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return 0;
		if (keep) {
			n += (size_t)k;
			out[n] = '\0';
		}
	}
}

int program_run(const char *const *argv, const char *text, char *out, size_t size, int timeout_ms)
{
	_cleanup_close_ int in_r = -1, in_w = -1, out_r = -1, out_w = -1;
	int64_t end = now_ms() + timeout_ms;
	char file[PATH_MAX];
	int fds[2], status, r;
	pid_t pid;

	if (out && size)
		out[0] = '\0';
	if (!program_find(argv[0], file))
		return -ENOENT;
	if (text) {
		/* small enough for the pipe, so that nobody waits for anybody */
		if (strlen(text) > 65536)
			return -E2BIG;
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		in_r = fds[0];
		in_w = fds[1];
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	out_r = fds[0];
	out_w = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(file, argv, in_r, out_w);
	closep(&out_w);
	out_w = -1;
	if (text) {
		(void)!write(in_w, text, strlen(text));
		closep(&in_w);
		in_w = -1;
	}
	r = drain(out_r, out, size, end);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0)
		return r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}
