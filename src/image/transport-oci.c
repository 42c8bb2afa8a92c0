/* SPDX-License-Identifier: MIT */
/* oci:PATH[:NAME]: an OCI layout in a folder. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "image/layout.h"

static int oci_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	g_autofree char *path = NULL, *name = NULL;
	struct files *files;
	int r;

	r = layout_split(rest, &path, &name, e);
	if (r >= 0 && access(path, F_OK) < 0)
		r = err_set(e, -E_NOTFOUND, "open %s/index.json: no such file or directory", path);
	if (r >= 0)
		r = files_folder(path, &files, e);
	return r < 0 ? r : layout_open(c, files, name, "oci", rest, o->shared_blob_dir, ret, e);
}

static int end(struct layout_out *l, struct err *e)
{
	return 0;
}

/* What wasn't there before; nothing that is there names it. */
static void give_up(struct layout_out *l)
{
	for (unsigned i = 0; i < l->added->len; i++) {
		g_autofree char *path = layout_blob(l->added->pdata[i]);

		(void)unlinkat(l->out.dir, path, 0);
	}
	if (!l->made)
		return;
	(void)unlinkat(l->out.dir, "blobs/sha256", AT_REMOVEDIR);
	(void)unlinkat(l->out.dir, "blobs", AT_REMOVEDIR);
	(void)unlinkat(l->out.dir, "oci-layout", 0);
	(void)rmdir(l->path);
}

static int open_folder(struct layout_out *l, const char *path, struct err *e)
{
	int r;

	l->path = g_strdup(path);
	l->made = access(path, F_OK) < 0;
	if (g_mkdir_with_parents(path, 0755) < 0)
		return err_sys(e, -errno, "cannot make '%s'", path);
	r = l->lock = RET_NERRNO(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (r < 0)
		return err_sys(e, r, "cannot open '%s'", path);
	l->out.dir = l->lock;
	/* two that write to one layout would each lose the other's index */
	if (flock(l->lock, LOCK_EX) < 0 && errno != ENOTSUP && errno != ENOLCK)
		return err_sys(e, -errno, "cannot lock '%s'", path);
	r = archive_out_folder(&l->out, "blobs", e);
	return r < 0 ? r : archive_out_folder(&l->out, "blobs/sha256", e);
}

static int oci_open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	g_autofree char *path = NULL, *name = NULL;
	struct layout_out *l;
	int r;

	if (o->shared_blob_dir)
		return err_set(
			e, -E_UNSUPPORTED, "a folder for shared blobs is read, but not written");
	r = layout_split(rest, &path, &name, e);
	if (r < 0)
		return r;
	l = g_new0(struct layout_out, 1);
	layout_out_init(l, c, "oci", rest, o);
	l->name = g_steal_pointer(&name);
	l->end = end;
	l->abort = give_up;
	r = open_folder(l, path, e);
	if (r < 0) {
		transport_out_free(&l->t);
		return r;
	}
	*ret = &l->t;
	return 0;
}

static char *oci_folder(const char *rest)
{
	g_autofree char *path = NULL, *name = NULL;

	return layout_split(rest, &path, &name, NULL) < 0
		       ? NULL
		       : g_strconcat(path, "/blobs/sha256", NULL);
}

const struct transport transport_oci = {
	.name = "oci",
	.open_in = oci_open_in,
	.open_out = oci_open_out,
	.folder = oci_folder,
};
