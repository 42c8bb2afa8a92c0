/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CONNTRACK_H
#define LODGE_CONNTRACK_H

/*
 * Connections that the kernel follows (ctnetlink). A UDP "connection" lives for as long as somebody sends:
 * a client that goes on while its guest is replaced would for ever be led to the old one's address.
 */

#include "host/addr.h"

/* Forgets the UDP connections to ports first..last of this host that lead elsewhere than to `guest`. A
 * kernel that doesn't tell its connections has nothing to forget: no error. */
void conntrack_forget_udp(unsigned first, unsigned last, const struct addr *guest);

#endif
