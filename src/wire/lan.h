/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LAN_H
#define LODGE_LAN_H

/*
 * The frames that a machine's first steps in a network are made of: ARP (RFC 826), UDP over IPv4 (RFC 768,
 * RFC 791) and DHCP (RFC 2131, RFC 2132) in it, over the caller's buffers. What a server needs that answers one
 * machine, whose address is known before it asks. Pure; C library only.
 */

#include <stdbool.h>
#include "base/macros.h"

#define LAN_FRAME_MAX 1514 /* an Ethernet frame with a usual MTU */
#define LAN_UDP_ROOM  42   /* what stands before a datagram's data */
#define LAN_NAME_MAX  64   /* of a host, with its NUL */

struct lan_frame {
	bool arp;	/* a request; else a datagram */
	uint8_t mac[6]; /* who sent it */
	uint8_t from[4],
		to[4]; /* addresses; of an ARP request the sender's and the one it asks for */
	uint16_t from_port, to_port;
	const uint8_t *data; /* in the caller's frame */
	size_t size;
};

/*
 * Reads a frame. -EBADMSG: none of these, cut short, a fragment, or with a bad header checksum. A datagram's own
 * checksum isn't looked at: a machine leaves it to its network card, which is us.
 */
int lan_parse(const uint8_t *p, size_t n, struct lan_frame *ret);

/* The answer "to is at mac": writes 42 bytes to out and returns that. */
size_t lan_arp_reply(uint8_t *out, const struct lan_frame *ask, const uint8_t mac[6]);

/* Puts the headers of a datagram before its size bytes of data at out + LAN_UDP_ROOM. Returns the frame's
 * size; 0: it would be larger than LAN_FRAME_MAX. */
struct lan_udp {
	uint8_t from_mac[6], to_mac[6], from[4], to[4];
	uint16_t from_port, to_port;
};
size_t lan_udp(uint8_t *out, const struct lan_udp *u, size_t size);

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8,
};

struct dhcp_ask {
	enum dhcp_type type;
	uint8_t head[44]; /* the fixed fields up to the hardware address, given back as they came */
	uint8_t wanted[4]; /* the address that it has or asks for; 0.0.0.0: none */
	uint8_t server[4]; /* the server that it has chosen; 0.0.0.0: none said */
	bool broadcast;	   /* it can't take a frame to its own address yet */
};
/* Reads a message of a client, whose hardware address is mac (others are -EBADMSG, as all that isn't one). */
int dhcp_parse(const uint8_t *p, size_t n, const uint8_t mac[6], struct dhcp_ask *ret);

struct dhcp_lease {
	uint8_t address[4], server[4], gateway[4], dns[4]; /* gateway, dns 0.0.0.0: none */
	unsigned prefix, mtu;				   /* mtu 0: not said */
	char name[LAN_NAME_MAX];			   /* "": not said */
};
/* The answer to a client that can have this lease and no other: writes it to out (at least 512 bytes) and
 * returns its size; 0: no answer is due. */
size_t dhcp_answer(const struct dhcp_ask *a, const struct dhcp_lease *l, uint8_t *out);

#endif
