/* SPDX-License-Identifier: MIT */
#include "image/attachments.h"

#include <string.h>
#include "image/manifest.h"
#include "image/policy.h"
#include "store/blob.h"

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	GString *text = arg;

	if (text->len + size > ATTACHMENT_SIZE_MAX)
		return err_set(
			e, -E_LIMIT, "a signed text has more than %d bytes", ATTACHMENT_SIZE_MAX);
	g_string_append_len(text, data, (gssize)size);
	return 0;
}

static int read_layer(
	struct registry *r, const struct descriptor *d, GPtrArray *list, struct err *e)
{
	const char *signature = json_string_value(
		json_object_get(json_object_get(d->json, "annotations"), ATTACHMENT_SIGNATURE));
	g_autoptr(GString) text = g_string_new(NULL);
	struct registry_sink to = { NULL, take, text };
	g_autofree char *is = NULL;
	struct policy_attachment *a;
	int code;

	/* other attachments may stand beside */
	if (strcmp(d->type, ATTACHMENT_SIGSTORE) != 0 || !signature)
		return 0;
	if (list->len == ATTACHMENTS_MAX)
		return err_set(e, -E_LIMIT, "there are more than %d signatures", ATTACHMENTS_MAX);
	code = registry_blob(r, d->digest, 0, &to, NULL, e);
	if (code < 0)
		return code;
	is = blob_digest(text->str, text->len);
	if (strcmp(is, d->digest) != 0)
		return err_set(e, -E_CORRUPT, "the blob '%s' has the digest '%s'", d->digest, is);
	a = g_new0(struct policy_attachment, 1);
	a->size = text->len;
	a->text = g_memdup2(text->str, text->len + 1);
	a->signature = g_strdup(signature);
	g_ptr_array_add(list, a);
	return 0;
}

int attachments_read(struct registry *r, const char *digest, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)policy_attachment_free);
	g_autofree char *tag = g_strconcat(digest, ".sig", NULL), *text = NULL, *type = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	struct err none = { 0 };
	size_t size;
	int code;

	(void)g_strdelimit(tag, ":", '-');
	code = registry_manifest(r, tag, &text, &size, &type, NULL, &none);
	if (code == -E_NOTFOUND) {
		*ret = g_steal_pointer(&list);
		return 0;
	}
	if (code < 0)
		return err_set(e, code, "cannot get the signatures '%s': %s", tag, none.text);
	code = manifest_parse(text, size, type, &m, e);
	if (code >= 0 && (m->index || !m->oci))
		code = err_set(e, -E_CORRUPT, "it is a '%s', not an image of OCI", m->type);
	for (unsigned i = 0; code >= 0 && i < m->parts->len; i++)
		code = read_layer(r, m->parts->pdata[i], list, e);
	if (code < 0)
		return err_prefix(e, "the signatures '%s'", tag);
	*ret = g_steal_pointer(&list);
	return 0;
}
