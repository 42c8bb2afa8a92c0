/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>
#include "codec/json.h"
#include "image/challenge.h"
#include "image/credentials.h"
#include "image/registry-client.h"
#include "store/blob.h"
#include "store/journal.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS	 8000
#define AUTH_ROUNDS	 2 /* tokens asked for in one request: one may have run out */
#define DOCKER_HUB	 "registry-1.docker.io"

/* --- a client ------------------------------------------------------------------------------------------ */

const struct registry_place *registry_where(const struct registry *r)
{
	return &r->place;
}

static bool may_be_insecure(const struct registry_place *p, const struct transport_options *o)
{
	if (o->tls_verify == 1)
		return false;
	return o->tls_verify == 0 || p->insecure ||
	       (o->loopback_insecure && http_is_loopback(p->domain));
}

int registry_new(struct ctx *c, const struct registry_place *place,
	const struct transport_options *o, unsigned flags, struct registry **ret, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = g_new0(struct registry, 1);
	g_autofree char *ca = NULL, *cert = NULL, *key = NULL;
	struct http_options h = { 0 };
	int code;

	r->c = c;
	r->o = *o;
	r->flags = flags;
	r->place = (struct registry_place){ g_strdup(place->domain), g_strdup(place->path),
		place->insecure, place->is_mirror };
	r->host = g_strdup(strcmp(place->domain, "docker.io") == 0 ? DOCKER_HUB : place->domain);
	r->plain_allowed = may_be_insecure(place, o);
	/* On this machine nobody listens to what is asked first, without a password; TLS that fails would take longer than
	 * all the rest. */
	r->plain_first = r->plain_allowed && o->loopback_insecure && o->tls_verify < 0 &&
			 http_is_loopback(r->host);
	r->base = g_strconcat(r->plain_first ? "http://" : "https://", r->host, NULL);
	code = certs_find(o, r->host, &ca, &cert, &key, e);
	if (code < 0)
		return code;
	h.ca_pem = ca;
	h.client_cert = cert;
	h.client_key = key;
	h.plain = h.any_certificate = r->plain_allowed;
	code = http_new(&h, &r->http, e);
	if (code < 0)
		return code;
	if (o->bearer)
		r->authorization = g_strconcat("Bearer ", o->bearer, NULL);
	*ret = TAKE_PTR(r);
	return 0;
}

int registry_copy(const struct registry *r, struct ctx *c, struct registry **ret, struct err *e)
{
	int code = registry_new(c, &r->place, &r->o, r->flags, ret, e);

	if (code < 0)
		return code;
	g_free((*ret)->base);
	(*ret)->base = g_strdup(r->base);
	(*ret)->reached = r->reached;
	g_free((*ret)->authorization);
	(*ret)->authorization = g_strdup(r->authorization);
	return 0;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	registry_upload_stop(r);
	http_free(r->http);
	g_free(r->place.domain);
	g_free(r->place.path);
	g_free(r->host);
	g_free(r->base);
	g_free(r->authorization);
	g_free(r->mount_from);
	credentials_clear(&r->who);
	g_free(r);
}

void registry_freep(struct registry **r)
{
	registry_free(*r);
}

/* --- who we are ---------------------------------------------------------------------------------------- */

static int know_credentials(struct registry *r, struct err *e)
{
	int code = 0;

	if (!r->asked_who)
		code = credentials_find(&r->o, r->place.domain, r->place.path, &r->who, e);
	if (code < 0)
		return code;
	r->asked_who = true;
	return r->who.user || r->who.identity ? 1 : 0;
}

static char *basic(const struct credentials *c)
{
	g_autofree char *plain = g_strconcat(c->user, ":", c->password, NULL);
	g_autofree char *text = g_base64_encode((const guchar *)plain, strlen(plain));

	return g_strconcat("Basic ", text, NULL);
}

static int need_login(struct registry *r, struct err *e)
{
	bool known = r->who.user || r->who.identity;

	err_set(e, -EACCES, "'%s' %s", r->place.domain,
		known ? "doesn't take the user and password that are known for it"
		      : "wants a user and a password");
	(void)err_mend(e, "lodge login %s", r->place.domain);
	return -EACCES;
}

static void add_word(GString *query, const char *key, const char *value)
{
	g_autofree char *escaped = g_uri_escape_string(value, NULL, FALSE);

	g_string_append_printf(query, "%s%s=%s", query->len ? "&" : "", key, escaped);
}

/* registry-v2's token specification. What is asked for doesn't depend on what the server would like. */
static GString *token_query(const struct registry *r, const struct challenge *x)
{
	GString *query = g_string_new(NULL);
	g_autofree char *own = NULL, *from = NULL, *both = NULL;

	if (x->service)
		add_word(query, "service", x->service);
	if (r->place.path)
		own = g_strdup_printf("repository:%s:%s", r->place.path,
			(r->flags & REGISTRY_DELETE) ? "delete,pull"
			: (r->flags & REGISTRY_PUSH) ? "pull,push"
						     : "pull");
	else
		own = g_strdup(x->scope);
	if (r->mount_from)
		from = g_strdup_printf("repository:%s:pull", r->mount_from);
	/* OAuth has one parameter with spaces in it (oauth.md), the older way one for each (token.md) */
	if (own && from && r->who.identity) {
		both = g_strdup_printf("%s %s", own, from);
		add_word(query, "scope", both);
		return query;
	}
	if (own)
		add_word(query, "scope", own);
	if (from)
		add_word(query, "scope", from);
	return query;
}

static int take_token(struct registry *r, const char *text, size_t size, struct err *e)
{
	const char *token;
	json_t *doc = NULL;
	int code = json_read(text, size, &doc, NULL);

	if (code < 0)
		return err_set(e, -E_CORRUPT, "the token server of '%s' answered with no JSON",
			r->place.domain);
	token = json_string_value(json_object_get(doc, "token"));
	if (!token || !*token)
		token = json_string_value(json_object_get(doc, "access_token"));
	if (!token || !*token || strpbrk(token, "\r\n")) {
		code = err_set(
			e, -E_CORRUPT, "the token server of '%s' gave no token", r->place.domain);
	} else {
		g_free(r->authorization);
		r->authorization = g_strconcat("Bearer ", token, NULL);
	}
	json_decref(doc);
	return MIN(code, 0);
}

static int get_token(struct registry *r, const struct challenge *x, struct err *e)
{
	static const char *const form[] = { "Content-Type: application/x-www-form-urlencoded",
		NULL };
	struct http_answer a = { 0 };
	g_autofree char *url = NULL, *authorization = NULL;
	GString *query;
	struct http_request q = { .method = "GET", .max = REGISTRY_TOKEN_MAX };
	int code;

	if (!x->realm || (!g_str_has_prefix(x->realm, "https://") &&
				 !(r->plain_allowed && g_str_has_prefix(x->realm, "http://"))))
		return err_set(e, -E_INVALID,
			"'%s' sends for a token to '%.200s', which isn't encrypted",
			r->place.domain, x->realm ?: "");
	code = know_credentials(r, e);
	if (code < 0)
		return code;
	query = token_query(r, x);
	if (r->who.identity) {
		add_word(query, "grant_type", "refresh_token");
		add_word(query, "client_id", "lodge");
		add_word(query, "refresh_token", r->who.identity);
		q.method = "POST";
		q.headers = form;
		q.body = query->str;
		q.body_size = query->len;
		url = g_strdup(x->realm);
	} else {
		if (r->who.user) {
			add_word(query, "account", r->who.user);
			q.authorization = authorization = basic(&r->who);
		}
		url = g_strconcat(x->realm, strchr(x->realm, '?') ? "&" : "?", query->str, NULL);
	}
	q.url = url;
	code = http_run(r->http, &q, &a, e);
	if (code >= 0 && (a.status == 401 || a.status == 403))
		code = need_login(r, e);
	else if (code >= 0 && a.status != 200)
		code = registry_refused(r, &a, "no token", e);
	if (code >= 0)
		code = take_token(r, a.text->str, a.text->len, e);
	g_string_free(query, TRUE);
	http_answer_clear(&a);
	return code;
}

/* After a 401. */
static int authorize(struct registry *r, const struct http_answer *a, struct err *e)
{
	struct challenge x = { 0 };
	int code = 0;

	for (unsigned i = 0; code >= 0 && i < a->headers->len; i++) {
		const char *h = a->headers->pdata[i];

		if (g_str_has_prefix(h, "www-authenticate:"))
			code = challenge_parse(strchr(h, ':') + 1, &x, e);
	}
	if (code >= 0 && r->o.bearer) {
		code = err_set(e, -EACCES, "'%s' doesn't take the token", r->place.domain);
	} else if (code >= 0 && x.bearer) {
		code = get_token(r, &x, e);
	} else if (code >= 0) {
		code = know_credentials(r, e);
		if (code >= 0 && (!x.basic || !r->who.user || r->authorization))
			code = need_login(r, e);
		if (code >= 0)
			r->authorization = basic(&r->who);
	}
	challenge_clear(&x);
	return MIN(code, 0);
}

/* --- requests ------------------------------------------------------------------------------------------ */

bool registry_is_passing(int code)
{
	return code == -ECONNRESET || code == -ETIMEDOUT || code == -EHOSTUNREACH ||
	       code == -ECONNREFUSED || code == -EPIPE || code == -EAGAIN;
}

/* Text from elsewhere, for a terminal. */
static void printable(char *text)
{
	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = ' ';
}

int registry_refused(
	struct registry *r, const struct http_answer *a, const char *what, struct err *e)
{
	const char *type = http_header(a, "content-type") ?: "";
	int code = a->status == 404			  ? -E_NOTFOUND
		   : a->status == 401			  ? -EACCES
		   : a->status == 403			  ? -EPERM
		   : a->status == 429 || a->status >= 500 ? -EAGAIN
							  : -E_INVALID;
	g_autofree char *said = NULL;
	json_t *doc = NULL, *error;

	if (a->text && json_read(a->text->str, a->text->len, &doc, NULL) >= 0) {
		error = json_array_get(json_object_get(doc, "errors"), 0);
		said = g_strdup(json_string_value(json_object_get(error, "message"))
					?: json_string_value(json_object_get(doc, "details")));
	} else if (g_str_has_prefix(type, "text/html")) {
		said = g_strdup("a web page, not a registry's answer");
	}
	json_decref(doc);
	if (said)
		printable(said);
	if (code == -EACCES)
		return need_login(r, e);
	return err_set(e, code, "%s: '%s' answered with status %d%s%.300s", what, r->place.domain,
		a->status, said ? ": " : "", said ?: "");
}

/* Whether to go on the other way: nobody speaks TLS there, and plain http is allowed; or plain http was tried first. */
static bool try_other(struct registry *r, int code, int status)
{
	bool tls = g_str_has_prefix(r->base, "https:");
	bool refused = tls ? code == -EPROTO || code == -ECONNREFUSED
			   : code == -EPROTO || code == -ECONNRESET || (code >= 0 && status == 400);

	if (r->reached || !refused || (tls ? !r->plain_allowed || r->plain_first : !r->plain_first))
		return false;
	g_free(r->base);
	r->base = g_strconcat(tls ? "http://" : "https://", r->host, NULL);
	return true;
}

/* One attempt, but for finding out how it is spoken to and who we are. */
int registry_try(struct registry *r, struct http_request *q, const char *where,
	struct http_answer *ret, struct err *e)
{
	struct err tls = { 0 };

	for (int round = 0;;) {
		g_autofree char *url =
			*where == '/' ? g_strconcat(r->base, where, NULL) : g_strdup(where);
		int code;

		q->url = url;
		q->authorization = http_same_place(url, r->base) ? r->authorization : NULL;
		code = http_run(r->http, q, ret, e);
		q->url = NULL;
		if (*where == '/' && try_other(r, code, ret->status)) {
			tls = e ? *e : tls;
			tls.code = code;
			continue;
		}
		/* a server of TLS that wanted something else, like a certificate of ours */
		if (code >= 0 && tls.code == -EPROTO && ret->status == 400) {
			if (e)
				*e = tls;
			return tls.code;
		}
		if (code < 0)
			return code;
		r->reached = true;
		if (ret->status != 401 || round++ >= AUTH_ROUNDS || !http_same_place(url, r->base))
			return 0;
		code = authorize(r, ret, e);
		if (code < 0)
			return code;
	}
}

void registry_pause(int *attempt, int seconds)
{
	int64_t ms = MIN((int64_t)BACKOFF_FIRST_MS << *attempt, BACKOFF_MAX_MS);
	struct timespec t;

	if (seconds > 0)
		ms = (int64_t)seconds * 1000;
	t = (struct timespec){ ms / 1000, (ms % 1000) * 1000000 };
	(*attempt)++;
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

int registry_retries(const struct registry *r)
{
	return r->o.retries > 0 ? r->o.retries : REGISTRY_RETRIES;
}

static bool is_busy(int status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

int registry_request(struct registry *r, struct http_request *q, const char *where,
	struct http_answer *ret, struct err *e)
{
	for (int attempt = 0;;) {
		int code = registry_try(r, q, where, ret, e), seconds = 0;

		if (code >= 0 && !is_busy(ret->status))
			return 0;
		if (code < 0 && !registry_is_passing(code))
			return code;
		/* what never answered isn't waited for: there may be another place */
		if ((code < 0 && !r->reached) || attempt >= registry_retries(r))
			return code;
		if (code >= 0)
			seconds = http_retry_after(ret);
		registry_pause(&attempt, seconds);
	}
}

int registry_ping(struct registry *r, struct err *e)
{
	struct http_request q = { .method = "GET", .max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	int code = registry_request(r, &q, "/v2/", &a, e);

	if (code >= 0 && a.status != 200)
		code = registry_refused(r, &a, "cannot log in", e);
	/* one that lets everybody in hasn't looked at the password */
	http_answer_clear(&a);
	return code;
}

/* --- documents ----------------------------------------------------------------------------------------- */

static const char *const accept_documents[] = {
	"Accept: application/vnd.oci.image.index.v1+json",
	"Accept: application/vnd.oci.image.manifest.v1+json",
	"Accept: application/vnd.docker.distribution.manifest.list.v2+json",
	"Accept: application/vnd.docker.distribution.manifest.v2+json",
	"Accept: application/vnd.docker.distribution.manifest.v1+prettyjws",
	"Accept: */*",
	NULL,
};

/* As the header says it, or the document itself. */
static char *type_of(const struct http_answer *a)
{
	const char *header = http_header(a, "content-type");
	g_autofree char *type = g_strndup(header ?: "", strcspn(header ?: "", "; "));
	json_t *doc = NULL;
	const char *said;
	char *result = NULL;

	if (*type && strcmp(type, "application/json") != 0 && strcmp(type, "text/plain") != 0 &&
		strcmp(type, "application/octet-stream") != 0)
		return g_steal_pointer(&type);
	if (json_read(a->text->str, a->text->len, &doc, NULL) >= 0) {
		said = json_string_value(json_object_get(doc, "mediaType"));
		if (said)
			result = g_strdup(said);
		else if (json_is_array(json_object_get(doc, "manifests")))
			result = g_strdup("application/vnd.oci.image.index.v1+json");
		else if (json_is_object(json_object_get(doc, "config")))
			result = g_strdup("application/vnd.oci.image.manifest.v1+json");
	}
	json_decref(doc);
	return result ? result : g_steal_pointer(&type);
}

static char *manifest_path(const struct registry *r, const char *what)
{
	return g_strdup_printf("/v2/%s/manifests/%s", r->place.path, what);
}

static int no_image(
	struct registry *r, const struct http_answer *a, const char *what, struct err *e)
{
	if (a->status == 404)
		return err_set(e, -E_NOTFOUND, "'%s/%s%s%s' isn't there", r->place.domain,
			r->place.path, strchr(what, ':') ? "@" : ":", what);
	return registry_refused(r, a, "cannot get the image", e);
}

int registry_manifest(struct registry *r, const char *what, char **ret, size_t *ret_size,
	char **ret_type, char **ret_digest, struct err *e)
{
	struct http_request q = {
		.method = "GET", .headers = accept_documents, .max = TRANSPORT_DOCUMENT_MAX
	};
	g_autofree char *path = manifest_path(r, what), *is = NULL;
	struct http_answer a = { 0 };
	int code;

	code = registry_request(r, &q, path, &a, e);
	if (code >= 0 && a.status != 200)
		code = no_image(r, &a, what, e);
	else if (code >= 0 && strchr(what, ':')) {
		is = blob_digest(a.text->str, a.text->len);
		if (g_str_has_prefix(what, "sha256:") && strcmp(is, what) != 0)
			code = err_set(e, -E_CORRUPT,
				"'%s' gave another document for '%s': its digest is '%s'",
				r->place.domain, what, is);
	}
	if (code >= 0 && g_str_has_prefix(http_header(&a, "content-type") ?: "", "text/html"))
		code = err_set(e, -E_CORRUPT, "'%s' answered with a web page, not with a manifest",
			r->place.domain);
	if (code >= 0) {
		if (ret_type)
			*ret_type = type_of(&a);
		if (ret_digest)
			*ret_digest = g_strdup(http_header(&a, "docker-content-digest"));
		*ret_size = a.text->len;
		*ret = g_string_free(g_steal_pointer(&a.text), FALSE);
	}
	http_answer_clear(&a);
	return code;
}

int registry_manifest_digest(struct registry *r, const char *what, char **ret_digest, struct err *e)
{
	struct http_request q = { .method = "HEAD", .headers = accept_documents };
	g_autofree char *path = manifest_path(r, what);
	struct http_answer a = { 0 };
	const char *digest;
	int code;

	code = registry_request(r, &q, path, &a, e);
	if (code >= 0 && a.status != 200)
		code = no_image(r, &a, what, e);
	digest = code >= 0 ? http_header(&a, "docker-content-digest") : NULL;
	if (code >= 0 && (!digest || !ref_is_digest(digest)))
		code = err_set(e, -E_UNSUPPORTED, "'%s' doesn't tell digests", r->place.domain);
	if (code >= 0 && !g_str_has_prefix(digest, "sha256:"))
		code = err_set(e, -E_UNSUPPORTED,
			"'%s' has the digest '%.20s...'; only sha256 is read", r->place.domain,
			digest);
	if (code >= 0)
		*ret_digest = g_strdup(digest);
	http_answer_clear(&a);
	return code;
}

int registry_manifest_put(struct registry *r, const char *what, const void *text, size_t size,
	const char *type, struct err *e)
{
	g_autofree char *path = manifest_path(r, what);
	g_autofree char *header = g_strconcat("Content-Type: ", type, NULL);
	const char *const headers[] = { header, NULL };
	struct http_request q = { .method = "PUT",
		.headers = headers,
		.body = text,
		.body_size = size,
		.max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	int code;

	code = registry_request(r, &q, path, &a, e);
	if (code >= 0 && (a.status < 200 || a.status > 299))
		code = registry_refused(r, &a, "cannot put the manifest", e);
	http_answer_clear(&a);
	return code;
}

int registry_manifest_delete(struct registry *r, const char *digest, struct err *e)
{
	g_autofree char *path = manifest_path(r, digest);
	struct http_request q = { .method = "DELETE", .max = HTTP_TEXT_MAX };
	struct http_answer a = { 0 };
	int code;

	code = registry_request(r, &q, path, &a, e);
	if (code >= 0 && a.status == 404)
		code = no_image(r, &a, digest, e);
	else if (code >= 0 && a.status == 405)
		code = err_set(
			e, -E_UNSUPPORTED, "'%s' doesn't let anything be deleted", r->place.domain);
	else if (code >= 0 && (a.status < 200 || a.status > 299))
		code = registry_refused(r, &a, "cannot delete the image", e);
	http_answer_clear(&a);
	return code;
}

/* RFC 8288: the next page, from Link: <URL>; rel="next". */
static char *next_page(const struct http_answer *a)
{
	const char *link = http_header(a, "link"), *open = link ? strchr(link, '<') : NULL;
	const char *close = open ? strchr(open, '>') : NULL;
	g_autofree char *target = NULL;

	if (!close || !strstr(close, "next"))
		return NULL;
	target = g_strndup(open + 1, (size_t)(close - open - 1));
	return http_resolve(a->url, target);
}

int registry_tags(struct registry *r, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *where = g_strdup_printf("/v2/%s/tags/list", r->place.path);
	struct http_request q = { .method = "GET", .max = TRANSPORT_DOCUMENT_MAX };
	int code = 0;

	for (int page = 0; code >= 0 && where; page++) {
		struct http_answer a = { 0 };
		json_t *doc = NULL, *tag;
		size_t i;

		code = registry_request(r, &q, where, &a, e);
		if (code >= 0 && a.status != 200)
			code = registry_refused(r, &a, "cannot list the tags", e);
		if (code >= 0)
			code = json_read(a.text->str, a.text->len, &doc, e);
		if (code >= 0 && (page > 10000 || list->len > REGISTRY_TAGS_MAX))
			code = err_set(e, -E_LIMIT, "'%s' has no end of tags", r->place.domain);
		json_array_foreach(json_object_get(doc, "tags"), i, tag) {
			if (json_string_value(tag) && ref_is_tag(json_string_value(tag)))
				g_ptr_array_add(list, g_strdup(json_string_value(tag)));
		}
		g_free(where);
		where = code >= 0 ? next_page(&a) : NULL;
		if (where && !http_same_place(where, r->base))
			g_clear_pointer(&where, g_free);
		json_decref(doc);
		http_answer_clear(&a);
	}
	if (code < 0)
		return code;
	*ret = g_steal_pointer(&list);
	return 0;
}

int registry_get(struct registry *r, const char *url, size_t max, GString **ret, struct err *e)
{
	struct http_request q = { .method = "GET", .max = max };
	struct http_answer a = { 0 };
	int code = registry_request(r, &q, url, &a, e);

	if (code >= 0 && a.status != 200)
		code = registry_refused(r, &a, "cannot get it", e);
	if (code >= 0)
		*ret = g_steal_pointer(&a.text);
	http_answer_clear(&a);
	return code;
}
