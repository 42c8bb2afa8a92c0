/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SHA256_H
#define LODGE_SHA256_H

/*
 * SHA-256 (FIPS 180-4), a piece at a time, by OpenSSL's EVP. libcrypto is loaded by the first
 * sha256_new() and not by the start of the program, since most commands hash nothing.
 */

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define SHA256_SIZE 32
/* "sha256:", 64 digits and the NUL, with room to spare: how digests are written everywhere. */
#define SHA256_TEXT 72

struct sha256;

/* -E_UNSUPPORTED with the package's name when libcrypto isn't there. */
int sha256_new(struct sha256 **ret, struct err *e) _must_check_;
void sha256_free(struct sha256 *s);
void sha256_freep(struct sha256 **s);

void sha256_write(struct sha256 *s, const void *data, size_t size);
/* Ends it: after this only sha256_reset and sha256_free. */
void sha256_finish(struct sha256 *s, uint8_t ret[SHA256_SIZE]);
void sha256_reset(struct sha256 *s);

/* "sha256:HEX". */
void sha256_text(const uint8_t digest[SHA256_SIZE], char ret[SHA256_TEXT]);
/* sha256_finish and sha256_text. */
void sha256_finish_text(struct sha256 *s, char ret[SHA256_TEXT]);
/* Of one piece of memory. */
int sha256_of(const void *data, size_t size, char ret[SHA256_TEXT], struct err *e) _must_check_;

/* The 64 digits of "sha256:HEX" (lower case), or NULL when text isn't of that form. */
const char *sha256_hex(const char *text);

#endif
