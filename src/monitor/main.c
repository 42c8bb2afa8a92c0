/* SPDX-License-Identifier: MIT */
#include "monitor/machine.h"
#include "monitor/monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#define FIRST_CONN   3	 /* the descriptor that the starter left for us */
#define BOOT_TIMEOUT 180 /* seconds: a hundred emulated machines at once boot slowly */
#define IDLE_MS	     500 /* after which a large buffer is given back */

/* --- sources --- */

void source_init(
	struct source *s, int fd, void (*ready)(struct monitor *, struct source *, uint32_t))
{
	*s = (struct source){ .fd = fd, .ready = ready };
}

int source_watch(struct monitor *m, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };
	int op = s->events ? (events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL) : EPOLL_CTL_ADD;

	if (s->fd < 0 || s->events == events)
		return 0;
	/* A source that isn't watched is taken out: epoll would go on reporting its hang-up. */
	if (epoll_ctl(m->epoll, op, s->fd, &ev) < 0)
		return -errno;
	s->events = events;
	return 0;
}

void source_close(struct monitor *m, struct source *s)
{
	if (s->fd < 0)
		return;
	(void)source_watch(m, s, 0);
	(void)close(s->fd);
	s->fd = -1;
}

/* --- arguments --- */

static int number(const char *s)
{
	return (int)strtol(s, NULL, 10);
}

static int set(struct monitor *m, const char *key, const char *value)
{
	static const char *const restarts[] = { "no", "on-failure", "always", "unless-stopped" };

	if (strcmp(key, "id") == 0)
		m->id = value;
	else if (strcmp(key, "dir") == 0)
		m->dir = value;
	else if (strcmp(key, "run") == 0)
		m->run = value;
	else if (strcmp(key, "tty") == 0)
		m->tty = number(value);
	else if (strcmp(key, "stdin") == 0)
		m->open_stdin = number(value);
	else if (strcmp(key, "stdin-once") == 0)
		m->stdin_once = number(value);
	else if (strcmp(key, "restart-max") == 0)
		m->restart_max = number(value);
	else if (strcmp(key, "stop-signal") == 0)
		m->stop_signal = number(value);
	else if (strcmp(key, "stop-timeout") == 0)
		m->stop_timeout = number(value);
	else if (strcmp(key, "log-size") == 0)
		m->log.max_size = strtoll(value, NULL, 10);
	else if (strcmp(key, "log-files") == 0)
		m->log.max_files = number(value);
	else if (strcmp(key, "attach") == 0)
		m->first_attach = (unsigned)number(value);
	else if (strcmp(key, "trace") == 0)
		m->step_run.trace_fd = number(value);
	else if (strcmp(key, "remove") == 0)
		m->remove_with = value;
	else if (strcmp(key, "events") == 0)
		m->events = value;
	else if (strcmp(key, "attributes") == 0)
		m->attributes = value;
	else if (strcmp(key, "stand-in") == 0)
		m->stand_in = number(value);
	else if (strcmp(key, "hold") == 0)
		m->hold = number(value);
	else if (strcmp(key, "machine") == 0) {
		m->machine = calloc(1, sizeof(*m->machine));
		if (!m->machine)
			return -ENOMEM;
		m->machine->full = strcmp(value, "full") == 0;
		m->machine->boot_timeout = BOOT_TIMEOUT;
	} else if (strcmp(key, "restart") == 0) {
		for (unsigned i = 0; i < ELEMENTSOF(restarts); i++)
			if (strcmp(value, restarts[i]) == 0) {
				m->restart = i;
				return 0;
			}
		return -EINVAL;
	} else
		return -EINVAL;
	return 0;
}

static int arguments(struct monitor *m, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq)
			*eq = '\0';
		if (!eq || set(m, argv[i], eq + 1) < 0) {
			fprintf(stderr,
				"lodge-monitor: bad argument '%s'; it is started by lodge only\n",
				argv[i]);
			return -EINVAL;
		}
		*eq = '=';
	}
	if (m->id && m->dir && m->run)
		return 0;
	fprintf(stderr, "lodge-monitor: started by lodge only, with id=, dir= and run=\n");
	return -EINVAL;
}

/* --- the loop --- */

static void signal_ready(struct monitor *m, struct source *s, uint32_t events)
{
	struct signalfd_siginfo si;

	while (read(s->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGTERM && m->stand_in)
			m->finished = true;
		else if (si.ssi_signo == SIGTERM && m->state != STATE_EXITED)
			guest_stop(m, 0,
				m->stop_timeout); /* the host goes down: not the user's stop */
	}
	guest_reap(m);
}

static void loop(struct monitor *m)
{
	while (!m->finished) {
		int64_t next = guest_next_timer(m), now;
		struct epoll_event ev;
		int wait = -1, n;

		if (next) {
			now = monotonic_ns();
			wait = next <= now ? 0 : (int)((next - now) / 1000000) + 1;
		}
		if (m->buffers_used && (wait < 0 || wait > IDLE_MS))
			wait = IDLE_MS;
		/* One event at a time: what its handler frees can't be in the rest of a list. */
		n = epoll_wait(m->epoll, &ev, 1, wait);
		if (n == 1) {
			struct source *s = ev.data.ptr;

			s->ready(m, s, ev.events);
		} else if (n == 0 && m->buffers_used)
			streams_idle(m);
		if (next)
			guest_tick(m, monotonic_ns());
	}
}

static int set_up(struct monitor *m, struct err *e)
{
	char log[4096];
	sigset_t set_;
	int fd;

	(void)setsid();
	(void)umask(022);
	if (chdir("/") < 0)
		return err_sys(e, -errno, "cannot change to '/'");
	/* Nothing in the guest may look into a process of ours, not before its exec either. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* nohup, or a shell's "&": what the caller ignores is not for us, nor for the guest */
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &(const struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	(void)sigemptyset(&set_);
	(void)sigaddset(&set_, SIGCHLD);
	(void)sigaddset(&set_, SIGTERM);
	(void)sigaddset(&set_, SIGINT);
	(void)sigaddset(&set_, SIGHUP);
	(void)sigprocmask(SIG_SETMASK, &set_, NULL);
	(void)sigaction(SIGPIPE, &(const struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->signals = signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (m->epoll < 0 || m->signals < 0 || fd < 0)
		return err_sys(e, -errno, "cannot set up the monitor");
	for (int i = 0; i < 3; i++)
		if (dup2(fd, i) < 0)
			return err_sys(e, -errno, "cannot set up the monitor");
	(void)close(fd);
	source_init(&m->signal_source, m->signals, signal_ready);
	(void)source_watch(m, &m->signal_source, EPOLLIN);
	if (snprintf(log, sizeof(log), "%s/log", m->dir) >= (int)sizeof(log))
		return -ENAMETOOLONG;
	m->log.path = strdup(log);
	return 0;
}

static int begin(struct monitor *m, struct conn *first, struct err *e)
{
	int r = log_open(&m->log, m->log.path, m->log.max_size, m->log.max_files);

	if (r < 0)
		return err_sys(e, r, "cannot open the log '%s'", m->log.path);
	r = conn_listen(m, e);
	if (r < 0)
		return r;
	if (first && m->first_attach) {
		first->attached = m->first_attach;
		first->waits = true;
	}
	guest_starting(m);
	m->never_up = m->machine;
	m->starter = m->machine ? first : NULL;
	m->holder = m->hold ? first : NULL;
	r = guest_start(m, e);
	if (r < 0)
		guest_never_started(m);
	return r;
}

/* Nobody waits for an auto-remove guest: remove it with the program that started it. */
static void remove_guest(const struct monitor *m)
{
	char *argv[] = { (char *)"lodge", (char *)"rm", (char *)"--force", (char *)(uintptr_t)m->id,
		NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execv(m->remove_with, argv);
}

int main(int argc, char **argv)
{
	static struct monitor m;
	struct err e = { 0 };
	struct conn *first;
	int r;

	m.stop_signal = SIGTERM;
	m.stop_timeout = 10;
	m.step_run.trace_fd = -1;
	m.main.is_main = true;
	m.listen_source.fd = -1;
	if (arguments(&m, argc, argv) < 0)
		return 2;
	m.main.tty = m.tty;
	m.main.in.fd = m.main.out.fd = m.main.err.fd = -1;
	(void)fcntl(FIRST_CONN, F_SETFD, FD_CLOEXEC);
	if (m.step_run.trace_fd >= 0)
		(void)fcntl(m.step_run.trace_fd, F_SETFD, FD_CLOEXEC);
	if (set_up(&m, &e) < 0)
		return 1;
	if (m.stand_in) { /* the descriptor holds the lock by which there is only one */
		if (stand_in_begin(&m, &e) < 0)
			return 1;
		loop(&m);
		return 0;
	}
	first = conn_add(&m, FIRST_CONN);
	r = begin(&m, first, &e);
	if (r < 0) {
		if (first)
			conn_send_err(first, &e);
		return 1;
	}
	if (r == 0 && first)
		(void)conn_send(first, MSG_STARTED, 0, (uint32_t)m.main.pid, NULL, 0);
	guest_reap(&m); /* SIGCHLD of a command that is over already */
	loop(&m);
	if (m.remove_with && !m.never_up && !conn_waited_for(&m))
		remove_guest(&m);
	return 0;
}
