/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TMPL_H
#define LODGE_TMPL_H

/*
 * Go's text/template over JSON values: the language that docker's users know from --format.
 * Specification: Go's text/template (fields, chains, range/else, if/else if, with, define/template/block,
 * break/continue, variables, pipelines, comments, trim markers, the predefined functions with fmt's verbs
 * and the comparison rules), and docker's functions json, join, lower, upper, title, split, truncate, pad
 * and its method .Label KEY (of the field Labels: an object, or "K=V,..." text). docker's word "table" is
 * tab.h's.
 *
 * Objects are Go's map[string]interface {} (printed as "map[a:1]", ranged over in the order of their keys),
 * arrays []interface {}, null is nil and prints "<no value>". A field that an object hasn't got is an error,
 * as for a Go struct, unless TMPL_MISSING_NOVALUE. `index MAP KEY` without that key gives "" where all values
 * of the map are strings (labels), else no value.
 */

#include <jansson.h>
#include <glib.h>
#include "base/err.h"

struct tmpl;

enum {
	TMPL_MISSING_NOVALUE = 1 << 0, /* prints "<no value>", as for a Go map */
	TMPL_HEADINGS = 1 << 1, /* data are a table's headings: docker's functions pass them unchanged */
};

/* Parses; e has Go's words: "template: :1: function \"x\" not defined". */
int tmpl_parse(const char *text, struct tmpl **ret, struct err *e);
void tmpl_free(struct tmpl *t);
void tmpl_freep(struct tmpl **t);
/* Appends to out; after an error what was printed before it stands there. Limits: 64 levels of nesting,
 * 16 MiB of output, 10 million steps. e: "template: :1:2: executing \"\" at <.X>: ...", column from 0. */
int tmpl_run(const struct tmpl *t, const json_t *data, unsigned flags, GString *out, struct err *e);

#endif
