/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"
#include "monitor/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/*
 * Output goes to the log and to all clients that are attached. A client that can't take a message now
 * holds the stream up, as the reader of a pipe does: nothing is lost and nothing piles up here. The
 * message it lacks is kept in the session until it has it.
 */

#define READ_SIZE    (60 * 1024) /* below MSG_DATA_MAX */
#define TURNS	     8		 /* reads in a row before others have theirs */
#define FAST_PACE    2000000	 /* ns between reads that make a fast writer */
#define FILL_TIME    1000000	 /* ns that its output may wait for more of it */
#define NAP	     10000	 /* ns, to which the kernel adds its slack of 50000 */
#define NAP_ENOUGH   4096	 /* bytes that make a nap worth while */
#define BUFFER_SMALL (16 * 1024) /* use of the buffer that is let be */

static char buffer[READ_SIZE] __attribute__((aligned(4096)));

int session_pipes(struct session *s, bool with_input, int theirs[3], struct err *e)
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };

	for (int i = with_input ? 0 : 1; i < 3; i++) {
		if (pipe2(p[i], O_CLOEXEC) < 0)
			return err_sys(e, -errno, "cannot make pipes for the guest");
		/* the guest's user may open /dev/stdout again; who may look into its /proc anyway */
		(void)fchmod(p[i][0], 0666);
	}
	if (with_input) {
		theirs[0] = p[0][0];
		s->in.fd = p[0][1];
		(void)fcntl(s->in.fd, F_SETFL, O_NONBLOCK);
	} else
		theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	theirs[1] = p[1][1];
	theirs[2] = p[2][1];
	s->out.fd = p[1][0];
	s->err.fd = p[2][0];
	(void)fcntl(s->out.fd, F_SETFL, O_NONBLOCK);
	(void)fcntl(s->err.fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* A client is listened to while its last input is gone, and waited for while it lacks output. */
static void conn_watch(struct monitor *m, struct conn *c)
{
	(void)source_watch(m, &c->src, (c->input ? 0 : EPOLLIN) | (c->behind ? EPOLLOUT : 0));
}

void conn_behind(struct monitor *m, struct conn *c)
{
	c->behind = true;
	conn_watch(m, c);
}

void conn_session_over(struct monitor *m, struct conn *c)
{
	c->session = NULL;
	c->behind = c->input_end = false;
	free(c->input);
	c->input = NULL;
	c->input_size = 0;
	conn_watch(m, c);
}

static bool receives(const struct session *s, const struct conn *c)
{
	return s->is_main ? !c->session && (c->attached & ATTACH_OUTPUT) : c->session == s;
}

static void hold(struct monitor *m, struct session *s, bool on)
{
	if (s->out.fd >= 0)
		(void)source_watch(m, &s->out, on ? 0 : EPOLLIN);
	if (s->err.fd >= 0)
		(void)source_watch(m, &s->err, on ? 0 : EPOLLIN);
}

static void deliver(struct monitor *m, struct session *s, int stream, const char *data, size_t size)
{
	bool behind = false;

	if (s->is_main)
		log_write(&m->log, stream, data, size);
	for (struct conn *c = m->conns; c; c = c->next) {
		if (!receives(s, c))
			continue;
		c->behind = !conn_send(c, MSG_OUTPUT, (unsigned)stream, 0, data, size);
		if (c->behind)
			conn_watch(m, c);
		behind |= c->behind;
	}
	if (!behind)
		return;
	s->stalled = malloc(size + 1);
	if (!s->stalled)
		return;
	s->stalled[0] = (char)stream;
	memcpy(s->stalled + 1, data, size);
	s->stalled_size = size;
	hold(m, s, true);
}

/* --- output of a machine's session ---
 * It can't be left in a pipe, so what comes while a client is behind is kept: at most a window's worth, since
 * only what was delivered is credited. */

#define RECORD_HEAD 5 /* u8 stream, u32 size */

static void keep_record(struct session *s, int stream, const char *data, uint32_t size)
{
	char *p = realloc(s->backlog, s->backlog_n + RECORD_HEAD + size);

	if (!p)
		return;
	s->backlog = p;
	p += s->backlog_n;
	p[0] = (char)stream;
	memcpy(p + 1, &size, sizeof(size));
	memcpy(p + RECORD_HEAD, data, size);
	s->backlog_n += RECORD_HEAD + size;
}

void session_output(struct monitor *m, struct session *s, int stream, const char *data, size_t size)
{
	/* a guest that sends more than it may is not worth our memory */
	if (size == 0 || s->backlog_n > 2 * MACHINE_WINDOW)
		return;
	if (s->stalled) {
		keep_record(s, stream, data, (uint32_t)size);
		return;
	}
	deliver(m, s, stream, data, size);
	if (!s->stalled)
		machine_delivered(m, s, size);
}

static void deliver_kept(struct monitor *m, struct session *s)
{
	size_t at = 0;

	while (!s->stalled && at < s->backlog_n) {
		const char *p = s->backlog + at;
		uint32_t size;

		memcpy(&size, p + 1, sizeof(size));
		deliver(m, s, p[0], p + RECORD_HEAD, size);
		if (!s->stalled)
			machine_delivered(m, s, size);
		at += RECORD_HEAD + size;
	}
	memmove(s->backlog, s->backlog + at, s->backlog_n - at);
	s->backlog_n -= at;
	if (s->backlog_n > 0)
		return;
	free(s->backlog);
	s->backlog = NULL;
}

/* Forgets the kept message once nobody lacks it. */
static void unstall(struct monitor *m, struct session *s)
{
	if (!s->stalled)
		return;
	for (struct conn *c = m->conns; c; c = c->next)
		if (c->behind && receives(s, c))
			return;
	free(s->stalled);
	s->stalled = NULL;
	if (s->remote) {
		machine_delivered(m, s, s->stalled_size);
		if (s->backlog)
			deliver_kept(m, s);
		return;
	}
	hold(m, s, false);
}

void session_client_ready(struct monitor *m, struct conn *c)
{
	struct session *s = c->session ? c->session : &m->main;

	if (c->behind && s->stalled &&
		!conn_send(
			c, MSG_OUTPUT, (unsigned)s->stalled[0], 0, s->stalled + 1, s->stalled_size))
		return;
	c->behind = false;
	conn_watch(m, c);
	unstall(m, s);
	if (!s->is_main)
		(void)exec_settle(m, s);
}

/*
 * A guest that writes without pause, while only the log listens: being woken for each of its writes would
 * cost both of us more than the copying. So what it wrote is collected in naps, short enough that its pipe
 * doesn't fill: a pipe that is kept nearly empty uses the same few pages again and again.
 */
static bool writes_fast(const struct monitor *m, const struct session *s)
{
	if (!s->is_main || s->tty || s->exited || monotonic_ns() - s->last_read > FAST_PACE)
		return false;
	for (struct conn *c = m->conns; c; c = c->next)
		if (receives(s, c))
			return false;
	return true;
}

struct naps {
	int64_t until; /* monotonic ns; 0: none is taken */
	long ns;       /* of the next */
};

/* Sleeps a little, unless it has been enough; got: what came since the last time. */
static bool nap(struct naps *n, size_t got)
{
	if (monotonic_ns() >= n->until)
		return false;
	n->ns = got >= NAP_ENOUGH ? NAP : n->ns * 4;
	(void)nanosleep(&(const struct timespec){ .tv_nsec = n->ns }, NULL);
	return true;
}

/* What is there, up to a buffer full. 1: there may be more; 0: not now; -1: the end. */
static int pump(struct monitor *m, struct session *s, struct source *from, int stream, bool fast)
{
	struct naps naps = { .until = fast ? monotonic_ns() + FILL_TIME : 0, .ns = NAP };
	size_t used = 0, seen = 0;
	int more = 1;

	while (used < sizeof(buffer) && more > 0) {
		ssize_t n = read(from->fd, buffer + used, sizeof(buffer) - used);

		if (n > 0)
			used += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			more = nap(&naps, used - seen);
			seen = used;
		} else
			more = -1; /* 0: the pipe's end; EIO: the terminal's */
	}
	if (used > 0)
		deliver(m, s, stream, buffer, used);
	if (used > BUFFER_SMALL)
		m->buffers_used = true;
	return more;
}

/* All that is there, but not without end: others want their turn. As pump(). */
static int pump_all(struct monitor *m, struct session *s, struct source *from, int stream)
{
	bool fast = writes_fast(m, s);
	int more = 1;

	for (int turns = fast ? 1 : TURNS; turns > 0 && more > 0 && !s->stalled; turns--)
		more = pump(m, s, from, stream, fast);
	s->last_read = monotonic_ns();
	return more;
}

void streams_idle(struct monitor *m)
{
	(void)madvise(buffer, sizeof(buffer), MADV_DONTNEED);
	log_idle(&m->log);
	m->buffers_used = false;
}

static void out_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, out));

	if (!(events & (EPOLLIN | EPOLLHUP)) || s->stalled || pump_all(m, s, src, 1) >= 0)
		return;
	/* a terminal's master hangs up when no slave is open, which may pass */
	if (s->tty && !s->exited)
		(void)source_watch(m, src, 0);
	else
		source_close(m, src);
}

static void err_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, err));

	if (!s->stalled && pump_all(m, s, src, 2) < 0)
		source_close(m, src);
}

/* --- input --- */

static int input_fd(const struct session *s)
{
	return s->tty ? s->out.fd : s->in.fd;
}

static void close_input(struct monitor *m, struct session *s)
{
	if (s->remote)
		machine_input_end(m, s);
	else if (!s->tty)
		source_close(m, &s->in);
}

/* Writes what c has kept; true when all is gone. */
static bool flush_input(struct monitor *m, struct conn *c, struct session *s)
{
	size_t done = 0;

	if (s->remote)
		done = machine_input(m, s, c->input, c->input_size);
	while (!s->remote && done < c->input_size && input_fd(s) >= 0) {
		ssize_t n = write(input_fd(s), c->input + done, c->input_size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			done = c->input_size; /* nobody reads any more */
		else
			done += (size_t)n;
	}
	if (!s->remote && input_fd(s) < 0)
		done = c->input_size;
	if (done < c->input_size) {
		memmove(c->input, c->input + done, c->input_size - done);
		c->input_size -= done;
		return false;
	}
	free(c->input);
	c->input = NULL;
	c->input_size = 0;
	if (c->input_end) {
		c->input_end = false;
		close_input(m, s);
	}
	return true;
}

void session_room(struct monitor *m, struct session *s)
{
	for (struct conn *c = m->conns; c; c = c->next)
		if ((c->session ? c->session : &m->main) == s && c->input && flush_input(m, c, s))
			conn_watch(m, c);
}

static void in_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, in));

	if (events & (EPOLLERR | EPOLLHUP)) {
		source_close(m, src); /* the reader is gone */
	} else
		(void)source_watch(m, src, 0);
	for (struct conn *c = m->conns; c; c = c->next) {
		if ((c->session ? c->session : &m->main) != s || !c->input)
			continue;
		if (flush_input(m, c, s))
			conn_watch(m, c);
		else
			(void)source_watch(m, src, EPOLLOUT);
	}
}

/*
 * A terminal's master is one descriptor for both directions, and output must go on being read while input
 * waits: the input of a terminal that is full is tried again after the next read of its output.
 */
void session_input(struct monitor *m, struct conn *c, const char *data, size_t size)
{
	struct session *s = c->session ? c->session : &m->main;

	if (s->is_main && !(c->attached & ATTACH_INPUT))
		return;
	if (size == 0) {
		/* one client of several has no more to say: the guest's input ends with stdin_once only */
		if (s->is_main && !m->stdin_once)
			return;
		c->input_end = true;
		if (!c->input && flush_input(m, c, s))
			return;
		return;
	}
	c->input = malloc(size);
	if (!c->input)
		return;
	memcpy(c->input, data, size);
	c->input_size = size;
	if (flush_input(m, c, s))
		return;
	/* hold this client's messages until the guest has read */
	conn_watch(m, c);
	if (s->remote)
		return;
	if (s->tty)
		(void)source_watch(m, &s->out, EPOLLIN | EPOLLOUT);
	else
		(void)source_watch(m, &s->in, EPOLLOUT);
}

static void tty_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, out));

	if (events & EPOLLOUT) {
		bool more = false;

		for (struct conn *c = m->conns; c; c = c->next) {
			if ((c->session ? c->session : &m->main) != s || !c->input)
				continue;
			if (flush_input(m, c, s))
				conn_watch(m, c);
			else
				more = true;
		}
		(void)source_watch(m, src, (s->stalled ? 0 : EPOLLIN) | (more ? EPOLLOUT : 0));
	}
	out_ready(m, src, events);
}

void session_conn_gone(struct monitor *m, struct conn *c)
{
	struct session *s = c->session ? c->session : &m->main;

	if (c->session)
		c->session->owner = NULL;
	if (s->is_main ? m->stdin_once && (c->attached & ATTACH_INPUT) : true)
		close_input(m, s);
	/* a command may go on for itself, a service works for nobody now */
	if (s->service && !s->exited)
		(void)machine_signal(m, s, SIGKILL);
	unstall(m, s);
	if (!s->is_main)
		(void)exec_settle(m, s);
}

/* --- life --- */

void session_watch(struct monitor *m, struct session *s)
{
	if (s->remote)
		return;
	if (s->tty) {
		(void)fcntl(s->out.fd, F_SETFL, O_NONBLOCK);
		source_init(&s->out, s->out.fd, tty_ready);
		(void)source_watch(m, &s->out, EPOLLIN);
		return;
	}
	if (s->in.fd >= 0) {
		source_init(&s->in, s->in.fd, in_ready);
		(void)source_watch(m, &s->in, 0);
	}
	if (s->out.fd >= 0) {
		source_init(&s->out, s->out.fd, out_ready);
		(void)source_watch(m, &s->out, EPOLLIN);
	}
	if (s->err.fd >= 0) {
		source_init(&s->err, s->err.fd, err_ready);
		(void)source_watch(m, &s->err, EPOLLIN);
	}
}

bool session_drain(struct monitor *m, struct session *s)
{
	int more = 1;

	while (!s->stalled && s->out.fd >= 0 && (more = pump(m, s, &s->out, 1, false)) > 0)
		;
	if (more < 0)
		source_close(m, &s->out);
	more = 1;
	while (!s->stalled && s->err.fd >= 0 && (more = pump(m, s, &s->err, 2, false)) > 0)
		;
	if (more < 0)
		source_close(m, &s->err);
	return session_drained(s);
}

bool session_drained(const struct session *s)
{
	return !s->stalled;
}

void session_done(struct monitor *m, struct session *s)
{
	source_close(m, &s->in);
	source_close(m, &s->out);
	source_close(m, &s->err);
	free(s->stalled);
	free(s->backlog);
	s->stalled = s->backlog = NULL;
	s->backlog_n = 0;
}
