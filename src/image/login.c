/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "image/credentials.h"
#include "image/registry-priv.h"
#include "store/journal.h"

char *registry_auth_file(const struct transport_options *o)
{
	return credentials_file(o);
}

/* "https://index.docker.io/v1/", "docker.io", "host:port/namespace": the key that it is kept under. */
static int key_of(const char *registry, char **ret, struct err *e)
{
	const char *p = strstr(registry, "://");
	g_autofree char *key = g_strdup(p ? p + 3 : registry);

	if (p)
		key[strcspn(key, "/")] = '\0';
	while (g_str_has_suffix(key, "/"))
		key[strlen(key) - 1] = '\0';
	if (!*key || strpbrk(key, " \t\r\n@?#\\"))
		return err_set(e, -E_INVALID, "'%s' is no registry", registry);
	if (strcmp(key, "index.docker.io") == 0) {
		*ret = g_strdup("docker.io");
		return 0;
	}
	*ret = g_steal_pointer(&key);
	return 0;
}

/* 1: shown instead of done. */
static int explain(
	struct ctx *c, const char *verb, const char *user, const char *key, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct journal_hold hold;

	if (!c->explain)
		return 0;
	if (user)
		plan_add(p, AT_HOST, &step_content, "podman", verb, "--username", user, key);
	else
		plan_add(p, AT_HOST, &step_content, "podman", verb, key);
	return journal_begin(c, p, &hold, e);
}

static int ask(struct ctx *c, const char *key, const char *user, const char *password,
	const struct transport_options *o, struct err *e)
{
	_cleanup_(registry_freep) struct registry *r = NULL;
	_cleanup_(registries_freep) struct registries *conf = NULL;
	g_autofree char *creds = g_strconcat(user, ":", password, NULL);
	g_autofree char *domain = g_strndup(key, strcspn(key, "/"));
	struct transport_options with = *o;
	struct registry_place place = { .domain = domain };
	int code;

	with.creds = creds;
	with.no_creds = false;
	code = registries_load(o, &conf, e);
	if (code >= 0)
		place.insecure = registries_is_insecure(conf, domain);
	if (code >= 0)
		code = registry_new(c, &place, &with, REGISTRY_PULL, &r, e);
	if (code >= 0)
		code = registry_ping(r, e);
	if (code == -EACCES) {
		code = err_set(e, -EACCES, "'%s' doesn't take this user and password", domain);
		if (e)
			e->mend[0] = '\0';
	}
	return code;
}

int registry_check(struct ctx *c, const char *registry, const char *user, const char *password,
	const struct transport_options *o, struct err *e)
{
	g_autofree char *key = NULL;
	int r = key_of(registry, &key, e);

	return r < 0 ? r : ask(c, key, user, password, o, e);
}

int registry_login(struct ctx *c, const char *registry, const char *user, const char *password,
	const struct transport_options *o, struct err *e)
{
	struct credentials who = { (char *)user, (char *)password, NULL };
	g_autofree char *key = NULL;
	int r;

	if (!*user || strchr(user, ':'))
		return err_set(e, -E_INVALID, "'%s' is no name of a user", user);
	r = key_of(registry, &key, e);
	if (r >= 0)
		r = explain(c, "login", user, key, e);
	if (r != 0)
		return MIN(r, 0);
	r = ask(c, key, user, password, o, e);
	return r < 0 ? r : credentials_write(o, key, &who, e);
}

int registry_logout(
	struct ctx *c, const char *registry, const struct transport_options *o, struct err *e)
{
	g_autofree char *key = NULL;
	int r = registry ? key_of(registry, &key, e) : 0;

	if (r >= 0)
		r = explain(c, "logout", NULL, key ? key : "--all", e);
	if (r != 0)
		return MIN(r, 0);
	return credentials_write(o, key, NULL, e);
}

int registry_logged_in(struct ctx *c, const char *registry, const struct transport_options *o,
	char **ret_user, struct err *e)
{
	struct credentials who = { NULL };
	g_autofree char *key = NULL, *domain = NULL;
	const char *slash;
	int r = key_of(registry, &key, e);

	if (r < 0)
		return r;
	slash = strchr(key, '/');
	domain = g_strndup(key, strcspn(key, "/"));
	r = credentials_find(o, domain, slash ? slash + 1 : NULL, &who, e);
	if (r == 0 || (r > 0 && !who.user))
		r = err_set(e, -E_NOTFOUND, "not logged into '%s'", registry);
	if (r >= 0)
		*ret_user = g_strdup(who.user);
	credentials_clear(&who);
	return MIN(r, 0);
}
