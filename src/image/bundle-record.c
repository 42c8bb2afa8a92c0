/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include "codec/sha256.h"
#include "host/path.h"
#include "image/bundle-priv.h"

#define CHUNK	  (256 << 10)
#define LIST_MAX  65536 /* the kernel's XATTR_LIST_MAX */
#define DEPTH_MAX 1000

struct walk {
	GString *out, *path;
	struct sha256 *hash;
	char *buf;
	unsigned depth;
	dev_t dev;
};

/* vis(3), VIS_OCTAL: all that could be read as something else. */
static void put_name(GString *out, const char *s)
{
	for (; *s; s++)
		if (g_ascii_isalnum(*s) || strchr("!\"$%&'()+,-./:;<=>@^_`{|}~", *s))
			g_string_append_c(out, *s);
		else
			g_string_append_printf(out, "\\%03o", (unsigned)(unsigned char)*s);
}

static int failed(const struct walk *w, int code, struct err *e)
{
	return err_sys(e, code, "cannot read '%s'", *w->path->str ? w->path->str : "/");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* " xattr.NAME=BASE64" of each, in order of names. The thing's folder is `dir`. */
static int put_xattrs(struct walk *w, int dir, const char *name, struct err *e)
{
	char folder[32], value[XATTR_VALUE_LIMIT];
	g_autofree char *path = g_strconcat(path_of_fd(dir, folder), "/", name, NULL);
	g_autofree char *list = g_malloc(LIST_MAX + 1);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	ssize_t n = llistxattr(path, list, LIST_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : failed(w, -errno, e);
	for (char *p = list; p < list + n; p += strlen(p) + 1)
		g_ptr_array_add(names, p);
	if (names->len)
		qsort(names->pdata, names->len, sizeof(void *), compare);
	for (unsigned i = 0; i < names->len; i++) {
		g_autofree char *text = NULL;

		n = lgetxattr(path, names->pdata[i], value, sizeof(value));
		if (n < 0 && errno == ENODATA)
			continue;
		if (n < 0)
			return failed(w, -errno, e);
		text = g_base64_encode((const guchar *)value, (gsize)n);
		g_string_append(w->out, " xattr.");
		put_name(w->out, names->pdata[i]);
		g_string_append_printf(w->out, "=%s", text);
	}
	return 0;
}

static int put_digest(struct walk *w, int dir, const char *name, struct err *e)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	char text[SHA256_TEXT];
	ssize_t n;

	/* somebody else's file may not be read without a trace */
	if (fd < 0 && errno == EPERM)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return failed(w, -errno, e);
	sha256_reset(w->hash);
	while ((n = read(fd, w->buf, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(w, -errno, e);
		sha256_write(w->hash, w->buf, (size_t)n);
	}
	sha256_finish_text(w->hash, text);
	g_string_append_printf(w->out, " sha256digest=%s", sha256_hex(text));
	return 0;
}

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "file";
	}
}

static int put_line(struct walk *w, int dir, const char *name, const struct stat *st, struct err *e)
{
	char target[PATH_MAX];
	int r = 0;

	put_name(w->out, name);
	g_string_append_printf(w->out,
		" type=%s size=%lld mode=%#o uid=%u gid=%u nlink=%llu "
		"tar_time=%lld.000000000",
		type_of(st->st_mode), (long long)st->st_size, (unsigned)st->st_mode & 07777,
		st->st_uid, st->st_gid, (unsigned long long)st->st_nlink,
		(long long)st->st_mtim.tv_sec);
	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

		if (n < 0)
			return failed(w, -errno, e);
		target[n] = '\0';
		g_string_append(w->out, " link=");
		put_name(w->out, target);
	}
	if (S_ISREG(st->st_mode))
		r = put_digest(w, dir, name, e);
	if (r >= 0)
		r = put_xattrs(w, dir, name, e);
	g_string_append_c(w->out, '\n');
	return r;
}

static int put_folder(struct walk *w, int fd, struct err *e);

static int put_one(struct walk *w, int dir, const char *name, bool folders, struct err *e)
{
	size_t length = w->path->len;
	struct stat st;
	int r = 0;

	g_string_append_printf(w->path, "/%s", name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(w, -errno, e);
	if (S_ISDIR(st.st_mode) == folders) {
		if (folders) {
			g_string_append(w->out, "\n# ");
			put_name(w->out, w->path->str + 1);
			g_string_append_c(w->out, '\n');
		} else {
			g_string_append(w->out, "    ");
		}
		r = put_line(w, dir, name, &st, e);
	}
	if (r >= 0 && folders && S_ISDIR(st.st_mode)) {
		_cleanup_close_ int fd =
			openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return failed(w, -errno, e);
		/* what is mounted there isn't the image's */
		r = st.st_dev == w->dev ? put_folder(w, fd, e) : 0;
		g_string_append(w->out, "..\n");
	}
	g_string_truncate(w->path, length);
	return r;
}

/* What a folder has: the files first, as go-mtree reads them. */
static int put_folder(struct walk *w, int fd, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *f;

	if (!d)
		return failed(w, -errno, e);
	while ((f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			g_ptr_array_add(names, g_strdup(f->d_name));
	(void)closedir(d);
	if (++w->depth > DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are nested more than %d deep", DEPTH_MAX);
	if (names->len)
		qsort(names->pdata, names->len, sizeof(void *), compare);
	for (unsigned i = 0; i < names->len * 2 && r >= 0; i++)
		r = put_one(w, fd, names->pdata[i % names->len], i >= names->len, e);
	w->depth--;
	return r;
}

int bundle_record(int root, char **ret, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *hash = NULL;
	g_autoptr(GString) out = g_string_new("#      keywords: size,type,uid,gid,mode,link,nlink,"
					      "tar_time,sha256digest,xattr\n\n# .\n");
	g_autoptr(GString) path = g_string_new(NULL);
	g_autofree char *buf = g_malloc(CHUNK);
	struct walk w = { .out = out, .path = path, .buf = buf };
	struct stat st;
	int r = sha256_new(&hash, e);

	if (r < 0)
		return r;
	w.hash = hash;
	if (fstat(root, &st) < 0)
		return failed(&w, -errno, e);
	w.dev = st.st_dev;
	r = put_line(&w, root, ".", &st, e);
	if (r >= 0)
		r = put_folder(&w, root, e);
	if (r < 0)
		return r;
	g_string_append(out, "..\n");
	*ret = g_string_free(g_steal_pointer(&out), FALSE);
	return 0;
}
