/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>
#include "codec/tar.h"
#include "store/erofs.h"
#include "store/layer-priv.h"

struct layer_build {
	struct tar_reader *reader;
	struct erofs_writer *image;
	struct tar_log *log;
	bool unseen;	/* the content of this entry isn't in the image */
	GArray *xattrs; /* of this entry, those that stay */
};

enum meaning {
	ENTRY_PLAIN,
	ENTRY_WHITEOUT,
	ENTRY_OPAQUE,
	ENTRY_IGNORED, /* aufs' own files */
};

/*
 * image-spec layer.md, "Whiteouts". Returns what an entry's name means, and for a whiteout the path that it
 * hides, for an opaque mark the folder's.
 */
static enum meaning meaning_of(const char *path, char **ret)
{
	g_autofree char *clean = g_strdup(path);
	size_t n = strlen(clean);
	char *base;

	while (n && clean[n - 1] == '/')
		clean[--n] = '\0';
	base = strrchr(clean, '/');
	base = base ? base + 1 : clean;
	if (!strcmp(base, ".wh..wh..opq")) {
		*base = '\0';
		*ret = g_strdup(clean);
		return ENTRY_OPAQUE;
	}
	if (g_str_has_prefix(clean, ".wh..wh.") || strstr(clean, "/.wh..wh."))
		return ENTRY_IGNORED;
	if (!g_str_has_prefix(base, ".wh."))
		return ENTRY_PLAIN;
	*ret = g_strdup_printf("%.*s%s", (int)(base - clean), clean, base + 4);
	return ENTRY_WHITEOUT;
}

static uint32_t mode_of(const struct tar_entry *t)
{
	static const uint32_t types[_TAR_TYPE_MAX] = {
		[TAR_FILE] = S_IFREG,
		[TAR_DIR] = S_IFDIR,
		[TAR_SYMLINK] = S_IFLNK,
		[TAR_CHAR] = S_IFCHR,
		[TAR_BLOCK_DEVICE] = S_IFBLK,
		[TAR_FIFO] = S_IFIFO,
	};

	return types[t->type] | (t->type == TAR_SYMLINK ? 0777 : t->mode);
}

/* Overlayfs' own attributes belong to the machine that they come from (redirects, origins), except that
 * a folder is opaque. Returns whether it is. */
static bool take_xattrs(struct layer_build *l, const struct tar_entry *t, struct erofs_attr *a)
{
	bool opaque = false;
	unsigned i;

	g_array_set_size(l->xattrs, 0);
	for (i = 0; i < t->n_xattrs; i++) {
		const struct xattr *x = &t->xattrs[i];

		if (!strcmp(x->name, "trusted.overlay.opaque"))
			opaque = t->type == TAR_DIR && x->size == 1 && *x->value == 'y';
		else if (!g_str_has_prefix(x->name, "trusted.overlay.") &&
			 !g_str_has_prefix(x->name, "user.overlay."))
			g_array_append_val(l->xattrs, *x);
	}
	a->xattrs = (const struct xattr *)(void *)l->xattrs->data;
	a->n_xattrs = l->xattrs->len;
	return opaque;
}

static int add_plain(struct layer_build *l, const struct tar_entry *t, struct err *e)
{
	struct erofs_attr a = {
		.mode = mode_of(t),
		.uid = t->uid,
		.gid = t->gid,
		.major = t->major,
		.minor = t->minor,
		.size = t->size,
		.target = t->target,
		.mtime = t->mtime,
		.mtime_nsec = t->mtime_nsec,
		.sparse = t->sparse,
	};
	bool opaque;
	int r;

	if (t->type == TAR_HARDLINK)
		return erofs_link(l->image, t->path, t->target, e);
	/* what the kernel's dev_t can hold */
	if (t->major > 0xfff || t->minor > 0xfffff)
		return err_set(e, -E_CORRUPT, "device number %u:%u", t->major, t->minor);
	opaque = take_xattrs(l, t, &a);
	r = erofs_add(l->image, t->path, &a, e);
	return r >= 0 && opaque ? erofs_opaque(l->image, t->path, e) : r;
}

static int add_whiteout(struct layer_build *l, const char *path, struct err *e)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	if (!*base || !strcmp(base, ".") || !strcmp(base, ".."))
		return err_set(e, -E_CORRUPT, "a whiteout of nothing");
	return erofs_whiteout(l->image, path, e);
}

static int on_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct layer_build *l = arg;
	g_autofree char *path = NULL;
	char shown[TAR_SHOWN];
	enum meaning m;
	int r = 0;

	m = meaning_of(t->path, &path);
	l->unseen = m != ENTRY_PLAIN;
	switch (m) {
	case ENTRY_PLAIN:
		r = add_plain(l, t, e);
		break;
	case ENTRY_WHITEOUT:
		r = add_whiteout(l, path, e);
		break;
	case ENTRY_OPAQUE:
		r = erofs_opaque(l->image, path, e);
		break;
	case ENTRY_IGNORED:
		break;
	}
	if (r < 0)
		err_prefix(e, "layer entry '%s'", tar_show(t->path, shown));
	return r;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct layer_build *l = arg;
	int r;

	if (l->unseen)
		return tar_log_raw(l->log, data, size, e);
	r = erofs_write(l->image, offset, data, size, e);
	while (r >= 0 && size) {
		int64_t here, at = erofs_where(l->image, offset, &here);
		size_t n = (size_t)MIN((int64_t)size, here);

		r = tar_log_data(l->log, at, (int64_t)n, e);
		offset += (int64_t)n;
		size -= n;
	}
	return r;
}

static int on_raw(void *arg, const void *data, size_t size, struct err *e)
{
	struct layer_build *l = arg;

	return tar_log_raw(l->log, data, size, e);
}

int layer_build_new(int image_fd, int log_fd, struct layer_build **ret, struct err *e)
{
	static const struct tar_sink sink = { on_entry, on_content, on_raw };
	struct layer_build *l = g_new0(struct layer_build, 1);
	int r;

	r = tar_log_new(log_fd, &l->log, e);
	if (r < 0) {
		g_free(l);
		return r;
	}
	l->image = erofs_writer_new(image_fd);
	l->reader = tar_reader_new(&sink, l);
	tar_reader_allow_bare_end(l->reader);
	l->xattrs = g_array_new(FALSE, FALSE, sizeof(struct xattr));
	*ret = l;
	return 0;
}

void layer_build_free(struct layer_build *l)
{
	if (!l)
		return;
	tar_reader_free(l->reader);
	erofs_writer_free(l->image);
	tar_log_free(l->log);
	g_array_unref(l->xattrs);
	g_free(l);
}

int layer_build_write(struct layer_build *l, const void *data, size_t size, struct err *e)
{
	return tar_reader_write(l->reader, data, size, e);
}

int layer_build_end(struct layer_build *l, struct err *e)
{
	return tar_reader_finish(l->reader, e);
}

int layer_build_finish(struct layer_build *l, const uint8_t uuid[16], struct err *e)
{
	int r = erofs_finish(l->image, uuid, e);

	return r < 0 ? r : tar_log_finish(l->log, e);
}
