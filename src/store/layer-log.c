/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>
#include "store/layer-priv.h"

#define MAGIC	    "LODGETR1"
#define HEADER_SIZE 16
#define PIECE	    ((size_t)64 * 1024) /* of bytes in one operation */
#define LEVEL	    1			/* headers are so alike that more gains little */
#define NUMBER_MAX  10			/* bytes of a number */

struct tar_log {
	int fd;
	ZSTD_CCtx *zstd;
	uint8_t in[PIECE + 2 * (1 + NUMBER_MAX)]; /* operations that wait */
	size_t n_in;
	uint8_t out[PIECE];
	int64_t at, size; /* of the file, of the tar */
	/* the operation that grows */
	uint8_t raw[PIECE];
	size_t n_raw;
	int64_t zeros, data_at, data_size;
	int64_t data_end; /* of the D before */
};

static int put(struct tar_log *l, const uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t k = pwrite(l->fd, p, n, l->at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return err_sys(e, k < 0 ? -errno : -EIO, "cannot write the layer");
		p += k;
		n -= (size_t)k;
		l->at += k;
	}
	return 0;
}

int tar_log_new(int fd, struct tar_log **ret, struct err *e)
{
	static const uint8_t header[HEADER_SIZE];
	struct tar_log *l = g_new0(struct tar_log, 1);
	int r;

	l->fd = fd;
	l->zstd = ZSTD_createCCtx();
	g_assert(l->zstd); /* no memory */
	(void)ZSTD_CCtx_setParameter(l->zstd, ZSTD_c_compressionLevel, LEVEL);
	(void)ZSTD_CCtx_setParameter(l->zstd, ZSTD_c_checksumFlag, 1);
	r = put(l, header, sizeof(header), e);
	if (r < 0) {
		tar_log_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void tar_log_free(struct tar_log *l)
{
	if (!l)
		return;
	ZSTD_freeCCtx(l->zstd);
	g_free(l);
}

static int squeeze(struct tar_log *l, ZSTD_EndDirective how, struct err *e)
{
	ZSTD_inBuffer in = { l->in, l->n_in, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { l->out, sizeof(l->out), 0 };
		int r;

		left = ZSTD_compressStream2(l->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return err_set(
				e, -E_INVALID, "cannot compress: %s", ZSTD_getErrorName(left));
		r = put(l, l->out, out.pos, e);
		if (r < 0)
			return r;
	} while (in.pos < in.size || (how == ZSTD_e_end && left));
	l->n_in = 0;
	return 0;
}

static void put_number(struct tar_log *l, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		l->in[l->n_in++] = (uint8_t)(v | 0x80);
	l->in[l->n_in++] = (uint8_t)v;
}

/* Writes the operation that grew. */
static int settle(struct tar_log *l, struct err *e)
{
	size_t most = l->n_raw + 1 + 2 * NUMBER_MAX;

	if (l->n_in + most > sizeof(l->in)) {
		int r = squeeze(l, ZSTD_e_continue, e);

		if (r < 0)
			return r;
	}
	if (l->n_raw) {
		l->in[l->n_in++] = 'R';
		put_number(l, l->n_raw);
		memcpy(l->in + l->n_in, l->raw, l->n_raw);
		l->n_in += l->n_raw;
		l->n_raw = 0;
	} else if (l->zeros) {
		l->in[l->n_in++] = 'Z';
		put_number(l, (uint64_t)l->zeros);
		l->zeros = 0;
	} else if (l->data_size) {
		int64_t delta = l->data_at - l->data_end;

		l->in[l->n_in++] = 'D';
		put_number(l, (uint64_t)delta << 1 ^ (uint64_t)(delta >> 63));
		put_number(l, (uint64_t)l->data_size);
		l->data_end = l->data_at + l->data_size;
		l->data_size = 0;
	}
	return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

int tar_log_raw(struct tar_log *l, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;
	int r;

	l->size += (int64_t)size;
	if (size && all_zero(p, size)) {
		if (!l->zeros && (l->n_raw || l->data_size)) {
			r = settle(l, e);
			if (r < 0)
				return r;
		}
		l->zeros += (int64_t)size;
		return 0;
	}
	while (size) {
		size_t n;

		if (l->zeros || l->data_size || l->n_raw == PIECE) {
			r = settle(l, e);
			if (r < 0)
				return r;
		}
		n = MIN(size, PIECE - l->n_raw);
		memcpy(l->raw + l->n_raw, p, n);
		l->n_raw += n;
		p += n;
		size -= n;
	}
	return 0;
}

int tar_log_data(struct tar_log *l, int64_t at, int64_t size, struct err *e)
{
	int r;

	l->size += size;
	if (l->data_size && at == l->data_at + l->data_size) {
		l->data_size += size;
		return 0;
	}
	r = settle(l, e);
	l->data_at = at;
	l->data_size = size;
	return r;
}

int tar_log_finish(struct tar_log *l, struct err *e)
{
	uint8_t header[HEADER_SIZE];
	uint64_t size = htole64((uint64_t)l->size);
	int r;

	r = settle(l, e);
	if (r >= 0) {
		/* settle leaves room for one more operation */
		l->in[l->n_in++] = 'E';
		r = squeeze(l, ZSTD_e_end, e);
	}
	if (r < 0)
		return r;
	memcpy(header, MAGIC, 8);
	memcpy(header + 8, &size, 8);
	l->at = 0;
	return put(l, header, sizeof(header), e);
}

/* --- reading ---------------------------------------------------------------------------------------------- */

struct reading {
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	uint8_t *buf;
	size_t n, used;
	const struct tar_log_sink *sink;
	void *arg;
	int64_t total, done, data_end;
};

static int corrupt(struct err *e)
{
	return err_set(e, -E_CORRUPT, "the record of the layer's tar is damaged");
}

static int fill(struct reading *r, struct err *e)
{
	ZSTD_outBuffer out = { r->buf, PIECE, 0 };
	size_t n;

	while (!out.pos) {
		size_t before = r->in.pos;

		n = ZSTD_decompressStream(r->zstd, &out, &r->in);
		if (ZSTD_isError(n) || (!out.pos && before == r->in.pos))
			return corrupt(e);
	}
	r->n = out.pos;
	r->used = 0;
	return 0;
}

static int get_byte(struct reading *r, uint8_t *ret, struct err *e)
{
	if (r->used == r->n) {
		int code = fill(r, e);

		if (code < 0)
			return code;
	}
	*ret = r->buf[r->used++];
	return 0;
}

static int get_number(struct reading *r, uint64_t *ret, struct err *e)
{
	unsigned shift;
	uint8_t b;

	*ret = 0;
	for (shift = 0; shift < 63; shift += 7) {
		int code = get_byte(r, &b, e);

		if (code < 0)
			return code;
		*ret |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return 0;
	}
	return corrupt(e);
}

/* A number of bytes of the tar. */
static int get_size(struct reading *r, int64_t *ret, struct err *e)
{
	uint64_t v;
	int code = get_number(r, &v, e);

	if (code < 0)
		return code;
	if (!v || v > (uint64_t)(r->total - r->done))
		return corrupt(e);
	*ret = (int64_t)v;
	r->done += *ret;
	return 0;
}

static int read_raw(struct reading *r, struct err *e)
{
	int64_t left;
	int code = get_size(r, &left, e);

	while (code == 0 && left) {
		size_t n;

		if (r->used == r->n) {
			code = fill(r, e);
			if (code < 0)
				return code;
		}
		n = (size_t)MIN((int64_t)(r->n - r->used), left);
		code = r->sink->raw(r->arg, r->buf + r->used, n, e);
		r->used += n;
		left -= (int64_t)n;
	}
	return code;
}

static int read_data(struct reading *r, struct err *e)
{
	uint64_t zigzag;
	int64_t delta, size;
	int code;

	code = get_number(r, &zigzag, e);
	if (code < 0)
		return code;
	delta = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
	code = get_size(r, &size, e);
	if (code < 0)
		return code;
	if (__builtin_add_overflow(r->data_end, delta, &delta) || delta < 0 ||
		__builtin_add_overflow(delta, size, &r->data_end))
		return corrupt(e);
	return r->sink->data(r->arg, delta, size, e);
}

static int read_all(struct reading *r, struct err *e)
{
	int code = 0;

	while (!code) {
		int64_t size;
		uint8_t op;

		code = get_byte(r, &op, e);
		if (code)
			break;
		switch (op) {
		case 'R':
			code = read_raw(r, e);
			break;
		case 'Z':
			code = get_size(r, &size, e);
			if (!code)
				code = r->sink->zeros(r->arg, size, e);
			break;
		case 'D':
			code = read_data(r, e);
			break;
		case 'E':
			return r->done == r->total ? 0 : corrupt(e);
		default:
			code = corrupt(e);
		}
	}
	return code;
}

int tar_log_read(const void *p, size_t size, const struct tar_log_sink *sink, void *arg,
	int64_t *ret_size, struct err *e)
{
	struct reading r = { .sink = sink, .arg = arg };
	uint64_t total;
	int code;

	if (size < HEADER_SIZE || memcmp(p, MAGIC, 8) != 0)
		return corrupt(e);
	memcpy(&total, (const uint8_t *)p + 8, 8);
	total = le64toh(total);
	if (total > (uint64_t)LAYER_TAR_MAX)
		return corrupt(e);
	r.total = (int64_t)total;
	r.in = (ZSTD_inBuffer){ (const uint8_t *)p + HEADER_SIZE, size - HEADER_SIZE, 0 };
	r.buf = g_malloc(PIECE);
	r.zstd = ZSTD_createDCtx();
	g_assert(r.zstd); /* no memory */
	code = read_all(&r, e);
	ZSTD_freeDCtx(r.zstd);
	g_free(r.buf);
	if (ret_size)
		*ret_size = r.total;
	return code;
}
