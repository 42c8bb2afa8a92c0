/* SPDX-License-Identifier: MIT */
#include "dialect/runc/link.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"

#define STATUS_ABSENT 127

static int execute(char **argv)
{
	g_autofree char *program = NULL;
	struct ctx c;
	int r;

	ctx_init(&c);
	program = ctx_program(&c, "lodge-runc");
	ctx_done(&c);
	r = RET_NERRNO(execv(program, argv));
	(void)fprintf(stderr, "lodge: cannot execute '%s': %s\n", program, err_words(r));
	return STATUS_ABSENT;
}

int runc_link_main(int argc, char **argv)
{
	return execute(argv);
}

int runc_link_explain(int argc, char **argv)
{
	g_autofree char **with = g_new0(char *, (size_t)argc + 2);

	with[0] = (char *)"explain";
	memcpy(with + 1, argv, (size_t)argc * sizeof(*argv));
	return execute(with);
}
