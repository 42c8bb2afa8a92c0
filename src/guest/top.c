/* SPDX-License-Identifier: MIT */
/* Processes and figures of a running guest. */

#include <string.h>
#include "base/units.h"
#include "guest/guest-priv.h"
#include "guest/service.h"

int guest_stats(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	int r;

	r = guest_must_run(g, e);
	if (r >= 0)
		r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	if (!a.ops->stats)
		return err_set(e, -E_UNSUPPORTED, "engine '%s' has no figures", a.ops->name);
	return a.ops->stats(c, &a.s, ret, 0, e);
}

static int run_ps(char *const *options, char **ret, struct err *e)
{
	static char *const usual[] = { (char *)"-ef", NULL };
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *errors = NULL;
	g_autoptr(GError) ge = NULL;
	int status;

	g_ptr_array_add(argv, (char *)"ps");
	for (char *const *o = options && *options ? options : usual; *o; o++)
		g_ptr_array_add(argv, *o);
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, ret,
		    &errors, &status, &ge)) {
		int r = err_set(e, -E_UNSUPPORTED, "cannot run ps: %s", ge->message);

		err_mend(e, "install procps");
		return r;
	}
	if (!g_spawn_check_wait_status(status, NULL))
		return err_set(e, -E_INVALID, "ps failed: %s", g_strstrip(errors));
	return 0;
}

static char **split_fields(char *line, unsigned max)
{
	GPtrArray *out = g_ptr_array_new();
	char *p = line;

	for (;;) {
		p += strspn(p, " \t");
		if (!*p)
			break;
		if (max && out->len == max - 1) { /* the last takes the rest of the line */
			g_ptr_array_add(out, g_strchomp(g_strdup(p)));
			break;
		}
		size_t n = strcspn(p, " \t");
		g_ptr_array_add(out, g_strndup(p, n));
		p += n;
	}
	g_ptr_array_add(out, NULL);
	return (char **)g_ptr_array_free(out, FALSE);
}

static json_t *strings(char *const *v)
{
	json_t *a = json_array();

	for (; *v; v++)
		json_array_append_new(a, json_string(*v) ?: json_string("?"));
	return a;
}

static bool is_ours(const char *text, const pid_t *pids, size_t n)
{
	int64_t pid;

	if (units_parse_int(text, 1, INT32_MAX, &pid) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int filter_ps(char *text, const pid_t *pids, size_t n, json_t **ret, struct err *e)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_auto(GStrv) titles = NULL;
	json_t *rows = json_array();
	unsigned columns, at;

	titles = split_fields(lines[0] ?: (char *)"", 0);
	columns = g_strv_length(titles);
	for (at = 0; at < columns && !g_str_equal(titles[at], "PID"); at++)
		;
	if (at == columns) {
		json_decref(rows);
		return err_set(e, -E_INVALID, "the output of ps has no column PID");
	}
	for (char **l = lines + 1; *l; l++) {
		g_auto(GStrv) f = split_fields(*l, columns);

		if (g_strv_length(f) > at && is_ours(f[at], pids, n))
			json_array_append_new(rows, strings(f));
	}
	*ret = json_pack("{s:o, s:o}", "Titles", strings(titles), "Processes", rows);
	return 0;
}

int guest_top(struct ctx *c, struct guest *g, char *const *ps, json_t **ret, struct err *e)
{
	_cleanup_(engine_at_clear) struct engine_at a = { 0 };
	_cleanup_free_ pid_t *pids = NULL;
	g_autofree char *text = NULL;
	size_t n;
	int r;

	r = guest_must_run(g, e);
	if (r >= 0)
		r = machine_has_services(g, e);
	if (r > 0)
		return machine_top(c, g, ps, ret, e);
	if (r >= 0)
		r = engine_at_init(c, g, &a, e);
	if (r < 0)
		return r;
	if (!a.ops->pids)
		return err_set(e, -E_UNSUPPORTED, "engine '%s' has no processes", a.ops->name);
	r = a.ops->pids(c, &a.s, &pids, &n, 0, e);
	if (r >= 0)
		r = run_ps(ps, &text, e);
	return r < 0 ? r : filter_ps(text, pids, n, ret, e);
}
