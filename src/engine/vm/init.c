/* SPDX-License-Identifier: MIT */
/*
 * A machine from an image: the layers as disks, a kernel of ours with lodge-init, and a plan for it that
 * ends with the command as a container's does. The machine type is QEMU's microvm, which has no firmware
 * to wait for: qboot enters the uncompressed kernel by its PVH entry.
 */
#include <string.h>

#include "engine/common.h"
#include "engine/vm/argv.h"
#include "engine/vm/kernel.h"
#include "host/caps.h"
#include "host/steps.h"
#include "store/layer.h"
#include "wire/machine.h"

#define MEMORY_DEFAULT (INT64_C(512) << 20)
#define MEMORY_MIN     (INT64_C(64) << 20)
#define CPUS_MAX       64
#define SHM_DEFAULT    (INT64_C(64) << 20)
#define LAYERS_BY_BLK  12      /* of the 24 slots for devices; network cards and shares want some */
#define ROOT	       "/root" /* in the initramfs */
/* x86-64-v2, which distributions are built for now. All that QEMU can emulate costs a tenth of a boot: page tables of
 * five levels, and state to save at each switch. */
#define CPU_EMULATED "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+rdrand"

struct inside {
	struct vm_build *b;
	GPtrArray *features; /* of the kernel: names */
	bool many;	     /* layers: by SCSI, which has room for them */
	bool own_mounts;
};

/* A step of the machine's own plan. */
#define in(k, at, op, ...) plan_addf((k)->b->p, (at), STEP_MACHINE, (op), ##__VA_ARGS__, NULL)

/* --- what can't be ----------------------------------------------------------------------------------------- */

static int check_spec(const struct spec *s, bool held, struct err *e)
{
	static const char *const shared[_NS_MAX] = {
		[NS_PID] = "--pid", [NS_NET] = "--network", [NS_UTS] = "--uts", [NS_IPC] = "--ipc"
	};

	for (int i = 0; i < _NS_MAX; i++)
		if (shared[i] && s->ns[i].mode != NS_PRIVATE)
			return err_set(e, -E_UNSUPPORTED,
				"a machine shares no namespaces with the host or others: %s",
				shared[i]);
	if (s->devices->len > 0)
		return err_set(
			e, -E_UNSUPPORTED, "a machine can't have the host's devices: --device");
	if (s->uid_map->len > 0)
		return err_set(e, -E_UNSUPPORTED, "a machine has ids of its own: --userns");
	if (s->rootfs)
		return err_set(e, -E_UNSUPPORTED, "a machine can't start from a folder: --rootfs");
	if (s->seccomp && strcmp(s->seccomp, "default") != 0 &&
		strcmp(s->seccomp, "unconfined") != 0)
		return err_set(e, -E_UNSUPPORTED,
			"a machine has a kernel of its own: seccomp profiles don't apply");
	if (s->limits.memory && s->limits.memory < MEMORY_MIN) {
		err_set(e, -E_LIMIT, "a machine needs at least %d MiB of memory",
			(int)(MEMORY_MIN >> 20));
		err_mend(e, "give it more with -m");
		return -E_LIMIT;
	}
	if (!held && (!s->argv || !s->argv[0]))
		return err_set(e, -E_INVALID,
			"no command: neither the image nor the command line has one");
	return 0;
}

/* --- QEMU --------------------------------------------------------------------------------------------------- */

static unsigned cpus(const struct spec *s)
{
	int64_t n = (s->limits.nano_cpus + 999999999) / 1000000000;

	return (unsigned)CLAMP(n, 1, CPUS_MAX);
}

/* What the kernel needs to be told: no probing for what a machine of ours hasn't got. */
static const char *kernel_words(struct vm_build *b)
{
	GString *w = g_string_new("console=ttyS0 " VM_KERNEL_CMDLINE);
	const char *kept;

	if (b->c->trace_fd >= 0)
		g_string_append(w, " " MACHINE_WORD_TRACE);
	if (!b->kvm) {
		/* with a busy host the kernel's calibration of the clock may never come to an end */
		g_autofree char *info = NULL;
		const char *mhz;

		g_string_append(w, " " VM_KERNEL_CMDLINE_EMULATED);
		if (g_file_get_contents("/proc/cpuinfo", &info, NULL, NULL) &&
			(mhz = strstr(info, "cpu MHz")) && (mhz = strchr(mhz, ':')))
			g_string_append_printf(
				w, " tsc_early_khz=%.0f", g_ascii_strtod(mhz + 1, NULL) * 1000);
	}
	kept = plan_str(b->p, "%s", w->str);
	g_string_free(w, TRUE);
	return kept;
}

static void machine_words(
	struct vm_build *b, const struct vm_kernel *kernel, int64_t memory, bool shared)
{
	const struct spec *s = b->spec;
	unsigned n = cpus(s);

	vm_argf(b, "-name", "%s", vm_escape(b, b->s->name));
	vm_arg(b, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none");
	vm_argf(b, "-machine", "microvm,graphics=off%s", shared ? ",memory-backend=ram" : "");
	vm_arg(b, "-global", "virtio-mmio.force-legacy=false");
	vm_arg(b, "-accel", b->kvm ? "kvm" : n > 1 ? "tcg,thread=multi" : "tcg,thread=single");
	vm_arg(b, "-cpu", s->vm->cpu ? s->vm->cpu : b->kvm ? "host" : CPU_EMULATED);
	vm_argf(b, "-smp", "%u", n);
	vm_argf(b, "-m", "%" G_GINT64_FORMAT "M", memory >> 20);
	if (shared)
		vm_argf(b, "-object",
			"memory-backend-memfd,id=ram,size=%" G_GINT64_FORMAT "M,share=on",
			memory >> 20);
	vm_arg(b, "-bios", "qboot.rom");
	vm_argf(b, "-kernel", "/proc/self/fd/%u", vm_fd_open(b, kernel->vmlinux, false));
	vm_argf(b, "-initrd", "/proc/self/fd/%u", vm_fd_open(b, kernel->initrd, false));
	vm_arg(b, "-append", kernel_words(b));
	vm_argf(b, "-chardev", "socket,id=qmp,fd=%u", vm_fd_channel(b, "qmp"));
	vm_arg(b, "-mon", "chardev=qmp,mode=control");
	vm_argf(b, "-chardev", "socket,id=console,fd=%u", vm_fd_channel(b, "serial"));
	vm_arg(b, "-serial", "chardev:console");
	vm_argf(b, "-chardev", "socket,id=init,fd=%u", vm_fd_channel(b, "machine"));
	vm_arg(b, "-device", "virtio-serial-device");
	vm_argf(b, "-device", "virtserialport,chardev=init,name=%s", MACHINE_PORT);
}

static void disk(struct inside *k, const char *name, const char *path, bool write)
{
	struct vm_build *b = k->b;
	const char *file = vm_file(b, path, write);

	vm_argf(b, "-blockdev",
		"driver=raw,node-name=%s,read-only=%s%s,file.driver=file,file.locking=off,file."
		"filename=%s%s",
		name, write ? "off" : "on", write ? ",discard=unmap" : "", file,
		write && b->spec->auto_remove ? ",cache.no-flush=on" : "");
	vm_argf(b, "-device",
		k->many ? "scsi-hd,bus=scsi.0,drive=%s,serial=%s"
			: "virtio-blk-device,drive=%s,serial=%s",
		name, name);
}

/* --- the root ------------------------------------------------------------------------------------------------- */

static int plan_root(struct inside *k, struct err *e)
{
	struct vm_build *b = k->b;
	const struct spec *s = b->spec;
	g_autoptr(GString) lower = g_string_new(NULL);
	unsigned stay = 0;
	guint n = g_strv_length(s->layers);

	if (k->many)
		vm_arg(b, "-device", "virtio-scsi-device,id=scsi");
	in(k, AT_HOST, &step_mkdirs, "/l", "755");
	while (n-- > 0) {
		g_autofree char *file = layer_file(b->c, s->layers[n]);
		const char *name = plan_str(b->p, "l%u", n), *at = plan_str(b->p, "/l/%u", n);

		if (!b->c->explain && access(file, R_OK) < 0) {
			err_set(e, -E_UNSUPPORTED, "the layer '%s' is unpacked in a folder here",
				s->layers[n]);
			err_mend(e, "import the image again where EROFS is there");
			return -E_UNSUPPORTED;
		}
		disk(k, name, file, false);
		in(k, AT_HOST, &step_disk_mount, name, at, "erofs", "ro,nodev", "");
		g_string_append_printf(lower, "%s%s", lower->len ? ":" : "", at);
	}
	disk(k, "top", plan_str(b->p, "%s/disk", b->s->held ? b->s->held : b->s->dir), true);
	/* what nobody will see again needn't be unmounted */
	if (s->auto_remove && !b->s->held)
		stay = STEP_STAY;
	plan_addf(b->p, AT_HOST, STEP_MACHINE | stay, &step_disk_mount, "top", "/top", "ext4",
		"noatime", "", (const char *)NULL);
	in(k, AT_HOST, &step_mkdirs, "/top/upper", "755");
	in(k, AT_HOST, &step_mkdirs, "/top/work", "755");
	in(k, AT_HOST, &step_mkdirs, ROOT, "755");
	plan_addf(b->p, AT_HOST, STEP_MACHINE | stay, &step_overlay, ROOT, lower->str, "/top/upper",
		"/top/work", stay ? "volatile" : "", (const char *)NULL);
	return 0;
}

/* What a container has; the kernel is the machine's own, so nothing of it is hidden. */
static void plan_kernel_files(struct inside *k)
{
	static const char *const device[][3] = { { "/dev/null", "1", "3" },
		{ "/dev/zero", "1", "5" }, { "/dev/full", "1", "7" }, { "/dev/random", "1", "8" },
		{ "/dev/urandom", "1", "9" }, { "/dev/tty", "5", "0" } };
	const struct spec *s = k->b->spec;
	const char *shm = plan_str(k->b->p, "mode=1777,size=%" G_GINT64_FORMAT,
		s->shm_size > 0 ? s->shm_size : SHM_DEFAULT);

	if (s->privileged) {
		in(k, AT_HOST, &step_mount_in, ROOT, "dev", "/dev", "devtmpfs", "nosuid", "");
	} else {
		in(k, AT_HOST, &step_mount_in, ROOT, "tmpfs", "/dev", "tmpfs", "nosuid,strictatime",
			"mode=755,size=65536k");
		for (guint i = 0; i < G_N_ELEMENTS(device); i++)
			in(k, AT_HOST, &step_device, ROOT, device[i][0], "c", device[i][1],
				device[i][2], "666", "0", "0");
	}
	in(k, AT_HOST, &step_mount_in, ROOT, "devpts", "/dev/pts", "devpts", "nosuid,noexec",
		"newinstance,ptmxmode=0666,mode=0620,gid=5");
	in(k, AT_HOST, &step_mount_in, ROOT, "shm", "/dev/shm", "tmpfs", "nosuid,nodev,noexec",
		shm);
	in(k, AT_HOST, &step_mount_in, ROOT, "mqueue", "/dev/mqueue", "mqueue",
		"nosuid,nodev,noexec", "");
	in(k, AT_HOST, &step_dev_links, ROOT);
	in(k, AT_HOST, &step_mount_in, ROOT, "sysfs", "/sys", "sysfs", "nosuid,nodev,noexec", "");
	in(k, AT_HOST, &step_mount_in, ROOT, "cgroup", "/sys/fs/cgroup", "cgroup2",
		"nosuid,nodev,noexec", "");
	if (s->init)
		in(k, AT_HOST, &step_bind, ROOT, "/init", "/dev/lodge-init", "bind,rprivate",
			"file");
}

/* /etc/hosts and its like, as they are bound in a container. */
static void plan_etc(struct inside *k)
{
	struct vm_build *b = k->b;
	const struct {
		const char *name, *text;
	} file[] = {
		{ "hostname",
			b->spec->hostname ? plan_str(b->p, "%s\n", b->spec->hostname) : NULL },
		{ "hosts", b->s->hosts },
		{ "resolv.conf", b->s->resolv_conf },
	};

	in(k, AT_HOST, &step_mkdirs, "/etc", "755");
	for (guint i = 0; i < G_N_ELEMENTS(file); i++) {
		const char *path = plan_str(b->p, "/etc/%s", file[i].name);

		if (!file[i].text)
			continue;
		in(k, AT_HOST, &step_write, path, file[i].text, "644");
		in(k, AT_HOST, &step_bind, ROOT, path, path, "bind,rprivate", "file");
	}
}

/* --- volumes and binds: virtiofs ------------------------------------------------------------------------------- */

static const char *virtiofsd(void)
{
	static const char *const paths[] = { "/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd" };

	for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static bool is_shared(const struct spec_mount *m)
{
	return m->kind != MOUNT_TMPFS;
}

static bool any_shared(const struct spec *s)
{
	for (guint i = 0; i < s->mounts->len; i++)
		if (is_shared(g_ptr_array_index(s->mounts, i)))
			return true;
	return false;
}

/*
 * A folder is served as it is. A file is bound into a folder of its own, which is served: the machine must
 * not see its neighbours.
 */
static int plan_share(struct inside *k, const struct spec_mount *m, unsigned n, struct err *e)
{
	struct vm_build *b = k->b;
	const char *program = virtiofsd(), *tag = plan_str(b->p, "fs%u", n), *served = m->source;
	const char *socket = plan_str(b->p, "%s/fs%u", b->s->run_dir, n);
	bool file = g_file_test(m->source, G_FILE_TEST_EXISTS) &&
		    !g_file_test(m->source, G_FILE_TEST_IS_DIR);

	if (!b->c->is_root) {
		err_set(e, -E_UNSUPPORTED, "a machine reaches '%s' by virtiofsd, which needs root",
			m->source);
		return err_mend(e, "use cp, or run as root");
	}
	if (!program) {
		err_set(e, -E_UNSUPPORTED, "a machine reaches '%s' by virtiofsd, which is missing",
			m->source);
		err_mend(e, "install qemu-system-common (virtiofsd)");
		return -E_UNSUPPORTED;
	}
	if (file) {
		const char *folder = plan_str(b->p, "%s/share%u", b->s->dir, n);

		if (!k->own_mounts) /* of the monitor and virtiofsd alone, and gone with them */
			plan_add(b->p, AT_HOST, &step_own_mounts);
		k->own_mounts = true;
		plan_add(b->p, AT_HOST, &step_mkdirs, folder, "700");
		plan_add(b->p, AT_HOST, &step_bind, "/", m->source,
			plan_str(b->p, "%s/file", folder), "bind,rprivate", "file");
		served = folder;
	}
	plan_addf(b->p, AT_HOST, 0, &step_helper, plan_str(b->p, "%s.pid", socket), socket, program,
		"--fd=3", "-o",
		plan_str(b->p, "source=%s,cache=auto,sandbox=namespace,xattr", served), NULL);
	vm_argf(b, "-chardev", "socket,id=%s,fd=%u", tag, vm_fd_connect(b, socket));
	vm_argf(b, "-device", "vhost-user-fs-device,chardev=%s,tag=%s", tag, tag);
	if (!file) {
		in(k, AT_HOST, &step_mount_in, ROOT, tag, m->target, "virtiofs",
			m->read_only ? "ro" : "", "");
		return 0;
	}
	in(k, AT_HOST, &step_mkdirs, plan_str(b->p, "/share/%u", n), "755");
	in(k, AT_HOST, &step_mount, tag, plan_str(b->p, "/share/%u", n), "virtiofs", "", "");
	in(k, AT_HOST, &step_bind, ROOT, plan_str(b->p, "/share/%u/file", n), m->target,
		m->read_only ? "bind,ro,rprivate" : "bind,rprivate", "file");
	return 0;
}

static gint by_depth(gconstpointer a, gconstpointer b)
{
	const struct spec_mount *const *x = a, *const *y = b;

	return (gint)strlen((*x)->target) - (gint)strlen((*y)->target);
}

static int plan_mounts(struct inside *k, struct err *e)
{
	const struct spec *s = k->b->spec;
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();
	int r = 0;

	for (guint i = 0; i < s->mounts->len; i++)
		g_ptr_array_add(sorted, g_ptr_array_index(s->mounts, i));
	/* what lies inside of another has the longer path */
	g_ptr_array_sort(sorted, by_depth);
	for (guint i = 0; i < sorted->len && r >= 0; i++) {
		const struct spec_mount *m = g_ptr_array_index(sorted, i);

		if (is_shared(m)) {
			r = plan_share(k, m, i, e);
			continue;
		}
		in(k, AT_HOST, &step_mount_in, ROOT, "tmpfs", m->target, "tmpfs",
			m->read_only ? "nosuid,nodev,noexec,ro" : "nosuid,nodev,noexec",
			m->size > 0 ? plan_str(k->b->p, "mode=%o,size=%" G_GINT64_FORMAT,
					      m->mode < 0 ? 01777 : (unsigned)m->mode, m->size)
				    : plan_str(k->b->p, "mode=%o",
					      m->mode < 0 ? 01777 : (unsigned)m->mode));
	}
	return r;
}

/* --- network ------------------------------------------------------------------------------------------------------ */

static int plan_network(struct inside *k, struct err *e)
{
	struct vm_build *b = k->b;
	g_autoptr(GPtrArray) mac = g_ptr_array_new();
	int n = vm_networks(b, mac, e);

	if (n < 0)
		return n;
	if (n > 0)
		g_ptr_array_add(k->features, (char *)"net");
	for (guint i = 0; i < mac->len; i++) {
		vm_argf(b, "-device", "virtio-net-device,netdev=n%u,mac=%s", i,
			(char *)mac->pdata[i]);
	}
	return 0;
}

static void plan_network_inside(struct inside *k)
{
	struct vm_build *b = k->b;

	for (unsigned i = 0; b->s->net && i < plan_len(b->s->net); i++) {
		const struct step *s = plan_step(b->s->net, i);

		if (s->op == &step_veth)
			in(k, AT_HOST, &step_nic, s->arg[3], s->arg[1]);
		else if (s->op == &step_passt)
			in(k, AT_HOST, &step_nic, s->arg[1], s->arg[0]);
	}
	for (unsigned i = 0; b->s->net && i < plan_len(b->s->net); i++) {
		const struct step *s = plan_step(b->s->net, i);

		if (s->at == AT_CHILD)
			plan_addv(b->p, AT_HOST, STEP_MACHINE, s->op, s->arg, s->n);
	}
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static const char *hex(struct plan *p, uint64_t mask)
{
	return plan_str(p, "%" G_GINT64_MODIFIER "x", mask);
}

/* Capabilities as a container's: the kernel is the machine's own, but what runs in there is the same. */
static void plan_user(struct plan *p, unsigned flags, const struct spec *s, bool privileged,
	const char *user, const char *groups)
{
	uint64_t caps = privileged ? caps_bounding() : s->caps;

	plan_addf(p, AT_CHILD, flags, &step_caps_bounding, hex(p, caps), NULL);
	plan_addf(p, AT_CHILD, flags, &step_user, user, groups, NULL);
	plan_addf(p, AT_CHILD, flags, &step_caps, hex(p, caps), hex(p, caps), "0", "0", NULL);
	if (s->no_new_privs)
		plan_addf(p, AT_CHILD, flags, &step_no_new_privs, NULL);
	plan_addf(p, AT_CHILD, flags, &step_close_fds, NULL);
}

static void plan_rlimits(struct inside *k)
{
	const struct spec *s = k->b->spec;

	for (guint i = 0; i < s->rlimits->len; i++) {
		const struct spec_rlimit *l = g_ptr_array_index(s->rlimits, i);

		in(k, AT_CHILD, &step_rlimit, l->name,
			l->soft == UINT64_MAX ? "unlimited"
					      : plan_str(k->b->p, "%" G_GUINT64_FORMAT, l->soft),
			l->hard == UINT64_MAX ? "unlimited"
					      : plan_str(k->b->p, "%" G_GUINT64_FORMAT, l->hard));
	}
}

static void plan_argv(struct inside *k)
{
	const struct spec *s = k->b->spec;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();

	if (s->init) {
		g_ptr_array_add(argv, (char *)"/dev/lodge-init");
		g_ptr_array_add(argv, (char *)"--");
	}
	for (char **a = s->argv; *a; a++)
		g_ptr_array_add(argv, *a);
	plan_addv(k->b->p, AT_CHILD, STEP_MACHINE, &step_exec, (const char *const *)argv->pdata,
		argv->len);
}

static void plan_command(struct inside *k)
{
	const struct spec *s = k->b->spec;
	g_autofree char *groups = s->groups ? g_strjoinv(",", s->groups) : g_strdup("");

	in(k, AT_CLONE, &step_clone, "mnt,pid");
	in(k, AT_CHILD, &step_private, "rprivate");
	in(k, AT_CHILD, &step_mount_in, ROOT, "proc", "/proc", "proc", "nosuid,nodev,noexec", "");
	if (s->tty)
		in(k, AT_CHILD, &step_console, ROOT, "1");
	in(k, AT_CHILD, &step_switch_root, ROOT, "");
	if (s->read_only)
		in(k, AT_CHILD, &step_remount_ro, "/");
	plan_rlimits(k);
	if (s->oom_score_adj)
		in(k, AT_CHILD, &step_oom_score, plan_str(k->b->p, "%d", s->oom_score_adj));
	plan_addv(k->b->p, AT_CHILD, STEP_MACHINE, &step_env, (const char *const *)s->env,
		s->env ? g_strv_length(s->env) : 0);
	in(k, AT_CHILD, &step_session, s->tty ? "1" : "");
	in(k, AT_CHILD, &step_umask, "022");
	in(k, AT_CHILD, &step_cwd, s->cwd && s->cwd[0] ? s->cwd : "/");
	plan_user(k->b->p, STEP_MACHINE, s, s->privileged, s->user ? s->user : "", groups);
	plan_argv(k);
}

/* --- all of it ------------------------------------------------------------------------------------------------------ */

static int plan_modules(struct inside *k, const struct vm_kernel *kernel, struct err *e)
{
	g_auto(GStrv) modules = NULL;
	int r;

	g_ptr_array_add(k->features, NULL);
	r = vm_kernel_modules(kernel, (const char *const *)k->features->pdata, &modules, e);
	for (char **m = modules; r >= 0 && m && *m; m++)
		in(k, AT_HOST, &step_module, *m);
	return r;
}

static int plan_inside(struct inside *k, const struct vm_kernel *kernel, struct err *e)
{
	const struct spec *s = k->b->spec;
	int r;

	r = plan_network(k, e);
	k->many = g_strv_length(s->layers) > LAYERS_BY_BLK;
	if (k->many)
		g_ptr_array_add(k->features, (char *)"scsi");
	if (r >= 0 && any_shared(s))
		g_ptr_array_add(k->features, (char *)"fs");
	if (r >= 0)
		r = plan_modules(k, kernel, e);
	if (r < 0)
		return r;
	r = plan_root(k, e);
	if (r < 0)
		return r;
	if (k->b->s->held) /* files only: for lodge-init's services */
		return plan_mounts(k, e);
	plan_kernel_files(k);
	plan_etc(k);
	r = plan_mounts(k, e);
	if (r < 0)
		return r;
	if (s->hostname)
		in(k, AT_HOST, &step_hostname, s->hostname);
	if (s->domainname)
		in(k, AT_HOST, &step_domainname, s->domainname);
	plan_network_inside(k);
	for (guint i = 0; i < s->sysctls->len; i++) {
		const struct spec_pair *v = g_ptr_array_index(s->sysctls, i);

		in(k, AT_HOST, &step_sysctl, v->key, v->value);
	}
	plan_command(k);
	return 0;
}

int vm_plan_init(struct vm_build *b, struct err *e)
{
	_cleanup_(vm_kernel_freep) struct vm_kernel *kernel = NULL;
	g_autoptr(GPtrArray) features = g_ptr_array_new();
	struct inside k = { .b = b, .features = features };
	int64_t memory = b->spec->limits.memory ? b->spec->limits.memory : MEMORY_DEFAULT;
	int r;

	r = check_spec(b->spec, b->s->held, e);
	if (r >= 0)
		r = vm_kernel_get(b->c, b->c->explain ? VM_KERNEL_PREPARED : 0, &kernel, e);
	if (r < 0)
		return r;
	machine_words(b, kernel, memory, any_shared(b->spec));
	r = plan_inside(&k, kernel, e);
	if (r < 0)
		return r;
	vm_arg(b, "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	return vm_plan_process(b, e);
}

/* --- further commands --------------------------------------------------------------------------------------------------- */

int vm_plan_exec(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
	struct plan *p, uint32_t flags, struct err *e)
{
	const struct spec *spec = s->spec;
	g_autofree char *groups =
		spec->groups && !x->user ? g_strjoinv(",", spec->groups) : g_strdup("");
	g_auto(GStrv) env = engine_env(spec->env, x->env);
	const char *cwd = x->cwd ? x->cwd : spec->cwd;

	if (!x->argv || !x->argv[0])
		return err_set(e, -E_INVALID, "no command to execute");
	plan_add(p, AT_HOST, &step_enter, "pid");
	plan_add(p, AT_CLONE, &step_clone, "");
	plan_add(p, AT_CHILD, &step_enter, "mnt");
	if (x->tty)
		plan_add(p, AT_CHILD, &step_console, "/", "");
	plan_addv(p, AT_CHILD, 0, &step_env, (const char *const *)env, g_strv_length(env));
	plan_add(p, AT_CHILD, &step_session, x->tty ? "1" : "");
	plan_add(p, AT_CHILD, &step_umask, "022");
	plan_add(p, AT_CHILD, &step_cwd, cwd && cwd[0] ? cwd : "/");
	plan_user(p, 0, spec, x->privileged || spec->privileged,
		x->user	     ? x->user
		: spec->user ? spec->user
			     : "",
		groups);
	plan_addv(p, AT_CHILD, 0, &step_exec, (const char *const *)x->argv, g_strv_length(x->argv));
	return ENGINE_CARRIED;
}
