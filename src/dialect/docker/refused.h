/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_REFUSED_H
#define LODGE_DOCKER_REFUSED_H

/* Sections of the API that aren't here, each with one clear answer. All are a route's start(). */

#include "dialect/docker/api.h"

#define NOT_A_MANAGER                                                                              \
	"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to " \
	"connect this node to swarm and try again."

void refused_session(struct call *c); /* BuildKit's connection */
void refused_build(struct call *c);
void no_build_cache(struct call *c);	 /* there is none, so nothing is pruned */
void refused_swarm(struct call *c);	 /* what a manager would answer */
void refused_swarm_mode(struct call *c); /* becoming a part of a swarm */
void refused_no_swarm(struct call *c);	 /* what a part of one would answer */
void refused_plugin(struct call *c);
void no_plugins(struct call *c); /* the empty list */
void no_such_plugin(struct call *c);

#endif
