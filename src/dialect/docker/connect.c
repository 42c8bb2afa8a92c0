/* SPDX-License-Identifier: MIT */
/* Where a client's connections go: a socket of the file system, of the internet, or a server that it forks itself. */

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "dialect/docker/client-priv.h"
#include "dialect/docker/docker.h"

/* --- bytes ------------------------------------------------------------------------------------------------ */

ssize_t channel_read(struct channel *c, void *p, size_t n)
{
	ssize_t r;

	if (c->tls)
		return client_tls_read(c->tls, p, n);
	do
		r = RET_NERRNO(recv(c->fd, p, n, 0));
	while (r == -EINTR);
	return r;
}

int channel_write(struct channel *c, const void *p, size_t n)
{
	const char *at = p;

	if (c->tls)
		return n ? client_tls_write(c->tls, p, n) : 0;
	while (n > 0) {
		ssize_t r = RET_NERRNO(send(c->fd, at, n, MSG_NOSIGNAL));

		if (r == -EINTR)
			continue;
		if (r < 0)
			return (int)r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

ssize_t channel_write_some(struct channel *c, const void *p, size_t n)
{
	ssize_t r;

	if (c->tls) {
		r = channel_write(c, p, n);
		return r < 0 ? r : (ssize_t)n;
	}
	r = RET_NERRNO(send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT));
	return r == -EINTR ? -EAGAIN : r;
}

bool channel_pending(const struct channel *c)
{
	return c->tls && client_tls_pending(c->tls);
}

void channel_shut(struct channel *c)
{
	if (c->tls)
		client_tls_shut(c->tls);
	else
		(void)shutdown(c->fd, SHUT_WR);
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	client_tls_free(c->tls);
	(void)close(c->fd);
	g_free(c);
}

/* --- a server of our own ------------------------------------------------------------------------------------ */

static int start_server(struct client *cl, struct err *e)
{
	int pair[2];
	int r = RET_NERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));

	if (r < 0)
		return err_sys(e, r, "cannot make a socket");
	/* what the client has buffered is the client's to say */
	(void)fflush(stdout);
	cl->server = RET_NERRNO(fork());
	if (cl->server == 0) {
		(void)close(pair[0]);
		docker_serve_client(cl->c, pair[1]);
	}
	(void)close(pair[1]);
	if (cl->server < 0) {
		(void)close(pair[0]);
		return err_sys(e, cl->server, "cannot start a server");
	}
	cl->control = pair[0];
	return 0;
}

static int hand_over(int control, int fd)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	struct iovec iov = { (char *)"c", 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };

	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.h), &fd, sizeof(int));
	return (int)RET_NERRNO(sendmsg(control, &m, MSG_NOSIGNAL));
}

static int open_own(struct client *cl, struct err *e)
{
	int pair[2], r = 0;

	if (cl->control < 0)
		r = start_server(cl, e);
	if (r < 0)
		return r;
	r = RET_NERRNO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	if (r < 0)
		return err_sys(e, r, "cannot make a socket");
	r = hand_over(cl->control, pair[1]);
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		return err_sys(e, r, "the server has ended");
	}
	return pair[0];
}

/* --- servers elsewhere --------------------------------------------------------------------------------------- */

static int no_server(const struct client *cl, int code, struct err *e)
{
	if (code == -EACCES || code == -EPERM)
		return err_set(e, -EACCES,
			"permission denied while trying to connect to the Docker daemon socket at "
			"%s",
			cl->host);
	return err_set(e, -ECONNREFUSED,
		"Cannot connect to the Docker daemon at %s. Is the docker daemon running?",
		cl->host);
}

static int open_unix(struct client *cl, const char *path, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(e, -E_INVALID, "unix socket path \"%s\" is too long", path);
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = RET_NERRNO(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return err_sys(e, fd, "cannot make a socket");
	r = RET_NERRNO(connect(fd, (struct sockaddr *)&un, sizeof(un)));
	if (r >= 0)
		return fd;
	(void)close(fd);
	return no_server(cl, r, e);
}

/* Of "HOST:PORT", without the brackets of an IPv6 address. */
static char *host_name(const char *address)
{
	const char *colon = strrchr(address, ':');
	char *host = g_strndup(address, (gsize)(colon - address));

	if (*host == '[' && g_str_has_suffix(host, "]")) {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	return host;
}

static int open_tcp(struct client *cl, const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	g_autofree char *host = NULL;
	const char *colon = strrchr(address, ':');
	int one = 1, fd = -EHOSTUNREACH;

	if (!colon || !colon[1] || colon == address)
		return err_set(e, -E_INVALID, "unable to parse docker host `tcp://%s`", address);
	host = host_name(address);
	if (getaddrinfo(host, colon + 1, &hints, &all) != 0)
		return no_server(cl, -EHOSTUNREACH, e);
	for (struct addrinfo *a = all; fd < 0 && a; a = a->ai_next) {
		int r;

		fd = RET_NERRNO(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
		r = fd < 0 ? fd : RET_NERRNO(connect(fd, a->ai_addr, a->ai_addrlen));
		if (fd >= 0 && r < 0) {
			(void)close(fd);
			fd = r;
		}
	}
	freeaddrinfo(all);
	if (fd < 0)
		return no_server(cl, fd, e);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

const char *channel_host(const struct client *cl)
{
	return cl->host && g_str_has_prefix(cl->host, "tcp://") ? cl->host + strlen("tcp://")
								: "api.moby.localhost";
}

int channel_open(struct client *cl, struct channel **ret, struct err *e)
{
	int fd;

	if (!cl->host)
		fd = open_own(cl, e);
	else if (g_str_has_prefix(cl->host, "unix://"))
		fd = open_unix(cl, cl->host + strlen("unix://"), e);
	else if (g_str_has_prefix(cl->host, "tcp://"))
		fd = open_tcp(cl, cl->host + strlen("tcp://"), e);
	else
		return err_set(e, -E_INVALID, "unable to parse docker host `%s`", cl->host);
	if (fd < 0)
		return fd;
	*ret = g_new0(struct channel, 1);
	(*ret)->fd = fd;
	if (cl->tls) {
		g_autofree char *name = host_name(cl->host + strlen("tcp://"));
		int r = client_tls_open(cl, fd, name, &(*ret)->tls, e);

		if (r < 0) {
			channel_free(*ret);
			*ret = NULL;
			return r;
		}
	}
	return 0;
}
