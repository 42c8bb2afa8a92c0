/* SPDX-License-Identifier: MIT */
#include "engine/seccomp-json.h"

#include <glib.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "host/caps.h"
#include "host/smallfile.h"

/* What is being read: everything allocated is in `owned`, freed with the document. */
struct reader {
	struct seccomp_doc *doc;
	GPtrArray *owned;
	GArray *rows;
	struct err *e;
};

static void *own(struct reader *r, gpointer p)
{
	g_ptr_array_add(r->owned, p);
	return p;
}

void seccomp_doc_free(struct seccomp_doc *d)
{
	if (!d)
		return;
	g_ptr_array_unref(d->owned);
	g_free(d);
}

void seccomp_doc_freep(struct seccomp_doc **d)
{
	seccomp_doc_free(*d);
}

static int bad(struct reader *r, const char *what, const char *value)
{
	return err_set(r->e, -E_INVALID, "seccomp profile: bad %s '%s'", what, value ? value : "");
}

static int parse_action(struct reader *r, const char *s, json_int_t errno_ret, uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t action;
	} known[] = {
		{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
		{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO },
		{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE },
		{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
		{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
	};

	if (!s)
		return bad(r, "action", s);
	if (strcmp(s, "SCMP_ACT_NOTIFY") == 0) {
		r->doc->notifies = true;
		*ret = SECCOMP_RET_USER_NOTIF;
		return 0;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
		if (strcmp(known[i].name, s) != 0)
			continue;
		*ret = known[i].action;
		if (*ret == SECCOMP_RET_ERRNO || *ret == SECCOMP_RET_TRACE) {
			if (errno_ret < 0)
				errno_ret = EPERM;
			if (errno_ret > (*ret == SECCOMP_RET_ERRNO ? 4095 : 65535))
				return bad(r, "errnoRet of action", s);
			*ret |= (uint32_t)errno_ret & SECCOMP_RET_DATA;
		}
		return 0;
	}
	return bad(r, "action", s);
}

/* -1: not given */
static json_int_t errno_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

/* 64 bit without a sign. jansson refuses what is above INT64_MAX as it reads the text. */
static int parse_u64(struct reader *r, const json_t *o, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);

	*ret = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v))
		return bad(r, "number", key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int parse_args(struct reader *r, const json_t *list, struct seccomp_row *row)
{
	static const char *const ops[_SECCOMP_CMP_MAX] = {
		[SECCOMP_EQ] = "SCMP_CMP_EQ",
		[SECCOMP_NE] = "SCMP_CMP_NE",
		[SECCOMP_LT] = "SCMP_CMP_LT",
		[SECCOMP_LE] = "SCMP_CMP_LE",
		[SECCOMP_GT] = "SCMP_CMP_GT",
		[SECCOMP_GE] = "SCMP_CMP_GE",
		[SECCOMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
	};
	size_t n = json_array_size(list);
	struct seccomp_arg *args;

	if (n == 0)
		return 0;
	if (n > SECCOMP_ARGS_MAX)
		return bad(r, "number of args", "");
	args = own(r, g_new0(struct seccomp_arg, n));
	for (size_t i = 0; i < n; i++) {
		const json_t *a = json_array_get(list, i), *index = json_object_get(a, "index");
		const char *op = json_string_value(json_object_get(a, "op"));
		int code;

		if (!json_is_integer(index) || json_integer_value(index) < 0 ||
			json_integer_value(index) >= SECCOMP_ARGS_MAX)
			return bad(r, "argument", "index");
		args[i].index = (unsigned)json_integer_value(index);
		args[i].cmp = _SECCOMP_CMP_MAX;
		for (unsigned k = 0; op && k < _SECCOMP_CMP_MAX; k++)
			if (strcmp(op, ops[k]) == 0)
				args[i].cmp = k;
		if (args[i].cmp == _SECCOMP_CMP_MAX)
			return bad(r, "op", op);
		code = parse_u64(r, a, "value", &args[i].value);
		if (code >= 0)
			code = parse_u64(r, a, "valueTwo", &args[i].value2);
		if (code < 0)
			return code;
	}
	row->args = args;
	row->n_args = (unsigned)n;
	return 0;
}

/* "includes" and "excludes": {"caps": [], "arches": [], "minKernel": "4.8"}; includes.caps asks for all of
 * them, excludes.caps for none. */
static int parse_filter(struct reader *r, const json_t *o, bool includes, struct seccomp_row *row)
{
	const char *kernel = json_string_value(json_object_get(o, "minKernel"));
	const char *end = kernel;
	unsigned arches = 0, major, minor;
	uint64_t caps = 0, one;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(o, "caps"), i, v) {
		if (!json_is_string(v) || caps_parse(json_string_value(v), &one, NULL) < 0)
			return bad(r, "capability", json_string_value(v));
		caps |= one;
	}
	json_array_foreach(json_object_get(o, "arches"), i, v)
		arches |= json_is_string(v) ? seccomp_arch(json_string_value(v)) : 0;
	/* only architectures that we don't know: never, but not "any" */
	if (includes && !arches && json_array_size(json_object_get(o, "arches")))
		row->below_kernel = 1;
	if (kernel && (small_take_two(&end, '.', &major, &minor) < 0 || major > 255 || minor > 255))
		return bad(r, "minKernel", kernel);
	if (includes) {
		row->caps = caps;
		row->arches = arches;
		row->min_kernel = kernel ? major << 8 | minor : 0;
	} else {
		row->not_caps = caps;
		row->not_arches = arches;
		if (kernel && !row->below_kernel)
			row->below_kernel = major << 8 | minor;
	}
	return 0;
}

static int parse_names(struct reader *r, const json_t *o, struct seccomp_row *row)
{
	const json_t *list = json_object_get(o, "names"), *one = json_object_get(o, "name"), *v;
	const char **names = own(r, g_new0(const char *, json_array_size(list) + 2));
	size_t i, n = 0;

	if (json_is_string(one))
		names[n++] = own(r, g_strdup(json_string_value(one)));
	json_array_foreach(list, i, v) {
		if (!json_is_string(v))
			return bad(r, "names", "");
		names[n++] = own(r, g_strdup(json_string_value(v)));
	}
	if (n == 0)
		return bad(r, "rule", "no names");
	row->names = names;
	return 0;
}

static int parse_row(struct reader *r, const json_t *o)
{
	struct seccomp_row row = { 0 };
	int code;

	if (!json_is_object(o))
		return bad(r, "rule", "not an object");
	code = parse_names(r, o, &row);
	if (code >= 0)
		code = parse_action(r, json_string_value(json_object_get(o, "action")),
			errno_of(o, "errnoRet"), &row.action);
	if (code >= 0)
		code = parse_args(r, json_object_get(o, "args"), &row);
	if (code >= 0)
		code = parse_filter(r, json_object_get(o, "includes"), true, &row);
	if (code >= 0)
		code = parse_filter(r, json_object_get(o, "excludes"), false, &row);
	if (code >= 0)
		g_array_append_val(r->rows, row);
	return code;
}

static unsigned parse_arches(const json_t *root)
{
	unsigned mask = 0;
	const json_t *v, *sub;
	size_t i, k;

	json_array_foreach(json_object_get(root, "architectures"), i, v)
		mask |= json_is_string(v) ? seccomp_arch(json_string_value(v)) : 0;
	json_array_foreach(json_object_get(root, "archMap"), i, v) {
		const json_t *a = json_object_get(v, "architecture");

		mask |= json_is_string(a) ? seccomp_arch(json_string_value(a)) : 0;
		json_array_foreach(json_object_get(v, "subArchitectures"), k, sub)
			mask |= json_is_string(sub) ? seccomp_arch(json_string_value(sub)) : 0;
	}
	return mask;
}

static int parse_flags(struct reader *r, const json_t *root)
{
	static const char *const known[][2] = {
		{ "SECCOMP_FILTER_FLAG_TSYNC", "tsync" },
		{ "SECCOMP_FILTER_FLAG_LOG", "log" },
		{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "spec-allow" },
		{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "wait-killable" },
	};
	g_autoptr(GString) words = g_string_new(NULL);
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(root, "flags"), i, v) {
		const char *s = json_string_value(v);
		bool found = false;

		for (size_t k = 0; s && k < G_N_ELEMENTS(known); k++)
			if (strcmp(s, known[k][0]) == 0 && !strstr(words->str, known[k][1])) {
				g_string_append_printf(
					words, "%s%s", words->len ? "," : "", known[k][1]);
				found = true;
			}
		if (!found)
			return bad(r, "flag", s);
	}
	if (r->doc->notifies)
		g_string_append_printf(words, "%snotify", words->len ? "," : "");
	g_strlcpy(r->doc->flags, words->str, sizeof(r->doc->flags));
	return 0;
}

static int parse_root(struct reader *r, const json_t *root)
{
	const json_t *list = json_object_get(root, "syscalls"), *v;
	size_t i;
	int code;

	if (!json_is_object(root))
		return bad(r, "document", "not an object");
	code = parse_action(r, json_string_value(json_object_get(root, "defaultAction")),
		errno_of(root, "defaultErrnoRet"), &r->doc->profile.default_action);
	if (code < 0)
		return code;
	if (json_array_size(list) > SECCOMP_RULES_MAX)
		return err_set(r->e, -E_LIMIT, "seccomp profile has more than %d rules",
			SECCOMP_RULES_MAX);
	json_array_foreach(list, i, v) {
		code = parse_row(r, v);
		if (code < 0)
			return code;
	}
	r->doc->profile.arches = parse_arches(root);
	r->doc->profile.n_rows = r->rows->len;
	r->doc->profile.rows = own(r, g_array_free(r->rows, FALSE));
	r->rows = NULL;
	return parse_flags(r, root);
}

int seccomp_from_json(const char *text, size_t len, struct seccomp_doc **ret, struct err *e)
{
	struct reader r = { .e = e };
	json_error_t je;
	json_t *root;
	int code;

	if (len > SECCOMP_JSON_MAX)
		return err_set(
			e, -E_LIMIT, "seccomp profile is larger than %d bytes", SECCOMP_JSON_MAX);

	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return err_set(
			e, -E_INVALID, "seccomp profile isn't JSON: line %d: %s", je.line, je.text);
	r.doc = g_new0(struct seccomp_doc, 1);
	r.owned = g_ptr_array_new_with_free_func(g_free);
	r.doc->owned = r.owned;
	r.rows = g_array_new(FALSE, TRUE, sizeof(struct seccomp_row));
	code = parse_root(&r, root);
	json_decref(root);
	if (r.rows)
		(void)g_array_free(r.rows, TRUE);
	if (code < 0) {
		seccomp_doc_free(r.doc);
		return code;
	}
	*ret = r.doc;
	return 0;
}
