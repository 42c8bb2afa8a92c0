/* SPDX-License-Identifier: MIT */
/* What a guest tells of its boot. It may tell anything. */
#include <string.h>
#include "codec/json.h"
#include "host/addr.h"
#include "image/seed-priv.h"

#define TEXT_MAX      4096 /* bytes of an error */
#define WORD_MAX      256
#define ERRORS_MAX    64
#define ADDRESSES_MAX 64
#define KEYS_MAX      16

static void key_free(gpointer p)
{
	struct seed_host_key *k = p;

	g_free(k->type);
	g_free(k->key);
	g_free(k->fingerprint);
	g_free(k);
}

void seed_result_free(struct seed_result *r)
{
	if (!r)
		return;
	g_free(r->status);
	g_free(r->boot);
	g_free(r->datasource);
	g_free(r->instance_id);
	g_strfreev(r->errors);
	g_strfreev(r->addresses);
	if (r->host_keys)
		g_ptr_array_unref(r->host_keys);
	g_free(r);
}

void seed_result_freep(struct seed_result **r)
{
	seed_result_free(*r);
}

static int bad(struct err *e, const char *field, const char *why)
{
	return err_set(e, -E_CORRUPT, "the guest's report is wrong: '%s' %s", field, why);
}

static int too_much(struct err *e, const char *field)
{
	return err_set(e, -E_LIMIT, "the guest's report is too large: '%s'", field);
}

/* jansson has made sure that it is UTF-8. */
static bool is_shown(const char *s, size_t size)
{
	if (strlen(s) != size)
		return false;
	for (; *s; s = g_utf8_next_char(s))
		if (!g_unichar_isprint(g_utf8_get_char(s)))
			return false;
	return true;
}

/* "" for what isn't there. */
static int get_text(json_t *o, const char *field, size_t max, char **ret, struct err *e)
{
	json_t *j = json_object_get(o, field);

	if (j && !json_is_string(j) && !json_is_null(j))
		return bad(e, field, "isn't a text");
	if (json_string_length(j) > max)
		return too_much(e, field);
	if (json_is_string(j) && !is_shown(json_string_value(j), json_string_length(j)))
		return bad(e, field, "has characters that can't be shown");
	*ret = g_strdup(json_is_string(j) ? json_string_value(j) : "");
	return 0;
}

/* Errors may have several lines; each becomes one of what can be shown. */
static char *one_line(const char *s)
{
	GString *out = g_string_new(NULL);

	for (; *s && out->len < TEXT_MAX; s = g_utf8_next_char(s)) {
		gunichar c = g_utf8_get_char(s);

		if (c == '\n' || c == '\t')
			c = ' ';
		g_string_append_unichar(out, g_unichar_isprint(c) ? c : 0xfffd);
	}
	return g_string_free(out, FALSE);
}

static int get_errors(json_t *v1, struct seed_result *r, struct err *e)
{
	json_t *list = json_object_get(v1, "errors"), *x;
	GPtrArray *out;
	size_t i;

	if (list && !json_is_array(list))
		return bad(e, "errors", "isn't a list");
	if (json_array_size(list) > ERRORS_MAX)
		return too_much(e, "errors");
	out = g_ptr_array_new();
	json_array_foreach(list, i, x)
		g_ptr_array_add(out, json_is_string(x) ? one_line(json_string_value(x))
						       : g_strdup("(not a text)"));
	if (!v1)
		g_ptr_array_add(out, g_strdup("cloud-init left no result"));
	g_ptr_array_add(out, NULL);
	r->errors = (char **)g_ptr_array_free(out, FALSE);
	return 0;
}

static int get_addresses(json_t *o, struct seed_result *r, struct err *e)
{
	json_t *list = json_object_get(o, "addresses"), *x;
	size_t i, n = 0;

	if (list && !json_is_array(list))
		return bad(e, "addresses", "isn't a list");
	if (json_array_size(list) > ADDRESSES_MAX)
		return too_much(e, "addresses");
	r->addresses = g_new0(char *, json_array_size(list) + 1);
	json_array_foreach(list, i, x) {
		const char *s = json_string_value(x);
		char text[ADDR_TEXT_MAX];
		struct addr a;

		if (!s || strlen(s) != json_string_length(x) || strpbrk(s, "/[") ||
			addr_parse(s, &a) < 0)
			return bad(e, "addresses", "has something that isn't an address");
		addr_show(&a, false, text);
		r->addresses[n++] = g_strdup(text);
	}
	return 0;
}

/* As ssh-keygen -l shows it. */
static char *fingerprint(const char *base64)
{
	g_autofree guchar *blob = NULL;
	g_autofree char *text = NULL;
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 digest[32];
	gsize size, n = sizeof(digest);

	blob = g_base64_decode(base64, &size);
	g_checksum_update(sum, blob, (gssize)size);
	g_checksum_get_digest(sum, digest, &n);
	g_checksum_free(sum);
	text = g_base64_encode(digest, n);
	text[strcspn(text, "=")] = '\0';
	return g_strconcat("SHA256:", text, NULL);
}

static int get_keys(json_t *o, struct seed_result *r, struct err *e)
{
	json_t *list = json_object_get(o, "keys"), *x;
	size_t i;

	if (list && !json_is_array(list))
		return bad(e, "keys", "isn't a list");
	if (json_array_size(list) > KEYS_MAX)
		return too_much(e, "keys");
	json_array_foreach(list, i, x) {
		const char *s = json_string_value(x);
		g_auto(GStrv) word = NULL;
		struct seed_host_key *k;

		if (!s || !is_shown(s, json_string_length(x)) || strlen(s) > TEXT_MAX)
			return bad(e, "keys", "has something that isn't a key");
		word = g_strsplit(s, " ", 3);
		if (g_strv_length(word) != 2 || !*word[0] || !seed_key_matches(word[0], word[1]))
			return bad(e, "keys", "has something that isn't a key");
		k = g_new0(struct seed_host_key, 1);
		k->type = g_strdup(word[0]);
		k->key = g_strdup(word[1]);
		k->fingerprint = fingerprint(word[1]);
		g_ptr_array_add(r->host_keys, k);
	}
	return 0;
}

static int read_report(json_t *j, struct seed_result *r, struct err *e)
{
	json_t *result = json_object_get(j, "result"), *v1 = NULL;
	int code;

	if (!json_is_object(j) || json_integer_value(json_object_get(j, "lodge")) != 1)
		return bad(e, "lodge", "isn't 1");
	if (result && !json_is_null(result)) {
		v1 = json_object_get(result, "v1");
		if (!json_is_object(v1))
			return bad(e, "result", "has no 'v1'");
	}
	code = get_text(j, "boot", WORD_MAX, &r->boot, e);
	if (code >= 0)
		code = get_text(j, "instance", WORD_MAX, &r->instance_id, e);
	if (code >= 0)
		code = get_text(v1, "datasource", WORD_MAX, &r->datasource, e);
	if (code >= 0)
		code = get_errors(v1, r, e);
	if (code >= 0)
		code = get_addresses(j, r, e);
	if (code >= 0)
		code = get_keys(j, r, e);
	if (code >= 0)
		r->status = g_strdup(r->errors[0] ? "error" : "done");
	return code;
}

int seed_result_parse(const char *line, size_t size, struct seed_result **ret, struct err *e)
{
	_cleanup_(seed_result_freep) struct seed_result *r = g_new0(struct seed_result, 1);
	json_t *j;
	int code;

	if (size > SEED_LINE_MAX)
		return too_much(e, "line");
	r->host_keys = g_ptr_array_new_with_free_func(key_free);
	code = json_read(line, size, &j, e);
	if (code < 0) {
		(void)err_prefix(e, "the guest's report");
		return -E_CORRUPT;
	}
	code = read_report(j, r, e);
	json_decref(j);
	if (code < 0)
		return code;
	*ret = TAKE_PTR(r);
	return 0;
}

static json_t *strings(char *const *v)
{
	json_t *list = json_array();

	for (; *v; v++)
		(void)json_array_append_new(list, json_string(*v));
	return list;
}

json_t *seed_result_json(const struct seed_result *r)
{
	json_t *keys = json_array();

	for (unsigned i = 0; i < r->host_keys->len; i++) {
		const struct seed_host_key *k = r->host_keys->pdata[i];

		(void)json_array_append_new(
			keys, json_pack("{s:s, s:s, s:s}", "Type", k->type, "Key", k->key,
				      "Fingerprint", k->fingerprint));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "Status", r->status, "Boot",
		r->boot, "Datasource", r->datasource, "InstanceId", r->instance_id, "Errors",
		strings(r->errors), "Addresses", strings(r->addresses), "HostKeys", keys);
}
