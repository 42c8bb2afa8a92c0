/* SPDX-License-Identifier: MIT */
#include "store/erofs.h"

#include <string.h>
#include <sys/stat.h>
#include "store/erofs-priv.h"

#define KNOWN_INCOMPAT EROFS_INCOMPAT_CHUNKS

/* size bytes at `at`, or NULL. */
static const uint8_t *bytes(const struct erofs_view *v, uint64_t at, uint64_t size)
{
	if (at > v->size || size > v->size - at)
		return NULL;
	return v->p + at;
}

int erofs_view_init(struct erofs_view *v, const void *p, size_t size, struct err *e)
{
	struct erofs_super s;
	uint8_t block[EROFS_BLOCK];
	uint32_t crc;

	*v = (struct erofs_view){ .p = p, .size = size };
	if (size < EROFS_BLOCK)
		return err_set(e, -E_CORRUPT, "the layer's image has no superblock");
	memcpy(block, p, sizeof(block));
	memcpy(&s, block + EROFS_SUPER_AT, sizeof(s));
	if (le32toh(s.magic) != EROFS_MAGIC)
		return err_set(e, -E_CORRUPT, "the layer's image is not EROFS");
	if (s.block_bits != EROFS_BLOCK_BITS || (le32toh(s.incompat) & ~KNOWN_INCOMPAT) ||
		s.extra_devices || s.dir_block_bits)
		return err_set(e, -E_UNSUPPORTED,
			"the layer's image is compressed or of another unknown form");
	if (le32toh(s.compat) & EROFS_COMPAT_CHECKSUM) {
		memset(block + EROFS_SUPER_AT + offsetof(struct erofs_super, checksum), 0, 4);
		crc = erofs_crc32c(block + EROFS_SUPER_AT, EROFS_BLOCK - EROFS_SUPER_AT);
		if (crc != le32toh(s.checksum))
			return err_set(e, -E_CORRUPT, "the layer's superblock has a bad checksum");
	}
	v->blocks = le32toh(s.blocks);
	if (v->blocks << EROFS_BLOCK_BITS > size)
		return err_set(e, -E_CORRUPT, "the layer's image is cut short: %zu bytes of %llu",
			size, (unsigned long long)v->blocks << EROFS_BLOCK_BITS);
	v->root = le16toh(s.root_nid);
	v->meta = (uint64_t)le32toh(s.meta_block) << EROFS_BLOCK_BITS;
	v->xattr = (uint64_t)le32toh(s.xattr_block) << EROFS_BLOCK_BITS;
	v->build_time = (int64_t)le64toh(s.build_time);
	v->build_nsec = le32toh(s.build_nsec);
	v->inodes = le64toh(s.inodes);
	memcpy(v->uuid, s.uuid, sizeof(v->uuid));
	return 0;
}

static void take_compact(const struct erofs_view *v, const uint8_t *p, struct erofs_inode *i)
{
	struct erofs_compact c;

	memcpy(&c, p, sizeof(c));
	i->mode = le16toh(c.mode);
	i->nlink = le16toh(c.nlink);
	i->size = le32toh(c.size);
	i->raw = le32toh(c.raw);
	i->uid = le16toh(c.uid);
	i->gid = le16toh(c.gid);
	i->mtime = v->build_time;
	i->mtime_nsec = v->build_nsec;
}

static int take_extended(const struct erofs_view *v, const uint8_t *p, struct erofs_inode *i)
{
	struct erofs_extended x;

	memcpy(&x, p, sizeof(x));
	if (le64toh(x.size) > INT64_MAX || le32toh(x.mtime_nsec) > 999999999)
		return -E_CORRUPT;
	i->mode = le16toh(x.mode);
	i->nlink = le32toh(x.nlink);
	i->size = (int64_t)le64toh(x.size);
	i->raw = le32toh(x.raw);
	i->uid = le32toh(x.uid);
	i->gid = le32toh(x.gid);
	i->mtime = (int64_t)le64toh(x.mtime);
	i->mtime_nsec = le32toh(x.mtime_nsec);
	return 0;
}

int erofs_inode_get(const struct erofs_view *v, uint64_t nid, struct erofs_inode *ret)
{
	uint64_t at;
	const uint8_t *p;
	uint16_t format, count;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	if (nid > UINT64_MAX / 2 / EROFS_SLOT)
		return -E_CORRUPT;
	at = v->meta + nid * EROFS_SLOT;
	p = bytes(v, at, sizeof(struct erofs_compact));
	if (!p)
		return -E_CORRUPT;
	memcpy(&format, p, sizeof(format));
	memcpy(&count, p + 2, sizeof(count));
	format = le16toh(format);
	count = le16toh(count);
	n = format & 1 ? sizeof(struct erofs_extended) : sizeof(struct erofs_compact);
	if (!bytes(v, at, n))
		return -E_CORRUPT;
	ret->nid = nid;
	ret->layout = format >> 1 & 7;
	if (ret->layout != EROFS_PLAIN && ret->layout != EROFS_INLINE &&
		ret->layout != EROFS_CHUNKS)
		return -E_UNSUPPORTED;
	ret->sparse = ret->layout == EROFS_CHUNKS;
	if (!(format & 1))
		take_compact(v, p, ret);
	else if (take_extended(v, p, ret) < 0)
		return -E_CORRUPT;
	if (S_ISCHR(ret->mode) || S_ISBLK(ret->mode)) {
		ret->major = ret->raw >> 8 & 0xfff;
		ret->minor = (ret->raw & 0xff) | (ret->raw >> 12 & ~0xffu);
		ret->size = 0;
	}
	ret->xattr_at = at + n;
	ret->xattr_size = count ? sizeof(struct erofs_xattr_header) + 4 * ((uint64_t)count - 1) : 0;
	ret->tail_at = ret->xattr_at + ret->xattr_size;
	return bytes(v, ret->xattr_at, ret->xattr_size) ? 0 : -E_CORRUPT;
}

static int chunk_content(const struct erofs_view *v, const struct erofs_inode *i, int64_t offset,
	const uint8_t **ret, size_t *ret_size)
{
	unsigned bits = (i->raw & 0x1f) + EROFS_BLOCK_BITS;
	uint64_t index = (uint64_t)offset >> bits, in = (uint64_t)offset & ((1ULL << bits) - 1);
	uint64_t left = MIN((1ULL << bits) - in, (uint64_t)(i->size - offset));
	const uint8_t *p;
	uint32_t block;

	if (i->raw & ~0x1fu) /* with device numbers: not ours */
		return -E_UNSUPPORTED;
	if (index > v->size / 4)
		return -E_CORRUPT;
	p = bytes(v, i->tail_at + 4 * index, 4);
	if (!p)
		return -E_CORRUPT;
	memcpy(&block, p, sizeof(block));
	block = le32toh(block);
	*ret_size = (size_t)left;
	*ret = NULL;
	if (block == EROFS_HOLE)
		return 0;
	*ret = bytes(v, ((uint64_t)block << EROFS_BLOCK_BITS) + in, left);
	return *ret ? 0 : -E_CORRUPT;
}

int erofs_content(const struct erofs_view *v, const struct erofs_inode *i, int64_t offset,
	const uint8_t **ret, size_t *ret_size)
{
	int64_t in_blocks = i->size;
	uint64_t left;

	if (offset < 0 || offset >= i->size)
		return -E_CORRUPT;
	if (i->layout == EROFS_CHUNKS)
		return chunk_content(v, i, offset, ret, ret_size);
	if (i->layout == EROFS_INLINE)
		in_blocks -= i->size % EROFS_BLOCK;
	if (offset < in_blocks) {
		left = (uint64_t)(in_blocks - offset);
		*ret = bytes(v, ((uint64_t)i->raw << EROFS_BLOCK_BITS) + (uint64_t)offset, left);
	} else {
		left = (uint64_t)(i->size - offset);
		*ret = bytes(v, i->tail_at + (uint64_t)(offset - in_blocks), left);
	}
	*ret_size = (size_t)left;
	return *ret ? 0 : -E_CORRUPT;
}

/* --- folders ------------------------------------------------------------------------------------------- */

typedef int (*list_fn)(void *arg, const char *name, size_t size, uint64_t nid);

static struct erofs_dirent dirent_at(const uint8_t *p, unsigned i)
{
	struct erofs_dirent d;

	memcpy(&d, p + i * sizeof(d), sizeof(d));
	d.nid = le64toh(d.nid);
	d.name_at = le16toh(d.name_at);
	return d;
}

static int list_block(const uint8_t *p, size_t size, list_fn fn, void *arg)
{
	unsigned n, i;
	int r;

	if (size < sizeof(struct erofs_dirent))
		return -E_CORRUPT;
	n = dirent_at(p, 0).name_at / sizeof(struct erofs_dirent);
	if (!n || n * sizeof(struct erofs_dirent) > size)
		return -E_CORRUPT;
	for (i = 0; i < n; i++) {
		struct erofs_dirent d = dirent_at(p, i);
		size_t end = i + 1 < n ? dirent_at(p, i + 1).name_at : size;
		const char *name = (const char *)p + d.name_at;
		size_t k;

		if (d.name_at < n * sizeof(d) || end > size || d.name_at >= end)
			return -E_CORRUPT;
		k = strnlen(name, end - d.name_at);
		if (!k || k > EROFS_NAME_MAX || memchr(name, '/', k))
			return -E_CORRUPT;
		if (*name == '.' && (k == 1 || (k == 2 && name[1] == '.')))
			continue;
		r = fn(arg, name, k, d.nid);
		if (r)
			return r;
	}
	return 0;
}

int erofs_list(const struct erofs_view *v, const struct erofs_inode *folder, list_fn fn, void *arg)
{
	int64_t at;
	int r = 0;

	if (!S_ISDIR(folder->mode))
		return -ENOTDIR;
	for (at = 0; at < folder->size && r == 0; at += EROFS_BLOCK) {
		const uint8_t *p;
		size_t n;

		r = erofs_content(v, folder, at, &p, &n);
		if (r == 0)
			r = p ? list_block(p, MIN(n, EROFS_BLOCK), fn, arg) : -E_CORRUPT;
	}
	return r;
}

/* --- extended attributes --------------------------------------------------------------------------------- */

typedef int (*xattr_fn)(void *arg, const struct xattr *x);

/* Calls fn for the attribute at `at`; *ret_size: what it takes. */
static int one_xattr(const struct erofs_view *v, uint64_t at, uint64_t max, uint64_t *ret_size,
	xattr_fn fn, void *arg)
{
	char name[512];
	struct erofs_xattr_entry h;
	const struct erofs_prefix *f;
	struct xattr x = { .name = name };
	const uint8_t *p = bytes(v, at, sizeof(h));
	uint64_t n;

	if (!p || max < sizeof(h))
		return -E_CORRUPT;
	memcpy(&h, p, sizeof(h));
	x.size = le16toh(h.value_size);
	n = sizeof(h) + h.name_size + x.size;
	if (n > max || !bytes(v, at, n))
		return -E_CORRUPT;
	*ret_size = (n + 3) & ~(uint64_t)3;
	if (h.prefix >= EROFS_PREFIXES || !erofs_prefixes[h.prefix].text ||
		memchr(p + sizeof(h), '\0', h.name_size))
		return -E_CORRUPT;
	f = &erofs_prefixes[h.prefix];
	(void)g_snprintf(name, sizeof(name), "%s%.*s", f->text, h.name_size, p + sizeof(h));
	x.value = p + sizeof(h) + h.name_size;
	return fn(arg, &x);
}

int erofs_xattrs(const struct erofs_view *v, const struct erofs_inode *i, xattr_fn fn, void *arg)
{
	struct erofs_xattr_header h;
	uint64_t at = i->xattr_at, end = at + i->xattr_size, n;
	const uint8_t *p = bytes(v, at, i->xattr_size);
	unsigned k;
	int r;

	if (!i->xattr_size)
		return 0;
	if (!p)
		return -E_CORRUPT;
	memcpy(&h, p, sizeof(h));
	at += sizeof(h);
	if (h.shared_count * 4u > end - at)
		return -E_CORRUPT;
	for (k = 0; k < h.shared_count; k++, at += 4) {
		uint32_t id;

		memcpy(&id, v->p + at, sizeof(id));
		r = one_xattr(v, v->xattr + 4 * (uint64_t)le32toh(id), UINT64_MAX, &n, fn, arg);
		if (r)
			return r;
	}
	while (at < end) {
		r = one_xattr(v, at, end - at, &n, fn, arg);
		if (r)
			return r;
		at += n;
	}
	return 0;
}
