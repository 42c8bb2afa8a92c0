/* SPDX-License-Identifier: MIT */
#ifndef LODGE_OCI_H
#define LODGE_OCI_H

/* The namespace engine, private to its folder. */

#include "base/ctx.h"
#include "engine/engine.h"

/* secure.c: steps that take privileges away, in two halves: before and after the user is set. `exec` is
 * NULL for the guest's own command. */
int oci_plan_secure_first(
	struct ctx *c, const struct spec *s, bool privileged, struct plan *p, struct err *e);
int oci_plan_secure_last(
	struct ctx *c, const struct spec *s, bool privileged, struct plan *p, struct err *e);

/* The device rules of the guest's cgroup: docker's defaults, the spec's devices and rules. NULL-terminated
 * strings for step "cgroup-devices"; NULL when all are allowed. Caller frees. */
char **oci_device_rules(const struct spec *s, struct err *e);

void oci_plan_rlimits(const struct spec *s, struct plan *p);
int oci_plan_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
int oci_plan_exec(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
	struct plan *p, uint32_t flags, struct err *e);

#endif
