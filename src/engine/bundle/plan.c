/* SPDX-License-Identifier: MIT */
/* The plan that makes a container of a bundle. Pure. */
#include "engine/bundle/bundle-priv.h"

#include <string.h>

#include "host/cgroup.h"
#include "host/proc.h"
#include "host/steps.h"

/* The specification's names, ours, and how they come to be. */
static const struct kind {
	const char *type, *name;
	bool cloned; /* at the clone; the others later, by the process itself */
} kinds[] = {
	{ "mount", "mnt", true },
	{ "pid", "pid", true },
	{ "network", "net", true },
	{ "uts", "uts", true },
	{ "ipc", "ipc", true },
	{ "user", "user", true },
	{ "cgroup", "cgroup", false },
	{ "time", "time", false },
};

static bool is_new(const struct config *c, const char *type)
{
	const struct config_namespace *n = config_namespace(c, type);

	return n && !(n->path && *n->path);
}

static const char *path_of(const struct config *c, const char *type)
{
	const struct config_namespace *n = config_namespace(c, type);

	return n && n->path && *n->path ? n->path : NULL;
}

const char *bundle_map_text(struct plan *p, const GArray *map)
{
	g_autoptr(GString) s = g_string_new(NULL);

	for (guint i = 0; i < map->len; i++) {
		const struct config_idmap *m = &g_array_index(map, struct config_idmap, i);

		g_string_append_printf(
			s, "%s%u %u %u", i ? "," : "", m->container, m->host, m->size);
	}
	return plan_str(p, "%s", s->str);
}

/* --- the cgroup --- */

static void all_controllers(char list[CGROUP_PATH_MAX])
{
	(void)g_strlcpy(list,
		"cpu,cpuacct,cpuset,memory,pids,io,devices,freezer,hugetlb,net_cls,net_prio,"
		"perf_event,rdma,misc,name=systemd",
		CGROUP_PATH_MAX);
}

int bundle_plan_cgroup(
	const struct bundle *b, enum step_at at, char list[], struct plan *p, struct err *e)
{
	g_autoptr(GPtrArray) limits = bundle_limits(&b->config->linux_.resources);
	g_autofree const char **keys = g_new0(const char *, limits->len + 1);

	for (guint i = 0; i < limits->len; i++) {
		const struct config_pair *l = g_ptr_array_index(limits, i);
		int r = cgroup_check(cgroup_host(), l->key, l->value, e);

		if (r < 0)
			return err_prefix(e, "'linux.resources'");
		keys[i] = l->key;
	}
	cgroup_controllers_for(cgroup_host(), keys, limits->len, list);
	if (b->all_controllers)
		all_controllers(list);
	if (b->unit) {
		int r = bundle_plan_unit(b, at, limits, p, e);

		if (r < 0)
			return r;
		if (cgroup_host()->mode != CGROUP_V2)
			plan_add(p, at, &step_cgroup_extend, b->cgroup, list);
	} else
		plan_add(p, at, &step_cgroup_create, b->cgroup, list);
	for (guint i = 0; i < limits->len; i++) {
		const struct config_pair *l = g_ptr_array_index(limits, i);

		plan_add(p, at, &step_cgroup_set, b->cgroup, l->key, l->value);
	}
	return 0;
}

/* --- namespaces --- */

static void plan_time(const struct config *c, struct plan *p)
{
	const struct config_time_offsets *o = &c->linux_.time_offsets;
	const struct {
		const char *clock;
		const struct config_time_offset *by;
	} set[] = { { "monotonic", o->monotonic }, { "boottime", o->boottime } };

	if (!is_new(c, "time"))
		return;
	for (guint i = 0; i < G_N_ELEMENTS(set); i++)
		plan_add(p, AT_HOST, &step_time_offset, set[i].clock,
			plan_str(p, "%" G_GINT64_FORMAT, set[i].by ? set[i].by->secs : 0),
			plan_str(p, "%u", set[i].by ? set[i].by->nanosecs : 0));
}

static void plan_clone(const struct config *c, struct plan *p)
{
	g_autoptr(GString) names = g_string_new(NULL);

	plan_time(c, p);
	/* children of the executor are made in this one */
	if (path_of(c, "pid"))
		plan_add(p, AT_HOST, &step_join, "pid", path_of(c, "pid"));
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].cloned && is_new(c, kinds[i].type))
			g_string_append_printf(names, "%s%s", names->len ? "," : "", kinds[i].name);
	plan_add(p, AT_CLONE, &step_clone, names->str);
	if (is_new(c, "user")) {
		plan_add(p, AT_PARENT, &step_idmap, "uid", bundle_map_text(p, c->linux_.uid_map));
		plan_add(p, AT_PARENT, &step_idmap, "gid", bundle_map_text(p, c->linux_.gid_map));
	}
}

static void plan_join(const struct bundle *b, struct plan *p)
{
	const struct config *c = b->config;

	plan_add(p, AT_CHILD, &step_undumpable);
	if (b->cgroup && !b->unit)
		plan_add(p, AT_CHILD, &step_cgroup_join, b->cgroup);
	/* the owner of the others first, then these with its rights */
	if (path_of(c, "user"))
		plan_add(p, AT_CHILD, &step_join, "user", path_of(c, "user"));
	if (config_namespace(c, "user"))
		plan_add(p, AT_CHILD, &step_setid0);
	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (strcmp(kinds[i].name, "user") != 0 && strcmp(kinds[i].name, "pid") != 0 &&
			path_of(c, kinds[i].type))
			plan_add(p, AT_CHILD, &step_join, kinds[i].name, path_of(c, kinds[i].type));
	if (is_new(c, "cgroup"))
		plan_add(p, AT_CHILD, &step_cgroup_ns);
	if (is_new(c, "network"))
		plan_add(p, AT_CHILD, &step_link_up, "lo");
}

/* --- the root --- */

static int plan_root(const struct bundle *b, struct plan *p, struct err *e)
{
	const char *propagation;
	bool shared;
	int r = bundle_propagation(b->config, &propagation, e);

	if (r < 0)
		return r;
	shared = propagation && strstr(propagation, "shared");
	if (!propagation || strstr(propagation, "unbindable") || strstr(propagation, "slave"))
		propagation = "rslave";
	plan_add(p, AT_CHILD, &step_private, shared ? "rshared" : propagation);
	/* what is mounted there from now on must not appear on the host */
	plan_add(p, AT_CHILD, &step_parent_private, b->rootfs);
	plan_add(p, AT_CHILD, &step_bind, "/", b->rootfs, b->rootfs, "rbind,rprivate", "dir");
	return 0;
}

static void plan_paths(const struct config *c, struct plan *p)
{
	const struct config_linux *l = &c->linux_;

	if (l->readonly && l->readonly[0])
		plan_addv(p, AT_CHILD, 0, &step_readonly, (const char *const *)l->readonly,
			g_strv_length(l->readonly));
	if (l->masked && l->masked[0])
		plan_addv(p, AT_CHILD, 0, &step_mask, (const char *const *)l->masked,
			g_strv_length(l->masked));
}

static int plan_sysctls(const struct config *c, struct plan *p, struct err *e)
{
	unsigned own = (config_namespace(c, "ipc") ? SYSCTL_IPC : 0) |
		       (config_namespace(c, "network") ? SYSCTL_NET : 0) |
		       (config_namespace(c, "uts") ? SYSCTL_UTS : 0);

	for (guint i = 0; i < c->linux_.sysctls->len; i++) {
		const struct config_pair *k = g_ptr_array_index(c->linux_.sysctls, i);
		int r = sysctl_check(k->key, own, e);

		if (r < 0)
			return err_prefix(e, "'linux.sysctl[\"%s\"]'", k->key);
		plan_add(p, AT_CHILD, &step_sysctl, k->key, k->value);
	}
	return 0;
}

static void plan_console(const struct bundle *b, struct plan *p)
{
	const struct config_size *size = b->config->process->console_size;

	plan_add(p, AT_CHILD, &step_console, b->rootfs, "1");
	plan_add(p, AT_MEET, &step_console_send, b->console_socket ? b->console_socket : "",
		plan_str(p, "%u", size ? size->height : 0),
		plan_str(p, "%u", size ? size->width : 0));
}

/* Before the root is changed: the runtime's hooks on the host, the container's in its namespaces. */
static void plan_create_hooks(const struct bundle *b, struct plan *p)
{
	const struct config_hooks *h = &b->config->hooks;
	g_autofree char *state = NULL;
	const char *kept;

	if (!h->prestart->len && !h->create_runtime->len && !h->create_container->len)
		return;
	state = bundle_state(b->config, b->id, b->dir, "creating");
	kept = plan_str(p, "%s", state);
	bundle_plan_hooks(p, AT_MEET, h->prestart, "prestart", kept);
	bundle_plan_hooks(p, AT_MEET, h->create_runtime, "createRuntime", kept);
	bundle_plan_hooks(p, AT_CHILD, h->create_container, "createContainer", kept);
}

static int plan_inside(
	const struct bundle *b, const char *controllers, struct plan *p, struct err *e)
{
	const struct config *c = b->config;
	const char *propagation;
	int r;

	plan_join(b, p);
	if (b->fifo)
		plan_add(p, AT_CHILD, &step_fifo, b->fifo, "");
	r = plan_root(b, p, e);
	if (r >= 0)
		r = bundle_plan_mounts(b, controllers, p, e);
	if (r < 0)
		return r;
	if (c->process->terminal)
		plan_console(b, p);
	plan_create_hooks(b, p);
	plan_add(p, AT_CHILD, b->no_pivot ? &step_chroot : &step_pivot, b->rootfs);
	(void)bundle_propagation(c, &propagation, NULL);
	if (propagation && (strstr(propagation, "shared") || strstr(propagation, "slave") ||
				   strstr(propagation, "unbindable")))
		plan_add(p, AT_CHILD, &step_private, propagation);
	if (is_new(c, "uts") && c->hostname && *c->hostname)
		plan_add(p, AT_CHILD, &step_hostname, c->hostname);
	if (is_new(c, "uts") && c->domainname && *c->domainname)
		plan_add(p, AT_CHILD, &step_domainname, c->domainname);
	r = plan_sysctls(c, p, e);
	if (r < 0)
		return r;
	plan_paths(c, p);
	if (c->root->readonly)
		plan_add(p, AT_CHILD, &step_remount_ro, "/");
	if (!c->process->terminal)
		plan_add(p, AT_CHILD, &step_own_null);
	return 0;
}

/* When the container's devices are made: a rule may forbid even that. */
void bundle_plan_device_rules(const struct bundle *b, enum step_at at, struct plan *p)
{
	g_auto(GStrv) rules = bundle_device_rules(b->config);
	guint n = g_strv_length(rules);
	g_autofree const char **argv = g_new0(const char *, n + 2);

	argv[0] = b->cgroup;
	memcpy(argv + 1, rules, n * sizeof(*argv));
	/* the kernel lets nobody else guard devices; what a user can't make or open is refused anyway */
	plan_addv(p, at, b->rootless ? STEP_IGNORE : 0, &step_cgroup_devices, argv, n + 1);
}

/* What others read about the container, when all but the command is there. */
void bundle_plan_records(const struct bundle *b, enum step_at at, struct plan *p)
{
	plan_add(p, at, &step_first, plan_str(p, "%s/state.json", b->state_dir), b->state, "600");
	if (b->pid_file)
		plan_addf(p, at, STEP_STAY, &step_first, b->pid_file, "@PID@", "644", NULL);
}

int bundle_plan_create(const struct bundle *b, struct plan *p, struct err *e)
{
	char controllers[CGROUP_PATH_MAX] = "";
	struct bundle_process process = { .config = b->config,
		.process = b->config->process,
		.cache_dir = b->cache_dir,
		.id = b->id,
		.dir = b->dir,
		.preserve_fds = b->preserve_fds,
		.no_keyring = b->no_keyring,
		.user_ns = config_namespace(b->config, "user") != NULL };
	int r = bundle_process_check(&process, p, e);

	if (r < 0)
		return r;
	plan_add(p, AT_HOST, &step_tree, b->state_dir, "711");
	if (b->fifo)
		plan_add(p, AT_HOST, &step_fifo, b->fifo, "622");
	r = b->cgroup && !b->unit ? bundle_plan_cgroup(b, AT_HOST, controllers, p, e) : 0;
	if (r >= 0)
		r = bundle_plan_sources(b, p, e);
	if (r < 0)
		return r;
	plan_clone(b->config, p);
	/* systemd wants a process for it, so it is made when there is one */
	if (b->cgroup && b->unit)
		r = bundle_plan_cgroup(b, AT_PARENT, controllers, p, e);
	if (r < 0)
		return r;
	bundle_process_parent(&process, p);
	r = plan_inside(b, controllers, p, e);
	if (r < 0)
		return r;
	bundle_process_first(&process, p);
	if (b->cgroup)
		bundle_plan_device_rules(b, AT_MEET, p);
	bundle_plan_records(b, AT_MEET, p);
	if (b->fifo)
		plan_add(p, AT_CHILD, &step_wait_start);
	if (b->config->hooks.start_container->len) {
		g_autofree char *state = bundle_state(b->config, b->id, b->dir, "created");

		bundle_plan_hooks(p, AT_CHILD, b->config->hooks.start_container, "startContainer",
			plan_str(p, "%s", state));
	}
	bundle_process_last(&process, p);
	return 0;
}

void bundle_plan_remains(
	const char *state_dir, const char *cgroup, const struct bundle_unit *unit, struct plan *p)
{
	plan_add(p, AT_HOST, &step_tree, state_dir, "711");
	if (cgroup && unit)
		plan_add(p, AT_HOST, &step_systemd_scope, unit->manager, unit->name, cgroup);
	else if (cgroup)
		plan_add(p, AT_HOST, &step_cgroup_create, cgroup, "");
}
