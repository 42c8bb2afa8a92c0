/* SPDX-License-Identifier: MIT */
/*
 * Steps that give a virtual machine's process (QEMU) what it works with. It has no right to open anything
 * itself: files, sockets and network devices are opened here, by the child while it is still privileged,
 * and are found at numbers that its command line names. They come after "close-fds".
 */
#include "host/steps.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host/netlink.h"

#define HELPER_FD      3 /* where a helper finds its listening socket */
#define HELPER_DIES_MS 3

/* Puts fd at the number, over execve(2), and closes the other one. */
static int put_at(int fd, const char *number)
{
	int at = (int)strtol(number, NULL, 10), r;

	if (fd < 0)
		return -errno;
	if (at < 3)
		r = -EINVAL;
	else
		r = RET_NERRNO(dup2(fd, at));
	(void)close(fd);
	return r < 0 ? r : 0;
}

/* --- channel --- */

static const char *const channels[] = {
	[KEPT_MACHINE] = "machine", [KEPT_QMP] = "qmp", [KEPT_SERIAL] = "serial"
};

static int channel_run(struct step_run *r, const struct step *s, struct err *e)
{
	int sv[2], code;

	for (unsigned i = KEPT_MACHINE; i < ELEMENTSOF(channels); i++) {
		if (strcmp(channels[i], s->arg[1]) != 0)
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			return -errno;
		code = r->keep_fd(r, i, sv[1]);
		(void)close(sv[1]);
		if (code < 0)
			(void)close(sv[0]);
		return code < 0 ? code : put_at(sv[0], s->arg[0]);
	}
	return -EINVAL;
}

static void channel_show(const struct step *s, struct text *t)
{
	text_addf(t, "exec %s<>... # a socket whose other end the monitor has: %s", s->arg[0],
		s->arg[1]);
}

const struct step_ops step_channel = {
	.name = "channel", .args = "fd which", .run = channel_run, .show = channel_show
};

/* --- open --- */

static int open_run(struct step_run *r, const struct step *s, struct err *e)
{
	bool write = strcmp(s->arg[2], "rw") == 0;
	int fd = open(s->arg[1], (write ? O_RDWR : O_RDONLY) | O_CLOEXEC), code;

	if (fd < 0)
		return err_sys(e, -errno, "cannot open '%s'", s->arg[1]);
	code = put_at(fd, s->arg[0]);
	return code;
}

static void open_show(const struct step *s, struct text *t)
{
	text_addf(t, "exec %s%s", s->arg[0], strcmp(s->arg[2], "rw") == 0 ? "<>" : "<");
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_open = {
	.name = "open", .args = "fd path mode", .run = open_run, .show = open_show
};

/* --- connect --- */

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC), fd = -1;

	if (at < 0)
		return -errno;
	/* the path may be longer than an address takes */
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d", at);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int connect_run(struct step_run *r, const struct step *s, struct err *e)
{
	int fd = connect_to(s->arg[1]);

	if (fd < 0)
		return err_sys(e, fd, "cannot connect to '%s'", s->arg[1]);
	return put_at(fd, s->arg[0]);
}

static void connect_show(const struct step *s, struct text *t)
{
	text_addf(t, "exec %s<>... # a connection to ", s->arg[0]);
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_connect = {
	.name = "connect", .args = "fd path", .run = connect_run, .show = connect_show
};

/* --- tap, tap-open --- */

static int tun_open(const char *name)
{
	struct ifreq q = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (strlen(name) >= sizeof(q.ifr_name))
		return -EINVAL;
	memcpy(q.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &q) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void begin(struct nl_buf *b, uint16_t type, int index, bool up)
{
	struct ifinfomsg m = {
		.ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = up ? IFF_UP : 0
	};

	nl_begin(b, type, NLM_F_ACK, &m, sizeof(m));
}

static int tap_join(const struct step *s, int index, int bridge)
{
	char space[512];
	struct nl_buf b = NL_BUF_ON(space);
	uint8_t on = 1;

	if (s->arg[2][0]) {
		begin(&b, RTM_NEWLINK, index, false);
		nl_put_u32(&b, IFLA_MTU, (uint32_t)strtoul(s->arg[2], NULL, 10));
	}
	begin(&b, RTM_NEWLINK, index, true);
	if (bridge)
		nl_put_u32(&b, IFLA_MASTER, (uint32_t)bridge);
	/* as step "veth": a guest that reaches itself by a published port */
	if (bridge && s->arg[3][0]) {
		size_t info, data;

		begin(&b, RTM_NEWLINK, index, false);
		info = nl_open_nest(&b, IFLA_LINKINFO);
		nl_put(&b, IFLA_INFO_SLAVE_KIND, "bridge", 7);
		data = nl_open_nest(&b, IFLA_INFO_SLAVE_DATA);
		nl_put(&b, IFLA_BRPORT_MODE, &on, sizeof(on));
		nl_close_nest(&b, data);
		nl_close_nest(&b, info);
	}
	return nl_once(NETLINK_ROUTE, &b, NULL, NULL, NULL);
}

static int tap_number(const char *text)
{
	long n = strtol(text, NULL, 10);

	return n >= 0 && n < KEPT_TAPS ? KEPT_TAP + (int)n : -EINVAL;
}

/*
 * The device is there as long as somebody has it open. That is QEMU, and the executor: taking a device down
 * waits for an RCU grace period, which is then the executor's exit and not the guest's.
 */
static int tap_run(struct step_run *r, const struct step *s, struct err *e)
{
	int which = tap_number(s->arg[4]), bridge = 0, index, code;
	_cleanup_close_ int fd = -1;

	if (which < 0)
		return err_set(e, -E_LIMIT, "a machine can have %d network cards", KEPT_TAPS);
	fd = tun_open(s->arg[0]);

	if (fd == -ENOENT || fd == -ENODEV) {
		err_set(e, -E_UNSUPPORTED, "tap '%s': this host has no /dev/net/tun", s->arg[0]);
		err_mend(e, "modprobe tun, or use --network none");
		return -E_UNSUPPORTED;
	}
	if (fd < 0)
		return fd;
	if (s->arg[1][0]) {
		bridge = (int)if_nametoindex(s->arg[1]);
		if (!bridge)
			return err_set(e, -ENODEV, "no interface '%s'", s->arg[1]);
	}
	index = (int)if_nametoindex(s->arg[0]);
	code = index ? tap_join(s, index, bridge) : -ENODEV;
	return code < 0 ? code : r->keep_fd(r, (unsigned)which, fd);
}

/* It goes with its last descriptor. Where that is open, in an executor that lives on, it makes room for the
 * next start's. */
static int tap_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int which = tap_number(s->arg[4]);

	if (which < 0 || r->kept_fd[which] < 0 || r->keep_taps)
		return 0;
	(void)close(r->kept_fd[which]);
	r->kept_fd[which] = -1;
	return 0;
}

static void tap_show(const struct step *s, struct text *t)
{
	text_addf(t, "ip tuntap add dev %s mode tap vnet_hdr", s->arg[0]);
	if (s->arg[2][0])
		text_addf(t, "; ip link set %s mtu %s", s->arg[0], s->arg[2]);
	text_addf(t, "; ip link set %s up", s->arg[0]);
	if (s->arg[1][0])
		text_addf(t, " master %s", s->arg[1]);
	if (s->arg[3][0])
		text_addf(t, "; bridge link set dev %s hairpin on", s->arg[0]);
}

const struct step_ops step_tap = { .name = "tap",
	.args = "IF bridge mtu hairpin number",
	.run = tap_run,
	.undo = tap_undo,
	.show = tap_show };

static int tap_open_run(struct step_run *r, const struct step *s, struct err *e)
{
	int which = tap_number(s->arg[2]);

	if (which < 0 || r->kept_fd[which] < 0)
		return -EBADF;
	return RET_NERRNO(dup2(r->kept_fd[which], (int)strtol(s->arg[0], NULL, 10))) < 0 ? -errno
											 : 0;
}

static void tap_open_show(const struct step *s, struct text *t)
{
	if (!s->arg[1][0]) {
		text_addf(t, "exec %s<>... # the other end of passt's socket", s->arg[0]);
		return;
	}
	text_addf(t, "exec %s<>/dev/net/tun # TUNSETIFF %s", s->arg[0], s->arg[1]);
}

const struct step_ops step_tap_open = {
	.name = "tap-open", .args = "fd IF number", .run = tap_open_run, .show = tap_open_show
};

/* --- blank-disk --- */

static int run_quietly(const char *const argv[], int *ret_status)
{
	pid_t pid = vfork();

	if (pid == 0) {
		/* stdout is dropped, stderr is the caller's */
		int null = open("/dev/null", O_RDWR);

		if (null >= 0)
			(void)dup2(null, 1);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Copies what of the file isn't a hole. */
static int copy_sparse(int from, int to)
{
	off_t at = 0, size = lseek(from, 0, SEEK_END);

	if (size < 0 || ftruncate(to, size) < 0)
		return -errno;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, at, SEEK_HOLE), out = at;

		if (end < 0)
			return -errno;
		while (at < end) {
			ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);

			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
	}
	return errno == ENXIO ? 0 : -errno;
}

/* A template is made of the first disk of its kind; whoever fails at it does without. */
static void keep_template(const char *template, int disk)
{
	char temp[PATH_MAX];
	_cleanup_close_ int fd = -1;

	if (snprintf(temp, sizeof(temp), "%s.%d", template, (int)getpid()) >= (int)sizeof(temp))
		return;
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (copy_sparse(disk, fd) < 0 || rename(temp, template) < 0)
		(void)unlink(temp);
}

static int from_template(const char *template, int disk)
{
	_cleanup_close_ int fd = open(template, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : copy_sparse(fd, disk);
}

/* A sparse file with an empty ext4. The tables are left to the machine's kernel: no megabyte is written. */
static int blank_disk_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *const argv[] = { "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
		"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0,packed_meta_"
		"blocks=1",
		"-O", s->arg[2][0] ? "^resize_inode,^has_journal" : "^resize_inode", s->arg[0],
		NULL };
	const char *template = s->arg[3];
	_cleanup_close_ int fd = -1;
	int status = 0, code;

	fd = open(s->arg[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (template[0] && from_template(template, fd) == 0)
		return 0;
	code = RET_NERRNO(ftruncate(fd, (off_t)strtoll(s->arg[1], NULL, 10)));
	if (code >= 0)
		code = run_quietly(argv, &status);
	if (code >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		code = err_set(
			e, -E_UNSUPPORTED, "cannot format '%s': there is no mke2fs", s->arg[0]);
		err_mend(e, "install e2fsprogs");
	} else if (code >= 0 && status != 0) {
		code = err_set(e, -EIO, "cannot format '%s': mke2fs failed", s->arg[0]);
	}
	if (code >= 0 && template[0])
		keep_template(template, fd);
	if (code < 0)
		(void)unlink(s->arg[0]);
	return code;
}

static int blank_disk_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int code = RET_NERRNO(unlink(s->arg[0]));

	return code == -ENOENT ? 0 : code;
}

static void blank_disk_show(const struct step *s, struct text *t)
{
	text_addf(t, "truncate -s %s ", s->arg[1]);
	text_add_word(t, s->arg[0]);
	text_addf(t, " && mke2fs -q -F -t ext4 -m 0 -O ^resize_inode%s ",
		s->arg[2][0] ? ",^has_journal" : "");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_blank_disk = { .name = "blank-disk",
	.args = "path size throwaway template",
	.run = blank_disk_run,
	.undo = blank_disk_undo,
	.show = blank_disk_show };

/* --- helper --- */

/* The process that the helper's file names, if it is still that one: "PID START\n". 0: none. */
static pid_t helper_pid(const char *file)
{
	char text[64], stat[512], path[64], *p;
	unsigned long long start = 0;
	_cleanup_close_ int fd = -1, proc = -1;
	ssize_t n;
	long pid;

	fd = open(file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	pid = strtol(text, &p, 10);
	start = strtoull(p, NULL, 10);
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	proc = open(path, O_RDONLY | O_CLOEXEC);
	n = pid <= 0 || proc < 0 ? -1 : read(proc, stat, sizeof(stat) - 1);
	if (n <= 0)
		return 0;
	stat[n] = '\0';
	p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && strtoull(p, NULL, 10) == start ? (pid_t)pid : 0;
}

static int helper_note(const char *file, pid_t pid)
{
	char path[64], stat[512], *p;
	_cleanup_close_ int fd = -1, to = -1;
	ssize_t n;
	int k;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return -ESRCH;
	stat[n] = '\0';
	p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	to = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return -errno;
	k = snprintf(path, sizeof(path), "%d %llu\n", (int)pid, p ? strtoull(p, NULL, 10) : 0);
	return write(to, path, (size_t)k) == k ? 0 : -EIO;
}

/* What the helper says: SOCKET.log. */
static int helper_log(const char *socket_path, int flags)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.log", socket_path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (flags < 0)
		return RET_NERRNO(unlink(path));
	return RET_NERRNO(open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600));
}

/* With its own last line. */
static int not_up(const char *socket_path, const char *program, struct err *e)
{
	_cleanup_close_ int fd = helper_log(socket_path, O_RDONLY);
	char text[512];
	ssize_t n = fd < 0 || lseek(fd, -(off_t)sizeof(text), SEEK_END) < -1
			    ? -1
			    : read(fd, text, sizeof(text) - 1);
	char *line = text;

	if (n <= 0)
		return err_set(e, -ECHILD, "'%s' did not come up", program);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	return err_set(e, -ECHILD, "'%s' did not come up: %s", program, line ? line + 1 : text);
}

static int helper_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *name = strrchr(path, '/');
	char folder[PATH_MAX];
	_cleanup_close_ int at = -1, fd = -1;

	if (!name || snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path) >=
			     (int)sizeof(folder))
		return -EINVAL;
	at = open(folder[0] ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	(void)unlinkat(at, name + 1, 0);
	/* the path may be longer than an address takes */
	if (snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d%s", at, name) >=
		(int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static _Noreturn void helper_child(const struct step *s, int listening)
{
	int log = helper_log(s->arg[1], O_WRONLY | O_CREAT | O_TRUNC);
	sigset_t none;

	if (log >= 0 && (dup2(log, 1) < 0 || dup2(log, 2) < 0))
		_exit(127);
	if (listening == HELPER_FD ? fcntl(listening, F_SETFD, 0) < 0
				   : dup2(listening, HELPER_FD) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, HELPER_FD + 1, ~0U, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execvp(s->arg[2], (char *const *)(uintptr_t)(s->arg + 2));
	_exit(127);
}

/*
 * A program that serves the machine over a socket and ends with it (virtiofsd): a child of the executor.
 * Whoever connects waits in the socket's queue, so nobody waits for the program to come up; one that dies
 * at once, for a word of its command line, is given the time for it.
 */
static int helper_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int listening = helper_listen(s->arg[1]), pidfd = -1;
	struct pollfd p = { .events = POLLIN };
	pid_t pid;
	int code;

	if (listening < 0)
		return err_sys(e, listening, "cannot listen at '%s'", s->arg[1]);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		helper_child(s, listening);
	code = helper_note(s->arg[0], pid);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	p.fd = pidfd;
	if (code >= 0 && pidfd >= 0 && poll(&p, 1, HELPER_DIES_MS) == 1)
		code = not_up(s->arg[1], s->arg[2], e);
	if (code < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)unlink(s->arg[0]);
		(void)unlink(s->arg[1]);
	}
	return code;
}

static int helper_undo(struct step_run *r, const struct step *s, struct err *e)
{
	pid_t pid = helper_pid(s->arg[0]);

	if (pid > 0)
		(void)kill(pid, SIGKILL);
	(void)unlink(s->arg[0]);
	(void)unlink(s->arg[1]);
	(void)helper_log(s->arg[1], -1);
	return 0;
}

static void helper_show(const struct step *s, struct text *t)
{
	for (unsigned i = 2; i < s->n; i++) {
		text_add(t, i > 2 ? " " : "");
		text_add_word(t, s->arg[i]);
	}
	text_add(t, " & echo $! >");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_helper = { .name = "helper",
	.args = "pidfile socket argv...",
	.run = helper_run,
	.undo = helper_undo,
	.show = helper_show };

/* --- passt --- */

#define PASST_PID    4 /* where it finds the pipe that it says its process id to, when it is up */
#define PASST_UP_MS  10000 /* a host with a hundred starts at once is slow */
#define PASST_SUFFIX ".pid"

static _Noreturn void passt_child(const struct step *s, int socket, int pipe)
{
	int log = helper_log(s->arg[2], O_WRONLY | O_CREAT | O_TRUNC), high;
	sigset_t none;

	if (log >= 0 && (dup2(log, 1) < 0 || dup2(log, 2) < 0))
		_exit(127);
	/* neither may stand where the other one goes */
	high = fcntl(pipe, F_DUPFD, PASST_PID + 1);
	if (high < 0 || (socket != HELPER_FD && dup2(socket, HELPER_FD) < 0) ||
		dup2(high, PASST_PID) < 0 || fcntl(HELPER_FD, F_SETFD, 0) < 0)
		_exit(127);
	(void)syscall(SYS_close_range, PASST_PID + 1, ~0U, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execvp(s->arg[4], (char *const *)(uintptr_t)(s->arg + 4));
	_exit(127);
}

/* It writes a line when its ports are bound and it waits for frames; one that can't has closed the pipe. */
static int passt_up(int fd, const struct step *s, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[16];
	int n = poll(&p, 1, PASST_UP_MS);

	if (n == 0)
		return err_set(e, -ETIMEDOUT, "'%s' did not come up in %d s", s->arg[4],
			PASST_UP_MS / 1000);
	if (n < 0)
		return -errno;
	return read(fd, text, sizeof(text)) > 0 ? 0 : not_up(s->arg[2], s->arg[4], e);
}

/* The program's user may be another one: a pipe is opened anew by its name in /proc. */
static int passt_pipe(int p[2])
{
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	if (fchmod(p[1], 0222) == 0)
		return 0;
	(void)close(p[0]);
	(void)close(p[1]);
	return -EIO;
}

static int passt_start(const struct step *s, int theirs, pid_t *ret_pid, struct err *e)
{
	_cleanup_close_ int up = -1;
	int p[2], code = passt_pipe(p);

	if (code < 0)
		return code;
	up = p[0];
	*ret_pid = fork();
	if (*ret_pid == 0)
		passt_child(s, theirs, p[1]);
	code = *ret_pid < 0 ? -errno : 0;
	(void)close(p[1]);
	return code < 0 ? code : passt_up(up, s, e);
}

/*
 * A card that needs no rights on the host: passt(1) makes sockets of what comes out of it. It and QEMU have
 * the ends of a pair of sockets, so it ends with the machine. QEMU's end waits in the executor for step
 * "tap-open".
 */
static int passt_run(struct step_run *r, const struct step *s, struct err *e)
{
	int which = tap_number(s->arg[3]), sv[2], code;
	_cleanup_close_ int ours = -1, theirs = -1;
	char file[PATH_MAX];
	pid_t pid = -1;

	if (which < 0 ||
		snprintf(file, sizeof(file), "%s" PASST_SUFFIX, s->arg[2]) >= (int)sizeof(file))
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	ours = sv[0];
	theirs = sv[1];
	code = passt_start(s, theirs, &pid, e);
	if (code >= 0)
		code = helper_note(file, pid);
	if (code >= 0)
		code = r->keep_fd(r, (unsigned)which, ours);
	if (code >= 0)
		return 0;
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	(void)unlink(file);
	return code;
}

static int passt_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int which = tap_number(s->arg[3]);
	char file[PATH_MAX];
	pid_t pid;

	if (which >= 0 && r->kept_fd[which] >= 0) {
		(void)close(r->kept_fd[which]);
		r->kept_fd[which] = -1;
	}
	if (snprintf(file, sizeof(file), "%s" PASST_SUFFIX, s->arg[2]) >= (int)sizeof(file))
		return -EINVAL;
	pid = helper_pid(file);
	/* the executor's own end may be next, and nobody else waits for it */
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		(void)waitpid(pid, NULL, 0);
	(void)unlink(file);
	(void)helper_log(s->arg[2], -1);
	return 0;
}

static void passt_show(const struct step *s, struct text *t)
{
	for (unsigned i = 4; i < s->n; i++) {
		text_add(t, i > 4 ? " " : "");
		text_add_word(t, s->arg[i]);
	}
	text_addf(t, " 3<>... 4>... & echo $! >");
	text_add_word(t, s->arg[2]);
	text_add(t, PASST_SUFFIX);
}

const struct step_ops step_passt = { .name = "passt",
	.args = "IF mac path number argv...",
	.run = passt_run,
	.undo = passt_undo,
	.show = passt_show };
