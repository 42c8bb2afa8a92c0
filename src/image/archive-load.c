/* SPDX-License-Identifier: MIT */
/* From the files of an archive to images, wherever the files come from. */
#include <string.h>
#include "image/archive-priv.h"
#include "image/ref.h"
#include "store/blob.h"

#define INDEX_DEPTH_MAX 4 /* an index in an index in ... */

/* A file that must be there, and have this digest and size if they are known. */
static int need_text(struct source *s, const char *path, const struct oci_descriptor *want,
	char **ret, size_t *ret_size, struct err *e)
{
	g_autofree char *digest = NULL;
	int r;

	r = s->ops->text(s, path, ret, ret_size, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", s->shown, path);
	if (r < 0 || !want)
		return r;
	digest = blob_digest(*ret, *ret_size);
	if (strcmp(digest, want->digest) != 0)
		return err_set(e, -E_CORRUPT, "the content of '%s' in '%s' has the digest '%s'",
			path, s->shown, digest);
	if ((int64_t)*ret_size != want->size)
		return err_set(e, -E_CORRUPT, "'%s' in '%s' has %zu bytes, not %lld", path,
			s->shown, *ret_size, (long long)want->size);
	return 0;
}

static int add_name(GPtrArray *names, const char *name, struct err *e)
{
	struct ref r;
	int code;

	code = ref_parse(name, 0, &r, e);
	if (code < 0)
		return code;
	if (!r.digest)
		g_ptr_array_add(names, ref_full(&r));
	ref_clear(&r);
	return 0;
}

/* The names that an image gets: those asked for, or its own. NULL-terminated. */
static int choose_names(
	const struct image_import_options *o, char *const *own, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	char *const *from = o->names ? o->names : own;
	int r = 0;

	for (; from && *from && r >= 0; from++)
		r = add_name(names, *from, e);
	if (r < 0)
		return r;
	g_ptr_array_add(names, NULL);
	*ret = g_steal_pointer(&names);
	return 0;
}

static int record(struct source *s, const struct image_import_options *o, const char *config,
	size_t config_size, const char *manifest, size_t manifest_size, char *const *own_names,
	GPtrArray *ret, struct err *e)
{
	g_autoptr(GPtrArray) names = NULL;
	struct image_imported *i;
	g_autofree char *id = NULL;
	int r;

	r = choose_names(o, own_names, &names, e);
	if (r >= 0)
		r = image_add(s->c, config, config_size, manifest, manifest_size,
			(const char *const *)names->pdata, &id, e);
	if (r < 0)
		return r;
	i = g_new0(struct image_imported, 1);
	i->id = g_steal_pointer(&id);
	g_ptr_array_set_free_func(names, NULL);
	i->names = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
	g_ptr_array_add(ret, i);
	return 0;
}

static int check_config(
	const struct source *s, const struct image_config *i, size_t n_layers, struct err *e)
{
	size_t n = g_strv_length(i->diff_ids);

	if (n != n_layers)
		return err_set(e, -E_CORRUPT,
			"an image of '%s' has %zu layers, its configuration %zu", s->shown,
			n_layers, n);
	if (strcmp(i->os, "linux") != 0)
		return err_set(e, -E_UNSUPPORTED, "an image of '%s' is for '%s', not for Linux",
			s->shown, i->os);
	return 0;
}

/* --- docker save --------------------------------------------------------------------------------- */

static int load_docker_image(struct source *s, const struct docker_image *d,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autofree char *text = NULL;
	struct layer_result layer;
	size_t size = 0;
	int r;

	r = need_text(s, d->config, NULL, &text, &size, e);
	if (r >= 0)
		r = image_config_parse(text, size, &config, e);
	if (r >= 0)
		r = check_config(s, config, g_strv_length(d->layers), e);
	for (unsigned i = 0; r >= 0 && d->layers[i]; i++)
		r = s->ops->layer(s, d->layers[i], config->diff_ids[i], NULL, &layer, e);
	return r < 0 ? r : record(s, o, text, size, NULL, 0, d->names, ret, e);
}

static int load_docker(struct source *s, const char *text, size_t size,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	g_autoptr(GPtrArray) images = NULL;
	int r;

	r = docker_manifest_parse(text, size, &images, e);
	if (r < 0)
		return r;
	if (o->names && images->len > 1)
		return err_set(e, -E_INVALID, "'%s' has %u images, so they can't all get one name",
			s->shown, images->len);
	for (unsigned i = 0; r >= 0 && i < images->len; i++)
		r = load_docker_image(s, images->pdata[i], o, ret, e);
	return r;
}

/* --- docker save, before 1.10 -------------------------------------------------------------------- */

static void unref_json(void *j)
{
	json_decref(j);
}

static void reverse(GPtrArray *a)
{
	for (unsigned i = 0; i < a->len / 2; i++) {
		void *x = a->pdata[i];

		a->pdata[i] = a->pdata[a->len - 1 - i];
		a->pdata[a->len - 1 - i] = x;
	}
}

static int load_v1_image(struct source *s, char *const *name, const char *top,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	g_autoptr(GPtrArray) docs = g_ptr_array_new_with_free_func(unref_json);
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *id = g_strdup(top), *config = NULL;
	int r = 0;

	while (id) {
		g_autofree char *json = g_strdup_printf("%s/json", id), *text = NULL;
		g_autofree char *tar = g_strdup_printf("%s/layer.tar", id), *parent = NULL;
		struct layer_result layer;
		json_t *doc;
		size_t size;

		/* a chain that bites its tail ends here, too */
		if (docs->len >= IMAGE_LAYERS_MAX)
			return err_set(e, -E_LIMIT, "an image of '%s' has more than %d layers",
				s->shown, IMAGE_LAYERS_MAX);
		r = need_text(s, json, NULL, &text, &size, e);
		if (r >= 0)
			r = docker_v1_parse(text, size, &parent, &doc, e);
		if (r < 0)
			return r;
		g_ptr_array_add(docs, doc);
		r = s->ops->layer(s, tar, NULL, NULL, &layer, e);
		if (r < 0)
			return r;
		g_ptr_array_add(ids, g_strdup(layer.digest));
		g_free(id);
		id = g_steal_pointer(&parent);
	}
	reverse(docs);
	reverse(ids);
	config = docker_v1_config(
		(json_t *const *)docs->pdata, docs->len, (const char *const *)ids->pdata);
	return record(s, o, config, strlen(config), NULL, 0, name, ret, e);
}

static int load_v1(struct source *s, const char *text, size_t size,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	g_auto(GStrv) names = NULL, ids = NULL;
	int r;

	r = docker_repositories_parse(text, size, &names, &ids, e);
	if (r >= 0 && o->names && ids[0] && ids[1])
		return err_set(e, -E_INVALID,
			"'%s' has more than one image, so they can't all get one name", s->shown);
	for (unsigned i = 0; r >= 0 && ids[i]; i++) {
		char *name[] = { names[i], NULL };

		r = load_v1_image(s, name, ids[i], o, ret, e);
	}
	return r;
}

/* --- OCI ----------------------------------------------------------------------------------------- */

static char *blob_file(const char *digest)
{
	return g_strdup_printf("blobs/sha256/%s", digest + strlen("sha256:"));
}

int oci_check_layer_type(const char *type, struct err *e)
{
	static const char *const known[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	};

	/* with "+gzip", "+zstd", ".gzip": what it is, its first bytes tell */
	for (unsigned i = 0; i < G_N_ELEMENTS(known); i++)
		if (g_str_has_prefix(type, known[i]))
			return 0;
	return err_set(e, -E_UNSUPPORTED,
		"a layer of type '%.100s' isn't one of a root file system", type);
}

static int load_manifest(struct source *s, const struct oci_document *m, const char *manifest,
	size_t manifest_size, const char *name, const struct image_import_options *o,
	GPtrArray *ret, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autofree char *path = blob_file(m->config->digest), *text = NULL;
	char *names[] = { (char *)name, NULL };
	struct layer_result layer;
	size_t size;
	int r;

	if (!g_str_has_prefix(m->config->type, "application/vnd.oci.image.config.v1") &&
		!g_str_has_prefix(m->config->type, "application/vnd.docker.container.image.v1"))
		return err_set(e, -E_UNSUPPORTED, "'%s' holds '%.100s', which isn't an image",
			s->shown, m->config->type);
	r = need_text(s, path, m->config, &text, &size, e);
	if (r >= 0)
		r = image_config_parse(text, size, &config, e);
	if (r >= 0)
		r = check_config(s, config, m->layers->len, e);
	for (unsigned i = 0; r >= 0 && i < m->layers->len; i++) {
		const struct oci_descriptor *d = m->layers->pdata[i];
		g_autofree char *file = blob_file(d->digest);

		r = oci_check_layer_type(d->type, e);
		if (r >= 0)
			r = s->ops->layer(s, file, config->diff_ids[i], d->digest, &layer, e);
		if (r >= 0 && layer.blob_size != d->size)
			r = err_set(e, -E_CORRUPT, "'%s' in '%s' has %lld bytes, not %lld", file,
				s->shown, (long long)layer.blob_size, (long long)d->size);
	}
	return r < 0 ? r : record(s, o, text, size, manifest, manifest_size, names, ret, e);
}

/* Which of an index' manifests is for this host: 0 isn't, 1 doesn't say, 2 is. */
static int fits(const struct oci_descriptor *d)
{
	if (!d->os && !d->arch)
		return 1;
	if (g_strcmp0(d->os, "linux") != 0)
		return 0;
	return g_strcmp0(d->arch, image_arch()) == 0 ? 2 : 0;
}

static int load_descriptor(struct source *s, const struct oci_descriptor *d, const char *name,
	int depth, const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	_cleanup_(oci_document_freep) struct oci_document *doc = NULL;
	g_autofree char *path = blob_file(d->digest), *text = NULL;
	const struct oci_descriptor *best = NULL;
	size_t size;
	int r;

	if (depth > INDEX_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "'%s' has indexes nested more than %d deep", s->shown,
			INDEX_DEPTH_MAX);
	r = need_text(s, path, d, &text, &size, e);
	if (r >= 0)
		r = oci_document_parse(text, size, &doc, e);
	if (r < 0)
		return r;
	if (doc->kind == OCI_MANIFEST)
		return load_manifest(s, doc, text, size, name, o, ret, e);
	/* one image for several machines */
	for (unsigned i = 0; i < doc->manifests->len; i++) {
		const struct oci_descriptor *x = doc->manifests->pdata[i];

		if (fits(x) > (best ? fits(best) : 0))
			best = x;
	}
	if (!best)
		return err_set(e, -E_UNSUPPORTED, "'%s' has no image for linux/%s", s->shown,
			image_arch());
	return load_descriptor(s, best, name, depth + 1, o, ret, e);
}

static int load_oci(struct source *s, const char *text, size_t size,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	_cleanup_(oci_document_freep) struct oci_document *index = NULL;
	unsigned n_fit = 0;
	int r;

	r = oci_document_parse(text, size, &index, e);
	if (r < 0)
		return r;
	if (index->kind != OCI_INDEX)
		return err_set(e, -E_CORRUPT, "'index.json' of '%s' isn't an index", s->shown);
	for (unsigned i = 0; i < index->manifests->len; i++)
		n_fit += fits(index->manifests->pdata[i]) > 0;
	if (n_fit == 0)
		return err_set(e, -E_UNSUPPORTED, "'%s' has no image for linux/%s", s->shown,
			image_arch());
	if (o->names && n_fit > 1)
		return err_set(e, -E_INVALID, "'%s' has %u images, so they can't all get one name",
			s->shown, n_fit);
	for (unsigned i = 0; r >= 0 && i < index->manifests->len; i++) {
		const struct oci_descriptor *d = index->manifests->pdata[i];

		if (fits(d) > 0)
			r = load_descriptor(s, d, d->name, 0, o, ret, e);
	}
	return r;
}

int archive_load(
	struct source *s, const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	static const struct {
		const char *file;
		int (*load)(struct source *s, const char *text, size_t size,
			const struct image_import_options *o, GPtrArray *ret, struct err *e);
	} kinds[] = {
		{ "manifest.json", load_docker }, /* first: docker 25 writes both */
		{ "index.json", load_oci },
		{ "repositories", load_v1 },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *text = NULL;
		size_t size;
		int r = s->ops->text(s, kinds[i].file, &text, &size, e);

		if (r == -E_NOTFOUND)
			continue;
		return r < 0 ? r : kinds[i].load(s, text, size, o, ret, e);
	}
	err_set(e, -E_INVALID,
		"'%s' is no archive of images: it has no manifest.json, index.json or repositories",
		s->shown);
	(void)err_mend(e, "import it as a root file system if it is one");
	return -E_INVALID;
}
