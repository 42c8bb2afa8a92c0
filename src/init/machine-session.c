/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/*
 * Output is read while the other side has room for it (s->window) and the port has (no queue), so nothing
 * piles up here and one slow reader holds up nobody else. Input that the command doesn't take waits in
 * s->input; the other side sends no more than the window.
 */

/* One write(2) to the port, which takes 32 KiB at once. */
#define READ_MAX   (MACHINE_DATA_MAX - MACHINE_HEADER)
#define TURNS	   8			/* reads of one stream before the others have a turn */
#define CREDIT_MIN (MACHINE_WINDOW / 4) /* fewer bytes aren't told yet: keys cost no frame back */

static void out_ready(struct machine *m, struct source *src, uint32_t events);
static void err_ready(struct machine *m, struct source *src, uint32_t events);
static void in_ready(struct machine *m, struct source *src, uint32_t events);

/* --- sessions --- */

struct session *session_new(struct machine *m, uint32_t id)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = id;
	s->window = MACHINE_WINDOW;
	source_init(&s->in, -1, in_ready);
	source_init(&s->out, -1, out_ready);
	source_init(&s->err, -1, err_ready);
	s->peer = -1;
	s->next = m->sessions;
	m->sessions = s;
	return s;
}

bool sessions_are_many(const struct machine *m)
{
	unsigned n = 0;

	for (const struct session *s = m->sessions; s; s = s->next)
		n++;
	return n > SESSIONS_MAX;
}

struct session *session_find(struct machine *m, uint32_t id)
{
	struct session *s = m->sessions;

	while (s && s->id != id)
		s = s->next;
	return s;
}

void session_free(struct machine *m, struct session *s)
{
	struct session **p = &m->sessions;

	while (*p && *p != s)
		p = &(*p)->next;
	if (*p)
		*p = s->next;
	source_close(m, &s->in);
	source_close(m, &s->out);
	source_close(m, &s->err);
	closep(&s->peer);
	free(s->parts);
	free(s->input);
	free(s);
}

int session_pipes(struct session *s, bool with_input, int theirs[3], struct err *e)
{
	struct source *const mine[3] = { &s->in, &s->out, &s->err };

	for (int i = 0; i < 3; i++) {
		int p[2], end = i == 0 ? 1 : 0; /* ours */

		if (i == 0 && !with_input) {
			theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (theirs[0] < 0)
				return err_sys(e, -errno, "cannot open '/dev/null'");
			continue;
		}
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(e, -errno, "cannot make pipes for the guest");
		/* the guest's user may open /dev/stdout again */
		(void)fchmod(p[0], 0666);
		(void)fcntl(p[end], F_SETFL, O_NONBLOCK);
		mine[i]->fd = p[end];
		theirs[i] = p[!end];
	}
	return 0;
}

void session_terminal(struct session *s, int master)
{
	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	s->tty = true;
	s->out.fd = master;
	s->peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

void session_resize(struct session *s, unsigned rows, unsigned columns)
{
	struct winsize w = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (s->tty && s->out.fd >= 0)
		(void)ioctl(s->out.fd, TIOCSWINSZ, &w);
}

/* --- output --- */

static bool may_send(const struct machine *m, const struct session *s)
{
	return s->forgotten || (s->window > 0 && !port_is_full(m));
}

void session_watch(struct machine *m, struct session *s)
{
	uint32_t in = may_send(m, s) ? EPOLLIN : 0;

	source_watch(m, &s->out, in | (s->tty && s->input_n ? EPOLLOUT : 0));
	source_watch(m, &s->err, in);
	if (!s->tty)
		source_watch(m, &s->in, s->input_n ? EPOLLOUT : 0);
}

/* Reads once, and sends. 1: there may be more; 0: not now; -1: the end, and it is closed. */
static int pump(struct machine *m, struct session *s, struct source *from, unsigned stream)
{
	size_t max = s->forgotten || s->window > READ_MAX ? READ_MAX : s->window;
	ssize_t n;

	if (from->fd < 0)
		return -1;
	if (!may_send(m, s))
		return 0;
	n = read(from->fd, m->out + MACHINE_HEADER, max);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* 0: the pipe's end; EIO: the terminal's */
		source_close(m, from);
		return -1;
	}
	if (!s->forgotten) {
		s->window -= (uint32_t)n;
		port_send_out(m, MACHINE_OUTPUT, stream, s->id, (size_t)n);
	}
	return 1;
}

static void pump_some(struct machine *m, struct session *s, struct source *from, unsigned stream)
{
	for (int i = 0; i < TURNS && pump(m, s, from, stream) > 0; i++)
		;
	session_watch(m, s);
}

static bool flush_input(struct machine *m, struct session *s);

static void out_ready(struct machine *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, out));

	if (events & EPOLLOUT)
		(void)flush_input(m, s);
	pump_some(m, s, src, 1);
}

static void err_ready(struct machine *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, err));

	pump_some(m, s, src, 2);
}

bool session_drain(struct machine *m, struct session *s)
{
	struct source *const from[2] = { &s->out, &s->err };

	for (unsigned i = 0; i < 2; i++) {
		int more;

		while ((more = pump(m, s, from[i], i + 1)) > 0)
			;
		if (more == 0 && !may_send(m, s))
			return false;
	}
	return true;
}

void session_credit(struct machine *m, struct session *s, uint32_t bytes)
{
	uint32_t room = MACHINE_WINDOW - s->window;

	s->window += bytes < room ? bytes : room;
	session_watch(m, s);
}

void sessions_go_on(struct machine *m)
{
	for (struct session *s = m->sessions; s; s = s->next)
		session_watch(m, s);
}

/* --- input --- */

static void take(struct machine *m, struct session *s, size_t n)
{
	uint8_t text[4];

	s->taken += (uint32_t)n;
	if (s->taken < CREDIT_MIN)
		return;
	machine_put_u32(text, s->taken);
	s->taken = 0;
	port_send(m, MACHINE_CREDIT, 0, s->id, text, sizeof(text));
}

/* Writes what it takes now: all, where nobody reads any more. */
static size_t write_input(struct machine *m, struct session *s, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		int fd = s->tty ? s->out.fd : s->in.fd;
		ssize_t k = fd < 0 ? 0 : write(fd, p + done, n - done);

		if (k > 0)
			done += (size_t)k;
		else if (fd >= 0 && k < 0 && errno == EAGAIN)
			break;
		else if (fd < 0 || k == 0 || errno != EINTR)
			done = n;
	}
	take(m, s, done);
	return done;
}

static void end_input(struct machine *m, struct session *s)
{
	if (!s->tty)
		source_close(m, &s->in);
}

/* True when nothing waits any more. */
static bool flush_input(struct machine *m, struct session *s)
{
	size_t done = write_input(m, s, s->input + s->input_at, s->input_n);

	s->input_at += done;
	s->input_n -= done;
	if (s->input_n)
		return false;
	s->input_at = 0;
	free(s->input);
	s->input = NULL;
	if (s->input_end)
		end_input(m, s);
	return true;
}

bool session_input(struct machine *m, struct session *s, const uint8_t *data, size_t size)
{
	size_t done = 0;

	if (size == 0) {
		s->input_end = true;
		if (!s->input_n)
			end_input(m, s);
		return true;
	}
	if (!s->input_n)
		done = write_input(m, s, data, size);
	if (done == size)
		return true;
	if (!s->input)
		s->input = malloc(MACHINE_WINDOW);
	if (!s->input || size - done > MACHINE_WINDOW - s->input_n)
		return false;
	if (size - done > MACHINE_WINDOW - s->input_n - s->input_at) {
		memmove(s->input, s->input + s->input_at, s->input_n);
		s->input_at = 0;
	}
	memcpy(s->input + s->input_at + s->input_n, data + done, size - done);
	s->input_n += size - done;
	session_watch(m, s);
	return true;
}

static void in_ready(struct machine *m, struct source *src, uint32_t events)
{
	struct session *s = (struct session *)((char *)src - offsetof(struct session, in));

	if (events & EPOLLERR) { /* the reader is gone */
		source_close(m, src);
	}
	(void)flush_input(m, s);
	session_watch(m, s);
}
