/* SPDX-License-Identifier: MIT */
/* All commands of docker: a new one is a row here and the file that it is in. */

#include "dialect/docker/cli.h"

#include <string.h>

/* in the order in which the help has them */
static const struct cmd *const common[] = {
	&docker_run_cmd,
	&docker_exec_cmd,
	&docker_ps_cmd,
	&docker_build_cmd,
	&docker_pull_cmd,
	&docker_push_cmd,
	&docker_images_cmd,
	&docker_login_cmd,
	&docker_logout_cmd,
	&docker_search_cmd,
	&docker_version_cmd,
	&docker_info_cmd,
	NULL,
};

static const struct cmd *const management[] = {
	&docker_builder_cmd,
	&docker_buildx_cmd,
	&docker_checkpoint_cmd,
	&docker_compose_cmd,
	&docker_container_cmd,
	&docker_context_cmd,
	&docker_image_cmd,
	&docker_manifest_cmd,
	&docker_network_cmd,
	&docker_plugin_cmd,
	&docker_system_cmd,
	&docker_trust_cmd,
	&docker_volume_cmd,
	NULL,
};

static const struct cmd *const swarm[] = {
	&docker_config_cmd,
	&docker_node_cmd,
	&docker_secret_cmd,
	&docker_service_cmd,
	&docker_stack_cmd,
	&docker_swarm_cmd,
	NULL,
};

static const struct cmd *const others[] = {
	&docker_attach_cmd,
	&docker_commit_cmd,
	&docker_cp_cmd,
	&docker_create_cmd,
	&docker_diff_cmd,
	&docker_events_cmd,
	&docker_export_cmd,
	&docker_history_cmd,
	&docker_import_cmd,
	&docker_inspect_cmd,
	&docker_kill_cmd,
	&docker_load_cmd,
	&docker_logs_cmd,
	&docker_pause_cmd,
	&docker_port_cmd,
	&docker_rename_cmd,
	&docker_restart_cmd,
	&docker_rm_cmd,
	&docker_rmi_cmd,
	&docker_save_cmd,
	&docker_start_cmd,
	&docker_stats_cmd,
	&docker_stop_cmd,
	&docker_tag_cmd,
	&docker_top_cmd,
	&docker_unpause_cmd,
	&docker_update_cmd,
	&docker_wait_cmd,
	NULL,
};

const struct cli_section docker_sections[] = {
	{ "Common Commands", common },
	{ "Management Commands", management },
	{ "Swarm Commands", swarm },
	{ "Commands", others },
	{ NULL, NULL },
};

const struct cmd *cli_find(const char *name)
{
	for (const struct cli_section *s = docker_sections; s->heading; s++)
		for (const struct cmd *const *c = s->list; *c; c++)
			if (strcmp((*c)->name, name) == 0)
				return *c;
	return NULL;
}
