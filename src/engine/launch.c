/* SPDX-License-Identifier: MIT */
/* The stored plan and the monitor that runs it. */
#include "engine/common.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/spawn.h"
#include "monitor/proto.h"

static int store_plan(const struct engine_start *s, struct err *e)
{
	g_autofree char *path = g_build_filename(s->dir, "plan", NULL),
			*temp = g_strconcat(path, ".new", NULL);
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	size_t size;
	ssize_t n;
	int r = plan_encode(s->plan, &data, &size);

	if (r < 0)
		return r;
	fd = RET_NERRNO(open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0)
		return err_sys(e, fd, "cannot write the plan '%s'", temp);
	n = RET_NERRNO(write(fd, data, size));
	if (n != (ssize_t)size)
		return err_sys(e, n < 0 ? (int)n : -ENOSPC, "cannot write the plan '%s'", temp);
	r = RET_NERRNO(rename(temp, path));
	return r < 0 ? err_sys(e, r, "cannot write the plan '%s'", path) : 0;
}

/* Signal names as people write them: "SIGTERM", "TERM", "15". */
static int signal_number(const char *s)
{
	if (!s)
		return SIGTERM;
	if (g_ascii_isdigit(*s))
		return (int)g_ascii_strtoll(s, NULL, 10);
	if (g_ascii_strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	if (g_ascii_strncasecmp(s, "RTMIN+", 6) == 0)
		return SIGRTMIN + (int)g_ascii_strtoll(s + 6, NULL, 10);
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && g_ascii_strcasecmp(name, s) == 0)
			return i;
	}
	return SIGTERM;
}

static char **monitor_argv(
	struct ctx *c, const struct engine_start *s, const char *const *extra, uint32_t flags)
{
	static const char *const restarts[_RESTART_MAX] = { "no", "on-failure", "always",
		"unless-stopped" };
	const struct spec *p = s->spec;
	GPtrArray *a = g_ptr_array_new();

	g_ptr_array_add(a, g_strdup("lodge-monitor"));
	g_ptr_array_add(a, g_strdup_printf("id=%s", s->id));
	g_ptr_array_add(a, g_strdup_printf("dir=%s", s->dir));
	g_ptr_array_add(a, g_strdup_printf("run=%s", s->run_dir));
	g_ptr_array_add(a, g_strdup_printf("tty=%d", p->tty));
	g_ptr_array_add(a, g_strdup_printf("stdin=%d", p->open_stdin));
	g_ptr_array_add(a, g_strdup_printf("stdin-once=%d", p->stdin_once));
	g_ptr_array_add(a, g_strdup_printf("restart=%s", restarts[p->restart]));
	g_ptr_array_add(a, g_strdup_printf("restart-max=%d", p->restart_max));
	g_ptr_array_add(a, g_strdup_printf("stop-signal=%d", signal_number(p->stop_signal)));
	g_ptr_array_add(
		a, g_strdup_printf("stop-timeout=%d", p->stop_timeout < 0 ? 10 : p->stop_timeout));
	g_ptr_array_add(a, g_strdup_printf("log-size=%" G_GINT64_FORMAT, p->log_max_size));
	g_ptr_array_add(a, g_strdup_printf("log-files=%d", p->log_max_files));
	g_ptr_array_add(a, g_strdup_printf("attach=%u", flags));
	for (; extra && *extra; extra++)
		g_ptr_array_add(a, g_strdup(*extra));
	if (s->events && s->attributes) {
		g_ptr_array_add(a, g_strdup_printf("events=%s", s->events));
		g_ptr_array_add(a, g_strdup_printf("attributes=%s", s->attributes));
	}
	if (c->trace_fd >= 0)
		g_ptr_array_add(a, g_strdup("trace=4"));
	if (p->auto_remove) {
		g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);

		if (self)
			g_ptr_array_add(a, g_strdup_printf("remove=%s", self));
	}
	g_ptr_array_add(a, NULL);
	return (char **)g_ptr_array_free(a, FALSE);
}

/* What the monitor says first: it runs, or why not. */
static int first_word(int fd, struct err *e)
{
	char buf[sizeof(struct msg) + ERR_TEXT_MAX + ERR_MEND_MAX + 2] = { 0 };
	const char *text = buf + sizeof(struct msg);
	struct msg head;
	ssize_t n;

	do
		n = RET_NERRNO(recv(fd, buf, sizeof(buf) - 2, 0));
	while (n == -EINTR);
	if (n < (ssize_t)sizeof(head)) {
		err_set(e, -ECHILD, "the guest's monitor died while it started the guest");
		err_mend(e, "the next command cleans up; LODGE_TRACE=json shows how far it came");
		return -ECHILD;
	}
	memcpy(&head, buf, sizeof(head));
	if (head.type == MSG_STARTED)
		return 0;
	if (head.type != MSG_ERROR || (int)head.value >= 0)
		return err_set(
			e, -EPROTO, "the guest's monitor said something unknown (%u)", head.type);
	err_set(e, (int)head.value, "%s", text);
	if (text + strlen(text) + 1 < buf + n)
		err_mend(e, "%s", text + strlen(text) + 1);
	return (int)head.value;
}

int engine_launch(struct ctx *c, const struct engine_start *s, const char *const *extra,
	uint32_t flags, struct err *e)
{
	g_autofree char *path = ctx_program(c, "lodge-monitor");
	g_auto(GStrv) argv = NULL;
	_cleanup_close_ int ours = -1, theirs = -1;
	int sv[2], r;
	pid_t pid;

	r = store_plan(s, e);
	if (r < 0)
		return r;
	r = RET_NERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	if (r < 0)
		return err_sys(e, r, "cannot make a socket pair");
	ours = sv[0];
	theirs = sv[1];
	argv = monitor_argv(c, s, extra, flags);
	pid = spawn_protected(path, argv, theirs, c->trace_fd, e);
	if (pid < 0)
		return pid;
	closep(&theirs);
	theirs = -1;
	r = first_word(ours, e);
	/* its last descriptor closes before it is gone, and what undoes its work asks whether it is */
	if (r == -ECHILD)
		(void)waitpid(pid, NULL, 0);
	return r < 0 ? r : TAKE_FD(ours);
}
