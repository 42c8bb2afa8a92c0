/* SPDX-License-Identifier: MIT */
/* What a new machine that boots by itself is made of. */

#include <string.h>
#include "engine/vm/disks.h"
#include "engine/vm/firmware.h"
#include "engine/vm/full.h"
#include "guest/guest-priv.h"
#include "image/image.h"
#include "image/seed.h"

const char *machine_source(const struct spec *s)
{
	for (guint i = 0; s->vm && i < s->vm->disks->len; i++) {
		const struct spec_disk *d = s->vm->disks->pdata[i];

		if (d->path && !d->own)
			return d->path;
	}
	return s->vm ? s->vm->kernel : NULL;
}

/* The image's disk stays as it is: the machine's own is an overlay over it. */
static int image_overlay(struct ctx *c, const char *ref, struct spec *s, struct err *e)
{
	_cleanup_(image_disk_freep) struct image_disk *image = NULL;
	struct spec_disk *d;
	int r = image_disk(c, ref, &image, e);

	if (r == -EACCES && c->explain) {
		image = g_new0(struct image_disk, 1);
		image->path = store_path(c, "disks/"
					    "0000000000000000.qcow2");
		image->format = g_strdup("qcow2");
		r = 0;
	}
	if (r < 0)
		return r;
	d = spec_vm_disk(s->vm, "disk0");
	if (!d || !d->own)
		return err_set(
			e, -E_INVALID, "the machine's first disk is that of the image '%s'", ref);
	if (d->size && d->size < image->size)
		return err_set(e, -E_INVALID,
			"the disk of '%s' can't be smaller than %" G_GINT64_FORMAT " MiB", ref,
			image->size >> 20);
	spec_disk_add_backing(d, image->path, image->format);
	return 0;
}

static int complete_disk(
	struct ctx *c, const struct guest_request *q, struct spec_disk *d, struct err *e)
{
	int r;

	if (d->own || !d->path)
		return 0;
	r = vm_disk_inspect(d, e);
	/* explain shows the rest also where a user may not read the file, or it isn't there yet */
	if (r < 0 && r != -E_INVALID && c->explain && d->format)
		return 0;
	if (r == 1 && q->notes)
		g_ptr_array_add(
			q->notes, g_strdup_printf("the disk '%s' is %s", d->path, d->format));
	return MIN(r, 0);
}

static int find_firmware(struct spec_vm *vm, struct err *e)
{
	g_autofree char *vars = NULL;

	if (vm->firmware != VM_UEFI || vm->firmware_code)
		return 0;
	if (vm->machine == VM_MICROVM)
		return err_set(e, -E_UNSUPPORTED, "a microvm has no UEFI");
	return vm_firmware_find(NULL, spec_vm_machines[vm->machine], &vm->firmware_code, &vars, e);
}

static bool is_hostname(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 63 && s[0] != '-' && s[n - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

int machine_fill(
	struct ctx *c, const struct guest_request *q, struct spec *s, const char *id, struct err *e)
{
	int r = 0;

	if (q->image)
		r = image_overlay(c, q->image, s, e);
	for (guint i = 0; r >= 0 && i < s->vm->disks->len; i++)
		r = complete_disk(c, q, s->vm->disks->pdata[i], e);
	if (!s->hostname && q->name && is_hostname(q->name))
		s->hostname = g_strdup(q->name);
	if (r >= 0)
		r = find_firmware(s->vm, e);
	if (r >= 0)
		r = vm_full_place(s, id, e);
	return r < 0 ? r : vm_full_check(s, e);
}

/* --- the seed --------------------------------------------------------------------------------------------------- */

int machine_seed(struct ctx *c, const struct guest_request *q, const struct spec *s, const char *id,
	char **ret_file, struct err *e)
{
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *host = g_strndup(id, 12);
	struct seed *seed = q->seed;
	int r;

	seed->instance_id = id;
	seed->hostname = s->hostname ?: host;
	r = seed_check(seed, warnings, e);
	if (r < 0)
		return r;
	for (guint i = 0; q->notes && i < warnings->len; i++)
		g_ptr_array_add(q->notes, g_strdup(warnings->pdata[i]));
	*ret_file = store_path(c, "guests/.%s." MACHINE_SEED, id);
	return c->explain ? 0 : seed_make(c, seed, *ret_file, e);
}
