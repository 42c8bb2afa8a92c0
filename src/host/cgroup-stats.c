/* SPDX-License-Identifier: MIT */
/* The reading side: what a guest uses. */
#include "host/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "host/smallfile.h"

enum {
	STAT_MAX = 16384
};

struct reader {
	const struct cgroup_host *h;
	const char *path;
	char dir[CGROUP_DIR_MAX];
	bool v2;
	char text[STAT_MAX];
};

/* Points r at the controller's folder; false when it isn't there. */
static bool at(struct reader *r, enum cgroup_controller c)
{
	return cgroup_dir(r->h, r->path, c, r->dir, &r->v2) >= 0 && access(r->dir, F_OK) == 0;
}

static bool text(struct reader *r, const char *file)
{
	char name[CGROUP_DIR_MAX + 64];

	(void)snprintf(name, sizeof(name), "%s/%s", r->dir, file);
	return small_read(name, r->text, sizeof(r->text)) >= 0;
}

static uint64_t number(struct reader *r, const char *file)
{
	char name[CGROUP_DIR_MAX + 64];
	uint64_t v;

	(void)snprintf(name, sizeof(name), "%s/%s", r->dir, file);
	return small_read_u64(name, &v) < 0 ? 0 : v;
}

static uint64_t find(const struct reader *r, const char *key)
{
	uint64_t v;

	return small_find_u64(r->text, key, &v) < 0 ? 0 : v;
}

/* v2's cpu.stat has the times without the controller too, so hybrid's tree answers. */
static void read_cpu(struct reader *r, struct cgroup_stats *s)
{
	(void)snprintf(r->dir, sizeof(r->dir), "%s/%s", r->h->v2, r->path);
	if (r->h->v2[0] && text(r, "cpu.stat")) {
		s->cpu_ns = find(r, "usage_usec") * 1000;
		s->cpu_user_ns = find(r, "user_usec") * 1000;
		s->cpu_system_ns = find(r, "system_usec") * 1000;
		s->periods = find(r, "nr_periods");
		s->throttled = find(r, "nr_throttled");
		s->throttled_ns = find(r, "throttled_usec") * 1000;
		s->known |= CGROUP_BIT(CGROUP_CPU);
	} else if (at(r, CGROUP_CPUACCT)) {
		s->cpu_ns = number(r, "cpuacct.usage");
		s->cpu_user_ns = number(r, "cpuacct.usage_user");
		s->cpu_system_ns = number(r, "cpuacct.usage_sys");
		s->known |= CGROUP_BIT(CGROUP_CPU);
	}
	if (at(r, CGROUP_CPU) && !r->v2 && text(r, "cpu.stat")) {
		s->periods = find(r, "nr_periods");
		s->throttled = find(r, "nr_throttled");
		s->throttled_ns = find(r, "throttled_time");
	}
}

static void read_memory(struct reader *r, struct cgroup_stats *s)
{
	if (!at(r, CGROUP_MEMORY))
		return;
	s->known |= CGROUP_BIT(CGROUP_MEMORY);
	if (r->v2) {
		s->memory = number(r, "memory.current");
		s->memory_limit = number(r, "memory.max");
		s->memory_max = number(r, "memory.peak"); /* since Linux 5.19 */
		s->memory_swap = number(r, "memory.swap.current");
		if (text(r, "memory.stat"))
			s->memory_cache = find(r, "inactive_file");
		if (text(r, "memory.events"))
			s->oom_kills = find(r, "oom_kill");
		return;
	}
	s->memory = number(r, "memory.usage_in_bytes");
	s->memory_limit = number(r, "memory.limit_in_bytes");
	if (s->memory_limit >= (uint64_t)INT64_MAX - 0xffff)
		s->memory_limit = UINT64_MAX; /* v1's "none": the largest number of pages */
	s->memory_max = number(r, "memory.max_usage_in_bytes");
	if (text(r, "memory.stat")) {
		s->memory_cache = find(r, "total_inactive_file");
		s->memory_swap = find(r, "total_swap");
	}
	if (text(r, "memory.oom_control"))
		s->oom_kills = find(r, "oom_kill");
}

static void read_pids(struct reader *r, struct cgroup_stats *s)
{
	size_t n;

	s->pids_limit = UINT64_MAX;
	if (at(r, CGROUP_PIDS)) {
		s->pids = number(r, "pids.current");
		s->pids_limit = number(r, "pids.max");
		s->known |= CGROUP_BIT(CGROUP_PIDS);
	} else if (cgroup_threads(r->path, &n) >= 0) {
		s->pids = n;
		s->known |= CGROUP_BIT(CGROUP_PIDS);
	}
}

/* v1: lines "MAJ:MIN Read N"; a disk and what it is stacked on are lines of their own, as docker sums. */
static void sum_v1(struct reader *r, const char *file, uint64_t *rd, uint64_t *wr)
{
	if (!text(r, file))
		return;
	for (const char *p = r->text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		const char *op = p;
		unsigned major, minor;
		uint64_t n;

		if (small_take_two(&op, ':', &major, &minor) < 0)
			continue;
		if (strncmp(op, " Read ", 6) == 0 && (op += 6, small_take_u64(&op, &n) >= 0))
			*rd += n;
		else if (strncmp(op, " Write ", 7) == 0 && (op += 7, small_take_u64(&op, &n) >= 0))
			*wr += n;
	}
}

/* v2: lines "MAJ:MIN rbytes=N wbytes=N rios=N wios=N ..." */
static void sum_v2(struct reader *r, struct cgroup_stats *s)
{
	static const char *const words[] = { "rbytes=", "wbytes=", "rios=", "wios=" };
	uint64_t *const to[] = { &s->read_bytes, &s->write_bytes, &s->read_ops, &s->write_ops };

	if (!text(r, "io.stat"))
		return;
	for (unsigned i = 0; i < ELEMENTSOF(words); i++)
		for (const char *p = r->text; (p = strstr(p, words[i])) != NULL;) {
			if (p > r->text && p[-1] == ' ')
				*to[i] += strtoull(p + strlen(words[i]), NULL, 10);
			p += strlen(words[i]);
		}
}

/* Without the controller: what the processes that live tell, which includes the children they
 * have waited for. */
static void sum_procs(struct reader *r, struct cgroup_stats *s)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;

	if (cgroup_procs(r->path, &pids, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "/proc/%d/io", (int)pids[i]);
		if (small_read(name, r->text, sizeof(r->text)) < 0)
			continue;
		s->read_bytes += find(r, "read_bytes");
		s->write_bytes += find(r, "write_bytes");
		s->known |= CGROUP_BIT(CGROUP_IO);
	}
}

int cgroup_stats(const char *path, struct cgroup_stats *ret)
{
	_cleanup_free_ struct reader *r = NULL;
	struct cgroup_stats s = { 0 };

	if (!cgroup_exists(path))
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->h = cgroup_host();
	r->path = path;
	read_cpu(r, &s);
	s.memory_limit = UINT64_MAX;
	read_memory(r, &s);
	read_pids(r, &s);
	if (!at(r, CGROUP_IO))
		sum_procs(r, &s);
	else if (r->v2)
		sum_v2(r, &s);
	else {
		sum_v1(r, "blkio.throttle.io_service_bytes_recursive", &s.read_bytes,
			&s.write_bytes);
		sum_v1(r, "blkio.throttle.io_serviced_recursive", &s.read_ops, &s.write_ops);
	}
	if (at(r, CGROUP_IO))
		s.known |= CGROUP_BIT(CGROUP_IO);
	*ret = s;
	return 0;
}

uint64_t cgroup_oom_kills(const char *path)
{
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 32], events[512];
	uint64_t n;
	bool v2;

	if (!cgroup_path_ok(path) || cgroup_dir(cgroup_host(), path, CGROUP_MEMORY, dir, &v2) < 0)
		return 0;
	(void)snprintf(
		file, sizeof(file), "%s/%s", dir, v2 ? "memory.events" : "memory.oom_control");
	if (small_read(file, events, sizeof(events)) < 0 ||
		small_find_u64(events, "oom_kill", &n) < 0)
		return 0;
	return n;
}

int cgroup_oom_fd(const char *path)
{
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 32], line[64];
	_cleanup_close_ int control = -1, event = -1;
	bool v2;
	int r;

	if (!cgroup_path_ok(path) || cgroup_dir(cgroup_host(), path, CGROUP_MEMORY, dir, &v2) < 0)
		return -E_UNSUPPORTED;
	(void)snprintf(
		file, sizeof(file), "%s/%s", dir, v2 ? "memory.events" : "memory.oom_control");
	control = open(file, O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return -errno;
	if (v2)
		return TAKE_FD(control);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return -errno;
	(void)snprintf(file, sizeof(file), "%s/cgroup.event_control", dir);
	(void)snprintf(line, sizeof(line), "%d %d", event, control);
	r = small_write(file, line);
	return r < 0 ? r : TAKE_FD(event);
}
