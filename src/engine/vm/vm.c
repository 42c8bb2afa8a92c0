/* SPDX-License-Identifier: MIT */
/* The engine of virtual machines: QEMU below a monitor. */
#include "base/ctx.h"
#include "engine/common.h"
#include "engine/vm/argv.h"
#include "engine/vm/vm.h"
#include "engine/vm/full.h"
#include "host/steps.h"

/* Sparse: what of it isn't written takes no room. */
#define DISK_SIZE "68719476736"

static int vm_plan_create(
	struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	bool throwaway = s->spec->auto_remove;

	if (s->spec->vm->full)
		return vm_plan_full_create(c, s, e);
	plan_add(s->plan, AT_HOST, &step_blank_disk, plan_str(s->plan, "%s/disk", s->dir),
		DISK_SIZE, throwaway ? "1" : "",
		plan_str(s->plan, "%s/cache/blank%s.ext4", c->root, throwaway ? "-throwaway" : ""));
	return 0;
}

static int vm_plan_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	struct vm_build b;
	const char *program, *why;
	bool first;
	int r = vm_program(&program, e);

	if (r < 0)
		return r;
	vm_build_init(&b, c, s);
	b.kvm = vm_kvm_works(c, &why, &first);
	vm_arg(&b, program);
	r = s->spec->vm->full ? vm_plan_full(&b, why, e) : vm_plan_init(&b, e);
	vm_build_done(&b);
	return r;
}

static int vm_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	static const char *const init[] = { "machine=init", NULL };
	static const char *const held[] = { "machine=init", "hold=1", NULL };
	static const char *const full[] = { "machine=full", NULL };

	return engine_launch(c, s, s->spec->vm->full ? full : s->held ? held : init, flags, e);
}

const struct engine_ops vm_engine = {
	.name = "vm",
	.plan_create = vm_plan_create,
	.plan_start = vm_plan_start,
	.start = vm_start,
	.plan_exec = vm_plan_exec,
	.pause = engine_pause,
	.resume = engine_resume,
	.clean = engine_clean,
	.stats = engine_stats,
	.pids = engine_pids,
};
