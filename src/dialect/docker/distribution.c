/* SPDX-License-Identifier: MIT */
/* Registries: who we are to them, whether they take us, and what a name there stands for. */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dialect/docker/images.h"
#include "image/manifest.h"
#include "image/registry.h"

#define AUTH_MAX 65536

/* --- X-Registry-Auth ------------------------------------------------------------------------------------------------ */

/* Base64 of either alphabet, with or without its padding. NULL: it isn't. */
static char *decode(struct http_text t)
{
	g_autoptr(GString) s = g_string_new_len(t.p, (gssize)t.n);
	gsize n;
	guchar *out;

	g_string_replace(s, "-", "+", 0);
	g_string_replace(s, "_", "/", 0);
	while (s->len && s->str[s->len - 1] == '=')
		g_string_truncate(s, s->len - 1);
	if (strspn(s->str, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+/") != s->len)
		return NULL;
	while (s->len % 4)
		g_string_append_c(s, '=');
	out = g_base64_decode(s->str, &n);
	out = g_realloc(out, n + 1);
	out[n] = '\0';
	return (char *)out;
}

static const char *text_in(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : NULL;
}

/* A file of the form of docker's config.json, that only we can see. */
static int token_file(struct registry_auth *a, const char *domain, const char *token)
{
	json_t *j = json_pack("{s:{s:{s:s, s:s}}}", "auths", domain, "auth",
		"PHRva2VuPjo=", "identitytoken", token);
	char *text = json_dumps(j, JSON_COMPACT);
	int r;

	json_decref(j);
	a->fd = RET_NERRNO(memfd_create("auth", MFD_CLOEXEC));
	r = a->fd < 0 ? a->fd : RET_NERRNO((int)write(a->fd, text, strlen(text)));
	free(text);
	a->file = g_strdup_printf("/proc/self/fd/%d", a->fd);
	a->o.auth_file = a->file;
	a->o.no_creds = false;
	return MIN(r, 0);
}

static int take_auth(struct call *c, const json_t *j, const char *domain, struct registry_auth *a)
{
	const char *user = text_in(j, "username"), *password = text_in(j, "password"),
		   *packed = text_in(j, "auth"), *token = text_in(j, "identitytoken");
	int r = 0;

	if (text_in(j, "registrytoken"))
		a->o.bearer = a->bearer = g_strdup(text_in(j, "registrytoken"));
	if (token)
		r = token_file(a, domain ?: text_in(j, "serveraddress") ?: "docker.io", token);
	else if (user)
		a->creds = g_strdup_printf("%s:%s", user, password ?: "");
	else if (packed)
		a->creds = decode((struct http_text){ packed, strlen(packed) });
	if (a->creds) {
		a->o.creds = a->creds;
		a->o.no_creds = false;
	}
	if (r < 0)
		api_error(c, 500, "cannot keep the identity token: %s", err_words(r));
	return r;
}

int registry_auth_init(struct call *c, const char *domain, struct registry_auth *ret)
{
	const struct http_text *header = http_find(c->q, "X-Registry-Auth");
	struct http_text t;
	g_autofree char *text = NULL;
	json_t *j;
	int r = 0;

	/* what the host's users have in their files isn't the client's */
	*ret = (struct registry_auth){
		.fd = -1,
		.o = { .tls_verify = -1, .no_creds = true, .loopback_insecure = true, .retries = 2 }
	};
	if (!header || header->n == 0)
		return 0;
	t = *header;
	text = t.n <= AUTH_MAX ? decode(t) : NULL;
	j = text ? json_loads(text, 0, NULL) : NULL;
	if (json_is_object(j)) {
		r = take_auth(c, j, domain, ret);
	} else if (!json_is_null(j)) {
		/* docker takes an empty one for none, and so do its older clients */
		if (!text || *text)
			api_error(c, 400, "invalid X-Registry-Auth header: not JSON in base64");
		r = !text || *text ? -E_INVALID : 0;
	}
	json_decref(j);
	return r;
}

void registry_auth_clear(struct registry_auth *a)
{
	g_free(a->creds);
	g_free(a->bearer);
	g_free(a->file);
	if (a->fd >= 0)
		(void)close(a->fd);
}

/* --- POST /auth ------------------------------------------------------------------------------------------------------ */

void system_auth(struct call *c, struct link *l)
{
	struct transport_options o = {
		.tls_verify = -1, .no_creds = true, .loopback_insecure = true, .retries = 1
	};
	const char *user, *password, *server;
	struct err e = { 0 };
	json_t *body;
	int r;

	if (api_json_link(c, l, &body) < 0)
		return;
	user = text_in(body, "username");
	password = text_in(body, "password");
	server = text_in(body, "serveraddress") ?: "docker.io";
	if (!user || strchr(user, ':')) {
		api_error(c, 400, "no user name: identity tokens are checked by whoever uses them");
		json_decref(body);
		return;
	}
	r = registry_check(api_ctx(c), server, user, password ?: "", &o, &e);
	json_decref(body);
	if (r == -EACCES)
		api_error(c, 401,
			"login attempt to %s failed: unauthorized: authentication required",
			server);
	else if (r < 0)
		api_error(c, 500, "%s", e.text[0] ? e.text : err_words(r));
	else
		api_json(c, 200,
			json_pack("{s:s, s:s}", "IdentityToken", "", "Status", "Login Succeeded"));
}

/* --- GET /distribution/{name}/json --------------------------------------------------------------------------------------- */

static json_t *platform_json(const char *arch, const char *os, const char *variant)
{
	json_t *j = json_pack("{s:s, s:s}", "architecture", arch ?: "", "os", os ?: "");

	if (variant && *variant)
		json_object_set_new(j, "variant", json_string(variant));
	return j;
}

static int gather(void *arg, const void *data, size_t size, struct err *e)
{
	GString *s = arg;

	if (s->len + size > TRANSPORT_DOCUMENT_MAX)
		return err_set(e, -E_LIMIT, "the image's configuration is too large");
	g_string_append_len(s, data, (gssize)size);
	return 0;
}

/* Of one image it is in its configuration. */
static int config_platform(
	struct transport_in *in, const struct manifest *m, json_t *list, struct err *e)
{
	g_autoptr(GString) text = g_string_new(NULL);
	json_t *j;
	int r;

	if (!m->config || !manifest_is_image(m))
		return 0;
	r = in->ops->blob(in, m->config->digest, 0, gather, text, NULL, e);
	if (r < 0)
		return r;
	j = json_loadb(text->str, text->len, 0, NULL);
	if (json_is_object(j))
		json_array_append_new(list, platform_json(text_in(j, "architecture"),
						    text_in(j, "os"), text_in(j, "variant")));
	json_decref(j);
	return 0;
}

static int describe(struct transport_in *in, json_t **ret, struct err *e)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	g_autofree char *text = NULL, *type = NULL, *sum = NULL, *digest = NULL;
	json_t *list = json_array();
	size_t size;
	int r = in->ops->document(in, NULL, &text, &size, &type, e);

	if (r >= 0)
		r = manifest_parse(text, size, type, &m, e);
	for (guint i = 0; r >= 0 && m->index && i < m->parts->len; i++) {
		const struct descriptor *d = m->parts->pdata[i];

		json_array_append_new(list, platform_json(d->arch, d->os, d->variant));
	}
	if (r >= 0 && !m->index)
		r = config_platform(in, m, list, e);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);
	digest = g_strconcat("sha256:", sum, NULL);
	*ret = json_pack("{s:{s:s, s:s, s:I}, s:o}", "Descriptor", "mediaType", m->type, "digest",
		digest, "size", (json_int_t)size, "Platforms", list);
	return 0;
}

void distribution_inspect(struct call *c, struct link *l)
{
	struct transport_in *in = NULL;
	struct registry_auth auth = { .fd = -1 };
	g_autofree char *full = NULL, *rest = NULL;
	struct err e = { 0 };
	json_t *j = NULL;
	struct ref ref;
	int r = ref_parse(c->args[0], 0, &ref, &e);

	if (r < 0) {
		api_error(c, 400, "invalid reference format: %s", e.text);
		return;
	}
	full = ref_full(&ref);
	rest = g_strconcat("//", full, NULL);
	r = registry_auth_init(c, ref.domain, &auth);
	ref_clear(&ref);
	if (r < 0)
		return;
	r = transport_docker.open_in(api_ctx(c), rest, &auth.o, &in, &e);
	if (r >= 0)
		r = describe(in, &j, &e);
	transport_in_free(in);
	registry_auth_clear(&auth);
	if (r == -EACCES)
		api_error(c, 401, "unauthorized: authentication required: %s", e.text);
	else if (r == -E_NOTFOUND)
		api_error(c, 404, "manifest unknown: %s", e.text);
	else if (r < 0)
		api_failed(c, r, &e);
	else
		api_json(c, 200, j);
}
