/* SPDX-License-Identifier: MIT */
#include "host/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

extern char **environ;

static __attribute__((noinline)) int clone_read_only(const char *path)
{
	struct mount_attr a = { .attr_set =
					MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static int sealed_copy(const char *path)
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC), to = -1;
	struct stat st;
	off_t done = 0;

	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	to = memfd_create("lodge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (to < 0)
		return -errno;
	while (done < st.st_size) {
		ssize_t n = sendfile(to, from, &done, (size_t)(st.st_size - done));

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	if (fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(to);
}

/* Runs in the memory of the parent (vfork): system calls only. */
static __attribute__((noinline)) void child(int exe, char *const argv[], int conn_fd, int trace_fd)
{
	sigset_t none;

	/* above what it puts things at, so that nothing is overwritten */
	exe = fcntl(exe, F_DUPFD_CLOEXEC, 8);
	conn_fd = fcntl(conn_fd, F_DUPFD, 8);
	if (trace_fd >= 0)
		trace_fd = fcntl(trace_fd, F_DUPFD, 8);
	if (exe < 0 || conn_fd < 0 || dup2(conn_fd, 3) < 0 ||
		(trace_fd >= 0 && dup2(trace_fd, 4) < 0))
		_exit(127);
	(void)syscall(SYS_close_range, trace_fd >= 0 ? 5 : 4, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)syscall(SYS_execveat, exe, "", argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

static __attribute__((noinline)) pid_t start(int exe, char *const argv[], int conn_fd, int trace_fd)
{
	pid_t pid = vfork();

	if (pid == 0)
		child(exe, argv, conn_fd, trace_fd);
	return pid < 0 ? -errno : pid;
}

pid_t spawn_protected(
	const char *path, char *const argv[], int conn_fd, int trace_fd, struct err *e)
{
	_cleanup_close_ int exe = clone_read_only(path);
	pid_t pid;

	if (exe == -ENOENT) {
		err_set(e, exe, "cannot find '%s'", path);
		err_mend(e, "install lodge again, or set LODGE_LIBEXEC to its folder");
		return exe;
	}
	if (exe < 0)
		exe = sealed_copy(path);
	if (exe < 0)
		return err_sys(e, exe, "cannot open '%s'", path);
	pid = start(exe, argv, conn_fd, trace_fd);
	return pid < 0 ? err_sys(e, pid, "cannot start '%s'", path) : pid;
}

int exec_protected(char *const argv[], struct err *e)
{
	static const char self[] = "/proc/self/exe";
	_cleanup_close_ int exe = -1;

	if (getenv(PROTECTED_MARK)) {
		(void)unsetenv(PROTECTED_MARK);
		return 0;
	}
	exe = clone_read_only(self);
	if (exe < 0)
		exe = sealed_copy(self);
	if (exe < 0)
		return err_sys(e, exe, "cannot make a safe copy of this program");
	if (setenv(PROTECTED_MARK, "1", 1) < 0)
		return -ENOMEM;
	(void)syscall(SYS_execveat, exe, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, -errno, "cannot execute a safe copy of this program");
}
