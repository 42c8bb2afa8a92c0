/* SPDX-License-Identifier: MIT */
/* docker ps. */

#include <stdlib.h>
#include <string.h>
#include "dialect/docker/cli.h"

struct ps_args {
	char *format, *last;
	char **filter;
	bool all, latest, no_trunc, quiet, size;
};

#define COMMAND_COLUMNS 20
#define MOUNT_COLUMNS	15

/* --- ports: "0.0.0.0:8080->80/tcp, 443/tcp", ranges joined ------------------------------------------------------------ */

static int by_port(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int64_t d = cli_number(x, "PrivatePort") - cli_number(y, "PrivatePort");
	int r = d ? (d < 0 ? -1 : 1) : strcmp(cli_text(x, "IP"), cli_text(y, "IP"));

	if (r == 0) {
		d = cli_number(x, "PublicPort") - cli_number(y, "PublicPort");
		r = d ? (d < 0 ? -1 : 1) : strcmp(cli_text(x, "Type"), cli_text(y, "Type"));
	}
	return r;
}

static void add_range(GPtrArray *out, const json_t *first, const json_t *last)
{
	const char *ip = cli_text(first, "IP"), *type = cli_text(first, "Type");
	int64_t from = cli_number(first, "PrivatePort"), to = cli_number(last, "PrivatePort");
	int64_t host = cli_number(first, "PublicPort"), host_to = cli_number(last, "PublicPort");
	g_autofree char *inner =
		from == to ? g_strdup_printf("%lld", (long long)from)
			   : g_strdup_printf("%lld-%lld", (long long)from, (long long)to);
	g_autofree char *outer = NULL;

	if (!*ip) {
		g_ptr_array_add(out, g_strdup_printf("%s/%s", inner, type));
		return;
	}
	outer = host == host_to ? g_strdup_printf("%lld", (long long)host)
				: g_strdup_printf("%lld-%lld", (long long)host, (long long)host_to);
	g_ptr_array_add(out, g_strdup_printf(strchr(ip, ':') ? "[%s]:%s->%s/%s" : "%s:%s->%s/%s",
				     ip, outer, inner, type));
}

static bool follows(const json_t *last, const json_t *next)
{
	int64_t a = cli_number(last, "PublicPort"), b = cli_number(next, "PublicPort");

	/* only ports that are the same outside are joined */
	if (*cli_text(last, "IP") &&
		(a != cli_number(last, "PrivatePort") || b != cli_number(next, "PrivatePort")))
		return false;
	return strcmp(cli_text(last, "IP"), cli_text(next, "IP")) == 0 &&
	       strcmp(cli_text(last, "Type"), cli_text(next, "Type")) == 0 &&
	       cli_number(next, "PrivatePort") == cli_number(last, "PrivatePort") + 1;
}

static char *ports_text(const json_t *ports)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new(), out = g_ptr_array_new_with_free_func(g_free);
	g_autofree bool *used = NULL;
	json_t *p;
	size_t i;

	json_array_foreach((json_t *)ports, i, p)
		g_ptr_array_add(list, p);
	if (list->len > 1)
		qsort(list->pdata, list->len, sizeof(void *), by_port);
	used = g_new0(bool, list->len + 1);
	for (guint a = 0; a < list->len; a++) {
		const json_t *last = list->pdata[a];

		if (used[a])
			continue;
		for (guint b = a + 1; b < list->len; b++)
			if (!used[b] && follows(last, list->pdata[b])) {
				last = list->pdata[b];
				used[b] = true;
			}
		add_range(out, list->pdata[a], last);
	}
	g_ptr_array_add(out, NULL);
	return g_strjoinv(", ", (char **)out->pdata);
}

/* --- a row ---------------------------------------------------------------------------------------------------------------- */

/* Of "/web", "/other/alias": without slashes; links only when all is shown. */
static char *names_text(const json_t *names, bool full)
{
	GString *text = g_string_new(NULL);
	json_t *name;
	size_t i;

	json_array_foreach((json_t *)names, i, name) {
		const char *s = json_string_value(name);

		s += *s == '/';
		if (!full && strchr(s, '/'))
			continue;
		g_string_append_printf(text, "%s%s", text->len ? "," : "", s);
	}
	return g_string_free(text, FALSE);
}

static void set_mounts(json_t *row, const json_t *mounts, bool full)
{
	g_autoptr(GString) text = g_string_new(NULL);
	json_t *m;
	size_t i, volumes = 0;

	json_array_foreach((json_t *)mounts, i, m) {
		const char *name =
			*cli_text(m, "Name") ? cli_text(m, "Name") : cli_text(m, "Source");
		g_autofree char *cut = full ? g_strdup(name) : cli_cut(name, MOUNT_COLUMNS);

		g_string_append_printf(text, "%s%s", text->len ? "," : "", cut);
		volumes += strcmp(cli_text(m, "Driver"), "local") == 0;
	}
	cli_set(row, "Mounts", "%s", text->str);
	cli_set(row, "LocalVolumes", "%zu", volumes);
}

static char *size_text(const json_t *c)
{
	g_autofree char *own = cli_size((double)cli_number(c, "SizeRw"), 3);
	g_autofree char *all = cli_size((double)cli_number(c, "SizeRootFs"), 3);

	return cli_number(c, "SizeRootFs") > 0 ? g_strdup_printf("%s (virtual %s)", own, all)
					       : g_strdup(own);
}

static void set_image(json_t *row, const json_t *c, bool full)
{
	const char *image = cli_text(c, "Image");
	g_autofree char *text = NULL;

	if (!*image)
		text = g_strdup("<no image>");
	else if (!full && g_str_has_prefix(image, "sha256:"))
		text = cli_short(image);
	else
		text = g_strdup(image);
	/* a digest behind a tag is more than the table wants */
	if (!full && strchr(text, '@')) {
		char *at = strchr(text, '@');

		*at = '\0';
	}
	cli_set(row, "Image", "%s", text);
}

json_t *cli_ps_row(const json_t *c, bool full)
{
	json_t *row = json_object();
	const char *id = cli_text(c, "Id");
	int64_t created = cli_number(c, "Created");
	g_autofree char *short_id = full ? g_strdup(id) : cli_short(id);
	g_autofree char *command = full ? g_strdup(cli_text(c, "Command"))
					: cli_cut(cli_text(c, "Command"), COMMAND_COLUMNS);
	g_autofree char *at = cli_local_time(created), *ago = cli_ago(created),
			*ports = ports_text(json_object_get(c, "Ports"));
	g_autofree char *names = names_text(json_object_get(c, "Names"), full),
			*size = size_text(c);
	g_autofree char *labels = cli_label_text(json_object_get(c, "Labels"));
	json_t *networks = cli_at(c, "NetworkSettings.Networks"), *v;
	g_autoptr(GString) nets = g_string_new(NULL);
	const char *key;

	json_object_foreach(networks, key, v)
		g_string_append_printf(nets, "%s%s", nets->len ? "," : "", key);
	cli_set(row, "Command", "\"%s\"", command);
	cli_set(row, "CreatedAt", "%s", at);
	cli_set(row, "ID", "%s", short_id);
	set_image(row, c, full);
	cli_set(row, "Labels", "%s", labels);
	set_mounts(row, json_object_get(c, "Mounts"), full);
	cli_set(row, "Names", "%s", names);
	cli_set(row, "Networks", "%s", nets->str);
	json_object_set_new(row, "Platform", json_null());
	cli_set(row, "Ports", "%s", ports);
	cli_set(row, "RunningFor", "%s", ago);
	cli_set(row, "Size", "%s", size);
	cli_set(row, "State", "%s", cli_text(c, "State"));
	cli_set(row, "Status", "%s", cli_text(c, "Status"));
	return row;
}

static const struct tab_column columns[] = {
	{ "CONTAINER ID", "ID", false },
	{ "IMAGE", "Image", false },
	{ "COMMAND", "Command", false },
	{ "CREATED", "RunningFor", false },
	{ "STATUS", "Status", false },
	{ "PORTS", "Ports", false },
	{ "NAMES", "Names", false },
	/* `right` ones are named for templates only */
	{ "SIZE", "Size", true },
	{ "CREATED AT", "CreatedAt", true },
	{ "LOCAL VOLUMES", "LocalVolumes", true },
	{ "MOUNTS", "Mounts", true },
	{ "NETWORKS", "Networks", true },
	{ "LABELS", "Labels", true },
	{ "STATE", "State", true },
	{ NULL, NULL, false },
};

static int ps_print(const struct ps_args *a, const char *format, const json_t *list, struct err *e)
{
	json_t *rows = json_array(), *c;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)list, i, c)
		json_array_append_new(rows, cli_ps_row(c, a->no_trunc));
	if (a->quiet && (!format || g_str_has_prefix(format, "table")))
		r = cli_rows(columns, rows, "{{.ID}}", e);
	else if (a->size && !format)
		r = cli_rows(columns, rows,
			"table "
			"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}"
			"}\t{{.Names}}\t{{.Size}}",
			e);
	else
		r = cli_rows(columns, rows, format, e);
	json_decref(rows);
	return r;
}

static int ps_run(struct cmd_call *call, struct err *e)
{
	const struct ps_args *a = call->args;
	const char *format = cli_format(call, a->format, a->quiet ? NULL : "psFormat");
	g_autoptr(GString) path = g_string_new("/containers/json");
	g_autofree char *filters = cli_filters(a->filter);
	int64_t last = a->latest ? 1 : cli_int(a->last, -1);
	struct client *cl;
	json_t *list = NULL;
	int r = cli_client(call, &cl, e);

	if (a->all)
		cli_query(path, "all", "1");
	if (last > 0)
		g_string_append_printf(path, "%climit=%lld", a->all ? '&' : '?', (long long)last);
	/* a template that names sizes wants them */
	if (a->size || (format && strstr(format, ".Size")))
		cli_query(path, "size", "1");
	if (filters)
		cli_query(path, "filters", filters);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &list, e);
	if (r >= 0)
		r = ps_print(a, format, list, e);
	json_decref(list);
	return r;
}

/* clang-format off */
static const struct opt ps_opts[] = {
	OPT_FLAG('a', "all", struct ps_args, all, "Show all containers (default shows just running)"),
	OPT_LIST('f', "filter", struct ps_args, filter, "filter", complete_none, "Filter output based on conditions provided"),
	OPT_STRING(0, "format", struct ps_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_STRING('n', "last", struct ps_args, last, "int", complete_none, "Show n last created containers (includes all states) (default -1)"),
	OPT_FLAG('l', "latest", struct ps_args, latest, "Show the latest created container (includes all states)"),
	OPT_FLAG(0, "no-trunc", struct ps_args, no_trunc, "Don't truncate output"),
	OPT_FLAG('q', "quiet", struct ps_args, quiet, "Only display container IDs"),
	OPT_FLAG('s', "size", struct ps_args, size, "Display total file sizes"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_ps_cmd = {
	CMD_FILE,
	.name = "ps",
	.run = ps_run,
	.opts = ps_opts,
	.args_size = sizeof(struct ps_args),
	.brief = "List containers",
	.synopsis = "[OPTIONS]",
};

const struct cmd docker_container_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = ps_run,
	.opts = ps_opts,
	.args_size = sizeof(struct ps_args),
	.brief = "List containers",
	.synopsis = "[OPTIONS]",
	.aliases = "list ps",
};
