/* SPDX-License-Identifier: MIT */
/*
 * A session: this process's terminal or pipes on one side, a monitor's connection on the other.
 *
 * Signals come through a signalfd, so that no handler can run between a change of the terminal and its
 * record: however the session ends (but by SIGKILL) the terminal is given back.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include "guest/guest-priv.h"

#define INPUT_CHUNK \
	(32 * 1024) /* small enough for a socket's buffer, with what detach keys hold back */

struct session {
	int fd, signals;
	const struct guest_stdio *io;
	struct detach detach;
	bool in_open, raw, signals_blocked;
	struct termios before;
	sigset_t mask_before;
	char *in; /* INPUT_CHUNK + DETACH_KEYS_MAX: what waits for the monitor */
	size_t in_n;
	bool in_waits, end_waits;
};

uint32_t session_size(int fd)
{
	struct winsize w = { 0 };

	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &w) < 0)
		return 0;
	return (uint32_t)w.ws_row << 16 | w.ws_col;
}

static void wanted_signals(const struct session *s, sigset_t *set)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	static const int passed[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPWR,
		SIGXCPU, SIGXFSZ, SIGIO, SIGCONT };

	(void)sigemptyset(set);
	/* these are taken in any case: they must not leave the terminal raw */
	for (size_t i = 0; i < ELEMENTSOF(ends); i++)
		(void)sigaddset(set, ends[i]);
	if (s->io->proxy_signals)
		for (size_t i = 0; i < ELEMENTSOF(passed); i++)
			(void)sigaddset(set, passed[i]);
	if (s->io->tty)
		(void)sigaddset(set, SIGWINCH);
}

static int session_open(struct session *s, struct err *e)
{
	struct termios t;
	sigset_t set;

	wanted_signals(s, &set);
	if (sigprocmask(SIG_BLOCK, &set, &s->mask_before) < 0)
		return err_sys(e, -errno, "cannot block signals");
	s->signals_blocked = true;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		return err_sys(e, -errno, "cannot take signals");
	if (s->io->tty && tcgetattr(s->io->in, &t) == 0) {
		s->before = t;
		cfmakeraw(&t);
		if (tcsetattr(s->io->in, TCSANOW, &t) < 0)
			return err_sys(e, -errno, "cannot set up the terminal");
		s->raw = true;
	}
	s->in = g_malloc(INPUT_CHUNK + DETACH_KEYS_MAX);
	s->in_open = s->io->in >= 0;
	return 0;
}

static void session_close(struct session *s)
{
	if (s->raw)
		(void)tcsetattr(s->io->in, TCSANOW, &s->before);
	closep(&s->signals);
	if (s->signals_blocked)
		(void)sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
	g_free(s->in);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (fd >= 0 && n > 0) {
		ssize_t k = RET_NERRNO(write(fd, p, n));

		if (k == -EINTR)
			continue;
		if (k == -EAGAIN) {
			struct pollfd w = { fd, POLLOUT, 0 };

			(void)poll(&w, 1, -1);
			continue;
		}
		if (k < 0)
			return k;
		p += k;
		n -= k;
	}
	return 0;
}

/* Sends what waits; a full socket leaves it waiting. */
static int push_input(struct session *s, struct err *e)
{
	struct msg m = { .type = MSG_INPUT };

	while (s->in_waits || s->end_waits) {
		size_t n = s->in_waits ? s->in_n : 0;
		struct iovec v[] = { { &m, sizeof(m) }, { s->in, n } };
		struct msghdr h = { .msg_iov = v, .msg_iovlen = n ? 2 : 1 };
		ssize_t k = RET_NERRNO(sendmsg(s->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT));

		if (k == -EAGAIN || k == -EINTR)
			return 0;
		if (k == -EPIPE || k == -ECONNRESET) { /* its end is told by what we read */
			s->in_waits = s->end_waits = false;
			s->in_open = false;
			return 0;
		}
		if (k < 0)
			return err_sys(e, k, "cannot talk to the guest's monitor");
		if (s->in_waits)
			s->in_waits = false;
		else
			s->end_waits = false;
	}
	return 0;
}

/* Returns SESSION_DETACHED when the keys were typed. */
static int take_input(struct session *s, struct err *e)
{
	unsigned char buf[INPUT_CHUNK];
	ssize_t n = RET_NERRNO(read(s->io->in, buf, sizeof(buf)));
	bool detached = false;

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0) { /* -EIO: the terminal is gone */
		s->in_open = false;
		s->end_waits = true;
	} else if (s->io->tty) {
		detached = detach_feed(&s->detach, buf, n, (unsigned char *)s->in, &s->in_n);
		s->in_waits = s->in_n > 0;
	} else {
		memcpy(s->in, buf, n);
		s->in_n = n;
		s->in_waits = true;
	}
	int r = push_input(s, e);
	return r < 0 ? r : detached ? SESSION_DETACHED : 0;
}

static int take_signal(struct session *s, struct err *e)
{
	struct signalfd_siginfo si;
	int sig;

	if (read(s->signals, &si, sizeof(si)) != sizeof(si))
		return 0;
	sig = (int)si.ssi_signo;
	if (sig == SIGWINCH)
		return monitor_send(s->fd, MSG_RESIZE, 0, session_size(s->io->in), NULL, 0, e);
	if (s->io->proxy_signals)
		return monitor_send(s->fd, MSG_SIGNAL, 0, sig, NULL, 0, e);
	/* not ours to pass on: do what it does, with the terminal as it was */
	session_close(s);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
	_exit(128 + sig);
}

static int take_size(struct session *s, struct err *e)
{
	uint32_t size;

	if (recv(s->io->sizes, &size, sizeof(size), MSG_DONTWAIT) != sizeof(size))
		return 0;
	return monitor_send(s->fd, MSG_RESIZE, 0, size, NULL, 0, e);
}

/* 1: the session is over, *ret_exit is set. */
static int take_packet(struct session *s, char *buf, int *ret_exit, struct err *e)
{
	struct msg m;
	ssize_t n = monitor_receive(s->fd, &m, buf, e);
	int r;

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return n;
	switch (m.type) {
	case MSG_OUTPUT:
		if (s->io->output)
			r = s->io->output(s->io->data, m.flags == 2 ? 2 : 1, buf, (size_t)n);
		else
			r = write_all(m.flags == 2 ? s->io->err : s->io->out, buf, n);
		if (r < 0)
			return err_sys(e, r, "cannot write the guest's output");
		return 0;
	case MSG_EXIT:
		*ret_exit = m.value & 0xff;
		return 1;
	case MSG_ERROR:
		return monitor_error(&m, buf, n, e);
	default:
		return 0;
	}
}

static int session_loop(struct session *s, struct err *e)
{
	g_autofree char *buf = g_malloc(MSG_DATA_MAX);
	int r, code = 0;

	for (;;) {
		bool waits = s->in_waits || s->end_waits;
		struct pollfd p[] = {
			{ s->fd, POLLIN | (waits ? POLLOUT : 0), 0 },
			{ s->signals, POLLIN, 0 },
			{ s->in_open && !waits ? s->io->in : -1, POLLIN, 0 },
			{ s->io->sizes ? s->io->sizes : -1, POLLIN, 0 },
		};

		if (poll(p, ELEMENTSOF(p), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, -errno, "cannot wait");
		}
		r = p[1].revents ? take_signal(s, e) : 0;
		if (r >= 0 && p[3].revents)
			r = take_size(s, e);
		if (r >= 0 && (p[0].revents & POLLOUT))
			r = push_input(s, e);
		if (r >= 0 && p[2].revents)
			r = take_input(s, e);
		if (r < 0 || r == SESSION_DETACHED)
			return r;
		if (!(p[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		r = take_packet(s, buf, &code, e);
		if (r != 0)
			return r < 0 ? r : code;
	}
}

int session_run(int fd, const struct guest_stdio *io, struct err *e)
{
	struct session s = { .fd = fd, .signals = -1, .io = io };
	int r;

	r = detach_parse(io->detach_keys ?: "", &s.detach, e);
	if (r >= 0)
		r = session_open(&s, e);
	if (r >= 0 && io->tty && session_size(io->in))
		r = monitor_send(fd, MSG_RESIZE, 0, session_size(io->in), NULL, 0, e);
	if (r >= 0)
		r = session_loop(&s, e);
	session_close(&s);
	return r;
}

/* --- attach ------------------------------------------------------------------------------------------- */

/* The command that waits removes what should be removed; only a guest that has ended. */
static int end_of_session(struct ctx *c, struct guest *g, int code, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r;

	if (code < 0 || code == SESSION_DETACHED || !g->rec->auto_remove)
		return code;
	lock = guest_lock(c, g, NULL);
	if (lock < 0) /* somebody else has removed it */
		return code;
	if (guest_is_up(g))
		return code;
	r = guest_remove_locked(c, g, true, e);
	return r < 0 ? r : code;
}

unsigned attach_flags(const struct guest_stdio *io, bool replay)
{
	return (io->in >= 0 ? ATTACH_INPUT : 0) |
	       (io->out >= 0 || io->err >= 0 || io->output ? ATTACH_OUTPUT : 0) |
	       (replay ? ATTACH_REPLAY : 0);
}

int attach_running(struct ctx *c, struct guest *g, unsigned flags, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = guest_must_run(g, e);

	if (r >= 0 && g->state == GUEST_PAUSED)
		r = err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
	if (r < 0)
		return r;
	fd = monitor_connect(c, g, e);
	if (fd < 0)
		return TAKE_FD(fd);
	r = monitor_send(fd, MSG_ATTACH, flags, 0, NULL, 0, e);
	return r < 0 ? r : TAKE_FD(fd);
}

int guest_session(
	struct ctx *c, struct guest *g, int fd, const struct guest_stdio *io, struct err *e)
{
	return end_of_session(c, g, session_run(fd, io, e), e);
}

int guest_resize(struct ctx *c, struct guest *g, unsigned rows, unsigned columns, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = guest_must_run(g, e);

	if (r < 0)
		return r;
	fd = monitor_connect(c, g, e);
	if (fd < 0)
		return fd;
	return monitor_send(fd, MSG_RESIZE, 0,
		MIN(rows, UINT16_MAX) << 16 | MIN(columns, UINT16_MAX), NULL, 0, e);
}

int guest_attach(struct ctx *c, struct guest *g, const struct guest_stdio *io, bool start,
	bool replay, struct err *e)
{
	_cleanup_close_ int fd = -1, lock = -1;
	unsigned flags = attach_flags(io, replay);

	if (c->explain) {
		if (start)
			return guest_start(c, g, e);
		printf("# talks to the monitor at %s/guests/%s/sock\n", c->run, g->rec->id);
		return 0;
	}
	if (start) {
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
	}
	fd = start && !guest_is_up(g) ? guest_start_locked(c, g, flags, e)
				      : attach_running(c, g, flags, e);
	if (fd < 0)
		return TAKE_FD(fd);
	closep(&lock);
	lock = -1;
	return guest_session(c, g, fd, io, e);
}

int guest_run(struct ctx *c, struct guest_request *q, const struct guest_stdio *io,
	struct guest **ret, struct err *e)
{
	_cleanup_close_ int fd = -1, lock = -1;
	struct guest *g;
	int r;

	*ret = NULL;
	r = guest_create(c, q, ret, e);
	if (r < 0)
		return r;
	g = *ret;
	if (!c->explain) {
		lock = store_lock(c, "guest", g->rec->id, e);
		if (lock < 0)
			return lock;
	}
	fd = guest_start_locked(c, g, io ? attach_flags(io, false) : 0, e);
	if (fd < 0 || c->explain) {
		/* nothing of a run that failed is left; `create` and `start` keep it */
		if (fd < 0 && !c->explain)
			(void)guest_remove_locked(c, g, true, NULL);
		return MIN(fd, 0);
	}
	closep(&lock);
	lock = -1;
	if (!io)
		return 0;
	r = session_run(fd, io, e);
	return end_of_session(c, g, r, e);
}

/* --- exec ---------------------------------------------------------------------------------------------- */

/* Whether a descriptor of ours may be the guest's own: what gives no power over the host's terminal or
 * folders. */
static bool may_pass(int fd)
{
	struct stat st;

	if (fd < 0)
		return true;
	if (fstat(fd, &st) < 0)
		return false;
	return S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode);
}

static int send_exec(int fd, unsigned flags, const char *plan, size_t n,
	const struct guest_stdio *io, struct err *e)
{
	_cleanup_close_ int null = -1;
	struct msg m = { .type = MSG_EXEC, .flags = flags };
	struct iovec v[] = { { &m, sizeof(m) }, { (void *)plan, n } };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(3 * sizeof(int))];
	} u = { 0 };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };

	if (n > MSG_DATA_MAX)
		return err_set(e, -E_LIMIT, "the command is longer than %d bytes", MSG_DATA_MAX);
	if (flags & EXEC_FDS) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0)
			return err_sys(e, -errno, "cannot open '/dev/null'");
		int fds[3] = { io->in >= 0 ? io->in : null, io->out >= 0 ? io->out : null,
			io->err >= 0 ? io->err : null };
		h.msg_control = u.buf;
		h.msg_controllen = sizeof(u.buf);
		struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	}
	ssize_t r = RET_NERRNO(sendmsg(fd, &h, MSG_NOSIGNAL));
	return r < 0 ? err_sys(e, r, "cannot talk to the guest's monitor") : 0;
}

static int wait_started(int fd, struct err *e)
{
	g_autofree char *buf = g_malloc(MSG_DATA_MAX);
	struct msg m;

	for (;;) {
		ssize_t n = monitor_receive(fd, &m, buf, e);

		if (n < 0)
			return n;
		if (m.type == MSG_STARTED)
			return 0;
		if (m.type == MSG_ERROR)
			return monitor_error(&m, buf, n, e);
	}
}

static int plan_the_exec(
	struct ctx *c, struct guest *g, const struct engine_exec *x, struct plan *p, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	int r;

	r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	if (!a.ops->plan_exec)
		return err_set(e, -E_UNSUPPORTED, "engine '%s' can't execute further commands",
			a.ops->name);
	return a.ops->plan_exec(c, &a.s, x, p, 0, e);
}

int guest_exec(struct ctx *c, struct guest *g, const struct engine_exec *x, bool detach,
	const struct guest_stdio *io, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	unsigned flags;
	size_t n;
	int r, carried;

	r = guest_must_run(g, e);
	if (r >= 0 && g->state == GUEST_PAUSED) {
		r = err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
		err_mend(e, "`lodge unpause %s` first", g->rec->name);
	}
	if (r >= 0)
		r = plan_the_exec(c, g, x, p, e);
	if (r < 0)
		return r;
	carried = r;
	if (c->explain) {
		plan_show(p, stdout);
		return 0;
	}
	r = plan_encode(p, &data, &n);
	if (r < 0)
		return err_sys(e, r, "cannot store the command");
	fd = monitor_connect(c, g, e);
	if (fd < 0)
		return fd;
	flags = (x->tty ? EXEC_TTY : 0) | (detach ? EXEC_DETACH : 0);
	if (!(carried & ENGINE_CARRIED) && !x->tty && !detach && !io->output && may_pass(io->in) &&
		may_pass(io->out) && may_pass(io->err))
		flags |= EXEC_FDS;
	r = send_exec(fd, flags, data, n, io, e);
	if (r >= 0)
		r = wait_started(fd, e);
	if (r < 0 || detach)
		return r;
	struct guest_stdio s = *io;
	if (flags & EXEC_FDS)
		s.in = -1;
	else if (io->in < 0)
		r = monitor_send(fd, MSG_INPUT, 0, 0, NULL, 0, e); /* the command reads an end */
	return r < 0 ? r : session_run(fd, &s, e);
}
