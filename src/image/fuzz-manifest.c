/* SPDX-License-Identifier: MIT */
/* Manifests and indexes: what is read can be written anew, in both forms, and read again as the same. */
#include <string.h>
#include "image/layout.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rewrite(const struct manifest *m, bool oci)
{
	g_autofree struct part_change *same = g_new0(struct part_change, m->parts->len + 1);
	_cleanup_(manifest_freep) struct manifest *again = NULL;
	g_autofree char *text = NULL;

	if (manifest_rewrite(m, oci, same, &text, NULL) < 0)
		return;
	g_assert(manifest_parse(text, strlen(text), NULL, &again, NULL) >= 0);
	g_assert(again->index == m->index && again->parts->len == m->parts->len);
	for (unsigned i = 0; i < m->parts->len; i++) {
		const struct descriptor *a = m->parts->pdata[i], *b = again->parts->pdata[i];

		g_assert_cmpstr(a->digest, ==, b->digest);
		g_assert_cmpint(a->size, ==, b->size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	g_autofree char *text = g_strndup((const char *)data, size), *index = NULL;
	const struct descriptor *d;

	if (size > 1 << 20)
		return 0;
	(void)manifest_type_of(text, size);
	if (manifest_parse(text, size, NULL, &m, NULL) < 0)
		return 0;
	rewrite(m, true);
	rewrite(m, false);
	if (!m->index)
		return 0;
	if (manifest_choose(m, NULL, NULL, NULL, &d, NULL) >= 0)
		g_assert(d->digest);
	(void)layout_choose(m, "x", "fuzz", &d, NULL);
	(void)layout_put(text, "x", TYPE_OCI_MANIFEST, "sha256:", 1, &index, NULL);
	return 0;
}
