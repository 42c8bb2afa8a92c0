/* SPDX-License-Identifier: MIT */
/* Hooks, and the state that they get. runtime.md, "State"; config.md, "POSIX-platform Hooks". */
#include "engine/bundle/bundle.h"

#include <string.h>

#include "host/steps.h"

/* '@' would be taken for the beginning of @PID@ by step "first". */
static char *hide_at(const char *json)
{
	g_auto(GStrv) parts = g_strsplit(json, "@", -1);

	return g_strjoinv("\\u0040", parts);
}

char *bundle_state(const struct config *c, const char *id, const char *dir, const char *status)
{
	json_auto_t *o = json_object(), *notes = json_object();
	g_autofree char *hidden = NULL;
	char *text;

	for (guint i = 0; i < c->annotations->len; i++) {
		const struct config_pair *p = g_ptr_array_index(c->annotations, i);

		json_object_set_new(notes, p->key, json_string(p->value));
	}
	json_object_set_new(o, "ociVersion", json_string(c->version));
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "status", json_string(status));
	json_object_set_new(o, "bundle", json_string(dir));
	if (json_object_size(notes))
		json_object_set(o, "annotations", notes);
	text = json_dumps(o, JSON_COMPACT);
	hidden = hide_at(text);
	free(text);
	return g_strdup_printf("{\"pid\":@PID@,%s", hidden + 1);
}

void bundle_plan_hooks(struct plan *p, enum step_at at, const GPtrArray *hooks, const char *label,
	const char *state)
{
	for (guint i = 0; i < hooks->len; i++) {
		const struct config_hook *h = g_ptr_array_index(hooks, i);
		guint words = h->args ? g_strv_length(h->args) : 0,
		      env = h->env ? g_strv_length(h->env) : 0;
		g_autofree const char **argv = g_new0(const char *, words + env + 6);

		argv[0] = plan_str(p, "%s hook #%u", label, i);
		argv[1] = plan_str(
			p, "%" G_GINT64_FORMAT, h->timeout == CONFIG_NONE ? 0 : h->timeout);
		argv[2] = state;
		argv[3] = h->path;
		argv[4] = plan_str(p, "%u", words);
		for (guint k = 0; k < words; k++)
			argv[5 + k] = h->args[k];
		for (guint k = 0; k < env; k++)
			argv[5 + words + k] = h->env[k];
		plan_addv(p, at, 0, &step_hook, argv, 5 + words + env);
	}
}
