/* SPDX-License-Identifier: MIT */
/* Steps that build a guest's view of the file system. mount(2), move_mount(2), mount_setattr(2). */
#include "host/steps.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "host/copyup.h"
#include "host/mountflags.h"
#include "host/path.h"

#define DATA_MAX 4096 /* mount(2) takes one page */

static void show_mount(struct text *t, const char *type, const char *flags, const char *data,
	const char *source, const char *root, const char *target)
{
	text_add(t, "mount");
	if (type[0])
		text_addf(t, " -t %s", type);
	if (flags[0] || data[0]) {
		char options[DATA_MAX + 256];

		(void)snprintf(options, sizeof(options), "%s%s%s", flags,
			flags[0] && data[0] ? "," : "", data);
		text_add(t, " -o ");
		text_add_word(t, options);
	}
	text_add(t, " ");
	text_add_word(t, source[0] ? source : "none");
	text_add(t, " ");
	if (root[0] && strcmp(root, "/") != 0) {
		char whole[PATH_MAX];

		(void)snprintf(whole, sizeof(whole), "%s%s", root, target);
		text_add_word(t, whole);
	} else
		text_add_word(t, target);
}

static int open_root(const char *root)
{
	return RET_NERRNO(open(root, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* --- layer --- */

static bool is_mount_root(const char *path)
{
	struct statx x;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &x) == 0 &&
	       (x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* Before Linux 6.12 EROFS needs a block device. It frees itself with the mount (autoclear). */
static int mount_by_loop(int file, const char *target)
{
	struct loop_config config = {
		.fd = (uint32_t)file,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
	};
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return -errno;
	for (int tries = 0; tries < 64; tries++) {
		_cleanup_close_ int loop = -1;
		char path[32];
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return -errno;
		(void)snprintf(path, sizeof(path), "/dev/loop%d", n);
		loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return -errno;
		if (ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
			if (errno == EBUSY) /* somebody was faster */
				continue;
			return -errno;
		}
		return RET_NERRNO(mount(path, target, "erofs", MS_RDONLY | MS_NODEV, NULL));
	}
	return -EBUSY;
}

/*
 * Mounts once for all guests, so that they share one page cache; it stays until the image is removed.
 * Two executors may come here at once: the file is locked while one of them looks and mounts.
 */
static int layer_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int file = -1;
	int code;

	if (is_mount_root(s->arg[1]))
		return 0;
	file = open(s->arg[0], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0) {
		code = err_sys(e, -errno, "cannot open the layer '%s'", s->arg[0]);
		err_mend(e, "'lodge fsck' says what is missing; then import the image again");
		return code;
	}
	if (flock(file, LOCK_EX) < 0)
		return -errno;
	if (is_mount_root(s->arg[1]))
		return 0;
	if (mkdir(s->arg[1], 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mount(s->arg[0], s->arg[1], "erofs", MS_RDONLY | MS_NODEV, NULL) == 0)
		return 0;
	code = -errno;
	if (code == -ENOTBLK || code == -EINVAL)
		code = mount_by_loop(file, s->arg[1]);
	if (code < 0)
		err_sys(e, code, "cannot mount the layer '%s'", s->arg[0]);
	return code;
}

static void layer_show(const struct step *s, struct text *t)
{
	text_addf(t, "mountpoint -q %s || ", s->arg[1]);
	show_mount(t, "erofs", "ro,nodev", "", s->arg[0], "", s->arg[1]);
}

const struct step_ops step_layer = {
	.name = "layer", .args = "image target", .run = layer_run, .show = layer_show
};

/* --- layer-points --- */

static bool is_empty(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;
	bool empty = d != NULL;

	if (!d) {
		closep(&fd);
		return false;
	}
	while (empty && (x = readdir(d)))
		empty = strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0;
	(void)closedir(d);
	return empty;
}

/*
 * A folder on a disk costs a transaction of its journal, more than the mount that it is for. So they are made in a
 * tmpfs, unless the folder is in one anyway, as /run is mostly. One that has mount points already stays as it is: their mounts
 * would be hidden. The lock makes all executors see the same; where no tmpfs can be mounted the disk will do.
 */
static int layer_points_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *const argv[] = { s->arg[0], "711" };
	const struct step make = { .op = &step_mkdirs, .n = 2, .arg = argv };
	_cleanup_close_ int folder = -1;
	struct statfs fs;
	int code;

	if (is_mount_root(s->arg[0]))
		return 0;
	code = step_mkdirs.run(r, &make, e);
	if (code < 0)
		return code;
	folder = open(s->arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || fstatfs(folder, &fs) < 0)
		return -errno;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		return 0;
	if (flock(folder, LOCK_EX) < 0)
		return -errno;
	if (!is_mount_root(s->arg[0]) && is_empty(folder))
		(void)mount("lodge", s->arg[0], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"mode=711,size=1m");
	return 0;
}

static void layer_points_show(const struct step *s, struct text *t)
{
	text_addf(t, "mkdir -p -m 711 %s && { [ $(stat -fc %%T %s) = tmpfs ] || ", s->arg[0],
		s->arg[0]);
	show_mount(t, "tmpfs", "nosuid,nodev,noexec", "mode=711,size=1m", "lodge", "", s->arg[0]);
	text_add(t, "; }");
}

const struct step_ops step_layer_points = {
	.name = "layer-points", .args = "path", .run = layer_points_run, .show = layer_points_show
};

/* --- private --- */

static int private_run(struct step_run *r, const struct step *s, struct err *e)
{
	char data[64];
	struct mount_words w;
	int code = mount_words_parse(s->arg[0], &w, data, sizeof(data));

	if (code < 0 || !w.propagation)
		return -EINVAL;
	return RET_NERRNO(mount(NULL, "/", NULL, w.propagation, NULL));
}

static void private_show(const struct step *s, struct text *t)
{
	text_addf(t, "mount --make-%s /", s->arg[0]);
}

const struct step_ops step_private = {
	.name = "private", .args = "propagation", .run = private_run, .show = private_show
};

/* --- overlay --- */

static int config(int fs, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* More layers than fit in mount(2)'s page: one key a layer, Linux 6.8 and later. */
static int overlay_by_fsconfig(const struct step *s, struct err *e)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC), mnt = -1;
	_cleanup_free_ char *lower = strdup(s->arg[1]);
	int code = 0;

	if (fs < 0)
		return -errno;
	if (!lower)
		return -ENOMEM;
	for (char *rest = lower, *l; (l = strsep(&rest, ":")) != NULL;) {
		code = config(fs, "lowerdir+", l);
		if (code < 0) {
			err_sys(e, code, "cannot stack the layer '%s'", l);
			err_mend(e, "so many layers need Linux 6.8");
			return code;
		}
	}
	if (s->arg[2][0])
		code = config(fs, "upperdir", s->arg[2]);
	if (code == 0 && s->arg[3][0])
		code = config(fs, "workdir", s->arg[3]);
	if (code == 0 && strstr(s->arg[4], "volatile"))
		code = (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0
			       ? -errno
			       : 0;
	if (code == 0)
		code = (int)syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0
			       ? -errno
			       : 0;
	if (code < 0)
		return code;
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mnt < 0)
		return -errno;
	return (int)syscall(SYS_move_mount, mnt, "", AT_FDCWD, s->arg[0], MOVE_MOUNT_F_EMPTY_PATH) <
			       0
		       ? -errno
		       : 0;
}

static void overlay_data(const struct step *s, char *data, size_t size, bool *fits)
{
	int n;

	if (s->arg[2][0])
		n = snprintf(data, size, "lowerdir=%s,upperdir=%s,workdir=%s%s%s", s->arg[1],
			s->arg[2], s->arg[3], s->arg[4][0] ? "," : "", s->arg[4]);
	else
		n = snprintf(data, size, "lowerdir=%s%s%s", s->arg[1], s->arg[4][0] ? "," : "",
			s->arg[4]);
	*fits = n > 0 && (size_t)n < size;
}

static int overlay_run(struct step_run *r, const struct step *s, struct err *e)
{
	char data[DATA_MAX];
	bool fits;

	overlay_data(s, data, sizeof(data), &fits);
	if (!fits)
		return overlay_by_fsconfig(s, e);
	return RET_NERRNO(mount("overlay", s->arg[0], "overlay", 0, data));
}

/* Only for one that the executor mounted for itself; the guest's own goes with its namespace. */
static int overlay_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return umount2(s->arg[0], MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
			       errno != ENOENT
		       ? -errno
		       : 0;
}

static void overlay_show(const struct step *s, struct text *t)
{
	char data[DATA_MAX];
	bool fits;

	overlay_data(s, data, sizeof(data), &fits);
	show_mount(t, "overlay", "", data, "overlay", "", s->arg[0]);
}

const struct step_ops step_overlay = { .name = "overlay",
	.args = "target lower upper work options",
	.run = overlay_run,
	.undo = overlay_undo,
	.show = overlay_show };

/*
 * The kernel's own files below /proc are read and written by later steps (sysctls, labels), so nothing may lie
 * over them, whatever links the image has on the way (CVE-2023-27561, CVE-2025-52881). Those that lxcfs(1)
 * replaces are harmless. /proc itself may only be a procfs.
 */
static int check_not_proc(int root, int target, const char *type)
{
	static const char *const fine[] = { "cpuinfo", "diskstats", "loadavg", "meminfo", "stat",
		"swaps", "uptime", "slabinfo", "sys/kernel/ns_last_pid",
		"sys/crypto/fips_enabled" };
	char path[32], name[PATH_MAX], top[PATH_MAX];
	struct statfs fs;
	ssize_t n, k;

	if (fstatfs(target, &fs) < 0)
		return -errno;
	if (strcmp(type, "proc") == 0)
		return 0;
	n = readlink(path_of_fd(target, path), name, sizeof(name) - 1);
	k = n < 0 ? n : readlink(path_of_fd(root, path), top, sizeof(top) - 6);
	if (k < 0)
		return -errno;
	name[n] = '\0';
	(void)snprintf(top + k, sizeof(top) - (size_t)k, "/proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return strcmp(name, top) == 0 ? -EPERM : 0;
	for (unsigned i = 0; i < ELEMENTSOF(fine); i++) {
		size_t len = strlen(fine[i]);

		if ((size_t)n > len + 6 && strcmp(name + n - len, fine[i]) == 0 &&
			strncmp(name + n - len - 6, "/proc/", 6) == 0)
			return 0;
	}
	return -EPERM;
}

static int refuse_proc(int code, const char *target, struct err *e)
{
	if (code == -EPERM)
		return err_set(e, -EPERM, "cannot mount at '%s': /proc is the kernel's", target);
	return code;
}

/* --- unmount --- */

/* Accepts that nothing is mounted there. */
static int unmount_run(struct step_run *r, const struct step *s, struct err *e)
{
	return overlay_undo(r, s, e);
}

static void unmount_show(const struct step *s, struct text *t)
{
	text_add(t, "umount -l ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_unmount = {
	.name = "unmount", .args = "path", .run = unmount_run, .show = unmount_show
};

/* --- mount, mount-in --- */

static int mount_run(struct step_run *r, const struct step *s, struct err *e)
{
	char more[DATA_MAX], data[DATA_MAX];
	struct mount_words w;
	int code = mount_words_parse(s->arg[3], &w, more, sizeof(more));

	if (code < 0)
		return code;
	code = snprintf(
		data, sizeof(data), "%s%s%s", more, more[0] && s->arg[4][0] ? "," : "", s->arg[4]);
	if (code < 0 || (size_t)code >= sizeof(data))
		return -ENAMETOOLONG;
	return RET_NERRNO(mount(s->arg[0], s->arg[1], s->arg[2], w.flags, data));
}

static void mount_show(const struct step *s, struct text *t)
{
	show_mount(t, s->arg[2], s->arg[3], s->arg[4], s->arg[0], "", s->arg[1]);
}

const struct step_ops step_mount = { .name = "mount",
	.args = "source target type flags data",
	.run = mount_run,
	.show = mount_show };

/*
 * The target is made in the root and opened there, and the mount goes to the descriptor: what the image
 * has at that path can't lead it elsewhere. proc and sysfs never go through a link, because what is
 * written to them later must reach the kernel (CVE-2019-16884, CVE-2019-19921).
 */
/* What is left to do on the mount at `path` of the root: its propagation, and the content of what it hides. */
static int finish_mount(int root, const char *path, unsigned long propagation, int hidden)
{
	_cleanup_close_ int mnt = -1;
	char name[32];

	if (!propagation && hidden < 0)
		return 0;
	mnt = path_open_in(root, path, hidden < 0 ? O_PATH : O_RDONLY | O_DIRECTORY, 0, 0);
	if (mnt < 0)
		return mnt;
	if (hidden >= 0) {
		int code = copyup(hidden, mnt);

		if (code < 0)
			return code;
	}
	if (!propagation)
		return 0;
	return RET_NERRNO(mount(NULL, path_of_fd(mnt, name), NULL, propagation, NULL));
}

/* Takes the word "tmpcopyup" out of data; whether it was there. */
static bool take_copyup(char *data)
{
	char *p = strstr(data, "tmpcopyup");
	size_t n = strlen("tmpcopyup");

	if (!p || (p != data && p[-1] != ',') || (p[n] && p[n] != ','))
		return false;
	if (p[n])
		memmove(p, p + n + 1, strlen(p + n + 1) + 1);
	else
		p[p == data ? 0 : -1] = '\0';
	return true;
}

/* mount(2) doesn't put a file system over itself: the host's cgroups, which came along with a bound /sys. The view is
 * another one, since it begins at the container's cgroup. */
static int mount_over_itself(const char *type, const struct mount_words *w, int target)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC), mnt = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, w->attr_set);
	if (mnt < 0)
		return -errno;
	return syscall(SYS_move_mount, mnt, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

static int mount_in_run(struct step_run *r, const struct step *s, struct err *e)
{
	bool kernel = strcmp(s->arg[3], "proc") == 0 || strcmp(s->arg[3], "sysfs") == 0;
	_cleanup_close_ int root = open_root(s->arg[0]), target = -1, hidden = -1;
	char more[DATA_MAX], data[DATA_MAX], path[32];
	struct mount_words w;
	int code = mount_words_parse(s->arg[4], &w, more, sizeof(more));

	if (root < 0 || code < 0)
		return root < 0 ? root : code;
	code = snprintf(
		data, sizeof(data), "%s%s%s", more, more[0] && s->arg[5][0] ? "," : "", s->arg[5]);
	if (code < 0 || (size_t)code >= sizeof(data))
		return -ENAMETOOLONG;
	target = path_mkdirs_in(root, s->arg[2], 0755, kernel ? PATH_NOFOLLOW_LAST : 0);
	if (target < 0)
		return err_sys(
			e, target, "cannot make the mount point '%s' in the guest", s->arg[2]);
	code = check_not_proc(root, target, s->arg[3]);
	if (code < 0)
		return refuse_proc(code, s->arg[2], e);
	if (take_copyup(data))
		hidden = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	code = RET_NERRNO(mount(s->arg[1], path_of_fd(target, path), s->arg[3], w.flags, data));
	if (code == -EBUSY && strcmp(s->arg[3], "cgroup2") == 0 && !data[0])
		code = mount_over_itself(s->arg[3], &w, target);
	if (code < 0)
		return err_sys(
			e, code, "cannot mount %s at '%s' in the guest", s->arg[3], s->arg[2]);
	code = finish_mount(root, s->arg[2], w.propagation, hidden);
	return code < 0
		       ? err_sys(e, code, "cannot set up the mount at '%s' in the guest", s->arg[2])
		       : 0;
}

static void mount_in_show(const struct step *s, struct text *t)
{
	show_mount(t, s->arg[3], s->arg[4], s->arg[5], s->arg[1], s->arg[0], s->arg[2]);
}

const struct step_ops step_mount_in = { .name = "mount-in",
	.args = "root source target type flags data",
	.run = mount_in_run,
	.show = mount_in_show };

/* --- mount-point: for whoever mounts later ---------------------------------------------------------- */

static int point_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), fd = -1;

	if (root < 0)
		return root;
	fd = strcmp(s->arg[2], "dir") == 0 ? path_mkdirs_in(root, s->arg[1], 0755, 0)
					   : path_touch_in(root, s->arg[1], 0644);
	return fd < 0 ? err_sys(e, fd, "cannot make the mount point '%s' in '%s'", s->arg[1],
				s->arg[0])
		      : 0;
}

static void point_show(const struct step *s, struct text *t)
{
	text_add(t, strcmp(s->arg[2], "dir") == 0 ? "mkdir -p " : "touch ");
	text_add_word(t, s->arg[0]);
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_mount_point = {
	.name = "mount-point", .args = "root target kind", .run = point_run, .show = point_show
};

/* --- bind --- */

/* Flags of a detached copy of a mount. Before Linux 5.12 there is no mount_setattr(2). */
static int set_attr(int mnt, const struct mount_words *w)
{
	struct mount_attr a = { .attr_set = w->attr_set, .attr_clr = w->attr_clear & ~w->attr_set };

	if (w->attr_set & MOUNT_ATTR__ATIME)
		a.attr_clr |= MOUNT_ATTR__ATIME;
	if (!a.attr_set && !a.attr_clr && !w->propagation)
		return 0;
	if ((a.attr_set || a.attr_clr) &&
		syscall(SYS_mount_setattr, mnt, "",
			AT_EMPTY_PATH | (w->recursive_attr ? AT_RECURSIVE : 0), &a, sizeof(a)) < 0)
		return -errno;
	return 0;
}

static int set_propagation(int mnt, unsigned long propagation)
{
	struct mount_attr a = { .propagation = propagation & ~(unsigned long)MS_REC };

	return (int)syscall(SYS_mount_setattr, mnt, "",
		       AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0), &a, sizeof(a)) < 0
		       ? -errno
		       : 0;
}

static int bind_target(int root, const struct step *s, int source)
{
	struct stat st;
	bool dir;

	if (fstat(source, &st) < 0)
		return -errno;
	dir = strcmp(s->arg[4], "auto") == 0 ? S_ISDIR(st.st_mode) : strcmp(s->arg[4], "dir") == 0;
	return dir ? path_mkdirs_in(root, s->arg[2], 0755, 0)
		   : path_touch_in(root, s->arg[2], 0644);
}

static int copy_tree(int at, const char *path, unsigned flags)
{
	return (int)RET_NERRNO(
		syscall(SYS_open_tree, at, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
}

/*
 * A copy of a folder of another guest: only inside its mount namespace may its mounts be copied. It may have
 * put anything there, so the path is resolved without leaving its root.
 */
static int copy_foreign_tree(const char *ns, const char *path, unsigned flags, struct err *e)
{
	_cleanup_close_ int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int there = open(ns, O_RDONLY | O_CLOEXEC), root = -1, at = -1;
	int mnt;

	if (own < 0 || there < 0 || setns(there, CLONE_NEWNS) < 0)
		return err_sys(e, -errno, "cannot look into the mount namespace '%s'", ns);
	root = open_root("/");
	at = root < 0 ? root : path_open_in(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
	mnt = at < 0 ? at : copy_tree(at, "", flags | AT_EMPTY_PATH);
	if (setns(own, CLONE_NEWNS) < 0) {
		closep(&mnt);
		return err_sys(e, -errno, "cannot go back to the own mount namespace");
	}
	return mnt < 0 ? err_sys(e, mnt, "cannot bind the other guest's '%s'", path) : mnt;
}

/* The root of another procfs: a container's /proc may be its host's. */
static bool source_is_proc(int mnt)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(mnt, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(mnt, &st) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_ino == 1;
}

static int bind_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), target = -1, mnt = -1;
	bool foreign = s->op == &step_bind_from;
	struct mount_words w;
	char data[DATA_MAX];
	int code = mount_words_parse(s->arg[3], &w, data, sizeof(data));

	if (root < 0 || code < 0)
		return root < 0 ? root : code;
	mnt = foreign ? copy_foreign_tree(s->arg[5], s->arg[1], w.recursive ? AT_RECURSIVE : 0, e)
		      : copy_tree(AT_FDCWD, s->arg[1], w.recursive ? AT_RECURSIVE : 0);
	if (mnt < 0 && foreign)
		return mnt;
	if (mnt < 0) {
		code = err_sys(e, mnt, "cannot bind '%s'", s->arg[1]);
		if (code == -ENOENT)
			err_mend(e, "make it first");
		return code;
	}
	target = bind_target(root, s, mnt);
	if (target < 0)
		return err_sys(
			e, target, "cannot make the mount point '%s' in the guest", s->arg[2]);
	code = check_not_proc(root, target, source_is_proc(mnt) ? "proc" : "bind");
	if (code < 0)
		return refuse_proc(code, s->arg[2], e);
	code = set_attr(mnt, &w);
	if (code == 0)
		code = set_propagation(mnt, w.propagation ? w.propagation : MS_PRIVATE | MS_REC);
	if (code < 0)
		return err_sys(
			e, code, "cannot set '%s' on the mount of '%s'", s->arg[3], s->arg[1]);
	if (syscall(SYS_move_mount, mnt, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(
			e, -errno, "cannot bind '%s' to '%s' in the guest", s->arg[1], s->arg[2]);
	return 0;
}

static void bind_show(const struct step *s, struct text *t)
{
	char words[DATA_MAX];

	(void)snprintf(words, sizeof(words), "%s", s->arg[3][0] ? s->arg[3] : "bind");
	show_mount(
		t, "", words, strstr(words, "bind") ? "" : "bind", s->arg[1], s->arg[0], s->arg[2]);
}

const struct step_ops step_bind = {
	.name = "bind", .args = "root source target flags kind", .run = bind_run, .show = bind_show
};

static void bind_from_show(const struct step *s, struct text *t)
{
	bind_show(s, t);
	text_addf(t, "\t# as it is in the mount namespace %s", s->arg[5]);
}

const struct step_ops step_bind_from = { .name = "bind-from",
	.args = "root source target flags kind ns",
	.run = bind_run,
	.show = bind_from_show };

/* --- mapped-source, bind-mapped: a mount with ids of its own --- */

/* The ids of `source` through a map. Whoever makes the map must own the file system's namespace, so this is
 * the executor's work; the child gets a copy of the descriptor. */
static int mapped_source_run(struct step_run *r, const struct step *s, struct err *e)
{
	unsigned slot = (unsigned)strtoul(s->arg[0], NULL, 10);
	const char *const maps[] = { s->arg[3], s->arg[4], NULL };
	const struct step userns = { .op = &step_userns, .n = 2, .arg = maps };
	struct step_run with = { .userns_fd = -1 };
	_cleanup_close_ int mnt = -1, ns = -1;
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP };
	struct mount_words w;
	char data[DATA_MAX];
	int code = mount_words_parse(s->arg[2], &w, data, sizeof(data));

	if (code < 0 || slot >= ELEMENTSOF(r->mapped_fd))
		return code < 0 ? code : -E_LIMIT;
	code = step_userns.run(&with, &userns, e);
	ns = with.userns_fd;
	if (code < 0)
		return code;
	mnt = copy_tree(AT_FDCWD, s->arg[1], w.recursive ? AT_RECURSIVE : 0);
	if (mnt < 0)
		return err_sys(e, mnt, "cannot bind '%s'", s->arg[1]);
	a.userns_fd = (uint64_t)ns;
	if (syscall(SYS_mount_setattr, mnt, "", AT_EMPTY_PATH | (s->arg[5][0] ? AT_RECURSIVE : 0),
		    &a, sizeof(a)) < 0) {
		code = err_sys(e, -errno, "cannot map the ids of '%s'", s->arg[1]);
		err_mend(e, "its file system lacks id-mapped mounts, or this kernel does");
		return code;
	}
	code = set_attr(mnt, &w);
	if (code == 0)
		code = set_propagation(mnt, w.propagation ? w.propagation : MS_PRIVATE | MS_REC);
	if (code < 0)
		return err_sys(
			e, code, "cannot set '%s' on the mount of '%s'", s->arg[2], s->arg[1]);
	closep(&r->mapped_fd[slot]);
	r->mapped_fd[slot] = TAKE_FD(mnt);
	return 0;
}

static void mapped_source_show(const struct step *s, struct text *t)
{
	text_addf(t, "# '%s' with uids '%s' and gids '%s' mapped", s->arg[1], s->arg[3], s->arg[4]);
}

const struct step_ops step_mapped_source = { .name = "mapped-source",
	.args = "slot source flags uid-map gid-map recursive",
	.run = mapped_source_run,
	.show = mapped_source_show };

static int bind_mapped_run(struct step_run *r, const struct step *s, struct err *e)
{
	unsigned slot = (unsigned)strtoul(s->arg[1], NULL, 10);
	_cleanup_close_ int root = open_root(s->arg[0]), target = -1;
	int mnt = slot < ELEMENTSOF(r->mapped_fd) ? r->mapped_fd[slot] : -1, code;

	if (root < 0 || mnt < 0)
		return root < 0 ? root : -EBADF;
	target = bind_target(root, s, mnt);
	if (target < 0)
		return err_sys(
			e, target, "cannot make the mount point '%s' in the guest", s->arg[2]);
	code = check_not_proc(root, target, "bind");
	if (code < 0)
		return refuse_proc(code, s->arg[2], e);
	return syscall(SYS_move_mount, mnt, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

static void bind_mapped_show(const struct step *s, struct text *t)
{
	text_addf(t, "# that of slot %s at %s%s", s->arg[1], s->arg[0], s->arg[2]);
}

const struct step_ops step_bind_mapped = { .name = "bind-mapped",
	.args = "root slot target source kind",
	.run = bind_mapped_run,
	.show = bind_mapped_show };

/* --- parent-private: the mount below a folder --- */

static int parent_private_run(struct step_run *r, const struct step *s, struct err *e)
{
	char path[PATH_MAX], *slash;

	if (strlen(s->arg[0]) >= sizeof(path) || s->arg[0][0] != '/')
		return -EINVAL;
	memcpy(path, s->arg[0], strlen(s->arg[0]) + 1);
	while (!is_mount_root(path)) {
		slash = strrchr(path, '/');
		slash[slash == path] = '\0';
		if (slash == path && strcmp(path, "/") == 0)
			break;
	}
	return RET_NERRNO(mount(NULL, path, NULL, MS_PRIVATE, NULL));
}

static void parent_private_show(const struct step *s, struct text *t)
{
	text_add(t, "mount --make-private $(findmnt -no TARGET -T ");
	text_add_word(t, s->arg[0]);
	text_add(t, ")");
}

const struct step_ops step_parent_private = { .name = "parent-private",
	.args = "path",
	.run = parent_private_run,
	.show = parent_private_show };

/* --- pivot --- */

static int pivot_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (chdir(s->arg[0]) < 0)
		return -errno;
	/* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0)
		return -errno;
	return RET_NERRNO(chdir("/"));
}

static void pivot_show(const struct step *s, struct text *t)
{
	text_add(t, "cd ");
	text_add_word(t, s->arg[0]);
	text_add(t, " && pivot_root . . && umount -l . && cd /");
}

const struct step_ops step_pivot = {
	.name = "pivot-root", .args = "root", .run = pivot_run, .show = pivot_show
};

/* --- mask, read-only --- */

/* What is at path, never through a link; -ENOENT for all that means "not there". */
static int open_exact(int root, const char *path)
{
	int fd = path_open_in(root, path, O_PATH, 0, PATH_NOFOLLOW_LAST);

	return fd == -ENOTDIR || fd == -ELOOP || fd == -EACCES ? -ENOENT : fd;
}

static int mask_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root("/"), null = -1;
	struct stat st;

	if (root < 0)
		return root;
	/* It must be the device itself: a mount of the user's may have put something else at /dev/null
	 * (CVE-2025-31133). */
	null = path_open_in(root, "/dev/null", O_PATH, 0, PATH_NOFOLLOW_LAST);
	if (null < 0 || fstat(null, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(
			e, -EINVAL, "cannot hide '%s': /dev/null isn't the null device", s->arg[0]);
	for (unsigned i = 0; i < s->n; i++) {
		_cleanup_close_ int fd = open_exact(root, s->arg[i]);
		char from[32], to[32];
		int code;

		if (fd == -ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(e, fd < 0 ? fd : -errno, "cannot hide '%s'", s->arg[i]);
		if (S_ISDIR(st.st_mode))
			code = mount("tmpfs", path_of_fd(fd, to), "tmpfs", MS_RDONLY,
				"size=0,mode=755,nr_inodes=2");
		else
			code = mount(
				path_of_fd(null, from), path_of_fd(fd, to), NULL, MS_BIND, NULL);
		if (code < 0)
			return err_sys(e, -errno, "cannot hide '%s'", s->arg[i]);
	}
	return 0;
}

static void mask_show(const struct step *s, struct text *t)
{
	text_add(t, "for f in");
	for (unsigned i = 0; i < s->n; i++)
		text_addf(t, " %s", s->arg[i]);
	text_add(t, "; do mount --bind /dev/null $f; done # folders: an empty read-only tmpfs");
}

const struct step_ops step_mask = {
	.name = "mask", .args = "...", .run = mask_run, .show = mask_show
};

static int readonly_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root("/");

	if (root < 0)
		return root;
	for (unsigned i = 0; i < s->n; i++) {
		_cleanup_close_ int fd = open_exact(root, s->arg[i]), mnt = -1;
		struct mount_words w = { .attr_set = MOUNT_ATTR_RDONLY };
		int code;

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return err_sys(e, fd, "cannot make '%s' read-only", s->arg[i]);
		mnt = (int)syscall(SYS_open_tree, fd, "",
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
		code = mnt < 0 ? -errno : set_attr(mnt, &w);
		if (code == 0 && syscall(SYS_move_mount, mnt, "", fd, "",
					 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			code = -errno;
		if (code < 0)
			return err_sys(e, code, "cannot make '%s' read-only", s->arg[i]);
	}
	return 0;
}

static void readonly_show(const struct step *s, struct text *t)
{
	text_add(t, "for f in");
	for (unsigned i = 0; i < s->n; i++)
		text_addf(t, " %s", s->arg[i]);
	text_add(t, "; do mount --rbind $f $f && mount -o remount,bind,ro $f; done");
}

const struct step_ops step_readonly = {
	.name = "readonly", .args = "...", .run = readonly_run, .show = readonly_show
};

static int remount_ro_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, s->arg[0], 0, &a, sizeof(a)) < 0 ? -errno
											  : 0;
}

static void remount_ro_show(const struct step *s, struct text *t)
{
	text_addf(t, "mount -o remount,bind,ro %s", s->arg[0]);
}

const struct step_ops step_remount_ro = {
	.name = "remount-ro", .args = "path", .run = remount_ro_run, .show = remount_ro_show
};

/* --- devices --- */

static unsigned number(const char *s)
{
	return (unsigned)strtoul(s, NULL, 10);
}

static int device_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), dir = -1;
	char name[NAME_MAX + 1];
	mode_t type = s->arg[2][0] == 'b' ? S_IFBLK : s->arg[2][0] == 'p' ? S_IFIFO : S_IFCHR;
	dev_t dev = makedev(number(s->arg[3]), number(s->arg[4]));
	mode_t mode = (mode_t)strtoul(s->arg[5], NULL, 8);

	if (root < 0)
		return root;
	dir = path_parent_in(root, s->arg[1], true, name);
	if (dir < 0)
		return err_sys(e, dir, "cannot make the device '%s'", s->arg[1]);
	if (mknodat(dir, name, type | mode, dev) < 0) {
		int code = -errno;
		struct stat st;

		/* the image's own, when it is that device */
		if (code == -EEXIST && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			(st.st_mode & S_IFMT) == type && (type == S_IFIFO || st.st_rdev == dev))
			return 0;
		return err_sys(e, code, "cannot make the device '%s'", s->arg[1]);
	}
	if (fchmodat(dir, name, mode, 0) < 0) /* the umask took bits away */
		return -errno;
	if ((strcmp(s->arg[6], "0") != 0 || strcmp(s->arg[7], "0") != 0) &&
		fchownat(dir, name, number(s->arg[6]), number(s->arg[7]), AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static void device_show(const struct step *s, struct text *t)
{
	text_addf(t, "mknod -m %s %s%s %s %s %s", s->arg[5], s->arg[0], s->arg[1], s->arg[2],
		s->arg[3], s->arg[4]);
}

const struct step_ops step_device = { .name = "device",
	.args = "root path type major minor mode uid gid",
	.run = device_run,
	.show = device_show };

static const char *const dev_link[][2] = {
	{ "/proc/self/fd", "fd" },
	{ "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" },
	{ "/proc/self/fd/2", "stderr" },
	{ "/proc/kcore", "core" },
	{ "pts/ptmx", "ptmx" },
};

static int dev_links_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), dev = -1;

	if (root < 0)
		return root;
	dev = path_open_in(root, "/dev", O_PATH | O_DIRECTORY, 0, 0);
	if (dev < 0)
		return dev;
	for (unsigned i = 0; i < ELEMENTSOF(dev_link); i++) {
		/* not every kernel has it, and a link to nothing helps nobody */
		if (strcmp(dev_link[i][1], "core") == 0 && access("/proc/kcore", F_OK) < 0)
			continue;
		if (symlinkat(dev_link[i][0], dev, dev_link[i][1]) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static void dev_links_show(const struct step *s, struct text *t)
{
	text_addf(t, "cd %s/dev", s->arg[0]);
	for (unsigned i = 0; i < ELEMENTSOF(dev_link); i++)
		text_addf(t, " && ln -s %s %s", dev_link[i][0], dev_link[i][1]);
}

const struct step_ops step_dev_links = {
	.name = "dev-links", .args = "root", .run = dev_links_run, .show = dev_links_show
};

/* --- link-in --- */

static int link_in_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), dir = -1;
	char name[NAME_MAX + 1];

	if (root < 0)
		return root;
	dir = path_parent_in(root, s->arg[2], false, name);
	if (dir < 0)
		return err_sys(e, dir, "cannot make the link '%s' in the guest", s->arg[2]);
	return symlinkat(s->arg[1], dir, name) < 0 && errno != EEXIST ? -errno : 0;
}

static void link_in_show(const struct step *s, struct text *t)
{
	text_add(t, "ln -s ");
	text_add_word(t, s->arg[1]);
	text_add(t, " ");
	text_add_word(t, s->arg[0]);
	text_add(t, s->arg[2]);
}

const struct step_ops step_link_in = {
	.name = "link-in", .args = "root target path", .run = link_in_run, .show = link_in_show
};

/*
 * A terminal of the guest's own devpts: the master goes to the executor, the slave becomes the standard
 * streams and /dev/console. TIOCGPTPEER opens the slave without a path that the guest could replace.
 */
static int console_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int root = open_root(s->arg[0]), master = -1, slave = -1, target = -1;
	_cleanup_close_ int mnt = -1;
	int unlock = 0, code;

	if (root < 0)
		return root;
	master = path_open_in(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0, PATH_NOFOLLOW_LAST);
	if (master < 0)
		return err_sys(e, master, "cannot open a terminal in the guest");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	code = r->keep_fd(r, KEPT_CONSOLE, master);
	if (code < 0)
		return code;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return -errno;
	r->console = true;
	if (!s->arg[1][0])
		return 0;
	target = path_touch_in(root, "/dev/console", 0600);
	if (target < 0)
		return target;
	/* a link of the image's could lead the mount elsewhere (CVE-2025-52565) */
	code = check_not_proc(root, target, "bind");
	if (code < 0)
		return refuse_proc(code, "/dev/console", e);
	mnt = (int)syscall(
		SYS_open_tree, slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mnt < 0)
		return -errno;
	return syscall(SYS_move_mount, mnt, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

static void console_show(const struct step *s, struct text *t)
{
	text_addf(t, "# open a terminal of %s/dev/pts", s->arg[0]);
	if (s->arg[1][0])
		text_addf(t, " and bind it to %s/dev/console", s->arg[0]);
}

const struct step_ops step_console = {
	.name = "console", .args = "root bind", .run = console_run, .show = console_show
};
