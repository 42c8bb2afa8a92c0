/* SPDX-License-Identifier: MIT */
#include "image/challenge.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	struct challenge c = { 0 };
	struct err e = { 0 };

	if (challenge_parse(text, &c, &e) < 0)
		assert(*e.text);
	/* what goes into a header or a URL later has no end of line */
	for (int i = 0; i < 5; i++) {
		const char *s = i == 0	 ? c.realm
				: i == 1 ? c.service
				: i == 2 ? c.scope
				: i == 3 ? c.error
					 : c.basic_realm;

		assert(!s || !strpbrk(s, "\r\n"));
	}
	assert(c.bearer || (!c.realm && !c.service && !c.scope));
	challenge_clear(&c);
	return 0;
}
