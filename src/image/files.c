/* SPDX-License-Identifier: MIT */
#include "image/files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/inflate.h"
#include "codec/tar.h"
#include "host/path.h"
#include "image/archive-priv.h"

#define CHUNK	  (256 << 10)
#define LINKS_MAX 8 /* links followed one after another */

struct where {
	int64_t at, size;
	char *target; /* of a link: cleaned path in the archive */
};

struct files {
	char *shown;
	int fd;		   /* of the folder, or the tar */
	GHashTable *where; /* of a tar: cleaned path -> struct where */
};

void piece_done(struct piece *p)
{
	if (p->own)
		closep(&p->fd);
	p->own = false;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	closep(&f->fd);
	if (f->where)
		g_hash_table_unref(f->where);
	g_free(f->shown);
	g_free(f);
}

void files_freep(struct files **f)
{
	files_free(*f);
}

static void where_free(void *p)
{
	g_free(((struct where *)p)->target);
	g_free(p);
}

int files_write(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int files_temp(const char *tmp_dir, struct err *e)
{
	const char *dir = tmp_dir && *tmp_dir ? tmp_dir : "/var/tmp";
	g_autofree char *name = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* a file system that has no such thing */
	name = g_build_filename(dir, "lodge-XXXXXX", NULL);
	fd = RET_NERRNO(mkostemp(name, O_CLOEXEC));
	if (fd < 0)
		return err_sys(e, fd, "cannot make a file in '%s'", dir);
	(void)unlink(name);
	return fd;
}

int files_folder(const char *path, struct files **ret, struct err *e)
{
	int fd = RET_NERRNO(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct files *f;

	if (fd < 0)
		return err_sys(e, fd, "open %s", path);
	f = g_new0(struct files, 1);
	f->fd = fd;
	f->shown = g_strdup(path);
	*ret = f;
	return 0;
}

/* --- a tar --------------------------------------------------------------------------------------- */

struct scan {
	struct files *f;
	bool seen;
	int64_t size;	     /* of the entry's content in the archive */
	struct where *where; /* the entry, when it is a file */
};

static int scan_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct scan *s = arg;
	g_autofree char *path = archive_path(t->path);
	char shown[TAR_SHOWN];
	struct where *w;

	s->seen = true;
	s->where = NULL;
	s->size = tar_content_size(t);
	if (t->type == TAR_DIR)
		return -ECANCELED;
	if (!path)
		return err_set(e, -E_CORRUPT, "'%s' has the entry '%s', which leads out of it",
			s->f->shown, tar_show(t->path, shown));
	if (g_hash_table_size(s->f->where) >= ARCHIVE_ENTRIES_MAX)
		return err_set(e, -E_LIMIT, "'%s' has more than %d entries", s->f->shown,
			ARCHIVE_ENTRIES_MAX);
	if (g_hash_table_contains(s->f->where, path))
		return err_set(e, -E_CORRUPT, "'%s' has two entries '%s'", s->f->shown,
			tar_show(path, shown));
	if (t->sparse)
		return err_set(e, -E_UNSUPPORTED, "'%s' has the entry '%s', which is a sparse file",
			s->f->shown, tar_show(path, shown));
	w = g_new0(struct where, 1);
	if (t->type == TAR_SYMLINK || t->type == TAR_HARDLINK) {
		w->target = archive_link_target(path, t->type == TAR_HARDLINK, t->target);
		if (!w->target) {
			g_free(w);
			return err_set(e, -E_CORRUPT, "the link '%s' of '%s' leads out of it",
				tar_show(path, shown), s->f->shown);
		}
	} else if (t->type != TAR_FILE) {
		g_free(w);
		return err_set(e, -E_CORRUPT, "'%s' has the entry '%s', which is no file",
			s->f->shown, tar_show(path, shown));
	}
	w->size = s->size;
	g_hash_table_insert(s->f->where, g_steal_pointer(&path), w);
	s->where = w;
	return -ECANCELED;
}

static int scan_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	return 0;
}

/* Headers, one entry at a time: a reader gets blocks until it knows the entry, so the content needn't be read.
 * *at: where the next one stands. 1: the end. */
static int scan_one(struct scan *s, int64_t *at, int64_t end, struct err *e)
{
	static const struct tar_sink sink = { .entry = scan_entry, .content = scan_content };
	_cleanup_(tar_reader_freep) struct tar_reader *tar = tar_reader_new(&sink, s);
	char block[TAR_BLOCK];
	bool first = true;

	s->seen = false;
	for (; *at < end; first = false) {
		ssize_t n = pread(s->f->fd, block, sizeof(block), *at);
		bool zero = n == TAR_BLOCK && !block[0] && !memcmp(block, block + 1, TAR_BLOCK - 1);
		int r;

		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s'", s->f->shown);
		if (n < TAR_BLOCK)
			return err_set(e, -E_CORRUPT, "the archive '%s' is cut short", s->f->shown);
		if (first && zero)
			return 1;
		*at += n;
		r = tar_reader_write(tar, block, sizeof(block), e);
		if (r < 0 && !s->seen)
			return err_prefix(e, "'%s'", s->f->shown);
		if (r < 0 && r != -ECANCELED)
			return r;
		if (s->seen)
			break;
	}
	if (!s->seen)
		return first ? 1
			     : err_set(e, -E_CORRUPT, "the archive '%s' is cut short", s->f->shown);
	if (s->size > end - *at)
		return err_set(e, -E_CORRUPT, "the archive '%s' is cut short", s->f->shown);
	if (s->where)
		s->where->at = *at;
	*at += (s->size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	return 0;
}

static int scan_tar(struct files *f, struct err *e)
{
	struct scan s = { .f = f };
	struct stat st;
	int64_t at = 0;
	int r = 0;

	if (fstat(f->fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", f->shown);
	f->where = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, where_free);
	while (r == 0)
		r = scan_one(&s, &at, st.st_size, e);
	return r < 0 ? r : 0;
}

static int spool_plain(void *arg, const void *data, size_t size, struct err *e)
{
	int r = files_write(*(int *)arg, data, size);

	return r < 0 ? err_sys(e, r, "cannot write a temporary file") : 0;
}

static int spool_raw(void *arg, const void *data, size_t size, struct err *e)
{
	return inflate_write(arg, data, size, e);
}

/* A plain copy, when the archive isn't a plain file. Takes fd; a descriptor or a code. */
static int make_plain(int fd, const char *shown, const char *tmp_dir, struct err *e)
{
	_cleanup_close_ int from = fd, to = -1;
	_cleanup_(inflate_freep) struct inflate *z = NULL;
	struct source_input in = { .fd = fd };
	struct stat st;
	char head[16];
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", shown);
	n = S_ISREG(st.st_mode) ? pread(fd, head, sizeof(head), 0) : 0;
	if (n > 0 && inflate_kind_of(head, (size_t)n) == INFLATE_PLAIN)
		return TAKE_FD(from);
	if (S_ISREG(st.st_mode) && n == 0)
		return err_set(e, -E_CORRUPT, "'%s' is empty", shown);
	(void)lseek(fd, 0, SEEK_SET); /* of a pipe there is nothing to go back to */
	r = to = files_temp(tmp_dir, e);
	if (r < 0)
		return r;
	z = inflate_new(spool_plain, &to);
	r = source_pump(&in, shown, spool_raw, z, e);
	if (r >= 0)
		r = inflate_finish(z, e);
	return r < 0 ? r : TAKE_FD(to);
}

int files_tar_fd(int fd, const char *shown, const char *tmp_dir, struct files **ret, struct err *e)
{
	_cleanup_(files_freep) struct files *f = g_new0(struct files, 1);
	int r;

	f->shown = g_strdup(shown);
	r = f->fd = make_plain(fd, shown, tmp_dir, e);
	if (r >= 0)
		r = scan_tar(f, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(f);
	return 0;
}

int files_tar(const char *path, const char *tmp_dir, struct files **ret, struct err *e)
{
	int fd = RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));

	return fd < 0 ? err_sys(e, fd, "open %s", path) : files_tar_fd(fd, path, tmp_dir, ret, e);
}

/* --- finding ------------------------------------------------------------------------------------- */

static int find_in_tar(struct files *f, const char *path, struct piece *ret)
{
	const struct where *w = g_hash_table_lookup(f->where, path);

	for (int i = 0; w && w->target; i++)
		w = i < LINKS_MAX ? g_hash_table_lookup(f->where, w->target) : NULL;
	if (!w)
		return -E_NOTFOUND;
	*ret = (struct piece){ f->fd, w->at, w->size, false };
	return 0;
}

int files_find(struct files *f, const char *path, struct piece *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (f->where)
		return find_in_tar(f, path, ret);
	fd = path_open_in(f->fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0);
	if (fd == -ENOENT)
		return -E_NOTFOUND;
	if (fd < 0)
		return err_sys(e, fd, "cannot open '%s' in '%s'", path, f->shown);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s' in '%s'", path, f->shown);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -E_CORRUPT, "'%s' in '%s' isn't a file", path, f->shown);
	*ret = (struct piece){ TAKE_FD(fd), 0, st.st_size, true };
	return 0;
}

int piece_send(const struct piece *p, int64_t offset, const char *shown, transport_sink sink,
	void *arg, struct err *e)
{
	g_autofree char *buf = g_malloc(CHUNK);
	int r = 0;

	(void)posix_fadvise(p->fd, p->at + offset, p->size - offset, POSIX_FADV_SEQUENTIAL);
	while (r >= 0 && offset < p->size) {
		size_t want = (size_t)MIN((int64_t)CHUNK, p->size - offset);
		ssize_t n = pread(p->fd, buf, want, p->at + offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s'", shown);
		if (n == 0)
			return err_set(e, -E_CORRUPT, "'%s' is cut short", shown);
		r = sink(arg, buf, (size_t)n, e);
		offset += n;
	}
	return r < 0 ? r : 0;
}

struct text {
	char *data;
	size_t n;
};

static int take_text(void *arg, const void *data, size_t size, struct err *e)
{
	struct text *t = arg;

	memcpy(t->data + t->n, data, size);
	t->n += size;
	return 0;
}

int files_text(
	struct files *f, const char *path, size_t max, char **ret, size_t *ret_size, struct err *e)
{
	struct text t = { NULL, 0 };
	struct piece p;
	int r;

	r = files_find(f, path, &p, e);
	if (r < 0)
		return r;
	if (p.size > (int64_t)max) {
		piece_done(&p);
		return err_set(
			e, -E_LIMIT, "'%s' in '%s' is larger than %zu bytes", path, f->shown, max);
	}
	t.data = g_malloc((size_t)p.size + 1);
	r = piece_send(&p, 0, f->shown, take_text, &t, e);
	piece_done(&p);
	if (r < 0) {
		g_free(t.data);
		return r;
	}
	t.data[t.n] = '\0';
	*ret = t.data;
	*ret_size = t.n;
	return 0;
}
