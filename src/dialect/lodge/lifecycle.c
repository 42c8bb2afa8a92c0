/* SPDX-License-Identifier: MIT */
/* start stop restart kill pause unpause rm wait rename: docker-cli's reference, "container ...". */

#include <signal.h>
#include <unistd.h>
#include "dialect/lodge/lodge.h"
#include "guest/signals.h"

int for_each_guest(struct cmd_call *call, bool print,
	int (*each)(struct cmd_call *call, struct guest *g, struct err *e))
{
	int status = 0;

	for (int i = 0; i < call->n_operands; i++) {
		_cleanup_(guest_freep) struct guest *g = NULL;
		struct err e = { 0 };
		int r = guest_get(call->c, NULL, call->operands[i], &g, &e);

		if (r >= 0)
			r = each(call, g, &e);
		if (r < 0)
			status = print_failed(&e, r);
		else if (print && !call->c->explain)
			printf("%s\n", call->operands[i]);
	}
	return status;
}

static int parse_signal(const char *text, int *ret, struct err *e)
{
	*ret = 0;
	if (text && signal_parse(text, ret) < 0)
		return err_set(e, -E_INVALID, "invalid signal '%s'", text);
	return 0;
}

/* --- start ---------------------------------------------------------------------------------------------- */

struct start_args {
	bool attach, interactive, sig_proxy;
	char *detach_keys;
};

static const struct opt start_opts[] = { OPT_FLAG('a', "attach", struct start_args, attach,
						 "show its output and wait for its end"),
	OPT_FLAG('i', "interactive", struct start_args, interactive, "hand over standard input"),
	OPT_STRING(0, "detach-keys", struct start_args, detach_keys, "KEYS", complete_none,
		"keys that leave it running"),
	OPT_FLAG(0, "sig-proxy", struct start_args, sig_proxy, "hand signals on to the guest"),
	OPT_END };

static void start_defaults(void *args)
{
	struct start_args *a = args;

	a->sig_proxy = true;
	a->detach_keys = g_strdup("ctrl-p,ctrl-q");
}

static int start_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	return guest_start(call->c, g, e);
}

static int start_run(struct cmd_call *call, struct err *e)
{
	const struct start_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_stdio io = { -1, STDOUT_FILENO, STDERR_FILENO };
	int r;

	if (!a->attach && !a->interactive)
		return for_each_guest(call, true, start_one);
	if (call->n_operands > 1)
		return err_set(e, -E_USAGE, "only one guest can be started and attached to");
	r = guest_get(call->c, NULL, call->operands[0], &g, e);
	if (r < 0)
		return r;
	io.in = a->interactive && g->spec->open_stdin ? STDIN_FILENO : -1;
	io.tty = io.in >= 0 && g->spec->tty && isatty(STDIN_FILENO);
	io.detach_keys = a->detach_keys;
	io.proxy_signals = a->sig_proxy && !g->spec->tty;
	r = guest_attach(call->c, g, &io, true, false, e);
	return r == SESSION_DETACHED ? 0 : r;
}

const struct cmd lodge_start = {
	CMD_FILE,
	.name = "start",
	.run = start_run,
	.opts = start_opts,
	.args_size = sizeof(struct start_args),
	.defaults = start_defaults,
	.brief = "start guests that were made or have ended",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge start web   # in the background\n"
		    "lodge start -ai shell   # with its terminal\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_guest,
};

/* --- stop, restart ---------------------------------------------------------------------------------------- */

struct stop_args {
	char *signal;
	int64_t time;
};

static const struct opt stop_opts[] = { OPT_STRING('s', "signal", struct stop_args, signal,
						"SIGNAL", complete_signal,
						"instead of the guest's own stop signal"),
	OPT_INT('t', "time", struct stop_args, time, "SECONDS",
		"wait so long before it is killed; -1: for ever"),
	OPT_END };

#define TIME_NOT_GIVEN INT64_MIN

static void stop_defaults(void *args)
{
	((struct stop_args *)args)->time = TIME_NOT_GIVEN;
}

/* guest_stop takes -1 as "the guest's own": for ever is the longest time there is. */
static int stop_time(const struct stop_args *a)
{
	if (a->time == TIME_NOT_GIVEN)
		return -1;
	return a->time < 0 ? INT32_MAX : (int)MIN(a->time, INT32_MAX);
}

static int stop_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	const struct stop_args *a = call->args;
	int sig, r = parse_signal(a->signal, &sig, e);

	return r < 0 ? r : guest_stop(call->c, g, sig, stop_time(a), e);
}

static int stop_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, stop_one);
}

const struct cmd lodge_stop = {
	CMD_FILE,
	.name = "stop",
	.run = stop_run,
	.opts = stop_opts,
	.args_size = sizeof(struct stop_args),
	.defaults = stop_defaults,
	.brief = "ask guests to end, then kill them",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge stop -t 30 db   # give it half a minute\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_running,
};

static int restart_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	const struct stop_args *a = call->args;
	int sig, r = parse_signal(a->signal, &sig, e);

	return r < 0 ? r : guest_restart(call->c, g, sig, stop_time(a), e);
}

static int restart_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, restart_one);
}

const struct cmd lodge_restart = {
	CMD_FILE,
	.name = "restart",
	.run = restart_run,
	.opts = stop_opts,
	.args_size = sizeof(struct stop_args),
	.defaults = stop_defaults,
	.brief = "stop guests and start them again",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge restart web   # with its own grace time\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_guest,
};

/* --- kill, pause, unpause ------------------------------------------------------------------------------------ */

struct kill_args {
	char *signal;
};

static const struct opt kill_opts[] = { OPT_STRING('s', "signal", struct kill_args, signal,
						"SIGNAL", complete_signal, "instead of SIGKILL"),
	OPT_END };

static int kill_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	const struct kill_args *a = call->args;
	int sig, r = parse_signal(a->signal, &sig, e);

	return r < 0 ? r : guest_kill(call->c, g, sig ? sig : SIGKILL, e);
}

static int kill_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, kill_one);
}

const struct cmd lodge_kill = {
	CMD_FILE,
	.name = "kill",
	.run = kill_run,
	.opts = kill_opts,
	.args_size = sizeof(struct kill_args),
	.brief = "kill guests, or send them a signal",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge kill -s HUP web   # read the configuration again\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_running,
};

static int pause_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	return guest_pause(call->c, g, e);
}

static int pause_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, pause_one);
}

const struct cmd lodge_pause = {
	CMD_FILE,
	.name = "pause",
	.run = pause_run,
	.brief = "freeze guests",
	.synopsis = "GUEST...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_running,
};

static int unpause_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	return guest_unpause(call->c, g, e);
}

static int unpause_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, unpause_one);
}

const struct cmd lodge_unpause = {
	CMD_FILE,
	.name = "unpause",
	.run = unpause_run,
	.brief = "let frozen guests go on",
	.synopsis = "GUEST...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_running,
};

/* --- rm, wait, rename ------------------------------------------------------------------------------------------ */

struct rm_args {
	bool force, volumes;
};

static const struct opt rm_opts[] = { OPT_FLAG('f', "force", struct rm_args, force,
					      "kill it if it runs"),
	OPT_FLAG('v', "volumes", struct rm_args, volumes, "remove its anonymous volumes, too"),
	OPT_END };

static int rm_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	const struct rm_args *a = call->args;

	return guest_remove(call->c, g, a->force, a->volumes, e);
}

static int rm_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, true, rm_one);
}

const struct cmd lodge_rm = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.opts = rm_opts,
	.args_size = sizeof(struct rm_args),
	.brief = "remove guests",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge rm -f web   # even if it runs\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_guest,
	.aliases = "remove",
};

static int wait_one(struct cmd_call *call, struct guest *g, struct err *e)
{
	int r = guest_wait(call->c, g, false, e);

	if (r >= 0 && !call->c->explain)
		printf("%d\n", r);
	return r;
}

static int wait_run(struct cmd_call *call, struct err *e)
{
	return for_each_guest(call, false, wait_one);
}

const struct cmd lodge_wait = {
	CMD_FILE,
	.name = "wait",
	.run = wait_run,
	.brief = "wait for the end of guests and print their exit statuses",
	.synopsis = "GUEST...",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_running,
};

static int rename_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = guest_get(call->c, NULL, call->operands[0], &g, e);

	return r < 0 ? r : guest_rename(call->c, g, call->operands[1], e);
}

const struct cmd lodge_rename = {
	CMD_FILE,
	.name = "rename",
	.run = rename_run,
	.brief = "give a guest another name",
	.synopsis = "GUEST NAME",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_guest,
};
