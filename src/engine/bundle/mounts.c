/* SPDX-License-Identifier: MIT */
/* config.json's mounts, devices and the folders of the kernel, as steps. config.md, "Mounts". */
#include "engine/bundle/bundle-priv.h"

#include <string.h>

#include "host/cgroup.h"
#include "host/mountflags.h"
#include "host/proc.h"
#include "host/steps.h"

/* config-linux.md, "Default Devices" */
static const struct {
	const char *path, *major, *minor;
} default_device[] = {
	{ "/dev/null", "1", "3" },
	{ "/dev/zero", "1", "5" },
	{ "/dev/full", "1", "7" },
	{ "/dev/random", "1", "8" },
	{ "/dev/urandom", "1", "9" },
	{ "/dev/tty", "5", "0" },
};

const char *const bundle_default_devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
	"/dev/urandom", "/dev/tty", NULL };
G_STATIC_ASSERT(G_N_ELEMENTS(bundle_default_devices) == G_N_ELEMENTS(default_device) + 1);

struct mounts {
	const struct bundle *b;
	const char *root, *controllers;
	struct plan *p;
	struct err *e;
	bool user_ns, cgroup_ns;
	unsigned slots; /* mounts with ids of their own so far */
};

static bool has_word(char **words, const char *word)
{
	return words && g_strv_contains((const char *const *)words, word);
}

static bool is_bind(const struct config_mount *m)
{
	return (m->type && strcmp(m->type, "bind") == 0) || has_word(m->options, "bind") ||
	       has_word(m->options, "rbind");
}

/* --- one mount --- */

static bool is_flag(const char *word)
{
	const char *known;

	for (unsigned i = 0; (known = mount_word(i)) != NULL; i++)
		if (strcmp(known, word) == 0)
			return true;
	return false;
}

/* Options as flags of mount(2), and the rest, which is the file system's. */
static void split(char **options, GString *flags, GString *data)
{
	for (char **o = options; o && *o; o++) {
		GString *to = is_flag(*o) ? flags : data;

		if (strcmp(*o, "idmap") == 0 || strcmp(*o, "ridmap") == 0)
			continue;
		g_string_append_printf(to, "%s%s", to->len ? "," : "", *o);
	}
}

static int maps_of(const struct mounts *x, const struct config_mount *m, const char *where,
	const char **ret_uid, const char **ret_gid)
{
	const struct config_linux *l = &x->b->config->linux_;

	if (m->uid_map->len && m->gid_map->len) {
		*ret_uid = bundle_map_text(x->p, m->uid_map);
		*ret_gid = bundle_map_text(x->p, m->gid_map);
	} else if (m->uid_map->len || m->gid_map->len) {
		return err_set(x->e, -E_INVALID, "'%s' has only one of uidMappings and gidMappings",
			where);
	} else if (x->user_ns) {
		*ret_uid = bundle_map_text(x->p, l->uid_map);
		*ret_gid = bundle_map_text(x->p, l->gid_map);
	} else
		return err_set(x->e, -E_INVALID,
			"'%s.options' has 'idmap', but neither the mount nor the container has "
			"mappings",
			where);
	return 0;
}

static bool is_mapped(const struct config_mount *m)
{
	return is_bind(m) && (has_word(m->options, "idmap") || has_word(m->options, "ridmap") ||
				     m->uid_map->len || m->gid_map->len);
}

static const char *source_of(const struct mounts *x, const struct config_mount *m)
{
	return m->source[0] == '/' ? m->source : plan_str(x->p, "%s/%s", x->b->dir, m->source);
}

/* The mapped copy is made on the host, by who may, before the namespaces are. */
static int plan_source(struct mounts *x, const struct config_mount *m, const char *where)
{
	g_autoptr(GString) flags = g_string_new(NULL), data = g_string_new(NULL);
	const char *uid = "", *gid = "";
	int r;

	if (x->b->rootless)
		return err_set(x->e, -E_UNSUPPORTED, "'%s': id-mapped mounts need root", where);
	if (!m->source || !*m->source)
		return err_set(
			x->e, -E_INVALID, "'%s.source' must be there for a bind mount", where);
	r = maps_of(x, m, where, &uid, &gid);
	if (r < 0)
		return r;
	split(m->options, flags, data);
	plan_add(x->p, AT_HOST, &step_mapped_source, plan_str(x->p, "%u", x->slots++),
		source_of(x, m), flags->str, uid, gid, has_word(m->options, "ridmap") ? "1" : "");
	return 0;
}

static int plan_bind(
	struct mounts *x, const struct config_mount *m, const char *where, const char *flags)
{
	if (!m->source || !*m->source)
		return err_set(
			x->e, -E_INVALID, "'%s.source' must be there for a bind mount", where);
	if (is_mapped(m))
		plan_add(x->p, AT_CHILD, &step_bind_mapped, x->root,
			plan_str(x->p, "%u", x->slots++), m->destination, source_of(x, m), "auto");
	else
		plan_add(x->p, AT_CHILD, &step_bind, x->root, source_of(x, m), m->destination,
			flags, "auto");
	return 0;
}

static void cgroup_v1(struct mounts *x, const char *flags, const char *target, bool ro)
{
	const struct cgroup_host *h = cgroup_host();
	unsigned ours = cgroup_controllers_parse(x->controllers);

	plan_add(x->p, AT_CHILD, &step_mount_in, x->root, "tmpfs", target, "tmpfs",
		"nosuid,nodev,noexec", "mode=755,size=64k");
	for (unsigned i = 0; i < h->n_v1; i++) {
		const char *name = strrchr(h->v1[i].mount, '/');
		const char *at = plan_str(x->p, "%s%s", target, name ? name : "");
		g_auto(GStrv) each = name ? g_strsplit(name + 1, ",", -1) : NULL;

		if (!(h->v1[i].controllers & ours) || !name)
			continue;
		if (x->cgroup_ns)
			plan_add(x->p, AT_CHILD, &step_mount_in, x->root, "cgroup", at, "cgroup",
				flags,
				strcmp(name, "/systemd") == 0 ? "none,name=systemd" : name + 1);
		else
			plan_add(x->p, AT_CHILD, &step_bind, x->root,
				plan_str(x->p, "%s/%s", h->v1[i].mount, x->b->cgroup), at,
				plan_str(x->p, "bind,rprivate,%s", flags), "dir");
		for (char **n = each; n[0] && each[1]; n++)
			plan_add(x->p, AT_CHILD, &step_link_in, x->root, name + 1,
				plan_str(x->p, "%s/%s", target, *n));
	}
	/* last, since the folders had to be made in it */
	if (ro)
		plan_add(x->p, AT_CHILD, &step_mount_in, x->root, "tmpfs", target, "tmpfs",
			"remount,bind,ro,nosuid,nodev,noexec", "");
}

static void plan_cgroup(struct mounts *x, const char *flags, const char *target, bool ro)
{
	const struct cgroup_host *h = cgroup_host();

	if (h->mode == CGROUP_NONE || !x->b->cgroup)
		return;
	if (h->mode != CGROUP_V2)
		cgroup_v1(x, flags, target, ro);
	else if (x->cgroup_ns)
		plan_add(x->p, AT_CHILD, &step_mount_in, x->root, "cgroup", target, "cgroup2",
			flags, "");
	else
		plan_add(x->p, AT_CHILD, &step_bind, x->root,
			plan_str(x->p, "%s/%s", h->v2, x->b->cgroup), target,
			plan_str(x->p, "bind,rprivate,%s", flags), "dir");
}

static int plan_one(struct mounts *x, const struct config_mount *m, guint i)
{
	const char *where = plan_str(x->p, "mounts[%u]", i), *type = m->type;
	const char *label = x->b->config->linux_.mount_label;
	g_autoptr(GString) flags = g_string_new(NULL), data = g_string_new(NULL);
	const char *target = m->destination;

	if (!*target)
		return err_set(x->e, -E_INVALID, "'%s.destination' must not be empty", where);
	if (target[0] != '/') /* deprecated, and still what old engines write */
		target = plan_str(x->p, "/%s", target);
	split(m->options, flags, data);
	if (is_bind(m))
		return plan_bind(x, m, where, flags->str);
	if (!type || !*type)
		return err_set(x->e, -E_INVALID, "'%s.type' must be there", where);
	if (strcmp(type, "cgroup") == 0) {
		plan_cgroup(x, flags->str, target, has_word(m->options, "ro"));
		return 0;
	}
	if (label && *label && strcmp(type, "proc") != 0 && strcmp(type, "sysfs") != 0)
		g_string_append_printf(data, "%scontext=\"%s\"", data->len ? "," : "", label);
	plan_add(x->p, AT_CHILD, &step_mount_in, x->root, m->source ? m->source : type, target,
		type, flags->str, data->str);
	return 0;
}

/* --- devices --- */

/* A user namespace may not make devices: the host's are bound. */
static void add_device(struct mounts *x, const char *path, const char *type, const char *major,
	const char *minor, const char *mode, const char *uid, const char *gid)
{
	if (x->user_ns)
		plan_add(x->p, AT_CHILD, &step_bind, x->root, path, path, "bind,rprivate", "file");
	else
		plan_add(x->p, AT_CHILD, &step_device, x->root, path, type, major, minor, mode, uid,
			gid);
}

static bool is_given(const struct config *c, const char *path)
{
	for (guint i = 0; i < c->linux_.devices->len; i++) {
		const struct config_device *d = g_ptr_array_index(c->linux_.devices, i);

		if (strcmp(d->path, path) == 0)
			return true;
	}
	return false;
}

static void plan_devices(struct mounts *x)
{
	const struct config *c = x->b->config;

	for (guint i = 0; i < G_N_ELEMENTS(default_device); i++)
		if (!is_given(c, default_device[i].path))
			add_device(x, default_device[i].path, "c", default_device[i].major,
				default_device[i].minor, "666", "0", "0");
	for (guint i = 0; i < c->linux_.devices->len; i++) {
		const struct config_device *d = g_ptr_array_index(c->linux_.devices, i);

		if (strcmp(d->path, "/dev/ptmx") == 0)
			continue; /* it is always the one of the container's devpts */
		add_device(x, d->path, d->type[0] == 'u' ? "c" : d->type,
			plan_str(x->p, "%" G_GINT64_FORMAT, d->major),
			plan_str(x->p, "%" G_GINT64_FORMAT, d->minor),
			plan_str(x->p, "%o",
				d->mode == CONFIG_NONE ? 0666 : (unsigned)d->mode & 07777),
			plan_str(x->p, "%" G_GINT64_FORMAT, d->uid == CONFIG_NONE ? 0 : d->uid),
			plan_str(x->p, "%" G_GINT64_FORMAT, d->gid == CONFIG_NONE ? 0 : d->gid));
	}
	plan_add(x->p, AT_CHILD, &step_dev_links, x->root);
}

/* A /dev that is bound from elsewhere has its own. */
static bool wants_devices(const struct config *c)
{
	for (guint i = 0; i < c->mounts->len; i++) {
		const struct config_mount *m = g_ptr_array_index(c->mounts, i);
		g_autofree char *path = g_canonicalize_filename(m->destination, "/");

		if (strcmp(path, "/dev") == 0 && is_bind(m))
			return false;
	}
	return true;
}

static struct mounts mounts_of(
	const struct bundle *b, const char *controllers, struct plan *p, struct err *e)
{
	return (struct mounts){ .b = b,
		.root = b->rootfs,
		.controllers = controllers,
		.p = p,
		.e = e,
		.user_ns = config_namespace(b->config, "user") != NULL,
		.cgroup_ns = config_namespace(b->config, "cgroup") != NULL };
}

int bundle_plan_sources(const struct bundle *b, struct plan *p, struct err *e)
{
	struct mounts x = mounts_of(b, "", p, e);
	int r = 0;

	for (guint i = 0; r >= 0 && i < b->config->mounts->len; i++) {
		const struct config_mount *m = g_ptr_array_index(b->config->mounts, i);

		if (is_mapped(m))
			r = plan_source(&x, m, plan_str(p, "mounts[%u]", i));
	}
	return r;
}

int bundle_plan_mounts(
	const struct bundle *b, const char *controllers, struct plan *p, struct err *e)
{
	const struct config *c = b->config;
	struct mounts x = mounts_of(b, controllers, p, e);

	if (c->linux_.mount_label && *c->linux_.mount_label && !(lsm_enabled() & LSM_SELINUX))
		return err_set(e, -E_UNSUPPORTED,
			"'linux.mountLabel': selinux label is specified in config, but selinux is "
			"disabled or not supported");
	for (guint i = 0; i < c->mounts->len; i++) {
		int r = plan_one(&x, g_ptr_array_index(c->mounts, i), i);

		if (r < 0)
			return r;
	}
	if (wants_devices(c))
		plan_devices(&x);
	return 0;
}

int bundle_propagation(const struct config *c, const char **ret, struct err *e)
{
	static const char *const known[] = { "private", "rprivate", "slave", "rslave", "shared",
		"rshared", "unbindable", "runbindable", NULL };
	const char *word = c->linux_.rootfs_propagation;

	*ret = word && *word ? word : NULL;
	if (*ret && !g_strv_contains(known, word))
		return err_set(e, -E_INVALID,
			"'linux.rootfsPropagation' is '%s', which is no propagation", word);
	return 0;
}
