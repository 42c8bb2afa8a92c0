/* SPDX-License-Identifier: MIT */
#ifndef LODGE_USTAR_H
#define LODGE_USTAR_H

/*
 * tar archives between a host and its machine: what codec/tar.h writes and reads, without GLib. ustar, with pax
 * headers for what it can't hold (long names, large numbers, nanoseconds, SCHILY.xattr.*), GNU's long names
 * and base-256 numbers. Sparse files are refused: the host turns them into plain ones.
 *
 * The reader is pure: it is given bytes and calls the sink. What comes out has not been checked for what it
 * means to a file system: paths may be absolute, have "..", or go through a link.
 */

#include <stdbool.h>
#include "base/err.h"
#include "codec/xattr.h"

#define USTAR_BLOCK    512
#define USTAR_META_MAX (1 << 20)	  /* bytes of one extended header or long name */
#define USTAR_FILE_MAX ((int64_t)1 << 44) /* bytes of one file */

enum ustar_type {
	USTAR_FILE,
	USTAR_HARDLINK,
	USTAR_SYMLINK,
	USTAR_CHAR,
	USTAR_BLOCK_DEVICE,
	USTAR_DIR,
	USTAR_FIFO,
	_USTAR_TYPE_MAX,
};

/* What it points to is the reader's, for the time of the call. */
struct ustar_entry {
	enum ustar_type type;
	const char *path;   /* never empty */
	const char *target; /* of links, else "" */
	uint32_t mode;	    /* 07777 */
	uint32_t uid, gid, major, minor;
	int64_t size; /* of a file, else 0 */
	int64_t mtime;
	uint32_t mtime_nsec;
	const struct xattr *xattrs;
	unsigned n_xattrs;
};

/* A code other than 0 ends the reading and is returned by it. Every byte of a file's content comes before
 * the next entry. */
struct ustar_sink {
	int (*entry)(void *arg, const struct ustar_entry *t, struct err *e);
	int (*content)(void *arg, const void *data, size_t size, struct err *e);
};

struct ustar_reader;

struct ustar_reader *ustar_reader_new(
	const struct ustar_sink *sink, void *arg); /* NULL: no memory */
void ustar_reader_free(struct ustar_reader *r);
/* -E_CORRUPT, -E_LIMIT, -E_UNSUPPORTED, or the sink's code. After one the reader is dead. */
int ustar_reader_write(struct ustar_reader *r, const void *data, size_t size, struct err *e);
/* -E_CORRUPT when the archive is cut short. */
int ustar_reader_finish(struct ustar_reader *r, struct err *e);

/* Bytes to be written; zero it, ustar_buf_done() at the end. */
struct ustar_buf {
	uint8_t *p;
	size_t n, size;
};
void ustar_buf_done(struct ustar_buf *b);

/* The header of an entry; of a file its content and ustar_put_padding() follow. -ENOMEM, -E_LIMIT. */
int ustar_put_entry(struct ustar_buf *b, const struct ustar_entry *t);
int ustar_put_padding(struct ustar_buf *b, int64_t content_size);
int ustar_put_end(struct ustar_buf *b);

#endif
