/* SPDX-License-Identifier: MIT */
/*
 * docker-archive:PATH[:REFERENCE|:@INDEX]: what docker save writes. It has no manifest of its own kind, so one of schema 2
 * is made for it, as others make it: plain layers by the type of compressed ones.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/units.h"
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "image/archive-out.h"
#include "image/archive-priv.h"
#include "image/manifest.h"
#include "image/ref.h"
#include "image/transport-priv.h"
#include "store/blob.h"

/* --- which image ---------------------------------------------------------------------------------------- */

struct which {
	char *path;
	char *name; /* full; NULL: not given */
	int index;  /* -1: not given */
};

static void which_clear(struct which *w)
{
	g_free(w->path);
	g_free(w->name);
}

static int name_of(const char *text, char **ret, struct err *e)
{
	struct ref ref;
	int r = ref_parse(text, 0, &ref, e);

	if (r < 0)
		return r;
	if (ref.digest)
		r = err_set(e, -E_INVALID, "'%s' has a digest, which an archive can't have", text);
	else
		*ret = ref_full(&ref);
	ref_clear(&ref);
	return r;
}

static int parse(const char *rest, struct which *w, struct err *e)
{
	const char *colon = strchr(rest, ':');
	int64_t n;

	*w = (struct which){ .index = -1 };
	if (!*rest || colon == rest)
		return err_set(e, -E_INVALID, "no path in 'docker-archive:%s'", rest);
	w->path = colon ? g_strndup(rest, (gsize)(colon - rest)) : g_strdup(rest);
	if (!colon || !colon[1])
		return 0;
	if (colon[1] != '@')
		return name_of(colon + 1, &w->name, e);
	if (units_parse_int(colon + 2, 0, INT_MAX, &n) < 0)
		return err_set(e, -E_INVALID, "'%s' isn't the place of an image", colon + 1);
	w->index = (int)n;
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

struct archive_in {
	struct transport_in s;
	char *shown;
	struct files *files;
	struct docker_image *image; /* in images */
	GPtrArray *images;
	char *config;
	size_t config_size;
	char *config_digest;
	char **diff_ids;
	int64_t *sizes; /* of the plain layers */
	char *manifest;
};

static void archive_in_free(struct transport_in *s)
{
	struct archive_in *a = (struct archive_in *)s;

	files_free(a->files);
	if (a->images)
		g_ptr_array_unref(a->images);
	g_free(a->config);
	g_free(a->config_digest);
	g_strfreev(a->diff_ids);
	g_free(a->sizes);
	g_free(a->manifest);
	g_free(a->shown);
	g_free(a);
}

static int archive_document(struct transport_in *s, const char *digest, char **ret,
	size_t *ret_size, char **ret_type, struct err *e)
{
	struct archive_in *a = (struct archive_in *)s;
	g_autofree char *own = blob_digest(a->manifest, strlen(a->manifest));

	if (digest && strcmp(digest, own) != 0)
		return err_set(e, -E_NOTFOUND, "'%s' has one manifest, '%s'", s->shown, own);
	*ret = g_strdup(a->manifest);
	*ret_size = strlen(a->manifest);
	*ret_type = g_strdup(TYPE_DOCKER_MANIFEST);
	return 0;
}

static int raw_to_plain(void *arg, const void *data, size_t size, struct err *e)
{
	return inflate_write(arg, data, size, e);
}

struct skip {
	int64_t left;
	transport_sink sink;
	void *arg;
};

static int skip(void *arg, const void *data, size_t size, struct err *e)
{
	struct skip *s = arg;
	size_t n = (size_t)MIN((int64_t)size, s->left);

	s->left -= (int64_t)n;
	return n < size ? s->sink(s->arg, (const char *)data + n, size - n, e) : 0;
}

/* A layer, plain; the archive may have it compressed. */
static int send_plain(struct archive_in *a, const char *path, int64_t offset, transport_sink sink,
	void *arg, struct err *e)
{
	struct skip s = { offset, sink, arg };
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(skip, &s);
	struct piece p;
	int r;

	r = files_find(a->files, path, &p, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", a->shown, path);
	if (r < 0)
		return r;
	r = piece_send(&p, 0, a->shown, raw_to_plain, z, e);
	piece_done(&p);
	return r < 0 ? r : inflate_finish(z, e);
}

static int archive_blob(struct transport_in *s, const char *digest, int64_t offset,
	transport_sink sink, void *arg, int64_t *ret_size, struct err *e)
{
	struct archive_in *a = (struct archive_in *)s;

	if (strcmp(digest, a->config_digest) == 0) {
		if (ret_size)
			*ret_size = (int64_t)a->config_size;
		return sink(arg, a->config + MIN(offset, (int64_t)a->config_size),
			a->config_size - (size_t)MIN(offset, (int64_t)a->config_size), e);
	}
	for (unsigned i = 0; a->diff_ids[i]; i++) {
		if (strcmp(a->diff_ids[i], digest) != 0)
			continue;
		if (ret_size)
			*ret_size = a->sizes[i];
		return send_plain(a, a->image->layers[i], offset, sink, arg, e);
	}
	return err_set(e, -E_NOTFOUND, "'%s' has no blob '%s'", s->shown, digest);
}

static int archive_tags(struct transport_in *s, GPtrArray **ret, struct err *e)
{
	struct archive_in *a = (struct archive_in *)s;
	GPtrArray *tags = g_ptr_array_new_with_free_func(g_free);

	for (unsigned i = 0; i < a->images->len; i++) {
		const struct docker_image *d = a->images->pdata[i];

		for (char **n = d->names; n && *n; n++)
			g_ptr_array_add(tags, g_strdup(*n));
	}
	*ret = tags;
	return 0;
}

static const struct transport_in_ops archive_in_ops = {
	.document = archive_document,
	.blob = archive_blob,
	.tags = archive_tags,
	.free = archive_in_free,
};

static int count(void *arg, const void *data, size_t size, struct err *e)
{
	*(int64_t *)arg += (int64_t)size;
	return 0;
}

/* The size that a layer has when it is plain. */
static int plain_size(struct archive_in *a, const char *path, int64_t *ret, struct err *e)
{
	struct piece p;
	char head[16];
	ssize_t n;
	int r;

	r = files_find(a->files, path, &p, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", a->shown, path);
	if (r < 0)
		return r;
	n = pread(p.fd, head, (size_t)MIN(p.size, (int64_t)sizeof(head)), p.at);
	*ret = p.size;
	piece_done(&p);
	if (n < 0)
		return err_sys(e, -errno, "cannot read '%s'", a->shown);
	if (inflate_kind_of(head, (size_t)n) == INFLATE_PLAIN || n == 0)
		return 0;
	*ret = 0;
	return send_plain(a, path, 0, count, ret, e);
}

static int make_manifest(struct archive_in *a, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	struct part top;
	struct part *parts;
	unsigned n = g_strv_length(a->image->layers);
	int r;

	r = files_text(a->files, a->image->config, BLOB_MAX, &a->config, &a->config_size, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", a->shown, a->image->config);
	if (r >= 0)
		r = image_config_parse(a->config, a->config_size, &config, e);
	if (r < 0)
		return r;
	if (g_strv_length(config->diff_ids) != n)
		return err_set(e, -E_CORRUPT,
			"the image of '%s' has %u layers, its configuration %u", a->shown, n,
			g_strv_length(config->diff_ids));
	a->config_digest = blob_digest(a->config, a->config_size);
	a->diff_ids = g_strdupv(config->diff_ids);
	a->sizes = g_new0(int64_t, n + 1);
	parts = g_new0(struct part, n + 1);
	for (unsigned i = 0; r >= 0 && i < n; i++) {
		r = plain_size(a, a->image->layers[i], &a->sizes[i], e);
		parts[i] = (struct part){ manifest_layer_type(false, PACKING_GZIP), a->diff_ids[i],
			a->sizes[i] };
	}
	top = (struct part){ TYPE_DOCKER_CONFIG, a->config_digest, (int64_t)a->config_size };
	if (r >= 0)
		a->manifest = manifest_new(false, &top, parts, n);
	g_free(parts);
	return r;
}

/* The names of an archive are short ("busybox:1") or whole. */
static bool has_name(const struct docker_image *d, const char *full)
{
	for (char **n = d->names; n && *n; n++) {
		g_autofree char *is = NULL;

		if (name_of(*n, &is, NULL) >= 0 && strcmp(is, full) == 0)
			return true;
	}
	return false;
}

static int choose(struct archive_in *a, const char *name, int index, struct err *e)
{
	g_autofree char *text = NULL;
	size_t size;
	int r;

	r = files_text(a->files, "manifest.json", TRANSPORT_DOCUMENT_MAX, &text, &size, e);
	if (r == -E_NOTFOUND)
		return err_set(e, -E_INVALID, "'%s' has no manifest.json", a->shown);
	if (r >= 0)
		r = docker_manifest_parse(text, size, &a->images, e);
	if (r < 0)
		return r;
	if (index >= (int)a->images->len)
		return err_set(e, -E_NOTFOUND,
			"Invalid source index @%d, only %u manifest items available", index,
			a->images->len);
	if (index < 0 && !name && a->images->len > 1)
		return err_set(e, -E_INVALID,
			"Unexpected tar manifest.json: expected 1 item, got %u", a->images->len);
	for (unsigned i = 0; i < a->images->len; i++) {
		struct docker_image *d = a->images->pdata[i];

		if (index >= 0 ? (int)i != index : name && !has_name(d, name))
			continue;
		a->image = d;
		return make_manifest(a, e);
	}
	return err_set(e, -E_NOTFOUND, "Tag \"%s\" not found", name);
}

static int open_files(struct ctx *c, struct files *files, const char *shown, const char *name,
	int index, struct transport_in **ret, struct err *e)
{
	struct archive_in *a = g_new0(struct archive_in, 1);
	int r;

	a->files = files;
	a->shown = g_strdup(shown);
	a->s = (struct transport_in){ .ops = &archive_in_ops, .c = c, .shown = a->shown };
	r = choose(a, name, index, e);
	if (r < 0) {
		archive_in_free(&a->s);
		return r;
	}
	*ret = &a->s;
	return 0;
}

int docker_archive_open_fd(struct ctx *c, int fd, const char *shown, const char *ref,
	const struct transport_options *o, struct transport_in **ret, struct err *e)
{
	struct files *files;
	int r = files_tar_fd(fd, shown, o->tmp_dir, &files, e);

	/* what was asked for is all that is in it */
	return r < 0 ? r : open_files(c, files, shown, ref, ref ? -1 : 0, ret, e);
}

static int archive_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	g_autofree char *shown = g_strdup_printf("docker-archive:%s", rest);
	struct files *files;
	struct which w;
	int r;

	r = parse(rest, &w, e);
	if (r >= 0)
		r = files_tar(w.path, o->tmp_dir, &files, e);
	if (r >= 0)
		r = open_files(c, files, shown, w.name, w.index, ret, e);
	which_clear(&w);
	return r;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

struct archive_to {
	struct transport_out t;
	struct archive_out out;
	char *shown;
	GPtrArray *names; /* full */
	struct sha256 *hash;
	char *want;
	int64_t done;
	bool is_config;
	json_t *entry; /* of manifest.json */
	int (*finished)(void *arg, struct err *e);
	void (*release)(void *arg);
	void *arg;
};

static char *member(const char *digest, bool config)
{
	return g_strdup_printf("%s.%s", sha256_hex(digest), config ? "json" : "tar");
}

static int to_has_blob(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;
	g_autofree char *layer = member(digest, false), *config = member(digest, true);

	return g_hash_table_contains(a->out.written, layer) ||
	       g_hash_table_contains(a->out.written, config);
}

static int to_begin(struct transport_out *t, const char *digest, int64_t size, int64_t *ret_offset,
	struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;
	g_autofree char *path = NULL;
	int r;

	if (ret_offset)
		*ret_offset = 0;
	a->is_config = g_strcmp0(t->blob_type, TYPE_DOCKER_CONFIG) == 0 ||
		       g_strcmp0(t->blob_type, TYPE_OCI_CONFIG) == 0;
	/* of the length that it will have */
	path = *digest ? member(digest, a->is_config)
		       : g_strdup_printf("%064d.%s", 0, a->is_config ? "json" : "tar");
	r = check_begin(&a->hash, &a->want, &a->done, digest, e);
	return r < 0 ? r : archive_out_begin(&a->out, path, size, e);
}

static int to_write(struct transport_out *t, const void *data, size_t size, struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;

	if (a->hash)
		sha256_write(a->hash, data, size);
	a->done += (int64_t)size;
	return archive_out_write(&a->out, data, size, e);
}

static int to_finish(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;
	g_autofree char *path = member(digest, a->is_config);
	int r = check_end(&a->hash, digest, size, a->done, e);

	return r < 0 ? r : archive_out_finish(&a->out, path, e);
}

static int to_document(struct transport_out *t, const char *text, size_t size, const char *type,
	bool top, struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	g_autofree char *config = NULL;
	json_t *layers;
	int r;

	r = manifest_parse(text, size, type, &m, e);
	if (r < 0)
		return r;
	if (m->index || !manifest_is_image(m))
		return err_set(e, -E_UNSUPPORTED, "'%s' takes one image, nothing else", a->shown);
	layers = json_array();
	for (unsigned i = 0; i < m->parts->len; i++) {
		const struct descriptor *d = m->parts->pdata[i];
		g_autofree char *path = member(d->digest, false);

		(void)json_array_append_new(layers, json_string(path));
	}
	config = member(m->config->digest, true);
	json_decref(a->entry);
	a->entry = json_pack("{s:s, s:[], s:o}", "Config", config, "RepoTags", "Layers", layers);
	return 0;
}

static const char *const *to_types(struct transport_out *t)
{
	static const char *const types[] = { TYPE_DOCKER_MANIFEST, NULL };

	return types;
}

static int put_json(struct archive_to *a, const char *path, json_t *j, struct err *e)
{
	char *text = json_dumps(j, JSON_COMPACT);
	int r = archive_out_text(&a->out, path, text, strlen(text), e);

	free(text);
	return r;
}

static int to_commit(struct transport_out *t, struct err *e)
{
	struct archive_to *a = (struct archive_to *)t;
	json_t *list, *repositories = json_object();
	const char *config;
	int r;

	if (!a->entry)
		return err_set(e, -E_INVALID, "no image was written to '%s'", a->shown);
	config = json_string_value(json_object_get(a->entry, "Config"));
	for (unsigned i = 0; i < a->names->len; i++) {
		const char *name = a->names->pdata[i], *colon = strrchr(name, ':');
		g_autofree char *repository = g_strndup(name, (gsize)(colon - name));
		g_autofree char *id = g_strndup(config, strcspn(config, "."));
		json_t *tags = json_object_get(repositories, repository);

		(void)json_array_append_new(
			json_object_get(a->entry, "RepoTags"), json_string(name));
		if (!tags) {
			tags = json_object();
			(void)json_object_set_new(repositories, repository, tags);
		}
		(void)json_object_set_new(tags, colon + 1, json_string(id));
	}
	list = json_pack("[O]", a->entry);
	r = put_json(a, "manifest.json", list, e);
	if (r >= 0)
		r = put_json(a, "repositories", repositories, e);
	json_decref(list);
	json_decref(repositories);
	if (r >= 0)
		r = archive_out_end(&a->out, e);
	return r < 0 ? r : a->finished(a->arg, e);
}

static void to_free(struct transport_out *t)
{
	struct archive_to *a = (struct archive_to *)t;

	archive_out_done(&a->out);
	sha256_free(a->hash);
	json_decref(a->entry);
	g_ptr_array_unref(a->names);
	g_free(a->want);
	g_free(a->shown);
	a->release(a->arg);
	g_free(a);
}

static const struct transport_out_ops to_ops = {
	.has_blob = to_has_blob,
	.blob_begin = to_begin,
	.blob_write = to_write,
	.blob_finish = to_finish,
	.document = to_document,
	.types = to_types,
	.commit = to_commit,
	.free = to_free,
};

int docker_archive_out_fd(struct ctx *c, int fd, const char *shown, const char *ref,
	const struct transport_options *o, int (*done)(void *arg, struct err *e),
	void (*release)(void *arg), void *arg, struct transport_out **ret, struct err *e)
{
	struct archive_to *a = g_new0(struct archive_to, 1);
	int r = 0;

	a->shown = g_strdup(shown);
	a->names = g_ptr_array_new_with_free_func(g_free);
	archive_out_init(&a->out, c, a->shown);
	a->out.fd = fd;
	a->out.mode = 0444;
	a->t = (struct transport_out){
		.ops = &to_ops, .c = c, .shown = a->shown, .wants_plain = true, .one_image = true
	};
	a->finished = done;
	a->release = release;
	a->arg = arg;
	if (ref)
		g_ptr_array_add(a->names, g_strdup(ref));
	for (char **n = o->additional_tags; r >= 0 && n && *n; n++) {
		char *full = NULL;

		r = name_of(*n, &full, e);
		if (r >= 0)
			g_ptr_array_add(a->names, full);
	}
	if (r < 0) {
		to_free(&a->t);
		return r;
	}
	*ret = &a->t;
	return 0;
}

struct target {
	char *path, *part;
	int fd;
};

static int target_done(void *arg, struct err *e)
{
	struct target *f = arg;

	if (rename(f->part, f->path) < 0)
		return err_sys(e, -errno, "cannot write '%s'", f->path);
	g_clear_pointer(&f->part, g_free);
	return 0;
}

static void target_free(void *arg)
{
	struct target *f = arg;

	if (f->part && f->fd >= 0)
		(void)unlink(f->part);
	closep(&f->fd);
	g_free(f->part);
	g_free(f->path);
	g_free(f);
}

static int archive_open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	g_autofree char *shown = g_strdup_printf("docker-archive:%s", rest);
	struct target *f;
	struct which w;
	struct stat st;
	int r;

	r = parse(rest, &w, e);
	if (r >= 0 && w.index >= 0)
		r = err_set(e, -E_INVALID, "an image is written by its name, not by its place");
	if (r >= 0 && stat(w.path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		r = err_set(
			e, -E_EXISTS, "docker-archive doesn't support modifying existing images");
	if (r < 0) {
		which_clear(&w);
		return r;
	}
	f = g_new0(struct target, 1);
	f->path = g_steal_pointer(&w.path);
	f->part = g_strdup_printf("%s.part-%d", f->path, (int)getpid());
	(void)unlink(f->part);
	r = f->fd = RET_NERRNO(open(f->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	if (r < 0) {
		r = err_sys(e, r, "cannot make '%s'", f->part);
		target_free(f);
	} else {
		r = docker_archive_out_fd(
			c, f->fd, shown, w.name, o, target_done, target_free, f, ret, e);
		if (r >= 0)
			(*ret)->identity = NULL;
	}
	which_clear(&w);
	return r;
}

const struct transport transport_docker_archive = {
	.name = "docker-archive",
	.open_in = archive_open_in,
	.open_out = archive_open_out,
};
