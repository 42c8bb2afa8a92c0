/* SPDX-License-Identifier: MIT */
/*
 * What a guest changed: its upper folder, read as overlayfs writes it (Documentation/filesystems/
 * overlayfs.rst, "whiteouts and opaque directories"), held against the image's layers.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "guest/guest-priv.h"
#include "guest/service.h"
#include "host/path.h"

enum {
	MODIFIED = 0,
	ADDED = 1,
	DELETED = 2
}; /* docker's numbers */

struct diff {
	int lower; /* the image's root */
	FILE *out; /* a JSON object a line: the work is done in a child */
	GString *path;
	unsigned depth;
	bool hidden; /* something of ours was passed over since the last folder looked */
};

#define DIFF_DEPTH_MAX 1000

static bool in_lower(const struct diff *d, struct stat *st)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = path_parent_in(d->lower, d->path->str, false, name);

	return dir >= 0 && fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void report(const struct diff *d, const char *path, int kind)
{
	json_t *j = json_pack("{s:s%, s:i}", "Path", path, strlen(path), "Kind", kind);

	if (!j) /* not UTF-8: JSON can't hold it */
		return;
	(void)json_dumpf(j, d->out, JSON_COMPACT);
	(void)fputc('\n', d->out);
	json_decref(j);
}

/* An opaque folder hides all that the layers have in it. */
static int report_hidden(struct diff *d, int upper, struct err *e)
{
	int fd = path_open_in(d->lower, d->path->str, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
	DIR *l = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;

	if (!l) {
		closep(&fd);
		return 0;
	}
	while ((f = readdir(l))) {
		struct stat st;

		if (g_str_equal(f->d_name, ".") || g_str_equal(f->d_name, "..") ||
			fstatat(upper, f->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		g_autofree char *path = g_strdup_printf("%s/%s", d->path->str, f->d_name);
		report(d, path, DELETED);
	}
	(void)closedir(l);
	return 0;
}

/*
 * What we made ourselves for the mounts that every guest has, where the image lacks it. Docker doesn't tell of
 * these either; mount points of volumes and the like it does.
 */
static bool is_ours(const char *path, const struct stat *st)
{
	static const char *const files[] = { "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
		NULL };
	static const char *const folders[] = { "/dev", "/proc", "/sys", NULL };

	return S_ISDIR(st->st_mode)
		       ? g_strv_contains(folders, path)
		       : S_ISREG(st->st_mode) && st->st_size == 0 && g_strv_contains(files, path);
}

static int walk(struct diff *d, int upper, struct err *e);

/* A folder that is here only for what is_ours(): there is nothing to tell of it. */
static bool only_hides(
	const struct diff *d, const struct stat *st, const struct stat *low, bool old)
{
	return d->hidden && (!old || (st->st_mode == low->st_mode && st->st_uid == low->st_uid &&
					     st->st_gid == low->st_gid));
}

static int one(struct diff *d, int dir, const char *name, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st, low;
	char opaque[2];
	long before, after;
	bool old, hidden;
	int r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : err_sys(e, -errno, "cannot look at '%s'", d->path->str);
	old = in_lower(d, &low);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
		if (old)
			report(d, d->path->str, DELETED);
		return 0;
	}
	if (!old && is_ours(d->path->str, &st)) {
		d->hidden = true;
		return 0;
	}
	before = ftell(d->out);
	report(d, d->path->str, old ? MODIFIED : ADDED);
	after = ftell(d->out);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", d->path->str);
	if (old && fgetxattr(fd, "trusted.overlay.opaque", opaque, 1) == 1 && opaque[0] == 'y')
		r = report_hidden(d, fd, e);
	if (++d->depth > DIFF_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are nested deeper than %d", DIFF_DEPTH_MAX);
	hidden = d->hidden;
	d->hidden = false;
	if (r >= 0)
		r = walk(d, fd, e);
	if (ftell(d->out) == after && only_hides(d, &st, &low, old))
		(void)fseek(d->out, before, SEEK_SET);
	d->hidden = hidden;
	d->depth--;
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int walk(struct diff *d, int upper, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *l = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;
	int r = 0;

	if (!l) {
		r = -errno;
		closep(&fd);
		return err_sys(e, r, "cannot read '%s'", d->path->str);
	}
	while ((f = readdir(l)))
		if (!g_str_equal(f->d_name, ".") && !g_str_equal(f->d_name, ".."))
			g_ptr_array_add(names, g_strdup(f->d_name));
	(void)closedir(l);
	g_ptr_array_sort(names, by_name);
	for (guint i = 0; r >= 0 && i < names->len; i++) {
		size_t n = d->path->len;

		g_string_append_printf(d->path, "/%s", (char *)names->pdata[i]);
		r = one(d, upper, names->pdata[i], e);
		g_string_truncate(d->path, n);
	}
	return r;
}

struct job {
	const char *upper;
	int out;
};

static int work(int root, void *data, struct err *e)
{
	const struct job *j = data;
	_cleanup_close_ int upper = open(j->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(GString) path = g_string_new("");
	struct diff d = { .lower = root, .path = path };
	int r;

	if (upper < 0)
		return err_sys(e, -errno, "cannot open '%s'", j->upper);
	d.out = fdopen(dup(j->out), "w");
	if (!d.out)
		return err_sys(e, -errno, "cannot write");
	r = walk(&d, upper, e);
	/* the last line may have been taken back */
	if (fflush(d.out) == 0 && ftruncate(j->out, ftell(d.out)) < 0 && r >= 0)
		r = err_sys(e, -errno, "cannot write");
	if (fclose(d.out) != 0 && r >= 0)
		r = err_sys(e, -errno, "cannot write");
	return r;
}

static int read_result(int fd, json_t **ret, struct err *e)
{
	FILE *f = fdopen(fd, "r");
	json_t *all = json_array(), *j;

	if (!f)
		return err_sys(e, -errno, "cannot read");
	rewind(f);
	while ((j = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)))
		json_array_append_new(all, j);
	(void)fclose(f);
	*ret = all;
	return 0;
}

int guest_diff(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	g_autofree char *upper = store_path(c, "guests/%s/upper", g->rec->id);
	struct job j = { upper, -1 };
	int r = machine_has_services(g, e);

	if (r > 0 && c->explain) {
		/* a machine that doesn't run would have to be started */
		*ret = json_array();
		return 0;
	}
	if (r != 0)
		return r < 0 ? r : machine_diff(c, g, ret, e);
	j.out = memfd_create("diff", MFD_CLOEXEC);
	if (j.out < 0)
		return err_sys(e, -errno, "cannot make a file in memory");
	if (g->spec->rootfs) {
		(void)close(j.out);
		return err_set(e, -E_UNSUPPORTED,
			"guest '%s' runs on the folder '%s' itself: there is nothing to compare",
			g->rec->name, g->spec->rootfs);
	}
	r = guest_with_root(c, g, ROOT_LOWER, work, &j, e);
	if (r < 0) {
		(void)close(j.out);
		return r;
	}
	return read_result(j.out, ret, e);
}
