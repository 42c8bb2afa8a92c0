/* SPDX-License-Identifier: MIT */
/* The core's codes and texts as runc's words, log lines and exit statuses. */
#include "dialect/runc/runc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define STATUS_FAILED 1
#define STATUS_EXEC   255 /* exec: what isn't the command's own status */

/* Texts that go before, by command. runc's list. */
static const struct {
	const char *command, *prefix;
} prefixes[] = {
	{ "create", "runc create failed: " },
	{ "run", "runc run failed: " },
	{ "exec", "exec failed: " },
};

static FILE *open_log(struct runc *r)
{
	if (!r->log || !*r->log || strcmp(r->log, "/dev/stderr") == 0)
		return stderr;
	return fopen(r->log, "ae");
}

void runc_log(struct runc *r, const char *level, const char *text)
{
	FILE *f = open_log(r);
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];

	if (!f)
		return;
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	if (r->log_format && strcmp(r->log_format, "json") == 0) {
		json_auto_t *o =
			json_pack("{s:s, s:s, s:s}", "level", level, "msg", text, "time", stamp);

		if (o)
			(void)json_dumpf(o, f, JSON_COMPACT);
		(void)fputc('\n', f);
	} else {
		(void)fprintf(f, "time=\"%s\" level=%s msg=\"", stamp, level);
		for (; *text; text++) {
			if (*text == '"' || *text == '\\')
				(void)fputc('\\', f);
			if (*text == '\n')
				(void)fputs("\\n", f);
			else
				(void)fputc(*text, f);
		}
		(void)fputs("\"\n", f);
	}
	if (f != stderr)
		(void)fclose(f);
}

void runc_log_plan(struct runc *r, const struct plan *p)
{
	g_auto(GStrv) lines = NULL;
	char *text = NULL;
	size_t size;
	FILE *f;

	if (!r->debug)
		return;
	f = open_memstream(&text, &size);
	if (!f)
		return;
	plan_show(p, f);
	(void)fclose(f);
	lines = g_strsplit(text ?: "", "\n", -1);
	free(text);
	for (char **line = lines; *line; line++)
		if (**line)
			runc_log(r, "debug", *line);
}

bool runc_explains(struct runc *r, const struct plan *p)
{
	if (r->ctx.explain)
		plan_show(p, stdout);
	return r->ctx.explain;
}

bool runc_explains_as(struct runc *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->ctx.explain)
		return false;
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	return true;
}

/* "exec 'x': WHY" as Go says it: exec: "x": WHY. Engines look for these words. */
static char *go_words(const char *text)
{
	const char *end;

	if (!g_str_has_prefix(text, "exec '"))
		return g_strdup(text);
	end = strstr(text + 6, "': ");
	if (!end)
		return g_strdup(text);
	if (strchr(text + 6, '/') && strchr(text + 6, '/') < end &&
		strstr(end, "no such file or directory"))
		return g_strdup_printf("exec: \"%.*s\": stat %.*s: no such file or directory",
			(int)(end - text - 6), text + 6, (int)(end - text - 6), text + 6);
	return g_strdup_printf("exec: \"%.*s\": %s", (int)(end - text - 6), text + 6,
		strcmp(end + 3, "Permission denied") == 0 ? "permission denied" : end + 3);
}

int runc_failed(struct runc *r, int code, struct err *e)
{
	const char *text = e->text[0] ? e->text : err_words(code), *prefix = "";
	g_autofree char *words = NULL, *whole = NULL;
	bool command = code == -E_COMMAND_NOTFOUND || code == -E_COMMAND_NOEXEC;

	words = go_words(text);
	for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++)
		if (r->command && strcmp(prefixes[i].command, r->command) == 0)
			prefix = prefixes[i].prefix;
	if (code == -E_USAGE)
		prefix = "";
	whole = g_strdup_printf("%s%s%s%s%s", prefix,
		command ? "unable to start container process: " : "", words, e->mend[0] ? "; " : "",
		e->mend);
	runc_log(r, "error", whole);
	if (r->log && *r->log && strcmp(r->log, "/dev/stderr") != 0)
		(void)fprintf(stderr, "%s\n", whole);
	return r->command && strcmp(r->command, "exec") == 0 && code != -E_USAGE ? STATUS_EXEC
										 : STATUS_FAILED;
}
