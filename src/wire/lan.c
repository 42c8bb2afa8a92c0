/* SPDX-License-Identifier: MIT */
#include "wire/lan.h"

#include <string.h>

enum {
	ETHER = 14,
	IP = 20,
	UDP = 8,
	ARP = 28,
	TYPE_IP = 0x0800,
	TYPE_ARP = 0x0806,
	PROTO_UDP = 17,
	/* DHCP: RFC 2131, figure 1, and its options */
	BOOT = 236,
	MAGIC = 4,
	OP_ASK = 1,
	OP_ANSWER = 2,
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_NAME = 12,
	OPT_MTU = 26,
	OPT_WANTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_RENEW = 58,
	OPT_REBIND = 59,
	OPT_END = 255,
	DHCP_MIN = 300, /* what BOOTP's relays let through */
};

static const uint8_t magic[MAGIC] = { 99, 130, 83, 99 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* RFC 1071. */
static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (; n > 1; n -= 2, p += 2)
		s += get16(p);
	return n ? s + (uint32_t)(p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* --- frames ------------------------------------------------------------------------------------------------ */

static int parse_arp(const uint8_t *p, size_t n, struct lan_frame *f)
{
	static const uint8_t request[] = { 0, 1, 8, 0, 6, 4, 0, 1 }; /* Ethernet, IPv4 */

	if (n < ARP || memcmp(p, request, sizeof(request)) != 0)
		return -EBADMSG;
	f->arp = true;
	memcpy(f->from, p + 14, 4);
	memcpy(f->to, p + 24, 4);
	return 0;
}

static int parse_ip(const uint8_t *p, size_t n, struct lan_frame *f)
{
	size_t head, whole, size;

	if (n < IP || p[0] >> 4 != 4)
		return -EBADMSG;
	head = (size_t)(p[0] & 15) * 4;
	whole = get16(p + 2);
	if (head < IP || whole < head + UDP || whole > n || p[9] != PROTO_UDP ||
		(get16(p + 6) & 0x3fff) != 0 || fold(sum(p, head, 0)) != 0)
		return -EBADMSG;
	memcpy(f->from, p + 12, 4);
	memcpy(f->to, p + 16, 4);
	p += head;
	size = get16(p + 4);
	if (size < UDP || size > whole - head)
		return -EBADMSG;
	f->from_port = get16(p);
	f->to_port = get16(p + 2);
	f->data = p + UDP;
	f->size = size - UDP;
	return 0;
}

int lan_parse(const uint8_t *p, size_t n, struct lan_frame *ret)
{
	struct lan_frame f = { 0 };
	int r;

	if (n < ETHER || n > LAN_FRAME_MAX)
		return -EBADMSG;
	memcpy(f.mac, p + 6, 6);
	switch (get16(p + 12)) {
	case TYPE_ARP:
		r = parse_arp(p + ETHER, n - ETHER, &f);
		break;
	case TYPE_IP:
		r = parse_ip(p + ETHER, n - ETHER, &f);
		break;
	default:
		r = -EBADMSG;
	}
	if (r == 0)
		*ret = f;
	return r;
}

size_t lan_arp_reply(uint8_t *out, const struct lan_frame *ask, const uint8_t mac[6])
{
	static const uint8_t reply[] = { 0, 1, 8, 0, 6, 4, 0, 2 };
	uint8_t *p = out + ETHER;

	memcpy(out, ask->mac, 6);
	memcpy(out + 6, mac, 6);
	put16(out + 12, TYPE_ARP);
	memcpy(p, reply, sizeof(reply));
	memcpy(p + 8, mac, 6);
	memcpy(p + 14, ask->to, 4);
	memcpy(p + 18, ask->mac, 6);
	memcpy(p + 24, ask->from, 4);
	return ETHER + ARP;
}

size_t lan_udp(uint8_t *out, const struct lan_udp *u, size_t size)
{
	uint8_t *ip = out + ETHER, *udp = ip + IP, pseudo[12] = { 0 };
	uint16_t check;

	if (size > LAN_FRAME_MAX - LAN_UDP_ROOM)
		return 0;
	memcpy(out, u->to_mac, 6);
	memcpy(out + 6, u->from_mac, 6);
	put16(out + 12, TYPE_IP);
	memset(ip, 0, IP + UDP);
	ip[0] = 0x45;
	put16(ip + 2, IP + UDP + size);
	put16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = 64;
	ip[9] = PROTO_UDP;
	memcpy(ip + 12, u->from, 4);
	memcpy(ip + 16, u->to, 4);
	put16(ip + 10, fold(sum(ip, IP, 0)));
	put16(udp, u->from_port);
	put16(udp + 2, u->to_port);
	put16(udp + 4, UDP + size);
	memcpy(pseudo, ip + 12, 8);
	pseudo[9] = PROTO_UDP;
	put16(pseudo + 10, UDP + size);
	check = fold(sum(udp, UDP + size, sum(pseudo, sizeof(pseudo), 0)));
	put16(udp + 6, check ? check : 0xffff);
	return LAN_UDP_ROOM + size;
}

/* --- DHCP -------------------------------------------------------------------------------------------------- */

static void take4(uint8_t to[4], const uint8_t *p, size_t n)
{
	if (n == 4)
		memcpy(to, p, 4);
}

int dhcp_parse(const uint8_t *p, size_t n, const uint8_t mac[6], struct dhcp_ask *ret)
{
	struct dhcp_ask a = { 0 };
	const uint8_t *end = p + n;

	if (n < BOOT + MAGIC + 3 || p[0] != OP_ASK || p[1] != 1 || p[2] != 6 ||
		memcmp(p + 28, mac, 6) != 0 || memcmp(p + BOOT, magic, MAGIC) != 0)
		return -EBADMSG;
	memcpy(a.head, p, sizeof(a.head));
	a.broadcast = p[10] & 0x80;
	memcpy(a.wanted, p + 12, 4);
	for (p += BOOT + MAGIC; p < end && *p != OPT_END;) {
		size_t left = (size_t)(end - p), size;

		if (*p == OPT_PAD) {
			p++;
			continue;
		}
		size = left < 2 ? left : p[1];
		if (left < 2 || size > left - 2)
			return -EBADMSG;
		if (*p == OPT_TYPE && size == 1)
			a.type = p[2];
		else if (*p == OPT_WANTED)
			take4(a.wanted, p + 2, size);
		else if (*p == OPT_SERVER)
			take4(a.server, p + 2, size);
		p += 2 + size;
	}
	if (a.type != DHCP_DISCOVER && a.type != DHCP_REQUEST && a.type != DHCP_INFORM)
		return -EBADMSG; /* what needs no answer, and what isn't for a server */
	*ret = a;
	return 0;
}

static uint8_t *option(uint8_t *p, unsigned code, const void *data, size_t n)
{
	p[0] = (uint8_t)code;
	p[1] = (uint8_t)n;
	memcpy(p + 2, data, n);
	return p + 2 + n;
}

static uint8_t *option32(uint8_t *p, unsigned code, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	return option(p, code, b, 4);
}

static bool none(const uint8_t a[4])
{
	static const uint8_t zero[4];

	return memcmp(a, zero, 4) == 0;
}

static uint8_t *network_options(uint8_t *p, const struct dhcp_lease *l)
{
	uint32_t mask = l->prefix ? ~UINT32_C(0) << (32 - (l->prefix > 32 ? 32 : l->prefix)) : 0;
	uint8_t mtu[2];

	p = option32(p, OPT_MASK, mask);
	if (!none(l->gateway))
		p = option(p, OPT_ROUTER, l->gateway, 4);
	if (!none(l->dns))
		p = option(p, OPT_DNS, l->dns, 4);
	if (l->name[0])
		p = option(p, OPT_NAME, l->name, strnlen(l->name, sizeof(l->name)));
	if (l->mtu) {
		put16(mtu, l->mtu);
		p = option(p, OPT_MTU, mtu, 2);
	}
	return p;
}

size_t dhcp_answer(const struct dhcp_ask *a, const struct dhcp_lease *l, uint8_t *out)
{
	const uint32_t hour = 3600;
	uint8_t type = DHCP_ACK, *p = out + BOOT + MAGIC;

	if (a->type == DHCP_DISCOVER)
		type = DHCP_OFFER;
	else if (a->type == DHCP_REQUEST && !none(a->server) &&
		 memcmp(a->server, l->server, 4) != 0)
		return 0; /* it has chosen another server */
	else if (a->type == DHCP_REQUEST && memcmp(a->wanted, l->address, 4) != 0)
		type = DHCP_NAK;
	memset(out, 0, BOOT);
	memcpy(out, a->head, sizeof(a->head));
	out[0] = OP_ANSWER;
	out[3] = 0;
	if (a->type != DHCP_INFORM) {
		memset(out + 12, 0, 16);
		if (type != DHCP_NAK)
			memcpy(out + 16, l->address, 4);
	}
	memcpy(out + BOOT, magic, MAGIC);
	p = option(p, OPT_TYPE, &type, 1);
	p = option(p, OPT_SERVER, l->server, 4);
	if (type != DHCP_NAK) {
		/* the lease lasts as long as the machine runs; who asks again is told so again */
		if (a->type != DHCP_INFORM) {
			p = option32(p, OPT_LEASE, 24 * hour);
			p = option32(p, OPT_RENEW, 12 * hour);
			p = option32(p, OPT_REBIND, 21 * hour);
		}
		p = network_options(p, l);
	}
	*p++ = OPT_END;
	while (p < out + DHCP_MIN)
		*p++ = OPT_PAD;
	return (size_t)(p - out);
}
