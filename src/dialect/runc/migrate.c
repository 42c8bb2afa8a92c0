/* SPDX-License-Identifier: MIT */
/* checkpoint and restore: what stands in their way is said. */
#include "dialect/runc/runc.h"

#include <string.h>

#include "host/proc.h"

/* What CRIU can't take along, of what config.json tells. */
static int blockers(const struct container *c, struct err *e)
{
	_cleanup_(config_freep) struct config *config = NULL;
	g_autoptr(GString) list = g_string_new(NULL);
	int code = container_config(c, &config, e);

	if (code < 0)
		return code;
	if (config->process->terminal)
		g_string_append(list, ", a terminal");
	if (config->linux_.seccomp && config->linux_.listener_path)
		g_string_append(list, ", a filter that asks a listener");
	if (config_namespace(config, "time"))
		g_string_append(list, ", a time namespace");
	if (!c->cgroup)
		g_string_append(list, ", no cgroup to freeze it by");
	return list->len ? err_set(e, -E_UNSUPPORTED, "cannot checkpoint '%s': it has %s", c->id,
				   list->str + 2)
			 : 0;
}

static int need_criu(const struct runc *r, struct err *e)
{
	const char *criu = r->criu && *r->criu ? r->criu : "criu";

	if (strchr(criu, '/') ? access(criu, X_OK) < 0 : !program_find(criu, NULL))
		return err_set(e, -E_UNSUPPORTED, "criu isn't installed: '%s' is not there", criu);
	return err_set(e, -E_UNSUPPORTED, "checkpoint and restore aren't supported yet");
}

static int checkpoint(struct cmd_call *call, struct err *e)
{
	_cleanup_(container_freep) struct container *c = NULL;
	struct runc *r = runc_of(call);
	int code = container_load(r, call->operands[0], &c, e);

	if (code >= 0 && c->status == STATUS_STOPPED)
		code = err_set(e, -E_STATE, "Container cannot be checkpointed in stopped state");
	if (code >= 0)
		code = blockers(c, e);
	return code < 0 ? code : need_criu(r, e);
}

static int restore(struct cmd_call *call, struct err *e)
{
	int code = check_id(call->operands[0], e);

	return code < 0 ? code : need_criu(runc_of(call), e);
}

const struct cmd runc_checkpoint = {
	CMD_FILE,
	.name = "checkpoint",
	.run = checkpoint,
	.brief = "say what keeps a container from being checkpointed",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

const struct cmd runc_restore = {
	CMD_FILE,
	.name = "restore",
	.run = restore,
	.brief = "say what keeps a container from being restored",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
