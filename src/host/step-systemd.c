/* SPDX-License-Identifier: MIT */
/* Steps that have systemd make, change and stop the scope of a container. */
#include "host/steps.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "host/cgroup.h"
#include "host/dbus.h"
#include "host/smallfile.h"
#include "host/systemd.h"

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER	     "org.freedesktop.systemd1.Manager"
#define PROPERTIES   "org.freedesktop.DBus.Properties"

enum {
	ANSWER_MS = 30000
};

/* --- the connection --- */

struct bus {
	int fd;
	uint32_t serial;
	int64_t end; /* of waiting */
	uint8_t *buf;
	size_t have, used; /* bytes read, and those of the message that was given out last */
	struct dbus_out *out;
};

static void bus_done(struct bus *b)
{
	closep(&b->fd);
	free(b->buf);
	free(b->out);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void socket_path(bool user, char *buf, size_t size)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (!user)
		(void)snprintf(buf, size, "/run/systemd/private");
	else if (dir && *dir)
		(void)snprintf(buf, size, "%s/systemd/private", dir);
	else /* as pam_systemd(8) makes it: sudo and cron don't pass it on */
		(void)snprintf(buf, size, "/run/user/%u/systemd/private", (unsigned)geteuid());
}

bool systemd_is_there(bool user)
{
	char path[108];

	socket_path(user, path, sizeof(path));
	return access(user ? path : "/run/systemd/system", F_OK) == 0;
}

/* Waits for more bytes. */
static int fill(struct bus *b)
{
	struct pollfd p = { b->fd, POLLIN, 0 };
	int64_t left = b->end - now_ms();
	ssize_t n;

	if (b->have == 2 * DBUS_MESSAGE_MAX)
		return -E_LIMIT;
	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return -ETIMEDOUT;
	n = read(b->fd, b->buf + b->have, 2 * DBUS_MESSAGE_MAX - b->have);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	b->have += n > 0 ? (size_t)n : 0;
	return 0;
}

/* D-Bus Specification, "Authentication Protocol". No id is said, since the socket proves it, and the one that this
 * process knows may be of a user namespace. */
static int authenticate(struct bus *b)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	static const char *const want[] = { "DATA\r", "OK " };

	if (send(b->fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
		return -errno;
	for (unsigned i = 0; i < ELEMENTSOF(want); i++) {
		uint8_t *end;
		size_t n;

		while ((end = memchr(b->buf, '\n', b->have)) == NULL) {
			int r = fill(b);

			if (r < 0)
				return r;
		}
		if (strncmp((const char *)b->buf, want[i], strlen(want[i])) != 0)
			return -EACCES;
		n = (size_t)(end - b->buf) + 1;
		b->have -= n;
		memmove(b->buf, b->buf + n, b->have);
	}
	return 0;
}

static int bus_open(struct bus *b, bool user, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r = 0;

	*b = (struct bus){ .end = now_ms() + ANSWER_MS,
		.buf = calloc(1, 2 * DBUS_MESSAGE_MAX),
		.out = malloc(sizeof(struct dbus_out)) };
	if (!b->buf || !b->out)
		abort();
	socket_path(user, a.sun_path, sizeof(a.sun_path));
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0 || connect(b->fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		r = -errno;
	if (r >= 0)
		r = authenticate(b);
	if (r < 0) {
		err_set(e, -E_UNSUPPORTED, "systemd can't be reached at '%s': %s", a.sun_path,
			err_words(r));
		return -E_UNSUPPORTED;
	}
	return 0;
}

static int bus_send(struct bus *b)
{
	dbus_end(b->out);
	if (b->out->full)
		return -E_LIMIT;
	for (size_t done = 0; done < b->out->n;) {
		ssize_t n = send(b->fd, b->out->buf + done, b->out->n - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* The next message; it stays until the next call. */
static int bus_next(struct bus *b, struct dbus_message *ret)
{
	for (;;) {
		ssize_t n;
		int r;

		b->have -= b->used;
		memmove(b->buf, b->buf + b->used, b->have);
		b->used = 0;
		n = dbus_parse(b->buf, b->have, ret);
		if (n < 0)
			return (int)n;
		b->used = (size_t)n;
		if (n > 0)
			return 0;
		r = fill(b);
		if (r < 0)
			return r;
	}
}

static void bus_call(
	struct bus *b, const char *interface, const char *member, const char *signature)
{
	dbus_begin(b->out, ++b->serial, MANAGER_PATH, interface, member, signature);
}

/* Sends the call and waits for its return. An error's name is in e's text; "" of error: it went well. */
static int bus_ask(struct bus *b, struct dbus_message *ret, const char *what, struct err *e)
{
	int r = bus_send(b);

	while (r >= 0) {
		r = bus_next(b, ret);
		if (r >= 0 && ret->reply_to == b->serial && ret->type == DBUS_RETURN)
			return 0;
		if (r >= 0 && ret->reply_to == b->serial && ret->type == DBUS_ERROR) {
			const char *text = dbus_text(ret, 0);

			return err_set(e, -EREMOTEIO, "systemd says no to %s: %s", what,
				text ? text : ret->error);
		}
	}
	return err_sys(e, r, "cannot talk with systemd about %s", what);
}

/* Waits until the job that the call returned is done. */
static int bus_wait(struct bus *b, const char *job, const char *what, struct err *e)
{
	char path[SYSTEMD_TEXT_MAX];
	struct dbus_message m;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s", job ? job : "");
	while ((r = bus_next(b, &m)) >= 0) {
		const char *of, *result;

		if (m.type != DBUS_SIGNAL || strcmp(m.member, "JobRemoved") != 0)
			continue;
		of = dbus_text(&m, 1);
		result = dbus_text(&m, 3);
		if (!of || strcmp(of, path) != 0)
			continue;
		if (result && strcmp(result, "done") == 0)
			return 0;
		return err_set(e, -EREMOTEIO, "systemd's job for %s ended as '%s'", what,
			result ? result : "");
	}
	return err_sys(e, r, "cannot wait for systemd's job for %s", what);
}

/* --- what the manager says about itself --- */

static int get(struct bus *b, const char *property, char *ret, size_t size, struct err *e)
{
	struct dbus_message m;
	const char *text;
	int r;

	bus_call(b, PROPERTIES, "Get", "ss");
	dbus_put_string(b->out, MANAGER);
	dbus_put_string(b->out, property);
	r = bus_ask(b, &m, property, e);
	if (r < 0)
		return r;
	text = dbus_text(&m, 0);
	if (!text || strlen(text) >= size)
		return err_set(e, -E_CORRUPT, "systemd's %s is no text", property);
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

int systemd_facts(bool user, struct systemd_facts *ret, struct err *e)
{
	_cleanup_(bus_done) struct bus b = { .fd = -1 };
	char version[SYSTEMD_TEXT_MAX];
	int r = bus_open(&b, user, e);

	if (r >= 0)
		r = get(&b, "Version", version, sizeof(version), e);
	if (r >= 0)
		r = get(&b, "ControlGroup", ret->cgroup, sizeof(ret->cgroup), e);
	if (r < 0)
		return r;
	/* "252.39-1~deb12u2", and of old "v245" */
	ret->version = (unsigned)strtoul(version + (version[0] == 'v'), NULL, 10);
	if (strcmp(ret->cgroup, "/") == 0)
		ret->cgroup[0] = '\0';
	return 0;
}

int systemd_slice_path(const char *slice, char *ret, size_t size)
{
	size_t n = strlen(slice), stem = n > 6 ? n - 6 : 0;
	size_t k = 0;

	if (!stem || strcmp(slice + stem, ".slice") != 0 || strchr(slice, '/') ||
		n >= SYSTEMD_TEXT_MAX)
		return -E_INVALID;
	ret[0] = '\0';
	if (strcmp(slice, "-.slice") == 0)
		return 0;
	if (slice[0] == '-' || slice[stem - 1] == '-' || strstr(slice, "--"))
		return -E_INVALID;
	for (size_t i = 1; i <= stem; i++) {
		int w;

		if (i < stem && slice[i] != '-')
			continue;
		w = snprintf(ret + k, size - k, "%s%.*s.slice", k ? "/" : "", (int)i, slice);
		if (w < 0 || (size_t)w >= size - k)
			return -E_INVALID;
		k += (size_t)w;
	}
	return 0;
}

/* --- holder: a scope begins with a process ---------------------------------------------------------- */

static int holder_run(struct step_run *r, const struct step *s, struct err *e)
{
	pid_t executor = getpid(), pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		(void)syscall(SYS_close_range, 3, ~0U, 0);
		while (getppid() == executor)
			(void)pause();
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	r->child = pid;
	return 0;
}

static void holder_show(const struct step *s, struct text *t)
{
	text_add(t, "sleep infinity & pid=$!");
}

const struct step_ops step_holder = {
	.name = "holder", .args = "", .run = holder_run, .show = holder_show
};

/* --- systemd-scope: the unit, and what its undo removes --- */

static bool is_user(const struct step *s)
{
	return strcmp(s->arg[0], "user") == 0;
}

static int put_properties(
	struct bus *b, const struct step *s, unsigned first, pid_t pid, struct err *e)
{
	size_t array = dbus_array_begin(b->out, 8);

	for (unsigned i = first; i < s->n; i++)
		if (dbus_put_property(b->out, s->arg[i], pid) < 0)
			return err_set(e, -E_INVALID, "'%s' is no property for systemd", s->arg[i]);
	dbus_array_end(b->out, array);
	return 0;
}

static int stop(bool user, const char *unit, struct err *e)
{
	_cleanup_(bus_done) struct bus b = { .fd = -1 };
	struct dbus_message m;
	int r = bus_open(&b, user, e);

	if (r < 0)
		return r;
	bus_call(&b, MANAGER, "StopUnit", "ss");
	dbus_put_string(b.out, unit);
	dbus_put_string(b.out, "replace");
	r = bus_ask(&b, &m, unit, e);
	if (r == -EREMOTEIO && strcmp(m.error, "org.freedesktop.systemd1.NoSuchUnit") == 0)
		return 0; /* it went with its last process */
	if (r >= 0)
		(void)bus_wait(&b, dbus_text(&m, 0), unit, NULL);
	/* one that failed stays to be looked at, and in the way of the next of that name */
	bus_call(&b, MANAGER, "ResetFailedUnit", "s");
	dbus_put_string(b.out, unit);
	(void)bus_ask(&b, &m, unit, NULL);
	return r;
}

static int scope_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_(bus_done) struct bus b = { .fd = -1 };
	struct dbus_message m;
	int code = bus_open(&b, is_user(s), e);

	for (int try = 0; code >= 0 && try < 2; try++) {
		bus_call(&b, MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))");
		dbus_put_string(b.out, s->arg[1]);
		dbus_put_string(b.out, "replace");
		code = put_properties(&b, s, 3, r->child, e);
		if (code < 0)
			return code;
		dbus_array_end(b.out, dbus_array_begin(b.out, 8));
		code = bus_ask(&b, &m, s->arg[1], e);
		if (code >= 0)
			return bus_wait(&b, dbus_text(&m, 0), s->arg[1], e);
		/* what a container of that name left when it was killed with its runtime */
		if (try || code != -EREMOTEIO ||
			strcmp(m.error, "org.freedesktop.systemd1.UnitExists") != 0)
			break;
		bus_call(&b, MANAGER, "ResetFailedUnit", "s");
		dbus_put_string(b.out, s->arg[1]);
		(void)bus_ask(&b, &m, s->arg[1], NULL);
		code = 0;
	}
	return code;
}

static int scope_undo(struct step_run *r, const struct step *s, struct err *e)
{
	int code = systemd_is_there(is_user(s)) ? stop(is_user(s), s->arg[1], e) : 0;
	int rest = cgroup_remove(s->arg[2], code < 0 ? NULL : e);

	return code < 0 ? code : rest;
}

static void show_call(
	const struct step *s, struct text *t, const char *member, const char *signature)
{
	text_addf(t, "busctl %scall org.freedesktop.systemd1 " MANAGER_PATH " " MANAGER " %s '%s' ",
		is_user(s) ? "--user " : "", member, signature);
	text_add_word(t, s->arg[1]);
}

static void show_properties(const struct step *s, struct text *t, unsigned first)
{
	text_addf(t, " %u", s->n - first);
	for (unsigned i = first; i < s->n; i++) {
		text_add(t, " ");
		text_add_word(t, s->arg[i]);
	}
}

static void scope_show(const struct step *s, struct text *t)
{
	show_call(s, t, "StartTransientUnit", "ssa(sv)a(sa(sv))");
	text_add(t, " replace");
	show_properties(s, t, 3);
	text_add(t, " 0 # NAME=TYPE:VALUE, with @PID@ being $pid");
}

const struct step_ops step_systemd_scope = { .name = "systemd-scope",
	.args = "manager unit path properties...",
	.run = scope_run,
	.undo = scope_undo,
	.show = scope_show };

static int set_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_(bus_done) struct bus b = { .fd = -1 };
	struct dbus_message m;
	int code = bus_open(&b, is_user(s), e);

	if (code < 0)
		return code;
	bus_call(&b, MANAGER, "SetUnitProperties", "sba(sv)");
	dbus_put_string(b.out, s->arg[1]);
	dbus_put_bool(b.out, true); /* not beyond the next boot */
	code = put_properties(&b, s, 2, 0, e);
	return code < 0 ? code : bus_ask(&b, &m, s->arg[1], e);
}

static void set_show(const struct step *s, struct text *t)
{
	show_call(s, t, "SetUnitProperties", "sba(sv)");
	text_add(t, " true");
	show_properties(s, t, 2);
}

const struct step_ops step_systemd_set = { .name = "systemd-set",
	.args = "manager unit properties...",
	.run = set_run,
	.show = set_show };
