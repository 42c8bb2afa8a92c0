/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LOGLINE_H
#define LODGE_LOGLINE_H

/* One record of a guest's log (monitor/proto.h). Pure. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"

struct log_line {
	const char *time, *text;
	size_t time_n, text_n;
	int stream; /* 0 standard output, 1 standard error */
	bool part;  /* the line goes on in the next record of the stream */
};

/* p: n bytes without the newline. -E_CORRUPT. In the header: it is called for each of a million lines. */
static inline int log_line_parse(const char *p, size_t n, struct log_line *ret)
{
	const char *end = p + n, *q = memchr(p, ' ', n);

	if (!q || end - q < 10) /* " stdout F " */
		return -E_CORRUPT;
	ret->time = p;
	ret->time_n = q - p;
	if (memcmp(q, " stdout ", 8) == 0)
		ret->stream = 0;
	else if (memcmp(q, " stderr ", 8) == 0)
		ret->stream = 1;
	else
		return -E_CORRUPT;
	if ((q[8] != 'F' && q[8] != 'P') || q[9] != ' ')
		return -E_CORRUPT;
	ret->part = q[8] == 'P';
	ret->text = q + 10;
	ret->text_n = end - ret->text;
	return 0;
}

/* RFC 3339 in UTC ("2026-01-02T03:04:05.123456789Z") as nanoseconds since 1970. -E_CORRUPT. */
int log_time(const char *s, size_t n, int64_t *ret);

#endif
