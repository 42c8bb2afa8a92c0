/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"
#include "monitor/monitor.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "host/cgroup.h"
#include "host/steps.h"
#include "monitor/dns.h"

#define SECOND	       INT64_C(1000000000)
#define BACKOFF_FIRST  (SECOND / 10)
#define BACKOFF_MAX    (60 * SECOND)
#define BACKOFF_FORGET (10 * SECOND) /* a run of this length starts the back-off anew */
#define DRAIN_MAX      (10 * SECOND) /* how long an end waits for a client that doesn't read */
#define PLAN_MAX       (4 * 1024 * 1024)
#define HOLD_END       30 /* seconds that a held machine may write what it has in memory */
#define CUT_AFTER      (3 * SECOND) /* how long a machine has to end when its command is killed */

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

int64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* --- the status file --- */

/* Field 22 of /proc/PID/stat: with the pid it names a process for ever. */
static uint64_t start_time(pid_t pid)
{
	char path[32], buf[1024], *p;
	_cleanup_close_ int fd = -1;
	unsigned long long v = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name before it may hold anything */
	if (!p)
		return 0;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		v = strtoull(p, NULL, 10);
	return v;
}

int guest_status_text(const struct monitor *m, char *buf, size_t size)
{
	static const char *const name[] = { "starting", "running", "restarting", "exited" };
	struct text t = { .p = buf, .size = size };

	text_addf(&t, "state %s\n", name[m->state]);
	if (m->state != STATE_EXITED)
		text_addf(&t, "monitor %d %llu\n", (int)getpid(), (unsigned long long)m->my_start);
	if (m->main.pid > 0 && (m->state == STATE_RUNNING || m->state == STATE_STARTING))
		text_addf(
			&t, "pid %d %llu\n", (int)m->main.pid, (unsigned long long)m->child_start);
	text_addf(&t, "started %lld\nfinished %lld\nexit %d\noom %d\nrestarts %d\n",
		(long long)m->started, (long long)m->finished_at, m->main.exit_code, m->oom,
		m->restarts);
	if (m->error[0])
		text_addf(&t, "error %s\n", m->error);
	return (int)t.n;
}

static void write_status(const struct monitor *m, const char *folder)
{
	char path[PATH_MAX], temp[PATH_MAX], text[2048];
	int n = guest_status_text(m, text, sizeof(text));
	_cleanup_close_ int fd = -1;

	if (snprintf(path, sizeof(path), "%s/status", folder) >= (int)sizeof(path) ||
		snprintf(temp, sizeof(temp), "%s/.status", folder) >= (int)sizeof(temp))
		return;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0 && write(fd, text, (size_t)n) == n)
		(void)rename(temp, path);
}

static void set_state(struct monitor *m, int state)
{
	m->state = state;
	write_status(m, m->run);
}

void guest_starting(struct monitor *m)
{
	m->my_start = start_time(getpid());
	set_state(m, STATE_STARTING);
}

void guest_never_started(struct monitor *m)
{
	static const char *const names[] = { "sock", "status" };
	char path[PATH_MAX];

	for (unsigned i = 0; i < ELEMENTSOF(names); i++)
		if (snprintf(path, sizeof(path), "%s/%s", m->run, names[i]) < (int)sizeof(path))
			(void)unlink(path);
}

/* --- start --- */

int guest_load_plan(struct monitor *m, struct err *e)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	struct stat st;
	int r;

	(void)snprintf(path, sizeof(path), "%s/plan", m->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot open the plan '%s'", path);
	if (st.st_size > PLAN_MAX)
		return err_set(e, -E_LIMIT, "the plan '%s' is too large", path);
	data = malloc((size_t)st.st_size + 1);
	if (!data)
		return -ENOMEM;
	if (read(fd, data, (size_t)st.st_size) != st.st_size)
		return err_set(e, -EIO, "cannot read the plan '%s'", path);
	r = plan_decode(data, (size_t)st.st_size, tables, &m->plan);
	if (r < 0)
		return err_sys(e, r, "cannot understand the plan '%s'", path);
	return 0;
}

static void drop_plan(struct monitor *m)
{
	plan_free(m->plan);
	m->plan = NULL;
	m->step_run.plan = NULL;
	(void)malloc_trim(0);
}

struct start_child {
	const int *fds;
};

static int start_in_child(struct step_run *r, struct err *e)
{
	const struct start_child *x = r->data;

	for (int i = 0; i < 3; i++)
		if (x->fds[i] >= 0 && dup2(x->fds[i], i) < 0)
			return err_sys(e, -errno, "cannot set up the standard streams");
	return 0;
}

static void dns_ready(struct monitor *m, struct source *s, uint32_t events)
{
	dns_server_ready(m->dns, s->fd, monotonic_ns());
}

static const struct step *dns_step(const struct monitor *m)
{
	for (unsigned i = 0; i < plan_len(m->plan); i++)
		if (plan_step(m->plan, i)->op == &step_dns_socket)
			return plan_step(m->plan, i);
	return NULL;
}

bool guest_dns(const struct monitor *m, const char **ret_names, const char **ret_upstreams)
{
	const struct step *s = dns_step(m);

	if (!s)
		return false;
	*ret_names = s->arg[1];
	*ret_upstreams = s->arg[2];
	return true;
}

bool guest_begin_dns(
	struct monitor *m, int fd, const char *names, const char *upstreams, bool framed)
{
	int fds[ELEMENTSOF(m->dns_source)];

	m->dns = dns_server_new(fd, names, upstreams, framed);
	if (!m->dns) {
		(void)close(fd);
		return false;
	}
	m->n_dns = dns_server_fds(m->dns, fds, ELEMENTSOF(fds));
	for (unsigned k = 0; k < m->n_dns; k++) {
		source_init(&m->dns_source[k], fds[k], dns_ready);
		(void)source_watch(m, &m->dns_source[k], EPOLLIN);
	}
	return true;
}

void guest_start_dns(struct monitor *m)
{
	int fd = m->step_run.kept_fd[KEPT_DNS];

	const char *names, *upstreams;

	m->step_run.kept_fd[KEPT_DNS] = -1;
	if (fd >= 0 && guest_dns(m, &names, &upstreams))
		(void)guest_begin_dns(m, fd, names, upstreams, false);
}

static void stop_dns(struct monitor *m)
{
	for (unsigned i = 0; i < m->n_dns; i++) {
		(void)source_watch(m, &m->dns_source[i], 0);
		m->dns_source[i].fd = -1;
	}
	m->n_dns = 0;
	dns_server_free(m->dns); /* closes its descriptors */
	m->dns = NULL;
}

static void find_cgroup(struct monitor *m)
{
	for (unsigned i = 0; i < plan_len(m->plan) && !m->cgroup; i++)
		if (plan_step(m->plan, i)->op == &step_cgroup_create)
			m->cgroup = strdup(plan_step(m->plan, i)->arg[0]);
}

static void guest_kill_now(struct monitor *m)
{
	if (m->step_run.child_fd >= 0)
		(void)pidfd_kill(m->step_run.child_fd, SIGKILL);
}

static void run_begins(struct monitor *m)
{
	m->started = realtime_ns();
	m->run_since = monotonic_ns();
	m->error[0] = '\0';
	set_state(m, STATE_RUNNING);
	session_watch(m, &m->main);
}

int guest_start(struct monitor *m, struct err *e)
{
	int theirs[3] = { -1, -1, -1 }, r;
	struct start_child x = { .fds = theirs };
	int trace = m->step_run.trace_fd;

	r = guest_load_plan(m, e);
	if (r < 0)
		return r;
	step_run_init(&m->step_run, m->plan);
	m->step_run.trace_fd = trace;
	m->step_run.in_child = start_in_child;
	m->step_run.data = &x;
	m->main.exited = false;
	m->main.in.fd = m->main.out.fd = m->main.err.fd = -1;
	if (m->machine) {
		r = machine_pipe(m, theirs, e);
		if (r < 0)
			return r;
	} else if (!m->tty) {
		r = session_pipes(&m->main, m->open_stdin, theirs, e);
		if (r < 0)
			return r;
	}
	r = plan_run(&m->step_run, e);
	for (int i = 0; i < 3; i++)
		closep(&theirs[i]);
	if (r < 0) {
		session_done(m, &m->main);
		if (m->machine)
			(void)machine_end(m, 0);
		step_run_done(&m->step_run);
		m->step_run.trace_fd = trace;
		drop_plan(m);
		return r;
	}
	m->main.pid = m->step_run.child;
	m->child_start = start_time(m->main.pid);
	find_cgroup(m);
	if (m->machine) {
		r = machine_begin(m, e);
		drop_plan(m);
		if (r < 0) {
			m->machine->failed = true;
			m->start_error = *e;
			guest_kill_now(m);
		} else if (r == 0) {
			guest_up(m);
		} else {
			set_state(m,
				STATE_STARTING); /* with its process, for who cleans up after us */
		}
		return 1;
	}
	if (m->tty) {
		m->main.out.fd = m->step_run.kept_fd[KEPT_CONSOLE];
		m->step_run.kept_fd[KEPT_CONSOLE] = -1;
	}
	guest_start_dns(m);
	drop_plan(m);
	run_begins(m);
	return 0;
}

/* --- a machine's start, which takes its time --- */

void guest_up(struct monitor *m)
{
	run_begins(m);
	if (m->starter)
		(void)conn_send(m->starter, MSG_STARTED, 0, (uint32_t)m->main.pid, NULL, 0);
	else if (m->restarts > 0)
		event_write(m, "start", -1);
	m->starter = NULL;
	m->never_up = false;
}

void guest_conn_gone(struct monitor *m, struct conn *c)
{
	bool starts = m->starter == c;

	if (starts)
		m->starter = NULL;
	if (starts && (m->first_attach || m->hold) && m->state == STATE_STARTING)
		guest_kill_now(m);
	else if (m->hold && m->holder == c)
		guest_stop(m, SIGTERM, HOLD_END);
	if (m->holder == c)
		m->holder = NULL;
}

/* --- stop --- */

void guest_kill(struct monitor *m, int sig)
{
	if (m->step_run.child_fd < 0 || m->main.exited)
		return;
	if (!m->machine)
		(void)pidfd_kill(m->step_run.child_fd, sig);
	else if (m->machine->full && sig != SIGKILL)
		qmp_say(m, "system_powerdown");
	else if (m->machine->full || !machine_signal(m, &m->main, sig))
		guest_kill_now(m);
	else if (sig == SIGKILL) /* its init syncs what was written; but it has no say in the end */
		m->cut_at = monotonic_ns() + CUT_AFTER;
}

static void end_for_good(struct monitor *m);

void guest_stop(struct monitor *m, int sig, int seconds)
{
	if (m->state == STATE_RESTARTING) {
		m->restart_at = 0;
		end_for_good(m);
		return;
	}
	if (m->state == STATE_STARTING && m->machine) {
		guest_kill_now(m);
		return;
	}
	if (m->main.exited || m->state != STATE_RUNNING)
		return;
	guest_kill(m, sig ? sig : m->stop_signal);
	m->kill_at = seconds < 0 ? 0 : monotonic_ns() + seconds * SECOND;
	if (seconds == 0)
		guest_tick(m, m->kill_at);
}

/* --- exit --- */

static bool wants_restart(const struct monitor *m)
{
	if (m->stop_asked)
		return false;
	switch (m->restart) {
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		return true;
	case RESTART_ON_FAILURE:
		return m->main.exit_code != 0 &&
		       (m->restart_max == 0 || m->restarts < m->restart_max);
	default:
		return false;
	}
}

static void undo(struct monitor *m, enum undo_why why)
{
	struct err e;

	if (guest_load_plan(m, NULL) < 0)
		return; /* `lodge fsck` finds what is left */
	m->step_run.plan = m->plan;
	if (plan_undo(&m->step_run, why, &e) < 0)
		(void)snprintf(m->error, sizeof(m->error), "%s", e.text);
	drop_plan(m);
}

static void end_for_good(struct monitor *m)
{
	if (m->state == STATE_RESTARTING)
		undo(m, UNDO_ENDED);
	m->finished = true;
	m->state = STATE_EXITED;
	write_status(m, m->dir);
	write_status(m, m->run);
	conn_tell_exit(m, m->main.exit_code, true);
}

/* The first start has no second try; of a restart the policy says so. */
static void restart_failed(struct monitor *m, const struct err *e)
{
	if (m->never_up) {
		if (m->starter)
			conn_send_err(m->starter, e);
		guest_never_started(m);
		m->finished = true;
		return;
	}
	(void)snprintf(m->error, sizeof(m->error), "%s", e->text);
	m->main.exit_code = 125;
	if (!wants_restart(m)) {
		m->state = STATE_RESTARTING; /* what the plan holds over a restart goes too */
		end_for_good(m);
		return;
	}
	m->backoff = m->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : m->backoff * 2;
	m->restart_at = monotonic_ns() + m->backoff;
	set_state(m, STATE_RESTARTING);
}

/* The guest has ended and its output is delivered. */
static void finish_run(struct monitor *m)
{
	int trace = m->step_run.trace_fd;
	bool again = wants_restart(m) && !m->never_up;

	m->drain_until = m->kill_at = m->cut_at = 0;
	if (m->cgroup && !m->machine)
		m->oom = cgroup_oom_kills(m->cgroup) > 0;
	exec_end_all(m);
	stop_dns(m);
	session_done(m, &m->main);
	log_end(&m->log);
	m->step_run.keep_taps = !again;
	undo(m, again ? UNDO_RESTART : UNDO_ENDED);
	if (!again) /* see step "tap" */
		for (unsigned i = KEPT_TAP; i < _KEPT_MAX; i++)
			m->step_run.kept_fd[i] = -1;
	step_run_done(&m->step_run);
	m->step_run.trace_fd = trace;
	m->main.pid = 0;
	if (m->machine && m->machine->failed) {
		restart_failed(m, &m->start_error);
		return;
	}
	m->finished_at = realtime_ns();
	if (m->oom)
		event_write(m, "oom", -1);
	event_write(m, "die", m->main.exit_code);
	if (!again) {
		end_for_good(m);
		return;
	}
	if (monotonic_ns() - m->run_since > BACKOFF_FORGET || m->backoff == 0)
		m->backoff = BACKOFF_FIRST;
	else
		m->backoff = m->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : m->backoff * 2;
	m->restart_at = monotonic_ns() + m->backoff;
	set_state(m, STATE_RESTARTING);
	conn_tell_exit(m, m->main.exit_code, false);
}

static void restart(struct monitor *m)
{
	struct err e = { 0 };
	int r;

	m->restart_at = 0;
	m->restarts++;
	r = guest_start(m, &e);
	if (r == 0)
		event_write(m, "start", -1);
	else if (r < 0)
		restart_failed(m, &e);
}

void guest_reap(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

		if (pid != m->main.pid) {
			exec_reap(m, pid, code);
			continue;
		}
		m->main.exited = true;
		m->main.exit_code = m->machine ? machine_end(m, code) : code;
		m->drain_until = monotonic_ns() + DRAIN_MAX;
	}
	if (m->main.exited && m->main.pid > 0 && session_drain(m, &m->main))
		finish_run(m);
}

/* --- timers --- */

int64_t guest_next_timer(const struct monitor *m)
{
	int64_t next = 0, t[] = { m->kill_at, m->restart_at, m->drain_until, m->cut_at,
		machine_next_timer(m) };

	for (unsigned i = 0; i < ELEMENTSOF(t); i++)
		if (t[i] && (!next || t[i] < next))
			next = t[i];
	return next;
}

void guest_tick(struct monitor *m, int64_t now)
{
	if (m->kill_at && now >= m->kill_at) {
		m->kill_at = 0;
		guest_kill(m, SIGKILL);
		/* a frozen guest doesn't die of a signal */
		if (m->cgroup)
			(void)cgroup_freeze(m->cgroup, false, NULL);
	}
	if (m->cut_at && now >= m->cut_at) {
		m->cut_at = 0;
		guest_kill_now(m);
	}
	machine_tick(m, now);
	if (m->restart_at && now >= m->restart_at)
		restart(m);
	if (m->main.exited && m->main.pid > 0 &&
		(session_drain(m, &m->main) || now >= m->drain_until))
		finish_run(m);
}
