/* SPDX-License-Identifier: MIT */
/* Ending, signalling, waiting for and freezing guests. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include "guest/guest-priv.h"
#include "store/lock.h"
#include "guest/signals.h"

#define STOP_TIMEOUT 10 /* seconds, when nobody says otherwise */
#define KILL_TIMEOUT 30 /* seconds until a killed process must be gone */
#define STOP_FOREVER 0xffffff

static int stop_signal(const struct guest *g, int sig)
{
	int r = SIGTERM;

	if (sig)
		return sig;
	if (g->spec->stop_signal && signal_parse(g->spec->stop_signal, &r) < 0)
		r = SIGTERM;
	return r;
}

/* The next boot leaves it alone. */
static int not_wanted(struct ctx *c, struct guest *g, struct err *e)
{
	struct store *s;
	int r;

	if (!g->rec->wanted || g->spec->restart != RESTART_UNLESS_STOPPED)
		return 0;
	g->rec->wanted = false;
	r = store_get(c, &s, e);
	return r < 0 ? r : store_guest_update(s, g->rec, e);
}

/* Its monitor would remove it when nobody waits: done here, whoever stops it finds it gone. */
static int remove_stopped(struct ctx *c, struct guest *g, struct err *e)
{
	if (!g->rec->auto_remove || guest_is_up(g))
		return 0;
	return guest_remove_locked(c, g, true, e);
}

int wait_exit(int fd, struct err *e)
{
	g_autofree char *buf = g_malloc(MSG_DATA_MAX);
	struct msg m;

	for (;;) {
		ssize_t n = monitor_receive(fd, &m, buf, e);

		if (n < 0)
			return n;
		if (m.type == MSG_EXIT)
			return m.value & 0xff;
		if (m.type == MSG_ERROR)
			return monitor_error(&m, buf, n, e);
	}
}

/*
 * A guest whose monitor was killed has only us. Of a machine that is QEMU, to whom any signal is the power cut;
 * its lodge-init has written what there was every few seconds since (SYNC_EVERY).
 */
static int stop_unmonitored(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e)
{
	_cleanup_close_ int pidfd = RET_NERRNO(pidfd_open(g->pid, 0));
	struct pollfd p = { pidfd, POLLIN, 0 };

	if (pidfd >= 0) {
		(void)pidfd_send_signal(pidfd, sig, NULL, 0);
		if (sig == SIGKILL || poll(&p, 1, timeout < 0 ? -1 : timeout * 1000) == 0) {
			(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
			(void)poll(&p, 1, KILL_TIMEOUT * 1000);
		}
	}
	g->exit_code = sig == SIGKILL ? 137 : 255;
	return guest_clean(c, g, e);
}

static int thaw(struct ctx *c, struct guest *g, struct err *e);

/* The exit code of a guest whose monitor left before it could answer us; otherwise r. */
static int or_ended(struct ctx *c, struct guest *g, int r)
{
	if (!guest_is_up(g) || (r != -ECONNRESET && r != -EPIPE && r != -E_STATE))
		return r;
	guest_refresh(c, g);
	return guest_is_up(g) ? r : g->exit_code;
}

static int stop_locked(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e)
{
	_cleanup_close_ int fd = -1;
	uint32_t value;
	int r;

	if (g->state == GUEST_PAUSED) { /* it couldn't hear */
		r = thaw(c, g, e);
		if (r < 0)
			return r;
	}
	if (g->unmonitored)
		return stop_unmonitored(c, g, sig, timeout, e);
	fd = monitor_connect(c, g, e);
	if (fd == -E_STATE) {
		guest_refresh(c, g);
		if (!guest_is_up(g))
			return 0;
	}
	if (fd < 0)
		return fd;
	value = (uint32_t)sig |
		(timeout < 0 ? STOP_FOREVER : (uint32_t)MIN(timeout, STOP_FOREVER - 1)) << 8;
	r = monitor_send(fd, MSG_WAIT, 0, 0, NULL, 0, e);
	if (r >= 0)
		r = monitor_send(fd, MSG_STOP, 0, value, NULL, 0, e);
	if (r >= 0)
		r = wait_exit(fd, e);
	r = or_ended(c, g, r);
	if (r < 0)
		return r;
	g->exit_code = r;
	g->state = GUEST_EXITED;
	g->pid = g->monitor = 0;
	return 0;
}

static int resolve_timeout(const struct guest *g, int timeout)
{
	if (timeout >= 0)
		return timeout;
	return g->spec->stop_timeout >= 0 ? g->spec->stop_timeout : STOP_TIMEOUT;
}

static void explain_stop(const struct guest *g, int sig, int timeout)
{
	char name[SIGNAL_NAME_MAX];

	printf("kill -s %s %d   # by the monitor\n", signal_name(sig, name), g->pid);
	if (sig != SIGKILL)
		printf("timeout %d tail --pid=%d -f /dev/null || kill -s KILL %d\n", timeout,
			g->pid, g->pid);
}

int guest_stop(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);
	int r;

	if (lock < 0)
		return lock;
	sig = stop_signal(g, sig);
	timeout = resolve_timeout(g, timeout);
	if (c->explain) {
		if (guest_is_up(g))
			explain_stop(g, sig, timeout);
		return 0;
	}
	r = not_wanted(c, g, e);
	if (r < 0 || !guest_is_up(g))
		return r;
	r = stop_locked(c, g, sig, timeout, e);
	if (r < 0)
		return r;
	guest_event(c, g, "stop", NULL);
	return remove_stopped(c, g, e);
}

int guest_restart(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e), fd = -1;
	int r = 0;

	if (lock < 0)
		return lock;
	sig = stop_signal(g, sig);
	timeout = resolve_timeout(g, timeout);
	if (guest_is_up(g)) {
		if (g->rec->auto_remove) {
			r = err_set(e, -E_STATE,
				"guest '%s' can't restart: it is removed when it ends",
				g->rec->name);
			return r;
		}
		if (c->explain)
			explain_stop(g, sig, timeout);
		else
			r = stop_locked(c, g, sig, timeout, e);
		if (!c->explain && r < 0)
			return r;
	}
	fd = guest_start_locked(c, g, 0, e);
	if (fd >= 0)
		await_tell_rest(c, g);
	if (fd < 0)
		return fd;
	guest_event(c, g, "restart", NULL);
	return 0;
}

static bool is_being_changed(struct ctx *c, const struct guest *g)
{
	_cleanup_close_ int fd = store_lock_flags(c, "guest", g->rec->id, LOCK_TRY, NULL);

	return fd == -EAGAIN;
}

int guest_kill(struct ctx *c, struct guest *g, int sig, struct err *e)
{
	_cleanup_close_ int fd = -1, lock = -1;
	int r;

	r = guest_must_run(g, e);
	if (r < 0)
		return r;
	if (c->explain) {
		explain_stop(g, sig, 0);
		return 0;
	}
	/* whoever stops it has the lock until it has ended, and the kill is what ends it: the monitor is told then */
	if (sig == SIGKILL &&
		(g->state == GUEST_PAUSED || g->unmonitored || !is_being_changed(c, g))) {
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
		r = guest_must_run(g, e);
		if (r >= 0)
			r = not_wanted(c, g, e);
		if (r >= 0)
			r = stop_locked(c, g, SIGKILL, 0, e);
	} else if (g->unmonitored && g->spec->vm) {
		r = err_set(e, -E_STATE,
			"guest '%s' has no monitor to pass signals on: it was killed",
			g->rec->name);
		err_mend(e, "stop it, or use --signal KILL");
		return r;
	} else if (g->unmonitored) {
		r = RET_NERRNO(kill(g->pid, sig));
		if (r < 0)
			return err_sys(e, r, "cannot signal process %d", g->pid);
	} else {
		fd = monitor_connect(c, g, e);
		r = fd < 0 ? fd : monitor_send(fd, MSG_SIGNAL, 0, sig, NULL, 0, e);
	}
	if (r >= 0) {
		json_t *extra = json_object();
		char number[16];

		(void)snprintf(number, sizeof(number), "%d", sig);
		json_object_set_new(extra, "signal", json_string(number));
		guest_event(c, g, "kill", extra);
	}
	if (r >= 0 && lock >= 0)
		r = remove_stopped(c, g, e);
	return r;
}

int guest_wait(struct ctx *c, struct guest *g, bool next, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct pollfd p = { -1, POLLIN, 0 };
	int r;

	if (!guest_is_up(g) && !(next && g->state == GUEST_CREATED))
		return g->exit_code;
	if (c->explain)
		return 0;
	if (g->unmonitored) {
		fd = RET_NERRNO(pidfd_open(g->pid, 0));
		p.fd = fd;
		if (fd >= 0)
			(void)poll(&p, 1, -1);
		return 255;
	}
	fd = r = monitor_connect(c, g, e);
	if (r >= 0)
		r = monitor_send(fd, MSG_WAIT, next ? WAIT_NEXT : 0, 0, NULL, 0, e);
	if (r >= 0)
		r = wait_exit(fd, e);
	return or_ended(c, g, r);
}

/* --- freezing ------------------------------------------------------------------------------------------- */

static int freeze(struct ctx *c, struct guest *g, bool on, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	g_autofree char *mark = store_run_path(c, "guests/%s/paused", g->rec->id);
	int r;

	r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	if (!a.ops->pause || !a.ops->resume)
		return err_set(e, -E_UNSUPPORTED, "engine '%s' can't pause", a.ops->name);
	if (on && !c->explain) {
		/* the mark stands before the deed: a freezer that a crash leaves is seen */
		_cleanup_close_ int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_sys(e, -errno, "cannot write '%s'", mark);
	}
	r = on ? a.ops->pause(c, &a.s, 0, e) : a.ops->resume(c, &a.s, 0, e);
	if (c->explain)
		return r;
	if ((on && r < 0) || (!on && r >= 0))
		(void)unlink(mark);
	return r;
}

static int thaw(struct ctx *c, struct guest *g, struct err *e)
{
	int r = freeze(c, g, false, e);

	if (r >= 0)
		g->state = GUEST_RUNNING;
	return r;
}

int guest_pause(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);
	int r;

	if (lock < 0)
		return lock;
	r = guest_must_run(g, e);
	if (r < 0)
		return r;
	if (g->state == GUEST_PAUSED)
		return err_set(e, -E_STATE, "guest '%s' is paused already", g->rec->name);
	r = freeze(c, g, true, e);
	if (r >= 0) {
		g->state = GUEST_PAUSED;
		guest_event(c, g, "pause", NULL);
	}
	return r;
}

int guest_unpause(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);
	int r;

	if (lock < 0)
		return lock;
	r = guest_must_run(g, e);
	if (r < 0)
		return r;
	if (g->state != GUEST_PAUSED)
		return err_set(e, -E_STATE, "guest '%s' is not paused", g->rec->name);
	r = thaw(c, g, e);
	if (r >= 0)
		guest_event(c, g, "unpause", NULL);
	return r;
}
