/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CLIENT_PRIV_H
#define LODGE_DOCKER_CLIENT_PRIV_H

#include <sys/types.h>
#include "dialect/docker/client.h"
#include "wire/http.h"

struct client_tls;

/* A connection, whatever it goes over. */
struct channel {
	int fd;
	struct client_tls *tls; /* NULL: none */
};

struct client {
	struct ctx *c;
	char *host;
	bool tls, tls_verify;
	char *tls_ca, *tls_cert, *tls_key;
	char *api;
	char **headers;
	int status;
	struct channel *idle; /* the next call's */
	/* a server of our own: its end of the socket by which it gets connections */
	int control;
	pid_t server;
};

/* connect.c */
int channel_open(struct client *cl, struct channel **ret, struct err *e);
/* The value of the header Host. */
const char *channel_host(const struct client *cl);
/* Bytes, 0 at the end, or a code. */
ssize_t channel_read(struct channel *c, void *p, size_t n);
int channel_write(struct channel *c, const void *p, size_t n);
/* What goes at once, or -EAGAIN. */
ssize_t channel_write_some(struct channel *c, const void *p, size_t n);
bool channel_pending(const struct channel *c);
void channel_shut(struct channel *c);
void channel_free(struct channel *c);

/* connect-tls.c: over fd, which stays the caller's. Reads and writes wait. */
int client_tls_open(
	const struct client *cl, int fd, const char *host, struct client_tls **ret, struct err *e);
ssize_t client_tls_read(struct client_tls *t, void *p, size_t n);
int client_tls_write(struct client_tls *t, const void *p, size_t n);
bool client_tls_pending(struct client_tls *t);
void client_tls_shut(struct client_tls *t);
void client_tls_free(struct client_tls *t);

#endif
