/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TAB_H
#define LODGE_TAB_H

/*
 * Rows for people and programs from one description. A command makes a JSON object for each row; this
 * prints them as a text table, as JSON (an array; `--format json` a line each as docker has it), only ids
 * (-q) or by a template (--format, tmpl.h; "table TEMPLATE" aligns columns and prints headings).
 */

#include <jansson.h>
#include <stdio.h>
#include "base/err.h"

struct tab_column {
	const char *heading;  /* "IMAGE ID" */
	const char *field;    /* of the row's object: "ID" */
	bool right;	      /* numbers */
};

/* rows: array of objects. format NULL or "": the table of columns (NULL-terminated by heading). "json": one
 * object a line. Otherwise a template. */
int tab_print(FILE *out, const struct tab_column *columns, const json_t *rows, const char *format,
	struct err *e);

#endif
