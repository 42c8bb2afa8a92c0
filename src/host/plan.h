/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PLAN_H
#define LODGE_PLAN_H

/*
 * Steps and plans: how anything changes the host.
 *
 * A plan is data: a list of steps, each an operation's name and its arguments as strings. It is built
 * by pure code from a spec, and then it can be
 *
 *   shown    (explain)  each step as the command that a person would type; the executor isn't called
 *   run                 in order; when one fails, those done are undone in reverse
 *   stored   (journal)  in a file, before the first step, so that another process can undo it
 *   sent                to lodge-monitor, which runs the steps of a guest and keeps what undo needs
 *
 * Because a plan may be undone by a process that doesn't know how far it got, every undo accepts that
 * its step was never run: what isn't there is not an error.
 *
 * It also removes only what is its step's own: a link with another target, an element with another value
 * belongs to somebody else. A step that fails cleans up after itself; its undo isn't called.
 *
 * This file and the steps of host/ use the C library only: they are linked into lodge-monitor.
 */

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/text.h"

struct step;
struct plan;
struct step_run;

/* Where a step runs. */
enum step_at {
	AT_HOST,   /* in the executor, before the guest's first process is there */
	AT_CLONE,  /* the step that makes it: one in a plan at most (see step_clone) */
	AT_PARENT, /* in the executor, while the first process waits; run->child is set */
	AT_CHILD,  /* in the first process: undone by its end, so undo isn't called */
	AT_MEET, /* in the executor, when the first process has come that far: it waits meanwhile */
	_AT_MAX,
};

/* Flags of a step. */
enum {
	STEP_IGNORE = 1 << 0, /* a failure is recorded in the trace only */
	STEP_HOLD =
		1
		<< 1, /* stays over a restart of the guest, and its run accepts that: an address */
	STEP_STAY = 1 << 2, /* undone when the plan fails only: a file in the guest's own folder */
	STEP_MACHINE =
		1
		<< 3, /* of the machine's own plan (see plan_of_machine): its place is meant in there */
};

struct step_ops {
	const char *name; /* one word, unique: "mount", "cgroup-create" */
	const char *args; /* names of the arguments, blank between; "..." at the end: any number */
	/* Does it. Returns a code; sets e only where "NAME 'first argument': cause" isn't enough. */
	int (*run)(struct step_run *r, const struct step *s, struct err *e);
	/* Undoes it; NULL where the end of the guest's processes is the undo. What isn't there is no
	 * error. Uses nothing of r that run stored, except r->child. */
	int (*undo)(struct step_run *r, const struct step *s, struct err *e);
	/* The command a person would type, without newline. Never NULL. Pure. */
	void (*show)(const struct step *s, struct text *t);
};

struct step {
	const struct step_ops *op;
	enum step_at at;
	uint8_t flags;
	unsigned n;		/* arguments */
	const char *const *arg; /* n of them and a NULL; owned by the plan */
};

/* --- building ------------------------------------------------------------------------------------ */

struct plan *plan_new(void);
void plan_free(struct plan *p);
void plan_freep(struct plan **p);

/* Appends a step; the arguments are copied, the list ends with NULL. Aborts when op doesn't take that
 * number of arguments (a bug). Returns the index of the step. */
#define plan_add(p, at, op, ...) plan_addf((p), (at), 0, (op), ##__VA_ARGS__, (const char *)NULL)
unsigned plan_addf(struct plan *p, enum step_at at, unsigned flags, const struct step_ops *op, ...)
	__attribute__((sentinel));
unsigned plan_addv(struct plan *p, enum step_at at, unsigned flags, const struct step_ops *op,
	const char *const *argv, unsigned n);

/* Formats into memory of the plan, for arguments that are built: never NULL, lives as long as p. */
const char *plan_str(struct plan *p, const char *fmt, ...) _printf_(2, 3);

unsigned plan_len(const struct plan *p);
const struct step *plan_step(const struct plan *p, unsigned i);

/*
 * The steps with STEP_MACHINE, without that flag: the plan that lodge-init runs in a virtual machine, with
 * the same operations and the same executor. The host's executor passes them over. They stand in the
 * plan of the host so that one object is shown, kept and sent. Its strings are those of p, which must live
 * as long. plan_free() it.
 */
struct plan *plan_of_machine(const struct plan *p);

/* --- storing ------------------------------------------------------------------------------------- */

/* A table of known operations, NULL at its end. Steps are named in a stored plan and looked up here. */
typedef const struct step_ops *const step_table[];
extern step_table host_steps;

/* The stored form: "lodge plan 1\n" and then, for each step, one line of its place, flags, name and
 * number of arguments and the arguments, each ended by a NUL. Caller frees *ret. */
int plan_encode(const struct plan *p, char **ret, size_t *ret_size);

/* The inverse. tables: NULL-terminated. -E_CORRUPT for anything that plan_encode doesn't write. */
int plan_decode(const char *data, size_t size, const step_table *const tables[], struct plan **ret);

/* --- showing ------------------------------------------------------------------------------------- */

/* Writes the plan as commands, one a line, with a "# in the guest" heading where the place changes. */
void plan_show(const struct plan *p, FILE *f);

/* --- running ------------------------------------------------------------------------------------- */

/*
 * What the steps of one run share. Zero it, set what the caller owns, close what run opened with
 * step_run_done().
 */
struct step_run {
	const struct plan *plan;
	pid_t child;	 /* the process of the clone step as the executor sees it; 0 before */
	int guest_fd;	 /* pidfd of the running guest's first process, for step "enter"; or -1 */
	int child_fd;	 /* pidfd of it, or -1 */
	int cgroup_fd;	 /* where clone puts it (CLONE_INTO_CGROUP), or -1; set by cgroup-create */
	int userns_fd;	 /* whose map "idmapped" uses; set by step "userns"; or -1 */
	int kept_fd[23]; /* what steps of the child left with the executor: see enum kept_fd */
	/* In the child: hands fd to the executor's kept_fd[which]. The child keeps its own copy. */
	int (*keep_fd)(struct step_run *r, unsigned which, int fd);
	int sync_fd;		 /* between executor and child */
	const char *failed_step; /* the name of the step that failed, else NULL */
	unsigned failed;	 /* its index */
	int trace_fd;		 /* LODGE_TRACE=json: one line a step goes here; -1: no trace */
	/* The child part: set by whoever calls plan_run with a clone step. Called in the new process
	 * before the first AT_CHILD step (sets up its stdio); a code ends it. NULL: nothing to do. */
	int (*in_child)(struct step_run *r, struct err *e);
	void *data; /* the caller's */
	/* filled by steps of the child */
	const char *const *env; /* by step "env" */
	unsigned n_env;
	bool keep_taps; /* the undo of "tap" leaves the devices to the executor's exit, which is near */
	bool console;	   /* by step "console": the streams are a terminal of the guest */
	char home[256];	   /* by steps "user" and "ids": for HOME, where the environment has none */
	int mapped_fd[16]; /* by step "mapped-source": by slot; or -1 */
	const char *
		found; /* by step "find-exec": where the command is; freed by nobody, the process goes */
	int fifo_fd; /* by step "fifo": O_PATH, what step "wait-start" opens; or -1 */
	int fd_dir; /* by step "fifo": this process's folder of descriptors in the host's /proc; or -1 */
	int start_fd; /* by step "wait-start": a failure after it is told here; or -1 */
};

enum kept_fd {
	KEPT_DNS,     /* a UDP socket bound in the guest's network namespace (127.0.0.11:53) */
	KEPT_CONSOLE, /* the terminal's master, opened in the guest's devpts */
	KEPT_MACHINE, /* what a machine's lodge-init is talked to by (wire/machine.h) */
	KEPT_QMP,     /* QEMU's monitor */
	KEPT_SERIAL,  /* a machine's serial port */
	KEPT_VNC,     /* where QEMU shall listen for VNC: opened on the host */
	KEPT_TAP,     /* its network cards, KEPT_TAPS of them: open descriptors keep the devices */
	KEPT_TAPS = 8,
	KEPT_ANSWER = KEPT_TAP + KEPT_TAPS,	/* as many: see step "answer" */
	KEPT_SECCOMP = KEPT_ANSWER + KEPT_TAPS, /* the listener of a filter that asks somebody */
	_KEPT_MAX,
};
_Static_assert(_KEPT_MAX <= 23, "kept_fd holds them");

void step_run_init(struct step_run *r, const struct plan *p);
void step_run_done(struct step_run *r);

/*
 * Runs p. On failure undoes what was done, in reverse, and e names the step, its subject and the
 * cause. When there is a clone step, returns after the child has executed the guest's command: what
 * fails in the child (up to and including execve) is reported here as any other step's failure. A child
 * with a step "wait-start" is left waiting there, and what fails after it is told to whoever lets it go.
 *
 * LODGE_FAULT=[PROGRAM:]kill:N kills the process after its Nth step (from 0, over all plans that the
 * process runs), fail:N makes that step fail with EIO instead of running it. PROGRAM is "lodge" when it
 * isn't given; "lodge-monitor" reaches the steps of a guest's start. The tests loop over N.
 */
int plan_run(struct step_run *r, struct err *e) _must_check_;

/* Runs only the steps of one place, in this process, without undo: AT_CHILD for an exec in a running
 * guest (its first process is there already). */
int plan_run_at(struct step_run *r, enum step_at at, struct err *e) _must_check_;

enum undo_why {
	UNDO_FAILED,  /* the plan must be as never run */
	UNDO_RESTART, /* the guest ended and starts again: steps with STEP_HOLD are left alone */
	UNDO_ENDED,   /* the guest ended for good */
};

/* Undoes all steps of the executor, in reverse; goes on after a failure and returns the first. */
int plan_undo(struct step_run *r, enum undo_why why, struct err *e);

#endif
