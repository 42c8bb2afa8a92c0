/* SPDX-License-Identifier: MIT */
/* top, stats, port, events: docker-cli's reference, "container top" and so on. */

#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/tmpl.h"
#include "base/units.h"
#include "dialect/lodge/lodge.h"

/* --- top ------------------------------------------------------------------------------------------------ */

static int top_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autoptr(GArray) columns = g_array_new(TRUE, TRUE, sizeof(struct tab_column));
	json_t *top = NULL, *rows, *title, *process, *v;
	size_t i, k;
	int r;

	r = guest_get(call->c, NULL, call->operands[0], &g, e);
	if (r >= 0)
		r = guest_top(
			call->c, g, call->n_operands > 1 ? call->operands + 1 : NULL, &top, e);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(top, "Titles"), i, title) {
		struct tab_column c = { json_string_value(title), json_string_value(title), false };

		g_array_append_val(columns, c);
	}
	rows = json_array();
	json_array_foreach(json_object_get(top, "Processes"), i, process) {
		json_t *row = json_object();

		json_array_foreach(process, k, v)
			json_object_set(row, g_array_index(columns, struct tab_column, k).field, v);
		json_array_append_new(rows, row);
	}
	r = tab_print(stdout, (struct tab_column *)(void *)columns->data, rows, NULL, e);
	json_decref(rows);
	json_decref(top);
	return r;
}

const struct cmd lodge_top = {
	CMD_FILE,
	.name = "top",
	.run = top_run,
	.brief = "the processes of a guest",
	.synopsis = "GUEST [PS-OPTION...]",
	.examples = "lodge top web -o pid,rss,cmd   # other columns of ps\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY | CMD_STOP_AT_OPERAND,
	.complete = complete_running,
};

/* --- stats ---------------------------------------------------------------------------------------------- */

struct stats_args {
	bool all, no_stream, no_trunc;
	char *format;
};

static const struct opt stats_opts[] = { OPT_FLAG('a', "all", struct stats_args, all,
						 "those that do not run, too"),
	OPT_FLAG(0, "no-stream", struct stats_args, no_stream, "one sample"),
	OPT_FLAG(0, "no-trunc", struct stats_args, no_trunc, "do not cut ids"),
	OPT_STRING(0, "format", struct stats_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_END };

static const struct tab_column stats_columns[] = {
	{ "CONTAINER ID", "ID" },
	{ "NAME", "Name" },
	{ "CPU %", "CPUPerc" },
	{ "MEM USAGE / LIMIT", "MemUsage" },
	{ "MEM %", "MemPerc" },
	{ "NET I/O", "NetIO" },
	{ "BLOCK I/O", "BlockIO" },
	{ "PIDS", "PIDs" },
	{ NULL, NULL },
};

#define SAMPLE_NS 1000000000

struct sample {
	json_t *stats; /* NULL: doesn't run */
	int64_t at;
};

static void sample_clear(void *p)
{
	json_decref(((struct sample *)p)->stats);
}

static int64_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static char *two_sizes(int64_t a, int64_t b)
{
	g_autofree char *x = units_show_size(a), *y = units_show_size(b);

	return g_strdup_printf("%s / %s", x, y);
}

static void put(json_t *row, const char *key, char *text)
{
	json_object_set_new(row, key, json_string(text));
	g_free(text);
}

static int64_t host_memory(void)
{
	return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

static void put_memory(json_t *row, const json_t *s)
{
	int64_t used = MAX(number(s, "memory") - number(s, "memory_cache"), 0);
	int64_t limit = number(s, "memory_limit") ? number(s, "memory_limit") : host_memory();
	g_autofree char *a = units_show_size_binary(used), *b = units_show_size_binary(limit);

	put(row, "MemUsage", g_strdup_printf("%s / %s", a, b));
	put(row, "MemPerc", g_strdup_printf("%.2f%%", limit ? 100.0 * used / limit : 0));
}

static void put_network(json_t *row, const json_t *s)
{
	int64_t rx = 0, tx = 0;
	const char *name;
	json_t *n;

	json_object_foreach(json_object_get((json_t *)s, "networks"), name, n) {
		rx += number(n, "rx_bytes");
		tx += number(n, "tx_bytes");
	}
	put(row, "NetIO", two_sizes(rx, tx));
}

static json_t *stats_row(const struct stats_args *a, const struct guest *g,
	const struct sample *before, const struct sample *now)
{
	json_t *row = json_object();
	double cpu = 0;

	put(row, "ID", a->no_trunc ? g_strdup(g->rec->id) : short_id(g->rec->id));
	put(row, "Container", a->no_trunc ? g_strdup(g->rec->id) : short_id(g->rec->id));
	put(row, "Name", g_strdup(g->rec->name));
	if (!now->stats) {
		static const char *const none[] = { "CPUPerc", "MemUsage", "MemPerc", "NetIO",
			"BlockIO", "PIDs" };

		for (size_t i = 0; i < G_N_ELEMENTS(none); i++)
			put(row, none[i], g_strdup("--"));
		return row;
	}
	if (before && before->stats && now->at > before->at)
		cpu = 100.0 * (number(now->stats, "cpu_ns") - number(before->stats, "cpu_ns")) /
		      (now->at - before->at);
	put(row, "CPUPerc", g_strdup_printf("%.2f%%", MAX(cpu, 0.0)));
	put_memory(row, now->stats);
	put_network(row, now->stats);
	put(row, "BlockIO",
		two_sizes(number(now->stats, "read_bytes"), number(now->stats, "write_bytes")));
	put(row, "PIDs", g_strdup_printf("%" G_GINT64_FORMAT, number(now->stats, "pids")));
	return row;
}

static int collect(struct cmd_call *call, GPtrArray **ret, struct err *e)
{
	const struct stats_args *a = call->args;
	g_autoptr(GPtrArray) all = NULL;
	GPtrArray *out = g_ptr_array_new_with_free_func((GDestroyNotify)guest_free);
	int r = 0;

	for (int i = 0; r >= 0 && i < call->n_operands; i++) {
		struct guest *g = NULL;

		r = guest_get(call->c, NULL, call->operands[i], &g, e);
		if (r >= 0)
			g_ptr_array_add(out, g);
	}
	if (r >= 0 && call->n_operands == 0)
		r = guest_list(call->c, NULL, GUEST_WITH_SPEC, &all, e);
	for (guint i = 0; r >= 0 && all && i < all->len; i++) {
		struct guest *g = g_ptr_array_index(all, i);

		if (a->all || guest_is_up(g)) {
			g_ptr_array_add(out, g);
			all->pdata[i] = NULL;
		}
	}
	if (r < 0)
		g_ptr_array_unref(out);
	else
		*ret = out;
	return r;
}

static void take_samples(struct ctx *c, GPtrArray *guests, GArray *samples)
{
	g_array_set_size(samples, 0);
	for (guint i = 0; i < guests->len; i++) {
		struct sample s = { .at = g_get_monotonic_time() * 1000 };

		if (guest_stats(c, guests->pdata[i], &s.stats, NULL) < 0)
			s.stats = NULL;
		g_array_append_val(samples, s);
	}
}

static int print_samples(
	struct cmd_call *call, GPtrArray *guests, GArray *before, GArray *now, struct err *e)
{
	const struct stats_args *a = call->args;
	json_t *rows = json_array();
	int r;

	for (guint i = 0; i < guests->len; i++)
		json_array_append_new(rows,
			stats_row(a, guests->pdata[i],
				i < before->len ? &g_array_index(before, struct sample, i) : NULL,
				&g_array_index(now, struct sample, i)));
	r = print_rows(stats_columns, rows, false, "ID", a->format, e);
	(void)fflush(stdout);
	return r;
}

static int stats_run(struct cmd_call *call, struct err *e)
{
	const struct stats_args *a = call->args;
	struct timespec second = { .tv_sec = SAMPLE_NS / 1000000000 };
	bool screen = isatty(STDOUT_FILENO) && !a->no_stream;
	int r = 0;

	for (bool more = true; more && r >= 0; more = !a->no_stream) {
		g_autoptr(GPtrArray) guests = NULL;
		g_autoptr(GArray) before = g_array_new(FALSE, TRUE, sizeof(struct sample));
		g_autoptr(GArray) now = g_array_new(FALSE, TRUE, sizeof(struct sample));

		g_array_set_clear_func(before, sample_clear);
		g_array_set_clear_func(now, sample_clear);
		r = collect(call, &guests, e);
		if (r < 0)
			return r;
		take_samples(call->c, guests, before);
		(void)nanosleep(&second, NULL);
		take_samples(call->c, guests, now);
		if (screen)
			printf("\033[2J\033[H");
		r = print_samples(call, guests, before, now, e);
		if (ferror(stdout))
			return err_set(e, -EPIPE, "cannot write to standard output");
	}
	return r;
}

const struct cmd lodge_stats = {
	CMD_FILE,
	.name = "stats",
	.run = stats_run,
	.opts = stats_opts,
	.args_size = sizeof(struct stats_args),
	.brief = "what guests use of the host, each second",
	.synopsis = "[OPTIONS] [GUEST...]",
	.examples = "lodge stats --no-stream   # one sample of all\n",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_running,
};

/* --- port -------------------------------------------------------------------------------------------------- */

struct wanted {
	char *key; /* "80/tcp", NULL: all */
	bool found;
};

static int print_port(const char *guest_port, const char *address, void *data)
{
	struct wanted *w = data;

	if (w->key && !g_str_equal(w->key, guest_port))
		return 0;
	w->found = true;
	if (w->key)
		printf("%s\n", address);
	else
		printf("%s -> %s\n", guest_port, address);
	return 0;
}

static int port_run(struct cmd_call *call, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct wanted w = { 0 };
	g_autofree char *key = NULL;
	int r = guest_get(call->c, NULL, call->operands[0], &g, e);

	if (r < 0)
		return r;
	if (call->n_operands > 1) {
		const char *word = call->operands[1];

		key = strchr(word, '/') ? g_strdup(word) : g_strdup_printf("%s/tcp", word);
		w.key = key;
	}
	(void)each_port(call->c, g, print_port, &w);
	if (key && !w.found)
		return err_set(e, -E_NOTFOUND, "port '%s' of guest '%s' is not published", key,
			g->rec->name);
	return 0;
}

const struct cmd lodge_port = {
	CMD_FILE,
	.name = "port",
	.run = port_run,
	.brief = "where a guest's ports are published",
	.synopsis = "GUEST [PORT[/PROTO]]",
	.min_operands = 1,
	.max_operands = 2,
	.flags = CMD_READS_ONLY,
	.complete = complete_running,
};

/* --- events ------------------------------------------------------------------------------------------------- */

struct events_args {
	char *since, *until, *format;
	char **filter;
};

static const struct opt events_opts[] = { OPT_STRING(0, "since", struct events_args, since, "TIME",
						  complete_none,
						  "begin with what happened then: a time, or 10m"),
	OPT_STRING(0, "until", struct events_args, until, "TIME", complete_none, "end then"),
	OPT_LIST('f', "filter", struct events_args, filter, "KEY=VALUE", complete_none,
		"only those: type, event, container, image, label"),
	OPT_STRING(0, "format", struct events_args, format, "FORMAT", complete_none,
		"json, or a template"),
	OPT_END };

static const char *const event_keys[] = { "container", "event", "image", "label", "type", NULL };

struct show {
	struct filters *f;
	struct tmpl *tmpl;
	bool json;
	struct err *e;
	int r;
};

/* docker's form: Type, Action, Actor.ID, Actor.Attributes, time, timeNano. */
static json_t *event_row(const json_t *ev)
{
	const char *type = json_string_value(json_object_get(ev, "type")) ?: "";
	int64_t t = json_integer_value(json_object_get(ev, "time"));
	json_t *attributes = json_incref(json_object_get(ev, "attributes")) ?: json_object();

	return json_pack("{s:s, s:O, s:O?, s:{s:O, s:o}, s:s, s:I, s:I}", "Type",
		g_str_equal(type, "guest") ? "container" : type, "Action",
		json_object_get(ev, "action"), "ID", json_object_get(ev, "id"), "Actor", "ID",
		json_object_get(ev, "id"), "Attributes", attributes, "scope", "local", "time",
		(json_int_t)(t / 1000000000), "timeNano", (json_int_t)t);
}

static bool event_matches(const struct show *s, const json_t *row)
{
	const json_t *a = json_object_get(json_object_get(row, "Actor"), "Attributes");
	const char *id = json_string_value(json_object_get(row, "ID")) ?: "";
	const char *name = json_string_value(json_object_get(a, "name"));
	char *const *v = filters_get(s->f, "container");
	bool is = !v;

	for (; v && *v; v++)
		is |= (**v && g_str_has_prefix(id, *v)) || (name && g_str_equal(name, *v));
	return is && filters_match(s->f, "type", json_string_value(json_object_get(row, "Type"))) &&
	       filters_match(s->f, "event", json_string_value(json_object_get(row, "Action"))) &&
	       filters_match(s->f, "image", json_string_value(json_object_get(a, "image"))) &&
	       filters_match_labels(s->f, "label", a);
}

static void print_event(const json_t *row)
{
	const json_t *a = json_object_get(json_object_get(row, "Actor"), "Attributes");
	g_autofree char *t = units_show_time(json_integer_value(json_object_get(row, "timeNano")));
	g_autofree char *attributes = NULL;
	GString *s = g_string_new(NULL);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)a, key, v) {
		if (json_is_integer(v))
			g_string_append_printf(s, "%s%s=%" JSON_INTEGER_FORMAT, s->len ? ", " : "",
				key, json_integer_value(v));
		else
			g_string_append_printf(
				s, "%s%s=%s", s->len ? ", " : "", key, json_string_value(v) ?: "");
	}
	attributes = g_string_free(s, FALSE);
	printf("%s %s %s %s (%s)\n", t, json_string_value(json_object_get(row, "Type")),
		json_string_value(json_object_get(row, "Action")) ?: "",
		json_string_value(json_object_get(row, "ID")) ?: "", attributes);
}

static int show_event(const json_t *ev, void *data)
{
	struct show *s = data;
	json_t *row = event_row(ev);

	if (row && event_matches(s, row)) {
		if (s->json) {
			(void)json_dumpf(row, stdout, JSON_COMPACT);
			(void)putchar('\n');
		} else if (s->tmpl) {
			g_autoptr(GString) out = g_string_new(NULL);

			s->r = tmpl_run(s->tmpl, row, TMPL_MISSING_NOVALUE, out, s->e);
			if (s->r >= 0)
				printf("%s\n", out->str);
		} else {
			print_event(row);
		}
		(void)fflush(stdout);
	}
	json_decref(row);
	return s->r < 0 || ferror(stdout);
}

static int events_run(struct cmd_call *call, struct err *e)
{
	const struct events_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	struct show s = { .e = e };
	int64_t now = g_get_real_time() * 1000, since = now, until = 0;
	int r = 0;

	if (a->since && units_parse_moment(a->since, now, &since) < 0)
		return err_set(
			e, -E_INVALID, "invalid value for --since: '%s' is not a time", a->since);
	if (a->until && units_parse_moment(a->until, now, &until) < 0)
		return err_set(
			e, -E_INVALID, "invalid value for --until: '%s' is not a time", a->until);
	r = filters_parse(a->filter, event_keys, &f, e);
	if (r < 0)
		return r;
	s.f = f;
	s.json = a->format && g_str_equal(a->format, "json");
	if (a->format && *a->format && !s.json) {
		r = tmpl_parse(a->format, &s.tmpl, e);
		if (r < 0)
			return r;
	}
	/* with an end that has passed there is nothing to wait for; without --since only what comes counts */
	r = event_read(call->c, since, until, !until || until > now, show_event, &s, e);
	tmpl_free(s.tmpl);
	return s.r < 0 ? s.r : r;
}

const struct cmd lodge_events = {
	CMD_FILE,
	.name = "events",
	.run = events_run,
	.opts = events_opts,
	.args_size = sizeof(struct events_args),
	.brief = "what happens to guests, as it happens",
	.synopsis = "[OPTIONS]",
	.examples = "lodge events --since 1h --until 0s   # the last hour\n",
	.flags = CMD_READS_ONLY,
};
