/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PULL_H
#define LODGE_PULL_H

/*
 * Images from registries into the store, and back. A pulled layer is hashed, inflated and written as its EROFS image
 * while it comes, several layers at once, each in a process of its own. What has come stays after a failure
 * (store/partial.h), and the next pull goes on there.
 */

#include "image/image.h"
#include "image/transport.h"

enum transfer_state {
	TRANSFER_WAITING,
	TRANSFER_GOING,	 /* bytes come or go */
	TRANSFER_MAKING, /* all bytes are there, the rest is ours */
	TRANSFER_DONE,
	TRANSFER_THERE,	  /* it was there already */
	TRANSFER_MOUNTED, /* push: it was in another repository of the registry */
	_TRANSFER_STATE_MAX,
};

/* Told of each layer's fate, and now and then how far it has come. */
struct transfer_progress {
	/* Once, when it is known what there is to do. digests: of the layers, NULL-terminated. */
	void (*begin)(void *data, const char *name, const char *const *digests);
	/* total: -1 when it isn't known. */
	void (*layer)(
		void *data, unsigned index, enum transfer_state state, int64_t done, int64_t total);
	void *data;
};

struct pull_options {
	const struct transport_options *transport;
	const char *platform; /* "os/arch[/variant]"; NULL: this host's */
	bool all_tags;
	const char *policy;			  /* file; NULL: the usual ones */
	const struct transfer_progress *progress; /* NULL: none */
};

struct pulled {
	char *id;     /* of the image */
	char *name;   /* full, with its tag or digest */
	char *digest; /* of what the name stands for: a manifest or an index */
	int64_t size; /* of that document, where it was pushed */
	bool changed; /* it wasn't there so */
};
void pulled_free(struct pulled *p);

/* written: as the user wrote it: a short name stands for what registries.conf says. *ret: struct pulled each, in the
 * order of the tags; empty with ctx.explain. */
int image_pull(struct ctx *c, const char *written, const struct pull_options *o, GPtrArray **ret,
	struct err *e);

/* The full name under which `written` is here: by the names that it may stand for. -E_NOTFOUND. Caller frees. */
int image_find_written(struct ctx *c, const char *written, const struct transport_options *o,
	char **ret, struct err *e);

/* "os/arch[/variant]" in parts; each may be NULL after it. -E_INVALID. Caller frees. Pure. */
int platform_parse(
	const char *text, char **ret_os, char **ret_arch, char **ret_variant, struct err *e);

struct push_options {
	const struct transport_options *transport;
	bool all_tags;
	const struct transfer_progress *progress;
};
/* Uploads the image of that name to the place that the name says. *ret: struct pulled each. */
int image_push(struct ctx *c, const char *written, const struct push_options *o, GPtrArray **ret,
	struct err *e);

#endif
