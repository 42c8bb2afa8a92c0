/* SPDX-License-Identifier: MIT */
/* Talking to a machine: vm console, qmp, agent. */

#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "dialect/lodge/vm.h"
#include "guest/machine.h"

/* --- console ------------------------------------------------------------------------------------------------------ */

struct console_args {
	char *detach_keys;
	bool replay;
};

static const struct opt console_opts[] = { OPT_STRING(0, "detach-keys", struct console_args,
						   detach_keys, "KEYS", complete_none,
						   "keys that leave it"),
	OPT_FLAG(0, "replay", struct console_args, replay, "first what it said last"), OPT_END };

static void console_defaults(void *args)
{
	((struct console_args *)args)->detach_keys = g_strdup("ctrl-p,ctrl-q");
}

static int console_run(struct cmd_call *call, struct err *e)
{
	const struct console_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_stdio io = {
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.tty = isatty(STDIN_FILENO),
		.detach_keys = a->detach_keys,
	};
	int r = vm_guest(call, call->operands[0], &g, e);

	if (r >= 0 && g->spec->vm->no_serial)
		r = err_set(e, -E_UNSUPPORTED, "guest '%s' has no serial console", g->rec->name);
	if (r >= 0)
		r = guest_attach(call->c, g, &io, false, a->replay, e);
	return r == SESSION_DETACHED ? 0 : r;
}

const struct cmd vm_console = {
	CMD_FILE,
	.name = "console",
	.run = console_run,
	.opts = console_opts,
	.args_size = sizeof(struct console_args),
	.defaults = console_defaults,
	.brief = "the serial console of a machine",
	.synopsis = "[OPTIONS] GUEST",
	.details = "ctrl-p ctrl-q leaves it.",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_machine,
};

/* --- qmp ------------------------------------------------------------------------------------------------------------ */

static int print_json(json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(4) | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	printf("%s\n", text ?: "null");
	free(text);
	json_decref(j);
	return 0;
}

static int qmp_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	json_t *j = NULL;
	int r = guest_get(call->c, NULL, call->operands[0], &g, e);

	if (r >= 0 && !g->spec->vm)
		r = err_set(e, -E_INVALID, "guest '%s' is not a machine", g->rec->name);
	if (r >= 0)
		r = machine_qmp(call->c, g, call->operands[1], &j, e);
	if (r < 0 || call->c->explain) {
		json_decref(j);
		return r;
	}
	return print_json(j);
}

const struct cmd vm_qmp_command = {
	CMD_FILE,
	.name = "qmp",
	.run = qmp_run,
	.brief = "say one command to a machine's QEMU",
	.synopsis = "GUEST COMMAND",
	.details =
		"COMMAND is a name, or JSON with execute and arguments. It is checked by what this "
		"QEMU knows, and "
		"the value of its answer is printed. What it changes isn't in the guest's record.",
	.examples = "lodge vm qmp box query-status\n"
		    "lodge vm qmp box '{\"execute\":\"query-block\"}'\n",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

/* --- agent ------------------------------------------------------------------------------------------------------------ */

struct agent_args {
	int64_t timeout;
};

static const struct opt agent_opts[] = { OPT_INT('t', "timeout", struct agent_args, timeout,
						 "SECONDS", "wait no longer for an answer"),
	OPT_END };

static void agent_defaults(void *args)
{
	((struct agent_args *)args)->timeout = 5;
}

struct agent_call {
	struct cmd_call *call;
	struct machine_agent *agent;
	char *const *words; /* after the command's name */
	int n;
};

static int plain(struct agent_call *a, const char *command, json_t *arguments, struct err *e)
{
	json_t *j = NULL;
	int r = machine_agent_call(a->agent, command, arguments, &j, e);

	if (r < 0)
		return r;
	/* nothing to say */
	if (a->call->c->explain || (json_is_object(j) && json_object_size(j) == 0)) {
		json_decref(j);
		return 0;
	}
	return print_json(j);
}

static int agent_ping(struct agent_call *a, struct err *e)
{
	return plain(a, "guest-ping", NULL, e);
}

static int agent_info(struct agent_call *a, struct err *e)
{
	return plain(a, "guest-info", NULL, e);
}

static int agent_interfaces(struct agent_call *a, struct err *e)
{
	return plain(a, "guest-network-get-interfaces", NULL, e);
}

static int agent_freeze(struct agent_call *a, struct err *e)
{
	static const char *const what[] = { "freeze", "thaw", "status" };

	for (size_t i = 0; i < G_N_ELEMENTS(what); i++)
		if (strcmp(a->words[0], what[i]) == 0) {
			g_autofree char *command = g_strconcat("guest-fsfreeze-", what[i], NULL);

			return plain(a, command, NULL, e);
		}
	return err_set(
		e, -E_USAGE, "invalid fsfreeze '%s': not freeze, thaw or status", a->words[0]);
}

static int agent_exec(struct agent_call *a, struct err *e)
{
	return machine_agent_exec(a->agent, a->words, STDOUT_FILENO, STDERR_FILENO, e);
}

/* Not in the command line, which other users see. */
static int agent_password(struct agent_call *a, struct err *e)
{
	char line[1024];
	g_autofree char *base64 = NULL;
	bool tty = isatty(STDIN_FILENO);
	struct termios before, quiet;
	const char *got;

	if (tty && tcgetattr(STDIN_FILENO, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
		(void)fprintf(stderr, "password for %s: ", a->words[0]);
	}
	got = fgets(line, sizeof(line), stdin);
	if (tty) {
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
		(void)fprintf(stderr, "\n");
	}
	if (!got)
		return err_set(e, -E_INVALID, "no password on standard input");
	line[strcspn(line, "\n")] = '\0';
	base64 = g_base64_encode((const guchar *)line, strlen(line));
	explicit_bzero(line, sizeof(line));
	return plain(a, "guest-set-user-password",
		json_pack("{s:s, s:s, s:b}", "username", a->words[0], "password", base64, "crypted",
			0),
		e);
}

/* Any of the agent's own: NAME [JSON]. */
static int agent_raw(struct agent_call *a, const char *command, struct err *e)
{
	json_t *arguments = NULL;
	json_error_t je;

	if (a->n > 1)
		return err_set(e, -E_USAGE, "'%s' takes its arguments as one JSON object", command);
	if (a->n == 1) {
		arguments = json_loads(a->words[0], JSON_REJECT_DUPLICATES, &je);
		if (!json_is_object(arguments)) {
			json_decref(arguments);
			return err_set(e, -E_USAGE, "the arguments of '%s' are not a JSON object",
				command);
		}
	}
	return plain(a, command, arguments, e);
}

static const struct {
	const char *name;
	int min, max;
	int (*run)(struct agent_call *a, struct err *e);
} agent_commands[] = {
	{ "ping", 0, 0, agent_ping },
	{ "info", 0, 0, agent_info },
	{ "interfaces", 0, 0, agent_interfaces },
	{ "network-get-interfaces", 0, 0, agent_interfaces },
	{ "fsfreeze", 1, 1, agent_freeze },
	{ "exec", 1, INT32_MAX, agent_exec },
	{ "set-user-password", 1, 1, agent_password },
};

static int agent_find(struct agent_call *a, const char *name, struct err *e)
{
	for (size_t i = 0; i < G_N_ELEMENTS(agent_commands); i++) {
		if (strcmp(agent_commands[i].name, name) != 0)
			continue;
		if (a->n < agent_commands[i].min || a->n > agent_commands[i].max)
			return err_set(e, -E_USAGE, "'%s' takes %d arguments", name,
				agent_commands[i].min);
		return (int)i;
	}
	if (!g_str_has_prefix(name, "guest-"))
		return err_set(e, -E_USAGE, "unknown command '%s' for the guest agent", name);
	return (int)G_N_ELEMENTS(agent_commands);
}

static int agent_run(struct cmd_call *call, struct err *e)
{
	const struct agent_args *o = call->args;
	const char *name = call->operands[1];
	_cleanup_(machine_agent_freep) struct machine_agent *agent = NULL;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct agent_call a = { call, NULL, call->operands + 2, call->n_operands - 2 };
	int which = agent_find(&a, name, e), r;

	if (which < 0)
		return which;
	if (o->timeout < 1 || o->timeout > 86400)
		return err_set(e, -E_USAGE, "invalid timeout: 1 to 86400 seconds");
	r = vm_guest(call, call->operands[0], &g, e);
	if (r >= 0)
		r = machine_agent_open(call->c, g, (int)o->timeout, &agent, e);
	if (r < 0)
		return r;
	a.agent = agent;
	return which < (int)G_N_ELEMENTS(agent_commands) ? agent_commands[which].run(&a, e)
							 : agent_raw(&a, name, e);
}

const struct cmd vm_agent = {
	CMD_FILE,
	.name = "agent",
	.run = agent_run,
	.opts = agent_opts,
	.args_size = sizeof(struct agent_args),
	.defaults = agent_defaults,
	.brief = "say a command to the guest agent in a machine",
	.synopsis = "[OPTIONS] GUEST COMMAND [ARGUMENT...]",
	.details = "Commands: ping, info, interfaces, fsfreeze freeze|thaw|status, exec COMMAND "
		   "[ARGUMENT...], "
		   "set-user-password USER (the password is read from standard input), or any of "
		   "the agent's own "
		   "(guest-...) with its arguments as JSON. exec gives the command's output and "
		   "exit status.",
	.examples = "lodge vm agent box exec uname -a\n"
		    "lodge vm agent box guest-get-osinfo\n",
	.min_operands = 2,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.complete = complete_machine,
};
