/* SPDX-License-Identifier: MIT */
/* Addresses: who has which, and which is next. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "net/net-priv.h"

static char *lease_path(struct ctx *c, const struct network_record *n, const struct addr *a)
{
	g_autofree char *text = addr_text(a, false);

	return store_run_path(c, "networks/%s/leases/%s", n->name, text);
}

/* The guest that has the address; NULL: nobody. Caller frees. */
static char *lease_owner(struct ctx *c, const struct network_record *n, const struct addr *a)
{
	g_autofree char *path = lease_path(c, n, a);

	return g_file_read_link(path, NULL);
}

/* The addresses of the subnet that guests can get. */
struct span {
	struct addr net, first; /* first: of the range that is given out; prefix is the range's */
	uint64_t count;
	struct addr gateway;
	json_t *reserved; /* addresses that nobody is given; NULL: none */
};

static void span_clear(struct span *s)
{
	json_decref(s->reserved);
}

static int get_span(const struct network_record *n, struct span *s, struct err *e)
{
	g_autofree char *range = net_option(n, "ip_range");

	if (!n->subnet || addr_parse(n->subnet, &s->net) < 0)
		return err_set(e, -E_CORRUPT, "network '%s' has no usable subnet", n->name);
	s->first = s->net;
	if (range && addr_parse(range, &s->first) < 0)
		return err_set(
			e, -E_CORRUPT, "network '%s': bad address range '%s'", n->name, range);
	addr_first(&s->first, &s->first);
	s->count = UINT64_C(1) << (32 - s->first.prefix);
	if (!n->gateway || addr_parse(n->gateway, &s->gateway) < 0)
		s->gateway = (struct addr){ 0 };
	s->reserved = net_reserved(n);
	return 0;
}

/* Whether guests can have it at all: not the subnet's first and last, not the gateway, and not the one below the
 * last, where machines find their DNS (monitor/lan.c). */
static bool usable(const struct span *s, const struct addr *a)
{
	struct addr first, last, dns;

	addr_last(&s->net, &last);
	dns = last;
	dns.b[3]--;
	for (size_t i = 0; i < json_array_size(s->reserved); i++) {
		const char *text = json_string_value(json_array_get(s->reserved, i));

		if (text && addr_parse(text, &first) == 0 && addr_same(a, &first))
			return false;
	}
	addr_first(&s->net, &first);
	if (addr_same(a, &s->gateway) || (s->net.prefix <= 28 && addr_same(a, &dns)))
		return false;
	return s->net.prefix >= 31 || (!addr_same(a, &first) && !addr_same(a, &last));
}

static int check_asked(struct ctx *c, const struct network_record *n, const char *id,
	const char *subnet, const char *asked, struct addr *ret, struct err *e)
{
	g_autofree char *owner = NULL;
	struct addr net, gateway;

	if (addr_parse(asked, ret) < 0 || strchr(asked, '/'))
		return err_set(e, -E_INVALID, "'%s' is not an address", asked);
	if (!subnet || addr_parse(subnet, &net) < 0 || !addr_in(ret, &net))
		return err_set(e, -E_INVALID, "address '%s' is not in network '%s' (%s)", asked,
			n->name, subnet ? subnet : "no such subnet");
	ret->prefix = net.prefix;
	for (int i = 0; i < 2; i++) {
		const char *g = i ? n->gateway6 : n->gateway;

		if (g && addr_parse(g, &gateway) == 0 && addr_same(ret, &gateway))
			return err_set(e, -E_INUSE, "address '%s' is the gateway of network '%s'",
				asked, n->name);
	}
	owner = c->explain ? NULL : lease_owner(c, n, ret);
	if (owner && strcmp(owner, id) != 0)
		return err_set(e, -E_INUSE,
			"address '%s' of network '%s' is in use by guest '%.12s'", asked, n->name,
			owner);
	return 0;
}

/* The offset where the last search ended; the file stays locked while *ret_fd is open. */
static int open_next(struct ctx *c, const struct network_record *n, uint64_t *ret, struct err *e)
{
	g_autofree char *dir = store_run_path(c, "networks/%s", n->name);
	g_autofree char *path = g_build_filename(dir, "next", NULL);
	int fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	char text[32];
	ssize_t k;
	int r;

	if (fd == -ENOENT) {
		r = RET_NERRNO(g_mkdir_with_parents(dir, 0755));
		if (r < 0)
			return err_sys(e, r, "cannot make '%s'", dir);
		fd = RET_NERRNO(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	}
	if (fd < 0)
		return err_sys(e, fd, "cannot open '%s'", path);
	do
		r = RET_NERRNO(flock(fd, LOCK_EX));
	while (r == -EINTR);
	k = pread(fd, text, sizeof(text) - 1, 0);
	text[k > 0 ? k : 0] = '\0';
	*ret = g_ascii_strtoull(text, NULL, 10);
	return fd;
}

static void write_next(int fd, uint64_t next)
{
	char text[32];
	int n = g_snprintf(text, sizeof(text), "%020" G_GINT64_MODIFIER "u\n", next);

	/* of one length, so that nothing is cut; a file that can't be written is a slower search, no error */
	(void)!pwrite(fd, text, (size_t)n, 0);
}

/* Goes round from the last one, so that an address isn't given out again at once, and so that commands
 * that run side by side get different ones: the lease itself is a later step. */
int lease_pick(struct ctx *c, const struct network_record *n, const char *id, const char *asked,
	struct addr *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	uint64_t next = 0;
	_cleanup_(span_clear) struct span s = { 0 };
	int r = get_span(n, &s, e);

	if (r < 0)
		return r;
	if (asked)
		return check_asked(c, n, id, n->subnet, asked, ret, e);
	if (!c->explain) {
		fd = open_next(c, n, &next, e);
		if (fd < 0)
			return fd;
	}
	for (uint64_t i = 0; i < s.count; i++) {
		g_autofree char *owner = NULL;
		uint64_t k = (next + i) % s.count;
		struct addr a;

		if (!addr_add(&s.first, k, &a) || !usable(&s, &a))
			continue;
		a.prefix = s.net.prefix;
		owner = c->explain ? NULL : lease_owner(c, n, &a);
		if (owner && strcmp(owner, id) != 0)
			continue;
		if (fd >= 0)
			write_next(fd, k + 1);
		*ret = a;
		return 0;
	}
	r = err_set(e, -E_LIMIT, "network '%s' (%s) has no free address", n->name, n->subnet);
	return err_mend(e, "stop guests, or make a network with a larger --subnet"), r;
}

/* By the same number in its subnet, so that there is nothing to search. */
int lease_pick6(struct ctx *c, const struct network_record *n, const char *id,
	const struct addr *a4, const char *asked, struct addr *ret, struct err *e)
{
	struct addr net;

	if (asked)
		return check_asked(c, n, id, n->subnet6, asked, ret, e);
	if (addr_parse(n->subnet6, &net) < 0)
		return err_set(e, -E_CORRUPT, "network '%s': bad subnet '%s'", n->name, n->subnet6);
	addr_first(&net, &net);
	/* the gateway is ::1, as it is .1 in the other subnet */
	if (!addr_add(&net, addr_offset(a4), ret))
		return err_set(e, -E_LIMIT, "subnet '%s' of network '%s' is smaller than '%s'",
			n->subnet6, n->name, n->subnet);
	if (n->gateway6) {
		struct addr g;

		/* somebody chose another gateway and our number is it: the one behind all of the first subnet */
		if (addr_parse(n->gateway6, &g) == 0 && addr_same(&g, ret) &&
			!addr_add(&net, UINT64_C(1) << (32 - a4->prefix), ret))
			return err_set(e, -E_LIMIT, "subnet '%s' is too small", n->subnet6);
	}
	return 0;
}
