/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ARCHIVE_H
#define LODGE_ARCHIVE_H

/*
 * Images from and to files.
 *
 * Read: archives of `docker save` (manifest.json of docker-image-spec v1.2 and later, and the older form
 * with only "repositories", v1), OCI image layouts (image-layout.md) as folder or as tar, each plain or
 * compressed with gzip or zstd; and root file systems as tar or folder. Archives are read once, as they
 * come, from a pipe too: layers go to the store while they stream in, nothing is unpacked.
 *
 * Nothing in an archive is trusted: digests and sizes are checked where the format has them, paths are
 * names inside the archive only, links are followed inside it only, two entries of one name are refused.
 * After a failure nothing of it is left.
 */

#include "image/image.h"

#define ARCHIVE_ENTRIES_MAX 100000
#define ARCHIVE_TEXT_MAX    (64 << 20) /* bytes of all small files that are kept while reading */

enum image_source {
	IMAGE_SOURCE_ANY,     /* told by what is in it */
	IMAGE_SOURCE_ARCHIVE, /* docker save, OCI archive, OCI layout */
	IMAGE_SOURCE_ROOTFS,  /* a root file system */
};

struct image_import_options {
	enum image_source source;
	char **names; /* given to the image, which must then be the only one; NULL: the archive's own */
	/* of a root file system only: */
	char **changes;			       /* see image_change(); NULL: none */
	const char *message;		       /* NULL: "Imported from PATH" */
	const char *arch;		       /* NULL: this host's */
	const struct image_progress *progress; /* NULL: none */
};

struct image_imported {
	char *id;
	char **names; /* full; may be empty */
};
void image_imported_free(struct image_imported *i);

/* path: a file, a folder, or "-" for standard input. *ret: struct image_imported each, in the archive's
 * order. With ctx.explain the list is empty. */
int image_import(struct ctx *c, const char *path, const struct image_import_options *o,
	GPtrArray **ret, struct err *e);

enum image_format {
	IMAGE_DOCKER_ARCHIVE, /* and an OCI archive at the same time, as docker 25 and later write it */
	IMAGE_OCI_ARCHIVE,
	IMAGE_OCI_LAYOUT, /* a folder */
	_IMAGE_FORMAT_MAX,
};
/* "docker-archive", "oci-archive", "oci-dir"; _INVALID: -EINVAL */
int image_format_from_name(const char *name);

/* Writes images (by reference) to path: a file that is replaced as a whole, or a folder that isn't there or is
 * empty; "-": standard output (not for a folder). A name that was asked for is kept, an id has none. */
int image_save(
	struct ctx *c, char **refs, enum image_format format, const char *path, struct err *e);

#endif
