/* SPDX-License-Identifier: MIT */
#include "codec/tar-priv.h"

#include <string.h>

static void clear_xattr(void *p)
{
	struct xattr *x = p;

	g_free((char *)x->name);
	g_free((uint8_t *)x->value);
}

void tar_pax_init(struct tar_pax *p)
{
	*p = (struct tar_pax){ .sparse_major = -1, .sparse_minor = -1 };
}

void tar_pax_clear(struct tar_pax *p)
{
	g_free(p->path);
	g_free(p->link);
	g_free(p->sparse_name);
	if (p->xattrs)
		g_array_unref(p->xattrs);
	if (p->extents)
		g_array_unref(p->extents);
	tar_pax_init(p);
}

int tar_number(const char *field, size_t size, int64_t *ret)
{
	const uint8_t *p = (const uint8_t *)field, *end = p + size;
	uint64_t v = 0;

	if (*p & 0x80) {
		/* GNU's base-256: two's complement, the first bit marks the form, the next is the sign */
		bool negative = *p & 0x40;

		v = negative ? ~(uint64_t)0 : 0;
		for (; p < end; p++) {
			uint8_t b = p == (const uint8_t *)field && !negative ? *p & 0x7f : *p;

			if ((v >> 55) != (negative ? 0x1ff : 0))
				return -E_CORRUPT;
			v = v << 8 | b;
		}
		*ret = (int64_t)v;
		return 0;
	}
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '7'; p++) {
		if (v >> 60)
			return -E_CORRUPT;
		v = v << 3 | (uint64_t)(*p - '0');
	}
	/* ends with a blank or NUL, or fills the field; some writers put both */
	if (p < end && *p != ' ' && *p != '\0')
		return -E_CORRUPT;
	*ret = (int64_t)v;
	return 0;
}

int tar_decimal(const char *s, size_t size, int64_t max, int64_t *ret)
{
	int64_t v = 0;
	size_t i;

	if (!size)
		return -E_CORRUPT;
	for (i = 0; i < size; i++) {
		int d = s[i] - '0';

		if (d < 0 || d > 9 || v > max / 10 || v * 10 > max - d)
			return -E_CORRUPT;
		v = v * 10 + d;
	}
	*ret = v;
	return 0;
}

/* "-12.5": seconds and nanoseconds, the latter counted upwards; digits beyond the ninth are dropped. */
static int parse_time(const char *s, size_t size, int64_t *ret, uint32_t *ret_nsec)
{
	bool negative = size && *s == '-';
	const char *dot;
	int64_t sec, nsec = 0;
	size_t i, n;
	int r;

	if (negative)
		s++, size--;
	dot = memchr(s, '.', size);
	n = dot ? (size_t)(dot - s) : size;
	r = tar_decimal(s, n, INT64_MAX - 1, &sec);
	if (r < 0)
		return r;
	for (i = 0; dot && i < 9; i++) {
		size_t at = n + 1 + i;

		if (at < size && (s[at] < '0' || s[at] > '9'))
			return -E_CORRUPT;
		nsec = nsec * 10 + (at < size ? s[at] - '0' : 0);
	}
	if (negative) {
		sec = -sec;
		if (nsec) {
			sec--;
			nsec = 1000000000 - nsec;
		}
	}
	*ret = sec;
	*ret_nsec = (uint32_t)nsec;
	return 0;
}

static int parse_u32(const char *s, size_t size, bool *has, uint32_t *ret)
{
	int64_t v;
	int r = tar_decimal(s, size, UINT32_MAX, &v);

	if (r < 0)
		return r;
	*has = true;
	*ret = (uint32_t)v;
	return 0;
}

static int take_text(char **p, const char *s, size_t size)
{
	if (memchr(s, '\0', size))
		return -E_CORRUPT;
	g_free(*p);
	*p = size ? g_strndup(s, size) : NULL;
	return 0;
}

int tar_pax_add_xattr(
	struct tar_pax *p, const char *name, const void *value, size_t size, struct err *e)
{
	struct xattr x = { .size = (uint32_t)size };
	unsigned i;

	if (strlen(name) > XATTR_NAME_LIMIT || size > XATTR_VALUE_LIMIT)
		return err_set(e, -E_LIMIT, "the extended attribute '%.40s' is too large", name);
	if (!p->xattrs) {
		p->xattrs = g_array_new(FALSE, FALSE, sizeof(struct xattr));
		g_array_set_clear_func(p->xattrs, clear_xattr);
	}
	for (i = 0; i < p->xattrs->len; i++)
		if (!strcmp(g_array_index(p->xattrs, struct xattr, i).name, name))
			break;
	if (i == p->xattrs->len && i >= XATTR_COUNT_LIMIT)
		return err_set(e, -E_LIMIT, "more than %d extended attributes", XATTR_COUNT_LIMIT);
	x.name = g_strdup(name);
	x.value = g_memdup2(value, size);
	if (i < p->xattrs->len) {
		clear_xattr(&g_array_index(p->xattrs, struct xattr, i));
		g_array_index(p->xattrs, struct xattr, i) = x;
	} else
		g_array_append_val(p->xattrs, x);
	return 0;
}

/* LIBARCHIVE.xattr: the name is URL-encoded, the value base64 (padding may be missing). */
static int add_libarchive(
	struct tar_pax *p, const char *key, const char *s, size_t size, struct err *e)
{
	g_autofree char *name = g_uri_unescape_string(key, NULL);
	g_autofree uint8_t *value = g_malloc(size / 4 * 3 + 6);
	gsize n;
	int state = 0;
	guint save = 0;

	if (!name || !*name)
		return -E_CORRUPT;
	n = g_base64_decode_step(s, size, value, &state, &save);
	if (size % 4)
		n += g_base64_decode_step("===", 4 - size % 4, value + n, &state, &save);
	return tar_pax_add_xattr(p, name, value, n, e);
}

/* GNU tar writes "=" in the name as "%3D", and "%" as "%25". */
static int add_schily(struct tar_pax *p, const char *key, const void *s, size_t size, struct err *e)
{
	g_autoptr(GString) name = g_string_new(key);

	if (!name->len)
		return -E_CORRUPT;
	g_string_replace(name, "%3D", "=", 0);
	g_string_replace(name, "%25", "%", 0);
	return tar_pax_add_xattr(p, name->str, s, size, e);
}

static int add_extent(struct tar_pax *p, int64_t offset, int64_t size)
{
	struct tar_extent x = { offset, size };

	if (!p->extents)
		p->extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	if (p->extents->len >= TAR_EXTENTS_MAX)
		return -E_LIMIT;
	g_array_append_val(p->extents, x);
	return 0;
}

/* "offset,size,offset,size,..." */
static int parse_map(struct tar_pax *p, const char *s, size_t size)
{
	const char *end = s + size, *comma;
	int64_t v[2] = { 0 };
	unsigned i = 0;
	int r;

	if (p->extents)
		g_array_set_size(p->extents, 0);
	while (s < end) {
		comma = memchr(s, ',', (size_t)(end - s));
		if (!comma)
			comma = end;
		r = tar_decimal(s, (size_t)(comma - s), TAR_FILE_MAX, &v[i & 1]);
		if (r >= 0 && i & 1)
			r = add_extent(p, v[0], v[1]);
		if (r < 0)
			return r;
		i++;
		s = comma + 1;
	}
	return i & 1 ? -E_CORRUPT : 0;
}

static int parse_sparse(struct tar_pax *p, const char *key, const char *s, size_t size)
{
	int64_t v;
	int r;

	if (!strcmp(key, "name"))
		return take_text(&p->sparse_name, s, size);
	if (!strcmp(key, "map"))
		return parse_map(p, s, size);
	r = tar_decimal(s, size, TAR_FILE_MAX, &v);
	if (r < 0)
		return r;
	if (!strcmp(key, "major") || !strcmp(key, "minor")) {
		if (v > 9)
			return -E_CORRUPT;
		*(key[1] == 'a' ? &p->sparse_major : &p->sparse_minor) = (int)v;
	} else if (!strcmp(key, "size") || !strcmp(key, "realsize")) {
		p->has_sparse_size = true;
		p->sparse_size = v;
	} else if (!strcmp(key, "offset")) {
		if (p->sparse_pending)
			return -E_CORRUPT;
		r = add_extent(p, v, 0);
		p->sparse_pending = true;
	} else if (!strcmp(key, "numbytes")) {
		if (!p->sparse_pending)
			return -E_CORRUPT;
		p->sparse_pending = false;
		g_array_index(p->extents, struct tar_extent, p->extents->len - 1).size = v;
	}
	return r;
}

/* An empty value takes back what an earlier header said. */
static void forget(struct tar_pax *p, const char *key)
{
	static const struct {
		const char *key;
		size_t offset;
	} flags[] = {
		{ "size", offsetof(struct tar_pax, has_size) },
		{ "uid", offsetof(struct tar_pax, has_uid) },
		{ "gid", offsetof(struct tar_pax, has_gid) },
		{ "mtime", offsetof(struct tar_pax, has_mtime) },
		{ "SCHILY.devmajor", offsetof(struct tar_pax, has_major) },
		{ "SCHILY.devminor", offsetof(struct tar_pax, has_minor) },
	};

	for (unsigned i = 0; i < ELEMENTSOF(flags); i++)
		if (!strcmp(key, flags[i].key))
			*(bool *)((char *)p + flags[i].offset) = false;
}

static int take_record(
	struct tar_pax *p, const char *key, const char *s, size_t size, struct err *e)
{
	/* attributes first: an empty value is a value there */
	if (g_str_has_prefix(key, "SCHILY.xattr."))
		return add_schily(p, key + 13, s, size, e);
	if (g_str_has_prefix(key, "LIBARCHIVE.xattr."))
		return add_libarchive(p, key + 17, s, size, e);
	if (!strcmp(key, "RHT.security.selinux"))
		return tar_pax_add_xattr(p, "security.selinux", s, size, e);
	if (g_str_has_prefix(key, "GNU.sparse."))
		return parse_sparse(p, key + 11, s, size);
	if (!strcmp(key, "path"))
		return take_text(&p->path, s, size);
	if (!strcmp(key, "linkpath"))
		return take_text(&p->link, s, size);
	if (!size) {
		forget(p, key);
		return 0;
	}
	if (!strcmp(key, "size")) {
		p->has_size = true;
		return tar_decimal(s, size, INT64_MAX, &p->size);
	}
	if (!strcmp(key, "uid"))
		return parse_u32(s, size, &p->has_uid, &p->uid);
	if (!strcmp(key, "gid"))
		return parse_u32(s, size, &p->has_gid, &p->gid);
	if (!strcmp(key, "SCHILY.devmajor"))
		return parse_u32(s, size, &p->has_major, &p->major);
	if (!strcmp(key, "SCHILY.devminor"))
		return parse_u32(s, size, &p->has_minor, &p->minor);
	if (!strcmp(key, "mtime")) {
		p->has_mtime = true;
		return parse_time(s, size, &p->mtime, &p->mtime_nsec);
	}
	return 0; /* uname, atime, comment, vendors' own: nothing that a layer keeps */
}

int tar_pax_parse(struct tar_pax *p, const char *data, size_t size, struct err *e)
{
	const char *end = data + size;

	while (data < end) {
		const char *blank = memchr(data, ' ', (size_t)(end - data)), *equal, *last;
		g_autofree char *key = NULL;
		int64_t n;
		int r;

		if (!blank || tar_decimal(data, (size_t)(blank - data), end - data, &n) < 0 ||
			n < blank + 1 - data + 2)
			return err_set(e, -E_CORRUPT, "a pax record has a bad length");
		last = data + n - 1;
		equal = memchr(blank + 1, '=', (size_t)(last - blank - 1));
		if (*last != '\n' || !equal || equal == blank + 1 ||
			memchr(blank + 1, '\0', (size_t)(equal - blank - 1)))
			return err_set(e, -E_CORRUPT, "a pax record is damaged");
		key = g_strndup(blank + 1, (size_t)(equal - blank - 1));
		if (e)
			e->code = 0;
		r = take_record(p, key, equal + 1, (size_t)(last - equal - 1), e);
		if (r < 0 && (!e || !e->code)) {
			char shown[TAR_SHOWN];

			return err_set(
				e, r, "the pax record '%s' has a bad value", tar_show(key, shown));
		}
		if (r < 0)
			return r;
		data = last + 1;
	}
	if (p->sparse_pending)
		return err_set(e, -E_CORRUPT, "the map of a sparse file is cut short");
	return 0;
}
