/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "base/opt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct args {
	bool flag, other;
	char *text;
	char **list;
	int64_t n, size, time;
	int tristate;
};

static const struct opt opts[] = {
	OPT_FLAG('f', "flag", struct args, flag, "a flag"),
	OPT_FLAG('o', "flag-other", struct args, other, "another"),
	OPT_STRING('s', "string", struct args, text, "TEXT", complete_file, "a string"),
	OPT_GROUP("lists and numbers"),
	OPT_LIST('l', "list", struct args, list, "ITEM", complete_none, "a list"),
	OPT_INT('n', "number", struct args, n, "N", "a number"),
	OPT_SIZE(0, "size", struct args, size, "BYTES", "a size"),
	OPT_TIME(0, "time", struct args, time, "TIME", "a time"),
	OPT_TRISTATE('t', "tristate", struct args, tristate, "a choice"),
	OPT_END,
};

static int run(struct cmd_call *call, struct err *e)
{
	return 0;
}

static void parse(const struct opt_policy *policy, unsigned flags, int argc, char **argv)
{
	struct cmd cmd = {
		.name = "c",
		.run = run,
		.opts = opts,
		.args_size = sizeof(struct args),
		.max_operands = 5,
		.flags = flags,
	};
	struct args args = {};
	char **operands;
	struct err e = {};
	int n, r;

	r = opt_parse(&cmd, policy, argc, argv, &args, &operands, &n, &e);
	g_assert(r == 0 || r == 1 || (r < 0 && e.code == r && *e.text));
	g_assert((r == 0) == (operands != NULL));
	if (r == 0) {
		g_assert(n <= 5 && n == (int)g_strv_length(operands));
		g_assert(args.tristate >= -1 && args.tristate <= 1);
	}
	g_strfreev(operands);
	opt_args_clear(&cmd, &args);
	g_assert(!args.text && !args.list);
}

/* The words of a command line, one on each line of the input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strdup_printf("c\n%.*s", (int)size, (const char *)data);
	g_auto(GStrv) argv = g_strsplit(text, "\n", -1);
	int argc = (int)g_strv_length(argv);
	const struct cmd cmd = {
		.name = "c",
		.run = run,
		.opts = opts,
		.args_size = sizeof(struct args),
		.brief = "do it",
		.max_operands = -1,
	};
	FILE *null;

	if (size > 4096)
		return 0;
	parse(&opt_policy_pflag, 0, argc, argv);
	parse(&opt_policy_pflag, CMD_STOP_AT_OPERAND, argc, argv);
	parse(&opt_policy_getopt, 0, argc, argv);
	null = fopen("/dev/null", "w");
	if (null) {
		cmd_complete(NULL, &cmd, argc, argv, null);
		(void)fclose(null);
	}
	return 0;
}
