/* SPDX-License-Identifier: MIT */
/* What is taken as a reference is taken again, as the same, in its full and its familiar form. */
#include <glib.h>
#include <string.h>
#include "image/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, const char *want_full)
{
	g_autofree char *full = NULL;
	struct ref r;

	g_assert(ref_parse(text, 0, &r, NULL) == 0);
	full = ref_full(&r);
	g_assert(strcmp(full, want_full) == 0);
	ref_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size), *full = NULL, *familiar = NULL;
	const char *slash;
	struct ref r;

	if (ref_parse(text, 0, &r, NULL) < 0)
		return 0;
	full = ref_full(&r);
	familiar = ref_familiar(&r);
	ref_clear(&r);
	check(full, full);
	/* without "docker.io" the path may look as if it had a domain, as in docker */
	slash = strchr(familiar, '/');
	if (!slash || !g_str_has_prefix(full, "docker.io/") ||
		(!memchr(familiar, '.', (size_t)(slash - familiar)) &&
			!g_str_has_prefix(familiar, "localhost/")))
		check(familiar, full);
	return 0;
}
