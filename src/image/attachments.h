/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ATTACHMENTS_H
#define LODGE_ATTACHMENTS_H

/*
 * Sigstore signatures of a registry's images: an image in the same repository, with the tag "sha256-HEX.sig" for the
 * manifest "sha256:HEX", each layer of which is a signed text (cosign's SIGNATURE_SPEC).
 */

#include "image/policy.h"
#include "image/registry-priv.h"

#define ATTACHMENTS_MAX	     128
#define ATTACHMENT_SIZE_MAX  (4 << 20)
#define ATTACHMENT_SIGSTORE  "application/vnd.dev.cosign.simplesigning.v1+json"
#define ATTACHMENT_SIGNATURE "dev.cosignproject.cosign/signature"

/* Those of a manifest: struct policy_attachment each; none where there is no such tag. Every text has the digest that
 * the manifest of the signatures says. */
int attachments_read(struct registry *r, const char *digest, GPtrArray **ret, struct err *e);
/* One as containers/image has it in files: {"mimeType", "payload" (base64), "annotations"}. Pure. Caller frees. */
char *attachment_text(const struct policy_attachment *a);
/* -E_CORRUPT */
int attachment_parse(const char *text, size_t size, struct policy_attachment **ret, struct err *e);
/* Adds those that aren't there, with all that was said of them. */
int attachments_write(struct registry *r, const char *digest, GPtrArray *list, struct err *e);

#endif
