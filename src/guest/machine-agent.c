/* SPDX-License-Identifier: MIT */
/*
 * The client of QEMU's guest agent: JSON lines over the virtio port whose host's end QEMU listens with at
 * RUN/guests/ID/agent (qemu/docs/interop/qemu-ga-ref). Whatever comes is the guest's: it may be anything, without end.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "guest/machine-priv.h"

#define REPLY_MAX \
	(32 << 20) /* bytes of a line; the agent's own limit of a command's output is 16 MiB, as base64 */
#define EXEC_LOOK_MS 50
#define DELIMITER    0xff

struct machine_agent {
	struct ctx *c;
	char *name; /* of the guest */
	int fd, seconds;
	GString *in;
};

void machine_agent_free(struct machine_agent *a)
{
	if (!a)
		return;
	closep(&a->fd);
	g_string_free(a->in, TRUE);
	g_free(a->name);
	g_free(a);
}

void machine_agent_freep(struct machine_agent **a)
{
	machine_agent_free(*a);
}

static int no_answer(const struct machine_agent *a, struct err *e)
{
	err_set(e, -ETIMEDOUT, "the guest agent in '%s' didn't answer in %d s", a->name,
		a->seconds);
	err_mend(e, "qemu-guest-agent must run in there; one client at a time");
	return -ETIMEDOUT;
}

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static int write_all(struct machine_agent *a, const char *p, size_t n, int64_t until, struct err *e)
{
	while (n > 0) {
		struct pollfd w = { a->fd, POLLOUT, 0 };
		int64_t left = (until - g_get_monotonic_time()) / 1000;
		ssize_t k = left > 0 ? poll(&w, 1, (int)left) : 0;

		if (k == 0)
			return no_answer(a, e);
		k = RET_NERRNO(send(a->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT));
		if (k == -EAGAIN || k == -EINTR)
			continue;
		if (k < 0)
			return err_sys(e, (int)k, "cannot talk to the guest agent");
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int read_some(struct machine_agent *a, int64_t until, struct err *e)
{
	char buf[16384];
	struct pollfd p = { a->fd, POLLIN, 0 };
	int64_t left = (until - g_get_monotonic_time() + 999) / 1000;
	ssize_t n = left > 0 ? RET_NERRNO(poll(&p, 1, (int)left)) : 0;

	if (n == 0)
		return no_answer(a, e);
	if (n > 0)
		n = RET_NERRNO(recv(a->fd, buf, sizeof(buf), MSG_DONTWAIT));
	if (n == -EINTR || n == -EAGAIN)
		return 0;
	if (n <= 0)
		return err_sys(e, n < 0 ? (int)n : -ECONNRESET, "lost the guest agent");
	if (a->in->len + (size_t)n > REPLY_MAX)
		return err_set(
			e, -E_LIMIT, "the guest agent said more than %d MiB", REPLY_MAX >> 20);
	g_string_append_len(a->in, buf, n);
	return 0;
}

/* One line, without its newline; the caller's. */
static int read_line(
	struct machine_agent *a, int64_t until, char **ret, size_t *ret_n, struct err *e)
{
	size_t looked = 0;

	for (;;) {
		const char *end = memchr(a->in->str + looked, '\n', a->in->len - looked);
		int r;

		if (end) {
			*ret_n = (size_t)(end - a->in->str);
			*ret = g_strndup(a->in->str, *ret_n);
			g_string_erase(a->in, 0, (gssize)*ret_n + 1);
			return 0;
		}
		looked = a->in->len;
		r = read_some(a, until, e);
		if (r < 0)
			return r;
	}
}

/* --- commands -------------------------------------------------------------------------------------------------------- */

static int send_command(struct machine_agent *a, const char *command, json_t *arguments,
	bool delimited, int64_t until, struct err *e)
{
	json_t *whole = json_pack("{s:s}", "execute", command);
	_cleanup_free_ char *text = NULL;
	g_autofree char *line = NULL;

	if (arguments)
		json_object_set_new(whole, "arguments", arguments);
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	if (!text)
		return err_set(e, -E_INVALID, "the arguments of '%s' are not UTF-8", command);
	/* the delimiter makes its parser forget half a command of somebody before */
	line = g_strdup_printf("%s%s\n", delimited ? "\xff" : "", text);
	return write_all(a, line, strlen(line), until, e);
}

static int agent_error(const char *command, const json_t *error, struct err *e)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *text = json_string_value(json_object_get(error, "desc"));
	int code = g_strcmp0(class, "CommandNotFound") == 0 ? -E_UNSUPPORTED : -E_INVALID;
	g_autofree char *clean = g_strndup(text ?: "refused without a word", 300);

	/* it is shown on a terminal */
	for (char *p = clean; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return err_set(e, code, "guest agent, '%s': %s", command, clean);
}

static int read_reply(
	struct machine_agent *a, const char *command, json_t **ret, int64_t until, struct err *e)
{
	g_autofree char *line = NULL;
	json_t *j;
	size_t n;
	int r = read_line(a, until, &line, &n, e);

	if (r < 0)
		return r;
	j = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(j))
		r = err_set(e, -EPROTO, "the guest agent's answer to '%s' is not JSON", command);
	else if (json_object_get(j, "error"))
		r = agent_error(command, json_object_get(j, "error"), e);
	else if (!json_object_get(j, "return"))
		r = err_set(e, -EPROTO, "the guest agent's answer to '%s' is none", command);
	else if (ret)
		*ret = json_incref(json_object_get(j, "return"));
	json_decref(j);
	return r;
}

int machine_agent_call(struct machine_agent *a, const char *command, json_t *arguments,
	json_t **ret, struct err *e)
{
	int64_t until = g_get_monotonic_time() + a->seconds * G_USEC_PER_SEC;
	int r;

	if (a->c->explain) {
		_cleanup_free_ char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;

		(void)fprintf(stdout, "# to the guest agent: %s %s\n", command, text ?: "");
		json_decref(arguments);
		if (ret)
			*ret = json_object();
		return 0;
	}
	r = send_command(a, command, arguments, false, until, e);
	return r < 0 ? r : read_reply(a, command, ret, until, e);
}

/* Until the answer with our number, past whatever an earlier client left. */
static int synchronise(struct machine_agent *a, struct err *e)
{
	int64_t until = g_get_monotonic_time() + a->seconds * G_USEC_PER_SEC;
	json_int_t id = g_random_int();
	int r = send_command(
		a, "guest-sync-delimited", json_pack("{s:I}", "id", id), true, until, e);

	while (r >= 0) {
		g_autofree char *line = NULL;
		const char *from;
		json_t *j;
		size_t n;
		bool ours;

		r = read_line(a, until, &line, &n, e);
		if (r < 0)
			return r;
		from = memrchr(line, DELIMITER, n);
		if (!from)
			continue;
		j = json_loadb(from + 1, n - (size_t)(from + 1 - line), 0, NULL);
		ours = json_is_integer(json_object_get(j, "return")) &&
		       json_integer_value(json_object_get(j, "return")) == id;
		json_decref(j);
		if (ours)
			return 0;
	}
	return r;
}

static int connect_agent(struct ctx *c, const struct guest *g, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	g_autofree char *path = guest_run_dir(c, g);
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	int r;

	if (dir < 0)
		return err_set(e, -E_STATE, "guest '%s' is not running", g->rec->name);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/agent", dir);
	fd = RET_NERRNO(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	r = fd < 0 ? fd : RET_NERRNO(connect(fd, (struct sockaddr *)&sa, sizeof(sa)));
	if (r < 0)
		return err_sys(e, r, "cannot connect to the guest agent of '%s'", g->rec->name);
	return TAKE_FD(fd);
}

int machine_agent_open(
	struct ctx *c, struct guest *g, int seconds, struct machine_agent **ret, struct err *e)
{
	_cleanup_(machine_agent_freep) struct machine_agent *a = NULL;
	int fd = -1, r = guest_must_run(g, e);

	if (r >= 0 && (!g->spec->vm || !g->spec->vm->agent))
		r = err_set(e, -E_UNSUPPORTED, "guest '%s' has no port for a guest agent",
			g->rec->name);
	if (r >= 0 && g->state == GUEST_PAUSED)
		r = err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
	if (r >= 0 && !c->explain)
		fd = r = connect_agent(c, g, e);
	if (r < 0)
		return r;
	a = g_new0(struct machine_agent, 1);
	*a = (struct machine_agent){ .c = c,
		.name = g_strdup(g->rec->name),
		.fd = fd,
		.seconds = seconds,
		.in = g_string_new(NULL) };
	r = c->explain ? 0 : synchronise(a, e);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&a);
	return 0;
}

/* --- exec ------------------------------------------------------------------------------------------------------------- */

static int write_out(const json_t *status, const char *key, int fd, struct err *e)
{
	const char *text = json_string_value(json_object_get(status, key));
	g_autofree guchar *bytes = NULL;
	gsize n = 0;

	if (!text || !*text)
		return 0;
	bytes = g_base64_decode(text, &n);
	for (gsize done = 0; done < n;) {
		ssize_t k = RET_NERRNO(write(fd, bytes + done, n - done));

		if (k == -EINTR)
			continue;
		if (k < 0)
			return err_sys(e, (int)k, "cannot write the command's output");
		done += (gsize)k;
	}
	return 0;
}

static int ended(const json_t *status, int out, int err, struct err *e)
{
	const json_t *code = json_object_get(status, "exitcode"),
		     *sig = json_object_get(status, "signal");
	int r = write_out(status, "out-data", out, e);

	if (r >= 0)
		r = write_out(status, "err-data", err, e);
	if (r < 0)
		return r;
	if (json_is_integer(sig))
		return (int)(128 + (json_integer_value(sig) & 0x7f));
	return json_is_integer(code) ? (int)(json_integer_value(code) & 0xff) : 255;
}

int machine_agent_exec(struct machine_agent *a, char *const *argv, int out, int err, struct err *e)
{
	json_t *arg = json_array(), *j = NULL;
	json_int_t pid;
	int r;

	for (char *const *w = argv + 1; *w; w++)
		json_array_append_new(arg, json_string(*w) ?: json_string("?"));
	r = machine_agent_call(a, "guest-exec",
		json_pack("{s:s, s:o, s:b}", "path", argv[0], "arg", arg, "capture-output", 1), &j,
		e);
	if (r < 0 || a->c->explain) {
		json_decref(j);
		return r;
	}
	pid = json_integer_value(json_object_get(j, "pid"));
	json_decref(j);
	for (;;) {
		r = machine_agent_call(
			a, "guest-exec-status", json_pack("{s:I}", "pid", pid), &j, e);
		if (r < 0)
			return r;
		if (json_is_true(json_object_get(j, "exited")))
			break;
		json_decref(j);
		g_usleep(EXEC_LOOK_MS * 1000);
	}
	r = ended(j, out, err, e);
	json_decref(j);
	return r;
}
