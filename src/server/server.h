/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SERVER_H
#define LODGE_SERVER_H

/*
 * A server of HTTP/1.1 that a dialect fills with routes. One process has all connections: an event loop
 * with epoll that never waits for a client, and hands what may wait for a disk or for mathematics to a few
 * worker processes. There are no threads.
 *
 * What happens to a request: its head is read, its route found, its user's password checked (by a worker);
 * then the route's start() says where the body goes, or answers at once; the body is written there and
 * hashed, as it comes, a piece at a time; then finish() or, in a worker, work() answers. Answers are short
 * texts, or a piece of a file.
 *
 * A client gets no more memory than HTTP_HEAD_MAX for its head and SERVER_BODY_MAX for its answer's text. One that
 * moves less than SERVER_MIN_BYTES in config.timeout is gone; one that sends its head so slowly, too.
 */

#include <glib.h>
#include <stdbool.h>
#include "base/err.h"
#include "wire/http.h"

#define SERVER_MIN_BYTES 1024
#define SERVER_BODY_MAX \
	(64 * 1024) /* of a text in an answer; longer ones become files by themselves */
#define SERVER_ARGS_MAX 4
#define SERVER_DRAIN_MAX \
	(1024 * 1024) /* of a body that nobody wants is read, to keep the connection */

struct call;
struct link;
struct sha256;

/* --- answers --------------------------------------------------------------------------------------------- */

struct reply {
	int status; /* 0: there is none yet */
	GString *headers, *body;
	int fd; /* -1: the text of body; else len bytes of the file from off; closed by the server */
	int64_t off, len; /* len without fd: what HEAD is told */
	bool close;	  /* the connection ends with this answer */
};

/* Adds a header; CR and LF in the value become '?'. Content-Length, Date and Connection come by themselves. */
void reply_header(struct reply *r, const char *name, const char *fmt, ...) _printf_(3, 4);
/* The status, and a body of that type when there is one (NULL: none). */
void reply_text(struct reply *r, int status, const char *type, const char *body);
void reply_none(struct reply *r, int status);
/* As if nothing had been said. */
void reply_clear(struct reply *r);
/* Takes fd. */
void reply_file(struct reply *r, int status, int fd, int64_t off, int64_t len);

/* --- requests -------------------------------------------------------------------------------------------- */

/* Where a request's body goes. start() fills it in; what it owns is freed with the call. */
struct sink {
	int fd;		    /* -1: a body is read and dropped */
	int64_t start, at;  /* offsets: of this body's first byte, of the next byte */
	int64_t limit;	    /* bytes that the body may have; more is 413. 0: none */
	struct sha256 *sha; /* over the whole file; NULL: no hash */
	int64_t hashed;	    /* bytes of the file that it has seen: the server catches up to `at` */
};

struct route {
	const char *method; /* "GET" answers HEAD, too */
	/* Segments: "{}" any one of them, "{+}" one or more; they become args, decoded. One "{+}" at most. */
	const char *path;
	/* In the server. Each may be NULL; the one that sets the status ends it. start: after the head;
	 * finish: after the body; cut: the body never came to its end. */
	void (*start)(struct call *c);
	void (*finish)(struct call *c);
	void (*cut)(struct call *c);
	/* In a worker, after the body, when finish gave no answer. It may wait. What it changes in *c stays there,
	 * but for the answer. */
	void (*work)(struct call *c);
	/* After the head, when start() gave no answer: takes the connection over, in a process of its own that ends with
	 * the connection. See struct link. */
	void (*take)(struct call *c, struct link *l);
	/* A stream that the loop has itself, so that many cost no process each: when start() set c->state, the head of c->reply
	 * is sent with status 200, and tick() appends what there is to say to out: at once, every second, and when config.poke has
	 * something. 1: that was the last. It may not wait. end() frees state. */
	int (*tick)(struct call *c, GString *out);
	void (*end)(struct call *c);
	unsigned flags; /* the dialect's: see allow() */
	bool slow; /* work() waits for a network: it has processes of its own, as many as config.fetchers */
};

struct call {
	const struct http_request *q;
	const struct route *route;
	void *data;  /* the config's */
	void *state; /* a stream's */
	char *args[SERVER_ARGS_MAX];
	char *user; /* NULL: nobody was asked for a name */
	struct sink body;
	char digest[72]; /* of the body's file when it had sink.sha: for work() */
	struct reply reply;
	int worker;	  /* the server's: in a worker, its socket */
	int64_t promised; /* by call_stream() */
};

/* The decoded value of a query's key, or NULL when it isn't there (or is no text). Caller frees. */
char *call_query(const struct call *c, const char *key);

/* Ends another request whose body is still coming, as if its client had gone: cut() is called, its file is closed.
 * false: its body has come, or it is in a worker. In the server's process. */
bool call_abort(struct call *c);

/* In work(): the answer (reply's headers, 200, len bytes of fd) begins before the file has all of them.
 * call_streamed() tells how many there are; the last one is only sent when work() ends with status 200, otherwise the
 * client sees that bytes are missing. fd stays the caller's. */
int call_stream(struct call *c, int fd, int64_t len);
int call_streamed(struct call *c, int64_t size);

/* --- connections that were taken over ---------------------------------------------------------------------- */

/*
 * In take() nothing is in a hurry: reads and writes wait, and whoever is called may. When it returns without a
 * word said, c->reply is the answer. SIGTERM, by which the server tells its end, doesn't end it.
 *
 * Bytes as they are: read gives 0 at the end, or a code; write sends all, 0 or a code.
 */
ssize_t link_read(struct link *l, void *p, size_t n);
int link_write(struct link *l, const void *p, size_t n);
/* For poll(2); with pending, link_read() has bytes that the socket doesn't tell of. */
int link_fd(const struct link *l);
bool link_pending(const struct link *l);
bool link_is_tls(const struct link *l);
/* Nothing more is written. */
void link_shut(struct link *l);

/* The request's body, decoded. 0 at its end; -EBADMSG: malformed; -ECONNRESET: cut. Read before link_read(). */
ssize_t link_body(struct link *l, void *p, size_t n);
/* All of it; -E2BIG. *ret is terminated; caller frees. */
int link_body_text(struct link *l, size_t max, char **ret);

/* The answer's head as it stands here, for a protocol that isn't HTTP from there on. */
int link_raw(struct link *l, const char *head);
/* The head of c->reply, with its status; the body follows in pieces. */
int link_begin(struct call *c, struct link *l);
int link_send(struct link *l, const void *p, size_t n);

/* From here on this process ends when the client is gone, or the server: it only looks and tells. */
void link_follow(struct link *l);

/* --- the server ------------------------------------------------------------------------------------------ */

struct server_config {
	char *const *
		listen; /* "HOST:PORT", ":PORT", "unix:PATH"; sockets by LISTEN_FDS are taken as well */
	/* A socket (SOCK_SEQPACKET) by which connections come, one descriptor a message: its other end is the only client's,
	 * and the server ends with it. 0: none. */
	int handed;
	/* How much of a path comes before the routes' (a version, say). NULL: nothing. */
	size_t (*prefix)(struct http_text path);
	const struct route *routes; /* ends with method NULL */
	void *data;
	/* Writes the body for an error that the server itself answers with (400, 401, 404, 405, 413, 431, 500, ...). */
	void (*failed)(struct reply *r, int status, const char *why);
	/* Headers for all answers; may answer a request that a route was found for, before its start(), and again
	 * before its work(). NULL: nothing to say. */
	void (*allow)(struct call *c);
	const char *tls_cert, *tls_key, *tls_client_ca; /* files; cert NULL: no TLS */
	const char *htpasswd, *realm;			/* htpasswd NULL: no names */
	const char *log;	    /* access log; "-": standard error; NULL: none */
	int64_t timeout, idle_exit; /* ns; idle_exit 0: never */
	/* workers 0: work() is done where the loop is, for the one client that waits for it anyway;
	 * takers: connections that are taken over at a time */
	int connections, workers, fetchers, takers;
	int poke; /* a descriptor: when it can be read it is emptied, and all streams have their tick; 0: none */
	/* Before the server forks: what of the data doesn't stand that is put away. In the processes all descriptors but keep_fd
	 * are closed. NULL: nothing. */
	void (*before_fork)(void *data);
	int keep_fd; /* the data's own descriptor, which workers keep; -1: none */
	void (*ready)(const char *address, void *data); /* for each socket that listens */
};

/* Serves until SIGTERM or SIGINT (what was begun is finished, for 10 s at most), or until it was idle. 0, or a
 * code when it couldn't begin. */
int server_run(const struct server_config *cfg, struct err *e);

#endif
