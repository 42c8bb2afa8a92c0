/* SPDX-License-Identifier: MIT */
#include "dialect/registry/manifest.h"

#include <string.h>
#include "codec/json.h"
#include "dialect/registry/names.h"

static const struct {
	const char *type;
	bool index;
} types[] = {
	{ "application/vnd.oci.image.manifest.v1+json", false },
	{ "application/vnd.oci.image.index.v1+json", true },
	{ "application/vnd.docker.distribution.manifest.v2+json", false },
	{ "application/vnd.docker.distribution.manifest.list.v2+json", true },
};

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : NULL;
}

/* A descriptor at that place; checked. */
static int read_descriptor(
	const json_t *d, const char *what, struct manifest_ref *ret, struct err *e)
{
	const char *digest = text_of(d, "digest");
	const json_t *size = json_object_get(d, "size"), *urls = json_object_get(d, "urls");

	if (!json_is_object(d) || !text_of(d, "mediaType"))
		return err_set(e, -E_INVALID, "%s is no descriptor with a media type", what);
	if (!digest || !registry_is_digest(digest))
		return err_set(e, -E_INVALID, "%s has no digest of sha256", what);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(e, -E_INVALID, "%s has no size", what);
	*ret = (struct manifest_ref){ .digest = digest, .size = json_integer_value(size) };
	ret->foreign = json_is_array(urls) && json_array_size(urls) > 0;
	return 0;
}

static int add_list(struct manifest *m, const char *key, bool manifests, struct err *e)
{
	const json_t *list = json_object_get(m->json, key);

	if (!json_is_array(list))
		return err_set(e, -E_INVALID, "it has no list '%s'", key);
	if (json_array_size(list) > REGISTRY_REFS_MAX)
		return err_set(
			e, -E_INVALID, "'%s' has more than %d members", key, REGISTRY_REFS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct manifest_ref ref;
		g_autofree char *what = g_strdup_printf("%s[%zu]", key, i);
		int r = read_descriptor(json_array_get(list, i), what, &ref, e);

		if (r < 0)
			return r;
		ref.manifest = manifests;
		g_array_append_val(m->refs, ref);
	}
	return 0;
}

static int read_image(struct manifest *m, struct err *e)
{
	const json_t *config = json_object_get(m->json, "config");
	struct manifest_ref ref;
	int r = read_descriptor(config, "config", &ref, e);

	if (r < 0)
		return r;
	g_array_append_val(m->refs, ref);
	/* what it is of, when it doesn't say so: distribution-spec, "Listing Referrers" */
	m->artifact_type = text_of(m->json, "artifactType") ?: text_of(config, "mediaType");
	return add_list(m, "layers", false, e);
}

static int read_subject(struct manifest *m, struct err *e)
{
	const json_t *subject = json_object_get(m->json, "subject");
	struct manifest_ref ref;
	int r;

	if (!subject || json_is_null(subject))
		return 0;
	r = read_descriptor(subject, "subject", &ref, e);
	if (r >= 0)
		m->subject = ref.digest;
	return r;
}

static int find_type(struct manifest *m, const char *type, struct err *e)
{
	const char *own = text_of(m->json, "mediaType");

	if (own && type && !g_str_equal(own, type))
		return err_set(e, -E_INVALID, "its media type is '%.100s', but it came as '%.100s'",
			own, type);
	m->media_type = own ?: type;
	if (!m->media_type)
		return err_set(e, -E_INVALID, "it has no media type");
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if (g_str_equal(types[i].type, m->media_type)) {
			m->media_type = types[i].type;
			return (int)i;
		}
	return err_set(
		e, -E_INVALID, "its media type '%.100s' is none of those known", m->media_type);
}

int manifest_read(const char *text, size_t n, const char *type, struct manifest *ret, struct err *e)
{
	struct manifest m = { 0 };
	int r, i;

	if (n > REGISTRY_MANIFEST_MAX)
		return err_set(e, -E_INVALID, "it is larger than %d bytes", REGISTRY_MANIFEST_MAX);
	r = json_read(text, n, &m.json, e);
	if (r < 0)
		return err_set(e, -E_INVALID, "it is no JSON");
	m.refs = g_array_new(FALSE, FALSE, sizeof(struct manifest_ref));
	r = -E_INVALID;
	if (!json_is_object(m.json) ||
		json_integer_value(json_object_get(m.json, "schemaVersion")) != 2) {
		r = err_set(e, -E_INVALID, "it has no schemaVersion 2");
		goto out;
	}
	r = i = find_type(&m, type, e);
	if (r < 0)
		goto out;
	m.annotations = json_object_get(m.json, "annotations");
	if (!json_is_object(m.annotations))
		m.annotations = NULL;
	if (types[i].index) {
		m.artifact_type = text_of(m.json, "artifactType");
		r = add_list(&m, "manifests", true, e);
	} else {
		r = read_image(&m, e);
	}
	if (r >= 0)
		r = read_subject(&m, e);
out:
	if (r < 0) {
		manifest_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void manifest_done(struct manifest *m)
{
	json_decref(m->json);
	if (m->refs)
		g_array_free(m->refs, TRUE);
	*m = (struct manifest){ 0 };
}
