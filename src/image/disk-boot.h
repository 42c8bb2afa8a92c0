/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DISK_BOOT_H
#define LODGE_DISK_BOOT_H

/*
 * The parts of a bootable disk that lie outside of its file systems: partition table and GRUB's code for
 * BIOSes. Pure: bytes are made here and written by the caller.
 *
 * A disk has three partitions, numbered as Debian's cloud images have them: 14 for GRUB's BIOS code, 15 for
 * EFI's files, and 1, which lies last so that it can grow, for the root.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define BOOT_SECTOR   512
#define BOOT_DISK_MIN ((int64_t)1 << 30)
#define BOOT_DISK_MAX ((int64_t)16 << 40) /* ext4's, of blocks of 4 KiB without more ado */
#define BOOT_GPT_HEAD (34 * BOOT_SECTOR)  /* MBR, header, 128 entries */
#define BOOT_GPT_TAIL (33 * BOOT_SECTOR)  /* entries, header */

enum boot_part {
	BOOT_BIOS,
	BOOT_EFI,
	BOOT_ROOT,
	_BOOT_PART_MAX,
};

struct boot_extent {
	int64_t offset, size; /* bytes; whole MiB, but for the end of the last */
};

/* Where the parts of a disk are. -E_LIMIT for a size (bytes) below BOOT_DISK_MIN or above BOOT_DISK_MAX. What isn't
 * a whole MiB is rounded down: *ret_size. */
int boot_layout(
	int64_t size, struct boot_extent ret[_BOOT_PART_MAX], int64_t *ret_size, struct err *e);

/* The partition table (UEFI specification, 5.3: GPT, with a protective MBR whose 440 bytes of code stay zero).
 * uuids: of the disk and then of each part, as text. Both buffers are filled whole. -E_INVALID: a uuid. */
int boot_gpt(const struct boot_extent part[_BOOT_PART_MAX], int64_t size,
	const char *const uuids[_BOOT_PART_MAX + 1], uint8_t ret_head[BOOT_GPT_HEAD],
	uint8_t ret_tail[BOOT_GPT_TAIL], struct err *e);

/*
 * Joins GRUB's boot.img and core.img for a disk where core.img begins at sector `at`: the boot sector's field
 * for that sector, and core.img's list of the blocks that follow its first (GRUB 2.06's diskboot.S). boot is one
 * sector, of which 440 bytes are code for the MBR. -E_CORRUPT when they aren't what they should be, -E_LIMIT
 * when core.img doesn't fit into `room` bytes.
 */
int boot_grub(uint8_t boot[BOOT_SECTOR], uint8_t *core, size_t core_size, uint64_t at, size_t room,
	struct err *e);
#define BOOT_CODE 440 /* bytes of a boot sector that are code */

#endif
