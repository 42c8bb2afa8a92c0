/* SPDX-License-Identifier: MIT */
/* docker system (df, events, prune), login and logout. */

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include "base/tmpl.h"
#include "base/units.h"
#include "dialect/docker/cli.h"
#include "image/credentials.h"

struct system_df_args {
	char *format;
	bool verbose;
};
struct events_args {
	char *format, *since, *until;
	char **filter;
};
struct system_prune_args {
	char **filter;
	bool all, force, volumes;
};
struct login_args {
	char *password, *username;
	bool password_stdin;
};

/* --- df --------------------------------------------------------------------------------------------------------------- */

static const struct tab_column df_columns[] = {
	{ "TYPE", "Type", false },
	{ "TOTAL", "TotalCount", false },
	{ "ACTIVE", "Active", false },
	{ "SIZE", "Size", false },
	{ "RECLAIMABLE", "Reclaimable", false },
	{ NULL, NULL, false },
};

struct df {
	size_t total, active;
	double size, free;
};

static void df_row(json_t *rows, const char *type, const struct df *d, bool percent)
{
	json_t *row = json_object();
	g_autofree char *size = cli_size(d->size, 4), *free_text = cli_size(d->free, 4);

	cli_set(row, "Active", "%zu", d->active);
	if (percent && d->size > 0)
		cli_set(row, "Reclaimable", "%s (%d%%)", free_text, (int)(d->free * 100 / d->size));
	else
		cli_set(row, "Reclaimable", "%s", free_text);
	cli_set(row, "Size", "%s", size);
	cli_set(row, "TotalCount", "%zu", d->total);
	cli_set(row, "Type", "%s", type);
	json_array_append_new(rows, row);
}

static void df_images(json_t *rows, const json_t *j)
{
	struct df d = { .size = (double)cli_number(j, "LayersSize") };
	json_t *image;
	size_t i;
	double used = 0;

	json_array_foreach(json_object_get(j, "Images"), i, image) {
		double size = (double)cli_number(image, "Size"),
		       shared = (double)cli_number(image, "SharedSize");

		d.total++;
		if (cli_number(image, "Containers") > 0) {
			d.active++;
			if (size > 0 && shared >= 0)
				used += size - shared;
		}
	}
	d.free = MAX(d.size - used, 0);
	df_row(rows, "Images", &d, true);
}

static void df_containers(json_t *rows, const json_t *j)
{
	struct df d = { 0 };
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(j, "Containers"), i, c) {
		double size = (double)cli_number(c, "SizeRw");
		const char *state = cli_text(c, "State");
		bool active = strstr(state, "running") || strstr(state, "paused") ||
			      strstr(state, "restarting");

		d.total++;
		d.active += active;
		d.size += size;
		d.free += active ? 0 : size;
	}
	df_row(rows, "Containers", &d, true);
}

static void df_volumes(json_t *rows, const json_t *j)
{
	struct df d = { 0 };
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(j, "Volumes"), i, v) {
		json_t *usage = json_object_get(v, "UsageData");
		double size = (double)cli_number(usage, "Size");
		bool active = cli_number(usage, "RefCount") > 0;

		d.total++;
		d.active += active;
		if (size > 0) {
			d.size += size;
			d.free += active ? 0 : size;
		}
	}
	df_row(rows, "Local Volumes", &d, true);
}

static void df_cache(json_t *rows, const json_t *j)
{
	struct df d = { 0 };
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(j, "BuildCache"), i, c) {
		double size = (double)cli_number(c, "Size");

		d.total++;
		d.active += json_is_true(json_object_get(c, "InUse"));
		if (!json_is_true(json_object_get(c, "Shared"))) {
			d.size += size;
			d.free += json_is_true(json_object_get(c, "InUse")) ? 0 : size;
		}
	}
	df_row(rows, "Build Cache", &d, false);
}

/* -v: a table for each kind. */
static int df_verbose_images(const json_t *j, struct err *e)
{
	static const struct tab_column columns[] = { { "REPOSITORY", "Repository", false },
		{ "TAG", "Tag", false }, { "IMAGE ID", "ID", false },
		{ "CREATED", "CreatedSince", false }, { "SIZE", "Size", false },
		{ "SHARED SIZE", "SharedSize", false }, { "UNIQUE SIZE", "UniqueSize", false },
		{ "CONTAINERS", "Containers", false }, { NULL, NULL, false } };
	json_t *rows = json_array(), *image;
	size_t i;
	int r;

	json_array_foreach(json_object_get(j, "Images"), i, image) {
		json_t *row = json_object();
		const char *first =
			json_string_value(json_array_get(json_object_get(image, "RepoTags"), 0));
		double size = (double)cli_number(image, "Size"),
		       shared = (double)cli_number(image, "SharedSize");
		g_autofree char *name = NULL, *tag = NULL, *id = cli_short(cli_text(image, "Id"));
		g_autofree char *ago = cli_ago(cli_number(image, "Created")),
				*text = cli_size(size, 3);
		g_autofree char *both = cli_size(shared, 4), *alone = cli_size(size - shared, 4);

		cli_split_tag(first ?: "<none>:<none>", &name, &tag);
		cli_set(row, "Repository", "%s", name);
		cli_set(row, "Tag", "%s", tag);
		cli_set(row, "ID", "%s", id);
		cli_set(row, "CreatedSince", "%s", ago);
		cli_set(row, "Size", "%s", text);
		cli_set(row, "SharedSize", "%s", both);
		cli_set(row, "UniqueSize", "%s", alone);
		cli_set(row, "Containers", "%lld", (long long)cli_number(image, "Containers"));
		json_array_append_new(rows, row);
	}
	printf("Images space usage:\n\n");
	r = cli_rows(columns, rows, NULL, e);
	json_decref(rows);
	return r;
}

static int df_verbose(const json_t *j, struct err *e)
{
	json_t *rows = json_array(), *one;
	size_t i;
	double cache = 0;
	g_autofree char *text = NULL;
	int r = df_verbose_images(j, e);
	static const struct tab_column containers[] = { { "CONTAINER ID", "ID", false },
		{ "IMAGE", "Image", false }, { "COMMAND", "Command", false },
		{ "LOCAL VOLUMES", "LocalVolumes", false }, { "SIZE", "Size", false },
		{ "CREATED", "RunningFor", false }, { "STATUS", "Status", false },
		{ "NAMES", "Names", false }, { NULL, NULL, false } };
	static const struct tab_column volumes[] = { { "VOLUME NAME", "Name", false },
		{ "LINKS", "Links", false }, { "SIZE", "Size", false }, { NULL, NULL, false } };

	printf("\nContainers space usage:\n\n");
	json_array_foreach(json_object_get(j, "Containers"), i, one) {
		json_t *row = cli_ps_row(one, false);
		g_autofree char *size = cli_size((double)cli_number(one, "SizeRw"), 3);

		cli_set(row, "Size", "%s", size);
		json_array_append_new(rows, row);
	}
	if (r >= 0)
		r = cli_rows(containers, rows, NULL, e);
	json_array_clear(rows);
	printf("\nLocal Volumes space usage:\n\n");
	json_array_foreach(json_object_get(j, "Volumes"), i, one)
		json_array_append_new(rows, cli_volume_row(one));
	if (r >= 0)
		r = cli_rows(volumes, rows, NULL, e);
	json_decref(rows);
	json_array_foreach(json_object_get(j, "BuildCache"), i, one)
		cache += json_is_true(json_object_get(one, "Shared"))
				 ? 0
				 : (double)cli_number(one, "Size");
	text = cli_size(cache, 4);
	printf("\nBuild cache usage: %s\n\n"
	       "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n",
		text);
	return r;
}

static int system_df_run(struct cmd_call *call, struct err *e)
{
	const struct system_df_args *a = call->args;
	json_t *j = NULL, *rows = json_array();
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (r >= 0)
		r = client_call(cl, "GET", "/system/df", NULL, &j, e);
	if (r >= 0 && a->verbose && !a->format) {
		r = df_verbose(j, e);
	} else if (r >= 0) {
		df_images(rows, j);
		df_containers(rows, j);
		df_volumes(rows, j);
		df_cache(rows, j);
		r = cli_rows(df_columns, rows, cli_format(call, a->format, NULL), e);
	}
	json_decref(rows);
	json_decref(j);
	return r < 0 ? r : 0;
}

/* clang-format off */
static const struct opt system_df_opts[] = {
	OPT_STRING(0, "format", struct system_df_args, format, "string", complete_none, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_FLAG('v', "verbose", struct system_df_args, verbose, "Show detailed information on space usage"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_system_df_cmd = {
	CMD_FILE,
	.name = "df",
	.run = system_df_run,
	.opts = system_df_opts,
	.args_size = sizeof(struct system_df_args),
	.brief = "Show docker disk usage",
	.synopsis = "[OPTIONS]",
};

/* --- events --------------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_event(const json_t *ev)
{
	int64_t ns = cli_number(ev, "timeNano"), s = ns / CLI_SECOND;
	json_t *attributes = cli_at(ev, "Actor.Attributes"), *v;
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDateTime) t = g_date_time_new_from_unix_local(s ?: cli_number(ev, "time"));
	g_autofree char *day = g_date_time_format(t, "%Y-%m-%dT%H:%M:%S"),
			*zone = g_date_time_format(t, "%:z"), *text = NULL;
	const char *key;

	json_object_foreach(attributes, key, v)
		g_ptr_array_add(all, g_strdup_printf("%s=%s", key, json_string_value(v) ?: ""));
	if (all->len > 1)
		qsort(all->pdata, all->len, sizeof(void *), by_text);
	g_ptr_array_add(all, NULL);
	text = g_strjoinv(", ", (char **)all->pdata);
	printf("%s.%09lld%s %s %s %s", day, (long long)(ns % CLI_SECOND),
		strcmp(zone, "+00:00") == 0 ? "Z" : zone, cli_text(ev, "Type"),
		cli_text(ev, "Action"), cli_text(json_object_get(ev, "Actor"), "ID"));
	printf(*text ? " (%s)\n" : "\n%s", text);
	(void)fflush(stdout);
}

static int events_loop(struct stream *s, const char *format, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	json_t *ev = NULL;
	bool json = format && strcmp(format, "json") == 0;
	int r = format && !json ? tmpl_parse(format, &t, e) : 0;

	if (r < 0)
		return err_prefix(e, "Error parsing format: template parsing error");
	while ((r = stream_json(s, &ev, e)) > 0) {
		g_autoptr(GString) out = g_string_new(NULL);

		if (json) {
			char *text = json_dumps(ev, JSON_COMPACT);

			printf("%s\n", text);
			free(text);
		} else if (t) {
			r = tmpl_run(t, ev, 0, out, e);
			printf("%s\n", out->str);
		} else {
			show_event(ev);
		}
		(void)fflush(stdout);
		json_decref(ev);
		if (r < 0)
			break;
	}
	return r;
}

static int events_run(struct cmd_call *call, struct err *e)
{
	const struct events_args *a = call->args;
	g_autofree char *filters = cli_filters(a->filter), *since = NULL, *until = NULL;
	g_autoptr(GString) path = g_string_new("/events");
	_cleanup_(stream_freep) struct stream *s = NULL;
	struct client *cl;
	int r = cli_client(call, &cl, e);

	if (r >= 0 && a->since)
		r = cli_moment(a->since, &since, e);
	if (r >= 0 && a->until)
		r = cli_moment(a->until, &until, e);
	if (since)
		cli_query(path, "since", since);
	if (until)
		cli_query(path, "until", until);
	if (filters)
		cli_query(path, "filters", filters);
	if (r >= 0)
		r = client_stream(cl,
			&(struct stream_request){
				.method = "GET", .path = path->str, .body_fd = -1 },
			&s, e);
	return r < 0 ? r : events_loop(s, a->format && *a->format ? a->format : NULL, e);
}

/* clang-format off */
static const struct opt events_opts[] = {
	OPT_LIST('f', "filter", struct events_args, filter, "filter", complete_none, "Filter output based on conditions provided"),
	OPT_STRING(0, "format", struct events_args, format, "string", complete_none, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
	OPT_STRING(0, "since", struct events_args, since, "string", complete_none, "Show all events created since timestamp"),
	OPT_STRING(0, "until", struct events_args, until, "string", complete_none, "Stream events until this timestamp"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_events_cmd = {
	CMD_FILE,
	.name = "events",
	.run = events_run,
	.opts = events_opts,
	.args_size = sizeof(struct events_args),
	.brief = "Get real time events from the server",
	.synopsis = "[OPTIONS]",
};

/* --- prune ------------------------------------------------------------------------------------------------------------------ */

static bool prune_confirmed(const struct system_prune_args *a)
{
	g_autoptr(GString) q =
		g_string_new("WARNING! This will remove:\n  - all stopped containers\n"
			     "  - all networks not used by at least one container\n");

	if (a->volumes)
		g_string_append(
			q, "  - all anonymous volumes not used by at least one container\n");
	g_string_append(q, a->all ? "  - all images without at least one container associated to "
				    "them\n  - all build cache\n"
				  : "  - all dangling images\n  - unused build cache\n");
	if (a->filter) {
		g_autofree char *list = g_strjoinv(", ", a->filter);

		g_string_append_printf(
			q, "\n  Items to be pruned will be filtered with:\n  - %s\n", list);
	}
	g_string_append(q, "\nAre you sure you want to continue?");
	return cli_confirm(q->str);
}

static int system_prune_run(struct cmd_call *call, struct err *e)
{
	const struct system_prune_args *a = call->args;
	g_autoptr(GPtrArray) images = g_ptr_array_new();
	g_autofree char *size = NULL;
	int64_t freed = 0;
	struct client *cl;
	int r;

	for (char **f = a->filter; f && *f; f++) {
		if (a->volumes && g_str_has_prefix(*f, "until="))
			return err_set(e, -E_INVALID,
				"ERROR: The \"until\" filter is not supported with \"--volumes\"");
		g_ptr_array_add(images, *f);
	}
	g_ptr_array_add(images, (void *)(a->all ? "dangling=false" : "dangling=true"));
	g_ptr_array_add(images, NULL);
	if (!a->force && !prune_confirmed(a))
		return 0;
	r = cli_client(call, &cl, e);
	if (r >= 0)
		r = cli_prune(cl, "containers", a->filter, "Deleted Containers",
			"ContainersDeleted", &freed, e);
	if (r >= 0)
		r = cli_prune(
			cl, "networks", a->filter, "Deleted Networks", "NetworksDeleted", NULL, e);
	if (r >= 0 && a->volumes)
		r = cli_prune(
			cl, "volumes", a->filter, "Deleted Volumes", "VolumesDeleted", &freed, e);
	if (r >= 0)
		r = cli_prune(cl, "images", (char **)images->pdata, "Deleted Images",
			"ImagesDeleted", &freed, e);
	if (r < 0)
		return r;
	/* a server without a builder has no cache */
	r = cli_prune(cl, "build", NULL, "Deleted build cache objects", "CachesDeleted", &freed, e);
	if (r < 0 && client_status(cl) != 404 && client_status(cl) != 501)
		return r;
	size = cli_size((double)freed, 4);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

/* clang-format off */
static const struct opt system_prune_opts[] = {
	OPT_FLAG('a', "all", struct system_prune_args, all, "Remove all unused images not just dangling ones"),
	OPT_LIST(0, "filter", struct system_prune_args, filter, "filter", complete_none, "Provide filter values (e.g. \"label=<key>=<value>\")"),
	OPT_FLAG('f', "force", struct system_prune_args, force, "Do not prompt for confirmation"),
	OPT_FLAG(0, "volumes", struct system_prune_args, volumes, "Prune anonymous volumes"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_system_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = system_prune_run,
	.opts = system_prune_opts,
	.args_size = sizeof(struct system_prune_args),
	.brief = "Remove unused data",
	.synopsis = "[OPTIONS]",
};

/* --- login and logout --------------------------------------------------------------------------------------------------------- */

#define HUB_KEY "https://index.docker.io/v1/"

static char *ask_line(const char *prompt, bool secret)
{
	struct termios old, quiet;
	char *line = NULL, *ret;
	size_t n = 0;
	bool hidden = secret && RET_NERRNO(tcgetattr(STDIN_FILENO, &old)) >= 0;

	(void)fputs(prompt, stdout);
	(void)fflush(stdout);
	if (hidden) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	if (getline(&line, &n, stdin) < 0) {
		free(line);
		line = NULL;
	}
	if (hidden) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		printf("\n");
	}
	ret = g_strchomp(g_strdup(line ?: ""));
	free(line);
	return ret;
}

static char *registry_key(const char *given)
{
	const char *p = given ?: HUB_KEY, *scheme = strstr(p, "://");
	g_autofree char *host = g_strdup(scheme ? scheme + 3 : p);

	host[strcspn(host, "/")] = '\0';
	if (strcmp(host, "index.docker.io") == 0 || strcmp(host, "docker.io") == 0 ||
		strcmp(host, "registry-1.docker.io") == 0)
		return g_strdup(HUB_KEY);
	return g_steal_pointer(&host);
}

static int login_ask(
	const struct login_args *a, const char *key, char **user, char **password, struct err *e)
{
	if (a->password && a->password_stdin)
		return err_set(
			e, -E_INVALID, "--password and --password-stdin are mutually exclusive");
	if (a->password_stdin && !a->username)
		return err_set(e, -E_INVALID, "Must provide --username with --password-stdin");
	if (a->password)
		(void)fputs("WARNING! Using --password via the CLI is insecure. Use "
			    "--password-stdin.\n",
			stderr);
	if (a->password_stdin) {
		*user = g_strdup(a->username);
		*password = ask_line("", false);
		return 0;
	}
	if ((!a->username || !a->password) && !cli_is_terminal(STDIN_FILENO))
		return err_set(e, -E_INVALID,
			"Error: Cannot perform an interactive login from a non TTY device");
	(void)key;
	*user = a->username ? g_strdup(a->username) : ask_line("Username: ", false);
	if (!**user)
		return err_set(e, -E_INVALID, "username is required");
	*password = a->password ? g_strdup(a->password) : ask_line("Password: ", true);
	return **password ? 0 : err_set(e, -E_INVALID, "password is required");
}

static int login_run(struct cmd_call *call, struct err *e)
{
	const struct login_args *a = call->args;
	struct cli *s = cli_of(call);
	g_autofree char *key = registry_key(call->operands[0]), *user = NULL, *password = NULL;
	g_autofree char *file = g_strdup_printf("%s/config.json", cli_folder(s));
	struct transport_options o = { .tls_verify = -1, .auth_file = file };
	struct credentials who = { 0 };
	struct client *cl;
	json_t *body, *j = NULL;
	int r = login_ask(a, key, &user, &password, e);

	if (r >= 0)
		r = cli_client(call, &cl, e);
	if (r < 0)
		return r;
	body = json_pack(
		"{s:s,s:s,s:s}", "username", user, "password", password, "serveraddress", key);
	r = client_call(cl, "POST", "/auth", body, &j, e);
	json_decref(body);
	if (r >= 0) {
		who = (struct credentials){ user, password, (char *)cli_text(j, "IdentityToken") };
		if (!*who.identity)
			who.identity = NULL;
		(void)g_mkdir_with_parents(cli_folder(s), 0700);
		r = credentials_write(&o, strcmp(key, HUB_KEY) == 0 ? "docker.io" : key, &who, e);
	}
	if (r >= 0) {
		if (!json_object_get(cli_config(s), "credsStore"))
			(void)fprintf(stderr,
				"\nWARNING! Your credentials are stored unencrypted in '%s'.\n"
				"Configure a credential helper to remove this warning. See\n"
				"https://docs.docker.com/go/credential-store/\n\n",
				file);
		printf("%s\n", *cli_text(j, "Status") ? cli_text(j, "Status") : "Login Succeeded");
	}
	json_decref(j);
	return r < 0 ? r : 0;
}

/* clang-format off */
static const struct opt login_opts[] = {
	OPT_STRING('p', "password", struct login_args, password, "string", complete_none, "Password or Personal Access Token (PAT)"),
	OPT_FLAG(0, "password-stdin", struct login_args, password_stdin, "Take the Password or Personal Access Token (PAT) from stdin"),
	OPT_STRING('u', "username", struct login_args, username, "string", complete_none, "Username"),
	OPT_END
};
/* clang-format on */
const struct cmd docker_login_cmd = {
	CMD_FILE,
	.name = "login",
	.run = login_run,
	.opts = login_opts,
	.args_size = sizeof(struct login_args),
	.brief = "Authenticate to a registry",
	.synopsis = "[OPTIONS] [SERVER]",
	.max_operands = 1,
	.details = "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
};

static int logout_run(struct cmd_call *call, struct err *e)
{
	struct cli *s = cli_of(call);
	g_autofree char *key = registry_key(call->operands[0]),
			*file = g_strdup_printf("%s/config.json", cli_folder(s));
	const char *named = strcmp(key, HUB_KEY) == 0 ? "docker.io" : key;
	struct transport_options o = { .tls_verify = -1, .auth_file = file };
	struct credentials who = { 0 };
	int known = g_file_test(file, G_FILE_TEST_EXISTS)
			    ? credentials_find(&o, named, NULL, &who, e)
			    : 0;

	credentials_clear(&who);
	if (known < 0)
		return known;
	if (known == 0 && !call->operands[0]) {
		printf("Not logged in to %s\n", HUB_KEY);
		return 0;
	}
	printf("Removing login credentials for %s\n", call->operands[0] ?: HUB_KEY);
	if (known > 0)
		known = credentials_write(&o, named, NULL, e);
	return known < 0 ? known : 0;
}

const struct cmd docker_logout_cmd = {
	CMD_FILE,
	.name = "logout",
	.run = logout_run,
	.brief = "Log out from a registry",
	.synopsis = "[SERVER]",
	.max_operands = 1,
	.details = "Log out from a registry.\nIf no server is specified, the default is defined by "
		   "the daemon.",
};
