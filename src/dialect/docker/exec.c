/* SPDX-License-Identifier: MIT */
/*
 * Further commands in a container: POST /containers/{id}/exec makes one, /exec/{id}/start runs it in the process that
 * has the connection. What is known of one is RUN/docker/exec/ID, a JSON object; with a terminal its process listens on
 * RUN/docker/exec/ID.tty for sizes. Both die with the boot.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/docker/create.h"
#include "dialect/docker/stream.h"

#define KEEP_SECONDS 300

/* --- records ----------------------------------------------------------------------------------------------- */

static int open_folder(struct ctx *c, bool make)
{
	g_autofree char *path = store_run_path(c, "docker/exec");

	if (make)
		(void)g_mkdir_with_parents(path, 0700);
	return RET_NERRNO(open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC));
}

static char *make_id(void)
{
	unsigned char bytes[32];
	GString *s = g_string_new(NULL);

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		memset(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		g_string_append_printf(s, "%02x", bytes[i]);
	return g_string_free(s, FALSE);
}

static bool is_id(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static int save(struct ctx *c, const char *id, const json_t *j)
{
	g_autofree char *path = store_run_path(c, "docker/exec/%s", id);
	char *text = json_dumps(j, JSON_COMPACT);
	bool ok = g_file_set_contents_full(
		path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);

	free(text);
	return ok ? 0 : -EIO;
}

/* NULL: there is none. */
static json_t *load(struct ctx *c, const char *id)
{
	g_autofree char *path = is_id(id) ? store_run_path(c, "docker/exec/%s", id) : NULL;
	json_t *j = path ? json_load_file(path, 0, NULL) : NULL;

	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

/* One that ran in a process that is gone runs no more. */
static void settle(json_t *j)
{
	json_int_t taker = json_integer_value(json_object_get(j, "Taker"));

	if (json_is_true(json_object_get(j, "Running")) && taker > 0 && kill((pid_t)taker, 0) < 0)
		json_object_set_new(j, "Running", json_false());
}

json_t *exec_ids(struct ctx *c, const struct guest *g)
{
	g_autofree char *path = store_run_path(c, "docker/exec");
	GDir *dir = g_dir_open(path, 0, NULL);
	json_t *ids = NULL;
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		json_t *j = load(c, name);

		if (j)
			settle(j);
		if (json_is_true(json_object_get(j, "Running")) &&
			g_strcmp0(json_string_value(json_object_get(j, "ContainerID")),
				g->rec->id) == 0) {
			ids = ids ?: json_array();
			json_array_append_new(ids, json_string(name));
		}
		json_decref(j);
	}
	if (dir)
		g_dir_close(dir);
	return ids;
}

/* --- create, inspect -------------------------------------------------------------------------------------------- */

/* What of the request start() needs, checked here. */
static int check(const json_t *body, struct err *e)
{
	g_auto(GStrv) cmd = NULL, env = NULL;
	int r = create_words(json_object_get(body, "Cmd"), "Cmd", &cmd, e);

	if (r >= 0)
		r = create_words(json_object_get(body, "Env"), "Env", &env, e);
	if (r >= 0 && (!cmd || !cmd[0]))
		r = err_set(e, -E_INVALID, "No exec command specified");
	return r;
}

/* Those that ended, or were never started, are kept for a while for whoever asks how. */
static void sweep(struct ctx *c, int folder)
{
	g_autofree char *path = store_run_path(c, "docker/exec");
	GDir *dir = g_dir_open(path, 0, NULL);
	const char *name;
	struct stat st;

	while (dir && (name = g_dir_read_name(dir))) {
		json_t *j;

		if (!is_id(name) || fstatat(folder, name, &st, 0) < 0 ||
			time(NULL) - st.st_mtime < KEEP_SECONDS)
			continue;
		j = load(c, name);
		if (j)
			settle(j);
		if (!json_is_true(json_object_get(j, "Running")))
			(void)unlinkat(folder, name, 0);
		json_decref(j);
	}
	if (dir)
		g_dir_close(dir);
}

void exec_create(struct call *c)
{
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	g_autofree char *id = make_id();
	struct err e = { 0 };
	json_t *body, *j;
	int folder, r;

	if (!g || api_json_body(c, &body) < 0)
		return;
	r = check(body, &e);
	if (r < 0) {
		api_failed(c, r, &e);
	} else if (g->state == GUEST_PAUSED) {
		api_error(c, 409, "Container %s is paused, unpause the container before exec",
			g->rec->id);
	} else if (!guest_is_up(g)) {
		api_error(c, 409, "container %s is not running", g->rec->id);
	} else {
		folder = open_folder(api_ctx(c), true);
		sweep(api_ctx(c), folder);
		j = json_pack("{s:s, s:s, s:b, s:n, s:i, s:O}", "ID", id, "ContainerID", g->rec->id,
			"Running", 0, "ExitCode", "Pid", 0, "Request", body);
		if (folder < 0 || save(api_ctx(c), id, j) < 0)
			api_error(c, 500, "cannot record the command");
		else
			api_json(c, 201, json_pack("{s:s}", "Id", id));
		if (folder >= 0)
			(void)close(folder);
		json_decref(j);
	}
	json_decref(body);
}

static json_t *flag_of(const json_t *o, const char *key)
{
	return json_boolean(json_is_true(json_object_get(o, key)));
}

static json_t *find(struct call *c)
{
	json_t *j = load(api_ctx(c), c->args[0] ?: "");

	if (!j)
		api_error(c, 404, "No such exec instance: %s", c->args[0] ?: "");
	return j;
}

void exec_get(struct call *c)
{
	json_t *j = find(c), *q, *cmd, *o;
	const char *user;

	if (!j)
		return;
	settle(j);
	q = json_object_get(j, "Request");
	cmd = json_object_get(q, "Cmd");
	user = json_string_value(json_object_get(q, "User"));
	o = json_pack(
		"{s:O, s:O, s:O, s:{s:o, s:O, s:o, s:o, s:s}, s:o, s:o, s:o, s:b, s:O, s:s, s:O}",
		"ID", json_object_get(j, "ID"), "Running", json_object_get(j, "Running"),
		"ExitCode", json_object_get(j, "ExitCode"), "ProcessConfig", "tty",
		flag_of(q, "Tty"), "entrypoint", json_is_string(cmd) ? cmd : json_array_get(cmd, 0),
		"arguments", json_is_array(cmd) ? json_copy(cmd) : json_array(), "privileged",
		flag_of(q, "Privileged"), "user", user ?: "", "OpenStdin",
		flag_of(q, "AttachStdin"), "OpenStdout", flag_of(q, "AttachStdout"), "OpenStderr",
		flag_of(q, "AttachStderr"), "CanRemove", 0, "ContainerID",
		json_object_get(j, "ContainerID"), "DetachKeys", "", "Pid",
		json_object_get(j, "Pid"));
	(void)json_array_remove(
		json_object_get(json_object_get(o, "ProcessConfig"), "arguments"), 0);
	json_decref(j);
	api_json(c, 200, o);
}

/* --- the terminal's size ------------------------------------------------------------------------------------------ */

static void tty_address(int folder, const char *id, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(
		ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%.32s.tty", folder, id);
}

void exec_resize(struct call *c)
{
	json_t *j = find(c);
	int64_t h, w;
	_cleanup_close_ int folder = -1, fd = -1;
	struct sockaddr_un a;
	uint32_t size;

	if (!j)
		return;
	json_decref(j);
	if (api_number(c, "h", 0, &h) < 0 || api_number(c, "w", 0, &w) < 0)
		return;
	size = (uint32_t)CLAMP(h, 0, UINT16_MAX) << 16 | (uint32_t)CLAMP(w, 0, UINT16_MAX);
	folder = open_folder(api_ctx(c), false);
	fd = RET_NERRNO(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	tty_address(folder, c->args[0], &a);
	if (folder < 0 || fd < 0 ||
		RET_NERRNO(sendto(fd, &size, sizeof(size), MSG_NOSIGNAL | MSG_DONTWAIT,
			(struct sockaddr *)&a, sizeof(a))) < 0)
		api_error(c, 409, "exec %s has no terminal that runs", c->args[0]);
	else
		api_none(c, 200);
}

static int listen_for_sizes(int folder, const char *id)
{
	int fd = RET_NERRNO(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct sockaddr_un a;

	tty_address(folder, id, &a);
	if (fd >= 0 && RET_NERRNO(bind(fd, (struct sockaddr *)&a, sizeof(a))) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void forget_sizes(int folder, const char *id)
{
	g_autofree char *name = g_strdup_printf("%.32s.tty", id);

	(void)unlinkat(folder, name, 0);
}

/* --- start --------------------------------------------------------------------------------------------------------- */

static char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s && *s ? (char *)s : NULL;
}

static int run(struct call *c, const json_t *j, struct guest *g, const struct guest_stdio *io,
	struct err *e)
{
	const json_t *q = json_object_get(j, "Request");
	g_auto(GStrv) cmd = NULL, env = NULL;
	struct engine_exec x = { .cwd = text_of(q, "WorkingDir"),
		.user = text_of(q, "User"),
		.tty = json_is_true(json_object_get(q, "Tty")),
		.privileged = json_is_true(json_object_get(q, "Privileged")) };
	int r = create_words(json_object_get(q, "Cmd"), "Cmd", &cmd, e);

	if (r >= 0)
		r = create_words(json_object_get(q, "Env"), "Env", &env, e);
	if (r < 0)
		return r;
	x.argv = cmd;
	x.env = env;
	if (x.tty) {
		char **with = g_new0(char *, (env ? g_strv_length(env) : 0) + 2);

		with[0] = g_strdup("TERM=xterm");
		for (guint i = 0; env && env[i]; i++)
			with[i + 1] = g_strdup(env[i]);
		g_strfreev(env);
		x.env = env = with;
	}
	return guest_exec(api_ctx(c), g, &x, false, io, e);
}

static int status_of(int r)
{
	return r >= 0 ? r : r == -E_COMMAND_NOTFOUND ? 127 : 126;
}

/* The guest, when the command may be started. */
static struct guest *may_start(struct call *c, const json_t *j)
{
	struct guest *g = NULL;
	struct err e = { 0 };
	const char *id = json_string_value(json_object_get(j, "ContainerID"));

	if (json_is_true(json_object_get(j, "Running")) ||
		!json_is_null(json_object_get(j, "ExitCode"))) {
		api_error(c, 409, "Exec %s is already %s", c->args[0],
			json_is_true(json_object_get(j, "Running")) ? "running" : "exited");
		return NULL;
	}
	if (guest_get(api_ctx(c), DOCKER_REALM, id, &g, &e) < 0 || !guest_is_up(g)) {
		api_error(c, 409, "container %s is not running", id);
		guest_free(g);
		return NULL;
	}
	if (g->state == GUEST_PAUSED) {
		api_error(c, 409, "Container %s is paused, unpause the container before exec", id);
		guest_free(g);
		return NULL;
	}
	return g;
}

static void started(struct call *c, json_t *j)
{
	json_object_set_new(j, "Running", json_true());
	json_object_set_new(j, "Taker", json_integer(getpid()));
	(void)save(api_ctx(c), c->args[0], j);
}

static void ended(struct call *c, json_t *j, int code)
{
	json_object_set_new(j, "Running", json_false());
	json_object_set_new(j, "ExitCode", json_integer(code));
	(void)save(api_ctx(c), c->args[0], j);
}

/* Answers, and lets the client go. */
static void let_go(struct call *c, struct link *l)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

	if (link_raw(l, head) >= 0)
		link_shut(l);
}

static void start(struct call *c, struct link *l, json_t *j, struct guest *g, bool detach)
{
	const json_t *q = json_object_get(j, "Request");
	bool tty = json_is_true(json_object_get(q, "Tty"));
	struct stream_out o = { .link = l,
		.frames = !tty,
		.out = json_is_true(json_object_get(q, "AttachStdout")),
		.err = json_is_true(json_object_get(q, "AttachStderr")) };
	struct guest_stdio io = { .in = -1, .out = -1, .err = -1, .detach_keys = "", .data = &o };
	_cleanup_close_ int folder = open_folder(api_ctx(c), true), sizes = -1;
	struct err e = { 0 };
	int r;

	started(c, j);
	if (detach) {
		let_go(c, l);
	} else {
		io.output = stream_output;
		if (stream_head(c, l, tty) < 0)
			return;
		if (json_is_true(json_object_get(q, "AttachStdin")))
			io.in = stream_input(l);
		io.detach_keys = tty ? (text_of(q, "DetachKeys") ?: "") : "";
	}
	if (tty && folder >= 0)
		sizes = listen_for_sizes(folder, c->args[0]);
	io.sizes = sizes >= 0 ? sizes : 0;
	r = run(c, j, g, &io, &e);
	if (r == SESSION_DETACHED)
		r = 0;
	ended(c, j, status_of(r));
	if (r < 0 && !detach) {
		g_autofree char *text =
			g_strdup_printf("OCI runtime exec failed: exec failed: %s\r\n", e.text);

		o.out = true;
		(void)stream_output(&o, 1, text, strlen(text));
	}
	if (tty && folder >= 0)
		forget_sizes(folder, c->args[0]);
}

void exec_start(struct call *c, struct link *l)
{
	json_t *body = NULL, *j = find(c);
	struct guest *g;

	if (!j || api_json_link(c, l, &body) < 0) {
		json_decref(j);
		return;
	}
	g = may_start(c, j);
	if (g)
		start(c, l, j, g, json_is_true(json_object_get(body, "Detach")));
	guest_free(g);
	json_decref(body);
	json_decref(j);
}
