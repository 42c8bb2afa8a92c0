/* SPDX-License-Identifier: MIT */
#include "image/layout.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/json.h"
#include "codec/sha256.h"
#include "image/transport-priv.h"
#include "store/blob.h"

#define REF_NAME "org.opencontainers.image.ref.name"

/* --- pure ------------------------------------------------------------------------------------------- */

/* descriptor.md, "org.opencontainers.image.ref.name": words of letters and digits, single separators between. */
static bool is_name(const char *s)
{
	bool word = false;

	for (; *s; s++) {
		if (g_ascii_isalnum(*s)) {
			word = true;
			continue;
		}
		if (!strchr("-._:@/+", *s) || !word)
			return false;
		/* "--" is one separator, too */
		if (s[0] == '-' && s[1] == '-')
			s++;
		word = false;
	}
	return word;
}

int layout_split(const char *rest, char **ret_path, char **ret_name, struct err *e)
{
	const char *colon = strchr(rest, ':');
	size_t n = colon ? (size_t)(colon - rest) : strlen(rest);

	if (n == 0)
		return err_set(e, -E_INVALID, "no path in '%s'", rest);
	if (colon && colon[1] && !is_name(colon + 1))
		return err_set(e, -E_INVALID, "invalid image name '%s' of a layout", colon + 1);
	*ret_path = g_strndup(rest, n);
	*ret_name = colon && colon[1] ? g_strdup(colon + 1) : NULL;
	return 0;
}

char *layout_blob(const char *digest)
{
	return g_strdup_printf("blobs/sha256/%s", digest + strlen("sha256:"));
}

int layout_choose(const struct manifest *index, const char *name, const char *shown,
	const struct descriptor **ret, struct err *e)
{
	if (!name && index->parts->len == 0)
		return err_set(e, -E_NOTFOUND, "'%s' has no image", shown);
	if (!name && index->parts->len > 1)
		return err_set(e, -E_INVALID, "more than one image in oci, choose an image");
	for (unsigned i = 0; i < index->parts->len; i++) {
		const struct descriptor *d = index->parts->pdata[i];

		if (!name || g_strcmp0(d->name, name) == 0) {
			*ret = d;
			return 0;
		}
	}
	return err_set(e, -E_NOTFOUND, "no descriptor found for reference \"%s\"", name);
}

int layout_put(const char *old, const char *name, const char *type, const char *digest,
	int64_t size, char **ret, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *index = NULL;
	json_t *list, *doc, *entry, *j;
	char *text;
	size_t i;
	int r = 0;

	if (old)
		r = manifest_parse(old, strlen(old), TYPE_OCI_INDEX, &index, e);
	if (r < 0)
		return r;
	doc = index ? json_incref(index->doc)
		    : json_pack("{s:i, s:[]}", "schemaVersion", 2, "manifests");
	list = json_object_get(doc, "manifests");
	entry = json_pack(
		"{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
	if (name)
		(void)json_object_set_new(entry, "annotations", json_pack("{s:s}", REF_NAME, name));
	for (i = 0; i < json_array_size(list); i++) {
		const char *is, *that;

		j = json_array_get(list, i);
		is = json_string_value(
			json_object_get(json_object_get(j, "annotations"), REF_NAME));
		that = json_string_value(json_object_get(j, "digest"));
		if (name ? g_strcmp0(is, name) == 0 : !is && g_strcmp0(that, digest) == 0)
			break;
	}
	if (i < json_array_size(list))
		(void)json_array_set_new(list, i, entry);
	else
		(void)json_array_append_new(list, entry);
	text = json_dumps(doc, JSON_COMPACT);
	*ret = g_strdup(text);
	free(text);
	json_decref(doc);
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------------ */

struct layout_in {
	struct transport_in s;
	struct files *files, *shared;
	char *shown;
	char *digest, *type; /* of the image's document */
};

static int find_blob(struct layout_in *l, const char *digest, struct piece *ret, struct err *e)
{
	g_autofree char *path = layout_blob(digest);
	int r;

	if (l->shared)
		r = files_find(l->shared, path + strlen("blobs/"), ret, e);
	else
		r = files_find(l->files, path, ret, e);
	return r == -E_NOTFOUND ? err_set(e, r, "'%s' has no blob '%s'", l->s.shown, digest) : r;
}

static int layout_document(struct transport_in *s, const char *digest, char **ret, size_t *ret_size,
	char **ret_type, struct err *e)
{
	struct layout_in *l = (struct layout_in *)s;
	bool top = !digest || strcmp(digest, l->digest) == 0;
	struct piece p;
	int r;

	r = find_blob(l, digest ?: l->digest, &p, e);
	if (r < 0)
		return r;
	r = piece_text(&p, TRANSPORT_DOCUMENT_MAX, s->shown, ret, ret_size, e);
	piece_done(&p);
	if (r >= 0)
		*ret_type = g_strdup(top && *l->type ? l->type : manifest_type_of(*ret, *ret_size));
	return r;
}

static int layout_in_blob(struct transport_in *s, const char *digest, int64_t offset,
	transport_sink sink, void *arg, int64_t *ret_size, struct err *e)
{
	struct piece p;
	int r;

	r = find_blob((struct layout_in *)s, digest, &p, e);
	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = p.size;
	r = piece_send(&p, offset, s->shown, sink, arg, e);
	piece_done(&p);
	return r;
}

static void layout_in_free(struct transport_in *s)
{
	struct layout_in *l = (struct layout_in *)s;

	files_free(l->files);
	files_free(l->shared);
	g_free(l->shown);
	g_free(l->digest);
	g_free(l->type);
	g_free(l);
}

static const struct transport_in_ops layout_in_ops = {
	.document = layout_document,
	.blob = layout_in_blob,
	.free = layout_in_free,
};

static int choose(struct layout_in *l, const char *name, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *index = NULL;
	g_autofree char *text = NULL;
	const struct descriptor *d;
	size_t size;
	int r;

	r = files_text(l->files, "index.json", TRANSPORT_DOCUMENT_MAX, &text, &size, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "open %s/index.json: no such file or directory",
			strchr(l->shown, ':') + 1);
	if (r >= 0)
		r = manifest_parse(text, size, TYPE_OCI_INDEX, &index, e);
	if (r >= 0)
		r = layout_choose(index, name, l->shown, &d, e);
	if (r < 0)
		return r;
	l->digest = g_strdup(d->digest);
	l->type = g_strdup(d->type);
	return 0;
}

int layout_open(struct ctx *c, struct files *files, const char *name, const char *prefix,
	const char *rest, const char *shared_blob_dir, struct transport_in **ret, struct err *e)
{
	struct layout_in *l = g_new0(struct layout_in, 1);
	int r = 0;

	l->files = files;
	l->shown = g_strdup_printf("%s:%s", prefix, rest);
	l->s = (struct transport_in){ .ops = &layout_in_ops, .c = c, .shown = l->shown };
	if (shared_blob_dir)
		r = files_folder(shared_blob_dir, &l->shared, e);
	if (r >= 0)
		r = choose(l, name, e);
	if (r < 0) {
		layout_in_free(&l->s);
		return r;
	}
	*ret = &l->s;
	return 0;
}

/* --- writing ------------------------------------------------------------------------------------------ */

void layout_out_init(struct layout_out *l, struct ctx *c, const char *prefix, const char *rest,
	const struct transport_options *o)
{
	l->shown = g_strdup_printf("%s:%s", prefix, rest);
	archive_out_init(&l->out, c, l->shown);
	l->lock = -1;
	l->added = g_ptr_array_new_with_free_func(g_free);
	l->t = (struct transport_out){ .ops = &layout_out_ops, .c = c, .shown = l->shown };
	l->t.wants_packed = !o->accept_uncompressed;
}

static const char *const *layout_types(struct transport_out *t)
{
	static const char *const types[] = { TYPE_OCI_MANIFEST, TYPE_OCI_INDEX, NULL };

	return types;
}

static int layout_has_blob(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;
	g_autofree char *path = layout_blob(digest);
	struct stat st;

	if (g_hash_table_contains(l->out.written, path))
		return 1;
	if (l->out.dir < 0 || fstatat(l->out.dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return S_ISREG(st.st_mode) && st.st_size == size;
}

static int layout_begin(struct transport_out *t, const char *digest, int64_t size,
	int64_t *ret_offset, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;
	/* of the length that it will have */
	g_autofree char *path =
		*digest ? layout_blob(digest) : g_strdup_printf("blobs/sha256/%064d", 0);

	if (ret_offset)
		*ret_offset = 0;
	return check_begin(&l->hash, &l->want, &l->done, digest, e) < 0
		       ? -E_UNSUPPORTED
		       : archive_out_begin(&l->out, path, size, e);
}

static int layout_write(struct transport_out *t, const void *data, size_t size, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;

	if (l->hash)
		sha256_write(l->hash, data, size);
	l->done += (int64_t)size;
	return archive_out_write(&l->out, data, size, e);
}

static int layout_finish(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;
	g_autofree char *path = layout_blob(digest);
	bool there = layout_has_blob(t, digest, size, e) == 1;
	int r;

	r = check_end(&l->hash, digest, size, l->done, e);
	if (r >= 0)
		r = archive_out_finish(&l->out, path, e);
	if (r >= 0 && !there)
		g_ptr_array_add(l->added, g_strdup(digest));
	return r;
}

static int layout_out_document(struct transport_out *t, const char *text, size_t size,
	const char *type, bool top, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;
	g_autofree char *digest = blob_digest(text, size), *path = layout_blob(digest), *old = NULL;
	size_t old_size;
	int r = 0;

	if (layout_has_blob(t, digest, (int64_t)size, e) == 0) {
		r = archive_out_text(&l->out, path, text, size, e);
		g_ptr_array_add(l->added, g_strdup(digest));
	}
	if (r < 0 || !top)
		return r;
	if (l->out.dir >= 0) {
		r = folder_text(
			l->out.dir, "index.json", TRANSPORT_DOCUMENT_MAX, &old, &old_size, e);
		if (r < 0 && r != -E_NOTFOUND)
			return r;
	}
	g_clear_pointer(&l->index, g_free);
	return layout_put(old, l->name, type, digest, (int64_t)size, &l->index, e);
}

static int layout_commit(struct transport_out *t, struct err *e)
{
	struct layout_out *l = (struct layout_out *)t;
	static const char version[] = "{\"imageLayoutVersion\": \"1.0.0\"}";
	int r;

	if (!l->index)
		return err_set(e, -E_INVALID, "no image was written to '%s'", l->shown);
	r = archive_out_text(&l->out, "oci-layout", version, strlen(version), e);
	if (r >= 0)
		r = archive_out_text(&l->out, "index.json", l->index, strlen(l->index), e);
	if (r >= 0)
		r = archive_out_end(&l->out, e);
	if (r >= 0)
		r = l->end(l, e);
	if (r >= 0)
		l->abort = NULL;
	return r;
}

static void layout_out_free(struct transport_out *t)
{
	struct layout_out *l = (struct layout_out *)t;

	archive_out_done(&l->out);
	if (l->abort)
		l->abort(l);
	sha256_free(l->hash);
	closep(&l->out.fd);
	closep(&l->lock);
	g_ptr_array_unref(l->added);
	g_free(l->shown);
	g_free(l->name);
	g_free(l->path);
	g_free(l->shared_blob_dir);
	g_free(l->want);
	g_free(l->index);
	g_free(l);
}

const struct transport_out_ops layout_out_ops = {
	.has_blob = layout_has_blob,
	.blob_begin = layout_begin,
	.blob_write = layout_write,
	.blob_finish = layout_finish,
	.document = layout_out_document,
	.types = layout_types,
	.commit = layout_commit,
	.free = layout_out_free,
};
