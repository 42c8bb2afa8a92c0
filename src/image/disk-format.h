/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DISK_FORMAT_H
#define LODGE_DISK_FORMAT_H

/*
 * What a disk image's file says of itself, looked at before QEMU's tools open it: an image can name other files
 * (a backing file, external data, extents), which would then be read as the user who imports it. Pure.
 */

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum disk_format {
	DISK_RAW,
	DISK_QCOW2,
	DISK_VMDK,
	DISK_VDI,
	DISK_VHDX,
	DISK_VPC,
	_DISK_FORMAT_MAX,
};

/* QEMU's name. */
const char *disk_format_name(enum disk_format f);
/* -E_USAGE with the names that there are. "vhd" is "vpc". */
int disk_format_from_name(const char *name, struct err *e);

/* The bytes of a file. read: as pread(2), but whole: fewer bytes at the end only; a negative code. */
struct disk_bytes {
	int (*read)(void *data, int64_t offset, void *buf, size_t size);
	void *data;
	int64_t size;
};

/* By the first bytes, and the last for a fixed VHD; DISK_RAW for what has no mark. -E_UNSUPPORTED for a compressed
 * file and for formats of disks that can't be read. */
int disk_format_probe(const struct disk_bytes *b, const char *name, struct err *e);

/* That a file of this format is whole in itself: -E_UNSUPPORTED for backing files, external data or extents, and
 * encryption; -E_CORRUPT for what isn't of the format. *ret_size: what a guest sees, 0 where it isn't looked up. */
int disk_format_check(enum disk_format f, const struct disk_bytes *b, const char *name,
	int64_t *ret_size, struct err *e);

#endif
