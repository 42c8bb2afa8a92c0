/* SPDX-License-Identifier: MIT */
/* ContainerInspectResponse, and the parts that lists have of it. */

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include "base/units.h"
#include "dialect/docker/container.h"
#include "engine/spec.h"

#define NEVER "0001-01-01T00:00:00Z" /* what Go writes for a time that isn't set */

/* HostConfig as dockerd shows it where nothing was asked for. */
static const char host_defaults[] =
	"{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":"
	"{}},"
	"\"NetworkMode\":\"bridge\",\"PortBindings\":{},\"RestartPolicy\":{\"Name\":\"no\","
	"\"MaximumRetryCount\":0},"
	"\"AutoRemove\":false,\"VolumeDriver\":\"\",\"VolumesFrom\":null,\"ConsoleSize\":[0,0],"
	"\"CapAdd\":null,"
	"\"CapDrop\":null,\"CgroupnsMode\":\"private\",\"Dns\":[],\"DnsOptions\":[],\"DnsSearch\":["
	"],"
	"\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"private\",\"Cgroup\":\"\",\"Links\":"
	"null,"
	"\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,\"PublishAllPorts\":false,"
	"\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\","
	"\"ShmSize\":67108864,"
	"\"Runtime\":\"runc\",\"Isolation\":\"\",\"CpuShares\":0,\"Memory\":0,\"NanoCpus\":0,"
	"\"CgroupParent\":\"\","
	"\"BlkioWeight\":0,\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],"
	"\"BlkioDeviceWriteBps\":[],"
	"\"BlkioDeviceReadIOps\":[],\"BlkioDeviceWriteIOps\":[],\"CpuPeriod\":0,\"CpuQuota\":0,"
	"\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\","
	"\"Devices\":[],"
	"\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,\"MemorySwap\":"
	"0,"
	"\"MemorySwappiness\":null,\"OomKillDisable\":false,\"PidsLimit\":null,\"Ulimits\":[],"
	"\"CpuCount\":0,"
	"\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,"
	"\"MaskedPaths\":[\"/proc/asound\",\"/proc/acpi\",\"/proc/kcore\",\"/proc/keys\",\"/proc/"
	"latency_stats\","
	"\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/"
	"firmware\"],"
	"\"ReadonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/"
	"sysrq-trigger\"]}";

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value ?: json_null());
}

static void put_text(json_t *o, const char *key, const char *s)
{
	g_autofree char *valid =
		s && !g_utf8_validate(s, -1, NULL) ? g_utf8_make_valid(s, -1) : NULL;

	put(o, key, json_string(valid ?: s ?: ""));
}

static void put_moment(json_t *o, const char *key, int64_t ns)
{
	g_autofree char *s = ns ? units_show_time(ns) : g_strdup(NEVER);

	put_text(o, key, s);
}

static json_t *strings(char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++) {
		g_autofree char *valid = g_utf8_make_valid(*v, -1);

		json_array_append_new(a, json_string(valid));
	}
	return a;
}

json_t *container_doc(const struct guest *g)
{
	json_t *doc = json_loads(g->rec->doc, 0, NULL);

	if (json_is_object(doc))
		return doc;
	json_decref(doc);
	return json_object();
}

/* --- State ------------------------------------------------------------------------------------------------ */

const char *container_status(const struct guest *g)
{
	/* a start that failed changes nothing of that */
	bool never = g->state == GUEST_STARTING || (g->state == GUEST_EXITED && !g->started);

	return never ? "created" : guest_state_name(g->state);
}

json_t *container_state(const struct guest *g)
{
	json_t *o = json_object();

	put_text(o, "Status", container_status(g));
	put(o, "Running",
		json_boolean(g->state == GUEST_RUNNING || g->state == GUEST_PAUSED ||
			     g->state == GUEST_RESTARTING));
	put(o, "Paused", json_boolean(g->state == GUEST_PAUSED));
	put(o, "Restarting", json_boolean(g->state == GUEST_RESTARTING));
	put(o, "OOMKilled", json_boolean(g->oom));
	put(o, "Dead", json_boolean(g->state == GUEST_DEAD));
	put(o, "Pid", json_integer(g->pid));
	put(o, "ExitCode", json_integer(guest_is_up(g) ? 0 : g->exit_code));
	put_text(o, "Error", g->error);
	put_moment(o, "StartedAt", g->started);
	put_moment(o, "FinishedAt", g->finished);
	return o;
}

/* --- Config, HostConfig --------------------------------------------------------------------------------------- */

static json_t *config_of(const struct guest *g, const json_t *doc)
{
	const struct spec *s = g->spec;
	json_t *o = json_copy(json_object_get(doc, "Config")) ?: json_object();
	json_t *exposed = json_object_get(doc, "exposed"),
	       *entrypoint = json_object_get(doc, "entrypoint");

	put_text(o, "Hostname", s->hostname);
	put_text(o, "Domainname", s->domainname);
	put_text(o, "User", s->user);
	for (const char *const *k = (const char *const[]){ "AttachStdin", "AttachStdout",
		     "AttachStderr", NULL };
		*k; k++)
		if (!json_object_get(o, *k))
			put(o, *k, json_false());
	put(o, "Tty", json_boolean(s->tty));
	put(o, "OpenStdin", json_boolean(s->open_stdin));
	put(o, "StdinOnce", json_boolean(s->stdin_once));
	put(o, "Env", strings(s->env));
	put(o, "Cmd", json_incref(json_object_get(doc, "cmd")) ?: strings(s->argv));
	put(o, "Entrypoint", json_incref(entrypoint));
	put_text(o, "Image", g->rec->image_name);
	put_text(o, "WorkingDir", s->cwd);
	put(o, "Labels", json_incref(json_object_get(doc, "labels")) ?: json_object());
	if (json_object_size(exposed))
		put(o, "ExposedPorts", json_incref(exposed));
	else
		(void)json_object_del(o, "ExposedPorts");
	if (!json_object_get(o, "Volumes"))
		put(o, "Volumes", NULL);
	if (!json_object_get(o, "OnBuild"))
		put(o, "OnBuild", NULL);
	if (s->stop_signal)
		put_text(o, "StopSignal", s->stop_signal);
	if (s->stop_timeout >= 0)
		put(o, "StopTimeout", json_integer(s->stop_timeout));
	return o;
}

static json_t *host_config_of(const json_t *doc)
{
	json_t *o = json_loads(host_defaults, 0, NULL), *asked = json_object_get(doc, "HostConfig"),
	       *v;
	const char *key, *mode;

	json_object_foreach(asked, key, v)
		if (!json_is_null(v))
			json_object_set(o, key, v);
	mode = json_string_value(json_object_get(o, "NetworkMode"));
	if (!mode || !*mode)
		put_text(o, "NetworkMode", "default");
	for (const char *const *k = (const char *const[]){ "IpcMode", "CgroupnsMode", NULL }; *k;
		k++)
		if (!*(json_string_value(json_object_get(o, *k)) ?: ""))
			put_text(o, *k, "private");
	if (!*(json_string_value(json_object_get(json_object_get(o, "LogConfig"), "Type")) ?: ""))
		put(o, "LogConfig", json_pack("{s:s, s:{}}", "Type", "json-file", "Config"));
	if (!*(json_string_value(json_object_get(json_object_get(o, "RestartPolicy"), "Name"))
			    ?: ""))
		put(o, "RestartPolicy",
			json_pack("{s:s, s:i}", "Name", "no", "MaximumRetryCount", 0));
	if (json_integer_value(json_object_get(o, "ShmSize")) == 0)
		put(o, "ShmSize", json_integer(64 << 20));
	if (!*(json_string_value(json_object_get(o, "Runtime")) ?: ""))
		put_text(o, "Runtime", "runc");
	if (json_integer_value(json_object_get(o, "MemorySwappiness")) == -1)
		put(o, "MemorySwappiness", NULL);
	return o;
}

/* --- Mounts ------------------------------------------------------------------------------------------------------ */

json_t *container_mounts(struct ctx *c, const struct guest *g)
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
		if (m->kind == MOUNT_VOLUME)
			put_text(o, "Name", m->source);
		put_text(o, "Source", path);
		put_text(o, "Destination", m->target);
		if (m->kind == MOUNT_VOLUME)
			put_text(o, "Driver", "local");
		put_text(o, "Mode", m->read_only ? "ro" : m->kind == MOUNT_VOLUME ? "z" : "");
		put(o, "RW", json_boolean(!m->read_only));
		put_text(o, "Propagation",
			m->kind == MOUNT_BIND ? (m->propagation ?: "rprivate") : "");
		json_array_append_new(a, o);
	}
	return a;
}

/* --- NetworkSettings ---------------------------------------------------------------------------------------------- */

/* "10.88.0.2/16" in two fields. */
static void put_address(json_t *o, const char *ip_key, const char *prefix_key, const char *address)
{
	const char *slash = address ? strchr(address, '/') : NULL;
	g_autofree char *ip =
		slash ? g_strndup(address, (gsize)(slash - address)) : g_strdup(address ?: "");

	put_text(o, ip_key, ip);
	put(o, prefix_key, json_integer(slash ? g_ascii_strtoll(slash + 1, NULL, 10) : 0));
}

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static json_t *ipam_of(const struct spec_attach *a)
{
	json_t *o;

	if (!a->address && !a->address6)
		return NULL;
	o = json_object();
	if (a->address)
		put_text(o, "IPv4Address", a->address);
	if (a->address6)
		put_text(o, "IPv6Address", a->address6);
	return o;
}

static json_t *endpoint(
	struct ctx *c, const struct guest *g, const struct spec_attach *a, const json_t *given)
{
	struct network_record *n = NULL;
	struct store *s;
	json_t *o = json_object();

	put(o, "IPAMConfig", ipam_of(a));
	put(o, "Links", NULL);
	put(o, "Aliases", a->aliases ? strings(a->aliases) : NULL);
	put_text(o, "MacAddress", text_of(given, "mac") ?: a->mac);
	put(o, "DriverOpts", NULL);
	if (store_get_existing(c, &s, NULL) >= 0)
		(void)store_network_find(s, a->network, &n, NULL);
	put_text(o, "NetworkID", n ? n->id : "");
	put_text(o, "EndpointID", given ? g->rec->id : "");
	put_text(o, "Gateway", text_of(given, "gateway"));
	put_address(o, "IPAddress", "IPPrefixLen", text_of(given, "address"));
	put_text(o, "IPv6Gateway", text_of(given, "gateway6"));
	put_address(o, "GlobalIPv6Address", "GlobalIPv6PrefixLen", text_of(given, "address6"));
	put(o, "DNSNames", a->aliases ? strings(a->aliases) : NULL);
	network_record_free(n);
	return o;
}

/* host and none are networks of docker's, which the model has as modes. */
static json_t *pseudo_endpoint(void)
{
	return json_pack("{s:n, s:n, s:n, s:s, s:n, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:n}",
		"IPAMConfig", "Links", "Aliases", "MacAddress", "", "DriverOpts", "NetworkID", "",
		"EndpointID", "", "Gateway", "", "IPAddress", "", "IPPrefixLen", 0, "IPv6Gateway",
		"", "GlobalIPv6Address", "", "GlobalIPv6PrefixLen", 0, "DNSNames");
}

json_t *container_networks(struct ctx *c, const struct guest *g)
{
	json_t *net = guest_net(c, g), *given = json_object_get(net, "networks"),
	       *all = json_object();

	for (guint i = 0; i < g->spec->networks->len; i++) {
		const struct spec_attach *a = g->spec->networks->pdata[i];

		json_object_set_new(all, a->network, endpoint(c, g, a, json_array_get(given, i)));
	}
	if (g->spec->networks->len == 0 && g->spec->ns[NS_NET].mode == NS_HOST)
		json_object_set_new(all, "host", pseudo_endpoint());
	else if (g->spec->networks->len == 0 && g->spec->ns[NS_NET].mode == NS_PRIVATE)
		json_object_set_new(all, "none", pseudo_endpoint());
	json_decref(net);
	return all;
}

static void add_binding(json_t *ports, const json_t *p, const char *ip)
{
	json_int_t count = json_integer_value(json_object_get(p, "count"));

	for (json_int_t i = 0; i < MAX(count, 1); i++) {
		g_autofree char *key = g_strdup_printf("%lld/%s",
			(long long)(json_integer_value(json_object_get(p, "guest")) + i),
			text_of(p, "proto") ?: "tcp");
		g_autofree char *host = g_strdup_printf(
			"%lld", (long long)(json_integer_value(json_object_get(p, "host")) + i));
		json_t *list = json_object_get(ports, key);

		if (!json_is_array(list)) {
			list = json_array();
			json_object_set_new(ports, key, list);
		}
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "HostIp", ip, "HostPort", host));
	}
}

static json_t *ports_of(struct ctx *c, const struct guest *g, const json_t *doc)
{
	json_t *net = guest_net(c, g), *ports = json_object(), *p, *v;
	const char *key;
	size_t i;

	json_object_foreach(json_object_get(doc, "exposed"), key, v)
		json_object_set_new(ports, key, json_null());
	json_array_foreach(json_object_get(net, "ports"), i, p) {
		const char *address = text_of(p, "host_addr");

		add_binding(ports, p, address ?: "0.0.0.0");
		if (!address)
			add_binding(ports, p, "::");
	}
	json_decref(net);
	return ports;
}

static json_t *network_settings(struct ctx *c, const struct guest *g, const json_t *doc)
{
	static const char *const first[] = { "EndpointID", "Gateway", "GlobalIPv6Address",
		"GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress" };
	json_t *o = json_object(), *all = container_networks(c, g);
	json_t *one = json_object_get(all, "bridge");

	put_text(o, "Bridge", "");
	put_text(o, "SandboxID", guest_is_up(g) ? g->rec->id : "");
	if (g->pid > 0) {
		g_autofree char *key = g_strdup_printf("/proc/%d/ns/net", (int)g->pid);

		put_text(o, "SandboxKey", key);
	} else {
		put_text(o, "SandboxKey", "");
	}
	put(o, "Ports", guest_is_up(g) ? ports_of(c, g, doc) : json_object());
	put(o, "HairpinMode", json_false());
	put_text(o, "LinkLocalIPv6Address", "");
	put(o, "LinkLocalIPv6PrefixLen", json_integer(0));
	put(o, "SecondaryIPAddresses", NULL);
	put(o, "SecondaryIPv6Addresses", NULL);
	for (size_t k = 0; k < G_N_ELEMENTS(first); k++)
		put(o, first[k],
			json_incref(json_object_get(one, first[k]))
				?: (strstr(first[k], "PrefixLen") ? json_integer(0)
								  : json_string("")));
	put(o, "Networks", all);
	return o;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static int64_t tree_size; /* nftw(3) has no argument for its callback */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *f)
{
	if (type == FTW_F)
		tree_size += st->st_size;
	return 0;
}

void container_sizes(struct ctx *c, const struct guest *g, int64_t *ret_rw, int64_t *ret_root)
{
	g_autofree char *upper = store_path(c, "guests/%s/upper", g->rec->id);
	struct image_record *i = NULL;
	struct store *s;

	tree_size = 0;
	(void)nftw(upper, add_size, 16, FTW_PHYS);
	*ret_rw = *ret_root = tree_size;
	if (g->rec->image && store_get_existing(c, &s, NULL) >= 0 &&
		store_image_find(s, g->rec->image, &i, NULL) >= 0)
		*ret_root += i->size;
	image_record_free(i);
}

json_t *container_inspect(struct ctx *c, struct guest *g, unsigned api_minor, bool size)
{
	g_autofree char *dir = store_path(c, "guests/%s", g->rec->id);
	json_t *o = json_object(), *doc = container_doc(g);
	static const char *const files[][2] = { { "ResolvConfPath", "resolv.conf" },
		{ "HostnamePath", "hostname" }, { "HostsPath", "hosts" }, { "LogPath", "log" } };
	g_autofree char *name = g_strconcat("/", g->rec->name, NULL);
	g_autofree char *image = g_strdup(g->rec->image);

	put_text(o, "Id", g->rec->id);
	put_moment(o, "Created", g->rec->created);
	put_text(o, "Path", g->spec->argv && g->spec->argv[0] ? g->spec->argv[0] : "");
	put(o, "Args", strings(g->spec->argv && g->spec->argv[0] ? g->spec->argv + 1 : NULL));
	put(o, "State", container_state(g));
	put_text(o, "Image", image);
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename(dir, files[i][1], NULL);

		put_text(o, files[i][0], path);
	}
	put_text(o, "Name", name);
	put(o, "RestartCount", json_integer(g->restarts));
	put_text(o, "Driver", "overlay2");
	put_text(o, "Platform", "linux");
	put_text(o, "MountLabel", "");
	put_text(o, "ProcessLabel", g->spec->selinux);
	put_text(o, "AppArmorProfile", g->spec->apparmor);
	put(o, "ExecIDs", exec_ids(c, g));
	put(o, "HostConfig", host_config_of(doc));
	put(o, "GraphDriver",
		json_pack("{s:s, s:{s:s}}", "Name", "overlay2", "Data", "UpperDir", dir));
	if (size) {
		int64_t rw, root;

		container_sizes(c, g, &rw, &root);
		put(o, "SizeRw", json_integer(rw));
		put(o, "SizeRootFs", json_integer(root));
	}
	put(o, "Mounts", container_mounts(c, g));
	put(o, "Config", config_of(g, doc));
	put(o, "NetworkSettings", network_settings(c, g, doc));
	json_decref(doc);
	return o;
}
