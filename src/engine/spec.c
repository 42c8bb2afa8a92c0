/* SPDX-License-Identifier: MIT */
#include "engine/spec.h"

#include "engine/spec-priv.h"
#include "engine/spec-vm-priv.h"

#define LOG_MAX_SIZE  (10 << 20) /* bytes of one file of a guest's log */
#define LOG_MAX_FILES 3

/* clang-format off */
static const char *const ns_modes[] = {
	[NS_PRIVATE] = "private", [NS_HOST] = "host", [NS_GUEST] = "guest", [NS_PATH] = "path", NULL
};
_Static_assert(ELEMENTSOF(ns_modes) == _NS_MODE_MAX + 1, "every mode has a name");

static const char *const mount_kinds[] = {
	[MOUNT_BIND] = "bind", [MOUNT_VOLUME] = "volume", [MOUNT_TMPFS] = "tmpfs", NULL
};
_Static_assert(ELEMENTSOF(mount_kinds) == _MOUNT_MAX + 1, "every kind has a name");

static const char *const restarts[] = {
	[RESTART_NO] = "no", [RESTART_ON_FAILURE] = "on-failure", [RESTART_ALWAYS] = "always",
	[RESTART_UNLESS_STOPPED] = "unless-stopped", NULL
};
_Static_assert(ELEMENTSOF(restarts) == _RESTART_MAX + 1, "every policy has a name");

static const struct json_field ns_fields[] = {
	JSON_ENUM(struct spec_ns, mode, enum spec_ns_mode, "mode", ns_modes, NS_PRIVATE),
	JSON_STRING(struct spec_ns, guest, "guest", 0),
	JSON_STRING(struct spec_ns, path, "path", 0),
	JSON_END
};
static const struct json_struct ns_struct = { .size = sizeof(struct spec_ns), .fields = ns_fields };

#define NS_ROW(n, kind) \
	{ .name = n, .type = JSON_T_STRUCT, .offset = kind * sizeof(struct spec_ns), .of = &ns_struct }
static const struct json_field ns_all_fields[] = {
	NS_ROW("mnt", NS_MNT), NS_ROW("pid", NS_PID), NS_ROW("net", NS_NET), NS_ROW("uts", NS_UTS),
	NS_ROW("ipc", NS_IPC), NS_ROW("user", NS_USER), NS_ROW("cgroup", NS_CGROUP), NS_ROW("time", NS_TIME),
	JSON_END
};
_Static_assert(ELEMENTSOF(ns_all_fields) == _NS_MAX + 1, "every namespace has its row");
static const struct json_struct ns_all_struct = {
	.size = sizeof(((struct spec *)0)->ns), .fields = ns_all_fields
};

static void mount_free(void *p);
static const struct json_field mount_fields[] = {
	{ .name = "kind", .type = JSON_T_ENUM, .offset = offsetof(struct spec_mount, kind),
		.names = mount_kinds, .absent = -1, .flags = JSON_REQUIRED },
	JSON_STRING(struct spec_mount, source, "source", 0),
	JSON_STRING(struct spec_mount, target, "target", JSON_REQUIRED),
	JSON_BOOL(struct spec_mount, read_only, "read_only"),
	JSON_BOOL(struct spec_mount, nocopy, "nocopy"),
	JSON_BOOL(struct spec_mount, create, "create"),
	JSON_STRING(struct spec_mount, propagation, "propagation", 0),
	JSON_STRING(struct spec_mount, options, "options", 0),
	JSON_INT64(struct spec_mount, size, "size", 0),
	JSON_INT(struct spec_mount, mode, "mode", -1),
	JSON_END
};
static const struct json_struct mount_struct = { sizeof(struct spec_mount), mount_fields, mount_free };

static void device_free(void *p);
static const struct json_field device_fields[] = {
	JSON_STRING(struct spec_device, host, "host", JSON_REQUIRED),
	JSON_STRING(struct spec_device, guest, "guest", JSON_REQUIRED),
	JSON_STRING(struct spec_device, access, "access", JSON_REQUIRED),
	JSON_END
};
static const struct json_struct device_struct = { sizeof(struct spec_device), device_fields, device_free };

static void port_free(void *p);
static const struct json_field port_fields[] = {
	JSON_STRING(struct spec_port, proto, "proto", JSON_REQUIRED),
	JSON_STRING(struct spec_port, host_addr, "host_addr", 0),
	JSON_UINT16(struct spec_port, host, "host", 0),
	JSON_UINT16(struct spec_port, guest, "guest", 0),
	JSON_UINT16(struct spec_port, count, "count", 1),
	JSON_END
};
static const struct json_struct port_struct = { sizeof(struct spec_port), port_fields, port_free };

static void attach_free(void *p);
static const struct json_field attach_fields[] = {
	JSON_STRING(struct spec_attach, network, "network", JSON_REQUIRED),
	JSON_STRING(struct spec_attach, address, "address", 0),
	JSON_STRING(struct spec_attach, address6, "address6", 0),
	JSON_STRING(struct spec_attach, mac, "mac", 0),
	JSON_STRINGS(struct spec_attach, aliases, "aliases"),
	JSON_INT(struct spec_attach, slot, "slot", 0),
	JSON_END
};
static const struct json_struct attach_struct = { sizeof(struct spec_attach), attach_fields, attach_free };

static void rlimit_free(void *p);
static const struct json_field rlimit_fields[] = {
	JSON_STRING(struct spec_rlimit, name, "name", JSON_REQUIRED),
	JSON_UINT64(struct spec_rlimit, soft, "soft", 0),
	JSON_UINT64(struct spec_rlimit, hard, "hard", 0),
	JSON_END
};
static const struct json_struct rlimit_struct = { sizeof(struct spec_rlimit), rlimit_fields, rlimit_free };

static void pair_free(void *p);
static const struct json_field pair_fields[] = {
	JSON_STRING(struct spec_pair, key, "key", JSON_REQUIRED),
	JSON_STRING(struct spec_pair, value, "value", JSON_REQUIRED),
	JSON_END
};
static const struct json_struct pair_struct = { sizeof(struct spec_pair), pair_fields, pair_free };

static const struct json_field idmap_fields[] = {
	JSON_UINT32(struct spec_idmap, inside, "inside", 0),
	JSON_UINT32(struct spec_idmap, outside, "outside", 0),
	JSON_UINT32(struct spec_idmap, count, "count", 0),
	JSON_END
};
static const struct json_struct idmap_struct = { .size = sizeof(struct spec_idmap), .fields = idmap_fields };

static const struct json_field limits_fields[] = {
	JSON_INT64(struct spec_limits, memory, "memory", 0),
	JSON_INT64(struct spec_limits, memory_swap, "memory_swap", 0),
	JSON_INT64(struct spec_limits, memory_reservation, "memory_reservation", 0),
	JSON_INT64(struct spec_limits, swappiness, "swappiness", -1),
	JSON_BOOL(struct spec_limits, oom_kill_disable, "oom_kill_disable"),
	JSON_INT64(struct spec_limits, nano_cpus, "nano_cpus", 0),
	JSON_INT64(struct spec_limits, cpu_shares, "cpu_shares", 0),
	JSON_INT64(struct spec_limits, cpu_period, "cpu_period", 0),
	JSON_INT64(struct spec_limits, cpu_quota, "cpu_quota", 0),
	JSON_STRING(struct spec_limits, cpuset_cpus, "cpuset_cpus", 0),
	JSON_STRING(struct spec_limits, cpuset_mems, "cpuset_mems", 0),
	JSON_INT64(struct spec_limits, pids, "pids", 0),
	JSON_INT64(struct spec_limits, blkio_weight, "blkio_weight", 0),
	JSON_LIST(struct spec_limits, io, "io", &pair_struct),
	JSON_LIST(struct spec_limits, hugetlb, "hugetlb", &pair_struct),
	JSON_LIST(struct spec_limits, unified, "unified", &pair_struct),
	JSON_END
};
static const struct json_struct limits_struct = { .size = sizeof(struct spec_limits), .fields = limits_fields };

static const struct json_field spec_fields[] = {
	JSON_POINTER(struct spec, vm, struct spec_vm, "vm", &spec_vm_struct),
	JSON_STRING(struct spec, hostname, "hostname", 0),
	JSON_STRING(struct spec, domainname, "domainname", 0),
	JSON_STRINGS(struct spec, argv, "argv"),
	JSON_STRINGS(struct spec, env, "env"),
	JSON_STRING(struct spec, cwd, "cwd", 0),
	JSON_STRING(struct spec, user, "user", 0),
	JSON_STRINGS(struct spec, groups, "groups"),
	JSON_BOOL(struct spec, tty, "tty"),
	JSON_BOOL(struct spec, open_stdin, "open_stdin"),
	JSON_BOOL(struct spec, stdin_once, "stdin_once"),
	JSON_BOOL(struct spec, init, "init"),

	JSON_STRINGS(struct spec, layers, "layers"),
	JSON_STRING(struct spec, rootfs, "rootfs", 0),
	JSON_BOOL(struct spec, read_only, "read_only"),
	JSON_LIST(struct spec, mounts, "mounts", &mount_struct),
	JSON_INT64(struct spec, shm_size, "shm_size", 0),

	{ .name = "ns", .type = JSON_T_STRUCT, .offset = offsetof(struct spec, ns), .of = &ns_all_struct },
	JSON_ARRAY(struct spec, uid_map, "uid_map", &idmap_struct),
	JSON_ARRAY(struct spec, gid_map, "gid_map", &idmap_struct),
	JSON_BOOL(struct spec, privileged, "privileged"),
	JSON_UINT64(struct spec, caps, "caps", 0),
	JSON_BOOL(struct spec, no_new_privs, "no_new_privs"),
	JSON_STRING(struct spec, seccomp, "seccomp", 0),
	JSON_STRING(struct spec, apparmor, "apparmor", 0),
	JSON_STRING(struct spec, selinux, "selinux", 0),
	JSON_BOOL(struct spec, unmasked, "unmasked"),
	JSON_LIST(struct spec, devices, "devices", &device_struct),
	JSON_STRINGS(struct spec, device_rules, "device_rules"),
	JSON_STRUCT(struct spec, limits, struct spec_limits, "limits", &limits_struct),
	JSON_LIST(struct spec, rlimits, "rlimits", &rlimit_struct),
	JSON_LIST(struct spec, sysctls, "sysctls", &pair_struct),
	JSON_INT(struct spec, oom_score_adj, "oom_score_adj", 0),
	JSON_STRING(struct spec, cgroup_parent, "cgroup_parent", 0),

	JSON_LIST(struct spec, networks, "networks", &attach_struct),
	JSON_LIST(struct spec, ports, "ports", &port_struct),
	JSON_STRINGS(struct spec, dns, "dns"),
	JSON_STRINGS(struct spec, dns_search, "dns_search"),
	JSON_STRINGS(struct spec, dns_options, "dns_options"),
	JSON_STRINGS(struct spec, hosts, "hosts"),

	JSON_ENUM(struct spec, restart, enum spec_restart, "restart", restarts, RESTART_NO),
	JSON_INT(struct spec, restart_max, "restart_max", 0),
	JSON_STRING(struct spec, stop_signal, "stop_signal", 0),
	JSON_INT(struct spec, stop_timeout, "stop_timeout", -1),
	JSON_BOOL(struct spec, auto_remove, "auto_remove"),
	JSON_INT64(struct spec, log_max_size, "log_max_size", LOG_MAX_SIZE),
	JSON_INT(struct spec, log_max_files, "log_max_files", LOG_MAX_FILES),
	JSON_END
};
const struct json_struct spec_struct = { .size = sizeof(struct spec), .fields = spec_fields };
/* clang-format on */

static void mount_free(void *p)
{
	json_struct_free(&mount_struct, p);
}

static void device_free(void *p)
{
	json_struct_free(&device_struct, p);
}

static void port_free(void *p)
{
	json_struct_free(&port_struct, p);
}

static void attach_free(void *p)
{
	json_struct_free(&attach_struct, p);
}

static void rlimit_free(void *p)
{
	json_struct_free(&rlimit_struct, p);
}

static void pair_free(void *p)
{
	json_struct_free(&pair_struct, p);
}

struct spec *spec_new(void)
{
	struct spec *s = g_new(struct spec, 1);

	json_struct_init(&spec_struct, s);
	return s;
}

void spec_free(struct spec *s)
{
	json_struct_free(&spec_struct, s);
}

void spec_freep(struct spec **s)
{
	spec_free(*s);
}

struct spec_mount *spec_add_mount(
	struct spec *s, enum spec_mount_kind kind, const char *source, const char *target)
{
	struct spec_mount *m = json_list_add(&mount_struct, s->mounts);

	m->kind = kind;
	m->source = g_strdup(source);
	m->target = g_strdup(target);
	return m;
}

struct spec_port *spec_add_port(
	struct spec *s, const char *proto, uint16_t host, uint16_t guest, uint16_t count)
{
	struct spec_port *p = json_list_add(&port_struct, s->ports);

	p->proto = g_strdup(proto);
	p->host = host;
	p->guest = guest;
	p->count = count;
	return p;
}

struct spec_attach *spec_add_network(struct spec *s, const char *network)
{
	struct spec_attach *a = json_list_add(&attach_struct, s->networks);

	a->network = g_strdup(network);
	return a;
}

void spec_add_pair(GPtrArray *list, const char *key, const char *value)
{
	struct spec_pair *p = json_list_add(&pair_struct, list);

	p->key = g_strdup(key);
	p->value = g_strdup(value);
}

void spec_add_rlimit(struct spec *s, const char *name, uint64_t soft, uint64_t hard)
{
	struct spec_rlimit *l = json_list_add(&rlimit_struct, s->rlimits);

	l->name = g_strdup(name);
	l->soft = soft;
	l->hard = hard;
}

void spec_add_device(struct spec *s, const char *host, const char *guest, const char *access)
{
	struct spec_device *d = json_list_add(&device_struct, s->devices);

	d->host = g_strdup(host);
	d->guest = g_strdup(guest);
	d->access = g_strdup(access);
}

json_t *spec_to_json(const struct spec *s)
{
	return json_struct_encode(&spec_struct, s);
}

int spec_from_json(const json_t *j, struct spec **ret, struct err *e)
{
	struct spec *s = g_new(struct spec, 1);
	int r = json_struct_decode(&spec_struct, j, 0, s, e);

	if (r < 0) {
		g_free(s);
		err_prefix(e, "invalid spec");
		return r;
	}
	*ret = s;
	return 0;
}
