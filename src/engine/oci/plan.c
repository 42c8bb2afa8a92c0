/* SPDX-License-Identifier: MIT */
/* A spec as a plan: everything that makes a container. Pure: nothing of the host is changed here. */
#include "engine/common.h"
#include "engine/oci/oci.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "host/caps.h"
#include "host/cgroup.h"
#include "host/clone.h"
#include "host/proc.h"
#include "host/steps.h"
#include "store/layer.h"

#define SHM_DEFAULT (64 * 1024 * 1024)

/* What runtime-spec's config-linux.md and docker give every container. */
static const struct {
	const char *name, *major, *minor;
} default_device[] = {
	{ "/dev/null", "1", "3" },
	{ "/dev/zero", "1", "5" },
	{ "/dev/full", "1", "7" },
	{ "/dev/random", "1", "8" },
	{ "/dev/urandom", "1", "9" },
	{ "/dev/tty", "5", "0" },
};

static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/interrupts",
	"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware" };
static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	"/proc/sysrq-trigger" };

/* What the parts of one plan share. */
struct build {
	struct ctx *c;
	const struct engine_start *s;
	const struct spec *spec;
	struct plan *p;
	const char *root; /* where the guest's root is mounted, in its own mount namespace */
	const char *cgroup;
	char controllers[CGROUP_PATH_MAX];
	bool user_ns;
	unsigned n_mapped;   /* mounts with mapped ids so far */
	const char *rootfs;  /* of the spec, or its mapped mount */
	GHashTable *volumes; /* of a guest with mapped ids: struct spec_mount -> its mapped mount */
};

static const char *in_dir(struct build *b, const char *name)
{
	return plan_str(b->p, "%s/%s", b->s->dir, name);
}

/* --- the host --- */

static int plan_layers(struct build *b, const char **ret_lower, struct err *e)
{
	g_autoptr(GString) lower = g_string_new(NULL);
	g_auto(GStrv) kept = NULL;
	g_autofree char *layers = store_run_path(b->c, "layers");
	guint n = g_strv_length(b->spec->layers);

	if (n > 0)
		plan_addf(b->p, AT_HOST, STEP_STAY, &step_layer_points, layers, NULL);
	while (n-- > 0) {
		const char *digest = b->spec->layers[n];
		g_autofree char *file = layer_file(b->c, digest), *at = NULL;
		int r = layer_lower(b->c, digest, &at, e);

		if (r < 0)
			return r;
		if (g_str_has_prefix(at, layers))
			plan_addf(b->p, AT_HOST, STEP_HOLD, &step_layer, file, at, NULL);
		if (lower->len)
			g_string_append_c(lower, ':');
		g_string_append(lower, at);
	}
	*ret_lower = plan_str(b->p, "%s", lower->str);
	return 0;
}

static int plan_cgroup(struct build *b, struct err *e)
{
	g_autoptr(GPtrArray) limits = engine_limits(b->spec);
	g_autofree const char **keys = g_new0(const char *, limits->len + 1);
	g_auto(GStrv) rules = NULL;
	int r;

	for (guint i = 0; i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);

		r = cgroup_check(cgroup_host(), l->key, l->value, e);
		if (r < 0)
			return r;
		keys[i] = l->key;
	}
	cgroup_controllers_for(cgroup_host(), keys, limits->len, b->controllers);
	plan_add(b->p, AT_HOST, &step_cgroup_create, b->cgroup, b->controllers);
	for (guint i = 0; i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);

		plan_add(b->p, AT_HOST, &step_cgroup_set, b->cgroup, l->key, l->value);
	}
	rules = oci_device_rules(b->spec, e);
	if (rules) {
		guint n = g_strv_length(rules);
		g_autofree const char **argv = g_new0(const char *, n + 2);

		argv[0] = b->cgroup;
		memcpy(argv + 1, rules, n * sizeof(*argv));
		plan_addv(b->p, AT_HOST, 0, &step_cgroup_devices, argv, n + 1);
	}
	return 0;
}

static const char *map_text(struct build *b, const GArray *map)
{
	g_autoptr(GString) s = g_string_new(NULL);

	for (guint i = 0; i < map->len; i++) {
		const struct spec_idmap *m = &g_array_index(map, struct spec_idmap, i);

		g_string_append_printf(
			s, "%s%u %u %u", i ? "," : "", m->inside, m->outside, m->count);
	}
	return plan_str(b->p, "%s", s->str);
}

/* Where the guest sees `source` with its own ids (host/step-userns.c): a mount through the map. */
static const char *mapped(struct build *b, const char *source)
{
	const char *target = plan_str(b->p, "%s/mapped/%u", b->s->dir, b->n_mapped++);

	plan_add(b->p, AT_HOST, &step_mkdirs, target, "711");
	plan_add(b->p, AT_HOST, &step_idmapped, source, target);
	return target;
}

/* What the guest's 0 is on the host; a map without a 0 gives its first. */
static uint32_t outside_of_root(const GArray *map)
{
	for (guint i = 0; i < map->len; i++) {
		const struct spec_idmap *m = &g_array_index(map, struct spec_idmap, i);

		if (m->inside == 0)
			return m->outside;
	}
	return g_array_index(map, struct spec_idmap, 0).outside;
}

/* With a user namespace the root is stacked on the host's side, of mounts with mapped ids. */
static void plan_mapped_root(struct build *b, const char *lower)
{
	g_auto(GStrv) layers = g_strsplit(lower, ":", 0);
	g_autoptr(GString) stack = g_string_new(NULL);
	const char *own;

	plan_add(b->p, AT_HOST, &step_userns, map_text(b, b->spec->uid_map),
		map_text(b, b->spec->gid_map));
	plan_add(b->p, AT_HOST, &step_own_mounts);
	if (b->spec->rootfs) {
		b->rootfs = mapped(b, b->spec->rootfs);
		return;
	}
	for (char **l = layers; *l; l++)
		g_string_append_printf(stack, "%s%s", stack->len ? ":" : "", mapped(b, *l));
	own = mapped(b, b->s->dir);
	plan_add(b->p, AT_HOST, &step_mapped_overlay, b->root, stack->str,
		plan_str(b->p, "%s/upper", own), plan_str(b->p, "%s/work", own),
		b->spec->auto_remove ? "volatile" : "",
		plan_str(b->p, "%u", outside_of_root(b->spec->uid_map)),
		plan_str(b->p, "%u", outside_of_root(b->spec->gid_map)));
}

/* Files that the host writes and the guest sees at /etc. */
static void plan_etc(struct build *b)
{
	const struct {
		const char *name, *text;
	} file[] = {
		{ "hostname",
			b->spec->hostname ? plan_str(b->p, "%s\n", b->spec->hostname) : NULL },
		{ "hosts", b->s->hosts },
		{ "resolv.conf", b->s->resolv_conf },
	};

	for (guint i = 0; i < G_N_ELEMENTS(file); i++)
		if (file[i].text)
			plan_addf(b->p, AT_HOST, STEP_STAY, &step_write, in_dir(b, file[i].name),
				file[i].text, "644", NULL);
}

static void bind_etc(struct build *b)
{
	static const char *const name[] = { "hostname", "hosts", "resolv.conf" };
	const bool have[] = { b->spec->hostname, b->s->hosts, b->s->resolv_conf };

	for (guint i = 0; i < G_N_ELEMENTS(name); i++)
		if (have[i])
			plan_add(b->p, AT_CHILD, &step_bind, b->root, in_dir(b, name[i]),
				plan_str(b->p, "/etc/%s", name[i]), "bind,rprivate", "file");
}

/* --- namespaces --- */

static const char *const ns_name[_NS_MAX] = { [NS_MNT] = "mnt",
	[NS_PID] = "pid",
	[NS_NET] = "net",
	[NS_UTS] = "uts",
	[NS_IPC] = "ipc",
	[NS_USER] = "user",
	[NS_CGROUP] = "cgroup",
	[NS_TIME] = "time" };

static void plan_clone(struct build *b)
{
	static const enum spec_ns_kind cloned[] = { NS_PID, NS_NET, NS_UTS, NS_IPC };
	g_autoptr(GString) names = g_string_new("mnt");

	/* children of the executor are made in this one; it goes back to its own afterwards */
	if (b->spec->ns[NS_PID].mode == NS_PATH)
		plan_add(b->p, AT_HOST, &step_join, "pid", b->spec->ns[NS_PID].path);
	for (guint i = 0; i < G_N_ELEMENTS(cloned); i++)
		if (b->spec->ns[cloned[i]].mode == NS_PRIVATE)
			g_string_append_printf(names, ",%s", ns_name[cloned[i]]);
	if (b->user_ns)
		g_string_append(names, ",user");
	plan_add(b->p, AT_CLONE, &step_clone, names->str);
}

static void plan_join(struct build *b)
{
	static const enum spec_ns_kind joined[] = { NS_NET, NS_UTS, NS_IPC };

	if (b->user_ns) {
		plan_add(b->p, AT_PARENT, &step_idmap, "uid", map_text(b, b->spec->uid_map));
		plan_add(b->p, AT_PARENT, &step_idmap, "gid", map_text(b, b->spec->gid_map));
	}
	plan_add(b->p, AT_CHILD, &step_cgroup_join, b->cgroup);
	if (b->user_ns)
		plan_add(b->p, AT_CHILD, &step_setid0);
	for (guint i = 0; i < G_N_ELEMENTS(joined); i++) {
		const struct spec_ns *ns = &b->spec->ns[joined[i]];

		if (ns->mode == NS_PATH)
			plan_add(b->p, AT_CHILD, &step_join, ns_name[joined[i]], ns->path);
	}
	if (b->spec->ns[NS_CGROUP].mode == NS_PRIVATE)
		plan_add(b->p, AT_CHILD, &step_cgroup_ns);
}

static void plan_net(struct build *b, enum step_at at)
{
	for (unsigned i = 0; b->s->net && i < plan_len(b->s->net); i++) {
		const struct step *s = plan_step(b->s->net, i);

		if (s->at == at)
			plan_addv(b->p, s->at, s->flags, s->op, s->arg, s->n);
	}
}

/* --- the root --- */

static void plan_root(struct build *b, const char *lower)
{
	const char *propagation = "rprivate";

	for (guint i = 0; i < b->spec->mounts->len; i++) {
		const struct spec_mount *m = g_ptr_array_index(b->spec->mounts, i);

		if (m->propagation &&
			(strstr(m->propagation, "slave") || strstr(m->propagation, "shared")))
			propagation = "rslave";
	}
	plan_add(b->p, AT_CHILD, &step_private, propagation);
	if (b->user_ns && !b->spec->rootfs)
		/* mounted already; a mount of our own on top, since the copies of the host's are locked */
		plan_add(
			b->p, AT_CHILD, &step_bind, "/", b->root, b->root, "rbind,rprivate", "dir");
	else if (b->spec->rootfs)
		plan_add(b->p, AT_CHILD, &step_bind, "/", b->rootfs, b->root, "rbind,rprivate",
			"dir");
	else
		/* nobody will ever want the changes of a guest that is removed at its end: don't sync them */
		plan_add(b->p, AT_CHILD, &step_overlay, b->root, lower, in_dir(b, "upper"),
			in_dir(b, "work"), b->spec->auto_remove ? "volatile" : "");
}

/* Hierarchies with several controllers, "cpu,cpuacct", are found by the name of each, too. */
static void link_cgroups(struct build *b, const char *hierarchy)
{
	g_auto(GStrv) name = g_strsplit(hierarchy, ",", -1);

	for (char **n = name; n[0] && name[1]; n++)
		plan_add(b->p, AT_CHILD, &step_link_in, b->root, hierarchy,
			plan_str(b->p, "/sys/fs/cgroup/%s", *n));
}

/* /sys/fs/cgroup as programs expect it: the v2 tree, or a folder for each v1 hierarchy the guest is in. */
static void mount_cgroups(struct build *b)
{
	const struct cgroup_host *h = cgroup_host();
	unsigned ours = cgroup_controllers_parse(b->controllers);
	const char *flags = b->spec->privileged ? "nosuid,nodev,noexec" : "ro,nosuid,nodev,noexec";

	if (h->mode == CGROUP_V2) {
		plan_addf(b->p, AT_CHILD, 0, &step_mount_in, b->root, "cgroup", "/sys/fs/cgroup",
			"cgroup2", flags, "", NULL);
		return;
	}
	plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "tmpfs", "/sys/fs/cgroup", "tmpfs",
		"nosuid,nodev,noexec", "mode=755,size=64k");
	for (unsigned i = 0; i < h->n_v1; i++) {
		const char *last = strrchr(h->v1[i].mount, '/');

		if (!(h->v1[i].controllers & ours) || !last)
			continue;
		plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "cgroup",
			plan_str(b->p, "/sys/fs/cgroup%s", last), "cgroup", flags, last + 1);
		link_cgroups(b, last + 1);
	}
}

/* The mount namespace of the process whose namespace the path names. */
static const char *mnt_beside(struct build *b, const char *path)
{
	const char *last = strrchr(path, '/');

	return plan_str(b->p, "%.*s/mnt", last ? (int)(last - path) : 0, path);
}

static void mount_kernel(struct build *b)
{
	const struct spec *s = b->spec;
	const char *shm = plan_str(b->p, "mode=1777,size=%" G_GINT64_FORMAT,
		s->shm_size > 0 ? s->shm_size : SHM_DEFAULT);

	plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "proc", "/proc", "proc",
		"nosuid,nodev,noexec", "");
	plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "tmpfs", "/dev", "tmpfs",
		"nosuid,strictatime", "mode=755,size=65536k");
	plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "devpts", "/dev/pts", "devpts",
		"nosuid,noexec", "newinstance,ptmxmode=0666,mode=0620,gid=5");
	if (s->ns[NS_IPC].mode == NS_HOST) {
		plan_add(b->p, AT_CHILD, &step_bind, b->root, "/dev/shm", "/dev/shm",
			"rbind,rprivate", "dir");
	} else {
		if (s->ns[NS_IPC].mode == NS_PATH && s->ns[NS_IPC].guest)
			plan_add(b->p, AT_CHILD, &step_bind_from, b->root, "/dev/shm", "/dev/shm",
				"bind,rprivate", "dir", mnt_beside(b, s->ns[NS_IPC].path));
		else
			plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "shm", "/dev/shm",
				"tmpfs", "nosuid,nodev,noexec", shm);
		plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "mqueue", "/dev/mqueue", "mqueue",
			"nosuid,nodev,noexec", "");
	}
	if (b->user_ns && s->ns[NS_NET].mode != NS_PRIVATE)
		plan_add(b->p, AT_CHILD, &step_bind, b->root, "/sys", "/sys", "rbind,ro,rprivate",
			"dir");
	else
		plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "sysfs", "/sys", "sysfs",
			s->privileged ? "nosuid,nodev,noexec" : "ro,nosuid,nodev,noexec", "");
	if (!b->user_ns)
		mount_cgroups(b);
}

static void add_device(struct build *b, const char *path, const struct stat *st)
{
	plan_addf(b->p, AT_CHILD, 0, &step_device, b->root, path,
		S_ISBLK(st->st_mode)	? "b"
		: S_ISFIFO(st->st_mode) ? "p"
					: "c",
		plan_str(b->p, "%u", major(st->st_rdev)), plan_str(b->p, "%u", minor(st->st_rdev)),
		plan_str(b->p, "%o", st->st_mode & 07777), plan_str(b->p, "%u", st->st_uid),
		plan_str(b->p, "%u", st->st_gid), NULL);
}

static int plan_devices(struct build *b, struct err *e)
{
	for (guint i = 0; i < G_N_ELEMENTS(default_device); i++) {
		if (b->user_ns) /* mknod(2) is refused there */
			plan_add(b->p, AT_CHILD, &step_bind, b->root, default_device[i].name,
				default_device[i].name, "bind,rprivate", "file");
		else
			plan_addf(b->p, AT_CHILD, 0, &step_device, b->root, default_device[i].name,
				"c", default_device[i].major, default_device[i].minor, "666", "0",
				"0", NULL);
	}
	for (guint i = 0; i < b->spec->devices->len; i++) {
		const struct spec_device *d = g_ptr_array_index(b->spec->devices, i);
		struct stat st;
		int r = RET_NERRNO(stat(d->host, &st));

		if (r < 0) {
			r = err_sys(e, r, "cannot find the device '%s'", d->host);

			err_mend(e, "see 'ls -l /dev' for what this host has");
			return r;
		}
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			return err_set(e, -E_INVALID, "'%s' is not a device", d->host);
		if (b->user_ns)
			plan_add(b->p, AT_CHILD, &step_bind, b->root, d->host, d->guest,
				"bind,rprivate", "file");
		else
			add_device(b, d->guest, &st);
	}
	plan_add(b->p, AT_CHILD, &step_dev_links, b->root);
	return 0;
}

/* A privileged guest sees the host's devices; not its terminals and shared memory. */
static void plan_all_devices(struct build *b, const char *folder, unsigned depth)
{
	g_autoptr(GDir) d = g_dir_open(folder, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d)) != NULL) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		struct stat st;
		bool known = false;

		if (lstat(path, &st) < 0 || strcmp(path, "/dev/console") == 0 ||
			strcmp(path, "/dev/ptmx") == 0)
			continue;
		for (guint i = 0; i < G_N_ELEMENTS(default_device); i++)
			known |= strcmp(path, default_device[i].name) == 0;
		if (S_ISDIR(st.st_mode) && depth < 4 && strcmp(name, "pts") != 0 &&
			strcmp(name, "shm") != 0 && strcmp(name, "mqueue") != 0 &&
			strcmp(name, "fd") != 0 && name[0] != '.')
			plan_all_devices(b, path, depth + 1);
		else if ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && !known)
			add_device(b, path, &st);
	}
}

static unsigned depth_of(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += path[0] == '/' && path[1] && path[1] != '/';
	return n;
}

static gint by_depth(gconstpointer a, gconstpointer b)
{
	const struct spec_mount *const *x = a, *const *y = b;

	return (gint)depth_of((*x)->target) - (gint)depth_of((*y)->target);
}

/*
 * A mount over the kernel's own files would let a guest choose what our steps read and write there. The
 * files that lxcfs(1) replaces are harmless, and bound by many.
 */
static int check_target(const struct spec_mount *m, struct err *e)
{
	static const char *const fine[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg",
		"/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/slabinfo" };
	g_autofree char *path = g_canonicalize_filename(m->target, "/");

	if (strcmp(path, "/") == 0)
		return err_set(e, -E_INVALID, "cannot mount at '/' of the guest");
	if (strcmp(path, "/proc") != 0 && !g_str_has_prefix(path, "/proc/"))
		return 0;
	for (guint i = 0; i < G_N_ELEMENTS(fine); i++)
		if (strcmp(path, fine[i]) == 0)
			return 0;
	return err_set(e, -E_INVALID, "cannot mount at '%s': /proc is the kernel's", m->target);
}

static void plan_mount(struct build *b, const struct spec_mount *m)
{
	const char *more = m->options ? m->options : "",
		   *source = g_hash_table_lookup(b->volumes, m);

	if (m->kind == MOUNT_TMPFS) {
		const char *data =
			plan_str(b->p, "mode=%o", m->mode < 0 ? 01777 : (unsigned)m->mode);

		if (m->size > 0)
			data = plan_str(b->p, "%s,size=%" G_GINT64_FORMAT, data, m->size);
		plan_add(b->p, AT_CHILD, &step_mount_in, b->root, "tmpfs", m->target, "tmpfs",
			plan_str(b->p, "nosuid,nodev,noexec%s%s%s", m->read_only ? ",ro" : "",
				more[0] ? "," : "", more),
			data);
		return;
	}
	plan_add(b->p, AT_CHILD, &step_bind, b->root, source ? source : m->source, m->target,
		plan_str(b->p, "rbind,%s%s%s%s", m->propagation ? m->propagation : "rprivate",
			m->read_only ? ",rro" : "", more[0] ? "," : "", more),
		"auto");
}

static int plan_mounts(struct build *b, struct err *e)
{
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();

	for (guint i = 0; i < b->spec->mounts->len; i++) {
		int r = check_target(g_ptr_array_index(b->spec->mounts, i), e);

		if (r < 0)
			return r;
		g_ptr_array_add(sorted, g_ptr_array_index(b->spec->mounts, i));
	}
	g_ptr_array_sort(sorted, by_depth);
	for (guint i = 0; i < sorted->len; i++)
		plan_mount(b, g_ptr_array_index(sorted, i));
	return 0;
}

/* --- the process --- */

static const char *limit_text(struct plan *p, uint64_t v)
{
	return v == UINT64_MAX ? "unlimited" : plan_str(p, "%" G_GUINT64_FORMAT, v);
}

void oci_plan_rlimits(const struct spec *s, struct plan *p)
{
	for (guint i = 0; i < s->rlimits->len; i++) {
		const struct spec_rlimit *l = g_ptr_array_index(s->rlimits, i);

		plan_add(p, AT_CHILD, &step_rlimit, l->name, limit_text(p, l->soft),
			limit_text(p, l->hard));
	}
}

static int plan_limits_and_names(struct build *b, struct err *e)
{
	const struct spec *s = b->spec;

	if (s->ns[NS_UTS].mode == NS_PRIVATE && s->hostname)
		plan_add(b->p, AT_CHILD, &step_hostname, s->hostname);
	if (s->ns[NS_UTS].mode == NS_PRIVATE && s->domainname)
		plan_add(b->p, AT_CHILD, &step_domainname, s->domainname);
	oci_plan_rlimits(s, b->p);
	if (s->oom_score_adj)
		plan_add(b->p, AT_CHILD, &step_oom_score, plan_str(b->p, "%d", s->oom_score_adj));
	return 0;
}

static void plan_argv(struct build *b)
{
	const struct spec *s = b->spec;
	guint n = g_strv_length(s->argv), skip = s->init ? 2 : 0;
	g_autofree const char **argv = g_new0(const char *, n + 3);

	if (s->init) {
		argv[0] = "/dev/lodge-init";
		argv[1] = "--";
	}
	for (guint i = 0; i < n; i++)
		argv[i + skip] = s->argv[i];
	plan_addv(b->p, AT_CHILD, 0, &step_exec, argv, n + skip);
}

static int plan_process(struct build *b, struct err *e)
{
	const struct spec *s = b->spec;
	g_autofree char *groups = s->groups ? g_strjoinv(",", s->groups) : g_strdup("");
	int r;

	plan_addv(b->p, AT_CHILD, 0, &step_env, (const char *const *)s->env,
		s->env ? g_strv_length(s->env) : 0);
	plan_add(b->p, AT_CHILD, &step_session, s->tty ? "1" : "");
	plan_add(b->p, AT_CHILD, &step_umask, "022");
	plan_add(b->p, AT_CHILD, &step_cwd, s->cwd && s->cwd[0] ? s->cwd : "/");
	r = oci_plan_secure_first(b->c, s, s->privileged, b->p, e);
	if (r < 0)
		return r;
	plan_add(b->p, AT_CHILD, &step_user, s->user ? s->user : "", groups);
	r = oci_plan_secure_last(b->c, s, s->privileged, b->p, e);
	if (r < 0)
		return r;
	plan_add(b->p, AT_CHILD, &step_close_fds);
	plan_argv(b);
	return 0;
}

static int plan_inside(struct build *b, const char *lower, struct err *e)
{
	const struct spec *s = b->spec;
	int r;

	plan_join(b);
	plan_net(b, AT_CHILD);
	plan_root(b, lower);
	mount_kernel(b);
	r = plan_devices(b, e);
	if (r < 0)
		return r;
	if (s->privileged && !b->user_ns)
		plan_all_devices(b, "/dev", 0);
	if (s->init) {
		g_autofree char *init = ctx_program(b->c, "lodge-init");

		plan_add(b->p, AT_CHILD, &step_bind, b->root, init, "/dev/lodge-init",
			"bind,ro,nosuid,nodev,rprivate", "file");
	}
	bind_etc(b);
	r = plan_mounts(b, e);
	if (r < 0)
		return r;
	if (s->tty)
		plan_add(b->p, AT_CHILD, &step_console, b->root, "1");
	for (guint i = 0; i < s->sysctls->len; i++) {
		const struct spec_pair *k = g_ptr_array_index(s->sysctls, i);

		plan_add(b->p, AT_CHILD, &step_sysctl, k->key, k->value);
	}
	plan_add(b->p, AT_CHILD, &step_pivot, b->root);
	if (!s->privileged && !s->unmasked) {
		plan_addv(b->p, AT_CHILD, 0, &step_mask, masked, G_N_ELEMENTS(masked));
		plan_addv(b->p, AT_CHILD, 0, &step_readonly, read_only, G_N_ELEMENTS(read_only));
	}
	if (s->read_only)
		plan_add(b->p, AT_CHILD, &step_remount_ro, "/");
	r = plan_limits_and_names(b, e);
	return r < 0 ? r : plan_process(b, e);
}

/* Volumes belong to guests, so they have a guest's ids; binds belong to the host. */
static void plan_mapped_volumes(struct build *b)
{
	for (guint i = 0; i < b->spec->mounts->len; i++) {
		struct spec_mount *m = g_ptr_array_index(b->spec->mounts, i);

		if (m->kind == MOUNT_VOLUME)
			g_hash_table_insert(b->volumes, m, (gpointer)mapped(b, m->source));
	}
}

int oci_plan_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(s), *root = g_build_filename(s->dir, "root", NULL);
	struct build b = {
		.c = c, .s = s, .spec = s->spec, .p = s->plan, .cgroup = cgroup, .root = root
	};
	g_autoptr(GHashTable) volumes = g_hash_table_new(NULL, NULL);
	const char *lower = "";
	int r;

	b.user_ns = s->spec->uid_map->len > 0;
	b.rootfs = s->spec->rootfs;
	b.volumes = volumes;
	if (!s->spec->argv || !s->spec->argv[0])
		return err_set(e, -E_INVALID,
			"no command: neither the image nor the command line has one");
	r = s->spec->rootfs ? 0 : plan_layers(&b, &lower, e);
	if (r < 0)
		return r;
	if (b.user_ns) {
		plan_mapped_root(&b, lower);
		plan_mapped_volumes(&b);
	}
	plan_etc(&b);
	if (!s->spec->apparmor && !s->spec->privileged && (lsm_enabled() & LSM_APPARMOR))
		plan_add(b.p, AT_HOST, &step_apparmor_load);
	r = plan_cgroup(&b, e);
	if (r < 0)
		return r;
	plan_clone(&b);
	plan_net(&b, AT_PARENT);
	return plan_inside(&b, lower, e);
}
