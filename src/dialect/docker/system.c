/* SPDX-License-Identifier: MIT */
/* The API's section "System". */

#include <sys/utsname.h>
#include "base/units.h"
#include "dialect/docker/api.h"
#include "image/image.h"

void system_ping(struct call *c)
{
	reply_header(&c->reply, "Builder-Version", "1");
	reply_header(&c->reply, "Swarm", "inactive");
	reply_header(&c->reply, "Cache-Control", "no-cache, no-store, must-revalidate");
	reply_header(&c->reply, "Pragma", "no-cache");
	reply_text(&c->reply, 200, "text/plain; charset=utf-8", "OK");
	c->reply.len = 2;
}

void system_version(struct call *c)
{
	struct utsname u;

	(void)uname(&u);
	api_json(c, 200,
		json_pack("{s:{s:s}, s:[{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s}}], s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
			"Platform", "Name", "Lodge", "Components", "Name", "Engine", "Version",
			LODGE_VERSION, "Details", "ApiVersion", DOCKER_API_MAX, "Arch",
			image_arch(), "KernelVersion", u.release, "MinAPIVersion", DOCKER_API_MIN,
			"Os", "linux", "GitCommit", "", "Version", DOCKER_VERSION, "ApiVersion",
			DOCKER_API_MAX, "MinAPIVersion", DOCKER_API_MIN, "GitCommit", "", "Os",
			"linux", "Arch", image_arch(), "KernelVersion", u.release));
}
