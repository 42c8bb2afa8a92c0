/* SPDX-License-Identifier: MIT */
#include "host/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 2048 /* deeper than PATH_MAX allows a path to be written */

static int openat2_in(int root_fd, const char *path, int open_flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)open_flags | O_CLOEXEC,
		.mode = open_flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* EAGAIN: a rename elsewhere raced with the walk, openat2(2) */
	for (int tries = 0; tries < 64; tries++) {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int path_open_in(int root_fd, const char *path, int open_flags, mode_t mode, unsigned flags)
{
	if (flags & PATH_NOFOLLOW_LAST) {
		char name[NAME_MAX + 1];
		_cleanup_close_ int dir = -1;
		int fd;
		struct stat st;

		dir = path_parent_in(root_fd, path, false, name);
		if (dir < 0)
			return dir;
		fd = openat(dir, name, open_flags | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd < 0)
			return -errno;
		if ((open_flags & O_PATH) && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
			(void)close(fd);
			return -ELOOP;
		}
		return fd;
	}
	return openat2_in(root_fd, path, open_flags, mode);
}

const char *path_of_fd(int fd, char *buf)
{
	(void)snprintf(buf, 32, "/proc/self/fd/%d", fd);
	return buf;
}

int path_mkdirs_in(int root_fd, const char *path, mode_t mode, unsigned flags)
{
	char partial[PATH_MAX];
	size_t n = 0;
	int fd;

	fd = path_open_in(root_fd, path[0] ? path : "/", O_PATH | O_DIRECTORY, 0,
		path[strspn(path, "/")] ? flags : 0);
	if (fd >= 0 || fd != -ENOENT)
		return fd;
	if (strlen(path) >= sizeof(partial))
		return -ENAMETOOLONG;
	/* component by component: each is looked up in the root, so a link to a missing place inside of it
	 * isn't created through but refused */
	while (*path) {
		size_t len;
		_cleanup_close_ int parent = -1;
		char name[NAME_MAX + 1];

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		partial[n++] = '/';
		memcpy(partial + n, path, len);
		n += len;
		partial[n] = '\0';
		path += len;
		fd = openat2_in(root_fd, partial, O_PATH | O_DIRECTORY, 0);
		if (fd >= 0) {
			(void)close(fd);
			continue;
		}
		if (fd != -ENOENT)
			return fd;
		parent = path_parent_in(root_fd, partial, false, name);
		if (parent < 0)
			return parent;
		if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	return path_open_in(root_fd, partial, O_PATH | O_DIRECTORY, 0, flags);
}

int path_parent_in(int root_fd, const char *path, bool create, char *name)
{
	char folder[PATH_MAX];
	const char *last;
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof(folder))
		return n ? -ENAMETOOLONG : -EINVAL;
	memcpy(folder, path, n);
	folder[n] = '\0';
	last = strrchr(folder, '/');
	last = last ? last + 1 : folder;
	if (strlen(last) > NAME_MAX)
		return -ENAMETOOLONG;
	if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return -EINVAL;
	memcpy(name, last, strlen(last) + 1);
	folder[last - folder] = '\0';
	if (create)
		return path_mkdirs_in(root_fd, folder, 0755, 0);
	return openat2_in(root_fd, folder[0] ? folder : "/", O_PATH | O_DIRECTORY, 0);
}

int path_touch_in(int root_fd, const char *path, mode_t mode)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = -1, file = -1;
	int fd;

	fd = openat2_in(root_fd, path, O_PATH, 0);
	if (fd >= 0 || fd != -ENOENT)
		return fd;
	dir = path_parent_in(root_fd, path, true, name);
	if (dir < 0)
		return dir;
	file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (file < 0 && errno != EEXIST)
		return -errno;
	return RET_NERRNO(openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

static int remove_below(int dir_fd, dev_t dev, int depth);

/* Removes one entry; a folder with all that is in it. */
static int remove_entry(int dir_fd, const char *name, dev_t dev, int depth)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EBUSY)
		return -errno;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != dev)
		return -EXDEV;
	if (depth >= TREE_DEPTH_MAX)
		return -ELOOP;
	r = remove_below(fd, dev, depth + 1);
	if (r < 0)
		return r;
	return RET_NERRNO(unlinkat(dir_fd, name, AT_REMOVEDIR));
}

static int remove_below(int dir_fd, dev_t dev, int depth)
{
	int copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0), first = 0, r;
	struct dirent *de;
	DIR *d;

	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d) {
		(void)close(copy);
		return -ENOMEM;
	}
	while ((de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		r = remove_entry(dir_fd, de->d_name, dev, depth);
		if (r < 0 && first == 0)
			first = r;
	}
	(void)closedir(d);
	return first;
}

int path_remove_tree(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return remove_entry(dir_fd, name, st.st_dev, 0);
}

int path_enter(int dir_fd)
{
	return RET_NERRNO(fchdir(dir_fd));
}

int path_confine(int root_fd)
{
	int r = path_enter(root_fd);

	return r < 0 ? r : RET_NERRNO(chroot("."));
}
