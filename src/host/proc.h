/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PROC_H
#define LODGE_PROC_H

/*
 * What a process carries into execve(2): limits, kernel settings of its namespaces, security labels.
 * The checks here are for whoever builds a plan; the steps of step-proc.c make them again.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* --- limits: getrlimit(2) --- */

/* RLIMIT_* of "nofile" or "RLIMIT_NOFILE"; -E_INVALID. */
int rlimit_number(const char *name, struct err *e);

/* "1024", "unlimited" or "-1" (UINT64_MAX). -EINVAL. */
int rlimit_parse(const char *s, uint64_t *ret);

/* Whether this process may give it: soft <= hard, and hard not above its own. -E_INVALID, -E_LIMIT. */
int rlimit_check(const char *name, uint64_t soft, uint64_t hard, struct err *e);

/* A process's state ('R', 'Z', ...) and when it began, in clock ticks since the boot: with its id that names
 * it for as long as the host runs. proc(5), fields 3 and 22 of stat. -ENOENT, -ESRCH. */
int proc_stat(pid_t pid, char *ret_state, uint64_t *ret_start);

/* --- sysctls --- */

/* Namespaces that the guest has to itself. */
enum {
	SYSCTL_IPC = 1,
	SYSCTL_NET = 2,
	SYSCTL_UTS = 4
};

/* Only what belongs to a namespace of the guest's own may be set. -E_INVALID otherwise. */
int sysctl_check(const char *key, unsigned private_ns, struct err *e);

/* --- security modules --- */

enum {
	LSM_APPARMOR = 1,
	LSM_SELINUX = 2
};
unsigned lsm_enabled(void); /* those that are active in this kernel */

#define APPARMOR_DEFAULT "lodge-default"

/* The profile's text, for apparmor_parser(8). */
extern const char apparmor_default_text[];

/* 1 when the profile is loaded, 0 when it isn't, or -errno when securityfs doesn't tell. */
int apparmor_loaded(const char *profile);

/* Whether the program is in PATH or one of the system's folders. `file` (PATH_MAX bytes) may be NULL. */
bool program_find(const char *name, char *file);

/* Runs a program with text on its standard input (or NULL) and its output in out (cut at size, may be
 * NULL); kills it after timeout_ms. Its exit status, or -errno; -ETIMEDOUT. */
int program_run(const char *const *argv, const char *text, char *out, size_t size, int timeout_ms);

#endif
