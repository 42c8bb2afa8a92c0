/* SPDX-License-Identifier: MIT */
/* GET /containers/{id}/stats: what a container uses, once or every second. */

#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/docker/container.h"

#define NEVER "0001-01-01T00:00:00Z"

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* All processors' time since the boot, in nanoseconds: the first line of /proc/stat. */
static json_int_t system_time(void)
{
	g_autofree char *text = NULL;
	long long v, sum = 0;
	char *at;

	if (!g_file_get_contents("/proc/stat", &text, NULL, NULL) ||
		!g_str_has_prefix(text, "cpu "))
		return 0;
	at = text + 4;
	/* user, nice, system, idle, iowait, irq, softirq, steal */
	for (int i = 0; i < 8; i++) {
		v = g_ascii_strtoll(at, &at, 10);
		sum += v;
	}
	return (json_int_t)(sum * (1000000000 / sysconf(_SC_CLK_TCK)));
}

static json_t *cpu_of(const json_t *v)
{
	json_int_t total = number(v, "cpu_ns");

	return json_pack("{s:{s:I, s:I, s:I}, s:I, s:i, s:{s:i, s:I, s:I}}", "cpu_usage",
		"total_usage", total, "usage_in_kernelmode", number(v, "cpu_system_ns"),
		"usage_in_usermode", number(v, "cpu_user_ns"), "system_cpu_usage", system_time(),
		"online_cpus", get_nprocs(), "throttling_data", "periods", 0, "throttled_periods",
		number(v, "throttled_periods"), "throttled_time", number(v, "throttled_ns"));
}

static json_t *memory_of(const json_t *v)
{
	json_t *limit = json_object_get(v, "memory_limit");
	struct sysinfo info = { 0 };

	(void)sysinfo(&info);
	return json_pack("{s:I, s:I, s:I, s:{s:I, s:I}}", "usage", number(v, "memory"), "max_usage",
		number(v, "memory_max"), "limit",
		limit ? json_integer_value(limit)
		      : (json_int_t)info.totalram * (json_int_t)info.mem_unit,
		"stats", "inactive_file", number(v, "memory_cache"), "total_inactive_file",
		number(v, "memory_cache"));
}

static json_t *entry(const char *op, json_int_t value)
{
	return json_pack("{s:i, s:i, s:s, s:I}", "major", 0, "minor", 0, "op", op, "value", value);
}

static json_t *blocks_of(const json_t *v)
{
	return json_pack("{s:[o, o], s:[o, o]}", "io_service_bytes_recursive",
		entry("read", number(v, "read_bytes")), entry("write", number(v, "write_bytes")),
		"io_serviced_recursive", entry("read", number(v, "read_ops")),
		entry("write", number(v, "write_ops")));
}

/* One sample, with the last one's time and processor figures. v NULL: it doesn't run. */
static json_t *sample(
	const struct guest *g, const json_t *v, json_t *before, const char *read_before)
{
	g_autofree char *now = units_show_time(g_get_real_time() * 1000),
			*name = g_strconcat("/", g->rec->name, NULL);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "id", g->rec->id, "read",
		v ? now : NEVER, "preread", read_before ?: NEVER);

	json_object_set_new(o, "num_procs", json_integer(0));
	json_object_set_new(o, "storage_stats", json_object());
	json_object_set(o, "precpu_stats", before);
	if (!v) {
		for (const char *const *k = (const char *const[]){ "cpu_stats", "memory_stats",
			     "pids_stats", "blkio_stats", NULL };
			*k; k++)
			json_object_set_new(o, *k, json_object());
		return o;
	}
	json_object_set_new(o, "cpu_stats", cpu_of(v));
	json_object_set_new(o, "memory_stats", memory_of(v));
	json_object_set_new(o, "blkio_stats", blocks_of(v));
	json_object_set_new(o, "pids_stats", json_pack("{s:I}", "current", number(v, "pids")));
	if (json_object_get(v, "pids_limit"))
		json_object_set(json_object_get(o, "pids_stats"), "limit",
			json_object_get(v, "pids_limit"));
	json_object_set(o, "networks", json_object_get(v, "networks") ?: json_object());
	return o;
}

/* --- the stream ------------------------------------------------------------------------------------------------ */

struct stats {
	struct guest *g;
	json_t *before; /* cpu_stats of the last sample */
	char *read_before;
	bool stream, silent; /* silent: the first of two samples, so that there is a difference */
};

int container_stats_tick(struct call *c, GString *out)
{
	struct stats *t = c->state;
	struct guest *now = NULL;
	json_t *v = NULL, *o;
	char *text;
	int r = guest_get(api_ctx(c), DOCKER_REALM, t->g->rec->id, &now, NULL);

	/* one that is no more ends the stream; one that doesn't run is shown with nothing */
	if (r < 0)
		return 1;
	guest_free(t->g);
	t->g = now;
	r = guest_stats(api_ctx(c), t->g, &v, NULL);
	o = sample(t->g, r < 0 ? NULL : v, t->before, t->read_before);
	if (!t->silent || r < 0) {
		text = json_dumps(o, JSON_COMPACT);
		g_string_append_printf(out, "%s\n", text ?: "{}");
		free(text);
	}
	json_decref(t->before);
	t->before = json_incref(json_object_get(o, "cpu_stats"));
	g_free(t->read_before);
	t->read_before = g_strdup(json_string_value(json_object_get(o, "read")));
	json_decref(o);
	json_decref(v);
	if (!t->stream && out->len)
		return 1;
	t->silent = false;
	return 0;
}

void container_stats_end(struct call *c)
{
	struct stats *t = c->state;

	guest_free(t->g);
	json_decref(t->before);
	g_free(t->read_before);
	g_free(t);
}

void container_stats(struct call *c)
{
	bool stream = api_flag(c, "stream", true), one_shot = api_flag(c, "one-shot", false);
	struct guest *g = container_of(c);
	struct stats *t;

	if (!g)
		return;
	if (stream && one_shot) {
		api_error(c, 400, "cannot have stream=true and one-shot=true");
		guest_free(g);
		return;
	}
	t = g_new0(struct stats, 1);
	t->g = g;
	t->stream = stream;
	t->silent = !stream && !one_shot;
	t->before = json_pack("{s:{s:i, s:i, s:i}, s:{s:i, s:i, s:i}}", "cpu_usage", "total_usage",
		0, "usage_in_kernelmode", 0, "usage_in_usermode", 0, "throttling_data", "periods",
		0, "throttled_periods", 0, "throttled_time", 0);
	reply_header(&c->reply, "Content-Type", "application/json");
	c->state = t;
}
