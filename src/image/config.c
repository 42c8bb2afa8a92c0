/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "base/units.h"
#include "codec/json.h"
#include "image/image.h"
#include "image/ref.h"
#include "store/disk.h"

static void label_free(struct image_label *l)
{
	g_free(l->key);
	g_free(l->value);
	g_free(l);
}

void image_config_free(struct image_config *i)
{
	if (!i)
		return;
	g_strfreev(i->env);
	g_strfreev(i->cmd);
	g_strfreev(i->entrypoint);
	g_strfreev(i->shell);
	g_strfreev(i->onbuild);
	g_free(i->cwd);
	g_free(i->user);
	g_free(i->stop_signal);
	g_strfreev(i->ports);
	g_strfreev(i->volumes);
	if (i->labels)
		g_ptr_array_unref(i->labels);
	g_strfreev(i->health.test);
	g_free(i->arch);
	g_free(i->os);
	g_free(i->variant);
	g_free(i->author);
	g_strfreev(i->diff_ids);
	g_free(i->disk);
	g_free(i->disk_format);
	json_decref(i->raw);
	g_free(i);
}

void image_config_freep(struct image_config **i)
{
	image_config_free(*i);
}

static int bad(struct err *e, const char *field, const char *why)
{
	return err_set(e, -E_CORRUPT, "the image's configuration is wrong: '%s' %s", field, why);
}

/* NULL for what isn't there, and for "" (docker writes those that aren't given so). */
static int get_string(json_t *o, const char *field, char **ret, struct err *e)
{
	json_t *j = json_object_get(o, field);

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_string(j))
		return bad(e, field, "isn't a string");
	if (json_string_length(j) != strlen(json_string_value(j)))
		return bad(e, field, "holds a NUL");
	if (*json_string_value(j))
		*ret = g_strdup(json_string_value(j));
	return 0;
}

static int get_strings(json_t *o, const char *field, char ***ret, struct err *e)
{
	json_t *j = json_object_get(o, field), *x;
	g_auto(GStrv) list = NULL;
	size_t i;

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_array(j))
		return bad(e, field, "isn't a list");
	list = g_new0(char *, json_array_size(j) + 1);
	json_array_foreach(j, i, x) {
		if (!json_is_string(x) || json_string_length(x) != strlen(json_string_value(x)))
			return bad(e, field, "isn't a list of strings");
		list[i] = g_strdup(json_string_value(x));
	}
	*ret = g_steal_pointer(&list);
	return 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The keys of {"80/tcp": {}, ...}, sorted. */
static int get_keys(json_t *o, const char *field, char ***ret, struct err *e)
{
	json_t *j = json_object_get(o, field), *x;
	const char *key;
	size_t n = 0;

	if (j && !json_is_null(j) && !json_is_object(j))
		return bad(e, field, "isn't an object");
	*ret = g_new0(char *, json_object_size(j) + 1);
	json_object_foreach(j, key, x) {
		(*ret)[n++] = g_strdup(key);
	}
	qsort(*ret, n, sizeof(**ret), compare_strings);
	return 0;
}

static int get_labels(json_t *o, GPtrArray *ret, struct err *e)
{
	json_t *j = json_object_get(o, "Labels"), *x;
	const char *key;

	if (j && !json_is_null(j) && !json_is_object(j))
		return bad(e, "Labels", "isn't an object");
	json_object_foreach(j, key, x) {
		struct image_label *l;

		if (!json_is_string(x))
			return bad(e, "Labels", "has a value that isn't a string");
		l = g_new0(struct image_label, 1);
		l->key = g_strdup(key);
		l->value = g_strdup(json_string_value(x));
		g_ptr_array_add(ret, l);
	}
	return 0;
}

static int get_number(json_t *o, const char *field, int64_t max, int64_t *ret, struct err *e)
{
	json_t *j = json_object_get(o, field);

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_integer(j) || json_integer_value(j) < 0 || json_integer_value(j) > max)
		return bad(e, field, "isn't a number that makes sense");
	*ret = json_integer_value(j);
	return 0;
}

static int get_health(json_t *o, struct image_config *i, struct err *e)
{
	json_t *j = json_object_get(o, "Healthcheck");
	int64_t retries = 0;
	int r;

	if (!j || json_is_null(j))
		return 0;
	if (!json_is_object(j))
		return bad(e, "Healthcheck", "isn't an object");
	r = get_strings(j, "Test", &i->health.test, e);
	if (r >= 0)
		r = get_number(j, "Interval", INT64_MAX, &i->health.interval, e);
	if (r >= 0)
		r = get_number(j, "Timeout", INT64_MAX, &i->health.timeout, e);
	if (r >= 0)
		r = get_number(j, "StartPeriod", INT64_MAX, &i->health.start_period, e);
	if (r >= 0)
		r = get_number(j, "StartInterval", INT64_MAX, &i->health.start_interval, e);
	if (r >= 0)
		r = get_number(j, "Retries", INT32_MAX, &retries, e);
	i->health.retries = (int)retries;
	return r;
}

static int get_run_config(json_t *o, struct image_config *i, struct err *e)
{
	int r;

	r = get_strings(o, "Env", &i->env, e);
	if (r >= 0)
		r = get_strings(o, "Cmd", &i->cmd, e);
	if (r >= 0)
		r = get_strings(o, "Entrypoint", &i->entrypoint, e);
	if (r >= 0)
		r = get_strings(o, "Shell", &i->shell, e);
	if (r >= 0)
		r = get_strings(o, "OnBuild", &i->onbuild, e);
	if (r >= 0)
		r = get_string(o, "WorkingDir", &i->cwd, e);
	if (r >= 0)
		r = get_string(o, "User", &i->user, e);
	if (r >= 0)
		r = get_string(o, "StopSignal", &i->stop_signal, e);
	if (r >= 0)
		r = get_keys(o, "ExposedPorts", &i->ports, e);
	if (r >= 0)
		r = get_keys(o, "Volumes", &i->volumes, e);
	if (r >= 0)
		r = get_labels(o, i->labels, e);
	return r < 0 ? r : get_health(o, i, e);
}

static int get_rootfs(json_t *doc, struct image_config *i, struct err *e)
{
	json_t *rootfs = json_object_get(doc, "rootfs");
	int r;

	if (!json_is_object(rootfs))
		return bad(e, "rootfs", "isn't there");
	if (g_strcmp0(json_string_value(json_object_get(rootfs, "type")), "layers") != 0)
		return bad(e, "rootfs", "isn't of type 'layers'");
	r = get_strings(rootfs, "diff_ids", &i->diff_ids, e);
	if (r < 0)
		return r;
	if (!i->diff_ids)
		i->diff_ids = g_new0(char *, 1);
	if (g_strv_length(i->diff_ids) > IMAGE_LAYERS_MAX)
		return err_set(e, -E_LIMIT, "the image has more than %d layers", IMAGE_LAYERS_MAX);
	for (char **d = i->diff_ids; *d; d++)
		if (!ref_is_digest(*d) || !g_str_has_prefix(*d, "sha256:"))
			return bad(e, "diff_ids", "has something that isn't a sha256 digest");
	return 0;
}

static int get_disk(json_t *doc, struct image_config *i, struct err *e)
{
	json_t *disk = json_object_get(doc, "disk");
	int r;

	if (!disk || json_is_null(disk))
		return 0;
	if (!json_is_object(disk))
		return bad(e, "disk", "isn't an object");
	r = get_string(disk, "digest", &i->disk, e);
	if (r >= 0)
		r = get_string(disk, "format", &i->disk_format, e);
	if (r >= 0)
		r = get_number(disk, "size", INT64_MAX, &i->disk_size, e);
	if (r < 0)
		return r;
	if (!i->disk || !ref_is_digest(i->disk) || !g_str_has_prefix(i->disk, "sha256:"))
		return bad(e, "digest", "isn't a sha256 digest");
	if (!disk_is_format(i->disk_format))
		return bad(e, "format", "isn't a format's name");
	return i->diff_ids[0] ? bad(e, "disk", "is there beside layers") : 0;
}

static int read_doc(json_t *doc, struct image_config *i, struct err *e)
{
	g_autofree char *created = NULL;
	json_t *config;
	int r;

	if (!json_is_object(doc))
		return err_set(e, -E_CORRUPT, "the image's configuration isn't a JSON object");
	config = json_object_get(doc, "config");
	if (config && !json_is_null(config) && !json_is_object(config))
		return bad(e, "config", "isn't an object");
	r = get_string(doc, "architecture", &i->arch, e);
	if (r >= 0)
		r = get_string(doc, "os", &i->os, e);
	if (r >= 0)
		r = get_string(doc, "variant", &i->variant, e);
	if (r >= 0)
		r = get_string(doc, "author", &i->author, e);
	if (r >= 0)
		r = get_string(doc, "created", &created, e);
	if (r < 0)
		return r;
	if (!i->arch)
		i->arch = g_strdup(image_arch());
	if (!i->os)
		i->os = g_strdup("linux");
	if (created) {
		r = units_parse_moment(created, 0, &i->created);
		if (r == -ERANGE) /* year 1, which some programs write for "not given" */
			i->created = 0;
		else if (r < 0)
			return bad(e, "created", "isn't a time");
	}
	r = get_run_config(config, i, e);
	if (r >= 0)
		r = get_rootfs(doc, i, e);
	return r < 0 ? r : get_disk(doc, i, e);
}

int image_config_parse(const char *json, size_t size, struct image_config **ret, struct err *e)
{
	_cleanup_(image_config_freep) struct image_config *i = g_new0(struct image_config, 1);
	int r;

	i->labels = g_ptr_array_new_with_free_func((GDestroyNotify)label_free);
	r = json_read(json, size, &i->raw, e);
	if (r < 0) {
		(void)err_prefix(e, "the image's configuration");
		return r;
	}
	r = read_doc(i->raw, i, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(i);
	return 0;
}

bool image_has_label(const struct image_config *i, const char *label)
{
	const char *eq = strchr(label, '=');
	size_t n = eq ? (size_t)(eq - label) : strlen(label);

	for (unsigned k = 0; k < i->labels->len; k++) {
		const struct image_label *l = i->labels->pdata[k];

		if (strlen(l->key) == n && strncmp(l->key, label, n) == 0 &&
			(!eq || strcmp(l->value, eq + 1) == 0))
			return true;
	}
	return false;
}

const char *image_arch(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__i386__)
	return "386";
#elif defined(__arm__)
	return "arm";
#elif defined(__riscv)
	return "riscv64";
#elif defined(__powerpc64__)
	return "ppc64le";
#elif defined(__s390x__)
	return "s390x";
#else
#error "name this architecture as Go does"
#endif
}

static void set_string(json_t *o, const char *key, const char *value)
{
	if (value)
		(void)json_object_set_new(o, key, json_string(value));
}

char *image_config_text(const struct image_new *n)
{
	json_t *doc = json_object(), *ids = json_array(), *step = json_object();
	g_autofree char *time = units_show_time(n->created);
	char *dump, *text;

	set_string(doc, "created", time);
	set_string(doc, "author", n->author);
	set_string(doc, "architecture", n->arch ? n->arch : image_arch());
	set_string(doc, "os", n->os ? n->os : "linux");
	(void)json_object_set_new(
		doc, "config", n->config ? json_deep_copy(n->config) : json_object());
	for (unsigned i = 0; i < n->n_diff_ids; i++)
		(void)json_array_append_new(ids, json_string(n->diff_ids[i]));
	(void)json_object_set_new(
		doc, "rootfs", json_pack("{s:s, s:o}", "type", "layers", "diff_ids", ids));
	if (n->disk)
		(void)json_object_set_new(doc, "disk",
			json_pack("{s:s, s:s, s:I}", "digest", n->disk->digest, "format",
				n->disk->format, "size", (json_int_t)n->disk->size));
	set_string(step, "created", time);
	set_string(step, "author", n->author);
	set_string(step, "created_by", n->created_by);
	set_string(step, "comment", n->comment);
	(void)json_object_set_new(doc, "history", json_pack("[o]", step));
	dump = json_dumps(doc, JSON_COMPACT);
	text = g_strdup(dump);
	free(dump);
	json_decref(doc);
	return text;
}
