/* SPDX-License-Identifier: MIT */
/* Help in the form in which docker prints it: pflag's columns, its way to break lines. */

#include "dialect/docker/cli.h"

#include <string.h>
#include <sys/ioctl.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN	24 /* of the right column: with fewer it begins on a line of its own */
#define INDENT_NARROW	16
#define SLOP		5 /* columns that a line may be too long by when it is the last one */

static int columns(void)
{
	struct winsize w;

	/* as docker asks: of standard input */
	return ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col - 1 : COLUMNS_DEFAULT - 1;
}

/* Of s, what goes onto a line of n columns: its length; *ret_skip: with the blank after it. */
static size_t line_length(const char *s, int n, size_t *ret_skip)
{
	size_t len = strlen(s), at = 0, newline = 0;
	bool found = false;

	if (n + SLOP > (int)len)
		return *ret_skip = len;
	for (size_t i = 0; i < (size_t)n; i++) {
		if (s[i] == ' ' || s[i] == '\t' || s[i] == '\n') {
			at = i;
			found = true;
		}
		if (s[i] == '\n')
			newline = i;
	}
	if (!found || at == 0)
		return *ret_skip = len;
	if (newline > 0 && newline < at)
		at = newline;
	*ret_skip = at + 1;
	return at;
}

static void put_indented(FILE *out, const char *s, size_t n, int indent)
{
	for (size_t i = 0; i < n; i++) {
		(void)fputc(s[i], out);
		if (s[i] == '\n')
			(void)fprintf(out, "%*s", indent, "");
	}
}

static void put_wrapped(FILE *out, const char *s, int indent, int width)
{
	int room = width - indent;
	size_t n, skip;

	if (room < COLUMNS_MIN) {
		indent = INDENT_NARROW;
		room = width - indent;
		(void)fprintf(out, "\n%*s", indent, "");
	}
	if (room < COLUMNS_MIN) {
		put_indented(out, s, strlen(s), indent);
		return;
	}
	room -= SLOP;
	n = line_length(s, room, &skip);
	put_indented(out, s, n, indent);
	for (s += skip; *s; s += skip) {
		n = line_length(s, room, &skip);
		(void)fprintf(out, "\n%*s", indent, "");
		put_indented(out, s, n, indent);
	}
}

/* "  -a, --all string   " without the blanks at the end. */
static char *option_names(const struct opt *o)
{
	GString *s = g_string_new(NULL);

	if (o->letter)
		g_string_append_printf(s, "  -%c, --%s", o->letter, o->name);
	else
		g_string_append_printf(s, "      --%s", o->name);
	if (o->metavar)
		g_string_append_printf(s, " %s", o->metavar);
	return g_string_free(s, FALSE);
}

static void put_options(const struct opt *opts, bool with_help, const char *heading, FILE *out)
{
	static const struct opt help_long = { 0, "help", OPT_T_FLAG, 0, NULL, NULL, "Print usage" };
	int widest = 0, width = columns();
	const struct opt *all[256], *help = NULL;
	size_t n = 0;
	bool any = false;

	/* only where -h is something else the help names its own option, in its place by the alphabet */
	for (const struct opt *o = opts; with_help && o && o->type != OPT_T_END; o++)
		if (o->letter == 'h')
			help = &help_long;
	for (const struct opt *o = opts; o && o->type != OPT_T_END && n < G_N_ELEMENTS(all) - 1;
		o++) {
		if (!o->help)
			continue;
		if (help && strcmp(o->name, help->name) > 0)
			all[n++] = g_steal_pointer(&help);
		all[n++] = o;
		any = true;
	}
	if (!any)
		return;
	for (size_t i = 0; i < n; i++) {
		g_autofree char *names = option_names(all[i]);

		widest = MAX(widest, (int)strlen(names));
	}
	(void)fprintf(out, "\n%s:\n", heading);
	for (size_t i = 0; i < n; i++) {
		g_autofree char *names = option_names(all[i]);

		(void)fprintf(out, "%s%*s", names, widest + 3 - (int)strlen(names), "");
		put_wrapped(out, all[i]->help, widest + 3, width);
		(void)fputc('\n', out);
	}
}

static void put_commands(
	const char *heading, const struct cmd *const *list, size_t widest, FILE *out)
{
	(void)fprintf(out, "\n%s:\n", heading);
	for (; *list; list++)
		if (!((*list)->flags & CMD_HIDDEN))
			(void)fprintf(
				out, "  %-*s %s\n", (int)widest, (*list)->name, (*list)->brief);
}

static size_t widest_name(const struct cmd *const *list, size_t widest)
{
	for (; *list; list++)
		if (!((*list)->flags & CMD_HIDDEN))
			widest = MAX(widest, strlen((*list)->name));
	return widest;
}

/* Everywhere in the tree where the same thing is done. */
static void add_places(
	GString *text, const struct cmd *const *list, const char *prefix, const struct cmd *cmd)
{
	for (; *list; list++) {
		g_auto(GStrv) names = NULL;

		if ((*list)->run != cmd->run || (*list)->opts != cmd->opts)
			continue;
		g_string_append_printf(
			text, "%s%s %s", text->len ? ", " : "", prefix, (*list)->name);
		names = g_strsplit((*list)->aliases ?: "", " ", -1);
		for (char **n = names; *n; n++)
			if (**n)
				g_string_append_printf(text, ", %s %s", prefix, *n);
	}
}

static void put_aliases(const struct cmd *cmd, FILE *out)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (const struct cli_section *s = docker_sections; s->heading; s++)
		for (const struct cmd *const *g = s->list; *g; g++) {
			g_autofree char *prefix = g_strdup_printf("docker %s", (*g)->name);

			if ((*g)->sub && *g != &docker_builder_cmd)
				add_places(text, (*g)->sub, prefix, cmd);
		}
	for (const struct cli_section *s = docker_sections; s->heading; s++)
		add_places(text, s->list, "docker", cmd);
	add_places(text, docker_builder_cmd.sub, "docker builder", cmd);
	/* what isn't there yet is one function of many names */
	if (strchr(text->str, ',') && cmd->run != docker_buildx_cmd.run)
		(void)fprintf(out, "\nAliases:\n  %s\n", text->str);
}

char *cli_usage_line(const struct cmd *cmd, const char *full_name)
{
	GString *line = g_string_new(full_name);

	if (cmd->synopsis && *cmd->synopsis)
		g_string_append_printf(line, " %s", cmd->synopsis);
	return g_string_free(line, FALSE);
}

void cli_help(const struct cmd *cmd, const char *full_name, FILE *out)
{
	g_autofree char *usage = cli_usage_line(cmd, full_name);

	/* what stands before the usage is what the command's examples would be elsewhere: docker has none */
	if (cmd->examples)
		(void)fprintf(out, "%s\n", cmd->examples);
	(void)fprintf(out, "Usage:  %s%s\n\n%s\n", usage, cmd->sub ? " COMMAND" : "",
		cmd->details ?: cmd->brief);
	if (!cmd->sub && !(cmd->flags & CMD_HIDDEN))
		put_aliases(cmd, out);
	put_options(cmd->opts, true, "Options", out);
	if (cmd->sub) {
		put_commands("Commands", cmd->sub, MAX(widest_name(cmd->sub, 0), 10) + 1, out);
		(void)fprintf(out, "\nRun '%s COMMAND --help' for more information on a command.\n",
			full_name);
	}
}

void cli_help_top(struct cli *s, FILE *out)
{
	/* their defaults are where the configuration is */
	static const char *const moved[] = { "", "/ca.pem", "/cert.pem", "/key.pem" };
	static const char *const names[] = { "config", "tlscacert", "tlscert", "tlskey" };
	g_autofree struct opt *opts = NULL;
	g_auto(GStrv) texts = g_new0(char *, G_N_ELEMENTS(names) + 1);
	const char *hide = g_getenv("DOCKER_HIDE_LEGACY_COMMANDS");
	bool legacy = !hide || !*hide;
	size_t widest = 0, n = 0;

	while (docker_globals.opts[n].type != OPT_T_END)
		n++;
	opts = g_memdup2(docker_globals.opts, (n + 1) * sizeof(*opts));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < G_N_ELEMENTS(names); j++)
			if (strcmp(opts[i].name, names[j]) == 0) {
				texts[j] = g_strdup_printf("%s (default \"%s%s\")", opts[i].help,
					cli_folder(s), moved[j]);
				opts[i].help = texts[j];
			}
	(void)fputs(
		"Usage:  docker [OPTIONS] COMMAND\n\nA self-sufficient runtime for containers\n",
		out);
	for (const struct cli_section *sec = docker_sections; sec->heading; sec++)
		widest = widest_name(sec->list, widest);
	for (const struct cli_section *sec = docker_sections; sec->heading; sec++)
		if (legacy || sec[1].heading)
			put_commands(sec->heading, sec->list, MAX(widest, 10) + 1, out);
	put_options(opts, false, "Global Options", out);
	(void)fputs(
		"\nRun 'docker COMMAND --help' for more information on a command.\n\n"
		"For more help on how to use Docker, head to https://docs.docker.com/go/guides/\n",
		out);
}
