/* SPDX-License-Identifier: MIT */
#ifndef LODGE_LOOKASIDE_H
#define LODGE_LOOKASIDE_H

/*
 * Where simple signatures of a registry's images lie: beside the registry, as registries.d says
 * (containers-registries.d(5), signature-protocols.md): URL/PATH@sha256=HEX/signature-N.
 */

#include "image/ref.h"
#include "image/registry-priv.h"

#define LOOKASIDE_SIGNATURES_MAX 128
#define LOOKASIDE_SIZE_MAX	 (4 << 20)

/* The place of a reference; NULL: none. write: where signatures are put. Caller frees. */
int lookaside_find(const struct transport_options *o, const struct ref *r, bool write, char **ret,
	bool *ret_sigstore, struct err *e);
/* Signatures of a manifest: GBytes each. r: whose connection is used. */
int lookaside_read(struct registry *r, const char *base, const char *path, const char *digest,
	GPtrArray **ret, struct err *e);
/* Adds them to what is there; only "file:" can be written to. */
int lookaside_write(const char *base, const char *path, const char *digest, GPtrArray *signatures,
	struct err *e);

#endif
