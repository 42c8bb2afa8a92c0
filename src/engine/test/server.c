/* SPDX-License-Identifier: MIT */
/* The process that plays monitor and guest. A small event loop over poll(2). */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include "engine/test/test-engine.h"
#include "host/steps.h"
#include "monitor/proto.h"

#define CONNS_MAX    32
#define RESTART_WAIT 100000000 /* ns */
#define SECOND	     1000000000

struct conn {
	int fd; /* -1: free */
	unsigned attached;
	bool waits, waits_next;
	bool has_exec;
	struct program exec;
};

struct server {
	const struct engine_start *s;
	struct program main;
	struct conn conn[CONNS_MAX];
	int listen, signals, log;
	bool paused, stop_asked, finished;
	int64_t started, ended, kill_at, restart_at;
	int restarts;
	unsigned long long my_start;
};

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)SECOND + t.tv_nsec;
}

static void write_status(struct server *v, const char *folder, const char *state)
{
	g_autofree char *path = g_build_filename(folder, "status", NULL);
	g_autoptr(GString) t = g_string_new(NULL);

	g_string_append_printf(t, "state %s\n", state);
	if (!g_str_equal(state, "exited"))
		g_string_append_printf(t, "monitor %d %llu\n", (int)getpid(), v->my_start);
	if (g_str_equal(state, "running"))
		g_string_append_printf(t, "pid %d %llu\n", (int)getpid(), v->my_start);
	g_string_append_printf(t,
		"started %" G_GINT64_FORMAT "\nfinished %" G_GINT64_FORMAT
		"\nexit %d\noom 0\nrestarts %d\n",
		v->started, v->ended, v->main.code, v->restarts);
	(void)g_file_set_contents_full(
		path, t->str, (gssize)t->len, G_FILE_SET_CONTENTS_CONSISTENT, 0644, NULL);
}

static void send_msg(
	struct conn *c, unsigned type, unsigned flags, uint32_t value, const void *data, size_t n)
{
	struct msg m = { .type = (uint16_t)type, .flags = (uint16_t)flags, .value = value };
	struct iovec io[] = { { &m, sizeof(m) }, { (void *)(uintptr_t)data, n } };
	struct msghdr h = { .msg_iov = io, .msg_iovlen = n ? 2 : 1 };

	if (c->fd >= 0 && sendmsg(c->fd, &h, MSG_NOSIGNAL) < 0 && errno == EPIPE)
		c->waits = false;
}

static void log_text(struct server *v, int stream, const char *text, size_t n)
{
	const char *p = text, *end = text + n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		g_autoptr(GDateTime) t = g_date_time_new_now_utc();
		g_autofree char *second = g_date_time_format(t, "%Y-%m-%dT%H:%M:%S");

		(void)dprintf(v->log, "%s.%06d000Z %s %c %.*s\n", second,
			g_date_time_get_microsecond(t), stream == 1 ? "stdout" : "stderr",
			nl ? 'F' : 'P', (int)((nl ? nl : end) - p), p);
		p = nl ? nl + 1 : end;
	}
}

static void take_text(struct server *v, struct conn *only, int stream, GString *text)
{
	for (size_t at = 0; at < text->len; at += MSG_DATA_MAX) {
		size_t n = MIN(text->len - at, MSG_DATA_MAX);

		for (unsigned i = 0; i < CONNS_MAX; i++) {
			struct conn *c = &v->conn[i];

			if (only ? c == only : (c->attached & ATTACH_OUTPUT))
				send_msg(c, MSG_OUTPUT, (unsigned)stream, 0, text->str + at, n);
		}
	}
	if (!only)
		log_text(v, stream, text->str, text->len);
	g_string_truncate(text, 0);
}

static void take_output(struct server *v, struct conn *only, struct program *p)
{
	take_text(v, only, 1, p->out);
	take_text(v, only, 2, p->err);
}

static bool wants_restart(const struct server *v)
{
	const struct spec *s = v->s->spec;

	switch (s->restart) {
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		return !v->stop_asked;
	case RESTART_ON_FAILURE:
		return !v->stop_asked && v->main.code &&
		       (!s->restart_max || v->restarts < s->restart_max);
	default:
		return false;
	}
}

static int begin(struct server *v, struct err *e)
{
	const struct spec *s = v->s->spec;
	int r = program_init(&v->main, s->argv, e);

	if (r < 0)
		return r;
	v->main.env = (const char *const *)s->env;
	v->main.cwd = s->cwd;
	v->main.hostname = s->hostname;
	v->started = g_get_real_time() * 1000;
	v->ended = 0;
	v->restart_at = 0;
	return 0;
}

static void tell_exit(struct server *v, bool finally)
{
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &v->conn[i];

		if (c->fd < 0 || !((c->waits && finally) || c->waits_next))
			continue;
		send_msg(c, MSG_EXIT, 0, (uint32_t)v->main.code, NULL, 0);
		c->waits_next = false;
	}
}

static void tell_end(struct server *v)
{
	g_autofree char *line = NULL;
	_cleanup_close_ int fd = -1;

	if (!v->s->events || !v->s->attributes)
		return;
	line = g_strdup_printf(
		"{\"time\":%" G_GINT64_FORMAT
		",\"type\":\"guest\",\"action\":\"die\",\"id\":\"%s\",\"attributes\":{%s%s"
		"\"exitCode\":\"%d\"}}\n",
		v->ended, v->s->id, v->s->attributes, *v->s->attributes ? "," : "", v->main.code);
	fd = open(v->s->events, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		return;
}

static void main_ended(struct server *v)
{
	v->ended = g_get_real_time() * 1000;
	tell_end(v);
	if (wants_restart(v)) {
		v->restart_at = now_ns() + RESTART_WAIT;
		write_status(v, v->s->run_dir, "restarting");
		tell_exit(v, false);
		return;
	}
	v->finished = true;
	write_status(v, v->s->dir, "exited");
	write_status(v, v->s->run_dir, "exited");
	tell_exit(v, true);
}

static void go_on(struct server *v)
{
	int64_t now = now_ns();

	if (v->kill_at && now >= v->kill_at) {
		program_signal(&v->main, SIGKILL);
		v->kill_at = 0;
	}
	if (v->restart_at && now >= v->restart_at) {
		program_clear(&v->main);
		if (begin(v, NULL) >= 0) {
			v->restarts++;
			write_status(v, v->s->run_dir, "running");
		}
	}
	if (!v->paused && !v->restart_at)
		test_program_run(&v->main, now);
	if (!v->restart_at)
		take_output(v, NULL, &v->main);
	for (unsigned i = 0; i < CONNS_MAX; i++) {
		struct conn *c = &v->conn[i];

		if (c->fd < 0 || !c->has_exec)
			continue;
		if (!v->paused)
			test_program_run(&c->exec, now);
		take_output(v, c, &c->exec);
		if (c->exec.over) {
			send_msg(c, MSG_EXIT, 0, (uint32_t)c->exec.code, NULL, 0);
			program_clear(&c->exec);
			c->has_exec = false;
		}
	}
	if (v->main.over && !v->restart_at && !v->finished)
		main_ended(v);
}

/* --- messages ------------------------------------------------------------------------------------------- */

static void close_conn(struct conn *c)
{
	(void)close(c->fd);
	if (c->has_exec)
		program_clear(&c->exec);
	*c = (struct conn){ .fd = -1 };
}

static void send_error(struct conn *c, const struct err *e)
{
	send_msg(c, MSG_ERROR, 0, (uint32_t)e->code, e->text, strlen(e->text) + 1);
}

/* The command is the plan's "exec" step. */
static void start_exec(
	struct server *v, struct conn *c, const struct msg *m, const char *data, size_t n)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct err e = { 0 };
	int r = plan_decode(data, n, tables, &p);

	for (unsigned i = 0; r >= 0 && i < plan_len(p); i++) {
		const struct step *s = plan_step(p, i);

		if (s->op != &step_exec)
			continue;
		r = program_init(&c->exec, (char *const *)s->arg, &e);
		if (r < 0)
			break;
		c->exec.env = (const char *const *)v->s->spec->env;
		c->exec.hostname = v->s->spec->hostname;
		c->has_exec = true;
		send_msg(c, MSG_STARTED, 0, (uint32_t)getpid(), NULL, 0);
		if (m->flags & EXEC_DETACH)
			c->waits = false;
		return;
	}
	if (!e.code)
		err_set(&e, -E_CORRUPT, "the plan of the exec has no command");
	send_error(c, &e);
}

static void stop(struct server *v, uint32_t value)
{
	v->stop_asked = true;
	if (v->restart_at) { /* between two runs */
		v->restart_at = 0;
		return;
	}
	program_signal(&v->main, (int)(value & 0xff));
	if (value >> 8 != 0xffffff)
		v->kill_at = now_ns() + (int64_t)(value >> 8) * SECOND;
}

static void handle(
	struct server *v, struct conn *c, const struct msg *m, const char *data, size_t n)
{
	g_autofree char *status = NULL;

	switch (m->type) {
	case MSG_HELLO:
		status = g_strdup_printf(
			"state running\nmonitor %d %llu\n", (int)getpid(), v->my_start);
		send_msg(c, MSG_STATUS, 0, 0, status, strlen(status));
		break;
	case MSG_ATTACH:
		c->attached = m->flags;
		c->waits = true;
		break;
	case MSG_INPUT:
		if (c->has_exec)
			program_input(&c->exec, data, n, now_ns());
		else if (c->attached & ATTACH_INPUT && v->s->spec->open_stdin)
			program_input(&v->main, data, n, now_ns());
		break;
	case MSG_RESIZE:
		break; /* it has no screen */
	case MSG_SIGNAL:
		program_signal(c->has_exec ? &c->exec : &v->main, (int)m->value);
		break;
	case MSG_STOP:
		c->waits = true;
		stop(v, m->value);
		break;
	case MSG_EXEC:
		start_exec(v, c, m, data, n);
		break;
	case MSG_WAIT:
		*(m->flags & WAIT_NEXT ? &c->waits_next : &c->waits) = true;
		break;
	default: {
		struct err e = { 0 };

		err_set(&e, -E_UNSUPPORTED, "unknown message %u", m->type);
		send_error(c, &e);
	}
	}
}

static void read_conn(struct server *v, struct conn *c)
{
	static char buf[sizeof(struct msg) + MSG_DATA_MAX];
	struct msg m;
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < (ssize_t)sizeof(m)) {
		close_conn(c);
		return;
	}
	memcpy(&m, buf, sizeof(m));
	handle(v, c, &m, buf + sizeof(m), (size_t)n - sizeof(m));
}

static void add_conn(struct server *v, int fd)
{
	for (unsigned i = 0; fd >= 0 && i < CONNS_MAX; i++)
		if (v->conn[i].fd < 0) {
			v->conn[i] = (struct conn){ .fd = fd };
			return;
		}
	closep(&fd);
}

/* --- the loop --------------------------------------------------------------------------------------------- */

static int next_ms(const struct server *v)
{
	int64_t at = 0, now = now_ns();
	const int64_t times[] = { v->paused ? 0 : v->main.sleeps_until, v->kill_at, v->restart_at };

	for (size_t i = 0; i < ELEMENTSOF(times); i++)
		if (times[i] && (!at || times[i] < at))
			at = times[i];
	for (unsigned i = 0; i < CONNS_MAX; i++)
		if (v->conn[i].fd >= 0 && v->conn[i].has_exec && v->conn[i].exec.sleeps_until &&
			(!at || v->conn[i].exec.sleeps_until < at))
			at = v->conn[i].exec.sleeps_until;
	if (!at)
		return -1;
	return at <= now ? 0 : (int)MIN((at - now) / 1000000 + 1, 1000000);
}

static void take_signal(struct server *v)
{
	struct signalfd_siginfo si;

	while (read(v->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGUSR1)
			v->paused = true;
		else if (si.ssi_signo == SIGUSR2)
			v->paused = false;
		else
			program_signal(&v->main, (int)si.ssi_signo);
	}
}

static void loop(struct server *v)
{
	for (;;) {
		struct pollfd p[CONNS_MAX + 2] = { { v->listen, POLLIN, 0 },
			{ v->signals, POLLIN, 0 } };

		go_on(v);
		if (v->finished)
			return;
		for (unsigned i = 0; i < CONNS_MAX; i++)
			p[i + 2] = (struct pollfd){ v->conn[i].fd, POLLIN, 0 };
		if (poll(p, G_N_ELEMENTS(p), next_ms(v)) < 0)
			continue;
		for (unsigned i = 0; i < CONNS_MAX; i++)
			if (p[i + 2].revents && v->conn[i].fd >= 0)
				read_conn(v, &v->conn[i]);
		if (p[0].revents)
			add_conn(v, accept4(v->listen, NULL, NULL, SOCK_CLOEXEC));
		if (p[1].revents)
			take_signal(v);
	}
}

static int open_socket(const char *run_dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)unlinkat(dir, "sock", 0);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/sock", dir);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static unsigned long long own_start(void)
{
	g_autofree char *text = NULL;
	const char *p;

	if (!g_file_get_contents("/proc/self/stat", &text, NULL, NULL))
		return 0;
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? g_ascii_strtoull(p, NULL, 10) : 0;
}

static void set_up(struct server *v)
{
	g_autofree char *log = g_build_filename(v->s->dir, "log", NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t set;

	(void)setsid();
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	v->log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	v->listen = open_socket(v->s->run_dir);
	v->my_start = own_start();
}

_Noreturn void test_serve(
	const struct engine_start *s, int fd, unsigned attach, bool remove, const char *self)
{
	struct server *v = g_new0(struct server, 1);
	struct err e = { 0 };
	bool waited = false;

	v->s = s;
	for (unsigned i = 0; i < CONNS_MAX; i++)
		v->conn[i].fd = -1;
	v->conn[0].fd = fd;
	v->conn[0].attached = attach;
	v->conn[0].waits = attach != 0;
	if (begin(v, &e) < 0) {
		send_error(&v->conn[0], &e);
		_exit(1);
	}
	set_up(v);
	write_status(v, s->run_dir, "running");
	send_msg(&v->conn[0], MSG_STARTED, 0, (uint32_t)getpid(), NULL, 0);
	loop(v);
	for (unsigned i = 0; i < CONNS_MAX; i++)
		waited |= v->conn[i].fd >= 0 && v->conn[i].waits;
	if (remove && !waited && self) {
		char *argv[] = { (char *)"lodge", (char *)"rm", (char *)"--force",
			(char *)(uintptr_t)s->id, NULL };

		(void)execv(self, argv);
	}
	_exit(0);
}
