/* SPDX-License-Identifier: MIT */
/* The CD: ISO 9660 by libarchive, which is loaded here since only seeds need it. */
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <string.h>
#include "image/seed-priv.h"

#define ISO_MAX	  (256 << 20)	   /* bytes; texts have limits far below */
#define LABEL_AT  (16 * 2048 + 40) /* of the primary volume descriptor, ECMA-119, 8.4.7 */
#define LABEL_MAX 32

/* The functions by their own names, so that the calls read as the library's manual does. */
#define FUNCTIONS(X)                         \
	X(archive_write_new)                 \
	X(archive_write_free)                \
	X(archive_write_close)               \
	X(archive_write_set_format_iso9660)  \
	X(archive_write_set_options)         \
	X(archive_write_set_bytes_per_block) \
	X(archive_write_open)                \
	X(archive_write_header)              \
	X(archive_write_data)                \
	X(archive_error_string)              \
	X(archive_entry_new)                 \
	X(archive_entry_free)                \
	X(archive_entry_set_pathname)        \
	X(archive_entry_set_size)            \
	X(archive_entry_set_filetype)        \
	X(archive_entry_set_perm)            \
	X(archive_entry_set_mtime)

struct lib {
#define X(f) __typeof__(&f) f;
	FUNCTIONS(X)
#undef X
};

static int load(struct lib *l, struct err *e)
{
	void *so = dlopen("libarchive.so.13", RTLD_NOW | RTLD_NODELETE);
	bool missing = !so;

#define X(f)                                              \
	l->f = so ? (__typeof__(&f))dlsym(so, #f) : NULL; \
	missing |= !l->f;
	FUNCTIONS(X)
#undef X
	if (!missing)
		return 0;
	err_set(e, -E_UNSUPPORTED, "cannot load libarchive.so.13: %s",
		so ? "it lacks a function" : dlerror());
	(void)err_mend(e, "install the package libarchive13");
	return -E_UNSUPPORTED;
}

static la_ssize_t take(struct archive *a, void *data, const void *bytes, size_t size)
{
	GByteArray *out = data;

	if (out->len + size > ISO_MAX)
		return -1;
	g_byte_array_append(out, bytes, (guint)size);
	return (la_ssize_t)size;
}

static bool add_entry(const struct lib *l, struct archive *a, const char *path, unsigned type,
	const void *data, size_t size)
{
	struct archive_entry *x = l->archive_entry_new();
	bool ok;

	l->archive_entry_set_pathname(x, path);
	l->archive_entry_set_filetype(x, type);
	l->archive_entry_set_perm(x, type == AE_IFDIR ? 0755 : 0644);
	l->archive_entry_set_size(x, (la_int64_t)size);
	l->archive_entry_set_mtime(x, 0, 0);
	ok = l->archive_write_header(a, x) == ARCHIVE_OK &&
	     (size == 0 || l->archive_write_data(a, data, size) == (la_ssize_t)size);
	l->archive_entry_free(x);
	return ok;
}

/* Folders before what is in them, each once. */
static bool add_folders(const struct lib *l, struct archive *a, const char *path, GHashTable *known)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		g_autofree char *folder = g_strndup(path, (gsize)(slash - path));

		if (g_hash_table_contains(known, folder))
			continue;
		if (!add_entry(l, a, folder, AE_IFDIR, NULL, 0))
			return false;
		g_hash_table_add(known, g_steal_pointer(&folder));
	}
	return true;
}

int seed_iso(const GPtrArray *files, const char *volume, GByteArray **ret, struct err *e)
{
	g_autofree char *options =
		g_strdup_printf("volume-id=%s,joliet,rockridge=useful,!pad", volume);
	g_autoptr(GHashTable) folders =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GByteArray) out = g_byte_array_new();
	struct archive *a;
	struct lib l;
	bool ok;
	int r = load(&l, e);

	if (r < 0)
		return r;
	a = l.archive_write_new();
	ok = l.archive_write_set_format_iso9660(a) == ARCHIVE_OK &&
	     l.archive_write_set_options(a, options) == ARCHIVE_OK &&
	     l.archive_write_set_bytes_per_block(a, 2048) == ARCHIVE_OK &&
	     l.archive_write_open(a, out, NULL, take, NULL) == ARCHIVE_OK;
	for (unsigned i = 0; ok && i < files->len; i++) {
		const struct seed_file *f = files->pdata[i];

		ok = add_folders(&l, a, f->path, folders) &&
		     add_entry(&l, a, f->path, AE_IFREG, f->data, f->size);
	}
	ok = ok && l.archive_write_close(a) == ARCHIVE_OK && out->len > LABEL_AT + LABEL_MAX;
	if (ok) {
		/* libarchive writes it in capitals here, as it is in the Joliet descriptor only */
		memset(out->data + LABEL_AT, ' ', LABEL_MAX);
		memcpy(out->data + LABEL_AT, volume, strlen(volume));
	}
	if (!ok)
		r = err_set(e, -EIO, "cannot make the seed's CD: %s",
			l.archive_error_string(a) ? l.archive_error_string(a) : "too large");
	(void)l.archive_write_free(a);
	if (r >= 0)
		*ret = g_steal_pointer(&out);
	return r;
}
