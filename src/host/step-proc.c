/* SPDX-License-Identifier: MIT */
/* Steps on what a process carries into execve(2). */
#include "host/steps.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "host/caps.h"
#include "host/proc.h"
#include "host/seccomp.h"
#include "host/smallfile.h"

/* The first argument behind a command's name: most steps are that. */
static void show_word(struct text *t, const char *command, const char *word)
{
	text_add(t, command);
	text_add_word(t, word);
}

/* Writes to a file of the /proc that is mounted: if it isn't a procfs, somebody else put it there
 * (CVE-2019-16884). */
static int proc_write(const char *file, const char *text)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return -EXDEV;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* --- hostname, domainname --- */

static int hostname_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(sethostname(s->arg[0], strlen(s->arg[0])));
}

static void hostname_show(const struct step *s, struct text *t)
{
	show_word(t, "hostname ", s->arg[0]);
}

const struct step_ops step_hostname = {
	.name = "hostname", .args = "name", .run = hostname_run, .show = hostname_show
};

static int domainname_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(setdomainname(s->arg[0], strlen(s->arg[0])));
}

static void domainname_show(const struct step *s, struct text *t)
{
	show_word(t, "domainname ", s->arg[0]);
}

const struct step_ops step_domainname = {
	.name = "domainname", .args = "name", .run = domainname_run, .show = domainname_show
};

/* --- sysctl --- */

static int sysctl_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *key = s->arg[0];
	bool slashes = key[strcspn(key, "./")] == '/';
	char path[300];
	int n, code;

	if (!*key || *key == '/' || *key == '.' || strstr(key, ".."))
		return -EINVAL;
	n = snprintf(path, sizeof(path), "/proc/sys/%s", key);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	for (char *p = path + 10; *p && !slashes; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	code = proc_write(path, s->arg[1]);
	if (code == -ENOENT)
		return err_set(e, -E_INVALID, "sysctl '%s' isn't there", key);
	return code < 0 ? err_sys(e, code, "cannot set sysctl '%s' to '%s'", key, s->arg[1]) : 0;
}

static void sysctl_show(const struct step *s, struct text *t)
{
	char pair[512];

	(void)snprintf(pair, sizeof(pair), "%s=%s", s->arg[0], s->arg[1]);
	show_word(t, "sysctl -w ", pair);
}

const struct step_ops step_sysctl = {
	.name = "sysctl", .args = "key value", .run = sysctl_run, .show = sysctl_show
};

/* --- rlimit --- */

static int rlimit_run(struct step_run *r, const struct step *s, struct err *e)
{
	uint64_t soft, hard;
	struct rlimit64 l;
	int code;

	if (rlimit_parse(s->arg[1], &soft) < 0 || rlimit_parse(s->arg[2], &hard) < 0)
		return err_set(e, -E_INVALID, "limit '%s': '%s:%s' isn't SOFT:HARD", s->arg[0],
			s->arg[1], s->arg[2]);
	code = rlimit_check(s->arg[0], soft, hard, e);
	if (code < 0)
		return code;
	l = (struct rlimit64){ soft, hard };
	code = RET_NERRNO(
		prlimit64(0, (enum __rlimit_resource)rlimit_number(s->arg[0], NULL), &l, NULL));
	return code < 0 ? err_sys(e, code, "cannot set the limit '%s'", s->arg[0]) : 0;
}

static void rlimit_show(const struct step *s, struct text *t)
{
	text_addf(t, "prlimit --pid $$ --%s=%s:%s", s->arg[0], s->arg[1], s->arg[2]);
}

const struct step_ops step_rlimit = {
	.name = "rlimit", .args = "name soft hard", .run = rlimit_run, .show = rlimit_show
};

/* --- oom-score, scheduling --- */

/* From outside (AT_PARENT) where the process has a user namespace: there it may not. */
static int oom_score_run(struct step_run *r, const struct step *s, struct err *e)
{
	char file[64] = "/proc/self/oom_score_adj";
	int code;

	if (s->at == AT_PARENT)
		(void)snprintf(file, sizeof(file), "/proc/%d/oom_score_adj", (int)r->child);
	code = proc_write(file, s->arg[0]);

	if (code == -EACCES) {
		err_set(e, code, "cannot lower the oom score to %s: no CAP_SYS_RESOURCE",
			s->arg[0]);
		return err_mend(e, "give a score that isn't below that of this process");
	}
	return code < 0 ? err_sys(e, code, "cannot set the oom score to '%s'", s->arg[0]) : 0;
}

static void oom_score_show(const struct step *s, struct text *t)
{
	text_addf(t, "echo %s >/proc/self/oom_score_adj", s->arg[0]);
}

const struct step_ops step_oom_score = {
	.name = "oom-score", .args = "value", .run = oom_score_run, .show = oom_score_show
};

struct word {
	const char *name;
	int value;
};

static int word_value(const struct word *w, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(w[i].name) == len && strncmp(w[i].name, s, len) == 0)
			return w[i].value;
	return -1;
}

/* Of sched_setattr(2); glibc 2.36 has no header for it. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* "SCHED_FIFO[:nice=N][:priority=N][:runtime=NS][:deadline=NS][:period=NS][:flags=N]" */
static int set_scheduler(const char *s)
{
	static const struct word policies[] = { { "SCHED_OTHER", 0 }, { "SCHED_FIFO", 1 },
		{ "SCHED_RR", 2 }, { "SCHED_BATCH", 3 }, { "SCHED_ISO", 4 }, { "SCHED_IDLE", 5 },
		{ "SCHED_DEADLINE", 6 } };
	struct sched_attributes a = { .size = sizeof(a) };
	size_t n = strcspn(s, ":");
	int policy = word_value(policies, ELEMENTSOF(policies), s, n);
	char copy[256], *rest = copy, *p;

	if (policy < 0 || strlen(s) >= sizeof(copy))
		return -EINVAL;
	a.policy = (uint32_t)policy;
	(void)snprintf(copy, sizeof(copy), "%s", s + n + (s[n] == ':'));
	while (rest && *rest && (p = strsep(&rest, ":")) != NULL) {
		char *eq = strchr(p, '=');
		int64_t v;

		if (!eq || small_parse_i64(eq + 1, &v) < 0)
			return -EINVAL;
		*eq = '\0';
		if (strcmp(p, "nice") == 0)
			a.nice = (int32_t)v;
		else if (strcmp(p, "priority") == 0)
			a.priority = (uint32_t)v;
		else if (strcmp(p, "runtime") == 0)
			a.runtime = (uint64_t)v;
		else if (strcmp(p, "deadline") == 0)
			a.deadline = (uint64_t)v;
		else if (strcmp(p, "period") == 0)
			a.period = (uint64_t)v;
		else if (strcmp(p, "flags") == 0)
			a.flags = (uint64_t)v;
		else
			return -EINVAL;
	}
	return RET_NERRNO((int)syscall(SYS_sched_setattr, 0, &a, 0));
}

/* "IOPRIO_CLASS_BE:4" */
static int set_ioprio(const char *s)
{
	static const struct word classes[] = { { "IOPRIO_CLASS_RT", 1 }, { "IOPRIO_CLASS_BE", 2 },
		{ "IOPRIO_CLASS_IDLE", 3 } };
	size_t n = strcspn(s, ":");
	int class = word_value(classes, ELEMENTSOF(classes), s, n);
	int64_t level = 0;

	if (class < 0 ||
		(s[n] && (small_parse_i64(s + n + 1, &level) < 0 || level < 0 || level > 7)))
		return -EINVAL;
	return RET_NERRNO((int)syscall(
		SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, (int)level)));
}

static int set_personality(const char *s)
{
	static const struct word domains[] = { { "LINUX", PER_LINUX }, { "LINUX32", PER_LINUX32 } };
	int domain = word_value(domains, ELEMENTSOF(domains), s, strlen(s));

	return domain < 0 ? -EINVAL : RET_NERRNO(personality((unsigned long)domain));
}

/* "0-3,8": sched_setaffinity(2) */
static int set_affinity(const char *s)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	while (*s) {
		char *end;
		unsigned long a = strtoul(s, &end, 10), b = a;

		if (end == s)
			return -EINVAL;
		if (*end == '-') {
			s = end + 1;
			b = strtoul(s, &end, 10);
			if (end == s)
				return -EINVAL;
		}
		if (b < a || b >= CPU_SETSIZE || (*end && *end != ','))
			return -EINVAL;
		for (; a <= b; a++)
			CPU_SET(a, &set);
		s = end + (*end == ',');
	}
	return RET_NERRNO(sched_setaffinity(0, sizeof(set), &set));
}

static int set_nice(const char *s)
{
	int64_t n;

	if (small_parse_i64(s, &n) < 0 || n < -20 || n > 19)
		return -EINVAL;
	return RET_NERRNO(setpriority(PRIO_PROCESS, 0, (int)n));
}

static const struct {
	const char *key;
	int (*set)(const char *value);
	const char *command;
} schedulings[] = {
	{ "scheduler", set_scheduler, "chrt --pid $$ # " },
	{ "io-priority", set_ioprio, "ionice -p $$ # " },
	{ "personality", set_personality, "setarch # " },
	{ "cpu-affinity", set_affinity, "taskset -cp " },
	{ "nice", set_nice, "renice -p $$ -n " },
};

static int scheduling_run(struct step_run *r, const struct step *s, struct err *e)
{
	int code;

	for (size_t i = 0; i < ELEMENTSOF(schedulings); i++) {
		if (strcmp(schedulings[i].key, s->arg[0]) != 0)
			continue;
		code = schedulings[i].set(s->arg[1]);
		return code < 0 ? err_sys(e, code, "cannot set %s to '%s'", s->arg[0], s->arg[1])
				: 0;
	}
	return err_set(e, -E_INVALID, "unknown scheduling setting '%s'", s->arg[0]);
}

static void scheduling_show(const struct step *s, struct text *t)
{
	for (size_t i = 0; i < ELEMENTSOF(schedulings); i++)
		if (strcmp(schedulings[i].key, s->arg[0]) == 0) {
			text_add(t, schedulings[i].command);
			text_add(t, s->arg[1]);
			return;
		}
	text_addf(t, "# %s %s", s->arg[0], s->arg[1]);
}

const struct step_ops step_scheduling = {
	.name = "scheduling", .args = "key value", .run = scheduling_run, .show = scheduling_show
};

/* --- capabilities --- */

static int parse_mask(const char *hex, uint64_t *ret, struct err *e)
{
	if (caps_parse_mask(hex, ret) < 0)
		return err_set(e, -E_INVALID, "bad capability mask '%s'", hex);
	return 0;
}

static void show_mask(struct text *t, const char *hex)
{
	uint64_t mask;

	if (caps_parse_mask(hex, &mask) < 0)
		text_add(t, hex);
	else if (mask == 0)
		text_add(t, "-all");
	else if ((mask & CAPS_ALL) == CAPS_ALL)
		text_add(t, "+all");
	else {
		text_add(t, "-all");
		for (unsigned i = 0; i < CAPS_COUNT; i++)
			if (mask & CAPS_BIT(i)) {
				text_add(t, ",+");
				for (const char *p = caps_name(i) + 4; *p; p++)
					text_addf(t, "%c", *p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
			}
	}
}

static int caps_bounding_run(struct step_run *r, const struct step *s, struct err *e)
{
	uint64_t mask;
	int code = parse_mask(s->arg[0], &mask, e);

	if (code >= 0)
		code = caps_set_bounding(mask);
	return code;
}

static void caps_bounding_show(const struct step *s, struct text *t)
{
	text_add(t, "setpriv --bounding-set ");
	show_mask(t, s->arg[0]);
	text_add(t, " ...");
}

const struct step_ops step_caps_bounding = { .name = "caps-bounding",
	.args = "mask",
	.run = caps_bounding_run,
	.show = caps_bounding_show };

static int caps_run(struct step_run *r, const struct step *s, struct err *e)
{
	uint64_t mask[4];
	int code = 0;

	for (unsigned i = 0; code >= 0 && i < ELEMENTSOF(mask); i++)
		code = parse_mask(s->arg[i], &mask[i], e);
	if (code < 0)
		return code;
	code = caps_set(mask[0], mask[1], mask[2], mask[3]);
	if (code == -EPERM) {
		err_sys(e, code, "cannot set the capabilities '%s'", s->arg[0]);
		return err_mend(e, "this process doesn't have all of them");
	}
	if (code >= 0) /* what step "user" asked for is done */
		code = RET_NERRNO(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
	return code;
}

static void caps_show_step(const struct step *s, struct text *t)
{
	text_add(t, "setpriv --inh-caps ");
	show_mask(t, s->arg[2]);
	text_add(t, " --ambient-caps ");
	show_mask(t, s->arg[3]);
	text_add(t, " ... # permitted ");
	show_mask(t, s->arg[0]);
}

const struct step_ops step_caps = { .name = "caps",
	.args = "permitted effective inheritable ambient",
	.run = caps_run,
	.show = caps_show_step };

/* --- no-new-privs, seccomp --- */

static int no_new_privs_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void no_new_privs_show(const struct step *s, struct text *t)
{
	text_add(t, "setpriv --no-new-privs ...");
}

const struct step_ops step_no_new_privs = {
	.name = "no-new-privs", .args = "", .run = no_new_privs_run, .show = no_new_privs_show
};

static int seccomp_flags(const char *words, unsigned *ret)
{
	static const struct word flags[] = { { "tsync", SECCOMP_FILTER_FLAG_TSYNC },
		{ "log", SECCOMP_FILTER_FLAG_LOG },
		{ "spec-allow", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ "notify", SECCOMP_FILTER_FLAG_NEW_LISTENER }, { "wait-killable", 1 << 5 } };

	*ret = 0;
	while (*words) {
		size_t n = strcspn(words, ",");
		int v = word_value(flags, ELEMENTSOF(flags), words, n);

		if (v < 0)
			return -EINVAL;
		*ret |= (unsigned)v;
		words += n + (words[n] == ',');
	}
	return 0;
}

static int seccomp_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_free_ struct sock_filter *f = NULL;
	struct sock_fprog prog;
	unsigned flags;
	size_t n;
	int code;

	if (seccomp_flags(s->arg[1], &flags) < 0)
		return err_set(e, -E_INVALID, "unknown seccomp flags '%s'", s->arg[1]);
	if (seccomp_from_hex(s->arg[0], &f, &n) < 0)
		return err_set(e, -E_CORRUPT, "the seccomp filter '%s' isn't one", s->arg[2]);
	prog = (struct sock_fprog){ (unsigned short)n, f };
	code = RET_NERRNO((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
	if (code >= 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)) {
		int listener = code;

		code = r->keep_fd(r, KEPT_SECCOMP, listener);
		(void)close(listener);
	}
	if (code == -EINVAL || code == -ENOSYS) {
		err_sys(e, code, "the kernel refuses the seccomp filter '%s'", s->arg[2]);
		return err_mend(
			e, "see 'lodge doctor'; --security-opt seccomp=unconfined goes without");
	}
	return code < 0 ? err_sys(e, code, "cannot set the seccomp filter '%s'", s->arg[2]) : 0;
}

static void seccomp_show(const struct step *s, struct text *t)
{
	text_addf(t, "# seccomp(2): %s, %zu instructions", s->arg[2], strlen(s->arg[0]) / 16);
	if (s->arg[1][0])
		text_addf(t, ", %s", s->arg[1]);
}

const struct step_ops step_seccomp = {
	.name = "seccomp", .args = "filter flags label", .run = seccomp_run, .show = seccomp_show
};

/* --- apparmor, selinux --- */

/* At a kernel without the module a profile that was asked for is an error; our default isn't. */
static int apparmor_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *profile = s->arg[0];
	bool ours = strcmp(profile, APPARMOR_DEFAULT) == 0;
	char text[512];
	int code;

	if (!(lsm_enabled() & LSM_APPARMOR)) {
		if (ours || strcmp(profile, "unconfined") == 0)
			return 0;
		err_set(e, -E_UNSUPPORTED, "AppArmor profile '%s': this kernel has no AppArmor",
			profile);
		return err_mend(
			e, "start without --security-opt apparmor=, or boot with apparmor=1");
	}
	if (snprintf(text, sizeof(text), "exec %s", profile) >= (int)sizeof(text))
		return err_set(e, -E_INVALID, "bad AppArmor profile '%.64s...'", profile);
	code = proc_write("/proc/thread-self/attr/apparmor/exec", text);
	if (code == -ENOENT && access("/proc/thread-self/attr/apparmor", F_OK) < 0)
		code = proc_write("/proc/thread-self/attr/exec", text);
	if (code == -ENOENT && ours)
		return 0; /* it couldn't be loaded: doctor says why */
	if (code == -ENOENT) {
		err_set(e, -E_NOTFOUND, "AppArmor profile '%s' isn't loaded", profile);
		return err_mend(e, "load it with apparmor_parser(8)");
	}
	return code < 0 ? err_sys(e, code, "cannot set the AppArmor profile '%s'", profile) : 0;
}

static void apparmor_show(const struct step *s, struct text *t)
{
	text_add(t, "aa-exec -p ");
	text_add_word(t, s->arg[0]);
	text_add(t, " -- ...");
}

const struct step_ops step_apparmor = {
	.name = "apparmor", .args = "profile", .run = apparmor_run, .show = apparmor_show
};

static int apparmor_load_run(struct step_run *r, const struct step *s, struct err *e)
{
	static const char *const argv[] = { "apparmor_parser", "-K", "-r", NULL };
	char out[512];
	int code;

	if (!(lsm_enabled() & LSM_APPARMOR) || apparmor_loaded(APPARMOR_DEFAULT) != 0)
		return 0;
	code = program_run(argv, apparmor_default_text, out, sizeof(out), 30000);
	if (code == -ENOENT)
		return 0; /* no parser: guests go without, and doctor says so */
	if (code > 0) {
		out[strcspn(out, "\n")] = '\0';
		return err_set(
			e, -E_INVALID, "apparmor_parser refuses '%s': %s", APPARMOR_DEFAULT, out);
	}
	return code < 0
		       ? err_sys(e, code, "cannot load the AppArmor profile '%s'", APPARMOR_DEFAULT)
		       : 0;
}

static void apparmor_load_show(const struct step *s, struct text *t)
{
	text_add(t, "apparmor_parser -K -r # " APPARMOR_DEFAULT ", unless it is loaded");
}

const struct step_ops step_apparmor_load = {
	.name = "apparmor-load", .args = "", .run = apparmor_load_run, .show = apparmor_load_show
};

static int selinux_run(struct step_run *r, const struct step *s, struct err *e)
{
	int code;

	if (!(lsm_enabled() & LSM_SELINUX)) {
		err_set(e, -E_UNSUPPORTED, "SELinux label '%s': this kernel has no SELinux",
			s->arg[0]);
		return err_mend(e, "start without --security-opt label=");
	}
	code = proc_write("/proc/thread-self/attr/exec", s->arg[0]);
	return code < 0 ? err_sys(e, code, "cannot set the SELinux label '%s'", s->arg[0]) : 0;
}

static void selinux_show(const struct step *s, struct text *t)
{
	show_word(t, "runcon ", s->arg[0]);
	text_add(t, " ...");
}

const struct step_ops step_selinux = {
	.name = "selinux", .args = "label", .run = selinux_run, .show = selinux_show
};

/* --- cgroup-ns, time-offset --- */

static int cgroup_ns_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(unshare(CLONE_NEWCGROUP));
}

static void cgroup_ns_show(const struct step *s, struct text *t)
{
	text_add(t, "unshare --cgroup ...");
}

const struct step_ops step_cgroup_ns = {
	.name = "cgroup-ns", .args = "", .run = cgroup_ns_run, .show = cgroup_ns_show
};

static int ns_of(const char *path, struct stat *st)
{
	return RET_NERRNO(stat(path, st));
}

static int time_offset_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct stat own, next;
	char line[96];
	int code = ns_of("/proc/self/ns/time", &own);

	if (code >= 0)
		code = ns_of("/proc/self/ns/time_for_children", &next);
	if (code < 0) {
		err_set(e, -E_UNSUPPORTED, "this kernel has no time namespaces");
		return err_mend(e, "it needs Linux 5.6 with CONFIG_TIME_NS");
	}
	/* The offsets belong to a namespace that nobody has entered yet: the one of the children. */
	if (own.st_ino == next.st_ino && unshare(CLONE_NEWTIME) < 0)
		return err_sys(e, -errno, "cannot make a time namespace");
	(void)snprintf(line, sizeof(line), "%s %s %s", s->arg[0], s->arg[1],
		s->arg[2][0] ? s->arg[2] : "0");
	code = proc_write("/proc/self/timens_offsets", line);
	return code < 0 ? err_sys(e, code, "cannot set the time offset '%s'", line) : 0;
}

/* The executor's next children are in its own time again. */
static int time_offset_undo(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	return RET_NERRNO(setns(fd, CLONE_NEWTIME));
}

static void time_offset_show(const struct step *s, struct text *t)
{
	text_addf(t, "unshare --time --%s %s ...", s->arg[0], s->arg[1]);
}

const struct step_ops step_time_offset = { .name = "time-offset",
	.args = "clock seconds nanoseconds",
	.run = time_offset_run,
	.undo = time_offset_undo,
	.show = time_offset_show };
