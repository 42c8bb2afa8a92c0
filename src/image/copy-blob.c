/* SPDX-License-Identifier: MIT */
/* Blobs from a source to a target: hashed, and compressed anew where it has to be. */
#include <string.h>
#include "codec/sha256.h"
#include "image/copy-priv.h"
#include "image/registry-priv.h"
#include "image/squeeze.h"
#include "store/blob.h"

/* Bytes on their way: source -> [hash] -> inflate -> squeeze -> [hash] -> target, or straight on. */
struct passing {
	struct copy *c;
	const struct descriptor *d;
	struct sha256 *in, *out; /* NULL: the target hashes */
	int64_t in_size, out_size;
	struct inflate *inflate;
	struct squeeze *squeeze;
	enum layer_packing want; /* PACKING_OTHER: as it is */
	bool decided;
	int64_t told;
	int64_t there;	    /* bytes of an attempt before that the target has */
	bool again;	    /* the source was stopped, to begin behind these */
	bool target_failed; /* not the source: another attempt may help */
};

static int to_target(void *arg, const void *data, size_t size, struct err *e)
{
	struct passing *p = arg;
	const char *bytes = data;
	size_t old = 0;
	int r;

	/* what is compressed anew is made from its beginning, always the same bytes */
	if (p->out) {
		sha256_write(p->out, data, size);
		if (p->out_size < p->there)
			old = (size_t)MIN((int64_t)size, p->there - p->out_size);
	}
	p->out_size += (int64_t)size;
	if (size > 0 && old == size)
		return 0;
	r = p->c->to->ops->blob_write(p->c->to, bytes + old, size - old, e);
	p->target_failed = r < 0;
	return r;
}

static int to_squeeze(void *arg, const void *data, size_t size, struct err *e)
{
	struct passing *p = arg;

	return p->squeeze ? squeeze_write(p->squeeze, data, size, e) : to_target(p, data, size, e);
}

/* How the bytes are compressed is told by the first of them: types lie (docker-archive:'s do). */
static enum layer_packing packing_of(const void *data, size_t size)
{
	switch (inflate_kind_of(data, size)) {
	case INFLATE_GZIP:
		return PACKING_GZIP;
	case INFLATE_ZSTD:
		return PACKING_ZSTD;
	case INFLATE_PLAIN:
		return PACKING_PLAIN;
	default:
		return PACKING_OTHER;
	}
}

static enum layer_packing wanted(const struct copy *c, enum layer_packing is)
{
	enum layer_packing kind = c->o->packing == PACKING_ZSTD ? PACKING_ZSTD : PACKING_GZIP;

	if (c->to->wants_plain)
		return PACKING_PLAIN;
	switch (c->o->layers) {
	case COPY_PACKING_PLAIN:
		return PACKING_PLAIN;
	case COPY_PACKING_PACKED:
		return is == PACKING_PLAIN ? kind : is;
	case COPY_PACKING_CHOSEN:
		return kind;
	default:
		return c->to->wants_packed && is == PACKING_PLAIN ? kind : is;
	}
}

static int begin(struct passing *p, struct err *e)
{
	struct transport_out *to = p->c->to;
	g_autofree char *key = NULL;
	int r;

	if (p->inflate) {
		key = g_strdup_printf("%s %d %d", p->d->digest, (int)p->want, p->c->o->level);
		to->blob_key = key;
		r = to->ops->blob_begin(to, "", -1, &p->there, e);
		to->blob_key = NULL;
	} else {
		r = to->ops->blob_begin(to, p->d->digest, p->d->size, &p->there, e);
	}
	p->target_failed = r < 0;
	return r;
}

/* The first bytes are there: is it to be changed? */
static int decide(struct passing *p, const void *data, size_t size, struct err *e)
{
	enum layer_packing is = packing_of(data, size);
	struct transport_out *to = p->c->to;
	int r = 0;

	p->decided = true;
	if (p->want != PACKING_OTHER) {
		p->want = is == PACKING_OTHER ? PACKING_OTHER : wanted(p->c, is);
		if (p->want == is)
			p->want = PACKING_OTHER;
	}
	if (p->want != PACKING_OTHER) {
		if (p->c->o->preserve_digests)
			return err_set(e, -E_UNSUPPORTED,
				"'%s' would have to change the layer '%s', and its digest is to be "
				"preserved",
				to->shown, p->d->digest);
		r = sha256_new(&p->in, e);
		if (r >= 0)
			r = sha256_new(&p->out, e);
		p->inflate = inflate_new(to_squeeze, p);
		if (r >= 0 && p->want != PACKING_PLAIN)
			r = squeeze_new(p->want == PACKING_ZSTD ? INFLATE_ZSTD : INFLATE_GZIP,
				p->c->o->level, to_target, p, &p->squeeze, e);
	}
	return r < 0 ? r : begin(p, e);
}

#define TELL_STEP    (1 << 20)
#define ATTEMPTS_MAX 5 /* to send a blob; a pull asks as often */

static int from_source(void *arg, const void *data, size_t size, struct err *e)
{
	const struct copy_teller *t;
	struct passing *p = arg;
	int r = 0;

	if (size == 0)
		return 0;
	p->in_size += (int64_t)size;
	if (p->in_size > p->d->size)
		return err_set(e, -E_CORRUPT, "the content '%s' is longer than %lld bytes",
			p->d->digest, (long long)p->d->size);
	t = p->c->o->teller;
	if (t && t->passed && (p->in_size - p->told >= TELL_STEP || p->in_size == p->d->size)) {
		p->told = p->in_size;
		t->passed(t->data, p->d->digest, p->in_size, p->d->size);
	}
	if (!p->decided) {
		r = decide(p, data, size, e);
		/* the source needn't send what the target has */
		if (r >= 0 && !p->inflate && p->there > 0) {
			p->again = true;
			return -ECANCELED;
		}
	}
	if (r < 0)
		return r;
	if (!p->inflate)
		return to_target(p, data, size, e);
	sha256_write(p->in, data, size);
	return inflate_write(p->inflate, data, size, e);
}

static int end(struct passing *p, const struct copied *ret, struct err *e)
{
	struct transport_out *to = p->c->to;
	int r = to->ops->blob_finish(to, ret->digest, ret->size, e);

	p->target_failed = r < 0;
	return r;
}

static int finish(struct passing *p, struct copied *ret, struct err *e)
{
	char is[SHA256_TEXT];
	int r = 0;

	if (p->in_size != p->d->size)
		return err_set(e, -E_CORRUPT, "the content '%s' has %lld bytes, not %lld",
			p->d->digest, (long long)p->in_size, (long long)p->d->size);
	if (!p->decided)
		r = decide(p, "", 0, e);
	if (r < 0)
		return r;
	ret->packing = p->want;
	if (!p->inflate) {
		(void)g_strlcpy(ret->digest, p->d->digest, sizeof(ret->digest));
		ret->size = p->d->size;
		return end(p, ret, e);
	}
	sha256_finish_text(p->in, is);
	if (strcmp(is, p->d->digest) != 0)
		return err_set(
			e, -E_CORRUPT, "the content that should be '%s' is '%s'", p->d->digest, is);
	r = inflate_finish(p->inflate, e);
	if (r >= 0 && p->squeeze)
		r = squeeze_finish(p->squeeze, e);
	if (r < 0)
		return r;
	sha256_finish_text(p->out, ret->digest);
	ret->size = p->out_size;
	return end(p, ret, e);
}

/* *ret_again: another attempt may help. */
static int pass_once(struct copy *c, const struct descriptor *d, bool may_change,
	struct copied *ret, bool *ret_again, struct err *e)
{
	struct passing p = { .c = c, .d = d, .want = may_change ? PACKING_PLAIN : PACKING_OTHER };
	int r;

	r = c->from->ops->blob(c->from, d->digest, 0, from_source, &p, NULL, e);
	if (r == -ECANCELED && p.again) {
		p.in_size = p.out_size = p.told = p.there;
		r = p.there == d->size ? 0
				       : c->from->ops->blob(c->from, d->digest, p.there,
						 from_source, &p, NULL, e);
	}
	if (r >= 0)
		r = finish(&p, ret, e);
	/* what an attempt before has sent may be refused at the end, and is forgotten then */
	*ret_again = r < 0 && p.target_failed && c->to->goes_on &&
		     (registry_is_passing(r) || p.there > 0);
	inflate_free(p.inflate);
	squeeze_free(p.squeeze);
	sha256_free(p.in);
	sha256_free(p.out);
	return r;
}

static int pass(struct copy *c, const struct descriptor *d, bool may_change, struct copied *ret,
	struct err *e)
{
	bool again;
	int r;

	for (int attempt = 0;;) {
		r = pass_once(c, d, may_change, ret, &again, e);
		if (!again || attempt >= ATTEMPTS_MAX)
			return r;
		registry_pause(&attempt, 0);
	}
}

int copy_blob(struct copy *c, const struct descriptor *d, struct err *e)
{
	struct copied same;
	int r;

	c->to->blob_type = d->type;
	c->to->blob_diff_id = NULL;
	r = c->to->ops->has_blob(c->to, d->digest, d->size, e);
	return r != 0 ? MIN(r, 0) : pass(c, d, false, &same, e);
}

/* Whether a layer whose type tells the truth would be changed. */
static bool would_change(const struct copy *c, const struct descriptor *d)
{
	enum layer_packing is = manifest_packing(d->type);

	return is != PACKING_OTHER && wanted(c, is) != is;
}

int copy_layer(struct copy *c, const struct descriptor *d, const char *diff_id, bool stay,
	struct copied *ret, struct err *e)
{
	int r = 0;

	c->to->blob_type = d->type;
	c->to->blob_diff_id = diff_id;
	*ret = (struct copied){ .size = d->size, .packing = PACKING_OTHER };
	(void)g_strlcpy(ret->digest, d->digest, sizeof(ret->digest));
	if (stay || !would_change(c, d))
		r = c->to->ops->has_blob(c->to, d->digest, d->size, e);
	if (r == 1)
		copy_tell(c, "Copying blob %s skipped: already exists", d->digest);
	else if (r == 0)
		copy_tell(c, "Copying blob %s", d->digest);
	if (r == 0)
		r = pass(c, d, !stay, ret, e);
	c->to->blob_diff_id = NULL;
	return MIN(r, 0);
}

struct text {
	char *data;
	size_t n, size;
};

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	struct text *t = arg;

	if (size > t->size - t->n)
		return err_set(e, -E_CORRUPT, "content is longer than its descriptor says");
	memcpy(t->data + t->n, data, size);
	t->n += size;
	return 0;
}

int copy_read(struct copy *c, const struct descriptor *d, char **ret, struct err *e)
{
	g_autofree char *is = NULL;
	struct text t = { 0 };
	int r;

	if (d->size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "the configuration '%s' is larger than %d bytes",
			d->digest, BLOB_MAX);
	t.size = (size_t)d->size;
	t.data = g_malloc0(t.size + 1);
	r = c->from->ops->blob(c->from, d->digest, 0, take, &t, NULL, e);
	if (r >= 0) {
		is = blob_digest(t.data, t.n);
		if (t.n != t.size || strcmp(is, d->digest) != 0)
			r = err_set(e, -E_CORRUPT, "the content that should be '%s' is '%s'",
				d->digest, is);
	}
	if (r < 0) {
		g_free(t.data);
		return r;
	}
	*ret = t.data;
	return 0;
}

int copy_write(struct copy *c, const struct descriptor *d, const char *text, struct err *e)
{
	struct transport_out *to = c->to;
	int r;

	to->blob_type = d->type;
	to->blob_diff_id = NULL;
	r = to->ops->has_blob(to, d->digest, d->size, e);
	if (r != 0)
		return MIN(r, 0);
	r = to->ops->blob_begin(to, d->digest, d->size, NULL, e);
	if (r >= 0)
		r = to->ops->blob_write(to, text, (size_t)d->size, e);
	return r < 0 ? r : to->ops->blob_finish(to, d->digest, d->size, e);
}
