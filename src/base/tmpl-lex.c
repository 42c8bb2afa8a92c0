/* SPDX-License-Identifier: MIT */

/* Go's text/template: text to tokens, and literals. */

#include <math.h>
#include <string.h>
#include "base/tmpl-priv.h"

struct lexer {
	const char *text;
	size_t at, n;
	GArray *tokens;
	int parens;
	struct err *e;
};

void tmpl_position(const char *text, size_t offset, int *ret_line, int *ret_column)
{
	int line = 1, column = 0;

	for (size_t i = 0; i < offset; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 0;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

static int fail(const struct lexer *l, size_t at, const char *fmt, ...) _printf_(3, 4);

static int fail(const struct lexer *l, size_t at, const char *fmt, ...)
{
	int line, column;
	va_list ap;

	tmpl_position(l->text, at, &line, &column);
	va_start(ap, fmt);
	err_vset(l->e, -E_INVALID, fmt, ap);
	va_end(ap);
	err_prefix(l->e, "template: :%d", line);
	return -E_INVALID;
}

static void emit(struct lexer *l, enum token_type type, size_t start, size_t end)
{
	struct token t = { type, start, end };

	g_array_append_val(l->tokens, t);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static gunichar rune_at(const struct lexer *l, size_t at)
{
	return at < l->n ? g_utf8_get_char_validated(l->text + at, (gssize)(l->n - at)) : 0;
}

static bool is_alnum(gunichar c)
{
	return c == '_' || (c < 0x110000 && g_unichar_isalnum(c));
}

/* Bytes of the identifier at `at`. */
static size_t word_length(const struct lexer *l, size_t at)
{
	size_t start = at;

	while (at < l->n && is_alnum(rune_at(l, at)))
		at = (size_t)(g_utf8_next_char(l->text + at) - l->text);
	return at - start;
}

static bool looking_at(const struct lexer *l, size_t at, const char *s)
{
	return strncmp(l->text + at, s, strlen(s)) == 0;
}

/* "-" with its blank, after "{{": the text before loses its blanks at the end. */
static bool left_trim(const struct lexer *l, size_t at)
{
	return at + 1 < l->n && l->text[at] == '-' && is_space(l->text[at + 1]);
}

/* A blank, "-", "}}" */
static bool right_trim(const struct lexer *l, size_t at)
{
	return at < l->n && is_space(l->text[at]) && looking_at(l, at + 1, "-}}");
}

static void skip_trimmed(struct lexer *l)
{
	while (l->at < l->n && is_space(l->text[l->at]))
		l->at++;
}

static int lex_comment(struct lexer *l, size_t open)
{
	const char *end = strstr(l->text + l->at + 2, "*/");

	if (!end)
		return fail(l, open, "unclosed comment");
	l->at = (size_t)(end + 2 - l->text);
	if (right_trim(l, l->at)) {
		l->at += 4;
		skip_trimmed(l);
		return 0;
	}
	if (!looking_at(l, l->at, "}}"))
		return fail(l, open, "comment ends before closing delimiter");
	l->at += 2;
	return 0;
}

static int lex_quoted(struct lexer *l, char quote, enum token_type type, const char *what)
{
	size_t start = l->at++;

	for (;; l->at++) {
		if (l->at >= l->n || l->text[l->at] == '\n')
			return fail(l, start, "unterminated %s", what);
		if (l->text[l->at] == '\\' && l->at + 1 < l->n && l->text[l->at + 1] != '\n')
			l->at++;
		else if (l->text[l->at] == quote)
			break;
	}
	l->at++;
	emit(l, type, start, l->at);
	return 0;
}

static int lex_raw(struct lexer *l)
{
	size_t start = l->at;
	const char *end = strchr(l->text + l->at + 1, '`');

	if (!end)
		return fail(l, start, "unterminated raw quoted string");
	l->at = (size_t)(end + 1 - l->text);
	emit(l, TOK_RAW_STRING, start, l->at);
	return 0;
}

/* All that may belong to a number; tmpl_literal() says whether it is one. */
static int lex_number(struct lexer *l)
{
	size_t start = l->at;
	bool hex;

	if (l->text[l->at] == '+' || l->text[l->at] == '-')
		l->at++;
	hex = looking_at(l, l->at, "0x") || looking_at(l, l->at, "0X");
	while (l->at < l->n) {
		char c = l->text[l->at], before = l->text[l->at - (l->at > start)];

		if ((c == '+' || c == '-') &&
			(hex ? before == 'p' || before == 'P' : before == 'e' || before == 'E'))
			l->at++;
		else if (c == '.' || is_alnum(rune_at(l, l->at)))
			l->at = (size_t)(g_utf8_next_char(l->text + l->at) - l->text);
		else
			break;
	}
	emit(l, TOK_NUMBER, start, l->at);
	return 0;
}

/* What may stand after a name without a blank. */
static bool ends_name(const struct lexer *l)
{
	return l->at >= l->n || is_space(l->text[l->at]) || strchr(".,|:=()", l->text[l->at]) ||
	       looking_at(l, l->at, "}}");
}

static int bad_character(const struct lexer *l)
{
	gunichar c = rune_at(l, l->at);

	if (c >= 0x110000)
		return fail(l, l->at, "bad character in action");
	return fail(l, l->at, "bad character U+%04X in action", (unsigned)c);
}

static int lex_name(struct lexer *l, enum token_type type, size_t before)
{
	size_t start = l->at;

	l->at += before;
	l->at += word_length(l, l->at);
	if (!ends_name(l))
		return bad_character(l);
	emit(l, type, start, l->at);
	return 0;
}

static bool starts_number(const struct lexer *l)
{
	const char *p = l->text + l->at;

	if (*p == '+' || *p == '-')
		p++;
	if (*p == '.')
		p++;
	return g_ascii_isdigit(*p);
}

static int lex_sign(struct lexer *l, enum token_type type, size_t n)
{
	emit(l, type, l->at, l->at + n);
	l->at += n;
	return 0;
}

/* One token inside an action. */
static int lex_inside(struct lexer *l)
{
	size_t start = l->at;
	char c = l->text[l->at];

	switch (c) {
	case '"':
		return lex_quoted(l, '"', TOK_STRING, "quoted string");
	case '\'':
		return lex_quoted(l, '\'', TOK_CHAR, "character constant");
	case '`':
		return lex_raw(l);
	case '|':
		return lex_sign(l, TOK_PIPE, 1);
	case ',':
		return lex_sign(l, TOK_COMMA, 1);
	case '=':
		return lex_sign(l, TOK_ASSIGN, 1);
	case ':':
		if (l->text[l->at + 1] != '=')
			return fail(l, start, "expected :=");
		return lex_sign(l, TOK_DECLARE, 2);
	case '(':
		l->parens++;
		return lex_sign(l, TOK_LPAREN, 1);
	case ')':
		if (--l->parens < 0)
			return fail(l, start, "unexpected right paren");
		return lex_sign(l, TOK_RPAREN, 1);
	case '$':
		return lex_name(l, TOK_VARIABLE, 1);
	default:
		break;
	}
	if (is_space(c)) {
		while (l->at < l->n && is_space(l->text[l->at]) && !right_trim(l, l->at))
			l->at++;
		emit(l, TOK_SPACE, start, l->at);
		return 0;
	}
	if (starts_number(l))
		return lex_number(l);
	if (c == '.')
		return word_length(l, l->at + 1) ? lex_name(l, TOK_FIELD, 1)
						 : lex_sign(l, TOK_DOT, 1);
	if (is_alnum(rune_at(l, l->at)))
		return lex_name(l, TOK_WORD, 0);
	return bad_character(l);
}

/* From "{{" on. */
static int lex_action(struct lexer *l)
{
	size_t open = l->at;
	int r;

	l->at += 2;
	if (left_trim(l, l->at))
		l->at += 2;
	if (looking_at(l, l->at, "/*"))
		return lex_comment(l, open);
	emit(l, TOK_OPEN, open, l->at);
	l->parens = 0;
	for (;;) {
		bool trim = right_trim(l, l->at);

		if (l->at >= l->n)
			return fail(l, open, "unclosed action");
		if (trim || looking_at(l, l->at, "}}")) {
			size_t start = l->at;

			if (l->parens)
				return fail(l, open, "unclosed left paren");
			l->at += trim ? 4 : 2;
			emit(l, TOK_CLOSE, start, l->at);
			if (trim)
				skip_trimmed(l);
			return 0;
		}
		r = lex_inside(l);
		if (r < 0)
			return r;
	}
}

int tmpl_lex(const char *text, GArray **ret, struct err *e)
{
	struct lexer l = {
		.text = text,
		.n = strlen(text),
		.tokens = g_array_new(FALSE, FALSE, sizeof(struct token)),
		.e = e,
	};
	int r = 0;

	while (r == 0 && l.at < l.n) {
		const char *open = strstr(text + l.at, "{{");
		size_t end = open ? (size_t)(open - text) : l.n, start = l.at;

		l.at = end;
		if (open && left_trim(&l, end + 2))
			while (end > start && is_space(text[end - 1]))
				end--;
		if (end > start)
			emit(&l, TOK_TEXT, start, end);
		if (open)
			r = lex_action(&l);
	}
	emit(&l, TOK_EOF, l.n, l.n);
	if (r < 0)
		g_array_free(l.tokens, TRUE);
	else
		*ret = l.tokens;
	return r;
}

/* --- literals ---------------------------------------------------------------------------------------- */

/* n digits of base 8 or 16 at *p. -1: not there. */
static int64_t read_digits(const char **p, int n, int base)
{
	int64_t v = 0;

	for (; n > 0; n--, (*p)++) {
		int d = g_ascii_xdigit_value(**p);

		if (d < 0 || d >= base)
			return -1;
		v = v * base + d;
	}
	return v;
}

/* What follows a backslash, as Go's strconv.Unquote; *p moves on. A rune, or a byte (*ret_byte). -1: bad. */
static int64_t read_escape(const char **p, char quote, bool *ret_byte)
{
	static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
	const char *at;
	int64_t v;
	char c = *(*p)++;

	*ret_byte = false;
	at = c ? strchr(letters, c) : NULL;
	if (at)
		return values[at - letters];
	if (c == quote)
		return c;
	if (c == 'x') {
		*ret_byte = true;
		return read_digits(p, 2, 16);
	}
	if (c >= '0' && c <= '7') {
		(*p)--;
		*ret_byte = true;
		v = read_digits(p, 3, 8);
		return v > 255 ? -1 : v;
	}
	if (c == 'u' || c == 'U') {
		v = read_digits(p, c == 'u' ? 4 : 8, 16);
		return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? -1 : v;
	}
	return -1;
}

/* s without its quotes. NULL: not Go's syntax. */
static GString *unquote(const char *s, size_t n)
{
	GString *out = g_string_new(NULL);
	g_autofree char *inside = g_strndup(s + 1, n - 2);
	const char *p = inside;

	while (*p) {
		bool byte;
		int64_t v;

		if (*p != '\\') {
			g_string_append_c(out, *p++);
			continue;
		}
		p++;
		v = read_escape(&p, *s, &byte);
		if (v < 0) {
			g_string_free(out, TRUE);
			return NULL;
		}
		if (byte)
			g_string_append_c(out, (char)v);
		else
			g_string_append_unichar(out, (gunichar)v);
	}
	return out;
}

/* A character constant is the number of its rune. */
static json_t *read_char(const char *s, size_t n)
{
	GString *inside = unquote(s, n);
	json_t *v = NULL;
	gunichar c;

	if (!inside)
		return NULL;
	c = g_utf8_get_char_validated(inside->str, (gssize)inside->len);
	if (inside->len == 1)
		v = json_integer((unsigned char)inside->str[0]);
	else if (inside->len && c < 0x110000 &&
		 inside->str + inside->len == g_utf8_next_char(inside->str))
		v = json_integer(c);
	g_string_free(inside, TRUE);
	return v;
}

/* Digits without sign and "_": a whole number in base. */
static json_t *read_whole(const char *s, int base, bool negative)
{
	uint64_t v = 0, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;

	if (!*s)
		return NULL;
	for (; *s; s++) {
		int d = g_ascii_xdigit_value(*s);

		if (d < 0 || d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
			__builtin_add_overflow(v, (uint64_t)d, &v) || v > most)
			return NULL;
	}
	return json_integer((json_int_t)(negative ? -v : v));
}

static bool is_real(const char *s, bool hex)
{
	return hex ? strpbrk(s, "pP") != NULL : strpbrk(s, ".eE") != NULL;
}

/* "_" only between digits, or after the base's prefix. */
static bool strip_underscores(GString *s)
{
	for (gsize i = 0; i < s->len;) {
		if (s->str[i] != '_') {
			i++;
			continue;
		}
		if (i == 0 || !g_ascii_isxdigit(s->str[i + 1]) ||
			(!g_ascii_isxdigit(s->str[i - 1]) && !(i == 2 && s->str[0] == '0')))
			return false;
		g_string_erase(s, (gssize)i, 1);
	}
	return true;
}

/* Go's numbers: 12, 1_000, 0x1f, 0o17, 017, 0b101, 1.5e3, 0x1p-2. NULL: none of them. */
static json_t *read_number(const char *text, size_t n)
{
	bool negative = *text == '-', hex;
	size_t sign = negative || *text == '+';
	GString *s = g_string_new_len(text + sign, (gssize)(n - sign));
	json_t *v = NULL;
	const char *p = s->str;
	char *end;
	double d;

	if (!strip_underscores(s)) {
		g_string_free(s, TRUE);
		return NULL;
	}
	hex = g_ascii_strncasecmp(p, "0x", 2) == 0;
	if (is_real(p, hex)) {
		d = g_ascii_strtod(p, &end);
		if (!*end && isfinite(d))
			v = json_real(negative ? -d : d);
	} else if (hex) {
		v = read_whole(p + 2, 16, negative);
	} else if (g_ascii_strncasecmp(p, "0o", 2) == 0) {
		v = read_whole(p + 2, 8, negative);
	} else if (g_ascii_strncasecmp(p, "0b", 2) == 0) {
		v = read_whole(p + 2, 2, negative);
	} else {
		v = read_whole(p, *p == '0' && p[1] ? 8 : 10, negative);
	}
	g_string_free(s, TRUE);
	return v;
}

int tmpl_literal(const char *text, const struct token *token, json_t **ret, struct err *e)
{
	struct lexer l = { .text = text, .e = e };
	const char *s = text + token->start;
	size_t n = token->end - token->start;
	GString *string;
	json_t *v = NULL;

	if (token->type == TOK_NUMBER) {
		v = read_number(s, n);
		if (!v)
			return fail(&l, token->start, "bad number syntax: \"%.*s\"", (int)n, s);
	} else if (token->type == TOK_CHAR) {
		v = read_char(s, n);
		if (!v)
			return fail(
				&l, token->start, "malformed character constant: %.*s", (int)n, s);
	} else if (token->type == TOK_RAW_STRING) {
		v = json_stringn_nocheck(s + 1, n - 2);
	} else {
		string = unquote(s, n);
		if (!string)
			return fail(&l, token->start, "invalid syntax in string %.*s", (int)n, s);
		v = json_stringn_nocheck(string->str, string->len);
		g_string_free(string, TRUE);
	}
	*ret = v;
	return 0;
}
