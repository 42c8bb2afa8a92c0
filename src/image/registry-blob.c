/* SPDX-License-Identifier: MIT */
/* Blobs from and to a registry (distribution-spec, "Pulling blobs", "Pushing blobs"). */
#include <string.h>
#include "image/registry-client.h"

#define ROUNDS_MAX   1000 /* connections that one blob may take, each of which brought something */
#define LOCATION_MAX 8192

/* --- getting ------------------------------------------------------------------------------------------- */

struct getting {
	const struct registry_sink *sink;
	int64_t offset; /* of the next byte that comes */
	int64_t wanted; /* where this request was to begin */
	int64_t size;	/* of the whole blob; -1: not known */
	bool told;	/* the sink was told the beginning */
	bool moved;	/* this round brought something */
};

/* "FIRST-LAST" and what is behind it; NULL: it isn't one. */
static const char *read_pair(const char *s, int64_t *ret_first, int64_t *ret_last)
{
	char *end;

	if (!g_ascii_isdigit(*s))
		return NULL;
	*ret_first = (int64_t)g_ascii_strtoull(s, &end, 10);
	if (*end != '-' || !g_ascii_isdigit(end[1]))
		return NULL;
	*ret_last = (int64_t)g_ascii_strtoull(end + 1, &end, 10);
	return *ret_first >= 0 && *ret_last >= *ret_first ? end : NULL;
}

/* Content-Range: bytes FIRST-LAST/SIZE */
static int read_range(const char *text, int64_t *ret_first, int64_t *ret_size)
{
	const char *rest;
	int64_t last;

	if (!text || !g_str_has_prefix(text, "bytes "))
		return -EINVAL;
	rest = read_pair(text + strlen("bytes "), ret_first, &last);
	if (!rest || *rest != '/')
		return -EINVAL;
	*ret_size = g_ascii_isdigit(rest[1]) ? (int64_t)g_ascii_strtoull(rest + 1, NULL, 10) : -1;
	return 0;
}

static int on_begin(void *arg, const struct http_answer *a, struct err *e)
{
	struct getting *g = arg;
	int64_t first = 0;

	if (a->status == 206) {
		if (read_range(http_header(a, "content-range"), &first, &g->size) < 0 ||
			first != g->wanted)
			return err_set(
				e, -E_CORRUPT, "the registry sent another part than was asked for");
	} else {
		g->size = a->length;
	}
	if (g->told && first == g->offset)
		return 0;
	/* the whole blob came where a part was asked for */
	g->offset = first;
	if (g->sink->begin) {
		g->told = true;
		return g->sink->begin(g->sink->arg, first, e);
	}
	if (first != g->wanted)
		return err_set(e, -E_UNSUPPORTED, "the registry cannot send parts of a blob");
	return 0;
}

static int on_bytes(void *arg, const void *data, size_t size, struct err *e)
{
	struct getting *g = arg;
	int r = g->sink->write(g->sink->arg, data, size, e);

	if (r >= 0) {
		g->offset += (int64_t)size;
		g->moved = true;
	}
	return r;
}

static int get_once(struct registry *r, const char *path, const char *digest, struct getting *g,
	int *ret_seconds, struct err *e)
{
	g_autofree char *range = g_strdup_printf("Range: bytes=%lld-", (long long)g->offset);
	const char *const headers[] = { range, NULL };
	struct http_request q = { .method = "GET",
		.headers = g->offset > 0 ? headers : NULL,
		.begin = on_begin,
		.sink = on_bytes,
		.arg = g };
	struct http_answer a = { 0 };
	int code;

	g->wanted = g->offset;
	g->moved = false;
	code = registry_try(r, &q, path, &a, e);
	*ret_seconds = code >= 0 ? http_retry_after(&a) : 0;
	if (code >= 0 && a.status == 416 && g->offset > 0) {
		/* nothing is behind what we have: or what we have is too much */
		g->offset = 0;
		code = g->sink->begin ? -ESTALE : err_set(e, -E_CORRUPT, "the blob is shorter");
	} else if (code >= 0 && a.status == 404) {
		code = err_set(
			e, -E_NOTFOUND, "'%s' doesn't have the blob '%s'", r->place.domain, digest);
	} else if (code >= 0 && a.status != 200 && a.status != 206) {
		code = registry_refused(r, &a, "cannot get a blob", e);
	}
	http_answer_clear(&a);
	return code;
}

int registry_blob(struct registry *r, const char *digest, int64_t offset,
	const struct registry_sink *sink, int64_t *ret_size, struct err *e)
{
	g_autofree char *path = g_strdup_printf("/v2/%s/blobs/%s", r->place.path, digest);
	struct getting g = { .sink = sink, .offset = offset, .size = -1 };
	int attempt = 0, code = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		int seconds;

		code = get_once(r, path, digest, &g, &seconds, e);
		if (code == -ESTALE)
			continue;
		if (code >= 0 || !registry_is_passing(code))
			break;
		/* libcurl says so when the end comes too early, which a registry that lies does each time */
		attempt = g.moved ? 0 : attempt;
		if (attempt >= registry_retries(r))
			break;
		registry_pause(&attempt, seconds);
	}
	if (code >= 0 && ret_size)
		*ret_size = g.size;
	return code;
}

int registry_has_blob(struct registry *r, const char *digest, struct err *e)
{
	g_autofree char *path = g_strdup_printf("/v2/%s/blobs/%s", r->place.path, digest);
	struct http_request q = { .method = "HEAD" };
	struct http_answer a = { 0 };
	int code = registry_request(r, &q, path, &a, e);

	if (code >= 0 && a.status == 200)
		code = 1;
	else if (code >= 0 && a.status != 404)
		code = registry_refused(r, &a, "cannot look for a blob", e);
	else if (code >= 0)
		code = 0;
	http_answer_clear(&a);
	return code;
}

/* --- uploads that outlive us --------------------------------------------------------------------------- */

/* The file that remembers where an upload goes on: cache/uploads/SHA256 of registry, repository and key. */
static char *kept_file(struct registry *r, const char *key)
{
	g_autofree char *name = g_strdup_printf("%s/%s %s", r->base, r->place.path, key);
	g_autofree char *hex = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);

	return store_path(r->c, "cache/uploads/%s", hex);
}

/* Losing it costs an upload from the beginning, nothing else. */
static void keep(struct registry *r)
{
	g_autofree char *folder = r->kept ? g_path_get_dirname(r->kept) : NULL;

	if (!r->kept)
		return;
	(void)g_mkdir_with_parents(folder, 0700);
	(void)g_file_set_contents_full(
		r->kept, r->location, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
}

static void forget(struct registry *r)
{
	if (r->kept)
		(void)unlink(r->kept);
	g_clear_pointer(&r->kept, g_free);
}

/* Where the upload goes on, from an answer's Location. */
static int take_location(struct registry *r, const struct http_answer *a, struct err *e)
{
	const char *text = http_header(a, "location");
	char *location = text && strlen(text) < LOCATION_MAX ? http_resolve(a->url, text) : NULL;

	if (!location)
		return err_set(
			e, -E_CORRUPT, "'%s' didn't say where the upload goes on", r->place.domain);
	/* a registry behind a proxy that ends TLS may name itself with http */
	if (g_str_has_prefix(r->base, "https:") && g_str_has_prefix(location, "http:")) {
		g_autofree char *tls = g_strconcat("https", location + strlen("http"), NULL);

		if (http_same_place(tls, r->base) || !r->plain_allowed) {
			g_free(location);
			location = g_steal_pointer(&tls);
		}
	}
	g_free(r->location);
	r->location = location;
	return 0;
}

/* Asks how far an upload has come: "Range: 0-LAST". 1: it goes on at r->offset. */
static int ask_kept(struct registry *r)
{
	struct http_request q = { .method = "GET", .max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	g_autofree char *location = NULL;
	const char *range;
	int64_t first, last;
	int code = 0;

	if (!r->kept || !g_file_get_contents(r->kept, &location, NULL, NULL) ||
		strlen(location) >= LOCATION_MAX || !http_same_place(location, r->base))
		return 0;
	if (registry_request(r, &q, location, &a, NULL) >= 0 && a.status == 204) {
		range = http_header(&a, "range");
		if (range && g_str_has_prefix(range, "bytes="))
			range += strlen("bytes=");
		if (range && read_pair(range, &first, &last) && first == 0 && last > 0) {
			r->location = g_steal_pointer(&location);
			if (http_header(&a, "location"))
				(void)take_location(r, &a, NULL);
			r->offset = last + 1;
			code = 1;
		}
	}
	http_answer_clear(&a);
	return code;
}

static int post_upload(struct registry *r, const char *query, int *ret_status, struct err *e)
{
	g_autofree char *path = g_strdup_printf("/v2/%s/blobs/uploads/%s", r->place.path, query);
	struct http_request q = { .method = "POST", .empty_body = true, .max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	int code = registry_request(r, &q, path, &a, e);

	if (code >= 0 && a.status != 201 && a.status != 202)
		code = registry_refused(r, &a, "cannot begin an upload", e);
	if (code >= 0 && a.status == 202)
		code = take_location(r, &a, e);
	*ret_status = a.status;
	http_answer_clear(&a);
	return code;
}

int registry_upload(struct registry *r, const char *key, int64_t *ret_offset, struct err *e)
{
	int code = 0, status;

	registry_upload_stop(r);
	r->offset = 0;
	if (key && ret_offset) {
		/* how it is spoken to is part of the name */
		if (!r->reached)
			code = registry_ping(r, e);
		if (code < 0)
			return code;
		r->kept = kept_file(r, key);
		code = ask_kept(r);
	}
	if (code == 0)
		code = post_upload(r, "", &status, e);
	if (code < 0)
		return code;
	keep(r);
	if (ret_offset)
		*ret_offset = r->offset;
	return 0;
}

int registry_mount(struct registry *r, const char *digest, const char *from, struct err *e)
{
	g_autofree char *query = g_strdup_printf("?mount=%s&from=%s", digest, from);
	int code, status;

	registry_upload_stop(r);
	if (g_strcmp0(r->mount_from, from) != 0) {
		/* the token that we have isn't good for both */
		g_free(r->mount_from);
		r->mount_from = g_strdup(from);
		if (r->authorization && g_str_has_prefix(r->authorization, "Bearer ") &&
			!r->o.bearer)
			g_clear_pointer(&r->authorization, g_free);
	}
	code = post_upload(r, query, &status, e);
	if (code >= 0 && status == 202) {
		/* an upload has begun instead, which isn't wanted here */
		struct http_request q = { .method = "DELETE", .max = HTTP_TEXT_MAX };
		struct http_answer a = { 0 };

		(void)registry_try(r, &q, r->location, &a, NULL);
		http_answer_clear(&a);
	}
	g_clear_pointer(&r->location, g_free);
	if (code == -EPERM || code == -EACCES) {
		/* nor is a token to be asked for again that isn't given */
		g_clear_pointer(&r->mount_from, g_free);
		g_clear_pointer(&r->authorization, g_free);
	}
	/* what can't be mounted is uploaded */
	if (code == -E_NOTFOUND || code == -E_INVALID || code == -EPERM || code == -EACCES)
		return 0;
	return code < 0 ? code : status == 201;
}

/* --- uploads ------------------------------------------------------------------------------------------- */

static int begin_body(struct registry *r, struct err *e)
{
	static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
	struct http_request q = {
		.method = "PATCH", .url = r->location, .headers = headers, .max = HTTP_TEXT_MAX
	};

	q.authorization = http_same_place(r->location, r->base) ? r->authorization : NULL;
	return http_upload_new(r->http, &q, -1, &r->upload, e);
}

static int end_body(struct registry *r, struct err *e)
{
	struct http_answer a = { 0 };
	int code = http_upload_finish(r->upload, &a, e);

	http_upload_free(r->upload);
	r->upload = NULL;
	if (code >= 0 && (a.status < 200 || a.status > 299))
		code = registry_refused(r, &a, "cannot upload", e);
	if (code >= 0)
		code = take_location(r, &a, e);
	http_answer_clear(&a);
	return code;
}

int registry_upload_write(struct registry *r, const void *data, size_t size, struct err *e)
{
	int code = r->upload ? 0 : begin_body(r, e);

	if (code >= 0)
		code = http_upload_write(r->upload, data, size, e);
	if (code == -EPIPE) {
		/* it has said something before the end: never yes */
		code = end_body(r, e);
		return code < 0 ? code
				: err_set(e, -ECONNRESET, "'%s' ended the upload", r->place.domain);
	}
	r->offset += code >= 0 ? (int64_t)size : 0;
	return code;
}

static int put_blob(
	struct registry *r, const char *digest, const void *data, size_t size, struct err *e)
{
	static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
	g_autofree char *url = g_strdup_printf(
		"%s%cdigest=%s", r->location, strchr(r->location, '?') ? '&' : '?', digest);
	struct http_request q = { .method = "PUT",
		.headers = headers,
		.body = data,
		.body_size = size,
		.empty_body = !data,
		.max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	int code = registry_request(r, &q, url, &a, e);

	if (code >= 0 && (a.status < 200 || a.status > 299))
		code = registry_refused(r, &a, "cannot finish an upload", e);
	http_answer_clear(&a);
	return code;
}

int registry_upload_finish(struct registry *r, const char *digest, struct err *e)
{
	int code = r->upload ? end_body(r, e) : 0;

	if (code >= 0) {
		keep(r);
		code = put_blob(r, digest, NULL, 0, e);
	}
	/* also when it is refused: what lies there is no good */
	if (code >= 0 || !registry_is_passing(code))
		forget(r);
	registry_upload_stop(r);
	return code;
}

void registry_upload_stop(struct registry *r)
{
	http_upload_free(r->upload);
	r->upload = NULL;
	g_clear_pointer(&r->location, g_free);
	g_clear_pointer(&r->kept, g_free);
}

void registry_upload_forget(struct registry *r)
{
	forget(r);
	registry_upload_stop(r);
}

int registry_blob_put(
	struct registry *r, const char *digest, const void *data, size_t size, struct err *e)
{
	int code = registry_upload(r, NULL, NULL, e);

	if (code >= 0)
		code = put_blob(r, digest, data, size, e);
	registry_upload_stop(r);
	return code;
}
