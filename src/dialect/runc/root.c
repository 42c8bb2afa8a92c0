/* SPDX-License-Identifier: MIT */
/* All commands of runc: a new one is a row here and the file that it is in. */
#include "dialect/runc/runc.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include "host/smallfile.h"

const struct cmd *const runc_commands[] = {
	&runc_checkpoint,
	&runc_create,
	&runc_delete,
	&runc_events,
	&runc_exec,
	&runc_features,
	&runc_kill,
	&runc_list,
	&runc_pause,
	&runc_ps,
	&runc_restore,
	&runc_resume,
	&runc_run,
	&runc_spec,
	&runc_start,
	&runc_state,
	&runc_update,
	NULL,
};

/* Go's flag package: options end at the first operand. */
const struct opt_policy opt_policy_runc = {
	.name = "runc",
	.flag_values = true,
	.usage_status = 1,
};

/* clang-format off */
static const struct opt global_opts[] = {
	OPT_FLAG(0, "debug", struct runc, debug, "write the steps into the log"),
	OPT_STRING(0, "log", struct runc, log, "PATH", complete_file, "the log's file (default: standard error)"),
	OPT_STRING(0, "log-format", struct runc, log_format, "FORMAT", complete_none, "text or json"),
	OPT_STRING(0, "root", struct runc, root, "PATH", complete_file, "folder of the containers' state"),
	OPT_STRING(0, "criu", struct runc, criu, "PATH", complete_file, "the criu program"),
	OPT_FLAG(0, "systemd-cgroup", struct runc, systemd_cgroup, "let systemd make the cgroups"),
	OPT_STRING(0, "cgroup-manager", struct runc, cgroup_manager, "MANAGER", complete_none, "cgroupfs, systemd or disabled (crun's option)"),
	OPT_STRING(0, "rootless", struct runc, rootless, "WHEN", complete_none, "ignore failures of cgroups: true, false, auto"),
	OPT_FLAG('v', "version", struct runc, version, "print the version"),
	OPT_END
};
/* clang-format on */

const struct cmd runc_root = {
	CMD_FILE,
	.name = "runc",
	.opts = global_opts,
	.args_size = sizeof(struct runc),
	.brief = "run OCI bundles, as runc and crun do",
	.synopsis = "[OPTIONS] COMMAND [ARG...]",
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
};

static const struct cmd *find(const char *name)
{
	for (const struct cmd *const *c = runc_commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int help(struct runc *r, const char *name)
{
	const struct cmd *c = name ? find(name) : NULL;
	struct cmd group = runc_root;
	g_autofree char *full = name ? g_strdup_printf("%s %s", r->name, name) : g_strdup(r->name);

	group.sub = runc_commands;
	if (name && !c)
		return -1;
	cmd_help(c ? c : &group, full, stdout);
	return 0;
}

/* Whether the ids of this user namespace are the machine's: user_namespaces(7). */
static bool all_ids(void)
{
	char text[SMALL_MAX];
	const char *p = text;
	uint64_t inside, outside, n;

	if (small_read("/proc/self/uid_map", text, sizeof(text)) <= 0)
		return true;
	p += strspn(p, " ");
	if (small_take_u64(&p, &inside) < 0)
		return true;
	p += strspn(p, " ");
	if (small_take_u64(&p, &outside) < 0)
		return true;
	p += strspn(p, " ");
	return small_take_u64(&p, &n) < 0 || (inside == outside && n >= UINT32_MAX);
}

static int settle(struct runc *r, struct err *e)
{
	const char *dir = g_getenv("XDG_RUNTIME_DIR");

	if (r->log_format && *r->log_format && strcmp(r->log_format, "text") != 0 &&
		strcmp(r->log_format, "json") != 0)
		return err_set(e, -E_USAGE, "invalid log-format: %s", r->log_format);
	if (r->rootless && strcmp(r->rootless, "auto") != 0 && strcmp(r->rootless, "true") != 0 &&
		strcmp(r->rootless, "false") != 0)
		return err_set(e, -E_USAGE, "invalid value for --rootless: %s", r->rootless);
	if (r->cgroup_manager && strcmp(r->cgroup_manager, "systemd") == 0)
		r->systemd_cgroup = true;
	else if (r->cgroup_manager && strcmp(r->cgroup_manager, "cgroupfs") != 0 &&
		 strcmp(r->cgroup_manager, "disabled") != 0)
		return err_set(e, -E_USAGE, "unknown cgroup manager %s", r->cgroup_manager);
	r->is_rootless = r->rootless && strcmp(r->rootless, "auto") != 0
				 ? strcmp(r->rootless, "true") == 0
				 : !r->ctx.is_root || !all_ids();
	if (!r->root || !*r->root) {
		g_free(r->root);
		r->root = r->ctx.is_root || !dir ? g_strdup("/run/runc")
						 : g_strdup_printf("%s/runc", dir);
	} else if (r->root[0] != '/') {
		char *whole = g_canonicalize_filename(r->root, NULL);

		g_free(r->root);
		r->root = whole;
	}
	return 0;
}

/* words[0] is the command. */
static int run_command(struct runc *r, int n, char **words, struct err *e)
{
	const struct cmd *c = find(words[0]);
	g_autofree void *args = NULL;
	g_autofree char *full = NULL;
	struct cmd_call call = { .c = &r->ctx, .cmd = c };
	int code;

	if (strcmp(words[0], "help") == 0 || strcmp(words[0], "h") == 0)
		return help(r, words[1]) < 0
			       ? err_set(e, -E_USAGE, "No help topic for '%s'", words[1])
			       : 0;
	if (!c)
		return err_set(e, -E_USAGE, "No help topic for '%s'", words[0]);
	r->command = c->name;
	full = g_strdup_printf("%s %s", r->name, c->name);
	args = g_malloc0(c->args_size ? c->args_size : 1);
	call.args = args;
	call.full_name = full;
	code = opt_parse(c, &opt_policy_runc, n, words, args, &call.operands, &call.n_operands, e);
	if (code == 1) {
		code = help(r, c->name);
	} else if (code == 0 && (c->flags & CMD_READS_ONLY) && r->ctx.explain)
		printf("# %s changes nothing on this host\n", c->name);
	else if (code == 0)
		code = c->run(&call, e);
	g_strfreev(call.operands);
	opt_args_clear(c, args);
	return code;
}

static int version(const struct runc *r)
{
	printf("%s version " LODGE_VERSION " (lodge)\nspec: 1.2.0\n", r->name);
	return 0;
}

int runc_main(int argc, char **argv)
{
	bool explain = strcmp(argv[0], "explain") == 0 && argc > 1;
	const char *slash, *name;
	struct runc r = { .log = NULL };
	struct err e = { 0 };
	char **words = NULL;
	int n, code, status;
	size_t seed;

	argc -= explain;
	argv += explain;
	slash = strrchr(argv[0], '/');
	name = slash ? slash + 1 : argv[0];
	r.argv = argv;
	r.name = strcmp(name, "crun") == 0 ? "crun" : "runc";
	/* what the kernel gave this process at its start is as random as /dev/urandom, and here already */
	memcpy(&seed, (const void *)getauxval(AT_RANDOM), sizeof(seed));
	json_object_seed(seed);
	ctx_init(&r.ctx);
	r.ctx.explain = explain;
	code = opt_parse(&runc_root, &opt_policy_runc, argc, argv, &r, &words, &n, &e);
	if (code == 0)
		code = settle(&r, &e);
	else if (code == 1)
		code = help(&r, NULL), n = -1;
	if (code >= 0 && n >= 0)
		code = r.version ? version(&r) : n ? run_command(&r, n, words, &e) : help(&r, NULL);
	status = code < 0 ? runc_failed(&r, code, &e) : code;
	if (fflush(stdout) != 0 && status == 0)
		status = 1;
	g_strfreev(words);
	opt_args_clear(&runc_root, &r);
	ctx_done(&r.ctx);
	return status;
}
