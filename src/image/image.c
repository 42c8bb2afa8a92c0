/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image/archive-priv.h"
#include "image/ref.h"
#include "store/blob.h"
#include "store/disk.h"
#include "store/event.h"
#include "store/journal.h"

/* The names of what is here under another tag: the usual slip. */
static void mend_not_found(struct store *s, const struct ref *r, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	g_autofree char *prefix = r->domain ? g_strdup_printf("%s/%s:", r->domain, r->path) : NULL;
	g_autoptr(GString) names = g_string_new(NULL);
	unsigned n = 0;

	if (!prefix || store_image_list(s, &list, NULL) < 0)
		return;
	for (unsigned i = 0; i < list->len; i++) {
		const struct image_record *x = list->pdata[i];

		for (char **name = x->names; *name; name++) {
			g_autofree char *shown = ref_show(*name);

			if (g_str_has_prefix(*name, prefix) && n++ < 4)
				g_string_append_printf(names, "%s'%s'", n > 1 ? ", " : "", shown);
		}
	}
	if (n > 0)
		(void)err_mend(e, "there is %s", names->str);
	else
		(void)err_mend(e, "lodge image ls shows what is there; image import and image "
				  "build-from-mirror make more");
}

int image_resolve(struct ctx *c, const char *ref, struct image_record **ret, struct err *e)
{
	struct ref r = { NULL };
	struct err parse = { 0 };
	struct store *s;
	int code, parsed;

	code = store_get(c, &s, e);
	if (code < 0)
		return code;
	parsed = ref_parse(ref, 0, &r, &parse);
	code = -E_NOTFOUND;
	if (parsed >= 0) {
		g_autofree char *full = ref_full(&r);

		code = store_image_find(s, full, ret, e);
	}
	/* a name beats an id, as in store_image_find() */
	if (code == -E_NOTFOUND)
		code = store_image_find(s, ref, ret, e);
	if (code == -E_NOTFOUND) {
		if (parsed < 0 && !g_str_has_prefix(ref, "sha256:") &&
			strspn(ref, "0123456789abcdef") != strlen(ref)) {
			if (e)
				*e = parse;
			code = parsed;
		} else {
			err_set(e, code, "no such image '%s'", ref);
			mend_not_found(s, &r, e);
		}
	}
	ref_clear(&r);
	return code;
}

int image_config(
	struct ctx *c, const struct image_record *i, struct image_config **ret, struct err *e)
{
	g_autofree char *json = NULL;
	size_t size;
	int r;

	r = blob_read(c, i->id, &json, &size, e);
	if (r >= 0)
		r = image_config_parse(json, size, ret, e);
	if (r < 0)
		(void)err_prefix(e, "image '%.19s'", i->id);
	return r;
}

void image_event(struct ctx *c, const char *action, const char *id, const char *name)
{
	event_emit(c, "image", action, id, json_pack("{s:s}", "name", name ? name : id));
}

/* What a removal says that it did. */
static void removal_events(struct ctx *c, const char *id, json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *gone = json_string_value(json_object_get(one, "Deleted"));

		/* of those that lose their names id is told by the one who knows */
		if (gone)
			image_event(c, "delete", gone, NULL);
		else if (id)
			image_event(c, "untag", id, NULL);
	}
}

int image_full_names(const char *const *names, GPtrArray *ret, struct err *e)
{
	for (; names && *names; names++) {
		struct ref ref;
		int r = ref_parse(*names, 0, &ref, e);

		if (r >= 0 && ref.digest) {
			r = err_set(e, -E_INVALID, "'%s' has a digest, a name can't", *names);
			ref_clear(&ref);
		}
		if (r < 0)
			return r;
		g_ptr_array_add(ret, ref_full(&ref));
		ref_clear(&ref);
	}
	return 0;
}

/* The id of the image that has a name; "" for none. Caller frees. */
static int owner_of(struct store *s, const char *name, char **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	int r = store_image_find(s, name, &i, e);

	if (r < 0 && r != -E_NOTFOUND)
		return r;
	*ret = g_strdup(r >= 0 ? i->id : "");
	return 0;
}

static int plan_name(
	struct store *s, struct plan *p, const char *name, const char *id, struct err *e)
{
	g_autofree char *old = NULL;
	int r;

	r = owner_of(s, name, &old, e);
	if (r >= 0 && strcmp(old, id) != 0)
		plan_add(p, AT_HOST, &step_record_name, name, id, old);
	return r;
}

int image_tag(struct ctx *c, const char *ref, const char *name, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *full = NULL;
	struct store *s;
	struct ref to;
	int r;

	r = ref_parse(name, 0, &to, e);
	if (r < 0)
		return r;
	full = ref_full(&to);
	if (to.digest)
		r = err_set(e, -E_INVALID, "'%s' has a digest, a name can't", name);
	ref_clear(&to);
	if (r >= 0)
		r = image_resolve(c, ref, &i, e);
	if (r >= 0)
		r = store_get(c, &s, e);
	if (r >= 0)
		r = plan_name(s, p, full, i->id, e);
	if (r >= 0)
		r = journal_run(c, p, e);
	if (r >= 0) {
		g_autofree char *shown = ref_show(full);

		image_event(c, "tag", i->id, shown);
	}
	return r;
}

/* --- adding -------------------------------------------------------------------------------------- */

/* The layers' bytes on disk; -E_NOTFOUND when one isn't there. */
static int layers_size(struct store *s, char **layers, int64_t *ret, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	int r;

	*ret = 0;
	r = store_layer_list(s, &list, e);
	if (r < 0)
		return r;
	for (char **l = layers; *l; l++) {
		bool found = false;

		for (unsigned i = 0; !found && i < list->len; i++) {
			const struct layer_record *x = list->pdata[i];

			found = strcmp(x->digest, *l) == 0;
			*ret += found ? x->size : 0;
		}
		if (!found)
			return err_set(e, -E_NOTFOUND, "the image's layer '%s' isn't there", *l);
	}
	return 0;
}

/* The disk's bytes on disk; -E_NOTFOUND when it isn't there. */
static int disk_bytes(struct ctx *c, const struct image_config *i, int64_t *ret, struct err *e)
{
	g_autofree char *path = disk_path(c, i->disk, i->disk_format);
	struct stat st;

	if (stat(path, &st) < 0)
		return err_set(e, -E_NOTFOUND, "the image's disk '%s' isn't there", i->disk);
	*ret = (int64_t)st.st_blocks * 512;
	return 0;
}

static const char *plan_number(struct plan *p, int64_t n)
{
	return plan_str(p, "%lld", (long long)n);
}

int image_add(struct ctx *c, const char *config, size_t config_size, const char *manifest,
	size_t manifest_size, const char *const *names, char **ret_id, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *i = NULL;
	_cleanup_(image_record_freep) struct image_record *old = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *id = blob_digest(config, config_size), *manifest_id = NULL, *layers = NULL;
	_cleanup_close_ int hold = -1;
	int64_t size = 0;
	struct store *s;
	int r;

	r = image_config_parse(config, config_size, &i, e);
	if (r >= 0)
		r = store_get(c, &s, e);
	if (r >= 0 && !c->explain)
		r = hold = blob_hold(c, e);
	if (r >= 0 && !c->explain)
		r = i->disk ? disk_bytes(c, i, &size, e) : layers_size(s, i->diff_ids, &size, e);
	if (r < 0)
		return r;
	if (strlen(config) != config_size || (manifest && strlen(manifest) != manifest_size))
		return err_set(e, -E_CORRUPT, "the image's configuration or manifest holds a NUL");
	r = store_image_find(s, id, &old, e);
	if (r < 0 && r != -E_NOTFOUND)
		return r;
	plan_add(p, AT_HOST, &step_blob, id, config);
	if (manifest) {
		manifest_id = blob_digest(manifest, manifest_size);
		plan_add(p, AT_HOST, &step_blob, manifest_id, manifest);
	}
	if (!old || (manifest_id && g_strcmp0(manifest_id, old->manifest) != 0)) {
		layers = g_strjoinv(",", i->diff_ids);
		/* undo knows by the time whether it was this plan that made the record */
		plan_add(p, AT_HOST, &step_record_image, id, manifest_id ? manifest_id : "",
			plan_number(p, size), plan_number(p, i->created),
			plan_number(p, g_get_real_time() * 1000), i->arch, i->os, layers,
			/* NULL ends the list */ i->disk, i->disk_format,
			plan_number(p, i->disk_size));
	}
	for (unsigned n = 0; names && names[n]; n++) {
		r = plan_name(s, p, names[n], id, e);
		if (r < 0)
			return r;
	}
	r = journal_run(c, p, e);
	if (r >= 0 && ret_id)
		*ret_id = g_steal_pointer(&id);
	if (r < 0 && hold >= 0) {
		/* the plan's undo couldn't collect what we held */
		(void)close(TAKE_FD(hold));
		(void)content_collect(c, &size, NULL);
	}
	return r;
}

/* --- removing ------------------------------------------------------------------------------------ */

/* Adds to the plan the digests that nothing will name when the images of `gone` (id -> record) are gone. */
static int plan_collect(struct store *s, struct plan *p, GHashTable *gone, int64_t *ret_bytes,
	struct ctx *c, struct err *e)
{
	g_autoptr(GPtrArray) images = NULL, layers = NULL, digests = g_ptr_array_new();
	g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);
	int r;

	r = store_image_list(s, &images, e);
	if (r >= 0)
		r = store_layer_list(s, &layers, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < images->len; i++) {
		const struct image_record *x = images->pdata[i];

		if (g_hash_table_contains(gone, x->id)) {
			g_ptr_array_add(digests, x->id);
			if (x->manifest)
				g_ptr_array_add(digests, x->manifest);
			continue;
		}
		for (char **l = x->layers; *l; l++)
			g_hash_table_add(kept, *l);
		if (x->disk)
			g_hash_table_add(kept, x->disk);
	}
	*ret_bytes = 0;
	for (unsigned i = 0; i < digests->len; i++) {
		int64_t n = blob_size(c, digests->pdata[i], NULL);

		*ret_bytes += n > 0 ? n : 0;
	}
	for (unsigned i = 0; i < images->len; i++) {
		const struct image_record *x = images->pdata[i];

		if (!x->disk || !g_hash_table_add(kept, x->disk))
			continue;
		*ret_bytes += x->size;
		g_ptr_array_add(digests, x->disk);
	}
	for (unsigned i = 0; i < layers->len; i++) {
		const struct layer_record *l = layers->pdata[i];

		if (g_hash_table_contains(kept, l->digest))
			continue;
		*ret_bytes += l->size;
		g_ptr_array_add(digests, l->digest);
	}
	plan_addv(p, AT_HOST, 0, &step_collect, (const char *const *)digests->pdata, digests->len);
	return 0;
}

static void did(json_t *list, const char *what, const char *name)
{
	(void)json_array_append_new(list, json_pack("{s:s}", what, name));
}

static int in_use(struct err *e, struct store *s, const struct image_record *i, const char *ref,
	const GPtrArray *users)
{
	_cleanup_(guest_record_freep) struct guest_record *g = NULL;
	const char *name = users->pdata[0];

	if (store_guest_find(s, NULL, users->pdata[0], &g, NULL) >= 0)
		name = g->name;
	err_set(e, -E_INUSE, "the image '%s' is in use by guest '%s'%s", ref, name,
		users->len > 1 ? " and others" : "");
	(void)err_mend(e, "remove the guest first, or take the name away with --force");
	return -E_INUSE;
}

/* Whether ref is (the beginning of) the image's id, not one of its names. */
static char *name_of_ref(const struct image_record *i, const char *ref)
{
	struct ref r;
	char *full = NULL;

	if (ref_parse(ref, 0, &r, NULL) < 0)
		return NULL;
	full = ref_full(&r);
	ref_clear(&r);
	for (char **n = i->names; *n; n++)
		if (strcmp(*n, full) == 0)
			return full;
	g_free(full);
	return NULL;
}

/* By image_mount(), guest/image-root.h. */
static bool is_mounted(struct ctx *c, const struct image_record *i)
{
	g_autofree char *at = store_run_path(c, "images/%s", i->id + strlen("sha256:"));

	return access(at, F_OK) == 0;
}

int image_remove(struct ctx *c, const char *ref, bool force, json_t **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GHashTable) gone = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) users = NULL;
	g_autofree char *name = NULL;
	json_t *list = json_array();
	bool last;
	struct store *s;
	int64_t bytes;
	int r;

	r = image_resolve(c, ref, &i, e);
	if (r >= 0)
		r = store_get(c, &s, e);
	if (r >= 0)
		r = store_image_users(s, i->id, &users, e);
	if (r < 0)
		goto out;
	name = name_of_ref(i, ref);
	last = !name || g_strv_length(i->names) == 1;
	if (!name && !force && g_strv_length(i->names) > 1) {
		r = err_set(e, -E_INUSE, "the image '%s' has more than one name", ref);
		(void)err_mend(e, "remove the names one by one, or use --force");
		goto out;
	}
	if (last && is_mounted(c, i)) {
		r = err_set(e, -E_INUSE, "the image '%s' is mounted", ref);
		(void)err_mend(e, "lodge image unmount gives it free");
		goto out;
	}
	if (last && users->len > 0 && !force) {
		r = in_use(e, s, i, ref, users);
		goto out;
	}
	for (char **n = i->names; *n; n++)
		if (!name || strcmp(*n, name) == 0) {
			g_autofree char *shown = ref_show(*n);

			did(list, "Untagged", shown);
			if (!last || users->len > 0)
				plan_add(p, AT_HOST, &step_record_name_remove, *n);
		}
	if (last && users->len == 0) {
		/* the record first, with all names: in one transaction, which refuses if a guest
		 * came meanwhile */
		plan_add(p, AT_HOST, &step_record_image_remove, i->id, plan_number(p, i->added));
		did(list, "Deleted", i->id);
		g_hash_table_add(gone, i->id);
		r = plan_collect(s, p, gone, &bytes, c, e);
	}
	if (r >= 0)
		r = journal_run_forward(c, p, e);
	if (r >= 0)
		removal_events(c, i->id, list);
out:
	if (r < 0)
		json_decref(list);
	else
		*ret = list;
	return r;
}

static int matches(struct ctx *c, const struct image_record *i, const struct image_prune_query *q,
	struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	int r;

	if ((!q->all && i->names[0]) || is_mounted(c, i))
		return 0;
	if (q->until > 0 && i->created >= q->until)
		return 0;
	if (!q->labels && !q->not_labels)
		return 1;
	r = image_config(c, i, &config, e);
	if (r < 0)
		return r;
	for (char **l = q->labels; l && *l; l++)
		if (!image_has_label(config, *l))
			return 0;
	for (char **l = q->not_labels; l && *l; l++)
		if (image_has_label(config, *l))
			return 0;
	return 1;
}

int image_prune(struct ctx *c, const struct image_prune_query *q, json_t **ret, int64_t *ret_bytes,
	struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GHashTable) gone = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) images = NULL;
	json_t *list = json_array();
	struct store *s;
	int r;

	*ret_bytes = 0;
	r = store_get(c, &s, e);
	if (r >= 0)
		r = store_image_list(s, &images, e);
	for (unsigned i = 0; r >= 0 && i < images->len; i++) {
		const struct image_record *x = images->pdata[i];
		g_autoptr(GPtrArray) users = NULL;

		r = store_image_users(s, x->id, &users, e);
		if (r >= 0 && users->len == 0)
			r = matches(c, x, q, e);
		else if (r >= 0)
			r = 0;
		if (r <= 0)
			continue;
		for (char **n = x->names; *n; n++) {
			g_autofree char *shown = ref_show(*n);

			did(list, "Untagged", shown);
		}
		did(list, "Deleted", x->id);
		g_hash_table_add(gone, x->id);
		/* a guest that came meanwhile keeps its image */
		plan_addf(p, AT_HOST, STEP_IGNORE, &step_record_image_remove, x->id,
			plan_number(p, x->added), (const char *)NULL);
	}
	if (r >= 0)
		r = plan_collect(s, p, gone, ret_bytes, c, e);
	if (r >= 0) {
		plan_add(p, AT_HOST, &step_partials);
		r = journal_run_forward(c, p, e);
	}
	if (r >= 0) {
		g_autofree char *bytes = g_strdup_printf("%lld", (long long)*ret_bytes);

		removal_events(c, NULL, list);
		event_emit(c, "image", "prune", NULL, json_pack("{s:s}", "reclaimed", bytes));
	}
	if (r < 0)
		json_decref(list);
	else
		*ret = list;
	return r < 0 ? r : 0;
}

/* --- progress ------------------------------------------------------------------------------------ */

static void tell_file(void *data, const char *line)
{
	struct image_progress_file *f = data;
	char stage[sizeof(f->stage)];

	if (!line) {
		if (f->tty && f->stage[0])
			fputs("\r\033[K", f->out);
		f->stage[0] = '\0';
	} else if (f->tty) {
		fprintf(f->out, "\r\033[K%.78s", line);
		(void)g_strlcpy(f->stage, line, sizeof(f->stage));
	} else {
		(void)g_strlcpy(stage, line, sizeof(stage));
		stage[strcspn(stage, "0123456789")] = '\0';
		if (strcmp(stage, f->stage) != 0)
			fprintf(f->out, "%s\n", line);
		(void)g_strlcpy(f->stage, stage, sizeof(f->stage));
	}
	(void)fflush(f->out);
}

void image_progress_init(struct image_progress_file *f, FILE *out, struct image_progress *ret)
{
	*f = (struct image_progress_file){ .out = out, .tty = isatty(fileno(out)) };
	*ret = (struct image_progress){ .tell = tell_file, .data = f };
}
