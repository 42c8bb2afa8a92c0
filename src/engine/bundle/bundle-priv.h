/* SPDX-License-Identifier: MIT */
#ifndef LODGE_BUNDLE_PRIV_H
#define LODGE_BUNDLE_PRIV_H

/* What the files of this folder share. */

#include "engine/bundle/bundle.h"

/* process.c: what a process carries, in the halves around what only create has between them. */
struct bundle_process {
	const struct config *config;
	const struct config_process *process;
	const char *cache_dir, *id, *dir;
	unsigned preserve_fds;
	bool no_keyring;
	bool user_ns;	  /* the process is in one of the container's */
	bool exec;	  /* one more in a container that runs */
	uint64_t caps[5]; /* bounding effective inheritable permitted ambient: filled by _check */
	const char *filter, *filter_flags;
	bool filter_notifies;
};

int bundle_process_check(struct bundle_process *b, struct plan *p, struct err *e);
/* AT_PARENT: limits, oom score */
void bundle_process_parent(const struct bundle_process *b, struct plan *p);
/* AT_CHILD, up to and including the capabilities */
void bundle_process_first(const struct bundle_process *b, struct plan *p);
/* AT_CHILD: from no_new_privs on, to the exec */
void bundle_process_last(const struct bundle_process *b, struct plan *p);

/* mounts.c */
int bundle_plan_mounts(
	const struct bundle *b, const char *controllers, struct plan *p, struct err *e);
/* AT_HOST: the sources of mounts with ids of their own, before the clone */
int bundle_plan_sources(const struct bundle *b, struct plan *p, struct err *e);
/* root's propagation for the namespace: "rslave" */
int bundle_propagation(const struct config *c, const char **ret, struct err *e);

/* What every container has in its /dev, NULL at the end. */
extern const char *const bundle_default_devices[];

/* plan.c: the cgroup with its limits; `controllers` are those that it is in (CGROUP_PATH_MAX bytes). at: where
 * run->child is one for the scope, if systemd is to make it */
int bundle_plan_cgroup(
	const struct bundle *b, enum step_at at, char controllers[], struct plan *p, struct err *e);
void bundle_plan_device_rules(const struct bundle *b, enum step_at at, struct plan *p);
/* what others read about the container */
void bundle_plan_records(const struct bundle *b, enum step_at at, struct plan *p);

/* systemd.c: the scope, with the limits that systemd knows. */
int bundle_plan_unit(const struct bundle *b, enum step_at at, const GPtrArray *limits,
	struct plan *p, struct err *e);

/* "0 1000 1,1 100000 65536" */
const char *bundle_map_text(struct plan *p, const GArray *map);

#endif
