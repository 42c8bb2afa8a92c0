/* SPDX-License-Identifier: MIT */
/* Devices and their places. Pure. */
#include "engine/vm/full.h"

#include <string.h>

#define PC_PORTS     20
#define PC_FIRST     0x9  /* the slots below are those of devices that stay: full.c */
#define Q35_FIRST    0x10 /* slots of root ports, eight in each */
#define SATA_PORTS   6
#define IDE_UNITS    4
#define FLOPPY_UNITS 2
#define USB_PORTS    4
#define SCSI_TARGETS 64
#define SPARE_PORTS  4
#define QUEUES_MAX   8

/* --- places ------------------------------------------------------------------------------------------------- */

static enum spec_disk_bus default_bus(const struct spec_vm *vm, const struct spec_disk *d)
{
	if (d->device == DISK_DISK)
		return DISK_BUS_VIRTIO;
	if (d->device == DISK_FLOPPY)
		return DISK_BUS_AUTO; /* its own */
	return vm->machine == VM_Q35  ? DISK_BUS_SATA
	       : vm->machine == VM_PC ? DISK_BUS_IDE
				      : DISK_BUS_SCSI;
}

static int places_of(const struct spec_vm *vm, enum spec_disk_bus bus)
{
	switch (bus) {
	case DISK_BUS_VIRTIO:
		return vm->ports;
	case DISK_BUS_SCSI:
		return SCSI_TARGETS;
	case DISK_BUS_SATA:
		return SATA_PORTS;
	case DISK_BUS_IDE:
		return IDE_UNITS;
	case DISK_BUS_USB:
		return USB_PORTS;
	default:
		return FLOPPY_UNITS;
	}
}

static bool is_taken(const struct spec *s, enum spec_disk_bus bus, int slot)
{
	for (guint i = 0; i < s->vm->disks->len; i++) {
		const struct spec_disk *d = s->vm->disks->pdata[i];

		if (d->bus == bus && d->slot == slot)
			return true;
	}
	for (guint i = 0; bus == DISK_BUS_VIRTIO && i < s->networks->len; i++)
		if (((const struct spec_attach *)s->networks->pdata[i])->slot == slot)
			return true;
	return false;
}

/* The first free one; 0: none. */
static int free_place(const struct spec *s, enum spec_disk_bus bus)
{
	for (int slot = 1; slot <= places_of(s->vm, bus); slot++)
		if (!is_taken(s, bus, slot))
			return slot;
	return 0;
}

static int no_place(const struct spec *s, enum spec_disk_bus bus, const char *what, struct err *e)
{
	err_set(e, -E_LIMIT, "no place for '%s': the machine's %d places of bus '%s' are taken",
		what, places_of(s->vm, bus),
		bus == DISK_BUS_AUTO ? "floppy" : spec_disk_buses[bus]);
	if (bus != DISK_BUS_SCSI)
		err_mend(e, "take something out, or use bus=scsi, which has %d", SCSI_TARGETS);
	return -E_LIMIT;
}

static void choose_ports(struct spec *s)
{
	int used = (int)s->networks->len,
	    most = s->vm->machine == VM_Q35 ? SPEC_VM_PORTS_MAX : PC_PORTS;

	for (guint i = 0; i < s->vm->disks->len; i++)
		used += ((const struct spec_disk *)s->vm->disks->pdata[i])->bus == DISK_BUS_VIRTIO;
	s->vm->ports =
		s->vm->machine == VM_Q35 ? CLAMP(used + SPARE_PORTS, SPEC_VM_PORTS, most) : most;
}

static int place_disks(struct spec *s, struct err *e)
{
	for (guint i = 0; i < s->vm->disks->len; i++) {
		struct spec_disk *d = s->vm->disks->pdata[i];

		if (d->slot)
			continue;
		d->slot = free_place(s, d->bus);
		if (!d->slot)
			return no_place(s, d->bus, d->id, e);
	}
	return 0;
}

/* As random as the guest's id, and the same at each start. */
static char *make_mac(const char *id, int slot)
{
	unsigned v = 0;

	for (const char *p = id; *p && p < id + 16; p++)
		v = v * 31 + (unsigned char)*p;
	v += (unsigned)slot;
	return g_strdup_printf("52:54:00:%02x:%02x:%02x", v >> 16 & 0xff, v >> 8 & 0xff, v & 0xff);
}

static int place_nics(struct spec *s, const char *id, struct err *e)
{
	for (guint i = 0; i < s->networks->len; i++) {
		struct spec_attach *a = s->networks->pdata[i];

		if (!a->slot)
			a->slot = free_place(s, DISK_BUS_VIRTIO);
		if (!a->slot)
			return no_place(s, DISK_BUS_VIRTIO, a->network, e);
		if (!a->mac)
			a->mac = make_mac(id, a->slot);
	}
	return 0;
}

int vm_full_place(struct spec *s, const char *id, struct err *e)
{
	struct spec_vm *vm = s->vm;
	int r;

	for (guint i = 0; i < vm->disks->len; i++) {
		struct spec_disk *d = vm->disks->pdata[i];

		if (d->bus == DISK_BUS_AUTO)
			d->bus = default_bus(vm, d);
	}
	if (!vm->ports)
		choose_ports(s);
	if (!vm->uuid)
		vm->uuid = g_strdup_printf(
			"%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
	/* cards first: their names inside come from their places */
	r = place_nics(s, id, e);
	return r < 0 ? r : place_disks(s, e);
}

/* --- devices --------------------------------------------------------------------------------------------------- */

static void put(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value));
}

static void putf(json_t *o, const char *key, const char *fmt, ...) _printf_(3, 4);
static void putf(json_t *o, const char *key, const char *fmt, ...)
{
	g_autofree char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	put(o, key, s);
}

static void put_pci_place(json_t *o, const struct spec_vm *vm, int slot)
{
	if (vm->machine == VM_Q35) {
		putf(o, "bus", "port%d", slot);
		return;
	}
	put(o, "bus", vm->machine == VM_PC ? "pci.0" : "pcie.0");
	putf(o, "addr", "0x%x", PC_FIRST + slot - 1);
}

static const char *disk_driver(const struct spec_disk *d)
{
	bool cd = d->device == DISK_CDROM;

	switch (d->bus) {
	case DISK_BUS_SCSI:
		return cd ? "scsi-cd" : "scsi-hd";
	case DISK_BUS_SATA:
	case DISK_BUS_IDE:
		return cd ? "ide-cd" : "ide-hd";
	case DISK_BUS_USB:
		return "usb-storage";
	case DISK_BUS_VIRTIO:
		return "virtio-blk-pci";
	default:
		return "floppy";
	}
}

static void put_disk_place(json_t *o, const struct spec_vm *vm, const struct spec_disk *d)
{
	switch (d->bus) {
	case DISK_BUS_SCSI:
		put(o, "bus", "scsi.0");
		json_object_set_new(o, "scsi-id", json_integer(d->slot - 1));
		break;
	case DISK_BUS_SATA:
		putf(o, "bus", "%s.%d", vm->machine == VM_Q35 ? "ide" : "sata", d->slot - 1);
		break;
	case DISK_BUS_IDE:
		putf(o, "bus", "ide.%d", (d->slot - 1) / 2);
		json_object_set_new(o, "unit", json_integer((d->slot - 1) % 2));
		break;
	case DISK_BUS_USB:
		put(o, "bus", "usb.0");
		putf(o, "port", "%d", d->slot);
		break;
	case DISK_BUS_VIRTIO:
		put_pci_place(o, vm, d->slot);
		break;
	default:
		json_object_set_new(o, "unit", json_integer(d->slot - 1));
		break;
	}
}

static bool writes_through(const struct spec_disk *d)
{
	return d->cache == DISK_WRITETHROUGH || d->cache == DISK_DIRECTSYNC;
}

int vm_queues(const struct spec_vm *vm)
{
	return CLAMP(MAX(vm->vcpus_max, vm->vcpus), 1, QUEUES_MAX);
}

json_t *vm_disk_device(const struct spec_vm *vm, const struct spec_disk *d)
{
	json_t *o = json_object();

	put(o, "driver", disk_driver(d));
	put(o, "id", d->id);
	put_disk_place(o, vm, d);
	if (d->path)
		put(o, "drive", d->id);
	if (d->bus == DISK_BUS_VIRTIO)
		json_object_set_new(o, "num-queues", json_integer(vm_queues(vm)));
	if (d->device == DISK_DISK)
		put(o, "write-cache", writes_through(d) ? "off" : "on");
	if (d->serial)
		put(o, "serial", d->serial);
	if (d->boot)
		json_object_set_new(o, "bootindex", json_integer(d->boot));
	return o;
}

char *vm_nic_id(const char *mac)
{
	g_auto(GStrv) parts = g_strsplit(mac, ":", 0);
	g_autofree char *digits = g_strjoinv("", parts), *low = g_ascii_strdown(digits, -1);

	return g_strconcat("net-", low, NULL);
}

json_t *vm_nic_device(const struct spec_vm *vm, const char *mac, int slot, const char *netdev)
{
	static const char *const drivers[] = { [VM_NIC_VIRTIO] = "virtio-net-pci",
		[VM_NIC_E1000] = "e1000",
		[VM_NIC_E1000E] = "e1000e",
		[VM_NIC_RTL8139] = "rtl8139" };
	_Static_assert(G_N_ELEMENTS(drivers) == _VM_NIC_MAX, "a driver for each model");
	g_autofree char *id = vm_nic_id(mac);
	json_t *o = json_object();

	put(o, "driver", drivers[vm->nic]);
	put(o, "id", id);
	put_pci_place(o, vm, slot);
	put(o, "netdev", netdev);
	put(o, "mac", mac);
	/* no firmware of its own: it would be run at each boot, to boot from nowhere */
	put(o, "romfile", "");
	return o;
}

const char *vm_disk_fixed(const struct spec_vm *vm, const struct spec_disk *d)
{
	if (d->bus == DISK_BUS_SCSI || d->bus == DISK_BUS_USB)
		return NULL;
	if (d->bus == DISK_BUS_VIRTIO)
		return vm->machine == VM_MICROVM ? "a microvm has no places to plug into" : NULL;
	return "its bus can't be plugged while the machine runs";
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

json_t *vm_disk_node(const struct spec_disk *d, const char *name, const char *format,
	const char *file, const char *below, bool read_only)
{
	bool direct = d->cache == DISK_NONE || d->cache == DISK_DIRECTSYNC;
	json_t *o = json_object(), *f = json_object();

	put(f, "driver", "file");
	putf(f, "node-name", "%s-file", name);
	put(f, "filename", file);
	put(o, "driver", format);
	put(o, "node-name", name);
	json_object_set_new(o, "read-only", json_boolean(read_only));
	if (d->discard && !read_only) {
		put(o, "discard", "unmap");
		put(f, "discard", "unmap");
	}
	if (direct || d->cache == DISK_UNSAFE) {
		json_t *cache = json_pack(
			"{s:b, s:b}", "direct", direct, "no-flush", d->cache == DISK_UNSAFE);

		json_object_set_new(o, "cache", cache);
		json_object_set(f, "cache", cache);
	}
	json_object_set_new(o, "file", f);
	if (below)
		put(o, "backing", below);
	else if (strcmp(format, "qcow2") == 0 || strcmp(format, "qed") == 0 ||
		 strcmp(format, "vmdk") == 0)
		json_object_set_new(o, "backing", json_null());
	return o;
}

char *vm_disk_path(const char *dir, const char *path)
{
	return path[0] == '/' ? g_strdup(path) : g_build_filename(dir, path, NULL);
}
