/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_SYSTEM_H
#define LODGE_DOCKER_SYSTEM_H

/* The API's section "System", but for what api.h has. */

#include "dialect/docker/api.h"

void system_info(struct call *c);		    /* system-info.c */
void system_df(struct call *c);			    /* system-df.c */
void system_events(struct call *c, struct link *l); /* events.c */

#endif
