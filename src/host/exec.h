/* SPDX-License-Identifier: MIT */
#ifndef LODGE_HOST_EXEC_H
#define LODGE_HOST_EXEC_H

/* Looking a command up, as step "exec" does. */

#include "base/err.h"

/*
 * What execve(2) would say to argv0, looked up in the folders of `path` (NULL: the usual ones) when it has no
 * '/': 0 and *ret, which the caller frees, or -E_COMMAND_NOTFOUND or -E_COMMAND_NOEXEC, with e.
 */
int exec_lookup(const char *argv0, const char *path, char **ret, struct err *e);

#endif
