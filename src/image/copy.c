/* SPDX-License-Identifier: MIT */
#include "image/copy.h"

#include <string.h>
#include "image/copy-priv.h"
#include "image/image.h"
#include "image/sign.h"
#include "store/blob.h"

#define INDEX_DEPTH_MAX 4

int copy_format_from_name(const char *name, enum copy_format *ret, struct err *e)
{
	if (strcmp(name, "oci") == 0)
		*ret = COPY_FORMAT_OCI;
	else if (strcmp(name, "v2s2") == 0)
		*ret = COPY_FORMAT_DOCKER;
	else if (strcmp(name, "v2s1") == 0)
		return err_set(e, -E_UNSUPPORTED,
			"the format 'v2s1' isn't written: nothing since docker 1.10 needs it");
	else
		return err_set(e, -E_INVALID,
			"unknown format \"%s\". Choose one of the supported formats: 'oci', "
			"'v2s1', "
			"or 'v2s2'",
			name);
	return 0;
}

void copy_tell(struct copy *c, const char *fmt, ...)
{
	const struct copy_teller *t = c->o->teller;
	g_autofree char *line = NULL;
	va_list ap;

	if (!t || !t->tell)
		return;
	va_start(ap, fmt);
	line = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	t->tell(t->data, line);
}

/* A document, and that it has the digest by which it was asked for. */
struct document {
	char *text, *type;
	size_t size;
	char *digest;
	struct manifest *m;
};

static void document_clear(struct document *d)
{
	g_free(d->text);
	g_free(d->type);
	g_free(d->digest);
	manifest_free(d->m);
}

static int get(struct copy *c, const char *digest, struct document *ret, struct err *e)
{
	int r;

	*ret = (struct document){ NULL };
	r = c->from->ops->document(c->from, digest, &ret->text, &ret->size, &ret->type, e);
	if (r < 0)
		return r;
	ret->digest = blob_digest(ret->text, ret->size);
	if (digest && strcmp(ret->digest, digest) != 0)
		return err_set(e, -E_CORRUPT, "the manifest that should be '%s' is '%s'", digest,
			ret->digest);
	r = manifest_parse(ret->text, ret->size, ret->type, &ret->m, e);
	/* signatures are for images; of an index whose images aren't looked at, for the index */
	if (r >= 0 && c->o->allow && (!ret->m->index || c->o->which == COPY_INDEX_ONLY))
		r = c->o->allow(c->o->allow_arg, c->from, ret->text, ret->size, e);
	return r;
}

/* --- signatures ------------------------------------------------------------------------------------------- */

/* Simple and sigstore's; NULL: none of the kind. */
struct signatures {
	GPtrArray *simple, *attached;
};

static void signatures_done(struct signatures *s)
{
	g_clear_pointer(&s->simple, g_ptr_array_unref);
	g_clear_pointer(&s->attached, g_ptr_array_unref);
}

static int get_kind(struct copy *c,
	int (*read)(struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e),
	bool writes, const char *digest, GPtrArray **ret, struct err *e)
{
	int r = read ? read(c->from, digest, ret, e) : 0;

	if (r >= 0 && *ret && (*ret)->len == 0)
		g_clear_pointer(ret, g_ptr_array_unref);
	if (r >= 0 && *ret && !writes)
		return err_set(e, -E_UNSUPPORTED,
			"Can not copy signatures to %s: it has no place for them", c->to->shown);
	return r;
}

/* Those that a document has, to be passed on. */
static int get_signatures(struct copy *c, const char *digest, struct signatures *ret, struct err *e)
{
	int r;

	if (c->o->remove_signatures)
		return 0;
	r = get_kind(c, c->from->ops->signatures, c->to->ops->signatures != NULL, digest,
		&ret->simple, e);
	return r < 0 ? r
		     : get_kind(c, c->from->ops->attachments, c->to->ops->attachments != NULL,
			       digest, &ret->attached, e);
}

static void unref_bytes(void *b)
{
	g_bytes_unref(b);
}

static int put_signatures(
	struct copy *c, const struct signatures *s, const char *digest, struct err *e)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(unref_bytes);
	const char *identity = c->o->sign_identity ?: c->to->identity;
	GBytes *own = NULL;
	int r = 0;

	for (unsigned i = 0; s->simple && i < s->simple->len; i++)
		g_ptr_array_add(all, g_bytes_ref(s->simple->pdata[i]));
	if (c->o->sign_by) {
		if (!identity)
			return err_set(e, -E_INVALID,
				"Cannot determine canonical Docker reference for destination %s",
				c->to->shown);
		if (!c->to->ops->signatures)
			return err_set(e, -E_UNSUPPORTED,
				"Can not store signatures to %s: it has no place for them",
				c->to->shown);
		r = sign_make(digest, identity, c->o->sign_by, c->o->sign_passphrase, &own, e);
		if (r < 0)
			return r;
		g_ptr_array_add(all, own);
	}
	if (all->len)
		r = c->to->ops->signatures(c->to, digest, all, e);
	return r < 0 || !s->attached ? r : c->to->ops->attachments(c->to, digest, s->attached, e);
}

/* --- one image -------------------------------------------------------------------------------------------- */

/* Whether the manifest is to be OCI's; -E_UNSUPPORTED when the target takes neither. */
static int choose_oci(struct copy *c, const struct manifest *m, struct err *e)
{
	const char *const *types = c->to->ops->types ? c->to->ops->types(c->to) : NULL;
	bool oci = c->o->format == COPY_FORMAT_KEEP ? m->oci : c->o->format == COPY_FORMAT_OCI;
	bool takes[2] = { !types, !types };

	for (; types && *types; types++)
		if (manifest_type_is_index(*types) == m->index)
			takes[strstr(*types, "vnd.oci.") != NULL] = true;
	/* zstd is OCI's alone */
	if (c->o->format == COPY_FORMAT_KEEP && c->o->layers == COPY_PACKING_CHOSEN &&
		c->o->packing == PACKING_ZSTD && !m->index && takes[1])
		oci = true;
	if (takes[oci])
		return oci;
	if (c->o->format != COPY_FORMAT_KEEP || !takes[!oci])
		return err_set(e, -E_UNSUPPORTED, "'%s' takes no %s of this form", c->to->shown,
			m->index ? "index" : "manifest");
	return !oci;
}

static int copy_config(
	struct copy *c, const struct manifest *m, struct image_config **ret, struct err *e)
{
	g_autofree char *text = NULL;
	int r;

	r = copy_read(c, m->config, &text, e);
	if (r >= 0)
		r = image_config_parse(text, (size_t)m->config->size, ret, e);
	return r;
}

/* Layers and configuration. changes: what is to be said of the layers. */
static int copy_parts(struct copy *c, const struct manifest *m, bool oci, struct copied *copied,
	struct part_change *changes, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	bool image = manifest_is_image(m);
	g_autofree char *text = NULL;
	int r;

	if (image) {
		r = copy_config(c, m, &config, e);
		if (r < 0)
			return r;
		if (g_strv_length(config->diff_ids) != m->parts->len)
			return err_set(e, -E_CORRUPT,
				"the image has %u layers, its configuration %u", m->parts->len,
				g_strv_length(config->diff_ids));
	}
	for (unsigned i = 0; i < m->parts->len; i++) {
		const struct descriptor *d = m->parts->pdata[i];

		if (d->foreign) {
			copy_tell(c, "Skipping foreign layer %s", d->digest);
			continue;
		}
		r = copy_layer(c, d, image ? config->diff_ids[i] : NULL, !image, &copied[i], e);
		if (r < 0)
			return r;
		if (copied[i].packing == PACKING_OTHER)
			continue;
		changes[i] = (struct part_change){ copied[i].digest, copied[i].size,
			manifest_layer_type(oci, copied[i].packing) };
	}
	copy_tell(c, "Copying config %s", m->config->digest);
	if (!image)
		return copy_blob(c, m->config, e);
	r = copy_read(c, m->config, &text, e);
	return r < 0 ? r : copy_write(c, m->config, text, e);
}

static int refuse_change(struct copy *c, const struct signatures *s, struct err *e)
{
	if (c->o->preserve_digests)
		return err_set(e, -E_UNSUPPORTED,
			"'%s' would have to change the manifest, and digests are to be preserved",
			c->to->shown);
	if (s->simple || s->attached)
		return err_set(e, -E_UNSUPPORTED,
			"Can not copy signatures: the manifest would have to change, and the "
			"signatures would no longer be valid");
	return 0;
}

/* What was written of a document. */
struct written {
	char *digest, *type;
	int64_t size;
};

static void written_clear(struct written *w)
{
	g_free(w->digest);
	g_free(w->type);
}

static int put_document(struct copy *c, const struct document *d, char *changed, const char *type,
	bool top, const struct signatures *signatures, struct written *ret, struct err *e)
{
	const char *text = changed ?: d->text;
	size_t size = changed ? strlen(changed) : d->size;
	int r;

	if (top)
		copy_tell(c, d->m->index ? "Writing manifest list to image destination"
					 : "Writing manifest to image destination");
	r = c->to->ops->document(c->to, text, size, type, top, e);
	if (r < 0)
		return r;
	ret->digest = blob_digest(text, size);
	ret->size = (int64_t)size;
	ret->type = g_strdup(type);
	if (top)
		copy_tell(c, d->m->index ? "Storing list signatures" : "Storing signatures");
	return put_signatures(c, signatures, ret->digest, e);
}

static int copy_image(
	struct copy *c, const struct document *d, bool top, struct written *ret, struct err *e)
{
	g_autofree struct copied *copied = g_new0(struct copied, d->m->parts->len + 1);
	g_autofree struct part_change *changes = g_new0(struct part_change, d->m->parts->len + 1);
	_cleanup_(signatures_done) struct signatures signatures = { NULL };
	g_autofree char *changed = NULL;
	bool change;
	int r, oci;

	r = get_signatures(c, d->digest, &signatures, e);
	if (r < 0)
		return r;
	r = oci = choose_oci(c, d->m, e);
	if (r >= 0)
		r = copy_parts(c, d->m, oci, copied, changes, e);
	if (r < 0)
		return r;
	change = (bool)oci != d->m->oci;
	for (unsigned i = 0; i < d->m->parts->len; i++)
		change = change || changes[i].digest;
	/* the type of a layer that stays is right by the manifest's other name */
	if (change) {
		r = refuse_change(c, &signatures, e);
		if (r >= 0 && (bool)oci != d->m->oci)
			for (unsigned i = 0; i < d->m->parts->len; i++)
				if (changes[i].type)
					changes[i].type =
						manifest_layer_type(!oci, copied[i].packing);
		if (r >= 0)
			r = manifest_rewrite(d->m, oci, changes, &changed, e);
		if (r < 0)
			return r;
	}
	return put_document(c, d, changed,
		(bool)oci == d->m->oci ? d->m->type
		: oci		       ? TYPE_OCI_MANIFEST
				       : TYPE_DOCKER_MANIFEST,
		top, &signatures, ret, e);
}

/* --- several ---------------------------------------------------------------------------------------------- */

static int copy_document(struct copy *c, const struct document *d, int depth, bool top,
	struct written *ret, struct err *e);

static int copy_members(struct copy *c, const struct document *d, int depth,
	struct written *members, struct part_change *changes, bool *ret_change, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < d->m->parts->len; i++) {
		const struct descriptor *x = d->m->parts->pdata[i];
		struct document member;

		copy_tell(c, "Copying image %s (%u/%u)", x->digest, i + 1, d->m->parts->len);
		r = get(c, x->digest, &member, e);
		if (r >= 0)
			r = copy_document(c, &member, depth + 1, false, &members[i], e);
		document_clear(&member);
		if (r < 0 || strcmp(members[i].digest, x->digest) == 0)
			continue;
		*ret_change = true;
		changes[i] = (struct part_change){ members[i].digest, members[i].size, NULL };
	}
	return r;
}

/* The index names its members by the types that they have now. */
static void retype(
	const struct document *d, struct written *members, bool oci, struct part_change *changes)
{
	for (unsigned i = 0; i < d->m->parts->len; i++)
		if (members[i].type && oci == d->m->oci)
			changes[i].type = members[i].type;
}

static int copy_index(struct copy *c, const struct document *d, int depth, bool top,
	struct written *ret, struct err *e)
{
	unsigned n = d->m->parts->len;
	g_autofree struct part_change *changes = g_new0(struct part_change, n + 1);
	g_autofree struct written *members = g_new0(struct written, n + 1);
	_cleanup_(signatures_done) struct signatures signatures = { NULL };
	g_autofree char *changed = NULL;
	bool change = false;
	int r, oci;

	if (depth > INDEX_DEPTH_MAX)
		return err_set(
			e, -E_LIMIT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);
	if (c->to->one_image)
		return err_set(e, -E_UNSUPPORTED,
			"copying multiple images to '%s': it takes one image", c->to->shown);
	r = get_signatures(c, d->digest, &signatures, e);
	if (r >= 0)
		r = oci = choose_oci(c, d->m, e);
	if (r >= 0 && c->o->which == COPY_ALL) {
		if (depth == 0)
			copy_tell(c, "Copying %u of %u images in list", n, n);
		r = copy_members(c, d, depth, members, changes, &change, e);
	}
	if (r >= 0)
		change = change || (bool)oci != d->m->oci;
	if (r >= 0 && change) {
		r = refuse_change(c, &signatures, e);
		retype(d, members, oci, changes);
		if (r >= 0)
			r = manifest_rewrite(d->m, oci, changes, &changed, e);
	}
	if (r >= 0)
		r = put_document(c, d, changed,
			(bool)oci == d->m->oci ? d->m->type
			: oci		       ? TYPE_OCI_INDEX
					       : TYPE_DOCKER_LIST,
			top, &signatures, ret, e);
	for (unsigned i = 0; i < n; i++)
		written_clear(&members[i]);
	return r;
}

static int copy_document(struct copy *c, const struct document *d, int depth, bool top,
	struct written *ret, struct err *e)
{
	return d->m->index ? copy_index(c, d, depth, top, ret, e) : copy_image(c, d, top, ret, e);
}

/* Of an index the one image that is wanted; indexes in indexes are followed. */
static int narrow(struct copy *c, struct document *d, struct err *e)
{
	const struct descriptor *x;
	int r = 0;

	for (int depth = 0; r >= 0 && d->m->index; depth++) {
		struct document member;

		if (depth >= INDEX_DEPTH_MAX)
			return err_set(e, -E_LIMIT, "indexes are nested more than %d deep",
				INDEX_DEPTH_MAX);
		r = manifest_choose(d->m, c->o->os, c->o->arch, c->o->variant, &x, e);
		if (r < 0)
			return err_prefix(
				e, "choosing an image from manifest list %s", c->from->shown);
		r = get(c, x->digest, &member, e);
		if (r < 0) {
			document_clear(&member);
			return r;
		}
		document_clear(d);
		*d = member;
	}
	return r;
}

int image_copy(struct transport_in *from, struct transport_out *to, const struct copy_options *o,
	char **ret_digest, struct err *e)
{
	struct copy c = { from, to, o };
	struct written w = { NULL };
	struct document d;
	int r;

	r = get(&c, NULL, &d, e);
	to->source = from->repository;
	if (r >= 0 && o->which == COPY_ONE)
		r = narrow(&c, &d, e);
	if (r >= 0) {
		if (!d.m->index)
			copy_tell(&c, "Getting image source signatures");
		else
			copy_tell(&c, "Getting image list signatures");
		r = copy_document(&c, &d, 0, true, &w, e);
	}
	if (r >= 0)
		r = to->ops->commit(to, e);
	if (r >= 0 && ret_digest)
		*ret_digest = g_steal_pointer(&w.digest);
	written_clear(&w);
	document_clear(&d);
	return r;
}
