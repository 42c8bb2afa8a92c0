/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TRANSPORT_PRIV_H
#define LODGE_TRANSPORT_PRIV_H

/* What transports share. */

#include "image/files.h"
#include "image/transport.h"

struct sha256;

/* A blob that is checked while it is written: begins its hash, unless the digest isn't known before ("") and so is
 * the caller's own work. */
int check_begin(
	struct sha256 **hash, char **want, int64_t *done, const char *digest, struct err *e);
/* -E_CORRUPT when the bytes weren't those. Frees the hash. */
int check_end(struct sha256 **hash, const char *digest, int64_t size, int64_t done, struct err *e);

/* A small file below a folder, with a NUL behind it. -E_NOTFOUND without a text. */
int folder_text(int dir, const char *path, size_t max, char **ret, size_t *ret_size, struct err *e);
int piece_text(const struct piece *p, size_t max, const char *shown, char **ret, size_t *ret_size,
	struct err *e);

/* An image of docker's archive form, in a descriptor or file (transport-docker-archive.c), for docker-daemon: too.
 * fd becomes the source's in every case. */
int docker_archive_open_fd(struct ctx *c, int fd, const char *shown, const char *ref,
	const struct transport_options *o, struct transport_in **ret, struct err *e);
/* Writes such an archive to a descriptor, which stays the caller's; done(arg) with the commit. */
int docker_archive_out_fd(struct ctx *c, int fd, const char *shown, const char *ref,
	const struct transport_options *o, int (*done)(void *arg, struct err *e),
	void (*release)(void *arg), void *arg, struct transport_out **ret, struct err *e);

#endif
