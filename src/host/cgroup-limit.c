/* SPDX-License-Identifier: MIT */
/* Limits: neutral keys, checked and converted for the files of v1 and v2. */
#include "host/cgroup.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "host/smallfile.h"

enum {
	TEXT_MAX = 512
};

/* One limit, as its row's function sees it. */
struct limit {
	const char *path, *key, *value;
	char dir[CGROUP_DIR_MAX];
	bool v2;
	int64_t num;	   /* where the row's value is a number */
	struct text *show; /* not NULL: write the commands there and change nothing */
};

struct key {
	const char *name;
	enum cgroup_controller controller;
	bool number;
	int64_t min, max;    /* of numbers; below, -1 and 0 have the meanings that cgroup.h gives */
	const char *v1, *v2; /* file; NULL: that version has nothing of the kind */
	/* Does it where a plain write of the value isn't enough. */
	int (*set)(const struct limit *l, const struct key *k, struct err *e);
	const char *word; /* for set */
};

uint64_t cgroup_shares_to_weight(uint64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	return 1 + (shares - 2) * 9999 / 262142;
}

uint64_t cgroup_blkio_to_io_weight(uint64_t weight)
{
	if (weight <= 10)
		return 1;
	if (weight >= 1000)
		return 10000;
	return 1 + (weight - 10) * 9999 / 990;
}

/* --- reading and writing --------------------------------------------------------------------------- */

static int put(const struct limit *l, const char *file, const char *text)
{
	char name[CGROUP_DIR_MAX + 64];

	(void)snprintf(name, sizeof(name), "%s/%s", l->dir, file);
	if (!l->show)
		return small_write(name, text);
	text_add(l->show, l->show->n ? "; echo " : "echo ");
	text_add_word(l->show, text);
	text_add(l->show, " >");
	text_add_word(l->show, name);
	return 0;
}

static int get(const struct limit *l, const char *file, char *text, size_t size)
{
	char name[CGROUP_DIR_MAX + 64];

	(void)snprintf(name, sizeof(name), "%s/%s", l->dir, file);
	return small_read(name, text, size);
}

static int get_u64(const struct limit *l, const char *file, uint64_t *ret)
{
	char name[CGROUP_DIR_MAX + 64];

	(void)snprintf(name, sizeof(name), "%s/%s", l->dir, file);
	return small_read_u64(name, ret);
}

static int put_num(const struct limit *l, const char *file, int64_t n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)n);
	return put(l, file, text);
}

static int put_max(const struct limit *l, const char *file, int64_t n)
{
	return n < 0 ? put(l, file, "max") : put_num(l, file, n);
}

/* A user gets the controllers that were delegated, which may be fewer than the machine has. */
static bool is_enabled(const struct limit *l)
{
	char text[TEXT_MAX];

	return !l->v2 || get(l, "cgroup.controllers", text, sizeof(text)) < 0 ||
	       (cgroup_controllers_parse(text) & cgroup_key_controller(l->key));
}

/* What a failed write means, in words. */
static int failed(const struct limit *l, int r, struct err *e)
{
	if (r >= 0)
		return 0;
	if (r == -EBUSY)
		return err_set(e, -E_LIMIT, "%s of %s is below what is in use", l->key, l->value);
	if (r == -EINVAL || r == -ERANGE)
		return err_set(
			e, -E_INVALID, "%s of %s isn't accepted by this kernel", l->key, l->value);
	if (r == -ENOENT && !is_enabled(l)) {
		err_set(e, -E_UNSUPPORTED,
			"%s isn't available: its controller isn't enabled for the cgroup '%s'",
			l->key, l->path);
		return err_mend(e,
			"let the cgroup above it have the controller: cgroup.subtree_control, or "
			"systemd's Delegate=");
	}
	if (r == -ENOENT && access(l->dir, F_OK) == 0) {
		err_set(e, -E_UNSUPPORTED,
			"%s isn't available: this kernel's %s controller has no such limit", l->key,
			l->v2 ? "cgroup v2" : "cgroup v1");
		return err_mend(e, "start without it");
	}
	return err_sys(e, r, "cannot set %s to %s in the cgroup '%s'", l->key, l->value, l->path);
}

/* --- memory ---------------------------------------------------------------------------------------- */

static int set_memory(const struct limit *l, const struct key *k, struct err *e)
{
	uint64_t memsw;
	int r;

	if (l->v2)
		return failed(l, put_max(l, k->v2, l->num), e);
	r = put_num(l, k->v1, l->num);
	/* v1 wants memory <= memory and swap at any moment, also on the way up. */
	if (r == -EINVAL && get_u64(l, "memory.memsw.limit_in_bytes", &memsw) >= 0 &&
		(l->num < 0 || (uint64_t)l->num > memsw)) {
		r = put_num(l, "memory.memsw.limit_in_bytes", -1);
		if (r >= 0)
			r = put_num(l, k->v1, l->num);
	}
	return failed(l, r, e);
}

static int set_memory_swap(const struct limit *l, const struct key *k, struct err *e)
{
	uint64_t memory;
	int r;

	if (l->show) {
		if (!l->v2 || l->num < 0)
			return put_max(l, l->v2 ? k->v2 : k->v1, l->num);
		text_addf(l->show, "echo $((%lld - $(cat %s/memory.max))) >%s/%s",
			(long long)l->num, l->dir, l->dir, k->v2);
		return 0;
	}
	r = get_u64(l, l->v2 ? "memory.max" : "memory.limit_in_bytes", &memory);

	if (r < 0)
		return failed(l, r, e);
	if (l->num >= 0 && (uint64_t)l->num < memory && memory < (uint64_t)1 << 62) {
		err_set(e, -E_INVALID, "memory-swap of %s is below memory (%llu)", l->value,
			(unsigned long long)memory);
		return err_mend(e, "it stands for memory and swap together");
	}
	if (!l->v2) {
		r = put_num(l, k->v1, l->num);
		if (r == -ENOENT || r == -EACCES) {
			if (l->num < 0)
				return 0; /* no accounting of swap: no limit is what there is */
			err_set(e, -E_UNSUPPORTED, "memory-swap isn't available on this kernel");
			return err_mend(e, "start the kernel with swapaccount=1");
		}
		return failed(l, r, e);
	}
	if (l->num >= 0 && memory == UINT64_MAX)
		return err_set(e, -E_INVALID, "memory-swap needs a memory limit beside it");
	r = put_max(l, k->v2, l->num < 0 ? -1 : l->num - (int64_t)memory);
	if (r == -ENOENT && l->num < 0)
		return 0;
	return failed(l, r, e);
}

/* --- cpu ------------------------------------------------------------------------------------------- */

static int set_shares(const struct limit *l, const struct key *k, struct err *e)
{
	if (!l->v2)
		return failed(l, put_num(l, k->v1, l->num), e);
	return failed(l, put_num(l, k->v2, (int64_t)cgroup_shares_to_weight((uint64_t)l->num)), e);
}

/* v2 has quota and period in one file, "QUOTA|max PERIOD". 0 leaves a part as it is. */
static int set_bandwidth(const struct limit *l, int64_t quota, int64_t period, struct err *e)
{
	char old[64], text[80];
	int r;

	if (!l->v2) {
		r = period ? put_num(l, "cpu.cfs_period_us", period) : 0;
		if (r >= 0 && quota)
			r = put_num(l, "cpu.cfs_quota_us", quota);
		return failed(l, r, e);
	}
	(void)snprintf(old, sizeof(old), "max");
	r = l->show ? 0 : get(l, "cpu.max", old, sizeof(old));
	if (r < 0)
		return failed(l, r, e);
	old[strcspn(old, " ")] = '\0';
	if (quota > 0)
		(void)snprintf(old, sizeof(old), "%lld", (long long)quota);
	else if (quota < 0)
		(void)snprintf(old, sizeof(old), "max");
	if (period)
		(void)snprintf(text, sizeof(text), "%s %lld", old, (long long)period);
	else
		(void)snprintf(text, sizeof(text), "%s", old);
	return failed(l, put(l, "cpu.max", text), e);
}

static int set_quota(const struct limit *l, const struct key *k, struct err *e)
{
	return set_bandwidth(l, l->num == 0 ? -1 : l->num, 0, e);
}

static int set_period(const struct limit *l, const struct key *k, struct err *e)
{
	return set_bandwidth(l, 0, l->num, e);
}

static int set_nano_cpus(const struct limit *l, const struct key *k, struct err *e)
{
	int64_t period = 100000, quota = (int64_t)((__int128)l->num * period / 1000000000);

	if (quota < 1000)
		quota = 1000; /* the kernel's least */
	return set_bandwidth(l, l->num ? quota : -1, period, e);
}

/* --- io -------------------------------------------------------------------------------------------- */

static int set_blkio_weight(const struct limit *l, const struct key *k, struct err *e)
{
	char text[48];
	int r;

	if (!l->v2) {
		r = put_num(l, "blkio.weight", l->num);
		if (r == -ENOENT)
			r = put_num(l, "blkio.bfq.weight", l->num);
	} else {
		r = put_num(l, "io.bfq.weight", l->num);
		if (r == -ENOENT) {
			(void)snprintf(text, sizeof(text), "default %llu",
				(unsigned long long)cgroup_blkio_to_io_weight((uint64_t)l->num));
			r = put(l, "io.weight", text);
		}
	}
	if (r == -ENOENT) {
		err_set(e, -E_UNSUPPORTED, "blkio-weight isn't available on this kernel");
		return err_mend(e, "load the bfq scheduler (modprobe bfq)");
	}
	return failed(l, r, e);
}

/* "PATH:RATE" or "MAJ:MIN:RATE" */
static int parse_io(const char *key, const char *value, char *dev, size_t dev_size,
	uint64_t *ret_rate, bool look, struct err *e)
{
	const char *colon = strrchr(value, ':');
	unsigned major, minor;
	struct stat st;
	char path[TEXT_MAX];
	const char *p = path;

	if (!colon || colon == value || (size_t)(colon - value) >= sizeof(path) ||
		small_parse_u64(colon + 1, ret_rate) < 0)
		return err_set(e, -E_INVALID, "%s: '%s' isn't DEVICE:RATE", key, value);
	memcpy(path, value, (size_t)(colon - value));
	path[colon - value] = '\0';
	if (small_take_two(&p, ':', &major, &minor) >= 0 && *p == '\0') {
		(void)snprintf(dev, dev_size, "%u:%u", major, minor);
		return 0;
	}
	if (path[0] != '/')
		return err_set(e, -E_INVALID, "%s: '%s' isn't the path of a device", key, path);
	if (!look)
		return 0;
	if (stat(path, &st) < 0)
		return err_sys(e, -errno, "%s: cannot find the device '%s'", key, path);
	if (!S_ISBLK(st.st_mode))
		return err_set(e, -E_INVALID, "%s: '%s' isn't a block device", key, path);
	(void)snprintf(dev, dev_size, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

static int set_io(const struct limit *l, const struct key *k, struct err *e)
{
	char dev[32], text[80];
	uint64_t rate;
	int r = parse_io(l->key, l->value, dev, sizeof(dev), &rate, true, e);

	if (r < 0)
		return r;
	if (!l->v2)
		(void)snprintf(text, sizeof(text), "%s %llu", dev, (unsigned long long)rate);
	else if (rate)
		(void)snprintf(
			text, sizeof(text), "%s %s=%llu", dev, k->word, (unsigned long long)rate);
	else
		(void)snprintf(text, sizeof(text), "%s %s=max", dev, k->word);
	r = put(l, l->v2 ? k->v2 : k->v1, text);
	if (r == -ENODEV) {
		err_set(e, -E_INVALID, "%s: '%s' can't be throttled", l->key, l->value);
		return err_mend(e, "name the whole disk, not a partition");
	}
	return failed(l, r, e);
}

/* --- the others ------------------------------------------------------------------------------------ */

static int set_pids(const struct limit *l, const struct key *k, struct err *e)
{
	return failed(l, put_max(l, "pids.max", l->num <= 0 ? -1 : l->num), e);
}

static int set_hugetlb(const struct limit *l, const struct key *k, struct err *e)
{
	const char *colon = strchr(l->value, ':');
	char file[64];
	int r;

	(void)snprintf(file, sizeof(file), "hugetlb.%.*s.%s", (int)(colon - l->value), l->value,
		l->v2 ? "max" : "limit_in_bytes");
	r = put(l, file, colon + 1);
	if (r == -ENOENT && access(l->dir, F_OK) == 0)
		return err_set(e, -E_INVALID, "hugetlb: this kernel has no pages of %.*s",
			(int)(colon - l->value), l->value);
	return failed(l, r, e);
}

static int set_net_prio(const struct limit *l, const struct key *k, struct err *e)
{
	const char *colon = strrchr(l->value, ':');
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%.*s %s", (int)(colon - l->value), l->value, colon + 1);
	return failed(l, put(l, k->v1, text), e);
}

#define NUM(lo, hi) .number = true, .min = (lo), .max = (hi)

static const struct key keys[] = {
	{ "memory", CGROUP_MEMORY, NUM(-1, INT64_MAX), "memory.limit_in_bytes", "memory.max",
		set_memory },
	{ "memory-swap", CGROUP_MEMORY, NUM(-1, INT64_MAX), "memory.memsw.limit_in_bytes",
		"memory.swap.max", set_memory_swap },
	{ "memory-reservation", CGROUP_MEMORY, NUM(0, INT64_MAX), "memory.soft_limit_in_bytes",
		"memory.low" },
	{ "swappiness", CGROUP_MEMORY, NUM(0, 100), "memory.swappiness", NULL },
	{ "oom-kill-disable", CGROUP_MEMORY, NUM(0, 1), "memory.oom_control", NULL },
	{ "cpu-shares", CGROUP_CPU, NUM(2, 262144), "cpu.shares", "cpu.weight", set_shares },
	{ "cpu-period", CGROUP_CPU, NUM(1000, 1000000), "cpu.cfs_period_us", "cpu.max",
		set_period },
	{ "cpu-quota", CGROUP_CPU, NUM(-1, INT64_MAX), "cpu.cfs_quota_us", "cpu.max", set_quota },
	{ "nano-cpus", CGROUP_CPU, NUM(0, INT64_C(1000000000000000)), "cpu.cfs_quota_us", "cpu.max",
		set_nano_cpus },
	{ "cpu-rt-period", CGROUP_CPU, NUM(0, INT64_MAX), "cpu.rt_period_us", NULL },
	{ "cpu-rt-runtime", CGROUP_CPU, NUM(-1, INT64_MAX), "cpu.rt_runtime_us", NULL },
	{ "cpu-burst", CGROUP_CPU, NUM(0, INT64_MAX), "cpu.cfs_burst_us", "cpu.max.burst" },
	{ "cpu-idle", CGROUP_CPU, NUM(0, 1), "cpu.idle", "cpu.idle" },
	{ "cpuset-cpus", CGROUP_CPUSET, .v1 = "cpuset.cpus", .v2 = "cpuset.cpus" },
	{ "cpuset-mems", CGROUP_CPUSET, .v1 = "cpuset.mems", .v2 = "cpuset.mems" },
	{ "pids", CGROUP_PIDS, NUM(-1, INT64_MAX), "pids.max", "pids.max", set_pids },
	{ "blkio-weight", CGROUP_IO, NUM(10, 1000), "blkio.weight", "io.weight", set_blkio_weight },
	{ "io-rbps", CGROUP_IO, .v1 = "blkio.throttle.read_bps_device", .v2 = "io.max",
		.set = set_io, .word = "rbps" },
	{ "io-wbps", CGROUP_IO, .v1 = "blkio.throttle.write_bps_device", .v2 = "io.max",
		.set = set_io, .word = "wbps" },
	{ "io-riops", CGROUP_IO, .v1 = "blkio.throttle.read_iops_device", .v2 = "io.max",
		.set = set_io, .word = "riops" },
	{ "io-wiops", CGROUP_IO, .v1 = "blkio.throttle.write_iops_device", .v2 = "io.max",
		.set = set_io, .word = "wiops" },
	{ "hugetlb", CGROUP_HUGETLB, .v1 = "", .v2 = "", .set = set_hugetlb },
	{ "net-cls", CGROUP_NET_CLS, NUM(0, UINT32_MAX), "net_cls.classid", NULL },
	{ "net-prio", CGROUP_NET_PRIO, .v1 = "net_prio.ifpriomap", .set = set_net_prio },
};

static const struct key *find(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static const char *unified_file(const char *key)
{
	return strncmp(key, "unified:", 8) == 0 ? key + 8 : NULL;
}

unsigned cgroup_key_controller(const char *key)
{
	const struct key *k = find(key);
	const char *file = unified_file(key);
	char name[32];

	if (k)
		return CGROUP_BIT(k->controller);
	if (!file || strcspn(file, ".") >= sizeof(name))
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "."), file);
	return cgroup_controller_bit(name);
}

/* --- checks ---------------------------------------------------------------------------------------- */

static int unavailable(const char *controller, struct err *e)
{
	err_set(e, -E_UNSUPPORTED, "cgroup controller '%s' isn't available", controller);
	return err_mend(e,
		"'lodge doctor' says what this host has; it may need a kernel option "
		"(cgroup_enable=%s)",
		controller);
}

static int check_unified(
	const struct cgroup_host *h, const char *file, const char *value, struct err *e)
{
	unsigned bit = cgroup_key_controller(file - 8);
	char name[32];

	if (!*file || strchr(file, '/') || !strchr(file, '.') || strlen(file) > 60)
		return err_set(e, -E_INVALID, "'%s' isn't a file of a cgroup", file);
	if (!h->v2[0]) {
		err_set(e, -E_UNSUPPORTED, "'%s' needs cgroup v2, which isn't mounted", file);
		return err_mend(e, "use the limit's own option");
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "."), file);
	if (strcmp(name, "cgroup") != 0 && !(h->v2_controllers & bit))
		return unavailable(name, e);
	return 0;
}

/* The list format of cpuset(7): "0-3,5". */
static bool cpu_list_ok(const char *s)
{
	if (!*s)
		return false;
	for (;;) {
		size_t n = strspn(s, "0123456789");

		if (n == 0 || n > 6)
			return false;
		s += n;
		if (*s == '-') {
			n = strspn(++s, "0123456789");
			if (n == 0 || n > 6)
				return false;
			s += n;
		}
		if (!*s)
			return true;
		if (*s++ != ',')
			return false;
	}
}

static int check_text(const struct key *k, const char *value, struct err *e)
{
	const char *colon = strrchr(value, ':');
	char dev[32];
	uint64_t n;

	switch (k->controller) {
	case CGROUP_CPUSET:
		return cpu_list_ok(value)
			       ? 0
			       : err_set(e, -E_INVALID, "%s: '%s' isn't a list like 0-2,4", k->name,
					 value);
	case CGROUP_IO:
		return parse_io(k->name, value, dev, sizeof(dev), &n, false, e);
	case CGROUP_HUGETLB:
		if (!colon || colon == value || colon - value > 16 || strchr(value, '/') ||
			small_parse_u64(colon + 1, &n) < 0)
			return err_set(e, -E_INVALID, "hugetlb: '%s' isn't SIZE:BYTES", value);
		return 0;
	default:
		if (!colon || colon == value || colon - value > 200 ||
			small_parse_u64(colon + 1, &n) < 0)
			return err_set(e, -E_INVALID, "%s: '%s' isn't NAME:NUMBER", k->name, value);
		return 0;
	}
}

static int check_number(const struct key *k, const char *value, struct err *e)
{
	int64_t n;

	if (small_parse_i64(value, &n) < 0)
		return err_set(e, -E_INVALID, "%s: '%s' isn't a number", k->name, value);
	if (strcmp(k->name, "memory") == 0 && n >= 0 && n < CGROUP_MEMORY_MIN) {
		err_set(e, -E_INVALID, "memory limit of %lld bytes is below the minimum",
			(long long)n);
		return err_mend(e, "give at least %dk", CGROUP_MEMORY_MIN / 1024);
	}
	if (strcmp(k->name, "cpu-quota") == 0 && n > 0 && n < 1000)
		return err_set(e, -E_INVALID,
			"cpu-quota of %lld is below the minimum of 1000 microseconds",
			(long long)n);
	if (n < k->min)
		return err_set(e, -E_INVALID, "%s of %lld is below the minimum of %lld", k->name,
			(long long)n, (long long)k->min);
	if (n > k->max)
		return err_set(e, -E_INVALID, "%s of %lld is above the maximum of %lld", k->name,
			(long long)n, (long long)k->max);
	return 0;
}

static int check_processors(const char *value, struct err *e)
{
	long have = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n;

	if (have <= 0 || small_parse_i64(value, &n) < 0 || n <= have * INT64_C(1000000000))
		return 0;
	return err_set(e, -E_INVALID,
		"cpus of %lld.%02lld is more than the %ld processors of this host",
		(long long)(n / 1000000000), (long long)(n % 1000000000 / 10000000), have);
}

int cgroup_check(const struct cgroup_host *h, const char *key, const char *value, struct err *e)
{
	const struct key *k = find(key);
	char dir[CGROUP_DIR_MAX];
	bool v2;
	int r;

	if (!k && unified_file(key))
		return check_unified(h, unified_file(key), value, e);
	if (!k)
		return err_set(e, -E_INVALID, "unknown limit '%s'", key);
	r = k->number ? check_number(k, value, e) : check_text(k, value, e);
	if (r >= 0 && strcmp(key, "nano-cpus") == 0)
		r = check_processors(value, e);
	if (r < 0)
		return r;
	if (cgroup_dir(h, "x", k->controller, dir, &v2) < 0) {
		static const char *const names[] = { [CGROUP_CPU] = "cpu",
			[CGROUP_CPUSET] = "cpuset",
			[CGROUP_MEMORY] = "memory",
			[CGROUP_PIDS] = "pids",
			[CGROUP_IO] = "io",
			[CGROUP_HUGETLB] = "hugetlb",
			[CGROUP_NET_CLS] = "net_cls",
			[CGROUP_NET_PRIO] = "net_prio" };

		return unavailable(names[k->controller], e);
	}
	if ((v2 && !k->v2) || (!v2 && !k->v1)) {
		err_set(e, -E_UNSUPPORTED, "%s isn't available with cgroup %s", key,
			v2 ? "v2" : "v1");
		return err_mend(e, "start without it");
	}
	return 0;
}

/* Fills l for a key that has been checked, and does it. */
static int apply(const struct cgroup_host *h, struct limit *l, struct err *e)
{
	const struct key *k = find(l->key);

	if (!k) {
		(void)snprintf(l->dir, sizeof(l->dir), "%s/%s", h->v2, l->path);
		l->v2 = true;
		l->key = unified_file(l->key);
		return failed(l, put(l, l->key, l->value), e);
	}
	(void)cgroup_dir(h, l->path, k->controller, l->dir, &l->v2);
	if (k->number)
		(void)small_parse_i64(l->value, &l->num);
	if (k->set)
		return k->set(l, k, e);
	return failed(l, put(l, l->v2 ? k->v2 : k->v1, l->value), e);
}

int cgroup_set(const char *path, const char *key, const char *value, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	struct limit l = { .path = path, .key = key, .value = value };
	int r = cgroup_check(h, key, value, e);

	if (r < 0)
		return r;
	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	return apply(h, &l, e);
}

void cgroup_show_set(const struct cgroup_host *h, const char *path, const char *key,
	const char *value, struct text *t)
{
	char own[2 * CGROUP_DIR_MAX + 512];
	struct text line = TEXT_ON(own);
	struct limit l = { .path = path, .key = key, .value = value, .show = &line };

	own[0] = '\0';
	if (cgroup_check(h, key, value, NULL) >= 0 && apply(h, &l, NULL) >= 0)
		text_add(t, own);
	else
		text_addf(t, "# cgroup %s: %s = %s", path, key, value);
}
