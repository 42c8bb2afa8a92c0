/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "host/caps.h"
#include "host/path.h"
#include "image/bundle-priv.h"

#define CHUNK	  (256 << 10)
#define LIST_MAX  65536 /* the kernel's XATTR_LIST_MAX */
#define DEPTH_MAX 1000

/* A folder's times and mode are set when nothing more comes into it. */
struct late {
	char *path;
	mode_t mode;
	struct timespec mtime;
};

/* In the process that reads the archive. */
struct layer {
	int root;
	const struct bundle_ids *ids;
	bool keep_dirlinks, is_root;
	GHashTable *mine; /* canonical paths of this layer, with all folders above them */
	GHashTable *late; /* "DEV:INO" -> struct late */
	unsigned depth;
	/* the file that content comes for; fd -1: none */
	int fd;
	char *path;
	struct stat st;		   /* what it shall become */
	GPtrArray *names, *values; /* of its attributes */
};

static void late_free(void *p)
{
	struct late *l = p;

	g_free(l->path);
	g_free(l);
}

static int in_place(const char *path, int code, struct err *e)
{
	char shown[TAR_SHOWN];

	return err_sys(e, code, "cannot unpack '%s'", tar_show(path, shown));
}

/* --- folders ------------------------------------------------------------------------------------------------- */

static char *key_of(const struct stat *st)
{
	return g_strdup_printf(
		"%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

static void set_late(struct layer *l, const struct stat *is, const char *path, mode_t mode,
	struct timespec mtime)
{
	struct late *x = g_new0(struct late, 1);

	*x = (struct late){ g_strdup(path), mode, mtime };
	g_hash_table_insert(l->late, key_of(is), x);
}

/* Before something in a folder changes: its time is given back at the end. */
static int note_folder(struct layer *l, int dir, const char *path)
{
	g_autofree char *above = g_path_get_dirname(path), *key = NULL;
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	key = key_of(&st);
	if (g_hash_table_contains(l->late, key))
		return 0;
	set_late(l, &st, above, st.st_mode & 07777, st.st_mtim);
	if (!l->is_root && (st.st_mode & 0700) != 0700)
		return RET_NERRNO(fchmodat(dir, ".", (st.st_mode & 07777) | 0700, 0));
	return 0;
}

static int deepest_first(const void *a, const void *b)
{
	const struct late *const *x = a, *const *y = b;

	return strcmp((*y)->path, (*x)->path);
}

static int end_folders(struct layer *l, struct err *e)
{
	g_autoptr(GList) values = g_hash_table_get_values(l->late);
	g_autoptr(GPtrArray) list = g_ptr_array_new();
	int r = 0;

	for (GList *i = values; i; i = i->next)
		g_ptr_array_add(list, i->data);
	if (list->len)
		qsort(list->pdata, list->len, sizeof(void *), deepest_first);
	for (unsigned i = 0; i < list->len && r >= 0; i++) {
		const struct late *x = list->pdata[i];
		struct timespec t[2] = { x->mtime, x->mtime };
		_cleanup_close_ int fd =
			path_open_in(l->root, x->path, O_RDONLY | O_DIRECTORY, 0, 0);

		if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
			continue; /* the layer took it away again */
		r = fd < 0 ? fd : RET_NERRNO(fchmod(fd, x->mode));
		if (r >= 0)
			r = RET_NERRNO(futimens(fd, t));
		if (r < 0)
			return in_place(x->path, r, e);
	}
	return 0;
}

/* --- whiteouts ------------------------------------------------------------------------------------------------ */

static int clear_folder(struct layer *l, int dir, const char *path);

/* Takes away what lower layers had at a place: all, but what this layer has put there. */
static int clear_place(struct layer *l, int dir, const char *name, const char *path)
{
	_cleanup_close_ int fd = -1;

	if (!g_hash_table_contains(l->mine, path))
		return path_remove_tree(dir, name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : clear_folder(l, fd, path);
}

static int clear_folder(struct layer *l, int dir, const char *path)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	g_autofree char *child = NULL;
	DIR *d;
	struct dirent *f;

	if (copy < 0)
		return -errno;
	if (++l->depth > DEPTH_MAX) {
		(void)close(copy);
		return -E_LIMIT;
	}
	child = g_build_filename(path, "x", NULL);
	r = note_folder(l, copy, child);
	d = fdopendir(copy);
	while (d && r >= 0 && (f = readdir(d))) {
		g_autofree char *at = g_build_filename(path, f->d_name, NULL);

		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			r = clear_place(l, dir, f->d_name, at);
	}
	if (d)
		(void)closedir(d);
	l->depth--;
	return r;
}

/* 1: it was one. image-spec layer.md, "Whiteouts". */
static int whiteout(struct layer *l, const char *path, struct err *e)
{
	g_autofree char *above = g_path_get_dirname(path), *base = g_path_get_basename(path),
			*hidden = NULL;
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = -1;
	int r;

	if (!g_str_has_prefix(base, ".wh."))
		return 0;
	if (strcmp(base, ".wh..wh..opq") == 0) {
		dir = path_open_in(l->root, above, O_RDONLY | O_DIRECTORY, 0, 0);
		r = dir < 0 ? dir : clear_folder(l, dir, above);
	} else if (g_str_has_prefix(base, ".wh..wh.")) {
		return 1; /* aufs' own */
	} else {
		if (!base[4] || strcmp(base + 4, ".") == 0 || strcmp(base + 4, "..") == 0)
			return in_place(path, -E_CORRUPT, e);
		hidden = g_build_filename(above, base + 4, NULL);
		dir = path_parent_in(l->root, hidden, false, name);
		r = dir < 0 ? dir : note_folder(l, dir, hidden);
		if (r >= 0)
			r = clear_place(l, dir, name, hidden);
	}
	if (r == -ENOENT || r == -ENOTDIR)
		r = 0; /* nothing there to be hidden */
	return r < 0 ? in_place(path, r, e) : 1;
}

/* --- attributes ----------------------------------------------------------------------------------------------- */

static int set_xattr(
	struct layer *l, int fd, const char *name, const char *attr, const void *value, size_t size)
{
	int r = fd >= 0 ? RET_NERRNO(fsetxattr(fd, attr, value, size, 0))
			: RET_NERRNO(lsetxattr(name, attr, value, size, 0));

	if (r == -EOPNOTSUPP || (r == -EPERM && !l->is_root))
		return 0; /* a file system without them, and what only root may */
	return r;
}

/* The folder that the entry lies in is the working directory. */
static int set_owner(
	struct layer *l, int dir, int fd, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	uint8_t value[BUNDLE_ROOTLESS_MAX];
	uint32_t u, g;
	int r;

	if (l->ids->rootless) {
		/* only files and folders may have attributes of users */
		if ((uid || gid) && (S_ISREG(mode) || S_ISDIR(mode)))
			return set_xattr(l, fd, name, BUNDLE_ROOTLESS_ATTR, value,
				bundle_rootless_put(uid, gid, value));
		return 0;
	}
	r = bundle_map_id(l->ids->uid, l->ids->n_uid, uid, false, &u);
	if (r >= 0)
		r = bundle_map_id(l->ids->gid, l->ids->n_gid, gid, false, &g);
	return r < 0 ? r : RET_NERRNO(fchownat(dir, name, u, g, AT_SYMLINK_NOFOLLOW));
}

/* What a folder of a lower layer had, the new entry needn't have. */
static int clear_xattrs(struct layer *l, const char *name)
{
	g_autofree char *list = g_malloc(LIST_MAX + 1);
	ssize_t n = llistxattr(name, list, LIST_MAX);
	int r = 0;

	for (char *p = list; r >= 0 && p < list + MAX(n, 0); p += strlen(p) + 1) {
		r = RET_NERRNO(lremovexattr(name, p));
		/* security modules keep theirs */
		if (r == -EPERM || r == -EACCES || r == -EOPNOTSUPP || r == -ENODATA)
			r = 0;
	}
	return r;
}

static int set_attributes(
	struct layer *l, const struct tar_entry *t, int dir, const char *name, const char *path)
{
	struct timespec times[2] = { { t->mtime, t->mtime_nsec }, { t->mtime, t->mtime_nsec } };
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = set_owner(l, dir, -1, name, st.st_mode, t->uid, t->gid);
	for (unsigned i = 0; i < t->n_xattrs && r >= 0; i++)
		if (!g_str_has_prefix(t->xattrs[i].name, "trusted.overlay."))
			r = set_xattr(l, -1, name, t->xattrs[i].name, t->xattrs[i].value,
				t->xattrs[i].size);
	if (r < 0)
		return r;
	if (t->type == TAR_DIR) {
		set_late(l, &st, path, t->mode & 07777, times[1]);
		return 0;
	}
	if (t->type != TAR_SYMLINK)
		r = RET_NERRNO(fchmodat(dir, name, t->mode & 07777, 0));
	return r < 0 ? r : RET_NERRNO(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW));
}

/* --- entries -------------------------------------------------------------------------------------------------- */

/* A file's attributes come after its content, since writing takes capabilities and set-user-ID away. */
static int end_file(struct layer *l, struct err *e)
{
	struct timespec t[2] = { l->st.st_mtim, l->st.st_mtim };
	int r = 0;

	if (l->fd < 0)
		return 0;
	if (l->ids->rootless) {
		r = set_owner(l, -1, l->fd, "", S_IFREG, l->st.st_uid, l->st.st_gid);
	} else {
		uint32_t u, g;

		r = bundle_map_id(l->ids->uid, l->ids->n_uid, l->st.st_uid, false, &u);
		if (r >= 0)
			r = bundle_map_id(l->ids->gid, l->ids->n_gid, l->st.st_gid, false, &g);
		if (r >= 0)
			r = RET_NERRNO(fchown(l->fd, u, g));
	}
	for (unsigned i = 0; i < l->names->len && r >= 0; i++) {
		size_t size;
		const void *value = g_bytes_get_data(l->values->pdata[i], &size);

		r = set_xattr(l, l->fd, NULL, l->names->pdata[i], value, size);
	}
	if (r >= 0)
		r = RET_NERRNO(fchmod(l->fd, l->st.st_mode));
	if (r >= 0)
		r = RET_NERRNO(futimens(l->fd, t));
	closep(&l->fd);
	l->fd = -1;
	return r < 0 ? in_place(l->path, r, e) : 0;
}

static int begin_file(struct layer *l, const struct tar_entry *t, int dir, const char *name)
{
	l->fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return -errno;
	g_free(l->path);
	l->path = g_strdup(t->path);
	l->st.st_uid = t->uid;
	l->st.st_gid = t->gid;
	l->st.st_mode = t->mode & 07777;
	l->st.st_mtim = (struct timespec){ t->mtime, t->mtime_nsec };
	g_ptr_array_set_size(l->names, 0);
	g_ptr_array_set_size(l->values, 0);
	for (unsigned i = 0; i < t->n_xattrs; i++) {
		if (g_str_has_prefix(t->xattrs[i].name, "trusted.overlay."))
			continue;
		g_ptr_array_add(l->names, g_strdup(t->xattrs[i].name));
		g_ptr_array_add(l->values, g_bytes_new(t->xattrs[i].value, t->xattrs[i].size));
	}
	/* a sparse one may end in a hole */
	return t->sparse ? RET_NERRNO(ftruncate(l->fd, t->size)) : 0;
}

static int make_link(struct layer *l, const struct tar_entry *t, int dir, const char *name)
{
	g_autofree char *target = g_canonicalize_filename(t->target, "/");
	char base[NAME_MAX + 1];
	_cleanup_close_ int from = path_parent_in(l->root, target, false, base);

	return from < 0 ? from : RET_NERRNO(linkat(from, base, dir, name, 0));
}

static int make_node(struct layer *l, const struct tar_entry *t, int dir, const char *name)
{
	mode_t type = t->type == TAR_CHAR ? S_IFCHR : t->type == TAR_FIFO ? S_IFIFO : S_IFBLK;
	int r = RET_NERRNO(mknodat(dir, name, type | 0600, makedev(t->major, t->minor)));

	/* as umoci does it: a place to mount something on */
	if (r == -EPERM && l->ids->rootless)
		r = RET_NERRNO(mknodat(dir, name, S_IFREG | 0600, 0));
	return r;
}

/* Makes way for the entry. 1: what is there stays. */
static int make_way(
	struct layer *l, const struct tar_entry *t, int dir, const char *name, const char *path)
{
	_cleanup_close_ int there = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (t->type == TAR_DIR && S_ISDIR(st.st_mode)) {
		int r = clear_xattrs(l, name);

		return r < 0 ? r : 1;
	}
	if (t->type == TAR_DIR && S_ISLNK(st.st_mode) && l->keep_dirlinks) {
		there = path_open_in(l->root, path, O_PATH | O_DIRECTORY, 0, 0);
		if (there >= 0)
			return 1;
	}
	return path_remove_tree(dir, name);
}

static int make_entry(
	struct layer *l, const struct tar_entry *t, int dir, const char *name, const char *path)
{
	struct stat st;
	int r = make_way(l, t, dir, name, path);

	if (r == 1) {
		r = RET_NERRNO(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW));
		return r < 0 || S_ISLNK(st.st_mode) ? r : set_attributes(l, t, dir, name, path);
	}
	if (r < 0)
		return r;
	switch (t->type) {
	case TAR_FILE:
		return begin_file(l, t, dir, name);
	case TAR_HARDLINK:
		return make_link(l, t, dir, name);
	case TAR_DIR:
		r = RET_NERRNO(mkdirat(dir, name, 0700));
		break;
	case TAR_SYMLINK:
		r = RET_NERRNO(symlinkat(t->target, dir, name));
		break;
	default:
		r = make_node(l, t, dir, name);
		break;
	}
	return r < 0 ? r : set_attributes(l, t, dir, name, path);
}

static void remember(struct layer *l, const char *path)
{
	char *at = g_strdup(path);

	while (!g_hash_table_contains(l->mine, at)) {
		char *above = g_path_get_dirname(at);

		g_hash_table_add(l->mine, at);
		at = above;
	}
	g_free(at);
}

static int on_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct layer *l = arg;
	g_autofree char *path = g_canonicalize_filename(t->path, "/");
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = -1;
	int r = end_file(l, e);

	if (r < 0)
		return r;
	r = whiteout(l, path, e);
	if (r != 0)
		return MIN(r, 0);
	if (strcmp(path, "/") == 0) {
		if (t->type != TAR_DIR)
			return in_place(t->path, -E_CORRUPT, e);
		r = path_enter(l->root);
		if (r >= 0)
			r = clear_xattrs(l, ".");
		if (r >= 0)
			r = set_attributes(l, t, l->root, ".", "/");
		return r < 0 ? in_place(t->path, r, e) : 0;
	}
	dir = path_parent_in(l->root, path, true, name);
	r = dir < 0 ? dir : note_folder(l, dir, path);
	/* attributes of what can't be opened are set by its name there */
	if (r >= 0)
		r = path_enter(dir);
	if (r >= 0)
		r = make_entry(l, t, dir, name, path);
	if (r < 0)
		return in_place(t->path, r, e);
	remember(l, path);
	return 0;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct layer *l = arg;
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(l->fd, p, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return in_place(l->path, -errno, e);
		p += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* --- the process ---------------------------------------------------------------------------------------------- */

/* What is left: the root as all that there is, and what it takes to make files of any owner in it. */
static int lock_down(struct layer *l)
{
	const uint64_t mask = CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_DAC_OVERRIDE) |
			      CAPS_BIT(CAP_FOWNER) | CAPS_BIT(CAP_FSETID) | CAPS_BIT(CAP_MKNOD) |
			      CAPS_BIT(CAP_SETFCAP) | CAPS_BIT(CAP_SYS_ADMIN);
	int r = l->is_root ? path_confine(l->root) : path_enter(l->root);

	(void)umask(022);
	if (r >= 0 && l->is_root)
		r = caps_set_bounding(mask);
	if (r >= 0 && l->is_root)
		r = caps_set(mask, mask, 0, 0);
	return r < 0 ? r : RET_NERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static int read_all(struct layer *l, int from, struct err *e)
{
	static const struct tar_sink sink = { .entry = on_entry, .content = on_content };
	_cleanup_(tar_reader_freep) struct tar_reader *tar = tar_reader_new(&sink, l);
	g_autofree char *buf = g_malloc(CHUNK);
	int r = lock_down(l);

	if (r < 0)
		return err_sys(e, r, "cannot go into the bundle's root");
	tar_reader_allow_bare_end(tar);
	for (;;) {
		ssize_t n = read(from, buf, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read a layer");
		if (n == 0)
			break;
		r = tar_reader_write(tar, buf, (size_t)n, e);
		if (r < 0)
			return r;
	}
	r = tar_reader_finish(tar, e);
	if (r >= 0)
		r = end_file(l, e);
	return r < 0 ? r : end_folders(l, e);
}

static void unref_bytes(void *p)
{
	g_bytes_unref(p);
}

struct apply {
	pid_t pid;
	int fd;
};

int apply_new(int root, const struct bundle_ids *ids, bool keep_dirlinks, struct apply **ret,
	struct err *e)
{
	struct layer l = { .root = root,
		.ids = ids,
		.keep_dirlinks = keep_dirlinks,
		.is_root = geteuid() == 0,
		.fd = -1 };
	struct err own = { 0 };
	int pair[2], r;
	pid_t parent = getpid(), pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	r = pid = RET_NERRNO(fork());
	if (r < 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		return err_sys(e, r, "cannot make a process");
	}
	if (pid == 0) {
		(void)close(pair[0]);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		l.mine = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		l.late = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, late_free);
		l.names = g_ptr_array_new_with_free_func(g_free);
		l.values = g_ptr_array_new_with_free_func(unref_bytes);
		r = read_all(&l, pair[1], &own);
		own.code = r < 0 ? r : 0;
		(void)send(pair[1], &own, sizeof(own), MSG_NOSIGNAL);
		_exit(0);
	}
	(void)close(pair[1]);
	*ret = g_new0(struct apply, 1);
	**ret = (struct apply){ pid, pair[0] };
	return 0;
}

/* What the process says at its end. */
static int verdict(struct apply *a, struct err *e)
{
	struct err said = { 0 };
	ssize_t n;

	(void)shutdown(a->fd, SHUT_WR);
	do
		n = recv(a->fd, &said, sizeof(said), MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(said))
		return err_set(e, -EIO, "the process that unpacked a layer has ended");
	if (said.code < 0 && e)
		*e = said;
	return said.code;
}

int apply_write(struct apply *a, const void *data, size_t size, struct err *e)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = send(a->fd, p, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = verdict(a, e);

			return r < 0 ? r : err_set(e, -EIO, "a layer goes on behind its end");
		}
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int apply_finish(struct apply *a, struct err *e)
{
	return verdict(a, e);
}

void apply_free(struct apply *a)
{
	if (!a)
		return;
	closep(&a->fd);
	(void)kill(a->pid, SIGKILL);
	while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g_free(a);
}

void apply_freep(struct apply **a)
{
	apply_free(*a);
}
