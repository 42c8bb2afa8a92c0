/* SPDX-License-Identifier: MIT */
/* What a signature claims: the JSON text that simple signing (containers-signature(5)) and cosign have in common. */
#include <string.h>
#include "image/policy-priv.h"
#include "store/blob.h"

static int bad(struct err *e, const char *what)
{
	return err_set(e, -E_CORRUPT, "the signed text is wrong: %s", what);
}

int policy_payload(const char *text, size_t size, enum policy_payload_kind kind, char **ret_digest,
	char **ret_reference, struct err *e)
{
	static const char *const types[] = {
		[POLICY_SIMPLE] = "atomic container signature",
		[POLICY_SIGSTORE] = "cosign container image signature",
	};
	json_t *doc = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	json_t *critical = json_object_get(doc, "critical"), *image, *identity;
	json_t *optional = json_object_get(doc, "optional");
	const char *type, *digest, *reference;
	int r = 0;

	image = json_object_get(critical, "image");
	identity = json_object_get(critical, "identity");
	type = json_string_value(json_object_get(critical, "type"));
	digest = json_string_value(json_object_get(image, "docker-manifest-digest"));
	reference = json_string_value(json_object_get(identity, "docker-reference"));
	/* cosign writes null for no members */
	if (json_object_size(doc) != 2 ||
		(!json_is_object(optional) && !(kind == POLICY_SIGSTORE && json_is_null(optional))))
		r = bad(e, "it has other members than 'critical' and 'optional'");
	else if (json_object_size(critical) != 3 || g_strcmp0(type, types[kind]) != 0)
		r = bad(e, "'critical' isn't that of a container's signature");
	else if (json_object_size(image) != 1 || !digest)
		r = bad(e, "'image' has no digest alone");
	else if (json_object_size(identity) != 1 || !reference)
		r = bad(e, "'identity' has no reference alone");
	if (r >= 0) {
		*ret_digest = g_strdup(digest);
		*ret_reference = g_strdup(reference);
	}
	json_decref(doc);
	return r;
}

int policy_claim_fits(json_t *rule, const struct policy_image *i, const char *text, size_t size,
	enum policy_payload_kind kind, struct err *e)
{
	g_autofree char *digest = NULL, *reference = NULL, *is = NULL;
	int r;

	r = policy_payload(text, size, kind, &digest, &reference, e);
	if (r < 0)
		return r;
	is = blob_digest(i->manifest, i->manifest_size);
	if (strcmp(is, digest) != 0)
		return err_set(
			e, -EPERM, "the signature is for '%s', the image is '%s'", digest, is);
	if (!policy_identity_fits(json_object_get(rule, "signedIdentity"), i->reference, reference))
		return err_set(e, -EPERM, "the signature is for '%s'", reference);
	return 0;
}
