/* SPDX-License-Identifier: MIT */
#include "image/bundle.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "host/steps.h"
#include "image/bundle-priv.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/transport.h"
#include "store/blob.h"
#include "store/journal.h"

#define REF_NAME "org.opencontainers.image.ref.name"

struct work {
	struct ctx *c;
	struct transport_in *in;
	char *tag;
	char *path, *rootfs; /* absolute */
	struct manifest *m;
	struct image_config *config;
	json_t *walk; /* descriptors from index.json down to the manifest */
	char *digest; /* of the manifest */
	struct bundle_ids ids;
	bool keep_dirlinks;
};

static void work_clear(struct work *w)
{
	transport_in_free(w->in);
	g_free(w->tag);
	g_free(w->path);
	g_free(w->rootfs);
	manifest_free(w->m);
	image_config_free(w->config);
	json_decref(w->walk);
	g_free(w->digest);
}

/* --- the layout ----------------------------------------------------------------------------------------------- */

static int append(void *arg, const void *data, size_t size, struct err *e)
{
	GString *s = arg;

	if (s->len + size > TRANSPORT_DOCUMENT_MAX)
		return err_set(e, -E_LIMIT, "the image's configuration is too large");
	g_string_append_len(s, data, (gssize)size);
	return 0;
}

static int get_config(struct work *w, struct err *e)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *is = NULL;
	int r = 0;

	if (!manifest_is_image(w->m))
		return err_set(e, -E_UNSUPPORTED, "'%s' is an artifact, no image", w->in->shown);
	r = w->in->ops->blob(w->in, w->m->config->digest, 0, append, text, NULL, e);
	if (r < 0)
		return r;
	is = blob_digest(text->str, text->len);
	if (strcmp(is, w->m->config->digest) != 0)
		return err_set(e, -E_CORRUPT, "the configuration that should be '%s' is '%s'",
			w->m->config->digest, is);
	r = image_config_parse(text->str, text->len, &w->config, e);
	if (r >= 0 && g_strv_length(w->config->diff_ids) != w->m->parts->len)
		return err_set(e, -E_CORRUPT, "the image has %u layers and names %u",
			w->m->parts->len, g_strv_length(w->config->diff_ids));
	return r;
}

static void add_walk(struct work *w, const char *type, const char *digest, size_t size)
{
	json_t *d = json_pack(
		"{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);

	if (json_array_size(w->walk) == 0)
		(void)json_object_set_new(d, "annotations", json_pack("{s:s}", REF_NAME, w->tag));
	(void)json_array_append_new(w->walk, d);
}

/* The image's manifest; of an index, the one for this machine. */
static int get_manifest(struct work *w, struct err *e)
{
	g_autofree char *want = NULL;

	w->walk = json_array();
	for (unsigned depth = 0; depth < 4; depth++) {
		g_autofree char *text = NULL, *type = NULL;
		const struct descriptor *d;
		size_t size;
		int r;

		g_clear_pointer(&w->m, manifest_free);
		g_clear_pointer(&w->digest, g_free);
		r = w->in->ops->document(w->in, want, &text, &size, &type, e);
		if (r < 0)
			return r;
		w->digest = blob_digest(text, size);
		if (want && strcmp(w->digest, want) != 0)
			return err_set(e, -E_CORRUPT, "the manifest that should be '%s' is '%s'",
				want, w->digest);
		r = manifest_parse(text, size, type, &w->m, e);
		if (r < 0)
			return r;
		add_walk(w, w->m->type, w->digest, size);
		if (!w->m->index)
			return get_config(w, e);
		r = manifest_choose(w->m, NULL, NULL, NULL, &d, e);
		if (r < 0)
			return r;
		g_free(want);
		want = g_strdup(d->digest);
	}
	return err_set(e, -E_LIMIT, "indexes of '%s' are nested too deep", w->in->shown);
}

static int open_image(struct work *w, const char *image, struct err *e)
{
	const struct transport_options o = { .tls_verify = -1 };
	g_autofree char *path = NULL, *rest = NULL;
	int r = layout_split(image, &path, &w->tag, e);

	if (r < 0)
		return r;
	w->tag = w->tag ?: g_strdup("latest");
	rest = g_strconcat(path, ":", w->tag, NULL);
	r = transport_oci.open_in(w->c, rest, &o, &w->in, e);
	return r < 0 ? r : get_manifest(w, e);
}

/* --- layers --------------------------------------------------------------------------------------------------- */

struct stream {
	struct inflate *inflate;
	struct apply *apply;
	struct sha256 *packed, *plain;
	int64_t size;
};

static int on_plain(void *arg, const void *data, size_t size, struct err *e)
{
	struct stream *s = arg;

	sha256_write(s->plain, data, size);
	return apply_write(s->apply, data, size, e);
}

static int on_packed(void *arg, const void *data, size_t size, struct err *e)
{
	struct stream *s = arg;

	sha256_write(s->packed, data, size);
	s->size += (int64_t)size;
	return inflate_write(s->inflate, data, size, e);
}

static int check(struct sha256 *hash, const char *want, struct err *e)
{
	char is[SHA256_TEXT];

	sha256_finish_text(hash, is);
	return strcmp(is, want) == 0
		       ? 0
		       : err_set(e, -E_CORRUPT, "the layer that should be '%s' is '%s'", want, is);
}

static int unpack_layer(struct work *w, int root, unsigned i, struct err *e)
{
	const struct descriptor *d = w->m->parts->pdata[i];
	_cleanup_(sha256_freep) struct sha256 *packed = NULL, *plain = NULL;
	_cleanup_(inflate_freep) struct inflate *inflate = NULL;
	_cleanup_(apply_freep) struct apply *apply = NULL;
	struct stream s = { NULL };
	int r;

	if (manifest_packing(d->type) == PACKING_OTHER)
		return err_set(e, -E_UNSUPPORTED, "layers of type '%s' can't be unpacked", d->type);
	r = sha256_new(&packed, e);
	if (r >= 0)
		r = sha256_new(&plain, e);
	if (r >= 0)
		r = apply_new(root, &w->ids, w->keep_dirlinks, &apply, e);
	if (r < 0)
		return r;
	inflate = inflate_new(on_plain, &s);
	s = (struct stream){ inflate, apply, packed, plain, 0 };
	r = w->in->ops->blob(w->in, d->digest, 0, on_packed, &s, NULL, e);
	if (r >= 0)
		r = check(packed, d->digest, e);
	if (r >= 0)
		r = inflate_finish(inflate, e);
	if (r >= 0)
		r = check(plain, w->config->diff_ids[i], e);
	return r < 0 ? r : apply_finish(apply, e);
}

/* --- the bundle ----------------------------------------------------------------------------------------------- */

static char *in_bundle(const struct work *w, const char *name)
{
	return g_build_filename(w->path, name, NULL);
}

static char *record_name(const struct work *w)
{
	return g_strdup_printf("sha256_%s.mtree", sha256_hex(w->digest));
}

static char *about(const struct work *w)
{
	json_t *j = json_pack("{s:s, s:{s:O}, s:o, s:i}", "umoci_version", "2",
		"from_descriptor_path", "descriptor_walk", w->walk, "map_options",
		bundle_ids_json(&w->ids), "whiteout_mode", 0);
	char *text = json_dumps(j, JSON_COMPACT), *copy = g_strdup(text);

	free(text);
	json_decref(j);
	return copy;
}

static int put_text(const struct work *w, const char *name, const char *text, struct err *e)
{
	g_autofree char *path = in_bundle(w, name);
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : files_write(fd, text, strlen(text));

	return r < 0 ? err_sys(e, r, "cannot write '%s'", path) : 0;
}

static int unpack(struct work *w, struct err *e)
{
	g_autofree char *config = NULL, *record = NULL, *said = about(w), *name = record_name(w);
	_cleanup_close_ int root = -1;
	int r = 0;

	if (g_mkdir_with_parents(w->path, 0700) < 0)
		return err_sys(e, -errno, "cannot make '%s'", w->path);
	if (mkdir(w->rootfs, 0755) < 0)
		return err_sys(e, -errno, "cannot make '%s'", w->rootfs);
	root = RET_NERRNO(open(w->rootfs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (root < 0)
		return err_sys(e, root, "cannot open '%s'", w->rootfs);
	for (unsigned i = 0; i < w->m->parts->len && r >= 0; i++)
		r = unpack_layer(w, root, i, e);
	if (r >= 0)
		r = bundle_config(w->config, root, &w->ids, &config, e);
	if (r >= 0)
		r = bundle_record(root, &record, e);
	if (r >= 0)
		r = put_text(w, name, record, e);
	if (r >= 0)
		r = put_text(w, "umoci.json", said, e);
	return r < 0 ? r : put_text(w, "config.json", config, e);
}

/* Only an empty folder becomes a bundle. */
static int check_empty(const struct work *w, bool *ret_there, struct err *e)
{
	DIR *d = opendir(w->path);
	struct dirent *f;
	int n = 0;

	*ret_there = d != NULL;
	if (!d && errno != ENOENT)
		return err_sys(e, -errno, "cannot open '%s'", w->path);
	while (d && (f = readdir(d)))
		n += strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0;
	if (d)
		(void)closedir(d);
	return n ? err_set(e, -E_EXISTS, "the folder '%s' isn't empty", w->path) : 0;
}

static void plan_layers(const struct work *w, const char *image, struct plan *p)
{
	g_autofree char *layout = NULL, *tag = NULL;

	if (layout_split(image, &layout, &tag, NULL) < 0)
		return;
	for (unsigned i = 0; i < w->m->parts->len; i++) {
		const struct descriptor *d = w->m->parts->pdata[i];
		g_autofree char *blob = layout_blob(d->digest);
		g_autofree char *path = g_build_filename(layout, blob, NULL);

		plan_add(p, AT_HOST, &step_content, "tar", "-C", w->rootfs, "--numeric-owner",
			"--xattrs", "-xpf", path);
	}
}

static int run_unpack(struct work *w, const char *image, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *config = in_bundle(w, "config.json"), *said = in_bundle(w, "umoci.json"),
			*name = record_name(w), *record = in_bundle(w, name), *text = about(w);
	struct journal_hold hold;
	bool there;
	int r = check_empty(w, &there, e);

	if (r < 0)
		return r;
	if (!there)
		plan_add(p, AT_HOST, &step_mkdirs, w->path, "700");
	plan_add(p, AT_HOST, &step_tree, w->rootfs, "755");
	plan_layers(w, image, p);
	/* whose text isn't known before the files are there */
	plan_add(p, AT_HOST, &step_write, record, "", "644");
	plan_add(p, AT_HOST, &step_write, said, text, "644");
	plan_add(p, AT_HOST, &step_write, config, "", "644");
	r = journal_begin(w->c, p, &hold, e);
	if (r != 0)
		return MIN(r, 0);
	r = unpack(w, e);
	if (r < 0)
		journal_abort(w->c, p, &hold);
	else
		journal_done(&hold);
	return r;
}

int bundle_unpack(struct ctx *c, const char *image, const char *path,
	const struct bundle_options *o, struct err *e)
{
	struct work *w = g_new0(struct work, 1);
	int r;

	w->c = c;
	w->path = g_canonicalize_filename(path, NULL);
	w->rootfs = in_bundle(w, "rootfs");
	w->keep_dirlinks = o->keep_dirlinks;
	r = bundle_ids_parse(o->uid_map, o->gid_map, o->rootless, geteuid(), getegid(), &w->ids, e);
	if (r >= 0)
		r = open_image(w, image, e);
	if (r >= 0)
		r = run_unpack(w, image, e);
	work_clear(w);
	g_free(w);
	return r;
}
