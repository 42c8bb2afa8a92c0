/* SPDX-License-Identifier: MIT */
/* Messages byte by byte, as netlink(7) has them, and what is read of those that are wrong. */
#include <arpa/inet.h>
#include <glib.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "host/netlink.h"
#include "host/nft.h"

/* Bytes from hexadecimal digits; blanks between them don't count. Caller frees. */
static GByteArray *bytes(const char *hex)
{
	GByteArray *a = g_byte_array_new();

	for (; *hex; hex++) {
		guint8 b;

		if (*hex == ' ')
			continue;
		b = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
		g_byte_array_append(a, &b, 1);
		hex++;
	}
	return a;
}

static void test_message(void)
{
	/* RTM_NEWLINK, REQUEST|ACK, number 1; struct ifinfomsg: up; IFLA_IFNAME "lo", padded;
	 * IFLA_LINKINFO { IFLA_INFO_KIND "veth" } */
	g_autoptr(GByteArray) want = bytes("34000000 1000 0500 01000000 00000000"
					   "00000000 00000000 01000000 01000000"
					   "0700 0300 6c6f00 00"
					   "0c00 1280 0800 0100 76657468");
	struct ifinfomsg i = { .ifi_flags = 1, .ifi_change = 1 };
	char space[128];
	struct nl_buf b = NL_BUF_ON(space);
	size_t nest;

	nl_begin(&b, RTM_NEWLINK, NLM_F_ACK, &i, sizeof(i));
	nl_put_str(&b, IFLA_IFNAME, "lo");
	nest = nl_open_nest(&b, IFLA_LINKINFO);
	nl_put(&b, IFLA_INFO_KIND, "veth", 4);
	nl_close_nest(&b, nest);
	g_assert_cmpmem(b.p, b.n, want->data, want->len);
	g_assert_false(b.cut);
}

/* What doesn't fit is told, and never written beyond the end. */
static void test_full(void)
{
	char space[64];
	struct nl_buf b = { .p = (uint8_t *)space, .size = 40 };
	struct ifinfomsg i = { 0 };

	memset(space, 0x55, sizeof(space));
	nl_begin(&b, RTM_NEWLINK, 0, &i, sizeof(i));
	nl_put_u32(&b, IFLA_MTU, 1500);
	g_assert_false(b.cut);
	nl_put_u32(&b, IFLA_MASTER, 1);
	g_assert_true(b.cut);
	nl_close_nest(&b, nl_open_nest(&b, IFLA_LINKINFO));
	g_assert_cmpint(space[40], ==, 0x55);
	g_assert_cmpint(nl_once(NETLINK_ROUTE, &b, NULL, NULL, NULL), ==, -EMSGSIZE);
}

static void test_grows(void)
{
	struct nl_buf b = NL_BUF_GROWS;

	for (int i = 0; i < 1000; i++) {
		struct ifinfomsg m = { .ifi_index = i };

		nl_begin(&b, RTM_GETLINK, 0, &m, sizeof(m));
		nl_put_str(&b, IFLA_IFNAME, "eth0");
	}
	g_assert_false(b.cut);
	g_assert_cmpuint(b.seq, ==, 1000);
	g_assert_cmpuint(((struct nlmsghdr *)b.p)->nlmsg_len, ==, b.n / 1000);
	nl_buf_done(&b);
	g_assert_null(b.p);
}

/* Attributes whose lengths lie. */
static void test_walk(void)
{
	union {
		struct nlmsghdr h;
		uint8_t b[64];
	} m = { 0 };
	struct nlattr *a = (struct nlattr *)(m.b + NLMSG_HDRLEN + 4);
	size_t left;

	m.h.nlmsg_len = NLMSG_HDRLEN + 4 + 12;
	*a = (struct nlattr){ .nla_len = 8, .nla_type = 7 };
	a[2] = (struct nlattr){ .nla_len = 4, .nla_type = 9 };
	g_assert_true(nl_find(&m.h, 4, 7) == a);
	g_assert_true(nl_find(&m.h, 4, 9) == a + 2);
	g_assert_null(nl_find(&m.h, 4, 8));
	a->nla_len = 0;
	g_assert_null(nl_find(&m.h, 4, 9));
	a->nla_len = 3;
	g_assert_null(nl_find(&m.h, 4, 7));
	a->nla_len = 200;
	g_assert_null(nl_find(&m.h, 4, 7));
	a->nla_len = 8;
	a[2].nla_len = 5; /* beyond the end */
	g_assert_null(nl_find(&m.h, 4, 9));
	m.h.nlmsg_len = NLMSG_HDRLEN;
	g_assert_null(nl_first(&m.h, 4, &left));
	a->nla_len = NLA_HDRLEN;
	g_assert_null(nl_first_in(a, &left));
}

/* As nft(8) sends { tcp . 0.0.0.0/0 . 8000-8999 comment "hi" : 10.88.0.2 }. */
static void test_element(void)
{
	/* NEWSETELEM, CREATE|EXCL, number 2; table and map; elements { element { key, end, data, comment */
	g_autoptr(GByteArray) want =
		bytes("74000000 0c0a 0106 02000000 00000000 01000000"
		      "0a00 0100 6c6f64676500 0000 0a00 0200 706f72743400 0000"
		      "4800 0380 4400 0180"
		      "1400 0180 1000 0100 06000000 00000000 1f400000"
		      "1400 0a80 1000 0100 06000000 ffffffff 23270000"
		      "0c00 0280 0800 0100 0a580002 0900 0600 0003686900 000000");
	struct nft_elem m = { .set = "port4",
		.key = { 6, 0, 0, 0, 0, 0, 0, 0, 0x1f, 0x40 },
		.end = { 6, 0, 0, 0, 255, 255, 255, 255, 0x23, 0x27 },
		.data = { 10, 88, 0, 2 },
		.key_size = 12,
		.data_size = 4,
		.range = true,
		.comment = "hi" };
	char space[512];
	struct nl_buf b = NL_BUF_ON(space);

	nft_batch_begin(&b);
	g_assert_cmpuint(b.n, ==, 20);
	nft_put_add(&b, &m, true);
	g_assert_cmpmem(b.p + 20, b.n - 20, want->data, want->len);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/netlink/message", test_message);
	g_test_add_func("/netlink/full", test_full);
	g_test_add_func("/netlink/grows", test_grows);
	g_test_add_func("/netlink/walk", test_walk);
	g_test_add_func("/netlink/element", test_element);
	return g_test_run();
}
