/* SPDX-License-Identifier: MIT */
#include "guest/service.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "guest/guest-priv.h"

#define INPUT_CHUNK (32 * 1024)
#define ERRORS_MAX  1024 /* bytes of a service's standard error that are kept */
#define WORDS_MAX   (MSG_DATA_MAX - 1)

/* --- the way to it --- */

int machine_has_services(const struct guest *g, struct err *e)
{
	if (!g->spec->vm)
		return 0;
	if (!g->spec->vm->full)
		return 1;
	err_set(e, -E_UNSUPPORTED,
		"machine '%s' boots a system of its own: there is no way into it", g->rec->name);
	err_mend(e, "use ssh, or what its system offers");
	return -E_UNSUPPORTED;
}

struct machine_link {
	struct ctx *c;
	struct guest *g;
	int fd, lock; /* lock: -1 for one that runs */
};

int machine_link_open(
	struct ctx *c, struct guest *g, unsigned flags, struct machine_link **ret, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int fd;

	if (!guest_is_up(g)) { /* nobody starts it meanwhile */
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
	}
	if (g->state == GUEST_PAUSED) {
		err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
		err_mend(e, "`lodge unpause %s` first", g->rec->name);
		return -E_STATE;
	}
	if (guest_is_up(g)) {
		closep(&lock);
		lock = -1;
	}
	fd = lock < 0 ? monitor_connect(c, g, e) : machine_hold(c, g, flags & MACHINE_BARE, e);
	if (fd < 0)
		return fd;
	*ret = g_new0(struct machine_link, 1);
	**ret = (struct machine_link){ c, g, fd, TAKE_FD(lock) };
	return 0;
}

int machine_link_close(struct machine_link *l, struct err *e)
{
	int r = 0;

	if (!l)
		return 0;
	if (l->lock >= 0)
		r = machine_release(l->c, l->g, l->fd, e);
	else
		(void)close(l->fd);
	closep(&l->lock);
	g_free(l);
	return r;
}

void machine_link_freep(struct machine_link **l)
{
	(void)machine_link_close(*l, NULL);
}

/* --- services --- */

struct service {
	int fd;
	service_out out;
	void *data;
	char *buf;	  /* MSG_DATA_MAX bytes */
	GString *errors;  /* what it said on standard error */
	bool ended, lost; /* lost: without an answer, err says why */
	int status, out_code;
	struct err err; /* of lost, of out */
};

static void service_free(struct service *s)
{
	if (!s)
		return;
	g_free(s->buf);
	g_string_free(s->errors, TRUE);
	g_free(s);
}

/* Nobody wants it any more. */
static void cut(const struct service *s)
{
	(void)monitor_send(s->fd, MSG_SIGNAL, 0, SIGKILL, NULL, 0, NULL);
}

/* Ends it: the connection can be used for another. */
void service_freep(struct service **s)
{
	struct service *v = *s;

	if (!v)
		return;
	v->out = NULL;
	if (!v->ended)
		cut(v);
	(void)service_end(v, NULL, NULL);
}

static int lose(struct service *s, int code)
{
	s->ended = s->lost = true;
	s->err.code = code;
	return code;
}

static void take_output(struct service *s, unsigned stream, size_t n)
{
	if (stream == 2) {
		g_string_append_len(s->errors, s->buf,
			(gssize)MIN(n, ERRORS_MAX - MIN(s->errors->len, ERRORS_MAX)));
		return;
	}
	if (s->out_code < 0)
		return;
	if (s->out)
		s->out_code = s->out(s->data, s->buf, n, &s->err);
	if (s->out_code < 0)
		cut(s);
}

static void take_packet(struct service *s)
{
	struct msg m;
	ssize_t n = monitor_receive(s->fd, &m, s->buf, &s->err);

	if (n == -EAGAIN)
		return;
	if (n < 0) {
		(void)lose(s, (int)n);
		return;
	}
	switch (m.type) {
	case MSG_OUTPUT:
		take_output(s, m.flags, (size_t)n);
		return;
	case MSG_EXIT:
		s->ended = true;
		s->status = (int)(m.value & 0xff);
		return;
	case MSG_ERROR:
		(void)lose(s, monitor_error(&m, s->buf, (size_t)n, &s->err));
		return;
	default: /* MSG_STARTED */
		return;
	}
}

/* Waits until something can be done, and takes what has come. */
static int step(struct service *s, bool write, bool *ret_writable)
{
	struct pollfd p = { s->fd, POLLIN | (write ? POLLOUT : 0), 0 };

	int r = RET_NERRNO(poll(&p, 1, -1));

	*ret_writable = false;
	if (r < 0)
		return r == -EINTR ? 0 : lose(s, err_sys(&s->err, r, "cannot wait"));
	if (p.revents & ~POLLOUT)
		take_packet(s);
	*ret_writable = p.revents & POLLOUT;
	return 0;
}

/* n 0: the end of the input. */
static void put_packet(struct service *s, const void *bytes, size_t n)
{
	while (!s->ended) {
		struct msg m = { .type = MSG_INPUT };
		struct iovec v[] = { { &m, sizeof(m) }, { (void *)(uintptr_t)bytes, n } };
		struct msghdr h = { .msg_iov = v, .msg_iovlen = n ? 2 : 1 };
		bool writable;
		ssize_t k;

		if (step(s, true, &writable) < 0 || s->ended)
			return;
		if (!writable)
			continue;
		k = RET_NERRNO(sendmsg(s->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT));
		if (k >= 0)
			return;
		/* its end is told by what we read */
		if (k != -EAGAIN && k != -EINTR && k != -EPIPE && k != -ECONNRESET) {
			(void)lose(
				s, err_sys(&s->err, (int)k, "cannot talk to the guest's monitor"));
			return;
		}
	}
}

int service_begin(struct machine_link *l, const char *const words[], service_out out, void *data,
	struct service **ret, struct err *e)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	struct service *s;
	int r;

	for (const char *const *w = words; *w; w++)
		g_byte_array_append(text, (const guint8 *)*w, (guint)strlen(*w) + 1);
	if (text->len > WORDS_MAX)
		return err_set(e, -E_LIMIT, "a path is longer than %d bytes", WORDS_MAX);
	r = monitor_send(l->fd, MSG_SERVE, 0, 0, text->data, text->len, e);
	if (r < 0)
		return r;
	s = g_new0(struct service, 1);
	s->fd = l->fd;
	s->out = out;
	s->data = data;
	s->buf = g_malloc(MSG_DATA_MAX);
	s->errors = g_string_new(NULL);
	*ret = s;
	return 0;
}

int service_put(struct service *s, const void *bytes, size_t n, struct err *e)
{
	const char *p = bytes;

	while (n > 0 && !s->ended && s->out_code >= 0) {
		size_t part = MIN(n, INPUT_CHUNK);

		put_packet(s, p, part);
		p += part;
		n -= part;
	}
	return s->ended || s->out_code < 0 ? err_set(e, -EPIPE, "the machine takes no more") : 0;
}

/* What lodge-init said, in one line that can't do anything to a terminal. */
static int own_words(struct service *s, struct err *e)
{
	char *t = g_strchomp(s->errors->str);

	for (unsigned char *p = (unsigned char *)t; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (!*t)
		return err_set(
			e, -EIO, "the machine's lodge-init failed with status %d", s->status);
	return err_set(e, -EIO, "%s", t);
}

int service_end(struct service *s, int *ret_status, struct err *e)
{
	bool writable;
	int r = 0;

	put_packet(s, NULL, 0);
	while (!s->ended)
		(void)step(s, false, &writable);
	if (s->out_code < 0 || s->lost) {
		r = s->out_code < 0 ? s->out_code : s->err.code;
		if (e)
			*e = s->err;
	} else if (s->status != 0 && !ret_status) {
		r = own_words(s, e);
	}
	if (r >= 0 && ret_status)
		*ret_status = s->status;
	service_free(s);
	return r;
}

int service_run(struct machine_link *l, const char *const words[], service_out out, void *data,
	struct err *e)
{
	struct service *s;
	int r = service_begin(l, words, out, data, &s, e);

	return r < 0 ? r : service_end(s, NULL, e);
}

int service_to_fd(void *data, const void *bytes, size_t n, struct err *e)
{
	const int *fd = data;
	const char *p = bytes;

	while (n > 0) {
		ssize_t k = RET_NERRNO(write(*fd, p, n));

		if (k == -EINTR)
			continue;
		if (k == -EAGAIN) {
			struct pollfd w = { *fd, POLLOUT, 0 };

			(void)poll(&w, 1, -1);
			continue;
		}
		if (k < 0)
			return err_sys(e, (int)k, "cannot write the archive");
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int service_to_bytes(void *data, const void *bytes, size_t n, struct err *e)
{
	GByteArray *to = data;

	if (n > SERVICE_TEXT_MAX - to->len)
		return err_set(
			e, -E_LIMIT, "the machine says more than %d MiB", SERVICE_TEXT_MAX >> 20);
	g_byte_array_append(to, bytes, (guint)n);
	return 0;
}
