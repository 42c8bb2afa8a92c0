/* SPDX-License-Identifier: MIT */
/* Sockets that listen: of internet addresses, of the file system, and those that systemd hands over. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/units.h"
#include "server/server-priv.h"

#define FIRST_FD     3 /* sd_listen_fds(3) */
#define LISTEN_MAX   64
#define ACCEPT_TURNS 64

static char *address_text(const struct sockaddr_storage *ss, socklen_t len)
{
	char host[INET6_ADDRSTRLEN];

	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		return g_strdup_printf("%s:%d", host, ntohs(in->sin_port));
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)ss;

		(void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
		return g_strdup_printf("[%s]:%d", host, ntohs(in->sin6_port));
	}
	if (ss->ss_family == AF_UNIX && len > sizeof(sa_family_t)) {
		const struct sockaddr_un *un = (const void *)ss;

		return g_strdup_printf("unix:%s", un->sun_path);
	}
	return g_strdup("unix:");
}

static int add(struct server *s, int fd, char *unlink_path, struct err *e)
{
	struct listener *l = g_new0(struct listener, 1);
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	g_autofree char *text = NULL;
	int r;

	l->src = (struct source){ .fd = fd, .ready = listener_ready };
	l->unlink = unlink_path;
	g_ptr_array_add(s->listeners, l);
	r = server_watch(s, &l->src, EPOLLIN);
	if (r < 0)
		return err_sys(e, r, "cannot wait for connections");
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		text = address_text(&ss, len);
	if (s->cfg->ready)
		s->cfg->ready(text ?: "?", s->cfg->data);
	return 0;
}

/* "HOST:PORT", "[HOST]:PORT", ":PORT" */
static int split_address(const char *address, char **ret_host, char **ret_port, struct err *e)
{
	const char *colon = strrchr(address, ':');
	g_autofree char *host = NULL;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		strlen(colon + 1) > 5) {
		int r = err_set(e, -E_INVALID, "address '%s' has no port", address);

		err_mend(e, "write HOST:PORT, :PORT or unix:PATH");
		return r;
	}
	host = g_strndup(address, (gsize)(colon - address));
	if (*host == '[' && g_str_has_suffix(host, "]")) {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	*ret_host = g_steal_pointer(&host);
	*ret_port = g_strdup(colon + 1);
	return 0;
}

static int open_tcp(struct server *s, const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *all = NULL;
	g_autofree char *host = NULL, *port = NULL;
	_cleanup_close_ int fd = -1;
	int r = split_address(address, &host, &port, e), one = 1, zero = 0;

	if (r < 0)
		return r;
	/* ":PORT" is every address, of both kinds where there is IPv6 */
	r = getaddrinfo(*host ? host : NULL, port, &hints, &all);
	if (r != 0)
		return err_set(
			e, -E_INVALID, "cannot listen on '%s': %s", address, gai_strerror(r));
	r = -EADDRNOTAVAIL;
	for (int want_six = *host ? 0 : 1; r < 0 && want_six >= 0; want_six--)
		for (struct addrinfo *a = all; r < 0 && a; a = a->ai_next) {
			if (want_six && a->ai_family != AF_INET6)
				continue;
			fd = RET_NERRNO(socket(
				a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
			if (fd < 0) {
				r = fd;
				continue;
			}
			(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
			if (a->ai_family == AF_INET6)
				(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
					*host ? &one : &zero, sizeof(one));
			r = RET_NERRNO(bind(fd, a->ai_addr, a->ai_addrlen));
			if (r >= 0)
				r = RET_NERRNO(listen(fd, SOMAXCONN));
			if (r < 0)
				closep(&fd);
		}
	freeaddrinfo(all);
	if (r < 0) {
		fd = -1;
		return err_sys(e, r, "cannot listen on '%s'", address);
	}
	return add(s, TAKE_FD(fd), NULL, e);
}

static int open_unix(struct server *s, const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1, probe = -1;
	int r;

	if (*path != '/' || strlen(path) >= sizeof(un.sun_path))
		return err_set(e, -E_INVALID,
			"cannot listen on 'unix:%s': not an absolute path of at most %zu bytes",
			path, sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = RET_NERRNO(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return err_sys(e, fd, "cannot make a socket");
	r = RET_NERRNO(bind(fd, (struct sockaddr *)&un, sizeof(un)));
	if (r == -EADDRINUSE) {
		/* one that a killed server left has nobody behind it */
		probe = RET_NERRNO(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		if (probe >= 0 && RET_NERRNO(connect(probe, (struct sockaddr *)&un, sizeof(un))) ==
					  -ECONNREFUSED) {
			(void)unlink(path);
			r = RET_NERRNO(bind(fd, (struct sockaddr *)&un, sizeof(un)));
		}
	}
	if (r >= 0)
		r = RET_NERRNO(listen(fd, SOMAXCONN));
	if (r < 0)
		return err_sys(e, r, "cannot listen on 'unix:%s'", path);
	return add(s, TAKE_FD(fd), g_strdup(path), e);
}

/* Sockets by systemd's protocol: LISTEN_PID is us, LISTEN_FDS how many from 3 on. */
static int take_passed(struct server *s, int *ret_n, struct err *e)
{
	const char *pid = g_getenv("LISTEN_PID"), *fds = g_getenv("LISTEN_FDS");
	int64_t n = 0, p = 0;
	int r = 0;

	*ret_n = 0;
	if (!pid || !fds || http_number((struct http_text){ pid, strlen(pid) }, &p) < 0 ||
		p != getpid())
		return 0;
	if (http_number((struct http_text){ fds, strlen(fds) }, &n) < 0 || n < 1 || n > LISTEN_MAX)
		return err_set(e, -E_INVALID, "LISTEN_FDS is '%s'", fds);
	for (int fd = FIRST_FD; r >= 0 && fd < FIRST_FD + n; fd++) {
		int listens = 0;
		socklen_t len = sizeof(listens);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
			return err_set(e, -E_INVALID,
				"descriptor %d of LISTEN_FDS isn't a socket that listens", fd);
		r = RET_NERRNO(fcntl(fd, F_SETFD, FD_CLOEXEC));
		if (r >= 0)
			r = RET_NERRNO(fcntl(fd, F_SETFL, O_NONBLOCK));
		if (r < 0)
			return err_sys(e, r, "cannot take descriptor %d of LISTEN_FDS", fd);
		r = add(s, fd, NULL, e);
	}
	g_unsetenv("LISTEN_PID");
	g_unsetenv("LISTEN_FDS");
	*ret_n = (int)n;
	return MIN(r, 0);
}

/* The only client hands over one end of a socket pair for each connection that it wants. */
static void handed_ready(struct server *s, struct source *src, uint32_t events)
{
	int fd;
	char c;
	ssize_t n = message_recv(src->fd, &c, 1, &fd);

	if (n <= 0 && n != -EAGAIN && n != -EINTR) {
		server_stop(s);
		return;
	}
	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	conn_new(s, fd, g_strdup("-"));
}

static int open_handed(struct server *s, struct err *e)
{
	struct listener *l = g_new0(struct listener, 1);
	int r;

	l->src = (struct source){ .fd = s->cfg->handed, .ready = handed_ready };
	g_ptr_array_add(s->listeners, l);
	r = server_watch(s, &l->src, EPOLLIN);
	return r < 0 ? err_sys(e, r, "cannot wait for connections") : 0;
}

int listen_open(struct server *s, struct err *e)
{
	int n = 0, r;

	if (s->cfg->handed)
		return open_handed(s, e);
	r = take_passed(s, &n, e);

	for (char *const *a = s->cfg->listen; r >= 0 && a && *a; a++, n++)
		r = g_str_has_prefix(*a, "unix:") ? open_unix(s, *a + strlen("unix:"), e)
						  : open_tcp(s, *a, e);
	if (r >= 0 && n == 0)
		r = err_set(
			e, -E_USAGE, "nowhere to listen: give --listen, or a socket by LISTEN_FDS");
	return r;
}

/* A client whose machine is gone is noticed, by whoever has its connection. */
static void keep_asking(int fd)
{
	int one = 1, idle = 30, every = 10;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
}

void listener_ready(struct server *s, struct source *src, uint32_t events)
{
	for (int i = 0; i < ACCEPT_TURNS; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		int fd;

		if ((int)s->conns.length >= s->cfg->connections && !conn_evict(s)) {
			listen_pause(s, true);
			return;
		}
		fd = RET_NERRNO(accept4(
			src->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK));
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM)
			listen_pause(s, true);
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		if (fd < 0)
			return;
		if (ss.ss_family != AF_UNIX)
			keep_asking(fd);
		conn_new(s, fd, ss.ss_family == AF_UNIX ? g_strdup("-") : address_text(&ss, len));
	}
}

void listen_pause(struct server *s, bool pause)
{
	for (guint i = 0; i < s->listeners->len; i++) {
		struct listener *l = s->listeners->pdata[i];

		if (l->paused != pause)
			(void)server_watch(s, &l->src, pause ? 0 : EPOLLIN);
		l->paused = pause;
	}
}

void listener_free(void *p)
{
	struct listener *l = p;

	g_free(l->unlink);
	g_free(l);
}

/* They are freed later: this turn may still have events of theirs. */
void listen_close(struct server *s)
{
	for (guint i = 0; i < s->listeners->len; i++) {
		struct listener *l = s->listeners->pdata[i];

		server_forget(s, &l->src);
		closep(&l->src.fd);
		l->src.fd = -1;
		if (l->unlink)
			(void)unlink(l->unlink);
		g_clear_pointer(&l->unlink, g_free);
	}
}
