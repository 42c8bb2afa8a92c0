/* SPDX-License-Identifier: MIT */
/* docker network. */

#include <stdlib.h>
#include <string.h>
#include "dialect/docker/cli.h"

struct network_connect_args {
	char *gw_priority, *ip, *ip6;
	char **alias, **driver_opt, **link, **link_local_ip;
};
struct network_create_args {
	char *config_from, *driver, *ipam_driver, *scope;
	char **aux_address, **gateway, **ip_range, **ipam_opt, **label, **opt, **subnet;
	bool attachable, config_only, ingress, internal;
	int ipv4, ipv6;
};
struct network_disconnect_args {
	bool force;
};
struct network_inspect_args {
	char *format;
	bool verbose;
};
struct network_ls_args {
	char *format;
	char **filter;
	bool no_trunc, quiet;
};
struct network_prune_args {
	char **filter;
	bool force;
};
struct network_rm_args {
	bool force;
};

/* --- create ----------------------------------------------------------------------------------------------------------- */

/* Ranges, gateways and auxiliary addresses go with the subnet that has them; in the order given where there is one of each. */
static json_t *ipam(const struct network_create_args *a, struct err *e)
{
	json_t *list = json_array();
	guint n = a->subnet ? g_strv_length(a->subnet) : 0;

	if ((a->ip_range && g_strv_length(a->ip_range) > n) ||
		(a->gateway && g_strv_length(a->gateway) > n)) {
		(void)err_set(e, -E_INVALID,
			"every ip-range or gateway must have a corresponding subnet");
		json_decref(list);
		return NULL;
	}
	for (guint i = 0; i < n; i++) {
		json_t *j = json_pack("{s:s}", "Subnet", a->subnet[i]);

		if (a->ip_range && i < g_strv_length(a->ip_range))
			json_object_set_new(j, "IPRange", json_string(a->ip_range[i]));
		if (a->gateway && i < g_strv_length(a->gateway))
			json_object_set_new(j, "Gateway", json_string(a->gateway[i]));
		if (i == 0 && a->aux_address)
			json_object_set_new(j, "AuxiliaryAddresses", cli_pairs(a->aux_address));
		json_array_append_new(list, j);
	}
	return list;
}

static int network_create_run(struct cmd_call *call, struct err *e)
{
	const struct network_create_args *a = call->args;
	json_t *labels = NULL, *body, *j = NULL, *pools = ipam(a, e);
	struct client *cl;
	int r = pools ? cli_client(call, &cl, e) : -E_INVALID;

	if (r >= 0)
		r = cli_labels(a->label, NULL, &labels, e);
	if (r < 0)
		return r;
	body = json_pack("{s:s,s:b,s:s,s:b,s:b,s:b,s:s,s:{s:s,s:o,s:o},s:o,s:o}", "Name",
		call->operands[0], "CheckDuplicate", 1, "Driver", a->driver ?: "bridge", "Internal",
		a->internal, "Attachable", a->attachable, "Ingress", a->ingress, "Scope",
		a->scope ?: "", "IPAM", "Driver", a->ipam_driver ?: "default", "Options",
		cli_pairs(a->ipam_opt), "Config", pools, "Options", cli_pairs(a->opt), "Labels",
		labels);
	json_object_set_new(body, "ConfigOnly", json_boolean(a->config_only));
	if (a->ipv6 >= 0 || false)
		json_object_set_new(body, "EnableIPv6", json_boolean(a->ipv6 > 0));
	if (a->ipv4 >= 0)
		json_object_set_new(body, "EnableIPv4", json_boolean(a->ipv4 > 0));
	if (a->config_from)
		json_object_set_new(
			body, "ConfigFrom", json_pack("{s:s}", "Network", a->config_from));
	r = client_call(cl, "POST", "/networks/create", body, &j, e);
	json_decref(body);
	if (r >= 0)
		printf("%s\n", cli_text(j, "Id"));
	if (*cli_text(j, "Warning"))
		(void)fprintf(stderr, "WARNING: %s\n", cli_text(j, "Warning"));
	json_decref(j);
	return r < 0 ? r : 0;
}

/* --- connect ------------------------------------------------------------------------------------------------------------ */

static int network_connect_run(struct cmd_call *call, struct err *e)
{
	const struct network_connect_args *a = call->args;
	g_autofree char *path = client_path("/networks/%s/connect", call->operands[0]);
	json_t *ep = json_object(), *addresses = json_object(), *body;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (a->ip)
		json_object_set_new(addresses, "IPv4Address", json_string(a->ip));
	if (a->ip6)
		json_object_set_new(addresses, "IPv6Address", json_string(a->ip6));
	if (a->link_local_ip)
		json_object_set_new(addresses, "LinkLocalIPs", cli_strings(a->link_local_ip));
	if (json_object_size(addresses))
		json_object_set(ep, "IPAMConfig", addresses);
	json_decref(addresses);
	if (a->link)
		json_object_set_new(ep, "Links", cli_strings(a->link));
	if (a->alias)
		json_object_set_new(ep, "Aliases", cli_strings(a->alias));
	if (a->driver_opt)
		json_object_set_new(ep, "DriverOpts", cli_pairs(a->driver_opt));
	if (a->gw_priority)
		json_object_set_new(ep, "GwPriority", json_integer(cli_int(a->gw_priority, 0)));
	body = json_pack("{s:s,s:o}", "Container", call->operands[1], "EndpointConfig", ep);
	if (r >= 0)
		r = client_call(cl, "POST", path, body, NULL, e);
	json_decref(body);
	return r < 0 ? r : 0;
}

static int network_disconnect_run(struct cmd_call *call, struct err *e)
{
	const struct network_disconnect_args *a = call->args;
	g_autofree char *path = client_path("/networks/%s/disconnect", call->operands[0]);
	json_t *body = json_pack("{s:s,s:b}", "Container", call->operands[1], "Force", a->force);
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "POST", path, body, NULL, e);
	json_decref(body);
	return r < 0 ? r : 0;
}

/* --- ls, inspect, rm, prune --------------------------------------------------------------------------------------------- */

static int network_inspect_run(struct cmd_call *call, struct err *e)
{
	const struct network_inspect_args *a = call->args;

	return cli_inspect_all(
		call, "/networks/%s", a->verbose ? "?verbose=true" : "", a->format, e);
}

static const struct tab_column columns[] = {
	{ "NETWORK ID", "ID", false },
	{ "NAME", "Name", false },
	{ "DRIVER", "Driver", false },
	{ "SCOPE", "Scope", false },
	{ "CREATED AT", "CreatedAt", true },
	{ "IPV6", "IPv6", true },
	{ "IPV4", "IPv4", true },
	{ "INTERNAL", "Internal", true },
	{ "LABELS", "Labels", true },
	{ NULL, NULL, false },
};

/* "2006-01-02T15:04:05.999Z" as Go prints such a time. */
static char *go_time(const char *text)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_iso8601(text, NULL);
	const char *dot = strchr(text, '.');
	size_t n = dot ? strspn(dot + 1, "0123456789") : 0;
	g_autofree char *day = t ? g_date_time_format(t, "%Y-%m-%d %H:%M:%S") : g_strdup(text);
	g_autofree char *zone = t ? g_date_time_format(t, "%z %Z") : g_strdup("");
	g_autofree char *fraction = n ? g_strndup(dot, n + 1) : g_strdup("");

	return g_strdup_printf(
		"%s%s %s", day, fraction, g_str_has_suffix(zone, " Z") ? "+0000 UTC" : zone);
}

static json_t *network_row(const struct network_ls_args *a, const json_t *n)
{
	json_t *row = json_object(), *v4 = json_object_get(n, "EnableIPv4");
	g_autofree char *id =
		a->no_trunc ? g_strdup(cli_text(n, "Id")) : cli_short(cli_text(n, "Id"));
	g_autofree char *labels = cli_label_text(json_object_get(n, "Labels")),
			*at = go_time(cli_text(n, "Created"));

	cli_set(row, "CreatedAt", "%s", at);
	cli_set(row, "Driver", "%s", cli_text(n, "Driver"));
	cli_set(row, "ID", "%s", id);
	cli_set(row, "IPv4", "%s", json_is_true(v4) ? "true" : "false");
	cli_set(row, "IPv6", "%s",
		json_is_true(json_object_get(n, "EnableIPv6")) ? "true" : "false");
	cli_set(row, "Internal", "%s",
		json_is_true(json_object_get(n, "Internal")) ? "true" : "false");
	cli_set(row, "Labels", "%s", labels);
	cli_set(row, "Name", "%s", cli_text(n, "Name"));
	cli_set(row, "Scope", "%s", cli_text(n, "Scope"));
	return row;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(cli_text(*(json_t *const *)a, "Name"), cli_text(*(json_t *const *)b, "Name"));
}

static int network_ls_run(struct cmd_call *call, struct err *e)
{
	const struct network_ls_args *a = call->args;
	const char *format = cli_format(call, a->format, a->quiet ? NULL : "networksFormat");
	g_autofree char *filters = cli_filters(a->filter);
	g_autoptr(GString) path = g_string_new("/networks");
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	json_t *list = NULL, *rows = json_array(), *n;
	struct client *cl;
	size_t i;
	int r = cli_client(call, &cl, e);

	if (filters)
		cli_query(path, "filters", filters);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &list, e);
	json_array_foreach(list, i, n)
		g_ptr_array_add(all, n);
	if (all->len > 1)
		qsort(all->pdata, all->len, sizeof(void *), by_name);
	for (guint k = 0; k < all->len; k++)
		json_array_append_new(rows, network_row(a, all->pdata[k]));
	if (a->quiet && (!format || g_str_has_prefix(format, "table")))
		format = "{{.ID}}";
	if (r >= 0)
		r = cli_rows(columns, rows, format, e);
	json_decref(rows);
	json_decref(list);
	return r;
}

static int network_rm_run(struct cmd_call *call, struct err *e)
{
	const struct network_rm_args *a = call->args;
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	for (char **name = call->operands; r >= 0 && *name; name++) {
		g_autofree char *path = client_path("/networks/%s", *name);
		int code = client_call(cl, "DELETE", path, NULL, NULL, e);

		if (code < 0 && a->force && code == -E_NOTFOUND) {
			continue;
		} else if (code < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%s\n", *name);
		}
	}
	/* docker says so, too */
	if (status)
		(void)fputs("exit status 1\n", stderr);
	return r < 0 ? r : status;
}

static int network_prune_run(struct cmd_call *call, struct err *e)
{
	const struct network_prune_args *a = call->args;
	struct client *cl;
	int r;

	if (!a->force &&
		!cli_confirm("WARNING! This will remove all custom networks not used by at least "
			     "one container.\nAre you sure you want to continue?"))
		return 0;
	r = cli_client(call, &cl, e);
	return r < 0 ? r
		     : cli_prune(cl, "networks", a->filter, "Deleted Networks", "NetworksDeleted",
			       NULL, e);
}

/* clang-format off */
static const struct opt network_connect_opts[] = {
	OPT_LIST(0, "alias", struct network_connect_args, alias, "strings", complete_none, "Add network-scoped alias for the container"),
	OPT_LIST(0, "driver-opt", struct network_connect_args, driver_opt, "strings", complete_none, "driver options for the network"),
	OPT_STRING(0, "gw-priority", struct network_connect_args, gw_priority, "int", complete_none, "Highest gw-priority provides the default gateway. Accepts positive and negative values."),
	OPT_STRING(0, "ip", struct network_connect_args, ip, "string", complete_none, "IPv4 address (e.g., \"172.30.100.104\")"),
	OPT_STRING(0, "ip6", struct network_connect_args, ip6, "string", complete_none, "IPv6 address (e.g., \"2001:db8::33\")"),
	OPT_LIST(0, "link", struct network_connect_args, link, "list", complete_none, "Add link to another container"),
	OPT_LIST(0, "link-local-ip", struct network_connect_args, link_local_ip, "strings", complete_none, "Add a link-local address for the container"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_create_opts[] = {
	OPT_FLAG(0, "attachable", struct network_create_args, attachable, "Enable manual container attachment"),
	OPT_LIST(0, "aux-address", struct network_create_args, aux_address, "map", complete_none, "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])"),
	OPT_STRING(0, "config-from", struct network_create_args, config_from, "string", complete_none, "The network from which to copy the configuration"),
	OPT_FLAG(0, "config-only", struct network_create_args, config_only, "Create a configuration only network"),
	OPT_STRING('d', "driver", struct network_create_args, driver, "string", complete_none, "Driver to manage the Network (default \"bridge\")"),
	OPT_LIST(0, "gateway", struct network_create_args, gateway, "strings", complete_none, "IPv4 or IPv6 Gateway for the master subnet"),
	OPT_FLAG(0, "ingress", struct network_create_args, ingress, "Create swarm routing-mesh network"),
	OPT_FLAG(0, "internal", struct network_create_args, internal, "Restrict external access to the network"),
	OPT_LIST(0, "ip-range", struct network_create_args, ip_range, "strings", complete_none, "Allocate container ip from a sub-range"),
	OPT_STRING(0, "ipam-driver", struct network_create_args, ipam_driver, "string", complete_none, "IP Address Management Driver (default \"default\")"),
	OPT_LIST(0, "ipam-opt", struct network_create_args, ipam_opt, "map", complete_none, "Set IPAM driver specific options (default map[])"),
	OPT_TRISTATE(0, "ipv4", struct network_create_args, ipv4, "Enable or disable IPv4 address assignment (default true)"),
	OPT_TRISTATE(0, "ipv6", struct network_create_args, ipv6, "Enable or disable IPv6 address assignment"),
	OPT_LIST(0, "label", struct network_create_args, label, "list", complete_none, "Set metadata on a network"),
	OPT_LIST('o', "opt", struct network_create_args, opt, "map", complete_none, "Set driver specific options (default map[])"),
	OPT_STRING(0, "scope", struct network_create_args, scope, "string", complete_none, "Control the network's scope"),
	OPT_LIST(0, "subnet", struct network_create_args, subnet, "strings", complete_none, "Subnet in CIDR format that represents a network segment"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_disconnect_opts[] = {
	OPT_FLAG('f', "force", struct network_disconnect_args, force, "Force the container to disconnect from a network"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_inspect_opts[] = {
	OPT_STRING('f', "format", struct network_inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('v', "verbose", struct network_inspect_args, verbose, "Verbose output for diagnostics"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_ls_opts[] = {
	OPT_LIST('f', "filter", struct network_ls_args, filter, "filter", complete_none, "Provide filter values (e.g. \"driver=bridge\")"),
	OPT_STRING(0, "format", struct network_ls_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG(0, "no-trunc", struct network_ls_args, no_trunc, "Do not truncate the output"),
	OPT_FLAG('q', "quiet", struct network_ls_args, quiet, "Only display network IDs"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_prune_opts[] = {
	OPT_LIST(0, "filter", struct network_prune_args, filter, "filter", complete_none, "Provide filter values (e.g. \"until=<timestamp>\")"),
	OPT_FLAG('f', "force", struct network_prune_args, force, "Do not prompt for confirmation"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt network_rm_opts[] = {
	OPT_FLAG('f', "force", struct network_rm_args, force, "Do not error if the network does not exist"),
	OPT_END
};
/* clang-format on */
static const struct cmd docker_network_connect_cmd = {
	CMD_FILE,
	.name = "connect",
	.run = network_connect_run,
	.opts = network_connect_opts,
	.args_size = sizeof(struct network_connect_args),
	.brief = "Connect a container to a network",
	.synopsis = "[OPTIONS] NETWORK CONTAINER",
	.min_operands = 2,
	.max_operands = 2,
};
static const struct cmd docker_network_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = network_create_run,
	.opts = network_create_opts,
	.args_size = sizeof(struct network_create_args),
	.brief = "Create a network",
	.synopsis = "[OPTIONS] NETWORK",
	.min_operands = 1,
	.max_operands = 1,
};
static const struct cmd docker_network_disconnect_cmd = {
	CMD_FILE,
	.name = "disconnect",
	.run = network_disconnect_run,
	.opts = network_disconnect_opts,
	.args_size = sizeof(struct network_disconnect_args),
	.brief = "Disconnect a container from a network",
	.synopsis = "[OPTIONS] NETWORK CONTAINER",
	.min_operands = 2,
	.max_operands = 2,
};
static const struct cmd docker_network_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = network_inspect_run,
	.opts = network_inspect_opts,
	.args_size = sizeof(struct network_inspect_args),
	.brief = "Display detailed information on one or more networks",
	.synopsis = "[OPTIONS] NETWORK [NETWORK...]",
	.min_operands = 1,
	.max_operands = -1,
};
static const struct cmd docker_network_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = network_ls_run,
	.opts = network_ls_opts,
	.args_size = sizeof(struct network_ls_args),
	.brief = "List networks",
	.synopsis = "[OPTIONS]",
	.aliases = "list",
};
static const struct cmd docker_network_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = network_prune_run,
	.opts = network_prune_opts,
	.args_size = sizeof(struct network_prune_args),
	.brief = "Remove all unused networks",
	.synopsis = "[OPTIONS]",
};
static const struct cmd docker_network_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = network_rm_run,
	.opts = network_rm_opts,
	.args_size = sizeof(struct network_rm_args),
	.brief = "Remove one or more networks",
	.synopsis = "NETWORK [NETWORK...]",
	.min_operands = 1,
	.max_operands = -1,
	.aliases = "remove",
};

static const struct cmd *const network_subs[] = {
	&docker_network_connect_cmd,
	&docker_network_create_cmd,
	&docker_network_disconnect_cmd,
	&docker_network_inspect_cmd,
	&docker_network_ls_cmd,
	&docker_network_prune_cmd,
	&docker_network_rm_cmd,
	NULL,
};

const struct cmd docker_network_cmd = {
	CMD_FILE,
	.name = "network",
	.brief = "Manage networks",
	.sub = network_subs,
};
