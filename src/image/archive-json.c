/* SPDX-License-Identifier: MIT */
/* What the JSON files of an archive say. All of it is checked here: nothing behind this trusts it less. */
#include <string.h>
#include "base/units.h"
#include "codec/json.h"
#include "image/archive-priv.h"
#include "image/ref.h"

#define IMAGES_MAX 1000 /* in one archive */

static int bad(struct err *e, const char *file, const char *why)
{
	return err_set(e, -E_CORRUPT, "'%s' of the archive is wrong: %s", file, why);
}

static int read_json(const char *file, const char *text, size_t size, json_t **ret, struct err *e)
{
	int r = json_read(text, size, ret, e);

	if (r < 0) {
		(void)err_prefix(e, "'%s' of the archive", file);
		if (e)
			e->code = -E_CORRUPT;
		return -E_CORRUPT;
	}
	return 0;
}

char *archive_path(const char *path)
{
	g_auto(GStrv) word = NULL;
	g_autoptr(GString) clean = g_string_new(NULL);

	if (*path == '/')
		return NULL;
	word = g_strsplit(path, "/", -1);
	for (char **w = word; *w; w++) {
		if (!**w || strcmp(*w, ".") == 0)
			continue;
		if (strcmp(*w, "..") == 0)
			return NULL;
		if (clean->len > 0)
			g_string_append_c(clean, '/');
		g_string_append(clean, *w);
	}
	return clean->len > 0 ? g_string_free(g_steal_pointer(&clean), FALSE) : NULL;
}

/* A list of strings; paths are cleaned. NULL and null: an empty one. */
static int get_list(const char *file, json_t *j, bool paths, size_t max, char ***ret, struct err *e)
{
	g_auto(GStrv) list = NULL;
	json_t *x;
	size_t i;

	if (j && !json_is_null(j) && !json_is_array(j))
		return bad(e, file, "something isn't a list");
	if (json_array_size(j) > max)
		return err_set(
			e, -E_LIMIT, "'%s' of the archive has a list of more than %zu", file, max);
	list = g_new0(char *, json_array_size(j) + 1);
	json_array_foreach(j, i, x) {
		const char *s = json_string_value(x);

		if (!s)
			return bad(e, file, "a list has something that isn't a string");
		list[i] = paths ? archive_path(s) : g_strdup(s);
		if (!list[i])
			return err_set(e, -E_CORRUPT,
				"'%s' of the archive names the path '%.100s', which leads out of "
				"it",
				file, s);
	}
	*ret = g_steal_pointer(&list);
	return 0;
}

/* --- docker -------------------------------------------------------------------------------------- */

void docker_image_free(struct docker_image *d)
{
	if (!d)
		return;
	g_free(d->config);
	g_strfreev(d->layers);
	g_strfreev(d->names);
	g_free(d);
}

static int read_docker_image(json_t *j, struct docker_image *d, struct err *e)
{
	static const char file[] = "manifest.json";
	const char *config = json_string_value(json_object_get(j, "Config"));
	int r;

	if (!config)
		return bad(e, file, "an image has no 'Config'");
	d->config = archive_path(config);
	if (!d->config)
		return err_set(e, -E_CORRUPT,
			"'%s' of the archive names the path '%.100s', which leads out of it", file,
			config);
	r = get_list(file, json_object_get(j, "Layers"), true, IMAGE_LAYERS_MAX, &d->layers, e);
	return r < 0 ? r
		     : get_list(file, json_object_get(j, "RepoTags"), false, IMAGE_NAMES_MAX,
			       &d->names, e);
}

int docker_manifest_parse(const char *text, size_t size, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)docker_image_free);
	json_t *doc = NULL, *j;
	size_t i;
	int r;

	r = read_json("manifest.json", text, size, &doc, e);
	if (r < 0)
		return r;
	if (!json_is_array(doc) || json_array_size(doc) == 0)
		r = bad(e, "manifest.json", "it isn't a list of images");
	else if (json_array_size(doc) > IMAGES_MAX)
		r = err_set(e, -E_LIMIT, "the archive has more than %d images", IMAGES_MAX);
	for (i = 0; r >= 0 && i < json_array_size(doc); i++) {
		struct docker_image *d = g_new0(struct docker_image, 1);

		g_ptr_array_add(list, d);
		j = json_array_get(doc, i);
		r = read_docker_image(j, d, e);
	}
	json_decref(doc);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}

static bool is_v1_id(const char *s)
{
	return s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

int docker_repositories_parse(
	const char *text, size_t size, char ***ret_names, char ***ret_ids, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	const char *name, *tag;
	json_t *doc = NULL, *tags, *id;
	int r;

	r = read_json("repositories", text, size, &doc, e);
	if (r < 0)
		return r;
	if (!json_is_object(doc) || json_object_size(doc) == 0)
		r = bad(e, "repositories", "it names no image");
	json_object_foreach(doc, name, tags) {
		if (r >= 0 && !json_is_object(tags))
			r = bad(e, "repositories", "a repository isn't an object");
		json_object_foreach(tags, tag, id) {
			if (r < 0)
				break;
			if (!is_v1_id(json_string_value(id)))
				r = bad(e, "repositories", "something isn't an id");
			else if (names->len >= IMAGES_MAX)
				r = err_set(e, -E_LIMIT, "the archive has more than %d images",
					IMAGES_MAX);
			g_ptr_array_add(names, g_strdup_printf("%s:%s", name, tag));
			g_ptr_array_add(ids, g_strdup(json_string_value(id)));
		}
	}
	json_decref(doc);
	if (r < 0)
		return r;
	g_ptr_array_add(names, NULL);
	g_ptr_array_add(ids, NULL);
	g_ptr_array_set_free_func(names, NULL);
	g_ptr_array_set_free_func(ids, NULL);
	*ret_names = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
	*ret_ids = (char **)g_ptr_array_free(g_steal_pointer(&ids), FALSE);
	return 0;
}

int docker_v1_parse(const char *text, size_t size, char **ret_parent, json_t **ret, struct err *e)
{
	json_t *doc = NULL;
	const char *parent;
	int r;

	r = read_json("json", text, size, &doc, e);
	if (r < 0)
		return r;
	parent = json_string_value(json_object_get(doc, "parent"));
	if (!json_is_object(doc) || (parent && *parent && !is_v1_id(parent))) {
		json_decref(doc);
		return bad(e, "json", "it isn't the description of a layer");
	}
	*ret_parent = parent && *parent ? g_strdup(parent) : NULL;
	*ret = doc;
	return 0;
}

/* What docker makes of such a document: the words of the command of its container. */
static json_t *v1_history(json_t *doc)
{
	static const char *const keys[] = { "created", "author", "comment" };
	json_t *step = json_object(), *x;
	json_t *cmd = json_object_get(json_object_get(doc, "container_config"), "Cmd");
	g_autoptr(GString) by = g_string_new(NULL);
	size_t i;

	for (unsigned k = 0; k < G_N_ELEMENTS(keys); k++)
		if (json_is_string(json_object_get(doc, keys[k])))
			(void)json_object_set(step, keys[k], json_object_get(doc, keys[k]));
	json_array_foreach(cmd, i, x) {
		if (json_is_string(x))
			g_string_append_printf(by, "%s%s", i > 0 ? " " : "", json_string_value(x));
	}
	if (by->len > 0)
		(void)json_object_set_new(step, "created_by", json_string(by->str));
	return step;
}

char *docker_v1_config(json_t *const *docs, unsigned n, const char *const *diff_ids)
{
	static const char *const keys[] = { "created", "author", "architecture", "os", "variant",
		"config", "docker_version" };
	json_t *doc = json_object(), *ids = json_array(), *history = json_array(), *top;
	char *dump, *text;

	top = docs[n - 1];
	for (unsigned k = 0; k < G_N_ELEMENTS(keys); k++)
		if (json_object_get(top, keys[k]))
			(void)json_object_set(doc, keys[k], json_object_get(top, keys[k]));
	for (unsigned i = 0; i < n; i++) {
		(void)json_array_append_new(ids, json_string(diff_ids[i]));
		(void)json_array_append_new(history, v1_history(docs[i]));
	}
	(void)json_object_set_new(
		doc, "rootfs", json_pack("{s:s, s:o}", "type", "layers", "diff_ids", ids));
	(void)json_object_set_new(doc, "history", history);
	dump = json_dumps(doc, JSON_COMPACT);
	text = g_strdup(dump);
	free(dump);
	json_decref(doc);
	return text;
}

/* --- OCI ----------------------------------------------------------------------------------------- */

void oci_descriptor_free(struct oci_descriptor *d)
{
	if (!d)
		return;
	g_free(d->type);
	g_free(d->digest);
	g_free(d->os);
	g_free(d->arch);
	g_free(d->variant);
	g_free(d->name);
	g_free(d);
}

void oci_document_free(struct oci_document *d)
{
	if (!d)
		return;
	if (d->manifests)
		g_ptr_array_unref(d->manifests);
	if (d->layers)
		g_ptr_array_unref(d->layers);
	oci_descriptor_free(d->config);
	g_free(d);
}

void oci_document_freep(struct oci_document **d)
{
	oci_document_free(*d);
}

static char *string_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && *s ? g_strdup(s) : NULL;
}

/* descriptor.md. Other algorithms than sha256 aren't ours. */
static int read_descriptor(json_t *j, struct oci_descriptor *d, struct err *e)
{
	/* what docker and containerd write beside, in the order of trust: the whole name first */
	static const char *const names[] = { "io.containerd.image.name",
		"org.opencontainers.image.ref.name" };
	json_t *platform = json_object_get(j, "platform"), *size = json_object_get(j, "size");
	json_t *annotations = json_object_get(j, "annotations");

	d->type = string_of(j, "mediaType");
	if (!d->type)
		d->type = g_strdup("");
	d->digest = string_of(j, "digest");
	if (!d->digest || !ref_is_digest(d->digest))
		return err_set(e, -E_CORRUPT, "a descriptor of the archive has no valid digest");
	if (!g_str_has_prefix(d->digest, "sha256:"))
		return err_set(e, -E_UNSUPPORTED,
			"the archive uses the digest '%.20s...'; only "
			"sha256 is read",
			d->digest);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(e, -E_CORRUPT, "the descriptor of '%s' has no size", d->digest);
	d->size = json_integer_value(size);
	d->os = string_of(platform, "os");
	d->arch = string_of(platform, "architecture");
	d->variant = string_of(platform, "variant");
	for (unsigned i = 0; !d->name && i < G_N_ELEMENTS(names); i++)
		d->name = string_of(annotations, names[i]);
	return 0;
}

static int read_descriptors(json_t *list, size_t max, GPtrArray **ret, struct err *e)
{
	json_t *j;
	size_t i;
	int r = 0;

	*ret = g_ptr_array_new_with_free_func((GDestroyNotify)oci_descriptor_free);
	if (json_array_size(list) > max)
		return err_set(
			e, -E_LIMIT, "a list of the archive has more than %zu descriptors", max);
	json_array_foreach(list, i, j) {
		struct oci_descriptor *d = g_new0(struct oci_descriptor, 1);

		g_ptr_array_add(*ret, d);
		r = read_descriptor(j, d, e);
		if (r < 0)
			break;
	}
	return r;
}

static int read_document(json_t *doc, struct oci_document *d, struct err *e)
{
	json_t *version = json_object_get(doc, "schemaVersion");
	json_t *manifests = json_object_get(doc, "manifests");
	json_t *config = json_object_get(doc, "config"), *layers = json_object_get(doc, "layers");
	int r;

	if (!json_is_object(doc))
		return err_set(e, -E_CORRUPT, "a manifest of the archive isn't a JSON object");
	if (version && json_integer_value(version) != 2)
		return err_set(e, -E_UNSUPPORTED, "a manifest of the archive has version %d, not 2",
			(int)json_integer_value(version));
	/* manifest.md: a document that could be both could be read differently by others */
	if (manifests && (config || layers))
		return err_set(
			e, -E_CORRUPT, "a document of the archive is index and manifest at once");
	if (json_is_array(manifests)) {
		d->kind = OCI_INDEX;
		return read_descriptors(manifests, IMAGES_MAX, &d->manifests, e);
	}
	if (!json_is_object(config) || !json_is_array(layers))
		return err_set(
			e, -E_CORRUPT, "a document of the archive is neither index nor manifest");
	d->kind = OCI_MANIFEST;
	d->config = g_new0(struct oci_descriptor, 1);
	r = read_descriptor(config, d->config, e);
	return r < 0 ? r : read_descriptors(layers, IMAGE_LAYERS_MAX, &d->layers, e);
}

int oci_document_parse(const char *text, size_t size, struct oci_document **ret, struct err *e)
{
	_cleanup_(oci_document_freep) struct oci_document *d = g_new0(struct oci_document, 1);
	json_t *doc = NULL;
	int r;

	r = read_json("index or manifest", text, size, &doc, e);
	if (r < 0)
		return r;
	r = read_document(doc, d, e);
	json_decref(doc);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(d);
	return 0;
}
