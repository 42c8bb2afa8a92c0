/* SPDX-License-Identifier: MIT */
/* exec: one more process in a container. */
#include "dialect/runc/runc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "host/cgroup.h"
#include "host/spawn.h"
#include "host/steps.h"

struct exec_args {
	char *console_socket, *cwd, *user, *process, *pid_file, *label, *apparmor;
	char **env, **gids, **caps, **cgroups;
	bool tty, detach, no_new_privs, ignore_paused, no_subreaper;
	int64_t preserve_fds;
};

/* clang-format off */
static const struct opt exec_opts[] = {
	OPT_STRING(0, "console-socket", struct exec_args, console_socket, "PATH", complete_file, "Unix socket that gets the terminal's master"),
	OPT_STRING(0, "cwd", struct exec_args, cwd, "PATH", complete_none, "working directory"),
	OPT_LIST('e', "env", struct exec_args, env, "NAME=VALUE", complete_none, "set an environment variable"),
	OPT_FLAG('t', "tty", struct exec_args, tty, "with a terminal"),
	OPT_STRING('u', "user", struct exec_args, user, "UID:GID", complete_none, "as this user"),
	OPT_LIST('g', "additional-gids", struct exec_args, gids, "GID", complete_none, "additional group"),
	OPT_STRING('p', "process", struct exec_args, process, "PATH", complete_file, "a file with the whole process"),
	OPT_FLAG('d', "detach", struct exec_args, detach, "return when the command runs"),
	OPT_STRING(0, "pid-file", struct exec_args, pid_file, "PATH", complete_file, "file for the process id"),
	OPT_STRING(0, "process-label", struct exec_args, label, "LABEL", complete_none, "SELinux label"),
	OPT_STRING(0, "apparmor", struct exec_args, apparmor, "PROFILE", complete_none, "AppArmor profile"),
	OPT_FLAG(0, "no-new-privs", struct exec_args, no_new_privs, "no more privileges by execve"),
	OPT_LIST('c', "cap", struct exec_args, caps, "CAP", complete_none, "add a capability"),
	OPT_INT(0, "preserve-fds", struct exec_args, preserve_fds, "N", "pass N more descriptors"),
	OPT_LIST(0, "cgroup", struct exec_args, cgroups, "PATH", complete_none, "a cgroup below the container's; v1: also CONTROLLER:PATH"),
	OPT_FLAG(0, "no-subreaper", struct exec_args, no_subreaper, "leave orphans to the caller's reaper"),
	OPT_FLAG(0, "ignore-paused", struct exec_args, ignore_paused, "also in a paused container"),
	OPT_END
};
/* clang-format on */

/* --- the process: a file's, or the container's own with options on top --- */

static void replace(char **field, const char *value)
{
	if (!value)
		return;
	g_free(*field);
	*field = g_strdup(value);
}

static void append(char ***list, const char *word)
{
	guint n = *list ? g_strv_length(*list) : 0;

	*list = g_renew(char *, *list, n + 2);
	(*list)[n] = g_strdup(word);
	(*list)[n + 1] = NULL;
}

static int set_user(struct config_process *p, const char *user, struct err *e)
{
	char *end;
	unsigned long uid = strtoul(user, &end, 10), gid = 0;

	if (end == user || (*end && *end != ':'))
		return err_set(e, -E_INVALID, "parsing %s as int for uid failed", user);
	if (*end == ':') {
		const char *group = end + 1;

		gid = strtoul(group, &end, 10);
		if (end == group || *end)
			return err_set(e, -E_INVALID, "parsing %s as int for gid failed", group);
		p->user.gid = (uint32_t)gid;
	}
	p->user.uid = (uint32_t)uid;
	return 0;
}

static int apply_options(
	struct config_process *p, const struct exec_args *a, char **argv, struct err *e)
{
	int r = 0;

	g_strfreev(p->args);
	p->args = g_strdupv(argv);
	replace(&p->cwd, a->cwd);
	replace(&p->apparmor, a->apparmor);
	replace(&p->selinux, a->label);
	for (char **v = a->env; v && *v; v++)
		append(&p->env, *v);
	for (char **c = a->caps; c && *c; c++) {
		if (!p->caps)
			p->caps = g_new0(struct config_caps, 1);
		append(&p->caps->bounding, *c);
		append(&p->caps->effective, *c);
		append(&p->caps->permitted, *c);
		append(&p->caps->ambient, *c);
	}
	p->terminal = a->tty;
	if (a->no_new_privs)
		p->no_new_privs = true;
	if (a->user)
		r = set_user(p, a->user, e);
	for (char **g = a->gids; r >= 0 && g && *g; g++) {
		char *end;
		uint32_t gid = (uint32_t)strtoul(*g, &end, 10);

		if (end == *g || *end)
			return err_set(e, -E_INVALID, "parsing %s as int for gid failed", *g);
		g_array_append_val(p->user.groups, gid);
	}
	return r;
}

static int process_of(struct cmd_call *call, struct config *config, struct config_process **ret_own,
	struct config_process **ret, struct err *e)
{
	const struct exec_args *a = call->args;
	g_autofree char *text = NULL;
	size_t n;
	int r;

	if (!a->process) {
		if (call->n_operands < 2)
			return err_set(e, -E_USAGE, "process args cannot be empty");
		*ret = config->process;
		r = apply_options(config->process, a, call->operands + 1, e);
	} else {
		r = read_text_file(a->process, &text, &n, e);
		if (r >= 0)
			r = config_process_read(text, n, ret_own, e);
		*ret = *ret_own;
		if (r >= 0 && a->tty)
			(*ret)->terminal = true;
	}
	return r < 0 ? r : config_process_check(*ret, e);
}

/* --- where --- */

/* The kinds of namespace in which the container isn't with this process. */
static char *namespaces_of(pid_t pid)
{
	static const char *const kind[][2] = { { "mnt", "mnt" }, { "pid", "pid" }, { "net", "net" },
		{ "uts", "uts" }, { "ipc", "ipc" }, { "user", "user" }, { "cgroup", "cgroup" },
		{ "time", "time" } };
	GString *s = g_string_new(NULL);

	for (guint i = 0; i < G_N_ELEMENTS(kind); i++) {
		g_autofree char *there = g_strdup_printf("/proc/%d/ns/%s", (int)pid, kind[i][0]),
				*here = g_strdup_printf("/proc/self/ns/%s", kind[i][0]);
		struct stat a, b;

		if (stat(there, &a) == 0 && stat(here, &b) == 0 && a.st_ino != b.st_ino)
			g_string_append_printf(s, "%s%s", s->len ? "," : "", kind[i][1]);
	}
	return g_string_free(s, FALSE);
}

static int check_container(const struct container *c, const struct exec_args *a, struct err *e)
{
	if (c->status == STATUS_STOPPED)
		return err_set(e, -E_STATE, "cannot exec in a stopped container");
	if (c->status == STATUS_PAUSED && !a->ignore_paused)
		return err_set(e, -E_STATE,
			"cannot exec in a paused container (use --ignore-paused to override)");
	return 0;
}

/* One --cgroup of v1: "PATH" for all controllers, or "CONTROLLER[,CONTROLLER]:PATH". */
static char *part_of(const struct container *c, const char *word, struct err *e)
{
	const char *colon = strchr(word, ':'), *path = colon ? colon + 1 : word;
	g_autofree char *names = g_strndup(word, colon ? (gsize)(colon - word) : 0);
	g_auto(GStrv) name = g_strsplit(names, ",", -1);

	for (char **n = name; *n; n++)
		if (!(cgroup_controllers(cgroup_host()) & cgroup_controller_bit(*n))) {
			err_set(e, -E_INVALID, "--cgroup: unknown controller %s in %s", *n, word);
			return NULL;
		}
	path += strspn(path, "/");
	return g_strdup_printf("%s:%s%s%s", names, c->cgroup, *path ? "/" : "", path);
}

/* --cgroup: parts of the container's cgroup, which must be there. v2 has one tree, so one path. */
static int sub_cgroups(const struct container *c, char **words, struct bundle_exec *x,
	char **ret_v2, char ***ret_parts, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func(g_free);

	if (!words || !words[0])
		return 0;
	if (!c->cgroup)
		return err_set(e, -E_UNSUPPORTED, "--cgroup: the container has no cgroup");
	if (h->mode == CGROUP_V2 && (words[1] || strchr(words[0], ':')))
		return err_set(e, -E_UNSUPPORTED,
			"cgroup v2 has one tree: --cgroup takes one path, without a controller");
	for (char **w = words; *w; w++) {
		char *part = part_of(c, *w, e);

		if (!part)
			return -E_INVALID;
		g_ptr_array_add(parts, part);
		if (!cgroup_path_ok(strchr(part, ':') + 1))
			return err_set(e, -E_INVALID, "--cgroup: bad path in %s", *w);
		if (part[0] == ':' && h->v2[0]) {
			g_autofree char *dir = g_strdup_printf("%s/%s", h->v2, part + 1);

			/* hybrid: it may be of v1 alone */
			if (access(dir, F_OK) == 0)
				x->v2_cgroup = *ret_v2 = g_strdup(part + 1);
			else if (h->mode == CGROUP_V2)
				return err_set(e, -E_NOTFOUND, "--cgroup: no cgroup '%s'", dir);
		}
	}
	if (h->mode == CGROUP_V2)
		return 0;
	g_ptr_array_add(parts, NULL);
	x->parts = *ret_parts = (char **)g_ptr_array_free(g_steal_pointer(&parts), FALSE);
	return 0;
}

/* A user can't bring processes into the cgroup from everywhere: from a session of ssh to a scope, say. */
static const char *cgroup_for(struct runc *r, const struct container *c)
{
	if (!c->cgroup || !r->is_rootless || cgroup_may_join(c->cgroup))
		return c->cgroup;
	runc_log(r, "warning",
		"the process stays outside of the container's cgroup and its limits: no permission "
		"to move it there");
	return NULL;
}

/* --- all of it --- */

static int run_exec(
	struct cmd_call *call, const struct container *c, struct bundle_exec *x, struct err *e)
{
	const struct exec_args *a = call->args;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_(step_run_done) struct step_run run;
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	int code = bundle_plan_exec(x, p, e);

	step_run_init(&run, p);
	if (code < 0)
		return code;
	if (pidfd < 0)
		return err_set(e, -E_STATE, "cannot exec in a stopped container");
	if (runc_explains(runc_of(call), p))
		return 0;
	run.guest_fd = pidfd;
	run.trace_fd = runc_of(call)->ctx.trace_fd;
	runc_log_plan(runc_of(call), p);
	if (!a->detach) {
		block_signals();
		if (!a->no_subreaper)
			(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	}
	code = plan_run(&run, e);
	if (code < 0 || a->detach)
		return code;
	code = follow_process(run.child, run.kept_fd[KEPT_CONSOLE], e);
	run.child = 0;
	return code;
}

static int exec(struct cmd_call *call, struct err *e)
{
	const struct exec_args *a = call->args;
	struct runc *r = runc_of(call);
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(config_process_freep) struct config_process *own = NULL;
	struct config_process *process = NULL;
	g_autofree char *namespaces = NULL, *cache = NULL, *pid_file = NULL, *socket = NULL,
			*v2_cgroup = NULL;
	g_auto(GStrv) parts = NULL;
	struct bundle_exec x = { 0 };
	int code = r->ctx.explain ? 0 : exec_protected(r->argv, e);

	if (code >= 0)
		code = container_load(r, call->operands[0], &c, e);
	if (code >= 0)
		code = check_container(c, a, e);
	if (code >= 0)
		code = container_config(c, &config, e);
	if (code >= 0)
		code = process_of(call, config, &own, &process, e);
	if (code >= 0)
		code = sub_cgroups(c, a->cgroups, &x, &v2_cgroup, &parts, e);
	if (code < 0)
		return code;
	if (a->preserve_fds < 0 || a->preserve_fds > 1024)
		return err_set(e, -E_USAGE, "--preserve-fds takes 0 to 1024");
	if (a->detach && process->terminal && !a->console_socket)
		return err_set(e, -E_INVALID,
			"cannot allocate tty if runc will detach without setting console socket");
	namespaces = namespaces_of(c->pid);
	cache = g_strdup_printf("%s/seccomp", r->ctx.run);
	pid_file = a->pid_file ? g_canonicalize_filename(a->pid_file, NULL) : NULL;
	socket = a->console_socket ? g_canonicalize_filename(a->console_socket, NULL) : NULL;
	x.config = config;
	x.process = process;
	x.cgroup = cgroup_for(r, c);
	x.namespaces = namespaces;
	x.pid_file = pid_file;
	x.console_socket = socket;
	x.cache_dir = cache;
	x.preserve_fds = (unsigned)a->preserve_fds;
	x.id = c->id;
	x.dir = c->bundle;
	x.unprivileged = !r->ctx.is_root;
	return run_exec(call, c, &x, e);
}

const struct cmd runc_exec = {
	CMD_FILE,
	.name = "exec",
	.run = exec,
	.opts = exec_opts,
	.args_size = sizeof(struct exec_args),
	.brief = "execute a command in a container",
	.synopsis = "[OPTIONS] CONTAINER [COMMAND [ARG...]]",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};
