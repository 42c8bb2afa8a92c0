/* SPDX-License-Identifier: MIT */
#include "host/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "host/netlink.h"

struct search {
	unsigned first, last;
	const struct addr *guest;
	int fd; /* for deletions: the other socket is reading */
};

static const struct nlattr *inner(const struct nlattr *a, uint16_t outer_type, uint16_t type)
{
	const struct nlattr *o = a ? nl_find_in(a, outer_type) : NULL;

	return o ? nl_find_in(o, type) : NULL;
}

/* The destination port of a UDP tuple in host byte order, or 0. */
static unsigned udp_port(const struct nlattr *tuple)
{
	const struct nlattr *proto = inner(tuple, CTA_TUPLE_PROTO, CTA_PROTO_NUM);
	const struct nlattr *port = inner(tuple, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT);
	uint16_t be;

	if (!proto || nl_size(proto) != 1 || *(const uint8_t *)nl_data(proto) != IPPROTO_UDP ||
		!port || nl_size(port) != sizeof(be))
		return 0;
	memcpy(&be, nl_data(port), sizeof(be));
	return ntohs(be);
}

static void forget(int fd, uint8_t family, const struct nlattr *orig, const struct nlattr *id)
{
	struct nfgenmsg g = { .nfgen_family = family, .version = NFNETLINK_V0 };
	char space[512];
	struct nl_buf b = NL_BUF_ON(space);

	nl_begin(&b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, &g, sizeof(g));
	nl_put(&b, CTA_TUPLE_ORIG | NLA_F_NESTED, nl_data(orig), nl_size(orig));
	if (id)
		nl_put(&b, CTA_ID, nl_data(id), nl_size(id));
	(void)nl_talk(fd, &b, NULL, NULL, NULL);
}

static int see(const struct nlmsghdr *h, void *data)
{
	const struct search *s = data;
	const struct nfgenmsg *g = NLMSG_DATA(h);
	const struct nlattr *orig, *reply, *from;
	unsigned port;

	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
		h->nlmsg_len < NLMSG_LENGTH(sizeof(*g)))
		return 0;
	orig = nl_find(h, sizeof(*g), CTA_TUPLE_ORIG);
	reply = nl_find(h, sizeof(*g), CTA_TUPLE_REPLY);
	port = udp_port(orig);
	if (port < s->first || port > s->last)
		return 0;
	from = inner(
		reply, CTA_TUPLE_IP, g->nfgen_family == AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC);
	if (!from || nl_size(from) != addr_len(s->guest) ||
		memcmp(nl_data(from), s->guest->b, nl_size(from)) != 0)
		forget(s->fd, g->nfgen_family, orig, nl_find(h, sizeof(*g), CTA_ID));
	return 0;
}

void conntrack_forget_udp(unsigned first, unsigned last, const struct addr *guest)
{
	struct nfgenmsg g = { .nfgen_family = (uint8_t)guest->family, .version = NFNETLINK_V0 };
	char space[64];
	struct nl_buf b = NL_BUF_ON(space);
	struct search s = { first, last, guest, nl_open(NETLINK_NETFILTER) };

	if (s.fd < 0)
		return;
	nl_begin(&b, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &g, sizeof(g));
	(void)nl_once(NETLINK_NETFILTER, &b, see, &s, NULL);
	(void)close(s.fd);
}
