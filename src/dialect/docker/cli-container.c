/* SPDX-License-Identifier: MIT */
/* Commands on containers that are a request for each: stop, kill, rm, pause, rename, wait, top, port, diff, ... */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "dialect/docker/cli-run.h"

struct stop_args {
	char *signal, *timeout;
};
struct restart_args {
	char *signal, *timeout;
};
struct kill_args {
	char *signal;
};
struct rm_args {
	bool force, link, volumes;
};
struct export_args {
	char *output;
};
struct commit_args {
	char *author, *message;
	char **change;
	int pause;
};
struct container_prune_args {
	char **filter;
	bool force;
};
struct logs_args {
	char *since, *tail, *until;
	bool details, follow, timestamps;
};

/* --- a request for each operand ----------------------------------------------------------------------------------- */

/* says each that was done; 1 when one wasn't */
static int for_each(struct cmd_call *call, const char *method, const char *fmt, const char *query,
	struct err *e)
{
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	if (r < 0)
		return r;
	for (char **name = call->operands; *name; name++) {
		g_autofree char *path = client_path(fmt, *name);
		g_autofree char *full = g_strconcat(path, query, NULL);

		r = client_call(cl, method, full, NULL, NULL, e);
		if (r < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%s\n", *name);
			(void)fflush(stdout);
		}
	}
	return status;
}

static char *stop_query(const char *signal, const char *timeout)
{
	GString *q = g_string_new("");

	if (signal && *signal)
		cli_query(q, "signal", signal);
	if (timeout)
		cli_query(q, "t", timeout);
	return g_string_free(q, FALSE);
}

static int stop_run(struct cmd_call *call, struct err *e)
{
	const struct stop_args *a = call->args;
	g_autofree char *query = stop_query(a->signal, a->timeout);

	return for_each(call, "POST", "/containers/%s/stop", query, e);
}

static int restart_run(struct cmd_call *call, struct err *e)
{
	const struct restart_args *a = call->args;
	g_autofree char *query = stop_query(a->signal, a->timeout);

	return for_each(call, "POST", "/containers/%s/restart", query, e);
}

static int kill_run(struct cmd_call *call, struct err *e)
{
	const struct kill_args *a = call->args;
	g_autofree char *query = stop_query(a->signal, NULL);

	return for_each(call, "POST", "/containers/%s/kill", query, e);
}

static int pause_run(struct cmd_call *call, struct err *e)
{
	return for_each(call, "POST", "/containers/%s/pause", "", e);
}

static int unpause_run(struct cmd_call *call, struct err *e)
{
	return for_each(call, "POST", "/containers/%s/unpause", "", e);
}

static int rm_run(struct cmd_call *call, struct err *e)
{
	const struct rm_args *a = call->args;
	g_autoptr(GString) query = g_string_new("");
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	if (r < 0)
		return r;
	if (a->force)
		cli_query(query, "force", "1");
	if (a->link)
		cli_query(query, "link", "1");
	if (a->volumes)
		cli_query(query, "v", "1");
	for (char **name = call->operands; *name; name++) {
		g_autofree char *trimmed = g_strdup(**name == '/' ? *name + 1 : *name);
		g_autofree char *path = client_path("/containers/%s", trimmed);
		g_autofree char *full = g_strconcat(path, query->str, NULL);

		if (!*trimmed) {
			(void)err_set(e, -E_INVALID, "container name cannot be empty");
			r = -E_INVALID;
		} else {
			r = client_call(cl, "DELETE", full, NULL, NULL, e);
		}
		if (r < 0) {
			/* what isn't there is as good as removed with --force */
			status |= !(a->force && r == -E_NOTFOUND);
			cli_failed(e);
		} else {
			printf("%s\n", trimmed);
		}
	}
	return status;
}

static int wait_run(struct cmd_call *call, struct err *e)
{
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	if (r < 0)
		return r;
	for (char **name = call->operands; *name; name++) {
		g_autofree char *path = client_path("/containers/%s/wait", *name);
		json_t *j = NULL;

		r = client_call(cl, "POST", path, NULL, &j, e);
		if (r < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%lld\n", (long long)cli_number(j, "StatusCode"));
			(void)fflush(stdout);
		}
		json_decref(j);
	}
	return status;
}

static int rename_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *from = g_strstrip(g_strdup(call->operands[0])),
			*to = g_strstrip(g_strdup(call->operands[1]));
	g_autofree char *path = client_path("/containers/%s/rename?name=%s", from, to);
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (!*from || !*to)
		return err_set(e, -E_INVALID, "Error: Neither old nor new names may be empty");
	if (r >= 0)
		r = client_call(cl, "POST", path, NULL, NULL, e);
	if (r >= 0)
		return 0;
	(void)err_prefix(e, "Error");
	return err_set(e, r, "%s\nError: failed to rename container named %s",
		e->text + strlen("Error: "), from);
}

/* clang-format off */
static const struct opt stop_opts[] = {
	OPT_STRING('s', "signal", struct stop_args, signal, "string", complete_none, "Signal to send to the container"),
	OPT_STRING('t', "timeout", struct stop_args, timeout, "int", complete_none, "Seconds to wait before killing the container"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_stop_cmd = {
	CMD_FILE,
	.name = "stop",
	.run = stop_run,
	.opts = stop_opts,
	.args_size = sizeof(struct stop_args),
	.brief = "Stop one or more running containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* clang-format off */
static const struct opt restart_opts[] = {
	OPT_STRING('s', "signal", struct restart_args, signal, "string", complete_none, "Signal to send to the container"),
	OPT_STRING('t', "timeout", struct restart_args, timeout, "int", complete_none, "Seconds to wait before killing the container"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_restart_cmd = {
	CMD_FILE,
	.name = "restart",
	.run = restart_run,
	.opts = restart_opts,
	.args_size = sizeof(struct restart_args),
	.brief = "Restart one or more containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* clang-format off */
static const struct opt kill_opts[] = {
	OPT_STRING('s', "signal", struct kill_args, signal, "string", complete_none, "Signal to send to the container"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_kill_cmd = {
	CMD_FILE,
	.name = "kill",
	.run = kill_run,
	.opts = kill_opts,
	.args_size = sizeof(struct kill_args),
	.brief = "Kill one or more running containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

const struct cmd docker_pause_cmd = {
	CMD_FILE,
	.name = "pause",
	.run = pause_run,
	.brief = "Pause all processes within one or more containers",
	.synopsis = "CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

const struct cmd docker_unpause_cmd = {
	CMD_FILE,
	.name = "unpause",
	.run = unpause_run,
	.brief = "Unpause all processes within one or more containers",
	.synopsis = "CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* clang-format off */
static const struct opt rm_opts[] = {
	OPT_FLAG('f', "force", struct rm_args, force, "Force the removal of a running container (uses SIGKILL)"),
	OPT_FLAG('l', "link", struct rm_args, link, "Remove the specified link"),
	OPT_FLAG('v', "volumes", struct rm_args, volumes, "Remove anonymous volumes associated with the container"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.opts = rm_opts,
	.args_size = sizeof(struct rm_args),
	.brief = "Remove one or more containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

const struct cmd docker_container_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.opts = rm_opts,
	.args_size = sizeof(struct rm_args),
	.brief = "Remove one or more containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
	.aliases = "remove",
};

const struct cmd docker_wait_cmd = {
	CMD_FILE,
	.name = "wait",
	.run = wait_run,
	.brief = "Block until one or more containers stop, then print their exit codes",
	.synopsis = "CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

const struct cmd docker_rename_cmd = {
	CMD_FILE,
	.name = "rename",
	.run = rename_run,
	.brief = "Rename a container",
	.synopsis = "CONTAINER NEW_NAME",
	.min_operands = 2,
	.max_operands = 2,
};

/* --- update --------------------------------------------------------------------------------------------------------- */

static json_t *update_body(const struct update_args *a, struct err *e)
{
	const struct {
		const char *key, *value;
	} ints[] = { { "BlkioWeight", a->blkio_weight }, { "CpuShares", a->cpu_shares },
		{ "CpuPeriod", a->cpu_period }, { "CpuQuota", a->cpu_quota },
		{ "CpuRealtimePeriod", a->cpu_rt_period },
		{ "CpuRealtimeRuntime", a->cpu_rt_runtime }, { "PidsLimit", a->pids_limit } };
	const struct {
		const char *key, *value;
	} sizes[] = { { "Memory", a->memory }, { "MemoryReservation", a->memory_reservation },
		{ "MemorySwap", a->memory_swap } };
	json_t *j = json_object(), *restart = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(ints); i++)
		if (ints[i].value)
			json_object_set_new(
				j, ints[i].key, json_integer(cli_int(ints[i].value, 0)));
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
		if (sizes[i].value)
			json_object_set_new(
				j, sizes[i].key, json_integer(cli_bytes(sizes[i].value, 0)));
	if (a->cpus)
		json_object_set_new(j, "NanoCpus", json_integer(cli_nano_cpus(a->cpus)));
	if (a->cpuset_cpus)
		json_object_set_new(j, "CpusetCpus", json_string(a->cpuset_cpus));
	if (a->cpuset_mems)
		json_object_set_new(j, "CpusetMems", json_string(a->cpuset_mems));
	if (a->restart) {
		if (cli_restart_policy(a->restart, &restart, e) < 0) {
			json_decref(j);
			return NULL;
		}
		json_object_set_new(j, "RestartPolicy", restart);
	}
	return j;
}

static int update_run(struct cmd_call *call, struct err *e)
{
	json_t *body = update_body(call->args, e), *warning;
	struct client *cl;
	size_t i;
	int r = body ? cli_client(call, &cl, e) : -E_INVALID, status = 0;

	if (r >= 0 && json_object_size(body) == 0)
		r = err_set(e, -E_INVALID,
			"you must provide one or more flags when using this command");
	for (char **name = call->operands; r >= 0 && *name; name++) {
		g_autofree char *path = client_path("/containers/%s/update", *name);
		json_t *j = NULL;

		if (client_call(cl, "POST", path, body, &j, e) < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%s\n", *name);
		}
		json_array_foreach(json_object_get(j, "Warnings"), i, warning)
			(void)fprintf(stderr, "%s\n", json_string_value(warning));
		json_decref(j);
	}
	json_decref(body);
	return r < 0 ? r : status;
}

/* clang-format off */
static const struct opt update_opts[] = {
	OPT_STRING(0, "blkio-weight", struct update_args, blkio_weight, "uint16", complete_none, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
	OPT_STRING(0, "cpu-period", struct update_args, cpu_period, "int", complete_none, "Limit CPU CFS (Completely Fair Scheduler) period"),
	OPT_STRING(0, "cpu-quota", struct update_args, cpu_quota, "int", complete_none, "Limit CPU CFS (Completely Fair Scheduler) quota"),
	OPT_STRING(0, "cpu-rt-period", struct update_args, cpu_rt_period, "int", complete_none, "Limit the CPU real-time period in microseconds"),
	OPT_STRING(0, "cpu-rt-runtime", struct update_args, cpu_rt_runtime, "int", complete_none, "Limit the CPU real-time runtime in microseconds"),
	OPT_STRING('c', "cpu-shares", struct update_args, cpu_shares, "int", complete_none, "CPU shares (relative weight)"),
	OPT_STRING(0, "cpus", struct update_args, cpus, "decimal", complete_none, "Number of CPUs"),
	OPT_STRING(0, "cpuset-cpus", struct update_args, cpuset_cpus, "string", complete_none, "CPUs in which to allow execution (0-3, 0,1)"),
	OPT_STRING(0, "cpuset-mems", struct update_args, cpuset_mems, "string", complete_none, "MEMs in which to allow execution (0-3, 0,1)"),
	OPT_STRING('m', "memory", struct update_args, memory, "bytes", complete_none, "Memory limit"),
	OPT_STRING(0, "memory-reservation", struct update_args, memory_reservation, "bytes", complete_none, "Memory soft limit"),
	OPT_STRING(0, "memory-swap", struct update_args, memory_swap, "bytes", complete_none, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
	OPT_STRING(0, "pids-limit", struct update_args, pids_limit, "int", complete_none, "Tune container pids limit (set -1 for unlimited)"),
	OPT_STRING(0, "restart", struct update_args, restart, "string", complete_none, "Restart policy to apply when a container exits"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = update_run,
	.opts = update_opts,
	.args_size = sizeof(struct update_args),
	.brief = "Update configuration of one or more containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* --- top, port, diff ---------------------------------------------------------------------------------------------------- */

static int top_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *head = client_path("/containers/%s/top", call->operands[0]);
	g_autofree char *args = g_strjoinv(" ", call->operands + 1);
	g_autoptr(GString) path = g_string_new(head), format = g_string_new("table ");
	struct tab_column columns[64] = { 0 };
	json_t *j = NULL, *rows = json_array(), *title, *process, *cell;
	size_t i, k, n;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (*args)
		cli_query(path, "ps_args", args);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &j, e);
	n = MIN(json_array_size(json_object_get(j, "Titles")), G_N_ELEMENTS(columns) - 1);
	/* the columns have no names that a template could have: their numbers are given */
	json_array_foreach(json_object_get(j, "Titles"), i, title) {
		if (i == n)
			break;
		columns[i].heading = json_string_value(title);
		columns[i].field = g_intern_string(
			(char[]){ 'C', (char)('0' + i / 10), (char)('0' + i % 10), '\0' });
	}
	json_array_foreach(json_object_get(j, "Processes"), i, process) {
		json_t *row = json_object();

		json_array_foreach(process, k, cell)
			if (k < n)
				json_object_set(row, columns[k].field, cell);
		json_array_append_new(rows, row);
	}
	if (r >= 0) {
		/* docker's columns of ps are wider: twenty at least */
		for (i = 0; i < n; i++)
			printf("%-*s%s", i + 1 < n ? 20 : 0, columns[i].heading,
				i + 1 < n ? "" : "\n");
		json_array_foreach(rows, i, process)
			for (k = 0; k < n; k++)
				printf("%-*s%s", k + 1 < n ? 20 : 0,
					cli_text(process, columns[k].field), k + 1 < n ? "" : "\n");
	}
	json_decref(rows);
	json_decref(j);
	return r < 0 ? r : 0;
}

const struct cmd docker_top_cmd = {
	CMD_FILE,
	.name = "top",
	.run = top_run,
	.brief = "Display the running processes of a container",
	.synopsis = "CONTAINER [ps OPTIONS]",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

static char *host_port(const json_t *binding)
{
	const char *ip = cli_text(binding, "HostIp");

	return g_strdup_printf(
		strchr(ip, ':') ? "[%s]:%s" : "%s:%s", ip, cli_text(binding, "HostPort"));
}

static int by_port(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int port_list(const json_t *ports, const char *wanted, struct err *e, const char *container)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *full =
		wanted ? g_strdup_printf("%s%s", wanted, strchr(wanted, '/') ? "" : "/tcp") : NULL;
	const char *port;
	json_t *list, *binding;
	size_t i;

	json_object_foreach((json_t *)ports, port, list) {
		if (full && strcmp(full, port) != 0)
			continue;
		json_array_foreach(list, i, binding) {
			g_autofree char *host = host_port(binding);

			g_ptr_array_add(lines, full ? g_steal_pointer(&host)
						    : g_strdup_printf("%s -> %s", port, host));
		}
	}
	if (full && lines->len == 0)
		return err_set(e, -E_NOTFOUND, "Error: No public port '%s' published for %s",
			wanted, container);
	if (lines->len > 1)
		qsort(lines->pdata, lines->len, sizeof(void *), by_port);
	for (guint i2 = 0; i2 < lines->len; i2++)
		printf("%s\n", (char *)lines->pdata[i2]);
	return 0;
}

static int port_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *path = client_path("/containers/%s/json", call->operands[0]);
	struct client *cl;
	json_t *j = NULL;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", path, NULL, &j, e);
	if (r >= 0)
		r = port_list(cli_at(j, "NetworkSettings.Ports"), call->operands[1], e,
			call->operands[0]);
	json_decref(j);
	return r;
}

const struct cmd docker_port_cmd = {
	CMD_FILE,
	.name = "port",
	.run = port_run,
	.brief = "List port mappings or a specific mapping for the container",
	.synopsis = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	.min_operands = 1,
	.max_operands = 2,
};

static int diff_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *path = client_path("/containers/%s/changes", call->operands[0]);
	struct client *cl;
	json_t *j = NULL, *change;
	size_t i;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", path, NULL, &j, e);
	json_array_foreach(j, i, change) {
		int64_t kind = cli_number(change, "Kind");

		printf("%c %s\n",
			kind == 0   ? 'C'
			: kind == 1 ? 'A'
				    : 'D',
			cli_text(change, "Path"));
	}
	json_decref(j);
	return r < 0 ? r : 0;
}

const struct cmd docker_diff_cmd = {
	CMD_FILE,
	.name = "diff",
	.run = diff_run,
	.brief = "Inspect changes to files or directories on a container's filesystem",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- export, commit, prune ------------------------------------------------------------------------------------------------ */

int cli_save_to(struct client *cl, const char *path, const char *file, struct err *e)
{
	struct stream_request q = { .method = "GET", .path = path, .body_fd = -1 };
	_cleanup_(stream_freep) struct stream *s = NULL;
	_cleanup_close_ int fd = -1;
	g_autofree char *temporary =
		file ? g_strdup_printf("%s.part-%d", file, (int)getpid()) : NULL;
	g_autofree char *buf = g_malloc(32 * 1024);
	struct stat st;
	ssize_t n = 0;
	int r;

	if (!file && cli_is_terminal(STDOUT_FILENO))
		return err_set(e, -E_INVALID,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	/* a device or a pipe is written to as it is */
	if (file && stat(file, &st) == 0 && !S_ISREG(st.st_mode))
		g_clear_pointer(&temporary, g_free);
	if (file) {
		fd = RET_NERRNO(
			open(temporary ?: file, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, 0600));
		if (fd < 0)
			return err_sys(e, fd, "failed to write to %s", file);
	}
	r = client_stream(cl, &q, &s, e);
	(void)fflush(stdout);
	while (r >= 0 && (n = stream_read(s, buf, 32 * 1024)) > 0)
		for (ssize_t at = 0, k; r >= 0 && at < n; at += k) {
			k = RET_NERRNO(
				write(file ? fd : STDOUT_FILENO, buf + at, (size_t)(n - at)));
			if (k < 0)
				r = err_sys(
					e, (int)k, "cannot write to %s", file ?: "standard output");
		}
	if (r >= 0 && n < 0)
		r = err_set(e, (int)n, "the server's answer was cut");
	if (temporary && r >= 0)
		r = RET_NERRNO(rename(temporary, file)) < 0
			    ? err_set(e, -EIO, "cannot write to %s", file)
			    : 0;
	if (temporary && r < 0)
		(void)unlink(temporary);
	return r < 0 ? r : 0;
}

static int export_run(struct cmd_call *call, struct err *e)
{
	const struct export_args *a = call->args;
	g_autofree char *path = client_path("/containers/%s/export", call->operands[0]);
	struct client *cl;
	int r = cli_client(call, &cl, e);

	return r < 0 ? r : cli_save_to(cl, path, a->output && *a->output ? a->output : NULL, e);
}

/* clang-format off */
static const struct opt export_opts[] = {
	OPT_STRING('o', "output", struct export_args, output, "string", complete_file, "Write to a file, instead of STDOUT"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_export_cmd = {
	CMD_FILE,
	.name = "export",
	.run = export_run,
	.opts = export_opts,
	.args_size = sizeof(struct export_args),
	.brief = "Export a container's filesystem as a tar archive",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* "host:5000/a/b:tag" into name and tag; a digest stays with the name. */
void cli_split_tag(const char *image, char **ret_name, char **ret_tag)
{
	const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');

	if (colon && (!slash || colon > slash) && !strchr(image, '@')) {
		*ret_name = g_strndup(image, (gsize)(colon - image));
		*ret_tag = g_strdup(colon + 1);
	} else {
		*ret_name = g_strdup(image);
		*ret_tag = g_strdup("");
	}
}

static int commit_run(struct cmd_call *call, struct err *e)
{
	const struct commit_args *a = call->args;
	g_autoptr(GString) path = g_string_new("/commit");
	g_autofree char *name = NULL, *tag = NULL;
	struct client *cl;
	json_t *j = NULL;
	int r = cli_client(call, &cl, e);

	cli_query(path, "container", call->operands[0]);
	if (call->n_operands > 1) {
		cli_split_tag(call->operands[1], &name, &tag);
		cli_query(path, "repo", name);
		cli_query(path, "tag", *tag ? tag : "latest");
	}
	cli_query(path, "comment", a->message ?: "");
	cli_query(path, "author", a->author ?: "");
	for (char **c = a->change; c && *c; c++)
		cli_query(path, "changes", *c);
	if (!cli_switch(a->pause, true))
		cli_query(path, "pause", "0");
	if (r >= 0)
		r = client_call(cl, "POST", path->str, NULL, &j, e);
	if (r >= 0)
		printf("%s\n", cli_text(j, "Id"));
	json_decref(j);
	return r < 0 ? r : 0;
}

/* clang-format off */
static const struct opt commit_opts[] = {
	OPT_STRING('a', "author", struct commit_args, author, "string", complete_none, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
	OPT_LIST('c', "change", struct commit_args, change, "list", complete_none, "Apply Dockerfile instruction to the created image"),
	OPT_STRING('m', "message", struct commit_args, message, "string", complete_none, "Commit message"),
	OPT_TRISTATE('p', "pause", struct commit_args, pause, "Pause container during commit (default true)"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_commit_cmd = {
	CMD_FILE,
	.name = "commit",
	.run = commit_run,
	.opts = commit_opts,
	.args_size = sizeof(struct commit_args),
	.brief = "Create a new image from a container's changes",
	.synopsis = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	.min_operands = 1,
	.max_operands = 2,
};

int cli_prune(struct client *cl, const char *kind, char **filters, const char *heading,
	const char *list, int64_t *ret_freed, struct err *e)
{
	g_autofree char *text = cli_filters(filters), *head = g_strdup_printf("/%s/prune", kind);
	g_autoptr(GString) path = g_string_new(head);
	json_t *j = NULL, *one;
	size_t i;
	int r;

	if (text)
		cli_query(path, "filters", text);
	r = client_call(cl, "POST", path->str, NULL, &j, e);
	if (r >= 0 && json_array_size(json_object_get(j, list))) {
		printf("%s:\n", heading);
		json_array_foreach(json_object_get(j, list), i, one) {
			if (json_is_string(one))
				printf("%s\n", json_string_value(one));
			else if (*cli_text(one, "Untagged"))
				printf("untagged: %s\n", cli_text(one, "Untagged"));
			else
				printf("deleted: %s\n", cli_text(one, "Deleted"));
		}
		printf("\n");
	}
	if (ret_freed)
		*ret_freed += cli_number(j, "SpaceReclaimed");
	json_decref(j);
	return r < 0 ? r : 0;
}

static int container_prune_run(struct cmd_call *call, struct err *e)
{
	const struct container_prune_args *a = call->args;
	g_autofree char *size = NULL;
	int64_t freed = 0;
	struct client *cl;
	int r;

	if (!a->force && !cli_confirm("WARNING! This will remove all stopped containers.\nAre you "
				      "sure you want to continue?"))
		return 0;
	r = cli_client(call, &cl, e);
	if (r >= 0)
		r = cli_prune(cl, "containers", a->filter, "Deleted Containers",
			"ContainersDeleted", &freed, e);
	if (r < 0)
		return r;
	size = cli_size((double)freed, 4);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

/* clang-format off */
static const struct opt container_prune_opts[] = {
	OPT_LIST(0, "filter", struct container_prune_args, filter, "filter", complete_none, "Provide filter values (e.g. \"until=<timestamp>\")"),
	OPT_FLAG('f', "force", struct container_prune_args, force, "Do not prompt for confirmation"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_container_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = container_prune_run,
	.opts = container_prune_opts,
	.args_size = sizeof(struct container_prune_args),
	.brief = "Remove all stopped containers",
	.synopsis = "[OPTIONS]",
};

/* --- logs --------------------------------------------------------------------------------------------------------------------- */

static int logs_run(struct cmd_call *call, struct err *e)
{
	const struct logs_args *a = call->args;
	g_autofree char *inspect = client_path("/containers/%s/json", call->operands[0]),
			*head = NULL, *since = NULL, *until = NULL;
	g_autoptr(GString) path = NULL;
	_cleanup_(stream_freep) struct stream *s = NULL;
	struct client *cl;
	json_t *j = NULL;
	bool tty;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", inspect, NULL, &j, e);
	head = client_path("/containers/%s/logs?stderr=1&stdout=1", cli_text(j, "Id"));
	tty = json_is_true(cli_at(j, "Config.Tty"));
	json_decref(j);
	if (r >= 0 && a->since)
		r = cli_moment(a->since, &since, e);
	if (r >= 0 && a->until)
		r = cli_moment(a->until, &until, e);
	if (r < 0)
		return r;
	path = g_string_new(head);
	if (a->details)
		cli_query(path, "details", "1");
	if (a->follow)
		cli_query(path, "follow", "1");
	if (since)
		cli_query(path, "since", since);
	cli_query(path, "tail", a->tail ?: "all");
	if (a->timestamps)
		cli_query(path, "timestamps", "1");
	if (until)
		cli_query(path, "until", until);
	r = client_stream(cl,
		&(struct stream_request){ .method = "GET", .path = path->str, .body_fd = -1 }, &s,
		e);
	return r < 0 ? r : cli_demultiplex(s, tty, e);
}

/* clang-format off */
static const struct opt logs_opts[] = {
	OPT_FLAG(0, "details", struct logs_args, details, "Show extra details provided to logs"),
	OPT_FLAG('f', "follow", struct logs_args, follow, "Follow log output"),
	OPT_STRING(0, "since", struct logs_args, since, "string", complete_none, "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
	OPT_STRING('n', "tail", struct logs_args, tail, "string", complete_none, "Number of lines to show from the end of the logs (default \"all\")"),
	OPT_FLAG('t', "timestamps", struct logs_args, timestamps, "Show timestamps"),
	OPT_STRING(0, "until", struct logs_args, until, "string", complete_none, "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_logs_cmd = {
	CMD_FILE,
	.name = "logs",
	.run = logs_run,
	.opts = logs_opts,
	.args_size = sizeof(struct logs_args),
	.brief = "Fetch the logs of a container",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
