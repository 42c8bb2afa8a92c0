/* SPDX-License-Identifier: MIT */
/* The groups of docker that are made of commands of other files, and those that are not there yet and say who will be. */

#include <string.h>
#include "dialect/docker/cli.h"

static const struct cmd *const container_subs[] = {
	&docker_attach_cmd,
	&docker_commit_cmd,
	&docker_cp_cmd,
	&docker_create_cmd,
	&docker_diff_cmd,
	&docker_exec_cmd,
	&docker_export_cmd,
	&docker_container_inspect_cmd,
	&docker_kill_cmd,
	&docker_logs_cmd,
	&docker_container_ls_cmd,
	&docker_pause_cmd,
	&docker_port_cmd,
	&docker_container_prune_cmd,
	&docker_rename_cmd,
	&docker_restart_cmd,
	&docker_container_rm_cmd,
	&docker_run_cmd,
	&docker_start_cmd,
	&docker_stats_cmd,
	&docker_stop_cmd,
	&docker_top_cmd,
	&docker_unpause_cmd,
	&docker_update_cmd,
	&docker_wait_cmd,
	NULL,
};

const struct cmd docker_container_cmd = {
	CMD_FILE,
	.name = "container",
	.brief = "Manage containers",
	.sub = container_subs,
};
static const struct cmd *const image_subs[] = {
	&docker_build_cmd,
	&docker_history_cmd,
	&docker_import_cmd,
	&docker_image_inspect_cmd,
	&docker_load_cmd,
	&docker_image_ls_cmd,
	&docker_image_prune_cmd,
	&docker_pull_cmd,
	&docker_push_cmd,
	&docker_image_rm_cmd,
	&docker_save_cmd,
	&docker_tag_cmd,
	NULL,
};

const struct cmd docker_image_cmd = {
	CMD_FILE,
	.name = "image",
	.brief = "Manage images",
	.sub = image_subs,
};
static const struct cmd *const system_subs[] = {
	&docker_system_df_cmd,
	&docker_events_cmd,
	&docker_info_cmd,
	&docker_system_prune_cmd,
	NULL,
};

const struct cmd docker_system_cmd = {
	CMD_FILE,
	.name = "system",
	.brief = "Manage Docker",
	.sub = system_subs,
};
/* --- not yet ------------------------------------------------------------------------------------------------------------ */

static int later_run(struct cmd_call *call, struct err *e)
{
	static const struct {
		const char *name, *what;
	} rows[] = {
		{ "build", "the builder of Dockerfiles" },
		{ "buildx", "the builder of Dockerfiles" },
		{ "builder", "the builder of Dockerfiles" },
		{ "compose", "the compose dialect" },
		{ "checkpoint", "'lodge checkpoint', once containers of the store have it; until "
				"then 'lodge runc checkpoint'" },
		{ "manifest", "'lodge image' and 'skopeo'" },
		{ "plugin", "nothing: plugins of docker's are programs for its daemon alone" },
		{ "trust", "nothing: signatures are checked by policy.json, and made by 'skopeo'" },
	};
	g_auto(GStrv) words = g_strsplit(call->full_name, " ", -1);
	const char *what = "the swarm mode of the cluster's commands";

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		for (char **w = words; *w; w++)
			if (strcmp(*w, rows[i].name) == 0)
				what = rows[i].what;
	return err_set(e, -E_UNSUPPORTED, "'%s' is not there yet: it will be done by %s",
		call->full_name, what);
}

static int build_run(struct cmd_call *call, struct err *e)
{
	return later_run(call, e);
}

#define DEPRECATED                                                                                \
	"DEPRECATED: The legacy builder is deprecated and will be removed in a future release.\n" \
	"            Install the buildx component to build images with BuildKit:\n"               \
	"            https://docs.docker.com/go/buildx/\n"

struct build_args {
	char *cgroup_parent, *cpu_period, *cpu_quota, *cpu_shares, *cpuset_cpus, *cpuset_mems,
		*file, *iidfile, *isolation, *memory, *memory_swap, *network, *platform, *shm_size,
		*target;
	char **add_host, **build_arg, **cache_from, **label, **security_opt, **tag, **ulimit;
	bool compress, force_rm, no_cache, pull, quiet, squash;
	int disable_content_trust, rm;
};
/* clang-format off */
static const struct opt build_opts[] = {
	OPT_LIST(0, "add-host", struct build_args, add_host, "list", complete_none, "Add a custom host-to-IP mapping (\"host:ip\")"),
	OPT_LIST(0, "build-arg", struct build_args, build_arg, "list", complete_none, "Set build-time variables"),
	OPT_LIST(0, "cache-from", struct build_args, cache_from, "strings", complete_none, "Images to consider as cache sources"),
	OPT_STRING(0, "cgroup-parent", struct build_args, cgroup_parent, "string", complete_none, "Set the parent cgroup for the \"RUN\" instructions during build"),
	OPT_FLAG(0, "compress", struct build_args, compress, "Compress the build context using gzip"),
	OPT_STRING(0, "cpu-period", struct build_args, cpu_period, "int", complete_none, "Limit the CPU CFS (Completely Fair Scheduler) period"),
	OPT_STRING(0, "cpu-quota", struct build_args, cpu_quota, "int", complete_none, "Limit the CPU CFS (Completely Fair Scheduler) quota"),
	OPT_STRING('c', "cpu-shares", struct build_args, cpu_shares, "int", complete_none, "CPU shares (relative weight)"),
	OPT_STRING(0, "cpuset-cpus", struct build_args, cpuset_cpus, "string", complete_none, "CPUs in which to allow execution (0-3, 0,1)"),
	OPT_STRING(0, "cpuset-mems", struct build_args, cpuset_mems, "string", complete_none, "MEMs in which to allow execution (0-3, 0,1)"),
	OPT_TRISTATE(0, "disable-content-trust", struct build_args, disable_content_trust, "Skip image verification (default true)"),
	OPT_STRING('f', "file", struct build_args, file, "string", complete_file, "Name of the Dockerfile (Default is \"PATH/Dockerfile\")"),
	OPT_FLAG(0, "force-rm", struct build_args, force_rm, "Always remove intermediate containers"),
	OPT_STRING(0, "iidfile", struct build_args, iidfile, "string", complete_none, "Write the image ID to the file"),
	OPT_STRING(0, "isolation", struct build_args, isolation, "string", complete_none, "Container isolation technology"),
	OPT_LIST(0, "label", struct build_args, label, "list", complete_none, "Set metadata for an image"),
	OPT_STRING('m', "memory", struct build_args, memory, "bytes", complete_none, "Memory limit"),
	OPT_STRING(0, "memory-swap", struct build_args, memory_swap, "bytes", complete_none, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
	OPT_STRING(0, "network", struct build_args, network, "string", complete_none, "Set the networking mode for the RUN instructions during build (default \"default\")"),
	OPT_FLAG(0, "no-cache", struct build_args, no_cache, "Do not use cache when building the image"),
	OPT_STRING(0, "platform", struct build_args, platform, "string", complete_none, "Set platform if server is multi-platform capable"),
	OPT_FLAG(0, "pull", struct build_args, pull, "Always attempt to pull a newer version of the image"),
	OPT_FLAG('q', "quiet", struct build_args, quiet, "Suppress the build output and print image ID on success"),
	OPT_TRISTATE(0, "rm", struct build_args, rm, "Remove intermediate containers after a successful build (default true)"),
	OPT_LIST(0, "security-opt", struct build_args, security_opt, "strings", complete_none, "Security options"),
	OPT_STRING(0, "shm-size", struct build_args, shm_size, "bytes", complete_none, "Size of \"/dev/shm\""),
	OPT_FLAG(0, "squash", struct build_args, squash, "Squash newly built layers into a single new layer"),
	OPT_LIST('t', "tag", struct build_args, tag, "list", complete_none, "Name and optionally a tag in the \"name:tag\" format"),
	OPT_STRING(0, "target", struct build_args, target, "string", complete_none, "Set the target build stage to build."),
	OPT_LIST(0, "ulimit", struct build_args, ulimit, "ulimit", complete_none, "Ulimit options (default [])"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_build_cmd = {
	CMD_FILE,
	.name = "build",
	.run = build_run,
	.opts = build_opts,
	.args_size = sizeof(struct build_args),
	.brief = "Build an image from a Dockerfile",
	.synopsis = "[OPTIONS] PATH | URL | -",
	.min_operands = 1,
	.max_operands = 1,
	.examples = DEPRECATED,
};

static const struct cmd builder_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = later_run,
	.brief = "Remove build cache",
	.synopsis = "",
	.examples = DEPRECATED,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

static const struct cmd *const builder_subs[] = {
	&docker_build_cmd,
	&builder_prune_cmd,
	NULL,
};

const struct cmd docker_builder_cmd = {
	CMD_FILE,
	.name = "builder",
	.brief = "Manage builds",
	.sub = builder_subs,
	.examples = DEPRECATED,
};

const struct cmd docker_buildx_cmd = {
	CMD_FILE,
	.name = "buildx",
	.run = later_run,
	.brief = "Docker Buildx",
	.synopsis = "COMMAND",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND | CMD_HIDDEN,
};

const struct cmd docker_compose_cmd = {
	CMD_FILE,
	.name = "compose",
	.run = later_run,
	.brief = "Docker Compose",
	.synopsis = "COMMAND",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND | CMD_HIDDEN,
};

static const struct cmd checkpoint_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a checkpoint from a running container",
	.synopsis = "[OPTIONS] CONTAINER CHECKPOINT",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd checkpoint_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List checkpoints for a container",
	.synopsis = "[OPTIONS] CONTAINER",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd checkpoint_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove a checkpoint",
	.synopsis = "[OPTIONS] CONTAINER CHECKPOINT",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const checkpoint_subs[] = {
	&checkpoint_create_cmd,
	&checkpoint_ls_cmd,
	&checkpoint_rm_cmd,
	NULL,
};

const struct cmd docker_checkpoint_cmd = {
	CMD_FILE,
	.name = "checkpoint",
	.brief = "Manage checkpoints",
	.sub = checkpoint_subs,
};

static const struct cmd manifest_annotate_cmd = {
	CMD_FILE,
	.name = "annotate",
	.run = later_run,
	.brief = "Add additional information to a local image manifest",
	.synopsis = "[OPTIONS] MANIFEST_LIST MANIFEST",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd manifest_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a local manifest list for annotating and pushing to a registry",
	.synopsis = "MANIFEST_LIST MANIFEST [MANIFEST...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd manifest_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display an image manifest, or manifest list",
	.synopsis = "[OPTIONS] [MANIFEST_LIST] MANIFEST",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd manifest_push_cmd = {
	CMD_FILE,
	.name = "push",
	.run = later_run,
	.brief = "Push a manifest list to a repository",
	.synopsis = "[OPTIONS] MANIFEST_LIST",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd manifest_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Delete one or more manifest lists from local storage",
	.synopsis = "MANIFEST_LIST [MANIFEST_LIST...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const manifest_subs[] = {
	&manifest_annotate_cmd,
	&manifest_create_cmd,
	&manifest_inspect_cmd,
	&manifest_push_cmd,
	&manifest_rm_cmd,
	NULL,
};

const struct cmd docker_manifest_cmd = {
	CMD_FILE,
	.name = "manifest",
	.brief = "Manage Docker image manifests and manifest lists",
	.sub = manifest_subs,
};

static const struct cmd plugin_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a plugin from a rootfs and configuration. Plugin data directory must "
		 "contain config.json and rootfs directory.",
	.synopsis = "[OPTIONS] PLUGIN PLUGIN-DATA-DIR",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_disable_cmd = {
	CMD_FILE,
	.name = "disable",
	.run = later_run,
	.brief = "Disable a plugin",
	.synopsis = "[OPTIONS] PLUGIN",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_enable_cmd = {
	CMD_FILE,
	.name = "enable",
	.run = later_run,
	.brief = "Enable a plugin",
	.synopsis = "[OPTIONS] PLUGIN",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display detailed information on one or more plugins",
	.synopsis = "[OPTIONS] PLUGIN [PLUGIN...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_install_cmd = {
	CMD_FILE,
	.name = "install",
	.run = later_run,
	.brief = "Install a plugin",
	.synopsis = "[OPTIONS] PLUGIN [KEY=VALUE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List plugins",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_push_cmd = {
	CMD_FILE,
	.name = "push",
	.run = later_run,
	.brief = "Push a plugin to a registry",
	.synopsis = "[OPTIONS] PLUGIN[:TAG]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more plugins",
	.synopsis = "[OPTIONS] PLUGIN [PLUGIN...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_set_cmd = {
	CMD_FILE,
	.name = "set",
	.run = later_run,
	.brief = "Change settings for a plugin",
	.synopsis = "PLUGIN KEY=VALUE [KEY=VALUE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd plugin_upgrade_cmd = {
	CMD_FILE,
	.name = "upgrade",
	.run = later_run,
	.brief = "Upgrade an existing plugin",
	.synopsis = "[OPTIONS] PLUGIN [REMOTE]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const plugin_subs[] = {
	&plugin_create_cmd,
	&plugin_disable_cmd,
	&plugin_enable_cmd,
	&plugin_inspect_cmd,
	&plugin_install_cmd,
	&plugin_ls_cmd,
	&plugin_push_cmd,
	&plugin_rm_cmd,
	&plugin_set_cmd,
	&plugin_upgrade_cmd,
	NULL,
};

const struct cmd docker_plugin_cmd = {
	CMD_FILE,
	.name = "plugin",
	.brief = "Manage plugins",
	.sub = plugin_subs,
};

static const struct cmd trust_key_generate_cmd = {
	CMD_FILE,
	.name = "generate",
	.run = later_run,
	.brief = "Generate and load a signing key-pair",
	.synopsis = "NAME",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd trust_key_load_cmd = {
	CMD_FILE,
	.name = "load",
	.run = later_run,
	.brief = "Load a private key file for signing",
	.synopsis = "[OPTIONS] KEYFILE",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const trust_key_subs[] = {
	&trust_key_generate_cmd,
	&trust_key_load_cmd,
	NULL,
};
static const struct cmd trust_key_cmd = {
	CMD_FILE,
	.name = "key",
	.brief = "Manage keys for signing Docker images",
	.sub = trust_key_subs,
};
static const struct cmd trust_signer_add_cmd = {
	CMD_FILE,
	.name = "add",
	.run = later_run,
	.brief = "Add a signer",
	.synopsis = "OPTIONS NAME REPOSITORY [REPOSITORY...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd trust_signer_remove_cmd = {
	CMD_FILE,
	.name = "remove",
	.run = later_run,
	.brief = "Remove a signer",
	.synopsis = "[OPTIONS] NAME REPOSITORY [REPOSITORY...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const trust_signer_subs[] = {
	&trust_signer_add_cmd,
	&trust_signer_remove_cmd,
	NULL,
};
static const struct cmd trust_signer_cmd = {
	CMD_FILE,
	.name = "signer",
	.brief = "Manage entities who can sign Docker images",
	.sub = trust_signer_subs,
};
static const struct cmd trust_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Return low-level information about keys and signatures",
	.synopsis = "IMAGE[:TAG] [IMAGE[:TAG]...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd trust_revoke_cmd = {
	CMD_FILE,
	.name = "revoke",
	.run = later_run,
	.brief = "Remove trust for an image",
	.synopsis = "[OPTIONS] IMAGE[:TAG]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd trust_sign_cmd = {
	CMD_FILE,
	.name = "sign",
	.run = later_run,
	.brief = "Sign an image",
	.synopsis = "IMAGE:TAG",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const trust_subs[] = {
	&trust_key_cmd,
	&trust_signer_cmd,
	&trust_inspect_cmd,
	&trust_revoke_cmd,
	&trust_sign_cmd,
	NULL,
};

const struct cmd docker_trust_cmd = {
	CMD_FILE,
	.name = "trust",
	.brief = "Manage trust on Docker images",
	.sub = trust_subs,
};

static const struct cmd config_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a config from a file or STDIN",
	.synopsis = "[OPTIONS] CONFIG file|-",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd config_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display detailed information on one or more configs",
	.synopsis = "[OPTIONS] CONFIG [CONFIG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd config_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List configs",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd config_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more configs",
	.synopsis = "CONFIG [CONFIG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const config_subs[] = {
	&config_create_cmd,
	&config_inspect_cmd,
	&config_ls_cmd,
	&config_rm_cmd,
	NULL,
};

const struct cmd docker_config_cmd = {
	CMD_FILE,
	.name = "config",
	.brief = "Manage Swarm configs",
	.sub = config_subs,
};

static const struct cmd node_demote_cmd = {
	CMD_FILE,
	.name = "demote",
	.run = later_run,
	.brief = "Demote one or more nodes from manager in the swarm",
	.synopsis = "NODE [NODE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display detailed information on one or more nodes",
	.synopsis = "[OPTIONS] self|NODE [NODE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List nodes in the swarm",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_promote_cmd = {
	CMD_FILE,
	.name = "promote",
	.run = later_run,
	.brief = "Promote one or more nodes to manager in the swarm",
	.synopsis = "NODE [NODE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_ps_cmd = {
	CMD_FILE,
	.name = "ps",
	.run = later_run,
	.brief = "List tasks running on one or more nodes, defaults to current node",
	.synopsis = "[OPTIONS] [NODE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more nodes from the swarm",
	.synopsis = "[OPTIONS] NODE [NODE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd node_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = later_run,
	.brief = "Update a node",
	.synopsis = "[OPTIONS] NODE",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const node_subs[] = {
	&node_demote_cmd,
	&node_inspect_cmd,
	&node_ls_cmd,
	&node_promote_cmd,
	&node_ps_cmd,
	&node_rm_cmd,
	&node_update_cmd,
	NULL,
};

const struct cmd docker_node_cmd = {
	CMD_FILE,
	.name = "node",
	.brief = "Manage Swarm nodes",
	.sub = node_subs,
};

static const struct cmd secret_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a secret from a file or STDIN as content",
	.synopsis = "[OPTIONS] SECRET [file|-]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd secret_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display detailed information on one or more secrets",
	.synopsis = "[OPTIONS] SECRET [SECRET...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd secret_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List secrets",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd secret_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more secrets",
	.synopsis = "SECRET [SECRET...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const secret_subs[] = {
	&secret_create_cmd,
	&secret_inspect_cmd,
	&secret_ls_cmd,
	&secret_rm_cmd,
	NULL,
};

const struct cmd docker_secret_cmd = {
	CMD_FILE,
	.name = "secret",
	.brief = "Manage Swarm secrets",
	.sub = secret_subs,
};

static const struct cmd service_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = later_run,
	.brief = "Create a new service",
	.synopsis = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = later_run,
	.brief = "Display detailed information on one or more services",
	.synopsis = "[OPTIONS] SERVICE [SERVICE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_logs_cmd = {
	CMD_FILE,
	.name = "logs",
	.run = later_run,
	.brief = "Fetch the logs of a service or task",
	.synopsis = "[OPTIONS] SERVICE|TASK",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List services",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_ps_cmd = {
	CMD_FILE,
	.name = "ps",
	.run = later_run,
	.brief = "List the tasks of one or more services",
	.synopsis = "[OPTIONS] SERVICE [SERVICE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more services",
	.synopsis = "SERVICE [SERVICE...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_rollback_cmd = {
	CMD_FILE,
	.name = "rollback",
	.run = later_run,
	.brief = "Revert changes to a service's configuration",
	.synopsis = "[OPTIONS] SERVICE",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_scale_cmd = {
	CMD_FILE,
	.name = "scale",
	.run = later_run,
	.brief = "Scale one or multiple replicated services",
	.synopsis = "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd service_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = later_run,
	.brief = "Update a service",
	.synopsis = "[OPTIONS] SERVICE",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const service_subs[] = {
	&service_create_cmd,
	&service_inspect_cmd,
	&service_logs_cmd,
	&service_ls_cmd,
	&service_ps_cmd,
	&service_rm_cmd,
	&service_rollback_cmd,
	&service_scale_cmd,
	&service_update_cmd,
	NULL,
};

const struct cmd docker_service_cmd = {
	CMD_FILE,
	.name = "service",
	.brief = "Manage Swarm services",
	.sub = service_subs,
};

static const struct cmd stack_config_cmd = {
	CMD_FILE,
	.name = "config",
	.run = later_run,
	.brief = "Outputs the final config file, after doing merges and interpolations",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd stack_deploy_cmd = {
	CMD_FILE,
	.name = "deploy",
	.run = later_run,
	.brief = "Deploy a new stack or update an existing stack",
	.synopsis = "[OPTIONS] STACK",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd stack_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = later_run,
	.brief = "List stacks",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd stack_ps_cmd = {
	CMD_FILE,
	.name = "ps",
	.run = later_run,
	.brief = "List the tasks in the stack",
	.synopsis = "[OPTIONS] STACK",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd stack_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = later_run,
	.brief = "Remove one or more stacks",
	.synopsis = "[OPTIONS] STACK [STACK...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd stack_services_cmd = {
	CMD_FILE,
	.name = "services",
	.run = later_run,
	.brief = "List the services in the stack",
	.synopsis = "[OPTIONS] STACK",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const stack_subs[] = {
	&stack_config_cmd,
	&stack_deploy_cmd,
	&stack_ls_cmd,
	&stack_ps_cmd,
	&stack_rm_cmd,
	&stack_services_cmd,
	NULL,
};

const struct cmd docker_stack_cmd = {
	CMD_FILE,
	.name = "stack",
	.brief = "Manage Swarm stacks",
	.sub = stack_subs,
};

static const struct cmd swarm_ca_cmd = {
	CMD_FILE,
	.name = "ca",
	.run = later_run,
	.brief = "Display and rotate the root CA",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_init_cmd = {
	CMD_FILE,
	.name = "init",
	.run = later_run,
	.brief = "Initialize a swarm",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_join_cmd = {
	CMD_FILE,
	.name = "join",
	.run = later_run,
	.brief = "Join a swarm as a node and/or manager",
	.synopsis = "[OPTIONS] HOST:PORT",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_join_token_cmd = {
	CMD_FILE,
	.name = "join-token",
	.run = later_run,
	.brief = "Manage join tokens",
	.synopsis = "[OPTIONS] (worker|manager)",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_leave_cmd = {
	CMD_FILE,
	.name = "leave",
	.run = later_run,
	.brief = "Leave the swarm",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_unlock_cmd = {
	CMD_FILE,
	.name = "unlock",
	.run = later_run,
	.brief = "Unlock swarm",
	.synopsis = "",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_unlock_key_cmd = {
	CMD_FILE,
	.name = "unlock-key",
	.run = later_run,
	.brief = "Manage the unlock key",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd swarm_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = later_run,
	.brief = "Update the swarm",
	.synopsis = "[OPTIONS]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
static const struct cmd *const swarm_subs[] = {
	&swarm_ca_cmd,
	&swarm_init_cmd,
	&swarm_join_cmd,
	&swarm_join_token_cmd,
	&swarm_leave_cmd,
	&swarm_unlock_cmd,
	&swarm_unlock_key_cmd,
	&swarm_update_cmd,
	NULL,
};

const struct cmd docker_swarm_cmd = {
	CMD_FILE,
	.name = "swarm",
	.brief = "Manage Swarm",
	.sub = swarm_subs,
};
