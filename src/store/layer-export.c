/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "store/layer-priv.h"

#define OUT_SIZE    ((size_t)512 * 1024)
#define WINDOW_SIZE ((int64_t)256 * 1024)
#define WINDOWS	    4 /* files' blocks and what stands behind inodes are read in turn */

struct window {
	int64_t at; /* -1: empty */
	size_t size;
	uint64_t used; /* when */
	uint8_t *p;
};

struct export
{
	int image_fd, out_fd;
	int (*sink)(void *arg, const void *data, size_t size, struct err *e); /* NULL: out_fd */
	void *arg;
	struct sha256 *sum;
	uint8_t *out;
	size_t n_out;
	struct window window[WINDOWS];
	uint64_t clock;
};

int layer_map(const char *path, struct layer_map *ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *p;

	*ret = (struct layer_map){ 0 };
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot open '%s'", path);
	if (!st.st_size)
		return err_set(e, -E_CORRUPT, "'%s' is empty", path);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, -errno, "cannot read '%s'", path);
	*ret = (struct layer_map){ p, (size_t)st.st_size };
	return 0;
}

void layer_unmap(struct layer_map *m)
{
	if (m->p)
		(void)munmap((void *)m->p, m->size);
	m->p = NULL;
}

static int flush(struct export *x, struct err *e)
{
	const uint8_t *p = x->out;
	size_t n = x->n_out;

	sha256_write(x->sum, p, n);
	x->n_out = 0;
	if (x->sink)
		return n ? x->sink(x->arg, p, n, e) : 0;
	while (n && x->out_fd >= 0) {
		ssize_t k = write(x->out_fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, -errno, "cannot write the tar archive");
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Room in the output, at least a byte. */
static int room(struct export *x, int64_t want, size_t *ret, struct err *e)
{
	if (x->n_out == OUT_SIZE) {
		int r = flush(x, e);

		if (r < 0)
			return r;
	}
	*ret = (size_t)MIN(want, (int64_t)(OUT_SIZE - x->n_out));
	return 0;
}

static int on_raw(void *arg, const void *data, size_t size, struct err *e)
{
	struct export *x = arg;
	const uint8_t *p = data;
	size_t n;
	int r;

	for (; size; size -= n, p += n) {
		r = room(x, (int64_t)size, &n, e);
		if (r < 0)
			return r;
		memcpy(x->out + x->n_out, p, n);
		x->n_out += n;
	}
	return 0;
}

static int on_zeros(void *arg, int64_t size, struct err *e)
{
	struct export *x = arg;
	size_t n;
	int r;

	for (; size; size -= (int64_t)n) {
		r = room(x, size, &n, e);
		if (r < 0)
			return r;
		memset(x->out + x->n_out, 0, n);
		x->n_out += n;
	}
	return 0;
}

static int load(struct export *x, struct window *w, int64_t at, struct err *e)
{
	w->at = at;
	w->size = 0;
	if (!w->p)
		w->p = g_malloc((size_t)WINDOW_SIZE);
	while (w->size < (size_t)WINDOW_SIZE) {
		ssize_t n = pread(x->image_fd, w->p + w->size, (size_t)WINDOW_SIZE - w->size,
			at + (int64_t)w->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			w->at = -1;
			return err_sys(e, -errno, "cannot read the layer");
		}
		if (!n)
			break;
		w->size += (size_t)n;
	}
	return 0;
}

/* The bytes of the image at `at`, as many as one window has. */
static int look(struct export *x, int64_t at, const uint8_t **ret, size_t *ret_size, struct err *e)
{
	int64_t begin = at / WINDOW_SIZE * WINDOW_SIZE;
	struct window *w = NULL;
	unsigned i;
	int r;

	for (i = 0; i < WINDOWS && !w; i++)
		if (x->window[i].at == begin)
			w = &x->window[i];
	if (!w) {
		w = &x->window[0];
		for (i = 1; i < WINDOWS; i++)
			if (x->window[i].used < w->used)
				w = &x->window[i];
		r = load(x, w, begin, e);
		if (r < 0)
			return r;
	}
	w->used = ++x->clock;
	if ((size_t)(at - begin) >= w->size)
		return err_set(e, -E_CORRUPT, "the layer's image is cut short");
	*ret = w->p + (at - begin);
	*ret_size = w->size - (size_t)(at - begin);
	return 0;
}

static int on_data(void *arg, int64_t at, int64_t size, struct err *e)
{
	struct export *x = arg;

	while (size) {
		const uint8_t *p = NULL;
		size_t n = 0;
		int r = look(x, at, &p, &n, e);

		if (r < 0)
			return r;
		n = (size_t)MIN((int64_t)n, size);
		r = on_raw(x, p, n, e);
		if (r < 0)
			return r;
		at += (int64_t)n;
		size -= (int64_t)n;
	}
	return 0;
}

static int export_all(
	struct export *x, const struct layer_map *log, const char *digest, struct err *e)
{
	static const struct tar_log_sink sink = { on_raw, on_zeros, on_data };
	char is[SHA256_TEXT];
	int r;

	r = tar_log_read(log->p, log->size, &sink, x, NULL, e);
	if (r >= 0)
		r = flush(x, e);
	if (r < 0)
		return r;
	sha256_finish_text(x->sum, is);
	if (strcmp(is, digest) != 0)
		return err_set(e, -E_CORRUPT, "its content has become %s", is);
	return 0;
}

static int export_with(struct ctx *c, const char *digest, struct export *out, struct err *e)
{
	g_autofree char *image = layer_path(c, digest, ".erofs");
	g_autofree char *log_path = layer_path(c, digest, ".tar");
	struct layer_map log = { 0 };
	struct export x = *out;
	unsigned i;
	int r;

	if (!image)
		return err_set(e, -E_INVALID, "'%s' isn't a sha256 digest", digest);
	if (access(log_path, F_OK) < 0 && errno == ENOENT)
		return err_set(e, -E_NOTFOUND, "no such layer '%s'", digest);
	for (i = 0; i < WINDOWS; i++)
		x.window[i].at = -1;
	r = layer_map(log_path, &log, e);
	if (r >= 0) {
		x.image_fd = RET_NERRNO(open(image, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
		if (x.image_fd < 0)
			r = err_sys(e, x.image_fd, "cannot open '%s'", image);
	}
	if (r >= 0)
		r = sha256_new(&x.sum, e);
	if (r >= 0) {
		x.out = g_malloc(OUT_SIZE);
		r = export_all(&x, &log, digest, e);
		if (r == -E_CORRUPT) {
			err_prefix(e, "layer '%s' is damaged", digest);
			err_mend(e, "remove its images and import them again");
		}
	}
	for (i = 0; i < WINDOWS; i++)
		g_free(x.window[i].p);
	g_free(x.out);
	sha256_free(x.sum);
	closep(&x.image_fd);
	layer_unmap(&log);
	return r;
}

int layer_export(struct ctx *c, const char *digest, int out_fd, struct err *e)
{
	struct export x = { .image_fd = -1, .out_fd = out_fd };

	return export_with(c, digest, &x, e);
}

int layer_export_to(struct ctx *c, const char *digest,
	int (*sink)(void *arg, const void *data, size_t size, struct err *e), void *arg,
	struct err *e)
{
	struct export x = { .image_fd = -1, .out_fd = -1, .sink = sink, .arg = arg };

	return export_with(c, digest, &x, e);
}
