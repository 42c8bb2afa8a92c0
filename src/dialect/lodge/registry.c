/* SPDX-License-Identifier: MIT */
/* image pull, image push, login, logout: docker-cli's reference; the options of podman's that docker lacks. */

#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "dialect/lodge/transfer.h"
#include "image/credentials.h"
#include "image/registry.h"

/* --- options of all that reach a registry --------------------------------------------------------------------- */

struct reach_args {
	int tls_verify;
	char *creds, *authfile, *cert_dir;
};

#define REACH_ROWS(S)                                                                    \
	OPT_TRISTATE(0, "tls-verify", S, reach.tls_verify,                               \
		"check certificates, and refuse plain http"),                            \
		OPT_STRING(0, "creds", S, reach.creds, "USER[:PASSWORD]", complete_none, \
			"instead of those that login keeps"),                            \
		OPT_STRING(0, "authfile", S, reach.authfile, "FILE", complete_file,      \
			"where login keeps them"),                                       \
		OPT_STRING(0, "cert-dir", S, reach.cert_dir, "FOLDER", complete_file,    \
			"authorities and client certificates")

static void reach(const struct reach_args *a, struct transport_options *ret)
{
	*ret = (struct transport_options){ .tls_verify = a->tls_verify,
		.creds = a->creds,
		.auth_file = a->authfile,
		.cert_dir = a->cert_dir,
		.loopback_insecure = true };
}

/* --- pull ------------------------------------------------------------------------------------------------------- */

struct pull_args {
	struct reach_args reach;
	bool all_tags, quiet;
	char *platform, *policy, *signature_policy, *progress;
};

/* clang-format off */
static const struct opt pull_opts[] = {
	OPT_FLAG('a', "all-tags", struct pull_args, all_tags, "all tags of the repository"),
	OPT_STRING(0, "platform", struct pull_args, platform, "OS/ARCH[/VARIANT]", complete_none, "another machine's image"),
	OPT_STRING(0, "policy", struct pull_args, policy, "POLICY", complete_none, "always, missing, newer or never"),
	OPT_STRING(0, "signature-policy", struct pull_args, signature_policy, "FILE", complete_file, "policy.json to use"),
	OPT_FLAG('q', "quiet", struct pull_args, quiet, "only the name"),
	OPT_STRING(0, "progress", struct pull_args, progress, "STYLE", complete_none, "auto, tty, plain or json"),
	REACH_ROWS(struct pull_args),
	OPT_END
};
/* clang-format on */

static void pull_defaults(void *args)
{
	((struct pull_args *)args)->reach.tls_verify = -1;
}

static void print_pulled(const struct transfer *t, const struct pulled *p, bool all)
{
	g_autofree char *shown = ref_show(p->name);

	if (t->style == TRANSFER_QUIET) {
		printf("%s\n", p->name);
		return;
	}
	transfer_say(t, "Digest: %s", p->digest);
	transfer_say(t, "Status: %s for %s",
		p->changed ? "Downloaded newer image" : "Image is up to date", shown);
	if (!all)
		transfer_say(t, "%s", p->name);
}

static int pull_into(struct ctx *c, const char *written, const struct pull_options *o,
	struct transfer *t, bool print, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	int r = image_pull(c, written, o, &list, e);

	for (unsigned i = 0; r >= 0 && print && i < list->len; i++)
		print_pulled(t, list->pdata[i], o->all_tags);
	return r;
}

/* "missing" and "newer" need to know what is here. 1: it stays. */
static int is_enough(struct cmd_call *call, const char *policy, const char *written,
	const struct transport_options *o, struct err *e)
{
	g_autofree char *name = NULL;
	int r;

	if (!policy || strcmp(policy, "always") == 0 || strcmp(policy, "newer") == 0)
		return 0;
	if (strcmp(policy, "missing") != 0 && strcmp(policy, "never") != 0)
		return err_set(e, -E_USAGE,
			"invalid policy '%s': not always, missing, newer or never", policy);
	r = image_find_written(call->c, written, o, &name, e);
	if (r == -E_NOTFOUND && strcmp(policy, "missing") == 0)
		return 0;
	if (r >= 0)
		printf("%s\n", name);
	return r < 0 ? r : 1;
}

static int pull_run(struct cmd_call *call, struct err *e)
{
	const struct pull_args *a = call->args;
	struct transport_options reached;
	struct transfer t;
	struct pull_options o = { .transport = &reached,
		.platform = a->platform,
		.all_tags = a->all_tags,
		.policy = a->signature_policy,
		.progress = &t.progress };
	int r;

	reach(&a->reach, &reached);
	r = transfer_init(&t, false, a->quiet, a->progress, e);
	for (int i = 0; r >= 0 && i < call->n_operands; i++) {
		r = is_enough(call, a->policy, call->operands[i], &reached, e);
		if (r == 0)
			r = pull_into(call->c, call->operands[i], &o, &t, true, e);
	}
	transfer_done(&t);
	return MIN(r, 0);
}

const struct cmd image_pull_cmd = {
	CMD_FILE,
	.name = "pull",
	.run = pull_run,
	.opts = pull_opts,
	.args_size = sizeof(struct pull_args),
	.defaults = pull_defaults,
	.brief = "get images from a registry",
	.synopsis = "[OPTIONS] NAME[:TAG|@DIGEST]...",
	.details = "What has come stays when it is interrupted, and the next pull goes on there. "
		   "Registries, "
		   "mirrors and short names are as containers-registries.conf(5) has them, "
		   "credentials as "
		   "podman and docker keep them.",
	.examples =
		"lodge image pull debian:12   # from Docker Hub, or where registries.conf says\n"
		"lodge image pull --platform linux/arm64 debian:12   # for another machine\n"
		"lodge image pull --tls-verify=false registry.lan:5000/app   # without TLS\n",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_image,
};

int pull_for_run(struct cmd_call *call, const char *written, const char *pull, const char *platform,
	bool quiet, char **ret, struct err *e)
{
	struct transport_options reached = { .tls_verify = -1, .loopback_insecure = true };
	struct pull_options o = { .transport = &reached, .platform = platform };
	struct err why = { 0 };
	struct transfer t;
	bool always = g_strcmp0(pull, "always") == 0, never = g_strcmp0(pull, "never") == 0;
	int r = -E_NOTFOUND;

	if (pull && !always && !never && strcmp(pull, "missing") != 0)
		return err_set(
			e, -E_USAGE, "invalid pull '%s': not missing, always or never", pull);
	if (!always)
		r = image_find_written(call->c, written, &reached, ret, e);
	if (r != -E_NOTFOUND || never || call->c->explain)
		return r;
	(void)fprintf(stderr, always ? "" : "Unable to find image '%s' locally\n", written);
	/* standard output is the guest's */
	r = transfer_init(&t, false, true, NULL, e);
	if (r >= 0 && !quiet && isatty(STDERR_FILENO))
		(void)fprintf(stderr, "Pulling '%s'\n", written);
	if (r >= 0)
		r = pull_into(call->c, written, &o, &t, false, &why);
	transfer_done(&t);
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	return image_find_written(call->c, written, &reached, ret, e);
}
