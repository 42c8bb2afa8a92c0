/* SPDX-License-Identifier: MIT */
#include "monitor/monitor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Appends to RUN/events what only we see: an end, a start after one. One write, so that lines of several
 * writers don't mix. The attributes come as text of JSON from whoever started us.
 */
void event_write(const struct monitor *m, const char *action, int exit_code)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *line = NULL;
	char code[32] = "";
	int n;

	if (!m->events || !m->attributes)
		return;
	if (exit_code >= 0)
		(void)snprintf(code, sizeof(code), "%s\"exitCode\":\"%d\"",
			*m->attributes ? "," : "", exit_code);
	n = asprintf(&line,
		"{\"time\":%lld,\"type\":\"guest\",\"action\":\"%s\",\"id\":\"%s\",\"attributes\":{"
		"%s%s}}\n",
		(long long)realtime_ns(), action, m->id, m->attributes, code);
	if (n < 0) {
		line = NULL;
		return;
	}
	fd = open(m->events, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* nobody's end fails because it couldn't be told */
	if (fd >= 0 && write(fd, line, (size_t)n) < 0)
		return;
}
