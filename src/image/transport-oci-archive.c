/* SPDX-License-Identifier: MIT */
/* oci-archive:PATH[:NAME]: an OCI layout in a tar. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "image/layout.h"

static int archive_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	g_autofree char *path = NULL, *name = NULL;
	struct files *files;
	int r;

	r = layout_split(rest, &path, &name, e);
	if (r >= 0)
		r = files_tar(path, o->tmp_dir, &files, e);
	return r < 0 ? r : layout_open(c, files, name, "oci-archive", rest, NULL, ret, e);
}

static char *part_of(const struct layout_out *l)
{
	return g_strdup_printf("%s.part-%d", l->path, (int)getpid());
}

static int end(struct layout_out *l, struct err *e)
{
	g_autofree char *part = part_of(l);

	if (rename(part, l->path) < 0)
		return err_sys(e, -errno, "cannot write '%s'", l->path);
	return 0;
}

static void give_up(struct layout_out *l)
{
	g_autofree char *part = part_of(l);

	(void)unlink(part);
}

static int archive_open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	g_autofree char *path = NULL, *name = NULL, *part = NULL;
	struct layout_out *l;
	int r;

	r = layout_split(rest, &path, &name, e);
	if (r < 0)
		return r;
	l = g_new0(struct layout_out, 1);
	layout_out_init(l, c, "oci-archive", rest, o);
	l->name = g_steal_pointer(&name);
	l->path = g_steal_pointer(&path);
	l->end = end;
	part = part_of(l);
	(void)unlink(part);
	r = l->out.fd = RET_NERRNO(open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	if (r < 0) {
		r = err_sys(e, r, "cannot make '%s'", part);
	} else {
		l->abort = give_up;
		r = archive_out_folder(&l->out, "blobs", e);
		if (r >= 0)
			r = archive_out_folder(&l->out, "blobs/sha256", e);
	}
	if (r < 0) {
		transport_out_free(&l->t);
		return r;
	}
	*ret = &l->t;
	return 0;
}

const struct transport transport_oci_archive = {
	.name = "oci-archive",
	.open_in = archive_open_in,
	.open_out = archive_open_out,
};
