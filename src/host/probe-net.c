/* SPDX-License-Identifier: MIT */
/* Bridges, veth pairs, nftables, and whose firewall lies in the way. */
#include "host/probe.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "host/netlink.h"
#include "host/nft.h"
#include "host/proc.h"
#include "host/smallfile.h"

enum {
	TRY_MS = 5000,
	RULESET_MAX = 1 << 20
};

static int make_link(const char *kind)
{
	uint8_t space[256];
	struct nl_buf b = NL_BUF_ON(space);
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	size_t at;

	nl_begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &info, sizeof(info));
	nl_put_str(&b, IFLA_IFNAME, "lodgeprobe");
	at = nl_open_nest(&b, IFLA_LINKINFO);
	nl_put_str(&b, IFLA_INFO_KIND, kind);
	nl_close_nest(&b, at);
	return nl_once(NETLINK_ROUTE, &b, NULL, NULL, NULL);
}

static int code_of(int r)
{
	return r >= 0 ? 0 : -r < 125 ? -r : 125;
}

static int try_bridge(void)
{
	return unshare(CLONE_NEWNET) < 0 ? code_of(-errno) : code_of(make_link("bridge"));
}

static int try_veth(void)
{
	return unshare(CLONE_NEWNET) < 0 ? code_of(-errno) : code_of(make_link("veth"));
}

/* Our own table, whole, in a network namespace that ends with the child. */
static int try_nft(void)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return 125;
	r = program_run(argv, nft_base_text, NULL, 0, TRY_MS);
	return r < 0 ? 125 : r > 124 ? 124 : r;
}

static void probe_links(struct probes *p)
{
	int bridge = probe_try(try_bridge, TRY_MS), veth = probe_try(try_veth, TRY_MS);

	if (bridge == 0 && veth == 0) {
		probe_add(p, PROBE_OK, "links", "bridges and veth pairs can be made");
		return;
	}
	probe_add(p, PROBE_FAIL, "links", "no %s: %s", bridge ? "bridges" : "veth pairs",
		strerror(bridge > 0 ? bridge
			 : veth > 0 ? veth
				    : EIO));
	probe_mend(p, "modprobe bridge veth; until then only --network host and none work");
}

static void probe_nft(struct probes *p)
{
	int r;

	if (!program_find("nft", NULL)) {
		probe_add(p, PROBE_FAIL, "nftables", "the program nft isn't installed");
		probe_mend(p,
			"apt install nftables; without it there is no NAT and no published port");
		return;
	}
	r = probe_try(try_nft, 2 * TRY_MS);
	if (r == 0) {
		probe_add(p, PROBE_OK, "nftables", "the kernel takes our table");
		return;
	}
	probe_add(p, PROBE_FAIL, "nftables", "the kernel refuses our table (nft's status %d)", r);
	probe_mend(p, "modprobe nf_tables nft_chain_nat nft_masq nft_fib_inet; or a kernel with "
		      "NF_TABLES");
}

/* The next word of s into w; s behind it. */
static const char *word(const char *s, char *w, size_t size)
{
	size_t n;

	s += strspn(s, " \t");
	n = strcspn(s, " \t\n");
	if (n >= size)
		n = size - 1;
	memcpy(w, s, n);
	w[n] = '\0';
	return s + n;
}

bool probe_find_drop(const char *ruleset, char *chain, size_t size)
{
	char first[64], family[16] = "", table[64] = "", name[64] = "";

	for (const char *line = ruleset; line && *line;) {
		const char *end = line + strcspn(line, "\n"), *s = word(line, first, sizeof(first));
		const char *hook, *drop;

		if (strcmp(first, "table") == 0) {
			s = word(s, family, sizeof(family));
			(void)word(s, table, sizeof(table));
		} else if (strcmp(first, "chain") == 0)
			(void)word(s, name, sizeof(name));
		else if (strcmp(first, "type") == 0) {
			hook = strstr(line, "hook forward");
			drop = strstr(line, "policy drop");
			if (hook && hook < end && drop && drop < end &&
				!(strcmp(family, "inet") == 0 && strcmp(table, "lodge") == 0) &&
				strcmp(family, "bridge") != 0 && strcmp(family, "arp") != 0) {
				(void)snprintf(
					chain, size, "table %s %s, chain %s", family, table, name);
				return true;
			}
		}
		line = *end ? end + 1 : NULL;
	}
	return false;
}

/* iptables' older form isn't in nft's list. */
static bool legacy_drop(void)
{
	static const char *const argv[] = { "iptables-legacy", "-S", "FORWARD", NULL };
	char out[8192], tables[256];

	if (small_read("/proc/net/ip_tables_names", tables, sizeof(tables)) <= 0 ||
		!strstr(tables, "filter"))
		return false;
	return program_run(argv, NULL, out, sizeof(out), TRY_MS) == 0 &&
	       strncmp(out, "-P FORWARD DROP", 15) == 0;
}

static bool drops_then_accepts_us(const char *ruleset)
{
	return strstr(ruleset, "iifname \"lodge*\" accept") != NULL;
}

static void probe_firewall(struct probes *p)
{
	static const char *const list[] = { "nft", "list", "ruleset", NULL };
	_cleanup_free_ char *rules = calloc(1, RULESET_MAX);
	char chain[192] = "";

	if (!rules)
		abort();
	if (geteuid() != 0 || program_run(list, NULL, rules, RULESET_MAX, TRY_MS) != 0)
		rules[0] = '\0';
	if (probe_find_drop(rules, chain, sizeof(chain)) && drops_then_accepts_us(rules))
		probe_add(p, PROBE_OK, "firewall", "%s drops, but lets the guests' networks pass",
			chain);
	else if (chain[0]) {
		probe_add(p, PROBE_WARN, "firewall", "%s drops forwarded packets, also the guests'",
			chain);
		probe_mend(p, "accept them there: iptables -I FORWARD -i 'lodge+' -j ACCEPT; "
			      "iptables -I FORWARD -o "
			      "'lodge+' -j ACCEPT (or the same in nft, ufw route allow, "
			      "firewall-cmd --zone=trusted)");
	} else if (legacy_drop()) {
		probe_add(p, PROBE_WARN, "firewall",
			"iptables' FORWARD chain drops forwarded packets, also the guests'");
		probe_mend(p, "iptables-legacy -I FORWARD -i 'lodge+' -j ACCEPT; iptables-legacy "
			      "-I FORWARD "
			      "-o 'lodge+' -j ACCEPT");
	} else if (strstr(rules, "table inet firewalld")) {
		probe_add(
			p, PROBE_WARN, "firewall", "firewalld rejects what its zones don't allow");
		probe_mend(p, "firewall-cmd --permanent --zone=trusted --add-interface=lodge0; "
			      "firewall-cmd "
			      "--reload");
	} else if (geteuid() != 0)
		probe_add(p, PROBE_OK, "firewall", "not looked at: needs root");
	else
		probe_add(p, PROBE_OK, "firewall", "nobody drops forwarded packets");
}

static void probe_forwarding(struct probes *p)
{
	char text[16];

	if (small_read("/proc/sys/net/ipv4/ip_forward", text, sizeof(text)) < 0) {
		probe_add(
			p, PROBE_FAIL, "forwarding", "/proc/sys/net/ipv4/ip_forward can't be read");
		probe_mend(p, "mount /proc");
	} else if (text[0] == '1')
		probe_add(p, PROBE_OK, "forwarding", "net.ipv4.ip_forward is on");
	else if (access("/proc/sys/net/ipv4/ip_forward", W_OK) == 0)
		probe_add(p, PROBE_OK, "forwarding",
			"net.ipv4.ip_forward is off, and is switched on with the first network");
	else {
		probe_add(p, PROBE_WARN, "forwarding", "net.ipv4.ip_forward is off");
		probe_mend(p, "sysctl -w net.ipv4.ip_forward=1");
	}
}

void probe_network(struct probes *p)
{
	if (geteuid() == 0) {
		probe_links(p);
		probe_nft(p);
	}
	probe_forwarding(p);
	probe_firewall(p);
}
