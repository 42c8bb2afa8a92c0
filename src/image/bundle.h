/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_BUNDLE_H
#define LODGE_IMAGE_BUNDLE_H

/*
 * An image of an OCI layout as a bundle for an OCI runtime, and back, with the files of umoci 0.4: config.json, rootfs/,
 * umoci.json (which image it was, which ids were mapped) and sha256_HEX.mtree, the record of what was unpacked.
 */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

struct bundle_options {
	char **uid_map, **gid_map; /* "CONTAINER:HOST[:SIZE]"; NULL: ids are the image's */
	bool rootless; /* all belongs to the caller, owners are noted in user.rootlesscontainers */
	bool keep_dirlinks; /* a folder of a layer doesn't replace a link to one */
};

/* image: "DIR[:TAG]", the tag is "latest" when not given. The bundle may be an empty folder, or not there. What fails, or
 * dies, leaves nothing behind (journalled). -E_EXISTS when there is something in it. */
int bundle_unpack(struct ctx *c, const char *image, const char *path,
	const struct bundle_options *o, struct err *e);

struct bundle_repack_options {
	const char *author, *comment, *created,
		*created_by; /* of the history's entry; NULL: the usual */
	bool no_history;
	bool no_mask_volumes; /* what changed in the image's volumes is packed, too */
	char **mask_path;     /* further paths whose changes aren't; NULL: none */
	bool refresh;	      /* the bundle becomes one of the new image */
};

/* What has changed in the bundle (ours or umoci's) since it was unpacked, as a further layer of the image that it came
 * from, which has to be in that layout; the result gets the tag. Of an index its image is replaced. */
int bundle_repack(struct ctx *c, const char *image, const char *path,
	const struct bundle_repack_options *o, struct err *e);

#endif
