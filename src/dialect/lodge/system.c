/* SPDX-License-Identifier: MIT */
/* system df, system prune; fsck, boot. */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "image/image.h"
#include "store/blob.h"

/* --- df -------------------------------------------------------------------------------------------------- */

struct df_args {
	bool verbose;
	char *format;
};

static const struct opt df_opts[] = { OPT_FLAG('v', "verbose", struct df_args, verbose,
					      "each image, guest and volume"),
	OPT_STRING(0, "format", struct df_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_END };

static const struct tab_column df_columns[] = {
	{ "TYPE", "Type", false },
	{ "TOTAL", "TotalCount", true },
	{ "ACTIVE", "Active", true },
	{ "SIZE", "Size", true },
	{ "RECLAIMABLE", "Reclaimable", false },
	{ NULL, NULL, false },
};

static const struct tab_column df_item_columns[] = {
	{ "TYPE", "Type", false },
	{ "NAME", "Name", false },
	{ "ACTIVE", "Active", false },
	{ "SIZE", "Size", true },
	{ NULL, NULL, false },
};

static const char *df_title(const char *kind)
{
	static const char *const titles[][2] = { { "images", "Images" },
		{ "containers", "Containers" }, { "volumes", "Local Volumes" },
		{ "cache", "Build Cache" }, { "kernels", "Kernels" }, { "other", "Records" } };

	for (size_t i = 0; i < G_N_ELEMENTS(titles); i++)
		if (g_str_equal(titles[i][0], kind))
			return titles[i][1];
	return kind;
}

static json_t *df_row(const json_t *k)
{
	int64_t bytes = json_integer_value(json_object_get(k, "bytes"));
	int64_t free_ = json_integer_value(json_object_get(k, "reclaimable"));
	g_autofree char *size = units_show_size(bytes), *left = units_show_size(free_);
	g_autofree char *share =
		bytes > 0 ? g_strdup_printf("%s (%d%%)", left, (int)(100 * free_ / bytes))
			  : g_strdup(left);
	g_autofree char *count = g_strdup_printf(
		"%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(k, "count")));
	g_autofree char *active = g_strdup_printf(
		"%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(k, "active")));

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "Type",
		df_title(json_string_value(json_object_get(k, "kind"))), "TotalCount", count,
		"Active", active, "Size", size, "Reclaimable", share, "Bytes", (json_int_t)bytes,
		"ReclaimableBytes", (json_int_t)free_);
}

static void add_items(json_t *rows, const json_t *k)
{
	const char *kind = json_string_value(json_object_get(k, "kind"));
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(k, "items"), i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *id = json_string_value(json_object_get(one, "id"));
		int64_t bytes = json_integer_value(json_object_get(one, "bytes"));
		g_autofree char *cut = id ? short_id(id) : NULL, *size = units_show_size(bytes);

		json_array_append_new(
			rows, json_pack("{s:s, s:s, s:s, s:s, s:I}", "Type", df_title(kind), "Name",
				      name  ? name
				      : cut ? cut
					    : "",
				      "Active",
				      json_is_true(json_object_get(one, "active")) ? "yes" : "no",
				      "Size", size, "Bytes", (json_int_t)bytes));
	}
}

static int df_run(struct cmd_call *call, struct err *e)
{
	const struct df_args *a = call->args;
	json_t *all = NULL, *rows, *k;
	struct store *s;
	size_t i;
	int r = store_get_existing(call->c, &s, e);

	rows = json_array();
	if (r >= 0)
		r = store_df(call->c, &all, e);
	else if (r == -E_NOTFOUND)
		r = 0;
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	json_array_foreach(all, i, k) {
		if (a->verbose)
			add_items(rows, k);
		else
			json_array_append_new(rows, df_row(k));
	}
	json_decref(all);
	return print_rows(a->verbose ? df_item_columns : df_columns, rows, false, "", a->format, e);
}

static const struct cmd system_df = {
	CMD_FILE,
	.name = "df",
	.run = df_run,
	.opts = df_opts,
	.args_size = sizeof(struct df_args),
	.brief = "what takes how much of the disk; the sum is what du says",
	.synopsis = "[OPTIONS]",
	.flags = CMD_READS_ONLY,
};

/* --- prune --------------------------------------------------------------------------------------------------- */

struct prune_args {
	bool all, force, volumes;
};

static const struct opt prune_opts[] = { OPT_FLAG('a', "all", struct prune_args, all,
						 "named images, too, if no guest has them"),
	OPT_FLAG('f', "force", struct prune_args, force, "do not ask"),
	OPT_FLAG(0, "volumes", struct prune_args, volumes, "anonymous volumes, too"), OPT_END };

static int prune_guests(struct ctx *c, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	int r = guest_list(c, NULL, GUEST_WITH_SPEC, &all, e);

	for (guint i = 0; r >= 0 && i < all->len; i++) {
		struct guest *g = all->pdata[i];

		if (guest_is_up(g))
			continue;
		r = guest_remove(c, g, false, false, e);
		if (r == -E_STATE || r == -E_NOTFOUND) { /* started or removed meanwhile */
			r = 0;
			continue;
		}
		if (r >= 0 && !c->explain)
			printf("%s\n", g->rec->id);
	}
	return r;
}

static int prune_run(struct cmd_call *call, struct err *e)
{
	const struct prune_args *a = call->args;
	struct image_prune_query q = { .all = a->all };
	struct ctx *c = call->c;
	int64_t bytes = 0, more = 0;
	json_t *list = NULL, *one, *v;
	const char *key;
	size_t i;
	int n, r;

	if (!confirm(a->force || c->explain, "This removes all guests that do not run, networks "
					     "that no guest is in, and images "
					     "that no guest has."))
		return 0;
	r = prune_guests(c, e);
	if (r >= 0)
		r = networks_prune(c, NULL, &n, e);
	if (r >= 0 && a->volumes)
		r = volumes_prune(c, false, NULL, &n, e);
	if (r >= 0)
		r = image_prune(c, &q, &list, &bytes, e);
	if (r < 0)
		return r;
	json_array_foreach(list, i, one)
		json_object_foreach(one, key, v)
			if (!c->explain)
				printf("%s: %s\n", key, json_string_value(v));
	json_decref(list);
	if (c->explain)
		return 0;
	r = content_collect(c, &more, e);
	if (r < 0)
		return r;
	g_autofree char *size = units_show_size(bytes + more);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

static const struct cmd system_prune = {
	CMD_FILE,
	.name = "prune",
	.run = prune_run,
	.opts = prune_opts,
	.args_size = sizeof(struct prune_args),
	.brief = "remove all that nothing needs",
	.synopsis = "[OPTIONS]",
};

static const struct cmd *const system_sub[] = { &system_df, &system_prune, NULL };

const struct cmd lodge_system = {
	CMD_FILE,
	.name = "system",
	.brief = "the store as a whole",
	.sub = system_sub,
};

/* --- fsck, boot ------------------------------------------------------------------------------------------------ */

struct fsck_args {
	bool repair;
};

static const struct opt fsck_opts[] = {
	OPT_FLAG(0, "repair", struct fsck_args, repair, "mend what is found"), OPT_END
};

static int fsck_run(struct cmd_call *call, struct err *e)
{
	const struct fsck_args *a = call->args;
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	int r = guest_fsck(call->c, a->repair && !call->c->explain, problems, e);

	for (guint i = 0; i < problems->len; i++)
		printf("%s\n", (const char *)problems->pdata[i]);
	return r < 0 ? r : r > 0;
}

const struct cmd lodge_fsck = {
	CMD_FILE,
	.name = "fsck",
	.run = fsck_run,
	.opts = fsck_opts,
	.args_size = sizeof(struct fsck_args),
	.brief = "check that all that is kept fits together",
	.synopsis = "[OPTIONS]",
	.details = "Prints a line for each problem and ends with 1 if any are left.",
};

static int boot_run(struct cmd_call *call, struct err *e)
{
	int r = guest_boot(call->c, e);

	return MIN(r, 0);
}

const struct cmd lodge_boot = {
	CMD_FILE,
	.name = "boot",
	.run = boot_run,
	.brief = "start the guests whose restart policy asks for it",
	.synopsis = "",
	.details = "Run once after the host has started, by a unit or by hand.",
};
