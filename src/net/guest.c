/* SPDX-License-Identifier: MIT */
/* What a guest's network needs, as steps. */
#include <inttypes.h>
#include <string.h>
#include "host/steps.h"
#include "net/net-priv.h"

#define SHORT_ID 12

/* One plan being made. */
struct build {
	struct ctx *c;
	const char *id, *name, *hostname;
	const struct spec *s;
	struct plan *host, *net;
	struct net_result *ret;
	GString *names;	      /* folders of names, for the DNS socket */
	GPtrArray *addresses; /* of the guest, for /etc/hosts */
	char *gateway;	      /* of the network that leads out */
	bool out;	      /* there is one */
	bool default_route, default_route6;
	unsigned number;	  /* of the first interface */
	char *publish, *publish6; /* the guest's addresses where ports lead to */
};

static void build_clear(struct build *b)
{
	g_string_free(b->names, TRUE);
	g_ptr_array_unref(b->addresses);
	g_free(b->gateway);
	g_free(b->publish);
	g_free(b->publish6);
}

static void given_free(void *data)
{
	struct net_given *g = data;

	g_free(g->network);
	g_free(g->address);
	g_free(g->address6);
	g_free(g->gateway);
	g_free(g->gateway6);
	g_free(g->mac);
	g_free(g->ifname);
	g_free(g);
}

void net_result_free(struct net_result *r)
{
	g_clear_pointer(&r->given, g_ptr_array_unref);
	g_clear_pointer(&r->ports, g_ptr_array_unref);
	g_clear_pointer(&r->resolv_conf, g_free);
	g_clear_pointer(&r->hosts, g_free);
}

/* --- names --------------------------------------------------------------------------------------------- */

/* A name that DNS can carry, in lower case; NULL for others: they aren't answered. */
static char *dns_name(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (n == 0 || n > 63 ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
			n ||
		name[0] == '.')
		return NULL;
	return g_ascii_strdown(name, -1);
}

static void add_name(GPtrArray *list, const char *name)
{
	char *n = dns_name(name);

	if (n && !g_ptr_array_find_with_equal_func(list, n, g_str_equal, NULL))
		g_ptr_array_add(list, n);
	else
		g_free(n);
}

/* Links of the guest's names to its addresses, and back. */
static void plan_names(struct build *b, const struct network_record *n,
	const struct spec_attach *at, const struct net_given *given)
{
	g_autofree char *folder = store_run_path(b->c, "networks/%s/names", n->name);
	g_autofree char *id = g_strndup(b->id, SHORT_ID);
	g_autofree char *addresses =
		given->address6 ? g_strconcat(given->address, ",", given->address6, NULL)
				: g_strdup(given->address);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) arg = g_ptr_array_new();

	add_name(names, b->name);
	add_name(names, id);
	add_name(names, b->hostname);
	for (char **a = at->aliases; a && *a; a++)
		add_name(names, *a);
	g_ptr_array_add(arg, folder);
	g_ptr_array_add(arg, addresses);
	for (guint i = 0; i < names->len; i++)
		g_ptr_array_add(arg, g_ptr_array_index(names, i));
	plan_addv(
		b->host, AT_HOST, STEP_HOLD, &step_name, (const char *const *)arg->pdata, arg->len);
	plan_addf(b->host, AT_HOST, STEP_HOLD, &step_name, folder,
		(char *)g_ptr_array_index(names, 0), plan_str(b->host, "@%s", given->address),
		given->address6 ? plan_str(b->host, "@%s", given->address6) : NULL,
		(const char *)NULL);
	g_string_append_printf(b->names, "%s%s", b->names->len ? "," : "", folder);
}

/* --- one network ---------------------------------------------------------------------------------------- */

static void plan_bridge(struct build *b, const struct network_record *n)
{
	g_autofree char *subnets = net_subnets(n);
	struct addr net, net6 = { 0 };
	const char *addresses;

	(void)addr_parse(n->subnet, &net);
	addresses = plan_str(b->host, "%s/%u", n->gateway, net.prefix);
	if (n->subnet6 && addr_parse(n->subnet6, &net6) == 0)
		addresses = plan_str(b->host, "%s,%s/%u", addresses, n->gateway6, net6.prefix);
	plan_add(b->host, AT_HOST, &step_nft_base);
	plan_add(b->host, AT_HOST, &step_nft_network, n->bridge, n->internal ? "1" : "", subnets);
	plan_add(b->host, AT_HOST, &step_bridge, n->bridge, addresses,
		n->mtu ? plan_str(b->host, "%d", n->mtu) : "");
	if (!n->internal) {
		plan_add(b->host, AT_HOST, &step_forwarding, "4");
		if (n->subnet6)
			plan_add(b->host, AT_HOST, &step_forwarding, "6");
	}
}

/* The interface: a pair with the bridge, or one beside the parent. */
static void plan_link(
	struct build *b, const struct network_record *n, guint k, const struct net_given *given)
{
	g_autofree char *mode = net_option(n, "mode");
	bool hairpin = b->s->ports && b->s->ports->len > 0;
	const char *share = "";
	g_autofree char *folder = store_run_path(b->c, "networks/.share/%s", b->id);

	if (net_is_bridge(n)) {
		share = folder;
		plan_add(b->net, AT_PARENT, &step_veth,
			plan_str(b->net, "lv%.11s%u", b->id, b->number + k), given->ifname,
			n->bridge, given->mac, n->mtu ? plan_str(b->net, "%d", n->mtu) : "",
			hairpin ? "1" : "", share);
	} else if (strcmp(n->driver, "macvlan") == 0) {
		plan_add(b->net, AT_PARENT, &step_macvlan, given->ifname, n->parent,
			mode ? mode : "bridge", given->mac);
	} else {
		plan_add(b->net, AT_PARENT, &step_ipvlan, given->ifname, n->parent,
			mode ? mode : "l2", "");
	}
}

/* Addresses and routes, inside. */
static void plan_inside(struct build *b, const struct network_record *n, const struct addr *a4,
	const struct addr *a6, const struct net_given *given)
{
	g_autofree char *t4 = addr_text(a4, true), *t6 = a6 ? addr_text(a6, true) : NULL;
	g_autofree char *mode = net_option(n, "mode");
	bool layer3 = strcmp(n->driver, "ipvlan") == 0 && mode && strcmp(mode, "l2") != 0;

	if (net_is_bridge(n))
		plan_add(b->net, AT_CHILD, &step_addrgen, given->ifname, "none");
	plan_add(b->net, AT_CHILD, &step_addr, given->ifname, t4);
	if (t6)
		plan_add(b->net, AT_CHILD, &step_addr, given->ifname, t6);
	plan_add(b->net, AT_CHILD, &step_link_up, given->ifname);
	if (n->internal)
		return;
	/* at layer 3 an ipvlan has no neighbours to ask */
	if (given->gateway && !b->default_route) {
		plan_add(b->net, AT_CHILD, &step_route, "default", layer3 ? "" : given->gateway,
			given->ifname);
		b->default_route = true;
	}
	if (t6 && given->gateway6 && !b->default_route6) {
		plan_add(b->net, AT_CHILD, &step_route, "default", given->gateway6, given->ifname);
		b->default_route6 = true;
	}
}

static int check_mac(const char *text, struct err *e)
{
	uint8_t mac[6];

	if (addr_parse_mac(text, mac) < 0 || (mac[0] & 1))
		return err_set(e, -E_INVALID, "bad hardware address '%s'", text);
	return 0;
}

static int plan_attach(struct build *b, guint k, struct err *e)
{
	const struct spec_attach *at = g_ptr_array_index(b->s->networks, k);
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	struct net_given *given = g_new0(struct net_given, 1);
	g_autofree char *leases = NULL;
	/* a system of its own sets up what DHCP tells it; a name must not lead to an address that nobody has */
	bool v6 = !(b->s->vm && b->s->vm->full) || at->address6;
	struct addr a4, a6;
	int r;

	g_ptr_array_add(b->ret->given, given);
	r = net_find(b->c, at->network, &n, e);
	if (r >= 0)
		r = lease_pick(b->c, n, b->id, at->address, &a4, e);
	if (r >= 0 && at->address6 && !n->subnet6)
		r = err_set(e, -E_INVALID, "network '%s' has no IPv6 subnet", n->name);
	v6 = v6 && r >= 0 && n->subnet6;
	if (v6)
		r = lease_pick6(b->c, n, b->id, &a4, at->address6, &a6, e);
	if (r >= 0 && at->mac)
		r = check_mac(at->mac, e);
	if (r < 0)
		return r;
	given->network = g_strdup(n->name);
	given->address = addr_text(&a4, false);
	given->address6 = v6 ? addr_text(&a6, false) : NULL;
	given->gateway = g_strdup(n->gateway);
	given->gateway6 = g_strdup(n->gateway6);
	given->mac = at->mac ? g_strdup(at->mac) : subnet_mac(&a4);
	given->ifname = g_strdup_printf("eth%u", b->number + k);
	g_ptr_array_add(b->addresses, given->address);
	if (given->address6)
		g_ptr_array_add(b->addresses, given->address6);
	leases = store_run_path(b->c, "networks/%s/leases", n->name);
	plan_addf(b->host, AT_HOST, STEP_HOLD, &step_lease, leases,
		given->address6 ? plan_str(b->host, "%s,%s", given->address, given->address6)
				: given->address,
		b->id, (const char *)NULL);
	plan_names(b, n, at, given);
	if (net_is_bridge(n))
		plan_bridge(b, n);
	plan_link(b, n, k, given);
	plan_inside(b, n, &a4, v6 ? &a6 : NULL, given);
	if (!n->internal && !b->out) {
		b->out = true;
		b->gateway = g_strdup(given->gateway);
	}
	if (!n->internal && net_is_bridge(n) && !b->publish) {
		b->publish = g_strdup(given->address);
		b->publish6 = g_strdup(given->address6);
	}
	return 0;
}

/* --- passt: a machine's card that nobody needs rights for -------------------------------------------------- */

/* "ADDRESS/PORT:PORT". One word a port, since passt is content when one of a word's can be bound. */
static int passt_ports(
	struct build *b, const char *proto, const char *option, GPtrArray *argv, struct err *e)
{
	struct plan *p = b->net;
	guint before = argv->len;

	for (guint i = 0; i < b->ret->ports->len; i++) {
		const struct spec_port *o = b->ret->ports->pdata[i];

		if (strcmp(o->proto, "sctp") == 0)
			return err_set(e, -E_UNSUPPORTED,
				"network '" NET_PASST "' can't publish a port of 'sctp'");
		if (strcmp(o->proto, proto) != 0)
			continue;
		if (strchr(o->host_addr, ':'))
			return err_set(e, -E_UNSUPPORTED,
				"network '" NET_PASST "' can't publish on '%s': it has IPv4 only",
				o->host_addr);
		for (unsigned k = 0; k < o->count; k++) {
			g_ptr_array_add(argv, (char *)(uintptr_t)option);
			g_ptr_array_add(argv, (char *)(uintptr_t)plan_str(p, "%s/%u:%u",
						      o->host_addr, o->host + k, o->guest + k));
		}
	}
	/* what isn't said of UDP follows TCP */
	if (argv->len == before) {
		g_ptr_array_add(argv, (char *)(uintptr_t)option);
		g_ptr_array_add(argv, (char *)"none");
	}
	return 0;
}

/* No address of the host's network: what is in the machine is nobody's neighbour, as with a bridge of ours. */
static int passt_subnet(struct build *b, struct net_given *given, struct addr *ret, struct err *e)
{
	g_autoptr(GArray) used = g_array_new(FALSE, FALSE, sizeof(struct used_subnet));
	struct addr gateway;
	int r = b->c->explain ? 0 : host_subnets(used, e);

	if (r < 0)
		return r;
	if (!subnet_pick(used, ret))
		return err_set(e, -E_LIMIT, "no subnet is free for network '" NET_PASST "'");
	(void)addr_add(ret, 1, &gateway);
	(void)addr_add(ret, 2, ret);
	given->gateway = addr_text(&gateway, false);
	given->address = addr_text(ret, false);
	return 0;
}

static int passt_argv(struct build *b, const struct net_given *given, unsigned prefix,
	GPtrArray *argv, struct err *e)
{
	struct plan *p = b->net;
	/* what listens at the host's 127.0.0.1 isn't for guests */
	const char *const words[] = { "passt", "--foreground", "--quiet", "--ipv4-only", "--fd",
		"3", "--pid", "/proc/self/fd/4", "--address", given->address, "--netmask",
		plan_str(p, "%u", prefix), "--gateway", given->gateway, "--no-map-gw" };
	int r;

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		g_ptr_array_add(argv, (char *)(uintptr_t)words[i]);
	for (char **d = b->s->dns; d && *d; d++) {
		g_ptr_array_add(argv, (char *)"--dns");
		g_ptr_array_add(argv, *d);
	}
	r = passt_ports(b, "tcp", "--tcp-ports", argv, e);
	return r < 0 ? r : passt_ports(b, "udp", "--udp-ports", argv, e);
}

static int passt_check(const struct spec *s, struct err *e)
{
	const struct spec_attach *at = s->networks->pdata[0];

	if (!s->vm) {
		err_set(e, -E_UNSUPPORTED, "network '" NET_PASST "' is for machines");
		return err_mend(e, "use the network 'bridge', or --vm");
	}
	if (s->networks->len > 1)
		return err_set(
			e, -E_INVALID, "network '" NET_PASST "' can't be combined with another");
	if (at->address || at->address6 || (at->aliases && at->aliases[0]))
		return err_set(e, -E_UNSUPPORTED,
			"network '" NET_PASST "' has no addresses to choose from and no names");
	return at->mac ? check_mac(at->mac, e) : 0;
}

static int plan_passt(struct build *b, struct err *e)
{
	const struct spec_attach *at = b->s->networks->pdata[0];
	struct net_given *given = g_new0(struct net_given, 1);
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *run = store_run_path(b->c, "guests/%s/passt", b->id);
	struct addr a;
	int r;

	g_ptr_array_add(b->ret->given, given);
	r = passt_check(b->s, e);
	if (r >= 0)
		r = passt_subnet(b, given, &a, e);
	if (r >= 0)
		r = ports_resolve(b->c, b->s->ports, &b->ret->ports, e);
	if (r < 0)
		return r;
	for (guint i = 0; i < b->ret->ports->len; i++) {
		struct spec_port *o = b->ret->ports->pdata[i];

		if (!o->host_addr) /* not ::, which nobody would say otherwise */
			o->host_addr = g_strdup("0.0.0.0");
	}
	given->network = g_strdup(NET_PASST);
	given->mac = at->mac ? g_strdup(at->mac) : subnet_mac(&a);
	given->ifname = g_strdup("eth0");
	g_ptr_array_add(b->addresses, given->address);
	b->gateway = g_strdup(given->gateway);
	g_ptr_array_add(argv, given->ifname);
	g_ptr_array_add(argv, given->mac);
	g_ptr_array_add(argv, run);
	g_ptr_array_add(argv, (char *)"0");
	r = passt_argv(b, given, a.prefix, argv, e);
	if (r < 0)
		return r;
	plan_addv(b->net, AT_PARENT, 0, &step_passt, (const char *const *)argv->pdata, argv->len);
	plan_add(b->net, AT_CHILD, &step_addr, given->ifname,
		plan_str(b->net, "%s/%u", given->address, a.prefix));
	plan_add(b->net, AT_CHILD, &step_link_up, given->ifname);
	plan_add(b->net, AT_CHILD, &step_route, "default", given->gateway, given->ifname);
	b->out = true;
	return 0;
}

static bool has_passt(const struct spec *s)
{
	for (guint i = 0; i < s->networks->len; i++)
		if (strcmp(((const struct spec_attach *)s->networks->pdata[i])->network,
			    NET_PASST) == 0)
			return true;
	return false;
}

/* --- the kinds of network -------------------------------------------------------------------------------- */

static char *join_list(char *const *list)
{
	return list && list[0] ? g_strjoinv(",", (char **)(uintptr_t)list) : NULL;
}

static int check_servers(char *const *dns, struct err *e)
{
	struct addr a;

	for (; dns && *dns; dns++)
		if (addr_parse(*dns, &a) < 0 || strchr(*dns, '/'))
			return err_set(e, -E_INVALID, "bad DNS server '%s': not an address", *dns);
	return 0;
}

/* A resolv.conf that names the servers themselves: for guests that no DNS of ours answers. */
static char *plain_resolv_conf(const struct spec *s, const char *host, bool keep_local)
{
	g_autoptr(GString) own = g_string_new(NULL);

	if (!s->dns || !s->dns[0])
		return text_resolv_conf(host, NULL, keep_local, s->dns_search, s->dns_options);
	for (char **d = s->dns; *d; d++)
		g_string_append_printf(own, "nameserver %s\n", *d);
	return text_resolv_conf(own->str, NULL, true, s->dns_search, s->dns_options);
}

static int plan_bridges(struct build *b, struct err *e)
{
	const struct spec *s = b->s;
	int r;

	for (guint k = 0; k < s->networks->len; k++) {
		r = plan_attach(b, k, e);
		if (r < 0)
			return r;
	}
	r = ports_resolve(b->c, s->ports, &b->ret->ports, e);
	if (r < 0)
		return r;
	if (b->ret->ports->len > 0 && !b->publish)
		return err_set(e, -E_INVALID,
			"ports can't be published: none of the guest's networks is a bridge that "
			"leads out");
	ports_plan(b->host, b->ret->ports, b->name, b->publish, b->publish6);
	return 0;
}

static int plan_networks(struct build *b, struct err *e)
{
	g_autofree char *servers = join_list(b->s->dns);
	int r;

	plan_add(b->net, AT_CHILD, &step_link_up, "lo");
	r = has_passt(b->s) ? plan_passt(b, e) : plan_bridges(b, e);
	if (r < 0)
		return r;
	/* guests of internal networks could else talk to the outside by questions */
	plan_add(b->net, AT_CHILD, &step_dns_socket, NET_DNS_ADDRESS, b->names->str,
		!b->out	  ? ""
		: servers ? servers
			  : NET_HOST_RESOLV);
	return 0;
}

/* A guest in another one's network says so, for as long as it runs: see step "veth". */
static void plan_share(struct build *b)
{
	const struct spec_ns *ns = &b->s->ns[NS_NET];
	_cleanup_(guest_record_freep) struct guest_record *other = NULL;
	g_autofree char *folder = NULL;
	struct store *s;

	if (!ns->guest || store_get_existing(b->c, &s, NULL) < 0 ||
		store_guest_find(s, NULL, ns->guest, &other, NULL) < 0)
		return;
	folder = store_run_path(b->c, "networks/.share/%s", other->id);
	plan_addf(
		b->host, AT_HOST, STEP_HOLD, &step_lease, folder, b->id, b->id, (const char *)NULL);
}

/* The texts that the other guest's file has: names and addresses are those of its network. */
static char *other_text(struct build *b, const char *file)
{
	const struct spec_ns *ns = &b->s->ns[NS_NET];
	_cleanup_(guest_record_freep) struct guest_record *other = NULL;
	g_autofree char *path = NULL;
	struct store *s;
	char *text = NULL;

	if (!ns->guest || store_get_existing(b->c, &s, NULL) < 0 ||
		store_guest_find(s, NULL, ns->guest, &other, NULL) < 0)
		return NULL;
	path = store_path(b->c, "guests/%s/%s", other->id, file);
	(void)g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static int plan_texts(struct build *b, struct err *e)
{
	enum spec_ns_mode mode = b->s->ns[NS_NET].mode;
	bool own = mode == NS_PRIVATE && b->s->networks->len > 0;
	g_autofree char *host = NULL, *base = NULL;

	(void)g_file_get_contents(NET_HOST_RESOLV, &host, NULL, NULL);
	if (own)
		b->ret->resolv_conf = text_resolv_conf(
			host, NET_DNS_ADDRESS, false, b->s->dns_search, b->s->dns_options);
	else if (mode == NS_GUEST || mode == NS_PATH)
		b->ret->resolv_conf = other_text(b, "resolv.conf");
	if (!b->ret->resolv_conf)
		b->ret->resolv_conf = plain_resolv_conf(b->s, host, mode == NS_HOST);
	if (mode == NS_GUEST || mode == NS_PATH)
		b->ret->hosts = other_text(b, "hosts");
	if (b->ret->hosts)
		return 0;
	if (mode == NS_HOST)
		(void)g_file_get_contents("/etc/hosts", &base, NULL, NULL);
	g_ptr_array_add(b->addresses, NULL);
	return text_hosts(base, b->hostname, b->s->domainname, (char **)b->addresses->pdata,
		b->s->hosts, b->gateway, &b->ret->hosts, e);
}

int net_plan_guest(struct ctx *c, const char *id, const char *name, const char *hostname,
	const struct spec *s, struct plan *host_plan, struct plan *net_plan, struct net_result *ret,
	struct err *e)
{
	_cleanup_(build_clear) struct build b = {
		.c = c,
		.id = id,
		.name = name,
		.hostname = hostname,
		.s = s,
		.host = host_plan,
		.net = net_plan,
		.ret = ret,
		.names = g_string_new(NULL),
		.addresses = g_ptr_array_new(),
	};
	int r;

	*ret = (struct net_result){ .given = g_ptr_array_new_with_free_func(given_free) };
	r = check_servers(s->dns, e);
	if (r >= 0 && s->ns[NS_NET].mode == NS_PRIVATE && s->networks->len > 0)
		r = plan_networks(&b, e);
	else if (r >= 0 && s->ns[NS_NET].mode == NS_PRIVATE)
		plan_add(net_plan, AT_CHILD, &step_link_up, "lo");
	else if (r >= 0)
		plan_share(&b);
	if (r >= 0)
		r = plan_texts(&b, e);
	if (r < 0)
		net_result_free(ret);
	return r;
}

int net_plan_join(struct ctx *c, const char *id, const char *name, const char *hostname,
	const struct spec *s, const struct net_join *join, struct plan *host_plan,
	struct plan *net_plan, struct net_result *ret, struct err *e)
{
	_cleanup_(build_clear) struct build b = {
		.c = c,
		.id = id,
		.name = name,
		.hostname = hostname,
		.s = s,
		.host = host_plan,
		.net = net_plan,
		.ret = ret,
		.names = g_string_new(NULL),
		.addresses = g_ptr_array_new(),
		.number = join->number,
		.default_route = join->has_way,
		.default_route6 = join->has_way,
	};
	int r = 0;

	*ret = (struct net_result){ .given = g_ptr_array_new_with_free_func(given_free) };
	for (guint k = 0; r >= 0 && k < s->networks->len; k++)
		r = plan_attach(&b, k, e);
	if (r < 0)
		net_result_free(ret);
	return r;
}
