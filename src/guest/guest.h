/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_H
#define LODGE_GUEST_H

/*
 * Guests and their life cycle: the one model that all dialects use.
 *
 * States: created -> running <-> paused -> exited, and restarting while the monitor waits for its
 * back-off. A guest whose monitor is gone while its first process lives is "running" with
 * `unmonitored` set; one whose processes are gone is cleaned (its plan undone) by the next command
 * that sees it. "dead" is a guest whose removal failed half-way.
 *
 * All functions take the per-guest lock where they change something. `ref` is a name, an id or a
 * unique prefix of one, in the realm given or in any (NULL).
 */

#include <glib.h>
#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"
#include "engine/engine.h"
#include "engine/spec.h"
#include "store/event.h"
#include "store/store.h"

enum guest_state {
	GUEST_CREATED,
	GUEST_STARTING,
	GUEST_RUNNING,
	GUEST_PAUSED,
	GUEST_RESTARTING,
	GUEST_EXITED,
	GUEST_DEAD,
	_GUEST_STATE_MAX,
};
const char *guest_state_name(enum guest_state s);

struct guest {
	struct guest_record *rec;
	struct spec *spec; /* decoded on guest_get; NULL from guest_list without GUEST_WITH_SPEC */
	enum guest_state state;
	pid_t pid, monitor;   /* 0: none */
	bool unmonitored, oom;
	int exit_code, restarts;
	int64_t started, finished; /* nanoseconds; 0: never */
	char *error;	      /* of the last failed start, or NULL */
};
static inline bool guest_is_up(const struct guest *g)
{
	return g->state == GUEST_RUNNING || g->state == GUEST_PAUSED || g->state == GUEST_RESTARTING ||
	       g->state == GUEST_STARTING;
}
void guest_free(struct guest *g);
void guest_freep(struct guest **g);

int guest_get(struct ctx *c, const char *realm, const char *ref, struct guest **ret, struct err *e);
enum { GUEST_WITH_SPEC = 1 };
/* Newest first; elements are struct guest. Reads one row and one small file a guest. */
int guest_list(struct ctx *c, const char *realm, unsigned flags, GPtrArray **ret, struct err *e);

/* What a dialect asks for: a spec that lacks what the image and the defaults know. */
struct seed;
struct guest_request {
	const char *realm, *name; /* name NULL: made up ("brave_hopper") */
	const char *image;	  /* reference; NULL with spec->rootfs */
	const char *doc;	  /* the dialect's own document, JSON; NULL: "{}". The model knows "labels" */
	struct spec *spec;	  /* taken over */
	char **argv;		  /* the user's command, NULL: the image's */
	char **entrypoint;	  /* NULL: the image's; an empty list: none */
	const char *cidfile;
	struct seed *seed;	  /* of a machine that boots by itself, without what the guest knows; or NULL */
	GPtrArray *notes;	  /* lines for the user are added (g_free); NULL: not wanted */
	bool publish_all;	  /* the ports that the image exposes, too */
};

/* Fills spec from the image, checks it, makes the folders and the record (one journalled plan). */
int guest_create(struct ctx *c, struct guest_request *q, struct guest **ret, struct err *e);
/* 1 when it was running already. */
int guest_start(struct ctx *c, struct guest *g, struct err *e);
/* For people, before a boot's first machine: why machines are emulated here; NULL: they aren't, or it was
 * said. Static. */
const char *guest_emulated(struct ctx *c);
struct guest_stdio;
/* Create and start in one go: `run`. With io stays attached until the guest ends, removes an auto_remove
 * one, and returns its exit code (or SESSION_DETACHED); without io returns 0 when the command runs. *ret
 * may be NULL after an error. With c->explain shows both plans. */
int guest_run(struct ctx *c, struct guest_request *q, const struct guest_stdio *io, struct guest **ret,
	struct err *e);
/* signal 0: the guest's stop signal; timeout -1: the guest's own, in seconds. 0 at once. */
int guest_stop(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e);
int guest_restart(struct ctx *c, struct guest *g, int sig, int timeout, struct err *e);
int guest_kill(struct ctx *c, struct guest *g, int sig, struct err *e);
int guest_pause(struct ctx *c, struct guest *g, struct err *e);
int guest_unpause(struct ctx *c, struct guest *g, struct err *e);
/* force: kills a running one. volumes: its anonymous ones too. */
int guest_remove(struct ctx *c, struct guest *g, bool force, bool volumes, struct err *e);
/* Gives it the limits and the restart policy that g->spec has by now, running or not, and keeps them. doc: the new
 * document of the dialect, JSON; NULL: as it is. With c->explain shows the steps. */
int guest_update(struct ctx *c, struct guest *g, const char *doc, struct err *e);
int guest_rename(struct ctx *c, struct guest *g, const char *name, struct err *e);
/* What the networks gave a running guest: {"networks": [{"network", "address", ...}], "ports": [{"proto",
 * "host_addr", "host", "guest", "count"}]}; NULL: nothing. Caller owns it. */
json_t *guest_net(struct ctx *c, const struct guest *g);
/* Until it is not running (next: until its next exit). Returns the exit code. */
int guest_wait(struct ctx *c, struct guest *g, bool next, struct err *e);

/* A session with the guest's terminal or pipes: the main process, or an exec. */
struct guest_session;
struct guest_stdio {
	int in, out, err;	 /* the caller's; -1: none */
	bool tty;		 /* in is a terminal to put in raw mode, resizes are passed on */
	const char *detach_keys; /* "ctrl-p,ctrl-q"; "": none */
	bool proxy_signals;	 /* SIGINT, SIGTERM, ... go to the guest */
	/* Takes the output instead of out and err: stream 1 or 2. 0 or a code, which ends the session. */
	int (*output)(void *data, int stream, const void *p, size_t n);
	void *data;
	int sizes; /* a socket whose packets are sizes of the terminal (uint32_t: rows << 16 | columns); 0: none */
};
enum { SESSION_DETACHED = 1000 }; /* returned by the two below instead of an exit code */
/* Attaches before the start where the guest isn't running yet and `start`, so that no output is lost. */
int guest_attach(struct ctx *c, struct guest *g, const struct guest_stdio *io, bool start, bool replay,
	struct err *e);
int guest_exec(struct ctx *c, struct guest *g, const struct engine_exec *x, bool detach,
	const struct guest_stdio *io, struct err *e);

/*
 * For those who attach before somebody else starts the guest: waits for that, and gives the connection to its monitor, by
 * which no byte of output is lost, for guest_session(). Also when it runs already. ready() is called when the start may come,
 * and ends it with a code. -ECANCELED when cancel_fd hangs up.
 */
int guest_await(struct ctx *c, struct guest *g, const struct guest_stdio *io, int (*ready)(void *data), void *data,
	int cancel_fd, struct err *e);
/* The session over what guest_await() gave; as guest_attach(). */
int guest_session(struct ctx *c, struct guest *g, int fd, const struct guest_stdio *io, struct err *e);
/* Of the terminal of its first process. */
int guest_resize(struct ctx *c, struct guest *g, unsigned rows, unsigned columns, struct err *e);

struct guest_log_query {
	bool follow, timestamps, out, err;
	int64_t since, until; /* nanoseconds; 0: no limit */
	int64_t tail;	      /* lines; -1: all */
	/* All goes to out_fd, each record behind 8 bytes: its stream (1, 2), 0, 0, 0, its length in network order. */
	bool frames;
};
/* Writes to two descriptors; returns at the end, or with follow when the guest has ended. */
int guest_logs(struct ctx *c, struct guest *g, const struct guest_log_query *q, int out_fd, int err_fd,
	struct err *e);

/* Files. Paths are the guest's, resolved inside its root. Running guests are read and written through
 * their own mounts; stopped ones through a mount of their layers in a private namespace. */
int guest_copy_out(struct ctx *c, struct guest *g, const char *path, const char *host_path, bool follow,
	bool archive, struct err *e); /* host_path "-": a tar on standard output */
int guest_copy_in(struct ctx *c, struct guest *g, const char *host_path, const char *path, bool follow,
	bool archive, struct err *e); /* host_path "-": a tar from standard input */
/* What stands at path, links at its end not followed. -E_NOTFOUND. Of containers only. */
struct guest_file {
	uint32_t mode; /* st_mode */
	int64_t size, mtime; /* bytes, nanoseconds */
	char name[256], target[4096]; /* target: of a link, else "" */
};
int guest_stat(struct ctx *c, struct guest *g, const char *path, struct guest_file *ret, struct err *e);
/* Array of {"Path": "/x", "Kind": 0 modified | 1 added | 2 deleted}, docker's numbers. */
int guest_diff(struct ctx *c, struct guest *g, json_t **ret, struct err *e);
int guest_export(struct ctx *c, struct guest *g, int out_fd, struct err *e);

/* {"Titles": [], "Processes": [[]]}. ps: options of ps(1), NULL: "-ef". */
int guest_top(struct ctx *c, struct guest *g, char *const *ps, json_t **ret, struct err *e);
int guest_stats(struct ctx *c, struct guest *g, json_t **ret, struct err *e); /* one sample */
/* Everything about it, for inspect: our own form (docker's is the docker dialect's). */
int guest_inspect(struct ctx *c, struct guest *g, json_t **ret, struct err *e);

/* A name for a volume that wasn't given one: 64 hexadecimal digits. Caller frees. */
char *volume_name_make(void);

/* The guests whose `wanted` flag and restart policy ask for it: at boot. Returns how many. */
int guest_boot(struct ctx *c, struct err *e);

/* Finds what doesn't fit together (records without folders, folders without records, mounts, cgroups,
 * interfaces, rules, layers, blobs). One line a problem to problems; repair: mends. */
int guest_fsck(struct ctx *c, bool repair, GPtrArray *problems, struct err *e);

#endif
