/* SPDX-License-Identifier: MIT */
/* POST /images/{name}/push */

#include <string.h>
#include "dialect/docker/images.h"
#include "image/pull.h"

#define TELL_EVERY (100 * 1000) /* microseconds, a layer */

struct push_told {
	struct stream *s;
	char **ids;
	enum transfer_state *state;
	int64_t *when;
	unsigned n;
};

static void told_clear(struct push_told *p)
{
	g_strfreev(p->ids);
	g_free(p->state);
	g_free(p->when);
}

static void told_begin(void *data, const char *name, const char *const *digests)
{
	struct push_told *p = data;
	g_autofree char *text = NULL, *repo = NULL;
	struct ref ref;

	if (!p->s->begun && ref_parse(name, 0, &ref, NULL) >= 0) {
		repo = g_strconcat(ref.domain, "/", ref.path, NULL);
		ref_clear(&ref);
		text = g_strdup_printf("The push refers to repository [%s]", repo);
		stream_put(p->s, json_pack("{s:s}", "status", text));
	}
	told_clear(p);
	p->n = g_strv_length((char **)digests);
	p->ids = g_new0(char *, p->n + 1);
	p->state = g_new0(enum transfer_state, p->n + 1);
	p->when = g_new0(int64_t, p->n + 1);
	for (unsigned i = 0; i < p->n; i++) {
		const char *hex = strchr(digests[i], ':');

		p->ids[i] = g_strndup(hex ? hex + 1 : digests[i], 12);
		stream_progress(p->s, "Preparing", p->ids[i], 0, 0);
	}
}

static void told_layer(
	void *data, unsigned index, enum transfer_state state, int64_t done, int64_t total)
{
	static const char *const words[_TRANSFER_STATE_MAX] = { "Waiting", "Pushing", "Pushing",
		"Pushed", "Layer already exists", "Mounted from another repository" };
	struct push_told *p = data;
	int64_t now = g_get_monotonic_time();

	if (index >= p->n ||
		(p->when[index] && p->state[index] == state && now - p->when[index] < TELL_EVERY))
		return;
	p->state[index] = state;
	p->when[index] = now;
	stream_progress(p->s, words[state], p->ids[index], done,
		state == TRANSFER_GOING || state == TRANSFER_MAKING ? total : 0);
}

static void told_end(struct stream *s, const GPtrArray *list)
{
	for (guint i = 0; i < list->len; i++) {
		const struct pulled *x = list->pdata[i];
		g_autofree char *text = NULL;
		struct ref ref;

		if (ref_parse(x->name, 0, &ref, NULL) < 0)
			continue;
		text = g_strdup_printf(
			"%s: digest: %s size: %" G_GINT64_FORMAT, ref.tag, x->digest, x->size);
		stream_put(s, json_pack("{s:s}", "status", text));
		stream_put(s, json_pack("{s:{}, s:{s:s, s:s, s:I}}", "progressDetail", "aux", "Tag",
				      ref.tag, "Digest", x->digest, "Size", (json_int_t)x->size));
		ref_clear(&ref);
	}
}

static void push_failed(struct stream *s, int code, const struct ref *ref, const struct err *e)
{
	g_autofree char *shown = ref_familiar(ref), *text = NULL;

	if (code == -E_NOTFOUND) {
		text = g_strdup_printf("An image does not exist locally with the tag: %s", shown);
		stream_failed(s, 404, text);
	} else if (code == -EACCES) {
		text = g_strdup_printf(
			"denied: requested access to the resource is denied: %s", e->text);
		/* as docker: what the registry says is in the stream, and its status is good */
		stream_put(s,
			json_pack("{s:{s:s}, s:s}", "errorDetail", "message", text, "error", text));
	} else {
		stream_failed(s, 500, e->text[0] ? e->text : err_words(code));
	}
}

void images_push(struct call *c, struct link *l)
{
	g_autofree char *tag = call_query(c, "tag"), *written = NULL,
			*platform = call_query(c, "platform");
	_cleanup_(told_clear) struct push_told told = { NULL };
	g_autoptr(GPtrArray) list = NULL;
	struct stream s = { .c = c, .l = l };
	struct transfer_progress progress = { told_begin, told_layer, &told };
	struct push_options o = { .progress = &progress };
	struct registry_auth auth = { .fd = -1 };
	struct err e = { 0 };
	struct ref ref;
	int r;

	if (platform && *platform) {
		api_error(c, 501, "push of one platform is not supported: an image here has one");
		return;
	}
	told.s = &s;
	if (ref_parse(c->args[0], REF_NO_DEFAULT, &ref, &e) < 0) {
		api_error(c, 400, "invalid reference format: %s", e.text);
		return;
	}
	if (tag && *tag) {
		g_free(ref.tag);
		ref.tag = g_strdup(tag);
	}
	o.all_tags = !ref.tag;
	written = ref_full(&ref);
	r = registry_auth_init(c, ref.domain, &auth);
	if (r >= 0) {
		o.transport = &auth.o;
		r = image_push(api_ctx(c), written, &o, &list, &e);
		if (r < 0)
			push_failed(&s, r, &ref, &e);
		else
			told_end(&s, list);
	}
	registry_auth_clear(&auth);
	ref_clear(&ref);
}
