/* SPDX-License-Identifier: MIT */
#include "dialect/registry/registry.h"
#include "dialect/registry/routes.h"
#include "dialect/registry/upstream.h"

int registry_serve(const struct registry_options *o, struct err *e)
{
	struct depot *reg = NULL;
	struct server_config cfg = {
		.listen = o->listen,
		.routes = registry_routes,
		.failed = registry_failed,
		.allow = registry_allow,
		.tls_cert = o->tls_cert,
		.tls_key = o->tls_key,
		.tls_client_ca = o->tls_client_ca,
		.htpasswd = o->htpasswd,
		.realm = o->realm,
		.log = o->log,
		.timeout = o->timeout,
		.idle_exit = o->idle_exit,
		.connections = o->connections,
		.workers = o->workers,
		.fetchers = o->fetchers,
		.ready = o->ready,
	};
	int r = depot_open(o->root, o->read_only ? 0 : DEPOT_MAKE, &reg, e);

	if (r < 0)
		return r;
	if (o->proxy_of) {
		r = upstream_new(o->c, o->proxy_of, &reg->upstream, e);
		cfg.routes = registry_cache_routes;
	}
	reg->read_only = o->read_only;
	reg->no_delete = o->no_delete;
	cfg.data = reg;
	cfg.keep_fd = reg->root;
	if (r >= 0)
		r = server_run(&cfg, e);
	upstream_free(reg->upstream);
	depot_free(reg);
	return r;
}
