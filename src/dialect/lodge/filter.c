/* SPDX-License-Identifier: MIT */
/* --filter KEY=VALUE: docker-cli's reference, "container ls", "Filtering". Pure. */

#include <string.h>
#include "dialect/lodge/lodge.h"

#define PATTERN_MAX 256

struct filters {
	GHashTable *values; /* key -> GPtrArray of strings, NULL at its end */
};

void filters_free(struct filters *f)
{
	if (!f)
		return;
	g_hash_table_unref(f->values);
	g_free(f);
}

void filters_freep(struct filters **f)
{
	filters_free(*f);
}

static void add_value(struct filters *f, const char *key, const char *value)
{
	GPtrArray *a = g_hash_table_lookup(f->values, key);

	if (a) {
		g_ptr_array_set_size(a, (gint)a->len - 1);
	} else {
		a = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(f->values, g_strdup(key), a);
	}
	g_ptr_array_add(a, g_strdup(value));
	g_ptr_array_add(a, NULL);
}

int filters_parse(char *const *words, const char *const *keys, struct filters **ret, struct err *e)
{
	_cleanup_(filters_freep) struct filters *f = g_new0(struct filters, 1);

	f->values = g_hash_table_new_full(
		g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
	for (; words && *words; words++) {
		const char *eq = strchr(*words, '=');

		if (!eq)
			return err_set(e, -E_INVALID, "invalid filter '%s': not KEY=VALUE", *words);
		g_autofree char *key = g_ascii_strdown(*words, eq - *words);
		if (!g_strv_contains(keys, g_strstrip(key))) {
			g_autofree char *all = g_strjoinv(", ", (char **)keys);

			err_set(e, -E_INVALID, "invalid filter '%s'", key);
			err_mend(e, "there are %s", all);
			return -E_INVALID;
		}
		add_value(f, key, eq + 1);
	}
	*ret = g_steal_pointer(&f);
	return 0;
}

char *const *filters_get(const struct filters *f, const char *key)
{
	GPtrArray *a = g_hash_table_lookup(f->values, key);

	return a ? (char *const *)a->pdata : NULL;
}

bool filters_have(const struct filters *f, const char *key)
{
	return g_hash_table_contains(f->values, key);
}

bool filters_match(const struct filters *f, const char *key, const char *value)
{
	char *const *v = filters_get(f, key);

	return !v || (value && g_strv_contains((const char *const *)v, value));
}

bool filters_match_text(const struct filters *f, const char *key, const char *value)
{
	char *const *v = filters_get(f, key);

	if (!v)
		return true;
	for (; *v; v++) {
		if (strlen(*v) <= PATTERN_MAX && g_regex_match_simple(*v, value, 0, 0))
			return true;
		if (strstr(value, *v))
			return true;
	}
	return false;
}

static bool has_label(const json_t *labels, const char *word)
{
	const char *eq = strchr(word, '=');
	g_autofree char *key = eq ? g_strndup(word, eq - word) : g_strdup(word);
	const char *value = json_string_value(json_object_get(labels, key));

	return value && (!eq || g_str_equal(value, eq + 1));
}

bool filters_match_labels(const struct filters *f, const char *key, const json_t *labels)
{
	char *const *v = filters_get(f, key);

	for (; v && *v; v++)
		if (!has_label(labels, *v))
			return false;
	return true;
}

int filters_bool(const struct filters *f, const char *key, struct err *e)
{
	static const char *const yes[] = { "true", "1", "True", "TRUE", "t", NULL };
	static const char *const no[] = { "false", "0", "False", "FALSE", "f", NULL };
	char *const *v = filters_get(f, key);

	if (!v)
		return -1;
	if (g_strv_contains(yes, v[0]))
		return 1;
	if (g_strv_contains(no, v[0]))
		return 0;
	return err_set(e, -E_INVALID, "invalid filter '%s=%s': not true or false", key, v[0]);
}
