/* SPDX-License-Identifier: MIT */
/* kill, delete, pause, resume. */
#include "dialect/runc/runc.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "host/cgroup.h"
#include "host/path.h"
#include "host/steps.h"

#include <fcntl.h>

/* --- kill --- */

struct kill_args {
	bool all;
};

static const struct opt kill_opts[] = {
	OPT_FLAG('a', "all", struct kill_args, all, "all processes of the container"), OPT_END
};

/* "TERM", "SIGTERM", "15" */
static int parse_signal(const char *s)
{
	const char *name = g_ascii_strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	char *end;
	long n = strtol(s, &end, 10);

	if (end != s && !*end)
		return n >= 0 && n < NSIG ? (int)n : -1;
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && g_ascii_strcasecmp(known, name) == 0)
			return i;
	}
	if (g_ascii_strncasecmp(name, "RTMIN", 5) == 0)
		return SIGRTMIN + (int)strtol(name + 5, NULL, 10);
	if (g_ascii_strncasecmp(name, "RTMAX", 5) == 0)
		return SIGRTMAX + (int)strtol(name + 5, NULL, 10);
	return -1;
}

/* All in the cgroup. Frozen meanwhile, so that none forks away; SIGKILL needs no such care where the kernel
 * kills whole cgroups. */
static int kill_all(const struct container *c, int signal, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	bool was_frozen;
	int code;

	if (!c->cgroup)
		return c->status == STATUS_STOPPED ? 0 : container_signal(c, signal, e);
	if (signal == SIGKILL)
		return cgroup_kill(c->cgroup, e);
	was_frozen = c->status == STATUS_PAUSED;
	if (!was_frozen)
		(void)cgroup_freeze(c->cgroup, true, NULL);
	code = cgroup_procs(c->cgroup, &pids, &n);
	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], signal);
	if (!was_frozen)
		(void)cgroup_freeze(c->cgroup, false, NULL);
	return code < 0 && code != -ENOENT ? err_sys(e, code, "cannot list the processes") : 0;
}

static int kill_one(struct cmd_call *call, struct err *e)
{
	const struct kill_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	const char *word = call->n_operands > 1 ? call->operands[1] : "SIGTERM";
	int signal = parse_signal(word), code;

	code = container_load(runc_of(call), call->operands[0], &c, e);
	if (code < 0)
		return code;
	if (signal < 0)
		return err_set(e, -E_INVALID, "unknown signal \"%s\"", word);
	if (a->all && c->cgroup &&
		runc_explains_as(runc_of(call),
			"for p in $(cat /sys/fs/cgroup/%s%s/cgroup.procs); do kill -%d $p; done",
			cgroup_host()->mode == CGROUP_V2 ? "" : "*/", c->cgroup, signal))
		return 0;
	if (a->all && !call->c->explain)
		return kill_all(c, signal, e);
	if (c->status == STATUS_STOPPED)
		return err_set(e, -E_STATE, "container not running");
	if (runc_explains_as(runc_of(call), "kill -%d %d", signal, (int)c->pid))
		return 0;
	return container_signal(c, signal, e);
}

const struct cmd runc_kill = {
	CMD_FILE,
	.name = "kill",
	.run = kill_one,
	.opts = kill_opts,
	.args_size = sizeof(struct kill_args),
	.brief = "send a signal to a container's first process",
	.synopsis = "[OPTIONS] CONTAINER [SIGNAL]",
	.min_operands = 1,
	.max_operands = 2,
};

/* --- delete --- */

struct delete_args {
	bool force;
};

static const struct opt delete_opts[] = {
	OPT_FLAG('f', "force", struct delete_args, force, "kill it first if it runs"), OPT_END
};

/* A folder without a record: the creation died in the middle. Nothing else names what it made but its id. */
static int remove_halfmade(struct runc *r, const char *id, struct err *e)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", r->root, id);
	struct stat st;

	if (check_id(id, NULL) < 0 || stat(dir, &st) < 0)
		return -E_NOTFOUND;
	(void)cgroup_remove(id, NULL);
	return path_remove_tree(AT_FDCWD, dir);
}

static void explain_delete(struct runc *r, const struct container *c)
{
	if (c->status != STATUS_STOPPED)
		(void)runc_explains_as(r, "kill -KILL %d", (int)c->pid);
	if (c->unit.name)
		(void)runc_explains_as(r, "systemctl stop %s", c->unit.name);
	if (c->cgroup)
		(void)runc_explains_as(r, "rmdir /sys/fs/cgroup/%s%s",
			cgroup_host()->mode == CGROUP_V2 ? "" : "*/", c->cgroup);
	(void)runc_explains_as(r, "rm -r %s", c->dir);
}

static int delete (struct cmd_call *call, struct err *e)
{
	const struct delete_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	struct runc *r = runc_of(call);
	int code = container_load(r, call->operands[0], &c, e);

	if (code == -E_NOTFOUND && !r->ctx.explain &&
		remove_halfmade(r, call->operands[0], NULL) >= 0)
		return 0;
	if (code == -E_NOTFOUND && a->force)
		return 0;
	if (code < 0)
		return code;
	if (c->status != STATUS_STOPPED && c->status != STATUS_CREATED && !a->force)
		return err_set(e, -E_STATE, "cannot delete container %s that is not stopped: %s",
			c->id, status_name(c->status));
	if (r->ctx.explain) {
		explain_delete(r, c);
		return 0;
	}
	return container_remove(r, c, NULL, e);
}

const struct cmd runc_delete = {
	CMD_FILE,
	.name = "delete",
	.run = delete,
	.opts = delete_opts,
	.args_size = sizeof(struct delete_args),
	.brief = "remove what a container has on the host",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- pause, resume --- */

static int freeze(struct cmd_call *call, bool on, struct err *e)
{
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	int code = container_load(runc_of(call), call->operands[0], &c, e);

	if (code < 0)
		return code;
	if (on && c->status != STATUS_RUNNING && c->status != STATUS_CREATED)
		return err_set(e, -E_STATE, "container not running or created: %s",
			status_name(c->status));
	if (!on && c->status != STATUS_PAUSED)
		return err_set(e, -E_STATE, "container not paused");
	if (!c->cgroup)
		return err_set(e, -E_UNSUPPORTED, "container has no cgroup: it can't be paused");
	plan_add(p, AT_HOST, on ? &step_freeze : &step_thaw, c->cgroup);
	if (runc_explains(runc_of(call), p))
		return 0;
	return cgroup_freeze(c->cgroup, on, e);
}

static int pause_one(struct cmd_call *call, struct err *e)
{
	return freeze(call, true, e);
}

static int resume_one(struct cmd_call *call, struct err *e)
{
	return freeze(call, false, e);
}

const struct cmd runc_pause = {
	CMD_FILE,
	.name = "pause",
	.run = pause_one,
	.brief = "suspend all processes of a container",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

const struct cmd runc_resume = {
	CMD_FILE,
	.name = "resume",
	.run = resume_one,
	.brief = "let a paused container go on",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
