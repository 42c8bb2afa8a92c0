/* SPDX-License-Identifier: MIT */
/* The host's routes, addresses and interfaces, as rtnetlink(7) gives them to anybody. */
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "host/netlink.h"
#include "net/net-priv.h"

static bool take_addr(const struct nlattr *a, int family, unsigned prefix, struct addr *ret)
{
	*ret = (struct addr){ .family = family, .prefix = prefix };
	if (!a || nl_size(a) != addr_len(ret) || prefix > addr_bits(ret))
		return false;
	memcpy(ret->b, nl_data(a), addr_len(ret));
	return true;
}

static void interface_name(const struct nlattr *index, char name[static IF_NAMESIZE])
{
	uint32_t i;

	if (!index || nl_size(index) != sizeof(i))
		return;
	memcpy(&i, nl_data(index), sizeof(i));
	if (!if_indextoname(i, name))
		(void)snprintf(name, IF_NAMESIZE, "%u", i);
}

/* Routes of the main table. Link-local and multicast ones are everybody's. */
static int see_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct used_subnet u = { 0 };
	char name[IF_NAMESIZE] = "?";
	GArray *used = data;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	if (m->rtm_table != RT_TABLE_MAIN || m->rtm_dst_len == 0 ||
		(m->rtm_type != RTN_UNICAST && m->rtm_type != RTN_BLACKHOLE &&
			m->rtm_type != RTN_UNREACHABLE && m->rtm_type != RTN_PROHIBIT))
		return 0;
	if ((m->rtm_family != AF_INET && m->rtm_family != AF_INET6) ||
		!take_addr(
			nl_find(h, sizeof(*m), RTA_DST), m->rtm_family, m->rtm_dst_len, &u.subnet))
		return 0;
	if (m->rtm_family == AF_INET6 && u.subnet.b[0] >= 0xfe)
		return 0;
	interface_name(nl_find(h, sizeof(*m), RTA_OIF), name);
	(void)snprintf(u.what, sizeof(u.what), "the route of interface '%s'", name);
	g_array_append_val(used, u);
	return 0;
}

/* The subnet of each address: an interface that is down has no route. */
static int see_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct used_subnet u = { 0 };
	char name[IF_NAMESIZE] = "?";
	GArray *used = data;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	if (m->ifa_scope == RT_SCOPE_LINK || m->ifa_scope == RT_SCOPE_HOST ||
		(m->ifa_family != AF_INET && m->ifa_family != AF_INET6) ||
		!take_addr(nl_find(h, sizeof(*m), IFA_ADDRESS), m->ifa_family, m->ifa_prefixlen,
			&u.subnet))
		return 0;
	if (!if_indextoname(m->ifa_index, name))
		(void)snprintf(name, sizeof(name), "%u", m->ifa_index);
	(void)snprintf(u.what, sizeof(u.what), "the address of interface '%s'", name);
	g_array_append_val(used, u);
	return 0;
}

static int dump(uint16_t type, nl_answer answer, void *data)
{
	struct rtgenmsg g = { .rtgen_family = AF_UNSPEC };
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);

	if (type == RTM_GETLINK)
		nl_begin(&b, type, NLM_F_DUMP, &i, sizeof(i));
	else
		nl_begin(&b, type, NLM_F_DUMP, &g, sizeof(g));
	return nl_once(NETLINK_ROUTE, &b, answer, data, NULL);
}

int host_subnets(GArray *used, struct err *e)
{
	int r = dump(RTM_GETROUTE, see_route, used);

	if (r >= 0)
		r = dump(RTM_GETADDR, see_address, used);
	return r < 0 ? err_sys(e, r, "cannot read the host's routes") : 0;
}

/* 2000::/3 is what others can reach. */
static int see_ipv6(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct addr a;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
		m->ifa_family != AF_INET6)
		return 0;
	if (take_addr(nl_find(h, sizeof(*m), IFA_ADDRESS), AF_INET6, m->ifa_prefixlen, &a) &&
		(a.b[0] & 0xe0) == 0x20)
		*(bool *)data = true;
	return 0;
}

bool host_has_ipv6(void)
{
	bool found = false;

	(void)dump(RTM_GETADDR, see_ipv6, &found);
	return found;
}

struct ports_of {
	const char *prefix;
	unsigned bridge;
	GPtrArray *names;
};

static int see_port(const struct nlmsghdr *h, void *data)
{
	const struct ports_of *o = data;
	const struct nlattr *name, *master;
	uint32_t index;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	name = nl_find(h, sizeof(struct ifinfomsg), IFLA_IFNAME);
	master = nl_find(h, sizeof(struct ifinfomsg), IFLA_MASTER);
	if (!name || !master || nl_size(name) < 2 || nl_size(master) != sizeof(index))
		return 0;
	memcpy(&index, nl_data(master), sizeof(index));
	if (index == o->bridge && g_str_has_prefix(nl_data(name), o->prefix))
		g_ptr_array_add(o->names, g_strndup(nl_data(name), nl_size(name)));
	return 0;
}

int host_ports(const char *prefix, const char *bridge, GPtrArray *names)
{
	struct ports_of o = { prefix, if_nametoindex(bridge), names };

	return o.bridge ? dump(RTM_GETLINK, see_port, &o) : 0;
}
