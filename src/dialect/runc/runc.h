/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_RUNC_H
#define LODGE_DIALECT_RUNC_H

/*
 * The command lines of runc(8) and crun(1) over engine/bundle. A command is one file with one row at its end, and
 * one entry in the list of root.c. No store, no monitor: what is known of a container stands in
 * ROOT/ID/state.json, in the form that runc has, so that either program can list what the other made.
 *
 * It is a static program of its own, lodge-runc: a start costs half a millisecond and little more than one MiB.
 */

#include <jansson.h>
#include <stdio.h>
#include "base/ctx.h"
#include "base/opt.h"
#include "engine/bundle/bundle.h"

/* What stands before the command, and what all commands share. cmd_call.c is a pointer to its ctx. */
struct runc {
	struct ctx ctx; /* first: a command finds this struct by it */
	bool debug, systemd_cgroup, version;
	char *log, *log_format, *root, *criu, *rootless, *cgroup_manager;
	const char *name; /* "runc" or "crun" */
	const char *command;
	bool is_rootless;
	char **argv; /* main's */
};

static inline struct runc *runc_of(const struct cmd_call *call)
{
	return (struct runc *)call->c;
}

int runc_main(int argc, char **argv);
extern const struct cmd *const runc_commands[];
extern const struct cmd runc_root; /* for help */
extern const struct opt_policy opt_policy_runc;

/* --- errors.c: runc's words and statuses --- */

/* Says it in the log (and on standard error when that is elsewhere). The exit status. */
int runc_failed(struct runc *r, int code, struct err *e);
void runc_log(struct runc *r, const char *level, const char *text);
/* With --debug: the steps, each as the command that a person would type. */
void runc_log_plan(struct runc *r, const struct plan *p);
/* By `lodge explain`: shows the plan, or these words, as commands; then there is nothing more to do. Else false. */
bool runc_explains(struct runc *r, const struct plan *p);
bool runc_explains_as(struct runc *r, const char *fmt, ...) _printf_(2, 3);
/* What a command returns in the place of an exit status that it knows: any from 0 to 255. */

/* --- state.c --- */

enum container_status {
	STATUS_CREATED,
	STATUS_RUNNING,
	STATUS_PAUSED,
	STATUS_STOPPED,
};

struct container {
	char *id, *dir;
	json_t *doc; /* of state.json */
	const char *created, *version, *bundle, *rootfs,
		*cgroup;	 /* cgroup: NULL when there is none */
	struct bundle_unit unit; /* name NULL: the cgroup isn't systemd's */
	pid_t pid;
	uint64_t start;
	uid_t owner;
	bool no_pivot;
	enum container_status status;
};

const char *status_name(enum container_status s);
int check_id(const char *id, struct err *e);
/* -E_NOTFOUND "container does not exist". */
int container_load(struct runc *r, const char *id, struct container **ret, struct err *e);
void container_free(struct container *c);
void container_freep(struct container **c);
/* Asks the kernel again. */
void container_refresh(struct container *c);
/* All below the root, sorted; those that can't be read are said in the log. Of struct container. */
GPtrArray *container_list(struct runc *r);
/* The record of a new one, with @PID@ and @START@ in it. g_free. */
char *container_record(const struct bundle *b, const struct runc *r);
/* "annotations" of the state as the label list has them; caller decrefs. */
json_t *container_annotations(const struct container *c);
/* The config.json of its bundle. */
int container_config(const struct container *c, struct config **ret, struct err *e);
/* Kills what is left, undoes the plan's remains, runs the poststop hooks. config: its bundle's, where it is known;
 * NULL: it is read. */
int container_remove(
	struct runc *r, struct container *c, const struct config *config, struct err *e);
/* Sends a signal to the first process, if it is still that one. */
int container_signal(const struct container *c, int signal, struct err *e);

/* A file of at most CONFIG_TEXT_MAX bytes; "-": standard input. g_free. */
int read_text_file(const char *path, char **ret, size_t *ret_n, struct err *e);

/* --- cgroup.c: where a new container's is --- */

struct cgroup_place {
	char *path;	    /* NULL: none */
	char *unit, *slice; /* of systemd; NULL: this program makes it */
	const char *manager;
	unsigned version;
};
int cgroup_place_of(struct runc *r, const struct config *c, const char *id,
	struct cgroup_place *ret, struct err *e);
void cgroup_place_done(struct cgroup_place *p);

/* --- wait.c: the parent of a process in the foreground --- */

/* Waits for it, passing signals on, and the terminal when master isn't -1. The exit status. */
int follow_process(pid_t pid, int master, struct err *e);
/* Signals are blocked from before the process is there, so that none is lost. */
void block_signals(void);

/* --- commands --- */

extern const struct cmd runc_create, runc_run, runc_start, runc_state, runc_kill, runc_delete,
	runc_list, runc_spec, runc_exec, runc_ps, runc_events, runc_update, runc_pause, runc_resume,
	runc_features, runc_checkpoint, runc_restore;

#endif
