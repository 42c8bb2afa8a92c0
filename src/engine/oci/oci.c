/* SPDX-License-Identifier: MIT */
#include "engine/oci/oci.h"

#include <fcntl.h>
#include <stdio.h>

#include "engine/common.h"
#include "host/steps.h"

static int oci_open_root(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	pid_t pid = engine_first_process(s);
	char path[64];
	int fd;

	if (!pid)
		return err_set(e, -E_STATE, "'%s' isn't running", s->name);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	fd = RET_NERRNO(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	return fd < 0 ? err_sys(e, fd, "cannot open the root of '%s'", s->name) : fd;
}

static int oci_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	return engine_launch(c, s, NULL, flags, e);
}

/* Overlay's folders, and where the root is mounted. */
static int oci_plan_create(
	struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	static const char *const folders[] = { "upper", "work", "root" };

	for (guint i = 0; i < G_N_ELEMENTS(folders); i++)
		plan_add(s->plan, AT_HOST, &step_mkdir,
			plan_str(s->plan, "%s/%s", s->dir, folders[i]), "755");
	return 0;
}

const struct engine_ops oci_engine = {
	.name = "oci",
	.plan_create = oci_plan_create,
	.plan_start = oci_plan_start,
	.start = oci_start,
	.plan_exec = oci_plan_exec,
	.pause = engine_pause,
	.update = engine_update,
	.resume = engine_resume,
	.clean = engine_clean,
	.open_root = oci_open_root,
	.stats = engine_stats,
	.pids = engine_pids,
};
