/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_TRANSFER_H
#define LODGE_DIALECT_TRANSFER_H

/* What pull, push and run print while layers come or go. Docker's words. */

#include "dialect/lodge/lodge.h"
#include "image/pull.h"
#include "image/ref.h"

struct transfer_layer {
	char *digest;
	enum transfer_state state;
	int64_t done, total;
};

struct transfer {
	enum {
		TRANSFER_QUIET,
		TRANSFER_BARS,
		TRANSFER_LINES,
		TRANSFER_JSON,
	} style;
	bool push;
	struct transfer_layer *layers;
	unsigned n, drawn;
	int64_t began, last;
	struct transfer_progress progress;
};

/* style: auto, tty, plain or json; NULL: auto. */
int transfer_init(struct transfer *t, bool push, bool quiet, const char *style, struct err *e);
void transfer_done(struct transfer *t);
/* A line beside the layers', in the same form. */
void transfer_say(const struct transfer *t, const char *fmt, ...) _printf_(2, 3);

/* Makes sure, as `pull` says (missing, always, never; NULL: missing), that what the user wrote is here: *ret: the name
 * that it has here. Caller frees. */
int pull_for_run(struct cmd_call *call, const char *written, const char *pull, const char *platform,
	bool quiet, char **ret, struct err *e);

extern const struct cmd image_pull_cmd, image_push_cmd;
extern const struct cmd image_diff_cmd, image_mount_cmd, image_outdated_cmd, image_tree_cmd,
	image_unmount_cmd;				    /* image-look.c */
extern const struct cmd image_repack_cmd, image_unpack_cmd; /* image-bundle.c */

#endif
