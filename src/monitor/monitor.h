/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MONITOR_H
#define LODGE_MONITOR_H

/*
 * lodge-monitor: the parent of one running guest, from birth to exit.
 *
 * A single thread around epoll. It is linked statically against the C library and nothing else of weight,
 * because one stands beside every guest. Everything it needs later is in memory or in the guest's
 * folder; it opens no configuration and starts no program of ours but `lodge rm` at the very end.
 *
 *   main.c    arguments, the loop
 *   guest.c   start, exit, restart, stop, the status file
 *   stream.c  the guest's terminal and pipes, what attached clients get
 *   log.c     the log and its rotation
 *   conn.c    the socket and its messages
 *   exec.c    further commands in the guest
 *   dns.c     names for the guest
 *   event.c   what is told to RUN/events
 *   standin.c names for a guest whose monitor was killed
 *   machine.c a guest that is a virtual machine; qmp.c QEMU's own monitor, lan.c its network's servers
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include "base/err.h"
#include "host/plan.h"
#include "monitor/proto.h"

struct monitor;
struct machine;

/* Something epoll watches. ready() may free the object that the source is in; the loop doesn't touch
 * it afterwards. */
struct source {
	int fd; /* -1: none */
	uint32_t events;
	void (*ready)(struct monitor *m, struct source *s, uint32_t events);
};

void source_init(
	struct source *s, int fd, void (*ready)(struct monitor *, struct source *, uint32_t));
int source_watch(struct monitor *m, struct source *s, uint32_t events); /* 0: not now, but kept */
void source_close(struct monitor *m, struct source *s);

/* A command in the guest with its streams: the main one, or an exec. */
struct session {
	struct session *next; /* execs */
	pid_t pid;	      /* 0: not running */
	bool is_main, tty;
	bool exited;
	int exit_code;
	struct source in, out, err; /* out is the terminal's master when tty; in then shares it */
	struct conn *owner;	    /* an exec's connection; NULL: gone or detached */
	char *stalled;		    /* a message that some client couldn't take yet */
	size_t stalled_size;
	int64_t last_read; /* monotonic ns */
	/* Of a machine's: without descriptors here, see machine.h. */
	bool remote, detached, service;
	uint32_t number, window, uncredited;
	char *backlog; /* output that came while `stalled`: u8 stream, u32 size, bytes */
	size_t backlog_n;
};

struct conn {
	struct conn *next;
	struct source src;
	unsigned attached; /* ATTACH_* of the main session */
	bool hello, waits, waits_next, behind, qmp_events;
	struct session *session; /* the exec that was made through this connection */
	char *input;		 /* what the session's standard input couldn't take yet */
	size_t input_size;
	bool input_end;
};

struct log {
	int fd;
	int64_t size, max_size;
	int max_files;
	const char *path;
	bool midline[2]; /* the last record of stdout, stderr was a part */
};

enum restart {
	RESTART_NO,
	RESTART_ON_FAILURE,
	RESTART_ALWAYS,
	RESTART_UNLESS_STOPPED
};

struct monitor {
	/* arguments */
	const char *id, *dir, *run, *remove_with;
	const char *events, *attributes; /* NULL: nothing is told */
	pid_t stand_in; /* this guest's monitor is dead, and it is answered its questions; 0 */
	bool tty, open_stdin, stdin_once;
	enum restart restart;
	int restart_max, stop_signal, stop_timeout;
	unsigned first_attach;

	int epoll, signals;
	struct source signal_source, listen_source;
	struct source guest_source; /* of a stand-in: the guest's process */
	struct conn *conns;
	struct session main, *execs;
	struct log log;

	struct step_run step_run; /* of the guest's start */
	struct plan *plan;
	struct machine *machine; /* NULL: a container */
	struct conn *starter;	 /* waits for MSG_STARTED of a machine's first start */
	struct conn *holder;	 /* for whom it is held; NULL: gone, or hold is false */
	struct err start_error;	 /* why a machine didn't come up */
	char *cgroup;		 /* path for the oom counter, or NULL */
	struct dns_server *dns;	 /* NULL: the guest has no network of ours */
	struct source dns_source[8];
	unsigned n_dns;

	enum {
		STATE_STARTING,
		STATE_RUNNING,
		STATE_RESTARTING,
		STATE_EXITED
	} state;
	bool stop_asked; /* by a user: no restart */
	bool finished;
	bool never_up; /* a machine in its first start */
	bool hold;     /* a machine without a command, which ends with its starter's connection */
	bool oom;
	bool buffers_used; /* so much that the memory should go back */
	int restarts;
	int64_t started, finished_at; /* ns since 1970 */
	int64_t run_since;	      /* monotonic ns */
	int64_t backoff;	      /* ns, of the next restart */
	/* monotonic ns; 0: not set. cut_at: when a machine whose command was killed is switched off */
	int64_t kill_at, restart_at, drain_until, cut_at;
	uint64_t my_start; /* clock ticks, from /proc/self/stat */
	uint64_t child_start;
	char error[ERR_TEXT_MAX];
};

int64_t monotonic_ns(void);
int64_t realtime_ns(void);

/* guest.c */
/* 1: a machine's, goes on with guest_up() or its end. */
int guest_start(struct monitor *m, struct err *e);
void guest_up(struct monitor *m); /* the machine's command runs */
/* Nobody waits any more for a machine that is starting in the foreground: it is given up. */
void guest_conn_gone(struct monitor *m, struct conn *c);
void guest_starting(struct monitor *m);	     /* says so in the status file, before the plan runs */
void guest_never_started(struct monitor *m); /* and takes it back */
void guest_reap(struct monitor *m);	     /* after SIGCHLD */
void guest_tick(struct monitor *m, int64_t now);	  /* timers */
int64_t guest_next_timer(const struct monitor *m);	  /* monotonic ns, 0: none */
void guest_stop(struct monitor *m, int sig, int seconds); /* seconds < 0: for ever */
void guest_kill(struct monitor *m, int sig);
int guest_load_plan(struct monitor *m, struct err *e); /* m->plan: that of the folder, anew */
void guest_start_dns(struct monitor *m); /* with m->plan, and the socket that it left */
/* What a DNS server for the guest has to know, of the plan; false: the guest has no network of ours. */
bool guest_dns(const struct monitor *m, const char **ret_names, const char **ret_upstreams);
/* A server on fd, which is taken over (and closed after a failure): see dns_server_new(). */
bool guest_begin_dns(
	struct monitor *m, int fd, const char *names, const char *upstreams, bool framed);
int guest_status_text(const struct monitor *m, char *buf, size_t size);

/* standin.c: begins what its loop goes on with, until the guest ends */
int stand_in_begin(struct monitor *m, struct err *e);

static inline int pidfd_kill(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

/* stream.c */
int session_pipes(struct session *s, bool with_input, int theirs[3], struct err *e);
void session_watch(struct monitor *m, struct session *s);
void session_done(struct monitor *m, struct session *s); /* closes all */
/* Reads what is there. True when there is nothing more to come or nobody can take it now. */
bool session_drain(struct monitor *m, struct session *s);
bool session_drained(const struct session *s);
void session_client_ready(struct monitor *m, struct conn *c);
/* A message couldn't be sent: session_client_ready() when it can. */
void conn_behind(struct monitor *m, struct conn *c);
/* Its session is freed: what it still had to say to it is dropped. */
void conn_session_over(struct monitor *m, struct conn *c);
void session_input(struct monitor *m, struct conn *c, const char *data, size_t size);
void session_conn_gone(struct monitor *m, struct conn *c);
void session_output(
	struct monitor *m, struct session *s, int stream, const char *data, size_t size);
void session_room(struct monitor *m, struct session *s); /* of a machine: it takes input again */
void streams_idle(struct monitor *m);			 /* gives the memory of the buffers back */

/* log.c */
int log_open(struct log *l, const char *path, int64_t max_size, int max_files);
void log_write(struct log *l, int stream, const char *data, size_t size);
void log_idle(struct log *l);
void log_end(struct log *l); /* of a run: a line without an end is ended */

/* conn.c */
int conn_listen(struct monitor *m, struct err *e);
struct conn *conn_add(struct monitor *m, int fd);
void conn_close(struct monitor *m, struct conn *c);
/* False when the client can't take it now. */
bool conn_send(struct conn *c, unsigned type, unsigned flags, uint32_t value, const void *data,
	size_t size);
void conn_send_err(struct conn *c, const struct err *e);
/* The guest came to an end; finally: it won't start again. */
void conn_tell_exit(struct monitor *m, int code, bool finally);
/* Connections that speak for a caller who waits for this guest's end. */
bool conn_waited_for(const struct monitor *m);

/* event.c: exit_code -1: none */
void event_write(const struct monitor *m, const char *action, int exit_code);

/* exec.c */
void exec_start(struct monitor *m, struct conn *c, const char *plan, size_t size, unsigned flags,
	const int fds[3]);
void exec_reap(struct monitor *m, pid_t pid, int code);
void exec_end_all(struct monitor *m);
void exec_ended(struct monitor *m, struct session *s, int code);
/* Of one that has ended: says so and frees it, unless its client must take output first. True: it is freed. */
bool exec_settle(struct monitor *m, struct session *s);
void exec_free(struct monitor *m, struct session *s);
/* A service of a machine's lodge-init. */
void exec_serve(struct monitor *m, struct conn *c, const char *words, size_t size, unsigned flags);

#endif
