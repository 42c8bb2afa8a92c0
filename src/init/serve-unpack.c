/* SPDX-License-Identifier: MIT */
/* A tar archive into a folder of the guest. */
#include "init/serve.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "host/path.h"
#include "init/words.h"
#include "wire/ustar.h"

#define CHUNK (64 * 1024)

struct late { /* a folder's attributes are set when nothing more comes into it */
	struct late *next;
	mode_t mode;
	struct timespec mtime;
	char path[];
};

struct reader {
	int root; /* the folder: each path is resolved as if it were the root */
	bool keep_owner, copy;
	int fd; /* of the file that content goes to, or -1 */
	char name[NAME_MAX + 1];
	mode_t mode;
	struct timespec mtime;
	struct late *late; /* the newest first */
};

static int fail(const char *path, int code, struct err *e)
{
	return err_sys(e, code, "cannot extract '%.200s'", path);
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

static int make_link(struct reader *r, const char *target, int dir, const char *name)
{
	char base[NAME_MAX + 1];
	_cleanup_close_ int from = path_parent_in(r->root, target, false, base);

	return from < 0 ? from : RET_NERRNO(linkat(from, base, dir, name, 0));
}

static int make_entry(struct reader *r, const struct ustar_entry *t, int dir, const char *name)
{
	switch (t->type) {
	case USTAR_FILE:
		r->fd = openat(
			dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		return r->fd < 0 ? -errno : 0;
	case USTAR_DIR:
		return mkdirat(dir, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
	case USTAR_SYMLINK:
		return RET_NERRNO(symlinkat(t->target, dir, name));
	case USTAR_HARDLINK:
		return make_link(r, t->target, dir, name);
	case USTAR_CHAR:
		return RET_NERRNO(mknodat(dir, name, S_IFCHR | 0600, makedev(t->major, t->minor)));
	case USTAR_BLOCK_DEVICE:
		return RET_NERRNO(mknodat(dir, name, S_IFBLK | 0600, makedev(t->major, t->minor)));
	case USTAR_FIFO:
		return RET_NERRNO(mkfifoat(dir, name, 0600));
	default:
		return -EINVAL;
	}
}

/* Makes way: a file gives way to anything, a folder only to a folder. */
static int make_way(int dir, const char *name, enum ustar_type type)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return type == USTAR_DIR ? 0 : -EISDIR;
	return RET_NERRNO(unlinkat(dir, name, 0));
}

/* The same for a copy, with the words that it has elsewhere. */
static int make_way_copy(
	int dir, const char *name, const char *path, enum ustar_type type, struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		S_ISDIR(st.st_mode) == (type == USTAR_DIR))
		return make_way(dir, name, type);
	if (type == USTAR_DIR)
		return err_set(e, -E_INVALID,
			"cannot overwrite '%.200s', which is no folder, with a folder", path);
	return err_set(e, -E_INVALID, "cannot overwrite folder '%.200s' with a file", path);
}

static int remember(struct reader *r, const struct ustar_entry *t)
{
	size_t n = strlen(t->path) + 1;
	struct late *l = malloc(sizeof(*l) + n);

	if (!l)
		return -ENOMEM;
	l->mode = t->mode;
	l->mtime = (struct timespec){ t->mtime, t->mtime_nsec };
	memcpy(l->path, t->path, n);
	l->next = r->late;
	r->late = l;
	return 0;
}

static int set_attributes(struct reader *r, const struct ustar_entry *t, int dir, const char *name)
{
	struct timespec times[2] = { { t->mtime, t->mtime_nsec }, { t->mtime, t->mtime_nsec } };

	if (t->type == USTAR_HARDLINK)
		return 0;
	if (fchownat(dir, name, r->keep_owner ? t->uid : 0, r->keep_owner ? t->gid : 0,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	for (unsigned i = 0; r->fd >= 0 && i < t->n_xattrs; i++)
		if (strncmp(t->xattrs[i].name, "user.", 5) == 0 ||
			strcmp(t->xattrs[i].name, "security.capability") == 0)
			(void)fsetxattr(
				r->fd, t->xattrs[i].name, t->xattrs[i].value, t->xattrs[i].size, 0);
	if (t->type == USTAR_SYMLINK)
		return RET_NERRNO(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW));
	if (t->type == USTAR_DIR)
		return remember(r, t);
	if (t->type == USTAR_FILE) { /* writing changes it: at its end */
		r->mode = t->mode;
		r->mtime = times[1];
		return 0;
	}
	return RET_NERRNO(fchmodat(dir, name, t->mode, 0));
}

static int on_entry(void *arg, const struct ustar_entry *t, struct err *e)
{
	struct reader *r = arg;
	_cleanup_free_ char *path = strdup(t->path);
	_cleanup_close_ int dir = -1;
	size_t n;
	int k;

	end_file(r);
	if (!path)
		return -ENOMEM;
	n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0 || strcmp(path, "./.") == 0)
		return 0;
	dir = path_parent_in(r->root, path, true, r->name);
	if (dir < 0)
		return fail(path, dir, e);
	k = r->copy ? make_way_copy(
			      dir, r->name, path + 2 * (strncmp(path, "./", 2) == 0), t->type, e)
		    : make_way(dir, r->name, t->type);
	if (k == -E_INVALID)
		return k;
	if (k >= 0)
		k = make_entry(r, t, dir, r->name);
	if (k >= 0)
		k = set_attributes(r, t, dir, r->name);
	return k < 0 ? fail(path, k, e) : 0;
}

static int on_content(void *arg, const void *data, size_t size, struct err *e)
{
	const struct reader *r = arg;
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(r->fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot write '%s'", r->name);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Deepest first, as they came in the other order. */
static void set_late(const struct reader *r)
{
	for (const struct late *l = r->late; l; l = l->next) {
		_cleanup_close_ int fd =
			path_open_in(r->root, l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
		struct timespec t[2] = { l->mtime, l->mtime };

		if (fd < 0)
			continue;
		(void)fchmod(fd, l->mode);
		(void)futimens(fd, t);
	}
}

static int read_all(struct ustar_reader *tar, struct err *e)
{
	static char buf[CHUNK];

	for (;;) {
		ssize_t n = read(0, buf, sizeof(buf));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read the archive");
		if (n == 0)
			return ustar_reader_finish(tar, e);
		r = ustar_reader_write(tar, buf, (size_t)n, e);
		if (r != 0)
			return r;
	}
}

int serve_unpack(const struct serve *s, struct err *e)
{
	static const struct ustar_sink sink = { on_entry, on_content };
	struct reader r = { .fd = -1,
		.keep_owner = words_has(s->flags, "owner"),
		.copy = words_has(s->flags, "copy") };
	_cleanup_close_ int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ustar_reader *tar;
	int k;

	r.root = path_open_in(top, s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
	if (r.root < 0)
		return err_sys(e, r.root, "cannot open '%s'", s->path);
	tar = ustar_reader_new(&sink, &r);
	if (!tar)
		return -ENOMEM;
	k = read_all(tar, e);
	end_file(&r);
	set_late(&r);
	return k;
}
