/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "image/bundle-priv.h"

/* What is compared; all else that a record may say is passed over. */
static const char *const keywords[] = { "type", "size", "mode", "uid", "gid", "nlink", "tar_time",
	"link", "sha256digest" };
enum {
	KEY_TYPE,
	KEY_SIZE,
	KEY_MODE,
	KEY_NLINK = 5,
	KEY_TIME,
	N_KEYS = G_N_ELEMENTS(keywords),
};

struct reader {
	char *set[N_KEYS]; /* of /set */
	GPtrArray *path;   /* names from the root down, "" first */
	GHashTable *entries;
	unsigned line;
};

static int bad(const struct reader *r, const char *why, struct err *e)
{
	return err_set(e, -E_CORRUPT, "line %u of the bundle's record: %s", r->line, why);
}

/* vis(3): octal, and a letter for the usual ones. In place. */
static bool unvis(char *s)
{
	static const char from[] = "\\abfnrstv0", to[] = "\\\a\b\f\n\r \t\v";
	char *out = s;

	while (*s) {
		const char *k;

		if (*s != '\\') {
			*out++ = *s++;
			continue;
		}
		if (s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			*out = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			if (!*out++)
				return false;
			s += 4;
			continue;
		}
		k = s[1] ? strchr(from, s[1]) : NULL;
		if (!k || !to[k - from])
			return false;
		*out++ = to[k - from];
		s += 2;
	}
	*out = '\0';
	return true;
}

static int key_of(const char *word)
{
	for (int i = 0; i < (int)N_KEYS; i++)
		if (strcmp(word, keywords[i]) == 0)
			return i;
	return -1;
}

/* The same value in the same words: "04755" is "4755", and the times of layers are whole seconds. */
static char *normal(int key, const char *value)
{
	if (key == KEY_MODE)
		while (*value == '0' && value[1])
			value++;
	return key == KEY_TIME ? g_strndup(value, strcspn(value, ".")) : g_strdup(value);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "KEY=VALUE" of an entry into values, and extended attributes into list. */
static int take_word(
	const struct reader *r, char *word, char **values, GPtrArray *attributes, struct err *e)
{
	char *value = strchr(word, '=');
	int key;

	if (!value)
		return 0; /* "optional" and the like */
	if (attributes && g_str_has_prefix(word, "xattr.")) {
		g_ptr_array_add(attributes, word);
		return 0;
	}
	*value++ = '\0';
	key = key_of(word);
	if (key < 0)
		return 0;
	if (!unvis(value))
		return bad(r, "a value that can't be read", e);
	g_free(values[key]);
	values[key] = normal(key, value);
	return 0;
}

static char *describe(char **values, GPtrArray *attributes)
{
	bool folder = g_strcmp0(values[KEY_TYPE], "dir") == 0;
	GString *text = g_string_new(NULL);

	for (unsigned i = 0; i < N_KEYS; i++)
		/* a folder's depend on the file system and on what is in it */
		if (values[i] && !(folder && (i == KEY_SIZE || i == KEY_NLINK)))
			g_string_append_printf(text, "%s=%s\n", keywords[i], values[i]);
	if (attributes->len)
		qsort(attributes->pdata, attributes->len, sizeof(void *), compare);
	for (unsigned i = 0; i < attributes->len; i++)
		g_string_append_printf(text, "%s\n", (char *)attributes->pdata[i]);
	return g_string_free(text, FALSE);
}

static char *path_with(const struct reader *r, const char *name)
{
	GString *path = g_string_new(NULL);

	for (unsigned i = 1; i < r->path->len; i++)
		g_string_append_printf(path, "%s/", (char *)r->path->pdata[i]);
	return g_string_free(g_string_append(path, name), FALSE);
}

static int put_entry(
	struct reader *r, char *name, char **values, GPtrArray *attributes, struct err *e)
{
	bool folder = g_strcmp0(values[KEY_TYPE], "dir") == 0, top = strcmp(name, ".") == 0;
	char *path;

	if (!unvis(name) || !*name || strchr(name, '/') || strcmp(name, "..") == 0 ||
		(!top && strcmp(name, ".") == 0) || top != (r->path->len == 0) || (top && !folder))
		return bad(r, "a name that can't be there", e);
	if (r->path->len > 1000)
		return bad(r, "folders are nested too deep", e);
	path = top ? g_strdup("") : path_with(r, name);
	if (!g_hash_table_insert(r->entries, path, describe(values, attributes)))
		return bad(r, "a name that was there before", e);
	if (folder)
		g_ptr_array_add(r->path, g_strdup(top ? "" : name));
	return 0;
}

static int take_line(struct reader *r, char *line, struct err *e)
{
	g_autoptr(GPtrArray) attributes = g_ptr_array_new();
	g_auto(GStrv) words = g_strsplit_set(g_strstrip(line), " \t", -1);
	char *values[N_KEYS + 1] = { NULL };
	int code = 0;

	if (!words[0] || !*words[0] || *words[0] == '#')
		return 0;
	if (strcmp(words[0], "..") == 0) {
		if (r->path->len == 0)
			return bad(r, "more ends of folders than folders", e);
		g_ptr_array_set_size(r->path, (gint)r->path->len - 1);
		return 0;
	}
	if (strcmp(words[0], "/set") == 0) {
		for (char **w = words + 1; *w && code >= 0; w++)
			code = take_word(r, *w, r->set, NULL, e);
		return code;
	}
	if (*words[0] == '/')
		return bad(r, "a command that isn't known", e);
	for (unsigned i = 0; i < N_KEYS; i++)
		values[i] = g_strdup(r->set[i]);
	for (char **w = words + 1; *w && code >= 0; w++)
		code = take_word(r, *w, values, attributes, e);
	if (code >= 0)
		code = put_entry(r, words[0], values, attributes, e);
	for (unsigned i = 0; i < N_KEYS; i++)
		g_free(values[i]);
	return code;
}

int bundle_record_parse(const char *text, GHashTable **ret, struct err *e)
{
	g_autoptr(GHashTable) entries =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GPtrArray) path = g_ptr_array_new_with_free_func(g_free);
	struct reader r = { .path = path, .entries = entries };
	int code = 0;

	while (*text && code >= 0) {
		size_t n = strcspn(text, "\n");
		g_autofree char *line = g_strndup(text, n);

		r.line++;
		code = take_line(&r, line, e);
		text += n + (text[n] == '\n');
	}
	for (unsigned i = 0; i < N_KEYS; i++)
		g_free(r.set[i]);
	if (code >= 0 && !g_hash_table_contains(entries, ""))
		code = bad(&r, "it has no root", e);
	if (code >= 0)
		*ret = g_steal_pointer(&entries);
	return code;
}

bool bundle_record_is_folder(const char *entry)
{
	return entry && g_str_has_prefix(entry, "type=dir\n");
}
