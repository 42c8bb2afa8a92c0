/* SPDX-License-Identifier: MIT */
#ifndef LODGE_POLICY_H
#define LODGE_POLICY_H

/*
 * policy.json (containers-policy.json(5)): which images may be taken, by where they come from. Files: the one that is
 * named, else ~/.config/containers/policy.json, else /etc/containers/policy.json; where there is none at all, all are
 * taken, as docker takes them.
 *
 * Requirements: insecureAcceptAnything, reject, signedBy with GPG keys (by the program gpgv), sigstoreSigned with public
 * keys (by libcrypto). Sigstore's certificates and logs (fulcio, pki, rekor...) are refused when they count for an image,
 * never passed over.
 */

#include <glib.h>
#include "base/ctx.h"
#include "base/err.h"

#define POLICY_FILE_MAX (4 << 20)

struct policy;
void policy_free(struct policy *p);
void policy_freep(struct policy **p);

/* file NULL: the usual ones. */
int policy_load(const char *file, struct policy **ret, struct err *e);
/* Pure. -E_INVALID: as strict as the format wants it. */
int policy_parse(const char *text, size_t size, struct policy **ret, struct err *e);

/* A sigstore signature: a signed text, and its signature in base64. */
struct policy_attachment {
	char *text;
	size_t size;
	char *signature;
	/* Only to be passed on with it, by copies: all that is said of the text. */
	char *type;	   /* media type */
	char *annotations; /* a JSON object */
};
void policy_attachment_free(struct policy_attachment *a);

/* What is to be judged. */
struct policy_image {
	const char *transport; /* "docker", "oci", "dir", ... */
	const char *
		scope; /* most precise: "docker.io/library/busybox:latest" (":" or "@"), or an absolute path; "" */
	const char *reference; /* docker reference in full, or NULL where the transport has none */
	const char *manifest;  /* the document that signatures are for */
	size_t manifest_size;
	/* Its simple signatures: GBytes each; asked for once, and only where a signature counts. NULL: has none. */
	int (*signatures)(void *arg, GPtrArray **ret, struct err *e);
	/* Its sigstore signatures, the same way: struct policy_attachment each. */
	int (*attachments)(void *arg, GPtrArray **ret, struct err *e);
	void *arg;
};
/* 0: it may be taken. -EPERM, with the rule that says no. */
int policy_check(const struct policy *p, const struct policy_image *i, struct err *e);

#endif
