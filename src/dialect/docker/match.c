/* SPDX-License-Identifier: MIT */
#include "dialect/docker/match.h"

#include <string.h>
#include "base/units.h"

#define PATTERN_MAX 256

bool match_text(const json_t *filters, const char *name, const char *text)
{
	const json_t *list = json_object_get(filters, name);
	json_t *v;
	size_t i;

	if (!list)
		return true;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		if (strstr(text, s) ||
			(strlen(s) <= PATTERN_MAX && g_regex_match_simple(s, text, 0, 0)))
			return true;
	}
	return false;
}

bool match_id(const json_t *filters, const char *name, const char *id)
{
	const json_t *list = json_object_get(filters, name);
	json_t *v;
	size_t i;

	if (!list)
		return true;
	json_array_foreach(list, i, v)
		if (g_str_has_prefix(id, json_string_value(v)))
			return true;
	return false;
}

static bool has_label(const json_t *labels, const char *word)
{
	const char *eq = strchr(word, '=');
	g_autofree char *key = eq ? g_strndup(word, (gsize)(eq - word)) : g_strdup(word);
	const char *value = json_string_value(json_object_get(labels, key));

	return value && (!eq || g_str_equal(value, eq + 1));
}

bool match_labels(const json_t *filters, const char *name, const json_t *labels)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(filters, name), i, v)
		if (!has_label(labels, json_string_value(v)))
			return false;
	return true;
}

bool match_prune_labels(const json_t *filters, const json_t *labels)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(filters, "label!"), i, v)
		if (has_label(labels, json_string_value(v)))
			return false;
	return match_labels(filters, "label", labels);
}

const char *match_value(const json_t *filters, const char *name)
{
	return json_string_value(json_array_get(json_object_get(filters, name), 0));
}

int match_flag(struct call *c, const json_t *filters, const char *name)
{
	const json_t *list = json_object_get(filters, name);
	const char *v = match_value(filters, name);

	if (!list)
		return -1;
	if (json_array_size(list) == 1 && (g_str_equal(v, "1") || g_str_equal(v, "true")))
		return 1;
	if (json_array_size(list) == 1 && (g_str_equal(v, "0") || g_str_equal(v, "false")))
		return 0;
	api_error(c, 400, "invalid filter '%s=[%s]'", name, v ?: "");
	return -E_INVALID;
}

int match_until(struct call *c, const json_t *filters, int64_t *ret)
{
	const json_t *list = json_object_get(filters, "until");
	const char *v = match_value(filters, "until");

	*ret = 0;
	if (!list)
		return 0;
	if (json_array_size(list) != 1)
		api_error(c, 400, "more than one until filter specified");
	else if (units_parse_moment(v, g_get_real_time() * 1000, ret) < 0)
		api_error(c, 400, "invalid filter 'until=[%s]'", v);
	else
		return 0;
	return -E_INVALID;
}
