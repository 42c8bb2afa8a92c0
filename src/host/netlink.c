/* SPDX-License-Identifier: MIT */
#include "host/netlink.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MAX (16 * 1024) /* bytes: dumps come in pieces of at most half of this */

void nl_buf_done(struct nl_buf *b)
{
	if (b->own)
		free(b->p);
	*b = (struct nl_buf){ .own = b->own };
}

/* Room for n bytes at the end, zeroed; NULL when there is none. */
static uint8_t *room(struct nl_buf *b, size_t n)
{
	if (b->cut)
		return NULL;
	if (b->size - b->n < n) {
		size_t size = b->size ? b->size * 2 : 4096;
		uint8_t *p;

		while (size - b->n < n)
			size *= 2;
		p = b->own ? realloc(b->p, size) : NULL;
		if (!p) {
			b->cut = true;
			return NULL;
		}
		b->p = p;
		b->size = size;
	}
	memset(b->p + b->n, 0, n);
	b->n += n;
	return b->p + b->n - n;
}

/* The message's length is kept right after each addition. */
static void grown(struct nl_buf *b)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(b->p + b->msg);

	h->nlmsg_len = (uint32_t)(b->n - b->msg);
}

void nl_put_raw(struct nl_buf *b, const void *data, size_t n)
{
	uint8_t *p = room(b, NLMSG_ALIGN(n));

	if (!p)
		return;
	if (n > 0)
		memcpy(p, data, n);
	grown(b);
}

void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, const void *header, size_t size)
{
	size_t at = b->n;
	struct nlmsghdr *h = (struct nlmsghdr *)room(b, NLMSG_HDRLEN);

	if (!h)
		return;
	b->msg = at;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++b->seq;
	nl_put_raw(b, header, size);
}

void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t n)
{
	struct nlattr *a;

	if (n > UINT16_MAX - NLA_HDRLEN) {
		b->cut = true;
		return;
	}
	a = (struct nlattr *)room(b, NLA_HDRLEN + NLA_ALIGN(n));
	if (!a)
		return;
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + n);
	if (n > 0)
		memcpy((char *)a + NLA_HDRLEN, data, n);
	grown(b);
}

void nl_put_str(struct nl_buf *b, uint16_t type, const char *s)
{
	nl_put(b, type, s, strlen(s) + 1);
}

void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put(b, type, &v, sizeof(v));
}

void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v)
{
	nl_put_u32(b, type, htonl(v));
}

size_t nl_open_nest(struct nl_buf *b, uint16_t type)
{
	size_t at = b->n;

	nl_put(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_close_nest(struct nl_buf *b, size_t at)
{
	if (b->cut)
		return;
	if (b->n - at > UINT16_MAX)
		b->cut = true;
	else
		((struct nlattr *)(b->p + at))->nla_len = (uint16_t)(b->n - at);
}

int nl_open(int protocol)
{
	int fd = RET_NERRNO(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
	int one = 1;

	/* both may be missing in an old kernel: then there are no texts */
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
		(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	}
	return fd;
}

const struct nlattr *nl_next(const struct nlattr *a, size_t *left)
{
	size_t n = NLA_ALIGN(a->nla_len);

	*left = n < *left ? *left - n : 0;
	a = (const struct nlattr *)((const char *)a + n);
	if (*left < NLA_HDRLEN || a->nla_len < NLA_HDRLEN || a->nla_len > *left)
		return NULL;
	return a;
}

static const struct nlattr *first(const void *p, size_t n, size_t *left)
{
	const struct nlattr *a = p;

	*left = n;
	if (n < NLA_HDRLEN || a->nla_len < NLA_HDRLEN || a->nla_len > n)
		return NULL;
	return a;
}

const struct nlattr *nl_first(const struct nlmsghdr *h, size_t skip, size_t *left)
{
	size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(skip);

	*left = 0;
	if (h->nlmsg_len < head)
		return NULL;
	return first((const char *)h + head, h->nlmsg_len - head, left);
}

const struct nlattr *nl_first_in(const struct nlattr *a, size_t *left)
{
	return first(nl_data(a), nl_size(a), left);
}

const struct nlattr *nl_find(const struct nlmsghdr *h, size_t skip, uint16_t type)
{
	size_t left;

	for (const struct nlattr *a = nl_first(h, skip, &left); a; a = nl_next(a, &left))
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

const struct nlattr *nl_find_in(const struct nlattr *nest, uint16_t type)
{
	size_t left;

	for (const struct nlattr *a = nl_first_in(nest, &left); a; a = nl_next(a, &left))
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

/* NLMSG_ERROR: 0, or the refusal with the kernel's words (they follow the copied header). */
static int read_ack(const struct nlmsghdr *h, struct nl_refusal *ret)
{
	const struct nlmsgerr *m = NLMSG_DATA(h);
	const struct nlattr *a;
	size_t skip;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EBADMSG;
	if (m->error == 0)
		return 0;
	if (!ret)
		return m->error;
	*ret = (struct nl_refusal){ .code = m->error, .seq = m->msg.nlmsg_seq };
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return m->error;
	skip = sizeof(*m);
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && m->msg.nlmsg_len > NLMSG_HDRLEN)
		skip += m->msg.nlmsg_len - NLMSG_HDRLEN;
	a = nl_find(h, skip, NLMSGERR_ATTR_MSG);
	if (a)
		(void)snprintf(ret->text, sizeof(ret->text), "%.*s", (int)nl_size(a),
			(const char *)nl_data(a));
	return m->error;
}

/* What one recv(2) brought. Returns a code; *wait is cleared at the end of a dump. */
static int read_packet(const void *p, size_t n, nl_answer answer, void *data,
	struct nl_refusal *ret, int *first_code)
{
	for (const struct nlmsghdr *h = p; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		int r = 0;

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			r = read_ack(h, *first_code ? NULL : ret);
			if (r < 0 && *first_code == 0)
				*first_code = r;
			continue;
		}
		if (h->nlmsg_type >= NLMSG_MIN_TYPE && answer)
			r = answer(h, data);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_all(int fd, const struct nl_buf *b)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec iov = { b->p, b->n };
	struct msghdr m = {
		.msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = &iov, .msg_iovlen = 1
	};
	int size = (int)(b->n * 2 + 65536);
	int r;

	if (b->cut)
		return -EMSGSIZE;
	if (b->n > 128 * 1024) {
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	}
	do
		r = (int)RET_NERRNO(sendmsg(fd, &m, 0));
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

int nl_talk(int fd, const struct nl_buf *b, nl_answer answer, void *data, struct nl_refusal *ret)
{
	union {
		struct nlmsghdr h;
		char b[ANSWER_MAX];
	} in __attribute__((uninitialized)); /* clearing it would dirty pages of the monitor */
	bool lost = false;
	int code = 0;
	ssize_t n;
	int r;

	if (ret)
		*ret = (struct nl_refusal){ 0 };
	r = send_all(fd, b);
	while (r == 0) {
		n = RET_NERRNO(recv(fd, &in, sizeof(in), MSG_DONTWAIT));
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		/* more answers than fit; those that came first, and so the first refusal, are still there */
		if (n == -ENOBUFS && !lost) {
			lost = true;
			continue;
		}
		r = n < 0 ? (int)n : read_packet(&in, (size_t)n, answer, data, ret, &code);
	}
	if (r == 0 && code == 0 && lost)
		r = -ENOBUFS;
	if (r < 0 && ret && ret->code == 0)
		ret->code = r;
	return r < 0 ? r : code;
}

int nl_once(
	int protocol, const struct nl_buf *b, nl_answer answer, void *data, struct nl_refusal *ret)
{
	int fd = nl_open(protocol);
	int r;

	if (fd < 0)
		return fd;
	r = nl_talk(fd, b, answer, data, ret);
	(void)close(fd);
	return r;
}
