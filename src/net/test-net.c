/* SPDX-License-Identifier: MIT */
#include <glib/gstdio.h>
#include <string.h>
#include "host/steps.h"
#include "net/net-priv.h"

static struct ctx ctx;
static char *root;

/* A shell command of the test's own; its exit status. */
static int shell(const char *cmd)
{
	const char *argv[] = { "sh", "-c", cmd, NULL };
	int status = -1;

	if (!g_spawn_sync(NULL, (char **)(uintptr_t)argv, NULL,
		    G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL,
		    &status, NULL))
		return -1;
	return status;
}

/* A store of the test's own. */
static void setup(void)
{
	root = g_dir_make_tmp("net-XXXXXX", NULL);
	g_assert_nonnull(root);
	ctx = (struct ctx){ .trace_fd = -1, .engine = "test" };
	ctx.root = g_build_filename(root, "root", NULL);
	ctx.run = g_build_filename(root, "run", NULL);
	ctx.libexec = g_strdup("/nowhere");
}

static void teardown(void)
{
	g_autofree char *rm = g_strdup_printf("rm -rf '%s'", root);

	store_close(&ctx);
	g_assert_cmpint(shell(rm), ==, 0);
	g_free(ctx.root);
	g_free(ctx.run);
	g_free(ctx.libexec);
	g_clear_pointer(&root, g_free);
}

static void add_used(GArray *used, const char *subnet)
{
	struct used_subnet u = { .what = "a route" };

	g_assert_cmpint(addr_parse(subnet, &u.subnet), ==, 0);
	g_array_append_val(used, u);
}

static void assert_picks(const GArray *used, const char *want)
{
	struct addr a;
	g_autofree char *text = NULL;

	g_assert_true(subnet_pick(used, &a));
	text = addr_text(&a, true);
	g_assert_cmpstr(text, ==, want);
}

static void test_pick(void)
{
	g_autoptr(GArray) used = g_array_new(FALSE, TRUE, sizeof(struct used_subnet));
	struct addr a;

	assert_picks(used, "10.88.0.0/16");
	add_used(used, "10.88.4.0/24");
	assert_picks(used, "10.89.0.0/16");
	add_used(used, "10.88.0.0/14");
	assert_picks(used, "10.92.0.0/16");
	add_used(used, "10.0.0.0/8");
	assert_picks(used, "172.24.0.0/16");
	add_used(used, "172.16.0.0/12");
	assert_picks(used, "192.168.128.0/20");
	add_used(used, "192.168.0.0/16");
	g_assert_false(subnet_pick(used, &a));
	add_used(used, "fd00::/8");
	subnet_pick6("one", &a);
	g_assert_true(subnet_conflict(used, &a) != NULL);
	g_assert_cmpint(a.prefix, ==, 64);
}

static void test_addr(void)
{
	static const char *const bad[] = { "", "10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/",
		"10.0.0.1/-1", "10.0.0.1/8x", "::/129", "[::1", "1.2.3.4.5", "fe80::1%eth0" };
	static const char *const bad_mac[] = { "", "02", "02:42:0a:58:00", "02:42:0a:58:00:0",
		"02:42:0a:58:00:02:", "02-42-0a-58-00-02", "0g:42:0a:58:00:02" };
	struct addr a, b;
	char text[ADDR_TEXT_MAX];
	uint8_t mac[6];

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(addr_parse(bad[i], &a), ==, -EINVAL);
	g_assert_cmpint(addr_parse("10.88.7.9/20", &a), ==, 0);
	addr_first(&a, &b);
	addr_show(&b, true, text);
	g_assert_cmpstr(text, ==, "10.88.0.0/20");
	addr_last(&a, &b);
	addr_show(&b, false, text);
	g_assert_cmpstr(text, ==, "10.88.15.255");
	g_assert_cmpuint(addr_offset(&a), ==, 7 * 256 + 9);
	g_assert_true(addr_add(&a, 256, &b));
	addr_show(&b, true, text);
	g_assert_cmpstr(text, ==, "10.88.8.9/20");
	g_assert_false(addr_add(&a, 9 * 256, &b));
	g_assert_cmpint(addr_parse("255.255.255.255/0", &a), ==, 0);
	g_assert_false(addr_add(&a, 1, &b));
	g_assert_cmpint(addr_parse("[fd00::ff]", &a), ==, 0);
	g_assert_cmpint(addr_parse("fd00::/64", &b), ==, 0);
	g_assert_true(addr_overlap(&a, &b));
	g_assert_true(addr_add(&a, 1, &a) == false); /* a whole address has no neighbours */
	g_assert_cmpint(addr_parse_mac("02:42:0A:ff:00:09", mac), ==, 0);
	g_assert_cmpmem(mac, 6, "\2\x42\12\xff\0\11", 6);
	for (size_t i = 0; i < G_N_ELEMENTS(bad_mac); i++)
		g_assert_cmpint(addr_parse_mac(bad_mac[i], mac), ==, -EINVAL);
}

#define HOST                                                                             \
	"# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch a.example " \
	"b.example\noptions rotate\n"

static void assert_text(char *got, const char *want)
{
	g_assert_cmpstr(got, ==, want);
	g_free(got);
}

static void test_resolv_conf(void)
{
	char *search[] = { (char *)(uintptr_t) "x.example", NULL },
	     *none[] = { (char *)(uintptr_t) ".", NULL };
	char *options[] = { (char *)(uintptr_t) "ndots:2", NULL };

	assert_text(text_resolv_conf(HOST, "127.0.0.11", false, NULL, NULL),
		"nameserver 127.0.0.11\nsearch a.example b.example\noptions edns0 ndots:0\n");
	assert_text(text_resolv_conf(HOST, "127.0.0.11", false, search, options),
		"nameserver 127.0.0.11\nsearch x.example\noptions ndots:2\n");
	assert_text(text_resolv_conf(HOST, "127.0.0.11", false, none, NULL),
		"nameserver 127.0.0.11\noptions edns0 ndots:0\n");
	assert_text(text_resolv_conf(HOST, NULL, false, NULL, NULL),
		"nameserver 192.0.2.1\nsearch a.example b.example\noptions rotate\n");
	assert_text(text_resolv_conf(HOST, NULL, true, search, NULL),
		"nameserver 127.0.0.53\nnameserver 192.0.2.1\noptions rotate\nsearch x.example\n");
	assert_text(text_resolv_conf(NULL, "127.0.0.11", false, NULL, NULL),
		"nameserver 127.0.0.11\noptions edns0 ndots:0\n");
}

static void test_hosts(void)
{
	char *addresses[] = { (char *)(uintptr_t) "10.88.0.2", NULL };
	char *extra[] = { (char *)(uintptr_t) "db:10.1.1.1", (char *)(uintptr_t) "six:fd00::1",
		(char *)(uintptr_t) "up:host-gateway", NULL };
	char *bad[] = { (char *)(uintptr_t) "db:nowhere", NULL };
	struct err e = { 0 };
	char *text;

	g_assert_cmpint(text_hosts("127.0.0.1\tlocalhost", "web", "example.org", addresses, extra,
				"10.88.0.1", &text, &e),
		==, 0);
	assert_text(text, "127.0.0.1\tlocalhost\n10.1.1.1\tdb\nfd00::1\tsix\n10.88.0.1\tup\n"
			  "10.88.0.2\tweb.example.org web\n");
	g_assert_cmpint(
		text_hosts(NULL, "web", NULL, addresses, bad, NULL, &text, &e), ==, -E_INVALID);
	g_assert_cmpstr(e.text, ==, "bad host 'db:nowhere': 'nowhere' is not an address");
	bad[0] = (char *)(uintptr_t) "up:host-gateway";
	g_assert_cmpint(
		text_hosts(NULL, "web", NULL, addresses, bad, NULL, &text, &e), ==, -E_INVALID);
}

static struct spec_port *add_port(struct spec_port *list, GPtrArray *ports, const char *proto,
	unsigned host, unsigned guest, unsigned count)
{
	struct spec_port *p = &list[ports->len];

	*p = (struct spec_port){ (char *)(uintptr_t)proto, NULL, (uint16_t)host, (uint16_t)guest,
		(uint16_t)count };
	g_ptr_array_add(ports, p);
	return p;
}

static void test_ports(void)
{
	struct spec_port list[1100];
	g_autoptr(GPtrArray) ports = g_ptr_array_new();
	g_autoptr(GPtrArray) got = NULL;
	struct err e = { 0 };
	const struct spec_port *p;

	/* a thousand neighbours, told one by one, are one range */
	for (unsigned i = 0; i < 1000; i++)
		(void)add_port(list, ports, "tcp", 20999 - i, 1999 - i, 1);
	(void)add_port(list, ports, "udp", 20000, 1000, 1);
	(void)add_port(list, ports, "tcp", 21000, 5000, 1);
	g_assert_cmpint(ports_resolve(&ctx, ports, &got, &e), ==, 0);
	g_assert_cmpuint(got->len, ==, 3);
	p = g_ptr_array_index(got, 0);
	g_assert_cmpuint(p->host, ==, 20000);
	g_assert_cmpuint(p->guest, ==, 1000);
	g_assert_cmpuint(p->count, ==, 1000);
	g_clear_pointer(&got, g_ptr_array_unref);
	/* twice the same, though one is in a range */
	(void)add_port(list, ports, "tcp", 20500, 1, 1);
	g_assert_cmpint(ports_resolve(&ctx, ports, &got, &e), ==, -E_INVALID);
	g_assert_cmpstr(e.text, ==, "port 20000/tcp is published twice");
	g_ptr_array_set_size(ports, 0);
	/* picked */
	(void)add_port(list, ports, "tcp", 0, 80, 10);
	(void)add_port(list, ports, "tcp", 0, 80, 1);
	g_assert_cmpint(ports_resolve(&ctx, ports, &got, &e), ==, 0);
	for (guint i = 0; i < 2; i++) {
		p = g_ptr_array_index(got, i);
		g_assert_cmpuint(p->host, >=, 1024);
	}
	g_ptr_array_set_size(ports, 0);
	g_clear_pointer(&got, g_ptr_array_unref);
	(void)add_port(list, ports, "icmp", 1, 80, 1);
	g_assert_cmpint(ports_resolve(&ctx, ports, &got, &e), ==, -E_INVALID);
	g_ptr_array_set_size(ports, 0);
	(void)add_port(list, ports, "tcp", 65530, 80, 10);
	g_assert_cmpint(ports_resolve(&ctx, ports, &got, &e), ==, -E_INVALID);
}

static int create(
	const char *name, const char *subnet, const char *gateway, const char *doc, struct err *e)
{
	struct network_record *n = g_new0(struct network_record, 1);
	int r;

	n->name = g_strdup(name);
	n->subnet = g_strdup(subnet);
	n->gateway = g_strdup(gateway);
	n->doc = g_strdup(doc);
	r = net_create(&ctx, n, e);
	network_record_free(n);
	return r;
}

static void test_create(void)
{
	struct err e = { 0 };
	struct network_record *n = NULL;

	setup();
	g_assert_cmpint(create("one", "10.201.7.9/24", NULL, NULL, &e), ==, 0);
	g_assert_cmpint(net_find(&ctx, "one", &n, &e), ==, 0);
	g_assert_cmpstr(n->subnet, ==, "10.201.7.0/24");
	g_assert_cmpstr(n->gateway, ==, "10.201.7.1");
	g_assert_cmpstr(n->driver, ==, "bridge");
	g_assert_cmpuint(strlen(n->bridge), ==, 15);
	network_record_free(n);
	g_assert_cmpint(create("one", NULL, NULL, NULL, &e), ==, -E_EXISTS);
	g_assert_cmpint(create("bridge", NULL, NULL, NULL, &e), ==, -E_EXISTS);
	g_assert_cmpint(create("two", "10.201.0.0/16", NULL, NULL, &e), ==, -E_INUSE);
	g_assert_cmpstr(
		e.text, ==, "subnet '10.201.0.0/16' overlaps network 'one' (10.201.7.0/24)");
	g_assert_cmpint(create("two", "10.202.0.0/24", "10.203.0.1", NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(create("two", "300.1.0.0/16", NULL, NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(create("two", "10.202.0.0/31", NULL, NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(create("two", "fd00::/64", NULL, NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(create("../x", NULL, NULL, NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(create("host", NULL, NULL, NULL, &e), ==, -E_INVALID);
	g_assert_cmpint(
		create("two", "10.202.0.0/24", NULL, "{\"ip_range\": \"10.203.0.0/28\"}", &e), ==,
		-E_INVALID);
	/* two without a subnet are clear of each other and of the default one */
	g_assert_cmpint(create("two", NULL, NULL, NULL, &e), ==, 0);
	g_assert_cmpint(create("three", NULL, NULL, NULL, &e), ==, 0);
	g_autoptr(GPtrArray) all = NULL;
	g_assert_cmpint(net_default(&ctx, &n, &e), ==, 0);
	network_record_free(n);
	g_assert_cmpint(store_network_list(ctx.store, &all, &e), ==, 0);
	g_assert_cmpuint(all->len, ==, 4);
	for (guint i = 0; i < all->len; i++)
		for (guint j = 0; j < i; j++) {
			const struct network_record *a = all->pdata[i], *b = all->pdata[j];
			struct addr x, y;

			g_assert_cmpstr(a->bridge, !=, b->bridge);
			g_assert_cmpint(
				addr_parse(a->subnet, &x) | addr_parse(b->subnet, &y), ==, 0);
			g_assert_false(addr_overlap(&x, &y));
		}
	g_assert_cmpint(net_remove(&ctx, "bridge", &e), ==, -E_INVALID);
	g_assert_cmpint(net_remove(&ctx, "four", &e), ==, -E_NOTFOUND);
	teardown();
}

static void take(
	const struct network_record *n, const char *id, const char *asked, const char *want)
{
	g_autofree char *folder = store_run_path(&ctx, "networks/%s/leases", n->name);
	g_autofree char *text = NULL, *path = NULL;
	struct err e = { 0 };
	struct addr a;

	if (lease_pick(&ctx, n, id, asked, &a, &e) < 0)
		g_error("lease: %s", e.text);
	text = addr_text(&a, false);
	g_assert_cmpstr(text, ==, want);
	path = g_build_filename(folder, text, NULL);
	g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
	g_assert_cmpint(symlink(id, path), ==, 0);
}

static void test_lease(void)
{
	struct network_record *n = NULL;
	struct err e = { 0 };
	struct addr a;
	g_autofree char *path = NULL;

	setup();
	g_assert_cmpint(create("small", "10.201.7.0/29", "10.201.7.3", NULL, &e), ==, 0);
	g_assert_cmpint(net_find(&ctx, "small", &n, &e), ==, 0);
	/* .0 and .7 are nobody's, .3 is the gateway */
	take(n, "aaaa", NULL, "10.201.7.1");
	take(n, "bbbb", NULL, "10.201.7.2");
	take(n, "cccc", "10.201.7.5", "10.201.7.5");
	g_assert_cmpint(lease_pick(&ctx, n, "cccc", "10.201.7.5", &a, &e), ==, 0);
	g_assert_cmpuint(a.prefix, ==, 29);
	take(n, "dddd", NULL, "10.201.7.4");
	take(n, "eeee", NULL, "10.201.7.6");
	g_assert_cmpint(lease_pick(&ctx, n, "ffff", NULL, &a, &e), ==, -E_LIMIT);
	g_assert_cmpint(lease_pick(&ctx, n, "ffff", "10.201.7.5", &a, &e), ==, -E_INUSE);
	g_assert_cmpint(lease_pick(&ctx, n, "cccc", "10.201.7.5", &a, &e), ==, 0); /* its own */
	g_assert_cmpint(lease_pick(&ctx, n, "ffff", "10.201.7.3", &a, &e), ==, -E_INUSE);
	g_assert_cmpint(lease_pick(&ctx, n, "ffff", "10.201.8.1", &a, &e), ==, -E_INVALID);
	path = store_run_path(&ctx, "networks/small/leases/10.201.7.2");
	g_assert_cmpint(g_unlink(path), ==, 0);
	take(n, "ffff", NULL, "10.201.7.2");
	network_record_free(n);
	/* a part of the subnet */
	g_assert_cmpint(
		create("part", "10.202.0.0/16", NULL, "{\"ip_range\": \"10.202.5.8/30\"}", &e), ==,
		0);
	g_assert_cmpint(net_find(&ctx, "part", &n, &e), ==, 0);
	g_assert_cmpint(lease_pick(&ctx, n, "gggg", NULL, &a, &e), ==, 0);
	g_autofree char *text = addr_text(&a, true);
	g_assert_cmpstr(text, ==, "10.202.5.8/16");
	network_record_free(n);
	teardown();
}

/* Side by side, before any lease is made: all get different ones. */
static void test_lease_many(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct network_record *n = NULL;
	struct err e = { 0 };
	gint64 begin;

	setup();
	g_assert_cmpint(create("big", "10.203.0.0/16", NULL, NULL, &e), ==, 0);
	g_assert_cmpint(net_find(&ctx, "big", &n, &e), ==, 0);
	begin = g_get_monotonic_time();
	for (int i = 0; i < 1000; i++) {
		struct addr a;

		g_assert_cmpint(lease_pick(&ctx, n, "x", NULL, &a, &e), ==, 0);
		g_assert_true(g_hash_table_add(seen, addr_text(&a, false)));
	}
	g_test_message("1000 addresses: %.1f ms", (double)(g_get_monotonic_time() - begin) / 1000);
	network_record_free(n);
	teardown();
}

static char *show(struct plan *p)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	plan_show(p, f);
	(void)fclose(f);
	return text;
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The whole plan, as explain prints it; nothing is written. */
static void test_plan(void)
{
	static char aliases[2][4] = { "db", "DB2" };
	char *alias[] = { aliases[0], aliases[1], NULL };
	struct spec_attach at = { .network = (char *)(uintptr_t) "web", .aliases = alias };
	struct spec_port port = { (char *)(uintptr_t) "tcp", NULL, 8080, 80, 2 };
	struct spec s = { .networks = g_ptr_array_new(), .ports = g_ptr_array_new() };
	struct network_record n = { .name = g_strdup("web"),
		.subnet = g_strdup("10.204.0.0/24"),
		.subnet6 = g_strdup("fd09::/64") };
	_cleanup_(plan_freep) struct plan *host = plan_new(), *net = plan_new();
	struct net_result ret;
	struct err e = { 0 };

	setup();
	g_assert_cmpint(net_create(&ctx, &n, &e), ==, 0);
	ctx.explain = true;
	g_ptr_array_add(s.networks, &at);
	g_ptr_array_add(s.ports, &port);
	if (net_plan_guest(&ctx, ID, "Web1", "web1", &s, host, net, &ret, &e) < 0)
		g_error("plan: %s", e.text);
	g_autofree char *inside = show(net), *outside = show(host);
	g_autofree char *next = store_run_path(&ctx, "networks/web/next");
	g_assert_false(g_file_test(next, G_FILE_TEST_EXISTS));
	g_assert_nonnull(strstr(outside, "/networks/web/names/db2"));
	g_assert_nonnull(strstr(outside, "add element inet lodge port4 { tcp . 0.0.0.0/0 . "
					 "8080-8081 comment \"Web1\" : 10.204.0.2 }"));
	g_assert_nonnull(
		strstr(outside, "add element inet lodge shift6 { tcp . 8081 : fd09::2 . 81 }"));
	g_assert_nonnull(strstr(inside, "ip address add 10.204.0.2/24 dev eth0"));
	g_assert_nonnull(strstr(inside, "ip route replace default via fd09::1 dev eth0"));
	g_assert_nonnull(strstr(inside, "ip link set lo up"));
	g_assert_nonnull(strstr(ret.hosts, "10.204.0.2\tweb1\n"));
	g_assert_nonnull(strstr(ret.resolv_conf, "nameserver 127.0.0.11\n"));
	const struct net_given *given = ret.given->pdata[0];
	g_assert_cmpstr(given->mac, ==, "02:42:0a:cc:00:02");
	g_assert_cmpstr(given->gateway6, ==, "fd09::1");
	net_result_free(&ret);
	/* errors that a plan finds */
	at.address = (char *)(uintptr_t) "10.205.0.1";
	g_assert_cmpint(
		net_plan_guest(&ctx, ID, "w", "w", &s, host, net, &ret, &e), ==, -E_INVALID);
	at.address = NULL;
	at.network = (char *)(uintptr_t) "nowhere";
	g_assert_cmpint(
		net_plan_guest(&ctx, ID, "w", "w", &s, host, net, &ret, &e), ==, -E_NOTFOUND);
	g_ptr_array_unref(s.networks);
	g_ptr_array_unref(s.ports);
	ctx.explain = false;
	teardown();
	g_free(n.name);
	g_free(n.subnet);
	g_free(n.subnet6);
	g_free(n.id);
	g_free(n.driver);
	g_free(n.bridge);
	g_free(n.gateway);
	g_free(n.gateway6);
	g_free(n.doc);
}

static void link_at(const char *path, const char *target)
{
	g_autofree char *full = store_run_path(&ctx, "networks/%s", path);
	g_autofree char *folder = g_path_get_dirname(full);

	g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
	g_assert_cmpint(symlink(target, full), ==, 0);
}

static void test_fsck(void)
{
	g_autoptr(GHashTable) live = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	struct err e = { 0 };

	setup();
	g_assert_cmpint(create("web", "10.204.0.0/24", NULL, NULL, &e), ==, 0);
	g_hash_table_add(live, (char *)(uintptr_t)ID);
	link_at("web/leases/10.204.0.2", ID);
	link_at("web/names/good", "10.204.0.2,fd00::2");
	link_at("web/names/@10.204.0.2", "good");
	g_assert_cmpint(net_fsck(&ctx, live, false, problems, &e), ==, 0);
	g_assert_cmpuint(problems->len, ==, 0);
	link_at("web/leases/10.204.0.3", "ffff");
	link_at("web/names/bad", "10.204.0.3");
	link_at("web/names/@10.204.0.3", "bad");
	link_at(".share/ffff/eeee", "eeee");
	g_assert_cmpint(net_fsck(&ctx, live, true, problems, &e), ==, 0);
	g_assert_cmpuint(problems->len, ==, 4);
	g_assert_cmpstr(problems->pdata[0], ==,
		"lease: address '10.204.0.3' of network 'web' belongs to guest 'ffff', which isn't "
		"running");
	g_ptr_array_set_size(problems, 0);
	g_assert_cmpint(net_fsck(&ctx, live, false, problems, &e), ==, 0);
	g_assert_cmpuint(problems->len, ==, 0);
	teardown();
}

/* Steps on links: no root needed. */
static void run_step(const struct step_ops *op, bool undo, int want, const char *const *arg)
{
	struct step s = { .op = op, .n = g_strv_length((char **)(uintptr_t)arg), .arg = arg };
	struct step_run r = { 0 };

	g_assert_cmpint(undo ? op->undo(&r, &s, NULL) : op->run(&r, &s, NULL), ==, want);
}

static gint by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *names_in(const char *folder)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	GDir *d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d)) != NULL) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		g_autofree char *target = g_file_read_link(path, NULL);

		g_ptr_array_add(list, g_strdup_printf("%s=%s", name, target));
	}
	if (d)
		g_dir_close(d);
	g_ptr_array_sort(list, by_text);
	g_ptr_array_add(list, NULL);
	return g_strjoinv(" ", (char **)list->pdata);
}

static void test_steps(void)
{
	setup();
	g_autofree char *names = g_build_filename(root, "n", "names", NULL);
	g_autofree char *leases = g_build_filename(root, "n", "leases", NULL);
	const char *one[] = { names, "10.0.0.2", "web", "db", NULL };
	const char *two[] = { names, "10.0.0.3", "web", NULL };
	const char *three[] = { names, "10.0.0.4", "web", NULL };
	const char *mine[] = { leases, "10.0.0.2,fd00::2", "me", NULL };
	const char *theirs[] = { leases, "10.0.0.3,fd00::2", "they", NULL };

	run_step(&step_name, false, 0, one);
	run_step(&step_name, false, 0, two);
	run_step(&step_name, false, 0, three);
	run_step(&step_name, false, 0, one); /* a restart */
	assert_text(names_in(names), "db=10.0.0.2 web=10.0.0.2 web~1=10.0.0.3 web~2=10.0.0.4");
	run_step(&step_name, true, 0, one);
	assert_text(names_in(names), "web=10.0.0.4 web~1=10.0.0.3"); /* no gap */
	run_step(&step_name, true, 0, one);
	run_step(&step_name, true, 0, two);
	run_step(&step_name, true, 0, three);
	assert_text(names_in(names), "");
	run_step(&step_lease, false, 0, mine);
	run_step(&step_lease, false, 0, mine);
	run_step(&step_lease, false, -E_INUSE, theirs);
	assert_text(
		names_in(leases), "10.0.0.2=me fd00::2=me"); /* and their first one is given back */
	run_step(&step_lease, true, 0, theirs);
	assert_text(names_in(leases), "10.0.0.2=me fd00::2=me");
	run_step(&step_lease, true, 0, mine);
	run_step(&step_lease, true, 0, mine);
	assert_text(names_in(leases), "");
	teardown();
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/net/addr", test_addr);
	g_test_add_func("/net/pick", test_pick);
	g_test_add_func("/net/resolv-conf", test_resolv_conf);
	g_test_add_func("/net/hosts", test_hosts);
	g_test_add_func("/net/ports", test_ports);
	g_test_add_func("/net/create", test_create);
	g_test_add_func("/net/lease", test_lease);
	g_test_add_func("/net/lease-many", test_lease_many);
	g_test_add_func("/net/plan", test_plan);
	g_test_add_func("/net/fsck", test_fsck);
	g_test_add_func("/net/steps", test_steps);
	return g_test_run();
}
