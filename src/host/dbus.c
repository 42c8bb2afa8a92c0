/* SPDX-License-Identifier: MIT */
#include "host/dbus.h"

#include <string.h>
#include <sys/types.h>

#include "host/smallfile.h"

/* header fields */
enum {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_REPLY,
	FIELD_DESTINATION,
	FIELD_SENDER,
	FIELD_SIGNATURE,
};

enum {
	HEADER = 12,	 /* bytes before the array of fields */
	BITS_MAX = 1024, /* of a set: processors, memory nodes */
	SIGNATURE_MAX = 255
};

/* --- writing --- */

static void put(struct dbus_out *o, const void *p, size_t n)
{
	if (n > sizeof(o->buf) - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->buf + o->n, p, n);
	o->n += n;
}

static void align(struct dbus_out *o, unsigned to)
{
	static const uint8_t zero[8];

	put(o, zero, (to - o->n % to) % to);
}

void dbus_put_u32(struct dbus_out *o, uint32_t v)
{
	const uint8_t b[] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
		(uint8_t)(v >> 24) };

	align(o, 4);
	put(o, b, sizeof(b));
}

static void put_u64(struct dbus_out *o, uint64_t v)
{
	align(o, 8);
	dbus_put_u32(o, (uint32_t)v);
	dbus_put_u32(o, (uint32_t)(v >> 32));
}

void dbus_put_bool(struct dbus_out *o, bool v)
{
	dbus_put_u32(o, v);
}

static void put_counted(struct dbus_out *o, const char *s, size_t n)
{
	dbus_put_u32(o, (uint32_t)n);
	put(o, s, n);
	put(o, "", 1);
}

void dbus_put_string(struct dbus_out *o, const char *s)
{
	put_counted(o, s, strlen(s));
}

static void put_signature(struct dbus_out *o, const char *s, size_t n)
{
	uint8_t k = (uint8_t)n;

	put(o, &k, 1);
	put(o, s, n);
	put(o, "", 1);
}

static void patch_u32(struct dbus_out *o, size_t at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		o->buf[at + i] = (uint8_t)(v >> (8 * i));
}

/* The place of the count. The padding before the first element isn't counted, so it is kept beside it. */
size_t dbus_array_begin(struct dbus_out *o, unsigned to)
{
	size_t at;

	dbus_put_u32(o, 0);
	at = o->n - 4;
	align(o, to);
	return at << 4 | (o->n - at - 4);
}

void dbus_array_end(struct dbus_out *o, size_t array)
{
	size_t at = array >> 4, padding = array & 15;

	if (!o->full)
		patch_u32(o, at, (uint32_t)(o->n - at - 4 - padding));
}

static void field(struct dbus_out *o, uint8_t code, const char *type, const char *value)
{
	align(o, 8);
	put(o, &code, 1);
	put_signature(o, type, strlen(type));
	if (*type == 'g')
		put_signature(o, value, strlen(value));
	else
		dbus_put_string(o, value);
}

void dbus_begin(struct dbus_out *o, uint32_t serial, const char *path, const char *interface,
	const char *member, const char *signature)
{
	static const uint8_t start[] = { 'l', 1, 0, 1, 0, 0, 0, 0 };
	size_t fields;

	o->n = 0;
	o->full = false;
	put(o, start, sizeof(start));
	dbus_put_u32(o, serial);
	fields = dbus_array_begin(o, 8);
	field(o, FIELD_PATH, "o", path);
	field(o, FIELD_DESTINATION, "s", "org.freedesktop.systemd1");
	field(o, FIELD_INTERFACE, "s", interface);
	field(o, FIELD_MEMBER, "s", member);
	if (*signature)
		field(o, FIELD_SIGNATURE, "g", signature);
	dbus_array_end(o, fields);
	align(o, 8);
	o->body = o->n;
}

void dbus_end(struct dbus_out *o)
{
	if (!o->full)
		patch_u32(o, 4, (uint32_t)(o->n - o->body));
}

/* --- properties --- */

/* "0-2,7" */
static int put_bits(struct dbus_out *o, const char *s)
{
	uint8_t bits[BITS_MAX / 8] = { 0 };
	size_t array, n = 0;

	while (*s) {
		uint64_t a, b;

		if (small_take_u64(&s, &a) < 0)
			return -E_INVALID;
		b = a;
		if (*s == '-' && (s++, small_take_u64(&s, &b) < 0))
			return -E_INVALID;
		if (a > b || b >= BITS_MAX || (*s && *s != ','))
			return -E_INVALID;
		s += *s == ',';
		for (; a <= b; a++)
			bits[a / 8] |= (uint8_t)(1U << (a % 8));
		n = n > b / 8 + 1 ? n : b / 8 + 1;
	}
	array = dbus_array_begin(o, 1);
	put(o, bits, n);
	dbus_array_end(o, array);
	return 0;
}

/* Texts by ',', or pairs of texts with a blank between. */
static int put_list(struct dbus_out *o, const char *s, bool pairs)
{
	size_t array = dbus_array_begin(o, pairs ? 8 : 4);

	while (*s) {
		size_t n = strcspn(s, ","), first = pairs ? strcspn(s, " ,") : n;

		if (pairs && s[first] != ' ')
			return -E_INVALID;
		if (pairs)
			align(o, 8);
		put_counted(o, s, first);
		if (pairs)
			put_counted(o, s + first + 1, n - first - 1);
		s += n + (s[n] == ',');
	}
	dbus_array_end(o, array);
	return 0;
}

static int put_value(struct dbus_out *o, const char *sig, size_t n, const char *value, pid_t pid)
{
	const char *end = value;
	uint64_t v = 0;
	bool negative = n == 1 && *sig == 'i' && *value == '-';

	if (n == 1 && strchr("btui", *sig)) {
		end += negative;
		if (small_take_u64(&end, &v) < 0 || *end || (*sig != 't' && v > UINT32_MAX))
			return -E_INVALID;
		if (*sig == 't')
			put_u64(o, v);
		else
			dbus_put_u32(o, negative ? -(uint32_t)v : (uint32_t)v);
		return 0;
	}
	if (n == 1 && *sig == 's') {
		dbus_put_string(o, value);
		return 0;
	}
	if (n == 2 && memcmp(sig, "as", n) == 0)
		return put_list(o, value, false);
	if (n == 2 && memcmp(sig, "ay", n) == 0)
		return put_bits(o, value);
	if (n == 5 && memcmp(sig, "a(ss)", n) == 0)
		return put_list(o, value, true);
	if (n == 2 && memcmp(sig, "au", n) == 0 && strcmp(value, "@PID@") == 0) {
		size_t array = dbus_array_begin(o, 4);

		dbus_put_u32(o, (uint32_t)pid);
		dbus_array_end(o, array);
		return 0;
	}
	return -E_INVALID;
}

int dbus_put_property(struct dbus_out *o, const char *property, pid_t pid)
{
	const char *equals = strchr(property, '='), *colon = equals ? strchr(equals, ':') : NULL;
	size_t n = colon ? (size_t)(colon - equals - 1) : 0;

	if (!n || n > SIGNATURE_MAX || equals == property)
		return -E_INVALID;
	align(o, 8);
	put_counted(o, property, (size_t)(equals - property));
	put_signature(o, equals + 1, n);
	return put_value(o, equals + 1, n, colon + 1, pid);
}

/* --- reading --- */

struct in {
	const uint8_t *p;
	size_t at, n;
};

static bool skip_to(struct in *in, unsigned to)
{
	in->at += (to - in->at % to) % to;
	return in->at <= in->n;
}

static bool take_u32(struct in *in, uint32_t *ret)
{
	if (!skip_to(in, 4) || in->n - in->at < 4)
		return false;
	*ret = (uint32_t)in->p[in->at] | (uint32_t)in->p[in->at + 1] << 8 |
	       (uint32_t)in->p[in->at + 2] << 16 | (uint32_t)in->p[in->at + 3] << 24;
	in->at += 4;
	return true;
}

/* A text of n bytes and a NUL, with none inside. */
static const char *take_bytes(struct in *in, size_t n)
{
	const char *s = (const char *)in->p + in->at;

	if (in->n - in->at <= n || s[n] != '\0' || strnlen(s, n + 1) != n)
		return NULL;
	in->at += n + 1;
	return s;
}

static const char *take_string(struct in *in)
{
	uint32_t n;

	return take_u32(in, &n) ? take_bytes(in, n) : NULL;
}

static const char *take_signature(struct in *in)
{
	if (in->at >= in->n)
		return NULL;
	in->at++;
	return take_bytes(in, in->p[in->at - 1]);
}

/* One header field, (yv): those that matter are texts, signatures and the number that is replied to. */
static bool take_field(struct in *in, struct dbus_message *m)
{
	const char *type, *text = "";
	uint32_t number = 0;
	uint8_t code;

	if (!skip_to(in, 8) || in->at >= in->n)
		return false;
	code = in->p[in->at++];
	type = take_signature(in);
	if (!type)
		return false;
	if (strcmp(type, "u") == 0) {
		if (!take_u32(in, &number))
			return false;
	} else if (strcmp(type, "s") == 0 || strcmp(type, "o") == 0)
		text = take_string(in);
	else if (strcmp(type, "g") == 0)
		text = take_signature(in);
	else
		return false;
	if (!text)
		return false;
	if (code == FIELD_MEMBER)
		m->member = text;
	else if (code == FIELD_ERROR)
		m->error = text;
	else if (code == FIELD_SIGNATURE)
		m->signature = text;
	else if (code == FIELD_REPLY)
		m->reply_to = number;
	return true;
}

ssize_t dbus_parse(const uint8_t *buf, size_t n, struct dbus_message *ret)
{
	struct dbus_message m = { .member = "", .error = "", .signature = "" };
	struct in in = { buf, 4, n };
	uint32_t body, serial, fields;
	size_t start;

	if (n < HEADER + 4)
		return 0;
	if (buf[0] != 'l' || buf[3] != 1)
		return -E_CORRUPT;
	m.type = buf[1];
	(void)take_u32(&in, &body);
	(void)take_u32(&in, &serial);
	(void)take_u32(&in, &fields);
	if (body > DBUS_MESSAGE_MAX || fields > DBUS_MESSAGE_MAX)
		return -E_LIMIT;
	start = (HEADER + 4 + fields + 7) / 8 * 8;
	if (start + body > DBUS_MESSAGE_MAX)
		return -E_LIMIT;
	if (n < start + body)
		return 0;
	in.n = HEADER + 4 + fields;
	while (in.at < in.n)
		if (!take_field(&in, &m))
			return -E_CORRUPT;
	m.body = buf + start;
	m.body_n = body;
	*ret = m;
	return (ssize_t)(start + body);
}

const char *dbus_text(const struct dbus_message *m, unsigned i)
{
	struct in in = { m->body, 0, m->body_n };
	const char *text = NULL;
	uint32_t number;

	for (const char *sig = m->signature; *sig; sig++, i--) {
		text = NULL;
		if (*sig == 'v') {
			const char *inner = take_signature(&in);

			if (!inner || (strcmp(inner, "s") != 0 && strcmp(inner, "o") != 0))
				return NULL;
			text = take_string(&in);
		} else if (*sig == 's' || *sig == 'o')
			text = take_string(&in);
		else if (*sig != 'u' || !take_u32(&in, &number))
			return NULL;
		if (i == 0)
			return text;
		if (!text && *sig != 'u')
			return NULL;
	}
	return NULL;
}
