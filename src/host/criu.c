/* SPDX-License-Identifier: MIT */
/* Requests to criu and its replies, as protocol buffers. */
#include "host/criu.h"

#include <sched.h>
#include <string.h>

#include "host/smallfile.h"

/* --- words and the fields of criu_opts --- */

enum kind {
	KIND_SET, /* no value */
	KIND_TEXT,
	KIND_NUMBER,
	KIND_FOLDER,
	KIND_INHERIT, /* "fd[N]:KEY" */
	KIND_ROOT,    /* "[CONTROLLER:]/PATH" */
	KIND_MODE,    /* of --manage-cgroups */
	KIND_EMPTY,   /* "net" */
	KIND_SERVER,  /* "ADDRESS:PORT" */
};

static const struct word {
	const char *name;
	enum kind kind;
	unsigned field;
} words_known[] = {
	{ "--images-dir", KIND_FOLDER, 1 },
	{ "--tree", KIND_NUMBER, 2 },
	{ "--leave-running", KIND_SET, 3 },
	{ "--ext-unix-sk", KIND_SET, 4 },
	{ "--tcp-established", KIND_SET, 5 },
	{ "--evasive-devices", KIND_SET, 6 },
	{ "--shell-job", KIND_SET, 7 },
	{ "--file-locks", KIND_SET, 8 },
	{ "--verbosity", KIND_NUMBER, 9 },
	{ "--log-file", KIND_TEXT, 10 },
	{ "--page-server", KIND_SERVER, 11 },
	{ "--root", KIND_TEXT, 13 },
	{ "--prev-images-dir", KIND_TEXT, 14 },
	{ "--track-mem", KIND_SET, 15 },
	{ "--auto-dedup", KIND_SET, 16 },
	{ "--work-dir", KIND_FOLDER, 17 },
	{ "--link-remap", KIND_SET, 18 },
	{ "--cgroup-root", KIND_ROOT, 25 },
	{ "--restore-sibling", KIND_SET, 26 },
	{ "--inherit-fd", KIND_INHERIT, 27 },
	{ "--manage-cgroups", KIND_MODE, 34 },
	{ "--external", KIND_TEXT, 37 },
	{ "--empty-ns", KIND_EMPTY, 38 },
	{ "--freeze-cgroup", KIND_TEXT, 44 },
	{ "--skip-in-flight", KIND_SET, 46 },
	{ "--lazy-pages", KIND_SET, 48 },
	{ "--status-fd", KIND_NUMBER, 49 },
	{ "--config", KIND_TEXT, 51 },
	{ "--lsm-profile", KIND_TEXT, 53 },
	{ "--lsm-mount-context", KIND_TEXT, 63 },
};

/* criu_opts beside those: what only a client of the service can ask for, and the older form of the mode */
enum {
	FIELD_NOTIFY = 12,
	FIELD_MANAGE = 24,
	FIELD_TERMINAL = 50,
};

static const struct word *word_of(const char *text, const char **ret_value)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);

	*ret_value = equals ? equals + 1 : "";
	for (size_t i = 0; i < ELEMENTSOF(words_known); i++)
		if (strlen(words_known[i].name) == n && strncmp(words_known[i].name, text, n) == 0)
			return &words_known[i];
	return NULL;
}

enum criu_opens criu_word_opens(const char *text, const char **ret, size_t *ret_n)
{
	const char *value, *end;
	const struct word *w = word_of(text, &value);

	if (w && w->kind == KIND_FOLDER) {
		*ret = value;
		*ret_n = strlen(value);
		return CRIU_OPENS_FOLDER;
	}
	if (!w || w->kind != KIND_INHERIT || strncmp(value, "fd[/", 4) != 0)
		return CRIU_OPENS_NONE;
	end = strchr(value, ']');
	if (!end)
		return CRIU_OPENS_NONE;
	*ret = value + 3;
	*ret_n = (size_t)(end - value - 3);
	return CRIU_OPENS_FILE;
}

bool criu_word_inherits(const char *text, int *ret)
{
	const char *value;
	const struct word *w = word_of(text, &value);
	uint64_t n;

	if (!w || w->kind != KIND_INHERIT || strncmp(value, "fd[", 3) != 0)
		return false;
	value += 3;
	if (small_take_u64(&value, &n) < 0 || *value != ']' || n > INT32_MAX)
		return false;
	*ret = (int)n;
	return true;
}

/* --- encoding --- */

struct out {
	uint8_t *p;
	size_t n;
	bool full;
};

static void byte(struct out *o, uint8_t b)
{
	if (o->n < CRIU_PACKET_MAX)
		o->p[o->n++] = b;
	else
		o->full = true;
}

static void varint(struct out *o, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		byte(o, (uint8_t)(v | 0x80));
	byte(o, (uint8_t)v);
}

/* A negative int32 is ten bytes, as the encoding wants it. */
static void number(struct out *o, unsigned field, int64_t v)
{
	varint(o, field << 3);
	varint(o, (uint64_t)v);
}

static void bytes(struct out *o, unsigned field, const void *p, size_t n)
{
	varint(o, field << 3 | 2);
	varint(o, n);
	if (n > CRIU_PACKET_MAX - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

/* A message of a text and a number, or of two texts: all that are inside of criu_opts. */
static void pair(struct out *o, unsigned field, unsigned text_field, const char *text, size_t n,
	int64_t value)
{
	uint8_t inner[4096];
	struct out in = { .p = inner };

	if (n > sizeof(inner) - 32) {
		o->full = true;
		return;
	}
	if (text)
		bytes(&in, text_field, text, n);
	number(&in, 2, value);
	bytes(o, field, inner, in.n);
}

static int inherit(struct out *o, const struct word *w, const char *value, int fd)
{
	const char *end = strchr(value, ']');
	uint64_t n;

	if (strncmp(value, "fd[", 3) != 0 || !end || end[1] != ':' || !end[2])
		return -EINVAL;
	if (value[3] != '/') {
		value += 3;
		if (small_take_u64(&value, &n) < 0 || value != end || n > INT32_MAX)
			return -EINVAL;
		fd = fd >= 0 ? fd : (int)n;
	}
	pair(o, w->field, 1, end + 2, strlen(end + 2), fd);
	return 0;
}

static int cgroup_root(struct out *o, const struct word *w, const char *value)
{
	const char *path = strchr(value, '/');
	uint8_t inner[1024];
	struct out in = { .p = inner };
	size_t n = path ? (size_t)(path - value) : 0;

	if (!path || strlen(value) > sizeof(inner) - 32 || (n && value[n - 1] != ':'))
		return -EINVAL;
	if (n)
		bytes(&in, 1, value, n - 1);
	bytes(&in, 2, path, strlen(path));
	bytes(o, w->field, inner, in.n);
	return 0;
}

static int mode(struct out *o, const struct word *w, const char *value)
{
	static const char *const names[] = { "ignore", "none", "props", "soft", "full", "strict" };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (strcmp(names[i], value) == 0) {
			number(o, FIELD_MANAGE, i > 0);
			number(o, w->field, (int64_t)i);
			return 0;
		}
	return -EINVAL;
}

static int server(struct out *o, const struct word *w, const char *value)
{
	const char *colon = strrchr(value, ':'), *p = colon ? colon + 1 : value;
	uint64_t port;

	if (!colon || small_take_u64(&p, &port) < 0 || *p || port > UINT16_MAX)
		return -EINVAL;
	pair(o, w->field, 1, value, (size_t)(colon - value), (int64_t)port);
	return 0;
}

static int encode_word(struct out *o, const struct word *w, const char *value, int fd)
{
	uint64_t n;

	switch (w->kind) {
	case KIND_SET:
		number(o, w->field, 1);
		return *value ? -EINVAL : 0;
	case KIND_TEXT:
		bytes(o, w->field, value, strlen(value));
		return 0;
	case KIND_NUMBER:
		if (small_take_u64(&value, &n) < 0 || *value || n > INT32_MAX)
			return -EINVAL;
		number(o, w->field, (int64_t)n);
		return 0;
	case KIND_FOLDER:
		number(o, w->field, fd);
		return 0;
	case KIND_INHERIT:
		return inherit(o, w, value, fd);
	case KIND_ROOT:
		return cgroup_root(o, w, value);
	case KIND_MODE:
		return mode(o, w, value);
	case KIND_EMPTY:
		number(o, w->field, CLONE_NEWNET);
		return strcmp(value, "net") == 0 ? 0 : -EINVAL;
	case KIND_SERVER:
		return server(o, w, value);
	}
	return -EINVAL;
}

ssize_t criu_encode(enum criu_type type, const char *const *words, const int *fds, unsigned n,
	uint8_t *buf, struct err *e)
{
	_cleanup_free_ uint8_t *inner = malloc(CRIU_PACKET_MAX);
	struct out opts = { .p = inner }, whole = { .p = buf };

	if (!inner)
		abort();
	for (unsigned i = 0; i < n; i++) {
		const char *value;
		const struct word *w = word_of(words[i], &value);

		if (!w || encode_word(&opts, w, value, fds[i]) < 0)
			return err_set(e, -E_INVALID, "criu is to be told '%s', which it has not",
				words[i]);
	}
	number(&opts, FIELD_NOTIFY, 1);
	number(&opts, FIELD_TERMINAL, 1);
	number(&whole, 1, type);
	bytes(&whole, 2, inner, opts.n);
	if (opts.full || whole.full)
		return err_set(
			e, -E_LIMIT, "the request to criu has more than %d bytes", CRIU_PACKET_MAX);
	return (ssize_t)whole.n;
}

size_t criu_encode_notified(bool good, uint8_t *buf)
{
	struct out o = { .p = buf };

	number(&o, 1, CRIU_NOTIFY);
	number(&o, 3, good);
	return o.n;
}

size_t criu_encode_features(uint8_t *buf)
{
	static const uint8_t both[] = { 1 << 3, 1, 2 << 3, 1 };
	struct out o = { .p = buf };

	number(&o, 1, CRIU_FEATURES);
	bytes(&o, 5, both, sizeof(both));
	return o.n;
}

/* --- decoding --- */

struct in {
	const uint8_t *p, *end;
};

struct field {
	unsigned number;
	uint64_t value;	    /* of a number */
	struct in contents; /* of bytes */
};

static bool take_varint(struct in *in, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
		uint8_t b = *in->p++;

		*ret |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

/* 1: a field; 0: the end; -E_CORRUPT. */
static int take_field(struct in *in, struct field *f)
{
	uint64_t tag, n;

	if (in->p == in->end)
		return 0;
	*f = (struct field){ 0 };
	if (!take_varint(in, &tag) || tag >> 3 > UINT16_MAX)
		return -E_CORRUPT;
	f->number = (unsigned)(tag >> 3);
	switch (tag & 7) {
	case 0:
		return take_varint(in, &f->value) ? 1 : -E_CORRUPT;
	case 1:
		n = 8;
		break;
	case 2:
		if (!take_varint(in, &n))
			return -E_CORRUPT;
		break;
	case 5:
		n = 4;
		break;
	default:
		return -E_CORRUPT;
	}
	if (n > (uint64_t)(in->end - in->p))
		return -E_CORRUPT;
	f->contents = (struct in){ in->p, in->p + n };
	in->p += n;
	return 1;
}

static void take_text(const struct in *in, char *buf, size_t size)
{
	size_t n = (size_t)(in->end - in->p);

	if (!in->p)
		n = 0;
	if (n >= size)
		n = size - 1;
	if (n)
		memcpy(buf, in->p, n);
	buf[n] = '\0';
}

/* The messages inside of criu_resp that matter. */
static int take_inner(unsigned message, struct in in, struct criu_reply *r)
{
	struct field f;
	int code;

	if (!in.p)
		return 0;
	while ((code = take_field(&in, &f)) > 0) {
		if (message == 4 && f.number == 1) /* criu_restore_resp.pid */
			r->pid = (pid_t)f.value;
		else if (message == 5 && f.number == 1) /* criu_notify.script */
			take_text(&f.contents, r->script, sizeof(r->script));
		else if (message == 5 && f.number == 2)
			r->pid = (pid_t)f.value;
		else if (message == 8 && f.value && f.number <= 2) /* criu_features */
			r->features |= f.number;
	}
	return code;
}

int criu_decode(const uint8_t *buf, size_t n, struct criu_reply *ret)
{
	struct in in = { buf, buf + n };
	struct criu_reply r = { 0 };
	struct field f;
	int code;

	while ((code = take_field(&in, &f)) > 0) {
		if (f.number == 1)
			r.type = (unsigned)f.value;
		else if (f.number == 2)
			r.success = f.value;
		else if (f.number == 4 || f.number == 5 || f.number == 8)
			code = take_inner(f.number, f.contents, &r);
		else if (f.number == 7)
			r.code = (int)f.value;
		else if (f.number == 9)
			take_text(&f.contents, r.text, sizeof(r.text));
		if (code < 0)
			break;
	}
	if (code < 0 || !r.type || (r.success && r.pid < 0))
		return -E_CORRUPT;
	*ret = r;
	return 0;
}
