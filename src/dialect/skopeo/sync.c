/* SPDX-License-Identifier: MIT */
/* sync: skopeo-sync(1). */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/press.h"
#include "codec/yaml.h"
#include "dialect/skopeo/skopeo.h"
#include "image/ref.h"

#define DEPTH_MAX 32 /* of folders that are searched */

struct sync_args {
	struct where_args src, dest;
	char *authfile, *source, *destination, *format, *sign_by, *sign_sigstore, *sign_passphrase;
	bool all, dry_run, keep_going, preserve_digests, remove_signatures, scoped;
	int64_t retry_times;
};

/* clang-format off */
static const struct opt sync_opts[] = {
	OPT_FLAG('a', "all", struct sync_args, all, "all images of lists"),
	OPT_STRING(0, "authfile", struct sync_args, authfile, "FILE", complete_file, "file of credentials"),
	OPT_STRING('d', "dest", struct sync_args, destination, "TRANSPORT", complete_none, "where to: docker or dir"),
	WHERE_OPTS("dest-", struct sync_args, dest),
	OPT_FLAG(0, "dry-run", struct sync_args, dry_run, "say what would be copied"),
	OPT_STRING('f', "format", struct sync_args, format, "TYPE", complete_none, "type of the manifests: oci, v2s2"),
	OPT_FLAG(0, "keep-going", struct sync_args, keep_going, "go on after a failure"),
	OPT_FLAG(0, "preserve-digests", struct sync_args, preserve_digests, "fail rather than change a digest"),
	OPT_FLAG(0, "remove-signatures", struct sync_args, remove_signatures, "do not copy signatures"),
	OPT_INT(0, "retry-times", struct sync_args, retry_times, "N", "how often to try again"),
	OPT_FLAG(0, "scoped", struct sync_args, scoped, "keep the source's whole path"),
	OPT_STRING(0, "sign-by", struct sync_args, sign_by, "FINGERPRINT", complete_none, "sign with this GPG key"),
	OPT_STRING(0, "sign-by-sigstore-private-key", struct sync_args, sign_sigstore, "FILE", complete_file, "(not supported)"),
	OPT_STRING(0, "sign-passphrase-file", struct sync_args, sign_passphrase, "FILE", complete_file, "its first line is the key's passphrase"),
	OPT_STRING('s', "src", struct sync_args, source, "TRANSPORT", complete_none, "where from: docker, dir or yaml"),
	WHERE_OPTS("src-", struct sync_args, src),
	OPT_END
};
/* clang-format on */

/* A registry, or a folder: what is copied from it, and how it is reached. */
struct repository {
	GPtrArray *images; /* names with their transport, char * */
	char *base;	   /* dir: where the search began */
	struct transport_options o;
	char *creds, *cert_dir; /* of the YAML file */
};

static void repository_free(void *p)
{
	struct repository *r = p;

	g_ptr_array_unref(r->images);
	g_free(r->base);
	g_free(r->creds);
	g_free(r->cert_dir);
	g_free(r);
}

static struct repository *repository_add(GPtrArray *list, const struct transport_options *o)
{
	struct repository *r = g_new0(struct repository, 1);

	r->images = g_ptr_array_new_with_free_func(g_free);
	r->o = *o;
	g_ptr_array_add(list, r);
	return r;
}

/* --- from a registry -------------------------------------------------------------------------------------- */

/* All tags of a repository, or those that a pattern fits. */
static int add_tags(struct skopeo *s, struct repository *r, const char *name, const GRegex *pattern,
	struct err *e)
{
	_cleanup_(transport_in_freep) struct transport_in *in = NULL;
	g_autofree char *whole = g_strdup_printf("docker://%s", name);
	g_autoptr(GPtrArray) tags = NULL;
	const struct transport *t;
	const char *rest;
	int code = transport_find(whole, &t, &rest, e);

	if (code >= 0)
		code = t->open_in(&s->ctx, rest, &r->o, &in, e);
	if (code >= 0)
		code = in->ops->tags(in, &tags, e);
	if (code < 0)
		return err_prefix(e, "Error determining repository tags for repo %s", name);
	for (unsigned i = 0; i < tags->len; i++)
		if (!pattern || g_regex_match(pattern, tags->pdata[i], 0, NULL))
			g_ptr_array_add(r->images,
				g_strdup_printf("docker://%s:%s", name, (char *)tags->pdata[i]));
	return 0;
}

static int from_docker(struct skopeo *s, const char *name, GPtrArray *list,
	const struct transport_options *o, struct err *e)
{
	struct repository *r = repository_add(list, o);
	g_autofree char *full = NULL;
	struct ref ref;
	int code = ref_parse(name, REF_NO_DEFAULT, &ref, e);

	if (code < 0)
		return err_prefix(e, "Cannot obtain a valid image reference for docker://%s", name);
	full = g_strdup_printf("%s/%s", ref.domain, ref.path);
	if (ref.digest)
		g_ptr_array_add(r->images, g_strdup_printf("docker://%s@%s", full, ref.digest));
	else if (ref.tag)
		g_ptr_array_add(r->images, g_strdup_printf("docker://%s:%s", full, ref.tag));
	else
		code = add_tags(s, r, full, NULL, e);
	ref_clear(&ref);
	return code;
}

/* --- from folders ----------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int search(const char *path, int depth, GPtrArray *images, struct err *e)
{
	g_autofree char *manifest = g_build_filename(path, "manifest.json", NULL);
	struct dirent *f;
	DIR *d;
	int r = 0;

	if (access(manifest, F_OK) == 0)
		g_ptr_array_add(images, g_strdup_printf("dir:%s", path));
	d = opendir(path);
	if (!d || depth > DEPTH_MAX)
		r = err_set(e, -E_INVALID, "cannot read the folder '%s'", path);
	while (r >= 0 && (f = readdir(d))) {
		g_autofree char *sub = g_build_filename(path, f->d_name, NULL);
		struct stat st;

		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0 &&
			lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
			r = search(sub, depth + 1, images, e);
	}
	if (d)
		(void)closedir(d);
	return r;
}

static int from_dir(
	const char *path, GPtrArray *list, const struct transport_options *o, struct err *e)
{
	struct repository *r = repository_add(list, o);
	int code;

	if (access(path, F_OK) < 0)
		return err_set(e, -E_NOTFOUND, "Invalid source directory specified: %s", path);
	r->base = g_strdup(path);
	code = search(path, 0, r->images, e);
	if (code < 0)
		return code;
	if (r->images->len == 0)
		return err_set(e, -E_NOTFOUND, "No images to sync found in \"%s\"", path);
	qsort(r->images->pdata, r->images->len, sizeof(void *), compare);
	return 0;
}

/* --- from a YAML file ------------------------------------------------------------------------------------- */

static int bad(struct err *e, const struct yaml *y, const char *what)
{
	return err_set(e, -E_INVALID, "line %u of the file: %s", y->line, what);
}

static int add_listed(struct skopeo *s, struct repository *r, const char *host,
	const struct yaml *images, struct err *e)
{
	int code = 0;

	for (unsigned i = 0; code >= 0 && i + 1 < images->n; i += 2) {
		const struct yaml *name = images->item[i], *tags = images->item[i + 1];
		g_autofree char *full = g_strdup_printf("%s/%s", host, name->text);

		if (tags->kind != YAML_LIST && tags->kind != YAML_NULL)
			return bad(e, tags, "the tags of an image aren't a list");
		if (tags->kind == YAML_NULL || tags->n == 0)
			code = add_tags(s, r, full, NULL, e);
		for (unsigned k = 0; code >= 0 && tags->kind == YAML_LIST && k < tags->n; k++) {
			const char *tag = tags->item[k]->text;

			if (!tag || !(ref_is_tag(tag) || ref_is_digest(tag)))
				return bad(e, tags->item[k], "it isn't a tag or a digest");
			g_ptr_array_add(r->images, g_strdup_printf("docker://%s%s%s", full,
							   ref_is_digest(tag) ? "@" : ":", tag));
		}
	}
	return code;
}

static int add_matching(struct skopeo *s, struct repository *r, const char *host,
	const struct yaml *images, struct err *e)
{
	int code = 0;

	for (unsigned i = 0; code >= 0 && i + 1 < images->n; i += 2) {
		const struct yaml *name = images->item[i], *regex = images->item[i + 1];
		g_autofree char *full = g_strdup_printf("%s/%s", host, name->text);
		g_autoptr(GRegex) pattern = NULL;

		pattern = regex->text ? g_regex_new(regex->text, 0, 0, NULL) : NULL;
		if (!pattern)
			return bad(e, regex, "it isn't a regular expression");
		code = add_tags(s, r, full, pattern, e);
	}
	return code;
}

static int fill_registry(struct repository *r, const struct yaml *y, struct err *e)
{
	const struct yaml *credentials = yaml_get(y, "credentials");
	const struct yaml *user = credentials ? yaml_get(credentials, "username") : NULL;
	const struct yaml *password = credentials ? yaml_get(credentials, "password") : NULL;
	const struct yaml *verify = yaml_get(y, "tls-verify"), *certs = yaml_get(y, "cert-dir");

	if (user && user->text && *user->text) {
		r->creds = g_strdup_printf(
			"%s:%s", user->text, password && password->text ? password->text : "");
		r->o.creds = r->creds;
	}
	if (verify && verify->kind != YAML_BOOL)
		return bad(e, verify, "'tls-verify' isn't true or false");
	if (verify)
		r->o.tls_verify = verify->truth;
	if (certs && certs->text && *certs->text) {
		r->cert_dir = g_strdup(certs->text);
		r->o.cert_dir = r->cert_dir;
	}
	return 0;
}

static int add_registry(struct skopeo *s, const char *host, const struct yaml *y, GPtrArray *list,
	const struct transport_options *o, struct err *e)
{
	static const char *const known[] = { "images", "images-by-tag-regex", "credentials",
		"tls-verify", "cert-dir", NULL };
	const struct yaml *images = yaml_get(y, "images");
	const struct yaml *regex = yaml_get(y, "images-by-tag-regex");
	struct repository *r;
	int code;

	if (y->kind != YAML_MAP)
		return bad(e, y, "a registry isn't a map");
	for (unsigned i = 0; i + 1 < y->n; i += 2)
		if (!g_strv_contains(known, y->item[i]->text ?: ""))
			return bad(e, y->item[i], "a member that isn't known");
	if ((images && images->kind != YAML_MAP) || (regex && regex->kind != YAML_MAP))
		return bad(e, y, "images aren't a map");
	r = repository_add(list, o);
	code = fill_registry(r, y, e);
	if (code >= 0 && images)
		code = add_listed(s, r, host, images, e);
	if (code >= 0 && regex)
		code = add_matching(s, r, host, regex, e);
	return code;
}

static int from_yaml(struct skopeo *s, const char *path, GPtrArray *list,
	const struct transport_options *o, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	const struct yaml *y;
	size_t size;
	int r = 0;

	if (!g_file_get_contents(path, &text, &size, &error))
		return err_set(e, -E_NOTFOUND, "cannot read '%s': %s", path, error->message);
	r = yaml_read(text, size, 0, &doc, e);
	if (r < 0)
		return err_prefix(e, "Failed to unmarshal \"%s\"", path);
	y = yaml_root(doc);
	if (y->kind != YAML_MAP)
		return err_set(e, -E_INVALID, "'%s' has no map of registries", path);
	for (unsigned i = 0; r >= 0 && i + 1 < y->n; i += 2)
		r = add_registry(s, y->item[i]->text ?: "", y->item[i + 1], list, o, e);
	return r < 0 ? err_prefix(e, "'%s'", path) : 0;
}

/* --- copying ---------------------------------------------------------------------------------------------- */

/* What stands behind the destination for an image. Caller frees. */
static char *suffix_of(const struct repository *r, const char *image, bool scoped)
{
	const char *name;
	g_autofree char *suffix = NULL;

	if (g_str_has_prefix(image, "docker://")) {
		suffix = g_strdup(image + strlen("docker://"));
	} else {
		name = image + strlen("dir:");
		suffix = g_strdup(g_str_has_prefix(name, r->base) ? name + strlen(r->base) : name);
		if (!*suffix) {
			g_free(suffix);
			suffix = g_path_get_basename(r->base);
		}
	}
	return scoped ? g_steal_pointer(&suffix) : g_path_get_basename(suffix);
}

static char *destination_of(const char *transport, const char *where, const char *suffix)
{
	g_autofree char *path = g_build_filename(where, suffix, NULL);

	return strcmp(transport, "docker") == 0 ? g_strdup_printf("docker://%s", path)
						: g_strdup_printf("dir:%s", path);
}

struct sync {
	struct skopeo *s;
	const struct sync_args *a;
	const char *where;
	struct transport_options to;
	struct copy_options o;
	unsigned copied, failed;
};

static void say(const char *what, const char *from, const char *to)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];

	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	(void)fflush(stdout);
	(void)fprintf(stderr, "time=\"%s\" level=info msg=\"%s\" from=\"%s\" to=\"%s\"\n", stamp,
		what, from, to);
}

static int sync_one(struct sync *y, const struct repository *r, unsigned i, struct err *e)
{
	const char *image = r->images->pdata[i];
	g_autofree char *suffix = suffix_of(r, image, y->a->scoped);
	g_autofree char *to = destination_of(y->a->destination, y->where, suffix);
	g_autofree char *what = NULL, *folder = NULL;
	int code;

	if (y->a->dry_run) {
		what = g_strdup_printf("Would have copied image ref %u/%u", i + 1, r->images->len);
		say(what, image, to);
		return 0;
	}
	what = g_strdup_printf("Copying image ref %u/%u", i + 1, r->images->len);
	say(what, image, to);
	if (g_str_has_prefix(to, "dir:") && access(to + strlen("dir:"), F_OK) == 0)
		return err_set(e, -E_EXISTS, "Refusing to overwrite destination directory \"%s\"",
			to + strlen("dir:"));
	code = copy_names(y->s, image, &r->o, to, &y->to, &y->o, NULL, e);
	return code < 0 ? err_prefix(e, "Error copying ref \"%s\"", image) : 0;
}

static int sync_all(struct sync *y, const GPtrArray *list, struct err *e)
{
	g_autofree char *line = NULL;

	for (unsigned i = 0; i < list->len; i++) {
		const struct repository *r = list->pdata[i];

		for (unsigned k = 0; k < r->images->len; k++) {
			int code = sync_one(y, r, k, e);

			if (code < 0 && !y->a->keep_going)
				return code;
			if (code < 0) {
				skopeo_log("error", e->text);
				*e = (struct err){ 0 };
				y->failed++;
				continue;
			}
			y->copied++;
		}
	}
	line = g_strdup_printf(y->a->dry_run ? "Would have synced %u images from %u sources"
					     : "Synced %u images from %u sources",
		y->copied, list->len);
	skopeo_log("info", line);
	if (y->failed)
		return err_set(e, -E_INVALID,
			"Sync failed due to previous reported error(s) for "
			"one or more images");
	return 0;
}

static int check(const struct sync_args *a, struct err *e)
{
	static const char *const from[] = { "docker", "dir", "yaml", NULL };
	static const char *const to[] = { "docker", "dir", NULL };

	if (!a->source || !*a->source)
		return err_set(e, -E_INVALID, "A source transport must be specified");
	if (!g_strv_contains(from, a->source))
		return err_set(e, -E_INVALID, "\"%s\" is not a valid source transport", a->source);
	if (!a->destination || !*a->destination)
		return err_set(e, -E_INVALID, "A destination transport must be specified");
	if (!g_strv_contains(to, a->destination))
		return err_set(e, -E_INVALID, "\"%s\" is not a valid destination transport",
			a->destination);
	if (strcmp(a->source, "dir") == 0 && strcmp(a->destination, "dir") == 0)
		return err_set(e, -E_INVALID,
			"sync from 'dir' to 'dir' not implemented, consider "
			"using rsync instead");
	if (a->sign_sigstore)
		return err_set(e, -E_UNSUPPORTED,
			"signing for sigstore is not supported: use --sign-by with a GPG key");
	return 0;
}

static int run(struct skopeo *s, struct sync_args *a, char **operands, struct err *e)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(repository_free);
	struct transport_options from;
	struct teller teller;
	struct sync y = { .s = s,
		.a = a,
		.where = operands[1],
		.o = { .which = a->all ? COPY_ALL : COPY_ONE,
			.packing = PACKING_GZIP,
			.level = PRESS_LEVEL_DEFAULT,
			.preserve_digests = a->preserve_digests,
			.remove_signatures = a->remove_signatures,
			.sign_by = a->sign_by,
			.sign_passphrase = a->sign_passphrase,
			.os = s->override_os,
			.arch = s->override_arch,
			.variant = s->override_variant } };
	int r;

	teller_init(&teller, s, false);
	y.o.teller = &teller.t;
	r = check(a, e);
	if (r >= 0 && a->format)
		r = copy_format_from_name(a->format, &y.o.format, e);
	if (r >= 0)
		r = where_fill(s, &a->src, a->authfile, a->retry_times, &from, e);
	if (r >= 0)
		r = where_fill(s, &a->dest, a->authfile, a->retry_times, &y.to, e);
	if (r < 0)
		return r;
	if (strcmp(a->source, "docker") == 0)
		r = from_docker(s, operands[0], list, &from, e);
	else if (strcmp(a->source, "dir") == 0)
		r = from_dir(operands[0], list, &from, e);
	else
		r = from_yaml(s, operands[0], list, &from, e);
	return r < 0 ? r : sync_all(&y, list, e);
}

static int sync_run(struct cmd_call *call, struct err *e)
{
	struct sync_args *a = call->args;
	int r = need_operands(call, 2, "Exactly two arguments expected", e);

	if (r < 0)
		return r;
	r = run(skopeo_of(call), a, call->operands, e);
	where_clear(&a->src);
	where_clear(&a->dest);
	return r;
}

const struct cmd skopeo_sync = {
	CMD_FILE,
	.name = "sync",
	.run = sync_run,
	.opts = sync_opts,
	.args_size = sizeof(struct sync_args),
	.brief = "copy all images of a place to another",
	.synopsis = "[OPTIONS] --src TRANSPORT --dest TRANSPORT SOURCE DESTINATION",
	.examples = "skopeo sync --src docker --dest dir registry.example.com/busybox /media/usb   "
		    "# all tags\n",
	.max_operands = -1,
};
