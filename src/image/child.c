/* SPDX-License-Identifier: MIT */
#include "image/child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "image/archive-priv.h"

#define CHUNK	      (256 << 10)
#define LINE_MAX_     512
#define GRACE_MS      10000 /* between SIGTERM and SIGKILL */
#define PROGRESS_STEP (4 << 20)

struct run {
	const struct child *x;
	pid_t pid;
	int out, err, signals; /* descriptors, -1: closed */
	sigset_t old_mask;
	char line[LINE_MAX_];
	size_t n_line;
	char complaint[LINE_MAX_], last[LINE_MAX_];
	char stage[64];
	int64_t bytes, told;
	bool stopped, own_pids, failed_fetch;
	int code;
};

static void exec_program(const struct run *r)
{
	(void)execvp(r->x->argv[0], r->x->argv);
	_exit(127);
}

/* Process 1 of a pid namespace: when it dies nothing of the program lives on, whatever it has started. A program
 * that isn't made for being process 1 would be confused by the orphans that it gets. */
static void be_init(const struct run *r)
{
	pid_t main_pid = fork(), pid;
	int status;

	if (main_pid < 0)
		_exit(126);
	if (main_pid == 0)
		exec_program(r);
	while ((pid = wait(&status)) != main_pid)
		if (pid < 0 && errno != EINTR)
			_exit(126);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void child_main(const struct run *r, pid_t parent, int out, int err)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	int null = open("/dev/null", O_RDONLY);

	(void)setpgid(0, 0);
	if (r->own_pids && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		_exit(126);
	(void)prctl(PR_SET_PDEATHSIG, r->own_pids ? SIGKILL : SIGTERM);
	if (!r->own_pids && getppid() != parent)
		_exit(126);
	(void)sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
	(void)sigaction(SIGPIPE, &usual, NULL);
	(void)setenv("LC_ALL", "C.UTF-8", 1);
	if (r->x->tmpdir)
		(void)setenv("TMPDIR", r->x->tmpdir, 1);
	if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	if (r->own_pids)
		be_init(r);
	exec_program(r);
}

/* As fork(2), in a pid and a mount namespace where that is allowed: what the program mounts goes with it, too. */
static pid_t fork_child(struct run *r)
{
	struct clone_args args = { .flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	r->own_pids = pid >= 0;
	if (pid < 0)
		pid = fork();
	return pid;
}

static int start(struct run *r, struct err *e)
{
	_cleanup_close_ int out_to = -1, err_to = -1;
	int out[2] = { -1, -1 }, err[2];
	pid_t parent = getpid();

	if (pipe2(err, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	r->err = err[0];
	err_to = err[1];
	if (r->x->output) {
		if (pipe2(out, O_CLOEXEC) < 0)
			return err_sys(e, -errno, "cannot make a pipe");
		r->out = out[0];
		out_to = out[1];
		(void)fcntl(out_to, F_SETPIPE_SZ, 1 << 20);
	}
	r->pid = fork_child(r);
	if (r->pid < 0)
		return err_sys(e, -errno, "cannot start '%s'", r->x->argv[0]);
	if (r->pid == 0)
		child_main(r, parent, out_to >= 0 ? out_to : err_to, err_to);
	(void)setpgid(r->pid, r->pid);
	return 0;
}

static void stop(struct run *r, int sig)
{
	r->stopped = true;
	(void)kill(-r->pid, sig);
}

/* The first line with "E: "; or of apt, where it couldn't fetch something, "Err:1 URL ..." and on the next line
 * why. */
static void take_complaint(struct run *r, const char *s)
{
	size_t n = strlen(r->complaint);

	if (r->failed_fetch) {
		(void)g_snprintf(r->complaint + n, sizeof(r->complaint) - n, ": %s", s);
		r->failed_fetch = false;
	} else if (!r->complaint[0] && g_str_has_prefix(s, "Err:") && strchr(s, ' ')) {
		(void)g_snprintf(
			r->complaint, sizeof(r->complaint), "cannot fetch%.300s", strchr(s, ' '));
		r->failed_fetch = true;
	} else if (!r->complaint[0] && g_str_has_prefix(s, "E: ")) {
		(void)g_strlcpy(r->complaint, s + 3, sizeof(r->complaint));
	}
}

/* "I: extracting archives..." is a stage; "E: ..." is what went wrong. */
static void take_line(struct run *r)
{
	/* what says nothing to those who wait */
	static const char *const no_stage[] = { "hook", "tempdir", "skipping", "success in",
		"chroot architecture", "automatically chosen", "signed-by", "I: done" };
	char *s = g_strstrip(r->line);

	if (!*s)
		return;
	(void)g_strlcpy(r->last, s, sizeof(r->last));
	take_complaint(r, s);
	if (!g_str_has_prefix(s, "I: ") || r->stopped)
		return;
	for (unsigned i = 0; i < G_N_ELEMENTS(no_stage); i++)
		if (strstr(s, no_stage[i]))
			return;
	(void)g_strlcpy(r->stage, s + 3, sizeof(r->stage));
	image_tell(r->x->progress, "%s", s + 3);
}

static void take_stderr(struct run *r, const char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || buf[i] == '\r') {
			r->line[r->n_line] = '\0';
			take_line(r);
			r->n_line = 0;
		} else if (r->n_line < sizeof(r->line) - 1) {
			r->line[r->n_line++] = g_ascii_iscntrl(buf[i]) ? ' ' : buf[i];
		}
	}
}

static void read_stderr(struct run *r, char *buf)
{
	ssize_t n = read(r->err, buf, CHUNK);

	if (n > 0)
		take_stderr(r, buf, (size_t)n);
	else if (n == 0 || errno != EINTR)
		closep(&r->err), r->err = -1;
}

static void read_stdout(struct run *r, char *buf, struct err *e)
{
	ssize_t n = read(r->out, buf, CHUNK);

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		closep(&r->out);
		r->out = -1;
		return;
	}
	r->bytes += n;
	if (r->code >= 0)
		r->code = r->x->output(r->x->data, buf, (size_t)n, e);
	if (r->code < 0 && !r->stopped)
		stop(r, SIGTERM);
	if (r->bytes - r->told >= PROGRESS_STEP && r->code >= 0) {
		r->told = r->bytes;
		image_tell(r->x->progress, "%s %d MB", r->stage[0] ? r->stage : "reading",
			(int)(r->bytes / 1000000));
	}
}

static int64_t now_ms(void)
{
	return g_get_monotonic_time() / 1000;
}

static void loop(struct run *r, struct err *e)
{
	g_autofree char *buf = g_malloc(CHUNK);
	int64_t killed_at = 0;

	/* a grandchild may keep the pipes: after the grace time nobody is left to wait for */
	while (r->out >= 0 || r->err >= 0) {
		struct pollfd p[] = { { .fd = r->signals, .events = POLLIN },
			{ .fd = r->out, .events = POLLIN }, { .fd = r->err, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(p, ELEMENTSOF(p), r->stopped ? 200 : -1) < 0 && errno != EINTR)
			break;
		if ((p[0].revents & POLLIN) &&
			read(r->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			if (r->code >= 0)
				r->code = err_set(e, -ECANCELED, "interrupted");
			stop(r, SIGTERM);
		}
		if (p[1].revents)
			read_stdout(r, buf, e);
		if (p[2].revents)
			read_stderr(r, buf);
		if (r->stopped && killed_at == 0)
			killed_at = now_ms();
		if (r->stopped && now_ms() - killed_at > GRACE_MS) {
			stop(r, SIGKILL);
			break;
		}
	}
}

static int result(struct run *r, int status, struct err *e)
{
	const char *name = r->x->argv[0];

	if (r->code < 0)
		return r->code;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !r->last[0])
		return -E_NOTFOUND;
	if (r->complaint[0] || r->last[0])
		return err_set(
			e, -EIO, "%s failed: %s", name, r->complaint[0] ? r->complaint : r->last);
	if (WIFSIGNALED(status))
		return err_set(e, -EIO, "%s was killed by signal %d", name, WTERMSIG(status));
	return err_set(e, -EIO, "%s failed with status %d", name, WEXITSTATUS(status));
}

int child_run(const struct child *x, struct err *e)
{
	struct run r = { .x = x, .out = -1, .err = -1, .signals = -1 };
	int status = 0, code;
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &mask, &r.old_mask);
	r.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	code = start(&r, e);
	if (code >= 0) {
		loop(&r, e);
		while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR)
			;
		code = result(&r, status, e);
	}
	closep(&r.out);
	closep(&r.err);
	closep(&r.signals);
	(void)sigprocmask(SIG_SETMASK, &r.old_mask, NULL);
	return code;
}
