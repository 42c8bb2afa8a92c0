/* SPDX-License-Identifier: MIT */
/* All commands of `lodge`: a new one is a row here and the file that it is in. It stands here because other dialects
 * bring groups of commands, and no dialect knows another one. */

#include "dialect/docker/docker.h"
#include "dialect/lodge/lodge.h"
#include "dialect/registry/registry.h"

static const struct cmd *const serve_sub[] = {
	&docker_serve_cmd,
	NULL,
};

static const struct cmd lodge_serve = {
	CMD_FILE,
	.name = "serve",
	.brief = "answer the APIs of other programs",
	.sub = serve_sub,
};

static const struct cmd *const commands[] = {
	&lodge_run,
	&lodge_create,
	&lodge_start,
	&lodge_stop,
	&lodge_restart,
	&lodge_kill,
	&lodge_pause,
	&lodge_unpause,
	&lodge_rm,
	&lodge_rename,
	&lodge_wait,
	&lodge_ls,
	&lodge_inspect,
	&lodge_exec,
	&lodge_attach,
	&lodge_logs,
	&lodge_cp,
	&lodge_diff,
	&lodge_export,
	&lodge_top,
	&lodge_stats,
	&lodge_port,
	&lodge_events,
	&lodge_image,
	&registry_cmd,
	&lodge_serve,
	&lodge_login,
	&lodge_logout,
	&lodge_volume,
	&lodge_network,
	&lodge_vm,
	&lodge_system,
	&lodge_fsck,
	&lodge_doctor,
	&lodge_boot,
	&lodge_explain,
	&lodge_where,
	&lodge_applets,
	&lodge_completion,
	&lodge_manual,
	&lodge_version,
	NULL,
};

const struct cmd lodge_root = {
	CMD_FILE,
	.name = "lodge",
	.brief = "containers on one host, without a daemon",
	.sub = commands,
};

int lodge_main(int argc, char **argv)
{
	struct ctx c;
	int status;

	ctx_init(&c);
	status = cmd_main(&c, &lodge_root, &opt_policy_pflag, lodge_exit_status, argc, argv);
	store_close(&c);
	ctx_done(&c);
	return status;
}
