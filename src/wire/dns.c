/* SPDX-License-Identifier: MIT */
#include "wire/dns.h"

#include <string.h>

#define LABEL_MAX   63
#define FLAG_QR	    0x8000
#define FLAG_AA	    0x0400
#define FLAG_TC	    0x0200
#define FLAG_RD	    0x0100
#define FLAG_RA	    0x0080
#define OPCODE(f)   ((f) >> 11 & 15)
#define QUESTION_AT 0xc00c /* a pointer to the name of the question */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static char name_char(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return (char)c;
	return '?';
}

/* The question's name, which has no pointers. Returns where it ends, or 0. */
static size_t read_name(const uint8_t *p, size_t n, size_t at, char out[DNS_NAME_MAX + 1])
{
	size_t k = 0;

	while (at < n && p[at] != 0) {
		size_t len = p[at++];

		if (len > LABEL_MAX || len > n - at || k + len + (k > 0) > DNS_NAME_MAX)
			return 0;
		if (k > 0)
			out[k++] = '.';
		for (size_t i = 0; i < len; i++)
			out[k++] = name_char(p[at + i]);
		at += len;
	}
	out[k] = '\0';
	return at < n ? at + 1 : 0;
}

static int read_question(const uint8_t *p, size_t n, struct dns_query *q)
{
	size_t at = read_name(p, n, DNS_HEADER, q->name);

	if (at == 0 || n - at < 4)
		return -EINVAL;
	q->type = get16(p + at);
	q->class = get16(p + at + 2);
	q->question_end = at + 4;
	return 0;
}

/* EDNS is a record of the root in the additional section; in a query nothing stands before it. */
static void read_opt(const uint8_t *p, size_t n, struct dns_query *q)
{
	size_t at = q->question_end;
	uint16_t size;

	if (get16(p + 6) || get16(p + 8) || get16(p + 10) == 0)
		return;
	if (n - at < 11 || p[at] != 0 || get16(p + at + 1) != DNS_OPT)
		return;
	q->edns = true;
	size = get16(p + at + 3);
	if (size > q->udp_size)
		q->udp_size = size < DNS_MESSAGE_MAX ? size : DNS_MESSAGE_MAX;
}

int dns_parse_query(const uint8_t *p, size_t n, struct dns_query *q)
{
	uint16_t flags;
	int r;

	*q = (struct dns_query){ .udp_size = DNS_UDP_MIN };
	if (n < DNS_HEADER)
		return -EBADMSG;
	flags = get16(p + 2);
	if (flags & FLAG_QR)
		return -EBADMSG;
	q->id = dns_id(p);
	q->recursion = flags & FLAG_RD;
	if (OPCODE(flags) != 0)
		return -ENOSYS;
	if (get16(p + 4) != 1)
		return -EINVAL;
	r = read_question(p, n, q);
	if (r < 0)
		return r;
	read_opt(p, n, q);
	return 0;
}

int dns_parse_reply(
	const uint8_t *p, size_t n, struct dns_query *q, enum dns_rcode *ret_rcode, bool *ret_cut)
{
	uint16_t flags;

	*q = (struct dns_query){ .udp_size = DNS_UDP_MIN };
	if (n < DNS_HEADER)
		return -EBADMSG;
	flags = get16(p + 2);
	if (!(flags & FLAG_QR) || OPCODE(flags) != 0)
		return -EBADMSG;
	q->id = dns_id(p);
	*ret_rcode = flags & 15;
	*ret_cut = flags & FLAG_TC;
	if (get16(p + 4) != 1)
		return -EINVAL;
	return read_question(p, n, q);
}

bool dns_same_question(const struct dns_query *a, const struct dns_query *b)
{
	return a->type == b->type && a->class == b->class && strcmp(a->name, b->name) == 0;
}

void dns_reply_begin(struct dns_reply *r, uint8_t *p, size_t size, const struct dns_query *q,
	const uint8_t *query, enum dns_rcode rcode)
{
	uint16_t flags = FLAG_QR | FLAG_RA | (q->recursion ? FLAG_RD : 0) | (uint16_t)rcode;

	*r = (struct dns_reply){ .p = p, .size = size < q->udp_size ? size : q->udp_size, .q = q };
	if (query) {
		flags |= FLAG_AA;
		r->n = q->question_end;
		memmove(p, query, r->n);
	} else {
		r->n = DNS_HEADER;
	}
	memset(p, 0, DNS_HEADER);
	dns_set_id(p, q->id);
	set16(p + 2, flags);
	set16(p + 4, query ? 1 : 0);
}

/* Room for a record with `size` bytes of data, its fixed part filled in. Where EDNS will follow, its 11
 * bytes are left. */
static uint8_t *record(struct dns_reply *r, uint16_t type, uint32_t ttl, size_t size)
{
	uint8_t *p = r->p + r->n;

	if (r->size - r->n < 12 + size + (r->q->edns ? 11 : 0)) {
		r->p[2] |= FLAG_TC >> 8;
		return NULL;
	}
	set16(p, QUESTION_AT);
	set16(p + 2, type);
	set16(p + 4, DNS_IN);
	set16(p + 6, (uint16_t)(ttl >> 16));
	set16(p + 8, (uint16_t)ttl);
	set16(p + 10, (uint16_t)size);
	r->n += 12 + size;
	set16(r->p + 6, (uint16_t)(get16(r->p + 6) + 1));
	return p + 12;
}

void dns_reply_address(struct dns_reply *r, const uint8_t *address, size_t size, uint32_t ttl)
{
	uint8_t *p = record(r, size == 16 ? DNS_AAAA : DNS_A, ttl, size);

	if (p)
		memcpy(p, address, size);
}

void dns_reply_name(struct dns_reply *r, const char *name, uint32_t ttl)
{
	size_t n = strlen(name);
	uint8_t *p;

	if (n == 0 || n > DNS_NAME_MAX)
		return;
	p = record(r, DNS_PTR, ttl, n + 2);
	if (!p)
		return;
	for (const char *s = name; *s;) {
		size_t len = strcspn(s, ".");

		*p++ = (uint8_t)(len & LABEL_MAX);
		memcpy(p, s, len);
		p += len;
		s += len + (s[len] == '.');
	}
	*p = 0;
}

size_t dns_reply_end(struct dns_reply *r)
{
	if (r->q->edns && r->size - r->n >= 11) {
		uint8_t *p = r->p + r->n;

		memset(p, 0, 11);
		set16(p + 1, DNS_OPT);
		set16(p + 3, DNS_MESSAGE_MAX);
		set16(r->p + 10, 1);
		r->n += 11;
	}
	return r->n;
}

size_t dns_cut(uint8_t *p, size_t n, const struct dns_query *q)
{
	if (n <= q->udp_size || q->question_end > n)
		return n;
	p[2] |= FLAG_TC >> 8;
	memset(p + 6, 0, 6);
	return q->question_end;
}

/* One decimal number below 256, without leading zeros, before a dot. */
static const char *octet(const char *s, uint8_t *ret)
{
	unsigned v = 0;
	size_t n = 0;

	for (; s[n] >= '0' && s[n] <= '9' && n < 4; n++)
		v = v * 10 + (unsigned)(s[n] - '0');
	if (n == 0 || n > 3 || v > 255 || s[n] != '.' || (n > 1 && s[0] == '0'))
		return NULL;
	*ret = (uint8_t)v;
	return s + n + 1;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t dns_parse_arpa(const char *name, uint8_t ret[16])
{
	size_t n = strlen(name);
	const char *s = name;

	if (n > 13 && strcmp(name + n - 13, ".in-addr.arpa") == 0) {
		for (int i = 3; i >= 0; i--) {
			s = octet(s, &ret[i]);
			if (!s)
				return 0;
		}
		return strcmp(s, "in-addr.arpa") == 0 ? 4 : 0;
	}
	if (n != 72 || strcmp(name + 63, ".ip6.arpa") != 0)
		return 0;
	for (size_t i = 0; i < 32; i++) {
		int v = nibble(name[i * 2]);

		if (v < 0 || name[i * 2 + 1] != '.')
			return 0;
		if (i % 2)
			ret[15 - i / 2] |= (uint8_t)(v << 4);
		else
			ret[15 - i / 2] = (uint8_t)v;
	}
	return 16;
}
