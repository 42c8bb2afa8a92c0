/* SPDX-License-Identifier: MIT */
/* What policy.json says, and whether an image fits it. How signatures are checked is in policy-gpg.c and
 * policy-sigstore.c. */
#include "image/policy.h"

#include <jansson.h>
#include <string.h>
#include "image/policy-priv.h"
#include "image/ref.h"

struct policy {
	json_t *doc; /* checked */
};

void policy_free(struct policy *p)
{
	if (!p)
		return;
	json_decref(p->doc);
	g_free(p);
}

void policy_freep(struct policy **p)
{
	policy_free(*p);
}

/* --- the format ---------------------------------------------------------------------------------------- */

/* Every member is one of names (NULL-terminated). */
static int only(json_t *o, const char *const *names, const char *where, struct err *e)
{
	const char *key;
	json_t *j;

	if (!json_is_object(o))
		return err_set(e, -E_INVALID, "%s is no object", where);
	json_object_foreach(o, key, j) {
		if (!g_strv_contains(names, key))
			return err_set(
				e, -E_INVALID, "%s has the unknown member '%.100s'", where, key);
	}
	return 0;
}

static const char *text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int check_identity(json_t *id, struct err *e)
{
	static const struct {
		const char *type, *one, *two;
	} types[] = { { "matchExact", NULL, NULL }, { "matchRepoDigestOrExact", NULL, NULL },
		{ "matchRepository", NULL, NULL }, { "exactReference", "dockerReference", NULL },
		{ "exactRepository", "dockerRepository", NULL },
		{ "remapIdentity", "prefix", "signedPrefix" } };
	const char *type = text(id, "type");

	for (unsigned i = 0; type && i < G_N_ELEMENTS(types); i++) {
		const char *names[] = { "type", types[i].one, types[i].two, NULL };

		if (strcmp(type, types[i].type) != 0)
			continue;
		if ((types[i].one && !text(id, types[i].one)) ||
			(types[i].two && !text(id, types[i].two)))
			return err_set(
				e, -E_INVALID, "'signedIdentity' of type '%s' is incomplete", type);
		return only(id, names, "'signedIdentity'", e);
	}
	return err_set(e, -E_INVALID, "'signedIdentity' has no known type");
}

static int check_signed_by(json_t *o, struct err *e)
{
	static const char *const names[] = { "type", "keyType", "keyPath", "keyPaths", "keyData",
		"signedIdentity", NULL };
	json_t *id = json_object_get(o, "signedIdentity"), *paths = json_object_get(o, "keyPaths"),
	       *j;
	int given = !!text(o, "keyPath") + (json_array_size(paths) > 0) + !!text(o, "keyData");
	size_t i;
	int r;

	r = only(o, names, "'signedBy'", e);
	if (r < 0)
		return r;
	if (g_strcmp0(text(o, "keyType"), "GPGKeys") != 0)
		return err_set(e, -E_INVALID, "'signedBy' has no 'keyType' that is 'GPGKeys'");
	if (given != 1)
		return err_set(e, -E_INVALID,
			"'signedBy' needs one of 'keyPath', 'keyPaths' and 'keyData'");
	json_array_foreach(paths, i, j) {
		if (!json_is_string(j))
			return err_set(e, -E_INVALID, "'keyPaths' has something that is no path");
	}
	return id ? check_identity(id, e) : 0;
}

/* How many of the members, NULL-terminated, are there; each a text, or of the plural a list of texts. -E_INVALID. */
static int count_given(json_t *o, const char *const *names, struct err *e)
{
	int n = 0;

	for (; *names; names++) {
		json_t *v = json_object_get(o, *names), *j;
		bool list = g_str_has_suffix(*names, "s");
		size_t i;

		if (!v)
			continue;
		if (list ? json_array_size(v) == 0 : !json_is_string(v) || !*json_string_value(v))
			return err_set(e, -E_INVALID, "'%s' of 'sigstoreSigned' is empty", *names);
		json_array_foreach(v, i, j) {
			if (!json_is_string(j))
				return err_set(e, -E_INVALID, "'%s' has something that is no text",
					*names);
		}
		n++;
	}
	return n;
}

static int check_sigstore(json_t *o, struct err *e)
{
	static const char *const names[] = { "type", "keyPath", "keyPaths", "keyData", "keyDatas",
		"fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData",
		"rekorPublicKeyDatas", "signedIdentity", NULL };
	static const char *const keys[] = { "keyPath", "keyPaths", "keyData", "keyDatas", NULL };
	static const char *const rekor[] = { "rekorPublicKeyPath", "rekorPublicKeyPaths",
		"rekorPublicKeyData", "rekorPublicKeyDatas", NULL };
	json_t *id = json_object_get(o, "signedIdentity"), *fulcio = json_object_get(o, "fulcio"),
	       *pki = json_object_get(o, "pki");
	int r = only(o, names, "'sigstoreSigned'", e), given, logs = 0;

	given = r < 0 ? r : count_given(o, keys, e);
	if (given >= 0)
		logs = count_given(o, rekor, e);
	if (given < 0 || logs < 0)
		return MIN(given, logs);
	if ((fulcio && !json_is_object(fulcio)) || (pki && !json_is_object(pki)))
		return err_set(e, -E_INVALID, "'fulcio' or 'pki' is no object");
	if (given + !!fulcio + !!pki != 1)
		return err_set(e, -E_INVALID,
			"'sigstoreSigned' needs one of 'keyPath', 'keyPaths', 'keyData', "
			"'keyDatas', 'fulcio' and 'pki'");
	if (logs > 1 || (fulcio && logs == 0))
		return err_set(e, -E_INVALID,
			"'sigstoreSigned' takes one public key of Rekor, and 'fulcio' needs it");
	return id ? check_identity(id, e) : 0;
}

static int check_requirements(json_t *list, struct err *e)
{
	static const char *const alone[] = { "type", NULL };
	json_t *o;
	size_t i;
	int r = 0;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(e, -E_INVALID, "a list of requirements is empty, or no list");
	json_array_foreach(list, i, o) {
		const char *type = text(o, "type");

		if (g_strcmp0(type, "insecureAcceptAnything") == 0 ||
			g_strcmp0(type, "reject") == 0)
			r = only(o, alone, type, e);
		else if (g_strcmp0(type, "signedBy") == 0)
			r = check_signed_by(o, e);
		else if (g_strcmp0(type, "sigstoreSigned") == 0)
			r = check_sigstore(o, e);
		else
			r = err_set(e, -E_INVALID, "a requirement has the unknown type '%.100s'",
				type ?: "");
		if (r < 0)
			break;
	}
	return r;
}

static int check_doc(json_t *doc, struct err *e)
{
	static const char *const names[] = { "default", "transports", NULL };
	json_t *transports = json_object_get(doc, "transports"), *scopes, *list;
	const char *transport, *scope;
	int r;

	r = only(doc, names, "it", e);
	if (r >= 0)
		r = check_requirements(json_object_get(doc, "default"), e);
	if (r >= 0 && transports && !json_is_object(transports))
		r = err_set(e, -E_INVALID, "'transports' is no object");
	json_object_foreach(transports, transport, scopes) {
		if (r >= 0 && !json_is_object(scopes))
			r = err_set(
				e, -E_INVALID, "the transport '%.100s' is no object", transport);
		json_object_foreach(scopes, scope, list) {
			if (r < 0)
				break;
			r = check_requirements(list, e);
			if (r < 0)
				(void)err_prefix(e, "'%.100s:%.200s'", transport, scope);
		}
	}
	return r;
}

int policy_parse(const char *data, size_t size, struct policy **ret, struct err *e)
{
	json_error_t error;
	json_t *doc = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
	int r;

	if (!doc)
		return err_set(e, -E_INVALID, "line %d: %s", error.line, error.text);
	r = check_doc(doc, e);
	if (r < 0) {
		json_decref(doc);
		return r;
	}
	*ret = g_new0(struct policy, 1);
	(*ret)->doc = doc;
	return 0;
}

int policy_load(const char *file, struct policy **ret, struct err *e)
{
	static const char all[] = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}";
	g_autofree char *home =
		g_build_filename(g_get_home_dir(), ".config/containers/policy.json", NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL;
	gsize size;
	int r;

	if (!file && access(home, F_OK) == 0)
		file = home;
	if (!file && access("/etc/containers/policy.json", F_OK) == 0)
		file = "/etc/containers/policy.json";
	if (!file)
		return policy_parse(all, strlen(all), ret, e);
	if (!g_file_get_contents(file, &data, &size, &error))
		return err_set(e, -EIO, "cannot read '%s': %s", file, error->message);
	if (size > POLICY_FILE_MAX)
		return err_set(e, -E_LIMIT, "'%s' is larger than %d bytes", file, POLICY_FILE_MAX);
	r = policy_parse(data, size, ret, e);
	if (r < 0)
		(void)err_prefix(e, "'%s'", file);
	return r;
}

/* --- which rules count ----------------------------------------------------------------------------------- */

static json_t *wildcard(json_t *scopes, const char *scope)
{
	g_autofree char *host = g_strndup(scope, strcspn(scope, ":/"));
	const char *dot = strchr(host, '.');

	for (; dot; dot = strchr(dot + 1, '.')) {
		g_autofree char *key = g_strconcat("*", dot, NULL);
		json_t *list = json_object_get(scopes, key);

		if (list)
			return list;
	}
	return NULL;
}

/* From the whole scope over its repository and namespaces to the host; folders the same way. */
static json_t *rules(
	const struct policy *p, const char *transport, const char *scope, char **ret_where)
{
	json_t *scopes = json_object_get(json_object_get(p->doc, "transports"), transport), *list;
	g_autofree char *key = g_strdup(scope);
	bool path = *scope == '/';
	char *cut;

	while (scopes && *key) {
		list = json_object_get(scopes, key);
		if (list) {
			*ret_where = g_strdup_printf("%s:%s", transport, key);
			return list;
		}
		/* the tag or the digest first; a host's port belongs to it */
		cut = strrchr(key, '/');
		if (!path && cut && strchr(cut, '@'))
			cut = strchr(cut, '@');
		else if (!path && cut && strchr(cut, ':'))
			cut = strchr(cut, ':');
		if (!cut)
			break;
		*cut = '\0';
	}
	list = scopes && !path ? wildcard(scopes, scope) : NULL;
	if (!list && scopes)
		list = json_object_get(scopes, "");
	*ret_where = list ? g_strdup_printf("%s:", transport) : g_strdup("default");
	return list ? list : json_object_get(p->doc, "default");
}

/* --- identities ------------------------------------------------------------------------------------------ */

static bool same_repository(const struct ref *a, const struct ref *b)
{
	return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0;
}

static bool same_reference(const struct ref *a, const struct ref *b)
{
	/* a name alone is none */
	return (b->tag || b->digest) && same_repository(a, b) && g_strcmp0(a->tag, b->tag) == 0 &&
	       g_strcmp0(a->digest, b->digest) == 0;
}

/* matchRepoDigestOrExact */
static bool repo_digest_or_exact(const struct ref *image, const struct ref *claimed)
{
	if (!claimed->tag && !claimed->digest)
		return false;
	return image->digest ? same_repository(image, claimed) : same_reference(image, claimed);
}

static bool with_ref(const char *reference, const struct ref *claimed,
	bool (*match)(const struct ref *a, const struct ref *b))
{
	struct ref r;
	bool yes;

	if (!reference || ref_parse(reference, REF_NO_DEFAULT, &r, NULL) < 0)
		return false;
	yes = match(&r, claimed);
	ref_clear(&r);
	return yes;
}

/* "prefix" of the image's full name becomes "signedPrefix". Caller frees. */
static char *remap(const char *reference, const char *prefix, const char *signed_prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(reference, prefix, n) != 0 || (reference[n] && !strchr("/:@", reference[n])))
		return g_strdup(reference);
	/* a host alone stands for that host, not for one with a port */
	if (!strchr(prefix, '/') && reference[n] == ':')
		return g_strdup(reference);
	return g_strconcat(signed_prefix, reference + n, NULL);
}

bool policy_identity_fits(json_t *id, const char *reference, const char *claimed_text)
{
	const char *type = text(id, "type") ?: "matchRepoDigestOrExact";
	g_autofree char *mapped = NULL;
	struct ref claimed;
	bool yes = false;

	if (ref_parse(claimed_text, REF_NO_DEFAULT, &claimed, NULL) < 0)
		return false;
	if (strcmp(type, "matchExact") == 0)
		yes = with_ref(reference, &claimed, same_reference);
	else if (strcmp(type, "matchRepository") == 0)
		yes = with_ref(reference, &claimed, same_repository);
	else if (strcmp(type, "exactReference") == 0)
		yes = with_ref(text(id, "dockerReference"), &claimed, same_reference);
	else if (strcmp(type, "exactRepository") == 0)
		yes = with_ref(text(id, "dockerRepository"), &claimed, same_repository);
	else if (strcmp(type, "remapIdentity") == 0 && reference) {
		mapped = remap(reference, text(id, "prefix"), text(id, "signedPrefix"));
		yes = with_ref(mapped, &claimed, repo_digest_or_exact);
	} else if (strcmp(type, "matchRepoDigestOrExact") == 0)
		yes = with_ref(reference, &claimed, repo_digest_or_exact);
	ref_clear(&claimed);
	return yes;
}

/* --- judging --------------------------------------------------------------------------------------------- */

static int check_signatures(json_t *rule, const struct policy_image *i, GPtrArray **signatures,
	const char *where, struct err *e)
{
	struct err why = { 0 };
	int r = 0;

	if (!*signatures && i->signatures)
		r = i->signatures(i->arg, signatures, e);
	if (r < 0)
		return r;
	if (!*signatures || (*signatures)->len == 0)
		return err_set(e, -EPERM, "'%s' has no signature, and the policy of '%s' wants one",
			i->reference ?: i->scope, where);
	for (unsigned k = 0; k < (*signatures)->len; k++) {
		r = policy_gpg_check(rule, i, (*signatures)->pdata[k], &why);
		if (r >= 0)
			return 0;
		/* a missing program says nothing about the signature */
		if (r == -E_NOTFOUND || r == -EIO)
			break;
	}
	return err_set(e, r == -E_NOTFOUND || r == -EIO ? r : -EPERM,
		"no signature of '%s' fits the policy of '%s': %s", i->reference ?: i->scope, where,
		why.text);
}

int policy_check(const struct policy *p, const struct policy_image *i, struct err *e)
{
	g_autofree char *where = NULL;
	json_t *list = rules(p, i->transport, i->scope, &where), *rule;
	GPtrArray *signatures = NULL, *attachments = NULL;
	size_t k;
	int r = 0;

	json_array_foreach(list, k, rule) {
		const char *type = text(rule, "type");

		if (strcmp(type, "reject") == 0)
			r = err_set(e, -EPERM, "'%s' is rejected by the policy of '%s'",
				i->reference ?: i->scope, where);
		else if (strcmp(type, "signedBy") == 0)
			r = check_signatures(rule, i, &signatures, where, e);
		else if (strcmp(type, "sigstoreSigned") == 0)
			r = policy_sigstore_check(rule, i, &attachments, where, e);
		if (r < 0)
			break;
	}
	if (signatures)
		g_ptr_array_unref(signatures);
	if (attachments)
		g_ptr_array_unref(attachments);
	return r;
}
