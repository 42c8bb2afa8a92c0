/* SPDX-License-Identifier: MIT */
/* A further process in a container. */
#include "engine/bundle/bundle-priv.h"

#include <string.h>

#include "host/steps.h"

int bundle_plan_exec(const struct bundle_exec *x, struct plan *p, struct err *e)
{
	struct bundle_process process = { .config = x->config,
		.process = x->process,
		.cache_dir = x->cache_dir,
		.id = x->id,
		.dir = x->dir ? x->dir : "",
		.preserve_fds = x->preserve_fds,
		.no_keyring = x->no_keyring,
		.user_ns = strstr(x->namespaces, "user") != NULL,
		.exec = true };
	const char *cgroup = x->cgroup;
	g_autoptr(GString) inner = g_string_new(NULL);
	g_auto(GStrv) kinds = g_strsplit(x->namespaces, ",", -1);
	bool pid = strstr(x->namespaces, "pid") != NULL;
	/* whoever isn't root has the right to the others only in the container's user namespace */
	bool user_first = x->unprivileged && process.user_ns && pid;
	int r = bundle_process_check(&process, p, e);

	if (r < 0)
		return r;
	for (char **k = kinds; *k; k++)
		if (strcmp(*k, "pid") != 0 && !(user_first && strcmp(*k, "user") == 0))
			g_string_append_printf(inner, "%s%s", inner->len ? "," : "", *k);
	if (cgroup)
		plan_add(p, AT_HOST, &step_cgroup_into, x->v2_cgroup ? x->v2_cgroup : cgroup);
	if (pid)
		plan_add(p, AT_HOST, &step_enter, user_first ? "user,pid" : "pid");
	plan_add(p, AT_CLONE, &step_clone, "");
	bundle_process_parent(&process, p);
	if (x->process->affinity && x->process->affinity->initial && *x->process->affinity->initial)
		plan_add(p, AT_CHILD, &step_scheduling, "cpu-affinity",
			x->process->affinity->initial);
	plan_add(p, AT_CHILD, &step_undumpable);
	if (cgroup)
		plan_add(p, AT_CHILD, &step_cgroup_join, cgroup);
	for (char **part = x->parts; cgroup && part && *part; part++) {
		const char *colon = strchr(*part, ':');

		plan_add(p, AT_CHILD, &step_cgroup_join_below, colon + 1,
			plan_str(p, "%.*s", (int)(colon - *part), *part));
	}
	plan_add(p, AT_CHILD, &step_enter, inner->str);
	if (process.user_ns)
		plan_add(p, AT_CHILD, &step_setid0);
	if (x->process->terminal) {
		const struct config_size *size = x->process->console_size;

		plan_add(p, AT_CHILD, &step_console, "/", "");
		plan_add(p, AT_MEET, &step_console_send, x->console_socket ? x->console_socket : "",
			plan_str(p, "%u", size ? size->height : 0),
			plan_str(p, "%u", size ? size->width : 0));
	} else
		plan_add(p, AT_CHILD, &step_own_null);
	bundle_process_first(&process, p);
	if (x->pid_file)
		plan_add(p, AT_MEET, &step_first, x->pid_file, "@PID@", "644");
	bundle_process_last(&process, p);
	return 0;
}
