/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>

#include "wire/http.h"

static int parse(const char *text, struct http_request *q)
{
	size_t scanned = 0;
	ssize_t n = http_head_end(text, strlen(text), &scanned);
	int status = 0;

	if (n == -E2BIG)
		return 431;
	g_assert_cmpint(n, >, 0);
	return http_request_parse(text, (size_t)n, q, &status) < 0 ? status : 0;
}

static struct http_text text(const char *s)
{
	return (struct http_text){ s, strlen(s) };
}

static void test_head(void)
{
	static const char head[] = "\r\nGET /v2/a%20b?n=1&last=x HTTP/1.1\r\nHost: h\r\n"
				   "Accept:  a, b \r\nX:\r\nConnection: Upgrade, foo\r\n"
				   "Upgrade: tcp\r\n\r\nrest";
	struct http_request q;
	size_t scanned = 0;

	/* in every number of pieces */
	for (size_t n = 0; n < sizeof(head) - 5; n++)
		g_assert_cmpint(http_head_end(head, n, &scanned), ==, 0);
	g_assert_cmpint(
		http_head_end(head, sizeof(head) - 1, &scanned), ==, (ssize_t)sizeof(head) - 5);
	g_assert_cmpint(http_head_end("\x16\x03\x01", 3, &scanned), ==, -EBADMSG);
	g_assert_cmpint(parse(head, &q), ==, 0);
	g_assert_true(http_equal(q.method, "GET"));
	g_assert_true(http_equal(q.path, "/v2/a%20b"));
	g_assert_true(http_equal(q.query, "n=1&last=x"));
	g_assert_true(http_equal(*http_find(&q, "aCCept"), "a, b"));
	g_assert_cmpuint(http_find(&q, "x")->n, ==, 0);
	g_assert_null(http_find(&q, "Acc"));
	g_assert_true(q.keep_alive && q.upgrade && !q.chunked && !q.expect_continue);
	g_assert_cmpint(q.length, ==, 0);
	g_assert_true(http_has_token(&q, "connection", "FOO"));
	g_assert_false(http_has_token(&q, "connection", "fo"));
}

static void test_framing(void)
{
	static const struct {
		const char *head;
		int status;
		int64_t length;
		bool keep_alive, expect;
	} rows[] = {
		{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, 0, true, false },
		{ "GET / HTTP/1.0\r\n\r\n", 0, 0, false, false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, 0, true, false },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n", 0, 0, false, false },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
			0, 12, true, true },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
			0, 0, true, false },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", 0, -1, true,
			false },
		{ "PUT http://h:5/x HTTP/1.1\r\nHost: h\r\n\r\n", 0, 0, true, false },
		{ "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0, 0, true, false },
		/* what is refused */
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		  "3\r\n\r\n",
			400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n",
			400 },
		{ "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
			400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\n", 400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
			400 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
		{ "GET / HTTP/11\r\nHost: a\r\n\r\n", 400 },
		{ "GET /\r\nHost: a\r\n\r\n", 400 },
		{ "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET / / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct http_request q;

		g_test_message("row %zu", i);
		g_assert_cmpint(parse(rows[i].head, &q), ==, rows[i].status);
		if (rows[i].status)
			continue;
		g_assert_cmpint(q.length, ==, rows[i].length);
		g_assert_cmpint(q.keep_alive, ==, rows[i].keep_alive);
		g_assert_cmpint(q.expect_continue, ==, rows[i].expect);
	}
}

static void test_limits(void)
{
	g_autoptr(GString) s = g_string_new("GET / HTTP/1.1\r\nHost: h\r\n");
	struct http_request q;

	for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
		g_string_append_printf(s, "X-%d: y\r\n", i);
	g_string_append(s, "\r\n");
	g_assert_cmpint(parse(s->str, &q), ==, 0);
	g_string_insert(s, 16, "A: b\r\n");
	g_assert_cmpint(parse(s->str, &q), ==, 431);

	g_string_assign(s, "GET /");
	for (int i = 0; i < HTTP_TARGET_MAX; i++)
		g_string_append_c(s, 'a');
	g_string_append(s, " HTTP/1.1\r\nHost: h\r\n\r\n");
	g_assert_cmpint(parse(s->str, &q), ==, 414);
	for (int i = 0; i < HTTP_HEAD_MAX; i++)
		g_string_insert_c(s, 5, 'a');
	g_assert_cmpint(parse(s->str, &q), ==, 431);
}

/* The body of a chunked stream in pieces of that size; NULL when it is refused. */
static char *chunked(const char *stream, size_t piece, size_t *ret_used)
{
	struct http_request q = { .chunked = true, .length = -1 };
	GString *body = g_string_new(NULL);
	size_t n = strlen(stream), at = 0;
	struct http_body b;
	int r = 0;

	http_body_init(&b, &q);
	while (r == 0 && at < n) {
		size_t used = 0, got = 0;
		const char *data;

		r = http_body_take(&b, stream + at, MIN(piece, n - at), &used, &data, &got);
		if (r >= 0 && got)
			g_string_append_len(body, data, (gssize)got);
		at += used;
	}
	*ret_used = at;
	return g_string_free(body, r != 1);
}

static void test_chunked(void)
{
	static const char *const bad[] = {
		"x\r\n",
		"\r\n",
		"-1\r\n",
		"5\nhello",
		"5\r\nhello0\r\n\r\n",
		"5\r\nhello\r0\r\n\r\n",
		"5;a\nb\r\nhello\r\n0\r\n\r\n",
		"fffffffffffffffff\r\n",
		"0\r\nX: y\n\r\n\r\n",
		"5 x\rhello",
	};
	static const char good[] =
		"5\r\nhello\r\n01;ext=\"a b\"\r\n \r\nA \r\n0123456789\r\n0\r\nX: y\r\n\r\nNEXT";
	size_t used;

	for (size_t piece = 1; piece < sizeof(good); piece++) {
		g_autofree char *body = chunked(good, piece, &used);

		g_assert_cmpstr(body, ==, "hello 0123456789");
		g_assert_cmpstr(good + used, ==, "NEXT");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		for (size_t piece = 1; piece < 12; piece++) {
			g_autofree char *body = chunked(bad[i], piece, &used);

			g_test_message("row %zu", i);
			g_assert_null(body);
		}
}

static void test_responses(void)
{
	static const struct {
		const char *head, *method;
		int status; /* 0: refused */
		int64_t length;
		bool keep_alive;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", 200, 5, true },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, 0, true },
		{ "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 200, -1, true },
		{ "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "POST", 204, 0, false },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET", 304, 0, true },
		{ "HTTP/1.1 200 OK\r\n\r\n", "GET", 200, HTTP_TO_THE_END, true },
		{ "HTTP/1.0 200 OK\r\n\r\n", "GET", 200, HTTP_TO_THE_END, false },
		{ "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", "POST",
			101, 0, true },
		{ "HTTP/2 200 OK\r\n\r\n", "GET", 0, 0, false },
		{ "HTTP/1.1 20 OK\r\n\r\n", "GET", 0, 0, false },
		{ "HTTP/1.1 2000 OK\r\n\r\n", "GET", 0, 0, false },
		{ "HTTP/1.1 +20 OK\r\n\r\n", "GET", 0, 0, false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "GET", 0, 0, false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "GET", 0,
			0, false },
		{ "GET / HTTP/1.1\r\n\r\n", "GET", 0, 0, false },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct http_request q;
		int status = 0;
		int r = http_response_parse(
			rows[i].head, strlen(rows[i].head), rows[i].method, &q, &status);

		g_test_message("%s", rows[i].head);
		g_assert_cmpint(r, ==, rows[i].status ? 0 : -EBADMSG);
		if (r < 0)
			continue;
		g_assert_cmpint(status, ==, rows[i].status);
		g_assert_cmpint(q.length, ==, rows[i].length);
		g_assert_cmpint(q.keep_alive, ==, rows[i].keep_alive);
	}
}

/* Without a length the body is all that comes. */
static void test_to_the_end(void)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	struct http_request q;
	struct http_body b;
	const char *data;
	size_t used, got;
	int status;

	g_assert_cmpint(http_response_parse(head, strlen(head), "GET", &q, &status), ==, 0);
	http_body_init(&b, &q);
	for (int i = 0; i < 3; i++) {
		g_assert_cmpint(http_body_take(&b, "abc", 3, &used, &data, &got), ==, 0);
		g_assert_cmpuint(used, ==, 3);
		g_assert_cmpuint(got, ==, 3);
	}
}

static void test_values(void)
{
	char buf[16];

	g_assert_cmpint(http_decode(text("a%2Fb+c"), false, buf, sizeof(buf)), ==, 5);
	g_assert_cmpstr(buf, ==, "a/b+c");
	g_assert_cmpint(http_decode(text("a%2"), false, buf, sizeof(buf)), ==, -EINVAL);
	g_assert_cmpint(http_decode(text("%"), false, buf, sizeof(buf)), ==, -EINVAL);
	g_assert_cmpint(http_decode(text("%00"), false, buf, sizeof(buf)), ==, -EINVAL);
	g_assert_cmpint(http_decode(text("%zz"), false, buf, sizeof(buf)), ==, -EINVAL);
	g_assert_cmpint(http_decode(text("0123456789abcdef"), false, buf, 16), ==, -E2BIG);
	g_assert_cmpint(http_decode(text("0123456789abcde"), false, buf, 16), ==, 15);
	g_assert_cmpint(http_query(text("a=1&n=%35+6&b&n=7"), "n", 0, buf, 16), ==, 3);
	g_assert_cmpstr(buf, ==, "5 6");
	g_assert_cmpint(http_query(text("a=1&n=%35+6&b&n=7"), "n", 1, buf, 16), ==, 1);
	g_assert_cmpint(http_query(text("a=1&n=%35+6&b&n=7"), "n", 2, buf, 16), ==, -ENOENT);
	g_assert_cmpint(http_query(text("a=1&n=%35+6&b&n=7"), "b", 0, buf, 16), ==, 0);
	g_assert_cmpint(http_query(text("ab=1"), "a", 0, buf, 16), ==, -ENOENT);
	g_assert_cmpint(http_query((struct http_text){ 0 }, "a", 0, buf, 16), ==, -ENOENT);
	g_assert_true(http_etag_in(text("\"x\", W/\"y\""), "\"y\""));
	g_assert_true(http_etag_in(text("*"), "\"y\""));
	g_assert_false(http_etag_in(text("\"x\""), "\"y\""));
}

static void test_ranges(void)
{
	static const struct {
		const char *value;
		int r;
		int64_t first, n;
	} rows[] = {
		{ "bytes=0-0", 1, 0, 1 },
		{ "bytes=0-", 1, 0, 100 },
		{ "bytes=90-200", 1, 90, 10 },
		{ "bytes=99-99", 1, 99, 1 },
		{ "bytes=-1", 1, 99, 1 },
		{ "bytes=-1000", 1, 0, 100 },
		{ "bytes=100-", -ERANGE, 0, 0 },
		{ "bytes=100-200", -ERANGE, 0, 0 },
		{ "bytes=-0", -ERANGE, 0, 0 },
		{ "bytes=99999999999999999999-", -ERANGE, 0, 0 },
		{ "bytes=5-99999999999999999999", 1, 5, 95 },
		{ "bytes=5-4", 0, 0, 0 },
		{ "bytes=0-1,3-4", 0, 0, 0 },
		{ "items=0-1", 0, 0, 0 },
		{ "bytes=a-b", 0, 0, 0 },
		{ "bytes=", 0, 0, 0 },
		{ "bytes=-", 0, 0, 0 },
	};
	int64_t a = 0, b = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct http_text v = text(rows[i].value);

		g_test_message("row %zu", i);
		g_assert_cmpint(http_range(&v, 100, &a, &b), ==, rows[i].r);
		if (rows[i].r == 1) {
			g_assert_cmpint(a, ==, rows[i].first);
			g_assert_cmpint(b, ==, rows[i].n);
		}
	}
	g_assert_cmpint(http_range(NULL, 100, &a, &b), ==, 0);
	g_assert_cmpint(http_content_range(text("5-9"), &a, &b), ==, 0);
	g_assert_cmpint(a, ==, 5);
	g_assert_cmpint(b, ==, 9);
	g_assert_cmpint(http_content_range(text("bytes 1-2/*"), &a, &b), ==, 0);
	g_assert_cmpint(http_content_range(text("bytes 1-2"), &a, &b), ==, -EINVAL);
	g_assert_cmpint(http_content_range(text("9-5"), &a, &b), ==, -EINVAL);
	g_assert_cmpint(http_content_range(text("-5"), &a, &b), ==, -EINVAL);
	g_assert_cmpint(http_content_range(text("5-"), &a, &b), ==, -EINVAL);
	g_assert_cmpint(http_content_range(text("5"), &a, &b), ==, -EINVAL);
}

static void test_date(void)
{
	char buf[HTTP_DATE_SIZE];

	http_date(784111777, buf);
	g_assert_cmpstr(buf, ==, "Sun, 06 Nov 1994 08:49:37 GMT");
	g_assert_cmpstr(http_reason(404), ==, "Not Found");
	g_assert_cmpstr(http_reason(299), ==, "Unknown");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/http/head", test_head);
	g_test_add_func("/http/framing", test_framing);
	g_test_add_func("/http/limits", test_limits);
	g_test_add_func("/http/chunked", test_chunked);
	g_test_add_func("/http/responses", test_responses);
	g_test_add_func("/http/to-the-end", test_to_the_end);
	g_test_add_func("/http/values", test_values);
	g_test_add_func("/http/ranges", test_ranges);
	g_test_add_func("/http/date", test_date);
	return g_test_run();
}
