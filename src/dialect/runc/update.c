/* SPDX-License-Identifier: MIT */
/* update: the limits of a container that is there. */
#include "dialect/runc/runc.h"

#include <string.h>

#include "base/units.h"
#include "host/cgroup.h"
#include "host/steps.h"

struct update_args {
	char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *rt_period,
		*rt_runtime, *cpu_share, *cpu_idle, *cpus, *mems, *memory, *reservation, *swap,
		*pids, *l3, *bandwidth, *kernel, *kernel_tcp;
};

/* clang-format off */
static const struct opt update_opts[] = {
	OPT_STRING('r', "resources", struct update_args, resources, "PATH", complete_file, "a file with linux.resources; '-': standard input"),
	OPT_STRING(0, "blkio-weight", struct update_args, blkio_weight, "WEIGHT", complete_none, "weight of its block I/O"),
	OPT_STRING(0, "cpu-period", struct update_args, cpu_period, "US", complete_none, "length of a CFS period"),
	OPT_STRING(0, "cpu-quota", struct update_args, cpu_quota, "US", complete_none, "processor time in a period"),
	OPT_STRING(0, "cpu-burst", struct update_args, cpu_burst, "US", complete_none, "what it may use beyond the quota"),
	OPT_STRING(0, "cpu-rt-period", struct update_args, rt_period, "US", complete_none, "length of a realtime period"),
	OPT_STRING(0, "cpu-rt-runtime", struct update_args, rt_runtime, "US", complete_none, "realtime in a period"),
	OPT_STRING(0, "cpu-share", struct update_args, cpu_share, "N", complete_none, "relative weight"),
	OPT_STRING(0, "cpu-idle", struct update_args, cpu_idle, "0|1", complete_none, "only idle time"),
	OPT_STRING(0, "cpuset-cpus", struct update_args, cpus, "LIST", complete_none, "its processors"),
	OPT_STRING(0, "cpuset-mems", struct update_args, mems, "LIST", complete_none, "its memory nodes"),
	OPT_STRING(0, "memory", struct update_args, memory, "BYTES", complete_none, "memory limit"),
	OPT_STRING(0, "memory-reservation", struct update_args, reservation, "BYTES", complete_none, "soft limit"),
	OPT_STRING(0, "memory-swap", struct update_args, swap, "BYTES", complete_none, "memory and swap; -1: no limit"),
	OPT_STRING(0, "kernel-memory", struct update_args, kernel, "BYTES", complete_none, "obsolete: ignored with a warning"),
	OPT_STRING(0, "kernel-memory-tcp", struct update_args, kernel_tcp, "BYTES", complete_none, "obsolete: ignored with a warning"),
	OPT_STRING(0, "pids-limit", struct update_args, pids, "N", complete_none, "number of processes; -1: no limit"),
	OPT_STRING(0, "l3-cache-schema", struct update_args, l3, "SCHEMA", complete_none, "Intel RDT: refused"),
	OPT_STRING(0, "mem-bw-schema", struct update_args, bandwidth, "SCHEMA", complete_none, "Intel RDT: refused"),
	OPT_END
};
/* clang-format on */

static void add(GPtrArray *limits, const char *key, const char *value)
{
	struct config_pair *p = g_new0(struct config_pair, 1);

	p->key = g_strdup(key);
	p->value = g_strdup(value);
	g_ptr_array_add(limits, p);
}

/* Sizes may have a unit, as docker's do; -1 stays. */
static int add_size(GPtrArray *limits, const char *key, const char *text, struct err *e)
{
	g_autofree char *number = NULL;
	int64_t n;

	if (!text)
		return 0;
	if (strcmp(text, "-1") == 0)
		n = -1;
	else if (units_parse_size(text, &n) < 0)
		return err_set(e, -E_INVALID, "invalid value for %s: '%s' isn't a size", key, text);
	number = g_strdup_printf("%" G_GINT64_FORMAT, n);
	add(limits, key, number);
	return 0;
}

static void free_pair(gpointer p)
{
	struct config_pair *pair = p;

	g_free(pair->key);
	g_free(pair->value);
	g_free(pair);
}

static int by_options(const struct update_args *a, GPtrArray **ret, struct err *e)
{
	g_autoptr(GPtrArray) limits = g_ptr_array_new_with_free_func(free_pair);
	const struct {
		const char *key, *value;
	} plain[] = { { "blkio-weight", a->blkio_weight }, { "cpu-period", a->cpu_period },
		{ "cpu-quota", a->cpu_quota }, { "cpu-burst", a->cpu_burst },
		{ "cpu-rt-period", a->rt_period }, { "cpu-rt-runtime", a->rt_runtime },
		{ "cpu-shares", a->cpu_share }, { "cpu-idle", a->cpu_idle },
		{ "cpuset-cpus", a->cpus }, { "cpuset-mems", a->mems }, { "pids", a->pids } };
	int r = add_size(limits, "memory", a->memory, e);

	if (r >= 0)
		r = add_size(limits, "memory-swap", a->swap, e);
	if (r >= 0)
		r = add_size(limits, "memory-reservation", a->reservation, e);
	if (r < 0)
		return r;
	for (guint i = 0; i < G_N_ELEMENTS(plain); i++)
		if (plain[i].value)
			add(limits, plain[i].key, plain[i].value);
	*ret = g_steal_pointer(&limits);
	return 0;
}

static int by_file(const char *path, GPtrArray **ret, struct err *e)
{
	_cleanup_(config_resources_freep) struct config_resources *r = NULL;
	g_autofree char *text = NULL;
	size_t n;
	int code = read_text_file(path, &text, &n, e);

	if (code >= 0)
		code = config_resources_read(text, n, &r, e);
	if (code >= 0)
		*ret = bundle_limits(r);
	return code;
}

static int update(struct cmd_call *call, struct err *e)
{
	const struct update_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GPtrArray) limits = NULL;
	struct step_run run;
	int code = container_load(runc_of(call), call->operands[0], &c, e);

	if (code < 0)
		return code;
	if (a->l3 || a->bandwidth)
		return err_set(e, -E_UNSUPPORTED, "Intel RDT is not supported");
	if (a->kernel || a->kernel_tcp)
		runc_log(runc_of(call), "warning",
			"Kernel memory settings are ignored: the kernel has no such limit any "
			"more");
	if (c->status == STATUS_STOPPED || !c->cgroup)
		return err_set(e, -E_STATE, "container not running");
	code = a->resources ? by_file(a->resources, &limits, e) : by_options(a, &limits, e);
	/* so that systemd doesn't set the old ones again */
	if (code >= 0 && c->unit.name)
		bundle_plan_unit_set(&c->unit, limits, p);
	for (guint i = 0; code >= 0 && i < limits->len; i++) {
		const struct config_pair *l = g_ptr_array_index(limits, i);
		const char *missing;

		code = cgroup_check(cgroup_host(), l->key, l->value, e);
		missing = cgroup_missing(cgroup_host(), c->cgroup, l->key);
		if (code >= 0 && missing)
			plan_add(p, AT_HOST, &step_cgroup_extend, c->cgroup, missing);
		if (code >= 0)
			plan_add(p, AT_HOST, &step_cgroup_set, c->cgroup, l->key, l->value);
	}
	if (code < 0)
		return code;
	if (runc_explains(runc_of(call), p))
		return 0;
	step_run_init(&run, p);
	code = plan_run_at(&run, AT_HOST, e);
	step_run_done(&run);
	return code;
}

const struct cmd runc_update = {
	CMD_FILE,
	.name = "update",
	.run = update,
	.opts = update_opts,
	.args_size = sizeof(struct update_args),
	.brief = "change the limits of a container",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
