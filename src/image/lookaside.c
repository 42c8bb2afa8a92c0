/* SPDX-License-Identifier: MIT */
#include "image/lookaside.h"

#include <string.h>
#include "codec/yaml.h"

#define FILE_MAX (1 << 20)

struct section {
	char *lookaside, *staging;
	bool sigstore, found;
};

static const char *text_of(const struct yaml *y, const char *key, const char *old_key)
{
	const struct yaml *v = yaml_get(y, key);

	if (!v)
		v = yaml_get(y, old_key);
	return v && v->kind == YAML_STRING ? v->text : NULL;
}

static void take(struct section *s, const struct yaml *y)
{
	const struct yaml *use = yaml_get(y, "use-sigstore-attachments");

	g_free(s->lookaside);
	g_free(s->staging);
	s->lookaside = g_strdup(text_of(y, "lookaside", "sigstore"));
	s->staging = g_strdup(text_of(y, "lookaside-staging", "sigstore-staging"));
	s->sigstore = use && use->kind == YAML_BOOL && g_ascii_strcasecmp(use->text, "true") == 0;
	s->found = true;
}

/* Longer scopes are more precise. */
static void read_doc(
	const struct yaml *root, const char *const *scopes, struct section *best, unsigned *rank)
{
	const struct yaml *docker = yaml_get(root, "docker"),
			  *def = yaml_get(root, "default-docker");

	for (unsigned i = 0; scopes[i]; i++) {
		const struct yaml *y = docker ? yaml_get(docker, scopes[i]) : NULL;

		if (y && i < *rank) {
			take(best, y);
			*rank = i;
		}
	}
	if (def && *rank == G_MAXUINT) {
		take(best, def);
		*rank = G_MAXUINT - 1;
	}
}

static GPtrArray *scopes_of(const struct ref *r)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *scope = g_strdup_printf("%s/%s", r->domain, r->path);
	char *slash;

	g_ptr_array_add(list, r->digest ? g_strconcat(scope, "@", r->digest, NULL)
					: g_strconcat(scope, ":", r->tag ?: "latest", NULL));
	for (;;) {
		g_ptr_array_add(list, g_strdup(scope));
		slash = strrchr(scope, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	g_ptr_array_add(list, NULL);
	return list;
}

static int read_folder(
	const char *folder, const char *const *scopes, struct section *s, struct err *e)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	unsigned rank = G_MAXUINT;
	const char *name;
	int r = 0;

	while (r >= 0 && d && (name = g_dir_read_name(d))) {
		g_autofree char *path = g_build_filename(folder, name, NULL), *text = NULL;
		_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
		gsize size;

		if (!g_str_has_suffix(name, ".yaml"))
			continue;
		if (!g_file_get_contents(path, &text, &size, NULL) || size > FILE_MAX)
			return err_set(e, -EIO, "cannot read '%s'", path);
		r = yaml_read(text, size, 0, &doc, e);
		if (r < 0)
			(void)err_prefix(e, "'%s'", path);
		else
			read_doc(yaml_root(doc), scopes, s, &rank);
	}
	return r;
}

int lookaside_find(const struct transport_options *o, const struct ref *r, bool write, char **ret,
	bool *ret_sigstore, struct err *e)
{
	g_autoptr(GPtrArray) scopes = scopes_of(r);
	g_autofree char *home =
		g_build_filename(g_get_home_dir(), ".config/containers/registries.d", NULL);
	struct section s = { NULL };
	const char *folder = o->registries_d, *chosen;
	int code;

	if (!folder)
		folder = g_file_test(home, G_FILE_TEST_IS_DIR) ? home
							       : "/etc/containers/registries.d";
	code = read_folder(folder, (const char *const *)scopes->pdata, &s, e);
	chosen = write && s.staging ? s.staging : s.lookaside;
	if (code >= 0 && chosen)
		*ret = g_strdup(chosen);
	else if (code >= 0 && !s.found)
		*ret = geteuid() == 0 ? g_strdup("file:///var/lib/containers/sigstore")
				      : g_strconcat("file://", g_get_home_dir(),
						"/.local/share/containers/sigstore", NULL);
	if (ret_sigstore)
		*ret_sigstore = s.sigstore;
	g_free(s.lookaside);
	g_free(s.staging);
	return MIN(code, 0);
}

static char *url_of(const char *base, const char *path, const char *digest, unsigned n)
{
	size_t size = strlen(base);

	while (size > 0 && base[size - 1] == '/')
		size--;
	/* the digest's ":" would be one of a port in a path */
	return g_strdup_printf("%.*s/%s@sha256=%s/signature-%u", (int)size, base, path,
		digest + strlen("sha256:"), n);
}

int lookaside_read(struct registry *r, const char *base, const char *path, const char *digest,
	GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

	for (unsigned n = 1; base; n++) {
		g_autofree char *url = url_of(base, path, digest, n), *text = NULL;
		GString *body = NULL;
		gsize size;
		int code;

		if (n > LOOKASIDE_SIGNATURES_MAX)
			return err_set(e, -E_LIMIT, "there are more than %d signatures",
				LOOKASIDE_SIGNATURES_MAX);
		if (g_str_has_prefix(base, "file://")) {
			if (!g_file_get_contents(url + strlen("file://"), &text, &size, NULL))
				break;
			if (size > LOOKASIDE_SIZE_MAX)
				return err_set(e, -E_LIMIT, "'%s' is too large", url);
			g_ptr_array_add(list, g_bytes_new_take(g_steal_pointer(&text), size));
			continue;
		}
		code = registry_get(r, url, LOOKASIDE_SIZE_MAX, &body, e);
		if (code == -E_NOTFOUND)
			break;
		if (code < 0)
			return code;
		g_ptr_array_add(list, g_string_free_to_bytes(body));
	}
	*ret = g_steal_pointer(&list);
	return 0;
}

int lookaside_write(const char *base, const char *path, const char *digest, GPtrArray *signatures,
	struct err *e)
{
	unsigned n = 1;

	if (!base || !g_str_has_prefix(base, "file://"))
		return err_set(e, -E_UNSUPPORTED,
			"signatures can't be put to '%s': registries.d names no 'file:' for them",
			base ?: "");
	for (unsigned i = 0; i < signatures->len; i++) {
		gsize size;
		const char *data = g_bytes_get_data(signatures->pdata[i], &size);
		g_autofree char *url = NULL, *folder = NULL;
		const char *file;

		for (;; n++) {
			g_autofree char *old = NULL;
			gsize old_size;

			g_free(url);
			url = url_of(base, path, digest, n);
			file = url + strlen("file://");
			if (!g_file_get_contents(file, &old, &old_size, NULL) ||
				(old_size == size && memcmp(old, data, size) == 0))
				break;
		}
		folder = g_path_get_dirname(file);
		if (g_mkdir_with_parents(folder, 0755) < 0 ||
			!g_file_set_contents(file, data, (gssize)size, NULL))
			return err_set(e, -EIO, "cannot write '%s'", file);
	}
	return 0;
}
