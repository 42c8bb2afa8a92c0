/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_MACHINE_H
#define LODGE_GUEST_MACHINE_H

/*
 * What only machines that boot by themselves can do (spec.vm.full). A change is made to the running machine and to its
 * record, so that the next start has it; of a stopped one to the record alone. With c->explain what QEMU
 * would be told is shown, and nothing changes.
 */

#include "guest/guest.h"

/* --- devices (machine-device.c) ----------------------------------------------------------------------- */

#define MACHINE_UNPLUG_TIMEOUT 30 /* seconds that the guest's system has to let go of a device */

/* The disk is the last of g->spec->vm->disks, as parse_disk() leaves it: its file is looked at here. notes: lines
 * for the user, or NULL. */
int machine_attach_disk(struct ctx *c, struct guest *g, const struct spec_disk *wanted,
	GPtrArray *notes, struct err *e);
/* A disk of the machine's own stays as a file in its folder unless `discard`. */
int machine_detach_disk(
	struct ctx *c, struct guest *g, const char *id, bool discard, struct err *e);
/* A CD or floppy into the drive id (NULL: the only one); path NULL: out of it. force: also when the guest
 * holds it. */
int machine_change_medium(struct ctx *c, struct guest *g, const char *id, const char *path,
	bool force, struct err *e);
int machine_attach_nic(
	struct ctx *c, struct guest *g, const struct spec_attach *wanted, struct err *e);
/* what: a network or an Ethernet address. */
int machine_detach_nic(struct ctx *c, struct guest *g, const char *what, struct err *e);
/* What the balloon leaves. */
int machine_set_memory(struct ctx *c, struct guest *g, int64_t bytes, struct err *e);
int machine_set_vcpus(struct ctx *c, struct guest *g, int n, struct err *e);

/* --- snapshots (machine-snapshot.c) --------------------------------------------------------------------- */

/* Of all disks that can be written, and of a running machine's memory, in the disks' own files (qcow2). external: new
 * files over the disks, without memory. */
int machine_snapshot_create(
	struct ctx *c, struct guest *g, const char *name, bool external, struct err *e);
/* Array of {"name", "kind": "internal"|"external", "created" (ns), "memory" (bytes; 0: of the disks only), "disks": [ids]}. */
int machine_snapshot_list(struct ctx *c, struct guest *g, json_t **ret, struct err *e);
/* The machine is as it was then: a running one goes on there, a stopped one has the disks of then. What was written
 * since is gone. */
int machine_snapshot_revert(struct ctx *c, struct guest *g, const char *name, struct err *e);
int machine_snapshot_delete(struct ctx *c, struct guest *g, const char *name, struct err *e);

/* --- states (machine-state.c) ------------------------------------------------------------------------------ */

/* Writes memory and devices to a new file and ends the machine. */
int machine_save(struct ctx *c, struct guest *g, const char *path, struct err *e);
/* Starts the machine where it was saved. Its disks must be as they were then. */
int machine_restore(struct ctx *c, struct guest *g, const char *path, struct err *e);
int machine_reset(struct ctx *c, struct guest *g, struct err *e); /* the button; nothing is asked */
int machine_powerdown(
	struct ctx *c, struct guest *g, struct err *e); /* the other one; doesn't wait */
/* One QMP command, a name or JSON. */
int machine_qmp(struct ctx *c, struct guest *g, const char *text, json_t **ret, struct err *e);
/*
 * How the last boot went, as the guest's cloud-init told it (image/seed.h): *ret is seed_result_json(). Waits at most
 * so many seconds; 0: only what is there. -ETIMEDOUT, -E_NOTFOUND (nothing yet, with 0).
 */
int machine_boot_result(struct ctx *c, struct guest *g, int seconds, json_t **ret, struct err *e);

/* --- the guest agent (machine-agent.c) ------------------------------------------------------------------------ */

struct machine_agent;
/* Connects and synchronises. -ETIMEDOUT when nobody answers inside. */
int machine_agent_open(
	struct ctx *c, struct guest *g, int seconds, struct machine_agent **ret, struct err *e);
void machine_agent_free(struct machine_agent *a);
void machine_agent_freep(struct machine_agent **a);
/* arguments are taken over, NULL: none. *ret: the value of "return", the guest's, untrusted; caller owns it. */
int machine_agent_call(struct machine_agent *a, const char *command, json_t *arguments,
	json_t **ret, struct err *e);
/* Runs a command in the guest, its output to two descriptors when it has ended. The exit code. */
int machine_agent_exec(struct machine_agent *a, char *const *argv, int out, int err, struct err *e);

#endif
