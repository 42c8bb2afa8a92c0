/* SPDX-License-Identifier: MIT */
/* Devices that come and go, memory, processors. */

#include <stdio.h>
#include <string.h>
#include "engine/vm/disks.h"
#include "guest/machine-priv.h"
#include "host/steps.h"
#include "store/journal.h"

#define MIB (INT64_C(1) << 20)

static json_t *with_id(const char *id)
{
	return json_pack("{s:s}", "id", id);
}

static int must_plug(const struct guest *g, const char *why, const char *id, struct err *e)
{
	if (!why)
		return 0;
	err_set(e, -E_UNSUPPORTED, "'%s' can't be changed while guest '%s' runs: %s", id,
		g->rec->name, why);
	err_mend(e, "stop it first");
	return -E_UNSUPPORTED;
}

/* --- disks: in ------------------------------------------------------------------------------------------------- */

/* All nodes of the disk, the lowest first; name: that of the top one. */
static int add_nodes(struct vm_qmp *q, const char *dir, const struct spec_disk *d, const char *name,
	struct err *e)
{
	bool read_only = d->read_only || d->device == DISK_CDROM;
	g_autofree char *below = NULL;
	int r = 0;

	for (guint i = d->backing->len + 1; r >= 0 && i-- > 0;) {
		const struct spec_backing *k = i > 0 ? d->backing->pdata[i - 1] : NULL;
		g_autofree char *path = vm_disk_path(dir, k ? k->path : d->path), *file = NULL;
		g_autofree char *node = k ? g_strdup_printf("%s-b%u", name, i - 1) : g_strdup(name);

		r = machine_give_file(q, path, !k && !read_only, d->id, &file, e);
		if (r >= 0)
			r = vm_qmp(q, "blockdev-add",
				vm_disk_node(d, node, k ? k->format : d->format, file, below,
					k || read_only),
				NULL, e);
		g_free(below);
		below = g_steal_pointer(&node);
	}
	return r;
}

static int plug_disk(struct ctx *c, struct guest *g, const struct spec_disk *d, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree char *dir = guest_dir(c, g);
	int r;

	r = must_plug(g, vm_disk_fixed(g->spec->vm, d), d->id, e);
	if (r >= 0 && !c->explain)
		r = vm_disk_check(d, dir, e);
	if (r >= 0)
		r = machine_talk(c, g, &q, e);
	if (r < 0)
		return r;
	if (d->path)
		r = add_nodes(q, dir, d, d->id, e);
	if (r >= 0)
		r = vm_qmp(q, "device_add", vm_disk_device(g->spec->vm, d), NULL, e);
	if (r < 0 && !c->explain) {
		machine_forget_nodes(q, d->id);
		machine_forget_files(q, d->id);
	}
	return r;
}

/* A name that was made up without knowing the others is made up again. */
static void settle_id(struct spec_vm *vm, struct spec_disk *d)
{
	g_autofree char *prefix = g_strdup(d->id), *id = NULL;

	if (spec_vm_disk(vm, d->id) == d)
		return;
	prefix[strcspn(prefix, "0123456789")] = '\0';
	if (!*prefix || strcmp(prefix, d->id) == 0)
		return; /* a user's: vm_full_check() says that there are two */
	id = spec_vm_disk_id(vm, prefix);
	g_free(d->id);
	d->id = g_steal_pointer(&id);
	if (d->own) {
		g_free(d->path);
		d->path = g_strdup_printf("%s.%s", d->id, d->format);
	}
}

static struct spec_disk *take_over(struct spec_vm *vm, const struct spec_disk *w)
{
	struct spec_disk *d = spec_vm_add_disk(vm, w->id, w->path, w->format);

	d->device = w->device;
	d->bus = w->bus;
	d->cache = w->cache;
	d->read_only = w->read_only;
	d->discard = w->discard;
	d->snapshot = w->snapshot;
	d->own = w->own;
	d->size = w->size;
	d->boot = w->boot;
	d->serial = g_strdup(w->serial);
	return d;
}

static int make_own_file(
	struct ctx *c, const struct guest *g, const struct spec_disk *d, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *dir = guest_dir(c, g);

	plan_add(p, AT_HOST, &step_disk_create, plan_str(p, "%s/%s", dir, d->path), d->format,
		plan_str(p, "%" G_GINT64_FORMAT, d->size), "", "");
	return journal_run(c, p, e);
}

static int drop_own_file(struct ctx *c, const struct guest *g, const char *name, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *dir = guest_dir(c, g), *path = vm_disk_path(dir, name);

	plan_add(p, AT_HOST, &step_remove, path);
	return journal_run_forward(c, p, e);
}

int machine_attach_disk(struct ctx *c, struct guest *g, const struct spec_disk *wanted,
	GPtrArray *notes, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	struct spec_disk *d;
	int r;

	if (lock < 0)
		return lock;
	d = take_over(g->spec->vm, wanted);
	settle_id(g->spec->vm, d);
	r = d->own || !d->path ? 0 : vm_disk_inspect(d, e);
	if (r == 1 && notes)
		g_ptr_array_add(notes, g_strdup_printf("the disk '%s' is %s", d->path, d->format));
	if (r >= 0)
		r = vm_full_place(g->spec, g->rec->id, e);
	if (r >= 0)
		r = vm_full_check(g->spec, e);
	if (r >= 0 && d->own)
		r = make_own_file(c, g, d, e);
	if (r < 0)
		return r;
	r = guest_is_up(g) ? plug_disk(c, g, d, e) : 0;
	if (r >= 0)
		r = machine_keep(c, g, e);
	if (r < 0 && d->own && !c->explain)
		(void)drop_own_file(c, g, d->path, NULL);
	return r;
}

/* --- disks: out -------------------------------------------------------------------------------------------------- */

int machine_unplug(struct vm_qmp *q, const struct guest *g, const char *device, struct err *e)
{
	int r = vm_qmp_listen(q, e);

	if (r >= 0)
		r = vm_qmp(q, "device_del", with_id(device), NULL, e);
	/* asked before, and the guest did it meanwhile or is still at it */
	if (r == -E_STATE)
		r = 0;
	if (r >= 0)
		r = vm_qmp_wait(q, "DEVICE_DELETED", "device", device,
			MACHINE_UNPLUG_TIMEOUT * 1000, NULL, e);
	if (r == -ETIMEDOUT) {
		err_set(e, r, "guest '%s' didn't let go of '%s' in %d s", g->rec->name, device,
			MACHINE_UNPLUG_TIMEOUT);
		err_mend(e, "its system must be up for that; try again, or stop it first");
	}
	return r;
}

static int unplug_disk(struct ctx *c, struct guest *g, const struct spec_disk *d, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r = must_plug(g, vm_disk_fixed(g->spec->vm, d), d->id, e);

	if (r >= 0)
		r = machine_talk(c, g, &q, e);
	if (r >= 0)
		r = machine_unplug(q, g, d->id, e);
	if (r < 0)
		return r;
	if (c->explain)
		return vm_qmp(q, "blockdev-del", json_pack("{s:s}", "node-name", d->id), NULL, e);
	machine_forget_nodes(q, d->id);
	machine_forget_files(q, d->id);
	return 0;
}

int machine_detach_disk(struct ctx *c, struct guest *g, const char *id, bool discard, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	g_autofree char *own = NULL;
	struct spec_disk *d;
	int r;

	if (lock < 0)
		return lock;
	d = spec_vm_disk(g->spec->vm, id);
	if (!d) {
		err_set(e, -E_NOTFOUND, "guest '%s' has no disk '%s'", g->rec->name, id);
		err_mend(e, "'lodge inspect' lists them");
		return -E_NOTFOUND;
	}
	r = guest_is_up(g) ? unplug_disk(c, g, d, e) : 0;
	if (r < 0)
		return r;
	own = discard && d->own ? g_strdup(d->path) : NULL;
	spec_vm_remove_disk(g->spec->vm, id);
	r = machine_keep(c, g, e);
	return r >= 0 && own ? drop_own_file(c, g, own, e) : r;
}

/* --- media ---------------------------------------------------------------------------------------------------------- */

static struct spec_disk *find_drive(const struct guest *g, const char *id, struct err *e)
{
	struct spec_disk *found = id ? spec_vm_disk(g->spec->vm, id) : NULL;
	const GPtrArray *disks = g->spec->vm->disks;
	int n = found != NULL;

	for (guint i = 0; !id && i < disks->len; i++) {
		struct spec_disk *d = disks->pdata[i];

		if (d->device != DISK_CDROM)
			continue;
		found = d;
		n++;
	}
	if (n == 1 && found->device != DISK_DISK)
		return found;
	if (n > 1)
		err_set(e, -E_INVALID, "guest '%s' has %d CD drives", g->rec->name, n);
	else if (id)
		err_set(e, -E_NOTFOUND, "guest '%s' has no drive '%s'", g->rec->name, id);
	else
		err_set(e, -E_NOTFOUND, "guest '%s' has no CD drive", g->rec->name);
	if (n > 1)
		err_mend(e, "name one");
	return NULL;
}

static int open_tray(struct vm_qmp *q, const struct spec_disk *d, bool force, struct err *e)
{
	int r = vm_qmp(q, "blockdev-open-tray",
		json_pack("{s:s, s:b}", "id", d->id, "force", force), NULL, e);

	if (r < 0)
		return r;
	r = vm_qmp(q, "blockdev-remove-medium", with_id(d->id), NULL, e);
	if (r == -E_INVALID && d->device == DISK_CDROM && !force) {
		err_set(e, -E_STATE, "the guest holds the CD in '%s'", d->id);
		err_mend(e, "eject it in there, or use --force");
		r = -E_STATE;
	}
	return r;
}

/* A name that the last medium's node, which may still be there, hasn't got. */
static char *free_node(struct vm_qmp *q, const char *id)
{
	json_t *all = NULL;
	char *name = NULL;

	(void)vm_qmp(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &all, NULL);
	for (unsigned n = 1; !name; n++) {
		json_t *v;
		size_t i;

		name = g_strdup_printf("%s-m%u", id, n);
		json_array_foreach(all, i, v)
			if (g_strcmp0(json_string_value(json_object_get(v, "node-name")), name) ==
				0)
				g_clear_pointer(&name, g_free);
	}
	json_decref(all);
	return name;
}

static int swap_medium(struct ctx *c, struct guest *g, const struct spec_disk *d, bool had,
	bool force, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree char *node = NULL, *dir = guest_dir(c, g);
	int r = machine_talk(c, g, &q, e);

	if (r >= 0 && had)
		r = open_tray(q, d, force, e);
	else if (r >= 0)
		r = vm_qmp(q, "blockdev-open-tray", with_id(d->id), NULL, e);
	if (r < 0)
		return r;
	if (!c->explain) {
		machine_forget_nodes(q, d->id);
		machine_forget_files(q, d->id);
	}
	if (!d->path)
		return 0;
	node = free_node(q, d->id);
	r = add_nodes(q, dir, d, node, e);
	if (r >= 0)
		r = vm_qmp(q, "blockdev-insert-medium",
			json_pack("{s:s, s:s}", "id", d->id, "node-name", node), NULL, e);
	if (r >= 0)
		r = vm_qmp(q, "blockdev-close-tray", with_id(d->id), NULL, e);
	return r;
}

int machine_change_medium(
	struct ctx *c, struct guest *g, const char *id, const char *path, bool force, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	struct spec_disk *d;
	bool had;
	int r;

	if (lock < 0)
		return lock;
	d = find_drive(g, id, e);
	if (!d)
		return e ? e->code : -E_NOTFOUND;
	had = d->path != NULL;
	if (!had && !path)
		return 0;
	g_free(d->path);
	g_free(d->format);
	d->path = g_strdup(path);
	d->format = NULL;
	g_ptr_array_set_size(d->backing, 0);
	r = path ? vm_disk_inspect(d, e) : 0;
	if (r >= 0)
		r = vm_full_check(g->spec, e);
	if (r >= 0 && guest_is_up(g))
		r = swap_medium(c, g, d, had, force, e);
	return r < 0 ? r : machine_keep(c, g, e);
}

/* --- memory, processors ------------------------------------------------------------------------------------------------ */

int machine_set_memory(struct ctx *c, struct guest *g, int64_t bytes, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int64_t all;
	int r;

	if (lock < 0)
		return lock;
	all = g->spec->limits.memory ?: VM_FULL_MEMORY;
	if (g->spec->vm->no_balloon)
		return err_set(e, -E_UNSUPPORTED, "guest '%s' has no memory balloon", g->rec->name);
	if (bytes < VM_FULL_MEMORY_MIN || bytes > all)
		return err_set(e, -E_LIMIT,
			"guest '%s' can have %d to %" G_GINT64_FORMAT
			" MiB of memory while it is as it is",
			g->rec->name, (int)(VM_FULL_MEMORY_MIN / MIB), all / MIB);
	if (guest_is_up(g)) {
		r = machine_talk(c, g, &q, e);
		if (r >= 0)
			r = vm_qmp(q, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes),
				NULL, e);
		if (r < 0)
			return r;
	}
	g->spec->vm->balloon = bytes == all ? 0 : bytes;
	return machine_keep(c, g, e);
}

/* The first place of a processor that is empty (plug) or plugged, from the end. NULL: none. Borrowed. */
static const json_t *cpu_place(const json_t *all, bool plug)
{
	size_t n = json_array_size(all);

	/* QEMU lists the highest first */
	for (size_t k = 0; k < n; k++) {
		const json_t *v = json_array_get(all, plug ? n - 1 - k : k);
		const char *path = json_string_value(json_object_get(v, "qom-path"));

		if (plug ? !path : path && g_str_has_prefix(path, "/machine/peripheral/"))
			return v;
	}
	return NULL;
}

static int count_cpus(const json_t *all)
{
	const json_t *v;
	size_t i;
	int n = 0;

	json_array_foreach(all, i, v)
		n += json_object_get(v, "qom-path") != NULL;
	return n;
}

static int plug_cpu(struct vm_qmp *q, const json_t *all, int number, struct err *e)
{
	const json_t *place = cpu_place(all, true);
	json_t *device = json_deep_copy(json_object_get(place, "props"));
	g_autofree char *id = g_strdup_printf("cpu-%d", number);

	if (!place || !json_is_object(device)) {
		json_decref(device);
		err_set(e, -E_LIMIT, "the machine has no place for another processor");
		err_mend(e, "make it with more --cpus-max");
		return -E_LIMIT;
	}
	json_object_set_new(device, "id", json_string(id));
	json_object_set(device, "driver", json_object_get(place, "type"));
	return vm_qmp(q, "device_add", device, NULL, e);
}

static int unplug_cpu(struct vm_qmp *q, const struct guest *g, const json_t *all, struct err *e)
{
	const char *path = json_string_value(json_object_get(cpu_place(all, false), "qom-path"));

	if (!path) {
		err_set(e, -E_UNSUPPORTED,
			"the processors that guest '%s' started with can't be taken out",
			g->rec->name);
		err_mend(e, "stop it first");
		return -E_UNSUPPORTED;
	}
	return machine_unplug(q, g, strrchr(path, '/') + 1, e);
}

static int plug_cpus(struct ctx *c, struct guest *g, int wanted, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r = machine_talk(c, g, &q, e), have = 0;

	if (r >= 0 && c->explain)
		return vm_qmp(q, "device_add",
			json_pack("{s:s, s:s, s:i}", "driver", "MODEL-x86_64-cpu", "id", "cpu-N",
				"socket-id", wanted - 1),
			NULL, e);
	while (r >= 0 && have != wanted) {
		json_t *all = NULL;

		r = vm_qmp(q, "query-hotpluggable-cpus", NULL, &all, e);
		have = count_cpus(all);
		if (r >= 0 && have < wanted)
			r = plug_cpu(q, all, have, e);
		else if (r >= 0 && have > wanted)
			r = unplug_cpu(q, g, all, e);
		json_decref(all);
	}
	return r;
}

int machine_set_vcpus(struct ctx *c, struct guest *g, int n, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	struct spec_vm *vm;
	int r, most;

	if (lock < 0)
		return lock;
	vm = g->spec->vm;
	most = MAX(vm->vcpus_max, MAX(vm->vcpus, 1));
	if (n < 1 || (guest_is_up(g) && n > most) || n > SPEC_VM_VCPUS_MAX) {
		err_set(e, -E_LIMIT, "guest '%s' can have 1 to %d processors", g->rec->name, most);
		err_mend(e, "make it with more --cpus-max");
		return -E_LIMIT;
	}
	r = guest_is_up(g) ? plug_cpus(c, g, n, e) : 0;
	if (r < 0)
		return r;
	vm->vcpus = n;
	if (vm->vcpus_max && vm->vcpus_max < n)
		vm->vcpus_max = n;
	/* as many as it was made for stay the most */
	if (!vm->vcpus_max && most > n)
		vm->vcpus_max = most;
	return machine_keep(c, g, e);
}
