/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "store/disk.h"
#include "store/store-priv.h"

#define COLUMNS "id,manifest,size,created,added,arch,os"

void image_record_free(struct image_record *i)
{
	if (!i)
		return;
	g_free(i->id);
	g_free(i->manifest);
	g_strfreev(i->layers);
	g_strfreev(i->names);
	g_free(i->disk);
	g_free(i->disk_format);
	g_free(i->arch);
	g_free(i->os);
	g_free(i);
}

void image_record_freep(struct image_record **i)
{
	image_record_free(*i);
}

static int read_list(
	struct store *s, const char *sql, const char *image, char ***ret, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	int r;

	r = db_query(s, e, &q, sql, "s", image);
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0)
		g_ptr_array_add(list, db_text(q, 0));
	if (r < 0)
		return r;
	g_ptr_array_add(list, NULL);
	g_ptr_array_set_free_func(list, NULL);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&list), FALSE);
	return 0;
}

static int read_disk(struct store *s, struct image_record *i, struct err *e)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(
		s, e, &q, "SELECT digest,format,size FROM image_disks WHERE image=?", "s", i->id);
	if (r >= 0)
		r = db_next(s, q, e);
	if (r <= 0)
		return r;
	i->disk = db_text(q, 0);
	i->disk_format = db_text(q, 1);
	i->disk_size = sqlite3_column_int64(q, 2);
	if (!is_digest(i->disk) || !disk_is_format(i->disk_format))
		return db_corrupt(e, "image", i->id, "its disk has no digest or format");
	return 0;
}

static int read_row(struct store *s, sqlite3_stmt *q, struct image_record **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = g_new0(struct image_record, 1);
	int r;

	i->id = db_text(q, 0);
	i->manifest = db_text(q, 1);
	i->size = sqlite3_column_int64(q, 2);
	i->created = sqlite3_column_int64(q, 3);
	i->added = sqlite3_column_int64(q, 4);
	i->arch = db_text(q, 5);
	i->os = db_text(q, 6);
	if (!is_digest(i->id) || (i->manifest && !is_digest(i->manifest)))
		return db_corrupt(e, "image", i->id, "its id isn't a digest");
	if (!i->arch || !i->os)
		return db_corrupt(e, "image", i->id, "a field is missing");
	r = read_list(
		s, "SELECT name FROM image_names WHERE image=? ORDER BY name", i->id, &i->names, e);
	if (r >= 0)
		r = read_list(s, "SELECT layer FROM image_layers WHERE image=? ORDER BY position",
			i->id, &i->layers, e);
	if (r >= 0)
		r = read_disk(s, i, e);
	if (r < 0)
		return r;
	for (char **l = i->layers; *l; l++)
		if (!is_digest(*l))
			return db_corrupt(e, "image", i->id, "a layer isn't a digest");
	*ret = TAKE_PTR(i);
	return 0;
}

static int set_name(struct store *s, const char *id, const char *name, struct err *e)
{
	int r;

	r = db_run(s, e, "cannot record the image's name",
		"INSERT INTO image_names(name,image) VALUES(?1,?2) "
		"ON CONFLICT(name) DO UPDATE SET image=?2",
		"ss", name, id);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "no such image '%s'", id);
	return r < 0 ? r : 0;
}

static int add(struct store *s, const struct image_record *i, struct err *e)
{
	int64_t position = 0;
	int r;

	r = db_run(s, e, "cannot record the image",
		"INSERT INTO images(" COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT(id) DO "
		"UPDATE SET manifest=coalesce(?2,manifest), size=?3",
		"ssiiiss", i->id, i->manifest, i->size, i->created, i->added,
		i->arch ? i->arch : "", i->os ? i->os : "linux");
	if (r >= 0)
		r = db_run(s, e, "cannot record the image's layers",
			"DELETE FROM image_layers WHERE image=?", "s", i->id);
	for (char **l = i->layers; r >= 0 && l && *l; l++)
		r = db_run(s, e, "cannot record the image's layers",
			"INSERT INTO image_layers(image,position,layer) VALUES(?,?,?)", "sis",
			i->id, position++, *l);
	if (r >= 0 && i->disk)
		r = db_run(s, e, "cannot record the image's disk",
			"INSERT OR REPLACE INTO image_disks(image,digest,format,size) "
			"VALUES(?,?,?,?)",
			"sssi", i->id, i->disk, i->disk_format, i->disk_size);
	for (char **n = i->names; r >= 0 && n && *n; n++)
		r = set_name(s, i->id, *n, e);
	return r;
}

int store_image_add(struct store *s, const struct image_record *i, struct err *e)
{
	bool own;
	int r;

	r = db_enter(s, &own, e);
	if (r < 0)
		return r;
	r = db_leave(s, own, add(s, i, e), e);
	return r < 0 ? r : 0;
}

static const char guests_of_image[] = "SELECT name FROM guests WHERE image=? ORDER BY name";

int store_image_remove(struct store *s, const char *id, struct err *e)
{
	g_autofree char *users = NULL;
	bool own;
	int r;

	r = db_enter(s, &own, e);
	if (r < 0)
		return r;
	users = db_names(s, guests_of_image, id);
	if (users) {
		r = err_set(e, -E_INUSE, "the image '%.19s' is in use by guest %s", id, users);
		(void)err_mend(e, "remove the guest first");
	} else {
		r = db_run(s, e, "cannot remove the image's record",
			"DELETE FROM images WHERE id=?", "s", id);
		if (r == 0)
			r = err_set(e, -E_NOTFOUND, "no such image '%s'", id);
	}
	r = db_leave(s, own, r, e);
	return r < 0 ? r : 0;
}

int store_image_users(struct store *s, const char *id, GPtrArray **ret_guest_ids, struct err *e)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT id FROM guests WHERE image=? ORDER BY id", "s", id);
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0)
		g_ptr_array_add(ids, db_text(q, 0));
	if (r < 0)
		return r;
	*ret_guest_ids = g_steal_pointer(&ids);
	return 0;
}

int store_image_tag(struct store *s, const char *id, const char *name, struct err *e)
{
	return set_name(s, id, name, e);
}

int store_image_untag(struct store *s, const char *name, struct err *e)
{
	int r = db_run(s, e, "cannot remove the image's name",
		"DELETE FROM image_names WHERE name=?", "s", name);

	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such image '%s'", name);
	return r < 0 ? r : 0;
}

/* 1 with *ret, 0 when there is none, -E_INVALID when two fit. */
static int find_by(struct store *s, const char *ref, struct image_record **ret, struct err *e,
	const char *sql, const char *a, const char *b)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	int r;

	r = db_query(s, e, &q, sql, "ss", a, b);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r <= 0)
		return r;
	r = read_row(s, q, &i, e);
	if (r < 0)
		return r;
	r = db_next(s, q, e);
	if (r < 0)
		return r;
	if (r > 0) {
		err_set(e, -E_INVALID, "'%s' fits more than one image", ref);
		(void)err_mend(e, "give more of the id");
		return -E_INVALID;
	}
	*ret = TAKE_PTR(i);
	return 1;
}

static int find_by_digest(
	struct store *s, const char *ref, const char *at, struct image_record **ret, struct err *e)
{
	/* any tag of the repository: names that begin with "REPOSITORY:" */
	g_autofree char *from = g_strdup_printf("%.*s:", (int)(at - ref), ref);

	return find_by(s, ref, ret, e,
		"SELECT " COLUMNS " FROM images WHERE ?1 IN (manifest, id) AND EXISTS "
		"(SELECT 1 FROM image_names WHERE image=images.id AND "
		"substr(name,1,length(?2))=?2) "
		"LIMIT 2",
		at + 1, from);
}

int store_image_find(struct store *s, const char *ref, struct image_record **ret, struct err *e)
{
	const char *hex = strncmp(ref, "sha256:", 7) == 0 ? ref + 7 : ref, *at = strchr(ref, '@');
	g_autofree char *from = NULL, *to = NULL;
	int r;

	r = find_by(s, ref, ret, e,
		"SELECT " COLUMNS " FROM images WHERE ?2 IS NULL AND "
		"id=(SELECT image FROM image_names WHERE name=?1)",
		ref, NULL);
	if (r == 0 && at)
		r = find_by_digest(s, ref, at, ret, e);
	if (r == 0 && is_hex(hex, 1, 64)) {
		from = g_strconcat("sha256:", hex, NULL);
		to = g_strconcat("sha256:", hex, "g", NULL);
		r = find_by(s, ref, ret, e,
			"SELECT " COLUMNS " FROM images WHERE id>=? AND id<? LIMIT 2", from, to);
	}
	if (r == 0)
		return err_set(e, -E_NOTFOUND, "no such image '%s'", ref);
	return r < 0 ? r : 0;
}

int store_image_list(struct store *s, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)image_record_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(s, e, &q, "SELECT " COLUMNS " FROM images ORDER BY added DESC, id", "");
	if (r < 0)
		return r;
	while ((r = db_next(s, q, e)) > 0) {
		struct image_record *i;

		r = read_row(s, q, &i, e);
		if (r < 0)
			return r;
		g_ptr_array_add(list, i);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&list);
	return 0;
}
