/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CODEC_YAML_H
#define LODGE_CODEC_YAML_H

/*
 * YAML 1.1 as PyYAML's safe loader reads it: a tree whose nodes know their places. Thin over libyaml's events.
 * Aliases share their anchor's node, so a small text can stand for a huge tree: what it stands for is counted, and
 * limited. Pure.
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"

#define YAML_SIZE_MAX  (4 << 20) /* bytes */
#define YAML_DEPTH_MAX 100
#define YAML_NODES_MAX 200000 /* with all aliases written out */

enum yaml_kind {
	YAML_NULL,
	YAML_BOOL,
	YAML_INT,
	YAML_FLOAT,
	YAML_TIME, /* a date or moment that isn't quoted */
	YAML_STRING,
	YAML_LIST,
	YAML_MAP,
	_YAML_KIND_MAX,
};

struct yaml {
	enum yaml_kind kind;
	unsigned line, column; /* from 1; a node's that an alias names: the anchor's */
	char *text;  /* of a scalar as it stands, quotes and folding resolved; ended by NUL */
	size_t size; /* of text */
	bool truth;  /* of YAML_BOOL */
	/* of a list the elements; of a map key and value in turn, in the text's order, twice the same key too */
	struct yaml **item;
	unsigned n; /* number of items: even for a map */
};

struct yaml_doc;

/*
 * Reads one document; none, or only comments, is YAML_NULL. -E_CORRUPT with "line 3, column 5: what" (line_base is added
 * to the line: of a part of a larger text), -E_LIMIT. What PyYAML refuses is refused: unknown tags, undefined and
 * recursive aliases, a second document, keys that are lists or maps. A merge key "<<" stays as it stands.
 */
int yaml_read(
	const char *text, size_t size, unsigned line_base, struct yaml_doc **ret, struct err *e);
void yaml_doc_free(struct yaml_doc *d);
void yaml_doc_freep(struct yaml_doc **d);

/* Lives as long as the document; never NULL. */
const struct yaml *yaml_root(const struct yaml_doc *d);

/* The value of a key, the last one's as in PyYAML; NULL when there is none or it isn't a map. "<<" isn't followed. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

/* "a list", "a whole number". */
const char *yaml_kind_words(enum yaml_kind k);

/* Text as a YAML scalar in double quotes, on one line. Caller frees. */
char *yaml_quote(const char *s);

#endif
