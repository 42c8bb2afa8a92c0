/* SPDX-License-Identifier: MIT */
/* Streams of a guest on a connection that was taken over; attach, logs. */

#include "dialect/docker/stream.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/units.h"

int stream_output(void *data, int stream, const void *p, size_t n)
{
	struct stream_out *o = data;
	unsigned char head[STREAM_HEAD] = { (unsigned char)stream, 0, 0, 0,
		(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
		(unsigned char)n };
	int r = 0;

	if (!(stream == 2 ? o->err : o->out) || n == 0)
		return 0;
	if (o->frames)
		r = o->chunks ? link_send(o->link, head, sizeof(head))
			      : link_write(o->link, head, sizeof(head));
	if (r >= 0)
		r = o->chunks ? link_send(o->link, p, n) : link_write(o->link, p, n);
	return r;
}

int stream_head(struct call *c, struct link *l, bool tty)
{
	const char *type = tty || api_minor(c) < 42 ? "application/vnd.docker.raw-stream"
						    : "application/vnd.docker.multiplexed-stream";
	g_autofree char *head = NULL;

	if (c->q->upgrade)
		head = g_strdup_printf(
			"HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\n"
			"Upgrade: tcp\r\nApi-Version: %s\r\n\r\n",
			type, DOCKER_API_MAX);
	else
		head = g_strdup_printf(
			"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nApi-Version: %s\r\n\r\n", type,
			DOCKER_API_MAX);
	return link_raw(l, head);
}

/* What TLS has, or what came with the head, the socket doesn't tell of: then a process copies it all. */
int stream_input(struct link *l)
{
	char buf[16 * 1024];
	int pipe_fd[2];
	pid_t pid;
	ssize_t n;

	if (!link_pending(l) && !link_is_tls(l))
		return link_fd(l);
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -1;
	pid = RET_NERRNO(fork());
	if (pid != 0) {
		(void)close(pipe_fd[1]);
		return pipe_fd[0];
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = link_read(l, buf, sizeof(buf))) > 0)
		if (RET_NERRNO(write(pipe_fd[1], buf, (size_t)n)) != n)
			break;
	_exit(0);
}

/* --- attach -------------------------------------------------------------------------------------------------- */

/* What the log has, before what comes. */
static void past(struct call *c, struct guest *g, struct stream_out *o)
{
	struct guest_log_query q = {
		.out = o->out, .err = o->err, .tail = -1, .frames = o->frames
	};

	char buf[32 * 1024];
	int pipe_fd[2];
	pid_t pid;
	ssize_t n;

	if (!api_flag(c, "logs", false) || pipe2(pipe_fd, O_CLOEXEC) < 0)
		return;
	pid = RET_NERRNO(fork());
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(pipe_fd[0]);
		_exit(guest_logs(api_ctx(c), g, &q, pipe_fd[1], pipe_fd[1], NULL) < 0);
	}
	(void)close(pipe_fd[1]);
	while (pid > 0 && (n = RET_NERRNO(read(pipe_fd[0], buf, sizeof(buf)))) > 0)
		if (link_write(o->link, buf, (size_t)n) < 0)
			break;
	(void)close(pipe_fd[0]);
	if (pid > 0)
		(void)RET_NERRNO(waitpid(pid, NULL, 0));
}

struct attaching {
	struct call *call;
	struct guest *g;
	struct stream_out *o;
};

/* The client may start it now. */
static int begin(void *data)
{
	struct attaching *a = data;
	int r = stream_head(a->call, a->o->link, a->g->spec->tty);

	if (r >= 0)
		past(a->call, a->g, a->o);
	return r;
}

void container_attach(struct call *c, struct link *l)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *keys = call_query(c, "detachKeys");
	struct stream_out o = {
		.link = l, .out = api_flag(c, "stdout", false), .err = api_flag(c, "stderr", false)
	};
	struct guest_stdio io = { .in = -1, .out = -1, .err = -1, .data = &o };
	struct attaching a = { c, g, &o };
	struct err e = { 0 };
	int fd;

	if (!g)
		return;
	if (g->state == GUEST_PAUSED) {
		api_error(c, 409, "container %s is paused, unpause the container before attach",
			g->rec->id);
		return;
	}
	o.frames = !g->spec->tty;
	io.output = o.out || o.err ? stream_output : NULL;
	if (!api_flag(c, "stream", false)) {
		(void)begin(&a);
		return;
	}
	if (api_flag(c, "stdin", false) && g->spec->open_stdin)
		io.in = stream_input(l);
	/* of a terminal only: a pipe may carry any bytes */
	io.detach_keys = g->spec->tty && keys ? keys : "";
	fd = guest_await(api_ctx(c), g, &io, begin, &a, link_fd(l), &e);
	if (fd < 0)
		return;
	(void)guest_session(api_ctx(c), g, fd, &io, &e);
	(void)close(fd);
}

/* --- logs ---------------------------------------------------------------------------------------------------- */

/* Seconds with a fraction, or a time: nanoseconds. 0 when it isn't there; false: the answer is given. */
static bool moment_of(struct call *c, const char *key, int64_t *ret)
{
	g_autofree char *word = call_query(c, key);
	char *end;
	double t;

	*ret = 0;
	if (!word || !*word || g_str_equal(word, "0"))
		return true;
	t = g_ascii_strtod(word, &end);
	if (!*end) {
		*ret = (int64_t)(t * 1e9);
		return true;
	}
	if (units_parse_moment(word, g_get_real_time() * 1000, ret) >= 0)
		return true;
	api_error(c, 400, "invalid value for \"%s\": '%s'", key, word);
	return false;
}

void container_logs(struct call *c, struct link *l)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *tail = call_query(c, "tail");
	struct guest_log_query q = { .follow = api_flag(c, "follow", false),
		.timestamps = api_flag(c, "timestamps", false),
		.out = api_flag(c, "stdout", false),
		.err = api_flag(c, "stderr", false),
		.tail = -1 };
	struct err e = { 0 };
	int pipe_fd[2];
	char buf[32 * 1024];
	pid_t pid;
	ssize_t n;

	if (!g || !moment_of(c, "since", &q.since) || !moment_of(c, "until", &q.until))
		return;
	if (!q.out && !q.err) {
		api_error(c, 400, "Bad parameters: you must choose at least one stream");
		return;
	}
	if (tail && *tail && !g_str_equal(tail, "all"))
		q.tail = MAX(g_ascii_strtoll(tail, NULL, 10), 0);
	q.frames = !g->spec->tty;
	reply_header(&c->reply, "Content-Type", "%s",
		q.frames && api_minor(c) >= 42 ? "application/vnd.docker.multiplexed-stream"
					       : "application/vnd.docker.raw-stream");
	c->reply.status = 200;
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return;
	link_follow(l);
	if (link_begin(c, l) < 0)
		return;
	pid = RET_NERRNO(fork());
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(pipe_fd[0]);
		_exit(guest_logs(api_ctx(c), g, &q, pipe_fd[1], pipe_fd[1], &e) < 0);
	}
	(void)close(pipe_fd[1]);
	while (pid > 0 && (n = RET_NERRNO(read(pipe_fd[0], buf, sizeof(buf)))) != 0)
		if (n > 0 && link_send(l, buf, (size_t)n) < 0)
			break;
}
