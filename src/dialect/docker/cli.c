/* SPDX-License-Identifier: MIT */
/* From docker's argv to a command, and its errors in docker's words. */

#include "dialect/docker/cli.h"

#include <stdarg.h>
#include <string.h>
#include "store/store.h"

#define USAGE_STATUS 125

const struct opt_policy docker_policy = {
	.name = "docker",
	.interspersed = true,
	.flag_values = true,
	.cluster_values = true,
	.plain_errors = true,
	.go_words = true,
	.uncounted = true,
	.check = cli_check_value,
	.usage_status = USAGE_STATUS,
};

/* clang-format off */
static const struct opt global_opts[] = {
	OPT_STRING(0, "config", struct cli, config, "string", complete_file, "Location of client config files"),
	OPT_STRING('c', "context", struct cli, context, "string", complete_none, "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with \"docker context use\")"),
	OPT_FLAG('D', "debug", struct cli, debug, "Enable debug mode"),
	OPT_LIST('H', "host", struct cli, host, "list", complete_none, "Daemon socket to connect to"),
	OPT_STRING('l', "log-level", struct cli, log_level, "string", complete_none, "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\") (default \"info\")"),
	OPT_FLAG(0, "tls", struct cli, tls, "Use TLS; implied by --tlsverify"),
	OPT_STRING(0, "tlscacert", struct cli, tlscacert, "string", complete_file, "Trust certs signed only by this CA"),
	OPT_STRING(0, "tlscert", struct cli, tlscert, "string", complete_file, "Path to TLS certificate file"),
	OPT_STRING(0, "tlskey", struct cli, tlskey, "string", complete_file, "Path to TLS key file"),
	OPT_TRISTATE(0, "tlsverify", struct cli, tlsverify, "Use TLS and verify the remote"),
	OPT_FLAG('v', "version", struct cli, version, "Print version information and quit"),
	OPT_END
};
/* clang-format on */

const struct cmd docker_globals = {
	CMD_FILE,
	.name = "docker",
	.opts = global_opts,
	.args_size = sizeof(struct cli),
	.brief = "a self-sufficient runtime for containers",
	.synopsis = "[OPTIONS] COMMAND [ARG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

struct cli *cli_of(struct cmd_call *call)
{
	return (struct cli *)(void *)call->c;
}

int cli_usage(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_vset(e, -E_USAGE, fmt, ap);
	va_end(ap);
	return -E_USAGE;
}

/* --- errors ------------------------------------------------------------------------------------------------ */

/* Names of files and containers may stand in the text: no control character of theirs reaches a terminal. */
static void put_clean(const char *s)
{
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		(void)fputc(
			(ch < 0x20 && ch != '\n' && ch != '\t') || ch == 0x7f ? '?' : ch, stderr);
	}
}

static void put_usage(const struct cmd *cmd, const char *full_name, const char *verb)
{
	g_autofree char *usage = cli_usage_line(cmd, full_name);

	(void)fprintf(stderr, "\n\nUsage:  %s\n\n%s '%s --help' for more information\n", usage,
		verb, full_name);
}

/* Of options, which pflag refuses. */
static int bad_option(const struct cmd *cmd, const char *full_name, const struct err *e)
{
	put_clean(e->text);
	put_usage(cmd, full_name, "Run");
	return USAGE_STATUS;
}

/* 0, or the status with the error said. The words are docker's, with its slips. */
static int count_operands(const struct cmd *cmd, const char *full_name, int n)
{
	int min = cmd->min_operands, max = cmd->max_operands;
	const char *verb = "Run";

	if (n >= min && (max < 0 || n <= max))
		return 0;
	(void)fprintf(stderr, "docker: '%s' ", full_name);
	if (max == 0) {
		(void)fputs("accepts no arguments", stderr);
	} else if (min == max) {
		(void)fprintf(stderr, "requires %d argument%s", min, min == 1 ? "" : "s");
	} else if (max < 0) {
		(void)fprintf(stderr, "requires at least %d argument%s", min, min == 1 ? "" : "s");
		verb = "See";
	} else if (min == 0) {
		(void)fprintf(stderr, "requires at most %d argument%s", max, max == 1 ? "" : "s");
		verb = "SRun";
	} else {
		(void)fprintf(stderr, "requires at least %d and at most %d argument%s", min, max,
			max == 1 ? "" : "s");
	}
	put_usage(cmd, full_name, verb);
	return 1;
}

static int unknown_command(const struct cmd *group, const char *full_name, const char *word)
{
	(void)fprintf(stderr, "docker: unknown command: %s ", full_name);
	put_clean(word);
	if (group)
		(void)fprintf(stderr, "\n\nUsage:  %s", full_name);
	(void)fprintf(stderr, "\n\nRun '%s --help' for more information\n", full_name);
	return 1;
}

static int failed(const struct cmd *cmd, const char *full_name, int code, const struct err *e)
{
	const char *text = *e->text ? e->text : err_words(code);
	bool is_start = cmd->run == docker_run_cmd.run;

	(void)fflush(stdout);
	if (is_start)
		(void)fputs("docker: ", stderr);
	put_clean(text);
	if (*e->mend) {
		(void)fputs("; ", stderr);
		put_clean(e->mend);
	}
	(void)fputc('\n', stderr);
	if (is_start)
		(void)fprintf(stderr, "\nRun '%s --help' for more information\n", full_name);
	if (!is_start)
		return 1;
	return code == -E_COMMAND_NOTFOUND ? 127 : code == -E_COMMAND_NOEXEC ? 126 : USAGE_STATUS;
}

/* --- commands ---------------------------------------------------------------------------------------------- */

static const struct cmd *sub_of(const struct cmd *group, const char *word)
{
	for (const struct cmd *const *s = group->sub; *s; s++) {
		g_auto(GStrv) names = g_strsplit((*s)->aliases ?: "", " ", -1);

		if (strcmp((*s)->name, word) == 0 ||
			(*word && g_strv_contains((const char *const *)names, word)))
			return *s;
	}
	return NULL;
}

static bool asks_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static void warn_short_help(const struct cmd *cmd, int argc, char **argv)
{
	for (const struct opt *o = cmd->opts; o && o->type != OPT_T_END; o++)
		if (o->letter == 'h')
			return;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0)
			(void)fputs("Flag shorthand -h has been deprecated, use --help\n", stderr);
}

static int run_command(
	struct cli *s, const struct cmd *cmd, const char *full_name, int argc, char **argv)
{
	g_autofree void *args = g_malloc0(cmd->args_size ?: 1);
	struct cmd_call call = { .c = &s->ctx, .cmd = cmd, .full_name = full_name, .args = args };
	struct err e = { 0 };
	int r, status;

	r = opt_parse(cmd, &docker_policy, argc, argv, args, &call.operands, &call.n_operands, &e);
	if (r == 1) {
		warn_short_help(cmd, argc, argv);
		cli_help(cmd, full_name, stdout);
		status = 0;
	} else if (r < 0) {
		status = bad_option(cmd, full_name, &e);
	} else {
		status = count_operands(cmd, full_name, call.n_operands);
		if (status == 0) {
			r = cmd->run(&call, &e);
			status = r < 0 ? failed(cmd, full_name, r, &e) : r;
		}
	}
	g_strfreev(call.operands);
	opt_args_clear(cmd, args);
	return status;
}

/* argv[0] is the group's name. */
static int run_group(struct cli *s, const struct cmd *group, int argc, char **argv)
{
	g_autofree char *full_name = g_strdup_printf("docker %s", group->name);

	while (group->sub) {
		const char *word = argc > 1 ? argv[1] : "--help";
		const struct cmd *sub = sub_of(group, word);
		g_autofree char *name = NULL;

		if (asks_help(word)) {
			cli_help(group, full_name, argc > 1 ? stdout : stderr);
			return 0;
		}
		if (word[0] == '-') {
			struct err e = { 0 };

			if (word[1] == '-')
				(void)err_set(&e, -E_USAGE, "unknown flag: %s", word);
			else
				(void)err_set(&e, -E_USAGE, "unknown shorthand flag: '%c' in %s",
					word[1], word);
			return bad_option(group, full_name, &e);
		}
		if (!sub)
			return unknown_command(group, full_name, word);
		/* the name that was typed stays: "docker container list" */
		name = g_strdup_printf("%s %s", full_name, sub->name);
		g_free(full_name);
		full_name = g_steal_pointer(&name);
		group = sub;
		argc--;
		argv++;
	}
	return run_command(s, group, full_name, argc, argv);
}

/* "help [COMMAND...]" */
static int help_for(struct cli *s, int n, char **words)
{
	g_autofree char *full_name = g_strdup("docker");
	const struct cmd *cmd = NULL;

	for (int i = 0; i < n; i++) {
		const struct cmd *next = i == 0	    ? cli_find(words[i])
					 : cmd->sub ? sub_of(cmd, words[i])
						    : NULL;
		g_autofree char *name = NULL;

		if (!next) {
			g_autofree char *topic = g_strjoinv(" ", words);

			(void)fprintf(stderr, "unknown help topic: %s\n", topic);
			return 1;
		}
		name = g_strdup_printf("%s %s", full_name, next->name);
		g_free(full_name);
		full_name = g_steal_pointer(&name);
		cmd = next;
	}
	if (cmd)
		cli_help(cmd, full_name, stdout);
	else
		cli_help_top(s, stdout);
	return 0;
}

/* The configuration's "aliases": {"builder": "buildx"}: one word for one word. */
static const char *alias_of(struct cli *s, const char *word)
{
	const char *other =
		json_string_value(json_object_get(json_object_get(cli_config(s), "aliases"), word));

	return other && *other ? other : word;
}

static int check_globals(const struct cli *s)
{
	static const char *const levels[] = { "panic", "fatal", "error", "warn", "warning", "info",
		"debug", "trace", NULL };
	g_autofree char *level = s->log_level ? g_ascii_strdown(s->log_level, -1) : NULL;

	if (level && *level && !g_strv_contains(levels, level)) {
		(void)fprintf(stderr, "Unable to parse logging level: %s\n", s->log_level);
		return 1;
	}
	if (s->context && s->host) {
		(void)fputs(
			"conflicting options: cannot specify both --host and --context\n", stderr);
		return 1;
	}
	return 0;
}

static int dispatch(struct cli *s, int n, char **words)
{
	const struct cmd *cmd;
	int status = check_globals(s);

	if (status)
		return status;
	if (s->version) {
		printf("Docker version " DOCKER_VERSION ", build lodge-" LODGE_VERSION "\n");
		return 0;
	}
	if (n == 0) {
		cli_help_top(s, stdout);
		return 0;
	}
	if (strcmp(words[0], "help") == 0)
		return help_for(s, n - 1, words + 1);
	cmd = cli_find(words[0]);
	if (!cmd || cmd == &docker_builder_cmd || cmd == &docker_build_cmd)
		cmd = cli_find(alias_of(s, words[0]));
	if (!cmd)
		return unknown_command(NULL, "docker", words[0]);
	return run_group(s, cmd, n, words);
}

int docker_main(int argc, char **argv)
{
	struct cli s = { .tlsverify = -1 };
	struct err e = { 0 };
	char **words = NULL;
	int n = 0, r, status = 0;

	ctx_init(&s.ctx);
	r = opt_parse(&docker_globals, &docker_policy, argc, argv, &s, &words, &n, &e);
	if (r < 0) {
		status = bad_option(&docker_globals, "docker", &e);
	} else if (r == 1) {
		warn_short_help(&docker_globals, argc, argv);
		cli_help_top(&s, stdout);
	} else {
		status = dispatch(&s, n, words);
	}
	r = RET_NERRNO(fflush(stdout));
	if ((r < 0 || ferror(stdout)) && status == 0) {
		(void)fprintf(stderr, "write /dev/stdout: %s\n", err_words(r < 0 ? r : -EIO));
		status = 1;
	}
	client_free(s.client);
	json_decref(s.file);
	g_free(s.folder);
	g_strfreev(words);
	opt_args_clear(&docker_globals, &s);
	store_close(&s.ctx);
	ctx_done(&s.ctx);
	return status;
}

int cli_check_trust(int disable, struct err *e)
{
	const char *wanted = g_getenv("DOCKER_CONTENT_TRUST");
	bool asked =
		wanted && (g_str_equal(wanted, "1") || g_ascii_strcasecmp(wanted, "true") == 0);

	if (disable == 0 || (disable < 0 && asked))
		return err_set(e, -E_UNSUPPORTED,
			"content trust (Notary) is not supported: signatures are checked by "
			"policy.json");
	return 0;
}
