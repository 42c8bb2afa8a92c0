/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_DISK_H
#define LODGE_IMAGE_DISK_H

/* Disk images from files, and what those share that make disks. What is asked of one is in image.h. */

#include "image/image.h"

#define DISK_SIZE_MAX ((int64_t)64 << 40) /* bytes that a guest sees */

struct disk_import_options {
	const char *format;	    /* QEMU's name; NULL: by the first bytes */
	const char *const *names;   /* as the user writes them, NULL-terminated; may be empty */
	const char *message, *arch; /* as image_import_options */
	const struct image_progress *progress; /* NULL: none */
};

/* A disk image (raw, qcow2, vmdk, vdi, vhdx, vpc) as an image. It is converted to qcow2, so that it stands for
 * itself. -E_UNSUPPORTED for one that needs another file or is encrypted (see disk-format.h). Whatever happens the
 * file is only read. *ret_id: caller frees. */
int image_import_disk(struct ctx *c, const char *path, const struct disk_import_options *o,
	char **ret_id, struct err *e);

/* Records a finished qcow2 file as an image (image_new's diff_ids are left alone). The file is moved into the store;
 * the caller holds blob_hold() and has a journal entry that collects. names: full. */
int image_add_disk(struct ctx *c, const char *file, const struct image_new *n,
	const char *const *names, const struct image_progress *progress, char **ret_id,
	struct err *e);

/* Runs a program that is needed; -E_UNSUPPORTED "PROGRAM isn't there" with the package that has it. */
int disk_program(char *const *argv, const char *package, const char *tmpdir,
	const struct image_progress *progress, struct err *e);

/* Whether it can be found: before something that takes long. */
int disk_need_program(const char *name, const char *package, struct err *e);

#endif
