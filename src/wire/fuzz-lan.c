/* SPDX-License-Identifier: MIT */
/* Frames of a machine: what is read lies inside, and an answer fits where it is put. */
#include <stdlib.h>
#include <string.h>

#include "wire/lan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = { 2, 0x42, 10, 88, 0, 2 };
	const struct dhcp_lease lease = { .address = { 10, 88, 0, 2 },
		.server = { 10, 88, 0, 1 },
		.gateway = { 10, 88, 0, 1 },
		.dns = { 10, 88, 255, 254 },
		.prefix = 16,
		.mtu = 1500,
		.name = "a-name-of-sixty-three-characters-which-is-all-that-a-label-takes" };
	uint8_t out[LAN_FRAME_MAX];
	struct lan_frame f;
	struct dhcp_ask a;

	if (lan_parse(data, size, &f) < 0)
		return 0;
	if (f.arp) {
		(void)lan_arp_reply(out, &f, mac);
		return 0;
	}
	if (f.data < data || f.data + f.size > data + size)
		abort();
	if (dhcp_parse(f.data, f.size, mac, &a) == 0) {
		size_t n = dhcp_answer(&a, &lease, out + LAN_UDP_ROOM);
		struct lan_udp u = { .from_port = 67, .to_port = 68 };

		if (n > 512)
			abort();
		if (n > 0 && lan_parse(out, lan_udp(out, &u, n), &f) < 0)
			abort();
	}
	return 0;
}
