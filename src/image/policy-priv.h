/* SPDX-License-Identifier: MIT */
#ifndef LODGE_POLICY_PRIV_H
#define LODGE_POLICY_PRIV_H

#include <jansson.h>
#include "image/policy.h"

/* Whether a signature of this docker reference is one for the image: rule's "signedIdentity" (NULL: the default). Pure. */
bool policy_identity_fits(json_t *id, const char *reference, const char *claimed);
/* What a signature says, checked as strictly as containers-signature(5) wants. -E_CORRUPT. Pure; caller frees. */
int policy_payload(
	const char *text, size_t size, char **ret_digest, char **ret_reference, struct err *e);
/* Whether one signature fits a "signedBy" rule. */
int policy_gpg_check(json_t *rule, const struct policy_image *i, GBytes *signature, struct err *e);

#endif
