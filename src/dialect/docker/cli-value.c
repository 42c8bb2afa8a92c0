/* SPDX-License-Identifier: MIT */
/* What an option's value means, and what is wrong with it in the words of docker and Go. Pure but for --env-file. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/units.h"
#include "dialect/docker/cli-run.h"

/* --- numbers and times -------------------------------------------------------------------------------------- */

static int check_int(const char *value, int64_t min, int64_t max, bool is_unsigned, struct err *e)
{
	int64_t n;
	int r = units_parse_int(*value == '+' ? value + 1 : value, min, max, &n);
	const char *function = is_unsigned ? "ParseUint" : "ParseInt";

	/* a number with a minus is no unsigned number at all to Go */
	if (r == -ERANGE && is_unsigned && *value == '-')
		r = -EINVAL;
	if (r == -ERANGE)
		return err_set(
			e, r, "strconv.%s: parsing \"%s\": value out of range", function, value);
	if (r < 0)
		return err_set(e, r, "strconv.%s: parsing \"%s\": invalid syntax", function, value);
	return 0;
}

/* Go's time.ParseDuration. */
static int parse_duration(const char *value, int64_t *ret, struct err *e)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "µs", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
		{ "m", 60e9 }, { "h", 3600e9 } };
	const char *p = value;
	bool negative = *p == '-';
	double sum = 0;

	p += *p == '-' || *p == '+';
	if (strcmp(p, "0") == 0) {
		*ret = 0;
		return 0;
	}
	if (!*p)
		return err_set(e, -EINVAL, "time: invalid duration \"%s\"", value);
	while (*p) {
		size_t digits = strspn(p, "0123456789."), n, i;
		g_autofree char *number = g_strndup(p, digits);

		if (digits == 0 || strcmp(number, ".") == 0 ||
			strchr(number, '.') != strrchr(number, '.'))
			return err_set(e, -EINVAL, "time: invalid duration \"%s\"", value);
		p += digits;
		n = strcspn(p, "0123456789.");
		if (n == 0)
			return err_set(e, -EINVAL, "time: missing unit in duration \"%s\"", value);
		for (i = 0; i < G_N_ELEMENTS(units); i++)
			if (strlen(units[i].name) == n && strncmp(units[i].name, p, n) == 0)
				break;
		if (i == G_N_ELEMENTS(units))
			return err_set(e, -EINVAL, "time: unknown unit \"%.*s\" in duration \"%s\"",
				(int)n, p, value);
		sum += g_ascii_strtod(number, NULL) * units[i].ns;
		p += n;
	}
	if (sum > 9.2e18)
		return err_set(e, -EINVAL, "time: invalid duration \"%s\"", value);
	*ret = negative ? -(int64_t)sum : (int64_t)sum;
	return 0;
}

static int parse_nano_cpus(const char *value, int64_t *ret, struct err *e)
{
	size_t whole = strspn(value, "0123456789"), n = strlen(value);
	const char *dot = value + whole;
	size_t digits = *dot == '.' ? strspn(dot + 1, "0123456789") : 0;
	int64_t fraction = 0, scale = 100000000;

	if (n == 0 || whole > 9 || whole + (*dot == '.' ? 1 + digits : 0) != n ||
		whole + digits == 0)
		return err_set(e, -EINVAL, "failed to parse %s as a rational number", value);
	for (size_t i = 0; i < digits; i++, scale /= 10) {
		if (scale == 0 && dot[1 + i] != '0')
			return err_set(e, -EINVAL, "value is too precise");
		fraction += scale * (dot[1 + i] - '0');
	}
	*ret = (int64_t)g_ascii_strtoull(value, NULL, 10) * 1000000000 + fraction;
	return 0;
}

static int check_bytes(const struct opt *o, const char *value, struct err *e)
{
	int64_t n;

	if (strcmp(o->name, "memory-swap") == 0 && strcmp(value, "-1") == 0)
		return 0;
	if (units_parse_size(value, &n) < 0)
		return err_set(e, -EINVAL, "invalid size: '%s'", value);
	return 0;
}

int64_t cli_int(const char *text, int64_t fallback)
{
	int64_t n = fallback;

	if (text)
		(void)units_parse_int(*text == '+' ? text + 1 : text, INT64_MIN, INT64_MAX, &n);
	return n;
}

int64_t cli_bytes(const char *text, int64_t fallback)
{
	int64_t n = fallback;

	if (text && strcmp(text, "-1") == 0)
		return -1;
	if (text)
		(void)units_parse_size(text, &n);
	return n;
}

int64_t cli_duration(const char *text)
{
	int64_t n = 0;

	if (text)
		(void)parse_duration(text, &n, NULL);
	return n;
}

int64_t cli_nano_cpus(const char *text)
{
	int64_t n = 0;

	if (text)
		(void)parse_nano_cpus(text, &n, NULL);
	return n;
}

bool cli_switch(int given, bool fallback)
{
	return given < 0 ? fallback : given > 0;
}

/* --- what a name of an option makes of its value ----------------------------------------------------------------- */

static int check_attach(const char *v, struct err *e)
{
	static const char *const all[] = { "stdin", "stdout", "stderr", NULL };
	g_autofree char *lower = g_ascii_strdown(v, -1);

	if (g_strv_contains(all, lower))
		return 0;
	return err_set(e, -EINVAL, "valid streams are STDIN, STDOUT and STDERR");
}

static bool is_address(const char *v)
{
	unsigned char buf[16];

	return inet_pton(AF_INET, v, buf) == 1 || inet_pton(AF_INET6, v, buf) == 1;
}

static int check_address(const char *v, struct err *e)
{
	g_autofree char *trimmed = g_strstrip(g_strdup(v));

	return is_address(trimmed)
		       ? 0
		       : err_set(e, -EINVAL, "IP address is not correctly formatted: %s", v);
}

static int check_add_host(const char *v, struct err *e)
{
	size_t n = strcspn(v, "=");
	g_autofree char *address = NULL;

	if (!v[n])
		n = strcspn(v, ":");
	if (!v[n] || n == 0)
		return err_set(e, -EINVAL, "bad format for add-host: \"%s\"", v);
	address = g_strdup(v + n + 1);
	if (*address == '[' && g_str_has_suffix(address, "]")) {
		address[strlen(address) - 1] = '\0';
		memmove(address, address + 1, strlen(address));
	}
	if (strcmp(address, "host-gateway") != 0 && !is_address(address))
		return err_set(e, -EINVAL, "invalid IP address in add-host: \"%s\"", address);
	return 0;
}

static int check_env(const char *v, struct err *e)
{
	return *v && *v != '=' ? 0 : err_set(e, -EINVAL, "invalid environment variable: %s", v);
}

static int check_label(const char *v, struct err *e)
{
	return *v && *v != '=' ? 0 : err_set(e, -EINVAL, "invalid label '%s': empty name", v);
}

static int check_link(const char *v, struct err *e)
{
	g_auto(GStrv) parts = g_strsplit(v, ":", -1);
	guint n = g_strv_length(parts);

	if (n == 0 || !*v)
		return err_set(e, -EINVAL, "empty string specified for links");
	return n > 2 ? err_set(e, -EINVAL, "bad format for links: %s", v) : 0;
}

static int check_sysctl(const char *v, struct err *e)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
		"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
		"kernel.shm_rmid_forced", NULL };
	g_autofree char *name = g_strndup(v, strcspn(v, "="));

	if (strchr(v, '=') && (g_strv_contains(ipc, name) || g_str_has_prefix(name, "net.") ||
				      g_str_has_prefix(name, "fs.mqueue.")))
		return 0;
	return err_set(e, -EINVAL, "sysctl '%s' is not allowed", v);
}

/* "PATH:WEIGHT" and "PATH:RATE". */
static int check_throttle(const struct opt *o, const char *v, struct err *e)
{
	const char *colon = strchr(v, ':');
	int64_t n;

	if (!colon || colon == v || !colon[1])
		return err_set(e, -EINVAL, "bad format: %s", v);
	if (!g_str_has_prefix(v, "/dev/"))
		return err_set(e, -EINVAL, "bad format for device path: %s", v);
	if (strcmp(o->name, "blkio-weight-device") == 0) {
		if (units_parse_int(colon + 1, 0, 1000, &n) < 0 || (n > 0 && n < 10))
			return err_set(e, -EINVAL, "invalid weight for device: %s", v);
	} else if (strstr(o->name, "bps")) {
		if (units_parse_size(colon + 1, &n) < 0)
			return err_set(e, -EINVAL,
				"invalid rate for device: %s. The correct format is "
				"<device-path>:<number>[<unit>]. Number must be a positive "
				"integer. Unit is optional and can be kb, mb, or gb",
				v);
	} else if (units_parse_int(colon + 1, 0, INT64_MAX, &n) < 0) {
		return err_set(e, -EINVAL,
			"invalid rate for device: %s. The correct format is "
			"<device-path>:<number>. Number must be a positive integer",
			v);
	}
	return 0;
}

static int check_list(const struct opt *o, const char *v, struct err *e)
{
	static const struct {
		const char *name;
		int (*check)(const char *v, struct err *e);
	} rows[] = { { "attach", check_attach }, { "add-host", check_add_host },
		{ "env", check_env }, { "label", check_label }, { "link", check_link },
		{ "dns", check_address }, { "link-local-ip", check_address } };

	if (g_str_has_prefix(o->name, "device-read") || g_str_has_prefix(o->name, "device-write") ||
		strcmp(o->name, "blkio-weight-device") == 0)
		return check_throttle(o, v, e);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].name, o->name) == 0)
			return rows[i].check(v, e);
	return 0;
}

static int check_spec(const struct opt *o, const char *v, struct err *e)
{
	json_t *j = NULL;
	int r = strcmp(o->metavar, "ulimit") == 0  ? cli_ulimit(v, &j, e)
		: strcmp(o->metavar, "mount") == 0 ? cli_mount(v, &j, e)
						   : cli_gpus(v, &j, e);

	json_decref(j);
	return r;
}

int cli_check_value(const struct opt *o, const char *v, struct err *e)
{
	const char *type = o->metavar;
	int64_t n;

	if (!type)
		return 0;
	if (strcmp(type, "int") == 0)
		return check_int(v, INT64_MIN, INT64_MAX, false, e);
	if (strcmp(type, "uint16") == 0)
		return check_int(v, 0, UINT16_MAX, true, e);
	if (strcmp(type, "uint") == 0)
		return check_int(v, 0, INT64_MAX, true, e);
	if (strcmp(type, "bytes") == 0)
		return check_bytes(o, v, e);
	if (strcmp(type, "duration") == 0)
		return parse_duration(v, &n, e);
	if (strcmp(type, "decimal") == 0)
		return parse_nano_cpus(v, &n, e);
	if (strcmp(type, "filter") == 0)
		return !*v || strchr(v, '=')
			       ? 0
			       : err_set(e, -EINVAL, "bad format of filter (expected name=value)");
	if (strcmp(type, "ulimit") == 0 || strcmp(type, "mount") == 0 ||
		strcmp(type, "gpu-request") == 0)
		return check_spec(o, v, e);
	if (strcmp(o->name, "sysctl") == 0)
		return check_sysctl(v, e);
	return strcmp(type, "list") == 0 ? check_list(o, v, e) : 0;
}

/* --- queries ---------------------------------------------------------------------------------------------------- */

json_t *cli_filters_json(char **list)
{
	json_t *j = json_object();

	for (char **f = list; f && *f; f++) {
		const char *equals = strchr(*f, '=');
		g_autofree char *name = NULL, *value = NULL, *lower = NULL;
		json_t *values;

		if (!equals)
			continue;
		name = g_strndup(*f, (gsize)(equals - *f));
		lower = g_strstrip(g_ascii_strdown(name, -1));
		value = g_strstrip(g_strdup(equals + 1));
		values = json_object_get(j, lower);
		if (!values) {
			values = json_object();
			json_object_set_new(j, lower, values);
		}
		json_object_set_new(values, value, json_true());
	}
	return j;
}

char *cli_filters(char **list)
{
	json_t *j = cli_filters_json(list);
	char *text = json_object_size(j) ? json_dumps(j, JSON_COMPACT) : NULL;
	char *ret = g_strdup(text);

	free(text);
	json_decref(j);
	return ret;
}

void cli_query(GString *path, const char *key, const char *value)
{
	g_string_append_c(path, strchr(path->str, '?') ? '&' : '?');
	g_string_append_printf(path, "%s=", key);
	g_string_append_uri_escaped(path, value, NULL, FALSE);
}

json_t *cli_pairs(char **list)
{
	json_t *j = json_object();

	for (; list && *list; list++) {
		const char *equals = strchr(*list, '=');
		g_autofree char *key =
			equals ? g_strndup(*list, (gsize)(equals - *list)) : g_strdup(*list);

		json_object_set_new(j, key, json_string(equals ? equals + 1 : ""));
	}
	return j;
}

json_t *cli_strings(char **list)
{
	json_t *j = json_array();

	for (; list && *list; list++)
		json_array_append_new(j, json_string(*list));
	return j;
}

/* --- environment and labels ----------------------------------------------------------------------------------------- */

/* A line of a file: "K=V", "K" (ours if we have it), "# ..." */
static int add_line(json_t *to, const char *line, const char *file, bool from_ours, struct err *e)
{
	g_autofree char *name = g_strndup(line, strcspn(line, "="));
	const char *ours;

	if (!*name)
		return err_set(e, -E_INVALID,
			"invalid env file (%s): no variable name on line '%s'", file, line);
	if (strpbrk(name, " \t"))
		return err_set(e, -E_INVALID,
			"invalid env file (%s): variable '%s' contains whitespaces", file, name);
	if (strchr(line, '=') || !from_ours) {
		json_array_append_new(to, json_string(line));
		return 0;
	}
	ours = g_getenv(name);
	if (ours)
		json_array_append_new(to, json_sprintf("%s=%s", name, ours));
	return 0;
}

static int add_file(json_t *to, const char *file, bool from_ours, struct err *e)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	gsize n;
	int r = 0;

	if (!g_file_get_contents(file, &text, &n, NULL))
		return err_set(e, -E_NOTFOUND, "open %s: %s", file,
			g_file_test(file, G_FILE_TEST_EXISTS) ? "permission denied"
							      : "no such file or directory");
	if (!g_utf8_validate(text, (gssize)n, NULL))
		return err_set(
			e, -E_INVALID, "invalid env file (%s): env file must be UTF-8", file);
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l && r >= 0; l++) {
		char *line = g_strchug(*l);

		if (g_str_has_suffix(line, "\r"))
			line[strlen(line) - 1] = '\0';
		if (*line && *line != '#')
			r = add_line(to, line, file, from_ours, e);
	}
	return r;
}

int cli_environment(char **list, char **files, bool from_ours, json_t **ret, struct err *e)
{
	json_t *j = json_array();
	int r = 0;

	for (; files && *files && r >= 0; files++)
		r = add_file(j, *files, from_ours, e);
	for (; list && *list && r >= 0; list++) {
		const char *ours = strchr(*list, '=') ? NULL : g_getenv(*list);

		if (ours)
			json_array_append_new(j, json_sprintf("%s=%s", *list, ours));
		else
			json_array_append_new(j, json_string(*list));
	}
	if (r < 0) {
		json_decref(j);
		return r;
	}
	*ret = j;
	return 0;
}

int cli_labels(char **list, char **files, json_t **ret, struct err *e)
{
	json_t *lines = NULL, *line;
	size_t i;
	int r = cli_environment(list, files, false, &lines, e);

	if (r < 0)
		return r;
	*ret = json_object();
	json_array_foreach(lines, i, line) {
		const char *text = json_string_value(line), *equals = strchr(text, '=');
		g_autofree char *key =
			equals ? g_strndup(text, (gsize)(equals - text)) : g_strdup(text);

		json_object_set_new(*ret, key, json_string(equals ? equals + 1 : ""));
	}
	json_decref(lines);
	return 0;
}

/* --- moments ------------------------------------------------------------------------------------------------------ */

int cli_moment(const char *text, char **ret, struct err *e)
{
	int64_t now = g_get_real_time() * 1000, ns;

	if (text[strspn(text, "0123456789.")] == '\0' && *text) {
		*ret = g_strdup(text);
		return 0;
	}
	if (parse_duration(text, &ns, NULL) >= 0)
		ns = now - ns;
	else if (units_parse_moment(text, now, &ns) < 0)
		return err_set(e, -E_INVALID,
			"invalid value for \"%s\": parsing time \"%s\": cannot parse", text, text);
	*ret = g_strdup_printf(
		"%lld.%09lld", (long long)(ns / CLI_SECOND), (long long)(ns % CLI_SECOND));
	return 0;
}

/* --- the keys that detach ------------------------------------------------------------------------------------------- */

static int one_key(const char *name, guint8 *ret)
{
	if (strlen(name) == 1) {
		*ret = (guint8)*name;
		return 0;
	}
	if (!g_str_has_prefix(name, "ctrl-") || strlen(name) != 6)
		return -EINVAL;
	name += 5;
	if (g_ascii_islower(*name))
		*ret = (guint8)(*name - 'a' + 1);
	else if (*name == '@')
		*ret = 0;
	else if (strchr("[\\]^_", *name))
		*ret = (guint8)(*name - '[' + 27);
	else
		return -EINVAL;
	return 0;
}

int cli_detach_keys(const char *text, GByteArray **ret, struct err *e)
{
	g_auto(GStrv) names = g_strsplit(text && *text ? text : "ctrl-p,ctrl-q", ",", -1);
	GByteArray *keys = g_byte_array_new();

	for (char **n = names; *n; n++) {
		guint8 key;

		if (one_key(*n, &key) < 0) {
			g_byte_array_unref(keys);
			return err_set(e, -E_INVALID,
				"invalid detach keys (%s): Unknown character: '%s'", text, *n);
		}
		g_byte_array_append(keys, &key, 1);
	}
	*ret = keys;
	return 0;
}
