/* SPDX-License-Identifier: MIT */
#include "image/credentials.h"

#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/json.h"
#include "image/tool.h"

#define DOCKER_KEY "https://index.docker.io/v1/"

void credentials_clear(struct credentials *c)
{
	g_free(c->user);
	g_free(c->password);
	g_free(c->identity);
	memset(c, 0, sizeof(*c));
}

int credentials_split(const char *text, struct credentials *ret, struct err *e)
{
	const char *colon = strchr(text, ':');

	if (!*text || colon == text)
		return err_set(e, -E_INVALID, "the credentials have no user: USER[:PASSWORD]");
	ret->user = g_strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	ret->password = g_strdup(colon ? colon + 1 : "");
	return 0;
}

/* --- what a file says ---------------------------------------------------------------------------------- */

/* "https://index.docker.io/v1/" and "docker.io" are one; scheme and API version say nothing. Caller frees. */
static char *normal_key(const char *key)
{
	g_autofree char *k = NULL;
	const char *p = strstr(key, "://");
	size_t n;

	k = g_strdup(p ? p + 3 : key);
	n = strlen(k);
	if (p)
		k[strcspn(k, "/")] = '\0';
	else
		while (n > 0 && k[n - 1] == '/')
			k[--n] = '\0';
	if (strcmp(k, "index.docker.io") == 0 || strcmp(k, "registry-1.docker.io") == 0)
		return g_strdup("docker.io");
	return g_steal_pointer(&k);
}

static json_t *lookup(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	const char *k;

	if (value)
		return value;
	json_object_foreach(object, k, value) {
		g_autofree char *normal = normal_key(k);

		if (strcmp(normal, key) == 0)
			return value;
	}
	return NULL;
}

static int read_auth(json_t *j, struct credentials *ret)
{
	const char *auth = json_string_value(json_object_get(j, "auth"));
	const char *user = json_string_value(json_object_get(j, "username"));
	const char *password = json_string_value(json_object_get(j, "password"));
	const char *identity = json_string_value(json_object_get(j, "identitytoken"));
	g_autofree char *plain = NULL;
	const char *colon;
	gsize n = 0;

	if (identity && *identity)
		ret->identity = g_strdup(identity);
	if (auth && *auth) {
		plain = (char *)g_base64_decode(auth, &n);
		plain = g_realloc(plain, n + 1);
		plain[n] = '\0';
		colon = strchr(plain, ':');
		if (colon && strlen(plain) == n) {
			ret->user = g_strndup(plain, (size_t)(colon - plain));
			ret->password = g_strdup(colon + 1);
			/* old docker clients padded them */
			return 1;
		}
	}
	if (user && password) {
		ret->user = g_strdup(user);
		ret->password = g_strdup(password);
		return 1;
	}
	return ret->identity ? 1 : 0;
}

/* From "domain/a/b" over "domain/a" to "domain". */
static int find_in(json_t *auths, const char *domain, const char *path, struct credentials *ret)
{
	g_autofree char *key = path ? g_strconcat(domain, "/", path, NULL) : g_strdup(domain);
	char *slash;

	for (;;) {
		json_t *j = lookup(auths, key);

		if (json_is_object(j) && read_auth(j, ret) > 0)
			return 1;
		slash = strrchr(key, '/');
		if (!slash)
			return 0;
		*slash = '\0';
	}
}

int credentials_read(const char *text, size_t size, const char *domain, const char *path,
	struct credentials *ret, char **ret_helper, struct err *e)
{
	json_t *doc = NULL, *auths, *helper;
	int r;

	*ret_helper = NULL;
	r = json_read(text, size, &doc, e);
	if (r < 0)
		return r;
	auths = json_object_get(doc, "auths");
	helper = lookup(json_object_get(doc, "credHelpers"), domain);
	if (!helper || !*(json_string_value(helper) ?: ""))
		helper = json_object_get(doc, "credsStore");
	if (json_string_value(helper) && *json_string_value(helper)) {
		*ret_helper = g_strdup(json_string_value(helper));
		r = 1;
	} else {
		/* ~/.dockercfg is the list alone */
		r = find_in(auths ? auths : doc, domain, path, ret);
	}
	json_decref(doc);
	return r;
}

/* --- helpers ------------------------------------------------------------------------------------------- */

static int helper_run(const char *helper, const char *verb, const char *input, char **ret_out,
	int *ret_status, struct err *e)
{
	g_autofree char *program = g_strconcat("docker-credential-", helper, NULL);
	const char *argv[] = { program, verb, NULL };

	/* the name comes from a file and must stay a name */
	if (strpbrk(helper, "/ \t\n"))
		return err_set(e, -E_INVALID, "'%s' is no name of a credential helper", helper);
	return tool_run(argv, input, strlen(input), ret_out, NULL, ret_status, e);
}

static int helper_get(
	const char *helper, const char *domain, struct credentials *ret, struct err *e)
{
	const char *key = strcmp(domain, "docker.io") == 0 ? DOCKER_KEY : domain;
	g_autofree char *out = NULL;
	const char *user, *secret;
	json_t *doc = NULL;
	int status = 0, r;

	r = helper_run(helper, "get", key, &out, &status, e);
	if (r < 0)
		return r;
	if (status != 0) {
		/* the protocol's own words for "not there" */
		if (strstr(out, "credentials not found"))
			return 0;
		return err_set(e, -EIO, "docker-credential-%s failed: %.300s", helper,
			*out ? g_strchomp(out) : "no answer");
	}
	r = json_read(out, strlen(out), &doc, e);
	if (r < 0)
		return err_prefix(e, "docker-credential-%s", helper);
	user = json_string_value(json_object_get(doc, "Username"));
	secret = json_string_value(json_object_get(doc, "Secret"));
	if (!user || !secret)
		r = err_set(e, -E_CORRUPT, "docker-credential-%s gave no user and secret", helper);
	else if (strcmp(user, "<token>") == 0)
		ret->identity = g_strdup(secret);
	else {
		ret->user = g_strdup(user);
		ret->password = g_strdup(secret);
	}
	json_decref(doc);
	return r < 0 ? r : 1;
}

/* --- files --------------------------------------------------------------------------------------------- */

static char *below_env(const char *env, const char *below, const char *rest)
{
	const char *dir = getenv(env);

	if (dir && *dir)
		return g_build_filename(dir, rest, NULL);
	return below ? g_build_filename(g_get_home_dir(), below, rest, NULL) : NULL;
}

static const char *own_file(const struct transport_options *o)
{
	const char *env = getenv("REGISTRY_AUTH_FILE");

	if (o && o->auth_file)
		return o->auth_file;
	return env && *env ? env : NULL;
}

char *credentials_file(const struct transport_options *o)
{
	const char *own = own_file(o);
	char *file;

	if (own)
		return g_strdup(own);
	file = below_env("XDG_RUNTIME_DIR", NULL, "containers/auth.json");
	return file ? file : g_strdup_printf("/run/containers/%u/auth.json", (unsigned)getuid());
}

/* -ENOENT without a text. */
static int read_file(const char *path, char **ret, size_t *ret_size, struct err *e)
{
	_cleanup_close_ int fd = -1;
	g_autoptr(GString) text = g_string_new(NULL);
	char buf[4096];
	ssize_t n;

	fd = RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -ENOENT
						       : err_sys(e, fd, "cannot open '%s'", path);
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read '%s'", path);
		g_string_append_len(text, buf, n);
		if (text->len > CREDENTIALS_FILE_MAX)
			return err_set(e, -E_LIMIT, "'%s' is larger than %d bytes", path,
				CREDENTIALS_FILE_MAX);
	}
	*ret_size = text->len;
	*ret = g_string_free(g_steal_pointer(&text), FALSE);
	return 0;
}

static int ask_file(const char *path, const char *domain, const char *repository,
	struct credentials *ret, struct err *e)
{
	g_autofree char *text = NULL, *helper = NULL;
	size_t size;
	int r;

	r = read_file(path, &text, &size, e);
	if (r == -ENOENT || (r >= 0 && size == 0))
		return 0;
	if (r >= 0)
		r = credentials_read(text, size, domain, repository, ret, &helper, e);
	if (r < 0) {
		(void)err_prefix(e, "'%s'", path);
		return r;
	}
	return helper ? helper_get(helper, domain, ret, e) : r;
}

int credentials_find(const struct transport_options *o, const char *domain, const char *path,
	struct credentials *ret, struct err *e)
{
	const char *own = own_file(o);
	int r = 0;

	if (o && o->no_creds)
		return 0;
	if (o && o->creds) {
		r = credentials_split(o->creds, ret, e);
		return r < 0 ? r : 1;
	}
	if (own)
		return ask_file(own, domain, path, ret, e);
	for (int i = 0; r == 0 && i < 4; i++) {
		g_autofree char *file =
			i == 0	 ? credentials_file(o)
			: i == 1 ? below_env("XDG_CONFIG_HOME", ".config", "containers/auth.json")
			: i == 2 ? below_env("DOCKER_CONFIG", ".docker", "config.json")
				 : g_build_filename(g_get_home_dir(), ".dockercfg", NULL);

		r = ask_file(file, domain, path, ret, e);
	}
	return r;
}

static int write_file(const char *path, const char *text, struct err *e)
{
	g_autofree char *folder = g_path_get_dirname(path);
	g_autofree char *temp = g_strdup_printf("%s.%d", path, (int)getpid());
	size_t size = strlen(text), done = 0;
	int fd, r = 0;

	if (g_mkdir_with_parents(folder, 0700) < 0)
		return err_sys(e, -errno, "cannot make '%s'", folder);
	fd = RET_NERRNO(open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0)
		return err_sys(e, fd, "cannot make '%s'", temp);
	while (r >= 0 && done < size) {
		ssize_t n = RET_NERRNO(write(fd, text + done, size - done));

		r = n < 0 ? (int)n : 0;
		done += n > 0 ? (size_t)n : 0;
	}
	if (r >= 0)
		r = RET_NERRNO(fsync(fd));
	(void)close(fd);
	if (r >= 0)
		r = RET_NERRNO(rename(temp, path));
	if (r < 0) {
		(void)unlink(temp);
		return err_sys(e, r, "cannot write '%s'", path);
	}
	return 0;
}

static json_t *member(json_t *doc, const char *name)
{
	json_t *j = json_object_get(doc, name);

	if (!json_is_object(j)) {
		j = json_object();
		(void)json_object_set_new(doc, name, j);
	}
	return j;
}

/* The key under which docker's client keeps it, when it is there; else the name itself. */
static const char *key_of(json_t *auths, const char *domain)
{
	json_t *j;
	const char *k;

	json_object_foreach(auths, k, j) {
		g_autofree char *normal = normal_key(k);

		if (strcmp(normal, domain) == 0)
			return k;
	}
	return NULL;
}

static int store_by_helper(
	const char *helper, const char *domain, const struct credentials *c, struct err *e)
{
	const char *key = strcmp(domain, "docker.io") == 0 ? DOCKER_KEY : domain;
	g_autofree char *out = NULL;
	char *text;
	json_t *j;
	int status = 0, r;

	if (!c) {
		r = helper_run(helper, "erase", key, &out, &status, e);
		return r < 0 ? r : 0;
	}
	j = json_pack("{s:s, s:s, s:s}", "ServerURL", key, "Username",
		c->identity ? "<token>" : c->user, "Secret",
		c->identity ? c->identity : c->password);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	r = helper_run(helper, "store", text, &out, &status, e);
	free(text);
	if (r >= 0 && status != 0)
		r = err_set(e, -EIO, "docker-credential-%s failed: %.300s", helper,
			*out ? g_strchomp(out) : "no answer");
	return r;
}

/* Changes doc. 1: there was nothing to forget; 2: a helper has done it, the file stays. */
static int change(json_t *doc, const char *domain, const struct credentials *c, struct err *e)
{
	json_t *auths = member(doc, "auths"), *helper, *j;
	g_autofree char *plain = NULL, *auth = NULL, *key = NULL;
	int r;

	if (!domain) {
		r = json_object_size(auths) == 0;
		(void)json_object_clear(auths);
		return r;
	}
	helper = lookup(json_object_get(doc, "credHelpers"), domain);
	if (!helper)
		helper = json_object_get(doc, "credsStore");
	key = g_strdup(key_of(auths, domain));
	if (json_string_value(helper) && *json_string_value(helper)) {
		r = store_by_helper(json_string_value(helper), domain, c, e);
		if (r < 0)
			return r;
		/* an empty entry lists it; that's docker's way */
		if (c)
			(void)json_object_set_new(auths, key ? key : domain, json_object());
		else if (key)
			(void)json_object_del(auths, key);
		return 0;
	}
	if (!c)
		return key ? json_object_del(auths, key) != 0 : 1;
	if (c->identity) {
		j = json_pack("{s:s, s:s}", "auth", "", "identitytoken", c->identity);
	} else {
		plain = g_strconcat(c->user, ":", c->password, NULL);
		auth = g_base64_encode((const guchar *)plain, strlen(plain));
		j = json_pack("{s:s}", "auth", auth);
	}
	(void)json_object_set_new(auths, key ? key : domain, j);
	return 0;
}

int credentials_write(const struct transport_options *o, const char *domain,
	const struct credentials *c, struct err *e)
{
	g_autofree char *path = credentials_file(o), *text = NULL;
	json_t *doc = NULL;
	size_t size = 0;
	char *dump;
	int r;

	r = read_file(path, &text, &size, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (size > 0) {
		r = json_read(text, size, &doc, e);
		if (r >= 0 && !json_is_object(doc))
			r = err_set(e, -E_CORRUPT, "it isn't a JSON object");
		if (r < 0) {
			(void)err_prefix(e, "'%s'", path);
			json_decref(doc);
			return r;
		}
	} else {
		doc = json_object();
	}
	r = change(doc, domain, c, e);
	if (r == 0) {
		dump = json_dumps(doc, JSON_INDENT(4));
		r = write_file(path, dump, e);
		free(dump);
	}
	json_decref(doc);
	return r;
}
