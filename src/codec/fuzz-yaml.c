/* SPDX-License-Identifier: MIT */
#include "codec/yaml.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that can be reached: no deeper and no more than the limits say. */
static unsigned walk(const struct yaml *y, unsigned depth)
{
	unsigned n = 1;

	g_assert(depth <= YAML_DEPTH_MAX);
	g_assert(y->line > 0 && y->column > 0);
	g_assert((y->kind == YAML_LIST || y->kind == YAML_MAP) == (y->text == NULL) ||
		 y->kind == YAML_NULL);
	g_assert(y->kind != YAML_MAP || y->n % 2 == 0);
	if (y->text)
		g_assert(y->text[y->size] == '\0');
	for (unsigned i = 0; i < y->n; i++)
		n += walk(y->item[i], depth + 1);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_doc *d = NULL;
	struct err e = {};

	if (yaml_read((const char *)data, size, 0, &d, &e) < 0) {
		g_assert(*e.text);
		return 0;
	}
	g_assert(walk(yaml_root(d), 0) <= YAML_NODES_MAX);
	yaml_doc_free(d);
	return 0;
}
