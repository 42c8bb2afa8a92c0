/* SPDX-License-Identifier: MIT */
/* doctor: what this host offers and lacks. */

#include <string.h>
#include "dialect/lodge/lodge.h"
#include "guest/doctor.h"

struct doctor_args {
	char *format;
};

static const struct opt doctor_opts[] = { OPT_STRING(0, "format", struct doctor_args, format,
						  "FORMAT", complete_none, "json"),
	OPT_END };

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key)) ?: "";
}

static int doctor_main(struct cmd_call *call, struct err *e)
{
	const struct doctor_args *a = call->args;
	json_t *all = NULL, *one;
	bool bad = false;
	size_t i;
	int r;

	if (a->format && !g_str_equal(a->format, "json"))
		return err_set(e, -E_USAGE, "invalid format '%s': there is json", a->format);
	r = doctor_run(call->c, &all, e);
	if (r < 0)
		return r;
	json_array_foreach(all, i, one) {
		const char *mend = text_of(one, "mend");

		bad |= g_str_equal(text_of(one, "status"), "fail");
		if (a->format)
			continue;
		printf("%-5s %s: %s\n", text_of(one, "status"), text_of(one, "name"),
			text_of(one, "detail"));
		if (*mend)
			printf("      mend: %s\n", mend);
	}
	if (a->format) {
		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	json_decref(all);
	return bad;
}

const struct cmd lodge_doctor = {
	CMD_FILE,
	.name = "doctor",
	.run = doctor_main,
	.opts = doctor_opts,
	.args_size = sizeof(struct doctor_args),
	.brief = "what this host offers and lacks, with the mend",
	.synopsis = "[OPTIONS]",
	.details = "Ends with 1 when something is missing without which guests can't run.",
	.flags = CMD_READS_ONLY,
};
