/* SPDX-License-Identifier: MIT */
/* A further command in a running guest, as a plan for its monitor. */
#include "engine/common.h"
#include "engine/oci/oci.h"

#include <string.h>

#include "host/steps.h"

static const char *kinds(const struct spec *s, struct plan *p)
{
	static const struct {
		enum spec_ns_kind kind;
		const char *name;
	} one[] = { { NS_NET, "net" }, { NS_UTS, "uts" }, { NS_IPC, "ipc" },
		{ NS_CGROUP, "cgroup" } };
	g_autoptr(GString) names = g_string_new("mnt");

	if (s->uid_map->len)
		g_string_append(names, ",user");
	for (guint i = 0; i < G_N_ELEMENTS(one); i++)
		if (s->ns[one[i].kind].mode != NS_HOST)
			g_string_append_printf(names, ",%s", one[i].name);
	return plan_str(p, "%s", names->str);
}

int oci_plan_exec(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
	struct plan *p, uint32_t flags, struct err *e)
{
	const struct spec *spec = s->spec;
	g_autofree char *cgroup = engine_cgroup(s), *groups = NULL;
	g_auto(GStrv) env = engine_env(spec->env, x->env);
	const char *cwd = x->cwd ? x->cwd : spec->cwd;
	int r;

	if (!x->argv || !x->argv[0])
		return err_set(e, -E_INVALID, "no command to execute");
	groups = spec->groups && !x->user ? g_strjoinv(",", spec->groups) : g_strdup("");
	plan_add(p, AT_HOST, &step_cgroup_into, cgroup);
	if (spec->ns[NS_PID].mode != NS_HOST)
		plan_add(p, AT_HOST, &step_enter, "pid");
	plan_add(p, AT_CLONE, &step_clone, "");
	plan_add(p, AT_CHILD, &step_cgroup_join, cgroup);
	plan_add(p, AT_CHILD, &step_enter, kinds(spec, p));
	if (spec->uid_map->len)
		plan_add(p, AT_CHILD, &step_setid0);
	if (x->tty)
		plan_add(p, AT_CHILD, &step_console, "/", "");
	plan_addv(p, AT_CHILD, 0, &step_env, (const char *const *)env, g_strv_length(env));
	plan_add(p, AT_CHILD, &step_session, x->tty ? "1" : "");
	oci_plan_rlimits(spec, p);
	plan_add(p, AT_CHILD, &step_umask, "022");
	plan_add(p, AT_CHILD, &step_cwd, cwd && cwd[0] ? cwd : "/");
	r = oci_plan_secure_first(c, spec, x->privileged || spec->privileged, p, e);
	if (r < 0)
		return r;
	plan_add(p, AT_CHILD, &step_user, x->user ? x->user : spec->user ? spec->user : "", groups);
	r = oci_plan_secure_last(c, spec, x->privileged || spec->privileged, p, e);
	if (r < 0)
		return r;
	plan_add(p, AT_CHILD, &step_close_fds);
	plan_addv(p, AT_CHILD, 0, &step_exec, (const char *const *)x->argv, g_strv_length(x->argv));
	return 0;
}
