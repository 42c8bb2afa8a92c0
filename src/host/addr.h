/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ADDR_H
#define LODGE_ADDR_H

/*
 * IP addresses and subnets as values: what netlink and nftables take, from the text that plans and
 * users write. Pure; C library only.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include "base/macros.h"

#define ADDR_TEXT_MAX 56 /* an IPv6 address, a slash, three digits, a NUL */

struct addr {
	int family;	 /* AF_INET, AF_INET6 */
	unsigned prefix; /* bits; the whole address where the text has no "/N" */
	uint8_t b[16];	 /* network byte order; 4 of them for IPv4 */
};

/* Bytes and bits of an address of the family. */
static inline unsigned addr_len(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

static inline unsigned addr_bits(const struct addr *a)
{
	return addr_len(a) * 8;
}

/* "10.88.0.2" or "10.88.0.2/16", IPv4 or IPv6 ("[::1]" too, without prefix). -EINVAL. */
int addr_parse(const char *s, struct addr *ret);

/* Writes the address, with "/N" when `prefix`. */
void addr_show(const struct addr *a, bool prefix, char out[static ADDR_TEXT_MAX]);

/* A hardware address, "02:42:0a:58:00:02". -EINVAL. */
int addr_parse_mac(const char *s, uint8_t ret[static 6]);

/* First and last address of the subnet that a is in. */
void addr_first(const struct addr *a, struct addr *ret);
void addr_last(const struct addr *a, struct addr *ret);

/* As memcmp, of the addresses alone; families must be the same. */
int addr_cmp(const struct addr *a, const struct addr *b);

/* Same family and address (prefixes aside). */
bool addr_same(const struct addr *a, const struct addr *b);

/* Whether the subnets share an address; false for different families. */
bool addr_overlap(const struct addr *a, const struct addr *b);

/* Whether address a lies in subnet net. */
bool addr_in(const struct addr *a, const struct addr *net);

/* a + n (the prefix stays); false when it leaves the subnet. */
bool addr_add(const struct addr *a, uint64_t n, struct addr *ret);

/* a - the first address of its subnet, or UINT64_MAX when it doesn't fit. */
uint64_t addr_offset(const struct addr *a);

#endif
