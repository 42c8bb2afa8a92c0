/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "image/archive-priv.h"
#include "image/attachments.h"
#include "image/lookaside.h"
#include "image/policy.h"
#include "image/pull-priv.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/partial.h"

#define INDEX_DEPTH_MAX 4
#define SCHEMA1		"application/vnd.docker.distribution.manifest.v1"

void pulled_free(struct pulled *p)
{
	if (!p)
		return;
	g_free(p->id);
	g_free(p->name);
	g_free(p->digest);
	g_free(p);
}

/* --- platforms ----------------------------------------------------------------------------------------- */

struct platform {
	char *os, *arch, *variant; /* variant NULL: any */
};

static void platform_clear(struct platform *p)
{
	g_free(p->os);
	g_free(p->arch);
	g_free(p->variant);
}

int platform_parse(
	const char *text, char **ret_os, char **ret_arch, char **ret_variant, struct err *e)
{
	static const char *const arches[][3] = { { "x86_64", "amd64", NULL },
		{ "x86-64", "amd64", NULL }, { "aarch64", "arm64", NULL }, { "armhf", "arm", "v7" },
		{ "armel", "arm", "v6" }, { "i386", "386", NULL } };
	g_auto(GStrv) word = g_strsplit(text, "/", -1);
	unsigned n = g_strv_length(word);
	const char *arch = n > 1    ? word[1]
			   : n == 1 ? word[0]
				    : NULL,
		   *variant = n > 2 ? word[2] : NULL;

	if (n == 0 || n > 3 || !*word[0] || (n > 1 && !*word[1]) || (n > 2 && !*word[2]))
		return err_set(e, -E_INVALID, "'%s' is no platform: OS/ARCH[/VARIANT]", text);
	if (n == 1 && strcmp(word[0], "linux") == 0)
		arch = image_arch();
	for (unsigned i = 0; i < G_N_ELEMENTS(arches); i++)
		if (strcmp(arch, arches[i][0]) == 0) {
			arch = arches[i][1];
			variant = variant ? variant : arches[i][2];
		}
	*ret_os = g_strdup(n > 1 ? word[0] : "linux");
	*ret_arch = g_strdup(arch);
	*ret_variant = g_strdup(variant);
	return 0;
}

/* 0: isn't it; more is better. */
static int fits(const struct oci_descriptor *d, const struct platform *p)
{
	if (!d->os && !d->arch)
		return 1;
	if (g_strcmp0(d->os, p->os) != 0 || g_strcmp0(d->arch, p->arch) != 0)
		return 0;
	if (g_strcmp0(d->variant, p->variant) == 0)
		return 4;
	/* arm64 is v8 without saying so */
	if (!p->variant && strcmp(p->arch, "arm64") == 0 && g_strcmp0(d->variant, "v8") == 0)
		return 4;
	return p->variant && d->variant ? 0 : p->variant ? 2 : d->variant ? 2 : 3;
}

/* --- documents ----------------------------------------------------------------------------------------- */

struct found {
	char *text; /* of the manifest */
	size_t size;
	char *digest, *type; /* of the manifest */
	struct oci_document *doc;
	char *top_digest; /* of what the name stands for */
};

static void found_clear(struct found *f)
{
	g_free(f->text);
	g_free(f->digest);
	g_free(f->type);
	g_free(f->top_digest);
	oci_document_free(f->doc);
	memset(f, 0, sizeof(*f));
}

static int read_document(struct found *f, struct err *e)
{
	g_free(f->digest);
	f->digest = blob_digest(f->text, f->size);
	oci_document_free(f->doc);
	f->doc = NULL;
	if (f->type && g_str_has_prefix(f->type, SCHEMA1))
		return err_set(e, -E_UNSUPPORTED,
			"the image has a manifest of version 1, which nothing makes any more");
	return oci_document_parse(f->text, f->size, &f->doc, e);
}

/* A document that an image here has needn't be asked for. */
static int get_document(
	struct pull *p, const struct oci_descriptor *d, struct found *f, struct err *e)
{
	g_free(f->text);
	f->text = NULL;
	g_clear_pointer(&f->type, g_free);
	if (blob_read(p->c, d->digest, &f->text, &f->size, NULL) < 0) {
		int r = registry_manifest(
			p->registry, d->digest, &f->text, &f->size, &f->type, NULL, e);

		if (r < 0)
			return r;
	}
	if ((int64_t)f->size != d->size)
		return err_set(e, -E_CORRUPT, "the manifest '%s' has %zu bytes, not %lld",
			d->digest, f->size, (long long)d->size);
	return read_document(f, e);
}

static int choose(struct pull *p, const struct platform *platform, struct found *f, struct err *e)
{
	for (int depth = 0; f->doc->kind == OCI_INDEX; depth++) {
		const struct oci_descriptor *best = NULL;
		int r;

		if (depth >= INDEX_DEPTH_MAX)
			return err_set(e, -E_LIMIT, "indexes are nested more than %d deep",
				INDEX_DEPTH_MAX);
		for (unsigned i = 0; i < f->doc->manifests->len; i++) {
			const struct oci_descriptor *d = f->doc->manifests->pdata[i];

			if (fits(d, platform) > (best ? fits(best, platform) : 0))
				best = d;
		}
		if (!best)
			return err_set(e, -E_NOTFOUND, "there is no image for %s/%s%s%s",
				platform->os, platform->arch, platform->variant ? "/" : "",
				platform->variant ?: "");
		{
			/* the document that it is in goes away */
			struct oci_descriptor copy = { .digest = g_strdup(best->digest),
				.size = best->size };

			r = get_document(p, &copy, f, e);
			g_free(copy.digest);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

struct text_sink {
	GString *text;
	int64_t size;
	const char *digest;
};

static int take_text(void *arg, const void *data, size_t size, struct err *e)
{
	struct text_sink *t = arg;

	if ((int64_t)(t->text->len + size) > t->size)
		return err_set(e, -E_CORRUPT, "the content '%s' is larger than the manifest says",
			t->digest);
	g_string_append_len(t->text, data, (gssize)size);
	return 0;
}

static int get_config(
	struct pull *p, const struct oci_descriptor *d, char **ret, size_t *ret_size, struct err *e)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct text_sink t = { text, d->size, d->digest };
	struct registry_sink sink = { NULL, take_text, &t };
	g_autofree char *is = NULL;
	int r;

	if (!g_str_has_prefix(d->type, "application/vnd.oci.image.config.v1") &&
		!g_str_has_prefix(d->type, "application/vnd.docker.container.image.v1"))
		return err_set(
			e, -E_UNSUPPORTED, "it holds '%.100s', which isn't an image", d->type);
	if (d->size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "the configuration '%s' has %lld bytes", d->digest,
			(long long)d->size);
	if (blob_read(p->c, d->digest, ret, ret_size, NULL) >= 0)
		return 0;
	r = registry_blob(p->registry, d->digest, 0, &sink, NULL, e);
	if (r < 0)
		return r;
	is = blob_digest(text->str, text->len);
	if (strcmp(is, d->digest) != 0 || (int64_t)text->len != d->size)
		return err_set(e, -E_CORRUPT,
			"the configuration should be '%s' of %lld bytes and is '%s' of %zu",
			d->digest, (long long)d->size, is, text->len);
	*ret_size = text->len;
	*ret = g_string_free(g_steal_pointer(&text), FALSE);
	return 0;
}

/* --- layers -------------------------------------------------------------------------------------------- */

static void tell_begin(struct pull *p, const char *name, const struct oci_document *m)
{
	const struct transfer_progress *x = p->o->progress;
	g_autofree const char **digests = NULL;

	if (!x)
		return;
	digests = g_new0(const char *, m->layers->len + 1);
	for (unsigned i = 0; i < m->layers->len; i++)
		digests[i] = ((struct oci_descriptor *)m->layers->pdata[i])->digest;
	x->begin(x->data, name, digests);
}

static void tell_there(struct pull *p, unsigned number, int64_t size)
{
	const struct transfer_progress *x = p->o->progress;

	if (x)
		x->layer(x->data, number, TRANSFER_THERE, size, size);
}

/* Those that the store lacks. */
static int missing(struct pull *p, const struct oci_document *m, const struct image_config *config,
	struct pull_layer *ret, unsigned *ret_n, struct err *e)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	struct store *s;
	int r = store_get(p->c, &s, e);

	*ret_n = 0;
	for (unsigned i = 0; r >= 0 && i < m->layers->len; i++) {
		const struct oci_descriptor *d = m->layers->pdata[i];

		r = oci_check_layer_type(d->type, e);
		if (r >= 0)
			r = store_layer_has(s, config->diff_ids[i], e);
		if (r > 0)
			tell_there(p, i, d->size);
		if (r == 0 && g_hash_table_add(seen, d->digest))
			ret[(*ret_n)++] =
				(struct pull_layer){ d->digest, config->diff_ids[i], d->size, i };
	}
	return r;
}

static int check_config(const struct image_config *i, const struct oci_document *m,
	const struct platform *platform, struct err *e)
{
	if (g_strv_length(i->diff_ids) != m->layers->len)
		return err_set(e, -E_CORRUPT, "the image has %u layers, its configuration %u",
			m->layers->len, g_strv_length(i->diff_ids));
	if (strcmp(i->os, "linux") != 0)
		return err_set(e, -E_UNSUPPORTED, "the image is for '%s', not for Linux", i->os);
	return 0;
}

/* What has come is in the layers now. */
static void remove_parts(struct pull *p, const struct pull_layer *layers, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		partial_remove(p->c, layers[i].digest, -1);
}

/* 1: it is here, with this manifest and this name. */
static int is_here(struct pull *p, const struct found *f, const char *full, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct store *s;
	int r = store_get(p->c, &s, e);

	if (r >= 0)
		r = store_image_find(s, f->doc->config->digest, &i, NULL);
	if (r == -E_NOTFOUND)
		return 0;
	return r < 0 ? r
		     : g_strcmp0(i->manifest, f->digest) == 0 &&
			       g_strv_contains((const char *const *)i->names, full);
}

static int fetch_image(struct pull *p, const struct found *f, const struct platform *platform,
	const char *full, char **ret_id, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autofree struct pull_layer *layers = g_new0(struct pull_layer, f->doc->layers->len + 1);
	const char *names[] = { full, NULL };
	g_autofree char *text = NULL;
	unsigned n = 0;
	size_t size;
	int r;

	r = get_config(p, f->doc->config, &text, &size, e);
	if (r >= 0)
		r = image_config_parse(text, size, &config, e);
	if (r >= 0)
		r = check_config(config, f->doc, platform, e);
	if (r >= 0)
		r = missing(p, f->doc, config, layers, &n, e);
	if (r >= 0)
		r = pull_layers(p, layers, n, e);
	if (r >= 0)
		r = image_add(p->c, text, size, f->text, f->size, names, ret_id, e);
	if (r >= 0)
		remove_parts(p, layers, n);
	return r;
}

/* With the journal: if we die, the next command removes the layers that no image names. */
static int fetch_held(struct pull *p, const struct found *f, const struct platform *platform,
	const char *full, char **ret_id, struct err *e)
{
	_cleanup_(plan_freep) struct plan *plan = plan_new();
	g_autofree char *from = g_strconcat("docker://", full, NULL);
	struct journal_hold hold;
	_cleanup_close_ int lock = -1;
	int r;

	plan_add(plan, AT_HOST, &step_content, "skopeo", "copy", from, "containers-storage:");
	r = journal_begin(p->c, plan, &hold, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = lock = blob_hold(p->c, e);
	if (r >= 0)
		r = fetch_image(p, f, platform, full, ret_id, e);
	if (lock >= 0)
		(void)close(TAKE_FD(lock));
	if (r < 0) {
		if (r == -ENOSPC && e && !e->mend[0])
			(void)err_mend(e,
				"make room in '%s', for instance with 'lodge system prune'",
				p->c->root);
		journal_abort(p->c, plan, &hold);
		/* the plans of workers that had to be ended */
		(void)journal_recover(p->c, NULL);
		return r;
	}
	journal_done(&hold);
	return 0;
}

/* --- one name ------------------------------------------------------------------------------------------ */

static int ask_place(struct pull *p, const struct registry_place *place, const struct ref *ref,
	struct found *f, struct err *e)
{
	int r;

	registry_free(p->registry);
	p->registry = NULL;
	r = registry_new(p->c, place, p->o->transport, REGISTRY_PULL, &p->registry, e);
	if (r >= 0)
		r = registry_manifest(p->registry, ref->digest ? ref->digest : ref->tag, &f->text,
			&f->size, &f->type, NULL, e);
	if (r >= 0)
		r = read_document(f, e);
	if (r >= 0)
		f->top_digest = g_strdup(f->digest);
	else
		found_clear(f);
	return r;
}

/* The first place that has it; the last one is what the name says, so its error counts. */
static int ask_places(struct pull *p, const struct registries *conf, const struct ref *ref,
	struct found *f, struct err *e)
{
	g_autoptr(GPtrArray) places = NULL;
	int r;

	r = registries_places(conf, ref, &places, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < places->len; i++) {
		r = ask_place(p, places->pdata[i], ref, f, e);
		if (r >= 0)
			return 0;
	}
	return r;
}

static int get_platform(const struct pull_options *o, struct platform *ret, struct err *e)
{
	if (o->platform)
		return platform_parse(o->platform, &ret->os, &ret->arch, &ret->variant, e);
	ret->os = g_strdup(o->transport->os ?: "linux");
	ret->arch = g_strdup(o->transport->arch ?: image_arch());
	ret->variant = g_strdup(o->transport->variant);
	return 0;
}

/* --- whether it may be taken ----------------------------------------------------------------------------- */

struct judged {
	struct pull *p;
	const struct ref *ref;
	const struct found *f;
};

static int get_signatures(void *arg, GPtrArray **ret, struct err *e)
{
	struct judged *j = arg;
	g_autofree char *base = NULL;
	int r = lookaside_find(j->p->o->transport, j->ref, false, &base, NULL, e);

	return r < 0 ? r : lookaside_read(j->p->registry, base, j->ref->path, j->f->digest, ret, e);
}

static int get_attachments(void *arg, GPtrArray **ret, struct err *e)
{
	struct judged *j = arg;
	g_autofree char *base = NULL;
	bool use = false;
	int r = lookaside_find(j->p->o->transport, j->ref, false, &base, &use, e);

	return r < 0 || !use ? r : attachments_read(j->p->registry, j->f->digest, ret, e);
}

/* A signature is for one manifest: of an index, for the one that was chosen. */
static int judge(struct pull *p, const struct ref *ref, const struct found *f, struct err *e)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	g_autofree char *full = ref_full(ref);
	struct judged j = { p, ref, f };
	struct policy_image i = { .transport = "docker",
		.scope = full,
		.reference = full,
		.manifest = f->text,
		.manifest_size = f->size,
		.signatures = get_signatures,
		.attachments = get_attachments,
		.arg = &j };
	int r = policy_load(p->o->policy, &policy, e);

	return r < 0 ? r : policy_check(policy, &i, e);
}

static int take_found(
	struct pull *p, const struct ref *ref, struct found *f, GPtrArray *ret, struct err *e)
{
	struct platform platform = { NULL };
	g_autofree char *full = ref_full(ref), *id = NULL;
	struct pulled *x;
	int r, here = 0;

	r = get_platform(p->o, &platform, e);
	if (r >= 0)
		r = choose(p, &platform, f, e);
	if (r >= 0)
		r = judge(p, ref, f, e);
	if (r >= 0) {
		tell_begin(p, full, f->doc);
		r = here = is_here(p, f, full, e);
	}
	for (unsigned i = 0; here > 0 && i < f->doc->layers->len; i++)
		tell_there(p, i, ((struct oci_descriptor *)f->doc->layers->pdata[i])->size);
	if (r == 0)
		r = fetch_held(p, f, &platform, full, &id, e);
	platform_clear(&platform);
	if (r < 0 || p->c->explain)
		return r;
	x = g_new0(struct pulled, 1);
	x->id = id ? g_steal_pointer(&id) : g_strdup(f->doc->config->digest);
	x->name = g_steal_pointer(&full);
	x->digest = g_strdup(f->top_digest);
	x->changed = here == 0;
	g_ptr_array_add(ret, x);
	g_autofree char *shown = ref_show(x->name);
	image_event(p->c, "pull", x->id, shown);
	return 0;
}

static int pull_one(struct pull *p, const struct registries *conf, const struct ref *ref,
	GPtrArray *ret, struct err *e)
{
	struct found f = { NULL };
	int r = ask_places(p, conf, ref, &f, e);

	if (r >= 0)
		r = take_found(p, ref, &f, ret, e);
	if (r < 0 && r != -E_NOTFOUND && e && !strstr(e->text, ref->path)) {
		g_autofree char *shown = ref_familiar(ref);

		(void)err_prefix(e, "'%s'", shown);
	}
	found_clear(&f);
	return r;
}

static int pull_tags(struct pull *p, const struct registries *conf, const struct ref *ref,
	GPtrArray *ret, struct err *e)
{
	_cleanup_(registry_freep) struct registry *registry = NULL;
	struct registry_place *place = NULL;
	g_autoptr(GPtrArray) places = NULL, tags = NULL;
	int r;

	r = registries_places(conf, ref, &places, e);
	if (r < 0)
		return r;
	place = places->pdata[places->len - 1];
	r = registry_new(p->c, place, p->o->transport, REGISTRY_PULL, &registry, e);
	if (r >= 0)
		r = registry_tags(registry, &tags, e);
	for (unsigned i = 0; r >= 0 && i < tags->len; i++) {
		struct ref one = *ref;

		one.tag = tags->pdata[i];
		r = pull_one(p, conf, &one, ret, e);
	}
	return r;
}

int image_pull(struct ctx *c, const char *written, const struct pull_options *o, GPtrArray **ret,
	struct err *e)
{
	g_autoptr(GPtrArray) names = NULL,
			     list = g_ptr_array_new_with_free_func((GDestroyNotify)pulled_free);
	_cleanup_(registries_freep) struct registries *conf = NULL;
	struct pull p = { .c = c, .o = o };
	int r;

	r = registries_load(o->transport, &conf, e);
	if (r >= 0)
		r = registries_names(conf, written, &names, e);
	for (unsigned i = 0; r >= 0 && i < names->len; i++) {
		struct ref ref;

		r = ref_parse(names->pdata[i], 0, &ref, e);
		if (r < 0)
			break;
		if (o->all_tags && (ref.digest || strchr(strrchr(written, '/') ?: written, ':')))
			r = err_set(e, -E_INVALID,
				"'%s' has a tag or a digest, so all can't be meant", written);
		else
			r = o->all_tags ? pull_tags(&p, conf, &ref, list, e)
					: pull_one(&p, conf, &ref, list, e);
		ref_clear(&ref);
		if (r >= 0 || i + 1 == names->len)
			break;
		r = 0;
	}
	registry_free(p.registry);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}

int image_find_written(struct ctx *c, const char *written, const struct transport_options *o,
	char **ret, struct err *e)
{
	g_autoptr(GPtrArray) names = NULL;
	_cleanup_(registries_freep) struct registries *conf = NULL;
	int r;

	r = registries_load(o, &conf, e);
	if (r >= 0)
		r = registries_names(conf, written, &names, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < names->len; i++) {
		_cleanup_(image_record_freep) struct image_record *rec = NULL;

		r = image_resolve(c, names->pdata[i], &rec, e);
		if (r >= 0) {
			*ret = g_strdup(names->pdata[i]);
			return 0;
		}
		if (r != -E_NOTFOUND)
			return r;
	}
	/* an id */
	{
		_cleanup_(image_record_freep) struct image_record *rec = NULL;

		r = image_resolve(c, written, &rec, e);
		if (r >= 0)
			*ret = g_strdup(written);
	}
	return r;
}
