/* SPDX-License-Identifier: MIT */
/* All commands of skopeo: a new one is a row here and the file that it is in. */
#include "dialect/skopeo/skopeo.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include "store/store.h"

const struct cmd *const skopeo_commands[] = {
	&skopeo_copy,
	&skopeo_delete,
	&skopeo_inspect,
	&skopeo_list_tags,
	&skopeo_login,
	&skopeo_logout,
	&skopeo_manifest_digest,
	&skopeo_standalone_sign,
	&skopeo_standalone_verify,
	&skopeo_sync,
	NULL,
};

static const struct opt_policy opt_policy_skopeo = {
	.name = "skopeo",
	.interspersed = true,
	.flag_values = true,
	.cluster_values = true,
	.usage_status = 1,
};

/* clang-format off */
static const struct opt global_opts[] = {
	OPT_TIME(0, "command-timeout", struct skopeo, command_timeout, "TIME", "end the command after this time"),
	OPT_FLAG(0, "debug", struct skopeo, debug, "say more on standard error"),
	OPT_FLAG(0, "insecure-policy", struct skopeo, insecure_policy, "allow images without any check of the policy"),
	OPT_STRING(0, "override-arch", struct skopeo, override_arch, "ARCH", complete_none, "choose images for this processor"),
	OPT_STRING(0, "override-os", struct skopeo, override_os, "OS", complete_none, "choose images for this system"),
	OPT_STRING(0, "override-variant", struct skopeo, override_variant, "VARIANT", complete_none, "choose images for this variant"),
	OPT_STRING(0, "policy", struct skopeo, policy, "FILE", complete_file, "policy of what is trusted"),
	OPT_STRING(0, "registries.d", struct skopeo, registries_d, "FOLDER", complete_file, "where signatures of registries are"),
	OPT_STRING(0, "tmpdir", struct skopeo, tmpdir, "FOLDER", complete_file, "folder for temporary files (default: /var/tmp)"),
	OPT_FLAG('v', "version", struct skopeo, version, "print the version"),
	OPT_END
};
/* clang-format on */

static const struct cmd skopeo_root = {
	CMD_FILE,
	.name = "skopeo",
	.opts = global_opts,
	.args_size = sizeof(struct skopeo),
	.brief = "copy, look at and sign images, as skopeo does",
	.synopsis = "[OPTIONS] COMMAND [ARG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

struct skopeo *skopeo_of(struct cmd_call *call)
{
	return (struct skopeo *)(void *)call->c;
}

static const struct cmd *find(const char *name)
{
	for (const struct cmd *const *c = skopeo_commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int help(const char *name)
{
	const struct cmd *c = name ? find(name) : NULL;
	struct cmd group = skopeo_root;
	g_autofree char *full = c ? g_strdup_printf("skopeo %s", name) : g_strdup("skopeo");

	group.sub = skopeo_commands;
	cmd_help(c ?: &group, full, stdout);
	return 0;
}

static void on_timeout(int sig)
{
	static const char text[] = "skopeo: context deadline exceeded\n";

	/* what it leaves is told by its name, and the store's journal undoes the rest */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void set_timeout(int64_t ns)
{
	struct itimerval t = { .it_value = { ns / 1000000000, ns % 1000000000 / 1000 } };
	struct sigaction a = { .sa_handler = on_timeout };

	(void)sigaction(SIGALRM, &a, NULL);
	(void)setitimer(ITIMER_REAL, &t, NULL);
}

/* words[0] is the command. */
static int run_command(struct skopeo *s, int n, char **words, struct err *e)
{
	const struct cmd *c = find(words[0]);
	struct cmd_call call = { .c = &s->ctx, .cmd = c };
	g_autofree void *args = NULL;
	g_autofree char *full = NULL;
	int r;

	if (strcmp(words[0], "help") == 0)
		return help(words[1]);
	if (!c)
		return err_set(e, -E_INVALID,
			"Unrecognized command `skopeo %s`\nTry 'skopeo --help' for more "
			"information",
			words[0]);
	if (s->command_timeout > 0)
		set_timeout(s->command_timeout);
	full = g_strdup_printf("skopeo %s", c->name);
	args = g_malloc0(c->args_size ? c->args_size : 1);
	call.args = args;
	call.full_name = full;
	r = opt_parse(c, &opt_policy_skopeo, n, words, args, &call.operands, &call.n_operands, e);
	if (r == 1)
		r = help(c->name);
	else if (r == 0 && s->ctx.explain && (c->flags & CMD_READS_ONLY))
		printf("# %s changes nothing on this host\n", c->name);
	else if (r == 0)
		r = c->run(&call, e);
	g_strfreev(call.operands);
	opt_args_clear(c, args);
	return r;
}

static int failed(const struct err *e, int code)
{
	g_autofree char *text = g_strdup_printf(
		"%s%s%s", e->text[0] ? e->text : err_words(code), e->mend[0] ? "; " : "", e->mend);

	skopeo_log("fatal", text);
	return 1;
}

static int run(int argc, char **argv, bool explain)
{
	struct skopeo s = { .debug = false };
	struct err e = { 0 };
	char **words = NULL;
	int n = 0, r, status;

	ctx_init(&s.ctx);
	s.ctx.explain = explain;
	r = opt_parse(&skopeo_root, &opt_policy_skopeo, argc, argv, &s, &words, &n, &e);
	if (r == 1)
		r = help(NULL);
	else if (r == 0 && s.version)
		printf("skopeo version " SKOPEO_VERSION " (lodge " LODGE_VERSION ")\n");
	else if (r == 0 && n == 0)
		r = err_set(&e, -E_INVALID,
			"Missing command 'skopeo COMMAND'\nTry 'skopeo --help' for more "
			"information");
	else if (r == 0)
		r = run_command(&s, n, words, &e);
	status = r < 0 ? failed(&e, r) : r;
	if (fflush(stdout) != 0 && status == 0)
		status = 1;
	g_strfreev(words);
	opt_args_clear(&skopeo_root, &s);
	store_close(&s.ctx);
	ctx_done(&s.ctx);
	return status;
}

int skopeo_main(int argc, char **argv)
{
	return run(argc, argv, false);
}

int skopeo_explain(int argc, char **argv)
{
	return run(argc, argv, true);
}
