/* SPDX-License-Identifier: MIT */
#ifndef LODGE_COPY_H
#define LODGE_COPY_H

/*
 * An image from one transport to another (image/transport.h). What needn't change stays as it is, to the byte; layers are
 * compressed or decompressed as the target or the user wants them, and the manifest is written anew then. The bytes
 * of every blob and document are checked as they pass.
 */

#include "image/manifest.h"
#include "image/transport.h"

enum copy_which {
	COPY_ONE,	 /* of an index, the image for this machine */
	COPY_ALL,	 /* an index with all of its images */
	COPY_INDEX_ONLY, /* an index, whose images are there already */
};

enum copy_format {
	COPY_FORMAT_KEEP, /* the source's, if the target takes it */
	COPY_FORMAT_OCI,
	COPY_FORMAT_DOCKER, /* schema 2 */
};
/* "oci", "v2s2"; "v2s1" is -E_UNSUPPORTED, others -E_INVALID. */
int copy_format_from_name(const char *name, enum copy_format *ret, struct err *e);

enum copy_packing {
	COPY_PACKING_TARGET, /* as the target wants it */
	COPY_PACKING_PLAIN,
	COPY_PACKING_PACKED, /* plain layers are compressed, others stay */
	COPY_PACKING_CHOSEN, /* all are compressed as `packing` says */
};

/* Told what is done, a whole line of the kind that skopeo prints. */
struct copy_teller {
	void (*tell)(void *data, const char *line);
	/* Bytes of a blob that have passed, of so many (-1: not known); NULL: not told. */
	void (*passed)(void *data, const char *digest, int64_t done, int64_t size);
	void *data;
};

struct copy_options {
	enum copy_which which;
	enum copy_format format;
	enum copy_packing layers;
	enum layer_packing packing; /* PACKING_GZIP or PACKING_ZSTD for those that are compressed */
	int level;		    /* PRESS_LEVEL_DEFAULT */
	bool preserve_digests;	    /* -E_UNSUPPORTED where something would have to change */
	bool remove_signatures;
	const char *os, *arch, *variant; /* of the image to choose; NULL: this host's */
	const char *sign_by;		 /* fingerprint of a GPG key; NULL: not signed */
	const char *sign_identity;	 /* NULL: the target's own */
	const char *sign_passphrase;	 /* a file whose first line it is; NULL: gpg's agent asks */
	const struct copy_teller *teller; /* NULL: none */
	/* Asked about each document before anything of it is taken: -EPERM where it isn't trusted. NULL: all are. */
	int (*allow)(
		void *arg, struct transport_in *from, const char *text, size_t size, struct err *e);
	void *allow_arg;
};

/* Copies and commits. *ret_digest: of the document that the target's name stands for; may be NULL. Caller frees. */
int image_copy(struct transport_in *from, struct transport_out *to, const struct copy_options *o,
	char **ret_digest, struct err *e);

#endif
