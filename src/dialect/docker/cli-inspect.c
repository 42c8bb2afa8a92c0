/* SPDX-License-Identifier: MIT */
/* docker inspect, and the command of that name in each group. */

#include <string.h>
#include "dialect/docker/cli.h"

struct inspect_args {
	char *format, *type;
	bool size;
};
struct container_inspect_args {
	char *format;
	bool size;
};
struct image_inspect_args {
	char *format, *platform;
};

static const struct {
	const char *type, *path;
} kinds[] = {
	{ "container", "/containers/%s/json" },
	{ "image", "/images/%s/json" },
	{ "network", "/networks/%s" },
	{ "volume", "/volumes/%s" },
	{ "service", "/services/%s" },
	{ "task", "/tasks/%s" },
	{ "node", "/nodes/%s" },
	{ "secret", "/secrets/%s" },
	{ "config", "/configs/%s" },
	{ "plugin", "/plugins/%s/json" },
};

/* What was found is shown in any case; then the errors are. */
int cli_inspect_all(struct cmd_call *call, const char *fmt, const char *query, const char *format,
	struct err *e)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	struct err first[8] = { 0 };
	size_t n = 0;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (r < 0)
		return r;
	for (char **name = call->operands; *name; name++) {
		g_autofree char *path = client_path(fmt, *name),
				*full = g_strconcat(path, query, NULL);
		char *text = NULL;

		r = client_text(cl, "GET", full, NULL, &text, e);
		if (r >= 0)
			g_ptr_array_add(texts, text);
		else if (n < G_N_ELEMENTS(first))
			first[n++] = *e;
	}
	r = cli_inspect(texts, format, e);
	for (size_t i = 0; i < n; i++)
		cli_failed(&first[i]);
	return r < 0 ? r : n > 0;
}

static int container_inspect_run(struct cmd_call *call, struct err *e)
{
	const struct container_inspect_args *a = call->args;

	return cli_inspect_all(call, "/containers/%s/json", a->size ? "?size=1" : "", a->format, e);
}

static int image_inspect_run(struct cmd_call *call, struct err *e)
{
	const struct image_inspect_args *a = call->args;

	if (a->platform)
		return err_set(e, -E_UNSUPPORTED,
			"--platform needs API version 1.49, and this client speaks up "
			"to " DOCKER_API_MAX);
	return cli_inspect_all(call, "/images/%s/json", "", a->format, e);
}

/* Whatever has that name; swarm's answers of a node that is in none count as nothing. */
static int find_any(struct client *cl, const struct inspect_args *a, const char *name, char **ret,
	struct err *e)
{
	int r = -E_NOTFOUND;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = client_path(kinds[i].path, name);
		g_autofree char *full = g_strconcat(path, a->size && i == 0 ? "?size=1" : "", NULL);
		int status;

		if (a->type && strcmp(a->type, kinds[i].type) != 0)
			continue;
		r = client_text(cl, "GET", full, NULL, ret, e);
		if (r >= 0 || r == -ECONNREFUSED)
			return r;
		status = client_status(cl);
		/* a name may not be one at all to another kind */
		if (!a->type && status != 404 && status != 503 && status != 406 && status != 400 &&
			status != 501)
			return r;
		if (a->type)
			return r;
	}
	return err_set(e, -E_NOTFOUND, "Error: No such %s: %s", a->type ?: "object", name);
}

static int inspect_run(struct cmd_call *call, struct err *e)
{
	const struct inspect_args *a = call->args;
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	struct err first[8] = { 0 };
	size_t n = 0;
	struct client *cl;
	bool known = !a->type;
	int r = cli_client(call, &cl, e);

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		known |= a->type && strcmp(a->type, kinds[i].type) == 0;
	if (!known)
		return err_set(e, -E_INVALID,
			"unknown type: \"%s\": must be one of \"config\", \"container\", "
			"\"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", "
			"\"task\", \"volume\"",
			a->type);
	if (r < 0)
		return r;
	for (char **name = call->operands; *name; name++) {
		char *text = NULL;

		if (find_any(cl, a, *name, &text, e) >= 0)
			g_ptr_array_add(texts, text);
		else if (n < G_N_ELEMENTS(first))
			first[n++] = *e;
	}
	r = cli_inspect(texts, a->format, e);
	for (size_t i = 0; i < n; i++)
		cli_failed(&first[i]);
	return r < 0 ? r : n > 0;
}

/* clang-format off */
static const struct opt inspect_opts[] = {
	OPT_STRING('f', "format", struct inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('s', "size", struct inspect_args, size, "Display total file sizes if the type is container"),
	OPT_STRING(0, "type", struct inspect_args, type, "string", complete_none, "Only inspect objects of the given type"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "Return low-level information on Docker objects",
	.synopsis = "[OPTIONS] NAME|ID [NAME|ID...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* clang-format off */
static const struct opt container_inspect_opts[] = {
	OPT_STRING('f', "format", struct container_inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('s', "size", struct container_inspect_args, size, "Display total file sizes"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_container_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = container_inspect_run,
	.opts = container_inspect_opts,
	.args_size = sizeof(struct container_inspect_args),
	.brief = "Display detailed information on one or more containers",
	.synopsis = "[OPTIONS] CONTAINER [CONTAINER...]",
	.min_operands = 1,
	.max_operands = -1,
};

/* clang-format off */
static const struct opt image_inspect_opts[] = {
	OPT_STRING('f', "format", struct image_inspect_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_STRING(0, "platform", struct image_inspect_args, platform, "string", complete_none, "Inspect a specific platform of the multi-platform image.\nIf the image or the server is not multi-platform capable, the command will error out if the platform does not match.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_image_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = image_inspect_run,
	.opts = image_inspect_opts,
	.args_size = sizeof(struct image_inspect_args),
	.brief = "Display detailed information on one or more images",
	.synopsis = "[OPTIONS] IMAGE [IMAGE...]",
	.min_operands = 1,
	.max_operands = -1,
};
