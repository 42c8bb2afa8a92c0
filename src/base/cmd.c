/* SPDX-License-Identifier: MIT */

/* From argv to a command: opt.h's cmd_main(). */

#include "base/opt-priv.h"

#include <string.h>

#define SUGGEST_DISTANCE 2 /* edits between what was typed and a name that is suggested */

struct walk {
	struct ctx *c;
	const struct cmd *root;
	const struct opt_policy *policy;
	const struct cmd *at;
	GString *full_name;
	int argc; /* what is left: argv[0] is the name of `at` */
	char **argv;
};

const struct cmd *cmd_sub(const struct cmd *group, const char *name)
{
	FOREACH_SUB(s, group)
	{
		g_auto(GStrv) aliases = NULL;

		if (strcmp(s->name, name) == 0)
			return s;
		aliases = s->aliases ? g_strsplit(s->aliases, " ", -1) : NULL;
		if (aliases && *name && g_strv_contains((const char *const *)aliases, name))
			return s;
	}
	return NULL;
}

/* Edits (insert, remove, change) from a to b; names are short. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b);
	g_autofree size_t *row = g_new(size_t, n + 1);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, change);
		}
	}
	return row[n];
}

static const char *suggestion(const struct cmd *group, const char *name)
{
	const char *best = NULL;
	size_t best_distance = SUGGEST_DISTANCE + 1;

	if (strlen(name) > 32)
		return NULL;
	FOREACH_SUB(s, group)
	{
		size_t d = distance(name, s->name);

		if (!(s->flags & CMD_HIDDEN) && d < best_distance && d < strlen(s->name)) {
			best = s->name;
			best_distance = d;
		}
	}
	return best;
}

/* Names of files and guests may stand in the text: no control character of theirs reaches a terminal. */
static void put_clean(const char *s)
{
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		(void)fputc(
			(ch < 0x20 && ch != '\n' && ch != '\t') || ch == 0x7f ? '?' : ch, stderr);
	}
}

static int print_error(const struct walk *w, int (*exit_status)(int code), int code, struct err *e)
{
	bool usage = code == -E_USAGE;
	const char *second = w->policy->bad_usage;
	const char *name = second ? strstr(second, "%s") : NULL;

	if (!w->policy->plain_errors)
		(void)fprintf(stderr, "%s: ", w->root->name);
	put_clean(*e->text ? e->text : err_words(code));
	if (*e->mend) {
		(void)fputs("; ", stderr);
		put_clean(e->mend);
	}
	(void)fputc('\n', stderr);
	if (usage && name)
		(void)fprintf(stderr, "%.*s%s%s\n", (int)(name - second), second, w->full_name->str,
			name + 2);
	return usage ? w->policy->usage_status : exit_status(code);
}

static void step_into(struct walk *w, const struct cmd *sub)
{
	w->at = sub;
	g_string_append_printf(w->full_name, " %s", sub->name);
	w->argc--;
	w->argv++;
}

static int no_such_command(struct walk *w, const char *word, struct err *e)
{
	const char *near = suggestion(w->at, word);

	err_set(e, -E_USAGE, "'%s' is not a %s command", word, w->full_name->str);
	if (near)
		err_mend(e, "did you mean '%s'?", near);
	return -E_USAGE;
}

static bool is_word(const char *word, const char *a, const char *b)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* "help COMMAND...": argv[0] is "help". */
static int help_for(struct walk *w, struct err *e)
{
	w->argc--;
	w->argv++;
	while (w->argc > 0) {
		const struct cmd *sub = cmd_sub(w->at, w->argv[0]);

		if (!sub)
			return no_such_command(w, w->argv[0], e);
		step_into(w, sub);
	}
	return 1;
}

/* Goes down to the command that is to run. 1: help for `at` is asked; 0; or a code. */
static int find_command(struct walk *w, struct err *e)
{
	while (w->at->sub) {
		const char *word = w->argc > 1 ? w->argv[1] : "--help";
		const struct cmd *sub = cmd_sub(w->at, word);

		if (!sub && w->at == w->root && is_word(word, "--version", "-v"))
			sub = cmd_sub(w->at, "version");
		if (sub) {
			step_into(w, sub);
			continue;
		}
		if (is_word(word, "--help", "-h"))
			return 1;
		if (strcmp(word, "help") == 0) {
			w->argc--;
			w->argv++;
			return help_for(w, e);
		}
		if (word[0] == '-' && word[1] == '-')
			return err_set(e, -E_USAGE, "unknown flag: %s", word);
		if (word[0] == '-' && word[1])
			return err_set(
				e, -E_USAGE, "unknown shorthand flag: '%c' in %s", word[1], word);
		return no_such_command(w, word, e);
	}
	return 0;
}

/* Runs w->at. 1 in *ret_help: help is asked. */
static int run_command(struct walk *w, bool *ret_help, struct err *e)
{
	g_autofree void *args = g_malloc0(w->at->args_size ? w->at->args_size : 1);
	struct cmd_call call = {
		.c = w->c,
		.cmd = w->at,
		.full_name = w->full_name->str,
		.args = args,
	};
	int r;

	r = opt_parse(
		w->at, w->policy, w->argc, w->argv, args, &call.operands, &call.n_operands, e);
	*ret_help = r == 1;
	if (r == 0)
		r = w->at->run(&call, e);
	g_strfreev(call.operands);
	opt_args_clear(w->at, args);
	return r;
}

int cmd_main(struct ctx *c, const struct cmd *root, const struct opt_policy *policy,
	int (*exit_status)(int code), int argc, char **argv)
{
	struct walk w = {
		.c = c,
		.root = root,
		.policy = policy,
		.at = root,
		.full_name = g_string_new(root->name),
		.argc = argc,
		.argv = argv,
	};
	struct err e = {};
	bool help = false;
	int r, status;

	r = find_command(&w, &e);
	if (r == 1)
		help = true;
	else if (r == 0)
		r = run_command(&w, &help, &e);
	if (help) {
		cmd_help(w.at, w.full_name->str, stdout);
		r = 0;
	}
	status = r < 0 ? print_error(&w, exit_status, r, &e) : r;
	r = fflush(stdout) != 0 ? -errno : ferror(stdout) ? -EIO : 0;
	if (r < 0 && status == 0) {
		err_sys(&e, r, "cannot write to standard output");
		status = print_error(&w, exit_status, r, &e);
	}
	g_string_free(w.full_name, TRUE);
	return status;
}
