/* SPDX-License-Identifier: MIT */
/* What a place of the guest is, and what the guest changed. */
#include "init/serve.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "host/path.h"
#include "host/steps.h"
#include "init/words.h"

int serve_stat(const struct serve *s, struct err *e)
{
	struct serve_place p;
	char target[PATH_MAX] = "", line[PATH_MAX + 128];
	int r = serve_find(s->path, words_has(s->flags, "follow"), &p);
	struct stat st;

	if (r == 0 && fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(e, r, "cannot find '%s'", s->path);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(p.dir, p.name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
	}
	r = snprintf(line, sizeof(line), "%o %lld %u %u %lld%09ld %s\n", (unsigned)st.st_mode,
		(long long)st.st_size, (unsigned)st.st_uid, (unsigned)st.st_gid,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, target);
	return serve_write(line, (size_t)r, e);
}

/* --- changes ---------------------------------------------------------------------------------------- */

/*
 * The upper folder, read as overlayfs writes it (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
 * directories"), held against what the layers below it have together.
 */

#define LOWER "/run/lower" /* of the initramfs: where the layers are stacked for us alone */

struct diff {
	int lower; /* root of the layers together */
	struct serve_path path;
	unsigned depth;
};

static int say(char kind, const char *path, const char *more, struct err *e)
{
	char line[2 * PATH_MAX + 8];
	size_t n = 0;

	line[n++] = kind;
	line[n++] = ' ';
	for (int part = 0; part < 2; part++) {
		for (const char *p = part ? more : path; *p && n < sizeof(line) - 4; p++) {
			if (*p == '\n' || *p == '\\')
				line[n++] = '\\';
			line[n++] = *p == '\n' ? 'n' : *p;
		}
		if (!part && *more)
			line[n++] = '/';
	}
	line[n++] = '\n';
	return serve_write(line, n, e);
}

static bool in_lower(const struct diff *d)
{
	char name[NAME_MAX + 1];
	_cleanup_close_ int dir = path_parent_in(d->lower, d->path.p, false, name);
	struct stat st;

	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An opaque folder hides all that the layers have in it. */
static int say_hidden(const struct diff *d, int upper, struct err *e)
{
	_cleanup_close_ int fd =
		path_open_in(d->lower, d->path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
	char **names = NULL;
	size_t n = 0;
	int r = 0;

	if (fd < 0 || serve_names(fd, &names, &n) < 0)
		return 0; /* it isn't a folder there */
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct stat st;

		if (fstatat(upper, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = say('D', d->path.p, names[i], e);
	}
	serve_names_free(names, n);
	return r;
}

static int walk(struct diff *d, int upper, struct err *e);

static int one(struct diff *d, int dir, const char *name, struct err *e)
{
	bool old = in_lower(d);
	_cleanup_close_ int fd = -1;
	struct stat st;
	char opaque[2];
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot look at '%s'", d->path.p);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return old ? say('D', d->path.p, "", e) : 0;
	r = say(old ? 'C' : 'A', d->path.p, "", e);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", d->path.p);
	if (old && fgetxattr(fd, "trusted.overlay.opaque", opaque, 1) == 1 && opaque[0] == 'y')
		r = say_hidden(d, fd, e);
	if (++d->depth > SERVE_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are nested deeper than %d", SERVE_DEPTH_MAX);
	if (r >= 0)
		r = walk(d, fd, e);
	d->depth--;
	return r;
}

static int walk(struct diff *d, int upper, struct err *e)
{
	char **names = NULL;
	size_t n = 0;
	int r = serve_names(upper, &names, &n);

	if (r < 0)
		return err_sys(e, r, "cannot read '%s'", d->path.p);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		size_t before = d->path.n;

		r = serve_path_add(&d->path, names[i]);
		if (r >= 0)
			r = one(d, upper, names[i], e);
		serve_path_cut(&d->path, before);
	}
	serve_names_free(names, n);
	return r;
}

const struct step *serve_overlay(const struct plan *p)
{
	for (unsigned i = 0; p && i < plan_len(p); i++)
		if (plan_step(p, i)->op == &step_overlay)
			return plan_step(p, i);
	return NULL;
}

/* The layers as one tree; overlayfs wants two of them at least. */
static int open_lower(const char *layers)
{
	char data[4096];
	const char *at = layers;

	if (strchr(layers, ':')) {
		int n = snprintf(data, sizeof(data), "lowerdir=%s", layers);

		if (n >= (int)sizeof(data))
			return -E2BIG;
		if ((mkdir(LOWER, 0700) < 0 && errno != EEXIST) || unshare(CLONE_NEWNS) < 0 ||
			mount("overlay", LOWER, "overlay", MS_RDONLY, data) < 0)
			return -errno;
		at = LOWER;
	}
	return RET_NERRNO(open(at, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int serve_changes(const struct serve *s, struct err *e)
{
	const struct step *o = serve_overlay(s->plan);
	_cleanup_close_ int upper = -1;
	struct diff d = { .lower = -1 };
	int r;

	if (!o || !o->arg[2][0])
		return err_set(
			e, -E_UNSUPPORTED, "the machine's root has no layers to compare with");
	d.lower = open_lower(o->arg[1]);
	if (d.lower < 0)
		return err_sys(e, d.lower, "cannot open the layers");
	upper = open(o->arg[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0)
		return err_sys(e, -errno, "cannot open '%s'", o->arg[2]);
	r = serve_path_add(&d.path, "/");
	return r < 0 ? r : walk(&d, upper, e);
}
