/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_KERNEL_H
#define LODGE_VM_KERNEL_H

/*
 * The kernel that machines from OCI images boot, prepared once:
 *
 *   ROOT/kernels/RELEASE-N/    N counts what was prepared; world readable, for QEMU's own user
 *     vmlinux                  uncompressed ELF with the PVH note: for machines that boot by PVH
 *     bzImage                  the kernel as it came
 *     initrd                   newc cpio: lodge-init as /init, /order, /modules/FILE.ko
 *     modules                  a line a feature: what to load for it
 *     source                   what all this was made from; when that changed, it is made anew
 *
 * The host's own kernel is taken where /boot has one that machines can use; else Debian's
 * linux-image-cloud-ARCH is fetched from the mirror (signatures checked) and unpacked by us.
 *
 * On start lodge-init loads what /order names: the transport that the machine has (virtio over PCI or
 * MMIO), console port, block devices, EROFS and overlay. All else are features, for step "module" of the
 * machine's plan.
 */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

/*
 * Words for the command line of such a kernel, beside those of the machine (console, tsc_early_khz under
 * emulation). loglevel=1: a panic isn't heard with 0.
 *
 * Under emulation every instruction counts, and no processor speculates: memory isn't zeroed twice, one LSM is set
 * up instead of seven, no certificates are parsed and RSA isn't tested (our modules have no signatures),
 * /sys/kernel/slab isn't filled, the names of enumerations in the formats of trace events stay names (70 ms), and
 * tracefs is empty instead of filled with the files of 1,500 events (100 ms): a machine that traces its kernel wants
 * KVM. A kernel without such an initcall passes over its name.
 */
#define VM_KERNEL_CMDLINE \
	"quiet loglevel=1 panic=-1 random.trust_cpu=on cryptomgr.notests audit=0 8250.nr_uarts=1"
#define VM_KERNEL_CMDLINE_EMULATED                                                                 \
	"mitigations=off nokaslr init_on_alloc=0 lsm=landlock initcall_blacklist=slab_sysfs_init," \
	"trace_eval_init,tracer_init_tracefs,"                                                     \
	"load_system_certificate_list,rsa_init,crypto_kdf108_init"

struct vm_kernel {
	char *release; /* "6.1.0-56-cloud-amd64" */
	char *dir;     /* ROOT/kernels/RELEASE-N */
	char *vmlinux, *bzimage, *initrd;
	GHashTable *features; /* name -> char **: see vm_kernel_modules() */
};

enum {
	VM_KERNEL_PREPARED =
		1 << 0, /* only one that is there: -E_NOTFOUND otherwise, nothing is made */
	VM_KERNEL_QUIET = 1 << 1, /* no line of progress on standard error */
};

/* Finds or prepares one. The first time takes seconds, with the mirror minutes. vm_kernel_free(*ret). */
int vm_kernel_get(struct ctx *c, uint32_t flags, struct vm_kernel **ret, struct err *e);
void vm_kernel_free(struct vm_kernel *k);
void vm_kernel_freep(struct vm_kernel **k);

/*
 * The modules for the features, in the order of loading, each once: names for step "module". Features:
 * "net" (virtio), "scsi" (virtio, with disks and CD-ROMs), "fs" (virtiofs), "rng", "balloon", "ext4", "vfat",
 * "iso9660", "tun", "loop", "nvme", "fuse". What is built into the
 * kernel needs none. -E_UNSUPPORTED: this kernel hasn't got the feature. NULL at the end; g_strfreev(*ret).
 */
int vm_kernel_modules(
	const struct vm_kernel *k, const char *const *features, char ***ret, struct err *e);

#endif
