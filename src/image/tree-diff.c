/* SPDX-License-Identifier: MIT */
#include "image/tree-diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX  1000
#define CHUNK	   (128 << 10)
#define XATTRS_MAX (64 << 10)

void tree_change_free(struct tree_change *x)
{
	if (!x)
		return;
	g_free(x->path);
	g_free(x);
}

struct diff {
	unsigned flags, depth;
	GPtrArray *list;
	GString *path;
	char *buf_a, *buf_b;
};

static void add(struct diff *d, guint at, enum tree_kind kind, const struct stat *st)
{
	struct tree_change *x = g_new0(struct tree_change, 1);

	x->kind = kind;
	x->path = g_strdup(d->path->str);
	x->st = *st;
	g_ptr_array_insert(d->list, (gint)at, x);
}

static int failed(struct diff *d, int code, struct err *e)
{
	return err_sys(e, code, "cannot read '%s'", d->path->str);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of a folder in order; fd < 0: none. */
static int names_of(struct diff *d, int fd, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	int copy = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *f;

	if (fd >= 0 && !dir)
		return failed(d, -errno, e);
	while (dir && (f = readdir(dir)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			g_ptr_array_add(list, g_strdup(f->d_name));
	if (dir)
		(void)closedir(dir);
	if (list->len)
		qsort(list->pdata, list->len, sizeof(void *), compare);
	*ret = g_steal_pointer(&list);
	return 0;
}

/* 1: the same bytes. */
static int same_content(struct diff *d, int a, int b, const char *name, struct err *e)
{
	_cleanup_close_ int fa = openat(a, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_close_ int fb = openat(b, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fa < 0 || fb < 0)
		return failed(d, -errno, e);
	for (;;) {
		ssize_t n = read(fa, d->buf_a, CHUNK), done = 0;

		if (n < 0)
			return failed(d, -errno, e);
		while (done < n) {
			ssize_t k = read(fb, d->buf_b + done, (size_t)(n - done));

			if (k < 0)
				return failed(d, -errno, e);
			if (k == 0)
				return 0;
			done += k;
		}
		if (n == 0)
			return read(fb, d->buf_b, 1) == 0;
		if (memcmp(d->buf_a, d->buf_b, (size_t)n) != 0)
			return 0;
	}
}

/* Attributes as one text, in order; what overlay keeps for itself isn't the tree's. */
static char *xattrs_of(int dir, const char *name)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d/%s", dir, name);
	g_autofree char *list = g_malloc(XATTRS_MAX), *value = g_malloc(XATTRS_MAX);
	g_autoptr(GPtrArray) keys = g_ptr_array_new();
	g_autoptr(GString) out = g_string_new(NULL);
	ssize_t n = llistxattr(path, list, XATTRS_MAX);

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		if (!g_str_has_prefix(list + at, "trusted.overlay."))
			g_ptr_array_add(keys, list + at);
	if (keys->len)
		qsort(keys->pdata, keys->len, sizeof(void *), compare);
	for (unsigned i = 0; i < keys->len; i++) {
		ssize_t k = lgetxattr(path, keys->pdata[i], value, XATTRS_MAX);
		g_autofree char *hex = g_compute_checksum_for_data(
			G_CHECKSUM_SHA256, (const guchar *)value, (gsize)MAX(k, 0));

		g_string_append_printf(out, "%s=%s\n", (char *)keys->pdata[i], hex);
	}
	return g_string_free(g_steal_pointer(&out), FALSE);
}

static bool same_attributes(
	struct diff *d, int a, int b, const char *name, const struct stat *x, const struct stat *y)
{
	g_autofree char *xa = NULL, *xb = NULL;

	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid ||
		((S_ISCHR(x->st_mode) || S_ISBLK(x->st_mode)) && x->st_rdev != y->st_rdev))
		return false;
	/* a folder's changes with what is in it */
	if ((d->flags & TREE_TIMES) && !S_ISDIR(x->st_mode) && x->st_mtime != y->st_mtime)
		return false;
	xa = xattrs_of(a, name);
	xb = xattrs_of(b, name);
	return strcmp(xa, xb) == 0;
}

/* 1, 0 or a code. */
static int same(struct diff *d, int a, int b, const char *name, const struct stat *x,
	const struct stat *y, struct err *e)
{
	char ta[PATH_MAX], tb[PATH_MAX];
	ssize_t n, m;

	if (!same_attributes(d, a, b, name, x, y))
		return 0;
	if (S_ISLNK(x->st_mode)) {
		n = readlinkat(a, name, ta, sizeof(ta));
		m = readlinkat(b, name, tb, sizeof(tb));
		return n >= 0 && n == m && memcmp(ta, tb, (size_t)n) == 0;
	}
	if (!S_ISREG(x->st_mode))
		return 1;
	return x->st_size == y->st_size ? same_content(d, a, b, name, e) : 0;
}

static int diff_folder(struct diff *d, int a, int b, struct err *e);

/* Into a folder of b; a's may be another thing, or not there. */
static int descend(struct diff *d, int a, int b, const char *name, bool both, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	_cleanup_close_ int fa = both ? openat(a, name, flags) : -1;
	_cleanup_close_ int fb = openat(b, name, flags);

	if (fb < 0 || (both && fa < 0))
		return failed(d, -errno, e);
	return diff_folder(d, fa, fb, e);
}

/* A name that b has. */
static int diff_name(struct diff *d, int a, int b, const char *name, bool in_a, struct err *e)
{
	guint at = d->list->len;
	struct stat x, y;
	bool folders;
	int r = 0;

	if (fstatat(b, name, &y, AT_SYMLINK_NOFOLLOW) < 0 ||
		(in_a && fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW) < 0))
		return failed(d, -errno, e);
	folders = in_a && S_ISDIR(x.st_mode) && S_ISDIR(y.st_mode);
	if (in_a && (x.st_mode & S_IFMT) == (y.st_mode & S_IFMT))
		r = same(d, a, b, name, &x, &y, e);
	if (r < 0)
		return r;
	if (!in_a || r == 0)
		add(d, at, in_a ? TREE_CHANGED : TREE_ADDED, &y);
	if (!S_ISDIR(y.st_mode))
		return 0;
	at = d->list->len;
	if (descend(d, a, b, name, folders, e) < 0)
		return e ? e->code : -EIO;
	if (r == 1 && d->list->len > at)
		add(d, at, TREE_INSIDE, &y);
	return 0;
}

static int diff_deleted(struct diff *d, int a, const char *name, struct err *e)
{
	struct stat x;

	if (fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(d, -errno, e);
	add(d, d->list->len, TREE_DELETED, &x);
	return 0;
}

/* a < 0: all of b is new. */
static int diff_folder(struct diff *d, int a, int b, struct err *e)
{
	g_autoptr(GPtrArray) na = NULL, nb = NULL;
	gsize length = d->path->len;
	guint i = 0, k = 0;
	int r;

	if (++d->depth > DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are nested more than %d deep", DEPTH_MAX);
	r = names_of(d, a, &na, e);
	if (r >= 0)
		r = names_of(d, b, &nb, e);
	while (r >= 0 && (i < na->len || k < nb->len)) {
		int order = i == na->len   ? 1
			    : k == nb->len ? -1
					   : strcmp(na->pdata[i], nb->pdata[k]);
		const char *name = order < 0 ? na->pdata[i] : nb->pdata[k];

		g_string_append_printf(d->path, "/%s", name);
		r = order < 0 ? diff_deleted(d, a, name, e)
			      : diff_name(d, a, b, name, order == 0, e);
		g_string_truncate(d->path, length);
		i += order <= 0;
		k += order >= 0;
	}
	d->depth--;
	return r;
}

int tree_diff(int a, int b, unsigned flags, GPtrArray **ret, struct err *e)
{
	struct err own = { 0 };
	struct diff d = { .flags = flags,
		.list = g_ptr_array_new_with_free_func((GDestroyNotify)tree_change_free),
		.path = g_string_new(NULL),
		.buf_a = g_malloc(CHUNK),
		.buf_b = g_malloc(CHUNK) };
	int r = diff_folder(&d, a, b, e ?: &own);

	g_string_free(d.path, TRUE);
	g_free(d.buf_a);
	g_free(d.buf_b);
	if (r < 0)
		g_ptr_array_unref(d.list);
	else
		*ret = d.list;
	return r;
}
