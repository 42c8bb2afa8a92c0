/* SPDX-License-Identifier: MIT */
#include "guest/image-root.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "guest/guest-priv.h"
#include "host/steps.h"
#include "image/image.h"
#include "image/tree-diff.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/layer.h"

static char *place_of(struct ctx *c, const char *id)
{
	return store_run_path(c, "images/%s", id + strlen("sha256:"));
}

static int resolve(struct ctx *c, const char *ref, struct image_record **ret, struct err *e)
{
	int r = image_resolve(c, ref, ret, e);

	return r < 0 ? r : image_need_layers(*ret, ref, e);
}

/* --- mounting --------------------------------------------------------------------------------------------- */

static int plan_mount(
	struct ctx *c, const struct image_record *i, const char *at, struct plan *p, struct err *e)
{
	g_autofree char *mounts = store_run_path(c, "layers");
	g_autoptr(GString) lower = g_string_new(NULL);

	plan_addf(p, AT_HOST, STEP_STAY, &step_layer_points, mounts, (const char *)NULL);
	for (char **l = i->layers; *l; l++) {
		g_autofree char *image = layer_file(c, *l), *target = NULL;
		int r = layer_lower(c, *l, &target, e);

		if (r < 0)
			return r;
		if (g_str_has_prefix(target, mounts))
			plan_addf(p, AT_HOST, STEP_HOLD, &step_layer, image, target,
				(const char *)NULL);
		g_string_prepend(lower, lower->len ? ":" : "");
		g_string_prepend(lower, target);
	}
	plan_add(p, AT_HOST, &step_mkdirs, at, "755");
	if (strchr(lower->str, ':'))
		plan_add(p, AT_HOST, &step_overlay, at, lower->str, "", "", "");
	else /* overlay wants two */
		plan_add(p, AT_HOST, &step_mount, lower->str, at, "", "bind,ro", "");
	return 0;
}

int image_mount(struct ctx *c, const char *ref, char **ret_path, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *at = NULL;
	_cleanup_close_ int hold = -1;
	int r;

	r = resolve(c, ref, &i, e);
	if (r < 0)
		return r;
	if (!i->layers[0])
		return err_set(e, -E_INVALID, "the image '%s' has no layers", ref);
	at = place_of(c, i->id);
	if (access(at, F_OK) < 0 || c->explain) {
		r = hold = blob_hold(c, e);
		if (r >= 0)
			r = plan_mount(c, i, at, p, e);
		if (r >= 0)
			r = journal_run(c, p, e);
	}
	if (r < 0)
		return r;
	*ret_path = g_steal_pointer(&at);
	return 0;
}

int image_unmount(struct ctx *c, const char *ref, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *at = NULL;
	int r;

	r = resolve(c, ref, &i, e);
	if (r < 0)
		return r;
	at = place_of(c, i->id);
	if (access(at, F_OK) < 0)
		return err_set(e, -E_STATE, "the image '%s' isn't mounted", ref);
	plan_add(p, AT_HOST, &step_unmount, at);
	plan_add(p, AT_HOST, &step_remove, at);
	return journal_run_forward(c, p, e);
}

int image_mounted(struct ctx *c, GPtrArray **ret, struct err *e)
{
	g_autofree char *folder = store_run_path(c, "images");
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	struct dirent *f;
	DIR *d = opendir(folder);

	while (d && (f = readdir(d)))
		if (strlen(f->d_name) == 64)
			g_ptr_array_add(list, g_strdup_printf("sha256:%s", f->d_name));
	if (d)
		(void)closedir(d);
	*ret = list;
	return 0;
}

/* --- comparing -------------------------------------------------------------------------------------------- */

struct pair {
	struct ctx *c;
	char **layers;
	int a;
	FILE *out; /* the work is done in a child: kinds and paths, each ended by NUL */
};

static int compare(int b, void *data, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	struct pair *p = data;
	int r = tree_diff(p->a, b, 0, &list, e);

	for (unsigned i = 0; r >= 0 && i < list->len; i++) {
		const struct tree_change *x = list->pdata[i];

		(void)fprintf(
			p->out, "%c%s", x->kind == TREE_INSIDE ? TREE_CHANGED : x->kind, x->path);
		(void)fputc('\0', p->out);
	}
	return r;
}

static int with_first(int a, void *data, struct err *e)
{
	struct pair *p = data;

	p->a = a;
	return layers_with_root(p->c, p->layers, compare, p, e);
}

int image_diff(struct ctx *c, const char *ref_a, const char *ref_b,
	void (*tell)(void *data, char kind, const char *path), void *data, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *a = NULL, *b = NULL;
	struct pair p = { .c = c };
	_cleanup_close_ int hold = -1;
	char *line = NULL;
	size_t room = 0;
	int r;

	r = resolve(c, ref_a, &a, e);
	if (r >= 0)
		r = resolve(c, ref_b, &b, e);
	if (r >= 0)
		r = hold = blob_hold(c, e);
	if (r < 0)
		return r;
	p.layers = b->layers;
	p.out = tmpfile();
	if (!p.out)
		return err_set(e, -EIO, "cannot make a temporary file");
	r = layers_with_root(c, a->layers, with_first, &p, e);
	rewind(p.out);
	while (r >= 0 && getdelim(&line, &room, '\0', p.out) > 1)
		tell(data, line[0], line + 1);
	free(line);
	(void)fclose(p.out);
	return r;
}
