/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ENGINE_SECCOMP_H
#define LODGE_ENGINE_SECCOMP_H

/*
 * System call filters: profiles as tables, and their translation to classic BPF. seccomp(2), and
 * runtime-spec's config-linux.md ("Seccomp") for the words.
 *
 * The translator is ours: for each architecture the call numbers are cut into runs with the same
 * outcome and searched by halves, so that Docker's list becomes some 300 instructions instead of the
 * thousands that a rule a call gives, is made in less than a millisecond and is quick to install and to
 * run. Only the names' numbers come from libseccomp.
 *
 * Calls whose number is above all that a profile names, on that architecture, fail with ENOSYS instead
 * of the default action's errno: programs then fall back to the older call, which they don't on EPERM.
 */

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "host/seccomp.h"

enum seccomp_cmp {
	SECCOMP_EQ,
	SECCOMP_NE,
	SECCOMP_LT,
	SECCOMP_LE,
	SECCOMP_GT,
	SECCOMP_GE,
	SECCOMP_MASKED_EQ, /* (argument & value) == value2 */
	_SECCOMP_CMP_MAX,
};

/* Architectures, as bits. */
enum {
	SECCOMP_X86_64 = 1 << 0,
	SECCOMP_X86 = 1 << 1,
	SECCOMP_X32 = 1 << 2,
	SECCOMP_AARCH64 = 1 << 3,
	SECCOMP_ARM = 1 << 4,
	SECCOMP_PPC64LE = 1 << 5,
	SECCOMP_S390X = 1 << 6,
	SECCOMP_S390 = 1 << 7,
	SECCOMP_RISCV64 = 1 << 8,
};

struct seccomp_arg {
	unsigned index; /* 0 to 5 */
	enum seccomp_cmp cmp;
	uint64_t value, value2;
};

enum {
	SECCOMP_ARGS_MAX = 6,
	SECCOMP_RULES_MAX = 4096, /* rows of a profile */
	SECCOMP_VERSION = 1,	  /* of the translator and of the default table: part of the key */
};

/*
 * One row: the calls, what they come to, and when the row counts. Of several rows for one call those
 * with arguments are tried in order, and then the first without. Lists end with NULL.
 */
struct seccomp_row {
	const char *const *names;
	uint32_t action;		/* SECCOMP_RET_*, with its data */
	const struct seccomp_arg *args; /* all must hold */
	unsigned n_args;
	uint64_t caps, not_caps; /* counts only with all of, and with none of these capabilities */
	unsigned arches, not_arches; /* counts only when the native one is in / isn't in; 0: any */
	unsigned min_kernel;	     /* 4 << 8 | 8: from Linux 4.8 on */
	unsigned below_kernel;	     /* only before that one; 0: no limit */
};

struct seccomp_profile {
	uint32_t default_action;
	unsigned
		arches; /* allowed beside the native one, when that goes with them; others are killed */
	const struct seccomp_row *rows;
	size_t n_rows;
};

/* Docker's default allow list, as a table of ours. */
extern const struct seccomp_profile seccomp_default;

struct seccomp_target {
	unsigned arch;	 /* native, one bit */
	uint64_t caps;	 /* of the guest: the bounding set */
	unsigned kernel; /* as min_kernel */
};

/* This machine: its architecture and kernel. -E_UNSUPPORTED on architectures that aren't above. */
int seccomp_here(uint64_t caps, struct seccomp_target *ret, struct err *e);

/* One bit of "SCMP_ARCH_X86_64" or "amd64"; 0: unknown. */
unsigned seccomp_arch(const char *name);

/* Whether any architecture that is known here has the call. */
int seccomp_known(const char *name);

/* The filter for target. Caller frees *ret. -E_INVALID for rows that make no sense, -E_LIMIT for a
 * filter that is longer than the kernel takes. */
int seccomp_compile(const struct seccomp_profile *p, const struct seccomp_target *t,
	struct sock_filter **ret, size_t *ret_n, struct err *e);

/* A file name for a compiled filter: what it was made from. `profile` is "default", or a hash of the
 * profile's text. */
enum {
	SECCOMP_KEY_MAX = 192
};
void seccomp_key(const char *profile, const struct seccomp_target *t, char key[SECCOMP_KEY_MAX]);

#endif
