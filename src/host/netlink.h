/* SPDX-License-Identifier: MIT */
#ifndef LODGE_NETLINK_H
#define LODGE_NETLINK_H

/*
 * Netlink messages, for routes and links (rtnetlink(7)) and for nftables.
 *
 * A buffer holds one or several messages, each begun with nl_begin(); attributes go to the last one. A
 * buffer on the caller's stack doesn't grow and remembers (`cut`) that something didn't fit; nl_talk()
 * refuses it. The kernel handles what is sent before send(2) returns, so its answers are read without
 * waiting.
 */

#include <linux/netlink.h>
#include <stdbool.h>
#include "base/err.h"

struct nl_buf {
	uint8_t *p;
	size_t n, size; /* bytes used, and there */
	size_t msg;	/* where the last message begins */
	uint32_t seq;	/* of the last message; the first is 1 */
	bool own;	/* p is from malloc and grows */
	bool cut;
};

#define NL_BUF_ON(array)                                       \
	{                                                      \
		.p = (uint8_t *)(array), .size = sizeof(array) \
	}
#define NL_BUF_GROWS        \
	{                   \
		.own = true \
	}
void nl_buf_done(struct nl_buf *b);

/* Begins a message with its fixed header (struct ifinfomsg ...). */
void nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, const void *header, size_t size);
void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t n);
void nl_put_str(struct nl_buf *b, uint16_t type, const char *s); /* with its NUL */
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t v);	 /* host byte order */
void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t v);
/* A nested attribute: what nl_open_nest returns is given to nl_close_nest. */
size_t nl_open_nest(struct nl_buf *b, uint16_t type);
void nl_close_nest(struct nl_buf *b, size_t at);
/* Bytes without a header of their own (struct ifinfomsg in VETH_INFO_PEER). */
void nl_put_raw(struct nl_buf *b, const void *data, size_t n);

/* A socket of the protocol (NETLINK_ROUTE, NETLINK_NETFILTER) with error texts switched on. */
int nl_open(int protocol);

/* What the kernel said to a message that it refused. */
struct nl_refusal {
	int code;      /* negative errno, 0: nothing was refused */
	uint32_t seq;  /* of the message */
	char text[96]; /* the kernel's words, may be empty */
};

/* An answer that isn't an acknowledgement; a negative result ends the reading and is returned. */
typedef int (*nl_answer)(const struct nlmsghdr *h, void *data);

/* Sends all of b and reads what comes. Messages that want an acknowledgement have NLM_F_ACK. Returns the
 * first refusal's code; details go to ret (may be NULL). */
int nl_talk(int fd, const struct nl_buf *b, nl_answer answer, void *data, struct nl_refusal *ret);

/* One exchange on a socket of its own. */
int nl_once(
	int protocol, const struct nl_buf *b, nl_answer answer, void *data, struct nl_refusal *ret);

/* Walking attributes: the first of a message after a fixed header of `skip` bytes, or inside a nested
 * one; NULL at the end, or where lengths are wrong. */
const struct nlattr *nl_first(const struct nlmsghdr *h, size_t skip, size_t *left);
const struct nlattr *nl_first_in(const struct nlattr *a, size_t *left);
const struct nlattr *nl_next(const struct nlattr *a, size_t *left);
/* The first of a type; NULL. */
const struct nlattr *nl_find(const struct nlmsghdr *h, size_t skip, uint16_t type);
const struct nlattr *nl_find_in(const struct nlattr *a, uint16_t type);
static inline const void *nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}
static inline size_t nl_size(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

#endif
