/* SPDX-License-Identifier: MIT */
#include "store/erofs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "store/erofs-priv.h"

#define DATA_BUFFER   ((size_t)1 << 20)
#define SYNC_EACH     ((int64_t)8 << 20) /* the disk begins to write after so many bytes */
#define AREA_BLOCKS   64		 /* of an area of inodes, when it is full-grown */
#define AREA_FIRST    8
#define SHARED_BLOCKS 32 /* of an area of shared attributes: more than the largest takes */
#define SHARED_LIMIT  ((uint64_t)1 << 34) /* ids count 4 bytes, in 32 bits */
#define XATTRS_INLINE 1024		  /* bytes of attributes behind an inode; more is shared */
#define SEEN_MAX      ((size_t)64 << 20) /* bytes of attributes that are remembered, to share them */
#define CHUNKS_MAX    512

/* Blocks of inodes and the small things behind them, in memory until there is no room left. */
struct area {
	uint64_t at; /* bytes */
	unsigned blocks;
	uint16_t used[AREA_BLOCKS];
	uint8_t *p;
};

struct shared {
	uint64_t at;
	size_t size, used;
	uint8_t *p;
};

/* An attribute as it stands in the image. The hash begins with an address, which a stranger who chooses
 * attributes to collide doesn't know. */
struct seen {
	const uint8_t *p;
	uint32_t size, hash, id;
	bool shared; /* has an id; else it was written behind an inode, once */
};

struct erofs_writer {
	int fd;
	struct erofs_tree tree;
	uint64_t next; /* the next free block */
	uint32_t inos;
	bool has_time, has_chunks;
	int64_t time; /* of the superblock: an inode with this time can be compact */
	uint32_t time_nsec;
	/* data on its way */
	uint8_t *data;
	uint64_t data_at;
	size_t data_used;
	int64_t unsynced;
	struct area area;
	bool keep;	 /* areas stay in memory: folders are being placed */
	GPtrArray *kept; /* struct area */
	uint8_t *block0;
	/* extended attributes */
	GByteArray *xattrs; /* of the entry that is being added */
	GHashTable *seen;   /* a set of struct seen */
	size_t seen_size;
	int64_t xattrs_total;
	struct shared shared;
	/* the file that is being written */
	struct {
		int64_t size, done;
		bool sparse;
		uint64_t data_at;
		int64_t data_size;   /* up to here it is in blocks, the rest is in tail */
		uint8_t *tail, *map; /* in the area */
		uint64_t tail_at;
		unsigned chunk_bits;
	} file;
};

const struct erofs_prefix erofs_prefixes[EROFS_PREFIXES] = {
	[1] = { "user.", false },
	[2] = { "system.posix_acl_access", true },
	[3] = { "system.posix_acl_default", true },
	[4] = { "trusted.", false },
	[6] = { "security.", false },
};

uint32_t erofs_crc32c(const void *data, size_t size)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;
	int i;

	while (size--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

static void free_area(void *p)
{
	struct area *a = p;

	g_free(a->p);
	g_free(a);
}

static guint seen_hash(gconstpointer key)
{
	return ((const struct seen *)key)->hash;
}

static gboolean seen_equal(gconstpointer a, gconstpointer b)
{
	const struct seen *x = a, *y = b;

	return x->hash == y->hash && x->size == y->size && !memcmp(x->p, y->p, x->size);
}

struct erofs_writer *erofs_writer_new(int fd)
{
	struct erofs_writer *w = g_new0(struct erofs_writer, 1);

	w->fd = fd;
	w->next = 1;
	w->data = g_malloc(DATA_BUFFER);
	w->block0 = g_malloc0(EROFS_BLOCK);
	w->kept = g_ptr_array_new_with_free_func(free_area);
	w->xattrs = g_byte_array_new();
	w->seen = g_hash_table_new(seen_hash, seen_equal);
	erofs_tree_init(&w->tree);
	return w;
}

void erofs_writer_free(struct erofs_writer *w)
{
	if (!w)
		return;
	erofs_tree_done(&w->tree);
	g_hash_table_unref(w->seen);
	g_byte_array_unref(w->xattrs);
	g_ptr_array_unref(w->kept);
	g_free(w->block0);
	g_free(w->area.p);
	g_free(w->shared.p);
	g_free(w->data);
	g_free(w);
}

void erofs_writer_freep(struct erofs_writer **w)
{
	erofs_writer_free(*w);
}

/* --- bytes ----------------------------------------------------------------------------------------------- */

static int put_bytes(
	struct erofs_writer *w, uint64_t at, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;

	w->unsynced += (int64_t)size;
	while (size) {
		ssize_t n = pwrite(w->fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n < 0 ? -errno : -EIO, "cannot write the layer");
		p += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	if (w->unsynced >= SYNC_EACH) {
		/* so that the fsync at the end finds little to do */
		(void)sync_file_range(w->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		w->unsynced = 0;
	}
	return 0;
}

static int flush_data(struct erofs_writer *w, struct err *e)
{
	int r = put_bytes(w, w->data_at, w->data, w->data_used, e);

	w->data_at += w->data_used;
	w->data_used = 0;
	return r;
}

static int put_data(
	struct erofs_writer *w, uint64_t at, const uint8_t *p, size_t size, struct err *e)
{
	uint64_t end = w->data_at + w->data_used;
	int r;

	if (at != end) {
		/* the rest of a file's last block is cheaper to write than to go around */
		if (at > end && at - end < EROFS_BLOCK && DATA_BUFFER - w->data_used > at - end) {
			memset(w->data + w->data_used, 0, at - end);
			w->data_used += at - end;
		} else {
			r = flush_data(w, e);
			if (r < 0)
				return r;
			w->data_at = at;
		}
	}
	while (size) {
		size_t n = MIN(size, DATA_BUFFER - w->data_used);

		memcpy(w->data + w->data_used, p, n);
		w->data_used += n;
		p += n;
		size -= n;
		if (w->data_used == DATA_BUFFER) {
			r = flush_data(w, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int take_blocks(struct erofs_writer *w, uint64_t n, uint64_t *ret_at, struct err *e)
{
	if (n > (EROFS_IMAGE_MAX >> EROFS_BLOCK_BITS) - w->next)
		return err_set(e, -E_LIMIT, "the layer is larger than %lld GiB",
			(long long)(EROFS_IMAGE_MAX >> 30));
	*ret_at = w->next << EROFS_BLOCK_BITS;
	w->next += n;
	return 0;
}

/* --- inodes ------------------------------------------------------------------------------------------------ */

static unsigned area_blocks_used(const struct area *a)
{
	unsigned n = a->blocks;

	while (n && !a->used[n - 1])
		n--;
	return n;
}

static int close_area(struct erofs_writer *w, struct err *e)
{
	struct area *a = &w->area;
	unsigned n = area_blocks_used(a);
	int r = 0;

	/* gives back what nobody used, if it is the last of the image */
	if (a->blocks && (a->at >> EROFS_BLOCK_BITS) + a->blocks == w->next)
		w->next -= a->blocks - n;
	if (w->keep && n)
		g_ptr_array_add(w->kept, g_memdup2(a, sizeof(*a)));
	else {
		r = put_bytes(w, a->at, a->p, (size_t)n * EROFS_BLOCK, e);
		g_free(a->p);
	}
	a->p = NULL;
	return r;
}

static int open_area(struct erofs_writer *w, struct err *e)
{
	struct area *a = &w->area;
	unsigned blocks = a->blocks ? MIN(a->blocks * 2, AREA_BLOCKS) : AREA_FIRST;
	int r;

	r = close_area(w, e);
	if (r < 0)
		return r;
	memset(a, 0, sizeof(*a));
	r = take_blocks(w, blocks, &a->at, e);
	if (r < 0)
		return r;
	a->blocks = blocks;
	a->p = g_malloc0((size_t)blocks * EROFS_BLOCK);
	return 0;
}

/* The block with the least room that is enough, or -1. */
static int best_block(const struct area *a, size_t size)
{
	unsigned best_room = EROFS_BLOCK + 1, i;
	int best = -1;

	for (i = 0; i < a->blocks; i++) {
		unsigned room = EROFS_BLOCK - a->used[i];

		if (room >= size && room < best_room) {
			best = (int)i;
			best_room = room;
		}
	}
	return best;
}

/* Room for an inode with what is behind it, at most a block, inside of one block. */
static int take_slot(
	struct erofs_writer *w, size_t size, uint64_t *ret_at, uint8_t **ret, struct err *e)
{
	struct area *a = &w->area;
	int i = best_block(a, size), r;

	if (i < 0) {
		r = open_area(w, e);
		if (r < 0)
			return r;
		i = 0;
	}
	*ret_at = a->at + (uint64_t)i * EROFS_BLOCK + a->used[i];
	*ret = a->p + (size_t)i * EROFS_BLOCK + a->used[i];
	a->used[i] = (uint16_t)(a->used[i] + ((size + EROFS_SLOT - 1) & ~(size_t)(EROFS_SLOT - 1)));
	return 0;
}

/* A byte that is still in memory, or NULL. */
static uint8_t *in_areas(struct erofs_writer *w, uint64_t at)
{
	unsigned i;

	for (i = 0; i <= w->kept->len; i++) {
		const struct area *a = i ? w->kept->pdata[i - 1] : &w->area;

		if (a->p && at >= a->at && at < a->at + (uint64_t)a->blocks * EROFS_BLOCK)
			return a->p + (at - a->at);
	}
	return NULL;
}

/* What goes into an inode, beside the attributes of the entry. */
struct inode {
	unsigned layout;
	uint64_t size;
	uint32_t raw, nlink;
};

static bool can_be_compact(struct erofs_writer *w, const struct erofs_attr *a, uint64_t size)
{
	if (!w->has_time) {
		w->has_time = true;
		w->time = a->mtime;
		w->time_nsec = a->mtime_nsec;
	}
	return a->uid <= UINT16_MAX && a->gid <= UINT16_MAX && size <= UINT32_MAX &&
	       a->mtime == w->time && a->mtime_nsec == w->time_nsec;
}

static uint16_t xattr_count(size_t size)
{
	return size ? htole16((uint16_t)((size - sizeof(struct erofs_xattr_header)) / 4 + 1)) : 0;
}

/* Writes an inode and the attributes behind it; returns their size. */
static size_t fill_inode(uint8_t *p, bool compact, const struct erofs_attr *a,
	const struct inode *i, uint32_t ino, const uint8_t *xattrs, size_t xattrs_size)
{
	size_t n = compact ? sizeof(struct erofs_compact) : sizeof(struct erofs_extended);
	uint16_t format = (uint16_t)(i->layout << 1 | !compact);

	if (compact) {
		struct erofs_compact c = {
			.format = htole16(format),
			.xattr_count = xattr_count(xattrs_size),
			.mode = htole16((uint16_t)a->mode),
			.nlink = htole16((uint16_t)i->nlink),
			.size = htole32((uint32_t)i->size),
			.raw = htole32(i->raw),
			.ino = htole32(ino),
			.uid = htole16((uint16_t)a->uid),
			.gid = htole16((uint16_t)a->gid),
		};

		memcpy(p, &c, sizeof(c));
	} else {
		struct erofs_extended x = {
			.format = htole16(format),
			.xattr_count = xattr_count(xattrs_size),
			.mode = htole16((uint16_t)a->mode),
			.size = htole64(i->size),
			.raw = htole32(i->raw),
			.ino = htole32(ino),
			.uid = htole32(a->uid),
			.gid = htole32(a->gid),
			.mtime = htole64((uint64_t)a->mtime),
			.mtime_nsec = htole32(a->mtime_nsec),
			.nlink = htole32(i->nlink),
		};

		memcpy(p, &x, sizeof(x));
	}
	if (xattrs_size)
		memcpy(p + n, xattrs, xattrs_size);
	return n + xattrs_size;
}

/* --- extended attributes -------------------------------------------------------------------------------------- */

/* Appends an attribute as it stands in the image; false for one that EROFS can't hold. */
static bool encode_xattr(GByteArray *out, const struct xattr *x)
{
	static const uint8_t zeros[4];
	struct erofs_xattr_entry h = { 0 };
	const char *name = x->name;
	unsigned i;

	for (i = 1; i < EROFS_PREFIXES; i++) {
		const struct erofs_prefix *f = &erofs_prefixes[i];

		if (f->text &&
			(f->whole ? !strcmp(name, f->text) : g_str_has_prefix(name, f->text)))
			break;
	}
	if (i == EROFS_PREFIXES || strlen(name) > XATTR_NAME_LIMIT || x->size > XATTR_VALUE_LIMIT)
		return false;
	name += strlen(erofs_prefixes[i].text);
	if (!*name && !erofs_prefixes[i].whole)
		return false;
	h.name_size = (uint8_t)strlen(name);
	h.prefix = (uint8_t)i;
	h.value_size = htole16((uint16_t)x->size);
	g_byte_array_append(out, (const void *)&h, sizeof(h));
	g_byte_array_append(out, (const void *)name, h.name_size);
	if (x->size)
		g_byte_array_append(out, x->value, x->size);
	g_byte_array_append(out, zeros, -out->len & 3);
	return true;
}

static int flush_shared(struct erofs_writer *w, struct err *e)
{
	struct shared *s = &w->shared;
	int r = s->p ? put_bytes(w, s->at, s->p, s->used, e) : 0;

	g_clear_pointer(&s->p, g_free);
	return r;
}

static int share(
	struct erofs_writer *w, const uint8_t *p, size_t n, uint32_t *ret_id, struct err *e)
{
	struct shared *s = &w->shared;
	int r;

	if (!s->p || s->size - s->used < n) {
		r = flush_shared(w, e);
		if (r >= 0)
			r = take_blocks(w, SHARED_BLOCKS, &s->at, e);
		if (r < 0)
			return r;
		s->size = (size_t)SHARED_BLOCKS * EROFS_BLOCK;
		s->used = 0;
		s->p = g_malloc(s->size);
	}
	if (s->at + s->size > SHARED_LIMIT)
		return err_set(e, -E_LIMIT, "too many extended attributes behind 16 GiB of data");
	memcpy(s->p + s->used, p, n);
	*ret_id = (uint32_t)((s->at + s->used) / 4);
	s->used += n;
	return 0;
}

/* Finds what is known of an attribute, or notes it; NULL when no more are noted. */
static struct seen *see(struct erofs_writer *w, const uint8_t *p, size_t n, bool *ret_new)
{
	struct seen key = { .p = p, .size = (uint32_t)n }, *s;
	size_t i;

	key.hash = (uint32_t)((uintptr_t)w >> 4) * 0x9e3779b1u;
	for (i = 0; i < n; i++)
		key.hash = (key.hash ^ p[i]) * 0x01000193u;
	*ret_new = false;
	s = g_hash_table_lookup(w->seen, &key);
	if (s || w->seen_size + n > SEEN_MAX)
		return s;
	s = erofs_tree_alloc(&w->tree, sizeof(*s) + n);
	if (!s)
		return NULL;
	w->seen_size += sizeof(*s) + n;
	*s = key;
	s->p = memcpy(s + 1, p, n);
	g_hash_table_add(w->seen, s);
	*ret_new = true;
	return s;
}

/* Whether an attribute is shared: the second time it comes, or when there is no room. *ret: its id. */
static int place_xattr(struct erofs_writer *w, const uint8_t *p, size_t n, bool room,
	uint32_t *ret_id, struct err *e)
{
	bool is_new;
	struct seen *s;
	int r;

	/* an id takes 4 bytes, so that small ones aren't worth it */
	if (room && n <= 8)
		return 0;
	s = see(w, p, n, &is_new);
	if (room && !(s && s->shared) && (is_new || !s))
		return 0;
	if (!s || !s->shared) {
		r = share(w, p, n, ret_id, e);
		if (r < 0)
			return r;
		if (s) {
			s->shared = true;
			s->id = *ret_id;
		}
	} else
		*ret_id = s->id;
	return 1;
}

/* Makes w->xattrs: what stands behind the inode. */
static int make_xattrs(
	struct erofs_writer *w, const struct xattr *xattrs, unsigned n, struct err *e)
{
	g_autoptr(GByteArray) entries = g_byte_array_new();
	struct erofs_xattr_header h = { 0 };
	GByteArray *out = w->xattrs;
	unsigned i;

	g_byte_array_set_size(out, 0);
	if (n)
		g_byte_array_append(out, (const void *)&h, sizeof(h));
	for (i = 0; i < n && i < XATTR_COUNT_LIMIT; i++) {
		guint at = entries->len, size;
		uint32_t id;
		int r;

		if (!encode_xattr(entries, &xattrs[i]))
			continue;
		size = entries->len - at;
		w->xattrs_total += size;
		if (w->xattrs_total > EROFS_XATTRS_MAX)
			return err_set(e, -E_LIMIT, "more than %lld MiB of extended attributes",
				(long long)(EROFS_XATTRS_MAX >> 20));
		r = place_xattr(w, entries->data + at, size, at + size <= XATTRS_INLINE, &id, e);
		if (r < 0)
			return r;
		if (!r)
			continue;
		g_byte_array_set_size(entries, at);
		id = htole32(id);
		g_byte_array_append(out, (const void *)&id, sizeof(id));
		h.shared_count++;
	}
	if (n && (h.shared_count || entries->len)) {
		memcpy(out->data, &h, sizeof(h));
		g_byte_array_append(out, entries->data, entries->len);
	} else
		g_byte_array_set_size(out, 0);
	return 0;
}

/* --- entries -------------------------------------------------------------------------------------------------- */

static int end_file(struct erofs_writer *w, struct err *e)
{
	if (w->file.done < w->file.size && !w->file.sparse)
		return err_set(e, -E_CORRUPT, "the content of a file is cut short");
	memset(&w->file, 0, sizeof(w->file));
	return 0;
}

/* The layout of a file or symbolic link, and what it takes behind the inode and in blocks. */
static int lay_out(struct erofs_writer *w, const struct erofs_attr *a, size_t head, struct inode *i,
	size_t *ret_behind, struct err *e)
{
	size_t tail = i->size % EROFS_BLOCK;
	uint64_t at;
	int r;

	*ret_behind = 0;
	if (a->sparse && i->size) {
		unsigned bits = EROFS_BLOCK_BITS;

		while ((i->size - 1) >> bits >= CHUNKS_MAX)
			bits++;
		w->file.chunk_bits = bits;
		w->has_chunks = true;
		i->layout = EROFS_CHUNKS;
		i->raw = bits - EROFS_BLOCK_BITS;
		*ret_behind = (size_t)(((i->size - 1) >> bits) + 1) * 4;
		return 0;
	}
	if (tail && head + tail <= EROFS_BLOCK) {
		i->layout = EROFS_INLINE;
		*ret_behind = tail;
	} else
		tail = 0;
	w->file.data_size = (int64_t)(i->size - tail);
	if (w->file.data_size) {
		r = take_blocks(w, (i->size - tail + EROFS_BLOCK - 1) / EROFS_BLOCK, &at, e);
		if (r < 0)
			return r;
		w->file.data_at = at;
		i->raw = (uint32_t)(at >> EROFS_BLOCK_BITS);
	}
	return 0;
}

static uint32_t device(const struct erofs_attr *a)
{
	/* the kernel's new_encode_dev() */
	return (a->minor & 0xff) | a->major << 8 | (a->minor & ~0xffu) << 12;
}

static int add_inode(struct erofs_writer *w, const struct erofs_attr *a, uint64_t size,
	struct erofs_node *n, struct err *e)
{
	struct inode i = { .layout = EROFS_PLAIN, .size = size, .nlink = 1 };
	size_t behind = 0, head;
	uint64_t at;
	uint8_t *p;
	int r;

	n->mode = a->mode;
	n->compact = can_be_compact(w, a, size);
	head = (n->compact ? sizeof(struct erofs_compact) : sizeof(struct erofs_extended)) +
	       w->xattrs->len;
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		i.raw = device(a);
	else if (size) {
		r = lay_out(w, a, head, &i, &behind, e);
		if (r < 0)
			return r;
	}
	r = take_slot(w, head + behind, &at, &p, e);
	if (r < 0)
		return r;
	n->nid = at / EROFS_SLOT;
	(void)fill_inode(p, n->compact, a, &i, ++w->inos, w->xattrs->data, w->xattrs->len);
	w->file.size = (int64_t)size;
	w->file.sparse = i.layout == EROFS_CHUNKS;
	w->file.tail = p + head;
	w->file.tail_at = at + head;
	if (w->file.sparse) {
		w->file.map = p + head;
		memset(w->file.map, 0xff, behind);
	}
	return 0;
}

static int add_dir(
	struct erofs_writer *w, struct erofs_entry *x, const struct erofs_attr *a, struct err *e)
{
	struct erofs_dir *d;
	uint8_t *copy = NULL;
	int r;

	r = erofs_tree_dir(&w->tree, x, &d, e);
	if (r < 0)
		return r;
	if (w->xattrs->len) {
		copy = erofs_tree_alloc(&w->tree, w->xattrs->len);
		if (!copy)
			return erofs_too_large(e);
		memcpy(copy, w->xattrs->data, w->xattrs->len);
	}
	(void)can_be_compact(w, a, 0); /* notes the time */
	d->given = true;
	d->node.mode = a->mode;
	d->uid = a->uid;
	d->gid = a->gid;
	d->mtime = a->mtime;
	d->mtime_nsec = a->mtime_nsec;
	d->xattrs = copy;
	d->xattrs_size = w->xattrs->len;
	return 0;
}

int erofs_add(struct erofs_writer *w, const char *path, const struct erofs_attr *a, struct err *e)
{
	uint64_t size = S_ISREG(a->mode) ? (uint64_t)a->size : 0;
	struct erofs_entry *x;
	struct erofs_node *n;
	int r;

	r = end_file(w, e);
	if (r >= 0)
		r = make_xattrs(w, a->xattrs, a->n_xattrs, e);
	if (r >= 0)
		r = erofs_tree_entry(&w->tree, path, &x, e);
	if (r < 0)
		return r;
	if (S_ISDIR(a->mode))
		return add_dir(w, x, a, e);
	if (!x)
		return err_set(e, -E_CORRUPT, "the root is no folder");
	n = erofs_tree_alloc(&w->tree, sizeof(*n));
	if (!n)
		return erofs_too_large(e);
	if (S_ISLNK(a->mode)) {
		char *copy;

		size = strlen(a->target);
		if (!size || size >= EROFS_PATH_MAX)
			return err_set(e, -E_LIMIT, "the target of the symbolic link is %s",
				size ? "too long" : "empty");
		copy = erofs_tree_alloc(&w->tree, size + 1);
		if (!copy)
			return erofs_too_large(e);
		n->target = memcpy(copy, a->target, size + 1);
	}
	r = add_inode(w, a, size, n, e);
	if (r < 0)
		return r;
	erofs_tree_put(&w->tree, x, n);
	return S_ISLNK(a->mode) ? erofs_write(w, 0, a->target, size, e) : 0;
}

int erofs_link(struct erofs_writer *w, const char *path, const char *target, struct err *e)
{
	struct erofs_entry *x;
	struct erofs_node *n;
	int r;

	r = end_file(w, e);
	if (r < 0)
		return r;
	r = erofs_tree_node(&w->tree, target, &n, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "a hard link to something that isn't there");
	if (r < 0)
		return err_prefix(e, "the target of the hard link");
	if (S_ISDIR(n->mode))
		return err_set(e, -E_CORRUPT, "a hard link to a folder");
	r = erofs_tree_entry(&w->tree, path, &x, e);
	if (r < 0)
		return r;
	if (!x)
		return err_set(e, -E_CORRUPT, "the root is no folder");
	if (x->node == n)
		return 0;
	if (n->nlink >= (n->compact ? UINT16_MAX : INT32_MAX))
		return err_set(e, -E_LIMIT, "too many hard links to one file");
	erofs_tree_put(&w->tree, x, n);
	return 0;
}

int erofs_whiteout(struct erofs_writer *w, const char *path, struct err *e)
{
	struct erofs_entry *x;
	int r;

	r = end_file(w, e);
	if (r >= 0)
		r = erofs_tree_entry(&w->tree, path, &x, e);
	if (r < 0)
		return r;
	if (!x)
		return err_set(e, -E_CORRUPT, "a whiteout of the root");
	x->whiteout = true;
	return 0;
}

int erofs_opaque(struct erofs_writer *w, const char *path, struct err *e)
{
	struct erofs_entry *x;
	struct erofs_dir *d;
	int r;

	r = end_file(w, e);
	if (r >= 0)
		r = erofs_tree_entry(&w->tree, path, &x, e);
	if (r >= 0)
		r = erofs_tree_dir(&w->tree, x, &d, e);
	if (r >= 0)
		d->opaque = true;
	return r;
}

/* --- content -------------------------------------------------------------------------------------------------- */

int64_t erofs_where(const struct erofs_writer *w, int64_t offset, int64_t *ret_size)
{
	uint32_t block;
	int64_t in;

	if (w->file.sparse) {
		in = offset & (((int64_t)1 << w->file.chunk_bits) - 1);
		memcpy(&block, w->file.map + 4 * (offset >> w->file.chunk_bits), sizeof(block));
		*ret_size = MIN(((int64_t)1 << w->file.chunk_bits) - in, w->file.size - offset);
		return ((int64_t)le32toh(block) << EROFS_BLOCK_BITS) + in;
	}
	if (offset < w->file.data_size) {
		*ret_size = w->file.data_size - offset;
		return (int64_t)w->file.data_at + offset;
	}
	*ret_size = w->file.size - offset;
	return (int64_t)w->file.tail_at + offset - w->file.data_size;
}

/* Makes sure that the chunk is there. */
static int take_chunk(struct erofs_writer *w, int64_t offset, struct err *e)
{
	int64_t chunk = (int64_t)1 << w->file.chunk_bits, begin = offset & ~(chunk - 1);
	uint8_t *map = w->file.map + 4 * (offset >> w->file.chunk_bits);
	uint32_t block;
	uint64_t at;
	int r;

	memcpy(&block, map, sizeof(block));
	if (le32toh(block) != EROFS_HOLE)
		return 0;
	chunk = MIN(chunk, w->file.size - begin);
	r = take_blocks(w, ((uint64_t)chunk + EROFS_BLOCK - 1) / EROFS_BLOCK, &at, e);
	if (r < 0)
		return r;
	block = htole32((uint32_t)(at >> EROFS_BLOCK_BITS));
	memcpy(map, &block, sizeof(block));
	return 0;
}

int erofs_write(
	struct erofs_writer *w, int64_t offset, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;
	int r = 0;

	if (offset < w->file.done || (offset > w->file.done && !w->file.sparse) ||
		(int64_t)size > w->file.size - offset)
		return err_set(e, -E_CORRUPT, "the content of a file doesn't fit its size");
	while (size && r >= 0) {
		int64_t here, at;
		size_t n;

		if (w->file.sparse) {
			r = take_chunk(w, offset, e);
			if (r < 0)
				return r;
		}
		at = erofs_where(w, offset, &here);
		n = (size_t)MIN((int64_t)size, here);
		if (!w->file.sparse && offset >= w->file.data_size)
			memcpy(w->file.tail + (offset - w->file.data_size), p, n);
		else
			r = put_data(w, (uint64_t)at, p, n, e);
		p += n;
		size -= n;
		offset += (int64_t)n;
		w->file.done = offset;
	}
	return r;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

/* The number of links of files that have got or lost some since their inode was written. */
static int put_links(struct erofs_writer *w, struct err *e)
{
	unsigned i;

	for (i = 0; i < w->tree.linked->len; i++) {
		const struct erofs_node *n = w->tree.linked->pdata[i];
		uint64_t at = n->nid * EROFS_SLOT;
		uint16_t small = htole16((uint16_t)n->nlink);
		uint32_t large = htole32(n->nlink);
		const void *p = n->compact ? (const void *)&small : &large;
		size_t size = n->compact ? sizeof(small) : sizeof(large);
		uint8_t *here;
		int r;

		if (n->nlink <= 1)
			continue;
		at += n->compact ? offsetof(struct erofs_compact, nlink)
				 : offsetof(struct erofs_extended, nlink);
		here = in_areas(w, at);
		if (here) {
			memcpy(here, p, size);
			continue;
		}
		r = put_bytes(w, at, p, size, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	const struct erofs_entry *x = *(struct erofs_entry *const *)a;
	const struct erofs_entry *y = *(struct erofs_entry *const *)b;
	int r = memcmp(x->name, y->name, MIN(x->size, y->size));

	return r ? r : (int)x->size - (int)y->size;
}

/* All whiteouts are one inode. */
static int add_whiteout(
	struct erofs_writer *w, struct erofs_node **whiteout, struct erofs_entry *x, struct err *e)
{
	struct erofs_attr a = { .mode = S_IFCHR, .mtime = w->time, .mtime_nsec = w->time_nsec };
	int r;

	if (!*whiteout || (*whiteout)->nlink == UINT16_MAX) {
		*whiteout = erofs_tree_alloc(&w->tree, sizeof(**whiteout));
		if (!*whiteout)
			return erofs_too_large(e);
		g_byte_array_set_size(w->xattrs, 0);
		r = add_inode(w, &a, 0, *whiteout, e);
		if (r < 0)
			return r;
	}
	erofs_tree_put(&w->tree, x, *whiteout);
	return 0;
}

static int add_dots(struct erofs_writer *w, struct erofs_dir *d, struct err *e)
{
	unsigned i;

	for (i = 1; i <= 2; i++) {
		struct erofs_entry *x = erofs_tree_alloc(&w->tree, sizeof(*x));

		if (!x)
			return erofs_too_large(e);
		x->dir = d;
		x->name = i == 1 ? "." : "..";
		x->size = (uint8_t)i;
		x->node = i == 1 ? &d->node : &d->parent->node;
		g_ptr_array_add(d->entries, x);
	}
	return 0;
}

/* How many of the entries from `first` on fit into a block; *ret_size: the bytes they take. */
static unsigned count_block(const GPtrArray *entries, unsigned first, size_t *ret_size)
{
	size_t size = 0;
	unsigned i;

	for (i = first; i < entries->len; i++) {
		const struct erofs_entry *x = entries->pdata[i];
		size_t more = sizeof(struct erofs_dirent) + x->size;

		if (size + more > EROFS_BLOCK)
			break;
		size += more;
	}
	*ret_size = size;
	return i - first;
}

static void fill_block(uint8_t *p, GPtrArray *entries, unsigned first, unsigned n)
{
	static const uint8_t types[16] = {
		[S_IFREG >> 12] = 1,
		[S_IFDIR >> 12] = 2,
		[S_IFCHR >> 12] = 3,
		[S_IFBLK >> 12] = 4,
		[S_IFIFO >> 12] = 5,
		[S_IFSOCK >> 12] = 6,
		[S_IFLNK >> 12] = 7,
	};
	size_t name = n * sizeof(struct erofs_dirent);
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct erofs_entry *x = entries->pdata[first + i];
		struct erofs_dirent d = {
			.nid = htole64(x->node->nid),
			.name_at = htole16((uint16_t)name),
			.type = types[x->node->mode >> 12 & 15],
		};

		memcpy(p + i * sizeof(d), &d, sizeof(d));
		memcpy(p + name, x->name, x->size);
		name += x->size;
	}
}

/* The folder's attributes, with the mark when it is opaque. */
static void dir_xattrs(struct erofs_writer *w, const struct erofs_dir *d)
{
	static const char name[] = "overlay.opaque";
	struct erofs_xattr_entry x = { sizeof(name) - 1, 4, htole16(1) };
	static const struct erofs_xattr_header none;
	GByteArray *out = w->xattrs;

	g_byte_array_set_size(out, 0);
	g_byte_array_append(out, d->xattrs, d->xattrs_size);
	if (!d->opaque)
		return;
	if (!out->len)
		g_byte_array_append(out, (const void *)&none, sizeof(none));
	g_byte_array_append(out, (const void *)&x, sizeof(x));
	g_byte_array_append(out, (const void *)name, sizeof(name) - 1);
	g_byte_array_append(out, (const void *)"y", 2); /* and the NUL, up to 4 bytes */
}
_Static_assert((sizeof(struct erofs_xattr_entry) + 14 + 2) % 4 == 0, "the mark is aligned");

/* Gives a folder its inode and its blocks; its entries are sorted, and theirs are not all known yet. */
static int place_dir(struct erofs_writer *w, struct erofs_dir *d, uint32_t nlink, struct err *e)
{
	struct erofs_attr a = {
		.mode = d->node.mode,
		.uid = d->uid,
		.gid = d->gid,
		.mtime = d->given ? d->mtime : w->time,
		.mtime_nsec = d->given ? d->mtime_nsec : w->time_nsec,
	};
	struct inode i = { .nlink = nlink };
	bool compact = d != w->tree.root && nlink <= UINT16_MAX;
	size_t head, behind, size = 0;
	uint64_t at, room = EROFS_BLOCK;
	unsigned first = 0;
	uint8_t *p;
	int r;

	while (first < d->entries->len) {
		i.size = (i.size + EROFS_BLOCK - 1) & ~(uint64_t)(EROFS_BLOCK - 1);
		first += count_block(d->entries, first, &size);
		i.size += size;
	}
	dir_xattrs(w, d);
	compact = can_be_compact(w, &a, i.size) && compact;
	head = (compact ? sizeof(struct erofs_compact) : sizeof(struct erofs_extended)) +
	       w->xattrs->len;
	/* the root's inode stands in block 0, and what doesn't fit there goes to blocks */
	if (d == w->tree.root)
		room -= EROFS_ROOT_NID * EROFS_SLOT;
	r = lay_out(w, &a, EROFS_BLOCK - room + head, &i, &behind, e);
	if (r < 0)
		return r;
	if (d == w->tree.root) {
		at = EROFS_ROOT_NID * EROFS_SLOT;
		p = w->block0 + at;
	} else {
		r = take_slot(w, head + behind, &at, &p, e);
		if (r < 0)
			return r;
	}
	d->node.nid = at / EROFS_SLOT;
	d->size = i.size;
	d->data_at = w->file.data_at;
	d->tail = i.layout == EROFS_INLINE ? p + head : NULL;
	(void)fill_inode(p, compact, &a, &i, ++w->inos, w->xattrs->data, w->xattrs->len);
	memset(&w->file, 0, sizeof(w->file));
	return 0;
}

static int put_dir(struct erofs_writer *w, struct erofs_dir *d, struct err *e)
{
	uint8_t block[EROFS_BLOCK];
	unsigned first = 0, n;
	uint64_t at = d->data_at;
	size_t size;
	int r = 0;

	for (; first < d->entries->len && r >= 0; first += n) {
		n = count_block(d->entries, first, &size);
		if (d->tail && first + n == d->entries->len && d->size % EROFS_BLOCK) {
			fill_block(d->tail, d->entries, first, n);
			continue;
		}
		memset(block, 0, sizeof(block));
		fill_block(block, d->entries, first, n);
		r = put_data(w, at, block, sizeof(block), e);
		at += EROFS_BLOCK;
	}
	return r;
}

/* Brings a folder's entries into their final form; appends the folders in it to all. */
static int settle_dir(struct erofs_writer *w, struct erofs_dir *d, GPtrArray *all,
	struct erofs_node **whiteout, struct err *e)
{
	uint32_t nlink = 2;
	unsigned i, n = 0;
	int r;

	for (i = 0; i < d->entries->len; i++) {
		struct erofs_entry *x = d->entries->pdata[i];

		if (!x->node && x->whiteout) {
			r = add_whiteout(w, whiteout, x, e);
			if (r < 0)
				return r;
		} else if (x->node && S_ISDIR(x->node->mode)) {
			struct erofs_dir *sub = (struct erofs_dir *)x->node;

			sub->opaque |= x->whiteout;
			g_ptr_array_add(all, sub);
			nlink++;
		}
		if (x->node)
			d->entries->pdata[n++] = x;
	}
	g_ptr_array_set_size(d->entries, (gint)n);
	r = add_dots(w, d, e);
	if (r < 0)
		return r;
	g_ptr_array_sort(d->entries, compare_entries);
	return place_dir(w, d, nlink, e);
}

static int put_dirs(struct erofs_writer *w, struct err *e)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	struct erofs_node *whiteout = NULL;
	unsigned i;
	int r;

	w->keep = true;
	g_ptr_array_add(all, w->tree.root);
	for (i = 0; i < all->len; i++) {
		r = settle_dir(w, all->pdata[i], all, &whiteout, e);
		if (r < 0)
			return r;
	}
	/* now every inode has its number */
	for (i = 0; i < all->len; i++) {
		r = put_dir(w, all->pdata[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_areas(struct erofs_writer *w, struct err *e)
{
	unsigned i;
	int r;

	r = close_area(w, e);
	for (i = 0; i < w->kept->len && r >= 0; i++) {
		const struct area *a = w->kept->pdata[i];

		r = put_bytes(w, a->at, a->p, (size_t)area_blocks_used(a) * EROFS_BLOCK, e);
	}
	if (r >= 0)
		r = flush_shared(w, e);
	if (r >= 0)
		r = flush_data(w, e);
	return r;
}

static int put_super(struct erofs_writer *w, const uint8_t uuid[16], struct err *e)
{
	struct erofs_super s = {
		.magic = htole32(EROFS_MAGIC),
		.compat = htole32(EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(EROFS_ROOT_NID),
		.inodes = htole64(w->tree.inodes),
		.build_time = htole64((uint64_t)w->time),
		.build_nsec = htole32(w->time_nsec),
		.blocks = htole32((uint32_t)w->next),
		.incompat = htole32(w->has_chunks ? EROFS_INCOMPAT_CHUNKS : 0),
	};
	uint32_t crc;

	memcpy(s.uuid, uuid, sizeof(s.uuid));
	memcpy(w->block0 + EROFS_SUPER_AT, &s, sizeof(s));
	crc = htole32(erofs_crc32c(w->block0 + EROFS_SUPER_AT, EROFS_BLOCK - EROFS_SUPER_AT));
	memcpy(w->block0 + EROFS_SUPER_AT + offsetof(struct erofs_super, checksum), &crc,
		sizeof(crc));
	return put_bytes(w, 0, w->block0, EROFS_BLOCK, e);
}

int erofs_finish(struct erofs_writer *w, const uint8_t uuid[16], struct err *e)
{
	int r;

	r = end_file(w, e);
	if (r >= 0)
		r = put_dirs(w, e);
	if (r >= 0)
		r = put_links(w, e);
	if (r >= 0)
		r = put_areas(w, e);
	if (r >= 0)
		r = put_super(w, uuid, e);
	if (r < 0)
		return r;
	if (ftruncate(w->fd, (off_t)(w->next << EROFS_BLOCK_BITS)) < 0)
		return err_sys(e, -errno, "cannot write the layer");
	return 0;
}
