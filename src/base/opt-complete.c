/* SPDX-License-Identifier: MIT */

/* Completion: the scripts for three shells, and the program's answer to all of them. */

#include "base/opt-priv.h"

#include <string.h>

#define FILES_LINE ":files\n" /* the shell is to complete names of files */

void complete_none(struct ctx *c, const char *word, FILE *out)
{
}

void complete_file(struct ctx *c, const char *word, FILE *out)
{
	(void)fputs(FILES_LINE, out);
}

/* Runs a completer and passes on the candidates that begin with word, "prefix" before each. */
static void run_completer(
	struct ctx *c, completer complete, const char *word, const char *prefix, FILE *out)
{
	g_auto(GStrv) lines = NULL;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	if (complete)
		complete(c, word, f);
	(void)fclose(f);
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++) {
		if (strcmp(*l, ":files") == 0)
			(void)fputs(FILES_LINE, out);
		else if (**l && g_str_has_prefix(*l, word))
			(void)fprintf(out, "%s%s\n", prefix, *l);
	}
	free(text);
}

static void put_candidate(FILE *out, const char *word, const char *candidate, const char *help)
{
	if (g_str_has_prefix(candidate, word))
		(void)fprintf(out, "%s\t%s\n", candidate, help);
}

static void complete_commands(const struct cmd *group, const char *word, FILE *out)
{
	FOREACH_SUB(s, group)
	if (!(s->flags & CMD_HIDDEN))
		put_candidate(out, word, s->name, s->brief);
	if (*word == '-')
		put_candidate(out, word, "--help", "show this help");
}

static void complete_option_name(const struct cmd *cmd, const char *word, FILE *out)
{
	FOREACH_OPT(o, cmd)
	{
		char letter[] = { '-', o->letter, '\0' };
		g_autofree char *name = NULL;

		if (o->type == OPT_T_GROUP)
			continue;
		name = o->name ? g_strconcat("--", o->name, NULL) : g_strdup(letter);
		put_candidate(out, word, name, o->help);
	}
	put_candidate(out, word, "--help", "show this help");
}

/* The row whose value is the word after this one, or NULL. */
static const struct opt *awaits_value(const struct cmd *cmd, const char *word)
{
	if (word[0] == '-' && word[1] == '-') {
		const struct opt *o = opt_by_name(cmd, word + 2, strlen(word + 2));

		return o && opt_takes_value(o) ? o : NULL;
	}
	for (word++; *word; word++) {
		const struct opt *o = opt_by_letter(cmd, *word);

		if (!o)
			return NULL;
		if (opt_takes_value(o))
			return word[1] ? NULL : o;
	}
	return NULL;
}

static void complete_operand(
	struct ctx *c, const struct cmd *cmd, int n_before, const char *word, FILE *out)
{
	if (cmd->max_operands >= 0 && n_before >= cmd->max_operands)
		return;
	/* the guest's own command line: its files aren't ours, but the shell's are a fair guess */
	if ((cmd->flags & CMD_STOP_AT_OPERAND) && n_before > 0)
		(void)fputs(FILES_LINE, out);
	else
		run_completer(c, cmd->complete, word, "", out);
}

/* argv: the words after the command's name, the last being completed. */
static void complete_command(struct ctx *c, const struct cmd *cmd, int argc, char **argv, FILE *out)
{
	const char *word = argv[argc - 1], *equals;
	const struct opt *value_of = NULL;
	bool options = true;
	int operands = 0;

	for (int i = 0; i < argc - 1; i++) {
		if (value_of) {
			value_of = NULL;
		} else if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			value_of = awaits_value(cmd, argv[i]);
		} else {
			operands++;
			if (cmd->flags & CMD_STOP_AT_OPERAND)
				options = false;
		}
	}
	equals = strchr(word, '=');
	if (value_of) {
		run_completer(c, value_of->complete, word, "", out);
	} else if (options && g_str_has_prefix(word, "--") && equals) {
		const struct opt *o = opt_by_name(cmd, word + 2, (size_t)(equals - word - 2));
		g_autofree char *prefix = g_strndup(word, (gsize)(equals + 1 - word));

		if (o && opt_takes_value(o))
			run_completer(c, o->complete, equals + 1, prefix, out);
	} else if (options && *word == '-') {
		complete_option_name(cmd, word, out);
	} else {
		complete_operand(c, cmd, operands, word, out);
	}
}

void cmd_complete(struct ctx *c, const struct cmd *root, int argc, char **argv, FILE *out)
{
	const struct cmd *at = root;
	int i = 1;

	if (argc < 2)
		return;
	while (at->sub && i < argc - 1) {
		const struct cmd *sub = cmd_sub(at, argv[i++]);

		if (!sub)
			return;
		at = sub;
	}
	if (at->sub)
		complete_commands(at, argv[argc - 1], out);
	else
		complete_command(c, at, argc - i, argv + i, out);
}

/* --- the scripts: @ is the program's name ------------------------------------------------------------ */

/*
 * bash splits words at "=" and ":" too and replaces only the last part, so the script splits the line at
 * blanks itself and takes off of each candidate what stands before the last of these.
 */
static const char bash_script[] =
	"# bash completion for @\n"
	"_@_complete()\n"
	"{\n"
	"	local line=${COMP_LINE:0:COMP_POINT} cur keep candidate words\n"
	"	read -ra words <<<\"$line\"\n"
	"	[[ $line == *[[:blank:]] ]] && words+=('')\n"
	"	cur=${words[${#words[@]}-1]}\n"
	"	keep=${cur%\"${cur##*[=:]}\"}\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r candidate; do\n"
	"		if [[ $candidate == :files ]]; then\n"
	"			compopt -o filenames 2>/dev/null\n"
	"			while IFS= read -r candidate; do\n"
	"				COMPREPLY+=(\"$candidate\")\n"
	"			done < <(compgen -f -- \"${cur#\"$keep\"}\")\n"
	"			continue\n"
	"		fi\n"
	"		candidate=${candidate%%$'\\t'*}\n"
	"		COMPREPLY+=(\"${candidate#\"$keep\"}\")\n"
	"	done < <(\"${words[0]}\" completion --words -- \"${words[@]}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _@_complete @\n";

static const char zsh_script[] = "#compdef @\n"
				 "_@() {\n"
				 "	local line word help\n"
				 "	local -a rows plain\n"
				 "	while IFS= read -r line; do\n"
				 "		if [[ $line == :files ]]; then\n"
				 "			[[ $PREFIX == --*=* ]] && compset -P '*='\n"
				 "			_files\n"
				 "			continue\n"
				 "		fi\n"
				 "		word=${line%%$'\\t'*}\n"
				 "		help=${line#*$'\\t'}\n"
				 "		if [[ $word == $line ]]; then\n"
				 "			plain+=(\"$word\")\n"
				 "		else\n"
				 "			rows+=(\"${word//:/\\\\:}:$help\")\n"
				 "		fi\n"
				 "	done < <(\"${words[1]}\" completion --words -- "
				 "\"${(@)words[1,CURRENT]}\" 2>/dev/null)\n"
				 "	(( $#plain )) && compadd -- \"${plain[@]}\"\n"
				 "	(( $#rows )) && _describe '@' rows\n"
				 "	return 0\n"
				 "}\n"
				 "if [[ $funcstack[1] == _@ ]]; then\n"
				 "	_@ \"$@\"\n"
				 "else\n"
				 "	compdef _@ @\n"
				 "fi\n";

static const char fish_script[] =
	"# fish completion for @\n"
	"function __@_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	set -l current (commandline -ct)\n"
	"	for line in ($words[1] completion --words -- $words 2>/dev/null)\n"
	"		if test \"$line\" = ':files'\n"
	"			__fish_complete_path (string replace -r '^--[^=]*=' '' -- "
	"$current)\n"
	"		else\n"
	"			printf '%s\\n' $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c @ -f -a '(__@_complete)'\n";

int cmd_completion(const struct cmd *root, const char *shell, FILE *out, struct err *e)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {
		{ "bash", bash_script },
		{ "zsh", zsh_script },
		{ "fish", fish_script },
	};

	for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
		g_auto(GStrv) parts = NULL;

		if (strcmp(shell, scripts[i].shell) != 0)
			continue;
		/* "$@" is the only other use of the sign */
		parts = g_strsplit(scripts[i].script, "@", -1);
		for (char **p = parts; *p; p++) {
			bool kept = g_str_has_suffix(*p, "[") || g_str_has_suffix(*p, "$") ||
				    g_str_has_suffix(*p, "(");

			(void)fputs(*p, out);
			if (p[1])
				(void)fputs(kept ? "@" : root->name, out);
		}
		return 0;
	}
	err_set(e, -E_INVALID, "unknown shell '%s'", shell);
	err_mend(e, "one of bash, zsh, fish");
	return -E_INVALID;
}
