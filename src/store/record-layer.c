/* SPDX-License-Identifier: MIT */
#include "store/store-priv.h"

void layer_record_free(struct layer_record *l)
{
	if (!l)
		return;
	g_free(l->digest);
	g_free(l);
}

int store_layer_add(struct store *s, const struct layer_record *l, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record the layer",
		"INSERT INTO layers(digest,size,tar_size,created) VALUES(?1,?2,?3,?4) "
		"ON CONFLICT(digest) DO UPDATE SET size=?2, tar_size=?3",
		"siii", l->digest, l->size, l->tar_size, l->created);
	return r < 0 ? r : 0;
}

int store_layer_has(struct store *s, const char *digest, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT 1 FROM layers WHERE digest=?", "s", digest);
	return r < 0 ? r : db_next(s, q, e);
}

int store_layer_list(struct store *s, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)layer_record_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(
		s, e, &q, "SELECT digest,size,tar_size,created FROM layers ORDER BY digest", "");
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		struct layer_record *l = g_new0(struct layer_record, 1);

		l->digest = db_text(q, 0);
		l->size = sqlite3_column_int64(q, 1);
		l->tar_size = sqlite3_column_int64(q, 2);
		l->created = sqlite3_column_int64(q, 3);
		if (!is_digest(l->digest)) {
			r = db_corrupt(e, "layer", l->digest, "its name isn't a digest");
			layer_record_free(l);
			return r;
		}
		g_ptr_array_add(list, l);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}

int store_layer_unused(struct store *s, GPtrArray **ret_digests, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q,
		"SELECT digest FROM layers WHERE digest NOT IN (SELECT layer FROM image_layers)",
		"");
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0)
		g_ptr_array_add(list, db_text(q, 0));
	if (r < 0)
		return r;
	*ret_digests = g_steal_pointer(&list);
	return 0;
}

int store_layer_remove(struct store *s, const char *digest, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	bool own;
	int r;

	r = db_enter(s, &own, e);
	if (r < 0)
		return r;
	r = db_query(s, e, &q, "SELECT image FROM image_layers WHERE layer=? LIMIT 1", "s", digest);
	if (r >= 0)
		r = db_next(s, q, e);
	if (r > 0) {
		r = err_set(e, -E_INUSE, "the layer '%.19s' is in use by image '%.19s'", digest,
			sqlite3_column_text(q, 0));
		(void)sqlite3_reset(q);
	} else if (r == 0) {
		r = db_run(s, e, "cannot remove the layer's record",
			"DELETE FROM layers WHERE digest=?", "s", digest);
		if (r == 0)
			r = err_set(e, -E_NOTFOUND, "no such layer '%s'", digest);
	}
	r = db_leave(s, own, r, e);
	return r < 0 ? r : 0;
}
