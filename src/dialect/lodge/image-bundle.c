/* SPDX-License-Identifier: MIT */
/* image repack, unpack. */

#include "dialect/lodge/lodge.h"
#include "dialect/lodge/transfer.h"
#include "image/bundle.h"

struct unpack_args {
	char *image, **uid_map, **gid_map;
	bool rootless, keep_dirlinks;
};

/* clang-format off */
static const struct opt unpack_opts[] = {
	OPT_LIST(0, "gid-map", struct unpack_args, gid_map, "CONTAINER:HOST[:SIZE]", complete_none, "groups of the image on the host"),
	OPT_STRING(0, "image", struct unpack_args, image, "DIR[:TAG]", complete_file, "an OCI layout, and the image's tag in it (latest)"),
	OPT_FLAG(0, "keep-dirlinks", struct unpack_args, keep_dirlinks, "don't replace links to folders by folders"),
	OPT_FLAG(0, "rootless", struct unpack_args, rootless, "all belongs to you; owners are noted in attributes"),
	OPT_LIST(0, "uid-map", struct unpack_args, uid_map, "CONTAINER:HOST[:SIZE]", complete_none, "users of the image on the host"),
	OPT_END
};
/* clang-format on */

static int unpack_run(struct cmd_call *call, struct err *e)
{
	const struct unpack_args *a = call->args;
	const struct bundle_options o = { .uid_map = a->uid_map,
		.gid_map = a->gid_map,
		.rootless = a->rootless,
		.keep_dirlinks = a->keep_dirlinks };

	if (!a->image)
		return err_set(e, -E_USAGE, "which image? --image DIR[:TAG]");
	return bundle_unpack(call->c, a->image, call->operands[0], &o, e);
}

const struct cmd image_unpack_cmd = {
	CMD_FILE,
	.name = "unpack",
	.run = unpack_run,
	.opts = unpack_opts,
	.args_size = sizeof(struct unpack_args),
	.brief = "an image of a layout as a bundle for OCI runtimes",
	.synopsis = "--image DIR[:TAG] [OPTIONS] BUNDLE",
	.details = "Makes what umoci makes: config.json, rootfs, umoci.json, and a record of what "
		   "was unpacked. Of an index it is the image for this machine.",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_file,
};

struct repack_args {
	char *image, *author, *comment, *created, *created_by, **mask_path;
	bool no_history, no_mask_volumes, refresh;
};

/* clang-format off */
static const struct opt repack_opts[] = {
	OPT_STRING(0, "history.author", struct repack_args, author, "TEXT", complete_none, "who made the layer"),
	OPT_STRING(0, "history.comment", struct repack_args, comment, "TEXT", complete_none, "a comment on the layer"),
	OPT_STRING(0, "history.created", struct repack_args, created, "TIME", complete_none, "when it was made (now), as 2026-01-02T03:04:05Z"),
	OPT_STRING(0, "history.created_by", struct repack_args, created_by, "TEXT", complete_none, "what made it"),
	OPT_STRING(0, "image", struct repack_args, image, "DIR[:TAG]", complete_file, "the layout that the bundle came from, and the new image's tag (latest)"),
	OPT_LIST(0, "mask-path", struct repack_args, mask_path, "PATH", complete_none, "don't look at what changed there"),
	OPT_FLAG(0, "no-history", struct repack_args, no_history, "without an entry of the history"),
	OPT_FLAG(0, "no-mask-volumes", struct repack_args, no_mask_volumes, "look into the image's volumes, too"),
	OPT_FLAG(0, "refresh-bundle", struct repack_args, refresh, "make the bundle one of the new image"),
	OPT_END
};
/* clang-format on */

static int repack_run(struct cmd_call *call, struct err *e)
{
	const struct repack_args *a = call->args;
	const struct bundle_repack_options o = { .author = a->author,
		.comment = a->comment,
		.created = a->created,
		.created_by = a->created_by,
		.no_history = a->no_history,
		.no_mask_volumes = a->no_mask_volumes,
		.mask_path = a->mask_path,
		.refresh = a->refresh };

	if (!a->image)
		return err_set(e, -E_USAGE, "which image? --image DIR[:TAG]");
	return bundle_repack(call->c, a->image, call->operands[0], &o, e);
}

const struct cmd image_repack_cmd = {
	CMD_FILE,
	.name = "repack",
	.run = repack_run,
	.opts = repack_opts,
	.args_size = sizeof(struct repack_args),
	.brief = "what has changed in a bundle, as a new layer of its image",
	.synopsis = "--image DIR[:TAG] [OPTIONS] BUNDLE",
	.details = "The bundle is one of image unpack, or of umoci.",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_file,
};
