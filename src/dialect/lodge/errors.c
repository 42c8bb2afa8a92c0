/* SPDX-License-Identifier: MIT */
/* The core's codes as our exit statuses. */

#include "dialect/lodge/lodge.h"

#define STATUS_FAILED 1
#define STATUS_RUN    125 /* lodge itself failed, docker-cli's reference, "container run" */
#define STATUS_NOEXEC 126
#define STATUS_ABSENT 127

/* Beyond all codes: "whatever the code was, the status is this". */
#define CODE_STATUS 100000

int lodge_exit_status(int code)
{
	if (code <= -CODE_STATUS)
		return -code - CODE_STATUS;
	switch (-code) {
	case E_COMMAND_NOTFOUND:
		return STATUS_ABSENT;
	case E_COMMAND_NOEXEC:
		return STATUS_NOEXEC;
	default:
		return STATUS_FAILED;
	}
}

int run_failed(int code)
{
	int status = lodge_exit_status(code);

	if (code >= 0 || code == -E_USAGE)
		return code;
	return -CODE_STATUS - (status == STATUS_FAILED ? STATUS_RUN : status);
}

int print_failed(const struct err *e, int code)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "lodge: %s%s%s\n", e->text[0] ? e->text : err_words(code),
		e->mend[0] ? "; " : "", e->mend);
	return STATUS_FAILED;
}
