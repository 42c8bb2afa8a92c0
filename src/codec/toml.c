/* SPDX-License-Identifier: MIT */
#include "codec/toml.h"

#include <glib.h>
#include <math.h>
#include <string.h>

struct toml {
	const char *p, *end;
	unsigned line, depth;
	struct err *e;
	GHashTable *closed; /* tables and arrays that are whole: nothing may be added */
	GHashTable *headed; /* tables that a header made */
};

static int bad(struct toml *t, const char *why)
{
	return err_set(t->e, -E_CORRUPT, "line %u: %s", t->line, why);
}

static bool at(const struct toml *t, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(t->end - t->p) >= n && memcmp(t->p, word, n) == 0;
}

static char peek(const struct toml *t)
{
	return t->p < t->end ? *t->p : '\0';
}

static void blanks(struct toml *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t'))
		t->p++;
}

static int comment(struct toml *t)
{
	if (peek(t) != '#')
		return 0;
	for (; t->p < t->end && *t->p != '\n'; t->p++)
		if (*t->p != '\t' && *t->p != '\r' && (unsigned char)*t->p < 0x20)
			return bad(t, "a control character in a comment");
	return 0;
}

/* 1: a line ended. */
static int newline(struct toml *t)
{
	if (at(t, "\r\n"))
		t->p++;
	if (peek(t) != '\n' || t->p >= t->end)
		return 0;
	t->p++;
	t->line++;
	return 1;
}

static int end_of_line(struct toml *t)
{
	int r;

	blanks(t);
	r = comment(t);
	if (r < 0)
		return r;
	if (t->p >= t->end || newline(t))
		return 0;
	return bad(t, "something stands behind the value");
}

/* Blanks, comments and ends of lines, as inside of arrays. */
static int space(struct toml *t)
{
	int r;

	do {
		blanks(t);
		r = comment(t);
		if (r < 0)
			return r;
	} while (newline(t));
	return 0;
}

/* --- strings ------------------------------------------------------------------------------------------- */

static int unicode(struct toml *t, unsigned digits, GString *s)
{
	gunichar c = 0;

	for (unsigned i = 0; i < digits; i++) {
		int d = t->p < t->end ? g_ascii_xdigit_value(*t->p) : -1;

		if (d < 0)
			return bad(t, "a wrong \\u in a string");
		c = c * 16 + (gunichar)d;
		t->p++;
	}
	if (c == 0 || !g_unichar_validate(c))
		return bad(t, "a \\u that is no character");
	g_string_append_unichar(s, c);
	return 0;
}

static int escape(struct toml *t, bool multi, GString *s)
{
	static const char from[] = "btnfr\"\\e", to[] = "\b\t\n\f\r\"\\\x1b";
	const char *found;
	char c = peek(t);

	if (multi && (c == '\n' || c == '\r' || c == ' ' || c == '\t')) {
		blanks(t);
		if (!newline(t))
			return bad(t, "a wrong \\ in a string");
		do
			blanks(t);
		while (newline(t));
		return 0;
	}
	if (!c)
		return bad(t, "a string has no end");
	t->p++;
	if (c == 'u' || c == 'U')
		return unicode(t, c == 'u' ? 4 : 8, s);
	found = strchr(from, c);
	if (!found)
		return bad(t, "a wrong \\ in a string");
	g_string_append_c(s, to[found - from]);
	return 0;
}

static int string(struct toml *t, bool key, char **ret)
{
	g_autoptr(GString) s = g_string_new(NULL);
	char quote = *t->p;
	char triple[4] = { quote, quote, quote, '\0' };
	bool multi = !key && at(t, triple);
	int r;

	t->p += multi ? 3 : 1;
	if (multi)
		(void)newline(t);
	for (;;) {
		if (t->p >= t->end)
			return bad(t, "a string has no end");
		if (multi ? at(t, triple) : *t->p == quote) {
			t->p += multi ? 3 : 1;
			/* up to two quotes may stand before the closing ones */
			for (int i = 0; multi && i < 2 && peek(t) == quote; i++, t->p++)
				g_string_append_c(s, quote);
			break;
		}
		if (*t->p == '\n' || at(t, "\r\n")) {
			if (!multi)
				return bad(t, "a string has no end");
			(void)newline(t);
			g_string_append_c(s, '\n');
			continue;
		}
		if (quote == '"' && *t->p == '\\') {
			t->p++;
			r = escape(t, multi, s);
			if (r < 0)
				return r;
			continue;
		}
		if ((unsigned char)*t->p < 0x20 && *t->p != '\t')
			return bad(t, "a control character in a string");
		g_string_append_c(s, *t->p++);
	}
	if (!g_utf8_validate_len(s->str, s->len, NULL))
		return bad(t, "a string that isn't UTF-8");
	*ret = g_string_free(g_steal_pointer(&s), FALSE);
	return 0;
}

/* --- keys ---------------------------------------------------------------------------------------------- */

static int simple_key(struct toml *t, char **ret)
{
	const char *from = t->p;

	if (peek(t) == '"' || peek(t) == '\'')
		return string(t, true, ret);
	while (t->p < t->end && (g_ascii_isalnum(*t->p) || *t->p == '_' || *t->p == '-'))
		t->p++;
	if (t->p == from)
		return bad(t, "a key is missing");
	*ret = g_strndup(from, (size_t)(t->p - from));
	return 0;
}

static int dotted_key(struct toml *t, GPtrArray *ret)
{
	for (;;) {
		char *word = NULL;
		int r;

		blanks(t);
		r = simple_key(t, &word);
		if (r < 0)
			return r;
		g_ptr_array_add(ret, word);
		if (ret->len > TOML_DEPTH_MAX)
			return err_set(
				t->e, -E_LIMIT, "line %u: keys are nested too deep", t->line);
		blanks(t);
		if (peek(t) != '.')
			return 0;
		t->p++;
	}
}

/* The table below `from` that the first n words name, made where it isn't there. */
static int walk(
	struct toml *t, json_t *from, const GPtrArray *words, unsigned n, bool header, json_t **ret)
{
	json_t *table = from;

	for (unsigned i = 0; i < n; i++) {
		json_t *next = json_object_get(table, words->pdata[i]);

		if (!next) {
			next = json_object();
			(void)json_object_set_new(table, words->pdata[i], next);
		} else if (g_hash_table_contains(t->closed, next)) {
			return bad(t, "a value is given twice");
		} else if (!header && g_hash_table_contains(t->headed, next)) {
			return bad(t, "a table is given twice");
		}
		if (json_is_array(next) && header)
			next = json_array_get(next, json_array_size(next) - 1);
		if (!json_is_object(next))
			return bad(t, "a key is below something that is no table");
		table = next;
	}
	*ret = table;
	return 0;
}

/* --- values -------------------------------------------------------------------------------------------- */

static int value(struct toml *t, json_t **ret);

static int array(struct toml *t, json_t *list)
{
	int r;

	for (t->p++;; t->p++) {
		json_t *item;

		r = space(t);
		if (r < 0)
			return r;
		if (peek(t) == ']')
			break;
		r = value(t, &item);
		if (r < 0)
			return r;
		(void)json_array_append_new(list, item);
		r = space(t);
		if (r < 0)
			return r;
		if (peek(t) == ']')
			break;
		if (peek(t) != ',')
			return bad(t, "an array lacks a ',' or a ']'");
	}
	t->p++;
	return 0;
}

static int assignment(struct toml *t, json_t *table)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	json_t *at_table, *v;
	int r;

	r = dotted_key(t, words);
	if (r < 0)
		return r;
	if (peek(t) != '=')
		return bad(t, "a '=' is missing");
	t->p++;
	blanks(t);
	r = walk(t, table, words, words->len - 1, false, &at_table);
	if (r >= 0 && json_object_get(at_table, words->pdata[words->len - 1]))
		r = bad(t, "a key is given twice");
	if (r >= 0)
		r = value(t, &v);
	if (r < 0)
		return r;
	(void)json_object_set_new(at_table, words->pdata[words->len - 1], v);
	return 0;
}

static int inline_table(struct toml *t, json_t *table)
{
	int r;

	t->p++;
	blanks(t);
	if (peek(t) == '}') {
		t->p++;
		return 0;
	}
	for (;; t->p++) {
		r = assignment(t, table);
		if (r < 0)
			return r;
		blanks(t);
		if (peek(t) == '}')
			break;
		if (peek(t) != ',')
			return bad(t, "an inline table lacks a ',' or a '}'");
	}
	t->p++;
	return 0;
}

static bool is_word_char(char c)
{
	return g_ascii_isalnum(c) || (c && strchr("+-_.:", c));
}

/* "1_000" without its marks; false when one doesn't stand between digits. */
static bool without_marks(const char *word, GString *ret)
{
	for (const char *p = word; *p; p++) {
		if (*p != '_')
			g_string_append_c(ret, *p);
		else if (p == word || !g_ascii_isxdigit(p[-1]) || !g_ascii_isxdigit(p[1]))
			return false;
	}
	return true;
}

static bool is_date(const char *w)
{
	static const char date[] = "dddd-dd-dd", time[] = "dd:dd:dd";
	const char *shape = strlen(w) > 2 && w[2] == ':' ? time : date;

	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? !g_ascii_isdigit(w[i]) : w[i] != shape[i])
			return false;
	return true;
}

static bool integer(const char *digits, json_t **ret)
{
	static const struct {
		const char *prefix;
		guint base;
	} bases[] = { { "0x", 16 }, { "0o", 8 }, { "0b", 2 } };
	const char *unsigned_part = digits + (*digits == '-' || *digits == '+');
	gint64 n = 0;
	guint64 u;

	for (unsigned i = 0; i < G_N_ELEMENTS(bases); i++)
		if (g_str_has_prefix(digits, bases[i].prefix)) {
			if (!g_ascii_string_to_unsigned(
				    digits + 2, bases[i].base, 0, G_MAXINT64, &u, NULL))
				return false;
			*ret = json_integer((json_int_t)u);
			return true;
		}
	/* "01" is no number */
	if (unsigned_part[0] == '0' && unsigned_part[1])
		return false;
	if (!g_ascii_string_to_signed(
		    *digits == '+' ? digits + 1 : digits, 10, G_MININT64, G_MAXINT64, &n, NULL))
		return false;
	*ret = json_integer(n);
	return true;
}

static bool real(const char *digits, json_t **ret)
{
	const char *plain = digits + (*digits == '-' || *digits == '+');
	const char *dot = strchr(plain, '.');
	char *end;
	double d;

	/* JSON has no words for these */
	if (strcmp(plain, "inf") == 0 || strcmp(plain, "nan") == 0) {
		*ret = json_string(digits);
		return true;
	}
	if (!strpbrk(plain, ".eE") || (plain[0] == '0' && g_ascii_isdigit(plain[1])))
		return false;
	if (!g_ascii_isdigit(plain[0]) || strspn(plain, "0123456789.eE+-") != strlen(plain) ||
		(dot && !g_ascii_isdigit(dot[1])))
		return false;
	d = g_ascii_strtod(digits, &end);
	if (*end || !isfinite(d))
		return false;
	*ret = json_real(d);
	return true;
}

static int bare(struct toml *t, json_t **ret)
{
	const char *from = t->p;
	g_autofree char *word = NULL;
	g_autoptr(GString) digits = g_string_new(NULL);

	while (t->p < t->end && is_word_char(*t->p))
		t->p++;
	word = g_strndup(from, (size_t)(t->p - from));
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
		*ret = json_boolean(*word == 't');
		return 0;
	}
	if (is_date(word)) {
		/* "1979-05-27 07:32:00": a blank instead of the T */
		if (peek(t) == ' ' && t->p + 1 < t->end && g_ascii_isdigit(t->p[1])) {
			for (t->p++; t->p < t->end && is_word_char(*t->p);)
				t->p++;
			g_free(word);
			word = g_strndup(from, (size_t)(t->p - from));
		}
		*ret = json_string(word);
		return 0;
	}
	if (*word && without_marks(word, digits) &&
		(integer(digits->str, ret) || real(digits->str, ret)))
		return 0;
	return bad(t, "something is no value");
}

static int container(struct toml *t, json_t **ret)
{
	json_t *j;
	int r;

	if (++t->depth > TOML_DEPTH_MAX)
		return err_set(t->e, -E_LIMIT, "line %u: values are nested too deep", t->line);
	j = *t->p == '[' ? json_array() : json_object();
	r = *t->p == '[' ? array(t, j) : inline_table(t, j);
	t->depth--;
	if (r < 0) {
		json_decref(j);
		return r;
	}
	(void)g_hash_table_add(t->closed, j);
	*ret = j;
	return 0;
}

static int value(struct toml *t, json_t **ret)
{
	g_autofree char *s = NULL;
	int r;

	switch (peek(t)) {
	case '"':
	case '\'':
		r = string(t, false, &s);
		if (r >= 0)
			*ret = json_string(s);
		return r;
	case '[':
	case '{':
		return container(t, ret);
	default:
		return bare(t, ret);
	}
}

/* --- lines --------------------------------------------------------------------------------------------- */

/* [TABLE] or [[ARRAY OF TABLES]] */
static int header(struct toml *t, json_t *root, json_t **ret)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	bool many = at(t, "[[");
	json_t *above, *here;
	const char *last;
	int r;

	t->p += many ? 2 : 1;
	r = dotted_key(t, words);
	if (r < 0)
		return r;
	if (!at(t, many ? "]]" : "]"))
		return bad(t, "a ']' is missing");
	t->p += many ? 2 : 1;
	r = walk(t, root, words, words->len - 1, true, &above);
	if (r < 0)
		return r;
	last = words->pdata[words->len - 1];
	here = json_object_get(above, last);
	if (many) {
		if (here && (!json_is_array(here) || g_hash_table_contains(t->closed, here)))
			return bad(t, "a key is given twice");
		if (!here) {
			here = json_array();
			(void)json_object_set_new(above, last, here);
		}
		*ret = json_object();
		(void)json_array_append_new(here, *ret);
		return 0;
	}
	if (!here) {
		here = json_object();
		(void)json_object_set_new(above, last, here);
	} else if (!json_is_object(here) || g_hash_table_contains(t->closed, here) ||
		   g_hash_table_contains(t->headed, here)) {
		return bad(t, "a table is given twice");
	}
	(void)g_hash_table_add(t->headed, here);
	*ret = here;
	return 0;
}

static int lines(struct toml *t, json_t *root)
{
	json_t *table = root;
	int r = 0;

	while (r >= 0) {
		r = space(t);
		if (r < 0 || t->p >= t->end)
			break;
		r = *t->p == '[' ? header(t, root, &table) : assignment(t, table);
		if (r >= 0)
			r = end_of_line(t);
	}
	return r;
}

int toml_read(const char *text, size_t size, json_t **ret, struct err *e)
{
	g_autoptr(GHashTable) closed = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) headed = g_hash_table_new(NULL, NULL);
	struct toml t = {
		.p = text, .end = text + size, .line = 1, .e = e, .closed = closed, .headed = headed
	};
	json_t *root;
	int r;

	if (size > TOML_TEXT_MAX)
		return err_set(e, -E_LIMIT, "it is larger than %d bytes", TOML_TEXT_MAX);
	if (memchr(text, '\0', size))
		return err_set(e, -E_CORRUPT, "it holds a NUL");
	if (at(&t, "\xef\xbb\xbf"))
		t.p += 3;
	root = json_object();
	r = lines(&t, root);
	if (r < 0) {
		json_decref(root);
		return r;
	}
	*ret = root;
	return 0;
}
