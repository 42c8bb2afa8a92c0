/* SPDX-License-Identifier: MIT */
/* How a pull or a push is shown: bars on a terminal, lines in a pipe, JSON on request. */

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/lodge/transfer.h"

#define DRAW_EVERY (100 * 1000) /* microseconds */
#define LINE_EVERY (5 * 1000 * 1000)
#define BAR_WIDTH  24

static const char *const state_words[][_TRANSFER_STATE_MAX] = {
	{ "Waiting", "Downloading", "Extracting", "Pull complete", "Already exists", "Mounted" },
	{ "Waiting", "Pushing", "Pushing", "Pushed", "Layer already exists",
		"Mounted from another repository" },
};

static const char *word_of(const struct transfer *t, enum transfer_state s)
{
	return state_words[t->push][s];
}

static bool is_end(enum transfer_state s)
{
	return s == TRANSFER_DONE || s == TRANSFER_THERE || s == TRANSFER_MOUNTED;
}

static void short_digest(const struct transfer_layer *l, char ret[13])
{
	(void)g_snprintf(
		ret, 13, "%.12s", strchr(l->digest, ':') ? strchr(l->digest, ':') + 1 : l->digest);
}

static void sums(
	const struct transfer *t, int64_t *ret_done, int64_t *ret_total, unsigned *ret_ended)
{
	*ret_done = *ret_total = 0;
	*ret_ended = 0;
	for (unsigned i = 0; i < t->n; i++) {
		const struct transfer_layer *l = &t->layers[i];

		*ret_ended += is_end(l->state);
		if (l->state == TRANSFER_THERE || l->state == TRANSFER_MOUNTED)
			continue;
		*ret_done += l->done;
		*ret_total += l->total > 0 ? l->total : 0;
	}
}

static char *speed(const struct transfer *t, int64_t done)
{
	double seconds = (double)(g_get_monotonic_time() - t->began) / 1e6;
	g_autofree char *size =
		units_show_size(seconds > 0 ? (int64_t)((double)done / seconds) : 0);

	return g_strconcat(size, "/s", NULL);
}

static void bar(const struct transfer_layer *l, char ret[BAR_WIDTH + 3])
{
	int n = l->total > 0 ? (int)(l->done * BAR_WIDTH / l->total) : 0;

	n = CLAMP(n, 0, BAR_WIDTH);
	ret[0] = '[';
	for (int i = 0; i < BAR_WIDTH; i++)
		ret[1 + i] = i < n ? '=' : i == n ? '>' : ' ';
	ret[BAR_WIDTH + 1] = ']';
	ret[BAR_WIDTH + 2] = '\0';
}

static unsigned height(void)
{
	struct winsize w = { 0 };

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 3 ? w.ws_row : 24;
}

static void draw_layer(const struct transfer *t, const struct transfer_layer *l)
{
	char id[13], graph[BAR_WIDTH + 3];

	short_digest(l, id);
	if (l->state == TRANSFER_GOING && l->total > 0) {
		g_autofree char *done = units_show_size(l->done),
				*total = units_show_size(l->total);

		bar(l, graph);
		printf("\033[K%s: %s %s %s/%s\n", id, word_of(t, l->state), graph, done, total);
	} else {
		printf("\033[K%s: %s\n", id, word_of(t, l->state));
	}
}

/* The lines that are there are written over; those that don't fit on the screen aren't shown. */
static void draw(struct transfer *t)
{
	unsigned shown = MIN(t->n, height() - 2), ended;
	int64_t done, total;

	if (t->drawn)
		printf("\033[%uA", t->drawn);
	for (unsigned i = 0; i < shown; i++)
		draw_layer(t, &t->layers[t->n - shown + i]);
	sums(t, &done, &total, &ended);
	{
		g_autofree char *a = units_show_size(done), *b = units_show_size(total),
				*c = speed(t, done);

		printf("\033[K%u of %u layers, %s of %s, %s\n", ended, t->n, a, b, c);
	}
	t->drawn = shown + 1;
	(void)fflush(stdout);
}

static void line(struct transfer *t)
{
	int64_t done, total;
	unsigned ended;

	sums(t, &done, &total, &ended);
	{
		g_autofree char *a = units_show_size(done), *b = units_show_size(total),
				*c = speed(t, done);

		printf("%u of %u layers, %s of %s, %s\n", ended, t->n, a, b, c);
	}
	(void)fflush(stdout);
}

static void print_json(const struct transfer *t, const struct transfer_layer *l)
{
	char id[13];
	json_t *j;
	char *text;

	short_digest(l, id);
	j = json_pack("{s:s, s:s, s:{s:I, s:I}}", "status", word_of(t, l->state), "id", id,
		"progressDetail", "current", (json_int_t)l->done, "total", (json_int_t)l->total);
	text = json_dumps(j, JSON_COMPACT);
	printf("%s\n", text);
	free(text);
	json_decref(j);
	(void)fflush(stdout);
}

static void print_status(const struct transfer *t, const char *id, const char *text)
{
	if (t->style == TRANSFER_QUIET)
		return;
	if (t->style == TRANSFER_JSON) {
		json_t *j = json_pack("{s:s, s:s}", "status", text, "id", id);
		char *dump = json_dumps(j, JSON_COMPACT);

		printf("%s\n", dump);
		free(dump);
		json_decref(j);
	} else if (*id) {
		printf("%s: %s\n", id, text);
	} else {
		printf("%s\n", text);
	}
	(void)fflush(stdout);
}

void transfer_say(const struct transfer *t, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	print_status(t, "", text);
}

static void clear_layers(struct transfer *t)
{
	for (unsigned i = 0; i < t->n; i++)
		g_free(t->layers[i].digest);
	g_clear_pointer(&t->layers, g_free);
	t->n = t->drawn = 0;
}

static void on_begin(void *data, const char *name, const char *const *digests)
{
	struct transfer *t = data;
	struct ref ref = { NULL };
	g_autofree char *text = NULL;

	clear_layers(t);
	t->n = g_strv_length((char **)digests);
	t->layers = g_new0(struct transfer_layer, t->n);
	for (unsigned i = 0; i < t->n; i++) {
		t->layers[i].digest = g_strdup(digests[i]);
		t->layers[i].total = -1;
	}
	t->began = t->last = g_get_monotonic_time();
	if (ref_parse(name, REF_NO_DEFAULT, &ref, NULL) < 0)
		return;
	if (t->push)
		text = g_strdup_printf(
			"The push refers to repository [%s/%s]", ref.domain, ref.path);
	else if (strcmp(ref.domain, "docker.io") == 0)
		text = g_strdup_printf("Pulling from %s", ref.path);
	else
		text = g_strdup_printf("Pulling from %s/%s", ref.domain, ref.path);
	print_status(t, t->push ? "" : ref.digest ? ref.digest : ref.tag, text);
	ref_clear(&ref);
}

static void on_layer(
	void *data, unsigned index, enum transfer_state state, int64_t done, int64_t total)
{
	struct transfer *t = data;
	struct transfer_layer *l = &t->layers[index];
	int64_t now = g_get_monotonic_time();
	bool news = l->state != state;
	char id[13];

	l->state = state;
	l->done = is_end(state) && total > 0 ? total : done;
	l->total = total;
	switch (t->style) {
	case TRANSFER_QUIET:
		break;
	case TRANSFER_JSON:
		print_json(t, l);
		break;
	case TRANSFER_BARS:
		if (news || now - t->last >= DRAW_EVERY) {
			t->last = now;
			draw(t);
		}
		break;
	case TRANSFER_LINES:
		short_digest(l, id);
		if (news && is_end(state))
			print_status(t, id, word_of(t, state));
		if (!is_end(state) && now - t->last >= LINE_EVERY) {
			t->last = now;
			line(t);
		}
		break;
	}
}

int transfer_init(struct transfer *t, bool push, bool quiet, const char *style, struct err *e)
{
	*t = (struct transfer){ .push = push };
	t->progress = (struct transfer_progress){ on_begin, on_layer, t };
	if (quiet)
		t->style = TRANSFER_QUIET;
	else if (!style || strcmp(style, "auto") == 0)
		t->style = isatty(STDOUT_FILENO) ? TRANSFER_BARS : TRANSFER_LINES;
	else if (strcmp(style, "tty") == 0)
		t->style = TRANSFER_BARS;
	else if (strcmp(style, "plain") == 0)
		t->style = TRANSFER_LINES;
	else if (strcmp(style, "json") == 0)
		t->style = TRANSFER_JSON;
	else
		return err_set(
			e, -E_USAGE, "invalid progress '%s': not auto, tty, plain or json", style);
	return 0;
}

void transfer_done(struct transfer *t)
{
	clear_layers(t);
}
