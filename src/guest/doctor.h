/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCTOR_H
#define LODGE_DOCTOR_H

/* What this host offers and lacks, each with the mend: host/probe.h, and our own parts. */

#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"

/* An array of {"name", "status": "ok"|"warn"|"fail", "detail", "mend"} ("mend" is "" where nothing is to be
 * done), in the order to show them. Caller owns *ret. Changes nothing on the host. */
int doctor_run(struct ctx *c, json_t **ret, struct err *e);

#endif
