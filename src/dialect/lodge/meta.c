/* SPDX-License-Identifier: MIT */
/* Commands about commands: explain, where, applets, completion, manual, version. */

#include <string.h>
#include "dialect/lodge/lodge.h"

/* Walks the tree by names; *ret_n: how many of words it took. NULL: the first isn't a command. */
static const struct cmd *find_command(char *const *words, int *ret_n)
{
	const struct cmd *at = &lodge_root;

	*ret_n = 0;
	while (at->sub && words[*ret_n]) {
		const struct cmd *next = NULL;

		for (const struct cmd *const *s = at->sub; *s && !next; s++) {
			g_auto(GStrv) aliases =
				(*s)->aliases ? g_strsplit((*s)->aliases, " ", -1) : NULL;

			if (g_str_equal((*s)->name, words[*ret_n]) ||
				(aliases && g_strv_contains(
						    (const char *const *)aliases, words[*ret_n])))
				next = *s;
		}
		if (!next)
			return at == &lodge_root ? NULL : at;
		at = next;
		++*ret_n;
	}
	return at;
}

/* --- explain ------------------------------------------------------------------------------------------------ */

static int explain_run(struct cmd_call *call, struct err *e)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const struct cmd *cmd;
	int n, status;

	for (const struct applet *a = applets; a->name; a++)
		if (a->explain && g_str_equal(a->name, call->operands[0]))
			return a->explain(call->n_operands, call->operands);
	cmd = find_command(call->operands, &n);
	if (cmd && cmd->run && (cmd->flags & CMD_READS_ONLY)) {
		printf("# %s changes nothing on this host\n", call->operands[n - 1]);
		return 0;
	}
	g_ptr_array_add(argv, (char *)"lodge");
	for (char **o = call->operands; *o; o++)
		g_ptr_array_add(argv, *o);
	g_ptr_array_add(argv, NULL);
	call->c->explain = true;
	status = cmd_main(call->c, &lodge_root, &opt_policy_pflag, lodge_exit_status,
		(int)argv->len - 1, (char **)argv->pdata);
	call->c->explain = false;
	return status;
}

const struct cmd lodge_explain = {
	CMD_FILE,
	.name = "explain",
	.run = explain_run,
	.brief = "show what a command would do to the host, as commands",
	.synopsis = "COMMAND [ARGUMENT...]",
	.details = "Nothing is changed, and root is not needed.",
	.examples =
		"lodge explain run -p 8080:80 nginx   # every mount, rule and limit\n"
		"lodge explain runc run -b bundle c1  # of the other programs that lodge is, too\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.complete = complete_command,
};

/* --- where --------------------------------------------------------------------------------------------------- */

static int where_run(struct cmd_call *call, struct err *e)
{
	char *const *words = call->operands;
	const struct cmd *cmd;
	const char *file;
	int n;

	if (g_str_equal(words[0], "lodge"))
		words++;
	cmd = *words ? find_command(words, &n) : &lodge_root;
	if (*words && (!cmd || words[n])) {
		g_autofree char *all = g_strjoinv(" ", (char **)(uintptr_t)words);

		return err_set(e, -E_NOTFOUND, "no such command '%s'", all);
	}
	file = cmd->file;
	while (g_str_has_prefix(file, "../"))
		file += 3;
	printf("%s\n", file);
	return 0;
}

const struct cmd lodge_where = {
	CMD_FILE,
	.name = "where",
	.run = where_run,
	.brief = "the source file of a command",
	.synopsis = "COMMAND...",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_command,
};

/* --- applets, completion, manual, version ----------------------------------------------------------------------- */

static int applets_run(struct cmd_call *call, struct err *e)
{
	for (const struct applet *a = applets; a->name; a++)
		printf("%-12s %s\n", a->name, a->brief);
	return 0;
}

const struct cmd lodge_applets = {
	CMD_FILE,
	.name = "applets",
	.run = applets_run,
	.brief = "the names that this program answers to",
	.synopsis = "",
	.flags = CMD_READS_ONLY,
};

struct completion_args {
	bool words;
};

static const struct opt completion_opts[] = {
	OPT_FLAG(0, "words", struct completion_args, words,
		"candidates for the last of the words that follow"),
	OPT_END
};

static int completion_run(struct cmd_call *call, struct err *e)
{
	const struct completion_args *a = call->args;

	if (a->words) {
		cmd_complete(call->c, &lodge_root, call->n_operands, call->operands, stdout);
		return 0;
	}
	if (call->n_operands != 1)
		return err_set(e, -E_USAGE, "one shell is needed: bash, zsh or fish");
	return cmd_completion(&lodge_root, call->operands[0], stdout, e);
}

const struct cmd lodge_completion = {
	CMD_FILE,
	.name = "completion",
	.run = completion_run,
	.opts = completion_opts,
	.args_size = sizeof(struct completion_args),
	.brief = "the script that makes a shell complete our words",
	.synopsis = "bash|zsh|fish",
	.examples = "source <(lodge completion bash)   # for this shell\n",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_shell,
};

struct manual_args {
	bool json;
};

static const struct opt manual_opts[] = { OPT_FLAG(0, "json", struct manual_args, json,
						  "all commands and options for programs"),
	OPT_END };

static int manual_run(struct cmd_call *call, struct err *e)
{
	const struct manual_args *a = call->args;

	if (a->json)
		cmd_json(&lodge_root, stdout);
	else
		cmd_manual(&lodge_root, stdout);
	return 0;
}

const struct cmd lodge_manual = {
	CMD_FILE,
	.name = "manual",
	.run = manual_run,
	.opts = manual_opts,
	.args_size = sizeof(struct manual_args),
	.brief = "the manual page, as roff",
	.synopsis = "[OPTIONS]",
	.examples = "lodge manual | man -l -   # to read it\n",
	.flags = CMD_READS_ONLY,
};

static int version_run(struct cmd_call *call, struct err *e)
{
	printf("lodge %s\n", LODGE_VERSION);
	return 0;
}

const struct cmd lodge_version = {
	CMD_FILE,
	.name = "version",
	.run = version_run,
	.brief = "the version of this program",
	.synopsis = "",
	.flags = CMD_READS_ONLY,
};
