/* SPDX-License-Identifier: MIT */
#ifndef LODGE_QCOW2_H
#define LODGE_QCOW2_H

/*
 * The header of a qcow2 file, as far as it must be known before a program of ours or qemu-img opens the file
 * with our rights: it may have been written by a machine that broke into its QEMU. qemu/docs/interop/qcow2.txt.
 */

#include <stdbool.h>
#include "base/err.h"

struct qcow2_header {
	uint32_t version;
	uint64_t size;	  /* bytes that a guest sees */
	uint64_t backing; /* offset of the name of the file below; 0: none */
	uint32_t snapshots;
	bool encrypted;
	bool external; /* its data lies in another file that it names */
};

#define QCOW2_HEADER_SIZE 104

/* p: the first QCOW2_HEADER_SIZE bytes of the file, or all n of a shorter one. Pure. -EBADMSG: not qcow2. */
int qcow2_parse(const uint8_t *p, size_t n, struct qcow2_header *ret);

/* Opens nothing but the file. An error with its text when it isn't a qcow2 file whose data is in itself. */
int qcow2_check_alone(const char *path, struct err *e);

#endif
