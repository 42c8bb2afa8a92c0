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
	if (!always)
		fprintf(stderr, "Unable to find image '%s' locally\n", written);
	/* standard output is the guest's */
	r = transfer_init(&t, false, true, NULL, e);
	if (r >= 0 && !quiet && isatty(STDERR_FILENO))
		(void)fprintf(stderr, "Pulling '%s'\n", written);
	if (r >= 0)
		r = pull_into(call->c, written, &o, &t, false, &why);
	transfer_done(&t);
	if (r < 0) {
		err_set(e, r, "no such image '%s' here, and it can't be pulled: %s", written,
			why.text);
		if (why.mend[0])
			(void)err_mend(e, "%s", why.mend);
		return r;
	}
	return image_find_written(call->c, written, &reached, ret, e);
}

/* --- push ------------------------------------------------------------------------------------------------------- */

struct push_args {
	struct reach_args reach;
	bool all_tags, quiet;
	char *progress;
};

/* clang-format off */
static const struct opt push_opts[] = {
	OPT_FLAG('a', "all-tags", struct push_args, all_tags, "all tags of the repository that are here"),
	OPT_FLAG('q', "quiet", struct push_args, quiet, "only the name"),
	OPT_STRING(0, "progress", struct push_args, progress, "STYLE", complete_none, "auto, tty, plain or json"),
	REACH_ROWS(struct push_args),
	OPT_END
};
/* clang-format on */

static void push_defaults(void *args)
{
	((struct push_args *)args)->reach.tls_verify = -1;
}

static void print_pushed(const struct transfer *t, const struct pulled *p)
{
	struct ref ref;

	if (t->style == TRANSFER_QUIET) {
		printf("%s\n", p->name);
		return;
	}
	if (ref_parse(p->name, 0, &ref, NULL) < 0)
		return;
	transfer_say(t, "%s: digest: %s", ref.tag, p->digest);
	ref_clear(&ref);
}

static int push_run(struct cmd_call *call, struct err *e)
{
	const struct push_args *a = call->args;
	g_autoptr(GPtrArray) list = NULL;
	struct transport_options reached;
	struct transfer t;
	struct push_options o = {
		.transport = &reached, .all_tags = a->all_tags, .progress = &t.progress
	};
	int r;

	reach(&a->reach, &reached);
	r = transfer_init(&t, true, a->quiet, a->progress, e);
	if (r >= 0)
		r = image_push(call->c, call->operands[0], &o, &list, e);
	for (unsigned i = 0; r >= 0 && i < list->len; i++)
		print_pushed(&t, list->pdata[i]);
	transfer_done(&t);
	return MIN(r, 0);
}

const struct cmd image_push_cmd = {
	CMD_FILE,
	.name = "push",
	.run = push_run,
	.opts = push_opts,
	.args_size = sizeof(struct push_args),
	.defaults = push_defaults,
	.brief = "put an image into a registry",
	.synopsis = "[OPTIONS] NAME[:TAG]",
	.details = "Layers that the registry has aren't sent, an upload that broke off is gone on "
		   "with "
		   "where the registry lets it.",
	.examples = "lodge image tag app:1 reg.lan:5000/app:1   # give it the registry's name\n"
		    "lodge image push reg.lan:5000/app:1   # and put it there\n",
	.min_operands = 1,
	.max_operands = 1,
	.complete = complete_image,
};

/* --- login, logout ------------------------------------------------------------------------------------------------ */

#define DOCKER_IO "docker.io"

struct login_args {
	char *username, *password, *authfile, *cert_dir;
	bool password_stdin, get_login;
	int tls_verify;
};

/* clang-format off */
static const struct opt login_opts[] = {
	OPT_STRING('u', "username", struct login_args, username, "NAME", complete_none, "user"),
	OPT_STRING('p', "password", struct login_args, password, "PASSWORD", complete_none, "its password"),
	OPT_FLAG(0, "password-stdin", struct login_args, password_stdin, "read the password from standard input"),
	OPT_FLAG(0, "get-login", struct login_args, get_login, "print the user that is logged in"),
	OPT_STRING(0, "authfile", struct login_args, authfile, "FILE", complete_file, "where it is kept"),
	OPT_STRING(0, "cert-dir", struct login_args, cert_dir, "FOLDER", complete_file, "authorities and client certificates"),
	OPT_TRISTATE(0, "tls-verify", struct login_args, tls_verify, "check certificates, and refuse plain http"),
	OPT_END
};
/* clang-format on */

static void login_defaults(void *args)
{
	((struct login_args *)args)->tls_verify = -1;
}

static char *read_line(void)
{
	char *text = NULL;
	size_t size = 0;

	if (getline(&text, &size, stdin) < 0) {
		free(text);
		return NULL;
	}
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

/* From the terminal; a secret isn't echoed. */
static char *ask(const char *what, bool secret, struct err *e)
{
	struct termios old, quiet;
	bool changed;
	char *text;

	if (!isatty(STDIN_FILENO)) {
		err_set(e, -E_INVALID, "there is no terminal to ask for the %s on",
			secret ? "password" : "user");
		err_mend(e, secret ? "use --password-stdin" : "use --username");
		return NULL;
	}
	fprintf(stderr, "%s: ", what);
	changed = secret && tcgetattr(STDIN_FILENO, &old) == 0;
	if (changed) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	text = read_line();
	if (changed) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	if (!text)
		err_set(e, -E_INVALID, "there is no %s", secret ? "password" : "user");
	return text;
}

static int login_run(struct cmd_call *call, struct err *e)
{
	const struct login_args *a = call->args;
	const char *registry = call->n_operands ? call->operands[0] : DOCKER_IO;
	struct transport_options o = { .tls_verify = a->tls_verify,
		.auth_file = a->authfile,
		.cert_dir = a->cert_dir,
		.loopback_insecure = true };
	_cleanup_free_ char *asked_user = NULL, *asked_password = NULL;
	const char *user = a->username, *password = a->password;
	int r;

	if (a->get_login) {
		g_autofree char *known = NULL;

		r = registry_logged_in(call->c, registry, &o, &known, e);
		if (r >= 0)
			printf("%s\n", known);
		return r;
	}
	if (a->password && a->password_stdin)
		return err_set(e, -E_USAGE, "--password and --password-stdin are one too many");
	if (a->password_stdin && !user)
		return err_set(e, -E_USAGE, "--password-stdin needs --username");
	if (!user)
		user = asked_user = ask("Username", false, e);
	if (user && a->password_stdin) {
		password = asked_password = read_line();
		if (!password)
			return err_set(e, -E_INVALID, "standard input has no password");
	} else if (user && !password) {
		password = asked_password = ask("Password", true, e);
	}
	if (!user || !password)
		return -E_INVALID;
	r = registry_login(call->c, registry, user, password, &o, e);
	if (r >= 0 && !call->c->explain)
		printf("Login Succeeded\n");
	return r;
}

const struct cmd lodge_login = {
	CMD_FILE,
	.name = "login",
	.run = login_run,
	.opts = login_opts,
	.args_size = sizeof(struct login_args),
	.defaults = login_defaults,
	.brief = "be known to a registry",
	.synopsis = "[OPTIONS] [REGISTRY]",
	.details = "The registry is asked first. What it takes is kept where podman keeps it, or "
		   "by the credential "
		   "helper that is named there; docker's own file is read, too.",
	.examples = "lodge login -u me registry.lan:5000   # asks for the password\n"
		    "lodge login -u ci --password-stdin quay.io <secret   # in a script\n",
	.max_operands = 1,
};

struct logout_args {
	bool all;
	char *authfile;
};

static const struct opt logout_opts[] = { OPT_FLAG('a', "all", struct logout_args, all,
						  "all registries"),
	OPT_STRING(0, "authfile", struct logout_args, authfile, "FILE", complete_file,
		"where it is kept"),
	OPT_END };

static int logout_run(struct cmd_call *call, struct err *e)
{
	const struct logout_args *a = call->args;
	const char *registry = call->n_operands ? call->operands[0] : DOCKER_IO;
	struct transport_options o = { .tls_verify = -1, .auth_file = a->authfile };
	int r;

	if (a->all && call->n_operands)
		return err_set(e, -E_USAGE, "--all and a registry are one too many");
	r = registry_logout(call->c, a->all ? NULL : registry, &o, e);
	if (r < 0 || call->c->explain)
		return MIN(r, 0);
	if (r > 0 && !a->all)
		return err_set(e, -E_NOTFOUND, "not logged into '%s'", registry);
	if (a->all)
		printf("Removed login credentials for all registries\n");
	else
		printf("Removed login credentials for %s\n", registry);
	return 0;
}

const struct cmd lodge_logout = {
	CMD_FILE,
	.name = "logout",
	.run = logout_run,
	.opts = logout_opts,
	.args_size = sizeof(struct logout_args),
	.brief = "be forgotten by a registry's files",
	.synopsis = "[OPTIONS] [REGISTRY]",
	.max_operands = 1,
};
