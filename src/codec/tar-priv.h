/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TAR_PRIV_H
#define LODGE_TAR_PRIV_H

/* The header block and the pax records, for the reader and the writer. */

#include <glib.h>
#include "codec/tar.h"

/* POSIX.1-2017 pax(1), "ustar Header Block"; GNU's fields lie over the prefix. */
struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

/* GNU's old sparse format: four pieces in the header, 21 in each block that follows. */
struct tar_gnu_piece {
	char offset[12];
	char numbytes[12];
};
#define TAR_GNU_PIECES_AT   386
#define TAR_GNU_PIECES	    4
#define TAR_GNU_EXTENDED_AT 482
#define TAR_GNU_REALSIZE_AT 483
#define TAR_GNU_MORE	    21
#define TAR_GNU_MORE_AT	    504 /* of a block of pieces: another follows */

/* What extended headers say. Strings are owned. */
struct tar_pax {
	char *path, *link;
	bool has_size, has_uid, has_gid, has_mtime, has_major, has_minor;
	int64_t size;
	uint32_t uid, gid, major, minor;
	int64_t mtime;
	uint32_t mtime_nsec;
	GArray *xattrs; /* struct xattr with owned name and value, or NULL */
	/* GNU.sparse.* */
	char *sparse_name;
	int sparse_major, sparse_minor;	      /* -1: not given */
	bool has_sparse_size, sparse_pending; /* pending: an offset waits for its numbytes */
	int64_t sparse_size;
	GArray *extents; /* struct tar_extent, or NULL */
};

void tar_pax_init(struct tar_pax *p);
void tar_pax_clear(struct tar_pax *p);
/* Reads the records of one extended header. */
int tar_pax_parse(struct tar_pax *p, const char *data, size_t size, struct err *e);
/* Adds a copy; a later one of the same name replaces. */
int tar_pax_add_xattr(
	struct tar_pax *p, const char *name, const void *value, size_t size, struct err *e);

/* Octal or base-256. -E_CORRUPT when it is neither or doesn't fit. */
int tar_number(const char *field, size_t size, int64_t *ret);
/* Decimal digits, all of them. */
int tar_decimal(const char *s, size_t size, int64_t max, int64_t *ret);

#endif
