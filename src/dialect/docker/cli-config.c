/* SPDX-License-Identifier: MIT */
/* Where the server is (-H, contexts, environment), and what ~/.docker/config.json says. */

#include "dialect/docker/cli.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "image/credentials.h"

#define CONFIG_MODE 0600
#define HUB	    "docker.io"
#define HUB_KEY	    "https://index.docker.io/v1/"

const char *cli_folder(struct cli *s)
{
	const char *dir = s->config ?: g_getenv("DOCKER_CONFIG");

	if (s->folder)
		return s->folder;
	if (dir && *dir)
		s->folder = g_strdup(dir);
	else
		s->folder = g_strdup_printf("%s/.docker", g_getenv("HOME") ?: g_get_home_dir());
	return s->folder;
}

json_t *cli_config(struct cli *s)
{
	g_autofree char *file = NULL, *text = NULL;
	json_error_t error;

	if (s->file)
		return s->file;
	file = g_strdup_printf("%s/config.json", cli_folder(s));
	if (g_file_get_contents(file, &text, NULL, NULL)) {
		s->file = json_loads(text, 0, &error);
		if (!json_is_object(s->file)) {
			(void)fprintf(stderr, "WARNING: Error loading config file: %s: %s\n", file,
				s->file ? "not an object" : error.text);
			json_decref(s->file);
			s->file = NULL;
		}
	}
	if (!s->file)
		s->file = json_object();
	return s->file;
}

const char *cli_config_text(struct cmd_call *call, const char *key)
{
	const char *text = json_string_value(json_object_get(cli_config(cli_of(call)), key));

	return text && *text ? text : NULL;
}

int cli_config_save(struct cli *s, struct err *e)
{
	g_autofree char *file = g_strdup_printf("%s/config.json", cli_folder(s));
	char *text = json_dumps(cli_config(s), JSON_INDENT(8));
	g_autofree char *tabs = NULL;
	g_auto(GStrv) parts = NULL;
	bool ok;

	/* docker indents with tabs */
	parts = g_strsplit(text, "        ", -1);
	tabs = g_strjoinv("\t", parts);
	free(text);
	(void)g_mkdir_with_parents(cli_folder(s), 0700);
	ok = g_file_set_contents_full(
		file, tabs, -1, G_FILE_SET_CONTENTS_CONSISTENT, CONFIG_MODE, NULL);
	return ok ? 0 : err_set(e, -EIO, "error saving configuration: cannot write %s", file);
}

/* --- contexts --------------------------------------------------------------------------------------------------- */

char *cli_context_name(struct cli *s, const char **ret_why)
{
	const char *host = g_getenv("DOCKER_HOST"), *named = g_getenv("DOCKER_CONTEXT");
	const char *current;

	*ret_why = NULL;
	if (s->context && *s->context)
		return g_strdup(s->context);
	if (s->host)
		return g_strdup("default");
	if (host && *host) {
		*ret_why = "DOCKER_HOST";
		return g_strdup("default");
	}
	if (named && *named) {
		*ret_why = "DOCKER_CONTEXT";
		return g_strdup(named);
	}
	current = json_string_value(json_object_get(cli_config(s), "currentContext"));
	return g_strdup(current && *current ? current : "default");
}

char *cli_context_folder(struct cli *s, const char *kind, const char *name)
{
	char digest[SHA256_TEXT];

	if (sha256_of(name, strlen(name), digest, NULL) < 0)
		return NULL;
	return g_strdup_printf("%s/contexts/%s/%s", cli_folder(s), kind, sha256_hex(digest));
}

json_t *cli_context_read(struct cli *s, const char *name, struct err *e)
{
	g_autofree char *folder = cli_context_folder(s, "meta", name);
	g_autofree char *file = g_strdup_printf("%s/meta.json", folder ?: ""), *text = NULL;
	json_t *j;

	if (!folder || !g_file_get_contents(file, &text, NULL, NULL)) {
		(void)err_set(e, -E_NOTFOUND,
			"context \"%s\": context not found: open %s: no such file or directory",
			name, file);
		return NULL;
	}
	j = json_loads(text, 0, NULL);
	if (!json_is_object(j)) {
		json_decref(j);
		(void)err_set(e, -E_INVALID, "context \"%s\": cannot read %s", name, file);
		return NULL;
	}
	return j;
}

/* --- hosts -------------------------------------------------------------------------------------------------------- */

struct tls_files {
	bool on, verify;
	char *ca, *cert, *key;
};

static void tls_files_clear(struct tls_files *t)
{
	g_free(t->ca);
	g_free(t->cert);
	g_free(t->key);
}

static char *tls_file(struct cli *s, const char *given, const char *name)
{
	const char *dir = g_getenv("DOCKER_CERT_PATH");

	if (given)
		return g_strdup(given);
	return g_strdup_printf("%s/%s", dir && *dir ? dir : cli_folder(s), name);
}

static bool given_in_environment(const char *name)
{
	const char *v = g_getenv(name);

	return v && *v;
}

/* --tls, --tlsverify and their variables; the files are there by default only when they exist. */
static void tls_of_options(struct cli *s, struct tls_files *t)
{
	t->verify =
		s->tlsverify >= 0 ? s->tlsverify > 0 : given_in_environment("DOCKER_TLS_VERIFY");
	t->on = s->tls || t->verify || given_in_environment("DOCKER_TLS") || s->tlsverify == 0;
	if (!t->on)
		return;
	t->ca = tls_file(s, s->tlscacert, "ca.pem");
	t->cert = tls_file(s, s->tlscert, "cert.pem");
	t->key = tls_file(s, s->tlskey, "key.pem");
	if (!t->verify || (!s->tlscacert && !g_file_test(t->ca, G_FILE_TEST_EXISTS)))
		g_clear_pointer(&t->ca, g_free);
	if (!s->tlscert && !g_file_test(t->cert, G_FILE_TEST_EXISTS))
		g_clear_pointer(&t->cert, g_free);
	if (!s->tlskey && !g_file_test(t->key, G_FILE_TEST_EXISTS))
		g_clear_pointer(&t->key, g_free);
}

/* "HOST", ":2375", "tcp://HOST" as "tcp://HOST:PORT"; "unix://" as docker's own socket. */
static int full_host(const char *text, bool tls, char **ret, struct err *e)
{
	g_autofree char *given = g_strstrip(g_strdup(text));
	const char *rest = given;

	if (g_str_has_prefix(given, "unix://")) {
		*ret = g_strdup(given[7] ? given : "unix:///var/run/docker.sock");
		return 0;
	}
	if (g_str_has_prefix(given, "ssh://") || g_str_has_prefix(given, "fd://")) {
		*ret = g_strdup(given);
		return 0;
	}
	if (g_str_has_prefix(given, "tcp://"))
		rest = given + strlen("tcp://");
	else if (strstr(given, "://"))
		return err_set(e, -E_INVALID, "invalid bind address format: %s", given);
	if (!*rest || *rest == ':')
		*ret = g_strdup_printf("tcp://localhost%s", *rest ? rest : tls ? ":2376" : ":2375");
	else if (strrchr(rest, ':') && !g_str_has_suffix(rest, "]"))
		*ret = g_strdup_printf("tcp://%s", rest);
	else
		*ret = g_strdup_printf("tcp://%s:%s", rest, tls ? "2376" : "2375");
	return 0;
}

/* Of a context: its host, and the files beside it. */
static int context_host(
	struct cli *s, const char *name, char **ret, struct tls_files *t, struct err *e)
{
	g_autofree char *folder = cli_context_folder(s, "tls", name);
	json_t *j = cli_context_read(s, name, e), *docker;
	const char *names[] = { "ca.pem", "cert.pem", "key.pem" };
	char **files[] = { &t->ca, &t->cert, &t->key };

	if (!j)
		return -E_NOTFOUND;
	docker = cli_at(j, "Endpoints.docker");
	*ret = g_strdup(json_string_value(json_object_get(docker, "Host")));
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = g_strdup_printf("%s/docker/%s", folder, names[i]);

		if (g_file_test(file, G_FILE_TEST_EXISTS)) {
			*files[i] = g_steal_pointer(&file);
			t->on = true;
		}
	}
	t->verify = !json_is_true(json_object_get(docker, "SkipTLSVerify"));
	json_decref(j);
	return 0;
}

static int find_host(struct cli *s, char **ret, struct tls_files *t, struct err *e)
{
	const char *why, *host = s->host ? s->host[0] : NULL;
	g_autofree char *name = cli_context_name(s, &why);

	*ret = NULL;
	if (s->host && s->host[1])
		return err_set(e, -E_INVALID, "specify only one -H");
	if (strcmp(name, "default") != 0) {
		int r = context_host(s, name, ret, t, e);

		return r < 0 ? err_prefix(
				       e, "Failed to initialize: unable to resolve docker endpoint")
			     : 0;
	}
	if (!host)
		host = g_getenv("DOCKER_HOST");
	tls_of_options(s, t);
	if (!host || !*host)
		return 0;
	return full_host(host, t->on, ret, e);
}

char *cli_endpoint(struct cli *s, struct err *e)
{
	struct tls_files t = { 0 };
	char *host = NULL;

	(void)find_host(s, &host, &t, e);
	tls_files_clear(&t);
	return host;
}

static char **config_headers(struct cli *s)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(cli_config(s), "HttpHeaders"), key, v)
		if (json_is_string(v) && !strpbrk(key, "\r\n: ") &&
			!strpbrk(json_string_value(v), "\r\n") &&
			g_ascii_strcasecmp(key, "User-Agent") != 0)
			g_ptr_array_add(all, g_strdup_printf("%s: %s", key, json_string_value(v)));
	g_ptr_array_add(all, NULL);
	return (char **)g_ptr_array_steal(all, NULL);
}

int cli_client(struct cmd_call *call, struct client **ret, struct err *e)
{
	struct cli *s = cli_of(call);
	struct tls_files t = { 0 };
	g_autofree char *host = NULL;
	g_auto(GStrv) headers = NULL;
	const char *api = g_getenv("DOCKER_API_VERSION");
	int r = 0;

	if (!s->client) {
		r = find_host(s, &host, &t, e);
		headers = config_headers(s);
		if (r >= 0)
			s->client = client_new(&(struct client_config){
				.c = call->c,
				.host = host,
				.tls = t.on && host && g_str_has_prefix(host, "tcp://"),
				.tls_verify = t.verify,
				.tls_ca = t.ca,
				.tls_cert = t.cert,
				.tls_key = t.key,
				.api = api && *api ? (*api == 'v' ? api + 1 : api) : NULL,
				.headers = headers,
			});
		tls_files_clear(&t);
	}
	*ret = s->client;
	return r < 0 ? r : 0;
}

/* --- credentials ----------------------------------------------------------------------------------------------------- */

char *cli_registry_of(const char *image)
{
	const char *slash = strchr(image, '/');
	g_autofree char *first = slash ? g_strndup(image, (gsize)(slash - image)) : NULL;

	if (!first || (!strpbrk(first, ".:") && strcmp(first, "localhost") != 0))
		return g_strdup(HUB);
	return g_strdup(strcmp(first, "index.docker.io") == 0 ? HUB : first);
}

static char *url_base64(const char *text)
{
	char *b = g_base64_encode((const guchar *)text, strlen(text));

	for (char *p = b; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return b;
}

char *cli_auth(struct cmd_call *call, const char *image, struct err *e)
{
	g_autofree char *registry = cli_registry_of(image);
	g_autofree char *file = g_strdup_printf("%s/config.json", cli_folder(cli_of(call)));
	struct transport_options o = { .tls_verify = -1, .auth_file = file };
	struct credentials who = { 0 };
	json_t *j = json_object();
	char *text, *ret;
	int r = 0;

	/* a helper that doesn't work is said; no file is nobody */
	if (g_file_test(file, G_FILE_TEST_EXISTS))
		r = credentials_find(&o, registry, NULL, &who, e);
	if (r < 0) {
		json_decref(j);
		return NULL;
	}
	if (r > 0) {
		if (who.identity && *who.identity)
			json_object_set_new(j, "identitytoken", json_string(who.identity));
		else
			json_object_set_new(j, "password", json_string(who.password));
		json_object_set_new(j, "username", json_string(who.user));
		json_object_set_new(j, "serveraddress",
			json_string(strcmp(registry, HUB) == 0 ? HUB_KEY : registry));
	}
	credentials_clear(&who);
	text = json_dumps(j, JSON_COMPACT);
	ret = url_base64(text);
	free(text);
	json_decref(j);
	return ret;
}
