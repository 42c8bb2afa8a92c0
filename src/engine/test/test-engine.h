/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TEST_ENGINE_H
#define LODGE_TEST_ENGINE_H

/*
 * The engine for tests: no namespaces, no root, nothing executed. A guest is a process of ours that plays
 * the monitor (monitor/proto.h, status file and log like the real one's) and, in its memory, the guest: it
 * knows a few commands.
 *
 *	true, false, echo WORD..., env, pwd, hostname, cat (standard input to its end), sleep SECONDS,
 *	exit N, err WORD... (as echo, on standard error), trap N (leaves with N on SIGTERM, from here on),
 *	sh -c 'COMMAND; COMMAND...'; sh alone reads commands, a line each
 *
 * Other names are "not found", files of /etc "not executable", as the kernel would have it.
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"
#include "engine/engine.h"

/* --- program.c: the play of one command, pure --------------------------------------------------------- */

struct program {
	GQueue commands;   /* char **: what is still to be done */
	GString *out, *err; /* what it has written and nobody took yet */
	GString *in;	   /* of `sh` alone: a line that isn't complete */
	bool reads, shell; /* cat or sh runs: wants input */
	int64_t sleeps_until; /* ns; 0: isn't asleep */
	bool over;
	int code;
	int trap;	   /* status for SIGTERM; -1: dies of it */
	const char *const *env; /* these are borrowed */
	const char *cwd, *hostname;
};

/* -E_COMMAND_NOTFOUND, -E_COMMAND_NOEXEC. */
int program_init(struct program *p, char *const *argv, struct err *e);
void program_clear(struct program *p);
/* Goes on until it sleeps, reads or is over. now: ns, any clock. */
void test_program_run(struct program *p, int64_t now);
/* n 0: the end. */
void program_input(struct program *p, const char *data, size_t n, int64_t now);
void program_signal(struct program *p, int sig);

/* --- server.c ---------------------------------------------------------------------------------------------- */

/* The process beside the guest: never returns. conn: the first connection, attached as flags say. */
_Noreturn void test_serve(const struct engine_start *s, int conn, unsigned attach, bool remove,
	const char *self);

#endif
