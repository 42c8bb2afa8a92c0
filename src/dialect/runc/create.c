/* SPDX-License-Identifier: MIT */
/* create, run, start: a bundle becomes a container. */
#include "dialect/runc/start.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "host/cgroup.h"
#include "host/spawn.h"
#include "host/steps.h"

/* clang-format off */
#define CREATE_OPTIONS \
	OPT_STRING('b', "bundle", struct create_args, bundle, "PATH", complete_file, "the bundle's folder (default: this one)"), \
	OPT_STRING(0, "console-socket", struct create_args, console_socket, "PATH", complete_file, "Unix socket that gets the terminal's master"), \
	OPT_STRING(0, "pid-file", struct create_args, pid_file, "PATH", complete_file, "file for the process id"), \
	OPT_FLAG(0, "no-pivot", struct create_args, no_pivot, "chroot instead of pivot_root, for a root on a ramdisk"), \
	OPT_FLAG(0, "no-new-keyring", struct create_args, no_new_keyring, "keep the caller's session keyring"), \
	OPT_INT(0, "preserve-fds", struct create_args, preserve_fds, "N", "pass N more descriptors to the container")

static const struct opt create_opts[] = { CREATE_OPTIONS, OPT_END };

static const struct opt run_opts[] = {
	CREATE_OPTIONS,
	OPT_FLAG('d', "detach", struct create_args, detach, "return when the command runs"),
	OPT_FLAG(0, "keep", struct create_args, keep, "don't delete the container when it ends"),
	OPT_FLAG(0, "no-subreaper", struct create_args, no_subreaper, "leave orphans to the caller's reaper"),
	OPT_END
};
/* clang-format on */

/* --- what there is to start --- */

void start_done(struct start *s)
{
	config_free(s->config);
	char *const own[] = { s->dir, s->rootfs, s->state_dir, s->record, s->fifo, s->pid_file,
		s->socket, s->cache };

	cgroup_place_done(&s->cgroup);

	for (guint i = 0; i < G_N_ELEMENTS(own); i++)
		g_free(own[i]);
}

static int find_bundle(struct start *s, struct err *e)
{
	g_autofree char *file = NULL, *text = NULL, *root = NULL;
	const char *dir = s->args->bundle ? s->args->bundle : ".";
	char real[PATH_MAX];
	struct stat st;
	size_t n;
	int code;

	code = RET_NERRNO(realpath(dir, real) ? 0 : -1);
	if (code < 0)
		return err_sys(e, code, "cannot open the bundle '%s'", dir);
	s->dir = g_strdup(real);
	file = g_strdup_printf("%s/config.json", s->dir);
	if (access(file, F_OK) < 0)
		return err_set(e, -E_NOTFOUND, "JSON specification file config.json not found");
	code = read_text_file(file, &text, &n, e);
	if (code >= 0) {
		code = config_read(text, n, &s->config, e);
		if (code < 0)
			return err_prefix(e, "config.json");
	}
	if (code < 0)
		return code;
	root = s->config->root->path[0] == '/'
		       ? g_strdup(s->config->root->path)
		       : g_strdup_printf("%s/%s", s->dir, s->config->root->path);
	code = RET_NERRNO(realpath(root, real) ? 0 : -1);
	if (code < 0)
		return err_sys(e, code, "'root.path': invalid rootfs '%s'", root);
	s->rootfs = g_strdup(real);
	if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(
			e, -E_INVALID, "'root.path': invalid rootfs '%s': not a directory", root);
	if (strcmp(real, "/") == 0)
		return err_set(
			e, -E_INVALID, "'root.path': the host's own root can't be a container's");
	return 0;
}

/* What is read, and has no effect on a kernel of today. */
static void warn(const struct start *s)
{
	const struct config_memory *m = s->config->linux_.resources.memory;

	if (m && (m->kernel > 0 || m->kernel_tcp > 0))
		runc_log(s->r, "warning",
			"Kernel memory settings are ignored: the kernel has no such limit any "
			"more");
}

static int check_console(const struct start *s, bool detach, struct err *e)
{
	bool socket = s->args->console_socket && *s->args->console_socket;

	if (detach && s->config->process->terminal && !socket)
		return err_set(e, -E_INVALID,
			"cannot allocate tty if runc will detach without setting console socket");
	if ((!detach || !s->config->process->terminal) && socket)
		return err_set(e, -E_INVALID,
			"cannot use console socket if runc will not detach or allocate tty");
	return 0;
}

static char *absolute(const char *path)
{
	return path && *path ? g_canonicalize_filename(path, NULL) : NULL;
}

/* systemd.socket(5)'s descriptors come first, and are counted in the container's environment. */
static unsigned add_listen_fds(struct config_process *p)
{
	const char *n = g_getenv("LISTEN_FDS");
	guint count = n ? (guint)strtoul(n, NULL, 10) : 0, len = p->env ? g_strv_length(p->env) : 0;

	if (!count || count > 1024)
		return 0;
	p->env = g_renew(char *, p->env, len + 3);
	p->env[len] = g_strdup_printf("LISTEN_FDS=%u", count);
	p->env[len + 1] = g_strdup("LISTEN_PID=1");
	p->env[len + 2] = NULL;
	return count;
}

static int fill(struct start *s, const char *id, bool wait, struct err *e)
{
	struct runc *r = s->r;
	int code = cgroup_place_of(r, s->config, id, &s->cgroup, e);

	if (code < 0)
		return code;
	if (s->args->preserve_fds < 0 || s->args->preserve_fds > 1024)
		return err_set(e, -E_USAGE, "--preserve-fds takes 0 to 1024");
	s->state_dir = g_strdup_printf("%s/%s", r->root, id);
	s->fifo = wait ? g_strdup_printf("%s/exec.fifo", s->state_dir) : NULL;
	s->pid_file = absolute(s->args->pid_file);
	s->socket = absolute(s->args->console_socket);
	s->cache = g_strdup_printf("%s/seccomp", r->ctx.run);
	s->unit = (struct bundle_unit){ .manager = s->cgroup.manager,
		.name = s->cgroup.unit,
		.slice = s->cgroup.slice,
		.version = s->cgroup.version };
	s->bundle = (struct bundle){ .config = s->config,
		.id = id,
		.dir = s->dir,
		.rootfs = s->rootfs,
		.state_dir = s->state_dir,
		.cgroup = s->cgroup.path,
		.unit = s->unit.name ? &s->unit : NULL,
		.all_controllers = !r->is_rootless && s->config->linux_.cgroups_path &&
				   *s->config->linux_.cgroups_path,
		.fifo = s->fifo,
		.pid_file = s->pid_file,
		.console_socket = s->socket ? s->socket : "",
		.cache_dir = s->cache,
		.no_pivot = s->args->no_pivot,
		.no_keyring = s->args->no_new_keyring,
		.rootless = r->is_rootless,
		.preserve_fds =
			(unsigned)s->args->preserve_fds + add_listen_fds(s->config->process) };
	s->record = container_record(&s->bundle, r);
	s->bundle.state = s->record;
	return 0;
}

int start_run(struct start *s, struct step_run *run, struct plan *p, struct err *e)
{
	int code;

	if (access(s->state_dir, F_OK) == 0)
		return err_set(e, -E_EXISTS, "container with given ID already exists");
	if (runc_explains(s->r, p))
		return 0;
	code = RET_NERRNO(g_mkdir_with_parents(s->r->root, 0700));
	if (code < 0)
		return err_sys(e, code, "cannot make '%s'", s->r->root);
	step_run_init(run, p);
	run->trace_fd = s->r->ctx.trace_fd;
	runc_log_plan(s->r, p);
	return plan_run(run, e);
}

/* Builds the plan and runs it. *ret: its child and what it kept. */
static int make(struct start *s, struct step_run *run, struct plan *p, struct err *e)
{
	int code = bundle_plan_create(&s->bundle, p, e);

	return code < 0 ? code : start_run(s, run, p, e);
}

int start_prepare(struct start *s, struct cmd_call *call, struct create_args *args, bool detach,
	bool wait, struct err *e)
{
	int code;

	s->r = runc_of(call);
	s->args = args;
	code = find_bundle(s, e);
	if (code >= 0)
		code = check_console(s, detach, e);
	if (code >= 0)
		warn(s);
	return code < 0 ? code : fill(s, call->operands[0], wait, e);
}

/* --- create --- */

static int prepare(struct start *s, struct cmd_call *call, bool detach, bool wait, struct err *e)
{
	int code = check_id(call->operands[0], e);

	if (code >= 0 && !call->c->explain)
		code = exec_protected(runc_of(call)->argv, e);
	return code < 0 ? code : start_prepare(s, call, call->args, detach, wait, e);
}

static int create(struct cmd_call *call, struct err *e)
{
	_cleanup_(start_done) struct start s = { 0 };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_(step_run_done) struct step_run run;
	int code = prepare(&s, call, true, true, e);

	step_run_init(&run, p);
	return code < 0 ? code : make(&s, &run, p, e);
}

const struct cmd runc_create = {
	CMD_FILE,
	.name = "create",
	.run = create,
	.opts = create_opts,
	.args_size = sizeof(struct create_args),
	.brief = "create a container",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- hooks after the start --- */

/* They must go well, or the container ends. */
static int poststart(struct runc *r, const struct config *c, const char *id, const char *dir,
	pid_t pid, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *state = NULL;
	struct step_run run;
	int code;

	if (!c->hooks.poststart->len)
		return 0;
	state = bundle_state(c, id, dir, "running");
	bundle_plan_hooks(p, AT_HOST, c->hooks.poststart, "poststart", state);
	step_run_init(&run, p);
	run.child = pid;
	code = plan_run_at(&run, AT_HOST, e);
	step_run_done(&run);
	return code;
}

/* --- run --- */

static int run_end(struct start *s, const char *id, struct err *e)
{
	_cleanup_(container_freep) struct container *c = NULL;
	int code = container_load(s->r, id, &c, e);

	return code < 0 ? code : container_remove(s->r, c, s->config, e);
}

static int follow(struct start *s, const char *id, struct step_run *run, struct err *e)
{
	struct err end = { 0 };
	int code = poststart(s->r, s->config, id, s->dir, run->child, e), status;

	if (code < 0)
		(void)kill(run->child, SIGKILL);
	status = follow_process(run->child, run->kept_fd[KEPT_CONSOLE], code < 0 ? NULL : e);
	run->child = 0;
	if (s->args->keep && code >= 0)
		return status;
	if (run_end(s, id, &end) < 0)
		runc_log(s->r, "warning", end.text);
	return code < 0 ? code : status;
}

int start_follow(struct start *s, const char *id, struct step_run *run, struct err *e)
{
	int code;

	if (s->r->ctx.explain)
		return 0;
	if (!s->args->detach)
		return follow(s, id, run, e);
	code = poststart(s->r, s->config, id, s->dir, run->child, e);
	if (code < 0)
		(void)run_end(s, id, NULL);
	return code;
}

void start_foreground(const struct create_args *args)
{
	if (args->detach)
		return;
	block_signals();
	if (!args->no_subreaper)
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int run(struct cmd_call *call, struct err *e)
{
	_cleanup_(start_done) struct start s = { 0 };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_(step_run_done) struct step_run run;
	struct create_args *args = call->args;
	int code;

	step_run_init(&run, p);
	code = prepare(&s, call, args->detach, false, e);
	if (code < 0)
		return code;
	start_foreground(args);
	code = make(&s, &run, p, e);
	return code < 0 ? code : start_follow(&s, call->operands[0], &run, e);
}

const struct cmd runc_run = {
	CMD_FILE,
	.name = "run",
	.run = run,
	.opts = run_opts,
	.args_size = sizeof(struct create_args),
	.brief = "create and run a container",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- start --- */

/* Waits until it is there, while the other side lives. */
static bool readable(struct container *c, int fd)
{
	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, 100) == 1 && (p.revents & POLLIN))
			return true;
		container_refresh(c);
		if (c->status == STATUS_STOPPED)
			return false;
		if (p.revents & POLLHUP)
			g_usleep(1000);
	}
}

/* The other end of step "wait-start": one byte lets it go, and what comes after is why it failed. */
static int let_go(struct container *c, struct err *e)
{
	g_autofree char *fifo = g_strdup_printf("%s/exec.fifo", c->dir);
	_cleanup_close_ int fd =
		RET_NERRNO(open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
	char text[ERR_TEXT_MAX];
	size_t n = 0;
	ssize_t k;

	if (fd < 0)
		return err_sys(e, fd, "cannot start the container");
	if (!readable(c, fd))
		return err_set(e, -E_STATE, "cannot start a container that has stopped");
	if (read(fd, text, 1) != 1)
		return err_set(e, -E_STATE, "cannot start an already running container");
	(void)unlink(fifo);
	(void)fcntl(fd, F_SETFL, 0);
	while (n < sizeof(text) - 1 &&
		(k = RET_NERRNO(read(fd, text + n, sizeof(text) - 1 - n))) != 0)
		if (k > 0)
			n += (size_t)k;
		else if (k != -EINTR)
			break;
	text[n] = '\0';
	return n ? err_set(e, -E_STATE, "%s", text) : 0;
}

static int start(struct cmd_call *call, struct err *e)
{
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	struct runc *r = runc_of(call);
	int code = container_load(r, call->operands[0], &c, e);

	if (code < 0)
		return code;
	if (c->status == STATUS_STOPPED)
		return err_set(e, -E_STATE, "cannot start a container that has stopped");
	if (c->status != STATUS_CREATED)
		return err_set(e, -E_STATE, "cannot start an already running container");
	if (runc_explains_as(r, "head -c 1 %s/exec.fifo && rm %s/exec.fifo", c->dir, c->dir))
		return 0;
	code = let_go(c, e);
	if (code < 0 || container_config(c, &config, NULL) < 0)
		return code;
	code = poststart(r, config, c->id, c->bundle, c->pid, e);
	if (code < 0)
		(void)container_remove(r, c, config, NULL);
	return code;
}

const struct cmd runc_start = {
	CMD_FILE,
	.name = "start",
	.run = start,
	.brief = "execute the command of a created container",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
