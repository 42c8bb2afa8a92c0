/* SPDX-License-Identifier: MIT */
#include "codec/tar-fuzz.h"

/*
 * The reader, twice: in one piece, and in pieces of odd sizes, which must give the same calls. What it hands
 * out is checked against its promises.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t hash;
	size_t bytes;	    /* raw and content */
	int64_t next, size; /* of the file */
	int64_t left;	    /* content that must still come */
};

static void mix(struct seen *s, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size--)
		s->hash = (s->hash ^ *p++) * 0x01000193u;
}

static int on_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct seen *s = arg;
	int64_t end = 0;

	g_assert_cmpint(s->left, ==, 0);
	g_assert_cmpint(*t->path, !=, '\0');
	g_assert_cmpint(t->size, >=, 0);
	g_assert_cmpint(t->size, <=, TAR_FILE_MAX);
	g_assert_cmpuint(t->mtime_nsec, <, 1000000000);
	g_assert_cmpuint(t->n_xattrs, <=, 2 * XATTR_COUNT_LIMIT);
	for (unsigned i = 0; i < t->n_extents; i++) {
		g_assert_cmpint(t->extents[i].offset, >=, end);
		g_assert_cmpint(t->extents[i].size, >=, 0);
		end = t->extents[i].offset + t->extents[i].size;
		g_assert_cmpint(end, <=, t->size);
	}
	for (unsigned i = 0; i < t->n_xattrs; i++) {
		mix(s, t->xattrs[i].name, strlen(t->xattrs[i].name));
		mix(s, t->xattrs[i].value, t->xattrs[i].size);
	}
	mix(s, t->path, strlen(t->path));
	mix(s, t->target, strlen(t->target));
	mix(s, &t->size, sizeof(t->size));
	mix(s, &t->mtime, sizeof(t->mtime));
	s->left = tar_content_size(t);
	s->size = t->size;
	s->next = 0;
	return 0;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct seen *s = arg;

	g_assert_cmpint(offset, >=, s->next);
	s->next = offset + (int64_t)size;
	g_assert_cmpint(s->next, <=, s->size);
	s->left -= (int64_t)size;
	s->bytes += size;
	mix(s, data, size);
	return 0;
}

static int on_raw(void *arg, const void *data, size_t size, struct err *e)
{
	struct seen *s = arg;

	s->bytes += size;
	mix(s, data, size);
	return 0;
}

static int run(const uint8_t *data, size_t size, size_t piece, struct seen *s)
{
	static const struct tar_sink sink = { on_entry, on_content, on_raw };
	_cleanup_(tar_reader_freep) struct tar_reader *r = NULL;
	struct err e = { 0 };
	int code = 0;

	*s = (struct seen){ 0 };
	r = tar_reader_new(&sink, s);
	for (size_t at = 0; at < size && !code; at += piece)
		code = tar_reader_write(r, data + at, MIN(piece, size - at), &e);
	if (!code)
		code = tar_reader_finish(r, &e);
	g_assert_cmpint(code, <=, 0);
	if (code)
		g_assert_cmpint(e.text[0], !=, '\0');
	else
		g_assert_cmpuint(s->bytes, ==, size);
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree uint8_t *copy = g_memdup2(data, size);
	struct seen one, other;
	int r;

	tar_fix_sums(copy, size);
	r = run(copy, size, size ? size : 1, &one);
	g_assert_cmpint(run(copy, size, 1 + size % 700, &other), ==, r);
	if (!r)
		g_assert_cmpuint(one.hash, ==, other.hash);
	return 0;
}
