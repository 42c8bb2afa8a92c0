/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ENGINE_H
#define LODGE_ENGINE_H

/*
 * An engine turns a spec into a running guest. Its operations build plans and talk to the guest's
 * monitor; guest/ owns the records and the order of things. A slot that is NULL is a thing that this
 * engine can't do. Every slot has flags (0 for now, unless named here).
 */

#include "base/err.h"
#include "engine/spec.h"
#include "host/plan.h"

struct ctx;

/* What guest/ gives an engine for a start, beside the spec. Borrowed for the call. */
struct engine_start {
	const char *id;		  /* 64 hexadecimal digits */
	const char *name;
	const struct spec *spec;
	const char *dir;	  /* guests/ID: upper, work, log, plan ... */
	const char *run_dir;	  /* /run/lodge/guests/ID: socket, status */
	struct plan *plan;	  /* steps of the network and the volumes stand in it already (AT_HOST) */
	const struct plan *net;	  /* AT_PARENT and AT_CHILD steps of the network, placed by the engine; or NULL */
	const char *resolv_conf, *hosts; /* texts for /etc, or NULL: leave the image's own */
	const char *events;	  /* where the monitor tells its end, or NULL */
	const char *attributes;	  /* for that: members of a JSON object, without the braces */
	/* The guest's own folder, of a machine that is started without its command, only for its lodge-init's
	 * services (MSG_SERVE): dir and run_dir are folders of this run alone. It ends with the connection
	 * that start gives. NULL: an ordinary start. */
	const char *held;
	/* It runs, and the plan is for its next start: what it has in use is its own. */
	bool running;
};

struct engine_exec {
	char **argv, **env;	/* env: added to the guest's */
	char *cwd, *user;	/* NULL: the guest's */
	bool tty, privileged;
};

enum {
	ENGINE_CARRIED = 1
};

struct engine_ops {
	const char *name;
	/* Adds to s->plan what a new guest's own folder, s->dir, is made of. Pure. */
	int (*plan_create)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* Adds to s->plan all that starts the guest. Pure: explain calls it without root. */
	int (*plan_start)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* Runs s->plan under a monitor of its own and returns when the guest's command runs: a connection
	 * to the monitor (monitor/proto.h), attached as flags say (ATTACH_*) from before the command's first
	 * byte, so that no output is lost. The caller closes it; while it is open the monitor of an
	 * auto_remove guest leaves the removal to the caller. A failed start is undone. */
	int (*start)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* Plans a further command in a running guest: AT_CHILD steps, for the monitor or for show. Returns
	 * ENGINE_CARRIED where the command can't have the caller's own descriptors. */
	int (*plan_exec)(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
		struct plan *p, uint32_t flags, struct err *e);
	int (*pause)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	int (*resume)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* The limits of the running guest become those of s->spec that are given. */
	int (*update)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* Undoes what a dead monitor left of the guest, by its stored plan. */
	int (*clean)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	/* A folder descriptor of the guest's root: the running one's, or NULL slot/-E_STATE when stopped. */
	int (*open_root)(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
	int (*stats)(struct ctx *c, const struct engine_start *s, json_t **ret, uint32_t flags,
		struct err *e);
	/* Process ids of the host that are in the guest. Caller frees. */
	int (*pids)(struct ctx *c, const struct engine_start *s, pid_t **ret, size_t *ret_n,
		uint32_t flags, struct err *e);
};

extern const struct engine_ops oci_engine;  /* namespaces: engine/oci */
extern const struct engine_ops vm_engine;   /* QEMU: engine/vm */
extern const struct engine_ops test_engine; /* in memory, no root: engine/test */

#endif
