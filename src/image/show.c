/* SPDX-License-Identifier: MIT */
/* What an image is said to be: history and inspect. */
#include <string.h>
#include "base/units.h"
#include "image/image.h"
#include "image/ref.h"
#include "store/disk.h"

static int64_t layer_size(const GPtrArray *layers, const char *digest)
{
	for (unsigned i = 0; digest && i < layers->len; i++) {
		const struct layer_record *l = layers->pdata[i];

		if (strcmp(l->digest, digest) == 0)
			return l->size;
	}
	return 0;
}

static const char *text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static json_t *shown_names(const struct image_record *i)
{
	json_t *names = json_array();

	for (char **n = i->names; *n; n++) {
		g_autofree char *shown = ref_show(*n);

		(void)json_array_append_new(names, json_string(shown));
	}
	return names;
}

static void add_step(json_t *list, json_t *step, int64_t size)
{
	int64_t created = 0;

	(void)units_parse_moment(text_of(step, "created"), 0, &created);
	(void)json_array_insert_new(list, 0,
		json_pack("{s:s, s:I, s:s, s:s, s:I, s:n}", "Id", "<missing>", "Created",
			(json_int_t)(created / 1000000000), "CreatedBy",
			text_of(step, "created_by"), "Comment", text_of(step, "comment"), "Size",
			(json_int_t)size, "Tags"));
}

int image_history(struct ctx *c, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autoptr(GPtrArray) layers = NULL;
	json_t *list, *step, *newest, *names;
	struct store *s;
	unsigned next = 0;
	size_t k;
	int r;

	r = image_resolve(c, ref, &i, e);
	if (r >= 0)
		r = image_config(c, i, &config, e);
	if (r >= 0)
		r = store_get(c, &s, e);
	if (r >= 0)
		r = store_layer_list(s, &layers, e);
	if (r < 0)
		return r;
	list = json_array();
	json_array_foreach(json_object_get(config->raw, "history"), k, step) {
		bool empty = json_is_true(json_object_get(step, "empty_layer"));
		const char *digest = !empty && i->layers[next] ? i->layers[next++] : NULL;

		add_step(list, step, layer_size(layers, digest));
	}
	if (i->disk && json_array_size(list) > 0)
		(void)json_object_set_new(json_array_get(list, 0), "Size", json_integer(i->size));
	/* layers that the history doesn't tell of */
	for (; i->layers[next]; next++)
		add_step(list, NULL, layer_size(layers, i->layers[next]));
	newest = json_array_get(list, 0);
	if (newest) {
		names = shown_names(i);
		(void)json_object_set_new(newest, "Id", json_string(i->id));
		(void)json_object_set_new(newest, "Tags", names);
	}
	*ret = list;
	return 0;
}

static json_t *digests(const struct image_record *i)
{
	json_t *list = json_array();
	g_autofree char *last = NULL;

	for (char **n = i->names; i->manifest && *n; n++) {
		g_autofree char *name = NULL, *full = NULL;
		struct ref r;

		if (ref_parse(*n, REF_NO_DEFAULT, &r, NULL) < 0)
			continue;
		name = ref_familiar_name(&r);
		ref_clear(&r);
		if (g_strcmp0(last, name) == 0) /* names are sorted */
			continue;
		full = g_strdup_printf("%s@%s", name, i->manifest);
		(void)json_array_append_new(list, json_string(full));
		g_free(last);
		last = g_steal_pointer(&name);
	}
	return list;
}

int image_inspect(struct ctx *c, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autofree char *created = NULL, *added = NULL;
	json_t *o, *layers, *run, *history, *step;
	const char *comment;
	int r;

	r = image_resolve(c, ref, &i, e);
	if (r >= 0)
		r = image_config(c, i, &config, e);
	if (r < 0)
		return r;
	created = units_show_time(config->created);
	added = units_show_time(i->added);
	layers = json_array();
	for (char **l = i->layers; *l; l++)
		(void)json_array_append_new(layers, json_string(*l));
	run = json_object_get(config->raw, "config");
	history = json_object_get(config->raw, "history");
	step = json_array_get(history, json_array_size(history) - 1);
	comment = *text_of(config->raw, "comment") ? text_of(config->raw, "comment")
						   : text_of(step, "comment");
	o = json_object();
	(void)json_object_set_new(o, "Id", json_string(i->id));
	(void)json_object_set_new(o, "RepoTags", shown_names(i));
	(void)json_object_set_new(o, "RepoDigests", digests(i));
	(void)json_object_set_new(o, "Parent", json_string(""));
	(void)json_object_set_new(o, "Comment", json_string(comment));
	(void)json_object_set_new(o, "Created", json_string(created));
	(void)json_object_set_new(
		o, "DockerVersion", json_string(text_of(config->raw, "docker_version")));
	(void)json_object_set_new(o, "Author", json_string(config->author ? config->author : ""));
	(void)json_object_set(o, "Config", run ? run : json_null());
	(void)json_object_set_new(o, "Architecture", json_string(config->arch));
	if (config->variant)
		(void)json_object_set_new(o, "Variant", json_string(config->variant));
	(void)json_object_set_new(o, "Os", json_string(config->os));
	(void)json_object_set_new(o, "Size", json_integer(i->size));
	(void)json_object_set_new(o, "GraphDriver",
		json_pack("{s:s, s:n}", "Name", i->disk ? i->disk_format : "erofs", "Data"));
	(void)json_object_set_new(
		o, "RootFS", json_pack("{s:s, s:o}", "Type", "layers", "Layers", layers));
	if (i->disk) {
		g_autofree char *path = disk_path(c, i->disk, i->disk_format);

		(void)json_object_set_new(o, "Disk",
			json_pack("{s:s, s:s, s:s, s:I}", "Digest", i->disk, "Format",
				i->disk_format, "Path", path, "VirtualSize",
				(json_int_t)i->disk_size));
	}
	(void)json_object_set_new(o, "Metadata", json_pack("{s:s}", "LastTagTime", added));
	*ret = o;
	return 0;
}
