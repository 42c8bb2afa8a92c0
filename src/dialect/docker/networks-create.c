/* SPDX-License-Identifier: MIT */
/* POST /networks/create: from docker's words to a record's. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/networks.h"
#include "dialect/docker/refused.h"
#include "host/addr.h"

#define BRIDGE "com.docker.network.bridge."

static int refuse(struct call *c, int status, const char *text)
{
	api_error(c, status, "%s", text);
	return -E_INVALID;
}

static const char *text_in(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : NULL;
}

/* --- subnets ---------------------------------------------------------------------------------------------------- */

/* Addresses that nobody is given. */
static int take_aux(struct call *c, const json_t *pool, json_t *reserved)
{
	json_t *aux = json_object_get(pool, "AuxiliaryAddresses"), *v;
	const char *key;
	struct addr a;

	json_object_foreach(aux, key, v) {
		const char *s = json_string_value(v);

		if (!s || addr_parse(s, &a) < 0 || strchr(s, '/')) {
			api_error(c, 400, "invalid auxiliary address %s: %s", key, s ?: "no text");
			return -E_INVALID;
		}
		json_array_append(reserved, v);
	}
	return 0;
}

static int take_pool(
	struct call *c, const json_t *pool, struct network_record *n, json_t *doc, json_t *own)
{
	const char *subnet = text_in(pool, "Subnet"), *gateway = text_in(pool, "Gateway"),
		   *range = text_in(pool, "IPRange");
	json_t *aux = json_object_get(pool, "AuxiliaryAddresses");
	struct addr a;
	bool v6;

	if (!subnet && (gateway || range || json_object_size(aux)))
		return refuse(c, 400,
			"invalid network config:\ninvalid subnet : address must not be empty");
	if (!subnet)
		return 0;
	if (addr_parse(subnet, &a) < 0 || !strchr(subnet, '/')) {
		api_error(c, 400,
			"invalid network config:\ninvalid subnet %s: invalid CIDR block notation",
			subnet);
		return -E_INVALID;
	}
	v6 = a.family == AF_INET6;
	if (v6 ? n->subnet6 : n->subnet)
		return refuse(c, 400, "a network has one subnet of IPv4 and one of IPv6");
	if (v6 && range)
		return refuse(c, 501, "an IPv6 subnet has no range to give out addresses from");
	*(v6 ? &n->subnet6 : &n->subnet) = g_strdup(subnet);
	*(v6 ? &n->gateway6 : &n->gateway) = g_strdup(gateway);
	if (range)
		json_object_set_new(doc, "ip_range", json_string(range));
	if (json_object_size(aux))
		json_object_set(own, v6 ? "aux6" : "aux", aux);
	return take_aux(c, pool, json_object_get(doc, "reserved"));
}

/* A unique local one (RFC 4193), as docker picks it. */
static char *some_subnet6(void)
{
	uint32_t a = g_random_int(), b = g_random_int();

	return g_strdup_printf("fd%02x:%x:%x::/64", a & 0xff, (a >> 8) & 0xffff, b & 0xffff);
}

static int take_ipam(
	struct call *c, const json_t *body, struct network_record *n, json_t *doc, json_t *own)
{
	const json_t *ipam = json_object_get(body, "IPAM");
	const char *driver = text_in(ipam, "Driver");
	json_t *options = json_object_get(ipam, "Options"), *pool;
	size_t i;

	if (driver && !g_str_equal(driver, "default")) {
		api_error(c, 400, "could not resolve driver %s in registry", driver);
		return -E_INVALID;
	}
	if (json_object_size(options))
		json_object_set(own, "ipam_options", options);
	json_array_foreach(json_object_get(ipam, "Config"), i, pool)
		if (take_pool(c, pool, n, doc, own) < 0)
			return -E_INVALID;
	if (json_is_true(json_object_get(body, "EnableIPv6"))) {
		if (!n->subnet6)
			n->subnet6 = some_subnet6();
	} else if (n->subnet6) {
		return refuse(c, 400,
			"invalid network config:\nIPv6 is disabled, so there can be no IPv6 "
			"subnet");
	}
	return 0;
}

/* --- options ----------------------------------------------------------------------------------------------------- */

/* Options with one value that can be; others would change what the core does. */
static const struct {
	const char *key, *only;
} fixed[] = {
	{ BRIDGE "enable_icc", "true" },
	{ BRIDGE "enable_ip_masquerade", "true" },
	{ BRIDGE "host_binding_ipv4", "0.0.0.0" },
	{ BRIDGE "default_bridge", "false" },
	{ BRIDGE "gateway_mode_ipv4", "nat" },
	{ BRIDGE "inhibit_ipv4", "false" },
	{ "com.docker.network.container_iface_prefix", "eth" },
	{ "ipvlan_flag", "bridge" },
};

static int take_option(
	struct call *c, const char *key, const char *value, struct network_record *n, json_t *doc)
{
	int64_t mtu;

	if (g_str_equal(key, "com.docker.network.driver.mtu") || g_str_equal(key, "mtu")) {
		if (units_parse_int(value, 68, 65535, &mtu) < 0) {
			api_error(c, 400, "invalid value for option %s: %s", key, value);
			return -E_INVALID;
		}
		n->mtu = (int)mtu;
	} else if (g_str_equal(key, BRIDGE "name")) {
		n->bridge = g_strdup(value);
	} else if (g_str_equal(key, "parent")) {
		n->parent = g_strdup(value);
	} else if (g_str_equal(key, "macvlan_mode") || g_str_equal(key, "ipvlan_mode")) {
		json_object_set_new(doc, "mode", json_string(value));
	}
	for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
		if (g_str_equal(fixed[i].key, key) && !g_str_equal(fixed[i].only, value)) {
			api_error(c, 501, "network option %s=%s is not supported: only %s is", key,
				value, fixed[i].only);
			return -E_UNSUPPORTED;
		}
	/* docker keeps and shows those that no driver knows */
	return 0;
}

static int take_options(struct call *c, const json_t *body, struct network_record *n, json_t *doc)
{
	json_t *options = json_object_get(body, "Options"), *v;
	const char *key;

	json_object_foreach(options, key, v) {
		if (!json_is_string(v))
			return refuse(c, 400, "invalid JSON: Options must be a map of strings");
		if (take_option(c, key, json_string_value(v), n, doc) < 0)
			return -E_INVALID;
	}
	if (json_object_size(options))
		json_object_set(doc, "options", options);
	return 0;
}

/* --- all of it ----------------------------------------------------------------------------------------------------- */

static int check_words(struct call *c, const json_t *body, const char *name, const char *driver)
{
	static const char *const predefined[] = { "bridge", "host", "none", "default", NULL };
	static const char *const drivers[] = { "bridge", "macvlan", "ipvlan", NULL };
	const char *scope = text_in(body, "Scope");

	if (!name)
		return refuse(c, 400, "invalid network name: name is empty");
	if (g_strv_contains(predefined, name)) {
		api_error(c, 403, "operation is not permitted on predefined %s network ", name);
		return -E_INVALID;
	}
	if (g_str_equal(driver, "host") || g_str_equal(driver, "null")) {
		api_error(c, 403, "only one instance of \"%s\" network is allowed", driver);
		return -E_INVALID;
	}
	if (g_str_equal(driver, "overlay") || (scope && g_str_equal(scope, "swarm")) ||
		json_is_true(json_object_get(body, "Ingress")))
		return refuse(c, 503, NOT_A_MANAGER);
	if (!g_strv_contains(drivers, driver)) {
		api_error(c, 404,
			"could not find plugin %s in v1 plugin registry: plugin \"%s\" not found",
			driver, driver);
		return -E_NOTFOUND;
	}
	if (json_is_true(json_object_get(body, "ConfigOnly")) ||
		text_in(json_object_get(body, "ConfigFrom"), "Network"))
		return refuse(c, 501, "networks of configuration only are not supported");
	if (json_is_false(json_object_get(body, "EnableIPv4")))
		return refuse(c, 501, "networks without IPv4 are not supported");
	return 0;
}

/* Go's decoder refuses other types; so do we, before anything is read as "not given". */
static int check_types(struct call *c, const json_t *body)
{
	static const struct {
		const char *key;
		json_type type;
	} types[] = {
		{ "Name", JSON_STRING },
		{ "Driver", JSON_STRING },
		{ "Scope", JSON_STRING },
		{ "IPAM", JSON_OBJECT },
		{ "Options", JSON_OBJECT },
		{ "Labels", JSON_OBJECT },
		{ "Internal", JSON_TRUE },
		{ "Attachable", JSON_TRUE },
		{ "EnableIPv6", JSON_TRUE },
		{ "EnableIPv4", JSON_TRUE },
		{ "CheckDuplicate", JSON_TRUE },
	};
	json_t *v;
	const char *key;

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		v = json_object_get(body, types[i].key);
		if (!v || json_is_null(v) || json_typeof(v) == types[i].type ||
			(types[i].type == JSON_TRUE && json_is_false(v)))
			continue;
		api_error(c, 400, "invalid JSON: %s has the wrong type", types[i].key);
		return -E_INVALID;
	}
	json_object_foreach(json_object_get(body, "Labels"), key, v)
		if (!json_is_string(v))
			return refuse(c, 400, "invalid JSON: Labels must be a map of strings");
	return 0;
}

int network_from_request(struct call *c, const json_t *body, struct network_record **ret)
{
	_cleanup_(network_record_freep) struct network_record *n = g_new0(struct network_record, 1);
	const char *name = text_in(body, "Name"), *driver = text_in(body, "Driver") ?: "bridge";
	json_t *doc = json_pack("{s:[]}", "reserved"), *own = json_object(), *labels;
	char *text;
	int r = check_types(c, body);

	if (r >= 0)
		r = check_words(c, body, name, driver);
	if (r >= 0)
		r = take_ipam(c, body, n, doc, own);
	if (r >= 0)
		r = take_options(c, body, n, doc);
	if (r >= 0) {
		n->name = g_strdup(name);
		n->driver = g_strdup(driver);
		n->internal = json_is_true(json_object_get(body, "Internal"));
		if (json_is_true(json_object_get(body, "Attachable")))
			json_object_set_new(own, "attachable", json_true());
		labels = json_object_get(body, "Labels");
		if (json_is_object(labels))
			json_object_set(doc, "labels", labels);
		json_object_set(doc, "docker", own);
		text = json_dumps(doc, JSON_COMPACT);
		n->doc = g_strdup(text);
		free(text);
		*ret = TAKE_PTR(n);
	}
	json_decref(own);
	json_decref(doc);
	return r;
}
