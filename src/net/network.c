/* SPDX-License-Identifier: MIT */
/* The records of networks: made after checks, found, removed. */
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include "host/steps.h"
#include "net/net-priv.h"
#include "store/event.h"
#include "store/journal.h"

#define BRIDGES_MAX 100 /* lodge0, lodge1 ...: one for each store of this host */

bool net_is_bridge(const struct network_record *n)
{
	return strcmp(n->driver, "bridge") == 0;
}

char *net_option(const struct network_record *n, const char *key)
{
	json_t *doc = n->doc ? json_loads(n->doc, 0, NULL) : NULL;
	json_t *options = json_object_get(doc, "options");
	const char *v = json_string_value(json_object_get(options, key));
	char *ret;

	if (!v)
		v = json_string_value(json_object_get(doc, key));
	ret = v && v[0] ? g_strdup(v) : NULL;
	json_decref(doc);
	return ret;
}

json_t *net_reserved(const struct network_record *n)
{
	json_t *doc = n->doc ? json_loads(n->doc, 0, NULL) : NULL;
	json_t *list = json_incref(json_object_get(doc, "reserved"));

	json_decref(doc);
	return list;
}

char *net_subnets(const struct network_record *n)
{
	return n->subnet6 ? g_strconcat(n->subnet, ",", n->subnet6, NULL) : g_strdup(n->subnet);
}

/* --- checks ------------------------------------------------------------------------------------------- */

static int check_name(const char *name, struct err *e)
{
	static const char *const reserved[] = { "host", "none", "default", "container", NET_PASST };
	size_t n = strlen(name);

	for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return err_set(e, -E_INVALID,
				"a network can't be called '%s': the word has a meaning", name);
	if (n == 0 || n > NET_NAME_MAX || !g_ascii_isalnum(name[0]) ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
			n)
		return err_set(e, -E_INVALID,
			"bad network name '%s': letters, digits, '_', '.' and '-', at most %d of "
			"them",
			name, NET_NAME_MAX);
	return 0;
}

/* Interfaces: dev_valid_name() of the kernel. */
static int check_interface(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IF_NAMESIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		strpbrk(name, "/: \t\n\"'"))
		return err_set(e, -E_INVALID, "bad interface name '%s'", name);
	return 0;
}

/* All subnets that a new network must keep clear of. */
static int collect_used(struct ctx *c, struct store *s, bool with_host, GArray *used, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	int r = s ? store_network_list(s, &list, e) : 0;

	for (guint i = 0; r >= 0 && list && i < list->len; i++) {
		const struct network_record *n = g_ptr_array_index(list, i);
		const char *text[] = { n->subnet, n->subnet6 };

		for (size_t k = 0; k < G_N_ELEMENTS(text); k++) {
			struct used_subnet u = { 0 };

			if (!text[k] || addr_parse(text[k], &u.subnet) < 0)
				continue;
			(void)g_snprintf(u.what, sizeof(u.what), "network '%.40s'", n->name);
			g_array_append_val(used, u);
		}
	}
	return r >= 0 && with_host ? host_subnets(used, e) : r;
}

/* The subnet as given, made canonical, with its gateway; clear of all others. */
static int check_subnet(
	char **subnet, char **gateway, int family, const GArray *used, struct err *e)
{
	const struct used_subnet *u;
	struct addr a, g;

	if (addr_parse(*subnet, &a) < 0 || !strchr(*subnet, '/'))
		return err_set(e, -E_INVALID, "bad subnet '%s': must be ADDRESS/BITS", *subnet);
	if (a.family != family)
		return err_set(e, -E_INVALID, "subnet '%s' is not IPv%d", *subnet,
			family == AF_INET ? 4 : 6);
	if (a.prefix < 8 || a.prefix > addr_bits(&a) - 2)
		return err_set(e, -E_INVALID, "bad subnet '%s': must have 8 to %u bits", *subnet,
			addr_bits(&a) - 2);
	addr_first(&a, &a);
	u = subnet_conflict(used, &a);
	if (u) {
		g_autofree char *theirs = addr_text(&u->subnet, true);

		err_set(e, -E_INUSE, "subnet '%s' overlaps %s (%s)", *subnet, u->what, theirs);
		return err_mend(e, "choose another --subnet, or none: a free one is picked");
	}
	g_free(*subnet);
	*subnet = addr_text(&a, true);
	if (!*gateway) {
		(void)addr_add(&a, 1, &g);
		*gateway = addr_text(&g, false);
		return 0;
	}
	if (addr_parse(*gateway, &g) < 0 || strchr(*gateway, '/') || !addr_in(&g, &a))
		return err_set(e, -E_INVALID, "gateway '%s' is not an address of subnet '%s'",
			*gateway, *subnet);
	return 0;
}

/* The range that guests get addresses from lies in the subnet. */
static int check_range(const struct network_record *n, struct err *e)
{
	g_autofree char *range = net_option(n, "ip_range");
	struct addr a, net;

	if (!range)
		return 0;
	(void)addr_parse(n->subnet, &net);
	if (addr_parse(range, &a) < 0 || a.family != AF_INET || !addr_in(&a, &net) ||
		a.prefix < net.prefix)
		return err_set(e, -E_INVALID, "address range '%s' is not a part of subnet '%s'",
			range, n->subnet);
	return 0;
}

static int check_driver(const struct network_record *n, struct err *e)
{
	g_autofree char *mode = net_option(n, "mode");
	static const char *const macvlan[] = { "bridge", "private", "vepa", "passthru", NULL };
	static const char *const ipvlan[] = { "l2", "l3", "l3s", NULL };
	bool is_macvlan = strcmp(n->driver, "macvlan") == 0;
	int r;

	if (net_is_bridge(n))
		return n->parent ? err_set(e, -E_INVALID, "a bridge has no parent interface") : 0;
	if (!is_macvlan && strcmp(n->driver, "ipvlan") != 0)
		return err_set(e, -E_UNSUPPORTED,
			"no network driver '%s': there are bridge, macvlan and ipvlan", n->driver);
	if (!n->parent)
		return err_set(e, -E_INVALID, "a %s network needs a parent interface", n->driver);
	r = check_interface(n->parent, e);
	if (r < 0)
		return r;
	if (!if_nametoindex(n->parent))
		return err_set(e, -E_NOTFOUND, "no interface '%s'", n->parent);
	if (mode && !g_strv_contains(is_macvlan ? macvlan : ipvlan, mode))
		return err_set(e, -E_INVALID, "%s has no mode '%s'", n->driver, mode);
	return 0;
}

static int check_all(struct network_record *n, const GArray *used, struct err *e)
{
	struct addr a;
	int r;

	if (!n->subnet) {
		if (!subnet_pick(used, &a))
			return err_set(e, -E_LIMIT, "no subnet is free: choose one with --subnet");
		n->subnet = addr_text(&a, true);
	}
	r = check_subnet(&n->subnet, &n->gateway, AF_INET, used, e);
	if (r >= 0)
		r = check_range(n, e);
	if (r >= 0 && n->subnet6)
		r = check_subnet(&n->subnet6, &n->gateway6, AF_INET6, used, e);
	if (r >= 0 && n->gateway6 && !n->subnet6)
		r = err_set(e, -E_INVALID, "gateway '%s' without an IPv6 subnet", n->gateway6);
	if (r >= 0 && n->mtu != 0 && (n->mtu < 68 || n->mtu > 65535))
		r = err_set(e, -E_INVALID, "bad mtu %d: must be 68 to 65535", n->mtu);
	return r;
}

/* --- making -------------------------------------------------------------------------------------------- */

static char *random_id(void)
{
	GString *s = g_string_new(NULL);

	for (int i = 0; i < 8; i++)
		g_string_append_printf(s, "%08x", g_random_int());
	return g_string_free(s, FALSE);
}

static void plan_record(struct plan *p, const struct network_record *n)
{
	plan_add(p, AT_HOST, &step_record_network, n->id, n->name, n->driver, n->bridge ?: "",
		n->subnet, n->gateway ?: "", n->subnet6 ?: "", n->gateway6 ?: "", n->parent ?: "",
		n->doc, n->internal ? "1" : "", plan_str(p, "%d", n->mtu),
		plan_str(p, "%" PRId64, n->created));
}

static void fill(struct network_record *n)
{
	if (!n->driver)
		n->driver = g_strdup("bridge");
	if (!n->id)
		n->id = random_id();
	if (!n->doc)
		n->doc = g_strdup("{}");
	if (!n->created)
		n->created = g_get_real_time() * 1000;
	if (!n->bridge && net_is_bridge(n))
		n->bridge = g_strdup_printf("br-%.12s", n->id);
}

/* A network that isn't there yet, checked; the lock of all networks is held. */
static int make(struct ctx *c, struct store *s, struct network_record *n, struct err *e)
{
	g_autoptr(GArray) used = g_array_new(FALSE, TRUE, sizeof(struct used_subnet));
	_cleanup_(plan_freep) struct plan *p = NULL;
	int r;

	fill(n);
	r = check_driver(n, e);
	if (r >= 0 && n->bridge)
		r = check_interface(n->bridge, e);
	/* guests of a macvlan are in the network of its parent: that is a subnet of the host */
	if (r >= 0)
		r = collect_used(c, s, net_is_bridge(n) || !n->subnet, used, e);
	if (r >= 0)
		r = check_all(n, used, e);
	if (r < 0)
		return r;
	p = plan_new();
	plan_record(p, n);
	return s || c->explain ? journal_run(c, p, e) : 0;
}

static void tell(struct ctx *c, const char *action, const struct network_record *n)
{
	event_emit(c, "network", action, n->id,
		json_pack("{s:s, s:s}", "name", n->name, "type", n->driver));
}

static int get_store(struct ctx *c, struct store **s, struct err *e)
{
	int r;

	*s = NULL;
	if (!c->explain)
		return store_get(c, s, e);
	r = store_get_existing(c, s, NULL);
	return r == -E_NOTFOUND || r == -EACCES ? 0 : r;
}

int net_create(struct ctx *c, struct network_record *n, struct err *e)
{
	_cleanup_close_ int lock = -1;
	_cleanup_(network_record_freep) struct network_record *old = NULL;
	struct store *s;
	int r = check_name(n->name, e);

	if (r >= 0)
		r = get_store(c, &s, e);
	if (r < 0)
		return r;
	if (!c->explain) {
		lock = store_lock(c, "networks", "all", e);
		if (lock < 0)
			return lock;
	}
	if (strcmp(n->name, NET_DEFAULT_NAME) == 0 ||
		(s && store_network_find(s, n->name, &old, NULL) >= 0 &&
			strcmp(old->name, n->name) == 0))
		return err_set(e, -E_EXISTS, "a network '%s' is there already", n->name);
	r = make(c, s, n, e);
	if (r >= 0)
		tell(c, "create", n);
	return r;
}

/* The first of lodge0, lodge1 ... that the host doesn't have: another store may have taken one. */
static char *free_bridge(void)
{
	for (int i = 0; i < BRIDGES_MAX; i++) {
		char *name = g_strdup_printf("%s%d", NET_DEFAULT_BRIDGE, i);

		if (!if_nametoindex(name))
			return name;
		g_free(name);
	}
	return g_strdup(NET_DEFAULT_BRIDGE "0");
}

int net_default(struct ctx *c, struct network_record **ret, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	_cleanup_close_ int lock = -1;
	struct store *s;
	int r = get_store(c, &s, e);

	if (r < 0)
		return r;
	if (s && store_network_find(s, NET_DEFAULT_NAME, ret, NULL) >= 0)
		return 0;
	if (!c->explain) {
		lock = store_lock(c, "networks", "all", e);
		if (lock < 0)
			return lock;
		/* another command made it meanwhile */
		if (store_network_find(s, NET_DEFAULT_NAME, ret, NULL) >= 0)
			return 0;
	}
	n = g_new0(struct network_record, 1);
	n->name = g_strdup(NET_DEFAULT_NAME);
	n->bridge = free_bridge();
	fill(n);
	if (host_has_ipv6()) {
		struct addr a;

		subnet_pick6(n->id, &a);
		n->subnet6 = addr_text(&a, true);
	}
	if (c->explain) {
		g_autoptr(GArray) used = g_array_new(FALSE, TRUE, sizeof(struct used_subnet));

		r = collect_used(c, s, true, used, e);
		if (r >= 0)
			r = check_all(n, used, e);
	} else {
		r = make(c, s, n, e);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&n);
	return 0;
}

int net_find(struct ctx *c, const char *ref, struct network_record **ret, struct err *e)
{
	struct store *s;
	int r;

	if (strcmp(ref, NET_DEFAULT_NAME) == 0 || strcmp(ref, "default") == 0)
		return net_default(c, ret, e);
	r = get_store(c, &s, e);
	if (r < 0)
		return r;
	if (!s)
		return err_set(e, -E_NOTFOUND, "no such network '%s'", ref);
	return store_network_find(s, ref, ret, e);
}

/* --- removing ------------------------------------------------------------------------------------------ */

static int check_unused(struct store *s, const char *name, struct err *e)
{
	g_autoptr(GPtrArray) users = NULL;
	_cleanup_(guest_record_freep) struct guest_record *g = NULL;
	int r = store_users(s, "network", name, &users, e);

	if (r < 0 || users->len == 0)
		return r;
	(void)store_guest_find(s, NULL, g_ptr_array_index(users, 0), &g, NULL);
	err_set(e, -E_INUSE, "network '%s' is in use by guest '%s'%s", name,
		g ? g->name : (char *)g_ptr_array_index(users, 0),
		users->len > 1 ? " and others" : "");
	return err_mend(e, "remove the guest first");
}

int net_remove(struct ctx *c, const char *ref, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	_cleanup_(plan_freep) struct plan *p = NULL;
	g_autofree char *subnets = NULL, *run = NULL;
	_cleanup_close_ int lock = -1;
	struct store *s;
	int r;

	if (strcmp(ref, NET_DEFAULT_NAME) == 0 || strcmp(ref, "default") == 0)
		return err_set(
			e, -E_INVALID, "network '%s' is the default one and can't be removed", ref);
	r = get_store(c, &s, e);
	if (r >= 0 && !s)
		r = err_set(e, -E_NOTFOUND, "no such network '%s'", ref);
	if (r >= 0)
		r = store_network_find(s, ref, &n, e);
	if (r < 0)
		return r;
	if (!c->explain) {
		lock = store_lock(c, "networks", "all", e);
		if (lock < 0)
			return lock;
	}
	r = check_unused(s, n->name, e);
	if (r < 0)
		return r;
	p = plan_new();
	run = store_run_path(c, "networks/%s", n->name);
	if (net_is_bridge(n)) {
		subnets = net_subnets(n);
		plan_add(p, AT_HOST, &step_link_delete, n->bridge);
		plan_add(p, AT_HOST, &step_nft_forget, n->bridge, n->internal ? "1" : "", subnets);
	}
	plan_add(p, AT_HOST, &step_remove, run);
	plan_add(p, AT_HOST, &step_record_network_remove, n->name);
	r = journal_run_forward(c, p, e);
	if (r >= 0)
		tell(c, "destroy", n);
	return r;
}
