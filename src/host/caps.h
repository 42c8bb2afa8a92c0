/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CAPS_H
#define LODGE_CAPS_H

/*
 * Capabilities: names, masks and the five sets of a process. capabilities(7), capset(2), prctl(2).
 *
 * In a guest's first process the order is
 *
 *	caps-bounding MASK	while CAP_SETPCAP is still effective: the bounding set only shrinks
 *	user			which sets PR_SET_KEEPCAPS, so that the permitted set outlives setuid(2)
 *	caps P E I A		may only lower what is permitted, which needs no capability
 *	exec
 *
 * Which capabilities a guest gets is settled when its plan is built: caps_choose() cuts the wish down to
 * what the caller's own bounding set has, since nobody can give more than that.
 */

#include <stdint.h>
#include "base/err.h"
#include "base/text.h"

enum {
	CAPS_COUNT = 41
}; /* CAP_CHOWN 0 ... CAP_CHECKPOINT_RESTORE 40 */

#define CAPS_BIT(n) (UINT64_C(1) << (n))
#define CAPS_ALL    (CAPS_BIT(CAPS_COUNT) - 1)

/* What docker gives when nothing is asked for. */
extern const uint64_t caps_default;

/* "CAP_CHOWN"; NULL above the last that is known. */
const char *caps_name(unsigned n);

/* The mask of one name: any case, with or without "CAP_"; "ALL" is CAPS_ALL. -E_INVALID. */
int caps_parse(const char *name, uint64_t *ret, struct err *e);

/* A mask as steps have it: hexadecimal without "0x". -EINVAL. */
int caps_parse_mask(const char *hex, uint64_t *ret);

/* "CAP_CHOWN,CAP_KILL". */
void caps_show(uint64_t mask, struct text *t);

/* This process's bounding set, as far as the kernel knows capabilities. */
uint64_t caps_bounding(void);

/*
 * The set of a guest, as docker settles --cap-add and --cap-drop: names, NULL-terminated lists or NULL.
 * "ALL" added is everything but what is dropped; "ALL" dropped is only what is added; else the default
 * without the dropped and with the added ones. privileged: everything. The result lies within
 * `bounding`; -E_UNSUPPORTED names a capability that was added by its name and isn't in there.
 */
int caps_choose(bool privileged, char *const *add, char *const *drop, uint64_t bounding,
	uint64_t *ret, struct err *e);

/* Drops from the bounding set all that isn't in mask. -EPERM without CAP_SETPCAP. */
int caps_set_bounding(uint64_t mask);

/* Sets the four other sets of this thread. What the kernel doesn't know is left out of all of them;
 * ambient bits must be permitted and inheritable as well. */
int caps_set(uint64_t permitted, uint64_t effective, uint64_t inheritable, uint64_t ambient);

#endif
