/* SPDX-License-Identifier: MIT */
/*
 * Connections that a route takes over: one process each, a fork of the server, which may wait for its client
 * or for a guest as long as it likes. The server only knows that it is there, and reaps it.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "server/server-priv.h"

#define PIECE	  (16 * 1024)
#define LINGER_MS 2000

struct taker {
	struct source src; /* a pidfd */
	pid_t pid;
	GList link;
};

struct link {
	int fd, log;
	struct tls_conn *tls;
	struct conn *c;
	char *in; /* what was read beyond the head */
	size_t in_at, in_n;
	struct http_body body;
	char piece[PIECE]; /* of the body as it came */
	size_t piece_at, piece_n;
	bool expect, over; /* over: the body is */
	enum {
		LINK_NEW,
		LINK_CHUNKS,
		LINK_PLAIN,
		LINK_RAW
	} answer;
	int64_t sent;
};

/* --- bytes ------------------------------------------------------------------------------------------------ */

ssize_t link_read(struct link *l, void *p, size_t n)
{
	bool want_read, want_write;
	ssize_t r;

	if (l->in_at < l->in_n) {
		n = MIN(n, l->in_n - l->in_at);
		memcpy(p, l->in + l->in_at, n);
		l->in_at += n;
		return (ssize_t)n;
	}
	if (l->tls)
		return tls_recv(l->tls, p, n, &want_read, &want_write);
	do
		r = RET_NERRNO(recv(l->fd, p, n, 0));
	while (r == -EINTR);
	return r;
}

int link_write(struct link *l, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		bool want_read, want_write;
		ssize_t r = l->tls ? tls_send(l->tls, at, n, &want_read, &want_write)
				   : RET_NERRNO(send(l->fd, at, n, MSG_NOSIGNAL));

		if (r == -EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? (int)r : -EPIPE;
		at += r;
		n -= (size_t)r;
		l->sent += r;
	}
	return 0;
}

int link_fd(const struct link *l)
{
	return l->fd;
}

bool link_pending(const struct link *l)
{
	return l->in_at < l->in_n || (l->tls && tls_pending(l->tls));
}

bool link_is_tls(const struct link *l)
{
	return l->tls;
}

void link_shut(struct link *l)
{
	if (l->tls)
		tls_shutdown(l->tls);
	(void)shutdown(l->fd, SHUT_WR);
}

/* --- the request's body ------------------------------------------------------------------------------------ */

ssize_t link_body(struct link *l, void *p, size_t n)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (l->expect && !l->over && link_write(l, go_on, sizeof(go_on) - 1) < 0)
		return -EPIPE;
	l->expect = false;
	while (!l->over) {
		const char *data;
		size_t used, got;
		int r = http_body_take(&l->body, l->piece + l->piece_at,
			MIN(l->piece_n - l->piece_at, n), &used, &data, &got);

		if (r < 0)
			return r;
		l->over = r == 1;
		if (got)
			memcpy(p, data, got);
		l->piece_at += used;
		if (l->over) {
			/* what follows is for link_read() */
			l->in_at -= l->piece_n - l->piece_at;
			l->piece_n = l->piece_at = 0;
		}
		if (got)
			return (ssize_t)got;
		if (!l->over && l->piece_at == l->piece_n) {
			bool kept = l->in_at < l->in_n;
			ssize_t more = link_read(l, l->piece, sizeof(l->piece));

			if (more <= 0)
				return more < 0 ? more : -ECONNRESET;
			l->piece_at = 0;
			l->piece_n = (size_t)more;
			/* so that what isn't the body's can be given back */
			if (!kept) {
				l->in = g_realloc(l->in, l->piece_n);
				memcpy(l->in, l->piece, l->piece_n);
				l->in_at = l->in_n = l->piece_n;
			}
		}
	}
	return 0;
}

int link_body_text(struct link *l, size_t max, char **ret)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *buf = g_malloc(PIECE);
	ssize_t n;

	while ((n = link_body(l, buf, PIECE)) > 0) {
		if (text->len + (size_t)n > max)
			return -E2BIG;
		g_string_append_len(text, buf, n);
	}
	if (n < 0)
		return (int)n;
	*ret = g_string_free(g_steal_pointer(&text), FALSE);
	return 0;
}

/* --- the answer -------------------------------------------------------------------------------------------- */

int link_raw(struct link *l, const char *head)
{
	l->answer = LINK_RAW;
	return link_write(l, head, strlen(head));
}

int link_begin(struct call *c, struct link *l)
{
	g_autoptr(GString) head = g_string_new(NULL);
	char date[HTTP_DATE_SIZE];

	http_date(time(NULL), date);
	l->answer = c->q->minor > 0 ? LINK_CHUNKS : LINK_PLAIN;
	g_string_printf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%sConnection: close\r\n\r\n",
		c->reply.status, http_reason(c->reply.status), date, c->reply.headers->str,
		l->answer == LINK_CHUNKS ? "Transfer-Encoding: chunked\r\n" : "");
	if (http_equal(c->q->method, "HEAD"))
		l->answer = LINK_RAW;
	return link_write(l, head->str, head->len);
}

int link_send(struct link *l, const void *p, size_t n)
{
	char size[24];
	int r = 0;

	if (n == 0 || l->answer == LINK_RAW)
		return 0;
	if (l->answer == LINK_CHUNKS) {
		r = snprintf(size, sizeof(size), "%zx\r\n", n);
		r = link_write(l, size, (size_t)r);
	}
	if (r >= 0)
		r = link_write(l, p, n);
	if (r >= 0 && l->answer == LINK_CHUNKS)
		r = link_write(l, "\r\n", 2);
	return r;
}

/* An answer in one piece. */
static void send_reply(struct call *c, struct link *l)
{
	g_autoptr(GString) head = g_string_new(NULL);
	struct reply *r = &c->reply;
	char date[HTTP_DATE_SIZE];
	bool body = r->status != 204 && r->status != 304;

	http_date(time(NULL), date);
	g_string_printf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s", r->status, http_reason(r->status),
		date, r->headers->str);
	if (body)
		g_string_append_printf(head, "Content-Length: %zu\r\n", r->body->len);
	g_string_append(head, "Connection: close\r\n\r\n");
	if (body && !http_equal(c->q->method, "HEAD"))
		g_string_append_len(head, r->body->str, (gssize)r->body->len);
	(void)link_write(l, head->str, head->len);
}

/* Closed at once, a socket with unread bytes is reset, and the client may lose the end of the answer. */
static void linger(struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	link_shut(l);
	while (poll(&p, 1, LINGER_MS) > 0)
		if (RET_NERRNO(recv(l->fd, l->piece, sizeof(l->piece), MSG_DONTWAIT)) <= 0)
			break;
}

/* --- its process ------------------------------------------------------------------------------------------- */

static int followed = -1;

static void client_moved(int sig)
{
	struct pollfd p = { .fd = followed, .events = POLLRDHUP };

	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		_exit(0);
}

void link_follow(struct link *l)
{
	const struct sigaction die = { .sa_handler = SIG_DFL },
			       look = { .sa_handler = client_moved, .sa_flags = SA_RESTART };

	(void)sigaction(SIGTERM, &die, NULL);
	(void)sigaction(SIGIO, &look, NULL);
	followed = l->fd;
	(void)fcntl(l->fd, F_SETOWN, getpid());
	(void)fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_ASYNC);
	client_moved(SIGIO); /* it may be gone already */
}

static void go_on(int sig)
{
}

static _Noreturn void taker_main(struct server *s, struct conn *c)
{
	/* the server's end is told by SIGTERM; what was begun is ended, unless link_follow() says otherwise.
	 * A handler, unlike SIG_IGN, isn't inherited by what is executed. */
	const struct sigaction late = { .sa_handler = go_on, .sa_flags = SA_RESTART };
	const int keep[] = { c->src.fd, s->cfg->keep_fd, s->log };
	g_autofree struct link *l = g_new0(struct link, 1);
	sigset_t none;

	(void)prctl(PR_SET_NAME, "lodge-taker");
	(void)sigaction(SIGTERM, &late, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	close_but(keep, G_N_ELEMENTS(keep));
	(void)fcntl(c->src.fd, F_SETFL, fcntl(c->src.fd, F_GETFL) & ~O_NONBLOCK);
	l->fd = c->src.fd;
	l->tls = c->tls;
	l->c = c;
	l->in = c->in;
	l->in_n = c->in_n;
	l->expect = c->expect;
	http_body_init(&l->body, &c->q);
	c->call.route->take(&c->call, l);
	if (l->answer == LINK_NEW) {
		if (!c->call.reply.status) {
			c->call.reply.status = 500;
			s->cfg->failed(&c->call.reply, 500, "no answer");
		}
		send_reply(&c->call, l);
	} else if (l->answer == LINK_CHUNKS) {
		(void)link_write(l, "0\r\n\r\n", 5);
	}
	c->sent = l->sent;
	conn_log(s, c);
	linger(l);
	_exit(0);
}

/* --- in the server ------------------------------------------------------------------------------------------ */

static void taker_ready(struct server *s, struct source *src, uint32_t events)
{
	struct taker *t = (struct taker *)src;

	server_forget(s, src);
	(void)close(src->fd);
	(void)RET_NERRNO(waitpid(t->pid, NULL, 0));
	g_queue_unlink(&s->takers, &t->link);
	g_free(t);
}

int take_over(struct server *s, struct conn *c)
{
	struct taker *t;
	pid_t pid;
	int fd;

	if ((int)s->takers.length >= s->cfg->takers)
		return -EAGAIN;
	if (s->cfg->before_fork)
		s->cfg->before_fork(s->cfg->data);
	pid = RET_NERRNO(fork());
	if (pid == 0)
		taker_main(s, c);
	if (pid < 0)
		return pid;
	fd = RET_NERRNO(pidfd_open(pid, 0));
	t = g_new0(struct taker, 1);
	t->pid = pid;
	t->src = (struct source){ .fd = fd, .ready = taker_ready };
	t->link.data = t;
	g_queue_push_tail_link(&s->takers, &t->link);
	if (fd < 0 || server_watch(s, &t->src, EPOLLIN) < 0)
		taker_ready(s, &t->src, 0); /* waits for it: better than to lose it */
	return 0;
}

void take_stop(struct server *s)
{
	for (GList *l = s->takers.head; l; l = l->next)
		(void)kill(((struct taker *)l->data)->pid, SIGTERM);
}

/* Those that are still at work end it by themselves. */
void take_forget(struct server *s)
{
	GList *l;

	while ((l = g_queue_pop_head_link(&s->takers))) {
		struct taker *t = l->data;

		(void)close(t->src.fd);
		g_free(t);
	}
}
