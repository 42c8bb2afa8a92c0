/* SPDX-License-Identifier: MIT */
/* What stands in headers and targets, and the words of answers. */

#include <stdio.h>
#include <string.h>

#include "wire/http-priv.h"

ssize_t http_decode(struct http_text t, bool plus, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.p[i];

		if (c == '%') {
			int hi = t.n - i > 2 ? http_hex_digit(t.p[i + 1]) : -1;
			int lo = t.n - i > 2 ? http_hex_digit(t.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return -EINVAL;
		if (n + 1 >= size)
			return -E2BIG;
		buf[n++] = c;
	}
	if (size == 0)
		return -E2BIG;
	buf[n] = '\0';
	return (ssize_t)n;
}

ssize_t http_query(struct http_text query, const char *key, unsigned nth, char *buf, size_t size)
{
	size_t len = strlen(key);

	while (query.n > 0) {
		const char *amp = memchr(query.p, '&', query.n);
		struct http_text one = { query.p, amp ? (size_t)(amp - query.p) : query.n };

		query.p += one.n + (amp ? 1 : 0);
		query.n -= one.n + (amp ? 1 : 0);
		if (one.n < len || memcmp(one.p, key, len) != 0)
			continue;
		if (one.n > len && one.p[len] != '=')
			continue;
		if (nth-- > 0)
			continue;
		if (one.n == len)
			return http_decode((struct http_text){ one.p, 0 }, true, buf, size);
		return http_decode(
			(struct http_text){ one.p + len + 1, one.n - len - 1 }, true, buf, size);
	}
	return -ENOENT;
}

/* "A-B": both texts, either may be empty. */
static int split_dash(struct http_text t, struct http_text *ret_a, struct http_text *ret_b)
{
	const char *dash = memchr(t.p, '-', t.n);

	if (!dash)
		return -EINVAL;
	*ret_a = (struct http_text){ t.p, (size_t)(dash - t.p) };
	*ret_b = (struct http_text){ dash + 1, t.n - ret_a->n - 1 };
	return 0;
}

int http_range(const struct http_text *value, int64_t size, int64_t *ret_first, int64_t *ret_n)
{
	static const char unit[] = "bytes=";
	struct http_text t, a, b;
	int64_t first, last;
	int r;

	if (!value || value->n < sizeof(unit) - 1 || memcmp(value->p, unit, sizeof(unit) - 1) != 0)
		return 0;
	t = http_trim(
		(struct http_text){ value->p + sizeof(unit) - 1, value->n - (sizeof(unit) - 1) });
	if (memchr(t.p, ',', t.n) || split_dash(t, &a, &b) < 0)
		return 0;
	if (a.n == 0) {
		/* the last bytes */
		r = http_number(b, &last);
		if (r == -EINVAL)
			return 0;
		if (r < 0 || last > size)
			last = size;
		if (last == 0)
			return -ERANGE;
		first = size - last;
		last = size - 1;
	} else {
		r = http_number(a, &first);
		if (r < 0)
			return r == -EINVAL ? 0 : -ERANGE;
		r = b.n ? http_number(b, &last) : -ERANGE;
		if (r == -EINVAL || (r == 0 && last < first))
			return 0;
		if (first >= size)
			return -ERANGE;
		if (r < 0 || last >= size)
			last = size - 1;
	}
	*ret_first = first;
	*ret_n = last - first + 1;
	return 1;
}

int http_content_range(struct http_text value, int64_t *ret_first, int64_t *ret_last)
{
	static const char unit[] = "bytes ";
	struct http_text a, b;
	int64_t first, last;

	if (value.n > sizeof(unit) - 1 && memcmp(value.p, unit, sizeof(unit) - 1) == 0) {
		const char *slash;

		value.p += sizeof(unit) - 1;
		value.n -= sizeof(unit) - 1;
		slash = memchr(value.p, '/', value.n);
		if (!slash)
			return -EINVAL;
		value.n = (size_t)(slash - value.p);
	}
	if (split_dash(value, &a, &b) < 0 || http_number(a, &first) < 0 ||
		http_number(b, &last) < 0 || last < first || last == INT64_MAX)
		return -EINVAL;
	*ret_first = first;
	*ret_last = last;
	return 0;
}

bool http_etag_in(struct http_text list, const char *etag)
{
	size_t len = strlen(etag);

	if (list.n == 1 && *list.p == '*')
		return true;
	while (list.n > 0) {
		const char *comma = memchr(list.p, ',', list.n);
		struct http_text one = http_trim(
			(struct http_text){ list.p, comma ? (size_t)(comma - list.p) : list.n });

		/* weak comparison (RFC 9110, 13.1.2) */
		if (one.n > 2 && memcmp(one.p, "W/", 2) == 0) {
			one.p += 2;
			one.n -= 2;
		}
		if (one.n == len && memcmp(one.p, etag, len) == 0)
			return true;
		list.n = comma ? list.n - (size_t)(comma + 1 - list.p) : 0;
		list.p = comma ? comma + 1 : list.p;
	}
	return false;
}

/* --- answers ---------------------------------------------------------------------------------------------- */

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void http_date(time_t t, char ret[HTTP_DATE_SIZE])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	struct tm tm;

	/* the names are English in every locale */
	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	(void)snprintf(ret, HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
		days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
