/* SPDX-License-Identifier: MIT */
#include "store/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "store/store-priv.h"

#define CHUNK	   (1 << 20)
#define FORMAT_MAX 16 /* letters */

char *disk_path(struct ctx *c, const char *digest, const char *format)
{
	return store_path(c, "disks/%s.%s", digest + strlen("sha256:"), format);
}

bool disk_is_format(const char *s)
{
	size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;

	return n > 0 && n <= FORMAT_MAX && !s[n];
}

static int hash(const char *path, void (*tell)(void *data, int64_t bytes), void *data,
	char ret[SHA256_TEXT], struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *s = NULL;
	_cleanup_close_ int fd = -1;
	g_autofree char *buf = g_malloc(CHUNK);
	int64_t done = 0;
	ssize_t n;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", path);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	r = sha256_new(&s, e);
	if (r < 0)
		return r;
	while ((n = read(fd, buf, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s'", path);
		sha256_write(s, buf, (size_t)n);
		done += n;
		if (tell)
			tell(data, done);
	}
	sha256_finish_text(s, ret);
	return 0;
}

int disk_verify(const char *path, const char *digest, struct err *e)
{
	char is[SHA256_TEXT];
	int r = hash(path, NULL, NULL, is, e);

	if (r < 0)
		return r;
	if (strcmp(is, digest) == 0)
		return 0;
	err_set(e, -E_CORRUPT, "'%s' is damaged: its content has another digest", path);
	(void)err_mend(e, "make or import the image again");
	return -E_CORRUPT;
}

static int sync_path(const char *path, int flags, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, -errno, "cannot write '%s' to the disk", path);
	return 0;
}

int disk_keep(struct ctx *c, const char *file, const char *format,
	void (*tell)(void *data, int64_t bytes), void *data, char **ret_digest, int64_t *ret_bytes,
	struct err *e)
{
	g_autofree char *to = NULL, *folder = store_path(c, "disks");
	char digest[SHA256_TEXT];
	struct stat st;
	int r;

	if (chmod(file, 0400) < 0)
		return err_sys(e, -errno, "cannot change '%s'", file);
	r = sync_path(file, 0, e);
	if (r >= 0)
		r = hash(file, tell, data, digest, e);
	if (r < 0)
		return r;
	to = disk_path(c, digest, format);
	if (renameat2(AT_FDCWD, file, AT_FDCWD, to, RENAME_NOREPLACE) < 0) {
		if (errno != EEXIST)
			return err_sys(e, -errno, "cannot rename '%s' to '%s'", file, to);
		/* the same bytes, which guests may have open */
		(void)unlink(file);
	}
	r = sync_path(folder, O_DIRECTORY, e);
	if (r < 0)
		return r;
	if (stat(to, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", to);
	*ret_digest = g_strdup(digest);
	*ret_bytes = (int64_t)st.st_blocks * 512;
	return 0;
}

/* 1 for a disk that an image names. */
static int is_named(struct store *s, const char *digest, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r = db_query(s, e, &q, "SELECT 1 FROM image_disks WHERE digest=?", "s", digest);

	return r < 0 ? r : db_next(s, q, e);
}

int disk_collect(struct ctx *c, int64_t *ret_bytes, struct err *e)
{
	g_autofree char *folder = store_path(c, "disks");
	struct store *s;
	struct dirent *f;
	int r, n = 0;
	DIR *d;

	*ret_bytes = 0;
	r = store_get(c, &s, e);
	if (r < 0)
		return r;
	d = opendir(folder);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", folder);
	while (r >= 0 && (f = readdir(d))) {
		g_autofree char *hex = g_strndup(f->d_name, 64);
		g_autofree char *digest = g_strconcat("sha256:", hex, NULL);
		struct stat st;

		if (!is_digest(digest))
			continue;
		r = is_named(s, digest, e);
		if (r != 0 || fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			unlinkat(dirfd(d), f->d_name, 0) < 0)
			continue;
		*ret_bytes += (int64_t)st.st_blocks * 512;
		n++;
	}
	(void)closedir(d);
	return r < 0 ? r : n;
}
