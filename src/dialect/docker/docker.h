/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_H
#define LODGE_DOCKER_H

/*
 * The dialect of Docker: the Engine API (routes.c), and the command line that is a client of it (cli.h). Guests
 * have the realm "docker". Descriptions: docker-engine's swagger files, docker-cli's reference.
 */

#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"
#include "server/server.h"

#define DOCKER_VERSION	     "28.2.2" /* whose commands and answers these are */
#define DOCKER_API_MIN	     "1.24"
#define DOCKER_API_MAX	     "1.47"
#define DOCKER_API_MIN_MINOR 24
#define DOCKER_API_MAX_MINOR 47
#define DOCKER_REALM	     "docker"

/* Of "1.41": 41; -E_INVALID for what isn't one. */
int docker_api_minor(const char *version);

/* --- the server ----------------------------------------------------------------------------------------------- */

struct docker_options {
	struct ctx *c;
	char *const *listen; /* as server_config.listen */
	const char *tls_cert, *tls_key, *tls_client_ca;
	const char *log;
	int64_t idle_exit; /* ns; 0: never */
	int connections;
	void (*ready)(const char *address, void *data);
};

int docker_serve(const struct docker_options *o, struct err *e);
/* The server of a client that forked it: the connections come over `handed`, and it ends with that. */
_Noreturn void docker_serve_client(struct ctx *c, int handed);

extern const struct cmd docker_serve_cmd; /* lodge serve docker */

/* The program docker. */
int docker_main(int argc, char **argv);

#endif
