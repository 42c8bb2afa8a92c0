/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TOOL_H
#define LODGE_TOOL_H

/* A small program that is given a text and gives one back: credential helpers, gpgv. */

#include <glib.h>
#include "base/err.h"

#define TOOL_OUTPUT_MAX (1 << 20)

/* Runs it with size bytes on its standard input and waits. *ret_status: its exit status, 128 + the signal. Its standard
 * output is in *ret_out (caller frees), its standard error in *ret_err (may be NULL: goes nowhere). -E_NOTFOUND when
 * there is no such program. */
int tool_run(const char *const *argv, const char *input, size_t size, char **ret_out,
	char **ret_err, int *ret_status, struct err *e);

#endif
