/* SPDX-License-Identifier: MIT */
#include "engine/spec-vm.h"

#include <string.h>
#include "base/macros.h"
#include "engine/spec-vm-priv.h"

/* clang-format off */
const char *const spec_vm_machines[] = {
	[VM_Q35] = "q35", [VM_PC] = "pc", [VM_MICROVM] = "microvm", NULL
};
_Static_assert(ELEMENTSOF(spec_vm_machines) == _VM_MACHINE_MAX + 1, "every machine has a name");

const char *const spec_vm_accels[] = {
	[VM_ACCEL_AUTO] = "auto", [VM_ACCEL_KVM] = "kvm", [VM_ACCEL_TCG] = "tcg", NULL
};
_Static_assert(ELEMENTSOF(spec_vm_accels) == _VM_ACCEL_MAX + 1, "every accelerator has a name");

const char *const spec_vm_firmwares[] = { [VM_BIOS] = "bios", [VM_UEFI] = "uefi", NULL };
_Static_assert(ELEMENTSOF(spec_vm_firmwares) == _VM_FIRMWARE_MAX + 1, "every firmware has a name");

const char *const spec_vm_vgas[] = {
	[VM_VGA_NONE] = "none", [VM_VGA_STD] = "std", [VM_VGA_VIRTIO] = "virtio",
	[VM_VGA_CIRRUS] = "cirrus", [VM_VGA_QXL] = "qxl", [VM_VGA_VMWARE] = "vmware", NULL
};
_Static_assert(ELEMENTSOF(spec_vm_vgas) == _VM_VGA_MAX + 1, "every card has a name");

const char *const spec_vm_nics[] = {
	[VM_NIC_VIRTIO] = "virtio", [VM_NIC_E1000] = "e1000", [VM_NIC_E1000E] = "e1000e",
	[VM_NIC_RTL8139] = "rtl8139", NULL
};
_Static_assert(ELEMENTSOF(spec_vm_nics) == _VM_NIC_MAX + 1, "every card has a name");

const char *const spec_disk_devices[] = {
	[DISK_DISK] = "disk", [DISK_CDROM] = "cdrom", [DISK_FLOPPY] = "floppy", NULL
};
_Static_assert(ELEMENTSOF(spec_disk_devices) == _DISK_DEVICE_MAX + 1, "every device has a name");

const char *const spec_disk_buses[] = {
	[DISK_BUS_AUTO] = "auto", [DISK_BUS_VIRTIO] = "virtio", [DISK_BUS_SCSI] = "scsi",
	[DISK_BUS_SATA] = "sata", [DISK_BUS_IDE] = "ide", [DISK_BUS_USB] = "usb", NULL
};
_Static_assert(ELEMENTSOF(spec_disk_buses) == _DISK_BUS_MAX + 1, "every bus has a name");

const char *const spec_disk_caches[] = {
	[DISK_WRITEBACK] = "writeback", [DISK_NONE] = "none", [DISK_WRITETHROUGH] = "writethrough",
	[DISK_DIRECTSYNC] = "directsync", [DISK_UNSAFE] = "unsafe", NULL
};
_Static_assert(ELEMENTSOF(spec_disk_caches) == _DISK_CACHE_MAX + 1, "every mode has a name");

static void backing_free(void *p);
static const struct json_field backing_fields[] = {
	JSON_STRING(struct spec_backing, path, "path", JSON_REQUIRED),
	JSON_STRING(struct spec_backing, format, "format", JSON_REQUIRED),
	JSON_STRING(struct spec_backing, snapshot, "snapshot", 0),
	JSON_INT64(struct spec_backing, created, "created", 0),
	JSON_BOOL(struct spec_backing, own, "own"),
	JSON_BOOL(struct spec_backing, merging, "merging"),
	JSON_END
};
static const struct json_struct backing_struct = {
	sizeof(struct spec_backing), backing_fields, backing_free
};

static void disk_free(void *p);
static const struct json_field disk_fields[] = {
	JSON_STRING(struct spec_disk, id, "id", JSON_REQUIRED),
	JSON_STRING(struct spec_disk, path, "path", 0),
	JSON_STRING(struct spec_disk, format, "format", 0),
	JSON_ENUM(struct spec_disk, device, enum spec_disk_device, "device", spec_disk_devices, DISK_DISK),
	JSON_ENUM(struct spec_disk, bus, enum spec_disk_bus, "bus", spec_disk_buses, DISK_BUS_AUTO),
	JSON_ENUM(struct spec_disk, cache, enum spec_disk_cache, "cache", spec_disk_caches, DISK_WRITEBACK),
	JSON_BOOL(struct spec_disk, read_only, "read_only"),
	JSON_BOOL(struct spec_disk, discard, "discard"),
	JSON_BOOL(struct spec_disk, snapshot, "snapshot"),
	JSON_STRING(struct spec_disk, serial, "serial", 0),
	JSON_INT(struct spec_disk, boot, "boot", 0),
	JSON_INT(struct spec_disk, slot, "slot", 0),
	JSON_BOOL(struct spec_disk, own, "own"),
	JSON_INT64(struct spec_disk, size, "size", 0),
	JSON_LIST(struct spec_disk, backing, "backing", &backing_struct),
	JSON_END
};
static const struct json_struct disk_struct = { sizeof(struct spec_disk), disk_fields, disk_free };

static void vm_free(void *p);
static const struct json_field vm_fields[] = {
	JSON_BOOL(struct spec_vm, full, "full"),
	JSON_ENUM(struct spec_vm, machine, enum spec_vm_machine, "machine", spec_vm_machines, VM_Q35),
	JSON_ENUM(struct spec_vm, accel, enum spec_vm_accel, "accel", spec_vm_accels, VM_ACCEL_AUTO),
	JSON_STRING(struct spec_vm, cpu, "cpu", 0),
	JSON_INT(struct spec_vm, vcpus, "vcpus", 0),
	JSON_INT(struct spec_vm, vcpus_max, "vcpus_max", 0),
	JSON_INT64(struct spec_vm, balloon, "balloon", 0),
	JSON_STRING(struct spec_vm, kernel, "kernel", 0),
	JSON_STRING(struct spec_vm, initrd, "initrd", 0),
	JSON_STRING(struct spec_vm, cmdline, "cmdline", 0),

	JSON_ENUM(struct spec_vm, firmware, enum spec_vm_firmware, "firmware", spec_vm_firmwares, VM_BIOS),
	JSON_STRING(struct spec_vm, firmware_code, "firmware_code", 0),
	JSON_LIST(struct spec_vm, disks, "disks", &disk_struct),
	JSON_ENUM(struct spec_vm, nic, enum spec_vm_nic, "nic", spec_vm_nics, VM_NIC_VIRTIO),
	JSON_ENUM(struct spec_vm, vga, enum spec_vm_vga, "vga", spec_vm_vgas, VM_VGA_NONE),
	JSON_STRING(struct spec_vm, vnc, "vnc", 0),
	JSON_INT(struct spec_vm, ports, "ports", 0),
	JSON_BOOL(struct spec_vm, usb, "usb"),
	JSON_BOOL(struct spec_vm, tablet, "tablet"),
	JSON_BOOL(struct spec_vm, rng, "rng"),
	JSON_BOOL(struct spec_vm, no_balloon, "no_balloon"),
	JSON_BOOL(struct spec_vm, no_serial, "no_serial"),
	JSON_BOOL(struct spec_vm, agent, "agent"),
	JSON_STRING(struct spec_vm, uuid, "uuid", 0),
	JSON_BOOL(struct spec_vm, boot_report, "boot_report"),
	JSON_STRING(struct spec_vm, incoming, "incoming", 0),
	JSON_END
};
const struct json_struct spec_vm_struct = { sizeof(struct spec_vm), vm_fields, vm_free };
/* clang-format on */

static void backing_free(void *p)
{
	json_struct_free(&backing_struct, p);
}

static void disk_free(void *p)
{
	json_struct_free(&disk_struct, p);
}

static void vm_free(void *p)
{
	json_struct_free(&spec_vm_struct, p);
}

struct spec_vm *spec_vm_new(void)
{
	struct spec_vm *vm = g_new(struct spec_vm, 1);

	json_struct_init(&spec_vm_struct, vm);
	return vm;
}

void spec_vm_free(struct spec_vm *vm)
{
	json_struct_free(&spec_vm_struct, vm);
}

void spec_disk_add_backing(struct spec_disk *d, const char *path, const char *format)
{
	struct spec_backing *b = json_list_add(&backing_struct, d->backing);

	b->path = g_strdup(path);
	b->format = g_strdup(format);
}

struct spec_disk *spec_vm_add_disk(
	struct spec_vm *vm, const char *id, const char *path, const char *format)
{
	struct spec_disk *d = json_list_add(&disk_struct, vm->disks);

	d->id = g_strdup(id);
	d->path = g_strdup(path);
	d->format = g_strdup(format);
	return d;
}

struct spec_disk *spec_vm_disk(const struct spec_vm *vm, const char *id)
{
	for (guint i = 0; i < vm->disks->len; i++) {
		struct spec_disk *d = vm->disks->pdata[i];

		if (strcmp(d->id, id) == 0)
			return d;
	}
	return NULL;
}

void spec_vm_remove_disk(struct spec_vm *vm, const char *id)
{
	struct spec_disk *d = spec_vm_disk(vm, id);

	if (d)
		g_ptr_array_remove(vm->disks, d);
}

char *spec_vm_disk_id(const struct spec_vm *vm, const char *prefix)
{
	for (unsigned i = 0;; i++) {
		g_autofree char *id = g_strdup_printf("%s%u", prefix, i);

		if (!spec_vm_disk(vm, id))
			return g_steal_pointer(&id);
	}
}
