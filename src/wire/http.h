/* SPDX-License-Identifier: MIT */
#ifndef LODGE_WIRE_HTTP_H
#define LODGE_WIRE_HTTP_H

/*
 * HTTP/1.1 as a server reads it (RFC 9112, RFC 9110): the head of a request out of a buffer, its body in
 * pieces, and the values of the headers that servers act on; and the head of an answer. Pure; C library only; nothing is allocated and
 * nothing is copied: texts point into the caller's buffer and aren't terminated.
 *
 * A connection is a loop of: http_head_end() until the head is whole, http_request_parse(), http_body_take()
 * until the body is over; what follows in the buffer is the next request. A request that upgrades or connects
 * has no body: what follows its head belongs to whoever takes the connection over.
 *
 * What can be read in two ways is refused, since a proxy before us may read it the other way: a length and
 * "chunked" together, two lengths, blanks before a colon, folded lines, lines that end without CR.
 */

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include "base/macros.h"

#define HTTP_HEAD_MAX	 (32 * 1024) /* bytes of request line and headers */
#define HTTP_TARGET_MAX	 8192
#define HTTP_HEADERS_MAX 100
#define HTTP_LINE_MAX	 4096 /* a chunk's line with its extensions, all trailers together */
#define HTTP_DATE_SIZE	 32

struct http_text {
	const char *p;
	size_t n;
};

struct http_header {
	struct http_text name, value; /* the value without blanks around it */
};

struct http_request {
	struct http_text method, target;
	struct http_text path;	/* "/..." or "*"; still encoded */
	struct http_text query; /* behind '?', still encoded; p NULL: none */
	int minor;		/* of HTTP/1.x */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t n_headers;
	bool keep_alive;      /* the client takes another answer on this connection */
	bool expect_continue; /* it waits for 100 before it sends the body */
	bool upgrade;	      /* Connection has "upgrade": Upgrade says to what */
	bool chunked;
	int64_t length; /* of the body; 0 without one; -1 when chunked; HTTP_TO_THE_END */
};

/* The size of the head at p, with the empty line that ends it; 0: bytes are missing; -E2BIG: it is over
 * HTTP_HEAD_MAX; -EBADMSG: this is no HTTP at all, but TLS, say. *scanned is 0 at first and kept between calls, so that each byte is looked at once. */
ssize_t http_head_end(const char *p, size_t n, size_t *scanned);

/* p[0..n) is a whole head. 0, or -EBADMSG with the status to refuse it with: 400, 414, 431, 501, 505. */
int http_request_parse(const char *p, size_t n, struct http_request *ret, int *ret_status);

/* The head of an answer, as a client reads it (RFC 9112, 4 and 6.3): what a request has of it, in *ret, with
 * length HTTP_TO_THE_END where the body ends with the connection. method is that of the request, since an answer
 * to HEAD has no body. 0 or -EBADMSG. */
#define HTTP_TO_THE_END (-2)
int http_response_parse(const char *p, size_t n, const char *method, struct http_request *ret, int *ret_status);

/* --- the body --------------------------------------------------------------------------------------- */

struct http_body {
	int state;
	uint64_t left; /* of the body, or of this chunk */
	size_t line;   /* bytes of the line or the trailers so far */
	int digits;
};

void http_body_init(struct http_body *b, const struct http_request *q);
/* Takes bytes of the stream at p. *ret_used of them were taken (the rest is to be given again with more, or
 * is the next request); *ret_n bytes of the body at *ret_data. 1: the body is over; 0: more is to come;
 * -EBADMSG: this is no chunked body. Makes progress whenever n > 0 and 0 is returned. */
int http_body_take(struct http_body *b, const char *p, size_t n, size_t *ret_used,
	const char **ret_data, size_t *ret_n);

/* --- headers ------------------------------------------------------------------------------------------ */

/* The value of the first header of that name, or NULL. */
const struct http_text *http_find(const struct http_request *q, const char *name);
/* Whether one of the headers of that name has the token in its list; in any case. */
bool http_has_token(const struct http_request *q, const char *name, const char *token);
/* In any case. */
bool http_is(struct http_text t, const char *s);
/* To the byte, as methods are compared. */
bool http_equal(struct http_text t, const char *s);

/* %XX becomes bytes, '+' a blank where plus says so. The length of what is in buf, terminated; -EINVAL: a wrong
 * escape, or a NUL; -E2BIG. */
ssize_t http_decode(struct http_text t, bool plus, char *buf, size_t size);
/* The decoded value of the nth (from 0) KEY=VALUE of a query. Its length; -ENOENT: there is none; else as
 * http_decode. */
ssize_t http_query(struct http_text query, const char *key, unsigned nth, char *buf, size_t size);
/* Whole text, decimal. -EINVAL, -ERANGE. */
int http_number(struct http_text t, int64_t *ret);

/* Range: of a thing of that size (RFC 9110, 14.2). 1: answer 206 with ret_n bytes from *ret_first; 0: answer with
 * all (no header, another unit, several ranges, nonsense); -ERANGE: 416. */
int http_range(const struct http_text *value, int64_t size, int64_t *ret_first, int64_t *ret_n);
/* Content-Range of a request: "FIRST-LAST", as registries have it, or "bytes FIRST-LAST/TOTAL". -EINVAL. */
int http_content_range(struct http_text value, int64_t *ret_first, int64_t *ret_last);
/* Whether If-None-Match's list has the tag (with its quotes), or is "*". */
bool http_etag_in(struct http_text list, const char *etag);

/* --- answers ------------------------------------------------------------------------------------------- */

const char *http_reason(int status);
/* "Tue, 24 Nov 2026 17:12:57 GMT" */
void http_date(time_t t, char ret[HTTP_DATE_SIZE]);

#endif
