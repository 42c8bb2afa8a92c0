/* SPDX-License-Identifier: MIT */
/* logs: docker-cli's reference, "container logs". */

#include <unistd.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"

struct logs_args {
	bool follow, timestamps;
	char *since, *until, *tail;
};

static const struct opt logs_opts[] = { OPT_FLAG('f', "follow", struct logs_args, follow,
						"go on with what comes"),
	OPT_FLAG('t', "timestamps", struct logs_args, timestamps, "the time before each line"),
	OPT_STRING('n', "tail", struct logs_args, tail, "LINES", complete_none,
		"only so many lines of the end, or all"),
	OPT_STRING(0, "since", struct logs_args, since, "TIME", complete_none,
		"only lines since then: a time, or 10m"),
	OPT_STRING(0, "until", struct logs_args, until, "TIME", complete_none,
		"only lines before then"),
	OPT_END };

static int moment(const char *text, const char *opt, int64_t *ret, struct err *e)
{
	if (text && units_parse_moment(text, g_get_real_time() * 1000, ret) < 0)
		return err_set(
			e, -E_INVALID, "invalid value for --%s: '%s' is not a time", opt, text);
	return 0;
}

static int logs_run(struct cmd_call *call, struct err *e)
{
	const struct logs_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	struct guest_log_query q = { .follow = a->follow,
		.timestamps = a->timestamps,
		.out = true,
		.err = true,
		.tail = -1 };
	int r;

	r = moment(a->since, "since", &q.since, e);
	if (r >= 0)
		r = moment(a->until, "until", &q.until, e);
	if (r >= 0 && a->tail && !g_str_equal(a->tail, "all") &&
		units_parse_int(a->tail, -1, INT64_MAX, &q.tail) < 0)
		r = err_set(
			e, -E_INVALID, "invalid value for --tail: '%s' is not a number", a->tail);
	if (r >= 0)
		r = guest_get(call->c, NULL, call->operands[0], &g, e);
	return r < 0 ? r : guest_logs(call->c, g, &q, STDOUT_FILENO, STDERR_FILENO, e);
}

const struct cmd lodge_logs = {
	CMD_FILE,
	.name = "logs",
	.run = logs_run,
	.opts = logs_opts,
	.args_size = sizeof(struct logs_args),
	.brief = "show what a guest has written",
	.synopsis = "[OPTIONS] GUEST",
	.examples = "lodge logs -f --tail 10 web   # the last lines, and what comes\n",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_guest,
};
