/* SPDX-License-Identifier: MIT */
#ifndef LODGE_SPEC_H
#define LODGE_SPEC_H

/*
 * What an engine needs to start a guest: plain data, no dialect's words. It is made by guest/ from a
 * request and an image's configuration, stored in the guest's record as JSON (spec_to_json and its
 * inverse, tables in spec.c) and turned into a plan by an engine.
 *
 * Ownership: everything in a struct spec belongs to it; spec_free() frees it all. Strings are NULL
 * when not given, numbers have the "not given" value named beside them.
 */

#include <glib.h>
#include <jansson.h>
#include "base/err.h"
#include "engine/spec-vm.h"

enum spec_ns_mode {
	NS_PRIVATE, /* its own */
	NS_HOST,    /* the host's */
	NS_GUEST,   /* that of another guest: ns.guest */
	NS_PATH,    /* ns.path */
	_NS_MODE_MAX,
};

enum spec_ns_kind { NS_MNT, NS_PID, NS_NET, NS_UTS, NS_IPC, NS_USER, NS_CGROUP, NS_TIME, _NS_MAX };

struct spec_ns {
	enum spec_ns_mode mode;
	char *guest; /* id of the other guest */
	char *path;
};

enum spec_mount_kind { MOUNT_BIND, MOUNT_VOLUME, MOUNT_TMPFS, _MOUNT_MAX };

struct spec_mount {
	enum spec_mount_kind kind;
	char *source;	   /* host path; name of the volume; NULL for tmpfs */
	char *target;	   /* absolute, in the guest */
	bool read_only;
	bool nocopy;	   /* volume: don't fill an empty one from the image */
	bool create;	   /* bind: make the source as a folder where it isn't there (-v, not --mount) */
	char *propagation; /* "rprivate" when NULL */
	char *options;	   /* further mount(8) words, or tmpfs' data */
	int64_t size;	   /* tmpfs, bytes; 0: the kernel's */
	int mode;	   /* tmpfs; -1: 01777 */
};

struct spec_device {
	char *host, *guest; /* paths */
	char *access;	    /* "rwm" */
};

struct spec_port {
	char *proto;	   /* "tcp", "udp", "sctp" */
	char *host_addr;   /* NULL: all, IPv4 and IPv6 */
	uint16_t host;	   /* first; 0: picked at start */
	uint16_t guest;	   /* first */
	uint16_t count;	   /* >= 1 */
};

struct spec_attach {
	char *network; /* name */
	char *address; /* asked for; NULL: given out at start */
	char *address6;
	char *mac;
	char **aliases; /* NULL-terminated */
	int slot;	/* of a machine's card: as a disk's (spec-vm.h) */
};

struct spec_rlimit {
	char *name; /* "nofile" */
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

struct spec_pair {
	char *key, *value;
};

struct spec_idmap {
	uint32_t inside, outside, count;
};

enum spec_restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED, _RESTART_MAX };

struct spec_limits {
	int64_t memory;		    /* bytes, 0: none */
	int64_t memory_swap;	    /* memory and swap, -1: no limit, 0: as the kernel has it */
	int64_t memory_reservation; /* bytes, 0: none */
	int64_t swappiness;	    /* -1: as the kernel has it */
	bool oom_kill_disable;
	int64_t nano_cpus;	    /* 1e9 is one processor; 0: none */
	int64_t cpu_shares;	    /* v1's scale, 2..262144; 0: default */
	int64_t cpu_period, cpu_quota; /* microseconds; 0: none */
	char *cpuset_cpus, *cpuset_mems;
	int64_t pids;		    /* 0 or -1: none */
	int64_t blkio_weight;	    /* 10..1000, 0: default */
	GPtrArray *io;		    /* struct spec_pair: "rbps"|"wbps"|"riops"|"wiops" -> "PATH:RATE" */
	GPtrArray *hugetlb;	    /* struct spec_pair: "2MB" -> bytes */
	GPtrArray *unified;	    /* struct spec_pair: a cgroup v2 file -> text */
};

struct spec {
	struct spec_vm *vm; /* NULL: not a machine */
	char *hostname, *domainname;
	char **argv;  /* the whole command, entry point included; NULL-terminated */
	char **env;   /* NAME=VALUE; NULL-terminated */
	char *cwd;
	char *user;   /* "name|uid[:group|gid]"; NULL: root */
	char **groups; /* further groups */
	bool tty, open_stdin, stdin_once, init;

	char **layers;	 /* digests ("sha256:..."), lowest first */
	char *rootfs;	 /* a folder instead of layers; NULL: layers */
	bool read_only;	 /* root */
	GPtrArray *mounts; /* struct spec_mount, in order */
	int64_t shm_size; /* bytes; 0: 64 MiB */

	struct spec_ns ns[_NS_MAX];
	GArray *uid_map, *gid_map; /* struct spec_idmap; empty: no map */
	bool privileged;
	uint64_t caps;	 /* bit n: capability n */
	bool no_new_privs;
	char *seccomp;	 /* "default", "unconfined", or a profile's JSON text */
	char *apparmor;	 /* profile, "unconfined"; NULL: the default where there is one */
	char *selinux;	 /* label */
	bool unmasked;	 /* systempaths=unconfined */
	GPtrArray *devices;	 /* struct spec_device */
	char **device_rules;	 /* "c 1:3 rwm" */
	struct spec_limits limits;
	GPtrArray *rlimits;	 /* struct spec_rlimit */
	GPtrArray *sysctls;	 /* struct spec_pair */
	int oom_score_adj;
	char *cgroup_parent;

	GPtrArray *networks;	 /* struct spec_attach; empty with ns[NS_NET] private: none */
	GPtrArray *ports;	 /* struct spec_port */
	char **dns, **dns_search, **dns_options;
	char **hosts;		 /* "NAME:ADDRESS" */

	enum spec_restart restart;
	int restart_max;	 /* on-failure: 0 is no limit */
	char *stop_signal;	 /* "SIGTERM" when NULL */
	int stop_timeout;	 /* seconds; -1: 10 */
	bool auto_remove;
	int64_t log_max_size;	 /* bytes; 0: no rotation */
	int log_max_files;	 /* >= 1 */
};

/* A spec with every field "not given", lists made and empty, 10 MiB x 3 of log. Never NULL. */
struct spec *spec_new(void);
void spec_free(struct spec *s);
void spec_freep(struct spec **s);

/* Elements for the lists; the list frees them. Strings are copied. */
struct spec_mount *spec_add_mount(struct spec *s, enum spec_mount_kind kind, const char *source,
	const char *target);
struct spec_port *spec_add_port(struct spec *s, const char *proto, uint16_t host, uint16_t guest,
	uint16_t count);
struct spec_attach *spec_add_network(struct spec *s, const char *network);
void spec_add_pair(GPtrArray *list, const char *key, const char *value);
void spec_add_rlimit(struct spec *s, const char *name, uint64_t soft, uint64_t hard);
void spec_add_device(struct spec *s, const char *host, const char *guest, const char *access);

/* Round-trips exactly. Fields that are "not given" are left out. Caller owns the result. */
json_t *spec_to_json(const struct spec *s);
int spec_from_json(const json_t *j, struct spec **ret, struct err *e);

#endif
