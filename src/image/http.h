/* SPDX-License-Identifier: MIT */
#ifndef LODGE_HTTP_H
#define LODGE_HTTP_H

/*
 * HTTP requests (RFC 9110), by libcurl: HTTP/2, TLS, proxies from the environment. libcurl is loaded by the first
 * http_new() and not by the start of the program. Connections are kept from one request to the next.
 *
 * Redirects aren't followed by libcurl but by http_run(), which takes Authorization along to the same host, port and
 * scheme only, and goes from https to http only where plain http is allowed.
 */

#include <glib.h>
#include "base/err.h"

#define HTTP_TEXT_MAX	   (64 << 10) /* of an answer that isn't wanted, kept for its error text */
#define HTTP_HEADERS_MAX   (64 << 10) /* bytes of all headers that are kept */
#define HTTP_REDIRECTS_MAX 10

struct http_options {
	const char *ca_pem; /* further certificate authorities; NULL: the system's alone */
	const char *client_cert, *client_key; /* files; NULL: none */
	bool any_certificate;		      /* the server's isn't checked */
	bool plain;			      /* http is allowed, after redirects too */
	const char *unix_socket; /* path that all requests go to, must stay; NULL: the URL's host */
	bool patient;		 /* the answer may take its time: no limit for silence */
};

struct http_answer {
	int status;
	int64_t length;	    /* Content-Length; -1: not told */
	GPtrArray *headers; /* "name: value", names in lower case */
	GString *text;	    /* the body, where no sink took it */
	char *url;	    /* where it came from in the end */
};
void http_answer_clear(struct http_answer *a);
/* The first header of this name (lower case), or NULL. */
const char *http_header(const struct http_answer *a, const char *name);

struct http_request {
	const char *method;
	const char *url;
	const char *authorization;  /* value of the header; NULL: none */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const void *body;	    /* of body_size bytes; NULL: none */
	size_t body_size;
	bool empty_body; /* Content-Length: 0, as POST and PUT need it */
	/* Told the headers of an answer with status 2xx before its body; may be NULL. */
	int (*begin)(void *arg, const struct http_answer *a, struct err *e);
	/* Takes the body of an answer with status 2xx; NULL: it is kept in `text`, up to max bytes. */
	int (*sink)(void *arg, const void *data, size_t size, struct err *e);
	void *arg;
	size_t max;
};

struct http;

/* -E_UNSUPPORTED with the package's name when libcurl isn't there. */
int http_new(const struct http_options *o, struct http **ret, struct err *e);
void http_free(struct http *h);
void http_freep(struct http **h);

/* 0 with any status. -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT, -ECONNRESET and -EPIPE when there was no whole answer
 * (worth another attempt), -EPROTO where the other side speaks no TLS or no HTTP, -E_INVALID for its certificate,
 * -E_LIMIT for an answer that is too large, -ELOOP for redirects; or the code of begin or sink. */
int http_run(struct http *h, const struct http_request *q, struct http_answer *ret, struct err *e);

/* --- a body that is written as it comes ----------------------------------------------------------------- */

struct http_upload;
/* Begins a request whose body is pushed by http_upload_write(); it is sent with a length when size is known (not -1).
 * q's strings must stay; no redirects are followed. */
int http_upload_new(struct http *h, const struct http_request *q, int64_t size,
	struct http_upload **ret, struct err *e);
/* -EPIPE when the other side has answered already: http_upload_finish() tells what. */
int http_upload_write(struct http_upload *u, const void *data, size_t size, struct err *e);
/* The end of the body, and the answer. */
int http_upload_finish(struct http_upload *u, struct http_answer *ret, struct err *e);
void http_upload_free(struct http_upload *u);

/* Whether two URLs are of one scheme, host and port. Pure. */
bool http_same_place(const char *a, const char *b);
/* What a Location header means, seen from a URL (RFC 3986, section 5). NULL when it is none of http. Caller frees. Pure. */
char *http_resolve(const char *base, const char *location);
/* What of NO_PROXY counts for a URL, without the ports, as libcurl reads it: Go's programs take "host:port" there, too.
 * Caller frees. Pure. */
char *http_no_proxy(const char *list, const char *url);
/* Seconds to wait as Retry-After says: 0 when it doesn't, at most 60. Pure, but for the clock. */
int http_retry_after(const struct http_answer *a);
/* "host" of a URL or of "host:port", without brackets; whether that is this machine. Pure. */
bool http_is_loopback(const char *host);

#endif
