/* SPDX-License-Identifier: MIT */
/* Instructions of a Dockerfile that change a configuration only. The Dockerfile reference, "ENV", "LABEL", ... */
#include <string.h>
#include "base/units.h"
#include "codec/json.h"
#include "image/image.h"

static int bad(struct err *e, const char *name, const char *why)
{
	return err_set(e, -E_INVALID, "the change '%s' is wrong: %s", name, why);
}

/* The next word: quotes are taken off, a backslash takes the next character as it is. NULL at the end. */
static int next_word(const char **s, const char *name, GString *ret, bool *found, struct err *e)
{
	const char *p = *s;
	char quote = '\0';

	while (g_ascii_isspace(*p))
		p++;
	*found = *p != '\0';
	g_string_truncate(ret, 0);
	for (; *p && (quote || !g_ascii_isspace(*p)); p++) {
		if (*p == '\\' && p[1] && quote != '\'' &&
			(!quote || p[1] == quote || p[1] == '\\' || p[1] == '$')) {
			g_string_append_c(ret, *++p);
		} else if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? '\0' : *p;
		} else {
			g_string_append_c(ret, *p);
		}
	}
	if (quote)
		return bad(e, name, "a quotation isn't closed");
	*s = p;
	return 0;
}

static int words(const char *rest, const char *name, GPtrArray *ret, struct err *e)
{
	g_autoptr(GString) word = g_string_new(NULL);
	bool found;
	int r;

	while ((r = next_word(&rest, name, word, &found, e)) >= 0 && found)
		g_ptr_array_add(ret, g_strdup(word->str));
	return r;
}

/* A JSON list of strings ("exec form"), or NULL when it isn't one. */
static json_t *exec_form(const char *rest)
{
	json_t *j = NULL, *x;
	size_t i;

	if (*rest != '[' || json_read(rest, strlen(rest), &j, NULL) < 0)
		return NULL;
	json_array_foreach(j, i, x) {
		if (!json_is_string(x)) {
			json_decref(j);
			return NULL;
		}
	}
	if (!json_is_array(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *shell_form(const char *rest)
{
	return json_pack("[s, s, s]", "/bin/sh", "-c", rest);
}

static json_t *object_of(json_t *config, const char *key)
{
	json_t *o = json_object_get(config, key);

	if (!json_is_object(o)) {
		o = json_object();
		(void)json_object_set_new(config, key, o);
	}
	return o;
}

static json_t *array_of(json_t *config, const char *key)
{
	json_t *a = json_object_get(config, key);

	if (!json_is_array(a)) {
		a = json_array();
		(void)json_object_set_new(config, key, a);
	}
	return a;
}

static void set_env(json_t *config, const char *key, const char *value)
{
	json_t *env = array_of(config, "Env"), *x;
	g_autofree char *pair = g_strdup_printf("%s=%s", key, value);
	size_t i, n = strlen(key);

	json_array_foreach(env, i, x) {
		const char *old = json_string_value(x);

		if (old && strncmp(old, key, n) == 0 && old[n] == '=') {
			(void)json_array_set_new(env, i, json_string(pair));
			return;
		}
	}
	(void)json_array_append_new(env, json_string(pair));
}

static void set_pair(json_t *config, const char *name, const char *key, const char *value)
{
	if (strcmp(name, "ENV") == 0)
		set_env(config, key, value);
	else
		(void)json_object_set_new(object_of(config, "Labels"), key, json_string(value));
}

/* "K=V K2=V2", or the old form "K all the rest" */
static int change_pairs(json_t *config, const char *name, const char *rest, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	int r;

	r = words(rest, name, list, e);
	if (r < 0)
		return r;
	if (list->len == 0)
		return bad(e, name, "it needs KEY=VALUE");
	if (!strchr(list->pdata[0], '=')) {
		const char *value = rest + strcspn(rest, " \t");

		while (g_ascii_isspace(*value))
			value++;
		if (!*value)
			return bad(e, name, "it needs KEY=VALUE");
		set_pair(config, name, list->pdata[0], value);
		return 0;
	}
	for (unsigned i = 0; i < list->len; i++) {
		char *eq = strchr(list->pdata[i], '=');

		if (!eq || eq == list->pdata[i])
			return bad(e, name, "it needs KEY=VALUE");
		*eq = '\0';
		set_pair(config, name, list->pdata[i], eq + 1);
	}
	return 0;
}

static int change_command(json_t *config, const char *name, const char *rest, struct err *e)
{
	json_t *list = exec_form(rest);
	const char *key = strcmp(name, "CMD") == 0 ? "Cmd" : "Entrypoint";

	if (!*rest)
		list = json_array();
	(void)json_object_set_new(config, key, list ? list : shell_form(rest));
	return 0;
}

/* "80", "80/udp", "8000-8010/tcp" */
static int expose(json_t *config, const char *name, const char *word, struct err *e)
{
	g_auto(GStrv) part = g_strsplit(word, "/", 2), ends = NULL;
	const char *proto = part[1] ? part[1] : "tcp";
	int64_t first, last;

	ends = g_strsplit(part[0] ? part[0] : "", "-", 2);
	if (!ends[0] || units_parse_int(ends[0], 1, 65535, &first) < 0 ||
		units_parse_int(ends[1] ? ends[1] : ends[0], first, 65535, &last) < 0)
		return bad(e, name, "a port is a number up to 65535, or two by '-'");
	if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0 && strcmp(proto, "sctp") != 0)
		return bad(e, name, "a protocol is tcp, udp or sctp");
	for (; first <= last; first++) {
		g_autofree char *key = g_strdup_printf("%d/%s", (int)first, proto);

		(void)json_object_set_new(object_of(config, "ExposedPorts"), key, json_object());
	}
	return 0;
}

static int change_list(json_t *config, const char *name, const char *rest, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	json_t *exec = strcmp(name, "VOLUME") == 0 ? exec_form(rest) : NULL, *x;
	size_t k;
	int r = 0;

	json_array_foreach(exec, k, x) {
		g_ptr_array_add(list, g_strdup(json_string_value(x)));
	}
	if (!exec)
		r = words(rest, name, list, e);
	json_decref(exec);
	if (r >= 0 && list->len == 0)
		return bad(e, name, "nothing follows");
	for (unsigned i = 0; r >= 0 && i < list->len; i++) {
		const char *word = list->pdata[i];

		if (strcmp(name, "EXPOSE") == 0)
			r = expose(config, name, word, e);
		else if (*word != '/')
			r = bad(e, name, "a volume is an absolute path");
		else
			(void)json_object_set_new(
				object_of(config, "Volumes"), word, json_object());
	}
	return r;
}

static int change_string(json_t *config, const char *name, const char *rest, struct err *e)
{
	static const char *const keys[][2] = { { "USER", "User" }, { "WORKDIR", "WorkingDir" },
		{ "STOPSIGNAL", "StopSignal" } };

	if (!*rest)
		return bad(e, name, "nothing follows");
	for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
		if (strcmp(name, keys[i][0]) == 0) {
			const char *cwd = json_string_value(json_object_get(config, "WorkingDir"));
			g_autofree char *path = NULL;

			/* a relative one goes on from the last */
			if (strcmp(name, "WORKDIR") == 0 && *rest != '/')
				path = g_build_filename(cwd ? cwd : "/", rest, NULL);
			(void)json_object_set_new(
				config, keys[i][1], json_string(path ? path : rest));
		}
	return 0;
}

static int change_onbuild(json_t *config, const char *name, const char *rest, struct err *e)
{
	if (!*rest)
		return bad(e, name, "nothing follows");
	(void)json_array_append_new(array_of(config, "OnBuild"), json_string(rest));
	return 0;
}

static int health_option(json_t *health, const char *name, const char *word, struct err *e)
{
	static const char *const keys[][2] = { { "--interval=", "Interval" },
		{ "--timeout=", "Timeout" }, { "--start-period=", "StartPeriod" },
		{ "--start-interval=", "StartInterval" } };
	int64_t n;

	for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
		if (g_str_has_prefix(word, keys[i][0])) {
			if (units_parse_duration(word + strlen(keys[i][0]), &n) < 0 || n < 0)
				return bad(e, name, "a time is like 30s");
			(void)json_object_set_new(health, keys[i][1], json_integer(n));
			return 0;
		}
	if (!g_str_has_prefix(word, "--retries="))
		return bad(e, name, "an option isn't known");
	if (units_parse_int(word + strlen("--retries="), 0, INT32_MAX, &n) < 0)
		return bad(e, name, "retries is a number");
	(void)json_object_set_new(health, "Retries", json_integer(n));
	return 0;
}

static int change_health(json_t *config, const char *name, const char *rest, struct err *e)
{
	g_autoptr(GString) word = g_string_new(NULL);
	json_t *health = json_object(), *list = NULL;
	bool found;
	int r;

	while ((r = next_word(&rest, name, word, &found, e)) >= 0 && found &&
		g_str_has_prefix(word->str, "--")) {
		r = health_option(health, name, word->str, e);
		if (r < 0)
			break;
	}
	while (g_ascii_isspace(*rest))
		rest++;
	if (r >= 0 && g_ascii_strcasecmp(word->str, "NONE") == 0 && !*rest) {
		list = json_pack("[s]", "NONE");
	} else if (r >= 0 && g_ascii_strcasecmp(word->str, "CMD") == 0 && *rest) {
		list = exec_form(rest);
		if (list)
			(void)json_array_insert_new(list, 0, json_string("CMD"));
		else
			list = json_pack("[s, s]", "CMD-SHELL", rest);
	} else if (r >= 0) {
		r = bad(e, name, "NONE, or options and CMD, follow");
	}
	if (r < 0) {
		json_decref(health);
		return r;
	}
	(void)json_object_set_new(health, "Test", list);
	(void)json_object_set_new(config, "Healthcheck", health);
	return 0;
}

int image_change(json_t *config, const char *instruction, struct err *e)
{
	static const struct {
		const char *name;
		int (*change)(json_t *config, const char *name, const char *rest, struct err *e);
	} row[] = {
		{ "CMD", change_command },
		{ "ENTRYPOINT", change_command },
		{ "ENV", change_pairs },
		{ "EXPOSE", change_list },
		{ "HEALTHCHECK", change_health },
		{ "LABEL", change_pairs },
		{ "ONBUILD", change_onbuild },
		{ "STOPSIGNAL", change_string },
		{ "USER", change_string },
		{ "VOLUME", change_list },
		{ "WORKDIR", change_string },
	};
	g_autofree char *copy = g_strstrip(g_strdup(instruction)), *name = NULL;
	size_t n = strcspn(copy, " \t");
	const char *rest = copy + n;

	if (!g_utf8_validate(copy, -1, NULL))
		return bad(e, "?", "it isn't UTF-8");
	name = g_ascii_strup(copy, (gssize)n);
	while (g_ascii_isspace(*rest))
		rest++;
	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++)
		if (strcmp(name, row[i].name) == 0)
			return row[i].change(config, name, rest, e);
	return err_set(e, -E_INVALID, "'%s' is not a valid change command", name);
}
