/* SPDX-License-Identifier: MIT */
/* Checkpoint and restore as plans: what criu must be told about a container. docs/checkpoint-restore.md of runc. */
#include "engine/bundle/bundle-priv.h"

#include <string.h>
#include <sys/stat.h>

#include "host/cgroup.h"
#include "host/criu.h"
#include "host/path.h"
#include "host/steps.h"

#include <fcntl.h>

#define EXTERNAL_NET "extRootNetNS"
#define EXTERNAL_PID "extRootPidNS"

static void add(GPtrArray *words, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void add(GPtrArray *words, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_ptr_array_add(words, g_strdup_vprintf(fmt, ap));
	va_end(ap);
}

/* --- mounts that come from outside --- */

static bool is_bind(const struct config_mount *m)
{
	const char *const *o = (const char *const *)m->options;

	return (m->type && strcmp(m->type, "bind") == 0) ||
	       (o && (g_strv_contains(o, "bind") || g_strv_contains(o, "rbind")));
}

/* Where a mount really is: links of the root are followed, as when it was made. g_free. */
static char *real_target(const char *rootfs, const char *destination)
{
	g_autofree char *plain = g_canonicalize_filename(destination, "/"), *link = NULL,
			*proc = NULL;
	_cleanup_close_ int root = RET_NERRNO(open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC)),
			    fd = -1;
	size_t n = strlen(rootfs);

	if (root >= 0)
		fd = path_open_in(root, plain, O_PATH, 0, 0);
	if (fd >= 0) {
		proc = g_strdup_printf("/proc/self/fd/%d", fd);
		link = g_file_read_link(proc, NULL);
	}
	return link && strncmp(link, rootfs, n) == 0 && link[n] == '/' ? g_strdup(link + n)
								       : g_steal_pointer(&plain);
}

/* The hierarchies of v1 are folders of the host's mounts. */
static void add_cgroup_mounts(
	const struct bundle_criu *x, const char *target, bool restore, GPtrArray *words)
{
	const struct cgroup_host *h = cgroup_host();

	for (unsigned i = 0; x->cgroup && h->mode != CGROUP_V2 && i < h->n_v1; i++) {
		const char *name = strrchr(h->v1[i].mount, '/');

		if (restore)
			add(words, "--external=mnt[%s%s]:%s/%s", target, name, h->v1[i].mount,
				x->cgroup);
		else
			add(words, "--external=mnt[%s%s]:%s%s", target, name, target, name);
	}
}

/* Whether the mount lies below another one of the container, whose files criu makes or that are the host's. */
static bool is_below(const struct config *c, const struct config_mount *m)
{
	for (guint i = 0; i < c->mounts->len; i++) {
		const struct config_mount *o = g_ptr_array_index(c->mounts, i);
		size_t n = strlen(o->destination);

		if (o != m && n > 1 && strncmp(m->destination, o->destination, n) == 0 &&
			(m->destination[n] == '/' || !m->destination[n]))
			return true;
	}
	return false;
}

/* criu mounts, and makes no place for it: a root that came from elsewhere has none. */
static void plan_points(const struct bundle_criu *x, struct plan *p)
{
	const struct config *c = x->config;

	for (guint i = 0; i < c->mounts->len; i++) {
		const struct config_mount *m = g_ptr_array_index(c->mounts, i);
		g_autofree char *source = NULL;
		struct stat st;
		bool file;

		if (is_below(c, m) || !*m->destination)
			continue;
		source =
			is_bind(m) && m->source ? g_canonicalize_filename(m->source, x->dir) : NULL;
		file = source && RET_NERRNO(stat(source, &st)) >= 0 && !S_ISDIR(st.st_mode);
		plan_add(p, AT_HOST, &step_mount_point, x->rootfs,
			m->destination[0] == '/' ? m->destination
						 : plan_str(p, "/%s", m->destination),
			file ? "file" : "dir");
	}
}

/* restore: the source is said, which criu binds; else the name is enough. */
static void add_mounts(const struct bundle_criu *x, bool restore, GPtrArray *words)
{
	const struct config *c = x->config;

	for (guint i = 0; i < c->mounts->len; i++) {
		const struct config_mount *m = g_ptr_array_index(c->mounts, i);
		g_autofree char *target = NULL, *source = NULL;

		target = real_target(x->rootfs, m->destination);
		if (g_strcmp0(m->type, "cgroup") == 0)
			add_cgroup_mounts(x, target, restore, words);
		if (!is_bind(m) || !m->source)
			continue;
		source = g_canonicalize_filename(m->source, x->dir);
		add(words, "--external=mnt[%s]:%s", target, restore ? source : target);
	}
	for (char **path = c->linux_.masked; path && *path; path++) {
		g_autofree char *there = g_strdup_printf("/proc/%d/root%s", (int)x->pid, *path);
		struct stat st;

		/* folders have a tmpfs over them, which is the container's */
		if (restore || (stat(there, &st) == 0 && !S_ISDIR(st.st_mode)))
			add(words, "--external=mnt[%s]:%s", *path, restore ? "/dev/null" : *path);
	}
	if (!config_namespace(c, "user"))
		return;
	/* there devices are binds */
	for (const char *const *d = bundle_default_devices; *d; d++)
		add(words, "--external=mnt[%s]:%s", *d, *d);
	for (guint i = 0; i < c->linux_.devices->len; i++) {
		const struct config_device *d = g_ptr_array_index(c->linux_.devices, i);

		add(words, "--external=mnt[%s]:%s", d->path, d->path);
	}
}

/* --- namespaces that are somebody else's --- */

static int add_namespaces(
	const struct bundle_criu *x, bool restore, GPtrArray *words, struct err *e)
{
	static const struct {
		const char *type, *word, *key;
	} known[] = { { "network", "net", EXTERNAL_NET }, { "pid", "pid", EXTERNAL_PID } };

	for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
		const struct config_namespace *n = config_namespace(x->config, known[i].type);
		struct stat st;

		if (!n || !n->path || !*n->path)
			continue;
		if (RET_NERRNO(stat(n->path, &st)) < 0)
			return err_set(
				e, -E_INVALID, "'linux.namespaces': '%s' isn't there", n->path);
		if (restore)
			add(words, "--inherit-fd=fd[%s]:%s", n->path, known[i].key);
		else
			add(words, "--external=%s[%lu]:%s", known[i].word, (unsigned long)st.st_ino,
				known[i].key);
	}
	return 0;
}

/* --- cgroups --- */

static bool is_there(const char *mount, const char *path)
{
	g_autofree char *dir = g_strdup_printf("%s/%s", mount, path);

	return access(dir, F_OK) == 0;
}

static void add_freezer(const struct bundle_criu *x, GPtrArray *words)
{
	const struct cgroup_host *h = cgroup_host();

	if (h->mode == CGROUP_V2 && is_there(h->v2, x->cgroup))
		add(words, "--freeze-cgroup=%s/%s", h->v2, x->cgroup);
	for (unsigned i = 0; i < h->n_v1; i++)
		if ((h->v1[i].controllers & CGROUP_BIT(CGROUP_FREEZER)) &&
			is_there(h->v1[i].mount, x->cgroup))
			add(words, "--freeze-cgroup=%s/%s", h->v1[i].mount, x->cgroup);
}

static void add_cgroup(const struct bundle_criu *x, bool restore, GPtrArray *words)
{
	const struct cgroup_host *h = cgroup_host();
	const char *mode = x->cgroup_mode ? x->cgroup_mode : "soft";

	if (!x->cgroup)
		mode = "ignore";
	add(words, "--manage-cgroups=%s", mode);
	if (!x->cgroup)
		return;
	if (!restore)
		add_freezer(x, words);
	if (strcmp(mode, "ignore") == 0)
		return;
	if (h->mode == CGROUP_V2)
		add(words, "--cgroup-root=/%s", x->cgroup);
	for (unsigned i = 0; h->mode != CGROUP_V2 && i < h->n_v1; i++) {
		const char *name = strrchr(h->v1[i].mount, '/');

		if (name && is_there(h->v1[i].mount, x->cgroup))
			add(words, "--cgroup-root=%s:/%s", name + 1, x->cgroup);
	}
}

/* --- the rest --- */

static void add_common(const struct bundle_criu *x, GPtrArray *words)
{
	const struct {
		bool on;
		const char *word;
	} set[] = { { x->tcp_established, "--tcp-established" },
		{ x->skip_in_flight, "--skip-in-flight" }, { x->link_remap, "--link-remap" },
		{ x->ext_unix_sk, "--ext-unix-sk" }, { x->shell_job, "--shell-job" },
		{ x->file_locks, "--file-locks" }, { x->auto_dedup, "--auto-dedup" },
		{ x->lazy_pages, "--lazy-pages" }, { x->leave_running, "--leave-running" },
		{ x->empty_net, "--empty-ns=net" } };
	const char *file = "/etc/criu/runc.conf";

	add(words, "--images-dir=%s", x->images);
	add(words, "--work-dir=%s", x->work);
	add(words, "--verbosity=4");
	add(words, "--root=%s", x->rootfs);
	for (guint i = 0; i < G_N_ELEMENTS(set); i++)
		if (set[i].on)
			add(words, "%s", set[i].word);
	for (guint i = 0; i < x->config->annotations->len; i++) {
		const struct config_pair *a = g_ptr_array_index(x->config->annotations, i);

		if (strcmp(a->key, "org.criu.config") == 0)
			file = a->value;
	}
	if (*file)
		add(words, "--config=%s", file);
}

static void add_step(const struct bundle_criu *x, const struct step_ops *op, const char *second,
	const GPtrArray *words, struct plan *p)
{
	g_autofree const char **argv = g_new0(const char *, words->len + 3);

	argv[0] = x->program;
	argv[1] = second;
	memcpy(argv + 2, words->pdata, words->len * sizeof(*argv));
	plan_addv(p, AT_HOST, 0, op, argv, words->len + 2);
}

int bundle_plan_checkpoint(const struct bundle_criu *x, struct plan *p, struct err *e)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	int r;

	plan_add(p, AT_HOST, &step_mkdirs, x->images, "700");
	if (strcmp(x->work, x->images) != 0)
		plan_add(p, AT_HOST, &step_mkdirs, x->work, "700");
	if (x->streams)
		plan_add(p, AT_HOST, &step_write, plan_str(p, "%s/descriptors.json", x->images),
			x->streams, "600");
	add(words, "--tree=%d", (int)x->pid);
	add(words, "--log-file=dump.log");
	add_common(x, words);
	r = add_namespaces(x, false, words, e);
	if (r < 0)
		return r;
	add_mounts(x, false, words);
	add_cgroup(x, false, words);
	for (char **s = x->externals; s && *s; s++)
		add(words, "--external=%s", *s);
	if (x->parent)
		add(words, "--prev-images-dir=%s", x->parent);
	if (x->parent || x->pre_dump)
		add(words, "--track-mem");
	if (x->page_server)
		add(words, "--page-server=%s", x->page_server);
	if (x->status_fd >= 0)
		add(words, "--status-fd=%d", x->status_fd);
	add_step(x, &step_criu_dump, x->pre_dump ? "pre-dump" : "dump", words, p);
	return 0;
}

int bundle_plan_restore(
	const struct bundle *b, const struct bundle_criu *x, struct plan *p, struct err *e)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	char controllers[CGROUP_PATH_MAX] = "";
	int r;

	plan_add(p, AT_HOST, &step_tree, b->state_dir, "711");
	/* criu joins the cgroup, so that it must be there before; systemd wants a process for it */
	if (b->unit)
		plan_add(p, AT_HOST, &step_holder);
	r = b->cgroup ? bundle_plan_cgroup(b, AT_HOST, controllers, p, e) : 0;
	add(words, "--log-file=restore.log");
	add(words, "--restore-sibling");
	add(words, "--evasive-devices");
	add_common(x, words);
	if (r >= 0)
		r = add_namespaces(x, true, words, e);
	if (r < 0)
		return r;
	add_mounts(x, true, words);
	add_cgroup(x, true, words);
	for (char **s = x->externals; s && *s; s++)
		add(words, "--inherit-fd=%s", *s);
	if (x->lsm_profile)
		add(words, "--lsm-profile=%s", x->lsm_profile);
	if (x->lsm_mount_context)
		add(words, "--lsm-mount-context=%s", x->lsm_mount_context);
	plan_points(x, p);
	add_step(x, &step_criu_restore, b->cgroup ? b->cgroup : "", words, p);
	if (b->config->hooks.prestart->len || b->config->hooks.create_runtime->len) {
		g_autofree char *state = bundle_state(b->config, b->id, b->dir, "creating");
		const char *kept = plan_str(p, "%s", state);

		bundle_plan_hooks(p, AT_MEET, b->config->hooks.prestart, "prestart", kept);
		bundle_plan_hooks(
			p, AT_MEET, b->config->hooks.create_runtime, "createRuntime", kept);
	}
	if (b->config->process->terminal)
		plan_add(p, AT_PARENT, &step_console_send, b->console_socket, "0", "0");
	if (b->cgroup)
		bundle_plan_device_rules(b, AT_PARENT, p);
	bundle_plan_records(b, AT_PARENT, p);
	return 0;
}
