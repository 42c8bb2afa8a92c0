/* SPDX-License-Identifier: MIT */
/* list-tags and delete: skopeo-list-tags(1), skopeo-delete(1). */
#include <string.h>
#include "dialect/skopeo/skopeo.h"
#include "image/ref.h"

struct tags_args {
	struct where_args where;
	int64_t retry_times;
};

/* clang-format off */
static const struct opt tags_opts[] = {
	OPT_INT(0, "retry-times", struct tags_args, retry_times, "N", "how often to try again"),
	WHERE_OPTS("", struct tags_args, where),
	OPT_END
};
static const struct opt delete_opts[] = {
	OPT_STRING(0, "daemon-host", struct tags_args, where.daemon_host, "HOST", complete_none, "address of the docker daemon"),
	OPT_INT(0, "retry-times", struct tags_args, retry_times, "N", "how often to try again"),
	WHERE_OPTS("", struct tags_args, where),
	OPT_END
};
/* clang-format on */

/* What is opened to be asked: of a registry a repository without a tag; of an archive any of its images. */
static int prepare(const struct transport *t, const char *rest, char **ret_rest,
	char **ret_repository, struct err *e)
{
	struct ref ref;
	int r;

	*ret_repository = NULL;
	if (strcmp(t->name, "docker-archive") == 0) {
		*ret_rest = g_strdup_printf("%.*s:@0", (int)strcspn(rest, ":"), rest);
		return 0;
	}
	if (strcmp(t->name, "docker") != 0)
		return err_set(e, -E_UNSUPPORTED,
			"Unsupported transport '%s' for tag listing. Only supported: docker, "
			"docker-archive",
			t->name);
	if (!g_str_has_prefix(rest, "//"))
		return err_set(
			e, -E_INVALID, "docker: image reference %s does not start with //", rest);
	r = ref_parse(rest + 2, REF_NO_DEFAULT, &ref, e);
	if (r < 0)
		return r;
	if (ref.tag || ref.digest)
		r = err_set(e, -E_INVALID, "No tag or digest allowed in reference");
	*ret_repository = g_strdup_printf("%s/%s", ref.domain, ref.path);
	*ret_rest = g_strdup(rest);
	ref_clear(&ref);
	return r;
}

static int print_tags(struct transport_in *in, const char *repository, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	json_t *o, *tags;
	char *text;
	int r = in->ops->tags(in, &list, e);

	if (r < 0)
		return r;
	o = json_object();
	tags = json_array();
	for (unsigned i = 0; i < list->len; i++)
		(void)json_array_append_new(tags, json_string(list->pdata[i]));
	if (repository)
		(void)json_object_set_new(o, "Repository", json_string(repository));
	(void)json_object_set_new(o, "Tags", tags);
	text = json_dumps(o, JSON_INDENT(4));
	printf("%s\n", text);
	free(text);
	json_decref(o);
	return 0;
}

static int tags_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(transport_in_freep) struct transport_in *in = NULL;
	g_autofree char *repository = NULL, *whole = NULL;
	struct tags_args *a = call->args;
	const struct transport *t;
	struct transport_options o;
	const char *rest;
	int r;

	r = need_operands(call, 1, "Exactly one non-option argument expected", e);
	if (r >= 0)
		r = transport_find(call->operands[0], &t, &rest, e);
	if (r >= 0)
		r = prepare(t, rest, &whole, &repository, e);
	if (r >= 0)
		r = where_fill(skopeo_of(call), &a->where, NULL, a->retry_times, &o, e);
	if (r >= 0)
		r = t->open_in(call->c, whole, &o, &in, e);
	if (r >= 0)
		r = print_tags(in, repository, e);
	where_clear(&a->where);
	return r;
}

const struct cmd skopeo_list_tags = {
	CMD_FILE,
	.name = "list-tags",
	.run = tags_run,
	.opts = tags_opts,
	.args_size = sizeof(struct tags_args),
	.brief = "the tags of a repository or an archive",
	.synopsis = "[OPTIONS] SOURCE-IMAGE",
	.examples = "skopeo list-tags docker://docker.io/library/debian   # as JSON\n",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
};

static int delete_run(struct cmd_call *call, struct err *e)
{
	struct tags_args *a = call->args;
	const struct transport *t;
	struct transport_options o;
	const char *rest;
	int r;

	r = need_operands(call, 1, "Exactly one argument expected", e);
	if (r < 0)
		return r;
	r = transport_find(call->operands[0], &t, &rest, e);
	if (r < 0)
		return err_prefix(e, "Invalid source name %s", call->operands[0]);
	if (!t->remove)
		return err_set(e, -E_UNSUPPORTED, "Deleting images not implemented for %s: images",
			t->name);
	r = where_fill(skopeo_of(call), &a->where, NULL, a->retry_times, &o, e);
	if (r >= 0)
		r = t->remove(call->c, rest, &o, e);
	where_clear(&a->where);
	return r;
}

const struct cmd skopeo_delete = {
	CMD_FILE,
	.name = "delete",
	.run = delete_run,
	.opts = delete_opts,
	.args_size = sizeof(struct tags_args),
	.brief = "delete an image where it is",
	.synopsis = "[OPTIONS] IMAGE",
	.max_operands = -1,
};
