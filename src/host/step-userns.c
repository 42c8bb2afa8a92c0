/* SPDX-License-Identifier: MIT */
/*
 * A root for a user namespace. Layers and the guest's own changes belong to the ids of the image (0, 33,
 * ...), and the guest's 0 is some 100000 of the host: so they are mounted a second time through the map
 * (mount_setattr(2), MOUNT_ATTR_IDMAP), and overlay stacks these. All of it happens in a mount namespace of the
 * executor's own, of which the guest's is a copy: the host's list of mounts stays as it was.
 */
#include "host/steps.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* --- userns --- */

/* A namespace needs a first process; a descriptor of it doesn't need it any longer. */
static pid_t sleeper(void)
{
	struct clone_args a = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));

	if (pid == 0)
		for (;;)
			(void)pause();
	return pid < 0 ? -errno : pid;
}

static int userns_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *const uid[] = { "uid", s->arg[0], NULL }, *const gid[] = { "gid", s->arg[1],
		NULL };
	const struct step maps[] = { { .op = &step_idmap, .n = 2, .arg = uid },
		{ .op = &step_idmap, .n = 2, .arg = gid } };
	struct step_run with = { .child = sleeper() };
	char path[64];
	int code = 0;

	if (with.child < 0)
		return with.child;
	for (unsigned i = 0; i < ELEMENTSOF(maps) && code == 0; i++)
		code = step_idmap.run(&with, &maps[i], e);
	if (code == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)with.child);
		closep(&r->userns_fd);
		r->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
		code = r->userns_fd < 0 ? -errno : 0;
	}
	(void)kill(with.child, SIGKILL);
	while (waitpid(with.child, NULL, __WALL) < 0 && errno == EINTR)
		;
	return code;
}

static void userns_show(const struct step *s, struct text *t)
{
	text_addf(t, "# a user namespace that maps uids '%s' and gids '%s'", s->arg[0], s->arg[1]);
}

const struct step_ops step_userns = {
	.name = "userns", .args = "uid-map gid-map", .run = userns_run, .show = userns_show
};

/* --- own-mounts --- */

static int own_mounts_run(struct step_run *r, const struct step *s, struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return RET_NERRNO(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
}

static void own_mounts_show(const struct step *s, struct text *t)
{
	text_add(t, "unshare --mount --propagation slave");
}

const struct step_ops step_own_mounts = {
	.name = "own-mounts", .args = "", .run = own_mounts_run, .show = own_mounts_show
};

/* --- idmapped --- */

static int idmapped_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)r->userns_fd };
	_cleanup_close_ int fd = -1;

	if (r->userns_fd < 0)
		return -EINVAL;
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, s->arg[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0) {
		int code = err_sys(e, -errno, "cannot map the ids of '%s'", s->arg[0]);

		err_mend(e, "its file system lacks id-mapped mounts; start without --userns, or "
			    "use a newer kernel");
		return code;
	}
	return syscall(SYS_move_mount, fd, "", AT_FDCWD, s->arg[1], MOVE_MOUNT_F_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* Whoever undoes this after a crash isn't in that mount namespace: nothing is mounted there for it. */
static int idmapped_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return umount2(s->arg[1], MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL &&
			       errno != ENOENT
		       ? -errno
		       : 0;
}

static void idmapped_show(const struct step *s, struct text *t)
{
	text_add(t, "mount --bind -o X-mount.idmap=/proc/$userns/ns/user ");
	text_add_word(t, s->arg[0]);
	text_add(t, " ");
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_idmapped = { .name = "idmapped",
	.args = "source target",
	.run = idmapped_run,
	.undo = idmapped_undo,
	.show = idmapped_show };

/* --- mapped-overlay --- */

/*
 * Overlay acts on its upper layer as whoever mounted it, and that must be somebody whom the map of the upper
 * mount knows: the guest's root. Capabilities stay (SECBIT_NO_SETUID_FIXUP, capabilities(7)).
 */
static int mapped_overlay_run(struct step_run *r, const struct step *s, struct err *e)
{
	int bits = prctl(PR_GET_SECUREBITS), code;

	if (bits < 0 || prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP) < 0)
		return -errno;
	(void)setfsgid((gid_t)strtoul(s->arg[6], NULL, 10));
	(void)setfsuid((uid_t)strtoul(s->arg[5], NULL, 10));
	code = step_overlay.run(r, s, e);
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	(void)prctl(PR_SET_SECUREBITS, bits);
	return code;
}

static int mapped_overlay_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return step_overlay.undo(r, s, e);
}

static void mapped_overlay_show(const struct step *s, struct text *t)
{
	text_addf(t, "setpriv --securebits +no_setuid_fixup --reuid %s --regid %s --keep-groups ",
		s->arg[5], s->arg[6]);
	step_overlay.show(s, t);
}

const struct step_ops step_mapped_overlay = { .name = "mapped-overlay",
	.args = "target lower upper work options uid gid",
	.run = mapped_overlay_run,
	.undo = mapped_overlay_undo,
	.show = mapped_overlay_show };
