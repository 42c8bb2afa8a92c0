/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SQUEEZE_H
#define LODGE_SQUEEZE_H

/*
 * Compression of a stream on all processors, by worker processes with shared memory (codec/press.h has the pieces). What is
 * smaller than a piece is compressed without them. The same bytes come out for any number of workers.
 */

#include "codec/inflate.h"

struct squeeze;

/* level: PRESS_LEVEL_DEFAULT or as press_check() has it. */
int squeeze_new(enum inflate_kind kind, int level, inflate_sink sink, void *arg,
	struct squeeze **ret, struct err *e);
/* Ends the workers, too. */
void squeeze_free(struct squeeze *q);
void squeeze_freep(struct squeeze **q);
int squeeze_write(struct squeeze *q, const void *data, size_t size, struct err *e);
int squeeze_finish(struct squeeze *q, struct err *e);

#endif
