/* SPDX-License-Identifier: MIT */
#ifndef LODGE_INIT_WORDS_H
#define LODGE_INIT_WORDS_H

/* The words of a service (MACHINE_SERVE): text, each word ended by NUL. Pure. */

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 8

/* Pointers into data. How many, or -EINVAL: too many, or the last one has no end. */
int words_split(const char *data, size_t size, const char *ret[static WORDS_MAX]);

/* Whether `flag` is one of the list by ','. */
bool words_has(const char *list, const char *flag);

#endif
