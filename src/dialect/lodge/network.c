/* SPDX-License-Identifier: MIT */
/* network ...: docker-cli's reference, "network". */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/parse/parse.h"
#include "net/net.h"

/* --- create ------------------------------------------------------------------------------------------------ */

struct create_args {
	char *driver, *subnet, *gateway, *subnet6, *gateway6, *parent;
	char **label, **opt;
	bool internal;
	int64_t mtu;
};

/* clang-format off */
static const struct opt create_opts[] = {
	OPT_STRING('d', "driver", struct create_args, driver, "DRIVER", complete_none, "bridge, macvlan or ipvlan"),
	OPT_STRING(0, "subnet", struct create_args, subnet, "SUBNET", complete_none, "10.1.2.0/24; else one that is free"),
	OPT_STRING(0, "gateway", struct create_args, gateway, "ADDRESS", complete_none, "the host's own address in it"),
	OPT_STRING(0, "subnet6", struct create_args, subnet6, "SUBNET", complete_none, "fd00::/64, for IPv6"),
	OPT_STRING(0, "gateway6", struct create_args, gateway6, "ADDRESS", complete_none, "the host's own IPv6 address in it"),
	OPT_STRING(0, "parent", struct create_args, parent, "INTERFACE", complete_none, "of macvlan and ipvlan"),
	OPT_FLAG(0, "internal", struct create_args, internal, "no way out of it"),
	OPT_INT(0, "mtu", struct create_args, mtu, "BYTES", "largest packet"),
	OPT_LIST(0, "label", struct create_args, label, "KEY[=VALUE]", complete_none, "label"),
	OPT_LIST('o', "opt", struct create_args, opt, "KEY=VALUE", complete_none, "parent=, mtu="),
	OPT_END
};
/* clang-format on */

static int create_opt(const char *word, char **parent, int64_t *mtu, struct err *e)
{
	g_autofree char *key = NULL, *value = NULL;
	int r = parse_pair(word, true, &key, &value, e);

	if (r < 0)
		return r;
	if (g_str_equal(key, "parent")) {
		g_free(*parent);
		*parent = g_steal_pointer(&value);
	} else if (g_str_equal(key, "mtu") || g_str_equal(key, "com.docker.network.driver.mtu")) {
		if (units_parse_int(value, 68, 65535, mtu) < 0)
			return err_set(e, -E_INVALID, "invalid mtu '%s'", value);
	} else {
		return err_set(e, -E_INVALID, "unknown network option '%s'", key);
	}
	return 0;
}

static int fill(
	const struct create_args *a, const char *name, struct network_record *n, struct err *e)
{
	json_t *labels = json_object();
	int64_t mtu = a->mtu;
	int r = 0;
	char *text;

	n->name = g_strdup(name);
	n->driver = g_strdup(a->driver ?: "bridge");
	n->subnet = g_strdup(a->subnet);
	n->gateway = g_strdup(a->gateway);
	n->subnet6 = g_strdup(a->subnet6);
	n->gateway6 = g_strdup(a->gateway6);
	n->parent = g_strdup(a->parent);
	n->internal = a->internal;
	for (char **w = a->opt; r >= 0 && w && *w; w++)
		r = create_opt(*w, &n->parent, &mtu, e);
	for (char **w = a->label; r >= 0 && w && *w; w++) {
		g_autofree char *key = NULL, *value = NULL;

		r = parse_pair(*w, false, &key, &value, e);
		if (r >= 0)
			json_object_set_new(labels, key, json_string(value));
	}
	n->mtu = (int)mtu;
	json_t *doc = json_pack("{s:o}", "labels", labels);
	text = json_dumps(doc, JSON_COMPACT);
	n->doc = g_strdup(text);
	free(text);
	json_decref(doc);
	return r;
}

static int create_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *n = g_new0(struct network_record, 1);
	int r = fill(call->args, call->operands[0], n, e);

	if (r >= 0)
		r = net_create(call->c, n, e);
	if (r < 0 || call->c->explain)
		return MIN(r, 0);
	printf("%s\n", n->id);
	return 0;
}

static const struct cmd network_create = {
	CMD_FILE,
	.name = "create",
	.run = create_run,
	.opts = create_opts,
	.args_size = sizeof(struct create_args),
	.brief = "make a network",
	.synopsis = "[OPTIONS] NAME",
	.examples = "lodge network create --subnet 10.20.0.0/24 back   # guests in it find each "
		    "other by name\n",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- ls, inspect ---------------------------------------------------------------------------------------------- */

struct ls_args {
	bool quiet, no_trunc;
	char **filter;
	char *format;
};

static const struct opt ls_opts[] = {
	OPT_LIST('f', "filter", struct ls_args, filter, "KEY=VALUE", complete_none,
		"only those: name, id, driver, label, type, dangling"),
	OPT_STRING(0, "format", struct ls_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_FLAG(0, "no-trunc", struct ls_args, no_trunc, "do not cut ids"),
	OPT_FLAG('q', "quiet", struct ls_args, quiet, "only ids"), OPT_END
};

static const char *const ls_keys[] = { "dangling", "driver", "id", "label", "name", "type", NULL };

static const struct tab_column ls_columns[] = {
	{ "NETWORK ID", "ID" },
	{ "NAME", "Name" },
	{ "DRIVER", "Driver" },
	{ "SUBNET", "Subnet" },
	{ NULL, NULL },
};

static json_t *labels_in(const char *doc)
{
	json_t *j = json_loads(doc ?: "{}", 0, NULL),
	       *labels = json_incref(json_object_get(j, "labels"));

	json_decref(j);
	return labels ?: json_object();
}

static json_t *row_of(const struct network_record *n, const json_t *labels, bool no_trunc)
{
	g_autofree char *id = no_trunc ? g_strdup(n->id) : short_id(n->id);
	g_autofree char *words = labels_text(labels), *created = units_show_time(n->created);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ID", id, "Name", n->name,
		"Driver", n->driver, "Subnet", n->subnet ?: "", "Scope", "local", "Internal",
		n->internal ? "true" : "false", "Labels", words, "CreatedAt", created);
}

static bool is_used(struct store *s, const struct network_record *n)
{
	g_autoptr(GPtrArray) users = NULL;

	return store_users(s, "network", n->name, &users, NULL) >= 0 && users->len > 0;
}

static bool is_builtin(const struct network_record *n)
{
	return g_str_equal(n->name, "bridge");
}

static bool match(const struct filters *f, struct store *s, const struct network_record *n,
	const json_t *labels, int dangling)
{
	char *const *id = filters_get(f, "id");
	bool is = !id;

	for (; id && *id; id++)
		is |= g_str_has_prefix(n->id, *id);
	return is && filters_match_text(f, "name", n->name) &&
	       filters_match(f, "driver", n->driver) &&
	       filters_match(f, "type", is_builtin(n) ? "builtin" : "custom") &&
	       filters_match_labels(f, "label", labels) &&
	       (dangling < 0 || dangling != is_used(s, n));
}

static int ls_run(struct cmd_call *call, struct err *e)
{
	const struct ls_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	g_autoptr(GPtrArray) all = NULL;
	json_t *rows;
	struct store *s;
	int dangling = -1, r;

	r = filters_parse(a->filter, ls_keys, &f, e);
	if (r >= 0) {
		dangling = filters_bool(f, "dangling", e);
		r = dangling < -1 ? dangling : 0;
	}
	if (r >= 0)
		r = store_get_existing(call->c, &s, e);
	if (r >= 0)
		r = store_network_list(s, &all, e);
	else if (r == -E_NOTFOUND)
		r = 0;
	if (r < 0)
		return r;
	rows = json_array();
	for (guint i = 0; all && i < all->len; i++) {
		const struct network_record *n = all->pdata[i];
		json_t *labels = labels_in(n->doc);

		if (match(f, s, n, labels, dangling))
			json_array_append_new(rows, row_of(n, labels, a->no_trunc));
		json_decref(labels);
	}
	return print_rows(ls_columns, rows, a->quiet, "ID", a->format, e);
}

static const struct cmd network_ls = {
	CMD_FILE,
	.name = "ls",
	.run = ls_run,
	.opts = ls_opts,
	.args_size = sizeof(struct ls_args),
	.brief = "list networks",
	.synopsis = "[OPTIONS]",
	.flags = CMD_READS_ONLY,
	.aliases = "list",
};

struct inspect_args {
	char *format;
};

static const struct opt inspect_opts[] = { OPT_STRING('f', "format", struct inspect_args, format,
						   "FORMAT", complete_none, "json, or a template"),
	OPT_END };

static int find(struct ctx *c, const char *ref, struct network_record **ret, struct err *e)
{
	struct store *s;
	int r = store_get_existing(c, &s, e);

	if (r >= 0)
		r = store_network_find(s, ref, ret, e);
	return r == -E_NOTFOUND ? err_set(e, r, "no such network '%s'", ref) : r;
}

/* The running guests that are in it, as docker shows them. */
static json_t *containers(struct ctx *c, const struct network_record *n)
{
	json_t *o = json_object();
	g_autoptr(GPtrArray) users = NULL;
	struct store *s;

	if (store_get_existing(c, &s, NULL) < 0 ||
		store_users(s, "network", n->name, &users, NULL) < 0)
		return o;
	for (guint i = 0; i < users->len; i++) {
		_cleanup_(guest_freep) struct guest *g = NULL;
		json_t *net, *one;
		size_t k;

		if (guest_get(c, NULL, users->pdata[i], &g, NULL) < 0)
			continue;
		net = guest_net(c, g);
		json_array_foreach(json_object_get(net, "networks"), k, one) {
			const char *name = json_string_value(json_object_get(one, "network"));

			if (!name || !g_str_equal(name, n->name))
				continue;
			json_object_set_new(o, g->rec->id,
				json_pack("{s:s, s:s*, s:s*, s:s*}", "Name", g->rec->name,
					"MacAddress",
					json_string_value(json_object_get(one, "mac")),
					"IPv4Address",
					json_string_value(json_object_get(one, "address")),
					"IPv6Address",
					json_string_value(json_object_get(one, "address6"))));
		}
		json_decref(net);
	}
	return o;
}

static int inspect_one(struct ctx *c, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	g_autofree char *created = NULL;
	json_t *config = json_array();
	int r = find(c, ref, &n, e);

	if (r < 0) {
		json_decref(config);
		return r;
	}
	created = units_show_time(n->created);
	if (n->subnet)
		json_array_append_new(config,
			json_pack("{s:s, s:s*}", "Subnet", n->subnet, "Gateway", n->gateway));
	if (n->subnet6)
		json_array_append_new(config,
			json_pack("{s:s, s:s*}", "Subnet", n->subnet6, "Gateway", n->gateway6));
	*ret = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:o}, s:o, s:o, s:s*, s:s*, s:i}",
		"Name", n->name, "Id", n->id, "Created", created, "Scope", "local", "Driver",
		n->driver, "EnableIPv6", n->subnet6 != NULL, "Internal", n->internal, "IPAM",
		"Driver", "default", "Config", config, "Containers", containers(c, n), "Labels",
		labels_in(n->doc), "Bridge", n->bridge, "Parent", n->parent, "MTU", n->mtu);
	return 0;
}

static int inspect_run(struct cmd_call *call, struct err *e)
{
	const struct inspect_args *a = call->args;

	return inspect_operands(call, a->format, inspect_one, e);
}

static const struct cmd network_inspect = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "all about networks, as JSON",
	.synopsis = "[OPTIONS] NETWORK...",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_network,
};

/* --- rm, prune -------------------------------------------------------------------------------------------------- */

static int remove_network(struct ctx *c, const char *ref, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	int r = find(c, ref, &n, e);

	if (r >= 0 && is_builtin(n))
		r = err_set(e, -E_INVALID, "network '%s' is the default one and stays", n->name);
	if (r >= 0)
		r = net_remove(c, n->name, e);
	return r;
}

static int rm_run(struct cmd_call *call, struct err *e)
{
	int status = 0;

	for (int i = 0; i < call->n_operands; i++) {
		struct err one = { 0 };
		int r = remove_network(call->c, call->operands[i], &one);

		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			printf("%s\n", call->operands[i]);
	}
	return status;
}

static const struct cmd network_rm = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.brief = "remove networks",
	.synopsis = "NETWORK...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_network,
	.aliases = "remove",
};

struct prune_args {
	bool force;
	char **filter;
};

static const struct opt prune_opts[] = { OPT_FLAG('f', "force", struct prune_args, force,
						 "do not ask"),
	OPT_LIST(0, "filter", struct prune_args, filter, "KEY=VALUE", complete_none,
		"only those: label"),
	OPT_END };

static const char *const prune_keys[] = { "label", NULL };

int networks_prune(struct ctx *c, const struct filters *f, int *ret_n, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	struct store *s;
	int r = store_get_existing(c, &s, e);

	*ret_n = 0;
	if (r == -E_NOTFOUND)
		return 0;
	if (r >= 0)
		r = store_network_list(s, &list, e);
	for (guint i = 0; r >= 0 && i < list->len; i++) {
		const struct network_record *n = list->pdata[i];
		json_t *labels = labels_in(n->doc);
		bool wanted = !is_builtin(n) && !is_used(s, n) &&
			      (!f || filters_match_labels(f, "label", labels));

		json_decref(labels);
		if (!wanted)
			continue;
		r = remove_network(c, n->name, e);
		if (r == -E_INUSE || r == -E_NOTFOUND) { /* somebody was faster */
			r = 0;
			continue;
		}
		if (r >= 0 && !c->explain)
			printf("%s\n", n->name);
		++*ret_n;
	}
	return r;
}

static int prune_run(struct cmd_call *call, struct err *e)
{
	const struct prune_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	int n, r = filters_parse(a->filter, prune_keys, &f, e);

	if (r < 0)
		return r;
	if (!confirm(
		    a->force || call->c->explain, "This removes all networks that no guest is in."))
		return 0;
	return networks_prune(call->c, f, &n, e);
}

static const struct cmd network_prune = {
	CMD_FILE,
	.name = "prune",
	.run = prune_run,
	.opts = prune_opts,
	.args_size = sizeof(struct prune_args),
	.brief = "remove networks that no guest is in",
	.synopsis = "[OPTIONS]",
};

static const struct cmd *const network_sub[] = {
	&network_create,
	&network_inspect,
	&network_ls,
	&network_prune,
	&network_rm,
	NULL,
};

const struct cmd lodge_network = {
	CMD_FILE,
	.name = "network",
	.brief = "networks of guests",
	.sub = network_sub,
};
