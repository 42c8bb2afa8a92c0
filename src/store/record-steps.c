/* SPDX-License-Identifier: MIT */
/* The steps that write records and content. Their run and undo find the struct ctx in r->data. */
#include <string.h>
#include "store/blob.h"
#include "store/journal.h"
#include "store/partial.h"
#include "store/store-priv.h"

#define SHOWN_DB "\"${LODGE_ROOT:-/var/lib/lodge}/state.db\""

static int64_t number(const char *s)
{
	return g_ascii_strtoll(s, NULL, 10);
}

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

static int get(struct step_run *r, struct store **ret, struct err *e)
{
	return store_get(r->data, ret, e);
}

/* What is gone already is fine for an undo, and for a removal that is run again. */
static int gone(int r)
{
	return r == -E_NOTFOUND ? 0 : r;
}

/* sqlite3 DB 'SQL', where each ? of sql is an argument. */
static void show_sql(struct text *t, const char *sql, const char *const *arg, unsigned n)
{
	g_autoptr(GString) full = g_string_new(NULL);
	g_autofree char *word = NULL;
	unsigned i = 0;

	for (; *sql; sql++) {
		if (*sql != '?' || i >= n) {
			g_string_append_c(full, *sql);
			continue;
		}
		if (!*arg[i]) {
			g_string_append(full, "NULL");
		} else {
			g_string_append_c(full, '\'');
			for (const char *p = arg[i]; *p; p++)
				g_string_append_len(
					full, *p == '\'' ? "''" : p, *p == '\'' ? 2 : 1);
			g_string_append_c(full, '\'');
		}
		i++;
	}
	word = g_shell_quote(full->str);
	text_add(t, "sqlite3 " SHOWN_DB " ");
	text_add(t, word);
}

/* --- guests -------------------------------------------------------------------------------------- */

static int add_guest(struct store *st, const struct step *s, struct err *e)
{
	struct guest_record g = {
		.id = (char *)s->arg[0],
		.realm = (char *)s->arg[1],
		.name = (char *)s->arg[2],
		.kind = (char *)s->arg[3],
		.engine = (char *)s->arg[4],
		.image = (char *)or_null(s->arg[5]),
		.image_name = (char *)or_null(s->arg[6]),
		.spec = (char *)s->arg[7],
		.doc = (char *)s->arg[8],
		.created = number(s->arg[9]),
		.auto_remove = strcmp(s->arg[10], "1") == 0 || strcmp(s->arg[10], "true") == 0,
	};
	int r;

	r = store_guest_add(st, &g, e);
	for (unsigned i = 11; r >= 0 && i < s->n; i++) {
		const char *colon = strchr(s->arg[i], ':');
		g_autofree char *kind = NULL;

		if (!colon)
			return err_set(e, -E_INVALID, "'%s' isn't KIND:WHAT", s->arg[i]);
		kind = g_strndup(s->arg[i], (size_t)(colon - s->arg[i]));
		r = store_guest_uses(st, g.id, kind, colon + 1, e);
	}
	return r;
}

static int record_guest_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	bool own;
	int q;

	q = get(r, &st, e);
	if (q >= 0)
		q = db_enter(st, &own, e);
	return q < 0 ? q : db_leave(st, own, add_guest(st, s, e), e);
}

static int record_guest_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : gone(store_guest_remove(st, s->arg[0], e));
}

static void record_guest_show(const struct step *s, struct text *t)
{
	show_sql(t,
		"INSERT INTO guests(id,realm,name,kind,engine,image,image_name,spec,doc,created,"
		"auto_remove,wanted) VALUES(?,?,?,?,?,?,?,?,?,?,?,0)",
		s->arg, 11);
	for (unsigned i = 11; i < s->n; i++) {
		const char *colon = strchrnul(s->arg[i], ':');
		g_autofree char *kind = g_strndup(s->arg[i], (size_t)(colon - s->arg[i]));
		const char *const values[] = { s->arg[0], kind, *colon ? colon + 1 : "" };

		text_add(t, "; ");
		show_sql(t, "INSERT INTO guest_uses(guest,kind,what) VALUES(?,?,?)", values, 3);
	}
}

const struct step_ops step_record_guest = {
	.name = "record-guest",
	.args = "id realm name kind engine image image_name spec doc created auto_remove uses...",
	.run = record_guest_run,
	.undo = record_guest_undo,
	.show = record_guest_show,
};

static void record_guest_remove_show(const struct step *s, struct text *t)
{
	show_sql(t, "PRAGMA foreign_keys=1; DELETE FROM guests WHERE id=?", s->arg, 1);
}

const struct step_ops step_record_guest_remove = {
	.name = "record-guest-remove",
	.args = "id",
	.run = record_guest_undo,
	.show = record_guest_remove_show,
};

/* --- images -------------------------------------------------------------------------------------- */

static int record_image_run(struct step_run *r, const struct step *s, struct err *e)
{
	g_auto(GStrv) layers = g_strsplit(s->arg[7], ",", -1);
	struct image_record i = {
		.id = (char *)s->arg[0],
		.manifest = (char *)or_null(s->arg[1]),
		.size = number(s->arg[2]),
		.created = number(s->arg[3]),
		.added = number(s->arg[4]),
		.arch = (char *)s->arg[5],
		.os = (char *)s->arg[6],
		.layers = *s->arg[7] ? layers : NULL,
	};
	struct store *st;
	int q = get(r, &st, e);

	if (s->n != 8 && s->n != 11)
		return err_set(e, -E_INVALID, "a disk has a digest, a format and a size");
	if (s->n == 11) {
		i.disk = (char *)s->arg[8];
		i.disk_format = (char *)s->arg[9];
		i.disk_size = number(s->arg[10]);
	}
	return q < 0 ? q : store_image_add(st, &i, e);
}

static int record_image_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	if (q < 0)
		return q;
	/* only the one that this step made: the image may have been there before, or come again
	 * since, with another time */
	q = db_run(st, e, "cannot remove the image's record",
		"DELETE FROM images WHERE id=? AND added=?", "si", s->arg[0], number(s->arg[4]));
	return gone(q < 0 ? q : 0);
}

static void record_image_show(const struct step *s, struct text *t)
{
	g_auto(GStrv) layers = g_strsplit(s->arg[7], ",", -1);

	show_sql(t,
		"INSERT INTO images(id,manifest,size,created,added,arch,os) VALUES(?,?,?,?,?,?,?)",
		s->arg, 7);
	for (unsigned i = 0; layers[i] && *layers[i]; i++) {
		g_autofree char *position = g_strdup_printf("%u", i);
		const char *const values[] = { s->arg[0], position, layers[i] };

		text_add(t, "; ");
		show_sql(t, "INSERT INTO image_layers(image,position,layer) VALUES(?,?,?)", values,
			3);
	}
	if (s->n == 11) {
		const char *const values[] = { s->arg[0], s->arg[8], s->arg[9], s->arg[10] };

		text_add(t, "; ");
		show_sql(t, "INSERT INTO image_disks(image,digest,format,size) VALUES(?,?,?,?)",
			values, 4);
	}
}

const struct step_ops step_record_image = {
	.name = "record-image",
	.args = "id manifest size created added arch os layers disk...",
	.run = record_image_run,
	.undo = record_image_undo,
	.show = record_image_show,
};

/* Not one that has come since: a removal that is finished by another command may be late. */
static int remove_image(struct store *st, const struct step *s, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	int r = 0;

	if (s->n > 1)
		r = store_image_find(st, s->arg[0], &i, e);
	if (r < 0 || (i && i->added != number(s->arg[1])))
		return r;
	return store_image_remove(st, s->arg[0], e);
}

static int record_image_remove_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	bool own;
	int q;

	q = get(r, &st, e);
	if (q >= 0)
		q = db_enter(st, &own, e);
	return q < 0 ? q : gone(db_leave(st, own, remove_image(st, s, e), e));
}

static void record_image_remove_show(const struct step *s, struct text *t)
{
	show_sql(t, "PRAGMA foreign_keys=1; DELETE FROM images WHERE id=?", s->arg, 1);
}

const struct step_ops step_record_image_remove = {
	.name = "record-image-remove",
	.args = "id added...",
	.run = record_image_remove_run,
	.show = record_image_remove_show,
};

static int record_name_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : store_image_tag(st, s->arg[1], s->arg[0], e);
}

static int record_name_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	if (q < 0)
		return q;
	/* only while the name is still where this step put it */
	q = db_run(st, e, "cannot give the image's name back",
		"UPDATE image_names SET image=?3 WHERE name=?1 AND image=?2 AND EXISTS "
		"(SELECT 1 FROM images WHERE id=?3)",
		"sss", s->arg[0], s->arg[1], s->arg[2]);
	if (q == 0)
		q = db_run(st, e, "cannot remove the image's name",
			"DELETE FROM image_names WHERE name=?1 AND image=?2 AND ?3<>?2", "sss",
			s->arg[0], s->arg[1], s->arg[2]);
	return q < 0 ? q : 0;
}

static void record_name_show(const struct step *s, struct text *t)
{
	show_sql(t, "INSERT OR REPLACE INTO image_names(name,image) VALUES(?,?)", s->arg, 2);
}

const struct step_ops step_record_name = {
	.name = "record-name",
	.args = "name image old-image",
	.run = record_name_run,
	.undo = record_name_undo,
	.show = record_name_show,
};

static int record_name_remove_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : gone(store_image_untag(st, s->arg[0], e));
}

static void record_name_remove_show(const struct step *s, struct text *t)
{
	show_sql(t, "DELETE FROM image_names WHERE name=?", s->arg, 1);
}

const struct step_ops step_record_name_remove = {
	.name = "record-name-remove",
	.args = "name",
	.run = record_name_remove_run,
	.show = record_name_remove_show,
};

/* --- volumes and networks ------------------------------------------------------------------------- */

static int record_volume_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct volume_record v = {
		.name = (char *)s->arg[0],
		.driver = (char *)s->arg[1],
		.doc = (char *)s->arg[2],
		.created = number(s->arg[3]),
		.anonymous = number(s->arg[4]) != 0,
	};
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : store_volume_add(st, &v, e);
}

/* Undo of the record of this `created` only. */
static int record_volume_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	if (q < 0)
		return q;
	q = db_run(st, e, "cannot remove the volume's record",
		"DELETE FROM volumes WHERE name=? AND created=?", "si", s->arg[0],
		number(s->arg[3]));
	return q < 0 ? q : 0;
}

static void record_volume_show(const struct step *s, struct text *t)
{
	show_sql(t, "INSERT INTO volumes(name,driver,doc,created,anonymous) VALUES(?,?,?,?,?)",
		s->arg, 5);
}

const struct step_ops step_record_volume = {
	.name = "record-volume",
	.args = "name driver doc created anonymous",
	.run = record_volume_run,
	.undo = record_volume_undo,
	.show = record_volume_show,
};

static int record_volume_remove_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : gone(store_volume_remove(st, s->arg[0], e));
}

static void record_volume_remove_show(const struct step *s, struct text *t)
{
	show_sql(t, "DELETE FROM volumes WHERE name=?", s->arg, 1);
}

const struct step_ops step_record_volume_remove = {
	.name = "record-volume-remove",
	.args = "name",
	.run = record_volume_remove_run,
	.show = record_volume_remove_show,
};

static int record_network_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct network_record n = {
		.id = (char *)s->arg[0],
		.name = (char *)s->arg[1],
		.driver = (char *)s->arg[2],
		.bridge = (char *)or_null(s->arg[3]),
		.subnet = (char *)or_null(s->arg[4]),
		.gateway = (char *)or_null(s->arg[5]),
		.subnet6 = (char *)or_null(s->arg[6]),
		.gateway6 = (char *)or_null(s->arg[7]),
		.parent = (char *)or_null(s->arg[8]),
		.doc = (char *)s->arg[9],
		.internal = number(s->arg[10]) != 0,
		.mtu = (int)number(s->arg[11]),
		.created = number(s->arg[12]),
	};
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : store_network_add(st, &n, e);
}

static int record_network_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	if (q < 0)
		return q;
	q = db_run(st, e, "cannot remove the network's record", "DELETE FROM networks WHERE id=?",
		"s", s->arg[0]);
	return q < 0 ? q : 0;
}

static void record_network_show(const struct step *s, struct text *t)
{
	show_sql(t,
		"INSERT INTO networks(id,name,driver,bridge,subnet,gateway,subnet6,gateway6,parent,"
		"doc,internal,mtu,created) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
		s->arg, 13);
}

const struct step_ops step_record_network = {
	.name = "record-network",
	.args = "id name driver bridge subnet gateway subnet6 gateway6 parent doc internal mtu "
		"created",
	.run = record_network_run,
	.undo = record_network_undo,
	.show = record_network_show,
};

static int record_network_remove_run(struct step_run *r, const struct step *s, struct err *e)
{
	struct store *st;
	int q = get(r, &st, e);

	return q < 0 ? q : gone(store_network_remove(st, s->arg[0], e));
}

static void record_network_remove_show(const struct step *s, struct text *t)
{
	show_sql(t, "DELETE FROM networks WHERE name=?", s->arg, 1);
}

const struct step_ops step_record_network_remove = {
	.name = "record-network-remove",
	.args = "name",
	.run = record_network_remove_run,
	.show = record_network_remove_show,
};

/* --- content ------------------------------------------------------------------------------------- */

static int blob_run(struct step_run *r, const struct step *s, struct err *e)
{
	return blob_write(r->data, s->arg[1], strlen(s->arg[1]), s->arg[0], NULL, e);
}

static int collect(struct step_run *r, const struct step *s, struct err *e)
{
	int64_t bytes;
	int q = content_collect(r->data, &bytes, e);

	return q < 0 ? q : 0;
}

static void blob_show(const struct step *s, struct text *t)
{
	text_add(t, "printf %s ");
	text_add_word(t, s->arg[1]);
	text_addf(t, " > \"${LODGE_ROOT:-/var/lib/lodge}/blobs/sha256/%s\"", s->arg[0] + 7);
}

const struct step_ops step_blob = {
	.name = "blob",
	.args = "digest text",
	.run = blob_run,
	.undo = collect,
	.show = blob_show,
};

static int content_run(struct step_run *r, const struct step *s, struct err *e)
{
	return 0;
}

static void content_show(const struct step *s, struct text *t)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (i > 0)
			text_add(t, " ");
		if (strcmp(s->arg[i], "|") == 0 || strcmp(s->arg[i], ">") == 0)
			text_add(t, s->arg[i]);
		else
			text_add_word(t, s->arg[i]);
	}
}

const struct step_ops step_content = {
	.name = "content",
	.args = "command...",
	.run = content_run,
	.undo = collect,
	.show = content_show,
};

static void collect_show(const struct step *s, struct text *t)
{
	text_add(t, "cd \"${LODGE_ROOT:-/var/lib/lodge}\" && rm -rf");
	for (unsigned i = 0; i < s->n; i++)
		text_addf(t, " blobs/sha256/%.64s layers/%.64s* disks/%.64s.*", s->arg[i] + 7,
			s->arg[i] + 7, s->arg[i] + 7);
}

const struct step_ops step_collect = {
	.name = "collect",
	.args = "digest...",
	.run = collect,
	.show = collect_show,
};

static int partials_run(struct step_run *r, const struct step *s, struct err *e)
{
	int64_t bytes = 0;

	return MIN(partial_collect(r->data, 0, &bytes, e), 0);
}

static void partials_show(const struct step *s, struct text *t)
{
	text_add(t, "rm -f \"${LODGE_ROOT:-/var/lib/lodge}\"/blobs/sha256/*.part");
}

const struct step_ops step_partials = {
	.name = "partials",
	.args = "",
	.run = partials_run,
	.show = partials_show,
};

step_table store_steps = {
	&step_record_guest,
	&step_record_guest_remove,
	&step_record_image,
	&step_record_image_remove,
	&step_record_name,
	&step_record_name_remove,
	&step_record_volume,
	&step_record_volume_remove,
	&step_record_network,
	&step_record_network_remove,
	&step_blob,
	&step_content,
	&step_collect,
	&step_partials,
	NULL,
};
