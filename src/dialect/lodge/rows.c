/* SPDX-License-Identifier: MIT */
/* Guests and other things as text: what ls, inspect, port and the rest share. */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/tmpl.h"
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/parse/parse.h"

#define COMMAND_MAX 20 /* characters of a command in a table, as docker has it */

char *short_id(const char *id)
{
	const char *colon = strchr(id, ':');

	return g_strndup(colon ? colon + 1 : id, 12);
}

char *ago(int64_t then, int64_t now)
{
	g_autofree char *s = units_show_duration(MAX(now - then, 0));

	return g_strdup_printf("%s ago", s);
}

char *guest_status_text(const struct guest *g, int64_t now)
{
	g_autofree char *up = units_show_duration(MAX(now - g->started, 0));
	g_autofree char *end = g->finished ? ago(g->finished, now) : g_strdup("some time ago");

	switch (g->state) {
	case GUEST_CREATED:
		return g_strdup("Created");
	case GUEST_STARTING:
		return g_strdup("Starting");
	case GUEST_RUNNING:
		return g_strdup_printf("Up %s%s", up, g->unmonitored ? " (unmonitored)" : "");
	case GUEST_PAUSED:
		return g_strdup_printf("Up %s (Paused)", up);
	case GUEST_RESTARTING:
		return g_strdup_printf("Restarting (%d) %s", g->exit_code, end);
	case GUEST_DEAD:
		return g_strdup("Dead");
	default:
		return g_strdup_printf("Exited (%d) %s", g->exit_code, end);
	}
}

char *guest_command_text(const struct guest *g)
{
	return g->spec->argv ? g_strjoinv(" ", g->spec->argv) : g_strdup("");
}

json_t *guest_doc(const struct guest *g)
{
	json_t *j = json_loads(g->rec->doc, 0, NULL);

	if (json_is_object(j))
		return j;
	json_decref(j);
	return json_object();
}

char *labels_text(const json_t *labels)
{
	GString *s = g_string_new(NULL);
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)labels, key, v)
		g_string_append_printf(
			s, "%s%s=%s", s->len ? "," : "", key, json_string_value(v) ?: "");
	return g_string_free(s, FALSE);
}

/* --- ports ------------------------------------------------------------------------------------------------ */

static int int_of(const json_t *j, const char *key)
{
	return (int)json_integer_value(json_object_get(j, key));
}

static int one_port(const json_t *p, const char *address, port_cb cb, void *data)
{
	bool v6 = strchr(address, ':') != NULL;
	const char *proto = json_string_value(json_object_get(p, "proto")) ?: "tcp";
	int r = 0;

	for (int i = 0; r == 0 && i < int_of(p, "count"); i++) {
		char from[32], to[96];

		(void)g_snprintf(from, sizeof(from), "%d/%s", int_of(p, "guest") + i, proto);
		(void)g_snprintf(
			to, sizeof(to), v6 ? "[%s]:%d" : "%s:%d", address, int_of(p, "host") + i);
		r = cb(from, to, data);
	}
	return r;
}

int each_port(struct ctx *c, const struct guest *g, port_cb cb, void *data)
{
	json_t *net = guest_net(c, g), *ports = json_object_get(net, "ports"), *p;
	size_t i;
	int r = 0;

	json_array_foreach(ports, i, p) {
		const char *address = json_string_value(json_object_get(p, "host_addr"));

		if (r == 0)
			r = one_port(p, address ?: "0.0.0.0", cb, data);
		if (r == 0 && !address)
			r = one_port(p, "::", cb, data);
	}
	json_decref(net);
	return r;
}

static void add_range(GString *s, const json_t *p, const char *address)
{
	bool v6 = strchr(address, ':') != NULL;
	int n = int_of(p, "count"), host = int_of(p, "host"), guest = int_of(p, "guest");

	g_string_append_printf(
		s, "%s%s%s%s:%d", s->len ? ", " : "", v6 ? "[" : "", address, v6 ? "]" : "", host);
	if (n > 1)
		g_string_append_printf(s, "-%d", host + n - 1);
	g_string_append_printf(s, "->%d", guest);
	if (n > 1)
		g_string_append_printf(s, "-%d", guest + n - 1);
	g_string_append_printf(s, "/%s", json_string_value(json_object_get(p, "proto")) ?: "tcp");
}

static bool is_published(const struct guest *g, const char *key)
{
	g_auto(GStrv) w = g_strsplit(key, "/", 2);
	gint64 port = g_ascii_strtoll(w[0], NULL, 10);

	for (guint i = 0; i < g->spec->ports->len; i++) {
		const struct spec_port *p = g->spec->ports->pdata[i];

		if (port >= p->guest && port < p->guest + p->count &&
			g_str_equal(p->proto, w[1] ?: "tcp"))
			return true;
	}
	return false;
}

char *guest_ports_text(struct ctx *c, const struct guest *g, const json_t *doc)
{
	GString *s = g_string_new(NULL);
	json_t *net = NULL, *p, *v;
	const char *key;
	size_t i;

	if (g->state != GUEST_RUNNING && g->state != GUEST_PAUSED)
		return g_string_free(s, FALSE);
	if (g->spec->ports->len)
		net = guest_net(c, g);
	json_array_foreach(json_object_get(net, "ports"), i, p) {
		const char *address = json_string_value(json_object_get(p, "host_addr"));

		add_range(s, p, address ?: "0.0.0.0");
		if (!address)
			add_range(s, p, "::");
	}
	json_object_foreach(json_object_get((json_t *)doc, "exposed"), key, v)
		if (!is_published(g, key))
			g_string_append_printf(s, "%s%s", s->len ? ", " : "", key);
	json_decref(net);
	return g_string_free(s, FALSE);
}

/* --- printing --------------------------------------------------------------------------------------------- */

int print_rows(const struct tab_column *columns, json_t *rows, bool quiet, const char *id_field,
	const char *format, struct err *e)
{
	json_t *row;
	size_t i;
	int r = 0;

	if (quiet && !(format && *format)) {
		json_array_foreach(rows, i, row)
			printf("%s\n", json_string_value(json_object_get(row, id_field)) ?: "");
	} else {
		r = tab_print(stdout, columns, rows, format, e);
		if (r < 0 && r != -E_LIMIT)
			r = r == -E_USAGE ? -E_INVALID : r;
	}
	json_decref(rows);
	return r;
}

static int print_templates(const json_t *all, const char *format, struct err *e)
{
	struct tmpl *t = NULL;
	json_t *one;
	size_t i;
	int r = tmpl_parse(format, &t, e);

	json_array_foreach((json_t *)all, i, one) {
		g_autoptr(GString) out = g_string_new(NULL);

		if (r >= 0)
			r = tmpl_run(t, one, 0, out, e);
		if (r >= 0)
			printf("%s\n", out->str);
	}
	tmpl_free(t);
	return r == -E_USAGE ? -E_INVALID : r;
}

int print_objects(json_t *all, const char *format, struct err *e)
{
	int r = 0;

	if (format && *format && !g_str_equal(format, "json")) {
		r = print_templates(all, format, e);
	} else {
		bool compact = format && *format;

		(void)json_dumpf(all, stdout, compact ? JSON_COMPACT : JSON_INDENT(4));
		(void)putchar('\n');
	}
	json_decref(all);
	return MIN(r, 0);
}

int inspect_operands(struct cmd_call *call, const char *format,
	int (*get)(struct ctx *c, const char *ref, json_t **ret, struct err *e), struct err *e)
{
	json_t *all = json_array();
	int status = 0, r;

	for (int i = 0; i < call->n_operands; i++) {
		struct err one = { 0 };
		json_t *j = NULL;

		r = get(call->c, call->operands[i], &j, &one);
		if (r < 0)
			status = print_failed(&one, r);
		else
			json_array_append_new(all, j);
	}
	r = print_objects(all, format, e);
	return r < 0 ? r : status;
}

bool confirm(bool force, const char *text)
{
	char answer[16] = "";

	if (force)
		return true;
	printf("%s\nAre you sure you want to continue? [y/N] ", text);
	(void)fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}
