/* SPDX-License-Identifier: MIT */
/*
 * Attaching to a guest that isn't started yet. Who waits listens on RUN/waiting/ID.PID.FLAGS (ATTACH_*, for the start);
 * who starts the guest attaches for the first of them, from before its first byte, and hands the connection over. The
 * others are told, and attach by themselves.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "guest/guest-priv.h"

#define ID_LENGTH 64

static int open_folder(struct ctx *c, bool make)
{
	g_autofree char *path = store_run_path(c, "waiting");

	if (make)
		(void)mkdir(path, 0700);
	return RET_NERRNO(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* An address of at most 108 bytes, however long LODGE_RUN is. */
static void address_of(int folder, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", folder, name);
}

/* --- who waits -------------------------------------------------------------------------------------------- */

/* "ID.PID.FLAGS" cut to what an address takes: the id's first 32 digits are enough to tell guests apart. */
static int listen_as(int folder, const char *id, unsigned flags, char *ret_name, size_t size)
{
	_cleanup_close_ int fd = RET_NERRNO(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	struct sockaddr_un a;
	int r;

	if (fd < 0)
		return TAKE_FD(fd);
	(void)snprintf(ret_name, size, "%.32s.%d.%u", id, (int)getpid(), flags);
	address_of(folder, ret_name, &a);
	(void)unlinkat(folder, ret_name, 0);
	r = RET_NERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	if (r >= 0)
		r = RET_NERRNO(listen(fd, 4));
	return r < 0 ? r : TAKE_FD(fd);
}

/* The descriptor that a connection brings; -1: none. */
static int take_over(int listener)
{
	_cleanup_close_ int fd = RET_NERRNO(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };
	struct cmsghdr *h;
	int got = -1;

	if (fd < 0 || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(h), sizeof(int));
	return got;
}

static int wait_for_start(
	struct ctx *c, struct guest *g, unsigned flags, int listener, int cancel_fd, struct err *e)
{
	/* a client without input has shut its half of the connection long ago: only its end counts */
	struct pollfd p[] = { { listener, POLLIN, 0 }, { cancel_fd, 0, 0 } };
	g_autofree char *dir = guest_dir(c, g);

	for (;;) {
		int fd, r = RET_NERRNO(poll(p, ELEMENTSOF(p), -1));

		if (r < 0 && r != -EINTR)
			return err_sys(e, r, "cannot wait");
		if (p[1].revents)
			return err_set(e, -ECANCELED, "nobody waits any more");
		fd = p[0].revents ? take_over(listener) : -1;
		if (fd >= 0)
			return fd;
		/* started, and not for us: there is no more to wait for than what it has said */
		guest_refresh(c, g);
		if (guest_is_up(g))
			return attach_running(c, g, flags | ATTACH_REPLAY, e);
		if (access(dir, F_OK) < 0)
			return err_set(e, -E_NOTFOUND, "guest '%s' was removed", g->rec->name);
	}
}

int guest_await(struct ctx *c, struct guest *g, const struct guest_stdio *io,
	int (*ready)(void *data), void *data, int cancel_fd, struct err *e)
{
	_cleanup_close_ int folder = open_folder(c, true), listener = -1;
	unsigned flags = attach_flags(io, false);
	char name[80];
	int r;

	if (folder < 0)
		return err_sys(e, folder, "cannot open '%s/waiting'", c->run);
	listener = listen_as(folder, g->rec->id, flags, name, sizeof(name));
	if (listener < 0)
		return err_sys(e, TAKE_FD(listener), "cannot wait for the start of guest '%s'",
			g->rec->name);
	/* whoever starts it from here on tells us */
	guest_refresh(c, g);
	r = ready(data);
	if (r >= 0)
		r = guest_is_up(g) ? attach_running(c, g, flags, e)
				   : wait_for_start(c, g, flags, listener, cancel_fd, e);
	(void)unlinkat(folder, name, 0);
	return r;
}

/* --- who starts -------------------------------------------------------------------------------------------- */

/* Calls for each of those who wait for the guest, until cb returns a descriptor. */
static int each(struct ctx *c, const struct guest *g, int (*cb)(int fd, unsigned flags, void *data),
	void *data)
{
	g_autofree char *path = store_run_path(c, "waiting");
	_cleanup_close_ int folder = open_folder(c, false);
	GDir *dir = folder >= 0 ? g_dir_open(path, 0, NULL) : NULL;
	const char *name;
	int found = -1;

	while (found < 0 && dir && (name = g_dir_read_name(dir))) {
		const char *dot = strrchr(name, '.');
		struct sockaddr_un a;
		int fd;

		if (strncmp(name, g->rec->id, ID_LENGTH / 2) != 0 || !dot)
			continue;
		fd = RET_NERRNO(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
		address_of(folder, name, &a);
		if (fd < 0)
			break;
		if (RET_NERRNO(connect(fd, (struct sockaddr *)&a, sizeof(a))) < 0) {
			/* whoever waited was killed */
			(void)unlinkat(folder, name, 0);
			(void)close(fd);
			continue;
		}
		found = cb(fd, (unsigned)g_ascii_strtoull(dot + 1, NULL, 10), data);
	}
	if (dir)
		g_dir_close(dir);
	return found;
}

static int keep(int fd, unsigned flags, void *data)
{
	*(unsigned *)data = flags;
	return fd;
}

int await_first(struct ctx *c, const struct guest *g, unsigned *ret_flags)
{
	*ret_flags = 0;
	return c->explain ? -1 : each(c, g, keep, ret_flags);
}

void await_hand_over(int waiting, int fd)
{
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = { 0 };
	struct iovec iov = { (char *)"s", 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };

	u.h.cmsg_level = SOL_SOCKET;
	u.h.cmsg_type = SCM_RIGHTS;
	u.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.h), &fd, sizeof(int));
	/* one that is gone meanwhile closes the session, and the monitor sees that */
	(void)RET_NERRNO(sendmsg(waiting, &m, MSG_NOSIGNAL));
}

static int tell(int fd, unsigned flags, void *data)
{
	(void)close(fd);
	return -1;
}

void await_tell_rest(struct ctx *c, const struct guest *g)
{
	(void)each(c, g, tell, NULL);
}
