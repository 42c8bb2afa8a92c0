/* SPDX-License-Identifier: MIT */
#include "wire/http-priv.h"

#include <string.h>
#include <strings.h>

#define EMPTY_LINES_MAX 4 /* before a request line; RFC 9112, 2.2 */

/* --- characters (RFC 9110, 5.6.2) -------------------------------------------------------------------------- */

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

ssize_t http_head_end(const char *p, size_t n, size_t *scanned)
{
	size_t start = 0, at;

	if (n > 0 && *p != '\r' && !is_token_char((unsigned char)*p))
		return -EBADMSG;
	/* empty lines before the request belong to its head, but don't end it */
	while (n - start >= 2 && start < 2 * EMPTY_LINES_MAX && memcmp(p + start, "\r\n", 2) == 0)
		start += 2;
	/* the last three bytes may be the beginning of an end */
	at = *scanned > start + 3 ? *scanned - 3 : start;
	while (at + 4 <= n) {
		const char *cr = memchr(p + at, '\r', n - at - 3);

		if (!cr)
			break;
		at = (size_t)(cr - p);
		if (memcmp(cr, "\r\n\r\n", 4) == 0)
			return at + 4 <= HTTP_HEAD_MAX ? (ssize_t)(at + 4) : -E2BIG;
		at++;
	}
	*scanned = n;
	return n < HTTP_HEAD_MAX ? 0 : -E2BIG;
}

static bool is_token(struct http_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!is_token_char((unsigned char)t.p[i]))
			return false;
	return t.n > 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool http_is(struct http_text t, const char *s)
{
	return strlen(s) == t.n && strncasecmp(t.p, s, t.n) == 0;
}

bool http_equal(struct http_text t, const char *s)
{
	return strlen(s) == t.n && memcmp(t.p, s, t.n) == 0;
}

int http_number(struct http_text t, int64_t *ret)
{
	int64_t v = 0;

	if (t.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < t.n; i++) {
		if (!is_digit(t.p[i]))
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, t.p[i] - '0', &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

/* --- the head ----------------------------------------------------------------------------------------- */

/* The text before the next CR LF; *at moves behind it. */
static struct http_text take_line(const char *p, size_t n, size_t *at)
{
	struct http_text line = { p + *at, 0 };
	const char *cr;

	/* A CR alone is refused by whoever reads the line, since it is no character of anything. */
	for (cr = line.p; cr + 1 < p + n && !(cr[0] == '\r' && cr[1] == '\n'); cr++)
		;
	line.n = (size_t)(cr - line.p);
	*at += line.n + 2;
	return line;
}

static int refuse(int *ret_status, int status)
{
	*ret_status = status;
	return -EBADMSG;
}

static int parse_target(struct http_request *r, int *ret_status)
{
	struct http_text t = r->target;
	const char *q;

	if (t.n > HTTP_TARGET_MAX)
		return refuse(ret_status, 414);
	for (size_t i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] <= ' ' || (unsigned char)t.p[i] >= 0x7f)
			return refuse(ret_status, 400);
	/* the absolute form: what counts is the path (RFC 9112, 3.2.2) */
	for (int i = 0; i < 2; i++) {
		const char *scheme = i ? "https://" : "http://";
		size_t len = strlen(scheme);

		if (t.n > len && strncasecmp(t.p, scheme, len) == 0) {
			const char *slash = memchr(t.p + len, '/', t.n - len);

			if (!slash || slash == t.p + len)
				return refuse(ret_status, 400);
			t.n -= (size_t)(slash - t.p);
			t.p = slash;
			break;
		}
	}
	if (t.n == 0 || (*t.p != '/' && !(t.n == 1 && *t.p == '*')))
		return refuse(ret_status, 400);
	q = memchr(t.p, '?', t.n);
	r->path = (struct http_text){ t.p, q ? (size_t)(q - t.p) : t.n };
	r->query = (struct http_text){ NULL, 0 };
	if (q)
		r->query = (struct http_text){ q + 1, t.n - r->path.n - 1 };
	if (memchr(t.p, '#', t.n))
		return refuse(ret_status, 400);
	return 0;
}

static int parse_request_line(struct http_text line, struct http_request *r, int *ret_status)
{
	const char *end = line.p + line.n, *sp1, *sp2;
	struct http_text version;

	sp1 = memchr(line.p, ' ', line.n);
	sp2 = sp1 ? memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1)) : NULL;
	if (!sp2)
		return refuse(ret_status, 400);
	r->method = (struct http_text){ line.p, (size_t)(sp1 - line.p) };
	r->target = (struct http_text){ sp1 + 1, (size_t)(sp2 - sp1 - 1) };
	version = (struct http_text){ sp2 + 1, (size_t)(end - sp2 - 1) };
	if (!is_token(r->method) || r->method.n > 32 || r->target.n == 0)
		return refuse(ret_status, 400);
	if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 || !is_digit(version.p[5]) ||
		version.p[6] != '.' || !is_digit(version.p[7]))
		return refuse(ret_status, 400);
	if (version.p[5] != '1')
		return refuse(ret_status, 505);
	r->minor = version.p[7] == '0' ? 0 : 1;
	return parse_target(r, ret_status);
}

static int parse_header(struct http_text line, struct http_request *r, int *ret_status)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct http_header *h = &r->headers[r->n_headers];

	if (r->n_headers == HTTP_HEADERS_MAX)
		return refuse(ret_status, 431);
	if (!colon)
		return refuse(ret_status, 400);
	h->name = (struct http_text){ line.p, (size_t)(colon - line.p) };
	h->value = http_trim((struct http_text){ colon + 1, line.n - h->name.n - 1 });
	/* a blank before the colon and a folded line aren't tokens */
	if (!is_token(h->name))
		return refuse(ret_status, 400);
	for (size_t i = 0; i < h->value.n; i++) {
		unsigned char c = (unsigned char)h->value.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return refuse(ret_status, 400);
	}
	r->n_headers++;
	return 0;
}

/* The body's length, or that it is chunked (RFC 9112, 6.3). */
static int frame_body(struct http_request *r, int *ret_status)
{
	const struct http_text *length = NULL, *coding = NULL;

	for (size_t i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];

		if (http_is(h->name, "Content-Length")) {
			if (length && (length->n != h->value.n ||
					      memcmp(length->p, h->value.p, length->n) != 0))
				return refuse(ret_status, 400);
			length = &h->value;
		} else if (http_is(h->name, "Transfer-Encoding")) {
			if (coding)
				return refuse(ret_status, 400);
			coding = &h->value;
		}
	}
	if (coding && (length || r->minor == 0))
		return refuse(ret_status, 400);
	if (coding && !http_is(*coding, "chunked"))
		return refuse(ret_status, 501);
	r->chunked = coding != NULL;
	r->length = coding ? -1 : 0;
	if (length && http_number(*length, &r->length) < 0)
		return refuse(ret_status, 400);
	return 0;
}

static int check_host(const struct http_request *r, int *ret_status)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		n += http_is(r->headers[i].name, "Host");
	if (n > 1 || (n == 0 && r->minor > 0))
		return refuse(ret_status, 400);
	return 0;
}

int http_request_parse(const char *p, size_t n, struct http_request *ret, int *ret_status)
{
	size_t at = 0;
	int code;

	memset(ret, 0, offsetof(struct http_request, headers));
	ret->n_headers = 0;
	while (n - at >= 2 && memcmp(p + at, "\r\n", 2) == 0)
		at += 2;
	if (at >= n)
		return refuse(ret_status, 400);
	code = parse_request_line(take_line(p, n, &at), ret, ret_status);
	while (code == 0 && at + 2 <= n) {
		struct http_text line = take_line(p, n, &at);

		if (line.n == 0)
			break;
		code = parse_header(line, ret, ret_status);
	}
	if (code == 0)
		code = frame_body(ret, ret_status);
	if (code == 0)
		code = check_host(ret, ret_status);
	if (code < 0)
		return code;
	ret->keep_alive = ret->minor > 0 ? !http_has_token(ret, "Connection", "close")
					 : http_has_token(ret, "Connection", "keep-alive");
	ret->upgrade = ret->minor > 0 && http_has_token(ret, "Connection", "upgrade") &&
		       http_find(ret, "Upgrade");
	ret->expect_continue =
		ret->minor > 0 && ret->length != 0 && http_has_token(ret, "Expect", "100-continue");
	return 0;
}

/* "HTTP/1.1 200 OK" */
static int parse_status_line(struct http_text line, struct http_request *r, int *ret_status)
{
	int64_t status;

	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || !is_digit(line.p[7]) ||
		line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
		return -EBADMSG;
	if (http_number((struct http_text){ line.p + 9, 3 }, &status) < 0 || status < 100)
		return -EBADMSG;
	r->minor = line.p[7] == '0' ? 0 : 1;
	*ret_status = (int)status;
	return 0;
}

int http_response_parse(
	const char *p, size_t n, const char *method, struct http_request *ret, int *ret_status)
{
	size_t at = 0;
	int code, refused;

	memset(ret, 0, offsetof(struct http_request, headers));
	ret->n_headers = 0;
	code = parse_status_line(take_line(p, n, &at), ret, ret_status);
	while (code == 0 && at + 2 <= n) {
		struct http_text line = take_line(p, n, &at);

		if (line.n == 0)
			break;
		code = parse_header(line, ret, &refused);
	}
	if (code == 0)
		code = frame_body(ret, &refused);
	if (code < 0)
		return code;
	ret->keep_alive = ret->minor > 0 ? !http_has_token(ret, "Connection", "close")
					 : http_has_token(ret, "Connection", "keep-alive");
	ret->upgrade = *ret_status == 101;
	if (*ret_status < 200 || *ret_status == 204 || *ret_status == 304 ||
		strcmp(method, "HEAD") == 0) {
		ret->chunked = false;
		ret->length = 0;
	} else if (!ret->chunked && !http_find(ret, "Content-Length")) {
		ret->length = HTTP_TO_THE_END;
	}
	return 0;
}

const struct http_text *http_find(const struct http_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (http_is(q->headers[i].name, name))
			return &q->headers[i].value;
	return NULL;
}

/* The next member of a list with commas: *list moves behind it. */
static bool next_member(struct http_text *list, struct http_text *ret)
{
	const char *comma;

	if (list->n == 0)
		return false;
	comma = memchr(list->p, ',', list->n);
	*ret = http_trim(
		(struct http_text){ list->p, comma ? (size_t)(comma - list->p) : list->n });
	if (!comma) {
		list->n = 0;
	} else {
		list->n -= (size_t)(comma + 1 - list->p);
		list->p = comma + 1;
	}
	return true;
}

bool http_has_token(const struct http_request *q, const char *name, const char *token)
{
	for (size_t i = 0; i < q->n_headers; i++) {
		struct http_text list = q->headers[i].value, one;

		if (!http_is(q->headers[i].name, name))
			continue;
		while (next_member(&list, &one))
			if (http_is(one, token))
				return true;
	}
	return false;
}

/* --- the body ----------------------------------------------------------------------------------------- */

enum {
	BODY_OVER,
	BODY_LENGTH,
	CHUNK_SIZE,	 /* digits */
	CHUNK_EXTENSION, /* up to CR */
	CHUNK_LINE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START, /* of a line */
	TRAILER,
	TRAILER_LF,
	TRAILER_LAST_LF,
};

void http_body_init(struct http_body *b, const struct http_request *q)
{
	*b = (struct http_body){ .state = BODY_OVER };
	if (q->chunked)
		b->state = CHUNK_SIZE;
	else if (q->length > 0 || q->length == HTTP_TO_THE_END)
		b->state = BODY_LENGTH;
	b->left = q->length == HTTP_TO_THE_END ? UINT64_MAX : q->length > 0 ? (uint64_t)q->length : 0;
}

static int chunk_size(struct http_body *b, char c)
{
	int digit = http_hex_digit(c);

	if (digit >= 0) {
		if (b->left >> 58)
			return -EBADMSG;
		b->left = b->left << 4 | (unsigned)digit;
		b->digits++;
		return 0;
	}
	if (b->digits == 0 || (c != '\r' && c != ';' && c != ' ' && c != '\t'))
		return -EBADMSG;
	b->state = c == '\r' ? CHUNK_LINE_LF : CHUNK_EXTENSION;
	return 0;
}

/* One byte of what isn't data. */
static int body_byte(struct http_body *b, char c)
{
	if (b->state != CHUNK_DATA_CR && b->state != CHUNK_DATA_LF && ++b->line > HTTP_LINE_MAX)
		return -EBADMSG;
	switch (b->state) {
	case CHUNK_SIZE:
		return chunk_size(b, c);
	case CHUNK_EXTENSION:
		if (c == '\n')
			return -EBADMSG;
		if (c == '\r')
			b->state = CHUNK_LINE_LF;
		return 0;
	case CHUNK_LINE_LF:
		b->state = b->left ? CHUNK_DATA : TRAILER_START;
		b->line = 0;
		return c == '\n' ? 0 : -EBADMSG;
	case CHUNK_DATA_CR:
		b->state = CHUNK_DATA_LF;
		return c == '\r' ? 0 : -EBADMSG;
	case CHUNK_DATA_LF:
		b->state = CHUNK_SIZE;
		b->digits = 0;
		b->line = 0;
		return c == '\n' ? 0 : -EBADMSG;
	case TRAILER_START:
		b->state = c == '\r' ? TRAILER_LAST_LF : TRAILER;
		return c == '\n' ? -EBADMSG : 0;
	case TRAILER:
		if (c == '\r')
			b->state = TRAILER_LF;
		return c == '\n' ? -EBADMSG : 0;
	case TRAILER_LF:
		b->state = TRAILER_START;
		return c == '\n' ? 0 : -EBADMSG;
	case TRAILER_LAST_LF:
		b->state = BODY_OVER;
		return c == '\n' ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

int http_body_take(struct http_body *b, const char *p, size_t n, size_t *ret_used,
	const char **ret_data, size_t *ret_n)
{
	size_t at = 0;

	*ret_data = NULL;
	*ret_n = 0;
	while (b->state != BODY_OVER && b->state != BODY_LENGTH && b->state != CHUNK_DATA && at < n)
		if (body_byte(b, p[at++]) < 0)
			return -EBADMSG;
	if ((b->state == BODY_LENGTH || b->state == CHUNK_DATA) && at < n) {
		*ret_data = p + at;
		*ret_n = n - at < b->left ? n - at : (size_t)b->left;
		at += *ret_n;
		b->left -= *ret_n;
		if (b->left == 0)
			b->state = b->state == BODY_LENGTH ? BODY_OVER : CHUNK_DATA_CR;
	}
	*ret_used = at;
	return b->state == BODY_OVER;
}
