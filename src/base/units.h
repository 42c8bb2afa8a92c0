/* SPDX-License-Identifier: MIT */
#ifndef LODGE_UNITS_H
#define LODGE_UNITS_H

/* Sizes, times and numbers as people write them. Pure. All return 0 or -EINVAL / -ERANGE. */

#include <stdint.h>
#include "base/macros.h"

/* "1024", "512k", "64m", "1.5g", "10GiB", "2MB": binary multiples, as docker's RAMInBytes. */
int units_parse_size(const char *s, int64_t *ret_bytes);
/* "1h30m", "300ms", "10s" (Go's durations); a bare number is seconds. */
int units_parse_duration(const char *s, int64_t *ret_ns);
/* A moment for --since and --until: RFC 3339 (parts may be missing), seconds since 1970 with a fraction,
 * or a duration before `now_ns`. */
int units_parse_moment(const char *s, int64_t now_ns, int64_t *ret_ns);
/* Whole string, decimal, in range. */
int units_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* "1.5GB" (decimal, docker's HumanSize, 4 digits) and "1.5GiB" (binary). Caller frees with g_free. */
char *units_show_size(int64_t bytes);
char *units_show_size_binary(int64_t bytes);
/* "2 hours", "About a minute", "3 weeks": docker's HumanDuration. */
char *units_show_duration(int64_t ns);
/* RFC 3339 with nanoseconds, UTC. */
char *units_show_time(int64_t ns);

#endif
