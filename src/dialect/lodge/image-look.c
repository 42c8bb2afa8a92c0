/* SPDX-License-Identifier: MIT */
/* image diff, mount, unmount, tree, outdated. */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/lodge/transfer.h"
#include "guest/image-root.h"
#include "image/manifest.h"
#include "image/ref.h"
#include "image/transport.h"
#include "store/blob.h"

/* --- diff ------------------------------------------------------------------------------------------------------- */

static void print_change(void *data, char kind, const char *path)
{
	printf("%c %s\n", kind, path);
}

static int diff_run(struct cmd_call *call, struct err *e)
{
	return image_diff(call->c, call->operands[0], call->operands[1], print_change, NULL, e);
}

const struct cmd image_diff_cmd = {
	CMD_FILE,
	.name = "diff",
	.run = diff_run,
	.brief = "what one image has that another hasn't",
	.synopsis = "IMAGE IMAGE",
	.details = "A: added in the second one, C: changed, D: deleted. Times don't count.",
	.min_operands = 2,
	.max_operands = 2,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};

/* --- mount, unmount --------------------------------------------------------------------------------------------- */

static int print_mounted(struct cmd_call *call, struct err *e)
{
	g_autoptr(GPtrArray) ids = NULL;
	int r = image_mounted(call->c, &ids, e);

	for (unsigned i = 0; r >= 0 && i < ids->len; i++) {
		_cleanup_(image_record_freep) struct image_record *x = NULL;
		g_autofree char *name = NULL, *path = NULL;

		if (image_resolve(call->c, ids->pdata[i], &x, NULL) < 0)
			continue;
		name = x->names[0] ? ref_show(x->names[0]) : short_id(x->id);
		r = image_mount(call->c, ids->pdata[i], &path, e);
		if (r >= 0)
			printf("%s  %s\n", name, path);
	}
	return r;
}

static int mount_run(struct cmd_call *call, struct err *e)
{
	int status = 0;

	if (call->n_operands == 0)
		return print_mounted(call, e);
	for (int i = 0; i < call->n_operands; i++) {
		g_autofree char *path = NULL;
		struct err one = { 0 };
		int r = image_mount(call->c, call->operands[i], &path, &one);

		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			printf("%s\n", path);
	}
	return status;
}

const struct cmd image_mount_cmd = {
	CMD_FILE,
	.name = "mount",
	.run = mount_run,
	.brief = "mount images read-only, and say where",
	.synopsis = "[IMAGE...]",
	.details = "Without an image: what is mounted. It lasts until image unmount or the next "
		   "boot; meanwhile "
		   "the image isn't removed.",
	.max_operands = -1,
	.complete = complete_image,
};

struct unmount_args {
	bool all;
};

static const struct opt unmount_opts[] = {
	OPT_FLAG('a', "all", struct unmount_args, all, "all that are mounted"), OPT_END
};

static int unmount_run(struct cmd_call *call, struct err *e)
{
	const struct unmount_args *a = call->args;
	g_autoptr(GPtrArray) ids = NULL;
	int r, status = 0;

	if (a->all ? call->n_operands > 0 : call->n_operands == 0)
		return err_set(e, -E_USAGE, "name images, or use --all");
	r = image_mounted(call->c, &ids, e);
	if (r < 0)
		return r;
	if (!a->all) {
		g_ptr_array_set_size(ids, 0);
		for (int i = 0; i < call->n_operands; i++)
			g_ptr_array_add(ids, g_strdup(call->operands[i]));
	}
	for (unsigned i = 0; i < ids->len; i++) {
		struct err one = { 0 };

		r = image_unmount(call->c, ids->pdata[i], &one);
		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			printf("%s\n", (char *)ids->pdata[i]);
	}
	return status;
}

const struct cmd image_unmount_cmd = {
	CMD_FILE,
	.name = "unmount",
	.run = unmount_run,
	.opts = unmount_opts,
	.args_size = sizeof(struct unmount_args),
	.brief = "unmount images",
	.synopsis = "[OPTIONS] [IMAGE...]",
	.max_operands = -1,
	.complete = complete_image,
	.aliases = "umount",
};

/* --- tree ------------------------------------------------------------------------------------------------------- */

static void print_names(const struct image_record *i)
{
	for (char **n = i->names; *n; n++) {
		g_autofree char *shown = ref_show(*n);

		printf("%s%s", n > i->names ? " " : "", shown);
	}
}

/* Whether x ends with layer n of i, having the same ones below. */
static bool ends_there(const struct image_record *i, unsigned n, const struct image_record *x)
{
	if (g_strv_length(x->layers) != n + 1)
		return false;
	for (unsigned k = 0; k <= n; k++)
		if (strcmp(x->layers[k], i->layers[k]) != 0)
			return false;
	return true;
}

static void print_layer(
	const struct image_record *i, unsigned n, const GPtrArray *layers, const GPtrArray *images)
{
	g_autofree char *id = short_id(i->layers[n]), *size = NULL;
	int64_t bytes = 0;

	for (unsigned k = 0; k < layers->len; k++) {
		const struct layer_record *l = layers->pdata[k];

		if (strcmp(l->digest, i->layers[n]) == 0)
			bytes = l->size;
	}
	size = units_show_size(bytes);
	printf("%s ID: %s Size: %7s", i->layers[n + 1] ? "├──" : "└──", id, size);
	for (unsigned k = 0; k < images->len; k++) {
		const struct image_record *x = images->pdata[k];

		if (!x->names[0] || !ends_there(i, n, x))
			continue;
		printf(" Top Layer of: [");
		print_names(x);
		printf("]");
	}
	printf("\n");
}

static int tree_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autoptr(GPtrArray) layers = NULL, images = NULL;
	g_autofree char *id = NULL, *size = NULL;
	struct store *s;
	int r = image_resolve(call->c, call->operands[0], &i, e);

	if (r >= 0)
		r = image_need_layers(i, call->operands[0], e);
	if (r >= 0)
		r = store_get(call->c, &s, e);
	if (r >= 0)
		r = store_layer_list(s, &layers, e);
	if (r >= 0)
		r = store_image_list(s, &images, e);
	if (r < 0)
		return r;
	id = short_id(i->id);
	size = units_show_size(i->size);
	printf("Image ID: %s\nTags:     [", id);
	print_names(i);
	printf("]\nSize:     %s\nImage Layers\n", size);
	for (unsigned n = 0; i->layers[n]; n++)
		print_layer(i, n, layers, images);
	return 0;
}

const struct cmd image_tree_cmd = {
	CMD_FILE,
	.name = "tree",
	.run = tree_run,
	.brief = "an image's layers, and whose else they are",
	.synopsis = "IMAGE",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};

/* --- outdated --------------------------------------------------------------------------------------------------- */

struct outdated_args {
	bool quiet;
	char *format, *authfile, *creds;
	int tls_verify;
};

/* clang-format off */
static const struct opt outdated_opts[] = {
	OPT_STRING(0, "authfile", struct outdated_args, authfile, "FILE", complete_file, "file of credentials"),
	OPT_STRING(0, "creds", struct outdated_args, creds, "USER[:PASSWORD]", complete_none, "credentials for the registry"),
	OPT_STRING(0, "format", struct outdated_args, format, "FORMAT", complete_none, "table, json, or a template"),
	OPT_FLAG('q', "quiet", struct outdated_args, quiet, "only the names of outdated ones"),
	OPT_TRISTATE(0, "tls-verify", struct outdated_args, tls_verify, "check certificates, and refuse plain http"),
	OPT_END
};
/* clang-format on */

static const struct tab_column outdated_columns[] = {
	{ "IMAGE", "Name" },
	{ "STATE", "State" },
	{ "HERE", "Here" },
	{ "THERE", "There" },
	{ NULL, NULL },
};

/* What the name stands for at the registry: of an index, the manifest for the image's machine. Caller frees. */
static int digest_there(struct cmd_call *call, const struct image_record *i, const char *name,
	char **ret, struct err *e)
{
	const struct outdated_args *a = call->args;
	struct transport_options o = { .tls_verify = a->tls_verify,
		.auth_file = a->authfile,
		.creds = a->creds,
		.loopback_insecure = true };
	_cleanup_(transport_in_freep) struct transport_in *in = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	g_autofree char *rest = g_strconcat("//", name, NULL), *text = NULL, *type = NULL;
	const struct descriptor *d;
	size_t size;
	int r;

	r = transport_docker.open_in(call->c, rest, &o, &in, e);
	if (r >= 0)
		r = in->ops->document(in, NULL, &text, &size, &type, e);
	if (r < 0)
		return r;
	*ret = blob_digest(text, size);
	if (g_strcmp0(*ret, i->manifest) == 0 || manifest_parse(text, size, type, &m, NULL) < 0 ||
		!m->index || manifest_choose(m, i->os, i->arch, NULL, &d, NULL) < 0)
		return 0;
	g_free(*ret);
	*ret = g_strdup(d->digest);
	return 0;
}

static int add_outdated(
	struct cmd_call *call, const struct image_record *i, const char *name, json_t *rows)
{
	const struct outdated_args *a = call->args;
	g_autofree char *there = NULL, *shown = ref_show(name);
	const char *state;
	struct err e = { 0 };
	int r = 0;

	if (!i->manifest) {
		state = "unknown";
	} else {
		r = digest_there(call, i, name, &there, &e);
		state = r == -E_NOTFOUND ? "gone" : r < 0 ? "failed" : "current";
		if (r >= 0 && strcmp(there, i->manifest) != 0)
			state = "outdated";
		if (r < 0 && r != -E_NOTFOUND)
			(void)print_failed(&e, r);
	}
	if (!a->quiet || strcmp(state, "outdated") == 0)
		(void)json_array_append_new(
			rows, json_pack("{s:s, s:s, s:s, s:s}", "Name", shown, "State", state,
				      "Here", i->manifest ?: "", "There", there ?: ""));
	return r < 0 && r != -E_NOTFOUND ? 1 : 0;
}

/* All names of an image, or the one that it was called by. */
static int add_names(
	struct cmd_call *call, const struct image_record *i, const char *called, json_t *rows)
{
	g_autofree char *full = NULL;
	struct ref ref;
	int status = 0;

	if (called && ref_parse(called, 0, &ref, NULL) >= 0) {
		full = ref_full(&ref);
		ref_clear(&ref);
		if (!g_strv_contains((const char *const *)i->names, full))
			g_clear_pointer(&full, g_free);
	}
	for (char **n = i->names; !i->disk && *n; n++)
		if (!full || strcmp(*n, full) == 0)
			status |= add_outdated(call, i, *n, rows);
	return status;
}

static int outdated_run(struct cmd_call *call, struct err *e)
{
	const struct outdated_args *a = call->args;
	g_autoptr(GPtrArray) images = NULL;
	json_t *rows = json_array();
	struct store *s;
	int r, status = 0;

	r = store_get(call->c, &s, e);
	if (r >= 0 && call->n_operands == 0)
		r = store_image_list(s, &images, e);
	for (unsigned i = 0; r >= 0 && images && i < images->len; i++)
		status |= add_names(call, images->pdata[i], NULL, rows);
	for (int i = 0; r >= 0 && i < call->n_operands; i++) {
		_cleanup_(image_record_freep) struct image_record *x = NULL;

		r = image_resolve(call->c, call->operands[i], &x, e);
		if (r >= 0)
			status |= add_names(call, x, call->operands[i], rows);
	}
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	r = print_rows(outdated_columns, rows, a->quiet, "Name", a->format, e);
	return r < 0 ? r : status;
}

const struct cmd image_outdated_cmd = {
	CMD_FILE,
	.name = "outdated",
	.run = outdated_run,
	.opts = outdated_opts,
	.args_size = sizeof(struct outdated_args),
	.brief = "whether registries have newer images of the same names",
	.synopsis = "[OPTIONS] [IMAGE...]",
	.details = "Digests are compared, nothing is pulled. An image that came without a manifest "
		   "is unknown.",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};
