/* SPDX-License-Identifier: MIT */
/*
 * Names and passwords: HTTP Basic (RFC 7617) against a file of htpasswd(1) with bcrypt hashes. bcrypt is slow by
 * design, so a worker does it, and what was right is remembered for a while, as a keyed digest of both.
 */

#include <crypt.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "server/server-priv.h"

#define HTPASSWD_MAX	(4 * 1024 * 1024)
#define CREDENTIALS_MAX 1024
#define REMEMBER	(INT64_C(300) * 1000000000) /* ns */
#define KNOWN_MAX	1024

struct auth {
	const char *path;
	char *(*crypt)(const char *phrase, const char *setting, void *data, int size);
	uint8_t key[32];   /* of the digests that are remembered */
	struct stat file;  /* as it was when they were */
	GHashTable *known; /* digests of names with passwords that were right -> when */
};

/* The file's text; checked when the server starts. */
static int read_file(const char *path, char **ret, struct err *e)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize n;

	if (!g_file_get_contents(path, &text, &n, &error))
		return err_set(e, -E_INVALID, "cannot read '%s': %s", path, error->message);
	if (n > HTPASSWD_MAX || strlen(text) != n)
		return err_set(e, -E_INVALID, "'%s' is no file of htpasswd", path);
	*ret = g_steal_pointer(&text);
	return 0;
}

static bool is_bcrypt(const char *hash)
{
	return g_str_has_prefix(hash, "$2") && strlen(hash) == 60;
}

static int load_crypt(struct auth *a, struct err *e)
{
	void *lib = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_NODELETE);
	int r;

	a->crypt = lib ? dlsym(lib, "crypt_rn") : NULL;
	if (a->crypt)
		return 0;
	r = err_set(e, -E_UNSUPPORTED, "cannot load libcrypt.so.1");
	err_mend(e, "install the package libcrypt1");
	return r;
}

static int check_file(const char *path, struct err *e)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	int r = read_file(path, &text, e);

	if (r < 0)
		return r;
	lines = g_strsplit(text, "\n", -1);
	for (guint i = 0; lines[i]; i++) {
		const char *colon = strchr(g_strchomp(lines[i]), ':');

		if (*lines[i] == '\0' || *lines[i] == '#' || (colon && is_bcrypt(colon + 1)))
			continue;
		r = err_set(e, -E_INVALID, "'%s': line %u has no bcrypt hash", path, i + 1);
		err_mend(e, "make it with htpasswd -B");
		return r;
	}
	return 0;
}

int auth_new(const char *path, struct auth **ret, struct err *e)
{
	struct auth *a = g_new0(struct auth, 1);
	int r;

	a->path = path;
	a->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	r = check_file(path, e);
	if (r >= 0)
		r = load_crypt(a, e);
	if (r >= 0 && RET_NERRNO(getrandom(a->key, sizeof(a->key), 0)) < 0)
		r = err_set(e, -EIO, "cannot get random bytes");
	if (r < 0) {
		auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	g_hash_table_destroy(a->known);
	g_free(a);
}

/* "Basic BASE64": the name and the password, to be freed with the name. NULL: there is none. */
static char *credentials(const struct http_request *q, const char **ret_password)
{
	const struct http_text *v = http_find(q, "Authorization");
	g_autofree char *text = NULL, *plain = NULL;
	char *colon;
	gsize n;

	if (!v || v->n < 7 || v->n > CREDENTIALS_MAX ||
		!http_is((struct http_text){ v->p, 6 }, "Basic "))
		return NULL;
	text = g_strndup(v->p + 6, v->n - 6);
	plain = (char *)g_base64_decode(g_strstrip(text), &n);
	plain = g_realloc(plain, n + 1);
	plain[n] = '\0';
	colon = memchr(plain, ':', n);
	if (!colon || colon == plain || strlen(plain) != n || colon - plain >= 256)
		return NULL;
	*colon = '\0';
	*ret_password = colon + 1;
	return g_steal_pointer(&plain);
}

static char *digest_of(const struct auth *a, const char *name, const char *password)
{
	_cleanup_(sha256_freep) struct sha256 *sha = NULL;
	char text[SHA256_TEXT];

	if (sha256_new(&sha, NULL) < 0)
		return NULL;
	sha256_write(sha, a->key, sizeof(a->key));
	sha256_write(sha, name, strlen(name) + 1);
	sha256_write(sha, password, strlen(password));
	sha256_finish_text(sha, text);
	return g_strdup(text);
}

/* Whoever was known by another file isn't known any more. */
static void forget_if_changed(struct auth *a)
{
	struct stat st = { 0 };

	(void)stat(a->path, &st);
	if (st.st_ino == a->file.st_ino && st.st_size == a->file.st_size &&
		st.st_mtim.tv_sec == a->file.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == a->file.st_mtim.tv_nsec)
		return;
	a->file = st;
	g_hash_table_remove_all(a->known);
}

int auth_begin(struct server *s, struct conn *c)
{
	const char *password;
	g_autofree char *name = NULL, *digest = NULL;
	const int64_t *when;

	if (!s->auth)
		return 1;
	name = credentials(&c->q, &password);
	if (!name)
		return -EACCES;
	forget_if_changed(s->auth);
	digest = digest_of(s->auth, name, password);
	when = digest ? g_hash_table_lookup(s->auth->known, digest) : NULL;
	c->call.user = g_steal_pointer(&name);
	return when && s->now - *when < REMEMBER ? 1 : 0;
}

void auth_remember(struct server *s, struct conn *c)
{
	const char *password;
	g_autofree char *name = credentials(&c->q, &password);
	char *digest = name ? digest_of(s->auth, name, password) : NULL;

	if (!digest)
		return;
	if (g_hash_table_size(s->auth->known) >= KNOWN_MAX)
		g_hash_table_remove_all(s->auth->known);
	(void)g_hash_table_replace(s->auth->known, digest, g_memdup2(&s->now, sizeof(s->now)));
}

bool auth_check(const struct auth *a, const struct http_request *q)
{
	g_autofree struct crypt_data *data = g_new0(struct crypt_data, 1);
	g_autofree char *name = NULL, *text = NULL;
	const char *password, *hash = NULL, *any = NULL, *got;
	g_auto(GStrv) lines = NULL;

	name = credentials(q, &password);
	if (!name || read_file(a->path, &text, NULL) < 0)
		return false;
	lines = g_strsplit(text, "\n", -1);
	for (guint i = 0; lines[i]; i++) {
		char *colon = strchr(g_strchomp(lines[i]), ':');

		if (!colon || *lines[i] == '#' || !is_bcrypt(colon + 1))
			continue;
		*colon = '\0';
		any = colon + 1;
		if (!hash && g_str_equal(lines[i], name))
			hash = colon + 1;
	}
	if (!any)
		return false;
	/* a name that isn't there takes as long as one that is */
	got = a->crypt(password, hash ?: any, data, sizeof(*data));
	return hash && got && g_str_equal(got, hash);
}
