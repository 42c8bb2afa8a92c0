/* SPDX-License-Identifier: MIT */
/*
 * A container's streams and this process's: raw terminal, sizes, signals, the keys that detach.
 *
 * Signals come through a signalfd, so that no handler runs between a change of the terminal and its record:
 * however a session ends (but by SIGKILL) the terminal is given back.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include "dialect/docker/cli.h"

#define PIECE	   (32 * 1024)
#define FRAME_HEAD 8 /* stream, three zeros, length: of multiplexed output */

/* --- output ------------------------------------------------------------------------------------------------------ */

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = RET_NERRNO(write(fd, p, n));

		if (k == -EINTR)
			continue;
		if (k == -EAGAIN) {
			struct pollfd w = { fd, POLLOUT, 0 };

			(void)poll(&w, 1, -1);
			continue;
		}
		if (k < 0)
			return (int)k;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

struct frames {
	unsigned char head[FRAME_HEAD];
	size_t have, left; /* of the head; of the frame's bytes */
	int fd;
};

static int put_frames(struct frames *f, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		size_t part;
		int r;

		if (f->left == 0) {
			part = MIN(n, FRAME_HEAD - f->have);
			memcpy(f->head + f->have, p, part);
			f->have += part;
			p += part;
			n -= part;
			if (f->have < FRAME_HEAD)
				return 0;
			f->have = 0;
			f->left = (size_t)f->head[4] << 24 | (size_t)f->head[5] << 16 |
				  (size_t)f->head[6] << 8 | f->head[7];
			if (f->head[0] > 3)
				return err_set(
					e, -EBADMSG, "Unrecognized input header: %d", f->head[0]);
			f->fd = f->head[0] >= 2 ? STDERR_FILENO : STDOUT_FILENO;
			continue;
		}
		part = MIN(n, f->left);
		r = write_all(f->fd, p, part);
		if (r < 0)
			return err_sys(e, r, "write /dev/%s", f->fd == 1 ? "stdout" : "stderr");
		f->left -= part;
		p += part;
		n -= part;
	}
	return 0;
}

static int put_output(struct frames *f, bool tty, const char *p, size_t n, struct err *e)
{
	int r;

	if (!tty)
		return put_frames(f, p, n, e);
	r = write_all(STDOUT_FILENO, p, n);
	return r < 0 ? err_sys(e, r, "write /dev/stdout") : 0;
}

int cli_demultiplex(struct stream *s, bool tty, struct err *e)
{
	g_autofree char *buf = g_malloc(PIECE);
	struct frames f = { 0 };
	ssize_t n;
	int r = 0;

	(void)fflush(stdout);
	while (r >= 0 && (n = stream_read(s, buf, PIECE)) != 0) {
		if (n < 0)
			return err_set(e, (int)n, "the server's answer was cut");
		r = put_output(&f, tty, buf, (size_t)n, e);
	}
	return r;
}

/* --- the terminal ---------------------------------------------------------------------------------------------------- */

void cli_resize(struct client *cl, const char *container, const char *exec)
{
	struct winsize w;
	g_autofree char *path = NULL;

	if (RET_NERRNO(ioctl(STDOUT_FILENO, TIOCGWINSZ, &w)) < 0 || !w.ws_row || !w.ws_col)
		return;
	path = exec ? client_path("/exec/%s/resize?h=%d&w=%d", exec, w.ws_row, w.ws_col)
		    : client_path("/containers/%s/resize?h=%d&w=%d", container, w.ws_row, w.ws_col);
	/* a container that has just ended has no size */
	(void)client_call(cl, "POST", path, NULL, NULL, NULL);
}

struct session {
	struct client *cl;
	const struct cli_session *s;
	struct frames frames;
	struct termios before;
	sigset_t mask_before;
	bool raw, in_open, end_waits;
	int signals;
	char *in; /* what the server has not taken yet */
	size_t in_at, in_n;
	guint matched; /* of the keys that detach */
	bool detached;
};

static void wanted_signals(const struct session *t, sigset_t *set)
{
	static const int passed[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM,
		SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ, SIGIO,
		SIGPWR };

	(void)sigemptyset(set);
	for (size_t i = 0; t->s->proxy_signals && i < G_N_ELEMENTS(passed); i++)
		(void)sigaddset(set, passed[i]);
	if (t->s->tty)
		(void)sigaddset(set, SIGWINCH);
	/* these must not leave the terminal raw */
	if (t->raw) {
		(void)sigaddset(set, SIGTERM);
		(void)sigaddset(set, SIGHUP);
	}
}

static int session_open(struct session *t, struct err *e)
{
	struct termios raw;
	sigset_t set;

	if (t->s->tty && t->s->in && cli_is_terminal(STDIN_FILENO) &&
		RET_NERRNO(tcgetattr(STDIN_FILENO, &t->before)) >= 0)
		t->raw = true;
	wanted_signals(t, &set);
	(void)sigprocmask(SIG_BLOCK, &set, &t->mask_before);
	t->signals = RET_NERRNO(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
	if (t->signals < 0)
		return err_sys(e, t->signals, "cannot take signals");
	if (t->raw) {
		raw = t->before;
		cfmakeraw(&raw);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	t->in_open = t->s->in;
	t->in = g_malloc(PIECE);
	return 0;
}

static void session_close(struct session *t)
{
	if (t->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	closep(&t->signals);
	(void)sigprocmask(SIG_SETMASK, &t->mask_before, NULL);
	g_free(t->in);
}

static void take_signals(struct session *t)
{
	struct signalfd_siginfo info;

	while (RET_NERRNO(read(t->signals, &info, sizeof(info))) == (ssize_t)sizeof(info)) {
		const char *name = sigabbrev_np((int)info.ssi_signo);
		g_autofree char *path = NULL;

		if (info.ssi_signo == SIGWINCH) {
			cli_resize(t->cl, t->s->container, t->s->exec);
		} else if (t->s->proxy_signals && name) {
			path = client_path("/containers/%s/kill?signal=%s", t->s->container, name);
			(void)client_call(t->cl, "POST", path, NULL, NULL, NULL);
		} else {
			t->detached = true;
		}
	}
}

/* The server knows the keys too and lets go of us; what it lacks is how to say so. Here they are only watched. */
static bool typed_keys(struct session *t, const char *p, size_t n)
{
	const GByteArray *keys = t->s->keys;

	for (size_t i = 0; keys && i < n; i++) {
		if ((guint8)p[i] == keys->data[t->matched])
			t->matched++;
		else
			t->matched = (guint8)p[i] == keys->data[0];
		if (t->matched == keys->len)
			return true;
	}
	return false;
}

static void read_input(struct session *t)
{
	ssize_t n = RET_NERRNO(read(STDIN_FILENO, t->in, PIECE));

	if (n == -EINTR || n == -EAGAIN)
		return;
	if (n <= 0) {
		t->in_open = false;
		t->end_waits = true;
		return;
	}
	t->in_at = 0;
	t->in_n = (size_t)n;
	if (t->s->tty && typed_keys(t, t->in, (size_t)n))
		t->detached = true;
}

static void push_input(struct session *t)
{
	ssize_t n;

	while (t->in_at < t->in_n) {
		n = stream_write_some(t->s->stream, t->in + t->in_at, t->in_n - t->in_at);
		if (n == -EAGAIN)
			return;
		if (n < 0) { /* its end is told by what we read */
			t->in_open = t->end_waits = false;
			t->in_at = t->in_n;
			return;
		}
		t->in_at += (size_t)n;
	}
	if (t->end_waits) {
		stream_shut(t->s->stream);
		t->end_waits = false;
	}
}

/* 0: go on; 1: the end. */
static int pull_output(struct session *t, char *buf, struct err *e)
{
	ssize_t n = stream_read(t->s->stream, buf, PIECE);

	if (n == 0)
		return 1;
	/* a server that ends a stream before all that was sent to it is read resets it */
	if (n < 0)
		return n == -ECONNRESET
			       ? 1
			       : err_set(e, (int)n, "the connection to the container was cut");
	return put_output(&t->frames, t->s->tty, buf, (size_t)n, e);
}

static int session_loop(struct session *t, struct err *e)
{
	g_autofree char *buf = g_malloc(PIECE);
	int r = 0;

	while (r == 0 && !t->detached) {
		bool waits = t->in_at < t->in_n;
		struct pollfd p[] = { { stream_fd(t->s->stream),
					      (short)(POLLIN | (waits ? POLLOUT : 0)), 0 },
			{ t->signals, POLLIN, 0 },
			{ t->in_open && !waits ? STDIN_FILENO : -1, POLLIN, 0 } };

		if (!stream_pending(t->s->stream) && RET_NERRNO(poll(p, G_N_ELEMENTS(p), -1)) < 0)
			continue;
		if (p[1].revents)
			take_signals(t);
		if (p[2].revents)
			read_input(t);
		if (t->in_at < t->in_n || t->end_waits)
			push_input(t);
		if (stream_pending(t->s->stream) || (p[0].revents & (POLLIN | POLLHUP | POLLERR)))
			r = pull_output(t, buf, e);
	}
	return r < 0 ? r : 0;
}

int cli_session(struct client *cl, const struct cli_session *s, struct err *e)
{
	struct session t = { .cl = cl, .s = s, .signals = -1 };
	int r;

	(void)fflush(stdout);
	r = session_open(&t, e);
	if (r >= 0)
		r = session_loop(&t, e);
	if (t.detached && r >= 0) {
		push_input(&t);
		r = 1;
	}
	session_close(&t);
	return r;
}
