/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MONITOR_MACHINE_H
#define LODGE_MONITOR_MACHINE_H

/*
 * A guest that is a virtual machine: its process is QEMU, and what the guest's command reads and writes goes
 * through lodge-init in there (wire/machine.h), or, for a machine that boots a system of its own, through
 * its serial port.
 *
 *   machine.c  birth and end, the channel to lodge-init, sessions over it
 *   qmp.c      QEMU's own monitor: commands of clients, one after the other
 *   lan.c      DHCP and DNS for a machine that boots by itself
 */

#include "monitor/monitor.h"
#include "wire/machine.h"

struct qmp_relay;
struct lan;

struct machine {
	bool full; /* boots by itself: no lodge-init */
	struct source channel, serial, qmp, complaints;
	struct machine_reader reader;
	char *out; /* what the channel couldn't take yet */
	size_t out_n, out_size;
	char *plan; /* the machine's own, encoded; sent when it says HELLO */
	size_t plan_n;
	uint32_t last_session;
	bool up;	    /* the command runs */
	bool told;	    /* the end came from inside, with m->main.exit_code */
	bool failed;	    /* m->error says why */
	int64_t begun;	    /* monotonic ns */
	int64_t boot_until; /* monotonic ns; 0: it is up */
	int boot_timeout;   /* seconds */
	int dns_fd;	    /* our end of the socket that the DNS server reads; -1 */
	struct source dns_source;
	char tail[4096]; /* the end of what the kernel said on its console */
	size_t tail_n;
	struct qmp_relay *relay;
	struct lan *lan; /* NULL: its lodge-init is told all by the plan */
};

/* A pipe for what QEMU itself complains of: theirs[1] and theirs[2]. Before the plan runs. */
int machine_pipe(struct monitor *m, int theirs[3], struct err *e);
/* After the plan has run. The state stays "starting" until the machine says that the command runs. */
int machine_begin(struct monitor *m, struct err *e);
/* QEMU is gone: the exit code for the guest. Closes everything. */
int machine_end(struct monitor *m, int status_code);
/* Timers: at a time that machine_next_timer gave. */
void machine_tick(struct monitor *m, int64_t now);
int64_t machine_next_timer(const struct monitor *m);

/* Signal to a session's process. False: nobody is there to pass it on. */
bool machine_signal(struct monitor *m, const struct session *s, int sig);
void machine_resize(struct monitor *m, const struct session *s, uint32_t value);
/* Bytes that were taken of data for the session's standard input. */
size_t machine_input(struct monitor *m, struct session *s, const char *data, size_t n);
void machine_input_end(struct monitor *m, struct session *s);
/* So many bytes of the session's output have been delivered. */
void machine_delivered(struct monitor *m, struct session *s, size_t n);
/* Makes a session: an encoded plan (MACHINE_EXEC) or a service's words (MACHINE_SERVE). */
void machine_exec(struct monitor *m, struct session *s, enum machine_type type, unsigned flags,
	const char *data, size_t n);
void machine_forget(struct monitor *m, const struct session *s);

/* QEMU answers, and has done what the plan told it first. */
void machine_ready(struct monitor *m);
/* QEMU's error, JSON, to one of these. */
void machine_refused(struct monitor *m, const char *text, size_t n);

/* lan.c: with the plan; its sockets are those of the steps "answer" */
int lan_begin(struct monitor *m);
/* A card that is plugged in now, MSG_CARD: a stored plan with its step; *fd is taken over (-1 then). */
int lan_add(struct monitor *m, const char *plan, size_t size, int *fd, struct err *e);
void lan_end(struct monitor *m);

/* qmp.c */
int qmp_begin(struct monitor *m, struct err *e);
void qmp_end(struct monitor *m);
/* A client's command with descriptors for QEMU (or -1s); answered later. */
void qmp_ask(struct monitor *m, struct conn *c, const char *data, size_t n, const int fds[3]);
void qmp_conn_gone(struct monitor *m, const struct conn *c);
/* A command of our own, whose answer nobody needs. */
void qmp_say(struct monitor *m, const char *command);

#endif
