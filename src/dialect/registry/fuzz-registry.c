/* SPDX-License-Identifier: MIT */
/* A manifest as it is pushed, and the words of a path. */
#include <string.h>

#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_name(const char *s)
{
	if (registry_is_name(s) &&
		(strstr(s, "..") || strstr(s, "/_") || strstr(s, "/.") || *s == '/'))
		abort();
	if (registry_is_tag(s) && (strchr(s, '/') || *s == '.'))
		abort();
	if ((registry_is_digest(s) || registry_is_upload(s)) && strpbrk(s, "/."))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	struct manifest m;

	look_at_name(text);
	if (manifest_read((const char *)data, size, NULL, &m, NULL) < 0)
		return 0;
	for (guint i = 0; i < m.refs->len; i++)
		if (!registry_is_digest(g_array_index(m.refs, struct manifest_ref, i).digest))
			abort();
	if (m.subject && !registry_is_digest(m.subject))
		abort();
	manifest_done(&m);
	return 0;
}
