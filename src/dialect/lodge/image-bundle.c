/* SPDX-License-Identifier: MIT */
/* image unpack. */

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
