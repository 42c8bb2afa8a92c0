/* SPDX-License-Identifier: MIT */
#include "host/copyup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/macros.h"

enum {
	DEPTH_MAX = 256
};

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out = -1;
	ssize_t n;

	if (in < 0)
		return -errno;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	while ((n = sendfile(out, in, NULL, 1 << 30)) > 0)
		;
	return n < 0 ? -errno : 0;
}

static int copy_link(int from, int to, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return RET_NERRNO(symlinkat(target, to, name));
}

static int copy_below(int from, int to, dev_t dev, int depth);

static int copy_folder(int from, int to, const char *name, dev_t dev, int depth)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int in = openat(from, name, flags), out = -1;

	if (in < 0)
		return -errno;
	if (mkdirat(to, name, 0700) < 0)
		return -errno;
	out = openat(to, name, flags);
	return out < 0 ? -errno : copy_below(in, out, dev, depth + 1);
}

static int copy_entry(int from, int to, const char *name, dev_t dev, int depth)
{
	struct timespec times[2];
	struct stat st;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_dev != dev)
		return 0;
	if (S_ISDIR(st.st_mode))
		r = copy_folder(from, to, name, dev, depth);
	else if (S_ISREG(st.st_mode))
		r = copy_file(from, to, name, &st);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(from, to, name);
	else
		r = RET_NERRNO(mknodat(to, name, st.st_mode, st.st_rdev));
	if (r < 0)
		return r;
	if (fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) < 0)
		return -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return RET_NERRNO(utimensat(to, name, times, AT_SYMLINK_NOFOLLOW));
}

static int copy_below(int from, int to, dev_t dev, int depth)
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *de;
	DIR *d;

	if (copy < 0)
		return -errno;
	if (depth > DEPTH_MAX) {
		(void)close(copy);
		return -ELOOP;
	}
	d = fdopendir(copy);
	if (!d) {
		(void)close(copy);
		return -ENOMEM;
	}
	while (r >= 0 && (de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = copy_entry(from, to, de->d_name, dev, depth);
	(void)closedir(d);
	return r < 0 ? r : 0;
}

int copyup(int from, int to)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return -errno;
	return copy_below(from, to, st.st_dev, 0);
}
