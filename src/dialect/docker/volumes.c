/* SPDX-License-Identifier: MIT */
/* The API's section "Volume". */

#include "dialect/docker/volumes.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include "base/units.h"
#include "dialect/docker/match.h"
#include "dialect/docker/refused.h"
#include "guest/guest.h"
#include "guest/volume.h"

#define ANONYMOUS "com.docker.volume.anonymous"

/* --- documents ---------------------------------------------------------------------------------------------- */

/* A map as Go writes it: null when there is nothing in it. */
static json_t *map_or_null(const json_t *j)
{
	return json_object_size(j) ? json_deep_copy(j) : json_null();
}

static json_t *labels_of(const struct volume_record *v, const json_t *doc)
{
	const json_t *labels = json_object_get(doc, "labels");
	json_t *ret = json_is_object(labels) ? json_deep_copy(labels) : json_object();

	if (v->anonymous)
		json_object_set_new(ret, ANONYMOUS, json_string(""));
	return ret;
}

json_t *volume_json(struct ctx *c, const struct volume_record *v)
{
	json_t *doc = json_loads(v->doc, 0, NULL), *labels = labels_of(v, doc), *ret;
	g_autofree char *path = store_path(c, "volumes/%s", v->name);
	g_autoptr(GDateTime) made = g_date_time_new_from_unix_utc(v->created / 1000000000);
	g_autofree char *created = g_date_time_format(made, "%Y-%m-%dT%H:%M:%SZ");

	ret = json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:s}", "CreatedAt", created, "Driver",
		v->driver, "Labels", map_or_null(labels), "Mountpoint", path, "Name", v->name,
		"Options", map_or_null(json_object_get(doc, "options")), "Scope", "local");
	json_decref(labels);
	json_decref(doc);
	return ret;
}

struct inode {
	dev_t dev;
	ino_t ino;
};

static guint inode_hash(gconstpointer p)
{
	return (guint)((const struct inode *)p)->ino;
}

static gboolean inode_equal(gconstpointer a, gconstpointer b)
{
	const struct inode *x = a, *y = b;

	return x->dev == y->dev && x->ino == y->ino;
}

int64_t volume_bytes(struct ctx *c, const char *name)
{
	g_autoptr(GHashTable) links = g_hash_table_new_full(inode_hash, inode_equal, g_free, NULL);
	g_autofree char *path = store_path(c, "volumes/%s", name);
	char *const paths[] = { path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	int64_t bytes = 0;
	FTSENT *x;

	while (fts && (x = fts_read(fts))) {
		const struct stat *st = x->fts_statp;
		struct inode i;

		if (x->fts_info == FTS_D || x->fts_info == FTS_DP || x->fts_info == FTS_NS)
			continue;
		i = (struct inode){ st->st_dev, st->st_ino };
		if (st->st_nlink < 2 || g_hash_table_add(links, g_memdup2(&i, sizeof(i))))
			bytes += st->st_size;
	}
	if (fts)
		(void)fts_close(fts);
	return bytes;
}

/* --- list, inspect ------------------------------------------------------------------------------------------- */

/* -E_NOTFOUND: there is no store yet, and nothing in it. */
static int all_volumes(struct call *c, struct store **ret_s, GPtrArray **ret)
{
	struct err e = { 0 };
	int r = store_get_existing(api_ctx(c), ret_s, &e);

	if (r >= 0)
		r = store_volume_list(*ret_s, ret, &e);
	if (r < 0 && r != -E_NOTFOUND)
		api_failed(c, r, &e);
	return r;
}

static guint users_of(struct store *s, const char *name)
{
	g_autoptr(GPtrArray) users = NULL;

	return store_users(s, "volume", name, &users, NULL) >= 0 ? users->len : 0;
}

void volumes_list(struct call *c)
{
	static const char *const known[] = { "dangling", "driver", "label", "name", NULL };
	g_autoptr(GPtrArray) all = NULL;
	json_t *filters, *list;
	struct store *s;
	int dangling, r;

	if (api_filters(c, known, &filters) < 0)
		return;
	dangling = match_flag(c, filters, "dangling");
	r = dangling < -1 ? dangling : all_volumes(c, &s, &all);
	if (r < 0 && r != -E_NOTFOUND) {
		json_decref(filters);
		return;
	}
	list = json_array();
	for (guint i = 0; all && i < all->len; i++) {
		const struct volume_record *v = all->pdata[i];
		json_t *one = volume_json(api_ctx(c), v);

		if (match_text(filters, "name", v->name) &&
			api_filter_has(filters, "driver", v->driver) &&
			match_labels(filters, "label", json_object_get(one, "Labels")) &&
			(dangling < 0 || dangling == (users_of(s, v->name) == 0)))
			json_array_append(list, one);
		json_decref(one);
	}
	json_decref(filters);
	api_json(c, 200, json_pack("{s:o, s:n}", "Volumes", list, "Warnings"));
}

static void no_such(struct call *c, const char *name)
{
	api_error(c, 404, "get %s: no such volume", name);
}

void volumes_inspect(struct call *c)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	struct err e = { 0 };
	int r = volume_find(api_ctx(c), c->args[0], &v, &e);

	if (r == -E_NOTFOUND)
		no_such(c, c->args[0]);
	else if (r < 0)
		api_failed(c, r, &e);
	else
		api_json(c, 200, volume_json(api_ctx(c), v));
}

/* --- create --------------------------------------------------------------------------------------------------- */

/* The local driver's rules. */
static int check_options(struct call *c, const char *name, const json_t *options)
{
	static const struct {
		const char *key, *needs[2];
	} rules[] = { { "type", { "device" } }, { "o", { "device", "type" } },
		{ "device", { "type" } }, { "size", { NULL } } };
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)options, key, v) {
		size_t i = 0;

		while (i < G_N_ELEMENTS(rules) && !g_str_equal(rules[i].key, key))
			i++;
		if (i == G_N_ELEMENTS(rules)) {
			api_error(c, 400, "create %s: invalid option: \"%s\"", name, key);
			return -E_INVALID;
		}
		for (size_t k = 0; k < 2 && rules[i].needs[k]; k++)
			if (!json_object_get(options, rules[i].needs[k])) {
				api_error(c, 400, "create %s: missing required option: \"%s\"",
					name, rules[i].needs[k]);
				return -E_INVALID;
			}
	}
	if (json_object_get(options, "size")) {
		api_error(c, 400, "create %s: quota size requested but no quota support", name);
		return -E_UNSUPPORTED;
	}
	if (json_object_size(options) && !volume_is_bind(options)) {
		api_error(c, 501,
			"create %s: only type=none, o=bind, device=PATH is supported of the "
			"options of local volumes; a tmpfs or an NFS export is mounted on the host "
			"and bound",
			name);
		return -E_UNSUPPORTED;
	}
	return 0;
}

/* A map of texts; *ret borrowed, NULL: there is none. */
static int text_map(struct call *c, const json_t *body, const char *key, const json_t **ret)
{
	json_t *map = json_object_get(body, key), *v;
	const char *k;
	bool good = !map || json_is_null(map) || json_is_object(map);

	json_object_foreach(map, k, v)
		good = good && json_is_string(v);
	*ret = json_is_object(map) ? map : NULL;
	if (good)
		return 0;
	api_error(c, 400, "invalid JSON: %s must be a map of strings", key);
	return -E_INVALID;
}

static int check_name(struct call *c, const char *name)
{
	size_t n = strlen(name);

	if (n == 1) {
		api_error(c, 400,
			"create %s: volume name is too short, names should be at least two "
			"alphanumeric characters",
			name);
		return -E_INVALID;
	}
	if (n == 0 || (g_ascii_isalnum(name[0]) && n <= 255 &&
			      strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_.-") == n))
		return 0;
	api_error(c, 400,
		"create %s: \"%s\" includes invalid characters for a local volume name, only "
		"\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
		"directory, use absolute path",
		name, name);
	return -E_INVALID;
}

static void create(struct call *c, const char *name, const json_t *labels, const json_t *options)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	json_t *doc = json_object();
	g_autofree char *made = NULL;
	struct err e = { 0 };
	char *text;
	int r;

	if (json_object_size(labels))
		json_object_set_new(doc, "labels", json_deep_copy(labels));
	if (json_object_size(options))
		json_object_set_new(doc, "options", json_deep_copy(options));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	r = volume_create(api_ctx(c), *name ? name : NULL, text, &made, &e);
	free(text);
	if (r >= 0)
		r = volume_find(api_ctx(c), made, &v, &e);
	if (r < 0)
		api_failed(c, r, &e);
	else
		api_json(c, 201, volume_json(api_ctx(c), v));
}

void volumes_create(struct call *c)
{
	json_t *body;
	const json_t *labels, *options;
	const char *name, *driver;

	if (api_json_body(c, &body) < 0)
		return;
	name = json_string_value(json_object_get(body, "Name")) ?: "";
	driver = json_string_value(json_object_get(body, "Driver")) ?: "";
	if (json_is_object(json_object_get(body, "ClusterVolumeSpec")))
		api_error(c, 503, NOT_A_MANAGER);
	else if (*driver && !g_str_equal(driver, "local"))
		api_error(c, 404,
			"create %s: error looking up volume plugin %s: plugin \"%s\" not found",
			name, driver, driver);
	else if (check_name(c, name) >= 0 && text_map(c, body, "Labels", &labels) >= 0 &&
		 text_map(c, body, "DriverOpts", &options) >= 0 &&
		 check_options(c, name, options) >= 0)
		create(c, name, labels, options);
	json_decref(body);
}

/* --- delete, prune --------------------------------------------------------------------------------------------- */

static void in_use(struct call *c, const char *name)
{
	g_autoptr(GPtrArray) users = NULL;
	g_autofree char *ids = NULL;
	struct store *s;

	if (store_get_existing(api_ctx(c), &s, NULL) >= 0 &&
		store_users(s, "volume", name, &users, NULL) >= 0) {
		g_ptr_array_add(users, NULL);
		ids = g_strjoinv(", ", (char **)users->pdata);
	}
	api_error(c, 409, "remove %s: volume is in use - [%s]", name, ids ?: "");
}

void volumes_delete(struct call *c)
{
	struct err e = { 0 };
	int r = volume_remove(api_ctx(c), c->args[0], &e);

	if (r >= 0 || (r == -E_NOTFOUND && api_flag(c, "force", false)))
		api_none(c, 204);
	else if (r == -E_NOTFOUND)
		no_such(c, c->args[0]);
	else if (r == -E_INUSE)
		in_use(c, c->args[0]);
	else
		api_failed(c, r, &e);
}

/* 1: removed; 0: it stays. */
static int prune_one(struct call *c, struct store *s, const struct volume_record *v,
	const json_t *filters, bool all, int64_t *bytes, struct err *e)
{
	json_t *doc = json_loads(v->doc, 0, NULL), *labels = labels_of(v, doc);
	bool wanted = (all || v->anonymous) && match_prune_labels(filters, labels) &&
		      users_of(s, v->name) == 0;
	int64_t size;
	int r;

	json_decref(labels);
	json_decref(doc);
	if (!wanted)
		return 0;
	size = volume_bytes(api_ctx(c), v->name);
	r = volume_remove(api_ctx(c), v->name, e);
	if (r == -E_INUSE || r == -E_NOTFOUND) /* somebody was faster */
		return 0;
	*bytes += r >= 0 ? size : 0;
	return r < 0 ? r : 1;
}

void docker_volumes_prune(struct call *c)
{
	static const char *const known[] = { "all", "label", "label!", NULL };
	g_autoptr(GPtrArray) list = NULL;
	json_t *filters, *gone;
	struct err e = { 0 };
	int64_t bytes = 0;
	struct store *s;
	int all, r;

	if (api_filters(c, known, &filters) < 0)
		return;
	all = match_flag(c, filters, "all");
	r = all < -1 ? all : all_volumes(c, &s, &list);
	if (r < 0 && r != -E_NOTFOUND) {
		json_decref(filters);
		return;
	}
	/* before 1.42 named ones were pruned, too */
	if (all < 0)
		all = api_minor(c) < 42;
	gone = json_array();
	r = 0;
	for (guint i = 0; r >= 0 && list && i < list->len; i++) {
		const struct volume_record *v = list->pdata[i];

		r = prune_one(c, s, v, filters, all > 0, &bytes, &e);
		if (r > 0)
			json_array_append_new(gone, json_string(v->name));
	}
	json_decref(filters);
	if (r < 0) {
		json_decref(gone);
		api_failed(c, r, &e);
		return;
	}
	g_autofree char *reclaimed = g_strdup_printf("%" G_GINT64_FORMAT, bytes);
	event_emit(api_ctx(c), "volume", "prune", "", json_pack("{s:s}", "reclaimed", reclaimed));
	api_json(c, 200,
		json_pack(
			"{s:o, s:I}", "VolumesDeleted", gone, "SpaceReclaimed", (json_int_t)bytes));
}
