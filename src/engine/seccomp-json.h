/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SECCOMP_JSON_H
#define LODGE_SECCOMP_JSON_H

/*
 * System call profiles as docker and podman write them (defaultAction, archMap, syscalls with includes and
 * excludes), which also covers runtime-spec's linux.seccomp. Calls that no architecture has are left out,
 * as the original does: profiles name calls of all kernels.
 */

#include <stdbool.h>
#include "base/err.h"
#include "engine/seccomp.h"

enum {
	SECCOMP_JSON_MAX = 4 << 20
}; /* bytes */

struct seccomp_doc {
	struct seccomp_profile profile;
	char flags[64]; /* for step "seccomp": "log,spec-allow" or "" */
	bool notifies;	/* a row or the default is SCMP_ACT_NOTIFY; "notify" is among the flags */
	/* what the profile points to */
	void *owned;
};

/* Caller frees *ret with seccomp_doc_free(). -E_INVALID, -E_LIMIT, -E_UNSUPPORTED. */
int seccomp_from_json(const char *text, size_t len, struct seccomp_doc **ret, struct err *e);
void seccomp_doc_free(struct seccomp_doc *d);
void seccomp_doc_freep(struct seccomp_doc **d);

#endif
