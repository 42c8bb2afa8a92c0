/* SPDX-License-Identifier: MIT */
/* Progress as docker tells it: JSON documents, one behind the other. */

#include <string.h>
#include "base/units.h"
#include "dialect/docker/images.h"

#define BAR_WIDTH 50

void stream_put(struct stream *s, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	g_autofree char *line = g_strconcat(text ?: "{}", "\r\n", NULL);

	free(text);
	json_decref(j);
	if (s->gone)
		return;
	if (!s->begun) {
		s->c->reply.status = 200;
		reply_header(&s->c->reply, "Content-Type", "application/json");
		s->gone = link_begin(s->c, s->l) < 0;
		s->begun = true;
	}
	s->gone = s->gone || link_send(s->l, line, strlen(line)) < 0;
}

void stream_failed(struct stream *s, int status, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	if (s->begun)
		stream_put(s, json_pack("{s:{s:s}, s:s}", "errorDetail", "message", valid, "error",
				      valid));
	else
		api_error(s->c, status, "%s", valid);
}

/* docker's JSONProgress.String() for a wide terminal. */
static char *bar(int64_t done, int64_t total)
{
	int n = CLAMP((int)(done * BAR_WIDTH / total), 0, BAR_WIDTH);
	g_autofree char *a = units_show_size(done), *b = units_show_size(total);
	g_autofree char *full = g_strnfill((gsize)n, '=');

	return g_strdup_printf("[%s%s%*s] %8s/%s", full, n < BAR_WIDTH ? ">" : "",
		MAX(BAR_WIDTH - n - 1, 0), "", a, b);
}

void stream_progress(
	struct stream *s, const char *status, const char *id, int64_t done, int64_t total)
{
	json_t *j = json_pack("{s:s, s:{}}", "status", status, "progressDetail");

	if (total > 0) {
		g_autofree char *shown = bar(done, total);

		json_object_set_new(j, "progressDetail",
			json_pack("{s:I, s:I}", "current", (json_int_t)done, "total",
				(json_int_t)total));
		json_object_set_new(j, "progress", json_string(shown));
	}
	json_object_set_new(j, "id", json_string(id));
	stream_put(s, j);
}
