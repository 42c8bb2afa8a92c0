/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_VM_H
#define LODGE_DIALECT_VM_H

/* What the files of `lodge vm` share. */

#include "dialect/lodge/lodge.h"

/* The operand's guest, which must be a machine that boots by itself. */
int vm_guest(struct cmd_call *call, const char *ref, struct guest **ret, struct err *e);
void complete_machine(struct ctx *c, const char *word, FILE *out);

/* "Machine" of inspect: of one that boots by itself. Caller owns it. */
json_t *vm_inspect(struct ctx *c, struct guest *g);

extern const struct cmd vm_create, vm_run, vm_console, vm_attach_disk, vm_detach_disk,
	vm_attach_nic, vm_detach_nic, vm_insert, vm_eject, vm_set_memory, vm_set_vcpus, vm_snapshot,
	vm_save, vm_restore, vm_reset, vm_powerdown, vm_qmp_command, vm_agent, vm_wait_boot;

#endif
