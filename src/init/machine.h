/* SPDX-License-Identifier: MIT */
#ifndef LODGE_INIT_MACHINE_H
#define LODGE_INIT_MACHINE_H

/*
 * lodge-init as process 1 of a machine. A single thread around epoll, as the monitor on the other end of the
 * port is (wire/machine.h). It stays in the initramfs: the guest's root is a mount of it, and the guest's
 * command has namespaces of its own, so nothing that the guest renames or unmounts is in its way.
 *
 *   machine-boot.c     what process 1 does until the port is there, and at the end
 *   machine-loop.c     epoll, the port, frames in and out
 *   machine-session.c  streams of commands: pipes and terminals
 *   machine-guest.c    the plan, further commands, their ends
 *   machine-serve.c    services of its own
 */

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "host/plan.h"
#include "wire/machine.h"

struct machine;

/* Something epoll watches. ready() may free the object that the source is in. */
struct source {
	int fd; /* -1: none */
	uint32_t events;
	void (*ready)(struct machine *m, struct source *s, uint32_t events);
};

void source_init(
	struct source *s, int fd, void (*ready)(struct machine *, struct source *, uint32_t));
void source_watch(struct machine *m, struct source *s, uint32_t events); /* 0: not now, but kept */
void source_close(struct machine *m, struct source *s);

/* A command with its streams. */
struct session {
	struct session *next;
	uint32_t id; /* 0: the guest's own command */
	pid_t pid;   /* 0: not running (yet) */
	bool tty, exited, forgotten;
	bool oom; /* of the main one: memory was short while it ran */
	int exit_code;
	struct source in, out, err; /* out is the terminal's master when tty */
	int peer;	/* its other end, so that it doesn't hang up before the end; or -1 */
	uint8_t *parts; /* of its plan or its service's words, while they come */
	size_t n_parts;
	uint32_t window; /* bytes of OUTPUT that may still be sent */
	uint32_t taken;	 /* bytes of INPUT that CREDIT hasn't told yet */
	uint8_t *input;	 /* what couldn't be written yet: MACHINE_WINDOW bytes, or NULL */
	size_t input_at, input_n;
	bool input_end;
};

struct machine {
	int epoll;
	int trace_fd; /* a file without a name that steps write to; -1: nobody wants to know */
	struct source port, signals, dns;
	bool alone;	/* nobody is at the port any more */
	bool lost;	/* what comes isn't our protocol, or memory is out: all is ended */
	bool started;	/* the plan came */
	bool held;	/* it has no command: only services work, until a signal for session 0 */
	bool finished;	/* EXIT or ERROR of the main command was said */
	int64_t cut_at; /* monotonic ms: the end waits no longer for others' output; 0: not set */
	struct session *sessions;
	struct plan *plan;
	struct step_run run; /* of plan */
	uint8_t *queue;	     /* frames that the port couldn't take yet */
	size_t queue_at, queue_n, queue_size;
	struct machine_reader in;
	uint8_t out[MACHINE_HEADER + MACHINE_DATA_MAX];
};

/* machine-boot.c: never returns. */
_Noreturn void machine_main(void);

/*
 * machine-loop.c: all of a machine's life over the port, a descriptor that doesn't block; until the port is
 * lost. A command that runs then isn't disturbed: its monitor was killed, as a container's may be; what it
 * writes to its streams is dropped. When this returns nothing of the guest runs any more, and its file systems are
 * written. The tests call it with a socket. SIGCHLD and SIGPIPE are taken care of here. trace_fd: as in struct
 * machine; the caller's.
 */
void machine_life(int port, int trace_fd);
/* Sends what was written to trace_fd. */
void trace_send(struct machine *m);

/* machine-loop.c: a frame. What the port doesn't take now is kept. */
void port_send(struct machine *m, enum machine_type type, unsigned flags, uint32_t session,
	const void *data, size_t size);
/* As port_send with m->out, whose data part the caller has filled. */
void port_send_out(
	struct machine *m, enum machine_type type, unsigned flags, uint32_t session, size_t size);
bool port_is_full(const struct machine *m);

/* machine-session.c */
#define SESSIONS_MAX 512
bool sessions_are_many(const struct machine *m);
struct session *session_new(struct machine *m, uint32_t id); /* NULL: no memory */
struct session *session_find(struct machine *m, uint32_t id);
void session_free(struct machine *m, struct session *s);
/* Pipes; theirs are the command's ends. */
int session_pipes(struct session *s, bool with_input, int theirs[3], struct err *e);
void session_terminal(struct session *s, int master); /* takes it over */
void session_watch(struct machine *m, struct session *s);
void session_resize(struct session *s, unsigned rows, unsigned columns);
/* False: more than the window, the other side is broken. */
bool session_input(struct machine *m, struct session *s, const uint8_t *data, size_t size);
void session_credit(struct machine *m, struct session *s, uint32_t bytes);
/* The port takes more again. */
void sessions_go_on(struct machine *m);
/* After the command's end: sends what is there; true when that was all. */
bool session_drain(struct machine *m, struct session *s);

/* machine-guest.c */
void guest_plan(struct machine *m, const struct machine_frame *f);
void guest_exec(struct machine *m, const struct machine_frame *f);
void guest_signal(struct machine *m, struct session *s, int sig);
void guest_reap(struct machine *m);
/* Says EXIT for what has ended and has no output left. */
void guest_settle(struct machine *m);
/* How long the loop may wait for its sources until that is called again; -1: for ever. */
int guest_wait_ms(const struct machine *m);
/* Ends all, and leaves the file systems clean. */
void guest_end(struct machine *m);
/* The guest's own command, while it runs; or NULL. */
const struct session *guest_running(struct machine *m);
/* Nobody listens any more: see machine_life(). */
void guest_alone(struct machine *m);
void send_error(struct machine *m, uint32_t session, const struct err *e);
/* Adds a part to the session's; true: it was the last. False with *ret_lost: too much. */
bool take_part(struct session *s, const struct machine_frame *f, bool *ret_lost);

/* machine-serve.c; serve.h has the services */
void guest_serve(struct machine *m, const struct machine_frame *f);

#endif
