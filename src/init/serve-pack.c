/* SPDX-License-Identifier: MIT */
/* A tree of the guest as a tar archive. */
#include "init/serve.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "init/words.h"
#include "wire/ustar.h"

#define FLUSH	   (64 * 1024)
#define LIST_SIZE  (64 * 1024) /* names of the attributes of one file */
#define VALUES_MAX (1 << 20)   /* bytes of its attributes */

/* A file with several names: the first that was written. */
struct known {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct writer {
	struct ustar_buf buf;
	struct serve_path path; /* as the archive names it */
	unsigned depth;
	bool one_fs;
	dev_t dev;
	struct known *known; /* open addressing, n_known of `slots` */
	size_t n_known, slots;
};

static int fail(const struct writer *w, int code, const char *what, struct err *e)
{
	return err_sys(e, code, "cannot %s '%s'", what, w->path.p);
}

static int flush(struct writer *w, struct err *e)
{
	int r = serve_write(w->buf.p, w->buf.n, e);

	w->buf.n = 0;
	return r;
}

static int put(struct writer *w, const struct ustar_entry *t, struct err *e)
{
	int r = ustar_put_entry(&w->buf, t);

	if (r < 0)
		return fail(w, r, "pack", e);
	return w->buf.n > FLUSH ? flush(w, e) : 0;
}

/* --- hard links --- */

static struct known *slot_of(const struct writer *w, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(ino * 2654435761u ^ dev) & (w->slots - 1);

	while (w->known[i].path && (w->known[i].dev != dev || w->known[i].ino != ino))
		i = (i + 1) & (w->slots - 1);
	return &w->known[i];
}

static int grow(struct writer *w)
{
	struct known *old = w->known;
	size_t n = w->slots;

	w->slots = n ? 2 * n : 64;
	w->known = calloc(w->slots, sizeof(*w->known));
	if (!w->known) {
		w->known = old;
		w->slots = n;
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		if (old[i].path)
			*slot_of(w, old[i].dev, old[i].ino) = old[i];
	free(old);
	return 0;
}

/* The path under which the file was written before, or NULL: then it is remembered. */
static int known_as(struct writer *w, const struct stat *st, const char **ret)
{
	struct known *k;

	*ret = NULL;
	if (st->st_nlink < 2)
		return 0;
	if (2 * (w->n_known + 1) > w->slots && grow(w) < 0)
		return -ENOMEM;
	k = slot_of(w, st->st_dev, st->st_ino);
	if (k->path) {
		*ret = k->path;
		return 0;
	}
	*k = (struct known){ st->st_dev, st->st_ino, strdup(w->path.p) };
	w->n_known++;
	return k->path ? 0 : -ENOMEM;
}

/* --- entries --- */

static struct ustar_entry entry_of(const struct writer *w, const struct stat *st)
{
	return (struct ustar_entry){
		.path = w->path.p,
		.target = "",
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mtime = st->st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
	};
}

struct attributes {
	struct xattr x[XATTR_COUNT_LIMIT];
	unsigned n;
	char list[LIST_SIZE];
	uint8_t values[VALUES_MAX];
};

/* user.* and security.capability; others belong to the place, not to the file. */
static void read_xattrs(int fd, struct attributes *a)
{
	ssize_t n = flistxattr(fd, a->list, sizeof(a->list));
	size_t used = 0;

	a->n = 0;
	for (const char *p = a->list; n > 0 && p < a->list + n && a->n < XATTR_COUNT_LIMIT;
		p += strlen(p) + 1) {
		size_t room = sizeof(a->values) - used;
		ssize_t size;

		if (strncmp(p, "user.", 5) != 0 && strcmp(p, "security.capability") != 0)
			continue;
		size = fgetxattr(fd, p, a->values + used,
			room < XATTR_VALUE_LIMIT ? room : XATTR_VALUE_LIMIT);
		if (size < 0)
			continue;
		a->x[a->n++] = (struct xattr){ p, a->values + used, (uint32_t)size };
		used += (size_t)size;
	}
}

/* Exactly size bytes, whatever happens to the file meanwhile. */
static int put_content(struct writer *w, int fd, off_t size, struct err *e)
{
	off_t left = size;
	int r = flush(w, e);

	while (r >= 0 && left > 0) {
		ssize_t n = sendfile(1, fd, NULL, left < 1 << 30 ? (size_t)left : 1 << 30);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(w, -errno, "read", e);
		if (n == 0)
			return err_set(
				e, -EIO, "file '%s' became shorter while it was read", w->path.p);
		left -= n;
	}
	return r < 0 ? r : ustar_put_padding(&w->buf, size);
}

static int put_file(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	static struct attributes a;
	struct ustar_entry t = entry_of(w, st);
	_cleanup_close_ int fd = -1;
	int r = known_as(w, st, &t.target);

	if (r < 0)
		return fail(w, r, "pack", e);
	if (t.target) {
		t.type = USTAR_HARDLINK;
		return put(w, &t, e);
	}
	t.target = "";
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(w, -errno, "open", e);
	read_xattrs(fd, &a);
	t.type = USTAR_FILE;
	t.size = st->st_size;
	t.xattrs = a.x;
	t.n_xattrs = a.n;
	r = put(w, &t, e);
	return r < 0 ? r : put_content(w, fd, st->st_size, e);
}

static int put_other(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	struct ustar_entry t = entry_of(w, st);
	char target[PATH_MAX];
	ssize_t n;

	switch (st->st_mode & S_IFMT) {
	case S_IFLNK:
		n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return fail(w, -errno, "read", e);
		target[n] = '\0';
		t.type = USTAR_SYMLINK;
		t.target = target;
		t.mode = 0777;
		break;
	case S_IFCHR:
		t.type = USTAR_CHAR;
		break;
	case S_IFBLK:
		t.type = USTAR_BLOCK_DEVICE;
		break;
	case S_IFIFO:
		t.type = USTAR_FIFO;
		break;
	default: /* a socket: nobody is behind a copy of it */
		return 0;
	}
	return put(w, &t, e);
}

static int put_tree(struct writer *w, int dir, const char *name, struct err *e);

static int put_dir(
	struct writer *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct ustar_entry t;
	char **names = NULL;
	size_t n = 0;
	bool inside = !w->one_fs || st->st_dev == w->dev;
	int r = fd < 0 ? -errno : inside ? serve_names(fd, &names, &n) : 0;

	if (r < 0)
		return fail(w, r, "open", e);
	r = serve_path_add(&w->path, ""); /* with a slash at the end */
	t = entry_of(w, st);
	t.type = USTAR_DIR;
	if (r == 0)
		r = put(w, &t, e);
	if (r >= 0 && ++w->depth > SERVE_DEPTH_MAX)
		r = err_set(e, -E_LIMIT, "folders are nested deeper than %d", SERVE_DEPTH_MAX);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		size_t before = w->path.n;

		r = serve_path_add(&w->path, names[i]);
		if (r >= 0)
			r = put_tree(w, fd, names[i], e);
		serve_path_cut(&w->path, before);
	}
	w->depth--;
	serve_names_free(names, n);
	return r;
}

static int put_tree(struct writer *w, int dir, const char *name, struct err *e)
{
	size_t before = w->path.n;
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		/* it went away while we walked: a running guest may do that */
		return errno == ENOENT && w->depth > 0 ? 0 : fail(w, -errno, "look at", e);
	if (S_ISDIR(st.st_mode))
		r = put_dir(w, dir, name, &st, e);
	else if (S_ISREG(st.st_mode))
		r = put_file(w, dir, name, &st, e);
	else
		r = put_other(w, dir, name, &st, e);
	serve_path_cut(&w->path, before);
	return r;
}

/* What the archive calls it: the last name of the path as it was asked for. */
static void base_of(const char *path, char ret[256])
{
	size_t end = strlen(path), at;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (at = end; at > 0 && path[at - 1] != '/'; at--)
		;
	if (end - at >= 256 || at == end)
		memcpy(ret, ".", 2);
	else {
		memcpy(ret, path + at, end - at);
		ret[end - at] = '\0';
	}
}

int serve_pack(const struct serve *s, struct err *e)
{
	struct serve_place place;
	struct writer w = { .one_fs = words_has(s->flags, "one-fs") };
	struct stat st;
	char base[256] = ".";
	int r = serve_find(s->path, words_has(s->flags, "follow"), &place);

	if (r < 0)
		return err_sys(e, r, "cannot find '%s'", s->path);
	if (fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		w.dev = st.st_dev;
	if (!words_has(s->flags, "contents"))
		base_of(s->path, base);
	r = serve_path_add(&w.path, base);
	if (r >= 0)
		r = put_tree(&w, place.dir, place.name, e);
	if (r >= 0)
		r = ustar_put_end(&w.buf);
	return r < 0 ? r : flush(&w, e);
}
