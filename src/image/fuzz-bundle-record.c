/* SPDX-License-Identifier: MIT */
/* Records of bundles: a good one has its root, and only paths that a tree can have. */
#include <stdlib.h>
#include <string.h>
#include "image/bundle-priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GHashTable) entries = NULL;
	uint32_t uid, gid;
	GHashTableIter i;
	void *path, *entry;

	(void)bundle_rootless_get(data, size, &uid, &gid);
	if (bundle_record_parse(text, &entries, NULL) < 0)
		return 0;
	if (!bundle_record_is_folder(g_hash_table_lookup(entries, "")))
		abort();
	g_hash_table_iter_init(&i, entries);
	while (g_hash_table_iter_next(&i, &path, &entry)) {
		g_auto(GStrv) names = g_strsplit(path, "/", -1);

		for (char **n = names; *n; n++)
			if (!**n || strcmp(*n, ".") == 0 || strcmp(*n, "..") == 0)
				abort();
	}
	return 0;
}
