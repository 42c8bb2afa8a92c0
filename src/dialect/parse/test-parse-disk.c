/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>

#include "dialect/parse/parse.h"

static struct spec_vm *vm;

static struct spec_disk *good(const char *text, enum spec_disk_device device)
{
	struct spec_disk *d = NULL;
	struct err e = { 0 };

	if (parse_disk(text, "/work", device, vm, &d, &e) < 0)
		g_error("'%s': %s", text, e.text);
	return d;
}

static void test_good(void)
{
	struct spec_disk *d;

	vm = spec_vm_new();
	d = good("a.qcow2", DISK_DISK);
	g_assert_cmpstr(d->path, ==, "/work/a.qcow2");
	g_assert_cmpstr(d->id, ==, "disk0");
	g_assert_null(d->format);
	d = good("/x=1/a.raw", DISK_DISK); /* a name with an equals sign behind a slash */
	g_assert_cmpstr(d->path, ==, "/x=1/a.raw");
	g_assert_cmpstr(d->id, ==, "disk1");
	d = good(
		"b.raw,format=raw,bus=scsi,cache=none,serial=s1,boot=3,readonly,discard=on,id=data",
		DISK_DISK);
	g_assert_cmpstr(d->path, ==, "/work/b.raw");
	g_assert_cmpstr(d->format, ==, "raw");
	g_assert_true(d->bus == DISK_BUS_SCSI && d->cache == DISK_NONE && d->boot == 3 &&
		      d->read_only && d->discard);
	g_assert_cmpstr(d->id, ==, "data");
	d = good("file=c,volatile", DISK_DISK);
	g_assert_true(d->snapshot);
	d = good("size=2G", DISK_DISK);
	g_assert_true(d->own && d->size == INT64_C(2) << 30);
	g_assert_cmpstr(d->path, ==, "disk3.qcow2");
	d = good("size=1M,format=raw,id=n", DISK_DISK);
	g_assert_cmpstr(d->path, ==, "n.raw");
	d = good("one.iso", DISK_CDROM);
	g_assert_cmpstr(d->id, ==, "cd0");
	d = good("\"file=a,b\",format=raw", DISK_DISK);
	g_assert_cmpstr(d->path, ==, "/work/a,b");
	spec_vm_free(vm);
}

static void bad(const char *text, const char *want)
{
	struct spec_disk *d = NULL;
	struct err e = { 0 };

	vm = spec_vm_new();
	g_assert_cmpint(parse_disk(text, "/work", DISK_DISK, vm, &d, &e), ==, -E_USAGE);
	g_assert_cmpstr(e.text, ==, want);
	spec_vm_free(vm);
}

static void test_bad(void)
{
	bad("bus=scsi", "invalid disk 'bus=scsi': neither file nor size");
	bad("a,bus=isa", "invalid disk 'a,bus=isa': invalid bus 'isa'");
	bad("a,colour=red", "invalid disk 'a,colour=red': unknown key 'colour'");
	bad("a,format=", "invalid disk 'a,format=': 'format' needs a value");
	bad("a,readonly=maybe", "invalid disk 'a,readonly=maybe': invalid readonly 'maybe'");
	bad("a,boot=-1", "invalid disk 'a,boot=-1': invalid boot '-1'");
	bad("size=0", "invalid disk 'size=0': invalid size '0'");
	bad("size=1G,file=a", "invalid disk 'size=1G,file=a': size is that of a new disk, which is "
			      "empty and can be written");
	bad("size=1G,format=vdi", "invalid disk 'size=1G,format=vdi': a new disk is qcow2 or raw");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/parse-disk/good", test_good);
	g_test_add_func("/parse-disk/bad", test_bad);
	return g_test_run();
}
