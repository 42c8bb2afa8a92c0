/* SPDX-License-Identifier: MIT */
/* What engines whose guests are processes in a cgroup have in common. */
#include "engine/common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/cgroup.h"
#include "host/steps.h"

/* The process id in the status file, if that process is still the one that it names. */
pid_t engine_first_process(const struct engine_start *s)
{
	g_autofree char *file = g_build_filename(s->run_dir, "status", NULL), *text = NULL,
			*stat = NULL;
	g_autofree char *proc = NULL;
	const char *line, *p;
	char *rest = NULL;
	guint64 pid, start;

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return 0;
	line = g_str_has_prefix(text, "pid ") ? text : strstr(text, "\npid ");
	if (!line)
		return 0;
	pid = g_ascii_strtoull(line + (*line == '\n') + 4, &rest, 10);
	start = g_ascii_strtoull(rest, NULL, 10);
	if (pid == 0 || pid > G_MAXINT)
		return 0;
	proc = g_strdup_printf("/proc/%u/stat", (unsigned)pid);
	if (!g_file_get_contents(proc, &stat, NULL, NULL))
		return 0;
	p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && g_ascii_strtoull(p, NULL, 10) == start ? (pid_t)pid : 0;
}

static int one_step(struct ctx *c, const struct step_ops *op, const char *arg, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run r;
	int code;

	plan_add(p, AT_HOST, op, arg);
	if (c->explain) {
		plan_show(p, stdout);
		return 0;
	}
	step_run_init(&r, p);
	r.trace_fd = c->trace_fd;
	code = plan_run(&r, e);
	step_run_done(&r);
	return code;
}

int engine_update(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *cgroup = engine_cgroup(s);
	g_autoptr(GPtrArray) limits = engine_limits(s->spec);
	struct step_run run;
	int r = 0;

	/* of a start it is the kernel's own, of one that runs it takes a limit away */
	if (s->spec->limits.pids < 0)
		spec_add_pair(limits, "pids", "-1");

	for (guint i = 0; r >= 0 && i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);
		const char *missing = cgroup_missing(cgroup_host(), cgroup, l->key);

		r = cgroup_check(cgroup_host(), l->key, l->value, e);
		if (r >= 0 && missing)
			plan_add(p, AT_HOST, &step_cgroup_extend, cgroup, missing);
		if (r >= 0)
			plan_add(p, AT_HOST, &step_cgroup_set, cgroup, l->key, l->value);
	}
	if (r < 0)
		return r;
	if (c->explain) {
		plan_show(p, stdout);
		return 0;
	}
	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	r = plan_run_at(&run, AT_HOST, e);
	step_run_done(&run);
	return r;
}

int engine_pause(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(s);

	return one_step(c, &step_freeze, cgroup, e);
}

int engine_resume(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(s);

	return one_step(c, &step_thaw, cgroup, e);
}

/* The plan that the guest was started with; NULL: none yet. */
static int stored_plan(const struct engine_start *s, struct plan **ret, struct err *e)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	g_autofree char *file = g_build_filename(s->dir, "plan", NULL), *data = NULL;
	gsize n;
	int r;

	*ret = NULL;
	if (!g_file_get_contents(file, &data, &n, NULL))
		return 0;
	r = plan_decode(data, n, tables, ret);
	return r < 0 ? err_sys(e, r, "cannot understand the plan '%s'", file) : 0;
}

int engine_clean(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct step_run run;
	int r = stored_plan(s, &p, e);

	if (r < 0 || !p)
		return r;
	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	r = plan_undo(&run, UNDO_ENDED, e);
	step_run_done(&run);
	return r;
}

/* --- figures --- */

/* A line of /proc/net/dev, proc(5). swapped: seen from a cable's other end. */
static void add_interface(json_t *all, const char *name, const char *numbers, bool swapped)
{
	static const char *const keys[] = { "bytes", "packets", "errors", "dropped" };
	json_int_t v[12] = { 0 };
	json_t *j = json_object();
	char *at = (char *)(uintptr_t)numbers;

	for (guint i = 0; i < G_N_ELEMENTS(v); i++)
		v[i] = (json_int_t)g_ascii_strtoull(at, &at, 10);
	for (guint i = 0; i < 2 * G_N_ELEMENTS(keys); i++) {
		bool tx = i >= G_N_ELEMENTS(keys);
		g_autofree char *key =
			g_strdup_printf("%s_%s", tx ? "tx" : "rx", keys[i % G_N_ELEMENTS(keys)]);

		json_object_set_new(
			j, key, json_integer(v[(tx != swapped ? 8 : 0) + i % G_N_ELEMENTS(keys)]));
	}
	json_object_set_new(all, name, j);
}

/* The numbers of an interface in the text of /proc/net/dev, or NULL. */
static const char *numbers_of(char *const *lines, const char *name)
{
	size_t n = strlen(name);

	for (; *lines; lines++) {
		const char *l = *lines + strspn(*lines, " ");

		if (strncmp(l, name, n) == 0 && l[n] == ':')
			return l + n + 1;
	}
	return NULL;
}

static json_t *figures_of_process(pid_t pid)
{
	g_autofree char *file = g_strdup_printf("/proc/%d/net/dev", (int)pid), *text = NULL;
	g_auto(GStrv) lines = NULL;
	json_t *all = json_object();

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return all;
	lines = g_strsplit(text, "\n", 0);
	for (char **l = lines; *l; l++) {
		char *name = g_strchug(*l), *at = strchr(name, ':');

		if (!at)
			continue;
		*at++ = '\0';
		if (strcmp(name, "lo") != 0)
			add_interface(all, name, at, false);
	}
	return all;
}

/* The name that the machine's init gave its n-th card. */
static const char *card_name(const struct plan *p, unsigned n)
{
	for (unsigned i = 0; i < plan_len(p); i++)
		if (plan_step(p, i)->op == &step_nic && n-- == 0)
			return plan_step(p, i)->arg[1];
	return NULL;
}

/* A machine's cards end in taps of the host, which see them the other way round. */
static json_t *figures_of_machine(const struct engine_start *s)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	json_t *all = json_object();
	unsigned n = 0;

	if (stored_plan(s, &p, NULL) < 0 || !p ||
		!g_file_get_contents("/proc/self/net/dev", &text, NULL, NULL))
		return all;
	lines = g_strsplit(text, "\n", 0);
	for (unsigned i = 0; i < plan_len(p); i++) {
		const struct step *t = plan_step(p, i);
		g_autofree char *usual = NULL;
		const char *numbers, *name;

		if (t->op != &step_tap)
			continue;
		usual = g_strdup_printf("eth%u", n);
		name = card_name(p, n++);
		numbers = numbers_of(lines, t->arg[0]);
		if (numbers)
			add_interface(all, name ? name : usual, numbers, true);
	}
	return all;
}

int engine_stats(
	struct ctx *c, const struct engine_start *s, json_t **ret, uint32_t flags, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(s);
	pid_t pid = engine_first_process(s);
	struct cgroup_stats v;
	json_t *j = json_object();
	int r;

	if (!pid || (r = cgroup_stats(cgroup, &v)) < 0) {
		json_decref(j);
		return err_set(e, -E_STATE, "'%s' isn't running", s->name);
	}
#define PUT(name, value) json_object_set_new(j, name, json_integer((json_int_t)(value)))
	PUT("cpu_ns", v.cpu_ns);
	PUT("cpu_user_ns", v.cpu_user_ns);
	PUT("cpu_system_ns", v.cpu_system_ns);
	PUT("throttled_periods", v.throttled);
	PUT("throttled_ns", v.throttled_ns);
	PUT("memory", v.memory);
	PUT("memory_cache", v.memory_cache);
	PUT("memory_max", v.memory_max);
	PUT("oom_kills", v.oom_kills);
	PUT("pids", v.pids);
	PUT("read_bytes", v.read_bytes);
	PUT("write_bytes", v.write_bytes);
	PUT("read_ops", v.read_ops);
	PUT("write_ops", v.write_ops);
	/* of a machine it is what it has; its program isn't limited */
	if (s->spec->vm && s->spec->limits.memory > 0)
		PUT("memory_limit", s->spec->limits.memory);
	else if (v.memory_limit < INT64_MAX / 2) /* v1 says "no limit" with a very large number */
		PUT("memory_limit", v.memory_limit);
	if (v.pids_limit != UINT64_MAX)
		PUT("pids_limit", v.pids_limit);
#undef PUT
	json_object_set_new(
		j, "networks", s->spec->vm ? figures_of_machine(s) : figures_of_process(pid));
	*ret = j;
	return 0;
}

int engine_pids(struct ctx *c, const struct engine_start *s, pid_t **ret, size_t *ret_n,
	uint32_t flags, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(s);
	int r = cgroup_procs(cgroup, ret, ret_n);

	return r < 0 ? err_sys(e, r, "cannot list the processes of '%s'", s->name) : r;
}

char **engine_env(char **first, char **second)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new();

	for (char **e = first; e && *e; e++) {
		size_t n = strcspn(*e, "=");
		bool replaced = false;

		for (char **o = second; o && *o; o++)
			replaced |= strcspn(*o, "=") == n && strncmp(*o, *e, n) == 0;
		if (!replaced)
			g_ptr_array_add(all, g_strdup(*e));
	}
	for (char **o = second; o && *o; o++)
		g_ptr_array_add(all, g_strdup(*o));
	g_ptr_array_add(all, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&all), FALSE);
}
