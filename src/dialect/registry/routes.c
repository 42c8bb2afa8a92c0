/* SPDX-License-Identifier: MIT */
/* The registry's paths, and its errors: a path is a row here. */

#include "dialect/registry/routes.h"

#include <string.h>
#include <jansson.h>
#include "dialect/registry/names.h"

#define VERSION_HEADER "Docker-Distribution-Api-Version"

const struct route registry_routes[] = {
	{ "GET", "/v2/", .start = lists_base },
	{ "GET", "/v2", .start = lists_base },
	{ "GET", "/v2/_catalog", .work = lists_catalog },
	{ "GET", "/v2/{+}/tags/list", .work = lists_tags },
	{ "GET", "/v2/{+}/referrers/{}", .work = lists_referrers },
	{ "GET", "/v2/{+}/manifests/{}", .start = manifests_get },
	{ "PUT", "/v2/{+}/manifests/{}", .start = manifests_put, .work = manifests_put_work,
		.flags = ROUTE_WRITES },
	{ "DELETE", "/v2/{+}/manifests/{}", .work = manifests_delete,
		.flags = ROUTE_WRITES | ROUTE_DELETES },
	{ "POST", "/v2/{+}/blobs/uploads/", .start = upload_post, .work = upload_post_work,
		.flags = ROUTE_WRITES },
	{ "POST", "/v2/{+}/blobs/uploads", .start = upload_post, .work = upload_post_work,
		.flags = ROUTE_WRITES },
	{ "GET", "/v2/{+}/blobs/uploads/{}", .start = upload_get, .flags = ROUTE_WRITES },
	{ "PATCH", "/v2/{+}/blobs/uploads/{}", .start = upload_patch, .finish = upload_patched,
		.cut = upload_patch_cut, .flags = ROUTE_WRITES },
	{ "PUT", "/v2/{+}/blobs/uploads/{}", .start = upload_put, .finish = upload_put_end,
		.work = upload_put_work, .cut = upload_put_cut, .flags = ROUTE_WRITES },
	{ "DELETE", "/v2/{+}/blobs/uploads/{}", .start = upload_delete, .flags = ROUTE_WRITES },
	{ "GET", "/v2/{+}/blobs/{}", .start = blob_get },
	{ "DELETE", "/v2/{+}/blobs/{}", .work = blob_delete,
		.flags = ROUTE_WRITES | ROUTE_DELETES },
	{ NULL },
};

/* --- errors ------------------------------------------------------------------------------------------------ */

/* For what the server says by itself. */
static const char *code_of(int status)
{
	switch (status) {
	case 401:
		return "UNAUTHORIZED";
	case 403:
		return "DENIED";
	case 404:
		return "NAME_UNKNOWN";
	case 413:
		return "SIZE_INVALID";
	case 429:
	case 503:
		return "TOOMANYREQUESTS";
	default:
		return status >= 500 ? "UNKNOWN" : "UNSUPPORTED";
	}
}

static void error_body(
	struct reply *r, int status, const char *code, const char *message, const char *about)
{
	g_autofree char *valid = g_utf8_make_valid(message, -1);
	json_t *j = json_pack("{s:[{s:s, s:s, s:{s:s*}}]}", "errors", "code",
		code ?: code_of(status), "message", valid, "detail", "name", about);
	char *text = json_dumps(j, JSON_COMPACT);

	if (!strstr(r->headers->str, VERSION_HEADER))
		reply_header(r, VERSION_HEADER, "registry/2.0");
	reply_text(r, status, "application/json; charset=utf-8", text ?: "{}");
	free(text);
	json_decref(j);
}

void registry_fail(struct reply *r, int status, const char *code, const char *fmt, ...)
{
	g_autofree char *message = NULL;
	va_list ap;

	va_start(ap, fmt);
	message = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	error_body(r, status, code, message, NULL);
}

void registry_unknown(struct reply *r, const char *code, const char *message, const char *about)
{
	error_body(r, 404, code, message, about);
}

void registry_failed(struct reply *r, int status, const char *why)
{
	error_body(r, status, NULL, why, NULL);
}

void registry_broken(struct reply *r, int code, const char *what)
{
	if (code == -ENOSPC || code == -EDQUOT)
		registry_fail(r, 507, NULL, "%s: the disk is full", what);
	else
		registry_fail(r, 500, NULL, "%s: %s", what, err_words(code));
}

/* --- what requests share ----------------------------------------------------------------------------------- */

void registry_allow(struct call *c)
{
	const struct depot *reg = c->data;

	reply_header(&c->reply, VERSION_HEADER, "registry/2.0");
	if (reg->read_only && (c->route->flags & ROUTE_WRITES))
		registry_fail(&c->reply, 405, "UNSUPPORTED", "this registry is read-only");
	else if (reg->no_delete && (c->route->flags & ROUTE_DELETES))
		registry_fail(&c->reply, 405, "UNSUPPORTED", "this registry deletes nothing");
}

const char *call_name(struct call *c)
{
	if (c->args[0] && registry_is_name(c->args[0]))
		return c->args[0];
	registry_fail(&c->reply, 400, "NAME_INVALID", "invalid repository name");
	return NULL;
}

int64_t call_count(struct call *c)
{
	g_autofree char *n = call_query(c, "n");
	int64_t v;

	if (!n)
		return INT64_MAX;
	if (http_number((struct http_text){ n, strlen(n) }, &v) == 0)
		return v;
	registry_fail(&c->reply, 400, "UNSUPPORTED", "n is no number");
	return -1;
}

void reply_next(struct reply *r, const char *path, int64_t n, const char *last, const char *more)
{
	g_autofree char *escaped = g_uri_escape_string(last, NULL, FALSE);

	reply_header(r, "Link", "<%s?last=%s&n=%" G_GINT64_FORMAT "%s>; rel=\"next\"", path,
		escaped, n, more);
}
