/* SPDX-License-Identifier: MIT */
#ifndef LODGE_HOST_DBUS_H
#define LODGE_HOST_DBUS_H

/*
 * Messages of D-Bus, as far as systemd's manager is talked to: calls out, returns, errors and signals in. The
 * D-Bus Specification, "Message Protocol". Pure; little endian.
 *
 * systemd answers at a socket of its own too (/run/systemd/private, or $XDG_RUNTIME_DIR/systemd/private), without
 * a bus between, so there is no name to ask for and no match to set.
 */

#include <stdint.h>
#include "base/err.h"

enum {
	DBUS_MESSAGE_MAX = 64 * 1024
};

/* Being written. What doesn't fit sets `full`. */
struct dbus_out {
	uint8_t buf[DBUS_MESSAGE_MAX];
	size_t n, body;
	bool full;
};

void dbus_begin(struct dbus_out *o, uint32_t serial, const char *path, const char *interface,
	const char *member, const char *signature);
void dbus_put_bool(struct dbus_out *o, bool v);
void dbus_put_u32(struct dbus_out *o, uint32_t v);
void dbus_put_string(struct dbus_out *o, const char *s);
/* Begins an array whose elements are aligned to `align`; the value is for dbus_array_end. */
size_t dbus_array_begin(struct dbus_out *o, unsigned align);
void dbus_array_end(struct dbus_out *o, size_t array);

/*
 * One (sv) of a unit's properties, given as text: "NAME=SIGNATURE:VALUE".
 *
 *	b:1  t:67108864  i:5  u:5  s:text
 *	as:one,two	texts, separated by commas
 *	ay:0-2,7	a set of numbers as systemd has it: bits, the lowest byte first
 *	a(ss):/dev/char/1:3 rwm,...	pairs
 *	au:@PID@	a list of process ids
 *
 * -E_INVALID.
 */
int dbus_put_property(struct dbus_out *o, const char *property, pid_t pid);
void dbus_end(struct dbus_out *o);

enum dbus_type {
	DBUS_RETURN = 2,
	DBUS_ERROR = 3,
	DBUS_SIGNAL = 4,
};

/* One that came; the texts lie in the bytes that were parsed. */
struct dbus_message {
	unsigned type;
	uint32_t reply_to;
	const char *member, *error, *signature; /* "" when not said */
	const uint8_t *body;
	size_t body_n;
};

/* The length of the message that begins there; 0: more bytes are needed; -E_CORRUPT, -E_LIMIT. */
ssize_t dbus_parse(const uint8_t *buf, size_t n, struct dbus_message *ret);

/* The body's text number i, where all before it are texts, paths, and numbers of 32 bits; a variant of a text counts
 * as one. NULL: it isn't one. */
const char *dbus_text(const struct dbus_message *m, unsigned i);

#endif
