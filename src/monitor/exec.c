/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"
#include "monitor/monitor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "host/steps.h"

#define EXECS_MAX 512

/* What in_child needs; lives on the stack of exec_run. */
struct exec_child {
	const int *fds;
};

static int exec_in_child(struct step_run *r, struct err *e)
{
	const struct exec_child *x = r->data;

	for (int i = 0; i < 3; i++)
		if (x->fds[i] >= 0 && dup2(x->fds[i], i) < 0)
			return err_sys(e, -errno, "cannot set up the standard streams");
	return 0;
}

void exec_free(struct monitor *m, struct session *s)
{
	struct session **p = &m->execs;

	while (*p && *p != s)
		p = &(*p)->next;
	if (*p)
		*p = s->next;
	if (s->owner)
		conn_session_over(m, s->owner);
	session_done(m, s);
	free(s);
}

static int exec_plan(
	struct monitor *m, struct session *s, const struct plan *p, const int fds[3], struct err *e)
{
	struct exec_child x = { .fds = fds };
	struct step_run r;
	int code;

	step_run_init(&r, p);
	r.guest_fd = m->step_run.child_fd;
	r.trace_fd = m->step_run.trace_fd;
	r.in_child = exec_in_child;
	r.data = &x;
	code = plan_run(&r, e);
	if (code >= 0) {
		s->pid = r.child;
		if (s->tty) {
			s->out.fd = r.kept_fd[KEPT_CONSOLE];
			r.kept_fd[KEPT_CONSOLE] = -1;
		}
		(void)plan_undo(&r, UNDO_ENDED, NULL); /* back to our own pid namespace */
	}
	step_run_done(&r);
	return code;
}

/* The streams of an exec: the caller's own descriptors, a terminal, pipes, or nothing. */
static int exec_streams(
	struct session *s, unsigned flags, const int given[3], int theirs[3], struct err *e)
{
	if (flags & EXEC_FDS) {
		for (int i = 0; i < 3; i++)
			theirs[i] = given[i];
		return 0;
	}
	if (flags & EXEC_TTY)
		return 0;
	if (flags & EXEC_DETACH)
		return 0; /* the monitor's own streams are /dev/null */
	return session_pipes(s, true, theirs, e);
}

static int exec_check(struct monitor *m, const struct conn *c, struct err *e)
{
	unsigned count = 0;

	for (struct session *x = m->execs; x; x = x->next)
		count++;
	if (m->state != STATE_RUNNING || m->step_run.child_fd < 0)
		return err_set(e, -E_STATE, "the guest isn't running");
	if (c->session)
		return err_set(e, -E_INVALID, "this connection has its command already");
	if (count >= EXECS_MAX)
		return err_set(e, -E_LIMIT, "more than %d commands in one guest", EXECS_MAX);
	return 0;
}

static void exec_add(struct monitor *m, struct session *s, struct conn *c, unsigned flags)
{
	s->next = m->execs;
	m->execs = s;
	if (flags & EXEC_DETACH)
		return;
	s->owner = c;
	c->session = s;
}

/* In a machine: its init makes the process and says what becomes of it. */
static void exec_in_machine(struct monitor *m, struct conn *c, enum machine_type type,
	const char *data, size_t size, unsigned flags)
{
	struct err e = { 0 };
	struct session *s;
	int code = exec_check(m, c, &e);

	if (code == 0 && m->machine->full)
		code = err_set(&e, -E_UNSUPPORTED, "this machine boots a system of its own");
	if (code == 0 && (flags & EXEC_FDS))
		code = err_set(&e, -E_UNSUPPORTED, "a machine can't use the host's descriptors");
	if (code < 0) {
		conn_send_err(c, &e);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->in.fd = s->out.fd = s->err.fd = -1;
	s->tty = flags & EXEC_TTY;
	s->remote = true;
	s->service = type == MACHINE_SERVE;
	/* detached ones too: the caller is told whether it runs */
	exec_add(m, s, c, 0);
	s->detached = flags & EXEC_DETACH;
	machine_exec(m, s, type, flags & EXEC_TTY ? MACHINE_TTY : 0, data, size);
}

void exec_serve(struct monitor *m, struct conn *c, const char *words, size_t size, unsigned flags)
{
	struct err e = { 0 };

	if (m->machine) {
		exec_in_machine(m, c, MACHINE_SERVE, words, size, flags);
		return;
	}
	err_set(&e, -E_UNSUPPORTED, "this guest is not a machine");
	conn_send_err(c, &e);
}

void exec_start(struct monitor *m, struct conn *c, const char *plan, size_t size, unsigned flags,
	const int fds[3])
{
	static const step_table *const tables[] = { &host_steps, NULL };
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct session *s;
	int theirs[3] = { -1, -1, -1 }, code;
	struct err e = { 0 };

	if (m->machine) {
		exec_in_machine(m, c, MACHINE_EXEC, plan, size, flags);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->in.fd = s->out.fd = s->err.fd = -1;
	s->tty = flags & EXEC_TTY;
	code = exec_check(m, c, &e);
	if (code == 0 && plan_decode(plan, size, tables, &p) < 0)
		code = err_set(&e, -E_CORRUPT,
			"the monitor doesn't understand the plan; restart the guest");
	if (code == 0)
		code = exec_streams(s, flags, fds, theirs, &e);
	if (code == 0)
		code = exec_plan(m, s, p, theirs, &e);
	if (!(flags & EXEC_FDS))
		for (int i = 0; i < 3; i++)
			closep(&theirs[i]);
	if (code < 0) {
		conn_send_err(c, &e);
		exec_free(m, s);
		return;
	}
	exec_add(m, s, c, flags);
	(void)conn_send(c, MSG_STARTED, 0, (uint32_t)s->pid, NULL, 0);
	session_watch(m, s);
}

bool exec_settle(struct monitor *m, struct session *s)
{
	if (!s->exited || !session_drain(m, s))
		return false;
	if (s->owner && !conn_send(s->owner, MSG_EXIT, 0, (uint32_t)s->exit_code, NULL, 0)) {
		conn_behind(m, s->owner);
		return false;
	}
	exec_free(m, s);
	return true;
}

void exec_ended(struct monitor *m, struct session *s, int code)
{
	s->exited = true;
	s->exit_code = code;
	(void)exec_settle(m, s);
}

void exec_reap(struct monitor *m, pid_t pid, int code)
{
	for (struct session *s = m->execs; s; s = s->next)
		if (s->pid == pid && !s->remote && !s->exited) {
			exec_ended(m, s, code);
			return;
		}
}

void exec_end_all(struct monitor *m)
{
	while (m->execs) {
		struct session *s = m->execs;

		(void)session_drain(m, s);
		if (s->owner)
			(void)conn_send(s->owner, MSG_EXIT, 0,
				s->exited ? (uint32_t)s->exit_code : 137, NULL, 0);
		exec_free(m, s);
	}
}
