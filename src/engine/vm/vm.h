/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_H
#define LODGE_VM_H

/* What the rest of Lodge asks the engine of machines, beside its operations. */

#include <stdbool.h>
#include "base/ctx.h"

/*
 * Whether KVM truly works on this host (host/probe.h). It is tried once a boot, which takes seconds where it
 * hangs; RUN/kvm keeps the answer. *ret_why: a clause, static, "" when it works. *ret_first: it was tried now.
 */
bool vm_kvm_works(struct ctx *c, const char **ret_why, bool *ret_first);

#endif
