/* SPDX-License-Identifier: MIT */
#include "dialect/registry/upstream.h"

#include <string.h>
#include "image/registry-priv.h"

struct upstream {
	struct ctx *c;
	char *domain;
	struct transport_options o;
};

int upstream_new(struct ctx *c, const char *url, struct upstream **ret, struct err *e)
{
	struct upstream *u;
	bool plain = g_str_has_prefix(url, "http://");
	const char *host = url;
	size_t n;

	if (plain)
		host += strlen("http://");
	else if (g_str_has_prefix(url, "https://"))
		host += strlen("https://");
	n = strcspn(host, "/");
	if (n == 0 || (host[n] && host[n + 1]) || strpbrk(host, "@?# ")) {
		int r = err_set(e, -E_INVALID, "'%s' is not the address of a registry", url);

		err_mend(e, "write https://HOST[:PORT]");
		return r;
	}
	u = g_new0(struct upstream, 1);
	u->c = c;
	u->domain = g_strndup(host, n);
	u->o.tls_verify = plain ? 0 : 1;
	u->o.retries = 2;
	*ret = u;
	return 0;
}

void upstream_free(struct upstream *u)
{
	if (!u)
		return;
	g_free(u->domain);
	g_free(u);
}

static int reach(const struct upstream *u, const char *name, struct registry **ret, struct err *e)
{
	struct registry_place place = { .domain = u->domain, .path = (char *)name };

	return registry_new(u->c, &place, &u->o, REGISTRY_PULL, ret, e);
}

int upstream_digest(
	const struct upstream *u, const char *name, const char *ref, char **ret, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_manifest_digest(r, ref, ret, e);
}

int upstream_manifest(const struct upstream *u, const char *name, const char *ref, char **ret,
	size_t *ret_size, char **ret_type, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_manifest(r, ref, ret, ret_size, ret_type, NULL, e);
}

int upstream_tags(const struct upstream *u, const char *name, GPtrArray **ret, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_tags(r, ret, e);
}

int upstream_get(const struct upstream *u, const char *name, const char *path, size_t max,
	GString **ret, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_get(r, path, max, ret, e);
}

int upstream_has_blob(const struct upstream *u, const char *name, const char *digest, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_has_blob(r, digest, e);
}

int upstream_blob(const struct upstream *u, const char *name, const char *digest, int64_t offset,
	const struct upstream_sink *sink, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	struct registry_sink s = { sink->begin, sink->write, sink->arg };
	int code = reach(u, name, &r, e);

	return code < 0 ? code : registry_blob(r, digest, offset, &s, NULL, e);
}
