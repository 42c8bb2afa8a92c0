/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VERIFY_H
#define LODGE_VERIFY_H

/*
 * Whether a public key made a signature of some bytes, by OpenSSL's EVP: ECDSA (P-256, P-384, P-521) and RSA of 2048 bits
 * or more (PKCS #1 v1.5), both over SHA-256, and Ed25519. What cosign's keys are. libcrypto is loaded by the first key.
 */

#include <stddef.h>
#include "base/err.h"

#define VERIFY_KEY_MAX (64 << 10)

struct verify_key;

/* The first "PUBLIC KEY" of a PEM text (RFC 7468, section 13). -E_INVALID when it is none, or of another kind;
 * -E_UNSUPPORTED with the package's name when libcrypto isn't there. */
int verify_key_new(const char *pem, size_t size, struct verify_key **ret, struct err *e)
	_must_check_;
void verify_key_free(struct verify_key *k);

/* 1, 0. */
int verify(const struct verify_key *k, const void *data, size_t size, const void *signature,
	size_t signature_size);

#endif
