/* SPDX-License-Identifier: MIT */
/* The front of importing: what it is, and that nothing is left when it fails. */
#include "image/archive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/inflate.h"
#include "codec/tar.h"
#include "image/archive-priv.h"
#include "store/blob.h"
#include "store/journal.h"

#define HEAD_MAX (64 << 10) /* bytes that are read to tell what an input is */

void image_imported_free(struct image_imported *i)
{
	if (!i)
		return;
	g_free(i->id);
	g_strfreev(i->names);
	g_free(i);
}

void image_tell(const struct image_progress *p, const char *fmt, ...)
{
	g_autofree char *line = NULL;
	va_list ap;

	if (!p)
		return;
	if (fmt) {
		va_start(ap, fmt);
		line = g_strdup_vprintf(fmt, ap);
		va_end(ap);
	}
	p->tell(p->data, line);
}

/* --- what it is ---------------------------------------------------------------------------------- */

struct sniff {
	struct tar_reader *tar;
	enum image_source found;
};

static bool is_archive_name(const char *path)
{
	static const char *const names[] = { "blobs", "oci-layout", "index.json", "manifest.json",
		"repositories" };
	size_t n = strcspn(path, "/");

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		if (strlen(names[i]) == n && strncmp(path, names[i], n) == 0)
			return true;
	/* ID/layer.tar, ID.json, ID.tar */
	return strspn(path, "0123456789abcdef") == 64;
}

static int sniff_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct sniff *s = arg;
	g_autofree char *path = archive_path(t->path);

	if (!path && t->type == TAR_DIR) /* "./" */
		return 0;
	s->found = path && is_archive_name(path) ? IMAGE_SOURCE_ARCHIVE : IMAGE_SOURCE_ROOTFS;
	return -ECANCELED;
}

static int sniff_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	return 0;
}

static int sniff_plain(void *arg, const void *data, size_t size, struct err *e)
{
	return tar_reader_write(((struct sniff *)arg)->tar, data, size, e);
}

/* By the first name in the archive. What can't be told is a root file system, whose reading says what is
 * wrong with it. */
static enum image_source sniff(const void *head, size_t size)
{
	static const struct tar_sink sink = { .entry = sniff_entry, .content = sniff_content };
	struct sniff s = { .found = IMAGE_SOURCE_ROOTFS };
	_cleanup_(tar_reader_freep) struct tar_reader *tar = tar_reader_new(&sink, &s);
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(sniff_plain, &s);

	s.tar = tar;
	/* the end of a small one; that reading stops earlier is as good */
	if (inflate_write(z, head, size, NULL) >= 0 && inflate_finish(z, NULL) < 0)
		return s.found;
	return s.found;
}

static enum image_source sniff_dir(int fd)
{
	static const char *const names[] = { "oci-layout", "index.json", "manifest.json",
		"repositories" };

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		if (faccessat(fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return IMAGE_SOURCE_ARCHIVE;
	return IMAGE_SOURCE_ROOTFS;
}

static ssize_t read_head(int fd, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* --- importing ----------------------------------------------------------------------------------- */

struct import {
	struct ctx *c;
	const char *path, *shown;
	const struct image_import_options *o;
	int fd;
	bool is_dir;
};

static int open_input(struct import *i, struct err *e)
{
	struct stat st;

	if (strcmp(i->path, "-") == 0) {
		i->shown = "standard input";
		i->fd = dup(STDIN_FILENO);
		if (i->fd < 0)
			return err_sys(e, -errno, "cannot read standard input");
		if (isatty(i->fd))
			return err_set(e, -E_USAGE, "an image isn't read from a terminal");
		return 0;
	}
	i->shown = i->path;
	i->fd = RET_NERRNO(open(i->path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	if (i->fd < 0)
		return err_sys(e, i->fd, "cannot open '%s'", i->path);
	if (fstat(i->fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", i->path);
	i->is_dir = S_ISDIR(st.st_mode);
	return 0;
}

static int load(struct import *i, const struct source_input *in, GPtrArray *ret, struct err *e)
{
	struct source *s = NULL;
	int r;

	if (i->is_dir)
		r = source_dir_open(i->c, i->fd, i->shown, i->o->progress, &s, e);
	else
		r = source_tar_open(i->c, in, i->shown, i->o->progress, &s, e);
	if (r < 0)
		return r;
	r = archive_load(s, i->o, ret, e);
	s->ops->free(s);
	return r;
}

static int import_input(struct import *i, GPtrArray *ret, struct err *e)
{
	g_autofree char *head = g_malloc(HEAD_MAX);
	struct source_input in = { .fd = i->fd, .head = head };
	enum image_source kind = i->o->source;
	ssize_t n = 0;

	if (!i->is_dir) {
		n = read_head(i->fd, head, HEAD_MAX);
		if (n < 0)
			return err_sys(e, (int)n, "cannot read '%s'", i->shown);
		if (n == 0)
			return err_set(e, -E_CORRUPT, "'%s' is empty", i->shown);
	}
	in.head_size = (size_t)n;
	if (kind == IMAGE_SOURCE_ANY)
		kind = i->is_dir ? sniff_dir(i->fd) : sniff(head, in.head_size);
	int r = kind == IMAGE_SOURCE_ARCHIVE ? load(i, &in, ret, e)
					     : rootfs_import(i->c, &in, i->is_dir ? i->path : NULL,
						       i->shown, i->o, ret, e);
	for (unsigned k = 0; r >= 0 && k < ret->len; k++)
		image_event(i->c, kind == IMAGE_SOURCE_ARCHIVE ? "load" : "import",
			((struct image_imported *)ret->pdata[k])->id, NULL);
	return r;
}

/* With the journal: if we die, the next command removes the layers that no image names. */
static int import_held(struct import *i, GPtrArray *ret, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *to = store_path(i->c, "layers/");
	struct journal_hold hold;
	_cleanup_close_ int lock = -1;
	int64_t bytes;
	int r;

	plan_add(p, AT_HOST, &step_content, "mkfs.erofs", "--tar=f", to, i->shown);
	r = journal_begin(i->c, p, &hold, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = lock = blob_hold(i->c, e);
	if (r >= 0)
		r = import_input(i, ret, e);
	image_tell(i->o->progress, NULL);
	if (lock >= 0)
		(void)close(TAKE_FD(lock));
	if (r < 0) {
		if (r == -ENOSPC && e && !e->mend[0])
			(void)err_mend(e,
				"make room in '%s', for instance with 'lodge system prune'",
				i->c->root);
		journal_abort(i->c, p, &hold);
		return r;
	}
	/* layers that no image of the archive names */
	(void)content_collect(i->c, &bytes, NULL);
	journal_done(&hold);
	return 0;
}

int image_import(struct ctx *c, const char *path, const struct image_import_options *o,
	GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)image_imported_free);
	struct import i = { .c = c, .path = path, .o = o, .fd = -1 };
	int r;

	r = open_input(&i, e);
	if (r >= 0)
		r = import_held(&i, list, e);
	closep(&i.fd);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}
