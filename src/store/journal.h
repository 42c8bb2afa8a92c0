/* SPDX-License-Identifier: MIT */
#ifndef LODGE_JOURNAL_H
#define LODGE_JOURNAL_H

/*
 * Plans that make something lasting are written to ROOT/journal/ before their first step. The name of
 * the file says who runs it (pid and start time from /proc/PID/stat, and the boot), so that the next
 * command finds plans whose owner is dead and undoes them. A guest's start is journalled in its own
 * folder instead (guests/ID/plan) and belongs to its monitor.
 *
 * The files aren't synced: after a power cut either the plan is there, or fsck finds what it made.
 */

#include "base/ctx.h"
#include "host/plan.h"
#include "store/store.h"

/* Journals p, runs it with the host's and the store's steps, and forgets it. On failure everything is
 * undone, as by plan_run. With ctx.explain: shows it on standard output and returns 0, running nothing.
 * The steps find the struct ctx in r->data. */
int journal_run(struct ctx *c, struct plan *p, struct err *e);

/* As journal_run, for plans that remove: what is gone can't be undone, so when the owner dies half-way,
 * or a step after the first fails, the next command runs the plan again, from its first step, to its end.
 * Each step must accept that it was done before. */
int journal_run_forward(struct ctx *c, struct plan *p, struct err *e);

/* For work that isn't a list of steps (reading an archive): journals p, whose steps' undo cleans up after
 * it, and runs nothing. journal_done forgets it; the owner's death undoes it. With ctx.explain shows p
 * and returns 1: the caller stops there. */
struct journal_hold {
	char *path;
};
int journal_begin(struct ctx *c, struct plan *p, struct journal_hold *ret, struct err *e);
/* The work is done. */
void journal_done(struct journal_hold *h);
/* The work failed: undoes p. After journal_done does nothing. */
void journal_abort(struct ctx *c, struct plan *p, struct journal_hold *h);

/* Undoes the plans of dead owners. Returns how many. Called by store_get(). A plan that can't be undone
 * now stays, is tried again by the next command, and is told by fsck: it doesn't keep others from work. */
int journal_recover(struct ctx *c, struct err *e);

/* Has the next command that can do it remove the content that no image names: for one who can't just now, since
 * others are adding some. */
int journal_collect_later(struct ctx *c, struct err *e);

/* One line a leftover, for fsck. */
int journal_fsck(struct ctx *c, GPtrArray *problems, struct err *e);

/* "PID.START.BOOT" of this process: names what belongs to it, for files below ROOT too. Caller frees. */
char *journal_owner(void);
/* Whether the owner that such a name begins with lives: true also for names that aren't of the form. */
bool journal_owner_lives(const char *name);

/* The steps that store/ adds to host_steps, for plan_decode. Lists are separated by commas; a number or
 * text that isn't given is empty. */
extern step_table store_steps;

extern const struct step_ops
	step_record_guest; /* id realm name kind engine image image_name spec doc created auto_remove uses...("KIND:WHAT"): inserts; undo deletes */
extern const struct step_ops step_record_guest_remove; /* id: no undo, stands last */
extern const struct step_ops
	step_record_image; /* id manifest size created added arch os layers [disk-digest format size]: undo deletes the one of this `added` */
extern const struct step_ops
	step_record_image_remove; /* id [added]: that of this `added` only; no undo */
extern const struct step_ops
	step_record_name; /* name image old-image: undo gives the name back, or removes it */
extern const struct step_ops step_record_name_remove;	/* name: no undo */
extern const struct step_ops step_record_volume;	/* name driver doc created anonymous */
extern const struct step_ops step_record_volume_remove; /* name: no undo */
extern const struct step_ops
	step_record_network; /* id name driver bridge subnet gateway subnet6 gateway6 parent doc internal mtu created */
extern const struct step_ops step_record_network_remove; /* name: no undo */
extern const struct step_ops
	step_blob; /* digest text: a small blob; undo removes it when no image names it */
extern const struct step_ops
	step_content; /* command...: stands for work that the program does itself; undo collects what no image names */
extern const struct step_ops
	step_partials; /* removes what has come of downloads (partial.h); no undo */
extern const struct step_ops
	step_collect; /* digest...: removes layers, disks and blobs that no image names (these, it is expected); no undo */

#endif
