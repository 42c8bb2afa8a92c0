/* SPDX-License-Identifier: MIT */
/*
 * Golden tests: a spec in, QEMU's command line and the descriptors it gets out, a line an argument. TEST_REGEN=1
 * writes the goldens anew; read the diff.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "engine/vm/disks.h"
#include "engine/vm/firmware.h"
#include "engine/vm/full.h"
#include "host/steps.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIR "/var/lib/lodge/guests/" ID

static const char *goldens;

static struct spec *plain(void)
{
	struct spec *s = spec_new();

	s->vm = spec_vm_new();
	s->vm->full = true;
	return s;
}

static struct spec *with_disk(void)
{
	struct spec *s = plain();

	spec_vm_add_disk(s->vm, "disk0", "/srv/a,b.qcow2", "qcow2")->boot = 1;
	return s;
}

/* The network as net/ plans it. */
static void plan_network(const struct spec *s, struct plan *net)
{
	for (guint i = 0; i < s->networks->len; i++) {
		const struct spec_attach *a = s->networks->pdata[i];

		plan_add(net, AT_PARENT, &step_veth, plan_str(net, "lv01234567890%u", i), "eth0",
			"lodge0", a->mac, "", "", "");
	}
}

static void show_plan(GString *out, const struct plan *p)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	plan_show(p, f);
	(void)fclose(f);
	g_string_append(out, text);
}

static char *shown(struct spec *s, bool kvm, struct err *e)
{
	struct ctx c = { .root = (char *)"/var/lib/lodge",
		.run = (char *)"/run/lodge",
		.explain = true,
		.trace_fd = -1 };
	_cleanup_(plan_freep) struct plan *p = plan_new(), *net = plan_new();
	struct engine_start at = { .id = ID,
		.name = "box",
		.spec = s,
		.dir = DIR,
		.run_dir = "/run/lodge/guests/" ID,
		.plan = p,
		.net = net };
	GString *out = g_string_new(NULL);
	struct vm_build b;
	int r;

	r = vm_full_place(s, ID, e);
	if (r >= 0)
		r = vm_full_check(s, e);
	if (r >= 0) {
		plan_network(s, net);
		vm_build_init(&b, &c, &at);
		b.kvm = kvm;
		r = vm_full_argv(&b, "this host has no /dev/kvm", e);
		for (guint i = 0; i < b.argv->len; i++)
			g_string_append_printf(out, "%s\n", (char *)b.argv->pdata[i]);
		g_string_append(out, "\n");
		show_plan(out, p);
		show_plan(out, b.opened);
		vm_build_done(&b);
	}
	if (r < 0) {
		g_string_free(out, TRUE);
		return NULL;
	}
	return g_string_free(out, FALSE);
}

static void compare(struct spec *s, bool kvm, const char *name)
{
	g_autofree char *file = g_strdup_printf("%s/%s.argv", goldens, name), *want = NULL,
			*got = NULL;
	struct err e = { 0 };

	got = shown(s, kvm, &e);
	if (!got)
		g_error("%s: %s", name, e.text);
	spec_free(s);
	if (g_getenv("TEST_REGEN")) {
		g_assert_true(g_file_set_contents(file, got, -1, NULL));
		return;
	}
	g_assert_true(g_file_get_contents(file, &want, NULL, NULL));
	g_assert_cmpstr(got, ==, want);
}

static void test_disk(void)
{
	compare(with_disk(), false, "disk");
}

static void test_kernel(void)
{
	struct spec *s = plain();

	s->vm->kernel = g_strdup("/nowhere/vmlinuz");
	s->vm->initrd = g_strdup("/nowhere/initrd");
	s->vm->cmdline = g_strdup("console=ttyS0 root=/dev/vda");
	s->vm->machine = VM_MICROVM;
	s->vm->no_balloon = true;
	s->limits.memory = 128 << 20;
	compare(s, false, "microvm-kernel");
}

static void test_all(void)
{
	struct spec *s = with_disk();
	struct spec_vm *vm = s->vm;
	struct spec_disk *d;

	d = spec_vm_add_disk(vm, "data", "data.raw", "raw");
	d->cache = DISK_NONE;
	d->discard = true;
	d->serial = g_strdup("S1");
	d = spec_vm_add_disk(vm, "old", "/srv/top.vmdk", "vmdk");
	d->bus = DISK_BUS_SATA;
	d->cache = DISK_WRITETHROUGH;
	d = spec_vm_add_disk(vm, "scratch", "/srv/golden.qcow2", "qcow2");
	d->bus = DISK_BUS_SCSI;
	d->snapshot = true;
	d->cache = DISK_UNSAFE;
	spec_disk_add_backing(d, "/srv/base.raw", "raw");
	d = spec_vm_add_disk(vm, "stick", "/srv/stick.vdi", "vdi");
	d->bus = DISK_BUS_USB;
	d->read_only = true;
	d = spec_vm_add_disk(vm, "cd0", "/srv/boot.iso", "raw");
	d->device = DISK_CDROM;
	d->boot = 2;
	spec_vm_add_disk(vm, "cd1", NULL, NULL)->device = DISK_CDROM;
	spec_vm_add_disk(vm, "floppy0", "/srv/a.img", "raw")->device = DISK_FLOPPY;
	vm->firmware = VM_UEFI;
	vm->firmware_code = g_strdup("/usr/share/OVMF/OVMF_CODE_4M.fd");
	vm->vga = VM_VGA_VIRTIO;
	vm->vnc = g_strdup(":7");
	vm->tablet = vm->rng = vm->agent = vm->boot_report = true;
	vm->vcpus = 2;
	vm->vcpus_max = 6;
	s->limits.memory = INT64_C(4) << 30;
	vm->balloon = INT64_C(3) << 30;
	spec_add_network(s, "bridge");
	spec_add_network(s, "back")->mac = g_strdup("02:00:00:AA:bb:cc");
	compare(s, true, "all");
}

static void test_pc(void)
{
	struct spec *s = with_disk();
	struct spec_disk *d;

	s->vm->machine = VM_PC;
	s->vm->nic = VM_NIC_E1000;
	s->vm->cpu = g_strdup("qemu64,+ssse3");
	s->vm->accel = VM_ACCEL_TCG;
	s->vm->no_serial = true;
	s->vm->vga = VM_VGA_STD;
	s->vm->vnc = g_strdup("/srv/vnc");
	d = spec_vm_add_disk(s->vm, "ide", "/srv/i.vhdx", "vhdx");
	d->bus = DISK_BUS_IDE;
	d = spec_vm_add_disk(s->vm, "sata", "/srv/s.raw", "raw");
	d->bus = DISK_BUS_SATA;
	spec_vm_add_disk(s->vm, "cd0", NULL, NULL)->device = DISK_CDROM;
	spec_vm_add_disk(s->vm, "floppy0", "/srv/a.img", "raw")->device = DISK_FLOPPY;
	spec_add_network(s, "bridge");
	compare(s, true, "pc");
}

static void test_restored(void)
{
	struct spec *s = with_disk();

	s->vm->incoming = g_strdup("/srv/saved");
	compare(s, false, "restored");
}

/* --- what can't be ------------------------------------------------------------------------------------------ */

static void refused(struct spec *s, int code, const char *text)
{
	struct err e = { 0 };
	g_autofree char *got = shown(s, false, &e);

	g_assert_null(got);
	g_assert_cmpstr(e.text, ==, text);
	g_assert_cmpint(e.code, ==, code);
	spec_free(s);
}

static struct spec *of_type(
	enum spec_vm_machine machine, enum spec_disk_device device, enum spec_disk_bus bus)
{
	struct spec *s = plain();
	struct spec_disk *d = spec_vm_add_disk(s->vm, "d", "/d", "raw");

	s->vm->machine = machine;
	s->vm->kernel = g_strdup("/k");
	d->device = device;
	d->bus = bus;
	return s;
}

static void test_refused_disks(void)
{
	struct spec *s = with_disk();

	refused(of_type(VM_Q35, DISK_DISK, DISK_BUS_IDE), -E_UNSUPPORTED,
		"disk 'd': a q35 has no bus 'ide'");
	refused(of_type(VM_PC, DISK_CDROM, DISK_BUS_VIRTIO), -E_UNSUPPORTED,
		"disk 'd': there are no CD drives on the bus 'virtio'; use scsi, sata or ide");
	refused(of_type(VM_MICROVM, DISK_DISK, DISK_BUS_SATA), -E_UNSUPPORTED,
		"disk 'd': a microvm has virtio, scsi and usb disks only");
	refused(of_type(VM_PC, DISK_FLOPPY, DISK_BUS_SCSI), -E_INVALID,
		"disk 'd': a floppy has a bus of its own");
	spec_vm_add_disk(s->vm, "disk0", "/x", "raw");
	refused(s, -E_INVALID, "two disks have the id 'disk0'");
	s = with_disk();
	spec_vm_add_disk(s->vm, "a,b", "/x", "raw");
	refused(s, -E_INVALID, "invalid disk id 'a,b'");
	s = with_disk();
	spec_vm_add_disk(s->vm, "x", "/x", NULL);
	refused(s, -E_INVALID, "disk 'x' has no format");
	s = with_disk();
	for (int i = 0; i < 7; i++) {
		g_autofree char *id = g_strdup_printf("s%d", i);

		spec_vm_add_disk(s->vm, id, "/x", "raw")->bus = DISK_BUS_SATA;
	}
	refused(s, -E_LIMIT, "no place for 's6': the machine's 6 places of bus 'sata' are taken");
}

static void test_refused(void)
{
	struct spec *s;

	refused(plain(), -E_INVALID, "the machine has nothing to boot from");
	s = with_disk();
	s->vm->initrd = g_strdup("/i");
	refused(s, -E_INVALID, "an initrd needs a kernel");
	s = with_disk();
	s->limits.memory = 1 << 20;
	refused(s, -E_LIMIT, "a machine needs at least 16 MiB of memory");
	s = with_disk();
	s->vm->accel = VM_ACCEL_KVM;
	refused(s, -E_UNSUPPORTED, "KVM can't be used: this host has no /dev/kvm");
	s = with_disk();
	s->vm->vnc = g_strdup("0.0.0.0:1");
	s->vm->vga = VM_VGA_STD;
	refused(s, -E_INVALID, "invalid VNC address '0.0.0.0:1': not :N or an absolute path");
	s = with_disk();
	s->vm->vcpus = 4;
	s->vm->vcpus_max = 2;
	refused(s, -E_INVALID, "4 processors are more than the most, 2");
	s = with_disk();
	s->vm->machine = VM_MICROVM;
	refused(s, -E_UNSUPPORTED, "a microvm boots a kernel only");
	s = with_disk();
	s->vm->firmware = VM_UEFI;
	refused(s, -E_UNSUPPORTED, "the machine's UEFI firmware 'OVMF' is not there");
}

/* What is plugged out and in doesn't move the others. */
static void test_places(void)
{
	struct spec *s = with_disk();
	struct spec_disk *d;
	g_autofree char *mac = NULL;

	spec_vm_add_disk(s->vm, "b", "/b", "raw");
	spec_vm_add_disk(s->vm, "c", "/c", "raw");
	spec_add_network(s, "bridge");
	g_assert_cmpint(vm_full_place(s, ID, NULL), ==, 0);
	g_assert_cmpint(s->vm->ports, ==, SPEC_VM_PORTS);
	g_assert_cmpint(((struct spec_attach *)s->networks->pdata[0])->slot, ==, 1);
	g_assert_cmpint(spec_vm_disk(s->vm, "c")->slot, ==, 4);
	mac = g_strdup(((struct spec_attach *)s->networks->pdata[0])->mac);
	spec_vm_remove_disk(s->vm, "b");
	spec_add_network(s, "back");
	d = spec_vm_add_disk(s->vm, "e", "/e", "raw");
	g_assert_cmpint(vm_full_place(s, ID, NULL), ==, 0);
	g_assert_cmpint(((struct spec_attach *)s->networks->pdata[1])->slot, ==, 3);
	g_assert_cmpint(d->slot, ==, 5);
	g_assert_cmpint(spec_vm_disk(s->vm, "c")->slot, ==, 4);
	g_assert_cmpstr(((struct spec_attach *)s->networks->pdata[0])->mac, ==, mac);
	g_assert_cmpstr(((struct spec_attach *)s->networks->pdata[1])->mac, !=, mac);
	g_assert_cmpstr(s->vm->uuid, ==, "01234567-89ab-cdef-0123-456789abcdef");
	spec_free(s);
}

/* --- what qemu-img says of a disk -------------------------------------------------------------------------- */

static void info(const char *text, bool given, int code, const char *want)
{
	const char *format = NULL, *below_format = NULL;
	g_autofree char *below = NULL;
	struct err e = { 0 };
	json_t *j = json_loads(text, 0, NULL);

	g_assert_cmpint(
		vm_disk_info("/d/x", j, given, &format, &below, &below_format, &e), ==, code);
	g_assert_cmpstr(code < 0 ? e.text : below ?: format, ==, want);
	json_decref(j);
}

static void test_info(void)
{
	info("{\"format\":\"qcow2\"}", false, 0, "qcow2");
	info("{\"format\":\"raw\"}", true, 0, "raw");
	info("{\"format\":\"raw\"}", false, -E_INVALID, "the format of '/d/x' isn't known");
	info("{\"format\":\"qcow2\",\"backing-filename\":\"b\",\"backing-filename-format\":"
	     "\"raw\"}",
		true, 0, "/d/b");
	info("{\"format\":\"qcow2\",\"backing-filename\":\"b\",\"full-backing-filename\":\"/e/b\","
	     "\"backing-filename-format\":\"raw\"}",
		true, 0, "/e/b");
	info("{\"format\":\"qcow2\",\"backing-filename\":\"/etc/"
	     "shadow\",\"backing-filename-format\":\"raw\"}",
		false, -E_INVALID, "'/d/x' has the file '/etc/shadow' below it");
	info("{\"format\":\"qcow2\",\"backing-filename\":\"b\"}", true, -E_INVALID,
		"'/d/x' doesn't say the format of 'b' below it");
	info("{\"format\":\"qcow2\",\"backing-filename\":\"nbd://h/"
	     "\",\"backing-filename-format\":\"raw\"}",
		true, -E_UNSUPPORTED, "'/d/x' has 'nbd://h/' below it, which is not a file");
	info("{\"format\":\"qcow2\",\"encrypted\":true}", true, -E_UNSUPPORTED,
		"'/d/x' is encrypted");
	info("{\"format\":\"qcow2\",\"format-specific\":{\"data\":{\"data-file\":\"/etc/"
	     "passwd\"}}}",
		true, -E_UNSUPPORTED, "the disk '/d/x' consists of several files");
	info("{\"format\":\"vmdk\",\"format-specific\":{\"data\":{\"extents\":[{\"filename\":\"/d/"
	     "x-flat\"}]}}}",
		true, -E_UNSUPPORTED, "the disk '/d/x' consists of several files");
	info("{\"format\":\"vmdk\",\"format-specific\":{\"data\":{\"extents\":[{\"filename\":\"/d/"
	     "x\"}]}}}",
		true, 0, "vmdk");
	info("{\"format\":\"luks\"}", true, -E_UNSUPPORTED,
		"'/d/x' is in the format 'luks', which machines can't have");
	info("{}", true, -E_UNSUPPORTED, "'/d/x' is in the format '?', which machines can't have");
}

/* --- firmware -------------------------------------------------------------------------------------------------- */

static bool suits(const char *text, const char *machine)
{
	const char *code = NULL, *vars = NULL;
	json_t *j = json_loads(text, 0, NULL);
	bool is;

	g_assert_nonnull(j);
	is = vm_firmware_suits(j, machine, &code, &vars);
	g_assert_true(!is || (code && vars));
	json_decref(j);
	return is;
}

#define DESCRIPTOR(types, device, features, machine)                                            \
	"{\"interface-types\":[\"" types "\"],\"mapping\":{\"device\":\"" device                \
	"\",\"executable\":{"                                                                   \
	"\"filename\":\"/c\",\"format\":\"raw\"},\"nvram-template\":{\"filename\":\"/"          \
	"v\",\"format\":"                                                                       \
	"\"raw\"}},\"targets\":[{\"architecture\":\"x86_64\",\"machines\":[\"" machine "\"]}]," \
	"\"features\":[" features "]}"

static void test_firmware(void)
{
	static const char *const nowhere[] = { "/nonexistent", NULL };
	g_autofree char *code = NULL, *vars = NULL;
	struct err e = { 0 };

	g_assert_true(suits(DESCRIPTOR("uefi", "flash", "\"acpi-s3\"", "pc-q35-*"), "q35"));
	g_assert_true(suits(DESCRIPTOR("uefi", "flash", "", "pc-i440fx-*"), "pc"));
	g_assert_false(suits(DESCRIPTOR("uefi", "flash", "", "pc-i440fx-*"), "q35"));
	g_assert_false(suits(DESCRIPTOR("bios", "flash", "", "pc-q35-*"), "q35"));
	g_assert_false(suits(DESCRIPTOR("uefi", "memory", "", "pc-q35-*"), "q35"));
	g_assert_false(suits(DESCRIPTOR("uefi", "flash", "\"requires-smm\"", "pc-q35-*"), "q35"));
	g_assert_false(suits(DESCRIPTOR("uefi", "flash", "\"enrolled-keys\"", "pc-q35-*"), "q35"));
	g_assert_false(suits("[]", "q35"));
	g_assert_false(suits("{\"mapping\":7,\"targets\":{}}", "q35"));

	g_assert_cmpint(vm_firmware_find(nowhere, "q35", &code, &vars, &e), ==, -E_UNSUPPORTED);
	g_assert_cmpstr(e.mend, ==, "install ovmf, or use --firmware bios");
}

/* A folder that comes first has the say about a name; an empty file takes it away. */
static void test_firmware_order(void)
{
	g_autofree char *dir = g_dir_make_tmp("lodge-firmware-XXXXXX", NULL);
	g_autofree char *first = g_build_filename(dir, "1", NULL),
			*second = g_build_filename(dir, "2", NULL);
	g_autofree char *a = g_build_filename(first, "10-a.json", NULL);
	g_autofree char *b = g_build_filename(second, "10-a.json", NULL);
	g_autofree char *code = g_build_filename(dir, "code", NULL),
			*vars = g_build_filename(dir, "vars", NULL);
	g_autofree char *text = g_strdup_printf(
		"{\"interface-types\":[\"uefi\"],\"mapping\":{\"device\":\"flash\",\"executable\":{"
		"\"filename\":"
		"\"%s\",\"format\":\"raw\"},\"nvram-template\":{\"filename\":\"%s\",\"format\":"
		"\"raw\"}},"
		"\"targets\":[{\"architecture\":\"x86_64\",\"machines\":[\"pc-q35-*\"]}]}",
		code, vars);
	const char *const folders[] = { first, second, NULL };
	g_autofree char *got = NULL, *got_vars = NULL;

	g_assert_cmpint(mkdir(first, 0700) | mkdir(second, 0700), ==, 0);
	g_assert_true(g_file_set_contents(b, text, -1, NULL) &&
		      g_file_set_contents(code, "c", 1, NULL) &&
		      g_file_set_contents(vars, "v", 1, NULL));
	g_assert_cmpint(vm_firmware_find(folders, "q35", &got, &got_vars, NULL), ==, 0);
	g_assert_cmpstr(got, ==, code);
	g_assert_cmpstr(got_vars, ==, vars);
	g_assert_true(g_file_set_contents(a, "", 0, NULL));
	g_assert_cmpint(
		vm_firmware_find(folders, "q35", &got, &got_vars, NULL), ==, -E_UNSUPPORTED);
	(void)unlink(a);
	(void)unlink(b);
	(void)unlink(code);
	(void)unlink(vars);
	(void)rmdir(first);
	(void)rmdir(second);
	(void)rmdir(dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_assert_cmpint(argc, ==, 2);
	goldens = argv[1];
	g_test_add_func("/full/disk", test_disk);
	g_test_add_func("/full/kernel", test_kernel);
	g_test_add_func("/full/all", test_all);
	g_test_add_func("/full/pc", test_pc);
	g_test_add_func("/full/restored", test_restored);
	g_test_add_func("/full/refused", test_refused);
	g_test_add_func("/full/refused-disks", test_refused_disks);
	g_test_add_func("/full/places", test_places);
	g_test_add_func("/full/info", test_info);
	g_test_add_func("/full/firmware", test_firmware);
	g_test_add_func("/full/firmware-order", test_firmware_order);
	return g_test_run();
}
