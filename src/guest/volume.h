/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_VOLUME_H
#define LODGE_GUEST_VOLUME_H

/* Volumes as such: made and removed, each by one journalled plan, and told as events. */

#include <jansson.h>
#include <stdbool.h>
#include "base/ctx.h"
#include "base/err.h"
#include "store/store.h"

/* name NULL: one is made up, and it is an anonymous one. doc: JSON, {"labels": {}, "options": {}}; NULL: "{}". *ret_name:
 * caller frees; NULL: not wanted. 1: it was there already and is as it was; -E_INVALID for its name. */
int volume_create(struct ctx *c, const char *name, const char *doc, char **ret_name, struct err *e);
/* -E_NOTFOUND; -E_INUSE while a guest has it. */
int volume_remove(struct ctx *c, const char *name, struct err *e);
/* Whether a volume's "options" make it a folder of the host: {"o": "bind", "device": "/path"}. */
bool volume_is_bind(const json_t *options);
/* The folder that has its files. Caller frees. */
char *volume_folder(struct ctx *c, const char *name);
/* -E_NOTFOUND "no such volume 'x'". */
int volume_find(struct ctx *c, const char *name, struct volume_record **ret, struct err *e);

#endif
