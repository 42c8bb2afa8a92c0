/* SPDX-License-Identifier: MIT */
/* What inspect says of a machine. */

#include "dialect/lodge/vm.h"
#include "engine/vm/full.h"
#include "guest/machine.h"

static json_t *text(const char *s)
{
	return s ? json_string(s) : json_null();
}

static json_t *disk_of(const struct guest *g, const char *dir, const struct spec_disk *d)
{
	g_autofree char *path = d->path ? vm_disk_path(dir, d->path) : NULL;
	json_t *below = json_array();

	for (guint i = 0; i < d->backing->len; i++) {
		const struct spec_backing *b = d->backing->pdata[i];
		g_autofree char *file = vm_disk_path(dir, b->path);

		json_array_append_new(
			below, json_pack("{s:s, s:s}", "Path", file, "Format", b->format));
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:s, s:i, s:o}", "Id", d->id,
		"Device", spec_disk_devices[d->device], "Bus", spec_disk_buses[d->bus], "Path",
		text(path), "Format", text(d->format), "Serial", text(d->serial), "ReadOnly",
		d->read_only, "Volatile", d->snapshot, "Cache", spec_disk_caches[d->cache], "Boot",
		d->boot, "Backing", below);
}

json_t *vm_inspect(struct ctx *c, struct guest *g)
{
	g_autofree char *dir = store_path(c, "guests/%s", g->rec->id);
	json_t *disks = json_array(), *boot = NULL;
	const struct spec_vm *vm;
	int64_t memory;

	/* first: it reads the guest's record anew */
	if (g->spec->vm->boot_report)
		(void)machine_boot_result(c, g, 0, &boot, NULL);
	vm = g->spec->vm;
	memory = g->spec->limits.memory ?: VM_FULL_MEMORY;
	for (guint i = 0; i < vm->disks->len; i++)
		json_array_append_new(disks, disk_of(g, dir, vm->disks->pdata[i]));
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:i, s:i, s:I, s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
		"Type", spec_vm_machines[vm->machine], "Accelerator", spec_vm_accels[vm->accel],
		"Firmware", spec_vm_firmwares[vm->firmware], "Cpu", text(vm->cpu), "Processors",
		MAX(vm->vcpus, 1), "ProcessorsMax", MAX(vm->vcpus_max, MAX(vm->vcpus, 1)), "Memory",
		(json_int_t)memory, "MemoryNow", (json_int_t)(vm->balloon ?: memory), "Kernel",
		text(vm->kernel), "Initrd", text(vm->initrd), "CommandLine", text(vm->cmdline),
		"Vga", spec_vm_vgas[vm->vga], "Vnc", text(vm->vnc), "Uuid", text(vm->uuid), "Disks",
		disks, "Boot", boot ?: json_null());
}
