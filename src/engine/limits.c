/* SPDX-License-Identifier: MIT */
#include "engine/common.h"

#include <string.h>

static void number(GPtrArray *list, const char *key, int64_t value)
{
	g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, value);

	spec_add_pair(list, key, text);
}

static void numbers(GPtrArray *list, const struct spec_limits *l)
{
	/* memory before memory-swap: the sum may not be below its part */
	if (l->memory)
		number(list, "memory", l->memory);
	if (l->memory_swap)
		number(list, "memory-swap", l->memory_swap);
	if (l->memory_reservation)
		number(list, "memory-reservation", l->memory_reservation);
	if (l->swappiness >= 0)
		number(list, "swappiness", l->swappiness);
	if (l->oom_kill_disable)
		number(list, "oom-kill-disable", 1);
	if (l->cpu_shares)
		number(list, "cpu-shares", l->cpu_shares);
	if (l->nano_cpus)
		number(list, "nano-cpus", l->nano_cpus);
	if (l->cpu_period)
		number(list, "cpu-period", l->cpu_period);
	if (l->cpu_quota)
		number(list, "cpu-quota", l->cpu_quota);
	if (l->pids > 0)
		number(list, "pids", l->pids);
	if (l->blkio_weight)
		number(list, "blkio-weight", l->blkio_weight);
}

static void prefixed(
	GPtrArray *list, const GPtrArray *from, const char *key_format, const char *value_format)
{
	for (guint i = 0; i < from->len; i++) {
		const struct spec_pair *p = g_ptr_array_index(from, i);
		g_autofree char *key = g_strconcat(key_format, value_format ? "" : p->key, NULL);
		g_autofree char *value = value_format
						 ? g_strconcat(p->key, value_format, p->value, NULL)
						 : g_strdup(p->value);

		spec_add_pair(list, key, value);
	}
}

static void pair_free(gpointer data)
{
	struct spec_pair *p = data;

	g_free(p->key);
	g_free(p->value);
	g_free(p);
}

GPtrArray *engine_limits(const struct spec *s)
{
	const struct spec_limits *l = &s->limits;
	GPtrArray *list = g_ptr_array_new_with_free_func(pair_free);

	numbers(list, l);
	if (l->cpuset_cpus)
		spec_add_pair(list, "cpuset-cpus", l->cpuset_cpus);
	if (l->cpuset_mems)
		spec_add_pair(list, "cpuset-mems", l->cpuset_mems);
	prefixed(list, l->io, "io-", NULL);
	prefixed(list, l->hugetlb, "hugetlb", ":");
	prefixed(list, l->unified, "unified:", NULL);
	return list;
}

char *engine_cgroup(const struct engine_start *s)
{
	const char *parent = s->spec->cgroup_parent ? s->spec->cgroup_parent : "lodge";

	parent += strspn(parent, "/"); /* named from the root of the hierarchies either way */
	/* of a held one: it must not be taken for what an ended guest left */
	return g_strdup_printf("%s/%s%s", parent, s->id, s->held ? "-held" : "");
}
