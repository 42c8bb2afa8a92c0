/* SPDX-License-Identifier: MIT */
/* Archives, whole and in pieces: the same entries and bytes, or an error for both; and what was read can be written
 * and read again. */
#include <stdlib.h>
#include <string.h>

#include "wire/ustar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t hash;
	int64_t left; /* of the file whose content comes */
	struct ustar_buf again;
	bool failed; /* what was read couldn't be written: a limit */
};

static void mix(struct seen *s, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n--)
		s->hash = (s->hash ^ *p++) * 0x01000193u;
}

static int on_entry(void *arg, const struct ustar_entry *t, struct err *e)
{
	struct seen *s = arg;

	if (!t->path[0] || t->size < 0 || s->left != 0 || (unsigned)t->type >= _USTAR_TYPE_MAX)
		abort();
	mix(s, t->path, strlen(t->path));
	mix(s, t->target, strlen(t->target));
	mix(s, &t->mtime, sizeof(t->mtime));
	mix(s, &t->mode, sizeof(t->mode));
	for (unsigned i = 0; i < t->n_xattrs; i++) {
		mix(s, t->xattrs[i].name, strlen(t->xattrs[i].name));
		mix(s, t->xattrs[i].value, t->xattrs[i].size);
	}
	s->left = t->size;
	if (ustar_put_entry(&s->again, t) < 0)
		s->failed = true;
	return 0;
}

static int on_content(void *arg, const void *data, size_t n, struct err *e)
{
	struct seen *s = arg;

	if ((uint64_t)s->left < n)
		abort();
	s->left -= (int64_t)n;
	mix(s, data, n);
	return 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
	static const struct ustar_sink sink = { on_entry, on_content };
	struct ustar_reader *r = ustar_reader_new(&sink, s);
	struct err e;
	int code = 0;

	if (!r)
		abort();
	for (size_t at = 0; at < size && code == 0; at += piece)
		code = ustar_reader_write(r, data + at, piece < size - at ? piece : size - at, &e);
	code = code ? code : ustar_reader_finish(r, &e);
	ustar_reader_free(r);
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen one = { 0 }, other = { 0 };
	int a = run(data, size, size ? size : 1, &one), b = run(data, size, 1 + size % 61, &other);

	if (!a != !b || (!a && one.hash != other.hash))
		abort();
	ustar_buf_done(&one.again);
	ustar_buf_done(&other.again);
	return 0;
}
