/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SIGN_H
#define LODGE_SIGN_H

/*
 * Simple signatures (containers-signature(5)): a JSON text that names a manifest's digest and the image's reference,
 * signed by GPG, whose program does it with the caller's keys (GNUPGHOME).
 */

#include <glib.h>
#include "base/err.h"

#define SIGN_BYTES_MAX (4 << 20)

/* The text. Pure, but for the clock. Caller frees. */
char *sign_text(const char *manifest_digest, const char *reference);

/* passphrase: a file whose first line it is; NULL: gpg's agent asks. */
int sign_make(const char *manifest_digest, const char *reference, const char *key,
	const char *passphrase, GBytes **ret, struct err *e);

/* Checks the signature with the caller's keys: by the key with this fingerprint, of this digest and reference. *ret_text:
 * what was signed; NULL: not wanted. -E_INVALID. */
int sign_verify(const void *signature, size_t size, const char *manifest_digest,
	const char *reference, const char *fingerprint, struct err *e);

/* What a signed text says. -E_CORRUPT where something is missing or is there twice. Pure; caller frees both. */
int sign_text_parse(
	const char *text, size_t size, char **ret_digest, char **ret_reference, struct err *e);

#endif
