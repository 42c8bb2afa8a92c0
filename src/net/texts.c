/* SPDX-License-Identifier: MIT */
/* The guest's /etc/resolv.conf and /etc/hosts. resolv.conf(5), hosts(5). */
#include <string.h>
#include "net/net-priv.h"

static bool is_local(const char *address)
{
	return g_str_has_prefix(address, "127.") || strcmp(address, "::1") == 0;
}

static void add_words(GString *s, const char *key, char *const *words)
{
	if (!words || !words[0])
		return;
	g_string_append(s, key);
	for (; *words; words++)
		g_string_append_printf(s, " %s", *words);
	g_string_append_c(s, '\n');
}

/* The line's words after its keyword; NULL when it is about something else. Caller frees. */
static char **line_words(const char *line, const char *key)
{
	size_t n = strlen(key);
	g_autofree char *rest = NULL;
	g_auto(GStrv) all = NULL;
	g_autoptr(GStrvBuilder) b = g_strv_builder_new();

	while (g_ascii_isspace(*line))
		line++;
	if (strncmp(line, key, n) != 0 || !g_ascii_isspace(line[n]))
		return NULL;
	rest = g_strdup(line + n);
	all = g_strsplit_set(rest, " \t\r", -1);
	for (char **w = all; *w; w++)
		if (**w)
			g_strv_builder_add(b, *w);
	return g_strv_builder_end(b);
}

/* "." in --dns-search means: no search list, not even the host's. */
static bool is_none(char *const *search)
{
	return search && search[0] && strcmp(search[0], ".") == 0;
}

char *text_resolv_conf(const char *host, const char *nameserver, bool keep_local,
	char *const *search, char *const *options)
{
	g_autoptr(GString) out = g_string_new(NULL);
	g_auto(GStrv) lines = g_strsplit(host ? host : "", "\n", -1);
	bool own_search = search && search[0], own_options = options && options[0];

	if (nameserver)
		g_string_append_printf(out, "nameserver %s\n", nameserver);
	for (char **l = lines; *l; l++) {
		g_auto(GStrv) server = line_words(*l, "nameserver");
		g_auto(GStrv) domain = line_words(*l, "domain");
		g_auto(GStrv) list = domain ? g_steal_pointer(&domain) : line_words(*l, "search");
		g_auto(GStrv) opts = line_words(*l, "options");

		if (server && server[0] && !nameserver && (keep_local || !is_local(server[0])))
			g_string_append_printf(out, "nameserver %s\n", server[0]);
		if (list && !own_search)
			add_words(out, "search", list);
		/* rotate and the like are about the host's list of servers */
		if (opts && !own_options && !nameserver)
			add_words(out, "options", opts);
	}
	if (own_search && !is_none(search))
		add_words(out, "search", search);
	if (own_options)
		add_words(out, "options", options);
	else if (nameserver)
		/* answers come by UDP only: longer ones need EDNS */
		g_string_append(out, "options edns0 ndots:0\n");
	return g_string_free(g_steal_pointer(&out), FALSE);
}

static int add_extra(GString *s, const char *extra, const char *gateway, struct err *e)
{
	const char *colon = strpbrk(extra, ":=");
	struct addr a;

	if (!colon || colon == extra)
		return err_set(e, -E_INVALID, "bad host '%s': must be NAME:ADDRESS", extra);
	if (strcmp(colon + 1, "host-gateway") == 0) {
		if (!gateway)
			return err_set(e, -E_INVALID, "host '%s': the guest has no gateway", extra);
		g_string_append_printf(s, "%s\t%.*s\n", gateway, (int)(colon - extra), extra);
		return 0;
	}
	if (addr_parse(colon + 1, &a) < 0 || strchr(colon + 1, '/'))
		return err_set(
			e, -E_INVALID, "bad host '%s': '%s' is not an address", extra, colon + 1);
	g_autofree char *text = addr_text(&a, false);
	g_string_append_printf(s, "%s\t%.*s\n", text, (int)(colon - extra), extra);
	return 0;
}

int text_hosts(const char *base, const char *hostname, const char *domain, char *const *addresses,
	char *const *extra, const char *gateway, char **ret, struct err *e)
{
	static const char ours[] = "127.0.0.1\tlocalhost\n"
				   "::1\tlocalhost ip6-localhost ip6-loopback\n"
				   "fe00::\tip6-localnet\n"
				   "ff00::\tip6-mcastprefix\n"
				   "ff02::1\tip6-allnodes\n"
				   "ff02::2\tip6-allrouters\n";
	g_autoptr(GString) s = g_string_new(base ? base : ours);

	if (s->len > 0 && s->str[s->len - 1] != '\n')
		g_string_append_c(s, '\n');
	for (; extra && *extra; extra++) {
		int r = add_extra(s, *extra, gateway, e);

		if (r < 0)
			return r;
	}
	for (; addresses && *addresses && hostname; addresses++) {
		if (domain && domain[0])
			g_string_append_printf(
				s, "%s\t%s.%s %s\n", *addresses, hostname, domain, hostname);
		else
			g_string_append_printf(s, "%s\t%s\n", *addresses, hostname);
	}
	*ret = g_string_free(g_steal_pointer(&s), FALSE);
	return 0;
}
