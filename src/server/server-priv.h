/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SERVER_PRIV_H
#define LODGE_SERVER_PRIV_H

#include <sys/types.h>
#include <sys/uio.h>
#include "server/server.h"

#define SCRATCH_SIZE (64 * 1024)
#define TURN_BYTES   (1024 * 1024) /* that one connection may move before others have their turn */

struct server;
struct conn;
struct tls;
struct auth;
struct tls_conn;

/* What epoll tells about. */
struct source {
	int fd;
	uint32_t watched;
	void (*ready)(struct server *s, struct source *src, uint32_t events);
};

struct listener {
	struct source src;
	char *unlink; /* the path of a socket that we made */
	bool paused;
};

struct worker {
	struct source src;
	pid_t pid;
	struct conn *busy; /* its request is there; NULL: free */
	bool checks;	   /* it checks a password */
	bool slow;	   /* for slow routes */
};

struct server {
	const struct server_config *cfg;
	int epoll, log;
	struct source signals, timer, poke;
	GPtrArray *listeners, *workers;
	GQueue takers;
	GQueue conns;	   /* all; the longest idle first */
	GQueue waiting;	   /* connections whose call waits for a worker */
	GQueue again;	   /* connections that have more to do in the next turn */
	GPtrArray *graves; /* to be freed after this turn */
	char *scratch;
	struct tls *tls;
	struct auth *auth;  /* NULL: nobody needs a name */
	int64_t now;	    /* monotonic, ns */
	int64_t idle_since; /* 0: there are connections */
	int64_t stop_at;    /* 0: it isn't stopping */
};

enum conn_state {
	CONN_HANDSHAKE,
	CONN_HEAD,
	CONN_CHECK, /* a worker checks the password */
	CONN_CATCH_UP,
	CONN_BODY,
	CONN_DRAIN, /* of a body that nobody wants */
	CONN_WORK,
	CONN_REPLY,
	CONN_STREAM, /* its route's tick() has the word */
	CONN_LINGER, /* the answer is sent, the client's bytes are read until it has seen that */
	CONN_DEAD,
};

struct conn {
	struct source src;
	struct server *server;
	GList link, wait_link, again_link; /* in conns, waiting, again */
	enum conn_state state;
	bool waiting, in_again, gone; /* gone: the client is, a worker still has the call */
	char *peer;
	struct tls_conn *tls;
	bool tls_read, tls_write; /* what TLS wants, whatever we want */
	char *in;
	size_t in_n, in_size, scanned;
	/* the request */
	char *head;
	size_t head_n;
	struct http_request q;
	struct http_body body;
	struct call call;
	bool expect, started;
	int64_t drained;
	int64_t began; /* real time, for the log */
	/* the answer */
	GString *out;
	size_t out_at;
	int64_t file_at, file_end, sent;
	int64_t next_tick;
	bool last;    /* of a stream: all has been said */
	bool growing; /* a worker still fills the file: up to file_ready it is good */
	int64_t file_ready;
	int64_t deadline;
	int64_t moved; /* bytes since the deadline was put off */
};

/* server.c */
int server_watch(struct server *s, struct source *src, uint32_t events);
void server_forget(struct server *s, struct source *src);
void server_again(struct server *s, struct conn *c);
int64_t server_clock(void);
/* Ends the loop, when what was begun is finished. */
void server_stop(struct server *s);

/* conn.c */
void conn_new(struct server *s, int fd, char *peer);
void conn_run(struct server *s, struct conn *c);
void conn_answered(
	struct server *s, struct conn *c); /* a worker has filled in call.reply, or call.user */
void conn_streams(struct server *s, struct conn *c); /* the answer stands, its file grows */
void conn_streamed(struct server *s, struct conn *c, int64_t size);
/* What a stream has to say now. */
void conn_tick(struct server *s, struct conn *c);
void conn_check_deadline(struct server *s, struct conn *c);
/* Closes the connection that has been idle for longest; false: none is. */
bool conn_evict(struct server *s);
void conn_close(struct server *s, struct conn *c);
void conn_log(struct server *s, struct conn *c);
void conn_free(struct conn *c);

/* call.c */
void reply_init(struct reply *r);
void reply_done(struct reply *r);
void call_init(struct call *c);
void call_done(struct call *c);
/* Finds the route and fills args. 0; 404; 405 with the methods in *ret_allow; 400. */
int route_find(const struct server_config *cfg, struct call *c, GString *ret_allow);

/* listen.c */
int listen_open(struct server *s, struct err *e);
void listener_ready(struct server *s, struct source *src, uint32_t events);
void listen_pause(struct server *s, bool pause);
void listen_close(struct server *s);
void listener_free(void *p);

/* work.c */
int work_start(struct server *s, struct err *e);
void work_stop(struct server *s);
void work_submit(struct server *s, struct conn *c);
void work_cancel(struct server *s, struct conn *c);
bool work_busy(const struct server *s);

/* A message of a SOCK_SEQPACKET socket, with a descriptor or (-1) none. The size, 0 at the end, or a code. */
int message_send(int sock, struct iovec *iov, size_t n_iov, int fd);
ssize_t message_recv(int sock, void *buf, size_t size, int *ret_fd);
/* Closes all but the standard streams and those (-1: none). */
void close_but(const int *keep, size_t n);

/* take.c */
/* A process of its own has the connection from here on; ours is to be closed. -EAGAIN: there are too many. */
int take_over(struct server *s, struct conn *c);
void take_stop(struct server *s);
void take_forget(struct server *s);

/* auth.c */
int auth_new(const char *path, struct auth **ret, struct err *e);
void auth_free(struct auth *a);
/* Whose request it is, from Authorization. 1: known (call.user is set); 0: a worker has to look; -EACCES. */
int auth_begin(struct server *s, struct conn *c);
/* In a worker: whether the password of the head at q is right. */
bool auth_check(const struct auth *a, const struct http_request *q);
void auth_remember(struct server *s, struct conn *c);

/* tls.c */
int tls_new(const struct server_config *cfg, struct tls **ret, struct err *e);
void tls_free(struct tls *t);
struct tls_conn *tls_conn_new(struct tls *t, int fd);
void tls_conn_free(struct tls_conn *t);
int tls_handshake(struct tls_conn *t, bool *ret_read, bool *ret_write);
ssize_t tls_recv(struct tls_conn *t, void *p, size_t n, bool *ret_read, bool *ret_write);
ssize_t tls_send(struct tls_conn *t, const void *p, size_t n, bool *ret_read, bool *ret_write);
bool tls_pending(struct tls_conn *t);
void tls_shutdown(struct tls_conn *t);

#endif
