/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include "base/macros.h"
#include "image/disk-boot.h"
#include "image/disk-format.h"

static uint64_t little(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = n; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

static void test_layout(void)
{
	struct boot_extent p[_BOOT_PART_MAX];
	int64_t size;

	g_assert_cmpint(boot_layout(BOOT_DISK_MIN - 1, p, &size, NULL), ==, -E_LIMIT);
	g_assert_cmpint(boot_layout(BOOT_DISK_MAX + 1, p, &size, NULL), ==, -E_LIMIT);
	g_assert_cmpint(boot_layout(BOOT_DISK_MIN + 4097, p, &size, NULL), ==, 0);
	g_assert_cmpint(size, ==, BOOT_DISK_MIN);
	/* no part in another, none over the tables */
	g_assert_cmpint(p[BOOT_BIOS].offset, >=, BOOT_GPT_HEAD);
	g_assert_cmpint(p[BOOT_BIOS].offset + p[BOOT_BIOS].size, <=, p[BOOT_EFI].offset);
	g_assert_cmpint(p[BOOT_EFI].offset + p[BOOT_EFI].size, <=, p[BOOT_ROOT].offset);
	g_assert_cmpint(p[BOOT_ROOT].offset + p[BOOT_ROOT].size, <=, size - BOOT_GPT_TAIL);
}

static const char *const uuids[] = { "00112233-4455-6677-8899-aabbccddeeff",
	"10112233-4455-6677-8899-aabbccddeeff", "20112233-4455-6677-8899-aabbccddeeff",
	"30112233-4455-6677-8899-aabbccddeeff" };

static void test_gpt(void)
{
	static const uint8_t disk_uuid[] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88,
		0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	g_autofree uint8_t *head = g_malloc(BOOT_GPT_HEAD), *tail = g_malloc(BOOT_GPT_TAIL);
	const char *wrong[] = { uuids[0], uuids[1], uuids[2], "30112233-4455" };
	struct boot_extent p[_BOOT_PART_MAX];
	const uint8_t *h = head + 512, *second = tail + 32 * 512;
	int64_t size;

	g_assert_cmpint(boot_layout(BOOT_DISK_MIN, p, &size, NULL), ==, 0);
	g_assert_cmpint(boot_gpt(p, size, uuids, head, tail, NULL), ==, 0);
	g_assert_cmpmem(h, 8, "EFI PART", 8);
	g_assert_cmpmem(h + 56, 16, disk_uuid, 16);
	g_assert_cmpuint(little(h + 32, 8), ==, (uint64_t)size / 512 - 1);
	g_assert_cmpuint(little(second + 24, 8), ==, (uint64_t)size / 512 - 1);
	g_assert_cmpuint(little(second + 32, 8), ==, 1);
	g_assert_cmpuint(little(h + 88, 4), ==, little(second + 88, 4));
	g_assert_cmpmem(head + 1024, 128 * 128, tail, 128 * 128);
	/* partition 1 is the root, and protected from what knows the MBR only */
	g_assert_cmpuint(little(head + 1024 + 32, 8), ==, (uint64_t)p[BOOT_ROOT].offset / 512);
	g_assert_cmpuint(head[450], ==, 0xee);
	g_assert_cmpuint(little(head + 510, 2), ==, 0xaa55);
	g_assert_cmpint(boot_gpt(p, size, wrong, head, tail, NULL), ==, -E_INVALID);
}

static void test_grub(void)
{
	uint8_t boot[512] = { [0x66] = 0xeb, [510] = 0x55, [511] = 0xaa }, core[1500] = { 0 };

	core[510] = 0x20;
	core[511] = 0x08;
	g_assert_cmpint(boot_grub(boot, core, sizeof(core), 2048, 1 << 20, NULL), ==, 0);
	g_assert_cmpuint(little(boot + 0x5c, 8), ==, 2048);
	g_assert_cmpuint(little(core + 500, 8), ==, 2049);
	g_assert_cmpuint(little(core + 508, 2), ==, 2); /* of three sectors */
	g_assert_cmpuint(little(boot + 0x66, 2), ==, 0x9090);
	boot[0x66] = 0xeb;
	g_assert_cmpint(boot_grub(boot, core, sizeof(core), 2048, 1024, NULL), ==, -E_LIMIT);
	core[510] = 0;
	g_assert_cmpint(boot_grub(boot, core, sizeof(core), 2048, 1 << 20, NULL), ==, -E_CORRUPT);
	boot[0x66] = 0;
	g_assert_cmpint(boot_grub(boot, core, sizeof(core), 2048, 1 << 20, NULL), ==, -E_CORRUPT);
}

/* --- what a file says of itself -------------------------------------------------------------------- */

struct file {
	uint8_t bytes[16384];
};

static int read_file(void *data, int64_t offset, void *buf, size_t size)
{
	const struct file *f = data;

	if (offset < (int64_t)sizeof(f->bytes))
		memcpy(buf, f->bytes + offset, MIN(size, sizeof(f->bytes) - (size_t)offset));
	return 0;
}

static int look(const struct file *f, int64_t *ret_size, struct err *e)
{
	struct disk_bytes b = { read_file, (void *)(uintptr_t)f, sizeof(f->bytes) };
	int r = disk_format_probe(&b, "F", e);
	int code = r < 0 ? r : disk_format_check((enum disk_format)r, &b, "F", ret_size, e);

	return code < 0 ? code : r;
}

static void test_qcow2(void)
{
	struct file f = { "QFI\xfb\0\0\0\3" };
	struct err e = { 0 };
	int64_t size;

	f.bytes[28] = 0x40; /* 1 GiB */
	g_assert_cmpint(look(&f, &size, &e), ==, DISK_QCOW2);
	g_assert_cmpint(size, ==, 1 << 30);
	f.bytes[79] = 1 << 2;
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	g_assert_cmpstr(e.text, ==, "'F' needs another file: it has an external data file");
	f.bytes[79] = 0;
	f.bytes[15] = 200;
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	g_assert_cmpstr(e.text, ==, "'F' needs another file: it has a backing file");
	f.bytes[15] = 0;
	f.bytes[35] = 2;
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	f.bytes[35] = 0;
	f.bytes[7] = 1;
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
}

static void test_vmdk(void)
{
	struct file f = { "KDMV\1" },
		    text = { "# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n" };
	struct err e = { 0 };
	int64_t size;

	f.bytes[13] = 8; /* 2048 sectors */
	f.bytes[28] = 1;
	g_assert_cmpint(look(&f, &size, &e), ==, DISK_VMDK);
	g_assert_cmpint(size, ==, 1 << 20);
	/* a description in the second sector */
	memcpy(f.bytes + 600, "parentFileNameHint=\"/etc/shadow\"", 32);
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	memset(f.bytes + 600, 0, 32);
	/* and where the header says */
	f.bytes[28] = 24;
	memcpy(f.bytes + 24 * 512, "parentfilenamehint=x", 20);
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	f.bytes[13] = 0;
	g_assert_cmpint(look(&f, &size, &e), ==, -E_UNSUPPORTED);
	g_assert_cmpint(look(&text, &size, &e), ==, -E_UNSUPPORTED);
	g_assert_nonnull(strstr(e.text, "extents"));
}

static void test_others(void)
{
	struct file raw = { { 0 } }, vdi = { { 0 } }, vpc = { "conectix" }, vhdx = { "vhdxfile" };
	struct file gz = { "\x1f\x8b" }, luks = { "LUKS\xba\xbe" };
	int64_t size;

	g_assert_cmpint(look(&raw, &size, NULL), ==, DISK_RAW);
	g_assert_cmpint(size, ==, sizeof(raw.bytes));
	memcpy(vdi.bytes + 64, "\x7f\x10\xda\xbe", 4);
	vdi.bytes[76] = 1;
	g_assert_cmpint(look(&vdi, &size, NULL), ==, DISK_VDI);
	vdi.bytes[440] = 1;
	g_assert_cmpint(look(&vdi, &size, NULL), ==, -E_UNSUPPORTED);
	g_assert_cmpint(look(&vhdx, &size, NULL), ==, DISK_VHDX);
	vpc.bytes[63] = 3;
	g_assert_cmpint(look(&vpc, &size, NULL), ==, DISK_VPC);
	vpc.bytes[63] = 4;
	g_assert_cmpint(look(&vpc, &size, NULL), ==, -E_UNSUPPORTED);
	memcpy(raw.bytes + sizeof(raw.bytes) - 512, "conectix", 8);
	g_assert_cmpint(look(&raw, &size, NULL), ==, DISK_VPC);
	g_assert_cmpint(look(&gz, &size, NULL), ==, -E_UNSUPPORTED);
	g_assert_cmpint(look(&luks, &size, NULL), ==, -E_UNSUPPORTED);
	g_assert_cmpint(disk_format_from_name("vhd", NULL), ==, DISK_VPC);
	g_assert_cmpint(disk_format_from_name("qed", NULL), ==, -E_USAGE);
}

/* What the user says beats what the bytes say. */
static void test_told(void)
{
	struct file f = { "QFI\xfb\0\0\0\3" };
	struct disk_bytes b = { read_file, &f, sizeof(f.bytes) };
	int64_t size;

	f.bytes[15] = 1;
	g_assert_cmpint(disk_format_check(DISK_RAW, &b, "F", &size, NULL), ==, 0);
	g_assert_cmpint(disk_format_check(DISK_VMDK, &b, "F", &size, NULL), ==, -E_CORRUPT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/disk/layout", test_layout);
	g_test_add_func("/disk/gpt", test_gpt);
	g_test_add_func("/disk/grub", test_grub);
	g_test_add_func("/disk/qcow2", test_qcow2);
	g_test_add_func("/disk/vmdk", test_vmdk);
	g_test_add_func("/disk/others", test_others);
	g_test_add_func("/disk/told", test_told);
	return g_test_run();
}
