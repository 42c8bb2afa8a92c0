/* SPDX-License-Identifier: MIT */
/* inspect: skopeo-inspect(1). */
#include <string.h>
#include "base/tmpl.h"
#include "codec/json.h"
#include "dialect/skopeo/skopeo.h"
#include "image/image.h"
#include "image/ref.h"
#include "store/blob.h"

struct inspect_args {
	struct where_args where;
	char *format;
	bool config, no_tags, raw;
	int64_t retry_times;
};

/* clang-format off */
static const struct opt inspect_opts[] = {
	OPT_FLAG(0, "config", struct inspect_args, config, "the configuration"),
	OPT_STRING(0, "daemon-host", struct inspect_args, where.daemon_host, "HOST", complete_none, "address of the docker daemon"),
	OPT_STRING('f', "format", struct inspect_args, format, "TEMPLATE", complete_none, "a Go template"),
	OPT_FLAG('n', "no-tags", struct inspect_args, no_tags, "do not list the repository's tags"),
	OPT_FLAG(0, "raw", struct inspect_args, raw, "the manifest, or the configuration, as it is"),
	OPT_INT(0, "retry-times", struct inspect_args, retry_times, "N", "how often to try again"),
	OPT_STRING(0, "shared-blob-dir", struct inspect_args, where.shared_blob_dir, "FOLDER", complete_file, "folder of shared blobs (oci only)"),
	WHERE_OPTS("", struct inspect_args, where),
	OPT_END
};
/* clang-format on */

/* --- Go's forms ------------------------------------------------------------------------------------------- */

/* A time as Go's JSON has it: without zeros at the end of the fraction. NULL for none. */
static json_t *go_time(const json_t *j, bool spoken)
{
	const char *s = json_string_value(j), *dot, *p;
	g_autoptr(GString) out = g_string_new(NULL);
	size_t whole = strlen("2006-01-02T15:04:05"), n;

	if (!s)
		return json_null();
	if (strlen(s) < whole + 1)
		return json_string(s);
	g_string_append_len(out, s, (gssize)whole);
	dot = s + whole;
	p = dot;
	if (*p == '.') {
		n = 1 + strspn(p + 1, "0123456789");
		p += n;
		while (n > 0 && (dot[n - 1] == '0' || dot[n - 1] == '.'))
			n--;
		g_string_append_len(out, dot, (gssize)n);
	}
	if (!spoken) {
		g_string_append(out, p);
		return json_string(out->str);
	}
	out->str[strlen("2006-01-02")] = ' ';
	if (strcmp(p, "Z") == 0)
		g_string_append(out, " +0000 UTC");
	else if (strlen(p) == strlen("+00:00"))
		g_string_append_printf(out, " %.3s%s %.3s%s", p, p + 4, p, p + 4);
	return json_string(out->str);
}

static json_t *sorted(const json_t *o)
{
	char *text;
	json_t *copy;

	if (!json_is_object(o))
		return json_null();
	text = json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);
	copy = json_loads(text, JSON_DECODE_ANY, NULL);
	free(text);
	return copy;
}

/* Go's encoder keeps these out of HTML; they stand inside of strings only. */
static void print_json(const json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(4) | JSON_ENCODE_ANY);

	for (const char *p = text; *p; p++)
		if (*p == '<' || *p == '>' || *p == '&')
			printf("\\u%04x", (unsigned)*p);
		else
			(void)putchar(*p);
	(void)putchar('\n');
	free(text);
}

static int print_template(const char *format, const json_t *data, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	g_autoptr(GString) out = g_string_new(NULL);
	int r = tmpl_parse(format, &t, e);

	if (r >= 0)
		r = tmpl_run(t, data, 0, out, e);
	if (r < 0)
		return r;
	printf("%s%s", out->str, g_str_has_suffix(out->str, "\n") ? "" : "\n");
	return 0;
}

/* --- the configuration ------------------------------------------------------------------------------------ */

enum kind {
	TEXT,
	TIME,
	LIST,
	MAP, /* sorted by its keys */
	SET, /* the same, of empty structs */
	TRUTH,
	OBJECT,	 /* of `of`, always there */
	OBJECTS, /* a list of them */
};

/* A struct of image-spec's Go package: names in JSON and in Go, in its order. */
struct member {
	const char *json, *go;
	enum kind kind;
	bool always; /* written when it is empty, too */
	const struct member *of;
};

static const struct member config_members[] = {
	{ "User", "User", TEXT },
	{ "ExposedPorts", "ExposedPorts", SET },
	{ "Env", "Env", LIST },
	{ "Entrypoint", "Entrypoint", LIST },
	{ "Cmd", "Cmd", LIST },
	{ "Volumes", "Volumes", SET },
	{ "WorkingDir", "WorkingDir", TEXT },
	{ "Labels", "Labels", MAP },
	{ "StopSignal", "StopSignal", TEXT },
	{ NULL },
};
static const struct member rootfs_members[] = {
	{ "type", "Type", TEXT, true },
	{ "diff_ids", "DiffIDs", LIST, true },
	{ NULL },
};
static const struct member history_members[] = {
	{ "created", "Created", TIME },
	{ "created_by", "CreatedBy", TEXT },
	{ "author", "Author", TEXT },
	{ "comment", "Comment", TEXT },
	{ "empty_layer", "EmptyLayer", TRUTH },
	{ NULL },
};
static const struct member image_members[] = {
	{ "created", "Created", TIME },
	{ "author", "Author", TEXT },
	{ "architecture", "Architecture", TEXT, true },
	{ "variant", "Variant", TEXT },
	{ "os", "OS", TEXT, true },
	{ "os.version", "OSVersion", TEXT },
	{ "os.features", "OSFeatures", LIST },
	{ "config", "Config", OBJECT, true, config_members },
	{ "rootfs", "RootFS", OBJECT, true, rootfs_members },
	{ "history", "History", OBJECTS, false, history_members },
	{ NULL },
};

static json_t *pick(const json_t *o, const struct member *members, bool go);

/* Go prints an empty struct as "{}", and an empty map otherwise. */
static json_t *set_of(const json_t *v)
{
	json_t *o = sorted(v), *x;
	const char *key;

	json_object_foreach(o, key, x)
		(void)json_object_set_new(o, key, json_string("{}"));
	return o;
}

static json_t *pick_one(const json_t *v, const struct member *m, bool go)
{
	json_t *list, *x;
	size_t i;

	switch (m->kind) {
	case TEXT:
		return json_string_length(v) > 0 ? json_string(json_string_value(v))
		       : m->always || go	 ? json_string("")
						 : NULL;
	case TIME:
		return json_is_string(v) ? go_time(v, go) : go ? json_null() : NULL;
	case LIST:
		return json_array_size(v) > 0 || (m->always && json_is_array(v)) ? json_deep_copy(v)
		       : m->always || go					 ? json_array()
										 : NULL;
	case SET:
	case MAP:
		if (json_object_size(v) == 0)
			return go ? json_object() : NULL;
		return m->kind == SET && go ? set_of(v) : sorted(v);
	case TRUTH:
		return json_is_true(v) ? json_true() : go ? json_false() : NULL;
	case OBJECT:
		return pick(v, m->of, go);
	case OBJECTS:
		break;
	}
	if (json_array_size(v) == 0 && !go)
		return NULL;
	list = json_array();
	json_array_foreach(v, i, x)
		(void)json_array_append_new(list, pick(x, m->of, go));
	return list;
}

/* go: with the names of Go's struct, for templates. */
static json_t *pick(const json_t *o, const struct member *members, bool go)
{
	json_t *out = json_object();

	for (const struct member *m = members; m->json; m++) {
		json_t *v = pick_one(json_object_get(o, m->json), m, go);

		if (v)
			(void)json_object_set_new(out, go ? m->go : m->json, v);
	}
	return out;
}

/* --- the summary ------------------------------------------------------------------------------------------ */

/* The repository's name, where the transport has one. Caller frees; NULL: none. */
static char *repository(const char *name)
{
	static const char *const with[] = { "docker://", "docker-daemon:", "containers-storage:" };
	const char *text = NULL, *colon;
	struct ref ref;
	char *whole;

	for (unsigned i = 0; i < G_N_ELEMENTS(with); i++)
		if (g_str_has_prefix(name, with[i]))
			text = name + strlen(with[i]);
	if (g_str_has_prefix(name, "docker-archive:")) {
		colon = strchr(name + strlen("docker-archive:"), ':');
		text = colon && colon[1] != '@' ? colon + 1 : NULL;
	}
	if (!text || !*text || *text == '@' || g_str_has_prefix(text, "sha256:") ||
		ref_parse(text, 0, &ref, NULL) < 0)
		return NULL;
	whole = g_strdup_printf("%s/%s", ref.domain, ref.path);
	ref_clear(&ref);
	return whole;
}

struct look {
	struct transport_in *in;
	struct skopeo *s;
	const struct inspect_args *a;
	const char *name;
	char *raw, *type;
	size_t raw_size;
	struct manifest *m; /* of the one image */
	char *config;
	json_t *doc; /* the configuration */
};

static void look_done(struct look *l)
{
	transport_in_free(l->in);
	g_free(l->raw);
	g_free(l->type);
	manifest_free(l->m);
	g_free(l->config);
	json_decref(l->doc);
}

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	GString *s = arg;

	if (s->len + size > BLOB_MAX)
		return err_set(e, -E_LIMIT, "the configuration is larger than %d bytes", BLOB_MAX);
	g_string_append_len(s, data, (gssize)size);
	return 0;
}

static int read_config(struct look *l, struct err *e)
{
	GString *s = g_string_new(NULL);
	g_autofree char *is = NULL;
	size_t size;
	int r;

	r = l->in->ops->blob(l->in, l->m->config->digest, 0, take, s, NULL, e);
	size = s->len;
	l->config = g_string_free(s, FALSE);
	if (r < 0)
		return r;
	is = blob_digest(l->config, size);
	if (strcmp(is, l->m->config->digest) != 0)
		return err_set(e, -E_CORRUPT, "the configuration that should be '%s' is '%s'",
			l->m->config->digest, is);
	return json_read(l->config, size, &l->doc, e);
}

/* The manifest of the one image, and its configuration. */
static int narrow(struct look *l, struct err *e)
{
	const struct descriptor *d;
	int r = manifest_parse(l->raw, l->raw_size, l->type, &l->m, e);

	for (int depth = 0; r >= 0 && l->m->index && depth < 4; depth++) {
		g_autofree char *text = NULL, *type = NULL, *is = NULL;
		struct manifest *member;
		size_t size;

		r = manifest_choose(l->m, l->s->override_os, l->s->override_arch,
			l->s->override_variant, &d, e);
		if (r >= 0)
			r = l->in->ops->document(l->in, d->digest, &text, &size, &type, e);
		if (r < 0)
			return r;
		is = blob_digest(text, size);
		if (strcmp(is, d->digest) != 0)
			return err_set(e, -E_CORRUPT, "the manifest that should be '%s' is '%s'",
				d->digest, is);
		r = manifest_parse(text, size, type, &member, e);
		if (r >= 0) {
			manifest_free(l->m);
			l->m = member;
		}
	}
	if (r >= 0 && l->m->index)
		r = err_set(e, -E_LIMIT, "indexes are nested more than 4 deep");
	return r < 0 ? r : read_config(l, e);
}

static json_t *text_or_empty(const json_t *o, const char *key)
{
	return json_string(json_string_value(json_object_get(o, key)) ?: "");
}

static int list_tags(struct look *l, json_t *tags, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	int r;

	if (l->a->no_tags || !l->in->ops->tags || !g_str_has_prefix(l->name, "docker://"))
		return 0;
	r = l->in->ops->tags(l->in, &list, e);
	for (unsigned i = 0; r >= 0 && i < list->len; i++)
		(void)json_array_append_new(tags, json_string(list->pdata[i]));
	return r < 0 ? err_prefix(e, "Error determining repository tags") : 0;
}

static int summary(struct look *l, bool spoken, json_t **ret, struct err *e)
{
	g_autofree char *digest = blob_digest(l->raw, l->raw_size), *name = repository(l->name);
	json_t *o = json_object(), *layers = json_array(), *tags = json_array();
	const json_t *config = json_object_get(l->doc, "config"), *env;
	int r = list_tags(l, tags, e);

	for (unsigned i = 0; i < l->m->parts->len; i++) {
		const struct descriptor *d = l->m->parts->pdata[i];

		(void)json_array_append_new(layers, json_string(d->digest));
	}
	if (name || spoken)
		(void)json_object_set_new(o, "Name", json_string(name ?: ""));
	(void)json_object_set_new(o, "Digest", json_string(digest));
	(void)json_object_set_new(o, "RepoTags", tags);
	(void)json_object_set_new(
		o, "Created", go_time(json_object_get(l->doc, "created"), spoken));
	(void)json_object_set_new(o, "DockerVersion", text_or_empty(l->doc, "docker_version"));
	(void)json_object_set_new(o, "Labels", sorted(json_object_get(config, "Labels")));
	(void)json_object_set_new(o, "Architecture", text_or_empty(l->doc, "architecture"));
	(void)json_object_set_new(o, "Os", text_or_empty(l->doc, "os"));
	(void)json_object_set_new(o, "Layers", layers);
	env = json_object_get(config, "Env");
	(void)json_object_set_new(o, "Env", json_is_array(env) ? json_deep_copy(env) : json_null());
	*ret = o;
	return r;
}

/* --- the command ------------------------------------------------------------------------------------------ */

static int show(struct look *l, struct err *e)
{
	const char *format = l->a->format && *l->a->format && strcmp(l->a->format, "json") != 0
				     ? l->a->format
				     : NULL;
	json_t *o = NULL;
	int r = 0;

	if (l->a->raw && !l->a->config) {
		(void)fwrite(l->raw, 1, l->raw_size, stdout);
		return 0;
	}
	r = narrow(l, e);
	if (r < 0)
		return r;
	if (l->a->raw) {
		(void)fwrite(l->config, 1, (size_t)l->m->config->size, stdout);
		return 0;
	}
	if (l->a->config)
		o = pick(l->doc, image_members, format != NULL);
	else
		r = summary(l, format != NULL, &o, e);
	if (r >= 0 && format)
		r = print_template(format, o, e);
	else if (r >= 0)
		print_json(o);
	json_decref(o);
	return r;
}

static int inspect_run(struct cmd_call *call, struct err *e)
{
	struct inspect_args *a = call->args;
	struct look l = { .s = skopeo_of(call), .a = a };
	const struct transport *t;
	struct transport_options o;
	const char *rest;
	int r;

	r = need_operands(call, 1, "Exactly one argument expected", e);
	if (r < 0)
		return r;
	l.name = call->operands[0];
	if (a->raw && a->format)
		return err_set(e, -E_INVALID, "raw output does not support format option");
	r = where_fill(l.s, &a->where, NULL, a->retry_times, &o, e);
	if (r >= 0)
		r = transport_find(l.name, &t, &rest, e);
	if (r >= 0)
		r = t->open_in(call->c, rest, &o, &l.in, e);
	/* a folder is looked at later, there */
	if (r == -E_NOTFOUND && g_str_has_prefix(l.name, "dir:"))
		(void)err_prefix(e, "Error retrieving manifest for image");
	else if (r < 0)
		(void)err_prefix(e, "Error parsing image name \"%s\"", l.name);
	if (r >= 0) {
		r = l.in->ops->original
			    ? l.in->ops->original(l.in, &l.raw, &l.raw_size, &l.type, e)
			    : l.in->ops->document(l.in, NULL, &l.raw, &l.raw_size, &l.type, e);
		if (r < 0)
			(void)err_prefix(e, "Error retrieving manifest for image");
	}
	if (r >= 0)
		r = show(&l, e);
	look_done(&l);
	where_clear(&a->where);
	return r;
}

const struct cmd skopeo_inspect = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "what an image is, without getting it",
	.synopsis = "[OPTIONS] IMAGE",
	.examples = "skopeo inspect docker://debian:12   # digest, tags, layers\n"
		    "skopeo inspect --config oci:layout:12   # its configuration\n",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
};
