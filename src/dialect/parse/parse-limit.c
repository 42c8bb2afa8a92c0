/* SPDX-License-Identifier: MIT */
/* Limits, devices, restart policies: docker-cli's reference, "container run". */

#include <string.h>
#include "base/units.h"
#include "dialect/parse/parse.h"

static const char *const rlimit_names[] = { "as", "core", "cpu", "data", "fsize", "locks",
	"memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
	"stack", NULL };

static int ulimit_value(const char *s, uint64_t *ret)
{
	int64_t v;

	if (g_str_equal(s, "-1") || g_str_equal(s, "unlimited")) {
		*ret = UINT64_MAX;
		return 0;
	}
	if (units_parse_int(s, 0, INT64_MAX, &v) < 0)
		return -E_USAGE;
	*ret = v;
	return 0;
}

int parse_ulimit(const char *s, struct spec *spec, struct err *e)
{
	g_auto(GStrv) kv = g_strsplit(s, "=", 2);
	uint64_t soft, hard;

	if (!kv[0] || !kv[1])
		return err_set(e, -E_USAGE, "invalid ulimit '%s': not NAME=SOFT[:HARD]", s);
	if (!g_strv_contains(rlimit_names, kv[0]))
		return err_set(
			e, -E_USAGE, "invalid ulimit '%s': no limit is named '%s'", s, kv[0]);
	g_auto(GStrv) v = g_strsplit(kv[1], ":", 2);
	if (!v[0] || ulimit_value(v[0], &soft) < 0 || ulimit_value(v[1] ?: v[0], &hard) < 0)
		return err_set(e, -E_USAGE, "invalid ulimit '%s': '%s' is not a number", s, kv[1]);
	if (soft > hard)
		return err_set(e, -E_USAGE,
			"invalid ulimit '%s': the soft limit is above the hard one", s);
	spec_add_rlimit(spec, kv[0], soft, hard);
	return 0;
}

static bool is_access(const char *s)
{
	return *s && strspn(s, "rwm") == strlen(s) && strlen(s) <= 3;
}

int parse_device(const char *s, struct spec *spec, struct err *e)
{
	g_auto(GStrv) p = g_strsplit(s, ":", -1);
	unsigned n = g_strv_length(p);
	const char *guest, *access = "rwm";

	if (n < 1 || n > 3 || p[0][0] != '/')
		return err_set(e, -E_USAGE, "invalid device '%s': not HOST[:GUEST[:rwm]]", s);
	guest = p[0];
	if (n == 3) {
		guest = p[1];
		access = p[2];
	} else if (n == 2) {
		*(is_access(p[1]) ? &access : &guest) = p[1];
	}
	if (guest[0] != '/')
		return err_set(
			e, -E_USAGE, "invalid device '%s': '%s' is not an absolute path", s, guest);
	if (!is_access(access))
		return err_set(
			e, -E_USAGE, "invalid device '%s': mode '%s' is not of 'rwm'", s, access);
	spec_add_device(spec, p[0], guest, access);
	return 0;
}

static const char *rule_number(const char *s)
{
	if (*s == '*')
		return s + 1;
	if (!g_ascii_isdigit(*s))
		return NULL;
	while (g_ascii_isdigit(*s))
		s++;
	return s;
}

int parse_device_rule(const char *s, struct err *e)
{
	const char *p = s;

	if ((*p == 'a' || *p == 'b' || *p == 'c') && p[1] == ' ') {
		p = rule_number(p + 2);
		if (p && *p == ':')
			p = rule_number(p + 1);
		else
			p = NULL;
		if (p && *p == ' ' && is_access(p + 1))
			return 0;
	}
	return err_set(e, -E_USAGE, "invalid device rule '%s': not 'a|b|c MAJOR:MINOR rwm'", s);
}

int parse_device_rate(const char *s, const char *key, bool bytes, struct spec *spec, struct err *e)
{
	const char *colon = strrchr(s, ':');
	int64_t rate;
	int r;

	if (!colon || s[0] != '/')
		return err_set(e, -E_USAGE, "invalid device rate '%s': not PATH:RATE", s);
	if (bytes)
		r = units_parse_size(colon + 1, &rate);
	else
		r = units_parse_int(colon + 1, 0, INT64_MAX, &rate);
	if (r < 0 || rate < 0)
		return err_set(
			e, -E_USAGE, "invalid device rate '%s': '%s' is not a rate", s, colon + 1);
	g_autofree char *value =
		g_strdup_printf("%.*s:%" G_GINT64_FORMAT, (int)(colon - s), s, rate);
	spec_add_pair(spec->limits.io, key, value);
	return 0;
}

int parse_cpus(const char *s, int64_t *ret_nano, struct err *e)
{
	int64_t nano = 0, scale = 1000000000;
	const char *p = s;

	for (; g_ascii_isdigit(*p) && nano <= 100000; p++)
		nano = nano * 10 + (*p - '0');
	nano *= scale;
	if (*p == '.' && p > s)
		for (p++; g_ascii_isdigit(*p) && scale > 1; p++) {
			scale /= 10;
			nano += (*p - '0') * scale;
		}
	if (*p || p == s)
		return err_set(e, -E_USAGE, "invalid number of processors '%s'", s);
	*ret_nano = nano;
	return 0;
}

int parse_cpuset(const char *s, struct err *e)
{
	g_auto(GStrv) parts = g_strsplit(s, ",", -1);

	for (char **p = parts; *p; p++) {
		g_auto(GStrv) ab = g_strsplit(*p, "-", 2);
		int64_t a, b;

		if (!ab[0] || units_parse_int(ab[0], 0, 8191, &a) < 0 ||
			units_parse_int(ab[1] ?: ab[0], 0, 8191, &b) < 0 || b < a)
			return err_set(e, -E_USAGE, "invalid set '%s': not like '0-2,4'", s);
	}
	return parts[0] ? 0 : err_set(e, -E_USAGE, "invalid set '': empty");
}

int parse_memory_swap(const char *s, int64_t *ret, struct err *e)
{
	if (g_str_equal(s, "-1")) {
		*ret = -1;
		return 0;
	}
	if (units_parse_size(s, ret) < 0 || *ret < 0)
		return err_set(e, -E_USAGE, "invalid size '%s'", s);
	return 0;
}

int parse_restart(const char *s, enum spec_restart *ret, int *ret_max, struct err *e)
{
	static const char *const names[] = { "no", "on-failure", "always", "unless-stopped" };
	g_auto(GStrv) p = g_strsplit(s, ":", 2);
	int64_t max = 0;

	*ret_max = 0;
	if (!p[0] || !*p[0]) {
		*ret = RESTART_NO;
		return 0;
	}
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		if (!g_str_equal(p[0], names[i]))
			continue;
		if (p[1] &&
			(i != RESTART_ON_FAILURE || units_parse_int(p[1], 0, 1000000, &max) < 0))
			break;
		*ret = i;
		*ret_max = max;
		return 0;
	}
	return err_set(e, -E_USAGE,
		"invalid restart policy '%s': not no, on-failure[:N], always or unless-stopped", s);
}

int parse_pair(const char *s, bool need_value, char **ret_key, char **ret_value, struct err *e)
{
	const char *eq = strchr(s, '=');

	if (eq == s || !*s || (!eq && need_value))
		return err_set(e, -E_USAGE, "invalid pair '%s': not KEY=VALUE", s);
	*ret_key = eq ? g_strndup(s, eq - s) : g_strdup(s);
	*ret_value = g_strdup(eq ? eq + 1 : "");
	return 0;
}

int parse_log_opt(const char *s, struct spec *spec, struct err *e)
{
	g_autofree char *key = NULL, *value = NULL;
	int64_t v;
	int r;

	r = parse_pair(s, true, &key, &value, e);
	if (r < 0)
		return r;
	if (g_str_equal(key, "max-size")) {
		if (g_str_equal(value, "-1"))
			v = 0;
		else if (units_parse_size(value, &v) < 0 || v < 4096)
			return err_set(
				e, -E_USAGE, "invalid log option '%s': a size of at least 4k", s);
		spec->log_max_size = v;
	} else if (g_str_equal(key, "max-file")) {
		if (units_parse_int(value, 1, 1000, &v) < 0)
			return err_set(
				e, -E_USAGE, "invalid log option '%s': a number of 1 to 1000", s);
		spec->log_max_files = v;
	} else {
		return err_set(e, -E_USAGE,
			"unknown log option '%s': there are max-size and max-file", key);
	}
	return 0;
}
