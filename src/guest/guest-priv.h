/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_PRIV_H
#define LODGE_GUEST_PRIV_H

/* What the files of guest/ share. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "base/macros.h"
#include "guest/guest.h"
#include "monitor/proto.h"

#define GUEST_STATUS_MAX (16 * 1024) /* bytes of a status file */

/* --- status.c: the status file ----------------------------------------------------------------------- */

struct guest_status {
	enum guest_state state;
	pid_t monitor, pid;
	uint64_t monitor_start, pid_start; /* clock ticks; 0: not said */
	int64_t started, finished;
	int exit_code, restarts;
	bool oom;
	char *error; /* or NULL; g_free */
};
/* -E_CORRUPT for what isn't a status file. Unknown keys are skipped: a newer monitor has more. */
int guest_status_parse(const char *text, size_t size, struct guest_status *ret);
void guest_status_clear(struct guest_status *s);
char *guest_status_show(const struct guest_status *s);

/* Fills the state of g from its files and its processes. Never fails: what can't be read is "created". */
void guest_refresh(struct ctx *c, struct guest *g);
/* Whether the process is the one that started then. */
bool process_is(pid_t pid, uint64_t start);

/* --- guest.c ------------------------------------------------------------------------------------------ */

char *guest_dir(struct ctx *c, const struct guest *g);
char *guest_run_dir(struct ctx *c, const struct guest *g);
/* The engine of a name ("oci", "test"). */
int guest_engine(const char *name, const struct engine_ops **ret, struct err *e);
/* What engine operations other than a start need. Free the two folders with engine_at_clear. */
struct engine_at {
	const struct engine_ops *ops;
	struct engine_start s;
	char *dir, *run_dir;
};
int engine_at_init(struct ctx *c, const struct guest *g, struct engine_at *ret, struct err *e);
void engine_at_clear(struct engine_at *a);
int guest_must_run(const struct guest *g, struct err *e);
/* Locks the guest and reads its record and state anew. A descriptor to close, or a code. */
int guest_lock(struct ctx *c, struct guest *g, struct err *e);
/* Undoes what a dead monitor left; the caller has the lock. */
int guest_clean(struct ctx *c, struct guest *g, struct err *e);
/* The attributes of a guest's events, without the braces. Caller frees. */
char *event_attributes(const struct guest *g);
void guest_event(struct ctx *c, const struct guest *g, const char *action, json_t *extra);

/* --- session.c --- */

/* Talks over fd, an attached connection, until the guest (or exec) ends. The exit code,
 * SESSION_DETACHED, or a code. */
int session_run(int fd, const struct guest_stdio *io, struct err *e);
/* Rows << 16 | columns of a terminal; 0: it has none. */
uint32_t session_size(int fd);

/* A packet of MSG_EXIT, waited for on an open connection: the exit code. */
int wait_exit(int fd, struct err *e);

/* --- start.c ------------------------------------------------------------------------------------------ */

/* As guest_start, with the lock held. attach: ATTACH_*. Returns a connection. */
/* The plan of the next start of a guest that runs, by its record, with the addresses and ports that it has now: what a
 * restart by policy will do. Caller frees. */
int guest_replan(struct ctx *c, struct guest *g, struct plan **ret, struct err *e);
int guest_start_locked(struct ctx *c, struct guest *g, unsigned attach, struct err *e);
unsigned attach_flags(const struct guest_stdio *io, bool replay);
/* A connection to the monitor, attached. */
int attach_running(struct ctx *c, struct guest *g, unsigned flags, struct err *e);

/* await.c: with the guest's lock. A connection to the first who waits for the start, and the ATTACH_* flags that it wants;
 * -1: nobody waits. */
int await_first(struct ctx *c, const struct guest *g, unsigned *ret_flags);
/* Gives it the connection to the monitor. */
void await_hand_over(int waiting, int fd);
void await_tell_rest(struct ctx *c, const struct guest *g);
/* Volumes are folders of ours: the engine sees only binds. */
void resolve_volumes(struct ctx *c, struct spec *spec);
/* spec as it is recorded: a start changes the one in memory. */
int guest_fresh_spec(const struct guest *g, struct spec **ret, struct err *e);
/* Of a status file, as guest_refresh() reads it; guest_status_clear() it. */
int guest_status_read(const char *path, struct guest_status *ret);

/* --- remove.c ----------------------------------------------------------------------------------------- */

/* A stopped guest's record, folders, and with volumes its anonymous ones; the caller has the lock. */
int guest_remove_locked(struct ctx *c, struct guest *g, bool volumes, struct err *e);

/* --- connect.c: the monitor's socket -------------------------------------------------------------------- */

/* -E_STATE when no monitor listens. */
int monitor_connect(struct ctx *c, const struct guest *g, struct err *e);
int monitor_send(int fd, unsigned type, unsigned flags, uint32_t value, const void *data, size_t n,
	struct err *e);
/* The same, with a descriptor. */
int monitor_send_fd(int conn, unsigned type, const void *data, size_t n, int fd, struct err *e);
/* Waits for a packet. Returns the size of the payload, in buf (MSG_DATA_MAX bytes); -ECONNRESET when
 * the monitor is gone. */
ssize_t monitor_receive(int fd, struct msg *m, char *buf, struct err *e);
/* MSG_ERROR's payload as an error; returns its code. */
int monitor_error(const struct msg *m, const char *payload, size_t n, struct err *e);

/* --- detach.c: keys that end a session (pure) ----------------------------------------------------------- */

#define DETACH_KEYS_MAX 16

struct detach {
	unsigned char key[DETACH_KEYS_MAX];
	unsigned n, at; /* at: how many have been typed */
};
/* "ctrl-p,ctrl-q", "a,b", "ctrl-\\"; "" is none. */
int detach_parse(const char *text, struct detach *ret, struct err *e);
/* What is typed goes from in to out, without the keys of a detach sequence (held back until it is clear
 * that they are none). out has room for n + DETACH_KEYS_MAX. True: detached. */
bool detach_feed(struct detach *d, const unsigned char *in, size_t n, unsigned char *out,
	size_t *ret_n);

/* --- rootfs.c ------------------------------------------------------------------------------------------- */

/* Calls work with a descriptor of the guest's root: of the running guest, or of a mount of its layers in a
 * private namespace and a child process, where work must not change this process's memory. */
enum {
	ROOT_LOWER = 1, /* the image's layers only, without the guest's own changes; also while it runs */
	ROOT_BARE = 2,	/* without volumes and binds, always in a child */
};
int guest_with_root(struct ctx *c, struct guest *g, unsigned flags,
	int (*work)(int root_fd, void *data, struct err *e), void *data, struct err *e);
/* The same with nothing but layers. */
int layers_with_root(struct ctx *c, char *const *layers,
	int (*work)(int root_fd, void *data, struct err *e), void *data, struct err *e);

/* --- fill.c --------------------------------------------------------------------------------------------- */

/* Fills the guest's empty volumes from its image; before the volumes are made binds. */
int volumes_fill(struct ctx *c, struct guest *g, struct err *e);

/* --- files.c: cp's rules ------------------------------------------------------------------------------------ */

#define LINKS_MAX 40 /* as the kernel has it, path_resolution(7) */

struct copy_job {
	bool out, follow, archive;
	const char *guest_path, *host_path;
	const char *guest; /* its name, for messages */
	uid_t uid;	   /* who owns what arrives */
	gid_t gid;
};

/* A place: a folder and a name in it. */
struct place {
	int dir;
	char *name; /* "." for the folder itself */
	struct stat st;
	bool exists;
};
void place_clear(struct place *p);

/* "a/b/" and "a/b/." without what ends them; "/" stays. */
char *path_strip_end(const char *path);
bool path_wants_contents(const char *path); /* "a/." */
bool path_wants_folder(const char *path);   /* "a/", "a/." */

/* Where the source of a copy goes when PATH is there or not, as "container cp" has it. Pure. src_whole: the
 * source is a folder without a name ("/", "."). */
struct copy_goal {
	bool into;     /* PATH is a folder, and the copy goes into it, as: */
	char *name;    /* "." with contents; else NULL: the copy is PATH */
	bool contents; /* not the folder but what is in it */
};
int copy_target(const char *src_path, bool src_dir, bool src_whole, const char *path, bool exists,
	bool is_dir, struct copy_goal *ret, struct err *e);

int copy_no_such(const struct copy_job *j, const char *path, bool in_guest, int r, struct err *e);
/* root: the guest's, or AT_FDCWD for the host's. */
int copy_find_source(const struct copy_job *j, int root, const char *path, struct place *src,
	struct err *e);
struct copy_tree;
/* how->contents is settled too. */
int copy_find_target(const struct copy_job *j, const char *src_path, bool src_dir, bool src_whole,
	int root, const char *path, struct place *dst, struct copy_tree *how, struct err *e);

/* --- copy.c: trees ---------------------------------------------------------------------------------------- */

struct copy_tree {
	bool keep_owner;     /* else uid and gid are those below */
	uid_t uid;
	gid_t gid;
	bool contents;	     /* the folder's contents, not the folder itself */
};
/* Copies NAME of src_fd to TO of dst_fd (both are folders; the names have no "/"). What is there and is
 * of another kind is replaced, folders are merged. */
int copy_tree(int src_fd, const char *name, int dst_fd, const char *to, const struct copy_tree *how,
	struct err *e);

/* --- machine-create.c ----------------------------------------------------------------------------------- */

#define MACHINE_SEED "seed.iso" /* in the guest's folder */

/* Completes the spec of a machine that boots by itself: disks, firmware, places. Reads the host. */
int machine_fill(struct ctx *c, const struct guest_request *q, struct spec *s, const char *id, struct err *e);
/* Writes the seed to a temporary file, which the caller removes. NULL in explain mode's place: its name only. */
int machine_seed(struct ctx *c, const struct guest_request *q, const struct spec *s, const char *id,
	char **ret_file, struct err *e);
/* What it boots from, for people. Borrowed; NULL: of no machine. */
const char *machine_source(const struct spec *s);

/* --- names.c ------------------------------------------------------------------------------------------------ */

char *name_make(unsigned attempt); /* "brave_hopper"; a digit is added from the third attempt on */
bool name_is_valid(const char *name);
/* 32 random bytes as hexadecimal digits. */
char *id_make(void);

#endif
