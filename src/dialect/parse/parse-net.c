/* SPDX-License-Identifier: MIT */
/* -p, --expose, --network, --add-host: docker-cli's reference, "container run". */

#include <arpa/inet.h>
#include <string.h>
#include "base/units.h"
#include "dialect/parse/parse.h"

bool parse_is_ip(const char *s, int family)
{
	unsigned char buf[16];

	return inet_pton(family, s, buf) == 1;
}

bool parse_is_mac(const char *s)
{
	if (strlen(s) != 17)
		return false;
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != ':' : !g_ascii_isxdigit(s[i]))
			return false;
	return true;
}

/* "80" or "8000-8010" */
static int port_range(const char *s, uint16_t *first, uint16_t *count, struct err *e)
{
	const char *dash = strchr(s, '-');
	g_autofree char *a = dash ? g_strndup(s, dash - s) : g_strdup(s);
	int64_t lo, hi;

	if (units_parse_int(a, 1, 65535, &lo) < 0 ||
		units_parse_int(dash ? dash + 1 : a, 1, 65535, &hi) < 0 || hi < lo)
		return err_set(e, -E_USAGE, "invalid port '%s'", s);
	*first = lo;
	*count = hi - lo + 1;
	return 0;
}

/* Cuts "/proto" off s; *ret_proto is a literal. */
static int port_proto(char *s, const char **ret_proto, struct err *e)
{
	static const char *const known[] = { "tcp", "udp", "sctp" };
	char *slash = strchr(s, '/');

	*ret_proto = "tcp";
	if (!slash)
		return 0;
	*slash = '\0';
	for (size_t i = 0; i < ELEMENTSOF(known); i++)
		if (g_ascii_strcasecmp(slash + 1, known[i]) == 0) {
			*ret_proto = known[i];
			return 0;
		}
	return err_set(e, -E_USAGE, "invalid protocol '%s'", slash + 1);
}

int parse_expose(
	const char *s, char **ret_proto, uint16_t *ret_first, uint16_t *ret_count, struct err *e)
{
	g_autofree char *copy = g_strdup(s);
	const char *proto;
	int r;

	r = port_proto(copy, &proto, e);
	if (r >= 0)
		r = port_range(copy, ret_first, ret_count, e);
	if (r >= 0)
		*ret_proto = g_strdup(proto);
	return r;
}

/* Splits "ADDRESS:HOST:GUEST" from the right: the address may be IPv6, in brackets. */
static int publish_split(char *s, char **address, char **host, char **guest)
{
	char *colon = strrchr(s, ':');

	*address = *host = NULL;
	*guest = s;
	if (!colon)
		return 0;
	*colon = '\0';
	*guest = colon + 1;
	*host = s;
	colon = strrchr(s, ':');
	if (s[0] == '[') {
		char *end = strchr(s, ']');

		if (!end || (end[1] != ':' && end[1]))
			return -E_USAGE;
		*host = end[1] ? end + 2 : end + 1;
		*end = '\0';
		*address = s + 1;
	} else if (colon) {
		*colon = '\0';
		*host = colon + 1;
		*address = s;
	}
	return 0;
}

int parse_publish(const char *s, struct spec *spec, struct err *e)
{
	g_autofree char *copy = g_strdup(s);
	uint16_t first, count, hfirst = 0, hcount = 0;
	char *address, *host, *guest;
	const char *proto;
	int r;

	r = port_proto(copy, &proto, e);
	if (r < 0)
		return err_prefix(e, "invalid publish '%s'", s), r;
	if (publish_split(copy, &address, &host, &guest) < 0)
		return err_set(
			e, -E_USAGE, "invalid publish '%s': not [[ADDRESS:]PORT:]PORT[/PROTO]", s);
	if (address && *address && !parse_is_ip(address, AF_INET) &&
		!parse_is_ip(address, AF_INET6))
		return err_set(
			e, -E_USAGE, "invalid publish '%s': '%s' is not an IP address", s, address);
	r = port_range(guest, &first, &count, e);
	if (r >= 0 && host && *host)
		r = port_range(host, &hfirst, &hcount, e);
	if (r < 0)
		return err_prefix(e, "invalid publish '%s'", s), r;
	if (hcount && hcount != count)
		return err_set(e, -E_USAGE,
			"invalid publish '%s': %u ports of the host for %u of the guest", s, hcount,
			count);
	struct spec_port *p = spec_add_port(spec, proto, hfirst, first, count);
	if (address && *address)
		p->host_addr = g_strdup(address);
	return 0;
}

/* "name=NET,alias=A,ip=...,ip6=...,mac-address=..." */
static int network_long(const char *s, struct spec *spec, struct spec_attach **ret, struct err *e)
{
	g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *name = NULL, *ip = NULL, *ip6 = NULL, *mac = NULL;
	g_auto(GStrv) words = g_strsplit(s, ",", -1);

	for (char **w = words; *w; w++) {
		g_auto(GStrv) kv = g_strsplit(*w, "=", 2);
		char **slot = NULL;

		if (!kv[0] || !kv[1] || !*kv[1])
			return err_set(e, -E_USAGE, "invalid field '%s' in network '%s'", *w, s);
		if (g_str_equal(kv[0], "name"))
			slot = &name;
		else if (g_str_equal(kv[0], "ip"))
			slot = &ip;
		else if (g_str_equal(kv[0], "ip6"))
			slot = &ip6;
		else if (g_str_equal(kv[0], "mac-address"))
			slot = &mac;
		else if (!g_str_equal(kv[0], "alias"))
			return err_set(
				e, -E_USAGE, "invalid network '%s': unknown key '%s'", s, kv[0]);
		if (slot) {
			g_free(*slot);
			*slot = g_strdup(kv[1]);
		} else {
			g_ptr_array_add(aliases, g_strdup(kv[1]));
		}
	}
	if (!name)
		return err_set(e, -E_USAGE, "invalid network '%s': no name", s);
	if ((ip && !parse_is_ip(ip, AF_INET)) || (ip6 && !parse_is_ip(ip6, AF_INET6)) ||
		(mac && !parse_is_mac(mac)))
		return err_set(e, -E_USAGE, "invalid network '%s': bad address", s);
	*ret = spec_add_network(spec, name);
	(*ret)->address = g_steal_pointer(&ip);
	(*ret)->address6 = g_steal_pointer(&ip6);
	(*ret)->mac = g_steal_pointer(&mac);
	g_ptr_array_add(aliases, NULL);
	(*ret)->aliases = (char **)g_ptr_array_free(g_steal_pointer(&aliases), FALSE);
	return 0;
}

int parse_network(const char *s, struct spec *spec, struct spec_attach **ret_attach, struct err *e)
{
	struct spec_ns *ns = &spec->ns[NS_NET];
	bool first = spec->networks->len == 0 && ns->mode == NS_PRIVATE;

	*ret_attach = NULL;
	if (!*s)
		return err_set(e, -E_USAGE, "invalid network '': no name");
	if (strchr(s, '='))
		return network_long(s, spec, ret_attach, e);
	bool alone = g_str_equal(s, "host") || g_str_equal(s, "none") ||
		     g_str_has_prefix(s, "container:") || g_str_has_prefix(s, "ns:");
	if ((alone && !first) || ns->mode != NS_PRIVATE)
		return err_set(e, -E_USAGE, "network '%s' can't be combined with another", s);
	if (g_str_equal(s, "none"))
		return 0;
	if (g_str_equal(s, "host")) {
		ns->mode = NS_HOST;
		return 0;
	}
	if (alone) {
		const char *what = strchr(s, ':') + 1;

		if (!*what)
			return err_set(e, -E_USAGE, "invalid network '%s': nothing after ':'", s);
		ns->mode = s[0] == 'c' ? NS_GUEST : NS_PATH;
		*(s[0] == 'c' ? &ns->guest : &ns->path) = g_strdup(what);
		return 0;
	}
	*ret_attach = spec_add_network(spec, g_str_equal(s, "default") ? "bridge" : s);
	return 0;
}

int parse_add_host(const char *s, char **ret, struct err *e)
{
	size_t n = strcspn(s, ":=");

	if (n == 0 || !s[n] || !s[n + 1])
		return err_set(e, -E_USAGE, "invalid add-host '%s': not NAME:ADDRESS", s);
	g_autofree char *name = g_strndup(s, n);
	g_autofree char *address = g_strdup(s + n + 1);
	size_t len = strlen(address);
	if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
		address[len - 1] = '\0';
		memmove(address, address + 1, len - 1);
	}
	if (strpbrk(name, " \t\n#") ||
		(!parse_is_ip(address, AF_INET) && !parse_is_ip(address, AF_INET6) &&
			!g_str_equal(address, "host-gateway")))
		return err_set(e, -E_USAGE, "invalid add-host '%s': '%s' is not an IP address", s,
			address);
	*ret = g_strdup_printf("%s:%s", name, address);
	return 0;
}
