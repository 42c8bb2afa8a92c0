/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CHILD_H
#define LODGE_CHILD_H

/*
 * A program that is run for its output, with what it says on standard error told as progress. It has a process
 * group of its own and dies with us, and with it goes, as root, all that it started and mounted. SIGINT, SIGTERM and
 * SIGHUP that come to us end it, and then the call returns -ECANCELED.
 */

#include "image/image.h"

struct child {
	char **argv;
	const char *tmpdir; /* TMPDIR of the program */
	const struct image_progress *progress;
	/* Its standard output; NULL: goes where standard error goes. A code ends the program. */
	int (*output)(void *data, const void *bytes, size_t size, struct err *e);
	void *data;
};

/* 0 when it ended with status 0. Otherwise -EIO and e has its first complaint (a line with "E:", or the last
 * line), or the code of output, or -ECANCELED. -E_NOTFOUND (no text): there is no such program. */
int child_run(const struct child *x, struct err *e);

#endif
