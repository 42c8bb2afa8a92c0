/* SPDX-License-Identifier: MIT */
/* The Engine API's paths: one row each, the version that brought it in its flags. */

#include "dialect/docker/api.h"
#include "dialect/docker/container.h"

const struct route docker_routes[] = {
	/* system.c */
	{ "GET", "/_ping", .start = system_ping },
	{ "GET", "/version", .work = system_version },
	/* container*.c, archive.c, stats.c, stream.c, wait.c */
	{ "GET", "/containers/json", .work = container_list },
	{ "POST", "/containers/create", .start = api_body, .work = container_create },
	{ "POST", "/containers/prune", .work = container_prune, .flags = 25 },
	{ "GET", "/containers/{}/json", .work = container_get },
	{ "GET", "/containers/{}/top", .work = container_top },
	{ "GET", "/containers/{}/changes", .work = container_changes },
	{ "POST", "/containers/{}/start", .start = api_body, .work = container_start },
	{ "POST", "/containers/{}/kill", .work = container_kill },
	{ "POST", "/containers/{}/rename", .work = container_rename },
	{ "POST", "/containers/{}/update", .start = api_body, .work = container_update },
	{ "POST", "/containers/{}/pause", .work = container_pause },
	{ "POST", "/containers/{}/unpause", .work = container_unpause },
	{ "POST", "/containers/{}/resize", .work = container_resize },
	{ "DELETE", "/containers/{}", .work = container_delete },
	{ "POST", "/containers/{}/stop", .take = container_stop },
	{ "POST", "/containers/{}/restart", .take = container_restart },
	{ "POST", "/containers/{}/wait", .take = container_wait },
	{ "GET", "/containers/{}/logs", .take = container_logs },
	{ "POST", "/containers/{}/attach", .take = container_attach },
	{ "GET", "/containers/{}/stats", .start = container_stats, .tick = container_stats_tick, .end = container_stats_end },
	{ "GET", "/containers/{}/export", .take = container_export },
	{ "HEAD", "/containers/{}/archive", .work = container_archive_head },
	{ "GET", "/containers/{}/archive", .take = container_archive_get },
	{ "PUT", "/containers/{}/archive", .take = container_archive_put },
	/* exec.c */
	{ "POST", "/containers/{}/exec", .start = api_body, .work = exec_create },
	{ "POST", "/exec/{}/start", .take = exec_start },
	{ "POST", "/exec/{}/resize", .work = exec_resize },
	{ "GET", "/exec/{}/json", .work = exec_get },
	{ NULL },
};
