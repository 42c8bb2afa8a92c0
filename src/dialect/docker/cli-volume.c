/* SPDX-License-Identifier: MIT */
/* docker volume. */

#include <stdlib.h>
#include <string.h>
#include "dialect/docker/cli.h"

struct volume_create_args {
	char *name; /* hidden: older scripts have it */
	char *availability, *driver, *group, *limit_bytes, *required_bytes, *scope, *sharing, *type;
	char **label, **opt, **secret, **topology_preferred, **topology_required;
};
struct volume_inspect_args {
	char *format;
};
struct volume_ls_args {
	char *format;
	char **filter;
	bool cluster, quiet;
};
struct volume_prune_args {
	char **filter;
	bool all, force;
};
struct volume_rm_args {
	bool force;
};

static int volume_create_run(struct cmd_call *call, struct err *e)
{
	const struct volume_create_args *a = call->args;
	const char *name = a->name ?: "";
	struct client *cl;
	json_t *body, *labels = NULL, *j = NULL;
	int r = cli_client(call, &cl, e);

	if (call->n_operands && a->name)
		return err_set(e, -E_INVALID,
			"conflicting options: cannot specify a volume-name through both --name and "
			"as a positional arg");
	if (call->n_operands)
		name = call->operands[0];
	if (a->availability || a->group || a->limit_bytes || a->required_bytes || a->scope ||
		a->secret || a->sharing || a->type || a->topology_preferred || a->topology_required)
		return err_set(e, -E_UNSUPPORTED,
			"cluster volumes are swarm's, and there is no swarm here yet");
	if (r >= 0)
		r = cli_labels(a->label, NULL, &labels, e);
	if (r < 0)
		return r;
	body = json_pack("{s:s,s:s,s:o,s:o}", "Driver", a->driver ?: "local", "Name", name,
		"DriverOpts", cli_pairs(a->opt), "Labels", labels);
	r = client_call(cl, "POST", "/volumes/create", body, &j, e);
	json_decref(body);
	if (r >= 0)
		printf("%s\n", cli_text(j, "Name"));
	json_decref(j);
	return r < 0 ? r : 0;
}

static int volume_inspect_run(struct cmd_call *call, struct err *e)
{
	return cli_inspect_all(
		call, "/volumes/%s", "", ((struct volume_inspect_args *)call->args)->format, e);
}

static const struct tab_column columns[] = {
	{ "DRIVER", "Driver", false },
	{ "VOLUME NAME", "Name", false },
	{ "SCOPE", "Scope", true },
	{ "MOUNTPOINT", "Mountpoint", true },
	{ "LABELS", "Labels", true },
	{ "LINKS", "Links", true },
	{ "SIZE", "Size", true },
	{ NULL, NULL, false },
};

json_t *cli_volume_row(const json_t *v)
{
	json_t *row = json_object(), *usage = json_object_get(v, "UsageData");
	g_autofree char *labels = cli_label_text(json_object_get(v, "Labels"));
	g_autofree char *size =
		usage ? cli_size((double)cli_number(usage, "Size"), 4) : g_strdup("N/A");

	cli_set(row, "Availability", "N/A");
	cli_set(row, "Driver", "%s", cli_text(v, "Driver"));
	cli_set(row, "Group", "N/A");
	cli_set(row, "Labels", "%s", labels);
	if (usage)
		cli_set(row, "Links", "%lld", (long long)cli_number(usage, "RefCount"));
	else
		cli_set(row, "Links", "N/A");
	cli_set(row, "Mountpoint", "%s", cli_text(v, "Mountpoint"));
	cli_set(row, "Name", "%s", cli_text(v, "Name"));
	cli_set(row, "Scope", "%s", cli_text(v, "Scope"));
	cli_set(row, "Size", "%s", size);
	cli_set(row, "Status", "N/A");
	return row;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(cli_text(*(json_t *const *)a, "Name"), cli_text(*(json_t *const *)b, "Name"));
}

static int volume_ls_run(struct cmd_call *call, struct err *e)
{
	const struct volume_ls_args *a = call->args;
	const char *format = cli_format(call, a->format, a->quiet ? NULL : "volumesFormat");
	g_autofree char *filters = cli_filters(a->filter);
	g_autoptr(GString) path = g_string_new("/volumes");
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	json_t *j = NULL, *rows = json_array(), *v;
	struct client *cl;
	size_t i;
	int r = cli_client(call, &cl, e);

	if (a->cluster)
		r = err_set(e, -E_UNSUPPORTED,
			"cluster volumes are swarm's, and there is no swarm here yet");
	if (filters)
		cli_query(path, "filters", filters);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &j, e);
	json_array_foreach(json_object_get(j, "Volumes"), i, v)
		g_ptr_array_add(all, v);
	if (all->len > 1)
		qsort(all->pdata, all->len, sizeof(void *), by_name);
	for (guint k = 0; k < all->len; k++)
		json_array_append_new(rows, cli_volume_row(all->pdata[k]));
	if (a->quiet && (!format || g_str_has_prefix(format, "table")))
		format = "{{.Name}}";
	if (r >= 0)
		r = cli_rows(columns, rows, format, e);
	json_decref(rows);
	json_decref(j);
	return r;
}

static int volume_rm_run(struct cmd_call *call, struct err *e)
{
	const struct volume_rm_args *a = call->args;
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	for (char **name = call->operands; r >= 0 && *name; name++) {
		g_autofree char *path = client_path("/volumes/%s", *name);
		g_autofree char *full = g_strconcat(path, a->force ? "?force=1" : "", NULL);

		if (client_call(cl, "DELETE", full, NULL, NULL, e) < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%s\n", *name);
		}
	}
	return r < 0 ? r : status;
}

static int volume_prune_run(struct cmd_call *call, struct err *e)
{
	const struct volume_prune_args *a = call->args;
	g_autoptr(GPtrArray) filters = g_ptr_array_new();
	g_autofree char *size = NULL;
	const char *api;
	int64_t freed = 0;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	api = r >= 0 ? client_api(cl, e) : NULL;
	if (!api)
		return r < 0 ? r : -ECONNREFUSED;
	for (char **f = a->filter; f && *f; f++)
		g_ptr_array_add(filters, *f);
	/* older servers prune named ones too, and know no such filter */
	if (a->all && docker_api_minor(api) >= 42)
		g_ptr_array_add(filters, (void *)"all=true");
	g_ptr_array_add(filters, NULL);
	if (!a->force &&
		!cli_confirm(
			a->all || docker_api_minor(api) < 42
				? "WARNING! This will remove all local volumes not used by at "
				  "least one container.\nAre you sure you want to continue?"
				: "WARNING! This will remove anonymous local volumes not used by "
				  "at least one container.\nAre you sure you want to continue?"))
		return 0;
	r = cli_prune(cl, "volumes", (char **)filters->pdata, "Deleted Volumes", "VolumesDeleted",
		&freed, e);
	if (r < 0)
		return r;
	size = cli_size((double)freed, 4);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

static int volume_update_run(struct cmd_call *call, struct err *e)
{
	(void)call;
	return err_set(
		e, -E_UNSUPPORTED, "cluster volumes are swarm's, and there is no swarm here yet");
}

struct volume_update_args {
	char *availability;
};
/* clang-format off */
static const struct opt volume_create_opts[] = {
	OPT_STRING(0, "name", struct volume_create_args, name, "string", complete_none, NULL),
	OPT_STRING(0, "availability", struct volume_create_args, availability, "string", complete_none, "Cluster Volume availability (\"active\", \"pause\", \"drain\") (default \"active\")"),
	OPT_STRING('d', "driver", struct volume_create_args, driver, "string", complete_none, "Specify volume driver name (default \"local\")"),
	OPT_STRING(0, "group", struct volume_create_args, group, "string", complete_none, "Cluster Volume group (cluster volumes)"),
	OPT_LIST(0, "label", struct volume_create_args, label, "list", complete_none, "Set metadata for a volume"),
	OPT_STRING(0, "limit-bytes", struct volume_create_args, limit_bytes, "bytes", complete_none, "Minimum size of the Cluster Volume in bytes"),
	OPT_LIST('o', "opt", struct volume_create_args, opt, "map", complete_none, "Set driver specific options (default map[])"),
	OPT_STRING(0, "required-bytes", struct volume_create_args, required_bytes, "bytes", complete_none, "Maximum size of the Cluster Volume in bytes"),
	OPT_STRING(0, "scope", struct volume_create_args, scope, "string", complete_none, "Cluster Volume access scope (\"single\", \"multi\") (default \"single\")"),
	OPT_LIST(0, "secret", struct volume_create_args, secret, "map", complete_none, "Cluster Volume secrets (default map[])"),
	OPT_STRING(0, "sharing", struct volume_create_args, sharing, "string", complete_none, "Cluster Volume access sharing (\"none\", \"readonly\", \"onewriter\", \"all\") (default \"none\")"),
	OPT_LIST(0, "topology-preferred", struct volume_create_args, topology_preferred, "list", complete_none, "A topology that the Cluster Volume would be preferred in"),
	OPT_LIST(0, "topology-required", struct volume_create_args, topology_required, "list", complete_none, "A topology that the Cluster Volume must be accessible from"),
	OPT_STRING(0, "type", struct volume_create_args, type, "string", complete_none, "Cluster Volume access type (\"mount\", \"block\") (default \"block\")"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt volume_inspect_opts[] = {
	OPT_STRING('f', "format", struct volume_inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt volume_ls_opts[] = {
	OPT_FLAG(0, "cluster", struct volume_ls_args, cluster, "Display only cluster volumes, and use cluster volume list formatting"),
	OPT_LIST('f', "filter", struct volume_ls_args, filter, "filter", complete_none, "Provide filter values (e.g. \"dangling=true\")"),
	OPT_STRING(0, "format", struct volume_ls_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('q', "quiet", struct volume_ls_args, quiet, "Only display volume names"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt volume_prune_opts[] = {
	OPT_FLAG('a', "all", struct volume_prune_args, all, "Remove all unused volumes, not just anonymous ones"),
	OPT_LIST(0, "filter", struct volume_prune_args, filter, "filter", complete_none, "Provide filter values (e.g. \"label=<label>\")"),
	OPT_FLAG('f', "force", struct volume_prune_args, force, "Do not prompt for confirmation"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt volume_rm_opts[] = {
	OPT_FLAG('f', "force", struct volume_rm_args, force, "Force the removal of one or more volumes"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt volume_update_opts[] = {
	OPT_STRING(0, "availability", struct volume_update_args, availability, "string", complete_none, "Cluster Volume availability (\"active\", \"pause\", \"drain\") (default \"active\")"),
	OPT_END
};
/* clang-format on */
static const struct cmd docker_volume_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = volume_create_run,
	.opts = volume_create_opts,
	.args_size = sizeof(struct volume_create_args),
	.brief = "Create a volume",
	.synopsis = "[OPTIONS] [VOLUME]",
	.max_operands = 1,
};
static const struct cmd docker_volume_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = volume_inspect_run,
	.opts = volume_inspect_opts,
	.args_size = sizeof(struct volume_inspect_args),
	.brief = "Display detailed information on one or more volumes",
	.synopsis = "[OPTIONS] VOLUME [VOLUME...]",
	.min_operands = 1,
	.max_operands = -1,
};
static const struct cmd docker_volume_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = volume_ls_run,
	.opts = volume_ls_opts,
	.args_size = sizeof(struct volume_ls_args),
	.brief = "List volumes",
	.synopsis = "[OPTIONS]",
	.aliases = "list",
};
static const struct cmd docker_volume_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = volume_prune_run,
	.opts = volume_prune_opts,
	.args_size = sizeof(struct volume_prune_args),
	.brief = "Remove unused local volumes",
	.synopsis = "[OPTIONS]",
};
static const struct cmd docker_volume_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = volume_rm_run,
	.opts = volume_rm_opts,
	.args_size = sizeof(struct volume_rm_args),
	.brief = "Remove one or more volumes",
	.synopsis = "[OPTIONS] VOLUME [VOLUME...]",
	.min_operands = 1,
	.max_operands = -1,
	.aliases = "remove",
	.details = "Remove one or more volumes. You cannot remove a volume that is in use by a "
		   "container.",
};
static const struct cmd docker_volume_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = volume_update_run,
	.opts = volume_update_opts,
	.args_size = sizeof(struct volume_update_args),
	.brief = "Update a volume (cluster volumes only)",
	.synopsis = "[OPTIONS] [VOLUME]",
	.max_operands = 1,
};

static const struct cmd *const volume_subs[] = {
	&docker_volume_create_cmd,
	&docker_volume_inspect_cmd,
	&docker_volume_ls_cmd,
	&docker_volume_prune_cmd,
	&docker_volume_rm_cmd,
	&docker_volume_update_cmd,
	NULL,
};

const struct cmd docker_volume_cmd = {
	CMD_FILE,
	.name = "volume",
	.brief = "Manage volumes",
	.sub = volume_subs,
};
