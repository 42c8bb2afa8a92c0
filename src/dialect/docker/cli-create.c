/* SPDX-License-Identifier: MIT */
/* docker create, and what run shares with it: the options, and the request that they are. */

#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "dialect/docker/cli-run.h"

#define API_MAC_IN_ENDPOINT 44 /* minor version from which a MAC address belongs to an endpoint */

void cli_create_clear(struct cli_create *c)
{
	json_decref(c->body);
	c->body = NULL;
}

static void set_text(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value));
}

static void set_int(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_integer(cli_int(value, 0)));
}

static void set_bytes(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_integer(cli_bytes(value, 0)));
}

static void set_list(json_t *j, const char *key, char **list)
{
	if (list)
		json_object_set_new(j, key, cli_strings(list));
}

/* --- streams ---------------------------------------------------------------------------------------------------- */

static void set_streams(const struct run_args *a, struct cli_create *c)
{
	for (char **s = a->attach; s && *s; s++) {
		c->in |= g_ascii_strcasecmp(*s, "stdin") == 0;
		c->out |= g_ascii_strcasecmp(*s, "stdout") == 0;
		c->err |= g_ascii_strcasecmp(*s, "stderr") == 0;
	}
	if (!a->attach) {
		c->out = c->err = true;
		c->in = a->interactive;
	}
	c->tty = a->tty;
}

/* --- health ------------------------------------------------------------------------------------------------------- */

static int set_health(json_t *config, const struct run_args *a, struct err *e)
{
	const struct {
		const char *option, *key, *value;
	} times[] = { { "interval", "Interval", a->health_interval },
		{ "timeout", "Timeout", a->health_timeout },
		{ "start-period", "StartPeriod", a->health_start_period },
		{ "start-interval", "StartInterval", a->health_start_interval } };
	bool any = a->health_cmd || a->health_retries;
	json_t *j = json_object();

	json_object_set_new(config, "Healthcheck", j);
	for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
		int64_t ns = cli_duration(times[i].value);

		any |= ns != 0;
		if (ns < 0)
			return err_set(
				e, -E_INVALID, "--health-%s cannot be negative", times[i].option);
		if (ns)
			json_object_set_new(j, times[i].key, json_integer(ns));
	}
	if (cli_int(a->health_retries, 0) < 0)
		return err_set(e, -E_INVALID, "--health-retries cannot be negative");
	if (a->no_healthcheck) {
		if (any)
			return err_set(e, -E_INVALID,
				"--no-healthcheck conflicts with --health-* options");
		json_object_set_new(j, "Test", json_pack("[s]", "NONE"));
		return 0;
	}
	if (!any) {
		json_object_del(config, "Healthcheck");
		return 0;
	}
	if (a->health_cmd && *a->health_cmd)
		json_object_set_new(j, "Test", json_pack("[ss]", "CMD-SHELL", a->health_cmd));
	set_int(j, "Retries", a->health_retries);
	return 0;
}

/* --- Config --------------------------------------------------------------------------------------------------------- */

static bool has_variable(const json_t *env, const char *name)
{
	size_t i, n = strlen(name);
	json_t *v;

	json_array_foreach((json_t *)env, i, v)
		if (g_str_has_prefix(json_string_value(v), name) && json_string_value(v)[n] == '=')
			return true;
	return false;
}

/* The configuration's "proxies" for this host, as variables in both cases; what is given stays. */
static void add_proxies(struct cmd_call *call, json_t *env)
{
	static const char *const rows[][2] = { { "httpProxy", "HTTP_PROXY" },
		{ "httpsProxy", "HTTPS_PROXY" }, { "noProxy", "NO_PROXY" },
		{ "ftpProxy", "FTP_PROXY" }, { "allProxy", "ALL_PROXY" } };
	json_t *proxies = json_object_get(cli_config(cli_of(call)), "proxies"), *ours;
	g_autofree char *host = json_object_size(proxies) ? cli_endpoint(cli_of(call), NULL) : NULL;

	ours = (host ? json_object_get(proxies, host) : NULL)
		       ?: json_object_get(proxies, "default");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *value = cli_text(ours, rows[i][0]);
		g_autofree char *lower = g_ascii_strdown(rows[i][1], -1);

		if (!*value)
			continue;
		if (!has_variable(env, rows[i][1]))
			json_array_append_new(env, json_sprintf("%s=%s", rows[i][1], value));
		if (!has_variable(env, lower))
			json_array_append_new(env, json_sprintf("%s=%s", lower, value));
	}
}

static int set_config(
	struct cmd_call *call, const struct run_args *a, struct cli_create *c, struct err *e)
{
	json_t *j = c->body, *env = NULL, *labels = NULL;
	int r = cli_environment(a->env, a->env_file, true, &env, e);

	if (r < 0)
		return r;
	add_proxies(call, env);
	json_object_set_new(j, "Env", env);
	r = cli_labels(a->label, a->label_file, &labels, e);
	if (r < 0)
		return r;
	json_object_set_new(j, "Labels", labels);
	c->image = call->operands[0];
	set_text(j, "Image", c->image);
	if (call->n_operands > 1)
		json_object_set_new(j, "Cmd", cli_strings(call->operands + 1));
	if (a->entrypoint)
		json_object_set_new(j, "Entrypoint", json_pack("[s]", a->entrypoint));
	set_text(j, "Hostname", a->hostname ?: "");
	set_text(j, "Domainname", a->domainname ?: "");
	set_text(j, "User", a->user ?: "");
	set_text(j, "WorkingDir", a->workdir ?: "");
	set_text(j, "StopSignal", a->stop_signal);
	set_int(j, "StopTimeout", a->stop_timeout);
	json_object_set_new(j, "Tty", json_boolean(a->tty));
	json_object_set_new(j, "OpenStdin", json_boolean(a->interactive));
	json_object_set_new(j, "StdinOnce", json_boolean(a->interactive && c->in && !a->detach));
	json_object_set_new(j, "AttachStdin", json_boolean(c->in && !a->detach));
	json_object_set_new(j, "AttachStdout", json_boolean(c->out && !a->detach));
	json_object_set_new(j, "AttachStderr", json_boolean(c->err && !a->detach));
	return set_health(j, a, e);
}

/* --- HostConfig ------------------------------------------------------------------------------------------------------ */

/* "PATH:N" */
static void set_throttle(json_t *h, const char *key, const char *number, char **list, bool bytes)
{
	json_t *j = json_array();

	for (; list && *list; list++) {
		const char *colon = strchr(*list, ':');
		g_autofree char *path = g_strndup(*list, (gsize)(colon - *list));

		json_array_append_new(j, json_pack("{s:s,s:I}", "Path", path, number,
						 (json_int_t)(bytes ? cli_bytes(colon + 1, 0)
								    : cli_int(colon + 1, 0))));
	}
	json_object_set_new(h, key, j);
}

static int set_devices(json_t *h, const struct run_args *a, struct err *e)
{
	json_t *devices = json_array(), *requests = json_array(), *cdi = json_array();
	int r = 0;

	json_object_set_new(h, "Devices", devices);
	json_object_set_new(h, "DeviceRequests", requests);
	for (char **d = a->device; d && *d && r >= 0; d++) {
		json_t *j = NULL;

		/* a name of the container device interface: "vendor.com/class=name" */
		if (**d != '/' && strchr(*d, '=') && strchr(*d, '/')) {
			json_array_append_new(cdi, json_string(*d));
			continue;
		}
		r = cli_device(*d, &j, e);
		if (r >= 0)
			json_array_append_new(devices, j);
	}
	for (char **g = a->gpus; g && *g && r >= 0; g++) {
		json_t *j = NULL;

		r = cli_gpus(*g, &j, e);
		if (r >= 0)
			json_array_append_new(requests, j);
	}
	if (json_array_size(cdi))
		json_array_append_new(
			requests, json_pack("{s:s,s:O}", "Driver", "cdi", "DeviceIDs", cdi));
	json_decref(cdi);
	set_list(h, "DeviceCgroupRules", a->device_cgroup_rule);
	return r;
}

static int set_resources(json_t *h, const struct run_args *a, struct err *e)
{
	json_t *ulimits = json_array();
	int64_t swappiness = cli_int(a->memory_swappiness, -1);

	if (swappiness != -1 && (swappiness < 0 || swappiness > 100)) {
		json_decref(ulimits);
		return err_set(e, -E_INVALID,
			"invalid value: %lld. Valid memory swappiness range is 0-100",
			(long long)swappiness);
	}
	for (char **u = a->ulimit; u && *u; u++) {
		json_t *j = NULL;

		if (cli_ulimit(*u, &j, NULL) >= 0)
			json_array_append_new(ulimits, j);
	}
	json_object_set_new(h, "Ulimits", ulimits);
	set_int(h, "BlkioWeight", a->blkio_weight);
	set_throttle(h, "BlkioWeightDevice", "Weight", a->blkio_weight_device, false);
	set_throttle(h, "BlkioDeviceReadBps", "Rate", a->device_read_bps, true);
	set_throttle(h, "BlkioDeviceWriteBps", "Rate", a->device_write_bps, true);
	set_throttle(h, "BlkioDeviceReadIOps", "Rate", a->device_read_iops, false);
	set_throttle(h, "BlkioDeviceWriteIOps", "Rate", a->device_write_iops, false);
	set_text(h, "CgroupParent", a->cgroup_parent ?: "");
	set_int(h, "CpuPeriod", a->cpu_period);
	set_int(h, "CpuQuota", a->cpu_quota);
	set_int(h, "CpuRealtimePeriod", a->cpu_rt_period);
	set_int(h, "CpuRealtimeRuntime", a->cpu_rt_runtime);
	set_int(h, "CpuShares", a->cpu_shares);
	set_int(h, "CpuCount", a->cpu_count);
	set_int(h, "CpuPercent", a->cpu_percent);
	if (a->cpus)
		json_object_set_new(h, "NanoCpus", json_integer(cli_nano_cpus(a->cpus)));
	set_text(h, "CpusetCpus", a->cpuset_cpus ?: "");
	set_text(h, "CpusetMems", a->cpuset_mems ?: "");
	set_int(h, "IOMaximumIOps", a->io_maxiops);
	set_bytes(h, "IOMaximumBandwidth", a->io_maxbandwidth);
	set_bytes(h, "KernelMemory", a->kernel_memory);
	set_bytes(h, "Memory", a->memory);
	set_bytes(h, "MemoryReservation", a->memory_reservation);
	set_bytes(h, "MemorySwap", a->memory_swap);
	json_object_set_new(h, "MemorySwappiness", json_integer(swappiness));
	json_object_set_new(
		h, "OomKillDisable", json_boolean(cli_switch(a->oom_kill_disable, false)));
	json_object_set_new(h, "PidsLimit", json_integer(cli_int(a->pids_limit, 0)));
	return set_devices(h, a, e);
}

/* Binds, volumes, mounts and tmpfs. */
static int set_mounts(json_t *body, json_t *h, const struct run_args *a, struct err *e)
{
	json_t *binds = json_array(), *volumes = json_object(), *mounts = json_array(),
	       *tmpfs = json_object();
	int r = 0;

	json_object_set_new(h, "Binds", binds);
	json_object_set_new(body, "Volumes", volumes);
	for (char **v = a->volume; v && *v && r >= 0; v++)
		r = cli_volume(*v, binds, volumes, e);
	for (char **m = a->mount; m && *m; m++) {
		json_t *j = NULL;

		if (cli_mount(*m, &j, NULL) >= 0)
			json_array_append_new(mounts, j);
	}
	for (char **t = a->tmpfs; t && *t; t++) {
		const char *colon = strchr(*t, ':');
		g_autofree char *path = g_strndup(*t, colon ? (gsize)(colon - *t) : strlen(*t));

		json_object_set_new(tmpfs, path, json_string(colon ? colon + 1 : ""));
	}
	if (json_array_size(mounts))
		json_object_set(h, "Mounts", mounts);
	if (json_object_size(tmpfs))
		json_object_set(h, "Tmpfs", tmpfs);
	json_decref(mounts);
	json_decref(tmpfs);
	set_list(h, "VolumesFrom", a->volumes_from);
	set_text(h, "VolumeDriver", a->volume_driver ?: "");
	return r;
}

static int set_ports(json_t *body, json_t *h, const struct run_args *a, struct err *e)
{
	json_t *exposed = json_object(), *bindings = json_object();
	int r = 0;

	json_object_set_new(body, "ExposedPorts", exposed);
	json_object_set_new(h, "PortBindings", bindings);
	json_object_set_new(h, "PublishAllPorts", json_boolean(a->publish_all));
	for (char **p = a->publish; p && *p && r >= 0; p++)
		r = cli_publish(*p, exposed, bindings, e);
	for (char **p = a->expose; p && *p && r >= 0; p++)
		r = cli_expose(*p, exposed, e);
	return r;
}

/* "no", "always", "on-failure:3" */
int cli_restart_policy(const char *text, json_t **ret, struct err *e)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	g_autofree char *name = text ? g_strndup(text, colon ? (gsize)(colon - text) : strlen(text))
				     : g_strdup("no");
	int64_t n = 0;

	if (colon == text && text)
		return err_set(e, -E_INVALID,
			"invalid restart policy format: no policy provided before colon");
	if (colon && cli_check_value(&(struct opt){ .name = "restart", .metavar = "int" },
			     colon + 1, NULL) < 0)
		return err_set(e, -E_INVALID,
			"invalid restart policy format: maximum retry count must be an integer");
	if (colon)
		n = cli_int(colon + 1, 0);
	*ret = json_pack("{s:s,s:I}", "Name", name, "MaximumRetryCount", (json_int_t)n);
	return 0;
}

static int set_restart(json_t *h, const struct run_args *a, struct err *e)
{
	json_t *j = NULL;
	int r = cli_restart_policy(a->restart, &j, e);

	if (r < 0)
		return r;
	if (a->rm && *cli_text(j, "Name") && strcmp(cli_text(j, "Name"), "no") != 0) {
		json_decref(j);
		return err_set(e, -E_INVALID,
			"conflicting options: cannot specify both --restart and --rm");
	}
	json_object_set_new(h, "RestartPolicy", j);
	json_object_set_new(h, "AutoRemove", json_boolean(a->rm));
	return 0;
}

/* seccomp=FILE is read here, since the server may be elsewhere; systempaths=unconfined is two lists. */
static int set_security(json_t *h, const struct run_args *a, struct err *e)
{
	json_t *list = json_array();
	int r = 0;

	for (char **s = a->security_opt; s && *s && r >= 0; s++) {
		const char *equals = strchr(*s, '=') ?: strchr(*s, ':');

		if (!equals && strcmp(*s, "no-new-privileges") != 0) {
			r = err_set(e, -E_INVALID, "Invalid --security-opt: \"%s\"", *s);
		} else if (equals && g_str_has_prefix(*s, "seccomp") &&
			   strcmp(equals + 1, "unconfined") != 0 &&
			   strcmp(equals + 1, "builtin") != 0) {
			g_autofree char *text = NULL, *compact = NULL;
			json_t *profile;

			if (!g_file_get_contents(equals + 1, &text, NULL, NULL)) {
				r = err_set(e, -E_NOTFOUND,
					"opening seccomp profile (%s) failed: open %s: no such "
					"file or directory",
					equals + 1, equals + 1);
				continue;
			}
			profile = json_loads(text, 0, NULL);
			compact = profile ? json_dumps(profile, JSON_COMPACT) : NULL;
			json_decref(profile);
			if (!compact)
				r = err_set(e, -E_INVALID,
					"compacting json for seccomp profile (%s) failed: invalid "
					"JSON",
					equals + 1);
			else
				json_array_append_new(list, json_sprintf("seccomp=%s", compact));
		} else if (strcmp(*s, "systempaths=unconfined") == 0) {
			json_object_set_new(h, "MaskedPaths", json_array());
			json_object_set_new(h, "ReadonlyPaths", json_array());
		} else {
			json_array_append_new(list, json_string(*s));
		}
	}
	if (a->security_opt)
		json_object_set(h, "SecurityOpt", list);
	json_decref(list);
	return r;
}

static int check_modes(const struct run_args *a, struct err *e)
{
	if (a->pid && *a->pid && strcmp(a->pid, "host") != 0 &&
		!g_str_has_prefix(a->pid, "container:"))
		return err_set(e, -E_INVALID, "--pid: invalid PID mode");
	if (a->uts && *a->uts && strcmp(a->uts, "host") != 0)
		return err_set(e, -E_INVALID, "--uts: invalid UTS mode");
	if (a->userns && *a->userns && strcmp(a->userns, "host") != 0)
		return err_set(e, -E_INVALID, "--userns: invalid USER mode");
	if (a->cgroupns && *a->cgroupns && strcmp(a->cgroupns, "host") != 0 &&
		strcmp(a->cgroupns, "private") != 0)
		return err_set(e, -E_INVALID, "--cgroupns: invalid CGROUP mode");
	if (a->log_driver && strcmp(a->log_driver, "none") == 0 && a->log_opt)
		return err_set(e, -E_INVALID, "invalid logging opts for driver none");
	for (char **s = a->storage_opt; s && *s; s++)
		if (!strchr(*s, '='))
			return err_set(e, -E_INVALID, "invalid storage option");
	if (a->use_api_socket)
		return err_set(e, -E_UNSUPPORTED,
			"--use-api-socket is experimental in docker, and not there yet");
	return 0;
}

static int set_host_config(json_t *body, const struct run_args *a, struct err *e)
{
	json_t *h = json_object();
	struct winsize w;
	int r = check_modes(a, e);

	json_object_set_new(body, "HostConfig", h);
	if (r >= 0)
		r = set_mounts(body, h, a, e);
	if (r >= 0)
		r = set_ports(body, h, a, e);
	if (r >= 0)
		r = set_restart(h, a, e);
	if (r >= 0)
		r = set_security(h, a, e);
	if (r >= 0)
		r = set_resources(h, a, e);
	set_text(h, "ContainerIDFile", a->cidfile ?: "");
	set_int(h, "OomScoreAdj", a->oom_score_adj);
	json_object_set_new(h, "Privileged", json_boolean(a->privileged));
	json_object_set_new(h, "ReadonlyRootfs", json_boolean(a->read_only));
	json_object_set_new(h, "Links", a->link ? cli_strings(a->link) : json_null());
	json_object_set_new(h, "Dns", cli_strings(a->dns));
	json_object_set_new(h, "DnsSearch", cli_strings(a->dns_search));
	json_object_set_new(h, "DnsOptions", cli_strings(a->dns_option));
	set_list(h, "GroupAdd", a->group_add);
	set_list(h, "CapAdd", a->cap_add);
	set_list(h, "CapDrop", a->cap_drop);
	set_text(h, "IpcMode", a->ipc ?: "");
	set_text(h, "PidMode", a->pid ?: "");
	set_text(h, "UTSMode", a->uts ?: "");
	set_text(h, "UsernsMode", a->userns ?: "");
	set_text(h, "CgroupnsMode", a->cgroupns ?: "");
	set_text(h, "Isolation", a->isolation ?: "");
	set_text(h, "Runtime", a->runtime);
	set_bytes(h, "ShmSize", a->shm_size);
	/* so that the command never sees another size than the terminal's */
	if (a->tty && RET_NERRNO(ioctl(STDOUT_FILENO, TIOCGWINSZ, &w)) >= 0)
		json_object_set_new(h, "ConsoleSize", json_pack("[i,i]", w.ws_row, w.ws_col));
	if (a->init >= 0)
		json_object_set_new(h, "Init", json_boolean(a->init));
	if (a->sysctl)
		json_object_set_new(h, "Sysctls", cli_pairs(a->sysctl));
	if (a->storage_opt)
		json_object_set_new(h, "StorageOpt", cli_pairs(a->storage_opt));
	if (a->annotation)
		json_object_set_new(h, "Annotations", cli_pairs(a->annotation));
	json_object_set_new(h, "LogConfig",
		json_pack(
			"{s:s,s:o}", "Type", a->log_driver ?: "", "Config", cli_pairs(a->log_opt)));
	return r;
}

/* "NAME=ADDR" and "NAME:ADDR", both as "NAME:ADDR". */
static void set_hosts(json_t *h, const struct run_args *a)
{
	json_t *list = json_array();

	for (char **s = a->add_host; s && *s; s++) {
		g_autofree char *text = g_strdup(*s);
		char *equals = strchr(text, '=');

		if (equals)
			*equals = ':';
		json_array_append_new(list, json_string(text));
	}
	json_object_set_new(h, "ExtraHosts", a->add_host ? list : json_null());
	if (!a->add_host)
		json_decref(list);
}

/* --- networks ------------------------------------------------------------------------------------------------------------ */

/* The options for the first network, which may have none of its own in the long form. */
static int first_endpoint(json_t *body, json_t *ep, const struct run_args *a, unsigned minor)
{
	json_t *ipam = json_object();

	set_text(ipam, "IPv4Address", a->ip);
	set_text(ipam, "IPv6Address", a->ip6);
	set_list(ipam, "LinkLocalIPs", a->link_local_ip);
	if (json_object_size(ipam))
		json_object_set(ep, "IPAMConfig", ipam);
	json_decref(ipam);
	set_list(ep, "Aliases", a->network_alias);
	if (a->mac_address && minor >= API_MAC_IN_ENDPOINT)
		set_text(ep, "MacAddress", a->mac_address);
	else
		set_text(body, "MacAddress", a->mac_address);
	return 0;
}

static bool is_user_network(const char *name)
{
	static const char *const ours[] = { "default", "bridge", "host", "none", NULL };

	return !g_strv_contains(ours, name) && !g_str_has_prefix(name, "container:");
}

static int set_networks(json_t *body, const struct run_args *a, unsigned minor, struct err *e)
{
	json_t *h = json_object_get(body, "HostConfig"), *endpoints = json_object();
	static char *none[] = { (char *)"default", NULL };
	int r = 0;

	json_object_set_new(
		body, "NetworkingConfig", json_pack("{s:o}", "EndpointsConfig", endpoints));
	set_hosts(h, a);
	for (char **n = a->network ?: none; *n && r >= 0; n++) {
		g_autofree char *name = NULL;
		json_t *ep = NULL;
		bool first = n == (a->network ?: none);

		r = cli_network(*n, &ep, &name, e);
		if (r < 0)
			return r;
		if (first) {
			r = first_endpoint(body, ep, a, minor);
			set_text(h, "NetworkMode", name);
		}
		if (first && a->network_alias && !is_user_network(name) && *name) {
			json_decref(ep);
			return err_set(e, -E_INVALID,
				"network-scoped alias is supported only for containers in user "
				"defined networks");
		}
		if (json_object_get(endpoints, name)) {
			json_decref(ep);
			return err_set(
				e, -E_INVALID, "network \"%s\" is specified multiple times", name);
		}
		if (json_object_size(ep) || is_user_network(name) || a->network)
			json_object_set_new(endpoints, name, ep);
		else
			json_decref(ep);
	}
	return r;
}

int cli_create_parse(
	struct cmd_call *call, const struct run_args *a, struct cli_create *ret, struct err *e)
{
	struct client *cl;
	const char *api = NULL;
	int r = cli_check_trust(a->disable_content_trust, e);

	ret->body = json_object();
	set_streams(a, ret);
	if (r >= 0)
		r = set_config(call, a, ret, e);
	if (r >= 0)
		r = set_host_config(ret->body, a, e);
	if (r >= 0)
		r = cli_client(call, &cl, e);
	if (r >= 0) {
		api = client_api(cl, e);
		r = api ? set_networks(ret->body, a, (unsigned)docker_api_minor(api), e)
			: -ECONNREFUSED;
	}
	return r;
}

/* --- creating ---------------------------------------------------------------------------------------------------------- */

static int check_cidfile(const char *file, struct err *e)
{
	struct stat st;

	if (!file || RET_NERRNO(stat(file, &st)) < 0)
		return 0;
	return err_set(e, -E_EXISTS,
		"container ID file found, make sure the other container isn't running or delete %s",
		file);
}

static bool lacks_image(struct client *cl, const struct err *e)
{
	return client_status(cl) == 404 && strcasestr(e->text, "no such image");
}

static const char *wanted_platform(const struct run_args *a)
{
	return a->platform ?: g_getenv("DOCKER_DEFAULT_PLATFORM");
}

static char *create_path(const struct run_args *a)
{
	GString *path = g_string_new("/containers/create");

	if (a->name)
		cli_query(path, "name", a->name);
	if (wanted_platform(a) && *wanted_platform(a))
		cli_query(path, "platform", wanted_platform(a));
	return g_string_free(path, FALSE);
}

/* "nginx" as "nginx:latest": what docker calls it when it says that it lacks. */
static char *familiar(const char *image)
{
	const char *last = strrchr(image, '/') ?: image;

	return strpbrk(last, ":@") ? g_strdup(image) : g_strdup_printf("%s:latest", image);
}

int cli_create_do(struct cmd_call *call, const struct run_args *a, struct cli_create *c,
	char **ret_id, struct err *e)
{
	g_autofree char *path = create_path(a);
	const char *pull = a->pull ?: "missing";
	struct client *cl;
	json_t *answer = NULL, *warning;
	size_t i;
	int r = check_cidfile(a->cidfile, e);

	if (r >= 0 && strcmp(pull, "always") != 0 && strcmp(pull, "missing") != 0 &&
		strcmp(pull, "never") != 0)
		r = err_set(e, -E_INVALID,
			"invalid pull option: '%s': must be one of \"always\", \"missing\" or "
			"\"never\"",
			pull);
	if (r >= 0)
		r = cli_client(call, &cl, e);
	if (r >= 0 && strcmp(pull, "always") == 0)
		r = cli_pull(call, c->image, wanted_platform(a), a->quiet, stderr, e);
	if (r < 0)
		return r;
	r = client_call(cl, "POST", path, c->body, &answer, e);
	if (r < 0 && lacks_image(cl, e) && strcmp(pull, "missing") == 0) {
		g_autofree char *name = familiar(c->image);

		if (!a->quiet)
			(void)fprintf(stderr, "Unable to find image '%s' locally\n", name);
		r = cli_pull(call, c->image, wanted_platform(a), a->quiet, stderr, e);
		if (r >= 0)
			r = client_call(cl, "POST", path, c->body, &answer, e);
	}
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(answer, "Warnings"), i, warning)
		(void)fprintf(stderr, "WARNING: %s\n", json_string_value(warning));
	*ret_id = g_strdup(cli_text(answer, "Id"));
	json_decref(answer);
	if (a->cidfile && !g_file_set_contents(a->cidfile, *ret_id, -1, NULL))
		return err_set(e, -EIO,
			"failed to write the container ID to the file: cannot write %s",
			a->cidfile);
	return 0;
}

static int create_run(struct cmd_call *call, struct err *e)
{
	const struct run_args *a = call->args;
	struct cli_create c = { 0 };
	g_autofree char *id = NULL;
	int r = cli_create_parse(call, a, &c, e);

	if (r >= 0)
		r = cli_create_do(call, a, &c, &id, e);
	cli_create_clear(&c);
	if (r < 0)
		return r;
	printf("%s\n", id);
	return 0;
}

#define CREATE_PULL \
	"Pull image before creating (\"always\", \"|missing\", \"never\") (default \"missing\")"
#define RUN_PULL \
	"Pull image before running (\"always\", \"missing\", \"never\") (default \"missing\")"

/* clang-format off */
/* what both have, in the order of the alphabet; hidden ones have no help */
#define ROWS_A \
	OPT_LIST(0, "add-host", struct run_args, add_host, "list", complete_none, "Add a custom host-to-IP mapping (host:ip)"), \
	OPT_LIST(0, "annotation", struct run_args, annotation, "map", complete_none, "Add an annotation to the container (passed through to the OCI runtime) (default map[])"), \
	OPT_LIST('a', "attach", struct run_args, attach, "list", complete_none, "Attach to STDIN, STDOUT or STDERR"), \
	OPT_STRING(0, "blkio-weight", struct run_args, blkio_weight, "uint16", complete_none, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"), \
	OPT_LIST(0, "blkio-weight-device", struct run_args, blkio_weight_device, "list", complete_none, "Block IO weight (relative device weight) (default [])"), \
	OPT_LIST(0, "cap-add", struct run_args, cap_add, "list", complete_none, "Add Linux capabilities"), \
	OPT_LIST(0, "cap-drop", struct run_args, cap_drop, "list", complete_none, "Drop Linux capabilities"), \
	OPT_STRING(0, "cgroup-parent", struct run_args, cgroup_parent, "string", complete_none, "Optional parent cgroup for the container"), \
	OPT_STRING(0, "cgroupns", struct run_args, cgroupns, "string", complete_none, "Cgroup namespace to use (host|private)\n'host':    Run the container in the Docker host's cgroup namespace\n'private': Run the container in its own private cgroup namespace\n'':        Use the cgroup namespace as configured by the\n           default-cgroupns-mode option on the daemon (default)"), \
	OPT_STRING(0, "cidfile", struct run_args, cidfile, "string", complete_file, "Write the container ID to the file"), \
	OPT_STRING(0, "cpu-count", struct run_args, cpu_count, "int", complete_none, "CPU count (Windows only)"), \
	OPT_STRING(0, "cpu-percent", struct run_args, cpu_percent, "int", complete_none, "CPU percent (Windows only)"), \
	OPT_STRING(0, "cpu-period", struct run_args, cpu_period, "int", complete_none, "Limit CPU CFS (Completely Fair Scheduler) period"), \
	OPT_STRING(0, "cpu-quota", struct run_args, cpu_quota, "int", complete_none, "Limit CPU CFS (Completely Fair Scheduler) quota"), \
	OPT_STRING(0, "cpu-rt-period", struct run_args, cpu_rt_period, "int", complete_none, "Limit CPU real-time period in microseconds"), \
	OPT_STRING(0, "cpu-rt-runtime", struct run_args, cpu_rt_runtime, "int", complete_none, "Limit CPU real-time runtime in microseconds"), \
	OPT_STRING('c', "cpu-shares", struct run_args, cpu_shares, "int", complete_none, "CPU shares (relative weight)"), \
	OPT_STRING(0, "cpus", struct run_args, cpus, "decimal", complete_none, "Number of CPUs"), \
	OPT_STRING(0, "cpuset-cpus", struct run_args, cpuset_cpus, "string", complete_none, "CPUs in which to allow execution (0-3, 0,1)"), \
	OPT_STRING(0, "cpuset-mems", struct run_args, cpuset_mems, "string", complete_none, "MEMs in which to allow execution (0-3, 0,1)"),
#define ROWS_B \
	OPT_LIST(0, "device", struct run_args, device, "list", complete_none, "Add a host device to the container"), \
	OPT_LIST(0, "device-cgroup-rule", struct run_args, device_cgroup_rule, "list", complete_none, "Add a rule to the cgroup allowed devices list"), \
	OPT_LIST(0, "device-read-bps", struct run_args, device_read_bps, "list", complete_none, "Limit read rate (bytes per second) from a device (default [])"), \
	OPT_LIST(0, "device-read-iops", struct run_args, device_read_iops, "list", complete_none, "Limit read rate (IO per second) from a device (default [])"), \
	OPT_LIST(0, "device-write-bps", struct run_args, device_write_bps, "list", complete_none, "Limit write rate (bytes per second) to a device (default [])"), \
	OPT_LIST(0, "device-write-iops", struct run_args, device_write_iops, "list", complete_none, "Limit write rate (IO per second) to a device (default [])"), \
	OPT_TRISTATE(0, "disable-content-trust", struct run_args, disable_content_trust, "Skip image verification (default true)"), \
	OPT_LIST(0, "dns", struct run_args, dns, "list", complete_none, "Set custom DNS servers"), \
	OPT_LIST(0, "dns-option", struct run_args, dns_option, "list", complete_none, "Set DNS options"), \
	OPT_LIST(0, "dns-search", struct run_args, dns_search, "list", complete_none, "Set custom DNS search domains"), \
	OPT_STRING(0, "domainname", struct run_args, domainname, "string", complete_none, "Container NIS domain name"), \
	OPT_STRING(0, "entrypoint", struct run_args, entrypoint, "string", complete_none, "Overwrite the default ENTRYPOINT of the image"), \
	OPT_LIST('e', "env", struct run_args, env, "list", complete_none, "Set environment variables"), \
	OPT_LIST(0, "env-file", struct run_args, env_file, "list", complete_file, "Read in a file of environment variables"), \
	OPT_LIST(0, "expose", struct run_args, expose, "list", complete_none, "Expose a port or a range of ports"), \
	OPT_LIST(0, "gpus", struct run_args, gpus, "gpu-request", complete_none, "GPU devices to add to the container ('all' to pass all GPUs)"), \
	OPT_LIST(0, "group-add", struct run_args, group_add, "list", complete_none, "Add additional groups to join"), \
	OPT_STRING(0, "health-cmd", struct run_args, health_cmd, "string", complete_none, "Command to run to check health"), \
	OPT_STRING(0, "health-interval", struct run_args, health_interval, "duration", complete_none, "Time between running the check (ms|s|m|h) (default 0s)"), \
	OPT_STRING(0, "health-retries", struct run_args, health_retries, "int", complete_none, "Consecutive failures needed to report unhealthy"), \
	OPT_STRING(0, "health-start-interval", struct run_args, health_start_interval, "duration", complete_none, "Time between running the check during the start period (ms|s|m|h) (default 0s)"), \
	OPT_STRING(0, "health-start-period", struct run_args, health_start_period, "duration", complete_none, "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)"), \
	OPT_STRING(0, "health-timeout", struct run_args, health_timeout, "duration", complete_none, "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"), \
	OPT_STRING('h', "hostname", struct run_args, hostname, "string", complete_none, "Container host name"), \
	OPT_TRISTATE(0, "init", struct run_args, init, "Run an init inside the container that forwards signals and reaps processes"), \
	OPT_FLAG('i', "interactive", struct run_args, interactive, "Keep STDIN open even if not attached"), \
	OPT_STRING(0, "io-maxbandwidth", struct run_args, io_maxbandwidth, "bytes", complete_none, "Maximum IO bandwidth limit for the system drive (Windows only)"), \
	OPT_STRING(0, "io-maxiops", struct run_args, io_maxiops, "uint", complete_none, "Maximum IOps limit for the system drive (Windows only)"), \
	OPT_STRING(0, "ip", struct run_args, ip, "string", complete_none, "IPv4 address (e.g., 172.30.100.104)"), \
	OPT_STRING(0, "ip6", struct run_args, ip6, "string", complete_none, "IPv6 address (e.g., 2001:db8::33)"), \
	OPT_STRING(0, "ipc", struct run_args, ipc, "string", complete_none, "IPC mode to use"), \
	OPT_STRING(0, "isolation", struct run_args, isolation, "string", complete_none, "Container isolation technology"), \
	OPT_STRING(0, "kernel-memory", struct run_args, kernel_memory, "bytes", complete_none, "Kernel memory limit"), \
	OPT_LIST('l', "label", struct run_args, label, "list", complete_none, "Set meta data on a container"), \
	OPT_LIST(0, "label-file", struct run_args, label_file, "list", complete_file, "Read in a line delimited file of labels"), \
	OPT_LIST(0, "link", struct run_args, link, "list", complete_none, "Add link to another container"), \
	OPT_LIST(0, "link-local-ip", struct run_args, link_local_ip, "list", complete_none, "Container IPv4/IPv6 link-local addresses"), \
	OPT_STRING(0, "log-driver", struct run_args, log_driver, "string", complete_none, "Logging driver for the container"), \
	OPT_LIST(0, "log-opt", struct run_args, log_opt, "list", complete_none, "Log driver options"), \
	OPT_STRING(0, "mac-address", struct run_args, mac_address, "string", complete_none, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"), \
	OPT_STRING('m', "memory", struct run_args, memory, "bytes", complete_none, "Memory limit"), \
	OPT_STRING(0, "memory-reservation", struct run_args, memory_reservation, "bytes", complete_none, "Memory soft limit"), \
	OPT_STRING(0, "memory-swap", struct run_args, memory_swap, "bytes", complete_none, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"), \
	OPT_STRING(0, "memory-swappiness", struct run_args, memory_swappiness, "int", complete_none, "Tune container memory swappiness (0 to 100) (default -1)"), \
	OPT_LIST(0, "mount", struct run_args, mount, "mount", complete_none, "Attach a filesystem mount to the container"), \
	OPT_STRING(0, "name", struct run_args, name, "string", complete_none, "Assign a name to the container"), \
	OPT_LIST(0, "network", struct run_args, network, "network", complete_none, "Connect a container to a network"), \
	OPT_LIST(0, "network-alias", struct run_args, network_alias, "list", complete_none, "Add network-scoped alias for the container"), \
	OPT_FLAG(0, "no-healthcheck", struct run_args, no_healthcheck, "Disable any container-specified HEALTHCHECK"), \
	OPT_TRISTATE(0, "oom-kill-disable", struct run_args, oom_kill_disable, "Disable OOM Killer"), \
	OPT_STRING(0, "oom-score-adj", struct run_args, oom_score_adj, "int", complete_none, "Tune host's OOM preferences (-1000 to 1000)"), \
	OPT_STRING(0, "pid", struct run_args, pid, "string", complete_none, "PID namespace to use"), \
	OPT_STRING(0, "pids-limit", struct run_args, pids_limit, "int", complete_none, "Tune container pids limit (set -1 for unlimited)"), \
	OPT_STRING(0, "platform", struct run_args, platform, "string", complete_none, "Set platform if server is multi-platform capable"), \
	OPT_FLAG(0, "privileged", struct run_args, privileged, "Give extended privileges to this container"), \
	OPT_LIST('p', "publish", struct run_args, publish, "list", complete_none, "Publish a container's port(s) to the host"), \
	OPT_FLAG('P', "publish-all", struct run_args, publish_all, "Publish all exposed ports to random ports"), \
	OPT_LIST(0, "dns-opt", struct run_args, dns_option, "list", complete_none, NULL), \
	OPT_LIST(0, "net", struct run_args, network, "network", complete_none, NULL), \
	OPT_LIST(0, "net-alias", struct run_args, network_alias, "list", complete_none, NULL),
#define ROWS_C \
	OPT_FLAG('q', "quiet", struct run_args, quiet, "Suppress the pull output"), \
	OPT_FLAG(0, "read-only", struct run_args, read_only, "Mount the container's root filesystem as read only"), \
	OPT_STRING(0, "restart", struct run_args, restart, "string", complete_none, "Restart policy to apply when a container exits (default \"no\")"), \
	OPT_FLAG(0, "rm", struct run_args, rm, "Automatically remove the container and its associated anonymous volumes when it exits"), \
	OPT_STRING(0, "runtime", struct run_args, runtime, "string", complete_none, "Runtime to use for this container"), \
	OPT_LIST(0, "security-opt", struct run_args, security_opt, "list", complete_none, "Security Options"), \
	OPT_STRING(0, "shm-size", struct run_args, shm_size, "bytes", complete_none, "Size of /dev/shm"),
#define ROWS_D \
	OPT_STRING(0, "stop-signal", struct run_args, stop_signal, "string", complete_none, "Signal to stop the container"), \
	OPT_STRING(0, "stop-timeout", struct run_args, stop_timeout, "int", complete_none, "Timeout (in seconds) to stop a container"), \
	OPT_LIST(0, "storage-opt", struct run_args, storage_opt, "list", complete_none, "Storage driver options for the container"), \
	OPT_LIST(0, "sysctl", struct run_args, sysctl, "map", complete_none, "Sysctl options (default map[])"), \
	OPT_LIST(0, "tmpfs", struct run_args, tmpfs, "list", complete_none, "Mount a tmpfs directory"), \
	OPT_FLAG('t', "tty", struct run_args, tty, "Allocate a pseudo-TTY"), \
	OPT_LIST(0, "ulimit", struct run_args, ulimit, "ulimit", complete_none, "Ulimit options (default [])"), \
	OPT_FLAG(0, "use-api-socket", struct run_args, use_api_socket, "Bind mount Docker API socket and required auth"), \
	OPT_STRING('u', "user", struct run_args, user, "string", complete_none, "Username or UID (format: <name|uid>[:<group|gid>])"), \
	OPT_STRING(0, "userns", struct run_args, userns, "string", complete_none, "User namespace to use"), \
	OPT_STRING(0, "uts", struct run_args, uts, "string", complete_none, "UTS namespace to use"), \
	OPT_LIST('v', "volume", struct run_args, volume, "list", complete_none, "Bind mount a volume"), \
	OPT_STRING(0, "volume-driver", struct run_args, volume_driver, "string", complete_none, "Optional volume driver for the container"), \
	OPT_LIST(0, "volumes-from", struct run_args, volumes_from, "list", complete_none, "Mount volumes from the specified container(s)"), \
	OPT_STRING('w', "workdir", struct run_args, workdir, "string", complete_none, "Working directory inside the container"),

static const struct opt create_opts[] = {
	ROWS_A
	ROWS_B
	OPT_STRING(0, "pull", struct run_args, pull, "string", complete_none, CREATE_PULL),
	ROWS_C
	ROWS_D
	OPT_END
};

const struct opt docker_run_opts[] = {
	ROWS_A
	OPT_FLAG('d', "detach", struct run_args, detach, "Run container in background and print container ID"),
	OPT_STRING(0, "detach-keys", struct run_args, detach_keys, "string", complete_none, "Override the key sequence for detaching a container"),
	ROWS_B
	OPT_STRING(0, "pull", struct run_args, pull, "string", complete_none, RUN_PULL),
	ROWS_C
	OPT_TRISTATE(0, "sig-proxy", struct run_args, sig_proxy, "Proxy received signals to the process (default true)"),
	ROWS_D
	OPT_END
};
/* clang-format on */

const struct cmd docker_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = create_run,
	.opts = create_opts,
	.args_size = sizeof(struct run_args),
	.brief = "Create a new container",
	.synopsis = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
