/* SPDX-License-Identifier: MIT */
/* Steps of an OCI runtime: its container outlives the executor, and another process starts it. */
#include "host/steps.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "host/exec.h"
#include "host/proc.h"
#include "host/smallfile.h"
#include "host/users.h"

enum {
	STATE_MAX = 256 * 1024, /* bytes of a state with its annotations */
	HOOK_OUTPUT_MAX = 512,	/* of a failed hook, for its message */
	SOCKET_WAIT_MS = 10000
};

/* --- the first process --- */

/* Copies text with @PID@ and @START@ filled in. Caller frees. */
static char *fill_first(const char *text, pid_t pid)
{
	size_t size = strlen(text) + 1, n = 0;
	char number[32];
	uint64_t start = 0;
	char *out, state;

	(void)proc_stat(pid, &state, &start);
	for (const char *p = text; (p = strchr(p, '@')) != NULL; p++)
		size += sizeof(number);
	out = malloc(size);
	if (!out)
		abort();
	while (*text) {
		bool is_pid = strncmp(text, "@PID@", 5) == 0;

		if (is_pid || strncmp(text, "@START@", 7) == 0) {
			(void)snprintf(number, sizeof(number), "%llu",
				is_pid ? (unsigned long long)pid : (unsigned long long)start);
			memcpy(out + n, number, strlen(number));
			n += strlen(number);
			text += is_pid ? 5 : 7;
		} else
			out[n++] = *text++;
	}
	out[n] = '\0';
	return out;
}

static int first_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_free_ char *text = fill_first(s->arg[1], r->child);
	char temporary[PATH_MAX];
	_cleanup_close_ int fd = -1;
	size_t n = strlen(text);
	int k, code = 0;

	k = snprintf(temporary, sizeof(temporary), "%s.new", s->arg[0]);
	if (k < 0 || (size_t)k >= sizeof(temporary))
		return -ENAMETOOLONG;
	/* readers see the whole file or none */
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		(mode_t)strtoul(s->arg[2], NULL, 8));
	if (fd < 0)
		return err_sys(e, -errno, "cannot write '%s'", s->arg[0]);
	if (write(fd, text, n) != (ssize_t)n)
		code = -EIO;
	if (code == 0 && rename(temporary, s->arg[0]) < 0)
		code = -errno;
	if (code < 0)
		(void)unlink(temporary);
	return code < 0 ? err_sys(e, code, "cannot write '%s'", s->arg[0]) : 0;
}

static int first_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return unlink(s->arg[0]) < 0 && errno != ENOENT ? -errno : 0;
}

static void first_show(const struct step *s, struct text *t)
{
	text_add(t, "printf %s ");
	text_add_word(t, s->arg[1]);
	text_add(t, " >");
	text_add_word(t, s->arg[0]);
	text_add(t, " # with @PID@ being $pid");
}

const struct step_ops step_first = { .name = "first",
	.args = "path text mode",
	.run = first_run,
	.undo = first_undo,
	.show = first_show };

/* --- waiting for the start --- */

static int fifo_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (s->at == AT_HOST) {
		mode_t mode = (mode_t)strtoul(s->arg[1], NULL, 8);

		if (mkfifo(s->arg[0], mode) < 0 || chmod(s->arg[0], mode) < 0)
			return err_sys(e, -errno, "cannot make the fifo '%s'", s->arg[0]);
		/* the child inherits it: with ids of its own it may not look into the folder */
		r->fifo_fd = open(s->arg[0], O_PATH | O_CLOEXEC | O_NOFOLLOW);
		return r->fifo_fd < 0 ? -errno : 0;
	}
	r->fd_dir = r->fifo_fd < 0 ? -1 : open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->fd_dir < 0 ? err_sys(e, -errno, "cannot open the fifo '%s'", s->arg[0]) : 0;
}

static int fifo_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return unlink(s->arg[0]) < 0 && errno != ENOENT ? -errno : 0;
}

static void fifo_show(const struct step *s, struct text *t)
{
	if (s->at == AT_HOST)
		text_addf(t, "mkfifo -m %s ", s->arg[1]);
	else
		text_add(t, "exec 3>");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_fifo = {
	.name = "fifo", .args = "path mode", .run = fifo_run, .undo = fifo_undo, .show = fifo_show
};

/* The fifo can't be reached by a path any more: it is opened again by its descriptor. That waits for a
 * reader. One byte says that the rest of this descriptor is silence, or a failure's text. */
static int wait_start_run(struct step_run *r, const struct step *s, struct err *e)
{
	char name[16];
	int fd;

	/* whoever reads the other end takes its closing as "it waits" */
	closep(&r->sync_fd);
	r->sync_fd = -1;
	(void)snprintf(name, sizeof(name), "%d", r->fifo_fd);
	do
		fd = openat(r->fd_dir, name, O_WRONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	r->start_fd = fd;
	closep(&r->fifo_fd);
	closep(&r->fd_dir);
	r->fifo_fd = r->fd_dir = -1;
	return write(fd, "0", 1) < 0 ? -errno : 0;
}

static void wait_start_show(const struct step *s, struct text *t)
{
	text_add(t, "printf 0 >&3 # waits for its reader: the start");
}

const struct step_ops step_wait_start = {
	.name = "wait-start", .args = "", .run = wait_start_run, .show = wait_start_show
};

/* --- hooks --- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Its standard streams: the state comes in by `in`, what it says goes out by `out`. */
static _Noreturn void hook_child(const struct step *s, unsigned words, int in, int out)
{
	char *const *argv = (char *const *)(uintptr_t)(s->arg + 5);
	char *argv_only[256], *const none[] = { NULL };
	unsigned n = 0;
	sigset_t empty;

	for (; n < words && n < ELEMENTSOF(argv_only) - 1; n++)
		argv_only[n] = argv[n];
	argv_only[n] = NULL;
	if (n == 0)
		argv_only[0] = (char *)(uintptr_t)s->arg[3], argv_only[1] = NULL;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)setsid(); /* so that all of it can be ended at its timeout */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	(void)sigemptyset(&empty);
	(void)sigprocmask(SIG_SETMASK, &empty, NULL);
	(void)execve(s->arg[3], argv_only, s->n > 5 + words ? argv + words : none);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

/* Feeds and reads until the hook ends; its wait status in *ret. */
static int hook_talk(pid_t pid, int in, int out, const char *state, int64_t timeout, char *said,
	size_t size, int *ret)
{
	int64_t end = timeout > 0 ? now_ms() + timeout * 1000 : INT64_MAX;
	size_t left = strlen(state), n = 0;
	bool open_out = true;

	for (;;) {
		struct pollfd p[2] = { { left ? in : -1, POLLOUT, 0 },
			{ open_out ? out : -1, POLLIN, 0 } };
		char lost[256];
		ssize_t k;

		if (waitpid(pid, ret, WNOHANG) == pid)
			return 0;
		if (now_ms() >= end) {
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
			while (waitpid(pid, ret, 0) < 0 && errno == EINTR)
				;
			return -ETIMEDOUT;
		}
		/* its end shows as the end of its output, or within 10 ms: something of it may stay */
		(void)poll(p, 2, open_out ? 10 : 1);
		if (p[0].revents) {
			k = write(in, state, left);
			if (k > 0) {
				state += k;
				left -= (size_t)k;
			} else if (errno != EAGAIN)
				left = 0;
			if (!left)
				(void)shutdown(in, SHUT_WR);
		}
		if (p[1].revents) {
			bool room = n + 1 < size;

			k = read(out, room ? said + n : lost, room ? size - 1 - n : sizeof(lost));
			if (k > 0 && room)
				n += (size_t)k;
			open_out = k > 0;
		}
		said[n] = '\0';
	}
}

/* "1.5" seconds aren't in the specification: whole ones. */
static int hook_run(struct step_run *r, const struct step *s, struct err *e)
{
	bool inside = s->at == AT_CHILD;
	_cleanup_free_ char *state = fill_first(s->arg[2], inside ? getpid() : r->child);
	unsigned words = (unsigned)strtoul(s->arg[4], NULL, 10);
	char said[HOOK_OUTPUT_MAX] = "";
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, status = 0, code;
	pid_t pid;

	if (words > s->n - 5)
		return -E_CORRUPT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 ||
		pipe2(out, O_CLOEXEC) < 0) {
		code = -errno;
		closep(&in[0]);
		closep(&in[1]);
		return code;
	}
	pid = fork();
	if (pid == 0)
		hook_child(s, words, in[1], out[1]);
	closep(&in[1]);
	closep(&out[1]);
	(void)fcntl(in[0], F_SETFL, O_NONBLOCK);
	code = pid < 0 ? -errno
		       : hook_talk(pid, in[0], out[0], state, strtoll(s->arg[1], NULL, 10), said,
				 sizeof(said), &status);
	closep(&in[0]);
	closep(&out[0]);
	if (code == -ETIMEDOUT)
		return err_set(e, -ETIMEDOUT,
			"error running %s: hook ran past specified timeout of %s.0s", s->arg[0],
			s->arg[1]);
	if (code < 0)
		return err_sys(e, code, "error running %s", s->arg[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(
			e, -ECHILD, "error running %s: '%s': %s", s->arg[0], s->arg[3], said);
	if (WIFSIGNALED(status))
		return err_set(e, -ECHILD, "error running %s: signal: %s", s->arg[0],
			strsignal(WTERMSIG(status)));
	return err_set(e, -ECHILD, "error running %s: exit status %d, output: %s", s->arg[0],
		WEXITSTATUS(status), said);
}

static void hook_show(const struct step *s, struct text *t)
{
	text_addf(t, "%s%s%s", s->arg[1][0] && strcmp(s->arg[1], "0") != 0 ? "timeout " : "",
		strcmp(s->arg[1], "0") != 0 ? s->arg[1] : "",
		strcmp(s->arg[1], "0") != 0 ? " " : "");
	text_add_word(t, s->arg[3]);
	text_addf(t, " <state # %s", s->arg[0]);
}

const struct step_ops step_hook = { .name = "hook",
	.args = "label timeout state path words environment...",
	.run = hook_run,
	.show = hook_show };

/* --- descriptors to somebody else --- */

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "the socket's path '%s' is too long", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, -errno, "cannot connect to '%s'", path);
	return TAKE_FD(fd);
}

static int send_fd(int sock, const char *text, size_t n, int fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, n };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	control.h = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
	};
	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	return RET_NERRNO(sendmsg(sock, &m, MSG_NOSIGNAL)) < 0 ? -errno : 0;
}

static int console_send_run(struct step_run *r, const struct step *s, struct err *e)
{
	int master = r->kept_fd[KEPT_CONSOLE];
	_cleanup_close_ int sock = -1;
	struct winsize w = { .ws_row = (unsigned short)strtoul(s->arg[1], NULL, 10),
		.ws_col = (unsigned short)strtoul(s->arg[2], NULL, 10) };
	int code;

	if (master < 0)
		return -EBADF;
	if ((w.ws_row || w.ws_col) && ioctl(master, TIOCSWINSZ, &w) < 0)
		return err_sys(e, -errno, "cannot set the terminal's size");
	if (!s->arg[0][0])
		return 0;
	sock = connect_to(s->arg[0], e);
	if (sock < 0)
		return sock;
	code = send_fd(sock, "/dev/ptmx", 9, master);
	if (code < 0)
		return err_sys(e, code, "cannot send the terminal to '%s'", s->arg[0]);
	closep(&r->kept_fd[KEPT_CONSOLE]);
	r->kept_fd[KEPT_CONSOLE] = -1;
	return 0;
}

static void console_send_show(const struct step *s, struct text *t)
{
	text_add(t, "# the terminal's master goes to ");
	text_add_word(t, s->arg[0][0] ? s->arg[0] : "this process");
}

const struct step_ops step_console_send = { .name = "console-send",
	.args = "socket rows columns",
	.run = console_send_run,
	.show = console_send_show };

static int seccomp_send_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_free_ char *state = fill_first(s->arg[1], r->child);
	_cleanup_close_ int sock = connect_to(s->arg[0], e);
	int code;

	if (sock < 0)
		return sock;
	if (strlen(state) > STATE_MAX)
		return -E2BIG;
	code = send_fd(sock, state, strlen(state), r->kept_fd[KEPT_SECCOMP]);
	if (code < 0)
		return err_sys(e, code, "cannot send the filter's listener to '%s'", s->arg[0]);
	closep(&r->kept_fd[KEPT_SECCOMP]);
	r->kept_fd[KEPT_SECCOMP] = -1;
	return 0;
}

static void seccomp_send_show(const struct step *s, struct text *t)
{
	text_add(t, "# the filter's listener goes to ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_seccomp_send = { .name = "seccomp-send",
	.args = "socket state",
	.run = seccomp_send_run,
	.show = seccomp_send_show };

/* --- what the process is --- */

/* From outside: a process in a user namespace may not raise its own. */
static int prlimit_run(struct step_run *r, const struct step *s, struct err *e)
{
	int number = rlimit_number(s->arg[0], e);
	struct rlimit64 l;
	uint64_t soft, hard;

	if (number < 0)
		return number;
	if (rlimit_parse(s->arg[1], &soft) < 0 || rlimit_parse(s->arg[2], &hard) < 0)
		return -EINVAL;
	l = (struct rlimit64){ soft, hard };
	if (prlimit64(r->child, (enum __rlimit_resource)number, &l, NULL) < 0)
		return err_sys(e, -errno, "cannot set the limit '%s' to %s:%s", s->arg[0],
			s->arg[1], s->arg[2]);
	return 0;
}

static void prlimit_show(const struct step *s, struct text *t)
{
	text_addf(t, "prlimit --pid $pid --%s=%s:%s", s->arg[0], s->arg[1], s->arg[2]);
}

const struct step_ops step_prlimit = {
	.name = "prlimit", .args = "name soft hard", .run = prlimit_run, .show = prlimit_show
};

static int ids_run(struct step_run *r, const struct step *s, struct err *e)
{
	uid_t uid = (uid_t)strtoul(s->arg[0], NULL, 10);
	gid_t gid = (gid_t)strtoul(s->arg[1], NULL, 10), groups[USER_GROUPS_MAX];
	struct user_ids entry;
	size_t n = 0;

	for (const char *p = s->arg[2]; *p;) {
		char *end;

		if (n == USER_GROUPS_MAX)
			return err_set(e, -E_LIMIT, "more than %d groups", USER_GROUPS_MAX);
		groups[n++] = (gid_t)strtoul(p, &end, 10);
		if (end == p || (*end && *end != ','))
			return -EINVAL;
		p = end + (*end == ',');
	}
	if (users_resolve(s->arg[0], "", &entry, NULL) >= 0)
		memcpy(r->home, entry.home, sizeof(r->home));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	if (r->console) /* a user namespace may not have the owner that the terminal has */
		(void)!fchown(0, uid, (gid_t)-1);
	/* EPERM: a user namespace where groups can't be set has none */
	if (setgroups(n, groups) < 0 && !(errno == EPERM && n == 0))
		return err_sys(e, -errno, "cannot set the additional groups");
	if (setresgid(gid, gid, gid) < 0)
		return err_sys(e, -errno, "cannot become group %u", (unsigned)gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_sys(e, -errno, "cannot become user %u", (unsigned)uid);
	return 0;
}

static void ids_show(const struct step *s, struct text *t)
{
	text_addf(t, "setpriv --reuid %s --regid %s ", s->arg[0], s->arg[1]);
	if (s->arg[2][0])
		text_addf(t, "--groups %s ...", s->arg[2]);
	else
		text_add(t, "--clear-groups ...");
}

const struct step_ops step_ids = {
	.name = "ids", .args = "uid gid groups", .run = ids_run, .show = ids_show
};

static int keyring_run(struct step_run *r, const struct step *s, struct err *e)
{
	long key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, s->arg[0]);

	if (key < 0)
		return errno == ENOSYS || errno == EDQUOT ? 0 : -errno;
	/* possessors and the user may do all but change it */
	(void)syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f1f0000);
	return 0;
}

static void keyring_show(const struct step *s, struct text *t)
{
	text_add(t, "keyctl session ");
	text_add_word(t, s->arg[0]);
	text_add(t, " ...");
}

const struct step_ops step_keyring = {
	.name = "keyring", .args = "name", .run = keyring_run, .show = keyring_show
};

/* A process of the guest could else trace this one as soon as it has no more rights than it, and reach the
 * host by its descriptors (CVE-2016-9962). execve(2) ends it. */
static int undumpable_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

static void undumpable_show(const struct step *s, struct text *t)
{
	text_add(t, "# prctl(PR_SET_DUMPABLE, 0)");
}

const struct step_ops step_undumpable = {
	.name = "undumpable", .args = "", .run = undumpable_run, .show = undumpable_show
};

/* The other way round: who isn't root may write the maps of a process only when he may look into it, and a clone has
 * that of its maker. Step "undumpable", AT_PARENT, ends it. */
static int dumpable_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int dumpable_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

static void dumpable_show(const struct step *s, struct text *t)
{
	text_add(t, "# prctl(PR_SET_DUMPABLE, 1)");
}

const struct step_ops step_dumpable = { .name = "dumpable",
	.args = "",
	.run = dumpable_run,
	.undo = dumpable_undo,
	.show = dumpable_show };

static int close_from_run(struct step_run *r, const struct step *s, struct err *e)
{
	unsigned first = (unsigned)strtoul(s->arg[0], NULL, 10);

	for (unsigned fd = 3; fd < first; fd++) {
		int flags = fcntl((int)fd, F_GETFD);

		if (flags < 0)
			return err_set(e, -EBADF, "unable to preserve fd %u: it isn't open", fd);
	}
	return RET_NERRNO((int)syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC));
}

static void close_from_show(const struct step *s, struct text *t)
{
	text_addf(t, "# close all descriptors from %s on", s->arg[0]);
}

const struct step_ops step_close_from = {
	.name = "close-from", .args = "first", .run = close_from_run, .show = close_from_show
};

static int find_exec_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *path = NULL;
	char *found = NULL;
	int code;

	for (unsigned i = 0; i < r->n_env; i++)
		if (strncmp(r->env[i], "PATH=", 5) == 0)
			path = r->env[i] + 5;
	code = exec_lookup(s->arg[0], path, &found, e);
	r->found = found;
	return code;
}

static void find_exec_show(const struct step *s, struct text *t)
{
	text_add(t, "command -v ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_find_exec = {
	.name = "find-exec", .args = "command", .run = find_exec_run, .show = find_exec_show
};

/* The host's /dev/null stays a file of a mount that the container hasn't: it can neither be opened by its path in
 * there nor be restored from a checkpoint. */
static int own_null_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		_cleanup_close_ int own = -1;

		if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
			continue;
		own = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		/* a container without a /dev of its own keeps the host's */
		if (own >= 0 && fstat(own, &st) == 0 && S_ISCHR(st.st_mode) &&
			st.st_rdev == makedev(1, 3) && dup2(own, fd) < 0)
			return -errno;
	}
	return 0;
}

static void own_null_show(const struct step *s, struct text *t)
{
	text_add(t, "# streams that are /dev/null: exec N<>/dev/null");
}

const struct step_ops step_own_null = {
	.name = "own-null", .args = "", .run = own_null_run, .show = own_null_show
};

/* Less than pivot_root(2): the old root stays below. Before it all that the guest needn't see is unmounted, so
 * that it can't mount it anew. */
static int chroot_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (chdir(s->arg[0]) < 0)
		return -errno;
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return err_sys(e, -errno, "cannot move the mount '%s' to '/'", s->arg[0]);
	if (chroot(".") < 0)
		return -errno;
	return RET_NERRNO(chdir("/"));
}

static void chroot_show(const struct step *s, struct text *t)
{
	text_add(t, "cd ");
	text_add_word(t, s->arg[0]);
	text_add(t, " && mount --move . / && chroot .");
}

const struct step_ops step_chroot = {
	.name = "chroot", .args = "root", .run = chroot_run, .show = chroot_show
};
