/* SPDX-License-Identifier: MIT */
/* checkpoint and restore: criu(8) does it; here is what it needs to know, and what it can't take along. */
#include "dialect/runc/start.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/json.h"
#include "host/cgroup.h"
#include "host/criu.h"
#include "host/smallfile.h"
#include "host/steps.h"

enum {
	STREAMS = 3, /* standard ones, which the next parent gives anew */
	TCP_TEXT_MAX = 1 << 20
};

struct migrate_args {
	struct create_args create; /* of restore */
	char *images, *work, *parent, *mode, *page_server, *lsm_profile, *lsm_mount_context;
	char **empty_ns;
	bool leave_running, tcp_established, skip_in_flight, link_remap, ext_unix_sk, shell_job,
		lazy_pages, file_locks, pre_dump, auto_dedup;
	int64_t status_fd;
};

/* clang-format off */
#define COMMON_OPTIONS \
	OPT_STRING(0, "image-path", struct migrate_args, images, "PATH", complete_file, "folder of criu's images (default: ./checkpoint)"), \
	OPT_STRING(0, "work-path", struct migrate_args, work, "PATH", complete_file, "folder of criu's log (default: that of the images)"), \
	OPT_FLAG(0, "tcp-established", struct migrate_args, tcp_established, "take open TCP connections along"), \
	OPT_FLAG(0, "ext-unix-sk", struct migrate_args, ext_unix_sk, "allow Unix sockets that others hold the other end of"), \
	OPT_FLAG(0, "shell-job", struct migrate_args, shell_job, "allow a session and a terminal that are the caller's"), \
	OPT_FLAG(0, "lazy-pages", struct migrate_args, lazy_pages, "memory is fetched when it is used; needs criu lazy-pages"), \
	OPT_FLAG(0, "file-locks", struct migrate_args, file_locks, "take file locks along"), \
	OPT_STRING(0, "manage-cgroups-mode", struct migrate_args, mode, "MODE", complete_none, "soft, full, strict or ignore"), \
	OPT_LIST(0, "empty-ns", struct migrate_args, empty_ns, "NAMESPACE", complete_none, "network: make it and leave it empty"), \
	OPT_FLAG(0, "auto-dedup", struct migrate_args, auto_dedup, "drop memory from earlier images that a later one has")

static const struct opt checkpoint_opts[] = {
	COMMON_OPTIONS,
	OPT_STRING(0, "parent-path", struct migrate_args, parent, "PATH", complete_file, "images of a pre-dump, relative to those of this one"),
	OPT_FLAG(0, "leave-running", struct migrate_args, leave_running, "the container goes on"),
	OPT_FLAG(0, "tcp-skip-in-flight", struct migrate_args, skip_in_flight, "leave out TCP connections that aren't open yet"),
	OPT_FLAG(0, "link-remap", struct migrate_args, link_remap, "give files that were unlinked a name"),
	OPT_FLAG(0, "pre-dump", struct migrate_args, pre_dump, "write memory only, and let it go on"),
	OPT_STRING(0, "page-server", struct migrate_args, page_server, "IP:PORT", complete_none, "where memory is sent to, or fetched with lazy pages"),
	OPT_INT(0, "status-fd", struct migrate_args, status_fd, "FD", "gets a zero byte when lazy pages can be fetched"),
	OPT_END
};

static const struct opt restore_opts[] = {
	COMMON_OPTIONS,
	OPT_STRING('b', "bundle", struct migrate_args, create.bundle, "PATH", complete_file, "the bundle's folder (default: this one)"),
	OPT_STRING(0, "console-socket", struct migrate_args, create.console_socket, "PATH", complete_file, "Unix socket that gets the terminal's master"),
	OPT_STRING(0, "pid-file", struct migrate_args, create.pid_file, "PATH", complete_file, "file for the process id"),
	OPT_FLAG('d', "detach", struct migrate_args, create.detach, "return when it runs"),
	OPT_FLAG(0, "no-subreaper", struct migrate_args, create.no_subreaper, "leave orphans to the caller's reaper"),
	OPT_FLAG(0, "no-pivot", struct migrate_args, create.no_pivot, "kept in the record; criu makes the root"),
	OPT_STRING(0, "lsm-profile", struct migrate_args, lsm_profile, "TYPE:LABEL", complete_none, "another profile: apparmor:NAME or selinux:LABEL"),
	OPT_STRING(0, "lsm-mount-context", struct migrate_args, lsm_mount_context, "CONTEXT", complete_none, "another SELinux context for mounts that have one"),
	OPT_END
};
/* clang-format on */

static void no_status_fd(void *args)
{
	((struct migrate_args *)args)->status_fd = -1;
}

/* --- what both have --- */

struct migration {
	char *images, *work;
	char **externals;
	char *streams;
	struct bundle_criu x;
};

static void migration_done(struct migration *m)
{
	g_free(m->images);
	g_free(m->work);
	g_strfreev(m->externals);
	g_free(m->streams);
}

static int check_words(const struct migrate_args *a, struct err *e)
{
	static const char *const modes[] = { "soft", "full", "strict", "ignore", NULL };

	if (a->mode && *a->mode && !g_strv_contains(modes, a->mode))
		return err_set(e, -E_USAGE, "Invalid manage-cgroups-mode value: %s", a->mode);
	for (char **n = a->empty_ns; n && *n; n++)
		if (strcmp(*n, "network") != 0)
			return err_set(e, -E_USAGE, "namespace %s is not supported", *n);
	if (a->page_server && !strrchr(a->page_server, ':'))
		return err_set(
			e, -E_USAGE, "Use --page-server ADDRESS:PORT to specify page server");
	return 0;
}

/* Asks criu and the kernel only where not both can always do it. */
static int check_features(const struct migrate_args *a, const char *program, struct err *e)
{
	int want = (a->lazy_pages ? CRIU_LAZY_PAGES : 0) |
		   (a->pre_dump || a->parent ? CRIU_MEM_TRACK : 0),
	    have = want ? criu_features(program, e) : 0;

	if (have < 0)
		return have;
	if (want & ~have & CRIU_LAZY_PAGES)
		return err_set(e, -E_UNSUPPORTED,
			"--lazy-pages: criu or this kernel has no memory that is fetched later");
	if (want & ~have & CRIU_MEM_TRACK)
		return err_set(e, -E_UNSUPPORTED,
			"--pre-dump and --parent-path: this kernel doesn't track memory");
	return 0;
}

static int migration_fill(
	struct runc *r, const struct migrate_args *a, struct migration *m, struct err *e)
{
	const char *images = a->images && *a->images ? a->images : "checkpoint";
	int code = check_words(a, e);

	if (code < 0)
		return code;
	if (r->is_rootless)
		return err_set(e, -E_UNSUPPORTED, "%s %s requires root", r->name, r->command);
	m->images = g_canonicalize_filename(images, NULL);
	m->work =
		a->work && *a->work ? g_canonicalize_filename(a->work, NULL) : g_strdup(m->images);
	m->x = (struct bundle_criu){ .program = r->criu && *r->criu ? r->criu : "criu",
		.images = m->images,
		.work = m->work,
		.cgroup_mode = a->mode && *a->mode ? a->mode : NULL,
		.page_server = a->page_server,
		.lsm_profile = a->lsm_profile,
		.lsm_mount_context = a->lsm_mount_context,
		.status_fd = -1,
		.tcp_established = a->tcp_established,
		.skip_in_flight = a->skip_in_flight,
		.link_remap = a->link_remap,
		.ext_unix_sk = a->ext_unix_sk,
		.shell_job = a->shell_job,
		.file_locks = a->file_locks,
		.auto_dedup = a->auto_dedup,
		.lazy_pages = a->lazy_pages,
		.leave_running = a->leave_running,
		.pre_dump = a->pre_dump,
		.empty_net = a->empty_ns && *a->empty_ns };
	return check_features(a, m->x.program, e);
}

/* --- the streams --- */

/* "file[MOUNT:INODE]", as criu names a file that lies on no mount of the container; NULL: on one of them. */
static char *outside(pid_t pid, int fd, const char *mounts)
{
	g_autofree char *info = g_strdup_printf("/proc/%d/fdinfo/%d", (int)pid, fd),
			*file = g_strdup_printf("/proc/%d/fd/%d", (int)pid, fd), *line = NULL;
	char text[SMALL_MAX];
	struct stat st;
	uint64_t mount;

	if (small_read(info, text, sizeof(text)) < 0 ||
		small_find_u64(text, "mnt_id", &mount) < 0 || RET_NERRNO(stat(file, &st)) < 0 ||
		!(S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)))
		return NULL;
	line = g_strdup_printf("\n%llu ", (unsigned long long)mount);
	if (strstr(mounts, line))
		return NULL;
	return g_strdup_printf(
		"file[%llx:%llx]", (unsigned long long)mount, (unsigned long long)st.st_ino);
}

/* descriptors.json, as runc has it: where the streams came from. A file of the host stands there as criu calls it. */
static int streams_of(const struct container *c, struct migration *m, struct err *e)
{
	g_autofree char *info = g_strdup_printf("/proc/%d/mountinfo", (int)c->pid), *text = NULL,
			*mounts = NULL;
	g_autoptr(GPtrArray) externals = g_ptr_array_new();
	json_auto_t *list = json_array();
	char *dump;
	size_t n;
	int code = read_text_file(info, &text, &n, e);

	if (code < 0)
		return code;
	mounts = g_strdup_printf("\n%s", text);
	for (int fd = 0; fd < STREAMS; fd++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)c->pid, fd),
				*link = g_file_read_link(path, NULL),
				*external = outside(c->pid, fd, mounts);

		json_array_append_new(list, json_string(external ? external : link ? link : ""));
		if (external)
			g_ptr_array_add(externals, g_steal_pointer(&external));
	}
	g_ptr_array_add(externals, NULL);
	m->externals = (char **)g_ptr_array_free(g_steal_pointer(&externals), FALSE);
	dump = json_dumps(list, JSON_COMPACT);
	m->streams = g_strdup(dump);
	free(dump);
	m->x.externals = m->externals;
	m->x.streams = m->streams;
	return 0;
}

/* What stands for them now: this process's own. */
static int own_streams(struct migration *m, struct err *e)
{
	g_autofree char *file = g_strdup_printf("%s/descriptors.json", m->images), *text = NULL;
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	json_auto_t *list = NULL;
	size_t n, i;
	json_t *v;
	int code = access(file, F_OK) < 0 ? 0 : read_text_file(file, &text, &n, e);

	if (code >= 0 && text)
		code = json_read(text, n, &list, e);
	if (code < 0)
		return code;
	json_array_foreach(list, i, v) {
		const char *s = json_string_value(v);

		if (s && i < STREAMS && (strstr(s, "pipe:") || g_str_has_prefix(s, "file[")))
			g_ptr_array_add(words, g_strdup_printf("fd[%zu]:%s", i, s));
	}
	g_ptr_array_add(words, NULL);
	m->externals = (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
	m->x.externals = m->externals;
	return 0;
}

/* --- what stands in its way --- */

/* The lines of a table of the kernel as words. g_ptr_array_unref. */
static GPtrArray *table_of(const struct container *c, const char *name)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)c->pid, name), *text = NULL;
	g_auto(GStrv) lines = NULL;
	size_t n;

	if (read_text_file(path, &text, &n, NULL) < 0)
		return rows;
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++)
		g_ptr_array_add(rows, g_strsplit(g_strchug(*l), " ", -1));
	return rows;
}

static const char *word_at(const GPtrArray *rows, guint row, guint i)
{
	char **words = g_ptr_array_index(rows, row);

	return i < g_strv_length(words) ? words[i] : "";
}

/* Connections of the container that are open: field 4 of net/tcp is 01. */
static bool has_connections(const struct container *c)
{
	static const char *const files[] = { "net/tcp", "net/tcp6" };

	for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autoptr(GPtrArray) rows = table_of(c, files[i]);

		for (guint k = 0; k < rows->len; k++)
			if (strcmp(word_at(rows, k, 3), "01") == 0)
				return true;
	}
	return false;
}

/* Whether it is at a mount of config.json, and whether it is below a bind mount. */
static void place_of(const struct config *config, const char *at, bool *ret_own, bool *ret_below)
{
	*ret_own = *ret_below = false;
	for (guint i = 0; i < config->mounts->len; i++) {
		const struct config_mount *m = g_ptr_array_index(config->mounts, i);
		size_t k = strlen(m->destination);
		bool bind =
			g_strcmp0(m->type, "bind") == 0 ||
			(m->options && g_strv_contains((const char *const *)m->options, "rbind"));

		if (strcmp(at, m->destination) == 0)
			*ret_own = true;
		if (bind && k > 1 && strncmp(at, m->destination, k) == 0 && at[k] == '/')
			*ret_below = true;
	}
}

/* A mount below a bound folder came along with it; criu would need a name for it. g_free; NULL: none. */
static char *mount_below(const struct container *c, const struct config *config)
{
	g_autoptr(GPtrArray) rows = table_of(c, "mountinfo");

	for (guint i = 0; i < rows->len; i++) {
		const char *at = word_at(rows, i, 4);
		bool own, below;

		place_of(config, at, &own, &below);
		if (below && !own)
			return g_strdup(at);
	}
	return NULL;
}

/* Said all at once, before anything is tried. */
static int blockers(const struct container *c, const struct config *config,
	const struct migrate_args *a, struct err *e)
{
	g_autoptr(GString) list = g_string_new(NULL);
	g_autofree char *mount = mount_below(c, config);

	if (config->linux_.seccomp && config->linux_.listener_path)
		g_string_append(list, ", a filter that asks a listener");
	if (mount)
		g_string_append_printf(
			list, ", a mount of the host below a bound one: '%s'", mount);
	if (config_namespace(config, "network") && !a->tcp_established && !a->pre_dump &&
		has_connections(c))
		g_string_append(
			list, ", open TCP connections (--tcp-established takes them along)");
	return list->len ? err_set(e, -E_UNSUPPORTED, "cannot checkpoint '%s': it has %s", c->id,
				   list->str + 2)
			 : 0;
}

/* Processes that are no descendants of the first: criu takes the tree, and they end with the container. */
static void warn_of_outsiders(struct runc *r, const struct container *c)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0, outside = 0;

	if (!c->cgroup || cgroup_procs(c->cgroup, &pids, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pids[i]);
		char text[SMALL_MAX];
		bool inside = pids[i] == c->pid;
		uint64_t parent;

		if (small_read(path, text, sizeof(text)) < 0 ||
			small_find_u64(text, "PPid", &parent) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			inside = inside || (uint64_t)pids[k] == parent;
		outside += !inside;
	}
	if (outside) {
		g_autofree char *text = g_strdup_printf(
			outside == 1
				? "%zu process that was brought in from outside isn't in the "
				  "checkpoint"
				: "%zu processes that were brought in from outside aren't in the "
				  "checkpoint",
			outside);

		runc_log(r, "warning", text);
	}
}

static int check_checkpoint(const struct container *c, const struct config *config,
	const struct migrate_args *a, struct err *e)
{
	if (c->status == STATUS_CREATED || c->status == STATUS_STOPPED)
		return err_set(e, -E_STATE, "Container cannot be checkpointed in %s state",
			status_name(c->status));
	if (a->lazy_pages && !a->page_server)
		return err_set(e, -E_USAGE, "--lazy-pages needs --page-server ADDRESS:PORT");
	if (a->parent && a->parent[0] == '/')
		return err_set(e, -E_USAGE,
			"--parent-path must be relative to the images: '%s' isn't", a->parent);
	return blockers(c, config, a, e);
}

/* --- checkpoint --- */

static int run_checkpoint(struct runc *r, struct container *c, const struct config *config,
	struct migration *m, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run run;
	int code;

	m->x.config = config;
	m->x.rootfs = c->rootfs;
	m->x.dir = c->bundle;
	m->x.cgroup = c->cgroup;
	m->x.pid = c->pid;
	code = bundle_plan_checkpoint(&m->x, p, e);
	if (code < 0)
		return code;
	if (runc_explains(r, p))
		return 0;
	step_run_init(&run, p);
	run.trace_fd = r->ctx.trace_fd;
	runc_log_plan(r, p);
	code = plan_run(&run, e);
	step_run_done(&run);
	if (code < 0 || m->x.leave_running || m->x.pre_dump)
		return code;
	return container_remove(r, c, config, e);
}

static int checkpoint(struct cmd_call *call, struct err *e)
{
	const struct migrate_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(migration_done) struct migration m = { 0 };
	struct runc *r = runc_of(call);
	int code = container_load(r, call->operands[0], &c, e);

	if (code >= 0)
		code = container_config(c, &config, e);
	if (code >= 0)
		code = check_checkpoint(c, config, a, e);
	if (code >= 0)
		code = migration_fill(r, a, &m, e);
	if (code >= 0)
		code = streams_of(c, &m, e);
	if (code < 0)
		return code;
	warn_of_outsiders(r, c);
	m.x.status_fd = (int)a->status_fd;
	m.x.parent = a->parent && *a->parent ? a->parent : NULL;
	return run_checkpoint(r, c, config, &m, e);
}

/* --- restore --- */

static int restore(struct cmd_call *call, struct err *e)
{
	struct migrate_args *a = call->args;
	_cleanup_(start_done) struct start s = { 0 };
	_cleanup_(migration_done) struct migration m = { 0 };
	_cleanup_(plan_freep) struct plan *p = plan_new();
	_cleanup_(step_run_done) struct step_run run;
	int code = check_id(call->operands[0], e);

	step_run_init(&run, p);
	if (code >= 0)
		code = migration_fill(runc_of(call), a, &m, e);
	if (code >= 0)
		code = start_prepare(&s, call, &a->create, a->create.detach, false, e);
	if (code >= 0)
		code = own_streams(&m, e);
	if (code < 0)
		return code;
	m.x.config = s.config;
	m.x.rootfs = s.rootfs;
	m.x.dir = s.dir;
	m.x.cgroup = s.cgroup.path;
	code = bundle_plan_restore(&s.bundle, &m.x, p, e);
	if (code < 0)
		return code;
	start_foreground(&a->create);
	code = start_run(&s, &run, p, e);
	return code < 0 ? code : start_follow(&s, call->operands[0], &run, e);
}

const struct cmd runc_checkpoint = {
	CMD_FILE,
	.name = "checkpoint",
	.run = checkpoint,
	.opts = checkpoint_opts,
	.args_size = sizeof(struct migrate_args),
	.defaults = no_status_fd,
	.brief = "write a running container into files and end it",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};

const struct cmd runc_restore = {
	CMD_FILE,
	.name = "restore",
	.run = restore,
	.opts = restore_opts,
	.args_size = sizeof(struct migrate_args),
	.defaults = no_status_fd,
	.brief = "make a container of a checkpoint's files",
	.synopsis = "[OPTIONS] CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
};
