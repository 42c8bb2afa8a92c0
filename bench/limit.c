/* SPDX-License-Identifier: MIT */

/*
 * limit: what the kernel alone takes for a container. No store, no records, no log, no monitor: one static
 * program that makes the same namespaces, overlay, /proc, /sys, /dev, cgroups, filter and network as
 * `lodge run --rm`, executes the command, waits and cleans up.
 *
 *	limit [-b BRIDGE] LOWER SCRATCH CGROUP COMMAND [ARGUMENT...]
 *
 * LOWER is a root file system, SCRATCH a folder on a real disk, CGROUP a name. -b adds a veth pair to a
 * bridge that is there, with 10.213.0.2/16 in the guest and a default route.
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_CAPS 0xa80425fbULL
#define FILTER_CALLS 150 /* about half of the calls that a default filter lists */
#define CGROUP_ROOT  "/sys/fs/cgroup"
#define PATH_SIZE    512

static const char *const v1[] = { "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer",
	"blkio", "pids" };

static void must(long r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void put(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);

	must(fd, path);
	must(write(fd, text, strlen(text)), path);
	close(fd);
}

/* --- cgroups: each hierarchy gets one of this name --------------------------------------------------- */

static bool is_v2(void)
{
	return access(CGROUP_ROOT "/cgroup.controllers", F_OK) == 0;
}

/* Opens the cgroup in the unified hierarchy, or -1 where there is none. */
static int make_cgroups(const char *name)
{
	char path[PATH_SIZE];

	for (size_t i = 0; !is_v2() && i < sizeof(v1) / sizeof(*v1); i++) {
		(void)snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", v1[i], name);
		must(mkdir(path, 0755), path);
		if (strcmp(v1[i], "cpuset"))
			continue;
		(void)snprintf(path, sizeof(path), CGROUP_ROOT "/cpuset/%s/cpuset.cpus", name);
		put(AT_FDCWD, path, "0");
		(void)snprintf(path, sizeof(path), CGROUP_ROOT "/cpuset/%s/cpuset.mems", name);
		put(AT_FDCWD, path, "0");
	}
	(void)snprintf(
		path, sizeof(path), "%s/%s", is_v2() ? CGROUP_ROOT : CGROUP_ROOT "/unified", name);
	if (mkdir(path, 0755) < 0)
		return -1;
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The child itself: moving oneself doesn't wait for a grace period, moving another process does. */
static void join_cgroups(const char *name)
{
	char path[PATH_SIZE];

	for (size_t i = 0; !is_v2() && i < sizeof(v1) / sizeof(*v1); i++) {
		(void)snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s/tasks", v1[i], name);
		put(AT_FDCWD, path, "0");
	}
}

static void remove_cgroups(const char *name)
{
	char path[PATH_SIZE];

	for (size_t i = 0; !is_v2() && i < sizeof(v1) / sizeof(*v1); i++) {
		(void)snprintf(path, sizeof(path), CGROUP_ROOT "/%s/%s", v1[i], name);
		must(rmdir(path), path);
	}
	(void)snprintf(
		path, sizeof(path), "%s/%s", is_v2() ? CGROUP_ROOT : CGROUP_ROOT "/unified", name);
	(void)rmdir(path);
}

/* --- netlink ----------------------------------------------------------------------------------------- */

struct request {
	struct nlmsghdr h;
	char body[1024];
};

static struct rtattr *attribute(struct request *q, int type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	q->h.nlmsg_len = NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void close_nest(struct request *q, struct rtattr *a)
{
	a->rta_len = (unsigned short)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len) - (char *)a);
}

static void ask(int fd, struct request *q, const char *what)
{
	char reply[4096];
	struct nlmsgerr *e = NLMSG_DATA((struct nlmsghdr *)reply);

	q->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	must(send(fd, q, q->h.nlmsg_len, 0), what);
	must(recv(fd, reply, sizeof(reply), 0), what);
	errno = -e->error;
	must(e->error, what);
}

static struct request request(int type, int flags, size_t body)
{
	return (struct request){ .h = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
					 .nlmsg_type = (uint16_t)type,
					 .nlmsg_flags = (uint16_t)flags } };
}

static void link_up(int fd, unsigned index)
{
	struct request q = request(RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
	struct ifinfomsg *i = NLMSG_DATA(&q.h);

	i->ifi_index = (int)index;
	i->ifi_flags = i->ifi_change = IFF_UP;
	ask(fd, &q, "link up");
}

static void make_veth(const char *bridge, pid_t child)
{
	struct request q =
		request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	struct ifinfomsg *i = NLMSG_DATA(&q.h), peer_info = { 0 };
	struct rtattr *info, *data, *peer;
	unsigned master = if_nametoindex(bridge);
	uint32_t pid = (uint32_t)child;
	char name[IFNAMSIZ];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	must(fd, "netlink");
	i->ifi_flags = i->ifi_change = IFF_UP;
	(void)snprintf(name, sizeof(name), "limit%d", (int)child);
	attribute(&q, IFLA_IFNAME, name, strlen(name) + 1);
	attribute(&q, IFLA_MASTER, &master, sizeof(master));
	info = attribute(&q, IFLA_LINKINFO, NULL, 0);
	attribute(&q, IFLA_INFO_KIND, "veth", 4);
	data = attribute(&q, IFLA_INFO_DATA, NULL, 0);
	peer = attribute(&q, VETH_INFO_PEER, &peer_info, sizeof(peer_info));
	attribute(&q, IFLA_IFNAME, "eth0", 5);
	attribute(&q, IFLA_NET_NS_PID, &pid, sizeof(pid));
	close_nest(&q, peer);
	close_nest(&q, data);
	close_nest(&q, info);
	ask(fd, &q, "veth");
	close(fd);
}

static void network_inside(bool veth)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct request a =
		request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifaddrmsg));
	struct request r = request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct rtmsg));
	struct ifaddrmsg *address = NLMSG_DATA(&a.h);
	struct rtmsg *route = NLMSG_DATA(&r.h);
	uint32_t own = inet_addr("10.213.0.2"), gateway = inet_addr("10.213.0.1");
	unsigned index;

	must(fd, "netlink");
	link_up(fd, 1);
	if (veth) {
		index = if_nametoindex("eth0");
		address->ifa_family = AF_INET;
		address->ifa_prefixlen = 16;
		address->ifa_index = index;
		attribute(&a, IFA_LOCAL, &own, sizeof(own));
		attribute(&a, IFA_ADDRESS, &own, sizeof(own));
		ask(fd, &a, "address");
		link_up(fd, index);
		route->rtm_family = AF_INET;
		route->rtm_table = RT_TABLE_MAIN;
		route->rtm_protocol = RTPROT_BOOT;
		route->rtm_type = RTN_UNICAST;
		attribute(&r, RTA_GATEWAY, &gateway, sizeof(gateway));
		attribute(&r, RTA_OIF, &index, sizeof(index));
		ask(fd, &r, "route");
	}
	close(fd);
}

/* --- the root ---------------------------------------------------------------------------------------- */

static void make_dev(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = { { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" },
		{ "/proc/self/fd/0", "dev/stdin" }, { "/proc/self/fd/1", "dev/stdout" },
		{ "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" } };
	unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"), "dev");
	must(mkdir("dev/pts", 0755), "dev/pts");
	must(mkdir("dev/shm", 0755), "dev/shm");
	must(mkdir("dev/mqueue", 0755), "dev/mqueue");
	must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "newinstance,ptmxmode=0666,mode=0620"),
		"dev/pts");
	must(mount("shm", "dev/shm", "tmpfs", plain, "mode=1777,size=65536k"), "dev/shm");
	must(mount("mqueue", "dev/mqueue", "mqueue", plain, NULL), "dev/mqueue");
	umask(0);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
			"node");
	umask(022);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		must(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void make_root(const char *lower, const char *work)
{
	static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list" };
	static const char *const fixed[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
		"/proc/sysrq-trigger" };
	char options[4 * PATH_SIZE], root[PATH_SIZE + 8];
	unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	(void)snprintf(root, sizeof(root), "%s/root", work);
	(void)snprintf(options, sizeof(options),
		"lowerdir=%s,upperdir=%s/upper,workdir=%s/work,volatile", lower, work, work);
	must(mount("overlay", root, "overlay", 0, options), "overlay");
	must(chdir(root), root);
	must(mount("proc", "proc", "proc", plain, NULL), "proc");
	must(mount("sysfs", "sys", "sysfs", plain | MS_RDONLY, NULL), "sys");
	make_dev();
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	must(chdir("/"), "/");
	for (size_t i = 0; i < sizeof(masked) / sizeof(*masked); i++)
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			must(-1, masked[i]);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		if (mount(fixed[i], fixed[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		must(mount(NULL, fixed[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | plain, NULL),
			fixed[i]);
	}
}

static void drop_rights(void)
{
	static struct sock_filter f[2 * FILTER_CALLS + 5];
	struct sock_fprog program = { .filter = f };
	unsigned short n = 0;

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(DEFAULT_CAPS >> cap & 1))
			must(prctl(PR_CAPBSET_DROP, cap), "capability");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	/* calls that nobody makes: each call of the command walks the list, as with a real filter */
	for (unsigned i = 0; i < FILTER_CALLS; i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5000 + i, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static void remove_tree(int dir, const char *name)
{
	struct dirent *entry;
	DIR *d;
	int fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_tree(fd, entry->d_name);
	closedir(d);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

/* --- one container ------------------------------------------------------------------------------------ */

struct job {
	const char *bridge, *lower, *cgroup;
	char **argv;
	char work[PATH_SIZE];
	int go[2];
};

static void child(const struct job *j)
{
	char c;

	close(j->go[1]);
	if (read(j->go[0], &c, 1) != 1)
		_exit(125);
	join_cgroups(j->cgroup);
	must(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	network_inside(j->bridge);
	make_root(j->lower, j->work);
	must(sethostname("limit", 5), "hostname");
	drop_rights();
	execv(j->argv[0], j->argv);
	must(-1, j->argv[0]);
}

static int run(struct job *j)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
					    CLONE_NEWIPC | CLONE_NEWNET,
		.exit_signal = SIGCHLD };
	int fd = make_cgroups(j->cgroup), status = 0;
	pid_t pid;

	must(pipe2(j->go, O_CLOEXEC), "pipe");
	if (fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	must(pid, "clone");
	if (pid == 0)
		child(j);
	close(j->go[0]);
	if (fd >= 0)
		close(fd);
	if (j->bridge)
		make_veth(j->bridge, pid);
	must(write(j->go[1], "x", 1), "go");
	must(waitpid(pid, &status, 0), "wait");
	remove_cgroups(j->cgroup);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	static const char *const parts[] = { "", "/root", "/upper", "/work" };
	struct job j = { 0 };
	char path[PATH_SIZE + 8];
	int r;

	if (argc > 2 && strcmp(argv[1], "-b") == 0) {
		j.bridge = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 5) {
		fprintf(stderr, "limit: wants LOWER SCRATCH CGROUP COMMAND\n");
		return 2;
	}
	j.lower = argv[1];
	j.cgroup = argv[3];
	j.argv = argv + 4;
	(void)snprintf(j.work, sizeof(j.work), "%s/limit.%d", argv[2], (int)getpid());
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", j.work, parts[i]);
		must(mkdir(path, 0755), path);
	}
	r = run(&j);
	remove_tree(AT_FDCWD, j.work);
	return r;
}
