/* SPDX-License-Identifier: MIT */
/*
 * containers-storage:REFERENCE, containers-storage:@ID: images of our store. Layers come out of it as the exact tars;
 * how they were compressed once isn't kept, so the manifest that copies read names the tars.
 */
#include <string.h>
#include "image/archive-priv.h"
#include "image/manifest.h"
#include "image/ref.h"
#include "image/transport-priv.h"
#include "store/blob.h"
#include "store/journal.h"

/* "[driver@root+run]name" names another store. */
static int check_rest(const char *rest, struct err *e)
{
	if (*rest == '[')
		return err_set(e, -E_UNSUPPORTED,
			"containers-storage: is this program's own store ('%s'), it can't name "
			"another",
			rest);
	if (!*rest)
		return err_set(e, -E_INVALID, "\"\" is an empty reference: invalid reference");
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

struct store_in {
	struct transport_in s;
	char *shown;
	struct image_record *image;
	int hold; /* layers must not be collected while they are read */
	char *config;
	size_t config_size;
	int64_t *sizes; /* of the layers' tars */
	char *original; /* NULL: none is kept */
	size_t original_size;
	char *manifest; /* of what is here */
};

static void store_in_free(struct transport_in *s)
{
	struct store_in *i = (struct store_in *)s;

	closep(&i->hold);
	image_record_free(i->image);
	g_free(i->config);
	g_free(i->sizes);
	g_free(i->original);
	g_free(i->manifest);
	g_free(i->shown);
	g_free(i);
}

static int store_in_document(struct transport_in *s, const char *digest, char **ret,
	size_t *ret_size, char **ret_type, struct err *e)
{
	struct store_in *i = (struct store_in *)s;
	g_autofree char *own = blob_digest(i->manifest, strlen(i->manifest));

	if (digest && strcmp(digest, own) != 0)
		return err_set(e, -E_NOTFOUND, "'%s' has no manifest '%s'", s->shown, digest);
	*ret = g_strdup(i->manifest);
	*ret_size = strlen(i->manifest);
	*ret_type = g_strdup(manifest_type_of(i->manifest, *ret_size));
	return 0;
}

static int store_in_original(
	struct transport_in *s, char **ret, size_t *ret_size, char **ret_type, struct err *e)
{
	struct store_in *i = (struct store_in *)s;

	if (!i->original)
		return store_in_document(s, NULL, ret, ret_size, ret_type, e);
	*ret = g_strndup(i->original, i->original_size);
	*ret_size = i->original_size;
	*ret_type = g_strdup(manifest_type_of(i->original, i->original_size));
	return 0;
}

struct skip {
	int64_t left;
	transport_sink sink;
	void *arg;
};

static int skip(void *arg, const void *data, size_t size, struct err *e)
{
	struct skip *s = arg;
	size_t n = (size_t)MIN((int64_t)size, s->left);

	s->left -= (int64_t)n;
	return n < size ? s->sink(s->arg, (const char *)data + n, size - n, e) : 0;
}

static int store_in_blob(struct transport_in *s, const char *digest, int64_t offset,
	transport_sink sink, void *arg, int64_t *ret_size, struct err *e)
{
	struct store_in *i = (struct store_in *)s;
	struct skip x = { offset, sink, arg };

	if (strcmp(digest, i->image->id) == 0) {
		if (ret_size)
			*ret_size = (int64_t)i->config_size;
		return skip(&x, i->config, i->config_size, e);
	}
	for (unsigned n = 0; i->image->layers[n]; n++) {
		if (strcmp(i->image->layers[n], digest) != 0)
			continue;
		if (ret_size)
			*ret_size = i->sizes[n];
		return layer_export_to(s->c, digest, skip, &x, e);
	}
	return err_set(e, -E_NOTFOUND, "'%s' has no blob '%s'", s->shown, digest);
}

static const struct transport_in_ops store_in_ops = {
	.document = store_in_document,
	.original = store_in_original,
	.blob = store_in_blob,
	.free = store_in_free,
};

static int read_sizes(struct store_in *i, struct store *store, struct err *e)
{
	g_autoptr(GPtrArray) layers = NULL;
	int r = store_layer_list(store, &layers, e);

	if (r < 0)
		return r;
	i->sizes = g_new0(int64_t, g_strv_length(i->image->layers) + 1);
	for (unsigned n = 0; i->image->layers[n]; n++) {
		for (unsigned k = 0; k < layers->len; k++) {
			const struct layer_record *l = layers->pdata[k];

			if (strcmp(l->digest, i->image->layers[n]) == 0)
				i->sizes[n] = l->tar_size;
		}
		if (i->sizes[n] <= 0)
			return err_set(e, -E_CORRUPT,
				"the record of the layer '%s' is lost; get the image again",
				i->image->layers[n]);
	}
	return 0;
}

/* Whether the manifest that came with the image is of what is here: plain tars. */
static bool is_plain(const struct store_in *i, const struct manifest *m)
{
	if (m->index || strcmp(m->config->digest, i->image->id) != 0 ||
		m->parts->len != g_strv_length(i->image->layers))
		return false;
	for (unsigned n = 0; n < m->parts->len; n++)
		if (strcmp(((struct descriptor *)m->parts->pdata[n])->digest,
			    i->image->layers[n]) != 0)
			return false;
	return true;
}

static int make_manifest(struct store_in *i, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	unsigned n = g_strv_length(i->image->layers);
	g_autofree struct part *parts = g_new0(struct part, n + 1);
	struct part config;
	bool oci = true;
	int r = 0;

	if (i->image->manifest)
		r = blob_read(i->s.c, i->image->manifest, &i->original, &i->original_size, e);
	if (r >= 0 && i->original)
		r = manifest_parse(i->original, i->original_size, NULL, &m, e);
	if (r < 0)
		return r;
	if (m && is_plain(i, m)) {
		i->manifest = g_strndup(i->original, i->original_size);
		return 0;
	}
	if (m)
		oci = m->oci;
	for (unsigned k = 0; k < n; k++)
		parts[k] = (struct part){ manifest_layer_type(oci, PACKING_PLAIN),
			i->image->layers[k], i->sizes[k] };
	config = (struct part){ oci ? TYPE_OCI_CONFIG : TYPE_DOCKER_CONFIG, i->image->id,
		(int64_t)i->config_size };
	i->manifest = manifest_new(oci, &config, parts, n);
	return 0;
}

static int store_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	struct store_in *i;
	struct store *store;
	int r;

	r = check_rest(rest, e);
	if (r < 0)
		return r;
	i = g_new0(struct store_in, 1);
	i->shown = g_strdup_printf("containers-storage:%s", rest);
	i->s = (struct transport_in){ .ops = &store_in_ops, .c = c, .shown = i->shown };
	r = i->hold = blob_hold(c, e);
	if (r >= 0)
		r = image_resolve(c, *rest == '@' ? rest + 1 : rest, &i->image, e);
	if (r >= 0)
		r = image_need_layers(i->image, rest, e);
	if (r >= 0)
		r = store_get(c, &store, e);
	if (r >= 0)
		r = blob_read(c, i->image->id, &i->config, &i->config_size, e);
	if (r >= 0)
		r = read_sizes(i, store, e);
	if (r >= 0)
		r = make_manifest(i, e);
	if (r < 0) {
		store_in_free(&i->s);
		return r;
	}
	*ret = &i->s;
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

struct store_out {
	struct transport_out t;
	char *shown, *name; /* full; NULL: none */
	struct plan *plan;
	struct journal_hold journal;
	bool held, committed;
	int hold;
	struct layer_in *layer; /* the blob being written */
	GString *text;
	char *want;
	GHashTable *layers; /* digest of a blob -> diff id */
	GHashTable *texts;  /* digest -> GString */
	char *manifest, *config;
	size_t manifest_size, config_size;
};

static int out_has_blob(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct store_out *o = (struct store_out *)t;
	const char *diff_id = t->blob_diff_id ?: digest;
	struct store *store;
	int r;

	if (g_hash_table_contains(o->layers, digest) || g_hash_table_contains(o->texts, digest))
		return 1;
	r = store_get(t->c, &store, e);
	if (r >= 0)
		r = store_layer_has(store, diff_id, e);
	if (r == 1)
		g_hash_table_insert(o->layers, g_strdup(digest), g_strdup(diff_id));
	return r;
}

static int out_begin(struct transport_out *t, const char *digest, int64_t size, int64_t *ret_offset,
	struct err *e)
{
	struct store_out *o = (struct store_out *)t;

	if (ret_offset)
		*ret_offset = 0;
	layer_in_free(TAKE_PTR(o->layer));
	g_free(o->want);
	o->want = g_strdup(digest);
	if (o->text)
		g_string_free(TAKE_PTR(o->text), TRUE);
	if (t->blob_type && manifest_packing(t->blob_type) == PACKING_OTHER) {
		o->text = g_string_new(NULL);
		return 0;
	}
	return layer_in_new(t->c, &o->layer, e);
}

static int out_write(struct transport_out *t, const void *data, size_t size, struct err *e)
{
	struct store_out *o = (struct store_out *)t;

	if (o->layer)
		return layer_in_write(o->layer, data, size, e);
	if (o->text->len + size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "the configuration '%s' is larger than %d bytes",
			o->want, BLOB_MAX);
	g_string_append_len(o->text, data, (gssize)size);
	return 0;
}

static int out_finish(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct store_out *o = (struct store_out *)t;
	g_autofree char *is = NULL;
	struct layer_result layer;
	int r;

	if (o->layer) {
		r = layer_in_finish(o->layer, t->blob_diff_id, digest, &layer, e);
		layer_in_free(TAKE_PTR(o->layer));
		if (r < 0)
			return err_prefix(e, "layer '%s'", digest);
		if (layer.blob_size != size)
			return err_set(e, -E_CORRUPT, "the layer '%s' has %lld bytes, not %lld",
				digest, (long long)layer.blob_size, (long long)size);
		g_hash_table_insert(o->layers, g_strdup(digest), g_strdup(layer.digest));
		return 0;
	}
	is = blob_digest(o->text->str, o->text->len);
	if (strcmp(is, digest) != 0 || (int64_t)o->text->len != size)
		return err_set(
			e, -E_CORRUPT, "the content that should be '%s' is '%s'", digest, is);
	g_hash_table_insert(o->texts, g_strdup(digest), TAKE_PTR(o->text));
	return 0;
}

/* The layers of the manifest must be those of the configuration, in its order. */
static int check_layers(struct store_out *o, const struct manifest *m,
	const struct image_config *config, struct err *e)
{
	if (g_strv_length(config->diff_ids) != m->parts->len)
		return err_set(e, -E_CORRUPT, "the image has %u layers, its configuration %u",
			m->parts->len, g_strv_length(config->diff_ids));
	if (strcmp(config->os, "linux") != 0)
		return err_set(
			e, -E_UNSUPPORTED, "the image is for '%s', not for Linux", config->os);
	for (unsigned i = 0; i < m->parts->len; i++) {
		const struct descriptor *d = m->parts->pdata[i];
		const char *is = g_hash_table_lookup(o->layers, d->digest);

		if (!is)
			return err_set(e, -E_CORRUPT, "the layer '%s' didn't come", d->digest);
		if (strcmp(is, config->diff_ids[i]) != 0)
			return err_set(e, -E_CORRUPT,
				"the layer '%s' has the digest '%s', and its image wants '%s'",
				d->digest, is, config->diff_ids[i]);
	}
	return 0;
}

static int out_document(struct transport_out *t, const char *text, size_t size, const char *type,
	bool top, struct err *e)
{
	struct store_out *o = (struct store_out *)t;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	const GString *c;
	int r;

	r = manifest_parse(text, size, type, &m, e);
	if (r < 0)
		return r;
	if (m->index || !manifest_is_image(m))
		return err_set(e, -E_UNSUPPORTED, "the store takes one image, nothing else");
	c = g_hash_table_lookup(o->texts, m->config->digest);
	if (!c)
		return err_set(
			e, -E_CORRUPT, "the configuration '%s' didn't come", m->config->digest);
	r = image_config_parse(c->str, c->len, &config, e);
	if (r >= 0)
		r = check_layers(o, m, config, e);
	if (r < 0)
		return r;
	g_free(o->manifest);
	g_free(o->config);
	o->manifest = g_strndup(text, size);
	o->manifest_size = size;
	o->config = g_strndup(c->str, c->len);
	o->config_size = c->len;
	return 0;
}

static int out_commit(struct transport_out *t, struct err *e)
{
	struct store_out *o = (struct store_out *)t;
	const char *names[] = { o->name, NULL };
	int64_t bytes;
	int r;

	if (!o->config)
		return err_set(e, -E_INVALID, "no image was written to '%s'", o->shown);
	r = image_add(
		t->c, o->config, o->config_size, o->manifest, o->manifest_size, names, NULL, e);
	if (r < 0)
		return r;
	o->committed = true;
	closep(&o->hold);
	o->hold = -1;
	/* layers that came and that nothing names */
	(void)content_collect(t->c, &bytes, NULL);
	journal_done(&o->journal);
	return 0;
}

static void free_text(void *s)
{
	g_string_free(s, TRUE);
}

static void out_free(struct transport_out *t)
{
	struct store_out *o = (struct store_out *)t;

	layer_in_free(o->layer);
	if (o->text)
		g_string_free(o->text, TRUE);
	closep(&o->hold);
	if (o->held && !o->committed)
		journal_abort(t->c, o->plan, &o->journal);
	plan_free(o->plan);
	g_hash_table_unref(o->layers);
	g_hash_table_unref(o->texts);
	g_free(o->want);
	g_free(o->manifest);
	g_free(o->config);
	g_free(o->name);
	g_free(o->shown);
	g_free(o);
}

static const struct transport_out_ops store_out_ops = {
	.has_blob = out_has_blob,
	.blob_begin = out_begin,
	.blob_write = out_write,
	.blob_finish = out_finish,
	.document = out_document,
	.commit = out_commit,
	.free = out_free,
};

/* With the journal: if we die, the next command removes the layers that no image names. */
static int hold(struct store_out *o, const char *rest, struct err *e)
{
	struct ctx *c = o->t.c;
	g_autofree char *to = store_path(c, "layers/");
	int r;

	o->plan = plan_new();
	plan_add(o->plan, AT_HOST, &step_content, "mkfs.erofs", "--tar=f", to, rest);
	r = journal_begin(c, o->plan, &o->journal, e);
	if (r < 0)
		return r;
	o->held = true;
	r = o->hold = blob_hold(c, e);
	return r < 0 ? r : 0;
}

static int store_open_out(struct ctx *c, const char *rest, const struct transport_options *opts,
	struct transport_out **ret, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *wanted[] = { rest, NULL };
	struct store_out *o;
	int r;

	r = check_rest(rest, e);
	if (r >= 0)
		r = image_full_names(wanted, names, e);
	if (r < 0)
		return r;
	o = g_new0(struct store_out, 1);
	o->hold = -1;
	o->shown = g_strdup_printf("containers-storage:%s", rest);
	o->name = g_strdup(names->pdata[0]);
	o->layers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	o->texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_text);
	o->t = (struct transport_out){
		.ops = &store_out_ops, .c = c, .shown = o->shown, .one_image = true
	};
	r = hold(o, rest, e);
	if (r < 0) {
		out_free(&o->t);
		return r;
	}
	*ret = &o->t;
	return 0;
}

static int store_remove(
	struct ctx *c, const char *rest, const struct transport_options *o, struct err *e)
{
	json_t *list = NULL;
	int r;

	r = check_rest(rest, e);
	if (r >= 0)
		r = image_remove(c, *rest == '@' ? rest + 1 : rest, false, &list, e);
	json_decref(list);
	return r;
}

const struct transport transport_store = {
	.name = "containers-storage",
	.open_in = store_open_in,
	.open_out = store_open_out,
	.remove = store_remove,
};
