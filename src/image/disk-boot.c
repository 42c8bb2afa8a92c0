/* SPDX-License-Identifier: MIT */
#include "image/disk-boot.h"

#include <string.h>
#include "base/macros.h"

#define MIB	      ((int64_t)1 << 20)
#define GPT_ENTRIES   128
#define GPT_ENTRY     128
#define GPT_NAME      36 /* UTF-16 units */
#define GPT_HEADER    92 /* bytes of the header that are used */
#define GPT_REVISION  0x00010000u
#define MBR_ENTRY     446
#define MBR_MAGIC     510
#define MBR_PROTECTED 0xee

/* GRUB's include/grub/i386/pc/boot.h, as offsets into boot.img */
#define GRUB_KERNEL_SECTOR 0x5c /* 8 bytes */
#define GRUB_BOOT_DRIVE	   0x64
#define GRUB_DRIVE_CHECK   0x66 /* 2 bytes: a jump over a fault of old BIOSes */
#define GRUB_DRIVE_BIOS	   0xff /* the drive that the BIOS names */
/* The end of core.img's first sector: where the rest is, 12 bytes an entry, downwards, zero at the end */
#define GRUB_LIST      (BOOT_SECTOR - 12)
#define GRUB_LIST_NEXT (GRUB_LIST - 12)
#define GRUB_CORE_MAX  0x78000 /* bytes; what lies below the BIOS's own data */
#define GRUB_LOAD_AT   0x820   /* segment where the second sector goes */

static const struct {
	unsigned number;
	int64_t begin, end; /* MiB; 0: the disk's */
	const char *type, *name;
} parts[_BOOT_PART_MAX] = {
	[BOOT_BIOS] = { 14, 1, 4, "21686148-6449-6e6f-744e-656564454649", "bios" },
	[BOOT_EFI] = { 15, 4, 128, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "efi" },
	/* Linux root, x86-64: the "discoverable partitions" of systemd */
	[BOOT_ROOT] = { 1, 128, 0, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "root" },
};

static void put(uint8_t *p, unsigned bytes, uint64_t value)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = bytes; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t c = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A GUID's first three fields are little-endian, its text isn't. */
static int put_uuid(uint8_t *to, const char *text)
{
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	unsigned n = 0;

	if (strlen(text) != 36)
		return -EINVAL;
	for (const char *p = text; *p; p += 2) {
		int high, low;

		if (p == text + 8 || p == text + 13 || p == text + 18 || p == text + 23)
			if (*p++ != '-')
				return -EINVAL;
		high = digit(p[0]);
		low = p[1] ? digit(p[1]) : -1;
		if (high < 0 || low < 0)
			return -EINVAL;
		to[place[n++]] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int boot_layout(
	int64_t size, struct boot_extent ret[_BOOT_PART_MAX], int64_t *ret_size, struct err *e)
{
	if (size < BOOT_DISK_MIN)
		return err_set(e, -E_LIMIT, "the disk is too small: at least %d MiB",
			(int)(BOOT_DISK_MIN / MIB));
	if (size > BOOT_DISK_MAX)
		return err_set(e, -E_LIMIT, "the disk is too large: at most %d TiB",
			(int)(BOOT_DISK_MAX >> 40));
	size -= size % MIB;
	for (unsigned i = 0; i < _BOOT_PART_MAX; i++) {
		/* the last MiB has the second table */
		int64_t end = parts[i].end ? parts[i].end * MIB : size - MIB;

		ret[i].offset = parts[i].begin * MIB;
		ret[i].size = end - ret[i].offset;
	}
	*ret_size = size;
	return 0;
}

static void put_header(
	uint8_t *h, uint64_t sectors, bool second, const uint8_t *disk_uuid, uint32_t entries_crc)
{
	memcpy(h, "EFI PART", 8);
	put(h + 8, 4, GPT_REVISION);
	put(h + 12, 4, GPT_HEADER);
	put(h + 24, 8, second ? sectors - 1 : 1);
	put(h + 32, 8, second ? 1 : sectors - 1);
	put(h + 40, 8, BOOT_GPT_HEAD / BOOT_SECTOR);
	put(h + 48, 8, sectors - BOOT_GPT_TAIL / BOOT_SECTOR - 1);
	memcpy(h + 56, disk_uuid, 16);
	put(h + 72, 8, second ? sectors - BOOT_GPT_TAIL / BOOT_SECTOR : 2);
	put(h + 80, 4, GPT_ENTRIES);
	put(h + 84, 4, GPT_ENTRY);
	put(h + 88, 4, entries_crc);
	put(h + 16, 4, crc32_of(h, GPT_HEADER));
}

static void put_mbr(uint8_t *mbr, uint64_t sectors)
{
	uint8_t *p = mbr + MBR_ENTRY;

	put(p + 1, 3, 0x000200); /* cylinder, head, sector of the sector 1 */
	p[4] = MBR_PROTECTED;
	put(p + 5, 3, 0xffffff);
	put(p + 8, 4, 1);
	put(p + 12, 4, sectors - 1 > UINT32_MAX ? UINT32_MAX : sectors - 1);
	put(mbr + MBR_MAGIC, 2, 0xaa55);
}

int boot_gpt(const struct boot_extent part[_BOOT_PART_MAX], int64_t size,
	const char *const uuids[_BOOT_PART_MAX + 1], uint8_t ret_head[BOOT_GPT_HEAD],
	uint8_t ret_tail[BOOT_GPT_TAIL], struct err *e)
{
	uint64_t sectors = (uint64_t)size / BOOT_SECTOR;
	uint8_t *entries = ret_head + 2 * BOOT_SECTOR, disk_uuid[16];
	uint32_t crc;

	memset(ret_head, 0, BOOT_GPT_HEAD);
	memset(ret_tail, 0, BOOT_GPT_TAIL);
	if (put_uuid(disk_uuid, uuids[0]) < 0)
		return err_set(e, -E_INVALID, "'%s' isn't a UUID", uuids[0]);
	for (unsigned i = 0; i < _BOOT_PART_MAX; i++) {
		uint8_t *p = entries + (parts[i].number - 1) * GPT_ENTRY;

		if (put_uuid(p, parts[i].type) < 0 || put_uuid(p + 16, uuids[i + 1]) < 0)
			return err_set(e, -E_INVALID, "'%s' isn't a UUID", uuids[i + 1]);
		put(p + 32, 8, (uint64_t)part[i].offset / BOOT_SECTOR);
		put(p + 40, 8, (uint64_t)(part[i].offset + part[i].size) / BOOT_SECTOR - 1);
		for (unsigned k = 0; parts[i].name[k] && k < GPT_NAME; k++)
			put(p + 56 + 2 * k, 2, (uint8_t)parts[i].name[k]);
	}
	crc = crc32_of(entries, GPT_ENTRIES * GPT_ENTRY);
	put_mbr(ret_head, sectors);
	put_header(ret_head + BOOT_SECTOR, sectors, false, disk_uuid, crc);
	memcpy(ret_tail, entries, GPT_ENTRIES * GPT_ENTRY);
	put_header(ret_tail + GPT_ENTRIES * GPT_ENTRY, sectors, true, disk_uuid, crc);
	return 0;
}

int boot_grub(uint8_t boot[BOOT_SECTOR], uint8_t *core, size_t core_size, uint64_t at, size_t room,
	struct err *e)
{
	size_t sectors = (core_size + BOOT_SECTOR - 1) / BOOT_SECTOR;

	if (get(boot + MBR_MAGIC, 2) != 0xaa55 || boot[GRUB_DRIVE_CHECK] != 0xeb)
		return err_set(e, -E_CORRUPT, "GRUB's boot.img isn't one that is known");
	if (sectors < 2 || get(core + GRUB_LIST + 10, 2) != GRUB_LOAD_AT ||
		get(core + GRUB_LIST_NEXT + 8, 2) != 0)
		return err_set(e, -E_CORRUPT, "GRUB's core.img isn't one that is known");
	if (core_size > room || core_size > GRUB_CORE_MAX)
		return err_set(e, -E_LIMIT, "GRUB's core.img is too large: %zu bytes", core_size);
	put(boot + GRUB_KERNEL_SECTOR, 8, at);
	boot[GRUB_BOOT_DRIVE] = GRUB_DRIVE_BIOS;
	put(boot + GRUB_DRIVE_CHECK, 2, 0x9090); /* no jump: BIOSes may name the wrong drive */
	put(core + GRUB_LIST, 8, at + 1);
	put(core + GRUB_LIST + 8, 2, sectors - 1);
	return 0;
}
