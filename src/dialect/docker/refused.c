/* SPDX-License-Identifier: MIT */
#include "dialect/docker/refused.h"

void refused_session(struct call *c)
{
	api_error(c, 501, "sessions are for BuildKit, which is not here; set DOCKER_BUILDKIT=0");
}

void refused_build(struct call *c)
{
	api_error(c, 501,
		"build is not supported yet: image build (Dockerfile) will do it; until then "
		"import or commit makes images");
}

void no_build_cache(struct call *c)
{
	api_json(c, 200, json_pack("{s:n, s:i}", "CachesDeleted", "SpaceReclaimed", 0));
}

void refused_swarm(struct call *c)
{
	api_error(c, 503, NOT_A_MANAGER);
}

void refused_swarm_mode(struct call *c)
{
	api_error(c, 501, "swarm is not supported: this host can't become a part of one");
}

void refused_no_swarm(struct call *c)
{
	api_error(c, 503, "This node is not part of a swarm");
}

void refused_plugin(struct call *c)
{
	api_error(c, 501,
		"plugins are not supported: volumes, networks and logs have drivers built in");
}

void no_plugins(struct call *c)
{
	api_json(c, 200, json_array());
}

void no_such_plugin(struct call *c)
{
	api_error(c, 404, "plugin \"%s\" not found", c->args[0] ? c->args[0] : "");
}
