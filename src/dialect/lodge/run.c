/* SPDX-License-Identifier: MIT */
/* run and create. Their options are one list; docker-cli's reference, "container run". */

#include <unistd.h>
#include "dialect/lodge/transfer.h"

#define A struct run_args

/* clang-format off */
#define PROCESS_ROWS \
	OPT_GROUP("process"), \
	OPT_STRING(0, "name", A, name, "NAME", complete_none, "name of the guest"), \
	OPT_FLAG('i', "interactive", A, interactive, "keep standard input open"), \
	OPT_FLAG('t', "tty", A, tty, "give it a terminal"), \
	OPT_LIST('e', "env", A, env, "NAME[=VALUE]", complete_none, "environment variable"), \
	OPT_LIST(0, "env-file", A, env_file, "FILE", complete_file, "environment variables from a file"), \
	OPT_STRING('w', "workdir", A, workdir, "FOLDER", complete_none, "working folder in the guest"), \
	OPT_STRING('u', "user", A, user, "USER[:GROUP]", complete_none, "user name or number"), \
	OPT_LIST(0, "group-add", A, group_add, "GROUP", complete_none, "further group"), \
	OPT_STRING(0, "entrypoint", A, entrypoint, "COMMAND", complete_none, "instead of the image's entry point"), \
	OPT_FLAG(0, "init", A, init, "run a small init as process 1"), \
	OPT_FLAG(0, "vm", A, vm, "as a virtual machine with a kernel of its own"), \
	OPT_FLAG(0, "rm", A, rm, "remove the guest when it ends"), \
	OPT_STRING(0, "restart", A, restart, "POLICY", complete_restart, "no, on-failure[:N], always, unless-stopped"), \
	OPT_STRING(0, "stop-signal", A, stop_signal, "SIGNAL", complete_signal, "signal that asks it to end"), \
	OPT_INT(0, "stop-timeout", A, stop_timeout, "SECONDS", "time to end before it is killed"), \
	OPT_LIST('l', "label", A, label, "KEY[=VALUE]", complete_none, "label"), \
	OPT_LIST(0, "label-file", A, label_file, "FILE", complete_file, "labels from a file"), \
	OPT_LIST(0, "log-opt", A, log_opt, "KEY=VALUE", complete_none, "max-size and max-file of its log"), \
	OPT_STRING(0, "cidfile", A, cidfile, "FILE", complete_file, "write the guest's id to a new file"), \
	OPT_FLAG(0, "rootfs", A, rootfs, "IMAGE is a folder with a root file system"), \
	OPT_STRING(0, "pull", A, pull, "POLICY", complete_none, "get the image: missing, always or never"), \
	OPT_STRING(0, "platform", A, platform, "OS/ARCH[/VARIANT]", complete_none, "of an image that is pulled"), \
	OPT_FLAG('q', "quiet", A, quiet, "say nothing of a pull")

#define FILE_ROWS \
	OPT_GROUP("files and devices"), \
	OPT_LIST('v', "volume", A, volume, "[SOURCE:]TARGET[:MODE]", complete_file, "volume or folder of the host"), \
	OPT_LIST(0, "mount", A, mount, "KEY=VALUE,...", complete_none, "mount: type, source, target, readonly, ..."), \
	OPT_LIST(0, "tmpfs", A, tmpfs, "TARGET[:OPTIONS]", complete_none, "folder in memory"), \
	OPT_LIST(0, "volumes-from", A, volumes_from, "GUEST[:ro]", complete_guest, "the volumes of another guest"), \
	OPT_FLAG(0, "read-only", A, read_only, "the root can't be written"), \
	OPT_SIZE(0, "shm-size", A, shm_size, "BYTES", "size of /dev/shm"), \
	OPT_LIST(0, "device", A, device, "HOST[:GUEST[:rwm]]", complete_file, "device of the host"), \
	OPT_LIST(0, "device-cgroup-rule", A, device_rule, "RULE", complete_none, "allow devices: 'c 1:3 rwm'")

#define NET_ROWS \
	OPT_GROUP("network"), \
	OPT_LIST(0, "network", A, network, "NETWORK", complete_network, "a network, host, none, container:GUEST, or passt of a machine"), \
	OPT_LIST(0, "network-alias", A, network_alias, "NAME", complete_none, "further name in the network"), \
	OPT_STRING(0, "ip", A, ip, "ADDRESS", complete_none, "IPv4 address"), \
	OPT_STRING(0, "ip6", A, ip6, "ADDRESS", complete_none, "IPv6 address"), \
	OPT_STRING(0, "mac-address", A, mac, "ADDRESS", complete_none, "Ethernet address"), \
	OPT_LIST('p', "publish", A, publish, "[HOST:]GUEST[/PROTO]", complete_none, "publish a port or a range"), \
	OPT_FLAG('P', "publish-all", A, publish_all, "publish all exposed ports"), \
	OPT_LIST(0, "expose", A, expose, "PORT[/PROTO]", complete_none, "name a port for -P and ls"), \
	OPT_STRING('h', "hostname", A, hostname, "NAME", complete_none, "host name"), \
	OPT_STRING(0, "domainname", A, domainname, "NAME", complete_none, "domain name"), \
	OPT_LIST(0, "dns", A, dns, "ADDRESS", complete_none, "name server"), \
	OPT_LIST(0, "dns-search", A, dns_search, "DOMAIN", complete_none, "search domain"), \
	OPT_LIST(0, "dns-option", A, dns_option, "OPTION", complete_none, "option of resolv.conf"), \
	OPT_LIST(0, "add-host", A, add_host, "NAME:ADDRESS", complete_none, "line of /etc/hosts")

#define LIMIT_ROWS \
	OPT_GROUP("limits"), \
	OPT_SIZE('m', "memory", A, memory, "BYTES", "memory"), \
	OPT_STRING(0, "memory-swap", A, memory_swap, "BYTES", complete_none, "memory and swap together; -1: no limit"), \
	OPT_SIZE(0, "memory-reservation", A, memory_reservation, "BYTES", "memory that is left to it when it is short"), \
	OPT_INT(0, "memory-swappiness", A, swappiness, "0-100", "how soon it swaps"), \
	OPT_FLAG(0, "oom-kill-disable", A, oom_kill_disable, "wait instead of being killed for memory"), \
	OPT_INT(0, "oom-score-adj", A, oom_score_adj, "N", "how soon it is killed for memory, -1000 to 1000"), \
	OPT_STRING(0, "cpus", A, cpus, "NUMBER", complete_none, "processors, 1.5 is one and a half"), \
	OPT_INT('c', "cpu-shares", A, cpu_shares, "N", "weight against others, 1024 is usual"), \
	OPT_INT(0, "cpu-period", A, cpu_period, "MICROSECONDS", "period of the quota"), \
	OPT_INT(0, "cpu-quota", A, cpu_quota, "MICROSECONDS", "processor time in each period"), \
	OPT_STRING(0, "cpuset-cpus", A, cpuset_cpus, "LIST", complete_none, "processors it may use: 0-2,4"), \
	OPT_STRING(0, "cpuset-mems", A, cpuset_mems, "LIST", complete_none, "memory nodes it may use"), \
	OPT_INT(0, "pids-limit", A, pids, "N", "processes; -1: no limit"), \
	OPT_INT(0, "blkio-weight", A, blkio, "10-1000", "weight of its block I/O"), \
	OPT_LIST(0, "device-read-bps", A, read_bps, "DEVICE:RATE", complete_none, "bytes read a second"), \
	OPT_LIST(0, "device-write-bps", A, write_bps, "DEVICE:RATE", complete_none, "bytes written a second"), \
	OPT_LIST(0, "device-read-iops", A, read_iops, "DEVICE:RATE", complete_none, "reads a second"), \
	OPT_LIST(0, "device-write-iops", A, write_iops, "DEVICE:RATE", complete_none, "writes a second"), \
	OPT_LIST(0, "ulimit", A, ulimit, "NAME=SOFT[:HARD]", complete_none, "limit of a process"), \
	OPT_STRING(0, "cgroup-parent", A, cgroup_parent, "PATH", complete_none, "cgroup above the guest's")

#define ISOLATION_ROWS \
	OPT_GROUP("isolation"), \
	OPT_LIST(0, "cap-add", A, cap_add, "CAPABILITY", complete_capability, "give a capability, or ALL"), \
	OPT_LIST(0, "cap-drop", A, cap_drop, "CAPABILITY", complete_capability, "take a capability, or ALL"), \
	OPT_LIST(0, "security-opt", A, security_opt, "OPTION", complete_none, "no-new-privileges, seccomp=, apparmor=, ..."), \
	OPT_FLAG(0, "privileged", A, privileged, "all capabilities, all devices, no filters"), \
	OPT_STRING(0, "userns", A, userns, "MODE", complete_none, "host or private[:FIRST[:COUNT]]"), \
	OPT_STRING(0, "pid", A, pid, "MODE", complete_none, "host, private or container:GUEST"), \
	OPT_STRING(0, "ipc", A, ipc, "MODE", complete_none, "host, private or container:GUEST"), \
	OPT_STRING(0, "uts", A, uts, "MODE", complete_none, "host or private"), \
	OPT_STRING(0, "cgroupns", A, cgroupns, "MODE", complete_none, "host or private"), \
	OPT_LIST(0, "sysctl", A, sysctl, "KEY=VALUE", complete_none, "kernel parameter of its namespaces")

static const struct opt run_opts[] = {
	OPT_FLAG('d', "detach", A, detach, "return when it runs, and print its id"),
	OPT_STRING(0, "detach-keys", A, detach_keys, "KEYS", complete_none, "keys that leave it running"),
	OPT_FLAG(0, "sig-proxy", A, sig_proxy, "hand signals on to the guest"),
	PROCESS_ROWS, FILE_ROWS, NET_ROWS, LIMIT_ROWS, ISOLATION_ROWS,
	OPT_END
};

static const struct opt create_opts[] = {
	PROCESS_ROWS, FILE_ROWS, NET_ROWS, LIMIT_ROWS, ISOLATION_ROWS,
	OPT_END
};
/* clang-format on */

static void run_defaults(void *args)
{
	struct run_args *a = args;

	a->sig_proxy = true;
	a->stop_timeout = -1;
	a->swappiness = -1;
	a->detach_keys = g_strdup("ctrl-p,ctrl-q");
}

void tell_emulated(struct ctx *c)
{
	const char *why = guest_emulated(c);

	if (why)
		fprintf(stderr, "lodge: machines are emulated here, many times slower: %s\n", why);
}

/* Sees to it that the image is here, and names it as it is here. */
static int get_image(struct cmd_call *call, const struct run_args *a, struct err *e)
{
	char *name = NULL;
	int r;

	if (a->rootfs) {
		if (a->pull)
			return err_set(e, -E_USAGE, "--pull is for images, not for --rootfs");
		return 0;
	}
	r = pull_for_run(call, call->operands[0], a->pull, a->platform, a->quiet, &name, e);
	if (r < 0)
		return r;
	g_free(call->operands[0]);
	call->operands[0] = name;
	return 0;
}

static int run_run(struct cmd_call *call, struct err *e)
{
	const struct run_args *a = call->args;
	_cleanup_(run_request_clear) struct run_request q = { 0 };
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_stdio io = {
		.in = a->interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.tty = a->tty && a->interactive,
		.detach_keys = a->detach_keys,
		.proxy_signals = a->sig_proxy && !a->tty,
	};
	int r;

	if (!a->detach && io.tty && !isatty(STDIN_FILENO) && !call->c->explain) {
		err_set(e, -E_INVALID, "standard input is not a terminal");
		err_mend(e, "leave out -t");
		return -E_INVALID;
	}
	r = get_image(call, a, e);
	if (r >= 0)
		r = run_request_fill(call->c, a, call->operands, &q, e);
	if (r >= 0 && a->vm)
		tell_emulated(call->c);
	if (r >= 0)
		r = guest_run(call->c, &q.q, a->detach ? NULL : &io, &g, e);
	if (r < 0)
		return run_failed(r);
	if (call->c->explain || r == SESSION_DETACHED)
		return 0;
	if (a->detach)
		printf("%s\n", g->rec->id);
	return r;
}

static int create_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(run_request_clear) struct run_request q = { 0 };
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r;

	r = get_image(call, call->args, e);
	if (r >= 0)
		r = run_request_fill(call->c, call->args, call->operands, &q, e);
	if (r >= 0)
		r = guest_create(call->c, &q.q, &g, e);
	if (r < 0)
		return run_failed(r);
	if (!call->c->explain)
		printf("%s\n", g->rec->id);
	return 0;
}

const struct cmd lodge_run = {
	CMD_FILE,
	.name = "run",
	.run = run_run,
	.opts = run_opts,
	.args_size = sizeof(struct run_args),
	.defaults = run_defaults,
	.brief = "make a guest from an image and start it",
	.synopsis = "[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
	.details = "Without --detach the guest's output comes here and its exit status is ours; "
		   "125 says "
		   "that lodge failed, 126 and 127 that the command can't be executed or isn't "
		   "there, 128 + N "
		   "that signal N ended it.",
	.examples = "lodge run --rm debian:12 cat /etc/os-release   # one command, then gone\n"
		    "lodge run -d --name web -p 8080:80 nginx   # a server, reached at port 8080\n"
		    "lodge run -it --rm -v \"$PWD:/src\" -w /src debian:12 bash   # a shell in "
		    "this folder\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.complete = complete_run,
};

const struct cmd lodge_create = {
	CMD_FILE,
	.name = "create",
	.run = create_run,
	.opts = create_opts,
	.args_size = sizeof(struct run_args),
	.defaults = run_defaults,
	.brief = "make a guest from an image without starting it",
	.synopsis = "[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]",
	.examples = "lodge create --name db -v data:/var/lib/db debian:12 db-server   # start it "
		    "later\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.complete = complete_run,
};
