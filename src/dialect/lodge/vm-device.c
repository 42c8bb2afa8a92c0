/* SPDX-License-Identifier: MIT */
/* Devices of a machine: vm attach-disk, detach-disk, attach-nic, detach-nic, insert, eject, set-memory, set-vcpus. */

#include <string.h>
#include <sys/socket.h>
#include "base/units.h"
#include "dialect/parse/parse.h"
#include "dialect/lodge/vm.h"
#include "guest/machine.h"

/* --- disks -------------------------------------------------------------------------------------------------------- */

static void free_vm(struct spec_vm **vm)
{
	spec_vm_free(*vm);
}

static int attach_disk_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(free_vm) struct spec_vm *vm = spec_vm_new();
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *cwd = g_get_current_dir();
	struct spec_disk *d;
	int r;

	r = parse_disk(call->operands[1], cwd, DISK_DISK, vm, &d, e);
	if (r >= 0)
		r = vm_guest(call, call->operands[0], &g, e);
	if (r >= 0)
		r = machine_attach_disk(call->c, g, d, notes, e);
	for (guint i = 0; r >= 0 && i < notes->len; i++)
		(void)fprintf(stderr, "lodge: %s\n", (const char *)notes->pdata[i]);
	if (r >= 0 && !call->c->explain) {
		const GPtrArray *all = g->spec->vm->disks;

		printf("%s\n", ((const struct spec_disk *)all->pdata[all->len - 1])->id);
	}
	return r;
}

const struct cmd vm_attach_disk = {
	CMD_FILE,
	.name = "attach-disk",
	.run = attach_disk_run,
	.brief = "give a machine another disk, also while it runs",
	.synopsis = "GUEST FILE|KEY=VALUE,...",
	.details = "The words are those of vm create --disk. The disk's id is printed.",
	.examples = "lodge vm attach-disk box file=data.raw,format=raw,serial=data\n"
		    "lodge vm attach-disk box size=10G   # a new one of its own\n",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

struct detach_disk_args {
	bool remove;
};

static const struct opt detach_disk_opts[] = { OPT_FLAG(0, "remove", struct detach_disk_args,
						       remove,
						       "remove the file of a disk of its own"),
	OPT_END };

static int detach_disk_run(struct cmd_call *call, struct err *e)
{
	const struct detach_disk_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_detach_disk(call->c, g, call->operands[1], a->remove, e);
}

const struct cmd vm_detach_disk = {
	CMD_FILE,
	.name = "detach-disk",
	.run = detach_disk_run,
	.opts = detach_disk_opts,
	.args_size = sizeof(struct detach_disk_args),
	.brief = "take a disk out of a machine, also while it runs",
	.synopsis = "[OPTIONS] GUEST DISK",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

/* --- media ---------------------------------------------------------------------------------------------------------- */

struct medium_args {
	char *drive;
	bool force;
};

static const struct opt medium_opts[] = { OPT_STRING(0, "drive", struct medium_args, drive, "DISK",
						  complete_none, "which, where it has several"),
	OPT_FLAG('f', "force", struct medium_args, force, "also when the guest holds the CD"),
	OPT_END };

static int insert_run(struct cmd_call *call, struct err *e)
{
	const struct medium_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *cwd = g_get_current_dir(),
			*path = g_canonicalize_filename(call->operands[1], cwd);
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_change_medium(call->c, g, a->drive, path, a->force, e);
}

const struct cmd vm_insert = {
	CMD_FILE,
	.name = "insert",
	.run = insert_run,
	.opts = medium_opts,
	.args_size = sizeof(struct medium_args),
	.brief = "put another CD into a machine's drive",
	.synopsis = "[OPTIONS] GUEST FILE",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

static int eject_run(struct cmd_call *call, struct err *e)
{
	const struct medium_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_change_medium(call->c, g, a->drive, NULL, a->force, e);
}

const struct cmd vm_eject = {
	CMD_FILE,
	.name = "eject",
	.run = eject_run,
	.opts = medium_opts,
	.args_size = sizeof(struct medium_args),
	.brief = "take the CD out of a machine's drive",
	.synopsis = "[OPTIONS] GUEST",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_machine,
};

/* --- network cards ------------------------------------------------------------------------------------------------------ */

struct attach_nic_args {
	char *ip, *ip6, *mac;
	char **alias;
};

static const struct opt attach_nic_opts[] = { OPT_STRING(0, "ip", struct attach_nic_args, ip,
						      "ADDRESS", complete_none, "IPv4 address"),
	OPT_STRING(0, "ip6", struct attach_nic_args, ip6, "ADDRESS", complete_none, "IPv6 address"),
	OPT_STRING(0, "mac-address", struct attach_nic_args, mac, "ADDRESS", complete_none,
		"Ethernet address"),
	OPT_LIST(0, "network-alias", struct attach_nic_args, alias, "NAME", complete_none,
		"further name in the network"),
	OPT_END };

static int attach_nic_run(struct cmd_call *call, struct err *e)
{
	const struct attach_nic_args *a = call->args;
	struct spec_attach wanted = { .network = call->operands[1],
		.address = a->ip,
		.address6 = a->ip6,
		.mac = a->mac,
		.aliases = a->alias };
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r;

	if (a->ip && !parse_is_ip(a->ip, AF_INET))
		return err_set(e, -E_USAGE, "invalid IPv4 address '%s'", a->ip);
	if (a->ip6 && !parse_is_ip(a->ip6, AF_INET6))
		return err_set(e, -E_USAGE, "invalid IPv6 address '%s'", a->ip6);
	if (a->mac && !parse_is_mac(a->mac))
		return err_set(e, -E_USAGE, "invalid MAC address '%s'", a->mac);
	r = vm_guest(call, call->operands[0], &g, e);
	if (r >= 0)
		r = machine_attach_nic(call->c, g, &wanted, e);
	if (r >= 0 && !call->c->explain) {
		const GPtrArray *all = g->spec->networks;

		printf("%s\n", ((const struct spec_attach *)all->pdata[all->len - 1])->mac);
	}
	return r;
}

const struct cmd vm_attach_nic = {
	CMD_FILE,
	.name = "attach-nic",
	.run = attach_nic_run,
	.opts = attach_nic_opts,
	.args_size = sizeof(struct attach_nic_args),
	.brief = "give a machine a card in a network, also while it runs",
	.synopsis = "[OPTIONS] GUEST NETWORK",
	.details = "The card's Ethernet address is printed.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

static int detach_nic_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = vm_guest(call, call->operands[0], &g, e);

	return r < 0 ? r : machine_detach_nic(call->c, g, call->operands[1], e);
}

const struct cmd vm_detach_nic = {
	CMD_FILE,
	.name = "detach-nic",
	.run = detach_nic_run,
	.brief = "take a network card out of a machine, also while it runs",
	.synopsis = "GUEST NETWORK|ADDRESS",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

/* --- memory, processors --------------------------------------------------------------------------------------------------- */

static int set_memory_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int64_t bytes;
	int r;

	if (units_parse_size(call->operands[1], &bytes) < 0)
		return err_set(e, -E_USAGE, "invalid size '%s'", call->operands[1]);
	r = vm_guest(call, call->operands[0], &g, e);
	return r < 0 ? r : machine_set_memory(call->c, g, bytes, e);
}

const struct cmd vm_set_memory = {
	CMD_FILE,
	.name = "set-memory",
	.run = set_memory_run,
	.brief = "take memory from a machine with its balloon, or give it back",
	.synopsis = "GUEST BYTES",
	.details = "At most what it was made with. The guest's system gives memory away as fast as "
		   "it can.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};

static int set_vcpus_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	int64_t n;
	int r;

	if (units_parse_int(call->operands[1], 1, SPEC_VM_VCPUS_MAX, &n) < 0)
		return err_set(e, -E_USAGE, "invalid number of processors '%s'", call->operands[1]);
	r = vm_guest(call, call->operands[0], &g, e);
	return r < 0 ? r : machine_set_vcpus(call->c, g, (int)n, e);
}

const struct cmd vm_set_vcpus = {
	CMD_FILE,
	.name = "set-vcpus",
	.run = set_vcpus_run,
	.brief = "plug processors into a machine, or take them out",
	.synopsis = "GUEST N",
	.details = "At most as many as --cpus-max said. A Linux guest may have to switch a new one "
		   "on: "
		   "/sys/devices/system/cpu/cpuN/online.",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_machine,
};
