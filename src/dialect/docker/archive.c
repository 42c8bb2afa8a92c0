/* SPDX-License-Identifier: MIT */
/* Files of a container as archives: /archive, /export. swagger, ContainerArchive. */

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/docker/container.h"

#define STAT_HEADER "X-Docker-Container-Path-Stat"

/* --- what is there --------------------------------------------------------------------------------------------- */

/* Go's os.FileMode: type bits high, permissions low. */
static uint32_t go_mode(uint32_t mode)
{
	uint32_t m = mode & 0777;

	switch (mode & S_IFMT) {
	case S_IFDIR:
		m |= UINT32_C(1) << 31;
		break;
	case S_IFLNK:
		m |= UINT32_C(1) << 27;
		break;
	case S_IFIFO:
		m |= UINT32_C(1) << 25;
		break;
	case S_IFSOCK:
		m |= UINT32_C(1) << 24;
		break;
	case S_IFCHR:
		m |= UINT32_C(1) << 26 | UINT32_C(1) << 21;
		break;
	case S_IFBLK:
		m |= UINT32_C(1) << 26;
		break;
	default:
		break;
	}
	m |= mode & S_ISUID ? UINT32_C(1) << 23 : 0;
	m |= mode & S_ISGID ? UINT32_C(1) << 22 : 0;
	m |= mode & S_ISVTX ? UINT32_C(1) << 20 : 0;
	return m;
}

static void put_stat(struct call *c, const struct guest_file *f)
{
	g_autofree char *mtime = units_show_time(f->mtime), *base64 = NULL;
	json_t *j = json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", f->name, "size",
		(json_int_t)f->size, "mode", (json_int_t)go_mode(f->mode), "mtime", mtime,
		"linkTarget", f->target);
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!text)
		return;
	base64 = g_base64_encode((const guchar *)text, strlen(text));
	free(text);
	reply_header(&c->reply, STAT_HEADER, "%s", base64);
}

/* The guest and the path; NULL: the answer is given. */
static struct guest *place_of(struct call *c, char **ret_path)
{
	struct guest *g = container_of(c);

	*ret_path = call_query(c, "path");
	if (g && (!*ret_path || !**ret_path)) {
		api_error(c, 400, "bad parameter: 'path' cannot be empty");
		guest_free(g);
		g = NULL;
	}
	return g;
}

static int look(struct call *c, struct guest *g, const char *path, struct guest_file *ret)
{
	struct err e = { 0 };
	int r = guest_stat(api_ctx(c), g, path, ret, &e);

	if (r == -E_NOTFOUND)
		api_error(c, 404, "Could not find the file %s in container %s", path, c->args[0]);
	else if (r < 0)
		api_failed(c, r, &e);
	else
		put_stat(c, ret);
	return r;
}

void container_archive_head(struct call *c)
{
	g_autofree char *path = NULL;
	_cleanup_(guest_freep) struct guest *g = place_of(c, &path);
	struct guest_file f;

	if (g && look(c, g, path, &f) >= 0)
		api_none(c, 200);
}

/* --- out --------------------------------------------------------------------------------------------------------- */

/* Sends what a process of its own writes to a pipe; the answer's head stands in c->reply. */
static void send_pipe(struct call *c, struct link *l, int fd, pid_t pid)
{
	char buf[64 * 1024];
	int status = 0;
	ssize_t n;

	c->reply.status = 200;
	reply_header(&c->reply, "Content-Type", "application/x-tar");
	if (link_begin(c, l) >= 0)
		while ((n = RET_NERRNO(read(fd, buf, sizeof(buf)))) != 0)
			if (n > 0 && link_send(l, buf, (size_t)n) < 0)
				break;
	(void)close(fd);
	(void)RET_NERRNO(waitpid(pid, &status, 0));
	/* what was cut must not look whole: the answer has no end then */
	if (status)
		_exit(1);
}

/* A child whose standard output (or input) is a pipe; 0 in it. *ret_fd: our end. */
static pid_t fork_with_pipe(int theirs, int *ret_fd)
{
	int p[2];
	pid_t pid;

	pid = RET_NERRNO(pipe2(p, O_CLOEXEC));
	if (pid < 0)
		return pid;
	pid = RET_NERRNO(fork());
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(p[theirs == STDOUT_FILENO], theirs);
		(void)close(p[0]);
		(void)close(p[1]);
		return 0;
	}
	(void)close(p[theirs == STDOUT_FILENO]);
	*ret_fd = p[theirs != STDOUT_FILENO];
	return pid;
}

void container_archive_get(struct call *c, struct link *l)
{
	g_autofree char *path = NULL;
	_cleanup_(guest_freep) struct guest *g = place_of(c, &path);
	struct guest_file f;
	pid_t pid;
	int fd;

	if (!g || look(c, g, path, &f) < 0)
		return;
	pid = fork_with_pipe(STDOUT_FILENO, &fd);
	if (pid == 0)
		_exit(guest_copy_out(api_ctx(c), g, path, "-", false, true, NULL) < 0);
	if (pid > 0)
		send_pipe(c, l, fd, pid);
}

void container_export(struct call *c, struct link *l)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	pid_t pid;
	int fd;

	if (!g)
		return;
	pid = fork_with_pipe(STDOUT_FILENO, &fd);
	if (pid == 0)
		_exit(guest_export(api_ctx(c), g, STDOUT_FILENO, NULL) < 0);
	if (pid > 0)
		send_pipe(c, l, fd, pid);
}

/* --- in ------------------------------------------------------------------------------------------------------------ */

/* What a copying process says when it fails, on a pipe: "CODE TEXT". */
static _Noreturn void copy_in(struct call *c, struct guest *g, const char *path, int said)
{
	struct err e = { 0 };
	int r = guest_copy_in(api_ctx(c), g, "-", path, false, true, &e);

	if (r < 0)
		dprintf(said, "%d %s", r, e.text);
	_exit(r < 0);
}

void container_archive_put(struct call *c, struct link *l)
{
	g_autofree char *path = NULL, *buf = g_malloc(64 * 1024), *end;
	_cleanup_(guest_freep) struct guest *g = place_of(c, &path);
	struct guest_file f;
	char text[1200] = "";
	int said[2], fd, status = 0;
	ssize_t n, k;
	pid_t pid;

	if (!g || look(c, g, path, &f) < 0)
		return;
	if (!S_ISDIR(f.mode) && !S_ISLNK(f.mode)) {
		api_error(c, 400, "extraction point is not a directory");
		return;
	}
	if (g->spec->read_only) {
		api_error(c, 403, "container rootfs is marked read-only");
		return;
	}
	if (pipe2(said, O_CLOEXEC) < 0)
		return;
	pid = fork_with_pipe(STDIN_FILENO, &fd);
	if (pid == 0)
		copy_in(c, g, path, said[1]);
	(void)close(said[1]);
	while (pid > 0 && (n = link_body(l, buf, 64 * 1024)) > 0)
		for (ssize_t at = 0; at < n; at += k) {
			k = RET_NERRNO(write(fd, buf + at, (size_t)(n - at)));
			if (k < 0)
				break;
		}
	if (pid > 0) {
		(void)close(fd);
		(void)RET_NERRNO(waitpid(pid, &status, 0));
	}
	n = RET_NERRNO(read(said[0], text, sizeof(text) - 1));
	(void)close(said[0]);
	if (pid < 0 || (status && n <= 0))
		api_error(c, 500, "the files cannot be written");
	else if (n > 0)
		api_error(c, (int)g_ascii_strtoll(text, &end, 10) == -E_NOTFOUND ? 404 : 400, "%s",
			strchr(text, ' ') + 1);
	else
		api_none(c, 200);
}
