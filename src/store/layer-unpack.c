/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "host/path.h"
#include "store/erofs.h"
#include "store/layer-priv.h"

/*
 * Nothing of an image can lead out of the folder: it is new and ours, names are single components that the
 * reader has checked, all are made by *at() calls in an open folder, and none is followed.
 */
struct unpack {
	struct ctx *c;
	struct erofs_view view;
	GHashTable *links; /* nid to path, of files with several names */
	GString *path;	   /* of the folder that is being filled, with a "/" at the end */
	int root, at;
	unsigned depth;
	struct err *e;
};

static int fail(struct unpack *u, int code, const char *name)
{
	return err_sys(u->e, code, "cannot unpack '%s%s'", u->path->str, name);
}

/* What only root may do is left out where we aren't. */
static int allow(const struct unpack *u, int r)
{
	return r == -EPERM && !u->c->is_root ? 0 : r;
}

struct set_xattr {
	struct unpack *u;
	int fd;
	const char *path;
};

static int on_xattr(void *arg, const struct xattr *x)
{
	struct set_xattr *s = arg;
	const char *name = x->name;
	int r;

	if (!s->u->c->is_root && !strcmp(name, "trusted.overlay.opaque"))
		name = "user.overlay.opaque";
	if (s->fd >= 0)
		r = RET_NERRNO(fsetxattr(s->fd, name, x->value, x->size, 0));
	else
		r = RET_NERRNO(lsetxattr(s->path, name, x->value, x->size, 0));
	/* tmpfs has no user.*; what an overlay can't do without isn't let pass */
	if (r == -EOPNOTSUPP && !g_str_has_suffix(name, ".overlay.opaque"))
		return 0;
	return allow(s->u, r);
}

static int put_piece(int fd, const uint8_t *p, size_t n, int64_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* A chunk that has data is there as a whole; what is zeros of it was most likely a hole. */
static int put_sparse(int fd, const uint8_t *p, size_t n, int64_t at)
{
	static const uint8_t zeros[4096];
	size_t k;
	int r = 0;

	for (; n && r >= 0; p += k, n -= k, at += (int64_t)k) {
		k = MIN(n, sizeof(zeros));
		if (memcmp(p, zeros, k) != 0)
			r = put_piece(fd, p, k, at);
	}
	return r;
}

static int put_content(struct unpack *u, const struct erofs_inode *i, int fd)
{
	int64_t at = 0;

	if (ftruncate(fd, i->size) < 0)
		return -errno;
	while (at < i->size) {
		const uint8_t *p;
		size_t n;
		int r = erofs_content(&u->view, i, at, &p, &n);

		if (r >= 0 && p)
			r = (i->sparse ? put_sparse : put_piece)(fd, p, n, at);
		if (r < 0)
			return r;
		at += (int64_t)n;
	}
	return 0;
}

/* Owner, mode (after the owner, which takes away set-user-ID), attributes, time. */
static int put_attributes(struct unpack *u, const struct erofs_inode *i, int fd)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = i->mtime, .tv_nsec = i->mtime_nsec } };
	struct set_xattr s = { .u = u, .fd = fd };
	int r;

	r = allow(u, RET_NERRNO(fchown(fd, i->uid, i->gid)));
	if (r >= 0)
		r = RET_NERRNO(fchmod(fd, i->mode & 07777));
	if (r >= 0)
		r = erofs_xattrs(&u->view, i, on_xattr, &s);
	return r < 0 ? r : RET_NERRNO(futimens(fd, t));
}

static int make_file(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	_cleanup_close_ int fd =
		openat(u->at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = put_content(u, i, fd);
	return r < 0 ? r : put_attributes(u, i, fd);
}

static int make_symlink(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	char target[EROFS_PATH_MAX];
	const uint8_t *p;
	size_t n;
	int r;

	if (!i->size || i->size >= EROFS_PATH_MAX)
		return -E_CORRUPT;
	r = erofs_content(&u->view, i, 0, &p, &n);
	if (r < 0)
		return r;
	if (!p || (int64_t)n < i->size)
		return -E_CORRUPT;
	memcpy(target, p, n);
	target[n] = '\0';
	return RET_NERRNO(symlinkat(target, u->at, name));
}

/* Devices, pipes and links can't be opened for their attributes: they are reached by a descriptor's path. */
static int put_special(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = i->mtime, .tv_nsec = i->mtime_nsec } };
	g_autofree char *path = NULL;
	char folder[32];
	struct set_xattr s = { .u = u, .fd = -1 };
	int r;

	r = allow(u, RET_NERRNO(fchownat(u->at, name, i->uid, i->gid, AT_SYMLINK_NOFOLLOW)));
	if (r >= 0 && !S_ISLNK(i->mode))
		r = RET_NERRNO(fchmodat(u->at, name, i->mode & 07777, 0));
	path = g_strconcat(path_of_fd(u->at, folder), "/", name, NULL);
	s.path = path;
	if (r >= 0)
		r = erofs_xattrs(&u->view, i, on_xattr, &s);
	return r < 0 ? r : RET_NERRNO(utimensat(u->at, name, t, AT_SYMLINK_NOFOLLOW));
}

static int make_special(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	bool whiteout = S_ISCHR(i->mode) && !i->major && !i->minor;
	int r;

	if (S_ISLNK(i->mode))
		r = make_symlink(u, i, name);
	else
		r = RET_NERRNO(mknodat(
			u->at, name, (i->mode & S_IFMT) | 0600, makedev(i->major, i->minor)));
	if (r == -EPERM && !whiteout && !u->c->is_root)
		return 0;
	/* all whiteouts are one inode, and nobody sees their attributes */
	return r < 0 || whiteout ? r : put_special(u, i, name);
}

static int on_name(void *arg, const char *name, size_t size, uint64_t nid);

static int make_dir(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	_cleanup_close_ int fd = -1;
	size_t length = u->path->len;
	int at = u->at, r;

	if (u->depth >= EROFS_DEPTH_MAX)
		return -E_CORRUPT;
	if (mkdirat(u->at, name, 0700) < 0)
		return -errno;
	fd = openat(u->at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	g_string_append(u->path, name);
	g_string_append_c(u->path, '/');
	u->at = fd;
	u->depth++;
	r = erofs_list(&u->view, i, on_name, u);
	u->depth--;
	u->at = at;
	g_string_truncate(u->path, length);
	return r < 0 ? r : put_attributes(u, i, fd);
}

/* A further name of a file that is there. 1: it isn't. */
static int make_link(struct unpack *u, const struct erofs_inode *i, const char *name)
{
	const char *first;
	uint64_t *key;

	if (S_ISDIR(i->mode) || i->nlink < 2 || (S_ISCHR(i->mode) && !i->major && !i->minor))
		return 1;
	first = g_hash_table_lookup(u->links, &i->nid);
	if (first)
		return RET_NERRNO(linkat(u->root, first, u->at, name, 0));
	key = g_memdup2(&i->nid, sizeof(i->nid));
	g_hash_table_insert(u->links, key, g_strconcat(u->path->str, name, NULL));
	return 1;
}

static int on_name(void *arg, const char *name, size_t size, uint64_t nid)
{
	struct unpack *u = arg;
	char copy[EROFS_NAME_MAX + 1];
	struct erofs_inode i;
	int r;

	memcpy(copy, name, size);
	copy[size] = '\0';
	r = erofs_inode_get(&u->view, nid, &i);
	if (r >= 0)
		r = make_link(u, &i, copy);
	if (r == 1)
		r = S_ISDIR(i.mode)   ? make_dir(u, &i, copy)
		    : S_ISREG(i.mode) ? make_file(u, &i, copy)
				      : make_special(u, &i, copy);
	if (r < 0 && (!u->e || !u->e->code))
		return fail(u, r, copy);
	return r;
}

int layer_unpack(struct ctx *c, const char *image, const char *to, struct err *e)
{
	struct err own = { 0 };
	g_autoptr(GHashTable) links =
		g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
	g_autoptr(GString) path = g_string_new(NULL);
	_cleanup_close_ int root = -1;
	struct unpack u = { .c = c, .links = links, .path = path, .e = &own };
	struct layer_map map = { 0 };
	struct erofs_inode i;
	int r;

	r = layer_map(image, &map, e);
	if (r < 0)
		return r;
	r = erofs_view_init(&u.view, map.p, map.size, &own);
	if (r >= 0) {
		root = RET_NERRNO(open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
		r = root < 0 ? err_sys(&own, root, "cannot open '%s'", to) : 0;
	}
	u.root = u.at = root;
	if (r >= 0)
		r = erofs_inode_get(&u.view, u.view.root, &i);
	if (r >= 0)
		r = erofs_list(&u.view, &i, on_name, &u);
	if (r >= 0)
		r = put_attributes(&u, &i, root);
	if (r >= 0)
		r = RET_NERRNO(syncfs(root));
	if (r < 0 && !own.code)
		err_sys(&own, r, "cannot unpack '%s'", image);
	if (r < 0 && e)
		*e = own;
	layer_unmap(&map);
	return r;
}
