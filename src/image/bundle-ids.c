/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "image/bundle-priv.h"

static int parse_number(const char **p, uint32_t *ret)
{
	guint64 n;
	char *end;

	if (!g_ascii_isdigit(**p))
		return -E_INVALID;
	n = g_ascii_strtoull(*p, &end, 10);
	if (n > UINT32_MAX)
		return -E_INVALID;
	*ret = (uint32_t)n;
	*p = end;
	return 0;
}

static int parse_map(const char *text, struct bundle_map *m)
{
	const char *p = text;

	m->size = 1;
	if (parse_number(&p, &m->container) < 0 || *p++ != ':' || parse_number(&p, &m->host) < 0)
		return -E_INVALID;
	if (*p == ':') {
		p++;
		if (parse_number(&p, &m->size) < 0)
			return -E_INVALID;
	}
	return *p || !m->size || m->container > UINT32_MAX - m->size ||
			       m->host > UINT32_MAX - m->size
		       ? -E_INVALID
		       : 0;
}

static int parse_maps(
	char *const *texts, struct bundle_map *m, unsigned *ret_n, const char *what, struct err *e)
{
	for (*ret_n = 0; texts && *texts; texts++) {
		if (*ret_n == BUNDLE_MAPS_MAX)
			return err_set(
				e, -E_LIMIT, "more than %d of --%s-map", BUNDLE_MAPS_MAX, what);
		if (parse_map(*texts, &m[(*ret_n)++]) < 0)
			return err_set(e, -E_INVALID,
				"'%s' isn't a map of ids: CONTAINER:HOST[:SIZE]", *texts);
	}
	return 0;
}

int bundle_ids_parse(char *const *uid, char *const *gid, bool rootless, uint32_t own_uid,
	uint32_t own_gid, struct bundle_ids *ret, struct err *e)
{
	int r;

	*ret = (struct bundle_ids){ .rootless = rootless };
	r = parse_maps(uid, ret->uid, &ret->n_uid, "uid", e);
	if (r >= 0)
		r = parse_maps(gid, ret->gid, &ret->n_gid, "gid", e);
	if (r < 0)
		return r;
	/* who isn't root can map nobody but himself */
	if (rootless && !ret->n_uid)
		ret->uid[ret->n_uid++] = (struct bundle_map){ 0, own_uid, 1 };
	if (rootless && !ret->n_gid)
		ret->gid[ret->n_gid++] = (struct bundle_map){ 0, own_gid, 1 };
	if (!ret->n_uid != !ret->n_gid)
		return err_set(e, -E_INVALID, "--uid-map and --gid-map belong together");
	return 0;
}

int bundle_map_id(const struct bundle_map *m, unsigned n, uint32_t id, bool back, uint32_t *ret)
{
	if (n == 0) {
		*ret = id;
		return 0;
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t from = back ? m[i].host : m[i].container;

		if (id >= from && id - from < m[i].size) {
			*ret = (back ? m[i].container : m[i].host) + (id - from);
			return 0;
		}
	}
	return -E_INVALID;
}

json_t *bundle_map_json(const struct bundle_map *m, unsigned n)
{
	json_t *list = n ? json_array() : json_null();

	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(list,
			json_pack("{s:I, s:I, s:I}", "containerID", (json_int_t)m[i].container,
				"hostID", (json_int_t)m[i].host, "size", (json_int_t)m[i].size));
	return list;
}

json_t *bundle_ids_json(const struct bundle_ids *ids)
{
	return json_pack("{s:o, s:o, s:b}", "uid_mappings", bundle_map_json(ids->uid, ids->n_uid),
		"gid_mappings", bundle_map_json(ids->gid, ids->n_gid), "rootless", ids->rootless);
}

static size_t put_varint(uint8_t *p, uint32_t n)
{
	size_t k = 0;

	for (; n > 127; n >>= 7)
		p[k++] = (uint8_t)(n | 128);
	p[k++] = (uint8_t)n;
	return k;
}

/* https://rootlesscontaine.rs/proto: message Resource { uint32 uid = 1; uint32 gid = 2; } */
size_t bundle_rootless_put(uint32_t uid, uint32_t gid, uint8_t ret[BUNDLE_ROOTLESS_MAX])
{
	size_t n = 0;

	ret[n++] = 1 << 3;
	n += put_varint(ret + n, uid);
	ret[n++] = 2 << 3;
	return n + put_varint(ret + n, gid);
}

static bool get_varint(const uint8_t **p, const uint8_t *end, uint32_t *ret)
{
	uint64_t n = 0;

	for (unsigned shift = 0; *p < end && shift < 35; shift += 7) {
		uint8_t byte = *(*p)++;

		n |= (uint64_t)(byte & 127) << shift;
		if (byte & 128)
			continue;
		*ret = (uint32_t)n;
		return n <= UINT32_MAX;
	}
	return false;
}

/* A number that is 0 needn't be there. */
int bundle_rootless_get(const uint8_t *p, size_t n, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const uint8_t *end = p + n;
	uint32_t ids[2] = { 0, 0 };

	while (p < end) {
		uint8_t field = *p++;

		if ((field != 1 << 3 && field != 2 << 3) ||
			!get_varint(&p, end, &ids[(field >> 3) - 1]))
			return -E_CORRUPT;
	}
	*ret_uid = ids[0];
	*ret_gid = ids[1];
	return 0;
}
