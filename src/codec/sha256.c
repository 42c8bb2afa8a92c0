/* SPDX-License-Identifier: MIT */
#include "codec/sha256.h"

#include <dlfcn.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

struct sha256 {
	EVP_MD_CTX *md;
	const EVP_MD *kind;
	void (*md_free)(EVP_MD_CTX *md);
	int (*init)(EVP_MD_CTX *md, const EVP_MD *type, ENGINE *impl);
	int (*update)(EVP_MD_CTX *md, const void *d, size_t cnt);
	int (*final)(EVP_MD_CTX *md, unsigned char *out, unsigned int *size);
};

/* OpenSSL fails here for want of memory only, which aborts everywhere. */
static void must(int ok)
{
	g_assert(ok == 1);
}

static void *find(void *lib, const char *name, bool *missing)
{
	void *f = dlsym(lib, name);

	if (!f)
		*missing = true;
	return f;
}

int sha256_new(struct sha256 **ret, struct err *e)
{
	int (*crypto_init)(uint64_t, const OPENSSL_INIT_SETTINGS *);
	EVP_MD_CTX *(*md_new)(void);
	const EVP_MD *(*kind)(void);
	bool missing = false;
	struct sha256 *s;
	void *lib;

	/* Never unloaded: OpenSSL has handlers that run at exit. */
	lib = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NODELETE);
	if (!lib) {
		err_set(e, -E_UNSUPPORTED, "cannot load libcrypto.so.3: %s", dlerror());
		err_mend(e, "install the package libssl3");
		return -E_UNSUPPORTED;
	}
	s = g_new0(struct sha256, 1);
	crypto_init = find(lib, "OPENSSL_init_crypto", &missing);
	md_new = find(lib, "EVP_MD_CTX_new", &missing);
	kind = find(lib, "EVP_sha256", &missing);
	s->md_free = find(lib, "EVP_MD_CTX_free", &missing);
	s->init = find(lib, "EVP_DigestInit_ex", &missing);
	s->update = find(lib, "EVP_DigestUpdate", &missing);
	s->final = find(lib, "EVP_DigestFinal_ex", &missing);
	if (missing) {
		g_free(s);
		err_set(e, -E_UNSUPPORTED, "libcrypto.so.3 lacks a function of OpenSSL 3");
		err_mend(e, "install the package libssl3");
		return -E_UNSUPPORTED;
	}
	/* openssl.cnf costs more to read than most of what is hashed. */
	(void)crypto_init(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	s->md = md_new();
	s->kind = kind();
	must(s->md && s->kind);
	sha256_reset(s);
	*ret = s;
	return 0;
}

void sha256_free(struct sha256 *s)
{
	if (!s)
		return;
	s->md_free(s->md);
	g_free(s);
}

void sha256_freep(struct sha256 **s)
{
	sha256_free(*s);
}

void sha256_write(struct sha256 *s, const void *data, size_t size)
{
	must(s->update(s->md, data, size));
}

void sha256_finish(struct sha256 *s, uint8_t ret[SHA256_SIZE])
{
	must(s->final(s->md, ret, NULL));
}

void sha256_reset(struct sha256 *s)
{
	must(s->init(s->md, s->kind, NULL));
}

void sha256_text(const uint8_t digest[SHA256_SIZE], char ret[SHA256_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *p = ret + 7;
	unsigned i;

	memcpy(ret, "sha256:", 7);

	for (i = 0; i < SHA256_SIZE; i++) {
		*p++ = digits[digest[i] >> 4];
		*p++ = digits[digest[i] & 15];
	}
	*p = '\0';
}

void sha256_finish_text(struct sha256 *s, char ret[SHA256_TEXT])
{
	uint8_t digest[SHA256_SIZE];

	sha256_finish(s, digest);
	sha256_text(digest, ret);
}

int sha256_of(const void *data, size_t size, char ret[SHA256_TEXT], struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *s = NULL;
	int r = sha256_new(&s, e);

	if (r < 0)
		return r;
	sha256_write(s, data, size);
	sha256_finish_text(s, ret);
	return 0;
}

const char *sha256_hex(const char *text)
{
	const char *hex;

	if (!text || strncmp(text, "sha256:", 7) != 0)
		return NULL;
	hex = text + 7;
	if (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
		return NULL;
	return hex;
}
