/* SPDX-License-Identifier: MIT */
/* Values that are little languages: mounts, ports, devices, networks. Pure, but that "." is this folder. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/cli-run.h"

/* --- CSV (RFC 4180, one line) ---------------------------------------------------------------------------------- */

int cli_csv(const char *text, char ***ret, struct err *e)
{
	g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(g_free);
	const char *p = text;

	if (!*text)
		return err_set(e, -EINVAL, "EOF");
	for (;; p++) {
		GString *field = g_string_new(NULL);
		bool quoted = *p == '"';

		p += quoted;
		for (; *p && (quoted || *p != ','); p++) {
			if (*p == '"' && quoted && p[1] != '"') {
				p++;
				quoted = false;
				break;
			}
			p += *p == '"' && quoted;
			g_string_append_c(field, *p);
		}
		g_ptr_array_add(fields, g_string_free(field, FALSE));
		if (quoted || (*p && *p != ','))
			return err_set(e, -EINVAL,
				"parse error on line 1, column %d: extraneous or missing \" in "
				"quoted-field",
				(int)(p - text) + 1);
		if (!*p)
			break;
	}
	g_ptr_array_add(fields, NULL);
	*ret = (char **)g_ptr_array_steal(fields, NULL);
	return 0;
}

static int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True", NULL };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False", NULL };

	*ret = g_strv_contains(yes, s);
	return *ret || g_strv_contains(no, s) ? 0 : -EINVAL;
}

/* --- ulimits, GPUs ------------------------------------------------------------------------------------------------ */

int cli_ulimit(const char *text, json_t **ret, struct err *e)
{
	static const char *const names[] = { "core", "cpu", "data", "fsize", "locks", "memlock",
		"msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
		"stack", NULL };
	const char *equals = strchr(text, '=');
	g_autofree char *name = equals ? g_strndup(text, (gsize)(equals - text)) : NULL;
	g_auto(GStrv) parts = NULL;
	int64_t v[2] = { 0 };

	if (!equals)
		return err_set(e, -EINVAL, "invalid ulimit argument: %s", text);
	if (!g_strv_contains(names, name))
		return err_set(e, -EINVAL, "invalid ulimit type: %s", name);
	parts = g_strsplit(equals + 1, ":", -1);
	if (g_strv_length(parts) > 2)
		return err_set(e, -EINVAL,
			"too many limit value arguments - %s, can only have up to two, "
			"`soft[:hard]`",
			equals + 1);
	for (int i = 0; i < 2; i++) {
		const char *s = parts[i] ?: parts[0] ?: "";

		if (units_parse_int(s, INT64_MIN, INT64_MAX, &v[i]) < 0)
			return err_set(
				e, -EINVAL, "strconv.ParseInt: parsing \"%s\": invalid syntax", s);
	}
	if (v[1] != -1 && (v[0] == -1 || v[0] > v[1]))
		return err_set(e, -EINVAL,
			"ulimit soft limit must be less than or equal to hard limit: %lld > %lld",
			(long long)v[0], (long long)v[1]);
	*ret = json_pack(
		"{s:s,s:I,s:I}", "Name", name, "Hard", (json_int_t)v[1], "Soft", (json_int_t)v[0]);
	return 0;
}

/* One field of --gpus; "" for the key is a count. */
static int gpu_field(
	json_t *j, const char *key, const char *value, const char *field, struct err *e)
{
	int64_t n;

	if (strcmp(key, "driver") == 0) {
		json_object_set_new(j, "Driver", json_string(value));
	} else if (strcmp(key, "count") == 0) {
		if (strcmp(value, "all") == 0)
			n = -1;
		else if (units_parse_int(value, INT32_MIN, INT32_MAX, &n) < 0)
			return err_set(e, -EINVAL,
				"invalid count (%s): value must be either \"all\" or an integer: "
				"invalid syntax",
				value);
		json_object_set_new(j, "Count", json_integer(n));
	} else if (strcmp(key, "device") == 0 || strcmp(key, "capabilities") == 0) {
		g_auto(GStrv) words = g_strsplit(value, ",", -1);
		json_t *list = cli_strings(words);

		if (*key == 'd') {
			json_object_set_new(j, "DeviceIDs", list);
		} else {
			json_array_append_new(list, json_string("gpu"));
			json_object_set_new(j, "Capabilities", json_pack("[o]", list));
		}
	} else if (strcmp(key, "options") == 0) {
		g_auto(GStrv) words = g_strsplit(value, ",", -1);

		json_object_set_new(j, "Options", cli_pairs(words));
	} else {
		return err_set(e, -EINVAL, "unexpected key '%s' in '%s'", key, field);
	}
	return 0;
}

int cli_gpus(const char *text, json_t **ret, struct err *e)
{
	g_auto(GStrv) fields = NULL;
	int r = cli_csv(text, &fields, e);
	json_t *j;

	if (r < 0)
		return r;
	j = json_pack("{s:s,s:i,s:n,s:[[s]],s:{}}", "Driver", "", "Count", 0, "DeviceIDs",
		"Capabilities", "gpu", "Options");
	for (char **f = fields; *f && r >= 0; f++) {
		const char *equals = strchr(*f, '=');
		g_autofree char *key =
			equals ? g_strndup(*f, (gsize)(equals - *f)) : g_strdup("count");

		r = gpu_field(j, key, equals ? equals + 1 : *f, *f, e);
	}
	if (r >= 0 && !json_is_array(json_object_get(j, "DeviceIDs")) &&
		cli_number(j, "Count") == 0)
		json_object_set_new(j, "Count", json_integer(1));
	if (r < 0)
		json_decref(j);
	else
		*ret = j;
	return r;
}

/* --- mounts --------------------------------------------------------------------------------------------------------- */

static json_t *member(json_t *j, const char *key)
{
	if (!json_object_get(j, key))
		json_object_set_new(j, key, json_object());
	return json_object_get(j, key);
}

/* "K=V" into a map below. */
static void add_pair(json_t *to, const char *key, const char *value)
{
	char *words[] = { (char *)value, NULL };
	json_t *pair = cli_pairs(words);

	(void)json_object_update(member(to, key), pair);
	json_decref(pair);
}

static int mount_flag(
	json_t *j, const char *key, const char *name, const char *value, struct err *e)
{
	bool on = true;

	if (value && parse_bool(value, &on) < 0)
		return err_set(e, -EINVAL, "invalid value for %s: %s", name, value);
	json_object_set_new(j, key, json_boolean(on));
	return 0;
}

static int mount_tmpfs(json_t *m, const char *key, const char *value, struct err *e)
{
	json_t *j = member(m, "TmpfsOptions");
	int64_t n;

	if (strcmp(key, "tmpfs-size") == 0) {
		if (units_parse_size(value, &n) < 0)
			return err_set(e, -EINVAL, "invalid value for tmpfs-size: %s", value);
		json_object_set_new(j, "SizeBytes", json_integer(n));
		return 0;
	}
	if (!*value || value[strspn(value, "01234567")] || strlen(value) > 10)
		return err_set(e, -EINVAL, "invalid value for tmpfs-mode: %s", value);
	json_object_set_new(j, "Mode", json_integer((json_int_t)g_ascii_strtoull(value, NULL, 8)));
	return 0;
}

static int mount_recursive(json_t *m, const char *value, struct err *e)
{
	json_t *j = member(m, "BindOptions");

	if (strcmp(value, "disabled") == 0)
		json_object_set_new(j, "NonRecursive", json_true());
	else if (strcmp(value, "writable") == 0)
		json_object_set_new(j, "ReadOnlyNonRecursive", json_true());
	else if (strcmp(value, "readonly") == 0)
		json_object_set_new(j, "ReadOnlyForceRecursive", json_true());
	else if (strcmp(value, "enabled") != 0)
		return err_set(e, -EINVAL,
			"invalid value for bind-recursive: %s (must be \"enabled\", \"disabled\", "
			"\"writable\", or \"readonly\")",
			value);
	return 0;
}

static int mount_field(
	json_t *m, const char *key, const char *value, const char *field, struct err *e)
{
	static const struct {
		const char *key, *member, *below;
	} texts[] = { { "source", "Source", NULL }, { "src", "Source", NULL },
		{ "target", "Target", NULL }, { "dst", "Target", NULL },
		{ "destination", "Target", NULL }, { "consistency", "Consistency", NULL },
		{ "bind-propagation", "Propagation", "BindOptions" },
		{ "volume-subpath", "Subpath", "VolumeOptions" },
		{ "image-subpath", "Subpath", "ImageOptions" } };

	if (strcmp(key, "type") == 0) {
		g_autofree char *lower = g_ascii_strdown(value, -1);

		json_object_set_new(m, "Type", json_string(lower));
		return 0;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *here = NULL;

		if (strcmp(texts[i].key, key) != 0)
			continue;
		if (strcmp(texts[i].member, "Source") == 0 &&
			(strcmp(value, ".") == 0 || g_str_has_prefix(value, "./") ||
				g_str_has_prefix(value, "../") || strcmp(value, "..") == 0))
			here = g_canonicalize_filename(value, NULL);
		json_object_set_new(texts[i].below ? member(m, texts[i].below) : m, texts[i].member,
			json_string(here ?: value));
		return 0;
	}
	if (strcmp(key, "bind-recursive") == 0)
		return mount_recursive(m, value, e);
	if (strcmp(key, "volume-label") == 0)
		add_pair(member(m, "VolumeOptions"), "Labels", value);
	else if (strcmp(key, "volume-driver") == 0)
		json_object_set_new(member(member(m, "VolumeOptions"), "DriverConfig"), "Name",
			json_string(value));
	else if (strcmp(key, "volume-opt") == 0)
		add_pair(member(member(m, "VolumeOptions"), "DriverConfig"), "Options", value);
	else if (g_str_has_prefix(key, "tmpfs-"))
		return mount_tmpfs(m, key, value, e);
	else
		return err_set(e, -EINVAL, "unexpected key '%s' in '%s'", key, field);
	return 0;
}

static int mount_word(json_t *m, const char *field, struct err *e)
{
	const char *equals = strchr(field, '=');
	g_autofree char *name =
		equals ? g_strndup(field, (gsize)(equals - field)) : g_strdup(field);
	g_autofree char *key = g_ascii_strdown(name, -1);
	const char *value = equals ? equals + 1 : NULL;

	if (strcmp(key, "readonly") == 0 || strcmp(key, "ro") == 0)
		return mount_flag(m, "ReadOnly", key, value, e);
	if (strcmp(key, "volume-nocopy") == 0)
		return mount_flag(member(m, "VolumeOptions"), "NoCopy", key, value, e);
	if (strcmp(key, "bind-nonrecursive") == 0)
		return mount_flag(member(m, "BindOptions"), "NonRecursive", key, value, e);
	if (!value)
		return err_set(e, -EINVAL, "invalid field '%s' must be a key=value pair", field);
	return mount_field(m, key, value, field, e);
}

int cli_mount(const char *text, json_t **ret, struct err *e)
{
	static const struct {
		const char *member, *type, *words;
	} mixed[] = { { "VolumeOptions", "volume", "volume-*" },
		{ "BindOptions", "bind", "bind-*" }, { "TmpfsOptions", "tmpfs", "tmpfs-*" },
		{ "ImageOptions", "image", "image-*" } };
	g_auto(GStrv) fields = NULL;
	int r = cli_csv(text, &fields, e);
	json_t *m;
	const char *type;

	if (r < 0)
		return r;
	m = json_pack("{s:s}", "Type", "volume");
	for (char **f = fields; *f && r >= 0; f++)
		r = mount_word(m, *f, e);
	type = cli_text(m, "Type");
	if (r >= 0 && !*type)
		r = err_set(e, -EINVAL, "type is required");
	if (r >= 0 && !*cli_text(m, "Target"))
		r = err_set(e, -EINVAL, "target is required");
	for (size_t i = 0; i < G_N_ELEMENTS(mixed) && r >= 0; i++)
		if (json_object_get(m, mixed[i].member) && strcmp(type, mixed[i].type) != 0)
			r = err_set(e, -EINVAL, "cannot mix '%s' options with mount type '%s'",
				mixed[i].words, type);
	if (r < 0)
		json_decref(m);
	else
		*ret = m;
	return r;
}

int cli_volume(const char *text, json_t *binds, json_t *volumes, struct err *e)
{
	const char *colon = strchr(text, ':');
	g_autofree char *from = NULL;

	if (!*text)
		return err_set(e, -E_INVALID, "invalid empty volume spec");
	if (!colon) {
		json_object_set_new(volumes, text, json_object());
		return 0;
	}
	if (colon == text || !colon[1])
		return err_set(
			e, -E_INVALID, "invalid spec: %s: empty section between colons", text);
	if (*text == '.') {
		g_autofree char *host = g_strndup(text, (gsize)(colon - text));

		from = g_canonicalize_filename(host, NULL);
		json_array_append_new(binds, json_sprintf("%s%s", from, colon));
	} else {
		json_array_append_new(binds, json_string(text));
	}
	return 0;
}

/* --- devices --------------------------------------------------------------------------------------------------------- */

static bool is_device_mode(const char *s)
{
	return *s && s[strspn(s, "rwm")] == '\0' && strlen(s) <= 3;
}

int cli_device(const char *text, json_t **ret, struct err *e)
{
	g_auto(GStrv) p = g_strsplit(text, ":", -1);
	guint n = g_strv_length(p);
	const char *to = p[0], *mode = "rwm";

	if (n < 1 || n > 3 || !*p[0])
		return err_set(e, -E_INVALID, "invalid device specification: %s", text);
	if (n == 3) {
		to = *p[1] ? p[1] : p[0];
		mode = p[2];
	} else if (n == 2 && is_device_mode(p[1])) {
		mode = p[1];
	} else if (n == 2) {
		to = p[1];
	}
	if (!is_device_mode(mode))
		return err_set(e, -E_INVALID, "bad mode specified: %s", mode);
	*ret = json_pack("{s:s,s:s,s:s}", "PathOnHost", p[0], "PathInContainer", to,
		"CgroupPermissions", mode);
	return 0;
}

/* --- ports ---------------------------------------------------------------------------------------------------------------- */

/* "80" or "80-90". */
static int port_range(const char *text, int *ret_from, int *ret_to)
{
	g_auto(GStrv) p = g_strsplit(text, "-", 2);
	int64_t from, to;

	if (!p[0] || units_parse_int(p[0], 0, 65535, &from) < 0)
		return -EINVAL;
	to = from;
	if (p[1] && units_parse_int(p[1], 0, 65535, &to) < 0)
		return -EINVAL;
	if (to < from)
		return -ERANGE;
	*ret_from = (int)from;
	*ret_to = (int)to;
	return 0;
}

static bool is_protocol(const char *s)
{
	static const char *const all[] = { "tcp", "udp", "sctp", NULL };
	g_autofree char *lower = g_ascii_strdown(s, -1);

	return g_strv_contains(all, lower);
}

static void add_binding(json_t *bindings, const char *port, const char *ip, const char *host)
{
	json_t *list = json_object_get(bindings, port);

	if (!list) {
		list = json_array();
		json_object_set_new(bindings, port, list);
	}
	json_array_append_new(list, json_pack("{s:s,s:s}", "HostIp", ip, "HostPort", host));
}

struct port_words {
	char *ip, *host, *container, *protocol;
};

static int add_ports(const struct port_words *w, json_t *exposed, json_t *bindings, struct err *e)
{
	int from, to, host_from = 0, host_to = 0;
	g_autofree char *protocol = g_ascii_strdown(w->protocol, -1);

	if (!*w->container)
		return err_set(e, -E_INVALID, "no port specified: %s<empty>", w->host);
	if (port_range(w->container, &from, &to) < 0)
		return err_set(e, -E_INVALID, "invalid containerPort: %s", w->container);
	if (*w->host && port_range(w->host, &host_from, &host_to) < 0)
		return err_set(e, -E_INVALID, "invalid hostPort: %s", w->host);
	if (!is_protocol(protocol))
		return err_set(e, -E_INVALID, "invalid proto: %s", protocol);
	/* a range for one port is the server's to choose from */
	if (*w->host && host_to - host_from != to - from && to != from)
		return err_set(e, -E_INVALID,
			"invalid ranges specified for container and host Ports: %s and %s",
			w->container, w->host);
	for (int p = from; p <= to; p++) {
		g_autofree char *port = g_strdup_printf("%d/%s", p, protocol);
		g_autofree char *host = !*w->host ? g_strdup("")
					: to == from && host_to != host_from
						? g_strdup(w->host)
						: g_strdup_printf("%d", host_from + p - from);

		json_object_set_new(exposed, port, json_object());
		if (bindings)
			add_binding(bindings, port, w->ip, host);
	}
	return 0;
}

/* "target=80,published=8080,protocol=udp,mode=host" */
static int publish_long(const char *text, json_t *exposed, json_t *bindings, struct err *e)
{
	g_auto(GStrv) fields = NULL;
	struct port_words w = { (char *)"", (char *)"", (char *)"", (char *)"tcp" };
	int r = cli_csv(text, &fields, e);

	for (char **f = fields; r >= 0 && *f; f++) {
		char *equals = strchr(*f, '=');

		if (!equals)
			return err_set(e, -E_INVALID, "invalid field: %s", *f);
		*equals++ = '\0';
		if (strcmp(*f, "target") == 0)
			w.container = equals;
		else if (strcmp(*f, "published") == 0)
			w.host = equals;
		else if (strcmp(*f, "protocol") == 0)
			w.protocol = equals;
		else if (strcmp(*f, "mode") != 0)
			return err_set(e, -E_INVALID, "invalid field key: %s", *f);
	}
	return r < 0 ? r : add_ports(&w, exposed, bindings, e);
}

int cli_publish(const char *text, json_t *exposed, json_t *bindings, struct err *e)
{
	const char *slash = strrchr(text, '/');
	g_autofree char *rest = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
	g_autofree char *ip = NULL;
	struct port_words w = { (char *)"", (char *)"", NULL, (char *)(slash ? slash + 1 : "tcp") };
	char *colon;

	if (strchr(text, '='))
		return publish_long(text, exposed, bindings, e);
	colon = strrchr(rest, ':');
	w.container = colon ? colon + 1 : rest;
	if (colon) {
		*colon = '\0';
		w.host = rest;
		/* what is left is "[IP:]HOST", the IP perhaps with colons in brackets */
		colon = strrchr(rest, ':');
		if (colon) {
			*colon = '\0';
			w.host = colon + 1;
			ip = *rest == '[' && g_str_has_suffix(rest, "]")
				     ? g_strndup(rest + 1, strlen(rest) - 2)
				     : g_strdup(rest);
			w.ip = ip;
			if (strchr(ip, ':') ? !g_hostname_is_ip_address(ip)
					    : (*ip && !g_hostname_is_ip_address(ip)))
				return err_set(e, -E_INVALID, "invalid IP address: %s", ip);
		}
	}
	return add_ports(&w, exposed, bindings, e);
}

int cli_expose(const char *text, json_t *exposed, struct err *e)
{
	const char *slash = strchr(text, '/');
	g_autofree char *port = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
	int from, to;

	if (strchr(text, ':'))
		return err_set(e, -E_INVALID, "invalid port format for --expose: %s", text);
	if (port_range(port, &from, &to) < 0)
		return err_set(e, -E_INVALID,
			"invalid range format for --expose: %s, error: Invalid containerPort: %s",
			text, port);
	for (int p = from; p <= to; p++) {
		g_autofree char *key = g_strdup_printf("%d/%s", p, slash ? slash + 1 : "tcp");

		json_object_set_new(exposed, key, json_object());
	}
	return 0;
}

/* --- networks --------------------------------------------------------------------------------------------------------------- */

static int network_field(json_t *ep, char **name, const char *key, const char *value,
	const char *field, struct err *e)
{
	static const struct {
		const char *key, *member;
	} ipam[] = { { "ip", "IPv4Address" }, { "ip6", "IPv6Address" } };

	for (size_t i = 0; i < G_N_ELEMENTS(ipam); i++)
		if (strcmp(key, ipam[i].key) == 0) {
			json_object_set_new(
				member(ep, "IPAMConfig"), ipam[i].member, json_string(value));
			return 0;
		}
	if (strcmp(key, "name") == 0) {
		g_free(*name);
		*name = g_strdup(value);
	} else if (strcmp(key, "alias") == 0 || strcmp(key, "link-local-ip") == 0) {
		json_t *at = *key == 'a' ? ep : member(ep, "IPAMConfig");
		const char *list = *key == 'a' ? "Aliases" : "LinkLocalIPs";

		if (!json_object_get(at, list))
			json_object_set_new(at, list, json_array());
		json_array_append_new(json_object_get(at, list), json_string(value));
	} else if (strcmp(key, "mac-address") == 0) {
		json_object_set_new(ep, "MacAddress", json_string(value));
	} else if (strcmp(key, "driver-opt") == 0) {
		add_pair(ep, "DriverOpts", value);
	} else if (strcmp(key, "gw-priority") == 0) {
		int64_t n;

		if (units_parse_int(value, INT32_MIN, INT32_MAX, &n) < 0)
			return err_set(
				e, -E_INVALID, "invalid gw-priority (%s): invalid syntax", value);
		json_object_set_new(ep, "GwPriority", json_integer(n));
	} else {
		return err_set(e, -E_INVALID, "invalid field key %s", field);
	}
	return 0;
}

int cli_network(const char *text, json_t **ret_endpoint, char **ret_name, struct err *e)
{
	g_auto(GStrv) fields = NULL;
	g_autofree char *name = NULL;
	json_t *ep = json_object();
	int r = 0;

	if (strchr(text, '=')) {
		r = cli_csv(text, &fields, e);
		for (char **f = fields; r >= 0 && *f; f++) {
			char *equals = strchr(*f, '=');
			g_autofree char *key = equals ? g_strndup(*f, (gsize)(equals - *f)) : NULL;

			r = equals ? network_field(ep, &name, key, equals + 1, *f, e)
				   : err_set(e, -E_INVALID, "invalid field %s", *f);
		}
		if (r >= 0 && !name)
			r = err_set(e, -E_INVALID, "network name/id is not specified");
	} else {
		name = g_strdup(text);
		if (!*name)
			r = err_set(e, -E_INVALID, "no name set for network");
	}
	if (r < 0) {
		json_decref(ep);
		return r;
	}
	*ret_endpoint = ep;
	*ret_name = g_steal_pointer(&name);
	return 0;
}
