/* SPDX-License-Identifier: MIT */
/* volume ...: docker-cli's reference, "volume". */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/parse/parse.h"
#include "guest/volume.h"

/* --- create ------------------------------------------------------------------------------------------------ */

struct create_args {
	char *driver;
	char **label;
};

static const struct opt create_opts[] = { OPT_STRING('d', "driver", struct create_args, driver,
						  "DRIVER", complete_none, "local"),
	OPT_LIST(0, "label", struct create_args, label, "KEY[=VALUE]", complete_none, "label"),
	OPT_END };

static int labels_of(char *const *words, json_t **ret, struct err *e)
{
	json_t *labels = json_object();

	for (; words && *words; words++) {
		g_autofree char *key = NULL, *value = NULL;
		int r = parse_pair(*words, false, &key, &value, e);

		if (r >= 0 && json_object_set_new(labels, key, json_string(value)) < 0)
			r = err_set(e, -E_USAGE, "invalid label '%s': not UTF-8", key);
		if (r < 0) {
			json_decref(labels);
			return r;
		}
	}
	*ret = json_pack("{s:o}", "labels", labels);
	return 0;
}

static int create_run(struct cmd_call *call, struct err *e)
{
	const struct create_args *a = call->args;
	const char *name = call->operands[0];
	g_autofree char *made = NULL;
	json_t *j = NULL;
	char *text;
	int r;

	if (a->driver && !g_str_equal(a->driver, "local"))
		return err_set(e, -E_UNSUPPORTED, "cannot make volume '%s': no such driver '%s'",
			name ?: "", a->driver);
	r = labels_of(a->label, &j, e);
	if (r < 0)
		return r;
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	r = volume_create(call->c, name, text, &made, e);
	free(text);
	if (r >= 0 && !call->c->explain)
		printf("%s\n", made);
	return MIN(r, 0);
}

static const struct cmd volume_create_cmd = {
	CMD_FILE,
	.name = "create",
	.run = create_run,
	.opts = create_opts,
	.args_size = sizeof(struct create_args),
	.brief = "make a volume",
	.synopsis = "[OPTIONS] [NAME]",
	.max_operands = 1,
};

/* --- ls, inspect ------------------------------------------------------------------------------------------------ */

struct ls_args {
	bool quiet;
	char **filter;
	char *format;
};

static const struct opt ls_opts[] = { OPT_LIST('f', "filter", struct ls_args, filter, "KEY=VALUE",
					      complete_none,
					      "only those: name, label, dangling, driver"),
	OPT_STRING(0, "format", struct ls_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_FLAG('q', "quiet", struct ls_args, quiet, "only names"), OPT_END };

static const char *const ls_keys[] = { "dangling", "driver", "label", "name", NULL };

static const struct tab_column ls_columns[] = {
	{ "DRIVER", "Driver" },
	{ "VOLUME NAME", "Name" },
	{ NULL, NULL },
};

static json_t *labels_in(const char *doc)
{
	json_t *j = json_loads(doc ?: "{}", 0, NULL),
	       *labels = json_incref(json_object_get(j, "labels"));

	json_decref(j);
	return labels ?: json_object();
}

/* Takes labels. */
static json_t *volume_row(struct ctx *c, const struct volume_record *v, json_t *labels, bool text)
{
	g_autofree char *path = store_path(c, "volumes/%s", v->name);
	g_autofree char *created = units_show_time(v->created);
	g_autofree char *words = labels_text(labels);
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "CreatedAt", created, "Driver",
		v->driver, "Mountpoint", path, "Name", v->name, "Scope", "local", "Anonymous",
		v->anonymous);

	if (text) {
		json_object_set_new(row, "Labels", json_string(words));
		json_decref(labels);
	} else {
		json_object_set_new(row, "Labels", labels);
	}
	return row;
}

static bool is_used(struct store *s, const char *name)
{
	g_autoptr(GPtrArray) users = NULL;

	return store_users(s, "volume", name, &users, NULL) >= 0 && users->len > 0;
}

static int ls_run(struct cmd_call *call, struct err *e)
{
	const struct ls_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	g_autoptr(GPtrArray) all = NULL;
	json_t *rows = json_array();
	struct store *s;
	int dangling = -1, r;

	r = filters_parse(a->filter, ls_keys, &f, e);
	if (r >= 0) {
		dangling = filters_bool(f, "dangling", e);
		r = dangling < -1 ? dangling : 0;
	}
	if (r >= 0)
		r = store_get_existing(call->c, &s, e);
	if (r >= 0)
		r = store_volume_list(s, &all, e);
	else if (r == -E_NOTFOUND)
		r = 0;
	for (guint i = 0; r >= 0 && all && i < all->len; i++) {
		const struct volume_record *v = all->pdata[i];
		json_t *labels = labels_in(v->doc);

		if (filters_match_text(f, "name", v->name) &&
			filters_match(f, "driver", v->driver) &&
			filters_match_labels(f, "label", labels) &&
			(dangling < 0 || dangling != is_used(s, v->name)))
			json_array_append_new(rows, volume_row(call->c, v, labels, true));
		else
			json_decref(labels);
	}
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	return print_rows(ls_columns, rows, a->quiet, "Name", a->format, e);
}

static const struct cmd volume_ls = {
	CMD_FILE,
	.name = "ls",
	.run = ls_run,
	.opts = ls_opts,
	.args_size = sizeof(struct ls_args),
	.brief = "list volumes",
	.synopsis = "[OPTIONS]",
	.flags = CMD_READS_ONLY,
	.aliases = "list",
};

struct inspect_args {
	char *format;
};

static const struct opt inspect_opts[] = { OPT_STRING('f', "format", struct inspect_args, format,
						   "FORMAT", complete_none, "json, or a template"),
	OPT_END };

static int inspect_one(struct ctx *c, const char *name, json_t **ret, struct err *e)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	int r = volume_find(c, name, &v, e);

	if (r >= 0)
		*ret = volume_row(c, v, labels_in(v->doc), false);
	return r;
}

static int inspect_run(struct cmd_call *call, struct err *e)
{
	const struct inspect_args *a = call->args;

	return inspect_operands(call, a->format, inspect_one, e);
}

static const struct cmd volume_inspect = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "all about volumes, as JSON",
	.synopsis = "[OPTIONS] VOLUME...",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_volume,
};

/* --- rm, prune --------------------------------------------------------------------------------------------------- */

struct rm_args {
	bool force;
};

static const struct opt rm_opts[] = {
	OPT_FLAG('f', "force", struct rm_args, force, "one that is not there is no error"), OPT_END
};

static int rm_run(struct cmd_call *call, struct err *e)
{
	const struct rm_args *a = call->args;
	int status = 0;

	for (int i = 0; i < call->n_operands; i++) {
		struct err one = { 0 };
		int r = volume_remove(call->c, call->operands[i], &one);

		if (r == -E_NOTFOUND && a->force)
			continue;
		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			printf("%s\n", call->operands[i]);
	}
	return status;
}

static const struct cmd volume_rm = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.opts = rm_opts,
	.args_size = sizeof(struct rm_args),
	.brief = "remove volumes and what is in them",
	.synopsis = "[OPTIONS] VOLUME...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_volume,
	.aliases = "remove",
};

struct prune_args {
	bool all, force;
	char **filter;
};

static const struct opt prune_opts[] = { OPT_FLAG('a', "all", struct prune_args, all,
						 "named ones, too"),
	OPT_FLAG('f', "force", struct prune_args, force, "do not ask"),
	OPT_LIST(0, "filter", struct prune_args, filter, "KEY=VALUE", complete_none,
		"only those: label"),
	OPT_END };

static const char *const prune_keys[] = { "label", NULL };

int volumes_prune(struct ctx *c, bool all, const struct filters *f, int *ret_n, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	struct store *s;
	int r = store_get_existing(c, &s, e);

	*ret_n = 0;
	if (r == -E_NOTFOUND)
		return 0;
	if (r >= 0)
		r = store_volume_list(s, &list, e);
	for (guint i = 0; r >= 0 && i < list->len; i++) {
		const struct volume_record *v = list->pdata[i];
		json_t *labels = labels_in(v->doc);
		bool wanted = (all || v->anonymous) && !is_used(s, v->name) &&
			      (!f || filters_match_labels(f, "label", labels));

		json_decref(labels);
		if (!wanted)
			continue;
		r = volume_remove(c, v->name, e);
		if (r == -E_INUSE || r == -E_NOTFOUND) { /* somebody was faster */
			r = 0;
			continue;
		}
		if (r >= 0 && !c->explain)
			printf("%s\n", v->name);
		++*ret_n;
	}
	return r;
}

static int prune_run(struct cmd_call *call, struct err *e)
{
	const struct prune_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	int n, r = filters_parse(a->filter, prune_keys, &f, e);

	if (r < 0)
		return r;
	if (!confirm(a->force || call->c->explain,
		    a->all ? "This removes all volumes that no guest uses."
			   : "This removes all anonymous volumes that no guest uses."))
		return 0;
	return volumes_prune(call->c, a->all, f, &n, e);
}

static const struct cmd volume_prune = {
	CMD_FILE,
	.name = "prune",
	.run = prune_run,
	.opts = prune_opts,
	.args_size = sizeof(struct prune_args),
	.brief = "remove volumes that no guest uses",
	.synopsis = "[OPTIONS]",
};

static const struct cmd *const volume_sub[] = {
	&volume_create_cmd,
	&volume_inspect,
	&volume_ls,
	&volume_prune,
	&volume_rm,
	NULL,
};

const struct cmd lodge_volume = {
	CMD_FILE,
	.name = "volume",
	.brief = "volumes: folders that outlive guests",
	.sub = volume_sub,
};
