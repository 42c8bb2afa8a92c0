/* SPDX-License-Identifier: MIT */
/*
 * Worker processes: they run what may wait for a disk, and password checks, one request at a time. A worker
 * gets a request's head as the client sent it, and makes the same call of it that the server has; with it the
 * descriptor of the body's file. It sends the answer's texts back, or a descriptor.
 */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "server/server-priv.h"

enum {
	ASK_CHECK, /* the password */
	ASK_WORK,  /* the route's work() */
};

struct ask {
	int32_t what;
	int32_t head_n; /* bytes that follow */
	int64_t start, at;
	char digest[72];
	char user[256];
};

enum {
	ANSWER_ALL,
	ANSWER_BEGINS, /* its file isn't whole: others follow */
	ANSWER_MOVES,  /* len bytes are there */
};

struct answer {
	int32_t kind;
	int32_t status;
	int32_t headers_n, body_n; /* bytes that follow */
	int32_t close;
	int64_t off, len; /* of the descriptor that comes with it */
};

#define ANSWER_HEADERS_MAX (32 * 1024)
#define MESSAGE_MAX	   (sizeof(struct answer) + ANSWER_HEADERS_MAX + SERVER_BODY_MAX)

/* --- messages -------------------------------------------------------------------------------------------- */

int message_send(int sock, struct iovec *iov, size_t n_iov, int fd)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n_iov };
	ssize_t r;

	if (fd >= 0) {
		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(int));
	}
	do
		r = RET_NERRNO(sendmsg(sock, &m, MSG_NOSIGNAL));
	while (r == -EINTR);
	return r < 0 ? (int)r : 0;
}

ssize_t message_recv(int sock, void *buf, size_t size, int *ret_fd)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { buf, size };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	struct cmsghdr *h;
	ssize_t r;

	*ret_fd = -1;
	do
		r = RET_NERRNO(recvmsg(sock, &m, MSG_CMSG_CLOEXEC));
	while (r == -EINTR);
	if (r < 0)
		return r;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
		h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : r;
}

/* --- in a worker ---------------------------------------------------------------------------------------- */

/* A text that is too long for a message goes as a file in memory. */
static int body_to_file(struct reply *r)
{
	_cleanup_close_ int fd = RET_NERRNO(memfd_create("answer", MFD_CLOEXEC));
	size_t at = 0;

	if (fd < 0)
		return fd;
	while (at < r->body->len) {
		ssize_t n = RET_NERRNO(write(fd, r->body->str + at, r->body->len - at));

		if (n < 0)
			return (int)n;
		at += (size_t)n;
	}
	r->off = 0;
	r->len = (int64_t)r->body->len;
	g_string_truncate(r->body, 0);
	r->fd = TAKE_FD(fd);
	return 0;
}

static int send_reply(int sock, int kind, const struct reply *r)
{
	struct answer a = { kind, r->status, (int32_t)r->headers->len, (int32_t)r->body->len,
		r->close, r->off, r->len };
	struct iovec iov[] = { { &a, sizeof(a) }, { r->headers->str, r->headers->len },
		{ r->body->str, r->body->len } };

	return message_send(sock, iov, G_N_ELEMENTS(iov), r->fd);
}

int call_stream(struct call *c, int fd, int64_t len)
{
	int r;

	reply_file(&c->reply, 200, fd, 0, len);
	r = send_reply(c->worker, ANSWER_BEGINS, &c->reply);
	c->reply.fd = -1;
	c->reply.status = 0;
	c->promised = len;
	return r;
}

int call_streamed(struct call *c, int64_t size)
{
	struct answer a = { .kind = ANSWER_MOVES, .len = MIN(size, MAX(c->promised - 1, 0)) };
	struct iovec iov = { &a, sizeof(a) };

	return message_send(c->worker, &iov, 1, -1);
}

static int send_answer(const struct server_config *cfg, int sock, struct call *c)
{
	struct reply *r = &c->reply;

	if (r->headers->len > ANSWER_HEADERS_MAX ||
		(r->body->len > SERVER_BODY_MAX && body_to_file(r) < 0)) {
		g_string_truncate(r->headers, 0);
		g_string_truncate(r->body, 0);
		r->status = 500;
		cfg->failed(r, 500, "the answer is too long");
	}
	return send_reply(sock, ANSWER_ALL, r);
}

static void run_ask(const struct server *s, const struct ask *ask, struct call *c)
{
	const struct server_config *cfg = s->cfg;
	g_autoptr(GString) allow = g_string_new(NULL);

	if (ask->what == ASK_CHECK) {
		c->reply.status = auth_check(s->auth, c->q) ? 200 : 401;
		return;
	}
	c->body.start = ask->start;
	c->body.at = ask->at;
	g_strlcpy(c->digest, ask->digest, sizeof(c->digest));
	if (*ask->user)
		c->user = g_strdup(ask->user);
	if (route_find(cfg, c, allow) == 0 && c->route->work) {
		if (cfg->allow)
			cfg->allow(c);
		if (c->reply.status == 0)
			c->route->work(c);
	}
	if (c->reply.status == 0) {
		c->reply.status = 500;
		cfg->failed(&c->reply, 500, "no answer");
	}
}

static _Noreturn void worker_main(const struct server *s, int sock)
{
	const struct server_config *cfg = s->cfg;
	g_autofree char *buf = g_malloc(MESSAGE_MAX);
	int r = 0;

	while (r >= 0) {
		struct http_request q;
		struct call c;
		struct ask *ask = (struct ask *)buf;
		int status, fd;
		ssize_t n = message_recv(sock, buf, MESSAGE_MAX, &fd);

		if (n < (ssize_t)sizeof(*ask) || n != (ssize_t)sizeof(*ask) + ask->head_n)
			break;
		call_init(&c);
		c.data = cfg->data;
		c.body.fd = fd;
		c.worker = sock;
		c.q = &q;
		if (http_request_parse(buf + sizeof(*ask), (size_t)ask->head_n, &q, &status) == 0)
			run_ask(s, ask, &c);
		r = send_answer(cfg, sock, &c);
		call_done(&c);
	}
	_exit(0);
}

/* --- in the server ---------------------------------------------------------------------------------------- */

static void worker_ready(struct server *s, struct source *src, uint32_t events);

void close_but(const int *keep, size_t n)
{
	int from = STDERR_FILENO + 1;

	for (;;) {
		int next = -1;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if (next > from)
			(void)syscall(SYS_close_range, from, next - 1, 0U);
		from = next + 1;
	}
	(void)syscall(SYS_close_range, from, ~0U, 0U);
}

static void become_worker(struct server *s, int sock)
{
	const int keep[] = { sock, s->cfg->keep_fd };

	/* with the server, at any moment: that is what storage is made for */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "lodge-worker");
	/* the clients' connections are the server's */
	close_but(keep, G_N_ELEMENTS(keep));
	worker_main(s, sock);
}

static int spawn(struct server *s, struct worker *w)
{
	_cleanup_close_ int theirs = -1;
	int pair[2], r;
	pid_t pid;

	r = RET_NERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	if (r < 0)
		return r;
	theirs = pair[1];
	if (s->cfg->before_fork)
		s->cfg->before_fork(s->cfg->data);
	pid = RET_NERRNO(fork());
	if (pid == 0)
		become_worker(s, theirs);
	if (pid < 0) {
		(void)close(pair[0]);
		return pid;
	}
	w->pid = pid;
	w->src = (struct source){ .fd = pair[0], .ready = worker_ready };
	return server_watch(s, &w->src, EPOLLIN);
}

static void ask_worker(struct server *s, struct worker *w, struct conn *c)
{
	struct ask ask = {
		.what = c->state == CONN_CHECK ? ASK_CHECK : ASK_WORK,
		.head_n = (int32_t)c->head_n,
		.start = c->call.body.start,
		.at = c->call.body.at,
	};
	struct iovec iov[] = { { &ask, sizeof(ask) }, { c->head, c->head_n } };

	g_strlcpy(ask.digest, c->call.digest, sizeof(ask.digest));
	g_strlcpy(ask.user, c->call.user ?: "", sizeof(ask.user));
	w->busy = c;
	w->checks = ask.what == ASK_CHECK;
	/* a worker that is gone tells so by its socket's end */
	(void)message_send(w->src.fd, iov, G_N_ELEMENTS(iov), c->call.body.fd);
}

static struct worker *free_worker(struct server *s, bool check)
{
	struct worker *found = NULL;
	guint checks = 0;

	for (guint i = 0; i < s->workers->len; i++) {
		struct worker *w = s->workers->pdata[i];

		if (w->slow)
			continue;
		checks += w->busy && w->checks;
		if (!w->busy && w->pid > 0)
			found = w;
	}
	/* whoever tries passwords doesn't hold up all that works */
	if (check && checks > 0 && checks >= (guint)s->cfg->workers / 2)
		return NULL;
	return found;
}

/* The processes for slow routes are made when they are wanted. */
static struct worker *free_fetcher(struct server *s)
{
	struct worker *w;
	guint n = 0;

	for (guint i = 0; i < s->workers->len; i++) {
		w = s->workers->pdata[i];
		n += w->slow;
		if (w->slow && !w->busy && w->pid > 0)
			return w;
	}
	if (n >= (guint)s->cfg->fetchers)
		return NULL;
	w = g_new0(struct worker, 1);
	w->slow = true;
	if (spawn(s, w) < 0) {
		g_free(w);
		return NULL;
	}
	g_ptr_array_add(s->workers, w);
	return w;
}

static void hand_out(struct server *s)
{
	GList *next;

	for (GList *l = s->waiting.head; l; l = next) {
		struct conn *c = l->data;
		bool check = c->state == CONN_CHECK;
		struct worker *w =
			!check && c->call.route->slow ? free_fetcher(s) : free_worker(s, check);

		next = l->next;
		if (!w)
			continue;
		g_queue_unlink(&s->waiting, l);
		c->waiting = false;
		ask_worker(s, w, c);
	}
}

void work_submit(struct server *s, struct conn *c)
{
	g_queue_push_tail_link(&s->waiting, &c->wait_link);
	c->waiting = true;
	hand_out(s);
}

void work_cancel(struct server *s, struct conn *c)
{
	if (c->waiting)
		g_queue_unlink(&s->waiting, &c->wait_link);
	c->waiting = false;
}

bool work_busy(const struct server *s)
{
	for (guint i = 0; i < s->workers->len; i++)
		if (((struct worker *)s->workers->pdata[i])->busy)
			return true;
	return false;
}

static void respawn(struct server *s, struct worker *w)
{
	struct conn *c = w->busy;

	server_forget(s, &w->src);
	(void)close(w->src.fd);
	(void)kill(w->pid, SIGKILL);
	(void)waitpid(w->pid, NULL, 0);
	w->busy = NULL;
	w->pid = 0;
	if (spawn(s, w) < 0)
		w->pid = 0;
	if (c) {
		c->call.reply.status = 0;
		conn_answered(s, c);
	}
}

/* The call's answer is the worker's, but for what the client needn't know. */
static void take_answer(struct conn *c, const char *buf, int fd)
{
	const struct answer *a = (const struct answer *)buf;
	struct reply *r = &c->call.reply;

	if (c->state == CONN_CHECK) {
		if (a->status != 200)
			g_clear_pointer(&c->call.user, g_free);
		return;
	}
	r->status = a->status;
	r->close |= a->close;
	g_string_truncate(r->headers, 0);
	g_string_append_len(r->headers, buf + sizeof(*a), a->headers_n);
	g_string_append_len(r->body, buf + sizeof(*a) + a->headers_n, a->body_n);
	r->fd = fd;
	r->off = a->off;
	r->len = a->len;
}

static void worker_ready(struct server *s, struct source *src, uint32_t events)
{
	struct worker *w = (struct worker *)src;
	g_autofree char *buf = g_malloc(MESSAGE_MAX);
	const struct answer *a = (const struct answer *)buf;
	struct conn *c = w->busy;
	int fd;
	ssize_t n = message_recv(src->fd, buf, MESSAGE_MAX, &fd);

	if (n < (ssize_t)sizeof(*a) || n != (ssize_t)sizeof(*a) + a->headers_n + a->body_n || !c) {
		if (fd >= 0)
			(void)close(fd);
		respawn(s, w);
		hand_out(s);
		return;
	}
	if (a->kind == ANSWER_MOVES) {
		conn_streamed(s, c, a->len);
		return;
	}
	if (a->kind == ANSWER_ALL && c->growing) {
		/* what was promised is there, or isn't */
		c->call.reply.status = a->status;
		if (fd >= 0)
			(void)close(fd);
	} else {
		take_answer(c, buf, fd);
	}
	if (a->kind == ANSWER_BEGINS) {
		conn_streams(s, c);
		return;
	}
	w->busy = NULL;
	conn_answered(s, c);
	hand_out(s);
}

int work_start(struct server *s, struct err *e)
{
	for (int i = 0; i < s->cfg->workers; i++) {
		struct worker *w = g_new0(struct worker, 1);
		int r = spawn(s, w);

		g_ptr_array_add(s->workers, w);
		if (r < 0)
			return err_sys(e, r, "cannot start a worker process");
	}
	return 0;
}

void work_stop(struct server *s)
{
	/* a worker ends when its socket does, and not before its request is done */
	for (guint i = 0; i < s->workers->len; i++) {
		struct worker *w = s->workers->pdata[i];

		if (w->pid <= 0)
			continue;
		server_forget(s, &w->src);
		(void)close(w->src.fd);
	}
	for (guint i = 0; i < s->workers->len; i++) {
		struct worker *w = s->workers->pdata[i];

		if (w->pid > 0)
			(void)RET_NERRNO(waitpid(w->pid, NULL, 0));
		g_free(w);
	}
	g_ptr_array_set_size(s->workers, 0);
}
