/* SPDX-License-Identifier: MIT */

/* Go's fmt and JSON encoder over the values of a template. */

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/tmpl-priv.h"

#define REAL_PRECISION_MAX 1100 /* no double has more digits */

/* One verb with its flags: "%-10.3s". */
struct spec {
	bool minus, plus, sharp, space, zero;
	bool has_width, has_precision;
	int width, precision;
	gunichar verb;
};

static void show_value(GString *out, const struct spec *s, const json_t *v, int depth);

const char *tmpl_type_name(const json_t *v)
{
	if (!v)
		return "<nil>";
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "map[string]interface {}";
	case JSON_ARRAY:
		return "[]interface {}";
	case JSON_STRING:
		return "string";
	case JSON_INTEGER:
		return "int";
	case JSON_REAL:
		return "float64";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	default:
		return "<nil>";
	}
}

/* --- padding ----------------------------------------------------------------------------------------- */

/* text to the width; zeros go after a sign when number is set. */
static void put_padded(GString *out, const struct spec *s, const char *text, gsize n, bool number)
{
	glong have = g_utf8_strlen(text, (gssize)n);
	gsize pad = s->has_width && s->width > have ? (gsize)(s->width - have) : 0;
	gsize sign = number && n && (*text == '-' || *text == '+' || *text == ' ');

	if (s->minus) {
		g_string_append_len(out, text, (gssize)n);
		for (; pad; pad--)
			g_string_append_c(out, ' ');
		return;
	}
	if (!s->zero)
		sign = 0;
	g_string_append_len(out, text, (gssize)sign);
	for (; pad; pad--)
		g_string_append_c(out, s->zero ? '0' : ' ');
	g_string_append_len(out, text + sign, (gssize)(n - sign));
}

static void put_text(GString *out, const struct spec *s, GString *text, bool number)
{
	put_padded(out, s, text->str, text->len, number);
	g_string_free(text, TRUE);
}

/* --- strings ----------------------------------------------------------------------------------------- */

static bool go_printable(gunichar c)
{
	return c == ' ' || (g_unichar_isprint(c) && !g_unichar_isspace(c));
}

static void quote_rune(GString *out, gunichar c, char quote, bool ascii)
{
	static const char letters[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
	const char *at = c && c < 128 ? strchr(values, (int)c) : NULL;

	if (c == (gunichar)quote || c == '\\')
		g_string_append_printf(out, "\\%c", (char)c);
	else if (at)
		g_string_append_printf(out, "\\%c", letters[at - values]);
	else if (go_printable(c) && (c < 128 || !ascii))
		g_string_append_unichar(out, c);
	else if (c < ' ' || c == 0x7f)
		g_string_append_printf(out, "\\x%02x", (unsigned)c);
	else if (c < 0x10000)
		g_string_append_printf(out, "\\u%04x", (unsigned)c);
	else
		g_string_append_printf(out, "\\U%08x", (unsigned)c);
}

/* The rune at p of at most n bytes, and its length; 0xfffd and 1 for a byte that begins none. */
static gunichar rune_at(const char *p, gsize n, gsize *ret_length)
{
	gunichar c = g_utf8_get_char_validated(p, (gssize)n);

	if (*p == '\0' || c >= 0x110000) {
		*ret_length = 1;
		return *p ? 0xfffd : 0;
	}
	*ret_length = (gsize)(g_utf8_next_char(p) - p);
	return c;
}

static void quote_string(GString *out, const char *p, gsize n, bool ascii)
{
	gsize length;

	g_string_append_c(out, '"');
	for (; n; p += length, n -= length) {
		gunichar c = rune_at(p, n, &length);

		if (c == 0xfffd && length == 1)
			g_string_append_printf(out, "\\x%02x", (unsigned char)*p);
		else
			quote_rune(out, c, '"', ascii);
	}
	g_string_append_c(out, '"');
}

static bool can_backquote(const char *p, gsize n)
{
	for (gsize i = 0; i < n; i++)
		if ((p[i] >= 0 && p[i] < ' ' && p[i] != '\t') || p[i] == '`' || p[i] == 0x7f)
			return false;
	return g_utf8_validate(p, (gssize)n, NULL);
}

static void put_hex(GString *out, const struct spec *s, const char *p, gsize n)
{
	const char *digits = s->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	GString *text = g_string_new(NULL);

	if (s->has_precision)
		n = MIN(n, (gsize)s->precision);
	for (gsize i = 0; i < n; i++) {
		if (i && s->space)
			g_string_append_c(text, ' ');
		if (s->sharp && (i == 0 || s->space))
			g_string_append_printf(text, "0%c", (char)s->verb);
		g_string_append_c(text, digits[(unsigned char)p[i] >> 4]);
		g_string_append_c(text, digits[(unsigned char)p[i] & 15]);
	}
	put_text(out, s, text, false);
}

/* The first `most` runes. */
static gsize cut_runes(const char *p, gsize n, int most)
{
	gsize at = 0, length;

	for (; at < n && most > 0; most--, at += length)
		(void)rune_at(p + at, n - at, &length);
	return at;
}

static bool show_string(GString *out, const struct spec *s, const json_t *v)
{
	const char *p = json_string_value(v);
	gsize n = json_string_length(v);
	GString *text;

	if (s->verb == 'x' || s->verb == 'X') {
		put_hex(out, s, p, n);
		return true;
	}
	if (s->verb != 'v' && s->verb != 's' && s->verb != 'q')
		return false;
	if (s->has_precision)
		n = cut_runes(p, n, s->precision);
	if (s->verb == 'q' && s->sharp && can_backquote(p, n)) {
		text = g_string_new("`");
		g_string_append_len(text, p, (gssize)n);
		g_string_append_c(text, '`');
	} else if (s->verb == 'q' || (s->verb == 'v' && s->sharp)) {
		text = g_string_new(NULL);
		quote_string(text, p, n, s->verb == 'q' && s->plus);
	} else {
		put_padded(out, s, p, n, false);
		return true;
	}
	put_text(out, s, text, false);
	return true;
}

/* --- numbers ----------------------------------------------------------------------------------------- */

static void put_rune(GString *out, const struct spec *s, int64_t n)
{
	gunichar c = n < 0 || n > 0x10ffff || (n >= 0xd800 && n < 0xe000) ? 0xfffd : (gunichar)n;
	struct spec plain = *s;
	GString *text = g_string_new(NULL);

	plain.zero = false;
	if (s->verb == 'c') {
		g_string_append_unichar(text, c);
		if (!c)
			g_string_append_c(text, '\0');
	} else if (s->verb == 'q') {
		g_string_append_c(text, '\'');
		quote_rune(text, c, '\'', s->plus);
		g_string_append_c(text, '\'');
	} else {
		g_string_append_printf(text, "U+%04" G_GINT64_MODIFIER "X", n);
		if (s->sharp && go_printable(c)) {
			g_string_append(text, " '");
			g_string_append_unichar(text, c);
			g_string_append_c(text, '\'');
		}
	}
	put_text(out, &plain, text, false);
}

static int verb_base(gunichar verb)
{
	switch (verb) {
	case 'v':
	case 'd':
		return 10;
	case 'b':
		return 2;
	case 'o':
	case 'O':
		return 8;
	case 'x':
	case 'X':
		return 16;
	default:
		return 0;
	}
}

static bool show_integer(GString *out, const struct spec *s, int64_t n)
{
	const char *digits = s->verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
	int base = verb_base(s->verb), least = s->has_precision ? s->precision : 1;
	struct spec plain = *s;
	GString *text;
	char buffer[64];
	gsize at = sizeof(buffer);

	if (s->verb == 'c' || s->verb == 'q' || s->verb == 'U') {
		put_rune(out, s, n);
		return true;
	}
	if (!base)
		return false;
	for (; left; left /= (uint64_t)base)
		buffer[--at] = digits[left % (uint64_t)base];
	text = g_string_new(n < 0 ? "-" : s->plus && s->verb != 'v' ? "+" : s->space ? " " : "");
	if (s->verb == 'O')
		g_string_append(text, "0o");
	else if (s->sharp && base == 16)
		g_string_append(text, s->verb == 'X' ? "0X" : "0x");
	else if (s->sharp && base == 2)
		g_string_append(text, "0b");
	else if (s->sharp && base == 8 && (at == sizeof(buffer) || buffer[at] != '0'))
		g_string_append_c(text, '0');
	/* a width of zeros counts as digits: before them stand the sign and "0x" */
	if (s->zero && !s->minus && s->has_width && !s->has_precision) {
		least = s->width - (n < 0 || s->plus || s->space);
		plain.has_width = false;
	}
	for (int i = (int)(sizeof(buffer) - at); i < least; i++)
		g_string_append_c(text, '0');
	g_string_append_len(text, buffer + at, (gssize)(sizeof(buffer) - at));
	plain.zero = false;
	put_text(out, &plain, text, true);
	return true;
}

/* Digits of d (finite, not negative) that read back as d, and the exponent of the first. */
static int shortest_digits(double d, char digits[20])
{
	char text[40], *e;
	int n = 0;

	for (int precision = 0; precision < 17; precision++) {
		(void)snprintf(text, sizeof(text), "%.*e", precision, d);
		if (g_ascii_strtod(text, NULL) == d)
			break;
	}
	e = strchr(text, 'e');
	for (char *p = text; p < e; p++)
		if (g_ascii_isdigit(*p) && n < 19)
			digits[n++] = *p;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
	return atoi(e + 1);
}

static void put_exponent(GString *out, char letter, int exponent)
{
	g_string_append_printf(out, "%c%c%02d", letter, exponent < 0 ? '-' : '+', ABS(exponent));
}

static void append_scientific(GString *out, const char *digits, int exponent, char letter)
{
	g_string_append_c(out, digits[0]);
	if (digits[1])
		g_string_append_printf(out, ".%s", digits + 1);
	put_exponent(out, letter, exponent);
}

static void append_plain(GString *out, const char *digits, int exponent)
{
	int n = (int)strlen(digits);

	if (exponent < 0) {
		g_string_append(out, "0.");
		for (int i = -1; i > exponent; i--)
			g_string_append_c(out, '0');
		g_string_append(out, digits);
		return;
	}
	for (int i = 0; i < MAX(n, exponent + 1); i++) {
		if (i == exponent + 1)
			g_string_append_c(out, '.');
		g_string_append_c(out, i < n ? digits[i] : '0');
	}
}

/* d >= 0 with the fewest digits, for 'g' and 'G': an exponent for 1e6 and more, as Go. */
static void append_shortest(GString *out, double d, char verb)
{
	char digits[20];
	int exponent = shortest_digits(d, digits);

	if (exponent < -4 || exponent >= 6)
		append_scientific(out, digits, exponent, verb == 'G' ? 'E' : 'e');
	else
		append_plain(out, digits, exponent);
}

/* 0x1.8p+01: C's with at least two digits of exponent. */
static void append_hex_real(GString *out, const struct spec *s, double d)
{
	char text[64], *p;

	if (s->has_precision)
		(void)snprintf(text, sizeof(text), "%.*a", MIN(s->precision, 20), d);
	else
		(void)snprintf(text, sizeof(text), "%a", d);
	p = strchr(text, 'p');
	*p = '\0';
	g_string_append(out, text);
	put_exponent(out, 'p', atoi(p + 1));
	if (s->verb == 'X')
		g_string_ascii_up(out);
}

/* 4503599627370496p-52: mantissa and exponent of two. */
static void append_binary_real(GString *out, double d)
{
	int exponent = -1074;
	double mantissa = d;

	if (d >= 0x1p-1022) {
		mantissa = ldexp(frexp(d, &exponent), 53);
		exponent -= 53;
	} else {
		mantissa = ldexp(d, 1074);
	}
	g_string_append_printf(out, "%.0fp%+d", mantissa, exponent);
}

/* C's conversion: same as Go's for a given precision. */
static void append_precise(GString *out, const struct spec *s, char verb, int precision, double d)
{
	char format[] = { '%', '#', '.', '*', verb, '\0' };
	g_autofree char *text = NULL;

	precision = MIN(precision, REAL_PRECISION_MAX);
	if (!s->sharp)
		memmove(format + 1, format + 2, 4);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	text = g_strdup_printf(format, precision, d);
#pragma GCC diagnostic pop
	g_string_append(out, text);
}

static bool show_real(GString *out, const struct spec *s, double d)
{
	static const char verbs[] = "vbgGxXfFeE";
	char verb = s->verb < 128 && s->verb && strchr(verbs, (int)s->verb) ? (char)s->verb : 0;
	GString *body, *text;

	if (!verb)
		return false;
	text = g_string_new(signbit(d) ? "-" : s->plus && verb != 'v' ? "+" : s->space ? " " : "");
	body = g_string_new(NULL);
	d = fabs(d);
	if (verb == 'b')
		append_binary_real(body, d);
	else if (verb == 'x' || verb == 'X')
		append_hex_real(body, s, d);
	else if (verb == 'v')
		s->has_precision ? append_precise(body, s, 'g', s->precision, d)
				 : append_shortest(body, d, 'g');
	else if (s->has_precision)
		append_precise(body, s, verb, s->precision, d);
	else if (verb == 'g' || verb == 'G')
		append_shortest(body, d, verb);
	else
		append_precise(body, s, verb, 6, d);
	g_string_append_len(text, body->str, (gssize)body->len);
	g_string_free(body, TRUE);
	put_text(out, s, text, true);
	return true;
}

/* --- lists and maps ---------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in order, borrowed. g_ptr_array_free. */
static GPtrArray *sorted_names(const json_t *object)
{
	GPtrArray *names = g_ptr_array_new();
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
		g_ptr_array_add(names, (char *)name);
	g_ptr_array_sort(names, compare_names);
	return names;
}

static void show_map(GString *out, const struct spec *s, const json_t *v, int depth)
{
	bool go = s->verb == 'v' && s->sharp;
	GPtrArray *names = sorted_names(v);

	g_string_append(out, go ? "map[string]interface {}{" : "map[");
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		json_t *key = json_string_nocheck(name);

		if (i)
			g_string_append(out, go ? ", " : " ");
		show_value(out, s, key, depth + 1);
		g_string_append_c(out, ':');
		show_value(out, s, json_object_get(v, name), depth + 1);
		json_decref(key);
	}
	g_string_append_c(out, go ? '}' : ']');
	g_ptr_array_free(names, TRUE);
}

static void show_list(GString *out, const struct spec *s, const json_t *v, int depth)
{
	bool go = s->verb == 'v' && s->sharp;
	const json_t *kid;
	size_t i;

	g_string_append(out, go ? "[]interface {}{" : "[");
	json_array_foreach(v, i, kid) {
		if (i)
			g_string_append(out, go ? ", " : " ");
		show_value(out, s, kid, depth + 1);
	}
	g_string_append_c(out, go ? '}' : ']');
}

static void bad_verb(GString *out, const struct spec *s, const json_t *v, int depth)
{
	const struct spec plain = { .verb = 'v' };

	g_string_append(out, "%!");
	g_string_append_unichar(out, s->verb);
	g_string_append_c(out, '(');
	if (v && !json_is_null(v)) {
		g_string_append_printf(out, "%s=", tmpl_type_name(v));
		show_value(out, &plain, v, depth + 1);
	} else {
		g_string_append(out, "<nil>");
	}
	g_string_append_c(out, ')');
}

static void show_value(GString *out, const struct spec *s, const json_t *v, int depth)
{
	bool known = true;

	/* jansson's own limit of depth is above this */
	if (out->len > TMPL_OUT_MAX || depth > 2500)
		return;
	if (s->verb == 'T') {
		const char *type = tmpl_type_name(v);

		put_padded(out, s, type, strlen(type), false);
		return;
	}
	if (!v || json_is_null(v)) {
		if (s->verb == 'v')
			put_padded(out, s, "<nil>", 5, false);
		else
			bad_verb(out, s, v, depth);
		return;
	}
	if (json_is_array(v))
		show_list(out, s, v, depth);
	else if (json_is_object(v))
		show_map(out, s, v, depth);
	else if (json_is_string(v))
		known = show_string(out, s, v);
	else if (json_is_integer(v))
		known = show_integer(out, s, json_integer_value(v));
	else if (json_is_real(v))
		known = show_real(out, s, json_real_value(v));
	else if (s->verb == 'v' || s->verb == 't')
		put_padded(
			out, s, json_is_true(v) ? "true" : "false", json_is_true(v) ? 4 : 5, false);
	else
		known = false;
	if (!known)
		bad_verb(out, s, v, depth);
}

void tmpl_show(GString *out, const json_t *v)
{
	const struct spec plain = { .verb = 'v' };

	show_value(out, &plain, v, 0);
}

void tmpl_print(GString *out, json_t *const *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i && !json_is_string(args[i]) && !json_is_string(args[i - 1]))
			g_string_append_c(out, ' ');
		tmpl_show(out, args[i]);
	}
}

void tmpl_println(GString *out, json_t *const *args, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			g_string_append_c(out, ' ');
		tmpl_show(out, args[i]);
	}
	g_string_append_c(out, '\n');
}

/* --- printf ------------------------------------------------------------------------------------------ */

struct formatter {
	GString *out;
	const char *p; /* in the format */
	json_t *const *args;
	size_t n, at;	 /* at: the next argument */
	bool reordered;	 /* "%[2]d" was there: what isn't used is no mistake */
	bool good_index; /* the last "[n]" was right */
};

static const json_t *next_arg(struct formatter *f)
{
	return f->args[f->at++];
}

/* Digits; -1: none or too many. */
static int read_int(struct formatter *f)
{
	int64_t n = 0;

	if (!g_ascii_isdigit(*f->p))
		return -1;
	for (; g_ascii_isdigit(*f->p); f->p++)
		n = MIN(n * 10 + (*f->p - '0'), TMPL_WIDTH_MAX + 1);
	return n > TMPL_WIDTH_MAX ? -1 : (int)n;
}

/* "[2]" */
static void read_index(struct formatter *f)
{
	const char *close;
	int n;

	if (*f->p != '[')
		return;
	f->reordered = true;
	close = strchr(f->p, ']');
	if (!close) {
		f->good_index = false;
		f->p++;
		return;
	}
	f->p++;
	n = read_int(f);
	if (n < 1 || f->p != close || (size_t)n > f->n)
		f->good_index = false;
	else
		f->at = (size_t)(n - 1);
	f->p = close + 1;
}

/* The value of "*". */
static bool star(struct formatter *f, int *ret)
{
	const json_t *v;

	f->p++;
	if (f->at >= f->n)
		return false;
	v = next_arg(f);
	if (!json_is_integer(v) || ABS(json_integer_value(v)) > TMPL_WIDTH_MAX)
		return false;
	*ret = (int)json_integer_value(v);
	return true;
}

static void read_flags(struct formatter *f, struct spec *s)
{
	for (;; f->p++) {
		switch (*f->p) {
		case '-':
			s->minus = true;
			break;
		case '+':
			s->plus = true;
			break;
		case '#':
			s->sharp = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '0':
			s->zero = true;
			break;
		default:
			return;
		}
	}
}

static void read_width(struct formatter *f, struct spec *s)
{
	read_index(f);
	if (*f->p == '*') {
		s->has_width = star(f, &s->width);
		if (!s->has_width)
			g_string_append(f->out, "%!(BADWIDTH)");
		if (s->width < 0) {
			s->width = -s->width;
			s->minus = true;
		}
		return;
	}
	if (!g_ascii_isdigit(*f->p))
		return;
	s->width = read_int(f);
	s->has_width = s->width >= 0;
	if (!s->has_width)
		g_string_append(f->out, "%!(BADWIDTH)");
}

static void read_precision(struct formatter *f, struct spec *s)
{
	if (*f->p != '.')
		return;
	f->p++;
	read_index(f);
	if (*f->p == '*') {
		s->has_precision = star(f, &s->precision) && s->precision >= 0;
		if (!s->has_precision)
			g_string_append(f->out, "%!(BADPREC)");
		return;
	}
	s->has_precision = true;
	s->precision = g_ascii_isdigit(*f->p) ? read_int(f) : 0;
	if (s->precision < 0) {
		s->has_precision = false;
		g_string_append(f->out, "%!(BADPREC)");
	}
}

/* After "%". */
static void one_verb(struct formatter *f)
{
	struct spec s = {};
	gsize length;

	f->good_index = true;
	read_flags(f, &s);
	read_width(f, &s);
	read_precision(f, &s);
	read_index(f);
	if (!*f->p) {
		g_string_append(f->out, "%!(NOVERB)");
		return;
	}
	s.verb = rune_at(f->p, strlen(f->p), &length);
	f->p += length;
	if (s.minus)
		s.zero = false;
	if (s.verb == '%') {
		g_string_append_c(f->out, '%');
	} else if (!f->good_index) {
		g_string_append(f->out, "%!");
		g_string_append_unichar(f->out, s.verb);
		g_string_append(f->out, "(BADINDEX)");
	} else if (f->at >= f->n) {
		g_string_append(f->out, "%!");
		g_string_append_unichar(f->out, s.verb);
		g_string_append(f->out, "(MISSING)");
	} else {
		show_value(f->out, &s, next_arg(f), 0);
	}
}

static void extra_args(struct formatter *f)
{
	if (f->reordered || f->at >= f->n)
		return;
	g_string_append(f->out, "%!(EXTRA ");
	for (size_t i = f->at; i < f->n; i++) {
		if (i > f->at)
			g_string_append(f->out, ", ");
		if (f->args[i] && !json_is_null(f->args[i]))
			g_string_append_printf(f->out, "%s=", tmpl_type_name(f->args[i]));
		tmpl_show(f->out, f->args[i]);
	}
	g_string_append_c(f->out, ')');
}

int tmpl_printf(GString *out, const char *format, json_t *const *args, size_t n)
{
	struct formatter f = { .out = out, .p = format, .args = args, .n = n };

	while (*f.p) {
		const char *percent = strchrnul(f.p, '%');

		g_string_append_len(out, f.p, percent - f.p);
		f.p = percent;
		if (!*f.p)
			break;
		f.p++;
		one_verb(&f);
		if (out->len > TMPL_OUT_MAX)
			return -E_LIMIT;
	}
	extra_args(&f);
	return out->len > TMPL_OUT_MAX ? -E_LIMIT : 0;
}

/* --- JSON -------------------------------------------------------------------------------------------- */

static void json_text(GString *out, const char *p, gsize n)
{
	static const char letters[] = "bfnrt\"\\", values[] = "\b\f\n\r\t\"\\";
	gsize length;

	g_string_append_c(out, '"');
	for (; n; p += length, n -= length) {
		gunichar c = rune_at(p, n, &length);
		const char *at = c && c < 128 ? strchr(values, (int)c) : NULL;

		if (at)
			g_string_append_printf(out, "\\%c", letters[at - values]);
		else if (c < ' ' || c == 0x2028 || c == 0x2029 || (c == 0xfffd && length == 1))
			g_string_append_printf(out, "\\u%04x", (unsigned)c);
		else
			g_string_append_len(out, p, (gssize)length);
	}
	g_string_append_c(out, '"');
}

/* Go's encoder: as %g but plain from 1e-6 on, and "e-7" for "e-07". */
static void json_real_text(GString *out, double d)
{
	char digits[20];
	int exponent;

	if (signbit(d))
		g_string_append_c(out, '-');
	exponent = shortest_digits(fabs(d), digits);
	if (d != 0 && (exponent < -6 || exponent >= 21)) {
		append_scientific(out, digits, exponent, 'e');
		if (out->str[out->len - 2] == '0' && out->str[out->len - 3] == '-')
			g_string_erase(out, (gssize)out->len - 2, 1);
	} else {
		append_plain(out, digits, exponent);
	}
}

static void json_value(GString *out, const json_t *v, int depth)
{
	const char *name;
	const json_t *kid;
	size_t i;
	char comma = 0;

	if (depth > 2500 || out->len > TMPL_OUT_MAX)
		return;
	if (!v || json_is_null(v)) {
		g_string_append(out, "null");
	} else if (json_is_boolean(v)) {
		g_string_append(out, json_is_true(v) ? "true" : "false");
	} else if (json_is_integer(v)) {
		g_string_append_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_real(v)) {
		json_real_text(out, json_real_value(v));
	} else if (json_is_string(v)) {
		json_text(out, json_string_value(v), json_string_length(v));
	} else if (json_is_array(v)) {
		g_string_append_c(out, '[');
		json_array_foreach(v, i, kid) {
			if (i)
				g_string_append_c(out, ',');
			json_value(out, kid, depth + 1);
		}
		g_string_append_c(out, ']');
	} else {
		g_string_append_c(out, '{');
		json_object_foreach((json_t *)v, name, kid) {
			if (comma)
				g_string_append_c(out, comma);
			comma = ',';
			json_text(out, name, strlen(name));
			g_string_append_c(out, ':');
			json_value(out, kid, depth + 1);
		}
		g_string_append_c(out, '}');
	}
}

void tmpl_json(GString *out, const json_t *v)
{
	json_value(out, v, 0);
}
