/* SPDX-License-Identifier: MIT */
#include "base/tab.h"

#include <string.h>
#include "base/tmpl-priv.h"

/* docker's tab writer: columns of at least 10, 3 blanks between */
#define COLUMN_MIN 10
#define COLUMN_PAD 3
#define CELLS_MAX  256 /* of a line; tabs after that are text */

/* --- aligned text ------------------------------------------------------------------------------------ */

/* Columns that the terminal needs for n bytes. */
static int text_columns(const char *s, gsize n)
{
	int columns = 0;

	for (gsize i = 0; i < n;) {
		gunichar c = g_utf8_get_char_validated(s + i, (gssize)(n - i));

		if (s[i] == '\0' || c >= 0x110000) {
			i++;
			columns++;
			continue;
		}
		columns += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
		i += (gsize)(g_utf8_next_char(s + i) - (s + i));
	}
	return columns;
}

struct line {
	char **cells; /* NULL-terminated; the last one belongs to no column */
	guint n;
};

/*
 * Widths as Go's text/tabwriter has them: a column is a block of lines one below the other that all have
 * that cell and one after it, so a line without tabs ends the blocks above it.
 */
static void set_widths(
	const GArray *lines, guint from, guint to, guint column, int *widths, guint stride)
{
	for (guint i = from; i < to;) {
		guint end = i;
		int width = COLUMN_MIN;

		for (; end < to; end++) {
			const struct line *l = &g_array_index(lines, struct line, end);
			int n;

			if (column + 1 >= l->n)
				break;
			n = text_columns(l->cells[column], strlen(l->cells[column]));
			width = MAX(width, n + COLUMN_PAD);
		}
		if (end == i) {
			i++;
			continue;
		}
		for (guint j = i; j < end; j++)
			widths[j * stride + column] = width;
		if (column + 1 < stride)
			set_widths(lines, i, end, column + 1, widths, stride);
		i = end;
	}
}

static void put_line(FILE *out, const struct line *l, const int *widths)
{
	for (guint i = 0; i < l->n; i++) {
		int n = text_columns(l->cells[i], strlen(l->cells[i]));

		(void)fputs(l->cells[i], out);
		if (i + 1 < l->n)
			(void)fprintf(out, "%*s", widths[i] - n, "");
	}
	(void)fputc('\n', out);
}

/* Text with tabs between cells, each line ended by a newline. */
static void put_aligned(FILE *out, const char *text)
{
	g_auto(GStrv) all = g_strsplit(text, "\n", -1);
	GArray *lines = g_array_new(FALSE, FALSE, sizeof(struct line));
	g_autofree int *widths = NULL;
	guint stride = 1;

	for (char **s = all; *s && (s[1] || **s); s++) {
		struct line l = { .cells = g_strsplit(*s, "\t", CELLS_MAX) };

		/* an empty text has no cell at all */
		l.n = g_strv_length(l.cells);
		stride = MAX(stride, l.n);
		g_array_append_val(lines, l);
	}
	widths = g_new0(int, (gsize)lines->len *stride);
	set_widths(lines, 0, lines->len, 0, widths, stride);
	for (guint i = 0; i < lines->len; i++) {
		struct line *l = &g_array_index(lines, struct line, i);

		put_line(out, l, widths + (gsize)i * stride);
		g_strfreev(l->cells);
	}
	g_array_free(lines, TRUE);
}

/* --- the table of columns ---------------------------------------------------------------------------- */

/* A field as text in one line: what is no string as Go prints it; g_free. */
static char *cell_text(const json_t *row, const char *field)
{
	const json_t *v = json_object_get(row, field);
	GString *text = g_string_new(NULL);

	if (v && !json_is_null(v))
		tmpl_show(text, v);
	g_strdelimit(text->str, "\n\t", ' ');
	return g_string_free(text, FALSE);
}

static void put_cell(GString *line, const char *text, int width, bool right, bool last)
{
	int pad = width - text_columns(text, strlen(text));

	if (right)
		g_string_append_printf(line, "%*s", MAX(pad, 0), "");
	g_string_append(line, text);
	if (!right && !last)
		g_string_append_printf(line, "%*s", MAX(pad, 0), "");
	if (!last)
		g_string_append_printf(line, "%*s", COLUMN_PAD, "");
}

static void put_table(FILE *out, const struct tab_column *columns, const json_t *rows)
{
	size_t n_columns = 0, n_rows = json_array_size(rows);
	g_autofree int *widths = NULL;
	g_auto(GStrv) cells = NULL;

	while (columns[n_columns].heading)
		n_columns++;
	widths = g_new0(int, n_columns + 1);
	cells = g_new0(char *, n_columns *(n_rows + 1) + 1);
	for (size_t i = 0; i <= n_rows; i++) {
		for (size_t j = 0; j < n_columns; j++) {
			char **cell = &cells[i * n_columns + j];

			*cell = i ? cell_text(json_array_get(rows, i - 1), columns[j].field)
				  : g_strdup(columns[j].heading);
			widths[j] = MAX(widths[j], text_columns(*cell, strlen(*cell)));
		}
	}
	for (size_t i = 0; i <= n_rows; i++) {
		g_autoptr(GString) line = g_string_new(NULL);

		for (size_t j = 0; j < n_columns; j++)
			put_cell(line, cells[i * n_columns + j], widths[j], columns[j].right,
				j + 1 == n_columns);
		(void)fprintf(out, "%s\n", line->str);
	}
}

/* --- formats ----------------------------------------------------------------------------------------- */

/* "\t" and "\n" typed as two characters, as docker takes them; g_free. */
static char *unescape(const char *s)
{
	GString *out = g_string_new(NULL);

	for (; *s; s++) {
		if (s[0] == '\\' && (s[1] == 't' || s[1] == 'n'))
			g_string_append_c(out, *++s == 't' ? '\t' : '\n');
		else
			g_string_append_c(out, *s);
	}
	return g_string_free(out, FALSE);
}

/* Headings by field, for the template to print. */
static json_t *headings(const struct tab_column *columns, const json_t *row)
{
	json_t *j = json_object();
	const char *name;
	json_t *v;

	/* a field without a column is headed by its own name */
	json_object_foreach((json_t *)row, name, v) {
		g_autofree char *upper = g_utf8_strup(name, -1);

		json_object_set_new_nocheck(j, name, json_string_nocheck(upper));
	}
	for (; columns->heading; columns++)
		json_object_set_new_nocheck(
			j, columns->field, json_string_nocheck(columns->heading));
	return j;
}

static int put_rows(GString *text, const struct tmpl *t, const json_t *rows, struct err *e)
{
	const json_t *row;
	size_t i;
	int r;

	json_array_foreach(rows, i, row) {
		r = tmpl_run(t, row, 0, text, e);
		if (r < 0)
			return r;
		g_string_append_c(text, '\n');
	}
	return 0;
}

static int put_template(FILE *out, const struct tab_column *columns, const json_t *rows,
	const char *format, bool table, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	int r = tmpl_parse(format, &t, e);

	if (r < 0)
		return r;
	if (table) {
		json_t *j = headings(columns, json_array_get(rows, 0));

		/* what can't be headed (an index of a map, say) leaves its column's heading cut short */
		(void)tmpl_run(t, j, TMPL_HEADINGS | TMPL_MISSING_NOVALUE, text, NULL);
		json_decref(j);
		g_string_append_c(text, '\n');
	}
	r = put_rows(text, t, rows, e);
	if (r < 0)
		return r;
	if (table)
		put_aligned(out, text->str);
	else
		(void)fwrite(text->str, 1, text->len, out);
	return 0;
}

static void put_json(FILE *out, const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		g_autoptr(GString) text = g_string_new(NULL);

		tmpl_json(text, row);
		(void)fprintf(out, "%s\n", text->str);
	}
}

int tab_print(FILE *out, const struct tab_column *columns, const json_t *rows, const char *format,
	struct err *e)
{
	g_autofree char *given = g_strstrip(g_strdup(format ? format : "")), *text = NULL;
	bool table = g_str_has_prefix(given, "table");

	if (!*given || strcmp(given, "table") == 0) {
		put_table(out, columns, rows);
		return 0;
	}
	if (strcmp(given, "json") == 0) {
		put_json(out, rows);
		return 0;
	}
	text = unescape(g_strstrip(given + (table ? strlen("table") : 0)));
	return put_template(out, columns, rows, text, table, e);
}
