/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TMPL_H
#define LODGE_TMPL_H

/*
 * Go's text/template over JSON values: the language that docker's users know from --format.
 * Specification: Go's text/template (fields, chains, range/else, if/else if, with, define/template/block,
 * break/continue, variables, pipelines, comments, trim markers, the predefined functions and the
 * comparison rules), and docker's functions json, join, lower, upper, title, split, println, table,
 * truncate, pad. A missing field of an object is an error, as for a Go struct, unless
 * TMPL_MISSING_NOVALUE.
 */

#include <jansson.h>
#include <glib.h>
#include "base/err.h"

struct tmpl;

enum { TMPL_MISSING_NOVALUE = 1 << 0 }; /* prints "<no value>", as for a Go map */

/* Parses; e names line and column as Go does ("template: :1: ..."). */
int tmpl_parse(const char *text, struct tmpl **ret, struct err *e);
void tmpl_free(struct tmpl *t);
void tmpl_freep(struct tmpl **t);
/* Appends to out. Limits: 64 levels of nesting, 16 MiB of output. */
int tmpl_run(const struct tmpl *t, const json_t *data, unsigned flags, GString *out, struct err *e);

#endif
