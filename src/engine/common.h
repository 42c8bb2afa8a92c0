/* SPDX-License-Identifier: MIT */
#ifndef LODGE_ENGINE_COMMON_H
#define LODGE_ENGINE_COMMON_H

/* What engines whose guests are processes below a monitor, in a cgroup, have in common: most slots of
 * struct engine_ops. */

#include "base/ctx.h"
#include "engine/engine.h"

/* limits.c: the keys and values of a spec's limits as cgroup_set() takes them (host/cgroup.h). The list
 * is of struct spec_pair; caller frees with g_ptr_array_unref. */
GPtrArray *engine_limits(const struct spec *s);

/* The guest's cgroup: "lodge/ID", or below the parent that the spec names. Caller frees. */
char *engine_cgroup(const struct engine_start *s);

/* launch.c: slot start. extra: further arguments for the monitor, "KEY=VALUE", NULL-terminated; or NULL. */
int engine_launch(struct ctx *c, const struct engine_start *s, const char *const *extra,
	uint32_t flags, struct err *e);

/* process.c: the first process's id, from the status file, if it is still that process; 0. */
pid_t engine_first_process(const struct engine_start *s);
int engine_pause(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
int engine_resume(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
int engine_update(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
int engine_clean(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e);
int engine_stats(
	struct ctx *c, const struct engine_start *s, json_t **ret, uint32_t flags, struct err *e);
int engine_pids(struct ctx *c, const struct engine_start *s, pid_t **ret, size_t *ret_n,
	uint32_t flags, struct err *e);

/* The guest's environment with an exec's own on top: a name is there once. g_strfreev() it. */
char **engine_env(char **first, char **second);

#endif
