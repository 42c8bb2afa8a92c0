/* SPDX-License-Identifier: MIT */
/* docker run, start, attach, exec: what has this process's streams at one end. */

#include <string.h>
#include "dialect/docker/cli-run.h"

struct exec_args {
	char *detach_keys, *user, *workdir;
	char **env, **env_file;
	bool detach, interactive, privileged, tty;
};
struct attach_args {
	char *detach_keys;
	bool no_stdin;
	int sig_proxy;
};
struct start_args {
	char *checkpoint, *checkpoint_dir, *detach_keys;
	bool attach, interactive;
};

/* --- shared ------------------------------------------------------------------------------------------------------- */

static const char *keys_text(struct cmd_call *call, const char *given)
{
	return given ?: cli_config_text(call, "detachKeys");
}

/* The attach request; its stream is ours to copy. */
static int open_attach(struct cmd_call *call, struct client *cl, const char *id,
	const struct cli_create *c, const char *keys, struct stream **ret, struct err *e)
{
	g_autoptr(GString) path = g_string_new(NULL);
	g_autofree char *head = client_path("/containers/%s/attach?stream=1", id);
	struct stream_request q = { .method = "POST", .body_fd = -1, .hijack = true };

	g_string_append(path, head);
	if (keys)
		cli_query(path, "detachKeys", keys);
	g_string_append_printf(path, "%s%s%s", c->in ? "&stdin=1" : "", c->out ? "&stdout=1" : "",
		c->err ? "&stderr=1" : "");
	q.path = path->str;
	return client_stream(cl, &q, ret, e);
}

static int open_wait(struct client *cl, const char *id, const char *condition, struct stream **ret,
	struct err *e)
{
	g_autofree char *path = client_path("/containers/%s/wait?condition=%s", id, condition);
	struct stream_request q = { .method = "POST", .path = path, .body_fd = -1 };

	return client_stream(cl, &q, ret, e);
}

/* The exit status that a wait tells of. */
static int read_wait(struct stream *s, struct err *e)
{
	json_t *j = NULL;
	int r = stream_json(s, &j, e);
	const char *error;

	if (r <= 0)
		return r < 0 ? r : err_set(e, -EIO, "the server told no exit status");
	r = (int)cli_number(j, "StatusCode");
	error = json_string_value(cli_at(j, "Error.Message"));
	if (error && *error) {
		(void)fprintf(stderr, "%s\n", error);
		r = 125;
	}
	json_decref(j);
	return r;
}

static bool is_missing_command(const char *text)
{
	static const char *const words[] = { "executable file not found",
		"no such file or directory", "system cannot find the file specified" };

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* docker tells 126 and 127 by the server's words. */
static int start_code(int code, struct err *e)
{
	if (is_missing_command(e->text))
		code = -E_COMMAND_NOTFOUND;
	else if (strstr(e->text, "permission denied") || strstr(e->text, "not a directory") ||
		 strstr(e->text, "is a directory"))
		code = -E_COMMAND_NOEXEC;
	e->code = code;
	return code;
}

static int check_tty(bool in, bool tty, struct err *e)
{
	if (in && tty && !cli_is_terminal(STDIN_FILENO))
		return err_set(e, -E_INVALID, "the input device is not a TTY");
	return 0;
}

/* --- run ------------------------------------------------------------------------------------------------------------ */

static int run_attached(struct cmd_call *call, struct client *cl, const struct run_args *a,
	const struct cli_create *c, const char *id, struct err *e)
{
	_cleanup_(stream_freep) struct stream *attached = NULL, *wait = NULL;
	g_autoptr(GByteArray) keys = NULL;
	g_autofree char *path = client_path("/containers/%s/start", id);
	struct cli_session s = { .tty = c->tty,
		.in = c->in,
		.out = c->out,
		.err = c->err,
		.proxy_signals = cli_switch(a->sig_proxy, true),
		.container = id };
	int r = cli_detach_keys(keys_text(call, a->detach_keys), &keys, e);

	if (r >= 0 && (c->in || c->out || c->err))
		r = open_attach(call, cl, id, c, keys_text(call, a->detach_keys), &attached, e);
	if (r >= 0)
		r = open_wait(cl, id, a->rm ? "removed" : "next-exit", &wait, e);
	if (r >= 0) {
		r = client_call(cl, "POST", path, NULL, NULL, e);
		if (r < 0)
			return start_code(r, e);
	}
	if (r < 0)
		return r;
	if (c->tty && cli_is_terminal(STDOUT_FILENO))
		cli_resize(cl, id, NULL);
	s.stream = attached;
	s.keys = keys;
	r = attached ? cli_session(cl, &s, e) : 0;
	/* who detaches leaves it running */
	return r == 1 ? 0 : r < 0 ? r : read_wait(wait, e);
}

/* A server that couldn't start it has removed nothing. */
static void remove_unstarted(struct client *cl, const char *id)
{
	g_autofree char *path = client_path("/containers/%s?v=1", id);
	struct err ignored;

	(void)client_call(cl, "DELETE", path, NULL, NULL, &ignored);
}

static int run_run(struct cmd_call *call, struct err *e)
{
	const struct run_args *a = call->args;
	struct cli_create c = { 0 };
	g_autofree char *id = NULL;
	struct client *cl;
	int r = cli_create_parse(call, a, &c, e);

	if (r >= 0 && (a->detach ? a->attach && err_set(e, -E_INVALID,
							"conflicting options: cannot specify both "
							"--attach and --detach")
				 : check_tty(c.in, c.tty, e) < 0)) {
		/* these two docker says as any command would */
		cli_failed(e);
		cli_create_clear(&c);
		return 1;
	}
	if (r >= 0)
		r = cli_create_do(call, a, &c, &id, e);
	if (r >= 0)
		r = cli_client(call, &cl, e);
	if (r >= 0 && a->detach) {
		g_autofree char *path = client_path("/containers/%s/start", id);

		r = client_call(cl, "POST", path, NULL, NULL, e);
		/* the id is printed before it is known whether it starts */
		printf("%s\n", id);
		r = r < 0 ? start_code(r, e) : 0;
	} else if (r >= 0) {
		r = run_attached(call, cl, a, &c, id, e);
	}
	if (r < 0 && id && a->rm)
		remove_unstarted(cl, id);
	cli_create_clear(&c);
	return r;
}

const struct cmd docker_run_cmd = {
	CMD_FILE,
	.name = "run",
	.run = run_run,
	.opts = docker_run_opts,
	.args_size = sizeof(struct run_args),
	.brief = "Create and run a new container from an image",
	.synopsis = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

/* --- start ------------------------------------------------------------------------------------------------------------ */

static int start_one(struct client *cl, const char *name, const struct start_args *a, struct err *e)
{
	g_autoptr(GString) path = g_string_new(NULL);
	g_autofree char *head = client_path("/containers/%s/start", name);
	int r;

	g_string_append(path, head);
	if (a->checkpoint)
		cli_query(path, "checkpoint", a->checkpoint);
	if (a->checkpoint_dir)
		cli_query(path, "checkpoint-dir", a->checkpoint_dir);
	r = client_call(cl, "POST", path->str, NULL, NULL, e);
	return r < 0 ? r : 0;
}

static int start_attached(
	struct cmd_call *call, struct client *cl, const struct start_args *a, struct err *e)
{
	_cleanup_(stream_freep) struct stream *attached = NULL, *wait = NULL;
	g_autoptr(GByteArray) keys = NULL;
	g_autofree char *path = client_path("/containers/%s/json", call->operands[0]), *id = NULL;
	json_t *j = NULL, *config;
	struct cli_create c = { .out = true, .err = true };
	struct cli_session s = { .proxy_signals = true };
	const char *keys_given = keys_text(call, a->detach_keys);
	bool removed;
	int r = client_call(cl, "GET", path, NULL, &j, e);

	if (r < 0)
		return r;
	config = json_object_get(j, "Config");
	id = g_strdup(cli_text(j, "Id"));
	c.tty = json_is_true(json_object_get(config, "Tty"));
	c.in = a->interactive && json_is_true(json_object_get(config, "OpenStdin"));
	removed = json_is_true(cli_at(j, "HostConfig.AutoRemove"));
	json_decref(j);
	r = cli_detach_keys(keys_given, &keys, e);
	if (r >= 0)
		r = check_tty(c.in, c.tty, e);
	if (r >= 0)
		r = open_attach(call, cl, id, &c, keys_given, &attached, e);
	if (r >= 0)
		r = open_wait(cl, id, removed ? "removed" : "next-exit", &wait, e);
	if (r >= 0)
		r = start_one(cl, call->operands[0], a, e);
	if (r < 0)
		return r;
	if (c.tty && cli_is_terminal(STDOUT_FILENO))
		cli_resize(cl, id, NULL);
	s.stream = attached;
	s.keys = keys;
	s.tty = c.tty;
	s.in = c.in;
	s.out = s.err = true;
	s.container = id;
	r = cli_session(cl, &s, e);
	return r == 1 ? 0 : r < 0 ? r : read_wait(wait, e);
}

static int start_run(struct cmd_call *call, struct err *e)
{
	const struct start_args *a = call->args;
	g_autoptr(GString) failed = g_string_new(NULL);
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (r < 0)
		return r;
	if (a->attach || a->interactive) {
		if (call->n_operands > 1)
			return err_set(e, -E_INVALID,
				"you cannot start and attach multiple containers at once");
		return start_attached(call, cl, a, e);
	}
	if (a->checkpoint && call->n_operands > 1)
		return err_set(e, -E_INVALID, "you cannot restore multiple containers at once");
	for (char **name = call->operands; *name; name++) {
		if (start_one(cl, *name, a, e) < 0) {
			g_string_append_printf(failed, "%s%s", failed->len ? ", " : "", *name);
			cli_failed(e);
		} else {
			printf("%s\n", *name);
		}
	}
	return failed->len ? err_set(e, -EIO, "Error: failed to start containers: %s", failed->str)
			   : 0;
}

/* clang-format off */
static const struct opt start_opts[] = {
	OPT_FLAG('a', "attach", struct start_args, attach, "Attach STDOUT/STDERR and forward signals"),
	OPT_STRING(0, "checkpoint", struct start_args, checkpoint, "string", complete_none, "Restore from this checkpoint"),
	OPT_STRING(0, "checkpoint-dir", struct start_args, checkpoint_dir, "string", complete_none, "Use a custom checkpoint storage directory"),
	OPT_STRING(0, "detach-keys", struct start_args, detach_keys, "string", complete_none, "Override the key sequence for detaching a container"),
	OPT_FLAG('i', "interactive", struct start_args, interactive, "Attach container's STDIN"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_start_cmd = {
	CMD_FILE,
	.name = "start",
	.run = start_run,
	.opts = start_opts,
	.args_size = sizeof(struct start_args),
	.brief = "Start one or more stopped containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* --- attach ------------------------------------------------------------------------------------------------------------- */

static int check_running(const json_t *j, struct err *e)
{
	if (!json_is_true(cli_at(j, "State.Running")))
		return err_set(
			e, -E_STATE, "You cannot attach to a stopped container, start it first");
	if (json_is_true(cli_at(j, "State.Paused")))
		return err_set(
			e, -E_STATE, "You cannot attach to a paused container, unpause it first");
	if (json_is_true(cli_at(j, "State.Restarting")))
		return err_set(e, -E_STATE,
			"You cannot attach to a restarting container, wait until it is running");
	return 0;
}

static int attach_run(struct cmd_call *call, struct err *e)
{
	const struct attach_args *a = call->args;
	_cleanup_(stream_freep) struct stream *attached = NULL, *wait = NULL;
	g_autoptr(GByteArray) keys = NULL;
	g_autofree char *path = client_path("/containers/%s/json", call->operands[0]), *id = NULL;
	struct cli_create c = { .out = true, .err = true };
	struct cli_session s = { .out = true, .err = true };
	struct client *cl;
	json_t *j = NULL;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", path, NULL, &j, e);
	if (r >= 0)
		r = check_running(j, e);
	id = g_strdup(cli_text(j, "Id"));
	s.tty = c.tty = json_is_true(cli_at(j, "Config.Tty"));
	s.in = c.in = !a->no_stdin && json_is_true(cli_at(j, "Config.OpenStdin"));
	json_decref(j);
	if (r >= 0)
		r = check_tty(c.in, c.tty, e);
	if (r >= 0)
		r = cli_detach_keys(keys_text(call, a->detach_keys), &keys, e);
	if (r >= 0)
		r = open_wait(cl, id, "", &wait, e);
	if (r >= 0)
		r = open_attach(call, cl, id, &c, keys_text(call, a->detach_keys), &attached, e);
	if (r < 0)
		return r;
	if (c.tty && cli_is_terminal(STDOUT_FILENO))
		cli_resize(cl, id, NULL);
	s.stream = attached;
	s.keys = keys;
	s.proxy_signals = cli_switch(a->sig_proxy, true) && !c.tty;
	s.container = id;
	r = cli_session(cl, &s, e);
	if (r == 1)
		return err_set(e, -EINTR, "read escape sequence");
	return r < 0 ? r : read_wait(wait, e);
}

/* clang-format off */
static const struct opt attach_opts[] = {
	OPT_STRING(0, "detach-keys", struct attach_args, detach_keys, "string", complete_none, "Override the key sequence for detaching a container"),
	OPT_FLAG(0, "no-stdin", struct attach_args, no_stdin, "Do not attach STDIN"),
	OPT_TRISTATE(0, "sig-proxy", struct attach_args, sig_proxy, "Proxy all received signals to the process (default true)"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_attach_cmd = {
	CMD_FILE,
	.name = "attach",
	.run = attach_run,
	.opts = attach_opts,
	.args_size = sizeof(struct attach_args),
	.brief = "Attach local standard input, output, and error streams to a running container",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- exec ----------------------------------------------------------------------------------------------------------------- */

static int exec_create(struct cmd_call *call, struct client *cl, char **ret_id, struct err *e)
{
	const struct exec_args *a = call->args;
	g_autofree char *path = client_path("/containers/%s/exec", call->operands[0]);
	json_t *env = NULL, *body, *answer = NULL;
	const char *keys = keys_text(call, a->detach_keys);
	int r = cli_environment(a->env, a->env_file, true, &env, e);

	if (r < 0)
		return r;
	body = json_pack("{s:s,s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:o,s:s,s:o}", "User", a->user ?: "",
		"Privileged", a->privileged, "Tty", a->tty, "AttachStdin",
		!a->detach && a->interactive, "AttachStderr", !a->detach, "AttachStdout",
		!a->detach, "Detach", a->detach, "DetachKeys", keys ?: "", "Env", env, "WorkingDir",
		a->workdir ?: "", "Cmd", cli_strings(call->operands + 1));
	r = client_call(cl, "POST", path, body, &answer, e);
	json_decref(body);
	if (r >= 0)
		*ret_id = g_strdup(cli_text(answer, "Id"));
	json_decref(answer);
	return r < 0 ? r : 0;
}

static int exec_status(struct client *cl, const char *id, struct err *e)
{
	g_autofree char *path = client_path("/exec/%s/json", id);
	json_t *j = NULL;
	int r = client_call(cl, "GET", path, NULL, &j, e);

	if (r < 0)
		return r;
	r = (int)cli_number(j, "ExitCode");
	json_decref(j);
	return r;
}

static int exec_run(struct cmd_call *call, struct err *e)
{
	const struct exec_args *a = call->args;
	_cleanup_(stream_freep) struct stream *stream = NULL;
	g_autoptr(GByteArray) keys = NULL;
	g_autofree char *id = NULL, *path = NULL;
	struct cli_session s = { .tty = a->tty, .in = a->interactive, .out = true, .err = true };
	struct stream_request q = { .method = "POST", .body_fd = -1, .hijack = true };
	struct client *cl;
	json_t *body;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = cli_detach_keys(keys_text(call, a->detach_keys), &keys, e);
	if (r >= 0 && !a->detach)
		r = check_tty(a->interactive, a->tty, e);
	if (r >= 0)
		r = exec_create(call, cl, &id, e);
	if (r < 0)
		return r;
	path = client_path("/exec/%s/start", id);
	body = json_pack("{s:b,s:b}", "Detach", a->detach, "Tty", a->tty);
	if (a->detach) {
		r = client_call(cl, "POST", path, body, NULL, e);
		json_decref(body);
		return r < 0 ? r : 0;
	}
	q.path = path;
	q.body = body;
	r = client_stream(cl, &q, &stream, e);
	json_decref(body);
	if (r < 0)
		return r;
	if (a->tty && cli_is_terminal(STDOUT_FILENO))
		cli_resize(cl, NULL, id);
	s.stream = stream;
	s.keys = keys;
	s.exec = id;
	s.container = call->operands[0];
	r = cli_session(cl, &s, e);
	if (r == 1)
		return err_set(e, -EINTR, "read escape sequence");
	return r < 0 ? r : exec_status(cl, id, e);
}

/* clang-format off */
static const struct opt exec_opts[] = {
	OPT_FLAG('d', "detach", struct exec_args, detach, "Detached mode: run command in the background"),
	OPT_STRING(0, "detach-keys", struct exec_args, detach_keys, "string", complete_none, "Override the key sequence for detaching a container"),
	OPT_LIST('e', "env", struct exec_args, env, "list", complete_none, "Set environment variables"),
	OPT_LIST(0, "env-file", struct exec_args, env_file, "list", complete_file, "Read in a file of environment variables"),
	OPT_FLAG('i', "interactive", struct exec_args, interactive, "Keep STDIN open even if not attached"),
	OPT_FLAG(0, "privileged", struct exec_args, privileged, "Give extended privileges to the command"),
	OPT_FLAG('t', "tty", struct exec_args, tty, "Allocate a pseudo-TTY"),
	OPT_STRING('u', "user", struct exec_args, user, "string", complete_none, "Username or UID (format: \"<name|uid>[:<group|gid>]\")"),
	OPT_STRING('w', "workdir", struct exec_args, workdir, "string", complete_none, "Working directory inside the container"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_exec_cmd = {
	CMD_FILE,
	.name = "exec",
	.run = exec_run,
	.opts = exec_opts,
	.args_size = sizeof(struct exec_args),
	.brief = "Execute a command in a running container",
	.synopsis = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	.min_operands = 2,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
