/* SPDX-License-Identifier: MIT */
#ifndef LODGE_OPT_H
#define LODGE_OPT_H

/*
 * Commands and options as tables. One row gives parsing, --help, shell completion, the manual's
 * OPTIONS section and the machine-readable description.
 *
 *	struct ps_args { bool all; char **filter; };
 *	static const struct opt ps_opts[] = {
 *		OPT_FLAG('a', "all", struct ps_args, all, "show all guests"),
 *		OPT_LIST('f', "filter", struct ps_args, filter, "FILTER", complete_none, "only those"),
 *		OPT_END
 *	};
 *	const struct cmd cmd_ps = { .name = "ps", .run = ps_run, .opts = ps_opts,
 *		.args_size = sizeof(struct ps_args), .brief = "list guests", .synopsis = "[OPTIONS]" };
 */

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/err.h"

struct ctx;
struct cmd;

enum opt_type {
	OPT_T_END,
	OPT_T_FLAG,   /* bool; "--x", "--x=false" where the policy has it */
	OPT_T_STRING, /* char *, g_free'd by opt_args_clear */
	OPT_T_LIST,   /* char **, NULL-terminated, appended at each use */
	OPT_T_INT,    /* int64_t */
	OPT_T_SIZE,   /* int64_t bytes: "512m", "1g" (units.h) */
	OPT_T_TIME,   /* int64_t nanoseconds: "1m30s", "10" is seconds (units.h) */
	OPT_T_TRISTATE, /* int: -1 not given, 0, 1; value optional */
	OPT_T_GROUP,  /* a heading in the help */
	_OPT_T_MAX,
};

/* Writes candidates for the word, one a line, with a tab and a description after it if there is one. It
 * may ignore word: what doesn't start with it is left out by the caller. */
typedef void (*completer)(struct ctx *c, const char *word, FILE *out);

struct opt {
	char letter;	 /* 0: none */
	const char *name; /* long */
	enum opt_type type;
	size_t offset;
	const char *metavar; /* one word, capitals; NULL for flags */
	completer complete;  /* for options with a value */
	const char *help;    /* lower case, no full stop */
};

/* The compile-time check that the field has the row's type. */
#define OPT_FIELD(S, f, T) (offsetof(S, f) + 0 * sizeof(struct { int ok : __builtin_types_compatible_p(__typeof__(((S *)0)->f), T) ? 1 : -1; }))
#define OPT_FLAG(l, n, S, f, h) { l, n, OPT_T_FLAG, OPT_FIELD(S, f, bool), NULL, NULL, h }
#define OPT_TRISTATE(l, n, S, f, h) { l, n, OPT_T_TRISTATE, OPT_FIELD(S, f, int), NULL, NULL, h }
#define OPT_STRING(l, n, S, f, m, c, h) { l, n, OPT_T_STRING, OPT_FIELD(S, f, char *), m, c, h }
#define OPT_LIST(l, n, S, f, m, c, h) { l, n, OPT_T_LIST, OPT_FIELD(S, f, char **), m, c, h }
#define OPT_INT(l, n, S, f, m, h) { l, n, OPT_T_INT, OPT_FIELD(S, f, int64_t), m, complete_none, h }
#define OPT_SIZE(l, n, S, f, m, h) { l, n, OPT_T_SIZE, OPT_FIELD(S, f, int64_t), m, complete_none, h }
#define OPT_TIME(l, n, S, f, m, h) { l, n, OPT_T_TIME, OPT_FIELD(S, f, int64_t), m, complete_none, h }
#define OPT_GROUP(h) { 0, NULL, OPT_T_GROUP, 0, NULL, NULL, h }
#define OPT_END { 0, NULL, OPT_T_END, 0, NULL, NULL, NULL }

/* Completers that know no objects. Those for guests, images, ... are the dialect's. */
void complete_none(struct ctx *c, const char *word, FILE *out);
void complete_file(struct ctx *c, const char *word, FILE *out); /* tells the shell to complete files */

/* How a dialect's command line reads. */
struct opt_policy {
	const char *name;
	bool interspersed;     /* options after operands too, unless the command says stop_at_operand */
	bool flag_values;      /* "--all=false" (pflag) */
	bool abbreviate;       /* "--verb" for "--verbose" (getopt_long) */
	bool cluster_values;   /* "-itw/tmp" */
	const char *bad_usage; /* second line of a usage error; %s is the command's full name; NULL: none */
	bool plain_errors;     /* without the program's name before them */
	bool go_words;	       /* what is wrong with a value, in the words of Go's strconv */
	bool uncounted;	       /* opt_parse() doesn't count operands: the dialect has words of its own */
	/* Refuses a value of a row; e has the reason alone. NULL: whatever the type takes. */
	int (*check)(const struct opt *o, const char *value, struct err *e);
	int usage_status;      /* exit status of a usage error: docker 125, getopt tools 1 or 2 */
};
extern const struct opt_policy opt_policy_pflag;  /* docker, lodge: 125 */
extern const struct opt_policy opt_policy_getopt; /* GNU getopt_long: 1 */

struct cmd_call {
	struct ctx *c;
	const struct cmd *cmd;
	const char *full_name; /* "lodge image ls" */
	void *args;	       /* the command's struct, filled */
	char **operands;       /* NULL-terminated */
	int n_operands;
};

enum {
	CMD_STOP_AT_OPERAND = 1 << 0, /* what follows the first operand is a guest's command line */
	CMD_READS_ONLY = 1 << 1,      /* explain has nothing to show */
	CMD_HIDDEN = 1 << 2,
};

struct cmd {
	const char *name;
	int (*run)(struct cmd_call *call, struct err *e); /* exit status >= 0, or a code and e */
	const struct opt *opts;	  /* NULL: none */
	size_t args_size;
	const char *brief;	  /* one line, lower case */
	const char *synopsis;	  /* what follows the name: "[OPTIONS] IMAGE [COMMAND [ARG...]]" */
	const char *details;	  /* paragraphs for --help and the manual, or NULL */
	const char *examples;	  /* lines "command   # what it does", or NULL */
	int min_operands, max_operands; /* max -1: any number */
	unsigned flags;
	void (*defaults)(void *args); /* changes what stands before parsing: zero, tristates -1; strings
					 from g_strdup */
	completer complete;	  /* of operands */
	const struct cmd *const *sub; /* a group: NULL-terminated; run is NULL */
	const char *aliases;	  /* names by blank: "list ps" */
	const char *file;	  /* __FILE__ of the row, for "lodge where" */
};
/* Every row begins with it. */
#define CMD_FILE .file = __FILE__

/* Parses argv[1..] for cmd. args must be zeroed memory of args_size. Returns 0; 1 when --help was asked
 * (what follows isn't looked at; *ret_operands is NULL); a code with e on a usage error. *ret_operands:
 * g_strfreev. In every case the caller calls opt_args_clear. "-h" asks for help where no row has the letter.
 * A string that is given twice keeps the last value. The count of operands is checked too. */
int opt_parse(const struct cmd *cmd, const struct opt_policy *policy, int argc, char **argv, void *args,
	char ***ret_operands, int *ret_n, struct err *e);
void opt_args_clear(const struct cmd *cmd, void *args);

/* Finds the command by walking argv through groups, parses and runs it, prints help when asked. Errors
 * are printed as "PROGRAM: text; mend", the policy's second line after a usage error. Returns the exit
 * status: the command's own, the policy's for usage errors (E_USAGE, whoever returns it), exit_status(code)
 * for others. "help [COMMAND...]" is a command of every group that has none of its own; "--version" and "-v"
 * of the root are its command "version". Output that can't be written is an error. */
int cmd_main(struct ctx *c, const struct cmd *root, const struct opt_policy *policy,
	int (*exit_status)(int code), int argc, char **argv);

/* The forms that a table has. full_name as in cmd_call. */
void cmd_help(const struct cmd *cmd, const char *full_name, FILE *out);	/* at most 80 columns */
void cmd_manual(const struct cmd *root, FILE *out);	     /* a manual page in roff, of all commands */
void cmd_json(const struct cmd *root, FILE *out);	     /* all commands and options */
/* The script for "bash", "zsh" or "fish"; returns -E_INVALID for other shells. The scripts run
 * "NAME completion --words -- WORDS...", WORDS being the line up to the cursor, the program first. */
int cmd_completion(const struct cmd *root, const char *shell, FILE *out, struct err *e);
/* What that answers: candidates for the last of argv, argv[0] being the program. A candidate a line, with a
 * tab and its description where there is one; the line ":files" asks the shell for names of files. */
void cmd_complete(struct ctx *c, const struct cmd *root, int argc, char **argv, FILE *out);

/* Checks a whole tree: no duplicate letters or names, help there and in house form, metavar one word,
 * completer for each option with a value, fields inside the struct, help of 80 columns. Returns the number of faults, a line each to out. For tests. */
int cmd_selftest(const struct cmd *root, FILE *out);

#endif
