/* SPDX-License-Identifier: MIT */
#include "image/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE	(256L << 10)
#define CONNECT_SECONDS 30L
#define STALL_SECONDS	60L /* without a byte: the connection is dead */
#define POLL_MS		1000

/* What is used of libcurl, found by name. */
struct curl_api {
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_reset) *easy_reset;
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	__typeof__(curl_easy_pause) *pause;
	__typeof__(curl_easy_strerror) *strerror;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_add_handle) *multi_add;
	__typeof__(curl_multi_remove_handle) *multi_remove;
	__typeof__(curl_multi_perform) *perform;
	__typeof__(curl_multi_poll) *poll;
	__typeof__(curl_multi_info_read) *info_read;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
};

struct http {
	struct curl_api api;
	CURLM *multi;
	CURL *easy;
	struct http_options o;
	char *ca_pem, *client_cert, *client_key;
	char error[CURL_ERROR_SIZE];
	/* of the request that is on its way */
	const struct http_request *q;
	struct http_answer *answer;
	struct curl_slist *headers;
	size_t header_bytes;
	bool begun;
	int code; /* what a callback said */
	struct err *e;
	/* a body that is pushed */
	const char *body;
	size_t body_left;
	bool body_end, paused;
};

struct http_upload {
	struct http *h;
	struct http_request q;
	struct http_answer answer;
	struct err e;
	bool done;
	CURLcode result;
};

/* --- libcurl ------------------------------------------------------------------------------------------- */

static int load(struct curl_api *a, struct err *e)
{
	const struct {
		const char *name;
		void *at;
	} names[] = {
		{ "curl_global_init", &a->global_init },
		{ "curl_easy_init", &a->easy_init },
		{ "curl_easy_reset", &a->easy_reset },
		{ "curl_easy_setopt", &a->setopt },
		{ "curl_easy_getinfo", &a->getinfo },
		{ "curl_easy_pause", &a->pause },
		{ "curl_easy_strerror", &a->strerror },
		{ "curl_easy_cleanup", &a->easy_cleanup },
		{ "curl_multi_init", &a->multi_init },
		{ "curl_multi_add_handle", &a->multi_add },
		{ "curl_multi_remove_handle", &a->multi_remove },
		{ "curl_multi_perform", &a->perform },
		{ "curl_multi_poll", &a->poll },
		{ "curl_multi_info_read", &a->info_read },
		{ "curl_multi_cleanup", &a->multi_cleanup },
		{ "curl_slist_append", &a->slist_append },
		{ "curl_slist_free_all", &a->slist_free_all },
	};
	/* never unloaded: OpenSSL has handlers that run at exit */
	void *lib = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_NODELETE);

	if (!lib) {
		err_set(e, -E_UNSUPPORTED, "cannot load libcurl.so.4: %s", dlerror());
		err_mend(e, "install the package libcurl4");
		return -E_UNSUPPORTED;
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		void *f = dlsym(lib, names[i].name);

		if (!f)
			return err_set(e, -E_UNSUPPORTED, "libcurl.so.4 lacks %s", names[i].name);
		memcpy(names[i].at, &f, sizeof(f));
	}
	if (a->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, -E_UNSUPPORTED, "libcurl cannot start");
	return 0;
}

int http_new(const struct http_options *o, struct http **ret, struct err *e)
{
	_cleanup_(http_freep) struct http *h = g_new0(struct http, 1);
	int r;

	r = load(&h->api, e);
	if (r < 0)
		return r;
	h->o = *o;
	h->o.ca_pem = h->ca_pem = g_strdup(o->ca_pem);
	h->o.client_cert = h->client_cert = g_strdup(o->client_cert);
	h->o.client_key = h->client_key = g_strdup(o->client_key);
	h->multi = h->api.multi_init();
	h->easy = h->api.easy_init();
	g_assert(h->multi && h->easy);
	*ret = TAKE_PTR(h);
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	if (h->easy)
		h->api.easy_cleanup(h->easy);
	if (h->multi)
		h->api.multi_cleanup(h->multi);
	g_free(h->ca_pem);
	g_free(h->client_cert);
	g_free(h->client_key);
	g_free(h);
}

void http_freep(struct http **h)
{
	http_free(*h);
}

void http_answer_clear(struct http_answer *a)
{
	if (a->headers)
		g_ptr_array_unref(a->headers);
	if (a->text)
		g_string_free(a->text, TRUE);
	g_free(a->url);
	memset(a, 0, sizeof(*a));
}

const char *http_header(const struct http_answer *a, const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = 0; a->headers && i < a->headers->len; i++) {
		const char *h = a->headers->pdata[i];

		if (strncmp(h, name, n) == 0 && h[n] == ':')
			return h + n + 1 + strspn(h + n + 1, " ");
	}
	return NULL;
}

/* --- callbacks ----------------------------------------------------------------------------------------- */

static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	struct http *h = arg;
	struct http_answer *a = h->answer;
	g_autofree char *line = g_strndup(data, n);
	char *colon;

	(void)g_strchomp(line);
	if (g_str_has_prefix(line, "HTTP/")) {
		/* the last one counts: "100 Continue" and the proxy's come before */
		const char *blank = strchr(line, ' ');

		a->status = blank ? (int)g_ascii_strtoull(blank + 1, NULL, 10) : 0;
		a->length = -1;
		g_ptr_array_set_size(a->headers, 0);
		h->header_bytes = 0;
		return n;
	}
	colon = strchr(line, ':');
	h->header_bytes += n;
	if (!colon || h->header_bytes > HTTP_HEADERS_MAX)
		return n;
	for (char *c = line; c < colon; c++)
		*c = g_ascii_tolower(*c);
	if (g_str_has_prefix(line, "content-length:"))
		a->length = g_ascii_strtoll(colon + 1, NULL, 10);
	g_ptr_array_add(a->headers, g_steal_pointer(&line));
	return n;
}

static size_t stop(struct http *h, int code)
{
	h->code = code;
	return 0; /* fewer than given: libcurl ends the transfer */
}

static bool wanted(const struct http *h)
{
	return h->answer->status >= 200 && h->answer->status < 300;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct http *h = arg;
	size_t max = wanted(h) ? h->q->max : HTTP_TEXT_MAX;
	int r = 0;

	if (!n)
		return 0;
	if (wanted(h) && !h->begun && h->q->begin) {
		h->begun = true;
		r = h->q->begin(h->q->arg, h->answer, h->e);
		if (r < 0)
			return stop(h, r);
	}
	if (wanted(h) && h->q->sink) {
		r = h->q->sink(h->q->arg, data, n, h->e);
		return r < 0 ? stop(h, r) : n;
	}
	if (h->answer->text->len + n > max) {
		if (!wanted(h))
			return n; /* what there is, is enough to say what went wrong */
		return stop(
			h, err_set(h->e, -E_LIMIT, "the answer of '%s' is larger than %zu bytes",
				   h->answer->url, max));
	}
	g_string_append_len(h->answer->text, data, (gssize)n);
	return n;
}

static size_t on_read(char *buf, size_t one, size_t n, void *arg)
{
	struct http *h = arg;
	size_t k = MIN(n, h->body_left);

	if (k == 0) {
		h->paused = !h->body_end;
		return h->body_end ? 0 : CURL_READFUNC_PAUSE;
	}
	memcpy(buf, h->body, k);
	h->body += k;
	h->body_left -= k;
	return k;
}

/* --- a request ----------------------------------------------------------------------------------------- */

/* Go's programs read these in capitals, too, and never use them for this machine. */
static void set_proxy(struct http *h, const char *url)
{
	bool tls = g_str_has_prefix(url, "https:");
	const char *proxy = getenv(tls ? "HTTPS_PROXY" : "HTTP_PROXY");
	const char *except = getenv("NO_PROXY") ?: getenv("no_proxy");
	g_autofree char *here = NULL;

	if (!proxy || !*proxy)
		proxy = getenv(tls ? "https_proxy" : "http_proxy");
	if (!proxy || !*proxy || http_is_loopback(url))
		proxy = "";
	(void)h->api.setopt(h->easy, CURLOPT_PROXY, proxy);
	here = http_no_proxy(except ?: "", url);
	(void)h->api.setopt(h->easy, CURLOPT_NOPROXY, here);
}

/* The folder with one file a certificate is looked into by hash: the whole bundle takes 20 ms to parse. */
static void set_tls(struct http *h)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");

	if (!dir && access("/etc/ssl/certs/ca-certificates.crt", F_OK) == 0)
		dir = "/etc/ssl/certs";
	if (dir || file) {
		(void)h->api.setopt(h->easy, CURLOPT_CAINFO, file);
		(void)h->api.setopt(h->easy, CURLOPT_CAPATH, file ? NULL : dir);
	}
	if (h->ca_pem) {
		struct curl_blob blob = { h->ca_pem, strlen(h->ca_pem), CURL_BLOB_NOCOPY };

		(void)h->api.setopt(h->easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (h->client_cert) {
		(void)h->api.setopt(h->easy, CURLOPT_SSLCERT, h->client_cert);
		(void)h->api.setopt(h->easy, CURLOPT_SSLKEY, h->client_key);
	}
	if (h->o.any_certificate) {
		(void)h->api.setopt(h->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)h->api.setopt(h->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	(void)h->api.setopt(h->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static void add_header(struct http *h, const char *line)
{
	h->headers = h->api.slist_append(h->headers, line);
	g_assert(h->headers);
}

static void set_headers(struct http *h, const char *authorization)
{
	/* libcurl would wait for "100 Continue" before it sends a body */
	add_header(h, "Expect:");
	if (authorization) {
		g_autofree char *line = g_strconcat("Authorization: ", authorization, NULL);

		add_header(h, line);
	}
	for (const char *const *x = h->q->headers; x && *x; x++)
		add_header(h, *x);
	(void)h->api.setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
}

static void set_method(struct http *h, const struct http_request *q)
{
	if (strcmp(q->method, "HEAD") == 0)
		(void)h->api.setopt(h->easy, CURLOPT_NOBODY, 1L);
	else if (q->body || q->empty_body) {
		(void)h->api.setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)(q->body ? q->body_size : 0));
		(void)h->api.setopt(h->easy, CURLOPT_POSTFIELDS, q->body ? q->body : "");
	}
	if (strcmp(q->method, "GET") != 0 && strcmp(q->method, "HEAD") != 0)
		(void)h->api.setopt(h->easy, CURLOPT_CUSTOMREQUEST, q->method);
}

static void prepare(struct http *h, const struct http_request *q, const char *url,
	const char *authorization, struct http_answer *a, struct err *e)
{
	h->q = q;
	h->answer = a;
	h->e = e;
	h->code = 0;
	h->begun = h->paused = h->body_end = false;
	h->error[0] = '\0';
	http_answer_clear(a);
	a->headers = g_ptr_array_new_with_free_func(g_free);
	a->text = g_string_new(NULL);
	a->url = g_strdup(url);
	a->length = -1;
	h->api.easy_reset(h->easy);
	(void)h->api.setopt(h->easy, CURLOPT_URL, url);
	(void)h->api.setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)h->api.setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	(void)h->api.setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
	(void)h->api.setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	(void)h->api.setopt(h->easy, CURLOPT_USERAGENT, "lodge");
	(void)h->api.setopt(h->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	(void)h->api.setopt(h->easy, CURLOPT_LOW_SPEED_LIMIT, h->o.patient ? 0L : 1L);
	(void)h->api.setopt(h->easy, CURLOPT_LOW_SPEED_TIME, h->o.patient ? 0L : STALL_SECONDS);
	(void)h->api.setopt(h->easy, CURLOPT_UNIX_SOCKET_PATH, h->o.unix_socket);
	(void)h->api.setopt(h->easy, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	(void)h->api.setopt(h->easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
	(void)h->api.setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)h->api.setopt(h->easy, CURLOPT_HEADERDATA, h);
	(void)h->api.setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)h->api.setopt(h->easy, CURLOPT_WRITEDATA, h);
	set_proxy(h, url);
	set_tls(h);
	set_headers(h, authorization);
	set_method(h, q);
}

static void finish(struct http *h)
{
	h->api.slist_free_all(h->headers);
	h->headers = NULL;
}

/* 1 when the transfer has ended: *ret. */
static int step(struct http *h, bool wait, CURLcode *ret)
{
	int running = 0, left;
	CURLMsg *m;

	(void)h->api.perform(h->multi, &running);
	while ((m = h->api.info_read(h->multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			*ret = m->data.result;
			return 1;
		}
	if (wait)
		(void)h->api.poll(h->multi, NULL, 0, POLL_MS, NULL);
	return 0;
}

static int connect_failed(const struct http *h, CURLcode code)
{
	long os = 0;

	(void)h->api.getinfo(h->easy, CURLINFO_OS_ERRNO, &os);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return -ETIMEDOUT;
	return os == ECONNREFUSED ? -ECONNREFUSED : -EHOSTUNREACH;
}

static int failed(struct http *h, CURLcode code, struct err *e)
{
	const char *why = h->error[0] ? h->error : h->api.strerror(code);
	const char *url = h->answer->url;
	int r;

	if (h->code < 0)
		return h->code;
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_OPERATION_TIMEDOUT:
		r = connect_failed(h, code);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		r = -E_INVALID;
		break;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		r = -EPROTO;
		break;
	default:
		r = -ECONNRESET;
	}
	err_set(e, r, "cannot get '%s': %s", url, why);
	if (r == -E_INVALID)
		(void)err_mend(
			e, "put the registry's authority into certs.d, or use --tls-verify=false");
	return r;
}

static int run_one(struct http *h, const struct http_request *q, const char *url,
	const char *authorization, struct http_answer *a, struct err *e)
{
	CURLcode code = CURLE_OK;

	prepare(h, q, url, authorization, a, e);
	(void)h->api.multi_add(h->multi, h->easy);
	while (step(h, true, &code) == 0)
		;
	(void)h->api.multi_remove(h->multi, h->easy);
	/* an empty body never came to on_body */
	if (code == CURLE_OK && wanted(h) && !h->begun && q->begin) {
		h->code = q->begin(q->arg, a, e);
		code = h->code < 0 ? CURLE_WRITE_ERROR : CURLE_OK;
	}
	finish(h);
	return code == CURLE_OK ? 0 : failed(h, code, e);
}

static bool is_redirect(const struct http_request *q, int status)
{
	bool safe = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0;

	return status == 307 || status == 308 ||
	       (safe && (status == 301 || status == 302 || status == 303));
}

int http_run(struct http *h, const struct http_request *q, struct http_answer *ret, struct err *e)
{
	g_autofree char *url = g_strdup(q->url);
	const char *authorization = q->authorization;

	for (int hops = 0;; hops++) {
		g_autofree char *next = NULL;
		const char *location;
		int r = run_one(h, q, url, authorization, ret, e);

		if (r < 0)
			return r;
		location = is_redirect(q, ret->status) ? http_header(ret, "location") : NULL;
		if (!location)
			return 0;
		if (hops >= HTTP_REDIRECTS_MAX)
			return err_set(e, -ELOOP, "'%s' redirects more than %d times", q->url,
				HTTP_REDIRECTS_MAX);
		next = http_resolve(url, location);
		if (!next)
			return err_set(e, -E_INVALID, "'%s' redirects to '%.200s'", url, location);
		if (g_str_has_prefix(url, "https:") && !g_str_has_prefix(next, "https:") &&
			!h->o.plain)
			return err_set(e, -E_INVALID,
				"'%s' redirects to '%.200s', which isn't encrypted", url, next);
		/* what another host gets to know is the URL alone */
		if (!http_same_place(url, next))
			authorization = NULL;
		g_free(url);
		url = g_steal_pointer(&next);
	}
}

/* --- pushed bodies ------------------------------------------------------------------------------------- */

int http_upload_new(struct http *h, const struct http_request *q, int64_t size,
	struct http_upload **ret, struct err *e)
{
	struct http_upload *u = g_new0(struct http_upload, 1);

	u->h = h;
	u->q = *q;
	prepare(h, &u->q, q->url, q->authorization, &u->answer, &u->e);
	(void)h->api.setopt(h->easy, CURLOPT_UPLOAD, 1L);
	(void)h->api.setopt(h->easy, CURLOPT_CUSTOMREQUEST, q->method);
	(void)h->api.setopt(h->easy, CURLOPT_READFUNCTION, on_read);
	(void)h->api.setopt(h->easy, CURLOPT_READDATA, h);
	if (size >= 0)
		(void)h->api.setopt(h->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	h->body_left = 0;
	(void)h->api.multi_add(h->multi, h->easy);
	*ret = u;
	return 0;
}

static void resume(struct http *h)
{
	if (h->paused) {
		h->paused = false;
		(void)h->api.pause(h->easy, CURLPAUSE_CONT);
	}
}

int http_upload_write(struct http_upload *u, const void *data, size_t size, struct err *e)
{
	struct http *h = u->h;

	h->body = data;
	h->body_left = size;
	resume(h);
	while (!u->done && h->body_left > 0) {
		u->done = step(h, false, &u->result) > 0;
		if (!u->done && h->body_left > 0)
			(void)h->api.poll(h->multi, NULL, 0, POLL_MS, NULL);
	}
	h->body_left = 0;
	return u->done ? -EPIPE : 0;
}

int http_upload_finish(struct http_upload *u, struct http_answer *ret, struct err *e)
{
	struct http *h = u->h;
	int r;

	h->body_end = true;
	resume(h);
	while (!u->done)
		u->done = step(h, true, &u->result) > 0;
	if (u->result != CURLE_OK) {
		r = failed(h, u->result, &u->e);
		if (e)
			*e = u->e;
		return r;
	}
	http_answer_clear(ret);
	*ret = u->answer;
	memset(&u->answer, 0, sizeof(u->answer));
	return 0;
}

void http_upload_free(struct http_upload *u)
{
	if (!u)
		return;
	(void)u->h->api.multi_remove(u->h->multi, u->h->easy);
	finish(u->h);
	http_answer_clear(&u->answer);
	g_free(u);
}
