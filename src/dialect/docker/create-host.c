/* SPDX-License-Identifier: MIT */
/* HostConfig and NetworkingConfig: what a container asks of its host. */

#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include "dialect/docker/create.h"
#include "dialect/parse/parse.h"
#include "guest/guest.h"
#include "host/caps.h"

/* clang-format off */
static const struct json_field throttle_fields[] = {
	JSON_STRING(struct create_throttle, path, "Path", JSON_REQUIRED),
	JSON_INT64(struct create_throttle, rate, "Rate", 0),
	JSON_END
};
static const struct json_struct throttle_struct = { .size = sizeof(struct create_throttle), .fields = throttle_fields };

static const struct json_field ulimit_fields[] = {
	JSON_STRING(struct create_ulimit, name, "Name", JSON_REQUIRED),
	JSON_INT64(struct create_ulimit, soft, "Soft", 0),
	JSON_INT64(struct create_ulimit, hard, "Hard", 0),
	JSON_END
};
static const struct json_struct ulimit_struct = { .size = sizeof(struct create_ulimit), .fields = ulimit_fields };

static const struct json_field device_fields[] = {
	JSON_STRING(struct create_device, host, "PathOnHost", JSON_REQUIRED),
	JSON_STRING(struct create_device, guest, "PathInContainer", 0),
	JSON_STRING(struct create_device, access, "CgroupPermissions", 0),
	JSON_END
};
static const struct json_struct device_struct = { .size = sizeof(struct create_device), .fields = device_fields };

static const struct json_field bind_fields[] = {
	JSON_STRING(struct create_bind, propagation, "Propagation", 0),
	JSON_BOOL(struct create_bind, non_recursive, "NonRecursive"),
	JSON_BOOL(struct create_bind, create, "CreateMountpoint"),
	JSON_BOOL(struct create_bind, rro_off, "ReadOnlyNonRecursive"),
	JSON_BOOL(struct create_bind, rro_force, "ReadOnlyForceRecursive"),
	JSON_END
};
static const struct json_struct bind_struct = { .size = sizeof(struct create_bind), .fields = bind_fields };

static const struct json_field volume_fields[] = {
	JSON_BOOL(struct create_volume, no_copy, "NoCopy"),
	JSON_STRING(struct create_volume, subpath, "Subpath", 0),
	JSON_UNSUPPORTED("DriverConfig"),
	JSON_END
};
static const struct json_struct volume_struct = { .size = sizeof(struct create_volume), .fields = volume_fields };

static const struct json_field tmpfs_fields[] = {
	JSON_INT64(struct create_tmpfs, size, "SizeBytes", 0),
	JSON_INT(struct create_tmpfs, mode, "Mode", 0),
	JSON_END
};
static const struct json_struct tmpfs_struct = { .size = sizeof(struct create_tmpfs), .fields = tmpfs_fields };

static const struct json_field mount_fields[] = {
	JSON_STRING(struct create_mount, type, "Type", 0),
	JSON_STRING(struct create_mount, source, "Source", 0),
	JSON_STRING(struct create_mount, target, "Target", 0),
	JSON_BOOL(struct create_mount, read_only, "ReadOnly"),
	JSON_STRING(struct create_mount, consistency, "Consistency", 0),
	JSON_STRUCT(struct create_mount, bind, struct create_bind, "BindOptions", &bind_struct),
	JSON_STRUCT(struct create_mount, volume, struct create_volume, "VolumeOptions", &volume_struct),
	JSON_STRUCT(struct create_mount, tmpfs, struct create_tmpfs, "TmpfsOptions", &tmpfs_struct),
	JSON_END
};
static const struct json_struct mount_struct = { .size = sizeof(struct create_mount), .fields = mount_fields };

static const struct json_field restart_fields[] = {
	JSON_STRING(struct create_restart_policy, name, "Name", 0),
	JSON_INT(struct create_restart_policy, retries, "MaximumRetryCount", 0),
	JSON_END
};
static const struct json_struct restart_struct = { .size = sizeof(struct create_restart_policy), .fields = restart_fields };

static const struct json_field host_fields[] = {
	JSON_STRINGS(struct create_host, binds, "Binds"),
	JSON_STRING(struct create_host, cid_file, "ContainerIDFile", 0),
	JSON_STRING(struct create_host, network_mode, "NetworkMode", 0),
	JSON_STRUCT(struct create_host, restart, struct create_restart_policy, "RestartPolicy", &restart_struct),
	JSON_BOOL(struct create_host, auto_remove, "AutoRemove"),
	JSON_STRING(struct create_host, volume_driver, "VolumeDriver", 0),
	JSON_STRINGS(struct create_host, volumes_from, "VolumesFrom"),
	JSON_LIST(struct create_host, mounts, "Mounts", &mount_struct),
	JSON_STRINGS(struct create_host, cap_add, "CapAdd"),
	JSON_STRINGS(struct create_host, cap_drop, "CapDrop"),
	JSON_STRING(struct create_host, cgroup_ns, "CgroupnsMode", 0),
	JSON_STRINGS(struct create_host, dns, "Dns"),
	JSON_STRINGS(struct create_host, dns_options, "DnsOptions"),
	JSON_STRINGS(struct create_host, dns_search, "DnsSearch"),
	JSON_STRINGS(struct create_host, extra_hosts, "ExtraHosts"),
	JSON_STRINGS(struct create_host, group_add, "GroupAdd"),
	JSON_STRING(struct create_host, ipc, "IpcMode", 0),
	JSON_STRING(struct create_host, cgroup, "Cgroup", 0),
	JSON_STRINGS(struct create_host, links, "Links"),
	JSON_INT(struct create_host, oom_score_adj, "OomScoreAdj", 0),
	JSON_STRING(struct create_host, pid, "PidMode", 0),
	JSON_BOOL(struct create_host, privileged, "Privileged"),
	JSON_BOOL(struct create_host, publish_all, "PublishAllPorts"),
	JSON_BOOL(struct create_host, read_only, "ReadonlyRootfs"),
	JSON_STRINGS(struct create_host, security_opt, "SecurityOpt"),
	JSON_STRING(struct create_host, uts, "UTSMode", 0),
	JSON_STRING(struct create_host, userns, "UsernsMode", 0),
	JSON_INT64(struct create_host, shm_size, "ShmSize", 0),
	JSON_STRING(struct create_host, runtime, "Runtime", 0),
	JSON_STRING(struct create_host, isolation, "Isolation", 0),
	JSON_STRINGS(struct create_host, masked, "MaskedPaths"),
	JSON_STRINGS(struct create_host, readonly, "ReadonlyPaths"),
	JSON_BOOL(struct create_host, init, "Init"),
	JSON_INT64(struct create_host, cpu_shares, "CpuShares", 0),
	JSON_INT64(struct create_host, memory, "Memory", 0),
	JSON_STRING(struct create_host, cgroup_parent, "CgroupParent", 0),
	JSON_INT64(struct create_host, blkio_weight, "BlkioWeight", 0),
	JSON_LIST(struct create_host, read_bps, "BlkioDeviceReadBps", &throttle_struct),
	JSON_LIST(struct create_host, write_bps, "BlkioDeviceWriteBps", &throttle_struct),
	JSON_LIST(struct create_host, read_iops, "BlkioDeviceReadIOps", &throttle_struct),
	JSON_LIST(struct create_host, write_iops, "BlkioDeviceWriteIOps", &throttle_struct),
	JSON_UNSUPPORTED("BlkioWeightDevice"),
	JSON_INT64(struct create_host, cpu_period, "CpuPeriod", 0),
	JSON_INT64(struct create_host, cpu_quota, "CpuQuota", 0),
	JSON_INT64(struct create_host, cpu_rt_period, "CpuRealtimePeriod", 0),
	JSON_INT64(struct create_host, cpu_rt_runtime, "CpuRealtimeRuntime", 0),
	JSON_STRING(struct create_host, cpuset_cpus, "CpusetCpus", 0),
	JSON_STRING(struct create_host, cpuset_mems, "CpusetMems", 0),
	JSON_LIST(struct create_host, devices, "Devices", &device_struct),
	JSON_STRINGS(struct create_host, device_rules, "DeviceCgroupRules"),
	JSON_UNSUPPORTED("DeviceRequests"),
	JSON_UNSUPPORTED("StorageOpt"),
	JSON_INT64(struct create_host, kernel_memory, "KernelMemory", 0),
	JSON_INT64(struct create_host, memory_reservation, "MemoryReservation", 0),
	JSON_INT64(struct create_host, memory_swap, "MemorySwap", 0),
	JSON_INT64(struct create_host, swappiness, "MemorySwappiness", -1),
	JSON_INT64(struct create_host, nano_cpus, "NanoCpus", 0),
	JSON_BOOL(struct create_host, oom_kill_disable, "OomKillDisable"),
	JSON_INT64(struct create_host, pids, "PidsLimit", 0),
	JSON_LIST(struct create_host, ulimits, "Ulimits", &ulimit_struct),
	JSON_END
};
/* clang-format on */
const struct json_struct create_host_struct = { .size = sizeof(struct create_host),
	.fields = host_fields };

#define FOREACH_WORD(w, list) for (char **w = (list); w && *w; w++)

static char *given(const char *s)
{
	return s && *s ? g_strdup(s) : NULL;
}

/* --- limits ------------------------------------------------------------------------------------------------- */

static int add_throttles(GPtrArray *list, const char *key, struct spec *s, struct err *e)
{
	for (guint i = 0; i < list->len; i++) {
		const struct create_throttle *t = list->pdata[i];
		g_autofree char *text = g_strdup_printf("%s:%" G_GINT64_FORMAT, t->path, t->rate);
		int r = parse_device_rate(text, key, false, s, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_cpus(const struct create_host *h, struct err *e)
{
	int n = get_nprocs_conf();

	if (h->nano_cpus < 0 || h->nano_cpus > (int64_t)n * 1000000000)
		return err_set(e, -E_INVALID,
			"range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available",
			n, n);
	if (h->nano_cpus && (h->cpu_period || h->cpu_quota))
		return err_set(e, -E_INVALID,
			"Conflicting options: Nano CPUs and CPU %s cannot both be set.",
			h->cpu_period ? "Period" : "Quota");
	if (h->cpu_rt_period || h->cpu_rt_runtime)
		return err_set(
			e, -E_UNSUPPORTED, "realtime scheduling of processors is not supported");
	if (h->cpuset_cpus && *h->cpuset_cpus && parse_cpuset(h->cpuset_cpus, NULL) < 0)
		return err_set(e, -E_INVALID, "Invalid value %s for cpuset cpus", h->cpuset_cpus);
	if (h->cpuset_mems && *h->cpuset_mems && parse_cpuset(h->cpuset_mems, NULL) < 0)
		return err_set(e, -E_INVALID, "Invalid value %s for cpuset mems", h->cpuset_mems);
	return 0;
}

static int check_memory(const struct create_host *h, struct err *e)
{
	if (h->memory != 0 && h->memory < 512 * 1024)
		return err_set(e, -E_INVALID, "Minimum memory limit allowed is 512KB");
	if (h->memory_swap > 0 && h->memory == 0)
		return err_set(e, -E_INVALID,
			"You should always set the Memory limit when using Memoryswap limit, see "
			"usage");
	if (h->memory_swap > 0 && h->memory_swap < h->memory)
		return err_set(e, -E_INVALID,
			"Minimum memoryswap limit should be larger than memory limit, see usage");
	if (h->swappiness != -1 && (h->swappiness < 0 || h->swappiness > 100))
		return err_set(e, -E_INVALID,
			"Invalid value: %d, valid memory swappiness range is 0-100",
			(int)h->swappiness);
	if (h->memory_reservation < 0 || (h->memory > 0 && h->memory_reservation > h->memory))
		return err_set(e, -E_INVALID,
			"Minimum memory limit can not be less than memory reservation limit, see "
			"usage");
	return 0;
}

int create_limits(const struct create_host *h, struct spec *s, struct err *e)
{
	struct spec_limits *l = &s->limits;
	int r = check_memory(h, e);

	if (r >= 0)
		r = check_cpus(h, e);
	if (r >= 0 && h->blkio_weight && (h->blkio_weight < 10 || h->blkio_weight > 1000))
		r = err_set(e, -E_INVALID, "Range of blkio weight is from 10 to 1000");
	if (r < 0)
		return r;
	l->memory = h->memory;
	l->memory_swap = h->memory_swap;
	l->memory_reservation = h->memory_reservation;
	l->swappiness = h->swappiness;
	l->oom_kill_disable = h->oom_kill_disable;
	l->nano_cpus = h->nano_cpus;
	l->cpu_shares = h->cpu_shares;
	l->cpu_period = h->cpu_period;
	l->cpu_quota = h->cpu_quota;
	g_free(l->cpuset_cpus);
	g_free(l->cpuset_mems);
	l->cpuset_cpus = given(h->cpuset_cpus);
	l->cpuset_mems = given(h->cpuset_mems);
	l->pids = h->pids;
	l->blkio_weight = h->blkio_weight;
	r = add_throttles(h->read_bps, "rbps", s, e);
	if (r >= 0)
		r = add_throttles(h->write_bps, "wbps", s, e);
	if (r >= 0)
		r = add_throttles(h->read_iops, "riops", s, e);
	return r < 0 ? r : add_throttles(h->write_iops, "wiops", s, e);
}

int create_restart(const struct create_host *h, struct spec *s, struct err *e)
{
	const char *name = h->restart.name;

	if (!name || !*name)
		return 0;
	if (parse_restart(name, &s->restart, &s->restart_max, NULL) < 0 || strchr(name, ':'))
		return err_set(e, -E_INVALID,
			"invalid restart policy: unknown policy '%s'; use one of 'no', 'always', "
			"'on-failure', or 'unless-stopped'",
			name);
	if (h->restart.retries < 0)
		return err_set(e, -E_INVALID,
			"invalid restart policy: maximum retry count cannot be negative");
	if (h->restart.retries && s->restart != RESTART_ON_FAILURE)
		return err_set(e, -E_INVALID,
			"invalid restart policy: maximum retry count can only be used with "
			"'on-failure'");
	s->restart_max = h->restart.retries;
	return 0;
}

/* --- files --------------------------------------------------------------------------------------------------- */

static int add_volumes_from(struct create *k, const char *word, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *ref = NULL;
	bool ro;
	int r = parse_volumes_from(word, &ref, &ro, e);

	if (r >= 0)
		r = guest_get(k->c, NULL, ref, &g, e);
	if (r < 0)
		return r;
	for (guint i = 0; i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];
		struct spec_mount *to;

		if (m->kind == MOUNT_TMPFS)
			continue;
		to = spec_add_mount(k->spec, m->kind, m->source, m->target);
		to->read_only = m->read_only || ro;
		to->nocopy = m->nocopy;
		to->propagation = g_strdup(m->propagation);
	}
	return 0;
}

static int bad_mount(struct err *e, const char *why)
{
	return err_set(e, -E_INVALID, "invalid mount config%s", why);
}

static int add_mount(struct create *k, const struct create_mount *m, struct err *e)
{
	bool bind = g_strcmp0(m->type, "bind") == 0, volume = g_strcmp0(m->type, "volume") == 0;
	struct spec_mount *to;

	if (!bind && !volume && g_strcmp0(m->type, "tmpfs") != 0)
		return err_set(e, -E_INVALID, "mount type unknown: \"%s\"", m->type ?: "");
	if (!m->target || *m->target != '/')
		return bad_mount(e, m->target && *m->target ? ": mount path must be absolute"
							    : ": field Target must not be empty");
	if (bind && (!m->source || *m->source != '/'))
		return bad_mount(e, m->source && *m->source
					    ? " for type \"bind\": mount path must be absolute"
					    : " for type \"bind\": field Source must not be empty");
	if (m->bind.non_recursive || m->volume.subpath)
		return err_set(e, -E_UNSUPPORTED, "mount '%s': %s is not supported", m->target,
			m->bind.non_recursive ? "NonRecursive" : "Subpath");
	if (bind && !m->bind.create && !g_file_test(m->source, G_FILE_TEST_EXISTS))
		return err_set(e, -E_INVALID,
			"invalid mount config for type \"bind\": bind source path does not exist: "
			"%s",
			m->source);
	to = spec_add_mount(k->spec,
		bind	 ? MOUNT_BIND
		: volume ? MOUNT_VOLUME
			 : MOUNT_TMPFS,
		m->source && *m->source ? m->source : NULL, m->target);
	to->read_only = m->read_only;
	to->create = m->bind.create;
	to->propagation = given(m->bind.propagation);
	to->nocopy = m->volume.no_copy;
	to->size = m->tmpfs.size;
	to->mode = m->tmpfs.mode ?: -1;
	return 0;
}

static int add_tmpfs(struct create *k, struct err *e)
{
	json_t *all = json_object_get(json_object_get(k->body, "HostConfig"), "Tmpfs"), *v;
	const char *target;

	if (all && !json_is_null(all) && !json_is_object(all))
		return err_set(e, -E_INVALID, "HostConfig.Tmpfs is no object");
	json_object_foreach(all, target, v) {
		const char *options = json_string_value(v);
		g_autofree char *word = g_strdup_printf(
			"%s%s%s", target, options && *options ? ":" : "", options ?: "");
		int r = parse_tmpfs(word, k->spec, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_devices(struct create *k, struct err *e)
{
	const struct create_host *h = &k->host;

	for (guint i = 0; i < h->devices->len; i++) {
		const struct create_device *d = h->devices->pdata[i];
		g_autofree char *word = g_strdup_printf("%s:%s:%s", d->host,
			d->guest && *d->guest ? d->guest : d->host,
			d->access && *d->access ? d->access : "rwm");
		int r = parse_device(word, k->spec, e);

		if (r < 0)
			return r;
	}
	FOREACH_WORD(w, h->device_rules)
	{
		int r = parse_device_rule(*w, e);

		if (r < 0)
			return r;
	}
	k->spec->device_rules = g_strdupv(h->device_rules);
	return 0;
}

static int fill_files(struct create *k, struct err *e)
{
	const struct create_host *h = &k->host;
	bool relabel;
	int r = 0;

	FOREACH_WORD(w, h->binds) if (r >= 0) r = parse_volume(*w, "/", k->spec, &relabel, e);
	for (guint i = 0; r >= 0 && i < h->mounts->len; i++)
		r = add_mount(k, h->mounts->pdata[i], e);
	if (r >= 0)
		r = add_tmpfs(k, e);
	FOREACH_WORD(w, h->volumes_from) if (r >= 0) r = add_volumes_from(k, *w, e);
	if (r >= 0)
		r = fill_devices(k, e);
	if (r >= 0 && h->volume_driver && *h->volume_driver &&
		!g_str_equal(h->volume_driver, "local"))
		r = err_set(e, -E_INVALID,
			"error looking up volume plugin %s: plugin \"%s\" not found",
			h->volume_driver, h->volume_driver);
	if (r >= 0 && h->shm_size < 0)
		r = err_set(e, -E_INVALID, "SHM size can not be less than 0");
	if (r < 0)
		return r;
	k->spec->shm_size = h->shm_size;
	k->spec->read_only = h->read_only;
	return 0;
}

/* --- networks -------------------------------------------------------------------------------------------------- */

static const char *text_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? s : NULL;
}

/* EndpointSettings of the network that a guest has been given. */
static int fill_endpoint(struct spec_attach *a, const json_t *endpoint, struct err *e)
{
	const json_t *ipam = json_object_get(endpoint, "IPAMConfig");
	const char *ip = text_at(ipam, "IPv4Address"), *ip6 = text_at(ipam, "IPv6Address"),
		   *mac = text_at(endpoint, "MacAddress");
	int r = 0;

	if (ip && !parse_is_ip(ip, AF_INET))
		r = err_set(e, -E_INVALID, "invalid IPv4 address: %s", ip);
	else if (ip6 && !parse_is_ip(ip6, AF_INET6))
		r = err_set(e, -E_INVALID, "invalid IPv6 address: %s", ip6);
	else if (mac && !parse_is_mac(mac))
		r = err_set(e, -E_INVALID, "invalid MAC address: %s", mac);
	if (r < 0)
		return r;
	g_free(a->address);
	g_free(a->address6);
	g_free(a->mac);
	g_clear_pointer(&a->aliases, g_strfreev);
	a->address = g_strdup(ip);
	a->address6 = g_strdup(ip6);
	a->mac = g_strdup(mac);
	return create_words(json_object_get(endpoint, "Aliases"), "Aliases", &a->aliases, e);
}

static bool is_default(const char *network)
{
	return !network || !*network || g_str_equal(network, "default");
}

static int fill_endpoints(struct create *k, struct err *e)
{
	json_t *all = json_object_get(
		       json_object_get(k->body, "NetworkingConfig"), "EndpointsConfig"),
	       *v;
	const char *name;
	int r = 0;

	json_object_foreach(all, name, v) {
		const char *network = is_default(name) ? "bridge" : name;
		struct spec_attach *a = NULL;

		for (guint i = 0; i < k->spec->networks->len; i++) {
			struct spec_attach *one = k->spec->networks->pdata[i];

			if (g_str_equal(one->network, network))
				a = one;
		}
		if (!a && k->spec->ns[NS_NET].mode != NS_PRIVATE)
			continue;
		if (!a && g_str_equal(network, "none"))
			continue;
		if (!a)
			a = spec_add_network(k->spec, network);
		if (r >= 0 && json_is_object(v))
			r = fill_endpoint(a, v, e);
	}
	return r;
}

static int fill_network(struct create *k, struct err *e)
{
	const struct create_host *h = &k->host;
	const char *mode = is_default(h->network_mode) ? "bridge" : h->network_mode;
	struct spec_attach *a = NULL;
	int r;

	if (k->config.network_disabled)
		mode = "none";
	r = parse_network(mode, k->spec, &a, e);
	if (r >= 0)
		r = fill_endpoints(k, e);
	if (r >= 0 && a && !a->mac && k->config.mac && *k->config.mac) {
		if (!parse_is_mac(k->config.mac))
			return err_set(e, -E_INVALID, "invalid MAC address: %s", k->config.mac);
		a->mac = g_strdup(k->config.mac);
	}
	return r;
}

/* PortBindings: {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]} */
static int fill_ports(struct create *k, struct err *e)
{
	json_t *all = json_object_get(json_object_get(k->body, "HostConfig"), "PortBindings"),
	       *list, *one;
	const char *port;
	size_t i;

	if (all && !json_is_null(all) && !json_is_object(all))
		return err_set(e, -E_INVALID, "HostConfig.PortBindings is no object");
	json_object_foreach(all, port, list) {
		if (!json_is_null(list) && !json_is_array(list))
			return err_set(
				e, -E_INVALID, "HostConfig.PortBindings.%s is no list", port);
		if (json_array_size(list) == 0)
			continue;
		json_object_set_new(json_object_get(k->doc, "exposed"), port, json_object());
		json_array_foreach(list, i, one) {
			const char *ip = text_at(one, "HostIp"), *host = text_at(one, "HostPort");
			const json_t *number = json_object_get(one, "HostPort");
			bool six = ip && strchr(ip, ':');
			g_autofree char *word = g_strdup_printf("%s%s%s%s%s%s%s", six ? "[" : "",
				ip ?: "", six ? "]" : "", ip ? ":" : "",
				host && !g_str_equal(host, "0") ? host : "",
				ip || (host && !g_str_equal(host, "0")) ? ":" : "", port);
			int r = number && !json_is_string(number)
					? err_set(e, -E_INVALID,
						  "HostConfig.PortBindings.%s[%zu].HostPort is no "
						  "string",
						  port, i)
					: parse_publish(word, k->spec, e);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int fill_names(struct create *k, struct err *e)
{
	const struct create_host *h = &k->host;
	GPtrArray *hosts = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	FOREACH_WORD(w, h->extra_hosts)
	{
		char *host = NULL;

		if (r >= 0)
			r = parse_add_host(*w, &host, e);
		if (host)
			g_ptr_array_add(hosts, host);
	}
	FOREACH_WORD(w, h->dns)
	if (r >= 0 && !parse_is_ip(*w, AF_INET) && !parse_is_ip(*w, AF_INET6))
		r = err_set(e, -E_INVALID, "ip address is not correctly formatted: %s", *w);
	g_ptr_array_add(hosts, NULL);
	k->spec->hosts = (char **)g_ptr_array_free(hosts, FALSE);
	k->spec->dns = g_strdupv(h->dns);
	k->spec->dns_search = g_strdupv(h->dns_search);
	k->spec->dns_options = g_strdupv(h->dns_options);
	if (r >= 0 && h->links && h->links[0])
		r = err_set(e, -E_UNSUPPORTED,
			"links are not supported: put both containers on one network, where they "
			"find each other by name");
	return r;
}

/* --- isolation --------------------------------------------------------------------------------------------------- */

static int set_ns(
	struct create *k, enum spec_ns_kind kind, const char *what, const char *mode, struct err *e)
{
	struct spec_ns *ns = &k->spec->ns[kind];

	if (!mode || !*mode || g_str_equal(mode, "private") ||
		(kind == NS_IPC && g_str_equal(mode, "shareable")))
		return 0;
	if (g_str_equal(mode, "host")) {
		ns->mode = NS_HOST;
		return 0;
	}
	if (g_str_has_prefix(mode, "container:") && mode[10] && kind != NS_CGROUP &&
		kind != NS_UTS) {
		ns->mode = NS_GUEST;
		ns->guest = g_strdup(mode + 10);
		return 0;
	}
	return err_set(e, -E_INVALID, "invalid %s mode: %s", what, mode);
}

static int set_security(struct create *k, const char *word, struct err *e)
{
	g_autofree char *key = g_strndup(word, strcspn(word, "=:"));
	const char *value = word[strlen(key)] ? word + strlen(key) + 1 : NULL;
	struct spec *s = k->spec;

	if (g_str_equal(key, "no-new-privileges")) {
		s->no_new_privs = !value || g_str_equal(value, "true");
		return 0;
	}
	if (!value || !*value)
		return err_set(e, -E_INVALID, "invalid --security-opt 1: %s", word);
	if (g_str_equal(key, "seccomp")) {
		json_t *j = *value == '{' ? json_loads(value, 0, NULL) : NULL;
		bool known = g_str_equal(value, "unconfined") || g_str_equal(value, "builtin");

		if (!j && !known)
			return err_set(e, -E_INVALID, "Decoding seccomp profile failed: not JSON");
		json_decref(j);
		g_free(s->seccomp);
		s->seccomp = g_strdup(g_str_equal(value, "builtin") ? "default" : value);
		return 0;
	}
	if (g_str_equal(key, "apparmor")) {
		g_free(s->apparmor);
		s->apparmor = g_strdup(value);
		return 0;
	}
	if (g_str_equal(key, "label") && g_str_equal(value, "disable"))
		return 0;
	return err_set(e, -E_INVALID, "invalid --security-opt 2: \"%s\"", word);
}

/* What is hidden and what can't be written to is a choice of two: what docker's versions have by default, or nothing. */
static int check_paths(const struct create_host *h, struct err *e)
{
	static const char *const known[] = { "/proc/acpi", "/proc/asound", "/proc/interrupts",
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware", "/proc/bus", "/proc/fs",
		"/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL };
	bool none = h->masked && !h->masked[0], none_ro = h->readonly && !h->readonly[0];

	if (none != none_ro)
		return err_set(e, -E_UNSUPPORTED,
			"MaskedPaths and ReadonlyPaths can only be empty together");
	FOREACH_WORD(w, h->masked)
	if (!g_strv_contains(known, *w))
		return err_set(e, -E_UNSUPPORTED, "MaskedPaths: '%s' can't be hidden", *w);
	FOREACH_WORD(w, h->readonly)
	if (!g_strv_contains(known, *w))
		return err_set(
			e, -E_UNSUPPORTED, "ReadonlyPaths: '%s' can't be made read-only", *w);
	return 0;
}

static int fill_isolation(struct create *k, struct err *e)
{
	const struct create_host *h = &k->host;
	struct spec *s = k->spec;
	uint64_t bounding = k->c->is_root ? caps_bounding() : CAPS_ALL;
	int r = 0;

	s->ns[NS_USER].mode = NS_HOST;
	s->ns[NS_TIME].mode = NS_HOST;
	if (h->userns && *h->userns && !g_str_equal(h->userns, "host"))
		r = err_set(e, -E_INVALID, "invalid userns mode: %s", h->userns);
	if (r >= 0)
		r = set_ns(k, NS_PID, "PID", h->pid, e);
	if (r >= 0)
		r = set_ns(k, NS_IPC, "IPC", h->ipc, e);
	if (r >= 0)
		r = set_ns(k, NS_UTS, "UTS", h->uts, e);
	if (r >= 0)
		r = set_ns(k, NS_CGROUP, "cgroup namespace", h->cgroup_ns, e);
	s->privileged = h->privileged;
	s->seccomp = g_strdup(h->privileged ? "unconfined" : "default");
	FOREACH_WORD(w, h->security_opt) if (r >= 0) r = set_security(k, *w, e);
	if (r >= 0)
		r = caps_choose(h->privileged, h->cap_add, h->cap_drop, bounding, &s->caps, e);
	if (r >= 0)
		r = check_paths(h, e);
	/* empty lists that are there: systempaths=unconfined */
	if (h->masked && !h->masked[0])
		s->unmasked = true;
	return r;
}

static int fill_sysctls(struct create *k, struct err *e)
{
	json_t *all = json_object_get(json_object_get(k->body, "HostConfig"), "Sysctls"), *v;
	const char *key;

	json_object_foreach(all, key, v) {
		if (!json_is_string(v))
			return err_set(e, -E_INVALID, "HostConfig.Sysctls.%s is no string", key);
		spec_add_pair(k->spec->sysctls, key, json_string_value(v));
	}
	for (guint i = 0; i < k->host.ulimits->len; i++) {
		const struct create_ulimit *u = k->host.ulimits->pdata[i];
		g_autofree char *word = g_strdup_printf(
			"%s=%" G_GINT64_FORMAT ":%" G_GINT64_FORMAT, u->name, u->soft, u->hard);
		int r = parse_ulimit(word, k->spec, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_log(struct create *k, struct err *e)
{
	json_t *log = json_object_get(json_object_get(k->body, "HostConfig"), "LogConfig"), *v;
	const char *type = text_at(log, "Type"), *key;

	if (type && !g_str_equal(type, "json-file") && !g_str_equal(type, "local") &&
		!g_str_equal(type, "default"))
		return err_set(
			e, -E_UNSUPPORTED, "logger: the log driver '%s' is not supported", type);
	json_object_foreach(json_object_get(log, "Config"), key, v) {
		g_autofree char *word = g_strdup_printf("%s=%s", key, json_string_value(v) ?: "");
		int r = parse_log_opt(word, k->spec, e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

int create_host(struct create *k, struct err *e)
{
	struct create_host *h = &k->host;
	struct spec *s = k->spec;
	json_t *body = json_object_get(k->body, "HostConfig");
	int r = 0;

	if (body && !json_is_null(body)) {
		json_struct_clear(&create_host_struct, h);
		r = json_struct_decode(&create_host_struct, body, JSON_IGNORE_UNKNOWN, h, e);
	}
	if (r < 0)
		return err_prefix(e, "HostConfig"), r;
	if (h->isolation && g_str_equal(h->isolation, "vm"))
		s->vm = spec_vm_new();
	else if (h->isolation && *h->isolation && !g_str_equal(h->isolation, "default"))
		return err_set(e, -E_INVALID, "Invalid isolation: \"%s\" for linux", h->isolation);
	if (h->runtime && *h->runtime && !g_str_equal(h->runtime, "runc") &&
		!g_str_equal(h->runtime, "lodge"))
		return err_set(e, -E_INVALID, "unknown or invalid runtime name: %s", h->runtime);
	if (h->oom_score_adj < -1000 || h->oom_score_adj > 1000)
		return err_set(e, -E_INVALID,
			"Invalid value %d, range for oom score adj is [-1000, 1000]",
			h->oom_score_adj);
	s->oom_score_adj = h->oom_score_adj;
	s->init = h->init;
	s->auto_remove = h->auto_remove;
	s->groups = g_strdupv(h->group_add);
	s->cgroup_parent = given(h->cgroup_parent);
	r = create_restart(h, s, e);
	if (r >= 0 && s->auto_remove && s->restart != RESTART_NO)
		r = err_set(
			e, -E_INVALID, "can't create 'AutoRemove' container with restart policy");
	if (r >= 0)
		r = create_limits(h, s, e);
	if (r >= 0)
		r = fill_files(k, e);
	if (r >= 0)
		r = fill_network(k, e);
	if (r >= 0)
		r = fill_ports(k, e);
	if (r >= 0)
		r = fill_names(k, e);
	if (r >= 0)
		r = fill_isolation(k, e);
	if (r >= 0)
		r = fill_sysctls(k, e);
	return r < 0 ? r : fill_log(k, e);
}
