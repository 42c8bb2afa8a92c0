/* SPDX-License-Identifier: MIT */
/* Waiting for a container's end, told by the events: it may be gone for good before anybody looks. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/container.h"

#define LOOK_AGAIN INT64_C(5000000000) /* ns */

enum condition {
	NOT_RUNNING,
	NEXT_EXIT,
	REMOVED
};

struct waiting {
	const char *id;
	enum condition until;
	struct ctx *c;
	int code; /* -1: not known yet */
	bool over;
};

/* For event_read(): non-zero when it is over. */
static int look(const json_t *event, void *data)
{
	struct waiting *w = data;
	const json_t *attributes = json_object_get(event, "attributes");
	const char *action = json_string_value(json_object_get(event, "action")),
		   *code = json_string_value(json_object_get(attributes, "exitCode"));
	int64_t n;

	if (!action || g_strcmp0(json_string_value(json_object_get(event, "id")), w->id) != 0)
		return 0;
	if (g_str_equal(action, "die")) {
		w->code = code && units_parse_int(code, 0, 255, &n) >= 0 ? (int)n : 0;
		w->over = w->until != REMOVED;
	} else if (g_str_equal(action, "destroy")) {
		w->over = true;
	}
	return w->over;
}

/* What is known without waiting: true when that is all. */
static bool is_over(struct waiting *w, const struct guest *g)
{
	if (w->until == NOT_RUNNING && !guest_is_up(g)) {
		w->code = g->exit_code;
		return true;
	}
	/* it has ended, and only its removal is waited for */
	if (w->until == REMOVED && g->state == GUEST_EXITED)
		w->code = g->exit_code;
	return false;
}

static void look_itself(struct waiting *w)
{
	_cleanup_(guest_freep) struct guest *g = NULL;

	w->over = guest_get(w->c, DOCKER_REALM, w->id, &g, NULL) < 0 || !guest_is_up(g);
	if (g && w->over)
		w->code = g->exit_code;
}

static bool condition_of(struct call *c, enum condition *ret)
{
	g_autofree char *word = call_query(c, "condition");

	*ret = NOT_RUNNING;
	if (!word || !*word || g_str_equal(word, "not-running"))
		return true;
	if (g_str_equal(word, "next-exit"))
		*ret = NEXT_EXIT;
	else if (g_str_equal(word, "removed"))
		*ret = REMOVED;
	else
		api_error(c, 400, "invalid condition: \"%s\"", word);
	return c->reply.status == 0;
}

void container_wait(struct call *c, struct link *l)
{
	/* from before the look at it, so that nothing falls between */
	int64_t since = g_get_real_time() * 1000;
	_cleanup_(guest_freep) struct guest *g = container_of(c);
	struct waiting w = { .c = api_ctx(c), .code = -1 };
	g_autofree char *text = NULL;
	struct err e = { 0 };
	bool ran;
	int r = 0;

	if (!g || !condition_of(c, &w.until))
		return;
	w.id = g->rec->id;
	link_follow(l);
	/* the head says that it is waited: the client starts the container then */
	reply_header(&c->reply, "Content-Type", "application/json");
	c->reply.status = 200;
	if (link_begin(c, l) < 0)
		return;
	ran = guest_is_up(g);
	w.over = is_over(&w, g);
	/* a signal ends a read; what was seen already is seen again */
	while (!w.over && r >= 0) {
		r = event_read(
			w.c, since, g_get_real_time() * 1000 + LOOK_AGAIN, true, look, &w, &e);
		/* a monitor that was killed tells nothing */
		if (!w.over && ran && w.until != REMOVED)
			look_itself(&w);
	}
	if (r < 0)
		text = g_strdup_printf(
			"{\"StatusCode\":0,\"Error\":{\"Message\":\"cannot wait\"}}\n");
	else
		text = g_strdup_printf("{\"StatusCode\":%d}\n", MAX(w.code, 0));
	(void)link_send(l, text, strlen(text));
}
