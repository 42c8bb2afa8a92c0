/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CREATE_H
#define LODGE_DOCKER_CREATE_H

/*
 * The documents of `POST /containers/create` (swagger: ContainerConfig, HostConfig, NetworkingConfig) as tables, and a
 * spec made of them. Types are checked where they are read, so an error names its place: "HostConfig.Memory".
 *
 * What was asked for is kept in the guest's document ("Config", "HostConfig"), for inspect: the spec doesn't
 * remember how it was put.
 */

#include <glib.h>
#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"
#include "codec/json.h"
#include "engine/spec.h"

struct create_throttle {
	char *path;
	int64_t rate;
};

struct create_restart_policy {
	char *name;
	int retries;
};

struct create_host {
	char **binds, **cap_add, **cap_drop, **dns, **dns_options, **dns_search, **extra_hosts,
		**group_add, **links, **security_opt, **volumes_from, **device_rules, **masked,
		**readonly;
	char *cid_file, *network_mode, *ipc, *cgroup_ns, *cgroup, *pid, *userns, *uts, *isolation,
		*cgroup_parent, *cpuset_cpus, *cpuset_mems, *runtime, *volume_driver;
	bool auto_remove, privileged, publish_all, read_only, init, oom_kill_disable;
	int oom_score_adj;
	int64_t memory, memory_reservation, memory_swap, swappiness, kernel_memory, nano_cpus,
		cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime, cpu_shares, pids,
		blkio_weight, shm_size;
	GPtrArray *read_bps, *write_bps, *read_iops, *write_iops; /* struct create_throttle */
	GPtrArray *ulimits;					  /* struct create_ulimit */
	GPtrArray *devices;					  /* struct create_device */
	GPtrArray *mounts;					  /* struct create_mount */
	struct create_restart_policy restart;
};

struct create_config {
	char *hostname, *domainname, *user, *image, *cwd, *mac, *stop_signal;
	bool attach_stdin, attach_stdout, attach_stderr, tty, open_stdin, stdin_once, args_escaped,
		network_disabled;
	char **env, **shell, **on_build;
	int stop_timeout;
};

struct create_ulimit {
	char *name;
	int64_t soft, hard;
};

struct create_device {
	char *host, *guest, *access;
};

struct create_bind {
	char *propagation;
	bool non_recursive, create, rro_off, rro_force;
};

struct create_volume {
	bool no_copy;
	char *subpath;
};

struct create_tmpfs {
	int64_t size;
	int mode;
};

struct create_mount {
	char *type, *source, *target, *consistency;
	bool read_only;
	struct create_bind bind;
	struct create_volume volume;
	struct create_tmpfs tmpfs;
};

extern const struct json_struct create_host_struct, create_config_struct;

struct create {
	struct ctx *c;
	json_t *body; /* borrowed */
	json_t *doc;  /* the guest's document */
	struct spec *spec;
	struct create_config config;
	struct create_host host;
	char **argv, **entrypoint; /* NULL: the image's */
	GPtrArray *warnings;	   /* texts */
};

/* Fills what is not borrowed; create_clear() in any case. */
int create_read(struct ctx *c, json_t *body, struct create *ret, struct err *e);
void create_clear(struct create *k);
/* create-host.c: HostConfig and NetworkingConfig. */
int create_host(struct create *k, struct err *e);
/* Resources, of create and of update. */
int create_limits(const struct create_host *h, struct spec *s, struct err *e);
int create_restart(const struct create_host *h, struct spec *s, struct err *e);

/* "CMD" or ["CMD", "ARG"]: a list; NULL with 0 for null and what isn't there. Caller frees. */
int create_words(const json_t *j, const char *where, char ***ret, struct err *e);

#endif
