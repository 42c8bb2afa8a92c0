/* SPDX-License-Identifier: MIT */
#ifndef LODGE_FILES_H
#define LODGE_FILES_H

/*
 * The files of a folder or of a tar archive, read in any order. A tar is looked through once, for where its files
 * stand; one that is compressed, or no file, is copied (plain) to a file without a name first.
 */

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "image/transport.h"

struct files;

/* Where the bytes of a file are. */
struct piece {
	int fd;
	int64_t at, size;
	bool own; /* the descriptor is the piece's */
};
void piece_done(struct piece *p);

/* Names are the folder's, links are followed inside of it. -ENOENT stays. */
int files_folder(const char *path, struct files **ret, struct err *e);
/* tmp_dir NULL: /var/tmp. Two entries of one name are -E_CORRUPT, as what leads out of the archive. */
int files_tar(const char *path, const char *tmp_dir, struct files **ret, struct err *e);
/* The same of a descriptor, which becomes the archive's in every case. */
int files_tar_fd(int fd, const char *shown, const char *tmp_dir, struct files **ret, struct err *e);
void files_free(struct files *f);
void files_freep(struct files **f);

/* -E_NOTFOUND without a text. */
int files_find(struct files *f, const char *path, struct piece *ret, struct err *e);
/* A small file, with a NUL behind it. -E_NOTFOUND without a text. */
int files_text(
	struct files *f, const char *path, size_t max, char **ret, size_t *ret_size, struct err *e);
/* The piece from offset on. */
int piece_send(const struct piece *p, int64_t offset, const char *shown, transport_sink sink,
	void *arg, struct err *e);

/* A file without a name, for what doesn't fit into memory. A descriptor or a code. */
int files_temp(const char *tmp_dir, struct err *e);
/* All of it. */
int files_write(int fd, const void *data, size_t size);

#endif
