/* SPDX-License-Identifier: MIT */
#ifndef LODGE_POLICY_PRIV_H
#define LODGE_POLICY_PRIV_H

#include <jansson.h>
#include "image/policy.h"

/* Whether a signature of this docker reference is one for the image: rule's "signedIdentity" (NULL: the default). Pure. */
bool policy_identity_fits(json_t *id, const char *reference, const char *claimed);
enum policy_payload_kind {
	POLICY_SIMPLE,	 /* containers-signature(5) */
	POLICY_SIGSTORE, /* cosign's, the same text with another type */
};
/* What a signature says, checked as strictly as containers-signature(5) wants. -E_CORRUPT. Pure; caller frees. */
int policy_payload(const char *text, size_t size, enum policy_payload_kind kind, char **ret_digest,
	char **ret_reference, struct err *e);
/* Whether such a text, whose signature is good, speaks of this image by a name that the rule takes. -EPERM, -E_CORRUPT. Pure. */
int policy_claim_fits(json_t *rule, const struct policy_image *i, const char *text, size_t size,
	enum policy_payload_kind kind, struct err *e);
/* Whether one signature fits a "signedBy" rule. */
int policy_gpg_check(json_t *rule, const struct policy_image *i, GBytes *signature, struct err *e);
/* Whether one of the attachments (asked for when there are none yet) fits a "sigstoreSigned" rule. */
int policy_sigstore_check(json_t *rule, const struct policy_image *i, GPtrArray **attachments,
	const char *where, struct err *e);

#endif
