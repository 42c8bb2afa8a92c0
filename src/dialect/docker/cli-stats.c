/* SPDX-License-Identifier: MIT */
/* docker stats. */

#include <poll.h>
#include <string.h>
#include "dialect/docker/cli.h"

struct stats_args {
	char *format;
	bool all, no_stream, no_trunc;
};

#define CLEAR_SCREEN "\033[H\033[J"
#define INTERVAL_MS  500

static const struct tab_column columns[] = {
	{ "CONTAINER ID", "ID", false },
	{ "NAME", "Name", false },
	{ "CPU %", "CPUPerc", false },
	{ "MEM USAGE / LIMIT", "MemUsage", false },
	{ "MEM %", "MemPerc", false },
	{ "NET I/O", "NetIO", false },
	{ "BLOCK I/O", "BlockIO", false },
	{ "PIDS", "PIDs", false },
	{ "CONTAINER", "Container", true },
	{ NULL, NULL, false },
};

static double cpu_percent(const json_t *j)
{
	const json_t *now = json_object_get(j, "cpu_stats"),
		     *before = json_object_get(j, "precpu_stats");
	double used = (double)cli_number(json_object_get(now, "cpu_usage"), "total_usage") -
		      (double)cli_number(json_object_get(before, "cpu_usage"), "total_usage");
	double system = (double)cli_number(now, "system_cpu_usage") -
			(double)cli_number(before, "system_cpu_usage");
	double cpus = (double)cli_number(now, "online_cpus");

	if (cpus == 0)
		cpus = (double)json_array_size(cli_at(now, "cpu_usage.percpu_usage"));
	return system > 0 && used > 0 ? used / system * cpus * 100 : 0;
}

/* What the kernel could give back at once is not used. */
static double memory_used(const json_t *m)
{
	double usage = (double)cli_number(m, "usage"), cache;
	const json_t *stats = json_object_get(m, "stats");

	if (json_object_get(stats, "total_inactive_file"))
		cache = (double)cli_number(stats, "total_inactive_file");
	else
		cache = (double)cli_number(stats, "inactive_file");
	return cache < usage ? usage - cache : usage;
}

static char *pair(double a, double b, char *(*show)(double), const char *glue)
{
	g_autofree char *x = show(a), *y = show(b);

	return g_strdup_printf("%s%s%s", x, glue, y);
}

static char *decimal(double n)
{
	return cli_size(n, 3);
}

static json_t *stats_row(const struct stats_args *a, const char *asked, const json_t *j)
{
	json_t *row = json_object(), *v, *m = json_object_get(j, "memory_stats");
	const char *name = cli_text(j, "name"), *key;
	double rx = 0, tx = 0, in = 0, out = 0, used = memory_used(m),
	       limit = (double)cli_number(m, "limit");
	g_autofree char *id =
		a->no_trunc ? g_strdup(cli_text(j, "id")) : cli_short(cli_text(j, "id"));
	g_autofree char *memory = NULL, *net = NULL, *block = NULL;
	size_t i;

	json_object_foreach(json_object_get(j, "networks"), key, v) {
		rx += (double)cli_number(v, "rx_bytes");
		tx += (double)cli_number(v, "tx_bytes");
	}
	json_array_foreach(cli_at(j, "blkio_stats.io_service_bytes_recursive"), i, v) {
		if (g_ascii_strcasecmp(cli_text(v, "op"), "read") == 0)
			in += (double)cli_number(v, "value");
		else if (g_ascii_strcasecmp(cli_text(v, "op"), "write") == 0)
			out += (double)cli_number(v, "value");
	}
	memory = pair(used, limit, cli_size_binary, " / ");
	net = pair(rx, tx, decimal, " / ");
	block = pair(in, out, decimal, " / ");
	cli_set(row, "BlockIO", "%s", block);
	cli_set(row, "CPUPerc", "%.2f%%", cpu_percent(j));
	cli_set(row, "Container", "%s", asked);
	cli_set(row, "ID", "%s", id);
	cli_set(row, "MemPerc", "%.2f%%", limit > 0 ? used / limit * 100 : 0);
	cli_set(row, "MemUsage", "%s", memory);
	cli_set(row, "Name", "%s", name + (*name == '/'));
	cli_set(row, "NetIO", "%s", net);
	cli_set(row, "PIDs", "%lld",
		(long long)cli_number(json_object_get(j, "pids_stats"), "current"));
	return row;
}

/* Names to ask for: those given, or what there is. */
static int who(struct cmd_call *call, struct client *cl, GPtrArray *names, struct err *e)
{
	const struct stats_args *a = call->args;
	json_t *list = NULL, *c;
	size_t i;
	int r;

	for (char **name = call->operands; *name; name++)
		g_ptr_array_add(names, g_strdup(*name));
	if (names->len)
		return 0;
	r = client_call(
		cl, "GET", a->all ? "/containers/json?all=1" : "/containers/json", NULL, &list, e);
	json_array_foreach(list, i, c)
		g_ptr_array_add(names, cli_short(cli_text(c, "Id")));
	json_decref(list);
	return r < 0 ? r : 0;
}

/* One reading of each; several are asked before the first is waited for, since a server takes a second for one. */
static int read_all(struct client *cl, const struct stats_args *a, GPtrArray *names, json_t *rows,
	bool must, struct err *e)
{
	g_autofree struct stream **streams = g_new0(struct stream *, names->len + 1);
	int r = 0;

	for (guint i = 0; i < names->len && r >= 0; i++) {
		g_autofree char *path =
			client_path("/containers/%s/stats?stream=0", (const char *)names->pdata[i]);
		int code = client_stream(cl,
			&(struct stream_request){ .method = "GET", .path = path, .body_fd = -1 },
			&streams[i], e);

		if (code < 0 && must)
			r = code;
	}
	for (guint i = 0; i < names->len; i++) {
		json_t *j = NULL;

		if (streams[i] && r >= 0 && stream_answer(streams[i], &j, e) >= 0 && j)
			json_array_append_new(rows, stats_row(a, names->pdata[i], j));
		json_decref(j);
		stream_free(streams[i]);
	}
	return r;
}

static int stats_run(struct cmd_call *call, struct err *e)
{
	const struct stats_args *a = call->args;
	const char *format = cli_format(call, a->format, "statsFormat");
	bool first = true, screen = !a->no_stream && (!format || g_str_has_prefix(format, "table"));
	struct client *cl;
	int r = cli_client(call, &cl, e);

	while (r >= 0) {
		g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
		json_t *rows = json_array();

		r = who(call, cl, names, e);
		if (r >= 0)
			r = read_all(cl, a, names, rows, first && call->n_operands, e);
		if (r >= 0 && screen)
			(void)fputs(CLEAR_SCREEN, stdout);
		if (r >= 0)
			r = cli_rows(columns, rows, format, e);
		(void)fflush(stdout);
		json_decref(rows);
		first = false;
		if (a->no_stream)
			break;
		(void)poll(NULL, 0, INTERVAL_MS);
	}
	return r;
}

/* clang-format off */
static const struct opt stats_opts[] = {
	OPT_FLAG('a', "all", struct stats_args, all, "Show all containers (default shows just running)"),
	OPT_STRING(0, "format", struct stats_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG(0, "no-stream", struct stats_args, no_stream, "Disable streaming stats and only pull the first result"),
	OPT_FLAG(0, "no-trunc", struct stats_args, no_trunc, "Do not truncate output"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_stats_cmd = {
	CMD_FILE,
	.name = "stats",
	.run = stats_run,
	.opts = stats_opts,
	.args_size = sizeof(struct stats_args),
	.brief = "Display a live stream of container(s) resource usage statistics",
	.synopsis = "[OPTIONS] [CONTAINER...]",
	.max_operands = -1,
};
