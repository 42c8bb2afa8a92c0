/* SPDX-License-Identifier: MIT */
/* All commands of docker: a new one is a row here and the file that it is in. */

#include "dialect/docker/cli.h"

#include <string.h>
#include "store/store.h"

static const struct cmd *const commands[] = {
	&docker_version_cmd,
	NULL,
};

static const struct opt_policy policy = {
	.name = "docker",
	.interspersed = true,
	.flag_values = true,
	.cluster_values = true,
	.plain_errors = true,
	.bad_usage = "See '%s --help'.",
	.usage_status = 125,
};

/* clang-format off */
static const struct opt global_opts[] = {
	OPT_STRING(0, "config", struct cli, config, "FOLDER", complete_file, "location of client config files"),
	OPT_STRING('c', "context", struct cli, context, "NAME", complete_none, "name of the context to use to connect to the daemon"),
	OPT_FLAG('D', "debug", struct cli, debug, "enable debug mode"),
	OPT_LIST('H', "host", struct cli, hosts, "ADDR", complete_none, "daemon socket to connect to"),
	OPT_STRING('l', "log-level", struct cli, log_level, "LEVEL", complete_none, "set the logging level"),
	OPT_FLAG(0, "tls", struct cli, tls, "use TLS; implied by --tlsverify"),
	OPT_STRING(0, "tlscacert", struct cli, tls_ca, "FILE", complete_file, "trust certs signed only by this CA"),
	OPT_STRING(0, "tlscert", struct cli, tls_cert, "FILE", complete_file, "path to TLS certificate file"),
	OPT_STRING(0, "tlskey", struct cli, tls_key, "FILE", complete_file, "path to TLS key file"),
	OPT_TRISTATE(0, "tlsverify", struct cli, tls_verify, "use TLS and verify the remote"),
	OPT_FLAG('v', "version", struct cli, version, "print version information and quit"),
	OPT_END
};
/* clang-format on */

static const struct cmd globals = {
	CMD_FILE,
	.name = "docker",
	.opts = global_opts,
	.args_size = sizeof(struct cli),
	.brief = "a self-sufficient runtime for containers",
	.synopsis = "[OPTIONS] COMMAND",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

static const struct cmd root = {
	CMD_FILE,
	.name = "docker",
	.brief = "a self-sufficient runtime for containers",
	.sub = commands,
};

struct cli *cli_of(struct cmd_call *call)
{
	return (struct cli *)(void *)call->c;
}

int cli_client(struct cmd_call *call, struct client **ret, struct err *e)
{
	struct cli *s = cli_of(call);
	const char *host = s->hosts && s->hosts[0] ? s->hosts[0] : g_getenv("DOCKER_HOST");
	struct client_config cfg = {
		.c = call->c,
		.host = host && *host ? host : NULL,
		.api = g_getenv("DOCKER_API_VERSION"),
	};

	if (!s->client)
		s->client = client_new(&cfg);
	*ret = s->client;
	return 0;
}

static int exit_status(int code)
{
	return 1;
}

int docker_main(int argc, char **argv)
{
	struct cli s = { .tls_verify = -1 };
	struct err e = { 0 };
	char **words = NULL;
	int n = 0, r, status = 0;

	ctx_init(&s.ctx);
	r = opt_parse(&globals, &policy, argc, argv, &s, &words, &n, &e);
	if (r < 0) {
		(void)fprintf(stderr, "%s\nSee 'docker --help'.\n", e.text);
		status = policy.usage_status;
	} else if (r == 0 && s.version) {
		printf("Docker version " DOCKER_VERSION ", build lodge-" LODGE_VERSION "\n");
	} else {
		g_autofree char **line = g_new0(char *, (gsize)n + 3);

		line[0] = (char *)"docker";
		for (int i = 0; i < n; i++)
			line[i + 1] = words[i];
		if (n == 0)
			line[1] = (char *)"--help";
		status = cmd_main(&s.ctx, &root, &policy, exit_status, MAX(n, 1) + 1, line);
	}
	client_free(s.client);
	g_strfreev(words);
	opt_args_clear(&globals, &s);
	store_close(&s.ctx);
	ctx_done(&s.ctx);
	return status;
}
