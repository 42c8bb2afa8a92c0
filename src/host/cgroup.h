/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CGROUP_H
#define LODGE_CGROUP_H

/*
 * Control groups: one interface over v1, hybrid and v2. cgroups(7), the kernel's
 * admin-guide/cgroup-v2.rst and cgroup-v1/, runtime-spec's config-linux.md.
 *
 * A guest's cgroup is named by a path such as "lodge/ID". It stands for the folder of that name below the
 * mount of every hierarchy that is used: the v2 tree where there is one (also hybrid's, which
 * has no controllers but can freeze and kill), and the v1 hierarchies of the controllers asked for.
 *
 * Where the hierarchies are mounted is looked up once a process: in the usual places, and when one isn't
 * there, in /proc/self/mountinfo. No path is assumed.
 *
 * On v2 the guest's first process is cloned into its cgroup. The v1 hierarchies it joins by itself:
 * one thread that moves itself ("0" written to `tasks`) doesn't wait for an RCU grace period, a
 * process that is moved by another one does (10 ms).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/text.h"

enum cgroup_mode {
	CGROUP_NONE,   /* nothing is mounted */
	CGROUP_V1,     /* v1 hierarchies only */
	CGROUP_HYBRID, /* controllers in v1 hierarchies, and a v2 tree without (or with other) ones */
	CGROUP_V2,     /* v2 only */
};
const char *cgroup_mode_name(enum cgroup_mode m); /* "none", "v1", "hybrid", "v2" */

/* Controllers, as bits. The names are the kernel's; "io" is v2's word for "blkio". */
enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_CPUACCT, /* v1 only: v2's cpu.stat is always there */
	CGROUP_CPUSET,
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_IO,
	CGROUP_DEVICES, /* v1 only: a program of the BPF kind on v2 */
	CGROUP_FREEZER, /* v1 only: cgroup.freeze on v2 */
	CGROUP_HUGETLB,
	CGROUP_NET_CLS,	 /* v1 only */
	CGROUP_NET_PRIO, /* v1 only */
	CGROUP_PERF,
	CGROUP_RDMA,
	CGROUP_MISC,
	CGROUP_NAMED, /* v1: name=systemd, for system containers that run systemd */
	_CGROUP_CONTROLLER_MAX,
};
#define CGROUP_BIT(c) (1u << (c))

enum {
	CGROUP_HIERARCHIES_MAX = 16,
	CGROUP_PATH_MAX = 256,
	CGROUP_MOUNT_MAX = 256
};

struct cgroup_hierarchy {
	char mount[CGROUP_MOUNT_MAX];
	unsigned controllers; /* bits */
};

struct cgroup_host {
	enum cgroup_mode mode;
	char v2[CGROUP_MOUNT_MAX]; /* the v2 tree's mount; "": none */
	unsigned v2_controllers;   /* bits of its root's cgroup.controllers */
	struct cgroup_hierarchy v1[CGROUP_HIERARCHIES_MAX];
	unsigned n_v1;
};

/* This machine's hierarchies, found at the first call. Never NULL. */
const struct cgroup_host *cgroup_host(void);

/* The same from texts, for tests: what /proc/self/mountinfo says, and the v2 root's cgroup.controllers (or NULL). */
void cgroup_host_parse(const char *mountinfo, const char *v2_controllers, struct cgroup_host *ret);

/* Bit of a name ("memory", "io", "blkio", "name=systemd"); 0: unknown. */
unsigned cgroup_controller_bit(const char *name);
/* Bits of "memory,pids"; unknown names are left out. */
unsigned cgroup_controllers_parse(const char *list);
/* All controllers that a guest can have on this host, v1 and v2. */
unsigned cgroup_controllers(const struct cgroup_host *h);

/*
 * Which controllers a guest needs, as step "cgroup-create" takes them ("memory,devices"): for what `stats`
 * tells and for pausing, where no v2 tree does that, for device rules, and for the limits, whose keys
 * (cgroup_set) are given. Each v1 hierarchy costs a start and an end some 0.1 ms, so nothing else is made.
 * `list` holds CGROUP_PATH_MAX bytes. Pure.
 */
void cgroup_controllers_for(const struct cgroup_host *h, const char *const *keys, unsigned n_keys,
	char list[CGROUP_PATH_MAX]);

/* --- life ------------------------------------------------------------------------------------------ */

/* Makes the folders, with all that lie above, and enables v2's controllers. Returns 1 when a folder of
 * path was there already, which is kept. A controller that the host lacks is passed over: cgroup_set()
 * says so when it is needed. */
int cgroup_create(const char *path, unsigned controllers, struct err *e);

/* Adds hierarchies to a cgroup with processes, and moves them there. Moving waits for the kernel, some 10 ms
 * each: for limits that come later. */
int cgroup_extend(const char *path, unsigned controllers, struct err *e);

/* Kills what is in there, waits, and removes the folders and those that guests made below. What isn't
 * there is no error. */
int cgroup_remove(const char *path, struct err *e);

/* Sends SIGKILL to all that is in there; returns at once. */
int cgroup_kill(const char *path, struct err *e);

/* For users without privileges, to whom a part of the cgroups was given (Delegation Containment of the kernel's
 * cgroup-v2.rst). Whether this process may make path in all hierarchies that cgroup_create() would, and children of it
 * be born there; and whether it may bring a child into one that is there. */
bool cgroup_is_delegated(const char *path, unsigned controllers);
bool cgroup_may_join(const char *path);

/* The v2 cgroup that this process is in, "a/b"; "" is the root. ret: CGROUP_PATH_MAX bytes. -ENOENT without a v2 tree. */
int cgroup_own(char *ret);

/* An O_PATH descriptor of the v2 folder, for CLONE_INTO_CGROUP and setns-like uses; -ENOENT without a v2
 * tree. */
int cgroup_open(const char *path);

/* The calling thread joins the v1 hierarchies where path is (v2 too, with `and_v2`: costs an RCU grace
 * period unless it is the process' only thread). To be called before the user namespace's ids are taken on. */
int cgroup_join(const char *path, bool and_v2, struct err *e);

/* The calling thread joins path in the v1 hierarchies that have one of the controllers (all bits: in each where it
 * is). -ENOENT when it is in none of them. */
int cgroup_join_below(const char *path, unsigned controllers, struct err *e);

int cgroup_freeze(const char *path, bool freeze, struct err *e); /* returns when all are frozen */
bool cgroup_frozen(const char *path);
bool cgroup_exists(const char *path);

/* Process ids (this pid namespace's) in there and below, each once. Caller frees. -ENOENT. */
int cgroup_procs(const char *path, pid_t **ret, size_t *ret_n);

/* How many threads are in there and below, by the v2 tree. -ENOENT. */
int cgroup_threads(const char *path, size_t *ret);

/* --- limits ---------------------------------------------------------------------------------------- */

/*
 * Sets one limit. Keys and values (decimal; sizes in bytes):
 *
 *	memory			limit; -1: none. At least CGROUP_MEMORY_MIN
 *	memory-swap		memory and swap together; -1: no limit. To be set after memory
 *	memory-reservation	soft limit (v2: memory.low)
 *	swappiness		0 to 100 (v1)
 *	oom-kill-disable	1 (v1)
 *	cpu-shares		2 to 262144, v1's scale (v2: weight by runtime-spec's formula)
 *	cpu-period, cpu-quota	microseconds; quota -1: none
 *	nano-cpus		1e9 is one processor; sets period and quota
 *	cpu-rt-period, cpu-rt-runtime	microseconds (v1)
 *	cpu-burst, cpu-idle
 *	cpuset-cpus, cpuset-mems	"0-2,4"
 *	pids			0 or -1: none
 *	blkio-weight		10 to 1000 (v2: io.weight or io.bfq.weight)
 *	io-rbps, io-wbps, io-riops, io-wiops	"PATH:RATE": a block device's path, or MAJ:MIN as "8:0:RATE"
 *	hugetlb			"2MB:BYTES"
 *	net-cls			class id (v1)
 *	net-prio		"IF:PRIORITY" (v1)
 *	unified:FILE		text for a file of the v2 tree
 *
 * Errors: -E_INVALID for a value out of range or an unknown key, -E_UNSUPPORTED when the controller isn't
 * on this host, -E_LIMIT when more is used already than the limit would allow.
 */
int cgroup_set(const char *path, const char *key, const char *value, struct err *e);

/* Only the checks of the value, without touching anything: for plans and their error messages. Knows the host. */
int cgroup_check(const struct cgroup_host *h, const char *key, const char *value, struct err *e);

/* The commands that stand for cgroup_set() on this host. Pure. */
void cgroup_show_set(const struct cgroup_host *h, const char *path, const char *key,
	const char *value, struct text *t);

/* The controller (bit) that a key needs; 0: unknown key or none. */
unsigned cgroup_key_controller(const char *key);

/* The controller that key needs, if it has a v1 hierarchy in which path isn't there (what nothing wanted isn't
 * made): step_cgroup_extend's. NULL: nothing is missing. Static. */
const char *cgroup_missing(const struct cgroup_host *h, const char *path, const char *key);

enum {
	CGROUP_MEMORY_MIN = 512 * 1024
};

/* The conversions of runtime-spec's config-linux.md. Pure. */
uint64_t cgroup_shares_to_weight(uint64_t shares);
uint64_t cgroup_blkio_to_io_weight(uint64_t weight);

/* --- devices: cgroup-device.c ---------------------------------------------------------------------- */

struct cgroup_device_rule {
	bool allow;
	char type;	      /* 'a', 'b', 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;      /* CGROUP_DEV_* */
};
enum {
	CGROUP_DEV_MKNOD = 1,
	CGROUP_DEV_READ = 2,
	CGROUP_DEV_WRITE = 4
}; /* as BPF_DEVCG_ACC_* */
enum {
	CGROUP_DEVICE_RULES_MAX = 512
};

/* "c 1:3 rwm", "b *:* m", "a"; a "-" before it denies. -E_INVALID. */
int cgroup_device_parse(const char *s, struct cgroup_device_rule *ret, struct err *e);

/* The name that /proc/devices has for a major number, as systemd's "char-NAME" wants it. -ENOENT. */
int cgroup_device_name(bool block, int64_t major, char *ret, size_t size);

/* What docker allows every container: null zero full random urandom tty console ptmx pts, and mknod
 * of all. NULL-terminated. */
extern const char *const cgroup_device_default[];

/* Denies all, then applies the rules in order: v1's devices.deny and devices.allow, or on v2 a BPF program
 * in the place of the one there is. */
int cgroup_device_set(
	const char *path, const struct cgroup_device_rule *rules, size_t n, struct err *e);

struct bpf_insn;
#define CGROUP_DEVICE_INSNS(n) (8 + 8 * (size_t)(n))

/* The program: the last rule that matches decides, 0 when none does. insns holds CGROUP_DEVICE_INSNS(n).
 * Returns the number of instructions. Pure. */
size_t cgroup_device_program(
	const struct cgroup_device_rule *rules, size_t n, struct bpf_insn *insns);

/* --- figures: cgroup-stats.c ----------------------------------------------------------------------- */

/* UINT64_MAX in a limit: none. What the host can't tell is 0, and its bit isn't in `known`. */
struct cgroup_stats {
	unsigned known; /* CGROUP_BIT()s: CGROUP_CPU, _MEMORY, _PIDS, _IO */
	uint64_t cpu_ns, cpu_user_ns, cpu_system_ns;
	uint64_t periods, throttled, throttled_ns;
	uint64_t memory, memory_limit, memory_max,
		memory_cache; /* cache: inactive_file, docker subtracts it */
	uint64_t memory_swap;
	uint64_t oom_kills;
	uint64_t pids, pids_limit;
	uint64_t read_bytes, write_bytes, read_ops, write_ops;
};

/* -ENOENT when path is nowhere. */
int cgroup_stats(const char *path, struct cgroup_stats *ret);

/* For waiting until the guest is out of memory: a descriptor that poll(2)s as POLLPRI when
 * memory.events changes (v2), or POLLIN (v1, an eventfd). -E_UNSUPPORTED. And the count. */
int cgroup_oom_fd(const char *path);
uint64_t cgroup_oom_kills(const char *path);

/* --- for the files of cgroup*.c --------------------------------------------------------------------- */

/* The folder of path in the hierarchy that has controller c; v2 before v1. -E_UNSUPPORTED when no
 * hierarchy has it. *ret_v2 says whose file names apply. buf: CGROUP_MOUNT_MAX + CGROUP_PATH_MAX bytes. */
enum {
	CGROUP_DIR_MAX = CGROUP_MOUNT_MAX + CGROUP_PATH_MAX
};
int cgroup_dir(const struct cgroup_host *h, const char *path, enum cgroup_controller c, char *buf,
	bool *ret_v2);

/* A path that stays below the mounts: relative, no "..", not too long. */
bool cgroup_path_ok(const char *path);

#endif
