/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CTX_H
#define LODGE_CTX_H

/*
 * What a command needs to know about where it is. Made once by the program, borrowed by everything
 * below it; there are no mutable globals beside the log level.
 *
 * Folders, and the environment variables that move them (tests use nothing else):
 *   root     LODGE_ROOT  /var/lib/lodge, or $XDG_DATA_HOME/lodge when not root
 *   run      LODGE_RUN   /run/lodge, or $XDG_RUNTIME_DIR/lodge when not root
 *   libexec  LODGE_LIBEXEC  where lodge-monitor and lodge-init are: beside the program itself, else
 *            PREFIX/libexec/lodge
 */

#include <stdbool.h>
#include <stdint.h>

struct store;

struct ctx {
	char *root, *run, *libexec; /* absolute, without "/" at the end */
	bool is_root;		    /* effective uid 0 */
	bool explain;		    /* show plans, don't run them */
	int trace_fd;		    /* LODGE_TRACE=json: standard error; -1: none */
	const char *engine;	    /* LODGE_ENGINE: "oci" (default) or "test" */
	struct store *store;	    /* opened on first use by store_get(), store/store.h */
};

/* Fills c from the environment; c->store is NULL (store_get() opens it, store_close() is the program's
 * last act). Aborts on no memory only. */
void ctx_init(struct ctx *c);
void ctx_done(struct ctx *c);

/* Path of one of our helper programs ("lodge-monitor", "lodge-init"): in c->libexec, or where the build
 * leaves it below that. The path is given even when nothing is there. Caller frees with g_free. */
char *ctx_program(const struct ctx *c, const char *name);

#endif
