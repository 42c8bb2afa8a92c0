/* SPDX-License-Identifier: MIT */
/*
 * Snapshots. Internal ones lie in the disks' own qcow2 files, and the memory in that of the first disk; QEMU makes them
 * while the machine runs, qemu-img while it doesn't. External ones are new files over the disks.
 */

#include <stdio.h>
#include <string.h>
#include "engine/vm/disks.h"
#include "guest/machine-priv.h"
#include "host/steps.h"
#include "store/journal.h"

#define JOB "lodge-snapshot"

static bool is_written(const struct spec_disk *d)
{
	return d->device == DISK_DISK && d->path && !d->read_only && !d->snapshot;
}

static int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > 64 || g_ascii_isdigit(name[0]) ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
			n)
		return err_set(e, -E_INVALID,
			"invalid snapshot name '%s': only [a-zA-Z_.-][a-zA-Z0-9_.-] are allowed",
			name);
	return 0;
}

static int not_found(const struct guest *g, const char *name, struct err *e)
{
	err_set(e, -E_NOTFOUND, "guest '%s' has no snapshot '%s'", g->rec->name, name);
	err_mend(e, "'lodge vm snapshot list' lists them");
	return -E_NOTFOUND;
}

static int must_be_qcow2(const struct guest *g, struct err *e)
{
	const GPtrArray *disks = g->spec->vm->disks;
	int n = 0;

	for (guint i = 0; i < disks->len; i++) {
		const struct spec_disk *d = disks->pdata[i];

		if (!is_written(d))
			continue;
		n++;
		if (strcmp(d->format, "qcow2") == 0)
			continue;
		err_set(e, -E_UNSUPPORTED, "disk '%s' is %s, which can't hold snapshots", d->id,
			d->format);
		err_mend(e, "use --external");
		return -E_UNSUPPORTED;
	}
	if (n == 0)
		return err_set(
			e, -E_INVALID, "guest '%s' has no disk that can be written", g->rec->name);
	return 0;
}

/* --- internal, by QEMU ------------------------------------------------------------------------------------------ */

/* The top nodes of all disks that are written, as a JSON array. */
static int written_nodes(struct vm_qmp *q, const struct guest *g, json_t **ret, struct err *e)
{
	const GPtrArray *disks = g->spec->vm->disks;
	json_t *block = NULL, *nodes = json_array();
	int r = vm_qmp(q, "query-block", NULL, &block, e);

	for (guint i = 0; r >= 0 && i < disks->len; i++) {
		const struct spec_disk *d = disks->pdata[i];
		const char *node;

		if (!is_written(d))
			continue;
		node = vm_qmp_explains(q) ? d->id : machine_top_node(block, d->id, NULL);
		if (node)
			json_array_append_new(nodes, json_string(node));
		else
			r = err_set(e, -E_STATE, "QEMU has no disk '%s'", d->id);
	}
	json_decref(block);
	if (r >= 0)
		*ret = nodes;
	else
		json_decref(nodes);
	return r;
}

/* snapshot-save, -load, -delete, and waits. */
static int job(struct vm_qmp *q, const struct guest *g, const char *command, const char *name,
	struct err *e)
{
	bool memory = strcmp(command, "snapshot-delete") != 0;
	json_t *nodes = NULL, *arguments;
	int r = written_nodes(q, g, &nodes, e);

	if (r < 0)
		return r;
	arguments = json_pack("{s:s, s:s, s:O}", "job-id", JOB, "tag", name, "devices", nodes);
	if (memory)
		json_object_set(arguments, "vmstate", json_array_get(nodes, 0));
	json_decref(nodes);
	r = vm_qmp(q, command, arguments, NULL, e);
	return r < 0 ? r : vm_qmp_job(q, JOB, e);
}

/* --- the list ----------------------------------------------------------------------------------------------------- */

static json_t *find_in(json_t *list, const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (g_strcmp0(json_string_value(json_object_get(v, "name")), name) == 0)
			return v;
	return NULL;
}

static void add_row(json_t *list, const char *kind, const char *name, json_int_t created,
	json_int_t memory, const char *disk)
{
	json_t *row = find_in(list, name);

	if (!row) {
		row = json_pack("{s:s, s:s, s:I, s:I, s:[]}", "name", name, "kind", kind, "created",
			created, "memory", memory, "disks");
		json_array_append_new(list, row);
	}
	if (memory)
		json_object_set_new(row, "memory", json_integer(memory));
	json_array_append_new(json_object_get(row, "disks"), json_string(disk));
}

/* The snapshots of one disk, as QEMU and qemu-img list them. */
static void add_rows(json_t *list, const json_t *snapshots, const char *disk)
{
	const json_t *v;
	size_t i;

	json_array_foreach(snapshots, i, v) {
		const char *name = json_string_value(json_object_get(v, "name"));
		json_int_t s = json_integer_value(json_object_get(v, "date-sec"));
		json_int_t ns = json_integer_value(json_object_get(v, "date-nsec"));

		if (name)
			add_row(list, "internal", name, s * 1000000000 + ns,
				json_integer_value(json_object_get(v, "vm-state-size")), disk);
	}
}

static int list_running(struct ctx *c, struct guest *g, json_t *list, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	json_t *block = NULL;
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = vm_qmp(q, "query-block", NULL, &block, e);
	for (guint i = 0; r >= 0 && i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];
		const json_t *in = NULL;

		if (is_written(d) && machine_top_node(block, d->id, &in))
			add_rows(list, json_object_get(json_object_get(in, "image"), "snapshots"),
				d->id);
	}
	json_decref(block);
	return r;
}

/* qemu-img opens nothing but the file: its header was in a machine's hands. */
static int list_stopped(struct ctx *c, struct guest *g, json_t *list, struct err *e)
{
	g_autofree char *dir = guest_dir(c, g);

	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];
		g_autofree char *path = d->path ? vm_disk_path(dir, d->path) : NULL;
		json_t *snapshots = NULL;
		int r;

		if (!is_written(d) || strcmp(d->format, "qcow2") != 0)
			continue;
		r = vm_disk_snapshots(path, &snapshots, e);
		if (r < 0)
			return r;
		add_rows(list, snapshots, d->id);
		json_decref(snapshots);
	}
	return 0;
}

static void list_external(const struct guest *g, json_t *list)
{
	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];

		for (guint k = d->backing->len; k-- > 0;) {
			const struct spec_backing *b = d->backing->pdata[k];

			if (b->snapshot)
				add_row(list, "external", b->snapshot, b->created, 0, d->id);
		}
	}
}

static int list_all(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	json_t *list = json_array();
	int r = 0;

	if (!c->explain)
		r = machine_merge_leftover(c, g, e);
	if (r >= 0 && !c->explain)
		r = guest_is_up(g) ? list_running(c, g, list, e) : list_stopped(c, g, list, e);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	list_external(g, list);
	*ret = list;
	return 0;
}

int machine_snapshot_list(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);

	return lock < 0 ? lock : list_all(c, g, ret, e);
}

/* The row of one that must be there: borrowed from *ret_list. */
static int find_one(struct ctx *c, struct guest *g, const char *name, json_t **ret_list,
	json_t **ret, struct err *e)
{
	int r = list_all(c, g, ret_list, e);

	if (r < 0)
		return r;
	*ret = find_in(*ret_list, name);
	if (*ret || c->explain)
		return 0;
	json_decref(*ret_list);
	*ret_list = NULL;
	return not_found(g, name, e);
}

/* --- internal, by qemu-img ---------------------------------------------------------------------------------------------- */

static int run_offline(
	struct ctx *c, struct guest *g, const char *what, const char *name, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *dir = guest_dir(c, g);

	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];
		g_autofree char *path = d->path ? vm_disk_path(dir, d->path) : NULL;

		if (is_written(d))
			plan_add(p, AT_HOST, &step_disk_snapshot, path, what, name);
	}
	return journal_run(c, p, e);
}

/* --- external -------------------------------------------------------------------------------------------------------------- */

struct overlay {
	struct spec_disk *disk;
	char *file; /* name in the guest's folder */
	char *node;
};

static void overlay_free(void *p)
{
	struct overlay *o = p;

	g_free(o->file);
	g_free(o->node);
	g_free(o);
}

/* NAME.qcow2 over the disk's file, for each disk that is written. */
static GPtrArray *plan_overlays(
	struct ctx *c, const struct guest *g, const char *name, struct plan *p)
{
	g_autofree char *dir = guest_dir(c, g);
	GPtrArray *all = g_ptr_array_new_with_free_func(overlay_free);

	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		struct spec_disk *d = g->spec->vm->disks->pdata[i];
		g_autofree char *below = d->path ? vm_disk_path(dir, d->path) : NULL;
		struct overlay *o;

		if (!is_written(d))
			continue;
		o = g_new0(struct overlay, 1);
		o->disk = d;
		o->file = g_strdup_printf("%s.%s.qcow2", d->id, name);
		o->node = g_strdup_printf("%s-%s", d->id, name);
		g_ptr_array_add(all, o);
		plan_add(p, AT_HOST, &step_disk_create, plan_str(p, "%s/%s", dir, o->file), "qcow2",
			"", below, d->format);
	}
	return all;
}

static int put_overlays(struct ctx *c, struct guest *g, const GPtrArray *all, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree char *dir = guest_dir(c, g);
	json_t *nodes = NULL, *actions = json_array();
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = written_nodes(q, g, &nodes, e);
	for (guint i = 0; r >= 0 && i < all->len; i++) {
		const struct overlay *o = all->pdata[i];
		g_autofree char *path = vm_disk_path(dir, o->file), *file = NULL;

		r = machine_give_file(q, path, true, o->disk->id, &file, e);
		if (r >= 0)
			r = vm_qmp(q, "blockdev-add",
				vm_disk_node(o->disk, o->node, "qcow2", file, NULL, false), NULL,
				e);
		json_array_append_new(actions,
			json_pack("{s:s, s:{s:O, s:s}}", "type", "blockdev-snapshot", "data",
				"node", json_array_get(nodes, i), "overlay", o->node));
	}
	/* all disks at the same moment */
	if (r >= 0)
		r = vm_qmp(q, "transaction", json_pack("{s:O}", "actions", actions), NULL, e);
	for (guint i = 0; r < 0 && q && !c->explain && i < all->len; i++)
		(void)vm_qmp(q, "blockdev-del",
			json_pack("{s:s}", "node-name", ((struct overlay *)all->pdata[i])->node),
			NULL, NULL);
	json_decref(actions);
	json_decref(nodes);
	return r;
}

/* What the disk was is now below it. */
static void settle_overlay(const struct overlay *o, const char *name)
{
	struct spec_disk *d = o->disk;
	struct spec_backing *b;

	spec_disk_add_backing(d, d->path, d->format);
	b = g_ptr_array_steal_index(d->backing, d->backing->len - 1);
	b->snapshot = g_strdup(name);
	b->created = g_get_real_time() * 1000;
	b->own = d->own;
	g_ptr_array_insert(d->backing, 0, b);
	g_free(d->path);
	g_free(d->format);
	d->path = g_strdup(o->file);
	d->format = g_strdup("qcow2");
	d->own = true;
}

static int create_external(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GPtrArray) all = plan_overlays(c, g, name, p);
	struct journal_hold hold = { 0 };
	struct step_run run;
	int r;

	if (all->len == 0)
		return err_set(
			e, -E_INVALID, "guest '%s' has no disk that can be written", g->rec->name);
	r = journal_begin(c, p, &hold, e);
	if (r < 0)
		return r;
	if (!c->explain) {
		step_run_init(&run, p);
		run.trace_fd = c->trace_fd;
		r = plan_run(&run, e);
		step_run_done(&run);
	}
	if (r >= 0 && guest_is_up(g))
		r = put_overlays(c, g, all, e);
	if (r < 0) {
		journal_abort(c, p, &hold);
		return r;
	}
	for (guint i = 0; i < all->len; i++)
		settle_overlay(all->pdata[i], name);
	r = machine_keep(c, g, e);
	journal_done(&hold);
	return r;
}

/* The files above it go, and the disk goes on in a new one over it. */
static void fall_back(struct ctx *c, struct guest *g, struct spec_disk *d, const char *name,
	struct plan *p, GPtrArray *unused)
{
	g_autofree char *dir = guest_dir(c, g);
	struct spec_backing *b;
	guint n;

	for (n = 0; n < d->backing->len; n++)
		if (g_strcmp0(((struct spec_backing *)d->backing->pdata[n])->snapshot, name) == 0)
			break;
	if (n == d->backing->len)
		return;
	if (d->own)
		g_ptr_array_add(unused, vm_disk_path(dir, d->path));
	for (guint i = 0; i < n; i++) {
		const struct spec_backing *above = d->backing->pdata[i];

		if (above->own)
			g_ptr_array_add(unused, vm_disk_path(dir, above->path));
	}
	g_ptr_array_remove_range(d->backing, 0, n);
	b = d->backing->pdata[0];
	g_free(d->path);
	d->path = g_strdup_printf(
		"%s.%s.%" G_GINT64_FORMAT ".qcow2", d->id, name, g_get_real_time() / 1000000);
	d->own = true;
	plan_add(p, AT_HOST, &step_disk_create, plan_str(p, "%s/%s", dir, d->path), "qcow2", "",
		plan_str(p, b->path[0] == '/' ? "%s%s" : "%s/%s", b->path[0] == '/' ? "" : dir,
			b->path),
		b->format);
}

static bool is_going(const struct guest *g, const char *name)
{
	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];

		for (guint k = 0; k < d->backing->len; k++) {
			const struct spec_backing *b = d->backing->pdata[k];

			if (b->merging && g_strcmp0(b->snapshot, name) == 0)
				return true;
		}
	}
	return false;
}

static int revert_external(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new(), *rest = plan_new();
	g_autoptr(GPtrArray) unused = g_ptr_array_new_with_free_func(g_free);
	int r;

	if (guest_is_up(g)) {
		err_set(e, -E_STATE,
			"guest '%s' runs: an external snapshot has no memory to go back to",
			g->rec->name);
		err_mend(e, "stop it first");
		return -E_STATE;
	}
	if (is_going(g, name)) {
		err_set(e, -E_STATE, "the deletion of snapshot '%s' has begun: its state is gone",
			name);
		err_mend(e, "delete it again, to the end");
		return -E_STATE;
	}
	for (guint i = 0; i < g->spec->vm->disks->len; i++)
		fall_back(c, g, g->spec->vm->disks->pdata[i], name, p, unused);
	r = journal_run(c, p, e);
	if (r >= 0)
		r = machine_keep(c, g, e);
	/* when nothing names them any more */
	for (guint i = 0; r >= 0 && i < unused->len; i++)
		plan_add(rest, AT_HOST, &step_remove, unused->pdata[i]);
	if (r >= 0)
		r = journal_run_forward(c, rest, e);
	return r;
}

/* --- the four -------------------------------------------------------------------------------------------------------------------- */

int machine_snapshot_create(
	struct ctx *c, struct guest *g, const char *name, bool external, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	json_t *list = NULL;
	int r;

	if (lock < 0)
		return lock;
	r = check_name(name, e);
	if (r >= 0)
		r = list_all(c, g, &list, e);
	if (r >= 0 && find_in(list, name))
		r = err_set(
			e, -E_EXISTS, "guest '%s' has a snapshot '%s' already", g->rec->name, name);
	json_decref(list);
	if (r >= 0 && external)
		return create_external(c, g, name, e);
	if (r >= 0)
		r = must_be_qcow2(g, e);
	if (r < 0)
		return r;
	if (!guest_is_up(g))
		return run_offline(c, g, "create", name, e);
	r = machine_talk(c, g, &q, e);
	return r < 0 ? r : job(q, g, "snapshot-save", name, e);
}

static int revert_running(
	struct ctx *c, struct guest *g, const json_t *row, const char *name, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	int r;

	if (row && !json_integer_value(json_object_get(row, "memory"))) {
		err_set(e, -E_STATE, "snapshot '%s' is of the disks alone, and guest '%s' runs",
			name, g->rec->name);
		err_mend(e, "stop it first");
		return -E_STATE;
	}
	r = machine_talk(c, g, &q, e);
	if (r >= 0)
		r = job(q, g, "snapshot-load", name, e);
	/* QEMU leaves it standing when that fails */
	if (r < 0 && q && !c->explain)
		(void)vm_qmp(q, "cont", NULL, NULL, NULL);
	return r;
}

int machine_snapshot_revert(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	json_t *list = NULL, *row = NULL;
	int r;

	if (lock < 0)
		return lock;
	r = find_one(c, g, name, &list, &row, e);
	if (r < 0)
		return r;
	if (g_strcmp0(json_string_value(json_object_get(row, "kind")), "external") == 0)
		r = revert_external(c, g, name, e);
	else if (guest_is_up(g))
		r = revert_running(c, g, row, name, e);
	else
		r = run_offline(c, g, "apply", name, e);
	json_decref(list);
	return r;
}

int machine_snapshot_delete(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	json_t *list = NULL, *row = NULL;
	bool external;
	int r;

	if (lock < 0)
		return lock;
	r = find_one(c, g, name, &list, &row, e);
	external = r >= 0 &&
		   g_strcmp0(json_string_value(json_object_get(row, "kind")), "external") == 0;
	json_decref(list);
	if (external)
		return machine_merge(c, g, name, e);
	if (r < 0)
		return r;
	if (!guest_is_up(g))
		return run_offline(c, g, "delete", name, e);
	r = machine_talk(c, g, &q, e);
	return r < 0 ? r : job(q, g, "snapshot-delete", name, e);
}
