/* SPDX-License-Identifier: MIT */
#include "engine/vm/full.h"

#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "engine/vm/disks.h"
#include "engine/vm/firmware.h"
#include "host/steps.h"

#define MIB (INT64_C(1) << 20)

/* PCI slots of the devices that stay; disks and cards come behind them, see full-device.c. */
enum slot {
	SLOT_VGA = 2,
	SLOT_USB,
	SLOT_BALLOON,
	SLOT_RNG,
	SLOT_SERIAL,
	SLOT_SCSI,
	SLOT_SATA
};
#define Q35_PORTS_AT 0x10
#define ROOT_PORTS   8 /* in a slot */

/* --- contradictions ----------------------------------------------------------------------------------------- */

static int unsupported(struct err *e, const char *text)
{
	return err_set(e, -E_UNSUPPORTED, "%s", text);
}

static bool is_id(const char *s)
{
	return s[0] && strlen(s) <= 32 && g_ascii_isalpha(s[0]) &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
		       strlen(s);
}

/* -1: not one. */
static int64_t vnc_display(const char *s)
{
	guint64 n;

	return s[0] == ':' && g_ascii_string_to_unsigned(s + 1, 10, 0, 59635, &n, NULL) ? (int64_t)n
											: -1;
}

static int check_bus(const struct spec_vm *vm, const struct spec_disk *d, struct err *e)
{
	bool old = d->bus == DISK_BUS_IDE || d->bus == DISK_BUS_SATA;

	if (d->device == DISK_FLOPPY && d->bus != DISK_BUS_AUTO)
		return err_set(e, -E_INVALID, "disk '%s': a floppy has a bus of its own", d->id);
	if (d->device == DISK_CDROM && d->bus == DISK_BUS_VIRTIO)
		return err_set(e, -E_UNSUPPORTED,
			"disk '%s': there are no CD drives on the bus 'virtio'; use scsi, sata or "
			"ide",
			d->id);
	if (d->device == DISK_CDROM && d->bus == DISK_BUS_USB)
		return err_set(e, -E_UNSUPPORTED, "disk '%s': a CD drive can't be on the bus 'usb'",
			d->id);
	if (vm->machine == VM_MICROVM && (old || d->device == DISK_FLOPPY))
		return err_set(e, -E_UNSUPPORTED,
			"disk '%s': a microvm has virtio, scsi and usb disks only", d->id);
	if (vm->machine == VM_Q35 && d->bus == DISK_BUS_IDE) {
		err_set(e, -E_UNSUPPORTED, "disk '%s': a q35 has no bus 'ide'", d->id);
		err_mend(e, "use bus=sata, or machine type pc");
		return -E_UNSUPPORTED;
	}
	if (d->device == DISK_DISK && old && d->read_only)
		return err_set(e, -E_UNSUPPORTED,
			"disk '%s': a disk on the bus '%s' can't be read-only", d->id,
			spec_disk_buses[d->bus]);
	return 0;
}

static int check_disk(const struct spec_vm *vm, const struct spec_disk *d, struct err *e)
{
	if (!is_id(d->id))
		return err_set(e, -E_INVALID, "invalid disk id '%s'", d->id);
	if (spec_vm_disk(vm, d->id) != d)
		return err_set(e, -E_INVALID, "two disks have the id '%s'", d->id);
	if (!d->path && d->device == DISK_DISK)
		return err_set(e, -E_INVALID, "disk '%s' has no file", d->id);
	if (d->path && !d->format)
		return err_set(e, -E_INVALID, "disk '%s' has no format", d->id);
	if (d->serial && strlen(d->serial) > 20)
		return err_set(e, -E_INVALID,
			"disk '%s': a serial number has at most 20 characters", d->id);
	return check_bus(vm, d, e);
}

static int check_boot(const struct spec_vm *vm, struct err *e)
{
	bool medium = false;

	for (guint i = 0; i < vm->disks->len; i++)
		medium |= ((const struct spec_disk *)vm->disks->pdata[i])->path != NULL;
	if (!vm->kernel && (vm->initrd || vm->cmdline))
		return err_set(e, -E_INVALID, "%s needs a kernel",
			vm->initrd ? "an initrd" : "a kernel command line");
	if (!vm->kernel && !medium) {
		err_set(e, -E_INVALID, "the machine has nothing to boot from");
		err_mend(e, "give it a disk, a CD or a kernel");
		return -E_INVALID;
	}
	if (vm->machine != VM_MICROVM)
		return 0;
	if (vm->firmware == VM_UEFI)
		return unsupported(e, "a microvm has no UEFI");
	if (!vm->kernel)
		return unsupported(e, "a microvm boots a kernel only");
	if (vm->vga != VM_VGA_NONE)
		return unsupported(e, "a microvm has no screen");
	return 0;
}

static int check_numbers(const struct spec *s, struct err *e)
{
	const struct spec_vm *vm = s->vm;
	int64_t memory = s->limits.memory ? s->limits.memory : VM_FULL_MEMORY;

	if (memory < VM_FULL_MEMORY_MIN) {
		err_set(e, -E_LIMIT, "a machine needs at least %d MiB of memory",
			(int)(VM_FULL_MEMORY_MIN / MIB));
		err_mend(e, "give it more with -m");
		return -E_LIMIT;
	}
	if (vm->balloon < 0 || vm->balloon > memory)
		return err_set(e, -E_LIMIT, "the machine has %" G_GINT64_FORMAT " MiB of memory",
			memory / MIB);
	if (vm->balloon && vm->no_balloon)
		return err_set(e, -E_INVALID, "the machine has no balloon");
	if (vm->vcpus < 0 || vm->vcpus_max < 0 || MAX(vm->vcpus, vm->vcpus_max) > SPEC_VM_VCPUS_MAX)
		return err_set(
			e, -E_LIMIT, "a machine has at most %d processors", SPEC_VM_VCPUS_MAX);
	if (vm->vcpus_max && vm->vcpus_max < MAX(vm->vcpus, 1))
		return err_set(e, -E_INVALID, "%d processors are more than the most, %d", vm->vcpus,
			vm->vcpus_max);
	if (vm->vnc && vm->vnc[0] != '/' && vnc_display(vm->vnc) < 0)
		return err_set(e, -E_INVALID,
			"invalid VNC address '%s': not :N or an absolute path", vm->vnc);
	if (vm->vnc && vm->vga == VM_VGA_NONE)
		return err_set(e, -E_INVALID, "VNC needs a screen: vga is none");
	return 0;
}

int vm_full_check(const struct spec *s, struct err *e)
{
	const struct spec_vm *vm = s->vm;
	int r = check_numbers(s, e);

	if (vm->disks->len > SPEC_VM_DISKS_MAX)
		r = err_set(e, -E_LIMIT, "a machine has at most %d disks", SPEC_VM_DISKS_MAX);
	for (guint i = 0; r >= 0 && i < vm->disks->len; i++)
		r = check_disk(vm, vm->disks->pdata[i], e);
	if (r >= 0)
		r = check_boot(vm, e);
	if (r >= 0 && s->mounts->len)
		r = unsupported(e, "a machine that boots by itself can't have volumes");
	if (r >= 0 && s->ns[NS_NET].mode != NS_PRIVATE)
		r = unsupported(e, "a machine has its own network, or none");
	return r;
}

/* --- words ------------------------------------------------------------------------------------------------------ */

/* Devices are given as JSON, all of them: QEMU makes those that aren't before those that are, whatever their order. */
static void arg_json(struct vm_build *b, const char *option, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	vm_arg(b, option, text);
	free(text);
	json_decref(j);
}

static const char *root_bus(const struct spec_vm *vm)
{
	return vm->machine == VM_PC ? "pci.0" : "pcie.0";
}

/* A device that stays: driver, id, its PCI slot, then pairs of names and values until NULL. */
static void fixed(struct vm_build *b, const char *driver, const char *id, enum slot slot, ...)
	__attribute__((sentinel));
static void fixed(struct vm_build *b, const char *driver, const char *id, enum slot slot, ...)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:s}", "driver", driver, "id", id, "bus", root_bus(b->spec->vm));
	const char *key;
	char addr[8];
	va_list ap;

	(void)g_snprintf(addr, sizeof(addr), "0x%x", slot);
	json_object_set_new(o, "addr", json_string(addr));
	va_start(ap, slot);
	while ((key = va_arg(ap, const char *)) != NULL)
		json_object_set_new(o, key, json_string(va_arg(ap, const char *)));
	va_end(ap);
	arg_json(b, "-device", o);
}

/* --- the board ------------------------------------------------------------------------------------------------------- */

static int choose_accel(struct vm_build *b, const char *why, struct err *e)
{
	const struct spec_vm *vm = b->spec->vm;

	if (vm->accel == VM_ACCEL_KVM && !b->kvm) {
		err_set(e, -E_UNSUPPORTED, "KVM can't be used: %s", why);
		err_mend(e, "leave out --accel, or use --accel tcg");
		return -E_UNSUPPORTED;
	}
	if (vm->accel == VM_ACCEL_TCG)
		b->kvm = false;
	if (b->kvm)
		vm_arg(b, "-accel", "kvm", "-cpu", vm->cpu ?: "host");
	else
		vm_arg(b, "-accel",
			vm->vcpus > 1 || vm->vcpus_max > 1 ? "tcg,thread=multi"
							   : "tcg,thread=single",
			"-cpu", vm->cpu ?: "max");
	return 0;
}

/* UEFI: its code, and its variables, which are the machine's own file. */
static int firmware(struct vm_build *b, struct err *e)
{
	const struct spec_vm *vm = b->spec->vm;
	struct spec_disk none = { 0 };
	g_autofree char *vars = g_build_filename(b->s->dir, "vars.fd", NULL);

	if (vm->firmware != VM_UEFI)
		return 0;
	if (!vm->firmware_code || (!b->c->explain && access(vm->firmware_code, R_OK) < 0)) {
		err_set(e, -E_UNSUPPORTED, "the machine's UEFI firmware '%s' is not there",
			vm->firmware_code ?: "OVMF");
		err_mend(e, "install ovmf");
		return -E_UNSUPPORTED;
	}
	arg_json(b, "-blockdev",
		vm_disk_node(
			&none, "uefi", "raw", vm_file(b, vm->firmware_code, false), NULL, true));
	arg_json(b, "-blockdev",
		vm_disk_node(&none, "vars", "raw", vm_file(b, vars, true), NULL, false));
	return 0;
}

static void board(struct vm_build *b)
{
	const struct spec *s = b->spec;
	const struct spec_vm *vm = s->vm;
	int n = MAX(vm->vcpus, 1), most = MAX(vm->vcpus_max, n);
	/* without a screen the firmware's words come to the serial port */
	const char *text = vm->vga == VM_VGA_NONE && !vm->no_serial ? ",graphics=off" : "";

	if (vm->machine == VM_MICROVM)
		vm_argf(b, "-machine", "microvm,acpi=on,pcie=on,rtc=on,isa-serial=%s",
			vm->no_serial ? "off" : "on");
	else
		vm_argf(b, "-machine", "%s%s%s", spec_vm_machines[vm->machine], text,
			vm->firmware == VM_UEFI ? ",pflash0=uefi,pflash1=vars" : "");
	if (most > n)
		vm_argf(b, "-smp", "cpus=%d,maxcpus=%d,sockets=%d,cores=1,threads=1", n, most,
			most);
	else
		vm_argf(b, "-smp", "%d", n);
	vm_argf(b, "-m", "%" G_GINT64_FORMAT "M",
		(s->limits.memory ? s->limits.memory : VM_FULL_MEMORY) / MIB);
	vm_argf(b, "-uuid", "%s", vm->uuid);
	if (vm->machine != VM_MICROVM)
		vm_arg(b, "-boot", "strict=on");
}

/* --- a kernel ----------------------------------------------------------------------------------------------------------- */

/* QEMU opens these by name, as its own user, who may read what anybody may. */
static int kernel_file(
	struct vm_build *b, const char *option, const char *path, const char *name, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		if (!b->c->explain)
			return err_set(e, -ENOENT, "the %s '%s' is not there", name, path);
	} else if (!S_ISREG(st.st_mode)) {
		return err_set(e, -E_INVALID, "the %s '%s' is not a file", name, path);
	} else if (!(st.st_mode & S_IROTH)) {
		const char *copy = plan_str(b->p, "%s/%s", b->s->dir, name);

		plan_add(b->p, AT_HOST, &step_copy, copy, path, "644");
		path = copy;
	}
	vm_argf(b, option, "/proc/self/fd/%u", vm_fd_open(b, path, false));
	return 0;
}

static int kernel(struct vm_build *b, struct err *e)
{
	const struct spec_vm *vm = b->spec->vm;
	int r = 0;

	if (!vm->kernel)
		return 0;
	r = kernel_file(b, "-kernel", vm->kernel, "kernel", e);
	if (r >= 0 && vm->initrd)
		r = kernel_file(b, "-initrd", vm->initrd, "initrd", e);
	if (r >= 0 && vm->cmdline)
		vm_arg(b, "-append", vm->cmdline);
	return r;
}

/* --- disks ---------------------------------------------------------------------------------------------------------------- */

static bool any_disk(const struct spec_vm *vm, enum spec_disk_device device, enum spec_disk_bus bus)
{
	for (guint i = 0; i < vm->disks->len; i++) {
		const struct spec_disk *d = vm->disks->pdata[i];

		if (d->bus == bus && (device == _DISK_DEVICE_MAX || d->device == device))
			return true;
	}
	return false;
}

static void root_ports(struct vm_build *b)
{
	for (int i = 0; b->spec->vm->machine == VM_Q35 && i < b->spec->vm->ports; i++) {
		char id[16], addr[16];

		(void)g_snprintf(id, sizeof(id), "port%d", i + 1);
		(void)g_snprintf(addr, sizeof(addr), "0x%x.%d", Q35_PORTS_AT + i / ROOT_PORTS,
			i % ROOT_PORTS);
		arg_json(b, "-device",
			json_pack("{s:s, s:s, s:s, s:s, s:i, s:b}", "driver", "pcie-root-port",
				"id", id, "bus", "pcie.0", "addr", addr, "chassis", i + 1,
				"multifunction", i % ROOT_PORTS == 0));
	}
}

/* SCSI is there also without a disk on it: one can be plugged in. */
static void controllers(struct vm_build *b)
{
	const struct spec_vm *vm = b->spec->vm;

	root_ports(b);
	arg_json(b, "-device",
		json_pack("{s:s, s:s, s:s, s:s, s:i}", "driver", "virtio-scsi-pci", "id", "scsi",
			"bus", root_bus(vm), "addr", plan_str(b->p, "0x%x", SLOT_SCSI),
			"num_queues", vm_queues(vm)));
	if (vm->machine == VM_PC && any_disk(vm, _DISK_DEVICE_MAX, DISK_BUS_SATA))
		fixed(b, "ich9-ahci", "sata", SLOT_SATA, NULL);
	if (vm->usb || vm->tablet || any_disk(vm, _DISK_DEVICE_MAX, DISK_BUS_USB))
		fixed(b, "qemu-xhci", "usb", SLOT_USB, NULL);
	if (vm->machine == VM_Q35 && any_disk(vm, DISK_FLOPPY, DISK_BUS_AUTO))
		arg_json(b, "-device", json_pack("{s:s, s:s}", "driver", "isa-fdc", "id", "fdc"));
	if (vm->tablet)
		arg_json(b, "-device",
			json_pack("{s:s, s:s, s:s}", "driver", "usb-tablet", "id", "tablet", "bus",
				"usb.0"));
}

/* The nodes below it, the lowest first. Returns the name of the top one; NULL: none. */
static const char *backing(struct vm_build *b, const struct spec_disk *d)
{
	const char *below = NULL;

	for (guint i = d->backing->len; i-- > 0;) {
		const struct spec_backing *k = d->backing->pdata[i];
		g_autofree char *path = vm_disk_path(b->s->dir, k->path);
		const char *name = plan_str(b->p, "%s-b%u", d->id, i);

		arg_json(b, "-blockdev",
			vm_disk_node(d, name, k->format, vm_file(b, path, false), below, true));
		below = name;
	}
	return below;
}

static void disk(struct vm_build *b, const struct spec_disk *d)
{
	const char *below;
	bool read_only = d->read_only || d->device == DISK_CDROM;

	if (d->path) {
		g_autofree char *path = vm_disk_path(b->s->dir, d->path);

		below = backing(b, d);
		if (d->snapshot && !read_only) {
			const char *top = plan_str(b->p, "%s/%s.volatile", b->s->dir, d->id);
			const char *name = plan_str(b->p, "%s-base", d->id);

			plan_add(b->p, AT_HOST, &step_disk_create, top, "qcow2", "", path,
				d->format);
			arg_json(b, "-blockdev",
				vm_disk_node(
					d, name, d->format, vm_file(b, path, false), below, true));
			arg_json(b, "-blockdev",
				vm_disk_node(
					d, d->id, "qcow2", vm_file(b, top, true), name, false));
		} else {
			arg_json(b, "-blockdev",
				vm_disk_node(d, d->id, d->format, vm_file(b, path, !read_only),
					below, read_only));
		}
	}
	arg_json(b, "-device", vm_disk_device(b->spec->vm, d));
}

/* --- the rest -------------------------------------------------------------------------------------------------------------- */

static int network(struct vm_build *b, struct err *e)
{
	g_autoptr(GPtrArray) mac = g_ptr_array_new();
	int n = vm_networks(b, mac, e);

	for (int i = 0; i < n && i < (int)b->spec->networks->len; i++) {
		const struct spec_attach *a = b->spec->networks->pdata[i];

		arg_json(b, "-device",
			vm_nic_device(
				b->spec->vm, mac->pdata[i], a->slot, plan_str(b->p, "n%d", i)));
	}
	return n;
}

static void screen(struct vm_build *b)
{
	static const char *const drivers[] = { [VM_VGA_NONE] = NULL,
		[VM_VGA_STD] = "VGA",
		[VM_VGA_VIRTIO] = "virtio-vga",
		[VM_VGA_CIRRUS] = "cirrus-vga",
		[VM_VGA_QXL] = "qxl-vga",
		[VM_VGA_VMWARE] = "vmware-svga" };
	_Static_assert(G_N_ELEMENTS(drivers) == _VM_VGA_MAX, "a driver for each card");
	const struct spec_vm *vm = b->spec->vm;

	vm_arg(b, "-display", "none");
	if (vm->vga != VM_VGA_NONE)
		fixed(b, drivers[vm->vga], "vga", SLOT_VGA, NULL);
	if (!vm->vnc)
		return;
	/* QEMU is in a network namespace of its own and may make no files: it gets a socket that listens */
	vm_arg(b, "-vnc", "none");
	plan_add(b->p, AT_HOST, &step_vnc_listen, vm->vnc);
	plan_add(b->p, AT_PARENT, &step_qmp,
		"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"vnc\"}}", "vnc");
	plan_add(b->p, AT_PARENT, &step_qmp,
		"{\"execute\":\"display-update\",\"arguments\":{\"type\":\"vnc\",\"addresses\":"
		"[{\"type\":\"fd\",\"str\":\"vnc\"}]}}",
		"");
}

static void port(struct vm_build *b, int nr, const char *chardev, const char *name)
{
	arg_json(b, "-device",
		json_pack("{s:s, s:s+, s:s, s:i, s:s, s:s}", "driver", "virtserialport", "id",
			chardev, "-port", "bus", "ports.0", "nr", nr, "chardev", chardev, "name",
			name));
}

static void serial(struct vm_build *b)
{
	const struct spec_vm *vm = b->spec->vm;

	/* the monitor reads it in any case: it is how it learns that the machine lives */
	vm_argf(b, "-chardev", "socket,id=serial,fd=%u", vm_fd_channel(b, "serial"));
	if (!vm->no_serial)
		vm_arg(b, "-serial", "chardev:serial");
	if (!vm->agent && !vm->boot_report)
		return;
	fixed(b, "virtio-serial-pci", "ports", SLOT_SERIAL, NULL);
	if (vm->agent) {
		unsigned fd = b->fd++;

		plan_add(b->opened, AT_CHILD, &step_listen, plan_str(b->p, "%u", fd),
			plan_str(b->p, "%s/agent", b->s->run_dir));
		vm_argf(b, "-chardev", "socket,id=agent,fd=%u,server=on,wait=off", fd);
		port(b, 1, "agent", VM_AGENT_PORT);
	}
	if (vm->boot_report) {
		/* nobody may be there to listen, and it must not fill the host's disk: QEMU keeps the end of it */
		vm_argf(b, "-chardev", "ringbuf,id=boot,size=%d", VM_BOOT_BYTES);
		port(b, 2, "boot", VM_BOOT_PORT);
	}
}

static void small_devices(struct vm_build *b)
{
	const struct spec_vm *vm = b->spec->vm;

	if (!vm->no_balloon)
		fixed(b, "virtio-balloon-pci", "balloon", SLOT_BALLOON, NULL);
	if (vm->rng) {
		vm_arg(b, "-object", "rng-builtin,id=rng");
		fixed(b, "virtio-rng-pci", "rng-device", SLOT_RNG, "rng", "rng", NULL);
	}
	if (vm->balloon)
		plan_add(b->p, AT_PARENT, &step_qmp,
			plan_str(b->p,
				"{\"execute\":\"balloon\",\"arguments\":{\"value\":"
				"%" G_GINT64_FORMAT "}}",
				vm->balloon),
			"");
	if (vm->incoming)
		vm_argf(b, "-incoming", "fd:%u", vm_fd_open(b, vm->incoming, false));
}

int vm_full_argv(struct vm_build *b, const char *kvm_why, struct err *e)
{
	const struct spec_vm *vm = b->spec->vm;
	int r;

	vm_argf(b, "-name", "guest=%s", vm_escape(b, b->s->name));
	vm_arg(b, "-nodefaults", "-no-user-config");
	r = firmware(b, e);
	if (r < 0)
		return r;
	board(b);
	r = choose_accel(b, kvm_why, e);
	if (r >= 0)
		r = kernel(b, e);
	if (r < 0)
		return r;
	vm_argf(b, "-chardev", "socket,id=qmp,fd=%u", vm_fd_channel(b, "qmp"));
	vm_arg(b, "-mon", "chardev=qmp,mode=control");
	serial(b);
	screen(b);
	controllers(b);
	for (guint i = 0; i < vm->disks->len; i++)
		disk(b, vm->disks->pdata[i]);
	r = network(b, e);
	if (r < 0)
		return r;
	small_devices(b);
	vm_arg(b, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	return 0;
}

int vm_plan_full(struct vm_build *b, const char *kvm_why, struct err *e)
{
	int r = vm_full_check(b->spec, e);

	if (r >= 0 && !b->c->explain && !b->s->running)
		r = vm_disks_check(b->spec, b->s->dir, e);
	if (r >= 0)
		r = vm_full_argv(b, kvm_why, e);
	return r < 0 ? r : vm_plan_process(b, e);
}

static void plan_own_disk(const struct engine_start *s, const struct spec_disk *d)
{
	const struct spec_backing *below = d->backing->len ? d->backing->pdata[0] : NULL;
	struct plan *p = s->plan;

	plan_add(p, AT_HOST, &step_disk_create, plan_str(p, "%s/%s", s->dir, d->path), d->format,
		d->size ? plan_str(p, "%" G_GINT64_FORMAT, d->size) : "", below ? below->path : "",
		below ? below->format : "");
}

int vm_plan_full_create(struct ctx *c, const struct engine_start *s, struct err *e)
{
	const struct spec_vm *vm = s->spec->vm;
	g_autofree char *vars = NULL;
	int r;

	for (guint i = 0; i < vm->disks->len; i++) {
		const struct spec_disk *d = vm->disks->pdata[i];

		if (d->own && (d->size || d->backing->len))
			plan_own_disk(s, d);
	}
	if (vm->firmware != VM_UEFI)
		return 0;
	r = vm_firmware_vars(vm->firmware_code, &vars, e);
	if (r < 0)
		return r;
	plan_add(
		s->plan, AT_HOST, &step_copy, plan_str(s->plan, "%s/vars.fd", s->dir), vars, "600");
	return 0;
}
