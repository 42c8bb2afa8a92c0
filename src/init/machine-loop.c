/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>

#define READS_MAX  32	/* of the port, before the others have a turn */
#define SYNC_EVERY 2000 /* ms, once nobody is at the port */
#define QUEUE_DNS_MAX \
	(64 * 1024)   /* behind so many bytes a question is dropped: it is asked again */
#define DNS_ADDRESS 6 /* 4 bytes of address, 2 of port */

/* --- sources --- */

void source_init(
	struct source *s, int fd, void (*ready)(struct machine *, struct source *, uint32_t))
{
	*s = (struct source){ .fd = fd, .ready = ready };
}

/* What isn't watched is taken out: a hang-up would be told without end. */
void source_watch(struct machine *m, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };
	int op;

	if (s->fd < 0 || events == s->events)
		return;
	op = !events ? EPOLL_CTL_DEL : s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(m->epoll, op, s->fd, &ev) == 0)
		s->events = events;
}

void source_close(struct machine *m, struct source *s)
{
	source_watch(m, s, 0);
	closep(&s->fd);
	s->fd = -1;
}

/* --- the port, out --- */

bool port_is_full(const struct machine *m)
{
	return m->queue_n > 0;
}

static void watch_port(struct machine *m)
{
	source_watch(m, &m->port, EPOLLIN | (m->queue_n ? EPOLLOUT : 0));
}

/* So many of n bytes as it takes now; 0 when it is full, or lost. */
static size_t port_write(struct machine *m, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (done < n && !m->lost && !m->alone) {
		ssize_t k = write(m->port.fd, p + done, n - done);

		if (k > 0)
			done += (size_t)k;
		else if (k < 0 && errno == EAGAIN)
			break;
		else if (k == 0 || errno != EINTR)
			m->alone = true;
	}
	return done;
}

static void enqueue(struct machine *m, const uint8_t *p, size_t n)
{
	size_t need = m->queue_at + m->queue_n + n;

	if (m->lost || m->alone)
		return;
	if (need > m->queue_size) {
		if (m->queue_at > 0) {
			memmove(m->queue, m->queue + m->queue_at, m->queue_n);
			m->queue_at = 0;
			need = m->queue_n + n;
		}
		if (need > m->queue_size) {
			uint8_t *more = realloc(m->queue, need + 4096);

			if (!more) { /* half a frame can't be sent */
				m->lost = true;
				return;
			}
			m->queue = more;
			m->queue_size = need + 4096;
		}
	}
	memcpy(m->queue + m->queue_at + m->queue_n, p, n);
	m->queue_n += n;
	watch_port(m);
}

static void flush_queue(struct machine *m)
{
	size_t n = port_write(m, m->queue + m->queue_at, m->queue_n);

	m->queue_at += n;
	m->queue_n -= n;
	if (m->queue_n)
		return;
	m->queue_at = 0;
	watch_port(m);
	sessions_go_on(m);
}

/* In one write(2), which is one buffer of the port. */
void port_send_out(
	struct machine *m, enum machine_type type, unsigned flags, uint32_t session, size_t size)
{
	size_t n = MACHINE_HEADER + size, done = 0;

	machine_header(m->out, type, flags, session, size);
	if (!m->queue_n)
		done = port_write(m, m->out, n);
	if (done < n)
		enqueue(m, m->out + done, n - done);
}

void port_send(struct machine *m, enum machine_type type, unsigned flags, uint32_t session,
	const void *data, size_t size)
{
	if (size)
		memcpy(m->out + MACHINE_HEADER, data, size);
	port_send_out(m, type, flags, session, size);
}

/* --- DNS --- */

/* The monitor answers, with the bytes of the address that it was asked from. */
static void dns_ready(struct machine *m, struct source *s, uint32_t events)
{
	uint8_t *at = m->out + MACHINE_HEADER;
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(s->fd, at + DNS_ADDRESS, MACHINE_DATA_MAX - DNS_ADDRESS, MSG_DONTWAIT,
		(struct sockaddr *)&from, &size);

	if (n <= 0 || size != sizeof(from) || from.sin_family != AF_INET ||
		m->queue_n > QUEUE_DNS_MAX)
		return;
	memcpy(at, &from.sin_addr, 4);
	memcpy(at + 4, &from.sin_port, 2);
	port_send_out(m, MACHINE_DNS, 0, 0, DNS_ADDRESS + (size_t)n);
}

static void dns_answer(struct machine *m, const struct machine_frame *f)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	if (m->dns.fd < 0 || f->size <= DNS_ADDRESS)
		return;
	memcpy(&to.sin_addr, f->data, 4);
	memcpy(&to.sin_port, f->data + 4, 2);
	(void)sendto(m->dns.fd, f->data + DNS_ADDRESS, (size_t)f->size - DNS_ADDRESS, MSG_DONTWAIT,
		(struct sockaddr *)&to, sizeof(to));
}

static void watch_dns(struct machine *m)
{
	if (m->dns.fd >= 0 || m->run.kept_fd[KEPT_DNS] < 0)
		return;
	source_init(&m->dns, TAKE_FD(m->run.kept_fd[KEPT_DNS]), dns_ready);
	source_watch(m, &m->dns, EPOLLIN);
}

/* --- the port, in --- */

static void take_frame(struct machine *m, const struct machine_frame *f)
{
	struct session *s;
	uint32_t v = 0;

	switch (f->type) {
	case MACHINE_PLAN:
		guest_plan(m, f);
		watch_dns(m);
		return;
	case MACHINE_EXEC:
		guest_exec(m, f);
		return;
	case MACHINE_SERVE:
		guest_serve(m, f);
		return;
	case MACHINE_DNS:
		dns_answer(m, f);
		return;
	default:
		break;
	}
	s = session_find(m, f->session);
	if (!s || !(s->pid || (m->held && s->id == 0))) /* it has ended while this was under way */
		return;
	if (f->type == MACHINE_INPUT)
		m->lost |= !session_input(m, s, f->data, f->size);
	else if (f->type == MACHINE_FORGET) {
		s->forgotten = true;
		session_credit(m, s, 0);
	} else if (!machine_u32(f, 0, &v))
		m->lost = true;
	else if (f->type == MACHINE_CREDIT)
		session_credit(m, s, v);
	else if (f->type == MACHINE_SIGNAL)
		guest_signal(m, s, (int)v);
	else if (f->type == MACHINE_RESIZE)
		session_resize(s, v >> 16, v & 0xffff);
	else /* what only we say */
		m->lost = true;
}

static void port_ready(struct machine *m, struct source *src, uint32_t events)
{
	if (events & EPOLLOUT)
		flush_queue(m);
	for (int i = 0; i < READS_MAX && !m->lost && !m->alone &&
			(events & (EPOLLIN | EPOLLHUP | EPOLLERR));
		i++) {
		struct machine_frame f;
		size_t room;
		uint8_t *to = machine_room(&m->in, &room);
		ssize_t n = read(src->fd, to, room);
		int r;

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			/* a hang-up without bytes before it */
			m->alone |= !!(events & (EPOLLHUP | EPOLLERR)) && errno == EAGAIN;
			break;
		}
		if (n <= 0) {
			m->alone = true;
			break;
		}
		machine_filled(&m->in, (size_t)n);
		while (!m->lost && (r = machine_next(&m->in, &f)) != 0) {
			if (r < 0)
				m->lost = true;
			else
				take_frame(m, &f);
		}
	}
	guest_settle(m);
}

static void say_hello(struct machine *m)
{
	struct utsname u;
	uint8_t *at = m->out + MACHINE_HEADER;
	size_t n;

	(void)uname(&u);
	n = strlen(u.release);
	machine_put_u32(at, MACHINE_VERSION);
	memcpy(at + 4, u.release, n);
	port_send_out(m, MACHINE_HELLO, 0, 0, 4 + n);
}

/* --- life --- */

static void signals_ready(struct machine *m, struct source *s, uint32_t events)
{
	struct signalfd_siginfo si[8];

	(void)!read(s->fd, si, sizeof(si));
	guest_reap(m);
	guest_settle(m);
}

static int setup(struct machine *m, int port)
{
	sigset_t set;
	int fd;

	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll < 0)
		return -errno;
	source_init(&m->port, port, port_ready);
	source_init(&m->dns, -1, dns_ready);
	step_run_init(&m->run, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigdelset(&set, SIGPIPE);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	source_init(&m->signals, fd, signals_ready);
	source_watch(m, &m->signals, EPOLLIN);
	watch_port(m);
	return 0;
}

void trace_send(struct machine *m)
{
	ssize_t n;

	if (m->trace_fd < 0)
		return;
	for (off_t at = 0;
		(n = pread(m->trace_fd, m->out + MACHINE_HEADER, MACHINE_DATA_MAX, at)) > 0;
		at += n)
		port_send_out(m, MACHINE_TRACE, 0, 0, (size_t)n);
	(void)!ftruncate(m->trace_fd, 0);
}

/* Its end will come by the cable: nobody can tell us then to write what there is. */
static void write_now_and_then(int64_t *last)
{
	struct timespec t;
	int64_t now;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	if (now - *last < SYNC_EVERY)
		return;
	sync();
	*last = now;
}

static void leave_port(struct machine *m)
{
	source_watch(m, &m->port, 0);
	m->port.fd = -1; /* the caller's */
	m->queue_n = 0;
	guest_alone(m);
}

void machine_life(int port, int trace_fd)
{
	struct machine *m = calloc(1, sizeof(*m));
	int64_t written = 0;

	if (!m || setup(m, port) < 0) {
		free(m);
		return;
	}
	m->trace_fd = trace_fd;
	say_hello(m);
	while (!m->lost && (!m->alone || guest_running(m))) {
		struct epoll_event ev; /* one: a source may take away another one */
		int ms = guest_wait_ms(m), n;

		if (m->alone && (ms < 0 || ms > SYNC_EVERY))
			ms = SYNC_EVERY;
		n = epoll_wait(m->epoll, &ev, 1, ms);

		if (n > 0) {
			struct source *s = ev.data.ptr;

			s->ready(m, s, ev.events);
		} else if (n == 0)
			guest_settle(m);
		else if (errno != EINTR)
			break;
		if (m->alone && m->port.fd >= 0)
			leave_port(m);
		if (m->alone)
			write_now_and_then(&written);
	}
	guest_end(m);
	source_close(m, &m->signals);
	source_close(m, &m->dns);
	(void)close(m->epoll);
	plan_free(m->plan);
	free(m->queue);
	free(m);
}
