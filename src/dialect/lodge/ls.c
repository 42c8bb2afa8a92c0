/* SPDX-License-Identifier: MIT */
/* ls, also as ps: docker-cli's reference, "container ls". */

#include <string.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"

#define COMMAND_WIDTH 20

struct ls_args {
	bool all, quiet, latest, no_trunc;
	int64_t last;
	char **filter;
	char *format;
};

/* clang-format off */
static const struct opt ls_opts[] = {
	OPT_FLAG('a', "all", struct ls_args, all, "those that do not run, too"),
	OPT_LIST('f', "filter", struct ls_args, filter, "KEY=VALUE", complete_none, "only those: name, id, label, status, ..."),
	OPT_STRING(0, "format", struct ls_args, format, "FORMAT", complete_none, "table, json, or a template"),
	OPT_INT('n', "last", struct ls_args, last, "N", "the N newest, running or not"),
	OPT_FLAG('l', "latest", struct ls_args, latest, "the newest, running or not"),
	OPT_FLAG(0, "no-trunc", struct ls_args, no_trunc, "do not cut ids and commands"),
	OPT_FLAG('q', "quiet", struct ls_args, quiet, "only ids"),
	OPT_END
};
/* clang-format on */

static const char *const filter_keys[] = { "ancestor", "before", "exited", "expose", "id", "label",
	"name", "network", "publish", "realm", "since", "status", "volume", NULL };

static const struct tab_column columns[] = {
	{ "CONTAINER ID", "ID" },
	{ "IMAGE", "Image" },
	{ "COMMAND", "Command" },
	{ "CREATED", "RunningFor" },
	{ "STATUS", "Status" },
	{ "PORTS", "Ports" },
	{ "NAMES", "Names" },
	{ NULL, NULL },
};

struct ls {
	struct ctx *c;
	const struct ls_args *a;
	struct filters *f;
	int64_t now, before, since; /* moments of creation; 0: no limit */
	char **ancestors;	    /* ids of images */
};

/* --- filters ------------------------------------------------------------------------------------------------ */

static int guest_moment(struct ls *l, const char *key, int64_t *ret, struct err *e)
{
	char *const *v = filters_get(l->f, key);
	_cleanup_(guest_freep) struct guest *g = NULL;
	int r;

	*ret = 0;
	if (!v)
		return 0;
	r = guest_get(l->c, NULL, v[0], &g, e);
	if (r >= 0)
		*ret = g->rec->created;
	return r;
}

static int find_ancestors(struct ls *l, struct err *e)
{
	GPtrArray *ids;
	struct store *s;
	int r;

	if (!filters_have(l->f, "ancestor"))
		return 0;
	r = store_get_existing(l->c, &s, e);
	if (r < 0)
		return r == -E_NOTFOUND ? 0 : r;
	ids = g_ptr_array_new();
	for (char *const *v = filters_get(l->f, "ancestor"); *v; v++) {
		_cleanup_(image_record_freep) struct image_record *i = NULL;
		g_autofree char *full = g_strdup_printf(
			"docker.io/library/%s%s", *v, strchr(*v, ':') ? "" : ":latest");

		if (store_image_find(s, *v, &i, NULL) >= 0 ||
			store_image_find(s, full, &i, NULL) >= 0)
			g_ptr_array_add(ids, g_strdup(i->id));
	}
	g_ptr_array_add(ids, NULL);
	l->ancestors = (char **)g_ptr_array_free(ids, FALSE);
	return 0;
}

static bool match_ancestor(const struct ls *l, const struct guest *g)
{
	if (!filters_have(l->f, "ancestor"))
		return true;
	return filters_match(l->f, "ancestor", g->rec->image_name) ||
	       (g->rec->image && l->ancestors &&
		       g_strv_contains((const char *const *)l->ancestors, g->rec->image));
}

static bool match_mount(const struct ls *l, const struct guest *g)
{
	if (!filters_have(l->f, "volume"))
		return true;
	for (guint i = 0; i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];

		if (filters_match(l->f, "volume", m->source) ||
			filters_match(l->f, "volume", m->target))
			return true;
	}
	return false;
}

static bool match_network(const struct ls *l, const struct guest *g)
{
	if (!filters_have(l->f, "network"))
		return true;
	for (guint i = 0; i < g->spec->networks->len; i++) {
		const struct spec_attach *a = g->spec->networks->pdata[i];

		if (filters_match(l->f, "network", a->network))
			return true;
	}
	return g->spec->ns[NS_NET].mode == NS_HOST && filters_match(l->f, "network", "host");
}

static bool match_port(const struct ls *l, const struct guest *g, const json_t *doc)
{
	char *const *v = filters_get(l->f, "publish");
	char *const *x = filters_get(l->f, "expose");
	bool ok = !v;

	for (; v && *v; v++)
		for (guint i = 0; i < g->spec->ports->len; i++) {
			const struct spec_port *p = g->spec->ports->pdata[i];
			gint64 port = g_ascii_strtoll(*v, NULL, 10);
			const char *slash = strchr(*v, '/');

			ok |= port >= p->guest && port < p->guest + p->count &&
			      g_str_equal(p->proto, slash ? slash + 1 : "tcp");
		}
	if (!ok || !x)
		return ok;
	for (; *x; x++) {
		g_autofree char *key =
			strchr(*x, '/') ? g_strdup(*x) : g_strdup_printf("%s/tcp", *x);

		if (json_object_get(json_object_get(doc, "exposed"), key))
			return true;
	}
	return false;
}

static bool match(const struct ls *l, const struct guest *g, const json_t *doc)
{
	char code[16];

	(void)g_snprintf(code, sizeof(code), "%d", g->exit_code);
	if (filters_have(l->f, "exited") &&
		(g->state != GUEST_EXITED || !filters_match(l->f, "exited", code)))
		return false;
	if (filters_have(l->f, "id")) {
		bool any = false;

		for (char *const *v = filters_get(l->f, "id"); *v; v++)
			any |= g_str_has_prefix(g->rec->id, *v);
		if (!any)
			return false;
	}
	if ((l->before && g->rec->created >= l->before) ||
		(l->since && g->rec->created <= l->since))
		return false;
	return filters_match(l->f, "status", guest_state_name(g->state)) &&
	       filters_match(l->f, "realm", g->rec->realm) &&
	       filters_match_text(l->f, "name", g->rec->name) &&
	       filters_match_labels(l->f, "label", json_object_get(doc, "labels")) &&
	       match_ancestor(l, g) && match_mount(l, g) && match_network(l, g) &&
	       match_port(l, g, doc);
}

/* --- rows --------------------------------------------------------------------------------------------------- */

static char *quoted_command(const struct ls *l, const struct guest *g)
{
	g_autofree char *text = guest_command_text(g);

	if (!l->a->no_trunc && g_utf8_validate(text, -1, NULL) &&
		g_utf8_strlen(text, -1) > COMMAND_WIDTH) {
		g_autofree char *cut = g_utf8_substring(text, 0, COMMAND_WIDTH - 1);

		return g_strdup_printf("\"%s\xe2\x80\xa6\"", cut);
	}
	return g_strdup_printf("\"%s\"", text);
}

static char *mounts_text(const struct guest *g)
{
	GString *s = g_string_new(NULL);

	for (guint i = 0; i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];

		if (m->kind != MOUNT_TMPFS)
			g_string_append_printf(s, "%s%s", s->len ? "," : "", m->source);
	}
	return g_string_free(s, FALSE);
}

static char *networks_text(const struct guest *g)
{
	GString *s = g_string_new(NULL);

	for (guint i = 0; i < g->spec->networks->len; i++)
		g_string_append_printf(s, "%s%s", s->len ? "," : "",
			((struct spec_attach *)g->spec->networks->pdata[i])->network);
	if (!s->len)
		g_string_append(s, g->spec->ns[NS_NET].mode == NS_HOST ? "host" : "none");
	return g_string_free(s, FALSE);
}

/* Takes text; what isn't UTF-8 is made so. */
static void put(json_t *row, const char *key, char *text)
{
	json_t *j = json_string(text);

	if (!j) {
		g_autofree char *valid = g_utf8_make_valid(text, -1);

		j = json_string(valid);
	}
	json_object_set_new(row, key, j);
	g_free(text);
}

static json_t *row_of(const struct ls *l, const struct guest *g, const json_t *doc)
{
	json_t *row = json_object();
	int64_t now = l->now;

	put(row, "ID", l->a->no_trunc ? g_strdup(g->rec->id) : short_id(g->rec->id));
	put(row, "Names", g_strdup(g->rec->name));
	if (l->a->quiet && !l->a->format)
		return row;
	put(row, "Image", g_strdup(g->rec->image_name ?: ""));
	put(row, "Command", quoted_command(l, g));
	put(row, "CreatedAt", units_show_time(g->rec->created));
	put(row, "RunningFor", ago(g->rec->created, now));
	put(row, "State", g_strdup(guest_state_name(g->state)));
	put(row, "Status", guest_status_text(g, now));
	put(row, "Ports", guest_ports_text(l->c, g, doc));
	put(row, "Labels", labels_text(json_object_get(doc, "labels")));
	put(row, "Mounts", mounts_text(g));
	put(row, "Networks", networks_text(g));
	put(row, "Realm", g_strdup(g->rec->realm));
	put(row, "Kind", g_strdup(g->rec->kind));
	json_object_set_new(row, "LocalVolumes", json_integer(g->spec->mounts->len));
	return row;
}

static int make_rows(struct ls *l, json_t **ret, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	bool stopped = l->a->all || l->a->last > 0 || l->a->latest ||
		       filters_have(l->f, "status") || filters_have(l->f, "exited");
	size_t max = l->a->latest ? 1 : l->a->last > 0 ? (size_t)l->a->last : SIZE_MAX;
	int r;

	r = guest_list(l->c, NULL, GUEST_WITH_SPEC, &all, e);
	if (r < 0)
		return r;
	*ret = json_array();
	for (guint i = 0; i < all->len && json_array_size(*ret) < max; i++) {
		const struct guest *g = g_ptr_array_index(all, i);
		json_t *doc;

		if (!stopped && !guest_is_up(g))
			continue;
		doc = guest_doc(g);
		if (match(l, g, doc))
			json_array_append_new(*ret, row_of(l, g, doc));
		json_decref(doc);
	}
	return 0;
}

static int ls_run(struct cmd_call *call, struct err *e)
{
	const struct ls_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	struct ls l = { .c = call->c, .a = a, .now = g_get_real_time() * 1000 };
	json_t *rows = NULL;
	int r;

	r = filters_parse(a->filter, filter_keys, &f, e);
	l.f = f;
	if (r >= 0)
		r = guest_moment(&l, "before", &l.before, e);
	if (r >= 0)
		r = guest_moment(&l, "since", &l.since, e);
	if (r >= 0)
		r = find_ancestors(&l, e);
	if (r >= 0)
		r = make_rows(&l, &rows, e);
	if (r >= 0)
		r = print_rows(columns, rows, a->quiet, "ID", a->format, e);
	g_strfreev(l.ancestors);
	return r;
}

const struct cmd lodge_ls = {
	CMD_FILE,
	.name = "ls",
	.run = ls_run,
	.opts = ls_opts,
	.args_size = sizeof(struct ls_args),
	.brief = "list guests",
	.synopsis = "[OPTIONS]",
	.examples = "lodge ls -a   # those that have ended, too\n"
		    "lodge ls --filter label=app=web --format '{{.Names}}'   # names of some\n",
	.flags = CMD_READS_ONLY,
	.aliases = "ps list",
};
