/* SPDX-License-Identifier: MIT */
#include "host/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

int addr_parse(const char *s, struct addr *ret)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	struct addr a = { 0 };

	if (!slash && n > 2 && s[0] == '[' && s[n - 1] == ']') {
		s++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, n);
	host[n] = '\0';
	a.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, host, a.b) != 1)
		return -EINVAL;
	a.prefix = addr_bits(&a);
	if (slash) {
		char *end;
		unsigned long v;

		if (slash[1] < '0' || slash[1] > '9' || strlen(slash + 1) > 3)
			return -EINVAL;
		v = strtoul(slash + 1, &end, 10);
		if (*end || v > a.prefix)
			return -EINVAL;
		a.prefix = (unsigned)v;
	}
	*ret = a;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int addr_parse_mac(const char *s, uint8_t ret[static 6])
{
	for (int i = 0; i < 6; i++, s += 3) {
		int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void addr_show(const struct addr *a, bool prefix, char out[static ADDR_TEXT_MAX])
{
	size_t n;

	out[0] = '\0';
	(void)inet_ntop(a->family, a->b, out, ADDR_TEXT_MAX);
	n = strlen(out);
	if (prefix)
		(void)snprintf(out + n, ADDR_TEXT_MAX - n, "/%u", a->prefix);
}

/* The byte i of a mask of `prefix` bits. */
static uint8_t mask_byte(unsigned prefix, unsigned i)
{
	if (prefix >= (i + 1) * 8)
		return 0xff;
	if (prefix <= i * 8)
		return 0;
	return (uint8_t)(0xff << (8 - prefix % 8));
}

void addr_first(const struct addr *a, struct addr *ret)
{
	struct addr r = *a;

	for (unsigned i = 0; i < addr_len(a); i++)
		r.b[i] &= mask_byte(a->prefix, i);
	*ret = r;
}

void addr_last(const struct addr *a, struct addr *ret)
{
	struct addr r = *a;

	for (unsigned i = 0; i < addr_len(a); i++)
		r.b[i] |= (uint8_t)~mask_byte(a->prefix, i);
	*ret = r;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, addr_len(a));
}

bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && addr_cmp(a, b) == 0;
}

bool addr_overlap(const struct addr *a, const struct addr *b)
{
	unsigned prefix = a->prefix < b->prefix ? a->prefix : b->prefix;

	if (a->family != b->family)
		return false;
	for (unsigned i = 0; i < addr_len(a); i++) {
		uint8_t m = mask_byte(prefix, i);

		if ((a->b[i] & m) != (b->b[i] & m))
			return false;
	}
	return true;
}

bool addr_in(const struct addr *a, const struct addr *net)
{
	struct addr whole = *a;

	whole.prefix = addr_bits(a);
	return addr_overlap(&whole, net);
}

bool addr_add(const struct addr *a, uint64_t n, struct addr *ret)
{
	struct addr r = *a;
	uint64_t carry = 0;

	for (unsigned i = addr_len(a); i-- > 0;) {
		uint64_t v = r.b[i] + (n & 0xff) + carry;

		r.b[i] = (uint8_t)v;
		carry = v >> 8;
		n >>= 8;
	}
	if (carry || n || !addr_in(&r, a))
		return false;
	*ret = r;
	return true;
}

uint64_t addr_offset(const struct addr *a)
{
	struct addr first;
	uint64_t v = 0;

	addr_first(a, &first);
	for (unsigned i = 0; i < addr_len(a); i++) {
		if (v >> 56)
			return UINT64_MAX;
		v = v << 8 | (uint8_t)(a->b[i] ^ first.b[i]);
	}
	return v;
}
