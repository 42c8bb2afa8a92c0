/* SPDX-License-Identifier: MIT */
#include "image/disk-format.h"

#include <stdbool.h>
#include <string.h>
#include "base/macros.h"

#define SECTOR 512

#define QCOW2_HEADER	    104
#define QCOW2_EXTERNAL_DATA (1u << 2) /* incompatible features */

#define VMDK_TEXT (20 * SECTOR) /* of a description, as QEMU reads it */

#define VHD_DIFFERENCING 4

static const char *const names[_DISK_FORMAT_MAX] = {
	[DISK_RAW] = "raw",
	[DISK_QCOW2] = "qcow2",
	[DISK_VMDK] = "vmdk",
	[DISK_VDI] = "vdi",
	[DISK_VHDX] = "vhdx",
	[DISK_VPC] = "vpc",
};

const char *disk_format_name(enum disk_format f)
{
	return names[f];
}

int disk_format_from_name(const char *name, struct err *e)
{
	for (int i = 0; i < _DISK_FORMAT_MAX; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	if (strcmp(name, "vhd") == 0)
		return DISK_VPC;
	return err_set(
		e, -E_USAGE, "invalid format '%s': not raw, qcow2, vmdk, vdi, vhdx or vpc", name);
}

static uint64_t big(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t little(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = n; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

/* Zeros behind the file's end. */
static int fetch(const struct disk_bytes *b, int64_t at, uint8_t *buf, size_t size, struct err *e)
{
	int r;

	memset(buf, 0, size);
	if (at < 0 || at >= b->size)
		return 0;
	r = b->read(b->data, at, buf, size);
	return r < 0 ? err_sys(e, r, "cannot read the disk image") : r;
}

/* --- telling ------------------------------------------------------------------------------------- */

static const struct mark {
	unsigned offset;
	const char *bytes;
	unsigned size;
	int format;	   /* or -1 */
	const char *other; /* what it is, when it can't be read */
} marks[] = {
	{ 0, "QFI\xfb", 4, DISK_QCOW2, NULL },
	{ 0, "KDMV", 4, DISK_VMDK, NULL },
	{ 0, "# Disk DescriptorFile", 21, DISK_VMDK, NULL },
	{ 64, "\x7f\x10\xda\xbe", 4, DISK_VDI, NULL },
	{ 0, "vhdxfile", 8, DISK_VHDX, NULL },
	{ 0, "conectix", 8, DISK_VPC, NULL },
	{ 0, "COWD", 4, -1, "an old VMDK (COWD)" },
	{ 0, "QED\0", 4, -1, "a QED image" },
	{ 0, "WithoutFreeSpace", 16, -1, "a Parallels image" },
	{ 0, "LUKS\xba\xbe", 6, -1, "encrypted (LUKS)" },
	{ 0, "\x1f\x8b", 2, -1, "compressed (gzip)" },
	{ 0,
		"\xfd"
		"7zXZ",
		5, -1, "compressed (xz)" },
	{ 0, "\x28\xb5\x2f\xfd", 4, -1, "compressed (zstd)" },
	{ 0, "BZh", 3, -1, "compressed (bzip2)" },
};

int disk_format_probe(const struct disk_bytes *b, const char *name, struct err *e)
{
	uint8_t head[SECTOR], tail[SECTOR];
	int r = fetch(b, 0, head, sizeof(head), e);

	if (r >= 0)
		r = fetch(b, b->size - SECTOR, tail, sizeof(tail), e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < ELEMENTSOF(marks); i++) {
		const struct mark *m = &marks[i];

		if (memcmp(head + m->offset, m->bytes, m->size) != 0)
			continue;
		if (m->format >= 0)
			return m->format;
		err_set(e, -E_UNSUPPORTED, "'%s' is %s", name, m->other);
		(void)err_mend(e, "unpack or convert it first; --format raw takes it as it is");
		return -E_UNSUPPORTED;
	}
	return memcmp(tail, "conectix", 8) == 0 ? DISK_VPC : DISK_RAW;
}

/* --- checking ------------------------------------------------------------------------------------ */

static int not_this(struct err *e, const char *name, enum disk_format f)
{
	return err_set(e, -E_CORRUPT, "'%s' isn't a %s image", name, names[f]);
}

static int other_file(struct err *e, const char *name, const char *what)
{
	err_set(e, -E_UNSUPPORTED, "'%s' needs another file: it has %s", name, what);
	(void)err_mend(e, "make one file of it, with 'qemu-img convert -O qcow2'");
	return -E_UNSUPPORTED;
}

/* QEMU, docs/interop/qcow2.txt */
static int check_qcow2(
	const struct disk_bytes *b, const char *name, int64_t *ret_size, struct err *e)
{
	uint8_t h[QCOW2_HEADER];
	uint64_t version, size;
	int r = fetch(b, 0, h, sizeof(h), e);

	if (r < 0)
		return r;
	version = big(h + 4, 4);
	size = big(h + 24, 8);
	if (memcmp(h, "QFI\xfb", 4) != 0 || b->size < QCOW2_HEADER)
		return not_this(e, name, DISK_QCOW2);
	if (version != 2 && version != 3)
		return err_set(e, -E_UNSUPPORTED, "'%s' is a qcow image of version %u", name,
			(unsigned)version);
	if (big(h + 8, 8) != 0)
		return other_file(e, name, "a backing file");
	if (version >= 3 && (big(h + 72, 8) & QCOW2_EXTERNAL_DATA))
		return other_file(e, name, "an external data file");
	if (big(h + 32, 4) != 0)
		return err_set(e, -E_UNSUPPORTED, "'%s' is encrypted", name);
	if (size > INT64_MAX)
		return not_this(e, name, DISK_QCOW2);
	*ret_size = (int64_t)size;
	return 0;
}

static bool has_word(const char *text, size_t size, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= size; i++)
		if (strncasecmp(text + i, word, n) == 0)
			return true;
	return false;
}

static int check_vmdk_text(const struct disk_bytes *b, int64_t at, const char *name, struct err *e)
{
	uint8_t text[VMDK_TEXT];
	int r = fetch(b, at, text, sizeof(text), e);

	if (r >= 0 && has_word((char *)text, sizeof(text), "parentFileNameHint"))
		return other_file(e, name, "a parent");
	return r;
}

/*
 * "VMware Virtual Disks, Virtual Disk Format 5.0". A sparse extent with the description inside, and no parent. QEMU
 * follows the description's file names when the header says that the extent has no capacity.
 */
static int check_vmdk(
	const struct disk_bytes *b, const char *name, int64_t *ret_size, struct err *e)
{
	uint8_t h[SECTOR];
	uint64_t capacity, at;
	int r = fetch(b, 0, h, sizeof(h), e);

	if (r < 0)
		return r;
	if (memcmp(h, "# Disk DescriptorFile", 21) == 0)
		return other_file(e, name, "its data in extents");
	if (memcmp(h, "KDMV", 4) != 0 || b->size < SECTOR)
		return not_this(e, name, DISK_VMDK);
	capacity = little(h + 12, 8);
	at = little(h + 28, 8);
	if (capacity == 0)
		return other_file(e, name, "its data in extents");
	if (capacity > INT64_MAX / SECTOR || at > INT64_MAX / SECTOR)
		return not_this(e, name, DISK_VMDK);
	/* QEMU looks for it in the second sector, whatever the header says */
	r = check_vmdk_text(b, SECTOR, name, e);
	if (r >= 0 && at > 1)
		r = check_vmdk_text(b, (int64_t)at * SECTOR, name, e);
	if (r < 0)
		return r;
	*ret_size = (int64_t)capacity * SECTOR;
	return 0;
}

static int check_vdi(const struct disk_bytes *b, const char *name, int64_t *ret_size, struct err *e)
{
	uint8_t h[SECTOR], none[32] = { 0 };
	int r = fetch(b, 0, h, sizeof(h), e);

	if (r < 0)
		return r;
	if (memcmp(h + 64, "\x7f\x10\xda\xbe", 4) != 0)
		return not_this(e, name, DISK_VDI);
	/* 1 is dynamic, 2 fixed; then the ids of a linked one and of the parent */
	if (little(h + 76, 4) != 1 && little(h + 76, 4) != 2)
		return other_file(e, name, "a parent");
	if (memcmp(h + 424, none, sizeof(none)) != 0)
		return other_file(e, name, "a parent");
	return 0;
}

static int check_vpc(const struct disk_bytes *b, const char *name, int64_t *ret_size, struct err *e)
{
	uint8_t h[SECTOR];
	int r = fetch(b, 0, h, sizeof(h), e);

	if (r >= 0 && memcmp(h, "conectix", 8) != 0)
		r = fetch(b, b->size - SECTOR, h, sizeof(h), e);
	if (r < 0)
		return r;
	if (memcmp(h, "conectix", 8) != 0)
		return not_this(e, name, DISK_VPC);
	if (big(h + 60, 4) == VHD_DIFFERENCING)
		return other_file(e, name, "a parent");
	return 0;
}

static int check_vhdx(
	const struct disk_bytes *b, const char *name, int64_t *ret_size, struct err *e)
{
	uint8_t h[8];
	int r = fetch(b, 0, h, sizeof(h), e);

	/* QEMU itself refuses those with a parent */
	return r < 0 || memcmp(h, "vhdxfile", 8) == 0 ? r : not_this(e, name, DISK_VHDX);
}

int disk_format_check(enum disk_format f, const struct disk_bytes *b, const char *name,
	int64_t *ret_size, struct err *e)
{
	*ret_size = 0;
	switch (f) {
	case DISK_QCOW2:
		return check_qcow2(b, name, ret_size, e);
	case DISK_VMDK:
		return check_vmdk(b, name, ret_size, e);
	case DISK_VDI:
		return check_vdi(b, name, ret_size, e);
	case DISK_VHDX:
		return check_vhdx(b, name, ret_size, e);
	case DISK_VPC:
		return check_vpc(b, name, ret_size, e);
	case DISK_RAW:
		*ret_size = b->size;
		return 0;
	case _DISK_FORMAT_MAX:
		break;
	}
	return -E_INVALID;
}
