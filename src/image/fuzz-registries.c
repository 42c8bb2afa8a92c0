/* SPDX-License-Identifier: MIT */
#include "image/registries.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct registries *c, const char *written)
{
	g_autoptr(GPtrArray) names = NULL;
	struct err e = { 0 };

	if (registries_names(c, written, &names, &e) < 0)
		return;
	for (unsigned i = 0; i < names->len; i++) {
		g_autoptr(GPtrArray) places = NULL;
		struct ref r;

		if (ref_parse(names->pdata[i], 0, &r, &e) < 0)
			continue;
		if (registries_places(c, &r, &places, &e) >= 0)
			for (unsigned k = 0; k < places->len; k++) {
				const struct registry_place *p = places->pdata[k];

				assert(*p->domain && *p->path && !strchr(p->domain, '/'));
				assert(!strpbrk(p->path, " \r\n?#@:"));
			}
		ref_clear(&r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(registries_freep) struct registries *c = registries_new();
	struct err e = { 0 };

	if (registries_add(c, (const char *)data, size, &e) < 0) {
		assert(*e.text);
		return 0;
	}
	ask(c, "image");
	ask(c, "example.com/foo/image:latest");
	ask(c, "a.b.example.com:5000/foo/image@sha256:"
	       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	return 0;
}
