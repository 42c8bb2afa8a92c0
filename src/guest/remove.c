/* SPDX-License-Identifier: MIT */
/* The end of a guest's record and folders. */

#include <signal.h>
#include <string.h>
#include "guest/guest-priv.h"
#include "host/steps.h"
#include "store/journal.h"

/* Anonymous volumes that nobody else uses. */
static int add_volumes(
	struct ctx *c, const struct guest *g, struct plan *p, GPtrArray *names, struct err *e)
{
	struct store *s;
	int r;

	r = store_get_existing(c, &s, e);
	for (guint i = 0; r >= 0 && i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g_ptr_array_index(g->spec->mounts, i);
		_cleanup_(volume_record_freep) struct volume_record *v = NULL;
		g_autoptr(GPtrArray) users = NULL;
		g_autofree char *dir = NULL;

		if (m->kind != MOUNT_VOLUME)
			continue;
		if (store_volume_find(s, m->source, &v, NULL) < 0 || !v->anonymous)
			continue;
		r = store_users(s, "volume", m->source, &users, e);
		if (r < 0 || users->len > 1)
			continue;
		dir = store_path(c, "volumes/%s", m->source);
		plan_add(p, AT_HOST, &step_record_volume_remove, m->source);
		plan_add(p, AT_HOST, &step_remove, dir);
		g_ptr_array_add(names, g_strdup(m->source));
	}
	return r;
}

int guest_remove_locked(struct ctx *c, struct guest *g, bool volumes, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *dir = guest_dir(c, g);
	g_autofree char *run = guest_run_dir(c, g);
	g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	if (volumes && g->spec->mounts->len) {
		struct spec *fresh;

		/* as recorded: a start changes the one in memory */
		r = guest_fresh_spec(g, &fresh, e);
		if (r < 0)
			return r;
		spec_free(g->spec);
		g->spec = fresh;
	}
	/* the record first: a volume's row can't go before its user's */
	plan_add(p, AT_HOST, &step_record_guest_remove, g->rec->id);
	if (volumes)
		r = add_volumes(c, g, p, gone, e);
	if (r < 0)
		return r;
	plan_add(p, AT_HOST, &step_remove, run);
	plan_add(p, AT_HOST, &step_remove, dir);
	r = journal_run_forward(c, p, e);
	if (r >= 0) {
		guest_event(c, g, "destroy", NULL);
		await_tell_rest(c, g);
	}
	for (guint i = 0; r >= 0 && i < gone->len; i++)
		event_emit(c, "volume", "destroy", gone->pdata[i],
			json_pack("{s:s}", "driver", "local"));
	return r;
}

int guest_remove(struct ctx *c, struct guest *g, bool force, bool volumes, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r;

	if (force && guest_is_up(g)) {
		bool gone = g->rec->auto_remove;

		r = guest_kill(c, g, SIGKILL, e);
		if (r < 0 && r != -E_STATE)
			return r;
		if (gone && r >= 0 && !c->explain)
			return 0;
	}
	lock = guest_lock(c, g, e);
	if (lock < 0)
		return lock;
	if (guest_is_up(g) && !c->explain) {
		r = err_set(e, -E_STATE, "cannot remove guest '%s': it is %s", g->rec->name,
			guest_state_name(g->state));
		err_mend(e, "stop it first, or use --force");
		return r;
	}
	return guest_remove_locked(c, g, volumes, e);
}
