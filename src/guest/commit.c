/* SPDX-License-Identifier: MIT */
#include "guest/commit.h"

#include <string.h>
#include "base/units.h"
#include "guest/guest-priv.h"
#include "image/image.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/layer.h"

static void set_text(json_t *j, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(j, key, json_string(value));
}

/* The own image's configuration with one layer more. */
static char *new_config(const struct guest *g, const struct commit *k,
	const struct image_config *base, const char *diff_id)
{
	json_t *doc = json_copy(base->raw), *ids = json_array(), *history = json_array(), *v,
	       *step = json_object();
	g_autofree char *now = units_show_time(g_get_real_time() * 1000);
	g_autofree char *command = g->spec->argv ? g_strjoinv(" ", g->spec->argv) : NULL;
	char *text;
	size_t i;

	for (char **l = base->diff_ids; *l; l++)
		json_array_append_new(ids, json_string(*l));
	json_array_append_new(ids, json_string(diff_id));
	json_array_foreach(json_object_get(base->raw, "history"), i, v)
		json_array_append(history, v);
	json_object_set_new(step, "created", json_string(now));
	set_text(step, "author", k->author);
	set_text(step, "created_by", k->created_by ? k->created_by : command);
	set_text(step, "comment", k->comment);
	json_array_append_new(history, step);
	json_object_set_new(doc, "created", json_string(now));
	json_object_del(doc, "author");
	json_object_del(doc, "comment");
	json_object_del(doc, "container");
	json_object_del(doc, "container_config");
	set_text(doc, "author", k->author);
	json_object_set(doc, "config", k->config);
	json_object_set_new(
		doc, "rootfs", json_pack("{s:s, s:o}", "type", "layers", "diff_ids", ids));
	json_object_set_new(doc, "history", history);
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

/* With the lock that keeps collectors away. */
static int commit_held(
	struct ctx *c, struct guest *g, const struct commit *k, char **ret_id, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *base = NULL;
	_cleanup_close_ int hold = blob_hold(c, e);
	g_autofree char *upper = store_path(c, "guests/%s/upper", g->rec->id);
	struct layer_result layer;
	struct store *s;
	char *text;
	int r = hold < 0 ? hold : store_get(c, &s, e);

	if (r >= 0)
		r = store_image_find(s, g->rec->image, &i, e);
	if (r >= 0)
		r = image_config(c, i, &base, e);
	if (r >= 0)
		r = layer_import_dir(c, upper, &layer, e);
	if (r < 0)
		return r;
	text = new_config(g, k, base, layer.digest);
	r = image_add(c, text, strlen(text), NULL, 0, k->names, ret_id, e);
	free(text);
	return r;
}

int guest_commit(
	struct ctx *c, struct guest *g, const struct commit *k, char **ret_id, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct journal_hold hold;
	bool paused = false;
	int64_t bytes;
	int r;

	if (g->spec->vm || g->spec->rootfs || !g->rec->image)
		return err_set(e, -E_UNSUPPORTED,
			"guest '%s' has no layers that a new one could lie on", g->rec->name);
	plan_add(p, AT_HOST, &step_content, "mkfs.erofs", "layer",
		plan_str(p, "%s/guests/%s/upper", c->root, g->rec->id));
	if (k->pause && g->state == GUEST_RUNNING) {
		r = guest_pause(c, g, e);
		if (r < 0)
			return r;
		paused = true;
	}
	/* if we die the next command removes the layer that no image names */
	r = journal_begin(c, p, &hold, e);
	if (r == 0) {
		r = commit_held(c, g, k, ret_id, e);
		if (r < 0)
			journal_abort(c, p, &hold);
		else
			journal_done(&hold);
		if (r < 0)
			(void)content_collect(c, &bytes, NULL);
	}
	if (paused)
		(void)guest_unpause(c, g, NULL);
	if (r >= 0)
		guest_event(c, g, "commit", NULL);
	return MIN(r, 0);
}
