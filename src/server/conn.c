/* SPDX-License-Identifier: MIT */
/* One connection: a state at a time until it has to wait for somebody. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include "codec/sha256.h"
#include "server/server-priv.h"

#define IN_FIRST       4096
#define LINGER_BYTES   (4 * 1024 * 1024)
#define EVICT_AFTER    INT64_C(1000000000) /* ns of idleness, when others wait to be let in */
#define HASH_PIECE     (1024 * 1024)
#define STREAM_EVERY   INT64_C(990000000) /* ns between ticks: the timer has its own second */
#define STREAM_BACKLOG (256 * 1024)
#define FLUSH_EVERY    (8 * 1024 * 1024) /* of a body: what is written starts its way to the disk */

/* --- bytes --------------------------------------------------------------------------------------------- */

/* Bytes, 0 at the end, -EAGAIN. */
static ssize_t conn_recv(struct conn *c, void *p, size_t n)
{
	if (c->tls)
		return tls_recv(c->tls, p, n, &c->tls_read, &c->tls_write);
	return RET_NERRNO(recv(c->src.fd, p, n, 0));
}

static ssize_t conn_send(struct conn *c, const void *p, size_t n, bool more)
{
	if (c->tls)
		return tls_send(c->tls, p, n, &c->tls_read, &c->tls_write);
	return RET_NERRNO(send(c->src.fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

/* The client did something: it has time again when it was enough. */
static void moved(struct server *s, struct conn *c, int64_t n)
{
	c->moved += n;
	if (c->moved < SERVER_MIN_BYTES)
		return;
	c->moved = 0;
	c->deadline = s->now + s->cfg->timeout;
}

static void enter(struct server *s, struct conn *c, enum conn_state state)
{
	c->state = state;
	c->moved = 0;
	c->deadline = s->now + s->cfg->timeout;
}

static bool die(struct conn *c)
{
	c->state = CONN_DEAD;
	return true;
}

static void set_in(struct conn *c, const char *p, size_t n)
{
	if (n > c->in_size) {
		c->in_size = MAX(n, IN_FIRST);
		c->in = g_realloc(c->in, c->in_size);
	}
	if (n)
		memmove(c->in, p, n);
	c->in_n = n;
	c->scanned = 0;
}

/* --- the answer ----------------------------------------------------------------------------------------- */

void conn_log(struct server *s, struct conn *c)
{
	char date[HTTP_DATE_SIZE];
	g_autofree char *line = NULL, *request = NULL, *who = NULL;
	const struct http_text *agent = c->started ? http_find(&c->q, "User-Agent") : NULL;

	if (s->log < 0)
		return;
	http_date(time(NULL), date);
	request = c->started ? g_strndup(c->q.method.p,
				       (gsize)(c->q.target.p + c->q.target.n - c->q.method.p))
			     : g_strdup("-");
	/* the client's words end where their quotes do */
	g_strdelimit(request, "\"", '?');
	who = agent ? g_strndup(agent->p, agent->n) : g_strdup("-");
	g_strdelimit(who, "\"", '?');
	line = g_strdup_printf("%s %s [%s] \"%s\" %d %" G_GINT64_FORMAT " %.3f \"%s\"\n", c->peer,
		c->call.user ?: "-", date, request, c->call.reply.status, c->sent,
		(double)(s->now - c->began) / 1e9, who);
	(void)RET_NERRNO(write(s->log, line, strlen(line)));
}

/* The answer is decided: its head is made, and it is sent. */
static void begin_reply(struct server *s, struct conn *c)
{
	struct reply *r = &c->call.reply;
	bool head_only = c->started && http_equal(c->q.method, "HEAD");
	bool has_length = r->status != 204 && r->status != 304;
	int64_t len = r->fd >= 0 || head_only ? MAX(r->len, (int64_t)r->body->len)
					      : (int64_t)r->body->len;
	char date[HTTP_DATE_SIZE];

	http_date(time(NULL), date);
	if (!c->started || !c->q.keep_alive || s->stop_at)
		r->close = true;
	g_string_printf(c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s", r->status,
		http_reason(r->status), date, r->headers->str);
	if (has_length)
		g_string_append_printf(c->out, "Content-Length: %" G_GINT64_FORMAT "\r\n", len);
	if (r->close)
		g_string_append(c->out, "Connection: close\r\n");
	else if (c->q.minor == 0)
		g_string_append(c->out, "Connection: keep-alive\r\n");
	g_string_append(c->out, "\r\n");
	c->out_at = 0;
	c->file_at = c->file_end = 0;
	if (!head_only && has_length && r->fd >= 0) {
		c->file_at = r->off;
		c->file_end = r->off + len;
		(void)posix_fadvise(r->fd, r->off, len, POSIX_FADV_SEQUENTIAL);
	} else if (!head_only && has_length) {
		g_string_append_len(c->out, r->body->str, (gssize)r->body->len);
	}
	c->sent = 0;
	enter(s, c, CONN_REPLY);
}

/* Of the server's own errors. */
static void fail(struct server *s, struct conn *c, int status, const char *why)
{
	struct reply *r = &c->call.reply;

	r->status = status;
	s->cfg->failed(r, status, why);
	begin_reply(s, c);
}

/* What is left of the body is in the way of the answer: the client may still be sending it. */
static void answer(struct server *s, struct conn *c)
{
	if (c->body.state != 0) {
		/* not asked for yet, or too long to be read for nothing: the connection ends */
		if (c->expect || c->q.length > SERVER_DRAIN_MAX || c->drained > SERVER_DRAIN_MAX)
			c->call.reply.close = true;
		else if (!c->call.reply.close) {
			enter(s, c, CONN_DRAIN);
			return;
		}
	}
	begin_reply(s, c);
}

/* --- states: each returns whether there is more to do now -------------------------------------------------- */

static bool do_handshake(struct server *s, struct conn *c)
{
	int r = tls_handshake(c->tls, &c->tls_read, &c->tls_write);

	if (r == -EAGAIN)
		return false;
	if (r < 0)
		return die(c);
	enter(s, c, CONN_HEAD);
	return true;
}

static bool read_head(struct server *s, struct conn *c)
{
	ssize_t n;

	if (c->in_n == c->in_size) {
		c->in_size = CLAMP(c->in_size * 2, IN_FIRST, HTTP_HEAD_MAX + IN_FIRST);
		c->in = g_realloc(c->in, c->in_size);
	}
	n = conn_recv(c, c->in + c->in_n, c->in_size - c->in_n);
	if (n == -EAGAIN) {
		/* nobody waits for an idle connection's buffer */
		if (c->in_n == 0) {
			g_clear_pointer(&c->in, g_free);
			c->in_size = 0;
		}
		return false;
	}
	if (n <= 0)
		return die(c);
	/* from its first byte on a head has its time as a whole */
	if (c->in_n == 0) {
		c->deadline = s->now + s->cfg->timeout;
		c->began = s->now;
	}
	c->in_n += (size_t)n;
	return true;
}

/* --- streams ---------------------------------------------------------------------------------------------- */

static void begin_stream(struct server *s, struct conn *c)
{
	char date[HTTP_DATE_SIZE];

	http_date(time(NULL), date);
	c->call.reply.status = 200;
	c->call.reply.close = true;
	c->last = false;
	c->out_at = 0;
	c->sent = 0;
	g_string_printf(c->out, "HTTP/1.1 200 OK\r\nDate: %s\r\n%s%sConnection: close\r\n\r\n",
		date, c->call.reply.headers->str,
		c->q.minor > 0 ? "Transfer-Encoding: chunked\r\n" : "");
	enter(s, c, CONN_STREAM);
	conn_tick(s, c);
}

void conn_tick(struct server *s, struct conn *c)
{
	g_autoptr(GString) piece = g_string_new(NULL);
	bool chunked = c->q.minor > 0;

	if (c->last || http_equal(c->q.method, "HEAD"))
		return;
	c->next_tick = s->now + STREAM_EVERY;
	c->last = c->call.route->tick(&c->call, piece) != 0;
	if (c->out_at == c->out->len)
		c->deadline = s->now + s->cfg->timeout;
	g_string_erase(c->out, 0, (gssize)c->out_at);
	c->out_at = 0;
	if (piece->len && chunked)
		g_string_append_printf(c->out, "%zx\r\n", piece->len);
	g_string_append_len(c->out, piece->str, (gssize)piece->len);
	if (piece->len && chunked)
		g_string_append(c->out, "\r\n");
	if (c->last && chunked)
		g_string_append(c->out, "0\r\n\r\n");
	/* one that doesn't read is not waited for, and not kept for */
	if (c->out->len - c->out_at > STREAM_BACKLOG)
		c->state = CONN_DEAD;
}

static void hand_over(struct server *s, struct conn *c)
{
	int r = take_over(s, c);

	if (r >= 0) {
		c->state = CONN_DEAD;
		return;
	}
	c->call.reply.close = true;
	fail(s, c, r == -EAGAIN ? 503 : 500, "there are too many of these calls at a time");
}

static void begin_body(struct server *s, struct conn *c)
{
	struct call *call = &c->call;

	if (s->cfg->allow)
		s->cfg->allow(call);
	if (call->reply.status == 0 && call->route->start)
		call->route->start(call);
	if (call->state) {
		begin_stream(s, c);
	} else if (call->reply.status) {
		answer(s, c);
	} else if (call->route->take) {
		hand_over(s, c);
	} else if (c->q.length > 0 && call->body.fd >= 0 && call->body.limit &&
		   c->q.length > call->body.limit) {
		c->call.reply.close = true;
		fail(s, c, 413, "the body is too large");
	} else {
		enter(s, c, CONN_CATCH_UP);
	}
}

static void find_route(struct server *s, struct conn *c)
{
	g_autoptr(GString) allow = g_string_new(NULL);
	struct call *call = &c->call;
	int status = route_find(s->cfg, call, allow);

	if (status == 0) {
		begin_body(s, c);
		return;
	}
	if (status == 405)
		reply_header(&call->reply, "Allow", "%s", allow->str);
	s->cfg->failed(&call->reply, status,
		status == 405 ? "the method is not allowed here" : "there is nothing here");
	call->reply.status = status;
	answer(s, c);
}

static void refuse_user(struct server *s, struct conn *c)
{
	reply_header(&c->call.reply, "WWW-Authenticate", "Basic realm=\"%s\", charset=\"UTF-8\"",
		s->cfg->realm);
	c->call.reply.status = 401;
	s->cfg->failed(&c->call.reply, 401, "authentication required");
	answer(s, c);
}

static bool do_head(struct server *s, struct conn *c)
{
	ssize_t n = http_head_end(c->in, c->in_n, &c->scanned);
	int status = 0, r;

	if (n == 0)
		return read_head(s, c);
	call_init(&c->call);
	c->call.data = s->cfg->data;
	c->started = false;
	c->drained = 0;
	c->body.state = 0;
	c->expect = false;
	if (n < 0) {
		fail(s, c, n == -E2BIG ? 431 : 400,
			n == -E2BIG ? "the request's head is too large" : "this is no HTTP");
		return true;
	}
	c->head_n = (size_t)n;
	c->head = g_memdup2(c->in, c->head_n);
	set_in(c, c->in + n, c->in_n - (size_t)n);
	if (http_request_parse(c->head, c->head_n, &c->q, &status) < 0) {
		fail(s, c, status, "the request is malformed");
		return true;
	}
	c->started = true;
	c->call.q = &c->q;
	c->expect = c->q.expect_continue;
	http_body_init(&c->body, &c->q);
	r = auth_begin(s, c);
	if (r == 0) {
		enter(s, c, CONN_CHECK);
		work_submit(s, c);
	} else if (r < 0) {
		refuse_user(s, c);
	} else {
		find_route(s, c);
	}
	return true;
}

static void cut(struct conn *c)
{
	if (c->call.route && c->call.route->cut)
		c->call.route->cut(&c->call);
}

bool call_abort(struct call *call)
{
	struct conn *c = (struct conn *)((char *)call - offsetof(struct conn, call));

	if (c->gone || (c->state != CONN_BODY && c->state != CONN_CATCH_UP))
		return false;
	cut(c);
	closep(&call->body.fd);
	call->body.fd = -1;
	c->state = CONN_DEAD;
	server_again(c->server, c);
	return true;
}

/* The hash is to have seen what the file has: a piece in each turn, others have theirs between. */
static bool do_catch_up(struct server *s, struct conn *c)
{
	struct sink *b = &c->call.body;
	int64_t want = b->sha ? MIN(b->start - b->hashed, HASH_PIECE) : 0;

	while (want > 0) {
		ssize_t n = RET_NERRNO(
			pread(b->fd, s->scratch, (size_t)MIN(want, SCRATCH_SIZE), b->hashed));

		if (n <= 0) {
			cut(c);
			fail(s, c, 500, "the file cannot be read");
			return true;
		}
		sha256_write(b->sha, s->scratch, (size_t)n);
		b->hashed += n;
		want -= n;
	}
	if (b->sha && b->hashed < b->start) {
		c->deadline = s->now + s->cfg->timeout;
		server_again(s, c);
		return false;
	}
	enter(s, c, CONN_BODY);
	if (c->expect && c->in_n == 0) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		/* fits into the socket's buffer, which is empty */
		if (conn_send(c, go_on, sizeof(go_on) - 1, false) != sizeof(go_on) - 1)
			return die(c);
	}
	c->expect = false;
	return true;
}

/* 0, or the status of the failure. */
static int sink_write(struct sink *b, const char *p, size_t n)
{
	if (b->fd < 0)
		return 0;
	if (b->limit && b->at - b->start + (int64_t)n > b->limit)
		return 413;
	if (b->sha) {
		sha256_write(b->sha, p, n);
		b->hashed += (int64_t)n;
	}
	while (n > 0) {
		ssize_t w = RET_NERRNO(pwrite(b->fd, p, n, b->at));

		if (w == -EINTR)
			continue;
		if (w < 0)
			return w == -ENOSPC || w == -EDQUOT || w == -EFBIG ? 507 : 500;
		if (b->at / FLUSH_EVERY != (b->at + w) / FLUSH_EVERY)
			(void)sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		p += w;
		n -= (size_t)w;
		b->at += w;
	}
	return 0;
}

static void end_body(struct server *s, struct conn *c)
{
	struct call *call = &c->call;

	if (call->body.sha && call->route->work) {
		struct sha256 *sha = call->body.sha;

		sha256_finish_text(sha, call->digest);
		sha256_free(sha);
		call->body.sha = NULL;
	}
	if (call->route->finish)
		call->route->finish(call);
	if (!call->reply.status && call->route->work && s->cfg->workers == 0)
		call->route->work(call);
	if (call->reply.status) {
		begin_reply(s, c);
	} else if (call->route->work && s->cfg->workers > 0) {
		enter(s, c, CONN_WORK);
		work_submit(s, c);
	} else {
		fail(s, c, 500, "no answer");
	}
}

/* Bytes of the body out of p. 1: it is over; 0: more; -1: the call has failed. *ret_used of them. */
static int feed_body(struct server *s, struct conn *c, const char *p, size_t n, size_t *ret_used)
{
	*ret_used = 0;
	for (;;) {
		size_t used, got;
		const char *data;
		int r = http_body_take(&c->body, p + *ret_used, n - *ret_used, &used, &data, &got),
		    status;

		if (r < 0) {
			cut(c);
			c->call.reply.close = true;
			fail(s, c, 400, "the body's chunks are malformed");
			return -1;
		}
		*ret_used += used;
		status = got ? sink_write(&c->call.body, data, got) : 0;
		if (status) {
			cut(c);
			c->call.reply.close = true;
			fail(s, c, status,
				status == 413	? "the body is too large"
				: status == 507 ? "the disk is full"
						: "the body cannot be written");
			return -1;
		}
		if (c->call.body.fd < 0)
			c->drained += (int64_t)got;
		if (r == 1 || *ret_used == n)
			return r;
	}
}

static bool do_body(struct server *s, struct conn *c)
{
	int64_t budget = TURN_BYTES;
	size_t used;
	int r = feed_body(s, c, c->in, c->in_n, &used);

	if (r >= 0)
		set_in(c, c->in + used, c->in_n - used);
	while (r == 0 && budget > 0) {
		ssize_t n = conn_recv(c, s->scratch, SCRATCH_SIZE);

		if (n == -EAGAIN)
			return false;
		if (n <= 0) {
			cut(c);
			return die(c);
		}
		moved(s, c, n);
		budget -= n;
		r = feed_body(s, c, s->scratch, (size_t)n, &used);
		if (r > 0)
			set_in(c, s->scratch + used, (size_t)n - used);
		if (r == 0 && c->drained > SERVER_DRAIN_MAX) {
			c->call.reply.close = true;
			fail(s, c, 413, "nobody wants such a body");
			r = -1;
		}
	}
	if (r == 1)
		end_body(s, c);
	if (r != 0)
		return true;
	server_again(s, c);
	return false;
}

/* As do_body, when the answer stands already. */
static bool do_drain(struct server *s, struct conn *c)
{
	const char *p = c->in;
	size_t n = c->in_n;

	for (;;) {
		size_t at = 0, used, got;
		const char *data;
		int r = 0;
		ssize_t more;

		while (r == 0 && at < n) {
			r = http_body_take(&c->body, p + at, n - at, &used, &data, &got);
			at += r < 0 ? 0 : used;
			c->drained += r < 0 ? 0 : (int64_t)got;
		}
		if (r < 0 || c->drained > SERVER_DRAIN_MAX)
			c->call.reply.close = true;
		if (r != 0 || c->call.reply.close) {
			set_in(c, p + at, n - at);
			begin_reply(s, c);
			return true;
		}
		c->in_n = 0;
		more = conn_recv(c, s->scratch, SCRATCH_SIZE);
		if (more == -EAGAIN)
			return false;
		if (more <= 0)
			return die(c);
		moved(s, c, more);
		p = s->scratch;
		n = (size_t)more;
	}
}

static ssize_t send_file(struct server *s, struct conn *c)
{
	int64_t left = (c->growing ? c->file_ready : c->file_end) - c->file_at;
	off_t off = c->file_at;
	ssize_t r;

	if (!c->tls)
		return RET_NERRNO(
			sendfile(c->src.fd, c->call.reply.fd, &off, (size_t)MIN(left, TURN_BYTES)));
	r = RET_NERRNO(pread(c->call.reply.fd, s->scratch, (size_t)MIN(left, SCRATCH_SIZE), off));
	return r <= 0 ? r : conn_send(c, s->scratch, (size_t)r, false);
}

static void end_reply(struct server *s, struct conn *c)
{
	bool closes = c->call.reply.close;

	conn_log(s, c);
	call_done(&c->call);
	g_clear_pointer(&c->head, g_free);
	if (closes) {
		/* closed at once, a socket with unread bytes is reset, and the client may lose the answer */
		if (c->tls)
			tls_shutdown(c->tls);
		(void)shutdown(c->src.fd, SHUT_WR);
		c->drained = 0;
		enter(s, c, CONN_LINGER);
		c->deadline = s->now + MIN(s->cfg->timeout, INT64_C(2000000000));
		return;
	}
	c->began = s->now;
	enter(s, c, CONN_HEAD);
	/* the longest idle stands first */
	g_queue_unlink(&s->conns, &c->link);
	g_queue_push_tail_link(&s->conns, &c->link);
}

static bool do_reply(struct server *s, struct conn *c)
{
	int64_t budget = TURN_BYTES;

	while (budget > 0) {
		bool head = c->out_at < c->out->len;
		ssize_t n;

		if (!head && c->growing && c->file_at == c->file_ready)
			return false;
		if (!head && c->file_at == c->file_end) {
			end_reply(s, c);
			return true;
		}
		n = head ? conn_send(c, c->out->str + c->out_at, c->out->len - c->out_at,
				   c->file_at < c->file_end)
			 : send_file(s, c);
		if (n == -EAGAIN)
			return false;
		/* 0: the file is shorter than it was; the client sees that bytes are missing */
		if (n <= 0)
			return die(c);
		if (head)
			c->out_at += (size_t)n;
		else
			c->file_at += n;
		c->sent += n;
		budget -= n;
		moved(s, c, n);
	}
	server_again(s, c);
	return false;
}

static bool do_stream(struct server *s, struct conn *c)
{
	while (c->out_at < c->out->len) {
		ssize_t n = conn_send(c, c->out->str + c->out_at, c->out->len - c->out_at, false);

		if (n == -EAGAIN)
			return false;
		if (n <= 0)
			return die(c);
		c->out_at += (size_t)n;
		c->sent += n;
		moved(s, c, n);
	}
	if (!c->last && !http_equal(c->q.method, "HEAD"))
		return false;
	end_reply(s, c);
	return true;
}

static bool do_linger(struct server *s, struct conn *c)
{
	for (;;) {
		ssize_t n = RET_NERRNO(recv(c->src.fd, s->scratch, SCRATCH_SIZE, 0));

		if (n == -EAGAIN)
			return false;
		c->drained += MAX(n, 0);
		if (n <= 0 || c->drained > LINGER_BYTES)
			return die(c);
	}
}

static bool do_wait(struct server *s, struct conn *c)
{
	return false;
}

static bool (*const states[])(struct server *s, struct conn *c) = {
	[CONN_HANDSHAKE] = do_handshake,
	[CONN_HEAD] = do_head,
	[CONN_CHECK] = do_wait,
	[CONN_CATCH_UP] = do_catch_up,
	[CONN_BODY] = do_body,
	[CONN_DRAIN] = do_drain,
	[CONN_WORK] = do_wait,
	[CONN_REPLY] = do_reply,
	[CONN_STREAM] = do_stream,
	[CONN_LINGER] = do_linger,
};

static uint32_t wanted(const struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
	case CONN_BODY:
	case CONN_DRAIN:
	case CONN_HANDSHAKE:
		if (c->tls_write)
			return EPOLLOUT;
		return EPOLLIN;
	case CONN_LINGER:
		return EPOLLIN;
	case CONN_STREAM:
		return c->out_at < c->out->len ? EPOLLOUT : EPOLLRDHUP;
	case CONN_REPLY:
		if (c->growing && c->out_at == c->out->len && c->file_at == c->file_ready)
			return 0;
		return c->tls_read ? EPOLLIN : EPOLLOUT;
	default:
		return 0;
	}
}

void conn_run(struct server *s, struct conn *c)
{
	while (c->state != CONN_DEAD && states[c->state](s, c))
		;
	if (c->state == CONN_DEAD) {
		conn_close(s, c);
		return;
	}
	/* what TLS has decrypted already, the socket doesn't tell of */
	if (!c->in_again && c->tls && wanted(c) == EPOLLIN && c->state != CONN_LINGER &&
		tls_pending(c->tls))
		server_again(s, c);
	if (c->in_again || server_watch(s, &c->src, wanted(c)) >= 0)
		return;
	conn_close(s, c);
}

static void conn_ready(struct server *s, struct source *src, uint32_t events)
{
	struct conn *c = (struct conn *)src;

	if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) &&
		(wanted(c) == 0 || c->state == CONN_STREAM)) {
		/* gone while a worker, or its turn, is waited for */
		conn_close(s, c);
		return;
	}
	/* it has its turn after the others */
	if (c->in_again)
		return;
	conn_run(s, c);
}

void conn_answered(struct server *s, struct conn *c)
{
	if (c->gone) {
		g_queue_unlink(&s->conns, &c->link);
		g_ptr_array_add(s->graves, c);
		return;
	}
	if (c->growing) {
		c->growing = false;
		if (c->call.reply.status != 200)
			c->state = CONN_DEAD;
	} else if (c->state == CONN_CHECK && c->call.user) {
		auth_remember(s, c);
		find_route(s, c);
	} else if (c->state == CONN_CHECK) {
		refuse_user(s, c);
	} else if (c->call.reply.status == 0) {
		fail(s, c, 500, "the worker ended without an answer");
	} else {
		begin_reply(s, c);
	}
	conn_run(s, c);
}

void conn_streams(struct server *s, struct conn *c)
{
	c->growing = true;
	if (c->gone)
		return;
	begin_reply(s, c);
	c->file_ready = c->file_at;
	conn_run(s, c);
}

void conn_streamed(struct server *s, struct conn *c, int64_t size)
{
	if (c->gone || !c->growing)
		return;
	c->file_ready = CLAMP(size, c->file_ready, c->file_end);
	c->deadline = s->now + s->cfg->timeout;
	if (!c->in_again)
		conn_run(s, c);
}

void conn_check_deadline(struct server *s, struct conn *c)
{
	if (c->growing && c->file_at == c->file_ready)
		return;
	if (c->state == CONN_STREAM && c->out_at == c->out->len)
		return;
	if (c->gone || c->state == CONN_WORK || c->state == CONN_CHECK || s->now < c->deadline)
		return;
	if (c->state == CONN_HEAD && c->in_n > 0) {
		call_init(&c->call);
		c->started = false;
		fail(s, c, 408, "the request came too slowly");
		conn_run(s, c);
		return;
	}
	conn_close(s, c);
}

bool conn_evict(struct server *s)
{
	for (GList *l = s->conns.head; l; l = l->next) {
		struct conn *c = l->data;

		if (c->state == CONN_HEAD && c->in_n == 0 && s->now - c->began > EVICT_AFTER) {
			conn_close(s, c);
			return true;
		}
	}
	return false;
}

void conn_new(struct server *s, int fd, char *peer)
{
	struct conn *c = g_new0(struct conn, 1);

	c->src = (struct source){ .fd = fd, .ready = conn_ready };
	c->server = s;
	c->peer = peer;
	c->out = g_string_new(NULL);
	c->call = (struct call){ .body = { .fd = -1 }, .reply = { .fd = -1 } };
	c->link.data = c->wait_link.data = c->again_link.data = c;
	c->began = s->now;
	g_queue_push_tail_link(&s->conns, &c->link);
	enter(s, c, CONN_HEAD);
	if (s->tls) {
		c->tls = tls_conn_new(s->tls, fd);
		c->state = c->tls ? CONN_HANDSHAKE : CONN_DEAD;
	}
	conn_run(s, c);
}

void conn_close(struct server *s, struct conn *c)
{
	if (c->gone)
		return;
	if (c->state == CONN_BODY || c->state == CONN_CATCH_UP)
		cut(c);
	c->gone = true;
	if (c->in_again)
		g_queue_unlink(&s->again, &c->again_link);
	c->in_again = false;
	server_forget(s, &c->src);
	(void)close(c->src.fd);
	c->src.fd = -1;
	if (c->waiting) {
		work_cancel(s, c);
	} else if (c->state == CONN_WORK || c->state == CONN_CHECK || c->growing) {
		/* a worker has it: it is freed with the answer */
		return;
	}
	/* its files at once: the client's next request may want their locks */
	call_done(&c->call);
	g_queue_unlink(&s->conns, &c->link);
	g_ptr_array_add(s->graves, c);
}

void conn_free(struct conn *c)
{
	call_done(&c->call);
	tls_conn_free(c->tls);
	g_free(c->head);
	g_free(c->in);
	g_free(c->peer);
	g_string_free(c->out, TRUE);
	g_free(c);
}
