/* SPDX-License-Identifier: MIT */
#include "store/store-priv.h"

#define COLUMNS \
	"id,name,driver,bridge,subnet,gateway,subnet6,gateway6,parent,doc,internal,mtu,created"

void network_record_free(struct network_record *n)
{
	if (!n)
		return;
	g_free(n->id);
	g_free(n->name);
	g_free(n->driver);
	g_free(n->bridge);
	g_free(n->subnet);
	g_free(n->gateway);
	g_free(n->subnet6);
	g_free(n->gateway6);
	g_free(n->parent);
	g_free(n->doc);
	g_free(n);
}

void network_record_freep(struct network_record **n)
{
	network_record_free(*n);
}

static int read_row(sqlite3_stmt *q, struct network_record **ret, struct err *e)
{
	struct network_record *n = g_new0(struct network_record, 1);
	int r;

	n->id = db_text(q, 0);
	n->name = db_text(q, 1);
	n->driver = db_text(q, 2);
	n->bridge = db_text(q, 3);
	n->subnet = db_text(q, 4);
	n->gateway = db_text(q, 5);
	n->subnet6 = db_text(q, 6);
	n->gateway6 = db_text(q, 7);
	n->parent = db_text(q, 8);
	n->doc = db_text(q, 9);
	n->internal = sqlite3_column_int(q, 10);
	n->mtu = sqlite3_column_int(q, 11);
	n->created = sqlite3_column_int64(q, 12);
	if (!n->id || !n->name || !n->driver || !n->doc || n->doc[0] != '{') {
		r = db_corrupt(e, "network", n->name ? n->name : n->id,
			n->doc && n->doc[0] != '{' ? "its document isn't JSON"
						   : "a field is missing");
		network_record_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

int store_network_add(struct store *s, const struct network_record *n, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record the network",
		"INSERT INTO networks(" COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
		"ssssssssssiii", n->id, n->name, n->driver, n->bridge, n->subnet, n->gateway,
		n->subnet6, n->gateway6, n->parent, n->doc ? n->doc : "{}", (int64_t)n->internal,
		(int64_t)n->mtu, n->created);
	if (r == -E_EXISTS)
		return err_set(e, r, "a network '%s' is there already", n->name);
	return r < 0 ? r : 0;
}

static const char users_of_network[] =
	"SELECT g.name FROM guest_uses u JOIN guests g ON g.id=u.guest "
	"WHERE u.kind='network' AND u.what=? ORDER BY g.name";

int store_network_remove(struct store *s, const char *name, struct err *e)
{
	g_autofree char *users = NULL;
	bool own;
	int r;

	r = db_enter(s, &own, e);
	if (r < 0)
		return r;
	users = db_names(s, users_of_network, name);
	if (users) {
		r = err_set(e, -E_INUSE, "the network '%s' is in use by guest %s", name, users);
		(void)err_mend(e, "remove the guest first");
	} else {
		r = db_run(s, e, "cannot remove the network's record",
			"DELETE FROM networks WHERE name=?", "s", name);
		if (r == 0)
			r = err_set(e, -E_NOTFOUND, "no such network '%s'", name);
	}
	r = db_leave(s, own, r, e);
	return r < 0 ? r : 0;
}

static int find_by(struct store *s, const char *sql, const char *from, const char *to,
	struct network_record **ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	int r;

	r = db_query(s, e, &q, sql, "ss", from, to);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r <= 0)
		return r;
	r = read_row(q, &n, e);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r < 0)
		return r;
	if (r > 0)
		return err_set(e, -E_INVALID, "'%s' fits more than one network", from);
	*ret = TAKE_PTR(n);
	return 1;
}

int store_network_find(struct store *s, const char *ref, struct network_record **ret, struct err *e)
{
	g_autofree char *end = NULL;
	int r;

	r = find_by(s, "SELECT " COLUMNS " FROM networks WHERE name=?1 AND ?2 IS NULL", ref, NULL,
		ret, e);
	if (r == 0 && is_hex(ref, 1, 64)) {
		end = g_strconcat(ref, "g", NULL);
		r = find_by(s, "SELECT " COLUMNS " FROM networks WHERE id>=? AND id<? LIMIT 2", ref,
			end, ret, e);
	}
	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such network '%s'", ref);
	return r < 0 ? r : 0;
}

int store_network_list(struct store *s, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)network_record_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT " COLUMNS " FROM networks ORDER BY name", "");
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		struct network_record *n;

		r = read_row(q, &n, e);
		if (r < 0)
			return r;
		g_ptr_array_add(list, n);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}
