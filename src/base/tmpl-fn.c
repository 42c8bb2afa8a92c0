/* SPDX-License-Identifier: MIT */

/* The functions of a template: Go's predefined ones, and docker's. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/tmpl-priv.h"

static int why(struct tmpl_call *call, const char *fmt, ...) _printf_(2, 3);

static int why(struct tmpl_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call->why = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	return -E_INVALID;
}

static int too_long(struct tmpl_call *call)
{
	(void)why(call, "text of more than %d bytes", TMPL_OUT_MAX);
	return -E_LIMIT;
}

static bool is_nil(const json_t *v)
{
	return !v || json_is_null(v);
}

bool tmpl_truth(const json_t *v)
{
	if (is_nil(v))
		return false;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return json_object_size(v) > 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	case JSON_STRING:
		return json_string_length(v) > 0;
	case JSON_INTEGER:
		return json_integer_value(v) != 0;
	case JSON_REAL:
		return json_real_value(v) != 0;
	default:
		return json_is_true(v);
	}
}

/* Takes text. */
static int give_text(struct tmpl_call *call, GString *text)
{
	bool fits = text->len <= TMPL_OUT_MAX;

	if (fits)
		call->result = json_stringn_nocheck(text->str, text->len);
	g_string_free(text, TRUE);
	return fits ? 0 : too_long(call);
}

/* Argument i as a string, or a failure. */
static int string_arg(struct tmpl_call *call, size_t i, const char **ret, size_t *ret_n)
{
	const json_t *v = call->args[i];

	*ret = "";
	*ret_n = 0;
	if (is_nil(v))
		return why(call, "invalid value; expected string");
	if (!json_is_string(v))
		return why(
			call, "wrong type for value; expected string; got %s", tmpl_type_name(v));
	*ret = json_string_value(v);
	*ret_n = json_string_length(v);
	return 0;
}

static int int_arg(struct tmpl_call *call, size_t i, int64_t *ret)
{
	const json_t *v = call->args[i];

	*ret = 0;
	if (is_nil(v))
		return why(call, "invalid value; expected int");
	if (!json_is_integer(v))
		return why(call, "wrong type for value; expected int; got %s", tmpl_type_name(v));
	*ret = json_integer_value(v);
	return 0;
}

/* --- logic and comparison ---------------------------------------------------------------------------- */

static int fn_not(struct tmpl_call *call)
{
	call->result = json_boolean(!tmpl_truth(call->args[0]));
	return 0;
}

/* The executor evaluates the arguments of these and never calls them. */
static int fn_lazy(struct tmpl_call *call)
{
	return why(call, "cannot be called");
}

/* Go's basic kinds: what may be compared with what. */
enum kind {
	KIND_NONE,
	KIND_BOOL,
	KIND_INT,
	KIND_FLOAT,
	KIND_STRING
};

static enum kind kind_of(const json_t *v)
{
	if (is_nil(v))
		return KIND_NONE;
	switch (json_typeof(v)) {
	case JSON_TRUE:
	case JSON_FALSE:
		return KIND_BOOL;
	case JSON_INTEGER:
		return KIND_INT;
	case JSON_REAL:
		return KIND_FLOAT;
	case JSON_STRING:
		return KIND_STRING;
	default:
		return KIND_NONE;
	}
}

static int compare_strings(const json_t *a, const json_t *b)
{
	size_t na = json_string_length(a), nb = json_string_length(b);
	int r = memcmp(json_string_value(a), json_string_value(b), MIN(na, nb));

	return r ? r : na < nb ? -1 : na > nb;
}

static bool same_basic(const json_t *a, const json_t *b)
{
	switch (kind_of(a)) {
	case KIND_BOOL:
		return json_is_true(a) == json_is_true(b);
	case KIND_INT:
		return json_integer_value(a) == json_integer_value(b);
	case KIND_FLOAT:
		return json_real_value(a) == json_real_value(b);
	default:
		return compare_strings(a, b) == 0;
	}
}

/* a == b: 0 or 1, or a failure. */
static int same(struct tmpl_call *call, const json_t *a, const json_t *b)
{
	const json_t *bad = is_nil(a) || kind_of(a) ? b : a;

	if (is_nil(a) || is_nil(b))
		return is_nil(a) && is_nil(b);
	if (kind_of(a) != kind_of(b))
		return why(call, "incompatible types for comparison");
	if (!kind_of(a))
		return why(call, "non-comparable type %s", tmpl_type_name(bad));
	return same_basic(a, b);
}

static int fn_eq(struct tmpl_call *call)
{
	if (call->n < 2)
		return why(call, "missing argument for comparison");
	for (size_t i = 1; i < call->n; i++) {
		int r = same(call, call->args[0], call->args[i]);

		if (r < 0)
			return r;
		if (r) {
			call->result = json_true();
			return 0;
		}
	}
	call->result = json_false();
	return 0;
}

static int fn_ne(struct tmpl_call *call)
{
	int r = same(call, call->args[0], call->args[1]);

	if (r < 0)
		return r;
	call->result = json_boolean(!r);
	return 0;
}

/* a < b: 0 or 1, or a failure. */
static int less(struct tmpl_call *call, const json_t *a, const json_t *b)
{
	if (!kind_of(a) || !kind_of(b))
		return why(call, "invalid type for comparison");
	if (kind_of(a) != kind_of(b))
		return why(call, "incompatible types for comparison");
	switch (kind_of(a)) {
	case KIND_INT:
		return json_integer_value(a) < json_integer_value(b);
	case KIND_FLOAT:
		return json_real_value(a) < json_real_value(b);
	case KIND_STRING:
		return compare_strings(a, b) < 0;
	default:
		return why(call, "invalid type for comparison");
	}
}

static int ordered(struct tmpl_call *call, bool or_same, bool turned)
{
	int r = less(call, call->args[0], call->args[1]);

	if (r == 0 && or_same)
		r = same(call, call->args[0], call->args[1]);
	if (r < 0)
		return r;
	call->result = json_boolean(turned ? !r : r);
	return 0;
}

static int fn_lt(struct tmpl_call *call)
{
	return ordered(call, false, false);
}

static int fn_le(struct tmpl_call *call)
{
	return ordered(call, true, false);
}

static int fn_gt(struct tmpl_call *call)
{
	return ordered(call, true, true);
}

static int fn_ge(struct tmpl_call *call)
{
	return ordered(call, false, true);
}

/* --- lists and maps ---------------------------------------------------------------------------------- */

static int fn_len(struct tmpl_call *call)
{
	const json_t *v = call->args[0];

	if (is_nil(v))
		return why(call, "len of nil pointer");
	if (json_is_string(v))
		call->result = json_integer((json_int_t)json_string_length(v));
	else if (json_is_array(v))
		call->result = json_integer((json_int_t)json_array_size(v));
	else if (json_is_object(v))
		call->result = json_integer((json_int_t)json_object_size(v));
	else
		return why(call, "len of type %s", tmpl_type_name(v));
	return 0;
}

/* A place in n elements; `limit`: how far beyond the last it may be. */
static int place(struct tmpl_call *call, const json_t *v, size_t n, size_t limit, size_t *ret)
{
	if (is_nil(v))
		return why(call, "cannot index slice/array with nil");
	if (!json_is_integer(v))
		return why(call, "cannot index slice/array with type %s", tmpl_type_name(v));
	if (json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) >= n + limit)
		return why(
			call, "index out of range: %" JSON_INTEGER_FORMAT, json_integer_value(v));
	*ret = (size_t)json_integer_value(v);
	return 0;
}

/*
 * Go gives the zero value of the map's type for a key that isn't there: "" for labels and the like, which
 * are maps of strings, and nothing for a map of anything.
 */
static json_t *zero_of(const json_t *object)
{
	const char *name;
	const json_t *v;

	json_object_foreach((json_t *)object, name, v)
		if (!json_is_string(v))
			return NULL;
	return json_string("");
}

/* *v is borrowed by an own reference: replaced by the element. */
static int index_once(struct tmpl_call *call, json_t **v, const json_t *key)
{
	json_t *found = NULL;
	size_t at;
	int r;

	if (is_nil(*v))
		return why(call, "index of nil pointer");
	if (json_is_object(*v)) {
		if (!json_is_string(key))
			return why(
				call, "value has type %s; should be string", tmpl_type_name(key));
		found = json_incref(json_object_get(*v, json_string_value(key)));
		if (!found)
			found = zero_of(*v);
	} else if (json_is_array(*v)) {
		r = place(call, key, json_array_size(*v), 0, &at);
		if (r < 0)
			return r;
		found = json_incref(json_array_get(*v, at));
	} else if (json_is_string(*v)) {
		r = place(call, key, json_string_length(*v), 0, &at);
		if (r < 0)
			return r;
		found = json_integer((unsigned char)json_string_value(*v)[at]);
	} else {
		return why(call, "can't index item of type %s", tmpl_type_name(*v));
	}
	json_decref(*v);
	*v = found;
	return 0;
}

static int fn_index(struct tmpl_call *call)
{
	json_t *v;

	if (is_nil(call->args[0]))
		return why(call, "index of untyped nil");
	v = json_incref(call->args[0]);
	for (size_t i = 1; i < call->n; i++) {
		int r = index_once(call, &v, call->args[i]);

		if (r < 0) {
			json_decref(v);
			return r;
		}
	}
	call->result = v;
	return 0;
}

static int fn_slice(struct tmpl_call *call)
{
	const json_t *v = call->args[0];
	size_t range[3] = {}, size;

	if (is_nil(v))
		return why(call, "slice of untyped nil");
	if (!json_is_string(v) && !json_is_array(v))
		return why(call, "can't slice item of type %s", tmpl_type_name(v));
	if (json_is_string(v) && call->n == 4)
		return why(call, "cannot 3-index slice a string");
	size = json_is_string(v) ? json_string_length(v) : json_array_size(v);
	range[1] = range[2] = size;
	for (size_t i = 1; i < call->n; i++) {
		int r = place(call, call->args[i], size, 1, &range[i - 1]);

		if (r < 0)
			return r;
	}
	if (range[0] > range[1])
		return why(call, "invalid slice index: %zu > %zu", range[0], range[1]);
	if (range[1] > range[2])
		return why(call, "invalid slice index: %zu > %zu", range[1], range[2]);
	if (json_is_string(v)) {
		call->result =
			json_stringn_nocheck(json_string_value(v) + range[0], range[1] - range[0]);
		return 0;
	}
	call->result = json_array();
	for (size_t i = range[0]; i < range[1]; i++)
		json_array_append(call->result, json_array_get(v, i));
	return 0;
}

/* JSON has no functions, so nothing can be called. */
static int fn_call(struct tmpl_call *call)
{
	if (call->n == 0 || is_nil(call->args[0]))
		return why(call, "call of nil");
	return why(call, "non-function of type %s", tmpl_type_name(call->args[0]));
}

/* --- text -------------------------------------------------------------------------------------------- */

static int fn_print(struct tmpl_call *call)
{
	GString *text = g_string_new(NULL);

	tmpl_print(text, call->args, call->n);
	return give_text(call, text);
}

static int fn_println(struct tmpl_call *call)
{
	GString *text = g_string_new(NULL);

	tmpl_println(text, call->args, call->n);
	return give_text(call, text);
}

static int fn_printf(struct tmpl_call *call)
{
	const char *format;
	GString *text;
	size_t n;
	int r = string_arg(call, 0, &format, &n);

	if (r < 0)
		return r;
	text = g_string_new(NULL);
	r = tmpl_printf(text, format, call->args + 1, call->n - 1);
	if (r == 0)
		return give_text(call, text);
	g_string_free(text, TRUE);
	return too_long(call);
}

/* The arguments as one text: a string alone is itself. */
static GString *all_text(const struct tmpl_call *call)
{
	GString *text = g_string_new(NULL);

	tmpl_print(text, call->args, call->n);
	return text;
}

static int fn_html(struct tmpl_call *call)
{
	GString *in = all_text(call), *out = g_string_new(NULL);

	for (gsize i = 0; i < in->len; i++) {
		switch (in->str[i]) {
		case '\0':
			g_string_append(out, "\xef\xbf\xbd");
			break;
		case '"':
			g_string_append(out, "&#34;");
			break;
		case '\'':
			g_string_append(out, "&#39;");
			break;
		case '&':
			g_string_append(out, "&amp;");
			break;
		case '<':
			g_string_append(out, "&lt;");
			break;
		case '>':
			g_string_append(out, "&gt;");
			break;
		default:
			g_string_append_c(out, in->str[i]);
		}
	}
	g_string_free(in, TRUE);
	return give_text(call, out);
}

static int fn_js(struct tmpl_call *call)
{
	GString *in = all_text(call), *out = g_string_new(NULL);

	for (gsize i = 0; i < in->len; i++) {
		unsigned char c = (unsigned char)in->str[i];

		if (c == '\\' || c == '\'' || c == '"')
			g_string_append_printf(out, "\\%c", c);
		else if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
			g_string_append_printf(out, "\\u%04X", c);
		else
			g_string_append_c(out, (char)c);
	}
	g_string_free(in, TRUE);
	return give_text(call, out);
}

static int fn_urlquery(struct tmpl_call *call)
{
	GString *in = all_text(call), *out = g_string_new(NULL);

	for (gsize i = 0; i < in->len; i++) {
		unsigned char c = (unsigned char)in->str[i];

		if (g_ascii_isalnum(c) || (c && strchr("-_.~", c)))
			g_string_append_c(out, (char)c);
		else if (c == ' ')
			g_string_append_c(out, '+');
		else
			g_string_append_printf(out, "%%%02X", c);
	}
	g_string_free(in, TRUE);
	return give_text(call, out);
}

/* --- docker's ---------------------------------------------------------------------------------------- */

static int fn_json(struct tmpl_call *call)
{
	GString *text = g_string_new(NULL);

	tmpl_json(text, call->args[0]);
	return give_text(call, text);
}

static int fn_join(struct tmpl_call *call)
{
	const json_t *list = call->args[0], *v;
	const char *glue;
	size_t n, i;
	GString *text;
	int r = string_arg(call, 1, &glue, &n);

	if (r < 0)
		return r;
	if (is_nil(list)) {
		call->result = json_string("");
		return 0;
	}
	if (!json_is_array(list))
		return why(call, "wrong type for value; expected []string; got %s",
			tmpl_type_name(list));
	text = g_string_new(NULL);
	json_array_foreach(list, i, v) {
		if (!json_is_string(v)) {
			g_string_free(text, TRUE);
			return why(call,
				"wrong type for value; expected []string; got a list with %s",
				tmpl_type_name(v));
		}
		if (i)
			g_string_append_len(text, glue, (gssize)n);
		g_string_append_len(text, json_string_value(v), (gssize)json_string_length(v));
		if (text->len > TMPL_OUT_MAX)
			break;
	}
	return give_text(call, text);
}

static void split_runes(json_t *list, const char *s, size_t n)
{
	while (n) {
		gunichar c = g_utf8_get_char_validated(s, (gssize)n);
		size_t length = *s == '\0' || c >= 0x110000 ? 1 : (size_t)(g_utf8_next_char(s) - s);

		json_array_append_new(list, json_stringn_nocheck(s, length));
		s += length;
		n -= length;
	}
}

static int fn_split(struct tmpl_call *call)
{
	const char *s, *glue = "", *at;
	size_t n, glue_n = 0;
	int r = string_arg(call, 0, &s, &n);

	if (r == 0)
		r = string_arg(call, 1, &glue, &glue_n);
	if (r < 0)
		return r;
	call->result = json_array();
	if (!glue_n) {
		split_runes(call->result, s, n);
		return 0;
	}
	while ((at = memmem(s, n, glue, glue_n)) != NULL) {
		json_array_append_new(call->result, json_stringn_nocheck(s, (size_t)(at - s)));
		n -= (size_t)(at - s) + glue_n;
		s = at + glue_n;
	}
	json_array_append_new(call->result, json_stringn_nocheck(s, n));
	return 0;
}

/* Where a word of Go's strings.Title ends. */
static bool separates(gunichar c)
{
	if (c < 128)
		return !g_ascii_isalnum((char)c) && c != '_';
	return !g_unichar_isalnum(c) && g_unichar_isspace(c);
}

static int map_runes(struct tmpl_call *call, gunichar (*map)(gunichar c), bool only_first)
{
	const char *s;
	size_t n, length;
	GString *out;
	bool first = true;
	int r = string_arg(call, 0, &s, &n);

	if (r < 0)
		return r;
	out = g_string_new(NULL);
	for (; n; s += length, n -= length) {
		gunichar c = g_utf8_get_char_validated(s, (gssize)n);

		if (*s == '\0' || c >= 0x110000) {
			length = 1;
			g_string_append_c(out, *s);
			first = *s == '\0';
			continue;
		}
		length = (size_t)(g_utf8_next_char(s) - s);
		g_string_append_unichar(out, first || !only_first ? map(c) : c);
		first = separates(c);
	}
	return give_text(call, out);
}

static int fn_lower(struct tmpl_call *call)
{
	return map_runes(call, g_unichar_tolower, false);
}

static int fn_upper(struct tmpl_call *call)
{
	return map_runes(call, g_unichar_toupper, false);
}

static int fn_title(struct tmpl_call *call)
{
	return map_runes(call, g_unichar_totitle, true);
}

static int fn_truncate(struct tmpl_call *call)
{
	const char *s;
	int64_t most;
	size_t n, at = 0;
	int r = string_arg(call, 0, &s, &n);

	if (r == 0)
		r = int_arg(call, 1, &most);
	if (r < 0)
		return r;
	for (; at < n && most > 0; most--) {
		gunichar c = g_utf8_get_char_validated(s + at, (gssize)(n - at));

		at += s[at] == '\0' || c >= 0x110000
			      ? 1
			      : (size_t)(g_utf8_next_char(s + at) - (s + at));
	}
	call->result = json_stringn_nocheck(s, at);
	return 0;
}

static int fn_pad(struct tmpl_call *call)
{
	int64_t before = 0, after = 0;
	const char *s;
	GString *text;
	size_t n;
	int r = string_arg(call, 0, &s, &n);

	if (r == 0)
		r = int_arg(call, 1, &before);
	if (r == 0)
		r = int_arg(call, 2, &after);
	if (r < 0)
		return r;
	if (before < 0 || after < 0 || before > TMPL_WIDTH_MAX || after > TMPL_WIDTH_MAX)
		return why(call, "not 0 to %d blanks", TMPL_WIDTH_MAX);
	text = g_string_new(NULL);
	if (n)
		g_string_append_printf(text, "%*s", (int)before, "");
	g_string_append_len(text, s, (gssize)n);
	if (n)
		g_string_append_printf(text, "%*s", (int)after, "");
	return give_text(call, text);
}

static const struct tmpl_fn functions[] = {
	{ "and", 1, 0, fn_lazy, .lazy = true },
	{ "or", 1, 0, fn_lazy, .lazy = true },
	{ "not", 1, 1, fn_not },
	{ "call", 1, 0, fn_call },
	{ "html", 0, 0, fn_html },
	{ "index", 1, 0, fn_index },
	{ "slice", 1, 4, fn_slice },
	{ "js", 0, 0, fn_js },
	{ "len", 1, 1, fn_len },
	{ "print", 0, 0, fn_print },
	{ "printf", 1, 0, fn_printf },
	{ "println", 0, 0, fn_println },
	{ "urlquery", 0, 0, fn_urlquery },
	{ "eq", 1, 0, fn_eq },
	{ "ne", 2, 2, fn_ne },
	{ "lt", 2, 2, fn_lt },
	{ "le", 2, 2, fn_le },
	{ "gt", 2, 2, fn_gt },
	{ "ge", 2, 2, fn_ge },
	{ "json", 1, 1, fn_json, .heading_kept = true },
	{ "join", 2, 2, fn_join, .heading_kept = true },
	{ "split", 2, 2, fn_split, .heading_kept = true },
	{ "lower", 1, 1, fn_lower, .heading_kept = true },
	{ "upper", 1, 1, fn_upper, .heading_kept = true },
	{ "title", 1, 1, fn_title, .heading_kept = true },
	{ "truncate", 2, 2, fn_truncate, .heading_kept = true },
	{ "pad", 3, 3, fn_pad },
};

const struct tmpl_fn *tmpl_fn_find(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return &functions[i];
	return NULL;
}
