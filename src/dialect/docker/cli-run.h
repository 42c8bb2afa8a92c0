/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CLI_RUN_H
#define LODGE_DOCKER_CLI_RUN_H

/* What run, create and update share: their options, and the documents that are made of these. */

#include "dialect/docker/cli.h"

/* run's; create hasn't got all of them */
struct run_args {
	char *blkio_weight, *cgroup_parent, *cgroupns, *cidfile, *cpu_count, *cpu_percent,
		*cpu_period, *cpu_quota, *cpu_rt_period, *cpu_rt_runtime, *cpu_shares, *cpus,
		*cpuset_cpus, *cpuset_mems, *detach_keys, *domainname, *entrypoint, *health_cmd,
		*health_interval, *health_retries, *health_start_interval, *health_start_period,
		*health_timeout, *hostname, *io_maxbandwidth, *io_maxiops, *ip, *ip6, *ipc,
		*isolation, *kernel_memory, *log_driver, *mac_address, *memory, *memory_reservation,
		*memory_swap, *memory_swappiness, *name, *oom_score_adj, *pid, *pids_limit,
		*platform, *pull, *restart, *runtime, *shm_size, *stop_signal, *stop_timeout, *user,
		*userns, *uts, *volume_driver, *workdir;
	char **add_host, **annotation, **attach, **blkio_weight_device, **cap_add, **cap_drop,
		**device, **device_cgroup_rule, **device_read_bps, **device_read_iops,
		**device_write_bps, **device_write_iops, **dns, **dns_option, **dns_search, **env,
		**env_file, **expose, **gpus, **group_add, **label, **label_file, **link,
		**link_local_ip, **log_opt, **mount, **network, **network_alias, **publish,
		**security_opt, **storage_opt, **sysctl, **tmpfs, **ulimit, **volume,
		**volumes_from;
	bool detach, interactive, no_healthcheck, privileged, publish_all, quiet, read_only, rm,
		tty, use_api_socket;
	int disable_content_trust, init, oom_kill_disable, sig_proxy;
};

struct update_args {
	char *blkio_weight, *cpu_period, *cpu_quota, *cpu_rt_period, *cpu_rt_runtime, *cpu_shares,
		*cpus, *cpuset_cpus, *cpuset_mems, *memory, *memory_reservation, *memory_swap,
		*pids_limit, *restart;
};

/* What create asks for. */
struct cli_create {
	json_t *body;	   /* of POST /containers/create */
	const char *image; /* borrowed */
	bool in, out, err; /* attached streams */
	bool tty;
};
void cli_create_clear(struct cli_create *c);
/* image and command: the operands. e has docker's words. */
int cli_create_parse(
	struct cmd_call *call, const struct run_args *a, struct cli_create *ret, struct err *e);
/* Creates, pulling the image where the options want it. *ret_id: g_free. */
int cli_create_do(struct cmd_call *call, const struct run_args *a, struct cli_create *c,
	char **ret_id, struct err *e);

extern const struct opt docker_run_opts[];
/* "on-failure:3" as the API has it. */
int cli_restart_policy(const char *text, json_t **ret, struct err *e);

/* --- cli-spec.c: single values; caller owns *ret, which may be NULL with a code. -------------------------------- */

/* "nofile=1024:2048" */
int cli_ulimit(const char *text, json_t **ret, struct err *e);
/* "type=bind,source=...,target=..." */
int cli_mount(const char *text, json_t **ret, struct err *e);
/* "all", "2", "device=1" */
int cli_gpus(const char *text, json_t **ret, struct err *e);
/* "HOST:CTR[:RWM]" */
int cli_device(const char *text, json_t **ret, struct err *e);
/* Fields of a line of CSV; NULL-terminated, g_strfreev. */
int cli_csv(const char *text, char ***ret, struct err *e);
/* "[IP:][HOST:]CTR[/PROTO]" and "target=..,published=..": into ExposedPorts and PortBindings. */
int cli_publish(const char *text, json_t *exposed, json_t *bindings, struct err *e);
int cli_expose(const char *text, json_t *exposed, struct err *e);
/* -v: a bind for HostConfig.Binds, or a volume for Config.Volumes. */
int cli_volume(const char *text, json_t *binds, json_t *volumes, struct err *e);
/* --network: "NAME" or "name=..,alias=..": an object with Name and the endpoint's settings. */
int cli_network(const char *text, json_t **ret_endpoint, char **ret_name, struct err *e);

#endif
