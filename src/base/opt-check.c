/* SPDX-License-Identifier: MIT */

/* The check of a whole table of commands: opt.h's cmd_selftest(). */

#include "base/opt-priv.h"

#include <stdarg.h>
#include <string.h>

#define HELP_COLUMNS 80
#define BRIEF_MAX    60 /* fits beside the longest name */

struct check {
	FILE *out;
	const char *full_name;
	const struct opt *o; /* or NULL: the command itself */
	int faults;
};

static void fault(struct check *k, const char *fmt, ...) _printf_(2, 3);

static void fault(struct check *k, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(k->out, "%s: ", k->full_name);
	if (k->o && k->o->name)
		(void)fprintf(k->out, "--%s: ", k->o->name);
	else if (k->o && k->o->letter)
		(void)fprintf(k->out, "-%c: ", k->o->letter);
	va_start(ap, fmt);
	(void)vfprintf(k->out, fmt, ap);
	va_end(ap);
	(void)fputc('\n', k->out);
	k->faults++;
}

static bool only(const char *s, const char *chars)
{
	return *s && s[strspn(s, chars)] == '\0';
}

/* One line, lower case (a name of many capitals such as "JSON" or "IPv4" may begin it), no full stop. */
static void check_line(struct check *k, const char *what, const char *s)
{
	size_t n;

	if (!s || !*s) {
		fault(k, "no %s", what);
		return;
	}
	n = strlen(s);
	if (g_ascii_isupper(s[0]) && !g_ascii_isupper(s[1]))
		fault(k, "%s begins with a capital", what);
	if (s[n - 1] == '.' && !(n > 3 && strcmp(s + n - 3, "...") == 0))
		fault(k, "%s ends with a full stop", what);
	if (strpbrk(s, "\n\t"))
		fault(k, "%s is more than one line", what);
}

static size_t field_size(enum opt_type type)
{
	switch (type) {
	case OPT_T_FLAG:
		return sizeof(bool);
	case OPT_T_TRISTATE:
		return sizeof(int);
	case OPT_T_STRING:
		return sizeof(char *);
	case OPT_T_LIST:
		return sizeof(char **);
	default:
		return sizeof(int64_t);
	}
}

static void check_shared_field(struct check *k, const struct opt *o, const struct opt *other)
{
	if (other->type == OPT_T_GROUP)
		return;
	if (o->letter && o->letter == other->letter)
		fault(k, "the letter '%c' is there twice", o->letter);
	if (o->name && other->name && strcmp(o->name, other->name) == 0)
		fault(k, "the name is there twice");
	if (o->offset < other->offset + field_size(other->type) &&
		other->offset < o->offset + field_size(o->type) &&
		(o->offset != other->offset || o->type != other->type))
		fault(k, "its field overlaps that of '--%s'", other->name);
}

static void check_option(struct check *k, const struct cmd *cmd, const struct opt *o)
{
	k->o = o;
	if (o->type < 0 || o->type >= _OPT_T_MAX) {
		fault(k, "unknown type %d", (int)o->type);
		return;
	}
	check_line(k, "help", o->help);
	if (o->type == OPT_T_GROUP)
		return;
	if (!o->letter && !o->name)
		fault(k, "neither a letter nor a name");
	if (o->letter && !g_ascii_isalnum(o->letter))
		fault(k, "the letter is neither letter nor digit");
	if (o->name && (!only(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-") ||
			       o->name[0] == '-' || strlen(o->name) < 2))
		fault(k, "the name isn't of lower case letters, digits and '-'");
	if (o->name && strcmp(o->name, "help") == 0)
		fault(k, "the name is taken");
	if (opt_takes_value(o)) {
		if (!o->metavar ||
			!only(o->metavar, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=:|[]./,"))
			fault(k, "metavar isn't one word in capitals");
		if (!o->complete)
			fault(k, "no completer");
	} else if (o->metavar || o->complete)
		fault(k, "a flag has neither metavar nor completer");
	if (o->offset + field_size(o->type) > cmd->args_size)
		fault(k, "its field is outside the command's struct");
	for (const struct opt *other = o + 1; other->type != OPT_T_END; other++)
		check_shared_field(k, o, other);
}

static void check_width(struct check *k, const struct cmd *cmd)
{
	g_auto(GStrv) lines = NULL;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	cmd_help(cmd, k->full_name, f);
	(void)fclose(f);
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++) {
		if (!g_utf8_validate(*l, -1, NULL))
			fault(k, "help isn't UTF-8");
		else if (g_utf8_strlen(*l, -1) > HELP_COLUMNS)
			fault(k, "a line of help is wider than %d columns: %s", HELP_COLUMNS, *l);
	}
	free(text);
}

static void check_names(struct check *k, const struct cmd *group)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	FOREACH_SUB(s, group)
	{
		g_auto(GStrv) all = g_strsplit(s->aliases ? s->aliases : "", " ", -1);

		if (s->name && !g_hash_table_add(names, g_strdup(s->name)))
			fault(k, "the command '%s' is there twice", s->name);
		for (char **a = all; *a; a++)
			if (!only(*a, "abcdefghijklmnopqrstuvwxyz0123456789-") ||
				!g_hash_table_add(names, g_strdup(*a)))
				fault(k, "the alias '%s' of '%s' is taken or no name", *a, s->name);
	}
}

static void check_command(struct check *k, const struct cmd *cmd, int depth)
{
	const char *full_name = k->full_name;
	int before = k->faults;
	bool has_opts = cmd->opts && cmd->opts->type != OPT_T_END;

	k->o = NULL;
	check_line(k, "brief", cmd->brief);
	if (cmd->brief && strlen(cmd->brief) > BRIEF_MAX)
		fault(k, "brief is longer than %d characters", BRIEF_MAX);
	if (!cmd->run == !cmd->sub)
		fault(k, "neither a command nor a group, or both");
	if (cmd->sub && has_opts)
		fault(k, "a group has options");
	if (has_opts && !strstr(cmd_synopsis(cmd), "[OPTIONS]"))
		fault(k, "[OPTIONS] isn't in the synopsis");
	if (cmd->max_operands >= 0 && cmd->max_operands < cmd->min_operands)
		fault(k, "fewer operands at most than at least");
	FOREACH_OPT(o, cmd)
	check_option(k, cmd, o);
	k->o = NULL;
	if (cmd->brief && *cmd->brief && k->faults == before)
		check_width(k, cmd);
	check_names(k, cmd);
	if (cmd->sub && depth >= CMD_DEPTH_MAX) {
		fault(k, "groups are nested too deeply");
		return;
	}
	FOREACH_SUB(s, cmd)
	{
		g_autofree char *name = NULL;

		k->o = NULL;
		if (!s->name || !only(s->name, "abcdefghijklmnopqrstuvwxyz0123456789-")) {
			fault(k, "a command's name isn't of lower case letters, digits and '-'");
			continue;
		}
		name = g_strdup_printf("%s %s", full_name, s->name);
		k->full_name = name;
		check_command(k, s, depth + 1);
		k->full_name = full_name;
	}
}

int cmd_selftest(const struct cmd *root, FILE *out)
{
	struct check k = { .out = out, .full_name = root->name };

	check_command(&k, root, 0);
	return k.faults;
}
