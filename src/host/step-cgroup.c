/* SPDX-License-Identifier: MIT */
/* Steps on cgroups; host/cgroup.h does the work. */
#include "host/steps.h"

#include <stdio.h>
#include <string.h>

#include "host/cgroup.h"

/* What `show` writes for the folder of path that has a controller. */
static void show_dir(struct text *t, const char *path, enum cgroup_controller c, bool *ret_v2)
{
	char dir[CGROUP_DIR_MAX];

	*ret_v2 = true;
	if (cgroup_dir(cgroup_host(), path, c, dir, ret_v2) < 0)
		(void)snprintf(dir, sizeof(dir), "/sys/fs/cgroup/%s", path);
	text_add_word(t, dir);
}

/* --- cgroup-create --- */

static int create_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int code, fd;

	code = cgroup_create(s->arg[0], cgroup_controllers_parse(s->arg[1]), e);
	if (code < 0)
		return code;
	/* Undo kills what is in there, so it must be ours alone. */
	if (code > 0 && cgroup_procs(s->arg[0], &pids, &n) >= 0 && n > 0) {
		err_set(e, -E_INUSE, "processes are in the cgroup '%s' already", s->arg[0]);
		err_mend(e, "process %d is one of them", (int)pids[0]);
		return -E_INUSE;
	}
	fd = cgroup_open(s->arg[0]);
	if (fd >= 0) {
		closep(&r->cgroup_fd);
		r->cgroup_fd = fd;
	}
	return 0;
}

static int create_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_remove(s->arg[0], e);
}

static void create_show(const struct step *s, struct text *t)
{
	const struct cgroup_host *h = cgroup_host();
	unsigned bits = cgroup_controllers_parse(s->arg[1]);
	char dir[CGROUP_DIR_MAX];

	text_add(t, "mkdir -p");
	if (h->v2[0] || h->mode == CGROUP_NONE) {
		(void)snprintf(
			dir, sizeof(dir), "%s/%s", h->v2[0] ? h->v2 : "/sys/fs/cgroup", s->arg[0]);
		text_add(t, " ");
		text_add_word(t, dir);
	}
	for (unsigned i = 0; i < h->n_v1; i++)
		if (h->v1[i].controllers & bits & ~h->v2_controllers) {
			(void)snprintf(dir, sizeof(dir), "%s/%s", h->v1[i].mount, s->arg[0]);
			text_add(t, " ");
			text_add_word(t, dir);
		}
}

const struct step_ops step_cgroup_create = { .name = "cgroup-create",
	.args = "path controllers",
	.run = create_run,
	.undo = create_undo,
	.show = create_show };

/* --- cgroup-extend --- */

static int extend_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_extend(s->arg[0], cgroup_controllers_parse(s->arg[1]), e);
}

const struct step_ops step_cgroup_extend = {
	.name = "cgroup-extend", .args = "path controllers", .run = extend_run, .show = create_show
};

/* --- cgroup-set: gone with the folder --- */

static int set_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_set(s->arg[0], s->arg[1], s->arg[2], e);
}

static void set_show(const struct step *s, struct text *t)
{
	cgroup_show_set(cgroup_host(), s->arg[0], s->arg[1], s->arg[2], t);
}

const struct step_ops step_cgroup_set = {
	.name = "cgroup-set", .args = "path key value", .run = set_run, .show = set_show
};

/* --- cgroup-join --- */

static int join_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_join(s->arg[0], false, e);
}

static void join_show(const struct step *s, struct text *t)
{
	const struct cgroup_host *h = cgroup_host();
	char file[CGROUP_DIR_MAX + 16];

	if (h->n_v1 == 0) {
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.procs", h->v2, s->arg[0]);
		text_add(t, "echo 0 >");
		text_add_word(t, file);
		return;
	}
	text_add(t, "echo 0 | tee");
	for (unsigned i = 0; i < h->n_v1; i++) {
		if (h->v1[i].controllers == CGROUP_BIT(CGROUP_NAMED))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s/tasks", h->v1[i].mount, s->arg[0]);
		text_add(t, " ");
		text_add_word(t, file);
	}
}

const struct step_ops step_cgroup_join = {
	.name = "cgroup-join", .args = "path", .run = join_run, .show = join_show
};

/* --- cgroup-join-below --- */

static int below_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_join_below(
		s->arg[0], s->arg[1][0] ? cgroup_controllers_parse(s->arg[1]) : ~0U, e);
}

static void below_show(const struct step *s, struct text *t)
{
	text_addf(t, "cgexec --sticky -g %s:", s->arg[1][0] ? s->arg[1] : "'*'");
	text_add_word(t, s->arg[0]);
	text_add(t, " ...");
}

const struct step_ops step_cgroup_join_below = { .name = "cgroup-join-below",
	.args = "path controllers",
	.run = below_run,
	.show = below_show };

/* --- cgroup-devices: gone with the folder --- */

static int devices_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_free_ struct cgroup_device_rule *rules = NULL;
	size_t n = s->n - 1;
	int code = 0;

	if (n > CGROUP_DEVICE_RULES_MAX)
		return err_set(e, -E_LIMIT, "more than %d device rules", CGROUP_DEVICE_RULES_MAX);
	rules = calloc(n + 1, sizeof(*rules));
	if (!rules)
		abort();
	for (size_t i = 0; code >= 0 && i < n; i++)
		code = cgroup_device_parse(s->arg[i + 1], &rules[i], e);
	return code < 0 ? code : cgroup_device_set(s->arg[0], rules, n, e);
}

static void devices_show(const struct step *s, struct text *t)
{
	char dir[CGROUP_DIR_MAX];
	bool v2;

	if (cgroup_controllers(cgroup_host()) & CGROUP_BIT(CGROUP_DEVICES)) {
		text_add(t, "cd ");
		show_dir(t, s->arg[0], CGROUP_DEVICES, &v2);
		text_add(t, "; echo a >devices.deny");
		for (unsigned i = 1; i < s->n; i++)
			text_addf(t, "; echo '%s' >devices.%s", s->arg[i] + (s->arg[i][0] == '-'),
				s->arg[i][0] == '-' ? "deny" : "allow");
		return;
	}
	(void)snprintf(dir, sizeof(dir), "%s/%s", cgroup_host()->v2, s->arg[0]);
	text_add(t, "bpftool cgroup attach ");
	text_add_word(t, dir);
	text_add(t, " cgroup_device pinned ... multi # allows:");
	for (unsigned i = 1; i < s->n; i++)
		text_addf(t, "%s %s", i > 1 ? "," : "", s->arg[i]);
}

const struct step_ops step_cgroup_devices = {
	.name = "cgroup-devices", .args = "path ...", .run = devices_run, .show = devices_show
};

/* --- freeze, thaw --- */

static int freeze_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_freeze(s->arg[0], true, e);
}

static int thaw_run(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_freeze(s->arg[0], false, e);
}

static int freeze_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return cgroup_exists(s->arg[0]) ? cgroup_freeze(s->arg[0], false, e) : 0;
}

static void show_freezer(const struct step *s, struct text *t, bool freeze)
{
	const struct cgroup_host *h = cgroup_host();
	char file[CGROUP_DIR_MAX + 16], dir[CGROUP_DIR_MAX];
	bool v2;

	if (h->v2[0] || cgroup_dir(h, s->arg[0], CGROUP_FREEZER, dir, &v2) < 0) {
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.freeze",
			h->v2[0] ? h->v2 : "/sys/fs/cgroup", s->arg[0]);
		text_addf(t, "echo %d >", freeze);
	} else {
		(void)snprintf(file, sizeof(file), "%s/freezer.state", dir);
		text_addf(t, "echo %s >", freeze ? "FROZEN" : "THAWED");
	}
	text_add_word(t, file);
}

static void freeze_show(const struct step *s, struct text *t)
{
	show_freezer(s, t, true);
}

static void thaw_show(const struct step *s, struct text *t)
{
	show_freezer(s, t, false);
}

const struct step_ops step_freeze = { .name = "freeze",
	.args = "path",
	.run = freeze_run,
	.undo = freeze_undo,
	.show = freeze_show };
const struct step_ops step_thaw = {
	.name = "thaw", .args = "path", .run = thaw_run, .show = thaw_show
};
