/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/ctx.h"
#include "engine/test/test-engine.h"
#include "host/steps.h"
#include "monitor/proto.h"

static void add_exec(struct plan *p, char *const *env, char *const *argv)
{
	plan_addv(p, AT_CHILD, 0, &step_env, (const char *const *)env,
		env ? g_strv_length((char **)env) : 0);
	plan_addv(p, AT_CHILD, 0, &step_exec, (const char *const *)argv,
		g_strv_length((char **)argv));
}

/* Shown by explain; nothing of it is run. */
static int test_plan_start(
	struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	if (!s->spec->argv || !s->spec->argv[0])
		return err_set(e, -E_INVALID,
			"no command: neither the image nor the command line has one");
	add_exec(s->plan, s->spec->env, s->spec->argv);
	return 0;
}

static int first_word(int fd, struct err *e)
{
	char buf[sizeof(struct msg) + ERR_TEXT_MAX + 1] = { 0 };
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
	struct msg m;

	if (n < (ssize_t)sizeof(m))
		return err_set(e, -ECHILD, "the guest's monitor died");
	memcpy(&m, buf, sizeof(m));
	if (m.type == MSG_STARTED)
		return 0;
	return err_set(e, (int)m.value < 0 ? (int)m.value : -EPROTO, "%s", buf + sizeof(m));
}

static int test_start(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	int sv[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, -errno, "cannot make a socket pair");
	pid = fork();
	if (pid == 0) {
		if (fork() != 0) /* the guest is nobody's child */
			_exit(0);
		/* what the command has open (its output, the store, locks) isn't the guest's */
		(void)dup2(sv[1], 3);
		for (int i = 4; i < 256; i++)
			(void)close(i);
		test_serve(s, 3, flags, s->spec->auto_remove, self);
	}
	(void)close(sv[1]);
	if (pid < 0) {
		(void)close(sv[0]);
		return err_sys(e, -EAGAIN, "cannot fork");
	}
	(void)waitpid(pid, NULL, 0);
	r = first_word(sv[0], e);
	if (r < 0)
		(void)close(sv[0]);
	return r < 0 ? r : sv[0];
}

static int test_plan_exec(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
	struct plan *p, uint32_t flags, struct err *e)
{
	add_exec(p, x->env, x->argv);
	return 0;
}

static pid_t server_pid(const struct engine_start *s)
{
	g_autofree char *path = g_build_filename(s->run_dir, "status", NULL), *text = NULL;
	const char *line;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	line = strstr(text, "\nmonitor ");
	return line ? (pid_t)g_ascii_strtoll(line + 9, NULL, 10) : 0;
}

static int send_signal(struct ctx *c, const struct engine_start *s, int sig, const char *shown)
{
	pid_t pid = server_pid(s);

	if (c->explain) {
		printf("kill -s %s %d\n", shown, (int)pid);
		return 0;
	}
	return pid > 0 ? RET_NERRNO(kill(pid, sig)) : -E_STATE;
}

static int test_pause(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	return send_signal(c, s, SIGUSR1, "USR1");
}

static int test_resume(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	return send_signal(c, s, SIGUSR2, "USR2");
}

static int test_clean(struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	return 0; /* it is all in the memory of the process that is gone */
}

/* Running or not: the folder of its changes. */
static int test_open_root(
	struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	g_autofree char *path = g_build_filename(s->dir, "upper", NULL);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, -errno, "cannot open '%s'", path) : fd;
}

static int test_stats(
	struct ctx *c, const struct engine_start *s, json_t **ret, uint32_t flags, struct err *e)
{
	*ret = json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:{}}", "cpu_ns", 0,
		"cpu_user_ns", 0, "cpu_system_ns", 0, "memory", 4096, "memory_cache", 0, "pids", 1,
		"read_bytes", 0, "write_bytes", 0, "read_ops", 0, "write_ops", 0, "networks");
	return 0;
}

static int test_pids(struct ctx *c, const struct engine_start *s, pid_t **ret, size_t *ret_n,
	uint32_t flags, struct err *e)
{
	pid_t *pids = malloc(sizeof(*pids));

	if (!pids)
		return -ENOMEM;
	pids[0] = server_pid(s);
	*ret = pids;
	*ret_n = 1;
	return 0;
}

static int test_plan_create(
	struct ctx *c, const struct engine_start *s, uint32_t flags, struct err *e)
{
	plan_add(s->plan, AT_HOST, &step_mkdir, plan_str(s->plan, "%s/upper", s->dir), "755");
	return 0;
}

const struct engine_ops test_engine = {
	.name = "test",
	.plan_create = test_plan_create,
	.plan_start = test_plan_start,
	.start = test_start,
	.plan_exec = test_plan_exec,
	.pause = test_pause,
	.resume = test_resume,
	.clean = test_clean,
	.open_root = test_open_root,
	.stats = test_stats,
	.pids = test_pids,
};
