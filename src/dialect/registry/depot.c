/* SPDX-License-Identifier: MIT */
#include "dialect/registry/depot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include "dialect/registry/names.h"

#define MARK	    "lodge-registry"
#define MARK_TEXT   "1\n"
#define LINK_MAX_N  256
#define TOUCH_AFTER 60 /* seconds: more often isn't worth a write */
#define TRIES	    16

/* --- the folder -------------------------------------------------------------------------------------------- */

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	bool empty = d != NULL;

	while (d && (entry = readdir(d)))
		if (!g_str_equal(entry->d_name, ".") && !g_str_equal(entry->d_name, "..") &&
			!g_str_equal(entry->d_name, "lost+found"))
			empty = false;
	if (d)
		(void)closedir(d);
	return empty;
}

static int make_mark(int root)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = RET_NERRNO(openat(root, MARK ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	r = fd < 0 ? fd : (int)RET_NERRNO(write(fd, MARK_TEXT, strlen(MARK_TEXT)));
	if (r >= 0)
		r = RET_NERRNO(fsync(fd));
	if (r >= 0)
		r = RET_NERRNO(renameat(root, MARK ".new", root, MARK));
	return r >= 0 ? RET_NERRNO(fsync(root)) : r;
}

static int check_mark(int root, const char *path, bool make, struct err *e)
{
	char text[8] = "";
	_cleanup_close_ int fd = RET_NERRNO(openat(root, MARK, O_RDONLY | O_CLOEXEC));
	int r;

	if (fd == -ENOENT && make) {
		/* a first start that was killed has left this */
		(void)unlinkat(root, MARK ".new", 0);
		if (is_empty(root)) {
			r = make_mark(root);
			return r < 0 ? err_sys(e, r, "cannot begin a registry in '%s'", path) : 0;
		}
	}
	r = fd < 0 ? fd : (int)RET_NERRNO(read(fd, text, sizeof(text) - 1));
	if (r < 0 || !g_str_equal(text, MARK_TEXT)) {
		r = err_set(e, -E_INVALID, "'%s' is not the folder of a registry", path);
		err_mend(e, make ? "give an empty or a new one" : "lodge registry serve makes one");
		return r;
	}
	return 0;
}

int depot_open(const char *root, unsigned flags, struct depot **ret, struct err *e)
{
	g_autofree struct depot *reg = g_new0(struct depot, 1);
	_cleanup_close_ int fd = -1, temp = -1;
	bool make = flags & DEPOT_MAKE;
	int r;

	if (make && g_mkdir_with_parents(root, 0755) < 0)
		return err_set(e, -E_INVALID, "cannot make the folder '%s'", root);
	fd = RET_NERRNO(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return err_sys(e, fd, "cannot open the folder '%s'", root);
	r = check_mark(fd, root, make, e);
	if (r < 0)
		return r;
	reg->root = fd;
	r = make ? depot_mkdirs(reg, "blobs/sha256") : 0;
	if (r >= 0 && make)
		r = depot_mkdirs(reg, "repositories");
	if (r >= 0 && make) {
		temp = depot_temp(reg);
		r = MIN(temp, 0);
	}
	if (r < 0)
		return err_sys(e, r, "cannot keep a registry in '%s'", root);
	fd = -1;
	*ret = g_steal_pointer(&reg);
	return 0;
}

void depot_free(struct depot *r)
{
	if (!r)
		return;
	(void)close(r->root);
	if (r->hashes)
		g_hash_table_destroy(r->hashes);
	if (r->writers)
		g_hash_table_destroy(r->writers);
	g_free(r);
}

/* --- paths ------------------------------------------------------------------------------------------------- */

char *depot_repo_path(const char *name, const char *kind, const char *what)
{
	return g_strdup_printf("repositories/%s%s%s%s%s", name, kind ? "/" : "", kind ?: "",
		what ? "/" : "", what ?: "");
}

char *depot_content_path(const char *digest)
{
	return g_strdup_printf("blobs/sha256/%s", sha256_hex(digest));
}

bool depot_repo_exists(const struct depot *r, const char *name)
{
	g_autofree char *path = depot_repo_path(name, "_manifests", NULL);

	return faccessat(r->root, path, F_OK, 0) == 0;
}

int depot_sync(const struct depot *r, const char *folder)
{
	_cleanup_close_ int fd =
		RET_NERRNO(openat(r->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	return fd < 0 ? fd : RET_NERRNO(fsync(fd));
}

int depot_mkdirs(const struct depot *r, const char *path)
{
	g_autofree char *parent = NULL;
	int code = RET_NERRNO(mkdirat(r->root, path, 0755));

	if (code == -EEXIST)
		return 0;
	parent = g_path_get_dirname(path);
	if (code == -ENOENT && !g_str_equal(parent, ".")) {
		code = depot_mkdirs(r, parent);
		if (code >= 0)
			code = RET_NERRNO(mkdirat(r->root, path, 0755));
		if (code == -EEXIST)
			return 0;
	}
	return code < 0 ? code : depot_sync(r, parent);
}

int depot_repo_lock(const struct depot *r, const char *name, bool make)
{
	g_autofree char *path = depot_repo_path(name, NULL, NULL);

	for (int i = 0; i < TRIES; i++) {
		_cleanup_close_ int fd = -1;
		struct stat st;
		int code = make ? depot_mkdirs(r, path) : 0;

		if (code == -ENOENT)
			continue;
		if (code < 0)
			return code;
		fd = RET_NERRNO(openat(r->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (fd == -ENOENT && make)
			continue;
		if (fd < 0)
			return fd;
		do
			code = RET_NERRNO(flock(fd, LOCK_EX));
		while (code == -EINTR);
		if (code >= 0)
			code = RET_NERRNO(fstat(fd, &st));
		if (code < 0)
			return code;
		/* it may have been removed, being empty, while we waited */
		if (st.st_nlink > 0)
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

int depot_file(const struct depot *r, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd =
		RET_NERRNO(openat(r->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
	int code = fd < 0 ? fd : RET_NERRNO(fstat(fd, ret));

	if (code < 0)
		return code;
	return S_ISREG(ret->st_mode) ? TAKE_FD(fd) : -ENOENT;
}

int depot_temp(const struct depot *r)
{
	return RET_NERRNO(openat(r->root, "blobs/sha256", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
}

char *depot_link(const struct depot *r, const char *path)
{
	char buf[LINK_MAX_N];
	ssize_t n = readlinkat(r->root, path, buf, sizeof(buf));

	return n <= 0 || n == sizeof(buf) ? NULL : g_strndup(buf, (gsize)n);
}

static gint by_bytes(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *depot_list(const struct depot *r, const char *path)
{
	int fd = openat(r->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	GPtrArray *all;

	if (!d)
		return NULL;
	all = g_ptr_array_new_with_free_func(g_free);
	while ((entry = readdir(d)))
		if (*entry->d_name != '.')
			g_ptr_array_add(all, g_strdup(entry->d_name));
	(void)closedir(d);
	g_ptr_array_sort(all, by_bytes);
	return all;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

/* The registry's one copy, when it is whole. */
static int share(const struct depot *r, const char *to, const char *digest, int64_t size)
{
	g_autofree char *blob = depot_content_path(digest);
	struct stat st;
	int code = RET_NERRNO(fstatat(r->root, blob, &st, AT_SYMLINK_NOFOLLOW));

	if (code < 0)
		return code;
	if (!S_ISREG(st.st_mode) || (size >= 0 && st.st_size != size)) {
		/* of that digest it can't be: the next one takes its place */
		(void)unlinkat(r->root, blob, 0);
		return -ENOENT;
	}
	return RET_NERRNO(linkat(r->root, blob, r->root, to, 0));
}

static int link_content(const struct depot *r, const char *to, const char *digest, int fd)
{
	g_autofree char *blob = depot_content_path(digest),
			*from = g_strdup_printf("/proc/self/fd/%d", fd);
	struct stat st;
	int code = RET_NERRNO(fstat(fd, &st));

	if (code >= 0)
		code = share(r, to, digest, st.st_size);
	if (code >= 0 || code == -EEXIST)
		return code;
	/* The repository's link first: content with no link but that in blobs/ is garbage. It has that one alone, too,
	 * when the shared one has as many links as a file can have. */
	code = RET_NERRNO(linkat(AT_FDCWD, from, r->root, to, AT_SYMLINK_FOLLOW));
	if (code >= 0)
		(void)RET_NERRNO(linkat(r->root, to, r->root, blob, 0));
	return code;
}

int depot_keep(
	const struct depot *r, const char *name, const char *kind, const char *digest, int fd)
{
	g_autofree char *folder = depot_repo_path(name, kind, NULL);
	g_autofree char *to = depot_repo_path(name, kind, digest);
	_cleanup_close_ int there = -1;
	struct stat st;
	int code = RET_NERRNO(fsync(fd));

	if (code >= 0)
		code = depot_mkdirs(r, folder);
	if (code >= 0)
		code = link_content(r, to, digest, fd);
	if (code < 0 && code != -EEXIST)
		return code;
	there = depot_file(r, to, &st);
	if (there < 0)
		return there;
	(void)futimens(there, NULL);
	code = depot_sync(r, folder);
	return code < 0 ? code : depot_sync(r, "blobs/sha256");
}

int depot_share(const struct depot *r, const char *name, const char *digest, const char *from)
{
	g_autofree char *folder = depot_repo_path(name, "_blobs", NULL);
	g_autofree char *to = depot_repo_path(name, "_blobs", digest);
	g_autofree char *source = from ? depot_repo_path(from, "_blobs", digest) : NULL;
	_cleanup_close_ int there = -1;
	struct stat st;
	int code = depot_mkdirs(r, folder);

	if (code >= 0)
		code = source ? RET_NERRNO(linkat(r->root, source, r->root, to, 0))
			      : share(r, to, digest, -1);
	if (code < 0 && code != -EEXIST)
		return code;
	there = depot_file(r, to, &st);
	if (there < 0)
		return there;
	(void)futimens(there, NULL);
	return depot_sync(r, folder);
}

int depot_set_link(const struct depot *r, const char *folder, const char *name, const char *target)
{
	char id[REGISTRY_UPLOAD_SIZE];
	g_autofree char *to = g_strdup_printf("%s/%s", folder, name), *temp = NULL;
	g_autofree char *old = NULL;
	int code = depot_mkdirs(r, folder);

	if (code >= 0)
		code = registry_new_upload(id);
	if (code < 0)
		return code;
	old = depot_link(r, to);
	if (!old || !g_str_equal(old, target)) {
		temp = g_strdup_printf("%s/.%s", folder, id);
		code = RET_NERRNO(symlinkat(target, r->root, temp));
		if (code >= 0)
			code = RET_NERRNO(renameat(r->root, temp, r->root, to));
		if (code < 0)
			(void)unlinkat(r->root, temp, 0);
	}
	return code < 0 ? code : depot_sync(r, folder);
}

void depot_touch(const struct depot *r, int fd)
{
	struct stat st;

	if (r->read_only || fstat(fd, &st) < 0 || st.st_mtime > time(NULL) - TOUCH_AFTER)
		return;
	(void)futimens(fd, NULL);
}
