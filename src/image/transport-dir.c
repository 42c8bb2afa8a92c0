/* SPDX-License-Identifier: MIT */
/*
 * dir:PATH: an image's files one beside the other: manifest.json, blobs by their digest's digits, other documents as
 * HEX.manifest.json, signatures as signature-N and HEX.signature-N, and "version". A sigstore signature is such a file that
 * begins with a NUL, the word "sigstore-json" and a line's end, as containers/image writes them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "image/archive-out.h"
#include "image/attachments.h"
#include "image/manifest.h"
#include "image/policy.h"
#include "image/transport-priv.h"
#include "store/blob.h"

#define VERSION		"Directory Transport Version: 1.1\n"
#define VERSION_PREFIX	"Directory Transport Version: "
#define SIGSTORE_PREFIX "\0sigstore-json\n"
#define SIGNATURES_MAX	1000
#define SIGNATURE_BYTES (4 << 20)

/* --- reading ---------------------------------------------------------------------------------------------- */

struct dir_in {
	struct transport_in s;
	struct files *files;
	char *shown;
};

static char *document_name(const char *digest)
{
	return digest ? g_strdup_printf("%s.manifest.json", sha256_hex(digest))
		      : g_strdup("manifest.json");
}

static char *signature_name(const char *digest, unsigned n)
{
	return digest ? g_strdup_printf("%s.signature-%u", sha256_hex(digest), n)
		      : g_strdup_printf("signature-%u", n);
}

static int dir_document(struct transport_in *s, const char *digest, char **ret, size_t *ret_size,
	char **ret_type, struct err *e)
{
	struct dir_in *d = (struct dir_in *)s;
	g_autofree char *name = document_name(digest), *text = NULL;
	size_t size;
	int r;

	r = files_text(d->files, name, TRANSPORT_DOCUMENT_MAX, &text, &size, e);
	if (r == -E_NOTFOUND && digest) {
		g_autofree char *is = NULL;

		/* the one that the folder is about may be asked for by its digest */
		r = files_text(d->files, "manifest.json", TRANSPORT_DOCUMENT_MAX, &text, &size, e);
		if (r >= 0)
			is = blob_digest(text, size);
		if (r >= 0 && strcmp(is, digest) != 0)
			r = -E_NOTFOUND;
	}
	if (r == -E_NOTFOUND)
		return err_set(e, r, "open %s/%s: no such file or directory",
			s->shown + strlen("dir:"), name);
	if (r < 0)
		return r;
	*ret_type = g_strdup(manifest_type_of(text, size));
	*ret = g_steal_pointer(&text);
	*ret_size = size;
	return 0;
}

static int dir_blob(struct transport_in *s, const char *digest, int64_t offset, transport_sink sink,
	void *arg, int64_t *ret_size, struct err *e)
{
	struct dir_in *d = (struct dir_in *)s;
	struct piece p;
	int r;

	r = files_find(d->files, sha256_hex(digest), &p, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "'%s' has no blob '%s'", s->shown, digest);
	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = p.size;
	r = piece_send(&p, offset, s->shown, sink, arg, e);
	piece_done(&p);
	return r;
}

static void unref_bytes(void *b)
{
	g_bytes_unref(b);
}

/* Calls take for each signature's file of a document. */
static int each_signature(struct dir_in *d, const char *digest,
	int (*take)(GPtrArray *list, char *data, size_t size, struct err *e), GPtrArray *list,
	struct err *e)
{
	g_autofree char *top = NULL, *is = NULL;
	size_t size;
	int r = 0;

	/* those of manifest.json have no digest in their names */
	if (digest && files_text(d->files, "manifest.json", TRANSPORT_DOCUMENT_MAX, &top, &size,
			      NULL) >= 0) {
		is = blob_digest(top, size);
		if (strcmp(is, digest) == 0)
			digest = NULL;
	}
	for (unsigned n = 1; r >= 0 && n <= SIGNATURES_MAX; n++) {
		g_autofree char *name = signature_name(digest, n);
		char *data;

		r = files_text(d->files, name, SIGNATURE_BYTES, &data, &size, e);
		if (r == -E_NOTFOUND)
			return 0;
		if (r >= 0)
			r = take(list, data, size, e);
		if (r < 0)
			return err_prefix(e, "the signature '%s' of '%s'", name, d->shown);
	}
	return r;
}

static bool is_sigstore(const char *data, size_t size)
{
	return size >= sizeof(SIGSTORE_PREFIX) - 1 &&
	       memcmp(data, SIGSTORE_PREFIX, sizeof(SIGSTORE_PREFIX) - 1) == 0;
}

static int take_simple(GPtrArray *list, char *data, size_t size, struct err *e)
{
	if (is_sigstore(data, size))
		g_free(data);
	else
		g_ptr_array_add(list, g_bytes_new_take(data, size));
	return 0;
}

static int take_sigstore(GPtrArray *list, char *data, size_t size, struct err *e)
{
	g_autofree char *whole = data;
	size_t skip = sizeof(SIGSTORE_PREFIX) - 1;
	struct policy_attachment *a = NULL;

	if (!is_sigstore(data, size))
		return 0;
	if (attachment_parse(data + skip, size - skip, &a, e) < 0)
		return -E_CORRUPT;
	g_ptr_array_add(list, a);
	return 0;
}

static int dir_signatures(
	struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(unref_bytes);
	int r = each_signature((struct dir_in *)s, digest, take_simple, list, e);

	if (r >= 0)
		*ret = g_steal_pointer(&list);
	return r;
}

static int dir_attachments(
	struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)policy_attachment_free);
	int r = each_signature((struct dir_in *)s, digest, take_sigstore, list, e);

	if (r >= 0)
		*ret = g_steal_pointer(&list);
	return r;
}

static void dir_in_free(struct transport_in *s)
{
	struct dir_in *d = (struct dir_in *)s;

	files_free(d->files);
	g_free(d->shown);
	g_free(d);
}

static const struct transport_in_ops dir_in_ops = {
	.document = dir_document,
	.blob = dir_blob,
	.signatures = dir_signatures,
	.attachments = dir_attachments,
	.free = dir_in_free,
};

static int dir_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	struct files *files;
	struct dir_in *d;
	int r;

	if (!*rest)
		return err_set(e, -E_INVALID, "no path in 'dir:'");
	if (access(rest, F_OK) < 0)
		return err_set(
			e, -E_NOTFOUND, "open %s/manifest.json: no such file or directory", rest);
	r = files_folder(rest, &files, e);
	if (r < 0)
		return r;
	d = g_new0(struct dir_in, 1);
	d->files = files;
	d->shown = g_strdup_printf("dir:%s", rest);
	d->s = (struct transport_in){ .ops = &dir_in_ops, .c = c, .shown = d->shown };
	*ret = &d->s;
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

struct dir_out {
	struct transport_out t;
	struct archive_out out;
	char *shown, *path;
	struct sha256 *hash;
	char *want, *top_text, *top_digest;
	size_t top_size;
	int64_t done;
	GHashTable *before; /* names of files that were there */
	bool made, committed;
};

static int dir_has_blob(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	struct stat st;

	/* one of another image that is there is read by nobody but its manifest, and will go */
	if (fstatat(d->out.dir, sha256_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode) || st.st_size != size)
		return 0;
	g_hash_table_add(d->out.written, g_strdup(sha256_hex(digest)));
	return 1;
}

static int dir_begin(struct transport_out *t, const char *digest, int64_t size, int64_t *ret_offset,
	struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	int r = check_begin(&d->hash, &d->want, &d->done, digest, e);

	if (ret_offset)
		*ret_offset = 0;
	return r < 0 ? r
		     : archive_out_begin(&d->out, *digest ? sha256_hex(digest) : "blob", size, e);
}

static int dir_write(struct transport_out *t, const void *data, size_t size, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;

	if (d->hash)
		sha256_write(d->hash, data, size);
	d->done += (int64_t)size;
	return archive_out_write(&d->out, data, size, e);
}

static int dir_finish(struct transport_out *t, const char *digest, int64_t size, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	int r = check_end(&d->hash, digest, size, d->done, e);

	return r < 0 ? r : archive_out_finish(&d->out, sha256_hex(digest), e);
}

static int dir_out_document(struct transport_out *t, const char *text, size_t size,
	const char *type, bool top, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	g_autofree char *digest = blob_digest(text, size), *name = document_name(digest);

	if (!top)
		return archive_out_text(&d->out, name, text, size, e);
	g_free(d->top_text);
	g_free(d->top_digest);
	d->top_text = g_strndup(text, size);
	d->top_size = size;
	d->top_digest = g_steal_pointer(&digest);
	return 0;
}

static int dir_out_signatures(
	struct transport_out *t, const char *digest, GPtrArray *signatures, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	int r = 0;

	if (g_strcmp0(digest, d->top_digest) == 0)
		digest = NULL;
	for (unsigned i = 0; r >= 0 && i < signatures->len; i++) {
		g_autofree char *name = signature_name(digest, i + 1);
		size_t size;
		const char *data = g_bytes_get_data(signatures->pdata[i], &size);

		r = archive_out_text(&d->out, name, data, size, e);
	}
	return r;
}

static int dir_out_attachments(
	struct transport_out *t, const char *digest, GPtrArray *attachments, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	unsigned n = 1;
	int r = 0;

	if (g_strcmp0(digest, d->top_digest) == 0)
		digest = NULL;
	for (unsigned i = 0; r >= 0 && i < attachments->len; i++) {
		g_autoptr(GString) text =
			g_string_new_len(SIGSTORE_PREFIX, (gssize)sizeof(SIGSTORE_PREFIX) - 1);
		g_autofree char *json = attachment_text(attachments->pdata[i]), *name = NULL;

		g_string_append(text, json);
		/* behind the simple ones */
		do {
			g_free(name);
			name = signature_name(digest, n++);
		} while (g_hash_table_contains(d->out.written, name));
		r = archive_out_text(&d->out, name, text->str, text->len, e);
	}
	return r;
}

static int dir_commit(struct transport_out *t, struct err *e)
{
	struct dir_out *d = (struct dir_out *)t;
	GHashTableIter i;
	gpointer name;
	int r;

	if (!d->top_text)
		return err_set(e, -E_INVALID, "no image was written to '%s'", d->shown);
	r = archive_out_text(&d->out, "version", VERSION, strlen(VERSION), e);
	if (r >= 0)
		r = archive_out_text(&d->out, "manifest.json", d->top_text, d->top_size, e);
	if (r < 0)
		return r;
	d->committed = true;
	/* the image that was there before */
	g_hash_table_iter_init(&i, d->before);
	while (g_hash_table_iter_next(&i, &name, NULL))
		if (!g_hash_table_contains(d->out.written, name))
			(void)unlinkat(d->out.dir, name, 0);
	return 0;
}

static void dir_out_free(struct transport_out *t)
{
	struct dir_out *d = (struct dir_out *)t;
	GHashTableIter i;
	gpointer name;

	if (!d->committed && d->out.dir >= 0) {
		g_hash_table_iter_init(&i, d->out.written);
		while (g_hash_table_iter_next(&i, &name, NULL))
			if (!g_hash_table_contains(d->before, name))
				(void)unlinkat(d->out.dir, name, 0);
	}
	archive_out_done(&d->out);
	if (!d->committed && d->made)
		(void)rmdir(d->path);
	closep(&d->out.dir);
	sha256_free(d->hash);
	g_hash_table_unref(d->before);
	g_free(d->want);
	g_free(d->top_text);
	g_free(d->top_digest);
	g_free(d->path);
	g_free(d->shown);
	g_free(d);
}

static const struct transport_out_ops dir_out_ops = {
	.has_blob = dir_has_blob,
	.blob_begin = dir_begin,
	.blob_write = dir_write,
	.blob_finish = dir_finish,
	.document = dir_out_document,
	.signatures = dir_out_signatures,
	.attachments = dir_out_attachments,
	.commit = dir_commit,
	.free = dir_out_free,
};

/* A folder that is empty, or has an image of this form. */
static int look(struct dir_out *d, struct err *e)
{
	g_autofree char *version = NULL;
	struct dirent *f;
	size_t size;
	DIR *dir = opendir(d->path);
	int r;

	if (!dir)
		return err_sys(e, -errno, "cannot read '%s'", d->path);
	while ((f = readdir(dir)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			g_hash_table_add(d->before, g_strdup(f->d_name));
	(void)closedir(dir);
	if (g_hash_table_size(d->before) == 0)
		return 0;
	r = folder_text(d->out.dir, "version", 256, &version, &size, e);
	if (r == -E_NOTFOUND || (r >= 0 && !g_str_has_prefix(version, VERSION_PREFIX)))
		return err_set(e, -E_INVALID,
			"not a containers image directory, don't want to "
			"overwrite important data");
	return r;
}

static int dir_open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	struct dir_out *d;
	int r = 0;

	if (!*rest)
		return err_set(e, -E_INVALID, "no path in 'dir:'");
	d = g_new0(struct dir_out, 1);
	d->shown = g_strdup_printf("dir:%s", rest);
	d->path = g_strdup(rest);
	archive_out_init(&d->out, c, d->shown);
	d->before = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	d->t = (struct transport_out){ .ops = &dir_out_ops, .c = c, .shown = d->shown };
	d->made = access(rest, F_OK) < 0;
	if (g_mkdir_with_parents(rest, 0755) < 0)
		r = err_sys(e, -errno, "cannot make '%s'", rest);
	if (r >= 0) {
		d->out.dir = RET_NERRNO(open(rest, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		r = d->out.dir < 0 ? err_sys(e, d->out.dir, "cannot open '%s'", rest) : look(d, e);
	}
	if (r < 0) {
		dir_out_free(&d->t);
		return r;
	}
	*ret = &d->t;
	return 0;
}

static char *dir_folder(const char *rest)
{
	return g_strdup(rest);
}

const struct transport transport_dir = {
	.name = "dir",
	.open_in = dir_open_in,
	.open_out = dir_open_out,
	.folder = dir_folder,
};
