/* SPDX-License-Identifier: MIT */
#include "image/archive-out.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/tar.h"
#include "image/files.h"
#include "store/layer.h"

/* What an entry's header can say in one block (tar's octal digits). */
#define PATCHED_MAX ((int64_t)1 << 33)

void archive_out_init(struct archive_out *o, struct ctx *c, const char *shown)
{
	*o = (struct archive_out){ .c = c, .shown = shown, .fd = -1, .dir = -1, .part = -1 };
	o->written = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static char *part_name(const struct archive_out *o)
{
	return g_strdup_printf("%s.part-%d", o->path, (int)getpid());
}

void archive_out_done(struct archive_out *o)
{
	if (o->part >= 0) {
		g_autofree char *part = part_name(o);

		(void)unlinkat(o->dir, part, 0);
		closep(&o->part);
	}
	g_clear_pointer(&o->path, g_free);
	g_clear_pointer(&o->written, g_hash_table_unref);
}

static int write_all(struct archive_out *o, int fd, const void *data, size_t size, struct err *e)
{
	int r = files_write(fd, data, size);

	return r < 0 ? err_sys(e, r, "cannot write '%s'", o->shown) : 0;
}

static int header(struct archive_out *o, enum tar_type type, const char *path, int64_t size,
	GByteArray *ret, struct err *e)
{
	struct tar_entry t = { .type = type,
		.path = path,
		.target = "",
		.mode = type == TAR_DIR ? 0755
			: o->mode	? o->mode
					: 0644,
		.size = size,
		.mtime = o->mtime };

	return tar_put_entry(ret, &t, e);
}

static int put_header(
	struct archive_out *o, enum tar_type type, const char *path, int64_t size, struct err *e)
{
	g_autoptr(GByteArray) head = g_byte_array_new();
	int r = header(o, type, path, size, head, e);

	return r < 0 ? r : write_all(o, o->fd, head->data, head->len, e);
}

static int put_padding(struct archive_out *o, int64_t size, struct err *e)
{
	g_autoptr(GByteArray) pad = g_byte_array_new();

	tar_put_padding(pad, size);
	return write_all(o, o->fd, pad->data, pad->len, e);
}

int archive_out_folder(struct archive_out *o, const char *path, struct err *e)
{
	if (o->dir < 0)
		return put_header(o, TAR_DIR, path, 0, e);
	if (mkdirat(o->dir, path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, -errno, "cannot make '%s/%s'", o->shown, path);
	return 0;
}

int archive_out_text(
	struct archive_out *o, const char *path, const char *text, size_t size, struct err *e)
{
	int r;

	if (g_hash_table_contains(o->written, path))
		return 0;
	r = archive_out_begin(o, path, (int64_t)size, e);
	if (r >= 0)
		r = archive_out_write(o, text, size, e);
	return r < 0 ? r : archive_out_finish(o, path, e);
}

int archive_out_layer(
	struct archive_out *o, const char *path, const char *digest, int64_t size, struct err *e)
{
	int r;

	if (g_hash_table_contains(o->written, path))
		return 0;
	r = archive_out_begin(o, path, size, e);
	if (r >= 0)
		r = layer_export(o->c, digest, o->dir >= 0 ? o->part : o->fd, e);
	o->done = size;
	return r < 0 ? r : archive_out_finish(o, path, e);
}

int archive_out_begin(struct archive_out *o, const char *path, int64_t size, struct err *e)
{
	g_autofree char *part = NULL;

	g_free(o->path);
	o->path = g_strdup(path);
	o->size = size;
	o->done = 0;
	if (o->dir < 0) {
		o->header_at = size < 0 ? lseek(o->fd, 0, SEEK_CUR) : 0;
		if (o->header_at < 0)
			return err_sys(e, -errno, "cannot write '%s'", o->shown);
		return put_header(o, TAR_FILE, path, MAX(size, 0), e);
	}
	part = part_name(o);
	/* what a dead one of this number left */
	(void)unlinkat(o->dir, part, 0);
	o->part = RET_NERRNO(
		openat(o->dir, part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
	return o->part < 0 ? err_sys(e, o->part, "cannot make '%s/%s'", o->shown, part) : 0;
}

int archive_out_write(struct archive_out *o, const void *data, size_t size, struct err *e)
{
	o->done += (int64_t)size;
	return write_all(o, o->dir < 0 ? o->fd : o->part, data, size, e);
}

/* The header again, now that the size is known. */
static int patch(struct archive_out *o, const char *path, struct err *e)
{
	g_autoptr(GByteArray) head = g_byte_array_new();
	int r;

	if (o->done >= PATCHED_MAX)
		return err_set(e, -E_LIMIT, "a file of '%s' is larger than %lld GiB", o->shown,
			(long long)(PATCHED_MAX >> 30));
	r = header(o, TAR_FILE, path, o->done, head, e);
	if (r < 0)
		return r;
	g_assert(head->len == TAR_BLOCK);
	if (pwrite(o->fd, head->data, head->len, o->header_at) != (ssize_t)head->len)
		return err_sys(e, -errno, "cannot write '%s'", o->shown);
	return 0;
}

int archive_out_finish(struct archive_out *o, const char *path, struct err *e)
{
	g_autofree char *part = NULL;
	int r = 0;

	if (o->size >= 0 && o->done != o->size)
		return err_set(e, -E_CORRUPT, "'%s' has %lld bytes, not %lld", path,
			(long long)o->done, (long long)o->size);
	if (o->dir < 0) {
		if (o->size < 0)
			r = patch(o, path, e);
		if (r >= 0)
			r = put_padding(o, o->done, e);
	} else {
		part = part_name(o);
		closep(&o->part);
		o->part = -1;
		r = RET_NERRNO(renameat(o->dir, part, o->dir, path));
		if (r < 0) {
			(void)unlinkat(o->dir, part, 0);
			return err_sys(e, r, "cannot write '%s/%s'", o->shown, path);
		}
	}
	if (r >= 0)
		g_hash_table_add(o->written, g_strdup(path));
	return r;
}

int archive_out_end(struct archive_out *o, struct err *e)
{
	g_autoptr(GByteArray) end = g_byte_array_new();

	if (o->dir >= 0)
		return 0;
	tar_put_end(end);
	return write_all(o, o->fd, end->data, end->len, e);
}
