/* SPDX-License-Identifier: MIT */
/* GET /info: what there is here, as it is. */

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/docker/system.h"
#include "guest/guest.h"
#include "host/cgroup.h"
#include "host/proc.h"
#include "image/image.h"
#include "store/layer.h"

#define FD_FOLDER "/proc/self/fd"

static void put(json_t *j, const char *key, const char *value)
{
	json_object_set_new(j, key, json_string(value ? value : ""));
}

static void flag(json_t *j, const char *key, bool value)
{
	json_object_set_new(j, key, json_boolean(value));
}

static void number(json_t *j, const char *key, int64_t value)
{
	json_object_set_new(j, key, json_integer(value));
}

/* --- guests and images ------------------------------------------------------------------------------------------ */

static void put_counts(json_t *j, struct ctx *c)
{
	g_autoptr(GPtrArray) guests = NULL, images = NULL;
	int64_t running = 0, paused = 0;
	struct store *s;

	(void)guest_list(c, DOCKER_REALM, 0, &guests, NULL);
	for (guint i = 0; guests && i < guests->len; i++) {
		const struct guest *g = guests->pdata[i];

		paused += g->state == GUEST_PAUSED;
		running += guest_is_up(g) && g->state != GUEST_PAUSED;
	}
	if (store_get_existing(c, &s, NULL) >= 0)
		(void)store_image_list(s, &images, NULL);
	number(j, "Containers", guests ? guests->len : 0);
	number(j, "ContainersRunning", running);
	number(j, "ContainersPaused", paused);
	number(j, "ContainersStopped", guests ? guests->len - running - paused : 0);
	number(j, "Images", images ? images->len : 0);
}

/* --- the host ------------------------------------------------------------------------------------------------------ */

/* A value of os-release(5), without its quotes. Caller frees; NULL. */
static char *os_release(const char *key)
{
	g_autofree char *text = NULL, *begin = g_strconcat(key, "=", NULL);
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/etc/os-release", &text, NULL, NULL) &&
		!g_file_get_contents("/usr/lib/os-release", &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++)
		if (g_str_has_prefix(*l, begin))
			return g_shell_unquote(*l + strlen(begin), NULL);
	return NULL;
}

static bool reads_one(const char *path)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && text[0] == '1';
}

static void put_host(json_t *j)
{
	g_autofree char *pretty = os_release("PRETTY_NAME"), *version = os_release("VERSION_ID");
	g_autofree char *now = units_show_time(g_get_real_time() * 1000);
	struct utsname u;
	struct sysinfo s;

	(void)uname(&u);
	(void)sysinfo(&s);
	put(j, "SystemTime", now);
	put(j, "KernelVersion", u.release);
	put(j, "OperatingSystem", pretty ? pretty : "Linux");
	put(j, "OSVersion", version);
	put(j, "OSType", "linux");
	put(j, "Architecture", u.machine);
	put(j, "Name", u.nodename);
	number(j, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	number(j, "MemTotal", (int64_t)s.totalram * s.mem_unit);
	flag(j, "IPv4Forwarding", reads_one("/proc/sys/net/ipv4/ip_forward"));
	flag(j, "BridgeNfIptables", reads_one("/proc/sys/net/bridge/bridge-nf-call-iptables"));
	flag(j, "BridgeNfIp6tables", reads_one("/proc/sys/net/bridge/bridge-nf-call-ip6tables"));
}

/* Whether the file of a limit is there: below the hierarchy's root on v1; v2 has all of a controller. */
static bool limit(const struct cgroup_host *h, enum cgroup_controller k, const char *v1_file)
{
	unsigned have = cgroup_controllers(h);

	if (!(have & CGROUP_BIT(k)))
		return false;
	for (unsigned i = 0; v1_file && i < h->n_v1; i++)
		if (h->v1[i].controllers & CGROUP_BIT(k)) {
			g_autofree char *path = g_build_filename(h->v1[i].mount, v1_file, NULL);

			return access(path, F_OK) == 0;
		}
	return true;
}

static void put_cgroups(json_t *j, json_t *warnings, unsigned minor)
{
	const struct cgroup_host *h = cgroup_host();
	static const struct {
		const char *key;
		enum cgroup_controller controller;
		const char *file;
		const char *warning;
	} limits[] = {
		{ "MemoryLimit", CGROUP_MEMORY, NULL, "WARNING: No memory limit support" },
		{ "SwapLimit", CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
			"WARNING: No swap limit support" },
		{ "CpuCfsPeriod", CGROUP_CPU, "cpu.cfs_period_us",
			"WARNING: No cpu cfs period support" },
		{ "CpuCfsQuota", CGROUP_CPU, "cpu.cfs_quota_us",
			"WARNING: No cpu cfs quota support" },
		{ "CPUShares", CGROUP_CPU, "cpu.shares", "WARNING: No cpu shares support" },
		{ "CPUSet", CGROUP_CPUSET, NULL, "WARNING: No cpuset support" },
		{ "PidsLimit", CGROUP_PIDS, NULL, "WARNING: No pids limit support" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
		bool there = limit(h, limits[i].controller, limits[i].file);

		flag(j, limits[i].key, there);
		if (!there)
			json_array_append_new(warnings, json_string(limits[i].warning));
	}
	flag(j, "OomKillDisable",
		h->mode != CGROUP_V2 && limit(h, CGROUP_MEMORY, "memory.oom_control"));
	if (minor < 42) {
		/* the kernel has no limits of kernel memory any more */
		flag(j, "KernelMemory", false);
		flag(j, "KernelMemoryTCP", false);
	}
	put(j, "CgroupDriver", h->mode == CGROUP_NONE ? "none" : "cgroupfs");
	put(j, "CgroupVersion", h->mode == CGROUP_V2 ? "2" : "1");
	if (!reads_one("/proc/sys/net/ipv4/ip_forward"))
		json_array_append_new(
			warnings, json_string("WARNING: IPv4 forwarding is disabled"));
}

/* --- us -------------------------------------------------------------------------------------------------------------- */

static json_t *security(void)
{
	unsigned lsm = lsm_enabled();
	json_t *list = json_array();

	if (lsm & LSM_APPARMOR)
		json_array_append_new(list, json_string("name=apparmor"));
	json_array_append_new(list, json_string("name=seccomp,profile=builtin"));
	if (lsm & LSM_SELINUX)
		json_array_append_new(list, json_string("name=selinux"));
	if (access("/proc/self/ns/cgroup", F_OK) == 0)
		json_array_append_new(list, json_string("name=cgroupns"));
	return list;
}

static int64_t descriptors(void)
{
	g_autoptr(GDir) d = g_dir_open(FD_FOLDER, 0, NULL);
	int64_t n = 0;

	while (d && g_dir_read_name(d))
		n++;
	return n;
}

static void put_commits(json_t *j)
{
	static const char *const keys[] = { "ContainerdCommit", "RuncCommit", "InitCommit" };

	/* all three are this program; it has no others beside it */
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		json_object_set_new(j, keys[i],
			json_pack("{s:s, s:s}", "ID", LODGE_VERSION, "Expected", LODGE_VERSION));
}

static const char *proxy(const char *upper, const char *lower)
{
	return g_getenv(upper) ?: g_getenv(lower) ?: "";
}

static void put_engine(json_t *j, struct ctx *c, unsigned minor)
{
	int can = layer_can_mount(c);

	put(j, "Driver", "erofs");
	json_object_set_new(j, "DriverStatus",
		json_pack("[[s,s],[s,s]]", "Mounted images", can == 1 ? "true" : "false",
			"Root Dir", c->root));
	json_object_set_new(j, "Plugins",
		json_pack("{s:[s], s:[s,s,s,s,s], s:n, s:[s]}", "Volume", "local", "Network",
			"bridge", "host", "ipvlan", "macvlan", "null", "Authorization", "Log",
			"json-file"));
	put(j, "DockerRootDir", c->root);
	flag(j, "Debug", false);
	number(j, "NFd", descriptors());
	number(j, "NGoroutines", 1);
	number(j, "NEventsListener", 0);
	put(j, "LoggingDriver", "json-file");
	put(j, "IndexServerAddress", "https://index.docker.io/v1/");
	json_object_set_new(j, "RegistryConfig",
		json_pack("{s:[], s:[], s:[s,s], s:{s:{s:s, s:[], s:b, s:b}}, s:[]}",
			"AllowNondistributableArtifactsCIDRs",
			"AllowNondistributableArtifactsHostnames", "InsecureRegistryCIDRs",
			"::1/128", "127.0.0.0/8", "IndexConfigs", "docker.io", "Name", "docker.io",
			"Mirrors", "Secure", 1, "Official", 1, "Mirrors"));
	json_object_set_new(j, "GenericResources", json_null());
	put(j, "HttpProxy", proxy("HTTP_PROXY", "http_proxy"));
	put(j, "HttpsProxy", proxy("HTTPS_PROXY", "https_proxy"));
	put(j, "NoProxy", proxy("NO_PROXY", "no_proxy"));
	json_object_set_new(j, "Labels", json_array());
	flag(j, "ExperimentalBuild", false);
	put(j, "ServerVersion", DOCKER_VERSION);
	json_object_set_new(
		j, "Runtimes", json_pack("{s:{s:s}}", "lodge", "path", "lodge-monitor"));
	put(j, "DefaultRuntime", "lodge");
	json_object_set_new(j, "Swarm",
		json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "NodeID", "", "NodeAddr", "",
			"LocalNodeState", "inactive", "ControlAvailable", 0, "Error", "",
			"RemoteManagers"));
	/* guests never depend on a server that runs */
	flag(j, "LiveRestoreEnabled", true);
	put(j, "Isolation", "");
	put(j, "InitBinary", "lodge-init");
	put_commits(j);
	json_object_set_new(j, "SecurityOptions", security());
	if (minor >= 44)
		json_object_set_new(j, "CDISpecDirs", json_array());
	if (minor < 42) {
		put(j, "ClusterStore", "");
		put(j, "ClusterAdvertise", "");
	}
}

/* The same as long as the store is where it is on this host. */
static char *engine_id(struct ctx *c)
{
	g_autofree char *machine = NULL, *text = NULL, *sum = NULL;

	(void)g_file_get_contents("/etc/machine-id", &machine, NULL, NULL);
	text = g_strdup_printf(
		"lodge\n%s\n%s", g_strchomp(machine ?: (machine = g_strdup(""))), c->root);
	sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
	return g_strdup_printf(
		"%.8s-%.4s-%.4s-%.4s-%.12s", sum, sum + 8, sum + 12, sum + 16, sum + 20);
}

void system_info(struct call *c)
{
	json_t *j = json_object(), *warnings = json_array();
	g_autofree char *id = engine_id(api_ctx(c));

	put(j, "ID", id);
	put_counts(j, api_ctx(c));
	put_engine(j, api_ctx(c), api_minor(c));
	put_cgroups(j, warnings, api_minor(c));
	put_host(j);
	json_object_set_new(j, "Warnings", warnings);
	api_json(c, 200, j);
}
