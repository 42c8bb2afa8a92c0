/* SPDX-License-Identifier: MIT */
/* The group of commands for machines that boot by themselves. */

#include <string.h>
#include "dialect/lodge/vm.h"

int vm_guest(struct cmd_call *call, const char *ref, struct guest **ret, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = guest_get(call->c, NULL, ref, &g, e);

	if (r < 0)
		return r;
	if (!g->spec->vm || !g->spec->vm->full) {
		r = err_set(e, -E_INVALID, "guest '%s' is not a machine that boots by itself",
			g->rec->name);
		err_mend(e, g->spec->vm ? "it was made from an image of layers, by run --vm"
					: "it is a container");
		return r;
	}
	*ret = g_steal_pointer(&g);
	return 0;
}

void complete_machine(struct ctx *c, const char *word, FILE *out)
{
	g_autoptr(GPtrArray) all = NULL;

	if (guest_list(c, NULL, 0, &all, NULL) < 0)
		return;
	for (guint i = 0; i < all->len; i++) {
		const struct guest *g = all->pdata[i];

		if (g_str_equal(g->rec->kind, "vm"))
			(void)fprintf(out, "%s\t%s\n", g->rec->name, guest_state_name(g->state));
	}
}

static const struct cmd *const vm_sub[] = {
	&vm_create,
	&vm_run,
	&lodge_start,
	&lodge_stop,
	&lodge_rm,
	&vm_console,
	&vm_attach_disk,
	&vm_detach_disk,
	&vm_insert,
	&vm_eject,
	&vm_attach_nic,
	&vm_detach_nic,
	&vm_set_memory,
	&vm_set_vcpus,
	&vm_snapshot,
	&vm_save,
	&vm_restore,
	&vm_reset,
	&vm_powerdown,
	&vm_wait_boot,
	&vm_qmp_command,
	&vm_agent,
	NULL,
};

const struct cmd lodge_vm = {
	CMD_FILE,
	.name = "vm",
	.brief = "machines that boot by themselves",
	.sub = vm_sub,
};
