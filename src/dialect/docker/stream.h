/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_STREAM_H
#define LODGE_DOCKER_STREAM_H

/* A guest's streams on a connection: as they are for a terminal, else in frames (swagger, ContainerAttach). */

#include "dialect/docker/container.h"

#define STREAM_HEAD 8 /* bytes before a frame */

struct stream_out {
	struct link *link;
	bool frames, chunks; /* chunks: the answer is chunked, not hijacked */
	bool out, err;	     /* wanted */
};

/* guest_stdio.output */
int stream_output(void *data, int stream, const void *p, size_t n);
/* The head of the answer of a call that takes the connection: 101, or 200 where the client doesn't ask for it. */
int stream_head(struct call *c, struct link *l, bool tty);
/* A descriptor from which the client's bytes can be read; -1: none. May start a process that copies them. */
int stream_input(struct link *l);

#endif
