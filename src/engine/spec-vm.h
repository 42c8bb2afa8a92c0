/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SPEC_VM_H
#define LODGE_SPEC_VM_H

/*
 * The part of a spec that only a machine has. Of a machine from an OCI image (full is false) only the first
 * group counts: its disks are the layers, and its kernel may be NULL. The rest of such a guest, and memory, networks,
 * limits of the host and restarts of both, are in struct spec: limits.memory is the machine's memory.
 */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SPEC_VM_VCPUS_MAX 255
#define SPEC_VM_DISKS_MAX 64
#define SPEC_VM_PORTS	  8  /* places for disks and cards that a q35 has at least */
#define SPEC_VM_PORTS_MAX 64 /* of q35; other machines have 20 */

enum spec_vm_machine {
	VM_Q35,
	VM_PC,
	VM_MICROVM,
	_VM_MACHINE_MAX
};
enum spec_vm_accel {
	VM_ACCEL_AUTO,
	VM_ACCEL_KVM,
	VM_ACCEL_TCG,
	_VM_ACCEL_MAX
};
enum spec_vm_firmware {
	VM_BIOS,
	VM_UEFI,
	_VM_FIRMWARE_MAX
};
enum spec_vm_vga {
	VM_VGA_NONE,
	VM_VGA_STD,
	VM_VGA_VIRTIO,
	VM_VGA_CIRRUS,
	VM_VGA_QXL,
	VM_VGA_VMWARE,
	_VM_VGA_MAX
};
enum spec_vm_nic {
	VM_NIC_VIRTIO,
	VM_NIC_E1000,
	VM_NIC_E1000E,
	VM_NIC_RTL8139,
	_VM_NIC_MAX
};

enum spec_disk_device {
	DISK_DISK,
	DISK_CDROM,
	DISK_FLOPPY,
	_DISK_DEVICE_MAX
};
enum spec_disk_bus {
	DISK_BUS_AUTO, /* a disk: virtio; a CD drive: sata of q35, ide of pc, scsi of microvm; a floppy: its own */
	DISK_BUS_VIRTIO,
	DISK_BUS_SCSI, /* virtio-scsi */
	DISK_BUS_SATA,
	DISK_BUS_IDE,
	DISK_BUS_USB,
	_DISK_BUS_MAX,
};
enum spec_disk_cache {
	DISK_WRITEBACK, /* the host's page cache, flushed when the guest asks */
	DISK_NONE,	/* not the host's page cache (O_DIRECT) */
	DISK_WRITETHROUGH,
	DISK_DIRECTSYNC,
	DISK_UNSAFE, /* flushes are ignored */
	_DISK_CACHE_MAX,
};

/* A file below a disk: what the disk hasn't got itself is read from there. */
struct spec_backing {
	char *path, *format; /* as those of a disk */
	char *snapshot;	     /* the external snapshot whose state of the disk it is, or NULL */
	int64_t created;     /* of that, nanoseconds since 1970 */
	bool own;	     /* the machine's, in the guest's folder */
	bool merging; /* what lies over it is being written into it: the snapshot's state is gone */
};

struct spec_disk {
	char *id; /* unique in the machine: letters, digits, '-', '_'; the name of its device and nodes */
	char *path; /* absolute, or relative to the guest's folder; NULL: a drive without a medium */
	char *format; /* "raw", "qcow2", "vmdk", "vdi", "vhdx" ...; never guessed by QEMU. NULL: with path NULL */
	enum spec_disk_device device;
	enum spec_disk_bus bus;
	enum spec_disk_cache cache;
	bool read_only;
	bool discard;  /* the guest's discards (TRIM) reach the file */
	bool snapshot; /* what is written is gone at the machine's end */
	char *serial;  /* what the guest reads as the serial number */
	int boot;      /* the firmware's order, from 1; 0: not in it */
	int slot; /* its place on the machine's bus, from 1: kept, so that names inside stay; 0: none */
	bool own; /* its file is the machine's, in the guest's folder: made and removed with it */
	int64_t size; /* of an own one: bytes that the guest sees; 0: those of the file below */
	/* struct spec_backing, top first. It was read from the file's header once, when the disk was given: a
	 * machine that broke into its QEMU can write that header, and would be given any file of the host. */
	GPtrArray *backing;
};

struct spec_vm {
	bool full; /* boots by itself; false: an OCI image, booted by our own init */
	enum spec_vm_machine machine;
	enum spec_vm_accel accel;
	char *cpu;	 /* model and flags as QEMU names them; NULL: the best of the accelerator */
	int vcpus;	 /* 0: one */
	int vcpus_max;	 /* how many can be plugged in; 0: vcpus */
	int64_t balloon; /* bytes that the balloon leaves to the guest; 0: all of limits.memory */
	char *kernel, *initrd, *cmdline; /* booted directly; paths of the host; NULL: none */

	/* full machines only */
	enum spec_vm_firmware firmware;
	char *firmware_code;  /* path; its variables are the file vars.fd of the guest's folder */
	GPtrArray *disks;     /* struct spec_disk */
	enum spec_vm_nic nic; /* model of all of spec.networks */
	enum spec_vm_vga vga;
	char *vnc;	  /* ":N" (of 127.0.0.1) or the path of a socket; NULL: none */
	int ports;	  /* places for devices that can be plugged; 0: not chosen yet */
	bool usb;	  /* a USB controller, also without tablet or USB disks */
	bool tablet;	  /* USB tablet: an absolute pointer, for VNC */
	bool rng;	  /* virtio-rng */
	bool no_balloon;  /* without virtio-balloon */
	bool no_serial;	  /* without the serial console */
	bool agent;	  /* a port for the guest agent */
	bool boot_report; /* a port by which the guest tells how its boot went (image/seed.h) */
	char *uuid;	  /* SMBIOS; NULL: made of the guest's id */
	char *incoming;	  /* path of a saved state to go on from: of one start, not in a record */
};

/* Every field "not given", the list made. Never NULL. Belongs to the spec that it's put into. */
struct spec_vm *spec_vm_new(void);
void spec_vm_free(struct spec_vm *vm);

/* A disk at the end of the list, which frees it. Strings are copied, NULL is kept. */
struct spec_disk *spec_vm_add_disk(
	struct spec_vm *vm, const char *id, const char *path, const char *format);
void spec_disk_add_backing(struct spec_disk *d, const char *path, const char *format);
/* NULL: no disk has that id. */
struct spec_disk *spec_vm_disk(const struct spec_vm *vm, const char *id);
void spec_vm_remove_disk(struct spec_vm *vm, const char *id);
/* A free id: PREFIX and a number from 0. Caller frees. */
char *spec_vm_disk_id(const struct spec_vm *vm, const char *prefix);

/* The words that JSON and the command line have for the enums; NULL-terminated. */
extern const char *const spec_vm_machines[];
extern const char *const spec_vm_accels[];
extern const char *const spec_vm_firmwares[];
extern const char *const spec_vm_vgas[];
extern const char *const spec_vm_nics[];
extern const char *const spec_disk_devices[];
extern const char *const spec_disk_buses[];
extern const char *const spec_disk_caches[];

#endif
