/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_MACHINE_PRIV_H
#define LODGE_GUEST_MACHINE_PRIV_H

/* What the files of guest/machine-* share: machine.c. */

#include "engine/vm/full.h"
#include "engine/vm/qmp.h"
#include "guest/guest-priv.h"
#include "guest/machine.h"

/* Locks the guest; g->spec is as recorded. -E_INVALID for one that isn't a machine that boots by itself. A descriptor to
 * close. */
int machine_lock(struct ctx *c, struct guest *g, struct err *e);
/* To the QEMU of a running one. */
int machine_talk(struct ctx *c, struct guest *g, struct vm_qmp **ret, struct err *e);
/* Puts g->spec into the record. */
int machine_keep(struct ctx *c, struct guest *g, struct err *e);

/* The node that a disk's device has now, below which are all others of it: a string of j, query-block's answer. NULL: a
 * drive without a medium, or no such device. *ret_inserted: the "inserted" object. */
const char *machine_top_node(const json_t *j, const char *id, const json_t **ret_inserted);

/* Gives QEMU a file of the host: *ret is "/dev/fdset/N". tag: whose it is, see machine_forget_files(). */
int machine_give_file(
	struct vm_qmp *q, const char *path, bool write, const char *tag, char **ret, struct err *e);
/* Takes away the files given with tag, and the nodes that are named ID or begin with "ID-". What is in use stays. */
void machine_forget_nodes(struct vm_qmp *q, const char *id);
void machine_forget_files(struct vm_qmp *q, const char *tag);

/* machine-nic.c: the plan in the guest's folder. */
int machine_keep_plan(struct ctx *c, const struct guest *g, const struct plan *p, struct err *e);

/* machine-merge.c: an external snapshot goes. Goes on where one that was killed has begun. */
int machine_merge(struct ctx *c, struct guest *g, const char *name, struct err *e);
/* Of a merge whose record is written: lets QEMU go on. */
int machine_merge_leftover(struct ctx *c, struct guest *g, struct err *e);

/* device_del, and waits until the guest's system has let go of it. */
int machine_unplug(struct vm_qmp *q, const struct guest *g, const char *device, struct err *e);

#endif
