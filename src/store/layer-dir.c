/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "codec/tar.h"
#include "host/path.h"
#include "store/erofs.h"
#include "store/layer-priv.h"

#define COPY_SIZE ((size_t)256 * 1024)
#define LIST_MAX  65536 /* the kernel's XATTR_LIST_MAX */

struct walk {
	struct layer_in *in;
	dev_t dev;
	GString *path;	   /* "./", "./usr/", ... */
	GHashTable *links; /* inode number to path, of files with several names */
	GByteArray *head;  /* the entry's header */
	GPtrArray *names;  /* of the entry's extended attributes, and their values: owned */
	GArray *xattrs, *extents;
	uint8_t *buf;
	unsigned depth;
	bool opaque; /* the entry is an opaque folder of an overlay */
};

/* Only for the entry that is being made. */
static void clear(struct walk *w)
{
	g_ptr_array_set_size(w->names, 0);
	g_array_set_size(w->xattrs, 0);
	g_array_set_size(w->extents, 0);
	w->opaque = false;
}

static int fail(const struct walk *w, int code, const char *name, struct err *e)
{
	return err_sys(e, code, "cannot read '%s%s'", w->path->str, name);
}

static int take_xattr(struct walk *w, const char *path, const char *name)
{
	struct xattr x = { .name = name };
	uint8_t *value = g_malloc(XATTR_VALUE_LIMIT);
	ssize_t n = getxattr(path, name, value, XATTR_VALUE_LIMIT);

	g_ptr_array_add(w->names, value);
	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	if (!strcmp(name, "trusted.overlay.opaque")) {
		w->opaque = n == 1 && *value == 'y';
		return 0;
	}
	/* overlay's own, see layer-build.c */
	if (g_str_has_prefix(name, "trusted.overlay."))
		return 0;
	if (w->xattrs->len >= XATTR_COUNT_LIMIT)
		return -E_LIMIT;
	x.value = value;
	x.size = (uint32_t)n;
	g_array_append_val(w->xattrs, x);
	return 0;
}

static gint compare_xattrs(gconstpointer a, gconstpointer b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* fd may be O_PATH: attributes are read by its path in /proc, which is followed to the thing itself. */
static int take_xattrs(struct walk *w, int fd)
{
	char path[32], *list, *p;
	ssize_t n;
	int r = 0;

	(void)path_of_fd(fd, path);
	/* listxattr follows /proc's link, and goes no further */
	n = listxattr(path, NULL, 0);
	if (n <= 0)
		return n < 0 && errno != EOPNOTSUPP ? -errno : 0;
	list = g_malloc0(LIST_MAX + 1);
	g_ptr_array_add(w->names, list);
	n = listxattr(path, list, LIST_MAX);
	if (n < 0)
		return -errno;
	for (p = list; p < list + n && r >= 0; p += strlen(p) + 1)
		r = take_xattr(w, path, p);
	g_array_sort(w->xattrs, compare_xattrs);
	return r;
}

static int send_head(struct walk *w, const struct tar_entry *t, struct err *e)
{
	int r;

	g_byte_array_set_size(w->head, 0);
	r = tar_put_entry(w->head, t, e);
	return r < 0 ? r : layer_in_write(w->in, w->head->data, w->head->len, e);
}

/* Sends size bytes of fd; what isn't there any more is zeros, as tar has it. */
static int send_piece(struct walk *w, int fd, int64_t at, int64_t size, struct err *e)
{
	while (size) {
		size_t want = (size_t)MIN(size, (int64_t)COPY_SIZE);
		ssize_t n = pread(fd, w->buf, want, at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read a file");
		if (!n) {
			memset(w->buf, 0, want);
			n = (ssize_t)want;
		}
		r = layer_in_write(w->in, w->buf, (size_t)n, e);
		if (r < 0)
			return r;
		at += n;
		size -= n;
	}
	return 0;
}

/* Finds the data of a file that has holes. */
static void take_extents(struct walk *w, int fd, const struct stat *st, struct tar_entry *t)
{
	int64_t at = 0;

	if ((int64_t)st->st_blocks * 512 >= st->st_size)
		return;
	while (at < st->st_size) {
		struct tar_extent x;
		int64_t end;

		x.offset = lseek(fd, at, SEEK_DATA);
		if (x.offset < 0 || x.offset >= st->st_size)
			break;
		end = lseek(fd, x.offset, SEEK_HOLE);
		if (end < 0)
			return;
		at = MIN(end, st->st_size);
		x.size = at - x.offset;
		g_array_append_val(w->extents, x);
		if (w->extents->len > TAR_EXTENTS_MAX)
			return; /* as a plain one */
	}
	t->sparse = true;
	t->extents = (const struct tar_extent *)(void *)w->extents->data;
	t->n_extents = w->extents->len;
}

static int send_file(
	struct walk *w, int fd, const struct stat *st, struct tar_entry *t, struct err *e)
{
	unsigned i;
	int r;

	take_extents(w, fd, st, t);
	r = send_head(w, t, e);
	if (r >= 0 && !t->sparse)
		r = send_piece(w, fd, 0, t->size, e);
	for (i = 0; i < t->n_extents && r >= 0; i++)
		r = send_piece(w, fd, t->extents[i].offset, t->extents[i].size, e);
	if (r < 0)
		return r;
	g_byte_array_set_size(w->head, 0);
	tar_put_padding(w->head, tar_content_size(t));
	return layer_in_write(w->in, w->head->data, w->head->len, e);
}

static void take_stat(struct tar_entry *t, const struct stat *st)
{
	static const uint8_t types[16] = {
		[S_IFDIR >> 12] = TAR_DIR,
		[S_IFLNK >> 12] = TAR_SYMLINK,
		[S_IFCHR >> 12] = TAR_CHAR,
		[S_IFBLK >> 12] = TAR_BLOCK_DEVICE,
		[S_IFIFO >> 12] = TAR_FIFO,
		[S_IFREG >> 12] = TAR_FILE,
	};

	*t = (struct tar_entry){
		.type = types[st->st_mode >> 12 & 15],
		.target = "",
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
	};
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		t->major = major(st->st_rdev);
		t->minor = minor(st->st_rdev);
	}
	if (S_ISREG(st->st_mode))
		t->size = st->st_size;
}

/* ".wh.NAME" in the folder of w->path: an empty file. */
static int send_mark(struct walk *w, const char *prefix, const char *name, struct err *e)
{
	g_autofree char *path = g_strconcat(w->path->str, prefix, name, NULL);
	struct tar_entry t = { .type = TAR_FILE, .path = path, .target = "", .mode = 0600 };

	return send_head(w, &t, e);
}

/* Whether it is a further name of something that was sent; notes the first name. */
static const char *first_name(struct walk *w, const struct stat *st, const char *path)
{
	const char *first;
	uint64_t ino = st->st_ino, *key;

	if (st->st_nlink < 2)
		return NULL;
	first = g_hash_table_lookup(w->links, &ino);
	if (first)
		return first;
	key = g_memdup2(&ino, sizeof(ino));
	g_hash_table_insert(w->links, key, g_strdup(path));
	return NULL;
}

static int send_other(
	struct walk *w, int at, const char *name, int fd, const struct stat *st, struct err *e)
{
	g_autofree char *path = g_strconcat(w->path->str, name, NULL);
	_cleanup_close_ int file = -1;
	char target[EROFS_PATH_MAX];
	struct tar_entry t;
	const char *first;
	ssize_t n;
	int r;

	take_stat(&t, st);
	t.path = path;
	first = first_name(w, st, path);
	if (first) {
		t.type = TAR_HARDLINK;
		t.target = first;
		t.size = 0;
		return send_head(w, &t, e);
	}
	r = take_xattrs(w, fd);
	if (r < 0)
		return fail(w, r, name, e);
	t.xattrs = (const struct xattr *)(void *)w->xattrs->data;
	t.n_xattrs = w->xattrs->len;
	if (t.type == TAR_SYMLINK) {
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			return fail(w, -errno, name, e);
		target[n] = '\0';
		t.target = target;
	}
	if (t.type != TAR_FILE)
		return send_head(w, &t, e);
	file = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file < 0)
		return fail(w, -errno, name, e);
	return send_file(w, file, st, &t, e);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(int fd, GPtrArray **ret)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *x;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d)
		return -errno;
	while ((x = readdir(d)))
		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
			g_ptr_array_add(names, g_strdup(x->d_name));
	(void)closedir(d);
	g_ptr_array_sort(names, compare_names);
	*ret = g_steal_pointer(&names);
	return 0;
}

static int send_dir(struct walk *w, int fd, const struct stat *st, struct err *e);

static int send_one(struct walk *w, int at, const char *name, struct err *e)
{
	_cleanup_close_ int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	size_t n = w->path->len;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0; /* gone meanwhile */
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(w, -errno, name, e);
	clear(w);
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return send_mark(w, ".wh.", name, e);
	if (!S_ISDIR(st.st_mode))
		return send_other(w, at, name, fd, &st, e);
	if (w->depth >= EROFS_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders in '%s' are more than %d deep", name,
			EROFS_DEPTH_MAX);
	g_string_append(w->path, name);
	g_string_append_c(w->path, '/');
	w->depth++;
	r = send_dir(w, fd, &st, e);
	w->depth--;
	g_string_truncate(w->path, n);
	return r;
}

/* A folder and all that is in it; w->path is its own. */
static int send_dir(struct walk *w, int fd, const struct stat *st, struct err *e)
{
	g_autoptr(GPtrArray) names = NULL;
	struct tar_entry t;
	unsigned i;
	bool opaque;
	int r;

	take_stat(&t, st);
	t.path = w->path->str;
	r = take_xattrs(w, fd);
	if (r < 0)
		return fail(w, r, "", e);
	t.xattrs = (const struct xattr *)(void *)w->xattrs->data;
	t.n_xattrs = w->xattrs->len;
	opaque = w->opaque;
	r = send_head(w, &t, e);
	if (r >= 0 && opaque)
		r = send_mark(w, ".wh..wh.", ".opq", e);
	/* of another file system there is its folder, and nothing in it */
	if (r < 0 || st->st_dev != w->dev)
		return r;
	r = list(fd, &names);
	if (r < 0)
		return fail(w, r, "", e);
	for (i = 0; i < names->len && r >= 0; i++)
		r = send_one(w, fd, names->pdata[i], e);
	return r;
}

static int send_tree(struct walk *w, const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot open the folder '%s'", path);
	w->dev = st.st_dev;
	r = send_dir(w, fd, &st, e);
	if (r < 0)
		return r;
	g_byte_array_set_size(w->head, 0);
	tar_put_end(w->head);
	return layer_in_write(w->in, w->head->data, w->head->len, e);
}

int layer_import_dir(struct ctx *c, const char *path, struct layer_result *ret, struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *in = NULL;
	g_autoptr(GString) at = g_string_new("./");
	g_autoptr(GHashTable) links =
		g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	g_autoptr(GByteArray) head = g_byte_array_new();
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) xattrs = g_array_new(FALSE, FALSE, sizeof(struct xattr));
	g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	g_autofree uint8_t *buf = g_malloc(COPY_SIZE);
	struct walk w = { .path = at,
		.links = links,
		.head = head,
		.names = names,
		.xattrs = xattrs,
		.extents = extents,
		.buf = buf };
	int r;

	r = layer_in_new(c, &in, e);
	if (r < 0)
		return r;
	w.in = in;
	r = send_tree(&w, path, e);
	return r < 0 ? r : layer_in_finish(in, NULL, NULL, ret, e);
}
