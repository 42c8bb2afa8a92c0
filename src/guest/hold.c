/* SPDX-License-Identifier: MIT */
/*
 * A machine without its command, for the services of its lodge-init. Its plan, log and status are in
 * ROOT/guests/ID/held, its socket in RUN/held/ID: the guest's own say what they said. The guest's lock is held
 * while it runs, so nobody else has its disk; when the holder dies the monitor ends the machine, and who
 * gets the lock then waits for that in machine_sweep().
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "guest/guest-priv.h"
#include "guest/service.h"
#include "host/path.h"
#include "store/lock.h"

#define WRITE_SECONDS 30 /* for what it has in memory */
#define END_MS	      ((WRITE_SECONDS + 10) * 1000)

static char *held_dir(struct ctx *c, const char *id)
{
	return store_path(c, "guests/%s/held", id);
}

static char *held_run(struct ctx *c, const char *id)
{
	return store_run_path(c, "held/%s", id);
}

static void remove_folder(const char *path)
{
	g_autofree char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
	_cleanup_close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		(void)path_remove_tree(dir, name);
}

/* The one in guests/ID last: it says that something is left. */
static void remove_folders(struct ctx *c, const char *id)
{
	g_autofree char *dir = held_dir(c, id), *run = held_run(c, id);

	remove_folder(run);
	remove_folder(dir);
}

static int make_folder(const char *path, struct err *e)
{
	int r = RET_NERRNO(mkdir(path, 0700));

	return r < 0 ? err_sys(e, r, "cannot make '%s'", path) : 0;
}

static int make_folders(const char *dir, const char *run, struct err *e)
{
	g_autofree char *above = g_path_get_dirname(run);
	int r = make_folder(dir, e);

	if (r < 0)
		return r;
	(void)g_mkdir_with_parents(above, 0711);
	return make_folder(run, e);
}

/* What the machine needs when nothing runs in it: no network, and of its mounts those that have files. */
static int held_spec(
	struct ctx *c, const struct guest *g, bool bare, struct spec **ret, struct err *e)
{
	struct spec *s;
	int r = guest_fresh_spec(g, &s, e);

	if (r < 0)
		return r;
	resolve_volumes(c, s);
	for (guint i = s->mounts->len; i-- > 0;) {
		const struct spec_mount *m = g_ptr_array_index(s->mounts, i);

		if (bare || m->kind == MOUNT_TMPFS || access(m->source, F_OK) < 0)
			g_ptr_array_remove_index(s->mounts, i);
	}
	g_ptr_array_set_size(s->networks, 0);
	g_ptr_array_set_size(s->ports, 0);
	s->auto_remove = s->tty = s->open_stdin = false;
	s->restart = RESTART_NO;
	*ret = s;
	return 0;
}

int machine_hold(struct ctx *c, struct guest *g, bool bare, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	_cleanup_(spec_freep) struct spec *spec = NULL;
	_cleanup_(plan_freep) struct plan *plan = plan_new();
	g_autofree char *dir = held_dir(c, g->rec->id), *run = held_run(c, g->rec->id);
	int r = engine_at_init(c, g, &a, e), fd;

	if (r >= 0)
		r = held_spec(c, g, bare, &spec, e);
	if (r < 0)
		return r;
	a.s.held = a.dir;
	a.s.dir = dir;
	a.s.run_dir = run;
	a.s.spec = spec;
	a.s.plan = plan;
	r = a.ops->plan_start(c, &a.s, 0, e);
	if (r >= 0)
		r = make_folders(dir, run, e);
	fd = r >= 0 ? a.ops->start(c, &a.s, 0, e) : r;
	if (fd < 0) {
		/* a monitor that died on the way left what it did */
		(void)machine_sweep(c, g);
		err_prefix(e, "cannot start machine '%s' for its files", g->rec->name);
	}
	return fd;
}

int machine_release(struct ctx *c, struct guest *g, int fd, struct err *e)
{
	int r = monitor_send(fd, MSG_STOP, 0, SIGTERM | WRITE_SECONDS << 8, NULL, 0, e);

	if (r >= 0)
		r = wait_exit(fd, e);
	(void)close(fd);
	/* 0 is what its lodge-init says when all is written */
	if (r > 0)
		r = err_set(e, -EIO,
			"machine '%s' did not end in order: what was copied may be lost",
			g->rec->name);
	(void)machine_sweep(c, g);
	return r;
}

/* --- what is left --- */

/* Until the monitor has ended; it was told to, or does so because its holder is gone. */
static void wait_gone(const struct guest_status *s)
{
	_cleanup_close_ int fd = -1;
	struct pollfd p = { -1, POLLIN, 0 };

	if (!process_is(s->monitor, s->monitor_start))
		return;
	fd = p.fd = RET_NERRNO(pidfd_open(s->monitor, 0));
	if (fd < 0 || !process_is(s->monitor, s->monitor_start))
		return;
	if (poll(&p, 1, END_MS) > 0)
		return;
	(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
	(void)poll(&p, 1, 1000);
}

bool machine_sweep(struct ctx *c, struct guest *g)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	_cleanup_(guest_status_clear) struct guest_status s = { .state = GUEST_STARTING };
	g_autofree char *dir = held_dir(c, g->rec->id), *run = held_run(c, g->rec->id);
	g_autofree char *status = g_build_filename(run, "status", NULL);

	if (access(dir, F_OK) < 0)
		return false;
	if (guest_status_read(status, &s) >= 0)
		wait_gone(&s);
	guest_status_clear(&s);
	s = (struct guest_status){ .state = GUEST_STARTING };
	/* a monitor that ended by itself has undone its plan, and said so */
	if ((guest_status_read(status, &s) < 0 || s.state != GUEST_EXITED) &&
		engine_at_init(c, g, &a, NULL) >= 0 && a.ops->clean) {
		a.s.held = a.dir;
		a.s.dir = dir;
		a.s.run_dir = run;
		if (a.ops->clean(c, &a.s, 0, NULL) < 0)
			return true;
	}
	remove_folders(c, g->rec->id);
	return true;
}

bool machine_is_left(struct ctx *c, struct guest *g, bool sweep)
{
	g_autofree char *dir = held_dir(c, g->rec->id);
	_cleanup_close_ int lock = -1;

	if (access(dir, F_OK) < 0)
		return false;
	lock = store_lock_flags(c, "guest", g->rec->id, LOCK_TRY, NULL);
	if (lock < 0 || access(dir, F_OK) < 0)
		return false;
	if (sweep)
		(void)machine_sweep(c, g);
	return true;
}
