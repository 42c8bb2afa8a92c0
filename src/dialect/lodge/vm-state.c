/* SPDX-License-Identifier: MIT */
/* States of a machine: vm snapshot ..., save, restore, reset, powerdown, wait-boot. */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/vm.h"
#include "guest/machine.h"

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

struct snapshot_args {
	bool external;
};

static const struct opt snapshot_opts[] = { OPT_FLAG(0, "external", struct snapshot_args, external,
						    "new files over the disks, without memory"),
	OPT_END };

static int snapshot_create_run(struct cmd_call *call, struct err *e)
{
	const struct snapshot_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_snapshot_create(call->c, g, call->operands[1], a->external, e);
}

static const struct cmd snapshot_create = {
	CMD_FILE,
	.name = "create",
	.run = snapshot_create_run,
	.opts = snapshot_opts,
	.args_size = sizeof(struct snapshot_args),
	.brief = "keep the state of a machine",
	.synopsis = "[OPTIONS] GUEST NAME",
	.details = "Of all disks that can be written, which must be qcow2, and of a running "
		   "machine's memory.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

struct list_args {
	char *format;
};

static const struct opt list_opts[] = { OPT_STRING(0, "format", struct list_args, format, "FORMAT",
						complete_none, "table, json, or a template"),
	OPT_END };

static const struct tab_column list_columns[] = {
	{ "NAME", "Name" },
	{ "KIND", "Kind" },
	{ "CREATED", "Created" },
	{ "MEMORY", "Memory" },
	{ "DISKS", "Disks" },
	{ NULL, NULL },
};

static json_t *row_of(const json_t *s)
{
	int64_t created = json_integer_value(json_object_get(s, "created"));
	int64_t memory = json_integer_value(json_object_get(s, "memory"));
	g_autofree char *when = units_show_time(created),
			*size = memory ? units_show_size(memory) : g_strdup("-");
	g_autoptr(GString) disks = g_string_new(NULL);
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(s, "disks"), i, v)
		g_string_append_printf(disks, "%s%s", i ? "," : "", json_string_value(v));
	return json_pack("{s:O, s:O, s:s, s:s, s:s}", "Name", json_object_get(s, "name"), "Kind",
		json_object_get(s, "kind"), "Created", when, "Memory", size, "Disks", disks->str);
}

static int snapshot_list_run(struct cmd_call *call, struct err *e)
{
	const struct list_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	json_t *list = NULL, *rows, *v;
	size_t i;
	int r = vm_guest(call, call->operands[0], &g, e);

	if (r >= 0)
		r = machine_snapshot_list(call->c, g, &list, e);
	if (r < 0)
		return r;
	rows = json_array();
	json_array_foreach(list, i, v)
		json_array_append_new(rows, row_of(v));
	json_decref(list);
	return print_rows(list_columns, rows, false, "Name", a->format, e);
}

static const struct cmd snapshot_list = {
	CMD_FILE,
	.name = "list",
	.run = snapshot_list_run,
	.opts = list_opts,
	.args_size = sizeof(struct list_args),
	.brief = "the snapshots of a machine",
	.synopsis = "[OPTIONS] GUEST",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_machine,
	.aliases = "ls",
};

static int snapshot_revert_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_snapshot_revert(call->c, g, call->operands[1], e);
}

static const struct cmd snapshot_revert = {
	CMD_FILE,
	.name = "revert",
	.run = snapshot_revert_run,
	.brief = "put a machine back to where it was",
	.synopsis = "GUEST NAME",
	.details = "A running machine goes on where it was then; of a stopped one the disks are as "
		   "they were. What was "
		   "written since is gone.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

static int snapshot_delete_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_snapshot_delete(call->c, g, call->operands[1], e);
}

static const struct cmd snapshot_delete = {
	CMD_FILE,
	.name = "delete",
	.run = snapshot_delete_run,
	.brief = "forget a snapshot",
	.synopsis = "GUEST NAME",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
	.aliases = "rm",
};

static const struct cmd *const snapshot_sub[] = { &snapshot_create, &snapshot_list,
	&snapshot_revert, &snapshot_delete, NULL };

const struct cmd vm_snapshot = {
	CMD_FILE,
	.name = "snapshot",
	.brief = "states of a machine that are kept",
	.sub = snapshot_sub,
};

/* --- save, restore ------------------------------------------------------------------------------------------------------ */

static char *absolute(const char *path)
{
	g_autofree char *cwd = g_get_current_dir();

	return g_canonicalize_filename(path, cwd);
}

static int save_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *path = absolute(call->operands[1]);
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_save(call->c, g, path, e);
}

const struct cmd vm_save = {
	CMD_FILE,
	.name = "save",
	.run = save_run,
	.brief = "write a running machine's state to a file and end it",
	.synopsis = "GUEST FILE",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

static int restore_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *path = absolute(call->operands[1]);
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_restore(call->c, g, path, e);
}

const struct cmd vm_restore = {
	CMD_FILE,
	.name = "restore",
	.run = restore_run,
	.brief = "start a machine where it was saved",
	.synopsis = "GUEST FILE",
	.details = "Its disks must be as they were when it was saved. The restart policy is left "
		   "out until the next "
		   "start.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

/* --- buttons --------------------------------------------------------------------------------------------------------------- */

static int each_machine(
	struct cmd_call *call, int (*press)(struct ctx *c, struct guest *g, struct err *e))
{
	int status = 0;

	for (int i = 0; i < call->n_operands; i++) {
		_cleanup_(guest_freep) struct guest *g = NULL;
		struct err one = { 0 };
		int r = vm_guest(call, call->operands[i], &g, &one);

		if (r >= 0)
			r = press(call->c, g, &one);
		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			printf("%s\n", call->operands[i]);
	}
	return status;
}

static int reset_run(struct cmd_call *call, struct err *e)
{
	return each_machine(call, machine_reset);
}

const struct cmd vm_reset = {
	CMD_FILE,
	.name = "reset",
	.run = reset_run,
	.brief = "press the reset button of machines",
	.synopsis = "GUEST...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_machine,
};

static int powerdown_run(struct cmd_call *call, struct err *e)
{
	return each_machine(call, machine_powerdown);
}

const struct cmd vm_powerdown = {
	CMD_FILE,
	.name = "powerdown",
	.run = powerdown_run,
	.brief = "press the power button of machines, and don't wait",
	.synopsis = "GUEST...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_machine,
};

/* --- the first boot ------------------------------------------------------------------------------------------------------------ */

struct wait_args {
	int64_t timeout;
	char *format;
};

static const struct opt wait_opts[] = { OPT_INT('t', "timeout", struct wait_args, timeout,
						"SECONDS", "wait no longer"),
	OPT_STRING('f', "format", struct wait_args, format, "FORMAT", complete_none,
		"json, or a template"),
	OPT_END };

static void wait_defaults(void *args)
{
	((struct wait_args *)args)->timeout = 600;
}

static int wait_boot_run(struct cmd_call *call, struct err *e)
{
	const struct wait_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	json_t *result = NULL, *all = json_array();
	bool ok;
	int r = vm_guest(call, call->operands[0], &g, e);

	if (r >= 0 && (a->timeout < 1 || a->timeout > 86400))
		r = err_set(e, -E_USAGE, "invalid timeout: 1 to 86400 seconds");
	if (r >= 0)
		r = machine_boot_result(call->c, g, (int)a->timeout, &result, e);
	if (r < 0) {
		json_decref(all);
		return r;
	}
	ok = g_strcmp0(json_string_value(json_object_get(result, "Status")), "error") != 0;
	json_array_append_new(all, result);
	r = print_objects(all, a->format, e);
	return r < 0 ? r : ok ? 0 : 1;
}

const struct cmd vm_wait_boot = {
	CMD_FILE,
	.name = "wait-boot",
	.run = wait_boot_run,
	.opts = wait_opts,
	.args_size = sizeof(struct wait_args),
	.defaults = wait_defaults,
	.brief = "wait until a machine's cloud-init tells how its boot went",
	.synopsis = "[OPTIONS] GUEST",
	.details = "Of machines that were made with a seed. The exit status is 1 when cloud-init "
		   "tells an error.",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_machine,
};
