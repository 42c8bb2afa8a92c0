/* SPDX-License-Identifier: MIT */
/* docker version and docker info. */

#include <stdlib.h>
#include <string.h>
#include "base/tmpl.h"
#include "dialect/docker/cli.h"

struct version_args {
	char *format;
};
struct info_args {
	char *format;
};

/* --- version ------------------------------------------------------------------------------------------------------------ */

/* "2006-01-02T15:04:05.000000000+00:00" in the way of ANSI C. */
static char *build_time(const char *text)
{
	g_autoptr(GDateTime) t = g_date_time_new_from_iso8601(text, NULL);

	return t ? g_date_time_format(t, "%a %b %e %H:%M:%S %Y") : g_strdup(text);
}

static json_t *version_client(struct cmd_call *call, const char *api)
{
	const char *why;
	g_autofree char *context = cli_context_name(cli_of(call), &why);

	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "Version", DOCKER_VERSION,
		"ApiVersion", api, "DefaultAPIVersion", DOCKER_API_MAX, "GitCommit",
		"lodge-" LODGE_VERSION, "GoVersion", "", "Os", "linux", "Arch",
#ifdef __aarch64__
		"arm64",
#else
		"amd64",
#endif
		"BuildTime", "", "Context", context);
}

static const struct {
	const char *label, *detail;
} details[] = { { "Version", "Version" }, { "API version", "ApiVersion" },
	{ "Go version", "GoVersion" }, { "Git commit", "GitCommit" }, { "Built", "BuildTime" },
	{ "OS/Arch", "Os" }, { "Experimental", "Experimental" } };

static void show_engine(const json_t *c)
{
	json_t *d = json_object_get(c, "Details");

	for (size_t i = 0; i < G_N_ELEMENTS(details); i++) {
		g_autofree char *label = g_strdup_printf("%s:", details[i].label);
		g_autofree char *built = build_time(cli_text(d, "BuildTime"));

		if (strcmp(details[i].detail, "Version") == 0)
			printf("  %-17s %s\n", label, cli_text(c, "Version"));
		else if (strcmp(details[i].detail, "ApiVersion") == 0)
			printf("  %-17s %s (minimum version %s)\n", label,
				cli_text(d, "ApiVersion"), cli_text(d, "MinAPIVersion"));
		else if (strcmp(details[i].detail, "BuildTime") == 0)
			printf("  %-17s %s\n", label, built);
		else if (strcmp(details[i].detail, "Os") == 0)
			printf("  %-17s %s/%s\n", label, cli_text(d, "Os"), cli_text(d, "Arch"));
		else
			printf("  %-17s %s\n", label, cli_text(d, details[i].detail));
	}
}

static void show_server(const json_t *s)
{
	const char *platform = json_string_value(cli_at(s, "Platform.Name")) ?: "";
	json_t *c, *v;
	const char *key;
	size_t i;

	printf("\nServer:%s%s\n", *platform ? " " : "", platform);
	json_array_foreach(json_object_get(s, "Components"), i, c) {
		printf(" %s:\n", cli_text(c, "Name"));
		if (strcmp(cli_text(c, "Name"), "Engine") == 0) {
			show_engine(c);
			continue;
		}
		printf("  %-17s %s\n", "Version:", cli_text(c, "Version"));
		json_object_foreach(json_object_get(c, "Details"), key, v) {
			g_autofree char *label = g_strdup_printf("%s:", key);

			printf("  %-17s %s\n", label, json_string_value(v) ?: "");
		}
	}
}

static void show_client(const json_t *c)
{
	g_autofree char *downgraded = strcmp(cli_text(c, "ApiVersion"), DOCKER_API_MAX) == 0
					      ? g_strdup("")
					      : g_strdup(" (downgraded from " DOCKER_API_MAX ")");

	printf("Client:\n Version:           %s\n API version:       %s%s\n Git commit:        "
	       "%s\n OS/Arch:           %s/%s\n"
	       " Context:           %s\n",
		cli_text(c, "Version"), cli_text(c, "ApiVersion"), downgraded,
		cli_text(c, "GitCommit"), cli_text(c, "Os"), cli_text(c, "Arch"),
		cli_text(c, "Context"));
}

/* A document by docker's --format: "json", or a template. */
static int show_document(const json_t *j, const char *format, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	g_autoptr(GString) out = g_string_new(NULL);
	int r = tmpl_parse(strcmp(format, "json") == 0 ? "{{json .}}" : format, &t, e);

	if (r >= 0)
		r = tmpl_run(t, j, 0, out, e);
	if (r < 0)
		return err_prefix(e, "template parsing error");
	printf("%s\n", out->str);
	return 0;
}

static int version_run(struct cmd_call *call, struct err *e)
{
	const struct version_args *a = call->args;
	const char *format = a->format && *a->format ? a->format : NULL, *api;
	json_t *server = NULL, *both;
	struct client *cl;
	int r = cli_client(call, &cl, e), code;

	if (r < 0)
		return r;
	api = client_api(cl, e);
	code = api ? client_call(cl, "GET", "/version", NULL, &server, e) : -ECONNREFUSED;
	both = json_pack("{s:o,s:O?}", "Client", version_client(call, api ?: DOCKER_API_MAX),
		"Server", server);
	if (format && strcmp(format, "json") != 0) {
		/* Go's names of these members, which templates have */
		json_t *sides[] = { json_object_get(both, "Client"), server };

		for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
			json_object_set(
				sides[i], "APIVersion", json_object_get(sides[i], "ApiVersion"));
			json_object_set(sides[i], "MinAPIVersion",
				json_object_get(sides[i], "MinAPIVersion"));
		}
	}
	if (format) {
		r = show_document(both, format, e);
	} else {
		show_client(json_object_get(both, "Client"));
		if (server)
			show_server(server);
	}
	json_decref(both);
	json_decref(server);
	return r < 0 ? r : code < 0 ? code : 0;
}

/* clang-format off */
static const struct opt version_opts[] = {
	OPT_STRING('f', "format", struct version_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_version_cmd = {
	CMD_FILE,
	.name = "version",
	.run = version_run,
	.opts = version_opts,
	.args_size = sizeof(struct version_args),
	.brief = "Show the Docker version information",
	.synopsis = "[OPTIONS]",
};

/* --- info ----------------------------------------------------------------------------------------------------------------- */

static void put(const char *label, const char *value)
{
	if (*value)
		printf(" %s: %s\n", label, value);
}

static void put_number(const char *label, const json_t *j, const char *key)
{
	printf(" %s: %lld\n", label, (long long)cli_number(j, key));
}

static void put_flag(const char *label, const json_t *j, const char *key)
{
	printf(" %s: %s\n", label, json_is_true(json_object_get(j, key)) ? "true" : "false");
}

static void put_names(const char *label, const json_t *list)
{
	json_t *v;
	size_t i;

	if (!json_array_size(list))
		return;
	printf("  %s:", label);
	json_array_foreach((json_t *)list, i, v)
		printf(" %s", json_string_value(v));
	printf("\n");
}

/* "name=seccomp,profile=default" as two lines. */
static void put_security(const json_t *list)
{
	json_t *v;
	size_t i;

	if (!json_array_size(list))
		return;
	printf(" Security Options:\n");
	json_array_foreach((json_t *)list, i, v) {
		g_auto(GStrv) parts = g_strsplit(json_string_value(v), ",", -1);

		for (char **p = parts; *p; p++) {
			g_auto(GStrv) pair = g_strsplit(*p, "=", 2);

			if (g_str_has_prefix(*p, "name="))
				printf("  %s\n", pair[1]);
			else if (pair[0] && pair[1])
				printf("   %c%s: %s\n", g_ascii_toupper(pair[0][0]), pair[0] + 1,
					pair[1]);
		}
	}
}

static void info_storage(const json_t *j)
{
	json_t *pair, *plugins = json_object_get(j, "Plugins");
	size_t i;

	put("Server Version", cli_text(j, "ServerVersion"));
	put("Storage Driver", cli_text(j, "Driver"));
	json_array_foreach(json_object_get(j, "DriverStatus"), i, pair)
		printf("  %s: %s\n", json_string_value(json_array_get(pair, 0)),
			json_string_value(json_array_get(pair, 1)));
	put("Logging Driver", cli_text(j, "LoggingDriver"));
	put("Cgroup Driver", cli_text(j, "CgroupDriver"));
	put("Cgroup Version", cli_text(j, "CgroupVersion"));
	printf(" Plugins:\n");
	put_names("Volume", json_object_get(plugins, "Volume"));
	put_names("Network", json_object_get(plugins, "Network"));
	put_names("Authorization", json_object_get(plugins, "Authorization"));
	put_names("Log", json_object_get(plugins, "Log"));
}

static void info_runtime(const json_t *j)
{
	const char *name;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(j, "CDISpecDirs"), i, v)
		printf("%s  %s\n", i ? "" : " CDI spec directories:\n", json_string_value(v));
	printf(" Swarm: %s\n", *cli_text(json_object_get(j, "Swarm"), "LocalNodeState")
				       ? cli_text(json_object_get(j, "Swarm"), "LocalNodeState")
				       : "inactive");
	if (json_object_size(json_object_get(j, "Runtimes"))) {
		printf(" Runtimes:");
		json_object_foreach(json_object_get(j, "Runtimes"), name, v)
			printf(" %s", name);
		printf("\n Default Runtime: %s\n", cli_text(j, "DefaultRuntime"));
	}
	printf(" Init Binary: %s\n", cli_text(j, "InitBinary"));
	printf(" containerd version: %s\n", cli_text(json_object_get(j, "ContainerdCommit"), "ID"));
	printf(" runc version: %s\n", cli_text(json_object_get(j, "RuncCommit"), "ID"));
	printf(" init version: %s\n", cli_text(json_object_get(j, "InitCommit"), "ID"));
	put_security(json_object_get(j, "SecurityOptions"));
}

static void info_host(const json_t *j)
{
	g_autofree char *memory = cli_size_binary((double)cli_number(j, "MemTotal"));
	json_t *v, *config = json_object_get(j, "RegistryConfig");
	size_t i;

	put("Kernel Version", cli_text(j, "KernelVersion"));
	put("Operating System", cli_text(j, "OperatingSystem"));
	put("OSType", cli_text(j, "OSType"));
	put("Architecture", cli_text(j, "Architecture"));
	put_number("CPUs", j, "NCPU");
	printf(" Total Memory: %s\n", memory);
	put("Name", cli_text(j, "Name"));
	put("ID", cli_text(j, "ID"));
	put("Docker Root Dir", cli_text(j, "DockerRootDir"));
	put_flag("Debug Mode", j, "Debug");
	put("HTTP Proxy", cli_text(j, "HttpProxy"));
	put("HTTPS Proxy", cli_text(j, "HttpsProxy"));
	put("No Proxy", cli_text(j, "NoProxy"));
	json_array_foreach(json_object_get(j, "Labels"), i, v)
		printf("%s  %s\n", i ? "" : " Labels:\n", json_string_value(v));
	put_flag("Experimental", j, "ExperimentalBuild");
	if (json_object_size(json_object_get(config, "IndexConfigs")) ||
		json_array_size(json_object_get(config, "InsecureRegistryCIDRs"))) {
		const char *name;

		printf(" Insecure Registries:\n");
		json_object_foreach(json_object_get(config, "IndexConfigs"), name, v)
			if (!json_is_true(json_object_get(v, "Secure")))
				printf("  %s\n", name);
		json_array_foreach(json_object_get(config, "InsecureRegistryCIDRs"), i, v)
			printf("  %s\n", json_string_value(v));
	}
	json_array_foreach(json_object_get(config, "Mirrors"), i, v)
		printf("%s  %s\n", i ? "" : " Registry Mirrors:\n", json_string_value(v));
	put_flag("Live Restore Enabled", j, "LiveRestoreEnabled");
	put("Product License", cli_text(j, "ProductLicense"));
	printf("\n");
}

static int info_run(struct cmd_call *call, struct err *e)
{
	const struct info_args *a = call->args;
	const char *why, *format = a->format && *a->format ? a->format : NULL;
	g_autofree char *context = cli_context_name(cli_of(call), &why);
	struct client *cl;
	json_t *j = NULL, *warning, *client;
	size_t i;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", "/info", NULL, &j, e);
	if (format && r >= 0) {
		client = json_pack("{s:b,s:s,s:s}", "Debug", cli_of(call)->debug, "Context",
			context, "Version", DOCKER_VERSION);
		json_object_set_new(j, "ClientInfo", client);
		r = show_document(j, format, e);
		json_decref(j);
		return r;
	}
	printf("Client:\n Version:    %s\n Context:    %s\n Debug Mode: %s\n\nServer:\n",
		DOCKER_VERSION, context, cli_of(call)->debug ? "true" : "false");
	if (r < 0)
		return err_prefix(e, "failed to connect to the docker API"), r;
	put_number("Containers", j, "Containers");
	printf("  Running: %lld\n  Paused: %lld\n  Stopped: %lld\n",
		(long long)cli_number(j, "ContainersRunning"),
		(long long)cli_number(j, "ContainersPaused"),
		(long long)cli_number(j, "ContainersStopped"));
	put_number("Images", j, "Images");
	info_storage(j);
	info_runtime(j);
	info_host(j);
	(void)fflush(stdout);
	json_array_foreach(json_object_get(j, "Warnings"), i, warning)
		(void)fprintf(stderr, "%s\n", json_string_value(warning));
	json_decref(j);
	return 0;
}

/* clang-format off */
static const struct opt info_opts[] = {
	OPT_STRING('f', "format", struct info_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_info_cmd = {
	CMD_FILE,
	.name = "info",
	.run = info_run,
	.opts = info_opts,
	.args_size = sizeof(struct info_args),
	.brief = "Display system-wide information",
	.synopsis = "[OPTIONS]",
};
