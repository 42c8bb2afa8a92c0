/* SPDX-License-Identifier: MIT */
/*
 * Images from the store to a registry. A layer has no compressed form here, so it is made while it goes: the same
 * bytes each time, so that an upload that broke off is gone on with. What the registry has already isn't made at all,
 * where its digest is known: from the image's manifest, or from a push before (cache/pushed).
 */
#include <string.h>
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "image/archive-priv.h"
#include "image/pull.h"
#include "image/registry-priv.h"
#include "store/blob.h"
#include "store/journal.h"

#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_CONFIG   "application/vnd.oci.image.config.v1+json"
#define TYPE_LAYER    "application/vnd.oci.image.layer.v1.tar+gzip"
#define ATTEMPTS_MAX  5
#define TELL_EVERY    (100 * 1000)

struct push {
	struct ctx *c;
	const struct push_options *o;
	struct registry *registry;
	const struct image_record *image;
	struct oci_document *manifest; /* the image's own; NULL: none */
	char **from;		       /* repositories of the registry that may have its layers */
	int64_t told;
};

struct pushed_blob {
	char digest[SHA256_TEXT];
	int64_t size;
	char *type;
};

static void tell(struct push *p, unsigned i, enum transfer_state state, int64_t done, int64_t total)
{
	const struct transfer_progress *x = p->o->progress;
	int64_t now = g_get_monotonic_time();

	if (!x || (state == TRANSFER_GOING && done > 0 && now - p->told < TELL_EVERY))
		return;
	p->told = now;
	x->layer(x->data, i, state, done, total);
}

/* --- what was pushed before ---------------------------------------------------------------------------- */

static char *memory_path(struct ctx *c, const char *diff_id)
{
	return store_path(c, "cache/pushed/%s", diff_id + strlen("sha256:"));
}

/* What our compressor makes of a layer: "DIGEST SIZE". */
static bool recall(struct ctx *c, const char *diff_id, struct pushed_blob *ret)
{
	g_autofree char *path = memory_path(c, diff_id), *text = NULL;
	g_auto(GStrv) word = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	word = g_strsplit(g_strchomp(text), " ", 2);
	if (g_strv_length(word) != 2 || !sha256_hex(word[0]))
		return false;
	(void)g_strlcpy(ret->digest, word[0], sizeof(ret->digest));
	ret->size = g_ascii_strtoll(word[1], NULL, 10);
	return ret->size > 0;
}

/* Lost, it costs compressing once more. */
static void remember(struct ctx *c, const char *diff_id, const struct pushed_blob *b)
{
	g_autofree char *path = memory_path(c, diff_id), *folder = g_path_get_dirname(path);
	g_autofree char *text = g_strdup_printf("%s %lld\n", b->digest, (long long)b->size);

	(void)g_mkdir_with_parents(folder, 0700);
	(void)g_file_set_contents(path, text, -1, NULL);
}

/* --- a layer ------------------------------------------------------------------------------------------- */

struct flow {
	struct push *p;
	unsigned index;
	struct sha256 *sum;
	int64_t made, skip; /* bytes that were compressed; that are there from an attempt before */
};

static int send_piece(void *arg, const void *data, size_t size, struct err *e)
{
	struct flow *f = arg;
	const char *bytes = data;
	size_t old = f->made < f->skip ? (size_t)MIN((int64_t)size, f->skip - f->made) : 0;

	sha256_write(f->sum, data, size);
	f->made += (int64_t)size;
	if (old == size)
		return 0;
	tell(f->p, f->index, TRANSFER_GOING, f->made, -1);
	return registry_upload_write(f->p->registry, bytes + old, size - old, e);
}

static int squeeze(void *arg, const void *data, size_t size, struct err *e)
{
	return deflate_write(arg, data, size, e);
}

static int compress(struct flow *f, const char *diff_id, struct err *e)
{
	_cleanup_(deflate_freep) struct deflate *z = NULL;
	int r;

	r = deflate_new(send_piece, f, &z, e);
	if (r >= 0)
		r = layer_export_to(f->p->c, diff_id, squeeze, z, e);
	return r < 0 ? r : deflate_finish(z, e);
}

static int upload_once(
	struct push *p, unsigned i, const char *diff_id, struct pushed_blob *ret, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *sum = NULL;
	struct flow f = { .p = p, .index = i };
	int r;

	r = sha256_new(&sum, e);
	if (r >= 0)
		r = registry_upload(p->registry, diff_id, &f.skip, e);
	if (r < 0)
		return r;
	f.sum = sum;
	tell(p, i, TRANSFER_GOING, 0, -1);
	r = compress(&f, diff_id, e);
	if (r >= 0 && f.skip > f.made)
		r = err_set(e, -ECONNRESET, "the registry has more of an upload than there is");
	if (r < 0) {
		registry_upload_stop(p->registry);
		return r;
	}
	sha256_finish_text(sum, ret->digest);
	ret->size = f.made;
	remember(p->c, diff_id, ret);
	return registry_upload_finish(p->registry, ret->digest, e);
}

static int upload(
	struct push *p, unsigned i, const char *diff_id, struct pushed_blob *ret, struct err *e)
{
	int r;

	for (int attempt = 0;;) {
		r = upload_once(p, i, diff_id, ret, e);
		if (r >= 0 || !registry_is_passing(r) || attempt >= ATTEMPTS_MAX)
			break;
		registry_pause(&attempt, 0);
	}
	if (r >= 0)
		tell(p, i, TRANSFER_DONE, ret->size, ret->size);
	return r;
}

/* 1: the registry has this blob, now. */
static int is_there(struct push *p, unsigned i, const struct pushed_blob *b, struct err *e)
{
	int r = registry_has_blob(p->registry, b->digest, e);

	if (r > 0)
		tell(p, i, TRANSFER_THERE, b->size, b->size);
	for (char **from = p->from; r == 0 && *from; from++) {
		r = registry_mount(p->registry, b->digest, *from, e);
		if (r > 0)
			tell(p, i, TRANSFER_MOUNTED, b->size, b->size);
	}
	return r;
}

static int push_layer(struct push *p, unsigned i, struct pushed_blob *ret, struct err *e)
{
	const char *diff_id = p->image->layers[i];
	const struct oci_descriptor *own =
		p->manifest && i < p->manifest->layers->len ? p->manifest->layers->pdata[i] : NULL;
	int r = 0;

	if (own) {
		(void)g_strlcpy(ret->digest, own->digest, sizeof(ret->digest));
		ret->size = own->size;
		r = is_there(p, i, ret, e);
		if (r != 0) {
			ret->type = g_strdup(own->type);
			return r;
		}
	}
	if (recall(p->c, diff_id, ret))
		r = is_there(p, i, ret, e);
	if (r == 0)
		r = upload(p, i, diff_id, ret, e);
	ret->type = g_strdup(TYPE_LAYER);
	return r;
}

/* --- an image ------------------------------------------------------------------------------------------ */

static json_t *descriptor(const char *type, const char *digest, int64_t size)
{
	return json_pack(
		"{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
}

/* The image's own manifest where all of it is as it says; else one for what was uploaded. */
static char *manifest_text(struct push *p, const struct pushed_blob *blobs, unsigned n,
	size_t config_size, char **ret_type)
{
	json_t *layers, *doc;
	char *dump, *text;
	size_t size;
	bool same = p->manifest && p->manifest->layers->len == n;

	for (unsigned i = 0; same && i < n; i++)
		same = strcmp(((struct oci_descriptor *)p->manifest->layers->pdata[i])->digest,
			       blobs[i].digest) == 0;
	if (same && blob_read(p->c, p->image->manifest, &text, &size, NULL) >= 0) {
		json_t *own = json_loads(text, 0, NULL);
		const char *type = json_string_value(json_object_get(own, "mediaType"));

		*ret_type = g_strdup(type ? type : TYPE_MANIFEST);
		json_decref(own);
		return text;
	}
	layers = json_array();
	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(
			layers, descriptor(TYPE_LAYER, blobs[i].digest, blobs[i].size));
	doc = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", TYPE_MANIFEST,
		"config", descriptor(TYPE_CONFIG, p->image->id, (int64_t)config_size), "layers",
		layers);
	dump = json_dumps(doc, JSON_COMPACT);
	text = g_strdup(dump);
	free(dump);
	json_decref(doc);
	*ret_type = g_strdup(TYPE_MANIFEST);
	return text;
}

static int push_config(struct push *p, size_t *ret_size, struct err *e)
{
	g_autofree char *config = NULL;
	int r = blob_read(p->c, p->image->id, &config, ret_size, e);

	if (r >= 0)
		r = registry_has_blob(p->registry, p->image->id, e);
	return r != 0 ? r : registry_blob_put(p->registry, p->image->id, config, *ret_size, e);
}

static void blobs_free(struct pushed_blob *blobs, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		g_free(blobs[i].type);
	g_free(blobs);
}

static int push_image(
	struct push *p, const struct ref *ref, char **ret_digest, int64_t *ret_size, struct err *e)
{
	unsigned n = g_strv_length(p->image->layers);
	struct pushed_blob *blobs = g_new0(struct pushed_blob, n + 1);
	const struct transfer_progress *x = p->o->progress;
	g_autofree char *text = NULL, *type = NULL, *full = ref_full(ref);
	size_t config_size = 0;
	int r = 0;

	if (x)
		x->begin(x->data, full, (const char *const *)p->image->layers);
	for (unsigned i = 0; r >= 0 && i < n; i++)
		r = push_layer(p, i, &blobs[i], e);
	if (r >= 0)
		r = push_config(p, &config_size, e);
	if (r >= 0) {
		text = manifest_text(p, blobs, n, config_size, &type);
		*ret_digest = blob_digest(text, strlen(text));
		*ret_size = (int64_t)strlen(text);
		r = registry_manifest_put(p->registry, ref->tag, text, strlen(text), type, e);
	}
	/* so that the next push knows what it will find */
	if (r >= 0 && !p->image->manifest) {
		const char *const none[] = { NULL };
		g_autofree char *config = NULL;

		if (blob_read(p->c, p->image->id, &config, &config_size, NULL) >= 0)
			(void)image_add(
				p->c, config, config_size, text, strlen(text), none, NULL, NULL);
	}
	blobs_free(blobs, n);
	return r;
}

/* Other repositories of the registry that the image has a name in: they may have its layers. */
static char **siblings(const struct image_record *i, const struct ref *ref)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new();

	for (char **n = i->names; *n; n++) {
		struct ref r;

		if (ref_parse(*n, REF_NO_DEFAULT, &r, NULL) < 0)
			continue;
		if (strcmp(r.domain, ref->domain) == 0 && strcmp(r.path, ref->path) != 0)
			g_ptr_array_add(list, g_strdup(r.path));
		ref_clear(&r);
	}
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

static void read_own_manifest(struct push *p)
{
	g_autofree char *text = NULL;
	size_t size;

	if (p->image->manifest && blob_read(p->c, p->image->manifest, &text, &size, NULL) >= 0 &&
		oci_document_parse(text, size, &p->manifest, NULL) >= 0 &&
		p->manifest->kind != OCI_MANIFEST) {
		oci_document_free(p->manifest);
		p->manifest = NULL;
	}
}

static int push_one(struct push *p, const char *full, GPtrArray *ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *image = NULL;
	g_auto(GStrv) from = NULL;
	g_autofree char *digest = NULL;
	int64_t size = 0;
	struct pulled *x;
	struct ref ref;
	int r;

	r = image_resolve(p->c, full, &image, e);
	if (r >= 0)
		r = image_need_layers(image, full, e);
	if (r >= 0)
		r = ref_parse(full, 0, &ref, e);
	if (r < 0)
		return r;
	p->image = image;
	p->from = from = siblings(image, &ref);
	read_own_manifest(p);
	r = push_image(p, &ref, &digest, &size, e);
	oci_document_free(p->manifest);
	p->manifest = NULL;
	ref_clear(&ref);
	if (r < 0)
		return r;
	x = g_new0(struct pulled, 1);
	x->id = g_strdup(image->id);
	x->name = g_strdup(full);
	x->digest = g_steal_pointer(&digest);
	x->size = size;
	x->changed = true;
	g_ptr_array_add(ret, x);
	g_autofree char *shown = ref_show(x->name);
	image_event(p->c, "push", x->id, shown);
	return 0;
}

/* All names here that are tags of the repository. */
static int names_of(struct ctx *c, const struct ref *ref, GPtrArray *ret, struct err *e)
{
	g_autofree char *prefix = g_strdup_printf("%s/%s:", ref->domain, ref->path);
	g_autoptr(GPtrArray) images = NULL;
	struct store *s;
	int r = store_get(c, &s, e);

	if (r >= 0)
		r = store_image_list(s, &images, e);
	for (unsigned i = 0; r >= 0 && i < images->len; i++)
		for (char **n = ((struct image_record *)images->pdata[i])->names; *n; n++)
			if (g_str_has_prefix(*n, prefix))
				g_ptr_array_add(ret, g_strdup(*n));
	if (r >= 0 && ret->len == 0)
		r = err_set(e, -E_NOTFOUND, "there is no image of '%s/%s' here", ref->domain,
			ref->path);
	return r;
}

/* 1: shown instead of done. */
static int explain(struct ctx *c, const GPtrArray *names, struct err *e)
{
	_cleanup_(plan_freep) struct plan *plan = plan_new();
	struct journal_hold hold;

	if (!c->explain)
		return 0;
	for (unsigned i = 0; i < names->len; i++) {
		g_autofree char *from = g_strconcat("containers-storage:", names->pdata[i], NULL);
		g_autofree char *to = g_strconcat("docker://", names->pdata[i], NULL);

		plan_add(plan, AT_HOST, &step_content, "skopeo", "copy", from, to);
	}
	return journal_begin(c, plan, &hold, e);
}

int image_push(struct ctx *c, const char *written, const struct push_options *o, GPtrArray **ret,
	struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)pulled_free);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	_cleanup_(registries_freep) struct registries *conf = NULL;
	struct push p = { .c = c, .o = o };
	struct registry_place *place = NULL;
	struct ref ref;
	int r;

	r = ref_parse(written, 0, &ref, e);
	if (r < 0)
		return r;
	if (ref.digest)
		r = err_set(e, -E_INVALID, "'%s' has a digest: push goes to a tag", written);
	else if (o->all_tags)
		r = names_of(c, &ref, names, e);
	else
		g_ptr_array_add(names, ref_full(&ref));
	if (r >= 0)
		r = explain(c, names, e);
	if (r == 0)
		r = registries_load(o->transport, &conf, e);
	if (r >= 0 && !c->explain)
		r = registries_place(conf, &ref, &place, e);
	if (r >= 0 && place)
		r = registry_new(c, place, o->transport, REGISTRY_PUSH, &p.registry, e);
	for (unsigned i = 0; r >= 0 && place && i < names->len; i++)
		r = push_one(&p, names->pdata[i], list, e);
	registry_free(p.registry);
	registry_place_free(place);
	ref_clear(&ref);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}
