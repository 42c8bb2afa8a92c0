/* SPDX-License-Identifier: MIT */
/* events: what a container uses, once or again and again, and when it runs out of memory. */
#include "dialect/runc/runc.h"

#include <poll.h>
#include <string.h>

#include "base/units.h"
#include "host/cgroup.h"

struct events_args {
	int64_t interval;
	bool stats;
};

static void defaults(void *args)
{
	((struct events_args *)args)->interval = INT64_C(5000000000);
}

static const struct opt events_opts[] = { OPT_TIME(0, "interval", struct events_args, interval,
						  "TIME", "time between two lines (default: 5s)"),
	OPT_FLAG(0, "stats", struct events_args, stats, "one line, then end"), OPT_END };

/* "none" is what Go makes of the biggest number. */
static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *io_entries(uint64_t in, uint64_t out)
{
	if (!in && !out)
		return NULL;
	return json_pack("[{s:s, s:o}, {s:s, s:o}]", "op", "Read", "value", number(in), "op",
		"Write", "value", number(out));
}

static json_t *blkio(const struct cgroup_stats *s)
{
	json_t *o = json_object(), *bytes = io_entries(s->read_bytes, s->write_bytes),
	       *ops = io_entries(s->read_ops, s->write_ops);

	if (bytes)
		json_object_set_new(o, "ioServiceBytesRecursive", bytes);
	if (ops)
		json_object_set_new(o, "ioServicedRecursive", ops);
	return o;
}

static json_t *data_of(const struct cgroup_stats *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "cpu",
		json_pack("{s:{s:o, s:o, s:o}, s:{s:o, s:o, s:o}}", "usage", "total",
			number(s->cpu_ns), "kernel", number(s->cpu_system_ns), "user",
			number(s->cpu_user_ns), "throttling", "periods", number(s->periods),
			"throttledPeriods", number(s->throttled), "throttledTime",
			number(s->throttled_ns)));
	json_object_set_new(o, "memory",
		json_pack("{s:o, s:{s:o, s:o, s:o, s:i}, s:{s:o}}", "cache",
			number(s->memory_cache), "usage", "limit", number(s->memory_limit), "usage",
			number(s->memory), "max", number(s->memory_max), "failcnt", 0, "swap",
			"usage", number(s->memory_swap)));
	json_object_set_new(o, "pids", json_pack("{s:o}", "current", number(s->pids)));
	if (s->pids_limit != UINT64_MAX && s->pids_limit)
		json_object_set_new(json_object_get(o, "pids"), "limit", number(s->pids_limit));
	json_object_set_new(o, "blkio", blkio(s));
	json_object_set_new(o, "hugetlb", json_object());
	json_object_set_new(o, "intel_rdt", json_object());
	json_object_set_new(o, "network_interfaces", json_null());
	return o;
}

static void print_event(const char *type, const char *id, json_t *data)
{
	json_auto_t *o = json_pack("{s:s, s:s}", "type", type, "id", id);

	if (data)
		json_object_set_new(o, "data", data);
	(void)json_dumpf(o, stdout, JSON_COMPACT);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
}

static int print_stats(const struct container *c, struct err *e)
{
	struct cgroup_stats s;
	int code = c->cgroup ? cgroup_stats(c->cgroup, &s) : -ENOENT;

	if (code < 0)
		return err_sys(e, code, "cannot read the container's cgroup");
	print_event("stats", c->id, data_of(&s));
	return 0;
}

/* Until it ends. Each wait is cut in pieces, so that its end is seen soon. */
static int follow(struct container *c, int64_t interval_ms, struct err *e)
{
	_cleanup_close_ int oom = cgroup_oom_fd(c->cgroup);
	uint64_t kills = cgroup_oom_kills(c->cgroup);
	int code = 0;

	while (code >= 0 && c->status != STATUS_STOPPED) {
		code = print_stats(c, e);
		for (int64_t left = interval_ms; code >= 0 && left > 0; left -= 100) {
			struct pollfd p = { oom, POLLIN | POLLPRI, 0 };
			uint64_t now;

			(void)poll(&p, 1, (int)MIN(left, 100));
			now = cgroup_oom_kills(c->cgroup);
			if (now > kills)
				print_event("oom", c->id, NULL);
			kills = now;
			container_refresh(c);
			if (c->status == STATUS_STOPPED)
				return 0;
		}
	}
	return code;
}

static int events(struct cmd_call *call, struct err *e)
{
	const struct events_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	int code = container_load(runc_of(call), call->operands[0], &c, e);

	if (code < 0)
		return code;
	if (a->interval <= 0)
		return err_set(e, -E_INVALID, "duration interval must be greater than 0");
	if (c->status == STATUS_STOPPED)
		return err_set(e, -E_STATE, "container with id %s is not running", c->id);
	return a->stats ? print_stats(c, e) : follow(c, a->interval / 1000000, e);
}

const struct cmd runc_events = {
	CMD_FILE,
	.name = "events",
	.run = events,
	.opts = events_opts,
	.args_size = sizeof(struct events_args),
	.defaults = defaults,
	.brief = "print what a container uses, and that its memory is out",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
};
