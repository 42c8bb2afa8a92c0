/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "host/path.h"
#include "image/bundle-priv.h"

#define CHUNK	 (256 << 10)
#define LIST_MAX 65536 /* the kernel's XATTR_LIST_MAX */

struct writer {
	int root;
	const struct bundle_ids *ids;
	bundle_sink sink;
	void *arg;
	GHashTable *links; /* "DEV:INO" -> the name that was written first */
	GByteArray *head;
	char *buf;
	/* of the entry that is being made */
	GPtrArray *own;
	GArray *xattrs, *extents;
};

static int failed(const char *path, int code, struct err *e)
{
	char shown[TAR_SHOWN];

	return err_sys(e, code, "cannot pack '%s'", tar_show(path, shown));
}

static int send_head(struct writer *w, const struct tar_entry *t, struct err *e)
{
	int r;

	g_byte_array_set_size(w->head, 0);
	r = tar_put_entry(w->head, t, e);
	return r < 0 ? r : w->sink(w->arg, w->head->data, w->head->len, e);
}

/* --- what an entry is ------------------------------------------------------------------------------------------ */

static int take_xattr(struct writer *w, const char *path, const char *name, struct tar_entry *t)
{
	uint8_t *value = g_malloc(XATTR_VALUE_LIMIT);
	ssize_t n = lgetxattr(path, name, value, XATTR_VALUE_LIMIT);
	struct xattr x = { .name = name, .value = value };

	g_ptr_array_add(w->own, value);
	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	if (w->ids->rootless && strcmp(name, BUNDLE_ROOTLESS_ATTR) == 0)
		return bundle_rootless_get(value, (size_t)n, &t->uid, &t->gid);
	if (w->xattrs->len >= XATTR_COUNT_LIMIT)
		return -E_LIMIT;
	x.size = (uint32_t)n;
	g_array_append_val(w->xattrs, x);
	return 0;
}

static int take_xattrs(struct writer *w, int dir, const char *name, struct tar_entry *t)
{
	char folder[32], *path = g_strconcat(path_of_fd(dir, folder), "/", name, NULL);
	char *list = g_malloc0(LIST_MAX + 1);
	ssize_t n = llistxattr(path, list, LIST_MAX);
	int r = 0;

	g_ptr_array_add(w->own, path);
	g_ptr_array_add(w->own, list);
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *p = list; p < list + n && r >= 0; p += strlen(p) + 1)
		/* a security module's labels and an overlay's marks are the host's */
		if (strcmp(p, "security.selinux") != 0 && !g_str_has_prefix(p, "trusted.overlay."))
			r = take_xattr(w, path, p, t);
	t->xattrs = (const struct xattr *)(void *)w->xattrs->data;
	t->n_xattrs = w->xattrs->len;
	return r;
}

static int take_stat(const struct writer *w, const struct stat *st, struct tar_entry *t)
{
	static const uint8_t types[16] = {
		[S_IFDIR >> 12] = TAR_DIR,
		[S_IFLNK >> 12] = TAR_SYMLINK,
		[S_IFCHR >> 12] = TAR_CHAR,
		[S_IFBLK >> 12] = TAR_BLOCK_DEVICE,
		[S_IFIFO >> 12] = TAR_FIFO,
		[S_IFREG >> 12] = TAR_FILE,
	};
	int r = bundle_map_id(w->ids->uid, w->ids->n_uid, st->st_uid, true, &t->uid);

	if (r >= 0)
		r = bundle_map_id(w->ids->gid, w->ids->n_gid, st->st_gid, true, &t->gid);
	t->type = types[st->st_mode >> 12 & 15];
	t->target = "";
	t->mode = st->st_mode & 07777;
	t->mtime = st->st_mtim.tv_sec;
	t->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		t->major = major(st->st_rdev);
		t->minor = minor(st->st_rdev);
	}
	if (S_ISREG(st->st_mode))
		t->size = st->st_size;
	return r;
}

/* Finds the data of a file that has holes. */
static void take_extents(struct writer *w, int fd, const struct stat *st, struct tar_entry *t)
{
	int64_t at = 0;

	if ((int64_t)st->st_blocks * 512 >= st->st_size)
		return;
	while (at < st->st_size) {
		struct tar_extent x = { .offset = lseek(fd, at, SEEK_DATA) };
		int64_t end;

		if (x.offset < 0 || x.offset >= st->st_size)
			break;
		end = lseek(fd, x.offset, SEEK_HOLE);
		if (end < 0 || w->extents->len >= TAR_EXTENTS_MAX)
			return; /* as a plain one */
		at = MIN(end, st->st_size);
		x.size = at - x.offset;
		g_array_append_val(w->extents, x);
	}
	t->sparse = true;
	t->extents = (const struct tar_extent *)(void *)w->extents->data;
	t->n_extents = w->extents->len;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static int send_piece(
	struct writer *w, int fd, const char *path, int64_t at, int64_t size, struct err *e)
{
	while (size > 0) {
		ssize_t n = pread(fd, w->buf, (size_t)MIN(size, CHUNK), at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(path, n < 0 ? -errno : -EIO, e);
		r = w->sink(w->arg, w->buf, (size_t)n, e);
		if (r < 0)
			return r;
		at += n;
		size -= n;
	}
	return 0;
}

static int send_file(struct writer *w, int dir, const char *name, const struct stat *st,
	struct tar_entry *t, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return failed(t->path, -errno, e);
	take_extents(w, fd, st, t);
	r = send_head(w, t, e);
	if (r >= 0 && !t->sparse)
		r = send_piece(w, fd, t->path, 0, t->size, e);
	for (unsigned i = 0; i < t->n_extents && r >= 0; i++)
		r = send_piece(w, fd, t->path, t->extents[i].offset, t->extents[i].size, e);
	if (r < 0)
		return r;
	g_byte_array_set_size(w->head, 0);
	tar_put_padding(w->head, tar_content_size(t));
	return w->sink(w->arg, w->head->data, w->head->len, e);
}

/* 1: it is a further name of something that was written. */
static int send_link(struct writer *w, const struct stat *st, struct tar_entry *t, struct err *e)
{
	g_autofree char *key = NULL;
	const char *first;
	int r;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	key = g_strdup_printf(
		"%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	first = g_hash_table_lookup(w->links, key);
	if (!first) {
		g_hash_table_insert(w->links, g_steal_pointer(&key), g_strdup(t->path));
		return 0;
	}
	t->type = TAR_HARDLINK;
	t->target = first;
	t->size = 0;
	r = send_head(w, t, e);
	return r < 0 ? r : 1;
}

static int send_there(struct writer *w, int dir, const char *name, const char *path, struct err *e)
{
	struct tar_entry t = { .path = path };
	char target[PATH_MAX];
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(path, -errno, e);
	if (S_ISSOCK(st.st_mode))
		return 0; /* no layer can have them */
	g_ptr_array_set_size(w->own, 0);
	g_array_set_size(w->xattrs, 0);
	g_array_set_size(w->extents, 0);
	r = take_stat(w, &st, &t);
	if (r < 0)
		return err_set(e, r, "the owner of '%s' isn't mapped", path);
	r = take_xattrs(w, dir, name, &t);
	if (r < 0)
		return failed(path, r, e);
	r = send_link(w, &st, &t, e);
	if (r != 0)
		return MIN(r, 0);
	if (t.type == TAR_SYMLINK) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

		if (n < 0)
			return failed(path, -errno, e);
		target[n] = '\0';
		t.target = target;
	}
	return t.type == TAR_FILE ? send_file(w, dir, name, &st, &t, e) : send_head(w, &t, e);
}

/* A path of the new tree. */
static int send_path(struct writer *w, const char *path, struct err *e)
{
	g_autofree char *base = g_path_get_basename(path), *full = g_strconcat("/", path, NULL);
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = -1;

	if (!*path)
		return send_there(w, w->root, ".", "./", e);
	if (g_str_has_prefix(base, ".wh."))
		return err_set(e, -E_UNSUPPORTED,
			"'%s' can't be packed: layers know such names as signs of removal", path);
	dir = path_parent_in(w->root, full, false, name);
	return dir < 0 ? failed(path, dir, e) : send_there(w, dir, name, path, e);
}

/* A path that is gone. What was in a folder that is gone, too, or became something else, needs no sign. */
static int send_gone(struct writer *w, const char *path, GHashTable *now, struct err *e)
{
	g_autofree char *above = g_path_get_dirname(path), *base = g_path_get_basename(path),
			*sign = NULL;
	bool top = strcmp(above, ".") == 0;
	struct tar_entry t = { .type = TAR_FILE, .target = "", .mode = 0644 };

	if (!bundle_record_is_folder(g_hash_table_lookup(now, top ? "" : above)))
		return 0;
	sign = g_strconcat(top ? "" : above, top ? "" : "/", ".wh.", base, NULL);
	t.path = sign;
	return send_head(w, &t, e);
}

static bool is_masked(const char *path, char *const *masks)
{
	for (; masks && *masks; masks++) {
		const char *m = *masks + strspn(*masks, "/");
		size_t n = strlen(m);

		while (n > 0 && m[n - 1] == '/')
			n--;
		if (n > 0 && strncmp(path, m, n) == 0 && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that differs, in order: a folder before what is in it. Strings are the tables'. */
static GPtrArray *differences(GHashTable *then, GHashTable *now, char *const *masks)
{
	GPtrArray *list = g_ptr_array_new();
	GHashTableIter i;
	void *path, *entry;

	g_hash_table_iter_init(&i, now);
	while (g_hash_table_iter_next(&i, &path, &entry))
		if (g_strcmp0(entry, g_hash_table_lookup(then, path)) != 0 &&
			!is_masked(path, masks))
			g_ptr_array_add(list, path);
	g_hash_table_iter_init(&i, then);
	while (g_hash_table_iter_next(&i, &path, &entry))
		if (!g_hash_table_contains(now, path) && !is_masked(path, masks))
			g_ptr_array_add(list, path);
	if (list->len)
		qsort(list->pdata, list->len, sizeof(void *), compare);
	return list;
}

/* "DEV:INO" of a file with several names; NULL: it isn't one. Caller frees. */
static char *linked(int root, const char *path, const char *entry)
{
	g_autofree char *full = g_strconcat("/", path, NULL);
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = -1;
	struct stat st;

	if (!entry || bundle_record_is_folder(entry) || strstr(entry, "\nnlink=1\n"))
		return NULL;
	dir = path_parent_in(root, full, false, name);
	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	return g_strdup_printf(
		"%llx:%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
}

/* A name that a file got is a link only if its other names are in the layer, too, whether they differ or not. */
static void add_links(int root, GHashTable *now, char *const *masks, GPtrArray *list)
{
	g_autoptr(GHashTable) files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
			      listed = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTableIter i;
	void *path, *entry;

	for (unsigned k = 0; k < list->len; k++) {
		char *key = linked(root, list->pdata[k], g_hash_table_lookup(now, list->pdata[k]));

		g_hash_table_add(listed, list->pdata[k]);
		if (key)
			g_hash_table_add(files, key);
	}
	if (g_hash_table_size(files) == 0)
		return;
	g_hash_table_iter_init(&i, now);
	while (g_hash_table_iter_next(&i, &path, &entry)) {
		g_autofree char *key = NULL;

		if (g_hash_table_contains(listed, path) || is_masked(path, masks))
			continue;
		key = linked(root, path, entry);
		if (key && g_hash_table_contains(files, key))
			g_ptr_array_add(list, path);
	}
	qsort(list->pdata, list->len, sizeof(void *), compare);
}

int bundle_diff(int root, const struct bundle_ids *ids, GHashTable *then, GHashTable *now,
	char *const *masks, bundle_sink sink, void *arg, struct err *e)
{
	g_autoptr(GPtrArray) list = differences(then, now, masks),
			     own = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) links =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GByteArray) head = g_byte_array_new();
	g_autoptr(GArray) xattrs = g_array_new(FALSE, FALSE, sizeof(struct xattr));
	g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	g_autofree char *buf = g_malloc(CHUNK);
	struct writer w = { .root = root,
		.ids = ids,
		.sink = sink,
		.arg = arg,
		.links = links,
		.head = head,
		.buf = buf,
		.own = own,
		.xattrs = xattrs,
		.extents = extents };
	int r = 0;

	add_links(root, now, masks, list);
	for (unsigned i = 0; i < list->len && r >= 0; i++) {
		const char *path = list->pdata[i];

		r = g_hash_table_contains(now, path) ? send_path(&w, path, e)
						     : send_gone(&w, path, now, e);
	}
	if (r < 0)
		return r;
	g_byte_array_set_size(head, 0);
	tar_put_end(head);
	return sink(arg, head->data, head->len, e);
}
