/* SPDX-License-Identifier: MIT */
#include "image/registries.h"

#include <jansson.h>
#include <string.h>
#include "codec/toml.h"

enum mirror_use {
	MIRROR_ALL,
	MIRROR_DIGEST_ONLY,
	MIRROR_TAG_ONLY,
};

struct mirror {
	char *location;
	bool insecure;
	enum mirror_use use;
};

struct row {
	char *prefix, *location; /* location "": no rewriting */
	bool insecure, blocked;
	GPtrArray *mirrors;
};

struct registries {
	GPtrArray *rows;
	char **search; /* NULL: not given */
	GHashTable *aliases;
	char *mode;
};

void registry_place_free(struct registry_place *p)
{
	if (!p)
		return;
	g_free(p->domain);
	g_free(p->path);
	g_free(p);
}

static void mirror_free(struct mirror *m)
{
	g_free(m->location);
	g_free(m);
}

static void row_free(struct row *r)
{
	g_free(r->prefix);
	g_free(r->location);
	if (r->mirrors)
		g_ptr_array_unref(r->mirrors);
	g_free(r);
}

struct registries *registries_new(void)
{
	struct registries *c = g_new0(struct registries, 1);

	c->rows = g_ptr_array_new_with_free_func((GDestroyNotify)row_free);
	c->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return c;
}

void registries_free(struct registries *c)
{
	if (!c)
		return;
	g_ptr_array_unref(c->rows);
	g_hash_table_unref(c->aliases);
	g_strfreev(c->search);
	g_free(c->mode);
	g_free(c);
}

void registries_freep(struct registries **c)
{
	registries_free(*c);
}

/* --- reading ------------------------------------------------------------------------------------------- */

static int get_bool(json_t *o, const char *key, bool *ret, struct err *e)
{
	json_t *j = json_object_get(o, key);

	if (j && !json_is_boolean(j))
		return err_set(e, -E_INVALID, "'%s' is neither true nor false", key);
	*ret = json_is_true(j);
	return 0;
}

/* "host[:port][/path]" without a scheme and without a "/" at the end. NULL when it isn't given. */
static int get_place(json_t *o, const char *key, char **ret, struct err *e)
{
	json_t *j = json_object_get(o, key);
	const char *s = json_string_value(j);
	char *place;

	*ret = NULL;
	if (j && !s)
		return err_set(e, -E_INVALID, "'%s' is no string", key);
	if (!s || !*s)
		return 0;
	if (strstr(s, "://"))
		return err_set(e, -E_INVALID, "'%s' is '%.200s': a URL isn't taken here", key, s);
	if (strpbrk(s, " \t\r\n?#\\"))
		return err_set(e, -E_INVALID, "'%s' is '%.200s', which is no place", key, s);
	place = g_strdup(s);
	while (g_str_has_suffix(place, "/"))
		place[strlen(place) - 1] = '\0';
	*ret = place;
	return 0;
}

static int get_use(json_t *o, bool digest_only, enum mirror_use *ret, struct err *e)
{
	static const char *const names[] = { "all", "digest-only", "tag-only" };
	const char *s = json_string_value(json_object_get(o, "pull-from-mirror"));

	*ret = digest_only ? MIRROR_DIGEST_ONLY : MIRROR_ALL;
	if (!s || !*s)
		return 0;
	if (digest_only)
		return err_set(e, -E_INVALID,
			"'pull-from-mirror' and 'mirror-by-digest-only' are given together");
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(s, names[i]) == 0) {
			*ret = (enum mirror_use)i;
			return 0;
		}
	return err_set(e, -E_INVALID, "'pull-from-mirror' is '%.100s'", s);
}

static int read_row(json_t *o, struct row *r, struct err *e)
{
	bool digest_only = false;
	json_t *m;
	size_t i;
	int code;

	r->mirrors = g_ptr_array_new_with_free_func((GDestroyNotify)mirror_free);
	code = get_place(o, "location", &r->location, e);
	if (code >= 0)
		code = get_place(o, "prefix", &r->prefix, e);
	if (code >= 0)
		code = get_bool(o, "insecure", &r->insecure, e);
	if (code >= 0)
		code = get_bool(o, "blocked", &r->blocked, e);
	if (code >= 0)
		code = get_bool(o, "mirror-by-digest-only", &digest_only, e);
	if (code < 0)
		return code;
	if (!r->prefix && !r->location)
		return err_set(e, -E_INVALID, "a [[registry]] has neither 'prefix' nor 'location'");
	if (!r->prefix)
		r->prefix = g_strdup(r->location);
	if (g_str_has_prefix(r->prefix, "*.") ? strpbrk(r->prefix + 2, "*/:") != NULL
					      : strchr(r->prefix, '*') != NULL)
		return err_set(e, -E_INVALID, "the prefix '%.200s' has a '*' in the wrong place",
			r->prefix);
	if (!r->location)
		r->location = g_strdup(g_str_has_prefix(r->prefix, "*.") ? "" : r->prefix);
	json_array_foreach(json_object_get(o, "mirror"), i, m) {
		struct mirror *x = g_new0(struct mirror, 1);

		g_ptr_array_add(r->mirrors, x);
		code = get_place(m, "location", &x->location, e);
		if (code >= 0)
			code = get_bool(m, "insecure", &x->insecure, e);
		if (code >= 0)
			code = get_use(m, digest_only, &x->use, e);
		if (code >= 0 && !x->location)
			code = err_set(
				e, -E_INVALID, "a mirror of '%s' has no 'location'", r->prefix);
		if (code < 0)
			return code;
	}
	return 0;
}

/* One of this prefix replaces what a file before said of it. */
static void put_row(struct registries *c, struct row *r)
{
	for (unsigned i = 0; i < c->rows->len; i++) {
		struct row *old = c->rows->pdata[i];

		if (strcmp(old->prefix, r->prefix) == 0) {
			row_free(old);
			c->rows->pdata[i] = r;
			return;
		}
	}
	g_ptr_array_add(c->rows, r);
}

static int read_list(json_t *j, const char *key, char ***ret, struct err *e)
{
	g_auto(GStrv) list = g_new0(char *, json_array_size(j) + 1);
	json_t *x;
	size_t i;

	if (!json_is_array(j))
		return err_set(e, -E_INVALID, "'%s' is no array", key);
	json_array_foreach(j, i, x) {
		if (!json_is_string(x) || !*json_string_value(x))
			return err_set(e, -E_INVALID, "'%s' has something that is no name", key);
		list[i] = g_strdup(json_string_value(x));
	}
	*ret = g_steal_pointer(&list);
	return 0;
}

/* Format 1: [registries.search], [registries.insecure], [registries.block]. */
static int read_old(struct registries *c, json_t *doc, struct err *e)
{
	json_t *all = json_object_get(doc, "registries");
	static const char *const kinds[] = { "insecure", "block", "search" };

	for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
		json_t *list = json_object_get(json_object_get(all, kinds[k]), "registries");
		g_auto(GStrv) names = NULL;
		int r;

		if (!list)
			continue;
		r = read_list(list, "registries", &names, e);
		if (r < 0)
			return r;
		if (k == 2) {
			g_strfreev(c->search);
			c->search = g_steal_pointer(&names);
			continue;
		}
		for (char **n = names; *n; n++) {
			struct row *row = NULL;

			for (unsigned i = 0; !row && i < c->rows->len; i++)
				if (strcmp(((struct row *)c->rows->pdata[i])->prefix, *n) == 0)
					row = c->rows->pdata[i];
			if (!row) {
				row = g_new0(struct row, 1);
				row->prefix = g_strdup(*n);
				row->location = g_strdup(*n);
				row->mirrors = g_ptr_array_new();
				g_ptr_array_add(c->rows, row);
			}
			row->insecure |= k == 0;
			row->blocked |= k == 1;
		}
	}
	return 0;
}

static int read_aliases(struct registries *c, json_t *aliases, struct err *e)
{
	const char *name;
	json_t *j;

	json_object_foreach(aliases, name, j) {
		const char *s = json_string_value(j);
		struct ref r = { .domain = NULL };
		int code;

		if (!s)
			return err_set(e, -E_INVALID, "the alias '%.100s' is no string", name);
		if (!*s) {
			g_hash_table_remove(c->aliases, name);
			continue;
		}
		code = ref_parse(s, REF_NO_DEFAULT, &r, e);
		if (code >= 0 && (r.tag || r.digest))
			code = err_set(
				e, -E_INVALID, "the alias '%.100s' has a tag or a digest", name);
		ref_clear(&r);
		if (code < 0)
			return code;
		g_hash_table_insert(c->aliases, g_strdup(name), g_strdup(s));
	}
	return 0;
}

static int read_doc(struct registries *c, json_t *doc, struct err *e)
{
	json_t *rows = json_object_get(doc, "registry"), *j;
	json_t *search = json_object_get(doc, "unqualified-search-registries");
	json_t *mode = json_object_get(doc, "short-name-mode");
	g_auto(GStrv) list = NULL;
	size_t i;
	int r = 0;

	json_array_foreach(rows, i, j) {
		struct row *row = g_new0(struct row, 1);

		r = read_row(j, row, e);
		if (r < 0) {
			row_free(row);
			return r;
		}
		put_row(c, row);
	}
	r = read_old(c, doc, e);
	if (r >= 0 && search) {
		r = read_list(search, "unqualified-search-registries", &list, e);
		if (r >= 0) {
			g_strfreev(c->search);
			c->search = g_steal_pointer(&list);
		}
	}
	if (r >= 0 && json_string_value(mode)) {
		g_free(c->mode);
		c->mode = g_strdup(json_string_value(mode));
		if (*c->mode && strcmp(c->mode, "enforcing") != 0 &&
			strcmp(c->mode, "permissive") != 0 && strcmp(c->mode, "disabled") != 0)
			r = err_set(e, -E_INVALID, "'short-name-mode' is '%.100s'", c->mode);
	}
	return r < 0 ? r : read_aliases(c, json_object_get(doc, "aliases"), e);
}

int registries_add(struct registries *c, const char *text, size_t size, struct err *e)
{
	json_t *doc = NULL;
	int r = toml_read(text, size, &doc, e);

	if (r >= 0)
		r = read_doc(c, doc, e);
	json_decref(doc);
	return r;
}

/* --- files --------------------------------------------------------------------------------------------- */

static int add_file(struct registries *c, const char *path, struct err *e)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize size;
	int r;

	if (!g_file_get_contents(path, &text, &size, &error)) {
		if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return 0;
		return err_set(e, -EIO, "cannot read '%s': %s", path, error->message);
	}
	if (size > REGISTRIES_FILE_MAX)
		return err_set(
			e, -E_LIMIT, "'%s' is larger than %d bytes", path, REGISTRIES_FILE_MAX);
	r = registries_add(c, text, size, e);
	if (r < 0)
		(void)err_prefix(e, "'%s'", path);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_folder(struct registries *c, const char *folder, struct err *e)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;
	int r = 0;

	while (d && (name = g_dir_read_name(d)))
		if (g_str_has_suffix(name, ".conf"))
			g_ptr_array_add(names, g_build_filename(folder, name, NULL));
	g_ptr_array_sort(names, by_name);
	for (unsigned i = 0; r >= 0 && i < names->len; i++)
		r = add_file(c, names->pdata[i], e);
	return r;
}

int registries_load(const struct transport_options *o, struct registries **ret, struct err *e)
{
	_cleanup_(registries_freep) struct registries *c = registries_new();
	const char *env = getenv("CONTAINERS_REGISTRIES_CONF"), *config = getenv("XDG_CONFIG_HOME");
	g_autofree char *home = NULL, *home_d = NULL;
	int r;

	home = config && *config ? g_build_filename(config, "containers/registries.conf", NULL)
				 : g_build_filename(g_get_home_dir(),
					   ".config/containers/registries.conf", NULL);
	home_d = g_strconcat(home, ".d", NULL);
	if ((o && o->registries_conf) || (env && *env)) {
		r = add_file(c, o && o->registries_conf ? o->registries_conf : env, e);
	} else {
		r = add_file(
			c, access(home, F_OK) == 0 ? home : "/etc/containers/registries.conf", e);
		if (r >= 0)
			r = add_folder(c, "/etc/containers/registries.conf.d", e);
		if (r >= 0)
			r = add_folder(c, home_d, e);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

/* --- choosing ------------------------------------------------------------------------------------------ */

/* Bytes of the name that the prefix takes; 0: it isn't one. */
static size_t matches(const char *prefix, const char *name)
{
	size_t n = strlen(prefix);

	if (g_str_has_prefix(prefix, "*.")) {
		size_t host = strcspn(name, ":/");

		return host > n - 1 && memcmp(name + host - (n - 1), prefix + 1, n - 1) == 0 ? host
											     : 0;
	}
	return strncmp(name, prefix, n) == 0 && (!name[n] || strchr("/:@", name[n])) ? n : 0;
}

static const struct row *find_row(const struct registries *c, const char *name, size_t *ret_taken)
{
	const struct row *best = NULL;
	size_t longest = 0;

	for (unsigned i = 0; i < c->rows->len; i++) {
		const struct row *r = c->rows->pdata[i];
		size_t taken = matches(r->prefix, name);

		if (taken > 0 && (!best || strlen(r->prefix) > longest)) {
			best = r;
			longest = strlen(r->prefix);
			*ret_taken = taken;
		}
	}
	return best;
}

/* location stands for what the prefix took of "domain/path"; "": nothing is rewritten. */
static int place_of(const char *name, size_t taken, const char *location, bool insecure,
	bool mirror, struct registry_place **ret, struct err *e)
{
	g_autofree char *full =
		*location ? g_strconcat(location, name + taken, NULL) : g_strdup(name);
	char *slash = strchr(full, '/');
	struct registry_place *p;

	/* what follows a place is a repository, or its tag when the prefix had one */
	if (slash)
		slash[strcspn(slash, "@")] = '\0';
	if (!slash || !slash[1] || slash == full || strrchr(slash, ':'))
		return err_set(
			e, -E_INVALID, "'%s' leads to '%s', which is no repository", name, full);
	p = g_new0(struct registry_place, 1);
	p->domain = g_strndup(full, (size_t)(slash - full));
	p->path = g_strdup(slash + 1);
	p->insecure = insecure;
	p->is_mirror = mirror;
	*ret = p;
	return 0;
}

static const struct row *row_of(const struct registries *c, const struct ref *r, char **ret_name,
	size_t *ret_taken, struct err *e)
{
	/* a prefix may go as far as the tag */
	g_autofree char *with_tag =
		r->digest ? g_strdup_printf("%s/%s@%s", r->domain, r->path, r->digest)
			  : g_strdup_printf("%s/%s:%s", r->domain, r->path, r->tag ?: "");
	const struct row *row = find_row(c, with_tag, ret_taken);

	*ret_name = g_strdup_printf("%s/%s", r->domain, r->path);
	*ret_taken = row ? MIN(*ret_taken, strlen(*ret_name)) : 0;
	return row;
}

static char *without_tag(const char *location)
{
	const char *slash = strchr(location, '/');
	size_t n = slash ? (size_t)(slash - location) + strcspn(slash, ":@") : strlen(location);

	return g_strndup(location, n);
}

int registries_places(
	const struct registries *c, const struct ref *r, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)registry_place_free);
	g_autofree char *name = NULL, *location = NULL;
	struct registry_place *p;
	size_t taken = 0;
	const struct row *row = row_of(c, r, &name, &taken, e);
	int code;

	if (row && row->blocked)
		return err_set(e, -E_INVALID, "'%s' is blocked by registries.conf", row->prefix);
	for (unsigned i = 0; row && i < row->mirrors->len; i++) {
		const struct mirror *m = row->mirrors->pdata[i];
		g_autofree char *at = without_tag(m->location);

		if (r->digest ? m->use == MIRROR_TAG_ONLY : m->use == MIRROR_DIGEST_ONLY)
			continue;
		code = place_of(name, taken, at, m->insecure, true, &p, e);
		if (code < 0)
			return code;
		g_ptr_array_add(list, p);
	}
	location = without_tag(row ? row->location : "");
	code = place_of(name, taken, location, row && row->insecure, false, &p, e);
	if (code < 0)
		return code;
	g_ptr_array_add(list, p);
	*ret = g_steal_pointer(&list);
	return 0;
}

int registries_place(
	const struct registries *c, const struct ref *r, struct registry_place **ret, struct err *e)
{
	g_autofree char *name = NULL;
	size_t taken = 0;
	const struct row *row = row_of(c, r, &name, &taken, e);

	if (row && row->blocked)
		return err_set(e, -E_INVALID, "'%s' is blocked by registries.conf", row->prefix);
	return place_of(name, 0, "", row && row->insecure, false, ret, e);
}

bool registries_is_insecure(const struct registries *c, const char *domain)
{
	size_t taken;
	const struct row *row = find_row(c, domain, &taken);

	return row && row->insecure;
}

/* Whether it begins with a registry: docker's rule. */
static bool has_domain(const char *written)
{
	const char *slash = strchr(written, '/');
	g_autofree char *first = NULL;

	if (!slash)
		return false;
	first = g_strndup(written, (size_t)(slash - written));
	return strpbrk(first, ".:") || strcmp(first, "localhost") == 0 ||
	       strpbrk(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

int registries_names(
	const struct registries *c, const char *written, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	size_t n = strcspn(written, ":@");
	g_autofree char *short_name = g_strndup(written, n);
	const char *alias = g_hash_table_lookup(c->aliases, short_name);

	if (has_domain(written)) {
		g_ptr_array_add(list, g_strdup(written));
	} else if (alias) {
		g_ptr_array_add(list, g_strconcat(alias, written + n, NULL));
	} else if (c->search && c->search[0]) {
		if (g_strcmp0(c->mode, "enforcing") == 0 && c->search[1]) {
			err_set(e, -E_INVALID,
				"'%s' could be an image of several registries, and registries.conf "
				"wants "
				"to be asked which",
				written);
			(void)err_mend(e, "write the registry before the name");
			return -E_INVALID;
		}
		for (char **s = c->search; *s; s++)
			g_ptr_array_add(list, g_strconcat(*s, "/", written, NULL));
	} else {
		g_ptr_array_add(list, g_strdup(written));
	}
	*ret = g_steal_pointer(&list);
	return 0;
}
