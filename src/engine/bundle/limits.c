/* SPDX-License-Identifier: MIT */
/* linux.resources as the neutral keys of host/cgroup.h. */
#include "engine/bundle/bundle.h"

#include <string.h>

#include "host/cgroup.h"

static void free_pair(gpointer p)
{
	struct config_pair *pair = p;

	g_free(pair->key);
	g_free(pair->value);
	g_free(pair);
}

static void add_text(GPtrArray *list, const char *key, char *value)
{
	struct config_pair *p = g_new0(struct config_pair, 1);

	p->key = g_strdup(key);
	p->value = value;
	g_ptr_array_add(list, p);
}

static void add(GPtrArray *list, const char *key, int64_t n)
{
	if (n != CONFIG_NONE)
		add_text(list, key, g_strdup_printf("%" G_GINT64_FORMAT, n));
}

/* 0 and "not given" are one thing in what Go writes. */
static void add_some(GPtrArray *list, const char *key, int64_t n)
{
	if (n != CONFIG_NONE && n != 0)
		add(list, key, n);
}

static void memory(GPtrArray *list, const struct config_memory *m)
{
	add_some(list, "memory", m->limit);
	add_some(list, "memory-swap", m->swap);
	/* -1 is no reservation, which is 0 */
	add_some(list, "memory-reservation", m->reservation < 0 ? CONFIG_NONE : m->reservation);
	add(list, "swappiness", m->swappiness);
	if (m->disable_oom_killer)
		add(list, "oom-kill-disable", 1);
}

static void cpu(GPtrArray *list, const struct config_cpu *c)
{
	if (c->shares)
		add(list, "cpu-shares", (int64_t)CLAMP(c->shares, 2, 262144));
	if (c->period)
		add(list, "cpu-period", (int64_t)c->period);
	add_some(list, "cpu-quota", c->quota);
	add_some(list, "cpu-burst", c->burst);
	if (c->rt_period)
		add(list, "cpu-rt-period", (int64_t)c->rt_period);
	add_some(list, "cpu-rt-runtime", c->rt_runtime);
	add(list, "cpu-idle", c->idle);
	if (c->cpus && *c->cpus)
		add_text(list, "cpuset-cpus", g_strdup(c->cpus));
	if (c->mems && *c->mems)
		add_text(list, "cpuset-mems", g_strdup(c->mems));
}

static void throttle(GPtrArray *list, const char *key, const GPtrArray *devices)
{
	for (guint i = 0; i < devices->len; i++) {
		const struct config_throttle *t = g_ptr_array_index(devices, i);

		add_text(list, key,
			g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT
					":%" G_GUINT64_FORMAT,
				t->major, t->minor, t->rate));
	}
}

static void block_io(GPtrArray *list, const struct config_block_io *b)
{
	add_some(list, "blkio-weight", b->weight);
	add_some(list, "blkio-leaf-weight", b->leaf_weight);
	for (guint i = 0; i < b->weight_devices->len; i++) {
		const struct config_weight_device *d = g_ptr_array_index(b->weight_devices, i);
		const struct {
			const char *key;
			int64_t weight;
		} set[] = { { "blkio-weight-device", d->weight },
			{ "blkio-leaf-weight-device", d->leaf_weight } };

		for (guint k = 0; k < G_N_ELEMENTS(set); k++)
			if (set[k].weight != CONFIG_NONE)
				add_text(list, set[k].key,
					g_strdup_printf("%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT
							":%" G_GINT64_FORMAT,
						d->major, d->minor, set[k].weight));
	}
	throttle(list, "io-rbps", b->read_bps);
	throttle(list, "io-wbps", b->write_bps);
	throttle(list, "io-riops", b->read_iops);
	throttle(list, "io-wiops", b->write_iops);
}

static void network(GPtrArray *list, const struct config_network *n)
{
	add_some(list, "net-cls", n->class_id);
	for (guint i = 0; i < n->priorities->len; i++) {
		const struct config_interface *f = g_ptr_array_index(n->priorities, i);

		add_text(list, "net-prio",
			g_strdup_printf("%s:%" G_GINT64_FORMAT, f->name, f->priority));
	}
}

GPtrArray *bundle_limits(const struct config_resources *r)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(free_pair);

	if (r->memory)
		memory(list, r->memory);
	if (r->cpu)
		cpu(list, r->cpu);
	if (r->pids)
		add_some(list, "pids", r->pids->limit);
	if (r->block_io)
		block_io(list, r->block_io);
	for (guint i = 0; i < r->hugepages->len; i++) {
		const struct config_hugepage *h = g_ptr_array_index(r->hugepages, i);

		add_text(list, "hugetlb",
			g_strdup_printf("%s:%" G_GUINT64_FORMAT, h->size, h->limit));
	}
	if (r->network)
		network(list, r->network);
	for (guint i = 0; i < r->rdma->len; i++) {
		const struct config_pair *p = g_ptr_array_index(r->rdma, i);

		add_text(list, "rdma", g_strdup(p->value));
	}
	for (guint i = 0; i < r->unified->len; i++) {
		const struct config_pair *p = g_ptr_array_index(r->unified, i);
		g_autofree char *key = g_strdup_printf("unified:%s", p->key);

		add_text(list, key, g_strdup(p->value));
	}
	return list;
}

char **bundle_device_rules(const struct config *c)
{
	g_autoptr(GPtrArray) rules = g_ptr_array_new();
	const GPtrArray *list = c->linux_.resources.devices;

	for (guint i = 0; i < list->len; i++) {
		const struct config_device_rule *d = g_ptr_array_index(list, i);
		const char *type = d->type && *d->type ? d->type : "a";
		char major[24] = "*", minor[24] = "*";

		if (d->major >= 0)
			g_snprintf(major, sizeof(major), "%" G_GINT64_FORMAT, d->major);
		if (d->minor >= 0)
			g_snprintf(minor, sizeof(minor), "%" G_GINT64_FORMAT, d->minor);
		if (i == 0 && !d->allow && *type == 'a' && d->major < 0 && d->minor < 0)
			continue; /* that is where all begin */
		g_ptr_array_add(
			rules, g_strdup_printf("%s%s %s:%s %s", d->allow ? "" : "-", type, major,
				       minor, d->access && *d->access ? d->access : "rwm"));
	}
	for (const char *const *d = cgroup_device_default; *d; d++)
		g_ptr_array_add(rules, g_strdup(*d));
	g_ptr_array_add(rules, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&rules), FALSE);
}
