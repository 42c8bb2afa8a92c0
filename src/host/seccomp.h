/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SECCOMP_H
#define LODGE_SECCOMP_H

/* Compiled system call filters, as step "seccomp" has them. What makes them is engine/seccomp.h. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include "base/macros.h"

enum {
	SECCOMP_FILTER_MAX = 4096
}; /* instructions: the kernel's BPF_MAXINSNS */

/* The form that step "seccomp" takes: hexadecimal, 16 digits an instruction. Caller frees. */
char *seccomp_to_hex(const struct sock_filter *f, size_t n);
int seccomp_from_hex(const char *hex, struct sock_filter **ret, size_t *ret_n);

/* Runs f over d, for tests and for `lodge explain`: the action, or SECCOMP_RET_KILL_PROCESS for programs
 * that the kernel would refuse. Pure. */
uint32_t seccomp_eval(const struct sock_filter *f, size_t n, const struct seccomp_data *d);

#endif
