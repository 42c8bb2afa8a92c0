/* SPDX-License-Identifier: MIT */
#include "store/store-priv.h"

#define COLUMNS "name,driver,doc,created,anonymous"

void volume_record_free(struct volume_record *v)
{
	if (!v)
		return;
	g_free(v->name);
	g_free(v->driver);
	g_free(v->doc);
	g_free(v);
}

void volume_record_freep(struct volume_record **v)
{
	volume_record_free(*v);
}

static int read_row(sqlite3_stmt *q, struct volume_record **ret, struct err *e)
{
	struct volume_record *v = g_new0(struct volume_record, 1);
	int r;

	v->name = db_text(q, 0);
	v->driver = db_text(q, 1);
	v->doc = db_text(q, 2);
	v->created = sqlite3_column_int64(q, 3);
	v->anonymous = sqlite3_column_int(q, 4);
	if (!v->name || !v->driver || !v->doc || v->doc[0] != '{') {
		r = db_corrupt(e, "volume", v->name,
			v->doc && v->doc[0] != '{' ? "its document isn't JSON"
						   : "a field is missing");
		volume_record_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

int store_volume_add(struct store *s, const struct volume_record *v, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record the volume",
		"INSERT INTO volumes(" COLUMNS ") VALUES(?,?,?,?,?)", "sssii", v->name,
		v->driver ? v->driver : "local", v->doc ? v->doc : "{}", v->created,
		(int64_t)v->anonymous);
	if (r == -E_EXISTS)
		return err_set(e, r, "a volume '%s' is there already", v->name);
	return r < 0 ? r : 0;
}

static const char users_of_volume[] =
	"SELECT g.name FROM guest_uses u JOIN guests g ON g.id=u.guest "
	"WHERE u.kind='volume' AND u.what=? ORDER BY g.name";

int store_volume_remove(struct store *s, const char *name, struct err *e)
{
	g_autofree char *users = NULL;
	bool own;
	int r;

	r = db_enter(s, &own, e);
	if (r < 0)
		return r;
	users = db_names(s, users_of_volume, name);
	if (users) {
		r = err_set(e, -E_INUSE, "the volume '%s' is in use by guest %s", name, users);
		(void)err_mend(e, "remove the guest first");
	} else {
		r = db_run(s, e, "cannot remove the volume's record",
			"DELETE FROM volumes WHERE name=?", "s", name);
		if (r == 0)
			r = err_set(e, -E_NOTFOUND, "no such volume '%s'", name);
	}
	r = db_leave(s, own, r, e);
	return r < 0 ? r : 0;
}

int store_volume_find(struct store *s, const char *name, struct volume_record **ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT " COLUMNS " FROM volumes WHERE name=?", "s", name);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such volume '%s'", name);
	return read_row(q, ret, e);
}

int store_volume_list(struct store *s, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)volume_record_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT " COLUMNS " FROM volumes ORDER BY name", "");
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		struct volume_record *v;

		r = read_row(q, &v, e);
		if (r < 0)
			return r;
		g_ptr_array_add(list, v);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}
