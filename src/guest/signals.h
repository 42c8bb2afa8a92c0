/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SIGNALS_H
#define LODGE_SIGNALS_H

/* Signals by name: signal(7). Pure. */

#define SIGNAL_NAME_MAX 16

/* "TERM", "SIGTERM", "15", "RTMIN+3", any case. -E_INVALID. */
int signal_parse(const char *s, int *ret);
/* "SIGTERM" in buf. Returns buf. */
const char *signal_name(int sig, char buf[SIGNAL_NAME_MAX]);

#endif
