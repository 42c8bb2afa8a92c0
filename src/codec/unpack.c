/* SPDX-License-Identifier: MIT */
#include "codec/unpack.h"

#include <dlfcn.h>
#include <glib.h>
#include <lzma.h>
#include <string.h>

#include "codec/inflate.h"

#define LZ4_BLOCK_MAX (8 << 20) /* of lz4 -l, unpacked */
#define LZMA_MEMORY   ((uint64_t)512 << 20)
#define STEP	      (1 << 20)

enum unpack_kind unpack_kind_of(const void *data, size_t size)
{
	static const struct {
		const char *magic;
		size_t n;
		enum unpack_kind kind;
	} kinds[] = {
		{ "\x1f\x8b\x08", 3, UNPACK_GZIP },
		{ "\x28\xb5\x2f\xfd", 4, UNPACK_ZSTD },
		{ "\xfd\x37zXZ\0", 6, UNPACK_XZ },
		{ "\x5d\0\0", 3, UNPACK_LZMA },
		{ "\x02\x21\x4c\x18", 4, UNPACK_LZ4 },
	};

	for (unsigned i = 0; i < ELEMENTSOF(kinds); i++)
		if (size >= kinds[i].n && memcmp(data, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].kind;
	return UNPACK_PLAIN;
}

struct sink {
	GByteArray *to;
	size_t max;
};

static int corrupt(struct err *e)
{
	return err_set(e, -E_CORRUPT, "the compressed data is damaged");
}

static int too_large(size_t max, struct err *e)
{
	return err_set(e, -E_LIMIT, "more than %zu bytes are compressed in it", max);
}

/* --- gzip, zstd --- */

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	struct sink *s = arg;

	if (size > s->max - s->to->len)
		return too_large(s->max, e);
	g_byte_array_append(s->to, data, (guint)size);
	return 0;
}

static int unpack_inflate(const uint8_t *p, size_t size, struct sink *s, struct err *e)
{
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(take, s);
	int r = inflate_write(z, p, size, e);

	return r < 0 ? r : inflate_finish(z, e);
}

/* --- xz, lzma --- */

struct lzma_calls {
	lzma_ret (*auto_decoder)(lzma_stream *, uint64_t, uint32_t);
	lzma_ret (*code)(lzma_stream *, lzma_action);
	void (*end)(lzma_stream *);
};

static int load_lzma(struct lzma_calls *ret, struct err *e)
{
	void *lib = dlopen("liblzma.so.5", RTLD_NOW | RTLD_NODELETE);

	if (lib) {
		ret->auto_decoder = dlsym(lib, "lzma_auto_decoder");
		ret->code = dlsym(lib, "lzma_code");
		ret->end = dlsym(lib, "lzma_end");
		if (ret->auto_decoder && ret->code && ret->end)
			return 0;
	}
	err_set(e, -E_UNSUPPORTED, "cannot load liblzma.so.5 for xz: %s", dlerror());
	err_mend(e, "install the package liblzma5");
	return -E_UNSUPPORTED;
}

static int unpack_lzma(const uint8_t *p, size_t size, struct sink *s, struct err *e)
{
	lzma_stream z = LZMA_STREAM_INIT;
	struct lzma_calls call;
	lzma_ret code = LZMA_OK;
	int r = load_lzma(&call, e);

	if (r < 0)
		return r;
	code = call.auto_decoder(&z, LZMA_MEMORY, 0);
	z.next_in = p;
	z.avail_in = size;
	while (code == LZMA_OK) {
		/* one byte more than there may be: only so the end shows */
		size_t n = MIN((size_t)STEP, s->max + 1 - s->to->len);
		guint at = s->to->len;

		g_byte_array_set_size(s->to, at + (guint)n);
		z.next_out = s->to->data + at;
		z.avail_out = n;
		code = call.code(&z, LZMA_FINISH);
		g_byte_array_set_size(s->to, at + (guint)(n - z.avail_out));
		if (s->to->len > s->max) {
			call.end(&z);
			return too_large(s->max, e);
		}
		if (code == LZMA_OK && z.avail_in == 0 && z.avail_out > 0)
			break; /* cut short */
	}
	call.end(&z);
	return code == LZMA_STREAM_END ? 0 : corrupt(e);
}

/* --- lz4 --- */

/* A length that goes on in further bytes while they are 255. */
static bool lz4_length(const uint8_t **p, const uint8_t *end, size_t *n)
{
	uint8_t b;

	if (*n != 15)
		return true;
	do {
		if (*p == end)
			return false;
		b = *(*p)++;
		*n += b;
	} while (b == 255 && *n <= LZ4_BLOCK_MAX);
	return *n <= LZ4_BLOCK_MAX;
}

/* A match may lie over its own end: then what it writes repeats. */
static void lz4_match(uint8_t *to, size_t back, size_t n)
{
	const uint8_t *from = to - back;

	if (back >= n) {
		memcpy(to, from, n);
		return;
	}
	while (n--)
		*to++ = *from++;
}

/*
 * One block ("LZ4 Block Format Description"): sequences of a token, literals, and a match with what was
 * written before. The last one ends after its literals. Bytes written to out, or -1.
 */
static ssize_t lz4_block(const uint8_t *p, size_t size, uint8_t *out, size_t room)
{
	const uint8_t *end = p + size;
	size_t at = 0;

	while (p < end) {
		unsigned token = *p++;
		size_t literals = token >> 4, match = token & 15, back;

		if (!lz4_length(&p, end, &literals) || literals > (size_t)(end - p) ||
			literals > room - at)
			return -1;
		memcpy(out + at, p, literals);
		at += literals;
		p += literals;
		if (p == end)
			return (ssize_t)at;
		if (end - p < 2)
			return -1;
		back = p[0] | (size_t)p[1] << 8;
		p += 2;
		if (!lz4_length(&p, end, &match) || back == 0 || back > at || match + 4 > room - at)
			return -1;
		lz4_match(out + at, back, match + 4);
		at += match + 4;
	}
	return -1;
}

/* The frame has no end of its own: it ends where the bytes do. */
static int unpack_lz4(const uint8_t *p, size_t size, struct sink *s, struct err *e)
{
	g_autofree uint8_t *out = g_malloc(LZ4_BLOCK_MAX);
	size_t at = 4;
	int r = 0;

	while (r == 0 && at < size) {
		size_t n;
		ssize_t got;

		if (size - at < 4)
			return corrupt(e);
		n = p[at] | (size_t)p[at + 1] << 8 | (size_t)p[at + 2] << 16 |
		    (size_t)p[at + 3] << 24;
		at += 4;
		if (n == 0 || n > size - at)
			return corrupt(e);
		got = lz4_block(p + at, n, out, LZ4_BLOCK_MAX);
		if (got < 0)
			return corrupt(e);
		at += n;
		r = take(s, out, (size_t)got, e);
	}
	return r;
}

int unpack(
	const void *data, size_t size, size_t max, uint8_t **ret, size_t *ret_size, struct err *e)
{
	g_autoptr(GByteArray) to = g_byte_array_new();
	struct sink s = { to, MIN(max, (size_t)G_MAXUINT / 2) };
	int r;

	switch (unpack_kind_of(data, size)) {
	case UNPACK_GZIP:
	case UNPACK_ZSTD:
		r = unpack_inflate(data, size, &s, e);
		break;
	case UNPACK_XZ:
	case UNPACK_LZMA:
		r = unpack_lzma(data, size, &s, e);
		break;
	case UNPACK_LZ4:
		r = unpack_lz4(data, size, &s, e);
		break;
	default:
		r = take(&s, data, size, e);
		break;
	}
	if (r < 0)
		return r;
	*ret_size = to->len;
	*ret = g_byte_array_free(g_steal_pointer(&to), FALSE);
	return 0;
}
