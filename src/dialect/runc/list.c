/* SPDX-License-Identifier: MIT */
/* list, state, ps: what there is. */
#include "dialect/runc/runc.h"

#include <pwd.h>
#include <string.h>
#include <sys/wait.h>

#include "host/cgroup.h"
#include "host/proc.h"

/* --- state --- */

/* The members in Go's order; jansson keeps that of their insertion. */
static json_t *describe(const struct container *c, bool with_owner, const char *owner)
{
	json_t *o = json_object(), *notes = container_annotations(c);

	json_object_set_new(o, "ociVersion", json_string(c->version));
	json_object_set_new(o, "id", json_string(c->id));
	json_object_set_new(o, "pid", json_integer(c->status == STATUS_STOPPED ? 0 : c->pid));
	json_object_set_new(o, "status", json_string(status_name(c->status)));
	json_object_set_new(o, "bundle", json_string(c->bundle));
	json_object_set_new(o, "rootfs", json_string(c->rootfs));
	json_object_set_new(o, "created", json_string(c->created));
	if (json_object_size(notes))
		json_object_set(o, "annotations", notes);
	json_object_set_new(o, "owner", json_string(with_owner ? owner : ""));
	json_decref(notes);
	return o;
}

static int state(struct cmd_call *call, struct err *e)
{
	_cleanup_(container_freep) struct container *c = NULL;
	json_auto_t *o = NULL;
	char *text;
	int code = container_load(runc_of(call), call->operands[0], &c, e);

	if (code < 0)
		return code;
	o = describe(c, false, "");
	text = json_dumps(o, JSON_INDENT(2));
	(void)fputs(text, stdout);
	free(text);
	return 0;
}

const struct cmd runc_state = {
	CMD_FILE,
	.name = "state",
	.run = state,
	.brief = "print the state of a container",
	.synopsis = "CONTAINER",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
};

/* --- list --- */

struct list_args {
	char *format;
	bool quiet;
};

static const struct opt list_opts[] = { OPT_STRING('f', "format", struct list_args, format,
						"FORMAT", complete_none, "table or json"),
	OPT_FLAG('q', "quiet", struct list_args, quiet, "only ids"), OPT_END };

/* By /etc/passwd alone: no library of the system's is loaded into this program. */
static char *user_name(uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p;
	char *name = NULL;

	while (f && !name && (p = fgetpwent(f)) != NULL)
		if (p->pw_uid == uid)
			name = g_strdup(p->pw_name);
	if (f)
		(void)fclose(f);
	return name ? name : g_strdup_printf("#%u", uid);
}

/* Columns as wide as their widest word and three blanks, as Go's tabwriter with a minimum of 12. */
static void print_table(const GPtrArray *all)
{
	enum {
		COLUMNS = 6
	};
	static const char *const heading[COLUMNS] = { "ID", "PID", "STATUS", "BUNDLE", "CREATED",
		"OWNER" };
	g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
	size_t width[COLUMNS] = { 0 };

	for (int k = 0; k < COLUMNS; k++)
		g_ptr_array_add(cells, g_strdup(heading[k]));
	for (guint i = 0; i < all->len; i++) {
		const struct container *c = g_ptr_array_index(all, i);

		g_ptr_array_add(cells, g_strdup(c->id));
		g_ptr_array_add(cells,
			g_strdup_printf("%d", c->status == STATUS_STOPPED ? 0 : (int)c->pid));
		g_ptr_array_add(cells, g_strdup(status_name(c->status)));
		g_ptr_array_add(cells, g_strdup(c->bundle));
		g_ptr_array_add(cells, g_strdup(c->created));
		g_ptr_array_add(cells, user_name(c->owner));
	}
	for (guint i = 0; i < cells->len; i++)
		width[i % COLUMNS] = MAX(width[i % COLUMNS], strlen(g_ptr_array_index(cells, i)));
	for (guint i = 0; i < cells->len; i++) {
		const char *cell = g_ptr_array_index(cells, i);

		if (i % COLUMNS == COLUMNS - 1)
			printf("%s\n", cell);
		else
			printf("%-*s", (int)MAX(width[i % COLUMNS] + 3, 12), cell);
	}
}

static int list(struct cmd_call *call, struct err *e)
{
	const struct list_args *a = call->args;
	bool json = a->format && strcmp(a->format, "json") == 0;
	g_autoptr(GPtrArray) all = NULL;
	json_auto_t *rows = NULL;

	if (a->format && *a->format && !json && strcmp(a->format, "table") != 0)
		return err_set(e, -E_INVALID, "invalid format option");
	all = container_list(runc_of(call));
	if (a->quiet) {
		for (guint i = 0; i < all->len; i++)
			puts(((struct container *)g_ptr_array_index(all, i))->id);
		return 0;
	}
	if (!json) {
		print_table(all);
		return 0;
	}
	rows = json_array();
	for (guint i = 0; i < all->len; i++) {
		const struct container *c = g_ptr_array_index(all, i);
		g_autofree char *owner = user_name(c->owner);

		json_array_append_new(rows, describe(c, true, owner));
	}
	if (all->len)
		(void)json_dumpf(rows, stdout, JSON_COMPACT);
	else
		(void)fputs("null", stdout);
	(void)fputc('\n', stdout);
	return 0;
}

const struct cmd runc_list = {
	CMD_FILE,
	.name = "list",
	.run = list,
	.opts = list_opts,
	.args_size = sizeof(struct list_args),
	.brief = "list containers",
	.synopsis = "[OPTIONS]",
	.flags = CMD_READS_ONLY,
};

/* --- ps --- */

struct ps_args {
	char *format;
};

static const struct opt ps_opts[] = { OPT_STRING('f', "format", struct ps_args, format, "FORMAT",
					      complete_none, "table or json"),
	OPT_END };

static bool has_pid(const pid_t *pids, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/* Lines of ps(1) whose PID is the container's. */
static int print_ps(struct cmd_call *call, const pid_t *pids, size_t n, struct err *e)
{
	static const char *const usual[] = { "-ef", NULL };
	const char *const *options =
		call->n_operands > 1 ? (const char *const *)call->operands + 1 : usual;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *out = g_malloc(4 << 20);
	g_auto(GStrv) lines = NULL;
	int column = -1, code;

	g_ptr_array_add(argv, (char *)"ps");
	for (; *options; options++)
		g_ptr_array_add(argv, (char *)(uintptr_t)*options);
	g_ptr_array_add(argv, NULL);
	code = program_run((const char *const *)argv->pdata, NULL, out, 4 << 20, 30000);
	if (code != 0)
		return code < 0 ? err_sys(e, code, "cannot run ps")
				: err_set(e, -E_INVALID, "ps: %s", out);
	lines = g_strsplit(g_strchomp(out), "\n", -1);
	for (char **l = lines; *l; l++) {
		g_auto(GStrv) word = g_strsplit_set(*l, " \t", -1);
		int k = 0;
		const char *cell = NULL;

		for (char **w = word; *w; w++) {
			if (!**w)
				continue;
			if (l == lines && strcmp(*w, "PID") == 0)
				column = k;
			else if (l != lines && k == column)
				cell = *w;
			k++;
		}
		if (column < 0)
			return err_set(e, -E_INVALID, "couldn't find PID field in ps output");
		if (l == lines || (cell && has_pid(pids, n, strtol(cell, NULL, 10))))
			puts(*l);
	}
	return 0;
}

static int ps(struct cmd_call *call, struct err *e)
{
	const struct ps_args *a = call->args;
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int code = container_load(runc_of(call), call->operands[0], &c, e);

	if (code < 0)
		return code;
	if (a->format && *a->format && strcmp(a->format, "json") != 0 &&
		strcmp(a->format, "table") != 0)
		return err_set(e, -E_INVALID, "invalid format option");
	if (!c->cgroup || cgroup_procs(c->cgroup, &pids, &n) < 0)
		n = 0;
	if (a->format && strcmp(a->format, "json") == 0) {
		json_auto_t *list = json_array();

		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, json_integer(pids[i]));
		(void)json_dumpf(list, stdout, JSON_COMPACT);
		(void)fputc('\n', stdout);
		return 0;
	}
	return print_ps(call, pids, n, e);
}

const struct cmd runc_ps = {
	CMD_FILE,
	.name = "ps",
	.run = ps,
	.opts = ps_opts,
	.args_size = sizeof(struct ps_args),
	.brief = "list the processes of a container",
	.synopsis = "[OPTIONS] CONTAINER [PS-OPTION...]",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY | CMD_STOP_AT_OPERAND,
};
