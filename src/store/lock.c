/* SPDX-License-Identifier: MIT */
#include "store/lock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "store/store.h"

static char *lock_path(struct ctx *c, const char *kind, const char *name)
{
	char *path = store_run_path(c, "locks/%s-%s", kind, name);

	/* a name may have slashes (references of images) */
	g_strdelimit(path + strlen(c->run) + strlen("/locks/"), "/", '%');
	return path;
}

static int open_lock(struct ctx *c, const char *path)
{
	int fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));

	if (fd == -ENOENT) {
		g_autofree char *folder = store_run_path(c, "locks");

		/* the run folder itself is passed by guests' users, as the store's */
		(void)g_mkdir_with_parents(c->run, 0711);
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	}
	return fd;
}

int store_lock_flags(
	struct ctx *c, const char *kind, const char *name, unsigned flags, struct err *e)
{
	g_autofree char *path = lock_path(c, kind, name);
	int how = (flags & LOCK_SHARED ? LOCK_SH : LOCK_EX) | (flags & LOCK_TRY ? LOCK_NB : 0);
	struct stat st;
	int fd, r;

	for (;;) {
		fd = open_lock(c, path);
		if (fd < 0)
			return err_sys(e, fd, "cannot open the lock '%s'", path);
		do {
			r = RET_NERRNO(flock(fd, how));
		} while (r == -EINTR);
		if (r < 0) {
			(void)close(fd);
			if (r == -EWOULDBLOCK)
				return err_set(e, -EAGAIN,
					"%s '%s' is being changed by another command", kind, name);
			return err_sys(e, r, "cannot lock '%s'", path);
		}
		/* whoever had it may have removed the file meanwhile, see store_lock_forget */
		if (fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		(void)close(fd);
	}
}

int store_lock(struct ctx *c, const char *kind, const char *name, struct err *e)
{
	return store_lock_flags(c, kind, name, 0, e);
}

void store_lock_forget(struct ctx *c, const char *kind, const char *name)
{
	g_autofree char *path = lock_path(c, kind, name);

	(void)unlink(path);
}
