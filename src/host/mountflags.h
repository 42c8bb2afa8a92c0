/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MOUNTFLAGS_H
#define LODGE_MOUNTFLAGS_H

/* The words of mount(8) as flags. Pure. */

#include <stddef.h>
#include <stdint.h>

struct mount_words {
	unsigned long flags;	       /* MS_* for mount(2) */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* for mount_setattr(2) */
	unsigned long propagation;     /* MS_PRIVATE, MS_SLAVE, ... with MS_REC; 0: none named */
	int recursive;		       /* rbind */
	int recursive_attr;	       /* rro: the flags go to all mounts below, too */
};

/* words: "ro,nosuid,rbind"; those that are not flags go to data (size bytes, by ','). -ENAMETOOLONG. */
int mount_words_parse(const char *words, struct mount_words *ret, char *data, size_t size);

/* The known words, from 0 on, until NULL. */
const char *mount_word(unsigned i);

#endif
