/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STORE_PRIV_H
#define LODGE_STORE_PRIV_H

/*
 * Inside store/: the open database and the four verbs that records are written with.
 *
 * SQL texts are literals; a prepared statement is cached under its text's address. The arguments'
 * format has a letter each: "s" const char * (NULL: SQL's NULL), "i" int64_t.
 */

#include <sqlite3.h>
#include "base/ctx.h"
#include "base/err.h"
#include "base/macros.h"
#include "store/store.h"

#define STORE_SCHEMA	 2
#define STORE_STATEMENTS 96 /* distinct SQL texts in the program, at most */

struct store {
	sqlite3 *db;
	struct ctx *c; /* whose store it is */
	bool read_only;
	unsigned n_statements;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statement[STORE_STATEMENTS];
};

/* A code for the result that db has now, and the text "WHAT: SQLite's words" (with a mend where there
 * is one). */
int db_error(struct store *s, int rc, struct err *e, const char *what);

/* Runs sql to its end; returns the number of rows it changed, -E_EXISTS (no text) when a unique
 * constraint fails, -E_NOTFOUND (no text) when a foreign key does. */
int db_run(
	struct store *s, struct err *e, const char *what, const char *sql, const char *format, ...);

/* Begins a query; db_next returns 1 for each row, 0 at the end. A query that isn't read to its end must
 * be reset, since it holds a snapshot: use _cleanup_(db_resetp). */
int db_query(struct store *s, struct err *e, sqlite3_stmt **ret, const char *sql,
	const char *format, ...);
int db_next(struct store *s, sqlite3_stmt *q, struct err *e);
void db_resetp(sqlite3_stmt **q);

/* A copy of a column, NULL for SQL's NULL. */
char *db_text(sqlite3_stmt *q, int column);

/* Joins the caller's transaction, or begins one and sets *own. db_leave commits an own one for r >= 0 and
 * rolls it back for r < 0; returns r, or why the commit failed. */
int db_enter(struct store *s, bool *own, struct err *e);
int db_leave(struct store *s, bool own, int r, struct err *e);

/* -E_CORRUPT, with the record's name and the mend. */
int db_corrupt(struct err *e, const char *kind, const char *name, const char *why);

/* The first column of a query with one argument as "'a', 'b'", at most three and a count; NULL: no row.
 * For the texts of -E_INUSE. Caller frees. */
char *db_names(struct store *s, const char *sql, const char *argument);

/* "sha256:" and 64 hexadecimal digits. */
bool is_digest(const char *s);
bool is_hex(const char *s, size_t min, size_t max); /* lower case, whole string */

/* Folders below ROOT, with their modes; made with the store. */
struct store_folder {
	const char *name;
	unsigned mode;
};
extern const struct store_folder store_folders[]; /* ends with a NULL name */

/* Makes an empty database at path (which isn't there), with the schema. For fsck. */
int store_make_database(const char *path, sqlite3 **ret, struct err *e);

#endif
