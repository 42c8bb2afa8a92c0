/* SPDX-License-Identifier: MIT */
/* POST /commit: an image of a container. */

#include <string.h>
#include "dialect/docker/images.h"
#include "guest/commit.h"
#include "guest/guest.h"

/* Lists of NAME=VALUE: what the first has, and of the second the names that it hasn't. */
static json_t *merged_env(const json_t *first, const json_t *second)
{
	json_t *list = json_is_array(first) ? json_deep_copy(first) : json_array(), *v, *w;
	size_t i, k;

	json_array_foreach((json_t *)second, i, v) {
		const char *s = json_string_value(v);
		size_t n = s ? strcspn(s, "=") + 1 : 0;
		bool there = false;

		json_array_foreach(list, k, w)
			there = there || (s && strncmp(json_string_value(w) ?: "", s, n) == 0);
		if (s && !there)
			json_array_append(list, v);
	}
	return list;
}

static bool is_empty(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_string(v) && !*json_string_value(v)) ||
	       (json_is_array(v) && json_array_size(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0);
}

/* What the request says, and below it what the container had: as docker merges them. */
static json_t *merged(const json_t *asked, const json_t *had)
{
	static const char *const keys[] = { "User", "Env", "Cmd", "Entrypoint", "WorkingDir",
		"ExposedPorts", "Volumes", "Labels", "StopSignal", "Shell", "Healthcheck",
		"OnBuild", "StopTimeout", "ArgsEscaped" };
	json_t *j = json_object();

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		json_t *a = json_object_get(asked, keys[i]), *b = json_object_get(had, keys[i]);

		if (g_str_equal(keys[i], "Env") && (!is_empty(a) || !is_empty(b))) {
			json_object_set_new(j, "Env", merged_env(a, b));
		} else if (json_is_object(a) && json_is_object(b) &&
			   !g_str_equal(keys[i], "Healthcheck")) {
			json_t *both = json_deep_copy(b);

			json_object_update(both, a);
			json_object_set_new(j, keys[i], both);
		} else if (!is_empty(a) || !is_empty(b)) {
			/* another entry point makes the old command senseless */
			if (!(g_str_equal(keys[i], "Cmd") && is_empty(a) &&
				    !is_empty(json_object_get(asked, "Entrypoint"))))
				json_object_set(j, keys[i], is_empty(a) ? b : a);
		}
	}
	return j;
}

/* The container's own configuration over its image's. */
static json_t *had_config(struct ctx *c, const struct guest *g)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	json_t *doc = json_loads(g->rec->doc, 0, NULL), *ret, *env = json_array(),
	       *own = json_object_get(doc, "Config");
	struct store *s;

	if (g->rec->image && store_get(c, &s, NULL) >= 0 &&
		store_image_find(s, g->rec->image, &i, NULL) >= 0)
		(void)image_config(c, i, &config, NULL);
	own = json_is_object(own) ? json_copy(own) : json_object();
	for (char **e = g->spec->env; e && *e; e++)
		json_array_append_new(env, json_string(*e));
	json_object_set_new(own, "Env", env);
	if (json_object_get(doc, "labels"))
		json_object_set(own, "Labels", json_object_get(doc, "labels"));
	ret = merged(own, config ? json_object_get(config->raw, "config") : NULL);
	json_decref(own);
	json_decref(doc);
	return ret;
}

static int changed(struct call *c, json_t *config)
{
	g_auto(GStrv) changes = image_query_list(c, "changes");
	struct err e = { 0 };

	for (char **x = changes; *x; x++) {
		g_auto(GStrv) lines = g_strsplit(*x, "\n", -1);

		for (char **line = lines; *line; line++)
			if (*g_strstrip(*line) && image_change(config, *line, &e) < 0) {
				api_error(c, 400, "%s", e.text);
				return -E_INVALID;
			}
	}
	return 0;
}

static void commit(struct call *c, struct guest *g, const json_t *body, const char *full)
{
	g_autofree char *author = call_query(c, "author"), *comment = call_query(c, "comment"),
			*id = NULL;
	const char *names[] = { full, NULL };
	json_t *had = had_config(api_ctx(c), g), *config = merged(body, had);
	struct commit k = { .author = author,
		.comment = comment,
		.config = config,
		.names = names,
		/* before 1.13 nobody asked for it */
		.pause = api_flag(c, "pause", true) };
	struct err e = { 0 };
	int r = changed(c, config);

	if (r >= 0) {
		r = guest_commit(api_ctx(c), g, &k, &id, &e);
		if (r < 0)
			api_failed(c, r, &e);
		else
			api_json(c, 201, json_pack("{s:s}", "Id", id));
	}
	json_decref(had);
	json_decref(config);
}

void images_commit(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *who = call_query(c, "container"), *name = NULL, *full = NULL;
	struct err e = { 0 };
	struct ref ref;
	json_t *body;
	int r;

	if (api_json_body(c, &body) < 0)
		return;
	r = image_name_of_query(c, "repo", &name);
	if (r >= 0 && name && ref_parse(name, 0, &ref, NULL) >= 0) {
		full = ref_full(&ref);
		ref_clear(&ref);
	}
	if (r >= 0) {
		r = guest_get(api_ctx(c), NULL, who ? who : "", &g, &e);
		if (r == -E_NOTFOUND)
			api_error(c, 404, "No such container: %s", who ? who : "");
		else if (r < 0)
			api_failed(c, r, &e);
		else
			commit(c, g, body, full);
	}
	json_decref(body);
}
