/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ARCHIVE_OUT_H
#define LODGE_ARCHIVE_OUT_H

/* Files that are written to a tar, or to a folder. */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

struct archive_out {
	struct ctx *c;
	const char *shown;   /* for messages */
	int fd;		     /* the tar, or -1 */
	int dir;	     /* the folder, or -1 */
	int64_t mtime;	     /* of the tar's entries */
	unsigned mode;	     /* of the tar's files; 0: 0644 */
	GHashTable *written; /* paths */
	/* the file being written */
	char *path;
	int part;
	int64_t size, done, header_at;
};
void archive_out_init(struct archive_out *o, struct ctx *c, const char *shown);
/* Closes nothing but a file that is being written, which is removed from a folder. */
void archive_out_done(struct archive_out *o);

int archive_out_folder(struct archive_out *o, const char *path, struct err *e);
/* Nothing, if a file of the path was written before. */
int archive_out_text(
	struct archive_out *o, const char *path, const char *text, size_t size, struct err *e);
/* The same for a layer of the store, whose tar has this size. */
int archive_out_layer(
	struct archive_out *o, const char *path, const char *digest, int64_t size, struct err *e);

/* A file that comes in pieces. size -1: not known (the tar must be a file, not a pipe). The path is given at the
 * end, too, where it may be another one of the same length. */
int archive_out_begin(struct archive_out *o, const char *path, int64_t size, struct err *e);
int archive_out_write(struct archive_out *o, const void *data, size_t size, struct err *e);
int archive_out_finish(struct archive_out *o, const char *path, struct err *e);

/* The end of the tar. */
int archive_out_end(struct archive_out *o, struct err *e);

#endif
