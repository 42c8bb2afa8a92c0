/* SPDX-License-Identifier: MIT */
/* The Engine API's paths: one row each, the version that brought it in its flags. */

#include "dialect/docker/api.h"

const struct route docker_routes[] = {
	{ "GET", "/_ping", .start = system_ping },
	{ "GET", "/version", .work = system_version },
	{ NULL },
};
