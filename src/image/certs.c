/* SPDX-License-Identifier: MIT */
/* certs.d: a registry's own authorities, and who we are to it by certificate (containers-certs.d(5)). */
#include <string.h>
#include "image/registry-client.h"

#define PEM_MAX (1 << 20)

static int read_folder(
	const char *folder, GString *ca, char **ret_cert, char **ret_key, struct err *e)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d))) {
		g_autofree char *path = g_build_filename(folder, name, NULL), *pem = NULL;
		gsize size;

		if (g_str_has_suffix(name, ".crt")) {
			if (!g_file_get_contents(path, &pem, &size, NULL) || size > PEM_MAX)
				return err_set(e, -EIO, "cannot read '%s'", path);
			g_string_append(ca, pem);
			g_string_append_c(ca, '\n');
		} else if (g_str_has_suffix(name, ".cert") && !*ret_cert) {
			g_autofree char *key = g_strdup_printf(
				"%.*s.key", (int)(strlen(path) - strlen(".cert")), path);

			if (access(key, R_OK) < 0)
				return err_set(e, -E_INVALID,
					"the certificate '%s' has no key '%s' beside it", path,
					key);
			*ret_cert = g_steal_pointer(&path);
			*ret_key = g_steal_pointer(&key);
		} else if (g_str_has_suffix(name, ".key")) {
			g_autofree char *cert = g_strdup_printf(
				"%.*s.cert", (int)(strlen(path) - strlen(".key")), path);

			if (access(cert, R_OK) < 0)
				return err_set(e, -E_INVALID,
					"the key '%s' has no certificate '%s' beside it", path,
					cert);
		}
	}
	return 0;
}

int certs_find(const struct transport_options *o, const char *host, char **ret_ca, char **ret_cert,
	char **ret_key, struct err *e)
{
	g_autoptr(GString) ca = g_string_new(NULL);
	const char *config = getenv("XDG_CONFIG_HOME");
	g_autofree char *home = NULL, *usual = NULL;
	int r = 0;

	usual = config && *config ? NULL : g_build_filename(g_get_home_dir(), ".config", NULL);
	home = g_build_filename(usual ? usual : config, "containers/certs.d", NULL);
	if (o->cert_dir) {
		r = read_folder(o->cert_dir, ca, ret_cert, ret_key, e);
	} else {
		const char *const folders[] = { home, "/etc/containers/certs.d",
			"/etc/docker/certs.d" };

		/* the first that is there, as the others do it */
		for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++) {
			g_autofree char *folder = g_build_filename(folders[i], host, NULL);

			if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
				continue;
			r = read_folder(folder, ca, ret_cert, ret_key, e);
			break;
		}
	}
	if (r >= 0 && ca->len > 0)
		*ret_ca = g_string_free(g_steal_pointer(&ca), FALSE);
	return r;
}
