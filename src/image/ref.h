/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REF_H
#define LODGE_REF_H

/*
 * References of images as docker reads them. Pure.
 *
 * The grammar is that of the distribution project ("distribution/reference"):
 *
 *	reference      := name [ ":" tag ] [ "@" digest ]
 *	name           := [ domain "/" ] path
 *	domain         := host [ ":" port ]     host: names by ".", IPv4, "[IPv6]"
 *	path           := component [ "/" component ]*
 *	component      := [a-z0-9]+ ( ( "." | "_" | "__" | "-"+ ) [a-z0-9]+ )*
 *	tag            := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
 *	digest         := algorithm ":" hex     sha256, sha384 or sha512, of its length; only sha256 is read, others are
 *	                                        -E_UNSUPPORTED
 *
 * What stands before the first "/" is a domain when it has "." or ":", is "localhost", or has capitals.
 * Without a domain it is docker.io, and without another "/" there its path begins with "library/". A name of 64
 * hexadecimal digits is refused: it is an id.
 */

#include <stdbool.h>
#include "base/err.h"

#define REF_PATH_MAX   255
#define REF_TAG_MAX    128
#define REF_LENGTH_MAX 4096 /* of a whole reference as it is given */

struct ref {
	char *domain; /* "docker.io" */
	char *path;   /* "library/debian" */
	char *tag;    /* "12"; NULL: none given, or only a digest */
	char *digest; /* "sha256:..." or NULL */
};

/* Parses and normalises. -E_INVALID with a text. No tag and no digest: tag is "latest", unless REF_NO_DEFAULT. */
enum {
	REF_NO_DEFAULT = 1 << 0
};
int ref_parse(const char *s, unsigned flags, struct ref *ret, struct err *e);
void ref_clear(struct ref *r);

/* All of these are never NULL and the caller frees them. */
char *ref_full(const struct ref
		*r); /* "docker.io/library/debian:12"; with a digest: "...debian@sha256:..." */
char *ref_familiar(const struct ref *r);      /* "debian:12", "debian@sha256:..." */
char *ref_familiar_name(const struct ref *r); /* "debian": docker's REPOSITORY column */

/* The familiar form of a full name from a record; what isn't a reference is returned as it is. */
char *ref_show(const char *full);

/* Whether s is a tag, or a digest of a known algorithm. */
bool ref_is_tag(const char *s);
bool ref_is_digest(const char *s);

#endif
