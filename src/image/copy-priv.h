/* SPDX-License-Identifier: MIT */
#ifndef LODGE_COPY_PRIV_H
#define LODGE_COPY_PRIV_H

#include "image/copy.h"

struct copy {
	struct transport_in *from;
	struct transport_out *to;
	const struct copy_options *o;
};

void copy_tell(struct copy *c, const char *fmt, ...) _printf_(2, 3);

/* What becomes of a blob. */
struct copied {
	char digest[72];
	int64_t size;
	enum layer_packing packing; /* PACKING_OTHER: it stayed as it was */
};

/* One blob as it is. type: its media type. */
int copy_blob(struct copy *c, const struct descriptor *d, struct err *e);
/* A layer; diff_id: of its tar, NULL: not known. May change it, unless `stay`. */
int copy_layer(struct copy *c, const struct descriptor *d, const char *diff_id, bool stay,
	struct copied *ret, struct err *e);
/* A small blob, checked, with a NUL behind it. */
int copy_read(struct copy *c, const struct descriptor *d, char **ret, struct err *e);
int copy_write(struct copy *c, const struct descriptor *d, const char *text, struct err *e);

#endif
