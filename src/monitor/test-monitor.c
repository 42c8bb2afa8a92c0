/* SPDX-License-Identifier: MIT */
/*
 * lodge-monitor from outside: a plan in a folder, the program, and its socket. Needs root (namespaces).
 * The program's path is the first argument.
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host/path.h"
#include "host/spawn.h"
#include "host/steps.h"
#include "monitor/proto.h"

static const char *program;

struct box {
	char *dir, *run, *made; /* made: a folder that the plan makes and its undo removes */
	pid_t monitor;
	int conn;
};

static void write_plan(struct box *b, const char *const *argv, unsigned n)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", "A=b c" };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *file = g_build_filename(b->dir, "plan", NULL);
	_cleanup_free_ char *data = NULL;
	size_t size;

	plan_add(p, AT_HOST, &step_tree, b->made, "700");
	plan_add(p, AT_CLONE, &step_clone, "mnt,pid,uts");
	plan_add(p, AT_CHILD, &step_private, "rprivate");
	plan_add(p, AT_CHILD, &step_mount, "proc", "/proc", "proc", "", "");
	plan_addv(p, AT_CHILD, 0, &step_env, env, G_N_ELEMENTS(env));
	plan_add(p, AT_CHILD, &step_session, "");
	plan_add(p, AT_CHILD, &step_close_fds);
	plan_addv(p, AT_CHILD, 0, &step_exec, argv, n);
	g_assert_cmpint(plan_encode(p, &data, &size), ==, 0);
	g_assert_true(g_file_set_contents(file, data, (gssize)size, NULL));
}

static void box_start(struct box *b, const char *script, const char *more)
{
	const char *argv[] = { "sh", "-c", script };
	g_autofree char *dir = NULL, *run = NULL;
	char *args[12];
	struct err e;
	int sv[2], n = 0;

	b->dir = g_strdup("/tmp/lodge-monitor-XXXXXX");
	g_assert_nonnull(g_mkdtemp(b->dir));
	b->run = g_build_filename(b->dir, "run", NULL);
	b->made = g_build_filename(b->dir, "made", NULL);
	g_assert_cmpint(g_mkdir(b->run, 0700), ==, 0);
	write_plan(b, argv, 3);
	dir = g_strconcat("dir=", b->dir, NULL);
	run = g_strconcat("run=", b->run, NULL);
	args[n++] = (char *)"lodge-monitor";
	args[n++] = (char *)"id=test";
	args[n++] = dir;
	args[n++] = run;
	args[n++] = (char *)"attach=3";
	args[n++] = (char *)"log-files=2";
	args[n++] =
		(char *)"stdin-once=1"; /* the end of a client's input is the end of the guest's */
	if (more)
		args[n++] = (char *)more;
	args[n] = NULL;
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), ==, 0);
	b->monitor = spawn_protected(program, args, sv[1], -1, &e);
	g_assert_cmpint(b->monitor, >, 0);
	(void)close(sv[1]);
	b->conn = sv[0];
}

static void box_end(struct box *b)
{
	int status;

	(void)close(b->conn);
	g_assert_cmpint(waitpid(b->monitor, &status, 0), ==, b->monitor);
	g_assert_false(g_file_test(b->made, G_FILE_TEST_EXISTS));
	g_assert_cmpint(path_remove_tree(AT_FDCWD, b->dir), ==, 0);
	g_free(b->dir);
	g_free(b->run);
	g_free(b->made);
}

static void tell(
	int fd, unsigned type, unsigned flags, uint32_t value, const void *data, size_t size)
{
	char buf[sizeof(struct msg) + MSG_DATA_MAX];
	struct msg head = { .type = (uint16_t)type, .flags = (uint16_t)flags, .value = value };

	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), data, size);
	g_assert_cmpint(send(fd, buf, sizeof(head) + size, MSG_NOSIGNAL), ==,
		(ssize_t)(sizeof(head) + size));
}

static struct msg hear(int fd, char *data, size_t *ret_n)
{
	char buf[sizeof(struct msg) + MSG_DATA_MAX];
	struct msg head;
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	g_assert_cmpint(n, >=, (ssize_t)sizeof(head));
	memcpy(&head, buf, sizeof(head));
	*ret_n = MIN((size_t)n - sizeof(head), MSG_DATA_MAX);
	memcpy(data, buf + sizeof(head), *ret_n);
	data[*ret_n] = '\0';
	return head;
}

/* Everything until the end; returns the exit code. */
static int listen_all(int fd, GString *out, GString *err)
{
	static char data[MSG_DATA_MAX + 1];

	for (;;) {
		size_t n;
		struct msg m = hear(fd, data, &n);

		if (m.type == MSG_OUTPUT)
			g_string_append_len(m.flags == 2 ? err : out, data, (gssize)n);
		else if (m.type == MSG_EXIT)
			return (int)m.value;
		else
			g_assert_cmpint(m.type, ==, MSG_STARTED);
	}
}

static int connect_to(const struct box *b)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)g_snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", b->run);
	g_assert_cmpint(connect(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	return fd;
}

static void await_start(const struct box *b)
{
	char word[MSG_DATA_MAX + 1];
	size_t n;

	g_assert_cmpint(hear(b->conn, word, &n).type, ==, MSG_STARTED);
}

static char *file_of(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static void test_output(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	g_autofree char *log = NULL, *status = NULL;
	struct box b = { 0 };

	box_start(&b,
		"echo one; echo two >&2; printf three; echo $$ \"$A\"; ls /proc/self/fd | wc -l; "
		"exit 3",
		NULL);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 3);
	g_assert_cmpstr(err->str, ==, "two\n");
	/* process 1 of its own namespace, and nothing open but the standard streams and ls' own folder */
	g_assert_cmpstr(out->str, ==, "one\nthree1 b c\n4\n");
	log = file_of(b.dir, "log");
	g_assert_nonnull(strstr(log, "Z stdout F one\n"));
	g_assert_nonnull(strstr(log, "Z stderr F two\n"));
	status = file_of(b.dir, "status");
	g_assert_nonnull(strstr(status, "state exited\n"));
	g_assert_nonnull(strstr(status, "exit 3\n"));
	box_end(&b);
}

static void test_input(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL),
			   big = g_string_new(NULL);
	struct box b = { 0 };
	pid_t writer;

	/* more than a pipe holds, both ways: nothing is lost and nothing locks up */
	for (int i = 0; i < 60000; i++)
		g_string_append_printf(big, "line %d\n", i);
	box_start(&b, "cat", "stdin=1");
	writer = fork();
	if (writer == 0) {
		for (gsize at = 0; at < big->len; at += 20000)
			tell(b.conn, MSG_INPUT, 0, 0, big->str + at, MIN(20000, big->len - at));
		tell(b.conn, MSG_INPUT, 0, 0, "", 0);
		_exit(0);
	}
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 0);
	g_assert_cmpint(waitpid(writer, NULL, 0), ==, writer);
	g_assert_cmpuint(out->len, ==, big->len);
	g_assert_true(g_string_equal(out, big));
	box_end(&b);
}

static void test_stop(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	struct box b = { 0 };
	int other;

	box_start(&b, "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done",
		"restart=always");
	while (!strstr(out->str, "up")) {
		char data[MSG_DATA_MAX + 1];
		size_t n;
		struct msg m = hear(b.conn, data, &n);

		if (m.type == MSG_OUTPUT)
			g_string_append_len(out, data, (gssize)n);
	}
	other = connect_to(&b);
	tell(other, MSG_STOP, 0, SIGTERM | 5 << 8, "", 0);
	g_assert_cmpint(listen_all(other, out, err), ==, 7); /* a user's stop: no restart */
	(void)close(other);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 7);
	g_assert_nonnull(strstr(out->str, "bye"));
	box_end(&b);
}

static void test_stop_deaf(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	struct box b = { 0 };

	box_start(&b, "trap '' TERM; while :; do sleep 1; done", NULL);
	await_start(&b);
	tell(b.conn, MSG_STOP, 0, SIGTERM | 0 << 8, "", 0);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 137);
	box_end(&b);
}

static void test_restart(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	g_autofree char *status = NULL;
	struct box b = { 0 };

	/* the folder of the plan's first step is made anew each time, so the undo ran between */
	box_start(&b, "echo again; exit 1", "restart=on-failure");
	await_start(&b);
	(void)close(b.conn);
	b.conn = connect_to(&b);
	tell(b.conn, MSG_STOP, 0, SIGTERM | 5 << 8, "", 0);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 1);
	box_end(&b);
	b = (struct box){ 0 };
	box_start(&b, "echo again; exit 1", "restart-max=2");
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 1);
	g_assert_cmpstr(out->str, ==, "again\n");
	status = file_of(b.dir, "status");
	g_assert_nonnull(strstr(status, "restarts 0\n"));
	box_end(&b);
}

static void test_exec(void)
{
	static const char *const argv[] = { "sh", "-c",
		"echo in; cat; readlink /proc/1/ns/pid >/dev/null; exit 9" };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	_cleanup_free_ char *data = NULL;
	struct box b = { 0 };
	size_t size;
	int c;

	plan_add(p, AT_HOST, &step_enter, "pid");
	plan_add(p, AT_CLONE, &step_clone, "");
	plan_add(p, AT_CHILD, &step_enter, "mnt,uts");
	plan_addv(p, AT_CHILD, 0, &step_exec, argv, 3);
	g_assert_cmpint(plan_encode(p, &data, &size), ==, 0);
	box_start(&b, "sleep 100", NULL);
	await_start(&b);
	c = connect_to(&b);
	tell(c, MSG_EXEC, 0, 0, data, size);
	tell(c, MSG_INPUT, 0, 0, "hello\n", 6);
	tell(c, MSG_INPUT, 0, 0, "", 0);
	g_assert_cmpint(listen_all(c, out, err), ==, 9);
	g_assert_cmpstr(out->str, ==, "in\nhello\n");
	(void)close(c);
	/* what isn't a plan is refused in words */
	c = connect_to(&b);
	tell(c, MSG_EXEC, 0, 0, "rubbish", 7);
	{
		char word[MSG_DATA_MAX + 1];
		size_t n;
		struct msg m = hear(c, word, &n);

		g_assert_cmpint(m.type, ==, MSG_ERROR);
		g_assert_cmpint((int)m.value, ==, -E_CORRUPT);
	}
	(void)close(c);
	tell(b.conn, MSG_SIGNAL, 0, SIGKILL, "", 0);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 137);
	box_end(&b);
}

static void test_start_fails(void)
{
	struct box b = { 0 };
	g_autofree char *status = NULL;
	char data[MSG_DATA_MAX + 1];
	const char *argv[] = { "/no/such/command" };
	struct msg m;
	size_t n;

	box_start(&b, "exit 0", "stdin=0");
	(void)hear(b.conn, data, &n);
	while (hear(b.conn, data, &n).type != MSG_EXIT)
		;
	write_plan(&b, argv, 1);
	{
		g_autofree char *dir = g_strconcat("dir=", b.dir, NULL),
				*run = g_strconcat("run=", b.run, NULL);
		char *args[] = { (char *)"lodge-monitor", (char *)"id=x", dir, run, NULL };
		struct err e;
		int sv[2];

		(void)close(b.conn);
		(void)waitpid(b.monitor, NULL, 0);
		g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), ==, 0);
		b.monitor = spawn_protected(program, args, sv[1], -1, &e);
		(void)close(sv[1]);
		b.conn = sv[0];
	}
	m = hear(b.conn, data, &n);
	g_assert_cmpint(m.type, ==, MSG_ERROR);
	g_assert_cmpint((int)m.value, ==, -E_COMMAND_NOTFOUND);
	g_assert_nonnull(strstr(data, "/no/such/command"));
	status = g_build_filename(b.run, "status", NULL);
	box_end(&b);
	g_assert_false(g_file_test(status, G_FILE_TEST_EXISTS));
}

/* The guest goes on when its starter is gone, and leaves its status. */
static void test_starter_gone(void)
{
	struct box b = { 0 };
	g_autofree char *status = NULL, *file = NULL;

	box_start(&b, "sleep 0.2; exit 4", NULL);
	(void)close(b.conn);
	b.conn = open("/dev/null", O_RDONLY);
	g_assert_cmpint(waitpid(b.monitor, NULL, 0), ==, b.monitor);
	status = file_of(b.dir, "status");
	g_assert_nonnull(strstr(status, "exit 4\n"));
	b.monitor = fork();
	if (b.monitor == 0)
		_exit(0);
	box_end(&b);
}

/*
 * CVE-2019-5736: a guest keeps a descriptor of its starter's executable and writes to it once that isn't
 * running any more. Through the monitor's own mount that is refused, whoever asks.
 */
static void test_executable(void)
{
	g_autoptr(GString) out = g_string_new(NULL), err = g_string_new(NULL);
	g_autofree char *exe = NULL, *again = NULL;
	struct box b = { 0 };
	int fd;

	box_start(&b, "sleep 0.2", NULL);
	await_start(&b);
	exe = g_strdup_printf("/proc/%d/exe", (int)b.monitor);
	fd = open(exe, O_PATH | O_CLOEXEC);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(listen_all(b.conn, out, err), ==, 0);
	box_end(&b);
	again = g_strdup_printf("/proc/self/fd/%d", fd);
	g_assert_cmpint(open(again, O_WRONLY | O_CLOEXEC), ==, -1);
	g_assert_cmpint(errno, ==, EROFS);
	(void)close(fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	program = argc > 1 ? argv[1] : "lodge-monitor";
	g_test_add_func("/monitor/output", test_output);
	g_test_add_func("/monitor/input", test_input);
	g_test_add_func("/monitor/stop", test_stop);
	g_test_add_func("/monitor/stop-deaf", test_stop_deaf);
	g_test_add_func("/monitor/restart", test_restart);
	g_test_add_func("/monitor/exec", test_exec);
	g_test_add_func("/monitor/start-fails", test_start_fails);
	g_test_add_func("/monitor/executable", test_executable);
	g_test_add_func("/monitor/starter-gone", test_starter_gone);
	return g_test_run();
}
