/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_FIRMWARE_H
#define LODGE_VM_FIRMWARE_H

/*
 * UEFI firmware of the host, by the descriptors that its packages leave for QEMU's users
 * (qemu/docs/interop/firmware.json), else where Debian puts OVMF.
 */

#include <jansson.h>
#include "base/err.h"

#define VM_FIRMWARE_FOLDERS                                            \
	{                                                              \
		"/etc/qemu/firmware", "/usr/share/qemu/firmware", NULL \
	}

/* Firmware for a machine type ("q35", "pc") without Secure Boot: absolute paths of its code and of empty variables.
 * folders: those of the descriptors; the first file of a name counts, sorted by name. -E_UNSUPPORTED with the
 * mend. Caller frees both. */
int vm_firmware_find(const char *const *folders, const char *machine, char **ret_code,
	char **ret_vars, struct err *e);
/* The empty variables that belong to code. Caller frees. */
int vm_firmware_vars(const char *code, char **ret, struct err *e);

/* Whether a descriptor is one that vm_firmware_find() takes; *ret_code, *ret_vars are borrowed from j. Pure. */
bool vm_firmware_suits(
	const json_t *j, const char *machine, const char **ret_code, const char **ret_vars);

#endif
