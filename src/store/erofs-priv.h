/* SPDX-License-Identifier: MIT */
#ifndef LODGE_EROFS_PRIV_H
#define LODGE_EROFS_PRIV_H

/* The on-disk format, little-endian, and what the writer's files share. */

#include <endian.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "store/erofs.h"

#define EROFS_BLOCK	 4096
#define EROFS_BLOCK_BITS 12
#define EROFS_SLOT	 32 /* an inode's number counts these */
#define EROFS_SUPER_AT	 1024
#define EROFS_MAGIC	 0xe0f5e1e2
#define EROFS_ROOT_NID	 36 /* behind the superblock */
#define EROFS_HOLE	 0xffffffff

enum {
	EROFS_COMPAT_CHECKSUM = 1 << 0,
	EROFS_COMPAT_MTIME = 1 << 1,
	EROFS_INCOMPAT_CHUNKS = 1 << 2,
};

enum {
	EROFS_PLAIN = 0,
	EROFS_INLINE = 2, /* the rest of the last block stands behind the inode */
	EROFS_CHUNKS = 4, /* a map of chunks stands behind the inode */
};

struct erofs_super {
	uint32_t magic, checksum, compat;
	uint8_t block_bits, ext_slots;
	uint16_t root_nid;
	uint64_t inodes, build_time;
	uint32_t build_nsec, blocks, meta_block, xattr_block;
	uint8_t uuid[16], volume[16];
	uint32_t incompat;
	uint16_t compression, extra_devices, device_slot;
	uint8_t dir_block_bits, prefix_count;
	uint32_t prefix_start;
	uint64_t packed_nid;
	uint8_t reserved[24];
};
_Static_assert(sizeof(struct erofs_super) == 128, "the superblock's size");

struct erofs_compact {
	uint16_t format; /* bit 0: extended; bits 1 to 3: layout */
	uint16_t xattr_count, mode, nlink;
	uint32_t size, reserved, raw, ino;
	uint16_t uid, gid;
	uint32_t reserved2;
};
_Static_assert(sizeof(struct erofs_compact) == 32, "the inode's size");

struct erofs_extended {
	uint16_t format, xattr_count, mode, reserved;
	uint64_t size;
	uint32_t raw, ino, uid, gid;
	uint64_t mtime;
	uint32_t mtime_nsec, nlink;
	uint8_t reserved2[16];
};
_Static_assert(sizeof(struct erofs_extended) == 64, "the inode's size");

struct erofs_xattr_header {
	uint32_t filter;
	uint8_t shared_count, reserved[7];
};
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "the attributes' header");

struct erofs_xattr_entry {
	uint8_t name_size, prefix;
	uint16_t value_size;
};

struct erofs_dirent {
	uint64_t nid;
	uint16_t name_at;
	uint8_t type, reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct erofs_dirent) == 12, "the directory entry's size");

/* Prefixes of extended attributes, by number; whole: the prefix is the name. */
struct erofs_prefix {
	const char *text;
	bool whole;
};
#define EROFS_PREFIXES 7
extern const struct erofs_prefix erofs_prefixes[EROFS_PREFIXES];

/* CRC-32C without the final inversion, as the kernel's crc32c(~0, ...). */
uint32_t erofs_crc32c(const void *data, size_t size);

/* --- the tree (erofs-tree.c) --------------------------------------------------------------------------- */

struct erofs_node {
	uint64_t nid;
	uint32_t mode, nlink;
	bool compact, linked; /* linked: in erofs_tree.linked */
	const char *target;   /* of a symbolic link */
};

struct erofs_dir {
	struct erofs_node node; /* first */
	struct erofs_dir *parent;
	unsigned depth;
	GPtrArray *entries; /* struct erofs_entry */
	uint32_t uid, gid, mtime_nsec;
	int64_t mtime;
	bool given; /* has attributes of its own, and isn't a parent that was missing */
	bool opaque;
	const uint8_t *xattrs; /* as they stand behind the inode */
	uint32_t xattrs_size;
	/* set at the end */
	uint64_t size, data_at;
	uint8_t *tail;
};

struct erofs_entry {
	struct erofs_dir *dir;
	struct erofs_node *node; /* NULL: nothing but a whiteout */
	const char *name;
	uint8_t size;
	bool whiteout;
};

struct erofs_tree {
	struct erofs_dir *root;
	GHashTable *entries; /* a set, by folder and name */
	GPtrArray *blocks;   /* memory of nodes and names */
	char *free;
	size_t n_free, memory;
	unsigned n_entries, steps;
	uint64_t inodes;
	GPtrArray *linked; /* nodes whose number of links changed */
	/* the last folder that was asked for */
	char *last;
	struct erofs_dir *last_dir;
};

void erofs_tree_init(struct erofs_tree *t);
void erofs_tree_done(struct erofs_tree *t);
/* NULL: over EROFS_MEMORY_MAX. Zeroed. */
void *erofs_tree_alloc(struct erofs_tree *t, size_t size);
/* The entry of a path, made when it isn't there (with a node of NULL); *ret NULL stands for the root. */
int erofs_tree_entry(
	struct erofs_tree *t, const char *path, struct erofs_entry **ret, struct err *e);
/* The node at a path; -E_NOTFOUND without a text. */
int erofs_tree_node(struct erofs_tree *t, const char *path, struct erofs_node **ret, struct err *e);
/* The folder of an entry; it is made, or takes the place of what is there, if it is no folder. */
int erofs_tree_dir(
	struct erofs_tree *t, struct erofs_entry *x, struct erofs_dir **ret, struct err *e);
/* Puts a node at an entry, in place of what is there. Counts the link. */
void erofs_tree_put(struct erofs_tree *t, struct erofs_entry *x, struct erofs_node *n);
int erofs_too_large(struct err *e);

#endif
