/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DNS_H
#define LODGE_DNS_H

/*
 * DNS messages (RFC 1035, EDNS of RFC 6891) over the caller's buffers: what a server needs that answers
 * for a few names of its own and passes everything else on. Pure; C library only.
 */

#include <stdbool.h>
#include "base/macros.h"

#define DNS_NAME_MAX	253  /* characters of a name as text */
#define DNS_MESSAGE_MAX 4096 /* bytes that we take from, and offer to, anybody */
#define DNS_UDP_MIN	512  /* what a client without EDNS takes */
#define DNS_HEADER	12

enum {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_ANY = 255
};
enum {
	DNS_IN = 1
};
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id, type, class;
	bool recursion; /* desired */
	bool edns;
	uint16_t udp_size;	     /* what the client takes: at least DNS_UDP_MIN */
	size_t question_end;	     /* bytes of header and question */
	char name[DNS_NAME_MAX + 1]; /* lower case, without the last dot; "" is the root */
};

/*
 * Reads a query: one question, opcode QUERY. -EBADMSG: not a query, don't answer; -EINVAL: a query that
 * is wrong (q->id is set: answer FORMERR); -ENOSYS: another opcode (NOTIMP). A name with bytes that
 * can't be in a host's name is kept with '?' in their place: nothing of ours has such a name.
 */
int dns_parse_query(const uint8_t *p, size_t n, struct dns_query *q);

/* Reads the question and the result of a reply; *ret_rcode and *ret_cut (TC) are of the header. */
int dns_parse_reply(
	const uint8_t *p, size_t n, struct dns_query *q, enum dns_rcode *ret_rcode, bool *ret_cut);

/* Whether two messages ask the same (type, class, name). */
bool dns_same_question(const struct dns_query *a, const struct dns_query *b);

/* A reply being written to the caller's memory. */
struct dns_reply {
	uint8_t *p;
	size_t n, size;
	const struct dns_query *q;
};

/* Begins with header and question of the query it answers. size is at least DNS_UDP_MIN; no more than
 * q->udp_size of it is used. query NULL: a header alone (for FORMERR). */
void dns_reply_begin(struct dns_reply *r, uint8_t *p, size_t size, const struct dns_query *q,
	const uint8_t *query, enum dns_rcode rcode);
/* Adds an answer of the question's name: an address of 4 or 16 bytes. What doesn't fit sets TC. */
void dns_reply_address(struct dns_reply *r, const uint8_t *address, size_t size, uint32_t ttl);
/* Adds a PTR answer. */
void dns_reply_name(struct dns_reply *r, const char *name, uint32_t ttl);
/* Ends it (EDNS, where the query had it); returns its size. */
size_t dns_reply_end(struct dns_reply *r);

/* Cuts a reply that is longer than the client takes down to header and question, with TC. Returns the
 * new size. */
size_t dns_cut(uint8_t *p, size_t n, const struct dns_query *q);

/* "2.0.88.10.in-addr.arpa" or the ip6.arpa form to the address's bytes: 4, 16, or 0 when it is none. */
size_t dns_parse_arpa(const char *name, uint8_t ret[16]);

static inline uint16_t dns_id(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void dns_set_id(uint8_t *p, uint16_t id)
{
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
}

#endif
