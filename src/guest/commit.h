/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_COMMIT_H
#define LODGE_GUEST_COMMIT_H

/* An image of what a container has changed: a layer over those of its own image. */

#include "guest/guest.h"

struct commit {
	const char *author, *comment; /* NULL: none */
	const char *created_by;	      /* what the history says; NULL: the guest's command */
	json_t *config;		      /* the image's "config", whole; borrowed */
	const char *const *names;     /* full; NULL-terminated, may be empty */
	bool pause;		      /* a running one stands still meanwhile */
};
/* *ret_id: caller frees. -E_UNSUPPORTED for machines and for guests of a folder. */
int guest_commit(
	struct ctx *c, struct guest *g, const struct commit *k, char **ret_id, struct err *e);

#endif
