/* SPDX-License-Identifier: MIT */
/* Environment and label files: docker-cli's reference, "container run --env-file". */

#include <string.h>
#include "dialect/parse/parse.h"

#define ENV_FILE_MAX (1024 * 1024)

int parse_env(const char *s, const char *(*lookup)(const char *), GPtrArray *out, struct err *e)
{
	const char *eq = strchr(s, '=');
	const char *value;

	if (!*s || eq == s)
		return err_set(e, -E_USAGE, "invalid environment variable '%s'", s);
	if (eq) {
		g_ptr_array_add(out, g_strdup(s));
		return 0;
	}
	value = lookup ? lookup(s) : NULL;
	if (value)
		g_ptr_array_add(out, g_strdup_printf("%s=%s", s, value));
	return 0;
}

static int env_line(const char *line, size_t number, const char *file,
	const char *(*lookup)(const char *), GPtrArray *out, struct err *e)
{
	size_t key = strcspn(line, "=");

	if (key == 0 || strcspn(line, " \t") < key)
		return err_set(e, -E_USAGE,
			"poorly formatted file '%s': line %zu: '%.40s' is no name", file, number,
			line);
	if (!lookup && !line[key]) {
		g_ptr_array_add(out, g_strdup_printf("%s=", line));
		return 0;
	}
	return parse_env(line, lookup, out, e);
}

int parse_env_text(const char *text, size_t n, const char *file,
	const char *(*lookup)(const char *), GPtrArray *out, struct err *e)
{
	size_t number = 0;
	const char *p = text, *end = text + n;
	int r;

	if (n > ENV_FILE_MAX)
		return err_set(
			e, -E_LIMIT, "file '%s' is larger than %d bytes", file, ENV_FILE_MAX);
	if (memchr(text, 0, n) || !g_utf8_validate(text, n, NULL))
		return err_set(e, -E_USAGE, "file '%s' is not text", file);
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end) {
		const char *nl = memchr(p, '\n', end - p) ?: end;
		g_autofree char *line = g_strndup(p, nl - p);
		size_t len = strlen(line);

		p = nl + 1;
		number++;
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		char *start = line + strspn(line, " \t\v\f");
		if (!*start || *start == '#')
			continue;
		r = env_line(start, number, file, lookup, out, e);
		if (r < 0)
			return r;
	}
	return 0;
}
