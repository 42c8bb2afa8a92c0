/* SPDX-License-Identifier: MIT */
/*
 * An archive as a tar, read once. What stands in it comes in any order: the layers often before the manifest
 * that says what they are. So each file that looks like a layer becomes one as it streams by, small files are
 * kept, and what turns out to belong to no image is collected afterwards.
 */
#include <string.h>
#include "codec/inflate.h"
#include "codec/tar.h"
#include "image/archive-priv.h"
#include "store/blob.h"

#define LINKS_MAX     8		/* links followed one after another */
#define SMALL_MAX     (1 << 20) /* a file with an unknown name that is larger isn't kept */
#define PROGRESS_STEP (4 << 20) /* bytes */

struct file {
	enum {
		FILE_TEXT,
		FILE_LAYER,
		FILE_LINK,
		FILE_IGNORED
	} kind;
	GString *text;		   /* FILE_TEXT */
	char *target;		   /* FILE_LINK: cleaned path in the archive */
	struct layer_result layer; /* FILE_LAYER */
	int code;		   /* FILE_LAYER: why it isn't one */
	struct err e;
};

struct source_tar {
	struct source s;
	GHashTable *files; /* cleaned path -> struct file */
	size_t text_total;
	/* the entry being read */
	char *path;
	struct file *file; /* in files */
	struct layer_in *layer;
	int64_t size, done, told;
	unsigned n_layers;
};

static void file_free(struct file *f)
{
	if (f->text)
		g_string_free(f->text, TRUE);
	g_free(f->target);
	g_free(f);
}

/* Layers have names that end so, or are blobs, which JSON is too. */
static bool may_be_layer(const char *path)
{
	static const char *const suffix[] = { ".tar", ".tar.gz", ".tgz", ".tar.zst" };

	for (unsigned i = 0; i < G_N_ELEMENTS(suffix); i++)
		if (g_str_has_suffix(path, suffix[i]))
			return true;
	return g_str_has_prefix(path, "blobs/");
}

/* What the file is, from its name and its first byte. */
static void decide(struct source_tar *t, char first)
{
	bool json = first == '{' || first == '[';

	if (may_be_layer(t->path) && !(json && g_str_has_prefix(t->path, "blobs/"))) {
		t->file->kind = FILE_LAYER;
		t->n_layers++;
	} else if (t->size <= SMALL_MAX || (json && t->size <= BLOB_MAX)) {
		t->file->kind = FILE_TEXT;
		t->file->text = g_string_sized_new((gsize)t->size + 1);
	} else {
		t->file->kind = FILE_IGNORED;
	}
}

/* A file that isn't a layer, though it looked like one, only matters when an image names it. */
static bool is_of_content(int code)
{
	return code == -E_CORRUPT || code == -E_LIMIT || code == -E_UNSUPPORTED ||
	       code == -E_INVALID;
}

static int layer_failed(struct source_tar *t, int r, const struct err *why, struct err *e)
{
	layer_in_free(t->layer);
	t->layer = NULL;
	if (!is_of_content(r)) {
		if (e)
			*e = *why;
		return r;
	}
	t->file->code = r;
	t->file->e = *why;
	return 0;
}

static int end_entry(struct source_tar *t, struct err *e)
{
	const char *slash = t->path ? strrchr(t->path, '/') : NULL;
	g_autofree char *want = NULL;
	struct err why = { 0 };
	int r;

	if (!t->file)
		return 0;
	if (t->layer) {
		/* a blob is called by its digest; another name says nothing */
		if (g_str_has_prefix(t->path, "blobs/sha256/") && strlen(slash + 1) == 64)
			want = g_strdup_printf("sha256:%s", slash + 1);
		r = layer_in_finish(t->layer, NULL, want, &t->file->layer, &why);
		if (r < 0) {
			r = layer_failed(t, r, &why, e);
			if (r < 0)
				return r;
		}
		layer_in_free(t->layer);
		t->layer = NULL;
	}
	t->file = NULL;
	g_clear_pointer(&t->path, g_free);
	return 0;
}

static int on_entry(void *arg, const struct tar_entry *x, struct err *e)
{
	struct source_tar *t = arg;
	char shown[TAR_SHOWN];
	struct file *f;
	int r;

	r = end_entry(t, e);
	if (r < 0 || x->type == TAR_DIR)
		return r;
	g_free(t->path);
	t->path = archive_path(x->path);
	if (!t->path)
		return err_set(e, -E_CORRUPT, "'%s' has the entry '%s', which leads out of it",
			t->s.shown, tar_show(x->path, shown));
	if (g_hash_table_size(t->files) >= ARCHIVE_ENTRIES_MAX)
		return err_set(e, -E_LIMIT, "'%s' has more than %d entries", t->s.shown,
			ARCHIVE_ENTRIES_MAX);
	if (g_hash_table_contains(t->files, t->path))
		return err_set(e, -E_CORRUPT, "'%s' has two entries '%s'", t->s.shown,
			tar_show(t->path, shown));
	f = g_new0(struct file, 1);
	f->kind = FILE_IGNORED;
	g_hash_table_insert(t->files, g_strdup(t->path), f);
	t->file = f;
	t->size = x->size;
	t->done = t->told = 0;
	if (x->type == TAR_SYMLINK || x->type == TAR_HARDLINK) {
		f->kind = FILE_LINK;
		f->target = archive_link_target(t->path, x->type == TAR_HARDLINK, x->target);
		if (!f->target)
			return err_set(e, -E_CORRUPT, "the link '%s' of '%s' leads out of it",
				tar_show(t->path, shown), t->s.shown);
	} else if (x->type != TAR_FILE) {
		return err_set(e, -E_CORRUPT, "'%s' has the entry '%s', which is no file",
			t->s.shown, tar_show(x->path, shown));
	} else if (x->sparse) {
		return err_set(e, -E_UNSUPPORTED, "'%s' has the entry '%s', which is a sparse file",
			t->s.shown, tar_show(x->path, shown));
	} else if (x->size == 0) {
		f->kind = FILE_TEXT;
		f->text = g_string_new(NULL);
	}
	return 0;
}

static int on_layer_content(struct source_tar *t, const void *data, size_t size, struct err *e)
{
	struct err why = { 0 };
	int r = 0;

	if (t->file->code < 0) /* it isn't one: what follows is passed over */
		return 0;
	if (!t->layer)
		r = layer_in_new(t->s.c, &t->layer, &why);
	if (r >= 0)
		r = layer_in_write(t->layer, data, size, &why);
	if (r < 0)
		return layer_failed(t, r, &why, e);
	if (t->told == 0 || t->done - t->told >= PROGRESS_STEP) {
		t->told = t->done + 1;
		image_tell(t->s.progress, "reading layer %u: %d MB", t->n_layers,
			(int)(t->done / 1000000));
	}
	return 0;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct source_tar *t = arg;
	struct file *f = t->file;

	if (t->done == 0)
		decide(t, *(const char *)data);
	t->done += (int64_t)size;
	if (f->kind == FILE_LAYER)
		return on_layer_content(t, data, size, e);
	if (f->kind != FILE_TEXT)
		return 0;
	t->text_total += size;
	if (t->text_total > ARCHIVE_TEXT_MAX)
		return err_set(e, -E_LIMIT, "the small files of '%s' are more than %d bytes",
			t->s.shown, ARCHIVE_TEXT_MAX);
	g_string_append_len(f->text, data, (gssize)size);
	return 0;
}

/* Follows links. NULL: not there. */
static struct file *find(struct source_tar *t, const char *path)
{
	struct file *f = g_hash_table_lookup(t->files, path);

	for (int i = 0; f && f->kind == FILE_LINK; i++)
		f = i < LINKS_MAX ? g_hash_table_lookup(t->files, f->target) : NULL;
	return f;
}

static int tar_text(struct source *s, const char *path, char **ret, size_t *ret_size, struct err *e)
{
	const struct file *f = find((struct source_tar *)s, path);

	if (!f)
		return -E_NOTFOUND;
	if (f->kind != FILE_TEXT)
		return err_set(
			e, -E_CORRUPT, "'%s' in '%s' isn't JSON, or too large", path, s->shown);
	*ret = g_memdup2(f->text->str, f->text->len + 1);
	*ret_size = f->text->len;
	return 0;
}

static int tar_layer(struct source *s, const char *path, const char *want_diff_id,
	const char *want_blob, struct layer_result *ret, struct err *e)
{
	const struct file *f = find((struct source_tar *)s, path);

	if (!f)
		return err_set(e, -E_CORRUPT, "'%s' has no file '%s'", s->shown, path);
	if (f->kind == FILE_LAYER && f->code < 0) {
		if (e)
			*e = f->e;
		(void)err_prefix(e, "layer '%s' of '%s'", path, s->shown);
		return f->code;
	}
	if (f->kind != FILE_LAYER)
		return err_set(e, -E_CORRUPT, "'%s' in '%s' isn't a layer", path, s->shown);
	if (want_blob && strcmp(want_blob, f->layer.blob_digest) != 0)
		return err_set(e, -E_CORRUPT, "the content of '%s' in '%s' has the digest '%s'",
			path, s->shown, f->layer.blob_digest);
	if (want_diff_id && strcmp(want_diff_id, f->layer.digest) != 0)
		return err_set(e, -E_CORRUPT,
			"the layer '%s' of '%s' has the digest '%s', and its image wants '%s'",
			path, s->shown, f->layer.digest, want_diff_id);
	*ret = f->layer;
	return 0;
}

static void tar_free(struct source *s)
{
	struct source_tar *t = (struct source_tar *)s;

	layer_in_free(t->layer);
	g_hash_table_unref(t->files);
	g_free(t->path);
	g_free(t);
}

static const struct source_ops tar_ops = {
	.text = tar_text,
	.layer = tar_layer,
	.free = tar_free,
};

static int on_plain(void *arg, const void *data, size_t size, struct err *e)
{
	return tar_reader_write(arg, data, size, e);
}

static int on_raw_input(void *arg, const void *data, size_t size, struct err *e)
{
	return inflate_write(arg, data, size, e);
}

int source_tar_open(struct ctx *c, const struct source_input *in, const char *shown,
	const struct image_progress *progress, struct source **ret, struct err *e)
{
	static const struct tar_sink sink = { .entry = on_entry, .content = on_content };
	struct source_tar *t = g_new0(struct source_tar, 1);
	_cleanup_(tar_reader_freep) struct tar_reader *tar = tar_reader_new(&sink, t);
	_cleanup_(inflate_freep) struct inflate *z = inflate_new(on_plain, tar);
	int r;

	t->s = (struct source){ .ops = &tar_ops, .c = c, .shown = shown, .progress = progress };
	t->files =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)file_free);
	r = source_pump(in, shown, on_raw_input, z, e);
	if (r >= 0)
		r = inflate_finish(z, e);
	if (r >= 0)
		r = tar_reader_finish(tar, e);
	if (r >= 0)
		r = end_entry(t, e);
	if (r < 0) {
		tar_free(&t->s);
		return r;
	}
	*ret = &t->s;
	return 0;
}
