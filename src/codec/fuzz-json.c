/* SPDX-License-Identifier: MIT */
#include "codec/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
	char *name;
	char **words;
	uint64_t big;
	int n;
};

struct top {
	char *text;
	bool on;
	uint16_t port;
	int64_t size;
	GPtrArray *items;
	GArray *more;
	struct item *maybe;
};

static void item_free(void *p);

/* clang-format off */
static const struct json_field item_fields[] = {
	JSON_STRING(struct item, name, "name", JSON_REQUIRED),
	JSON_STRINGS(struct item, words, "words"),
	JSON_UINT64(struct item, big, "big", 0),
	JSON_INT(struct item, n, "n", -1),
	JSON_UNSUPPORTED("unsupported"),
	JSON_END
};
static const struct json_struct item_struct = { sizeof(struct item), item_fields, item_free };

static const struct json_field top_fields[] = {
	JSON_STRING(struct top, text, "text", 0),
	JSON_BOOL(struct top, on, "on"),
	JSON_UINT16(struct top, port, "port", 1),
	JSON_INT64(struct top, size, "size", 0),
	JSON_LIST(struct top, items, "items", &item_struct),
	JSON_POINTER(struct top, maybe, struct item, "maybe", &item_struct),
	JSON_ARRAY(struct top, more, "more", &item_struct),
	JSON_END
};
static const struct json_struct top_struct = { .size = sizeof(struct top), .fields = top_fields };
/* clang-format on */

static void item_free(void *p)
{
	json_struct_free(&item_struct, p);
}

/* What was read is written in a form that reads the same. */
static void check_decode(const json_t *j)
{
	struct top top, again;
	json_t *written, *rewritten;

	if (json_struct_decode(&top_struct, j, JSON_IGNORE_UNKNOWN, &top, NULL) < 0)
		return;
	written = json_struct_encode(&top_struct, &top);
	g_assert(json_struct_decode(&top_struct, written, 0, &again, NULL) == 0);
	rewritten = json_struct_encode(&top_struct, &again);
	g_assert(json_equal(written, rewritten));
	json_struct_clear(&top_struct, &top);
	json_struct_clear(&top_struct, &again);
	json_decref(written);
	json_decref(rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {};
	json_t *j;

	if (json_read((const char *)data, size, &j, &e) < 0) {
		g_assert(*e.text);
		return 0;
	}
	check_decode(j);
	json_decref(j);
	return 0;
}
