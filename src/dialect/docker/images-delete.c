/* SPDX-License-Identifier: MIT */
/* Images that go: docker's rules of what stands in the way, in its words. */

#include <string.h>
#include "dialect/docker/images.h"
#include "dialect/docker/match.h"
#include "guest/guest.h"

/* --- delete ------------------------------------------------------------------------------------------------------ */

struct removal {
	struct call *c;
	struct image_record *i;
	struct ref ref; /* as written */
	bool by_name;	/* one of the image's names was written, not its id */
	bool force;
	char *guest; /* the id of one that has the image, or NULL */
	bool runs;   /* it does */
};

static void removal_clear(struct removal *d)
{
	image_record_free(d->i);
	ref_clear(&d->ref);
	g_free(d->guest);
}

/* Whether the text is one of the image's names. */
static bool is_name(struct removal *d, const char *text)
{
	g_autofree char *full = NULL;

	if (ref_parse(text, 0, &d->ref, NULL) < 0)
		return false;
	full = ref_full(&d->ref);
	return g_strv_contains((const char *const *)d->i->names, full);
}

/* The guest that counts most: one that runs. */
static int find_guest(struct removal *d, struct err *e)
{
	g_autoptr(GPtrArray) users = NULL;
	struct store *s;
	int r = store_get(api_ctx(d->c), &s, e);

	if (r >= 0)
		r = store_image_users(s, d->i->id, &users, e);
	for (guint k = 0; r >= 0 && k < users->len && !d->runs; k++) {
		_cleanup_(guest_freep) struct guest *g = NULL;

		if (guest_get(api_ctx(d->c), NULL, users->pdata[k], &g, NULL) < 0)
			continue;
		d->runs = guest_is_up(g);
		g_free(d->guest);
		d->guest = g_strdup(g->rec->id);
	}
	return r;
}

static bool several_repositories(const struct image_record *i)
{
	g_autofree char *first = NULL;

	for (char **n = i->names; *n; n++) {
		g_autofree char *repo = NULL;
		struct ref r;

		if (ref_parse(*n, REF_NO_DEFAULT, &r, NULL) < 0)
			continue;
		repo = ref_familiar_name(&r);
		ref_clear(&r);
		if (first && !g_str_equal(first, repo))
			return true;
		if (!first)
			first = g_steal_pointer(&repo);
	}
	return false;
}

/* More than one tag: an id may mean one of several. */
static bool is_single(const struct image_record *i)
{
	guint tags = 0;

	for (char **n = i->names; *n; n++)
		tags += !strchr(*n, '@');
	return tags <= 1 && !several_repositories(i);
}

/* Whether something is in the way; then the answer is given. */
static bool in_the_way(struct removal *d)
{
	const char *hex = d->i->id + strlen("sha256:");
	g_autofree char *shown = d->by_name ? ref_familiar(&d->ref) : NULL;

	if (d->by_name) {
		if (d->force || !d->guest || g_strv_length(d->i->names) > 1)
			return false;
		api_error(d->c, 409,
			"conflict: unable to remove repository reference \"%s\" (must force) - "
			"container %.12s is using its referenced image %.12s",
			shown, d->guest, hex);
		return true;
	}
	if (d->guest && d->runs) {
		api_error(d->c, 409,
			"conflict: unable to delete %.12s (cannot be forced) - image is being used "
			"by running container %.12s",
			hex, d->guest);
	} else if (!d->force && !is_single(d->i)) {
		api_error(d->c, 409,
			"conflict: unable to delete %.12s (must be forced) - image is referenced "
			"in multiple repositories",
			hex);
	} else if (!d->force && d->guest) {
		api_error(d->c, 409,
			"conflict: unable to delete %.12s (must be forced) - image is being used "
			"by stopped container %.12s",
			hex, d->guest);
	} else {
		return false;
	}
	return true;
}

void images_delete(struct call *c)
{
	_cleanup_(
		removal_clear) struct removal d = { .c = c, .force = api_flag(c, "force", false) };
	struct err e = { 0 };
	json_t *did;
	int r;

	/* noprune keeps parents that have no name: there are none, layers belong to whoever names them */
	r = image_resolve(api_ctx(c), c->args[0], &d.i, &e);
	if (r < 0) {
		image_failed(c, r, c->args[0], &e);
		return;
	}
	d.by_name = is_name(&d, c->args[0]);
	r = find_guest(&d, &e);
	if (r >= 0 && in_the_way(&d))
		return;
	if (r >= 0)
		/* an id with one name, or none left in the way: what docker would ask for was asked */
		r = image_remove(api_ctx(c), d.by_name ? c->args[0] : d.i->id,
			d.force || !d.by_name || d.guest, &did, &e);
	if (r < 0)
		image_failed(c, r, c->args[0], &e);
	else
		api_json(c, 200, did);
}

/* --- prune --------------------------------------------------------------------------------------------------------- */

static char **texts_of(const json_t *list)
{
	char **texts = g_new0(char *, json_array_size(list) + 1);

	for (size_t i = 0; i < json_array_size(list); i++)
		texts[i] = g_strdup(json_string_value(json_array_get(list, i)));
	return texts;
}

void images_prune(struct call *c)
{
	static const char *const known[] = { "dangling", "label", "label!", "until", NULL };
	struct image_prune_query q = { 0 };
	json_t *filters, *did;
	struct err e = { 0 };
	int64_t bytes = 0;
	int dangling, r;

	if (api_filters(c, known, &filters) < 0)
		return;
	dangling = match_flag(c, filters, "dangling");
	if (dangling < -1 || match_until(c, filters, &q.until) < 0) {
		json_decref(filters);
		return;
	}
	q.all = dangling == 0;
	q.labels = texts_of(json_object_get(filters, "label"));
	q.not_labels = texts_of(json_object_get(filters, "label!"));
	json_decref(filters);
	r = image_prune(api_ctx(c), &q, &did, &bytes, &e);
	g_strfreev(q.labels);
	g_strfreev(q.not_labels);
	if (r < 0) {
		api_failed(c, r, &e);
		return;
	}
	if (json_array_size(did) == 0) {
		json_decref(did);
		did = json_null();
	}
	api_json(c, 200,
		json_pack("{s:o, s:I}", "ImagesDeleted", did, "SpaceReclaimed", (json_int_t)bytes));
}
