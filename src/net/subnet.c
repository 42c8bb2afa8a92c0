/* SPDX-License-Identifier: MIT */
/* Which subnets networks get. */
#include <string.h>
#include "net/net-priv.h"

/* In the order in which they are tried: where others' defaults are not (docker's are 172.17.0.0/16 and up,
 * 192.168 is what homes and offices have). */
static const struct {
	const char *first;
	unsigned prefix, count;
} candidates[] = {
	{ "10.88.0.0", 16, 168 },
	{ "172.24.0.0", 16, 8 },
	{ "192.168.128.0", 20, 8 },
	{ "10.64.0.0", 24, 4096 },
};

const struct used_subnet *subnet_conflict(const GArray *used, const struct addr *subnet)
{
	for (guint i = 0; i < used->len; i++) {
		const struct used_subnet *u = &g_array_index(used, struct used_subnet, i);

		if (addr_overlap(&u->subnet, subnet))
			return u;
	}
	return NULL;
}

bool subnet_pick(const GArray *used, struct addr *ret)
{
	for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++) {
		struct addr base;

		(void)addr_parse(candidates[i].first, &base);
		base.prefix = 0;
		for (unsigned k = 0; k < candidates[i].count; k++) {
			struct addr a;

			if (!addr_add(&base, (uint64_t)k << (32 - candidates[i].prefix), &a))
				break;
			a.prefix = candidates[i].prefix;
			if (!subnet_conflict(used, &a)) {
				*ret = a;
				return true;
			}
		}
	}
	return false;
}

void subnet_pick6(const char *seed, struct addr *ret)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 hash[32];
	gsize n = sizeof(hash);

	g_checksum_update(sum, (const guchar *)seed, (gssize)strlen(seed));
	g_checksum_get_digest(sum, hash, &n);
	*ret = (struct addr){ .family = AF_INET6, .prefix = 64 };
	ret->b[0] = 0xfd;
	memcpy(ret->b + 1, hash, 7);
}

char *subnet_mac(const struct addr *a)
{
	const uint8_t *b = a->b + addr_len(a) - 4;

	return g_strdup_printf("02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3]);
}

char *addr_text(const struct addr *a, bool prefix)
{
	char text[ADDR_TEXT_MAX];

	addr_show(a, prefix, text);
	return g_strdup(text);
}
