/* SPDX-License-Identifier: MIT */
/* docker version */

#include "base/tmpl.h"
#include "dialect/docker/cli.h"

struct version_args {
	char *format;
};

static int version_run(struct cmd_call *call, struct err *e)
{
	struct client *cl;
	json_t *server = NULL;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", "/version", NULL, &server, e);
	if (r < 0)
		return r;
	printf("Client:\n Version:           %s\n API version:       %s\n\nServer:\n Version: %s\n",
		DOCKER_VERSION, client_api(cl, e),
		json_string_value(json_object_get(server, "Version")));
	json_decref(server);
	return 0;
}

static const struct opt version_opts[] = {
	OPT_STRING('f', "format", struct version_args, format, "TEMPLATE", complete_none,
		"format output using a custom template"),
	OPT_END,
};

const struct cmd docker_version_cmd = {
	CMD_FILE,
	.name = "version",
	.run = version_run,
	.opts = version_opts,
	.args_size = sizeof(struct version_args),
	.brief = "show the Docker version information",
	.synopsis = "[OPTIONS]",
};
