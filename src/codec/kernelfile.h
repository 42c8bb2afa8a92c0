/* SPDX-License-Identifier: MIT */
#ifndef LODGE_KERNELFILE_H
#define LODGE_KERNELFILE_H

/*
 * What is in the files of a Linux kernel: a bzImage, the ELF in it, modules, /boot/config-*. Pure; nothing is
 * believed before it was held against the size. Documentation/arch/x86/boot.rst of the kernel, elf(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bzimage {
	const uint8_t *payload; /* the compressed kernel: see unpack.h */
	size_t payload_size;
	char release[64]; /* "6.1.0-56-cloud-amd64" */
};

/* -EINVAL: not a bzImage, or one before boot protocol 2.08 (Linux 2.6.26). */
int bzimage_parse(const void *data, size_t size, struct bzimage *ret);

/* Whether a 64-bit vmlinux says where it is to be entered by PVH (a note of Xen's, type 18). */
bool vmlinux_has_pvh(const void *data, size_t size);

/*
 * Of a module, the n-th (from 0) value of `key` in its .modinfo, as "depends" or "name"; *ret lies in data and
 * isn't ended by NUL. False: there is none, or this is no module.
 */
bool kmod_info(const void *data, size_t size, const char *key, unsigned n, const char **ret,
	size_t *ret_size);

/* The size without the signature that is appended to modules: checking it takes the kernel milliseconds, and
 * proves nothing about a file of our own initramfs. */
size_t kmod_unsigned_size(const void *data, size_t size);

/* 'y', 'm', or 'n' (also where it isn't mentioned) of CONFIG_NAME in text. */
char kconfig_get(const char *text, const char *name);

#endif
