/* SPDX-License-Identifier: MIT */
#ifndef LODGE_WIRE_QMP_H
#define LODGE_WIRE_QMP_H

/*
 * QEMU's machine protocol (QMP; specs: qemu/docs/interop/qmp-spec), the wire's part of it: a stream of bytes
 * into lines, and of which kind a line is. QEMU writes one JSON object a line. A machine that broke into its QEMU
 * may write anything, so a line is checked to be one whole JSON object before anybody sees it, and has a
 * limit. The values inside are for who asked (engine/vm/qmp.h).
 *
 * Pure; C library only. A reader allocates: what a line needs, given back when it was taken.
 */

#include <stdbool.h>
#include "base/macros.h"

#define QMP_LINE_MAX	(1024 * 1024) /* bytes; the longest of QEMU 7.2 is its schema, 207008 */
#define QMP_DEPTH_MAX	64	      /* of arrays and objects in each other */
#define QMP_NAME_MAX	64	      /* of a command or an event, with its NUL */
#define QMP_COMMAND_MAX (64 * 1024)   /* bytes of a command */

enum qmp_kind {
	QMP_OTHER,    /* an object that is none of these */
	QMP_GREETING, /* {"QMP": ...}, the first line */
	QMP_RETURN,   /* {"return": ...} */
	QMP_ERROR,    /* {"error": ...} */
	QMP_EVENT,    /* {"event": NAME, ...} */
};

struct qmp_line {
	enum qmp_kind kind;
	bool has_id; /* a whole number: ours */
	uint32_t id;
	char event[QMP_NAME_MAX]; /* "" unless QMP_EVENT: capitals, digits, '_' */
	const char *text;	  /* not terminated; in the reader's buffer: until the next call */
	size_t size;
};

/* Zero it; qmp_reader_done() frees. */
struct qmp_reader {
	char *buf;
	size_t size, used, taken, looked; /* looked: no newline before this */
};

/* Where the next bytes go; *ret_n is at least 1. -EMSGSIZE: the line has no end (the stream is lost); -ENOMEM. */
int qmp_room(struct qmp_reader *r, char **ret, size_t *ret_n);
/* So many were put there. */
void qmp_filled(struct qmp_reader *r, size_t n);
/* 1: *l is the next line; 0: bytes are missing; -EBADMSG: not a JSON object (the stream is lost). */
int qmp_next(struct qmp_reader *r, struct qmp_line *l);
void qmp_reader_done(struct qmp_reader *r);

/* Looks at one line as qmp_next() does, without its newline. 0 or -EBADMSG. */
int qmp_classify(const char *text, size_t n, struct qmp_line *l);

/*
 * Checks that text is one command, whose members are "execute" (a name) and perhaps "arguments" (an
 * object), and that it has no other: two commands in one would be answered twice, and nobody would know by which
 * reply. Copies the name (QMP_NAME_MAX bytes). -EINVAL; -EMSGSIZE beyond QMP_COMMAND_MAX.
 */
int qmp_check_command(const char *text, size_t n, char *ret_name);

/* Writes the checked command with "id": id and a newline to p. Returns the bytes, or -EMSGSIZE when room is
 * less than n + QMP_ID_ROOM. */
#define QMP_ID_ROOM 24
ssize_t qmp_put_command(char *p, size_t room, const char *text, size_t n, uint32_t id);

#endif
