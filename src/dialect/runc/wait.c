/* SPDX-License-Identifier: MIT */
/* The parent of a process in the foreground: signals, its terminal, its end. docs/terminals.md. */
#include "dialect/runc/runc.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

static sigset_t all_signals(void)
{
	sigset_t set;

	(void)sigfillset(&set);
	for (guint i = 0; i < 5; i++)
		(void)sigdelset(&set, (int[]){ SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT }[i]);
	return set;
}

void block_signals(void)
{
	sigset_t set = all_signals();

	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void copy_size(int master)
{
	struct winsize w;

	if (ioctl(0, TIOCGWINSZ, &w) == 0)
		(void)ioctl(master, TIOCSWINSZ, &w);
}

/* Takes all children that ended; true when the one that is waited for is among them. */
static bool reap(pid_t pid, int *ret_status)
{
	bool found = false;
	pid_t p;
	int status;

	while ((p = waitpid(-1, &status, WNOHANG)) > 0)
		if (p == pid) {
			*ret_status = status;
			found = true;
		}
	return found;
}

static bool take_signals(int fd, pid_t pid, int master, int *ret_status)
{
	struct signalfd_siginfo s;
	bool ended = false;

	while (!ended && read(fd, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo == SIGCHLD)
			ended = reap(pid, ret_status);
		else if (s.ssi_signo == SIGWINCH && master >= 0)
			copy_size(master);
		else if (s.ssi_signo != SIGURG && s.ssi_signo != SIGPIPE)
			(void)kill(pid, (int)s.ssi_signo);
		if (poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) != 1)
			break;
	}
	return ended;
}

static bool pass(int from, int to)
{
	char buf[16384];
	ssize_t n = RET_NERRNO(read(from, buf, sizeof(buf)));

	for (ssize_t done = 0; done < n;) {
		ssize_t w = RET_NERRNO(write(to, buf + done, (size_t)(n - done)));

		if (w == -EAGAIN)
			(void)poll(&(struct pollfd){ to, POLLOUT, 0 }, 1, -1);
		else if (w < 0 && w != -EINTR)
			return false;
		else
			done += w > 0 ? w : 0;
	}
	return n > 0 || n == -EAGAIN || n == -EINTR;
}

static void loop(int fd, pid_t pid, int master, int *ret_status)
{
	bool in = master >= 0, out = master >= 0, ended = false;

	while (!ended) {
		struct pollfd p[3] = { { fd, POLLIN, 0 }, { in ? 0 : -1, POLLIN, 0 },
			{ out ? master : -1, POLLIN, 0 } };

		int code = RET_NERRNO(poll(p, 3, -1));

		if (code < 0 && code != -EINTR)
			return;
		if (p[2].revents)
			out = pass(master, 1);
		if (p[1].revents)
			in = pass(0, master);
		if (p[0].revents)
			ended = take_signals(fd, pid, master, ret_status);
	}
	/* what it wrote last; others may still hold the terminal, so don't wait for its end */
	while (out && poll(&(struct pollfd){ master, POLLIN, 0 }, 1, 0) == 1)
		out = pass(master, 1);
}

int follow_process(pid_t pid, int master, struct err *e)
{
	sigset_t set = all_signals();
	_cleanup_close_ int fd = RET_NERRNO(signalfd(-1, &set, SFD_CLOEXEC));
	struct termios old, raw;
	bool terminal = master >= 0 && tcgetattr(0, &old) == 0;
	int status = 0;

	if (fd < 0)
		return err_sys(e, fd, "cannot wait for signals");
	if (terminal) {
		raw = old;
		cfmakeraw(&raw);
		(void)tcsetattr(0, TCSANOW, &raw);
		copy_size(master);
	}
	/* it may have ended before anybody looked */
	if (!reap(pid, &status))
		loop(fd, pid, master, &status);
	else if (master >= 0)
		while (poll(&(struct pollfd){ master, POLLIN, 0 }, 1, 0) == 1 && pass(master, 1))
			;
	if (terminal)
		(void)tcsetattr(0, TCSANOW, &old);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
