/* SPDX-License-Identifier: MIT */
/* ContainerConfig: what a container says of itself. */

#include "dialect/docker/create.h"

#include <string.h>
#include "dialect/parse/parse.h"
#include "guest/signals.h"

/* clang-format off */
static const struct json_field config_fields[] = {
	JSON_STRING(struct create_config, hostname, "Hostname", 0),
	JSON_STRING(struct create_config, domainname, "Domainname", 0),
	JSON_STRING(struct create_config, user, "User", 0),
	JSON_BOOL(struct create_config, attach_stdin, "AttachStdin"),
	JSON_BOOL(struct create_config, attach_stdout, "AttachStdout"),
	JSON_BOOL(struct create_config, attach_stderr, "AttachStderr"),
	JSON_BOOL(struct create_config, tty, "Tty"),
	JSON_BOOL(struct create_config, open_stdin, "OpenStdin"),
	JSON_BOOL(struct create_config, stdin_once, "StdinOnce"),
	JSON_STRINGS(struct create_config, env, "Env"),
	JSON_BOOL(struct create_config, args_escaped, "ArgsEscaped"),
	JSON_STRING(struct create_config, image, "Image", 0),
	JSON_STRING(struct create_config, cwd, "WorkingDir", 0),
	JSON_BOOL(struct create_config, network_disabled, "NetworkDisabled"),
	JSON_STRING(struct create_config, mac, "MacAddress", 0),
	JSON_STRINGS(struct create_config, on_build, "OnBuild"),
	JSON_STRING(struct create_config, stop_signal, "StopSignal", 0),
	JSON_INT(struct create_config, stop_timeout, "StopTimeout", -1),
	JSON_STRINGS(struct create_config, shell, "Shell"),
	JSON_END
};
/* clang-format on */
const struct json_struct create_config_struct = { sizeof(struct create_config), config_fields };

int create_words(const json_t *j, const char *where, char ***ret, struct err *e)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	const json_t *one;
	size_t i;

	*ret = NULL;
	if (!j || json_is_null(j))
		return 0;
	if (json_is_string(j)) {
		g_ptr_array_add(words, g_strdup(json_string_value(j)));
	} else if (json_is_array(j)) {
		json_array_foreach(j, i, one) {
			if (!json_is_string(one))
				return err_set(e, -E_INVALID, "%s[%zu] is no string", where, i);
			g_ptr_array_add(words, g_strdup(json_string_value(one)));
		}
	} else {
		return err_set(e, -E_INVALID, "%s is neither a string nor a list of them", where);
	}
	g_ptr_array_add(words, NULL);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
	return 0;
}

/* An object of strings, or with anything as values: "Labels", "ExposedPorts", "Volumes". */
static int object_of(const json_t *body, const char *key, bool texts, json_t **ret, struct err *e)
{
	json_t *j = json_object_get(body, key), *v;
	const char *name;

	*ret = NULL;
	if (!j || json_is_null(j))
		return 0;
	if (!json_is_object(j))
		return err_set(e, -E_INVALID, "%s is no object", key);
	if (texts)
		json_object_foreach(j, name, v)
			if (!json_is_string(v))
				return err_set(e, -E_INVALID, "%s.%s is no string", key, name);
	*ret = j;
	return 0;
}

static int read_labels(struct create *k, struct err *e)
{
	json_t *labels;
	int r = object_of(k->body, "Labels", true, &labels, e);

	if (r >= 0)
		json_object_set_new(k->doc, "labels", labels ? json_copy(labels) : json_object());
	return r;
}

static int read_exposed(struct create *k, struct err *e)
{
	json_t *ports, *exposed = json_object(), *v;
	const char *word;
	int r = object_of(k->body, "ExposedPorts", false, &ports, e);

	json_object_set_new(k->doc, "exposed", exposed);
	json_object_foreach(ports, word, v) {
		g_autofree char *proto = NULL;
		uint16_t first, count;

		if (r >= 0)
			r = parse_expose(word, &proto, &first, &count, e);
		for (unsigned i = 0; r >= 0 && i < count; i++) {
			g_autofree char *key = g_strdup_printf("%u/%s", first + i, proto);

			json_object_set_new(exposed, key, json_object());
		}
	}
	return r;
}

/* Anonymous volumes: {"/data": {}}. */
static int read_volumes(struct create *k, struct err *e)
{
	json_t *volumes, *v;
	const char *target;
	int r = object_of(k->body, "Volumes", false, &volumes, e);

	json_object_foreach(volumes, target, v) {
		bool relabel;

		if (r >= 0)
			r = parse_volume(target, "/", k->spec, &relabel, e);
	}
	return r;
}

static int read_health(struct create *k, struct err *e)
{
	json_t *health = json_object_get(k->body, "Healthcheck");

	if (!health || json_is_null(health))
		return 0;
	if (!json_is_object(health))
		return err_set(e, -E_INVALID, "Healthcheck is no object");
	json_object_set(k->doc, "health", health);
	return 0;
}

static int check_name(const char *name, const char *what, struct err *e)
{
	size_t n = strlen(name);

	if (n > 64 ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
			n)
		return err_set(e, -E_INVALID, "invalid %s '%s'", what, name);
	return 0;
}

static char *given(const char *s)
{
	return s && *s ? g_strdup(s) : NULL;
}

/* Whatever the config says that the spec has, too. */
static int fill_process(struct create *k, struct err *e)
{
	const struct create_config *f = &k->config;
	struct spec *s = k->spec;
	int sig, r = 0;

	s->hostname = given(f->hostname);
	s->domainname = given(f->domainname);
	if (s->hostname)
		r = check_name(s->hostname, "hostname", e);
	if (r >= 0 && s->domainname)
		r = check_name(s->domainname, "domainname", e);
	if (r < 0)
		return r;
	s->user = given(f->user);
	s->tty = f->tty;
	s->open_stdin = f->open_stdin;
	s->stdin_once = f->stdin_once;
	s->cwd = given(f->cwd);
	if (s->cwd && *s->cwd != '/')
		return err_set(e, -E_INVALID,
			"the working directory '%s' is invalid, it needs to be an absolute path",
			s->cwd);
	s->stop_timeout = f->stop_timeout;
	s->stop_signal = given(f->stop_signal);
	if (s->stop_signal && signal_parse(s->stop_signal, &sig) < 0)
		return err_set(e, -E_INVALID, "invalid signal: %s", s->stop_signal);
	for (char **w = f->env; w && *w; w++)
		if (**w == '=' || !**w)
			return err_set(e, -E_INVALID, "invalid environment variable: %s", *w);
	s->env = g_strdupv(f->env);
	return 0;
}

int create_read(struct ctx *c, json_t *body, struct create *ret, struct err *e)
{
	struct create *k = ret;
	json_t *config;
	int r;

	*k = (struct create){ .c = c, .body = body, .doc = json_object(), .spec = spec_new() };
	k->warnings = g_ptr_array_new_with_free_func(g_free);
	json_struct_init(&create_host_struct, &k->host);
	r = json_struct_decode(&create_config_struct, body, JSON_IGNORE_UNKNOWN, &k->config, e);
	if (r >= 0)
		r = create_words(json_object_get(body, "Cmd"), "Cmd", &k->argv, e);
	if (r >= 0)
		r = create_words(
			json_object_get(body, "Entrypoint"), "Entrypoint", &k->entrypoint, e);
	/* [""] and "" take the image's away */
	if (k->entrypoint && k->entrypoint[0] && !*k->entrypoint[0] && !k->entrypoint[1])
		g_clear_pointer(&k->entrypoint[0], g_free);
	if (k->argv && !k->argv[0])
		g_clear_pointer(&k->argv, g_strfreev);
	if (r >= 0)
		r = fill_process(k, e);
	if (r >= 0)
		r = read_labels(k, e);
	if (r >= 0)
		r = read_exposed(k, e);
	if (r >= 0)
		r = read_volumes(k, e);
	if (r >= 0)
		r = read_health(k, e);
	if (r >= 0)
		r = create_host(k, e);
	if (r < 0)
		return r;
	config = json_copy(body);
	(void)json_object_del(config, "HostConfig");
	(void)json_object_del(config, "NetworkingConfig");
	json_object_set_new(k->doc, "Config", config);
	json_object_set(k->doc, "HostConfig", json_object_get(body, "HostConfig") ?: json_null());
	return 0;
}

void create_clear(struct create *k)
{
	json_decref(k->doc);
	spec_free(k->spec);
	json_struct_clear(&create_config_struct, &k->config);
	json_struct_clear(&create_host_struct, &k->host);
	g_strfreev(k->argv);
	g_strfreev(k->entrypoint);
	if (k->warnings)
		g_ptr_array_unref(k->warnings);
	*k = (struct create){ 0 };
}
