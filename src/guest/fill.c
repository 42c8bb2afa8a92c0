/* SPDX-License-Identifier: MIT */
/*
 * An empty volume gets what the image has where it is mounted, at the guest's start. A mark in ROOT/cache
 * stands while that is done, so that a volume which a crash left half filled is filled again.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "guest/guest-priv.h"
#include "guest/volume.h"
#include "host/path.h"

struct job {
	const char *target; /* in the image */
	const char *volume; /* folder of the host */
};

static int work(int root, void *data, struct err *e)
{
	const struct job *j = data;
	struct copy_tree how = { .keep_owner = true, .contents = true };
	_cleanup_close_ int src = -1, dst = -1;
	struct stat st;
	int r;

	src = path_open_in(root, j->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
	if (src == -ENOENT || src == -ENOTDIR)
		return 0;
	if (src < 0)
		return err_sys(e, src, "cannot open '%s' of the image", j->target);
	dst = open(j->volume, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dst < 0)
		return err_sys(e, -errno, "cannot open '%s'", j->volume);
	r = copy_tree(src, ".", dst, ".", &how, e);
	if (r >= 0 && (fstat(src, &st) < 0 || fchown(dst, st.st_uid, st.st_gid) < 0 ||
			      fchmod(dst, st.st_mode & 07777) < 0))
		r = err_sys(e, -errno, "cannot set the owner of '%s'", j->volume);
	return r;
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *f;
	int n = 0;

	while (d && (f = readdir(d)))
		n++;
	if (d)
		(void)closedir(d);
	return n <= 2;
}

static int fill_one(struct ctx *c, struct guest *g, const struct spec_mount *m, struct err *e)
{
	g_autofree char *mark = store_path(c, "cache/volume-%s", m->source);
	g_autofree char *volume = volume_folder(c, m->source);
	_cleanup_close_ int lock = -1, fd = -1;
	struct job j = { m->target, volume };
	int r;

	if (!is_empty(volume) && access(mark, F_OK) < 0)
		return 0;
	if (c->explain) {
		printf("cp -a IMAGE%s/. %s   # if it is there\n", m->target, volume);
		return 0;
	}
	lock = store_lock(c, "volume", m->source, e);
	if (lock < 0)
		return lock;
	if (!is_empty(volume) && access(mark, F_OK) < 0)
		return 0; /* another guest was first */
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "cannot write '%s'", mark);
	r = layers_with_root(c, g->spec->layers, work, &j, e);
	if (r >= 0)
		(void)unlink(mark);
	return r;
}

int volumes_fill(struct ctx *c, struct guest *g, struct err *e)
{
	int r = 0;

	if (!g->spec->layers || !g->spec->layers[0] || !c->is_root)
		return 0;
	for (guint i = 0; r >= 0 && i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g_ptr_array_index(g->spec->mounts, i);

		if (m->kind == MOUNT_VOLUME && !m->nocopy)
			r = fill_one(c, g, m, e);
	}
	return r;
}
