/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LAYOUT_H
#define LODGE_LAYOUT_H

/*
 * OCI image layouts (image-layout.md), as a folder or as an archive: what transports oci: and oci-archive: share, and
 * what unpacks them (bundle.h).
 */

#include "image/archive-out.h"
#include "image/files.h"
#include "image/manifest.h"
#include "image/transport.h"

/* "PATH[:NAME]": the path ends at the first ":". -E_INVALID. Caller frees both; *ret_name NULL: none. Pure. */
int layout_split(const char *rest, char **ret_path, char **ret_name, struct err *e);

/* "blobs/sha256/HEX"; with shared not NULL its folder instead of "blobs". Caller frees. */
char *layout_blob(const char *digest);

/* The member of index.json that has the name; NULL name: the only one. */
int layout_choose(const struct manifest *index, const char *name, const char *shown,
	const struct descriptor **ret, struct err *e);
/* index.json (old NULL: none yet) with a document in it, which takes the name from another. Caller frees. */
int layout_put(const char *old, const char *name, const char *type, const char *digest,
	int64_t size, char **ret, struct err *e);

/* A source over files, which become its own in every case. */
int layout_open(struct ctx *c, struct files *files, const char *name, const char *prefix,
	const char *rest, const char *shared_blob_dir, struct transport_in **ret, struct err *e);

struct layout_out {
	struct transport_out t;
	struct archive_out out;
	char *shown, *name, *path;
	char *shared_blob_dir;
	int lock;	     /* a folder's descriptor, locked: nobody else of us writes there */
	struct sha256 *hash; /* of the blob being written; NULL: its digest comes at the end */
	char *want;
	int64_t done;
	GPtrArray *added;				 /* digests that weren't there before */
	char *index;					 /* new text, from document with top */
	bool made;					 /* the folder is ours */
	int (*end)(struct layout_out *l, struct err *e); /* the commit */
	void (*abort)(struct layout_out *l);		 /* undoes what was written */
};
void layout_out_init(struct layout_out *l, struct ctx *c, const char *prefix, const char *rest,
	const struct transport_options *o);
extern const struct transport_out_ops layout_out_ops;

#endif
