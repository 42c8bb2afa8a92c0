/* SPDX-License-Identifier: MIT */
#include "image/attachments.h"

#include <string.h>
#include "codec/json.h"
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

/* Caller frees with g_free. */
static char *text_of(const json_t *doc)
{
	char *dump = json_dumps(doc, JSON_COMPACT), *text = g_strdup(dump);

	free(dump);
	return text;
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
	a->type = g_strdup(d->type);
	a->annotations = text_of(json_object_get(d->json, "annotations"));
	g_ptr_array_add(list, a);
	return 0;
}

/* --- in files ------------------------------------------------------------------------------------------- */

char *attachment_text(const struct policy_attachment *a)
{
	g_autofree char *payload = g_base64_encode((const guchar *)a->text, a->size);
	json_auto_t *doc = json_pack("{s:s, s:s, s:o}", "mimeType", a->type, "payload", payload,
		"annotations", json_loads(a->annotations, 0, NULL) ?: json_object());

	return text_of(doc);
}

int attachment_parse(const char *text, size_t size, struct policy_attachment **ret, struct err *e)
{
	json_auto_t *doc = NULL;
	const char *type, *payload, *signature;
	json_t *annotations;
	struct policy_attachment *a;
	int code = json_read(text, size, &doc, e);

	if (code < 0)
		return code;
	type = json_string_value(json_object_get(doc, "mimeType"));
	payload = json_string_value(json_object_get(doc, "payload"));
	annotations = json_object_get(doc, "annotations");
	signature = json_string_value(json_object_get(annotations, ATTACHMENT_SIGNATURE));
	if (!type || !payload || !signature)
		return err_set(e, -E_CORRUPT, "it lacks its type, its text or its signature");
	a = g_new0(struct policy_attachment, 1);
	/* it has a NUL behind it */
	a->text = (char *)g_base64_decode(payload, &a->size);
	a->text = g_realloc(a->text, a->size + 1);
	a->text[a->size] = '\0';
	a->type = g_strdup(type);
	a->signature = g_strdup(signature);
	a->annotations = text_of(annotations);
	*ret = a;
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static char *tag_of(const char *digest)
{
	return g_strdelimit(g_strconcat(digest, ".sig", NULL), ":", '-');
}

/* *ret NULL: there is none. */
static int read_manifest(struct registry *r, const char *tag, struct manifest **ret, struct err *e)
{
	g_autofree char *text = NULL, *type = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	struct err none = { 0 };
	size_t size;
	int code = registry_manifest(r, tag, &text, &size, &type, NULL, &none);

	*ret = NULL;
	if (code == -E_NOTFOUND)
		return 0;
	if (code < 0)
		return err_set(e, code, "cannot get the signatures '%s': %s", tag, none.text);
	code = manifest_parse(text, size, type, &m, e);
	if (code >= 0 && (m->index || !m->oci))
		code = err_set(e, -E_CORRUPT, "it is a '%s', not an image of OCI", m->type);
	if (code < 0)
		return err_prefix(e, "the signatures '%s'", tag);
	*ret = TAKE_PTR(m);
	return 0;
}

int attachments_read(struct registry *r, const char *digest, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) list =
		g_ptr_array_new_with_free_func((GDestroyNotify)policy_attachment_free);
	g_autofree char *tag = tag_of(digest);
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	int code = read_manifest(r, tag, &m, e);

	if (code < 0)
		return code;
	for (unsigned i = 0; m && code >= 0 && i < m->parts->len; i++)
		code = read_layer(r, m->parts->pdata[i], list, e);
	if (code < 0)
		return err_prefix(e, "the signatures '%s'", tag);
	*ret = g_steal_pointer(&list);
	return 0;
}

/* --- writing -------------------------------------------------------------------------------------------- */

static bool is_there(const json_t *layers, const char *digest, const struct policy_attachment *a)
{
	const json_t *j;
	size_t i;

	json_array_foreach(layers, i, j) {
		const char *is = json_string_value(json_object_get(j, "digest"));
		const char *signature = json_string_value(
			json_object_get(json_object_get(j, "annotations"), ATTACHMENT_SIGNATURE));

		if (g_strcmp0(is, digest) == 0 && g_strcmp0(signature, a->signature) == 0)
			return true;
	}
	return false;
}

static int put(struct registry *r, const char *text, size_t size, char **ret_digest, struct err *e)
{
	g_autofree char *digest = blob_digest(text, size);
	int code = registry_has_blob(r, digest, e);

	if (code == 0)
		code = registry_blob_put(r, digest, text, size, e);
	if (code >= 0)
		*ret_digest = g_steal_pointer(&digest);
	return MIN(code, 0);
}

/* 1: it is one more. */
static int add_layer(
	struct registry *r, json_t *layers, const struct policy_attachment *a, struct err *e)
{
	g_autofree char *digest = blob_digest(a->text, a->size), *put_digest = NULL;
	int code;

	if (is_there(layers, digest, a))
		return 0;
	if (json_array_size(layers) >= ATTACHMENTS_MAX)
		return err_set(e, -E_LIMIT, "there are more than %d signatures", ATTACHMENTS_MAX);
	code = put(r, a->text, a->size, &put_digest, e);
	if (code < 0)
		return code;
	(void)json_array_append_new(
		layers, json_pack("{s:s, s:s, s:I, s:o}", "mediaType", a->type, "digest", digest,
				"size", (json_int_t)a->size, "annotations",
				json_loads(a->annotations, 0, NULL) ?: json_object()));
	return 1;
}

/* A configuration that says which texts there are, as an image has one of its layers. */
static int put_config(struct registry *r, const json_t *layers, json_t **ret, struct err *e)
{
	json_t *ids = json_array(), *doc;
	g_autofree char *text = NULL, *digest = NULL;
	const json_t *j;
	size_t i;
	int code;

	json_array_foreach(layers, i, j)
		(void)json_array_append(ids, json_object_get(j, "digest"));
	doc = json_pack("{s:s, s:s, s:{}, s:{s:s, s:o}}", "architecture", "", "os", "", "config",
		"rootfs", "type", "layers", "diff_ids", ids);
	text = text_of(doc);
	json_decref(doc);
	code = put(r, text, strlen(text), &digest, e);
	if (code >= 0)
		*ret = json_pack("{s:s, s:s, s:I}", "mediaType", TYPE_OCI_CONFIG, "digest", digest,
			"size", (json_int_t)strlen(text));
	return code;
}

int attachments_write(struct registry *r, const char *digest, GPtrArray *list, struct err *e)
{
	g_autofree char *tag = tag_of(digest), *text = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	json_auto_t *doc = NULL, *layers = NULL;
	json_t *config = NULL;
	bool more = false;
	int code = read_manifest(r, tag, &m, e);

	if (code >= 0)
		layers = m ? json_incref(json_object_get(m->doc, "layers")) : json_array();
	for (unsigned i = 0; code >= 0 && i < list->len; i++) {
		code = add_layer(r, layers, list->pdata[i], e);
		more = more || code > 0;
	}
	if (code >= 0 && more)
		code = put_config(r, layers, &config, e);
	if (code < 0 || !more)
		return code < 0 ? err_prefix(e, "the signatures '%s'", tag) : 0;
	doc = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", TYPE_OCI_MANIFEST,
		"config", config, "layers", layers);
	text = text_of(doc);
	return registry_manifest_put(r, tag, text, strlen(text), TYPE_OCI_MANIFEST, e);
}
