/* SPDX-License-Identifier: MIT */
/* Containers as they stand in ROOT/ID/state.json, and what the kernel knows of them. */
#include "dialect/runc/runc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "codec/json.h"
#include "host/cgroup.h"
#include "host/proc.h"
#include "host/steps.h"

enum {
	ID_MAX = 1024,
	KILL_WAIT_MS = 10000
};

const char *status_name(enum container_status s)
{
	static const char *const name[] = { "created", "running", "paused", "stopped" };

	return name[s];
}

int check_id(const char *id, struct err *e)
{
	static const char known[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";

	if (!*id)
		return err_set(e, -E_INVALID, "container id cannot be empty");
	if (strlen(id) > ID_MAX || strspn(id, known) != strlen(id) || strcmp(id, ".") == 0 ||
		strcmp(id, "..") == 0)
		return err_set(e, -E_INVALID, "invalid container ID format");
	return 0;
}

int read_text_file(const char *path, char **ret, size_t *ret_n, struct err *e)
{
	bool in = strcmp(path, "-") == 0;
	_cleanup_close_ int fd = RET_NERRNO(in ? dup(0) : open(path, O_RDONLY | O_CLOEXEC));
	g_autoptr(GString) text = g_string_sized_new(8192);
	char buf[16384];
	struct stat st;
	ssize_t n;

	n = fd < 0 ? fd : RET_NERRNO(fstat(fd, &st));
	if (n < 0)
		return err_sys(e, (int)n, "open %s", path);
	if (S_ISDIR(st.st_mode))
		return err_sys(e, -EISDIR, "read %s", path);
	if (st.st_size > CONFIG_TEXT_MAX)
		return err_set(e, -E_LIMIT, "'%s' has more than %d bytes", path, CONFIG_TEXT_MAX);
	while ((n = RET_NERRNO(read(fd, buf, sizeof(buf)))) > 0) {
		g_string_append_len(text, buf, n);
		if (text->len > CONFIG_TEXT_MAX)
			return err_set(
				e, -E_LIMIT, "'%s' has more than %d bytes", path, CONFIG_TEXT_MAX);
	}
	if (n < 0)
		return err_sys(e, (int)n, "read %s", path);
	*ret_n = text->len;
	*ret = g_string_free(g_steal_pointer(&text), FALSE);
	return 0;
}

/* --- reading --- */

void container_free(struct container *c)
{
	if (!c)
		return;
	g_free(c->id);
	g_free(c->dir);
	json_decref(c->doc);
	g_free(c);
}

void container_freep(struct container **c)
{
	container_free(*c);
}

static void free_container(gpointer p)
{
	container_free(p);
}

void container_refresh(struct container *c)
{
	g_autofree char *fifo = g_strdup_printf("%s/exec.fifo", c->dir);
	uint64_t start;
	char state;

	c->status = STATUS_STOPPED;
	if (c->pid <= 0 || proc_stat(c->pid, &state, &start) < 0 || start != c->start ||
		state == 'Z' || state == 'X')
		return;
	if (access(fifo, F_OK) == 0)
		c->status = STATUS_CREATED;
	else
		c->status = c->cgroup && cgroup_frozen(c->cgroup) ? STATUS_PAUSED : STATUS_RUNNING;
}

/* The value of "KEY=VALUE" among the labels. */
static const char *label(const json_t *config, const char *key)
{
	const json_t *v;
	size_t i, n = strlen(key);

	json_array_foreach(json_object_get(config, "labels"), i, v) {
		const char *s = json_string_value(v);

		if (s && strncmp(s, key, n) == 0 && s[n] == '=')
			return s + n + 1;
	}
	return NULL;
}

json_t *container_annotations(const struct container *c)
{
	json_t *notes = json_object(), *v;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(c->doc, "config"), "labels"), i, v) {
		const char *s = json_string_value(v), *equals = s ? strchr(s, '=') : NULL;
		g_autofree char *key = equals ? g_strndup(s, (gsize)(equals - s)) : NULL;

		if (key && strcmp(key, "bundle") != 0)
			json_object_set_new(notes, key, json_string(equals + 1));
	}
	return notes;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* A path that real runc wrote: below the mount of a hierarchy of ours. */
static const char *foreign_cgroup(const json_t *doc)
{
	const struct cgroup_host *h = cgroup_host();
	const char *path = text_of(json_object_get(doc, "cgroup_paths"), "");
	size_t n = strlen(h->v2);

	return n && strncmp(path, h->v2, n) == 0 && path[n] == '/' && path[n + 1] ? path + n + 1
										  : NULL;
}

static void read_unit(const json_t *o, struct bundle_unit *ret)
{
	if (!o)
		return;
	*ret = (struct bundle_unit){ .manager = text_of(o, "manager"),
		.name = text_of(o, "name"),
		.slice = text_of(o, "slice"),
		.version = (unsigned)json_integer_value(json_object_get(o, "version")) };
}

int container_load(struct runc *r, const char *id, struct container **ret, struct err *e)
{
	_cleanup_(container_freep) struct container *c = g_new0(struct container, 1);
	g_autofree char *file = NULL, *text = NULL;
	const json_t *config, *own;
	struct stat st;
	size_t n;
	int code = check_id(id, e);

	if (code < 0)
		return code;
	c->id = g_strdup(id);
	c->dir = g_strdup_printf("%s/%s", r->root, id);
	file = g_strdup_printf("%s/state.json", c->dir);
	code = RET_NERRNO(stat(file, &st));
	if (code == -ENOENT || code == -ENOTDIR)
		return err_set(e, -E_NOTFOUND, "container does not exist");
	if (code < 0)
		return err_sys(e, code, "cannot read '%s'", file);
	code = read_text_file(file, &text, &n, e);
	if (code >= 0)
		code = json_read(text, n, &c->doc, e);
	if (code < 0)
		return code;
	config = json_object_get(c->doc, "config");
	own = json_object_get(c->doc, "lodge");
	c->pid = (pid_t)json_integer_value(json_object_get(c->doc, "init_process_pid"));
	c->start = (uint64_t)json_integer_value(json_object_get(c->doc, "init_process_start"));
	c->created = text_of(c->doc, "created");
	c->version = text_of(config, "version");
	c->rootfs = text_of(config, "rootfs");
	c->bundle = label(config, "bundle");
	if (!c->bundle)
		c->bundle = "";
	c->no_pivot = json_is_true(json_object_get(config, "no_pivot_root"));
	c->cgroup =
		own ? json_string_value(json_object_get(own, "cgroup")) : foreign_cgroup(c->doc);
	c->owner = st.st_uid;
	read_unit(json_object_get(own, "unit"), &c->unit);
	container_refresh(c);
	*ret = TAKE_PTR(c);
	return 0;
}

static gint by_id(gconstpointer a, gconstpointer b)
{
	const struct container *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

GPtrArray *container_list(struct runc *r)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(free_container);
	DIR *d = opendir(r->root);
	struct dirent *de;

	while (d && (de = readdir(d)) != NULL) {
		struct container *c;
		struct err e = { 0 };
		int code;

		if (de->d_name[0] == '.')
			continue;
		code = container_load(r, de->d_name, &c, &e);
		if (code >= 0)
			g_ptr_array_add(list, c);
		else if (code != -E_NOTFOUND) {
			g_autofree char *text =
				g_strdup_printf("load container %s: %s", de->d_name, e.text);

			runc_log(r, "error", text);
		}
	}
	if (d)
		(void)closedir(d);
	g_ptr_array_sort(list, by_id);
	return list;
}

int container_config(const struct container *c, struct config **ret, struct err *e)
{
	g_autofree char *file = g_strdup_printf("%s/config.json", c->bundle), *text = NULL;
	size_t n;
	int code = read_text_file(file, &text, &n, e);

	return code < 0 ? code : config_read(text, n, ret, e);
}

/* --- writing --- */

static json_t *labels_of(const struct bundle *b)
{
	json_t *list = json_array();
	g_autofree char *bundle = g_strdup_printf("bundle=%s", b->dir);

	for (guint i = 0; i < b->config->annotations->len; i++) {
		const struct config_pair *p = g_ptr_array_index(b->config->annotations, i);
		g_autofree char *pair = g_strdup_printf("%s=%s", p->key, p->value);

		json_array_append_new(list, json_string(pair));
	}
	json_array_append_new(list, json_string(bundle));
	return list;
}

static json_t *cgroup_paths(const struct bundle *b)
{
	static const char *const name[] = { "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio",
		"devices", "freezer", "hugetlb", "net_cls", "net_prio", "perf_event", "rdma" };
	const struct cgroup_host *h = cgroup_host();
	json_t *o = json_object();

	if (!b->cgroup)
		return o;
	if (h->v2[0]) {
		g_autofree char *path = g_strdup_printf("%s/%s", h->v2, b->cgroup);

		json_object_set_new(o, "", json_string(path));
	}
	for (unsigned i = 0; i < h->n_v1; i++)
		for (guint k = 0; k < G_N_ELEMENTS(name); k++)
			if (h->v1[i].controllers & cgroup_controller_bit(name[k])) {
				g_autofree char *path =
					g_strdup_printf("%s/%s", h->v1[i].mount, b->cgroup);

				json_object_set_new(o, name[k], json_string(path));
			}
	return o;
}

/* "2026-01-02T15:04:05.123456789Z". Not by strftime(3), which reads the local time zone's file first. */
static char *time_stamp(void)
{
	struct timespec t;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	(void)gmtime_r(&t.tv_sec, &tm);
	return g_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
}

static json_t *namespaces_of(const struct config *c)
{
	static const char *const kind[][2] = { { "pid", "NEWPID" }, { "network", "NEWNET" },
		{ "ipc", "NEWIPC" }, { "uts", "NEWUTS" }, { "mount", "NEWNS" },
		{ "user", "NEWUSER" }, { "cgroup", "NEWCGROUP" } };
	json_t *list = json_array();

	for (guint i = 0; i < G_N_ELEMENTS(kind); i++) {
		const struct config_namespace *n = config_namespace(c, kind[i][0]);

		if (n)
			json_array_append_new(list, json_pack("{s:s, s:s}", "type", kind[i][1],
							    "path", n->path ? n->path : ""));
	}
	return list;
}

/* What runc makes its own manager of: a path of ours below the mounts begins with '/' there. */
static json_t *cgroups_of(const struct bundle *b)
{
	json_t *o =
		json_pack("{s:b, s:b}", "systemd", b->unit != NULL, "rootless", (int)b->rootless);

	if (b->unit) {
		/* "PREFIX-NAME.scope": runc puts it together again */
		const char *dash = strchr(b->unit->name, '-'), *end = strrchr(b->unit->name, '.');
		g_autofree char *prefix = g_strndup(
					b->unit->name, dash ? (gsize)(dash - b->unit->name) : 0),
				*name = g_strndup(dash ? dash + 1 : b->unit->name,
					(gsize)(end - (dash ? dash + 1 : b->unit->name)));

		json_object_set_new(o, "parent", json_string(b->unit->slice));
		json_object_set_new(o, "scope_prefix", json_string(prefix));
		json_object_set_new(o, "name", json_string(name));
	} else {
		g_autofree char *path = g_strdup_printf("/%s", b->cgroup ? b->cgroup : "");

		json_object_set_new(o, "path", json_string(path));
	}
	/* one member of its resources, which are in the same object, or it refuses the whole */
	json_object_set_new(o, "memory", json_integer(0));
	return o;
}

char *container_record(const struct bundle *b, const struct runc *r)
{
	static const char ns[] =
		"\"namespace_paths\":{\"NEWCGROUP\":\"/proc/@PID@/ns/cgroup\","
		"\"NEWIPC\":\"/proc/@PID@/ns/ipc\",\"NEWNET\":\"/proc/@PID@/ns/net\","
		"\"NEWNS\":\"/proc/@PID@/ns/mnt\",\"NEWPID\":\"/proc/@PID@/ns/pid\","
		"\"NEWUSER\":\"/proc/@PID@/ns/user\",\"NEWUTS\":\"/proc/@PID@/ns/uts\"}";
	g_autofree char *created = time_stamp(), *hidden = NULL;
	g_auto(GStrv) parts = NULL;
	json_auto_t *o = json_object(), *config = json_object(), *own = json_object();
	char *text;

	json_object_set_new(config, "version", json_string(b->config->version));
	json_object_set_new(config, "rootfs", json_string(b->rootfs));
	json_object_set_new(config, "labels", labels_of(b));
	json_object_set_new(config, "no_pivot_root", json_boolean(b->no_pivot));
	json_object_set_new(config, "namespaces", namespaces_of(b->config));
	json_object_set_new(config, "cgroups", cgroups_of(b));
	if (b->cgroup)
		json_object_set_new(own, "cgroup", json_string(b->cgroup));
	if (b->unit)
		json_object_set_new(own, "unit",
			json_pack("{s:s, s:s, s:s, s:i}", "manager", b->unit->manager, "name",
				b->unit->name, "slice", b->unit->slice, "version",
				(int)b->unit->version));
	json_object_set_new(o, "id", json_string(b->id));
	json_object_set_new(o, "created", json_string(created));
	json_object_set(o, "config", config);
	json_object_set_new(o, "rootless", json_boolean(b->rootless));
	json_object_set_new(o, "cgroup_paths", cgroup_paths(b));
	json_object_set(o, "lodge", own);
	text = json_dumps(o, JSON_COMPACT);
	parts = g_strsplit(text, "@", -1); /* only ours stand for something */
	hidden = g_strjoinv("\\u0040", parts);
	free(text);
	return g_strdup_printf(
		"{\"init_process_pid\":@PID@,\"init_process_start\":@START@,%s,%s", ns, hidden + 1);
}

/* --- the end --- */

int container_signal(const struct container *c, int signal, struct err *e)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	uint64_t start;
	char state;
	int code;

	/* the descriptor names a process, the record says which one it must be */
	if (fd < 0 || proc_stat(c->pid, &state, &start) < 0 || start != c->start || state == 'Z')
		return err_set(e, -E_STATE, "container not running");
	code = RET_NERRNO((int)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0));
	return code < 0 ? err_sys(e, code, "cannot send signal %d", signal) : 0;
}

static void wait_gone(struct container *c)
{
	for (int ms = 0; ms < KILL_WAIT_MS; ms++) {
		container_refresh(c);
		if (c->status == STATUS_STOPPED)
			return;
		g_usleep(1000);
	}
}

/* Failures of these are told and don't stop anything. */
static void poststop(struct runc *r, const struct container *c, const struct config *config)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct err e = { 0 };
	struct step_run run;
	g_autofree char *state = NULL;

	if (!config->hooks.poststop->len)
		return;
	state = bundle_state(config, c->id, c->bundle, "stopped");
	bundle_plan_hooks(p, AT_HOST, config->hooks.poststop, "poststop", state);
	step_run_init(&run, p);
	if (plan_run_at(&run, AT_HOST, &e) < 0)
		runc_log(r, "warning", e.text);
	step_run_done(&run);
}

int container_remove(
	struct runc *r, struct container *c, const struct config *config, struct err *e)
{
	_cleanup_(config_freep) struct config *own = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	struct step_run run;
	int code;

	if (c->status != STATUS_STOPPED) {
		if (c->cgroup)
			(void)cgroup_kill(c->cgroup, NULL);
		(void)container_signal(c, SIGKILL, NULL);
		if (c->cgroup && c->status == STATUS_PAUSED)
			(void)cgroup_freeze(c->cgroup, false, NULL);
		wait_gone(c);
	}
	bundle_plan_remains(c->dir, c->cgroup, c->unit.name ? &c->unit : NULL, p);
	step_run_init(&run, p);
	run.trace_fd = r->ctx.trace_fd;
	runc_log_plan(r, p);
	/* a bundle that is gone has no hooks any more */
	if (!config && container_config(c, &own, NULL) >= 0)
		config = own;
	if (config)
		poststop(r, c, config);
	code = plan_undo(&run, UNDO_ENDED, e);
	step_run_done(&run);
	return code;
}
