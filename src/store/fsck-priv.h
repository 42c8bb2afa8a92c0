/* SPDX-License-Identifier: MIT */
#ifndef LODGE_FSCK_PRIV_H
#define LODGE_FSCK_PRIV_H

/* The parts of store_fsck(), see store.h. */

#include "store/layer.h"
#include "store/store-priv.h"

struct fsck {
	struct ctx *c;
	struct store *s;
	bool repair;
	bool may_collect;      /* nobody is adding content just now */
	GPtrArray *problems;   /* lines */
	GPtrArray *live_plans; /* GBytes: plans of the journal whose owners live */
	unsigned left;	       /* problems that aren't mended */
};

/* A problem; mended: what was done about it, NULL when it is still there. */
void fsck_say(struct fsck *f, const char *mended, const char *fmt, ...) _printf_(3, 4);
/* Moves path to ROOT/lost, or removes the tree. Says what was done, for fsck_say; NULL when nothing was. */
const char *fsck_lose(struct fsck *f, const char *path);
const char *fsck_remove(struct fsck *f, const char *path);

/* The database as a whole; repair: a new one from the rows that can be read, the old one goes to ROOT/lost. */
int fsck_database(struct fsck *f, struct err *e);

#endif
