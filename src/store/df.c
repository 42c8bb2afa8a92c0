/* SPDX-License-Identifier: MIT */
/* How much of the disk each thing takes. */
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include "store/store-priv.h"

struct usage {
	GHashTable *links; /* struct link -> itself: files of several names, counted once */
	GHashTable *parts; /* "images", "guests/ID", "volumes/NAME" ... -> int64_t * */
};

struct link {
	dev_t dev;
	ino_t ino;
};

static guint link_hash(gconstpointer p)
{
	const struct link *l = p;

	return (guint)(l->ino ^ (l->dev << 7));
}

static gboolean link_equal(gconstpointer a, gconstpointer b)
{
	const struct link *x = a, *y = b;

	return x->dev == y->dev && x->ino == y->ino;
}

static bool seen(struct usage *u, const struct stat *st)
{
	struct link l = { st->st_dev, st->st_ino };

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return false;
	if (g_hash_table_contains(u->links, &l))
		return true;
	g_hash_table_add(u->links, g_memdup2(&l, sizeof(l)));
	return false;
}

static void add(struct usage *u, const char *part, int64_t bytes)
{
	int64_t *n = g_hash_table_lookup(u->parts, part);

	if (!n) {
		n = g_new0(int64_t, 1);
		g_hash_table_insert(u->parts, g_strdup(part), n);
	}
	*n += bytes;
}

static int64_t get(struct usage *u, const char *part)
{
	const int64_t *n = g_hash_table_lookup(u->parts, part);

	return n ? *n : 0;
}

/* The part that a path below ROOT counts for. */
static char *part_of(const char *below)
{
	g_auto(GStrv) word = g_strsplit(below, "/", 3);

	if (!word[0])
		return g_strdup("other");
	if (strcmp(word[0], "guests") == 0 || strcmp(word[0], "volumes") == 0 ||
		strcmp(word[0], "kernels") == 0)
		return word[1] ? g_strdup_printf("%s/%s", word[0], word[1]) : g_strdup(word[0]);
	if ((strcmp(word[0], "layers") == 0 || strcmp(word[0], "disks") == 0) && word[1] &&
		strlen(word[1]) >= 64)
		return g_strdup_printf("%s/%.64s", word[0], word[1]);
	if (strcmp(word[0], "layers") == 0 || strcmp(word[0], "disks") == 0 ||
		strcmp(word[0], "blobs") == 0 || strcmp(word[0], "cache") == 0)
		return g_strdup(word[0]);
	return g_strdup("other");
}

/* As du(1): blocks, one file system, each file once. What goes away meanwhile isn't counted. */
static int walk(struct ctx *c, struct usage *u, struct err *e)
{
	char *const paths[] = { c->root, NULL };
	size_t skip = strlen(c->root) + 1;
	g_autofree char *part = NULL;
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);
	FTSENT *x;

	if (!fts)
		return err_sys(e, -errno, "cannot read '%s'", c->root);
	while ((x = fts_read(fts))) {
		if (x->fts_info == FTS_DP || x->fts_info == FTS_NS || seen(u, x->fts_statp))
			continue;
		/* below the second level all belongs to the same thing */
		if (x->fts_level <= 2) {
			g_free(part);
			part = part_of(x->fts_pathlen > skip ? x->fts_path + skip : "");
		}
		add(u, part, (int64_t)x->fts_statp->st_blocks * 512);
	}
	(void)fts_close(fts);
	return 0;
}

static json_t *kind(const char *name, int64_t bytes, json_t *items)
{
	int64_t reclaimable = 0, active = 0;
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		if (json_is_true(json_object_get(item, "active")))
			active++;
		else
			reclaimable += json_integer_value(json_object_get(item, "unique"));
		(void)json_object_del(item, "unique");
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "kind", name, "count",
		(json_int_t)json_array_size(items), "active", (json_int_t)active, "bytes",
		(json_int_t)bytes, "reclaimable", (json_int_t)reclaimable, "items", items);
}

/* The sum of all parts that begin so. */
static int64_t sum(struct usage *u, const char *prefix)
{
	GHashTableIter i;
	gpointer key, value;
	int64_t n = 0;

	g_hash_table_iter_init(&i, u->parts);
	while (g_hash_table_iter_next(&i, &key, &value))
		if (g_str_has_prefix(key, prefix))
			n += *(int64_t *)value;
	return n;
}

/* Bytes of an image: all its layers, and those that no other image has; its disk likewise. */
static int image_bytes(struct store *s, struct usage *u, const char *id, int64_t *ret_all,
	int64_t *ret_unique, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	*ret_all = *ret_unique = 0;
	r = db_query(s, e, &q,
		"SELECT DISTINCT 'layers/'||substr(layer,8), EXISTS(SELECT 1 FROM image_layers o "
		"WHERE o.layer=l.layer AND o.image<>l.image) FROM image_layers l WHERE image=?1 "
		"UNION ALL SELECT 'disks/'||substr(digest,8), EXISTS(SELECT 1 FROM image_disks o "
		"WHERE o.digest=d.digest AND o.image<>d.image) FROM image_disks d WHERE image=?1",
		"s", id);
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		const char *part = (const char *)sqlite3_column_text(q, 0);
		int64_t n = get(u, part ? part : "");

		*ret_all += n;
		if (!sqlite3_column_int(q, 1))
			*ret_unique += n;
	}
	return r;
}

/* Bytes of disks that no image names. */
static int unused_disks(struct store *s, struct usage *u, int64_t *ret, struct err *e)
{
	GHashTableIter i;
	gpointer key, value;

	g_hash_table_iter_init(&i, u->parts);
	while (g_hash_table_iter_next(&i, &key, &value)) {
		_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
		g_autofree char *digest = NULL;
		int r;

		if (!g_str_has_prefix(key, "disks/"))
			continue;
		digest = g_strconcat("sha256:", (char *)key + strlen("disks/"), NULL);
		r = db_query(
			s, e, &q, "SELECT 1 FROM image_disks WHERE digest=? LIMIT 1", "s", digest);
		if (r >= 0)
			r = db_next(s, q, e);
		if (r < 0)
			return r;
		if (r == 0)
			*ret += *(int64_t *)value;
	}
	return 0;
}

static int images(struct store *s, struct usage *u, json_t *ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	json_t *items = json_array();
	int64_t all, unique, unused = 0;
	g_autoptr(GPtrArray) layers = NULL;
	json_t *k;
	int r;

	r = db_query(s, e, &q,
		"SELECT id, EXISTS(SELECT 1 FROM guests WHERE image=images.id) FROM images "
		"ORDER BY added DESC",
		"");
	while (r >= 0 && (r = db_next(s, q, e)) > 0) {
		const char *id = (const char *)sqlite3_column_text(q, 0);

		r = image_bytes(s, u, id, &all, &unique, e);
		if (r >= 0)
			(void)json_array_append_new(
				items, json_pack("{s:s, s:I, s:I, s:b}", "id", id, "bytes",
					       (json_int_t)all, "unique", (json_int_t)unique,
					       "active", sqlite3_column_int(q, 1)));
	}
	if (r >= 0)
		r = store_layer_unused(s, &layers, e);
	if (r >= 0)
		r = unused_disks(s, u, &unused, e);
	if (r < 0) {
		json_decref(items);
		return r;
	}
	for (unsigned i = 0; i < layers->len; i++) {
		g_autofree char *part = g_strdup_printf(
			"layers/%s", (const char *)layers->pdata[i] + strlen("sha256:"));

		unused += get(u, part);
	}
	k = kind("images", sum(u, "layers") + sum(u, "disks") + sum(u, "blobs"), items);
	(void)json_object_set_new(k, "reclaimable",
		json_integer(json_integer_value(json_object_get(k, "reclaimable")) + unused));
	(void)json_array_append_new(ret, k);
	return 0;
}

/* By the monitor's status file: see monitor/proto.h. */
static bool guest_runs(struct ctx *c, const char *id)
{
	g_autofree char *path = store_run_path(c, "guests/%s/status", id), *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	return g_str_has_prefix(text, "state running") || strstr(text, "\nstate running") ||
	       g_str_has_prefix(text, "state restarting") || strstr(text, "\nstate restarting") ||
	       g_str_has_prefix(text, "state starting") || strstr(text, "\nstate starting");
}

static int guests(struct store *s, struct usage *u, json_t *ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	json_t *items = json_array();
	int r;

	r = db_query(s, e, &q, "SELECT id, name FROM guests ORDER BY created DESC", "");
	while (r >= 0 && (r = db_next(s, q, e)) > 0) {
		const char *id = (const char *)sqlite3_column_text(q, 0);
		g_autofree char *part = g_strdup_printf("guests/%s", id);
		int64_t n = get(u, part);

		(void)json_array_append_new(
			items, json_pack("{s:s, s:s*, s:I, s:I, s:b}", "id", id, "name",
				       sqlite3_column_text(q, 1), "bytes", (json_int_t)n, "unique",
				       (json_int_t)n, "active", guest_runs(s->c, id)));
	}
	if (r < 0) {
		json_decref(items);
		return r;
	}
	(void)json_array_append_new(ret, kind("containers", sum(u, "guests"), items));
	return 0;
}

static int volumes(struct store *s, struct usage *u, json_t *ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	json_t *items = json_array();
	int r;

	r = db_query(s, e, &q,
		"SELECT name, (SELECT count(*) FROM guest_uses WHERE kind='volume' AND what=name) "
		"FROM volumes ORDER BY name",
		"");
	while (r >= 0 && (r = db_next(s, q, e)) > 0) {
		g_autofree char *part = g_strdup_printf("volumes/%s", sqlite3_column_text(q, 0));
		int64_t n = get(u, part);

		(void)json_array_append_new(items,
			json_pack("{s:s, s:I, s:I, s:I, s:b}", "name", sqlite3_column_text(q, 0),
				"bytes", (json_int_t)n, "unique", (json_int_t)n, "links",
				(json_int_t)sqlite3_column_int64(q, 1), "active",
				sqlite3_column_int(q, 1) > 0));
	}
	if (r < 0) {
		json_decref(items);
		return r;
	}
	(void)json_array_append_new(ret, kind("volumes", sum(u, "volumes"), items));
	return 0;
}

/* Prepared for machines (engine/vm/kernel.h); told where there has been one. */
static void kernels(struct usage *u, json_t *ret)
{
	json_t *items = json_array();
	GHashTableIter i;
	gpointer key, value;

	g_hash_table_iter_init(&i, u->parts);
	while (g_hash_table_iter_next(&i, &key, &value))
		if (g_str_has_prefix(key, "kernels/"))
			(void)json_array_append_new(
				items, json_pack("{s:s, s:I, s:I, s:b}", "name",
					       (const char *)key + strlen("kernels/"), "bytes",
					       (json_int_t) * (int64_t *)value, "unique",
					       (json_int_t) * (int64_t *)value, "active", 1));
	if (sum(u, "kernels") > 0)
		(void)json_array_append_new(ret, kind("kernels", sum(u, "kernels"), items));
	else
		json_decref(items);
}

int store_df(struct ctx *c, json_t **ret, struct err *e)
{
	g_autoptr(GHashTable) links = g_hash_table_new_full(link_hash, link_equal, g_free, NULL);
	g_autoptr(GHashTable) parts =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	struct usage u = { links, parts };
	json_t *kinds, *cache;
	struct store *s;
	int r;

	r = store_get(c, &s, e);
	if (r >= 0)
		r = walk(c, &u, e);
	if (r < 0)
		return r;
	kinds = json_array();
	r = images(s, &u, kinds, e);
	if (r >= 0)
		r = guests(s, &u, kinds, e);
	if (r >= 0)
		r = volumes(s, &u, kinds, e);
	if (r < 0) {
		json_decref(kinds);
		return r;
	}
	kernels(&u, kinds);
	cache = kind("cache", get(&u, "cache"), json_array());
	(void)json_object_set_new(cache, "reclaimable", json_integer(get(&u, "cache")));
	(void)json_array_append_new(kinds, cache);
	(void)json_array_append_new(kinds, kind("other", get(&u, "other"), json_array()));
	*ret = kinds;
	return 0;
}
