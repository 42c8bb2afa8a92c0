/* SPDX-License-Identifier: MIT */
/* What a shell is told when it completes our words. Never an error: an unreadable store has no names. */

#include <signal.h>
#include <string.h>
#include "dialect/lodge/lodge.h"
#include "guest/signals.h"
#include "host/caps.h"
#include "image/ref.h"

static void guests(struct ctx *c, const char *suffix, bool running, FILE *out)
{
	g_autoptr(GPtrArray) all = NULL;

	if (guest_list(c, NULL, 0, &all, NULL) < 0)
		return;
	for (guint i = 0; i < all->len; i++) {
		const struct guest *g = all->pdata[i];

		if (!running || guest_is_up(g))
			(void)fprintf(out, "%s%s\t%s, %s\n", g->rec->name, suffix,
				g->rec->image_name ?: "", guest_state_name(g->state));
	}
}

void complete_guest(struct ctx *c, const char *word, FILE *out)
{
	guests(c, "", false, out);
}

void complete_running(struct ctx *c, const char *word, FILE *out)
{
	guests(c, "", true, out);
}

void complete_cp(struct ctx *c, const char *word, FILE *out)
{
	guests(c, ":", false, out);
	complete_file(c, word, out);
}

void complete_image(struct ctx *c, const char *word, FILE *out)
{
	g_autoptr(GPtrArray) all = NULL;
	struct store *s;

	if (store_get_existing(c, &s, NULL) < 0 || store_image_list(s, &all, NULL) < 0)
		return;
	for (guint i = 0; i < all->len; i++) {
		const struct image_record *m = all->pdata[i];

		for (char **n = m->names; n && *n; n++) {
			g_autofree char *shown = ref_show(*n);

			(void)fprintf(out, "%s\n", shown);
		}
	}
}

void complete_run(struct ctx *c, const char *word, FILE *out)
{
	complete_image(c, word, out);
}

void complete_volume(struct ctx *c, const char *word, FILE *out)
{
	g_autoptr(GPtrArray) all = NULL;
	struct store *s;

	if (store_get_existing(c, &s, NULL) < 0 || store_volume_list(s, &all, NULL) < 0)
		return;
	for (guint i = 0; i < all->len; i++)
		(void)fprintf(out, "%s\n", ((const struct volume_record *)all->pdata[i])->name);
}

void complete_network(struct ctx *c, const char *word, FILE *out)
{
	g_autoptr(GPtrArray) all = NULL;
	struct store *s;

	(void)fputs("bridge\nhost\nnone\npasst\n", out);
	if (store_get_existing(c, &s, NULL) < 0 || store_network_list(s, &all, NULL) < 0)
		return;
	for (guint i = 0; i < all->len; i++) {
		const struct network_record *n = all->pdata[i];

		if (!g_str_equal(n->name, "bridge"))
			(void)fprintf(out, "%s\n", n->name);
	}
}

void complete_capability(struct ctx *c, const char *word, FILE *out)
{
	(void)fputs("ALL\n", out);
	for (unsigned i = 0; i < CAPS_COUNT; i++)
		(void)fprintf(out, "%s\n", caps_name(i) + strlen("CAP_"));
}

void complete_signal(struct ctx *c, const char *word, FILE *out)
{
	char name[SIGNAL_NAME_MAX];

	for (int i = 1; i < SIGRTMIN; i++)
		if (sigabbrev_np(i))
			(void)fprintf(out, "%s\n", signal_name(i, name));
}

void complete_restart(struct ctx *c, const char *word, FILE *out)
{
	(void)fputs("no\non-failure\nalways\nunless-stopped\n", out);
}

void complete_command(struct ctx *c, const char *word, FILE *out)
{
	for (const struct cmd *const *s = lodge_root.sub; *s; s++)
		(void)fprintf(out, "%s\t%s\n", (*s)->name, (*s)->brief);
}

void complete_shell(struct ctx *c, const char *word, FILE *out)
{
	(void)fputs("bash\nzsh\nfish\n", out);
}
