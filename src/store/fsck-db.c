/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>
#include "store/blob.h"
#include "store/fsck-priv.h"

#define COMPLAINTS 10 /* of SQLite, that are passed on */

/* In an order that satisfies the foreign keys. */
static const char *const tables[] = { "images", "image_names", "image_layers", "image_disks",
	"layers", "guests", "guest_uses", "volumes", "networks" };

static int open_raw(const char *path, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	(void)sqlite3_busy_timeout(*ret, 20000);
	return rc;
}

/* Runs a check whose rows are complaints. */
static void complaints(sqlite3 *db, const char *sql, GPtrArray *texts)
{
	sqlite3_stmt *q = NULL;
	int n = 0, rc;

	rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(q);
		if (rc != SQLITE_ROW)
			break;
		if (g_strcmp0((const char *)sqlite3_column_text(q, 0), "ok") == 0)
			continue;
		if (n++ < COMPLAINTS)
			g_ptr_array_add(texts, g_strdup_printf("%s", sqlite3_column_text(q, 0)));
	}
	if (rc != SQLITE_DONE)
		g_ptr_array_add(texts, g_strdup(sqlite3_errmsg(db)));
	(void)sqlite3_finalize(q);
}

/* Copies the rows that can be read, from both ends: a damaged page in the middle hides what is behind it. */
static void copy_rows(sqlite3 *from, sqlite3 *to, const char *table, const char *order)
{
	g_autofree char *select = g_strdup_printf("SELECT * FROM %s ORDER BY 1 %s", table, order);
	g_autoptr(GString) insert = g_string_new(NULL);
	sqlite3_stmt *q = NULL, *i = NULL;

	if (sqlite3_prepare_v2(from, select, -1, &q, NULL) != SQLITE_OK)
		return;
	g_string_printf(insert, "INSERT OR IGNORE INTO %s VALUES(", table);
	for (int k = 0; k < sqlite3_column_count(q); k++)
		g_string_append(insert, k > 0 ? ",?" : "?");
	g_string_append(insert, ")");
	if (sqlite3_prepare_v2(to, insert->str, -1, &i, NULL) == SQLITE_OK) {
		while (sqlite3_step(q) == SQLITE_ROW) {
			for (int k = 0; k < sqlite3_column_count(q); k++)
				(void)sqlite3_bind_value(i, k + 1, sqlite3_column_value(q, k));
			(void)sqlite3_step(i);
			(void)sqlite3_reset(i);
		}
	}
	(void)sqlite3_finalize(q);
	(void)sqlite3_finalize(i);
}

/* Layers whose files are there but whose rows weren't readable. */
static void find_layers(struct fsck *f, sqlite3 *to)
{
	g_autofree char *folder = store_path(f->c, "layers");
	GDir *d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d))) {
		g_autofree char *path = g_strconcat(folder, "/", name, NULL), *sql = NULL;
		g_autofree char *hex = g_strndup(name, 64);
		struct stat st;

		if (!is_hex(hex, 64, 64) || strcmp(name + 64, ".erofs") != 0 || stat(path, &st) < 0)
			continue;
		sql = g_strdup_printf("INSERT OR IGNORE INTO layers(digest,size,tar_size,created) "
				      "VALUES('sha256:%s',%" G_GINT64_FORMAT ",0,0)",
			hex, (int64_t)st.st_blocks * 512);
		(void)sqlite3_exec(to, sql, NULL, NULL, NULL);
	}
	if (d)
		g_dir_close(d);
}

static int rebuild(struct fsck *f, const char *path, sqlite3 *from, struct err *e)
{
	g_autofree char *fresh = g_strconcat(path, ".new", NULL);
	sqlite3 *to = NULL;
	int r;

	(void)unlink(fresh);
	r = store_make_database(fresh, &to, e);
	if (r < 0)
		return r;
	(void)sqlite3_exec(to, "PRAGMA journal_mode=DELETE;BEGIN", NULL, NULL, NULL);
	for (unsigned i = 0; i < ELEMENTSOF(tables); i++) {
		copy_rows(from, to, tables[i], "ASC");
		copy_rows(from, to, tables[i], "DESC");
	}
	find_layers(f, to);
	/* rows that hang in the air */
	(void)sqlite3_exec(to,
		"DELETE FROM image_names WHERE image NOT IN (SELECT id FROM images);"
		"DELETE FROM image_layers WHERE image NOT IN (SELECT id FROM images);"
		"DELETE FROM image_disks WHERE image NOT IN (SELECT id FROM images);"
		"DELETE FROM guest_uses WHERE guest NOT IN (SELECT id FROM guests);"
		"COMMIT;PRAGMA journal_mode=WAL",
		NULL, NULL, NULL);
	(void)sqlite3_close(to);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const parts[] = { "", "-wal", "-shm" };
		g_autofree char *old = g_strconcat(path, parts[i], NULL);

		if (access(old, F_OK) == 0 && !fsck_lose(f, old))
			return err_sys(e, -errno, "cannot move '%s' to '%s/lost'", old, f->c->root);
	}
	if (rename(fresh, path) < 0)
		return err_sys(e, -errno, "cannot rename '%s'", fresh);
	return 0;
}

int fsck_database(struct fsck *f, struct err *e)
{
	g_autofree char *path = store_path(f->c, "state.db");
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	_cleanup_close_ int lock = -1;
	const char *done = NULL;
	sqlite3 *db = NULL;
	int r = 0;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	lock = store_lock(f->c, "store", "schema", e);
	if (lock < 0)
		return lock;
	if (open_raw(path, &db) != SQLITE_OK)
		g_ptr_array_add(texts, g_strdup(sqlite3_errmsg(db)));
	else
		complaints(db, "PRAGMA integrity_check", texts);
	if (texts->len > 0 && f->repair) {
		store_close(f->c);
		r = rebuild(f, path, db, e);
		if (r >= 0)
			done = "what can be read was copied, the old one moved to 'lost'";
	}
	(void)sqlite3_close(db);
	for (unsigned i = 0; r >= 0 && i < texts->len; i++)
		fsck_say(f, done, "the records in '%s' are damaged: %s", path,
			(char *)texts->pdata[i]);
	return r;
}
