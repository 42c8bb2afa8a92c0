/* SPDX-License-Identifier: MIT */
/* exec and attach: docker-cli's reference, "container exec", "container attach". */

#include <unistd.h>
#include "dialect/lodge/lodge.h"
#include "dialect/parse/parse.h"

struct exec_args {
	bool detach, interactive, tty, privileged;
	char **env, **env_file;
	char *workdir, *user, *detach_keys;
};

/* clang-format off */
static const struct opt exec_opts[] = {
	OPT_FLAG('d', "detach", struct exec_args, detach, "return when the command runs"),
	OPT_FLAG('i', "interactive", struct exec_args, interactive, "hand over standard input"),
	OPT_FLAG('t', "tty", struct exec_args, tty, "give it a terminal"),
	OPT_LIST('e', "env", struct exec_args, env, "NAME[=VALUE]", complete_none, "environment variable"),
	OPT_LIST(0, "env-file", struct exec_args, env_file, "FILE", complete_file, "environment variables from a file"),
	OPT_STRING('w', "workdir", struct exec_args, workdir, "FOLDER", complete_none, "working folder in the guest"),
	OPT_STRING('u', "user", struct exec_args, user, "USER[:GROUP]", complete_none, "user name or number"),
	OPT_FLAG(0, "privileged", struct exec_args, privileged, "all capabilities"),
	OPT_STRING(0, "detach-keys", struct exec_args, detach_keys, "KEYS", complete_none, "keys that leave it running"),
	OPT_END
};
/* clang-format on */

static void detach_defaults(void *args)
{
	((struct exec_args *)args)->detach_keys = g_strdup("ctrl-p,ctrl-q");
}

static const char *callers(const char *name)
{
	return g_getenv(name);
}

static int exec_env(const struct exec_args *a, struct engine_exec *x, struct err *e)
{
	g_autoptr(GPtrArray) env = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	for (char **f = a->env_file; r >= 0 && f && *f; f++) {
		g_autoptr(GError) ge = NULL;
		g_autofree char *text = NULL;
		gsize n;

		if (!g_file_get_contents(*f, &text, &n, &ge))
			return err_set(e, -E_INVALID, "cannot read '%s': %s", *f, ge->message);
		r = parse_env_text(text, n, *f, callers, env, e);
	}
	for (char **w = a->env; r >= 0 && w && *w; w++)
		r = parse_env(*w, callers, env, e);
	if (r < 0)
		return r;
	if (x->tty)
		g_ptr_array_insert(env, 0, g_strdup("TERM=xterm"));
	g_ptr_array_add(env, NULL);
	x->env = (char **)g_ptr_array_free(g_steal_pointer(&env), FALSE);
	return 0;
}

static int exec_run(struct cmd_call *call, struct err *e)
{
	const struct exec_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct engine_exec x = { .argv = call->operands + 1,
		.cwd = a->workdir,
		.user = a->user,
		.tty = a->tty,
		.privileged = a->privileged };
	struct guest_stdio io = { .in = a->interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.tty = a->tty && a->interactive,
		.detach_keys = a->tty ? a->detach_keys : "",
		.proxy_signals = !a->tty };
	int r;

	if (io.tty && !a->detach && !isatty(STDIN_FILENO) && !call->c->explain) {
		err_set(e, -E_INVALID, "standard input is not a terminal");
		err_mend(e, "leave out -t");
		return -E_INVALID;
	}
	r = exec_env(a, &x, e);
	if (r >= 0)
		r = guest_get(call->c, NULL, call->operands[0], &g, e);
	if (r >= 0)
		r = guest_exec(call->c, g, &x, a->detach, &io, e);
	g_strfreev(x.env);
	return r == SESSION_DETACHED ? 0 : r;
}

const struct cmd lodge_exec = {
	CMD_FILE,
	.name = "exec",
	.run = exec_run,
	.opts = exec_opts,
	.args_size = sizeof(struct exec_args),
	.defaults = detach_defaults,
	.brief = "run a further command in a running guest",
	.synopsis = "[OPTIONS] GUEST COMMAND [ARGUMENT...]",
	.examples = "lodge exec -it web sh   # a shell beside the server\n",
	.min_operands = 2,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.complete = complete_running,
};

/* --- attach ----------------------------------------------------------------------------------------------- */

struct attach_args {
	bool no_stdin, sig_proxy;
	char *detach_keys;
};

static const struct opt attach_opts[] = { OPT_FLAG(0, "no-stdin", struct attach_args, no_stdin,
						  "do not hand over standard input"),
	OPT_FLAG(0, "sig-proxy", struct attach_args, sig_proxy, "hand signals on to the guest"),
	OPT_STRING(0, "detach-keys", struct attach_args, detach_keys, "KEYS", complete_none,
		"keys that leave it running"),
	OPT_END };

static void attach_defaults(void *args)
{
	struct attach_args *a = args;

	a->sig_proxy = true;
	a->detach_keys = g_strdup("ctrl-p,ctrl-q");
}

static int attach_run(struct cmd_call *call, struct err *e)
{
	const struct attach_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_stdio io = { -1, STDOUT_FILENO, STDERR_FILENO };
	int r = guest_get(call->c, NULL, call->operands[0], &g, e);

	if (r < 0)
		return r;
	if (!a->no_stdin && g->spec->open_stdin)
		io.in = STDIN_FILENO;
	io.tty = io.in >= 0 && g->spec->tty && isatty(STDIN_FILENO);
	io.detach_keys = g->spec->tty ? a->detach_keys : "";
	io.proxy_signals = a->sig_proxy && !g->spec->tty;
	r = guest_attach(call->c, g, &io, false, g->spec->tty, e);
	return r == SESSION_DETACHED ? 0 : r;
}

const struct cmd lodge_attach = {
	CMD_FILE,
	.name = "attach",
	.run = attach_run,
	.opts = attach_opts,
	.args_size = sizeof(struct attach_args),
	.defaults = attach_defaults,
	.brief = "see a running guest's output and give it input",
	.synopsis = "[OPTIONS] GUEST",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_running,
};
