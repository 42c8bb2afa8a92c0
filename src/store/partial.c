/* SPDX-License-Identifier: MIT */
#include "store/partial.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "store/store-priv.h"

#define SUFFIX ".part"

static char *path_of(struct ctx *c, const char *digest)
{
	g_assert(is_digest(digest));
	return store_path(c, "blobs/sha256/%s" SUFFIX, digest + 7);
}

bool partial_is_name(const char *name)
{
	g_autofree char *digest = g_strdup_printf("sha256:%.64s", name);

	return strlen(name) == 64 + strlen(SUFFIX) && strcmp(name + 64, SUFFIX) == 0 &&
	       is_digest(digest);
}

/* Whether the path still leads to what fd is. */
static bool is_same(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int lock(int fd, bool wait)
{
	int r;

	do
		r = RET_NERRNO(flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)));
	while (r == -EINTR);
	return r;
}

int partial_open(struct ctx *c, const char *digest, int64_t *ret_size, struct err *e)
{
	g_autofree char *path = path_of(c, digest);
	struct store *s;
	int r = store_get(c, &s, e);

	if (r < 0)
		return r;
	for (;;) {
		_cleanup_close_ int fd = -1;
		struct stat st;

		fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
		if (fd < 0)
			return err_sys(e, fd, "cannot make '%s'", path);
		r = lock(fd, true);
		if (r < 0)
			return err_sys(e, r, "cannot lock '%s'", path);
		/* whoever had it may have removed it */
		if (!is_same(fd, path))
			continue;
		if (fstat(fd, &st) < 0)
			return err_sys(e, -errno, "cannot read '%s'", path);
		*ret_size = st.st_size;
		return TAKE_FD(fd);
	}
}

void partial_remove(struct ctx *c, const char *digest, int fd)
{
	g_autofree char *path = path_of(c, digest);
	_cleanup_close_ int own = -1;

	if (fd < 0) {
		own = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (own < 0 || lock(own, false) < 0 || !is_same(own, path))
			return;
	}
	(void)unlink(path);
}

int partial_collect(struct ctx *c, int64_t seconds, int64_t *ret_bytes, struct err *e)
{
	g_autofree char *folder = store_path(c, "blobs/sha256");
	struct dirent *f;
	int n = 0;
	DIR *d;

	d = opendir(folder);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", folder);
	while ((f = readdir(d))) {
		_cleanup_close_ int fd = -1;
		g_autofree char *path = g_build_filename(folder, f->d_name, NULL);
		struct stat st;

		if (!partial_is_name(f->d_name))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || fstat(fd, &st) < 0 || time(NULL) - st.st_mtime < seconds ||
			lock(fd, false) < 0 || !is_same(fd, path) || unlink(path) < 0)
			continue;
		*ret_bytes += (int64_t)st.st_blocks * 512;
		n++;
	}
	(void)closedir(d);
	return n;
}
