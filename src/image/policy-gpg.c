/* SPDX-License-Identifier: MIT */
/* Simple signing (containers-signature(5)): an OpenPGP message that holds a JSON text. gpgv does the cryptography. */
#include <string.h>
#include "image/policy-priv.h"
#include "image/tool.h"

/* --- keys ------------------------------------------------------------------------------------------------ */

/* gpgv reads binary keyrings only. Several blocks may follow one another. */
static GByteArray *without_armor(const char *data, size_t size)
{
	static const char begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----", end[] = "-----END PGP";
	g_autofree char *text = g_strndup(data, size);
	GByteArray *out = g_byte_array_new();
	const char *p = strstr(text, begin);

	if (!p) {
		g_byte_array_append(out, (const guint8 *)data, (guint)size);
		return out;
	}
	for (; p; p = strstr(p, begin)) {
		const char *stop = strstr(p, end), *body = p + strlen(begin);
		g_autoptr(GString) b64 = g_string_new(NULL);
		bool headers = true;
		g_auto(GStrv) line = NULL;
		g_autofree guchar *bytes = NULL;
		gsize n;

		if (!stop)
			break;
		line = g_strsplit(body + strspn(body, "\r"), "\n", -1);
		for (char **l = line + 1; line[0] && *l && !g_str_has_prefix(*l, "-----"); l++) {
			(void)g_strstrip(*l);
			if (headers && (!**l || strchr(*l, ':')))
				headers = **l != '\0';
			else if (**l != '=')
				g_string_append(b64, *l);
			else
				break;
		}
		bytes = g_base64_decode(b64->str, &n);
		g_byte_array_append(out, bytes, (guint)n);
		p = stop;
	}
	return out;
}

static int add_keyring(
	const char *folder, const char *data, size_t size, GPtrArray *argv, struct err *e)
{
	g_autoptr(GByteArray) keys = without_armor(data, size);
	g_autofree char *path = g_strdup_printf("%s/%u.gpg", folder, argv->len);

	if (!g_file_set_contents(path, (const char *)keys->data, keys->len, NULL))
		return err_set(e, -EIO, "cannot write '%s'", path);
	g_ptr_array_add(argv, g_strdup("--keyring"));
	g_ptr_array_add(argv, g_steal_pointer(&path));
	return 0;
}

static int add_key_file(const char *folder, const char *path, GPtrArray *argv, struct err *e)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL;
	gsize size;

	if (!g_file_get_contents(path, &data, &size, &error))
		return err_set(e, -EIO, "cannot read the keys '%s': %s", path, error->message);
	return add_keyring(folder, data, size, argv, e);
}

static int add_keys(json_t *rule, const char *folder, GPtrArray *argv, struct err *e)
{
	const char *path = json_string_value(json_object_get(rule, "keyPath"));
	const char *data = json_string_value(json_object_get(rule, "keyData"));
	json_t *paths = json_object_get(rule, "keyPaths"), *j;
	g_autofree guchar *bytes = NULL;
	gsize size;
	size_t i;
	int r = 0;

	if (path)
		return add_key_file(folder, path, argv, e);
	if (data) {
		bytes = g_base64_decode(data, &size);
		return add_keyring(folder, (const char *)bytes, size, argv, e);
	}
	json_array_foreach(paths, i, j) {
		if (r >= 0)
			r = add_key_file(folder, json_string_value(j), argv, e);
	}
	return r;
}

static void remove_folder(const char *folder)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		(void)unlink(path);
	}
	(void)rmdir(folder);
}

/* --- gpgv ------------------------------------------------------------------------------------------------ */

/* One valid signature, which has not expired, by a key that neither has expired nor was revoked. */
static bool is_good(const char *status)
{
	static const char *const bad_words[] = { "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG",
		"REVKEYSIG", "NO_PUBKEY", "NODATA", "FAILURE" };
	g_auto(GStrv) line = g_strsplit(status, "\n", -1);
	unsigned good = 0, valid = 0;

	for (char **l = line; *l; l++) {
		const char *word;

		if (!g_str_has_prefix(*l, "[GNUPG:] "))
			continue;
		word = *l + strlen("[GNUPG:] ");
		good += g_str_has_prefix(word, "GOODSIG ");
		valid += g_str_has_prefix(word, "VALIDSIG ");
		for (unsigned i = 0; i < G_N_ELEMENTS(bad_words); i++)
			if (g_str_has_prefix(word, bad_words[i]))
				return false;
	}
	return good == 1 && valid == 1;
}

static int run_gpgv(json_t *rule, const char *folder, GBytes *signature, char **ret, struct err *e)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *file = g_build_filename(folder, "signature", NULL), *status_text = NULL;
	g_autofree char *out = NULL;
	gsize size;
	const char *data = g_bytes_get_data(signature, &size);
	int status = 0, r;

	/* a binary packet: neither armor nor a text with a signature below it (RFC 4880, section 11.3) */
	if (size == 0 || !((unsigned char)data[0] & 0x80))
		return err_set(e, -E_CORRUPT, "the signature isn't a signed OpenPGP message");
	if (!g_file_set_contents(file, data, (gssize)size, NULL))
		return err_set(e, -EIO, "cannot write '%s'", file);
	g_ptr_array_add(argv, g_strdup("gpgv"));
	g_ptr_array_add(argv, g_strdup("--homedir"));
	g_ptr_array_add(argv, g_strdup(folder));
	g_ptr_array_add(argv, g_strdup("--status-fd"));
	g_ptr_array_add(argv, g_strdup("2"));
	g_ptr_array_add(argv, g_strdup("--output"));
	g_ptr_array_add(argv, g_strdup("-"));
	r = add_keys(rule, folder, argv, e);
	if (r < 0)
		return r;
	g_ptr_array_add(argv, g_steal_pointer(&file));
	g_ptr_array_add(argv, NULL);
	r = tool_run((const char *const *)argv->pdata, "", 0, &out, &status_text, &status, e);
	if (r == -E_NOTFOUND)
		(void)err_mend(e, "install the package gpgv");
	if (r < 0)
		return r;
	if (status != 0 || !is_good(status_text))
		return err_set(e, -EPERM, "the signature isn't one of the keys that are trusted");
	*ret = g_steal_pointer(&out);
	return 0;
}

int policy_gpg_check(json_t *rule, const struct policy_image *i, GBytes *signature, struct err *e)
{
	g_autofree char *folder = g_dir_make_tmp("lodge-gpg.XXXXXX", NULL), *payload = NULL;
	int r;

	if (!folder)
		return err_set(e, -EIO, "cannot make a folder for keys");
	r = run_gpgv(rule, folder, signature, &payload, e);
	remove_folder(folder);
	return r < 0 ? r : policy_claim_fits(rule, i, payload, strlen(payload), POLICY_SIMPLE, e);
}
