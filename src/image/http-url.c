/* SPDX-License-Identifier: MIT */
/* What a client has to know of URLs. Pure. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "image/http.h"

#define RETRY_AFTER_MAX 60

struct place {
	size_t scheme, authority; /* lengths; the authority begins behind "://" */
};

static bool split(const char *url, struct place *p)
{
	if (g_ascii_strncasecmp(url, "http://", 7) == 0)
		p->scheme = 4;
	else if (g_ascii_strncasecmp(url, "https://", 8) == 0)
		p->scheme = 5;
	else
		return false;
	p->authority = strcspn(url + p->scheme + 3, "/?#");
	return p->authority > 0;
}

/* "host:port" in lower case, with the scheme's own port where none is given and without a user. */
static char *authority_of(const char *url, const struct place *p)
{
	g_autofree char *all = g_ascii_strdown(url + p->scheme + 3, (gssize)p->authority);
	const char *host = strrchr(all, '@') ? strrchr(all, '@') + 1 : all;
	const char *colon = strrchr(host, ':');

	if (colon && !strchr(colon, ']') && colon[1])
		return g_strdup(host);
	return g_strdup_printf("%.*s:%s",
		(int)(colon && !colon[1] ? colon - host : (long)strlen(host)), host,
		p->scheme == 5 ? "443" : "80");
}

bool http_same_place(const char *a, const char *b)
{
	struct place pa, pb;
	g_autofree char *ha = NULL, *hb = NULL;

	if (!split(a, &pa) || !split(b, &pb) || pa.scheme != pb.scheme)
		return false;
	ha = authority_of(a, &pa);
	hb = authority_of(b, &pb);
	return strcmp(ha, hb) == 0;
}

char *http_no_proxy(const char *list, const char *url)
{
	g_auto(GStrv) word = g_strsplit_set(list, ", \t", -1);
	GString *out = g_string_new(NULL);
	g_autofree char *authority = NULL;
	const char *port = NULL;
	struct place p;

	if (split(url, &p)) {
		authority = authority_of(url, &p);
		port = strrchr(authority, ':');
	}
	for (char **w = word; *w; w++) {
		const char *colon = strrchr(*w, ':');
		/* one colon, or one behind the brackets of an IPv6 address */
		bool has_port =
			colon && (strchr(*w, ':') == colon || (colon > *w && colon[-1] == ']'));

		if (!**w || (has_port && g_strcmp0(colon, port) != 0))
			continue;
		g_string_append_printf(out, "%s%.*s", out->len ? "," : "",
			has_port ? (int)(colon - *w) : (int)strlen(*w), *w);
	}
	return g_string_free(out, FALSE);
}

/* Without "." and ".." (RFC 3986, section 5.2.4). */
static char *clean_path(const char *path)
{
	g_auto(GStrv) word = g_strsplit(path, "/", -1);
	g_autoptr(GPtrArray) kept = g_ptr_array_new();

	for (char **w = word + 1; word[0] && *w; w++) {
		bool last = !w[1];

		if (strcmp(*w, "..") == 0 && kept->len > 0)
			g_ptr_array_set_size(kept, (int)kept->len - 1);
		if (strcmp(*w, ".") != 0 && strcmp(*w, "..") != 0)
			g_ptr_array_add(kept, *w);
		else if (last)
			g_ptr_array_add(kept, (char *)"");
	}
	g_ptr_array_add(kept, NULL);
	{
		g_autofree char *joined = g_strjoinv("/", (char **)kept->pdata);

		return g_strconcat("/", joined, NULL);
	}
}

char *http_resolve(const char *base, const char *location)
{
	struct place p, q;
	size_t path, end;
	g_autofree char *full = NULL, *clean = NULL, *rest = NULL;

	if (!split(base, &p) || strpbrk(location, " \t\r\n"))
		return NULL;
	location += strspn(location, " ");
	if (split(location, &q))
		return g_strdup(location);
	if (g_str_has_prefix(location, "//")) {
		full = g_strdup_printf("%.*s:%s", (int)p.scheme, base, location);
		return split(full, &q) ? g_steal_pointer(&full) : NULL;
	}
	/* another scheme */
	end = strcspn(location, ":/?#");
	if (location[end] == ':')
		return NULL;
	path = p.scheme + 3 + p.authority;
	if (*location == '/') {
		full = g_strdup(location);
	} else {
		size_t n = strcspn(base + path, "?#");

		if (*location == '?' || !*location)
			return g_strdup_printf("%.*s%s", (int)(path + n), base, location);
		while (n > 0 && base[path + n - 1] != '/')
			n--;
		full = n ? g_strdup_printf("%.*s%s", (int)n, base + path, location)
			 : g_strconcat("/", location, NULL);
	}
	end = strcspn(full, "?#");
	rest = g_strdup(full + end);
	full[end] = '\0';
	clean = clean_path(full);
	return g_strdup_printf("%.*s%s%s", (int)path, base, clean, rest);
}

bool http_is_loopback(const char *text)
{
	struct place p;
	g_autofree char *host = NULL;
	char *colon;
	struct in_addr address;

	if (split(text, &p))
		host = authority_of(text, &p);
	else
		host = g_ascii_strdown(text, -1);
	if (g_str_has_prefix(host, "[::1]") || strcmp(host, "::1") == 0)
		return true;
	colon = strrchr(host, ':');
	if (colon)
		*colon = '\0';
	if (strcmp(host, "localhost") == 0 || g_str_has_suffix(host, ".localhost"))
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

int http_retry_after(const struct http_answer *a)
{
	const char *text = http_header(a, "retry-after");
	struct tm tm = { 0 };
	char *end;
	long n;

	if (!text)
		return 0;
	n = strtol(text, &end, 10);
	if (end == text) {
		/* an HTTP date */
		if (!strptime(text, "%a, %d %b %Y %H:%M:%S", &tm))
			return 0;
		n = (long)(timegm(&tm) - time(NULL));
	}
	return (int)CLAMP(n, 0, RETRY_AFTER_MAX);
}
