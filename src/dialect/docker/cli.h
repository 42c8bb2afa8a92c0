/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CLI_H
#define LODGE_DOCKER_CLI_H

/*
 * The command line of docker: every command is a client of the Engine API (client.h), of the server that -H,
 * DOCKER_HOST or the context names, or of one that it forks. A command is a row in the file that it is in, and
 * a line in cli.c.
 */

#include "base/ctx.h"
#include "base/opt.h"
#include "dialect/docker/client.h"
#include "dialect/docker/docker.h"

/* What stands before the command. */
struct cli {
	struct ctx ctx; /* first: cmd_call has a pointer to it */
	char *config, *context, *log_level, *tls_ca, *tls_cert, *tls_key;
	char **hosts;
	bool debug, tls, version;
	int tls_verify;
	struct client *client; /* cli_client() */
};

struct cli *cli_of(struct cmd_call *call);
/* Borrowed. Connects with the first call. */
int cli_client(struct cmd_call *call, struct client **ret, struct err *e);

extern const struct cmd docker_version_cmd;

#endif
