/* SPDX-License-Identifier: MIT */
#include "host/probe.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/text.h"
#include "host/caps.h"
#include "host/cgroup.h"
#include "host/proc.h"
#include "host/smallfile.h"

enum {
	TRY_MS = 5000,
	GUESTS = 1000, /* what the limits are measured against */
};

#define MIB (UINT64_C(1) << 20)

/* --- rows ------------------------------------------------------------------------------------------ */

void probe_add(struct probes *p, enum probe_status status, const char *name, const char *fmt, ...)
{
	struct probe *row;
	va_list ap;

	if (p->n == PROBE_MAX)
		return;
	row = &p->row[p->n++];
	*row = (struct probe){ .status = status };
	(void)snprintf(row->name, sizeof(row->name), "%s", name);
	va_start(ap, fmt);
	(void)vsnprintf(row->detail, sizeof(row->detail), fmt, ap);
	va_end(ap);
}

void probe_mend(struct probes *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n == 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(p->row[p->n - 1].mend, sizeof(p->row[0].mend), fmt, ap);
	va_end(ap);
}

int probe_try(int (*f)(void), int timeout_ms)
{
	pid_t pid = fork();
	struct pollfd pfd;
	int status, fd;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit(f());
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (fd >= 0 && poll(&pfd, 1, timeout_ms) == 0) {
		(void)kill(pid, SIGKILL);
		/* one that hangs in the kernel doesn't die of it: it isn't waited for */
		if (poll(&pfd, 1, 500) == 0) {
			(void)close(fd);
			return -ETIMEDOUT;
		}
		status = -1;
	} else
		status = 0;
	closep(&fd);
	if (status < 0) {
		(void)waitpid(pid, &status, 0);
		return -ETIMEDOUT;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EFAULT;
}

/* --- kernel ---------------------------------------------------------------------------------------- */

static void kernel_version(char *release, size_t size, unsigned *major, unsigned *minor)
{
	struct utsname u;
	const char *p;

	*major = *minor = 0;
	release[0] = '\0';
	if (uname(&u) < 0)
		return;
	(void)snprintf(release, size, "%s", u.release);
	p = u.release;
	(void)small_take_two(&p, '.', major, minor);
}

/* In the kernel, or as a module that a mount loads. */
static bool has_filesystem(const char *name)
{
	char line[512], release[65], file[160];
	unsigned major, minor;
	size_t n = strlen(name);
	bool found = false;
	FILE *f = fopen("/proc/filesystems", "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		const char *tab = strchr(line, '\t');

		found = tab && strncmp(tab + 1, name, n) == 0 && tab[1 + n] == '\n';
	}
	if (f)
		(void)fclose(f);
	if (found)
		return true;
	kernel_version(release, sizeof(release), &major, &minor);
	(void)snprintf(file, sizeof(file), "/lib/modules/%s/modules.dep", release);
	f = fopen(file, "re");
	(void)snprintf(file, sizeof(file), "/%s.ko", name);
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, file) != NULL;
	if (f)
		(void)fclose(f);
	return found;
}

/* In a mount namespace of its own, on a tmpfs. */
static int try_overlay(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", "/tmp", "tmpfs", 0, NULL) < 0 || mkdir("/tmp/l", 0755) < 0 ||
		mkdir("/tmp/u", 0755) < 0 || mkdir("/tmp/w", 0755) < 0 || mkdir("/tmp/m", 0755) < 0)
		return 1;
	if (mount("overlay", "/tmp/m", "overlay", 0,
		    "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w") < 0)
		return 2;
	return open("/tmp/m/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) < 0 ? 3 : 0;
}

static int try_userns(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? 1 : 0;
}

static void probe_version(struct probes *p)
{
	char release[65];
	unsigned major, minor;

	kernel_version(release, sizeof(release), &major, &minor);
	if (major > 5 || (major == 5 && minor >= 14))
		probe_add(p, PROBE_OK, "kernel", "Linux %s", release);
	else if (major == 5 && minor >= 12) {
		probe_add(p, PROBE_WARN, "kernel", "Linux %s: guests are killed process by process",
			release);
		probe_mend(p, "Linux 5.14 or newer has cgroup.kill");
	} else {
		probe_add(p, PROBE_FAIL, "kernel", "Linux %s is too old", release);
		probe_mend(p, "Linux 5.14 or newer is needed (mount_setattr, openat2, "
			      "CLONE_INTO_CGROUP)");
	}
}

static void probe_erofs(struct probes *p)
{
	char release[65];
	unsigned major, minor;
	bool loop = access("/dev/loop-control", F_OK) == 0 || has_filesystem("loop");

	kernel_version(release, sizeof(release), &major, &minor);
	if (!has_filesystem("erofs")) {
		probe_add(p, PROBE_WARN, "erofs",
			"the kernel has no EROFS: layers are unpacked into folders");
		probe_mend(p, "a kernel with CONFIG_EROFS_FS; folders work, but share less memory");
	} else if (major > 6 || (major == 6 && minor >= 12))
		probe_add(p, PROBE_OK, "erofs", "layers are mounted from their files");
	else if (loop)
		probe_add(p, PROBE_OK, "erofs", "layers are mounted through loop devices");
	else {
		probe_add(p, PROBE_WARN, "erofs",
			"EROFS needs loop devices before Linux 6.12, and there are none");
		probe_mend(p, "modprobe loop");
	}
}

static void probe_namespaces(struct probes *p)
{
	static const char *const kinds[] = { "mnt", "pid", "net", "uts", "ipc", "user", "cgroup",
		"time" };
	char file[64], missing[64] = "";
	struct text t = TEXT_ON(missing);
	bool essential = false;

	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		(void)snprintf(file, sizeof(file), "/proc/self/ns/%s", kinds[i]);
		if (access(file, F_OK) == 0)
			continue;
		text_addf(&t, "%s%s", t.n ? " " : "", kinds[i]);
		essential |= i < 5;
	}
	if (missing[0] == '\0')
		probe_add(p, PROBE_OK, "namespaces", "all eight kinds");
	else {
		probe_add(p, essential ? PROBE_FAIL : PROBE_WARN, "namespaces", "missing: %s",
			missing);
		probe_mend(p, "a kernel with CONFIG_NAMESPACES and all below it");
	}
}

static void probe_userns(struct probes *p)
{
	uint64_t max = 1;
	char text[16];

	(void)small_read_u64("/proc/sys/user/max_user_namespaces", &max);
	if (probe_try(try_userns, TRY_MS) == 0) {
		probe_add(p, PROBE_OK, "user namespaces", "can be made, %llu at most",
			(unsigned long long)max);
		return;
	}
	probe_add(p, geteuid() == 0 ? PROBE_WARN : PROBE_FAIL, "user namespaces", "can't be made");
	if (max == 0)
		probe_mend(p, "sysctl -w user.max_user_namespaces=15000");
	else if (small_read("/proc/sys/kernel/unprivileged_userns_clone", text, sizeof(text)) > 0 &&
		 text[0] == '0')
		probe_mend(p, "sysctl -w kernel.unprivileged_userns_clone=1");
	else if (small_read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", text,
			 sizeof(text)) > 0 &&
		 text[0] == '1')
		probe_mend(p, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
	else
		probe_mend(p, "a kernel with CONFIG_USER_NS; --userns doesn't work until then");
}

static void probe_cgroups(struct probes *p)
{
	const struct cgroup_host *h = cgroup_host();
	static const char *const names[] = { "cpu", "cpuset", "memory", "pids", "io", "hugetlb" };
	unsigned have = cgroup_controllers(h);
	char has[128] = "", lacks[128] = "";
	struct text a = TEXT_ON(has), b = TEXT_ON(lacks);

	if (h->mode == CGROUP_NONE) {
		probe_add(p, PROBE_FAIL, "cgroups", "none are mounted");
		probe_mend(p, "mount -t cgroup2 none /sys/fs/cgroup");
		return;
	}
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		struct text *t = have & cgroup_controller_bit(names[i]) ? &a : &b;

		text_addf(t, "%s%s", t->n ? " " : "", names[i]);
	}
	if ((have & (CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_PIDS))) !=
		(CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_PIDS))) {
		probe_add(p, PROBE_WARN, "cgroups", "%s: %s; without %s", cgroup_mode_name(h->mode),
			has, lacks);
		probe_mend(p,
			"start the kernel with cgroup_enable=memory, or delegate the controllers");
	} else
		probe_add(p, PROBE_OK, "cgroups", "%s: %s%s%s", cgroup_mode_name(h->mode), has,
			lacks[0] ? "; without " : "", lacks);
}

static void probe_swap(struct probes *p)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 40];
	bool v2;

	/* v2's root has no memory.swap.max: it is looked for one below, where there is one */
	if (cgroup_dir(h, ".", CGROUP_MEMORY, dir, &v2) < 0 || v2)
		return;
	(void)snprintf(file, sizeof(file), "%s/memory.memsw.limit_in_bytes", dir);
	if (access(file, F_OK) == 0)
		return;
	probe_add(p, PROBE_WARN, "swap limits", "swap isn't accounted: --memory-swap doesn't work");
	probe_mend(p, "start the kernel with swapaccount=1");
}

void probe_kernel(struct probes *p)
{
	probe_version(p);
	if (geteuid() != 0) {
		probe_add(p, PROBE_WARN, "user", "not root: most of this, and guests, need root");
		probe_mend(p, "sudo lodge doctor");
	}
	probe_namespaces(p);
	probe_userns(p);
	probe_cgroups(p);
	probe_swap(p);
	if (geteuid() == 0 ? probe_try(try_overlay, TRY_MS) == 0 : has_filesystem("overlay"))
		probe_add(p, PROBE_OK, "overlay", "works");
	else {
		probe_add(p, PROBE_FAIL, "overlay", "can't be mounted");
		probe_mend(p, "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS");
	}
	probe_erofs(p);
}

/* --- security -------------------------------------------------------------------------------------- */

static void probe_lsm(struct probes *p)
{
	unsigned lsm = lsm_enabled();
	bool parser = program_find("apparmor_parser", NULL);

	if (lsm & LSM_APPARMOR && parser)
		probe_add(p, PROBE_OK, "apparmor", "active%s",
			apparmor_loaded(APPARMOR_DEFAULT) == 1
				? ", profile " APPARMOR_DEFAULT " is loaded"
				: ", " APPARMOR_DEFAULT " loads with the first guest");
	else if (lsm & LSM_APPARMOR) {
		probe_add(p, PROBE_WARN, "apparmor",
			"active, but its parser is missing: guests run unconfined");
		probe_mend(p, "apt install apparmor");
	}
	if (lsm & LSM_SELINUX)
		probe_add(p, PROBE_OK, "selinux", "active: labels by --security-opt label=");
	if (!lsm)
		probe_add(p, PROBE_OK, "security module",
			"neither AppArmor nor SELinux: guests have seccomp and capabilities only");
}

void probe_security(struct probes *p)
{
	static const uint64_t wanted[] = { 0 /* CHOWN */, 12 /* NET_ADMIN */, 21 /* SYS_ADMIN */,
		24 /* SYS_RESOURCE */, 27 /* MKNOD */ };
	uint32_t action = SECCOMP_RET_ERRNO;
	uint64_t own = caps_bounding(), lacks = 0;
	char names[160] = "";
	struct text t = TEXT_ON(names);

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		probe_add(p, PROBE_OK, "seccomp", "filters can be set");
	else {
		probe_add(p, PROBE_FAIL, "seccomp", "the kernel has no filters");
		probe_mend(p, "a kernel with CONFIG_SECCOMP_FILTER, or --security-opt "
			      "seccomp=unconfined");
	}
	probe_lsm(p);
	for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
		lacks |= CAPS_BIT(wanted[i]) & ~own;
	lacks |= caps_default & ~own;
	caps_show(lacks, &t);
	if (!lacks)
		probe_add(p, PROBE_OK, "capabilities", "all that guests can be given");
	else {
		probe_add(p, lacks & CAPS_BIT(21) ? PROBE_FAIL : PROBE_WARN, "capabilities",
			"this process lacks %s", names);
		probe_mend(p, "start Lodge outside of a container, or give the container these");
	}
}

/* --- folders --------------------------------------------------------------------------------------- */

static void probe_space(struct probes *p, const char *name, const char *path)
{
	char dir[4096];
	struct statvfs v;
	uint64_t free;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	/* of what isn't made yet, that above it */
	while (statvfs(dir, &v) < 0) {
		char *slash = strrchr(dir, '/');

		if (errno != ENOENT || !slash || dir[1] == '\0') {
			probe_add(p, PROBE_FAIL, name, "'%s' can't be used: %s", path,
				strerror(errno));
			probe_mend(p, "set LODGE_ROOT or LODGE_RUN to a folder that can be made");
			return;
		}
		slash[slash == dir] = '\0';
	}
	free = (uint64_t)v.f_bavail * v.f_frsize;
	if (v.f_flag & ST_RDONLY) {
		probe_add(p, PROBE_FAIL, name, "'%s' is read-only", dir);
		probe_mend(p, "set LODGE_ROOT or LODGE_RUN to a folder that can be written to");
	} else if (free < 64 * MIB || (v.f_files && v.f_favail < 1000)) {
		probe_add(p, PROBE_FAIL, name, "'%s' is full: %llu MiB and %llu inodes are left",
			dir, (unsigned long long)(free / MIB), (unsigned long long)v.f_favail);
		probe_mend(p, "lodge system prune, or free space there");
	} else if (strcmp(name, "storage") == 0 && free < 2048 * MIB) {
		probe_add(p, PROBE_WARN, name, "'%s' has %llu MiB left", dir,
			(unsigned long long)(free / MIB));
		probe_mend(p, "lodge system prune, or set LODGE_ROOT to a larger file system");
	} else
		probe_add(p, PROBE_OK, name, "'%s' has %.1f GiB left", dir,
			(double)free / (1024.0 * MIB));
}

void probe_files(struct probes *p, const char *root, const char *run)
{
	probe_space(p, "storage", root);
	probe_space(p, "run folder", run);
	if (access("/dev/fuse", F_OK) < 0 && geteuid() != 0) {
		probe_add(p, PROBE_WARN, "fuse", "no /dev/fuse");
		probe_mend(p, "modprobe fuse");
	}
	if (access("/dev/net/tun", F_OK) == 0)
		probe_add(p, PROBE_OK, "tun", "/dev/net/tun is there");
	else {
		probe_add(p, PROBE_WARN, "tun",
			"no /dev/net/tun: virtual machines get no bridged network");
		probe_mend(p, "modprobe tun");
	}
}

/* --- programs -------------------------------------------------------------------------------------- */

void probe_programs(struct probes *p)
{
	static const struct {
		const char *name, *other, *package, *use;
	} programs[] = {
		{ "mmdebstrap", "debootstrap", "mmdebstrap",
			"images from a distribution's mirror" },
		{ "newuidmap", NULL, "uidmap", "guests of users without root" },
		{ "qemu-system-x86_64", "qemu-system-aarch64", "qemu-system-x86",
			"virtual machines" },
		{ "virtiofsd", "/usr/lib/qemu/virtiofsd", "virtiofsd",
			"shared folders of virtual machines" },
		{ "mke2fs", "/sbin/mke2fs", "e2fsprogs", "what virtual machines write to" },
		{ "passt", NULL, "passt", "networks of users without root" },
		{ "fsck.erofs", NULL, "erofs-utils", "checking layers with 'lodge fsck'" },
		{ "busybox", NULL, "busybox-static", "the image 'busybox' from this host" },
		{ "modprobe", NULL, "kmod", "loading kernel modules" },
	};
	char missing[256] = "", mend[256] = "";
	struct text t = TEXT_ON(missing), m = TEXT_ON(mend);

	for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
		const char *other = programs[i].other;

		if (program_find(programs[i].name, NULL))
			continue;
		if (other &&
			(other[0] == '/' ? access(other, X_OK) == 0 : program_find(other, NULL)))
			continue;
		text_addf(&t, "%s%s (%s)", t.n ? ", " : "", programs[i].name, programs[i].use);
		text_addf(&m, " %s", programs[i].package);
	}
	if (!missing[0]) {
		probe_add(p, PROBE_OK, "programs", "all that Lodge can use are installed");
		return;
	}
	probe_add(p, PROBE_WARN, "programs", "missing: %s", missing);
	probe_mend(p, "apt install%s", mend);
}

/* --- limits ---------------------------------------------------------------------------------------- */

/* A knob of the kernel that a thousand guests meet. */
static void probe_knob(
	struct probes *p, const char *key, const char *file, uint64_t least, const char *why)
{
	char path[128];
	uint64_t v;

	(void)snprintf(path, sizeof(path), "/proc/sys/%s", file);
	if (small_read_u64(path, &v) < 0 || v >= least)
		return;
	probe_add(p, PROBE_WARN, key, "is %llu: %s", (unsigned long long)v, why);
	probe_mend(p, "sysctl -w %s=%llu", key, (unsigned long long)least);
}

static void probe_rlimit(
	struct probes *p, const char *name, int which, uint64_t least, const char *why)
{
	struct rlimit l;

	if (getrlimit((enum __rlimit_resource)which, &l) < 0 || l.rlim_max >= least)
		return;
	probe_add(p, PROBE_WARN, name, "the hard limit is %llu: %s", (unsigned long long)l.rlim_max,
		why);
	probe_mend(
		p, "raise it where Lodge is started: ulimit -H, limits.conf(5), systemd.exec(5)");
}

void probe_limits(struct probes *p)
{
	size_t before = p->n;

	probe_rlimit(p, "limit nofile", RLIMIT_NOFILE, 65536,
		"no guest can be given more open files than that");
	probe_rlimit(p, "limit nproc", RLIMIT_NPROC, 16 * GUESTS, "all guests of a user share it");
	probe_knob(p, "kernel.pid_max", "kernel/pid_max", 32 * GUESTS,
		"processes of all guests together");
	probe_knob(p, "kernel.threads-max", "kernel/threads-max", 32 * GUESTS,
		"threads of all guests together");
	probe_knob(p, "fs.inotify.max_user_instances", "fs/inotify/max_user_instances", GUESTS,
		"guests with systemd or a file watcher need some each");
	probe_knob(p, "fs.inotify.max_user_watches", "fs/inotify/max_user_watches", 64 * GUESTS,
		"file watchers of all guests together");
	probe_knob(p, "user.max_net_namespaces", "user/max_net_namespaces", 2 * GUESTS,
		"one for each guest");
	probe_knob(p, "user.max_mnt_namespaces", "user/max_mnt_namespaces", 2 * GUESTS,
		"one for each guest");
	probe_knob(
		p, "fs.file-max", "fs/file-max", 256 * GUESTS, "open files of all guests together");
	probe_knob(p, "kernel.pty.max", "kernel/pty/max", GUESTS,
		"one for each guest with a terminal");
	probe_knob(p, "net.ipv4.neigh.default.gc_thresh3", "net/ipv4/neigh/default/gc_thresh3",
		GUESTS, "neighbours of all networks together");
	if (p->n == before)
		probe_add(p, PROBE_OK, "limits", "high enough for %d guests", GUESTS);
}

void probe_all(struct probes *p, const char *root, const char *run)
{
	p->n = 0;
	probe_kernel(p);
	probe_security(p);
	probe_files(p, root, run);
	probe_network(p);
	probe_limits(p);
	probe_programs(p);
	probe_kvm(p);
}
