/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_SCHEMA_H
#define LODGE_VM_SCHEMA_H

/*
 * What a QEMU can be told: its own description of its commands (query-qmp-schema; qemu/docs/devel/qapi-code-gen,
 * "Client JSON Protocol introspection"). A command is checked before it is sent, so that an older or smaller QEMU is
 * named as the cause, and not whatever it makes of half a request.
 */

#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"

#define VM_SCHEMA_MAX (4 << 20) /* bytes of a schema's text */

struct vm_schema;

/* Of the QEMU at program: asked once and kept in ROOT/cache, by the program's size and time. */
int vm_schema_get(struct ctx *c, const char *program, struct vm_schema **ret, struct err *e);
/* The value of "return" of query-qmp-schema, taken over. -E_CORRUPT. Pure. */
int vm_schema_new(json_t *entries, struct vm_schema **ret, struct err *e);
void vm_schema_free(struct vm_schema *s);
void vm_schema_freep(struct vm_schema **s);

/* -E_UNSUPPORTED for a command, an argument or a value that it doesn't know; -E_INVALID for one that is missing or
 * of another type. arguments NULL: none. The properties of devices (device_add) aren't in schemas. Pure. */
int vm_schema_check(
	const struct vm_schema *s, const char *command, const json_t *arguments, struct err *e);

#endif
