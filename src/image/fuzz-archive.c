/* SPDX-License-Identifier: MIT */
/* The JSON of archives: the first byte says which kind of document follows. */
#include <string.h>
#include "image/archive-priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_repositories(const char *text, size_t size)
{
	g_auto(GStrv) names = NULL, ids = NULL;

	if (docker_repositories_parse(text, size, &names, &ids, NULL) >= 0)
		g_assert(g_strv_length(names) == g_strv_length(ids));
}

static void fuzz_v1(const char *text, size_t size)
{
	const char *ids[] = { "sha256:" };
	g_autofree char *parent = NULL, *config = NULL;
	json_t *doc = NULL;

	if (docker_v1_parse(text, size, &parent, &doc, NULL) < 0)
		return;
	config = docker_v1_config(&doc, 1, ids);
	json_decref(doc);
}

static void fuzz_manifest(const char *text, size_t size)
{
	g_autoptr(GPtrArray) images = NULL;

	if (docker_manifest_parse(text, size, &images, NULL) < 0)
		return;
	for (unsigned i = 0; i < images->len; i++) {
		const struct docker_image *d = images->pdata[i];

		for (char **l = d->layers; *l; l++)
			g_assert(**l != '/' && strcmp(*l, "..") != 0 && !strstr(*l, "/../"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	_cleanup_(oci_document_freep) struct oci_document *doc = NULL;
	json_t *change;
	char *line;

	if (size == 0)
		return 0;
	size--;
	switch (*data) {
	case 'm':
		fuzz_manifest(text, size);
		break;
	case 'r':
		fuzz_repositories(text, size);
		break;
	case 'v':
		fuzz_v1(text, size);
		break;
	case 'o':
		if (oci_document_parse(text, size, &doc, NULL) >= 0)
			g_assert(doc->kind == OCI_INDEX ? !!doc->manifests : !!doc->config);
		break;
	case 'c':
		if (image_config_parse(text, size, &config, NULL) >= 0)
			g_assert(config->arch && config->os && config->diff_ids);
		break;
	default: /* a change */
		line = g_strndup(text, size);
		change = json_object();
		if (image_change(change, line, NULL) >= 0)
			g_assert(json_object_size(change) > 0);
		json_decref(change);
		g_free(line);
	}
	return 0;
}
