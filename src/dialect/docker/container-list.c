/* SPDX-License-Identifier: MIT */
/* The list of containers, and prune. docker-engine's swagger, ContainerList, ContainerPrune. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/container.h"
#include "dialect/parse/parse.h"
#include "image/image.h"

static const char *const list_filters[] = { "ancestor", "before", "expose", "exited", "health",
	"id", "is-task", "isolation", "label", "name", "network", "publish", "since", "status",
	"volume", NULL };
static const char *const prune_filters[] = { "until", "label", "label!", NULL };

struct list {
	struct call *call;
	struct ctx *c;
	json_t *filters;
	int64_t before, since; /* creation times; 0: no limit */
	char **ancestors;      /* image ids */
	int64_t now;
};

/* --- filters ------------------------------------------------------------------------------------------------- */

static bool has_label(const json_t *labels, const char *word)
{
	const char *eq = strchr(word, '=');
	g_autofree char *key = eq ? g_strndup(word, (gsize)(eq - word)) : g_strdup(word);
	const char *value = json_string_value(json_object_get(labels, key));

	return value && (!eq || g_str_equal(value, eq + 1));
}

static bool match_labels(const json_t *filters, const char *name, const json_t *labels, bool want)
{
	json_t *list = json_object_get(filters, name), *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (has_label(labels, json_string_value(item)) != want)
			return false;
	return true;
}

/* By regular expression, as docker matches names; by prefix for ids. */
static bool match_text(const json_t *filters, const char *name, const char *value, bool prefix)
{
	json_t *list = json_object_get(filters, name), *item;
	size_t i;

	if (!list)
		return true;
	json_array_foreach(list, i, item) {
		const char *want = json_string_value(item);

		if (prefix ? g_str_has_prefix(value, want)
			   : strstr(value, want) ||
					(strlen(want) < 256 &&
						g_regex_match_simple(want, value, 0, 0)))
			return true;
	}
	return false;
}

static bool match_exited(const json_t *filters, const struct guest *g)
{
	g_autofree char *code = g_strdup_printf("%d", g->exit_code);

	return !json_object_get(filters, "exited") ||
	       (g->state == GUEST_EXITED && api_filter_has(filters, "exited", code));
}

static bool match_networks(const json_t *filters, const struct guest *g)
{
	bool found = !json_object_get(filters, "network");

	for (guint i = 0; !found && i < g->spec->networks->len; i++)
		found = api_filter_has(filters, "network",
			((struct spec_attach *)g->spec->networks->pdata[i])->network);
	return found;
}

static bool match_volumes(const json_t *filters, const struct guest *g)
{
	bool found = !json_object_get(filters, "volume");

	for (guint i = 0; !found && i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];

		found = api_filter_has(filters, "volume", m->target) ||
			(m->source && api_filter_has(filters, "volume", m->source));
	}
	return found;
}

/* Of "80/tcp". */
static unsigned port_of(const char *key)
{
	return (unsigned)g_ascii_strtoull(key, NULL, 10);
}

/* "80", "80/tcp", "80-90/tcp" against what is published, or exposed. */
static bool match_ports(
	const json_t *filters, const char *name, const struct guest *g, const json_t *doc)
{
	json_t *list = json_object_get(filters, name), *item, *v;
	const char *key;
	size_t i;

	if (!list)
		return true;
	json_array_foreach(list, i, item) {
		g_autofree char *proto = NULL;
		uint16_t first, count;
		unsigned last;

		if (parse_expose(json_string_value(item), &proto, &first, &count, NULL) < 0)
			continue;
		last = first + count - 1U;
		for (guint k = 0; g_str_equal(name, "publish") && k < g->spec->ports->len; k++) {
			const struct spec_port *p = g->spec->ports->pdata[k];

			if (g_str_equal(p->proto, proto) && p->host <= last &&
				p->host + p->count > first)
				return true;
			if (g_str_equal(p->proto, proto) && p->guest <= last &&
				p->guest + p->count > first)
				return true;
		}
		json_object_foreach(json_object_get(doc, "exposed"), key, v)
			if (g_str_equal(name, "expose") && g_str_has_suffix(key, proto) &&
				port_of(key) >= first && port_of(key) <= last)
				return true;
	}
	return false;
}

static bool match(const struct list *l, const struct guest *g, const json_t *doc)
{
	const json_t *f = l->filters;
	g_autofree char *slashed = g_strconcat("/", g->rec->name, NULL);

	if (l->before && g->rec->created >= l->before)
		return false;
	if (l->since && g->rec->created <= l->since)
		return false;
	if (l->ancestors && (!g->rec->image || !g_strv_contains((const char *const *)l->ancestors,
						       g->rec->image)))
		return false;
	return match_text(f, "id", g->rec->id, true) &&
	       (match_text(f, "name", g->rec->name, false) ||
		       match_text(f, "name", slashed, false)) &&
	       api_filter_has(f, "status", container_status(g)) && match_exited(f, g) &&
	       match_labels(f, "label", json_object_get(doc, "labels"), true) &&
	       match_networks(f, g) && match_volumes(f, g) && match_ports(f, "publish", g, doc) &&
	       match_ports(f, "expose", g, doc) && api_filter_has(f, "health", "none") &&
	       api_filter_has(f, "is-task", "false");
}

static bool moment_of(struct list *l, const char *name, int64_t *ret)
{
	json_t *one = json_array_get(json_object_get(l->filters, name), 0);
	struct guest *g = NULL;
	struct err e = { 0 };
	int r;

	if (!one)
		return true;
	r = guest_get(l->c, DOCKER_REALM, json_string_value(one), &g, &e);
	if (r < 0)
		container_failed(l->call, json_string_value(one), r, &e);
	else
		*ret = g->rec->created;
	guest_free(g);
	return r >= 0;
}

static void find_ancestors(struct list *l)
{
	json_t *list = json_object_get(l->filters, "ancestor"), *item;
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	size_t i;

	if (!list)
		return;
	json_array_foreach(list, i, item) {
		struct image_record *image = NULL;

		if (image_resolve(l->c, json_string_value(item), &image, NULL) >= 0)
			g_ptr_array_add(ids, g_strdup(image->id));
		image_record_free(image);
	}
	g_ptr_array_add(ids, NULL);
	l->ancestors = (char **)g_ptr_array_free(g_steal_pointer(&ids), FALSE);
}

/* --- one container ----------------------------------------------------------------------------------------------- */

static char *command_of(const struct guest *g)
{
	return g->spec->argv ? g_strjoinv(" ", g->spec->argv) : g_strdup("");
}

static json_t *ports_of(const struct list *l, const struct guest *g, const json_t *doc)
{
	json_t *net = guest_is_up(g) ? guest_net(l->c, g) : NULL, *a = json_array(), *p, *v;
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(net, "ports"), i, p) {
		const char *address = json_string_value(json_object_get(p, "host_addr")),
			   *proto = json_string_value(json_object_get(p, "proto")) ?: "tcp";
		json_int_t n = MAX(json_integer_value(json_object_get(p, "count")), 1);

		for (json_int_t k = 0; k < n; k++)
			for (int six = 0; six < (address ? 1 : 2); six++) {
				json_int_t guest =
					json_integer_value(json_object_get(p, "guest")) + k;

				g_hash_table_add(
					seen, g_strdup_printf("%lld/%s", (long long)guest, proto));
				json_array_append_new(a,
					json_pack("{s:s, s:I, s:I, s:s}", "IP",
						address
							?: six ? "::"
							       : "0.0.0.0",
						"PrivatePort", guest, "PublicPort",
						json_integer_value(json_object_get(p, "host")) + k,
						"Type", proto));
			}
	}
	json_object_foreach(json_object_get(doc, "exposed"), key, v)
		if (guest_is_up(g) && !g_hash_table_contains(seen, key))
			json_array_append_new(
				a, json_pack("{s:i, s:s}", "PrivatePort", (int)port_of(key), "Type",
					   strchr(key, '/') ? strchr(key, '/') + 1 : "tcp"));
	json_decref(net);
	return a;
}

/* "Up 5 minutes (Paused)", as docker words it. */
static char *status_text(const struct list *l, const struct guest *g)
{
	g_autofree char *up = units_show_duration(MAX(l->now - (g->started ?: l->now), 0)),
			*down = units_show_duration(MAX(l->now - (g->finished ?: l->now), 0));

	switch (g->state) {
	case GUEST_RUNNING:
		return g_strdup_printf("Up %s", up);
	case GUEST_PAUSED:
		return g_strdup_printf("Up %s (Paused)", up);
	case GUEST_RESTARTING:
		return g_strdup_printf("Restarting (%d) %s ago", g->exit_code, down);
	case GUEST_EXITED:
		return g_strdup_printf("Exited (%d) %s ago", g->exit_code, down);
	case GUEST_DEAD:
		return g_strdup("Dead");
	default:
		return g_strdup("Created");
	}
}

static json_t *row_of(const struct list *l, const struct guest *g, const json_t *doc, bool size)
{
	g_autofree char *command = command_of(g), *status = status_text(l, g),
			*name = g_strconcat("/", g->rec->name, NULL);
	g_autofree char *valid = g_utf8_make_valid(command, -1);
	const char *mode = json_string_value(
		json_object_get(json_object_get(doc, "HostConfig"), "NetworkMode"));
	json_t *o;

	o = json_pack("{s:s, s:[s], s:s, s:s, s:s, s:I, s:o, s:O, s:s, s:s, s:{s:s}, s:{s:o}, s:o}",
		"Id", g->rec->id, "Names", name, "Image", g->rec->image_name ?: "", "ImageID",
		g->rec->image ?: "", "Command", valid, "Created",
		(json_int_t)(g->rec->created / 1000000000), "Ports", ports_of(l, g, doc), "Labels",
		json_object_get(doc, "labels") ?: json_object(), "State", container_status(g),
		"Status", status, "HostConfig", "NetworkMode", mode && *mode ? mode : "bridge",
		"NetworkSettings", "Networks", container_networks(l->c, g), "Mounts",
		container_mounts(l->c, g));
	if (size) {
		int64_t rw, root;

		container_sizes(l->c, g, &rw, &root);
		json_object_set_new(o, "SizeRw", json_integer(rw));
		json_object_set_new(o, "SizeRootFs", json_integer(root));
	}
	return o;
}

static json_t *rows_of(struct list *l, const GPtrArray *all, bool stopped, int64_t limit, bool size)
{
	json_t *rows = json_array();

	for (guint i = 0; i < all->len && (int64_t)json_array_size(rows) < limit; i++) {
		const struct guest *g = all->pdata[i];
		json_t *doc;

		if (!stopped && !guest_is_up(g))
			continue;
		doc = container_doc(g);
		if (match(l, g, doc))
			json_array_append_new(rows, row_of(l, g, doc, size));
		json_decref(doc);
	}
	return rows;
}

void container_list(struct call *c)
{
	struct list l = { .call = c, .c = api_ctx(c), .now = g_get_real_time() * 1000 };
	g_autoptr(GPtrArray) all = NULL;
	struct err e = { 0 };
	int64_t limit;
	bool stopped;
	int r;

	if (api_number(c, "limit", 0, &limit) < 0 || api_filters(c, list_filters, &l.filters) < 0)
		return;
	stopped = api_flag(c, "all", false) || limit > 0 || json_object_get(l.filters, "status") ||
		  json_object_get(l.filters, "exited");
	find_ancestors(&l);
	if (moment_of(&l, "before", &l.before) && moment_of(&l, "since", &l.since)) {
		r = guest_list(l.c, DOCKER_REALM, GUEST_WITH_SPEC, &all, &e);
		if (r == -E_NOTFOUND)
			api_json(c, 200, json_array());
		else if (r < 0)
			api_failed(c, r, &e);
		else
			api_json(c, 200,
				rows_of(&l, all, stopped, limit > 0 ? limit : INT64_MAX,
					api_flag(c, "size", false)));
	}
	g_strfreev(l.ancestors);
	json_decref(l.filters);
}

/* --- prune --------------------------------------------------------------------------------------------------------- */

void container_prune(struct call *c)
{
	struct ctx *x = api_ctx(c);
	g_autoptr(GPtrArray) all = NULL;
	json_t *filters, *deleted, *word;
	int64_t until = 0, bytes = 0;
	struct err e = { 0 };
	int r;

	if (api_filters(c, prune_filters, &filters) < 0)
		return;
	word = json_array_get(json_object_get(filters, "until"), 0);
	if (word &&
		units_parse_moment(json_string_value(word), g_get_real_time() * 1000, &until) < 0) {
		api_error(c, 400, "invalid filter 'until=%s'", json_string_value(word));
		json_decref(filters);
		return;
	}
	r = guest_list(x, DOCKER_REALM, GUEST_WITH_SPEC, &all, &e);
	deleted = json_array();
	for (guint i = 0; r >= 0 && i < all->len; i++) {
		struct guest *g = all->pdata[i];
		json_t *doc = container_doc(g), *labels = json_object_get(doc, "labels");
		int64_t rw, root;

		if (!guest_is_up(g) && (!until || g->rec->created < until) &&
			match_labels(filters, "label", labels, true) &&
			match_labels(filters, "label!", labels, false)) {
			container_sizes(x, g, &rw, &root);
			if (guest_remove(x, g, false, false, NULL) >= 0) {
				json_array_append_new(deleted, json_string(g->rec->id));
				bytes += rw;
			}
		}
		json_decref(doc);
	}
	json_decref(filters);
	if (r < 0 && r != -E_NOTFOUND) {
		json_decref(deleted);
		api_failed(c, r, &e);
		return;
	}
	api_json(c, 200,
		json_pack("{s:o, s:I}", "ContainersDeleted",
			json_array_size(deleted) ? deleted : (json_decref(deleted), json_null()),
			"SpaceReclaimed", (json_int_t)bytes));
}
