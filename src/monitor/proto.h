/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PROTO_H
#define LODGE_PROTO_H

/*
 * How a guest's monitor is talked to: RUN/guests/ID/sock, a SOCK_SEQPACKET Unix socket whose peer must
 * be root or the monitor's own user. One packet is one message: struct msg and then its payload.
 * Same machine, but not the same build: a monitor may be older than the command that talks to it.
 * Numbers are never reused, unknown messages are answered with MSG_ERROR, payloads only grow.
 */

#include <stdint.h>

#define PROTO_VERSION 1
#define MSG_DATA_MAX  (64 * 1024)
#define PROTO_FDS_MAX 3

enum msg_type {
	/* to the monitor */
	MSG_HELLO = 1, /* value: PROTO_VERSION; answered with MSG_STATUS */
	MSG_ATTACH,    /* flags: ATTACH_*; then MSG_OUTPUT, MSG_EXIT follow, MSG_INPUT is taken */
	MSG_INPUT,     /* payload: for the guest's standard input; empty: end of input */
	MSG_RESIZE,    /* value: rows << 16 | columns */
	MSG_SIGNAL,    /* value: a signal for the first process (or this connection's exec) */
	MSG_STOP, /* value: signal | seconds << 8 (0xffffff: for ever); the user's stop: no restart */
	MSG_EXEC, /* payload: an encoded plan of AT_CHILD steps; flags: EXEC_*; with EXEC_FDS three
			 * descriptors (SCM_RIGHTS) are its standard streams */
	MSG_WAIT, /* answered with MSG_EXIT when the guest ends for good (flags WAIT_NEXT: at the next exit) */
	MSG_QMP, /* payload: one command for QEMU's monitor, JSON without an id (wire/qmp.h); up to
			 * PROTO_FDS_MAX descriptors go to QEMU with it; answered with MSG_QMP_REPLY */
	MSG_QMP_EVENTS, /* MSG_QMP_EVENT follow, from now on */
	MSG_SERVE, /* payload: the words of a service of the machine's lodge-init (wire/machine.h); then as
		    * MSG_EXEC */
	MSG_CARD, /* payload: an encoded plan of one step "answer", flags: 0, one descriptor: the socket that it left;
		   * a card that came while the machine runs. Answered with MSG_STATUS */
	MSG_RESTART, /* value: the restart policy from now on: no, on-failure, always, unless-stopped (0 to 3),
			* | the most restarts << 8 */
	/* from the monitor */
	MSG_STATUS = 64, /* payload: the text of the status file */
	MSG_STARTED,	 /* value: process id (host's) of the exec */
	MSG_OUTPUT,	 /* flags: 1 standard output, 2 standard error; payload */
	MSG_EXIT,	 /* value: wait status as exit code (128+n for a signal); flags: EXIT_* */
	MSG_ERROR,	 /* value: a code (struct err); payload: "text\0mend" */
	MSG_QMP_REPLY, /* payload: the reply, JSON: "return" or "error"; flags: QMP_MORE. MSG_ERROR instead when
			 * QEMU is gone or doesn't answer */
	MSG_QMP_EVENT, /* payload: an event, JSON; flags: QMP_MORE */
};

enum {
	ATTACH_INPUT = 1,  /* takes MSG_INPUT */
	ATTACH_OUTPUT = 2, /* sends what comes from now on */
	ATTACH_REPLAY =
		4, /* what the monitor still has in memory first (of a terminal: the last 16 KiB) */
};
enum {
	EXEC_TTY = 1,
	EXEC_FDS = 2,
	EXEC_DETACH = 4
};
enum {
	WAIT_NEXT = 1
};
enum {
	EXIT_OOM = 1
};

enum {
	QMP_MORE = 1 /* another part of the same line follows */
};

struct msg {
	uint16_t type, flags;
	uint32_t value;
};

/*
 * The status file, RUN/guests/ID/status: lines "key value", replaced as a whole by the monitor.
 *   state     starting | running | restarting | paused isn't here (the cgroup says it) | exited
 *   monitor   PID START (start time from /proc/PID/stat, clock ticks)
 *   pid       PID START of the guest's first process, as the host sees it
 *   started, finished   nanoseconds since 1970
 *   exit      exit code
 *   oom       1: the kernel killed for memory
 *   restarts  count
 *   error     text of the last failed start
 * The file is copied to guests/ID/status (ROOT) when the guest ends, so that it survives a boot.
 */

/*
 * The log, guests/ID/log and log.1 (older) ...: "TIME STREAM TAG TEXT\n" as Kubernetes' container runtime
 * interface has it: TIME RFC 3339 with nanoseconds in UTC, STREAM stdout|stderr, TAG F (a whole line) or
 * P (a part: the line goes on in the next record of this stream).
 */

#endif
