/* SPDX-License-Identifier: MIT */
/* What guests that are no more left behind: leases, names, interfaces, published ports. */
#include <string.h>
#include <unistd.h>
#include "host/nft.h"
#include "host/steps.h"
#include "net/net-priv.h"

#define DYING_TRIES \
	20 /* of 50 ms: the kernel takes a dead guest's interface down some time later */

struct check {
	struct ctx *c;
	GHashTable *live;
	bool repair;
	GPtrArray *problems;
	GPtrArray *networks; /* struct network_record */
	GHashTable *leased;  /* "NET/ADDRESS" of live guests */
};

static void problem(struct check *k, const char *fmt, ...) _printf_(2, 3);
static void problem(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_ptr_array_add(k->problems, g_strdup_vprintf(fmt, ap));
	va_end(ap);
}

static void check_leases(struct check *k, const char *net, const char *folder)
{
	GDir *d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d)) != NULL) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_autofree char *owner = g_file_read_link(path, NULL);

		if (owner && g_hash_table_contains(k->live, owner)) {
			g_hash_table_add(k->leased, g_strdup_printf("%s/%s", net, name));
			continue;
		}
		problem(k,
			"lease: address '%s' of network '%s' belongs to guest '%.12s', which isn't "
			"running",
			name, net, owner ? owner : "?");
		if (k->repair)
			(void)unlink(path);
	}
	if (d)
		g_dir_close(d);
}

static void check_names(struct check *k, const char *net, const char *folder)
{
	GDir *d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d)) != NULL) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_autofree char *target = g_file_read_link(path, NULL);
		const char *address = name[0] == '@' ? name + 1 : target ? target : "";
		g_autofree char *key =
			g_strdup_printf("%s/%.*s", net, (int)strcspn(address, ","), address);

		if (g_hash_table_contains(k->leased, key))
			continue;
		problem(k, "name: '%s' of network '%s' leads to an address that nobody has", name,
			net);
		if (k->repair)
			(void)unlink(path);
	}
	if (d)
		g_dir_close(d);
}

/* Guests in others' network namespaces. */
static void check_shares(struct check *k)
{
	g_autofree char *top = store_run_path(k->c, "networks/.share");
	GDir *d = g_dir_open(top, 0, NULL);
	const char *id, *other;

	while (d && (id = g_dir_read_name(d)) != NULL) {
		g_autofree char *folder = g_build_filename(top, id, NULL);
		GDir *in = g_dir_open(folder, 0, NULL);

		while (in && (other = g_dir_read_name(in)) != NULL) {
			g_autofree char *path = g_build_filename(folder, other, NULL);

			if (g_hash_table_contains(k->live, other))
				continue;
			problem(k,
				"network: guest '%.12s', which isn't running, shares that of "
				"'%.12s'",
				other, id);
			if (k->repair)
				(void)unlink(path);
		}
		if (in)
			g_dir_close(in);
		/* empty ones are no problem, only rubbish */
		if (k->repair)
			(void)rmdir(folder);
	}
	if (d)
		g_dir_close(d);
}

static bool has_owner(const struct check *k, const char *ifname)
{
	GHashTableIter it;
	gpointer id;

	g_hash_table_iter_init(&it, k->live);
	while (g_hash_table_iter_next(&it, &id, NULL))
		if (strncmp(ifname + 2, id, 11) == 0)
			return true;
	return false;
}

/* Ports of a bridge of ours that belong to nobody. */
static void dead_ports(const struct check *k, const char *bridge, GPtrArray *dead)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	if (host_ports("lv", bridge, names) < 0)
		return;
	for (guint i = 0; i < names->len; i++)
		if (!has_owner(k, g_ptr_array_index(names, i)))
			g_ptr_array_add(dead, g_strdup(g_ptr_array_index(names, i)));
}

static void check_links(struct check *k, const char *bridge)
{
	g_autoptr(GPtrArray) dead = g_ptr_array_new_with_free_func(g_free);

	dead_ports(k, bridge, dead);
	for (int i = 0; dead->len > 0 && i < DYING_TRIES; i++) {
		g_usleep(50000);
		g_ptr_array_set_size(dead, 0);
		dead_ports(k, bridge, dead);
	}
	for (guint i = 0; i < dead->len; i++) {
		const char *arg[] = { g_ptr_array_index(dead, i), NULL };
		struct step s = { .op = &step_link_delete, .n = 1, .arg = arg };
		struct step_run run = { 0 };

		problem(k, "interface: '%s' of bridge '%s' belongs to no running guest", arg[0],
			bridge);
		if (k->repair)
			(void)step_link_delete.run(&run, &s, NULL);
	}
}

/* --- published ports -------------------------------------------------------------------------------------- */

struct elems {
	const struct check *k;
	GArray *dead; /* struct nft_elem */
	int family;
};

/* The network whose subnet holds the address. */
static const struct network_record *network_at(const struct check *k, const struct addr *a)
{
	for (guint i = 0; i < k->networks->len; i++) {
		const struct network_record *n = g_ptr_array_index(k->networks, i);
		const char *text = a->family == AF_INET6 ? n->subnet6 : n->subnet;
		struct addr net;

		if (text && addr_parse(text, &net) == 0 && addr_in(a, &net))
			return n;
	}
	return NULL;
}

static int see_elem(const struct nft_elem *m, void *data)
{
	struct elems *l = data;
	struct addr a = { .family = l->family };
	const struct network_record *n;
	g_autofree char *text = NULL, *key = NULL;

	if (m->data_size < addr_len(&a))
		return 0;
	memcpy(a.b, m->data, addr_len(&a));
	a.prefix = addr_bits(&a);
	n = network_at(l->k, &a);
	if (!n) /* of another store */
		return 0;
	text = addr_text(&a, false);
	key = g_strdup_printf("%s/%s", n->name, text);
	if (!g_hash_table_contains(l->k->leased, key))
		g_array_append_vals(l->dead, m, 1);
	return 0;
}

static void check_elems(struct check *k)
{
	static const struct {
		const char *set;
		int family;
	} sets[] = {
		{ "port4", AF_INET },
		{ "port6", AF_INET6 },
		{ "shift4", AF_INET },
		{ "shift6", AF_INET6 },
		{ "shift4on", AF_INET },
		{ "shift6on", AF_INET6 },
	};
	_cleanup_close_ int fd = nl_open(NETLINK_NETFILTER);

	for (size_t i = 0; fd >= 0 && i < G_N_ELEMENTS(sets); i++) {
		g_autoptr(GArray) dead = g_array_new(FALSE, TRUE, sizeof(struct nft_elem));
		struct elems l = { k, dead, sets[i].family };

		(void)nft_list(fd, sets[i].set, see_elem, &l);
		for (guint j = 0; j < dead->len; j++) {
			const struct nft_elem *m = &g_array_index(dead, struct nft_elem, j);
			size_t at = m->key_size - 4;

			/* a range tells for the elements of its shifted ports */
			if (m->comment[0])
				problem(k,
					"port: %u of guest '%s' is published, but the guest isn't "
					"running",
					(unsigned)(m->key[at] << 8 | m->key[at + 1]), m->comment);
			if (k->repair)
				(void)nft_delete(fd, m);
		}
	}
}

int net_fsck(struct ctx *c, GHashTable *live_ids, bool repair, GPtrArray *problems, struct err *e)
{
	g_autoptr(GPtrArray) networks = NULL;
	g_autoptr(GHashTable) leased = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct check k = { c, live_ids, repair, problems, NULL, leased };
	struct store *s;
	int r = store_get_existing(c, &s, e);

	if (r == -E_NOTFOUND)
		return 0;
	if (r >= 0)
		r = store_network_list(s, &networks, e);
	if (r < 0)
		return r;
	k.networks = networks;
	for (guint i = 0; i < networks->len; i++) {
		const struct network_record *n = g_ptr_array_index(networks, i);
		g_autofree char *leases = store_run_path(c, "networks/%s/leases", n->name);
		g_autofree char *names = store_run_path(c, "networks/%s/names", n->name);

		check_leases(&k, n->name, leases);
		check_names(&k, n->name, names);
		if (c->is_root && net_is_bridge(n))
			check_links(&k, n->bridge);
	}
	check_shares(&k);
	if (c->is_root)
		check_elems(&k);
	return 0;
}
