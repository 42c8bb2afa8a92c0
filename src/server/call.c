/* SPDX-License-Identifier: MIT */
/* Answers, and which route a request has: pure. */

#include <string.h>
#include <unistd.h>
#include "codec/sha256.h"
#include "server/server-priv.h"

#define SEGMENTS_MAX 64 /* of a path */

void reply_init(struct reply *r)
{
	*r = (struct reply){
		.fd = -1,
		.headers = g_string_new(NULL),
		.body = g_string_new(NULL),
	};
}

void reply_done(struct reply *r)
{
	if (r->headers)
		g_string_free(r->headers, TRUE);
	if (r->body)
		g_string_free(r->body, TRUE);
	if (r->fd >= 0)
		(void)close(r->fd);
	*r = (struct reply){ .fd = -1 };
}

void reply_clear(struct reply *r)
{
	reply_done(r);
	reply_init(r);
}

void reply_header(struct reply *r, const char *name, const char *fmt, ...)
{
	g_autofree char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	g_strdelimit(value, "\r\n", '?');
	g_string_append_printf(r->headers, "%s: %s\r\n", name, value);
}

void reply_none(struct reply *r, int status)
{
	r->status = status;
	g_string_truncate(r->body, 0);
}

void reply_text(struct reply *r, int status, const char *type, const char *body)
{
	r->status = status;
	reply_header(r, "Content-Type", "%s", type);
	g_string_assign(r->body, body);
}

void reply_file(struct reply *r, int status, int fd, int64_t off, int64_t len)
{
	r->status = status;
	r->fd = fd;
	r->off = off;
	r->len = len;
}

void call_init(struct call *c)
{
	*c = (struct call){ .body = { .fd = -1 } };
	reply_init(&c->reply);
}

void call_done(struct call *c)
{
	if (c->state && c->route && c->route->end)
		c->route->end(c);
	for (size_t i = 0; i < SERVER_ARGS_MAX; i++)
		g_free(c->args[i]);
	g_free(c->user);
	if (c->body.fd >= 0)
		(void)close(c->body.fd);
	sha256_free(c->body.sha);
	reply_done(&c->reply);
	*c = (struct call){ .body = { .fd = -1 }, .reply = { .fd = -1 } };
}

char *call_query(const struct call *c, const char *key)
{
	char buf[HTTP_TARGET_MAX];

	if (!c->q->query.p || http_query(c->q->query, key, 0, buf, sizeof(buf)) < 0)
		return NULL;
	return g_strdup(buf);
}

/* --- routes ----------------------------------------------------------------------------------------------- */

/* The parts between slashes, the first slash aside. -E2BIG. */
static int split(struct http_text path, struct http_text *ret)
{
	int n = 0;

	if (path.n == 0 || *path.p != '/')
		return -EINVAL;
	while (path.n > 0) {
		const char *slash = memchr(path.p + 1, '/', path.n - 1);

		if (n == SEGMENTS_MAX)
			return -E2BIG;
		ret[n] = (struct http_text){ path.p + 1,
			(slash ? (size_t)(slash - path.p) : path.n) - 1 };
		path.n -= ret[n].n + 1;
		path.p += ret[n].n + 1;
		n++;
	}
	return n;
}

/* The argument that segments a to b are. */
static char *argument(const struct http_text *a, const struct http_text *b)
{
	struct http_text t = { a->p, (size_t)(b->p + b->n - a->p) };
	g_autofree char *buf = g_malloc(t.n + 1);

	if (http_decode(t, false, buf, t.n + 1) < 0)
		return NULL;
	return g_steal_pointer(&buf);
}

/* 1: it matches, and args are set (or NULL where they can't be decoded); 0: it doesn't. */
static int match(const char *pattern, const struct http_text *path, int n, char **args)
{
	struct http_text want[SEGMENTS_MAX];
	int wanted = split((struct http_text){ pattern, strlen(pattern) }, want), i, at = 0;
	int arg = 0;

	for (i = 0; i < wanted; i++, at++) {
		int last = at;

		if (http_equal(want[i], "{+}"))
			last = n - (wanted - i);
		if (last < at || at >= n)
			return 0;
		if (http_equal(want[i], "{+}") || http_equal(want[i], "{}")) {
			if (arg < SERVER_ARGS_MAX)
				args[arg++] = argument(&path[at], &path[last]);
		} else if (want[i].n != path[at].n ||
			   memcmp(want[i].p, path[at].p, want[i].n) != 0) {
			return 0;
		}
		at = last;
	}
	return at == n;
}

static void clear(char **args)
{
	for (size_t i = 0; i < SERVER_ARGS_MAX; i++)
		g_clear_pointer(&args[i], g_free);
}

static bool has_method(const struct route *r, struct http_text method)
{
	return http_equal(method, r->method) ||
	       (http_equal(method, "HEAD") && g_str_equal(r->method, "GET"));
}

int route_find(const struct server_config *cfg, struct call *c, GString *ret_allow)
{
	struct http_text path[SEGMENTS_MAX], all = c->q->path;
	size_t skip = cfg->prefix ? cfg->prefix(all) : 0;
	int n = split((struct http_text){ all.p + skip, all.n - skip }, path);

	if (n < 0)
		return n == -E2BIG ? 404 : 400;
	for (const struct route *r = cfg->routes; r->method; r++) {
		clear(c->args);
		if (!match(r->path, path, n, c->args))
			continue;
		if (has_method(r, c->q->method)) {
			c->route = r;
			return 0;
		}
		g_string_append_printf(ret_allow, "%s%s%s", ret_allow->len ? ", " : "", r->method,
			g_str_equal(r->method, "GET") ? ", HEAD" : "");
	}
	clear(c->args);
	return ret_allow->len ? 405 : 404;
}
