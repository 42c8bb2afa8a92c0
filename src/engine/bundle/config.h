/* SPDX-License-Identifier: MIT */
#ifndef LODGE_BUNDLE_CONFIG_H
#define LODGE_BUNDLE_CONFIG_H

/*
 * An OCI bundle's config.json for Linux as structs: runtime-spec 1.2, config.md and config-linux.md. Reading is
 * pure. What isn't known is ignored, as the specification wants; what is known and wrong is refused with
 * its place ("linux.resources.pids.limit").
 */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

enum {
	CONFIG_TEXT_MAX = 16 << 20,  /* bytes */
	CONFIG_DEPTH_MAX = 128,	     /* objects and lists in each other */
	CONFIG_LIST_MAX = 16 * 1024, /* elements of one list */
};

#define CONFIG_NONE INT64_MIN /* a number that isn't given */

struct config_pair {
	char *key, *value;
};

struct config_rlimit {
	char *type;
	uint64_t soft, hard;
};

struct config_caps {
	char **bounding, **effective, **inheritable, **permitted, **ambient;
};

struct config_user {
	uint32_t uid, gid;
	int64_t umask;
	GArray *groups; /* uint32_t */
};

struct config_scheduler {
	char *policy;
	int64_t nice, priority;
	char **flags;
	uint64_t runtime, deadline, period;
};

struct config_io_priority {
	char *class;
	int64_t priority;
};

struct config_affinity {
	char *initial, *final;
};

struct config_size {
	uint16_t height, width;
};

struct config_process {
	bool terminal;
	struct config_size *console_size;
	struct config_user user;
	char **args, **env;
	char *cwd;
	struct config_caps *caps;
	GPtrArray *rlimits; /* config_rlimit */
	bool no_new_privs;
	char *apparmor, *selinux;
	int64_t oom_score_adj; /* or CONFIG_NONE */
	struct config_scheduler *scheduler;
	struct config_io_priority *io_priority;
	struct config_affinity *affinity;
};

struct config_root {
	char *path;
	bool readonly;
};

struct config_idmap {
	uint32_t container, host, size;
};

struct config_mount {
	char *destination, *type, *source;
	char **options;
	GArray *uid_map, *gid_map; /* config_idmap */
};

struct config_hook {
	char *path;
	char **args, **env;
	int64_t timeout; /* seconds, or CONFIG_NONE */
};

struct config_hooks {
	GPtrArray *prestart, *create_runtime, *create_container, *start_container, *poststart,
		*poststop;
};

struct config_namespace {
	char *type, *path;
};

struct config_device {
	char *path, *type;
	int64_t major, minor;
	int64_t mode, uid, gid; /* or CONFIG_NONE */
};

struct config_device_rule {
	bool allow;
	char *type, *access;
	int64_t major, minor; /* -1: all */
};

struct config_memory {
	int64_t limit, reservation, swap, kernel, kernel_tcp, swappiness;
	bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct config_cpu {
	uint64_t shares;
	int64_t quota, burst, rt_runtime, idle;
	uint64_t period, rt_period;
	char *cpus, *mems;
};

struct config_weight_device {
	int64_t major, minor, weight, leaf_weight;
};

struct config_throttle {
	int64_t major, minor;
	uint64_t rate;
};

struct config_block_io {
	int64_t weight, leaf_weight;
	GPtrArray *weight_devices;				  /* config_weight_device */
	GPtrArray *read_bps, *write_bps, *read_iops, *write_iops; /* config_throttle */
};

struct config_hugepage {
	char *size;
	uint64_t limit;
};

struct config_interface {
	char *name;
	int64_t priority;
};

struct config_network {
	int64_t class_id;
	GPtrArray *priorities; /* config_interface */
};

struct config_pids {
	int64_t limit;
};

struct config_resources {
	GPtrArray *devices; /* config_device_rule */
	struct config_memory *memory;
	struct config_cpu *cpu;
	struct config_pids *pids;
	struct config_block_io *block_io;
	GPtrArray *hugepages; /* config_hugepage */
	struct config_network *network;
	GPtrArray *rdma;    /* config_pair: a device and "hca_handle=N hca_object=N" */
	GPtrArray *unified; /* config_pair */
};

struct config_time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

struct config_time_offsets {
	struct config_time_offset *monotonic, *boottime;
};

struct config_personality {
	char *domain;
	char **flags;
};

struct config_linux {
	GPtrArray *namespaces;	   /* config_namespace */
	GArray *uid_map, *gid_map; /* config_idmap */
	struct config_time_offsets time_offsets;
	GPtrArray *devices; /* config_device */
	char *cgroups_path;
	struct config_resources resources;
	GPtrArray *sysctls; /* config_pair */
	char *rootfs_propagation;
	char **masked, **readonly;
	char *mount_label;
	struct config_personality *personality;
	/* the filter's text, and what it asks somebody through */
	char *seccomp, *listener_path, *listener_metadata;
};

struct config {
	char *version;
	char *hostname, *domainname;
	struct config_root *root;
	struct config_process *process;
	GPtrArray *mounts; /* config_mount */
	struct config_hooks hooks;
	GPtrArray *annotations; /* config_pair */
	struct config_linux linux_;
};

/* Reads and checks a config.json. *ret: config_free(). -E_INVALID, -E_LIMIT, -E_UNSUPPORTED. */
int config_read(const char *text, size_t n, struct config **ret, struct err *e);
void config_free(struct config *c);
void config_freep(struct config **c);

/* The same for the `process` part alone (exec's --process). *ret: config_process_free(). */
int config_process_read(const char *text, size_t n, struct config_process **ret, struct err *e);
void config_process_free(struct config_process *p);
void config_process_freep(struct config_process **p);
/* Checks what is left of it after options of the command line have changed it. */
int config_process_check(const struct config_process *p, struct err *e);

/* The same for `linux.resources` (update's --resources). *ret: config_resources_free(). */
int config_resources_read(const char *text, size_t n, struct config_resources **ret, struct err *e);
struct config_resources *config_resources_new(void);
void config_resources_free(struct config_resources *r);
void config_resources_freep(struct config_resources **r);
struct config_memory *config_memory_new(void);
struct config_cpu *config_cpu_new(void);

const struct config_namespace *config_namespace(const struct config *c, const char *type);

#endif
