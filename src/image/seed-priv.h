/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SEED_PRIV_H
#define LODGE_SEED_PRIV_H

/*
 * Inside seeds: seed-rules.c (what cloud-init knows), seed-check.c (a YAML tree against that), seed-kind.c (what kind
 * a text is), seed.c (the files), seed-iso.c (the CD), seed-result.c (what the guest tells).
 */

#include "codec/yaml.h"
#include "image/seed.h"

/*
 * Rules, as text: NAME:TYPES[=VALUE|VALUE...][!NEEDED,NEEDED...][{RULES}], blanks or newlines between.
 *
 * NAME is a key, "*" any other key, "[]" the elements of a list. TYPES are letters: s text, b true or false, i whole
 * number, n number, l list, m map, M map without other keys, z null, * anything. VALUES: the texts that there are.
 * NEEDED: keys that must be there.
 */
extern const char seed_rules_cloud_config[], seed_rules_network_v1[], seed_rules_network_v2[];

/* Of what a text is said, and where its first line stands in the file. */
struct seed_place {
	const char *what, *name; /* "user-data", the file's name */
	unsigned line;		 /* before its first */
	GPtrArray *warnings;	 /* may be NULL */
};

/* "user-data 'FILE' line 3, column 5: ..."; returns -E_INVALID. */
int seed_fault(const struct seed_place *p, struct err *e, unsigned line, unsigned column,
	const char *fmt, ...) _printf_(5, 6);
void seed_warn(const struct seed_place *p, unsigned line, unsigned column, const char *fmt, ...)
	_printf_(4, 5);

/* Checks a map by rules; types of the map itself: 'm' or 'M'. */
int seed_check_tree(const struct seed_place *p, const struct yaml *y, const char *rules,
	bool closed, struct err *e);

/* Reads YAML, with the faults in the form above. */
int seed_read_yaml(const struct seed_place *p, const char *text, size_t size, struct yaml_doc **ret,
	struct err *e);

/* #cloud-config, without its first line being looked at. */
int seed_check_cloud_config(
	const struct seed_place *p, const char *text, size_t size, struct err *e);

/* User or vendor data of any kind. */
int seed_check_data(const struct seed_place *p, const char *text, size_t size, struct err *e);
int seed_check_network(const struct seed_place *p, const char *text, size_t size, struct err *e);

/* Whether the base64 text is a key of the type that stands before it. */
bool seed_key_matches(const char *type, const char *base64);

/* An ISO 9660 image with Joliet and Rock Ridge of these files (struct seed_file), read by libarchive. Caller frees
 * *ret. -E_UNSUPPORTED when libarchive isn't there. */
int seed_iso(const GPtrArray *files, const char *volume, GByteArray **ret, struct err *e);

#endif
