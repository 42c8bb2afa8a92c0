/* SPDX-License-Identifier: MIT */
/* Everything about a guest, in our own words. */

#include "base/units.h"
#include "guest/guest-priv.h"

static json_t *moment(int64_t ns)
{
	g_autofree char *s = ns ? units_show_time(ns) : NULL;

	return s ? json_string(s) : json_null();
}

static json_t *state_json(const struct guest *g)
{
	return json_pack("{s:s, s:i, s:i, s:b, s:b, s:i, s:i, s:o, s:o, s:s?}", "status",
		guest_state_name(g->state), "pid", g->pid, "monitor", g->monitor, "unmonitored",
		g->unmonitored, "oom", g->oom, "exit_code", g->exit_code, "restarts", g->restarts,
		"started", moment(g->started), "finished", moment(g->finished), "error", g->error);
}

int guest_inspect(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	const struct guest_record *k = g->rec;
	g_autofree char *dir = guest_dir(c, g);
	g_autofree char *run = guest_run_dir(c, g);
	g_autofree char *log = g_build_filename(dir, "log", NULL);
	json_t *doc = NULL, *spec = NULL, *net;
	int r;

	r = store_json(k->doc, "guest", k->name, &doc, e);
	if (r >= 0)
		r = store_json(k->spec, "guest", k->name, &spec, e);
	if (r < 0) {
		json_decref(doc);
		return r;
	}
	net = guest_net(c, g);
	*ret = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:o, s:b, s:b, s:o, s:o, s:o, s:o, "
			 "s:s, s:s, s:s}",
		"id", k->id, "name", k->name, "realm", k->realm, "kind", k->kind, "engine",
		k->engine, "image", k->image, "image_name", k->image_name, "created",
		moment(k->created), "auto_remove", k->auto_remove, "wanted", k->wanted, "state",
		state_json(g), "net", net ?: json_null(), "doc", doc, "spec", spec, "dir", dir,
		"run", run, "log", log);
	return *ret ? 0 : err_set(e, -E_CORRUPT, "the record of guest '%s' isn't UTF-8", k->name);
}
