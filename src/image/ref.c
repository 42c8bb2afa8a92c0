/* SPDX-License-Identifier: MIT */
#include "image/ref.h"

#include <glib.h>
#include <string.h>

#define DEFAULT_DOMAIN "docker.io"
#define OLD_DOMAIN     "index.docker.io"
#define DEFAULT_FOLDER "library/"

static bool is_lower_alnum(char c)
{
	return g_ascii_isdigit(c) || g_ascii_islower(c);
}

/* component := [a-z0-9]+ ( separator [a-z0-9]+ )*; returns where it ends. */
static const char *skip_component(const char *s, const char *end)
{
	for (;;) {
		const char *p = s;

		while (p < end && is_lower_alnum(*p))
			p++;
		if (p == s)
			return NULL;
		s = p;
		if (s == end || *s == '/')
			return s;
		if (*s == '.') {
			s++;
		} else if (*s == '_') {
			s++;
			if (s < end && *s == '_')
				s++;
		} else if (*s == '-') {
			while (s < end && *s == '-')
				s++;
		} else {
			return NULL;
		}
	}
}

static bool is_path(const char *s, const char *end)
{
	for (;;) {
		s = skip_component(s, end);
		if (!s)
			return false;
		if (s == end)
			return true;
		s++; /* "/" */
	}
}

/* [A-Za-z0-9]+ with "-" inside, by "." */
static bool is_host_name(const char *s, const char *end)
{
	for (;;) {
		const char *p = s;

		while (p < end && (g_ascii_isalnum(*p) || *p == '-'))
			p++;
		if (p == s || *s == '-' || p[-1] == '-')
			return false;
		if (p == end)
			return true;
		if (*p != '.')
			return false;
		s = p + 1;
	}
}

static bool is_domain(const char *s, const char *end)
{
	const char *host_end = end;

	if (s < end && *s == '[') {
		const char *close = memchr(s, ']', (size_t)(end - s));

		if (!close || close == s + 1)
			return false;
		for (const char *p = s + 1; p < close; p++)
			if (!g_ascii_isxdigit(*p) && *p != ':')
				return false;
		host_end = close + 1;
	} else {
		const char *colon = memchr(s, ':', (size_t)(end - s));

		host_end = colon ? colon : end;
		if (!is_host_name(s, host_end))
			return false;
	}
	if (host_end == end)
		return true;
	if (*host_end != ':' || host_end + 1 == end)
		return false;
	for (const char *p = host_end + 1; p < end; p++)
		if (!g_ascii_isdigit(*p))
			return false;
	return true;
}

bool ref_is_tag(const char *s)
{
	size_t n = 0;

	if (!g_ascii_isalnum(*s) && *s != '_')
		return false;
	while (g_ascii_isalnum(s[n]) || s[n] == '_' || s[n] == '.' || s[n] == '-')
		n++;
	return s[n] == '\0' && n <= REF_TAG_MAX;
}

bool ref_is_digest(const char *s)
{
	static const struct {
		const char *prefix;
		size_t digits;
	} known[] = { { "sha256:", 64 }, { "sha384:", 96 }, { "sha512:", 128 } };

	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		size_t n = strlen(known[i].prefix);

		if (strncmp(s, known[i].prefix, n) == 0)
			return strspn(s + n, "0123456789abcdef") == known[i].digits &&
			       s[n + known[i].digits] == '\0';
	}
	return false;
}

static int bad(struct err *e, const char *s, const char *why)
{
	return err_set(e, -E_INVALID, "'%.*s' isn't an image reference: %s", 256, s, why);
}

static bool has_capitals(const char *s, const char *end)
{
	for (; s < end; s++)
		if (g_ascii_isupper(*s))
			return true;
	return false;
}

/* Splits off the domain: what stands before the first "/", if it looks like one. */
static const char *split_domain(const char *s, const char *end, char **ret_domain)
{
	const char *slash = memchr(s, '/', (size_t)(end - s));
	size_t n = slash ? (size_t)(slash - s) : 0;

	if (!slash || (!memchr(s, '.', n) && !memchr(s, ':', n) && !has_capitals(s, slash) &&
			      !(n == strlen("localhost") && strncmp(s, "localhost", n) == 0))) {
		*ret_domain = g_strdup(DEFAULT_DOMAIN);
		return s;
	}
	*ret_domain = g_strndup(s, n);
	if (strcmp(*ret_domain, OLD_DOMAIN) == 0) {
		g_free(*ret_domain);
		*ret_domain = g_strdup(DEFAULT_DOMAIN);
	}
	return slash + 1;
}

static bool is_id(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* The name, without tag and digest. */
static int parse_name(
	const char *whole, const char *s, const char *end, struct ref *r, struct err *e)
{
	const char *path = split_domain(s, end, &r->domain);
	size_t n = (size_t)(end - path);

	if (has_capitals(path, end))
		return bad(e, whole, "the repository's name must be lower case");
	if (!is_domain(r->domain, r->domain + strlen(r->domain)))
		return bad(e, whole, "the registry's name is wrong");
	if (!is_path(path, end))
		return bad(e, whole, "invalid reference format");
	if (strcmp(r->domain, DEFAULT_DOMAIN) == 0 && !memchr(path, '/', n))
		r->path = g_strdup_printf(DEFAULT_FOLDER "%.*s", (int)n, path);
	else
		r->path = g_strndup(path, n);
	if (strlen(r->path) > REF_PATH_MAX)
		return bad(e, whole, "the repository's name has more than 255 characters");
	return 0;
}

static int parse(const char *s, struct ref *r, struct err *e)
{
	const char *at = strchr(s, '@'), *end, *slash, *colon;

	if (!*s)
		return bad(e, s, "it is empty");
	if (strlen(s) > REF_LENGTH_MAX)
		return bad(e, s, "it is too long");
	if (is_id(s))
		return bad(e, s, "a name can't be 64 hexadecimal digits");
	end = at ? at : s + strlen(s);
	if (at) {
		if (!ref_is_digest(at + 1))
			return bad(e, s, "its digest is wrong");
		if (!g_str_has_prefix(at + 1, "sha256:"))
			return err_set(e, -E_UNSUPPORTED,
				"'%.256s' has the digest '%.20s...'; only sha256 is read", s,
				at + 1);
		r->digest = g_strdup(at + 1);
	}
	/* a colon behind the last slash: before it is a port's */
	slash = memrchr(s, '/', (size_t)(end - s));
	colon = memrchr(slash ? slash : s, ':', (size_t)(end - (slash ? slash : s)));
	if (colon) {
		r->tag = g_strndup(colon + 1, (size_t)(end - colon - 1));
		if (!ref_is_tag(r->tag))
			return bad(e, s, "invalid reference format");
		end = colon;
	}
	return parse_name(s, s, end, r, e);
}

int ref_parse(const char *s, unsigned flags, struct ref *ret, struct err *e)
{
	struct ref r = { NULL };
	int code = parse(s, &r, e);

	if (code < 0) {
		ref_clear(&r);
		return code;
	}
	if (!r.tag && !r.digest && !(flags & REF_NO_DEFAULT))
		r.tag = g_strdup("latest");
	*ret = r;
	return 0;
}

void ref_clear(struct ref *r)
{
	g_clear_pointer(&r->domain, g_free);
	g_clear_pointer(&r->path, g_free);
	g_clear_pointer(&r->tag, g_free);
	g_clear_pointer(&r->digest, g_free);
}

static char *with_suffix(const struct ref *r, const char *name)
{
	if (r->digest)
		return g_strdup_printf("%s@%s", name, r->digest);
	return r->tag ? g_strdup_printf("%s:%s", name, r->tag) : g_strdup(name);
}

char *ref_full(const struct ref *r)
{
	g_autofree char *name = g_strdup_printf("%s/%s", r->domain, r->path);

	return with_suffix(r, name);
}

char *ref_familiar_name(const struct ref *r)
{
	const char *path = r->path;

	if (strcmp(r->domain, DEFAULT_DOMAIN) != 0)
		return g_strdup_printf("%s/%s", r->domain, path);
	if (g_str_has_prefix(path, DEFAULT_FOLDER) && !strchr(path + strlen(DEFAULT_FOLDER), '/'))
		path += strlen(DEFAULT_FOLDER);
	return g_strdup(path);
}

char *ref_familiar(const struct ref *r)
{
	g_autofree char *name = ref_familiar_name(r);

	return with_suffix(r, name);
}

char *ref_show(const char *full)
{
	struct ref r;
	char *text;

	if (ref_parse(full, REF_NO_DEFAULT, &r, NULL) < 0)
		return g_strdup(full);
	text = ref_familiar(&r);
	ref_clear(&r);
	return text;
}
