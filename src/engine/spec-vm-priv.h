/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SPEC_VM_PRIV_H
#define LODGE_SPEC_VM_PRIV_H

#include "codec/json.h"

/* The table of struct spec_vm, for that of struct spec. */
extern const struct json_struct spec_vm_struct;

#endif
