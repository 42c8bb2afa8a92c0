/* SPDX-License-Identifier: MIT */
#include "image/challenge.h"

#include <glib.h>
#include <string.h>

enum scheme {
	SCHEME_OTHER,
	SCHEME_BASIC,
	SCHEME_BEARER,
};

static bool is_token_char(char c)
{
	return g_ascii_isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static const char *commas(const char *p)
{
	return p + strspn(p, " \t,");
}

static size_t token_length(const char *p)
{
	size_t n = 0;

	while (is_token_char(p[n]))
		n++;
	return n;
}

static int bad(struct err *e, const char *text)
{
	return err_set(e, -E_CORRUPT, "the server's challenge '%.100s' can't be understood", text);
}

/* A token or a quoted string. NULL: neither. */
static const char *read_value(const char *p, char **ret)
{
	g_autoptr(GString) s = g_string_new(NULL);
	size_t n = token_length(p);

	if (*p != '"') {
		if (n == 0)
			return NULL;
		*ret = g_strndup(p, n);
		return p + n;
	}
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		/* also the end: an open string */
		if (!*p || (g_ascii_iscntrl(*p) && *p != '\t'))
			return NULL;
		g_string_append_c(s, *p);
	}
	*ret = g_string_free(g_steal_pointer(&s), FALSE);
	return p + 1;
}

static void keep(char **at, char **value)
{
	if (!*at)
		*at = g_steal_pointer(value);
}

static void take(struct challenge *c, enum scheme scheme, const char *name, char *value)
{
	g_autofree char *owned = value;

	if (scheme == SCHEME_BASIC && g_ascii_strcasecmp(name, "realm") == 0)
		keep(&c->basic_realm, &owned);
	if (scheme != SCHEME_BEARER)
		return;
	if (g_ascii_strcasecmp(name, "realm") == 0)
		keep(&c->realm, &owned);
	else if (g_ascii_strcasecmp(name, "service") == 0)
		keep(&c->service, &owned);
	else if (g_ascii_strcasecmp(name, "scope") == 0)
		keep(&c->scope, &owned);
	else if (g_ascii_strcasecmp(name, "error") == 0)
		keep(&c->error, &owned);
}

/* Parameters up to the next scheme. */
static const char *read_params(struct challenge *c, enum scheme scheme, const char *p)
{
	for (;;) {
		g_autofree char *name = NULL;
		char *value;
		const char *q;
		size_t n;

		p = commas(p);
		n = token_length(p);
		q = blanks(p + n);
		/* the end, or a scheme, or a token68: what has no "=" behind it */
		if (n == 0 || *q != '=')
			return p;
		name = g_strndup(p, n);
		q = blanks(q + 1);
		q = read_value(q, &value);
		if (!q)
			return NULL;
		take(c, scheme, name, value);
		p = blanks(q);
		if (*p && *p != ',')
			return NULL;
	}
}

static bool is_token68(const char *p, size_t *ret)
{
	size_t n = 0;

	while (g_ascii_isalnum(p[n]) || (p[n] && strchr("-._~+/", p[n])))
		n++;
	if (n == 0)
		return false;
	while (p[n] == '=')
		n++;
	*ret = n;
	p = blanks(p + n);
	return !*p || *p == ',';
}

int challenge_parse(const char *text, struct challenge *ret, struct err *e)
{
	const char *p = commas(text);

	if (strlen(text) > CHALLENGE_TEXT_MAX)
		return err_set(e, -E_LIMIT, "the server's challenge is larger than %d bytes",
			CHALLENGE_TEXT_MAX);
	while (*p) {
		enum scheme scheme = SCHEME_OTHER;
		bool again = false;
		size_t n = token_length(p);

		if (n == 0)
			return bad(e, p);
		if (n == 5 && g_ascii_strncasecmp(p, "Basic", n) == 0) {
			scheme = SCHEME_BASIC;
			ret->basic = true;
		} else if (n == 6 && g_ascii_strncasecmp(p, "Bearer", n) == 0) {
			again = ret->bearer;
			scheme = SCHEME_BEARER;
			ret->bearer = true;
		}
		p += n;
		if (*p && *p != ' ' && *p != '\t' && *p != ',')
			return bad(e, p);
		p = blanks(p);
		if (is_token68(p, &n) && token_length(p) != n)
			p += n;
		p = read_params(ret, again ? SCHEME_OTHER : scheme, p);
		if (!p)
			return bad(e, text);
		p = commas(p);
	}
	return 0;
}

void challenge_clear(struct challenge *c)
{
	g_free(c->realm);
	g_free(c->service);
	g_free(c->scope);
	g_free(c->error);
	g_free(c->basic_realm);
	memset(c, 0, sizeof(*c));
}
