/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ERR_H
#define LODGE_ERR_H

/*
 * Errors: one integer space and one inline text.
 *
 * A fallible function returns >= 0, or a negative code: a negative errno, or one of our own from
 * E_FIRST. From the vtable operations upwards it also takes a `struct err *` owned by the outermost
 * caller. There is nothing to free in it, and NULL means that the caller does not want the text.
 *
 * Messages: lower case, what failed first, the subject in single quotes, no full stop, the cause
 * last after ": ". The mend, when there is one, is a separate text.
 */

#include <stdarg.h>
#include <stdbool.h>
#include "base/macros.h"

enum err_code {
	E_FIRST = 1024,
	E_NOTFOUND = E_FIRST, /* no such guest, image, volume, network */
	E_EXISTS,	      /* the name is in use */
	E_INVALID,	      /* the request makes no sense */
	E_STATE,	      /* right request, wrong state: not running, already running */
	E_INUSE,	      /* something else needs it: an image with guests, a port */
	E_CORRUPT,	      /* bytes that fail a check */
	E_LIMIT,	      /* over a named limit */
	E_UNSUPPORTED,	      /* this host or this build can't */
	E_COMMAND_NOTFOUND,   /* the guest's command isn't there: exit status 127 */
	E_COMMAND_NOEXEC,     /* the guest's command can't be executed: exit status 126 */
	E_USAGE,	      /* the command line is wrong */
	_E_END,
};

/* What a dialect maps to its HTTP or exit status. */
enum err_kind {
	ERR_KIND_SYSTEM, /* a system call said no */
	ERR_KIND_NOTFOUND,
	ERR_KIND_CONFLICT,
	ERR_KIND_INVALID,
	ERR_KIND_UNSUPPORTED,
	ERR_KIND_CORRUPT,
	ERR_KIND_COMMAND,
};

#define ERR_TEXT_MAX 1024
#define ERR_MEND_MAX 256

struct err {
	int code; /* negative, as returned; 0 while nothing went wrong */
	char text[ERR_TEXT_MAX];
	char mend[ERR_MEND_MAX]; /* "" or one clause: what the user can do */
};

/* Replaces the text; returns code, so that `return err_set(...)` is one line. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
int err_vset(struct err *e, int code, const char *fmt, va_list ap) _printf_(3, 0);

/* As err_set, then ": " and the words for code (errno's or ours). The usual form for system calls. */
int err_sys(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "WHAT: " before the text that is there; returns the code that is there. */
int err_prefix(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Sets the mend; returns e's code, or -E_INVALID when e is NULL (as err_prefix does): where the code
 * matters to callers that pass NULL, return it oneself. */
int err_mend(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* "ENOENT", "E_NOTFOUND"; never NULL. Accepts either sign. */
const char *err_name(int code);

/* Words: strerror for errno, our own for the rest; never NULL. Accepts either sign. */
const char *err_words(int code);

enum err_kind err_kind(int code);

#endif
