/* SPDX-License-Identifier: MIT */
/* An OCI layout, or an unpacked archive of docker save, as a folder. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "host/path.h"
#include "image/archive-priv.h"
#include "store/blob.h"

#define CHUNK (256 << 10)

struct source_dir {
	struct source s;
	int fd;
};

/* A regular file inside the folder: links are followed inside it only. */
static int open_file(struct source_dir *d, const char *path, struct stat *st, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in(d->fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0);

	if (fd == -ENOENT)
		return -E_NOTFOUND;
	if (fd < 0)
		return err_sys(e, fd, "cannot open '%s' in '%s'", path, d->s.shown);
	if (fstat(fd, st) < 0)
		return err_sys(e, -errno, "cannot read '%s' in '%s'", path, d->s.shown);
	if (!S_ISREG(st->st_mode))
		return err_set(e, -E_CORRUPT, "'%s' in '%s' isn't a file", path, d->s.shown);
	return TAKE_FD(fd);
}

static int dir_text(struct source *s, const char *path, char **ret, size_t *ret_size, struct err *e)
{
	struct source_dir *d = (struct source_dir *)s;
	g_autofree char *data = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t done = 0;

	fd = open_file(d, path, &st, e);
	if (fd < 0)
		return fd;
	if (st.st_size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "'%s' in '%s' is larger than %d bytes", path, s->shown,
			BLOB_MAX);
	data = g_malloc((size_t)st.st_size + 1);
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, data + done, (size_t)st.st_size - done);

		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s' in '%s'", path, s->shown);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	data[done] = '\0';
	*ret = g_steal_pointer(&data);
	*ret_size = done;
	return 0;
}

static int push(void *arg, const void *data, size_t size, struct err *e)
{
	return layer_in_write(arg, data, size, e);
}

static int dir_layer(struct source *s, const char *path, const char *want_diff_id,
	const char *want_blob, struct layer_result *ret, struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *l = NULL;
	struct source_input in = { 0 };
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = open_file((struct source_dir *)s, path, &st, e);
	if (fd == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", s->shown, path);
	if (fd < 0)
		return fd;
	image_tell(s->progress, "reading layer %.24s", path);
	in.fd = fd;
	r = layer_in_new(s->c, &l, e);
	if (r >= 0)
		r = source_pump(&in, path, push, l, e);
	if (r >= 0)
		r = layer_in_finish(l, want_diff_id, want_blob, ret, e);
	if (r < 0)
		(void)err_prefix(e, "layer '%s' of '%s'", path, s->shown);
	return r;
}

static void dir_free(struct source *s)
{
	g_free(s);
}

static const struct source_ops dir_ops = {
	.text = dir_text,
	.layer = dir_layer,
	.free = dir_free,
};

int source_dir_open(struct ctx *c, int dir_fd, const char *shown,
	const struct image_progress *progress, struct source **ret, struct err *e)
{
	struct source_dir *d = g_new0(struct source_dir, 1);

	d->s = (struct source){ .ops = &dir_ops, .c = c, .shown = shown, .progress = progress };
	d->fd = dir_fd;
	*ret = &d->s;
	return 0;
}

int source_pump(const struct source_input *in, const char *shown,
	int (*sink)(void *arg, const void *data, size_t size, struct err *e), void *arg,
	struct err *e)
{
	g_autofree char *buf = g_malloc(CHUNK);
	int r = 0;

	if (in->head_size > 0)
		r = sink(arg, in->head, in->head_size, e);
	while (r >= 0) {
		ssize_t n = read(in->fd, buf, CHUNK);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, -errno, "cannot read '%s'", shown);
		}
		if (n == 0)
			return 0;
		r = sink(arg, buf, (size_t)n, e);
	}
	return r;
}
