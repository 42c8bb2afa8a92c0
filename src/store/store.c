/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "store/journal.h"
#include "store/store-priv.h"

#define BUSY_MS 20000 /* how long another command's transaction is waited for */
/* Pages of the write-ahead log that make a checkpoint. It stays small, since the first command after
 * a pause reads it whole. */
#define WAL_PAGES 60

/* A guest with a user namespace mounts its layers and its volumes by paths through here, so the
 * folders on such a path can be passed by everybody and listed by nobody. */
const struct store_folder store_folders[] = {
	{ "blobs", 0700 },
	{ "blobs/sha256", 0700 },
	{ "cache", 0711 },
	{ "disks", 0711 },
	{ "guests", 0711 },
	{ "journal", 0700 },
	{ "layers", 0711 },
	{ "volumes", 0711 },
	{ NULL, 0 },
};

/* Upgrades: text n brings a database of version n to n + 1. Version 0 is an empty one. */
static const char *const upgrades[] = {
	"CREATE TABLE images("
	"id TEXT PRIMARY KEY, manifest TEXT, size INTEGER NOT NULL, created INTEGER NOT NULL,"
	"added INTEGER NOT NULL, arch TEXT NOT NULL, os TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE image_names("
	"name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE) "
	"WITHOUT ROWID;"
	"CREATE INDEX image_names_image ON image_names(image);"
	"CREATE TABLE image_layers("
	"image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL,"
	"layer TEXT NOT NULL, PRIMARY KEY(image, position)) WITHOUT ROWID;"
	"CREATE INDEX image_layers_layer ON image_layers(layer);"
	"CREATE TABLE layers("
	"digest TEXT PRIMARY KEY, size INTEGER NOT NULL, tar_size INTEGER NOT NULL,"
	"created INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE guests("
	"id TEXT PRIMARY KEY, realm TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
	"engine TEXT NOT NULL, image TEXT REFERENCES images(id), image_name TEXT,"
	"created INTEGER NOT NULL, auto_remove INTEGER NOT NULL, wanted INTEGER NOT NULL,"
	"doc TEXT NOT NULL, spec TEXT NOT NULL);"
	"CREATE UNIQUE INDEX guests_name ON guests(realm, name);"
	"CREATE TABLE guest_uses("
	"guest TEXT NOT NULL REFERENCES guests(id) ON DELETE CASCADE, kind TEXT NOT NULL,"
	"what TEXT NOT NULL, PRIMARY KEY(guest, kind, what)) WITHOUT ROWID;"
	"CREATE INDEX guest_uses_what ON guest_uses(kind, what);"
	"CREATE TABLE volumes("
	"name TEXT PRIMARY KEY, driver TEXT NOT NULL, doc TEXT NOT NULL, created INTEGER NOT NULL,"
	"anonymous INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE networks("
	"id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, bridge TEXT,"
	"subnet TEXT, gateway TEXT, subnet6 TEXT, gateway6 TEXT, parent TEXT, doc TEXT NOT NULL,"
	"internal INTEGER NOT NULL, mtu INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;",

	"CREATE TABLE image_disks("
	"image TEXT PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE, digest TEXT NOT NULL,"
	"format TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX image_disks_digest ON image_disks(digest);",
};
_Static_assert(ELEMENTSOF(upgrades) == STORE_SCHEMA, "one upgrade for each version");

/* Explain may not upgrade: tables that an older store hasn't are empty for it. */
static const char missing_tables[] =
	"CREATE TEMP TABLE image_disks(image TEXT PRIMARY KEY, digest TEXT, format TEXT, size "
	"INTEGER)";

char *store_path(struct ctx *c, const char *fmt, ...)
{
	g_autofree char *tail = NULL;
	va_list ap;

	va_start(ap, fmt);
	tail = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	return g_strconcat(c->root, "/", tail, NULL);
}

char *store_run_path(struct ctx *c, const char *fmt, ...)
{
	g_autofree char *tail = NULL;
	va_list ap;

	va_start(ap, fmt);
	tail = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	return g_strconcat(c->run, "/", tail, NULL);
}

/* SQLite's own handler sleeps up to 100 ms at a time; our transactions take a tenth of a millisecond, and
 * a hundred commands at once must not wait in steps of that size. */
static int busy(void *data, int count)
{
	static const unsigned step_us[] = { 100, 200, 500, 1000, 2000 };
	unsigned i = count < 25 ? (unsigned)count / 5 : ELEMENTSOF(step_us) - 1;
	struct timespec t = { 0 };

	if (count > 25 + BUSY_MS / 2)
		return 0;
	/* the process id spreads those who wait */
	t.tv_nsec = (long)step_us[i] * (1000 + (long)getpid() % 500);
	(void)nanosleep(&t, NULL);
	return 1;
}

static int exec_sql(sqlite3 *db, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL) & 0xff;
	const char *path = sqlite3_db_filename(db, "main");

	if (rc == SQLITE_OK)
		return 0;
	path = path ? path : "";
	if (rc != SQLITE_FULL)
		return err_set(e, rc == SQLITE_BUSY ? -EBUSY : -EIO,
			"cannot set up the records in '%s': %s", path, sqlite3_errmsg(db));
	err_sys(e, -ENOSPC, "cannot set up the records in '%s'", path);
	(void)err_mend(e, "make room on that file system");
	return -ENOSPC;
}

static int get_version(struct store *s, int *ret, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc;

	rc = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		*ret = sqlite3_column_int(q, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(q);
	return rc == SQLITE_OK ? 0 : db_error(s, rc, e, "cannot read the records");
}

static int upgrade(sqlite3 *db, int from, struct err *e)
{
	g_autofree char *set = g_strdup_printf("PRAGMA user_version=%d", STORE_SCHEMA);
	int r;

	r = exec_sql(db, "BEGIN IMMEDIATE", e);
	for (int v = from; r >= 0 && v < STORE_SCHEMA; v++)
		r = exec_sql(db, upgrades[v], e);
	if (r >= 0)
		r = exec_sql(db, set, e);
	if (r >= 0)
		r = exec_sql(db, "COMMIT", e);
	if (r < 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int store_make_database(const char *path, sqlite3 **ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(e, -errno, "cannot make '%s'", path);
	if (sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
		SQLITE_OK) {
		sqlite3_close(*ret);
		*ret = NULL;
		return err_set(e, -EIO, "cannot open '%s'", path);
	}
	sqlite3_busy_handler(*ret, busy, NULL);
	r = exec_sql(*ret, "PRAGMA journal_mode=WAL", e);
	if (r >= 0)
		r = upgrade(*ret, 0, e);
	if (r < 0) {
		sqlite3_close(*ret);
		*ret = NULL;
	}
	return r;
}

static void close_db(struct store *s)
{
	for (unsigned i = 0; i < s->n_statements; i++)
		sqlite3_finalize(s->statement[i].stmt);
	s->n_statements = 0;
	sqlite3_close(s->db);
	s->db = NULL;
}

static int keep_owner(int fd, uid_t uid, gid_t gid)
{
	return 0;
}

/* SQLite gives the log the database's owner at each opening, as root. Who only reads changes nothing. */
static void never_chown(void)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	if (vfs && vfs->iVersion >= 3)
		(void)vfs->xSetSystemCall(vfs, "fchown", (sqlite3_syscall_ptr)keep_owner);
}

/*
 * SQLite opens a file for reading when it can't open it for writing, also when it wasn't there yet and
 * another command makes it between the two: that one is opened again.
 */
static int open_file(const char *name, int flags, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(name, ret, flags, NULL);

	if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_READWRITE) ||
		!sqlite3_db_readonly(*ret, "main"))
		return rc;
	sqlite3_close(*ret);
	return sqlite3_open_v2(name, ret, flags, NULL);
}

/* Opens a database that is there. Returns -ENOENT, without a text, when it isn't. */
static int open_db(struct store *s, const char *path, struct err *e)
{
	int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, rc, on = 1, r;
	g_autofree char *uri = NULL;

	if (s->read_only) {
		g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);

		never_chown();
		uri = g_strdup_printf("file:%s?mode=ro&readonly_shm=1", escaped);
		flags |= SQLITE_OPEN_URI;
	}
	rc = open_file(uri ? uri : path, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
		&s->db);
	if (rc != SQLITE_OK) {
		if (access(path, F_OK) < 0 && errno == ENOENT)
			r = -ENOENT;
		else
			r = db_error(s, rc, e, "cannot open the records");
		close_db(s);
		return r;
	}
	sqlite3_busy_handler(s->db, busy, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	/* The last one to close would copy the log into the database and wait for the disk, at the
	 * end of every command. */
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	return 0;
}

static int make_folder(const char *path, unsigned mode, struct err *e)
{
	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(e, -errno, "cannot make '%s'", path);
	}
	/* whatever the umask says */
	if (chmod(path, mode) < 0)
		return err_sys(e, -errno, "cannot make '%s'", path);
	return 0;
}

static int make_parents(const char *path, struct err *e)
{
	g_autofree char *up = g_path_get_dirname(path);

	if (g_mkdir_with_parents(up, 0755) < 0)
		return err_sys(e, -errno, "cannot make '%s'", up);
	return 0;
}

/* Makes the store, or brings it to this version. One command does, the others wait. */
static int make_store(struct store *s, const char *path, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r, version;

	lock = store_lock(s->c, "store", "schema", e);
	if (lock < 0)
		return lock;
	r = make_parents(s->c->root, e);
	if (r >= 0)
		r = make_folder(s->c->root, 0711, e);
	for (unsigned i = 0; r >= 0 && store_folders[i].name; i++) {
		g_autofree char *folder = store_path(s->c, "%s", store_folders[i].name);

		r = make_folder(folder, store_folders[i].mode, e);
	}
	if (r < 0)
		return r;
	if (!s->db) {
		r = open_db(s, path, e);
		if (r == -ENOENT) {
			sqlite3 *db = NULL;

			r = store_make_database(path, &db, e);
			sqlite3_close(db);
			if (r >= 0)
				r = open_db(s, path, e);
		}
		if (r < 0)
			return r;
	}
	r = get_version(s, &version, e);
	if (r < 0 || version == STORE_SCHEMA)
		return r;
	r = exec_sql(s->db, "PRAGMA journal_mode=WAL", e);
	return r < 0 ? r : upgrade(s->db, version, e);
}

static int open_memory(struct store *s, struct err *e)
{
	if (sqlite3_open_v2(":memory:", &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return err_set(e, -ENOMEM, "cannot make records in memory");
	return upgrade(s->db, 0, e);
}

static int open_store(struct store *s, bool make, struct err *e)
{
	g_autofree char *path = store_path(s->c, "state.db");
	int r, version;

	r = open_db(s, path, e);
	if (r == -ENOENT) {
		if (!make)
			return err_set(e, -E_NOTFOUND, "nothing is stored in '%s' yet", s->c->root);
		/* explain changes nothing, and shows what would be done with an empty store */
		return s->read_only ? open_memory(s, e) : make_store(s, path, e);
	}
	if (r < 0)
		return r;
	r = get_version(s, &version, e);
	if (r < 0)
		return r;
	if (version > STORE_SCHEMA) {
		err_set(e, -E_UNSUPPORTED,
			"the records in '%s' are of version %d, and this lodge knows version %d",
			s->c->root, version, STORE_SCHEMA);
		(void)err_mend(e, "use the newer lodge that wrote them");
		return -E_UNSUPPORTED;
	}
	if (version < STORE_SCHEMA)
		return s->read_only ? exec_sql(s->db, missing_tables, e) : make_store(s, path, e);
	return 0;
}

/*
 * After a commit. SQLite's own checkpoint would copy the log but leave it as long as it is, for the next
 * writer of the same process to begin anew; ours are over by then, and each would find a longer log. So it
 * is cut to nothing, unless somebody reads it just now: then the next command does that.
 */
static int shorten_log(void *data, sqlite3 *db, const char *name, int pages)
{
	if (pages < WAL_PAGES)
		return SQLITE_OK;
	sqlite3_busy_handler(db, NULL, NULL);
	(void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_handler(db, busy, NULL);
	return SQLITE_OK;
}

static int get(struct ctx *c, bool make, struct store **ret, struct err *e)
{
	struct store *s;
	int r;

	if (c->store) {
		*ret = c->store;
		return 0;
	}
	s = g_new0(struct store, 1);
	s->c = c;
	s->read_only = c->explain;
	r = open_store(s, make, e);
	if (r >= 0 && !s->read_only) {
		r = exec_sql(s->db, "PRAGMA synchronous=NORMAL", e);
		(void)sqlite3_wal_hook(s->db, shorten_log, NULL);
	}
	if (r < 0) {
		close_db(s);
		g_free(s);
		return r;
	}
	c->store = s;
	if (!s->read_only) {
		r = journal_recover(c, e);
		if (r < 0) {
			store_close(c);
			return r;
		}
	}
	*ret = s;
	return 0;
}

int store_get(struct ctx *c, struct store **ret, struct err *e)
{
	return get(c, true, ret, e);
}

int store_get_existing(struct ctx *c, struct store **ret, struct err *e)
{
	return get(c, false, ret, e);
}

void store_close(struct ctx *c)
{
	if (!c->store)
		return;
	close_db(c->store);
	g_free(c->store);
	c->store = NULL;
}

int store_begin(struct store *s, struct err *e)
{
	int r = db_run(s, e, "cannot begin a transaction", "BEGIN IMMEDIATE", "");

	return r < 0 ? r : 0;
}

int store_commit(struct store *s, struct err *e)
{
	int r = db_run(s, e, "cannot write the records", "COMMIT", "");

	return r < 0 ? r : 0;
}

void store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		(void)db_run(s, NULL, "", "ROLLBACK", "");
}
