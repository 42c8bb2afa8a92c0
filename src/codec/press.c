/* SPDX-License-Identifier: MIT */
#include "codec/press.h"

#include <glib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

struct out {
	char *p;
	size_t n, size;
};

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	struct out *o = arg;

	if (size > o->size - o->n)
		return err_set(e, -E_LIMIT, "compressed data is larger than it can be");
	memcpy(o->p + o->n, data, size);
	o->n += size;
	return 0;
}

int press_check(enum inflate_kind kind, int level, struct err *e)
{
	int max = kind == INFLATE_ZSTD ? ZSTD_maxCLevel() : Z_BEST_COMPRESSION;

	if (kind != INFLATE_GZIP && kind != INFLATE_ZSTD)
		return err_set(e, -E_UNSUPPORTED, "only gzip and zstd are written");
	if (level != PRESS_LEVEL_DEFAULT && (level < 1 || level > max))
		return err_set(e, -E_INVALID, "the compression level %d isn't between 1 and %d",
			level, max);
	return 0;
}

size_t press_bound(size_t n)
{
	return MAX(ZSTD_compressBound(n), compressBound(n)) + 4096;
}

static int gzip_isal(struct out *o, const void *in, size_t n, struct err *e)
{
	_cleanup_(deflate_freep) struct deflate *z = NULL;
	int r = deflate_new(take, o, &z, e);

	if (r >= 0)
		r = deflate_write(z, in, n, e);
	return r < 0 ? r : deflate_finish(z, e);
}

static int gzip_zlib(struct out *o, int level, const void *in, size_t n, struct err *e)
{
	z_stream z = { 0 };
	int r;

	/* 16: gzip's header and trailer */
	if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(e, -E_INVALID, "cannot compress with level %d", level);
	z.next_in = (Bytef *)(uintptr_t)in;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)o->p;
	z.avail_out = (uInt)o->size;
	r = deflate(&z, Z_FINISH);
	o->n = z.total_out;
	(void)deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : err_set(e, -E_INVALID, "cannot compress: zlib says %d", r);
}

int press_piece(enum inflate_kind kind, int level, const void *in, size_t n, void *out,
	size_t out_size, size_t *ret, struct err *e)
{
	struct out o = { out, 0, out_size };
	int r;

	if (kind == INFLATE_ZSTD) {
		size_t k = ZSTD_compress(
			out, out_size, in, n, level == PRESS_LEVEL_DEFAULT ? 3 : level);

		if (ZSTD_isError(k))
			return err_set(e, -E_INVALID, "cannot compress: %s", ZSTD_getErrorName(k));
		*ret = k;
		return 0;
	}
	r = level == PRESS_LEVEL_DEFAULT ? gzip_isal(&o, in, n, e) : gzip_zlib(&o, level, in, n, e);
	*ret = o.n;
	return r;
}
