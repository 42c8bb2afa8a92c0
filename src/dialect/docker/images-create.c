/* SPDX-License-Identifier: MIT */
/* POST /images/create: a pull; with fromSrc an import (images-archive.c). */

#include <string.h>
#include "dialect/docker/images.h"
#include "image/pull.h"

#define TELL_EVERY (100 * 1000) /* microseconds, a layer */

struct layer_told {
	char id[13];
	enum transfer_state state;
	int64_t when; /* 0: nothing was told */
};

struct pull_told {
	struct stream *s;
	struct layer_told *layers;
	unsigned n;
};

static void told_begin(void *data, const char *name, const char *const *digests)
{
	struct pull_told *p = data;
	g_autofree char *text = NULL;
	struct ref ref;

	if (ref_parse(name, 0, &ref, NULL) >= 0) {
		text = g_strdup_printf("Pulling from %s%s%s",
			g_str_equal(ref.domain, "docker.io") ? "" : ref.domain,
			g_str_equal(ref.domain, "docker.io") ? "" : "/", ref.path);
		stream_put(p->s, json_pack("{s:s, s:s}", "status", text, "id",
					 ref.tag ? ref.tag : ref.digest));
		ref_clear(&ref);
	}
	p->n = g_strv_length((char **)digests);
	p->layers = g_renew(struct layer_told, p->layers, p->n + 1);
	for (unsigned i = 0; i < p->n; i++) {
		const char *hex = strchr(digests[i], ':');

		p->layers[i] = (struct layer_told){ .state = TRANSFER_WAITING };
		(void)g_strlcpy(p->layers[i].id, hex ? hex + 1 : digests[i], 13);
		stream_progress(p->s, "Pulling fs layer", p->layers[i].id, 0, 0);
	}
}

static void told_layer(
	void *data, unsigned index, enum transfer_state state, int64_t done, int64_t total)
{
	static const char *const words[_TRANSFER_STATE_MAX] = { "Waiting", "Downloading",
		"Extracting", "Pull complete", "Already exists", "Already exists" };
	struct pull_told *p = data;
	struct layer_told *l = index < p->n ? &p->layers[index] : NULL;
	int64_t now = g_get_monotonic_time();

	if (!l || (l->when && l->state == state && now - l->when < TELL_EVERY))
		return;
	if (l->state != state && (state == TRANSFER_MAKING || state == TRANSFER_DONE) &&
		l->state < TRANSFER_MAKING)
		stream_progress(p->s, "Download complete", l->id, 0, 0);
	l->state = state;
	l->when = now;
	if (state == TRANSFER_GOING || state == TRANSFER_MAKING)
		stream_progress(p->s, words[state], l->id, done, total);
	else
		stream_progress(p->s, words[state], l->id, 0, 0);
}

static void told_end(struct stream *s, const GPtrArray *list)
{
	for (guint i = 0; i < list->len; i++) {
		const struct pulled *x = list->pdata[i];
		g_autofree char *shown = ref_show(x->name);
		g_autofree char *digest = g_strconcat("Digest: ", x->digest, NULL);
		g_autofree char *status =
			g_strdup_printf(x->changed ? "Status: Downloaded newer image for %s"
						   : "Status: Image is up to date for %s",
				shown);

		stream_put(s, json_pack("{s:s}", "status", digest));
		stream_put(s, json_pack("{s:s}", "status", status));
	}
}

static void pull_failed(struct stream *s, int code, const struct ref *ref, const struct err *e)
{
	g_autofree char *name = ref_familiar_name(ref), *shown = ref_familiar(ref);
	g_autofree char *text = NULL;

	if (code == -EACCES) {
		text = g_strdup_printf("pull access denied for %s, repository does not exist or "
				       "may require 'docker login': denied: %s",
			name, e->text);
		stream_failed(s, 404, text);
	} else if (code == -E_NOTFOUND) {
		text = g_strdup_printf(
			"manifest for %s not found: manifest unknown: %s", shown, e->text);
		stream_failed(s, 404, text);
	} else {
		stream_failed(
			s, code == -E_INVALID ? 400 : 500, e->text[0] ? e->text : err_words(code));
	}
}

/* What fromImage and tag say together; *ret_all: neither has a tag. */
static int reference(struct call *c, struct ref *ret, bool *ret_all)
{
	g_autofree char *image = call_query(c, "fromImage"), *tag = call_query(c, "tag");
	g_autofree char *whole = NULL;
	struct err e = { 0 };
	struct ref r;
	int code;

	code = ref_parse(image, REF_NO_DEFAULT, &r, &e);
	if (code >= 0 && tag && *tag) {
		g_autofree char *name = NULL;

		g_clear_pointer(&r.tag, g_free);
		g_clear_pointer(&r.digest, g_free);
		name = ref_full(&r);
		whole = g_strconcat(name, ref_is_digest(tag) ? "@" : ":", tag, NULL);
		ref_clear(&r);
		code = ref_parse(whole, REF_NO_DEFAULT, &r, &e);
	}
	if (code < 0) {
		api_error(c, 400, "invalid reference format: %s", e.text);
		return code;
	}
	*ret_all = !r.tag && !r.digest;
	*ret = r;
	return 0;
}

static void pull(struct call *c, struct link *l)
{
	g_autofree char *platform = call_query(c, "platform"), *written = NULL;
	g_autoptr(GPtrArray) list = NULL;
	struct stream s = { .c = c, .l = l };
	struct pull_told told = { .s = &s };
	struct transfer_progress progress = { told_begin, told_layer, &told };
	struct pull_options o = { .platform = platform && *platform ? platform : NULL,
		.progress = &progress };
	struct registry_auth auth = { .fd = -1 };
	struct err e = { 0 };
	struct ref ref;
	int r;

	if (reference(c, &ref, &o.all_tags) < 0)
		return;
	r = registry_auth_init(c, ref.domain, &auth);
	if (r >= 0) {
		o.transport = &auth.o;
		/* the whole name: short ones are docker.io's here, whatever registries.conf says */
		written = ref_full(&ref);
		r = image_pull(api_ctx(c), written, &o, &list, &e);
		if (r < 0)
			pull_failed(&s, r, &ref, &e);
		else
			told_end(&s, list);
	}
	registry_auth_clear(&auth);
	ref_clear(&ref);
	g_free(told.layers);
}

void images_create(struct call *c, struct link *l)
{
	g_autofree char *image = call_query(c, "fromImage"), *src = call_query(c, "fromSrc");

	if (image && *image)
		pull(c, l);
	else if (src && *src)
		images_import(c, l);
	else
		api_error(c, 400, "invalid reference format: fromImage or fromSrc must be given");
}
