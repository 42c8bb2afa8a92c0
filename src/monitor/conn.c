/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"
#include "monitor/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#define CONNS_MAX 256

static void conn_ready(struct monitor *m, struct source *s, uint32_t events);

static void listen_ready(struct monitor *m, struct source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t n = sizeof(peer);
	unsigned count = 0;

	if (fd < 0)
		return;
	for (struct conn *c = m->conns; c; c = c->next)
		count++;
	if (count >= CONNS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid())) {
		(void)close(fd);
		return;
	}
	(void)conn_add(m, fd);
}

/* The socket's path may be longer than sun_path takes, so it is bound by way of its folder. */
int conn_listen(struct monitor *m, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int dir = open(m->run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (dir < 0)
		return err_sys(e, -errno, "cannot open '%s'", m->run);
	(void)unlinkat(dir, "sock", 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make the monitor's socket");
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/sock", dir);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0) {
		int r = err_sys(e, -errno, "cannot listen on '%s/sock'", m->run);

		(void)close(fd);
		return r;
	}
	source_init(&m->listen_source, fd, listen_ready);
	return source_watch(m, &m->listen_source, EPOLLIN);
}

struct conn *conn_add(struct monitor *m, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)close(fd);
		return NULL;
	}
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	source_init(&c->src, fd, conn_ready);
	c->next = m->conns;
	m->conns = c;
	(void)source_watch(m, &c->src, EPOLLIN);
	return c;
}

void conn_close(struct monitor *m, struct conn *c)
{
	struct conn **p = &m->conns;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	source_close(m, &c->src);
	session_conn_gone(m, c);
	guest_conn_gone(m, c);
	qmp_conn_gone(m, c);
	free(c->input);
	free(c);
}

bool conn_send(struct conn *c, unsigned type, unsigned flags, uint32_t value, const void *data,
	size_t size)
{
	struct msg head = { .type = (uint16_t)type, .flags = (uint16_t)flags, .value = value };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)data, size } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };
	ssize_t n = sendmsg(c->src.fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);

	/* other failures mean that the peer is gone: its end of file closes the connection */
	return n >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

void conn_send_err(struct conn *c, const struct err *e)
{
	char data[ERR_TEXT_MAX + ERR_MEND_MAX];
	size_t n = strlen(e->text) + 1, k = strlen(e->mend) + 1;

	memcpy(data, e->text, n);
	memcpy(data + n, e->mend, k);
	(void)conn_send(c, MSG_ERROR, 0, (uint32_t)e->code, data, n + k);
}

void conn_tell_exit(struct monitor *m, int code, bool finally)
{
	for (struct conn *c = m->conns, *next; c; c = next) {
		next = c->next;
		if (c->session)
			continue;
		if (finally ? c->waits || c->attached || c->waits_next : c->waits_next) {
			(void)conn_send(
				c, MSG_EXIT, m->oom ? EXIT_OOM : 0, (uint32_t)code, NULL, 0);
			c->waits_next = false;
		}
	}
}

bool conn_waited_for(const struct monitor *m)
{
	for (struct conn *c = m->conns; c; c = c->next)
		if (c->attached || c->waits)
			return true;
	return false;
}

static void resize(struct monitor *m, struct conn *c, uint32_t value)
{
	struct session *s = c->session ? c->session : &m->main;
	struct winsize w = { .ws_row = (unsigned short)(value >> 16),
		.ws_col = (unsigned short)value };

	if (s->remote)
		machine_resize(m, s, value);
	else if (s->tty && s->out.fd >= 0)
		(void)ioctl(s->out.fd, TIOCSWINSZ, &w);
}

static void send_status(struct monitor *m, struct conn *c)
{
	char text[1024];
	int n = guest_status_text(m, text, sizeof(text));

	(void)conn_send(c, MSG_STATUS, 0, PROTO_VERSION, text, n > 0 ? (size_t)n : 0);
}

static void send_signal(struct monitor *m, struct conn *c, int sig)
{
	if (sig <= 0 || sig >= NSIG)
		return;
	if (c->session && c->session->remote) {
		(void)machine_signal(m, c->session, sig);
	} else if (c->session) {
		if (c->session->pid > 0 && !c->session->exited)
			(void)kill(c->session->pid, sig);
	} else
		guest_kill(m, sig);
}

static void take_card(struct monitor *m, struct conn *c, const char *data, size_t size, int *fd)
{
	struct err e = { 0 };

	if (lan_add(m, data, size, fd, &e) < 0)
		conn_send_err(c, &e);
	else
		send_status(m, c);
}

static void handle(struct monitor *m, struct conn *c, const struct msg *head, const char *data,
	size_t size, int fds[3])
{
	struct err e;

	switch (head->type) {
	case MSG_HELLO:
		send_status(m, c);
		break;
	case MSG_ATTACH:
		c->attached = head->flags;
		c->waits = true;
		if (m->finished)
			(void)conn_send(c, MSG_EXIT, 0, (uint32_t)m->main.exit_code, NULL, 0);
		break;
	case MSG_INPUT:
		session_input(m, c, data, size);
		break;
	case MSG_RESIZE:
		resize(m, c, head->value);
		break;
	case MSG_SIGNAL:
		send_signal(m, c, (int)head->value);
		break;
	case MSG_STOP:
		c->waits = true;
		m->stop_asked = true;
		guest_stop(m, (int)(head->value & 0xff),
			head->value >> 8 == 0xffffff ? -1 : (int)(head->value >> 8));
		break;
	case MSG_EXEC:
		exec_start(m, c, data, size, head->flags, fds);
		break;
	case MSG_SERVE:
		exec_serve(m, c, data, size, head->flags);
		break;
	case MSG_QMP:
		qmp_ask(m, c, data, size, fds);
		break;
	case MSG_CARD:
		take_card(m, c, data, size, &fds[0]);
		break;
	case MSG_RESTART:
		m->restart = (enum restart)(head->value & 3);
		m->restart_max = (int)(head->value >> 8);
		break;
	case MSG_QMP_EVENTS:
		c->qmp_events = true;
		break;
	case MSG_WAIT:
		if (head->flags & WAIT_NEXT)
			c->waits_next = true;
		else
			c->waits = true;
		break;
	default:
		err_set(&e, -E_UNSUPPORTED, "this guest's monitor doesn't know message %u",
			head->type);
		err_mend(&e, "restart the guest to get a new monitor");
		conn_send_err(c, &e);
	}
}

/* Takes the descriptors out of a message; what isn't asked for is closed. */
static void take_fds(struct msghdr *h, int fds[3])
{
	for (struct cmsghdr *k = CMSG_FIRSTHDR(h); k; k = CMSG_NXTHDR(h, k)) {
		size_t n;

		if (k->cmsg_level != SOL_SOCKET || k->cmsg_type != SCM_RIGHTS)
			continue;
		n = (k->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(k) + i * sizeof(int), sizeof(fd));
			if (i < 3 && fds[i] < 0)
				fds[i] = fd;
			else
				(void)close(fd);
		}
	}
}

static void conn_ready(struct monitor *m, struct source *s, uint32_t events)
{
	struct conn *c = (struct conn *)((char *)s - offsetof(struct conn, src));
	static char buffer[sizeof(struct msg) + MSG_DATA_MAX + 1];
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct iovec iov = { buffer, sizeof(buffer) };
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int fds[3] = { -1, -1, -1 };
	struct msg head;
	ssize_t n;

	if (events & EPOLLOUT)
		session_client_ready(m, c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recvmsg(c->src.fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n >= 0)
		take_fds(&h, fds);
	if (n < (ssize_t)sizeof(head) || (h.msg_flags & MSG_TRUNC)) {
		conn_close(m, c);
	} else {
		memcpy(&head, buffer, sizeof(head));
		handle(m, c, &head, buffer + sizeof(head), (size_t)n - sizeof(head), fds);
	}
	for (unsigned i = 0; i < 3; i++)
		closep(&fds[i]);
}
