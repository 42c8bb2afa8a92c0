/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_API_H
#define LODGE_DOCKER_API_H

/*
 * What the API's handlers share. A handler answers by api_json(), api_none() or api_error(); short ones are a
 * route's work(), what waits or streams is its take().
 */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "dialect/docker/docker.h"
#include "server/server.h"

/* The data of all routes. */
struct docker {
	struct ctx *c;
};

extern const struct route docker_routes[];
enum {
	ROUTE_SINCE = 0xff, /* flags & ROUTE_SINCE: the minor version that brought the route; 0: all have it */
};

static inline struct ctx *api_ctx(const struct call *c)
{
	return ((const struct docker *)c->data)->c;
}

/* The minor version that the request's path names ("/v1.41/..."); the newest when it names none. */
unsigned api_minor(const struct call *c);

/* --- requests -------------------------------------------------------------------------------------------- */

/* start() of routes with a JSON body: makes room for it. */
void api_body(struct call *c);
/* In work(): the body's document, NULL when it is empty. 0; or a code, and the answer is given. Caller owns it. */
int api_json_body(struct call *c, json_t **ret);
/* The same in take(), from the link. */
int api_json_link(struct call *c, struct link *l, json_t **ret);
/* A flag of the query: "1", "true" and the like; fallback when it isn't there. */
bool api_flag(const struct call *c, const char *key, bool fallback);
/* A whole number of the query. 0, or a code with the answer given. */
int api_number(struct call *c, const char *key, int64_t fallback, int64_t *ret);
/* The query's "filters": {"name": {"x": true}} or {"name": ["x"]}, brought to the second form; an empty object when
 * there are none. known: the names that are allowed, NULL-terminated. 0, or a code with the answer given. */
int api_filters(struct call *c, const char *const *known, json_t **ret);
/* Whether a filter has this value; true when there is no such filter. */
bool api_filter_has(const json_t *filters, const char *name, const char *value);

/* --- answers --------------------------------------------------------------------------------------------- */

/* Takes j. */
void api_json(struct call *c, int status, json_t *j);
void api_none(struct call *c, int status);
/* {"message": TEXT} */
void api_error(struct call *c, int status, const char *fmt, ...) _printf_(3, 4);
/* A core's code, with the status that docker has for it and e's text. */
void api_failed(struct call *c, int code, const struct err *e);
/* The server's own words, and its headers. */
void api_server_failed(struct reply *r, int status, const char *why);
void api_allow(struct call *c);
size_t api_prefix(struct http_text path);

/* --- handlers, by file -------------------------------------------------------------------------------------- */

/* system.c */
void system_ping(struct call *c);
void system_version(struct call *c);

#endif
