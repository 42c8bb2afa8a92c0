/* SPDX-License-Identifier: MIT */
#include "engine/vm/schema.h"

#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "store/store.h"
#include "wire/qmp.h"

#define DEPTH_MAX 16 /* of objects in each other: types may contain themselves */

struct vm_schema {
	json_t *entries;
	GHashTable *by_name; /* borrowed name -> borrowed entry */
};

void vm_schema_free(struct vm_schema *s)
{
	if (!s)
		return;
	g_hash_table_unref(s->by_name);
	json_decref(s->entries);
	g_free(s);
}

void vm_schema_freep(struct vm_schema **s)
{
	vm_schema_free(*s);
}

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

int vm_schema_new(json_t *entries, struct vm_schema **ret, struct err *e)
{
	struct vm_schema *s = g_new0(struct vm_schema, 1);
	json_t *v;
	size_t i;

	s->entries = entries;
	s->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	json_array_foreach(entries, i, v) {
		const char *name = text_of(v, "name");

		if (!name || !text_of(v, "meta-type"))
			break;
		g_hash_table_insert(s->by_name, (char *)(uintptr_t)name, v);
	}
	if (!json_is_array(entries) || i == 0 || i < json_array_size(entries)) {
		vm_schema_free(s);
		return err_set(e, -E_CORRUPT, "QEMU's description of its commands can't be read");
	}
	*ret = s;
	return 0;
}

/* --- checking ----------------------------------------------------------------------------------------------- */

struct check {
	const struct vm_schema *s;
	const char *command;
	GString *path; /* of the argument: "file.driver" */
	unsigned depth;
	struct err *e;
};

static int check_value(struct check *k, const char *type, const json_t *value);

static const json_t *entry_of(const struct check *k, const char *name)
{
	return name ? g_hash_table_lookup(k->s->by_name, name) : NULL;
}

static const json_t *member_of(const json_t *entry, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(entry, "members"), i, v) {
		const char *is = text_of(v, "name");

		if (is && strcmp(is, name) == 0)
			return v;
	}
	return NULL;
}

/* The type with the further members that the value of the tag brings, or NULL. */
static const json_t *variant_of(const struct check *k, const json_t *entry, const json_t *value)
{
	const char *tag = text_of(entry, "tag"), *chosen = tag ? text_of(value, tag) : NULL;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(entry, "variants"), i, v) {
		const char *is = text_of(v, "case");

		if (chosen && is && strcmp(is, chosen) == 0)
			return entry_of(k, text_of(v, "type"));
	}
	return NULL;
}

static int missing_in(struct check *k, const json_t *entry, const json_t *value)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(entry, "members"), i, v) {
		const char *name = text_of(v, "name");

		if (name && !json_object_get(v, "default") && !json_object_get(value, name))
			return err_set(k->e, -E_INVALID, "the arguments of '%s' lack '%s%s%s'",
				k->command, k->path->str, k->path->len ? "." : "", name);
	}
	return 0;
}

static int check_object(struct check *k, const json_t *entry, const json_t *value)
{
	const json_t *variant = variant_of(k, entry, value);
	gsize length = k->path->len;
	const char *name;
	json_t *v;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)value, name, v) {
		const json_t *m = member_of(entry, name);

		if (!m && variant)
			m = member_of(variant, name);
		g_string_append_printf(k->path, "%s%s", length ? "." : "", name);
		if (!m) {
			err_set(k->e, -E_UNSUPPORTED,
				"this QEMU's command '%s' has no argument '%s'", k->command,
				k->path->str);
			err_mend(k->e, "a newer QEMU may have it");
			return -E_UNSUPPORTED;
		}
		r = check_value(k, text_of(m, "type"), v);
		if (r < 0)
			return r;
		g_string_truncate(k->path, length);
	}
	r = missing_in(k, entry, value);
	return r >= 0 && variant ? missing_in(k, variant, value) : r;
}

static bool has_json_type(const char *type, const json_t *value)
{
	return strcmp(type, "value") == 0 ||
	       (strcmp(type, "string") == 0 && json_is_string(value)) ||
	       (strcmp(type, "int") == 0 && json_is_integer(value)) ||
	       (strcmp(type, "number") == 0 && json_is_number(value)) ||
	       (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
	       (strcmp(type, "null") == 0 && json_is_null(value));
}

static int check_enum(struct check *k, const json_t *entry, const json_t *value)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(entry, "values"), i, v)
		if (json_equal(v, value))
			return 0;
	if (!json_is_string(value))
		return err_set(k->e, -E_INVALID, "argument '%s' of '%s' is not a string",
			k->path->str, k->command);
	return err_set(k->e, -E_UNSUPPORTED, "this QEMU's command '%s' doesn't know '%s' as '%s'",
		k->command, json_string_value(value), k->path->str);
}

static int check_alternate(struct check *k, const json_t *entry, const json_t *value)
{
	struct err first = { 0 }, *kept = k->e;
	gsize length = k->path->len;
	const json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(entry, "members"), i, v) {
		struct err one = { 0 };

		k->e = &one;
		r = check_value(k, text_of(v, "type"), value);
		k->e = kept;
		g_string_truncate(k->path, length);
		if (r >= 0)
			return 0;
		/* an object that isn't right isn't meant as the other alternative, a string */
		if (!first.code ||
			(json_is_object(value) &&
				g_strcmp0(text_of(entry_of(k, text_of(v, "type")), "meta-type"),
					"object") == 0))
			first = one;
	}
	if (kept)
		*kept = first;
	return r;
}

static int check_value(struct check *k, const char *type, const json_t *value)
{
	const json_t *entry = entry_of(k, type), *v;
	const char *meta = entry ? text_of(entry, "meta-type") : NULL;
	size_t i;
	int r = 0;

	if (!meta || ++k->depth > DEPTH_MAX)
		return 0; /* what isn't described is QEMU's to judge */
	if (strcmp(meta, "builtin") == 0) {
		if (!has_json_type(text_of(entry, "json-type") ?: "value", value))
			r = err_set(k->e, -E_INVALID,
				"argument '%s' of '%s' is not of the type '%s'", k->path->str,
				k->command, text_of(entry, "json-type"));
	} else if (strcmp(meta, "enum") == 0) {
		r = check_enum(k, entry, value);
	} else if (strcmp(meta, "alternate") == 0) {
		r = check_alternate(k, entry, value);
	} else if (strcmp(meta, "object") == 0) {
		r = json_is_object(value)
			    ? check_object(k, entry, value)
			    : err_set(k->e, -E_INVALID, "argument '%s' of '%s' is not an object",
				      k->path->str, k->command);
	} else if (strcmp(meta, "array") == 0) {
		if (!json_is_array(value))
			r = err_set(k->e, -E_INVALID, "argument '%s' of '%s' is not a list",
				k->path->str, k->command);
		json_array_foreach(value, i, v)
			if (r >= 0)
				r = check_value(k, text_of(entry, "element-type"), v);
	}
	k->depth--;
	return r;
}

int vm_schema_check(
	const struct vm_schema *s, const char *command, const json_t *arguments, struct err *e)
{
	const json_t *entry = g_hash_table_lookup(s->by_name, command);
	const char *meta = entry ? text_of(entry, "meta-type") : NULL;
	struct check k = { .s = s, .command = command, .e = e };
	json_t *none = json_object();
	int r = 0;

	if (!meta || strcmp(meta, "command") != 0) {
		r = err_set(e, -E_UNSUPPORTED, "this QEMU has no command '%s'", command);
		err_mend(e, "a newer QEMU may have it");
	} else if (strcmp(command, "device_add") != 0) {
		k.path = g_string_new(NULL);
		r = check_value(&k, text_of(entry, "arg-type"), arguments ?: none);
		g_string_free(k.path, TRUE);
	}
	json_decref(none);
	return r;
}

/* --- asking --------------------------------------------------------------------------------------------------- */

static int read_reply(int fd, json_t **ret, struct err *e)
{
	struct qmp_reader reader = { 0 };
	struct qmp_line l;
	int code, returns = 0;

	*ret = NULL;
	while (!*ret) {
		size_t room;
		char *to;
		ssize_t n;

		if (qmp_room(&reader, &to, &room) < 0)
			break;
		do
			n = RET_NERRNO(read(fd, to, room));
		while (n == -EINTR);
		if (n <= 0)
			break;
		qmp_filled(&reader, (size_t)n);
		while ((code = qmp_next(&reader, &l)) == 1)
			if (l.kind == QMP_RETURN && ++returns == 2) {
				json_t *j = json_loadb(l.text, l.size, 0, NULL);

				*ret = json_incref(json_object_get(j, "return"));
				json_decref(j);
				break;
			}
		if (code < 0)
			break;
	}
	qmp_reader_done(&reader);
	return *ret ? 0 : err_set(e, -EPROTO, "QEMU doesn't describe its commands");
}

static int ask(const char *program, json_t **ret, struct err *e)
{
	static const char words[] = "{\"execute\":\"qmp_capabilities\"}\n"
				    "{\"execute\":\"query-qmp-schema\"}\n{\"execute\":\"quit\"}\n";
	const char *const argv[] = { program, "-machine", "none", "-nodefaults", "-no-user-config",
		"-display", "none", "-qmp", "stdio", NULL };
	_cleanup_close_ int in = -1, out = -1;
	g_autoptr(GError) ge = NULL;
	GPid pid;
	int r;

	if (!g_spawn_async_with_pipes("/", (char **)(uintptr_t)argv, NULL,
		    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &pid, &in,
		    &out, NULL, &ge))
		return err_set(e, -ENOENT, "cannot run '%s': %s", program, ge->message);
	if (write(in, words, sizeof(words) - 1) != (ssize_t)sizeof(words) - 1)
		r = err_set(e, -EPIPE, "cannot ask QEMU for its commands");
	else
		r = read_reply(out, ret, e);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	g_spawn_close_pid(pid);
	return r;
}

/* What isn't there, isn't whole, or is too large is asked for again. */
static json_t *kept_reply(const char *file)
{
	g_autofree char *text = NULL;
	gsize n;

	if (!g_file_get_contents(file, &text, &n, NULL) || n > VM_SCHEMA_MAX)
		return NULL;
	return json_loadb(text, n, 0, NULL);
}

int vm_schema_get(struct ctx *c, const char *program, struct vm_schema **ret, struct err *e)
{
	g_autofree char *file = NULL;
	json_t *entries;
	struct stat st;
	int r;

	if (stat(program, &st) < 0)
		return err_set(
			e, -E_UNSUPPORTED, "there is no QEMU here: '%s' is missing", program);
	file = store_path(c, "cache/qmp-%" PRIx64 "-%" PRIx64 "-%lx", (uint64_t)st.st_size,
		(uint64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	entries = kept_reply(file);
	if (entries && vm_schema_new(entries, ret, NULL) >= 0)
		return 0;
	r = ask(program, &entries, e);
	if (r < 0)
		return r;
	if (c->is_root && !c->explain) {
		char *text = json_dumps(entries, JSON_COMPACT);

		(void)g_file_set_contents(file, text, -1, NULL); /* next time will try again */
		free(text);
	}
	return vm_schema_new(entries, ret, e);
}
