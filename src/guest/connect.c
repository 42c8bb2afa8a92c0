/* SPDX-License-Identifier: MIT */
/* The client's side of monitor/proto.h. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "guest/guest-priv.h"

int monitor_connect(struct ctx *c, const struct guest *g, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	g_autofree char *path = guest_run_dir(c, g);
	_cleanup_close_ int dir = -1, fd = -1;
	int r;

	if (g->unmonitored)
		return err_set(
			e, -E_STATE, "guest '%s' has no monitor: it was killed", g->rec->name);
	/* LODGE_RUN may be longer than a socket's address: the folder's descriptor isn't */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, -E_STATE, "guest '%s' is not running", g->rec->name);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/sock", dir);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		r = -errno;
		if (r == -ENOENT || r == -ECONNREFUSED)
			return err_set(e, -E_STATE, "guest '%s' is not running", g->rec->name);
		return err_sys(e, r, "cannot connect to the monitor of guest '%s'", g->rec->name);
	}
	return TAKE_FD(fd);
}

int monitor_send(int fd, unsigned type, unsigned flags, uint32_t value, const void *data, size_t n,
	struct err *e)
{
	struct msg m = { .type = type, .flags = flags, .value = value };
	struct iovec v[] = { { &m, sizeof(m) }, { (void *)data, n } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = n ? 2 : 1 };
	ssize_t r = RET_NERRNO(sendmsg(fd, &h, MSG_NOSIGNAL));

	if (r < 0)
		return err_sys(e, r, "cannot talk to the guest's monitor");
	return 0;
}

int monitor_send_fd(int conn, unsigned type, const void *data, size_t n, int fd, struct err *e)
{
	struct msg m = { .type = (uint16_t)type };
	struct iovec v[] = { { &m, sizeof(m) }, { (void *)(uintptr_t)data, n } };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS } };
	struct msghdr h = { .msg_iov = v,
		.msg_iovlen = n ? 2 : 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t r;

	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	r = RET_NERRNO(sendmsg(conn, &h, MSG_NOSIGNAL));
	return r < 0 ? err_sys(e, (int)r, "cannot talk to the guest's monitor") : 0;
}

ssize_t monitor_receive(int fd, struct msg *m, char *buf, struct err *e)
{
	struct iovec v[] = { { m, sizeof(*m) }, { buf, MSG_DATA_MAX } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t n;

	do
		n = RET_NERRNO(recvmsg(fd, &h, MSG_CMSG_CLOEXEC));
	while (n == -EINTR);
	if (n == 0)
		n = -ECONNRESET;
	if (n == -EAGAIN)
		return n;
	if (n < 0)
		return err_sys(e, n, "lost the guest's monitor");
	if ((size_t)n < sizeof(*m))
		return err_set(e, -EPROTO, "the guest's monitor sent %zd bytes", n);
	return n - sizeof(*m);
}

int monitor_error(const struct msg *m, const char *payload, size_t n, struct err *e)
{
	g_autofree char *copy = g_malloc0(n + 2); /* "text\0mend" */
	int code = (int)m->value;

	memcpy(copy, payload, n);
	if (code >= 0 || code < -_E_END)
		code = -EPROTO;
	(void)err_set(e, code, "%s", copy);
	if (strlen(copy) + 1 < n)
		err_mend(e, "%s", copy + strlen(copy) + 1);
	return code;
}
