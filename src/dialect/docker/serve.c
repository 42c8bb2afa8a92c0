/* SPDX-License-Identifier: MIT */
/* The server: of a socket that anybody connects to, or of the one client that forked it. */

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/opt.h"
#include "dialect/docker/api.h"
#include "store/store.h"

#define NS		INT64_C(1000000000)
#define CLIENT_TIMEOUT	(60 * NS)
#define WORKERS		4
#define SLOW_MAX	64 /* calls that wait for a container's lock */
#define TAKERS_MAX	1024
#define CONNECTIONS_MAX 4096

/* SQLite knows files by what it has open, also in a child whose descriptors are closed. */
static void put_away(void *data)
{
	store_close(((struct docker *)data)->c);
}

int docker_serve(const struct docker_options *o, struct err *e)
{
	struct docker d = { .c = o->c };
	struct server_config cfg = {
		.listen = o->listen,
		.routes = docker_routes,
		.data = &d,
		.failed = api_server_failed,
		.allow = api_allow,
		.prefix = api_prefix,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.tls_client_ca = o->tls_client_ca,
		.log = o->log,
		.timeout = CLIENT_TIMEOUT,
		.idle_exit = o->idle_exit,
		.connections = o->connections,
		.workers = WORKERS,
		.takers = TAKERS_MAX,
		.fetchers = SLOW_MAX,
		.before_fork = put_away,
		.keep_fd = -1,
		.ready = o->ready,
	};

	return server_run(&cfg, e);
}

void docker_serve_client(struct ctx *c, int handed)
{
	struct docker d = { .c = c };
	struct server_config cfg = {
		.handed = handed,
		.routes = docker_routes,
		.data = &d,
		.failed = api_server_failed,
		.allow = api_allow,
		.prefix = api_prefix,
		.timeout = 365 * 24 * 3600 * NS,
		.connections = 64,
		.takers = 64,
		.before_fork = put_away,
		.keep_fd = -1,
	};
	struct err e = { 0 };
	int r;

	/* a terminal's signals are the client's; what it does about them, it says */
	(void)setpgid(0, 0);
	(void)signal(SIGINT, SIG_IGN);
	r = server_run(&cfg, &e);
	store_close(c);
	_exit(r < 0);
}
