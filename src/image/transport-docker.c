/* SPDX-License-Identifier: MIT */
/* docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST] */
#include <string.h>
#include "image/attachments.h"
#include "image/lookaside.h"
#include "image/registry-priv.h"
#include "image/transport.h"
#include "store/blob.h"
#include "store/journal.h"

#define KEPT_MIN (1 << 20) /* bytes of a blob whose upload is gone on with by another run */

static int read_reference(const char *rest, struct ref *ret, char **ret_shown, struct err *e)
{
	g_autofree char *full = NULL;
	int r;

	if (!g_str_has_prefix(rest, "//"))
		return err_set(e, -E_INVALID, "'docker:%s' has no '//' before the name", rest);
	r = ref_parse(rest + 2, 0, ret, e);
	if (r < 0)
		return r;
	full = ref_full(ret);
	*ret_shown = g_strconcat("docker://", full, NULL);
	return 0;
}

/* --- from ---------------------------------------------------------------------------------------------- */

struct docker_in {
	struct transport_in in;
	struct ref ref;
	char *shown, *repository;
	struct transport_options o;
	GPtrArray *places;
	struct registry *r; /* the place that has it; NULL: nobody was asked yet */
};

static struct docker_in *docker_in(struct transport_in *s)
{
	return (struct docker_in *)s;
}

static int ask_places(
	struct docker_in *d, char **ret, size_t *ret_size, char **ret_type, struct err *e)
{
	const char *what = d->ref.digest ? d->ref.digest : d->ref.tag;
	int r = 0;

	if (d->r)
		return registry_manifest(d->r, what, ret, ret_size, ret_type, NULL, e);
	for (unsigned i = 0; i < d->places->len; i++) {
		_cleanup_(registry_freep) struct registry *one = NULL;

		r = registry_new(d->in.c, d->places->pdata[i], &d->o, REGISTRY_PULL, &one, e);
		if (r >= 0)
			r = registry_manifest(one, what, ret, ret_size, ret_type, NULL, e);
		if (r >= 0) {
			d->r = TAKE_PTR(one);
			break;
		}
	}
	return r;
}

/* The one that has been asked, or that of the name itself. */
static int get_registry(struct docker_in *d, struct err *e)
{
	return d->r ? 0
		    : registry_new(d->in.c, d->places->pdata[d->places->len - 1], &d->o,
			      REGISTRY_PULL, &d->r, e);
}

static int in_document(struct transport_in *s, const char *digest, char **ret, size_t *ret_size,
	char **ret_type, struct err *e)
{
	struct docker_in *d = docker_in(s);
	int r;

	if (!digest) {
		r = ask_places(d, ret, ret_size, ret_type, e);
	} else {
		r = get_registry(d, e);
		if (r >= 0)
			r = registry_manifest(d->r, digest, ret, ret_size, ret_type, NULL, e);
	}
	if (r >= 0 && !d->repository) {
		const struct registry_place *p = registry_where(d->r);

		d->repository = g_strdup_printf("%s/%s", p->domain, p->path);
		d->in.repository = d->repository;
	}
	return r;
}

static int in_blob(struct transport_in *s, const char *digest, int64_t offset, transport_sink sink,
	void *arg, int64_t *ret_size, struct err *e)
{
	struct docker_in *d = docker_in(s);
	struct registry_sink to = { NULL, sink, arg };
	int r = get_registry(d, e);

	return r < 0 ? r : registry_blob(d->r, digest, offset, &to, ret_size, e);
}

static int in_signatures(struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e)
{
	struct docker_in *d = docker_in(s);
	g_autofree char *base = NULL;
	int r;

	r = get_registry(d, e);
	if (r >= 0)
		r = lookaside_find(&d->o, &d->ref, false, &base, NULL, e);
	return r < 0 ? r : lookaside_read(d->r, base, d->ref.path, digest, ret, e);
}

static int in_attachments(
	struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e)
{
	struct docker_in *d = docker_in(s);
	g_autofree char *base = NULL;
	bool use = false;
	int r;

	r = get_registry(d, e);
	if (r >= 0)
		r = lookaside_find(&d->o, &d->ref, false, &base, &use, e);
	return r < 0 || !use ? r : attachments_read(d->r, digest, ret, e);
}

static int in_tags(struct transport_in *s, GPtrArray **ret, struct err *e)
{
	struct docker_in *d = docker_in(s);
	int r = get_registry(d, e);

	return r < 0 ? r : registry_tags(d->r, ret, e);
}

static void in_free(struct transport_in *s)
{
	struct docker_in *d = docker_in(s);

	registry_free(d->r);
	ref_clear(&d->ref);
	if (d->places)
		g_ptr_array_unref(d->places);
	g_free(d->shown);
	g_free(d->repository);
	g_free(d);
}

static const struct transport_in_ops in_ops = {
	.document = in_document,
	.blob = in_blob,
	.signatures = in_signatures,
	.attachments = in_attachments,
	.tags = in_tags,
	.free = in_free,
};

static int open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	_cleanup_(registries_freep) struct registries *conf = NULL;
	struct docker_in *d = g_new0(struct docker_in, 1);
	int r;

	d->in.ops = &in_ops;
	d->in.c = c;
	d->o = *o;
	r = read_reference(rest, &d->ref, &d->shown, e);
	if (r >= 0)
		r = registries_load(o, &conf, e);
	if (r >= 0)
		r = registries_places(conf, &d->ref, &d->places, e);
	if (r < 0) {
		in_free(&d->in);
		return r;
	}
	d->in.shown = d->shown;
	*ret = &d->in;
	return 0;
}

/* --- to ------------------------------------------------------------------------------------------------ */

struct docker_out {
	struct transport_out out;
	struct ref ref;
	char *shown;
	struct transport_options o;
	struct registry *r;
	int64_t sent;
	/* put at last, so that nobody sees the image before */
	char *top, *top_type;
	size_t top_size;
};

static struct docker_out *docker_out(struct transport_out *t)
{
	return (struct docker_out *)t;
}

static int out_has_blob(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct docker_out *d = docker_out(t);
	const struct registry_place *p = registry_where(d->r);
	size_t n = strlen(p->domain);
	int r = registry_has_blob(d->r, digest, e);

	if (r != 0 || !t->source || strncmp(t->source, p->domain, n) != 0 || t->source[n] != '/' ||
		strcmp(t->source + n + 1, p->path) == 0)
		return r;
	return registry_mount(d->r, digest, t->source + n + 1, e);
}

static bool has_store(struct ctx *c)
{
	struct store *s;

	return store_get(c, &s, NULL) >= 0;
}

static int out_blob_begin(struct transport_out *t, const char *digest, int64_t size,
	int64_t *ret_offset, struct err *e)
{
	struct docker_out *d = docker_out(t);
	const char *key = *digest ? digest : t->blob_key;
	int64_t offset = 0;
	int r;

	/* where it is remembered is in the store; what is small isn't worth it */
	if (!ret_offset || (size >= 0 && size < KEPT_MIN) || !has_store(t->c))
		key = NULL;
	r = registry_upload(d->r, key, key ? &offset : NULL, e);
	/* what is more than there is can't be gone on with */
	if (r >= 0 && size >= 0 && offset > size) {
		offset = 0;
		r = registry_upload(d->r, NULL, NULL, e);
	}
	d->sent = offset;
	if (r >= 0 && ret_offset)
		*ret_offset = offset;
	return r;
}

static int out_blob_write(struct transport_out *t, const void *data, size_t size, struct err *e)
{
	struct docker_out *d = docker_out(t);
	int r = registry_upload_write(d->r, data, size, e);

	d->sent += (int64_t)size;
	if (r < 0 && !registry_is_passing(r))
		registry_upload_forget(d->r);
	return r;
}

static int out_blob_finish(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct docker_out *d = docker_out(t);

	if (size >= 0 && d->sent != size) {
		registry_upload_forget(d->r);
		return err_set(e, -E_CORRUPT, "the blob '%s' has %lld bytes, not %lld", digest,
			(long long)d->sent, (long long)size);
	}
	return registry_upload_finish(d->r, digest, e);
}

static int out_document(struct transport_out *t, const char *text, size_t size, const char *type,
	bool top, struct err *e)
{
	struct docker_out *d = docker_out(t);
	g_autofree char *digest = blob_digest(text, size);

	if (top) {
		g_free(d->top);
		g_free(d->top_type);
		d->top = g_strndup(text, size);
		d->top_size = size;
		d->top_type = g_strdup(type);
		if (d->ref.digest && strcmp(d->ref.digest, digest) != 0)
			return err_set(e, -E_INVALID, "'%s' can't be kept under the digest '%s'",
				d->shown, digest);
		return 0;
	}
	return registry_manifest_put(d->r, digest, text, size, type, e);
}

static int out_signatures(
	struct transport_out *t, const char *digest, GPtrArray *signatures, struct err *e)
{
	struct docker_out *d = docker_out(t);
	g_autofree char *base = NULL;
	int r;

	if (signatures->len == 0)
		return 0;
	r = lookaside_find(&d->o, &d->ref, true, &base, NULL, e);
	return r < 0 ? r : lookaside_write(base, d->ref.path, digest, signatures, e);
}

static int out_attachments(
	struct transport_out *t, const char *digest, GPtrArray *attachments, struct err *e)
{
	struct docker_out *d = docker_out(t);
	g_autofree char *base = NULL;
	bool use = false;
	int r;

	/* as for reading, it is for the user to say that the registry has such */
	r = lookaside_find(&d->o, &d->ref, false, &base, &use, e);
	if (r >= 0 && !use) {
		r = err_set(e, -E_UNSUPPORTED, "Can not store sigstore signatures to %s: disabled",
			d->shown);
		(void)err_mend(e, "'use-sigstore-attachments: true' for it in registries.d allows "
				  "them, --remove-signatures leaves them out");
	}
	return r < 0 ? r : attachments_write(d->r, digest, attachments, e);
}

static int out_commit(struct transport_out *t, struct err *e)
{
	struct docker_out *d = docker_out(t);

	if (!d->top)
		return 0;
	return registry_manifest_put(d->r, d->ref.digest ? d->ref.digest : d->ref.tag, d->top,
		d->top_size, d->top_type, e);
}

static void out_free(struct transport_out *t)
{
	struct docker_out *d = docker_out(t);

	registry_free(d->r);
	ref_clear(&d->ref);
	g_free(d->shown);
	g_free(d->top);
	g_free(d->top_type);
	g_free(d);
}

static const struct transport_out_ops out_ops = {
	.has_blob = out_has_blob,
	.blob_begin = out_blob_begin,
	.blob_write = out_blob_write,
	.blob_finish = out_blob_finish,
	.document = out_document,
	.signatures = out_signatures,
	.attachments = out_attachments,
	.commit = out_commit,
	.free = out_free,
};

static int reach(struct ctx *c, const struct ref *ref, const struct transport_options *o,
	unsigned flags, struct registry **ret, struct err *e)
{
	_cleanup_(registries_freep) struct registries *conf = NULL;
	struct registry_place *place = NULL;
	int r;

	r = registries_load(o, &conf, e);
	if (r >= 0)
		r = registries_place(conf, ref, &place, e);
	if (r >= 0)
		r = registry_new(c, place, o, flags, ret, e);
	registry_place_free(place);
	return r;
}

static int open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	struct docker_out *d = g_new0(struct docker_out, 1);
	int r;

	d->out.ops = &out_ops;
	d->out.c = c;
	d->o = *o;
	r = read_reference(rest, &d->ref, &d->shown, e);
	if (r >= 0)
		r = reach(c, &d->ref, o, REGISTRY_PUSH, &d->r, e);
	if (r < 0) {
		out_free(&d->out);
		return r;
	}
	d->out.shown = d->shown;
	d->out.wants_packed = d->out.goes_on = true;
	d->out.identity = d->shown + strlen("docker://");
	*ret = &d->out;
	return 0;
}

static void explain_remove(const struct ref *ref)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();

	plan_add(p, AT_HOST, &step_content, "curl", "-X", "DELETE",
		plan_str(p, "https://%s/v2/%s/manifests/%s", ref->domain, ref->path,
			ref->digest ? ref->digest : ref->tag));
	plan_show(p, stdout);
}

static int docker_remove(
	struct ctx *c, const char *rest, const struct transport_options *o, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	g_autofree char *shown = NULL, *digest = NULL;
	struct ref ref;
	int code;

	code = read_reference(rest, &ref, &shown, e);
	if (code < 0)
		return code;
	if (c->explain) {
		explain_remove(&ref);
		ref_clear(&ref);
		return 0;
	}
	code = reach(c, &ref, o, REGISTRY_DELETE, &r, e);
	if (code >= 0 && ref.digest)
		digest = g_strdup(ref.digest);
	else if (code >= 0)
		code = registry_manifest_digest(r, ref.tag, &digest, e);
	if (code >= 0)
		code = registry_manifest_delete(r, digest, e);
	ref_clear(&ref);
	return code;
}

const struct transport transport_docker = {
	.name = "docker",
	.open_in = open_in,
	.open_out = open_out,
	.remove = docker_remove,
};
