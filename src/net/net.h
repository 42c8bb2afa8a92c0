/* SPDX-License-Identifier: MIT */
#ifndef LODGE_NET_H
#define LODGE_NET_H

/*
 * Networks: bridges with addresses handed out by us, NAT, published ports, names.
 *
 * A guest's address is a lease, a symbolic link RUN/networks/NET/leases/ADDRESS -> guest id; a name is
 * a link RUN/networks/NET/names/NAME -> ADDRESSES, and names/@ADDRESS -> NAME the way back. They are
 * made and removed by steps, need no process and die with the boot. Names are answered inside the guest
 * at 127.0.0.11 by its own monitor (monitor/dns.h), as "NAME" and "NAME.NET".
 *
 * A bridge and what the table "inet lodge" says about its network appear with the first guest and stay
 * until the network is removed or the host boots; interfaces, leases, names and ports go with the guest.
 * Drivers: "bridge", "macvlan", "ipvlan"; the network "bridge" is the default one. Networks are isolated
 * from each other; those that are `internal` have no way out, and their guests' questions aren't passed
 * on to other DNS servers. Ports of guests are reached by the host's addresses and its 127.0.0.1 (not
 * ::1), also from guests; what isn't published isn't reached from other machines.
 *
 * The network "passt" isn't in the records: a machine's card whose other end is passt(1), a process of its own that
 * makes the host's sockets of what comes out of it. It needs no rights, so it is what machines of users get. It has
 * IPv4 only, no names of other guests, and stands alone; ports are published by passt, at sockets.
 *
 * What a network asks of the host beside its bridge: forwarding is switched on (IPv4, and IPv6 where a
 * network has such a subnet; then accept_ra is kept up with the value 2). A firewall of the host's whose
 * forward chain drops by default still drops: nothing of it is touched.
 *
 * The document of a record (network_record.doc) is JSON: "labels", "options", "ip_range" (a part of the
 * subnet that addresses are given out from), "reserved" (addresses that are given to nobody who doesn't ask for them). Options known here: "mode" of macvlan and ipvlan.
 */

#include "engine/spec.h"
#include "host/plan.h"
#include "store/store.h"

#define NET_PASST "passt"

/* The default network ("bridge", interface lodge0): made in the store on first use, with a subnet clear
 * of the host's routes. */
int net_default(struct ctx *c, struct network_record **ret, struct err *e);

/* Makes, after checks (name, subnet overlap with routes and networks), the record of a user's network;
 * fields of n that are NULL are filled in. The bridge itself appears with the first guest. */
int net_create(struct ctx *c, struct network_record *n, struct err *e);
/* Removes record, bridge and rules. -E_INUSE when guests have it. */
int net_remove(struct ctx *c, const char *ref, struct err *e);

/* What net_plan did, for the guest's record and inspect. */
struct net_given {
	char *network, *address, *address6, *gateway, *gateway6, *mac, *ifname;
};

struct net_result {
	GPtrArray *given;	   /* struct net_given, in order of spec->networks */
	GPtrArray *ports;	   /* struct spec_port with host port filled in */
	char *resolv_conf, *hosts; /* texts for the guest's /etc */
};
void net_result_free(struct net_result *r);

/*
 * Adds to host_plan (AT_HOST) what the host needs: bridge, table, leases, names, published ports; and to
 * net_plan the AT_PARENT and AT_CHILD steps: veth, addresses, routes, lo, the DNS socket. Addresses are
 * picked here; the lease step fails with -EEXIST if another guest took one meanwhile. With c->explain
 * nothing is read that needs root.
 */
int net_plan_guest(struct ctx *c, const char *id, const char *name, const char *hostname,
	const struct spec *s, struct plan *host_plan, struct plan *net_plan, struct net_result *ret,
	struct err *e);

/* The same for a guest that runs and has other networks: s has the one that comes. */
struct net_join {
	unsigned number; /* its interface is eth0 ... */
	bool has_way;	 /* another network is its way out */
};
int net_plan_join(struct ctx *c, const char *id, const char *name, const char *hostname,
	const struct spec *s, const struct net_join *join, struct plan *host_plan,
	struct plan *net_plan, struct net_result *ret, struct err *e);

/* Leftovers for fsck: interfaces, rules, leases whose guest isn't alive. Adds lines to problems; with
 * repair removes them. */
int net_fsck(struct ctx *c, GHashTable *live_ids, bool repair, GPtrArray *problems, struct err *e);

#endif
