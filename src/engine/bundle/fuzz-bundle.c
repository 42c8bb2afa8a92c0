/* SPDX-License-Identifier: MIT */
/* config.json of anybody, and the plan that is made of it. */
#include <stdint.h>

#include "engine/bundle/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(config_freep) struct config *c = NULL;
	_cleanup_(config_process_freep) struct config_process *process = NULL;
	_cleanup_(config_resources_freep) struct config_resources *resources = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct err e = { 0 };

	(void)config_process_read((const char *)data, size, &process, &e);
	if (config_resources_read((const char *)data, size, &resources, &e) >= 0) {
		g_autoptr(GPtrArray) limits = bundle_limits(resources);

		(void)limits;
	}
	if (config_read((const char *)data, size, &c, &e) >= 0) {
		struct bundle b = { .config = c,
			.id = "id",
			.dir = "/bundle",
			.rootfs = "/root",
			.state_dir = "/state",
			.cgroup = "id",
			.state = "{}",
			.fifo = "/state/exec.fifo",
			.console_socket = "" };

		(void)bundle_plan_create(&b, p, &e);
	}
	return 0;
}
