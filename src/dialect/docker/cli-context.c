/* SPDX-License-Identifier: MIT */
/* docker context: names of servers, each a folder with meta.json and one with the files of TLS. */

#include <stdlib.h>
#include <string.h>
#include "dialect/docker/cli.h"

struct context_create_args {
	char *description, *docker, *from;
};
struct context_inspect_args {
	char *format;
};
struct context_ls_args {
	char *format;
	bool quiet;
};
struct context_rm_args {
	bool force;
};
struct context_update_args {
	char *description, *docker;
};

#define NAME_RULE "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"

static const char *const tls_names[] = { "ca", "cert", "key" };

static int check_name(const char *name, struct err *e)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";

	if (strcmp(name, "default") == 0)
		return err_set(e, -E_INVALID, "\"default\" is a reserved context name");
	if (strlen(name) < 2 || !g_ascii_isalnum(*name) || name[strspn(name, chars)])
		return err_set(e, -E_INVALID,
			"context name \"%s\" is invalid, names are validated against regexp "
			"\"" NAME_RULE "\"",
			name);
	return 0;
}

static int warn_environment(struct cli *s, struct err *e)
{
	const char *why;
	g_autofree char *name = cli_context_name(s, &why);

	(void)e;
	(void)fflush(stdout);
	if (why)
		(void)fprintf(stderr,
			"Warning: %s environment variable overrides the active context. To use a "
			"context, either set the global --context flag, or unset %s environment "
			"variable.\n",
			why, why);
	return 0;
}

/* --- ls, show, inspect -------------------------------------------------------------------------------------------------- */

static const struct tab_column columns[] = {
	{ "NAME", "Name", false },
	{ "DESCRIPTION", "Description", false },
	{ "DOCKER ENDPOINT", "DockerEndpoint", false },
	{ "ERROR", "Error", false },
	{ NULL, NULL, false },
};

static void add_row(json_t *rows, const char *name, const char *current, const char *description,
	const char *host)
{
	json_t *row = json_object();

	json_object_set_new(row, "Current", json_boolean(strcmp(name, current) == 0));
	cli_set(row, "Description", "%s", description);
	cli_set(row, "DockerEndpoint", "%s", host);
	cli_set(row, "Error", "%s", "");
	cli_set(row, "Name", "%s", name);
	json_array_append_new(rows, row);
}

static char *default_host(void)
{
	const char *host = g_getenv("DOCKER_HOST");

	return g_strdup(host && *host ? host : "");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(cli_text(*(json_t *const *)a, "Name"), cli_text(*(json_t *const *)b, "Name"));
}

/* All of the store's, sorted. */
static GPtrArray *all_contexts(struct cli *s)
{
	g_autofree char *folder = g_strdup_printf("%s/contexts/meta", cli_folder(s));
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *file = g_strdup_printf("%s/%s/meta.json", folder, entry),
				*text = NULL;
		json_t *j;

		if (!g_file_get_contents(file, &text, NULL, NULL))
			continue;
		j = json_loads(text, 0, NULL);
		if (*cli_text(j, "Name"))
			g_ptr_array_add(all, j);
		else
			json_decref(j);
	}
	if (all->len > 1)
		qsort(all->pdata, all->len, sizeof(void *), by_name);
	return all;
}

static int context_ls_run(struct cmd_call *call, struct err *e)
{
	const struct context_ls_args *a = call->args;
	struct cli *s = cli_of(call);
	const char *why;
	g_autofree char *current = cli_context_name(s, &why), *host = default_host();
	g_autoptr(GPtrArray) all = all_contexts(s);
	json_t *rows = json_array(), *row;
	size_t n;
	bool placed = false;
	int r;

	for (guint i = 0; i <= all->len; i++) {
		json_t *j = i < all->len ? all->pdata[i] : NULL;

		if (!placed && (!j || strcmp(cli_text(j, "Name"), "default") > 0)) {
			add_row(rows, "default", current, "Current DOCKER_HOST based configuration",
				host);
			placed = true;
		}
		if (j)
			add_row(rows, cli_text(j, "Name"), current,
				cli_text(json_object_get(j, "Metadata"), "Description"),
				cli_text(cli_at(j, "Endpoints.docker"), "Host"));
	}
	/* the table marks the current one; other formats have a member for it */
	json_array_foreach(rows, n, row)
		if (!a->quiet && !(a->format && *a->format) &&
			json_is_true(json_object_get(row, "Current")))
			cli_set(row, "Name", "%s *", current);
	r = cli_rows(columns, rows,
		a->quiet		  ? "{{.Name}}"
		: a->format && *a->format ? a->format
					  : NULL,
		e);
	json_decref(rows);
	return r < 0 ? r : s->context ? 0 : warn_environment(s, e);
}

static int context_show_run(struct cmd_call *call, struct err *e)
{
	const char *why;
	g_autofree char *name = cli_context_name(cli_of(call), &why);

	(void)e;
	printf("%s\n", name);
	return 0;
}

static char *inspect_text(struct cli *s, const char *name, struct err *e)
{
	json_t *j;
	g_autofree char *tls = cli_context_folder(s, "tls", name),
			*meta = cli_context_folder(s, "meta", name), *host = default_host();
	json_t *files = json_array();
	char *text, *ret;

	if (strcmp(name, "default") == 0) {
		json_decref(files);
		return g_strdup_printf(
			"{\"Name\":\"default\",\"Metadata\":{},\"Endpoints\":{\"docker\":{\"Host\":"
			"\"%s\",\"SkipTLSVerify\":false}},"
			"\"TLSMaterial\":{},\"Storage\":{\"MetadataPath\":\"\\u003cIN "
			"MEMORY\\u003e\",\"TLSPath\":\"\\u003cIN MEMORY\\u003e\"}}",
			host);
	}
	j = cli_context_read(s, name, e);
	for (size_t i = 0; i < G_N_ELEMENTS(tls_names); i++) {
		g_autofree char *file = g_strdup_printf("%s/docker/%s.pem", tls, tls_names[i]);

		if (g_file_test(file, G_FILE_TEST_EXISTS))
			json_array_append_new(files, json_sprintf("%s.pem", tls_names[i]));
	}
	if (!j) {
		json_decref(files);
		return NULL;
	}
	json_object_set_new(j, "TLSMaterial",
		json_array_size(files) ? json_pack("{s:O}", "docker", files) : json_object());
	json_object_set_new(
		j, "Storage", json_pack("{s:s,s:s}", "MetadataPath", meta, "TLSPath", tls));
	json_decref(files);
	text = json_dumps(j, JSON_COMPACT);
	ret = g_strdup(text);
	free(text);
	json_decref(j);
	return ret;
}

static int context_inspect_run(struct cmd_call *call, struct err *e)
{
	const struct context_inspect_args *a = call->args;
	struct cli *s = cli_of(call);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	const char *why;
	g_autofree char *current = cli_context_name(s, &why);
	char *alone[] = { current, NULL };
	struct err last = { 0 };
	int r;

	for (char **name = call->n_operands ? call->operands : alone; *name; name++) {
		char *text = inspect_text(s, *name, &last);

		if (text)
			g_ptr_array_add(texts, text);
	}
	r = cli_inspect(texts, a->format, e);
	if (r >= 0 && *last.text) {
		*e = last;
		return last.code;
	}
	return r;
}

/* --- create, update, use, rm ------------------------------------------------------------------------------------------------ */

/* "host=...,ca=...,skip-tls-verify=true,from=NAME" into the endpoint, and its files to copy. */
static int read_endpoint(
	struct cli *s, char *const *words, json_t *endpoint, char *files[3], struct err *e)
{
	for (; *words; words++) {
		const char *equals = strchr(*words, '=');
		g_autofree char *key =
			equals ? g_strndup(*words, (gsize)(equals - *words)) : g_strdup(*words);
		bool known = false;

		for (size_t i = 0; i < G_N_ELEMENTS(tls_names); i++)
			if (equals && strcmp(key, tls_names[i]) == 0) {
				g_free(files[i]);
				files[i] = g_strdup(equals + 1);
				known = true;
			}
		if (equals && strcmp(key, "host") == 0) {
			json_object_set_new(endpoint, "Host", json_string(equals + 1));
		} else if (equals && strcmp(key, "skip-tls-verify") == 0) {
			json_object_set_new(endpoint, "SkipTLSVerify",
				json_boolean(strcmp(equals + 1, "true") == 0));
		} else if (equals && strcmp(key, "from") == 0) {
			json_t *j = cli_context_read(s, equals + 1, e);

			if (!j)
				return -E_NOTFOUND;
			(void)json_object_update(endpoint, cli_at(j, "Endpoints.docker"));
			json_decref(j);
		} else if (!known) {
			return err_set(e, -E_INVALID,
				"unable to create docker endpoint config: unrecognized config key: "
				"%s",
				key);
		}
	}
	return 0;
}

static int write_context(
	struct cli *s, const char *name, const json_t *j, char *const files[3], struct err *e)
{
	g_autofree char *meta = cli_context_folder(s, "meta", name),
			*tls = cli_context_folder(s, "tls", name);
	g_autofree char *file = g_strdup_printf("%s/meta.json", meta),
			*below = g_strdup_printf("%s/docker", tls);
	char *text = json_dumps(j, JSON_COMPACT);
	bool ok;

	(void)g_mkdir_with_parents(meta, 0755);
	ok = g_file_set_contents(file, text, -1, NULL);
	free(text);
	for (size_t i = 0; i < G_N_ELEMENTS(tls_names) && ok; i++) {
		g_autofree char *to = g_strdup_printf("%s/%s.pem", below, tls_names[i]),
				*content = NULL;
		gsize n;

		if (!files[i])
			continue;
		if (!g_file_get_contents(files[i], &content, &n, NULL))
			return err_set(e, -E_NOTFOUND,
				"unable to create docker endpoint config: open %s: no such file or "
				"directory",
				files[i]);
		(void)g_mkdir_with_parents(below, 0700);
		ok = g_file_set_contents_full(
			to, content, (gssize)n, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
	}
	return ok ? 0 : err_set(e, -EIO, "cannot write %s", file);
}

static int put_context(struct cli *s, const char *name, json_t *j, char **words,
	const char *description, struct err *e)
{
	char *files[3] = { NULL };
	json_t *endpoint = cli_at(j, "Endpoints.docker");
	int r = 0;

	if (description)
		json_object_set_new(
			json_object_get(j, "Metadata"), "Description", json_string(description));
	for (; words && *words && r >= 0; words++) {
		g_auto(GStrv) fields = g_strsplit(*words, ",", -1);

		r = read_endpoint(s, fields, endpoint, files, e);
	}
	if (r >= 0) {
		/* the host first, as docker writes it */
		json_t *skip = json_incref(json_object_get(endpoint, "SkipTLSVerify"));

		json_object_del(endpoint, "SkipTLSVerify");
		json_object_set_new(endpoint, "SkipTLSVerify", skip ?: json_false());
		r = write_context(s, name, j, files, e);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
		g_free(files[i]);
	return r;
}

static int context_create_run(struct cmd_call *call, struct err *e)
{
	const struct context_create_args *a = call->args;
	struct cli *s = cli_of(call);
	const char *name = call->operands[0], *host = g_getenv("DOCKER_HOST");
	char *words[] = { a->docker, NULL };
	json_t *j;
	int r = check_name(name, e);

	if (r < 0)
		return r;
	j = cli_context_read(s, name, NULL);
	if (j) {
		json_decref(j);
		return err_set(e, -E_EXISTS, "context \"%s\" already exists", name);
	}
	j = json_pack("{s:s,s:{},s:{s:{s:b}}}", "Name", name, "Metadata", "Endpoints", "docker",
		"SkipTLSVerify", 0);
	if (!a->docker && !a->from && host && *host)
		json_object_set_new(cli_at(j, "Endpoints.docker"), "Host", json_string(host));
	if (a->from && strcmp(a->from, "default") != 0) {
		json_t *other = cli_context_read(s, a->from, e);

		if (other)
			(void)json_object_update(
				cli_at(j, "Endpoints.docker"), cli_at(other, "Endpoints.docker"));
		else
			r = -E_NOTFOUND;
		json_decref(other);
	}
	if (r >= 0)
		r = put_context(s, name, j, words, a->description, e);
	json_decref(j);
	if (r < 0)
		return r;
	printf("%s\n", name);
	(void)fflush(stdout);
	(void)fprintf(stderr, "Successfully created context \"%s\"\n", name);
	return 0;
}

static int context_update_run(struct cmd_call *call, struct err *e)
{
	const struct context_update_args *a = call->args;
	const char *name = call->operands[0];
	char *words[] = { a->docker, NULL };
	json_t *j = check_name(name, e) < 0 ? NULL : cli_context_read(cli_of(call), name, e);
	int r = j ? put_context(cli_of(call), name, j, words, a->description, e) : -E_NOTFOUND;

	json_decref(j);
	if (r < 0)
		return r;
	printf("%s\n", name);
	(void)fflush(stdout);
	(void)fprintf(stderr, "Successfully updated context \"%s\"\n", name);
	return 0;
}

static int context_use_run(struct cmd_call *call, struct err *e)
{
	struct cli *s = cli_of(call);
	const char *name = call->operands[0], *host = g_getenv("DOCKER_HOST");
	json_t *j = NULL;
	int r;

	if (strcmp(name, "default") != 0) {
		j = cli_context_read(s, name, e);
		if (!j)
			return -E_NOTFOUND;
		json_decref(j);
		json_object_set_new(cli_config(s), "currentContext", json_string(name));
	} else {
		json_object_del(cli_config(s), "currentContext");
	}
	r = cli_config_save(s, e);
	if (r < 0)
		return r;
	printf("%s\n", name);
	(void)fflush(stdout);
	(void)fprintf(stderr, "Current context is now \"%s\"\n", name);
	if (host && *host && strcmp(name, "default") != 0)
		(void)fprintf(stderr,
			"Warning: DOCKER_HOST environment variable overrides the active context. "
			"To use \"%s\", either set the global --context flag, or unset DOCKER_HOST "
			"environment variable.\n",
			name);
	return 0;
}

static void remove_tree(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_strdup_printf("%s/%s", folder, entry);

		if (g_file_test(path, G_FILE_TEST_IS_DIR) &&
			!g_file_test(path, G_FILE_TEST_IS_SYMLINK))
			remove_tree(path);
		else
			(void)unlink(path);
	}
	(void)rmdir(folder);
}

static int remove_context(
	struct cli *s, const struct context_rm_args *a, const char *name, struct err *e)
{
	const char *current = json_string_value(json_object_get(cli_config(s), "currentContext"));
	g_autofree char *meta = cli_context_folder(s, "meta", name),
			*tls = cli_context_folder(s, "tls", name);
	json_t *j;

	if (strcmp(name, "default") == 0)
		return err_set(e, -E_INVALID, "context \"default\" cannot be removed");
	j = cli_context_read(s, name, NULL);
	json_decref(j);
	if (!j)
		return a->force ? 0
				: err_set(e, -E_NOTFOUND, "context \"%s\" does not exist", name);
	if (current && strcmp(current, name) == 0) {
		if (!a->force)
			return err_set(e, -E_INUSE,
				"context \"%s\" is in use, set -f flag to force remove", name);
		json_object_del(cli_config(s), "currentContext");
		(void)cli_config_save(s, e);
	}
	remove_tree(meta);
	remove_tree(tls);
	return 0;
}

static int context_rm_run(struct cmd_call *call, struct err *e)
{
	int status = 0;

	for (char **name = call->operands; *name; name++) {
		if (remove_context(cli_of(call), call->args, *name, e) < 0) {
			cli_failed(e);
			status = 1;
		} else {
			printf("%s\n", *name);
		}
	}
	return status;
}

static int context_later_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *folder = g_strdup_printf("%s/contexts", cli_folder(cli_of(call)));

	return err_set(e, -E_UNSUPPORTED,
		"'%s' is not there yet: copy the folders of '%s' until it is", call->full_name,
		folder);
}

#define CREATE_TEXT                                                                       \
	"Create a context\n"                                                              \
	"\n"                                                                              \
	"Docker endpoint config:\n"                                                       \
	"\n"                                                                              \
	"NAME                DESCRIPTION\n"                                               \
	"from                Copy named context's Docker endpoint configuration\n"        \
	"host                Docker endpoint on which to connect\n"                       \
	"ca                  Trust certs signed only by this CA\n"                        \
	"cert                Path to TLS certificate file\n"                              \
	"key                 Path to TLS key file\n"                                      \
	"skip-tls-verify     Skip TLS certificate validation\n"                           \
	"\n"                                                                              \
	"Example:\n"                                                                      \
	"\n"                                                                              \
	"$ docker context create my-context --description \"some description\" --docker " \
	"\"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\""

#define UPDATE_TEXT                                                                       \
	"Update a context\n"                                                              \
	"\n"                                                                              \
	"Docker endpoint config:\n"                                                       \
	"\n"                                                                              \
	"NAME                DESCRIPTION\n"                                               \
	"from                Copy named context's Docker endpoint configuration\n"        \
	"host                Docker endpoint on which to connect\n"                       \
	"ca                  Trust certs signed only by this CA\n"                        \
	"cert                Path to TLS certificate file\n"                              \
	"key                 Path to TLS key file\n"                                      \
	"skip-tls-verify     Skip TLS certificate validation\n"                           \
	"\n"                                                                              \
	"Example:\n"                                                                      \
	"\n"                                                                              \
	"$ docker context update my-context --description \"some description\" --docker " \
	"\"host=tcp://myserver:2376,ca=~/ca-file,cert=~/cert-file,key=~/key-file\""

/* clang-format off */
static const struct opt context_create_opts[] = {
	OPT_STRING(0, "description", struct context_create_args, description, "string", complete_none, "Description of the context"),
	OPT_STRING(0, "docker", struct context_create_args, docker, "stringToString", complete_none, "set the docker endpoint (default [])"),
	OPT_STRING(0, "from", struct context_create_args, from, "string", complete_none, "create context from a named context"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt context_inspect_opts[] = {
	OPT_STRING('f', "format", struct context_inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt context_ls_opts[] = {
	OPT_STRING(0, "format", struct context_ls_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('q', "quiet", struct context_ls_args, quiet, "Only show context names"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt context_rm_opts[] = {
	OPT_FLAG('f', "force", struct context_rm_args, force, "Force the removal of a context in use"),
	OPT_END
};
/* clang-format on */
/* clang-format off */
static const struct opt context_update_opts[] = {
	OPT_STRING(0, "description", struct context_update_args, description, "string", complete_none, "Description of the context"),
	OPT_STRING(0, "docker", struct context_update_args, docker, "stringToString", complete_none, "set the docker endpoint (default [])"),
	OPT_END
};
/* clang-format on */
static const struct cmd docker_context_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = context_create_run,
	.opts = context_create_opts,
	.args_size = sizeof(struct context_create_args),
	.brief = "Create a context",
	.synopsis = "[OPTIONS] CONTEXT",
	.min_operands = 1,
	.max_operands = 1,
	.details = CREATE_TEXT,
};
static const struct cmd docker_context_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = context_inspect_run,
	.opts = context_inspect_opts,
	.args_size = sizeof(struct context_inspect_args),
	.brief = "Display detailed information on one or more contexts",
	.synopsis = "[OPTIONS] [CONTEXT] [CONTEXT...]",
	.max_operands = -1,
};
static const struct cmd docker_context_ls_cmd = {
	CMD_FILE,
	.name = "ls",
	.run = context_ls_run,
	.opts = context_ls_opts,
	.args_size = sizeof(struct context_ls_args),
	.brief = "List contexts",
	.synopsis = "[OPTIONS]",
	.aliases = "list",
};
static const struct cmd docker_context_rm_cmd = {
	CMD_FILE,
	.name = "rm",
	.run = context_rm_run,
	.opts = context_rm_opts,
	.args_size = sizeof(struct context_rm_args),
	.brief = "Remove one or more contexts",
	.synopsis = "CONTEXT [CONTEXT...]",
	.min_operands = 1,
	.max_operands = -1,
	.aliases = "remove",
};
static const struct cmd docker_context_show_cmd = {
	CMD_FILE,
	.name = "show",
	.run = context_show_run,
	.brief = "Print the name of the current context",
	.synopsis = "",
};
static const struct cmd docker_context_update_cmd = {
	CMD_FILE,
	.name = "update",
	.run = context_update_run,
	.opts = context_update_opts,
	.args_size = sizeof(struct context_update_args),
	.brief = "Update a context",
	.synopsis = "[OPTIONS] CONTEXT",
	.min_operands = 1,
	.max_operands = 1,
	.details = UPDATE_TEXT,
};
static const struct cmd docker_context_use_cmd = {
	CMD_FILE,
	.name = "use",
	.run = context_use_run,
	.brief = "Set the current docker context",
	.synopsis = "CONTEXT",
	.min_operands = 1,
	.max_operands = 1,
};
static const struct cmd docker_context_export_cmd = {
	CMD_FILE,
	.name = "export",
	.run = context_later_run,
	.brief = "Export a context to a tar archive FILE or a tar stream on STDOUT.",
	.synopsis = "[OPTIONS] CONTEXT [FILE|-]",
	.min_operands = 1,
	.max_operands = 2,
};

static const struct cmd docker_context_import_cmd = {
	CMD_FILE,
	.name = "import",
	.run = context_later_run,
	.brief = "Import a context from a tar or zip file",
	.synopsis = "CONTEXT FILE|-",
	.min_operands = 2,
	.max_operands = 2,
};

static const struct cmd *const context_subs[] = {
	&docker_context_create_cmd,
	&docker_context_export_cmd,
	&docker_context_import_cmd,
	&docker_context_inspect_cmd,
	&docker_context_ls_cmd,
	&docker_context_rm_cmd,
	&docker_context_show_cmd,
	&docker_context_update_cmd,
	&docker_context_use_cmd,
	NULL,
};

const struct cmd docker_context_cmd = {
	CMD_FILE,
	.name = "context",
	.brief = "Manage contexts",
	.sub = context_subs,
};
