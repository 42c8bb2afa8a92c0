/* SPDX-License-Identifier: MIT */
/*
 * A guest's root as a folder descriptor. A running guest's is reached through its own mounts; that of a
 * stopped one is put together for us alone: a child process in a private mount namespace mounts what a
 * start would, works, and is gone with its mounts.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "guest/guest-priv.h"
#include "guest/volume.h"
#include "host/steps.h"
#include "store/layer.h"

struct job {
	struct ctx *c;
	const struct guest *g; /* NULL: layers only */
	char *const *layers;
	unsigned flags;
	int (*work)(int root_fd, void *data, struct err *e);
	void *data;
};

/* A lower folder of overlay's list, top first. */
static int add_layer(
	struct job *j, const char *digest, struct plan *p, GString *lower, struct err *e)
{
	g_autofree char *image = layer_file(j->c, digest);
	g_autofree char *target = NULL;
	int r;

	r = layer_lower(j->c, digest, &target, e);
	if (r < 0)
		return r;
	if (access(image, F_OK) == 0 && layer_can_mount(j->c) == 1)
		plan_add(p, AT_HOST, &step_layer, image, target);
	g_string_prepend(lower, lower->len ? ":" : "");
	g_string_prepend(lower, target);
	return 0;
}

static void add_binds(struct job *j, struct plan *p, const char *root)
{
	const GPtrArray *mounts = j->g->spec->mounts;

	for (guint i = 0; i < mounts->len; i++) {
		const struct spec_mount *m = g_ptr_array_index(mounts, i);
		g_autofree char *volume = NULL;
		const char *source = m->source;

		if (m->kind == MOUNT_TMPFS)
			continue;
		if (m->kind == MOUNT_VOLUME)
			source = volume = volume_folder(j->c, m->source);
		plan_addf(p, AT_HOST, STEP_IGNORE, &step_bind, root, source, m->target,
			m->read_only ? "rbind,ro" : "rbind", "auto", (const char *)NULL);
	}
}

static int build(struct job *j, struct plan *p, const char **ret_root, struct err *e)
{
	g_autoptr(GString) lower = g_string_new(NULL);
	/* a folder that nothing needs here; the mount is seen by this process only */
	const char *root = plan_str(p, "%s/cache", j->c->root);
	g_autofree char *mounts = store_run_path(j->c, "layers");
	bool own = j->g && !(j->flags & ROOT_LOWER);
	int r;

	plan_add(p, AT_HOST, &step_private, "rprivate");
	if (j->g && j->g->spec->rootfs) {
		*ret_root = plan_str(p, "%s", j->g->spec->rootfs);
		return 0;
	}
	/* what the first start of a boot makes too */
	plan_addf(p, AT_HOST, STEP_STAY, &step_layer_points, mounts, (const char *)NULL);
	for (char *const *l = j->layers; l && *l; l++) {
		r = add_layer(j, *l, p, lower, e);
		if (r < 0)
			return r;
	}
	if (!own && !strchr(lower->str, ':')) { /* overlay wants two */
		*ret_root = plan_str(p, "%s", lower->str);
		return 0;
	}
	if (own)
		plan_add(p, AT_HOST, &step_overlay, root, lower->str,
			plan_str(p, "%s/guests/%s/upper", j->c->root, j->g->rec->id),
			plan_str(p, "%s/guests/%s/work", j->c->root, j->g->rec->id), "");
	else
		plan_add(p, AT_HOST, &step_overlay, root, lower->str, "", "", "");
	if (own && !(j->flags & ROOT_BARE))
		add_binds(j, p, root);
	*ret_root = root;
	return 0;
}

/* In the child. */
static int do_job(struct job *j, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_close_ int fd = -1;
	struct step_run run;
	const char *root;
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, -errno, "cannot make a mount namespace");
	r = build(j, p, &root, e);
	if (r < 0)
		return r;
	step_run_init(&run, p);
	r = plan_run(&run, e);
	step_run_done(&run);
	if (r < 0)
		return r;
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", root);
	return j->work(fd, j->data, e);
}

/* The child's err comes back through a pipe: it has no pointers in it. */
static int run_in_child(struct job *j, struct err *e)
{
	struct err child = { 0 };
	int p[2], status = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		(void)close(p[0]);
		(void)close(p[1]);
		return err_sys(e, r, "cannot fork");
	}
	if (pid == 0) {
		int r = do_job(j, &child);

		child.code = MIN(r, 0);
		if (write(p[1], &child, sizeof(child)) < 0)
			_exit(1);
		(void)fflush(NULL);
		_exit(0);
	}
	(void)close(p[1]);
	size_t n = 0;
	while (n < sizeof(child)) {
		ssize_t k = RET_NERRNO(read(p[0], (char *)&child + n, sizeof(child) - n));

		if (k == -EINTR)
			continue;
		if (k <= 0)
			break;
		n += k;
	}
	(void)close(p[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n < sizeof(child))
		return err_set(e, -EIO, "the process that worked in the guest's root was killed");
	if (child.code < 0) {
		(void)err_set(e, child.code, "%s", child.text);
		if (child.mend[0])
			err_mend(e, "%s", child.mend);
	}
	return child.code;
}

int guest_with_root(struct ctx *c, struct guest *g, unsigned flags,
	int (*work)(int root_fd, void *data, struct err *e), void *data, struct err *e)
{
	struct job j = { c, g, g->spec->layers, flags, work, data };
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	int fd, r;

	r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	if (!(flags & (ROOT_LOWER | ROOT_BARE)) && a.ops->open_root) {
		fd = a.ops->open_root(c, &a.s, 0, e);
		if (fd >= 0) {
			r = work(fd, data, e);
			(void)close(fd);
			return r;
		}
		if (fd != -E_STATE)
			return fd;
	}
	if (guest_is_up(g) && !(flags & ROOT_LOWER))
		return err_set(e, -E_STATE, "cannot reach the root of guest '%s'", g->rec->name);
	return run_in_child(&j, e);
}

int layers_with_root(struct ctx *c, char *const *layers,
	int (*work)(int root_fd, void *data, struct err *e), void *data, struct err *e)
{
	struct job j = { c, NULL, layers, ROOT_LOWER, work, data };

	return run_in_child(&j, e);
}
