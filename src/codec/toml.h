/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TOML_H
#define LODGE_TOML_H

/*
 * TOML 1.0 to JSON values: tables become objects, arrays arrays, strings, integers, floats and booleans what they
 * are; dates and times become strings of their own text. Pure. Debian 12 has no C library for it.
 *
 * Limits: TOML_TEXT_MAX bytes, TOML_DEPTH_MAX deep. A key given twice is an error, as the specification says.
 */

#include <jansson.h>
#include "base/err.h"

#define TOML_TEXT_MAX  (4 << 20)
#define TOML_DEPTH_MAX 64

/* *ret: an object; the caller's. -E_CORRUPT with the line, -E_LIMIT. */
int toml_read(const char *text, size_t size, json_t **ret, struct err *e);

#endif
