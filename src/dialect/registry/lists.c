/* SPDX-License-Identifier: MIT */
/* What there is: repositories, tags, referrers. */

#include <string.h>
#include <jansson.h>
#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"
#include "dialect/registry/routes.h"

#define PAGE_MAX      10000
#define REFERRERS_MAX 1000

void lists_base(struct call *c)
{
	reply_text(&c->reply, 200, "application/json; charset=utf-8", "{}");
}

static void answer(struct call *c, json_t *j, const char *type)
{
	char *text = json_dumps(j, JSON_COMPACT);

	if (text)
		reply_text(&c->reply, 200, type, text);
	else
		registry_fail(&c->reply, 500, NULL, "cannot write the list");
	free(text);
	json_decref(j);
}

/* --- tags ---------------------------------------------------------------------------------------------------- */

void lists_answer_tags(struct call *c, const char *name, const GPtrArray *tags)
{
	g_autofree char *last = call_query(c, "last");
	g_autofree char *path = g_strdup_printf("/v2/%s/tags/list", name);
	int64_t n = call_count(c);
	json_t *list;

	if (n < 0)
		return;
	list = json_array();
	for (guint i = 0; tags && i < tags->len; i++) {
		const char *tag = tags->pdata[i];

		if (last && strcmp(tag, last) <= 0)
			continue;
		if ((int64_t)json_array_size(list) == n) {
			if (n > 0)
				reply_next(&c->reply, path, n, tags->pdata[i - 1], "");
			break;
		}
		json_array_append_new(list, json_string(tag));
	}
	answer(c, json_pack("{s:s, s:o}", "name", name, "tags", list),
		"application/json; charset=utf-8");
}

void lists_tags(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *folder = NULL;
	g_autoptr(GPtrArray) tags = NULL;

	if (!name)
		return;
	if (!depot_repo_exists(reg, name)) {
		registry_unknown(
			&c->reply, "NAME_UNKNOWN", "repository name not known to registry", name);
		return;
	}
	folder = depot_repo_path(name, "_tags", NULL);
	tags = depot_list(reg, folder);
	lists_answer_tags(c, name, tags);
}

/* --- repositories ---------------------------------------------------------------------------------------------- */

struct walk {
	const struct depot *reg;
	GPtrArray *names;
};

/* Names in the order of folders aren't in the order of names ("a-b" before "a/b"). */
static void collect(struct walk *w, const char *name)
{
	g_autofree char *folder = depot_repo_path(name, NULL, NULL);
	g_autoptr(GPtrArray) all = depot_list(w->reg, *name ? folder : "repositories");
	bool repo = false;

	for (guint i = 0; all && i < all->len; i++) {
		const char *part = all->pdata[i];
		g_autofree char *below =
			*name ? g_strdup_printf("%s/%s", name, part) : g_strdup(part);

		if (*part == '_')
			repo = true;
		else if (registry_is_name(below))
			collect(w, below);
	}
	if (repo && *name)
		g_ptr_array_add(w->names, g_strdup(name));
}

static gint by_bytes(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void lists_walk(const struct depot *r, bool (*each)(const char *name, void *data), void *data)
{
	struct walk w = { r, g_ptr_array_new_with_free_func(g_free) };

	collect(&w, "");
	g_ptr_array_sort(w.names, by_bytes);
	for (guint i = 0; i < w.names->len && each(w.names->pdata[i], data); i++)
		;
	g_ptr_array_free(w.names, TRUE);
}

struct catalog {
	struct call *c;
	const char *last;
	int64_t n;
	json_t *list;
};

static bool add_repository(const char *name, void *data)
{
	struct catalog *cat = data;
	size_t have = json_array_size(cat->list);

	if ((cat->last && strcmp(name, cat->last) <= 0) || !depot_repo_exists(cat->c->data, name))
		return true;
	if ((int64_t)have == cat->n) {
		if (have > 0)
			reply_next(&cat->c->reply, "/v2/_catalog", cat->n,
				json_string_value(json_array_get(cat->list, have - 1)), "");
		return false;
	}
	json_array_append_new(cat->list, json_string(name));
	return true;
}

void lists_catalog(struct call *c)
{
	g_autofree char *last = call_query(c, "last");
	struct catalog cat = { c, last, call_count(c), NULL };

	if (cat.n < 0)
		return;
	cat.n = MIN(cat.n, PAGE_MAX);
	cat.list = json_array();
	lists_walk(c->data, add_repository, &cat);
	answer(c, json_pack("{s:o}", "repositories", cat.list), "application/json; charset=utf-8");
}

/* --- referrers --------------------------------------------------------------------------------------------------- */

/* The descriptor of a manifest that names a subject; NULL: it isn't there any more, or isn't of that type. */
static json_t *referrer(
	const struct depot *reg, const char *name, const char *digest, const char *type)
{
	struct manifest m;
	json_t *j = NULL;
	int64_t size;

	if (manifest_load(reg, name, digest, &m, &size) < 0)
		return NULL;
	if (!type || (m.artifact_type && g_str_equal(m.artifact_type, type))) {
		j = json_pack("{s:s, s:s, s:I}", "mediaType", m.media_type, "digest", digest,
			"size", (json_int_t)size);
		if (m.artifact_type)
			json_object_set_new(j, "artifactType", json_string(m.artifact_type));
		if (m.annotations)
			json_object_set(j, "annotations", m.annotations);
	}
	manifest_done(&m);
	return j;
}

void lists_referrers(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *type = call_query(c, "artifactType"), *last = call_query(c, "last");
	g_autofree char *folder = NULL, *path = NULL, *more = NULL;
	g_autoptr(GPtrArray) all = NULL;
	json_t *list;

	if (!name)
		return;
	if (!c->args[1] || !registry_is_digest(c->args[1])) {
		registry_fail(&c->reply, 400, "DIGEST_INVALID", "invalid digest");
		return;
	}
	folder = depot_repo_path(name, "_referrers", c->args[1]);
	path = g_strdup_printf("/v2/%s/referrers/%s", name, c->args[1]);
	if (type) {
		g_autofree char *escaped = g_uri_escape_string(type, NULL, FALSE);

		more = g_strdup_printf("&artifactType=%s", escaped);
		reply_header(&c->reply, "OCI-Filters-Applied", "artifactType");
	}
	all = depot_list(reg, folder);
	list = json_array();
	for (guint i = 0; all && i < all->len; i++) {
		const char *digest = all->pdata[i];
		json_t *one;

		if (!registry_is_digest(digest) || (last && strcmp(digest, last) <= 0))
			continue;
		if (json_array_size(list) == REFERRERS_MAX) {
			reply_next(&c->reply, path, REFERRERS_MAX, all->pdata[i - 1], more ?: "");
			break;
		}
		one = referrer(reg, name, digest, type);
		if (one)
			json_array_append_new(list, one);
	}
	answer(c,
		json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
			"application/vnd.oci.image.index.v1+json", "manifests", list),
		"application/vnd.oci.image.index.v1+json");
}
