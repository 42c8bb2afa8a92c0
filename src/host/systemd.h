/* SPDX-License-Identifier: MIT */
#ifndef LODGE_HOST_SYSTEMD_H
#define LODGE_HOST_SYSTEMD_H

/* Cgroups that systemd makes, as scopes: org.freedesktop.systemd1(5). Steps: step-systemd.c. */

#include <stdbool.h>
#include "base/err.h"

enum {
	SYSTEMD_TEXT_MAX = 256
};

/* Whether systemd runs here, as sd_booted(3) has it, or for this user. */
bool systemd_is_there(bool user);

struct systemd_facts {
	unsigned version;	       /* 252 */
	char cgroup[SYSTEMD_TEXT_MAX]; /* the manager's, below which its slices are: "" or "/a/b" */
};
/* Asks the manager: the system's, or the user's. -E_UNSUPPORTED with e when it can't be reached. */
int systemd_facts(bool user, struct systemd_facts *ret, struct err *e);

/* "a-b.slice" as the folders that it stands for, "a.slice/a-b.slice"; "-.slice" is "". -E_INVALID. Pure. */
int systemd_slice_path(const char *slice, char *ret, size_t size);

#endif
