/* SPDX-License-Identifier: MIT */
#include "codec/inflate.h"

#include <dlfcn.h>
#include <glib.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <zstd.h>

#define OUT_SIZE  ((size_t)256 * 1024)
#define TELL_SIZE 10 /* bytes that inflate_kind_of needs */
/* isal_inflate counts in 32 bits. */
#define PIECE_MAX ((size_t)1 << 30)

struct inflate {
	inflate_sink sink;
	void *arg;
	enum inflate_kind kind;
	int dead; /* the code that ended it */
	uint8_t first[TELL_SIZE];
	size_t n_first;
	int64_t in, out;
	uint8_t *buf;
	bool inside;  /* a member or frame has begun and not ended */
	bool members; /* at least one has ended */
	struct inflate_state *gz;
	void (*gz_init)(struct inflate_state *state);
	int (*gz_inflate)(struct inflate_state *state);
	ZSTD_DCtx *zstd;
};

enum inflate_kind inflate_kind_of(const void *data, size_t size)
{
	static const struct {
		enum inflate_kind kind;
		uint8_t size;
		const char *magic;
	} kinds[] = {
		{ INFLATE_GZIP, 2, "\x1f\x8b" },
		{ INFLATE_ZSTD, 4, "\x28\xb5\x2f\xfd" },
		{ INFLATE_XZ, 6,
			"\xfd"
			"7zXZ" },
		{ INFLATE_BZIP2, 10, NULL },
	};
	bool maybe = false;
	const uint8_t *p = data;
	unsigned i;

	for (i = 0; i < ELEMENTSOF(kinds); i++) {
		char magic[TELL_SIZE] = "BZh";
		size_t n = MIN(size, kinds[i].size);

		if (kinds[i].magic)
			memcpy(magic, kinds[i].magic, kinds[i].size);
		else {
			/* the level is a digit; the rest tells it from a tar whose first name begins so */
			magic[3] = size > 3 && p[3] >= '1' && p[3] <= '9' ? (char)p[3] : '9';
			memcpy(magic + 4, "1AY&SY", 6);
		}
		if (memcmp(p, magic, n) != 0)
			continue;
		if (n == kinds[i].size)
			return kinds[i].kind;
		maybe = true;
	}
	/* zstd's skippable frames: 0x184D2A50 to 0x184D2A5F */
	if (size && (p[0] & 0xf0) == 0x50 && !memcmp(p + 1, "\x2a\x4d\x18", MIN(size - 1, 3))) {
		if (size >= 4)
			return INFLATE_ZSTD;
		maybe = true;
	}
	return maybe || !size ? INFLATE_UNKNOWN : INFLATE_PLAIN;
}

struct inflate *inflate_new(inflate_sink sink, void *arg)
{
	struct inflate *z = g_new0(struct inflate, 1);

	z->sink = sink;
	z->arg = arg;
	return z;
}

void inflate_free(struct inflate *z)
{
	if (!z)
		return;
	ZSTD_freeDCtx(z->zstd);
	g_free(z->gz);
	g_free(z->buf);
	g_free(z);
}

void inflate_freep(struct inflate **z)
{
	inflate_free(*z);
}

enum inflate_kind inflate_kind(const struct inflate *z)
{
	return z->kind;
}

static int isal_open(void **ret, struct err *e)
{
	*ret = dlopen("libisal.so.2", RTLD_NOW | RTLD_NODELETE);
	if (*ret)
		return 0;
	err_set(e, -E_UNSUPPORTED, "cannot load libisal.so.2 for gzip: %s", dlerror());
	err_mend(e, "install the package libisal2");
	return -E_UNSUPPORTED;
}

static int start(struct inflate *z, struct err *e)
{
	void *lib;
	int r;

	switch (z->kind) {
	case INFLATE_GZIP:
		r = isal_open(&lib, e);
		if (r < 0)
			return r;
		z->gz_init = dlsym(lib, "isal_inflate_init");
		z->gz_inflate = dlsym(lib, "isal_inflate");
		if (!z->gz_init || !z->gz_inflate)
			return err_set(e, -E_UNSUPPORTED, "libisal.so.2 lacks isal_inflate");
		z->gz = g_new0(struct inflate_state, 1);
		break;
	case INFLATE_ZSTD:
		z->zstd = ZSTD_createDCtx();
		g_assert(z->zstd); /* no memory */
		break;
	case INFLATE_XZ:
	case INFLATE_BZIP2:
		err_set(e, -E_UNSUPPORTED, "%s compression is not supported",
			z->kind == INFLATE_XZ ? "xz" : "bzip2");
		err_mend(e, "decompress it first");
		return -E_UNSUPPORTED;
	case INFLATE_PLAIN:
	case INFLATE_UNKNOWN:
		return 0;
	}
	z->buf = g_malloc(OUT_SIZE);
	return 0;
}

static int give(struct inflate *z, const void *data, size_t size, struct err *e)
{
	if (!size)
		return 0;
	z->out += (int64_t)size;
	if (z->out > INFLATE_TOTAL_MAX)
		return err_set(e, -E_LIMIT, "the stream is larger than %lld GiB",
			(long long)(INFLATE_TOTAL_MAX >> 30));
	if (z->out > INFLATE_FREE && z->kind != INFLATE_PLAIN && z->out / INFLATE_RATIO_MAX > z->in)
		return err_set(e, -E_LIMIT,
			"compressed data grows more than %d times: %lld bytes made %lld",
			INFLATE_RATIO_MAX, (long long)z->in, (long long)z->out);
	return z->sink(z->arg, data, size, e);
}

/* Eats a piece of at most PIECE_MAX bytes. */
static int gunzip(struct inflate *z, const uint8_t *p, size_t size, struct err *e)
{
	struct inflate_state *s = z->gz;
	int r;

	s->next_in = (uint8_t *)p;
	s->avail_in = (uint32_t)size;
	for (;;) {
		if (!z->inside) {
			uint8_t *next = s->next_in;
			uint32_t left = s->avail_in;

			/* what follows the last member may be padding, as tapes had it */
			while (z->members && left && !*next)
				next++, left--;
			if (!left)
				return 0;
			z->gz_init(s);
			s->crc_flag = ISAL_GZIP;
			s->next_in = next;
			s->avail_in = left;
			z->inside = true;
		}
		s->next_out = z->buf;
		s->avail_out = OUT_SIZE;
		r = z->gz_inflate(s);
		if (r < 0 || r == ISAL_NEED_DICT)
			return err_set(e, -E_CORRUPT, "the gzip stream is damaged near byte %lld",
				(long long)(z->in - s->avail_in));
		r = give(z, z->buf, OUT_SIZE - s->avail_out, e);
		if (r)
			return r;
		if (s->block_state == ISAL_BLOCK_FINISH) {
			z->inside = false;
			z->members = true;
		} else if (!s->avail_in && s->avail_out)
			return 0;
	}
}

static int unzstd(struct inflate *z, const uint8_t *p, size_t size, struct err *e)
{
	ZSTD_inBuffer in = { p, size, 0 };
	ZSTD_outBuffer out;
	size_t n;
	int r;

	do {
		out = (ZSTD_outBuffer){ z->buf, OUT_SIZE, 0 };
		n = ZSTD_decompressStream(z->zstd, &out, &in);
		if (ZSTD_isError(n))
			return err_set(e, -E_CORRUPT,
				"the zstd stream is damaged near byte %lld: %s",
				(long long)(z->in - (int64_t)(in.size - in.pos)),
				ZSTD_getErrorName(n));
		z->inside = n != 0;
		r = give(z, z->buf, out.pos, e);
		if (r)
			return r;
		/* at the end of a frame a further call would begin the next one */
	} while (in.pos < in.size || (out.pos == out.size && z->inside));
	return 0;
}

static int feed(struct inflate *z, const uint8_t *p, size_t size, struct err *e)
{
	while (size) {
		size_t n = MIN(size, PIECE_MAX);
		int r;

		z->in += (int64_t)n;
		if (z->kind == INFLATE_GZIP)
			r = gunzip(z, p, n, e);
		else if (z->kind == INFLATE_ZSTD)
			r = unzstd(z, p, n, e);
		else
			r = give(z, p, n, e);
		if (r)
			return r;
		p += n;
		size -= n;
	}
	return 0;
}

static int begin(struct inflate *z, enum inflate_kind kind, struct err *e)
{
	int r;

	z->kind = kind;
	r = start(z, e);
	return r ? r : feed(z, z->first, z->n_first, e);
}

int inflate_write(struct inflate *z, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;

	if (z->dead)
		return err_set(e, z->dead, "the stream has failed before");
	while (z->kind == INFLATE_UNKNOWN && size && !z->dead) {
		enum inflate_kind kind;

		z->first[z->n_first++] = *p++;
		size--;
		kind = inflate_kind_of(z->first, z->n_first);
		if (kind != INFLATE_UNKNOWN)
			z->dead = begin(z, kind, e);
	}
	if (!z->dead)
		z->dead = feed(z, p, size, e);
	return z->dead;
}

int inflate_finish(struct inflate *z, struct err *e)
{
	if (z->dead)
		return err_set(e, z->dead, "the stream has failed before");
	if (z->kind == INFLATE_UNKNOWN && z->n_first)
		z->dead = begin(z, INFLATE_PLAIN, e);
	else if (z->inside)
		z->dead = err_set(e, -E_CORRUPT, "the %s stream is cut short after %lld bytes",
			z->kind == INFLATE_GZIP ? "gzip" : "zstd", (long long)z->in);
	return z->dead;
}

/* --- writing ---------------------------------------------------------------------------------------- */

struct deflate {
	inflate_sink sink;
	void *arg;
	struct isal_zstream s;
	int (*run)(struct isal_zstream *s);
	uint8_t *level_buf, *buf;
};

int deflate_new(inflate_sink sink, void *arg, struct deflate **ret, struct err *e)
{
	void (*init)(struct isal_zstream * s);
	struct deflate *z;
	void *lib;
	int r;

	r = isal_open(&lib, e);
	if (r < 0)
		return r;
	z = g_new0(struct deflate, 1);
	init = dlsym(lib, "isal_deflate_init");
	z->run = dlsym(lib, "isal_deflate");
	if (!init || !z->run) {
		g_free(z);
		return err_set(e, -E_UNSUPPORTED, "libisal.so.2 lacks isal_deflate");
	}
	z->sink = sink;
	z->arg = arg;
	z->buf = g_malloc(OUT_SIZE);
	z->level_buf = g_malloc(ISAL_DEF_LVL2_DEFAULT);
	init(&z->s);
	z->s.gzip_flag = IGZIP_GZIP;
	z->s.level = 2;
	z->s.level_buf = z->level_buf;
	z->s.level_buf_size = ISAL_DEF_LVL2_DEFAULT;
	*ret = z;
	return 0;
}

void deflate_free(struct deflate *z)
{
	if (!z)
		return;
	g_free(z->buf);
	g_free(z->level_buf);
	g_free(z);
}

void deflate_freep(struct deflate **z)
{
	deflate_free(*z);
}

static int squeeze(struct deflate *z, const void *data, size_t size, bool last, struct err *e)
{
	int r;

	z->s.next_in = (uint8_t *)data;
	z->s.avail_in = (uint32_t)size;
	z->s.end_of_stream = last;
	do {
		z->s.next_out = z->buf;
		z->s.avail_out = OUT_SIZE;
		r = z->run(&z->s);
		if (r != COMP_OK)
			return err_set(e, -E_INVALID, "cannot compress: isal_deflate says %d", r);
		if (z->s.avail_out < OUT_SIZE) {
			r = z->sink(z->arg, z->buf, OUT_SIZE - z->s.avail_out, e);
			if (r)
				return r;
		}
	} while (!z->s.avail_out);
	return 0;
}

int deflate_write(struct deflate *z, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;
	int r = 0;

	while (size && !r) {
		size_t n = MIN(size, PIECE_MAX);

		r = squeeze(z, p, n, false, e);
		p += n;
		size -= n;
	}
	return r;
}

int deflate_finish(struct deflate *z, struct err *e)
{
	return squeeze(z, NULL, 0, true, e);
}
