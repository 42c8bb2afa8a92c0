/* SPDX-License-Identifier: MIT */
/* lodge-init's part of a machine, over a socket instead of the port: process 1 of a pid namespace here, whose guest has
 * this host's files. As root. */
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/path.h"
#include "host/steps.h"
#include "init/machine.h"
#include "wire/ustar.h"

#define WAIT_MS 20000

/* --- the monitor's side --- */

struct got { /* of a session */
	GString *out, *err;
	bool started, exited, failed;
	uint32_t code;
	int error;
	char *text;
	uint32_t credit; /* of our input */
	uint64_t bytes;	 /* of output, when it isn't kept */
};

struct peer {
	int fd;
	pid_t pid;
	struct machine_reader in;
	struct got got[8];
	bool no_credit[8], drop[8];
	bool hello, closed;
	GByteArray *dns;
};

static void send_frame(struct peer *p, enum machine_type type, unsigned flags, uint32_t session,
	const void *data, size_t size)
{
	g_autofree uint8_t *b = g_malloc(MACHINE_HEADER + size);

	machine_header(b, type, flags, session, size);
	if (size)
		memcpy(b + MACHINE_HEADER, data, size);
	g_assert_cmpint(send(p->fd, b, MACHINE_HEADER + size, MSG_NOSIGNAL), ==,
		(ssize_t)(MACHINE_HEADER + size));
}

static void send_u32(struct peer *p, enum machine_type type, uint32_t session, uint32_t v)
{
	uint8_t b[4];

	machine_put_u32(b, v);
	send_frame(p, type, 0, session, b, 4);
}

static void send_plan(
	struct peer *p, enum machine_type type, unsigned flags, uint32_t session, struct plan *plan)
{
	_cleanup_free_ char *data = NULL;
	size_t size;

	g_assert_cmpint(plan_encode(plan, &data, &size), ==, 0);
	for (size_t at = 0; at < size; at += MACHINE_DATA_MAX) {
		size_t n = MIN(size - at, (size_t)MACHINE_DATA_MAX);

		send_frame(
			p, type, flags | (at + n < size ? MACHINE_MORE : 0), session, data + at, n);
	}
	plan_free(plan);
}

static void on_frame(struct peer *p, const struct machine_frame *f)
{
	struct got *g;
	uint32_t v = 0;

	if (f->type == MACHINE_HELLO) {
		g_assert_true(machine_u32(f, 0, &v));
		g_assert_cmpuint(v, ==, MACHINE_VERSION);
		g_assert_cmpuint(f->size, >, 4);
		p->hello = true;
		return;
	}
	if (f->type == MACHINE_DNS) {
		g_byte_array_append(p->dns, f->data, f->size);
		return;
	}
	g_assert_cmpuint(f->session, <, G_N_ELEMENTS(p->got));
	g = &p->got[f->session];
	switch (f->type) {
	case MACHINE_STARTED:
		g->started = true;
		break;
	case MACHINE_OUTPUT:
		g_assert_true(g->started && !g->exited);
		g_assert_cmpuint(f->size, >, 0);
		g->bytes += f->size;
		if (!p->drop[f->session])
			g_string_append_len(
				f->flags == 2 ? g->err : g->out, (const char *)f->data, f->size);
		if (!p->no_credit[f->session])
			send_u32(p, MACHINE_CREDIT, f->session, f->size);
		break;
	case MACHINE_CREDIT:
		g_assert_true(machine_u32(f, 0, &v));
		g->credit += v;
		break;
	case MACHINE_EXIT:
		g_assert_true(machine_u32(f, 0, &g->code));
		g->exited = true;
		break;
	case MACHINE_ERROR:
		g_assert_true(machine_u32(f, 0, &v));
		g->error = (int)v;
		g->text = g_strndup((const char *)f->data + 4, f->size - 4);
		g->failed = true;
		break;
	default:
		g_assert_not_reached();
	}
}

/* Reads what comes, for at most that long; false: nothing did. */
static bool turn(struct peer *p, int ms)
{
	struct pollfd f = { .fd = p->fd, .events = POLLIN };
	struct machine_frame frame;
	size_t room;
	uint8_t *to;
	ssize_t n;

	if (poll(&f, 1, ms) <= 0)
		return false;
	to = machine_room(&p->in, &room);
	n = read(p->fd, to, room);
	if (n <= 0) {
		p->closed = true;
		return true;
	}
	machine_filled(&p->in, (size_t)n);
	while ((n = machine_next(&p->in, &frame)) > 0)
		on_frame(p, &frame);
	g_assert_cmpint(n, ==, 0);
	return true;
}

#define wait_until(p, what)                                                         \
	do {                                                                        \
		while (!(what) && !(p)->closed)                                     \
			if (!turn((p), WAIT_MS))                                    \
				g_error("%s:%d: no %s", __FILE__, __LINE__, #what); \
		g_assert_true(what);                                                \
	} while (0)

static struct peer *peer_new(void)
{
	struct peer *p = g_new0(struct peer, 1);
	int sv[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), ==, 0);
	for (unsigned i = 0; i < G_N_ELEMENTS(p->got); i++) {
		p->got[i].out = g_string_new(NULL);
		p->got[i].err = g_string_new(NULL);
	}
	p->dns = g_byte_array_new();
	p->fd = sv[0];
	p->pid = fork();
	if (p->pid == 0) {
		(void)close(sv[0]);
		if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(99);
		pid_t init = fork();
		int status;

		if (init == 0) {
			if (mount("proc", "/proc", "proc", 0, NULL) < 0)
				_exit(98);
			(void)fcntl(sv[1], F_SETFL, O_NONBLOCK);
			machine_life(sv[1], -1);
			_exit(42);
		}
		(void)close(sv[1]);
		_exit(waitpid(init, &status, 0) == init && WIFEXITED(status) ? WEXITSTATUS(status)
									     : 97);
	}
	(void)close(sv[1]);
	wait_until(p, p->hello);
	return p;
}

/* It must end by itself, in order, when nobody is at the port. */
static void peer_free(struct peer *p)
{
	int status;

	(void)close(p->fd);
	g_assert_cmpint(waitpid(p->pid, &status, 0), ==, p->pid);
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 42);
	for (unsigned i = 0; i < G_N_ELEMENTS(p->got); i++) {
		g_string_free(p->got[i].out, TRUE);
		g_string_free(p->got[i].err, TRUE);
		g_free(p->got[i].text);
	}
	g_byte_array_unref(p->dns);
	g_free(p);
}

/* --- plans --- */

static struct plan *guest(const char *namespaces, bool tty, const char *script)
{
	struct plan *p = plan_new();

	plan_add(p, AT_CLONE, &step_clone, namespaces);
	plan_add(p, AT_CHILD, &step_private, "rprivate");
	plan_add(p, AT_CHILD, &step_mount, "proc", "/proc", "proc", "nosuid", "");
	if (strstr(namespaces, "net")) {
		plan_add(p, AT_CHILD, &step_link_up, "lo");
		plan_add(p, AT_CHILD, &step_dns_socket, "127.0.0.11", "", "");
	}
	if (tty) {
		plan_add(p, AT_CHILD, &step_mount, "devpts", "/dev/pts", "devpts", "nosuid",
			"newinstance,ptmxmode=0666");
		plan_add(p, AT_CHILD, &step_console, "/", "");
	}
	plan_add(p, AT_CHILD, &step_env, "PATH=/usr/bin:/bin:/usr/sbin:/sbin");
	plan_add(p, AT_CHILD, &step_session, tty ? "1" : "");
	plan_add(p, AT_CHILD, &step_close_fds);
	plan_add(p, AT_CHILD, &step_exec, "bash", "-c", script);
	return p;
}

static struct plan *exec_plan(bool tty, const char *program, const char *script)
{
	struct plan *p = plan_new();

	plan_add(p, AT_HOST, &step_enter, "pid");
	plan_add(p, AT_CLONE, &step_clone, "");
	plan_add(p, AT_CHILD, &step_enter, "mnt");
	if (tty)
		plan_add(p, AT_CHILD, &step_console, "/", "");
	plan_add(p, AT_CHILD, &step_env, "PATH=/usr/bin:/bin:/usr/sbin:/sbin");
	plan_add(p, AT_CHILD, &step_session, tty ? "1" : "");
	plan_add(p, AT_CHILD, &step_close_fds);
	plan_add(p, AT_CHILD, &step_exec, program, "-c", script);
	return p;
}

static struct peer *started(const char *script)
{
	struct peer *p = peer_new();

	send_plan(p, MACHINE_PLAN, 0, 0, guest("mnt,pid", false, script));
	wait_until(p, p->got[0].started);
	return p;
}

static void exec(struct peer *p, uint32_t session, const char *script)
{
	send_plan(p, MACHINE_EXEC, 0, session, exec_plan(false, "bash", script));
	wait_until(p, p->got[session].started);
}

/* A main command that waits for its input's end, in a shell that can be killed. */
#define WAITING "cat >/dev/null"

/* --- tests --- */

static void test_life(void)
{
	struct peer *p = started("echo $$; echo two >&2; exit 7");

	wait_until(p, p->got[0].exited);
	g_assert_cmpstr(p->got[0].out->str, ==, "1\n");
	g_assert_cmpstr(p->got[0].err->str, ==, "two\n");
	g_assert_cmpuint(p->got[0].code, ==, 7);
	peer_free(p);
}

static void test_input(void)
{
	struct peer *p = started("cat; echo end");

	send_frame(p, MACHINE_INPUT, 0, 0, "some\n", 5);
	wait_until(p, p->got[0].out->len == 5);
	send_frame(p, MACHINE_INPUT, 0, 0, NULL, 0);
	wait_until(p, p->got[0].exited);
	g_assert_cmpstr(p->got[0].out->str, ==, "some\nend\n");
	peer_free(p);
	p = peer_new();
	send_plan(p, MACHINE_PLAN, MACHINE_NO_INPUT, 0,
		guest("mnt,pid", false, "readlink /proc/self/fd/0"));
	wait_until(p, p->got[0].exited);
	g_assert_cmpstr(p->got[0].out->str, ==, "/dev/null\n");
	peer_free(p);
}

static void test_signal(void)
{
	struct peer *p = started("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done");

	wait_until(p, p->got[0].out->len == 6);
	send_u32(p, MACHINE_SIGNAL, 0, SIGUSR1);
	wait_until(p, p->got[0].out->len == 11);
	send_u32(p, MACHINE_SIGNAL, 0, 9999); /* no signal: passed over */
	send_u32(p, MACHINE_SIGNAL, 0, SIGKILL);
	wait_until(p, p->got[0].exited);
	g_assert_cmpuint(p->got[0].code, ==, 128 + SIGKILL);
	peer_free(p);
}

static void test_terminal(void)
{
	struct peer *p = peer_new();

	send_plan(p, MACHINE_PLAN, 0, 0,
		guest("mnt,pid", true,
			"test -t 0 && test -t 2 && read x && stty size && echo \"got $x\""));
	wait_until(p, p->got[0].started);
	send_u32(p, MACHINE_RESIZE, 0, 33u << 16 | 77);
	send_frame(p, MACHINE_INPUT, 0, 0, "abc\n", 4);
	wait_until(p, p->got[0].exited);
	g_assert_cmpuint(p->got[0].code, ==, 0);
	g_assert_cmpstr(p->got[0].out->str, ==, "abc\r\n33 77\r\ngot abc\r\n");
	peer_free(p);
}

static void test_exec(void)
{
	struct peer *p = started(WAITING);

	exec(p, 1, "echo $PPID; cat; exit 3");
	send_plan(p, MACHINE_EXEC, 0, 2, exec_plan(false, "nothing-of-that-name", "x"));
	wait_until(p, p->got[2].failed);
	g_assert_cmpint(p->got[2].error, ==, -E_COMMAND_NOTFOUND);
	g_assert_nonnull(strstr(p->got[2].text, "nothing-of-that-name"));
	send_frame(p, MACHINE_INPUT, 0, 1, "in", 2);
	send_frame(p, MACHINE_INPUT, 0, 1, NULL, 0);
	wait_until(p, p->got[1].exited);
	g_assert_cmpstr(
		p->got[1].out->str, ==, "0\nin"); /* its parent is outside of the namespace */
	g_assert_cmpuint(p->got[1].code, ==, 3);
	/* the main command's end ends the others */
	exec(p, 3, "trap '' TERM; sleep 1000");
	send_frame(p, MACHINE_INPUT, 0, 0, NULL, 0);
	wait_until(p, p->got[0].exited);
	g_assert_true(p->got[3].exited);
	g_assert_cmpuint(p->got[3].code, ==, 137);
	g_assert_cmpuint(p->got[0].code, ==, 0);
	/* and nothing more runs */
	send_plan(p, MACHINE_EXEC, 0, 4, exec_plan(false, "bash", "true"));
	wait_until(p, p->got[4].failed);
	g_assert_cmpint(p->got[4].error, ==, -E_STATE);
	peer_free(p);
}

/* A plan of several frames, and one that fails. */
static void test_plans(void)
{
	g_autofree char *big = g_strnfill(100000, 'x');
	g_autofree char *env = g_strconcat("BIG=", big, NULL);
	struct plan *plan = plan_new();
	struct peer *p = peer_new();

	plan_add(plan, AT_CLONE, &step_clone, "mnt,pid");
	plan_add(plan, AT_CHILD, &step_env, env, "PATH=/usr/bin:/bin");
	plan_add(plan, AT_CHILD, &step_exec, "bash", "-c", "echo ${#BIG}");
	send_plan(p, MACHINE_PLAN, 0, 0, plan);
	wait_until(p, p->got[0].exited);
	g_assert_cmpstr(p->got[0].out->str, ==, "100000\n");
	peer_free(p);

	p = peer_new();
	plan = plan_new();
	plan_add(plan, AT_HOST, &step_disk_mount, "", "/nowhere/at/all", "erofs", "what", "");
	plan_add(plan, AT_HOST, &step_module, "../x");
	send_plan(p, MACHINE_PLAN, 0, 0, plan);
	wait_until(p, p->got[0].failed);
	g_assert_cmpint(p->got[0].error, <, 0);
	peer_free(p);

	p = peer_new();
	send_frame(p, MACHINE_PLAN, 0, 0, "no plan", 7);
	wait_until(p, p->got[0].failed);
	g_assert_cmpint(p->got[0].error, ==, -E_CORRUPT);
	peer_free(p);
}

/* --- flow --- */

static void test_slow_reader(void)
{
	struct peer *p = started(WAITING);

	p->no_credit[1] = p->drop[1] = true;
	exec(p, 1, "exec yes");
	wait_until(p, p->got[1].bytes >= MACHINE_WINDOW);
	exec(p, 2, "echo still here"); /* nobody else is held up */
	wait_until(p, p->got[2].exited);
	g_assert_cmpstr(p->got[2].out->str, ==, "still here\n");
	while (turn(p, 100))
		;
	g_assert_cmpuint(p->got[1].bytes, ==, MACHINE_WINDOW);
	send_u32(p, MACHINE_CREDIT, 1, 1000);
	wait_until(p, p->got[1].bytes == MACHINE_WINDOW + 1000);
	/* more than there can be: no more than a window comes */
	send_u32(p, MACHINE_CREDIT, 1, 0xffffffff);
	wait_until(p, p->got[1].bytes >= 2 * MACHINE_WINDOW + 1000);
	while (turn(p, 100))
		;
	g_assert_cmpuint(p->got[1].bytes, ==, 2 * MACHINE_WINDOW + 1000);
	/* it ends although its output isn't taken */
	send_frame(p, MACHINE_FORGET, 0, 1, NULL, 0);
	send_u32(p, MACHINE_SIGNAL, 1, SIGTERM);
	wait_until(p, p->got[1].exited);
	g_assert_cmpuint(p->got[1].code, ==, 128 + SIGTERM);
	g_assert_cmpuint(p->got[1].bytes, ==, 2 * MACHINE_WINDOW + 1000);
	peer_free(p);
}

/* The last output comes before EXIT, also when it has to wait. */
static void test_late_output(void)
{
	struct peer *p = started(WAITING);

	p->no_credit[1] = true;
	exec(p, 1, "head -c 300000 /dev/zero | tr '\\0' x");
	while (turn(p, 200))
		;
	g_assert_false(p->got[1].exited);
	p->no_credit[1] = false;
	send_u32(p, MACHINE_CREDIT, 1, MACHINE_WINDOW);
	wait_until(p, p->got[1].exited);
	g_assert_cmpuint(p->got[1].out->len, ==, 300000);
	peer_free(p);
}

/* Somebody who doesn't read doesn't keep the machine from ending. */
static void test_end_unread(void)
{
	struct peer *p = started(WAITING);

	p->no_credit[1] = true;
	exec(p, 1, "exec yes");
	wait_until(p, p->got[1].bytes >= MACHINE_WINDOW);
	send_frame(p, MACHINE_INPUT, 0, 0, NULL, 0);
	wait_until(p, p->got[0].exited);
	g_assert_true(p->got[1].exited);
	g_assert_cmpuint(p->got[1].bytes, ==, MACHINE_WINDOW);
	peer_free(p);
}

static void test_input_flow(void)
{
	g_autofree char *data = g_strnfill(MACHINE_DATA_MAX, 'a');
	struct peer *p = started(WAITING);
	uint64_t sent = 0;

	exec(p, 1, "read x; sha256sum | cut -c 1-8; exec cat");
	/* what isn't read waits, up to the window */
	send_frame(p, MACHINE_INPUT, 0, 1, "go", 2);
	for (; sent < MACHINE_WINDOW - 2; sent += 2)
		send_frame(p, MACHINE_INPUT, 0, 1, "aa", 2);
	exec(p, 2, "echo here");
	wait_until(p, p->got[2].exited);
	send_frame(p, MACHINE_INPUT, 0, 1, NULL, 0);
	wait_until(p, p->got[1].exited);
	/* a command that reads gets any amount, as it is acknowledged */
	p->drop[3] = true;
	exec(p, 3, "exec cat");
	for (sent = 0; sent < 8 << 20;) {
		if (sent - p->got[3].credit + MACHINE_DATA_MAX > MACHINE_WINDOW) {
			(void)turn(p, WAIT_MS);
			continue;
		}
		send_frame(p, MACHINE_INPUT, 0, 3, data, MACHINE_DATA_MAX);
		sent += MACHINE_DATA_MAX;
	}
	send_frame(p, MACHINE_INPUT, 0, 3, NULL, 0);
	wait_until(p, p->got[3].exited);
	g_assert_cmpuint(p->got[3].bytes, ==, 8 << 20);
	/* a command that has closed its input takes nothing, and nobody waits for it */
	exec(p, 4, "exec <&-; echo closed; sleep 0.3");
	wait_until(p, p->got[4].out->len > 0);
	for (sent = 0; sent < MACHINE_WINDOW; sent += MACHINE_DATA_MAX)
		send_frame(p, MACHINE_INPUT, 0, 4, data, MACHINE_DATA_MAX);
	wait_until(p, p->got[4].exited);
	g_assert_cmpuint(p->got[4].credit, >=, MACHINE_WINDOW / 2);
	peer_free(p);
}

static void test_throughput(void)
{
	struct peer *p = started(WAITING);
	int64_t begin = g_get_monotonic_time();

	p->drop[1] = true;
	exec(p, 1, "head -c 100M /dev/zero");
	wait_until(p, p->got[1].exited);
	g_assert_cmpuint(p->got[1].bytes, ==, 100 << 20);
	g_test_message("100 MiB in %lld ms", (long long)(g_get_monotonic_time() - begin) / 1000);
	peer_free(p);
}

/* --- what isn't our protocol --- */

static void test_lost(void)
{
	static const uint8_t garbage[64] = { 0xff, 0xff, 0xff };
	g_autofree char *data = g_strnfill(MACHINE_DATA_MAX, 'a');
	struct peer *p = started(WAITING);

	send_frame(p, 99, 0, 0, garbage, sizeof(garbage));
	wait_until(p, p->closed);
	peer_free(p);

	p = started(WAITING); /* a second plan */
	send_plan(p, MACHINE_PLAN, 0, 0, guest("mnt,pid", false, "true"));
	wait_until(p, p->closed);
	peer_free(p);

	p = started(WAITING); /* what only lodge-init says */
	send_u32(p, MACHINE_EXIT, 0, 0);
	wait_until(p, p->closed);
	peer_free(p);

	p = started(WAITING); /* a signal without a number */
	send_frame(p, MACHINE_SIGNAL, 0, 0, "x", 1);
	wait_until(p, p->closed);
	peer_free(p);

	p = started("sleep 1000"); /* more input than the window */
	for (int i = 0; i < 12; i++)
		if (send(p->fd, "", 0, MSG_NOSIGNAL) == 0)
			send_frame(p, MACHINE_INPUT, 0, 0, data, MACHINE_DATA_MAX);
	wait_until(p, p->closed);
	peer_free(p);

	p = peer_new(); /* a session that isn't there is passed over: it may have ended just now */
	send_u32(p, MACHINE_SIGNAL, 5, 9);
	send_plan(p, MACHINE_PLAN, 0, 0, guest("mnt,pid", false, "true"));
	wait_until(p, p->got[0].exited);
	peer_free(p);

	p = peer_new(); /* hung up before anything began */
	peer_free(p);
}

/* The monitor is killed: the command goes on, in peace, and commands beside it end. */
static void test_alone(void)
{
	g_autofree char *file = g_build_filename(g_get_tmp_dir(), "lodge-test-alone", NULL);
	g_autofree char *script = NULL, *text = NULL;
	struct peer *p;

	(void)unlink(file);
	script = g_strdup_printf("trap '' TERM; for i in 1 2 3; do sleep 0.1; seq 20000; done; "
				 "echo done >%s; pgrep -x tail >>%s; exit 0",
		file, file);
	p = started(script);
	exec(p, 1, "exec tail -f /dev/null");
	peer_free(p);
	g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "done\n");
	(void)unlink(file);
}

static void test_dns(void)
{
	struct peer *p = peer_new();
	uint8_t answer[6 + 5];

	send_plan(p, MACHINE_PLAN, 0, 0,
		guest("mnt,pid,net", false,
			"exec 3<>/dev/udp/127.0.0.11/53; printf question >&3; head -c 5 <&3"));
	wait_until(p, p->dns->len > 0);
	g_assert_cmpuint(p->dns->len, ==, 6 + 8);
	g_assert_cmpmem(p->dns->data + 6, 8, "question", 8);
	memcpy(answer, p->dns->data, 6);
	memcpy(answer + 6, "reply", 5);
	send_frame(p, MACHINE_DNS, 0, 0, answer, sizeof(answer));
	wait_until(p, p->got[0].exited);
	g_assert_cmpstr(p->got[0].out->str, ==, "reply");
	peer_free(p);
}

/* --- services --- */

static void serve(struct peer *p, uint32_t session, const char *words, size_t size)
{
	send_frame(p, MACHINE_SERVE, 0, session, words, size);
	wait_until(p, p->got[session].started || p->got[session].failed);
}

/* "NAME" and two words more, with the session's output at the end. */
static struct got *served(
	struct peer *p, uint32_t session, const char *name, const char *path, const char *flags)
{
	g_autoptr(GString) words = g_string_new(NULL);

	g_string_append_len(words, name, (gssize)strlen(name) + 1);
	g_string_append_len(words, path, (gssize)strlen(path) + 1);
	g_string_append_len(words, flags, (gssize)strlen(flags) + 1);
	serve(p, session, words->str, words->len);
	wait_until(p, p->got[session].exited);
	return &p->got[session];
}

static bool shell(const char *script)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	int status = -1;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
		NULL, &status, NULL));
	return status == 0;
}

/* A tree with what tar must keep, and what must not lead out of it. */
static char *make_tree(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *cmd = g_strdup_printf("cd %s && mkdir -p a/sub to && echo hello > a/f && "
					       "chmod 4750 a/f && ln a/f a/hard && "
					       "ln -s f a/link && mkfifo a/p && ln -s a top && "
					       "touch -d @1.5 a/sub",
		d);

	g_assert_true(shell(cmd));
	return g_steal_pointer(&d);
}

static void test_serve_files(void)
{
	char *d = make_tree();
	g_autofree char *a = g_strconcat(d, "/a", NULL), *top = g_strconcat(d, "/top", NULL);
	g_autofree char *f = g_strconcat(d, "/a/f", NULL), *to = g_strconcat(d, "/to", NULL);
	g_autofree char *line = NULL, *same = NULL, *words = NULL;
	struct peer *p = started(WAITING);
	struct got *g;
	struct stat st;
	size_t n;

	/* stat */
	g = served(p, 1, "stat", f, "");
	g_assert_cmpuint(g->code, ==, 0);
	g_assert_cmpint(stat(f, &st), ==, 0);
	line = g_strdup_printf(
		"104750 6 0 0 %lld%09ld \n", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	g_assert_cmpstr(g->out->str, ==, line);
	g = served(p, 2, "stat", top, "");
	g_assert_true(g_str_has_suffix(g->out->str, " a\n"));
	g = served(p, 3, "stat", top, "follow");
	g_assert_true(g_str_has_prefix(g->out->str, "40755 "));
	g = served(p, 4, "stat", "/nothing", "");
	g_assert_cmpuint(g->code, ==, 2);
	g_assert_cmpstr(g->err->str, ==, "cannot find '/nothing': No such file or directory\n");
	/* pack, and unpack elsewhere */
	g = served(p, 5, "pack", top, "follow");
	g_assert_cmpuint(g->code, ==, 0);
	g_assert_cmpuint(g->out->len % USTAR_BLOCK, ==, 0);
	n = strlen(to);
	words = g_malloc0(7 + n + 1 + 6);
	memcpy(words, "unpack", 7);
	memcpy(words + 7, to, n + 1);
	memcpy(words + 7 + n + 1, "owner", 6);
	serve(p, 6, words, 7 + n + 1 + 6);
	send_frame(p, MACHINE_INPUT, 0, 6, g->out->str, g->out->len);
	send_frame(p, MACHINE_INPUT, 0, 6, NULL, 0);
	wait_until(p, p->got[6].exited);
	g_assert_cmpstr(p->got[6].err->str, ==, "");
	g_assert_cmpuint(p->got[6].code, ==, 0);
	same = g_strdup_printf(
		"diff -r --no-dereference -x p %s/a %s/to/top && "
		"test $(stat -c %%i-%%a %s/to/top/f) = $(stat -c %%i-4750 %s/to/top/hard) && "
		"test -p %s/to/top/p && test $(stat -c %%Y %s/to/top/sub) = 1",
		d, d, d, d, d, d);
	g_assert_true(shell(same));
	/* a service that isn't there */
	serve(p, 7, "nonsense", 9);
	g_assert_cmpint(p->got[7].error, ==, -E_UNSUPPORTED);
	peer_free(p);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
	g_free(d);
}

/* An archive that wants out of the folder stays in there. */
static void test_serve_escape(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *in = g_strconcat(d, "/in", NULL), *out = g_strconcat(d, "/out", NULL);
	g_autofree char *evil = g_strconcat(d, "/out/evil", NULL);
	g_autofree char *kept = g_strconcat(d, "/in/out/evil", NULL);
	struct ustar_entry link = { .type = USTAR_SYMLINK, .path = "l", .target = d }, file = {
		.type = USTAR_FILE, .path = "l/../../out/evil", .target = "", .mode = 0644
	};
	g_autoptr(GString) words = g_string_new(NULL);
	struct ustar_buf b = { 0 };
	struct peer *p = started(WAITING);

	g_assert_cmpint(mkdir(in, 0700), ==, 0);
	g_assert_cmpint(mkdir(out, 0700), ==, 0);
	g_assert_cmpint(ustar_put_entry(&b, &link), ==, 0);
	g_assert_cmpint(ustar_put_entry(&b, &file), ==, 0);
	g_assert_cmpint(ustar_put_end(&b), ==, 0);
	g_string_append_len(words, "unpack", 7);
	g_string_append_len(words, in, (gssize)strlen(in) + 1);
	serve(p, 1, words->str, words->len);
	send_frame(p, MACHINE_INPUT, 0, 1, b.p, b.n);
	send_frame(p, MACHINE_INPUT, 0, 1, NULL, 0);
	wait_until(p, p->got[1].exited);
	g_assert_false(g_file_test(evil, G_FILE_TEST_EXISTS));
	g_assert_true(p->got[1].code != 0 || g_file_test(kept, G_FILE_TEST_EXISTS));
	ustar_buf_done(&b);
	peer_free(p);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

static void test_serve_ps(void)
{
	struct peer *p = started(WAITING);
	g_auto(GStrv) line = NULL;

	exec(p, 1, "exec -a 'a \"name' sleep 1000");
	for (int tries = 0; tries < 100; tries++) { /* until the shell has become sleep */
		g_string_truncate(p->got[2].out, 0);
		p->got[2].exited = p->got[2].started = false;
		serve(p, 2, "ps", 3);
		wait_until(p, p->got[2].exited);
		if (strstr(p->got[2].out->str, "\"sleep\""))
			break;
		g_usleep(20000);
	}
	line = g_strsplit(p->got[2].out->str, "\n", -1);
	g_assert_true(g_str_has_prefix(line[0], "up "));
	g_assert_true(g_str_has_prefix(line[1], "1 0 0 "));
	g_assert_nonnull(strstr(p->got[2].out->str, " \"sleep\" \"a \\\"name 1000\"\n"));
	g_assert_cmpuint(g_strv_length(line), ==,
		5); /* "up", bash, its cat, sleep, and what follows the last */
	send_u32(p, MACHINE_SIGNAL, 1, SIGKILL);
	peer_free(p);
}

static void test_serve_changes(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL), *root = NULL, *up = NULL;
	g_autofree char *work = NULL, *lower = NULL, *script = NULL;
	const char *const folders[] = { "one/gone", "one/dir", "two", "up", "work", "root" };
	struct plan *plan = plan_new();
	struct peer *p = peer_new();

	for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_strdup_printf("%s/%s", d, folders[i]);

		g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
	}
	root = g_strconcat(d, "/root", NULL);
	up = g_strconcat(d, "/up", NULL);
	work = g_strconcat(d, "/work", NULL);
	lower = g_strdup_printf("%s/two:%s/one", d, d);
	script = g_strdup_printf(
		"cd %s && rmdir gone && echo > dir/new && echo > $'a\\nb' && echo ok && "
		"cat >/dev/null",
		root);
	/* overlayfs wants a file system that can have whiteouts */
	plan_add(plan, AT_HOST, &step_mount, "tmpfs", up, "tmpfs", "", "");
	plan_add(plan, AT_HOST, &step_mkdir, plan_str(plan, "%s/u", up), "0755");
	plan_add(plan, AT_HOST, &step_mkdir, plan_str(plan, "%s/w", up), "0755");
	plan_add(plan, AT_HOST, &step_overlay, root, lower, plan_str(plan, "%s/u", up),
		plan_str(plan, "%s/w", up), "");
	plan_add(plan, AT_CLONE, &step_clone, "mnt,pid");
	plan_add(plan, AT_CHILD, &step_env, "PATH=/usr/bin:/bin");
	plan_add(plan, AT_CHILD, &step_exec, "bash", "-c", script);
	send_plan(p, MACHINE_PLAN, 0, 0, plan);
	wait_until(p, p->got[0].out->len == 3);
	serve(p, 1, "changes", 8);
	wait_until(p, p->got[1].exited);
	g_assert_cmpstr(p->got[1].err->str, ==, "");
	g_assert_cmpstr(p->got[1].out->str, ==, "A /a\\nb\nC /dir\nA /dir/new\nD /gone\n");
	send_frame(p, MACHINE_INPUT, 0, 0, NULL, 0);
	wait_until(p, p->got[0].exited);
	peer_free(p);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

/* A plan without a command: only services, until it is told to end. */
static void test_held(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL), *root = NULL, *upper = NULL;
	g_autofree char *lower = NULL, *work = NULL, *script = NULL;
	struct plan *plan = plan_new();
	struct peer *p = peer_new();
	struct got *g;

	root = g_strconcat(d, "/root", NULL);
	lower = g_strdup_printf("%s/low:%s/lower", d, d);
	upper = g_strconcat(d, "/up/u", NULL);
	work = g_strconcat(d, "/up/w", NULL);
	script = g_strdup_printf("cd %s && mkdir -p root low lower up && echo inside >low/f", d);
	g_assert_true(shell(script));
	plan_add(plan, AT_HOST, &step_mount, "tmpfs", plan_str(plan, "%s/up", d), "tmpfs", "", "");
	plan_add(plan, AT_HOST, &step_mkdir, upper, "0755");
	plan_add(plan, AT_HOST, &step_mkdir, work, "0755");
	plan_add(plan, AT_HOST, &step_overlay, root, lower, upper, work, "");
	send_plan(p, MACHINE_PLAN, 0, 0, plan);
	wait_until(p, p->got[0].started);
	g = served(p, 1, "stat", "/f", "");
	g_assert_cmpstr(g->err->str, ==, "");
	g_assert_true(g_str_has_prefix(g->out->str, "100644 7 "));
	g = served(p, 2, "stat", "/usr", "");
	g_assert_cmpuint(g->code, ==, 2);
	send_plan(p, MACHINE_EXEC, 0, 3, exec_plan(false, "bash", "true"));
	wait_until(p, p->got[3].failed);
	g_assert_cmpint(p->got[3].error, ==, -E_STATE);
	send_u32(p, MACHINE_SIGNAL, 0, SIGTERM);
	wait_until(p, p->got[0].exited);
	g_assert_cmpuint(p->got[0].code, ==, 0);
	serve(p, 4, "stat\0/f", 8);
	g_assert_cmpint(p->got[4].error, ==, -E_STATE);
	peer_free(p);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	if (geteuid() != 0) {
		g_print("1..0 # SKIP not root\n");
		return 0;
	}
	g_test_add_func("/machine/life", test_life);
	g_test_add_func("/machine/input", test_input);
	g_test_add_func("/machine/signal", test_signal);
	g_test_add_func("/machine/terminal", test_terminal);
	g_test_add_func("/machine/exec", test_exec);
	g_test_add_func("/machine/plans", test_plans);
	g_test_add_func("/machine/slow-reader", test_slow_reader);
	g_test_add_func("/machine/late-output", test_late_output);
	g_test_add_func("/machine/end-unread", test_end_unread);
	g_test_add_func("/machine/input-flow", test_input_flow);
	g_test_add_func("/machine/throughput", test_throughput);
	g_test_add_func("/machine/lost", test_lost);
	g_test_add_func("/machine/alone", test_alone);
	g_test_add_func("/machine/dns", test_dns);
	g_test_add_func("/machine/serve/held", test_held);
	g_test_add_func("/machine/serve/files", test_serve_files);
	g_test_add_func("/machine/serve/escape", test_serve_escape);
	g_test_add_func("/machine/serve/ps", test_serve_ps);
	g_test_add_func("/machine/serve/changes", test_serve_changes);
	return g_test_run();
}
