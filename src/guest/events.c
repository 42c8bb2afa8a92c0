/* SPDX-License-Identifier: MIT */
/* What the events of guests say of them. */

#include <string.h>
#include "guest/guest-priv.h"

static json_t *attributes_of(const struct guest *g)
{
	json_t *doc = json_loads(g->rec->doc, 0, NULL);
	json_t *labels = json_object_get(doc, "labels");
	json_t *a = json_is_object(labels) ? json_copy(labels) : json_object();

	json_object_set_new(a, "name", json_string(g->rec->name));
	json_object_set_new(a, "realm", json_string(g->rec->realm));
	if (g->rec->image_name)
		json_object_set_new(a, "image", json_string(g->rec->image_name));
	json_decref(doc);
	return a;
}

char *event_attributes(const struct guest *g)
{
	json_t *a = attributes_of(g);
	char *text = json_dumps(a, JSON_COMPACT);
	size_t n = text ? strlen(text) : 0;
	char *inner = n >= 2 && n < EVENT_LINE_MAX / 2 ? g_strndup(text + 1, n - 2) : g_strdup("");

	free(text);
	json_decref(a);
	return inner;
}

void guest_event(struct ctx *c, const struct guest *g, const char *action, json_t *extra)
{
	json_t *a = attributes_of(g);

	if (extra) {
		json_object_update(a, extra);
		json_decref(extra);
	}
	event_emit(c, "guest", action, g->rec->id, a);
}
