/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PULL_PRIV_H
#define LODGE_PULL_PRIV_H

#include "image/pull.h"
#include "image/registry-priv.h"

#define PULL_WORKERS 3 /* as docker: more connections hardly help, and each has its buffers */

struct pull {
	struct ctx *c;
	const struct pull_options *o;
	struct registry *registry; /* the one that has the image */
};

struct pull_layer {
	const char *digest, *diff_id; /* of the blob, of the tar */
	int64_t size;		      /* of the blob */
	unsigned number;	      /* in the image */
};

/* Layers that aren't in the store, each once. The store is closed and opened again by it. */
int pull_layers(struct pull *p, const struct pull_layer *layers, unsigned n, struct err *e);

#endif
