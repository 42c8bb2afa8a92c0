/* SPDX-License-Identifier: MIT */
/* config.json's fields as tables, in the order of config.md and config-linux.md. */
#include "engine/bundle/config.h"

#include <string.h>

#include "codec/json.h"

/* A type of elements: its table and the function that frees one. */
#define ELEMENT(name)                                                                         \
	static void name##_free(gpointer p);                                                  \
	static const struct json_struct name##_struct = { sizeof(struct name), name##_fields, \
		name##_free };                                                                \
	static void name##_free(gpointer p)                                                   \
	{                                                                                     \
		json_struct_free(&name##_struct, p);                                          \
	}
#define PART(name)                                                                            \
	static const struct json_struct name##_struct = { sizeof(struct name), name##_fields, \
		NULL };

/* clang-format off */
static const struct json_field config_rlimit_fields[] = {
	{ .name = "type", .type = JSON_T_STRING, .offset = JSON_AT(struct config_rlimit, type, char *), .flags = JSON_REQUIRED },
	{ .name = "soft", .type = JSON_T_UINT64, .offset = JSON_AT(struct config_rlimit, soft, uint64_t), .flags = JSON_REQUIRED },
	{ .name = "hard", .type = JSON_T_UINT64, .offset = JSON_AT(struct config_rlimit, hard, uint64_t), .flags = JSON_REQUIRED },
	JSON_END
};
ELEMENT(config_rlimit)

static const struct json_field config_caps_fields[] = {
	JSON_STRINGS(struct config_caps, bounding, "bounding"),
	JSON_STRINGS(struct config_caps, effective, "effective"),
	JSON_STRINGS(struct config_caps, inheritable, "inheritable"),
	JSON_STRINGS(struct config_caps, permitted, "permitted"),
	JSON_STRINGS(struct config_caps, ambient, "ambient"),
	JSON_END
};
PART(config_caps)

static const struct json_field config_user_fields[] = {
	JSON_UINT32(struct config_user, uid, "uid", 0),
	JSON_UINT32(struct config_user, gid, "gid", 0),
	{ .name = "umask", .type = JSON_T_INT64, .offset = JSON_AT(struct config_user, umask, int64_t), .absent = CONFIG_NONE, .min = 0, .max = 0777 },
	JSON_END
};
PART(config_user)

static const struct json_field config_scheduler_fields[] = {
	JSON_STRING(struct config_scheduler, policy, "policy", JSON_REQUIRED),
	{ .name = "nice", .type = JSON_T_INT64, .offset = JSON_AT(struct config_scheduler, nice, int64_t), .min = -20, .max = 19 },
	{ .name = "priority", .type = JSON_T_INT64, .offset = JSON_AT(struct config_scheduler, priority, int64_t), .min = 0, .max = 99 },
	JSON_STRINGS(struct config_scheduler, flags, "flags"),
	JSON_UINT64(struct config_scheduler, runtime, "runtime", 0),
	JSON_UINT64(struct config_scheduler, deadline, "deadline", 0),
	JSON_UINT64(struct config_scheduler, period, "period", 0),
	JSON_END
};
PART(config_scheduler)

static const struct json_field config_io_priority_fields[] = {
	JSON_STRING(struct config_io_priority, class, "class", JSON_REQUIRED),
	{ .name = "priority", .type = JSON_T_INT64, .offset = JSON_AT(struct config_io_priority, priority, int64_t), .min = 0, .max = 7 },
	JSON_END
};
PART(config_io_priority)

static const struct json_field config_affinity_fields[] = {
	JSON_STRING(struct config_affinity, initial, "initial", 0),
	JSON_STRING(struct config_affinity, final, "final", 0),
	JSON_END
};
PART(config_affinity)

static const struct json_field config_size_fields[] = {
	JSON_UINT16(struct config_size, height, "height", 0),
	JSON_UINT16(struct config_size, width, "width", 0),
	JSON_END
};
PART(config_size)

static const struct json_field config_process_fields[] = {
	JSON_BOOL(struct config_process, terminal, "terminal"),
	JSON_POINTER(struct config_process, console_size, struct config_size, "consoleSize", &config_size_struct),
	JSON_STRUCT(struct config_process, user, struct config_user, "user", &config_user_struct),
	JSON_STRINGS(struct config_process, args, "args"),
	JSON_STRINGS(struct config_process, env, "env"),
	JSON_STRING(struct config_process, cwd, "cwd", 0),
	JSON_POINTER(struct config_process, caps, struct config_caps, "capabilities", &config_caps_struct),
	JSON_LIST(struct config_process, rlimits, "rlimits", &config_rlimit_struct),
	JSON_BOOL(struct config_process, no_new_privs, "noNewPrivileges"),
	JSON_STRING(struct config_process, apparmor, "apparmorProfile", 0),
	JSON_STRING(struct config_process, selinux, "selinuxLabel", 0),
	{ .name = "oomScoreAdj", .type = JSON_T_INT64, .offset = JSON_AT(struct config_process, oom_score_adj, int64_t), .absent = CONFIG_NONE, .min = -1000, .max = 1000 },
	JSON_POINTER(struct config_process, scheduler, struct config_scheduler, "scheduler", &config_scheduler_struct),
	JSON_POINTER(struct config_process, io_priority, struct config_io_priority, "ioPriority", &config_io_priority_struct),
	JSON_POINTER(struct config_process, affinity, struct config_affinity, "execCPUAffinity", &config_affinity_struct),
	JSON_END
};
PART(config_process)

static const struct json_field config_root_fields[] = {
	JSON_STRING(struct config_root, path, "path", JSON_REQUIRED),
	JSON_BOOL(struct config_root, readonly, "readonly"),
	JSON_END
};
PART(config_root)

static const struct json_field config_idmap_fields[] = {
	JSON_UINT32(struct config_idmap, container, "containerID", 0),
	JSON_UINT32(struct config_idmap, host, "hostID", 0),
	JSON_UINT32(struct config_idmap, size, "size", 0),
	JSON_END
};
PART(config_idmap)

static const struct json_field config_mount_fields[] = {
	JSON_STRING(struct config_mount, destination, "destination", JSON_REQUIRED),
	JSON_STRING(struct config_mount, type, "type", 0),
	JSON_STRING(struct config_mount, source, "source", 0),
	JSON_STRINGS(struct config_mount, options, "options"),
	JSON_ARRAY(struct config_mount, uid_map, "uidMappings", &config_idmap_struct),
	JSON_ARRAY(struct config_mount, gid_map, "gidMappings", &config_idmap_struct),
	JSON_END
};
ELEMENT(config_mount)

static const struct json_field config_hook_fields[] = {
	JSON_STRING(struct config_hook, path, "path", JSON_REQUIRED),
	JSON_STRINGS(struct config_hook, args, "args"),
	JSON_STRINGS(struct config_hook, env, "env"),
	{ .name = "timeout", .type = JSON_T_INT64, .offset = JSON_AT(struct config_hook, timeout, int64_t), .absent = CONFIG_NONE, .min = 1, .max = INT32_MAX },
	JSON_END
};
ELEMENT(config_hook)

static const struct json_field config_hooks_fields[] = {
	JSON_LIST(struct config_hooks, prestart, "prestart", &config_hook_struct),
	JSON_LIST(struct config_hooks, create_runtime, "createRuntime", &config_hook_struct),
	JSON_LIST(struct config_hooks, create_container, "createContainer", &config_hook_struct),
	JSON_LIST(struct config_hooks, start_container, "startContainer", &config_hook_struct),
	JSON_LIST(struct config_hooks, poststart, "poststart", &config_hook_struct),
	JSON_LIST(struct config_hooks, poststop, "poststop", &config_hook_struct),
	JSON_END
};
PART(config_hooks)

static const struct json_field config_namespace_fields[] = {
	JSON_STRING(struct config_namespace, type, "type", JSON_REQUIRED),
	JSON_STRING(struct config_namespace, path, "path", 0),
	JSON_END
};
ELEMENT(config_namespace)

static const struct json_field config_device_fields[] = {
	JSON_STRING(struct config_device, path, "path", JSON_REQUIRED),
	JSON_STRING(struct config_device, type, "type", JSON_REQUIRED),
	{ .name = "major", .type = JSON_T_INT64, .offset = JSON_AT(struct config_device, major, int64_t), .min = 0, .max = 0xfff },
	{ .name = "minor", .type = JSON_T_INT64, .offset = JSON_AT(struct config_device, minor, int64_t), .min = 0, .max = 0xfffff },
	{ .name = "fileMode", .type = JSON_T_INT64, .offset = JSON_AT(struct config_device, mode, int64_t), .absent = CONFIG_NONE, .min = 0, .max = UINT32_MAX },
	{ .name = "uid", .type = JSON_T_INT64, .offset = JSON_AT(struct config_device, uid, int64_t), .absent = CONFIG_NONE, .min = 0, .max = UINT32_MAX },
	{ .name = "gid", .type = JSON_T_INT64, .offset = JSON_AT(struct config_device, gid, int64_t), .absent = CONFIG_NONE, .min = 0, .max = UINT32_MAX },
	JSON_END
};
ELEMENT(config_device)

static const struct json_field config_device_rule_fields[] = {
	JSON_BOOL(struct config_device_rule, allow, "allow"),
	JSON_STRING(struct config_device_rule, type, "type", 0),
	JSON_INT64(struct config_device_rule, major, "major", -1),
	JSON_INT64(struct config_device_rule, minor, "minor", -1),
	JSON_STRING(struct config_device_rule, access, "access", 0),
	JSON_END
};
ELEMENT(config_device_rule)

static const struct json_field config_memory_fields[] = {
	JSON_INT64(struct config_memory, limit, "limit", CONFIG_NONE),
	JSON_INT64(struct config_memory, reservation, "reservation", CONFIG_NONE),
	JSON_INT64(struct config_memory, swap, "swap", CONFIG_NONE),
	JSON_INT64(struct config_memory, kernel, "kernel", CONFIG_NONE),
	JSON_INT64(struct config_memory, kernel_tcp, "kernelTCP", CONFIG_NONE),
	JSON_INT64(struct config_memory, swappiness, "swappiness", CONFIG_NONE),
	JSON_BOOL(struct config_memory, disable_oom_killer, "disableOOMKiller"),
	JSON_BOOL(struct config_memory, use_hierarchy, "useHierarchy"),
	JSON_BOOL(struct config_memory, check_before_update, "checkBeforeUpdate"),
	JSON_END
};
PART(config_memory)

static const struct json_field config_cpu_fields[] = {
	JSON_UINT64(struct config_cpu, shares, "shares", 0),
	JSON_INT64(struct config_cpu, quota, "quota", CONFIG_NONE),
	JSON_INT64(struct config_cpu, burst, "burst", CONFIG_NONE),
	JSON_UINT64(struct config_cpu, period, "period", 0),
	JSON_INT64(struct config_cpu, rt_runtime, "realtimeRuntime", CONFIG_NONE),
	JSON_UINT64(struct config_cpu, rt_period, "realtimePeriod", 0),
	JSON_INT64(struct config_cpu, idle, "idle", CONFIG_NONE),
	JSON_STRING(struct config_cpu, cpus, "cpus", 0),
	JSON_STRING(struct config_cpu, mems, "mems", 0),
	JSON_END
};
PART(config_cpu)

static const struct json_field config_weight_device_fields[] = {
	JSON_INT64(struct config_weight_device, major, "major", 0),
	JSON_INT64(struct config_weight_device, minor, "minor", 0),
	JSON_INT64(struct config_weight_device, weight, "weight", CONFIG_NONE),
	JSON_INT64(struct config_weight_device, leaf_weight, "leafWeight", CONFIG_NONE),
	JSON_END
};
ELEMENT(config_weight_device)

static const struct json_field config_throttle_fields[] = {
	JSON_INT64(struct config_throttle, major, "major", 0),
	JSON_INT64(struct config_throttle, minor, "minor", 0),
	JSON_UINT64(struct config_throttle, rate, "rate", 0),
	JSON_END
};
ELEMENT(config_throttle)

static const struct json_field config_block_io_fields[] = {
	JSON_INT64(struct config_block_io, weight, "weight", CONFIG_NONE),
	JSON_INT64(struct config_block_io, leaf_weight, "leafWeight", CONFIG_NONE),
	JSON_LIST(struct config_block_io, weight_devices, "weightDevice", &config_weight_device_struct),
	JSON_LIST(struct config_block_io, read_bps, "throttleReadBpsDevice", &config_throttle_struct),
	JSON_LIST(struct config_block_io, write_bps, "throttleWriteBpsDevice", &config_throttle_struct),
	JSON_LIST(struct config_block_io, read_iops, "throttleReadIOPSDevice", &config_throttle_struct),
	JSON_LIST(struct config_block_io, write_iops, "throttleWriteIOPSDevice", &config_throttle_struct),
	JSON_END
};
PART(config_block_io)

static const struct json_field config_hugepage_fields[] = {
	JSON_STRING(struct config_hugepage, size, "pageSize", JSON_REQUIRED),
	JSON_UINT64(struct config_hugepage, limit, "limit", 0),
	JSON_END
};
ELEMENT(config_hugepage)

static const struct json_field config_interface_fields[] = {
	JSON_STRING(struct config_interface, name, "name", JSON_REQUIRED),
	{ .name = "priority", .type = JSON_T_INT64, .offset = JSON_AT(struct config_interface, priority, int64_t), .min = 0, .max = UINT32_MAX },
	JSON_END
};
ELEMENT(config_interface)

static const struct json_field config_network_fields[] = {
	{ .name = "classID", .type = JSON_T_INT64, .offset = JSON_AT(struct config_network, class_id, int64_t), .absent = CONFIG_NONE, .min = 0, .max = UINT32_MAX },
	JSON_LIST(struct config_network, priorities, "priorities", &config_interface_struct),
	JSON_END
};
PART(config_network)

static const struct json_field config_pids_fields[] = {
	JSON_INT64(struct config_pids, limit, "limit", 0),
	JSON_END
};
PART(config_pids)

static const struct json_field config_resources_fields[] = {
	JSON_LIST(struct config_resources, devices, "devices", &config_device_rule_struct),
	JSON_POINTER(struct config_resources, memory, struct config_memory, "memory", &config_memory_struct),
	JSON_POINTER(struct config_resources, cpu, struct config_cpu, "cpu", &config_cpu_struct),
	JSON_POINTER(struct config_resources, pids, struct config_pids, "pids", &config_pids_struct),
	JSON_POINTER(struct config_resources, block_io, struct config_block_io, "blockIO", &config_block_io_struct),
	JSON_LIST(struct config_resources, hugepages, "hugepageLimits", &config_hugepage_struct),
	JSON_POINTER(struct config_resources, network, struct config_network, "network", &config_network_struct),
	JSON_END
};
PART(config_resources)

static const struct json_field config_time_offset_fields[] = {
	JSON_INT64(struct config_time_offset, secs, "secs", 0),
	{ .name = "nanosecs", .type = JSON_T_UINT32, .offset = JSON_AT(struct config_time_offset, nanosecs, uint32_t), .min = 0, .max = 999999999 },
	JSON_END
};
PART(config_time_offset)

static const struct json_field config_time_offsets_fields[] = {
	JSON_POINTER(struct config_time_offsets, monotonic, struct config_time_offset, "monotonic", &config_time_offset_struct),
	JSON_POINTER(struct config_time_offsets, boottime, struct config_time_offset, "boottime", &config_time_offset_struct),
	JSON_END
};
PART(config_time_offsets)

static const struct json_field config_personality_fields[] = {
	JSON_STRING(struct config_personality, domain, "domain", JSON_REQUIRED),
	JSON_STRINGS(struct config_personality, flags, "flags"),
	JSON_END
};
PART(config_personality)

static const struct json_field config_linux_fields[] = {
	JSON_LIST(struct config_linux, namespaces, "namespaces", &config_namespace_struct),
	JSON_ARRAY(struct config_linux, uid_map, "uidMappings", &config_idmap_struct),
	JSON_ARRAY(struct config_linux, gid_map, "gidMappings", &config_idmap_struct),
	JSON_STRUCT(struct config_linux, time_offsets, struct config_time_offsets, "timeOffsets", &config_time_offsets_struct),
	JSON_LIST(struct config_linux, devices, "devices", &config_device_struct),
	JSON_STRING(struct config_linux, cgroups_path, "cgroupsPath", 0),
	JSON_STRUCT(struct config_linux, resources, struct config_resources, "resources", &config_resources_struct),
	JSON_STRING(struct config_linux, rootfs_propagation, "rootfsPropagation", 0),
	JSON_STRINGS(struct config_linux, masked, "maskedPaths"),
	JSON_STRINGS(struct config_linux, readonly, "readonlyPaths"),
	JSON_STRING(struct config_linux, mount_label, "mountLabel", 0),
	JSON_POINTER(struct config_linux, personality, struct config_personality, "personality", &config_personality_struct),
	JSON_UNSUPPORTED("intelRdt"),
	JSON_END
};
PART(config_linux)

static const struct json_field config_fields[] = {
	JSON_STRING(struct config, version, "ociVersion", JSON_REQUIRED),
	JSON_STRING(struct config, hostname, "hostname", 0),
	JSON_STRING(struct config, domainname, "domainname", 0),
	JSON_POINTER(struct config, root, struct config_root, "root", &config_root_struct),
	JSON_POINTER(struct config, process, struct config_process, "process", &config_process_struct),
	JSON_LIST(struct config, mounts, "mounts", &config_mount_struct),
	JSON_STRUCT(struct config, hooks, struct config_hooks, "hooks", &config_hooks_struct),
	JSON_STRUCT(struct config, linux_, struct config_linux, "linux", &config_linux_struct),
	JSON_END
};
PART(config)

static const struct json_field config_pair_fields[] = {
	JSON_STRING(struct config_pair, key, "key", JSON_REQUIRED),
	JSON_STRING(struct config_pair, value, "value", JSON_REQUIRED),
	JSON_END
};
ELEMENT(config_pair)
/* clang-format on */

/* --- what tables can't say: objects with any keys, and lists of numbers --- */

static GPtrArray *pairs_new(void)
{
	return g_ptr_array_new_with_free_func(config_pair_free);
}

/* An object of strings. */
static int read_pairs(const json_t *o, const char *where, GPtrArray *pairs, struct err *e)
{
	const char *key;
	json_t *v;

	if (!o || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return err_set(e, -E_INVALID, "'%s' is not an object", where);
	json_object_foreach((json_t *)(uintptr_t)o, key, v) {
		struct config_pair *p;

		if (!json_is_string(v))
			return err_set(e, -E_INVALID, "'%s[\"%s\"]' is not a string", where, key);
		p = json_list_add(&config_pair_struct, pairs);
		p->key = g_strdup(key);
		p->value = g_strdup(json_string_value(v));
	}
	return 0;
}

/* {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}} */
static int read_rdma(const json_t *o, GPtrArray *pairs, struct err *e)
{
	const char *key;
	json_t *v;

	if (!o || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return err_set(e, -E_INVALID, "'linux.resources.rdma' is not an object");
	json_object_foreach((json_t *)(uintptr_t)o, key, v) {
		const json_t *handles = json_object_get(v, "hcaHandles"),
			     *objects = json_object_get(v, "hcaObjects");
		g_autoptr(GString) words = g_string_new(key);
		struct config_pair *p;

		if (!json_is_object(v) || (handles && !json_is_integer(handles)) ||
			(objects && !json_is_integer(objects)))
			return err_set(e, -E_INVALID,
				"'linux.resources.rdma[\"%s\"]' is not a pair of limits", key);
		if (handles)
			g_string_append_printf(words, " hca_handle=%" JSON_INTEGER_FORMAT,
				json_integer_value(handles));
		if (objects)
			g_string_append_printf(words, " hca_object=%" JSON_INTEGER_FORMAT,
				json_integer_value(objects));
		p = json_list_add(&config_pair_struct, pairs);
		p->key = g_strdup(key);
		p->value = g_strdup(words->str);
	}
	return 0;
}

static int read_groups(const json_t *process, struct config_user *u, struct err *e)
{
	const json_t *list = json_object_get(json_object_get(process, "user"), "additionalGids"),
		     *v;
	size_t i;

	u->groups = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return err_set(e, -E_INVALID, "'process.user.additionalGids' is not a list");
	json_array_foreach(list, i, v) {
		uint32_t gid = (uint32_t)json_integer_value(v);

		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
			json_integer_value(v) > UINT32_MAX)
			return err_set(e, -E_INVALID,
				"'process.user.additionalGids[%zu]' is not a group id", i);
		g_array_append_val(u->groups, gid);
	}
	return 0;
}

static void process_done(struct config_process *p)
{
	if (p && p->user.groups)
		g_array_free(p->user.groups, TRUE);
	if (p)
		p->user.groups = NULL;
}

static void resources_done(struct config_resources *r)
{
	g_clear_pointer(&r->rdma, g_ptr_array_unref);
	g_clear_pointer(&r->unified, g_ptr_array_unref);
}

static int resources_more(const json_t *o, struct config_resources *r, struct err *e)
{
	int code;

	r->rdma = pairs_new();
	r->unified = pairs_new();
	code = read_rdma(json_object_get(o, "rdma"), r->rdma, e);
	return code < 0 ? code
			: read_pairs(json_object_get(o, "unified"), "linux.resources.unified",
				  r->unified, e);
}

static int read_seccomp(const json_t *o, struct config_linux *l, struct err *e)
{
	const json_t *path = json_object_get(o, "listenerPath"),
		     *metadata = json_object_get(o, "listenerMetadata");
	char *text;

	if (!o || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return err_set(e, -E_INVALID, "'linux.seccomp' is not an object");
	if ((path && !json_is_string(path)) || (metadata && !json_is_string(metadata)))
		return err_set(e, -E_INVALID,
			"'linux.seccomp.listenerPath' or its metadata is not a string");
	l->listener_path = g_strdup(json_string_value(path));
	l->listener_metadata = g_strdup(json_string_value(metadata));
	text = json_dumps(o, JSON_COMPACT);
	l->seccomp = g_strdup(text);
	free(text);
	return 0;
}

/* --- limits before anything is made of it --- */

static int check_depth(const char *text, size_t n, struct err *e)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				quoted = false;
		} else if (text[i] == '"')
			quoted = true;
		else if (text[i] == '{' || text[i] == '[') {
			if (++depth > CONFIG_DEPTH_MAX)
				return err_set(e, -E_LIMIT,
					"more than %d objects and lists in each other",
					CONFIG_DEPTH_MAX);
		} else if ((text[i] == '}' || text[i] == ']') && depth)
			depth--;
	}
	return 0;
}

static int check_sizes(const json_t *j, struct err *e)
{
	const char *key;
	size_t i;
	json_t *v;
	int code;

	if (json_array_size(j) > CONFIG_LIST_MAX)
		return err_set(e, -E_LIMIT, "a list with more than %d elements", CONFIG_LIST_MAX);
	json_array_foreach(j, i, v) {
		code = check_sizes(v, e);
		if (code < 0)
			return code;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, v) {
		code = check_sizes(v, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int read_text(const char *text, size_t n, json_t **ret, struct err *e)
{
	_cleanup_(json_decrefp) json_t *j = NULL;
	int code;

	if (n > CONFIG_TEXT_MAX)
		return err_set(e, -E_LIMIT, "%zu bytes are more than %d", n, CONFIG_TEXT_MAX);
	code = check_depth(text, n, e);
	if (code >= 0)
		code = json_read(text, n, &j, e);
	if (code >= 0 && !json_is_object(j))
		code = err_set(e, -E_INVALID, "not a JSON object");
	if (code >= 0)
		code = check_sizes(j, e);
	if (code >= 0)
		*ret = TAKE_PTR(j);
	return code;
}

/* --- the whole --- */

static int check(const struct config *c, struct err *e);

static int read_more(const json_t *j, struct config *c, struct err *e)
{
	const json_t *linux_ = json_object_get(j, "linux");
	int code = resources_more(json_object_get(linux_, "resources"), &c->linux_.resources, e);

	c->annotations = pairs_new();
	c->linux_.sysctls = pairs_new();
	if (code >= 0 && c->process)
		code = read_groups(json_object_get(j, "process"), &c->process->user, e);
	if (code >= 0)
		code = read_pairs(
			json_object_get(j, "annotations"), "annotations", c->annotations, e);
	if (code >= 0)
		code = read_pairs(
			json_object_get(linux_, "sysctl"), "linux.sysctl", c->linux_.sysctls, e);
	return code < 0 ? code : read_seccomp(json_object_get(linux_, "seccomp"), &c->linux_, e);
}

int config_read(const char *text, size_t n, struct config **ret, struct err *e)
{
	_cleanup_(config_freep) struct config *c = g_new0(struct config, 1);
	_cleanup_(json_decrefp) json_t *j = NULL;
	int code = read_text(text, n, &j, e);

	if (code >= 0)
		code = json_struct_decode(&config_struct, j, JSON_IGNORE_UNKNOWN, c, e);
	if (code >= 0)
		code = read_more(j, c, e);
	if (code >= 0)
		code = check(c, e);
	if (code >= 0)
		*ret = TAKE_PTR(c);
	return code;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	process_done(c->process);
	resources_done(&c->linux_.resources);
	g_clear_pointer(&c->annotations, g_ptr_array_unref);
	g_clear_pointer(&c->linux_.sysctls, g_ptr_array_unref);
	g_free(c->linux_.seccomp);
	g_free(c->linux_.listener_path);
	g_free(c->linux_.listener_metadata);
	json_struct_free(&config_struct, c);
}

void config_freep(struct config **c)
{
	config_free(*c);
}

int config_process_read(const char *text, size_t n, struct config_process **ret, struct err *e)
{
	_cleanup_(config_process_freep) struct config_process *p = g_new0(struct config_process, 1);
	_cleanup_(json_decrefp) json_t *j = NULL, *wrapped = NULL;
	int code = read_text(text, n, &j, e);

	if (code >= 0)
		code = json_struct_decode(&config_process_struct, j, JSON_IGNORE_UNKNOWN, p, e);
	if (code >= 0) {
		code = read_groups(j, &p->user, e);
	}
	if (code >= 0)
		*ret = TAKE_PTR(p);
	return code;
}

void config_process_free(struct config_process *p)
{
	process_done(p);
	json_struct_free(&config_process_struct, p);
}

void config_process_freep(struct config_process **p)
{
	config_process_free(*p);
}

struct config_resources *config_resources_new(void)
{
	struct config_resources *r = g_new0(struct config_resources, 1);

	json_struct_init(&config_resources_struct, r);
	r->rdma = pairs_new();
	r->unified = pairs_new();
	return r;
}

struct config_memory *config_memory_new(void)
{
	struct config_memory *m = g_new0(struct config_memory, 1);

	json_struct_init(&config_memory_struct, m);
	return m;
}

struct config_cpu *config_cpu_new(void)
{
	struct config_cpu *c = g_new0(struct config_cpu, 1);

	json_struct_init(&config_cpu_struct, c);
	return c;
}

int config_resources_read(const char *text, size_t n, struct config_resources **ret, struct err *e)
{
	_cleanup_(config_resources_freep) struct config_resources *r =
		g_new0(struct config_resources, 1);
	_cleanup_(json_decrefp) json_t *j = NULL;
	int code = read_text(text, n, &j, e);

	if (code >= 0)
		code = json_struct_decode(&config_resources_struct, j, JSON_IGNORE_UNKNOWN, r, e);
	if (code >= 0)
		code = resources_more(j, r, e);
	if (code >= 0)
		*ret = TAKE_PTR(r);
	return code;
}

void config_resources_free(struct config_resources *r)
{
	if (r)
		resources_done(r);
	json_struct_free(&config_resources_struct, r);
}

void config_resources_freep(struct config_resources **r)
{
	config_resources_free(*r);
}

const struct config_namespace *config_namespace(const struct config *c, const char *type)
{
	for (guint i = 0; i < c->linux_.namespaces->len; i++) {
		const struct config_namespace *n = g_ptr_array_index(c->linux_.namespaces, i);

		if (strcmp(n->type, type) == 0)
			return n;
	}
	return NULL;
}

/* --- checks --- */

static int check_version(const char *v, struct err *e)
{
	char *end;
	unsigned long major = strtoul(v, &end, 10);

	if (end == v || *end != '.')
		return err_set(e, -E_INVALID, "'ociVersion' is '%s', which is no version", v);
	if (major != 1)
		return err_set(e, -E_UNSUPPORTED, "'ociVersion' is '%s': this runtime knows 1", v);
	return 0;
}

int config_process_check(const struct config_process *p, struct err *e)
{
	if (!p->args || !p->args[0])
		return err_set(e, -E_INVALID, "'process.args' must not be empty");
	if (!p->cwd || p->cwd[0] != '/')
		return err_set(e, -E_INVALID,
			p->cwd && *p->cwd ? "'process.cwd' must be an absolute path"
					  : "'process.cwd' must not be empty");
	for (guint i = 0; i < p->rlimits->len; i++) {
		const struct config_rlimit *a = g_ptr_array_index(p->rlimits, i);

		for (guint k = 0; k < i; k++) {
			const struct config_rlimit *b = g_ptr_array_index(p->rlimits, k);

			if (strcmp(a->type, b->type) == 0)
				return err_set(e, -E_INVALID,
					"'process.rlimits[%u].type' is '%s' a second time", i,
					a->type);
		}
		if (a->soft > a->hard)
			return err_set(e, -E_INVALID,
				"'process.rlimits[%u].soft' is above the hard limit", i);
	}
	for (char **v = p->env; v && *v; v++)
		if (!strchr(*v, '='))
			return err_set(e, -E_INVALID, "'process.env[%zu]' has no '='",
				(size_t)(v - p->env));
	return 0;
}

static int check_namespaces(const struct config *c, struct err *e)
{
	static const char *const known[] = { "pid", "network", "mount", "ipc", "uts", "user",
		"cgroup", "time", NULL };
	const GPtrArray *list = c->linux_.namespaces;

	for (guint i = 0; i < list->len; i++) {
		const struct config_namespace *n = g_ptr_array_index(list, i);

		if (!g_strv_contains(known, n->type))
			return err_set(e, -E_INVALID,
				"'linux.namespaces[%u].type' is '%s', which is no namespace", i,
				n->type);
		if (config_namespace(c, n->type) != n)
			return err_set(e, -E_INVALID,
				"'linux.namespaces[%u].type' is '%s' a second time", i, n->type);
		if (n->path && *n->path && n->path[0] != '/')
			return err_set(e, -E_INVALID,
				"'linux.namespaces[%u].path' is not an absolute path", i);
	}
	if (!config_namespace(c, "mount"))
		return err_set(e, -E_INVALID,
			"'linux.namespaces' has no 'mount': a container needs one of its own");
	return 0;
}

static int check_devices(const struct config *c, struct err *e)
{
	for (guint i = 0; i < c->linux_.devices->len; i++) {
		const struct config_device *d = g_ptr_array_index(c->linux_.devices, i);

		if (strlen(d->type) != 1 || !strchr("cbup", d->type[0]))
			return err_set(e, -E_INVALID,
				"'linux.devices[%u].type' is '%s', not c, b, u or p", i, d->type);
		if (d->path[0] != '/')
			return err_set(e, -E_INVALID,
				"'linux.devices[%u].path' is not an absolute path", i);
	}
	for (guint i = 0; i < c->linux_.resources.devices->len; i++) {
		const struct config_device_rule *d =
			g_ptr_array_index(c->linux_.resources.devices, i);

		if (d->type && d->type[0] && (strlen(d->type) != 1 || !strchr("abc", d->type[0])))
			return err_set(e, -E_INVALID,
				"'linux.resources.devices[%u].type' is '%s', not a, b or c", i,
				d->type);
		if (d->access && strspn(d->access, "rwm") != strlen(d->access))
			return err_set(e, -E_INVALID,
				"'linux.resources.devices[%u].access' is '%s', not of r, w and m",
				i, d->access);
	}
	return 0;
}

static int check_hooks(const GPtrArray *list, const char *name, struct err *e)
{
	for (guint i = 0; i < list->len; i++) {
		const struct config_hook *h = g_ptr_array_index(list, i);

		if (h->path[0] != '/')
			return err_set(e, -E_INVALID, "'hooks.%s[%u].path' is not an absolute path",
				name, i);
	}
	return 0;
}

static int check_all_hooks(const struct config_hooks *h, struct err *e)
{
	const struct {
		const GPtrArray *list;
		const char *name;
	} all[] = { { h->prestart, "prestart" }, { h->create_runtime, "createRuntime" },
		{ h->create_container, "createContainer" },
		{ h->start_container, "startContainer" }, { h->poststart, "poststart" },
		{ h->poststop, "poststop" } };

	for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
		int r = check_hooks(all[i].list, all[i].name, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_user_namespace(const struct config *c, struct err *e)
{
	const struct config_namespace *user = config_namespace(c, "user");
	bool maps = c->linux_.uid_map->len || c->linux_.gid_map->len;

	if (user && !(user->path && *user->path) &&
		!(c->linux_.uid_map->len && c->linux_.gid_map->len))
		return err_set(e, -E_INVALID,
			"'linux.uidMappings' and 'linux.gidMappings' must be there with a new user "
			"namespace");
	if (!user && maps)
		return err_set(e, -E_INVALID,
			"'linux.uidMappings' needs a user namespace in 'linux.namespaces'");
	return 0;
}

static int check(const struct config *c, struct err *e)
{
	int r = check_version(c->version, e);

	if (r >= 0 && !c->root)
		r = err_set(e, -E_INVALID, "'root' must be there");
	if (r >= 0 && !c->process)
		r = err_set(e, -E_INVALID, "'process' must be there");
	if (r >= 0)
		r = config_process_check(c->process, e);
	if (r >= 0)
		r = check_namespaces(c, e);
	if (r >= 0)
		r = check_user_namespace(c, e);
	if (r >= 0)
		r = check_devices(c, e);
	if (r >= 0 && c->hostname && !config_namespace(c, "uts"))
		r = err_set(
			e, -E_INVALID, "unable to set hostname without a private UTS namespace");
	if (r >= 0 && c->domainname && !config_namespace(c, "uts"))
		r = err_set(
			e, -E_INVALID, "unable to set domainname without a private UTS namespace");
	return r < 0 ? r : check_all_hooks(&c->hooks, e);
}
