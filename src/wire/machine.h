/* SPDX-License-Identifier: MIT */
#ifndef LODGE_WIRE_MACHINE_H
#define LODGE_WIRE_MACHINE_H

/*
 * What a monitor and the lodge-init of its machine say to each other, over one virtio-serial port
 * (MACHINE_PORT). Frames on a byte stream, both ways the same: a header of 8 bytes, little endian, and
 * then at most MACHINE_DATA_MAX bytes.
 *
 *	u16 size      of the data
 *	u8  type      enum machine_type
 *	u8  flags
 *	u32 session   0: the guest's command; others are numbered by the monitor; see MACHINE_EXEC
 *
 * Order of a machine's life: init says HELLO; the monitor sends the plan (PLAN, the last part without
 * MACHINE_MORE); init runs it and says STARTED, or ERROR and nothing more. Output, input, further commands;
 * at the command's end EXIT for session 0, after which init has synced the file systems and waits to be
 * switched off.
 *
 * Flow: neither side sends more than MACHINE_WINDOW bytes of OUTPUT or INPUT of a session that the other
 * hasn't acknowledged with CREDIT, so that a slow reader of one session holds up nobody else.
 *
 * Neither side trusts the other: the monitor because the guest may be hostile, init because a kernel may
 * write to the port. Pure; C library only.
 */

#include <stdbool.h>
#include "base/macros.h"

#define MACHINE_PORT	   "org.lodge.init"
#define MACHINE_VERSION	   1
#define MACHINE_WORD_TRACE "lodge.trace" /* the machine's own steps are told by MACHINE_TRACE */
#define MACHINE_HEADER	   8
#define MACHINE_DATA_MAX   32768
#define MACHINE_WINDOW	   (256 * 1024) /* bytes */
#define MACHINE_PLAN_MAX   (4 * 1024 * 1024)

enum machine_type {
	/* to the guest */
	MACHINE_PLAN =
		1,    /* a part of the encoded plan (host/plan.h) of the machine; MACHINE_MORE */
	MACHINE_EXEC, /* makes the session: data as PLAN, AT_CHILD steps; MACHINE_MORE, MACHINE_TTY */
	MACHINE_SERVE, /* makes the session: a service of init's own, words ended by NUL; see below */
	MACHINE_SIGNAL, /* u32: a signal for the session's first process */
	MACHINE_RESIZE, /* u32: rows << 16 | columns */
	MACHINE_FORGET, /* nobody listens to this session any more: its output is dropped */
	/* both ways */
	MACHINE_INPUT = 32, /* for the session's standard input; no data: the end */
	MACHINE_OUTPUT,	    /* flags: 1 standard output, 2 standard error */
	MACHINE_CREDIT,	    /* u32: so many bytes more of INPUT or OUTPUT have been taken */
	MACHINE_DNS, /* 6 bytes of the asking socket's address (opaque to the monitor) and a message */
	/* from the guest */
	MACHINE_HELLO = 64, /* u32 MACHINE_VERSION, then the kernel's release as text */
	MACHINE_STARTED,    /* of the session: its command runs */
	MACHINE_ERROR,	    /* of the session: i32 code (struct err), "text\0mend": it never ran */
	MACHINE_EXIT, /* of the session: u32 exit code (128+n for a signal); flags MACHINE_OOM */
	MACHINE_TRACE, /* lines of LODGE_TRACE=json, when MACHINE_WORD_TRACE is on the kernel's command line */
};

enum {
	MACHINE_MORE = 1,     /* PLAN, EXEC, SERVE: another part follows */
	MACHINE_TTY = 2,      /* EXEC: with a terminal */
	MACHINE_NO_INPUT = 4, /* PLAN, EXEC: standard input is /dev/null; last part's flags count */
	MACHINE_OOM = 1,      /* EXIT: killed for memory */
};

/*
 * Services, the words of MACHINE_SERVE; all resolve paths inside the guest's root:
 *   "pack" PATH FLAGS	     a tar of PATH on standard output. FLAGS by ',': "follow" a link at its end;
 *			     "contents": entries "./", "./a" instead of "NAME", "NAME/a"; "one-fs": mounts below
 *			     are empty folders
 *   "unpack" PATH FLAGS     standard input, a tar (wire/ustar.h), into the folder PATH, which is there.
 *			     "owner": keep owners, otherwise all is root's; "copy": no file gives way to a folder
 *   "stat" PATH FLAGS	     one line: mode(octal, with the type) size uid gid mtime(ns) target-of-a-link; "follow"
 *   "ps"		     "up" and the machine's age in ticks (100 a second), then a line a process: pid ppid uid start(ticks) utime stime tty "comm" "arguments";
 *			     numbers as the guest sees them; in the quotes \\ \" and \xHH
 *   "changes"		     a line a change: "A|C|D" and the path, with \n and \\ in it
 * The guest must run, or have a plan without a command (without AT_CLONE): such a machine is there for services only,
 * and ends with SIGNAL for session 0. Failures are text on standard error and exit status 1, or 2 when PATH isn't there;
 * ERROR when it wasn't begun.
 */

struct machine_frame {
	enum machine_type type;
	uint8_t flags;
	uint32_t session;
	uint16_t size;
	const uint8_t *data; /* in the reader's buffer: until the next call */
};

/* Bytes as they come, frames out of them. Zero it; owns no memory. */
struct machine_reader {
	uint8_t buf[MACHINE_HEADER + MACHINE_DATA_MAX];
	size_t used, taken;
};

/* Where the next bytes go, and how many fit (never 0 while machine_next() was called until it gave 0). */
uint8_t *machine_room(struct machine_reader *r, size_t *ret_n);
/* So many were put there. */
void machine_filled(struct machine_reader *r, size_t n);
/* 1: *f is the next frame; 0: bytes are missing; -EBADMSG: not our protocol (the stream is lost). */
int machine_next(struct machine_reader *r, struct machine_frame *f);

/* Writes a header to p (MACHINE_HEADER bytes). size: at most MACHINE_DATA_MAX. */
void machine_header(
	uint8_t *p, enum machine_type type, unsigned flags, uint32_t session, size_t size);

/* Little-endian numbers in frames; *ret is untouched and false is returned when the data is shorter. */
bool machine_u32(const struct machine_frame *f, size_t at, uint32_t *ret);
void machine_put_u32(uint8_t *p, uint32_t v);

#endif
