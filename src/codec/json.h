/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CODEC_JSON_H
#define LODGE_CODEC_JSON_H

/*
 * JSON to structs and back by tables, one row a field, over jansson. RFC 8259.
 *
 *	static const struct json_field pair_fields[] = {
 *		JSON_STRING(struct pair, key, "key", JSON_REQUIRED),
 *		JSON_INT64(struct pair, n, "n", -1),
 *		JSON_END
 *	};
 *	static const struct json_struct pair_struct = { sizeof(struct pair), pair_fields };
 *
 * A field that has its "not given" value (the row's `absent`, NULL, false, an empty list of structs) isn't
 * written, and one that isn't there is read as that, so both directions agree. An empty list of strings
 * and none are different things.
 *
 * What JSON can't hold is written in a form that the reading side takes too:
 *   - a C string that isn't UTF-8 as {"base64": "..."};
 *   - an unsigned number above INT64_MAX as a string of its digits. -1 is read as UINT64_MAX ("unlimited"),
 *     as many programs write it.
 */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"

#define JSON_TEXT_MAX (64 << 20) /* bytes of one document */

enum json_field_type {
	JSON_T_END,
	JSON_T_STRING,	    /* char *, g_free */
	JSON_T_STRINGS,	    /* char **, NULL-terminated, g_strfreev */
	JSON_T_BOOL,	    /* bool */
	JSON_T_INT,	    /* int */
	JSON_T_INT64,	    /* int64_t */
	JSON_T_UINT16,	    /* uint16_t */
	JSON_T_UINT32,	    /* uint32_t */
	JSON_T_UINT64,	    /* uint64_t */
	JSON_T_ENUM,	    /* an enum from 0: its name by `names` */
	JSON_T_STRUCT,	    /* a struct inside this one */
	JSON_T_POINTER,	    /* pointer to a struct of its own, or NULL: an object without fields isn't NULL */
	JSON_T_LIST,	    /* GPtrArray of pointers to structs */
	JSON_T_ARRAY,	    /* GArray of structs */
	JSON_T_UNSUPPORTED, /* known, and refused with -E_UNSUPPORTED unless null, false, 0 or empty */
	_JSON_T_MAX,
};

enum {
	JSON_REQUIRED = 1 << 0,
};

struct json_struct;

struct json_field {
	const char *name;
	enum json_field_type type;
	size_t offset;
	int64_t absent;		     /* numbers and enums: the value for "not given" */
	int64_t min, max;	     /* numbers; both 0: what the C type holds */
	const char *const *names;    /* enums, NULL-terminated */
	const struct json_struct *of; /* structs, pointers, lists, arrays */
	unsigned flags;
};

struct json_struct {
	size_t size;
	const struct json_field *fields;
	GDestroyNotify free; /* for elements of lists: calls json_struct_free with this table */
};

/* The compile-time check that the field has the row's type. */
#define JSON_AT(S, f, T) \
	(offsetof(S, f) + 0 * sizeof(struct { int ok : __builtin_types_compatible_p(__typeof__(((S *)0)->f), T) ? 1 : -1; }))
#define JSON_STRING(S, f, n, fl) { .name = n, .type = JSON_T_STRING, .offset = JSON_AT(S, f, char *), .flags = fl }
#define JSON_STRINGS(S, f, n) { .name = n, .type = JSON_T_STRINGS, .offset = JSON_AT(S, f, char **) }
#define JSON_BOOL(S, f, n) { .name = n, .type = JSON_T_BOOL, .offset = JSON_AT(S, f, bool) }
#define JSON_INT(S, f, n, a) { .name = n, .type = JSON_T_INT, .offset = JSON_AT(S, f, int), .absent = a }
#define JSON_INT64(S, f, n, a) { .name = n, .type = JSON_T_INT64, .offset = JSON_AT(S, f, int64_t), .absent = a }
#define JSON_UINT16(S, f, n, a) { .name = n, .type = JSON_T_UINT16, .offset = JSON_AT(S, f, uint16_t), .absent = a }
#define JSON_UINT32(S, f, n, a) { .name = n, .type = JSON_T_UINT32, .offset = JSON_AT(S, f, uint32_t), .absent = a }
#define JSON_UINT64(S, f, n, a) { .name = n, .type = JSON_T_UINT64, .offset = JSON_AT(S, f, uint64_t), .absent = a }
#define JSON_ENUM(S, f, T, n, nm, a) { .name = n, .type = JSON_T_ENUM, .offset = JSON_AT(S, f, T), .names = nm, .absent = a }
#define JSON_STRUCT(S, f, T, n, st) { .name = n, .type = JSON_T_STRUCT, .offset = JSON_AT(S, f, T), .of = st }
#define JSON_POINTER(S, f, T, n, st) { .name = n, .type = JSON_T_POINTER, .offset = JSON_AT(S, f, T *), .of = st }
#define JSON_LIST(S, f, n, st) { .name = n, .type = JSON_T_LIST, .offset = JSON_AT(S, f, GPtrArray *), .of = st }
#define JSON_ARRAY(S, f, n, st) { .name = n, .type = JSON_T_ARRAY, .offset = JSON_AT(S, f, GArray *), .of = st }
#define JSON_UNSUPPORTED(n) { .name = n, .type = JSON_T_UNSUPPORTED }
#define JSON_END { .name = NULL, .type = JSON_T_END }

/* Parses n bytes as one document (any value). A whole number beyond int64_t becomes a string of its digits;
 * otherwise as jansson: numbers with '.' or 'e' are reals, "\u0000" is refused. e names line and column.
 * Caller owns the result. */
int json_read(const char *text, size_t n, json_t **ret, struct err *e);

/* Fills zeroed or uninitialised memory with "not given"; lists are made, and empty. */
void json_struct_init(const struct json_struct *t, void *s);
/* Frees what s owns, not s. Safe on zeroed memory; leaves zeroes. */
void json_struct_clear(const struct json_struct *t, void *s);
/* json_struct_clear() and g_free(). NULL is nothing. */
void json_struct_free(const struct json_struct *t, void *s);
/* A new element, initialised, at the end of a list whose elements are t. */
void *json_list_add(const struct json_struct *t, GPtrArray *list);

/* Never NULL; caller owns it. */
json_t *json_struct_encode(const struct json_struct *t, const void *s);

enum {
	JSON_IGNORE_UNKNOWN = 1 << 0, /* a name without a row is passed over, else -E_INVALID */
};
/* s is memory of t->size, overwritten. On an error it holds nothing and e names the place: "mounts[2].mode".
 * null is "not given" for every field. */
int json_struct_decode(const struct json_struct *t, const json_t *j, unsigned flags, void *s,
	struct err *e);

#endif
