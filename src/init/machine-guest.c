/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "host/smallfile.h"
#include "host/steps.h"

#define OTHERS_MS 1000 /* see guest_settle() */

static int64_t monotonic_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int guest_wait_ms(const struct machine *m)
{
	int64_t left = m->cut_at - monotonic_ms();

	return !m->cut_at || m->finished ? -1 : left > 0 ? (int)left : 10;
}

/* --- what is said --- */

void send_error(struct machine *m, uint32_t session, const struct err *e)
{
	uint8_t *at = m->out + MACHINE_HEADER;
	size_t text = strlen(e->text) + 1, mend = strlen(e->mend);

	machine_put_u32(at, (uint32_t)e->code);
	memcpy(at + 4, e->text, text);
	memcpy(at + 4 + text, e->mend, mend);
	port_send_out(m, MACHINE_ERROR, 0, session, 4 + text + mend);
}

static void send_exit(struct machine *m, const struct session *s)
{
	uint8_t code[4];

	machine_put_u32(code, (uint32_t)s->exit_code);
	port_send(m, MACHINE_EXIT, s->oom ? MACHINE_OOM : 0, s->id, code, sizeof(code));
}

/* --- starting --- */

bool take_part(struct session *s, const struct machine_frame *f, bool *ret_lost)
{
	uint8_t *more;

	*ret_lost = f->size > MACHINE_PLAN_MAX - s->n_parts;
	if (*ret_lost)
		return false;
	more = realloc(s->parts, s->n_parts + f->size + 1);
	if (!more) {
		*ret_lost = true;
		return false;
	}
	s->parts = more;
	memcpy(s->parts + s->n_parts, f->data, f->size);
	s->n_parts += f->size;
	return !(f->flags & MACHINE_MORE);
}

/* The streams of a command about to be made. */
struct streams {
	int fd[3];
};

static int streams_in_child(struct step_run *r, struct err *e)
{
	const struct streams *x = r->data;

	for (int i = 0; i < 3; i++)
		if (x->fd[i] >= 0 && dup2(x->fd[i], i) < 0)
			return err_sys(e, -errno, "cannot set up the standard streams");
	return 0;
}

static bool has_step(const struct plan *p, const struct step_ops *op)
{
	for (unsigned i = 0; i < plan_len(p); i++)
		if (plan_step(p, i)->op == op)
			return true;
	return false;
}

/* Runs the plan of the parts that came; the session has a process and streams then. */
static int start(struct machine *m, struct session *s, struct plan **ret_plan, struct step_run *run,
	bool with_input, struct err *e)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	struct streams theirs = { { -1, -1, -1 } };
	int r = plan_decode((const char *)s->parts, s->n_parts, tables, ret_plan);
	bool held;

	free(TAKE_PTR(s->parts));
	if (r < 0)
		return err_set(e, r, "the machine doesn't understand the plan");
	step_run_init(run, *ret_plan);
	run->guest_fd = m->run.child_fd;
	run->trace_fd = m->trace_fd;
	run->in_child = streams_in_child;
	run->data = &theirs;
	if (s->id == 0)
		m->held = !has_step(*ret_plan, &step_clone);
	held = s->id == 0 && m->held;
	if (!held && !has_step(*ret_plan, &step_console))
		r = session_pipes(s, with_input, theirs.fd, e);
	if (r >= 0)
		r = plan_run(run, e);
	run->data = NULL;
	for (int i = 0; i < 3; i++)
		closep(&theirs.fd[i]);
	if (r < 0)
		return r;
	if (held)
		return 0;
	if (run->child <= 0)
		return err_set(e, -EINVAL, "the plan has no command to execute");
	s->pid = run->child;
	if (run->kept_fd[KEPT_CONSOLE] >= 0)
		session_terminal(s, TAKE_FD(run->kept_fd[KEPT_CONSOLE]));
	return 0;
}

static void started(struct machine *m, struct session *s)
{
	port_send(m, MACHINE_STARTED, 0, s->id, NULL, 0);
	session_watch(m, s);
}

void guest_plan(struct machine *m, const struct machine_frame *f)
{
	struct session *s = session_find(m, 0);
	struct err e = { 0 };
	bool lost = false;
	int r;

	if (!s)
		s = session_new(m, 0);
	if (!s || m->started || f->session != 0) {
		m->lost = true;
		return;
	}
	if (!take_part(s, f, &lost)) {
		m->lost |= lost;
		return;
	}
	m->started = true;
	r = start(m, s, &m->plan, &m->run, !(f->flags & MACHINE_NO_INPUT), &e);
	trace_send(m);
	if (r < 0) {
		send_error(m, 0, &e);
		session_free(m, s);
		m->finished = true;
		return;
	}
	started(m, s);
}

const struct session *guest_running(struct machine *m)
{
	const struct session *s = session_find(m, 0);

	return s && s->pid && !s->exited && m->run.child_fd >= 0 ? s : NULL;
}

void guest_exec(struct machine *m, const struct machine_frame *f)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct session *s = session_find(m, f->session);
	struct step_run run;
	struct err e = { 0 };
	bool lost = false;
	int r;

	if (!s)
		s = session_new(m, f->session);
	if (!s || f->session == 0 || s->pid) {
		m->lost = true;
		return;
	}
	if (!take_part(s, f, &lost)) {
		m->lost |= lost;
		return;
	}
	step_run_init(&run, NULL);
	if (!guest_running(m))
		r = err_set(&e, -E_STATE, "the guest isn't running");
	else if (sessions_are_many(m))
		r = err_set(&e, -E_LIMIT, "more than %d commands in one guest", SESSIONS_MAX);
	else
		r = start(m, s, &p, &run, !(f->flags & MACHINE_NO_INPUT), &e);
	if (run.plan)
		(void)plan_undo(&run, UNDO_ENDED, NULL); /* back to our own pid namespace */
	step_run_done(&run);
	if (r < 0) {
		send_error(m, s->id, &e);
		session_free(m, s);
		return;
	}
	started(m, s);
}

/* --- ends --- */

void guest_signal(struct machine *m, struct session *s, int sig)
{
	/* it is our child, and reaped by nobody else: the number is still its own */
	if (s->pid && !s->exited && sig > 0 && sig < NSIG)
		(void)kill(s->pid, sig);
	else if (m->held && s->id == 0)
		s->exited = true;
}

/* Whether the kernel killed something for want of memory: the machine's, or that of a cgroup in it. */
static bool memory_was_short(void)
{
	_cleanup_close_ int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	char text[16 * 1024];
	size_t used = 0;
	ssize_t n = 0;
	uint64_t kills = 0;

	/* longer than what one read(2) gives of it */
	while (fd >= 0 && used < sizeof(text) - 1 &&
		(n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	return small_find_u64(text, "oom_kill", &kills) == 0 && kills > 0;
}

static int code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void guest_reap(struct machine *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		struct session *s = m->sessions;

		while (s && s->pid != pid)
			s = s->next;
		if (!s) /* an orphan */
			continue;
		s->exited = true;
		s->exit_code = code_of(status);
		if (s->id == 0)
			s->oom = s->exit_code != 0 && memory_was_short();
	}
}

/* All that the plan mounted, in reverse; what can be written to is clean after that, and needs no sync(2). What
 * isn't worth keeping has STEP_STAY and costs no time here. */
static void undo(struct machine *m)
{
	struct err e;

	if (!m->plan)
		return;
	(void)plan_undo(&m->run, UNDO_ENDED, &e);
	trace_send(m);
	step_run_done(&m->run);
	plan_free(TAKE_PTR(m->plan));
	m->run.plan = NULL;
}

/* What still runs after the main command: services of ours. Commands died with its pid namespace. */
static void kill_rest(struct machine *m)
{
	for (struct session *s = m->sessions; s; s = s->next)
		if (s->id != 0 && s->pid && !s->exited)
			(void)kill(s->pid, SIGKILL);
}

/* Says EXIT for further commands, and services, whose output is out; or, at the very end, also where it isn't. */
static void settle_others(struct machine *m, bool all)
{
	struct session *s, *next;

	for (s = m->sessions; s; s = next) {
		next = s->next;
		if (s->id == 0 || !s->exited || (!session_drain(m, s) && !all))
			continue;
		send_exit(m, s);
		session_free(m, s);
	}
}

/*
 * The main command's end waits for the output of others, which somebody may not take: for a moment. Its own
 * output is the monitor's to take, or to FORGET.
 */
void guest_settle(struct machine *m)
{
	struct session *main = session_find(m, 0);
	bool ending = main && main->exited;

	if (m->finished)
		return;
	if (ending)
		kill_rest(m);
	settle_others(m, false);
	if (!ending || !session_drain(m, main))
		return;
	if (m->sessions->next) {
		int64_t now = monotonic_ms();

		if (!m->cut_at)
			m->cut_at = now + OTHERS_MS;
		if (now >= m->cut_at)
			settle_others(m, true);
		if (m->sessions->next) /* some haven't ended yet: their SIGCHLD will come */
			return;
	}
	source_close(m, &m->dns);
	undo(m);
	send_exit(m, main);
	session_free(m, main);
	m->finished = true;
}

void guest_alone(struct machine *m)
{
	for (struct session *s = m->sessions; s; s = s->next) {
		if (s->id != 0 && s->pid && !s->exited)
			(void)kill(s->pid, SIGKILL);
		s->forgotten = true;
		(void)session_input(m, s, NULL, 0);
		session_watch(m, s);
	}
}

void guest_end(struct machine *m)
{
	for (struct session *s = m->sessions; s; s = s->next)
		if (s->pid && !s->exited)
			(void)kill(s->pid, SIGKILL);
	for (struct session *s = m->sessions; s; s = s->next)
		while (s->pid && !s->exited && waitpid(s->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	while (m->sessions)
		session_free(m, m->sessions);
	undo(m);
}
