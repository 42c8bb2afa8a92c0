/* SPDX-License-Identifier: MIT */
#include "codec/verify.h"

#include <dlfcn.h>
#include <glib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define RSA_BITS_MIN 2048

struct api {
	int (*crypto_init)(uint64_t opts, const OPENSSL_INIT_SETTINGS *settings);
	EVP_PKEY *(*read)(EVP_PKEY **a, const unsigned char **in, long size);
	void (*free)(EVP_PKEY *key);
	int (*is_a)(const EVP_PKEY *key, const char *name);
	int (*bits)(const EVP_PKEY *key);
	int (*group)(const EVP_PKEY *key, char *name, size_t size, size_t *ret_size);
	EVP_MD_CTX *(*md_new)(void);
	void (*md_free)(EVP_MD_CTX *md);
	const EVP_MD *(*sha256)(void);
	int (*init)(
		EVP_MD_CTX *md, EVP_PKEY_CTX **ctx, const EVP_MD *kind, ENGINE *e, EVP_PKEY *key);
	int (*verify)(EVP_MD_CTX *md, const unsigned char *signature, size_t signature_size,
		const unsigned char *data, size_t size);
	void (*clear_errors)(void);
};

struct verify_key {
	struct api api;
	EVP_PKEY *key;
	bool whole; /* signs the bytes themselves, not their digest */
};

static int load(struct api *a, struct err *e)
{
	const struct {
		void **slot;
		const char *name;
	} rows[] = {
		{ (void **)&a->crypto_init, "OPENSSL_init_crypto" },
		{ (void **)&a->read, "d2i_PUBKEY" },
		{ (void **)&a->free, "EVP_PKEY_free" },
		{ (void **)&a->is_a, "EVP_PKEY_is_a" },
		{ (void **)&a->bits, "EVP_PKEY_get_bits" },
		{ (void **)&a->group, "EVP_PKEY_get_group_name" },
		{ (void **)&a->md_new, "EVP_MD_CTX_new" },
		{ (void **)&a->md_free, "EVP_MD_CTX_free" },
		{ (void **)&a->sha256, "EVP_sha256" },
		{ (void **)&a->init, "EVP_DigestVerifyInit" },
		{ (void **)&a->verify, "EVP_DigestVerify" },
		{ (void **)&a->clear_errors, "ERR_clear_error" },
	};
	/* Never unloaded: OpenSSL has handlers that run at exit. */
	void *lib = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NODELETE);
	bool missing = !lib;

	for (unsigned i = 0; !missing && i < G_N_ELEMENTS(rows); i++) {
		*rows[i].slot = dlsym(lib, rows[i].name);
		missing = !*rows[i].slot;
	}
	if (missing) {
		err_set(e, -E_UNSUPPORTED, "cannot load libcrypto.so.3: %s", dlerror() ?: "");
		(void)err_mend(e, "install the package libssl3");
		return -E_UNSUPPORTED;
	}
	(void)a->crypto_init(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	return 0;
}

/* What stands between the lines of a PEM text. OpenSSL's own reader would ask the terminal for a password where the text
 * says that it is encrypted. NULL: no such text. */
static guchar *from_pem(const char *pem, size_t size, gsize *ret_size)
{
	static const char begin[] = "-----BEGIN PUBLIC KEY-----",
			  end[] = "-----END PUBLIC KEY-----";
	g_autofree char *text = g_strndup(pem, size);
	char *from = strstr(text, begin), *to = from ? strstr(from, end) : NULL;

	if (!to)
		return NULL;
	from += strlen(begin);
	*to = '\0';
	/* base64 and white space, and nothing else: headers would be passed over */
	if (strspn(from,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n") !=
		strlen(from))
		return NULL;
	return g_base64_decode(from, ret_size);
}

static int check_kind(struct verify_key *k, struct err *e)
{
	char group[64] = "";
	size_t n;

	k->whole = k->api.is_a(k->key, "ED25519") == 1;
	if (k->whole)
		return 0;
	if (k->api.is_a(k->key, "RSA") == 1)
		return k->api.bits(k->key) >= RSA_BITS_MIN
			       ? 0
			       : err_set(e, -E_INVALID, "its RSA key has less than %d bits",
					 RSA_BITS_MIN);
	if (k->api.is_a(k->key, "EC") == 1 && k->api.group(k->key, group, sizeof(group), &n) == 1 &&
		(strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 ||
			strcmp(group, "secp521r1") == 0))
		return 0;
	return err_set(e, -E_INVALID,
		"its key is neither ECDSA on P-256, P-384 or P-521, nor RSA, nor Ed25519");
}

int verify_key_new(const char *pem, size_t size, struct verify_key **ret, struct err *e)
{
	struct verify_key *k;
	g_autofree guchar *der = NULL;
	const unsigned char *p;
	gsize n = 0;
	int r;

	if (size > VERIFY_KEY_MAX)
		return err_set(e, -E_LIMIT, "a key of more than %d bytes", VERIFY_KEY_MAX);
	der = from_pem(pem, size, &n);
	if (!der)
		return err_set(e, -E_INVALID, "it is no public key in PEM");
	k = g_new0(struct verify_key, 1);
	r = load(&k->api, e);
	p = der;
	if (r >= 0) {
		k->key = k->api.read(NULL, &p, (long)n);
		if (!k->key || p != der + n)
			r = err_set(e, -E_INVALID, "it is no public key");
		else
			r = check_kind(k, e);
		k->api.clear_errors();
	}
	if (r < 0) {
		verify_key_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void verify_key_free(struct verify_key *k)
{
	if (!k)
		return;
	if (k->key)
		k->api.free(k->key);
	g_free(k);
}

int verify(const struct verify_key *k, const void *data, size_t size, const void *signature,
	size_t signature_size)
{
	const struct api *a = &k->api;
	EVP_MD_CTX *md = a->md_new();
	int ok;

	/* OpenSSL fails here for want of memory only, which aborts everywhere */
	g_assert(md);
	ok = a->init(md, NULL, k->whole ? NULL : a->sha256(), NULL, k->key);
	if (ok == 1)
		ok = a->verify(md, signature, signature_size, data, size);
	a->md_free(md);
	a->clear_errors();
	return ok == 1;
}
