/* SPDX-License-Identifier: MIT */
#ifndef LODGE_JOURNAL_H
#define LODGE_JOURNAL_H

/*
 * Plans that make something lasting are written to ROOT/journal/ before their first step. The name of
 * the file says who runs it (pid and start time from /proc/PID/stat), so that the next command finds
 * plans whose owner is dead and undoes them. A guest's start is journalled in its own folder instead
 * (guests/ID/plan) and belongs to its monitor.
 */

#include "base/ctx.h"
#include "host/plan.h"
#include "store/store.h"

/* Journals p, runs it with the host's and the store's steps, and forgets it. On failure everything is
 * undone, as by plan_run. With ctx.explain: shows it on standard output and returns 0, running nothing. */
int journal_run(struct ctx *c, struct plan *p, struct err *e);

/* Undoes the plans of dead owners. Returns how many. Called by store_get(). */
int journal_recover(struct ctx *c, struct err *e);

/* The steps that store/ adds to host_steps, for plan_decode. */
extern step_table store_steps;

extern const struct step_ops step_record_guest; /* id realm name kind engine image image_name spec doc created auto_remove: inserts; undo deletes */
extern const struct step_ops step_record_guest_remove; /* id: no undo, stands last */

#endif
