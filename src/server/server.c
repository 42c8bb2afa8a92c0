/* SPDX-License-Identifier: MIT */
/* The event loop, and a server's beginning and end. */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include "server/server-priv.h"

#define EVENTS	   128
#define NS	   INT64_C(1000000000)
#define STOP_GRACE (10 * NS)
#define FDS_BESIDE 128 /* descriptors that aren't a connection's */

int64_t server_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS + ts.tv_nsec;
}

int server_watch(struct server *s, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };
	int r;

	if (src->watched == (events | EPOLLHUP))
		return 0;
	r = RET_NERRNO(
		epoll_ctl(s->epoll, src->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, src->fd, &ev));
	/* never 0 again: it is in the set, HUP comes always */
	if (r >= 0)
		src->watched = events | EPOLLHUP;
	return r;
}

void server_forget(struct server *s, struct source *src)
{
	if (src->watched)
		(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, src->fd, NULL);
	src->watched = 0;
}

void server_again(struct server *s, struct conn *c)
{
	if (!c->in_again)
		g_queue_push_tail_link(&s->again, &c->again_link);
	c->in_again = true;
}

/* --- time and signals ---------------------------------------------------------------------------------- */

void server_stop(struct server *s)
{
	GList *next;

	if (s->stop_at)
		return;
	s->stop_at = s->now + STOP_GRACE;
	listen_close(s);
	take_stop(s);
	for (GList *l = s->conns.head; l; l = next) {
		struct conn *c = l->data;

		next = l->next;
		if ((c->state == CONN_HEAD && c->in_n == 0) || c->state == CONN_STREAM)
			conn_close(s, c);
	}
}

static void signals_ready(struct server *s, struct source *src, uint32_t events)
{
	struct signalfd_siginfo info;

	while (RET_NERRNO(read(src->fd, &info, sizeof(info))) == sizeof(info))
		server_stop(s);
}

/* poked: whether something has happened that they may tell. */
static void tick_streams(struct server *s, bool poked)
{
	GList *next;

	for (GList *l = s->conns.head; l; l = next) {
		struct conn *c = l->data;

		next = l->next;
		if (c->gone || c->state != CONN_STREAM || (!poked && s->now < c->next_tick))
			continue;
		conn_tick(s, c);
		conn_run(s, c);
	}
}

static void poke_ready(struct server *s, struct source *src, uint32_t events)
{
	while (RET_NERRNO(read(src->fd, s->scratch, SCRATCH_SIZE)) > 0)
		;
	tick_streams(s, true);
}

static void timer_ready(struct server *s, struct source *src, uint32_t events)
{
	uint64_t n;
	GList *next;

	(void)RET_NERRNO(read(src->fd, &n, sizeof(n)));
	tick_streams(s, false);
	for (GList *l = s->conns.head; l; l = next) {
		next = l->next;
		conn_check_deadline(s, l->data);
	}
	/* descriptors may have become free elsewhere, or a connection idle: whoever waits tries again */
	if (!s->stop_at)
		listen_pause(s, false);
	if (s->conns.length || s->takers.length || work_busy(s)) {
		s->idle_since = 0;
	} else if (!s->idle_since) {
		s->idle_since = s->now;
	} else if (s->cfg->idle_exit && s->now - s->idle_since >= s->cfg->idle_exit) {
		server_stop(s);
	}
}

static int64_t tick(const struct server *s)
{
	int64_t t = MIN(s->cfg->timeout, s->cfg->idle_exit ?: s->cfg->timeout) / 4;

	return CLAMP(t, NS / 100, NS);
}

static int open_sources(struct server *s, struct err *e)
{
	int64_t every = tick(s);
	struct timespec ts = { every / NS, every % NS };
	struct itimerspec spec = { ts, ts };
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	s->epoll = RET_NERRNO(epoll_create1(EPOLL_CLOEXEC));
	s->signals = (struct source){ .ready = signals_ready };
	s->timer = (struct source){ .ready = timer_ready };
	s->signals.fd = RET_NERRNO(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
	s->timer.fd = RET_NERRNO(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	r = MIN(MIN(s->epoll, s->signals.fd), s->timer.fd);
	if (r >= 0)
		r = RET_NERRNO(timerfd_settime(s->timer.fd, 0, &spec, NULL));
	if (r >= 0)
		r = server_watch(s, &s->signals, EPOLLIN);
	if (r >= 0)
		r = server_watch(s, &s->timer, EPOLLIN);
	s->poke = (struct source){ .fd = s->cfg->poke, .ready = poke_ready };
	if (r >= 0 && s->cfg->poke)
		r = server_watch(s, &s->poke, EPOLLIN);
	return r < 0 ? err_sys(e, r, "cannot make an event loop") : 0;
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

static void bury(struct server *s)
{
	for (guint i = 0; i < s->graves->len; i++)
		conn_free(s->graves->pdata[i]);
	g_ptr_array_set_size(s->graves, 0);
	if (!s->stop_at && (int)s->conns.length < s->cfg->connections)
		listen_pause(s, false);
}

static int turn(struct server *s, struct err *e)
{
	struct epoll_event events[EVENTS];
	guint again = s->again.length;
	int n = RET_NERRNO(epoll_wait(s->epoll, events, EVENTS, again ? 0 : -1));

	if (n < 0 && n != -EINTR)
		return err_sys(e, n, "cannot wait for events");
	s->now = server_clock();
	for (int i = 0; i < n; i++) {
		struct source *src = events[i].data.ptr;

		/* forgotten in this turn, and not yet freed */
		if (src->watched)
			src->ready(s, src, events[i].events);
	}
	for (; again > 0 && s->again.length; again--) {
		struct conn *c = g_queue_pop_head_link(&s->again)->data;

		c->in_again = false;
		conn_run(s, c);
	}
	bury(s);
	return 0;
}

static int serve(struct server *s, struct err *e)
{
	int r = 0;

	while (r >= 0) {
		if (s->stop_at && s->conns.length == 0 && s->takers.length == 0)
			break;
		if (s->stop_at && s->now > s->stop_at && !work_busy(s))
			break;
		r = turn(s, e);
	}
	return r;
}

/* --- beginning and end --------------------------------------------------------------------------------- */

static void raise_limit(const struct server_config *cfg)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	/* a connection, its file, and the client's body */
	lim.rlim_cur = MIN(lim.rlim_max, (rlim_t)cfg->connections * 3 + FDS_BESIDE);
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}

/* sd_notify(3) */
static void tell_ready(void)
{
	const char *path = g_getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, path, strlen(path));
	if (*path == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)RET_NERRNO(sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&un,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))));
}

static int open_log(struct server *s, struct err *e)
{
	const char *path = s->cfg->log;

	s->log = -1;
	if (!path)
		return 0;
	if (g_str_equal(path, "-"))
		s->log = RET_NERRNO(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
	else
		s->log = RET_NERRNO(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
	return s->log < 0 ? err_sys(e, s->log, "cannot open '%s'", path) : 0;
}

static void server_done(struct server *s)
{
	while (s->conns.head) {
		struct conn *c = s->conns.head->data;

		conn_close(s, c);
		/* a worker still had it */
		if (s->conns.head && s->conns.head->data == c) {
			g_queue_unlink(&s->conns, &c->link);
			g_ptr_array_add(s->graves, c);
		}
	}
	listen_close(s);
	take_forget(s);
	work_stop(s);
	s->stop_at = 1;
	bury(s);
	tls_free(s->tls);
	auth_free(s->auth);
	g_ptr_array_free(s->listeners, TRUE);
	g_ptr_array_free(s->workers, TRUE);
	g_ptr_array_free(s->graves, TRUE);
	g_free(s->scratch);
	closep(&s->epoll);
	closep(&s->signals.fd);
	closep(&s->timer.fd);
	closep(&s->log);
}

int server_run(const struct server_config *cfg, struct err *e)
{
	struct server s = { .cfg = cfg, .epoll = -1, .log = -1 };
	int r;

	s.signals.fd = s.timer.fd = -1;
	s.listeners = g_ptr_array_new_with_free_func(listener_free);
	s.workers = g_ptr_array_new();
	s.graves = g_ptr_array_new();
	s.scratch = g_malloc(SCRATCH_SIZE);
	s.now = s.idle_since = server_clock();
	raise_limit(cfg);
	r = cfg->htpasswd ? auth_new(cfg->htpasswd, &s.auth, e) : 0;
	if (r >= 0 && cfg->tls_cert)
		r = tls_new(cfg, &s.tls, e);
	if (r >= 0)
		r = open_log(&s, e);
	if (r >= 0)
		r = open_sources(&s, e);
	/* before there is anything that they would inherit */
	if (r >= 0)
		r = work_start(&s, e);
	if (r >= 0)
		r = listen_open(&s, e);
	if (r >= 0) {
		tell_ready();
		r = serve(&s, e);
	}
	server_done(&s);
	return r;
}
