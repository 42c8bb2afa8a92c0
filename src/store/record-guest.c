/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "store/store-priv.h"

#define COLUMNS "id,realm,name,kind,engine,image,image_name,created,auto_remove,wanted,doc,spec"

void guest_record_free(struct guest_record *g)
{
	if (!g)
		return;
	g_free(g->id);
	g_free(g->realm);
	g_free(g->name);
	g_free(g->kind);
	g_free(g->engine);
	g_free(g->image);
	g_free(g->image_name);
	g_free(g->spec);
	g_free(g->doc);
	g_free(g);
}

void guest_record_freep(struct guest_record **g)
{
	guest_record_free(*g);
}

static bool looks_like_object(const char *json)
{
	size_t n = json ? strlen(json) : 0;

	return n >= 2 && json[0] == '{' && json[n - 1] == '}';
}

/* The whole JSON text is read by whoever needs it (store_json); here is what costs nothing. */
static int read_row(sqlite3_stmt *q, struct guest_record **ret, struct err *e)
{
	struct guest_record *g = g_new0(struct guest_record, 1);
	const char *why = NULL;
	int r;

	g->id = db_text(q, 0);
	g->realm = db_text(q, 1);
	g->name = db_text(q, 2);
	g->kind = db_text(q, 3);
	g->engine = db_text(q, 4);
	g->image = db_text(q, 5);
	g->image_name = db_text(q, 6);
	g->created = sqlite3_column_int64(q, 7);
	g->auto_remove = sqlite3_column_int(q, 8);
	g->wanted = sqlite3_column_int(q, 9);
	g->doc = db_text(q, 10);
	g->spec = db_text(q, 11);
	if (!is_hex(g->id, 64, 64))
		why = "its id isn't one";
	else if (!g->realm || !g->name || !g->kind || !g->engine)
		why = "a field is missing";
	else if (!looks_like_object(g->spec))
		why = "its spec isn't JSON";
	else if (!looks_like_object(g->doc))
		why = "its document isn't JSON";
	if (why) {
		r = db_corrupt(e, "guest", g->name && *g->name ? g->name : g->id, why);
		guest_record_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

int store_json(const char *text, const char *kind, const char *name, json_t **ret, struct err *e)
{
	json_error_t error;
	char why[256];

	*ret = json_loads(text ? text : "", JSON_REJECT_DUPLICATES, &error);
	if (*ret)
		return 0;
	(void)g_snprintf(why, sizeof(why), "line %d of its JSON: %s", error.line, error.text);
	return db_corrupt(e, kind, name, why);
}

static int name_taken(struct store *s, const struct guest_record *g, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT id FROM guests WHERE realm=? AND name=?", "ss", g->realm,
		g->name);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, -E_EXISTS, "the id '%s' is in use by another guest", g->id);
	err_set(e, -E_EXISTS, "the name '%s' is in use by guest '%.12s'", g->name,
		sqlite3_column_text(q, 0));
	(void)err_mend(e, "remove or rename that guest, or take another name");
	return -E_EXISTS;
}

int store_guest_add(struct store *s, const struct guest_record *g, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record the guest",
		"INSERT INTO guests(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", "sssssssiiiss",
		g->id, g->realm, g->name, g->kind, g->engine, g->image, g->image_name, g->created,
		(int64_t)g->auto_remove, (int64_t)g->wanted, g->doc ? g->doc : "{}", g->spec);
	if (r == -E_EXISTS)
		return name_taken(s, g, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "the image '%s' of guest '%s' isn't there any more", g->image,
			g->name);
	return r < 0 ? r : 0;
}

int store_guest_update(struct store *s, const struct guest_record *g, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot change the guest's record",
		"UPDATE guests SET realm=?,name=?,kind=?,engine=?,image=?,image_name=?,created=?,"
		"auto_remove=?,wanted=?,doc=?,spec=? WHERE id=?",
		"ssssssiiisss", g->realm, g->name, g->kind, g->engine, g->image, g->image_name,
		g->created, (int64_t)g->auto_remove, (int64_t)g->wanted, g->doc ? g->doc : "{}",
		g->spec, g->id);
	if (r == -E_EXISTS)
		return name_taken(s, g, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "the image '%s' of guest '%s' isn't there any more", g->image,
			g->name);
	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such guest '%s'", g->id);
	return r < 0 ? r : 0;
}

int store_guest_remove(struct store *s, const char *id, struct err *e)
{
	int r = db_run(
		s, e, "cannot remove the guest's record", "DELETE FROM guests WHERE id=?", "s", id);

	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such guest '%s'", id);
	return r < 0 ? r : 0;
}

/* The one row of q; 0 when there is none, -E_INVALID when there are two. */
static int only_row(
	struct store *s, sqlite3_stmt *q, const char *ref, struct guest_record **ret, struct err *e)
{
	_cleanup_(guest_record_freep) struct guest_record *g = NULL;
	int r;

	r = db_next(s, q, e);
	if (r <= 0)
		return r;
	r = read_row(q, &g, e);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r < 0)
		return r;
	if (r > 0) {
		err_set(e, -E_INVALID, "'%s' fits more than one guest", ref);
		(void)err_mend(e, "give more of the id, or the realm");
		return -E_INVALID;
	}
	*ret = TAKE_PTR(g);
	return 1;
}

int store_guest_find(struct store *s, const char *realm, const char *ref, struct guest_record **ret,
	struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	_cleanup_(db_resetp) sqlite3_stmt *p = NULL;
	g_autofree char *end = NULL;
	int r;

	/* a name beats an id, and a realm's own name beats all */
	r = db_query(s, e, &q,
		"SELECT " COLUMNS " FROM guests WHERE name=?1 AND (?2 IS NULL OR realm=?2)", "ss",
		ref, realm);
	if (r < 0)
		return r;
	r = only_row(s, q, ref, ret, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (is_hex(ref, 1, 64)) {
		end = g_strconcat(ref, "g", NULL);
		r = db_query(s, e, &p,
			"SELECT " COLUMNS
			" FROM guests WHERE id>=?1 AND id<?2 AND (?3 IS NULL OR realm=?3) LIMIT 2",
			"sss", ref, end, realm);
		if (r < 0)
			return r;
		r = only_row(s, p, ref, ret, e);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return err_set(e, -E_NOTFOUND, "no such guest '%s'", ref);
}

int store_guest_list(struct store *s, const char *realm, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)guest_record_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q,
		"SELECT " COLUMNS " FROM guests WHERE ?1 IS NULL OR realm=?1 "
		"ORDER BY created DESC, id",
		"s", realm);
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		struct guest_record *g;

		r = read_row(q, &g, e);
		if (r < 0)
			return r;
		g_ptr_array_add(list, g);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}

int store_guest_uses(
	struct store *s, const char *guest, const char *kind, const char *what, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record what the guest uses",
		"INSERT OR IGNORE INTO guest_uses(guest,kind,what) VALUES(?,?,?)", "sss", guest,
		kind, what);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "no such guest '%s'", guest);
	return r < 0 ? r : 0;
}

int store_guest_leaves(
	struct store *s, const char *guest, const char *kind, const char *what, struct err *e)
{
	int r = db_run(s, e, "cannot record what the guest uses",
		"DELETE FROM guest_uses WHERE guest=? AND kind=? AND what=?", "sss", guest, kind,
		what);

	return r < 0 ? r : 0;
}

int store_users(struct store *s, const char *kind, const char *what, GPtrArray **ret_guest_ids,
	struct err *e)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q,
		"SELECT guest FROM guest_uses WHERE kind=? AND what=? ORDER BY guest", "ss", kind,
		what);
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0)
		g_ptr_array_add(ids, db_text(q, 0));
	if (r < 0)
		return r;
	*ret_guest_ids = g_steal_pointer(&ids);
	return 0;
}
