/* SPDX-License-Identifier: MIT */
/* Signatures as cosign makes them: a JSON text, and beside it its signature by a key that the policy names. */
#include <string.h>
#include "codec/verify.h"
#include "image/policy-priv.h"

void policy_attachment_free(struct policy_attachment *a)
{
	if (!a)
		return;
	g_free(a->text);
	g_free(a->signature);
	g_free(a->type);
	g_free(a->annotations);
	g_free(a);
}

/* --- keys ------------------------------------------------------------------------------------------------ */

static int add_key(const char *pem, size_t size, const char *name, GPtrArray *keys, struct err *e)
{
	struct verify_key *k = NULL;
	int r = verify_key_new(pem, size, &k, e);

	if (r < 0)
		return err_prefix(e, "the key '%s' of the policy", name);
	g_ptr_array_add(keys, k);
	return 0;
}

static int add_key_file(const char *path, GPtrArray *keys, struct err *e)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize size;

	if (!g_file_get_contents(path, &text, &size, &error))
		return err_set(e, -EIO, "cannot read the key '%s': %s", path, error->message);
	return add_key(text, size, path, keys, e);
}

static int add_key_data(const char *b64, const char *name, GPtrArray *keys, struct err *e)
{
	g_autofree guchar *bytes = NULL;
	gsize size;

	bytes = g_base64_decode(b64, &size);
	return add_key((const char *)bytes, size, name, keys, e);
}

static int read_keys(json_t *rule, GPtrArray *keys, struct err *e)
{
	const char *path = json_string_value(json_object_get(rule, "keyPath"));
	const char *data = json_string_value(json_object_get(rule, "keyData"));
	json_t *j;
	size_t i;
	int r = 0;

	if (path)
		r = add_key_file(path, keys, e);
	if (data)
		r = add_key_data(data, "keyData", keys, e);
	json_array_foreach(json_object_get(rule, "keyPaths"), i, j) {
		if (r >= 0)
			r = add_key_file(json_string_value(j), keys, e);
	}
	json_array_foreach(json_object_get(rule, "keyDatas"), i, j) {
		if (r >= 0)
			r = add_key_data(json_string_value(j), "keyDatas", keys, e);
	}
	return MIN(r, 0);
}

/* What is wanted beside a key; NULL: nothing. */
static const char *beyond_keys(json_t *rule)
{
	static const char *const names[] = { "fulcio", "pki", "rekorPublicKeyPath",
		"rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas" };

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		if (json_object_get(rule, names[i]))
			return names[i];
	return NULL;
}

/* --- judging --------------------------------------------------------------------------------------------- */

static int check_one(json_t *rule, const struct policy_image *i, GPtrArray *keys,
	const struct policy_attachment *a, struct err *e)
{
	g_autofree guchar *signature = NULL;
	bool good = false;
	gsize size;

	signature = g_base64_decode(a->signature, &size);
	for (unsigned k = 0; !good && k < keys->len; k++)
		good = verify(keys->pdata[k], a->text, a->size, signature, size);
	if (!good)
		return err_set(e, -EPERM, "the signature isn't one of the keys that are trusted");
	return policy_claim_fits(rule, i, a->text, a->size, POLICY_SIGSTORE, e);
}

int policy_sigstore_check(json_t *rule, const struct policy_image *i, GPtrArray **attachments,
	const char *where, struct err *e)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)verify_key_free);
	const char *name = i->reference ?: i->scope, *beyond = beyond_keys(rule);
	struct err why = { 0 };
	int r;

	if (beyond)
		return err_set(e, -E_UNSUPPORTED,
			"the policy of '%s' wants sigstore's '%s', which can't be checked here: "
			"only "
			"keys can",
			where, beyond);
	r = read_keys(rule, keys, e);
	if (r >= 0 && !*attachments && i->attachments)
		r = i->attachments(i->arg, attachments, e);
	if (r < 0)
		return r;
	if (!*attachments || (*attachments)->len == 0) {
		err_set(e, -EPERM,
			"'%s' has no sigstore signature, and the policy of '%s' wants one", name,
			where);
		if (i->attachments)
			(void)err_mend(e, "signatures are looked for where registries.d says "
					  "'use-sigstore-attachments: true'");
		return -EPERM;
	}
	for (unsigned k = 0; k < (*attachments)->len; k++)
		if (check_one(rule, i, keys, (*attachments)->pdata[k], &why) >= 0)
			return 0;
	return err_set(e, -EPERM, "no sigstore signature of '%s' fits the policy of '%s': %s", name,
		where, why.text);
}
