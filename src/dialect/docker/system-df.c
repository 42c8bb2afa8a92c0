/* SPDX-License-Identifier: MIT */
/* GET /system/df: what takes how much. */

#include <string.h>
#include "dialect/docker/container.h"
#include "dialect/docker/images.h"
#include "dialect/docker/system.h"
#include "dialect/docker/volumes.h"
#include "guest/guest.h"

struct df {
	struct call *c;
	struct ctx *x;
	struct store *s;
	GPtrArray *images, *layers, *guests;
};

static void df_clear(struct df *d)
{
	g_clear_pointer(&d->images, g_ptr_array_unref);
	g_clear_pointer(&d->layers, g_ptr_array_unref);
	g_clear_pointer(&d->guests, g_ptr_array_unref);
}

/* "type", as often as it is said; none: all. */
static bool wanted(struct call *c, const char *type)
{
	g_auto(GStrv) types = image_query_list(c, "type");

	return !types[0] || g_strv_contains((const char *const *)types, type);
}

static int check_types(struct call *c)
{
	static const char *const known[] = { "container", "image", "volume", "build-cache", NULL };
	g_auto(GStrv) types = image_query_list(c, "type");

	for (char **t = types; *t; t++)
		if (!g_strv_contains(known, *t)) {
			api_error(c, 400, "unknown object type: %s", *t);
			return -E_INVALID;
		}
	return 0;
}

static int guests_of(const struct df *d, const char *image)
{
	int n = 0;

	for (guint i = 0; i < d->guests->len; i++)
		n += g_strcmp0(((struct guest *)d->guests->pdata[i])->rec->image, image) == 0;
	return n;
}

static json_t *images_json(const struct df *d, int64_t *ret_layers)
{
	json_t *list = json_array();

	*ret_layers = 0;
	for (guint i = 0; i < d->layers->len; i++)
		*ret_layers += ((struct layer_record *)d->layers->pdata[i])->size;
	for (guint i = 0; i < d->images->len; i++) {
		const struct image_record *x = d->images->pdata[i];

		json_array_append_new(
			list, image_summary(d->x, x, image_shared(x, d->layers, d->images),
				      guests_of(d, x->id), api_minor(d->c)));
	}
	return list;
}

static json_t *volumes_json(const struct df *d)
{
	g_autoptr(GPtrArray) all = NULL;
	json_t *list = json_array();

	if (store_volume_list(d->s, &all, NULL) < 0)
		return list;
	for (guint i = 0; i < all->len; i++) {
		const struct volume_record *v = all->pdata[i];
		g_autoptr(GPtrArray) users = NULL;
		json_t *one = volume_json(d->x, v);

		(void)store_users(d->s, "volume", v->name, &users, NULL);
		json_object_set_new(one, "UsageData",
			json_pack("{s:I, s:I}", "RefCount", (json_int_t)(users ? users->len : 0),
				"Size", (json_int_t)volume_bytes(d->x, v->name)));
		json_array_append_new(list, one);
	}
	return list;
}

/* Bytes of a guest's own files, by the store's account. */
static int64_t own_bytes(const json_t *all, const char *id)
{
	json_t *kind, *item;
	size_t i, k;

	json_array_foreach((json_t *)all, i, kind)
		json_array_foreach(json_object_get(kind, "items"), k, item)
			if (g_strcmp0(json_string_value(json_object_get(item, "id")), id) == 0)
				return json_integer_value(json_object_get(item, "bytes"));
	return 0;
}

static int64_t image_size(const struct df *d, const char *id)
{
	for (guint i = 0; i < d->images->len; i++) {
		const struct image_record *x = d->images->pdata[i];

		if (g_strcmp0(x->id, id) == 0)
			return x->size;
	}
	return 0;
}

static json_t *guest_json(const struct df *d, const struct guest *g, const json_t *account)
{
	g_autofree char *name = g_strconcat("/", g->rec->name, NULL);
	g_autofree char *command = g->spec && g->spec->argv ? g_strjoinv(" ", g->spec->argv) : NULL;
	int64_t own = own_bytes(account, g->rec->id);
	json_t *doc = json_loads(g->rec->doc, 0, NULL), *labels = json_object_get(doc, "labels"),
	       *j;

	j = json_pack("{s:s, s:[s], s:s, s:s, s:s, s:I, s:[], s:I, s:I, s:o, s:s, s:s, s:{s:s}, "
		      "s:{s:{}}, s:o}",
		"Id", g->rec->id, "Names", name, "Image", g->rec->image_name ?: "", "ImageID",
		g->rec->image ?: "", "Command", command ?: "", "Created",
		(json_int_t)(g->rec->created / INT64_C(1000000000)), "Ports", "SizeRw",
		(json_int_t)own, "SizeRootFs", (json_int_t)(own + image_size(d, g->rec->image)),
		"Labels", json_is_object(labels) ? json_deep_copy(labels) : json_object(), "State",
		guest_state_name(g->state), "Status", guest_state_name(g->state), "HostConfig",
		"NetworkMode", "default", "NetworkSettings", "Networks", "Mounts",
		container_mounts(d->x, g));
	json_decref(doc);
	return j;
}

static json_t *guests_json(const struct df *d)
{
	json_t *list = json_array(), *account = NULL;

	if (d->guests->len)
		(void)store_df(d->x, &account, NULL);
	for (guint i = 0; i < d->guests->len; i++) {
		const struct guest *g = d->guests->pdata[i];

		if (g_str_equal(g->rec->realm, DOCKER_REALM))
			json_array_append_new(list, guest_json(d, g, account));
	}
	json_decref(account);
	return list;
}

void system_df(struct call *c)
{
	_cleanup_(df_clear) struct df d = { .c = c, .x = api_ctx(c) };
	struct err e = { 0 };
	int64_t layers = 0;
	json_t *j, *images;
	int r = check_types(c);

	if (r < 0)
		return;
	r = store_get(d.x, &d.s, &e);
	if (r >= 0)
		r = store_image_list(d.s, &d.images, &e);
	if (r >= 0)
		r = store_layer_list(d.s, &d.layers, &e);
	if (r >= 0)
		r = guest_list(d.x, NULL, GUEST_WITH_SPEC, &d.guests, &e);
	if (r < 0) {
		api_failed(c, r, &e);
		return;
	}
	images = wanted(c, "image") ? images_json(&d, &layers) : json_null();
	j = json_pack("{s:I, s:o, s:o, s:o, s:o}", "LayersSize", (json_int_t)layers, "Images",
		images, "Containers", wanted(c, "container") ? guests_json(&d) : json_null(),
		"Volumes", wanted(c, "volume") ? volumes_json(&d) : json_null(), "BuildCache",
		wanted(c, "build-cache") ? json_array() : json_null());
	if (api_minor(c) < 42)
		json_object_set_new(j, "BuilderSize", json_integer(0));
	api_json(c, 200, j);
}
