/* SPDX-License-Identifier: MIT */
#include "codec/tar.h"

#include <stdio.h>
#include <string.h>
#include "codec/tar-priv.h"

#define OCTAL_11 ((int64_t)1 << 33) /* what eleven octal digits can't hold */
#define OCTAL_7	 ((uint32_t)1 << 21)

static unsigned digits(size_t n)
{
	unsigned d = 1;

	while (n >= 10) {
		n /= 10;
		d++;
	}
	return d;
}

/* "LENGTH key=value\n", where the length counts itself. */
static void put_record(GString *out, const char *key, const void *value, size_t size)
{
	size_t body = 1 + strlen(key) + 1 + size + 1, n = body + digits(body);

	n = body + digits(n);
	g_string_append_printf(out, "%zu %s=", n, key);
	g_string_append_len(out, value, (gssize)size);
	g_string_append_c(out, '\n');
}

static void put_text(GString *out, const char *key, const char *value)
{
	put_record(out, key, value, strlen(value));
}

static void put_number(GString *out, const char *key, int64_t value)
{
	char s[24];

	(void)snprintf(s, sizeof(s), "%lld", (long long)value);
	put_text(out, key, s);
}

static void put_time(GString *out, int64_t sec, uint32_t nsec)
{
	char s[48];

	if (!nsec) {
		put_number(out, "mtime", sec);
		return;
	}
	/* the fraction counts away from zero */
	if (sec < 0) {
		sec++;
		nsec = 1000000000 - nsec;
		(void)snprintf(s, sizeof(s), "-%lld.%09u", -(long long)sec, nsec);
	} else
		(void)snprintf(s, sizeof(s), "%lld.%09u", (long long)sec, nsec);
	put_text(out, "mtime", s);
}

static void put_octal(char *field, size_t size, uint64_t v)
{
	char s[32];

	(void)snprintf(s, sizeof(s), "%0*llo", (int)size - 1, (unsigned long long)v);
	memcpy(field, s, size);
}

/* Splits a path into prefix and name at a slash, when it fits. */
static bool put_path(struct tar_header *h, const char *path)
{
	size_t n = strlen(path), at;

	if (n <= sizeof(h->name)) {
		memcpy(h->name, path, n);
		return true;
	}
	if (n > sizeof(h->prefix) + 1 + sizeof(h->name))
		return false;
	for (at = n - sizeof(h->name) - 1; at < n - 1 && at <= sizeof(h->prefix); at++)
		if (at && path[at] == '/') {
			memcpy(h->prefix, path, at);
			memcpy(h->name, path + at + 1, n - at - 1);
			return true;
		}
	return false;
}

/* A name for readers that don't know pax. */
static void put_short_path(struct tar_header *h, const char *folder, const char *path)
{
	size_t end = strlen(path), at;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (at = end; at && path[at - 1] != '/'; at--)
		;
	(void)snprintf(
		h->name, sizeof(h->name), "%s/%.*s", folder, (int)MIN(end - at, 70), path + at);
}

static void seal(struct tar_header *h)
{
	const uint8_t *p = (const void *)h;
	unsigned sum = 0, i;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->chksum, ' ', sizeof(h->chksum));
	for (i = 0; i < TAR_BLOCK; i++)
		sum += p[i];
	(void)snprintf(h->chksum, sizeof(h->chksum), "%06o", sum);
}

static void put_pax_header(GByteArray *out, const struct tar_entry *t, const GString *pax)
{
	struct tar_header h = { .typeflag = 'x' };

	put_short_path(&h, "./PaxHeaders", t->path);
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.uid, sizeof(h.uid), 0);
	put_octal(h.gid, sizeof(h.gid), 0);
	put_octal(h.size, sizeof(h.size), pax->len);
	put_octal(h.mtime, sizeof(h.mtime), 0);
	seal(&h);
	g_byte_array_append(out, (const void *)&h, sizeof(h));
	g_byte_array_append(out, (const void *)pax->str, (guint)pax->len);
	tar_put_padding(out, (int64_t)pax->len);
}

static int64_t extents_size(const struct tar_entry *t)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < t->n_extents; i++)
		sum += t->extents[i].size;
	return sum;
}

int64_t tar_content_size(const struct tar_entry *t)
{
	if (t->type != TAR_FILE)
		return 0;
	return t->sparse ? extents_size(t) : t->size;
}

static GString *make_map(const struct tar_entry *t)
{
	GString *s = g_string_new(NULL);
	unsigned i;

	g_string_append_printf(s, "%u\n", t->n_extents);
	for (i = 0; i < t->n_extents; i++)
		g_string_append_printf(s, "%lld\n%lld\n", (long long)t->extents[i].offset,
			(long long)t->extents[i].size);
	while (s->len % TAR_BLOCK)
		g_string_append_c(s, '\0');
	return s;
}

static void put_xattrs(GString *pax, const struct tar_entry *t)
{
	unsigned i;

	for (i = 0; i < t->n_xattrs; i++) {
		g_autoptr(GString) key = g_string_new("SCHILY.xattr.");

		/* as GNU tar does it */
		g_string_append(key, t->xattrs[i].name);
		g_string_replace(key, "%", "%25", 0);
		g_string_replace(key, "=", "%3D", 0);
		put_record(pax, key->str, t->xattrs[i].value, t->xattrs[i].size);
	}
}

/* Fills the numbers; what doesn't fit goes to pax. */
static void put_numbers(struct tar_header *h, const struct tar_entry *t, int64_t size, GString *pax)
{
	put_octal(h->mode, sizeof(h->mode), t->mode & 07777);
	if (t->uid >= OCTAL_7)
		put_number(pax, "uid", t->uid);
	put_octal(h->uid, sizeof(h->uid), t->uid < OCTAL_7 ? t->uid : 0);
	if (t->gid >= OCTAL_7)
		put_number(pax, "gid", t->gid);
	put_octal(h->gid, sizeof(h->gid), t->gid < OCTAL_7 ? t->gid : 0);
	if (size >= OCTAL_11)
		put_number(pax, "size", size);
	put_octal(h->size, sizeof(h->size), size < OCTAL_11 ? (uint64_t)size : 0);
	if (t->mtime_nsec || t->mtime < 0 || t->mtime >= OCTAL_11)
		put_time(pax, t->mtime, t->mtime_nsec);
	put_octal(h->mtime, sizeof(h->mtime),
		t->mtime >= 0 && t->mtime < OCTAL_11 ? (uint64_t)t->mtime : 0);
	if (t->type != TAR_CHAR && t->type != TAR_BLOCK_DEVICE)
		return;
	if (t->major >= OCTAL_7)
		put_number(pax, "SCHILY.devmajor", t->major);
	put_octal(h->devmajor, sizeof(h->devmajor), t->major < OCTAL_7 ? t->major : 0);
	if (t->minor >= OCTAL_7)
		put_number(pax, "SCHILY.devminor", t->minor);
	put_octal(h->devminor, sizeof(h->devminor), t->minor < OCTAL_7 ? t->minor : 0);
}

int tar_put_entry(GByteArray *out, const struct tar_entry *t, struct err *e)
{
	static const char flags[] = "0521346"; /* by enum tar_type, see below */
	g_autoptr(GString) pax = g_string_new(NULL);
	struct tar_header h = { 0 };
	GString *map = NULL;
	int64_t size = tar_content_size(t);
	size_t n;

	_Static_assert(sizeof(flags) == _TAR_TYPE_MAX + 1, "a flag for each type");
	h.typeflag = flags[t->type];
	if (t->sparse) {
		map = make_map(t);
		size += (int64_t)map->len;
		put_text(pax, "GNU.sparse.major", "1");
		put_text(pax, "GNU.sparse.minor", "0");
		put_text(pax, "GNU.sparse.name", t->path);
		put_number(pax, "GNU.sparse.realsize", t->size);
		put_short_path(&h, "./GNUSparseFile.0", t->path);
	} else if (!put_path(&h, t->path)) {
		put_text(pax, "path", t->path);
		put_short_path(&h, ".", t->path);
	}
	n = t->type == TAR_SYMLINK || t->type == TAR_HARDLINK ? strlen(t->target) : 0;
	if (n > sizeof(h.linkname))
		put_text(pax, "linkpath", t->target);
	memcpy(h.linkname, t->target ? t->target : "", MIN(n, sizeof(h.linkname)));
	put_numbers(&h, t, size, pax);
	put_xattrs(pax, t);
	seal(&h);
	if (pax->len > TAR_META_MAX || (map && t->n_extents > TAR_EXTENTS_MAX)) {
		char shown[TAR_SHOWN];

		if (map)
			g_string_free(map, TRUE);
		return err_set(e, -E_LIMIT, "'%s' has more attributes than a tar archive can hold",
			tar_show(t->path, shown));
	}
	if (pax->len)
		put_pax_header(out, t, pax);
	g_byte_array_append(out, (const void *)&h, sizeof(h));
	if (map) {
		g_byte_array_append(out, (const void *)map->str, (guint)map->len);
		g_string_free(map, TRUE);
	}
	return 0;
}

void tar_put_padding(GByteArray *out, int64_t content_size)
{
	static const uint8_t zeros[TAR_BLOCK];

	g_byte_array_append(out, zeros, (guint)(-content_size & (TAR_BLOCK - 1)));
}

void tar_put_end(GByteArray *out)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	g_byte_array_append(out, zeros, sizeof(zeros));
}
