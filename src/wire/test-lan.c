/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>

#include "wire/lan.h"

static const uint8_t mac[6] = { 2, 0x42, 10, 88, 0, 2 }, ours[6] = { 2, 0x4c, 1, 2, 3, 4 };
static const struct dhcp_lease lease = { .address = { 10, 88, 0, 2 },
	.server = { 10, 88, 255, 254 },
	.gateway = { 10, 88, 0, 1 },
	.dns = { 10, 88, 255, 254 },
	.prefix = 16,
	.mtu = 1400,
	.name = "box" };

/* A client's message with these options; its size. */
static size_t message(uint8_t *p, const uint8_t *options, size_t n)
{
	static const uint8_t magic[] = { 99, 130, 83, 99 };

	memset(p, 0, 236);
	p[0] = p[1] = 1;
	p[2] = 6;
	memcpy(p + 4, "xid!", 4);
	memcpy(p + 28, mac, 6);
	memcpy(p + 236, magic, 4);
	memcpy(p + 240, options, n);
	p[240 + n] = 255;
	return 241 + n;
}

static const uint8_t *find(const uint8_t *p, size_t n, unsigned code)
{
	for (size_t at = 240; at + 1 < n && p[at] != 255; at += p[at] ? 2u + p[at + 1] : 1u)
		if (p[at] == code)
			return p + at + 1;
	return NULL;
}

static size_t ask(const uint8_t *options, size_t n, uint8_t *out)
{
	uint8_t in[600];
	struct dhcp_ask a;

	g_assert_cmpint(dhcp_parse(in, message(in, options, n), mac, &a), ==, 0);
	return dhcp_answer(&a, &lease, out);
}

static void test_offer(void)
{
	static const uint8_t discover[] = { 53, 1, DHCP_DISCOVER };
	uint8_t out[512];
	size_t n = ask(discover, sizeof(discover), out);

	g_assert_cmpuint(n, >=, 300);
	g_assert_cmpuint(out[0], ==, 2);
	g_assert_cmpmem(out + 4, 4, "xid!", 4);
	g_assert_cmpmem(out + 16, 4, lease.address, 4);
	g_assert_cmpmem(out + 28, 6, mac, 6);
	g_assert_cmpuint(find(out, n, 53)[1], ==, DHCP_OFFER);
	g_assert_cmpmem(find(out, n, 1) + 1, 4, "\xff\xff\0\0", 4);
	g_assert_cmpmem(find(out, n, 3) + 1, 4, lease.gateway, 4);
	g_assert_cmpmem(find(out, n, 6) + 1, 4, lease.dns, 4);
	g_assert_cmpmem(find(out, n, 12), 4, "\3box", 4);
	g_assert_cmpmem(find(out, n, 26) + 1, 2, "\5\x78", 2);
}

static void test_request(void)
{
	static const uint8_t good[] = { 53, 1, DHCP_REQUEST, 50, 4, 10, 88, 0, 2, 54, 4, 10, 88,
		255, 254 };
	static const uint8_t other[] = { 53, 1, DHCP_REQUEST, 50, 4, 10, 88, 0, 9 };
	static const uint8_t elsewhere[] = { 53, 1, DHCP_REQUEST, 50, 4, 10, 88, 0, 2, 54, 4, 10,
		88, 0, 1 };
	uint8_t out[512];
	size_t n = ask(good, sizeof(good), out);

	g_assert_cmpuint(find(out, n, 53)[1], ==, DHCP_ACK);
	n = ask(other, sizeof(other), out);
	g_assert_cmpuint(find(out, n, 53)[1], ==, DHCP_NAK);
	g_assert_null(find(out, n, 3));
	g_assert_cmpuint(ask(elsewhere, sizeof(elsewhere), out), ==, 0);
}

static void test_refused(void)
{
	static const uint8_t cut[] = { 53, 1, DHCP_DISCOVER, 12, 200, 'x' };
	static const uint8_t offer[] = { 53, 1, DHCP_OFFER };
	static const uint8_t discover[] = { 53, 1, DHCP_DISCOVER };
	uint8_t in[600], elsewhere[6] = { 2 };
	struct dhcp_ask a;
	size_t n = message(in, cut, sizeof(cut));

	g_assert_cmpint(dhcp_parse(in, n, mac, &a), ==, -EBADMSG);
	n = message(in, offer, sizeof(offer));
	g_assert_cmpint(dhcp_parse(in, n, mac, &a), ==, -EBADMSG);
	n = message(in, discover, sizeof(discover));
	g_assert_cmpint(dhcp_parse(in, n, elsewhere, &a), ==, -EBADMSG);
	g_assert_cmpint(dhcp_parse(in, 240, mac, &a), ==, -EBADMSG);
}

static void test_udp(void)
{
	struct lan_udp u = {
		.from = { 10, 88, 0, 1 }, .to = { 10, 88, 0, 2 }, .from_port = 67, .to_port = 68
	};
	uint8_t out[LAN_FRAME_MAX];
	struct lan_frame f;
	size_t n;

	memcpy(u.from_mac, ours, 6);
	memcpy(u.to_mac, mac, 6);
	memcpy(out + LAN_UDP_ROOM, "hello", 5);
	n = lan_udp(out, &u, 5);
	g_assert_cmpuint(n, ==, LAN_UDP_ROOM + 5);
	g_assert_cmpint(lan_parse(out, n, &f), ==, 0);
	g_assert_false(f.arp);
	g_assert_cmpmem(f.data, f.size, "hello", 5);
	g_assert_cmpmem(f.mac, 6, ours, 6);
	g_assert_cmpuint(f.to_port, ==, 68);
	out[22]--; /* its time to live, which the header's checksum covers */
	g_assert_cmpint(lan_parse(out, n, &f), ==, -EBADMSG);
	g_assert_cmpuint(lan_udp(out, &u, LAN_FRAME_MAX), ==, 0);
	for (size_t cut = 0; cut < n; cut++)
		g_assert_cmpint(lan_parse(out, cut, &f), ==, -EBADMSG);
}

static void test_arp(void)
{
	uint8_t ask_frame[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0x42, 10, 88, 0, 2, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0x42, 10, 88, 0, 2, 10, 88, 0, 2, 0, 0, 0, 0, 0, 0, 10,
		88, 255, 254 };
	uint8_t out[LAN_FRAME_MAX];
	struct lan_frame f;

	g_assert_cmpint(lan_parse(ask_frame, sizeof(ask_frame), &f), ==, 0);
	g_assert_true(f.arp);
	g_assert_cmpuint(lan_arp_reply(out, &f, ours), ==, 42);
	g_assert_cmpmem(out, 6, mac, 6);
	g_assert_cmpuint(out[21], ==, 2);
	g_assert_cmpmem(out + 22, 6, ours, 6);
	g_assert_cmpmem(out + 28, 4, lease.dns, 4);
	g_assert_cmpmem(out + 38, 4, lease.address, 4);
	/* a reply is nothing that we answer */
	g_assert_cmpint(lan_parse(out, 42, &f), ==, -EBADMSG);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lan/offer", test_offer);
	g_test_add_func("/lan/request", test_request);
	g_test_add_func("/lan/refused", test_refused);
	g_test_add_func("/lan/udp", test_udp);
	g_test_add_func("/lan/arp", test_arp);
	return g_test_run();
}
