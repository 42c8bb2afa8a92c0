/* SPDX-License-Identifier: MIT */
#include "host/nft.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TABLE "lodge"
/* User data of an element is a list of type, length, value; type 0 is the comment that nft(8) shows. */
#define UDATA_COMMENT 0
#define NFT_SAYS_MAX  512

/*
 * Every chain accepts: nothing that isn't ours is ever decided here.
 *
 * port4, port6: published ranges, by protocol, host address and port. A range is one element and keeps the
 * port. shift*, which are asked first, with ("on") and without a host address: single ports, and one element
 * for each port of a range whose numbers change in the guest. Single ones aren't in port* as well, because
 * each addition to a map of ranges costs time for all that it has. The comment names the guest.
 *
 * Packets from 127.0.0.1 to a guest need route_localnet on the bridge; `local` keeps guests from reaching
 * what listens on the host's loopback that way. IPv6 has no such switch: the kernel drops answers to ::1
 * that come in by another interface, so there a connection is refused at once and clients go on to 127.0.0.1.
 */
const char nft_base_text[] =
	"create table inet lodge\n"
	"table inet lodge {\n"
	"\tset bridges { type ifname; }\n"
	"\tset internal { type ifname; }\n"
	"\tset same { type ifname . ifname; }\n"
	"\tset nat4 { type ipv4_addr; flags interval; }\n"
	"\tset nat6 { type ipv6_addr; flags interval; }\n"
	"\tmap port4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr; flags interval; }\n"
	"\tmap port6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr; flags interval; }\n"
	"\tmap shift4 { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
	"\tmap shift6 { type inet_proto . inet_service : ipv6_addr . inet_service; }\n"
	"\tmap shift4on { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; "
	"}\n"
	"\tmap shift6on { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; "
	"}\n"
	"\tchain publish {\n"
	"\t\tmeta l4proto { tcp, udp, sctp } dnat ip to"
	" meta l4proto . ip daddr . th dport map @shift4on\n"
	"\t\tmeta l4proto { tcp, udp, sctp } dnat ip6 to"
	" meta l4proto . ip6 daddr . th dport map @shift6on\n"
	"\t\tmeta l4proto { tcp, udp, sctp } dnat ip to"
	" meta l4proto . th dport map @shift4\n"
	"\t\tmeta l4proto { tcp, udp, sctp } dnat ip6 to"
	" meta l4proto . th dport map @shift6\n"
	"\t\tdnat ip to meta l4proto . ip daddr . th dport map @port4\n"
	"\t\tdnat ip6 to meta l4proto . ip6 daddr . th dport map @port6\n"
	"\t}\n"
	"\tchain prerouting {\n"
	"\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
	"\t\tfib daddr type local jump publish\n"
	"\t}\n"
	"\tchain output {\n"
	"\t\ttype nat hook output priority -100; policy accept;\n"
	"\t\tip6 daddr ::1 accept\n"
	"\t\tfib daddr type local jump publish\n"
	"\t}\n"
	"\tchain postrouting {\n"
	"\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	"\t\toifname @bridges ct status dnat ip saddr 127.0.0.0/8 masquerade\n"
	"\t\toifname @bridges ct status dnat ip saddr @nat4 masquerade\n"
	"\t\toifname @bridges ct status dnat ip6 saddr @nat6 masquerade\n"
	"\t\toifname != @bridges ip saddr @nat4 masquerade\n"
	"\t\toifname != @bridges ip6 saddr @nat6 masquerade\n"
	"\t}\n"
	"\tchain local {\n"
	"\t\ttype filter hook prerouting priority raw; policy accept;\n"
	"\t\tiifname @bridges ip daddr 127.0.0.0/8 drop\n"
	"\t}\n"
	"\tchain forward {\n"
	"\t\ttype filter hook forward priority filter; policy accept;\n"
	"\t\tiifname != @bridges oifname != @bridges accept\n"
	"\t\tct state established,related accept\n"
	"\t\tct status dnat accept\n"
	"\t\tiifname . oifname @same accept\n"
	"\t\toifname @bridges drop\n"
	"\t\tiifname @internal drop\n"
	"\t}\n"
	"}\n";

static void begin(struct nl_buf *b, uint16_t type, uint16_t flags)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };

	nl_begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &g, sizeof(g));
}

static void batch_mark(struct nl_buf *b, uint16_t type)
{
	struct nfgenmsg g = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_begin(b, type, 0, &g, sizeof(g));
}

void nft_batch_begin(struct nl_buf *b)
{
	batch_mark(b, NFNL_MSG_BATCH_BEGIN);
}

void nft_batch_begin_at(struct nl_buf *b, uint32_t generation)
{
	batch_mark(b, NFNL_MSG_BATCH_BEGIN);
	nl_put_be32(b, NFNL_BATCH_GENID, generation);
}

static int keep_generation(const struct nlmsghdr *h, void *data)
{
	const struct nlattr *a = nl_find(h, sizeof(struct nfgenmsg), NFTA_GEN_ID);
	uint32_t v;

	if (!a || nl_size(a) != sizeof(v))
		return -EBADMSG;
	memcpy(&v, nl_data(a), sizeof(v));
	*(uint32_t *)data = ntohl(v);
	return 0;
}

int nft_generation(int fd, uint32_t *ret)
{
	char space[64];
	struct nl_buf b = NL_BUF_ON(space);
	uint32_t gen = 0;
	int r;

	begin(&b, NFT_MSG_GETGEN, 0);
	r = nl_talk(fd, &b, keep_generation, &gen, NULL);
	if (r == 0 && gen == 0) /* there is none of that number */
		r = -EBADMSG;
	if (r == 0)
		*ret = gen;
	return r;
}

static void put_value(struct nl_buf *b, uint16_t type, const uint8_t *value, size_t n)
{
	size_t nest = nl_open_nest(b, type);

	nl_put(b, NFTA_DATA_VALUE, value, n);
	nl_close_nest(b, nest);
}

/* One message with one element: so the number of a refused message tells which one it was. */
static void put_elem(struct nl_buf *b, uint16_t type, uint16_t flags, const struct nft_elem *m)
{
	size_t list, elem;

	begin(b, type, flags);
	nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	nl_put_str(b, NFTA_SET_ELEM_LIST_SET, m->set);
	list = nl_open_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = nl_open_nest(b, NFTA_LIST_ELEM);
	if (m->closes)
		nl_put_be32(b, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	put_value(b, NFTA_SET_ELEM_KEY, m->key, m->key_size);
	if (m->range)
		put_value(b, NFTA_SET_ELEM_KEY_END, m->end, m->key_size);
	if (m->data_size && type == NFT_MSG_NEWSETELEM)
		put_value(b, NFTA_SET_ELEM_DATA, m->data, m->data_size);
	if (m->comment[0] && type == NFT_MSG_NEWSETELEM) {
		uint8_t u[2 + NFT_COMMENT_MAX];
		size_t n = strnlen(m->comment, NFT_COMMENT_MAX - 1) + 1;

		u[0] = UDATA_COMMENT;
		u[1] = (uint8_t)n;
		memcpy(u + 2, m->comment, n);
		u[2 + n - 1] = '\0';
		nl_put(b, NFTA_SET_ELEM_USERDATA, u, 2 + n);
	}
	nl_close_nest(b, elem);
	nl_close_nest(b, list);
}

void nft_put_add(struct nl_buf *b, const struct nft_elem *m, bool exclusive)
{
	put_elem(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0), m);
}

void nft_put_delete(struct nl_buf *b, const struct nft_elem *m)
{
	put_elem(b, NFT_MSG_DELSETELEM, 0, m);
}

int nft_batch_run(int fd, struct nl_buf *b, struct nl_refusal *ret)
{
	int r;

	batch_mark(b, NFNL_MSG_BATCH_END);
	r = nl_talk(fd, b, NULL, NULL, ret);
	b->n = 0;
	b->seq = 0;
	return r;
}

int nft_delete(int fd, const struct nft_elem *m)
{
	char space[512];
	struct nl_buf b = NL_BUF_ON(space);
	int r;

	nft_batch_begin(&b);
	nft_put_delete(&b, m);
	r = nft_batch_run(fd, &b, NULL);
	return r == -ENOENT ? 0 : r;
}

int nft_table_there(int fd)
{
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	int r;

	begin(&b, NFT_MSG_GETTABLE, NLM_F_ACK);
	nl_put_str(&b, NFTA_TABLE_NAME, TABLE);
	r = nl_talk(fd, &b, NULL, NULL, NULL);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* --- reading ----------------------------------------------------------------------------------------- */

struct reading {
	const char *set;
	nft_each fn;
	void *data;
};

/* The value of a nested NFTA_DATA_VALUE, when it fits; its size. */
static size_t take_value(const struct nlattr *a, uint8_t *to, size_t size)
{
	const struct nlattr *v = a ? nl_find_in(a, NFTA_DATA_VALUE) : NULL;

	if (!v || nl_size(v) > size)
		return 0;
	memcpy(to, nl_data(v), nl_size(v));
	return nl_size(v);
}

static void take_comment(const struct nlattr *a, char to[static NFT_COMMENT_MAX])
{
	const uint8_t *u = a ? nl_data(a) : NULL;
	size_t n = a ? nl_size(a) : 0;

	for (size_t i = 0; i + 2 <= n && i + 2 + u[i + 1] <= n; i += 2 + (size_t)u[i + 1])
		if (u[i] == UDATA_COMMENT)
			(void)snprintf(to, NFT_COMMENT_MAX, "%.*s", (int)u[i + 1],
				(const char *)u + i + 2);
}

static int each_elem(const struct nlmsghdr *h, void *data)
{
	const struct reading *rd = data;
	const struct nlattr *list, *flags;
	size_t left;
	int r;

	if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
		return 0;
	list = nl_find(h, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS);
	if (!list)
		return 0;
	for (const struct nlattr *a = nl_first_in(list, &left); a; a = nl_next(a, &left)) {
		struct nft_elem m = { .set = rd->set };

		m.key_size = take_value(nl_find_in(a, NFTA_SET_ELEM_KEY), m.key, sizeof(m.key));
		m.range =
			take_value(nl_find_in(a, NFTA_SET_ELEM_KEY_END), m.end, sizeof(m.end)) > 0;
		m.data_size = take_value(nl_find_in(a, NFTA_SET_ELEM_DATA), m.data, sizeof(m.data));
		take_comment(nl_find_in(a, NFTA_SET_ELEM_USERDATA), m.comment);
		flags = nl_find_in(a, NFTA_SET_ELEM_FLAGS);
		if (flags && nl_size(flags) == 4) {
			uint32_t v;

			memcpy(&v, nl_data(flags), sizeof(v));
			m.closes = ntohl(v) & NFT_SET_ELEM_INTERVAL_END;
		}
		r = rd->fn(&m, rd->data);
		if (r < 0)
			return r;
	}
	return 0;
}

static int keep_elem(const struct nft_elem *m, void *data)
{
	*(struct nft_elem *)data = *m;
	return 0;
}

int nft_get(int fd, const struct nft_elem *m, struct nft_elem *ret)
{
	char space[512];
	struct nl_buf b = NL_BUF_ON(space);
	struct reading rd = { .set = m->set, .fn = keep_elem, .data = ret };
	int r;

	*ret = (struct nft_elem){ .set = m->set };
	put_elem(&b, NFT_MSG_GETSETELEM, NLM_F_ACK, m);
	r = nl_talk(fd, &b, each_elem, &rd, NULL);
	if (r < 0)
		return r;
	return ret->key_size ? 0 : -ENOENT;
}

int nft_list(int fd, const char *set, nft_each fn, void *data)
{
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	struct reading rd = { .set = set, .fn = fn, .data = data };

	begin(&b, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	nl_put_str(&b, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	nl_put_str(&b, NFTA_SET_ELEM_LIST_SET, set);
	return nl_talk(fd, &b, each_elem, &rd, NULL);
}

/* --- nft(8) ------------------------------------------------------------------------------------------ */

static const char *find_nft(void)
{
	static const char *const at[] = { "/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/bin/nft",
		"/usr/local/sbin/nft" };

	for (size_t i = 0; i < ELEMENTSOF(at); i++)
		if (access(at[i], X_OK) == 0)
			return at[i];
	return NULL;
}

/* Becomes nft; never returns. */
static void exec_nft(const char *nft, int in, int says)
{
	char *argv[] = { (char *)(uintptr_t) "nft", (char *)(uintptr_t) "-f",
		(char *)(uintptr_t) "-", NULL };
	char *env[] = { (char *)(uintptr_t) "LC_ALL=C", NULL };
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) == 0 && dup2(says, 1) == 1 && dup2(says, 2) == 2)
		(void)execve(nft, argv, env);
	_exit(127);
}

/* Writes text to nft's input and reads what it says; both fit a pipe. Returns its wait status. */
static int feed(const char *nft, const char *text, char says[static NFT_SAYS_MAX])
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	size_t n = 0, size = strlen(text);
	int status = -EIO;
	ssize_t k;
	pid_t pid;

	says[0] = '\0';
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (size > PIPE_BUF * 2 || write(in[1], text, size) != (ssize_t)size)
		goto done;
	if (pipe2(out, O_CLOEXEC) < 0) {
		status = -errno;
		goto done;
	}
	pid = (pid_t)RET_NERRNO(fork());
	if (pid < 0) {
		status = pid;
		goto done;
	}
	if (pid == 0)
		exec_nft(nft, in[0], out[1]);
	closep(&in[1]);
	closep(&out[1]);
	in[1] = out[1] = -1;
	do {
		k = read(out[0], says + n, NFT_SAYS_MAX - 1 - n);
		n += k > 0 ? (size_t)k : 0;
	} while (k > 0 || (k < 0 && errno == EINTR));
	says[n] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
done:
	closep(&in[0]);
	closep(&in[1]);
	closep(&out[0]);
	closep(&out[1]);
	return status;
}

int nft_load(const char *text, struct err *e)
{
	const char *nft = find_nft();
	char says[NFT_SAYS_MAX];
	int status;

	if (!nft) {
		(void)err_set(e, -E_UNSUPPORTED, "cannot set up the network: nft: no such program");
		return err_mend(e, "install nftables, or use --network host or none");
	}
	status = feed(nft, text, says);
	if (status < 0)
		return err_sys(e, status, "running '%s'", nft);
	if (status == 0)
		return 0;
	says[strcspn(says, "\n")] = '\0';
	(void)err_set(e, -E_UNSUPPORTED, "loading table 'inet lodge': %s",
		says[0] ? says : "nft failed without a word");
	return err_mend(e, "lodge doctor says what the kernel lacks");
}
