/* SPDX-License-Identifier: MIT */
#include "codec/json.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define FOREACH_FIELD(f, t) \
	for (const struct json_field *f = (t)->fields; f->type != JSON_T_END; f++)

/* --- reading text ------------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of the number at p if it is a whole one beyond int64_t, else 0. *ret_skip: length of any number. */
static size_t big_integer(const char *p, const char *end, size_t *ret_skip)
{
	const char *q = p + (*p == '-'), *digits = q;
	bool big = false, negative = *p == '-';
	int64_t n = 0;

	for (; q < end && is_digit(*q); q++)
		if (__builtin_mul_overflow(n, 10, &n) ||
			(negative ? __builtin_sub_overflow(n, *q - '0', &n)
				  : __builtin_add_overflow(n, *q - '0', &n)))
			big = true;
	*ret_skip = (size_t)(q - p);
	if (q < end && (*q == '.' || *q == 'e' || *q == 'E')) {
		while (q < end && (is_digit(*q) || (*q && strchr(".eE+-", *q))))
			q++;
		*ret_skip = (size_t)(q - p);
		return 0;
	}
	return big && *digits != '0' ? *ret_skip : 0;
}

/* Where a string that begins at p ends, after its quote. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

/* The text with whole numbers beyond int64_t in quotes, or NULL when there are none. jansson would refuse
 * the document, or round them. */
static GString *quote_big_integers(const char *text, size_t n)
{
	const char *p = text, *end = text + n, *done = text;
	GString *out = NULL;

	while (p < end) {
		size_t skip = 1;

		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (is_digit(*p) || *p == '-') {
			size_t big = big_integer(p, end, &skip);

			if (big && !out)
				out = g_string_sized_new(n + 16);
			if (big) {
				g_string_append_len(out, done, p - done);
				g_string_append_printf(out, "\"%.*s\"", (int)big, p);
				done = p + big;
			}
		}
		p += skip;
	}
	if (out)
		g_string_append_len(out, done, end - done);
	return out;
}

int json_read(const char *text, size_t n, json_t **ret, struct err *e)
{
	json_error_t error;
	GString *quoted;
	json_t *j;

	if (n > JSON_TEXT_MAX)
		return err_set(
			e, -E_LIMIT, "JSON text of %zu bytes is larger than %d", n, JSON_TEXT_MAX);
	quoted = quote_big_integers(text, n);
	if (quoted) {
		j = json_loadb(quoted->str, quoted->len, JSON_DECODE_ANY, &error);
		g_string_free(quoted, TRUE);
	} else {
		j = json_loadb(text, n, JSON_DECODE_ANY, &error);
	}
	if (!j)
		return err_set(e, -E_INVALID, "invalid JSON at line %d, column %d: %s", error.line,
			error.column, error.text);
	*ret = j;
	return 0;
}

/* --- memory ------------------------------------------------------------------------------------------ */

static void set_number(const struct json_field *f, void *p, int64_t n)
{
	switch (f->type) {
	case JSON_T_INT:
	case JSON_T_ENUM:
		*(int *)p = (int)n;
		break;
	case JSON_T_INT64:
		*(int64_t *)p = n;
		break;
	case JSON_T_UINT16:
		*(uint16_t *)p = (uint16_t)n;
		break;
	case JSON_T_UINT32:
		*(uint32_t *)p = (uint32_t)n;
		break;
	case JSON_T_UINT64:
		*(uint64_t *)p = (uint64_t)n;
		break;
	default:
		break;
	}
}

/* Numbers of every type but uint64. */
static int64_t get_number(const struct json_field *f, const void *p)
{
	switch (f->type) {
	case JSON_T_INT:
	case JSON_T_ENUM:
		return *(const int *)p;
	case JSON_T_UINT16:
		return *(const uint16_t *)p;
	case JSON_T_UINT32:
		return *(const uint32_t *)p;
	default:
		return *(const int64_t *)p;
	}
}

void json_struct_init(const struct json_struct *t, void *s)
{
	memset(s, 0, t->size);
	FOREACH_FIELD(f, t)
	{
		void *p = (char *)s + f->offset;

		if (f->type == JSON_T_STRUCT)
			json_struct_init(f->of, p);
		else if (f->type == JSON_T_LIST)
			*(GPtrArray **)p = g_ptr_array_new_with_free_func(f->of->free);
		else if (f->type == JSON_T_ARRAY)
			*(GArray **)p = g_array_new(FALSE, TRUE, (guint)f->of->size);
		else
			set_number(f, p, f->absent);
	}
}

static void clear_array(const struct json_struct *t, GArray *array)
{
	for (guint i = 0; i < array->len; i++)
		json_struct_clear(t, array->data + i * t->size);
	g_array_free(array, TRUE);
}

void json_struct_clear(const struct json_struct *t, void *s)
{
	FOREACH_FIELD(f, t)
	{
		void *p = (char *)s + f->offset;

		if (f->type == JSON_T_STRUCT)
			json_struct_clear(f->of, p);
		else if (f->type == JSON_T_POINTER)
			json_struct_free(f->of, *(void **)p);
		else if (f->type == JSON_T_STRING)
			g_free(*(char **)p);
		else if (f->type == JSON_T_STRINGS)
			g_strfreev(*(char ***)p);
		else if (f->type == JSON_T_LIST && *(GPtrArray **)p)
			g_ptr_array_free(*(GPtrArray **)p, TRUE);
		else if (f->type == JSON_T_ARRAY && *(GArray **)p)
			clear_array(f->of, *(GArray **)p);
	}
	memset(s, 0, t->size);
}

void json_struct_free(const struct json_struct *t, void *s)
{
	if (!s)
		return;
	json_struct_clear(t, s);
	g_free(s);
}

void *json_list_add(const struct json_struct *t, GPtrArray *list)
{
	void *s = g_malloc(t->size);

	json_struct_init(t, s);
	g_ptr_array_add(list, s);
	return s;
}

/* --- writing ----------------------------------------------------------------------------------------- */

static json_t *encode_string(const char *s)
{
	json_t *j = json_string(s);

	if (!j) {
		g_autofree char *base64 = g_base64_encode((const guchar *)s, strlen(s));

		j = json_object();
		json_object_set_new(j, "base64", json_string(base64));
	}
	return j;
}

static json_t *encode_strings(char **list)
{
	json_t *j = json_array();

	for (char **s = list; *s; s++)
		json_array_append_new(j, encode_string(*s));
	return j;
}

static json_t *encode_uint64(uint64_t n)
{
	char digits[24];

	if (n <= INT64_MAX)
		return json_integer((json_int_t)n);
	g_snprintf(digits, sizeof(digits), "%" PRIu64, n);
	return json_string(digits);
}

static json_t *encode_list(const struct json_struct *t, const GPtrArray *list)
{
	json_t *j;

	if (!list || !list->len)
		return NULL;
	j = json_array();
	for (guint i = 0; i < list->len; i++)
		json_array_append_new(j, json_struct_encode(t, list->pdata[i]));
	return j;
}

static json_t *encode_array(const struct json_struct *t, const GArray *array)
{
	json_t *j;

	if (!array || !array->len)
		return NULL;
	j = json_array();
	for (guint i = 0; i < array->len; i++)
		json_array_append_new(j, json_struct_encode(t, array->data + i * t->size));
	return j;
}

static json_t *encode_struct(const struct json_struct *t, const void *s)
{
	json_t *j = json_struct_encode(t, s);

	if (json_object_size(j))
		return j;
	json_decref(j);
	return NULL;
}

static json_t *encode_number(const struct json_field *f, const void *p)
{
	int64_t n;

	if (f->type == JSON_T_UINT64) {
		uint64_t u = *(const uint64_t *)p;

		return u == (uint64_t)f->absent ? NULL : encode_uint64(u);
	}
	n = get_number(f, p);
	if (n == f->absent)
		return NULL;
	return f->type == JSON_T_ENUM ? json_string(f->names[n]) : json_integer(n);
}

/* NULL: the field has its "not given" value. */
static json_t *encode_field(const struct json_field *f, const void *p)
{
	switch (f->type) {
	case JSON_T_STRING:
		return *(char *const *)p ? encode_string(*(char *const *)p) : NULL;
	case JSON_T_STRINGS:
		return *(char **const *)p ? encode_strings(*(char **const *)p) : NULL;
	case JSON_T_BOOL:
		return *(const bool *)p ? json_true() : NULL;
	case JSON_T_STRUCT:
		return encode_struct(f->of, p);
	case JSON_T_POINTER:
		return *(void *const *)p ? json_struct_encode(f->of, *(void *const *)p) : NULL;
	case JSON_T_LIST:
		return encode_list(f->of, *(GPtrArray *const *)p);
	case JSON_T_ARRAY:
		return encode_array(f->of, *(GArray *const *)p);
	case JSON_T_UNSUPPORTED:
		return NULL;
	default:
		return encode_number(f, p);
	}
}

json_t *json_struct_encode(const struct json_struct *t, const void *s)
{
	json_t *j = json_object();

	FOREACH_FIELD(f, t)
	{
		json_t *value = encode_field(f, (const char *)s + f->offset);

		if (value)
			json_object_set_new(j, f->name, value);
	}
	return j;
}

/* --- reading ----------------------------------------------------------------------------------------- */

struct decoder {
	GString *path; /* of the value being read: "mounts[2].mode" */
	unsigned flags;
	struct err *e;
};

static int decode_struct(struct decoder *d, const struct json_struct *t, const json_t *j, void *s);

static int wrong(struct decoder *d, const char *what)
{
	return err_set(d->e, -E_INVALID, "'%s' is not %s", d->path->len ? d->path->str : ".", what);
}

/* -EINVAL: no text, or bytes that a C string can't hold. */
static int string_value(const json_t *j, char **ret)
{
	const char *base64 = json_string_value(json_object_get(j, "base64"));
	g_autofree char *s = NULL;
	gsize n;

	if (json_is_string(j)) {
		if (memchr(json_string_value(j), 0, json_string_length(j)))
			return -EINVAL;
		*ret = g_strdup(json_string_value(j));
		return 0;
	}
	if (!base64 || json_object_size(j) != 1)
		return -EINVAL;
	s = (char *)g_base64_decode(base64, &n);
	if (memchr(s, 0, n))
		return -EINVAL;
	*ret = g_strndup(s, n);
	return 0;
}

static int decode_strings(struct decoder *d, const json_t *j, char ***ret)
{
	size_t n = json_array_size(j);
	g_auto(GStrv) list = NULL;

	if (!json_is_array(j))
		return wrong(d, "a list");
	list = g_new0(char *, n + 1);
	for (size_t i = 0; i < n; i++)
		if (string_value(json_array_get(j, i), &list[i]) < 0) {
			g_string_append_printf(d->path, "[%zu]", i);
			return wrong(d, "a string");
		}
	*ret = g_steal_pointer(&list);
	return 0;
}

static void number_range(const struct json_field *f, int64_t *ret_min, int64_t *ret_max)
{
	*ret_min = f->min;
	*ret_max = f->max;
	if (f->min || f->max)
		return;
	*ret_min = f->type == JSON_T_INT ? INT_MIN : f->type == JSON_T_INT64 ? INT64_MIN : 0;
	*ret_max = f->type == JSON_T_INT      ? INT_MAX
		   : f->type == JSON_T_UINT16 ? UINT16_MAX
		   : f->type == JSON_T_UINT32 ? UINT32_MAX
					      : INT64_MAX;
}

static int decode_number(struct decoder *d, const struct json_field *f, const json_t *j, void *p)
{
	int64_t n = json_integer_value(j), min, max;

	if (!json_is_integer(j))
		return wrong(d, "a whole number");
	number_range(f, &min, &max);
	if (n < min || n > max)
		return err_set(d->e, -E_INVALID, "'%s' is %" PRId64 ", not %" PRId64 " to %" PRId64,
			d->path->str, n, min, max);
	set_number(f, p, n);
	return 0;
}

static int decode_uint64(struct decoder *d, const json_t *j, uint64_t *ret)
{
	const char *s = json_string_value(j);
	uint64_t n = 0;

	if (json_is_integer(j) && json_integer_value(j) >= -1) {
		*ret = (uint64_t)json_integer_value(j);
		return 0;
	}
	if (!s || !*s)
		return wrong(d, "an unsigned number");
	for (; *s; s++)
		if (!is_digit(*s) || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return wrong(d, "an unsigned number");
	*ret = n;
	return 0;
}

static int decode_enum(struct decoder *d, const struct json_field *f, const json_t *j, void *p)
{
	const char *s = json_string_value(j);

	if (!s)
		return wrong(d, "a string");
	for (int i = 0; f->names[i]; i++)
		if (strcmp(f->names[i], s) == 0) {
			*(int *)p = i;
			return 0;
		}
	return err_set(d->e, -E_INVALID, "'%s' has the unknown value '%s'", d->path->str, s);
}

static int decode_list(struct decoder *d, const struct json_field *f, const json_t *j, void *p)
{
	gsize length = d->path->len;
	int r;

	if (!json_is_array(j))
		return wrong(d, "a list");
	for (size_t i = 0; i < json_array_size(j); i++) {
		void *s;

		if (f->type == JSON_T_LIST)
			s = json_list_add(f->of, *(GPtrArray **)p);
		else {
			GArray *array = *(GArray **)p;

			g_array_set_size(array, array->len + 1);
			s = array->data + (array->len - 1) * f->of->size;
			json_struct_init(f->of, s);
		}
		g_string_append_printf(d->path, "[%zu]", i);
		r = decode_struct(d, f->of, json_array_get(j, i), s);
		if (r < 0)
			return r;
		g_string_truncate(d->path, length);
	}
	return 0;
}

static int decode_pointer(struct decoder *d, const struct json_field *f, const json_t *j, void **p)
{
	*p = g_malloc(f->of->size);
	json_struct_init(f->of, *p);
	return decode_struct(d, f->of, j, *p);
}

static bool is_nothing(const json_t *j)
{
	return json_is_false(j) || (json_is_number(j) && json_number_value(j) == 0) ||
	       (json_is_string(j) && !json_string_length(j)) ||
	       (json_is_array(j) && !json_array_size(j)) ||
	       (json_is_object(j) && !json_object_size(j));
}

static int decode_field(struct decoder *d, const struct json_field *f, const json_t *j, void *p)
{
	switch (f->type) {
	case JSON_T_STRING:
		return string_value(j, p) < 0 ? wrong(d, "a string") : 0;
	case JSON_T_STRINGS:
		return decode_strings(d, j, p);
	case JSON_T_BOOL:
		if (!json_is_boolean(j))
			return wrong(d, "true or false");
		*(bool *)p = json_is_true(j);
		return 0;
	case JSON_T_UINT64:
		return decode_uint64(d, j, p);
	case JSON_T_ENUM:
		return decode_enum(d, f, j, p);
	case JSON_T_STRUCT:
		return decode_struct(d, f->of, j, p);
	case JSON_T_POINTER:
		return decode_pointer(d, f, j, p);
	case JSON_T_LIST:
	case JSON_T_ARRAY:
		return decode_list(d, f, j, p);
	case JSON_T_UNSUPPORTED:
		if (is_nothing(j))
			return 0;
		return err_set(d->e, -E_UNSUPPORTED, "'%s' is not supported", d->path->str);
	default:
		return decode_number(d, f, j, p);
	}
}

static bool known_name(const struct json_struct *t, const char *name)
{
	FOREACH_FIELD(f, t)
	if (strcmp(f->name, name) == 0)
		return true;
	return false;
}

static int check_names(struct decoder *d, const struct json_struct *t, const json_t *j)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)j, name, value)
		if (!known_name(t, name))
			return err_set(d->e, -E_INVALID, "unknown field '%s%s%s'", d->path->str,
				d->path->len ? "." : "", name);
	return 0;
}

/* s is initialised; what it holds after an error is freed by the outermost caller. */
static int decode_struct(struct decoder *d, const struct json_struct *t, const json_t *j, void *s)
{
	gsize length = d->path->len;
	int r;

	if (!json_is_object(j))
		return wrong(d, "an object");
	r = d->flags & JSON_IGNORE_UNKNOWN ? 0 : check_names(d, t, j);
	if (r < 0)
		return r;
	FOREACH_FIELD(f, t)
	{
		const json_t *value = json_object_get(j, f->name);

		g_string_append_printf(d->path, "%s%s", length ? "." : "", f->name);
		if (value && !json_is_null(value))
			r = decode_field(d, f, value, (char *)s + f->offset);
		else if (f->flags & JSON_REQUIRED)
			r = err_set(d->e, -E_INVALID, "'%s' is missing", d->path->str);
		if (r < 0)
			return r;
		g_string_truncate(d->path, length);
	}
	return 0;
}

int json_struct_decode(
	const struct json_struct *t, const json_t *j, unsigned flags, void *s, struct err *e)
{
	struct decoder d = { .path = g_string_new(NULL), .flags = flags, .e = e };
	int r;

	json_struct_init(t, s);
	r = decode_struct(&d, t, j, s);
	if (r < 0)
		json_struct_clear(t, s);
	g_string_free(d.path, TRUE);
	return r;
}
