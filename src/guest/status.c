/* SPDX-License-Identifier: MIT */
/* The status file of a guest: monitor/proto.h says what is in it. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/units.h"
#include "guest/guest-priv.h"

static const char *const state_names[] = { "created", "starting", "running", "paused", "restarting",
	"exited", "dead" };
_Static_assert(ELEMENTSOF(state_names) == _GUEST_STATE_MAX, "a name for each state");

const char *guest_state_name(enum guest_state s)
{
	return (unsigned)s < _GUEST_STATE_MAX ? state_names[s] : "unknown";
}

void guest_status_clear(struct guest_status *s)
{
	g_clear_pointer(&s->error, g_free);
}

static int parse_process(const char *value, pid_t *pid, uint64_t *start)
{
	g_auto(GStrv) w = g_strsplit(value, " ", 3);
	int64_t p, t = 0;

	if (!w[0] || units_parse_int(w[0], 0, INT32_MAX, &p) < 0)
		return -E_CORRUPT;
	if (w[1] && units_parse_int(w[1], 0, INT64_MAX, &t) < 0)
		return -E_CORRUPT;
	*pid = p;
	*start = t;
	return 0;
}

static int parse_state(const char *value, enum guest_state *ret)
{
	for (size_t i = 0; i < ELEMENTSOF(state_names); i++)
		if (g_str_equal(value, state_names[i])) {
			*ret = i;
			return 0;
		}
	return -E_CORRUPT;
}

static int parse_line(const char *key, const char *value, struct guest_status *s)
{
	int64_t v = 0;
	int r;

	if (g_str_equal(key, "state"))
		return parse_state(value, &s->state);
	if (g_str_equal(key, "monitor"))
		return parse_process(value, &s->monitor, &s->monitor_start);
	if (g_str_equal(key, "pid"))
		return parse_process(value, &s->pid, &s->pid_start);
	if (g_str_equal(key, "error")) {
		g_free(s->error);
		s->error = g_strdup(value);
		return 0;
	}
	static const char *const numbers[] = { "started", "finished", "exit", "oom", "restarts",
		NULL };
	if (!g_strv_contains(numbers, key))
		return 0;
	r = units_parse_int(value, 0, INT64_MAX, &v);
	if (r < 0)
		return -E_CORRUPT;
	if (g_str_equal(key, "started"))
		s->started = v;
	else if (g_str_equal(key, "finished"))
		s->finished = v;
	else if (g_str_equal(key, "exit"))
		s->exit_code = v & 0xff;
	else if (g_str_equal(key, "oom"))
		s->oom = v != 0;
	else
		s->restarts = MIN(v, INT32_MAX);
	return 0;
}

int guest_status_parse(const char *text, size_t size, struct guest_status *ret)
{
	_cleanup_(guest_status_clear) struct guest_status s = { .state = _GUEST_STATE_MAX };
	const char *p = text, *end = text + size;

	if (size > GUEST_STATUS_MAX || memchr(text, 0, size))
		return -E_CORRUPT;
	while (p < end) {
		const char *nl = memchr(p, '\n', end - p);

		if (!nl)
			return -E_CORRUPT;
		g_autofree char *line = g_strndup(p, nl - p);
		char *blank = strchr(line, ' ');
		p = nl + 1;
		if (!blank)
			continue;
		*blank = '\0';
		if (parse_line(line, blank + 1, &s) < 0)
			return -E_CORRUPT;
	}
	if (s.state == _GUEST_STATE_MAX)
		return -E_CORRUPT;
	*ret = s;
	s.error = NULL;
	return 0;
}

char *guest_status_show(const struct guest_status *s)
{
	GString *t = g_string_new(NULL);

	g_string_append_printf(t, "state %s\n", guest_state_name(s->state));
	if (s->monitor)
		g_string_append_printf(
			t, "monitor %d %" G_GUINT64_FORMAT "\n", s->monitor, s->monitor_start);
	if (s->pid)
		g_string_append_printf(t, "pid %d %" G_GUINT64_FORMAT "\n", s->pid, s->pid_start);
	g_string_append_printf(t,
		"started %" G_GINT64_FORMAT "\nfinished %" G_GINT64_FORMAT "\nexit %d\n",
		s->started, s->finished, s->exit_code);
	g_string_append_printf(t, "oom %d\nrestarts %d\n", s->oom, s->restarts);
	if (s->error) {
		g_autofree char *one = g_strdup(s->error);

		g_string_append_printf(t, "error %s\n", g_strdelimit(one, "\n", ' '));
	}
	return g_string_free(t, FALSE);
}

/* Reads a small file into buf; the size, or a negative errno. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return RET_NERRNO(read(fd, buf, size));
}

bool process_is(pid_t pid, uint64_t start)
{
	char path[32], buf[1024], *p;
	ssize_t n;

	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	n = read_small(path, buf, sizeof(buf) - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	p = strrchr(buf, ')'); /* the name may hold anything */
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return false;
	if (start == 0)
		return true;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && strtoull(p + 1, NULL, 10) == start;
}

int guest_status_read(const char *path, struct guest_status *ret)
{
	char buf[GUEST_STATUS_MAX];
	ssize_t n = read_small(path, buf, sizeof(buf));

	return n < 0 ? (int)n : guest_status_parse(buf, n, ret);
}

static void take_status(struct guest *g, struct guest_status *s)
{
	g->state = s->state;
	g->pid = s->pid;
	g->monitor = s->monitor;
	g->oom = s->oom;
	g->exit_code = s->exit_code;
	g->restarts = s->restarts;
	g->started = s->started;
	g->finished = s->finished;
	g_free(g->error);
	g->error = g_steal_pointer(&s->error);
}

/* A guest that says it runs: is that so? */
static void check_alive(struct ctx *c, struct guest *g, const struct guest_status *s)
{
	g_autofree char *paused = NULL;

	g->unmonitored = false;
	if (!guest_is_up(g))
		goto down;
	/* an engine without processes names no monitor: what it says is so */
	if (s->monitor && !process_is(s->monitor, s->monitor_start)) {
		g->unmonitored = true;
		g->monitor = 0;
		if (!process_is(s->pid, s->pid_start)) {
			g->state = GUEST_EXITED;
			g->exit_code = 255;
			goto down;
		}
		g->state = GUEST_RUNNING;
	}
	paused = store_run_path(c, "guests/%s/paused", g->rec->id);
	if (g->state == GUEST_RUNNING && access(paused, F_OK) == 0)
		g->state = GUEST_PAUSED;
	return;
down:
	g->pid = 0;
	g->monitor = 0;
}

void guest_refresh(struct ctx *c, struct guest *g)
{
	_cleanup_(guest_status_clear) struct guest_status s = { 0 };
	g_autofree char *run = store_run_path(c, "guests/%s/status", g->rec->id);
	g_autofree char *kept = NULL, *plan = NULL;

	if (guest_status_read(run, &s) >= 0) {
		take_status(g, &s);
		check_alive(c, g, &s);
		return;
	}
	kept = store_path(c, "guests/%s/status", g->rec->id);
	if (guest_status_read(kept, &s) >= 0) {
		take_status(g, &s);
		if (guest_is_up(g)) { /* written before the machine went down */
			g->state = GUEST_EXITED;
			g->exit_code = 255;
		}
		g->pid = g->monitor = 0;
		return;
	}
	/* A stored plan without a status: it ran when the machine went down. */
	plan = store_path(c, "guests/%s/plan", g->rec->id);
	g->state = access(plan, F_OK) == 0 ? GUEST_EXITED : GUEST_CREATED;
	g->exit_code = g->state == GUEST_EXITED ? 255 : 0;
}
