/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_RUNC_START_H
#define LODGE_DIALECT_RUNC_START_H

/* What create, run and restore share: a bundle and the options, made into a plan and run. create.c. */

#include "dialect/runc/runc.h"

struct create_args {
	char *bundle, *console_socket, *pid_file;
	bool no_pivot, no_new_keyring;
	int64_t preserve_fds;
	/* run and restore only */
	bool detach, keep, no_subreaper;
};

struct start {
	struct runc *r;
	struct create_args *args;
	struct config *config;
	struct bundle bundle;
	struct cgroup_place cgroup;
	struct bundle_unit unit;
	char *dir, *rootfs, *state_dir, *record, *fifo, *pid_file, *socket, *cache;
};

/* detach: nobody is there for a terminal but a socket. wait: the first process waits for `start`. */
int start_prepare(struct start *s, struct cmd_call *call, struct create_args *args, bool detach,
	bool wait, struct err *e);
void start_done(struct start *s);
/* Blocks signals and becomes the reaper of orphans, as a parent in the foreground must. */
void start_foreground(const struct create_args *args);
/* Runs a plan that makes the container. */
int start_run(struct start *s, struct step_run *run, struct plan *p, struct err *e);
/* Hooks, and in the foreground its end: the exit status. */
int start_follow(struct start *s, const char *id, struct step_run *run, struct err *e);

#endif
