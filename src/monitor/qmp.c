/* SPDX-License-Identifier: MIT */
/*
 * QEMU has one monitor and several want to talk to it: their commands wait for each other here, since
 * replies come in the order of commands. Whoever asked is told QEMU's line as it came.
 */
#include "monitor/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host/steps.h"
#include "wire/qmp.h"

#define WAITING_MAX 256

struct ask {
	struct ask *next;
	struct conn *conn; /* NULL: gone, or ours */
	bool first_word;   /* of the plan's: the machine isn't up before its answer */
	int fds[3];
	size_t n;
	char text[];
};

struct qmp_relay {
	struct qmp_reader reader;
	struct ask *first, **last;     /* the first one is with QEMU when `busy` */
	unsigned waiting, first_words; /* how many of these have no answer yet */
	bool greeted, ready, busy;
	uint32_t id;
};

static const char capabilities[] = "{\"execute\":\"qmp_capabilities\"}";

static void ask_free(struct ask *a)
{
	for (int i = 0; i < 3; i++)
		closep(&a->fds[i]);
	free(a);
}

static struct ask *take_first(struct qmp_relay *q)
{
	struct ask *a = q->first;

	q->first = a->next;
	if (!q->first)
		q->last = &q->first;
	q->waiting--;
	return a;
}

/* A whole command; QEMU reads as fast as it is asked, and only one is on the way. */
static int send_command(int fd, const char *p, size_t n, const int fds[3])
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	unsigned count = 0;

	while (count < 3 && fds[count] >= 0)
		count++;
	if (count > 0) {
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.h), fds, count * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n ? 0 : -EPIPE;
}

static void refuse(struct conn *c, int code, const char *text)
{
	struct err e = { 0 };

	if (!c)
		return;
	(void)err_set(&e, code, "%s", text);
	conn_send_err(c, &e);
}

static void next_command(struct monitor *m)
{
	struct qmp_relay *q = m->machine->relay;

	while (q->ready && !q->busy && q->first) {
		struct ask *a = q->first;
		size_t room = a->n + QMP_ID_ROOM;
		_cleanup_free_ char *line = malloc(room);
		ssize_t n = line ? qmp_put_command(line, room, a->text, a->n, ++q->id) : -ENOMEM;

		if (n > 0 && m->machine->qmp.fd >= 0 &&
			send_command(m->machine->qmp.fd, line, (size_t)n, a->fds) == 0) {
			q->busy = true;
			for (int i = 0; i < 3; i++) {
				closep(&a->fds[i]);
				a->fds[i] = -1;
			}
			return;
		}
		(void)take_first(q);
		refuse(a->conn, -EPIPE, "QEMU's monitor can't be reached");
		ask_free(a);
	}
}

/* In parts. A client that can't take it now waits for nothing else; its socket's buffer holds a schema. */
static void send_line(struct conn *c, unsigned type, const struct qmp_line *l)
{
	const char *p = l->text;
	size_t left = l->size;

	for (; left > MSG_DATA_MAX; left -= MSG_DATA_MAX, p += MSG_DATA_MAX)
		if (!conn_send(c, type, QMP_MORE, 0, p, MSG_DATA_MAX))
			return;
	(void)conn_send(c, type, 0, 0, p, left);
}

static void answered(struct monitor *m, const struct qmp_line *l)
{
	struct qmp_relay *q = m->machine->relay;
	struct ask *a;

	/* of qmp_capabilities: QEMU greets before it has made its devices, and answers after */
	if (!q->ready && q->greeted && l->has_id && l->id == 0) {
		q->ready = true;
		if (q->first_words == 0)
			machine_ready(m);
		next_command(m);
		return;
	}
	if (!q->busy || !l->has_id || l->id != q->id)
		return;
	q->busy = false;
	a = take_first(q);
	if (a->conn)
		send_line(a->conn, MSG_QMP_REPLY, l);
	if (a->first_word) {
		if (l->kind == QMP_ERROR)
			machine_refused(m, l->text, l->size);
		if (--q->first_words == 0)
			machine_ready(m);
	}
	ask_free(a);
	next_command(m);
}

static void told_event(struct monitor *m, const struct qmp_line *l)
{
	for (struct conn *c = m->conns, *next; c; c = next) {
		next = c->next;
		if (c->qmp_events)
			send_line(c, MSG_QMP_EVENT, l);
	}
}

static void handle_line(struct monitor *m, const struct qmp_line *l)
{
	struct qmp_relay *q = m->machine->relay;
	static const int none[3] = { -1, -1, -1 };
	char line[64];
	ssize_t n;

	switch (l->kind) {
	case QMP_GREETING:
		n = qmp_put_command(line, sizeof(line), capabilities, sizeof(capabilities) - 1, 0);
		if (q->greeted || n < 0)
			break;
		q->greeted = send_command(m->machine->qmp.fd, line, (size_t)n, none) == 0;
		break;
	case QMP_RETURN:
	case QMP_ERROR:
		answered(m, l);
		break;
	case QMP_EVENT:
		told_event(m, l);
		break;
	default:
		break;
	}
}

static void lost(struct monitor *m)
{
	struct qmp_relay *q = m->machine->relay;

	source_close(m, &m->machine->qmp);
	q->busy = false;
	while (q->first) {
		struct ask *a = take_first(q);

		refuse(a->conn, -EPIPE, "QEMU's monitor is gone");
		ask_free(a);
	}
}

static void qmp_ready(struct monitor *m, struct source *src, uint32_t events)
{
	struct qmp_relay *q = m->machine->relay;
	struct qmp_line l;
	char *to;
	size_t room;
	ssize_t n;
	int code = qmp_room(&q->reader, &to, &room);

	n = code < 0 ? 0 : recv(src->fd, to, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lost(m);
		return;
	}
	qmp_filled(&q->reader, (size_t)n);
	while ((code = qmp_next(&q->reader, &l)) == 1)
		handle_line(m, &l);
	if (code < 0)
		lost(m);
}

static struct ask *enqueue(
	struct monitor *m, struct conn *c, const char *data, size_t n, const int fds[3])
{
	struct qmp_relay *q = m->machine->relay;
	struct ask *a = malloc(sizeof(*a) + n);

	if (!a)
		return NULL;
	*a = (struct ask){ .conn = c, .n = n, .fds = { -1, -1, -1 } };
	for (int i = 0; fds && i < 3; i++)
		if (fds[i] >= 0)
			a->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	memcpy(a->text, data, n);
	*q->last = a;
	q->last = &a->next;
	q->waiting++;
	return a;
}

void qmp_ask(struct monitor *m, struct conn *c, const char *data, size_t n, const int fds[3])
{
	char name[QMP_NAME_MAX];

	if (!m->machine || !m->machine->relay || m->machine->qmp.fd < 0)
		refuse(c, -E_STATE,
			m->machine ? "the machine isn't running" : "this guest is not a machine");
	else if (qmp_check_command(data, n, name) < 0)
		refuse(c, -E_INVALID, "not a QMP command");
	else if (m->machine->relay->waiting >= WAITING_MAX)
		refuse(c, -E_LIMIT, "too many commands wait for QEMU");
	else if (enqueue(m, c, data, n, fds))
		next_command(m);
}

void qmp_say(struct monitor *m, const char *command)
{
	char text[QMP_NAME_MAX + 16];
	int n = snprintf(text, sizeof(text), "{\"execute\":\"%s\"}", command);

	if (m->machine->relay && n > 0 && enqueue(m, NULL, text, (size_t)n, NULL))
		next_command(m);
}

void qmp_conn_gone(struct monitor *m, const struct conn *c)
{
	struct qmp_relay *q = m->machine ? m->machine->relay : NULL;

	for (struct ask *a = q ? q->first : NULL; a; a = a->next)
		if (a->conn == c)
			a->conn = NULL;
}

/* What the plan has to say, before any client. */
static int take_first_words(struct monitor *m, struct err *e)
{
	struct qmp_relay *q = m->machine->relay;

	for (unsigned i = 0; i < plan_len(m->plan); i++) {
		const struct step *s = plan_step(m->plan, i);
		int fds[3] = { -1, -1, -1 };
		struct ask *a;

		if (s->op != &step_qmp)
			continue;
		if (s->arg[1][0])
			fds[0] = m->step_run.kept_fd[KEPT_VNC];
		a = enqueue(m, NULL, s->arg[0], strlen(s->arg[0]), fds);
		if (!a)
			return err_set(e, -ENOMEM, "no memory for the machine's first commands");
		a->first_word = true;
		q->first_words++;
	}
	/* QEMU has its own now */
	closep(&m->step_run.kept_fd[KEPT_VNC]);
	m->step_run.kept_fd[KEPT_VNC] = -1;
	return 0;
}

int qmp_begin(struct monitor *m, struct err *e)
{
	struct machine *k = m->machine;
	int fd = m->step_run.kept_fd[KEPT_QMP];

	m->step_run.kept_fd[KEPT_QMP] = -1;
	k->relay = calloc(1, sizeof(*k->relay));
	if (!k->relay || fd < 0) {
		closep(&fd);
		return err_set(e, -ENOMEM, "the machine has no monitor");
	}
	k->relay->last = &k->relay->first;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	source_init(&k->qmp, fd, qmp_ready);
	fd = take_first_words(m, e);
	return fd < 0 ? fd : source_watch(m, &k->qmp, EPOLLIN);
}

void qmp_end(struct monitor *m)
{
	struct machine *k = m->machine;

	if (!k->relay)
		return;
	lost(m);
	qmp_reader_done(&k->relay->reader);
	free(k->relay);
	k->relay = NULL;
}
