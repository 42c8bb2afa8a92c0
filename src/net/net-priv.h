/* SPDX-License-Identifier: MIT */
#ifndef LODGE_NET_PRIV_H
#define LODGE_NET_PRIV_H

/* What the files of net/ share. */

#include "base/ctx.h"
#include "host/addr.h"
#include "net/net.h"

/*
 *   RUN/networks/NET/leases/ADDRESS      -> guest id
 *   RUN/networks/NET/names/NAME          -> ADDRESS[,ADDRESS6]   (see step "name")
 *   RUN/networks/NET/names/@ADDRESS      -> NAME
 *   RUN/networks/NET/next                the offset in the subnet that is given out next
 *   RUN/networks/.share/ID/OTHER         -> "": guest OTHER is in the network namespace of guest ID
 */
#define NET_DEFAULT_NAME   "bridge"
#define NET_DEFAULT_BRIDGE "lodge"
#define NET_NAME_MAX	   64
#define NET_DNS_ADDRESS	   "127.0.0.11"
#define NET_HOST_RESOLV	   "/etc/resolv.conf"

/* --- host.c: what the host has -------------------------------------------------------------------- */

struct used_subnet {
	struct addr subnet;
	char what[64]; /* "the route of interface 'eth0'", "network 'web'" */
};

/* Adds the subnets that the host's main routing tables and interfaces use, default routes left out. */
int host_subnets(GArray *used, struct err *e);
/* Whether the host has an IPv6 address that others can reach. */
bool host_has_ipv6(void);
/* Names of interfaces that begin with `prefix` and stand in the bridge of that name. */
int host_ports(const char *prefix, const char *bridge, GPtrArray *names);

/* --- subnet.c: pure -------------------------------------------------------------------------------- */

/* The first of our candidates that overlaps nothing in used; false: none is left. */
bool subnet_pick(const GArray *used, struct addr *ret);
/* A unique local /64 (RFC 4193) made from seed. */
void subnet_pick6(const char *seed, struct addr *ret);
/* What of used overlaps it; NULL. */
const struct used_subnet *subnet_conflict(const GArray *used, const struct addr *subnet);
/* "02:42:0a:58:00:02" of an IPv4 address (of IPv6: of its last four bytes). Caller frees. */
char *subnet_mac(const struct addr *a);
char *addr_text(const struct addr *a, bool prefix);

/* --- network.c -------------------------------------------------------------------------------------- */

/* The network that a guest names: "bridge" and "default" are made when they aren't there. */
int net_find(struct ctx *c, const char *ref, struct network_record **ret, struct err *e);
/* A string of the record's document: its "options" object, or the document itself. Caller frees. */
char *net_option(const struct network_record *n, const char *key);
/* The record's "reserved": addresses that are never given out by themselves. NULL: none. Caller owns it. */
json_t *net_reserved(const struct network_record *n);
bool net_is_bridge(const struct network_record *n);
/* Subnets of a record by ','. Caller frees. */
char *net_subnets(const struct network_record *n);

/* --- lease.c ---------------------------------------------------------------------------------------- */

/* Picks an address of the network for a guest: the one asked for, after checks, or the next free one. With
 * explain nothing is written. */
int lease_pick(struct ctx *c, const struct network_record *n, const char *id, const char *asked,
	struct addr *ret, struct err *e);
/* The IPv6 address that belongs to an IPv4 one in the network's second subnet, or the one asked for. */
int lease_pick6(struct ctx *c, const struct network_record *n, const char *id,
	const struct addr *a4, const char *asked, struct addr *ret, struct err *e);

/* --- ports.c ---------------------------------------------------------------------------------------- */

/* Fills *ret with the guest's ports, host ports picked where they weren't given; contiguous ones become
 * ranges. -E_INVALID where they overlap. */
int ports_resolve(struct ctx *c, const GPtrArray *asked, GPtrArray **ret, struct err *e);
/* The step that publishes them at a guest's addresses (address6 may be NULL). */
void ports_plan(struct plan *p, const GPtrArray *ports, const char *owner, const char *address,
	const char *address6);

/* --- texts.c ---------------------------------------------------------------------------------------- */

/* A resolv.conf: of the host's text, with what the user gave instead. nameserver NULL: the host's own, those
 * on its loopback left out unless `keep_local`. Pure. Caller frees. */
char *text_resolv_conf(const char *host, const char *nameserver, bool keep_local,
	char *const *search, char *const *options);
/* A hosts file: base (NULL: localhost) and what is added. addresses: of the guest, may be NULL. extra: "NAME:ADDRESS", "host-gateway" stands for
 * gateway. */
int text_hosts(const char *base, const char *hostname, const char *domain, char *const *addresses,
	char *const *extra, const char *gateway, char **ret, struct err *e);

#endif
