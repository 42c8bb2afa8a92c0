/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_QMP_H
#define LODGE_VM_QMP_H

/*
 * Talking to a machine's QEMU through its monitor, which alone has the channel (monitor/proto.h, MSG_QMP). What
 * comes back is QEMU's: the kind of a value is looked at before it is used.
 */

#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"
#include "engine/vm/schema.h"

#define VM_QMP_TIMEOUT 30 /* seconds that QEMU has for an answer; its jobs go on by themselves */

struct vm_qmp;

/* fd: a connection to the guest's monitor, taken over; -1 in explain mode. schema is taken over too; NULL: nothing
 * is checked before it is sent. Never fails. */
struct vm_qmp *vm_qmp_new(struct ctx *c, int fd, struct vm_schema *schema);
void vm_qmp_free(struct vm_qmp *q);
void vm_qmp_freep(struct vm_qmp **q);

/*
 * One command. arguments are taken over, NULL: none. fds: descriptors that go with it (they stay the caller's).
 * *ret: the value of "return", owned by the caller; NULL: not wanted. QEMU's refusal is an error "QEMU: its text"
 * with a code by its class (vm_qmp_error). In explain mode the command is shown and *ret is an empty object.
 */
int vm_qmp(struct vm_qmp *q, const char *command, json_t *arguments, json_t **ret, struct err *e);
int vm_qmp_fds(struct vm_qmp *q, const char *command, json_t *arguments, const int *fds, unsigned n,
	json_t **ret, struct err *e);
/* A command as a user wrote it: JSON text of the whole, or a name. */
int vm_qmp_text(struct vm_qmp *q, const char *text, json_t **ret, struct err *e);

/* Whether commands are shown only. */
bool vm_qmp_explains(const struct vm_qmp *q);

/* From here on events are kept for vm_qmp_wait(). */
int vm_qmp_listen(struct vm_qmp *q, struct err *e);
/* Waits for the event NAME whose data has key = value (key NULL: any). *ret: its data, or NULL: not wanted.
 * -ETIMEDOUT without a text. */
int vm_qmp_wait(struct vm_qmp *q, const char *event, const char *key, const char *value,
	int timeout_ms, json_t **ret, struct err *e);
/* Until the job has concluded, and dismisses it: its error, or 0. */
int vm_qmp_job(struct vm_qmp *q, const char *id, struct err *e);

/* The error object of a reply as our error; returns its code. Pure. */
int vm_qmp_error(const json_t *error, struct err *e);

#endif
