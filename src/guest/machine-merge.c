/* SPDX-License-Identifier: MIT */
/*
 * External snapshots go: the file over the snapshot's is written into it, and then isn't needed any more. Death at any
 * moment leaves disks that say the same. The chain of the record is right before the first byte is written and
 * until the last one is, since what is copied stays above; and QEMU, whose guest writes meanwhile, goes over to the lower
 * file by job-finalize only, before which it holds the guest's writes back while the record changes. A snapshot
 * that has begun to go is marked, because its own state is overwritten.
 */

#include <fcntl.h>
#include <string.h>
#include "engine/vm/disks.h"
#include "guest/machine-priv.h"
#include "host/steps.h"
#include "store/journal.h"

#define JOB	"lodge-merge"
#define LOOK_MS 50

static int snapshot_at(const struct spec_disk *d, const char *name)
{
	for (guint i = 0; i < d->backing->len; i++)
		if (g_strcmp0(((const struct spec_backing *)d->backing->pdata[i])->snapshot,
			    name) == 0)
			return (int)i;
	return -1;
}

/* The file over backing n is in it now: the chain without that. Returns its path when it is ours to remove. Caller
 * frees. */
static char *drop_above(const char *dir, struct spec_disk *d, guint n)
{
	struct spec_backing *below = d->backing->pdata[n], *above;
	char *gone = NULL;

	below->merging = false;
	g_clear_pointer(&below->snapshot, g_free);
	if (n == 0) {
		gone = d->own ? vm_disk_path(dir, d->path) : NULL;
		g_free(d->path);
		g_free(d->format);
		d->path = g_strdup(below->path);
		d->format = g_strdup(below->format);
		d->own = below->own;
		g_ptr_array_remove_index(d->backing, 0);
		return gone;
	}
	above = d->backing->pdata[n - 1];
	below->snapshot = g_steal_pointer(&above->snapshot);
	below->created = above->created;
	below->merging = above->merging;
	gone = above->own ? vm_disk_path(dir, above->path) : NULL;
	g_ptr_array_remove_index(d->backing, n - 1);
	return gone;
}

static int remove_file(struct ctx *c, const char *path, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();

	if (!path)
		return 0;
	plan_add(p, AT_HOST, &step_remove, path);
	return journal_run_forward(c, p, e);
}

/* --- while it doesn't run: qemu-img --------------------------------------------------------------------------- */

static const char *full_path(struct plan *p, const char *dir, const char *path)
{
	g_autofree char *full = vm_disk_path(dir, path);

	return plan_str(p, "%s", full);
}

static int merge_stopped(
	struct ctx *c, struct guest *g, struct spec_disk *d, guint n, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autofree char *dir = guest_dir(c, g), *gone = NULL;
	int r;

	/* above; then the chain from the file that goes downwards */
	g_ptr_array_add(
		words, (char *)(n == 0	 ? ""
				: n == 1 ? full_path(p, dir, d->path)
					 : full_path(p, dir,
						   ((struct spec_backing *)d->backing->pdata[n - 2])
							   ->path)));
	for (guint i = n; i <= d->backing->len; i++) {
		const struct spec_backing *k = i ? d->backing->pdata[i - 1] : NULL;

		g_ptr_array_add(words, (char *)(uintptr_t)full_path(p, dir, k ? k->path : d->path));
		g_ptr_array_add(
			words, (char *)(uintptr_t)plan_str(p, "%s", k ? k->format : d->format));
	}
	plan_addv(p, AT_HOST, 0, &step_disk_commit, (const char *const *)words->pdata, words->len);
	r = journal_run(c, p, e);
	if (r < 0)
		return r;
	gone = drop_above(dir, d, n);
	r = machine_keep(c, g, e);
	return r < 0 ? r : remove_file(c, gone, e);
}

/* --- while it runs: QEMU --------------------------------------------------------------------------------------- */

static bool has_node(const json_t *all, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v)
		if (g_strcmp0(json_string_value(json_object_get(v, "node-name")), name) == 0)
			return true;
	return false;
}

/* The number of the set of descriptors that the node's file is opened from; -1. */
static json_int_t fdset_of(const json_t *all, const char *node)
{
	static const char prefix[] = "/dev/fdset/";
	g_autofree char *name = g_strconcat(node, "-file", NULL);
	const json_t *v;
	size_t i;

	json_array_foreach(all, i, v) {
		const char *file = json_string_value(json_object_get(v, "file"));

		if (g_strcmp0(json_string_value(json_object_get(v, "node-name")), name) == 0 &&
			file && g_str_has_prefix(file, prefix))
			return (json_int_t)g_ascii_strtoll(file + sizeof(prefix) - 1, NULL, 10);
	}
	return -1;
}

/*
 * The nodes of a disk's chain, top first. A file that an external snapshot of this run put on top has the node
 * ID-SNAPSHOT; those of the command line are ID, ID-b0, ID-b1, ..., without those that were merged since.
 */
static int chain_nodes(struct vm_qmp *q, const struct spec_disk *d, const json_t *all,
	GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(g_free);
	bool explain = vm_qmp_explains(q);
	int fixed = -1;

	for (guint k = 0; k <= d->backing->len; k++) {
		const struct spec_backing *below =
			k < d->backing->len ? d->backing->pdata[k] : NULL;
		g_autofree char *live = fixed < 0 && below && below->snapshot
						? g_strdup_printf("%s-%s", d->id, below->snapshot)
						: NULL;

		if (live && has_node(all, live)) {
			g_ptr_array_add(nodes, g_steal_pointer(&live));
			continue;
		}
		for (int end = fixed + 2 * VM_CHAIN_MAX;; fixed++) {
			g_autofree char *name = fixed < 0 ? g_strdup(d->id)
							  : g_strdup_printf("%s-b%d", d->id, fixed);

			if (!explain && !has_node(all, name) && fixed < end)
				continue;
			g_ptr_array_add(nodes, g_steal_pointer(&name));
			fixed++;
			break;
		}
	}
	for (guint k = 0; !explain && k < nodes->len; k++)
		if (!has_node(all, nodes->pdata[k]))
			return err_set(e, -E_STATE, "QEMU has another chain of disk '%s'", d->id);
	*ret = g_steal_pointer(&nodes);
	return 0;
}

/* "running", "ready", "pending", "concluded" ...; NULL: there is none. *ret_error: why it failed. Callers free. */
static int job_status(struct vm_qmp *q, char **ret, char **ret_error, struct err *e)
{
	json_t *all = NULL, *v;
	size_t i;
	int r = vm_qmp(q, "query-jobs", NULL, &all, e);

	*ret = NULL;
	json_array_foreach(all, i, v) {
		if (g_strcmp0(json_string_value(json_object_get(v, "id")), JOB) != 0)
			continue;
		*ret = g_strdup(json_string_value(json_object_get(v, "status")));
		*ret_error = g_strdup(json_string_value(json_object_get(v, "error")));
	}
	json_decref(all);
	return r;
}

static int tell_job(struct vm_qmp *q, const char *command, struct err *e)
{
	return vm_qmp(q, command, json_pack("{s:s}", "id", JOB), NULL, e);
}

/* The others of the set go: QEMU has copies of those that it uses, and with the last one a file's locks are gone. It would
 * else find those of the descriptor that it went away from. */
static void forget_others(struct vm_qmp *q, json_int_t set, json_int_t keep)
{
	json_t *sets = NULL, *v, *f;
	size_t i, k;

	if (vm_qmp(q, "query-fdsets", NULL, &sets, NULL) < 0)
		return;
	json_array_foreach(sets, i, v) {
		if (json_integer_value(json_object_get(v, "fdset-id")) != set)
			continue;
		json_array_foreach(json_object_get(v, "fds"), k, f) {
			json_int_t fd = json_integer_value(json_object_get(f, "fd"));

			if (fd != keep)
				(void)vm_qmp(q, "remove-fd",
					json_pack("{s:I, s:I}", "fdset-id", set, "fd", fd), NULL,
					NULL);
		}
	}
	json_decref(sets);
}

/* The lower file is opened for reading only when it is a lower one: QEMU gets it for writing instead. */
static int give_lower(struct vm_qmp *q, const char *path, const struct spec_disk *d, json_int_t set,
	struct err *e)
{
	_cleanup_close_ int fd = -1;
	g_autofree char *unused = NULL;
	json_t *got = NULL;
	int r;

	if (vm_qmp_explains(q))
		return machine_give_file(q, path, true, d->id, &unused, e);
	if (set < 0)
		return err_set(
			e, -E_STATE, "QEMU has the disk '%s' otherwise than we gave it", d->id);
	fd = RET_NERRNO(open(path, O_RDWR | O_CLOEXEC));
	if (fd < 0)
		return err_sys(e, fd, "cannot open '%s'", path);
	r = vm_qmp_fds(q, "add-fd", json_pack("{s:I, s:s}", "fdset-id", set, "opaque", d->id), &fd,
		1, &got, e);
	if (r >= 0)
		forget_others(q, set, json_integer_value(json_object_get(got, "fd")));
	json_decref(got);
	return r;
}

struct merge {
	struct ctx *c;
	struct guest *g;
	struct spec_disk *d;
	guint n;      /* the backing that the file over it goes into */
	char *gone;   /* that file, when it is ours */
	bool settled; /* the record has the shorter chain */
};

static int begin_job(struct vm_qmp *q, const struct merge *m, const GPtrArray *nodes,
	const json_t *all, struct err *e)
{
	const struct spec_backing *below = m->d->backing->pdata[m->n];
	g_autofree char *dir = guest_dir(m->c, m->g), *path = vm_disk_path(dir, below->path);
	const char *base = nodes->pdata[m->n + 1];
	json_t *arguments = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "job-id", JOB, "device",
		nodes->pdata[0], "top-node", nodes->pdata[m->n], "base-node", base, "auto-finalize",
		0, "auto-dismiss", 0);
	int r = give_lower(q, path, m->d, fdset_of(all, base), e);

	/* what the header of the file above is told */
	if (m->n > 0)
		json_object_set_new(arguments, "backing-file", json_string(path));
	if (r >= 0)
		return vm_qmp(q, "block-commit", arguments, NULL, e);
	json_decref(arguments);
	return r;
}

static int settle(struct merge *m, struct err *e)
{
	g_autofree char *dir = guest_dir(m->c, m->g);

	if (m->settled)
		return 0;
	m->gone = drop_above(dir, m->d, m->n);
	m->settled = true;
	return machine_keep(m->c, m->g, e);
}

/* Until it is over. The record changes while both files are the same and the guest can't write. */
static int end_job(struct vm_qmp *q, struct merge *m, struct err *e)
{
	for (;;) {
		g_autofree char *status = NULL, *error = NULL;
		int r = job_status(q, &status, &error, e);

		if (r < 0)
			return r;
		if (!status)
			return err_set(e, -E_NOTFOUND, "QEMU has lost its job '%s'", JOB);
		if (strcmp(status, "ready") == 0) {
			r = tell_job(q, "job-complete", e);
		} else if (strcmp(status, "pending") == 0) {
			r = settle(m, e);
			if (r >= 0)
				r = tell_job(q, "job-finalize", e);
		} else if (strcmp(status, "concluded") == 0) {
			(void)tell_job(q, "job-dismiss", NULL);
			return error ? err_set(e, -EIO, "QEMU: %s", error) : 0;
		}
		if (r < 0)
			return r;
		g_usleep(LOOK_MS * 1000);
	}
}

/* A command that was killed between its record and QEMU's last step left the job to us. */
static int end_leftover(struct vm_qmp *q, const struct guest *g, bool *ret_there, struct err *e)
{
	struct merge none = { .settled = true };
	g_autofree char *status = NULL, *error = NULL;
	int r = job_status(q, &status, &error, e);

	*ret_there = status != NULL;
	if (r < 0 || !status)
		return r;
	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		const struct spec_disk *d = g->spec->vm->disks->pdata[i];

		for (guint k = 0; k < d->backing->len; k++)
			if (((const struct spec_backing *)d->backing->pdata[k])->merging)
				return 0; /* who goes on with that snapshot goes on with the job */
	}
	*ret_there = false;
	return end_job(q, &none, e);
}

static int explain_job(struct vm_qmp *q, struct merge *m, struct err *e)
{
	int r = m->n == 0 ? tell_job(q, "job-complete", e) : 0;

	if (r >= 0)
		r = settle(m, e);
	if (r >= 0)
		r = tell_job(q, "job-finalize", e);
	return r < 0 ? r : tell_job(q, "job-dismiss", e);
}

static int merge_running(
	struct ctx *c, struct guest *g, struct spec_disk *d, guint n, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autoptr(GPtrArray) nodes = NULL;
	struct merge m = { .c = c, .g = g, .d = d, .n = n };
	g_autofree char *node = NULL;
	json_t *all = NULL;
	json_int_t set = -1;
	bool there = false;
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = vm_qmp(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &all, e);
	if (r >= 0)
		r = chain_nodes(q, d, all, &nodes, e);
	if (r >= 0 && !c->explain)
		r = end_leftover(q, g, &there, e);
	if (r >= 0) {
		node = g_strdup(nodes->pdata[n]);
		set = fdset_of(all, node);
	}
	if (r >= 0 && !there)
		r = begin_job(q, &m, nodes, all, e);
	if (r >= 0)
		r = c->explain ? explain_job(q, &m, e) : end_job(q, &m, e);
	json_decref(all);
	if (r >= 0 && m.settled) {
		(void)vm_qmp(q, "blockdev-del", json_pack("{s:s}", "node-name", node), NULL, NULL);
		if (set >= 0) /* its room on the host's disk is QEMU's as long as it has it open */
			(void)vm_qmp(
				q, "remove-fd", json_pack("{s:I}", "fdset-id", set), NULL, NULL);
		r = remove_file(c, m.gone, e);
	}
	g_free(m.gone);
	return r;
}

/* --- both ------------------------------------------------------------------------------------------------------- */

int machine_merge_leftover(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	bool there;
	int r;

	if (!guest_is_up(g) || c->explain)
		return 0;
	r = machine_talk(c, g, &q, e);
	return r < 0 ? r : end_leftover(q, g, &there, e);
}

int machine_merge(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	int r = 0;

	/* its state is gone from now on, whatever happens */
	for (guint i = 0; i < g->spec->vm->disks->len; i++) {
		struct spec_disk *d = g->spec->vm->disks->pdata[i];
		int n = snapshot_at(d, name);

		if (n >= 0)
			((struct spec_backing *)d->backing->pdata[n])->merging = true;
	}
	r = machine_keep(c, g, e);
	for (guint i = 0; r >= 0 && i < g->spec->vm->disks->len; i++) {
		struct spec_disk *d = g->spec->vm->disks->pdata[i];
		int n = snapshot_at(d, name);

		if (n >= 0)
			r = guest_is_up(g) ? merge_running(c, g, d, (guint)n, e)
					   : merge_stopped(c, g, d, (guint)n, e);
	}
	return r;
}
