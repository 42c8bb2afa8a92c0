/* SPDX-License-Identifier: MIT */

/* The forms of a table for people and programs: --help, the manual page, JSON. */

#include "base/opt-priv.h"

#include <jansson.h>
#include <string.h>

#define HELP_COLUMNS   80
#define HELP_NAMES_MAX 30 /* columns of "-m, --memory BYTES"; longer ones get a line of their own */
#define MANUAL_ROW_MAX 200

const char *cmd_synopsis(const struct cmd *cmd)
{
	if (cmd->synopsis)
		return cmd->synopsis;
	if (cmd->sub)
		return "COMMAND";
	return cmd->opts ? "[OPTIONS]" : "";
}

bool cmd_next_example(const char **text, char **ret_command, char **ret_what)
{
	const char *end, *hash;
	g_autofree char *line = NULL;

	while (**text == '\n')
		(*text)++;
	if (!**text)
		return false;
	end = strchrnul(*text, '\n');
	line = g_strndup(*text, (gsize)(end - *text));
	*text = end;
	hash = strstr(line, "  #");
	*ret_what = hash ? g_strstrip(g_strdup(hash + 3)) : g_strdup("");
	*ret_command = g_strstrip(g_strndup(line, hash ? (gsize)(hash - line) : strlen(line)));
	return true;
}

char *cmd_next_paragraph(const char **text)
{
	const char *start = *text, *end;

	while (*start == '\n')
		start++;
	if (!*start)
		return NULL;
	end = strstr(start, "\n\n");
	if (!end)
		end = start + strlen(start);
	*text = end;
	while (end > start && end[-1] == '\n')
		end--;
	return g_strndup(start, (gsize)(end - start));
}

/* Words of text, filled to the right margin; `column` is where the first begins, later lines are indented. */
static void put_filled(FILE *out, const char *text, int indent, int column)
{
	g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);
	bool first = true;

	for (char **w = words; *w; w++) {
		int n = (int)g_utf8_strlen(*w, -1);

		if (!n)
			continue;
		if (!first && column + 1 + n > HELP_COLUMNS) {
			(void)fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			(void)fputc(' ', out);
			column++;
		}
		(void)fputs(*w, out);
		column += n;
		first = false;
	}
	(void)fputc('\n', out);
}

/* "  NAMES   what it does" with the second column at `at`. */
static void put_row(FILE *out, const char *names, const char *what, int at)
{
	int n = 2 + (int)strlen(names);

	(void)fprintf(out, "  %s", names);
	if (n + 2 > at) {
		(void)fprintf(out, "\n%*s", at, "");
		n = at;
	}
	if (n < at)
		(void)fprintf(out, "%*s", at - n, "");
	put_filled(out, what, at, at);
}

/* "-m, --memory BYTES"; g_free. */
static char *option_names(const struct opt *o)
{
	GString *s = g_string_new(NULL);

	if (o->letter)
		g_string_append_printf(s, "-%c%s", o->letter, o->name ? ", " : "");
	else
		g_string_append(s, "    ");
	if (o->name)
		g_string_append_printf(s, "--%s", o->name);
	if (o->metavar)
		g_string_append_printf(s, " %s", o->metavar);
	return g_string_free(s, FALSE);
}

static void help_options(const struct cmd *cmd, bool version, FILE *out)
{
	bool has_h = opt_by_letter(cmd, 'h') != NULL;
	const char *help_names = has_h ? "    --help" : "-h, --help";
	int at = (int)strlen(help_names), n;

	FOREACH_OPT(o, cmd)
	{
		g_autofree char *names = option_names(o);

		n = (int)strlen(names);
		if (o->type != OPT_T_GROUP && n <= HELP_NAMES_MAX)
			at = MAX(at, n);
	}
	at += 2 + 2;
	if (!cmd->opts || cmd->opts->type != OPT_T_GROUP)
		(void)fputs("\nOptions:\n", out);
	FOREACH_OPT(o, cmd)
	{
		g_autofree char *names = option_names(o);

		if (o->type == OPT_T_GROUP)
			(void)fprintf(out, "\n%c%s:\n", g_ascii_toupper(o->help[0]), o->help + 1);
		else
			put_row(out, names, o->help, at);
	}
	put_row(out, help_names, "show this help", at);
	if (version)
		put_row(out, "-v, --version", "show the version", at);
}

static void help_commands(const struct cmd *cmd, FILE *out)
{
	int at = 0;

	FOREACH_SUB(s, cmd)
	if (!(s->flags & CMD_HIDDEN))
		at = MAX(at, (int)strlen(s->name));
	(void)fputs("\nCommands:\n", out);
	FOREACH_SUB(s, cmd)
	if (!(s->flags & CMD_HIDDEN))
		put_row(out, s->name, s->brief, at + 4);
}

static void help_aliases(const struct cmd *cmd, const char *full_name, FILE *out)
{
	g_auto(GStrv) aliases = g_strsplit(cmd->aliases, " ", -1);
	const char *last = strrchr(full_name, ' ');
	int group = last ? (int)(last + 1 - full_name) : 0;

	(void)fprintf(out, "\nAliases:\n  %s", full_name);
	for (char **a = aliases; *a; a++)
		(void)fprintf(out, ", %.*s%s", group, full_name, *a);
	(void)fputc('\n', out);
}

static void help_examples(const struct cmd *cmd, FILE *out)
{
	const char *text = cmd->examples;
	char *command, *what;

	(void)fputs("\nExamples:\n", out);
	while (cmd_next_example(&text, &command, &what)) {
		if (*what && 2 + strlen(command) + 4 + strlen(what) > HELP_COLUMNS)
			(void)fprintf(out, "  # %s\n  %s\n", what, command);
		else
			(void)fprintf(out, "  %s%s%s\n", command, *what ? "  # " : "", what);
		g_free(command);
		g_free(what);
	}
}

void cmd_help(const struct cmd *cmd, const char *full_name, FILE *out)
{
	g_autofree char *usage = g_strdup_printf("%s %s", full_name, cmd_synopsis(cmd));
	const char *text = cmd->details;
	char *paragraph;
	bool is_root = !strchr(full_name, ' ');

	(void)fputs("Usage: ", out);
	put_filled(out, usage, 14, 7);
	(void)fprintf(out, "\n%c%s\n", g_ascii_toupper(cmd->brief[0]), cmd->brief + 1);
	while (text && (paragraph = cmd_next_paragraph(&text)) != NULL) {
		(void)fputc('\n', out);
		if (*paragraph == ' ')
			(void)fprintf(out, "%s\n", paragraph);
		else
			put_filled(out, paragraph, 0, 0);
		g_free(paragraph);
	}
	if (cmd->aliases)
		help_aliases(cmd, full_name, out);
	if (cmd->examples)
		help_examples(cmd, out);
	if (cmd->sub)
		help_commands(cmd, out);
	help_options(cmd, is_root && cmd_sub(cmd, "version"), out);
	if (cmd->sub) {
		(void)fputc('\n', out);
		g_free(usage);
		usage = g_strdup_printf(
			"Run '%s COMMAND --help' for more on a command.", full_name);
		put_filled(out, usage, 0, 0);
	}
}

/* --- the manual page: man(7) ------------------------------------------------------------------------- */

/* Text for roff: nothing in it is a request or an escape. */
static void roff_text(FILE *out, const char *s, bool line_start)
{
	for (; *s; s++) {
		if (line_start && (*s == '.' || *s == '\''))
			(void)fputs("\\&", out);
		line_start = *s == '\n';
		if (*s == '\\')
			(void)fputs("\\e", out);
		else if (*s == '-')
			(void)fputs("\\-", out);
		else if (*s == '\'')
			(void)fputs("\\(aq", out);
		else if (*s == '^')
			(void)fputs("\\(ha", out);
		else if (*s == '~')
			(void)fputs("\\(ti", out);
		else if (*s == '`')
			(void)fputs("\\(ga", out);
		else
			(void)fputc(*s, out);
	}
}

static void roff_line(FILE *out, const char *s)
{
	roff_text(out, s, true);
	(void)fputc('\n', out);
}

/* Text inside the quotes of a macro's argument. */
static void roff_quoted(FILE *out, const char *s)
{
	g_auto(GStrv) parts = g_strsplit(s, "\"", -1);

	for (char **p = parts; *p; p++) {
		roff_text(out, *p, false);
		if (p[1])
			(void)fputs("\\(dq", out);
	}
}

static void manual_paragraphs(const char *text, FILE *out)
{
	char *paragraph;

	while ((paragraph = cmd_next_paragraph(&text)) != NULL) {
		if (*paragraph == ' ') {
			(void)fputs(".PP\n.nf\n", out);
			roff_line(out, paragraph);
			(void)fputs(".fi\n", out);
		} else {
			(void)fputs(".PP\n", out);
			roff_line(out, paragraph);
		}
		g_free(paragraph);
	}
}

static void manual_options(const struct cmd *cmd, FILE *out)
{
	FOREACH_OPT(o, cmd)
	{
		if (o->type == OPT_T_GROUP) {
			(void)fputs(".PP\n", out);
			(void)fprintf(out, "%c", g_ascii_toupper(o->help[0]));
			roff_text(out, o->help + 1, false);
			(void)fputs(":\n", out);
			continue;
		}
		(void)fputs(".TP\n", out);
		if (o->letter)
			(void)fprintf(out, "\\fB\\-%c\\fR%s", o->letter, o->name ? ", " : "");
		if (o->name) {
			(void)fputs("\\fB\\-\\-", out);
			roff_text(out, o->name, false);
			(void)fputs("\\fR", out);
		}
		if (o->metavar) {
			(void)fputs(" \\fI", out);
			roff_text(out, o->metavar, false);
			(void)fputs("\\fR", out);
		}
		(void)fputc('\n', out);
		roff_line(out, o->help);
	}
}

static void manual_examples(const struct cmd *cmd, FILE *out)
{
	const char *text = cmd->examples;
	char *command, *what;

	(void)fputs(".PP\nExamples:\n.PP\n.RS\n.nf\n", out);
	while (cmd_next_example(&text, &command, &what)) {
		if (*what) {
			(void)fputs("# ", out);
			roff_line(out, what);
		}
		roff_line(out, command);
		g_free(command);
		g_free(what);
	}
	(void)fputs(".fi\n.RE\n", out);
}

static void manual_command(const struct cmd *cmd, const char *full_name, FILE *out)
{
	if (cmd->flags & CMD_HIDDEN)
		return;
	if (cmd->run) {
		g_autofree char *title = g_strdup_printf("%s %s", full_name, cmd_synopsis(cmd));
		g_autofree char *brief =
			g_strdup_printf("%c%s.", g_ascii_toupper(cmd->brief[0]), cmd->brief + 1);

		(void)fputs(".SS \"", out);
		roff_quoted(out, title);
		(void)fputs("\"\n", out);
		roff_line(out, brief);
		if (cmd->aliases) {
			(void)fputs("Also: ", out);
			roff_text(out, cmd->aliases, false);
			(void)fputs(".\n", out);
		}
		if (cmd->details)
			manual_paragraphs(cmd->details, out);
		manual_options(cmd, out);
		if (cmd->examples)
			manual_examples(cmd, out);
	}
	FOREACH_SUB(s, cmd)
	{
		g_autofree char *name = g_strdup_printf("%s %s", full_name, s->name);

		manual_command(s, name, out);
	}
}

void cmd_manual(const struct cmd *root, FILE *out)
{
	g_autofree char *title = g_ascii_strup(root->name, -1);

	(void)fputs(".TH ", out);
	roff_text(out, title, false);
	(void)fputs(" 1\n.SH NAME\n", out);
	roff_text(out, root->name, true);
	(void)fputs(" \\- ", out);
	roff_text(out, root->brief, false);
	(void)fputs("\n.SH SYNOPSIS\n.B ", out);
	roff_text(out, root->name, false);
	(void)fputc('\n', out);
	roff_line(out, cmd_synopsis(root));
	if (root->details) {
		(void)fputs(".SH DESCRIPTION\n", out);
		manual_paragraphs(root->details, out);
	}
	(void)fputs(".SH COMMANDS\n", out);
	(void)fputs("Every command has the option \\fB\\-\\-help\\fR.\n", out);
	if (root->run)
		manual_command(root, root->name, out);
	else
		FOREACH_SUB(s, root)
		{
			g_autofree char *name = g_strdup_printf("%s %s", root->name, s->name);

			manual_command(s, name, out);
		}
	if (!root->run && root->examples) {
		(void)fputs(".SH EXAMPLES\n", out);
		manual_examples(root, out);
	}
}

/* --- for programs ------------------------------------------------------------------------------------ */

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

static json_t *option_json(const struct opt *o, const char *group)
{
	static const char *const types[_OPT_T_MAX] = {
		[OPT_T_FLAG] = "flag",
		[OPT_T_STRING] = "string",
		[OPT_T_LIST] = "list",
		[OPT_T_INT] = "integer",
		[OPT_T_SIZE] = "size",
		[OPT_T_TIME] = "time",
		[OPT_T_TRISTATE] = "tristate",
	};
	char letter[] = { o->letter, '\0' };
	json_t *j = json_object();

	set_text(j, "letter", o->letter ? letter : NULL);
	set_text(j, "name", o->name);
	set_text(j, "type", types[o->type]);
	set_text(j, "metavar", o->metavar);
	set_text(j, "group", group);
	set_text(j, "help", o->help);
	return j;
}

static json_t *command_json(const struct cmd *cmd)
{
	json_t *j = json_object(), *options = json_array(), *subs = json_array();
	const char *group = NULL;

	set_text(j, "name", cmd->name);
	set_text(j, "aliases", cmd->aliases);
	set_text(j, "brief", cmd->brief);
	set_text(j, "synopsis", cmd_synopsis(cmd));
	set_text(j, "details", cmd->details);
	set_text(j, "examples", cmd->examples);
	if (cmd->run) {
		json_object_set_new(j, "min_operands", json_integer(cmd->min_operands));
		json_object_set_new(j, "max_operands",
			cmd->max_operands < 0 ? json_null() : json_integer(cmd->max_operands));
		json_object_set_new(j, "reads_only", json_boolean(cmd->flags & CMD_READS_ONLY));
	}
	json_object_set_new(j, "hidden", json_boolean(cmd->flags & CMD_HIDDEN));
	FOREACH_OPT(o, cmd)
	{
		if (o->type == OPT_T_GROUP)
			group = o->help;
		else
			json_array_append_new(options, option_json(o, group));
	}
	FOREACH_SUB(s, cmd)
	json_array_append_new(subs, command_json(s));
	json_object_set_new(j, "options", options);
	json_object_set_new(j, "commands", subs);
	return j;
}

void cmd_json(const struct cmd *root, FILE *out)
{
	json_t *j = command_json(root);

	(void)json_dumpf(j, out, JSON_INDENT(2));
	(void)fputc('\n', out);
	json_decref(j);
}
