/* SPDX-License-Identifier: MIT */
#include "codec/toml.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	json_t *doc = NULL;
	char *text;

	if (toml_read((const char *)data, size, &doc, &e) < 0) {
		assert(*e.text);
		return 0;
	}
	/* what came out is a value that can be written */
	text = json_dumps(doc, JSON_COMPACT);
	assert(json_is_object(doc) && text);
	free(text);
	json_decref(doc);
	return 0;
}
