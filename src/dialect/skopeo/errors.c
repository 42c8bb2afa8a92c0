/* SPDX-License-Identifier: MIT */
/* The core's codes and texts as skopeo's lines. Its exit status is 1 for all of them. */
#include "dialect/skopeo/skopeo.h"

#include <string.h>
#include <time.h>

/* As logrus quotes a text that has blanks. */
static void quote(const char *text)
{
	(void)fputc('"', stderr);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', stderr);
		if (*text == '\n')
			(void)fputs("\\n", stderr);
		else
			(void)fputc(*text, stderr);
	}
	(void)fputs("\"\n", stderr);
}

void skopeo_log(const char *level, const char *text)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];

	(void)fflush(stdout);
	if (isatty(STDERR_FILENO)) {
		g_autofree char *word = g_ascii_strup(level, 4);

		(void)fprintf(stderr, "%s[0000] %s\n", word, text);
		return;
	}
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	(void)fprintf(stderr, "time=\"%s\" level=%s msg=", stamp, level);
	quote(text);
}

int need_operands(struct cmd_call *call, int n, const char *text, struct err *e)
{
	return call->n_operands == n ? 0 : err_set(e, -E_INVALID, "%s", text);
}
