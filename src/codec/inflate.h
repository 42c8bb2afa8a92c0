/* SPDX-License-Identifier: MIT */
#ifndef LODGE_INFLATE_H
#define LODGE_INFLATE_H

/*
 * Compressed streams, a piece at a time: reading plain, gzip (RFC 1952, any number of members) and
 * zstd (RFC 8878, any number of frames), told by their first bytes; writing gzip. gzip is done by
 * ISA-L, which is loaded when it is needed, zstd by libzstd.
 */

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* A stream that grows beyond INFLATE_FREE bytes may be at most INFLATE_RATIO_MAX times as large as what
 * it came from, and none may be larger than INFLATE_TOTAL_MAX: else it is a bomb, -E_LIMIT. */
#define INFLATE_FREE	  ((int64_t)1 << 30)
#define INFLATE_RATIO_MAX 400
#define INFLATE_TOTAL_MAX ((int64_t)1 << 38)

enum inflate_kind {
	INFLATE_UNKNOWN, /* fewer bytes than it takes to tell */
	INFLATE_PLAIN,
	INFLATE_GZIP,
	INFLATE_ZSTD,
	INFLATE_XZ,    /* recognised, not read */
	INFLATE_BZIP2, /* the same */
};

/* Told from the first bytes of a stream; 10 are enough. */
enum inflate_kind inflate_kind_of(const void *data, size_t size);

struct inflate;

/* Takes what comes out; its code other than 0 stops the stream and is returned. */
typedef int (*inflate_sink)(void *arg, const void *data, size_t size, struct err *e);

struct inflate *inflate_new(inflate_sink sink, void *arg);
void inflate_free(struct inflate *z);
void inflate_freep(struct inflate **z);

/* Codes: -E_CORRUPT, -E_LIMIT, -E_UNSUPPORTED, or the sink's. After one the stream is dead. */
int inflate_write(struct inflate *z, const void *data, size_t size, struct err *e) _must_check_;
/* -E_CORRUPT when the stream is cut short. */
int inflate_finish(struct inflate *z, struct err *e) _must_check_;
enum inflate_kind inflate_kind(const struct inflate *z);

struct deflate;

/* Writes gzip: always the same bytes for the same input. */
int deflate_new(inflate_sink sink, void *arg, struct deflate **ret, struct err *e) _must_check_;
void deflate_free(struct deflate *z);
void deflate_freep(struct deflate **z);
int deflate_write(struct deflate *z, const void *data, size_t size, struct err *e) _must_check_;
int deflate_finish(struct deflate *z, struct err *e) _must_check_;

#endif
