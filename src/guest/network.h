/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_NETWORK_H
#define LODGE_GUEST_NETWORK_H

/*
 * Containers that join networks and leave them after they were made. One that runs gets its interface at once: the
 * steps of a start for one network, run beside it, and kept in the plan in its folder, whose undo is the monitor's.
 */

#include "guest/guest.h"

/* a: copied. -E_EXISTS: it is in there already; -E_INVALID where its network is the host's, another's, or none. */
int guest_connect(struct ctx *c, struct guest *g, const struct spec_attach *a, struct err *e);
/* -E_NOTFOUND: it isn't in there. */
int guest_disconnect(struct ctx *c, struct guest *g, const char *network, struct err *e);

#endif
