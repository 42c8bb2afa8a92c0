/* SPDX-License-Identifier: MIT */
/* inspect: docker's form (docker-engine's swagger, "ContainerInspect"), as far as a guest has it. */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/lodge/vm.h"
#include "host/caps.h"

#define NEVER "0001-01-01T00:00:00Z" /* what Go writes for a time that isn't set */

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value ?: json_null());
}

static void put_text(json_t *o, const char *key, const char *s)
{
	put(o, key, json_string(s ?: "") ?: json_string("?"));
}

static void put_moment(json_t *o, const char *key, int64_t ns)
{
	g_autofree char *s = ns ? units_show_time(ns) : g_strdup(NEVER);

	put_text(o, key, s);
}

static json_t *strings(char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++)
		json_array_append_new(a, json_string(*v) ?: json_string("?"));
	return a;
}

/* --- State ------------------------------------------------------------------------------------------------ */

static json_t *state_of(const struct guest *g)
{
	json_t *o = json_object();

	put_text(o, "Status", guest_state_name(g->state));
	put(o, "Running", json_boolean(guest_is_up(g)));
	put(o, "Paused", json_boolean(g->state == GUEST_PAUSED));
	put(o, "Restarting", json_boolean(g->state == GUEST_RESTARTING));
	put(o, "OOMKilled", json_boolean(g->oom));
	put(o, "Dead", json_boolean(g->state == GUEST_DEAD));
	put(o, "Pid", json_integer(g->pid));
	put(o, "ExitCode", json_integer(g->exit_code));
	put_text(o, "Error", g->error);
	put_moment(o, "StartedAt", g->started);
	put_moment(o, "FinishedAt", guest_is_up(g) ? 0 : g->finished);
	put(o, "MonitorPid", json_integer(g->monitor));
	return o;
}

/* --- Config, HostConfig ------------------------------------------------------------------------------------- */

static json_t *config_of(const struct guest *g, const json_t *doc)
{
	const struct spec *s = g->spec;
	json_t *o = json_object(), *cmd = json_object_get(doc, "cmd");
	json_t *entrypoint = json_object_get(doc, "entrypoint");

	put_text(o, "Hostname", s->hostname);
	put_text(o, "Domainname", s->domainname);
	put_text(o, "User", s->user);
	put(o, "Tty", json_boolean(s->tty));
	put(o, "OpenStdin", json_boolean(s->open_stdin));
	put(o, "StdinOnce", json_boolean(s->stdin_once));
	put(o, "Env", strings(s->env));
	put(o, "Cmd", cmd ? json_incref(cmd) : strings(s->argv));
	put(o, "Entrypoint", entrypoint ? json_incref(entrypoint) : NULL);
	put_text(o, "Image", g->rec->image_name);
	put_text(o, "WorkingDir", s->cwd);
	put(o, "Labels", json_incref(json_object_get(doc, "labels")) ?: json_object());
	put(o, "ExposedPorts", json_incref(json_object_get(doc, "exposed")) ?: json_object());
	put_text(o, "StopSignal", s->stop_signal);
	if (s->stop_timeout >= 0)
		put(o, "StopTimeout", json_integer(s->stop_timeout));
	return o;
}

static json_t *port_bindings(const struct spec *s)
{
	json_t *o = json_object();

	for (guint i = 0; i < s->ports->len; i++) {
		const struct spec_port *p = s->ports->pdata[i];

		for (unsigned k = 0; k < p->count; k++) {
			char key[32], host[16];
			json_t *list;

			(void)g_snprintf(key, sizeof(key), "%u/%s", p->guest + k, p->proto);
			(void)g_snprintf(host, sizeof(host), "%u", p->host ? p->host + k : 0);
			list = json_object_get(o, key);
			if (!list) {
				list = json_array();
				json_object_set_new(o, key, list);
			}
			json_array_append_new(
				list, json_pack("{s:s, s:s}", "HostIp", p->host_addr ?: "",
					      "HostPort", p->host ? host : ""));
		}
	}
	return o;
}

static json_t *cap_names(uint64_t mask)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < CAPS_COUNT; i++)
		if (mask & CAPS_BIT(i))
			json_array_append_new(a, json_string(caps_name(i)));
	return a;
}

static const char *restart_name(enum spec_restart r)
{
	static const char *const names[] = { "no", "on-failure", "always", "unless-stopped" };
	_Static_assert(G_N_ELEMENTS(names) == _RESTART_MAX, "a name for each policy");

	return names[r];
}

static char *ns_text(const struct spec_ns *ns)
{
	switch (ns->mode) {
	case NS_HOST:
		return g_strdup("host");
	case NS_GUEST:
		return g_strdup_printf("container:%s", ns->guest);
	case NS_PATH:
		return g_strdup_printf("ns:%s", ns->path);
	default:
		return g_strdup("private");
	}
}

static json_t *ulimits(const struct spec *s)
{
	json_t *a = json_array();

	for (guint i = 0; i < s->rlimits->len; i++) {
		const struct spec_rlimit *l = s->rlimits->pdata[i];

		json_array_append_new(a, json_pack("{s:s, s:I, s:I}", "Name", l->name, "Hard",
						 (json_int_t)l->hard, "Soft", (json_int_t)l->soft));
	}
	return a;
}

static json_t *pairs(const GPtrArray *list)
{
	json_t *o = json_object();

	for (guint i = 0; i < list->len; i++) {
		const struct spec_pair *p = list->pdata[i];

		put_text(o, p->key, p->value);
	}
	return o;
}

static json_t *devices(const struct spec *s)
{
	json_t *a = json_array();

	for (guint i = 0; i < s->devices->len; i++) {
		const struct spec_device *d = s->devices->pdata[i];

		json_array_append_new(
			a, json_pack("{s:s, s:s, s:s}", "PathOnHost", d->host, "PathInContainer",
				   d->guest, "CgroupPermissions", d->access));
	}
	return a;
}

static void put_limits(json_t *o, const struct spec *s)
{
	const struct spec_limits *l = &s->limits;

	put(o, "Memory", json_integer(l->memory));
	put(o, "MemorySwap", json_integer(l->memory_swap));
	put(o, "MemoryReservation", json_integer(l->memory_reservation));
	put(o, "MemorySwappiness", l->swappiness >= 0 ? json_integer(l->swappiness) : NULL);
	put(o, "OomKillDisable", json_boolean(l->oom_kill_disable));
	put(o, "OomScoreAdj", json_integer(s->oom_score_adj));
	put(o, "NanoCpus", json_integer(l->nano_cpus));
	put(o, "CpuShares", json_integer(l->cpu_shares));
	put(o, "CpuPeriod", json_integer(l->cpu_period));
	put(o, "CpuQuota", json_integer(l->cpu_quota));
	put_text(o, "CpusetCpus", l->cpuset_cpus);
	put_text(o, "CpusetMems", l->cpuset_mems);
	put(o, "PidsLimit", json_integer(l->pids));
	put(o, "BlkioWeight", json_integer(l->blkio_weight));
	put(o, "Ulimits", ulimits(s));
	put(o, "ShmSize", json_integer(s->shm_size ? s->shm_size : 64 << 20));
}

static json_t *host_config_of(const struct guest *g)
{
	static const struct {
		const char *key;
		enum spec_ns_kind kind;
	} modes[] = { { "PidMode", NS_PID }, { "IpcMode", NS_IPC }, { "UTSMode", NS_UTS },
		{ "CgroupnsMode", NS_CGROUP }, { "UsernsMode", NS_USER } };
	const struct spec *s = g->spec;
	json_t *o = json_object();
	g_autofree char *net = ns_text(&s->ns[NS_NET]);

	put_limits(o, s);
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		g_autofree char *text = ns_text(&s->ns[modes[i].kind]);

		put_text(o, modes[i].key, text);
	}
	if (s->ns[NS_NET].mode != NS_PRIVATE)
		put_text(o, "NetworkMode", net);
	else
		put_text(o, "NetworkMode",
			s->networks->len ? ((struct spec_attach *)s->networks->pdata[0])->network
					 : "none");
	put(o, "RestartPolicy",
		json_pack("{s:s, s:i}", "Name", restart_name(s->restart), "MaximumRetryCount",
			s->restart_max));
	put(o, "AutoRemove", json_boolean(s->auto_remove));
	put(o, "Privileged", json_boolean(s->privileged));
	put(o, "ReadonlyRootfs", json_boolean(s->read_only));
	put(o, "Init", json_boolean(s->init));
	put(o, "Capabilities", cap_names(s->caps));
	put(o, "NoNewPrivileges", json_boolean(s->no_new_privs));
	put(o, "PortBindings", port_bindings(s));
	put(o, "Devices", devices(s));
	put(o, "DeviceCgroupRules", strings(s->device_rules));
	put(o, "Dns", strings(s->dns));
	put(o, "DnsSearch", strings(s->dns_search));
	put(o, "DnsOptions", strings(s->dns_options));
	put(o, "ExtraHosts", strings(s->hosts));
	put(o, "GroupAdd", strings(s->groups));
	put(o, "Sysctls", pairs(s->sysctls));
	put_text(o, "CgroupParent", s->cgroup_parent);
	put(o, "LogConfig",
		json_pack("{s:s, s:{s:I, s:i}}", "Type", "cri", "Config", "max-size",
			(json_int_t)s->log_max_size, "max-file", s->log_max_files));
	return o;
}

/* --- Mounts, NetworkSettings ------------------------------------------------------------------------------------ */

static json_t *mounts_of(struct ctx *c, const struct guest *g)
{
	static const char *const kinds[] = { "bind", "volume", "tmpfs" };
	json_t *a = json_array();

	for (guint i = 0; i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];
		g_autofree char *path = m->kind == MOUNT_VOLUME
						? store_path(c, "volumes/%s", m->source)
						: g_strdup(m->source);
		json_t *o = json_object();

		put_text(o, "Type", kinds[m->kind]);
		if (m->kind == MOUNT_VOLUME) {
			put_text(o, "Name", m->source);
			put_text(o, "Driver", "local");
		}
		put_text(o, "Source", path);
		put_text(o, "Destination", m->target);
		put_text(o, "Mode", m->read_only ? "ro" : "");
		put(o, "RW", json_boolean(!m->read_only));
		put_text(o, "Propagation",
			m->kind == MOUNT_BIND ? (m->propagation ?: "rprivate") : "");
		json_array_append_new(a, o);
	}
	return a;
}

static int add_binding(const char *guest_port, const char *address, void *data)
{
	json_t *ports = data, *list = json_object_get(ports, guest_port);
	const char *colon = strrchr(address, ':');
	g_autofree char *ip = address[0] == '[' ? g_strndup(address + 1, colon - address - 2)
						: g_strndup(address, colon - address);

	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(ports, guest_port, list);
	}
	json_array_append_new(list, json_pack("{s:s, s:s}", "HostIp", ip, "HostPort", colon + 1));
	return 0;
}

/* "10.88.0.2/16" in two fields. */
static void put_address(json_t *o, const char *ip_key, const char *prefix_key, const char *address)
{
	const char *slash = address ? strchr(address, '/') : NULL;
	g_autofree char *ip = slash ? g_strndup(address, slash - address) : g_strdup(address ?: "");

	put_text(o, ip_key, ip);
	put(o, prefix_key, json_integer(slash ? g_ascii_strtoll(slash + 1, NULL, 10) : 0));
}

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static json_t *endpoint(const struct spec_attach *a, const json_t *given)
{
	json_t *o = json_object();

	put(o, "Aliases", a->aliases ? strings(a->aliases) : NULL);
	put_text(o, "MacAddress", text_of(given, "mac"));
	put_text(o, "Gateway", text_of(given, "gateway"));
	put_text(o, "IPv6Gateway", text_of(given, "gateway6"));
	put_address(o, "IPAddress", "IPPrefixLen", text_of(given, "address"));
	put_address(o, "GlobalIPv6Address", "GlobalIPv6PrefixLen", text_of(given, "address6"));
	return o;
}

static json_t *network_settings(struct ctx *c, const struct guest *g, const json_t *doc)
{
	static const char *const first[] = { "MacAddress", "Gateway", "IPAddress", "IPPrefixLen",
		"IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen" };
	json_t *net = guest_net(c, g), *given = json_object_get(net, "networks");
	json_t *o = json_object(), *all = json_object(), *ports = json_object(), *v;
	const char *key;

	json_object_foreach(json_object_get((json_t *)doc, "exposed"), key, v)
		json_object_set_new(ports, key, json_null());
	(void)each_port(c, g, add_binding, ports);
	for (guint i = 0; i < g->spec->networks->len; i++) {
		const struct spec_attach *a = g->spec->networks->pdata[i];
		json_t *one = endpoint(a, json_array_get(given, i));

		for (size_t k = 0; i == 0 && k < G_N_ELEMENTS(first); k++)
			json_object_set(o, first[k], json_object_get(one, first[k]));
		json_object_set_new(all, a->network, one);
	}
	if (g->spec->networks->len == 0) {
		put_text(o, "IPAddress", "");
		put_text(o, "MacAddress", "");
	}
	json_object_set_new(o, "Ports", ports);
	json_object_set_new(o, "Networks", all);
	json_decref(net);
	return o;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

int inspect_guest(struct ctx *c, const char *ref, json_t **ret, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *log = NULL, *dir = NULL, *run = NULL;
	json_t *o, *doc;
	int r;

	r = guest_get(c, NULL, ref, &g, e);
	if (r < 0)
		return r;
	dir = store_path(c, "guests/%s", g->rec->id);
	run = store_run_path(c, "guests/%s", g->rec->id);
	log = g_build_filename(dir, "log", NULL);
	doc = guest_doc(g);
	o = json_object();
	put_text(o, "Id", g->rec->id);
	put_moment(o, "Created", g->rec->created);
	put_text(o, "Path", g->spec->argv ? g->spec->argv[0] : "");
	put(o, "Args", strings(g->spec->argv && g->spec->argv[0] ? g->spec->argv + 1 : NULL));
	put(o, "State", state_of(g));
	put_text(o, "Image", g->rec->image);
	put_text(o, "LogPath", log);
	put_text(o, "Name", g->rec->name);
	put_text(o, "Realm", g->rec->realm);
	put_text(o, "Kind", g->rec->kind);
	put_text(o, "Engine", g->rec->engine);
	put(o, "RestartCount", json_integer(g->restarts));
	put_text(o, "Platform", "linux");
	put(o, "HostConfig", host_config_of(g));
	put(o, "GraphDriver", json_pack("{s:s, s:{s:s}}", "Name", "erofs", "Data", "Dir", dir));
	put(o, "Mounts", mounts_of(c, g));
	put(o, "Config", config_of(g, doc));
	put(o, "NetworkSettings", network_settings(c, g, doc));
	put_text(o, "RunDir", run);
	if (g->spec->vm && g->spec->vm->full)
		put(o, "Machine", vm_inspect(c, g));
	json_decref(doc);
	*ret = o;
	return 0;
}

struct inspect_args {
	char *format;
};

static const struct opt inspect_opts[] = { OPT_STRING('f', "format", struct inspect_args, format,
						   "FORMAT", complete_none, "json, or a template"),
	OPT_END };

static int inspect_run(struct cmd_call *call, struct err *e)
{
	const struct inspect_args *a = call->args;

	return inspect_operands(call, a->format, inspect_guest, e);
}

const struct cmd lodge_inspect = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "all about guests, as JSON",
	.synopsis = "[OPTIONS] GUEST...",
	.examples = "lodge inspect -f '{{.NetworkSettings.IPAddress}}' web   # one thing\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_guest,
};
