/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include "wire/dns.h"

/* "dig web A +noedns" and "dig WEB AAAA" as they go over the wire. */
static const uint8_t query_a[] = { 0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'e', 'b',
	0, 0, 1, 0, 1 };
static const uint8_t query_aaaa[] = { 0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1, 3, 'W', 'e',
	'B', 0, 0, 28, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0 };

static void test_query(void)
{
	struct dns_query q;

	g_assert_cmpint(dns_parse_query(query_a, sizeof(query_a), &q), ==, 0);
	g_assert_cmpstr(q.name, ==, "web");
	g_assert_cmpuint(q.id, ==, 0x1234);
	g_assert_cmpuint(q.type, ==, DNS_A);
	g_assert_cmpuint(q.udp_size, ==, 512);
	g_assert_true(q.recursion);
	g_assert_false(q.edns);
	g_assert_cmpint(dns_parse_query(query_aaaa, sizeof(query_aaaa), &q), ==, 0);
	g_assert_cmpstr(q.name, ==, "web");
	g_assert_true(q.edns);
	g_assert_cmpuint(q.udp_size, ==, 1232);
}

static void test_bad_query(void)
{
	uint8_t bad[300];
	struct dns_query q;

	/* cut anywhere: an error, and never a read beyond the end (the fuzz target runs with a sanitizer) */
	for (size_t n = 0; n < sizeof(query_a); n++)
		g_assert_cmpint(dns_parse_query(query_a, n, &q), <, 0);
	memcpy(bad, query_a, sizeof(query_a));
	bad[2] |= 0x80;
	g_assert_cmpint(dns_parse_query(bad, sizeof(query_a), &q), ==, -EBADMSG);
	bad[2] = 0x29;
	g_assert_cmpint(dns_parse_query(bad, sizeof(query_a), &q), ==, -ENOSYS);
	memcpy(bad, query_a, sizeof(query_a));
	bad[12] = 0xc0; /* a pointer has no place in a question */
	g_assert_cmpint(dns_parse_query(bad, sizeof(query_a), &q), ==, -EINVAL);
	memcpy(bad, query_a, sizeof(query_a));
	bad[13] = '/';
	g_assert_cmpint(dns_parse_query(bad, sizeof(query_a), &q), ==, 0);
	g_assert_cmpstr(q.name, ==, "?eb");
	/* a name of more than 253 characters */
	memset(bad, 'a', sizeof(bad));
	memcpy(bad, query_a, 12);
	for (int i = 0; i < 5; i++)
		bad[12 + 52 * i] = 51;
	bad[12 + 52 * 5] = 0;
	g_assert_cmpint(dns_parse_query(bad, sizeof(bad), &q), ==, -EINVAL);
}

static void test_reply(void)
{
	static const uint8_t want[] = { 0x12, 0x34, 0x85, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 3, 'w', 'e',
		'b', 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 88, 0, 2, 0xc0, 12,
		0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 88, 0, 3 };
	uint8_t out[512];
	struct dns_query q;
	struct dns_reply r;

	(void)dns_parse_query(query_a, sizeof(query_a), &q);
	dns_reply_begin(&r, out, sizeof(out), &q, query_a, DNS_NOERROR);
	dns_reply_address(&r, (const uint8_t *)"\12\130\0\2", 4, 5);
	dns_reply_address(&r, (const uint8_t *)"\12\130\0\3", 4, 5);
	g_assert_cmpmem(out, dns_reply_end(&r), want, sizeof(want));
}

static void test_reply_cut(void)
{
	uint8_t out[DNS_MESSAGE_MAX];
	struct dns_query q, again;
	struct dns_reply r;
	enum dns_rcode rcode;
	bool cut;
	size_t n;

	(void)dns_parse_query(query_a, sizeof(query_a), &q);
	dns_reply_begin(&r, out, sizeof(out), &q, query_a, DNS_NOERROR);
	for (int i = 0; i < 100; i++)
		dns_reply_address(&r, (const uint8_t *)"\12\130\0\2", 4, 5);
	n = dns_reply_end(&r);
	g_assert_cmpuint(n, <=, 512);
	g_assert_cmpint(dns_parse_reply(out, n, &again, &rcode, &cut), ==, 0);
	g_assert_true(cut);
	g_assert_true(dns_same_question(&q, &again));
	/* a long reply of somebody else */
	g_assert_cmpuint(dns_cut(out, 600, &q), ==, sizeof(query_a));
	g_assert_cmpint(out[2] & 2, ==, 2);
	g_assert_cmpint(out[7], ==, 0);
}

static void test_arpa(void)
{
	uint8_t a[16];

	g_assert_cmpuint(dns_parse_arpa("2.0.88.10.in-addr.arpa", a), ==, 4);
	g_assert_cmpmem(a, 4, "\12\130\0\2", 4);
	g_assert_cmpuint(dns_parse_arpa("256.0.88.10.in-addr.arpa", a), ==, 0);
	g_assert_cmpuint(dns_parse_arpa("0.88.10.in-addr.arpa", a), ==, 0);
	g_assert_cmpuint(dns_parse_arpa("1.2.0.88.10.in-addr.arpa", a), ==, 0);
	g_assert_cmpuint(dns_parse_arpa("in-addr.arpa", a), ==, 0);
	g_assert_cmpuint(
		dns_parse_arpa(
			"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.9.d.f.ip6.arpa",
			a),
		==, 16);
	g_assert_cmpmem(a, 16, "\xfd\x99\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	g_assert_cmpuint(
		dns_parse_arpa(
			"g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.9.d.f.ip6.arpa",
			a),
		==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dns/query", test_query);
	g_test_add_func("/dns/bad-query", test_bad_query);
	g_test_add_func("/dns/reply", test_reply);
	g_test_add_func("/dns/reply-cut", test_reply_cut);
	g_test_add_func("/dns/arpa", test_arpa);
	return g_test_run();
}
