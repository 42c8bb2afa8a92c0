/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TAR_H
#define LODGE_TAR_H

/*
 * tar archives, a piece at a time.
 *
 * Read: POSIX.1-1988 ustar, V7, GNU (long names, base-256 numbers, sparse files), star's and
 * libarchive's additions, and POSIX.1-2001 pax with GNU's sparse formats 0.0, 0.1 and 1.0 and the
 * extended attributes of SCHILY.xattr.*, LIBARCHIVE.xattr.* and RHT.security.selinux. Owners are the
 * numbers, names of users and groups are ignored. Written: ustar, with a pax header where it takes one.
 *
 * Specifications: POSIX.1-2017 pax(1), "The GNU tar archive format" and "Storing sparse files" in the
 * GNU tar manual, tar(5) of libarchive.
 *
 * The reader is pure: it is given bytes, and it calls the sink. Nothing that comes out of it has been
 * checked for what it means to a file system: paths may be absolute, have ".." or go through a link.
 */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "codec/xattr.h"

#define TAR_BLOCK	512
#define TAR_META_MAX	(1 << 20) /* bytes of one extended header, long name or map of a sparse file */
#define TAR_EXTENTS_MAX 32768	  /* pieces of a sparse file */
#define TAR_FILE_MAX	((int64_t)1 << 44) /* bytes of one file, holes counted */

enum tar_type {
	TAR_FILE,
	TAR_DIR,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_CHAR,
	TAR_BLOCK_DEVICE,
	TAR_FIFO,
	_TAR_TYPE_MAX,
};

struct tar_extent {
	int64_t offset, size;
};

/* What it points to is the reader's, for the time of the call. */
struct tar_entry {
	enum tar_type type;
	const char *path;   /* as it stands there, never empty */
	const char *target; /* of links, else "" */
	uint32_t mode;	    /* permissions and the three bits above: 07777 */
	uint32_t uid, gid, major, minor;
	int64_t size;  /* of a file, holes counted; else 0 */
	int64_t mtime; /* seconds since 1970, may be negative */
	uint32_t mtime_nsec;
	const struct xattr *xattrs;
	unsigned n_xattrs;
	/* The data of a sparse file: ascending, not overlapping, inside of size. */
	bool sparse;
	const struct tar_extent *extents;
	unsigned n_extents;
};

/* What the reader calls. A code other than 0 ends the reading and is returned by it. The order of calls
 * is the order of the bytes, so that raw and content together are the archive. */
struct tar_sink {
	int (*entry)(void *arg, const struct tar_entry *t, struct err *e);
	/* Of the last entry, a file; offset counts holes. Every byte of its data comes before the next
	 * call of entry. */
	int (*content)(void *arg, int64_t offset, const void *data, size_t size, struct err *e);
	/* All else: headers, padding, the end. May be NULL. */
	int (*raw)(void *arg, const void *data, size_t size, struct err *e);
};

struct tar_reader;

struct tar_reader *tar_reader_new(const struct tar_sink *sink, void *arg);
void tar_reader_free(struct tar_reader *r);
void tar_reader_freep(struct tar_reader **r);
/* -E_CORRUPT, -E_LIMIT, -E_UNSUPPORTED with a text that names the entry, or the sink's code. After one
 * the reader is dead. */
int tar_reader_write(struct tar_reader *r, const void *data, size_t size, struct err *e)
	_must_check_;
/* It may end with a file's content, without the padding behind it: umoci 0.4 writes such layers. */
void tar_reader_allow_bare_end(struct tar_reader *r);
/* The archive may end with blocks of zeros, or after any entry. -E_CORRUPT when it ends elsewhere. */
int tar_reader_finish(struct tar_reader *r, struct err *e) _must_check_;

/* Appends the header of an entry. For a file `size` bytes follow (of a sparse file, the extents' bytes)
 * and then tar_put_padding. -E_LIMIT when it can't be written (a name of more than a megabyte). */
int tar_put_entry(GByteArray *out, const struct tar_entry *t, struct err *e) _must_check_;
/* Bytes of content that follow the header of t. */
int64_t tar_content_size(const struct tar_entry *t);
void tar_put_padding(GByteArray *out, int64_t content_size);
/* Two blocks of zeros. */
void tar_put_end(GByteArray *out);

/* A name from an archive as one line for a message: control characters and what isn't UTF-8 become "?",
 * long ones are cut. */
#define TAR_SHOWN 200
const char *tar_show(const char *name, char buf[TAR_SHOWN]);

#endif
