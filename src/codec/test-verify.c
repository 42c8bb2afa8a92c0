/* SPDX-License-Identifier: MIT */
#include "codec/verify.h"

#include <glib.h>
#include <string.h>

/* Made once by the program openssl: "dgst -sha256 -sign", and "pkeyutl -sign -rawin" for Ed25519; the text is "hello". */
static const struct {
	const char *pem, *signature;
} good[] = {
	/* ECDSA on P-256 */
	{
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEL/PVpy/8QDBVIuISxNLrmXxlQhWs\n"
		"rGegHTz2WjddUdhKrhSouyrc0aLa1h/5ClG/HDvogeWI5xj6bmLgQdipMA==\n"
		"-----END PUBLIC KEY-----\n",
		"MEYCIQDYnwy9cH/K/RQbxj9iGsISbavEc2IqXx92HCdQRSP5ZgIhAMLeBvScnmghOwYhshMDdQEm"
		"moZueQDKvwwMT3QlMhN1",
	},
	/* RSA, 2048 bits */
	{
		"-----BEGIN PUBLIC KEY-----\n"
		"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7hPeobTtNKNLsnEb+cvs\n"
		"+QP8mqqfIO1RZ34pu+4jBNgSZ0LKD3J9c4+YA/43MZeQqRUhStfjFjr230XeI5Qz\n"
		"JtDiLNDXPCnERxpKg4WPVrNn08bqhL4pNZRNaEhzZXYurYYsnDFORy0+FenhnpZ4\n"
		"sW6B9uPogDH7BorD3sNGtILTHYBfiHkJp6ZBR2SDiix9LEKfSa95ul48B/CCSHdi\n"
		"JaG4odVs405HN9HrLmLQqb+A2FrzZ48ibtF9qMiDPrcRqD80zWZWvtFIWRtcjW4r\n"
		"h3ip+DEzbw7LDO6lODmKdWI2EkDk/gD0vr0TuT3QLUotwgw/e1uCh940LFfuXMe9\n"
		"YwIDAQAB\n"
		"-----END PUBLIC KEY-----\n",
		"UMfpcxD/IpmmHMINs0Oa4/jLfPxuXjc7j0EAxfUw4COHRu0rZ9mGfj4q61pdorsyvm3uAyPS1DHA"
		"9yK7quC0fwsBOMy/QDOEC5U4JiYwjLjYIEuAG2McIKFVhuVv8NoZbYcpkfakc0mOp6H4xzpRKT9a"
		"5Cb7o2XggrEqCslVoHrioaEOkFwkYNo59wKQT3eo/FXqA0pbaJFmu7p1+2CBH+ZUkBTv01Cl0gXB"
		"5D2+iRi68qSNGQ839UQW75AAr9J/EPi4sSJ16/txwQsz4TRIDG0tpTNoC1shhQbp0ce898e8Meuz"
		"aSIp+rDwAUZ17ln0q7MABjhzVJ2aJ840BKarZw==",
	},
	/* Ed25519 */
	{
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAB7PYFIqlgZys41rdSU6aE1j7etE0gWeMViY/HWlXYVA=\n"
		"-----END PUBLIC KEY-----\n",
		"uZNxSlfGgYf1XZ5Vb/9qk62+4ivtmvwnphm+3mggENMzWRUIRmjEBUjbvPx0lLIWHKOjhArhBZGJ"
		"gFSbWoBEBA==",
	},
};

static const char *const bad[] = {
	"",
	"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
	"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	"-----BEGIN PUBLIC KEY-----\nMCow\n",
	/* it would ask for a password */
	"-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMCow\n"
	"-----END PUBLIC KEY-----\n",
	/* RSA, 1024 bits */
	"-----BEGIN PUBLIC KEY-----\n"
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCl6he3MOTfQZ6tXHoRJa93vqMM\n"
	"sFNKfEBH3W/dvdMHsWOSj4qNoMM5OKdzGDHIyAl594QE3QOtq5o23irx15IyI6pD\n"
	"Ez3HeBRxdum5CY33JJOyKlJyYWkAV4hdb06ST6neerkR/Q2sjKeIPneFyA93bzKB\n"
	"iD/Ah2RZuaWAODRmQwIDAQAB\n"
	"-----END PUBLIC KEY-----\n",
	/* ECDSA on secp256k1 */
	"-----BEGIN PUBLIC KEY-----\n"
	"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE7u+ObSX59Ehf0I4uNvqRtuQhil2VttnU\n"
	"GUw5wqseeqTNIVQEOBeaiAH6Q32E+GFrFDXj8y2SiWtqNQTPHVzvag==\n"
	"-----END PUBLIC KEY-----\n",
};

static void test_good(void)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
		struct verify_key *k = NULL;
		struct err e = { 0 };
		g_autofree guchar *s = NULL;
		gsize n;

		s = g_base64_decode(good[i].signature, &n);
		g_assert_cmpint(verify_key_new(good[i].pem, strlen(good[i].pem), &k, &e), ==, 0);
		g_assert_cmpint(verify(k, "hello", 5, s, n), ==, 1);
		g_assert_cmpint(verify(k, "hullo", 5, s, n), ==, 0);
		g_assert_cmpint(verify(k, "hello", 4, s, n), ==, 0);
		g_assert_cmpint(verify(k, "hello", 5, s, n - 1), ==, 0);
		g_assert_cmpint(verify(k, "hello", 5, s, 0), ==, 0);
		s[n / 2] ^= 1;
		g_assert_cmpint(verify(k, "hello", 5, s, n), ==, 0);
		/* another key's */
		g_free(s);
		s = g_base64_decode(good[(i + 1) % G_N_ELEMENTS(good)].signature, &n);
		g_assert_cmpint(verify(k, "hello", 5, s, n), ==, 0);
		verify_key_free(k);
	}
}

static void test_bad(void)
{
	g_autofree char *long_one = g_strnfill(VERIFY_KEY_MAX + 1, 'A');
	struct verify_key *k = NULL;
	struct err e = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(verify_key_new(bad[i], strlen(bad[i]), &k, &e), ==, -E_INVALID);
	g_assert_cmpint(verify_key_new(long_one, VERIFY_KEY_MAX + 1, &k, &e), ==, -E_LIMIT);
	g_assert_null(k);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/verify/good", test_good);
	g_test_add_func("/verify/bad", test_bad);
	return g_test_run();
}
