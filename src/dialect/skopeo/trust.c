/* SPDX-License-Identifier: MIT */
/* What policy.json says about a source (containers-policy.json(5), "Supported transports and their scopes"). */
#include <string.h>
#include "dialect/skopeo/skopeo.h"
#include "image/policy.h"
#include "image/ref.h"
#include "store/blob.h"

/* A reference in full, with "//" before it or not. */
static void set_reference(struct trust *t, const char *text)
{
	struct ref ref;

	if (g_str_has_prefix(text, "//"))
		text += 2;
	if (ref_parse(text, 0, &ref, NULL) < 0)
		return;
	t->reference = ref_full(&ref);
	t->scope = g_strdup(t->reference);
	ref_clear(&ref);
}

static void set_scope(struct trust *t, const char *rest)
{
	g_autofree char *path = NULL, *clean = NULL;
	const char *colon = strchr(rest, ':');

	if (strcmp(t->transport, "docker") == 0 ||
		strcmp(t->transport, "containers-storage") == 0) {
		set_reference(t, rest);
		return;
	}
	/* those of a daemon and of docker's archives have none */
	if (strcmp(t->transport, "docker-daemon") == 0)
		return;
	if (strcmp(t->transport, "docker-archive") == 0) {
		if (colon && colon[1] != '@')
			set_reference(t, colon + 1);
		g_clear_pointer(&t->scope, g_free);
		return;
	}
	if (strcmp(t->transport, "dir") == 0)
		colon = NULL;
	path = colon ? g_strndup(rest, (gsize)(colon - rest)) : g_strdup(rest);
	clean = realpath(path, NULL) ?: g_canonicalize_filename(path, NULL);
	t->scope = g_strconcat(clean, colon && strcmp(t->transport, "oci") == 0 ? colon : "", NULL);
}

int trust_init(struct trust *t, const struct skopeo *s, const char *name, struct err *e)
{
	const struct transport *transport;
	const char *rest;
	int r;

	*t = (struct trust){ NULL };
	if (s->insecure_policy)
		return 0;
	r = transport_find(name, &transport, &rest, e);
	if (r < 0)
		return r;
	t->transport = transport->name;
	set_scope(t, rest);
	r = policy_load(s->policy, &t->policy, e);
	return r < 0 ? err_prefix(e, "Error loading trust policy") : 0;
}

void trust_done(struct trust *t)
{
	policy_free(t->policy);
	g_free(t->scope);
	g_free(t->reference);
	g_free(t->digest);
}

static int signatures(void *arg, GPtrArray **ret, struct err *e)
{
	struct trust *t = arg;

	return t->from->ops->signatures(t->from, t->digest, ret, e);
}

static int attachments(void *arg, GPtrArray **ret, struct err *e)
{
	struct trust *t = arg;

	return t->from->ops->attachments(t->from, t->digest, ret, e);
}

static int allow(void *arg, struct transport_in *from, const char *text, size_t size, struct err *e)
{
	struct trust *t = arg;
	struct policy_image i = { .transport = t->transport,
		.scope = t->scope ?: "",
		.reference = t->reference,
		.manifest = text,
		.manifest_size = size,
		.signatures = from->ops->signatures ? signatures : NULL,
		.attachments = from->ops->attachments ? attachments : NULL,
		.arg = t };
	int r;

	t->from = from;
	g_free(t->digest);
	t->digest = blob_digest(text, size);
	r = policy_check(t->policy, &i, e);
	return r < 0 ? err_prefix(e, "Source image rejected") : r;
}

void trust_use(struct trust *t, struct copy_options *o)
{
	if (!t->policy)
		return;
	o->allow = allow;
	o->allow_arg = t;
}
