/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CLONE_H
#define LODGE_CLONE_H

/* Namespaces by name, and the clone of a guest's first process. clone(2), namespaces(7). */

#include <stdint.h>
#include <sys/types.h>
#include "base/macros.h"

/* "mnt,pid,net" to CLONE_NEW* bits; "time" is left to the child (see step_clone). -EINVAL. */
int clone_parse(const char *names, uint64_t *ret_flags);

/* CLONE_NEW* bit of one name ("mnt", "net", ...); 0: unknown. */
uint64_t clone_flag(const char *name);

/*
 * Clones this process into new namespaces, and into the cgroup of cgroup_fd (a folder of cgroup v2) when
 * that is >= 0. Returns 0 in the child, the process id and *ret_pidfd in the parent, or a negative errno.
 * The child shares no memory: it may do anything that a single-threaded process may.
 */
pid_t clone_guest(const char *names, int cgroup_fd, int *ret_pidfd);

#endif
