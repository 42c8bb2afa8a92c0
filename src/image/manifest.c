/* SPDX-License-Identifier: MIT */
#include "image/manifest.h"

#include <string.h>
#include "codec/json.h"
#include "image/image.h"
#include "image/ref.h"

#define MEMBERS_MAX 1000 /* of an index */

static void descriptor_free(struct descriptor *d)
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

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	g_free(m->type);
	descriptor_free(m->config);
	if (m->parts)
		g_ptr_array_unref(m->parts);
	json_decref(m->doc);
	g_free(m);
}

void manifest_freep(struct manifest **m)
{
	manifest_free(*m);
}

/* --- reading ------------------------------------------------------------------------------------- */

bool manifest_type_is_index(const char *type)
{
	return strcmp(type, TYPE_OCI_INDEX) == 0 || strcmp(type, TYPE_DOCKER_LIST) == 0;
}

static const char *known_type(const char *type)
{
	static const char *const known[] = { TYPE_OCI_INDEX, TYPE_OCI_MANIFEST, TYPE_DOCKER_LIST,
		TYPE_DOCKER_MANIFEST, TYPE_DOCKER_V1, TYPE_DOCKER_V1_SIGNED };

	for (unsigned i = 0; type && i < G_N_ELEMENTS(known); i++)
		if (strcmp(type, known[i]) == 0)
			return known[i];
	return NULL;
}

/* A document without a type of its own: OCI's may leave it out, docker's may not. */
static const char *type_of(const json_t *doc)
{
	const char *type = known_type(json_string_value(json_object_get(doc, "mediaType")));
	json_t *config = json_object_get(doc, "config");

	if (type)
		return type;
	if (json_integer_value(json_object_get(doc, "schemaVersion")) == 1)
		return json_object_get(doc, "signatures") ? TYPE_DOCKER_V1_SIGNED : TYPE_DOCKER_V1;
	if (json_is_array(json_object_get(doc, "manifests")))
		return TYPE_OCI_INDEX;
	type = json_string_value(json_object_get(config, "mediaType"));
	return g_strcmp0(type, TYPE_DOCKER_CONFIG) == 0 ? TYPE_DOCKER_MANIFEST : TYPE_OCI_MANIFEST;
}

const char *manifest_type_of(const char *text, size_t size)
{
	json_t *doc = NULL;
	const char *type = TYPE_OCI_MANIFEST;

	if (json_read(text, size, &doc, NULL) >= 0)
		type = type_of(doc);
	json_decref(doc);
	return type;
}

static char *string_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && *s ? g_strdup(s) : NULL;
}

static int read_descriptor(json_t *j, struct descriptor *d, struct err *e)
{
	json_t *platform = json_object_get(j, "platform"), *size = json_object_get(j, "size");
	json_t *urls = json_object_get(j, "urls");

	d->json = j;
	d->type = string_of(j, "mediaType");
	if (!d->type)
		d->type = g_strdup("");
	d->digest = string_of(j, "digest");
	if (!d->digest || !ref_is_digest(d->digest))
		return err_set(e, -E_CORRUPT, "a descriptor of the manifest has no valid digest");
	if (!g_str_has_prefix(d->digest, "sha256:"))
		return err_set(e, -E_UNSUPPORTED,
			"the manifest uses the digest '%.20s...'; only sha256 is read", d->digest);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(e, -E_CORRUPT, "the descriptor of '%s' has no size", d->digest);
	d->size = json_integer_value(size);
	d->os = string_of(platform, "os");
	d->arch = string_of(platform, "architecture");
	d->variant = string_of(platform, "variant");
	d->name = string_of(json_object_get(j, "annotations"), "org.opencontainers.image.ref.name");
	d->foreign = json_array_size(urls) > 0;
	return 0;
}

static int read_parts(struct manifest *m, json_t *list, size_t max, struct err *e)
{
	json_t *j;
	size_t i;
	int r = 0;

	if (json_array_size(list) > max)
		return err_set(e, -E_LIMIT, "the manifest has more than %zu %s", max,
			m->index ? "members" : "layers");
	json_array_foreach(list, i, j) {
		struct descriptor *d = g_new0(struct descriptor, 1);

		g_ptr_array_add(m->parts, d);
		r = read_descriptor(j, d, e);
		if (r < 0)
			break;
	}
	return r;
}

static int read_document(struct manifest *m, struct err *e)
{
	json_t *manifests = json_object_get(m->doc, "manifests");
	json_t *config = json_object_get(m->doc, "config");
	json_t *layers = json_object_get(m->doc, "layers");
	json_t *version = json_object_get(m->doc, "schemaVersion");
	int r;

	if (version && json_integer_value(version) != 2) {
		err_set(e, -E_UNSUPPORTED,
			"the manifest has the form of schema %d, which isn't read",
			(int)json_integer_value(version));
		(void)err_mend(e, "docker 1.10 and later write schema 2: push the image again");
		return -E_UNSUPPORTED;
	}
	/* manifest.md: a document that could be both could be read differently by others */
	if (manifests && (config || layers))
		return err_set(e, -E_CORRUPT, "a document is index and manifest at once");
	if (m->index)
		return json_is_array(manifests)
			       ? read_parts(m, manifests, MEMBERS_MAX, e)
			       : err_set(e, -E_CORRUPT, "an index without a list 'manifests'");
	if (!json_is_object(config) || !json_is_array(layers))
		return err_set(e, -E_CORRUPT, "a manifest without a 'config' or 'layers'");
	m->config = g_new0(struct descriptor, 1);
	r = read_descriptor(config, m->config, e);
	return r < 0 ? r : read_parts(m, layers, IMAGE_LAYERS_MAX, e);
}

int manifest_parse(
	const char *text, size_t size, const char *type, struct manifest **ret, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *m = g_new0(struct manifest, 1);
	const char *inside;
	int r;

	m->parts = g_ptr_array_new_with_free_func((GDestroyNotify)descriptor_free);
	r = json_read(text, size, &m->doc, e);
	if (r < 0) {
		(void)err_prefix(e, "the manifest");
		if (e)
			e->code = -E_CORRUPT;
		return -E_CORRUPT;
	}
	if (!json_is_object(m->doc))
		return err_set(e, -E_CORRUPT, "the manifest isn't a JSON object");
	inside = type_of(m->doc);
	type = known_type(type) ?: inside;
	/* a type from outside that the document contradicts would be read differently by others */
	if (manifest_type_is_index(type) != manifest_type_is_index(inside))
		return err_set(e, -E_CORRUPT, "a document of type '%s' has the content of '%s'",
			type, inside);
	m->type = g_strdup(type);
	m->index = manifest_type_is_index(type);
	m->oci = strstr(type, "vnd.oci.") != NULL;
	r = read_document(m, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

/* --- choosing ------------------------------------------------------------------------------------ */

/* 0: not for it; else the better the higher. */
static int fits(const struct descriptor *d, const char *os, const char *arch, const char *variant)
{
	if (!d->os && !d->arch)
		return 1;
	if (g_strcmp0(d->os, os) != 0 || g_strcmp0(d->arch, arch) != 0)
		return 0;
	if (variant)
		return g_strcmp0(d->variant, variant) == 0 ? 4 : 0;
	if (!d->variant)
		return 3;
	/* what every processor of the kind has */
	return strcmp(d->variant, strcmp(arch, "arm64") == 0 ? "v8" : "v7") == 0 ? 3 : 2;
}

int manifest_choose(const struct manifest *index, const char *os, const char *arch,
	const char *variant, const struct descriptor **ret, struct err *e)
{
	const struct descriptor *best = NULL;
	int best_fit = 0;

	os = os ?: "linux";
	arch = arch ?: image_arch();
	for (unsigned i = 0; i < index->parts->len; i++) {
		const struct descriptor *d = index->parts->pdata[i];
		int fit = fits(d, os, arch, variant);

		if (fit > best_fit) {
			best = d;
			best_fit = fit;
		}
	}
	if (!best)
		return err_set(e, -E_NOTFOUND,
			"no image found in manifest list for architecture %s, variant \"%s\", OS "
			"%s",
			arch, variant ?: "", os);
	*ret = best;
	return 0;
}

/* --- layers -------------------------------------------------------------------------------------- */

bool manifest_is_image(const struct manifest *m)
{
	return m->config && (strcmp(m->config->type, TYPE_OCI_CONFIG) == 0 ||
				    strcmp(m->config->type, TYPE_DOCKER_CONFIG) == 0);
}

enum layer_packing manifest_packing(const char *type)
{
	static const struct {
		const char *end;
		enum layer_packing packing;
	} ends[] = {
		{ "", PACKING_PLAIN },
		{ "+gzip", PACKING_GZIP },
		{ ".gzip", PACKING_GZIP },
		{ "+zstd", PACKING_ZSTD },
		{ ".zstd", PACKING_ZSTD },
	};
	const char *tar = strstr(type, ".tar");

	for (unsigned i = 0; tar && i < G_N_ELEMENTS(ends); i++)
		if (strcmp(tar + strlen(".tar"), ends[i].end) == 0)
			return ends[i].packing;
	return PACKING_OTHER;
}

const char *manifest_layer_type(bool oci, enum layer_packing packing)
{
	switch (packing) {
	case PACKING_GZIP:
		return oci ? TYPE_OCI_LAYER "+gzip" : TYPE_DOCKER_LAYER ".gzip";
	case PACKING_ZSTD:
		return oci ? TYPE_OCI_LAYER "+zstd" : TYPE_DOCKER_LAYER ".zstd";
	default:
		return oci ? TYPE_OCI_LAYER : TYPE_DOCKER_LAYER;
	}
}

/* --- writing ------------------------------------------------------------------------------------- */

/* docker's readers take the members in any order; this is the order in which the others write them. */
static json_t *descriptor_json(bool oci, const struct part *p)
{
	if (oci)
		return json_pack("{s:s, s:s, s:I}", "mediaType", p->type, "digest", p->digest,
			"size", (json_int_t)p->size);
	return json_pack("{s:s, s:I, s:s}", "mediaType", p->type, "size", (json_int_t)p->size,
		"digest", p->digest);
}

static char *dump(json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT), *copy = g_strdup(text);

	free(text);
	json_decref(doc);
	return copy;
}

char *manifest_new(
	bool oci, const struct part *config, const struct part *layers, unsigned n_layers)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n_layers; i++)
		(void)json_array_append_new(list, descriptor_json(oci, &layers[i]));
	return dump(json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
		oci ? TYPE_OCI_MANIFEST : TYPE_DOCKER_MANIFEST, "config",
		descriptor_json(oci, config), "layers", list));
}

/* The same thing by its other name; NULL: it has none. */
static const char *other_type(const char *type, bool oci)
{
	static const char *const pairs[][2] = {
		{ TYPE_OCI_INDEX, TYPE_DOCKER_LIST },
		{ TYPE_OCI_MANIFEST, TYPE_DOCKER_MANIFEST },
		{ TYPE_OCI_CONFIG, TYPE_DOCKER_CONFIG },
		{ TYPE_OCI_LAYER, TYPE_DOCKER_LAYER },
		{ TYPE_OCI_LAYER "+gzip", TYPE_DOCKER_LAYER ".gzip" },
		{ TYPE_OCI_LAYER "+zstd", TYPE_DOCKER_LAYER ".zstd" },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar", TYPE_DOCKER_FOREIGN },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
			TYPE_DOCKER_FOREIGN ".gzip" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(pairs); i++)
		for (unsigned k = 0; k < 2; k++)
			if (strcmp(type, pairs[i][k]) == 0)
				return pairs[i][oci ? 0 : 1];
	return NULL;
}

static int rewrite_part(const struct descriptor *d, const struct part_change *c, bool oci,
	bool convert, json_t **ret, struct err *e)
{
	const char *type = c->type ?: d->type;
	struct part p = { type, c->digest ?: d->digest, c->digest ? c->size : d->size };
	static const char *const keep[] = { "platform", "urls", "annotations" };

	if (!oci && manifest_packing(type) == PACKING_ZSTD)
		return err_set(e, -E_UNSUPPORTED,
			"docker's schema 2 has no zstd layers; use the format oci");
	if (!convert) {
		*ret = json_deep_copy(d->json);
		(void)json_object_set_new(*ret, "mediaType", json_string(p.type));
		(void)json_object_set_new(*ret, "digest", json_string(p.digest));
		(void)json_object_set_new(*ret, "size", json_integer(p.size));
		return 0;
	}
	p.type = other_type(type, oci);
	if (!p.type)
		return err_set(e, -E_UNSUPPORTED, "'%.100s' can't be said in a manifest of %s",
			type, oci ? "OCI" : "docker");
	*ret = descriptor_json(oci, &p);
	for (unsigned i = 0; i < G_N_ELEMENTS(keep); i++)
		/* docker's schema has no annotations */
		if (json_object_get(d->json, keep[i]) && (oci || i < 2))
			(void)json_object_set(*ret, keep[i], json_object_get(d->json, keep[i]));
	return 0;
}

static int rewrite_parts(const struct manifest *m, bool oci, const struct part_change *changes,
	bool convert, json_t *list, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < m->parts->len; i++) {
		json_t *j = NULL;

		r = rewrite_part(m->parts->pdata[i], &changes[i], oci, convert, &j, e);
		if (r >= 0)
			(void)json_array_append_new(list, j);
	}
	return r;
}

int manifest_rewrite(const struct manifest *m, bool oci, const struct part_change *changes,
	char **ret, struct err *e)
{
	static const struct part_change same = { NULL, 0, NULL };
	const char *list_key = m->index ? "manifests" : "layers";
	bool convert = oci != m->oci;
	json_t *list = json_array(), *doc, *config = NULL;
	int r;

	r = rewrite_parts(m, oci, changes, convert, list, e);
	if (r >= 0 && m->config && convert)
		r = rewrite_part(m->config, &same, oci, true, &config, e);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	if (!convert) {
		doc = json_deep_copy(m->doc);
		(void)json_object_set_new(doc, list_key, list);
		*ret = dump(doc);
		return 0;
	}
	doc = json_pack("{s:i, s:s}", "schemaVersion", 2, "mediaType", other_type(m->type, oci));
	if (config)
		(void)json_object_set_new(doc, "config", config);
	(void)json_object_set_new(doc, list_key, list);
	if (oci && json_object_get(m->doc, "annotations"))
		(void)json_object_set(doc, "annotations", json_object_get(m->doc, "annotations"));
	*ret = dump(doc);
	return 0;
}
