/* SPDX-License-Identifier: MIT */
#ifndef LODGE_BUNDLE_H
#define LODGE_BUNDLE_H

/*
 * An OCI bundle as a plan. The specification's words become steps; nothing of the host is changed here. Nobody
 * stays beside the container: its first process waits at a fifo until it is started, or executes its command at
 * once where there is no fifo.
 */

#include "engine/bundle/config.h"
#include "host/plan.h"

/* A scope of systemd's. The cgroup is where it will be. */
struct bundle_unit {
	const char *manager; /* "system" or "user" */
	const char *name, *slice;
	unsigned version; /* systemd's */
};

struct bundle {
	const struct config *config;
	const char *id;
	const char *dir;    /* of the bundle, absolute */
	const char *rootfs; /* absolute, without links */
	const char *state_dir;
	const char *cgroup;		/* "a/b"; NULL: none is made */
	const struct bundle_unit *unit; /* systemd makes the cgroup; NULL: this program does */
	bool all_controllers; /* somebody named the cgroup, who may look for it in every hierarchy */
	const char *
		state; /* the container's record, for step "first"; written to state_dir/state.json */
	const char *fifo;	    /* in state_dir; NULL: don't wait */
	const char *pid_file;	    /* or NULL */
	const char *console_socket; /* "": the terminal's master stays with the executor */
	const char *cache_dir;	    /* of compiled filters, or NULL */
	bool no_pivot, no_keyring, rootless;
	unsigned preserve_fds;
};

/* The steps of create, or of run when there is no fifo. Undone they leave nothing. */
int bundle_plan_create(const struct bundle *b, struct plan *p, struct err *e);

/* What `delete` undoes: the parts of the above that outlive the first process. */
void bundle_plan_remains(
	const char *state_dir, const char *cgroup, const struct bundle_unit *unit, struct plan *p);

struct bundle_exec {
	const struct config *config;	      /* of the container, for its filter */
	const struct config_process *process; /* what to execute */
	const char *cgroup;
	const char *v2_cgroup; /* what it is cloned into: `cgroup`, or a part of it */
	char **parts; /* of v1: "CONTROLLERS:PATH" with a whole path, "" for all controllers; or NULL */
	const char *namespaces; /* "mnt,pid": those that aren't the caller's */
	const char *pid_file, *console_socket, *cache_dir;
	unsigned preserve_fds;
	bool no_keyring;
	bool unprivileged; /* not root: the executor itself goes into the container's user namespace */
	const char *id, *dir;
};

/* A further process. run->guest_fd must be the pidfd of the first one. */
int bundle_plan_exec(const struct bundle_exec *x, struct plan *p, struct err *e);

/* systemd.c: limits, as bundle_limits() has them, as properties of a unit of that version: AT_HOST, for update. What
 * systemd has no property for is passed over, since the files of the cgroup are written too. */
void bundle_plan_unit_set(const struct bundle_unit *u, const GPtrArray *limits, struct plan *p);

/* --- criu.c: checkpoint and restore --- */

struct bundle_criu {
	const struct config *config;
	const char *program;	   /* criu: a path, or a name to look for */
	const char *images, *work; /* folders, absolute */
	const char *rootfs, *dir;  /* as in struct bundle */
	const char *cgroup;	   /* or NULL */
	const char *cgroup_mode;   /* of criu's --manage-cgroups; NULL: "soft" */
	pid_t pid;		   /* checkpoint: of the container's first process */
	const char *parent;  /* checkpoint: images of a pre-dump, relative to `images`; or NULL */
	const char *streams; /* checkpoint: text of descriptors.json, or NULL */
	const char *page_server, *lsm_profile, *lsm_mount_context; /* or NULL */
	/* checkpoint: files of the host that it has open, as criu's --external has them; restore: what stands
	 * for them, as --inherit-fd has it. NULL-terminated, or NULL */
	char **externals;
	int status_fd; /* or -1 */
	bool tcp_established, skip_in_flight, link_remap, ext_unix_sk, shell_job, file_locks,
		auto_dedup, lazy_pages, leave_running, pre_dump, empty_net;
};

int bundle_plan_checkpoint(const struct bundle_criu *x, struct plan *p, struct err *e);
/* The steps of a container whose processes are criu's images. Undone they leave nothing. */
int bundle_plan_restore(
	const struct bundle *b, const struct bundle_criu *x, struct plan *p, struct err *e);

/* limits.c: the resources as cgroup_set() takes them, in the order in which they must be set. The list is of
 * struct config_pair; caller frees with g_ptr_array_unref. */
GPtrArray *bundle_limits(const struct config_resources *r);
/* Device rules for step "cgroup-devices": the resources' and those of every container. g_strfreev. */
char **bundle_device_rules(const struct config *c);

/* state.c: the state of runtime.md as JSON with @PID@ in it, for hooks and the filter's listener. g_free. */
char *bundle_state(const struct config *c, const char *id, const char *dir, const char *status);

/* hooks.c: appends a list's hooks with their state. */
void bundle_plan_hooks(struct plan *p, enum step_at at, const GPtrArray *hooks, const char *label,
	const char *state);

#endif
