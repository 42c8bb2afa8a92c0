/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_MACHINE_TEXT_H
#define LODGE_GUEST_MACHINE_TEXT_H

/* What services of lodge-init write (wire/machine.h), decoded and checked: it is the guest's word. Pure. All return
 * -E_CORRUPT for what lodge-init doesn't write. */

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

/* "stat": *ret_target is g_free()d; "" for what is no link. */
int machine_stat_parse(const char *text, size_t n, mode_t *ret_mode, char **ret_target);

/* "changes": an array as guest_diff() gives it, without what every guest gets from us: empty files and mount points
 * in /etc and the kernel's folders. Paths that aren't UTF-8 are left out. */
int machine_changes_parse(const char *text, size_t n, json_t **ret);

/* "ps" as the table of guest_top(), with the columns of ps -ef. now: nanoseconds since 1970. */
int machine_ps_parse(const char *text, size_t n, int64_t now, json_t **ret);

#endif
