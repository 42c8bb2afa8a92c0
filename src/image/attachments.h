/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ATTACHMENTS_H
#define LODGE_ATTACHMENTS_H

/*
 * Sigstore signatures of a registry's images: an image in the same repository, with the tag "sha256-HEX.sig" for the
 * manifest "sha256:HEX", each layer of which is a signed text (cosign's SIGNATURE_SPEC).
 */

#include "image/registry-priv.h"

#define ATTACHMENTS_MAX	     128
#define ATTACHMENT_SIZE_MAX  (4 << 20)
#define ATTACHMENT_SIGSTORE  "application/vnd.dev.cosign.simplesigning.v1+json"
#define ATTACHMENT_SIGNATURE "dev.cosignproject.cosign/signature"

/* Those of a manifest: struct policy_attachment each; none where there is no such tag. Every text has the digest that
 * the manifest of the signatures says. */
int attachments_read(struct registry *r, const char *digest, GPtrArray **ret, struct err *e);

#endif
