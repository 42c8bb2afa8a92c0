/* SPDX-License-Identifier: MIT */
#include "store/blob.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "store/disk.h"
#include "store/journal.h"
#include "store/layer.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/store-priv.h"

char *blob_digest(const void *data, size_t size)
{
	g_autofree char *hex = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);

	return g_strconcat("sha256:", hex, NULL);
}

char *blob_path(struct ctx *c, const char *digest)
{
	g_assert(is_digest(digest));
	return store_path(c, "blobs/sha256/%s", digest + 7);
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The name is in place when this returns 0, also after a power cut. */
static int write_file(struct ctx *c, const char *path, const void *data, size_t size)
{
	g_autofree char *owner = journal_owner();
	g_autofree char *part = store_path(c, "blobs/sha256/%s.part", owner);
	g_autofree char *folder = store_path(c, "blobs/sha256");
	_cleanup_close_ int fd = -1, dir = -1;
	int r;

	fd = RET_NERRNO(open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0)
		return fd;
	r = write_all(fd, data, size);
	if (r >= 0)
		r = RET_NERRNO(fsync(fd));
	if (r >= 0)
		r = RET_NERRNO(rename(part, path));
	if (r < 0) {
		(void)unlink(part);
		return r;
	}
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		(void)fsync(dir);
	return 0;
}

int blob_write(struct ctx *c, const void *data, size_t size, const char *want, char **ret_digest,
	struct err *e)
{
	g_autofree char *digest = blob_digest(data, size), *path = blob_path(c, digest);
	g_autofree char *old = NULL;
	struct store *s;
	int r;

	if (want && strcmp(want, digest) != 0)
		return err_set(e, -E_CORRUPT, "content that should be '%s' is '%s'", want, digest);
	if (size > BLOB_MAX)
		return err_set(
			e, -E_LIMIT, "content '%s' is larger than %d bytes", digest, BLOB_MAX);
	r = store_get(c, &s, e);
	if (r < 0)
		return r;
	/* one that is damaged is replaced */
	if (blob_read(c, digest, &old, NULL, NULL) < 0) {
		r = write_file(c, path, data, size);
		if (r < 0)
			return err_sys(e, r, "cannot write '%s'", path);
	}
	if (ret_digest)
		*ret_digest = g_steal_pointer(&digest);
	return 0;
}

int blob_read(struct ctx *c, const char *digest, char **ret, size_t *ret_size, struct err *e)
{
	g_autofree char *path = NULL, *data = NULL, *is = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t done = 0;

	if (!is_digest(digest))
		return err_set(e, -E_INVALID, "'%s' isn't a sha256 digest", digest);
	path = blob_path(c, digest);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		err_set(e, -E_NOTFOUND, "the content '%s' isn't there", digest);
		(void)err_mend(e, "lodge fsck --repair, or get the image again");
		return -E_NOTFOUND;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", path);
	if (st.st_size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "'%s' is larger than %d bytes", path, BLOB_MAX);
	data = g_malloc((size_t)st.st_size + 1);
	while (done < (size_t)st.st_size) {
		ssize_t n = read(fd, data + done, (size_t)st.st_size - done);

		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s'", path);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	data[done] = '\0';
	is = blob_digest(data, done);
	if (strcmp(is, digest) != 0) {
		err_set(e, -E_CORRUPT, "'%s' is damaged: its content has another digest", path);
		(void)err_mend(e, "lodge fsck --repair, or get the image again");
		return -E_CORRUPT;
	}
	*ret = g_steal_pointer(&data);
	if (ret_size)
		*ret_size = done;
	return 0;
}

int64_t blob_size(struct ctx *c, const char *digest, struct err *e)
{
	g_autofree char *path = NULL;
	struct stat st;

	if (!is_digest(digest))
		return err_set(e, -E_INVALID, "'%s' isn't a sha256 digest", digest);
	path = blob_path(c, digest);
	if (stat(path, &st) < 0)
		return err_sys(e, errno == ENOENT ? -E_NOTFOUND : -errno, "cannot read '%s'", path);
	return st.st_size;
}

int blob_hold(struct ctx *c, struct err *e)
{
	return store_lock_flags(c, "content", "collect", LOCK_SHARED, e);
}

/* 1 for a blob that an image names. */
static int is_named(struct store *s, const char *digest, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q,
		"SELECT 1 FROM images WHERE id=?1 UNION ALL SELECT 1 FROM images WHERE manifest=?1",
		"s", digest);
	return r < 0 ? r : db_next(s, q, e);
}

int blob_collect(struct ctx *c, int64_t *ret_bytes, struct err *e)
{
	g_autofree char *folder = store_path(c, "blobs/sha256");
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
		g_autofree char *digest = g_strconcat("sha256:", f->d_name, NULL);
		struct stat st;

		if (partial_is_name(f->d_name))
			continue;
		if (is_digest(digest))
			r = is_named(s, digest, e);
		else /* a half-written one */
			r = !g_str_has_suffix(f->d_name, ".part") || journal_owner_lives(f->d_name);
		if (r != 0 || fstatat(dirfd(d), f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			unlinkat(dirfd(d), f->d_name, 0) < 0)
			continue;
		*ret_bytes += (int64_t)st.st_blocks * 512;
		n++;
	}
	(void)closedir(d);
	if (r >= 0)
		r = partial_collect(c, (int64_t)PARTIAL_DAYS * 24 * 3600, ret_bytes, e);
	return r < 0 ? r : n + r;
}

int content_collect(struct ctx *c, int64_t *ret_bytes, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int64_t blobs = 0, layers = 0, disks = 0;
	int r, n, d;

	*ret_bytes = 0;
	lock = store_lock_flags(c, "content", "collect", LOCK_TRY, e);
	if (lock < 0)
		return lock == -EAGAIN ? journal_collect_later(c, e) : lock;
	n = blob_collect(c, &blobs, e);
	if (n < 0)
		return n;
	r = layer_collect(c, &layers, e);
	if (r < 0)
		return r;
	d = disk_collect(c, &disks, e);
	if (d < 0)
		return d;
	*ret_bytes = blobs + layers + disks;
	return n + r + d;
}
