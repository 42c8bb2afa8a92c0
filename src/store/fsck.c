/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "host/path.h"
#include "store/blob.h"
#include "store/disk.h"
#include "store/fsck-priv.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/partial.h"

#define LOOKS_MAX 5    /* further ones, while others change what is looked at */
#define WAIT_MS	  1000 /* for them to end */

/* Adds a problem; `mended`: what was done about it, or NULL when it is still there. */
void fsck_say(struct fsck *f, const char *mended, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	if (mended) {
		g_ptr_array_add(f->problems, g_strdup_printf("%s (%s)", text, mended));
	} else {
		g_ptr_array_add(f->problems, g_steal_pointer(&text));
		f->left++;
	}
}

const char *fsck_lose(struct fsck *f, const char *path)
{
	g_autofree char *folder = store_path(f->c, "lost"), *name = g_path_get_basename(path);
	g_autofree char *to = NULL;

	if (!f->repair)
		return NULL;
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return NULL;
	to = g_strdup_printf("%s/%s.%" G_GINT64_FORMAT, folder, name, g_get_real_time());
	return rename(path, to) < 0 ? NULL : "moved to 'lost'";
}

const char *fsck_remove(struct fsck *f, const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
	_cleanup_close_ int fd = -1;

	if (!f->repair)
		return NULL;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || path_remove_tree(fd, name) < 0 ? NULL : "removed";
}

/* Whether a command that lives is at work on a thing of this name: its plan has it as an argument. */
static bool is_busy(struct fsck *f, const char *name)
{
	for (unsigned i = 0; i < f->live_plans->len; i++) {
		GBytes *b = f->live_plans->pdata[i];
		size_t size;
		const void *data = g_bytes_get_data(b, &size);

		if (memmem(data, size, name, strlen(name)))
			return true;
	}
	return false;
}

static void read_live_plans(struct fsck *f)
{
	g_autofree char *folder = store_path(f->c, "journal");
	DIR *d = opendir(folder);
	struct dirent *x;

	if (!d)
		return;
	while ((x = readdir(d))) {
		g_autofree char *path = g_strconcat(folder, "/", x->d_name, NULL);
		char *data;
		gsize size;

		if (x->d_name[0] != '.' && journal_owner_lives(x->d_name) &&
			g_file_get_contents(path, &data, &size, NULL))
			g_ptr_array_add(f->live_plans, g_bytes_new_take(data, size));
	}
	(void)closedir(d);
}

/* Calls cb for each entry of ROOT/folder; what isn't there has none. */
static int for_each_in(struct fsck *f, const char *folder,
	void (*cb)(struct fsck *f, const char *path, const char *name), struct err *e)
{
	g_autofree char *path = store_path(f->c, "%s", folder);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	DIR *d = opendir(path);
	struct dirent *x;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", path);
	while ((x = readdir(d)))
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
			g_ptr_array_add(names, g_strdup(x->d_name));
	(void)closedir(d);
	for (unsigned i = 0; i < names->len; i++) {
		g_autofree char *entry = g_strconcat(path, "/", names->pdata[i], NULL);

		cb(f, entry, names->pdata[i]);
	}
	return 0;
}

static bool is_empty_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *x;
	bool empty = true;

	if (!d)
		return errno == ENOENT;
	while (empty && (x = readdir(d)))
		empty = strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0;
	(void)closedir(d);
	return empty;
}

static bool has(struct fsck *f, const char *sql, const char *argument)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;

	return db_query(f->s, NULL, &q, sql, "s", argument) >= 0 && db_next(f->s, q, NULL) > 0;
}

/* --- records ------------------------------------------------------------------------------------- */

static void check_guest(struct fsck *f, const char *id, const char *name, const char *why)
{
	g_autofree char *folder = NULL;
	const char *done = NULL;

	if (f->repair && is_hex(id, 64, 64)) {
		folder = store_path(f->c, "guests/%s", id);
		(void)fsck_lose(f, folder);
	}
	if (f->repair && db_run(f->s, NULL, "", "DELETE FROM guests WHERE id IS ?", "s", id) > 0)
		done = folder ? "removed, its files moved to 'lost'" : "removed";
	fsck_say(f, done, "the record of guest '%s' is damaged: %s",
		name ? name
		: id ? id
		     : "?",
		why);
}

static const char *bad_json(const char *text)
{
	json_error_t error;
	json_t *j = json_loads(text ? text : "", 0, &error);
	bool ok = json_is_object(j);

	json_decref(j);
	return ok ? NULL : "isn't a JSON object";
}

struct row {
	char *id, *name, *doc, *spec, *image;
};

static void row_free(struct row *r)
{
	g_free(r->id);
	g_free(r->name);
	g_free(r->doc);
	g_free(r->spec);
	g_free(r->image);
	g_free(r);
}

/* All rows of up to five text columns, so that they can be changed while we go through them. */
static int read_rows(struct fsck *f, const char *sql, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)row_free);
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	int r;

	r = db_query(f->s, e, &q, sql, "");
	if (r < 0)
		return r;
	while ((r = db_next(f->s, q, e)) > 0) {
		struct row *row = g_new0(struct row, 1);

		row->id = db_text(q, 0);
		row->name = db_text(q, 1);
		row->doc = db_text(q, 2);
		row->spec = db_text(q, 3);
		row->image = db_text(q, 4);
		g_ptr_array_add(rows, row);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&rows);
	return 0;
}

static int check_guests(struct fsck *f, struct err *e)
{
	g_autoptr(GPtrArray) rows = NULL;
	int r;

	r = read_rows(f, "SELECT id,name,doc,spec,image FROM guests", &rows, e);
	for (unsigned i = 0; r >= 0 && i < rows->len; i++) {
		struct row *g = rows->pdata[i];
		g_autofree char *folder = store_path(f->c, "guests/%s", g->id ? g->id : "?");

		if (!is_hex(g->id, 64, 64)) {
			check_guest(f, g->id, g->name, "its id isn't one");
		} else if (is_busy(f, g->id)) {
			continue;
		} else if (bad_json(g->spec)) {
			check_guest(f, g->id, g->name, "its spec isn't a JSON object");
		} else if (g->image && !has(f, "SELECT 1 FROM images WHERE id=?", g->image)) {
			fsck_say(f, NULL, "guest '%s' has the image '%.19s', which isn't there",
				g->name, g->image);
		} else if (access(folder, F_OK) < 0) {
			const char *done = NULL;

			if (f->repair && store_guest_remove(f->s, g->id, NULL) >= 0)
				done = "its record removed";
			fsck_say(f, done, "guest '%s' has no folder '%s'", g->name, folder);
		} else if (bad_json(g->doc)) {
			const char *done = NULL;

			if (f->repair &&
				db_run(f->s, NULL, "", "UPDATE guests SET doc='{}' WHERE id=?", "s",
					g->id) > 0)
				done = "emptied";
			fsck_say(
				f, done, "the document of guest '%s' isn't a JSON object", g->name);
		}
	}
	return r;
}

/* Documents of volumes and networks: what is in them (labels, options) can be lived without. */
static int check_docs(
	struct fsck *f, const char *kind, const char *select, const char *update, struct err *e)
{
	g_autoptr(GPtrArray) rows = NULL;
	int r;

	r = read_rows(f, select, &rows, e);
	for (unsigned i = 0; r >= 0 && i < rows->len; i++) {
		struct row *v = rows->pdata[i];
		const char *done = NULL;

		if (!bad_json(v->doc))
			continue;
		if (f->repair && db_run(f->s, NULL, "", update, "s", v->name) > 0)
			done = "emptied";
		fsck_say(f, done, "the document of %s '%s' isn't a JSON object", kind, v->name);
	}
	return r;
}

static bool missing_disk(struct fsck *f, const char *image)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	g_autofree char *path = NULL;
	const char *digest, *format;

	if (db_query(f->s, NULL, &q, "SELECT digest,format FROM image_disks WHERE image=?", "s",
		    image) < 0 ||
		db_next(f->s, q, NULL) <= 0)
		return false;
	digest = (const char *)sqlite3_column_text(q, 0);
	format = (const char *)sqlite3_column_text(q, 1);
	if (!is_digest(digest) || !disk_is_format(format))
		return true;
	path = disk_path(f->c, digest, format);
	return access(path, F_OK) < 0;
}

/* Why an image can't be used, or NULL. Caller frees. */
static char *broken_image(struct fsck *f, const struct row *i)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;
	struct err why = { 0 };

	if (!is_digest(i->id))
		return g_strdup("its id isn't a digest");
	for (int k = 0; k < 2; k++) {
		const char *blob = k == 0 ? i->id : i->name;
		g_autofree char *data = NULL;

		if (blob && blob_read(f->c, blob, &data, NULL, &why) < 0)
			return g_strdup(why.text);
	}
	if (db_query(f->s, NULL, &q, "SELECT layer FROM image_layers WHERE image=?", "s", i->id) <
		0)
		return NULL;
	if (missing_disk(f, i->id))
		return g_strdup("its disk isn't there");
	while (db_next(f->s, q, NULL) > 0) {
		const char *layer = (const char *)sqlite3_column_text(q, 0);
		g_autofree char *file = NULL, *folder = NULL;

		if (!is_digest(layer))
			return g_strdup("a layer isn't a digest");
		file = store_path(f->c, "layers/%s.erofs", layer + 7);
		folder = store_path(f->c, "layers/%s", layer + 7);
		if (!has(f, "SELECT 1 FROM layers WHERE digest=?", layer) ||
			(access(file, F_OK) < 0 && access(folder, F_OK) < 0))
			return g_strdup_printf("its layer '%.19s' isn't there", layer);
	}
	return NULL;
}

/* Rows that name a row that isn't there: only a damaged database has them. */
static void check_orphans(struct fsck *f)
{
	static const char *const sql[][2] = {
		{ "SELECT 1 FROM image_names WHERE image NOT IN (SELECT id FROM images) AND ?1 IS "
		  "NULL",
			"DELETE FROM image_names WHERE image NOT IN (SELECT id FROM images)" },
		{ "SELECT 1 FROM image_layers WHERE image NOT IN (SELECT id FROM images) AND ?1 IS "
		  "NULL",
			"DELETE FROM image_layers WHERE image NOT IN (SELECT id FROM images)" },
		{ "SELECT 1 FROM image_disks WHERE image NOT IN (SELECT id FROM images) AND ?1 IS "
		  "NULL",
			"DELETE FROM image_disks WHERE image NOT IN (SELECT id FROM images)" },
		{ "SELECT 1 FROM guest_uses WHERE guest NOT IN (SELECT id FROM guests) AND ?1 IS "
		  "NULL",
			"DELETE FROM guest_uses WHERE guest NOT IN (SELECT id FROM guests)" },
	};

	for (unsigned i = 0; i < ELEMENTSOF(sql); i++)
		if (has(f, sql[i][0], NULL))
			fsck_say(f,
				f->repair && db_run(f->s, NULL, "", sql[i][1], "") > 0 ? "removed"
										       : NULL,
				"there are records of names, layers, disks or uses without their "
				"image or guest");
}

static int check_images(struct fsck *f, struct err *e)
{
	g_autoptr(GPtrArray) rows = NULL;
	int r;

	r = read_rows(f, "SELECT id,manifest FROM images", &rows, e);
	for (unsigned i = 0; r >= 0 && i < rows->len; i++) {
		struct row *row = rows->pdata[i];
		g_autofree char *why = broken_image(f, row);
		const char *done = NULL;

		if (!why)
			continue;
		if (f->repair && store_image_remove(f->s, row->id, NULL) >= 0)
			done = "its record removed";
		fsck_say(f, done, "image '%.19s' is damaged: %s", row->id, why);
	}
	return r;
}

/* --- files --------------------------------------------------------------------------------------- */

static void check_top(struct fsck *f, const char *path, const char *name)
{
	static const char *const known[] = { "state.db", "state.db-wal", "state.db-shm", "lost",
		"kernels" };

	for (unsigned i = 0; i < ELEMENTSOF(known); i++)
		if (strcmp(name, known[i]) == 0)
			return;
	for (unsigned i = 0; store_folders[i].name; i++)
		if (strcmp(name, store_folders[i].name) == 0)
			return;
	fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
}

static void check_blobs_folder(struct fsck *f, const char *path, const char *name)
{
	if (strcmp(name, "sha256") != 0)
		fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
}

static void check_blob(struct fsck *f, const char *path, const char *name)
{
	g_autofree char *digest = g_strconcat("sha256:", name, NULL), *data = NULL;
	struct err why = { 0 };

	if (partial_is_name(name)) {
		; /* a download that is gone on with */
	} else if (g_str_has_suffix(name, ".part")) {
		if (!journal_owner_lives(name))
			fsck_say(f, fsck_remove(f, path), "'%s' is half-written", path);
	} else if (!is_digest(digest)) {
		fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
	} else if (!has(f, "SELECT 1 FROM images WHERE ?1 IN (id, manifest)", digest)) {
		if (f->may_collect)
			fsck_say(f, fsck_remove(f, path), "no image names '%s'", path);
	} else if (blob_read(f->c, digest, &data, NULL, &why) < 0) {
		/* removed only when no guest's image is left that names it, see check_images */
		fsck_say(f, NULL, "%s", why.text);
	}
}

static void check_layer_file(struct fsck *f, const char *path, const char *name)
{
	g_autofree char *hex = g_strndup(name, 64);
	g_autofree char *digest = g_strconcat("sha256:", hex, NULL);

	if (!is_digest(digest)) {
		/* being written: layers have no other names while they grow, see layer.h */
		if (f->may_collect && !journal_owner_lives(name))
			fsck_say(f, fsck_remove(f, path), "'%s' is half-written", path);
		else if (f->may_collect)
			fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
	} else if (f->may_collect && !has(f, "SELECT 1 FROM layers WHERE digest=?", digest)) {
		fsck_say(f, fsck_remove(f, path), "no record knows the layer's file '%s'", path);
	}
}

static int check_layers(struct fsck *f, struct err *e)
{
	unsigned flags =
		(f->repair ? LAYER_FSCK_REPAIR : 0) | (f->may_collect ? LAYER_FSCK_COLLECT : 0);
	g_autoptr(GPtrArray) unused = NULL;
	int64_t bytes;
	int r;

	r = for_each_in(f, "layers", check_layer_file, e);
	if (r >= 0)
		r = layer_fsck(f->c, flags | LAYER_FSCK_VERIFY, f->problems, e);
	if (r > 0)
		f->left += (unsigned)r;
	if (r < 0 || !f->may_collect)
		return r;
	r = store_layer_unused(f->s, &unused, e);
	for (unsigned i = 0; r >= 0 && i < unused->len; i++)
		fsck_say(f, f->repair ? "removed" : NULL, "no image names the layer '%.19s'",
			(char *)unused->pdata[i]);
	return r < 0 || !f->repair || unused->len == 0 ? r : layer_collect(f->c, &bytes, e);
}

static void check_disk_file(struct fsck *f, const char *path, const char *name)
{
	g_autofree char *hex = g_strndup(name, 64);
	g_autofree char *digest = g_strconcat("sha256:", hex, NULL);
	struct err why = { 0 };

	if (!is_digest(digest) || name[64] != '.' || !disk_is_format(name + 65)) {
		fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
	} else if (!has(f, "SELECT 1 FROM image_disks WHERE digest=?", digest)) {
		if (f->may_collect)
			fsck_say(f, fsck_remove(f, path), "no image names '%s'", path);
	} else if (disk_verify(path, digest, &why) < 0) {
		/* it may be all that is left of a guest's data: never removed */
		fsck_say(f, NULL, "%s", why.text);
	}
}

static void check_guest_folder(struct fsck *f, const char *path, const char *name)
{
	g_autofree char *upper = g_strconcat(path, "/upper", NULL);

	if (!is_hex(name, 64, 64)) {
		fsck_say(f, fsck_lose(f, path), "unknown file '%s'", path);
	} else if (!has(f, "SELECT 1 FROM guests WHERE id=?", name) && !is_busy(f, name)) {
		const char *done =
			is_empty_folder(upper) ? fsck_remove(f, path) : fsck_lose(f, path);

		fsck_say(f, done, "no record knows the guest's folder '%s'", path);
	}
}

static void check_volume_folder(struct fsck *f, const char *path, const char *name)
{
	if (!has(f, "SELECT 1 FROM volumes WHERE name=?", name) && !is_busy(f, name))
		fsck_say(f, is_empty_folder(path) ? fsck_remove(f, path) : fsck_lose(f, path),
			"no record knows the volume's folder '%s'", path);
}

static int check_volumes(struct fsck *f, struct err *e)
{
	g_autoptr(GPtrArray) rows = NULL;
	int r;

	r = read_rows(f, "SELECT name,name,driver FROM volumes", &rows, e);
	for (unsigned i = 0; r >= 0 && i < rows->len; i++) {
		struct row *v = rows->pdata[i];
		g_autofree char *path = store_path(f->c, "volumes/%s", v->name);

		if (g_strcmp0(v->doc, "local") != 0 || access(path, F_OK) == 0 ||
			is_busy(f, v->name))
			continue;
		fsck_say(f, f->repair && mkdir(path, 0755) == 0 ? "made, empty" : NULL,
			"volume '%s' has no folder '%s'", v->name, path);
	}
	return r;
}

/* They are made in ".OWNER" and get their name when they are whole (engine/vm/kernel.c). */
static void check_kernel(struct fsck *f, const char *path, const char *name)
{
	static const char *const files[] = { "source", "bzImage", "initrd", "modules" };

	if (name[0] == '.') {
		if (!journal_owner_lives(name + 1))
			fsck_say(f, fsck_remove(f, path), "'%s' is half-written", path);
		return;
	}
	for (unsigned i = 0; i < ELEMENTSOF(files); i++) {
		g_autofree char *file = g_strdup_printf("%s/%s", path, files[i]);

		if (access(file, F_OK) < 0) {
			fsck_say(f, fsck_remove(f, path), "the kernel '%s' lacks '%s'", path,
				files[i]);
			return;
		}
	}
}

static int check_all(struct fsck *f, struct err *e)
{
	int r;

	check_orphans(f);
	r = check_images(f, e);
	if (r >= 0)
		r = check_guests(f, e);
	if (r >= 0)
		r = check_docs(f, "volume", "SELECT name,name,doc FROM volumes",
			"UPDATE volumes SET doc='{}' WHERE name=?", e);
	if (r >= 0)
		r = check_docs(f, "network", "SELECT name,name,doc FROM networks",
			"UPDATE networks SET doc='{}' WHERE name=?", e);
	if (r >= 0)
		r = for_each_in(f, "", check_top, e);
	if (r >= 0)
		r = for_each_in(f, "blobs", check_blobs_folder, e);
	if (r >= 0)
		r = for_each_in(f, "blobs/sha256", check_blob, e);
	if (r >= 0)
		r = check_layers(f, e);
	if (r >= 0)
		r = for_each_in(f, "disks", check_disk_file, e);
	if (r >= 0)
		r = for_each_in(f, "guests", check_guest_folder, e);
	if (r >= 0)
		r = for_each_in(f, "volumes", check_volume_folder, e);
	if (r >= 0)
		r = check_volumes(f, e);
	if (r >= 0)
		r = for_each_in(f, "kernels", check_kernel, e);
	return r;
}

/*
 * The lock under which content may be removed, or -EAGAIN. A command that was killed may still be on its way out when
 * the store is opened, with its plan in the journal: so the journal is looked at once more when nobody adds content.
 */
static int lock_content(struct ctx *c, struct err *e)
{
	int lock = store_lock_flags(c, "content", "collect", LOCK_TRY, e);

	if (lock < 0)
		return lock;
	(void)close(lock);
	(void)journal_recover(c, NULL);
	return store_lock_flags(c, "content", "collect", LOCK_TRY, e);
}

static int look(struct fsck *f, struct err *e)
{
	_cleanup_close_ int lock = lock_content(f->c, e);
	unsigned before;
	int r;

	if (lock < 0 && lock != -EAGAIN)
		return lock;
	f->may_collect = lock >= 0;
	g_ptr_array_set_size(f->live_plans, 0);
	read_live_plans(f);
	r = check_all(f, e);
	/* what is undone there wants the lock for itself */
	closep(&lock);
	lock = -1;
	if (r < 0)
		return r;
	before = f->problems->len;
	r = journal_fsck(f->c, f->problems, e);
	f->left += f->problems->len - before;
	return r;
}

/* Changes with each transaction of another process; "" when it can't be said. */
static char *data_version(struct fsck *f)
{
	_cleanup_(db_resetp) sqlite3_stmt *q = NULL;

	if (db_query(f->s, NULL, &q, "PRAGMA data_version", "") < 0 || db_next(f->s, q, NULL) <= 0)
		return g_strdup("");
	return g_strdup((const char *)sqlite3_column_text(q, 0));
}

/* Until no living command has a plan any more, but not for long: one that gets an image has its for hours. */
static void wait_for_living(struct fsck *f)
{
	for (int ms = 0; ms < WAIT_MS; ms += 20) {
		g_ptr_array_set_size(f->live_plans, 0);
		read_live_plans(f);
		if (f->live_plans->len == 0)
			return;
		g_usleep(20000);
	}
}

/* Of the problems from `first` on those that are in `known`, too; nothing was mended. */
static void keep_known(struct fsck *f, unsigned first, const GPtrArray *known)
{
	for (unsigned i = first; i < f->problems->len;) {
		if (g_ptr_array_find_with_equal_func(
			    (GPtrArray *)known, f->problems->pdata[i], g_str_equal, NULL))
			i++;
		else
			g_ptr_array_remove_index(f->problems, i);
	}
	f->left = f->problems->len - first;
}

int store_fsck(struct ctx *c, bool repair, GPtrArray *problems, struct err *e)
{
	struct fsck f = { .c = c, .repair = repair, .problems = problems };
	g_autoptr(GPtrArray) live = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	g_autoptr(GPtrArray) last = g_ptr_array_new_with_free_func(g_free);
	unsigned kept;
	int r;

	if (access(c->root, F_OK) < 0 && errno == ENOENT)
		return 0;
	f.live_plans = live;
	r = fsck_database(&f, e);
	if (r < 0)
		return r;
	if (f.left > 0) /* nothing can be compared with records that can't be read */
		return (int)f.left;
	r = store_get(c, &f.s, e);
	if (r < 0)
		return r;
	kept = problems->len;
	/*
	 * Records and files are read one after the other, and what a command removes meanwhile, or leaves to the next one
	 * because the content is locked just now, is no finding. So where others were at work it is looked once more, and
	 * only what was there both times counts.
	 */
	for (unsigned i = 0;; i++) {
		g_autofree char *before = data_version(&f), *after = NULL;

		r = look(&f, e);
		after = data_version(&f);
		if (i > 0)
			keep_known(&f, kept, last);
		if (r < 0 || f.left == 0 || repair || i == LOOKS_MAX ||
			(live->len == 0 && strcmp(before, after) == 0))
			return r < 0 ? r : (int)f.left;
		wait_for_living(&f);
		g_ptr_array_set_size(last, 0);
		for (unsigned k = kept; k < problems->len; k++)
			g_ptr_array_add(last, g_strdup(problems->pdata[k]));
		g_ptr_array_set_size(problems, (int)kept);
		f.left = 0;
	}
}
