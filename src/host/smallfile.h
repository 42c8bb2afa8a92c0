/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SMALLFILE_H
#define LODGE_SMALLFILE_H

/* The kernel's small text files: /proc, /sys, cgroups. One system call reads, one writes. */

#include <stddef.h>
#include <stdint.h>
#include "base/macros.h"

enum {
	SMALL_MAX = 4096
}; /* what a buffer for one of them should hold; longer ones are cut */

/* Reads path below dir_fd (or AT_FDCWD) into buf and ends it with NUL, without the last newline. The
 * length, or a negative errno. */
int small_read_at(int dir_fd, const char *path, char *buf, size_t size);
int small_read(const char *path, char *buf, size_t size);

/* A number in decimal; "max" is UINT64_MAX. -EINVAL for anything else. */
int small_read_u64(const char *path, uint64_t *ret);

/* Writes text in one write(2); the file must be there. */
int small_write_at(int dir_fd, const char *path, const char *text);
int small_write(const char *path, const char *text);

/* The value of `key` in text of lines "KEY VALUE" or "KEY: VALUE"; -ENOENT when it isn't there. */
int small_find_u64(const char *text, const char *key, uint64_t *ret);

/* Whole string, decimal. -EINVAL, -ERANGE. */
int small_parse_u64(const char *s, uint64_t *ret);
int small_parse_i64(const char *s, int64_t *ret);

/* The digits at *s, which moves behind them. -EINVAL when there are none. */
int small_take_u64(const char **s, uint64_t *ret);

/* "A.B" or "A:B" at *s, with numbers of 32 bits; *s moves behind it. -EINVAL. */
int small_take_two(const char **s, char between, unsigned *ret_a, unsigned *ret_b);

#endif
