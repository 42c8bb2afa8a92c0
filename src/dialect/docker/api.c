/* SPDX-License-Identifier: MIT */
/* Versions, bodies, filters, answers: what the API's handlers share. */

#include "dialect/docker/api.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/units.h"

#define BODY_MAX (4 * 1024 * 1024)

/* --- versions ---------------------------------------------------------------------------------------------- */

int docker_api_minor(const char *version)
{
	int64_t minor;

	if (!g_str_has_prefix(version, "1.") ||
		http_number((struct http_text){ version + 2, strlen(version + 2) }, &minor) < 0 ||
		minor > 999)
		return -E_INVALID;
	return (int)minor;
}

/* The length of "/v1.41" before a slash, and the version; 0: there is none. */
static size_t version_of(struct http_text path, int *ret_minor)
{
	const char *slash = path.n > 1 ? memchr(path.p + 1, '/', path.n - 1) : NULL;
	g_autofree char *text = NULL;
	int minor;

	if (!slash || path.p[1] != 'v')
		return 0;
	text = g_strndup(path.p + 2, (gsize)(slash - path.p) - 2);
	minor = docker_api_minor(text);
	if (minor < 0)
		return 0;
	*ret_minor = minor;
	return (size_t)(slash - path.p);
}

size_t api_prefix(struct http_text path)
{
	int minor;

	return version_of(path, &minor);
}

unsigned api_minor(const struct call *c)
{
	int minor = DOCKER_API_MAX_MINOR;

	(void)version_of(c->q->path, &minor);
	return (unsigned)minor;
}

/* Whether all of the path's arguments could be decoded. */
static bool has_arguments(const struct call *c)
{
	unsigned n = 0;

	for (const char *p = strchr(c->route->path, '{'); p; p = strchr(p + 1, '{'))
		if (n == SERVER_ARGS_MAX || !c->args[n++])
			return false;
	return true;
}

void api_allow(struct call *c)
{
	unsigned minor = api_minor(c), since = c->route->flags & ROUTE_SINCE;

	reply_header(&c->reply, "Api-Version", "%s", DOCKER_API_MAX);
	reply_header(&c->reply, "Docker-Experimental", "false");
	reply_header(&c->reply, "Ostype", "linux");
	reply_header(&c->reply, "Server", "Docker/%s (linux)", DOCKER_VERSION);
	if (minor > DOCKER_API_MAX_MINOR)
		api_error(c, 400,
			"client version 1.%u is too new. Maximum supported API version is %s",
			minor, DOCKER_API_MAX);
	else if (minor < DOCKER_API_MIN_MINOR)
		api_error(c, 400,
			"client version 1.%u is too old. Minimum supported API version is %s, "
			"please upgrade your client to a newer version",
			minor, DOCKER_API_MIN);
	else if (minor < since)
		api_error(c, 404, "page not found");
	else if (!has_arguments(c))
		api_error(c, 400, "invalid URL escape in the path");
}

/* --- answers --------------------------------------------------------------------------------------------- */

void api_json(struct call *c, int status, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(j);
	if (!text) {
		api_error(c, 500, "the answer isn't UTF-8");
		return;
	}
	reply_text(&c->reply, status, "application/json", text);
	g_string_append_c(c->reply.body, '\n');
	free(text);
}

void api_none(struct call *c, int status)
{
	reply_none(&c->reply, status);
}

static void message(struct reply *r, int status, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	json_t *j = json_pack("{s:s}", "message", valid);
	char *body = json_dumps(j, JSON_COMPACT);

	json_decref(j);
	reply_text(r, status, "application/json", body);
	g_string_append_c(r->body, '\n');
	free(body);
}

void api_error(struct call *c, int status, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	message(&c->reply, status, text);
}

void api_server_failed(struct reply *r, int status, const char *why)
{
	message(r, status, status == 404 ? "page not found" : why);
}

static int status_of(int code)
{
	switch (-code) {
	case E_NOTFOUND:
		return 404;
	case E_EXISTS:
	case E_INUSE:
	case E_STATE:
		return 409;
	case E_INVALID:
	case E_USAGE:
	case E_LIMIT:
	case E_COMMAND_NOTFOUND:
	case E_COMMAND_NOEXEC:
		return 400;
	case E_UNSUPPORTED:
		return 501;
	default:
		return 500;
	}
}

void api_failed(struct call *c, int code, const struct err *e)
{
	api_error(c, status_of(code), "%s%s%s", e->text[0] ? e->text : err_words(code),
		e->mend[0] ? "; " : "", e->mend);
}

/* --- requests -------------------------------------------------------------------------------------------- */

void api_body(struct call *c)
{
	c->body.fd = RET_NERRNO(memfd_create("body", MFD_CLOEXEC));
	c->body.limit = BODY_MAX;
	if (c->body.fd < 0)
		api_error(c, 500, "cannot take the body: %s", err_words(c->body.fd));
}

static int parse_body(struct call *c, const char *text, size_t n, json_t **ret)
{
	json_error_t error;

	*ret = NULL;
	while (n > 0 && g_ascii_isspace(text[n - 1]))
		n--;
	if (n == 0)
		return 0;
	*ret = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (*ret && (json_is_object(*ret) || json_is_null(*ret)))
		return 0;
	if (*ret)
		api_error(c, 400, "invalid JSON: the body must be an object");
	else
		api_error(c, 400, "invalid JSON: %s at byte %d", error.text, error.position);
	json_decref(*ret);
	*ret = NULL;
	return -E_INVALID;
}

int api_json_body(struct call *c, json_t **ret)
{
	g_autofree char *text = NULL;
	size_t n = (size_t)c->body.at;

	*ret = NULL;
	if (c->body.fd < 0 || n == 0)
		return 0;
	text = g_malloc(n);
	if (pread(c->body.fd, text, n, 0) != (ssize_t)n) {
		api_error(c, 500, "the body cannot be read");
		return -EIO;
	}
	return parse_body(c, text, n, ret);
}

int api_json_link(struct call *c, struct link *l, json_t **ret)
{
	g_autofree char *text = NULL;
	int r = link_body_text(l, BODY_MAX, &text);

	*ret = NULL;
	if (r < 0) {
		api_error(c, r == -E2BIG ? 413 : 400, "%s",
			r == -E2BIG ? "the body is too large" : "the body cannot be read");
		return r;
	}
	return parse_body(c, text, strlen(text), ret);
}

/* Go's httputils.BoolValue: anything but these is true. */
bool api_flag(const struct call *c, const char *key, bool fallback)
{
	static const char *const no[] = { "", "0", "no", "false", "none", NULL };
	g_autofree char *v = call_query(c, key);
	g_autofree char *low = v ? g_ascii_strdown(g_strstrip(v), -1) : NULL;

	return low ? !g_strv_contains(no, low) : fallback;
}

int api_number(struct call *c, const char *key, int64_t fallback, int64_t *ret)
{
	g_autofree char *v = call_query(c, key);

	*ret = fallback;
	if (!v || !*v || units_parse_int(v, INT64_MIN, INT64_MAX, ret) >= 0)
		return 0;
	api_error(c, 400, "%s: '%s' is no number", key, v);
	return -E_INVALID;
}

/* --- filters ------------------------------------------------------------------------------------------------ */

/* One name's values: an array of texts, whichever way they were written; NULL: neither. */
static json_t *values_of(json_t *v)
{
	json_t *list = json_array(), *item;
	const char *key;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach(v, key, item)
			if (json_is_true(item))
				json_array_append_new(list, json_string(key));
		return list;
	}
	json_array_foreach(v, i, item)
		if (json_is_string(item))
			json_array_append(list, item);
	if (json_is_array(v) && json_array_size(list) == json_array_size(v))
		return list;
	json_decref(list);
	return NULL;
}

int api_filters(struct call *c, const char *const *known, json_t **ret)
{
	g_autofree char *text = call_query(c, "filters");
	json_t *given = NULL, *v;
	const char *name;
	int r = 0;

	*ret = json_object();
	if (!text || !*text)
		return 0;
	given = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(given)) {
		api_error(c, 400, "invalid filter");
		r = -E_INVALID;
	}
	if (r == 0) {
		json_object_foreach(given, name, v) {
			json_t *list = values_of(v);

			if (!list || !g_strv_contains(known, name)) {
				api_error(c, 400, "invalid filter '%s'", name);
				json_decref(list);
				r = -E_INVALID;
				break;
			}
			json_object_set_new(*ret, name, list);
		}
	}
	json_decref(given);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}

bool api_filter_has(const json_t *filters, const char *name, const char *value)
{
	json_t *list = json_object_get(filters, name), *item;
	size_t i;

	if (!list)
		return true;
	json_array_foreach(list, i, item)
		if (g_str_equal(json_string_value(item), value))
			return true;
	return false;
}
