/* SPDX-License-Identifier: MIT */
/* Statements of SQLite: prepared once, arguments by a format, results as our codes. */
#include <string.h>
#include "store/store-priv.h"

static int db_code(struct store *s, int rc)
{
	int sys = s->db ? sqlite3_system_errno(s->db) : 0;

	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
		return -E_CORRUPT;
	case SQLITE_ERROR: /* "no such table": not our database */
		return -E_CORRUPT;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_TOOBIG:
		return -E_LIMIT;
	default:
		return sys > 0 ? -sys : -EIO;
	}
}

int db_error(struct store *s, int rc, struct err *e, const char *what)
{
	int code = db_code(s, rc);
	const char *words = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);

	if (code == -E_CORRUPT || code == -E_LIMIT || code == -EBUSY)
		err_set(e, code, "%s in '%s/state.db': %s", what, s->c->root, words);
	else
		err_sys(e, code, "%s in '%s/state.db'", what, s->c->root);
	if (code == -E_CORRUPT)
		(void)err_mend(e, "lodge fsck --repair");
	else if (code == -ENOSPC)
		(void)err_mend(
			e, "make room on that file system, for instance with 'lodge system prune'");
	else if (code == -EACCES)
		(void)err_mend(e, "run as the user who owns it, or set LODGE_ROOT");
	return code;
}

int db_corrupt(struct err *e, const char *kind, const char *name, const char *why)
{
	err_set(e, -E_CORRUPT, "the record of %s '%s' is damaged: %s", kind, name ? name : "?",
		why);
	(void)err_mend(e, "lodge fsck --repair");
	return -E_CORRUPT;
}

static int prepare(struct store *s, const char *sql, sqlite3_stmt **ret, struct err *e)
{
	unsigned i;
	int rc;

	for (i = 0; i < s->n_statements; i++)
		if (s->statement[i].sql == sql) {
			*ret = s->statement[i].stmt;
			return 0;
		}
	g_assert(i < STORE_STATEMENTS);
	rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	if (rc != SQLITE_OK)
		return db_error(s, rc, e, "cannot read the records");
	s->statement[i].sql = sql;
	s->statement[i].stmt = *ret;
	s->n_statements++;
	return 0;
}

/* The texts live until the statement is reset by db_run, or as long as the caller's (queries). */
static void bind(sqlite3_stmt *q, const char *format, va_list ap)
{
	for (int i = 1; *format; i++, format++)
		if (*format == 's') {
			const char *s = va_arg(ap, const char *);

			(void)sqlite3_bind_text(q, i, s, -1, SQLITE_TRANSIENT);
		} else {
			(void)sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
		}
}

int db_run(
	struct store *s, struct err *e, const char *what, const char *sql, const char *format, ...)
{
	sqlite3_stmt *q;
	va_list ap;
	int r, rc;

	r = prepare(s, sql, &q, e);
	if (r < 0)
		return r;
	va_start(ap, format);
	bind(q, format, ap);
	va_end(ap);
	do {
		rc = sqlite3_step(q);
	} while (rc == SQLITE_ROW);
	if (rc == SQLITE_DONE)
		r = sqlite3_changes(s->db);
	else if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
		r = -E_NOTFOUND;
	else if ((rc & 0xff) == SQLITE_CONSTRAINT)
		r = -E_EXISTS;
	else
		r = db_error(s, rc, e, what);
	(void)sqlite3_reset(q);
	(void)sqlite3_clear_bindings(q);
	return r;
}

int db_query(struct store *s, struct err *e, sqlite3_stmt **ret, const char *sql,
	const char *format, ...)
{
	va_list ap;
	int r;

	r = prepare(s, sql, ret, e);
	if (r < 0)
		return r;
	(void)sqlite3_reset(*ret);
	va_start(ap, format);
	bind(*ret, format, ap);
	va_end(ap);
	return 0;
}

int db_next(struct store *s, sqlite3_stmt *q, struct err *e)
{
	int rc = sqlite3_step(q), r;

	if (rc == SQLITE_ROW)
		return 1;
	r = rc == SQLITE_DONE ? 0 : db_error(s, rc, e, "cannot read the records");
	(void)sqlite3_reset(q);
	return r;
}

void db_resetp(sqlite3_stmt **q)
{
	if (*q)
		(void)sqlite3_reset(*q);
}

char *db_text(sqlite3_stmt *q, int column)
{
	return g_strdup((const char *)sqlite3_column_text(q, column));
}

int db_enter(struct store *s, bool *own, struct err *e)
{
	*own = sqlite3_get_autocommit(s->db);
	return *own ? store_begin(s, e) : 0;
}

int db_leave(struct store *s, bool own, int r, struct err *e)
{
	int q;

	if (!own)
		return r;
	if (r >= 0) {
		q = store_commit(s, e);
		if (q >= 0)
			return r;
		r = q;
	}
	store_rollback(s);
	return r;
}

char *db_names(struct store *s, const char *sql, const char *argument)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	GString *names = NULL;
	unsigned n = 0;

	if (db_query(s, NULL, &q, sql, "s", argument) < 0)
		return NULL;
	while (db_next(s, q, NULL) > 0) {
		if (!names)
			names = g_string_new(NULL);
		if (++n <= 3)
			g_string_append_printf(
				names, "%s'%s'", n > 1 ? ", " : "", sqlite3_column_text(q, 0));
	}
	if (n > 3)
		g_string_append_printf(names, " and %u more", n - 3);
	return names ? g_string_free(names, FALSE) : NULL;
}

bool is_hex(const char *s, size_t min, size_t max)
{
	size_t n = s ? strspn(s, "0123456789abcdef") : 0;

	return s && s[n] == '\0' && n >= min && n <= max;
}

bool is_digest(const char *s)
{
	return s && strncmp(s, "sha256:", 7) == 0 && is_hex(s + 7, 64, 64);
}
