/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SPAWN_H
#define LODGE_SPAWN_H

#include <sys/types.h>
#include "base/err.h"

/*
 * Starts a program of ours that will be the parent of guests, so that nothing in a guest can write to its
 * file: it is executed from a private read-only clone of its mount, which is in nobody's mount namespace
 * (CVE-2019-5736: a guest reaches its starter's executable through /proc/PID/exe). Where a mount can't be
 * cloned (not root), from a sealed copy in memory.
 *
 * The program gets conn_fd as descriptor 3, trace_fd (when >= 0) as 4, and no other but the standard ones.
 * Returns its process id; it is the caller's child.
 */
pid_t spawn_protected(
	const char *path, char *const argv[], int conn_fd, int trace_fd, struct err *e);

/*
 * The same for a program that will itself be in a guest: executes this process's own program anew from such a
 * clone or copy, and returns only there (0), or with a code. argv is main's. PROTECTED_MARK in the environment
 * says that it is done; it is removed.
 */
#define PROTECTED_MARK "LODGE_PROTECTED"
int exec_protected(char *const argv[], struct err *e);

#endif
