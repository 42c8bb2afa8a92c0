/* SPDX-License-Identifier: MIT */
#ifndef LODGE_EROFS_H
#define LODGE_EROFS_H

/*
 * EROFS images: a writer that takes a tree in the order a tar has it, in one pass, and a reader.
 * Specification: Linux, Documentation/filesystems/erofs.rst and the on-disk format of 5.10 and later.
 *
 * The image is uncompressed, in blocks of 4 KiB. The content of a file is written as it comes: whole
 * blocks to the next free ones, the rest behind its inode, which stands in a block together with other
 * small things. So a small file costs no block of its own, and nothing of it stays in memory. Folders
 * and the superblock are written at the end. The same calls give the same bytes.
 *
 * Layout: block 0 has the superblock and the root's inode. After it, in the order of allocation, follow
 * extents of file data, areas of inodes (up to 64 blocks each), areas of shared extended attributes, and the
 * folders' blocks. Sparse files (Linux 5.15) have a map of up to 512 chunks; what they don't have isn't
 * allocated, nor is it in the host's file.
 *
 * Meaning of paths: relative to the root, "." and empty components dropped, ".." refused. A path that
 * goes through a symbolic link of the tree is followed inside of the root. Missing parents are made,
 * 0755 and root's. What is added twice is replaced, except that a folder over a folder only changes
 * its attributes.
 */

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "codec/xattr.h"

#define EROFS_ENTRIES_MAX 4000000 /* names of a tree */
#define EROFS_PATH_MAX	  4096
#define EROFS_NAME_MAX	  255
#define EROFS_STEPS_MAX	  20000000 /* folders on paths behind symbolic links, of all entries */
#define EROFS_DEPTH_MAX	  2048	   /* folders inside folders */
#define EROFS_MEMORY_MAX  ((size_t)1 << 30)  /* names, targets and attributes that are kept */
#define EROFS_XATTRS_MAX  ((int64_t)1 << 30) /* bytes of all extended attributes */
#define EROFS_IMAGE_MAX	  ((int64_t)1 << 40) /* bytes of an image, holes counted */

/* --- writing ---------------------------------------------------------------------------------------- */

struct erofs_attr {
	uint32_t mode; /* with the type, as in struct stat */
	uint32_t uid, gid;
	uint32_t major, minor; /* devices */
	int64_t size;	       /* files */
	const char *target;    /* symbolic links */
	int64_t mtime;
	uint32_t mtime_nsec;
	/* Those whose namespace EROFS doesn't know (other than user, trusted, security and POSIX ACLs) are
	 * left out. */
	const struct xattr *xattrs;
	unsigned n_xattrs;
	bool sparse; /* content comes with holes */
};

struct erofs_writer;

/* fd: an empty file, borrowed; written with pwrite. Texts of errors name the entry, not the file. */
struct erofs_writer *erofs_writer_new(int fd);
void erofs_writer_free(struct erofs_writer *w);
void erofs_writer_freep(struct erofs_writer **w);

/* Adds an entry. -E_CORRUPT for a path that makes no sense, -E_LIMIT. */
int erofs_add(struct erofs_writer *w, const char *path, const struct erofs_attr *a, struct err *e)
	_must_check_;
/* Content of the file that was added last, in ascending order; all of it unless it is sparse. */
int erofs_write(struct erofs_writer *w, int64_t offset, const void *data, size_t size,
	struct err *e) _must_check_;
/* Where in the image the byte at offset of the last file stands, and how many follow it there. Valid for
 * what was written. */
int64_t erofs_where(const struct erofs_writer *w, int64_t offset, int64_t *ret_size);
/* A further name for what target is, which must be there and no folder. */
int erofs_link(struct erofs_writer *w, const char *path, const char *target, struct err *e)
	_must_check_;
/* Hides what lower layers have at path: a character device 0:0, or, when this tree has a folder there, that
 * one is opaque; a file there hides by itself. */
int erofs_whiteout(struct erofs_writer *w, const char *path, struct err *e) _must_check_;
/* Hides what lower layers have in the folder: trusted.overlay.opaque=y. */
int erofs_opaque(struct erofs_writer *w, const char *path, struct err *e) _must_check_;
/* Writes folders and superblock. Doesn't sync. */
int erofs_finish(struct erofs_writer *w, const uint8_t uuid[16], struct err *e) _must_check_;

/* --- reading ---------------------------------------------------------------------------------------- */

/* An image in memory (mapped). All functions check what they read: -E_CORRUPT, no crash. Compressed
 * images and those with several devices are -E_UNSUPPORTED. */
struct erofs_view {
	const uint8_t *p;
	size_t size;
	uint64_t root;	      /* nid */
	uint64_t meta, xattr; /* bytes */
	int64_t build_time;
	uint32_t build_nsec;
	uint64_t inodes;
	uint64_t blocks;
	uint8_t uuid[16];
};

struct erofs_inode {
	uint64_t nid;
	uint32_t mode, uid, gid, nlink, major, minor;
	int64_t size, mtime;
	uint32_t mtime_nsec;
	bool sparse; /* was written with holes */
	/* the reader's own */
	unsigned layout;
	uint32_t raw;
	uint64_t xattr_at, xattr_size, tail_at;
};

int erofs_view_init(struct erofs_view *v, const void *p, size_t size, struct err *e) _must_check_;
int erofs_inode_get(const struct erofs_view *v, uint64_t nid, struct erofs_inode *ret) _must_check_;
/* The piece of content at offset, which is less than size: *ret is NULL in a hole. */
int erofs_content(const struct erofs_view *v, const struct erofs_inode *i, int64_t offset,
	const uint8_t **ret, size_t *ret_size) _must_check_;
/* Each name but "." and "..", in order; name isn't terminated, and has neither "/" nor NUL. A code of fn
 * ends it. */
int erofs_list(const struct erofs_view *v, const struct erofs_inode *folder,
	int (*fn)(void *arg, const char *name, size_t size, uint64_t nid), void *arg) _must_check_;
int erofs_xattrs(const struct erofs_view *v, const struct erofs_inode *i,
	int (*fn)(void *arg, const struct xattr *x), void *arg) _must_check_;

#endif
