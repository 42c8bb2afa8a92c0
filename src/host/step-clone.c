/* SPDX-License-Identifier: MIT */
/* Steps that make the guest's first process and turn it into the guest's command. */
#include "host/clone.h"
#include "host/steps.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/cgroup.h"
#include "host/exec.h"
#include "host/users.h"

static const struct {
	const char *name;
	uint64_t flag;
} kinds[] = {
	{ "mnt", CLONE_NEWNS },
	{ "pid", CLONE_NEWPID },
	{ "net", CLONE_NEWNET },
	{ "uts", CLONE_NEWUTS },
	{ "ipc", CLONE_NEWIPC },
	{ "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP },
	{ "time", CLONE_NEWTIME },
};

static uint64_t flag_of(const char *name, size_t len)
{
	for (unsigned i = 0; i < ELEMENTSOF(kinds); i++)
		if (strlen(kinds[i].name) == len && strncmp(kinds[i].name, name, len) == 0)
			return kinds[i].flag;
	return 0;
}

uint64_t clone_flag(const char *name)
{
	return flag_of(name, strlen(name));
}

int clone_parse(const char *names, uint64_t *ret_flags)
{
	uint64_t flags = 0;

	while (*names) {
		size_t len = strcspn(names, ",");
		uint64_t one = flag_of(names, len);

		if (!one)
			return -EINVAL;
		flags |= one;
		names += len + (names[len] == ',');
	}
	/* A cgroup namespace is rooted where its maker is, so the child makes it after it has joined; a time
	 * namespace's offsets can only be set while it is empty. Both are unshared by the child. */
	*ret_flags = flags & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWTIME);
	return 0;
}

pid_t clone_guest(const char *names, int cgroup_fd, int *ret_pidfd)
{
	struct clone_args a = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	uint64_t flags;
	int r = clone_parse(names, &flags);

	if (r < 0)
		return r;
	a.flags |= flags;
	if (cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)cgroup_fd;
	}
	return RET_NERRNO((pid_t)syscall(SYS_clone3, &a, sizeof(a)));
}

/* --- clone --- */

/* plan_run() makes the clone itself: it must go on in two processes. */
static int clone_run(struct step_run *r, const struct step *s, struct err *e)
{
	return -EINVAL;
}

static void clone_show(const struct step *s, struct text *t)
{
	static const char *const option[] = { "--mount", "--pid", "--net", "--uts", "--ipc",
		"--user", "--cgroup", "--time" };

	text_add(t, "unshare --fork");
	for (unsigned i = 0; i < ELEMENTSOF(kinds); i++) {
		const char *p = strstr(s->arg[0], kinds[i].name);

		if (p)
			text_addf(t, " %s", option[i]);
	}
	text_add(t, " & pid=$!");
}

const struct step_ops step_clone = {
	.name = "clone", .args = "namespaces", .run = clone_run, .show = clone_show
};

/* --- join --- */

static int join_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = open(s->arg[1], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(
			e, -errno, "cannot open the %s namespace '%s'", s->arg[0], s->arg[1]);
	return RET_NERRNO(setns(fd, (int)clone_flag(s->arg[0])));
}

/* Of the pid namespace only the executor's future children move; back to its own for the next start. */
static int back_to_own_pid(void)
{
	_cleanup_close_ int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : RET_NERRNO(setns(fd, CLONE_NEWPID));
}

static int join_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return strcmp(s->arg[0], "pid") == 0 ? back_to_own_pid() : 0;
}

static void join_show(const struct step *s, struct text *t)
{
	text_addf(t, "nsenter --%s=", strcmp(s->arg[0], "mnt") == 0 ? "mount" : s->arg[0]);
	text_add_word(t, s->arg[1]);
	text_add(t, " ...");
}

const struct step_ops step_join = {
	.name = "join", .args = "kind path", .run = join_run, .undo = join_undo, .show = join_show
};

/* --- enter --- */

static int enter_run(struct step_run *r, const struct step *s, struct err *e)
{
	uint64_t flags = 0;

	for (const char *p = s->arg[0]; *p;) {
		size_t len = strcspn(p, ",");

		flags |= flag_of(p, len);
		p += len + (p[len] == ',');
	}
	if (r->guest_fd < 0)
		return -ESRCH;
	return RET_NERRNO(setns(r->guest_fd, (int)flags)); /* a pidfd: all at once, Linux 5.8 */
}

static int enter_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return strcmp(s->arg[0], "pid") == 0 ? back_to_own_pid() : 0;
}

static void enter_show(const struct step *s, struct text *t)
{
	text_add(t, "nsenter --target $pid");
	for (const char *p = s->arg[0]; *p;) {
		size_t len = strcspn(p, ",");

		text_addf(t, " --%.*s", (int)len, p);
		p += len + (p[len] == ',');
	}
	text_add(t, " ...");
}

const struct step_ops step_enter = {
	.name = "enter", .args = "kinds", .run = enter_run, .undo = enter_undo, .show = enter_show
};

/* --- cgroup-into --- */

/* The next clone's process starts in there (v2). Without a v2 tree there is nothing to open. */
static int cgroup_into_run(struct step_run *r, const struct step *s, struct err *e)
{
	int fd = cgroup_open(s->arg[0]);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	closep(&r->cgroup_fd);
	r->cgroup_fd = fd;
	return 0;
}

static void cgroup_into_show(const struct step *s, struct text *t)
{
	text_add(t, "# the next process starts in the cgroup ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_cgroup_into = {
	.name = "cgroup-into", .args = "path", .run = cgroup_into_run, .show = cgroup_into_show
};

/* --- unshare: what the child makes for itself --- */

static int unshare_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(unshare((int)clone_flag(s->arg[0])));
}

static void unshare_show(const struct step *s, struct text *t)
{
	text_addf(t, "unshare --%s", s->arg[0]);
}

const struct step_ops step_unshare = {
	.name = "unshare", .args = "kind", .run = unshare_run, .show = unshare_show
};

/* --- idmap, setid0 --- */

static int idmap_write(const char *path, const char *map)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	char text[4096];
	size_t n = strlen(map);

	if (fd < 0)
		return -errno;
	if (n >= sizeof(text))
		return -E2BIG;
	memcpy(text, map, n);
	for (size_t i = 0; i < n; i++)
		if (text[i] == ',')
			text[i] = '\n';
	return RET_NERRNO(write(fd, text, n)) < 0 ? -errno : 0;
}

/* newuidmap(1) or newgidmap(1): how a user without privileges gets the ranges of subuid(5). */
static int idmap_helper(pid_t child, const char *which, const char *map)
{
	char pid[16], words[4096], *argv[64];
	unsigned n = 0;
	int status;
	pid_t p;

	if (strlen(map) >= sizeof(words))
		return -E2BIG;
	(void)snprintf(pid, sizeof(pid), "%d", (int)child);
	(void)snprintf(words, sizeof(words), "%s", map);
	argv[n++] = (char *)(which[0] == 'u' ? "newuidmap" : "newgidmap");
	argv[n++] = pid;
	for (char *rest = words, *w; n < 63 && (w = strsep(&rest, " ,")) != NULL;)
		if (*w)
			argv[n++] = w;
	argv[n] = NULL;
	p = vfork();
	if (p == 0) {
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	if (p < 0)
		return -errno;
	while (waitpid(p, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static bool is_own_gid(const char *map)
{
	char *end;
	unsigned long outside;

	(void)strtoul(map, &end, 10);
	outside = strtoul(end, &end, 10);
	return strcmp(end, " 1") == 0 && outside == getegid();
}

static int idmap_run(struct step_run *r, const struct step *s, struct err *e)
{
	char path[64];
	int code;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s_map", (int)r->child, s->arg[0]);
	code = idmap_write(path, s->arg[1]);
	if (code == -EPERM && geteuid() != 0 && s->arg[0][0] == 'g' && is_own_gid(s->arg[1])) {
		/* one's own group alone needs no helper once groups can't be dropped, user_namespaces(7) */
		char deny[64];

		(void)snprintf(deny, sizeof(deny), "/proc/%d/setgroups", (int)r->child);
		code = idmap_write(deny, "deny");
		if (code >= 0)
			code = idmap_write(path, s->arg[1]);
	}
	if (code == -EPERM && geteuid() != 0) {
		code = idmap_helper(r->child, s->arg[0], s->arg[1]);
		if (code < 0) {
			err_sys(e, code, "cannot map the ids '%s'", s->arg[1]);
			err_mend(e, "install uidmap and add ranges to /etc/subuid and /etc/subgid");
		}
	}
	return code;
}

static void idmap_show(const struct step *s, struct text *t)
{
	text_addf(t, "printf '%%s\\n' '%s' >/proc/$pid/%s_map", s->arg[1], s->arg[0]);
}

const struct step_ops step_idmap = {
	.name = "idmap", .args = "which map", .run = idmap_run, .show = idmap_show
};

static int setid0_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	if (setresgid(0, 0, 0) < 0)
		return -errno;
	return RET_NERRNO(setresuid(0, 0, 0));
}

static void setid0_show(const struct step *s, struct text *t)
{
	text_add(t, "# become root of the new user namespace");
}

const struct step_ops step_setid0 = {
	.name = "setid0", .args = "", .run = setid0_run, .show = setid0_show
};

/* --- session --- */

static int session_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (setsid() < 0 && errno != EPERM) /* EPERM: leads one already */
		return -errno;
	if (s->arg[0][0] && ioctl(0, TIOCSCTTY, 0) < 0)
		return -errno;
	return 0;
}

static void session_show(const struct step *s, struct text *t)
{
	text_addf(t, "setsid%s", s->arg[0][0] ? " --ctty" : "");
}

const struct step_ops step_session = {
	.name = "session", .args = "tty", .run = session_run, .show = session_show
};

/* --- env, user, cwd, umask --- */

static int env_run(struct step_run *r, const struct step *s, struct err *e)
{
	r->env = s->arg;
	r->n_env = s->n;
	return 0;
}

static void env_show(const struct step *s, struct text *t)
{
	text_add(t, "export");
	for (unsigned i = 0; i < s->n; i++) {
		text_add(t, " ");
		text_add_word(t, s->arg[i]);
	}
}

const struct step_ops step_env = { .name = "env", .args = "...", .run = env_run, .show = env_show };

static int user_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct user_ids ids;
	int code = users_resolve(s->arg[0], s->arg[1], &ids, e);

	if (code < 0)
		return code;
	memcpy(r->home, ids.home, sizeof(r->home));
	/* The capability sets are the business of step "caps", which comes later. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	if (r->console) /* as login does: the user may open the terminal again by its name */
		(void)!fchown(0, ids.uid, (gid_t)-1);
	if (setgroups(ids.n_groups, ids.groups) < 0 && !(errno == EPERM && ids.n_groups == 0))
		return err_sys(e, -errno, "cannot set the groups of user '%s'", s->arg[0]);
	if (setresgid(ids.gid, ids.gid, ids.gid) < 0)
		return err_sys(e, -errno, "cannot become group %u", (unsigned)ids.gid);
	if (setresuid(ids.uid, ids.uid, ids.uid) < 0)
		return err_sys(e, -errno, "cannot become user %u", (unsigned)ids.uid);
	return 0;
}

static void user_show(const struct step *s, struct text *t)
{
	text_add(t, "setpriv --reuid/--regid ");
	text_add_word(t, s->arg[0][0] ? s->arg[0] : "0");
	if (s->arg[1][0]) {
		text_add(t, " --groups ");
		text_add_word(t, s->arg[1]);
	}
	text_add(t, " --init-groups ...");
}

const struct step_ops step_user = {
	.name = "user", .args = "user groups", .run = user_run, .show = user_show
};

/*
 * A working directory outside of the root means that a descriptor leaked: "/proc/self/fd/7" of a process
 * that has a folder of the host open (CVE-2024-21626). The kernel names such a place "(unreachable)/...".
 */
static int check_inside(const char *wanted, struct err *e)
{
	char path[PATH_MAX];

	if (syscall(SYS_getcwd, path, sizeof(path)) <= 0 || path[0] != '/') {
		return err_set(
			e, -EPERM, "the working directory '%s' is outside of the guest", wanted);
	}
	return 0;
}

static int cwd_run(struct step_run *r, const struct step *s, struct err *e)
{
	char path[PATH_MAX];

	if (chdir(s->arg[0]) == 0)
		return check_inside(s->arg[0], e);
	if (errno != ENOENT)
		return err_sys(e, -errno, "cannot change to the working directory '%s'", s->arg[0]);
	if (s->arg[0][0] != '/' || strlen(s->arg[0]) >= sizeof(path))
		return err_sys(
			e, -EINVAL, "cannot change to the working directory '%s'", s->arg[0]);
	memcpy(path, s->arg[0], strlen(s->arg[0]) + 1);
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(e, -errno, "cannot make the working directory '%s'", path);
		*p = '/';
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "cannot make the working directory '%s'", path);
	if (chdir(path) < 0)
		return err_sys(e, -errno, "cannot change to the working directory '%s'", path);
	return check_inside(s->arg[0], e);
}

static void cwd_show(const struct step *s, struct text *t)
{
	text_add(t, "mkdir -p ");
	text_add_word(t, s->arg[0]);
	text_add(t, " && cd ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_cwd = {
	.name = "cwd", .args = "path", .run = cwd_run, .show = cwd_show
};

static int umask_run(struct step_run *r, const struct step *s, struct err *e)
{
	(void)umask((mode_t)strtoul(s->arg[0], NULL, 8));
	return 0;
}

static void umask_show(const struct step *s, struct text *t)
{
	text_addf(t, "umask %s", s->arg[0]);
}

const struct step_ops step_umask = {
	.name = "umask", .args = "octal", .run = umask_run, .show = umask_show
};

/* --- close-fds, exec --- */

static int close_fds_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO((int)syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC));
}

static void close_fds_show(const struct step *s, struct text *t)
{
	text_add(t, "# close all descriptors from 3 on");
}

const struct step_ops step_close_fds = {
	.name = "close-fds", .args = "", .run = close_fds_run, .show = close_fds_show
};

#define ENV_MAX 4096

static const char *env_get(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

#define PATH_USUAL "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int not_executable(const char *argv0, int code, struct err *e)
{
	if (code == -ENOENT || code == -ENOTDIR) {
		if (strchr(argv0, '/'))
			return err_set(e, -E_COMMAND_NOTFOUND,
				"exec '%s': no such file or directory", argv0);
		return err_set(e, -E_COMMAND_NOTFOUND,
			"exec '%s': executable file not found in $PATH", argv0);
	}
	if (code == -EACCES || code == -ENOEXEC || code == -EISDIR || code == -EPERM ||
		code == -ELOOP)
		return err_set(e, -E_COMMAND_NOEXEC, "exec '%s': %s", argv0, strerror(-code));
	return err_sys(e, code, "exec '%s'", argv0);
}

static int can_exec(const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return RET_NERRNO(faccessat(AT_FDCWD, file, X_OK, AT_EACCESS));
}

int exec_lookup(const char *argv0, const char *path, char **ret, struct err *e)
{
	char file[PATH_MAX];
	int worst = -ENOENT, r;

	if (!argv0[0])
		return err_set(e, -E_COMMAND_NOTFOUND, "no command: it is empty");
	if (strchr(argv0, '/')) {
		r = can_exec(argv0);
		if (r < 0)
			return not_executable(argv0, r, e);
		*ret = strdup(argv0);
		return *ret ? 0 : -ENOMEM;
	}
	for (path = path ? path : PATH_USUAL; *path;) {
		size_t n = strcspn(path, ":");
		int k = snprintf(
			file, sizeof(file), "%.*s/%s", n ? (int)n : 1, n ? path : ".", argv0);

		r = k > 0 && (size_t)k < sizeof(file) ? can_exec(file) : -ENOENT;
		if (r == 0) {
			*ret = strdup(file);
			return *ret ? 0 : -ENOMEM;
		}
		if (r != -ENOENT && r != -ENOTDIR)
			worst = r;
		path += n + (path[n] == ':');
	}
	return not_executable(argv0, worst, e);
}

/* Tries the folders of PATH in turn. Returns the code of the most telling failure. */
static int exec_in_path(const char *const *argv, char *const *env)
{
	const char *path = env_get(env, "PATH");
	char file[PATH_MAX];
	int worst = -ENOENT;

	if (strchr(argv[0], '/')) {
		(void)execve(argv[0], (char *const *)(uintptr_t)argv, env);
		return -errno;
	}
	if (!path)
		path = PATH_USUAL;
	while (*path) {
		size_t n = strcspn(path, ":");
		int k = snprintf(
			file, sizeof(file), "%.*s/%s", n ? (int)n : 1, n ? path : ".", argv[0]);

		if (k > 0 && (size_t)k < sizeof(file)) {
			(void)execve(file, (char *const *)(uintptr_t)argv, env);
			if (errno != ENOENT && errno != ENOTDIR)
				worst = -errno;
		}
		path += n + (path[n] == ':');
	}
	return worst;
}

static int exec_run(struct step_run *r, const struct step *s, struct err *e)
{
	static char *env[ENV_MAX + 2];
	static char home[sizeof(r->home) + 8];
	sigset_t none;
	unsigned n = 0;

	if (s->n == 0 || !s->arg[0][0])
		return err_set(e, -E_COMMAND_NOTFOUND, "no command: it is empty");
	if (r->n_env > ENV_MAX)
		return err_set(e, -E_LIMIT, "more than %d environment variables", ENV_MAX);
	for (; n < r->n_env; n++)
		env[n] = (char *)(uintptr_t)r->env[n];
	env[n] = NULL;
	if (r->home[0] && !env_get(env, "HOME")) {
		(void)snprintf(home, sizeof(home), "HOME=%s", r->home);
		env[n++] = home;
		env[n] = NULL;
	}
	/* what is ignored stays so over execve(2); what is caught doesn't */
	(void)sigaction(SIGPIPE, &(const struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (r->found)
		(void)execve(r->found, (char *const *)(uintptr_t)s->arg, env);
	return not_executable(s->arg[0], exec_in_path(s->arg, env), e);
}

static void exec_show(const struct step *s, struct text *t)
{
	text_add(t, "exec");
	for (unsigned i = 0; i < s->n; i++) {
		text_add(t, " ");
		text_add_word(t, s->arg[i]);
	}
}

const struct step_ops step_exec = {
	.name = "exec", .args = "...", .run = exec_run, .show = exec_show
};
