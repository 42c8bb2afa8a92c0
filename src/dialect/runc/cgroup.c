/* SPDX-License-Identifier: MIT */
/* linux.cgroupsPath: a path below the mounts, or a scope of systemd's as "slice:prefix:name". */
#include "dialect/runc/runc.h"

#include <string.h>

#include "host/cgroup.h"
#include "host/systemd.h"

void cgroup_place_done(struct cgroup_place *p)
{
	g_free(p->path);
	g_free(p->unit);
	g_free(p->slice);
}

/* docs/systemd.md of runc, "systemd unit name and placement" */
static int name_unit(const struct runc *r, const char *path, const char *id, struct cgroup_place *p,
	struct err *e)
{
	g_autofree char *whole =
		path && *path ? g_strdup(path) : g_strdup_printf(":%s:%s", r->name, id);
	g_auto(GStrv) part = g_strsplit(whole, ":", -1);
	bool user = r->is_rootless && cgroup_host()->mode == CGROUP_V2;

	if (g_strv_length(part) != 3)
		return err_set(e, -E_INVALID,
			"expected cgroupsPath to be of format \"slice:prefix:name\" for systemd "
			"cgroups, got \"%s\" instead",
			whole);
	if (!*part[2] || strchr(part[1], '/') || strchr(part[2], '/'))
		return err_set(e, -E_INVALID, "'linux.cgroupsPath': bad unit name in '%s'", whole);
	if (g_str_has_suffix(part[2], ".slice"))
		return err_set(e, -E_UNSUPPORTED,
			"'linux.cgroupsPath' names the slice '%s', which holds no processes",
			part[2]);
	p->unit = *part[1] ? g_strdup_printf("%s-%s.scope", part[1], part[2])
			   : g_strdup_printf("%s.scope", part[2]);
	p->slice = !*part[0]		       ? g_strdup(user ? "user.slice" : "system.slice")
		   : strcmp(part[0], "-") == 0 ? g_strdup("-.slice")
					       : g_strdup(part[0]);
	return 0;
}

static int systemd_place(struct runc *r, const struct config *c, const char *id,
	struct cgroup_place *p, struct err *e)
{
	struct systemd_facts facts;
	char slice[CGROUP_PATH_MAX];
	int code;

	if (!systemd_is_there(r->is_rootless))
		return err_set(e, -E_UNSUPPORTED,
			"systemd cgroup flag passed, but systemd support for managing cgroups is "
			"not available");
	code = name_unit(r, c->linux_.cgroups_path, id, p, e);
	if (code < 0)
		return code;
	if (systemd_slice_path(p->slice, slice, sizeof(slice)) < 0)
		return err_set(
			e, -E_INVALID, "'linux.cgroupsPath': invalid slice name '%s'", p->slice);
	code = systemd_facts(r->is_rootless, &facts, e);
	if (code < 0)
		return code;
	p->manager = r->is_rootless ? "user" : "system";
	p->version = facts.version;
	p->path = g_strdup_printf("%s%s%s%s%s", facts.cgroup + (facts.cgroup[0] == '/'),
		facts.cgroup[0] ? "/" : "", slice, *slice ? "/" : "", p->unit);
	return cgroup_path_ok(p->path)
		       ? 0
		       : err_set(e, -E_INVALID, "'linux.cgroupsPath': bad path '%s'", p->path);
}

/* --- a user's own --- */

/* A path beside the cgroup that this process is in: that one holds processes, so it can't have controllers for others.
 * NULL: without a v2 tree. */
static char *beside_own(const char *name)
{
	char own[CGROUP_PATH_MAX];
	char *slash;

	if (cgroup_host()->mode != CGROUP_V2 || cgroup_own(own) < 0)
		return NULL;
	slash = strrchr(own, '/');
	*(slash ? slash : own) = '\0';
	return g_strdup_printf("%s%s%s", own, *own ? "/" : "", name);
}

/* The part of the cgroups that this user was given, where there is one. None is no failure while nobody asks for a
 * limit or names a cgroup: limits that have no effect are worse than no container. */
static int user_place(
	const struct config *c, const char *name, struct cgroup_place *ret, struct err *e)
{
	const char *path = c->linux_.cgroups_path;
	g_autoptr(GPtrArray) limits = bundle_limits(&c->linux_.resources);
	g_autofree const char **keys = g_new0(const char *, limits->len + 1);
	g_autofree char *beside = path && path[0] == '/' ? NULL : beside_own(name);
	char list[CGROUP_PATH_MAX];
	unsigned controllers;

	for (guint i = 0; i < limits->len; i++)
		keys[i] = ((const struct config_pair *)g_ptr_array_index(limits, i))->key;
	cgroup_controllers_for(cgroup_host(), keys, limits->len, list);
	controllers = cgroup_controllers_parse(list);
	if (beside && cgroup_is_delegated(beside, controllers))
		ret->path = g_steal_pointer(&beside);
	else if (cgroup_is_delegated(name, controllers))
		ret->path = g_strdup(name);
	if (ret->path || (limits->len == 0 && !(path && *path)))
		return 0;
	err_set(e, -EACCES,
		path && *path ? "'linux.cgroupsPath': no permission to make the cgroup '%s'"
			      : "rootless needs no limits + no cgrouppath when no permission is "
				"granted for cgroups: '%s'",
		name);
	return err_mend(e, "delegate a part of the cgroups to this user, or use --systemd-cgroup");
}

int cgroup_place_of(struct runc *r, const struct config *c, const char *id,
	struct cgroup_place *ret, struct err *e)
{
	const char *path = c->linux_.cgroups_path;
	g_autofree char *clean = NULL;

	if (cgroup_host()->mode == CGROUP_NONE ||
		(r->cgroup_manager && strcmp(r->cgroup_manager, "disabled") == 0))
		return 0;
	if (r->systemd_cgroup)
		return systemd_place(r, c, id, ret, e);
	/* below the mounts whether it begins with '/' or not */
	clean = g_canonicalize_filename(path && *path ? path : id, "/");
	if (!cgroup_path_ok(clean + 1))
		return err_set(
			e, -E_INVALID, "'linux.cgroupsPath': bad path '%s'", path ? path : id);
	if (r->is_rootless)
		return user_place(c, clean + 1, ret, e);
	ret->path = g_strdup(clean + 1);
	return 0;
}
