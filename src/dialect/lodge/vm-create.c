/* SPDX-License-Identifier: MIT */
/* vm create and vm run: from their options to a request. */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dialect/parse/parse.h"
#include "dialect/lodge/vm.h"
#include "image/seed.h"

#define STOP_TIMEOUT 90 /* seconds: a system has more to end than a command */

struct vm_args {
	struct run_args run; /* what machines have in common with containers */
	/* boot */
	char **disk, **cdrom, **floppy;
	char *kernel, *initrd, *append, *firmware, *boot;
	int64_t disk_size;
	/* the machine */
	char *machine, *accel, *cpu, *vga, *vnc, *nic;
	int64_t vcpus, vcpus_max;
	bool tablet, usb, no_rng, no_balloon, no_serial, no_agent;
	/* first boot */
	char *user_data, *vendor_data, *network_config, *seed;
	char **ssh_key;
};

#define A struct vm_args

static void complete_words(const char *const *words, FILE *out)
{
	for (; *words; words++)
		(void)fprintf(out, "%s\n", *words);
}

#define COMPLETER(name, words)                                       \
	static void name(struct ctx *c, const char *word, FILE *out) \
	{                                                            \
		complete_words(words, out);                          \
	}
COMPLETER(complete_type, spec_vm_machines)
COMPLETER(complete_accel, spec_vm_accels)
COMPLETER(complete_firmware, spec_vm_firmwares)
COMPLETER(complete_vga, spec_vm_vgas)
COMPLETER(complete_nic, spec_vm_nics)

/* clang-format off */
#define BOOT_ROWS \
	OPT_GROUP("what it boots"), \
	OPT_LIST(0, "disk", A, disk, "FILE|KEY=VALUE,...", complete_file, "disk: a file, or file=, format=, bus=, size=20G ..."), \
	OPT_LIST(0, "cdrom", A, cdrom, "FILE", complete_file, "CD in a drive; empty: a drive without a CD"), \
	OPT_LIST(0, "floppy", A, floppy, "FILE", complete_file, "floppy disk"), \
	OPT_STRING(0, "kernel", A, kernel, "FILE", complete_file, "kernel of the host's to boot"), \
	OPT_STRING(0, "initrd", A, initrd, "FILE", complete_file, "its initial file system"), \
	OPT_STRING(0, "append", A, append, "WORDS", complete_none, "its command line"), \
	OPT_STRING(0, "firmware", A, firmware, "WORD", complete_firmware, "bios or uefi"), \
	OPT_STRING(0, "boot", A, boot, "DEVICE", complete_none, "what is tried first: disk or cdrom"), \
	OPT_SIZE(0, "disk-size", A, disk_size, "BYTES", "size of the disk over IMAGE's")

#define MACHINE_ROWS \
	OPT_GROUP("machine"), \
	OPT_SIZE('m', "memory", A, run.memory, "BYTES", "memory; 1 GiB when not given"), \
	OPT_INT(0, "cpus", A, vcpus, "N", "processors"), \
	OPT_INT(0, "cpus-max", A, vcpus_max, "N", "processors that can be plugged in while it runs"), \
	OPT_STRING(0, "cpu", A, cpu, "MODEL", complete_none, "processor model, as QEMU names it"), \
	OPT_STRING(0, "machine", A, machine, "TYPE", complete_type, "q35, pc or microvm"), \
	OPT_STRING(0, "accel", A, accel, "WORD", complete_accel, "auto, kvm or tcg"), \
	OPT_STRING(0, "vga", A, vga, "CARD", complete_vga, "std, virtio, cirrus, qxl, vmware or none"), \
	OPT_STRING(0, "vnc", A, vnc, ":N|PATH", complete_file, "its screen by VNC, at 127.0.0.1 or a Unix socket"), \
	OPT_FLAG(0, "tablet", A, tablet, "USB tablet: the pointer is where VNC's is"), \
	OPT_FLAG(0, "usb", A, usb, "USB controller"), \
	OPT_STRING(0, "nic", A, nic, "MODEL", complete_nic, "virtio, e1000, e1000e or rtl8139"), \
	OPT_FLAG(0, "no-rng", A, no_rng, "without a source of random numbers"), \
	OPT_FLAG(0, "no-balloon", A, no_balloon, "without a memory balloon"), \
	OPT_FLAG(0, "no-serial", A, no_serial, "without a serial console"), \
	OPT_FLAG(0, "no-agent", A, no_agent, "without a port for the guest agent")

#define GUEST_ROWS \
	OPT_GROUP("guest"), \
	OPT_STRING(0, "name", A, run.name, "NAME", complete_none, "name of the guest"), \
	OPT_FLAG(0, "rm", A, run.rm, "remove the guest when it ends"), \
	OPT_STRING(0, "restart", A, run.restart, "POLICY", complete_restart, "no, on-failure[:N], always, unless-stopped"), \
	OPT_INT(0, "stop-timeout", A, run.stop_timeout, "SECONDS", "time to shut down before it is switched off"), \
	OPT_LIST('l', "label", A, run.label, "KEY[=VALUE]", complete_none, "label"), \
	OPT_LIST(0, "label-file", A, run.label_file, "FILE", complete_file, "labels from a file"), \
	OPT_LIST(0, "log-opt", A, run.log_opt, "KEY=VALUE", complete_none, "max-size and max-file of its log"), \
	OPT_STRING(0, "cidfile", A, run.cidfile, "FILE", complete_file, "write the guest's id to a new file"), \
	OPT_INT('c', "cpu-shares", A, run.cpu_shares, "N", "weight against others, 1024 is usual"), \
	OPT_STRING(0, "cpuset-cpus", A, run.cpuset_cpus, "LIST", complete_none, "processors of the host it may use: 0-2,4"), \
	OPT_STRING(0, "cgroup-parent", A, run.cgroup_parent, "PATH", complete_none, "cgroup above the guest's")

#define NET_ROWS \
	OPT_GROUP("network"), \
	OPT_LIST(0, "network", A, run.network, "NETWORK", complete_network, "a network, passt, or none"), \
	OPT_LIST(0, "network-alias", A, run.network_alias, "NAME", complete_none, "further name in the network"), \
	OPT_STRING(0, "ip", A, run.ip, "ADDRESS", complete_none, "IPv4 address"), \
	OPT_STRING(0, "ip6", A, run.ip6, "ADDRESS", complete_none, "IPv6 address"), \
	OPT_STRING(0, "mac-address", A, run.mac, "ADDRESS", complete_none, "Ethernet address"), \
	OPT_LIST('p', "publish", A, run.publish, "[HOST:]GUEST[/PROTO]", complete_none, "publish a port or a range"), \
	OPT_STRING('h', "hostname", A, run.hostname, "NAME", complete_none, "host name")

#define SEED_ROWS \
	OPT_GROUP("first boot, by cloud-init"), \
	OPT_STRING(0, "user-data", A, user_data, "FILE", complete_file, "cloud-config or a script, checked before the boot"), \
	OPT_STRING(0, "vendor-data", A, vendor_data, "FILE", complete_file, "the same, below what the user says"), \
	OPT_STRING(0, "network-config", A, network_config, "FILE", complete_file, "network configuration, version 1 or 2"), \
	OPT_LIST(0, "ssh-key", A, ssh_key, "FILE", complete_file, "public key for the default user"), \
	OPT_STRING(0, "seed", A, seed, "FORM", complete_none, "nocloud, config-drive or none")

static const struct opt create_opts[] = {
	BOOT_ROWS, MACHINE_ROWS, GUEST_ROWS, NET_ROWS, SEED_ROWS, OPT_END
};

static const struct opt run_opts[] = {
	OPT_FLAG('d', "detach", A, run.detach, "return when it runs, and print its id"),
	OPT_FLAG('i', "interactive", A, run.interactive, "hand standard input to its console"),
	OPT_FLAG('t', "tty", A, run.tty, "with a terminal"),
	OPT_STRING(0, "detach-keys", A, run.detach_keys, "KEYS", complete_none, "keys that leave it running"),
	BOOT_ROWS, MACHINE_ROWS, GUEST_ROWS, NET_ROWS, SEED_ROWS, OPT_END
};
/* clang-format on */

static void defaults(void *args)
{
	struct vm_args *a = args;

	a->run.stop_timeout = -1;
	a->run.swappiness = -1;
	a->run.detach_keys = g_strdup("ctrl-p,ctrl-q");
}

/* --- the spec ------------------------------------------------------------------------------------------------- */

struct fill {
	const struct vm_args *a;
	struct spec *s;
	struct spec_vm *vm;
	const char *cwd;
	bool seeded;
};

static int word(
	const char *option, const char *const *words, const char *value, int *ret, struct err *e)
{
	for (int i = 0; value && words[i]; i++)
		if (strcmp(words[i], value) == 0) {
			*ret = i;
			return 0;
		}
	return value ? err_set(e, -E_USAGE, "invalid %s '%s'", option, value) : 0;
}

#define WORD(field, option, words, value)                          \
	({                                                         \
		int n_ = (int)(field);                             \
		int r_ = word((option), (words), (value), &n_, e); \
		(field) = (__typeof__(field))n_;                   \
		r_;                                                \
	})

static int fill_words(struct fill *f, struct err *e)
{
	const struct vm_args *a = f->a;
	struct spec_vm *vm = f->vm;
	int r;

	if (a->vnc && !a->vga)
		vm->vga = VM_VGA_STD;
	r = WORD(vm->machine, "machine", spec_vm_machines, a->machine);
	if (r >= 0)
		r = WORD(vm->accel, "accel", spec_vm_accels, a->accel);
	if (r >= 0)
		r = WORD(vm->firmware, "firmware", spec_vm_firmwares, a->firmware);
	if (r >= 0)
		r = WORD(vm->vga, "vga", spec_vm_vgas, a->vga);
	if (r >= 0)
		r = WORD(vm->nic, "nic", spec_vm_nics, a->nic);
	return r;
}

static char *absolute(const struct fill *f, const char *path)
{
	return path ? g_canonicalize_filename(path, f->cwd) : NULL;
}

static int fill_machine(struct fill *f, struct err *e)
{
	const struct vm_args *a = f->a;
	struct spec_vm *vm = f->vm;
	int r = fill_words(f, e);

	if (r >= 0 && (a->vcpus < 0 || a->vcpus_max < 0 ||
			      MAX(a->vcpus, a->vcpus_max) > SPEC_VM_VCPUS_MAX))
		r = err_set(
			e, -E_USAGE, "invalid number of processors: 1 to %d", SPEC_VM_VCPUS_MAX);
	if (r < 0)
		return r;
	vm->vcpus = (int)a->vcpus;
	vm->vcpus_max = (int)a->vcpus_max;
	vm->cpu = g_strdup(a->cpu);
	vm->kernel = absolute(f, a->kernel);
	vm->initrd = absolute(f, a->initrd);
	vm->cmdline = g_strdup(a->append);
	vm->vnc = a->vnc && a->vnc[0] != ':' ? absolute(f, a->vnc) : g_strdup(a->vnc);
	vm->tablet = a->tablet;
	vm->usb = a->usb;
	vm->rng = !a->no_rng;
	vm->no_balloon = a->no_balloon;
	vm->no_serial = a->no_serial;
	vm->agent = !a->no_agent;
	/* its console is a terminal for whoever comes */
	f->s->tty = f->s->open_stdin = true;
	f->s->stdin_once = false;
	if (f->s->stop_timeout < 0)
		f->s->stop_timeout = STOP_TIMEOUT;
	return 0;
}

static int add_disks(
	struct fill *f, char *const *words, enum spec_disk_device device, struct err *e)
{
	for (char *const *w = words; w && *w; w++) {
		struct spec_disk *d;
		int r = 0;

		if (!**w && device == DISK_CDROM) {
			g_autofree char *id = spec_vm_disk_id(f->vm, "cd");

			spec_vm_add_disk(f->vm, id, NULL, NULL)->device = DISK_CDROM;
			continue;
		}
		r = parse_disk(*w, f->cwd, device, f->vm, &d, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* In their order; CDs after disks, so that an installed system isn't installed again. */
static int boot_order(struct fill *f, struct err *e)
{
	static const enum spec_disk_device disk_first[] = { DISK_DISK, DISK_CDROM, DISK_FLOPPY };
	static const enum spec_disk_device cd_first[] = { DISK_CDROM, DISK_DISK, DISK_FLOPPY };
	const enum spec_disk_device *order = disk_first;
	GPtrArray *disks = f->vm->disks;
	int n = 0;

	if (f->a->boot && strcmp(f->a->boot, "cdrom") == 0)
		order = cd_first;
	else if (f->a->boot && strcmp(f->a->boot, "disk") != 0)
		return err_set(e, -E_USAGE, "invalid boot '%s': not disk or cdrom", f->a->boot);
	for (guint i = 0; i < disks->len; i++)
		n = MAX(n, ((struct spec_disk *)disks->pdata[i])->boot);
	for (size_t k = 0; k < G_N_ELEMENTS(disk_first); k++)
		for (guint i = 0; i < disks->len; i++) {
			struct spec_disk *d = disks->pdata[i];

			if (d->device == order[k] && !d->boot && !f->vm->kernel)
				d->boot = ++n;
		}
	return 0;
}

static int fill_disks(struct fill *f, const char *image, struct err *e)
{
	const struct vm_args *a = f->a;
	int r;

	if (image) {
		struct spec_disk *d = spec_vm_add_disk(f->vm, "disk0", "disk0.qcow2", "qcow2");

		d->own = true;
		d->size = a->disk_size;
	} else if (a->disk_size) {
		return err_set(e, -E_USAGE, "--disk-size is of the disk over an IMAGE's");
	}
	r = add_disks(f, a->disk, DISK_DISK, e);
	if (r >= 0)
		r = add_disks(f, a->cdrom, DISK_CDROM, e);
	if (r >= 0)
		r = add_disks(f, a->floppy, DISK_FLOPPY, e);
	return r < 0 ? r : boot_order(f, e);
}

/* --- the seed ----------------------------------------------------------------------------------------------------- */

struct seed_files {
	struct seed seed;
	char *text[3];
	char **keys;
};

static void seed_files_clear(struct seed_files *f)
{
	for (size_t i = 0; i < G_N_ELEMENTS(f->text); i++)
		g_free(f->text[i]);
	g_strfreev(f->keys);
}

static int read_text(const char *path, struct seed_text *ret, char **ret_text, struct err *e)
{
	g_autoptr(GError) ge = NULL;
	struct stat st;
	gsize n;

	if (!path)
		return 0;
	if (stat(path, &st) == 0 && st.st_size > SEED_TEXT_MAX)
		return err_set(
			e, -E_LIMIT, "'%s' is larger than %d MiB", path, SEED_TEXT_MAX >> 20);
	if (!g_file_get_contents(path, ret_text, &n, &ge))
		return err_set(e, -E_INVALID, "cannot read '%s': %s", path, ge->message);
	*ret = (struct seed_text){ .name = path, .text = *ret_text, .size = n };
	return 0;
}

static int read_keys(char *const *files, char ***ret, struct err *e)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	for (char *const *file = files; r >= 0 && file && *file; file++) {
		g_autofree char *text = NULL;
		struct seed_text t = { 0 };
		char **keys = NULL;

		r = read_text(*file, &t, &text, e);
		if (r >= 0)
			r = seed_keys_parse(&t, &keys, e);
		for (char **k = keys; k && *k; k++)
			g_ptr_array_add(all, *k);
		g_free(keys);
	}
	if (r < 0) {
		g_ptr_array_unref(all);
		return r;
	}
	g_ptr_array_add(all, NULL);
	*ret = (char **)g_ptr_array_free(all, FALSE);
	return 0;
}

static int fill_seed(struct fill *f, bool image, struct seed_files *ret, struct err *e)
{
	const struct vm_args *a = f->a;
	bool none = a->seed && strcmp(a->seed, "none") == 0;
	bool any = a->user_data || a->vendor_data || a->network_config || a->ssh_key ||
		   (a->seed && !none);
	struct spec_disk *d;
	int r = 0;

	if (none && any)
		return err_set(e, -E_USAGE, "--seed none can't be used with what a seed says");
	/* an image's disk waits for a seed, also for one that says nothing */
	if (none || (!any && !image))
		return 0;
	if (a->seed) {
		r = seed_form_from_name(a->seed, e);
		ret->seed.form = r < 0 ? SEED_NOCLOUD : (enum seed_form)r;
	}
	if (r >= 0)
		r = read_text(a->user_data, &ret->seed.user_data, &ret->text[0], e);
	if (r >= 0)
		r = read_text(a->vendor_data, &ret->seed.vendor_data, &ret->text[1], e);
	if (r >= 0)
		r = read_text(a->network_config, &ret->seed.network_config, &ret->text[2], e);
	if (r >= 0)
		r = read_keys(a->ssh_key, &ret->keys, e);
	if (r < 0)
		return r;
	ret->seed.ssh_keys = (const char *const *)ret->keys;
	ret->seed.report = true;
	f->vm->boot_report = f->seeded = true;
	/* a disk, which every kernel of a cloud finds, and not a CD, for whose drive it may have no driver */
	d = spec_vm_add_disk(f->vm, "seed", "seed.iso", "raw");
	d->read_only = d->own = true;
	return 0;
}

/* --- the commands ----------------------------------------------------------------------------------------------------- */

struct made {
	struct run_request q;
	struct seed_files seed;
	GPtrArray *notes;
};

static void made_clear(struct made *m)
{
	run_request_clear(&m->q);
	seed_files_clear(&m->seed);
	g_clear_pointer(&m->notes, g_ptr_array_unref);
}

static int request(struct cmd_call *call, struct made *m, struct err *e)
{
	struct vm_args *a = call->args;
	char *const image = call->n_operands ? call->operands[0] : NULL;
	char *operands[] = { image ?: (char *)"", NULL };
	g_autofree char *cwd = g_get_current_dir();
	struct fill f = { .a = a, .cwd = cwd };
	int r;

	a->run.vm = true;
	r = run_request_fill(call->c, &a->run, operands, &m->q, e);
	m->notes = g_ptr_array_new_with_free_func(g_free);
	if (r < 0)
		return r;
	m->q.q.notes = m->notes;
	m->q.q.image = image;
	m->q.q.argv = NULL;
	f.s = m->q.q.spec;
	f.vm = f.s->vm;
	f.vm->full = true;
	r = fill_machine(&f, e);
	if (r >= 0)
		r = fill_disks(&f, image, e);
	if (r >= 0)
		r = fill_seed(&f, image != NULL, &m->seed, e);
	if (r >= 0 && f.seeded)
		m->q.q.seed = &m->seed.seed;
	return r;
}

static void tell_notes(const struct made *m)
{
	for (guint i = 0; m->notes && i < m->notes->len; i++)
		(void)fprintf(stderr, "lodge: %s\n", (const char *)m->notes->pdata[i]);
}

static int create_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(made_clear) struct made m = { 0 };
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r = request(call, &m, e);

	if (r >= 0)
		r = guest_create(call->c, &m.q.q, &g, e);
	if (r < 0)
		return run_failed(r);
	tell_notes(&m);
	if (!call->c->explain)
		printf("%s\n", g->rec->id);
	return 0;
}

static int run_run(struct cmd_call *call, struct err *e)
{
	const struct vm_args *a = call->args;
	_cleanup_(made_clear) struct made m = { 0 };
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_stdio io = {
		.in = a->run.interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.tty = a->run.tty && a->run.interactive,
		.detach_keys = a->run.detach_keys,
		.proxy_signals = !a->run.tty,
	};
	int r;

	if (!a->run.detach && io.tty && !isatty(STDIN_FILENO) && !call->c->explain) {
		err_set(e, -E_INVALID, "standard input is not a terminal");
		err_mend(e, "leave out -t");
		return -E_INVALID;
	}
	r = request(call, &m, e);
	if (r >= 0)
		r = guest_run(call->c, &m.q.q, a->run.detach ? NULL : &io, &g, e);
	if (r < 0)
		return run_failed(r);
	tell_notes(&m);
	if (call->c->explain || r == SESSION_DETACHED)
		return 0;
	if (a->run.detach)
		printf("%s\n", g->rec->id);
	return r;
}

const struct cmd vm_create = {
	CMD_FILE,
	.name = "create",
	.run = create_run,
	.opts = create_opts,
	.args_size = sizeof(struct vm_args),
	.defaults = defaults,
	.brief = "make a machine from a disk, a CD, a kernel or an image of a disk",
	.synopsis = "[OPTIONS] [IMAGE]",
	.details = "With IMAGE (lodge image build-from-mirror --disk, lodge image import --disk) "
		   "the machine has a disk "
		   "of its own over the image's, which stays as it is, and a seed for cloud-init. "
		   "Files "
		   "given with --disk are the machine's to write; format=raw must be said, other "
		   "formats "
		   "are found in the file.",
	.examples =
		"lodge vm create --name box --disk box.qcow2 --cpus 2 -m 2G   # start it later\n"
		"lodge vm create --name new --disk size=20G --cdrom install.iso --vnc :1   # to "
		"install\n",
	.max_operands = 1,
	.complete = complete_image,
};

const struct cmd vm_run = {
	CMD_FILE,
	.name = "run",
	.run = run_run,
	.opts = run_opts,
	.args_size = sizeof(struct vm_args),
	.defaults = defaults,
	.brief = "make a machine and start it",
	.synopsis = "[OPTIONS] [IMAGE]",
	.details = "Without --detach its serial console comes here, with -it with a terminal "
		   "(ctrl-p ctrl-q leaves it "
		   "running). The exit status is QEMU's.",
	.examples =
		"lodge vm run -d --ssh-key id.pub -p 2222:22 debian:12-disk   # then ssh -p 2222 "
		"debian@localhost\n"
		"lodge vm run -it --rm --kernel vmlinuz --initrd initrd --append console=ttyS0\n",
	.max_operands = 1,
	.complete = complete_image,
};
