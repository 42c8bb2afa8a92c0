/* SPDX-License-Identifier: MIT */
#include "wire/qmp.h"

#include <stdio.h>
#include <string.h>

#define ROOM_MIN 4096 /* bytes; what a reader has between lines is no more than this */

/* --- JSON, as far as it must be understood here (RFC 8259) ---------------------------------------------- */

struct scan {
	const char *p, *end;
};

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool take(struct scan *s, char c)
{
	skip_space(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A string, its bytes with escapes as they are. */
static bool take_string(struct scan *s, const char **ret, size_t *ret_n)
{
	if (!take(s, '"'))
		return false;
	*ret = s->p;
	while (s->p < s->end && *s->p != '"') {
		if ((unsigned char)*s->p < 0x20)
			return false;
		if (*s->p++ != '\\')
			continue;
		if (s->p == s->end)
			return false;
		if (*s->p == 'u') {
			for (int i = 1; i <= 4; i++)
				if (s->end - s->p <= i || !is_hex(s->p[i]))
					return false;
			s->p += 4;
		} else if (!*s->p || !strchr("\"\\/bfnrt", *s->p)) {
			return false;
		}
		s->p++;
	}
	if (s->p == s->end)
		return false;
	*ret_n = (size_t)(s->p++ - *ret);
	return true;
}

static bool take_digits(struct scan *s)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > from;
}

static bool take_number(struct scan *s)
{
	if (s->p < s->end && *s->p == '-')
		s->p++;
	if (!take_digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!take_digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		return take_digits(s);
	}
	return true;
}

static bool take_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool take_value(struct scan *s, unsigned depth);

static bool take_array(struct scan *s, unsigned depth)
{
	s->p++;
	if (take(s, ']'))
		return true;
	do {
		if (!take_value(s, depth + 1))
			return false;
	} while (take(s, ','));
	return take(s, ']');
}

/* Calls each with every member's name and raw value; NULL: with none. */
static bool take_object(struct scan *s, unsigned depth,
	bool (*each)(void *data, const char *name, size_t n, struct scan value), void *data)
{
	if (!take(s, '{'))
		return false;
	if (take(s, '}'))
		return true;
	do {
		const char *name;
		size_t n;
		struct scan value;

		if (!take_string(s, &name, &n) || !take(s, ':'))
			return false;
		skip_space(s);
		value.p = s->p;
		if (!take_value(s, depth + 1))
			return false;
		value.end = s->p;
		if (each && !each(data, name, n, value))
			return false;
	} while (take(s, ','));
	return take(s, '}');
}

static bool take_value(struct scan *s, unsigned depth)
{
	const char *string;
	size_t n;

	skip_space(s);
	if (s->p == s->end || depth > QMP_DEPTH_MAX)
		return false;
	switch (*s->p) {
	case '{':
		return take_object(s, depth, NULL, NULL);
	case '[':
		return take_array(s, depth);
	case '"':
		return take_string(s, &string, &n);
	case 't':
		return take_word(s, "true");
	case 'f':
		return take_word(s, "false");
	case 'n':
		return take_word(s, "null");
	default:
		return take_number(s);
	}
}

static bool is(const char *name, size_t n, const char *want)
{
	return n == strlen(want) && memcmp(name, want, n) == 0;
}

/* The text of a string value with only these letters; false for any other. */
static bool get_name(struct scan value, const char *letters, char *ret)
{
	const char *p;
	size_t n;

	if (!take_string(&value, &p, &n) || n == 0 || n >= QMP_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!p[i] || !strchr(letters, p[i]))
			return false;
	memcpy(ret, p, n);
	ret[n] = '\0';
	return true;
}

#define DIGITS "0123456789"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"

/* --- lines ---------------------------------------------------------------------------------------------- */

static bool get_id(struct scan value, uint32_t *ret)
{
	uint32_t id = 0;

	if (value.p == value.end)
		return false;
	for (; value.p < value.end; value.p++)
		if (*value.p < '0' || *value.p > '9' || __builtin_mul_overflow(id, 10U, &id) ||
			__builtin_add_overflow(id, (uint32_t)(*value.p - '0'), &id))
			return false;
	*ret = id;
	return true;
}

static bool look_at_member(void *data, const char *name, size_t n, struct scan value)
{
	struct qmp_line *l = data;
	enum qmp_kind kind = is(name, n, "QMP")	     ? QMP_GREETING
			     : is(name, n, "return") ? QMP_RETURN
			     : is(name, n, "error")  ? QMP_ERROR
			     : is(name, n, "event")  ? QMP_EVENT
						     : QMP_OTHER;

	if (is(name, n, "id"))
		l->has_id = get_id(value, &l->id);
	if (kind == QMP_OTHER)
		return true;
	/* one that is two things is a lie about one of them */
	if (l->kind != QMP_OTHER)
		return false;
	l->kind = kind;
	return kind != QMP_EVENT || get_name(value, UPPER DIGITS "_", l->event);
}

int qmp_classify(const char *text, size_t n, struct qmp_line *l)
{
	struct scan s = { text, text + n };
	struct qmp_line line = { .text = text, .size = n };

	if (!take_object(&s, 0, look_at_member, &line))
		return -EBADMSG;
	skip_space(&s);
	if (s.p != s.end)
		return -EBADMSG;
	*l = line;
	return 0;
}

int qmp_room(struct qmp_reader *r, char **ret, size_t *ret_n)
{
	if (r->taken > 0) {
		memmove(r->buf, r->buf + r->taken, r->used - r->taken);
		r->used -= r->taken;
		r->looked -= r->taken;
		r->taken = 0;
	}
	if (r->used == 0 && r->size > ROOM_MIN)
		qmp_reader_done(r);
	if (r->used == r->size) {
		size_t size = r->size ? r->size * 2 : ROOM_MIN;
		char *buf;

		if (r->size >= QMP_LINE_MAX)
			return -EMSGSIZE;
		buf = realloc(r->buf, size);
		if (!buf)
			return -ENOMEM;
		r->buf = buf;
		r->size = size;
	}
	*ret = r->buf + r->used;
	*ret_n = r->size - r->used;
	return 0;
}

void qmp_filled(struct qmp_reader *r, size_t n)
{
	r->used += n;
}

int qmp_next(struct qmp_reader *r, struct qmp_line *l)
{
	for (;;) {
		const char *from = r->buf + r->taken, *end;
		size_t n;

		if (r->looked == r->used)
			return 0;
		end = memchr(r->buf + r->looked, '\n', r->used - r->looked);
		if (!end) {
			r->looked = r->used;
			return 0;
		}
		n = (size_t)(end - from);
		r->taken += n + 1;
		r->looked = r->taken;
		if (n > 0 && from[n - 1] == '\r')
			n--;
		if (n == 0)
			continue;
		return qmp_classify(from, n, l) < 0 ? -EBADMSG : 1;
	}
}

void qmp_reader_done(struct qmp_reader *r)
{
	free(r->buf);
	*r = (struct qmp_reader){};
}

/* --- commands ------------------------------------------------------------------------------------------- */

struct command {
	char *name;
	bool has_name, has_arguments;
};

static bool look_at_command(void *data, const char *name, size_t n, struct scan value)
{
	struct command *c = data;

	if (is(name, n, "execute") && !c->has_name)
		return c->has_name = get_name(value, UPPER LOWER DIGITS "-_.", c->name);
	if (is(name, n, "arguments") && !c->has_arguments)
		return c->has_arguments = *value.p == '{';
	return false;
}

int qmp_check_command(const char *text, size_t n, char *ret_name)
{
	char name[QMP_NAME_MAX];
	struct scan s = { text, text + n };
	struct command c = { .name = name };

	if (n > QMP_COMMAND_MAX)
		return -EMSGSIZE;
	if (!take_object(&s, 0, look_at_command, &c) || !c.has_name)
		return -EINVAL;
	skip_space(&s);
	if (s.p != s.end)
		return -EINVAL;
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

ssize_t qmp_put_command(char *p, size_t room, const char *text, size_t n, uint32_t id)
{
	const char *open = memchr(text, '{', n);
	size_t skip = open ? (size_t)(open - text) + 1 : n, used;

	if (room < QMP_ID_ROOM || room - QMP_ID_ROOM < n)
		return -EMSGSIZE;
	used = (size_t)snprintf(p, QMP_ID_ROOM, "{\"id\": %u,", id);
	memcpy(p + used, text + skip, n - skip);
	used += n - skip;
	p[used++] = '\n';
	return (ssize_t)used;
}
