/* SPDX-License-Identifier: MIT */
#include "guest/tartree.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "base/macros.h"
#include "codec/inflate.h"
#include "codec/tar.h"
#include "host/path.h"

#define OUT_FLUSH	(256 * 1024)
#define TREE_DEPTH_MAX	1000
#define XATTR_LIST_SIZE (64 * 1024)

/* --- writing ------------------------------------------------------------------------------------------ */

struct writer {
	int out; /* -1: put takes it */
	tar_tree_put put;
	void *data;
	unsigned flags, depth;
	dev_t dev;
	GByteArray *buf;
	GString *path;	   /* of the entry, as the archive names it */
	GHashTable *links; /* "DEV:INO" -> path */
};

static int flush(struct writer *w, struct err *e)
{
	size_t done = 0;

	if (w->put) {
		int r = w->buf->len ? w->put(w->data, w->buf->data, w->buf->len, e) : 0;

		g_byte_array_set_size(w->buf, 0);
		return r;
	}
	while (done < w->buf->len) {
		ssize_t n = write(w->out, w->buf->data + done, w->buf->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot write the archive");
		done += n;
	}
	g_byte_array_set_size(w->buf, 0);
	return 0;
}

/* Exactly size bytes, whatever happens to the file meanwhile. */
static int put_content(struct writer *w, int fd, off_t size, struct err *e)
{
	g_autofree char *buf = NULL;
	bool send = !w->put;
	off_t left = size;
	int r = flush(w, e);

	while (r >= 0 && left > 0) {
		ssize_t n;

		if (send) {
			n = sendfile(w->out, fd, NULL, MIN(left, 1 << 30));
			if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
				send = false;
				continue;
			}
		} else {
			buf = buf ?: g_malloc(OUT_FLUSH);
			n = read(fd, buf, MIN(left, OUT_FLUSH));
			if (n > 0) {
				g_byte_array_append(w->buf, (guint8 *)buf, n);
				r = flush(w, e);
			}
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot copy '%s'", w->path->str);
		if (n == 0)
			return err_set(e, -EIO, "file '%s' became shorter while it was read",
				w->path->str);
		left -= n;
	}
	if (r >= 0)
		tar_put_padding(w->buf, size);
	return r;
}

struct attributes {
	struct xattr x[XATTR_COUNT_LIMIT];
	unsigned n;
	GPtrArray *own;
};

static void read_xattrs(int fd, struct attributes *a)
{
	char *list = g_malloc(XATTR_LIST_SIZE);
	ssize_t n = flistxattr(fd, list, XATTR_LIST_SIZE);

	g_ptr_array_add(a->own, list);
	for (char *p = list; n > 0 && p < list + n && a->n < XATTR_COUNT_LIMIT;
		p += strlen(p) + 1) {
		char value[XATTR_VALUE_LIMIT];
		ssize_t size;

		if (!g_str_has_prefix(p, "user.") && !g_str_equal(p, "security.capability"))
			continue;
		size = fgetxattr(fd, p, value, sizeof(value));
		if (size < 0)
			continue;
		uint8_t *copy = g_memdup2(value, MAX(size, 1));
		g_ptr_array_add(a->own, copy);
		a->x[a->n++] = (struct xattr){ p, copy, size };
	}
}

static void entry_of(const struct stat *st, const char *path, struct tar_entry *t)
{
	*t = (struct tar_entry){
		.path = path,
		.target = "",
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.mtime_nsec = st->st_mtim.tv_nsec,
	};
}

/* 1: a further name of a file that was written before. */
static int put_hardlink(struct writer *w, const struct stat *st, struct tar_entry *t, struct err *e)
{
	char key[64];
	const char *first;

	if (st->st_nlink < 2)
		return 0;
	(void)g_snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
	first = g_hash_table_lookup(w->links, key);
	if (!first) {
		g_hash_table_insert(w->links, g_strdup(key), g_strdup(w->path->str));
		return 0;
	}
	t->type = TAR_HARDLINK;
	t->target = first;
	int r = tar_put_entry(w->buf, t, e);
	return r < 0 ? r : 1;
}

static int put_file(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	g_autoptr(GPtrArray) own = g_ptr_array_new_with_free_func(g_free);
	g_autofree struct attributes *a = g_new0(struct attributes, 1);
	_cleanup_close_ int fd = -1;
	struct tar_entry t;
	int r;

	entry_of(st, w->path->str, &t);
	r = put_hardlink(w, st, &t, e);
	if (r != 0)
		return MIN(r, 0);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", w->path->str);
	a->own = own;
	read_xattrs(fd, a);
	t.type = TAR_FILE;
	t.size = st->st_size;
	t.xattrs = a->x;
	t.n_xattrs = a->n;
	r = tar_put_entry(w->buf, &t, e);
	return r < 0 ? r : put_content(w, fd, st->st_size, e);
}

static int put_other(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	struct tar_entry t;
	ssize_t n;

	entry_of(st, w->path->str, &t);
	t.major = major(st->st_rdev);
	t.minor = minor(st->st_rdev);
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return err_sys(e, -errno, "cannot read link '%s'", w->path->str);
		target[n] = '\0';
		t.type = TAR_SYMLINK;
		t.target = target;
		t.mode = 0777;
	} else if (S_ISCHR(st->st_mode)) {
		t.type = TAR_CHAR;
	} else if (S_ISBLK(st->st_mode)) {
		t.type = TAR_BLOCK_DEVICE;
	} else if (S_ISFIFO(st->st_mode)) {
		t.type = TAR_FIFO;
	} else {
		return 0;
	}
	return tar_put_entry(w->buf, &t, e);
}

static int put_tree(struct writer *w, int dir, const char *name, struct err *e);

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int put_dir(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t n = w->path->len;
	struct tar_entry t;
	struct dirent *f;
	int r;

	if (!d) {
		r = -errno;
		closep(&fd);
		return err_sys(e, r, "cannot open '%s'", w->path->str);
	}
	g_string_append_c(w->path, '/');
	entry_of(st, w->path->str, &t);
	t.type = TAR_DIR;
	r = w->depth == 0 && (w->flags & TAR_TREE_NO_TOP) ? 0 : tar_put_entry(w->buf, &t, e);
	if (++w->depth > TREE_DEPTH_MAX)
		r = err_set(e, -E_LIMIT, "folders are nested deeper than %d", TREE_DEPTH_MAX);
	bool inside = !(w->flags & TAR_TREE_ONE_FS) || st->st_dev == w->dev;
	while (r >= 0 && inside && (f = readdir(d)))
		if (!g_str_equal(f->d_name, ".") && !g_str_equal(f->d_name, ".."))
			g_ptr_array_add(names, g_strdup(f->d_name));
	g_ptr_array_sort(names, by_name);
	for (guint i = 0; r >= 0 && i < names->len; i++) {
		size_t m = w->path->len;

		g_string_append(w->path, names->pdata[i]);
		r = put_tree(w, dirfd(d), names->pdata[i], e);
		g_string_truncate(w->path, m);
	}
	w->depth--;
	g_string_truncate(w->path, n);
	(void)closedir(d);
	return r;
}

static int put_tree(struct writer *w, int dir, const char *name, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		/* it went away while we walked: a running guest may do that */
		return errno == ENOENT ? 0
				       : err_sys(e, -errno, "cannot look at '%s'", w->path->str);
	if (S_ISDIR(st.st_mode))
		r = put_dir(w, dir, name, &st, e);
	else if (S_ISREG(st.st_mode))
		r = put_file(w, dir, name, &st, e);
	else
		r = put_other(w, dir, name, &st, e);
	if (r >= 0 && w->buf->len > OUT_FLUSH)
		r = flush(w, e);
	return r;
}

static int write_tree(struct writer *w, int dir_fd, const char *name, const char *as, struct err *e)
{
	g_autoptr(GHashTable) links =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GByteArray) buf = g_byte_array_new();
	g_autoptr(GString) path = g_string_new(as);
	struct stat st;
	int r;

	w->buf = buf;
	w->path = path;
	w->links = links;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "cannot look at '%s'", as);
	w->dev = st.st_dev;
	r = put_tree(w, dir_fd, name, e);
	if (r < 0)
		return r;
	tar_put_end(buf);
	return flush(w, e);
}

int tar_tree_write(
	int dir_fd, const char *name, const char *as, unsigned flags, int out_fd, struct err *e)
{
	struct writer w = { .out = out_fd, .flags = flags };

	return write_tree(&w, dir_fd, name, as, e);
}

int tar_tree_write_to(int dir_fd, const char *name, const char *as, unsigned flags,
	tar_tree_put put, void *data, struct err *e)
{
	struct writer w = { .out = -1, .put = put, .data = data, .flags = flags };

	return write_tree(&w, dir_fd, name, as, e);
}

/* --- reading ------------------------------------------------------------------------------------------- */

struct late { /* a folder's attributes are set when nothing more comes into it */
	char *path;
	mode_t mode;
	struct timespec mtime;
};

struct reader {
	int root;
	const struct tar_tree_owner *owner;
	struct tar_reader *tar;
	int fd;	 /* of the file that content goes to, or -1 */
	int dir; /* its folder */
	char name[NAME_MAX + 1];
	mode_t mode;
	struct timespec mtime;
	GArray *late;
	/* of a copy */
	bool copy, top;
	const char *only; /* the name of its one entry, or NULL: a folder's */
	unsigned entries;
};

static void late_clear(void *p)
{
	g_free(((struct late *)p)->path);
}

static int in_place(const char *path, int code, struct err *e)
{
	char shown[TAR_SHOWN];

	return err_sys(e, code, "cannot extract '%s'", tar_show(path, shown));
}

static void end_file(struct reader *r)
{
	struct timespec t[2] = { r->mtime, r->mtime };

	if (r->fd < 0)
		return;
	(void)fchmod(r->fd, r->mode);
	(void)futimens(r->fd, t);
	closep(&r->fd);
	r->fd = -1;
}

static int make_entry(struct reader *r, const struct tar_entry *t, int dir, const char *name)
{
	switch (t->type) {
	case TAR_FILE:
		r->fd = openat(
			dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		/* a sparse file may end in a hole */
		if (r->fd < 0 || (t->sparse && ftruncate(r->fd, t->size) < 0))
			return -errno;
		return 0;
	case TAR_DIR:
		return mkdirat(dir, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
	case TAR_SYMLINK:
		return RET_NERRNO(symlinkat(t->target, dir, name));
	case TAR_HARDLINK: {
		char base[NAME_MAX + 1];
		_cleanup_close_ int from = path_parent_in(r->root, t->target, false, base);

		return from < 0 ? from : RET_NERRNO(linkat(from, base, dir, name, 0));
	}
	case TAR_CHAR:
		return RET_NERRNO(mknodat(dir, name, S_IFCHR | 0600, makedev(t->major, t->minor)));
	case TAR_BLOCK_DEVICE:
		return RET_NERRNO(mknodat(dir, name, S_IFBLK | 0600, makedev(t->major, t->minor)));
	case TAR_FIFO:
		return RET_NERRNO(mkfifoat(dir, name, 0600));
	default:
		return -EINVAL;
	}
}

/* The same for a copy, with the words of copy_tree(). */
static int make_way_copy(
	int dir, const char *name, const char *path, enum tar_type type, struct err *e)
{
	char shown[TAR_SHOWN];
	struct stat st;
	int k;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : in_place(path, -errno, e);
	if (type == TAR_DIR)
		return S_ISDIR(st.st_mode)
			       ? 0
			       : err_set(e, -E_INVALID,
					 "cannot overwrite '%s', which is no folder, with a folder",
					 tar_show(path, shown));
	if (S_ISDIR(st.st_mode))
		return err_set(e, -E_INVALID, "cannot overwrite folder '%s' with a file",
			tar_show(path, shown));
	k = RET_NERRNO(unlinkat(dir, name, 0));
	return k < 0 ? in_place(path, k, e) : 0;
}

/* Makes way: a file gives way to anything, a folder only to a folder. */
static int make_way(int dir, const char *name, enum tar_type type)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return type == TAR_DIR ? 0 : -EISDIR;
	return RET_NERRNO(unlinkat(dir, name, 0));
}

static int set_attributes(struct reader *r, const struct tar_entry *t, int dir, const char *name)
{
	struct timespec times[2] = { { t->mtime, t->mtime_nsec }, { t->mtime, t->mtime_nsec } };
	uid_t uid = r->owner->keep ? t->uid : r->owner->uid;
	gid_t gid = r->owner->keep ? t->gid : r->owner->gid;
	int k;

	if (t->type == TAR_HARDLINK)
		return 0;
	k = RET_NERRNO(fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW));
	if (k < 0 && geteuid() == 0)
		return k;
	for (unsigned i = 0; r->fd >= 0 && i < t->n_xattrs; i++)
		if (g_str_has_prefix(t->xattrs[i].name, "user.") ||
			g_str_equal(t->xattrs[i].name, "security.capability"))
			(void)fsetxattr(
				r->fd, t->xattrs[i].name, t->xattrs[i].value, t->xattrs[i].size, 0);
	if (t->type == TAR_SYMLINK)
		return RET_NERRNO(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW));
	if (t->type == TAR_DIR) {
		struct late l = { g_strdup(t->path), t->mode, times[1] };

		g_array_append_val(r->late, l);
		return 0;
	}
	if (t->type == TAR_FILE) { /* writing changes it: at its end */
		r->mode = t->mode;
		r->mtime = times[1];
		return 0;
	}
	return RET_NERRNO(fchmodat(dir, name, t->mode, 0));
}

/* The folder of an entry, and its name in it. */
static int place_of(struct reader *r, const struct tar_entry *t, const char *path, struct err *e)
{
	int dir;

	if (!r->only) {
		dir = path_parent_in(r->root, path, true, r->name);
		return dir < 0 ? in_place(path, dir, e) : dir;
	}
	if (r->entries++ > 0 || t->type == TAR_DIR || t->type == TAR_HARDLINK)
		return err_set(e, -E_CORRUPT, "one file was asked for, and something else came");
	(void)g_strlcpy(r->name, r->only, sizeof(r->name));
	dir = RET_NERRNO(fcntl(r->root, F_DUPFD_CLOEXEC, 3));
	return dir < 0 ? err_sys(e, dir, "cannot write '%s'", r->only) : dir;
}

static bool is_top(const char *path)
{
	return g_str_equal(path, ".") || g_str_equal(path, "/") || g_str_equal(path, "./.");
}

static int on_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct reader *r = arg;
	g_autofree char *path = g_strdup(t->path);
	size_t n = strlen(path);
	_cleanup_close_ int dir = -1;
	int k;

	end_file(r);
	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	if (!r->only && is_top(path)) {
		k = r->top && t->type == TAR_DIR ? set_attributes(r, t, r->root, ".") : 0;
		return k < 0 ? in_place(path, k, e) : 0;
	}
	dir = place_of(r, t, path, e);
	if (dir < 0)
		return dir;
	if (r->copy) {
		k = make_way_copy(dir, r->name,
			r->only			       ? r->only
			: g_str_has_prefix(path, "./") ? path + 2
						       : path,
			t->type, e);
		if (k < 0)
			return k;
	} else {
		k = make_way(dir, r->name, t->type);
	}
	if (k >= 0)
		k = make_entry(r, t, dir, r->name);
	if (k >= 0)
		k = set_attributes(r, t, dir, r->name);
	return k < 0 ? in_place(path, k, e) : 0;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct reader *r = arg;

	while (size > 0) {
		ssize_t n = pwrite(r->fd, data, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot write '%s'", r->name);
		data = (const char *)data + n;
		size -= n;
		offset += n;
	}
	return 0;
}

static int on_bytes(void *arg, const void *data, size_t size, struct err *e)
{
	struct reader *r = arg;

	return tar_reader_write(r->tar, data, size, e);
}

static int read_all(int in, struct inflate *z, struct err *e)
{
	g_autofree char *buf = g_malloc(OUT_FLUSH);
	int r = 0;

	while (r >= 0) {
		ssize_t n = read(in, buf, OUT_FLUSH);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read the archive");
		if (n == 0)
			return inflate_finish(z, e);
		r = inflate_write(z, buf, n, e);
	}
	return r;
}

/* Deepest first, as they came in the other order. */
static void set_late(struct reader *r)
{
	for (guint i = r->late->len; i-- > 0;) {
		const struct late *l = &g_array_index(r->late, struct late, i);
		_cleanup_close_ int fd =
			path_open_in(r->root, l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
		struct timespec t[2] = { l->mtime, l->mtime };

		if (fd < 0)
			continue;
		(void)fchmod(fd, l->mode);
		(void)futimens(fd, t);
	}
}

static void reader_init(struct reader *r, int root, const struct tar_tree_owner *owner)
{
	static const struct tar_sink sink = { .entry = on_entry, .content = on_content };

	*r = (struct reader){ .root = root, .owner = owner, .fd = -1, .dir = -1 };
	r->late = g_array_new(FALSE, FALSE, sizeof(struct late));
	g_array_set_clear_func(r->late, late_clear);
	r->tar = tar_reader_new(&sink, r);
}

static void reader_done(struct reader *r)
{
	end_file(r);
	set_late(r);
	g_array_unref(r->late);
	tar_reader_free(r->tar);
}

int tar_tree_read(int in_fd, int dir_fd, const struct tar_tree_owner *owner, struct err *e)
{
	_cleanup_(inflate_freep) struct inflate *z = NULL;
	struct reader r;
	int k;

	reader_init(&r, dir_fd, owner);
	z = inflate_new(on_bytes, &r);
	k = read_all(in_fd, z, e);
	if (k >= 0)
		k = tar_reader_finish(r.tar, e);
	reader_done(&r);
	return MIN(k, 0);
}

/* --- an archive made plain --------------------------------------------------------------------------------- */

struct plain {
	tar_tree_put put;
	void *data;
	GByteArray *buf;
	struct tar_reader *tar;
	int64_t size, at; /* of the file whose content comes */
};

static int plain_flush(struct plain *p, struct err *e)
{
	int r = p->buf->len ? p->put(p->data, p->buf->data, p->buf->len, e) : 0;

	g_byte_array_set_size(p->buf, 0);
	return r;
}

/* A hole, up to there. */
static int plain_zeros(struct plain *p, int64_t to, struct err *e)
{
	static const guint8 zeros[64 * 1024];
	int r = 0;

	while (r >= 0 && p->at < to) {
		guint n = (guint)MIN(to - p->at, (int64_t)sizeof(zeros));

		g_byte_array_append(p->buf, zeros, n);
		p->at += n;
		r = p->buf->len > OUT_FLUSH ? plain_flush(p, e) : 0;
	}
	return r;
}

static int plain_end_file(struct plain *p, struct err *e)
{
	int r = plain_zeros(p, p->size, e);

	tar_put_padding(p->buf, p->size);
	p->size = p->at = 0;
	return r;
}

static int plain_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct plain *p = arg;
	struct tar_entry copy = *t;
	int r = plain_end_file(p, e);

	copy.sparse = false;
	copy.n_extents = 0;
	if (r >= 0)
		r = tar_put_entry(p->buf, &copy, e);
	if (t->type == TAR_FILE)
		p->size = t->size;
	return r;
}

static int plain_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct plain *p = arg;
	int r = plain_zeros(p, offset, e);

	if (r < 0)
		return r;
	g_byte_array_append(p->buf, data, (guint)size);
	p->at += (int64_t)size;
	return p->buf->len > OUT_FLUSH ? plain_flush(p, e) : 0;
}

static int plain_bytes(void *arg, const void *data, size_t size, struct err *e)
{
	struct plain *p = arg;

	return tar_reader_write(p->tar, data, size, e);
}

int tar_tree_plain(int in_fd, tar_tree_put put, void *data, struct err *e)
{
	static const struct tar_sink sink = { .entry = plain_entry, .content = plain_content };
	g_autoptr(GByteArray) buf = g_byte_array_new();
	struct plain p = { .put = put, .data = data, .buf = buf };
	_cleanup_(tar_reader_freep) struct tar_reader *tar = tar_reader_new(&sink, &p);
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(plain_bytes, &p);
	int r;

	p.tar = tar;
	r = read_all(in_fd, z, e);
	if (r >= 0)
		r = tar_reader_finish(tar, e);
	if (r >= 0)
		r = plain_end_file(&p, e);
	if (r < 0)
		return r;
	tar_put_end(buf);
	return plain_flush(&p, e);
}

/* --- a copy, in pieces ----------------------------------------------------------------------------------- */

struct tar_copy {
	struct reader r;
	int root; /* ours: attributes of folders are set at the very end */
};

struct tar_copy *tar_copy_new(
	int dir_fd, const struct tar_tree_owner *owner, const char *only, unsigned flags)
{
	struct tar_copy *t = g_new0(struct tar_copy, 1);

	t->root = RET_NERRNO(fcntl(dir_fd, F_DUPFD_CLOEXEC, 3));
	reader_init(&t->r, t->root, owner);
	t->r.copy = true;
	t->r.only = only;
	t->r.top = flags & TAR_COPY_TOP;
	return t;
}

int tar_copy_put(struct tar_copy *t, const void *bytes, size_t n, struct err *e)
{
	return tar_reader_write(t->r.tar, bytes, n, e);
}

int tar_copy_end(struct tar_copy *t, struct err *e)
{
	int k = tar_reader_finish(t->r.tar, e);

	if (k >= 0 && t->r.only && t->r.entries == 0)
		return err_set(e, -E_CORRUPT, "one file was asked for, and nothing came");
	return MIN(k, 0);
}

void tar_copy_free(struct tar_copy *t)
{
	if (!t)
		return;
	reader_done(&t->r);
	closep(&t->root);
	g_free(t);
}

void tar_copy_freep(struct tar_copy **t)
{
	tar_copy_free(*t);
}
