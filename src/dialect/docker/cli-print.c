/* SPDX-License-Identifier: MIT */
/* What docker's tables, templates and progress look like. */

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "base/tmpl.h"
#include "base/units.h"
#include "dialect/docker/cli.h"

/* --- values ------------------------------------------------------------------------------------------------------- */

const char *cli_text(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key)) ?: "";
}

int64_t cli_number(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_real(v) ? (int64_t)json_real_value(v) : json_integer_value(v);
}

json_t *cli_at(const json_t *j, const char *path)
{
	g_auto(GStrv) names = g_strsplit(path, ".", -1);
	json_t *at = (json_t *)j;

	for (char **n = names; *n && at; n++)
		at = json_object_get(at, *n);
	return at;
}

void cli_set(json_t *j, const char *key, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	json_object_set_new(j, key, json_string(text) ?: json_string(""));
}

char *cli_short(const char *id)
{
	const char *colon = strchr(id, ':');

	return g_strndup(colon ? colon + 1 : id, 12);
}

char *cli_cut(const char *text, size_t columns)
{
	g_autofree char *head = NULL;

	if (!g_utf8_validate(text, -1, NULL) || (size_t)g_utf8_strlen(text, -1) <= columns)
		return g_strdup(text);
	head = g_utf8_substring(text, 0, (glong)columns - 1);
	return g_strdup_printf("%s…", head);
}

char *cli_ago(int64_t seconds)
{
	g_autofree char *text =
		units_show_duration((g_get_real_time() / 1000000 - seconds) * CLI_SECOND);

	return g_strdup_printf("%s ago", text);
}

static char *show_size(double bytes, int digits, double base, const char *const *names)
{
	int i = 0;

	while (bytes >= base && names[i + 1]) {
		bytes /= base;
		i++;
	}
	return g_strdup_printf("%.*g%s", digits, bytes, names[i]);
}

char *cli_size(double bytes, int digits)
{
	static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB",
		NULL };

	return show_size(bytes, digits, 1000, names);
}

char *cli_size_binary(double bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB",
		"YiB", NULL };

	return show_size(bytes, 4, 1024, names);
}

char *cli_local_time(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[64];

	localtime_r(&t, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z %Z", &tm);
	return g_strdup(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *cli_label_text(const json_t *labels)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)labels, key, v)
		g_ptr_array_add(all, g_strdup_printf("%s=%s", key, json_string_value(v) ?: ""));
	if (all->len > 1)
		qsort(all->pdata, all->len, sizeof(void *), by_text);
	g_ptr_array_add(all, NULL);
	return g_strjoinv(",", (char **)all->pdata);
}

bool cli_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

/* --- rows ------------------------------------------------------------------------------------------------------------- */

const char *cli_format(struct cmd_call *call, const char *given, const char *config_key)
{
	const char *text = given && *given ? given
			   : config_key	   ? cli_config_text(call, config_key)
					   : NULL;

	return text && *text ? text : NULL;
}

/* As Go's encoding/json has a map: sorted, "<", ">" and "&" escaped. */
static void put_json(const json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS);

	for (const char *p = text; *p; p++) {
		if (strchr("<>&", *p))
			printf("\\u%04x", (unsigned)*p);
		else
			(void)fputc(*p, stdout);
	}
	(void)fputc('\n', stdout);
	free(text);
}

int cli_rows(
	const struct tab_column *columns, const json_t *rows, const char *format, struct err *e)
{
	g_autoptr(GString) text = g_string_new("table ");
	int r;

	if (!format || strcmp(format, "table") == 0) {
		for (const struct tab_column *c = columns; c->heading; c++)
			if (!c->right)
				g_string_append_printf(
					text, "%s{{.%s}}", c == columns ? "" : "\t", c->field);
		format = text->str;
	}
	if (strcmp(format, "json") == 0) {
		for (size_t i = 0; i < json_array_size(rows); i++)
			put_json(json_array_get(rows, i));
		return 0;
	}
	r = tab_print(stdout, columns, rows, format, e);
	/* Go tells a template that can't be read from one that can't be run by the place that the latter names */
	return r < 0 ? err_prefix(e, strstr(e->text, "executing") ? "failed to execute template"
								  : "failed to parse template")
		     : 0;
}

/* --- inspect ------------------------------------------------------------------------------------------------------------ */

/* JSON text to the same with line breaks; what stands in strings and numbers stays as it is to the byte. */
static void put_indented(GString *out, const char *s, int depth)
{
	bool quoted = false;

	for (; *s; s++) {
		const char *next = s + 1;

		if (quoted) {
			g_string_append_c(out, *s);
			if (*s == '\\' && s[1])
				g_string_append_c(out, *++s);
			else if (*s == '"')
				quoted = false;
			continue;
		}
		next += strspn(next, " \t\r\n");
		if (g_ascii_isspace(*s))
			continue;
		if ((*s == '{' && *next == '}') || (*s == '[' && *next == ']')) {
			g_string_append_printf(out, "%c%c", *s, *next);
			s = next;
		} else if (*s == '{' || *s == '[') {
			depth++;
			g_string_append_printf(out, "%c\n%*s", *s, 4 * depth, "");
		} else if (*s == '}' || *s == ']') {
			depth--;
			g_string_append_printf(out, "\n%*s%c", 4 * depth, "", *s);
		} else if (*s == ',') {
			g_string_append_printf(out, ",\n%*s", 4 * depth, "");
		} else if (*s == ':') {
			g_string_append(out, ": ");
		} else {
			quoted = *s == '"';
			g_string_append_c(out, *s);
		}
	}
}

static int inspect_template(GPtrArray *texts, const char *format, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	int r = tmpl_parse(format, &t, e);

	for (guint i = 0; i < texts->len && r >= 0; i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		json_t *j = json_loads(texts->pdata[i], 0, NULL);

		r = tmpl_run(t, j, 0, out, e);
		printf("%s\n", r >= 0 ? out->str : "");
		json_decref(j);
	}
	return r < 0 ? err_prefix(e, "template parsing error") : 0;
}

int cli_inspect(GPtrArray *texts, const char *format, struct err *e)
{
	g_autoptr(GString) out = g_string_new("[");

	if (format && *format && strcmp(format, "json") != 0)
		return inspect_template(texts, format, e);
	for (guint i = 0; i < texts->len; i++) {
		char *text = texts->pdata[i];

		g_string_append(out, i ? "," : "");
		if (!format || !*format) {
			g_string_append(out, "\n    ");
			put_indented(out, text, 1);
		} else {
			g_string_append(out, g_strstrip(text));
		}
	}
	printf("%s%s]\n", out->str, texts->len && (!format || !*format) ? "\n" : "");
	return 0;
}

/* --- questions and errors --------------------------------------------------------------------------------------------------- */

bool cli_confirm(const char *question)
{
	char *line = NULL;
	size_t n = 0;
	ssize_t got;
	bool yes;

	printf("%s [y/N] ", question);
	(void)fflush(stdout);
	got = RET_NERRNO(getline(&line, &n, stdin));
	if (got > 0)
		g_strstrip(line);
	yes = got > 0 && g_ascii_strcasecmp(line, "y") == 0;
	free(line);
	return yes;
}

void cli_failed(struct err *e)
{
	(void)fflush(stdout);
	for (const char *s = e->text; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		(void)fputc(
			(ch < 0x20 && ch != '\n' && ch != '\t') || ch == 0x7f ? '?' : ch, stderr);
	}
	(void)fputc('\n', stderr);
	*e = (struct err){ 0 };
}

/* --- progress ---------------------------------------------------------------------------------------------------------------- */

#define BAR_COLUMNS   50
#define BAR_WIDTH_MIN 110 /* columns of a terminal that has room for the bar */

struct progress {
	FILE *out;
	bool terminal;
	int columns;
	GHashTable *lines; /* id -> its line + 1 */
};

static char *progress_text(const struct progress *p, const json_t *detail)
{
	double current = json_number_value(json_object_get(detail, "current"));
	double total = json_number_value(json_object_get(detail, "total"));
	g_autofree char *done = cli_size(current, 4), *all = cli_size(total, 4);
	GString *s = g_string_new(NULL);
	int part;

	if (current <= 0 && total <= 0)
		return g_string_free(s, FALSE);
	if (total <= 0 || current > total) {
		g_string_printf(s, "%8s", done);
		return g_string_free(s, FALSE);
	}
	part = (int)(current / total * 100) / 2;
	if (p->columns > BAR_WIDTH_MIN) {
		g_string_append_c(s, '[');
		for (int i = 0; i < MIN(part, BAR_COLUMNS); i++)
			g_string_append_c(s, '=');
		g_string_append_printf(s, ">%*s] ", MAX(BAR_COLUMNS - part, 0), "");
	}
	g_string_append_printf(s, "%8s/%s", done, all);
	return g_string_free(s, FALSE);
}

static void show_message(struct progress *p, const json_t *j)
{
	const char *id = cli_text(j, "id"), *stream = cli_text(j, "stream"),
		   *from = cli_text(j, "from");
	const json_t *detail = json_object_get(j, "progressDetail");
	g_autofree char *bar = json_object_size(detail) ? progress_text(p, detail) : g_strdup("");
	const char *end = "";

	if (p->terminal && !*stream && *bar) {
		(void)fputs("\033[2K", p->out);
		end = "\r";
		(void)fputs("\r", p->out);
	} else if (*bar) {
		return;
	}
	if (*id)
		(void)fprintf(p->out, "%s: ", id);
	if (*from)
		(void)fprintf(p->out, "(from %s) ", from);
	if (*bar)
		(void)fprintf(p->out, "%s %s%s", cli_text(j, "status"), bar, end);
	else if (*stream)
		(void)fprintf(p->out, "%s%s", stream, end);
	else
		(void)fprintf(p->out, "%s%s\n", cli_text(j, "status"), end);
}

/* Each id that has progress keeps a line of its own, which is gone back to. */
static void show_line(struct progress *p, const json_t *j)
{
	const char *id = cli_text(j, "id");
	int up = 0;

	if (p->terminal && *id && json_object_get(j, "progressDetail")) {
		int line = GPOINTER_TO_INT(g_hash_table_lookup(p->lines, id));

		if (!line) {
			line = (int)g_hash_table_size(p->lines) + 1;
			g_hash_table_insert(p->lines, g_strdup(id), GINT_TO_POINTER(line));
			(void)fputc('\n', p->out);
		}
		up = (int)g_hash_table_size(p->lines) - line + 1;
		(void)fprintf(p->out, "\033[%dA\033[2K", up);
		show_message(p, j);
		/* a finished status has ended its line already */
		if (!*cli_text(j, "stream") &&
			json_object_size(json_object_get(j, "progressDetail")) == 0)
			up--;
		if (up > 0)
			(void)fprintf(p->out, "\033[%dB", up);
		(void)fputc('\r', p->out);
	} else {
		g_hash_table_remove_all(p->lines);
		show_message(p, j);
	}
	(void)fflush(p->out);
}

int cli_progress(struct stream *s, bool quiet, void (*aux)(const json_t *aux, void *data),
	void *data, struct err *e)
{
	struct progress p = { .out = stdout, .terminal = cli_is_terminal(1) };
	struct winsize w;
	json_t *j = NULL;
	int r;

	p.columns = RET_NERRNO(ioctl(1, TIOCGWINSZ, &w)) == 0 ? w.ws_col : 0;
	p.lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	while ((r = stream_json(s, &j, e)) > 0) {
		const char *error = json_string_value(cli_at(j, "errorDetail.message"))
					    ?: json_string_value(json_object_get(j, "error"));

		if (error)
			r = err_set(e, -EIO, "%s", error);
		else if (json_object_get(j, "aux") && aux)
			aux(json_object_get(j, "aux"), data);
		else if (!json_object_get(j, "aux") && !quiet)
			show_line(&p, j);
		json_decref(j);
		if (r < 0)
			break;
	}
	g_hash_table_unref(p.lines);
	return r;
}
