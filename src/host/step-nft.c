/* SPDX-License-Identifier: MIT */
/* Steps on elements of our nftables table: networks and published ports. */
#include "host/steps.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "host/addr.h"
#include "host/conntrack.h"
#include "host/nft.h"

#define PUBLISH_FIELDS 6

/* --- base --- */

static int base_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = nl_open(NETLINK_NETFILTER);
	int r = fd < 0 ? fd : nft_table_there(fd);

	if (r == 1)
		return 0;
	if (r < 0) {
		(void)err_sys(e, r, "asking for nftables");
		return err_mend(e, "modprobe nf_tables; lodge doctor says what the kernel lacks");
	}
	r = nft_load(nft_base_text, e);
	/* somebody else was faster: the text begins with "create" */
	if (r < 0 && nft_table_there(fd) == 1)
		return 0;
	return r;
}

static void base_show(const struct step *s, struct text *t)
{
	text_add(t, "nft list table inet lodge >/dev/null || nft -f - <<'END'\n");
	text_add(t, nft_base_text);
	text_add(t, "END");
}

const struct step_ops step_nft_base = {
	.name = "nft-base", .args = "", .run = base_run, .show = base_show
};

/* --- network --- */

static void elem_name(struct nft_elem *m, const char *set, const char *name, unsigned times)
{
	*m = (struct nft_elem){ .set = set, .key_size = (size_t)IFNAMSIZ * times };
	for (unsigned i = 0; i < times; i++)
		memcpy(m->key + IFNAMSIZ * i, name, strnlen(name, IFNAMSIZ - 1));
}

/* A range in a set of one field is two elements: its first address, and the one after its last, which is
 * left out where there is none. Returns how many. */
static int elem_subnet(struct nft_elem m[2], const struct addr *a)
{
	const char *set = a->family == AF_INET6 ? "nat6" : "nat4";
	struct addr first, last, whole;

	addr_first(a, &first);
	addr_last(a, &last);
	whole = last;
	whole.prefix = 0;
	m[0] = (struct nft_elem){ .set = set, .key_size = addr_len(a) };
	memcpy(m[0].key, first.b, addr_len(a));
	if (!addr_add(&whole, 1, &whole))
		return 1;
	m[1] = (struct nft_elem){ .set = set, .key_size = addr_len(a), .closes = true };
	memcpy(m[1].key, whole.b, addr_len(a));
	return 2;
}

/* All elements of a network: of the step's arguments. Returns how many, or a code. */
#define NETWORK_ELEMS_MAX 8
static int network_elems(const struct step *s, struct nft_elem m[static NETWORK_ELEMS_MAX])
{
	bool internal = s->arg[1][0] != '\0';
	char one[ADDR_TEXT_MAX];
	struct addr a;
	int n = 0;

	elem_name(&m[n++], "bridges", s->arg[0], 1);
	elem_name(&m[n++], "same", s->arg[0], 2);
	if (internal) {
		elem_name(&m[n++], "internal", s->arg[0], 1);
		return n;
	}
	for (const char *p = s->arg[2]; *p;) {
		size_t k = strcspn(p, ",");

		if (k >= sizeof(one) || n + 2 > NETWORK_ELEMS_MAX)
			return -EINVAL;
		memcpy(one, p, k);
		one[k] = '\0';
		if (addr_parse(one, &a) < 0)
			return -EINVAL;
		n += elem_subnet(&m[n], &a);
		p += k + (p[k] == ',');
	}
	return n;
}

static int network_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = nl_open(NETLINK_NETFILTER);
	struct nft_elem m[NETWORK_ELEMS_MAX], got;
	char space[4096];
	struct nl_buf b = NL_BUF_ON(space);
	struct nl_refusal no;
	int n, r;

	if (fd < 0)
		return fd;
	n = network_elems(s, m);
	if (n < 0)
		return err_set(e, n, "bad subnet in '%s'", s->arg[2]);
	/* one transaction adds them all: when the first is there, they are */
	if (nft_get(fd, &m[0], &got) == 0)
		return 0;
	nft_batch_begin(&b);
	for (int i = 0; i < n; i++)
		nft_put_add(&b, &m[i], false);
	r = nft_batch_run(fd, &b, &no);
	if (r < 0 && no.text[0])
		return err_set(e, r, "nft-network '%s': %s: %s", s->arg[0], err_words(r), no.text);
	return r;
}

static void show_network(const struct step *s, struct text *t, const char *verb)
{
	text_addf(t, "nft '%s element inet lodge bridges { \"%s\" }", verb, s->arg[0]);
	text_addf(
		t, "; %s element inet lodge same { \"%s\" . \"%s\" }", verb, s->arg[0], s->arg[0]);
	if (s->arg[1][0])
		text_addf(t, "; %s element inet lodge internal { \"%s\" }", verb, s->arg[0]);
	for (const char *p = s->arg[1][0] ? "" : s->arg[2]; *p;) {
		size_t k = strcspn(p, ",");

		text_addf(t, "; %s element inet lodge %s { %.*s }", verb,
			memchr(p, ':', k) ? "nat6" : "nat4", (int)k, p);
		p += k + (p[k] == ',');
	}
	text_add(t, "'");
}

static void network_show(const struct step *s, struct text *t)
{
	show_network(s, t, "add");
}

const struct step_ops step_nft_network = { .name = "nft-network",
	.args = "IF internal subnets",
	.run = network_run,
	.show = network_show };

static int forget_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = nl_open(NETLINK_NETFILTER);
	struct nft_elem m[NETWORK_ELEMS_MAX];
	char space[1024];
	struct nl_buf b = NL_BUF_ON(space);
	int n, r;

	if (fd < 0)
		return fd;
	n = network_elems(s, m);
	for (int i = 0; i < n; i++) {
		nft_batch_begin(&b);
		nft_put_delete(&b, &m[i]);
		/* both ends of a range in one transaction */
		if (i + 1 < n && m[i + 1].closes)
			nft_put_delete(&b, &m[++i]);
		r = nft_batch_run(fd, &b, NULL);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static void forget_show(const struct step *s, struct text *t)
{
	show_network(s, t, "delete");
}

const struct step_ops step_nft_forget = {
	.name = "nft-forget", .args = "IF internal subnets", .run = forget_run, .show = forget_show
};

/* --- publish --- */

struct publish {
	const char *proto_name;
	int proto;
	struct addr host, guest;
	bool any; /* all addresses of the host */
	unsigned first, last, to;
};

static int parse_port(const char *s, unsigned *ret)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*end || s[0] < '0' || s[0] > '9' || v < 1 || v > 65535)
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

/* The i-th published range of the step. */
static int parse_publish(const struct step *s, unsigned i, struct publish *p)
{
	const char *const *arg = s->arg + 1 + (size_t)i * PUBLISH_FIELDS;
	static const uint8_t zero[16];

	p->proto_name = arg[0];
	p->proto = strcmp(arg[0], "tcp") == 0	 ? IPPROTO_TCP
		   : strcmp(arg[0], "udp") == 0	 ? IPPROTO_UDP
		   : strcmp(arg[0], "sctp") == 0 ? IPPROTO_SCTP
						 : -1;
	if (p->proto < 0 || addr_parse(arg[1], &p->host) < 0 || parse_port(arg[2], &p->first) < 0 ||
		parse_port(arg[3], &p->last) < 0 || addr_parse(arg[4], &p->guest) < 0 ||
		parse_port(arg[5], &p->to) < 0)
		return -EINVAL;
	if (p->last < p->first || p->to + (p->last - p->first) > 65535 ||
		p->host.family != p->guest.family)
		return -EINVAL;
	p->any = memcmp(p->host.b, zero, addr_len(&p->host)) == 0;
	return 0;
}

static unsigned publish_count(const struct step *s)
{
	return (s->n - 1) / PUBLISH_FIELDS;
}

/* Fields are padded to 4 bytes each: protocol, address, port. */
static size_t put_key(uint8_t *key, const struct publish *p, bool end, unsigned port)
{
	unsigned n = addr_len(&p->host);
	uint16_t be = htons((uint16_t)port);

	key[0] = (uint8_t)p->proto;
	if (p->any)
		memset(key + 4, end ? 0xff : 0, n);
	else
		memcpy(key + 4, p->host.b, n);
	memcpy(key + 4 + n, &be, 2);
	return 8 + (size_t)n;
}

/* One port of p in the map that is asked by the exact port. */
static void exact_elem(const struct publish *p, unsigned port, struct nft_elem *m)
{
	bool v6 = p->host.family == AF_INET6;
	unsigned n = addr_len(&p->host);
	uint16_t be = htons((uint16_t)port), to = htons((uint16_t)(p->to + port - p->first));

	*m = (struct nft_elem){ .data_size = n + 4 };
	if (p->any) {
		m->set = v6 ? "shift6" : "shift4";
		m->key_size = 8;
		m->key[0] = (uint8_t)p->proto;
		memcpy(m->key + 4, &be, 2);
	} else {
		m->set = v6 ? "shift6on" : "shift4on";
		m->key_size = put_key(m->key, p, false, port);
	}
	memcpy(m->data, p->guest.b, n);
	memcpy(m->data + n, &to, 2);
}

/*
 * The elements of p, one after the other. Of a single port: that port. Of a range: i = 0 is the range
 * itself, which keeps the port; when the guest's ports are others there is one for each port behind it.
 * The first has the owner's name. False: no such element.
 */
static bool publish_elem(const struct publish *p, const char *owner, unsigned i, struct nft_elem *m)
{
	if (i > 0 && (p->first == p->last || p->first == p->to || i > p->last - p->first + 1))
		return false;
	if (i > 0) {
		exact_elem(p, p->first + i - 1, m);
		return true;
	}
	if (p->first == p->last)
		exact_elem(p, p->first, m);
	else {
		*m = (struct nft_elem){ .set = p->host.family == AF_INET6 ? "port6" : "port4",
			.range = true,
			.data_size = addr_len(&p->host) };
		m->key_size = put_key(m->key, p, false, p->first);
		(void)put_key(m->end, p, true, p->last);
		memcpy(m->data, p->guest.b, m->data_size);
	}
	(void)snprintf(m->comment, sizeof(m->comment), "%s", owner);
	return true;
}

/* Whether an element is there with our range and our guest's address: 1, 0, or a code. */
static int elem_ours(int fd, const struct nft_elem *m)
{
	struct nft_elem got;
	int r = nft_get(fd, m, &got);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return memcmp(got.key, m->key, m->key_size) == 0 &&
	       memcmp(got.end, m->end, m->key_size) == 0 &&
	       memcmp(got.data, m->data, m->data_size) == 0;
}

/* A guest that restarts keeps its ports (STEP_HOLD): whether all of them are there and ours. The range tells
 * it for the elements of shifted ports too: they come and go in one transaction. */
static bool all_ours(int fd, const struct publish *list, unsigned n)
{
	struct nft_elem m;

	for (unsigned i = 0; i < n; i++)
		if (!publish_elem(&list[i], "", 0, &m) || elem_ours(fd, &m) != 1)
			return false;
	return true;
}

/* Whether something on the host listens there already. */
static int port_free(const struct publish *p, unsigned port)
{
	int type = p->proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int one = 1, r;
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	socklen_t n;
	int fd;

	if (p->proto == IPPROTO_SCTP) /* would load the module: the guest's business */
		return 0;
	fd = socket(p->host.family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	a.sa.sa_family = (sa_family_t)p->host.family;
	if (p->host.family == AF_INET6) {
		n = sizeof(a.v6);
		a.v6.sin6_port = htons((uint16_t)port);
		memcpy(&a.v6.sin6_addr, p->host.b, 16);
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	} else {
		n = sizeof(a.v4);
		a.v4.sin_port = htons((uint16_t)port);
		memcpy(&a.v4.sin_addr, p->host.b, 4);
	}
	/* connections that are closing don't count, listeners do */
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	r = RET_NERRNO(bind(fd, &a.sa, n));
	(void)close(fd);
	return r;
}

static int check_free(const struct publish *p, struct err *e)
{
	char host[ADDR_TEXT_MAX];

	for (unsigned port = p->first; port <= p->last; port++) {
		int r = port_free(p, port);

		addr_show(&p->host, false, host);
		if (r == -EADDRINUSE) {
			(void)err_set(e, -E_INUSE, "port %u/%s is in use on this host", port,
				p->proto_name);
			return err_mend(e, "ss -lnp 'sport = :%u' says by whom", port);
		}
		if (r == -EADDRNOTAVAIL)
			return err_set(e, -E_INVALID,
				"cannot publish on '%s': not an address of this host", host);
		if (r < 0)
			return err_sys(e, r, "cannot publish %s port %u", p->proto_name, port);
	}
	return 0;
}

/* --- conflicts ---
 * The kernel refuses a second element with the same key, and no more: not one port on all addresses beside
 * the same on one, not a single port inside a range. So the maps are read before elements are added, and
 * the batch is for that generation of the rules: when somebody was faster, it is done once more.
 */

#define GENERATION_TRIES 1000

struct conflict {
	const struct publish *list;
	unsigned n;
	int family;
	unsigned port; /* the first that two want; 0: none */
	char proto[8], owner[NFT_COMMENT_MAX];
};

static unsigned key_port(const uint8_t *key, size_t size)
{
	return (unsigned)key[size - 4] << 8 | key[size - 3];
}

/* An element of any of the maps, against all that we want. */
static int see_taken(const struct nft_elem *m, void *data)
{
	struct conflict *c = data;
	size_t n = c->family == AF_INET6 ? 16 : 4;
	bool has_host = m->key_size == 8 + n;
	bool any = !has_host || (m->range && memcmp(m->key + 4, m->end + 4, n) != 0);
	unsigned first, last;

	if (!has_host && m->key_size != 8)
		return 0;
	first = key_port(m->key, m->key_size);
	last = m->range ? key_port(m->end, m->key_size) : first;
	for (unsigned i = 0; i < c->n; i++) {
		const struct publish *p = &c->list[i];

		if (first > p->last || p->first > last || p->proto != m->key[0] ||
			p->host.family != c->family)
			continue;
		if (!any && !p->any && memcmp(m->key + 4, p->host.b, n) != 0)
			continue;
		c->port = first > p->first ? first : p->first;
		(void)snprintf(c->proto, sizeof(c->proto), "%s", p->proto_name);
		(void)snprintf(c->owner, sizeof(c->owner), "%s", m->comment);
		return -E_INUSE;
	}
	return 0;
}

/* Ranges tell for the elements of their shifted ports, too: they are read first, and have the owner's name.
 * Of single ports on all addresses the kernel refuses the second itself. */
static int find_taken(int fd, struct conflict *c)
{
	static const struct {
		int family;
		bool exact;
		const char *set;
	} maps[] = { { AF_INET, false, "port4" }, { AF_INET, false, "shift4on" },
		{ AF_INET, true, "shift4" }, { AF_INET6, false, "port6" },
		{ AF_INET6, false, "shift6on" }, { AF_INET6, true, "shift6" } };

	for (size_t k = 0; k < ELEMENTSOF(maps); k++) {
		bool wanted = false;
		int r;

		for (unsigned i = 0; i < c->n && !wanted; i++)
			wanted = c->list[i].host.family == maps[k].family &&
				 (!maps[k].exact || !c->list[i].any ||
					 c->list[i].first != c->list[i].last);
		c->family = maps[k].family;
		r = wanted ? nft_list(fd, maps[k].set, see_taken, c) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int in_use(const struct conflict *c, struct err *e)
{
	(void)err_set(
		e, -E_INUSE, "port %u/%s is in use by guest '%s'", c->port, c->proto, c->owner);
	return err_mend(e, "publish another port, or stop '%s'", c->owner);
}

/* Who has the element whose message was the seq-th of the batch (the first opens it). */
static void find_refused(int fd, uint32_t seq, struct conflict *c)
{
	uint32_t at = 1;
	struct nft_elem m, got;

	for (unsigned i = 0; i < c->n; i++)
		for (unsigned j = 0; publish_elem(&c->list[i], "", j, &m); j++) {
			if (++at != seq)
				continue;
			c->port = key_port(m.key, m.key_size);
			(void)snprintf(c->proto, sizeof(c->proto), "%s", c->list[i].proto_name);
			if (nft_get(fd, &m, &got) == 0)
				(void)snprintf(c->owner, sizeof(c->owner), "%s", got.comment);
			return;
		}
}

static int publish_batch(
	int fd, const struct conflict *c, const char *owner, struct nl_refusal *no, uint32_t gen)
{
	struct nl_buf b = NL_BUF_GROWS;
	struct nft_elem m;
	int r;

	nft_batch_begin_at(&b, gen);
	for (unsigned i = 0; i < c->n; i++)
		for (unsigned j = 0; publish_elem(&c->list[i], owner, j, &m); j++)
			nft_put_add(&b, &m, true);
	r = nft_batch_run(fd, &b, no);
	nl_buf_done(&b);
	return r;
}

static int publish_list(int fd, struct conflict *c, const char *owner, struct err *e)
{
	struct nl_refusal no;
	int r;

	for (int i = 0; i < GENERATION_TRIES; i++) {
		uint32_t gen;

		r = nft_generation(fd, &gen);
		if (r == 0)
			r = find_taken(fd, c);
		if (r == -E_INUSE)
			return in_use(c, e);
		if (r < 0)
			return err_sys(e, r, "reading which ports are published");
		r = publish_batch(fd, c, owner, &no, gen);
		if (r != -ERESTART)
			break;
	}
	if (r == -EEXIST) {
		find_refused(fd, no.seq, c);
		return in_use(c, e);
	}
	if (r < 0)
		return err_set(e, r, "publishing ports: %s%s%s", err_words(r),
			no.text[0] ? ": " : "", no.text);
	return 0;
}

static int publish_run(struct step_run *run, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = nl_open(NETLINK_NETFILTER);
	struct conflict c = { .n = publish_count(s) };
	struct publish *list = calloc(c.n, sizeof(*list));
	int r = fd < 0 ? fd : list ? 0 : -ENOMEM;

	c.list = list;
	for (unsigned i = 0; r == 0 && i < c.n; i++)
		if (parse_publish(s, i, &list[i]) < 0)
			r = err_set(e, -EINVAL, "bad published port '%s'",
				s->arg[1 + i * PUBLISH_FIELDS + 2]);
	if (r < 0 || all_ours(fd, list, c.n)) {
		free(list);
		return r;
	}
	for (unsigned i = 0; r == 0 && i < c.n; i++)
		r = check_free(&list[i], e);
	if (r == 0)
		r = publish_list(fd, &c, s->arg[0], e);
	for (unsigned i = 0; r == 0 && i < c.n; i++)
		if (list[i].proto == IPPROTO_UDP)
			conntrack_forget_udp(list[i].first, list[i].last, &list[i].guest);
	free(list);
	return r;
}

/* Only elements that lead to our guest: the step may never have run, and the port be another's. */
static int publish_undo(struct step_run *run, const struct step *s, struct err *e)
{
	int fd = nl_open(NETLINK_NETFILTER);
	struct nl_buf b = NL_BUF_GROWS;
	struct publish p;
	struct nft_elem m;
	unsigned n = 0;
	int r;

	if (fd < 0)
		return fd;
	nft_batch_begin(&b);
	for (unsigned i = 0; i < publish_count(s); i++) {
		if (parse_publish(s, i, &p) < 0 || !publish_elem(&p, s->arg[0], 0, &m) ||
			elem_ours(fd, &m) != 1)
			continue;
		for (unsigned j = 0; publish_elem(&p, s->arg[0], j, &m); j++, n++)
			nft_put_delete(&b, &m);
	}
	r = n ? nft_batch_run(fd, &b, NULL) : 0;
	nl_buf_done(&b);
	/* After a removal close(2) waits some 10 ms for RCU. Whoever undoes a guest's plan is about to end: it
	 * tells first how the guest ended, and then the kernel closes this. */
	if (n == 0)
		(void)close(fd);
	return r == -ENOENT ? 0 : r; /* somebody else, fsck for one, was faster */
}

static void show_exact(const struct publish *p, unsigned port, const char *comment, struct text *t)
{
	char host[ADDR_TEXT_MAX], guest[ADDR_TEXT_MAX];

	addr_show(&p->host, false, host);
	addr_show(&p->guest, false, guest);
	text_addf(t, "add element inet lodge %s%s { %s . ",
		p->host.family == AF_INET6 ? "shift6" : "shift4", p->any ? "" : "on",
		p->proto_name);
	if (!p->any)
		text_addf(t, "%s . ", host);
	text_addf(t, "%u%s : %s . %u }", port, comment, guest, p->to + port - p->first);
}

static void show_range(const struct publish *p, const char *owner, struct text *t)
{
	char host[ADDR_TEXT_MAX], guest[ADDR_TEXT_MAX], comment[NFT_COMMENT_MAX + 16];

	(void)snprintf(comment, sizeof(comment), " comment \"%.*s\"", NFT_COMMENT_MAX, owner);
	if (p->first == p->last) {
		show_exact(p, p->first, comment, t);
		return;
	}
	addr_show(&p->host, false, host);
	addr_show(&p->guest, false, guest);
	text_addf(t, "add element inet lodge %s { %s . %s%s . %u-%u%s : %s }",
		p->host.family == AF_INET6 ? "port6" : "port4", p->proto_name, host,
		p->any ? "/0" : "", p->first, p->last, comment, guest);
	for (unsigned port = p->first; p->first != p->to && port <= p->last && !t->cut; port++) {
		text_add(t, "; ");
		show_exact(p, port, "", t);
	}
}

static void publish_show(const struct step *s, struct text *t)
{
	struct publish p;

	text_add(t, "nft '");
	for (unsigned i = 0; i < publish_count(s); i++) {
		if (parse_publish(s, i, &p) < 0)
			continue;
		text_add(t, i ? "; " : "");
		show_range(&p, s->arg[0], t);
	}
	text_add(t, "'");
}

const struct step_ops step_nft_publish = { .name = "nft-publish",
	.args = "owner ...",
	.run = publish_run,
	.undo = publish_undo,
	.show = publish_show };
