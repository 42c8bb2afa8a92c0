/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PROBE_H
#define LODGE_PROBE_H

/*
 * What this host offers and lacks, for `lodge doctor`. Everything is tried, not looked up, wherever that
 * leaves nothing behind: in a child of its own, in namespaces of its own, under a time limit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/macros.h"

enum probe_status {
	PROBE_OK,
	PROBE_WARN, /* guests run, something is missing or will be */
	PROBE_FAIL, /* guests don't run, or not with what this is about */
};

enum {
	PROBE_MAX = 64
};

struct probe {
	char name[32]; /* "cgroups" */
	enum probe_status status;
	char detail[320]; /* what was found: one clause */
	char mend[320];	  /* what to do; "" when ok */
};

struct probes {
	struct probe row[PROBE_MAX];
	size_t n;
};

/* Folders that the space is looked up for; they, or what is above them, must be there. */
void probe_all(struct probes *p, const char *root, const char *run);

/* One row more, with its status and detail; the mend by probe_mend(). Rows above PROBE_MAX are dropped. */
void probe_add(struct probes *p, enum probe_status status, const char *name, const char *fmt, ...)
	_printf_(4, 5);
void probe_mend(struct probes *p, const char *fmt, ...) _printf_(2, 3);

/* Runs f in a child: its result (0 to 125), -ETIMEDOUT when it was killed after the time, or -EFAULT when
 * it died otherwise. */
int probe_try(int (*f)(void), int timeout_ms);

/* The parts. */
void probe_kernel(struct probes *p);
void probe_files(struct probes *p, const char *root, const char *run);
void probe_security(struct probes *p);
void probe_network(struct probes *p); /* probe-net.c */
void probe_kvm(struct probes *p);     /* probe-kvm.c */
void probe_programs(struct probes *p);
void probe_limits(struct probes *p);

/*
 * Chains of `nft list ruleset` that lie in the way of forwarded packets and drop what nobody accepts, and
 * aren't ours. Writes the first as "table ip filter, chain FORWARD". Pure.
 */
bool probe_find_drop(const char *ruleset, char *chain, size_t size);

/* Microseconds that KVM took for a million 64-bit instructions, or -errno (-ETIMEDOUT: not in time). */
int64_t probe_kvm_speed(int timeout_ms);

#endif
