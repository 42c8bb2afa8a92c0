/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STORE_EVENT_H
#define LODGE_STORE_EVENT_H

/*
 * RUN/events: what happened, for whoever wants to know. It grows to a megabyte and becomes events.1 then; both go with
 * the boot. Types and their actions:
 *
 *   guest    create start die stop kill restart pause unpause rename destroy ...
 *   image    pull push tag untag delete import load save commit prune
 *   volume   create mount unmount destroy prune
 *   network  create connect disconnect destroy prune
 */

#include <jansson.h>
#include <stdbool.h>
#include "base/ctx.h"
#include "base/err.h"

#define EVENT_LINE_MAX (64 * 1024)

/* Appends {"time": ns, "type": "guest", "action": "start", "id": ..., "attributes": {...}}. Takes attributes, NULL: none.
 * Nothing with ctx.explain. */
void event_emit(
	struct ctx *c, const char *type, const char *action, const char *id, json_t *attributes);
/* Calls cb for each event in the window, and goes on (follow) until cb returns non-zero or until (0: never) has come. */
int event_read(struct ctx *c, int64_t since, int64_t until, bool follow,
	int (*cb)(const json_t *event, void *data), void *data, struct err *e);

#endif
