/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include "codec/json.h"
#include "codec/press.h"
#include "codec/sha256.h"
#include "host/steps.h"
#include "image/bundle-priv.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/squeeze.h"
#include "image/transport.h"
#include "store/blob.h"
#include "store/journal.h"

#define RECORD_MAX (1 << 30)
#define ABOUT_MAX  (1 << 20)

struct repack {
	struct ctx *c;
	const struct bundle_repack_options *o;
	char *layout, *tag, *path, *record_path;
	json_t *about, *walk; /* umoci.json; walk is borrowed from it */
	struct bundle_ids ids;
	struct files *files, *bundle;
	struct manifest *m;
	struct image_config *config;
	struct transport_out *out;
	/* the new layer */
	struct squeeze *squeeze;
	struct sha256 *plain, *packed;
	int64_t size;
	char diff_id[SHA256_TEXT], digest[SHA256_TEXT];
	char *record; /* of what is there now */
};

static void repack_clear(struct repack *w)
{
	transport_out_free(w->out);
	squeeze_free(w->squeeze);
	sha256_free(w->plain);
	sha256_free(w->packed);
	files_free(w->files);
	files_free(w->bundle);
	manifest_free(w->m);
	image_config_free(w->config);
	json_decref(w->about);
	g_free(w->layout);
	g_free(w->tag);
	g_free(w->path);
	g_free(w->record_path);
	g_free(w->record);
}

/* --- what was unpacked ------------------------------------------------------------------------------------------ */

static const char *digest_of(const struct repack *w, size_t i)
{
	return json_string_value(json_object_get(json_array_get(w->walk, i), "digest"));
}

static int get_maps(const json_t *list, struct bundle_map *m, unsigned *ret_n, struct err *e)
{
	const char *const keys[] = { "containerID", "hostID", "size" };
	size_t n = json_array_size(list);

	if (n > BUNDLE_MAPS_MAX)
		return err_set(e, -E_LIMIT, "more than %d maps in umoci.json", BUNDLE_MAPS_MAX);
	for (size_t i = 0; i < n; i++) {
		uint32_t value[3];

		for (unsigned k = 0; k < 3; k++) {
			json_int_t x = json_integer_value(
				json_object_get(json_array_get(list, i), keys[k]));

			if (x < 0 || x > UINT32_MAX)
				return err_set(e, -E_CORRUPT, "wrong map of ids in umoci.json");
			value[k] = (uint32_t)x;
		}
		m[i] = (struct bundle_map){ value[0], value[1], value[2] };
	}
	*ret_n = (unsigned)n;
	return 0;
}

static int get_about(struct repack *w, struct err *e)
{
	g_autofree char *text = NULL;
	const json_t *maps;
	size_t size;
	int r = files_text(w->bundle, "umoci.json", ABOUT_MAX, &text, &size, e);

	if (r == -E_NOTFOUND)
		return err_set(e, r, "'%s' is no bundle: it has no umoci.json", w->path);
	if (r >= 0)
		r = json_read(text, size, &w->about, e);
	if (r < 0)
		return r;
	w->walk = json_object_get(
		json_object_get(w->about, "from_descriptor_path"), "descriptor_walk");
	if (g_strcmp0(json_string_value(json_object_get(w->about, "umoci_version")), "2") != 0)
		return err_set(e, -E_UNSUPPORTED, "umoci.json is of another version than 2");
	if (json_integer_value(json_object_get(w->about, "whiteout_mode")) != 0)
		return err_set(e, -E_UNSUPPORTED, "the bundle's whiteouts are overlayfs'");
	if (json_array_size(w->walk) == 0 || json_array_size(w->walk) > 8)
		return err_set(e, -E_CORRUPT, "umoci.json doesn't say what was unpacked");
	for (size_t i = 0; i < json_array_size(w->walk); i++)
		if (!digest_of(w, i) || !sha256_hex(digest_of(w, i)))
			return err_set(e, -E_CORRUPT, "wrong digest in umoci.json");
	maps = json_object_get(w->about, "map_options");
	w->ids.rootless = json_is_true(json_object_get(maps, "rootless"));
	r = get_maps(json_object_get(maps, "uid_mappings"), w->ids.uid, &w->ids.n_uid, e);
	return r < 0 ? r
		     : get_maps(
			       json_object_get(maps, "gid_mappings"), w->ids.gid, &w->ids.n_gid, e);
}

/* A document of the layout, checked. */
static int get_blob(
	struct repack *w, const char *digest, char **ret, size_t *ret_size, struct err *e)
{
	g_autofree char *path = NULL, *is = NULL;
	int r;

	if (!sha256_hex(digest))
		return err_set(e, -E_CORRUPT, "wrong digest '%s'", digest);
	path = layout_blob(digest);
	r = files_text(w->files, path, TRANSPORT_DOCUMENT_MAX, ret, ret_size, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "'%s' has no blob '%s': the bundle isn't of this layout",
			w->layout, digest);
	if (r < 0)
		return r;
	is = blob_digest(*ret, *ret_size);
	return strcmp(is, digest) == 0
		       ? 0
		       : err_set(e, -E_CORRUPT, "the blob that should be '%s' is '%s'", digest, is);
}

static int get_image(struct repack *w, struct err *e)
{
	const char *digest = digest_of(w, json_array_size(w->walk) - 1);
	g_autofree char *text = NULL, *config = NULL;
	size_t size;
	int r = get_blob(w, digest, &text, &size, e);

	if (r >= 0)
		r = manifest_parse(text, size, NULL, &w->m, e);
	if (r >= 0 && (w->m->index || !manifest_is_image(w->m)))
		r = err_set(e, -E_CORRUPT, "'%s' is no image", digest);
	if (r >= 0)
		r = get_blob(w, w->m->config->digest, &config, &size, e);
	return r < 0 ? r : image_config_parse(config, size, &w->config, e);
}

/* --- the layer -------------------------------------------------------------------------------------------------- */

static int to_layer(void *arg, const void *data, size_t size, struct err *e)
{
	struct repack *w = arg;

	sha256_write(w->plain, data, size);
	return squeeze_write(w->squeeze, data, size, e);
}

static int to_layout(void *arg, const void *data, size_t size, struct err *e)
{
	struct repack *w = arg;

	sha256_write(w->packed, data, size);
	w->size += (int64_t)size;
	return w->out->ops->blob_write(w->out, data, size, e);
}

static char **masks_of(const struct repack *w)
{
	GPtrArray *list = g_ptr_array_new();

	for (char **m = w->o->mask_path; m && *m; m++)
		g_ptr_array_add(list, g_strdup(*m));
	for (char **v = w->config->volumes; !w->o->no_mask_volumes && *v; v++)
		g_ptr_array_add(list, g_strdup(*v));
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(list, FALSE);
}

static int make_layer(struct repack *w, GHashTable *then, int root, struct err *e)
{
	g_autoptr(GHashTable) now = NULL;
	g_auto(GStrv) masks = masks_of(w);
	int r = bundle_record(root, &w->record, e);

	if (r >= 0)
		r = bundle_record_parse(w->record, &now, e);
	if (r >= 0)
		r = sha256_new(&w->plain, e);
	if (r >= 0)
		r = sha256_new(&w->packed, e);
	if (r >= 0)
		r = squeeze_new(INFLATE_GZIP, PRESS_LEVEL_DEFAULT, to_layout, w, &w->squeeze, e);
	if (r >= 0)
		r = w->out->ops->blob_begin(w->out, "", -1, NULL, e);
	if (r >= 0)
		r = bundle_diff(root, &w->ids, then, now, masks, to_layer, w, e);
	if (r >= 0)
		r = squeeze_finish(w->squeeze, e);
	if (r < 0)
		return r;
	sha256_finish_text(w->plain, w->diff_id);
	sha256_finish_text(w->packed, w->digest);
	return w->out->ops->blob_finish(w->out, w->digest, w->size, e);
}

/* --- documents -------------------------------------------------------------------------------------------------- */

static void set_text(json_t *j, const char *key, const char *value)
{
	if (value && *value)
		(void)json_object_set_new(j, key, json_string(value));
}

static char *dump(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT), *copy = g_strdup(text);

	free(text);
	return copy;
}

static char *new_config(const struct repack *w)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *text = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ");
	const char *created = w->o->created ?: text;
	json_t *doc = json_deep_copy(w->config->raw), *h;
	char *out;

	(void)json_array_append_new(json_object_get(json_object_get(doc, "rootfs"), "diff_ids"),
		json_string(w->diff_id));
	(void)json_object_set_new(doc, "created", json_string(created));
	if (!w->o->no_history) {
		h = json_pack("{s:s}", "created", created);
		set_text(h, "author", w->o->author);
		set_text(h, "created_by", w->o->created_by ?: "lodge image repack");
		set_text(h, "comment", w->o->comment);
		if (!json_is_array(json_object_get(doc, "history")))
			(void)json_object_set_new(doc, "history", json_array());
		(void)json_array_append_new(json_object_get(doc, "history"), h);
	}
	out = dump(doc);
	json_decref(doc);
	return out;
}

static int put_config(struct repack *w, const char *text, const char *digest, struct err *e)
{
	struct transport_out *t = w->out;
	int64_t size = (int64_t)strlen(text);
	int r = t->ops->has_blob(t, digest, size, e);

	if (r != 0)
		return MIN(r, 0);
	r = t->ops->blob_begin(t, digest, size, NULL, e);
	if (r >= 0)
		r = t->ops->blob_write(t, text, (size_t)size, e);
	return r < 0 ? r : t->ops->blob_finish(t, digest, size, e);
}

static char *new_manifest(const struct repack *w, const char *config, const char *config_digest)
{
	json_t *doc = json_deep_copy(w->m->doc), *c = json_object_get(doc, "config");
	char *out;

	(void)json_object_set_new(c, "digest", json_string(config_digest));
	(void)json_object_set_new(c, "size", json_integer((json_int_t)strlen(config)));
	(void)json_array_append_new(json_object_get(doc, "layers"),
		json_pack("{s:s, s:s, s:I}", "mediaType",
			manifest_layer_type(w->m->oci, PACKING_GZIP), "digest", w->digest, "size",
			(json_int_t)w->size));
	out = dump(doc);
	json_decref(doc);
	return out;
}

/* The walk's member i is this document now. */
static void set_walk(struct repack *w, size_t i, const char *digest, const char *text)
{
	json_t *d = json_array_get(w->walk, i);

	(void)json_object_set_new(d, "digest", json_string(digest));
	(void)json_object_set_new(d, "size", json_integer((json_int_t)strlen(text)));
	if (i == 0)
		(void)json_object_set_new(d, "annotations",
			json_pack("{s:s}", "org.opencontainers.image.ref.name", w->tag));
}

/* The index with another member; old: the digest that it had. */
static int new_index(struct repack *w, size_t i, const char *old, const char *digest, size_t size,
	char **ret, char **ret_type, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	g_autofree struct part_change *changes = NULL;
	g_autofree char *text = NULL;
	size_t old_size;
	bool found = false;
	int r = get_blob(w, digest_of(w, i), &text, &old_size, e);

	if (r >= 0)
		r = manifest_parse(text, old_size, NULL, &m, e);
	if (r < 0)
		return r;
	changes = g_new0(struct part_change, MAX(m->parts->len, 1));
	for (unsigned k = 0; k < m->parts->len && m->index; k++) {
		const struct descriptor *d = m->parts->pdata[k];

		if (strcmp(d->digest, old) != 0)
			continue;
		changes[k] = (struct part_change){ digest, (int64_t)size, NULL };
		found = true;
	}
	if (!found)
		return err_set(e, -E_CORRUPT, "'%s' doesn't name '%s'", digest_of(w, i), old);
	*ret_type = g_strdup(m->type);
	return manifest_rewrite(m, m->oci, changes, ret, e);
}

/* The manifest, and each index that it was found by. */
static int put_documents(struct repack *w, struct err *e)
{
	g_autofree char *config = new_config(w),
			*config_digest = blob_digest(config, strlen(config)),
			*text = new_manifest(w, config, config_digest), *old = NULL,
			*type = g_strdup(w->m->type);
	size_t i = json_array_size(w->walk) - 1;
	int r = put_config(w, config, config_digest, e);

	for (; r >= 0; i--) {
		g_autofree char *digest = blob_digest(text, strlen(text)), *next = NULL,
				*next_type = NULL;

		r = w->out->ops->document(w->out, text, strlen(text), type, i == 0, e);
		if (r < 0)
			return r;
		g_free(old);
		old = g_strdup(digest_of(w, i));
		set_walk(w, i, digest, text);
		if (i == 0)
			break;
		r = new_index(w, i - 1, old, digest, strlen(text), &next, &next_type, e);
		if (r < 0)
			return r;
		g_free(text);
		g_free(type);
		text = g_steal_pointer(&next);
		type = g_steal_pointer(&next_type);
	}
	return r < 0 ? r : w->out->ops->commit(w->out, e);
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static char *record_at(const struct repack *w)
{
	const char *digest = digest_of(w, json_array_size(w->walk) - 1);

	return g_strdup_printf("%s/sha256_%s.mtree", w->path, sha256_hex(digest));
}

/* The bundle is one of the new image then. */
static int refresh(struct repack *w, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *record = record_at(w), *about = dump(w->about),
			*path = g_build_filename(w->path, "umoci.json", NULL);

	if (!w->o->refresh)
		return 0;
	plan_add(p, AT_HOST, &step_write, record, w->record, "644");
	plan_add(p, AT_HOST, &step_write, path, about, "644");
	if (strcmp(record, w->record_path) != 0)
		plan_add(p, AT_HOST, &step_remove, w->record_path);
	return journal_run_forward(w->c, p, e);
}

static int get_then(struct repack *w, GHashTable **ret, struct err *e)
{
	g_autofree char *name = g_path_get_basename(w->record_path), *text = NULL;
	size_t size;
	int r = files_text(w->bundle, name, RECORD_MAX, &text, &size, e);

	if (r == -E_NOTFOUND)
		return err_set(e, r, "'%s' has no record '%s'", w->path, name);
	return r < 0 ? r : bundle_record_parse(text, ret, e);
}

static int show(struct repack *w, const char *rootfs, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *blobs = g_build_filename(w->layout, "blobs/sha256", NULL);
	struct journal_hold hold;

	plan_add(p, AT_HOST, &step_content, "tar", "-C", rootfs, "--numeric-owner", "--xattrs",
		"--newer-mtime", w->record_path, "-c", ".", "|", "gzip", ">", blobs);
	return journal_begin(w->c, p, &hold, e);
}

static int run(struct repack *w, struct err *e)
{
	const struct transport_options o = { .tls_verify = -1 };
	g_autofree char *rest = g_strconcat(w->layout, ":", w->tag, NULL),
			*rootfs = g_build_filename(w->path, "rootfs", NULL);
	g_autoptr(GHashTable) then = NULL;
	_cleanup_close_ int root = -1;
	int r = get_then(w, &then, e);

	if (r < 0)
		return r;
	root = RET_NERRNO(open(rootfs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (root < 0)
		return err_sys(e, root, "cannot open '%s'", rootfs);
	if (w->c->explain)
		return show(w, rootfs, e);
	r = transport_oci.open_out(w->c, rest, &o, &w->out, e);
	if (r >= 0)
		r = make_layer(w, then, root, e);
	if (r >= 0)
		r = put_documents(w, e);
	return r < 0 ? r : refresh(w, e);
}

static int check_created(const char *text, struct err *e)
{
	g_autoptr(GDateTime) t = NULL;

	if (!text)
		return 0;
	t = g_date_time_new_from_iso8601(text, NULL);
	return t ? 0 : err_set(e, -E_INVALID, "'%s' isn't a time like 2026-01-02T03:04:05Z", text);
}

int bundle_repack(struct ctx *c, const char *image, const char *path,
	const struct bundle_repack_options *o, struct err *e)
{
	struct repack *w = g_new0(struct repack, 1);
	int r = check_created(o->created, e);

	w->c = c;
	w->o = o;
	w->path = g_canonicalize_filename(path, NULL);
	if (r >= 0)
		r = layout_split(image, &w->layout, &w->tag, e);
	if (r >= 0)
		r = files_folder(w->layout, &w->files, e);
	if (r >= 0)
		r = files_folder(w->path, &w->bundle, e);
	if (r >= 0)
		r = get_about(w, e);
	if (r >= 0) {
		w->tag = w->tag ?: g_strdup("latest");
		w->record_path = record_at(w);
		r = get_image(w, e);
	}
	if (r >= 0)
		r = run(w, e);
	repack_clear(w);
	g_free(w);
	return MIN(r, 0);
}
