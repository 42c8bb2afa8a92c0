/* SPDX-License-Identifier: MIT */
/* Steps for machines that boot by themselves: files of disks and firmware, sockets, QEMU's first commands. */
#include "host/steps.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host/qcow2.h"

#define VNC_PORT 5900 /* of display 0 (RFC 6143 leaves it to custom) */

static int unlink_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int code = RET_NERRNO(unlink(s->arg[0]));

	return code == -ENOENT ? 0 : code;
}

/* --- copy --- */

static int copy_bytes(int from, int to)
{
	char buf[65536];

	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);

		if (n == 0)
			return 0;
		if (n > 0 || errno == EINTR)
			continue;
		if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
			return -errno;
		break;
	}
	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return -errno;
			done += w > 0 ? w : 0;
		}
	}
}

static int copy_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int from = open(s->arg[1], O_RDONLY | O_CLOEXEC), to = -1;
	int code;

	if (from < 0)
		return err_sys(e, -errno, "cannot open '%s'", s->arg[1]);
	(void)unlink(s->arg[0]);
	to = open(s->arg[0], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	code = copy_bytes(from, to);
	if (code >= 0)
		code = RET_NERRNO(fchmod(to, (mode_t)strtoul(s->arg[2], NULL, 8)));
	if (code < 0)
		(void)unlink(s->arg[0]);
	return code;
}

static void copy_show(const struct step *s, struct text *t)
{
	text_addf(t, "install -m %s ", s->arg[2]);
	text_add_word(t, s->arg[1]);
	text_add(t, " ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_copy = { .name = "copy",
	.args = "path source mode",
	.run = copy_run,
	.undo = unlink_undo,
	.show = copy_show };

/* --- qemu-img --- */

/* Its standard error's first line goes into e. */
static int run_qemu_img(const char *const argv[], struct err *e)
{
	char said[512] = { 0 };
	size_t n = 0;
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)dup2(null, 0);
		(void)dup2(null, 1);
		(void)dup2(p[1], 2);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(p[1]);
	while (pid > 0 && n < sizeof(said) - 1) {
		ssize_t k = read(p[0], said + n, sizeof(said) - 1 - n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	(void)close(p[0]);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (status == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		err_set(e, -ENOENT, "cannot run '%s': it isn't there", argv[0]);
		err_mend(e, "install qemu-utils");
		return -ENOENT;
	}
	said[strcspn(said, "\n")] = '\0';
	return err_set(e, -EIO, "%s", *said ? said : "qemu-img failed");
}

static unsigned create_words(const struct step *s, const char *argv[16])
{
	unsigned n = 0;

	argv[n++] = "qemu-img";
	argv[n++] = "create";
	argv[n++] = "-q";
	argv[n++] = "-f";
	argv[n++] = s->arg[1];
	if (s->arg[3][0]) {
		argv[n++] = "-b";
		argv[n++] = s->arg[3];
		argv[n++] = "-F";
		argv[n++] = s->arg[4];
	}
	argv[n++] = s->arg[0];
	if (s->arg[2][0])
		argv[n++] = s->arg[2];
	argv[n] = NULL;
	return n;
}

static void show_words(struct text *t, const char *const *argv)
{
	for (unsigned i = 0; argv[i]; i++) {
		text_add(t, i ? " " : "");
		text_add_word(t, argv[i]);
	}
}

static int disk_create_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *argv[16];
	mode_t mask;
	int code;

	(void)create_words(s, argv);
	(void)unlink(s->arg[0]);
	mask = umask(077);
	code = run_qemu_img(argv, e);
	(void)umask(mask);
	if (code < 0)
		(void)unlink(s->arg[0]);
	return code;
}

static void disk_create_show(const struct step *s, struct text *t)
{
	const char *argv[16];

	(void)create_words(s, argv);
	show_words(t, argv);
}

const struct step_ops step_disk_create = { .name = "disk-create",
	.args = "path format size backing backing-format",
	.run = disk_create_run,
	.undo = unlink_undo,
	.show = disk_create_show };

static void add_quoted(struct text *t, const char *p)
{
	for (; *p; p++) {
		if ((unsigned char)*p < ' ')
			text_addf(t, "\\u%04x", (unsigned char)*p);
		else
			text_addf(t, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	}
}

/* What qemu-img opens: this file and nothing that its header names. The header was in the hands of a QEMU. */
static void name_alone(const char *path, char *to, size_t size)
{
	struct text t = { .p = to, .size = size };

	text_add(&t, "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":{\"driver\":\"file\","
		     "\"filename\":\"");
	add_quoted(&t, path);
	text_add(&t, "\"}}");
}

static const char *snapshot_option(const struct step *s)
{
	return strcmp(s->arg[1], "create") == 0	 ? "-c"
	       : strcmp(s->arg[1], "apply") == 0 ? "-a"
						 : "-d";
}

static int disk_snapshot_run(struct step_run *r, const struct step *s, struct err *e)
{
	char name[8192];
	const char *const argv[] = { "qemu-img", "snapshot", "-q", snapshot_option(s), s->arg[2],
		name, NULL };
	int code = qcow2_check_alone(s->arg[0], e);

	if (code < 0)
		return code;
	name_alone(s->arg[0], name, sizeof(name));
	return run_qemu_img(argv, e);
}

static int disk_snapshot_undo(struct step_run *r, const struct step *s, struct err *e)
{
	char name[8192];
	const char *const argv[] = { "qemu-img", "snapshot", "-q", "-d", s->arg[2], name, NULL };

	if (strcmp(s->arg[1], "create") != 0 || qcow2_check_alone(s->arg[0], e) < 0)
		return 0;
	name_alone(s->arg[0], name, sizeof(name));
	(void)run_qemu_img(argv, NULL); /* it may never have been made */
	return 0;
}

static void disk_snapshot_show(const struct step *s, struct text *t)
{
	text_addf(t, "qemu-img snapshot -q %s ", snapshot_option(s));
	text_add_word(t, s->arg[2]);
	text_add(t, " ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_disk_snapshot = { .name = "disk-snapshot",
	.args = "path what tag",
	.run = disk_snapshot_run,
	.undo = disk_snapshot_undo,
	.show = disk_snapshot_show };

/* --- disk-commit --- */

/* The file and those below it, so that no header is asked: path and format in turn, from word i on. */
static void name_chain(const struct step *s, unsigned i, struct text *t)
{
	unsigned depth = 0;

	for (; i + 1 < s->n; i += 2, depth++) {
		text_addf(t, "%s{\"driver\":\"%s\",\"file\":{\"driver\":\"file\",\"filename\":\"",
			depth ? ",\"backing\":" : "", s->arg[i + 1]);
		add_quoted(t, s->arg[i]);
		text_add(t, "\"}");
	}
	if (depth && strcmp(s->arg[s->n - 1], "qcow2") == 0)
		text_add(t, ",\"backing\":null");
	while (depth-- > 0)
		text_add(t, "}");
}

static int check_chain(const struct step *s, struct err *e)
{
	int code = 0;

	if (s->n < 5 || s->n % 2 == 0)
		return -EINVAL;
	for (unsigned i = 1; i + 1 < s->n && code >= 0; i += 2)
		if (strcmp(s->arg[i + 1], "qcow2") == 0)
			code = qcow2_check_alone(s->arg[i], e);
	return code;
}

/*
 * What a disk's file has over the one below it is written into that one. Death at any moment leaves a chain that
 * says the same, and the step can be done again. The file above, if there is one, is told what is below it now:
 * not for us, who never ask it, but for whoever looks at it with other programs.
 */
static int disk_commit_run(struct step_run *r, const struct step *s, struct err *e)
{
	char chain[65536];
	struct text t = { .p = chain, .size = sizeof(chain) };
	const char *const argv[] = { "qemu-img", "commit", "-q", "-d", chain, NULL };
	const char *const rebase[] = { "qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F",
		s->arg[4], "-b", s->arg[3], s->arg[0], NULL };
	int code = check_chain(s, e);

	if (code < 0)
		return code;
	text_add(&t, "json:");
	name_chain(s, 1, &t);
	if (t.n + 1 >= t.size)
		return -ENAMETOOLONG;
	code = run_qemu_img(argv, e);
	if (code < 0 || !s->arg[0][0])
		return code;
	code = qcow2_check_alone(s->arg[0], e);
	return code < 0 ? code : run_qemu_img(rebase, e);
}

static void disk_commit_show(const struct step *s, struct text *t)
{
	text_add(t, "qemu-img commit -q -d ");
	text_add_word(t, s->arg[1]);
	text_add(t, " # into ");
	text_add_word(t, s->arg[3]);
	if (s->arg[0][0]) {
		text_addf(t, "; qemu-img rebase -q -u -f qcow2 -F %s -b ", s->arg[4]);
		text_add_word(t, s->arg[3]);
		text_add(t, " ");
		text_add_word(t, s->arg[0]);
	}
}

const struct step_ops step_disk_commit = { .name = "disk-commit",
	.args = "above path...",
	.run = disk_commit_run,
	.show = disk_commit_show };

/* --- listen, vnc-listen --- */

/* A listening socket at a path that may be longer than an address takes. What is there is replaced when it is
 * a socket. */
static int listen_at(const char *path, mode_t mode)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *name = strrchr(path, '/');
	char folder[4096];
	_cleanup_close_ int dir = -1, fd = -1;
	struct stat st;
	mode_t mask;
	int r;

	if (!name || (size_t)(name - path) >= sizeof(folder))
		return -EINVAL;
	memcpy(folder, path, (size_t)(name - path));
	folder[name - path] = '\0';
	dir = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (fstatat(dir, name + 1, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -EEXIST;
		(void)unlinkat(dir, name + 1, 0);
	}
	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir,
		    name + 1) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0777 & ~mode);
	r = RET_NERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	(void)umask(mask);
	if (r >= 0)
		r = RET_NERRNO(listen(fd, 16));
	return r < 0 ? r : TAKE_FD(fd);
}

static int listen_run(struct step_run *r, const struct step *s, struct err *e)
{
	int fd = listen_at(s->arg[1], 0600), at = (int)strtol(s->arg[0], NULL, 10), code;

	if (fd < 0)
		return err_sys(e, fd, "cannot listen at '%s'", s->arg[1]);
	code = RET_NERRNO(dup2(fd, at));
	(void)close(fd);
	return code < 0 ? code : 0;
}

static void listen_show(const struct step *s, struct text *t)
{
	text_addf(t, "exec %s<>... # a socket that listens at ", s->arg[0]);
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_listen = {
	.name = "listen", .args = "fd path", .run = listen_run, .show = listen_show
};

static int listen_on(unsigned display)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)(VNC_PORT + display)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int vnc_listen_run(struct step_run *r, const struct step *s, struct err *e)
{
	const char *a = s->arg[0];
	int fd = *a == ':' ? listen_on((unsigned)strtoul(a + 1, NULL, 10)) : listen_at(a, 0600);

	if (fd == -EADDRINUSE || fd == -EEXIST) {
		err_set(e, -E_INUSE, "VNC address '%s' is in use", a);
		err_mend(e, "take another one with --vnc");
		return -E_INUSE;
	}
	if (fd < 0)
		return err_sys(e, fd, "cannot listen at VNC address '%s'", a);
	closep(&r->kept_fd[KEPT_VNC]);
	r->kept_fd[KEPT_VNC] = fd;
	return 0;
}

static int vnc_listen_undo(struct step_run *r, const struct step *s, struct err *e)
{
	struct stat st;

	if (s->arg[0][0] == ':')
		return 0;
	if (lstat(s->arg[0], &st) == 0 && S_ISSOCK(st.st_mode))
		return unlink_undo(r, s, e);
	return 0;
}

static void vnc_listen_show(const struct step *s, struct text *t)
{
	if (s->arg[0][0] == ':') {
		text_addf(t, "# the monitor listens at 127.0.0.1:%lu, for VNC",
			VNC_PORT + strtoul(s->arg[0] + 1, NULL, 10));
		return;
	}
	text_add(t, "# the monitor listens at ");
	text_add_word(t, s->arg[0]);
	text_add(t, ", for VNC");
}

const struct step_ops step_vnc_listen = { .name = "vnc-listen",
	.args = "address",
	.run = vnc_listen_run,
	.undo = vnc_listen_undo,
	.show = vnc_listen_show };

/* --- qmp: said by the monitor, once QEMU answers --- */

static int qmp_run(struct step_run *r, const struct step *s, struct err *e)
{
	return 0;
}

static void qmp_show(const struct step *s, struct text *t)
{
	text_addf(t, "# to QEMU%s%s: %s", s->arg[1][0] ? ", with the descriptor of " : "",
		s->arg[1], s->arg[0]);
}

const struct step_ops step_qmp = {
	.name = "qmp", .args = "command fd", .run = qmp_run, .show = qmp_show
};
