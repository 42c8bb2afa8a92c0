/* SPDX-License-Identifier: MIT */
/* The API's section "Network": what there is, and its end. */

#include "dialect/docker/networks.h"

#include <string.h>
#include "base/units.h"
#include "codec/sha256.h"
#include "dialect/docker/match.h"
#include "guest/guest.h"
#include "host/addr.h"
#include "net/net.h"

#define BRIDGE "com.docker.network.bridge."

static const char *const mode_names[][2] = { { "host", "host" }, { "none", "null" } };

bool network_is_mode(const struct network_record *n)
{
	return g_str_equal(n->driver, "host") || g_str_equal(n->driver, "null");
}

static bool is_predefined(const struct network_record *n)
{
	return network_is_mode(n) || g_str_equal(n->name, "bridge");
}

static char *id_of_words(const char *a, const char *b, const char *d)
{
	g_autofree char *text = g_strdup_printf("lodge\n%s\n%s\n%s", a, b, d);

	return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

char *network_endpoint_id(const char *guest_id, const char *network_id)
{
	return id_of_words("endpoint", guest_id, network_id);
}

static struct network_record *mode_record(struct ctx *c, const char *const names[2])
{
	struct network_record *n = g_new0(struct network_record, 1);

	n->id = id_of_words("network", c->root, names[0]);
	n->name = g_strdup(names[0]);
	n->driver = g_strdup(names[1]);
	n->doc = g_strdup("{}");
	return n;
}

/* All of them: the default one is made when it isn't there yet. */
static int all_networks(struct ctx *c, GPtrArray **ret, struct err *e)
{
	_cleanup_(network_record_freep) struct network_record *first = NULL;
	struct store *s;
	int r = net_default(c, &first, e);

	if (r >= 0)
		r = store_get(c, &s, e);
	if (r >= 0)
		r = store_network_list(s, ret, e);
	for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(mode_names); i++)
		g_ptr_array_add(*ret, mode_record(c, mode_names[i]));
	return r;
}

int network_resolve(struct ctx *c, const char *ref, struct network_record **ret, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	guint found = 0, n = 0;
	int r = all_networks(c, &all, e);

	if (r < 0)
		return r;
	if (g_str_equal(ref, "default"))
		ref = "bridge";
	for (guint i = 0; i < all->len; i++) {
		const struct network_record *x = all->pdata[i];

		if (g_str_equal(x->name, ref) || g_str_equal(x->id, ref)) {
			found = i;
			n = 1;
			break;
		}
		if (*ref && g_str_has_prefix(x->id, ref)) {
			found = i;
			n++;
		}
	}
	if (n == 0)
		return err_set(e, -E_NOTFOUND, "network %s not found", ref);
	if (n > 1)
		return err_set(e, -E_INVALID,
			"network %s is ambiguous (%u matches found on ID prefix)", ref, n);
	*ret = g_ptr_array_steal_index(all, found);
	return 0;
}

void network_failed(struct call *c, int code, const struct err *e)
{
	api_failed(c, code, e);
}

/* --- documents ---------------------------------------------------------------------------------------------- */

static json_t *subnet_json(
	const char *subnet, const char *gateway, const char *range, const json_t *aux)
{
	json_t *j = json_pack("{s:s}", "Subnet", subnet);

	if (range)
		json_object_set_new(j, "IPRange", json_string(range));
	if (gateway)
		json_object_set_new(j, "Gateway", json_string(gateway));
	if (json_object_size(aux))
		json_object_set_new(j, "AuxiliaryAddresses", json_deep_copy(aux));
	return j;
}

static json_t *ipam_json(const struct network_record *n, const json_t *doc)
{
	const json_t *own = json_object_get(doc, "docker");
	const json_t *options = json_object_get(own, "ipam_options");
	json_t *config = network_is_mode(n) ? json_null() : json_array();

	if (n->subnet)
		json_array_append_new(
			config, subnet_json(n->subnet, n->gateway,
					json_string_value(json_object_get(doc, "ip_range")),
					json_object_get(own, "aux")));
	if (n->subnet6)
		json_array_append_new(config,
			subnet_json(n->subnet6, n->gateway6, NULL, json_object_get(own, "aux6")));
	return json_pack("{s:s, s:o, s:o}", "Driver", "default", "Options",
		json_object_size(options) ? json_deep_copy(options) : json_null(), "Config",
		config);
}

static json_t *options_json(const struct network_record *n, const json_t *doc)
{
	const json_t *options = json_object_get(doc, "options");

	if (g_str_equal(n->name, "bridge"))
		return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", BRIDGE "default_bridge", "true",
			BRIDGE "enable_icc", "true", BRIDGE "enable_ip_masquerade", "true",
			BRIDGE "host_binding_ipv4", "0.0.0.0", BRIDGE "name", n->bridge,
			"com.docker.network.driver.mtu", "1500");
	return json_is_object(options) ? json_deep_copy(options) : json_object();
}

static char *with_bits(const char *address, const char *subnet)
{
	const char *bits = subnet ? strchr(subnet, '/') : NULL;

	return address && *address ? g_strconcat(address, bits ?: "", NULL) : g_strdup("");
}

/* One guest's end; given: what the network gave it, NULL: nothing. */
static json_t *end_json(const struct guest *g, const struct network_record *n, const json_t *given)
{
	g_autofree char *end = network_endpoint_id(g->rec->id, n->id);
	g_autofree char *a4 =
		with_bits(json_string_value(json_object_get(given, "address")), n->subnet);
	g_autofree char *a6 =
		with_bits(json_string_value(json_object_get(given, "address6")), n->subnet6);

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", g->rec->name, "EndpointID", end,
		"MacAddress", json_string_value(json_object_get(given, "mac")) ?: "", "IPv4Address",
		a4, "IPv6Address", a6);
}

/* Of the guests that run with the host's network, or with none. */
static json_t *mode_guests(struct ctx *c, const struct network_record *n)
{
	bool host = g_str_equal(n->driver, "host");
	g_autoptr(GPtrArray) all = NULL;
	json_t *o = json_object();

	if (guest_list(c, NULL, GUEST_WITH_SPEC, &all, NULL) < 0)
		return o;
	for (guint i = 0; i < all->len; i++) {
		const struct guest *g = all->pdata[i];
		enum spec_ns_mode mode = g->spec ? g->spec->ns[NS_NET].mode : NS_PATH;

		if (guest_is_up(g) && (host ? mode == NS_HOST
					    : mode == NS_PRIVATE && g->spec->networks->len == 0))
			json_object_set_new(o, g->rec->id, end_json(g, n, NULL));
	}
	return o;
}

/* The running guests that are in it. */
static json_t *guests_json(struct ctx *c, const struct network_record *n)
{
	json_t *o = json_object();
	g_autoptr(GPtrArray) users = NULL;
	struct store *s;

	if (store_get(c, &s, NULL) < 0 || store_users(s, "network", n->name, &users, NULL) < 0)
		return o;
	for (guint i = 0; i < users->len; i++) {
		_cleanup_(guest_freep) struct guest *g = NULL;
		json_t *net, *one;
		size_t k;

		if (guest_get(c, NULL, users->pdata[i], &g, NULL) < 0 || !guest_is_up(g))
			continue;
		net = guest_net(c, g);
		json_array_foreach(json_object_get(net, "networks"), k, one)
			if (g_strcmp0(json_string_value(json_object_get(one, "network")),
				    n->name) == 0)
				json_object_set_new(o, g->rec->id, end_json(g, n, one));
		json_decref(net);
	}
	return o;
}

static json_t *network_json(
	struct ctx *c, const struct network_record *n, bool with_guests, unsigned minor)
{
	json_t *doc = json_loads(n->doc ?: "{}", 0, NULL), *labels, *ret;
	g_autofree char *created =
		n->created ? units_show_time(n->created) : g_strdup("1970-01-01T00:00:00Z");

	labels = json_object_get(doc, "labels");
	ret = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:b, s:b, s:b, s:{s:s}, s:b, s:o, s:o, s:o}",
		"Name", n->name, "Id", n->id, "Created", created, "Scope", "local", "Driver",
		n->driver, "EnableIPv6", n->subnet6 != NULL, "IPAM", ipam_json(n, doc), "Internal",
		n->internal, "Attachable",
		json_is_true(json_object_get(json_object_get(doc, "docker"), "attachable")),
		"Ingress", 0, "ConfigFrom", "Network", "", "ConfigOnly", 0, "Containers",
		!with_guests	     ? json_object()
		: network_is_mode(n) ? mode_guests(c, n)
				     : guests_json(c, n),
		"Options", options_json(n, doc), "Labels",
		json_is_object(labels) ? json_deep_copy(labels) : json_object());
	if (minor >= 47)
		json_object_set_new(ret, "EnableIPv4", json_boolean(n->subnet != NULL));
	json_decref(doc);
	return ret;
}

/* --- list, inspect ------------------------------------------------------------------------------------------- */

static bool is_used(struct ctx *c, const struct network_record *n)
{
	json_t *guests = network_is_mode(n) ? mode_guests(c, n) : guests_json(c, n);
	bool used = json_object_size(guests) > 0;

	json_decref(guests);
	return used;
}

static bool listed(
	struct ctx *c, const json_t *filters, const struct network_record *n, int dangling)
{
	json_t *doc = json_loads(n->doc, 0, NULL);
	bool is = match_text(filters, "name", n->name) && match_id(filters, "id", n->id) &&
		  api_filter_has(filters, "driver", n->driver) &&
		  api_filter_has(filters, "scope", "local") &&
		  api_filter_has(filters, "type", is_predefined(n) ? "builtin" : "custom") &&
		  match_labels(filters, "label", json_object_get(doc, "labels"));

	json_decref(doc);
	/* builtin ones are never dangling */
	if (is && dangling == 1)
		is = !is_predefined(n) && !is_used(c, n);
	else if (is && dangling == 0)
		is = is_predefined(n) || is_used(c, n);
	return is;
}

static int check_type(struct call *c, const json_t *filters)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(filters, "type"), i, v) {
		const char *s = json_string_value(v);

		if (!g_str_equal(s, "builtin") && !g_str_equal(s, "custom")) {
			api_error(c, 400, "invalid filter: 'type'='%s'", s);
			return -E_INVALID;
		}
	}
	return 0;
}

void networks_list(struct call *c)
{
	static const char *const known[] = { "dangling", "driver", "id", "label", "name", "scope",
		"type", NULL };
	g_autoptr(GPtrArray) all = NULL;
	struct err e = { 0 };
	json_t *filters, *list;
	int dangling, r;

	if (api_filters(c, known, &filters) < 0)
		return;
	dangling = match_flag(c, filters, "dangling");
	if (dangling < -1 || check_type(c, filters) < 0) {
		json_decref(filters);
		return;
	}
	r = all_networks(api_ctx(c), &all, &e);
	list = json_array();
	for (guint i = 0; r >= 0 && i < all->len; i++) {
		const struct network_record *n = all->pdata[i];

		if (listed(api_ctx(c), filters, n, dangling))
			json_array_append_new(
				/* before 1.28 a list had the guests, too */
				list, network_json(api_ctx(c), n, api_minor(c) < 28, api_minor(c)));
	}
	json_decref(filters);
	if (r >= 0) {
		api_json(c, 200, list);
		return;
	}
	json_decref(list);
	api_failed(c, r, &e);
}

void networks_inspect(struct call *c)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	g_autofree char *scope = call_query(c, "scope");
	struct err e = { 0 };
	int r = network_resolve(api_ctx(c), c->args[0], &n, &e);

	if (r >= 0 && scope && *scope && !g_str_equal(scope, "local"))
		r = err_set(&e, -E_NOTFOUND, "network %s not found", c->args[0]);
	if (r < 0)
		network_failed(c, r, &e);
	else
		api_json(c, 200, network_json(api_ctx(c), n, true, api_minor(c)));
}

/* --- create, delete, prune --------------------------------------------------------------------------------------- */

void networks_create(struct call *c)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	struct err e = { 0 };
	json_t *body;
	int r;

	if (api_json_body(c, &body) < 0)
		return;
	r = network_from_request(c, body, &n);
	json_decref(body);
	if (r < 0)
		return;
	r = net_create(api_ctx(c), n, &e);
	if (r == -E_EXISTS)
		api_error(c, 409, "network with name %s already exists", n->name);
	else if (r == -E_INUSE)
		api_error(c, 403, "Pool overlaps with other one on this address space: %s", e.text);
	else if (r < 0)
		api_failed(c, r, &e);
	else
		api_json(c, 201, json_pack("{s:s, s:s}", "Id", n->id, "Warning", ""));
}

void networks_delete(struct call *c)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	struct err e = { 0 };
	int r = network_resolve(api_ctx(c), c->args[0], &n, &e);

	if (r >= 0 && is_predefined(n)) {
		api_error(c, 403, "%s is a pre-defined network and cannot be removed", n->name);
		return;
	}
	if (r >= 0)
		r = net_remove(api_ctx(c), n->name, &e);
	if (r >= 0)
		api_none(c, 204);
	else if (r == -E_INUSE)
		api_error(c, 403,
			"error while removing network: network %s id %s has active endpoints (%s)",
			n->name, n->id, e.text);
	else
		network_failed(c, r, &e);
}

void docker_networks_prune(struct call *c)
{
	static const char *const known[] = { "label", "label!", "until", NULL };
	g_autoptr(GPtrArray) all = NULL;
	struct err e = { 0 };
	json_t *filters, *gone;
	int64_t until;
	int r;

	if (api_filters(c, known, &filters) < 0)
		return;
	if (match_until(c, filters, &until) < 0) {
		json_decref(filters);
		return;
	}
	r = all_networks(api_ctx(c), &all, &e);
	gone = json_array();
	for (guint i = 0; r >= 0 && i < all->len; i++) {
		const struct network_record *n = all->pdata[i];
		json_t *doc = json_loads(n->doc, 0, NULL);
		bool wanted = !is_predefined(n) && (!until || n->created < until) &&
			      match_prune_labels(filters, json_object_get(doc, "labels"));

		json_decref(doc);
		if (wanted)
			r = net_remove(api_ctx(c), n->name, &e);
		if (wanted && r >= 0)
			json_array_append_new(gone, json_string(n->name));
		if (r == -E_INUSE || r == -E_NOTFOUND)
			r = 0;
	}
	json_decref(filters);
	if (r < 0) {
		json_decref(gone);
		api_failed(c, r, &e);
		return;
	}
	event_emit(api_ctx(c), "network", "prune", "", json_pack("{s:s}", "reclaimed", "0"));
	api_json(c, 200,
		json_pack("{s:o}", "NetworksDeleted",
			json_array_size(gone) ? gone : (json_decref(gone), json_null())));
}
