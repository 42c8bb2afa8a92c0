/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_MATCH_H
#define LODGE_DOCKER_MATCH_H

/* What the filters of api_filters() mean, by kind of value. A filter that isn't there lets all pass. */

#include "dialect/docker/api.h"

/* One of the values is a part of the text, or a regular expression that it matches: names of volumes, networks. */
bool match_text(const json_t *filters, const char *name, const char *text);
/* One of the values is where the id begins. */
bool match_id(const json_t *filters, const char *name, const char *id);
/* All values, "KEY" or "KEY=VALUE", are labels. labels may be NULL. */
bool match_labels(const json_t *filters, const char *name, const json_t *labels);
/* "label" and "label!" of prune: all of the first, none of the second. */
bool match_prune_labels(const json_t *filters, const json_t *labels);
/* The value of a flag: 1, 0, -1 where there is none; or -E_INVALID with the answer given. */
int match_flag(struct call *c, const json_t *filters, const char *name);
/* The moment of "until", ns; 0 where there is none. 0, or a code with the answer given. */
int match_until(struct call *c, const json_t *filters, int64_t *ret);
/* The first value, or NULL. */
const char *match_value(const json_t *filters, const char *name);

#endif
