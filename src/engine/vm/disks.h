/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_DISKS_H
#define LODGE_VM_DISKS_H

/* Files of disks on the host: what they are, and who has them. */

#include <jansson.h>
#include "base/err.h"
#include "engine/spec.h"

#define VM_CHAIN_MAX 16 /* files below a disk */

/*
 * Completes a disk that a user gave: its format when they didn't say it, and the files below it. A format is taken
 * from the file only where it can't be mistaken: a raw disk is whatever its guest wrote to it, so that raw must be
 * said. 1: the format was found in the file, for a word to the user. Reads the host; qemu-img looks at the file.
 * -E_UNSUPPORTED for formats that QEMU hasn't got, encrypted disks, and disks of several files other than qcow2's.
 */
int vm_disk_inspect(struct spec_disk *d, struct err *e);
/* The part of it after qemu-img: j is its JSON. *ret_backing: path of the file below, absolute, or NULL; its format, or
 * NULL. Borrowed from j, but for the path (caller frees). Pure. */
int vm_disk_info(const char *path, const json_t *j, bool format_given, const char **ret_format,
	char **ret_backing, const char **ret_backing_format, struct err *e);

/* "snapshots" of a qcow2 file as qemu-img lists them, an array: the caller's. Opens nothing that the file names. */
int vm_disk_snapshots(const char *path, json_t **ret, struct err *e);

/* Whether the machine can have its disks now: all are there, and nobody else writes to them. dir: the guest's. */
int vm_disks_check(const struct spec *s, const char *dir, struct err *e);
/* One: -E_INUSE names the process that has it, and the guest if it is one's. */
int vm_disk_check(const struct spec_disk *d, const char *dir, struct err *e);

#endif
