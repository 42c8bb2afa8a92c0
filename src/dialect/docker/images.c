/* SPDX-License-Identifier: MIT */
/* The API's section "Image": what there is, and names. */

#include "dialect/docker/images.h"

#include <fnmatch.h>
#include <string.h>
#include "base/units.h"
#include "dialect/docker/match.h"
#include "guest/guest.h"
#include "store/layer.h"

#define NS INT64_C(1000000000)

/* --- names ----------------------------------------------------------------------------------------------------- */

void image_failed(struct call *c, int code, const char *ref, const struct err *e)
{
	struct ref r;
	g_autofree char *shown = NULL;

	if (code != -E_NOTFOUND) {
		api_failed(c, code, e);
		return;
	}
	if (ref_parse(ref, 0, &r, NULL) >= 0) {
		shown = ref_familiar(&r);
		ref_clear(&r);
	}
	api_error(c, 404, "No such image: %s", shown ?: ref);
}

char **image_query_list(const struct call *c, const char *key)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new();
	char buf[HTTP_TARGET_MAX];

	for (unsigned i = 0;
		c->q->query.p && http_query(c->q->query, key, i, buf, sizeof(buf)) >= 0; i++)
		g_ptr_array_add(list, g_strdup(buf));
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

int image_name_of_query(struct call *c, const char *repo_key, char **ret)
{
	g_autofree char *repo = call_query(c, repo_key), *tag = call_query(c, "tag");
	g_autofree char *whole = NULL;
	struct err e = { 0 };
	struct ref r;

	*ret = NULL;
	if (!repo || !*repo)
		return 0;
	if (ref_parse(repo, REF_NO_DEFAULT, &r, &e) < 0) {
		api_error(c, 400, "invalid reference format: %s", e.text);
		return -E_INVALID;
	}
	if (r.digest) {
		ref_clear(&r);
		api_error(c, 400, "refusing to create a tag with a digest reference");
		return -E_INVALID;
	}
	if (tag && *tag) {
		g_free(r.tag);
		r.tag = g_strdup(tag);
	}
	whole = ref_familiar(&r);
	ref_clear(&r);
	if (tag && *tag && !ref_is_tag(tag)) {
		api_error(c, 400, "invalid tag format");
		return -E_INVALID;
	}
	*ret = g_steal_pointer(&whole);
	return 0;
}

/* Tags and digests, as docker has them: a digest for each repository that the manifest is known of. */
static void names_json(const struct image_record *i, json_t **ret_tags, json_t **ret_digests)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	json_t *tags = json_array(), *digests = json_array();

	for (char **n = i->names; *n; n++) {
		g_autofree char *shown = NULL, *repo = NULL, *digest = NULL;
		struct ref r;

		if (ref_parse(*n, REF_NO_DEFAULT, &r, NULL) < 0)
			continue;
		repo = ref_familiar_name(&r);
		shown = ref_familiar(&r);
		if (r.digest)
			digest = g_strdup(shown);
		else if (i->manifest)
			digest = g_strdup_printf("%s@%s", repo, i->manifest);
		if (!r.digest)
			json_array_append_new(tags, json_string(shown));
		if (digest && g_hash_table_add(seen, g_strdup(digest)))
			json_array_append_new(digests, json_string(digest));
		ref_clear(&r);
	}
	*ret_tags = tags;
	*ret_digests = digests;
}

/* --- list -------------------------------------------------------------------------------------------------------- */

static json_t *labels_of(struct ctx *c, const struct image_record *i)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	json_t *labels;

	if (image_config(c, i, &config, NULL) < 0)
		return json_object();
	labels = json_object_get(json_object_get(config->raw, "config"), "Labels");
	return json_is_object(labels) ? json_deep_copy(labels) : json_object();
}

json_t *image_summary(
	struct ctx *c, const struct image_record *i, int64_t shared, int guests, unsigned minor)
{
	json_t *tags, *digests, *j;

	names_json(i, &tags, &digests);
	if (minor < 43 && json_array_size(tags) == 0 && json_array_size(digests) == 0) {
		json_array_append_new(tags, json_string("<none>:<none>"));
		json_array_append_new(digests, json_string("<none>@<none>"));
	}
	j = json_pack("{s:i, s:I, s:s, s:o, s:s, s:o, s:o, s:I, s:I}", "Containers", guests,
		"Created", (json_int_t)(i->created / NS), "Id", i->id, "Labels", labels_of(c, i),
		"ParentId", "", "RepoDigests", digests, "RepoTags", tags, "SharedSize",
		(json_int_t)shared, "Size", (json_int_t)i->size);
	if (minor < 44)
		json_object_set_new(j, "VirtualSize", json_integer(i->size));
	return j;
}

static int64_t layer_bytes(const GPtrArray *layers, const char *digest)
{
	for (guint i = 0; i < layers->len; i++) {
		const struct layer_record *l = layers->pdata[i];

		if (g_str_equal(l->digest, digest))
			return l->size;
	}
	return 0;
}

int64_t image_shared(const struct image_record *i, const GPtrArray *layers, const GPtrArray *all)
{
	int64_t bytes = 0;

	for (char **l = i->layers; *l; l++)
		for (guint k = 0; k < all->len; k++) {
			const struct image_record *x = all->pdata[k];

			if (g_str_equal(x->id, i->id) ||
				!g_strv_contains((const char *const *)x->layers, *l))
				continue;
			bytes += layer_bytes(layers, *l);
			break;
		}
	return bytes;
}

struct listing {
	struct ctx *c;
	json_t *filters;
	int dangling;
	int64_t before, since, until;
};

/* Shell patterns on name and tag, or on the name alone. */
static bool match_name(const json_t *patterns, const char *name)
{
	g_autofree char *shown = NULL, *repo = NULL;
	struct ref r;
	json_t *v;
	size_t k;

	if (ref_parse(name, REF_NO_DEFAULT, &r, NULL) < 0)
		return false;
	shown = ref_familiar(&r);
	repo = ref_familiar_name(&r);
	ref_clear(&r);
	json_array_foreach((json_t *)patterns, k, v) {
		const char *p = json_string_value(v);

		if (fnmatch(p, shown, FNM_PATHNAME) == 0 || fnmatch(p, repo, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

static bool match_reference(const struct listing *l, const struct image_record *i)
{
	const json_t *list = json_object_get(l->filters, "reference");
	bool is = !list;

	for (char **n = i->names; *n && !is; n++)
		is = match_name(list, *n);
	return is;
}

/* With such a filter an image is shown by the names that it lets pass. */
static json_t *only_matching(const struct listing *l, json_t *summary)
{
	static const char *const keys[] = { "RepoTags", "RepoDigests" };
	const json_t *list = json_object_get(l->filters, "reference");

	for (size_t k = 0; list && k < G_N_ELEMENTS(keys); k++) {
		json_t *names = json_object_get(summary, keys[k]);

		for (size_t i = json_array_size(names); i > 0; i--)
			if (!match_name(list, json_string_value(json_array_get(names, i - 1))))
				json_array_remove(names, i - 1);
	}
	return summary;
}

static bool listed(const struct listing *l, const struct image_record *i)
{
	bool is = (l->dangling < 0 || l->dangling == !i->names[0]) &&
		  (!l->before || i->created < l->before) && (!l->since || i->created > l->since) &&
		  (!l->until || i->created < l->until) && match_reference(l, i);

	if (is && json_object_get(l->filters, "label")) {
		json_t *labels = labels_of(l->c, i);

		is = match_labels(l->filters, "label", labels);
		json_decref(labels);
	}
	return is;
}

/* The moment of an image that a filter names; 0: no such filter. */
static int moment_of(struct call *c, const struct listing *l, const char *name, int64_t *ret)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	const char *ref = match_value(l->filters, name);
	struct err e = { 0 };
	int r = ref ? image_resolve(l->c, ref, &i, &e) : 0;

	*ret = i ? i->created : 0;
	if (r < 0)
		image_failed(c, r, ref, &e);
	return r;
}

static int listing_init(struct call *c, struct listing *l)
{
	static const char *const known[] = { "before", "dangling", "label", "reference", "since",
		"until", NULL };
	g_autofree char *old = call_query(c, "filter");
	int r;

	*l = (struct listing){ .c = api_ctx(c) };
	r = api_filters(c, known, &l->filters);
	if (r >= 0) {
		l->dangling = match_flag(c, l->filters, "dangling");
		r = l->dangling < -1 ? l->dangling : 0;
	}
	if (r >= 0)
		r = moment_of(c, l, "before", &l->before);
	if (r >= 0)
		r = moment_of(c, l, "since", &l->since);
	if (r >= 0)
		r = match_until(c, l->filters, &l->until);
	/* until 1.40 a pattern could be given so */
	if (r >= 0 && old && *old && api_minor(c) < 41)
		json_object_set_new(l->filters, "reference", json_pack("[s]", old));
	return r;
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
	const struct image_record *x = *(struct image_record *const *)a,
				  *y = *(struct image_record *const *)b;

	return x->created == y->created ? (x->added < y->added) - (x->added > y->added)
					: (x->created < y->created) - (x->created > y->created);
}

void images_list(struct call *c)
{
	g_autoptr(GPtrArray) all = NULL, layers = NULL;
	bool shared = api_flag(c, "shared-size", false);
	json_t *list = NULL;
	struct err e = { 0 };
	struct listing l;
	struct store *s;
	int r = listing_init(c, &l);

	if (r < 0) {
		json_decref(l.filters);
		return;
	}
	r = store_get(l.c, &s, &e);
	if (r >= 0)
		r = store_image_list(s, &all, &e);
	if (r >= 0 && shared)
		r = store_layer_list(s, &layers, &e);
	if (r >= 0) {
		list = json_array();
		g_ptr_array_sort(all, newest_first);
	}
	for (guint i = 0; r >= 0 && i < all->len; i++)
		if (listed(&l, all->pdata[i]))
			json_array_append_new(list,
				only_matching(&l,
					image_summary(l.c, all->pdata[i],
						shared ? image_shared(all->pdata[i], layers, all)
						       : -1,
						-1, api_minor(c))));
	json_decref(l.filters);
	if (r < 0)
		api_failed(c, r, &e);
	else
		api_json(c, 200, list);
}

/* --- inspect, history --------------------------------------------------------------------------------------------- */

json_t *image_config_json(const json_t *config)
{
	static const char *const texts[] = { "Hostname", "Domainname", "User", "Image",
		"WorkingDir" },
				 *const flags[] = { "AttachStdin", "AttachStdout", "AttachStderr",
					 "Tty", "OpenStdin", "StdinOnce" },
				 *const others[] = { "Env", "Cmd", "Volumes", "Entrypoint",
					 "OnBuild", "Labels" };
	json_t *j = json_object(), *v;
	const char *key;

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		json_object_set_new(j, texts[i], json_string(""));
	for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
		json_object_set_new(j, flags[i], json_false());
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		json_object_set_new(j, others[i], json_null());
	json_object_foreach((json_t *)config, key, v)
		json_object_set_new(j, key, json_deep_copy(v));
	return j;
}

/* Where the layers lie: what other drivers say of their folders. */
static json_t *driver_json(struct ctx *c, const struct image_record *i)
{
	g_autoptr(GString) lower = g_string_new(NULL);

	for (char **l = i->layers; *l; l++) {
		g_autofree char *path = layer_file(c, *l);

		g_string_prepend(lower, lower->len ? ":" : "");
		g_string_prepend(lower, path);
	}
	return json_pack("{s:s, s:{s:s}}", "Name", i->disk ? i->disk_format : "erofs", "Data",
		"LowerDir", lower->str);
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static json_t *layers_json(const struct image_record *i)
{
	json_t *list = json_array();

	for (char **l = i->layers; *l; l++)
		json_array_append_new(list, json_string(*l));
	return list;
}

static json_t *inspect_json(struct ctx *c, const struct image_record *i,
	const struct image_config *config, unsigned minor)
{
	json_t *tags, *digests, *j, *run = json_object_get(config->raw, "config");
	const json_t *history = json_object_get(config->raw, "history");
	const json_t *last = json_array_get(history, json_array_size(history) - 1);
	g_autofree char *created = config->created ? units_show_time(config->created) : NULL;
	g_autofree char *tagged = units_show_time(i->added);

	names_json(i, &tags, &digests);
	j = json_pack("{s:s, s:o, s:o, s:s, s:s}", "Id", i->id, "RepoTags", tags, "RepoDigests",
		digests, "Parent", "", "Comment",
		*text_of(config->raw, "comment") ? text_of(config->raw, "comment")
						 : text_of(last, "comment"));
	if (created || minor < 44)
		json_object_set_new(j, "Created", json_string(created ?: "0001-01-01T00:00:00Z"));
	if (minor < 45) {
		json_object_set_new(j, "Container", json_string(text_of(config->raw, "container")));
		json_object_set_new(j, "ContainerConfig",
			image_config_json(json_object_get(config->raw, "container_config")));
	}
	json_object_set_new(
		j, "DockerVersion", json_string(text_of(config->raw, "docker_version")));
	json_object_set_new(j, "Author", json_string(config->author ?: ""));
	json_object_set_new(j, "Config", image_config_json(run));
	json_object_set_new(j, "Architecture", json_string(config->arch));
	if (config->variant)
		json_object_set_new(j, "Variant", json_string(config->variant));
	json_object_set_new(j, "Os", json_string(config->os));
	json_object_set_new(j, "Size", json_integer(i->size));
	if (minor < 44)
		json_object_set_new(j, "VirtualSize", json_integer(i->size));
	json_object_set_new(j, "GraphDriver", driver_json(c, i));
	json_object_set_new(
		j, "RootFS", json_pack("{s:s, s:o}", "Type", "layers", "Layers", layers_json(i)));
	json_object_set_new(j, "Metadata", json_pack("{s:s}", "LastTagTime", tagged));
	return j;
}

void images_inspect(struct call *c)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	struct err e = { 0 };
	int r = image_resolve(api_ctx(c), c->args[0], &i, &e);

	if (r >= 0)
		r = image_config(api_ctx(c), i, &config, &e);
	if (r < 0)
		image_failed(c, r, c->args[0], &e);
	else
		api_json(c, 200, inspect_json(api_ctx(c), i, config, api_minor(c)));
}

void images_history(struct call *c)
{
	struct err e = { 0 };
	json_t *list;
	int r = image_history(api_ctx(c), c->args[0], &list, &e);

	if (r < 0)
		image_failed(c, r, c->args[0], &e);
	else
		api_json(c, 200, list);
}

/* --- tag, search ---------------------------------------------------------------------------------------------------- */

void images_tag(struct call *c)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *name = NULL;
	struct err e = { 0 };
	int r;

	if (image_name_of_query(c, "repo", &name) < 0)
		return;
	if (!name) {
		api_error(c, 400,
			"invalid reference format: repository name must have at least one "
			"component");
		return;
	}
	r = image_resolve(api_ctx(c), c->args[0], &i, &e);
	if (r >= 0)
		r = image_tag(api_ctx(c), i->id, name, &e);
	if (r < 0)
		image_failed(c, r, c->args[0], &e);
	else
		api_none(c, 201);
}

void images_search(struct call *c)
{
	api_error(c, 501,
		"search is not supported: registries of the OCI specification have no search, only "
		"Docker Hub's own site has");
}
