/* SPDX-License-Identifier: MIT */
/* Finding guests: a record, and the state that its files and processes tell. */

#include "guest/guest-priv.h"
#include "guest/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "host/spawn.h"

void guest_free(struct guest *g)
{
	if (!g)
		return;
	guest_record_free(g->rec);
	spec_free(g->spec);
	g_free(g->error);
	g_free(g);
}

void guest_freep(struct guest **g)
{
	guest_free(*g);
}

char *guest_dir(struct ctx *c, const struct guest *g)
{
	return store_path(c, "guests/%s", g->rec->id);
}

char *guest_run_dir(struct ctx *c, const struct guest *g)
{
	return store_run_path(c, "guests/%s", g->rec->id);
}

int guest_engine(const char *name, const struct engine_ops **ret, struct err *e)
{
	static const struct engine_ops *const engines[] = { &oci_engine, &vm_engine, &test_engine };

	for (size_t i = 0; i < ELEMENTSOF(engines); i++)
		if (g_str_equal(engines[i]->name, name)) {
			*ret = engines[i];
			return 0;
		}
	return err_set(e, -E_UNSUPPORTED, "no such engine '%s'", name);
}

int engine_at_init(struct ctx *c, const struct guest *g, struct engine_at *ret, struct err *e)
{
	int r;

	*ret = (struct engine_at){ 0 };
	r = guest_engine(g->rec->engine, &ret->ops, e);
	if (r < 0)
		return r;
	ret->dir = guest_dir(c, g);
	ret->run_dir = guest_run_dir(c, g);
	ret->s = (struct engine_start){
		.id = g->rec->id,
		.name = g->rec->name,
		.spec = g->spec,
		.dir = ret->dir,
		.run_dir = ret->run_dir,
	};
	return 0;
}

void engine_at_clear(struct engine_at *a)
{
	g_free(a->dir);
	g_free(a->run_dir);
}

int guest_fresh_spec(const struct guest *g, struct spec **ret, struct err *e)
{
	json_error_t je;
	json_t *j = json_loads(g->rec->spec, JSON_REJECT_DUPLICATES, &je);
	int r;

	if (!j)
		r = err_set(e, -E_CORRUPT, "the record of guest '%s' is broken: %s", g->rec->name,
			je.text);
	else
		r = spec_from_json(j, ret, e);
	json_decref(j);
	return r;
}

static int decode_spec(struct guest *g, struct err *e)
{
	spec_free(g->spec);
	g->spec = NULL;
	return guest_fresh_spec(g, &g->spec, e);
}

/* What is left of a guest whose monitor and processes are gone is undone by whoever sees it first. */
static void clean_if_dead(struct ctx *c, struct guest *g)
{
	_cleanup_close_ int lock = -1;

	if (g->state != GUEST_EXITED || !g->unmonitored || c->explain)
		return;
	lock = store_lock(c, "guest", g->rec->id, NULL);
	if (lock < 0)
		return;
	guest_refresh(c, g);
	if (g->state == GUEST_EXITED && g->unmonitored)
		(void)guest_clean(c, g, NULL);
}

/* A guest that goes on without its monitor is answered DHCP and DNS again by a process that does nothing else
 * (monitor/standin.c). A machine from an image asks through its monitor, so there it can't be. */
static void answer_again(struct ctx *c, const struct guest *g)
{
	g_autofree char *run = NULL, *dir = NULL, *program = NULL, *path = NULL;
	g_autoptr(GPtrArray) argv = NULL;
	_cleanup_close_ int lock = -1;

	if (!guest_is_up(g) || !g->unmonitored || c->explain || !c->is_root || !g->spec ||
		g->spec->networks->len == 0 || (g->spec->vm && !g->spec->vm->full))
		return;
	run = guest_run_dir(c, g);
	path = g_build_filename(run, "stand-in", NULL);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return;
	dir = guest_dir(c, g);
	program = ctx_program(c, "lodge-monitor");
	argv = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(argv, g_strdup("lodge-monitor"));
	g_ptr_array_add(argv, g_strdup_printf("id=%s", g->rec->id));
	g_ptr_array_add(argv, g_strdup_printf("dir=%s", dir));
	g_ptr_array_add(argv, g_strdup_printf("run=%s", run));
	if (g->spec->vm)
		g_ptr_array_add(argv, g_strdup("machine=full"));
	g_ptr_array_add(argv, g_strdup_printf("stand-in=%d", (int)g->pid));
	g_ptr_array_add(argv, NULL);
	/* the lock is its descriptor's, and it holds that as long as it lives */
	(void)spawn_protected(program, (char *const *)argv->pdata, lock, -1, NULL);
}

int guest_get(struct ctx *c, const char *realm, const char *ref, struct guest **ret, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = g_new0(struct guest, 1);
	struct store *s;
	int r;

	r = store_get_existing(c, &s, e);
	if (r >= 0)
		r = store_guest_find(s, realm, ref, &g->rec, e);
	if (r == -E_NOTFOUND) {
		r = err_set(e, r, "no such guest '%s'", ref);
		err_mend(e, "`lodge ls -a` lists all");
		return r;
	}
	if (r >= 0)
		r = decode_spec(g, e);
	if (r < 0)
		return r;
	guest_refresh(c, g);
	clean_if_dead(c, g);
	answer_again(c, g);
	*ret = g_steal_pointer(&g);
	return 0;
}

int guest_list(struct ctx *c, const char *realm, unsigned flags, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)guest_free);
	g_autoptr(GPtrArray) records = NULL;
	struct store *s;
	int r;

	r = store_get_existing(c, &s, e);
	if (r == -E_NOTFOUND) {
		*ret = g_steal_pointer(&list);
		return 0;
	}
	if (r >= 0)
		r = store_guest_list(s, realm, &records, e);
	if (r < 0)
		return r;
	for (guint i = 0; i < records->len; i++) {
		struct guest *g = g_new0(struct guest, 1);

		g->rec = g_steal_pointer(&g_ptr_array_index(records, i));
		g_ptr_array_add(list, g);
		if (flags & GUEST_WITH_SPEC) {
			r = decode_spec(g, e);
			if (r < 0)
				return r;
		}
		guest_refresh(c, g);
		clean_if_dead(c, g);
		answer_again(c, g);
	}
	*ret = g_steal_pointer(&list);
	return 0;
}

int guest_must_run(const struct guest *g, struct err *e)
{
	if (guest_is_up(g))
		return 0;
	return err_set(e, -E_STATE, "guest '%s' is not running", g->rec->name);
}

int guest_lock(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct guest_record *rec = NULL;
	struct store *s;
	int r;

	if (c->explain)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	lock = store_lock(c, "guest", g->rec->id, e);
	if (lock < 0)
		return lock;
	r = store_get(c, &s, e);
	if (r >= 0)
		r = store_guest_find(s, NULL, g->rec->id, &rec, e);
	if (r == -E_NOTFOUND)
		return err_set(e, r, "no such guest '%s'", g->rec->name);
	if (r < 0)
		return r;
	guest_record_free(g->rec);
	g->rec = rec;
	r = decode_spec(g, e);
	if (r < 0)
		return r;
	guest_refresh(c, g);
	if (g->state == GUEST_EXITED && g->unmonitored)
		(void)guest_clean(c, g, NULL);
	(void)machine_sweep(c, g);
	return TAKE_FD(lock);
}

int guest_clean(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	g_autofree char *kept = NULL, *run = NULL, *text = NULL;
	struct guest_status s = { 0 };
	int r;

	if (c->explain)
		return 0;
	r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	r = a.ops->clean ? a.ops->clean(c, &a.s, 0, e) : 0;
	if (r < 0)
		return r;
	s.state = GUEST_EXITED;
	s.exit_code = g->exit_code;
	s.oom = g->oom;
	s.restarts = g->restarts;
	s.started = g->started;
	s.finished = g->finished ?: g_get_real_time() * 1000;
	s.error = (char *)"the monitor was killed";
	text = guest_status_show(&s);
	kept = store_path(c, "guests/%s/status", g->rec->id);
	if (!g_file_set_contents_full(kept, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL))
		return err_set(e, -EIO, "cannot write '%s'", kept);
	run = store_run_path(c, "guests/%s/status", g->rec->id);
	(void)unlink(run);
	guest_refresh(c, g);
	return 0;
}

static int update_running(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	_cleanup_close_ int fd = -1;
	int r = engine_at_init(c, g, &a, e);

	if (r < 0)
		return r;
	if (!a.ops->update)
		return err_set(e, -E_UNSUPPORTED,
			"guest '%s' runs, and limits of a machine can't be changed then",
			g->rec->name);
	r = a.ops->update(c, &a.s, 0, e);
	if (r < 0 || c->explain || g->unmonitored)
		return r;
	/* its monitor has the policy */
	fd = monitor_connect(c, g, e);
	if (fd < 0)
		return fd;
	return monitor_send(fd, MSG_RESTART, 0,
		(uint32_t)g->spec->restart | (uint32_t)MIN(g->spec->restart_max, 0xffffff) << 8,
		NULL, 0, e);
}

int guest_update(struct ctx *c, struct guest *g, const char *doc, struct err *e)
{
	/* the lock reads the record anew */
	struct spec *wanted = g_steal_pointer(&g->spec);
	_cleanup_close_ int lock = guest_lock(c, g, e);
	struct store *s;
	json_t *j;
	char *text;
	int r = MIN(lock, 0);

	if (r >= 0) {
		/* the record may have been changed while we waited: only what is ours is put in */
		struct spec_limits was = g->spec->limits;

		g->spec->limits = wanted->limits;
		wanted->limits = was;
		g->spec->restart = wanted->restart;
		g->spec->restart_max = wanted->restart_max;
		spec_free(wanted);
	} else {
		spec_free(g->spec);
		g->spec = wanted;
	}
	if (r >= 0 && guest_is_up(g))
		r = update_running(c, g, e);
	if (r < 0 || c->explain)
		return r;
	j = spec_to_json(g->spec);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	g_free(g->rec->spec);
	g->rec->spec = g_strdup(text);
	free(text);
	if (doc) {
		g_free(g->rec->doc);
		g->rec->doc = g_strdup(doc);
	}
	r = store_get(c, &s, e);
	if (r >= 0)
		r = store_guest_update(s, g->rec, e);
	if (r >= 0)
		guest_event(c, g, "update", NULL);
	return r;
}

int guest_rename(struct ctx *c, struct guest *g, const char *name, struct err *e)
{
	_cleanup_close_ int lock = -1;
	g_autofree char *old = NULL;
	struct store *s;
	int r;

	if (!name_is_valid(name))
		return err_set(e, -E_INVALID,
			"invalid name '%s': only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
	if (g_str_equal(g->rec->name, name))
		return err_set(e, -E_INVALID, "guest '%s' has this name already", name);
	if (c->explain) {
		printf("# in %s/state.db\nUPDATE guests SET name = '%s' WHERE id = '%s'\n", c->root,
			name, g->rec->id);
		return 0;
	}
	lock = guest_lock(c, g, e);
	if (lock < 0)
		return lock;
	r = store_get(c, &s, e);
	if (r < 0)
		return r;
	old = g->rec->name;
	g->rec->name = g_strdup(name);
	r = store_guest_update(s, g->rec, e);
	if (r == -E_EXISTS)
		r = err_set(e, r, "the name '%s' is in use", name);
	if (r < 0)
		return r;
	json_t *extra = json_object();
	json_object_set_new(extra, "oldName", json_string(old));
	guest_event(c, g, "rename", extra);
	return 0;
}
