/* SPDX-License-Identifier: MIT */
/* docker's commands on images. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/units.h"
#include "dialect/docker/cli.h"

struct images_args {
	char *format;
	char **filter;
	bool all, digests, no_trunc, quiet, tree;
};
struct pull_args {
	char *platform;
	bool all_tags, quiet;
	int disable_content_trust;
};
struct push_args {
	char *platform;
	bool all_tags, quiet;
	int disable_content_trust;
};
struct rmi_args {
	char **platform;
	bool force, no_prune;
};
struct save_args {
	char *output, *platform;
};
struct load_args {
	char *input, *platform;
	bool quiet;
};
struct import_args {
	char *message, *platform;
	char **change;
};
struct history_args {
	char *format, *platform;
	bool no_trunc, quiet;
	int human;
};
struct search_args {
	char *format, *limit;
	char **filter;
	bool no_trunc;
};
struct image_prune_args {
	char **filter;
	bool all, force;
};

#define API_PLATFORM_IMAGES \
	48 /* minor version from which save, load and history choose a platform */

/* --- images --------------------------------------------------------------------------------------------------------- */

static void image_row(json_t *rows, const struct images_args *a, const json_t *image,
	const char *repo, const char *tag, const char *digest)
{
	json_t *row = json_object();
	const char *id = cli_text(image, "Id");
	int64_t created = cli_number(image, "Created"), shared = cli_number(image, "SharedSize");
	double size = (double)cli_number(image, "Size");
	g_autofree char *short_id = a->no_trunc ? g_strdup(id) : cli_short(id);
	g_autofree char *at = cli_local_time(created), *ago = cli_ago(created),
			*text = cli_size(size, 3);
	g_autofree char *shared_text = shared >= 0 ? cli_size((double)shared, 4) : g_strdup("N/A");
	g_autofree char *virtual_text = cli_size(size, 4);
	int64_t used = cli_number(image, "Containers");

	if (used >= 0)
		cli_set(row, "Containers", "%lld", (long long)used);
	else
		cli_set(row, "Containers", "N/A");
	cli_set(row, "CreatedAt", "%s", at);
	cli_set(row, "CreatedSince", "%s", ago);
	cli_set(row, "Digest", "%s", digest);
	cli_set(row, "ID", "%s", short_id);
	cli_set(row, "Repository", "%s", repo);
	cli_set(row, "SharedSize", "%s", shared < 0 ? "N/A" : shared_text);
	cli_set(row, "Size", "%s", text);
	cli_set(row, "Tag", "%s", tag);
	cli_set(row, "UniqueSize", "N/A");
	cli_set(row, "VirtualSize", "%s", virtual_text);
	json_array_append_new(rows, row);
}

/* The digest of that repository, "<none>" when there is none. */
static char *digest_of(const json_t *image, const char *repo)
{
	g_autofree char *prefix = g_strdup_printf("%s@", repo);
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(image, "RepoDigests"), i, d)
		if (g_str_has_prefix(json_string_value(d), prefix))
			return g_strdup(json_string_value(d) + strlen(prefix));
	return g_strdup("<none>");
}

static void image_rows(json_t *rows, const struct images_args *a, const json_t *image)
{
	json_t *tags = json_object_get(image, "RepoTags"), *t;
	size_t i, n = 0;

	json_array_foreach(tags, i, t) {
		g_autofree char *repo = NULL, *tag = NULL, *digest = NULL;

		if (g_str_has_prefix(json_string_value(t), "<none>"))
			continue;
		cli_split_tag(json_string_value(t), &repo, &tag);
		digest = digest_of(image, repo);
		image_row(rows, a, image, repo, tag, digest);
		n++;
	}
	json_array_foreach(json_object_get(image, "RepoDigests"), i, t) {
		const char *text = json_string_value(t), *sign = strchr(text, '@');
		g_autofree char *repo = sign ? g_strndup(text, (gsize)(sign - text)) : NULL;

		if (n || !repo || strcmp(repo, "<none>") == 0)
			continue;
		image_row(rows, a, image, repo, "<none>", sign + 1);
		n++;
		break;
	}
	if (!n)
		image_row(rows, a, image, "<none>", "<none>", "<none>");
}

static const struct tab_column image_columns[] = {
	{ "REPOSITORY", "Repository", false },
	{ "TAG", "Tag", false },
	{ "IMAGE ID", "ID", false },
	{ "CREATED", "CreatedSince", false },
	{ "SIZE", "Size", false },
	{ "DIGEST", "Digest", true },
	{ "CREATED AT", "CreatedAt", true },
	{ "CONTAINERS", "Containers", true },
	{ "SHARED SIZE", "SharedSize", true },
	{ "UNIQUE SIZE", "UniqueSize", true },
	{ NULL, NULL, false },
};

static int images_print(struct cmd_call *call, const json_t *list, struct err *e)
{
	const struct images_args *a = call->args;
	const char *format = cli_format(call, a->format, a->quiet ? NULL : "imagesFormat");
	json_t *rows = json_array(), *image;
	size_t i;
	int r;

	json_array_foreach((json_t *)list, i, image)
		image_rows(rows, a, image);
	if (a->quiet && (!format || g_str_has_prefix(format, "table")))
		format = "{{.ID}}";
	else if (!format && a->digests)
		format = "table "
			 "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{."
			 "Size}}";
	r = cli_rows(image_columns, rows, format, e);
	json_decref(rows);
	return r;
}

static int images_run(struct cmd_call *call, struct err *e)
{
	const struct images_args *a = call->args;
	json_t *filters = cli_filters_json(a->filter), *list = NULL;
	g_autoptr(GString) path = g_string_new("/images/json");
	struct client *cl;
	char *text;
	int r = cli_client(call, &cl, e);

	if (a->tree)
		r = err_set(
			e, -E_UNSUPPORTED, "--tree is experimental in docker, and not there yet");
	if (call->n_operands) {
		if (!json_object_get(filters, "reference"))
			json_object_set_new(filters, "reference", json_object());
		json_object_set_new(
			json_object_get(filters, "reference"), call->operands[0], json_true());
	}
	if (a->all)
		cli_query(path, "all", "1");
	text = json_dumps(filters, JSON_COMPACT);
	if (json_object_size(filters))
		cli_query(path, "filters", text);
	free(text);
	json_decref(filters);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &list, e);
	if (r >= 0)
		r = images_print(call, list, e);
	json_decref(list);
	return r < 0 ? r : 0;
}

/* clang-format off */
static const struct opt images_opts[] = {
	OPT_FLAG('a', "all", struct images_args, all, "Show all images (default hides intermediate images)"),
	OPT_FLAG(0, "digests", struct images_args, digests, "Show digests"),
	OPT_LIST('f', "filter", struct images_args, filter, "filter", complete_none, "Filter output based on conditions provided"),
	OPT_STRING(0, "format", struct images_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG(0, "no-trunc", struct images_args, no_trunc, "Don't truncate output"),
	OPT_FLAG('q', "quiet", struct images_args, quiet, "Only show image IDs"),
	OPT_FLAG(0, "tree", struct images_args, tree, "List multi-platform images as a tree (EXPERIMENTAL)"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_images_cmd = {
	CMD_FILE,
	.name = "images",
	.run = images_run,
	.opts = images_opts,
	.args_size = sizeof(struct images_args),
	.brief = "List images",
	.synopsis = "[OPTIONS] [REPOSITORY[:TAG]]",
	.max_operands = 1,
};

const struct cmd docker_image_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = images_run,
	.opts = images_opts,
	.args_size = sizeof(struct images_args),
	.brief = "List images",
	.synopsis = "[OPTIONS] [REPOSITORY[:TAG]]",
	.max_operands = 1,
	.aliases = "list",
};

/* --- pull and push ------------------------------------------------------------------------------------------------------- */

/* "docker.io/library/x" of "x". */
static char *canonical(const char *image)
{
	g_autofree char *registry = cli_registry_of(image);
	const char *slash = strchr(image, '/');

	if (strcmp(registry, "docker.io") != 0 || g_str_has_prefix(image, "docker.io/"))
		return g_strdup(image);
	return g_strdup_printf("docker.io/%s%s", slash ? "" : "library/", image);
}

static int pull_from(struct cmd_call *call, const char *name, const char *tag, const char *platform,
	bool quiet, struct err *e)
{
	g_autofree char *auth = cli_auth(call, name, e);
	g_autoptr(GString) path = g_string_new("/images/create");
	_cleanup_(stream_freep) struct stream *s = NULL;
	struct stream_request q = { .method = "POST", .body_fd = -1, .registry_auth = auth };
	struct client *cl;
	int r = auth ? cli_client(call, &cl, e) : -EACCES;

	if (r < 0)
		return r;
	cli_query(path, "fromImage", name);
	if (tag)
		cli_query(path, "tag", tag);
	if (platform && *platform)
		cli_query(path, "platform", platform);
	q.path = path->str;
	r = client_stream(cl, &q, &s, e);
	return r < 0 ? r : cli_progress(s, quiet, NULL, NULL, e);
}

int cli_pull(struct cmd_call *call, const char *image, const char *platform, bool quiet, FILE *out,
	struct err *e)
{
	const char *at = strchr(image, '@');
	g_autofree char *name = NULL, *tag = NULL;

	(void)out;
	if (at) {
		name = g_strndup(image, (gsize)(at - image));
		tag = g_strdup(at + 1);
	} else {
		cli_split_tag(image, &name, &tag);
	}
	return pull_from(call, name, *tag ? tag : "latest", platform, quiet, e);
}

static int check_reference(const char *image, struct err *e)
{
	g_autofree char *name = NULL, *tag = NULL, *registry = cli_registry_of(image);
	const char *path;

	cli_split_tag(image, &name, &tag);
	path = g_str_has_prefix(name, registry) ? name + strlen(registry) : name;
	if (!*image || strpbrk(image, " \t\n") || strchr("/:@", *image))
		return err_set(e, -E_INVALID, "invalid reference format");
	for (const char *p = path; *p && *p != '@'; p++)
		if (g_ascii_isupper(*p)) {
			const char *slash = strrchr(path, '/');

			return err_set(e, -E_INVALID,
				"invalid reference format: repository name (%s) must be lowercase",
				slash && g_ascii_isupper(slash[1]) ? slash + 1 : path);
		}
	return 0;
}

static int pull_run(struct cmd_call *call, struct err *e)
{
	const struct pull_args *a = call->args;
	const char *image = call->operands[0],
		   *platform = a->platform ?: g_getenv("DOCKER_DEFAULT_PLATFORM");
	g_autofree char *name = NULL, *tag = NULL, *full = canonical(image);
	int r = cli_check_trust(a->disable_content_trust, e);

	if (r >= 0)
		r = check_reference(image, e);
	cli_split_tag(image, &name, &tag);
	if (r >= 0 && a->all_tags) {
		if (*tag || strchr(image, '@'))
			return err_set(e, -E_INVALID, "tag can't be used with --all-tags/-a");
		r = pull_from(call, name, NULL, platform, a->quiet, e);
		if (r >= 0)
			printf("%s\n", full);
		return r;
	}
	if (r >= 0 && !*tag && !strchr(image, '@') && !a->quiet)
		printf("Using default tag: latest\n");
	if (r >= 0)
		r = cli_pull(call, image, platform, a->quiet, stdout, e);
	if (r >= 0)
		printf("%s%s\n", full, *tag || strchr(image, '@') ? "" : ":latest");
	return r;
}

/* clang-format off */
static const struct opt pull_opts[] = {
	OPT_FLAG('a', "all-tags", struct pull_args, all_tags, "Download all tagged images in the repository"),
	OPT_TRISTATE(0, "disable-content-trust", struct pull_args, disable_content_trust, "Skip image verification (default true)"),
	OPT_STRING(0, "platform", struct pull_args, platform, "string", complete_none, "Set platform if server is multi-platform capable"),
	OPT_FLAG('q', "quiet", struct pull_args, quiet, "Suppress verbose output"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_pull_cmd = {
	CMD_FILE,
	.name = "pull",
	.run = pull_run,
	.opts = pull_opts,
	.args_size = sizeof(struct pull_args),
	.brief = "Download an image from a registry",
	.synopsis = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.min_operands = 1,
	.max_operands = 1,
};

static void push_aux(const json_t *aux, void *data)
{
	(void)aux;
	(void)data;
}

static int push_run(struct cmd_call *call, struct err *e)
{
	const struct push_args *a = call->args;
	const char *image = call->operands[0];
	g_autofree char *name = NULL, *tag = NULL, *auth = cli_auth(call, image, e), *head = NULL,
			*full = NULL;
	g_autoptr(GString) path = NULL;
	_cleanup_(stream_freep) struct stream *s = NULL;
	struct client *cl;
	int r = auth ? cli_client(call, &cl, e) : -EACCES;

	if (r >= 0)
		r = cli_check_trust(a->disable_content_trust, e);
	if (r < 0)
		return r;
	if (a->platform)
		return err_set(e, -E_UNSUPPORTED,
			"--platform of push is not there yet: all of an image is pushed");
	cli_split_tag(image, &name, &tag);
	if (a->all_tags && *tag)
		return err_set(e, -E_INVALID, "tag can't be used with --all-tags/-a");
	if (!a->all_tags && !*tag) {
		g_free(tag);
		tag = g_strdup("latest");
		if (!a->quiet)
			printf("Using default tag: latest\n");
	}
	head = client_path("/images/%s/push", name);
	path = g_string_new(head);
	if (*tag)
		cli_query(path, "tag", tag);
	r = client_stream(cl,
		&(struct stream_request){
			.method = "POST", .path = path->str, .body_fd = -1, .registry_auth = auth },
		&s, e);
	if (r >= 0)
		r = cli_progress(s, a->quiet, push_aux, NULL, e);
	full = canonical(name);
	if (r >= 0 && a->quiet)
		printf("%s%s%s\n", full, *tag ? ":" : "", tag);
	return r < 0 ? r : 0;
}

/* clang-format off */
static const struct opt push_opts[] = {
	OPT_FLAG('a', "all-tags", struct push_args, all_tags, "Push all tags of an image to the repository"),
	OPT_TRISTATE(0, "disable-content-trust", struct push_args, disable_content_trust, "Skip image signing (default true)"),
	OPT_STRING(0, "platform", struct push_args, platform, "string", complete_none, "Push a platform-specific manifest as a single-platform image to the registry.\nImage index won't be pushed, meaning that other manifests, including attestations won't be preserved.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
	OPT_FLAG('q', "quiet", struct push_args, quiet, "Suppress verbose output"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_push_cmd = {
	CMD_FILE,
	.name = "push",
	.run = push_run,
	.opts = push_opts,
	.args_size = sizeof(struct push_args),
	.brief = "Upload an image to a registry",
	.synopsis = "[OPTIONS] NAME[:TAG]",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- tag, rmi, prune ------------------------------------------------------------------------------------------------------- */

static int tag_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *name = NULL, *tag = NULL, *path = NULL;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	cli_split_tag(call->operands[1], &name, &tag);
	path = client_path(
		"/images/%s/tag?repo=%s&tag=%s", call->operands[0], name, *tag ? tag : "latest");
	if (r >= 0)
		r = client_call(cl, "POST", path, NULL, NULL, e);
	return r < 0 ? r : 0;
}

const struct cmd docker_tag_cmd = {
	CMD_FILE,
	.name = "tag",
	.run = tag_run,
	.brief = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.synopsis = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.min_operands = 2,
	.max_operands = 2,
};

static int rmi_run(struct cmd_call *call, struct err *e)
{
	const struct rmi_args *a = call->args;
	struct client *cl;
	int r = cli_client(call, &cl, e), status = 0;

	if (r >= 0 && a->platform)
		r = err_set(e, -E_UNSUPPORTED,
			"--platform needs API version 1.50, and this client speaks up "
			"to " DOCKER_API_MAX);
	for (char **name = call->operands; r >= 0 && *name; name++) {
		g_autofree char *head = client_path("/images/%s", *name);
		g_autoptr(GString) path = g_string_new(head);
		json_t *j = NULL, *one;
		size_t i;
		int code;

		if (a->force)
			cli_query(path, "force", "1");
		if (a->no_prune)
			cli_query(path, "noprune", "1");
		code = client_call(cl, "DELETE", path->str, NULL, &j, e);
		if (code < 0) {
			status |= !(a->force && code == -E_NOTFOUND);
			cli_failed(e);
		}
		json_array_foreach(j, i, one) {
			if (*cli_text(one, "Deleted"))
				printf("Deleted: %s\n", cli_text(one, "Deleted"));
			else
				printf("Untagged: %s\n", cli_text(one, "Untagged"));
		}
		json_decref(j);
	}
	return r < 0 ? r : status;
}

/* clang-format off */
static const struct opt rmi_opts[] = {
	OPT_FLAG('f', "force", struct rmi_args, force, "Force removal of the image"),
	OPT_FLAG(0, "no-prune", struct rmi_args, no_prune, "Do not delete untagged parents"),
	OPT_LIST(0, "platform", struct rmi_args, platform, "strings", complete_none, "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_rmi_cmd = {
	CMD_FILE,
	.name = "rmi",
	.run = rmi_run,
	.opts = rmi_opts,
	.args_size = sizeof(struct rmi_args),
	.brief = "Remove one or more images",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.min_operands = 1,
	.max_operands = -1,
};

const struct cmd docker_image_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = rmi_run,
	.opts = rmi_opts,
	.args_size = sizeof(struct rmi_args),
	.brief = "Remove one or more images",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.min_operands = 1,
	.max_operands = -1,
	.aliases = "remove",
};

static int image_prune_run(struct cmd_call *call, struct err *e)
{
	const struct image_prune_args *a = call->args;
	const char *warning =
		a->all ? "WARNING! This will remove all images without at least one container "
			 "associated to them.\nAre you sure you want to continue?"
		       : "WARNING! This will remove all dangling images.\nAre you sure you want to "
			 "continue?";
	g_autoptr(GPtrArray) filters = g_ptr_array_new();
	g_autofree char *size = NULL;
	int64_t freed = 0;
	struct client *cl;
	int r;

	if (!a->force && !cli_confirm(warning))
		return 0;
	for (char **f = a->filter; f && *f; f++)
		g_ptr_array_add(filters, *f);
	g_ptr_array_add(filters, (void *)(a->all ? "dangling=false" : "dangling=true"));
	g_ptr_array_add(filters, NULL);
	r = cli_client(call, &cl, e);
	if (r >= 0)
		r = cli_prune(cl, "images", (char **)filters->pdata, "Deleted Images",
			"ImagesDeleted", &freed, e);
	if (r < 0)
		return r;
	size = cli_size((double)freed, 4);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

/* clang-format off */
static const struct opt image_prune_opts[] = {
	OPT_FLAG('a', "all", struct image_prune_args, all, "Remove all unused images, not just dangling ones"),
	OPT_LIST(0, "filter", struct image_prune_args, filter, "filter", complete_none, "Provide filter values (e.g. \"until=<timestamp>\")"),
	OPT_FLAG('f', "force", struct image_prune_args, force, "Do not prompt for confirmation"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_image_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = image_prune_run,
	.opts = image_prune_opts,
	.args_size = sizeof(struct image_prune_args),
	.brief = "Remove unused images",
	.synopsis = "[OPTIONS]",
};

/* --- save, load, import --------------------------------------------------------------------------------------------------- */

/* "os/arch[/variant]" as the query has it; the server must be new enough. */
static int add_platform(struct client *cl, GString *path, const char *platform, struct err *e)
{
	g_auto(GStrv) parts = NULL;
	const char *api;
	json_t *j;
	char *text;

	if (!platform)
		return 0;
	api = client_api(cl, e);
	if (!api)
		return -ECONNREFUSED;
	if (docker_api_minor(api) < API_PLATFORM_IMAGES)
		return err_set(e, -E_UNSUPPORTED,
			"\"--platform\" requires API version 1.48, but the Docker daemon API "
			"version is %s",
			api);
	parts = g_strsplit(platform, "/", 3);
	j = json_pack("{s:s}", "os", parts[0] ?: "");
	if (parts[0] && parts[1])
		json_object_set_new(j, "architecture", json_string(parts[1]));
	if (parts[0] && parts[1] && parts[2])
		json_object_set_new(j, "variant", json_string(parts[2]));
	text = json_dumps(j, JSON_COMPACT);
	cli_query(path, "platform", text);
	free(text);
	json_decref(j);
	return 0;
}

static int save_run(struct cmd_call *call, struct err *e)
{
	const struct save_args *a = call->args;
	g_autoptr(GString) path = g_string_new("/images/get");
	struct client *cl;
	int r = cli_client(call, &cl, e);

	for (char **name = call->operands; *name; name++)
		cli_query(path, "names", *name);
	if (r >= 0)
		r = add_platform(cl, path, a->platform, e);
	return r < 0 ? r
		     : cli_save_to(cl, path->str, a->output && *a->output ? a->output : NULL, e);
}

/* clang-format off */
static const struct opt save_opts[] = {
	OPT_STRING('o', "output", struct save_args, output, "string", complete_file, "Write to a file, instead of STDOUT"),
	OPT_STRING(0, "platform", struct save_args, platform, "string", complete_none, "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_save_cmd = {
	CMD_FILE,
	.name = "save",
	.run = save_run,
	.opts = save_opts,
	.args_size = sizeof(struct save_args),
	.brief = "Save one or more images to a tar archive (streamed to STDOUT by default)",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.min_operands = 1,
	.max_operands = -1,
};

static int load_run(struct cmd_call *call, struct err *e)
{
	const struct load_args *a = call->args;
	g_autoptr(GString) path = g_string_new("/images/load");
	_cleanup_(stream_freep) struct stream *s = NULL;
	_cleanup_close_ int fd = -1;
	struct stream_request q = {
		.method = "POST", .body_type = "application/x-tar", .body_fd = STDIN_FILENO
	};
	struct client *cl;
	bool quiet = a->quiet || !cli_is_terminal(STDOUT_FILENO);
	int r = cli_client(call, &cl, e);

	if (r >= 0 && a->input && *a->input) {
		q.body_fd = fd = RET_NERRNO(open(a->input, O_RDONLY | O_CLOEXEC));
		if (fd < 0)
			return err_set(e, fd, "open %s: %s", a->input,
				fd == -ENOENT ? "no such file or directory" : err_words(fd));
	} else if (r >= 0 && cli_is_terminal(STDIN_FILENO)) {
		return err_set(e, -E_INVALID, "requested load from stdin, but stdin is empty");
	}
	cli_query(path, "quiet", quiet ? "1" : "0");
	if (r >= 0)
		r = add_platform(cl, path, a->platform, e);
	q.path = path->str;
	if (r >= 0)
		r = client_stream(cl, &q, &s, e);
	return r < 0 ? r : cli_progress(s, false, NULL, NULL, e);
}

/* clang-format off */
static const struct opt load_opts[] = {
	OPT_STRING('i', "input", struct load_args, input, "string", complete_file, "Read from tar archive file, instead of STDIN"),
	OPT_STRING(0, "platform", struct load_args, platform, "string", complete_none, "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
	OPT_FLAG('q', "quiet", struct load_args, quiet, "Suppress the load output"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_load_cmd = {
	CMD_FILE,
	.name = "load",
	.run = load_run,
	.opts = load_opts,
	.args_size = sizeof(struct load_args),
	.brief = "Load an image from a tar archive or STDIN",
	.synopsis = "[OPTIONS]",
};

static int import_run(struct cmd_call *call, struct err *e)
{
	const struct import_args *a = call->args;
	const char *from = call->operands[0];
	g_autoptr(GString) path = g_string_new("/images/create");
	g_autofree char *name = NULL, *tag = NULL;
	_cleanup_(stream_freep) struct stream *s = NULL;
	_cleanup_close_ int fd = -1;
	struct stream_request q = { .method = "POST", .body_fd = -1, .body_type = "text/plain" };
	bool url = g_str_has_prefix(from, "http://") || g_str_has_prefix(from, "https://");
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (call->n_operands > 1) {
		cli_split_tag(call->operands[1], &name, &tag);
		cli_query(path, "repo", name);
		if (*tag)
			cli_query(path, "tag", tag);
	}
	cli_query(path, "fromSrc", url ? from : "-");
	if (a->message)
		cli_query(path, "message", a->message);
	for (char **c = a->change; c && *c; c++)
		cli_query(path, "changes", *c);
	if (a->platform)
		cli_query(path, "platform", a->platform);
	q.path = path->str;
	if (!url && strcmp(from, "-") == 0) {
		q.body_fd = STDIN_FILENO;
	} else if (!url && r >= 0) {
		q.body_fd = fd = RET_NERRNO(open(from, O_RDONLY | O_CLOEXEC));
		if (fd < 0)
			return err_set(e, fd, "open %s: %s", from,
				fd == -ENOENT ? "no such file or directory" : err_words(fd));
	}
	if (url)
		q.body_type = NULL;
	if (r >= 0)
		r = client_stream(cl, &q, &s, e);
	return r < 0 ? r : cli_progress(s, false, NULL, NULL, e);
}

/* clang-format off */
static const struct opt import_opts[] = {
	OPT_LIST('c', "change", struct import_args, change, "list", complete_none, "Apply Dockerfile instruction to the created image"),
	OPT_STRING('m', "message", struct import_args, message, "string", complete_none, "Set commit message for imported image"),
	OPT_STRING(0, "platform", struct import_args, platform, "string", complete_none, "Set platform if server is multi-platform capable"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_import_cmd = {
	CMD_FILE,
	.name = "import",
	.run = import_run,
	.opts = import_opts,
	.args_size = sizeof(struct import_args),
	.brief = "Import the contents from a tarball to create a filesystem image",
	.synopsis = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
	.min_operands = 1,
	.max_operands = -1,
};

/* --- history, search --------------------------------------------------------------------------------------------------------- */

static const struct tab_column history_columns[] = {
	{ "IMAGE", "ID", false },
	{ "CREATED", "CreatedSince", false },
	{ "CREATED BY", "CreatedBy", false },
	{ "SIZE", "Size", false },
	{ "COMMENT", "Comment", false },
	{ "CREATED AT", "CreatedAt", true },
	{ NULL, NULL, false },
};

static json_t *history_row(const struct history_args *a, const json_t *h)
{
	bool human = cli_switch(a->human, true);
	int64_t created = cli_number(h, "Created");
	g_autofree char *text = g_strdup(cli_text(h, "CreatedBy"));
	g_autofree char *by = NULL, *ago = cli_ago(created), *at = NULL;
	g_autofree char *size = human ? cli_size((double)cli_number(h, "Size"), 3)
				      : g_strdup_printf("%lld", (long long)cli_number(h, "Size"));
	g_autofree char *id =
		a->no_trunc ? g_strdup(cli_text(h, "Id")) : cli_short(cli_text(h, "Id"));
	json_t *row = json_object();
	struct tm tm;
	time_t t = (time_t)created;
	char stamp[64];

	g_strdelimit(text, "\t", ' ');
	by = a->no_trunc ? g_strdup(text) : cli_cut(text, 45);
	localtime_r(&t, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S%z", &tm);
	/* RFC 3339 has a colon in the zone, and Z for none */
	at = g_str_has_suffix(stamp, "+0000") ? g_strdup_printf("%.19sZ", stamp)
					      : g_strdup_printf("%.22s:%s", stamp, stamp + 22);
	cli_set(row, "Comment", "%s", cli_text(h, "Comment"));
	cli_set(row, "CreatedAt", "%s", at);
	cli_set(row, "CreatedBy", "%s", by);
	cli_set(row, "CreatedSince", "%s", human ? (created > 0 ? ago : "N/A") : at);
	cli_set(row, "ID", "%s", id);
	cli_set(row, "Size", "%s", size);
	return row;
}

static int history_run(struct cmd_call *call, struct err *e)
{
	const struct history_args *a = call->args;
	g_autofree char *head = client_path("/images/%s/history", call->operands[0]);
	g_autoptr(GString) path = g_string_new(head);
	const char *format = cli_format(call, a->format, NULL);
	json_t *list = NULL, *rows = json_array(), *h;
	struct client *cl;
	size_t i;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = add_platform(cl, path, a->platform, e);
	if (r >= 0)
		r = client_call(cl, "GET", path->str, NULL, &list, e);
	json_array_foreach(list, i, h)
		json_array_append_new(rows, history_row(a, h));
	if (r >= 0)
		r = cli_rows(history_columns, rows,
			a->quiet && !format ? "{{.ID}}"
			: !format && !cli_switch(a->human, true)
				? "table "
				  "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
				: format,
			e);
	json_decref(rows);
	json_decref(list);
	return r;
}

/* clang-format off */
static const struct opt history_opts[] = {
	OPT_STRING(0, "format", struct history_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_TRISTATE('H', "human", struct history_args, human, "Print sizes and dates in human readable format (default true)"),
	OPT_FLAG(0, "no-trunc", struct history_args, no_trunc, "Don't truncate output"),
	OPT_STRING(0, "platform", struct history_args, platform, "string", complete_none, "Show history for the given platform. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
	OPT_FLAG('q', "quiet", struct history_args, quiet, "Only show image IDs"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_history_cmd = {
	CMD_FILE,
	.name = "history",
	.run = history_run,
	.opts = history_opts,
	.args_size = sizeof(struct history_args),
	.brief = "Show the history of an image",
	.synopsis = "[OPTIONS] IMAGE",
	.min_operands = 1,
	.max_operands = 1,
};

static const struct tab_column search_columns[] = {
	{ "NAME", "Name", false },
	{ "DESCRIPTION", "Description", false },
	{ "STARS", "StarCount", false },
	{ "OFFICIAL", "IsOfficial", false },
	{ NULL, NULL, false },
};

static int search_run(struct cmd_call *call, struct err *e)
{
	const struct search_args *a = call->args;
	g_autofree char *head = client_path("/images/search?term=%s", call->operands[0]),
			*filters = cli_filters(a->filter);
	g_autofree char *auth = cli_auth(call, call->operands[0], e);
	g_autoptr(GString) path = g_string_new(head);
	_cleanup_(stream_freep) struct stream *s = NULL;
	json_t *list = NULL, *rows = json_array(), *one;
	struct client *cl;
	size_t i;
	int r = auth ? cli_client(call, &cl, e) : -EACCES;

	if (a->limit)
		cli_query(path, "limit", a->limit);
	if (filters)
		cli_query(path, "filters", filters);
	if (r >= 0)
		r = client_stream(cl,
			&(struct stream_request){ .method = "GET",
				.path = path->str,
				.body_fd = -1,
				.registry_auth = auth },
			&s, e);
	if (r >= 0)
		r = stream_answer(s, &list, e);
	json_array_foreach(list, i, one) {
		g_autofree char *text = g_strdup(cli_text(one, "description")), *cut = NULL;
		json_t *row = json_object();

		g_strdelimit(text, "\r\n", ' ');
		cut = a->no_trunc ? g_strdup(text) : cli_cut(text, 45);
		cli_set(row, "Description", "%s", cut);
		cli_set(row, "IsAutomated", "%s",
			json_is_true(json_object_get(one, "is_automated")) ? "true" : "false");
		cli_set(row, "IsOfficial", "%s",
			json_is_true(json_object_get(one, "is_official")) ? "[OK]" : "");
		cli_set(row, "Name", "%s", cli_text(one, "name"));
		cli_set(row, "StarCount", "%lld", (long long)cli_number(one, "star_count"));
		json_array_append_new(rows, row);
	}
	if (r >= 0)
		r = cli_rows(search_columns, rows, cli_format(call, a->format, NULL), e);
	json_decref(rows);
	json_decref(list);
	return r;
}

/* clang-format off */
static const struct opt search_opts[] = {
	OPT_LIST('f', "filter", struct search_args, filter, "filter", complete_none, "Filter output based on conditions provided"),
	OPT_STRING(0, "format", struct search_args, format, "string", complete_none, "Pretty-print search using a Go template"),
	OPT_STRING(0, "limit", struct search_args, limit, "int", complete_none, "Max number of search results"),
	OPT_FLAG(0, "no-trunc", struct search_args, no_trunc, "Don't truncate output"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_search_cmd = {
	CMD_FILE,
	.name = "search",
	.run = search_run,
	.opts = search_opts,
	.args_size = sizeof(struct search_args),
	.brief = "Search Docker Hub for images",
	.synopsis = "[OPTIONS] TERM",
	.min_operands = 1,
	.max_operands = 1,
};
