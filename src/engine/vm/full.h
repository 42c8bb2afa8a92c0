/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_FULL_H
#define LODGE_VM_FULL_H

/*
 * Machines that boot by themselves: from a disk, a CD, or a kernel. What QEMU is told on its command line, and
 * the same for devices that come while it runs, is said in one place, so that the next start has a device where
 * it was plugged in.
 *
 * Names in QEMU: a disk's device is its id; its nodes are ID (the format) and ID-file, those below it ID-b0,
 * ID-b0-file, ... A card is net-MAC without colons. A device with a place is on the bus "portN" of a q35.
 */

#include <jansson.h>
#include "engine/vm/argv.h"

#define VM_FULL_MEMORY	   (INT64_C(1) << 30) /* bytes, when nobody says otherwise */
#define VM_FULL_MEMORY_MIN (INT64_C(16) << 20)
#define VM_AGENT_PORT	   "org.qemu.guest_agent.0"
#define VM_BOOT_PORT	   "org.lodge.boot" /* = SEED_PORT of image/seed.h */
#define VM_BOOT_BYTES	   65536	    /* what is kept of it until somebody reads */

/* The steps of a start. kvm_why: why there is no KVM, where b->kvm is false. */
int vm_plan_full(struct vm_build *b, const char *kvm_why, struct err *e);
/* Of it, QEMU's command line and descriptors. */
int vm_full_argv(struct vm_build *b, const char *kvm_why, struct err *e);
/* Files in a new machine's folder: the firmware's variables. */
int vm_plan_full_create(struct ctx *c, const struct engine_start *s, struct err *e);

/* What can be known without the host: contradictions, things that QEMU or the machine type hasn't got. */
int vm_full_check(const struct spec *s, struct err *e);
/* Fills in what must not change any more: buses and places of disks and cards, addresses of cards (id: the
 * guest's), the machine's UUID. -E_LIMIT when there are no more places. What is there already stays. */
int vm_full_place(struct spec *s, const char *id, struct err *e);

/* --- one device, as QMP's device_add takes it ------------------------------------------------------------- */

/* Of a virtio controller: one a processor that can be plugged in. QEMU's own choice changes with those that are, and a
 * saved state can't be read then. */
int vm_queues(const struct spec_vm *vm);
/* {"driver", "id", ...}: of a disk that has its place. Caller owns it. */
json_t *vm_disk_device(const struct spec_vm *vm, const struct spec_disk *d);
json_t *vm_nic_device(const struct spec_vm *vm, const char *mac, int slot, const char *netdev);
/* "net-525400123456". Caller frees. */
char *vm_nic_id(const char *mac);
/* For blockdev-add: the node NAME of that format, over "/dev/fdset/N". below: the node with what it hasn't got
 * itself, or NULL: nothing, whatever its header says. */
json_t *vm_disk_node(const struct spec_disk *d, const char *name, const char *format,
	const char *file, const char *below, bool read_only);
/* What device is plugged out of: NULL when it can be, else why not. Static. */
const char *vm_disk_fixed(const struct spec_vm *vm, const struct spec_disk *d);

/* The file of a disk: absolute, or in dir. Caller frees. */
char *vm_disk_path(const char *dir, const char *path);

#endif
