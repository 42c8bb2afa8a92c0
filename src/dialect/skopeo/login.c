/* SPDX-License-Identifier: MIT */
/* login and logout: skopeo-login(1), skopeo-logout(1). */
#include <string.h>
#include <termios.h>
#include "dialect/skopeo/skopeo.h"
#include "image/registry.h"

struct login_args {
	char *authfile, *cert_dir, *username, *password;
	bool get_login, password_stdin, verbose, all;
	int tls_verify;
};

/* clang-format off */
static const struct opt login_opts[] = {
	OPT_STRING(0, "authfile", struct login_args, authfile, "FILE", complete_file, "file of credentials"),
	OPT_STRING(0, "cert-dir", struct login_args, cert_dir, "FOLDER", complete_file, "folder of certificates and keys"),
	OPT_FLAG(0, "get-login", struct login_args, get_login, "print who is logged in"),
	OPT_STRING('p', "password", struct login_args, password, "PASSWORD", complete_none, "password"),
	OPT_FLAG(0, "password-stdin", struct login_args, password_stdin, "read the password from standard input"),
	OPT_TRISTATE(0, "tls-verify", struct login_args, tls_verify, "need HTTPS, and check certificates"),
	OPT_STRING('u', "username", struct login_args, username, "USER", complete_none, "user name"),
	OPT_FLAG('v', "verbose", struct login_args, verbose, "say where the credentials are kept"),
	OPT_END
};
static const struct opt logout_opts[] = {
	OPT_FLAG('a', "all", struct login_args, all, "forget all registries"),
	OPT_STRING(0, "authfile", struct login_args, authfile, "FILE", complete_file, "file of credentials"),
	OPT_TRISTATE(0, "tls-verify", struct login_args, tls_verify, "accepted as skopeo does: nobody is asked"),
	OPT_END
};
/* clang-format on */

static void options(const struct login_args *a, struct transport_options *ret)
{
	*ret = (struct transport_options){
		.tls_verify = a->tls_verify, .auth_file = a->authfile, .cert_dir = a->cert_dir
	};
}

/* A line of standard input, without echo when secret. Caller frees. */
static char *ask(const char *prompt, bool secret)
{
	struct termios old, quiet;
	bool tty = prompt && isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
	char *line = NULL, *copy;
	size_t room = 0;
	ssize_t n;

	if (prompt) {
		printf("%s", prompt);
		(void)fflush(stdout);
	}
	if (tty && secret) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	n = getline(&line, &room, stdin);
	if (tty && secret) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		(void)putchar('\n');
	}
	copy = g_strdup(n > 0 ? line : "");
	free(line);
	copy[strcspn(copy, "\r\n")] = '\0';
	return copy;
}

static int get_login(struct cmd_call *call, const struct transport_options *o, struct err *e)
{
	g_autofree char *user = NULL;
	const char *registry = call->operands[0];
	int r = registry_logged_in(call->c, registry, o, &user, e);

	if (r == -E_NOTFOUND)
		return err_set(e, r, "not logged into %s", registry);
	if (r >= 0)
		printf("%s\n", user);
	return r;
}

static int login_run(struct cmd_call *call, struct err *e)
{
	const struct login_args *a = call->args;
	g_autofree char *user = g_strdup(a->username), *password = g_strdup(a->password);
	struct transport_options o;
	int r;

	options(a, &o);
	if (call->n_operands != 1)
		return err_set(e, -E_INVALID, "%s",
			call->n_operands ? "login accepts only one registry to login to"
					 : "please provide a registry to login to");
	if (a->get_login)
		return get_login(call, &o, e);
	if (a->password_stdin && a->password)
		return err_set(e, -E_INVALID, "Can't specify both --password-stdin and --password");
	if (a->password_stdin && !a->username)
		return err_set(e, -E_INVALID, "Must provide --username with --password-stdin");
	if (!user)
		user = ask("Username: ", false);
	if (!password)
		password = ask(a->password_stdin ? NULL : "Password: ", true);
	if (!*user || !*password)
		return err_set(e, -E_INVALID, "a user name and a password are needed");
	r = registry_login(call->c, call->operands[0], user, password, &o, e);
	if (r < 0 || call->c->explain)
		return r;
	if (a->verbose) {
		g_autofree char *file = registry_auth_file(&o);

		printf("Used: %s\n", file);
	}
	printf("Login Succeeded!\n");
	return 0;
}

const struct cmd skopeo_login = {
	CMD_FILE,
	.name = "login",
	.run = login_run,
	.opts = login_opts,
	.args_size = sizeof(struct login_args),
	.brief = "log in to a registry",
	.synopsis = "[OPTIONS] REGISTRY",
	.max_operands = -1,
};

static int logout_run(struct cmd_call *call, struct err *e)
{
	const struct login_args *a = call->args;
	struct transport_options o;
	int r;

	options(a, &o);
	if (a->all ? call->n_operands != 0 : call->n_operands != 1)
		return err_set(e, -E_INVALID, "%s",
			a->all ? "--all takes no arguments" : "registry must be given");
	r = registry_logout(call->c, a->all ? NULL : call->operands[0], &o, e);
	if (r == 1 && !a->all)
		return err_set(e, -E_NOTFOUND, "Not logged into %s", call->operands[0]);
	if (r < 0 || call->c->explain)
		return r;
	if (a->all)
		printf("Removed login credentials for all registries\n");
	else
		printf("Removed login credentials for %s\n", call->operands[0]);
	return 0;
}

const struct cmd skopeo_logout = {
	CMD_FILE,
	.name = "logout",
	.run = logout_run,
	.opts = logout_opts,
	.args_size = sizeof(struct login_args),
	.brief = "forget how to log in to a registry",
	.synopsis = "[OPTIONS] [REGISTRY]",
	.max_operands = -1,
};
