/* SPDX-License-Identifier: MIT */
/*
 * Steps on links, addresses, routes and names: rtnetlink(7). Steps of the child run in the guest's
 * network namespace; the others in the host's.
 */
#include "host/steps.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/addr.h"
#include "host/netlink.h"

#define MSG_SIZE      768
#define NAMES_SAME    16 /* guests of a network that may share one alias */
#define LINK_NODEV(r) ((r) == -ENODEV || (r) == -ENXIO)

/* Runs the one message of b; the kernel's words go to e. */
static int talk(const struct step *s, struct nl_buf *b, struct err *e)
{
	struct nl_refusal no;
	int r = nl_once(NETLINK_ROUTE, b, NULL, NULL, &no);

	if (r < 0 && no.text[0])
		return err_set(
			e, r, "%s '%s': %s: %s", s->op->name, s->arg[0], err_words(r), no.text);
	return r;
}

static void link_begin(struct nl_buf *b, uint16_t type, uint16_t flags, bool up)
{
	struct ifinfomsg i = { .ifi_family = AF_UNSPEC };

	if (up)
		i.ifi_flags = i.ifi_change = IFF_UP;
	nl_begin(b, type, flags | NLM_F_ACK, &i, sizeof(i));
}

static int delete_link(const char *name)
{
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	int r;

	link_begin(&b, RTM_DELLINK, 0, false);
	nl_put_str(&b, IFLA_IFNAME, name);
	r = nl_once(NETLINK_ROUTE, &b, NULL, NULL, NULL);
	return LINK_NODEV(r) ? 0 : r;
}

static int index_of(const char *name, struct err *e)
{
	unsigned i = if_nametoindex(name);

	return i ? (int)i : err_set(e, -ENODEV, "no interface '%s'", name);
}

/* --- bridge --- */

static int see_flags(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *i = NLMSG_DATA(h);
	const struct nlattr *info, *kind;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return 0;
	info = nl_find(h, sizeof(*i), IFLA_LINKINFO);
	kind = info ? nl_find_in(info, IFLA_INFO_KIND) : NULL;
	if (!kind || strncmp(nl_data(kind), "bridge", nl_size(kind)) != 0)
		return -EEXIST;
	*(unsigned *)data = i->ifi_flags;
	return 0;
}

/* Up is the last thing that is done to a bridge, so one that is up is whole. 1, 0 or a code. */
static int bridge_whole(const char *name)
{
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	unsigned flags = 0;
	int r;

	link_begin(&b, RTM_GETLINK, 0, false);
	nl_put_str(&b, IFLA_IFNAME, name);
	r = nl_once(NETLINK_ROUTE, &b, see_flags, &flags, NULL);
	if (LINK_NODEV(r))
		return 0;
	return r < 0 ? r : !!(flags & IFF_UP);
}

static int put_addr(struct nl_buf *b, int index, const struct addr *a)
{
	struct ifaddrmsg m = {
		.ifa_family = (uint8_t)a->family,
		.ifa_prefixlen = (uint8_t)a->prefix,
		.ifa_index = (unsigned)index,
		/* addresses are ours to give out: nobody else can have them, and the guest needn't wait */
		.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
	};

	nl_begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, IFA_LOCAL, a->b, addr_len(a));
	nl_put(b, IFA_ADDRESS, a->b, addr_len(a));
	if (a->family == AF_INET && a->prefix < 31) {
		struct addr last;

		addr_last(a, &last);
		nl_put(b, IFA_BROADCAST, last.b, 4);
	}
	return 0;
}

/* The addresses of a list by ','; the first IPv4 one goes to *ret4. */
static int put_addrs(struct nl_buf *b, int index, const char *list)
{
	char one[ADDR_TEXT_MAX];
	struct addr a;

	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (n >= sizeof(one))
			return -EINVAL;
		memcpy(one, p, n);
		one[n] = '\0';
		if (addr_parse(one, &a) < 0)
			return -EINVAL;
		(void)put_addr(b, index, &a);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* A fixed hardware address keeps the bridge from taking that of whichever guest comes first. */
static void bridge_mac(const char *name, const char *addresses, uint8_t mac[6])
{
	uint32_t hash = 2166136261u;
	struct addr a;
	char one[ADDR_TEXT_MAX];
	size_t n = strcspn(addresses, ",");

	for (const char *p = name; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	mac[0] = 0x02;
	mac[1] = 0x42;
	memcpy(mac + 2, &hash, 4);
	if (n >= sizeof(one))
		return;
	memcpy(one, addresses, n);
	one[n] = '\0';
	if (addr_parse(one, &a) == 0 && a.family == AF_INET)
		memcpy(mac + 2, a.b, 4);
}

static int bridge_create(const struct step *s, struct err *e)
{
	char space[MSG_SIZE];
	struct nl_buf b = NL_BUF_ON(space);
	uint8_t mac[6];
	size_t info;
	int r;

	bridge_mac(s->arg[0], s->arg[1], mac);
	link_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, false);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	nl_put(&b, IFLA_ADDRESS, mac, sizeof(mac));
	if (s->arg[2][0])
		nl_put_u32(&b, IFLA_MTU, (uint32_t)strtoul(s->arg[2], NULL, 10));
	info = nl_open_nest(&b, IFLA_LINKINFO);
	nl_put(&b, IFLA_INFO_KIND, "bridge", 6);
	nl_close_nest(&b, info);
	r = talk(s, &b, e);
	if (r == -EOPNOTSUPP) {
		(void)err_set(
			e, -E_UNSUPPORTED, "bridge '%s': this kernel has no bridges", s->arg[0]);
		return err_mend(e, "modprobe bridge, or use --network host or none");
	}
	return r == -EEXIST ? 0 : r;
}

static int bridge_run(struct step_run *run, const struct step *s, struct err *e)
{
	/* by number, as the kernel's IPV4_DEVCONF_*: its header isn't meant for programs */
	const unsigned route_localnet = 26;
	uint32_t one = 1;
	char space[MSG_SIZE * 2];
	struct nl_buf b = NL_BUF_ON(space);
	size_t spec, family, conf;
	int r, index;

	r = bridge_whole(s->arg[0]);
	if (r == -EEXIST)
		return err_set(
			e, -E_EXISTS, "interface '%s' is there and isn't a bridge", s->arg[0]);
	if (r != 0)
		return r < 0 ? r : 0;
	r = bridge_create(s, e);
	if (r < 0)
		return r;
	index = index_of(s->arg[0], e);
	if (index < 0)
		return index;
	r = put_addrs(&b, index, s->arg[1]);
	if (r < 0)
		return err_set(e, r, "bridge '%s': bad address in '%s'", s->arg[0], s->arg[1]);
	/* published ports are reached from the host's 127.0.0.1: see nft_base_text */
	link_begin(&b, RTM_NEWLINK, 0, false);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	spec = nl_open_nest(&b, IFLA_AF_SPEC);
	family = nl_open_nest(&b, AF_INET);
	conf = nl_open_nest(&b, 1 /* IFLA_INET_CONF */);
	nl_put(&b, (uint16_t)route_localnet, &one, sizeof(one));
	nl_close_nest(&b, conf);
	nl_close_nest(&b, family);
	nl_close_nest(&b, spec);
	link_begin(&b, RTM_NEWLINK, 0, true);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	return talk(s, &b, e);
}

static void show_list(struct text *t, const char *list, const char *before, const char *after)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		text_addf(t, "%s%.*s%s", before, (int)n, list, after);
		list += n + (list[n] == ',');
	}
}

static void bridge_show(const struct step *s, struct text *t)
{
	char after[IFNAMSIZ + 16];

	(void)snprintf(after, sizeof(after), " dev %s", s->arg[0]);
	text_addf(t, "ip link add %s%s%s type bridge", s->arg[0], s->arg[2][0] ? " mtu " : "",
		s->arg[2]);
	show_list(t, s->arg[1], "; ip address replace ", after);
	text_addf(t, "; sysctl -w net/ipv4/conf/%s/route_localnet=1; ip link set %s up", s->arg[0],
		s->arg[0]);
}

const struct step_ops step_bridge = {
	.name = "bridge", .args = "IF addresses mtu", .run = bridge_run, .show = bridge_show
};

/* --- veth --- */

static int veth_create(const struct step_run *run, const struct step *s, int bridge, struct err *e)
{
	const char *name = s->arg[0], *peer = s->arg[1], *mac_text = s->arg[3], *mtu = s->arg[4];
	struct ifinfomsg none = { 0 };
	char space[MSG_SIZE];
	struct nl_buf b = NL_BUF_ON(space);
	size_t info, data, nest;
	uint8_t mac[6], on = 1;

	link_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, true);
	nl_put_str(&b, IFLA_IFNAME, name);
	if (bridge)
		nl_put_u32(&b, IFLA_MASTER, (uint32_t)bridge);
	if (mtu[0])
		nl_put_u32(&b, IFLA_MTU, (uint32_t)strtoul(mtu, NULL, 10));
	info = nl_open_nest(&b, IFLA_LINKINFO);
	nl_put(&b, IFLA_INFO_KIND, "veth", 4);
	data = nl_open_nest(&b, IFLA_INFO_DATA);
	nest = nl_open_nest(&b, VETH_INFO_PEER);
	nl_put_raw(&b, &none, sizeof(none));
	nl_put_str(&b, IFLA_IFNAME, peer);
	nl_put_u32(&b, IFLA_NET_NS_PID, (uint32_t)run->child);
	if (mac_text[0]) {
		if (addr_parse_mac(mac_text, mac) < 0)
			return err_set(e, -EINVAL, "bad hardware address '%s'", mac_text);
		nl_put(&b, IFLA_ADDRESS, mac, sizeof(mac));
	}
	if (mtu[0])
		nl_put_u32(&b, IFLA_MTU, (uint32_t)strtoul(mtu, NULL, 10));
	nl_close_nest(&b, nest);
	nl_close_nest(&b, data);
	nl_close_nest(&b, info);
	/* a guest that reaches itself by a published port: with br_netfilter (a kernel that has it applies it to
	 * every bridge) the packet leaves by the port that it came in */
	if (s->arg[5][0]) {
		link_begin(&b, RTM_NEWLINK, 0, false);
		nl_put_str(&b, IFLA_IFNAME, name);
		info = nl_open_nest(&b, IFLA_LINKINFO);
		nl_put(&b, IFLA_INFO_SLAVE_KIND, "bridge", 7);
		data = nl_open_nest(&b, IFLA_INFO_SLAVE_DATA);
		nl_put(&b, IFLA_BRPORT_MODE, &on, sizeof(on));
		nl_close_nest(&b, data);
		nl_close_nest(&b, info);
	}
	return talk(s, &b, e);
}

static int veth_run(struct step_run *run, const struct step *s, struct err *e)
{
	int bridge = s->arg[2][0] ? index_of(s->arg[2], e) : 0;
	int r;

	if (bridge < 0)
		return bridge;
	r = veth_create(run, s, bridge, e);
	/* that of the guest's last run: the kernel is still taking its namespace down */
	if (r == -EEXIST) {
		r = delete_link(s->arg[0]);
		if (r == 0)
			r = veth_create(run, s, bridge, e);
	}
	if (r == -EOPNOTSUPP) {
		(void)err_set(
			e, -E_UNSUPPORTED, "veth '%s': this kernel has no veth pairs", s->arg[0]);
		return err_mend(e, "modprobe veth, or use --network host or none");
	}
	return r;
}

/* Whether the folder has an entry: a guest that shares this one's network (container:NAME). */
static bool has_entry(const char *path)
{
	DIR *d = path[0] ? opendir(path) : NULL;
	struct dirent *de;
	bool found = false;

	if (!d)
		return false;
	while (!found && (de = readdir(d)) != NULL)
		found = strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
	(void)closedir(d);
	return found;
}

/* The end of the namespace takes the pair with it, without anybody waiting; deleting it by name costs
 * the caller some 15 ms of RCU. Only where another guest keeps the namespace it must go now, since the
 * address is given back. */
static int veth_undo(struct step_run *run, const struct step *s, struct err *e)
{
	return has_entry(s->arg[6]) ? delete_link(s->arg[0]) : 0;
}

static void veth_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip link add %s up", s->arg[0]);
	if (s->arg[2][0])
		text_addf(t, " master %s", s->arg[2]);
	if (s->arg[4][0])
		text_addf(t, " mtu %s", s->arg[4]);
	text_addf(t, " type veth peer name %s netns $pid", s->arg[1]);
	if (s->arg[3][0])
		text_addf(t, " address %s", s->arg[3]);
	if (s->arg[4][0])
		text_addf(t, " mtu %s", s->arg[4]);
	if (s->arg[5][0])
		text_addf(t, "; bridge link set dev %s hairpin on", s->arg[0]);
}

const struct step_ops step_veth = { .name = "veth",
	.args = "IF peer bridge mac mtu hairpin sharers",
	.run = veth_run,
	.undo = veth_undo,
	.show = veth_show };

/* --- macvlan, ipvlan --- */

static const struct {
	const char *name;
	uint32_t value;
} macvlan_modes[] = {
	{ "bridge", MACVLAN_MODE_BRIDGE }, { "private", MACVLAN_MODE_PRIVATE },
	{ "vepa", MACVLAN_MODE_VEPA }, { "passthru", MACVLAN_MODE_PASSTHRU },
}, ipvlan_modes[] = {
	{ "l2", IPVLAN_MODE_L2 }, { "l3", IPVLAN_MODE_L3 }, { "l3s", IPVLAN_MODE_L3S },
};

static int put_mode(struct nl_buf *b, const char *kind, const char *mode)
{
	if (strcmp(kind, "macvlan") == 0) {
		for (size_t i = 0; i < ELEMENTSOF(macvlan_modes); i++)
			if (strcmp(macvlan_modes[i].name, mode) == 0) {
				nl_put_u32(b, IFLA_MACVLAN_MODE, macvlan_modes[i].value);
				return 0;
			}
		return -EINVAL;
	}
	for (size_t i = 0; i < ELEMENTSOF(ipvlan_modes); i++)
		if (strcmp(ipvlan_modes[i].name, mode) == 0) {
			uint16_t v = (uint16_t)ipvlan_modes[i].value;

			nl_put(b, IFLA_IPVLAN_MODE, &v, sizeof(v));
			return 0;
		}
	return -EINVAL;
}

static int vlan_run(struct step_run *run, const struct step *s, struct err *e)
{
	const char *kind = s->op->name, *mac_text = s->arg[3];
	int parent = index_of(s->arg[1], e);
	char space[MSG_SIZE];
	struct nl_buf b = NL_BUF_ON(space);
	size_t info, data;
	uint8_t mac[6];
	int r;

	if (parent < 0)
		return parent;
	link_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, false);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	nl_put_u32(&b, IFLA_LINK, (uint32_t)parent);
	nl_put_u32(&b, IFLA_NET_NS_PID, (uint32_t)run->child);
	if (mac_text[0]) {
		if (addr_parse_mac(mac_text, mac) < 0)
			return err_set(e, -EINVAL, "bad hardware address '%s'", mac_text);
		nl_put(&b, IFLA_ADDRESS, mac, sizeof(mac));
	}
	info = nl_open_nest(&b, IFLA_LINKINFO);
	nl_put(&b, IFLA_INFO_KIND, kind, strlen(kind));
	data = nl_open_nest(&b, IFLA_INFO_DATA);
	if (put_mode(&b, kind, s->arg[2]) < 0)
		return err_set(e, -EINVAL, "%s has no mode '%s'", kind, s->arg[2]);
	nl_close_nest(&b, data);
	nl_close_nest(&b, info);
	r = talk(s, &b, e);
	if (r == -EOPNOTSUPP)
		return err_set(e, -E_UNSUPPORTED, "this kernel has no %s", kind);
	return r;
}

static void vlan_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip link add link %s name %s netns $pid", s->arg[1], s->arg[0]);
	if (s->arg[3][0])
		text_addf(t, " address %s", s->arg[3]);
	text_addf(t, " type %s mode %s", s->op->name, s->arg[2]);
}

const struct step_ops step_macvlan = {
	.name = "macvlan", .args = "IF parent mode mac", .run = vlan_run, .show = vlan_show
};

const struct step_ops step_ipvlan = {
	.name = "ipvlan", .args = "IF parent mode mac", .run = vlan_run, .show = vlan_show
};

/* --- links, addresses, routes --- */

static int link_up_run(struct step_run *run, const struct step *s, struct err *e)
{
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);

	link_begin(&b, RTM_NEWLINK, 0, true);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	return talk(s, &b, e);
}

static void link_up_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip link set %s up", s->arg[0]);
}

const struct step_ops step_link_up = {
	.name = "link-up", .args = "IF", .run = link_up_run, .show = link_up_show
};

static int link_delete_run(struct step_run *run, const struct step *s, struct err *e)
{
	return delete_link(s->arg[0]);
}

static void link_delete_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip link delete %s", s->arg[0]);
}

const struct step_ops step_link_delete = {
	.name = "link-delete", .args = "IF", .run = link_delete_run, .show = link_delete_show
};

/* Without addresses of its own a link says nothing by IPv6; else each new guest would be heard by all. */
static int addrgen_run(struct step_run *run, const struct step *s, struct err *e)
{
	uint8_t mode =
		strcmp(s->arg[1], "none") == 0 ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64;
	char space[256];
	struct nl_buf b = NL_BUF_ON(space);
	size_t spec, family;
	int r;

	link_begin(&b, RTM_NEWLINK, 0, false);
	nl_put_str(&b, IFLA_IFNAME, s->arg[0]);
	spec = nl_open_nest(&b, IFLA_AF_SPEC);
	family = nl_open_nest(&b, AF_INET6);
	nl_put(&b, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nl_close_nest(&b, family);
	nl_close_nest(&b, spec);
	r = talk(s, &b, e);
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r; /* a host without IPv6 */
}

static void addrgen_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip link set dev %s addrgenmode %s", s->arg[0], s->arg[1]);
}

const struct step_ops step_addrgen = {
	.name = "addrgen", .args = "IF mode", .run = addrgen_run, .show = addrgen_show
};

static int addr_run(struct step_run *run, const struct step *s, struct err *e)
{
	char space[256];
	struct nl_buf b = NL_BUF_ON(space);
	struct addr a;
	int index;

	if (addr_parse(s->arg[1], &a) < 0)
		return err_set(e, -EINVAL, "bad address '%s'", s->arg[1]);
	index = index_of(s->arg[0], e);
	if (index < 0)
		return index;
	(void)put_addr(&b, index, &a);
	return talk(s, &b, e);
}

static void addr_step_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip address add %s dev %s", s->arg[1], s->arg[0]);
}

const struct step_ops step_addr = {
	.name = "addr", .args = "IF address", .run = addr_run, .show = addr_step_show
};

static int route_run(struct step_run *run, const struct step *s, struct err *e)
{
	bool is_default = strcmp(s->arg[0], "default") == 0;
	char space[256];
	struct nl_buf b = NL_BUF_ON(space);
	struct addr to = { 0 }, via = { 0 };
	struct rtmsg m = {
		.rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST
	};
	int index;

	if (!is_default && addr_parse(s->arg[0], &to) < 0)
		return err_set(e, -EINVAL, "bad destination '%s'", s->arg[0]);
	if (s->arg[1][0] && addr_parse(s->arg[1], &via) < 0)
		return err_set(e, -EINVAL, "bad gateway '%s'", s->arg[1]);
	index = index_of(s->arg[2], e);
	if (index < 0)
		return index;
	m.rtm_family = (uint8_t)(via.family ? via.family : to.family ? to.family : AF_INET);
	m.rtm_dst_len = is_default ? 0 : (uint8_t)to.prefix;
	m.rtm_scope = s->arg[1][0] ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	nl_begin(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &m, sizeof(m));
	if (!is_default)
		nl_put(&b, RTA_DST, to.b, addr_len(&to));
	if (s->arg[1][0])
		nl_put(&b, RTA_GATEWAY, via.b, addr_len(&via));
	nl_put_u32(&b, RTA_OIF, (uint32_t)index);
	return talk(s, &b, e);
}

static void route_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip route replace %s", s->arg[0]);
	if (s->arg[1][0])
		text_addf(t, " via %s", s->arg[1]);
	text_addf(t, " dev %s", s->arg[2]);
}

const struct step_ops step_route = {
	.name = "route", .args = "destination gateway IF", .run = route_run, .show = route_show
};

/* --- netns --- */

static int netns_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = RET_NERRNO(open(s->arg[0], O_RDONLY | O_CLOEXEC));

	return fd < 0 ? fd : RET_NERRNO(setns(fd, CLONE_NEWNET));
}

static void netns_show(const struct step *s, struct text *t)
{
	text_add(t, "nsenter --net=");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_netns = {
	.name = "netns", .args = "path", .run = netns_run, .show = netns_show
};

/* --- dns-socket --- */

static int dns_socket_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(53) };
	int one = 1;

	if (inet_pton(AF_INET, s->arg[0], &a.sin_addr) != 1)
		return -EINVAL;
	fd = RET_NERRNO(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return fd;
	/* a DNS server in the guest binds 0.0.0.0:53, with one of these */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return run->keep_fd ? run->keep_fd(run, KEPT_DNS, fd) : 0;
}

static void dns_socket_show(const struct step *s, struct text *t)
{
	text_addf(t, "# lodge-monitor answers DNS at %s:53", s->arg[0]);
	if (s->arg[1][0])
		text_addf(t, ", names from %s", s->arg[1]);
	if (s->arg[2][0])
		text_addf(t, ", the rest from %s", s->arg[2]);
}

const struct step_ops step_dns_socket = { .name = "dns-socket",
	.args = "address names upstreams",
	.run = dns_socket_run,
	.show = dns_socket_show };

/* --- forwarding --- */

#define SYS_NET "/proc/sys/net/"

static bool says_one(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

static int write_one(const char *path, const char *value, struct err *e)
{
	_cleanup_close_ int fd = RET_NERRNO(open(path, O_WRONLY | O_CLOEXEC));
	int r = fd < 0 ? fd : RET_NERRNO((int)write(fd, value, strlen(value)));

	return r < 0 ? err_sys(e, r, "cannot write '%s' to '%s'", value, path) : 0;
}

/* A host that forwards stops listening to its routers, unless accept_ra is 2: it would lose its own address
 * and route some time later. */
static int keep_router_advertisements(struct err *e)
{
	DIR *d = opendir(SYS_NET "ipv6/conf");
	struct dirent *de;
	int r = 0;

	while (d && r == 0 && (de = readdir(d)) != NULL) {
		char path[sizeof(SYS_NET) + NAME_MAX + 32];

		if (de->d_name[0] == '.' || strcmp(de->d_name, "all") == 0)
			continue;
		(void)snprintf(path, sizeof(path), SYS_NET "ipv6/conf/%s/accept_ra", de->d_name);
		if (says_one(path))
			r = write_one(path, "2", e);
	}
	if (d)
		(void)closedir(d);
	return r;
}

static int forwarding_run(struct step_run *run, const struct step *s, struct err *e)
{
	bool v6 = strcmp(s->arg[0], "6") == 0;
	const char *path = v6 ? SYS_NET "ipv6/conf/all/forwarding" : SYS_NET "ipv4/ip_forward";
	int r = 0;

	if (says_one(path))
		return 0;
	if (v6)
		r = keep_router_advertisements(e);
	return r < 0 ? r : write_one(path, "1", e);
}

static void forwarding_show(const struct step *s, struct text *t)
{
	if (strcmp(s->arg[0], "6") == 0)
		text_add(t, "for i in /proc/sys/net/ipv6/conf/*/accept_ra; do grep -q 1 $i && echo "
			    "2 >$i; done; "
			    "sysctl -w net.ipv6.conf.all.forwarding=1");
	else
		text_add(t, "sysctl -w net.ipv4.ip_forward=1");
}

const struct step_ops step_forwarding = {
	.name = "forwarding", .args = "family", .run = forwarding_run, .show = forwarding_show
};

/* --- lease, name --- */

/* Makes the folder of a link and its parents. They stay: others may be about to use them. */
static int make_folder(const char *path)
{
	char p[PATH_MAX];
	int n = snprintf(p, sizeof(p), "%s/", path);

	if (n < 0 || (size_t)n >= sizeof(p))
		return -ENAMETOOLONG;
	for (char *at = strchr(p + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return 0;
}

static int link_in(const char *folder, const char *target, const char *path)
{
	int r = RET_NERRNO(symlink(target, path));

	if (r != -ENOENT)
		return r;
	r = make_folder(folder);
	return r < 0 ? r : RET_NERRNO(symlink(target, path));
}

/* Whether the link has that target: 1, 0, or a code (-ENOENT). */
static int points_to(const char *path, const char *target)
{
	char old[256];
	ssize_t n = RET_NERRNO(readlink(path, old, sizeof(old)));

	if (n < 0)
		return (int)n;
	return (size_t)n == strlen(target) && memcmp(old, target, (size_t)n) == 0;
}

/* Path of the next address of a list by ','; what is left of the list. */
static const char *lease_path(char out[static PATH_MAX], const char *folder, const char *list)
{
	size_t n = strcspn(list, ",");

	if (snprintf(out, PATH_MAX, "%s/%.*s", folder, (int)n, list) >= PATH_MAX)
		out[0] = '\0';
	return list + n + (list[n] == ',');
}

static int lease_undo(struct step_run *run, const struct step *s, struct err *e)
{
	char path[PATH_MAX];
	int first = 0;

	for (const char *p = s->arg[1]; *p;) {
		p = lease_path(path, s->arg[0], p);
		if (points_to(path, s->arg[2]) == 1 && unlink(path) < 0 && errno != ENOENT &&
			first == 0)
			first = -errno;
	}
	return first;
}

static int lease_run(struct step_run *run, const struct step *s, struct err *e)
{
	char path[PATH_MAX], owner[256];
	ssize_t n;
	int r;

	for (const char *p = s->arg[1], *next; *p; p = next) {
		next = lease_path(path, s->arg[0], p);
		r = link_in(s->arg[0], s->arg[2], path);
		/* a guest that restarts has it (STEP_HOLD) */
		if (r == 0 || (r == -EEXIST && points_to(path, s->arg[2]) == 1))
			continue;
		n = readlink(path, owner, sizeof(owner) - 1);
		owner[n > 0 ? n : 0] = '\0';
		(void)lease_undo(run, s, NULL);
		if (r == -EEXIST)
			return err_set(e, -E_INUSE, "address '%.*s' is in use by guest '%.12s'",
				(int)strcspn(p, ","), p, owner);
		return err_sys(e, r, "cannot make '%s'", path);
	}
	return 0;
}

static void lease_show(const struct step *s, struct text *t)
{
	text_add(t, "mkdir -p ");
	text_add_word(t, s->arg[0]);
	for (const char *p = s->arg[1]; *p;) {
		size_t n = strcspn(p, ",");

		text_addf(t, "; ln -s %s ", s->arg[2]);
		text_add_word(t, s->arg[0]);
		text_addf(t, "/%.*s", (int)n, p);
		p += n + (p[n] == ',');
	}
}

const struct step_ops step_lease = { .name = "lease",
	.args = "folder addresses owner",
	.run = lease_run,
	.undo = lease_undo,
	.show = lease_show };

/* Path of the k-th link of a name: NAME, NAME~1, NAME~2 ... ('~' can't be in a name). */
static int name_path(char *out, const char *dir, const char *name, unsigned k)
{
	int n = k ? snprintf(out, PATH_MAX, "%s/%s~%u", dir, name, k)
		  : snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int name_add(const char *dir, const char *name, const char *address)
{
	char path[PATH_MAX];
	int r;

	for (unsigned k = 0; k < NAMES_SAME; k++) {
		r = name_path(path, dir, name, k);
		if (r < 0)
			return r;
		r = link_in(dir, address, path);
		if (r != -EEXIST)
			return r;
		if (points_to(path, address) == 1)
			return 0;
	}
	return -E_LIMIT;
}

static int name_run(struct step_run *run, const struct step *s, struct err *e)
{
	for (unsigned i = 2; i < s->n; i++) {
		int r = name_add(s->arg[0], s->arg[i], s->arg[1]);

		if (r == -E_LIMIT)
			return err_set(e, r, "name '%s': %d guests have it already", s->arg[i],
				NAMES_SAME);
		if (r < 0)
			return err_sys(e, r, "name '%s'", s->arg[i]);
	}
	return 0;
}

/* The last of the links that share the name takes the place of the one that goes, so there is no gap. */
static int name_remove(const char *dir, const char *name, const char *address)
{
	char mine[PATH_MAX], last[PATH_MAX];
	unsigned k, l;
	int r = 0;

	for (k = 0; k < NAMES_SAME; k++) {
		r = name_path(mine, dir, name, k);
		if (r < 0)
			return r;
		r = points_to(mine, address);
		if (r != 0)
			break;
	}
	if (r != 1)
		return 0;
	for (l = k; l + 1 < NAMES_SAME; l++)
		if (name_path(last, dir, name, l + 1) < 0 ||
			faccessat(AT_FDCWD, last, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
	(void)name_path(last, dir, name, l);
	r = RET_NERRNO(l == k ? unlink(mine) : rename(last, mine));
	return r == -ENOENT ? 0 : r;
}

static int name_undo(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int dir = open(s->arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int first = 0;

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	(void)flock(dir, LOCK_EX);
	for (unsigned i = 2; i < s->n; i++) {
		int r = name_remove(s->arg[0], s->arg[i], s->arg[1]);

		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

static void name_show(const struct step *s, struct text *t)
{
	for (unsigned i = 2; i < s->n; i++) {
		text_addf(t, "%sln -s ", i > 2 ? "; " : "");
		text_add_word(t, s->arg[1]);
		text_add(t, " ");
		text_add_word(t, s->arg[0]);
		text_addf(t, "/%s", s->arg[i]);
	}
}

const struct step_ops step_name = { .name = "name",
	.args = "folder addresses ...",
	.run = name_run,
	.undo = name_undo,
	.show = name_show };
