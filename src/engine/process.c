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

int engine_clean(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	static const step_table *const tables[] = { &host_steps, NULL };
	g_autofree char *file = g_build_filename(s->dir, "plan", NULL), *data = NULL;
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct step_run run;
	gsize n;
	int r;

	if (!g_file_get_contents(file, &data, &n, NULL))
		return 0; /* never started */
	r = plan_decode(data, n, tables, &p);
	if (r < 0)
		return err_sys(e, r, "cannot understand the plan '%s'", file);
	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	r = plan_undo(&run, UNDO_ENDED, e);
	step_run_done(&run);
	return r;
}

/* Bytes and packets by interface: /proc/PID/net/dev, proc(5). */
static json_t *network_figures(pid_t pid)
{
	g_autofree char *file = g_strdup_printf("/proc/%d/net/dev", (int)pid), *text = NULL;
	g_auto(GStrv) lines = NULL;
	json_t *all = json_object();

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return all;
	lines = g_strsplit(text, "\n", 0);
	for (char **l = lines; *l; l++) {
		json_int_t v[12] = { 0 };
		char *name = g_strchug(*l), *at = strchr(name, ':');

		if (!at)
			continue;
		*at++ = '\0';
		if (strcmp(name, "lo") == 0)
			continue;
		for (guint i = 0; i < G_N_ELEMENTS(v); i++)
			v[i] = (json_int_t)g_ascii_strtoull(at, &at, 10);
		json_object_set_new(all, name,
			json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "rx_bytes", v[0],
				"rx_packets", v[1], "rx_errors", v[2], "rx_dropped", v[3],
				"tx_bytes", v[8], "tx_packets", v[9], "tx_errors", v[10],
				"tx_dropped", v[11]));
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
	if (v.memory_limit < INT64_MAX / 2) /* v1 says "no limit" with a very large number */
		PUT("memory_limit", v.memory_limit);
	if (v.pids_limit != UINT64_MAX)
		PUT("pids_limit", v.pids_limit);
#undef PUT
	json_object_set_new(j, "networks", network_figures(pid));
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
