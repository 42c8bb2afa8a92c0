/* SPDX-License-Identifier: MIT */
/* Calls and streams of the Engine API over connections: see client.h. */

#include "dialect/docker/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "dialect/docker/client-priv.h"
#include "dialect/docker/docker.h"

#define PIECE	   (32 * 1024)
#define ANSWER_MAX (256 << 20) /* of an answer's JSON */
#define ERROR_MAX  (64 * 1024) /* of an error's */

struct stream {
	struct client *cl;
	struct channel *channel;
	struct http_request head; /* points into head_text */
	char *head_text;
	struct http_body body;
	int status;
	bool raw, over;
	char *buf; /* read, and not yet given out */
	size_t at, n;
	GString *json; /* stream_json()'s */
	const char *method;
};

/* --- making one -------------------------------------------------------------------------------------------- */

struct client *client_new(const struct client_config *cfg)
{
	struct client *cl = g_new0(struct client, 1);

	cl->c = cfg->c;
	cl->host = g_strdup(cfg->host);
	cl->tls = cfg->tls;
	cl->tls_verify = cfg->tls_verify;
	cl->tls_ca = g_strdup(cfg->tls_ca);
	cl->tls_cert = g_strdup(cfg->tls_cert);
	cl->tls_key = g_strdup(cfg->tls_key);
	cl->api = g_strdup(cfg->api);
	cl->headers = g_strdupv(cfg->headers);
	cl->control = -1;
	return cl;
}

void client_free(struct client *cl)
{
	if (!cl)
		return;
	channel_free(cl->idle);
	if (cl->control >= 0)
		(void)close(cl->control);
	if (cl->server > 0)
		(void)RET_NERRNO(waitpid(cl->server, NULL, 0));
	g_free(cl->host);
	g_free(cl->tls_ca);
	g_free(cl->tls_cert);
	g_free(cl->tls_key);
	g_free(cl->api);
	g_strfreev(cl->headers);
	g_free(cl);
}

void client_freep(struct client **cl)
{
	client_free(*cl);
}

int client_status(const struct client *cl)
{
	return cl->status;
}

char *client_path(const char *fmt, ...)
{
	GString *path = g_string_new(NULL);
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			g_string_append_c(path, *fmt);
		} else if (g_str_has_prefix(fmt, "%lld")) {
			g_string_append_printf(path, "%lld", va_arg(ap, long long));
			fmt += 3;
		} else if (*++fmt == 'd') {
			g_string_append_printf(path, "%d", va_arg(ap, int));
		} else {
			/* a reference keeps its slashes: routes know them */
			g_string_append_uri_escaped(path, va_arg(ap, const char *), "/:@", FALSE);
		}
	}
	va_end(ap);
	return g_string_free(path, FALSE);
}

/* --- one request ------------------------------------------------------------------------------------------- */

static int send_head(struct client *cl, struct channel *channel, const struct stream_request *q,
	const char *body, size_t body_n)
{
	g_autoptr(GString) head = g_string_new(NULL);
	bool versioned = cl->api && !g_str_equal(q->path, "/_ping");

	g_string_printf(head,
		"%s %s%s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Docker-Client/%s (linux)\r\n",
		q->method, versioned ? "/v" : "", versioned ? cl->api : "", q->path,
		channel_host(cl), DOCKER_VERSION);
	for (char **h = cl->headers; h && *h; h++)
		g_string_append_printf(head, "%s\r\n", *h);
	if (q->registry_auth)
		g_string_append_printf(head, "X-Registry-Auth: %s\r\n", q->registry_auth);
	if (q->hijack)
		g_string_append(head, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	if (q->body_type && q->body_fd >= 0)
		g_string_append_printf(
			head, "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n", q->body_type);
	else if (body)
		g_string_append_printf(
			head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body_n);
	else if (strcmp(q->method, "GET") != 0 && strcmp(q->method, "HEAD") != 0)
		g_string_append(head, "Content-Length: 0\r\n");
	g_string_append(head, "\r\n");
	if (body)
		g_string_append_len(head, body, (gssize)body_n);
	return channel_write(channel, head->str, head->len);
}

static int send_body(struct channel *channel, int fd)
{
	g_autofree char *buf = g_malloc(PIECE);
	ssize_t n;

	while ((n = RET_NERRNO(read(fd, buf, PIECE))) != 0) {
		char size[24];
		int r;

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		r = snprintf(size, sizeof(size), "%zx\r\n", (size_t)n);
		r = channel_write(channel, size, (size_t)r);
		if (r >= 0)
			r = channel_write(channel, buf, (size_t)n);
		if (r >= 0)
			r = channel_write(channel, "\r\n", 2);
		if (r < 0)
			return r;
	}
	return channel_write(channel, "0\r\n\r\n", 5);
}

/* 0; -ECONNRESET before anything came; -EBADMSG. */
static int read_head(struct stream *s)
{
	size_t scanned = 0;

	s->buf = g_malloc(HTTP_HEAD_MAX + PIECE);
	for (;;) {
		ssize_t n = http_head_end(s->buf, s->n, &scanned), r;

		if (n < 0)
			return -EBADMSG;
		if (n > 0) {
			g_free(s->head_text);
			s->head_text = g_memdup2(s->buf, (gsize)n);
			r = http_response_parse(
				s->head_text, (size_t)n, s->method, &s->head, &s->status);
			if (r < 0)
				return (int)r;
			s->n -= (size_t)n;
			memmove(s->buf, s->buf + n, s->n);
			scanned = 0;
			/* 100 is an answer before the answer */
			if (s->status >= 200 || s->status == 101)
				return 0;
			continue;
		}
		r = channel_read(s->channel, s->buf + s->n, HTTP_HEAD_MAX + PIECE - s->n);
		if (r <= 0)
			return r < 0 ? (int)r : -ECONNRESET;
		s->n += (size_t)r;
	}
}

static bool is_success(const struct stream *s)
{
	return s->status < 300 || s->status == 304;
}

/* The server's message, in e; the code that goes with the status. */
static int refused(struct stream *s, struct err *e)
{
	static const struct {
		int status, code;
	} rows[] = { { 400, -E_INVALID }, { 404, -E_NOTFOUND }, { 409, -E_EXISTS },
		{ 401, -EACCES }, { 403, -EACCES }, { 501, -E_UNSUPPORTED } };
	g_autoptr(GString) text = g_string_new(NULL);
	json_t *j = NULL;
	const char *message = NULL;
	char buf[1024];
	ssize_t n;
	int code = -EIO;

	while (text->len < ERROR_MAX && (n = stream_read(s, buf, sizeof(buf))) > 0)
		g_string_append_len(text, buf, n);
	j = json_loadb(text->str, text->len, 0, NULL);
	message = json_string_value(json_object_get(j, "message"));
	if (!message)
		message = g_strchomp(text->str);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].status == s->status)
			code = rows[i].code;
	if (*message)
		err_set(e, code, "Error response from daemon: %s", message);
	else
		err_set(e, code,
			"request returned %d %s for API route and version %s, check if the server "
			"supports the requested API version",
			s->status, http_reason(s->status), s->cl->api ?: "");
	json_decref(j);
	return code;
}

static int try_stream(struct client *cl, const struct stream_request *q, const char *body,
	size_t body_n, struct stream **ret, bool *ret_again, struct err *e)
{
	struct stream *s = g_new0(struct stream, 1);
	bool reused = cl->idle && !q->hijack && !q->body_type;
	int r = 0;

	*ret_again = false;
	s->cl = cl;
	s->method = q->method;
	if (reused)
		s->channel = g_steal_pointer(&cl->idle);
	else
		r = channel_open(cl, &s->channel, e);
	if (r < 0) {
		stream_free(s);
		return r;
	}
	r = send_head(cl, s->channel, q, body, body_n);
	/* a server may refuse before it has read all */
	if (r >= 0 && q->body_type && q->body_fd >= 0)
		(void)send_body(s->channel, q->body_fd);
	r = read_head(s);
	if (r < 0) {
		/* the server may have closed an idle one in this moment */
		*ret_again = reused && s->n == 0;
		stream_free(s);
		return err_set(e, r, "error during connect: %s \"%s\": %s", q->method, q->path,
			r == -EBADMSG ? "malformed HTTP response" : err_words(r));
	}
	cl->status = s->status;
	http_body_init(&s->body, &s->head);
	if (!is_success(s)) {
		r = refused(s, e);
		stream_free(s);
		return r;
	}
	s->raw = q->hijack;
	*ret = s;
	return 0;
}

int client_stream(
	struct client *cl, const struct stream_request *q, struct stream **ret, struct err *e)
{
	g_autofree char *body = q->body ? json_dumps(q->body, JSON_COMPACT) : NULL;
	bool again;
	int r;

	if (!cl->api && !g_str_equal(q->path, "/_ping") && !client_api(cl, e))
		return -ECONNREFUSED;
	r = try_stream(cl, q, body, body ? strlen(body) : 0, ret, &again, e);
	if (r < 0 && again)
		r = try_stream(cl, q, body, body ? strlen(body) : 0, ret, &again, e);
	return r;
}

/* --- reading ------------------------------------------------------------------------------------------------ */

static ssize_t fill(struct stream *s)
{
	ssize_t n;

	if (s->at < s->n)
		return 1;
	s->at = s->n = 0;
	n = channel_read(s->channel, s->buf, PIECE);
	s->n = n > 0 ? (size_t)n : 0;
	return n;
}

ssize_t stream_read(struct stream *s, void *p, size_t n)
{
	while (!s->over) {
		size_t used, got = 0, have;
		const char *data = NULL;
		int done = 0;
		ssize_t r;

		if (!s->raw) {
			have = MIN(s->n - s->at, n);
			done = http_body_take(&s->body, s->buf + s->at, have, &used, &data, &got);
			if (done < 0)
				return done;
			s->at += used;
		} else if (s->at < s->n) {
			got = MIN(s->n - s->at, n);
			data = s->buf + s->at;
			s->at += got;
		}
		s->over = done == 1;
		if (got) {
			memcpy(p, data, got);
			return (ssize_t)got;
		}
		if (s->over)
			return 0;
		r = fill(s);
		if (r == 0 && (s->raw || s->head.length == HTTP_TO_THE_END))
			s->over = true;
		else if (r <= 0)
			return r < 0 ? r : -ECONNRESET;
	}
	return 0;
}

int stream_write(struct stream *s, const void *p, size_t n)
{
	return channel_write(s->channel, p, n);
}

ssize_t stream_write_some(struct stream *s, const void *p, size_t n)
{
	return channel_write_some(s->channel, p, n);
}

void stream_shut(struct stream *s)
{
	channel_shut(s->channel);
}

int stream_fd(const struct stream *s)
{
	return s->channel->fd;
}

bool stream_pending(const struct stream *s)
{
	return s->at < s->n || channel_pending(s->channel);
}

char *stream_header(const struct stream *s, const char *name)
{
	const struct http_text *t = http_find(&s->head, name);

	return t ? g_strndup(t->p, t->n) : NULL;
}

int stream_json(struct stream *s, json_t **ret, struct err *e)
{
	char buf[4096];
	json_error_t error;
	ssize_t n;

	if (!s->json)
		s->json = g_string_new(NULL);
	for (;;) {
		json_t *j;

		while (s->json->len && g_ascii_isspace(s->json->str[0]))
			g_string_erase(s->json, 0, 1);
		j = json_loadb(s->json->str, s->json->len, JSON_DISABLE_EOF_CHECK, &error);
		if (j) {
			g_string_erase(s->json, 0, error.position);
			*ret = j;
			return 1;
		}
		if (s->json->len > ANSWER_MAX)
			return err_set(e, -EBADMSG, "the server's answer is too long");
		n = stream_read(s, buf, sizeof(buf));
		if (n < 0)
			return err_set(e, (int)n, "the server's answer was cut");
		if (n == 0 && s->json->len)
			return err_set(
				e, -EBADMSG, "the server's answer is no JSON: %s", error.text);
		if (n == 0)
			return 0;
		g_string_append_len(s->json, buf, n);
	}
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	if (s->channel && s->over && !s->raw && s->head.keep_alive && s->at == s->n &&
		s->head.length != HTTP_TO_THE_END && !s->cl->idle)
		s->cl->idle = g_steal_pointer(&s->channel);
	channel_free(s->channel);
	if (s->json)
		g_string_free(s->json, TRUE);
	g_free(s->head_text);
	g_free(s->buf);
	g_free(s);
}

void stream_freep(struct stream **s)
{
	stream_free(*s);
}

/* --- calls ------------------------------------------------------------------------------------------------- */

/* The rest of an answer; what: for the error. */
static int read_text(struct stream *s, const char *what, GString *text, struct err *e)
{
	g_autofree char *buf = g_malloc(PIECE);
	ssize_t n;

	while ((n = stream_read(s, buf, PIECE)) > 0) {
		if (text->len + (size_t)n > ANSWER_MAX)
			return err_set(e, -EBADMSG, "the server's answer to %s is too long", what);
		g_string_append_len(text, buf, n);
	}
	return n < 0 ? err_set(e, (int)n, "the server's answer to %s was cut", what) : 0;
}

int client_text(struct client *cl, const char *method, const char *path, const json_t *body,
	char **ret, struct err *e)
{
	struct stream_request q = { .method = method, .path = path, .body = body, .body_fd = -1 };
	_cleanup_(stream_freep) struct stream *s = NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	int r = client_stream(cl, &q, &s, e);

	if (r >= 0)
		r = read_text(s, path, text, e);
	if (r < 0)
		return r;
	*ret = g_string_free(g_steal_pointer(&text), FALSE);
	return s->status;
}

int stream_answer(struct stream *s, json_t **ret, struct err *e)
{
	g_autoptr(GString) text = g_string_new(NULL);
	json_error_t error;
	int r = read_text(s, s->method, text, e);

	if (ret)
		*ret = NULL;
	if (r < 0 || !ret || text->len == 0)
		return r;
	*ret = json_loadb(text->str, text->len, JSON_DECODE_ANY, &error);
	if (!*ret)
		return err_set(e, -EBADMSG, "the server's answer is no JSON: %s", error.text);
	return 0;
}

int client_call(struct client *cl, const char *method, const char *path, const json_t *body,
	json_t **ret, struct err *e)
{
	struct stream_request q = { .method = method, .path = path, .body = body, .body_fd = -1 };
	_cleanup_(stream_freep) struct stream *s = NULL;
	int r;

	if (ret)
		*ret = NULL;
	r = client_stream(cl, &q, &s, e);
	if (r >= 0)
		r = stream_answer(s, ret, e);
	return r < 0 ? r : s->status;
}

const char *client_api(struct client *cl, struct err *e)
{
	struct stream_request q = { .method = "GET", .path = "/_ping", .body_fd = -1 };
	_cleanup_(stream_freep) struct stream *s = NULL;
	g_autofree char *theirs = NULL;
	char buf[16];

	if (cl->api)
		return cl->api;
	/* a server of our own speaks what we do */
	if (!cl->host) {
		cl->api = g_strdup(DOCKER_API_MAX);
		return cl->api;
	}
	if (client_stream(cl, &q, &s, e) < 0)
		return NULL;
	theirs = stream_header(s, "API-Version");
	while (stream_read(s, buf, sizeof(buf)) > 0)
		;
	cl->api =
		g_strdup(theirs && docker_api_minor(theirs) > 0 &&
					 docker_api_minor(theirs) < docker_api_minor(DOCKER_API_MAX)
				 ? theirs
				 : DOCKER_API_MAX);
	return cl->api;
}
