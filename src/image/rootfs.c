/* SPDX-License-Identifier: MIT */
/* An image of one layer from a root file system. */
#include <string.h>
#include "image/archive-priv.h"

#define PROGRESS_STEP (8 << 20) /* bytes */

struct rootfs {
	struct layer_in *layer;
	const struct image_progress *progress;
	int64_t done, told;
};

static int push(void *arg, const void *data, size_t size, struct err *e)
{
	struct rootfs *f = arg;

	f->done += (int64_t)size;
	if (f->done - f->told >= PROGRESS_STEP) {
		f->told = f->done;
		image_tell(f->progress, "reading %d MB", (int)(f->done / 1000000));
	}
	return layer_in_write(f->layer, data, size, e);
}

static int read_layer(struct ctx *c, const struct source_input *in, const char *dir,
	const char *shown, const struct image_import_options *o, struct layer_result *ret,
	struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *l = NULL;
	struct rootfs f = { .progress = o->progress };
	int r;

	if (dir)
		return layer_import_dir(c, dir, ret, e);
	r = layer_in_new(c, &l, e);
	if (r < 0)
		return r;
	f.layer = l;
	r = source_pump(in, shown, push, &f, e);
	return r < 0 ? r : layer_in_finish(l, NULL, NULL, ret, e);
}

int rootfs_import(struct ctx *c, const struct source_input *in, const char *dir, const char *shown,
	const struct image_import_options *o, GPtrArray *ret, struct err *e)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *message =
		g_strdup_printf("Imported from %s", dir || in->fd > 2 ? shown : "-");
	g_autofree char *text = NULL, *id = NULL;
	json_t *config = json_object();
	struct image_imported *i;
	struct layer_result layer;
	const char *diff_ids[] = { layer.digest };
	struct image_new n = {
		.arch = o->arch,
		.created = g_get_real_time() * 1000,
		.comment = o->message ? o->message : message,
		.config = config,
		.diff_ids = diff_ids,
		.n_diff_ids = 1,
	};
	int r;

	/* what the user wrote first: it shouldn't fail after a gigabyte */
	r = image_full_names((const char *const *)o->names, names, e);
	g_ptr_array_add(names, NULL);
	for (char **x = o->changes; r >= 0 && x && *x; x++)
		r = image_change(config, *x, e);
	if (r >= 0)
		r = read_layer(c, in, dir, shown, o, &layer, e);
	if (r >= 0) {
		text = image_config_text(&n);
		r = image_add(
			c, text, strlen(text), NULL, 0, (const char *const *)names->pdata, &id, e);
	}
	json_decref(config);
	if (r < 0)
		return r;
	i = g_new0(struct image_imported, 1);
	i->id = g_steal_pointer(&id);
	g_ptr_array_set_free_func(names, NULL);
	i->names = (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
	g_ptr_array_add(ret, i);
	return 0;
}
