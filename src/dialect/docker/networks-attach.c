/* SPDX-License-Identifier: MIT */
/* Containers that join networks and leave them. */

#include <string.h>
#include "dialect/docker/networks.h"
#include "guest/guest.h"
#include "guest/network.h"

static const char *text_in(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : NULL;
}

/* The body, the network and the container. 0, or a code with the answer given. */
static int both(
	struct call *c, json_t **ret_body, struct network_record **ret_n, struct guest **ret_g)
{
	struct err e = { 0 };
	const char *who;
	int r = api_json_body(c, ret_body);

	if (r < 0)
		return r;
	who = text_in(*ret_body, "Container");
	r = network_resolve(api_ctx(c), c->args[0], ret_n, &e);
	if (r < 0) {
		network_failed(c, r, &e);
		return r;
	}
	if (!who) {
		api_error(c, 400, "invalid container name or ID: value is empty");
		return -E_INVALID;
	}
	/* one of ours before another dialect's of the same name */
	r = guest_get(api_ctx(c), DOCKER_REALM, who, ret_g, &e);
	if (r == -E_NOTFOUND)
		r = guest_get(api_ctx(c), NULL, who, ret_g, &e);
	if (r == -E_NOTFOUND)
		api_error(c, 404, "No such container: %s", who);
	else if (r < 0)
		api_failed(c, r, &e);
	return r;
}

static char **texts_of(const json_t *list)
{
	g_autoptr(GPtrArray) a = g_ptr_array_new();
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		if (json_is_string(v))
			g_ptr_array_add(a, g_strdup(json_string_value(v)));
	g_ptr_array_add(a, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&a), FALSE);
}

/* What isn't there is said, and not passed over. */
static int check_config(struct call *c, const json_t *config)
{
	static const char *const lacks[] = { "Links", "DriverOpts" };
	const json_t *ipam = json_object_get(config, "IPAMConfig");

	for (size_t i = 0; i < G_N_ELEMENTS(lacks); i++) {
		const json_t *v = json_object_get(config, lacks[i]);

		if (json_array_size(v) || json_object_size(v)) {
			api_error(c, 501, "EndpointConfig.%s is not supported", lacks[i]);
			return -E_UNSUPPORTED;
		}
	}
	if (json_array_size(json_object_get(ipam, "LinkLocalIPs"))) {
		api_error(c, 501, "EndpointConfig.IPAMConfig.LinkLocalIPs is not supported");
		return -E_UNSUPPORTED;
	}
	return 0;
}

static void connect(
	struct call *c, const json_t *config, const struct network_record *n, struct guest *g)
{
	const json_t *ipam = json_object_get(config, "IPAMConfig");
	g_auto(GStrv) aliases = texts_of(json_object_get(config, "Aliases"));
	struct spec_attach a = {
		.network = n->name,
		.address = (char *)text_in(ipam, "IPv4Address"),
		.address6 = (char *)text_in(ipam, "IPv6Address"),
		.mac = (char *)text_in(config, "MacAddress"),
		.aliases = aliases,
	};
	struct err e = { 0 };
	int r = guest_connect(api_ctx(c), g, &a, &e);

	if (r >= 0)
		api_none(c, 200);
	else if (r == -E_EXISTS)
		api_error(c, 403, "endpoint with name %s already exists in network %s",
			g->rec->name, n->name);
	else if (r == -E_INVALID && g->spec->ns[NS_NET].mode != NS_PRIVATE)
		api_error(c, 400,
			"container sharing network namespace with another container or host cannot "
			"be connected to any other network");
	else
		api_failed(c, r, &e);
}

void networks_connect(struct call *c)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	_cleanup_(guest_freep) struct guest *g = NULL;
	json_t *body = NULL;

	if (both(c, &body, &n, &g) >= 0) {
		const json_t *config = json_object_get(body, "EndpointConfig");

		if (g_str_equal(n->driver, "host"))
			api_error(c, 400,
				"container cannot be disconnected from host network or connected "
				"to host network");
		else if (network_is_mode(n))
			api_error(c, 400,
				"container cannot be connected to multiple networks with one of "
				"the networks in private (none) mode");
		else if (check_config(c, config) >= 0)
			connect(c, config, n, g);
	}
	json_decref(body);
}

void networks_disconnect(struct call *c)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct err e = { 0 };
	json_t *body = NULL;
	int r;

	if (both(c, &body, &n, &g) >= 0) {
		r = guest_disconnect(api_ctx(c), g, n->name, &e);
		if (g_str_equal(n->driver, "host"))
			api_error(c, 400,
				"container cannot be disconnected from host network or connected "
				"to host network");
		else if (r == -E_NOTFOUND || r == -E_INVALID)
			api_error(c, 403, "container %s is not connected to network %s", g->rec->id,
				n->name);
		else if (r < 0)
			api_failed(c, r, &e);
		else
			api_none(c, 200);
	}
	json_decref(body);
}
