/* SPDX-License-Identifier: MIT */
/* A connection's bytes in pieces of any size, and every value of the headers. */
#include <string.h>

#include "wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct http_request *q)
{
	char buf[128], etag[] = "\"a\"";
	int64_t a, b;

	for (unsigned i = 0; i < 3; i++)
		(void)http_query(q->query, "n", i, buf, sizeof(buf));
	(void)http_decode(q->path, false, buf, sizeof(buf));
	for (size_t i = 0; i < q->n_headers; i++) {
		struct http_text v = q->headers[i].value;

		if (http_range(&v, 1000, &a, &b) == 1 && (a < 0 || b < 1 || a + b > 1000))
			abort();
		if (http_content_range(v, &a, &b) == 0 && (a < 0 || b < a))
			abort();
		(void)http_etag_in(v, etag);
		if (memchr(v.p, '\n', v.n) || memchr(v.p, '\0', v.n))
			abort();
	}
	if (q->chunked && q->length != -1)
		abort();
}

/* The size of head and body, or 0 when they aren't whole or not good. */
static size_t one_request(const char *p, size_t n, size_t piece)
{
	struct http_request q;
	struct http_body b;
	size_t scanned = 0, at;
	uint64_t total = 0;
	ssize_t head = 0;
	int status = 0, r = 0;

	for (size_t have = piece; head == 0; have += piece) {
		head = http_head_end(p, have < n ? have : n, &scanned);
		if (have >= n)
			break;
	}
	if (head <= 0)
		return 0;
	if (http_request_parse(p, (size_t)head, &q, &status) < 0) {
		if (status < 400)
			abort();
		return 0;
	}
	look(&q);
	http_body_init(&b, &q);
	for (at = (size_t)head; r == 0;) {
		size_t give = n - at < piece ? n - at : piece, used, got;
		const char *body;

		r = http_body_take(&b, p + at, give, &used, &body, &got);
		if (r < 0 || (r == 0 && give == 0))
			return 0;
		if (used > give || got > used || (r == 0 && used == 0))
			abort();
		total += got;
		at += used;
	}
	if (!q.chunked && total != (uint64_t)q.length)
		abort();
	return at;
}

static void one_response(const char *p, size_t n)
{
	struct http_request q;
	size_t scanned = 0;
	ssize_t head = http_head_end(p, n, &scanned);
	int status = 0;

	if (head <= 0 || http_response_parse(p, (size_t)head, "GET", &q, &status) < 0)
		return;
	if (status < 100 || status > 999 || q.length < HTTP_TO_THE_END)
		abort();
	look(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size ? data[0] % 61 + 1 : 1, used;

	if (size)
		size--, data++;
	one_response((const char *)data, size);
	while (size && (used = one_request((const char *)data, size, piece)) > 0) {
		data += used;
		size -= used;
	}
	return 0;
}
