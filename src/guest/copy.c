/* SPDX-License-Identifier: MIT */
/*
 * Trees of files from one folder descriptor to another. Nothing is ever resolved by more than one
 * component, and no link is followed: neither side can lead the other out of its place.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <linux/fs.h>
#include "guest/guest-priv.h"
#include "host/path.h"

#define COPY_DEPTH_MAX	1000
#define COPY_CHUNK	(1 << 30)
#define COPY_XATTRS_MAX (64 * 1024)

struct walk {
	const struct copy_tree *how;
	int dst_base;	   /* where the copy began: hard links are made from there */
	GString *path;	   /* of the copy, below dst_base */
	GHashTable *links; /* "DEV:INO" -> path, of files with several names */
	unsigned depth;
};

static int fail(struct err *e, int code, const struct walk *w, const char *what)
{
	return err_sys(e, code, "cannot %s '%s'", what, w->path->str);
}

/* Contents, by the cheapest way that the file systems have. */
static int copy_data(int src, int dst, off_t size)
{
	bool range = true, send = true;
	g_autofree char *buf = NULL;

	if (ioctl(dst, FICLONE, src) == 0)
		return 0;
	for (;;) {
		ssize_t n;

		if (range) {
			n = RET_NERRNO(copy_file_range(src, NULL, dst, NULL, COPY_CHUNK, 0));
			/* /proc and the like say 0 for files that have contents */
			if (n == 0 && size == 0)
				range = false;
			if (n == -EXDEV || n == -EINVAL || n == -EOPNOTSUPP || n == -ENOSYS ||
				n == -EPERM || n == -EBADF)
				range = false;
			if (!range)
				continue;
		} else if (send) {
			n = RET_NERRNO(sendfile(dst, src, NULL, COPY_CHUNK));
			if (n == -EINVAL || n == -ENOSYS) {
				send = false;
				continue;
			}
		} else {
			buf = buf ?: g_malloc(1 << 20);
			n = RET_NERRNO(read(src, buf, 1 << 20));
			for (ssize_t done = 0; n > 0 && done < n;) {
				ssize_t k = RET_NERRNO(write(dst, buf + done, n - done));

				if (k < 0)
					return k;
				done += k;
			}
		}
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n;
	}
}

static int set_owner(const struct walk *w, int dir, const char *name, const struct stat *st)
{
	uid_t uid = w->how->keep_owner ? st->st_uid : w->how->uid;
	gid_t gid = w->how->keep_owner ? st->st_gid : w->how->gid;
	int r = RET_NERRNO(fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW));

	/* a user's own copy of what isn't his is his */
	return r == -EPERM && geteuid() != 0 ? 0 : r;
}

/* user.* and security.capability; others belong to the place, not to the file. */
static void copy_xattrs(int src, int dst)
{
	g_autofree char *list = g_malloc(COPY_XATTRS_MAX);
	ssize_t n = flistxattr(src, list, COPY_XATTRS_MAX);

	for (const char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		char value[65536];
		ssize_t size;

		if (!g_str_has_prefix(p, "user.") && !g_str_equal(p, "security.capability"))
			continue;
		size = fgetxattr(src, p, value, sizeof(value));
		if (size >= 0)
			(void)fsetxattr(dst, p, value, size, 0);
	}
}

static int set_times(int dir, const char *name, const struct stat *st)
{
	struct timespec t[2] = { st->st_atim, st->st_mtim };

	return RET_NERRNO(utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW));
}

/* What stands where something else must be; an empty folder too, a full one is an error. */
static int make_room(struct walk *w, int dir, const char *name, bool for_dir, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(e, -errno, w, "look at");
	if (for_dir)
		return S_ISDIR(st.st_mode)
			       ? 1
			       : err_set(e, -E_INVALID,
					 "cannot overwrite '%s', which is no folder, with a folder",
					 w->path->str);
	if (S_ISDIR(st.st_mode))
		return err_set(
			e, -E_INVALID, "cannot overwrite folder '%s' with a file", w->path->str);
	r = RET_NERRNO(unlinkat(dir, name, 0));
	return r < 0 ? fail(e, r, w, "replace") : 0;
}

static int copy_file(struct walk *w, int sdir, const char *name, int ddir, const char *to,
	const struct stat *st, struct err *e)
{
	_cleanup_close_ int src = -1, dst = -1;
	int r;

	src = openat(sdir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (src < 0)
		return fail(e, -errno, w, "open");
	dst = openat(ddir, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dst < 0)
		return fail(e, -errno, w, "create");
	r = copy_data(src, dst, st->st_size);
	if (r < 0)
		return fail(e, r, w, "copy");
	r = set_owner(w, ddir, to, st);
	copy_xattrs(src, dst);
	if (r >= 0)
		r = RET_NERRNO(fchmod(dst, st->st_mode & 07777));
	if (r >= 0)
		r = set_times(ddir, to, st);
	return r < 0 ? fail(e, r, w, "set the attributes of") : 0;
}

static int copy_entry(
	struct walk *w, int sdir, const char *name, int ddir, const char *to, struct err *e);

static int copy_entries(struct walk *w, int src, int dst, struct err *e)
{
	int list = openat(src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = list < 0 ? NULL : fdopendir(list);
	struct dirent *f;
	int r = 0;

	if (!d) {
		r = -errno;
		closep(&list);
		return fail(e, r, w, "read");
	}
	while (r >= 0 && (f = readdir(d))) {
		size_t n = w->path->len;

		if (g_str_equal(f->d_name, ".") || g_str_equal(f->d_name, ".."))
			continue;
		g_string_append_printf(w->path, "%s%s", n ? "/" : "", f->d_name);
		r = copy_entry(w, src, f->d_name, dst, f->d_name, e);
		g_string_truncate(w->path, n);
	}
	(void)closedir(d);
	return r;
}

static int copy_dir(struct walk *w, int sdir, const char *name, int ddir, const char *to,
	const struct stat *st, struct err *e)
{
	_cleanup_close_ int src = -1, dst = -1;
	int r;

	r = make_room(w, ddir, to, true, e);
	if (r == 0)
		r = RET_NERRNO(mkdirat(ddir, to, 0700)) < 0 ? fail(e, -errno, w, "create") : 0;
	if (r < 0)
		return r;
	src = openat(sdir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dst = src < 0 ? -1 : openat(ddir, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dst < 0)
		return fail(e, -errno, w, "open");
	if (++w->depth > COPY_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are nested deeper than %d", COPY_DEPTH_MAX);
	r = copy_entries(w, src, dst, e);
	w->depth--;
	if (r < 0)
		return r;
	r = set_owner(w, ddir, to, st);
	copy_xattrs(src, dst);
	if (r >= 0)
		r = RET_NERRNO(fchmod(dst, st->st_mode & 07777));
	if (r >= 0)
		r = set_times(ddir, to, st);
	return r < 0 ? fail(e, r, w, "set the attributes of") : 0;
}

static int copy_symlink(struct walk *w, int sdir, const char *name, int ddir, const char *to,
	const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(sdir, name, target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return fail(e, -errno, w, "read link");
	target[n] = '\0';
	r = RET_NERRNO(symlinkat(target, ddir, to));
	if (r >= 0)
		r = set_owner(w, ddir, to, st);
	if (r >= 0)
		r = set_times(ddir, to, st);
	return r < 0 ? fail(e, r, w, "create link") : 0;
}

static int copy_special(
	struct walk *w, int ddir, const char *to, const struct stat *st, struct err *e)
{
	int r;

	if (S_ISSOCK(st->st_mode)) /* nobody listens to a copy of one */
		return 0;
	r = RET_NERRNO(mknodat(ddir, to, st->st_mode, st->st_rdev));
	if (r >= 0)
		r = set_owner(w, ddir, to, st);
	if (r >= 0)
		r = RET_NERRNO(fchmodat(ddir, to, st->st_mode & 07777, 0));
	return r < 0 ? fail(e, r, w, "create") : 0;
}

/* A further name of a file that was copied before: 1 when it was made. */
static int copy_link(struct walk *w, int ddir, const char *to, const struct stat *st)
{
	char key[64];
	const char *first;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	(void)g_snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
	first = g_hash_table_lookup(w->links, key);
	if (!first) {
		g_hash_table_insert(w->links, g_strdup(key), g_strdup(w->path->str));
		return 0;
	}
	g_autofree char *dir = g_path_get_dirname(first), *base = g_path_get_basename(first);
	_cleanup_close_ int fd =
		path_open_in(w->dst_base, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
	return fd >= 0 && linkat(fd, base, ddir, to, 0) == 0;
}

static int copy_entry(
	struct walk *w, int sdir, const char *name, int ddir, const char *to, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(sdir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, -errno, w, "look at");
	if (S_ISDIR(st.st_mode))
		return copy_dir(w, sdir, name, ddir, to, &st, e);
	r = make_room(w, ddir, to, false, e);
	if (r < 0)
		return r;
	r = copy_link(w, ddir, to, &st);
	if (r != 0)
		return MIN(r, 0);
	if (S_ISREG(st.st_mode))
		return copy_file(w, sdir, name, ddir, to, &st, e);
	if (S_ISLNK(st.st_mode))
		return copy_symlink(w, sdir, name, ddir, to, &st, e);
	return copy_special(w, ddir, to, &st, e);
}

int copy_tree(int src_fd, const char *name, int dst_fd, const char *to, const struct copy_tree *how,
	struct err *e)
{
	g_autoptr(GHashTable) links =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GString) path = g_string_new(how->contents ? "" : to);
	struct walk w = { .how = how, .dst_base = dst_fd, .path = path, .links = links };
	_cleanup_close_ int src = -1;

	if (!how->contents)
		return copy_entry(&w, src_fd, name, dst_fd, to, e);
	src = openat(src_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (src < 0)
		return err_sys(e, -errno, "cannot open folder '%s'", name);
	return copy_entries(&w, src, dst_fd, e);
}
